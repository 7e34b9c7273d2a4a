//! Panes of tmux: in which one a process sits, and bringing that one forward.
//!
//! Everything is named by IDs (`$1`, `@2`, `%3`), because names may hold anything and need not be unique.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use super::chain::Chain;
use super::environment::Environment;
use super::talk::{PATIENCE, Talk, is_own_socket};
use crate::model::Pid;
use crate::sys::{capture, process, user};

/// What is asked of each pane. A pane of a window that several sessions share comes once for each of them.
const PANE: &str = "p #{pane_pid} #{pane_tty} #{pane_id} #{pane_index} #{pane_active} #{window_id} #{window_index} \
    #{window_active} #{session_id} #{session_activity} #{session_name}";

/// What is asked of each client.
const CLIENT: &str = "c #{client_pid} #{client_activity} #{session_id} #{client_name}";

/// Programs that run others at a terminal of their own, and show it at theirs.
const RECORDERS: [&str; 5] = ["script", "expect", "unbuffer", "asciinema", "ttyrec"];

/// A server, and what it showed at one moment.
#[derive(Debug)]
pub(super) struct Server {
    socket: PathBuf,
    program: OsString,
    path: Option<OsString>,
    panes: Vec<Pane>,
    clients: Vec<Client>,
}

/// A pane, as one session shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pane {
    pid: i32,
    tty: String,
    id: String,
    index: String,
    active: bool,
    window: String,
    window_index: String,
    window_active: bool,
    session: String,
    activity: u64,
    session_name: String,
}

/// A terminal that shows a session.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Client {
    pid: i32,
    activity: u64,
    session: String,
    name: String,
}

/// What is to be done to bring a pane forward.
#[derive(Debug, PartialEq, Eq)]
struct Plan<'a> {
    /// The pane, as the session shows it that is to be seen.
    pane: &'a Pane,
    /// Who is to see it; none where nobody is attached.
    client: Option<&'a Client>,
    /// True when that is the caller's own client.
    callers: bool,
}

/// What was brought forward.
#[derive(Debug)]
pub(super) struct Shown {
    /// `SESSION:WINDOW.PANE`, as tmux writes it.
    pub(super) place: String,
    /// The terminal that shows it now.
    pub(super) client: Option<Pid>,
    /// True when that is the caller's own.
    pub(super) callers: bool,
    /// Without such a terminal: the words of the command that makes one.
    pub(super) attach: Option<Vec<String>>,
}

impl Server {
    /// The server at a socket, asked for its panes and clients.
    ///
    /// # Errors
    /// Why there is no answer, in words; `None` for the socket of a server that runs no more.
    pub(super) fn at(socket: &Path, ours: &Environment) -> Result<Self, Option<String>> {
        let talk = Talk::to(socket, |uid| uid == user::uid()).map_err(|error| match error.kind() {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => None,
            _ => Some(crate::error::plain(&error)),
        })?;
        // The server's own program: another version may not speak its protocol.
        let own = talk.peer().and_then(process::exe).filter(|path| path.is_file());
        let mut server = Server {
            socket: socket.to_owned(),
            program: own.map_or_else(|| "tmux".into(), PathBuf::into_os_string),
            path: ours.get("PATH").map(OsStr::to_owned),
            panes: Vec::new(),
            clients: Vec::new(),
        };
        let listed =
            server.run(&["list-panes", "-a", "-F", PANE, ";", "list-clients", "-F", CLIENT]).map_err(Some)?;
        server.panes = listed.lines().filter_map(pane).collect();
        server.clients = listed.lines().filter_map(client).collect();
        Ok(server)
    }

    /// True when that process sits in one of its panes.
    pub(super) fn has(&self, chain: &Chain) -> bool {
        find(&self.panes, chain).is_some()
    }

    /// The process of the terminal that shows the session with the pane of a process.
    pub(super) fn seen_by(&self, chain: &Chain) -> Option<Pid> {
        let Plan { pane, client, .. } = plan(&self.panes, &self.clients, find(&self.panes, chain)?, None)?;
        Pid::new(client.filter(|client| client.session == pane.session)?.pid)
    }

