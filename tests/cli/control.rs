//! The control socket, spoken to as any program would.

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::kit::{User, eventually, free_port, is_alive, kill, text};

/// A connection to a socket that speaks in lines of JSON.
pub(crate) struct Client(BufReader<UnixStream>);

impl Client {
    pub(crate) fn connect(path: &Path) -> Self {
        let stream = UnixStream::connect(path).unwrap();
        // Only to end a broken test.
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        Client(BufReader::new(stream))
    }

    pub(crate) fn of(user: &User, name: &str) -> Self {
        Self::connect(&user.process_dir(name).join("control.sock"))
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).unwrap();
    }

    /// The next reply; none when the connection is closed.
    pub(crate) fn hear(&mut self) -> Option<Value> {
        let mut line = String::new();
        match self.0.read_line(&mut line) {
            Ok(0) => None,
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => None,
            Ok(_) => Some(serde_json::from_str(&line).unwrap_or_else(|why| panic!("{why}: {line}"))),
            Err(error) => panic!("no reply: {error}"),
        }
    }

    /// Sends what the other side may refuse to take to its end.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) {
        let _ = self.0.get_mut().write_all(bytes);
    }

    /// Says that nothing more will be asked.
    pub(crate) fn has_asked(&mut self) {
        self.0.get_mut().shutdown(std::net::Shutdown::Write).unwrap();
    }

    pub(crate) fn ask(&mut self, line: &str) -> Value {
        self.send(format!("{line}\n").as_bytes());
        self.hear().unwrap_or_else(|| panic!("closed after {line}"))
    }
}

fn start(user: &User, name: &str, options: &[&str], script: &str) {
    user.ok(&[&["start", "--name", name, "--kind", "pid"], options, &["--", "bash", "-c", script]].concat());
}

/// The permissions of a file.
pub(crate) fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap_or_else(|why| panic!("{}: {why}", path.display())).permissions().mode() & 0o777
}

#[test]
fn status_is_answered_in_every_spelling_on_one_connection() {
    let user = User::new();
    start(&user, "p", &[], "exec sleep 600");
    user.until_state("p", "online");
    let mut client = Client::of(&user, "p");
    for line in [
        "STATUS",
        "status",
        "  Status \r",
        r#"{"command":"status"}"#,
        r#"{"command":"STATUS","id":7}"#,
        r#"{"action":"status"}"#,
        r#"{"method":"status"}"#,
    ] {
        let reply = client.ask(line);
        assert_eq!(reply["ok"], true, "{line}: {reply}");
        assert_eq!((reply["name"].as_str(), reply["id"].as_i64()), (Some("p"), Some(0)), "{line}");
        assert_eq!(
            (reply["kind"].as_str(), reply["status"].as_str()),
            (Some("pid"), Some("online")),
            "{line}"
        );
        assert_eq!(reply["pid"].as_i64(), Some(user.pid("p").into()), "{line}");
        assert_eq!((reply["restarts"].as_i64(), reply["port"].as_i64()), (Some(0), None), "{line}");
        assert!(reply["uptime_ms"].as_u64().is_some() && reply["exit"].is_null(), "{line}: {reply}");
    }
    client.send(b"STATUS\nHEALTH\nSTATUS\n");
    let replies: Vec<Value> = (0..3).map(|_| client.hear().unwrap()).collect();
    assert_eq!(
        (&replies[0]["name"], &replies[1]["health"], &replies[2]["name"]),
        (&"p".into(), &"healthy".into(), &"p".into())
    );
}

