//! `tsm start`: every kind of command, what it becomes, and what it is told.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::kit::{User, eventually, free_port, text};

/// Writes its arguments and its environment to its log, as one line of JSON, then waits.
pub(crate) const TELL: &str = "\
import json, os, signal, sys
print(json.dumps({'argv': sys.argv[1:], 'cwd': os.getcwd(), 'env': dict(os.environ)}), flush=True)
signal.pause()
";

/// What a program that [`TELL`]s wrote, last.
pub(crate) fn told(user: &User, name: &str) -> Value {
    let mut found = None;
    eventually(&format!("{name} tells its arguments"), || {
        let log = text(&user.log(name));
        found = log.lines().rev().find_map(|line| serde_json::from_str::<Value>(line).ok());
        found.is_some()
    });
    found.unwrap()
}

/// A listener on loopback and its port.
pub(crate) fn taken() -> (TcpListener, u16) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// Every file below `dir`.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    let Ok(listing) = fs::read_dir(dir) else { return all };
    for item in listing.flatten() {
        let kind = item.file_type().unwrap();
        if kind.is_dir() {
            all.extend(files(&item.path()));
        } else if kind.is_file() {
            all.push(item.path());
        }
    }
    all
}

/// The value of `what` and why it was chosen, as `--dry-run --json` says.
fn reason(plan: &Value, what: &str) -> (String, String) {
    let all = plan["reasons"].as_array().unwrap();
    let one = all.iter().find(|one| one["what"] == what).unwrap_or_else(|| panic!("no {what} in {plan:#}"));
    (one["value"].as_str().unwrap().into(), one["why"].as_str().unwrap().into())
}

#[test]
fn several_words_arrive_exactly_as_typed() {
    let user = User::new();
    user.file("tell.py", TELL);
    let words = [
        "two words",
        "$HOME",
        "*",
        "`id`",
        "",
        "it's",
        "\"quoted\"",
        "a\\b",
        "line\nbreak",
        "--json",
        "--",
        "&&",
        "${X:-y}",
        "~",
        "#no",
        "é",
        "tab\there",
        " ",
        "--port-ish",
    ];
    user.ok(&[&["start", "python3", "tell.py"][..], &words].concat());
    assert_eq!(told(&user, "my-api-tell")["argv"], json!(words));
}

#[test]
fn one_quoted_word_is_split_by_shell_rules_and_run_by_bash_only_for_shell_syntax() {
    let user = User::new();
    user.file("tell.py", TELL);
    user.ok(&["start", "--name", "split", "python3 tell.py 'two words' \"it's\" a\\ b"]);
    assert_eq!(told(&user, "split")["argv"], json!(["two words", "it's", "a b"]));
    let plan = user.json(&["start", "--dry-run", "python3 tell.py x"]);
    assert_eq!(plan["argv"], json!(["python3", "tell.py", "x"]));
    user.ok(&[
        "start",
        "--name",
        "shell",
        "GREETING=hi; export GREETING && python3 tell.py \"$GREETING\" *.py | cat",
    ]);
    assert_eq!(told(&user, "shell")["argv"], json!(["hi", "tell.py"]));
    assert_eq!(told(&user, "shell")["env"]["GREETING"], "hi");
    // The exact same words, but several: nothing of them is the shell's.
    user.ok(&["start", "--name", "exact", "python3", "tell.py", "&&", "$GREETING", "*.py"]);
    assert_eq!(told(&user, "exact")["argv"], json!(["&&", "$GREETING", "*.py"]));
    user.tsm(&["start", "python3 'tell.py"]).code(2).complains("quote is not closed");
}

#[test]
fn options_end_at_the_first_word_or_at_two_dashes() {
    let user = User::new();
    user.file("tell.py", TELL);
    user.ok(&["start", "--name", "a", "python3", "tell.py", "--name", "b", "--json", "--", "--wait"]);
    assert_eq!(told(&user, "a")["argv"], json!(["--name", "b", "--json", "--", "--wait"]));
    user.ok(&["start", "--name", "c", "--", "python3", "tell.py", "--dry-run", "--", "x"]);
    assert_eq!(told(&user, "c")["argv"], json!(["--dry-run", "--", "x"]));
    let port = free_port().to_string();
    let name = format!("my-api-http-{port}");
    user.ok(&["start", "--wait", "python3", "-m", "http.server", &port, "--bind", "127.0.0.1"]).says(&name);
    assert_eq!(user.view(&name)["ports"], json!([port.parse::<u16>().unwrap()]));
    user.tsm(&["start", "--prot", "3", "sleep", "1"]).code(2).complains("--port");
}

