//! What a program is given: signals, descriptors, session, environment, umask; and nothing else.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::kit::{User, eventually, free_port, run, text};

/// Signals 32 and 33 belong to the C library, which ignores them in what it spawns.
const LIBC_OWN: u64 = 0b11 << 31;

/// Runs the line `line` in a shell, where `$TSM` is this build's tsm.
fn shell(user: &User, line: &str) {
    let mut command = user.command("bash");
    command.args(["-c", line]).env("TSM", env!("CARGO_BIN_EXE_tsm"));
    run(command).code(0);
}

/// A field of `/proc/PID/status` as a number of base 16.
fn mask(pid: i32, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(&format!("{field}:"))).unwrap();
    u64::from_str_radix(line.trim(), 16).unwrap()
}

/// The environment of a process.
fn environ(pid: i32) -> Vec<String> {
    let bytes = fs::read(format!("/proc/{pid}/environ")).unwrap();
    bytes.split(|byte| *byte == 0).map(|one| String::from_utf8_lossy(one).into_owned()).collect()
}

#[test]
fn every_signal_is_as_a_shell_leaves_it() {
    let user = User::new();
    for (name, line) in [
        ("plain", "$TSM start --name plain --kind pid sleep 600"),
        ("hangup", "nohup $TSM start --name hangup --kind pid sleep 600"),
        ("ignored", "trap '' INT TERM QUIT CHLD PIPE USR1; $TSM start --name ignored --kind pid sleep 600"),
        (
            "blocked",
            "python3 -c 'import signal, subprocess, sys, os\n\
             signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGCHLD, signal.SIGINT, signal.SIGHUP])\n\
             sys.exit(subprocess.run([os.environ[\"TSM\"], \"start\", \"--name\", \"blocked\", \"--kind\", \"pid\", \
             \"sleep\", \"600\"]).returncode)'",
        ),
    ] {
        shell(&user, line);
        let pid = user.pid(name);
        assert_eq!(mask(pid, "SigIgn") & !LIBC_OWN, 0, "{name}: something is ignored");
        assert_eq!(mask(pid, "SigBlk"), 0, "{name}: something is blocked");
        assert_eq!(mask(pid, "SigCgt"), 0, "{name}");
        user.ok(&["stop", name]);
        assert_eq!(user.alive(), [], "{name}: its supervisor hears of its end");
    }
}

#[test]
fn only_the_three_usual_descriptors_are_open() {
    let user = User::new();
    shell(&user, "exec 3</etc/passwd 4>leak 5<&3 9<&3 77>leak; $TSM start --name p --kind pid sleep 600");
    let (pid, supervisor) = (user.pid("p"), user.supervisor("p"));
    let open = |pid: i32| -> Vec<(String, String)> {
        fs::read_dir(format!("/proc/{pid}/fd"))
            .unwrap()
            .flatten()
            .map(|item| {
                let target = fs::read_link(item.path()).unwrap_or_default().display().to_string();
                (item.file_name().into_string().unwrap(), target)
            })
            .collect()
    };
    let mut program = open(pid);
    program.sort();
    let numbers: Vec<&str> = program.iter().map(|(number, _)| number.as_str()).collect();
    assert_eq!(numbers, ["0", "1", "2"], "{program:?}");
    let log = user.log("p").display().to_string();
    assert!(program[1].1 == log && program[2].1 == log, "{program:?}");
    let leaked: Vec<_> = open(supervisor)
        .into_iter()
        .filter(|(_, target)| target.contains("leak") || target.contains("passwd"))
        .collect();
    assert!(leaked.is_empty(), "the supervisor keeps {leaked:?}");
    user.ok(&["restart", "p"]);
    assert_eq!(open(user.pid("p")).len(), 3, "after a restart as well");
}

