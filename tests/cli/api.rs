//! `tsm api`: what the functions of the shell layer ask.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::kit::{User, eventually, free_port, is_alive, text};

fn patterns(user: &User, text: &str) {
    fs::create_dir_all(user.tsm_dir()).unwrap();
    fs::write(user.tsm_dir().join("patterns.txt"), text).unwrap();
}

/// The PID of a zombie: a child that has ended and was not waited for.
fn zombie() -> std::process::Child {
    let child = Command::new("true").spawn().unwrap();
    let stat = format!("/proc/{}/stat", child.id());
    eventually("it is a zombie", || fs::read_to_string(&stat).unwrap().contains(") Z "));
    child
}

#[test]
fn it_is_in_no_help_and_helps_by_itself() {
    let user = User::new();
    assert!(!user.ok(&["--help"]).stdout.contains("\n  api "));
    user.ok(&["api", "--help"]).says("service-info").says("  tsm api ");
    user.tsm(&["api"]).code(2);
    user.tsm(&["api", "fly"]).code(2).complains("api has no verb \"fly\"");
    user.tsm(&["apj"]).code(2).complains("tsm --help");
}

#[test]
fn service_info_is_the_seeds_four_lines() {
    let user = User::new();
    for (words, kind, required, ipc, port) in [
        (&["python -m http.server"][..], "port", true, false, "8000"),
        (&["python3", "-m", "http.server", "9123"], "port", true, false, "9123"),
        (&["node", "app.js"], "port", true, false, "3000"),
        (&["bash worker.sh"], "socket", false, true, "none"),
        (&["sleep 300"], "pid", false, false, "none"),
        (&["vite", "build"], "pid", false, false, "none"),
        // It is likely to listen, on a port that is chosen when it is started.
        (&["python3", "server.py"], "port", true, false, "none"),
    ] {
        let ran = user.ok(&[&["api", "service-info"], words].concat());
        assert_eq!(
            ran.stdout,
            format!(
                "Service Classification:\n  Type: {kind}-based\n  Port Required: {required}\n  IPC Enabled: {ipc}\n  Default Port: {port}\n"
            ),
            "{words:?}"
        );
        assert_eq!(ran.stderr, "");
    }
    user.tsm(&["api", "service-info"]).code(2);
    user.tsm(&["api", "service-info", "echo 'x"]).code(2).complains("a quote is not closed");
    assert!(!user.tsm_dir().exists(), "a question makes nothing");
}

#[test]
fn a_classification_is_valid_when_class_pattern_and_template_agree() {
    let user = User::new();
    for command in
        ["bash worker.sh", "python -m http.server", "sleep 300", "vite build", "node app.js -p 4000"]
    {
        let ran = user.ok(&["api", "validate-classification", command]);
        assert!(ran.stdout.starts_with("consistent: "), "{ran:?}");
    }
    patterns(
        &user,
        "a|./a|0|{cmd} --port {port}\nb|./b|-|{cmd} {port}\nc|./c|7000|{cmd} --on {prot} {port}\nd|./d|7000|{cmd}\n",
    );
    for (command, why) in [
        ("./a", "pattern \"a\": its template \"{cmd} --port {port}\" wants a port, and it has none"),
        ("./b", "wants a port, and it has none"),
        ("./c", "has {prot}, which nothing replaces"),
        ("bash x.sh --port 4000", "the command is port-based (the command says"),
    ] {
        let ran = user.tsm(&["api", "validate-classification", command]).code(1).complains(why);
        assert_eq!(ran.stdout, "", "{command}");
    }
    user.ok(&["api", "validate-classification", "./d"]).says("consistent: port-based, pattern \"d\"");
}

