//! `tsm with REF… -- CMD`: services for the time of a command, and for no longer.

use std::fs;
use std::process::{Child, Stdio};

use serde_json::json;

use crate::kit::{User, eventually, free_port, is_alive, kill, run, text};

const TSM: &str = env!("CARGO_BIN_EXE_tsm");

/// Says READY=1 once the file `sys.argv[1]` exists, and at its end writes its name to `order`.
const TASK: &str = r"
import os, signal, socket, sys, time
name, wanted = sys.argv[1], sys.argv[2:]
def end(*_):
    with open('order', 'a') as order: order.write(name + '\n')
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
open(name + '.began', 'w').close()
while not all(os.path.exists(file) for file in wanted): time.sleep(0.01)
said = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
said.connect(os.environ['NOTIFY_SOCKET'])
said.send(b'READY=1')
while True: time.sleep(1000)
";

/// A definition of a service.
fn define(user: &User, name: &str, lines: &str) {
    let folder = user.tsm_dir().join("services-available");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(format!("{name}.tsm")), format!("SERVICE_NAME={name}\n{lines}\n")).unwrap();
}

/// A user with the services `one` and `two`, which are ready at once.
pub(crate) fn tasks() -> User {
    let user = User::new();
    user.file("task.py", TASK);
    for name in ["one", "two"] {
        define(&user, name, &format!("SERVICE_COMMAND='python3 task.py {name}'\nSERVICE_TYPE=pid"));
    }
    user
}

/// A server, which is no service: it takes half a second before it listens.
fn serve(user: &User, name: &str) -> u16 {
    let port = free_port();
    let script = "import http.server, os, time; time.sleep(0.5)\n\
                  http.server.HTTPServer(('127.0.0.1', int(os.environ['PORT'])), \
                  http.server.SimpleHTTPRequestHandler).serve_forever()\n";
    user.file("serve.py", script);
    define(
        user,
        name,
        &format!("SERVICE_COMMAND='python3 serve.py'\nSERVICE_PORT={port}\nSERVICE_ENV={name}.env"),
    );
    port
}

/// `tsm with` that goes on beside the test, until it is ended by it.
pub(crate) struct Beside(Child);