#[test]
fn it_has_a_session_of_its_own() {
    let user = User::new();
    user.ok(&["start", "--name", "p", "--kind", "pid", "sleep", "600"]);
    let pid = user.pid("p");
    let stat = text(std::path::Path::new(&format!("/proc/{pid}/stat")));
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split_whitespace().collect();
    let (group, session, terminal) = (fields[2], fields[3], fields[4]);
    assert_eq!((group, session, terminal), (&*pid.to_string(), &*pid.to_string(), "0"));
}

#[test]
fn it_is_told_who_it_is() {
    let user = User::new();
    let port = free_port().to_string();
    user.ok(&["start", "--name", "first", "--kind", "pid", "sleep", "600"]);
    let mut command =
        user.tsm_command(&["start", "--name", "web", "--kind", "port", "--port", &port, "sleep", "600"]);
    // What another managed process would hand on to what it starts.
    command
        .env("TSM_NAME", "other")
        .env("TSM_ID", "99")
        .env("TSM_SOCKET", "/other")
        .env("PORT", "1")
        .env("MINE", "kept");
    command.env("NOTIFY_SOCKET", "/other").env("LISTEN_FDS", "1").env("BASH_FUNC_ll%%", "() {  ls -l; }");
    run(command).code(0);
    let name = format!("web-{port}");
    let all = environ(user.pid(&name));
    let dir = user.process_dir(&name);
    for expected in [
        format!("PORT={port}"),
        format!("TSM_PORT={port}"),
        format!("TSM_NAME={name}"),
        "TSM_ID=1".into(),
        format!("TSM_SOCKET={}/control.sock", dir.display()),
        format!("NOTIFY_SOCKET={}/notify.sock", dir.display()),
        format!("PWD={}", user.cwd().canonicalize().unwrap().display()),
        "MINE=kept".into(),
    ] {
        let key = expected.split('=').next().unwrap();
        let found: Vec<_> = all.iter().filter(|one| one.split('=').next() == Some(key)).collect();
        assert_eq!(found, [&expected]);
    }
    for gone in ["BASH_FUNC_", "LISTEN_FDS="] {
        assert!(!all.iter().any(|one| one.starts_with(gone)), "{gone}: {all:?}");
    }
    assert!(!environ(user.supervisor(&name)).iter().any(|one| one.starts_with("BASH_FUNC_")));

    let plain = environ(user.pid("first"));
    assert!(!plain.iter().any(|one| one.starts_with("PORT=") || one.starts_with("TSM_PORT=")), "{plain:?}");
}

#[test]
fn the_umask_the_nice_value_and_the_limits_are_the_callers() {
    let user = User::new();
    let program = "touch made; mkdir dir; nice >nice; ulimit -n >limit; echo done >over; exec sleep 600";
    shell(
        &user,
        &format!("umask 027; ulimit -n 321; nice -n 3 $TSM start --name p --kind pid -- bash -c '{program}'"),
    );
    eventually("the program has made its files", || text(&user.cwd().join("over")) == "done\n");
    let mode = |path: &str| fs::metadata(user.cwd().join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("made"), mode("dir")), (0o640, 0o750));
    assert_eq!(text(&user.cwd().join("limit")), "321\n");
    let own = text(&user.cwd().join("nice"));
    assert!(own.trim().parse::<i32>().unwrap() >= 3, "{own}");
    fs::remove_file(user.cwd().join("over")).unwrap();
    fs::remove_file(user.cwd().join("made")).unwrap();
    fs::remove_dir(user.cwd().join("dir")).unwrap();
    user.ok(&["restart", "p"]);
    eventually("and again", || text(&user.cwd().join("over")) == "done\n");
    assert_eq!((mode("made"), mode("dir")), (0o640, 0o750), "after a restart as well");
}

#[test]
fn a_caller_without_open_descriptors_can_start_something() {
    let user = User::new();
    shell(
        &user,
        "$TSM start --name p --kind pid -- bash -c 'echo out; echo err >&2; exec sleep 600' <&- >&- 2>&-",
    );
    eventually("both streams are in the log", || text(&user.log("p")) == "out\nerr\n");
}
