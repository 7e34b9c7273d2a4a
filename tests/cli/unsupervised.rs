//! Supervisors that were killed, and records that no longer mean what they say.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::kit::{User, eventually, is_alive, kill, run, text};

pub(crate) const FAMILY: &str = "sleep 600 & (sleep 601 & wait) & setsid -f sleep 602; echo $$ >leader; wait";

pub(crate) fn start(user: &User, name: &str, options: &[&str], script: &str) {
    user.ok(&[&["start", "--name", name, "--kind", "pid"], options, &["--", "bash", "-c", script]].concat());
}

/// Kills the supervisor of `name` without a word.
pub(crate) fn orphan(user: &User, name: &str) {
    let supervisor = user.supervisor(name);
    kill(supervisor, "KILL");
    eventually("the supervisor is gone", || !is_alive(supervisor));
}

pub(crate) fn sleeps(user: &User) -> usize {
    user.alive().iter().filter(|(_, line)| line.starts_with("sleep 60")).count()
}

/// Changes `status.json` of `name`, as no program of ours would.
fn tamper(user: &User, name: &str, change: impl FnOnce(&mut Value)) {
    let path = user.process_dir(name).join("status.json");
    let mut status: Value = serde_json::from_str(&text(&path)).unwrap();
    change(&mut status);
    fs::write(&path, status.to_string()).unwrap();
}

/// A process of the test itself, which nobody else may end.
struct Bystander(std::process::Child);

impl Bystander {
    fn start() -> Self {
        Bystander(Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().unwrap())
    }

    fn pid(&self) -> i32 {
        self.0.id() as i32
    }