    /// Brings the pane of a process forward, for the caller if that sits in this server as well.
    ///
    /// # Errors
    /// Why tmux refused, in its words.
    pub(super) fn show(&self, chain: &Chain, caller: Option<&Chain>) -> Result<Shown, String> {
        let caller = caller.and_then(|caller| find(&self.panes, caller));
        let gone = || "its pane is gone".to_owned();
        let wanted = find(&self.panes, chain).ok_or_else(gone)?;
        let Plan { pane, client, callers } =
            plan(&self.panes, &self.clients, wanted, caller).ok_or_else(gone)?;
        let window = format!("{}:{}", pane.session, pane.window);
        self.run(&["select-window", "-t", &window])?;
        if !pane.active {
            // A window in which another pane fills the screen goes on to be filled, by this one (tmux 3.1).
            self.run(&["select-pane", "-Z", "-t", &pane.id])
                .or_else(|_| self.run(&["select-pane", "-t", &pane.id]))?;
        }
        if let Some(client) = client.filter(|client| client.session != pane.session) {
            self.run(&["switch-client", "-c", &client.name, "-t", &pane.session])?;
        }
        Ok(Shown {
            place: format!("{}:{}.{}", pane.session_name, pane.window_index, pane.index),
            client: client.and_then(|client| Pid::new(client.pid)),
            callers,
            attach: client.is_none().then(|| {
                let socket = self.socket.to_string_lossy();
                ["tmux", "-S", &socket, "attach", "-t", &pane.session].map(str::to_owned).to_vec()
            }),
        })
    }

    /// What tmux prints for a command.
    fn run(&self, words: &[&str]) -> Result<String, String> {
        // `-u`: a client that is not known to take UTF-8 gets underscores instead.
        let mut argv: Vec<OsString> =
            [&self.program, OsStr::new("-u"), OsStr::new("-S"), self.socket.as_os_str()]
                .map(OsStr::to_owned)
                .into();
        argv.extend(words.iter().map(OsString::from));
        let env: Vec<(OsString, OsString)> =
            self.path.iter().map(|path| ("PATH".into(), path.clone())).collect();
        let ran = capture::run(&argv, &env, Path::new("/"), PATIENCE)
            .map_err(|error| {
                format!("cannot run {}: {}", self.program.display(), crate::error::plain(&error))
            })?
            .ok_or_else(|| format!("it does not answer within {} s", PATIENCE.as_secs()))?;
        if ran.code == Some(0) {
            return Ok(String::from_utf8_lossy(&ran.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&ran.stderr);
        Err(said.lines().next().map_or_else(|| format!("{} failed", words[0]), str::to_owned))
    }
}

/// The sockets of servers: those that the parents were started with and the environments say, and all in the usual
/// directory.
pub(super) fn sockets<'a>(
    chains: impl IntoIterator<Item = &'a Chain>,
    environments: &[Environment],
) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = environments.iter().filter_map(named).collect();
    let servers = chains.into_iter().flat_map(Chain::servers);
    found.extend(servers.filter_map(|server| asked(&process::argv(server))));
    for environment in environments {
        // Where tmux makes sockets (tmux(1), -L).
        let parent = environment.get("TMUX_TMPDIR").unwrap_or(OsStr::new("/tmp"));
        let dir = Path::new(parent).join(format!("tmux-{}", user::uid()));
        let items = std::fs::read_dir(&dir).into_iter().flatten().flatten();
        let mut paths: Vec<PathBuf> = items.map(|item| item.path()).collect();
        paths.sort();
        found.extend(paths);
    }
    let mut once: Vec<PathBuf> = Vec::new();
    for path in found {
        if !once.contains(&path) && is_own_socket(&path) {
            once.push(path);
        }
    }
    once
}

/// The socket that `TMUX` names: `SOCKET,PID,SESSION`. It may be an inherited one, of a server that runs no more.
fn named(environment: &Environment) -> Option<PathBuf> {
    let value = environment.get("TMUX")?.to_str()?;
    value.rsplitn(3, ',').nth(2).map(PathBuf::from)
}

/// The socket that a command line of tmux asks for (tmux(1), -S).
fn asked(argv: &[String]) -> Option<PathBuf> {
    let at = argv.iter().position(|word| word.starts_with("-S"))?;
    let path =
        argv[at].strip_prefix("-S").filter(|path| !path.is_empty()).or(argv.get(at + 1).map(String::as_str));
    path.map(PathBuf::from).filter(|path| path.is_absolute())
}

/// A line of [`PANE`].
fn pane(line: &str) -> Option<Pane> {
    let mut words = line.strip_prefix("p ")?.splitn(11, ' ');
    let mut next = || words.next().map(str::to_owned);
    Some(Pane {
        pid: next()?.parse().ok()?,
        tty: next()?,
        id: next()?,
        index: next()?,
        active: next()? == "1",
        window: next()?,
        window_index: next()?,
        window_active: next()? == "1",
        session: next()?,
        activity: next()?.parse().unwrap_or(0),
        session_name: next()?,
    })
}