#[test]
fn a_process_lives_until_it_is_a_zombie() {
    let user = User::new();
    let own = std::process::id().to_string();
    for pid in ["1", &own] {
        assert_eq!(user.ok(&["api", "is-pid-alive", pid]).stdout, "");
    }
    let mut zombie = zombie();
    let pid = zombie.id().to_string();
    for pid in [pid.as_str(), "2147483647", "4294967295"] {
        let ran = user.tsm(&["api", "is-pid-alive", pid]).code(1);
        assert_eq!((ran.stdout, ran.stderr), (String::new(), String::new()), "{pid}");
    }
    zombie.wait().unwrap();
    for pid in ["", "0", "-1", "x", "1.5", "99999999999"] {
        user.tsm(&["api", "is-pid-alive", pid]).code(2);
    }
}

#[test]
fn the_listener_of_a_port_is_named_and_a_client_is_not() {
    let user = User::new();
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    // A client of the same port from another process.
    let connect = format!("exec 3<>/dev/tcp/127.0.0.1/{port}; echo there; exec sleep 1000");
    user.ok(&["start", "--name", "client", "bash", "-c", &connect]);
    eventually("it is connected", || text(&user.log("client")).contains("there"));
    let own = format!("{}\n", std::process::id());
    assert_eq!(user.ok(&["api", "port-pid", &port]).stdout, own);
    drop(listener);
    let ran = user.tsm(&["api", "port-pid", &port]).code(1);
    assert_eq!((ran.stdout, ran.stderr), (String::new(), String::new()));
    let six = std::net::TcpListener::bind(("::1", 0)).unwrap();
    let port = six.local_addr().unwrap().port().to_string();
    assert_eq!(user.ok(&["api", "port-pid", &port]).stdout, own);
    for port in ["0", "65536", "x", ""] {
        user.tsm(&["api", "port-pid", port]).code(2);
    }
}

