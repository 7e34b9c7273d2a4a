//! `tsm start`: every kind of command, what it becomes, and what it is told.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::kit::{Ran, User, eventually, free_port, run, text};

/// Writes its arguments and its environment to its log, as one line of JSON, then waits.
const TELL: &str = "\
import json, os, signal, sys
print(json.dumps({'argv': sys.argv[1:], 'cwd': os.getcwd(), 'env': dict(os.environ)}), flush=True)
signal.pause()
";

/// What a program that [`TELL`]s wrote, last.
fn told(user: &User, name: &str) -> Value {
    let mut found = None;
    eventually(&format!("{name} tells its arguments"), || {
        let log = text(&user.log(name));
        found = log.lines().rev().find_map(|line| serde_json::from_str::<Value>(line).ok());
        found.is_some()
    });
    found.unwrap()
}

/// A listener on loopback and its port.
fn taken() -> (TcpListener, u16) {
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

#[test]
fn the_same_twice_is_one_process_and_another_command_under_its_name_is_a_conflict() {
    let user = User::new();
    user.ok(&["start", "sleep", "1000"]).says("Started");
    let pid = user.pid("my-api-sleep");
    user.ok(&["start", "sleep", "1000"]).says("Already running: my-api-sleep (TSM ID: 0");
    user.ok(&["start", "sleep 1000 "]).says("Already running");
    user.ok(&["start", "my-api-sleep"]).says("Already running");
    user.ok(&["start", "0"]).says("Already running");
    user.tsm(&["start", "sleep", "2000"])
        .code(6)
        .complains("runs another command already: sleep 1000")
        .complains("tsm stop my-api-sleep");
    user.tsm(&["start", "--restart", "always", "sleep", "1000"]).code(6);
    user.ok(&["start", "--name", "second", "sleep", "2000"]).says("Started: second (TSM ID: 1");
    assert_eq!(user.pid("my-api-sleep"), pid);
    // Another command may take the name of one that does not run; it is the same entry then.
    user.ok(&["stop", "my-api-sleep"]);
    user.ok(&["start", "sleep", "3000"]).says("Started: my-api-sleep (TSM ID: 0");
    assert_eq!(user.view("my-api-sleep")["command"], "sleep 3000");
}

#[test]
fn a_stopped_process_is_started_again_by_name_and_id_and_keeps_them_and_its_port() {
    let user = User::new();
    let port = free_port().to_string();
    user.ok(&["start", "sleep", "1000"]);
    user.ok(&["start", "--name", "web", "--port", &port, "--wait", "python3", "-m", "http.server"]);
    let name = format!("web-{port}");
    for word in [name.as_str(), "1", "web"] {
        let before = user.pid(&name);
        user.ok(&["stop", &name]);
        assert_eq!(user.state(&name), "stopped");
        user.ok(&["start", "--wait", word])
            .says(&format!("Started: {name} (TSM ID: 1"))
            .says(&format!("Port: {port})"));
        assert_ne!(user.pid(&name), before, "{word}");
    }
    user.ok(&["stop", &name]);
    let _held = TcpListener::bind(("127.0.0.1", port.parse::<u16>().unwrap())).unwrap();
    user.tsm(&["start", &name])
        .code(6)
        .complains(&format!("port {port} of {name} is taken by"))
        .complains("PID");
    assert_eq!(user.state(&name), "stopped");
    // What it keeps cannot be changed in passing.
    for option in
        [&["--port", "4000"][..], &["--env-var", "A=1"], &["--restart", "no"], &["--stop-timeout", "1s"]]
    {
        user.tsm(&[&["start"][..], option, &[&name]].concat()).code(2).complains(option[0]);
    }
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

#[test]
fn a_base_name_of_several_is_a_conflict_that_lists_them() {
    let user = User::new();
    for port in ["18731", "18732"] {
        user.ok(&["start", "--name", "pair", "--port", port, "sleep", "600"]);
    }
    user.ok(&["stop", "all"]);
    user.tsm(&["start", "pair"]).code(6).complains("pair-18731 (TSM ID: 0), pair-18732 (TSM ID: 1)");
    assert_eq!(user.alive(), []);
    user.ok(&["start", "pair-18732"]).says("Started: pair-18732 (TSM ID: 1");
}

#[test]
fn what_waits_for_its_next_try_is_not_said_to_run() {
    let user = User::new();
    user.ok(&["start", "--name", "p", "sh", "-c", "exit 3"]);
    user.until_state("p", "backoff");
    eventually("the answer is about a failure", || {
        let ran = user.tsm(&["start", "p"]);
        assert_eq!(ran.code, 0, "{ran:?}");
        ran.stdout.starts_with("It failed and is about to be started again: p (TSM ID: 0)")
    });
}
