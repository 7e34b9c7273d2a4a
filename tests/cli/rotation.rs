//! Capped logs: every line arrives once and in order, whatever happens meanwhile.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::kit::{User, eventually, is_alive, kill, text};

/// The cap of these tests, in bytes.
const CAP: u64 = 64 * 1024;

/// Writes numbered lines until told to stop, as fast as a busy server; several processes may share the log.
const WRITER: &str = "import os, sys, time\n\
    first, last = int(sys.argv[1]), int(sys.argv[2])\n\
    for i in range(first, last + 1):\n\
    \x20   os.write(1, b'line %08d of a writer that has a lot to say\\n' % i)\n\
    \x20   if i % 50 == 0: time.sleep(0.003)\n\
    open('done', 'w').close()\n\
    time.sleep(float(sys.argv[3]))\n";

fn numbered(user: &User, name: &str, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}.{suffix}", user.log(name).display()))
}

/// The rotated files of `name` that are there, oldest first.
pub(crate) fn rotated(user: &User, name: &str) -> Vec<PathBuf> {
    let mut numbers: Vec<u32> = fs::read_dir(user.tsm_dir().join("logs"))
        .unwrap()
        .flatten()
        .filter_map(|item| item.file_name().to_str()?.strip_prefix(&format!("{name}.log."))?.parse().ok())
        .collect();
    numbers.sort_unstable_by(|a, b| b.cmp(a));
    numbers.iter().map(|number| numbered(user, name, &number.to_string())).collect()
}

/// Everything that was kept, in order.
pub(crate) fn everything(user: &User, name: &str) -> String {
    rotated(user, name).iter().chain([&user.log(name)]).map(|path| text(path)).collect()
}

/// The numbers of the lines of `log`, each of which must be whole.
pub(crate) fn numbers(log: &str) -> Vec<u64> {
    log.lines()
        .map(|line| {
            let number = line
                .strip_prefix("line ")
                .and_then(|rest| rest.strip_suffix(" of a writer that has a lot to say"));
            number.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("a torn line: {line:?}"))
        })
        .collect()
}

pub(crate) fn start_writer(user: &User, name: &str, keep: &str, first: u64, last: u64) {
    user.file("writer.py", WRITER);
    let (first, last) = (first.to_string(), last.to_string());
    user.ok(&[
        "start",
        "--name",
        name,
        "--kind",
        "pid",
        "--log-max-size",
        "64KiB",
        "--log-keep",
        keep,
        "--restart",
        "no",
        "python3",
        "writer.py",
        &first,
        &last,
        "600",
    ]);
}

fn wait_for_writer(user: &User) {
    eventually("the writer has written everything", || user.cwd().join("done").exists());
}

/// Waits until the live file is under its cap again, and what was taken off it has its number.
fn wait_for_rotation(user: &User, name: &str) {
    eventually("the rotation is over", || {
        fs::metadata(user.log(name)).unwrap().len() <= CAP && !numbered(user, name, "head").exists()
    });
}

/// A `tsm logs -f` beside the test.
struct Follower {
    child: Child,
    lines: Receiver<String>,
}

