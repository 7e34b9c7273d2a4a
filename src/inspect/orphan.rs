//! The processes that a dead supervisor left behind (design.md section 10).

use std::collections::HashSet;

use super::Table;
use crate::model::{Identity, Pid};
use crate::sys::process::{self, Process};
use crate::sys::{reaper, user};

/// Every process of this user whose environment has exactly `TSM_SOCKET=socket`: the marker that children inherit
/// through sessions and double forks. Neither zombies nor the calling process, which may stand inside such a tree.
pub fn marked(socket: &str, table: &Table) -> Vec<Identity> {
    let marker = format!("TSM_SOCKET={socket}");
    let own = std::process::id() as i32;
    table
        .processes()
        .iter()
        .filter(|process| !process.is_dead() && process.pid.get() != own)
        .filter(|process| process::environ(process.pid).is_ok_and(|environ| has(&environ, marker.as_bytes())))
        // Only root may read the environment of others at all, so this is asked of few.
        .filter(|process| process::owner(process.pid) == Some(user::uid()))
        .map(Process::identity)
        .collect()
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
    for identity in marked(socket, &table) {
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
    let main = main.filter(|main| same_boot && table.is_alive(main)).copied();
    let roots: Vec<Pid> =
        main.into_iter().chain(marked(socket, &table)).map(|identity| identity.pid).collect();
    let own = std::process::id() as i32;
    union(&table, &roots).into_iter().filter(|process| process.pid.get() != own).cloned().collect()
}

/// The trees of `roots`, each process once.
fn union<'a>(table: &'a Table, roots: &[Pid]) -> Vec<&'a Process> {
    let mut seen = HashSet::new();
    roots.iter().flat_map(|&root| table.tree(root)).filter(|process| seen.insert(process.pid)).collect()
}

/// True when `environ` (each entry ended by a NUL) has exactly this entry.
fn has(environ: &[u8], entry: &[u8]) -> bool {
    environ.split(|&byte| byte == 0).any(|one| one == entry)
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
        assert!(marked(&socket, &Table::all()).contains(&identity));
        for near in [&socket[1..], &socket[..socket.len() - 1], &format!("{socket}x"), ""] {
            assert!(!marked(near, &Table::all()).contains(&identity), "{near}");
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
            (&b"A=1\0TSM_SOCKET=/s\0"[..], true),
            (b"TSM_SOCKET=/s", true),
            (b"XTSM_SOCKET=/s\0", false),
            (b"TSM_SOCKET=/s2\0", false),
            (b"A=TSM_SOCKET=/s\0", false),
            (b"", false),
        ] {
            assert_eq!(has(environ, b"TSM_SOCKET=/s"), found, "{environ:?}");
        }
    }
}