/// A line of [`CLIENT`].
fn client(line: &str) -> Option<Client> {
    let mut words = line.strip_prefix("c ")?.splitn(4, ' ');
    Some(Client {
        pid: words.next()?.parse().ok()?,
        activity: words.next()?.parse().unwrap_or(0),
        session: words.next()?.to_owned(),
        name: words.next()?.to_owned(),
    })
}

/// The pane in which a process sits: the one that is its terminal, or where a program shows that terminal which runs it at
/// one of its own. `TMUX_PANE` is not asked, nor are parents alone: a window that was started in a pane has both.
fn find<'a>(panes: &'a [Pane], chain: &Chain) -> Option<&'a Pane> {
    let tty = chain.tty.as_deref()?;
    let by_terminal = panes.iter().find(|pane| pane.tty.strip_prefix("/dev/") == Some(tty));
    let by_parents = || {
        let is_shown = chain.host.as_ref().is_some_and(|(_, name)| RECORDERS.contains(&name.as_str()));
        let near = panes.iter().filter_map(|pane| Some((chain.distance(pane.pid)?, pane)));
        near.filter(|_| is_shown).min_by_key(|(distance, _)| *distance).map(|(_, pane)| pane)
    };
    by_terminal.or_else(by_parents)
}

/// Which session is to show `wanted`, and to whom.
///
/// A caller in this server sees it in their own client. Else a client that shows its session is best, because nothing
/// else has to give way; then the one that was used last.
fn plan<'a>(
    panes: &'a [Pane],
    clients: &'a [Client],
    wanted: &Pane,
    caller: Option<&Pane>,
) -> Option<Plan<'a>> {
    let shows: Vec<&Pane> = panes.iter().filter(|pane| pane.id == wanted.id).collect();
    let latest = |fits: &dyn Fn(&Client) -> bool| {
        clients.iter().filter(|client| fits(client)).max_by_key(|client| client.activity)
    };
    let in_session = |client: &Client, pane: &Pane| client.session == pane.session;
    let own = caller.and_then(|caller| {
        let sessions: Vec<&Pane> = panes.iter().filter(|pane| pane.id == caller.id).collect();
        let seen =
            |client: &Client| sessions.iter().any(|pane| pane.window_active && in_session(client, pane));
        latest(&seen).or_else(|| latest(&|client| sessions.iter().any(|pane| in_session(client, pane))))
    });
    let client = own
        .or_else(|| latest(&|client| shows.iter().any(|pane| pane.window_active && in_session(client, pane))))
        .or_else(|| latest(&|client| shows.iter().any(|pane| in_session(client, pane))))
        .or_else(|| latest(&|_| true));
    let at_hand = client.and_then(|client| shows.iter().copied().find(|pane| in_session(client, pane)));
    let pane = at_hand.or_else(|| shows.iter().copied().max_by_key(|pane| pane.activity))?;
    Some(Plan { pane, client, callers: own.is_some() })
}

#[cfg(test)]
mod tests {
    use super::super::chain::tests::chain;
    use super::*;

    /// Two sessions: `$0` shows `@0` (with `%0` and `%1`) and not `@1`, which it shares with `$1`; `$2` is by itself.
    const PANES: &str = "\
p 100 /dev/pts/1 %0 0 1 @0 0 1 $0 50 a b: c
p 110 /dev/pts/2 %1 1 0 @0 0 1 $0 50 a b: c
p 120 /dev/pts/3 %2 0 1 @1 1 0 $0 50 a b: c
p 120 /dev/pts/3 %2 0 1 @1 7 1 $1 90 other
p 130 /dev/pts/4 %3 0 1 @2 0 1 $2 10 third
";

    fn panes() -> Vec<Pane> {
        PANES.lines().filter_map(pane).collect()
    }

    fn clients(lines: &[&str]) -> Vec<Client> {
        lines.iter().map(|line| client(line).unwrap()).collect()
    }

