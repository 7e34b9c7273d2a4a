//! `tsm doctor kill`: how a port is freed, and who is spared.

use std::net::TcpStream;
use std::process::Command;

use serde_json::json;

use crate::doctor_ports::{LISTEN, Stranger, json_of, managed, up};
use crate::kill::{FORKING, Foreign, python};
use crate::kit::{User, free_port, is_alive, kill, text};
use crate::terminal::plain;

#[test]
fn only_who_listens_has_a_port() {
    let user = User::new();
    let foreign = Foreign::new();
    let port = foreign.port.to_string();
    // The end of a connection that somebody made: nobody listens, but no server could be started there either.
    let client = TcpStream::connect(("127.0.0.1", foreign.port)).unwrap();
    let own = client.local_addr().unwrap().port();
    user.tsm(&["doctor", "port", &own.to_string()]).code(1).says("nobody is seen to listen");
    user.tsm(&["doctor", "kill", "--force", &own.to_string()]).code(1).complains("nobody is seen to listen");
    drop(client);

    let refused = user.tsm(&["doctor", "kill", &port]).code(6);
    assert_eq!(refused.stdout, "");
    refused
        .complains(&format!("port {port} is held by PID {} (", foreign.server()))
        .complains(&format!("which TSM does not manage\n  try: tsm doctor kill --force {port}"));
    assert!(is_alive(foreign.server()) && is_alive(foreign.client()));

    let ran = user.ok(&["doctor", "kill", "--force", &port]);
    assert!(ran.stdout.starts_with(&format!("Ended: PID {} (", foreign.server())), "{ran:#?}");
    assert_eq!(ran.stdout.lines().count(), 1, "TERM was enough: {ran:#?}");
    assert!(!is_alive(foreign.server()), "the listener");
    assert!(is_alive(foreign.client()), "who is only connected to the port");
    // Its connection is still half open.
    user.ok(&["doctor", "port", &port]).says(&format!("Port {port} is free\n"));
    user.ok(&["doctor", "kill", &port]).says(&format!("Port {port} is free already\n"));
    let freed = json_of(&user, &["doctor", "kill", &port]);
    assert_eq!((&freed["free"], &freed["ended"]), (&json!(true), &json!([])));
}

#[test]
fn a_person_is_asked_before_a_port_is_freed() {
    let user = User::new();
    let foreign = Foreign::new();
    let (port, pid) = (foreign.port.to_string(), foreign.server());
    for answer in ["n", ""] {
        let mut terminal = user.terminal(100, &["doctor", "kill", &port]);
        terminal.shows(&format!("Port {port} is held by\r\n  PID {pid}: "));
        terminal.shows("which TSM does not manage");
        terminal.shows("End it? [y/N] ");
        terminal.types(answer);
        let (said, code) = terminal.end();
        assert_eq!(code, 1, "{said}");
        assert!(said.contains("nothing was ended") && is_alive(pid), "{said}");
    }
    let mut terminal = user.terminal(100, &["doctor", "kill", &port]);
    terminal.shows("End it? [y/N] ");
    terminal.types("y");
    let (said, code) = terminal.end();
    assert_eq!(code, 0, "{said}");
    assert!(plain(&said).contains(&format!("Ended: PID {pid} (")), "{said}");
    assert!(!is_alive(pid) && is_alive(foreign.client()));
}

#[test]
fn what_tsm_manages_is_stopped_through_its_supervisor() {
    let user = User::new();
    let port = free_port();
    let name = managed(&user, "web", port, port);
    let pid = user.pid(&name);
    let number = port.to_string();
    user.tsm(&["doctor", "kill", &number]).code(6).complains(&format!("held by {name} (TSM ID: 0)\n"));
    let mut terminal = user.terminal(100, &["doctor", "kill", &number]);
    terminal.shows(&format!("of {name} (TSM ID: 0), which TSM manages"));
    terminal.shows("End it? [y/N] ");
    terminal.types("y");
    let (said, code) = terminal.end();
    assert!(code == 0 && plain(&said).contains(&format!("Stopped: {name} (TSM ID: 0)")), "{code}: {said}");
    assert!(!is_alive(pid));
    assert_eq!(user.state(&name), "stopped", "a process that was killed would be started again");

    user.ok(&["start", "--wait", &name]);
    let freed = json_of(&user, &["doctor", "kill", "--force", &number]);
    assert_eq!((&freed["ended"][0]["name"], &freed["free"]), (&json!(name), &json!(true)), "{freed:#}");
}

