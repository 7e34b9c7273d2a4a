//! Bad input, broken files and full disks: a clear error, and nothing half-made.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::kit::{Ran, User, eventually, is_alive, run, text};

/// Every path below `dir` with the bytes of its file.
fn tree(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for item in fs::read_dir(dir).into_iter().flatten().flatten() {
        let kind = item.file_type().unwrap();
        if kind.is_dir() {
            all.extend(tree(&item.path()));
        }
        all.insert(item.path(), if kind.is_file() { fs::read(item.path()).unwrap() } else { Vec::new() });
    }
    all
}

#[test]
fn bad_words_are_a_usage_error_that_says_which() {
    let user = User::new();
    let long = "x".repeat(300);
    let rows: &[(&[&str], &str)] = &[
        (&["start"], "a command is required"),
        (&["start", ""], "a command is required"),
        (&["start", "  "], "a command is required"),
        (&["start", "A=1"], "a command is required"),
        (&["start", "--port"], "--port"),
        (&["start", "--name"], "--name"),
        (&["start", "--env"], "--env"),
        (&["strat", "x"], "tsm start"),
        (&["start", "--prot", "3", "sleep", "1"], "tsm start --port"),
        (&["start", "--port", "abc", "sleep", "1"], "abc"),
        (&["start", "--port", "0", "sleep", "1"], "1 to 65535"),
        (&["start", "--port", "70000", "sleep", "1"], "1 to 65535"),
        (&["start", "--port", "-1", "sleep", "1"], "-1"),
        (&["start", "--name", "../x", "sleep", "1"], "'/'"),
        (&["start", "--name", "", "sleep", "1"], "empty"),
        (&["start", "--name", &long, "sleep", "1"], "64"),
        (&["start", "--name", ".x", "sleep", "1"], "start with"),
        (&["start", "--name", "all", "sleep", "1"], "all"),
        (&["start", "--kind", "daemon", "sleep", "1"], "port, socket or pid"),
        (&["start", "--restart", "maybe", "sleep", "1"], "maybe"),
        (&["start", "--max-restarts", "-3", "sleep", "1"], "-3"),
        (&["start", "--stop-timeout", "soon", "sleep", "1"], "soon"),
        (&["start", "--stop-signal", "NOPE", "sleep", "1"], "NOPE"),
        (&["start", "--wait=soon", "sleep", "1"], "soon"),
        (&["start", "--wait", "--no-wait", "sleep", "1"], "--no-wait"),
        (&["start", "--env-var", "PORT=0", "sleep", "1"], "PORT=0"),
        (&["start", "--env-var", "novalue", "sleep", "1"], "NAME=VALUE"),
        (&["start", "sleep 'open"], "quote"),
    ];
    for (words, said) in rows {
        let ran = user.tsm(words).code(2).complains(said);
        assert!(ran.stderr.starts_with("tsm: ") && ran.stdout.is_empty(), "{ran:?}");
    }
    assert!(!user.tsm_dir().exists(), "{:?}", tree(&user.tsm_dir()).keys());
}