impl Follower {
    fn start(user: &User, name: &str) -> Self {
        let mut command = user.tsm_command(&["logs", "-f", "-n", "1000000", name]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = channel();
        std::thread::spawn(move || out.lines().map_while(Result::ok).all(|line| send.send(line).is_ok()));
        Follower { child, lines }
    }

    /// The next line; none when it ended, or when nothing comes any more.
    fn next(&self) -> Option<String> {
        self.lines.recv_timeout(Duration::from_secs(30)).ok()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The whole of a log arrives, in a home below `parent`.
fn nothing_is_lost_in(parent: &Path) {
    let user = User::within(parent, "tsm");
    // 2.5 MiB, which is 40 caps.
    let last = 50_000;
    start_writer(&user, "w", "400", 1, last);
    wait_for_writer(&user);
    wait_for_rotation(&user, "w");
    let files = rotated(&user, "w");
    assert!(files.len() >= 2, "it was rotated while it was being written: {files:?}");
    let log = everything(&user, "w");
    let all: Vec<u64> = (1..=last).collect();
    let found = numbers(&log);
    assert!(
        found == all,
        "{} lines of {last}, first gap after {:?}",
        found.len(),
        found.iter().zip(&all).find(|(a, b)| a != b)
    );
    assert!(!numbered(&user, "w", "head").exists());
    assert_eq!(user.state("w"), "online", "the writer goes on");
    user.ok(&["stop", "w"]);
}

#[test]
fn no_line_is_lost_where_the_head_can_be_removed_in_place() {
    nothing_is_lost_in(&std::env::temp_dir());
}

#[test]
fn no_line_is_lost_where_the_tree_must_be_halted_for_a_moment() {
    nothing_is_lost_in(Path::new("/dev/shm"));
}

#[test]
fn the_number_of_files_is_capped() {
    for (keep, files) in [("2", 2), ("0", 0)] {
        let user = User::new();
        let last = 30_000;
        start_writer(&user, "w", keep, 1, last);
        wait_for_writer(&user);
        wait_for_rotation(&user, "w");
        assert_eq!(rotated(&user, "w").len(), files, "--log-keep {keep}");
        let found = numbers(everything(&user, "w").split_once('\n').unwrap().1);
        assert!(found.windows(2).all(|two| two[1] == two[0] + 1), "what is kept has no gap");
        assert_eq!(found.last(), Some(&last));
    }
}

/// `logs -f` in a home below `parent`.
fn a_follower_sees_every_line_once_in(parent: &Path) {
    let user = User::within(parent, "tsm");
    user.file("writer.py", WRITER);
    // Each run goes on where the last one ended.
    let script = "n=$(cat next 2>/dev/null || echo 1); echo $((n + 5000)) >next.new; mv next.new next; \
        python3 writer.py $n $((n + 4999)) 0; [[ $n -lt 20000 ]] && exit 1; echo $n >over; exec sleep 600";
    user.ok(&[
        "start",
        "--name",
        "w",
        "--kind",
        "pid",
        "--log-max-size",
        "64KiB",
        "--log-keep",
        "400",
        "--",
        "bash",
        "-c",
        script,
    ]);
    let follower = Follower::start(&user, "w");
    for number in 1..=25_000_u64 {
        let line = follower.next().unwrap_or_else(|| panic!("nothing came after line {}", number - 1));
        assert_eq!(line, format!("line {number:08} of a writer that has a lot to say"));
    }
    assert!(user.view("w")["restarts"].as_i64() >= Some(4));
    assert!(!rotated(&user, "w").is_empty(), "it was rotated meanwhile");
    drop(follower);
    user.ok(&["stop", "w"]);
}

#[test]
fn a_follower_sees_every_line_once_across_removed_heads_and_restarts() {
    a_follower_sees_every_line_once_in(&std::env::temp_dir());
}

#[test]
fn a_follower_sees_every_line_once_across_truncations_and_restarts() {
    a_follower_sees_every_line_once_in(Path::new("/dev/shm"));
}

#[test]
fn a_rotation_that_was_cut_short_is_ended_by_the_next_supervisor() {
    // Killed after the copy: the head is still in the live file. Killed after the removal: it is only in the copy.
    for removed in [false, true] {
        let user = User::new();
        let last = 1_000;
        start_writer(&user, "w", "5", 1, last);
        wait_for_writer(&user);
        let (supervisor, pid) = (user.supervisor("w"), user.pid("w"));
        kill(supervisor, "KILL");
        kill(pid, "KILL");
        eventually("both are gone", || !is_alive(supervisor) && !is_alive(pid));
        let whole = text(&user.log("w"));
        let block = 4096;
        fs::write(numbered(&user, "w", "head"), &whole[..block]).unwrap();
        if removed {
            fs::write(user.log("w"), &whole[block..]).unwrap();
        }
        user.ok(&["start", "w"]);
        eventually("the new run has written everything", || {
            everything(&user, "w").matches(&format!("line {last:08}")).count() == 2
        });
        wait_for_rotation(&user, "w");
        assert!(!numbered(&user, "w", "head").exists());
        let twice: Vec<u64> = (1..=last).chain(1..=last).collect();
        assert_eq!(numbers(&everything(&user, "w")), twice, "removed: {removed}");
        let shown = user.ok(&["logs", "-n", "100000", "w"]).stdout;
        assert_eq!(numbers(&shown), twice);
        let run = user.ok(&["logs", "--run", "w"]).stdout;
        assert_eq!(numbers(&run), (1..=last).collect::<Vec<_>>(), "the current run begins where it began");
    }
}

#[test]
fn lines_go_on_arriving_while_supervisors_come_and_go() {
    let user = User::new();
    let last = 20_000;
    start_writer(&user, "w", "100", 1, last);
    eventually("it writes", || fs::metadata(user.log("w")).is_ok_and(|facts| facts.len() > 0));
    let supervisor = user.supervisor("w");
    kill(supervisor, "KILL");
    wait_for_writer(&user);
    let _ = fs::remove_file(numbered(&user, "w", "head"));
    let log = everything(&user, "w");
    assert_eq!(numbers(&log), (1..=last).collect::<Vec<_>>());
    user.ok(&["stop", "w"]);
}

#[test]
fn purging_takes_the_rotated_files_too() {
    let user = User::new();
    start_writer(&user, "w", "5", 1, 10_000);
    wait_for_writer(&user);
    wait_for_rotation(&user, "w");
    assert!(!rotated(&user, "w").is_empty());
    fs::write(user.tsm_dir().join("logs/w.log.old"), "somebody's own\n").unwrap();
    user.ok(&["delete", "w", "--purge"]);
    let left: Vec<_> =
        fs::read_dir(user.tsm_dir().join("logs")).unwrap().flatten().map(|item| item.file_name()).collect();
    assert_eq!(left, ["w.log.old"], "only what is not ours is left");
}

#[test]
fn a_lower_number_to_keep_takes_the_files_over_it() {
    let user = User::new();
    start_writer(&user, "w", "9", 1, 1);
    wait_for_writer(&user);
    user.ok(&["stop", "w"]);
    for number in 1..=9 {
        fs::write(numbered(&user, "w", &number.to_string()), "old\n").unwrap();
    }
    fs::remove_file(user.cwd().join("done")).unwrap();
    user.ok(&["delete", "w"]);
    start_writer(&user, "w", "3", 1, 3_000);
    wait_for_writer(&user);
    wait_for_rotation(&user, "w");
    assert_eq!(rotated(&user, "w").len(), 3);
}