    /// The start time as `proc_pid_stat(5)` has it.
    fn start_time(&self) -> u64 {
        let stat = text(std::path::Path::new(&format!("/proc/{}/stat", self.pid())));
        stat.rsplit(") ").next().unwrap().split_whitespace().nth(19).unwrap().parse().unwrap()
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_program_lives_on_without_its_supervisor_and_no_line_is_lost() {
    let user = User::new();
    let script = "for ((i = 1; ; i++)); do echo \"line $i\"; [[ -e enough ]] && break; sleep 0.002; done; exec sleep 600";
    start(&user, "writer", &[], script);
    let lines = || text(&user.log("writer")).lines().count();
    eventually("it writes", || lines() > 20);
    let pid = user.pid("writer");
    orphan(&user, "writer");
    let seen = lines();
    eventually("it goes on writing", || lines() > seen + 20);
    let view = user.view("writer");
    assert_eq!(
        (view["status"].as_str(), view["pid"].as_i64()),
        (Some("unsupervised"), Some(pid.into())),
        "{view}"
    );
    assert!(view["supervisor_pid"].is_null(), "{view}");
    user.ok(&["list"]).says("unsupervised");
    user.ok(&["start", "writer"]).says("Already running");
    user.ok(&["start", "--name", "writer", "--kind", "pid", "--", "bash", "-c", script])
        .says("Already running");
    user.file("enough", "");
    eventually("it has written enough", || {
        user.alive().iter().any(|(_, line)| line.starts_with("sleep 600"))
    });
    let log = text(&user.log("writer"));
    for (at, line) in log.lines().enumerate() {
        assert_eq!(line, format!("line {}", at + 1));
    }
    user.ok(&["stop", "writer"]).says("Stopped");
    assert!(!is_alive(pid));
    assert_eq!(user.state("writer"), "stopped");
}

#[test]
fn the_whole_tree_of_a_dead_supervisor_is_ended() {
    for verb in ["stop", "kill", "delete"] {
        let user = User::new();
        start(&user, "family", &["--stop-timeout", "5s"], FAMILY);
        eventually("the family is complete", || sleeps(&user) == 3);
        orphan(&user, "family");
        assert_eq!(user.state("family"), "unsupervised");
        user.ok(&[verb, "family"]);
        assert_eq!(user.alive(), [], "{verb}");
    }
}

#[test]
fn what_only_its_marker_gives_away_is_still_ended() {
    let user = User::new();
    // The main process is gone too; what is left has left its session and has no parent of ours.
    start(&user, "family", &["--restart", "no"], FAMILY);
    eventually("the family is complete", || sleeps(&user) == 3);
    let leader = user.pid("family");
    orphan(&user, "family");
    kill(leader, "KILL");
    eventually("the leader is gone", || !is_alive(leader));
    assert_eq!(user.state("family"), "unsupervised");
    user.ok(&["stop", "family"]);
    assert_eq!(user.alive(), []);
    assert_eq!(user.state("family"), "stopped");
}

#[test]
fn a_stubborn_orphan_is_killed_and_named() {
    let user = User::new();
    let script = "bash -c 'trap \"\" TERM; echo $$ >stubborn; while :; do sleep 0.1; done' & exec sleep 600";
    start(&user, "stubborn", &["--stop-timeout", "300ms"], script);
    let path = user.cwd().join("stubborn");
    eventually("it is up", || text(&path).ends_with('\n'));
    let child: i32 = text(&path).trim().parse().unwrap();
    orphan(&user, "stubborn");
    user.ok(&["stop", "stubborn"]).says(&format!("had to kill PID {child}: bash -c trap"));
    assert_eq!(user.alive(), []);
}

#[test]
fn a_restart_gives_it_a_supervisor_again() {
    let user = User::new();
    let mut command = user.tsm_command(&["start", "--name", "p", "--kind", "pid", "--", "bash", "-c"]);
    command.arg("echo \"$A\" >seen; exec sleep 600").env("A", "from the first start");
    run(command).code(0);
    let (pid, supervisor) = (user.pid("p"), user.supervisor("p"));
    orphan(&user, "p");
    fs::remove_file(user.cwd().join("seen")).unwrap();
    user.ok(&["restart", "p"]).says("Restarted: p");
    user.until_state("p", "online");
    assert!(!is_alive(pid));
    assert_ne!(user.supervisor("p"), supervisor);
    let view = user.view("p");
    assert_eq!((view["restarts"].as_i64(), view["id"].as_i64()), (Some(1), Some(0)));
    eventually("it has its first environment", || text(&user.cwd().join("seen")) == "from the first start\n");
    // And the new one does its work.
    kill(user.pid("p"), "KILL");
    eventually("it was started again", || user.view("p")["restarts"] == 2);
}

#[test]
fn a_program_that_reads_its_input_survives_the_death_of_its_supervisor() {
    let user = User::new();
    user.ok(&["start", "--name", "reader", "--kind", "pid", "cat"]);
    user.until_state("reader", "online");
    let pid = user.pid("reader");
    orphan(&user, "reader");
    assert_eq!(user.state("reader"), "unsupervised");
    // Its end would come with the end of its input, so a cat that is asleep in its read will stay there.
    eventually("it waits for input", || {
        text(std::path::Path::new(&format!("/proc/{pid}/stat"))).contains(") S ")
    });
    assert!(is_alive(pid));
}

#[test]
fn both_gone_is_lost_and_can_be_started_again() {
    let user = User::new();
    start(&user, "p", &[], "exec sleep 600");
    let pid = user.pid("p");
    orphan(&user, "p");
    kill(pid, "KILL");
    user.until_state("p", "lost");
    assert!(user.view("p")["pid"].is_null());
    user.ok(&["stop", "p"]).says("Already stopped");
    user.ok(&["start", "p"]).says("Started: p");
    user.until_state("p", "online");
}

#[test]
fn a_supervisor_that_is_killed_in_the_middle_of_a_stop_leaves_the_rest_to_it() {
    let user = User::new();
    let script = "trap '' TERM; echo $$ >up; (sleep 600 & wait) & while :; do sleep 0.05; done";
    start(&user, "p", &["--stop-timeout", "2s"], script);
    eventually("it is up", || text(&user.cwd().join("up")).ends_with('\n'));
    let stop = user.tsm_command(&["stop", "p"]).stdout(Stdio::piped()).spawn().unwrap();
    user.until_state("p", "stopping");
    orphan(&user, "p");
    let output = stop.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(user.alive(), []);
    assert_eq!(user.state("p"), "stopped");
}

#[test]
fn a_stop_that_was_killed_with_its_supervisor_can_be_repeated() {
    let user = User::new();
    let script = "trap '' TERM; echo $$ >up; while :; do sleep 0.05; done";
    start(&user, "p", &["--stop-timeout", "1h"], script);
    eventually("it is up", || text(&user.cwd().join("up")).ends_with('\n'));
    let mut stop = user.tsm_command(&["stop", "p"]).stdout(Stdio::null()).spawn().unwrap();
    user.until_state("p", "stopping");
    stop.kill().unwrap();
    stop.wait().unwrap();
    orphan(&user, "p");
    assert_eq!(user.state("p"), "unsupervised");
    user.ok(&["kill", "p"]);
    assert_eq!(user.alive(), []);
}

#[test]
fn a_reused_pid_is_never_signalled() {
    for verb in ["stop", "kill", "restart", "delete"] {
        let user = User::new();
        start(&user, "p", &[], "exec sleep 600");
        let pid = user.pid("p");
        orphan(&user, "p");
        kill(pid, "KILL");
        user.until_state("p", "lost");
        // Later than the program by more than a tick of the kernel's start times, as a reused PID always is.
        let stranger = Bystander::start();
        tamper(&user, "p", |status| {
            for whose in ["main", "supervisor"] {
                status[whose]["pid"] = stranger.pid().into();
                // The nearest miss there is; the recorded one may even be the same tick of 10 ms.
                status[whose]["start"] = (stranger.start_time() + 1).into();
            }
        });
        let view = user.view("p");
        assert_eq!((view["status"].as_str(), view["pid"].as_i64()), (Some("lost"), None), "{view}");
        assert!(view["supervisor_pid"].is_null() && view["memory_bytes"].is_null(), "{view}");
        user.ok(&[verb, "p"]);
        assert!(is_alive(stranger.pid()), "{verb} ended a stranger");
    }
}

#[test]
fn a_record_of_another_boot_means_nobody() {
    for verb in ["stop", "kill", "restart", "delete"] {
        let user = User::new();
        let stranger = Bystander::start();
        start(&user, "p", &[], "exec sleep 600");
        let pid = user.pid("p");
        orphan(&user, "p");
        kill(pid, "KILL");
        user.until_state("p", "lost");
        // The very PID and start time, but of a boot that is over.
        tamper(&user, "p", |status| {
            status["main"]["pid"] = stranger.pid().into();
            status["main"]["start"] = stranger.start_time().into();
            status["boot_id"] = "00000000-0000-0000-0000-000000000000".into();
        });
        let view = user.view("p");
        assert_eq!((view["status"].as_str(), view["pid"].as_i64()), (Some("lost"), None), "{view}");
        user.ok(&[verb, "p"]);
        assert!(is_alive(stranger.pid()), "{verb} ended a stranger");
    }
}

#[test]
fn a_tampered_record_does_not_mislead_a_living_supervisor() {
    let user = User::new();
    let stranger = Bystander::start();
    start(&user, "p", &[], "exec sleep 600");
    user.until_state("p", "online");
    let pid = user.pid("p");
    tamper(&user, "p", |status| status["main"]["pid"] = stranger.pid().into());
    user.ok(&["stop", "p"]);
    assert!(is_alive(stranger.pid()));
    assert!(!is_alive(pid));
    assert_eq!(user.alive(), []);
}

/// Runs what follows as a subreaper that never waits for anybody, until its standard input ends.
const CARELESS: &str = "import ctypes, subprocess, sys\n\
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)\n\
    code = subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL).returncode\n\
    print(code, flush=True)\n\
    sys.stdin.read()\n";

#[test]
fn a_zombie_is_not_online() {
    use std::io::{BufRead, BufReader};
    let user = User::new();
    let mut command = user.command("python3");
    command.args([
        "-c",
        CARELESS,
        env!("CARGO_BIN_EXE_tsm"),
        "start",
        "--name",
        "p",
        "--kind",
        "pid",
        "sleep",
        "600",
    ]);
    let mut careless = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(careless.stdout.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap() == "0"));
    user.until_state("p", "online");
    let pid = user.pid("p");
    orphan(&user, "p");
    assert_eq!(user.state("p"), "unsupervised");
    kill(pid, "KILL");
    let stat = || text(std::path::Path::new(&format!("/proc/{pid}/stat")));
    eventually("the program is a zombie", || stat().contains(") Z "));
    assert_eq!(user.state("p"), "lost");
    let view = user.view("p");
    assert!(view["pid"].is_null(), "{view}");
    user.ok(&["stop", "p"]);
    user.ok(&["restart", "p"]);
    user.until_state("p", "online");
    user.ok(&["delete", "p"]);
    assert!(stat().contains(") Z "), "the zombie was one all the time");
    drop(careless.stdin.take());
    careless.wait().unwrap();
}

#[test]
fn a_zombie_is_not_online_either_while_its_supervisor_is_halted() {
    let user = User::new();
    start(&user, "p", &[], "exec sleep 600");
    user.until_state("p", "online");
    let (pid, supervisor) = (user.pid("p"), user.supervisor("p"));
    kill(supervisor, "STOP");
    kill(pid, "KILL");
    let stat = || text(std::path::Path::new(&format!("/proc/{pid}/stat")));
    eventually("the program is a zombie", || stat().contains(") Z "));
    let view = user.view("p");
    assert_eq!((view["status"].as_str(), view["pid"].as_i64()), (Some("stopping"), None), "{view}");
    kill(supervisor, "CONT");
    user.until_state("p", "online");
    assert_eq!(user.view("p")["restarts"], 1);
}
