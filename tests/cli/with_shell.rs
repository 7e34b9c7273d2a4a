//! `tsm start --with-shell`: a process that ends with the shell it was started from, and with no other.

use std::fs;
use std::process::{Child, ChildStdin, Stdio};

use serde_json::json;

use crate::callers::typed;
use crate::kit::{User, eventually, is_alive, kill, run, text};
use crate::terminal::Terminal;

const TSM: &str = env!("CARGO_BIN_EXE_tsm");

/// The shell layer of this checkout, whose `tsm` runs this build.
fn sourced() -> String {
    format!(
        "TSM_SRC=; source '{}/shell/tsm.sh'; PATH='{}':$PATH; TSM_SRC=",
        env!("CARGO_MANIFEST_DIR"),
        std::path::Path::new(TSM).parent().unwrap().display()
    )
}

/// A bash that does line by line what it is told.
struct Shell {
    child: Child,
    stdin: Option<ChildStdin>,
}

impl Shell {
    fn open(user: &User) -> Self {
        let mut command = user.command("bash");
        command.args(["--norc", "--noprofile"]).stdin(Stdio::piped());
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let stdin = child.stdin.take();
        let mut shell = Shell { child, stdin };
        shell.types(&sourced());
        shell
    }

    fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    fn types(&mut self, line: &str) {
        use std::io::Write;
        writeln!(self.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Runs `line` to its end; its output is that of the file.
    fn does(&mut self, user: &User, line: &str) -> String {
        let file = user.cwd().join("said");
        let _ = fs::remove_file(&file);
        let mark = user.cwd().join("said.part");
        self.types(&format!(
            "{{ {line}; }} >'{0}' 2>&1 </dev/null; echo \"rc=$?\" >>'{0}'; mv '{0}' '{1}'",
            mark.display(),
            file.display()
        ));
        eventually(line, || file.exists());
        text(&file)
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn it_ends_with_the_shell_that_started_it_however_that_ends() {
    for how in ["exit", "KILL", "HUP", "exec"] {
        let user = User::new();
        let mut shell = Shell::open(&user);
        // From a subshell and a substitution it is still the shell.
        let said = shell.does(&user, "(tsm start --with-shell --name one sleep 1000)");
        assert!(said.contains("Started: one") && said.ends_with("rc=0\n"), "{said}");
        shell.does(&user, "x=$(tsm start --with-shell --name two sleep 1000)");
        shell.does(&user, "tsm start --name free sleep 1000");
        let pids = ["one", "two"].map(|name| user.pid(name));
        assert_eq!(user.json(&["info", "two"])["ends_with"]["pid"], shell.pid());
        // It was for that one call.
        for pid in [pids[0], user.supervisor("one")] {
            let environ = text(format!("/proc/{pid}/environ").as_ref());
            assert!(!environ.contains("TSM_SHELL_PID"), "{environ:?}");
        }
        let pid = shell.pid();
        match how {
            "exit" => drop(shell.stdin.take()),
            "exec" => {
                // The shell is replaced: the same process goes on, and so do the others.
                shell.types("exec cat");
                let comm = format!("/proc/{pid}/comm");
                eventually("it is cat", || text(comm.as_ref()) == "cat\n");
                assert!(pids.iter().all(|pid| is_alive(*pid)));
                drop(shell.stdin.take());
            }
            signal => kill(pid, signal),
        }
        for (name, pid) in ["one", "two"].into_iter().zip(pids) {
            user.until_state(name, "stopped");
            assert!(!is_alive(pid), "{how}");
            let note = user.view(name)["note"].as_str().unwrap().to_owned();
            assert_eq!(note, format!("ended with its shell (PID {})", shell.pid()), "{how}");
        }
        user.until_state("free", "online");
    }
}

#[test]
fn the_program_is_asked_to_end_and_all_of_its_tree_ends() {
    let user = User::new();
    let script = "trap 'echo bye; exit 0' TERM; sleep 1000 & echo up; while :; do wait; done";
    user.file("w.sh", script);
    let mut shell = Shell::open(&user);
    shell.does(&user, "tsm start --with-shell --name w --kind pid bash w.sh");
    eventually("up", || text(&user.log("w")).contains("up"));
    drop(shell.stdin.take());
    user.until_state("w", "stopped");
    assert!(text(&user.log("w")).ends_with("bye\n"));
    eventually("nothing is left", || user.alive().is_empty());
}

#[test]
fn ctrl_d_at_a_terminal_takes_it_along() {
    let user = User::new();
    let mut command = user.command("bash");
    command.args(["--norc", "--noprofile", "-i"]).env("TERM", "dumb").env("PS1", "$ ");
    let mut terminal = Terminal::open(command);
    terminal.types(&sourced());
    terminal.types("tsm start --no-wait --with-shell --name served sleep 1000; echo is-$?-done");
    terminal.shows("is-0-done");
    let pid = user.pid("served");
    terminal.control_d();
    terminal.end();
    user.until_state("served", "stopped");
    assert!(!is_alive(pid));
}

#[test]
fn a_terminal_that_is_closed_takes_it_along() {
    let user = User::new();
    // The kernel hangs the terminal up, and bash ends by HUP.
    for how in ["close", "kill", "exit"] {
        let start = format!("tsm start --no-wait --with-shell --name {how} sleep 1000");
        typed(&user, how, &[], &[&sourced(), &start, "tsm start --no-wait --name free sleep 1000"]);
        user.until_state(how, "stopped");
        user.until_state("free", "online");
    }
}

#[test]
fn the_bare_binary_takes_its_parent_and_the_program_hears_nothing_of_it() {
    let user = User::new();
    let mut command = user.command("bash");
    // `; :` keeps bash from becoming tsm by exec.
    command.args(["-c", "\"$0\" start --with-shell --name p sleep 1000; echo $$; read -r line; :", TSM]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    eventually("it runs", || fs::exists(user.process_dir("p").join("status.json")).unwrap());
    user.until_state("p", "online");
    let info = user.json(&["info", "p"]);
    assert_eq!(info["ends_with"], json!({"what": "shell", "pid": child.id(), "alive": true}));
    user.ok(&["info", "p"]).says(&format!("  ends with   bash (PID {})\n", child.id()));
    let environ = text(format!("/proc/{}/environ", user.pid("p")).as_ref());
    assert!(!environ.contains("TSM_SHELL_PID"), "{environ:?}");
    assert_eq!(user.json(&["list"])[0].get("ends_with"), None);
    drop(child.stdin.take());
    child.wait().unwrap();
    user.until_state("p", "stopped");
}

#[test]
fn what_is_no_living_shell_of_this_user_is_an_error_that_starts_nothing() {
    let user = User::new();
    let mut gone = user.command("true").spawn().unwrap();
    gone.wait().unwrap();
    let dead = gone.id().to_string();
    let mut zombie = user.command("true").spawn().unwrap();
    let number = zombie.id().to_string();
    eventually("a zombie", || !is_alive(zombie.id() as i32));
    for (pid, code, why) in [
        (dead.as_str(), 1, "has ended already"),
        (number.as_str(), 1, "has ended already"),
        ("0", 2, "TSM_SHELL_PID=0 is not one"),
        ("1", 2, "TSM_SHELL_PID=1 is not one"),
        ("-5", 2, "is not one"),
        ("abc", 2, "is not one"),
    ] {
        let mut command = user.tsm_command(&["start", "--with-shell", "--name", "x", "sleep", "1000"]);
        command.env("TSM_SHELL_PID", pid);
        run(command).code(code).complains(why).complains("try: tsm start without --with-shell");
    }
    zombie.wait().unwrap();
    assert_eq!(user.json(&["list", "all"]), json!([]));
}

#[test]
fn restarts_keep_it_and_a_start_again_binds_it_anew_or_sets_it_free() {
    let user = User::new();
    let mut first = Shell::open(&user);
    first.does(&user, "tsm start --with-shell --name s sleep 1000");
    let bound = || user.json(&["info", "s"])["ends_with"]["pid"].clone();
    // A restart, from anywhere, a crash, and a start again while the shell lives.
    user.ok(&["restart", "s"]);
    assert_eq!(bound(), first.pid());
    user.ok(&["restart", "--update-env", "s"]);
    assert_eq!(bound(), first.pid());
    let pid = user.pid("s");
    kill(pid, "KILL");
    eventually("it is started again", || user.view("s")["restarts"] == 3 && user.state("s") == "online");
    user.ok(&["stop", "s"]);
    user.ok(&["start", "s"]);
    assert_eq!(bound(), first.pid());

    // Already running: whose end ends it is said.
    let mut second = Shell::open(&user);
    let said = second.does(&user, "tsm start --with-shell s");
    assert!(
        said.contains("Already running")
            && said.contains(&format!("it ends with bash (PID {})", first.pid()))
    );
    second.does(&user, "tsm stop s");
    let said = second.does(&user, "tsm start --with-shell s");
    assert!(said.contains("Started: s") && !said.contains("ends with"), "{said}");
    assert_eq!(bound(), second.pid());
    drop(first);
    // The second's end, not the first's, is what stops it.
    user.until_state("s", "online");
    drop(second);
    user.until_state("s", "stopped");

    // Its shell is gone: a start without the option sets it free.
    let ran = user.ok(&["start", "s"]).complains("has ended: s is bound to no shell any more");
    assert!(!ran.stderr.contains("error"), "{ran:?}");
    assert_eq!(bound(), json!(null));
    let third = Shell::open(&user);
    let pid = third.pid();
    let mut command = user.tsm_command(&["start", "--with-shell", "s"]);
    command.env("TSM_SHELL_PID", pid.to_string());
    run(command).code(0).says("Already running").complains("it is bound to no shell");
    // The same command with and without the option are two.
    user.tsm(&["start", "--with-shell", "--name", "s", "sleep", "1000"]).code(6);
    user.ok(&["start", "--name", "s", "sleep", "1000"]).says("Already running");
    drop(third);
    user.until_state("s", "online");
}

#[test]
fn a_start_by_name_from_another_directory_and_a_service_can_be_bound_too() {
    let user = User::new();
    fs::create_dir_all(user.tsm_dir().join("services-available")).unwrap();
    let definition = "SERVICE_NAME=job\nSERVICE_COMMAND='sleep 1000'\nSERVICE_TYPE=pid\n";
    fs::write(user.tsm_dir().join("services-available/job.tsm"), definition).unwrap();
    let mut shell = Shell::open(&user);
    let said = shell.does(&user, "tsm start --with-shell job");
    assert!(said.contains("Started: job"), "{said}");
    let said = shell.does(&user, "tsm start --with-shell job");
    assert!(said.contains("Already running") && !said.contains("ends with"), "{said}");
    user.ok(&["restart", "job"]);
    assert_eq!(user.json(&["info", "job"])["ends_with"]["pid"], shell.pid());
    drop(shell);
    user.until_state("job", "stopped");
}

#[test]
fn what_is_adopted_is_bound_as_long_as_its_shell_lives() {
    for lives in [true, false] {
        let user = User::new();
        let mut shell = Shell::open(&user);
        shell.does(&user, "tsm start --with-shell --name a sleep 1000");
        user.until_state("a", "online");
        let pid = user.pid("a");
        kill(user.supervisor("a"), "KILL");
        user.until_state("a", "unsupervised");
        let shell = lives.then_some(shell);
        user.ok(&["doctor", "orphans", "--adopt", "a"]);
        assert_eq!(user.pid("a"), pid);
        if lives {
            drop(shell);
            user.until_state("a", "stopped");
        } else {
            // It has a supervisor that answers, and was not ended.
            user.ok(&["socket", "status", "a"]).says("online");
            user.until_state("a", "online");
            // Its end is still seen to.
            kill(pid, "KILL");
            eventually("it is started again", || user.view("a")["restarts"] == 1);
        }
    }
}

#[test]
fn an_adopted_program_that_ends_by_itself_is_seen_to_beside_its_shell() {
    let user = User::new();
    let mut shell = Shell::open(&user);
    shell.does(&user, "tsm start --with-shell --name a sleep 1000");
    user.until_state("a", "online");
    let pid = user.pid("a");
    kill(user.supervisor("a"), "KILL");
    user.until_state("a", "unsupervised");
    user.ok(&["doctor", "orphans", "--adopt", "a"]);
    kill(pid, "KILL");
    eventually("it is started again", || user.view("a")["restarts"] == 1);
    user.until_state("a", "online");
    assert_eq!(user.json(&["info", "a"])["ends_with"]["alive"], true);
}

#[test]
fn a_recorded_shell_whose_number_another_process_has_now_is_dead() {
    let user = User::new();
    let mut shell = Shell::open(&user);
    shell.does(&user, "tsm start --with-shell --name r sleep 1000");
    let file = user.process_dir("r").join("spec.json");
    user.ok(&["stop", "r"]);
    let recorded: serde_json::Value = serde_json::from_str(&text(&file)).unwrap();
    let start = recorded["lifeline"]["identity"]["start"].as_u64().unwrap();
    for (start, boot) in [(start + 1, None), (start - 1, None), (start, Some("another-boot"))] {
        let mut changed = recorded.clone();
        changed["lifeline"]["identity"]["start"] = json!(start);
        if let Some(boot) = boot {
            changed["lifeline"]["boot_id"] = json!(boot);
        }
        fs::write(&file, changed.to_string()).unwrap();
        user.tsm(&["info", "r"]).code(3).says(", which has ended");
        user.ok(&["start", "r"]).complains("is bound to no shell any more");
        user.until_state("r", "online");
        user.ok(&["stop", "r"]);
    }
    // A file of before there were lifelines.
    let mut old = recorded;
    old.as_object_mut().unwrap().remove("lifeline");
    fs::write(&file, old.to_string()).unwrap();
    user.ok(&["start", "r"]);
    assert_eq!(user.json(&["info", "r"])["ends_with"], json!(null));
}