    #[test]
    fn a_line_is_read_to_its_end_and_nonsense_is_passed_over() {
        let panes = panes();
        assert_eq!(panes.len(), 5);
        assert_eq!((panes[0].session_name.as_str(), panes[3].window_index.as_str()), ("a b: c", "7"));
        for line in ["", "p", "p x", "c 1 2 $0 /dev/pts/9", "p 1 2 3 4 5", "no server running"] {
            assert_eq!(pane(line), None, "{line:?}");
        }
        // A client that is about to attach has no session yet.
        assert_eq!(
            client("c 7 5  client-7").map(|one| (one.session, one.name)),
            Some((String::new(), "client-7".into()))
        );
        assert_eq!(client("c 7"), None);
    }

    #[test]
    fn a_pane_is_found_by_its_terminal_and_by_parents_only_where_it_shows_what_they_run() {
        let panes = panes();
        let id = |links: &[(i32, &str)], tty| find(&panes, &chain(links, tty)).map(|pane| pane.id.as_str());
        assert_eq!(id(&[(5, "claude")], Some("pts/2")), Some("%1"));
        assert_eq!(id(&[(5, "claude"), (130, "bash"), (100, "bash")], Some("pts/2")), Some("%1"));
        assert_eq!(id(&[(5, "claude")], Some("pts/22")), None);
        // An xterm that was started in a pane has a window of its own; `script` shows what it runs where it is.
        assert_eq!(id(&[(5, "claude"), (6, "bash"), (130, "xterm")], Some("pts/22")), None);
        assert_eq!(id(&[(5, "claude"), (130, "script")], Some("pts/22")), Some("%3"));
        // Without a terminal it is seen nowhere.
        assert_eq!(id(&[(130, "claude"), (9, "tmux: server")], None), None);
    }

    #[test]
    fn the_caller_sees_it_in_their_own_terminal_and_else_who_shows_it_or_was_here_last() {
        let panes = panes();
        let [a, shared, third] = [0, 2, 4].map(|at: usize| &panes[at]);
        let check = |wanted: &Pane, caller, lines: &[&str], expected: (&str, Option<i32>, bool)| {
            let clients = clients(lines);
            let plan = plan(&panes, &clients, wanted, caller).unwrap();
            assert_eq!((plan.pane.session.as_str(), plan.client.map(|one| one.pid), plan.callers), expected);
        };
        let (zero, one, two) = ("c 1 30 $0 /dev/pts/11", "c 2 20 $1 /dev/pts/12", "c 3 10 $2 /dev/pts/13");
        let all = [zero, one, two];
        // The caller's, even where another one shows it, and was used later.
        check(a, Some(third), &all, ("$0", Some(3), true));
        // A caller's pane that only a session shows which nobody has before them.
        check(third, Some(a), &[one, two], ("$2", Some(3), false));
        check(a, None, &all, ("$0", Some(1), false));
        check(third, None, &all, ("$2", Some(3), false));
        // In the current window of `$1`, and behind another one in `$0`.
        check(shared, None, &all, ("$1", Some(2), false));
        check(shared, None, &[zero, two], ("$0", Some(1), false));
        // In the session that is at hand already, rather than in the one that was used last.
        check(shared, Some(a), &all, ("$0", Some(1), true));
        check(shared, None, &[two], ("$1", Some(3), false));
        check(shared, None, &[], ("$1", None, false));
        // Of two that show the same the one that was used last.
        check(a, None, &["c 8 1 $0 x", "c 9 2 $0 y", two], ("$0", Some(9), false));
    }

    #[test]
    fn a_server_that_was_started_with_a_socket_says_which() {
        let asked = |line: &str| {
            let argv: Vec<String> = line.split(' ').map(str::to_owned).collect();
            asked(&argv).and_then(|path| path.to_str().map(str::to_owned))
        };
        assert_eq!(asked("tmux -u -S /a/b new-session -d").as_deref(), Some("/a/b"));
        assert_eq!(asked("tmux -S/a/b").as_deref(), Some("/a/b"));
        for line in ["tmux new", "tmux -S", "tmux -S b new", "tmux -L b new"] {
            assert_eq!(asked(line), None, "{line}");
        }
    }

    #[test]
    fn a_socket_is_all_before_the_last_two_commas() {
        let named = |value: &str| {
            let environment = Environment::new(|name| (name == "TMUX").then(|| value.into()));
            named(&environment).and_then(|path| path.to_str().map(str::to_owned))
        };
        assert_eq!(named("/tmp/tmux-0/default,12,0").as_deref(), Some("/tmp/tmux-0/default"));
        assert_eq!(named("/tmp/a,b,12,0").as_deref(), Some("/tmp/a,b"));
        assert_eq!(named("x"), None);
    }
}