#[test]
fn a_bad_line_is_an_error_and_the_connection_goes_on() {
    let user = User::new();
    start(&user, "p", &[], "exec sleep 600");
    let mut client = Client::of(&user, "p");
    for (line, why) in [
        ("FLY", "unknown verb"),
        ("", "empty"),
        ("{\"command\":", "invalid JSON"),
        ("{}", "command"),
        (r#"{"command":["status"]}"#, "command"),
        ("\u{fffd}\u{1b}[31m", "unknown verb"),
    ] {
        let reply = client.ask(line);
        assert_eq!(reply["ok"], false, "{line}: {reply}");
        assert!(reply["error"].as_str().unwrap().contains(why), "{line}: {reply}");
        assert_eq!(client.ask("STATUS")["ok"], true, "still usable after {line:?}");
    }
    client.send(&[0xff, 0xfe, 0, b'\n']);
    assert_eq!(client.hear().unwrap()["ok"], false);
    assert_eq!(client.ask("HEALTH")["pong"], true);
}

#[test]
fn a_line_over_4_kib_is_an_error_and_the_end_of_the_connection() {
    let user = User::new();
    start(&user, "p", &[], "exec sleep 600");
    let mut longest = Client::of(&user, "p");
    let padded = format!("{:4095}", "STATUS");
    assert_eq!(longest.ask(&padded)["ok"], true, "4096 bytes with the newline are allowed");
    for end in ["", "\n"] {
        let mut client = Client::of(&user, "p");
        client.send(format!("{}{end}", "x".repeat(4096)).as_bytes());
        let reply = client.hear().unwrap();
        assert_eq!(reply["ok"], false, "{reply}");
        assert!(reply["error"].as_str().unwrap().contains("4096"), "{reply}");
        assert!(client.hear().is_none(), "it is closed");
    }
    assert_eq!(longest.ask("STATUS")["ok"], true);
}

#[test]
fn an_unfinished_line_is_dropped_after_a_while_and_an_idle_client_stays() {
    let user = User::new();
    start(&user, "p", &[], "exec sleep 600");
    let mut idle = Client::of(&user, "p");
    let mut slow = Client::of(&user, "p");
    slow.send(b"STAT");
    let reply = slow.hear().unwrap();
    assert_eq!(reply["ok"], false, "{reply}");
    assert!(reply["error"].as_str().unwrap().contains("5 s"), "{reply}");
    assert_eq!(slow.ask("STATUS")["ok"], true, "the rest does not become part of the next line");
    assert_eq!(idle.ask("STATUS")["ok"], true);
}

#[test]
fn the_33rd_client_is_refused_and_stop_works_all_the_same() {
    for verb in ["stop", "kill", "delete"] {
        let user = User::new();
        start(&user, "p", &[], "sleep 600 & sleep 600");
        let pid = user.pid("p");
        let mut idle: Vec<Client> = (0..32).map(|_| Client::of(&user, "p")).collect();
        for client in &mut idle {
            assert_eq!(client.ask("HEALTH")["ok"], true);
        }
        let mut one_more = Client::of(&user, "p");
        let reply = one_more.hear().unwrap();
        assert_eq!(reply["ok"], false, "{reply}");
        assert!(reply["error"].as_str().unwrap().contains("32"), "{reply}");
        assert!(one_more.hear().is_none());
        assert!(user.ok(&["list"]).stdout.contains('p'));
        user.ok(&[verb, "p"]);
        assert!(!is_alive(pid), "{verb}");
        assert_eq!(user.alive(), [], "{verb}");
        drop(idle);
    }
}

#[test]
fn a_place_is_free_again_when_a_client_leaves() {
    let user = User::new();
    start(&user, "p", &[], "exec sleep 600");
    let idle: Vec<Client> = (0..32).map(|_| Client::of(&user, "p")).collect();
    drop(idle);
    eventually("there is room again", || {
        let mut client = Client::of(&user, "p");
        let _ = client.0.get_mut().write_all(b"STATUS\n");
        client.hear().is_some_and(|reply| reply["ok"] == true)
    });
}

#[test]
fn a_client_that_never_reads_delays_nobody() {
    let user = User::new();
    start(&user, "p", &[], "exec sleep 600");
    let mut rude = UnixStream::connect(user.process_dir("p").join("control.sock")).unwrap();
    rude.set_nonblocking(true).unwrap();
    let mut sent = 0;
    while sent < 4_000_000 {
        match rude.write(&b"STATUS\n".repeat(1000)) {
            Ok(count) => sent += count,
            // It is not read any more, or dropped: both keep the supervisor from hoarding.
            Err(_) => break,
        }
    }
    assert!(sent < 4_000_000, "somebody takes everything and keeps it");
    for _ in 0..20 {
        assert_eq!(Client::of(&user, "p").ask("STATUS")["ok"], true);
    }
    user.ok(&["stop", "p"]);
    drop(rude);
}

#[test]
fn health_says_why_not() {
    let user = User::new();
    let port = free_port();
    let words = port.to_string();
    user.ok(&["start", "--name", "idle", "--kind", "port", "--port", &words, "sleep", "600"]);
    let name = format!("idle-{port}");
    let mut client = Client::of(&user, &name);
    let reply = client.ask("HEALTH");
    assert_eq!(
        (&reply["ok"], &reply["health"], &reply["pong"]),
        (&true.into(), &"unhealthy".into(), &true.into())
    );
    assert_eq!(reply["reason"], format!("it does not listen on port {port}"));
    let other = TcpListener::bind(("127.0.0.1", port)).unwrap();
    assert_eq!(client.ask("HEALTH")["reason"], format!("another program listens on port {port}"));
    drop(other);
    user.ok(&["stop", &name]);

    user.ok(&["start", "--wait", "--name", "web", "--port", &words, "python3", "-m", "http.server"]);
    let name = format!("web-{port}");
    let mut client = Client::of(&user, &name);
    let reply = client.ask("HEALTH");
    assert_eq!(
        (&reply["ok"], &reply["health"], &reply["pong"]),
        (&true.into(), &"healthy".into(), &true.into())
    );
    // A full queue of connections that nobody accepts: it listens, but it does not answer.
    kill(user.pid(&name), "STOP");
    let mut waiting = Vec::new();
    eventually("a halted server is unhealthy", || {
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
        waiting.extend(std::net::TcpStream::connect_timeout(&address, Duration::from_millis(20)));
        client.ask("HEALTH")["health"] == "unhealthy"
    });
    kill(user.pid(&name), "CONT");
}

#[test]
fn reload_sends_hup() {
    let user = User::new();
    start(&user, "p", &[], "trap 'echo reloaded' HUP; echo up; while :; do sleep 0.05; done");
    eventually("it is up", || text(&user.log("p")) == "up\n");
    let pid = user.pid("p");
    assert_eq!(Client::of(&user, "p").ask("RELOAD")["ok"], true);
    eventually("it has reloaded", || text(&user.log("p")) == "up\nreloaded\n");
    assert_eq!(user.pid("p"), pid, "the same process");
}

#[test]
fn reload_runs_the_definitions_command() {
    let user = User::new();
    let dir = user.tsm_dir().join("services-available");
    fs::create_dir_all(&dir).unwrap();
    user.file("web.env", "A=from-the-env-file\n");
    let here = user.cwd();
    fs::write(
        dir.join("web.tsm"),
        format!(
            "SERVICE_COMMAND=\"sleep 600\"\nSERVICE_DIR=\"{}\"\nSERVICE_ENV=\"{}\"\n\
             SERVICE_RELOAD='echo \"$MAINPID $TSM_NAME $A\" >reloaded'\n",
            here.display(),
            here.join("web.env").display()
        ),
    )
    .unwrap();
    user.ok(&["start", "web"]);
    assert_eq!(Client::of(&user, "web").ask("reload")["ok"], true);
    let expected = format!("{} web from-the-env-file\n", user.pid("web"));
    eventually("the command has run", || text(&here.join("reloaded")) == expected);
    user.until_state("web", "online");
}

#[test]
fn stop_answers_when_it_has_begun() {
    let user = User::new();
    start(
        &user,
        "p",
        &[],
        "trap 'read <go; exit 0' TERM; mkfifo go; echo $$ >up; while :; do sleep 0.05; done",
    );
    eventually("it is up", || text(&user.cwd().join("up")).ends_with('\n'));
    let mut client = Client::of(&user, "p");
    let reply = client.ask("STOP");
    assert_eq!((&reply["ok"], &reply["stopping"]), (&true.into(), &true.into()), "{reply}");
    assert_eq!(client.ask("STATUS")["status"], "stopping");
    assert_eq!(client.ask("STOP")["ok"], true, "a second one is no error");
    assert!(client.ask("HEALTH")["reason"].as_str().unwrap().contains("stopping"));
    fs::write(user.cwd().join("go"), "\n").unwrap();
    user.until_state("p", "stopped");
    assert!(client.hear().is_none());
}

#[test]
fn a_supervisor_that_is_halted_or_cannot_be_reached_still_stops() {
    let user = User::new();
    for verb in ["stop", "kill"] {
        start(&user, verb, &[], "sleep 600 & sleep 600");
        kill(user.supervisor(verb), "STOP");
        user.ok(&[verb, verb]);
        assert_eq!(user.alive(), [], "{verb}");
        assert_eq!(user.state(verb), "stopped");
    }
    start(&user, "gone", &[], "exec sleep 600");
    fs::remove_file(user.process_dir("gone").join("control.sock")).unwrap();
    user.ok(&["stop", "gone"]);
    assert_eq!(user.alive(), []);
}

#[test]
fn everything_is_private() {
    let user = User::new();
    let mut command = user.tsm_command(&["start", "--name", "p", "--kind", "pid", "sleep", "600"]);
    // Even where the caller's umask would open everything.
    let words: Vec<_> = command.get_args().map(|word| word.to_str().unwrap().to_owned()).collect();
    command = user.command("sh");
    command.args(["-c", "umask 000; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_tsm")]).args(words);
    assert!(command.stdout(Stdio::null()).status().unwrap().success());
    let dir = user.process_dir("p");
    for path in [
        user.tsm_dir(),
        user.tsm_dir().join("runtime"),
        user.tsm_dir().join("runtime/processes"),
        user.tsm_dir().join("logs"),
        user.tsm_dir().join("pids"),
        dir.clone(),
    ] {
        assert_eq!(mode(&path), 0o700, "{}", path.display());
    }
    for path in ["spec.json", "status.json", "control.sock", "notify.sock", "supervisor.lock"] {
        assert_eq!(mode(&dir.join(path)), 0o600, "{path}");
    }
    assert_eq!(mode(&user.log("p")), 0o600);
    assert_eq!(mode(&user.tsm_dir().join("runtime/lock")), 0o600);
    assert_eq!(text(&user.tsm_dir().join("pids/p.pid")), format!("{}\n", user.pid("p")));
    assert_eq!(mode(&user.tsm_dir().join("pids/p.pid")), 0o600);
}

