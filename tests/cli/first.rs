//! The tour of the README: start, list, logs, restart, stop of a real server.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::kit::{User, eventually, free_port};

#[test]
fn a_python_server_is_started_serves_is_restarted_and_stopped() {
    let user = User::new();
    user.file("hello.txt", "hello from tsm\n");
    let port = free_port();
    let name = format!("my-api-http-{port}");
    let started = user.ok(&["start", "--wait", "--port", &port.to_string(), "python3", "-m", "http.server"]);
    assert!(started.stdout.starts_with(&format!("Started: {name} (TSM ID: 0, PID: ")), "{started:?}");
    assert!(fetch(port, "/hello.txt").ends_with("hello from tsm\n"));
    assert_eq!(user.view(&name)["ports"], serde_json::json!([port]));
    user.ok(&["logs", "0"]).says("GET /hello.txt");
    let before = user.pid(&name);
    user.ok(&["restart", "--wait", "0"]).says("Restarted");
    assert_ne!(user.pid(&name), before);
    assert!(fetch(port, "/hello.txt").ends_with("hello from tsm\n"));
    user.ok(&["stop", &name]).says("Stopped");
    assert_eq!(user.alive(), [], "nothing is left of it");
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "the port is free");
}

#[test]
fn what_a_python_program_prints_is_in_its_log_at_once() {
    let user = User::new();
    user.ok(&["start", "--name", "p", "python3", "-c", "print('printed'); import time; time.sleep(600)"]);
    eventually("the line is in the log", || user.tsm(&["logs", "p"]).stdout == "printed\n");
    user.ok(&[
        "start",
        "--name",
        "q",
        "--env-var",
        "PYTHONUNBUFFERED=",
        "sh",
        "-c",
        "echo \"<$PYTHONUNBUFFERED>\"; sleep 600",
    ]);
    eventually("the user's own setting counts", || user.tsm(&["logs", "q"]).stdout == "<>\n");
}

/// The answer of a server on loopback.
fn fetch(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}
