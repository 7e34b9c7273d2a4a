//! Which tree a process belongs to by the marker in its environment, and the trees so found (design.md section 10).

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::Table;
use crate::model::{Identity, Pid};
use crate::sys::process::{self, Process};
use crate::sys::{reaper, user};

/// The processes of this user by the marker in their environment, `TSM_SOCKET`: children inherit it through sessions
/// and double forks. Neither zombies nor the calling process, which may stand inside such a tree.
#[derive(Debug, Default)]
pub struct Marks(BTreeMap<Vec<u8>, Vec<Identity>>);

impl Marks {
    /// Reads the environment of every process in `table`.
    pub fn of(table: &Table) -> Marks {
        let own = std::process::id() as i32;
        let mut marks: BTreeMap<Vec<u8>, Vec<Identity>> = BTreeMap::new();
        for process in table.processes() {
            if process.is_dead() || process.pid.get() == own {
                continue;
            }
            let Ok(environ) = process::environ(process.pid) else { continue };
            // Only root may read the environment of others at all, so the second is asked of few.
            if let Some(socket) = mark(&environ).filter(|_| process::owner(process.pid) == Some(user::uid()))
            {
                marks.entry(socket.to_vec()).or_default().push(process.identity());
            }
        }
        Marks(marks)
    }

    /// Those whose marker is exactly `socket`.
    pub fn by(&self, socket: &Path) -> &[Identity] {
        self.0.get(socket.as_os_str().as_bytes()).map_or(&[], Vec::as_slice)
    }

    /// The sockets that there are.
    pub fn sockets(&self) -> impl Iterator<Item = &Path> {
        self.0.keys().map(|socket| Path::new(OsStr::from_bytes(socket)))
    }
}

/// The value of `TSM_SOCKET` in `environ` (each entry ended by a NUL).
fn mark(environ: &[u8]) -> Option<&[u8]> {
    environ.split(|&byte| byte == 0).find_map(|entry| entry.strip_prefix(b"TSM_SOCKET="))
}

/// The living processes below `supervisor`, parents before their children.
///
/// Where orphans do not come back to the supervisor (macOS), those are found by their marker.
pub fn supervised_tree(supervisor: Pid, socket: &str) -> Vec<Process> {
    if reaper::INHERITS_ORPHANS {
        return Table::below(&[supervisor]).descendants(supervisor).into_iter().cloned().collect();
    }
    let table = Table::all();
    let mut tree: Vec<Process> = table.descendants(supervisor).into_iter().cloned().collect();
    for identity in Marks::of(&table).by(Path::new(socket)) {
        let known = identity.pid == supervisor || tree.iter().any(|process| process.pid == identity.pid);
        tree.extend(table.get(identity.pid).filter(|_| !known).cloned());
    }
    tree
}

/// The tree of a process whose supervisor is gone: the recorded main process, when that very one still runs in the same
/// boot; everything marked with its control socket; and everything below those. Each process once, no zombies, not the
/// calling process.
pub fn orphan_tree(main: Option<&Identity>, same_boot: bool, socket: &str) -> Vec<Process> {
    let table = Table::all();
    let main = main.filter(|_| same_boot);
    tree_of(&table, main, Marks::of(&table).by(Path::new(socket)))
}

/// The trees of `main`, if that very process is alive, and of `marked`.
pub(super) fn tree_of(table: &Table, main: Option<&Identity>, marked: &[Identity]) -> Vec<Process> {
    let main = main.filter(|main| table.is_alive(main));
    let roots: Vec<Pid> = main.into_iter().chain(marked).map(|identity| identity.pid).collect();
    let own = std::process::id() as i32;
    union(table, &roots).into_iter().filter(|process| process.pid.get() != own).cloned().collect()
}

/// The oldest of these processes.
pub fn oldest(tree: &[Process]) -> Option<Identity> {
    tree.iter().min_by_key(|process| (process.start, process.pid)).map(Process::identity)
}

/// The trees of `roots`, each process once.
fn union<'a>(table: &'a Table, roots: &[Pid]) -> Vec<&'a Process> {
    let mut seen = HashSet::new();
    roots.iter().flat_map(|&root| table.tree(root)).filter(|process| seen.insert(process.pid)).collect()
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::super::table::tests::process as made;
    use super::*;

    /// A shell with a `cat` below it that has no environment; both end with the shell's standard input.
    struct Shell(Child);

    impl Shell {
        fn start(socket: &str) -> Shell {
            use std::io::{BufRead, BufReader};
            let script = "exec 3<&0; env -i cat <&3 >/dev/null & echo started; wait";
            let mut child = Command::new("sh")
                .args(["-c", script])
                .env("TSM_SOCKET", socket)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut line = String::new();
            BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
            assert_eq!(line, "started\n");
            Shell(child)
        }

        fn pid(&self) -> Pid {
            Pid::new(self.0.id() as i32).unwrap()
        }
    }

    impl Drop for Shell {
        fn drop(&mut self) {
            drop(self.0.stdin.take());
            let _ = self.0.wait();
        }
    }

    #[test]
    fn a_marked_process_is_found_with_what_is_below_it() {
        let socket = format!("/tmp/tsm-test-{}/control.sock", std::process::id());
        let shell = Shell::start(&socket);
        let identity = process::read(shell.pid()).unwrap().identity();
        let marks = Marks::of(&Table::all());
        assert!(marks.by(Path::new(&socket)).contains(&identity));
        assert!(marks.sockets().any(|one| one == Path::new(&socket)));
        for near in [&socket[1..], &socket[..socket.len() - 1], &format!("{socket}x"), ""] {
            assert!(!marks.by(Path::new(near)).contains(&identity), "{near}");
        }

        let by_mark = orphan_tree(None, true, &socket);
        let by_main = orphan_tree(Some(&identity), true, "/nowhere");
        for tree in [&by_mark, &by_main] {
            assert!(tree.iter().any(|process| process.pid == shell.pid()));
            assert!(tree.iter().any(|process| process.ppid == shell.pid().get()), "{tree:?}");
        }
    }

    #[test]
    fn a_recorded_process_of_another_time_is_nobody() {
        let shell = Shell::start("/nowhere/else");
        let identity = process::read(shell.pid()).unwrap().identity();
        let earlier = Identity { start: identity.start - 1, ..identity };
        for (main, same_boot) in [(None, true), (Some(&earlier), true), (Some(&identity), false)] {
            assert_eq!(orphan_tree(main, same_boot, "/nowhere"), [], "{main:?} {same_boot}");
        }
    }

    #[test]
    fn trees_that_overlap_are_listed_once() {
        let table =
            Table::new(vec![made(10, 1, 'S'), made(20, 10, 'S'), made(30, 20, 'S'), made(40, 1, 'S')]);
        let roots = [20, 10, 40, 20].map(|pid| Pid::new(pid).unwrap());
        let found: Vec<i32> = union(&table, &roots).iter().map(|process| process.pid.get()).collect();
        assert_eq!(found, [20, 30, 10, 40]);
    }

    #[test]
    fn the_marker_is_a_whole_entry() {
        for (environ, found) in [
            (&b"A=1\0TSM_SOCKET=/s\0"[..], Some(&b"/s"[..])),
            (b"TSM_SOCKET=/s", Some(b"/s")),
            (b"XTSM_SOCKET=/s\0", None),
            (b"TSM_SOCKET=/s2\0TSM_SOCKET=/s\0", Some(b"/s2")),
            (b"A=TSM_SOCKET=/s\0", None),
            (b"", None),
        ] {
            assert_eq!(mark(environ), found, "{environ:?}");
        }
    }
}