#[test]
fn what_cannot_be_executed_is_an_error_of_start_and_leaves_nothing() {
    let user = User::new();
    user.file("data.txt", "just text\n");
    user.file("dir/x", "");
    user.program("ghost", "#!/no/such/interpreter\n");
    let text_file = user.program("no-shebang", "echo it runs by sh; exec sleep 1000\n");
    user.ok(&["start", "sleep", "1000"]);
    user.ok(&["stop", "all"]);
    let before = tree(&user.tsm_dir());
    let rows: &[(&[&str], i32, &str)] = &[
        (&["no-such-command", "x"], 4, "command not found: no-such-command"),
        (&["./no-such-file"], 4, "./no-such-file"),
        (&["/no/such/file", "x"], 4, "/no/such/file"),
        (&["./data.txt"], 1, "permission denied"),
        (&["./dir"], 1, "cannot execute"),
        (&["./ghost"], 4, "interpreter"),
        (&["--dir", "/no/such/dir", "sleep", "1"], 4, "/no/such/dir"),
        (&["--dir", "data.txt", "sleep", "1"], 4, "data.txt"),
        (&["--name", "sleepy", "--dir", ".", "no-such-command"], 4, "cannot start sleepy"),
    ];
    for (words, code, said) in rows {
        user.tsm(&[&["start"][..], words].concat()).code(*code).complains(said);
        assert_eq!(tree(&user.tsm_dir()), before, "{words:?}");
    }
    // Nor is what was there replaced by what does not run.
    user.tsm(&["start", "--name", "my-api-sleep", "no-such-command"]).code(4);
    assert_eq!(user.view("my-api-sleep")["command"], "sleep 1000");
    assert_eq!(user.state("my-api-sleep"), "stopped");
    user.ok(&["start", "my-api-sleep"]).says("TSM ID: 0");
    // A text file with the x bit is run by sh, as a shell does.
    user.ok(&["start", text_file.to_str().unwrap()]);
    eventually("it runs by sh", || text(&user.log("my-api-no-shebang")).contains("it runs by sh"));
}

#[test]
fn a_broken_line_of_the_patterns_is_skipped() {
    let user = User::new();
    fs::create_dir_all(user.tsm_dir()).unwrap();
    let mut patterns =
        b"no bars at all\nx|re:([|1|y\nbad|sleep|99999|{cmd}\n\xff\xfe|\xff|1|{cmd}\n".to_vec();
    patterns.extend(b"good|^sleep|0|{cmd}\n");
    fs::write(user.tsm_dir().join("patterns.txt"), patterns).unwrap();
    assert_eq!(user.json(&["start", "sleep", "1000"])["kind"], "socket");
    // Only the line that may have been meant is worth a word, and only its place.
    let ran = user.ok(&["start", "--name", "again", "sleep", "1001"]);
    assert!(
        ran.stderr.ends_with(
            "patterns.txt:3 is broken, and may have been meant for this\n  try: tsm doctor healthcheck\n"
        ),
        "{ran:?}"
    );
    assert_eq!(user.ok(&["start", "--name", "other", "tail", "-f", "/dev/null"]).stderr, "");
}

#[test]
fn a_state_directory_that_cannot_be_written_is_said_by_name_and_nothing_is_started() {
    let user = User::new();
    let file = user.file("a file", "");
    let start_in = |dir: &Path, words: &[&str]| {
        let mut command = user.tsm_command(words);
        command.env("TSM_DIR", dir);
        run(command)
    };
    for dir in [file.join("tsm"), PathBuf::from("/proc/tsm"), PathBuf::from("/sys/tsm")] {
        start_in(&dir, &["start", "sleep", "1000"]).code(1).complains(&dir.display().to_string());
        start_in(&dir, &["list"]).code(0);
        assert!(!dir.exists());
    }
    assert_eq!(text(&file), "");
    // Another user's directory: root may write anywhere, so it is tried as somebody else.
    let theirs = user.home().join("theirs");
    fs::create_dir_all(&theirs).unwrap();
    fs::set_permissions(&theirs, fs::Permissions::from_mode(0o555)).unwrap();
    let dir = theirs.join("tsm");
    as_nobody(&user, &dir, &["start", "sleep", "1000"])
        .code(1)
        .complains(&dir.display().to_string())
        .complains("ermission denied");
    assert!(!dir.exists());
    fs::create_dir(&dir).unwrap();
    fs::set_permissions(&theirs, fs::Permissions::from_mode(0o755)).unwrap();
    as_nobody(&user, &dir, &["start", "sleep", "1000"]).code(1).complains(&dir.display().to_string());
    assert_eq!(tree(&dir).len(), 0);
}

