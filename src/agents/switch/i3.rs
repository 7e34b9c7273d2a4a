//! The window managers i3 and sway: their IPC protocol, their tree of windows, and giving one the focus.
//!
//! A message is `i3-ipc`, the length and the type in the machine's byte order, and JSON (<https://i3wm.org/docs/ipc.html>);
//! sway speaks the same (sway-ipc(7)) and adds the PID of each window.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::By;
use super::environment::Environment;
use super::talk::{Talk, is_own_socket};
use super::x11;
use crate::sys::user;

const MAGIC: &[u8; 6] = b"i3-ipc";
const HEADER: usize = MAGIC.len() + 8;

/// The types of messages that are sent here.
const RUN_COMMAND: u32 = 0;
const GET_TREE: u32 = 4;
const GET_VERSION: u32 = 7;

/// Larger than any tree.
const LARGEST: usize = 64 << 20;

/// Where the windows that are put away are; it is shown as a workspace and is none.
const SCRATCHPAD: &str = "__i3_scratch";

/// A window manager that answers.
#[derive(Debug)]
pub(super) struct Manager {
    pub(super) kind: By,
    socket: PathBuf,
    /// Each window that has a known process.
    pub(super) windows: Vec<Window>,
}

/// A window, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// What the window manager calls it.
    container: i64,
    pub(super) title: String,
    /// None for one that is put away.
    pub(super) workspace: Option<String>,
    pub(super) pid: i32,
}

impl Manager {
    /// The window manager at a socket, and its windows now.
    ///
    /// # Errors
    /// When nobody answers there in time, or what is answered makes no sense.
    pub(super) fn at(socket: &Path, environments: &[Environment]) -> io::Result<Self> {
        let mut talk = connect(socket)?;
        let version: Version = answer(&mut talk, GET_VERSION, "")?;
        let kind = if version.variant == "sway" { By::Sway } else { By::I3 };
        let tree: Node = answer(&mut talk, GET_TREE, "")?;
        let mut leaves = Vec::new();
        tree.leaves(None, &mut leaves);
        let x11_windows: Vec<u32> =
            leaves.iter().filter(|leaf| leaf.pid.is_none()).filter_map(|leaf| leaf.x11).collect();
        let mut pids = HashMap::new();
        if !x11_windows.is_empty() {
            // The IDs are those of its own display, which is that of the agent nearly always.
            let own = talk.peer().map(Environment::of).unwrap_or_default();
            pids = x11::pids(std::iter::once(&own).chain(environments), &x11_windows)?;
        }
        let windows = leaves.into_iter().filter_map(|leaf| leaf.window(&pids)).collect();
        Ok(Manager { kind, socket: socket.to_owned(), windows })
    }

    /// Gives a window the focus, and with it the workspace that it is on.
    ///
    /// # Errors
    /// When it is refused, or the window did not get it: what is in full screen may keep it.
    pub(super) fn focus(&self, window: &Window) -> io::Result<()> {
        let mut talk = connect(&self.socket)?;
        run(&mut talk, &format!("[con_id={}] focus", window.container))?;
        let tree: Node = answer(&mut talk, GET_TREE, "")?;
        if tree.focused() == Some(window.container) {
            return Ok(());
        }
        Err(io::Error::other("the window did not get the focus; another one may be in full screen"))
    }

    /// Shows a workspace.
    ///
    /// # Errors
    /// When it is refused.
    pub(super) fn show(&self, workspace: &str) -> io::Result<()> {
        let quoted = workspace.replace('\\', "\\\\").replace('"', "\\\"");
        // Without this option a workspace that is shown already goes to the one before it, where the user has that set.
        run(&mut connect(&self.socket)?, &format!("workspace --no-auto-back-and-forth \"{quoted}\""))
    }
}

/// The sockets of window managers: what the environments say, and the usual places.
pub(super) fn sockets(environments: &[Environment]) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    for environment in environments {
        found.extend(
            ["SWAYSOCK", "I3SOCK"].iter().filter_map(|name| environment.get(name)).map(PathBuf::from),
        );
    }
    for environment in environments {
        let Some(dir) = environment.get("XDG_RUNTIME_DIR").map(Path::new).filter(|dir| dir.is_absolute())
        else {
            continue;
        };
        // `sway-ipc.UID.PID.sock` (sway(1)) and `i3/ipc-socket.PID` (i3(1)).
        let prefix = format!("sway-ipc.{}.", user::uid());
        found.extend(named(dir, &prefix));
        found.extend(named(&dir.join("i3"), "ipc-socket."));
    }
    let mut once: Vec<PathBuf> = Vec::new();
    for path in found {
        if !once.contains(&path) && is_own_socket(&path) {
            once.push(path);
        }
    }
    once
}