impl Beside {
    pub(crate) fn run(user: &User, args: &[&str]) -> Self {
        let mut command = user.tsm_command(args);
        Beside(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    pub(crate) fn pid(&self) -> i32 {
        self.0.id() as i32
    }

    /// The exit code as a shell counts it.
    pub(crate) fn code(mut self) -> i32 {
        use std::os::unix::process::ExitStatusExt;
        let mut status = None;
        eventually("it ends", || {
            status = self.0.try_wait().unwrap();
            status.is_some()
        });
        let status = status.unwrap();
        status.code().unwrap_or_else(|| 1000 + status.signal().unwrap())
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_service_is_started_awaited_given_to_the_command_and_stopped() {
    let user = User::new();
    let port = serve(&user, "web");
    user.file("web.env", "GREETING='hello  you'\n");
    let fetch = "import os, sys, urllib.request as r\n\
                 print(r.urlopen('http://127.0.0.1:' + os.environ['PORT']).status, os.environ['GREETING'])\n\
                 print(sys.stdin.read(), end=''); sys.exit(7)";
    let mut command = user.command("sh");
    command.args(["-c", "echo given | \"$0\" with web -- python3 -c \"$1\" 'a  b'", TSM, fetch]);
    let ran = run(command).code(7);
    assert_eq!(ran.stdout, "200 hello  you\ngiven\n", "nothing of tsm itself is there");
    let said: Vec<&str> = ran.stderr.lines().collect();
    assert_eq!(said.len(), 2, "{ran:#?}");
    assert!(
        said[0].starts_with(&format!("tsm: started web-{port} on port {port}, ready after ")),
        "{ran:#?}"
    );
    assert_eq!(said[1], format!("tsm: stopped web-{port}"));
    assert_eq!(user.state(&format!("web-{port}")), "stopped");

    let ran = user.tsm(&["with", "-q", "web", "--", "true"]).code(0);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", ""));
}

#[test]
fn what_ran_before_stays_and_what_was_stopped_is_stopped_again() {
    let user = tasks();
    user.ok(&["start", "one"]);
    user.ok(&["start", "--name", "plain", "--env-var", "MODE=plain", "sleep", "1000"]);
    user.ok(&["stop", "plain"]);
    let pid = user.pid("one");
    let ran =
        user.ok(&["with", "one", "plain", "one", "--", "sh", "-c", "echo $MODE; \"$0\" info plain", TSM]);
    let with_pid = ran.stdout.lines().find_map(|line| line.trim().strip_prefix("ends with   tsm with (PID "));
    assert!(with_pid.is_some() && ran.stdout.starts_with("plain\n"), "{ran:#?}");
    assert!(!ran.stderr.contains("one"), "{ran:#?}");
    assert_eq!(
        (user.pid("one"), user.state("one"), user.state("plain")),
        (pid, user.state("one"), "stopped".into())
    );
    // The time of that command is over: started by hand, it is free, and nobody has to be told.
    let ran = user.ok(&["start", "plain"]);
    assert_eq!(ran.stderr, "");
    assert_eq!(user.json(&["info", "plain"])["ends_with"], json!(null));
}

#[test]
fn they_are_started_side_by_side_and_stopped_in_reverse_order() {
    let user = tasks();
    // Each is ready only when the other one runs.
    for (name, other) in [("one", "two"), ("two", "one")] {
        let lines = format!("SERVICE_COMMAND='python3 task.py {name} {other}.began'\nSERVICE_TYPE=pid");
        define(&user, name, &lines);
    }
    user.ok(&["with", "one", "two", "--", "true"]);
    assert_eq!(text(&user.cwd().join("order")), "two\none\n");
    assert_eq!(user.state("one"), "stopped");
}

#[test]
fn environments_are_merged_in_order_and_each_port_has_a_name() {
    let user = User::new();
    let (api, db) = (free_port(), free_port());
    for (name, port, vars) in [("api", api, "MODE=api"), ("db", db, "MODE=db")] {
        let port = port.to_string();
        user.ok(&[
            "start",
            "--name",
            name,
            "--port",
            &port,
            "--env-var",
            vars,
            "--kind",
            "port",
            "python3",
            "-m",
            "http.server",
        ]);
    }
    let show = "echo $MODE $PORT $API_PORT $DB_PORT $CALLER ${TSM_SOCKET-none}";
    let with = |refs: &[&str]| {
        let mut words = vec!["with"];
        words.extend(refs);
        words.extend(["--", "sh", "-c", show]);
        let mut command = user.tsm_command(&words);
        command.env("CALLER", "mine").env("MODE", "caller").env("PORT", "1");
        run(command).code(0)
    };
    let ran = with(&["api", "db"]);
    assert_eq!(ran.stdout, format!("db {db} {api} {db} mine none\n"));
    assert_eq!(ran.stderr, format!("tsm: PORT is that of db; API_PORT={api} DB_PORT={db}\n"));
    assert_eq!(with(&["db", "api"]).stdout, format!("api {api} {api} {db} mine none\n"));
    let ran = with(&["api"]);
    assert_eq!((ran.stdout, ran.stderr), (format!("api {api} mine none\n"), String::new()));
}

#[test]
fn a_service_that_is_never_ready_ends_it_with_its_last_lines() {
    let user = tasks();
    let port = free_port();
    define(
        &user,
        "deaf",
        &format!("SERVICE_COMMAND='echo last words; exec sleep 1000'\nSERVICE_PORT={port}"),
    );
    let ran = user.tsm(&["with", "--timeout=1", "one", "deaf", "--", "touch", "ran"]).code(124);
    assert!(
        ran.stderr.contains("last words\n")
            && ran.stderr.contains(&format!("deaf-{port} is not ready after 1")),
        "{ran:#?}"
    );
    assert!(!user.cwd().join("ran").exists());
    for name in ["one", &format!("deaf-{port}")] {
        assert_eq!(user.state(name), "stopped", "{name}");
    }
    user.tsm(&["with", "--timeout=x", "one", "--", "true"]).code(2);
}

#[test]
fn a_service_that_dies_or_cannot_be_started_ends_it_at_once() {
    let user = tasks();
    define(
        &user,
        "dies",
        "SERVICE_COMMAND='echo boom; sleep 0.2; exit 3'\nSERVICE_TYPE=pid\nSERVICE_RESTART=no",
    );
    define(&user, "again", "SERVICE_COMMAND='echo boom; sleep 0.2; exit 3'\nSERVICE_TYPE=pid");
    define(&user, "gone", "SERVICE_COMMAND='/does/not/exist'\nSERVICE_TYPE=pid");
    // `one` is never ready, so that the end of the other one is heard while it is waited for.
    define(
        &user,
        "one",
        &format!("SERVICE_COMMAND='python3 task.py one never'\nSERVICE_PORT={}", free_port()),
    );
    for (name, code, why) in [
        ("dies", 1, "dies died: exit code 3"),
        ("again", 1, "again died: exit code 3"),
        ("gone", 4, "command not found"),
        ("nix", 4, "no such process or service: nix"),
    ] {
        let ran = user.tsm(&["with", "one", name, "--", "touch", "ran"]).code(code).complains(why);
        assert_eq!(ran.stderr.contains("boom\n"), code == 1, "{ran:#?}");
        assert!(!user.cwd().join("ran").exists());
        let live = user.json(&["list"]);
        assert!(
            live.as_array()
                .unwrap()
                .iter()
                .all(|one| one["status"] != "online" && one["status"] != "starting"),
            "{live:#}"
        );
    }
    // A task that is done in time is no failure.
    define(&user, "done", "SERVICE_COMMAND='echo migrated'\nSERVICE_TYPE=pid");
    user.ok(&["with", "done", "--", "true"]).complains("done has ended already");
}

#[test]
fn a_kill_9_of_it_leaves_nothing_running() {
    let user = tasks();
    let with = Beside::run(
        &user,
        &["with", "one", "two", "--", "sh", "-c", "echo $$ >cmd.part; mv cmd.part cmd; exec sleep 1000"],
    );
    eventually("the command runs", || user.cwd().join("cmd").exists());
    let command: i32 = text(&user.cwd().join("cmd")).trim().parse().unwrap();
    assert!(is_alive(command));
    kill(with.pid(), "KILL");
    for name in ["one", "two"] {
        user.until_state(name, "stopped");
        assert_eq!(user.view(name)["note"], format!("ended with its tsm with (PID {})", with.pid()));
    }
    eventually("nothing is left", || user.alive().is_empty());
    assert!(!is_alive(command));
    // While it is still being waited for, too.
    let with = Beside::run(&user, &["with", "one", "two", "--", "true"]);
    eventually("they run", || user.cwd().join("one.began").exists());
    kill(with.pid(), "KILL");
    assert_eq!(with.code(), 1009);
    eventually("nothing is left", || user.alive().is_empty());
}

#[test]
fn it_can_be_interrupted_while_the_services_are_awaited() {
    for (signal, code) in [("INT", 130), ("TERM", 143), ("HUP", 129), ("QUIT", 131)] {
        let user = tasks();
        define(
            &user,
            "two",
            &format!("SERVICE_COMMAND='python3 task.py two never'\nSERVICE_PORT={}", free_port()),
        );
        let with = Beside::run(&user, &["with", "one", "two", "--", "touch", "ran"]);
        eventually("both run", || {
            user.cwd().join("two.began").exists() && user.cwd().join("one.began").exists()
        });
        kill(with.pid(), signal);
        assert_eq!(with.code(), code);
        assert!(!user.cwd().join("ran").exists());
        eventually("nothing is left", || user.alive().is_empty());
        assert_eq!(text(&user.cwd().join("order")), "two\none\n", "both were asked to end");
    }
}

#[test]
fn of_two_at_once_the_first_one_owns_the_service() {
    let user = tasks();
    let wait = |name: &str| format!("touch {name}; until test -e {name}.go; do sleep 0.01; done");
    let first = Beside::run(&user, &["with", "one", "--", "sh", "-c", &wait("a")]);
    eventually("the first runs", || user.cwd().join("a").exists());
    let pid = user.pid("one");
    let second = Beside::run(&user, &["with", "one", "--", "sh", "-c", &wait("b")]);
    eventually("the second runs", || user.cwd().join("b").exists());
    fs::write(user.cwd().join("b.go"), "").unwrap();
    assert_eq!(second.code(), 0);
    assert_eq!(user.pid("one"), pid, "the second leaves it");
    // Started by hand meanwhile, it says whose it is.
    user.ok(&["start", "one"]).complains(&format!("it ends with tsm with (PID {})", first.pid()));
    // Stopped and started by hand, it is not the first one's any more.
    user.ok(&["stop", "one"]);
    let mut command = user.tsm_command(&["start", "--with-shell", "one"]);
    command.env("TSM_SHELL_PID", std::process::id().to_string());
    run(command).code(0);
    fs::write(user.cwd().join("a.go"), "").unwrap();
    assert_eq!(first.code(), 0);
    assert!(["starting", "online"].contains(&user.state("one").as_str()));
}

#[test]
fn a_definition_comes_before_a_longer_name() {
    let user = tasks();
    user.ok(&["start", "--name", "someone", "--env-var", "MODE=wrong", "sleep", "1000"]);
    user.ok(&["with", "one", "--", "sh", "-c", "test -z \"$MODE\""]).complains("started one");
    user.ok(&["with", "some", "--", "sh", "-c", "test $MODE = wrong"]);
    user.tsm(&["with", "all", "--", "true"]).code(6);
}