/// Runs `tsm` with `TSM_DIR` at `dir`, as nobody when this is root.
fn as_nobody(user: &User, dir: &Path, words: &[&str]) -> Ran {
    let mut command = if is_root() {
        // The build may be where nobody may look.
        let program = user.home().join("tsm-for-nobody");
        if !program.exists() {
            assert!(
                Command::new("cp").arg(env!("CARGO_BIN_EXE_tsm")).arg(&program).status().unwrap().success()
            );
        }
        fs::set_permissions(user.home(), fs::Permissions::from_mode(0o755)).unwrap();
        let mut command = user.command("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(program).args(words);
        command
    } else {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o555)).ok();
        user.tsm_command(words)
    };
    command.env("TSM_DIR", dir);
    run(command)
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// A full disk: the script runs in a mount namespace of its own with a filesystem of 16 pages at `$TSM_DIR`. It fails
/// where no such namespace can be made, because then nothing would be tested.
#[test]
fn a_full_disk_is_said_leaves_nothing_half_made_ends_no_program_and_passes() {
    let user = User::new();
    let script = user.program("full.sh", FULL);
    fs::create_dir_all(user.tsm_dir()).unwrap();
    let mut command = user.command("unshare");
    command.args(if is_root() { &["-m"][..] } else { &["-rm"] });
    command.arg("bash").arg(script).env("TSM", env!("CARGO_BIN_EXE_tsm"));
    let ran = run(command);
    assert_eq!((ran.code, ran.stdout.lines().last()), (0, Some("all of it held")), "{ran:#?}");
}

const FULL: &str = r#"
set -u
fail() { echo "FAILED: $*"; "$TSM" kill all; find "$TSM_DIR" -ls; exit 1; }
mount -t tmpfs -o size=64k tmpfs "$TSM_DIR" || fail "no filesystem of its own"
fill() { cat /dev/zero >"$TSM_DIR/ballast" 2>/dev/null; true; }
"$TSM" start --name before bash -c 'while read -r line; do :; done' || fail "start with space"
"$TSM" start --name stopped sleep 1000 && "$TSM" stop stopped || fail "stop with space"
pid=$(cat "$TSM_DIR/pids/before.pid")
shape() { (cd "$TSM_DIR" && find . -path ./runtime/processes/before -prune -o -print | sort); }
shape >"$HOME/shape.before"
fill
shape | grep -v '^./ballast$' >"$HOME/shape.full"
diff "$HOME/shape.before" "$HOME/shape.full" || fail "the disk is not as it was"
for n in 1 2 3; do
    said=$("$TSM" start --name "new$n" sleep 1000 2>&1) && fail "start on a full disk: $said"
    case $said in *"o space left"*) ;; *) fail "it does not say why: $said" ;; esac
    said=$("$TSM" start stopped 2>&1) && fail "start again on a full disk: $said"
    case $said in *"o space left"*) ;; *) fail "it does not say why: $said" ;; esac
done
shape | grep -v '^./ballast$' >"$HOME/shape.after"
diff "$HOME/shape.before" "$HOME/shape.after" || fail "something is left"
kill -0 "$pid" || fail "the running one is gone"
"$TSM" list | grep -q '^ *0  before' || fail "it is not listed"
"$TSM" list all | grep -q 'stopped .*stopped' || fail "the stopped one is not listed as stopped: $("$TSM" list all)"
kill -9 "$pid"
for _ in $(seq 1000); do
    new=$("$TSM" list --json | python3 -c 'import json,sys; print([v["pid"] for v in json.load(sys.stdin) if v["name"]=="before"][0] or "")')
    [[ -n $new && $new != "$pid" ]] && break
done
[[ -n $new && $new != "$pid" ]] || fail "it is not restarted on a full disk"
rm "$TSM_DIR/ballast"
"$TSM" start --name new1 sleep 1000 || fail "start with space again"
"$TSM" start stopped || fail "start again with space"
"$TSM" stop all || fail "stop"
"$TSM" delete all || fail "delete"
echo "all of it held"
"#;

