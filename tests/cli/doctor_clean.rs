//! `tsm doctor clean`: takes away what is nobody's, and nothing else.

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::kit::{Ran, User, eventually, free_port, is_alive, kill};
use crate::list::two;

/// The JSON document that was printed.
pub(crate) fn parsed(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|why| panic!("{why}: {ran:?}"))
}

/// What was cleaned, by kind and file name, sorted.
fn cleaned(report: &Value) -> Vec<(String, String)> {
    let mut all: Vec<_> = report["cleaned"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            let path = Path::new(one["path"].as_str().unwrap());
            (one["what"].as_str().unwrap().to_owned(), path.file_name().unwrap().to_str().unwrap().to_owned())
        })
        .collect();
    all.sort();
    all
}

fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

fn clean(user: &User, flags: &[&str]) -> Value {
    parsed(&user.ok(&[&["doctor", "clean", "--json"], flags].concat()))
}

/// Ends a process with its supervisor, so that nobody tidies up.
fn end_both(user: &User, name: &str) {
    let (supervisor, pid) = (user.supervisor(name), user.pid(name));
    kill(supervisor, "KILL");
    kill(pid, "KILL");
    eventually("both are dead", || !is_alive(supervisor) && !is_alive(pid));
}

#[test]
fn everything_that_is_nobodys_goes_and_what_is_somebodys_stays() {
    let user = two();
    let root = user.tsm_dir();
    fs::create_dir_all(root.join("runtime/processes/.new-abc")).unwrap();
    fs::write(root.join("runtime/.new-ports"), "{").unwrap();
    fs::create_dir_all(user.process_dir("empty")).unwrap();
    fs::write(root.join("pids/gone.pid"), "999999\n").unwrap();
    fs::write(root.join("pids/down.pid"), "999999\n").unwrap();
    fs::write(root.join("pids/notes.txt"), "mine").unwrap();
    fs::create_dir_all(root.join("services-enabled")).unwrap();
    symlink("../services-available/no.tsm", root.join("services-enabled/no.tsm")).unwrap();
    fs::write(user.process_dir("down").join(".new-status"), "{").unwrap();
    drop(UnixListener::bind(user.process_dir("down").join("control.sock")).unwrap());

    let expected: Vec<(String, String)> = [
        ("no-spec", "empty"),
        ("pid-file", "down.pid"),
        ("pid-file", "gone.pid"),
        ("service-link", "no.tsm"),
        ("socket", "control.sock"),
        ("unfinished", ".new-abc"),
        ("unfinished", ".new-ports"),
        ("unfinished", ".new-status"),
    ]
    .map(|(what, file)| (what.to_owned(), file.to_owned()))
    .into();

    let tried = clean(&user, &["--dry-run"]);
    assert_eq!((cleaned(&tried), &tried["dry_run"]), (expected.clone(), &true.into()));
    user.ok(&["doctor", "clean", "--dry-run"]).says("Would remove: ").says("\nwould clean 8, keep 2\n");
    assert!(exists(&user.process_dir("empty")) && exists(&root.join("pids/gone.pid")));

    let before = (user.pid("up"), user.state("down"));
    assert_eq!(cleaned(&clean(&user, &[])), expected);
    assert_eq!((user.pid("up"), user.state("down")), before);
    for kept in ["pids/up.pid", "pids/notes.txt", "runtime/processes/up/control.sock", "logs/down.log"] {
        assert!(exists(&root.join(kept)), "{kept}");
    }
    user.ok(&["doctor", "clean"]).says("cleaned 0, kept 2\n");
    // What stays still works.
    user.ok(&["start", "down"]);
    user.ok(&["stop", "up"]);
}

#[test]
fn the_dead_leave_a_socket_and_a_pid_file_and_can_be_started_after_cleaning() {
    let user = two();
    end_both(&user, "up");
    assert!(exists(&user.process_dir("up").join("control.sock")));
    let all = cleaned(&clean(&user, &[]));
    let of = |what: &str| all.iter().filter(|(kind, _)| kind == what).count();
    assert_eq!((of("pid-file"), of("socket"), all.len()), (1, 2, 3), "{all:?}");
    assert_eq!(user.state("up"), "lost");
    user.ok(&["start", "up"]);
    user.until_state("up", "online");
}

