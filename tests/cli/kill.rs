//! `tsm kill`: at once what TSM manages, and after asking what it does not.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use crate::kit::{User, free_port, is_alive};

/// A server and a client connected to it, which TSM knows nothing of.
pub(crate) struct Foreign {
    server: Child,
    client: Child,
    pub(crate) port: u16,
}

/// Listens, then says so; whoever connects is kept.
const SERVER: &str = "import socket, sys\n\
    s = socket.create_server(('127.0.0.1', int(sys.argv[1])))\n\
    print('listening', flush=True)\n\
    kept = []\n\
    while True: kept.append(s.accept())\n";

/// Connects, then says so; it outlives the connection.
const CLIENT: &str = "import socket, sys, time\n\
    s = socket.create_connection(('127.0.0.1', int(sys.argv[1])))\n\
    print('connected', flush=True)\n\
    time.sleep(1000)\n";

impl Foreign {
    pub(crate) fn new() -> Self {
        let port = free_port();
        let server = python(SERVER, port).0;
        let client = python(CLIENT, port).0;
        Foreign { server, client, port }
    }

    pub(crate) fn server(&self) -> i32 {
        self.server.id() as i32
    }

    pub(crate) fn client(&self) -> i32 {
        self.client.id() as i32
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        for child in [&mut self.server, &mut self.client] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Listens with a child that it forked, whose PID it says.
pub(crate) const FORKING: &str = "import os, socket, sys, time\n\
    s = socket.create_server(('127.0.0.1', int(sys.argv[1])))\n\
    child = os.fork()\n\
    if child: print(child, flush=True)\n\
    time.sleep(1000)\n";

/// A python that has said its line, and what it said.
pub(crate) fn python(script: &str, port: u16) -> (Child, String) {
    let mut command = Command::new("python3");
    command.args(["-c", script, &port.to_string()]).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(!line.is_empty(), "it did not get so far");
    (child, line.trim_end().to_owned())
}

#[test]
fn what_tsm_manages_is_killed_without_a_question() {
    let user = User::new();
    user.ok(&["start", "--name", "deaf", "sh", "-c", "trap '' TERM; sleep 1000; sleep 1000"]);
    let pid = user.pid("deaf");
    let ran = user.ok(&["kill", "deaf"]);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("Killed: deaf (TSM ID: 0)\n", ""));
    assert!(!is_alive(pid) && user.alive().is_empty());
    assert_eq!(user.state("deaf"), "stopped");
}

#[test]
fn without_a_person_a_foreign_process_is_spared_unless_forced() {
    let user = User::new();
    let foreign = Foreign::new();
    let (port, pid) = (foreign.port.to_string(), foreign.server());
    for text in [port.clone(), format!("port:{port}"), format!("pid:{pid}")] {
        let ran = user
            .tsm(&["kill", &text])
            .code(6)
            .complains("which TSM does not manage")
            .complains("try: tsm kill --force");
        assert_eq!(ran.stdout, "");
        let json = user.tsm(&["kill", "--json", &text]).code(6);
        assert_eq!(json.stdout, "[]\n");
    }
    assert!(is_alive(pid) && is_alive(foreign.client()));

    user.ok(&["kill", "--force", &port])
        .says(&format!("Killed: PID {pid} ("))
        .says("python3 -c import socket, sys\\ns = ");
    assert!(!is_alive(pid), "the listener");
    assert!(is_alive(foreign.client()), "who is only connected to the port");
    assert!(TcpStream::connect(("127.0.0.1", foreign.port)).is_err());
    user.tsm(&["kill", "--force", &port]).code(4);
}

#[test]
fn a_person_is_asked_and_no_means_no() {
    let user = User::new();
    let foreign = Foreign::new();
    let (port, pid) = (foreign.port.to_string(), foreign.server());
    for answer in ["n", "", "nonsense"] {
        let mut terminal = user.terminal(100, &["kill", &port]);
        terminal.shows(&format!("port {port} is held by PID {pid}, which TSM does not manage:"));
        terminal.shows("Kill it? [y/N] ");
        assert!(is_alive(pid));
        terminal.types(answer);
        let (said, code) = terminal.end();
        assert_eq!(code, 1, "{said}");
        assert!(said.contains("nothing was killed"), "{said}");
        assert!(is_alive(pid), "{answer:?}");
    }
    let mut terminal = user.terminal(100, &["kill", &port]);
    terminal.shows("Kill it? [y/N] ");
    terminal.interrupt();
    assert_eq!(terminal.end().1, 130);
    assert!(is_alive(pid));

    let mut terminal = user.terminal(100, &["kill", &port]);
    terminal.shows("Kill it? [y/N] ");
    terminal.types("y");
    let (said, code) = terminal.end();
    assert_eq!(code, 0, "{said}");
    assert!(said.contains(&format!("Killed: PID {pid}")), "{said}");
    assert!(!is_alive(pid) && is_alive(foreign.client()));
}

#[test]
fn the_workers_of_a_server_go_with_it() {
    let user = User::new();
    let port = free_port();
    let (mut server, worker) = python(FORKING, port);
    let worker: i32 = worker.parse().unwrap();
    let done = user.ok(&["kill", "--force", "--json", &port.to_string()]);
    let done: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    let killed: Vec<_> = done.as_array().unwrap().iter().map(|one| one["killed"][0]["pid"].clone()).collect();
    let was_left = is_alive(worker);
    if was_left {
        crate::kit::kill(worker, "KILL");
    }
    server.wait().unwrap();
    assert!(!was_left, "the worker listens on");
    assert_eq!(killed, [i64::from(server.id()), i64::from(worker)]);
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}

#[test]
fn a_foreign_command_line_cannot_draw_on_the_terminal() {
    let user = User::new();
    let mut child = Command::new("python3");
    child.args(["-c", "import time; print('up', flush=True); time.sleep(1000)", "\x1b[2J\u{9b}x"]);
    let mut child = child.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let mut terminal = user.terminal(100, &["kill", &format!("pid:{}", child.id())]);
    terminal.shows("\\x1b[2J\\u{9b}x\r\nKill it? [y/N] ");
    terminal.types("n");
    let (said, _) = terminal.end();
    let _ = child.kill();
    let _ = child.wait();
    assert!(!said.contains("\x1b[2J"), "{said:?}");
}

#[test]
fn some_numbers_are_never_targets() {
    let user = User::new();
    for (text, code) in
        [("pid:1", 2), ("pid:0", 2), ("1", 4), ("0", 4), ("-1", 2), ("pid:-1", 2), ("port:0", 4)]
    {
        user.tsm(&["kill", "--force", text]).code(code);
        user.tsm(&["kill", "--force", "--", text]);
    }
    // This very process: the shell's PID is the one that tsm takes over.
    let mut sh = user.command("sh");
    sh.args(["-c", "exec \"$0\" kill --force pid:$$", env!("CARGO_BIN_EXE_tsm")]);
    crate::kit::run(sh).code(2).complains("is this tsm itself");
}

#[test]
fn a_part_of_what_tsm_manages_is_not_foreign() {
    let user = User::new();
    user.ok(&["start", "--name", "tree", "sh", "-c", "sleep 1000 & echo $!; wait"]);
    let mut child = 0;
    crate::kit::eventually("its child runs", || {
        child = crate::kit::text(&user.log("tree")).trim().parse().unwrap_or(0);
        child > 0
    });
    let supervisor = user.supervisor("tree");
    user.tsm(&["kill", "--force", &format!("pid:{supervisor}")])
        .code(6)
        .complains(&format!("PID {supervisor} supervises tree (TSM ID: 0)\n  try: tsm kill tree"));
    user.tsm(&["kill", "--force", &format!("pid:{child}")]).code(6).complains("is part of tree (TSM ID: 0)");
    assert!(is_alive(supervisor) && is_alive(child));
    user.ok(&["kill", &user.pid("tree").to_string()]).says("Killed: tree");
    assert!(!is_alive(child));
}

#[test]
fn foreign_and_managed_ones_go_together() {
    let user = User::new();
    let foreign = Foreign::new();
    user.ok(&["start", "--name", "mine", "sleep", "1000"]);
    let done = user.tsm(&["kill", "--json", "--force", "nix", &foreign.port.to_string(), "mine"]).code(4);
    let done: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(done.as_array().unwrap().len(), 2, "{done:#}");
    assert_eq!((&done[0]["id"], &done[0]["killed"][0]["pid"]), (&().into(), &foreign.server().into()));
    assert_eq!(done[1]["name"], "mine");
}
