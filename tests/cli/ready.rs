//! Readiness: by what listens, by what the program says, by what it lives through; and waiting for it.

use crate::kit::{User, eventually, free_port, is_alive, kill, text};

/// Says `message` to its supervisor, as `sd_notify(3)` does, each time the file `go` appears.
const NOTIFIER: &str = "import os, socket, sys, time\n\
    def say(text):\n\
    \x20   socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(text.encode(), os.environ['NOTIFY_SOCKET'])\n\
    say('STATUS=warming up')\n\
    while not os.path.exists('go'): time.sleep(0.01)\n\
    say('STATUS=serving\\nREADY=1')\n\
    while not os.path.exists('end'): time.sleep(0.01)\n\
    say('STOPPING=1\\nSTATUS=draining')\n\
    time.sleep(600)\n";

/// Listens on the given port after the file `go` has appeared.
const SERVER: &str = "import os, socket, sys, time\n\
    while not os.path.exists('go'): time.sleep(0.01)\n\
    s = socket.socket(); s.bind(('127.0.0.1', int(sys.argv[1]))); s.listen()\n\
    time.sleep(600)\n";

#[test]
fn a_program_says_itself_when_it_is_ready() {
    let user = User::new();
    user.file("notifier.py", NOTIFIER);
    let port = free_port().to_string();
    user.ok(&["start", "--name", "n", "--kind", "port", "--port", &port, "python3", "notifier.py"]);
    let name = format!("n-{port}");
    eventually("it is warming up", || user.view(&name)["note"] == "warming up");
    assert_eq!(user.state(&name), "starting");
    user.file("go", "");
    user.until_state(&name, "online");
    assert_eq!(user.view(&name)["note"], "serving");
    user.file("end", "");
    eventually("it is draining", || user.view(&name)["note"] == "draining");
    assert_eq!(user.state(&name), "online");
    user.ok(&["list"]).says(&name);
}

#[test]
fn wait_returns_when_the_port_accepts() {
    let user = User::new();
    user.file("server.py", SERVER);
    let port = free_port().to_string();
    let name = format!("s-{port}");
    let start =
        ["start", "--wait", "--name", "s", "--port", &port, "--kind", "port", "python3", "server.py", &port];
    let mut waiting = user.tsm_command(&start).stdout(std::process::Stdio::piped()).spawn().unwrap();
    eventually("it runs", || user.log(&name).exists() && user.state(&name) == "starting");
    assert!(waiting.try_wait().unwrap().is_none(), "it waits");
    user.file("go", "");
    let output = waiting.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains(&format!("Port: {port})")), "{output:?}");
    assert_eq!(user.state(&name), "online");
}

#[test]
fn too_slow_is_124_and_the_program_stays() {
    let user = User::new();
    let port = free_port().to_string();
    let start = ["start", "--wait=1", "--name", "s", "--port", &port, "--kind", "port", "sleep", "600"];
    user.tsm(&start).code(124).complains("not ready");
    let name = format!("s-{port}");
    assert!(is_alive(user.pid(&name)));
    assert_eq!(user.state(&name), "starting");
    user.tsm(&["restart", "--wait=1", &name]).code(124).complains("not ready");
    assert!(is_alive(user.pid(&name)));
}

#[test]
fn a_death_while_waiting_is_1_with_the_last_lines() {
    let user = User::new();
    let script = "for i in {1..40}; do echo \"line $i\"; done; echo 'fatal: no database' >&2; exit 7";
    for (name, policy) in [("once", "no"), ("again", "on-failure")] {
        let start = [
            "start",
            "--wait",
            "--restart",
            policy,
            "--max-restarts",
            "2",
            "--name",
            name,
            "--kind",
            "pid",
            "--",
            "bash",
            "-c",
            script,
        ];
        let ran = user.tsm(&start).code(1).complains("fatal: no database").complains("line 40");
        assert!(ran.stderr.contains("exit code 7"), "{ran:?}");
        // The next run may write meanwhile.
        assert!(policy != "no" || !ran.stderr.contains("line 1\n"), "only the last lines: {ran:?}");
        assert!(!ran.stdout.contains("Started"), "{ran:?}");
    }
    user.until_state("once", "exited");
    user.until_state("again", "errored");
}

#[test]
fn what_does_not_listen_is_ready_when_it_lives() {
    let user = User::new();
    user.ok(&["start", "--wait", "--name", "p", "--kind", "pid", "sleep", "600"]).says("Started: p");
    assert_eq!(user.state("p"), "online");
    user.ok(&["start", "--wait", "--name", "job", "--kind", "pid", "--restart", "no", "true"]);
    assert_eq!(user.state("job"), "exited");
}

#[test]
fn a_server_that_listens_elsewhere_is_reported() {
    let user = User::new();
    user.file("server.py", SERVER);
    user.file("go", "");
    let (planned, real) = (free_port(), free_port());
    let (port, other) = (planned.to_string(), real.to_string());
    let start =
        ["start", "--wait", "--name", "s", "--port", &port, "--kind", "port", "python3", "server.py", &other];
    let ran = user.ok(&start);
    let remark = format!("it listens on {real}, not on the planned port {planned}");
    assert!(format!("{}{}", ran.stdout, ran.stderr).contains(&remark), "{ran:?}");
    let view = user.view(&format!("s-{port}"));
    assert_eq!(view["status"], "online");
    assert_eq!((&view["port"], &view["ports"]), (&planned.into(), &serde_json::json!([real])));
    assert_eq!(view["note"], remark);
}

#[test]
fn ready_of_a_run_that_crashed_does_not_count_for_the_next() {
    let user = User::new();
    let port = free_port().to_string();
    let script = "import os, socket, time\n\
        if os.path.exists('second'): print('second', flush=True); time.sleep(600)\n\
        while not os.path.exists('go'): time.sleep(0.01)\n\
        open('second', 'w').close()\n\
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'READY=1', os.environ['NOTIFY_SOCKET'])\n\
        os._exit(1)\n";
    user.file("flaky.py", script);
    user.ok(&["start", "--name", "f", "--kind", "port", "--port", &port, "python3", "flaky.py"]);
    let name = format!("f-{port}");
    let (pid, supervisor) = (user.pid(&name), user.supervisor(&name));
    // The supervisor learns of both at once.
    kill(supervisor, "STOP");
    user.file("go", "");
    eventually("it has said so and crashed", || !is_alive(pid));
    kill(supervisor, "CONT");
    eventually("the second run is under way", || text(&user.log(&name)).contains("second"));
    let view = user.view(&name);
    assert_eq!((view["status"].as_str(), view["run"].as_i64()), (Some("starting"), Some(2)), "{view}");
}