#[test]
fn a_process_without_its_supervisor_keeps_what_finds_it() {
    let user = two();
    let (supervisor, pid) = (user.supervisor("up"), user.pid("up"));
    kill(supervisor, "KILL");
    eventually("it is dead", || !is_alive(supervisor));
    let all = cleaned(&clean(&user, &["--aggressive"]));
    assert!(all.iter().all(|(what, _)| what == "socket"), "{all:?}");
    assert!(exists(&user.tsm_dir().join("pids/up.pid")) && is_alive(pid));
    // Even with its files gone.
    fs::remove_file(user.process_dir("up").join("spec.json")).unwrap();
    fs::remove_file(user.process_dir("up").join("status.json")).unwrap();
    assert_eq!(cleaned(&clean(&user, &["--aggressive"])), []);
    fs::remove_dir_all(user.process_dir("up")).unwrap();
    assert_eq!(cleaned(&clean(&user, &["--aggressive"])), []);
    assert!(exists(&user.tsm_dir().join("pids/up.pid")) && exists(&user.log("up")));
    kill(pid, "KILL");
    eventually("it is dead, too", || !is_alive(pid));
    let all = cleaned(&clean(&user, &["--aggressive"]));
    let expected = [("log", "up.log"), ("pid-file", "up.pid")];
    assert_eq!(all, expected.map(|(what, file)| (what.to_owned(), file.to_owned())));
}

#[test]
fn a_start_that_is_under_way_is_left_alone() {
    let user = two();
    // As a start does: the runtime lock, then the directory and its lock, then its name.
    let root = user.tsm_dir();
    let fresh = root.join("runtime/processes/.new-going-on");
    fs::create_dir_all(&fresh).unwrap();
    let script = "import fcntl, struct, sys\n\
        files = [open(path, 'a') for path in sys.argv[1:]]\n\
        for file in files:\n    fcntl.fcntl(file, 37, struct.pack('hhqqi4x', fcntl.F_WRLCK, 0, 0, 0, 0))\n\
        print('held', flush=True)\nsys.stdin.read()\n";
    let empty = user.process_dir("empty");
    fs::create_dir_all(&empty).unwrap();
    let mut holder = user.command("python3");
    holder.args(["-c", script]).args([root.join("runtime/lock"), empty.join("supervisor.lock")]);
    let mut holder =
        holder.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(holder.stdout.take().unwrap()), &mut line)
        .unwrap();
    assert_eq!(line, "held\n");
    assert_eq!(cleaned(&clean(&user, &["--dry-run"])), []);
    drop(holder.stdin.take());
    assert!(holder.wait().unwrap().success());
    let expected = [("no-spec", "empty"), ("unfinished", ".new-going-on")];
    assert_eq!(cleaned(&clean(&user, &[])), expected.map(|(what, file)| (what.to_owned(), file.to_owned())));
}

#[test]
fn starts_and_ends_go_on_beside_it_and_miss_nothing() {
    let user = User::new();
    let over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let cleaner = scope.spawn(|| {
            let mut rounds = 0;
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                user.ok(&["doctor", "clean", "--aggressive"]);
                rounds += 1;
            }
            rounds
        });
        let starters: Vec<_> = ["a", "b", "c"]
            .map(|name| {
                let user = &user;
                scope.spawn(move || {
                    for round in 0..6 {
                        user.ok(&[
                            "start",
                            "--name",
                            name,
                            "sh",
                            "-c",
                            &format!("echo {round}; exec sleep 1000"),
                        ]);
                        if round < 5 {
                            user.ok(&[if round % 2 == 0 { "delete" } else { "stop" }, name]);
                        }
                    }
                })
            })
            .into();
        let ended: Vec<_> = starters.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        over.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(cleaner.join().unwrap() > 0);
        assert!(ended.iter().all(Result::is_ok));
    });
    for name in ["a", "b", "c"] {
        user.until_state(name, "online");
        let root = user.tsm_dir();
        for file in [
            format!("runtime/processes/{name}/control.sock"),
            format!("pids/{name}.pid"),
            format!("logs/{name}.log"),
        ] {
            assert!(exists(&root.join(&file)), "{file}");
        }
    }
}

