//! Stopping: nothing of a tree survives it, and what had to be killed is said.

use std::process::{Child, Stdio};

use crate::kit::{User, eventually, free_port, is_alive, kill, text};

/// A leader with a child, a grandchild, one that left by setsid and a double fork, and one without any environment.
const FAMILY: &str = "sleep 600 & (sleep 601 & wait) & setsid -f sleep 602; setsid -f env -i sleep 603; \
    echo $$ >leader; wait";

/// Ends on TERM itself, and has a child that does not care.
const STUBBORN_CHILD: &str =
    "bash -c 'trap \"\" TERM; echo $$ >stubborn; while :; do sleep 0.1; done' & exec sleep 600";

/// Starts bash with `script` as the process `name`.
fn start(user: &User, name: &str, options: &[&str], script: &str) {
    let words =
        [&["start", "--name", name, "--kind", "pid"], options, &["--", "bash", "-c", script]].concat();
    user.ok(&words);
}

/// The number that a program wrote into a file of the working directory.
fn written(user: &User, file: &str) -> i32 {
    let path = user.cwd().join(file);
    eventually(&format!("{file} is written"), || text(&path).ends_with('\n'));
    text(&path).trim().parse().unwrap()
}

/// The PIDs of a tree as `/proc` has it now: everything below `root`.
fn below(root: i32) -> Vec<(i32, String)> {
    let mut all = Vec::new();
    for item in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = item.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        let stat = text(&item.path().join("stat"));
        let parent =
            stat.rsplit(')').next().unwrap_or("").split_whitespace().nth(1).unwrap_or("0").to_owned();
        all.push((
            pid,
            parent.parse::<i32>().unwrap(),
            text(&item.path().join("cmdline")).replace('\0', " "),
        ));
    }
    let mut found: Vec<(i32, String)> = Vec::new();
    let mut parents = vec![root];
    while let Some(parent) = parents.pop() {
        for (pid, _, command) in all.iter().filter(|(_, of, _)| *of == parent) {
            found.push((*pid, command.clone()));
            parents.push(*pid);
        }
    }
    found
}

fn sleeps(tree: &[(i32, String)]) -> usize {
    tree.iter().filter(|(_, command)| command.starts_with("sleep 60")).count()
}