/// The files in `dir` whose names begin with `prefix`.
fn named(dir: &Path, prefix: &str) -> Vec<PathBuf> {
    let items = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let wanted = items.filter(|item| item.file_name().as_encoded_bytes().starts_with(prefix.as_bytes()));
    let mut found: Vec<PathBuf> = wanted.map(|item| item.path()).collect();
    found.sort();
    found
}

fn connect(socket: &Path) -> io::Result<Talk> {
    Talk::to(socket, |uid| uid == user::uid())
}

/// Has it run a command.
fn run(talk: &mut Talk, command: &str) -> io::Result<()> {
    let results: Vec<Outcome> = answer(talk, RUN_COMMAND, command)?;
    match results.into_iter().find(|one| !one.success) {
        None => Ok(()),
        Some(one) => Err(io::Error::other(one.error)),
    }
}

fn answer<T: for<'de> Deserialize<'de>>(talk: &mut Talk, kind: u32, payload: &str) -> io::Result<T> {
    let reply = exchange(talk, kind, payload.as_bytes())?;
    serde_json::from_slice(&reply).map_err(|_| io::Error::other("what it answers is not understood"))
}

/// Sends a message and returns what is answered to it.
fn exchange(stream: &mut (impl Read + Write), kind: u32, payload: &[u8]) -> io::Result<Vec<u8>> {
    stream.write_all(&message(kind, payload))?;
    let mut head = [0; HEADER];
    stream.read_exact(&mut head)?;
    let length =
        reply_length(&head, kind).ok_or_else(|| io::Error::other("it does not speak i3's protocol"))?;
    let mut reply = vec![0; length];
    stream.read_exact(&mut reply)?;
    Ok(reply)
}

fn message(kind: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_ne_bytes();
    [MAGIC, &length[..], &kind.to_ne_bytes(), payload].concat()
}

/// How long the reply behind this header is; `None` when it is none to a message of `kind`.
fn reply_length(head: &[u8; HEADER], kind: u32) -> Option<usize> {
    let number = |at: usize| Some(u32::from_ne_bytes(head.get(at..at + 4)?.try_into().ok()?));
    let length = number(MAGIC.len())? as usize;
    (head.starts_with(MAGIC) && number(MAGIC.len() + 4)? == kind && length <= LARGEST).then_some(length)
}

#[derive(Deserialize)]
struct Outcome {
    success: bool,
    #[serde(default)]
    error: String,
}

#[derive(Deserialize)]
struct Version {
    /// sway alone says `sway` here.
    #[serde(default)]
    variant: String,
}

/// What both say of a node of the tree; `pid` is sway's, `window` X11's ID of the window.
#[derive(Deserialize)]
struct Node {
    id: i64,
    #[serde(default)]
    name: Option<String>,
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    window: Option<u32>,
    #[serde(default)]
    pid: Option<i32>,
    #[serde(default)]
    focused: bool,
    #[serde(default)]
    nodes: Vec<Node>,
    #[serde(default)]
    floating_nodes: Vec<Node>,
}

/// A node that is a window.
struct Leaf {
    container: i64,
    title: String,
    workspace: Option<String>,
    pid: Option<i32>,
    x11: Option<u32>,
}

impl Node {
    fn below(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().chain(&self.floating_nodes)
    }

    fn leaves(&self, workspace: Option<&str>, found: &mut Vec<Leaf>) {
        let workspace = match self.kind.as_str() {
            "workspace" => self.name.as_deref().filter(|name| *name != SCRATCHPAD),
            _ => workspace,
        };
        if self.window.is_some() || self.pid.is_some() {
            found.push(Leaf {
                container: self.id,
                title: self.name.clone().unwrap_or_default(),
                workspace: workspace.map(str::to_owned),
                pid: self.pid,
                x11: self.window,
            });
        }
        for node in self.below() {
            node.leaves(workspace, found);
        }
    }

    /// The node that has the focus.
    fn focused(&self) -> Option<i64> {
        if self.focused { Some(self.id) } else { self.below().find_map(Node::focused) }
    }
}

#[cfg(test)]
impl Window {
    pub(super) fn new(pid: i32, workspace: Option<&str>, title: &str) -> Self {
        Window { container: 0, title: title.to_owned(), workspace: workspace.map(str::to_owned), pid }
    }
}

impl Leaf {
    /// It as a window, if its process is known.
    fn window(self, pids: &HashMap<u32, i32>) -> Option<Window> {
        let pid = self.pid.or_else(|| pids.get(&self.x11?).copied())?;
        Some(Window { container: self.container, title: self.title, workspace: self.workspace, pid })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The other side of a connection: what it answers, and what was sent to it.
    struct Other(io::Cursor<Vec<u8>>, Vec<u8>);

    impl Read for Other {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            // In pieces, as a socket may give them.
            let length = buffer.len().min(5);
            self.0.read(&mut buffer[..length])
        }
    }