#[test]
fn a_pid_file_that_is_just_being_written_stays() {
    let user = two();
    let file = user.tsm_dir().join("pids/.new-pid");
    fs::write(&file, "1").unwrap();
    assert_eq!(cleaned(&clean(&user, &[])), []);
    let long_ago = SystemTime::now() - Duration::from_secs(3600);
    File::options().write(true).open(&file).unwrap().set_modified(long_ago).unwrap();
    assert_eq!(cleaned(&clean(&user, &[])), [("unfinished".to_owned(), ".new-pid".to_owned())]);
}

#[test]
fn only_aggressively_goes_what_could_be_wanted() {
    let user = User::new();
    let (port, free) = (free_port(), free_port());
    let dir = user.cwd().join("short-lived");
    fs::create_dir_all(&dir).unwrap();
    for (name, flags) in [
        ("gone", vec!["--dir", dir.to_str().unwrap()]),
        ("taken", vec!["--port", &port.to_string()]),
        ("fine", vec!["--port", &free.to_string()]),
    ] {
        user.ok(&[&["start", "--name", name], flags.as_slice(), &["sleep", "1000"]].concat());
    }
    user.ok(&["stop", "all"]);
    fs::remove_dir(&dir).unwrap();
    let held = TcpListener::bind(("127.0.0.1", port)).unwrap();
    fs::write(user.log("old"), "twelve bytes").unwrap();
    fs::write(user.tsm_dir().join("logs/old.log.1"), "more").unwrap();

    let taken = format!("taken-{port}");
    let ran = user.ok(&["doctor", "clean"]).says("cleaned 0, kept 4\n").says("old.log (16B, of no");
    assert!(ran.stdout.contains("is gone") && ran.stdout.contains(&format!("its port {port} belongs to")));
    assert!(ran.stderr.contains("try: tsm doctor clean --aggressive"), "{ran:?}");
    assert_eq!(user.state(&taken), "stopped");
    assert!(user.log("old").exists());

    let all = cleaned(&clean(&user, &["-a"]));
    let expected = [("gone-directory", "gone"), ("log", "old.log"), ("taken-port", taken.as_str())]
        .map(|(what, file)| (what.to_owned(), file.to_owned()));
    assert_eq!(all, expected);
    assert!(!user.log("old").exists() && !user.tsm_dir().join("logs/old.log.1").exists());
    // The logs of what was only just forgotten can still be read.
    assert!(user.log("gone").exists() && user.log(&taken).exists());
    let left: Vec<_> =
        user.json(&["list", "all"]).as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
    assert_eq!(left, [format!("fine-{free}")]);
    drop(held);
}

#[test]
fn a_short_link_to_a_directory_that_is_gone_is_removed_and_nobody_elses() {
    let user = User::within(
        &std::env::temp_dir(),
        "a-directory-with-a-name-that-is-long-enough-for-its-sockets-to-need-a-short-link/and-some-more-of-it",
    );
    user.ok(&["start", "--name", "far", "sleep", "1000"]);
    let address = user.json(&["info", "far"])["socket"].as_str().unwrap().to_owned();
    let link = Path::new(&address).parent().unwrap().to_owned();
    assert!(link.starts_with("/tmp") && link.is_symlink(), "{address}");
    assert_eq!(cleaned(&clean(&user, &[])), []);
    assert!(link.is_symlink());
    user.ok(&["stop", "far"]);
    fs::remove_dir_all(user.process_dir("far")).unwrap();
    let other = User::new();
    assert_eq!(cleaned(&clean(&other, &[])), []);
    // The next long path of this user sweeps such links too, so it may be gone already.
    clean(&user, &[]);
    assert!(!exists(&link));
}

#[test]
fn nothing_at_all_is_clean() {
    let user = User::new();
    user.ok(&["doctor", "clean"]).says("cleaned 0, kept 0\n");
    user.ok(&["doctor"]);
    assert!(!user.tsm_dir().exists());
}