#[test]
fn a_script_is_run_by_its_shebang_or_its_ending() {
    let user = User::new();
    user.file("tell.py", TELL);
    user.program("by-shebang", &format!("#!/usr/bin/env python3\n{TELL}"));
    user.file("no-x-bit", &format!("#!/usr/bin/env python3\n{TELL}"));
    user.file("worker.sh", "echo \"I am $0 with $*\"\nexec sleep 1000\n");
    for (words, name) in [
        (&["./by-shebang", "1"][..], "my-api-by-shebang"),
        (&["no-x-bit", "1"][..], "my-api-no-x-bit"),
        (&["tell.py", "1"][..], "my-api-tell"),
    ] {
        user.ok(&[&["start"][..], words].concat()).says(&format!("Started: {name} (TSM ID: "));
        assert_eq!(told(&user, name)["argv"], json!(["1"]));
    }
    user.ok(&["start", "worker.sh", "a b", "c"]);
    eventually("the worker speaks", || {
        text(&user.log("my-api-worker")).contains("I am worker.sh with a b c")
    });
    let view = user.view("my-api-worker");
    assert_eq!((&view["kind"], &view["port"]), (&json!("socket"), &Value::Null), "a bash script is a worker");
    user.until_state("my-api-worker", "online");
}

#[test]
fn a_virtualenv_of_the_directory_is_preferred_to_the_search_path() {
    let user = User::new();
    user.file("tell.py", TELL);
    let wrapper = "#!/bin/sh\nexport GREETING=venv\nexec /usr/bin/env python3 \"$@\"\n";
    for program in ["python", "python3"] {
        user.program(&format!("venv/bin/{program}"), wrapper);
    }
    user.ok(&["start", "python", "tell.py"]);
    assert_eq!(told(&user, "my-api-tell")["env"]["GREETING"], "venv");
    user.ok(&["start", "--name", "three", "python3", "tell.py"]);
    assert_eq!(told(&user, "three")["env"]["GREETING"], "venv");
    // One that is said outright is never replaced.
    user.ok(&["start", "--name", "outright", "/usr/bin/env", "python3", "tell.py"]);
    assert_eq!(told(&user, "outright")["env"]["GREETING"], Value::Null);
}

#[test]
fn a_node_server_gets_its_port_by_the_environment() {
    let user = User::new();
    user.file(
        "server.js",
        "require('http').createServer((q, s) => s.end('node')).listen(process.env.PORT || 3000, '127.0.0.1')\n",
    );
    let port = free_port();
    let name = format!("my-api-server-{port}");
    user.ok(&["start", "--wait", "--port", &port.to_string(), "node", "server.js"])
        .says(&format!("Port: {port})"));
    let view = user.view(&name);
    assert_eq!(
        (&view["kind"], &view["status"], &view["ports"]),
        (&json!("port"), &json!("online"), &json!([port]))
    );
}

