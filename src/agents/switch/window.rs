//! Windows: which one a process is seen in, by its parents, and showing it.

use super::chain::Chain;
use super::environment::Environment;
use super::i3::{self, Manager, Window};
use super::{By, Switched};
use crate::error::{Error, Result};

/// The window managers that answer.
#[derive(Debug, Default)]
pub(super) struct Desk {
    pub(super) managers: Vec<Manager>,
    /// Why others do not.
    pub(super) troubles: Vec<String>,
}

/// Which window it is.
#[derive(Debug, PartialEq, Eq)]
enum Match<'a> {
    None,
    One(&'a Window),
    /// All of one process, which is the terminal of all of them.
    Several(Vec<&'a Window>),
}

impl Desk {
    /// Those that the environments lead to.
    pub(super) fn at(environments: &[Environment]) -> Self {
        let mut desk = Desk::default();
        for socket in i3::sockets(environments) {
            match Manager::at(&socket, environments) {
                Ok(manager) => desk.managers.push(manager),
                // Left behind when it ended.
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {}
                Err(error) => {
                    let why = crate::error::plain(&error);
                    desk.troubles.push(format!("the window manager at {}: {why}", socket.display()));
                }
            }
        }
        desk
    }

    /// The workspace that a process is seen on, if that is certain.
    pub(super) fn workspace(&self, chain: &Chain) -> Option<String> {
        self.managers.iter().find_map(|manager| match pick(&manager.windows, chain) {
            Match::None => None,
            Match::One(window) => window.workspace.clone(),
            Match::Several(windows) => common(&windows).map(str::to_owned),
        })
    }

    /// Gives the window of a process the focus. `None`: it has none here.
    ///
    /// # Errors
    /// When the window manager refuses, or several windows come into question.
    pub(super) fn show(&self, chain: &Chain) -> Result<Option<Switched>> {
        for manager in &self.managers {
            let by = manager.kind;
            let refused = |error: std::io::Error| {
                Error::failed(format!("{by} did not show it: {}", crate::error::plain(&error)))
            };
            let (workspace, remark) = match pick(&manager.windows, chain) {
                Match::None => continue,
                Match::One(window) => {
                    manager.focus(window).map_err(refused)?;
                    // One that was put away comes to the workspace that is shown.
                    (window.workspace.clone(), None)
                }
                Match::Several(windows) => {
                    let workspace = common(&windows).ok_or_else(|| ambiguous(by, chain, &windows))?;
                    manager.show(workspace).map_err(refused)?;
                    (Some(workspace.to_owned()), Some(which(chain, &windows)))
                }
            };
            let place = workspace.clone().unwrap_or_else(|| "scratchpad".into());
            return Ok(Some(Switched { by, place, workspace, attach: None, remark }));
        }
        Ok(None)
    }
}

/// The window of a process: of the nearest parent that has one. Of several the one whose title says the terminal;
/// what else a title says proves nothing.
fn pick<'a>(windows: &'a [Window], chain: &Chain) -> Match<'a> {
    let near = windows.iter().filter_map(|window| chain.distance(window.pid)).min();
    let mut all: Vec<&Window> =
        windows.iter().filter(|window| near.is_some() && chain.distance(window.pid) == near).collect();
    if let (true, Some(tty)) = (all.len() > 1, &chain.tty) {
        let titled: Vec<&Window> = all.iter().copied().filter(|window| says(&window.title, tty)).collect();
        if titled.len() == 1 {
            all = titled;
        }
    }
    match all.as_slice() {
        [] => Match::None,
        [one] => Match::One(one),
        _ => Match::Several(all),
    }
}

/// True when a title names a terminal as a word of its own: `pts/1`, and not `pts/12`.
fn says(title: &str, tty: &str) -> bool {
    title.match_indices(tty).any(|(at, _)| {
        let before = title[..at].strip_suffix("/dev/").unwrap_or(&title[..at]);
        let apart = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '/');
        apart(before.chars().next_back()) && apart(title[at + tty.len()..].chars().next())
    })
}