/// A `tsm` that goes on beside the test.
fn aside(user: &User, args: &[&str]) -> Child {
    user.tsm_command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn the_whole_tree_ends_wherever_its_members_went() {
    for verb in ["stop", "kill", "delete"] {
        let user = User::new();
        start(&user, "family", &[], FAMILY);
        let supervisor = user.supervisor("family");
        eventually("the family is complete", || sleeps(&below(supervisor)) == 4);
        let tree = below(supervisor);
        user.ok(&[verb, "family"]);
        let left: Vec<_> = tree.iter().filter(|(pid, _)| is_alive(*pid)).collect();
        assert!(left.is_empty(), "{verb} left {left:?}");
        assert_eq!(user.alive(), [], "{verb}");
    }
}

#[test]
fn a_child_that_ignores_the_signal_is_waited_for_then_killed_and_named() {
    let user = User::new();
    start(&user, "stubborn", &["--stop-timeout", "300ms"], STUBBORN_CHILD);
    let child = written(&user, "stubborn");
    let stopped = user.ok(&["stop", "stubborn"]).says("Stopped: stubborn");
    assert!(stopped.stdout.contains(&format!("had to kill PID {child}: bash -c trap")), "{stopped:?}");
    assert!(!is_alive(child), "stop returned while a child was alive");
    assert_eq!(user.alive(), []);
    let info = user.view("stubborn");
    assert_eq!((info["status"].as_str(), info["pid"].as_i64()), (Some("stopped"), None));
}

#[test]
fn what_had_to_be_killed_is_in_the_json_too() {
    let user = User::new();
    start(&user, "stubborn", &["--stop-timeout", "200ms"], STUBBORN_CHILD);
    let child = written(&user, "stubborn");
    let done = user.json(&["stop", "stubborn"]);
    assert_eq!(done[0]["done"], "stopped", "{done}");
    let killed = done[0]["killed"].as_array().unwrap();
    assert!(killed.iter().any(|one| one["pid"].as_i64() == Some(i64::from(child))), "{done}");
}

#[test]
fn a_stop_waits_for_its_timeout_and_only_the_leader_gets_no_kill() {
    let user = User::new();
    // It needs a moment after TERM, but ends by itself.
    start(
        &user,
        "slow",
        &[],
        "trap 'sleep 0.5; echo bye; exit 0' TERM; echo $$ >up; while :; do sleep 0.05; done",
    );
    written(&user, "up");
    let stopped = user.ok(&["stop", "slow"]);
    assert!(!stopped.stdout.contains("had to kill"), "{stopped:?}");
    assert!(text(&user.log("slow")).contains("bye\n"));
}

#[test]
fn the_stop_signal_is_the_chosen_one() {
    let user = User::new();
    let script = "trap 'echo int >got; exit 0' INT; trap 'echo term >got; exit 0' TERM; echo $$ >up; \
        while :; do sleep 0.05; done";
    start(&user, "chooser", &["--stop-signal", "INT"], script);
    written(&user, "up");
    user.ok(&["stop", "chooser"]);
    assert_eq!(text(&user.cwd().join("got")), "int\n");
    user.ok(&["start", "--name", "usual", "--kind", "pid", "--", "bash", "-c", script]);
    eventually("the second one is up", || {
        text(&user.cwd().join("up")).trim() == user.pid("usual").to_string()
    });
    user.ok(&["stop", "usual"]);
    assert_eq!(text(&user.cwd().join("got")), "term\n");
}

#[test]
fn a_halted_program_is_stopped_in_order() {
    let user = User::new();
    start(
        &user,
        "halted",
        &["--stop-timeout", "50s"],
        "trap 'echo bye; exit 0' TERM; echo $$ >up; while :; do sleep 0.05; done",
    );
    let pid = written(&user, "up");
    kill(pid, "STOP");
    let stopped = user.ok(&["stop", "halted"]);
    assert!(!stopped.stdout.contains("had to kill"), "{stopped:?}");
    assert!(text(&user.log("halted")).contains("bye\n"), "it could say good-bye");
}

#[test]
fn stop_of_what_is_stopped_is_done_already() {
    let user = User::new();
    start(&user, "twice", &[], "exec sleep 600");
    user.ok(&["stop", "twice"]).says("Stopped");
    user.ok(&["stop", "twice"]).says("Already stopped");
    user.ok(&["kill", "twice"]).says("Already stopped");
    user.tsm(&["stop", "nobody"]).code(4);
}

#[test]
fn kill_does_not_wait_for_grace() {
    let user = User::new();
    // The limit of the kit is a minute: a kill that waited for this grace would fail it.
    start(&user, "deaf", &["--stop-timeout", "1h"], "trap '' TERM; echo $$ >up; while :; do sleep 0.1; done");
    let pid = written(&user, "up");
    user.ok(&["kill", "deaf"]).says("Killed: deaf");
    assert!(!is_alive(pid));
    assert_eq!(user.state("deaf"), "stopped");
}

#[test]
fn a_kill_cuts_a_stop_short() {
    let user = User::new();
    start(&user, "deaf", &["--stop-timeout", "1h"], "trap '' TERM; echo $$ >up; while :; do sleep 0.1; done");
    let pid = written(&user, "up");
    let mut stop = aside(&user, &["stop", "deaf"]);
    user.until_state("deaf", "stopping");
    user.ok(&["kill", "deaf"]);
    assert!(!is_alive(pid));
    let mut code = None;
    eventually("the waiting stop ends", || {
        code = stop.try_wait().unwrap();
        code.is_some()
    });
    assert!(code.unwrap().success());
}

#[test]
fn a_tree_that_goes_on_forking_is_ended() {
    let user = User::new();
    let script = "trap '' TERM; echo $$ >up; while :; do (trap '' TERM; sleep 5; sleep 5) & sleep 0.01; done";
    start(&user, "breeder", &["--stop-timeout", "200ms"], script);
    written(&user, "up");
    user.ok(&["stop", "breeder"]).says("had to kill");
    assert_eq!(user.alive(), []);
}

#[test]
fn twenty_are_stopped_at_once() {
    let user = User::new();
    for at in 0..20 {
        start(&user, &format!("many-{at}"), &[], "sleep 600 & sleep 600");
    }
    let stopped = user.ok(&["stop", "many-*"]);
    assert_eq!(stopped.stdout.matches("Stopped: ").count(), 20, "{stopped:?}");
    assert_eq!(user.alive(), []);
    let all = user.json(&["list", "all"]);
    assert!(all.as_array().unwrap().iter().all(|view| view["status"] == "stopped"), "{all}");
}

#[test]
fn the_supervisor_takes_term_for_a_stop() {
    let user = User::new();
    start(&user, "direct", &[], FAMILY);
    let supervisor = user.supervisor("direct");
    eventually("the family is complete", || sleeps(&below(supervisor)) == 4);
    kill(supervisor, "TERM");
    user.until_state("direct", "stopped");
    eventually("the supervisor is gone", || !is_alive(supervisor));
    assert_eq!(user.alive(), []);
}

#[test]
fn a_failure_ends_its_leftovers_before_the_restart_so_that_the_port_is_free() {
    let user = User::new();
    let port = free_port();
    let script = format!(
        "import os, socket, sys, time, signal\n\
         s = socket.socket()\n\
         try:\n    s.bind(('127.0.0.1', {port}))\n\
         except OSError as e:\n    print('HELD', e, flush=True); os._exit(9)\n\
         s.listen()\n\
         first = not os.path.exists('again')\n\
         open('again', 'w').close()\n\
         if first and os.fork() == 0:\n    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n    time.sleep(600)\n\
         if first: os._exit(1)\n\
         print('SECOND', flush=True)\n\
         time.sleep(600)\n"
    );
    user.file("server.py", &script);
    user.ok(&[
        "start",
        "--name",
        "server",
        "--kind",
        "pid",
        "--stop-timeout",
        "300ms",
        "python3",
        "server.py",
    ]);
    eventually("the second run serves", || text(&user.log("server")).contains("SECOND"));
    assert!(!text(&user.log("server")).contains("HELD"), "{}", text(&user.log("server")));
    let view = user.view("server");
    assert_eq!((view["restarts"].as_i64(), view["exit"]["code"].as_i64()), (Some(1), Some(1)), "{view}");
}

#[test]
fn a_failure_without_restart_leaves_nothing_alive() {
    let user = User::new();
    start(&user, "once", &["--restart", "no"], "sleep 600 & setsid -f sleep 600; exit 3");
    user.until_state("once", "exited");
    assert_eq!(user.view("once")["exit"]["code"], 3);
    eventually("the supervisor is gone", || user.alive().is_empty());
}

#[test]
fn a_program_that_goes_into_the_background_is_followed_under_every_policy() {
    for policy in ["no", "on-failure", "always"] {
        let user = User::new();
        let script = "setsid -f bash -c 'echo $$ >daemon; sleep 600 & wait'; exit 0";
        start(&user, "daemon", &["--restart", policy], script);
        let daemon = written(&user, "daemon");
        eventually("the daemon is followed", || user.view("daemon")["pid"].as_i64() == Some(daemon.into()));
        user.until_state("daemon", "online");
        assert_eq!(user.view("daemon")["restarts"], 0, "{policy}");
        user.ok(&["stop", "daemon"]);
        assert!(!is_alive(daemon), "{policy}");
        assert_eq!(user.alive(), [], "{policy}");
        assert_eq!(user.state("daemon"), "stopped");
    }
}

#[test]
fn the_exit_of_a_followed_daemon_decides() {
    for (policy, end, state) in [("no", "exit 4", "exited"), ("on-failure", "exit 0", "exited")] {
        let user = User::new();
        let script = format!("setsid -f bash -c 'echo $$ >daemon; read <go; {end}'; exit 0");
        user.ok(&["start", "--name", "mk", "--kind", "pid", "--restart", "no", "mkfifo", "go"]);
        user.until_state("mk", "exited");
        start(&user, "daemon", &["--restart", policy], &script);
        let daemon = written(&user, "daemon");
        eventually("the daemon is followed", || user.view("daemon")["pid"].as_i64() == Some(daemon.into()));
        std::fs::write(user.cwd().join("go"), "\n").unwrap();
        user.until_state("daemon", state);
        let code: i64 = end.rsplit(' ').next().unwrap().parse().unwrap();
        assert_eq!(user.view("daemon")["exit"]["code"], code, "{policy} {end}");
    }
}

#[test]
fn what_was_started_from_inside_a_tree_is_a_process_of_its_own() {
    let user = User::new();
    let tsm = env!("CARGO_BIN_EXE_tsm");
    let script = format!("{tsm} start --name inner --kind pid -- sleep 600; echo $$ >up; exec sleep 600");
    start(&user, "outer", &[], &script);
    written(&user, "up");
    let inner = user.pid("inner");
    user.ok(&["restart", "--update-env", "outer"]);
    user.ok(&["stop", "outer"]);
    assert_eq!(user.state("outer"), "stopped");
    let view = user.view("inner");
    assert!(is_alive(inner), "the inner process outlives the outer one: {view}");
    assert_eq!((view["pid"].as_i64(), view["restarts"].as_i64()), (Some(inner.into()), Some(0)), "{view}");
    user.ok(&["stop", "inner"]);
    assert_eq!(user.alive(), []);
}

#[test]
fn a_program_that_only_starts_others_is_over_when_it_exits() {
    let user = User::new();
    let tsm = env!("CARGO_BIN_EXE_tsm");
    start(&user, "script", &[], &format!("{tsm} start --name web --kind pid -- sleep 600"));
    user.until_state("script", "exited");
    let web = user.pid("web");
    assert!(is_alive(web));
    start(
        &user,
        "broken",
        &["--restart", "no"],
        &format!("{tsm} start --name web2 --kind pid -- sleep 600; exit 5"),
    );
    user.until_state("broken", "exited");
    assert_eq!(user.view("broken")["exit"]["code"], 5);
    assert!(is_alive(web) && is_alive(user.pid("web2")));
}

#[test]
fn a_start_in_the_middle_of_a_stop_waits_for_it_and_starts() {
    let script = "trap 'while [[ ! -e go ]]; do sleep 0.02; done; exit 0' TERM; echo $$ >up; while :; do sleep 0.05; done";
    for by_name in [true, false] {
        let user = User::new();
        let command =
            ["start", "--name", "p", "--kind", "pid", "--stop-timeout", "1h", "--", "bash", "-c", script];
        user.ok(&command);
        let before = written(&user, "up");
        let mut stop = aside(&user, &["stop", "p"]);
        user.until_state("p", "stopping");
        let mut start = aside(&user, if by_name { &["start", "p"] } else { &command });
        // Whichever of the two is first: the stop is not over before this.
        user.file("go", "");
        let ended = start.wait().unwrap();
        assert!(stop.wait().unwrap().success() && ended.success());
        user.until_state("p", "online");
        assert_ne!(user.pid("p"), before, "by name: {by_name}");
    }
}