    impl Write for Other {
        fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
            self.1.write(buffer)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_message_has_length_and_type_and_so_must_its_reply() {
        let ask = |reply: Vec<u8>| {
            let mut other = Other(io::Cursor::new(reply), Vec::new());
            let result = exchange(&mut other, GET_TREE, b"ab");
            assert_eq!(
                other.1,
                [b"i3-ipc".as_slice(), &2_u32.to_ne_bytes(), &4_u32.to_ne_bytes(), b"ab"].concat()
            );
            result.ok()
        };
        assert_eq!(ask(message(GET_TREE, b"{\"id\":1}")), Some(b"{\"id\":1}".to_vec()));
        assert_eq!(ask(message(GET_TREE, b"")), Some(Vec::new()));
        assert_eq!(ask(message(GET_VERSION, b"{}")), None, "the reply to something else");
        assert_eq!(ask(b"HTTP/1.1 400 Bad Request".to_vec()), None);
        assert_eq!(ask(message(GET_TREE, b"cut")[..16].to_vec()), None);
        let mut endless = message(GET_TREE, b"");
        endless[6..10].copy_from_slice(&u32::MAX.to_ne_bytes());
        assert_eq!(ask(endless), None, "nothing is reserved for what cannot be");
    }

    #[test]
    fn windows_are_found_below_their_workspaces_in_both_trees() {
        let tree: Node = serde_json::from_str(
            r#"{"id": 1, "type": "root", "name": "root", "window": null, "focused": false, "nodes": [
                {"id": 2, "type": "output", "nodes": [
                    {"id": 3, "type": "workspace", "name": "__i3_scratch", "floating_nodes": [
                        {"id": 4, "type": "floating_con", "nodes": [{"id": 5, "type": "con", "window": 50, "name": "away"}]}]},
                    {"id": 6, "type": "workspace", "name": "2: web", "nodes": [
                        {"id": 7, "type": "con", "nodes": [
                            {"id": 94714893095520, "type": "con", "name": null, "window": 80, "focused": true}]},
                        {"id": 9, "type": "con", "name": "ours", "pid": 90, "app_id": "foot", "unheard": [1]}]}]}]}"#,
        )
        .unwrap();
        let mut leaves = Vec::new();
        tree.leaves(None, &mut leaves);
        let pids = HashMap::from([(50, 500), (80, 800)]);
        let windows: Vec<Window> = leaves.into_iter().filter_map(|leaf| leaf.window(&pids)).collect();
        let seen: Vec<_> = windows
            .iter()
            .map(|one| (one.container, one.workspace.as_deref(), one.pid, one.title.as_str()))
            .collect();
        assert_eq!(
            seen,
            [
                (5, None, 500, "away"),
                (94_714_893_095_520, Some("2: web"), 800, ""),
                (9, Some("2: web"), 90, "ours")
            ]
        );
        assert_eq!(tree.focused(), Some(94_714_893_095_520));
    }

    /// A window manager that answers each command with `outcome`, and has the focus elsewhere for ever.
    fn stubborn(socket: &Path, outcome: &'static str) {
        let listener = std::os::unix::net::UnixListener::bind(socket).unwrap();
        std::thread::spawn(move || {
            // One connection to look, one to give the focus.
            for _ in 0..2 {
                let (mut stream, _) = listener.accept().unwrap();
                let mut head = [0; HEADER];
                while stream.read_exact(&mut head).is_ok() {
                    let length = u32::from_ne_bytes(head[6..10].try_into().unwrap());
                    let kind = u32::from_ne_bytes(head[10..].try_into().unwrap());
                    stream.read_exact(&mut vec![0; length as usize]).unwrap();
                    let reply = match kind {
                        RUN_COMMAND => outcome,
                        GET_VERSION => r#"{"variant": "sway"}"#,
                        _ => {
                            r#"{"id": 1, "nodes": [{"id": 2, "pid": 20, "name": "a"},
                                {"id": 3, "pid": 30, "focused": true}]}"#
                        }
                    };
                    stream.write_all(&message(kind, reply.as_bytes())).unwrap();
                }
            }
        });
    }

    #[test]
    fn a_focus_that_is_refused_or_not_given_is_no_success() {
        for (outcome, why) in [
            (r#"[{"success": true}]"#, "did not get the focus"),
            (r#"[{"success": false, "error": "no such container"}]"#, "no such container"),
            (r#"{"sense": "none"}"#, "not understood"),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let socket = dir.path().join("s");
            stubborn(&socket, outcome);
            let manager = Manager::at(&socket, &[]).unwrap();
            assert_eq!((manager.kind, manager.windows.len()), (By::Sway, 2));
            let error = manager.focus(&manager.windows[0]).unwrap_err();
            assert!(error.to_string().contains(why), "{error}");
        }
    }
}