#[test]
fn a_path_over_the_limit_of_an_address_works_for_every_verb_and_every_client() {
    const LONG: &str = "a-long-directory-name-that-somebody-chose/another-long-directory-name-below-it/\
        and-yet-another-one-so-that-no-socket-address-holds-it";
    let user = User::within(&std::env::temp_dir(), LONG);
    assert!(user.process_dir("p").join("control.sock").as_os_str().len() > 107);
    let script = "echo \"$TSM_SOCKET\" >address; exec sleep 600";
    let python = "import os, socket, time\n\
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n\
        s.sendto(b'STATUS=warm\\nREADY=1', os.environ['NOTIFY_SOCKET'])\n\
        time.sleep(600)\n";
    start(&user, "p", &[], script);
    let path = user.cwd().join("address");
    eventually("the program has said its address", || text(&path).ends_with('\n'));
    let address = text(&path).trim().to_owned();
    assert!(address.len() <= 107, "{address}");
    // A client in another language, which knows nothing but the address.
    let ask = "import os, socket\n\
        s = socket.socket(socket.AF_UNIX); s.connect(os.environ['TSM_SOCKET'])\n\
        s.sendall(b'STATUS\\n'); print(s.makefile().readline())\n";
    let mut command = user.command("python3");
    command.args(["-c", ask]).env("TSM_SOCKET", &address);
    let mut reply = String::new();
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    child.stdout.take().unwrap().read_to_string(&mut reply).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(serde_json::from_str::<Value>(&reply).unwrap()["name"], "p", "{reply}");

    user.ok(&["start", "--wait", "--name", "ready", "--kind", "pid", "python3", "-c", python]);
    assert_eq!(user.view("ready")["note"], "warm");
    user.ok(&["info", "p"]);
    user.ok(&["logs", "p"]);
    user.ok(&["restart", "p"]);
    user.ok(&["stop", "p"]);
    user.ok(&["start", "p"]);
    let pid = user.pid("p");
    let supervisor = user.supervisor("p");
    kill(supervisor, "KILL");
    user.until_state("p", "unsupervised");
    user.ok(&["restart", "p"]);
    assert!(!is_alive(pid));
    user.ok(&["kill", "p"]);
    user.ok(&["delete", "all"]);
    assert_eq!(user.alive(), []);
    assert!(
        !Path::new(&address).exists() && fs::symlink_metadata(Path::new(&address).parent().unwrap()).is_err()
    );
}

#[test]
fn a_supervisor_without_descriptors_for_its_clients_stays_calm_and_stops() {
    let user = User::new();
    let mut command = user.command("bash");
    command.args([
        "-c",
        "ulimit -n 16; \"$0\" start --name p --kind pid sleep 600",
        env!("CARGO_BIN_EXE_tsm"),
    ]);
    assert!(command.stdout(Stdio::null()).status().unwrap().success());
    let supervisor = user.supervisor("p");
    let clients: Vec<Client> = (0..20).map(|_| Client::of(&user, "p")).collect();
    // How often it was given the processor by its own wish; a loop that never waits has no such number to show.
    let stat = |field: &str| -> u64 {
        let status = text(Path::new(&format!("/proc/{supervisor}/status")));
        status.lines().find_map(|line| line.strip_prefix(field)?.trim().parse().ok()).unwrap()
    };
    let before = stat("voluntary_ctxt_switches:");
    eventually("it waits, and looks again", || stat("voluntary_ctxt_switches:") >= before + 3);
    drop(clients);
    eventually("its clients get through again", || {
        let mut client = Client::of(&user, "p");
        client.ask("STATUS")["ok"] == true
    });
    user.ok(&["stop", "p"]);
    assert_eq!(user.alive(), []);
}