#[test]
fn npm_start_runs_the_script_of_the_package_and_is_stopped_with_its_tree() {
    let user = User::new();
    user.file("package.json", r#"{"name": "x", "private": true, "scripts": {"start": "node server.js"}}"#);
    user.file("server.js", "require('http').createServer((q, s) => s.end('npm')).listen(process.env.PORT)\n");
    let port = free_port();
    let name = format!("my-api-start-{port}");
    user.ok(&["start", "--wait", "--port", &port.to_string(), "npm", "start"]).says(&name);
    assert_eq!(user.view(&name)["ports"], json!([port]));
    user.ok(&["stop", &name]);
    assert_eq!(user.alive(), []);
}

#[test]
fn a_server_that_ignores_its_port_is_said_to_listen_elsewhere() {
    let user = User::new();
    user.file(
        "deaf.py",
        "import socket, signal\ns = socket.socket()\ns.bind(('127.0.0.1', 0))\ns.listen()\nsignal.pause()\n",
    );
    let port = free_port();
    let name = format!("my-api-deaf-{port}");
    let ran = user.ok(&["start", "--wait", "--port", &port.to_string(), "python3", "deaf.py"]);
    let said = format!("not on the planned port {port}");
    assert!(ran.stderr.contains(&said), "{ran:?}");
    let real = user.view(&name)["ports"][0].as_u64().unwrap();
    assert_ne!(real, u64::from(port));
    assert!(ran.stdout.contains(&format!("Port: {real})")), "{ran:?}");
    user.ok(&["info", &name]).says(&real.to_string());
}

#[test]
fn dir_name_kind_and_env_var_are_obeyed_and_no_secret_touches_the_disk() {
    let user = User::new();
    user.file("sub dir/tell.py", TELL);
    let secret = "s3cr3t-value-that-must-not-be-written";
    user.ok(&[
        "start",
        "--dir",
        "sub dir",
        "--name",
        "mine",
        "--kind",
        "socket",
        "--env-var",
        "GREETING=a b=c",
        "--env-var",
        &format!("API_TOKEN={secret}"),
        "python3",
        "tell.py",
    ])
    .says("Started: mine (TSM ID: 0");
    let told = told(&user, "mine");
    let dir = user.home().join("my-api/sub dir").display().to_string();
    assert_eq!((&told["cwd"], &told["env"]["PWD"]), (&json!(dir), &json!(dir)));
    assert_eq!(told["env"]["GREETING"], "a b=c");
    assert_eq!(told["env"]["API_TOKEN"], secret);
    assert_eq!((&told["env"]["TSM_NAME"], &told["env"]["TSM_ID"]), (&json!("mine"), &json!("0")));
    assert_eq!(user.view("mine")["kind"], "socket");
    // Its own log, to which it was asked to print the value, is no business of TSM's.
    let own_log = user.log("mine");
    for file in files(&user.tsm_dir()).iter().filter(|file| **file != own_log) {
        assert!(!text(file).contains(secret), "{}", file.display());
    }
    assert!(!user.ok(&["info", "--json", "mine"]).stdout.contains(secret));
    user.tsm(&["start", "--env-var", "1X=2", "sleep", "1"]).code(2).complains("NAME=VALUE");
}

#[test]
fn a_password_inside_an_address_is_a_secret_too() {
    let user = User::new();
    let url = "postgres://app:hunter2hunter2@db.example/app";
    user.ok(&[
        "start",
        "--name",
        "db",
        "--env-var",
        &format!("DATABASE_URL={url}"),
        "sh",
        "-c",
        "echo $DATABASE_URL; exec sleep 1000",
    ]);
    eventually("the program has the whole value", || text(&user.log("db")).contains(url));
    let own_log = user.log("db");
    for file in files(&user.tsm_dir()).iter().filter(|file| **file != own_log) {
        assert!(!text(file).contains("hunter2hunter2"), "{}", file.display());
    }
}

#[test]
fn a_port_among_the_variables_is_a_port_that_was_asked_for() {
    let user = User::new();
    user.file("tell.py", TELL);
    let port = free_port();
    user.ok(&["start", "--env-var", &format!("PORT={port}"), "python3", "tell.py"])
        .says(&format!("my-api-tell-{port}"));
    assert_eq!(told(&user, &format!("my-api-tell-{port}"))["env"]["PORT"], port.to_string());
    let (_held, busy) = taken();
    user.tsm(&["start", "--env-var", &format!("PORT={busy}"), "python3", "tell.py"])
        .code(6)
        .complains("is taken by");
}

#[test]
fn a_dry_run_says_why_and_touches_nothing() {
    let user = User::new();
    user.file("env/dev.env", "API_KEY=very-secret\nCOLOR=blue\n");
    let port = free_port();
    let port_text = port.to_string();
    let words = ["start", "--dry-run", "--port", &port_text, "python3", "-m", "http.server"];
    let ran = user.ok(&words);
    ran.says(&format!("port {port}: given with --port")).says("argv python3 -m http.server");
    let plan = user.json(&words);
    assert_eq!(plan["argv"], json!(["python3", "-m", "http.server", port_text]));
    assert_eq!((&plan["kind"], &plan["port"]), (&json!("port"), &json!(port)));
    assert_eq!(plan["name"], format!("my-api-http-{port}"));
    assert_eq!(plan["dir"], user.home().join("my-api").display().to_string());
    assert_eq!(plan["env"]["COLOR"], "blue");
    assert!(!plan.to_string().contains("very-secret"), "{plan}");
    for what in ["argv", "kind", "port", "name", "dir", "env_file"] {
        assert!(!reason(&plan, what).1.is_empty(), "{what}");
    }
    assert!(!user.tsm_dir().exists(), "a dry run writes nothing: {:?}", files(&user.tsm_dir()));
    assert_eq!(user.alive(), []);
    // What runs already is not planned a second time.
    user.ok(&["start", "--wait", "--port", &port_text, "python3", "-m", "http.server"]);
    user.ok(&words).says("Already running");
    assert_eq!(user.json(&words)["status"], "online");
    let name = format!("my-api-http-{port}");
    user.ok(&["stop", &name]);
    let again = user.json(&["start", "--dry-run", &name]);
    assert_eq!((&again["name"], &again["port"]), (&json!(name), &json!(port)));
    assert_eq!(user.state(&name), "stopped");
}

#[test]
fn json_is_one_object_with_what_was_started() {
    let user = User::new();
    let view = user.json(&["start", "sleep", "1000"]);
    for (key, value) in
        [("id", json!(0)), ("name", json!("my-api-sleep")), ("kind", json!("pid")), ("port", Value::Null)]
    {
        assert_eq!(view[key], value, "{view:#}");
    }
    assert_eq!(view["pid"].as_i64().unwrap(), i64::from(user.pid("my-api-sleep")));
    assert_eq!(view["command"], "sleep 1000");
    let again = user.json(&["start", "sleep", "1000"]);
    assert_eq!(again["pid"], view["pid"]);
}

#[test]
fn wait_fails_with_the_last_lines_of_a_program_that_dies_and_with_124_for_a_slow_one() {
    let user = User::new();
    user.file("dies.py", "import sys\nprint('cannot find the flux capacitor')\nsys.exit(3)\n");
    let ran = user.tsm(&["start", "--wait", "--restart", "no", "--kind", "pid", "python3", "dies.py"]);
    ran.code(1).complains("flux capacitor");
    assert_eq!(user.state("my-api-dies"), "exited");
    let port = free_port().to_string();
    user.tsm(&["start", "--wait=200ms", "--port", &port, "sleep", "1000"])
        .code(124)
        .complains("is not ready");
    assert_eq!(user.state(&format!("my-api-sleep-{port}")), "starting", "it goes on");
}
