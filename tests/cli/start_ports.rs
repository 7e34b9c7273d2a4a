//! The port ladder: ports that are taken, that stay with a directory, and that run out.

use std::fs;
use std::net::TcpListener;

use serde_json::json;

use crate::kit::{Ran, User, eventually, free_port, run};
use crate::start::{TELL, taken, told};

#[test]
fn a_port_that_was_asked_for_and_is_busy_is_a_conflict_that_names_the_holder() {
    let user = User::new();
    let (_held, port) = taken();
    let me = format!("(PID {})", std::process::id());
    let port = port.to_string();
    user.file(".env", "");
    let refused = |ran: Ran| {
        ran.code(6).complains(&format!("port {port} (")).complains(&me).complains("  try: ");
    };
    refused(user.tsm(&["start", "--port", &port, "python3", "-m", "http.server"]));
    refused(user.tsm(&["start", "python3", "-m", "http.server", &port]));
    refused(user.tsm(&["start", &format!("PORT={port} node server.js")]));
    refused(user.tsm(&["start", "node", "server.js", "--port", &port]));
    user.file(".env", &format!("PORT={port}\n"));
    refused(user.tsm(&["start", "node", "server.js"]));
    assert_eq!(user.json(&["list", "all"]), json!([]));
    let user_port = free_port().to_string();
    user.ok(&["start", "--wait", "--no-env", "--port", &user_port, "python3", "-m", "http.server"]);
    user.tsm(&["start", "--no-env", "--name", "other", "--port", &user_port, "node", "x.js"])
        .code(6)
        .complains(&format!("my-api-http-{user_port} (TSM ID: 0)"));
}

#[test]
fn a_default_that_is_busy_is_passed_over_and_an_allocated_port_stays_with_its_directory() {
    let user = User::new();
    let (held, busy) = taken();
    fs::create_dir_all(user.tsm_dir()).unwrap();
    fs::write(
        user.tsm_dir().join("patterns.txt"),
        format!("mine|tell.py|{busy}|{{cmd}} --listen {{port}}\n"),
    )
    .unwrap();
    user.file("tell.py", TELL);
    fs::create_dir_all(user.home().join("two")).unwrap();
    fs::copy(user.cwd().join("tell.py"), user.home().join("two/tell.py")).unwrap();
    let first = user.json(&["start", "python3", "tell.py"]);
    let port = first["port"].as_u64().unwrap();
    assert!((8000..=8999).contains(&port), "{first:#}");
    let name = first["name"].as_str().unwrap();
    assert_eq!(told(&user, name)["argv"], json!(["--listen", port.to_string()]));
    assert_eq!(told(&user, name)["env"]["TSM_PORT"], port.to_string());
    user.ok(&["info", name]).says("is taken by");
    // The same command elsewhere is another server.
    let second = user.json(&["start", "--dir", "../two", "python3", "tell.py"]);
    assert_ne!((&second["name"], &second["port"]), (&first["name"], &first["port"]));
    user.ok(&["delete", name]);
    let back = user.json(&["start", "python3", "tell.py"]);
    assert_eq!(back["port"], first["port"], "its port is remembered beyond delete");
    user.ok(&["delete", "all"]);
    drop(held);
    eventually("the default is taken once it is free", || {
        let plan = user.json(&["start", "--dry-run", "python3", "tell.py"]);
        plan["port"] == json!(busy)
    });
}

#[test]
fn a_range_without_a_free_port_is_a_conflict_that_leaves_nothing() {
    let user = User::new();
    let (_one, first) = taken();
    // Its neighbour too, by whomever.
    let _two = TcpListener::bind(("127.0.0.1", first + 1));
    let mut command = user.tsm_command(&["start", "--kind", "port", "sleep", "1000"]);
    command.env("TSM_PORT_RANGE", format!("{first}-{}", first + 1));
    run(command).code(6).complains(&format!("no port of {first}-{} is free", first + 1));
    assert_eq!(user.json(&["list", "all"]), json!([]));
    for bad in ["9", "9-8", "0-3", "a-b"] {
        let mut command = user.tsm_command(&["start", "--kind", "port", "sleep", "1000"]);
        command.env("TSM_PORT_RANGE", bad);
        run(command).code(2).complains("TSM_PORT_RANGE");
    }
}