#[test]
fn a_foreign_server_has_two_seconds_after_term() {
    let user = User::new();
    let port = free_port();
    let mark = user.cwd().join("asked");
    let script = format!(
        "import signal\nsignal.signal(signal.SIGTERM, lambda *_: open({mark:?}, 'w').close())\n{}",
        // Interrupted calls are taken up again.
        LISTEN.replace("time.sleep(1000)", "\nwhile True: time.sleep(1000)")
    );
    let mut command = Command::new("python3");
    command.args(["-c", &script, "127.0.0.1", &port.to_string()]);
    let stranger = Stranger(up(command).0);
    user.ok(&["doctor", "kill", "--force", &port.to_string()])
        .says(&format!("  had to kill PID {}: ", stranger.pid()));
    assert!(mark.exists(), "it was not asked by TERM");
    assert!(!is_alive(stranger.pid()));

    // The port of a server with workers is free only when the last of them is gone.
    let port = free_port();
    let (server, worker) = python(FORKING, port);
    let server = Stranger(server);
    user.ok(&["doctor", "kill", "--force", &port.to_string()]);
    let left = is_alive(worker.parse().unwrap());
    if left {
        kill(worker.parse().unwrap(), "KILL");
    }
    assert!(!left, "the worker of {}", server.pid());
    user.ok(&["doctor", "port", &port.to_string()]);
}

#[test]
fn a_port_that_is_taken_again_is_said_to_be() {
    let user = User::new();
    let port = free_port();
    // On TERM it hands the port to a successor, as a supervisor of its own would.
    let script = "import os, signal, socket, sys, time\n\
        def serve(port):\n\
        \x20   global s\n\
        \x20   s = socket.create_server(('127.0.0.1', port))\n\
        def again(*_):\n\
        \x20   s.close()\n\
        \x20   done = os.pipe()\n\
        \x20   if os.fork() == 0:\n\
        \x20       signal.signal(signal.SIGTERM, signal.SIG_DFL)\n\
        \x20       serve(int(sys.argv[1]))\n\
        \x20       open(sys.argv[2], 'w').write(str(os.getpid()))\n\
        \x20       os.write(done[1], b'x')\n\
        \x20       while True: time.sleep(1000)\n\
        \x20   os.read(done[0], 1)\n\
        \x20   os._exit(0)\n\
        signal.signal(signal.SIGTERM, again)\n\
        serve(int(sys.argv[1]))\n\
        print('up', flush=True)\n\
        while True: time.sleep(1000)\n";
    let note = user.cwd().join("successor");
    let mut command = Command::new("python3");
    command.args(["-c", script, &port.to_string()]).arg(&note);
    let stranger = Stranger(up(command).0);
    let ran = user.tsm(&["doctor", "kill", "--force", &port.to_string()]);
    // Before anything is judged: it is no child of this test.
    let successor: i32 = text(&note).parse().unwrap();
    let freed = json_of(&user, &["doctor", "port", &port.to_string()]);
    let lives = is_alive(successor);
    kill(successor, "TERM");
    ran.code(1)
        .says(&format!("Ended: PID {}", stranger.pid()))
        .complains(&format!("port {port} is held by PID {successor} ("))
        .complains(&format!("now\n  try: tsm doctor port {port}"));
    assert!(lives, "it was not asked about");
    assert_eq!(freed["holders"][0]["process"]["pid"], successor);
}