/// The workspace that all of them are on.
fn common<'a>(windows: &[&'a Window]) -> Option<&'a str> {
    let first = windows.first()?.workspace.as_deref()?;
    windows.iter().all(|window| window.workspace.as_deref() == Some(first)).then_some(first)
}

/// Which windows come into question.
fn which(chain: &Chain, windows: &[&Window]) -> String {
    let titles: Vec<String> = windows
        .iter()
        .map(|window| match &window.workspace {
            Some(workspace) => format!("{:?} on workspace {workspace}", window.title),
            None => format!("{:?}", window.title),
        })
        .collect();
    let host = chain.host.as_ref().map_or("one program", |(_, name)| name);
    format!("{host} shows several windows, and which of them it is cannot be told: {}", titles.join(", "))
}

fn ambiguous(by: By, chain: &Chain, windows: &[&Window]) -> Error {
    let tty = chain.tty.as_deref().unwrap_or("its terminal");
    Error::conflict(format!("{by}: {}", which(chain, windows))).hint(format!(
        "put {tty} into the title of the right one: printf '\\033]2;{tty}\\a' there; or run agents in tmux"
    ))
}

#[cfg(test)]
mod tests {
    use super::super::chain::tests::chain;
    use super::*;

    fn window(pid: i32, workspace: &str, title: &str) -> Window {
        Window::new(pid, Some(workspace), title)
    }

    #[test]
    fn the_window_of_the_nearest_parent_counts() {
        let windows = [
            window(40, "1", "editor"),
            window(20, "2", "shell"),
            window(99, "3", "claude"),
            window(30, "4", "files"),
        ];
        let found = |links: &[(i32, &str)]| match pick(&windows, &chain(links, Some("pts/1"))) {
            Match::One(window) => Some(window.title.as_str()),
            _ => None,
        };
        assert_eq!(found(&[(10, "claude"), (11, "bash"), (20, "xterm"), (30, "files")]), Some("shell"));
        assert_eq!(found(&[(10, "claude"), (40, "code")]), Some("editor"));
        assert_eq!(found(&[(10, "claude"), (11, "bash")]), None);
    }

    #[test]
    fn of_several_windows_only_a_title_with_the_terminal_decides() {
        let links = [(10, "claude"), (20, "foot")];
        let two = |first: &str, second: &str| [window(20, "1", first), window(20, "2", second)];
        let picked = |windows: &[Window], tty| match pick(windows, &chain(&links, tty)) {
            Match::One(window) => window.workspace.clone().unwrap_or_default(),
            Match::Several(windows) => format!("{} {:?}", windows.len(), common(&windows)),
            Match::None => "none".into(),
        };
        assert_eq!(picked(&two("claude", "vim my-api"), Some("pts/1")), "2 None");
        assert_eq!(picked(&two("claude", "on pts/1"), Some("pts/1")), "2");
        assert_eq!(picked(&two("pts/12", "/dev/pts/1: claude"), Some("pts/1")), "2");
        assert_eq!(picked(&two("pts/1", "pts/1"), Some("pts/1")), "2 None");
        assert_eq!(picked(&two("x", "opts/1"), Some("pts/1")), "2 None");
        assert_eq!(picked(&two("x", "pts/1"), None), "2 None");
        let same = [window(20, "7", "a"), window(20, "7", "b")];
        assert_eq!(picked(&same, Some("pts/1")), "2 Some(\"7\")");
        let away = [window(20, "7", "a"), Window::new(20, None, "b")];
        assert_eq!(picked(&away, Some("pts/1")), "2 None");
    }

    #[test]
    fn nothing_is_shown_where_it_may_be_the_wrong_one() {
        let windows = [window(20, "1", "a"), window(20, "2", "b\n")];
        let error = ambiguous(
            By::I3,
            &chain(&[(10, "claude"), (20, "foot")], Some("pts/1")),
            &windows.iter().collect::<Vec<_>>(),
        );
        assert_eq!(
            error.message(),
            "i3: foot shows several windows, and which of them it is cannot be told: \"a\" on workspace 1, \"b\\n\" on workspace 2"
        );
        assert!(error.hint_text().unwrap().contains("pts/1"));
    }
}