#[test]
fn a_broken_file_of_one_process_costs_no_other_one_anything() {
    for (file, body, said) in [
        ("status.json", "", "empty"),
        ("status.json", "{\"schema\":1,\"id\":0,\"na", "status.json"),
        ("status.json", "[1,2,3]\n", "status.json"),
        ("status.json", "\u{0}\u{1}", "status.json"),
        ("status.json", "{\"schema\":99}", "newer"),
        ("spec.json", "", "empty"),
        ("spec.json", "{\"schema\":1,\"id\":0,\"na", "spec.json"),
        ("spec.json", "{\"apiVersion\":\"v1\"}\n", "spec.json"),
        ("spec.json", "{\"schema\":99,\"id\":0}", "newer"),
    ] {
        let user = User::new();
        let what = format!("{file} {body:?}");
        for name in ["bad", "good"] {
            user.ok(&["start", "--name", name, "sleep", "1000"]);
        }
        let pid = user.pid("bad");
        // While it runs.
        fs::write(user.process_dir("bad").join(file), body).unwrap();
        user.ok(&["list"]).says("bad").says("good");
        user.ok(&["info", "good"]).says("sleep 1000");
        user.tsm(&["info", "bad"]);
        user.ok(&["start", "--name", "third", "sleep", "1000"]).says("TSM ID: 2");
        assert!(is_alive(pid), "{what}");
        user.ok(&["stop", "bad"]);
        assert!(!is_alive(pid), "{what}");
        // While it does not.
        fs::write(user.process_dir("bad").join(file), body).unwrap();
        user.ok(&["list", "all"]).says("bad");
        user.ok(&["restart", "good"]);
        user.ok(&["start", "--name", "fourth", "sleep", "1000"]).says("TSM ID: 3");
        let ran = user.tsm(&["start", "bad"]);
        if file == "spec.json" || body.contains("99") {
            ran.code(1).complains(said).complains(&user.process_dir("bad").join(file).display().to_string());
            user.ok(&["delete", "bad"]);
        } else {
            // Its spec says all that is needed.
            ran.code(0).says("Started: bad (TSM ID: 0");
            assert_eq!(user.state("bad"), user.state("third").replace("online", &user.state("bad")));
            user.ok(&["delete", "bad"]);
        }
        assert!(!user.process_dir("bad").exists(), "{what}");
        user.ok(&["stop", "good", "third", "fourth"]);
    }
}

#[test]
fn broken_remembered_ports_are_forgotten_and_stray_files_are_passed_over() {
    let user = User::new();
    user.ok(&["start", "--kind", "port", "sleep", "1000"]);
    user.ok(&["delete", "all"]);
    for body in ["", "{\"schema\":1,\"po", "[]", "{\"schema\":99,\"ports\":7}"] {
        fs::write(user.tsm_dir().join("runtime/ports.json"), body).unwrap();
        user.ok(&["start", "--kind", "port", "sleep", "1000"]).says("Started: my-api-sleep-");
        user.ok(&["delete", "all"]);
    }
    let processes = user.tsm_dir().join("runtime/processes");
    fs::write(processes.join("stray"), "x").unwrap();
    fs::create_dir(processes.join("hollow")).unwrap();
    fs::create_dir(processes.join(".new-left")).unwrap();
    user.ok(&["start", "sleep", "1000"]).says("Started: my-api-sleep (TSM ID: 0");
    user.ok(&["list", "all"]).says("my-api-sleep");
    assert!(!processes.join(".new-left").exists());
    user.ok(&["start", "--name", "hollow", "sleep", "1000"]).says("Started: hollow (TSM ID: 1");
    user.ok(&["stop", "all"]);
    user.ok(&["cleanup"]);
    assert_eq!(user.json(&["list", "all"]), json!([]));
}
