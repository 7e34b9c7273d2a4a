//! A program whose supervisor was killed gets a new one, and does not notice.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use crate::control::Client;
use crate::doctor_clean::parsed;
use crate::kit::{Ran, User, eventually, free_port, is_alive, kill, run, text};
use crate::rotation::{everything, numbers, rotated, start_writer};
use crate::unsupervised::{FAMILY, orphan, sleeps, start};

/// Kills the supervisor of `name` and gives it a new one.
fn adopted(user: &User, name: &str) -> Ran {
    let before = user.supervisor(name);
    orphan(user, name);
    assert_eq!(user.state(name), "unsupervised");
    let ran = user.ok(&["doctor", "orphans", "--adopt", name]).says(&format!("Adopted: {name}"));
    let view = user.view(name);
    assert!(view["supervisor_pid"].as_i64().is_some_and(|pid| pid != i64::from(before)), "{view}");
    ran
}

/// The parent of a process.
fn parent(pid: i32) -> i32 {
    let stat = text(Path::new(&format!("/proc/{pid}/stat")));
    stat.rsplit(") ").next().unwrap().split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_server_keeps_its_pid_its_port_and_its_uptime() {
    let user = User::new();
    let port = free_port().to_string();
    user.ok(&[
        "start",
        "--name",
        "web",
        "--port",
        &port,
        "python3",
        "-m",
        "http.server",
        "--bind",
        "127.0.0.1",
    ]);
    let name = format!("web-{port}");
    user.until_state(&name, "online");
    let (pid, started) = (user.pid(&name), user.json(&["info", &name])["started"].clone());
    adopted(&user, &name).says(&format!("PID: {pid}, Port: {port}"));

    let view = user.view(&name);
    assert_eq!((view["status"].as_str(), view["pid"].as_i64()), (Some("online"), Some(pid.into())), "{view}");
    assert_eq!((view["ports"][0].to_string(), view["restarts"].as_i64()), (port, Some(0)), "{view}");
    assert_eq!(user.json(&["info", &name])["started"], started);
    assert_eq!(text(&user.tsm_dir().join(format!("pids/{name}.pid"))).trim(), pid.to_string());
    let status = Client::of(&user, &name).ask("STATUS");
    assert_eq!((status["status"].as_str(), status["pid"].as_i64()), (Some("online"), Some(pid.into())));
    let health = Client::of(&user, &name).ask("HEALTH");
    assert_eq!(health["health"], "healthy", "{health}");
    user.ok(&["info", &name]).says("took over");
    // A managed process is no orphan.
    let found = parsed(&user.ok(&["doctor", "orphans", "--json"]));
    assert!(!found.to_string().contains(&format!("\"pid\":{pid},")), "{found}");

    user.ok(&["stop", &name]).says("Stopped");
    assert!(!is_alive(pid));
    assert_eq!(user.alive(), []);
    assert_eq!(user.state(&name), "stopped");
}

#[test]
fn a_log_goes_on_without_a_gap() {
    let user = User::new();
    let script = "for ((i = 1; ; i++)); do echo \"line $i\"; sleep 0.002; done";
    start(&user, "writer", &[], script);
    let lines = || text(&user.log("writer")).lines().count();
    eventually("it writes", || lines() > 20);
    user.until_state("writer", "online");
    let pid = user.pid("writer");
    adopted(&user, "writer");
    let seen = lines();
    eventually("it goes on writing", || lines() > seen + 20);
    assert_eq!((user.pid("writer"), &*user.state("writer")), (pid, "online"));
    for (at, line) in text(&user.log("writer")).lines().enumerate() {
        assert_eq!(line, format!("line {}", at + 1));
    }
}

#[test]
fn the_whole_tree_is_seen_and_ended() {
    for verb in ["stop", "kill", "delete", "restart"] {
        let user = User::new();
        start(&user, "family", &["--stop-timeout", "5s"], FAMILY);
        eventually("the family is complete", || sleeps(&user) == 3);
        let before: Vec<i32> =
            user.alive().iter().filter(|(_, line)| line.starts_with("sleep 60")).map(|one| one.0).collect();
        adopted(&user, "family");
        let tree = user.json(&["info", "family"])["tree"].to_string();
        for pid in &before {
            assert!(tree.contains(&format!("\"pid\":{pid},")), "{pid} is not in {tree}");
        }
        user.ok(&[verb, "family"]);
        assert!(before.iter().all(|pid| !is_alive(*pid)), "{verb}");
        if verb == "restart" {
            eventually("there is a new family", || sleeps(&user) == 3);
            assert_eq!(user.view("family")["restarts"], 1);
        } else {
            assert_eq!(user.alive(), [], "{verb}");
        }
    }
}

#[test]
fn an_end_that_nobody_saw_is_said_to_be_unknown_and_is_no_success() {
    let user = User::new();
    let mut command = user.tsm_command(&["start", "--name", "p", "--kind", "pid", "--", "bash", "-c"]);
    // It will exit with 0, which the new supervisor cannot learn.
    command
        .arg("trap 'exit 0' USR1; echo \"$A\" >seen; while :; do sleep 0.05; done")
        .env("A", "the first one");
    run(command).code(0);
    user.until_state("p", "online");
    let pid = user.pid("p");
    adopted(&user, "p");
    fs::remove_file(user.cwd().join("seen")).unwrap();
    kill(pid, "USR1");
    eventually("it was started again", || user.view("p")["restarts"] == 1);
    user.until_state("p", "online");
    let view = user.view("p");
    assert!(view["exit"]["code"].is_null() && view["exit"]["signal"].is_null(), "{view}");
    assert!(view["exit"]["at_ms"].as_u64().unwrap() > 0, "{view}");
    user.ok(&["info", "p"]).says("exit status unknown");
    eventually("it has its first environment", || text(&user.cwd().join("seen")) == "the first one\n");

    // From now on all is known again, because it is the supervisor's own child.
    assert_eq!(parent(user.pid("p")), user.supervisor("p"));
    assert!(!text(&user.process_dir("p").join("status.json")).contains("adopted"));
    kill(user.pid("p"), "KILL");
    eventually("it was started again", || user.view("p")["restarts"] == 2);
    assert_eq!(user.view("p")["exit"]["signal"], 9);
}

#[test]
fn with_policy_no_an_unknown_end_is_the_end() {
    let user = User::new();
    start(&user, "p", &["--restart", "no"], "exec sleep 600");
    user.until_state("p", "online");
    adopted(&user, "p");
    kill(user.pid("p"), "TERM");
    user.until_state("p", "exited");
    user.tsm(&["info", "p"]).code(3).says("exit status unknown");
    eventually("nothing is left", || user.alive().is_empty());
}

#[test]
fn what_is_left_of_a_crashed_tree_is_ended_before_the_restart() {
    let user = User::new();
    let script = "setsid -f sleep 601; sleep 600 & echo up >>ups; wait";
    start(&user, "p", &["--stop-timeout", "5s"], script);
    eventually("it is complete", || sleeps(&user) == 2);
    let before = user.alive();
    let pid = user.pid("p");
    adopted(&user, "p");
    kill(pid, "KILL");
    eventually("it runs again", || text(&user.cwd().join("ups")) == "up\nup\n" && sleeps(&user) == 2);
    for (pid, line) in before.iter().filter(|(_, line)| line.starts_with("sleep")) {
        assert!(!is_alive(*pid), "{line}");
    }
    user.until_state("p", "online");
}

#[test]
fn what_is_left_of_a_tree_without_its_leader_is_followed_until_nothing_is_left() {
    let user = User::new();
    start(&user, "p", &[], "echo up >>ups; sleep 600 & sleep 601 & wait");
    eventually("it is complete", || sleeps(&user) == 2);
    user.until_state("p", "online");
    let leader = user.pid("p");
    orphan(&user, "p");
    kill(leader, "KILL");
    eventually("the leader is gone", || !is_alive(leader));
    let left = user.alive();
    let first = left.iter().map(|(pid, _)| *pid).min().unwrap();
    user.ok(&["doctor", "orphans", "--adopt", "p"])
        .complains("the oldest process that is left of p, is followed");
    assert_eq!((user.pid("p"), &*user.state("p")), (first, "online"));
    kill(first, "KILL");
    eventually("the next one is followed", || {
        let pid = user.view("p")["pid"].as_i64();
        left.iter().any(|(other, _)| *other != first && pid == Some((*other).into()))
    });
    assert_eq!(text(&user.cwd().join("ups")), "up\n", "a part of it still runs");
    kill(user.pid("p"), "KILL");
    eventually("it is started again", || text(&user.cwd().join("ups")) == "up\nup\n");
}

#[test]
fn what_needs_no_supervisor_or_cannot_get_one_says_so() {
    let user = User::new();
    start(&user, "p", &[], "exec sleep 600");
    user.until_state("p", "online");
    let adopt = || user.tsm(&["doctor", "orphans", "--adopt", "p"]);
    let supervisor = user.supervisor("p");
    adopt().code(6).complains(&format!("p has a supervisor (PID {supervisor})"));
    adopted(&user, "p");
    adopt().code(6).complains("p has a supervisor");
    let pid = user.pid("p");
    orphan(&user, "p");
    kill(pid, "KILL");
    user.until_state("p", "lost");
    adopt().code(3).complains("nothing of it is alive").complains("tsm start p");
    user.ok(&["start", "p"]);
    user.ok(&["stop", "p"]);
    adopt().code(3).complains("it is stopped").complains("tsm start p");
    user.tsm(&["doctor", "orphans", "--adopt", "nobody"]).code(4).complains("no such process: nobody");
    user.tsm(&["doctor", "orphans", "--adopt", "999999999"]).code(4).complains("is no orphan");
}

#[test]
fn what_was_being_stopped_is_not_brought_back() {
    let user = User::new();
    start(&user, "p", &["--stop-timeout", "1h"], "trap '' TERM; echo >up; while :; do sleep 0.05; done");
    eventually("it is up", || user.cwd().join("up").exists());
    let mut stop = user.tsm_command(&["stop", "p"]).stdout(Stdio::null()).spawn().unwrap();
    user.until_state("p", "stopping");
    stop.kill().unwrap();
    stop.wait().unwrap();
    orphan(&user, "p");
    user.tsm(&["doctor", "orphans", "--adopt", "p"])
        .code(6)
        .complains("was being stopped")
        .complains("tsm stop p");
    user.ok(&["kill", "p"]);
}

#[test]
fn an_adoption_does_not_come_in_between_an_end() {
    let user = User::new();
    start(
        &user,
        "p",
        &["--stop-timeout", "1h"],
        "trap 'echo >asked' TERM; echo >up; while :; do sleep 0.05; done",
    );
    eventually("it is up", || user.cwd().join("up").exists());
    user.until_state("p", "online");
    let pid = user.pid("p");
    orphan(&user, "p");
    let mut stop = user.tsm_command(&["stop", "p"]).stdout(Stdio::null()).spawn().unwrap();
    eventually("it is being ended", || user.cwd().join("asked").exists());
    user.tsm(&["doctor", "orphans", "--adopt", "p"]).code(6).complains("somebody else is just");
    kill(pid, "KILL");
    assert!(stop.wait().unwrap().success());
    assert_eq!((user.alive(), &*user.state("p")), (vec![], "stopped"));
}

#[test]
fn of_many_adoptions_at_once_one_wins_and_the_others_say_so() {
    let user = User::new();
    start(&user, "p", &[], "exec sleep 600");
    user.until_state("p", "online");
    let pid = user.pid("p");
    orphan(&user, "p");
    let adopt = || {
        let mut command = user.tsm_command(&["doctor", "orphans", "--adopt", "p"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let all: Vec<_> = (0..8).map(|_| adopt()).collect();
    let mut codes: Vec<i32> =
        all.into_iter().map(|one| one.wait_with_output().unwrap().status.code().unwrap()).collect();
    codes.sort_unstable();
    assert_eq!(codes, [0, 6, 6, 6, 6, 6, 6, 6]);
    let supervisors = user.alive().iter().filter(|(_, line)| line.starts_with("tsm supervise")).count();
    assert_eq!((supervisors, user.pid("p"), &*user.state("p")), (1, pid, "online"));
}

#[test]
fn an_adopted_program_can_be_adopted_again_and_again() {
    let user = User::new();
    start(&user, "p", &[], "sleep 600 & wait");
    user.until_state("p", "online");
    let pid = user.pid("p");
    for _ in 0..3 {
        adopted(&user, "p");
        assert_eq!((user.pid("p"), &*user.state("p")), (pid, "online"));
    }
    kill(pid, "KILL");
    eventually("it was started again", || user.view("p")["restarts"] == 1);
    user.until_state("p", "online");
    adopted(&user, "p");
    assert_eq!(user.view("p")["restarts"], 1, "counted on");
    user.ok(&["stop", "p"]);
    assert_eq!(user.alive(), []);
}

#[test]
fn a_log_is_capped_under_a_new_supervisor_too() {
    let user = User::new();
    start_writer(&user, "w", "100", 1, 20_000);
    eventually("the log was rotated", || !rotated(&user, "w").is_empty());
    adopted(&user, "w");
    let before = rotated(&user, "w").len();
    eventually("it is rotated again", || rotated(&user, "w").len() > before + 1);
    eventually("all is written", || user.cwd().join("done").exists());
    let expected: Vec<u64> = (1..=20_000).collect();
    eventually("the last line is there", || everything(&user, "w").contains("line 00020000 "));
    assert_eq!(numbers(&everything(&user, "w")), expected);
}

#[test]
fn a_failure_leaves_everything_as_it_was() {
    let user = User::new();
    start(&user, "p", &[], "exec sleep 600");
    user.until_state("p", "online");
    let pid = user.pid("p");
    orphan(&user, "p");
    let dir = user.process_dir("p");
    let files = || {
        [dir.join("status.json"), dir.join("spec.json"), user.tsm_dir().join("pids/p.pid")].map(|f| text(&f))
    };
    let before = files();
    // What a new supervisor cannot take away.
    fs::remove_file(dir.join("notify.sock")).unwrap();
    fs::create_dir_all(dir.join("notify.sock/x")).unwrap();
    user.tsm(&["doctor", "orphans", "--adopt", "p"]).code(1).complains("notify.sock");
    assert_eq!(files(), before);
    assert_eq!((user.pid("p"), &*user.state("p")), (pid, "unsupervised"));
    fs::remove_dir_all(dir.join("notify.sock")).unwrap();

    // A state that cannot be written.
    let status = dir.join("status.json");
    fs::remove_file(&status).unwrap();
    fs::create_dir_all(status.join("x")).unwrap();
    fs::remove_file(user.tsm_dir().join("pids/p.pid")).unwrap();
    user.tsm(&["doctor", "orphans", "--adopt", "p"]).code(1).complains("status.json");
    assert!(is_alive(pid) && !dir.join("control.sock").exists() && !dir.join("notify.sock").exists());
    assert!(!user.tsm_dir().join("pids/p.pid").exists());
    fs::remove_dir_all(&status).unwrap();
    fs::write(&status, &before[0]).unwrap();
    user.ok(&["doctor", "orphans", "--adopt", "p"]);
    assert_eq!((user.pid("p"), &*user.state("p")), (pid, "online"));
}

#[test]
fn a_program_without_its_environment_is_adopted_with_a_remark() {
    let user = User::new();
    start(&user, "p", &[], "exec env -i sleep 600");
    user.until_state("p", "online");
    let pid = user.pid("p");
    adopted(&user, "p").complains("the environment of p cannot be read any more");
    user.ok(&["restart", "p"]);
    assert!(!is_alive(pid));
    user.until_state("p", "online");
    user.ok(&["stop", "p"]);
}

#[test]
fn a_broken_record_does_not_prevent_it() {
    let user = User::new();
    start(&user, "p", &[], "exec sleep 600");
    user.until_state("p", "online");
    let pid = user.pid("p");
    orphan(&user, "p");
    fs::write(user.process_dir("p").join("status.json"), "{").unwrap();
    user.ok(&["doctor", "orphans", "--adopt"]).says("Adopted: p (TSM ID: 0");
    assert_eq!((user.pid("p"), &*user.state("p")), (pid, "online"));
    user.ok(&["stop", "p"]);
    assert!(!is_alive(pid));
}