#[test]
fn json_is_one_line_and_any_text_is_kept() {
    let user = User::new();
    let odd = "it's \"odd\"\n\t\\ {x} é $HOME";
    for (words, expected) in [
        (&["json-success", "done"][..], json!({"success": true, "message": "done", "data": null})),
        (&["json-success", odd, odd], json!({"success": true, "message": odd, "data": odd})),
        (
            &["json-success", "x", r#"{"b":[1,2.5,null],"a":"y"}"#],
            json!({"success": true, "message": "x", "data": {"b": [1, 2.5, null], "a": "y"}}),
        ),
        (&["json-success", "x", "42"], json!({"success": true, "message": "x", "data": 42})),
        (&["json-success", "x", "-1"], json!({"success": true, "message": "x", "data": -1})),
        (&["json-success", "x", "{broken"], json!({"success": true, "message": "x", "data": "{broken"})),
        (&["json-success", "", ""], json!({"success": true, "message": "", "data": ""})),
        (
            &["json-error", "bad"],
            json!({"success": false, "error": {"message": "bad", "code": null, "details": null}}),
        ),
        (
            &["json-error", odd, "E_PORT", odd],
            json!({"success": false, "error": {"message": odd, "code": "E_PORT", "details": odd}}),
        ),
        (
            &["json-error", "bad", "6", r#"["x"]"#],
            json!({"success": false, "error": {"message": "bad", "code": 6, "details": ["x"]}}),
        ),
    ] {
        let ran = user.ok(&[&["api"], words].concat());
        assert_eq!(ran.stdout.lines().count(), 1, "{ran:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&ran.stdout).unwrap(), expected, "{words:?}");
    }
    user.ok(&["api", "json-success", "m"]).says("{\"success\":true,\"message\":\"m\",\"data\":null}\n");
    user.tsm(&["api", "json-success"]).code(2);
}

#[test]
fn metadata_is_the_plan_and_nothing_is_made() {
    let user = User::new();
    let port = free_port();
    let said = user.ok(&["api", "create-metadata", "web", "python3", "-m", "http.server", &port.to_string()]);
    let plan: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!((&plan["name"], &plan["port"]), (&json!(format!("web-{port}")), &json!(port)));
    assert_eq!(plan["argv"], json!(["python3", "-m", "http.server", port.to_string()]));
    assert_eq!(plan["kind"], "port");
    for key in ["dir", "env_file", "reasons", "restart"] {
        assert!(plan.get(key).is_some(), "{key}");
    }
    assert!(!user.tsm_dir().exists());
    user.tsm(&["api", "create-metadata", "../x", "sleep", "1"]).code(2);
    user.tsm(&["api", "create-metadata", "x"]).code(2);
}

/// `discover-port` with this text on standard input.
fn discovered(user: &User, input: &str) -> crate::kit::Ran {
    let mut command = user.command("sh");
    command.args([
        "-c",
        "printf %s \"$1\" | \"$2\" api discover-port -",
        "sh",
        input,
        env!("CARGO_BIN_EXE_tsm"),
    ]);
    crate::kit::run(command)
}

#[test]
fn a_port_is_discovered_in_output_and_files() {
    let user = User::new();
    assert_eq!(
        discovered(&user, "building\n\x1b[32mLocal: http://127.0.0.1:3000/\x1b[0m\n").stdout,
        "3000\n"
    );
    assert_eq!(discovered(&user, "port 4000").stdout, "4000\n");
    discovered(&user, "nothing here\n").code(1).complains("standard input names no port");
    discovered(&user, "").code(1);
    user.file(
        "out.txt",
        "Port 3000 is in use\nServing HTTP on 0.0.0.0 port 8123 (http://0.0.0.0:8123/) ...\n",
    );
    for name in ["out.txt", "./out.txt"] {
        assert_eq!(user.ok(&["api", "discover-port", name]).stdout, "8123\n");
    }
    user.tsm(&["api", "discover-port", "./nope"]).code(4).complains("./nope does not exist");
    user.tsm(&["api", "discover-port", "nope"]).code(4).complains("no such process: nope");
    user.tsm(&["api", "discover-port", "./"]).code(1);
    // Bytes that are no text, and a line without end.
    fs::write(user.cwd().join("odd"), [vec![0xff; 300_000], b"\nlistening on :4321".to_vec()].concat())
        .unwrap();
    assert_eq!(user.ok(&["api", "discover-port", "./odd"]).stdout, "4321\n");
}

#[test]
fn a_pipe_is_read_to_the_announcement_and_no_further() {
    let user = User::new();
    let mut command = user.tsm_command(&["api", "discover-port"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    pipe.write_all(b"starting\nlistening on http://localhost:5173\n").unwrap();
    // The pipe stays open: it must not be waited for.
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "5173\n");
    drop(pipe);
}

#[test]
fn of_a_process_the_kernel_knows_better_than_its_output() {
    let user = User::new();
    let port = free_port();
    let lie = format!("echo listening on port 1234; exec python3 -m http.server {port} --bind 127.0.0.1");
    user.ok(&["start", "--wait", "--name", "liar", "--port", &port.to_string(), "--", "bash", "-c", &lie]);
    assert_eq!(user.ok(&["api", "discover-port", "liar"]).stdout, format!("{port}\n"));
    // One that does not listen is believed; of its runs the last one.
    user.program("says.sh", "#!/bin/sh\necho \"listening on port $(cat port)\"\nexec sleep 1000\n");
    user.file("port", "2001\n");
    user.ok(&["start", "--name", "says", "--kind", "pid", "./says.sh"]);
    eventually("it has said so", || text(&user.log("says")).contains("2001"));
    assert_eq!(user.ok(&["api", "discover-port", "says"]).stdout, "2001\n");
    user.file("port", "2002\n");
    user.ok(&["restart", "says"]);
    eventually("it has said so", || text(&user.log("says")).contains("2002"));
    assert_eq!(user.ok(&["api", "discover-port", "says"]).stdout, "2002\n");
    user.ok(&["start", "--name", "quiet", "sleep", "1000"]);
    user.tsm(&["api", "discover-port", "quiet"]).code(1).complains("quiet names no port");
    assert!(is_alive(user.pid("quiet")));
}
