//! The daemon's API, spoken to as any program would: its forms, its methods, its limits.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::control::Client;
use crate::kit::{User, eventually, free_port, run};

impl Client {
    /// The answer to a request of JSON-RPC: `result`, or `error`.
    pub(crate) fn call(&mut self, method: &str, params: &Value) -> Result<Value, Value> {
        let mut reply =
            self.ask(&json!({"jsonrpc": "2.0", "id": "x", "method": method, "params": params}).to_string());
        assert_eq!((&reply["jsonrpc"], &reply["id"]), (&"2.0".into(), &"x".into()), "{reply}");
        match reply.get_mut("error") {
            Some(error) => Err(error.take()),
            None => Ok(reply["result"].take()),
        }
    }
}

/// `value` without what differs from moment to moment.
fn settled(mut value: Value) -> Value {
    const VOLATILE: [&str; 9] = [
        "uptime_ms",
        "cpu_percent",
        "memory_bytes",
        "processes",
        "tree",
        "time",
        "age_ms",
        "log_bytes",
        "since_ms",
    ];
    match &mut value {
        Value::Object(fields) => {
            fields.retain(|name, _| !VOLATILE.contains(&name.as_str()));
            fields.values_mut().for_each(|one| *one = settled(one.take()));
        }
        Value::Array(all) => all.iter_mut().for_each(|one| *one = settled(one.take())),
        _ => {}
    }
    value
}

#[test]
fn every_form_of_a_request_is_answered_in_its_form() {
    let user = User::new();
    user.ok(&["start", "--name", "web", "--wait", "sleep", "1000"]);
    user.daemon();
    let mut api = user.api();
    for line in [
        "STATUS",
        "status",
        r#"{"command":"status"}"#,
        r#"{"action":"status"}"#,
        r#"{"action":"status","args":{}}"#,
        r#"{"method":"status"}"#,
    ] {
        let reply = api.ask(line);
        assert_eq!((&reply["ok"], &reply["running"]), (&true.into(), &true.into()), "{line}: {reply}");
    }
    assert_eq!(api.ask("Status")["ok"], false, "not every mixture of cases is a verb");
    assert_eq!(api.ask("LIST")["result"][0]["name"], "web");
    assert_eq!(api.ask(r#"{"command":"info","refs":["web"]}"#)["name"], "web");
    assert_eq!(api.ask(r#"{"action":"info","args":{"refs":["web"]}}"#)["name"], "web");
    let refused = api.ask(r#"{"command":"info","refs":["nope"]}"#);
    assert_eq!((&refused["ok"], &refused["data"]["kind"]), (&false.into(), &"not-found".into()), "{refused}");
    assert_eq!(refused["error"], "no such process: nope");

    for id in [json!(7), json!("seven"), json!(null), json!(7.5)] {
        let reply = api.ask(&json!({"jsonrpc": "2.0", "id": id, "method": "ping"}).to_string());
        assert_eq!(reply, json!({"jsonrpc": "2.0", "id": id, "result": {"pong": true}}));
    }
    // A notification has no answer: the next one is that of the next request.
    api.send(b"{\"jsonrpc\":\"2.0\",\"method\":\"ping\"}\n\n  \n");
    assert_eq!(api.call("ping", &json!({})).unwrap(), json!({"pong": true}));
    // Frames come as the network cuts them, and several at once.
    api.send(b"PI");
    api.send(b"NG\nPING\r\nSTA");
    assert_eq!(api.hear().unwrap()["pong"], true);
    assert_eq!(api.hear().unwrap()["pong"], true);
    assert_eq!(api.ask("TUS")["running"], true);
}

#[test]
fn what_is_no_request_is_told_why_and_disturbs_nobody() {
    let user = User::new();
    user.daemon();
    let (mut api, mut other) = (user.api(), user.api());
    let rpc = |method: &str, params: Value| {
        json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string()
    };
    for (line, code, kind, said) in [
        ("{\"jsonrpc\":".into(), -32700, "parse", "the frame is no JSON"),
        ("\u{1}\u{2}".into(), -32700, "parse", "the frame is no JSON"),
        ("[]".into(), -32600, "invalid", "several in an array are not taken"),
        ("42".into(), -32600, "invalid", "a request is a JSON object"),
        (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#.into(), -32600, "invalid", "jsonrpc must be \"2.0\""),
        (r#"{"jsonrpc":"2.0","id":1}"#.into(), -32600, "invalid", "a request has a method"),
        (r#"{"jsonrpc":"2.0","id":[],"method":"ping"}"#.into(), -32600, "invalid", "id must be"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","x":1}"#.into(), -32600, "invalid", "no field \"x\""),
        (rpc("fly", json!({})), -32601, "unknown-method", "there is no method \"fly\""),
        (rpc("stop", json!([])), -32602, "usage", "params must be an object"),
        (rpc("stop", json!({})), -32602, "usage", "missing field `refs`"),
        (rpc("stop", json!({"refs": "web"})), -32602, "usage", "invalid type: string \"web\""),
        (rpc("stop", json!({"refs": ["web"], "now": true})), -32602, "usage", "unknown field `now`"),
        (rpc("ping", json!({"now": true})), -32602, "usage", "unknown field `now`"),
        (rpc("list", json!({"what": "some"})), -32602, "usage", "unknown variant `some`"),
        (rpc("start", json!({"words": ["a"], "port": 70000})), -32602, "usage", "70000"),
        (rpc("stop", json!({"refs": []})), -32002, "usage", ""),
        (rpc("stop", json!({"refs": ["nope"]})), -32004, "not-found", "no such process: nope"),
        (rpc("events.subscribe", json!({"since": -1})), -32602, "usage", "-1"),
        (rpc("logs.subscribe", json!({"refs": ["nope"]})), -32004, "not-found", "no such process: nope"),
    ] {
        let reply = api.ask(&line);
        let error = &reply["error"];
        assert_eq!((&error["code"], &error["data"]["kind"]), (&code.into(), &kind.into()), "{line}: {reply}");
        assert!(error["message"].as_str().unwrap().contains(said), "{line}: {reply}");
        assert_eq!(api.ask("PING")["pong"], true, "the connection stays usable after {line}");
        assert_eq!(other.ask("PING")["pong"], true, "{line}");
    }
    // A word of a megabyte is neither looked for nor repeated: everybody would wait for that.
    let long = "x".repeat((1 << 20) - 200);
    for line in [rpc(&long, json!({})), rpc("stop", json!({ &long: 1 }))] {
        let error = api.ask(&line)["error"].take();
        assert_eq!(error["data"].get("hint"), None);
        assert!(error["message"].as_str().unwrap().len() < 3000, "{error}");
    }
    let near = api.call("services.lst", &json!({})).unwrap_err();
    assert_eq!(near["data"]["hint"], "did you mean services.list?");
    let hint = api.call("stop", &json!({"refs": ["nope"]})).unwrap_err();
    assert_eq!((&hint["data"]["hint"], &hint["data"]["exit_code"]), (&"tsm list all".into(), &4.into()));
}

/// The methods that ask, tried in [`a_method_that_asks_says_what_its_verb_says`].
const ASKS: [&str; 20] = [
    "doctor.boot",
    "doctor.clean",
    "doctor.env",
    "doctor.healthcheck",
    "doctor.port",
    "doctor.validate",
    "env",
    "health",
    "info",
    "list",
    "patterns",
    "ports",
    "save",
    "services.list",
    "services.show",
    "socket.list",
    "socket.send",
    "start",
    "startup",
    "why",
];

/// The methods that act or whose answer is never twice the same, tried in [`a_method_that_acts_does_it`].
const ACTS: [&str; 16] = [
    "cleanup",
    "delete",
    "doctor",
    "doctor.kill",
    "doctor.orphans",
    "kill",
    "logs",
    "reload",
    "restart",
    "save",
    "services.disable",
    "services.enable",
    "socket.cleanup",
    "start",
    "startup",
    "stop",
];

/// The daemon's own, each with tests of its own.
const OWN: [&str; 19] = [
    "addCodeChange",
    "addMessage",
    "agents.explain",
    "agents.label",
    "agents.list",
    "agents.stop",
    "agents.subscribe",
    "agents.switch",
    "createSession",
    "events.subscribe",
    "getActiveSessions",
    "getConfig",
    "logs.subscribe",
    "metrics",
    "ping",
    "saveSession",
    "saveSessionsForRepo",
    "shutdown",
    "status",
];

/// Each once, sorted.
fn once(mut names: Vec<&str>) -> Vec<&str> {
    names.sort_unstable();
    names.dedup();
    names
}

#[test]
fn no_method_is_tried_by_nobody() {
    let methods = User::new().ok(&["rpc"]).stdout;
    let methods = methods.lines().map(|line| line.split_whitespace().next().unwrap()).collect();
    assert_eq!(once(methods), once([&ASKS[..], &ACTS, &OWN].concat()));
}

#[test]
fn a_method_that_asks_says_what_its_verb_says() {
    let user = User::new();
    let port = free_port();
    let name = format!("web-{port}");
    user.ok(&[
        "start",
        "--wait",
        "--name",
        "web",
        "--port",
        &port.to_string(),
        "python3",
        "-m",
        "http.server",
    ]);
    user.ok(&["start", "--wait", "--name", "job", "sleep", "1000"]);
    user.ok(&["save", "nap", "sleep", "500"]);
    let env = user.file("dev.env", "A=1\n").display().to_string();
    user.daemon();
    let mut api = user.api();
    let mut seen = Vec::new();
    let dir = user.cwd().display().to_string();
    let port_text = port.to_string();
    let (refs, job) = (json!({"refs": [&name]}), json!({"ref": "job"}));
    for (method, params, words) in [
        ("list", json!({}), vec!["list"]),
        ("list", json!({"what": "all"}), vec!["list", "all"]),
        ("info", refs.clone(), vec!["info", &name]),
        ("info", json!({"refs": ["all"]}), vec!["info", "all"]),
        ("health", job.clone(), vec!["socket", "health", "job"]),
        ("why", job.clone(), vec!["why", "job"]),
        ("env", json!({}), vec!["env"]),
        ("env", json!({"ref": "job", "show": true}), vec!["env", "--show", "job"]),
        ("services.list", json!({}), vec!["list", "available"]),
        ("services.show", json!({"name": "nap"}), vec!["show", "nap"]),
        ("patterns", json!({"command": ["node", "x.js"]}), vec!["patterns", "node", "x.js"]),
        ("patterns", json!({}), vec!["patterns"]),
        ("ports", json!({}), vec!["ports"]),
        ("ports", json!({"allocated": true}), vec!["ports", "--allocated"]),
        ("doctor.port", json!({"port": port}), vec!["doctor", "port", &port_text]),
        ("doctor.healthcheck", json!({}), vec!["doctor", "healthcheck"]),
        ("doctor.boot", json!({}), vec!["doctor", "boot"]),
        ("doctor.clean", json!({"dry_run": true}), vec!["doctor", "clean", "--dry-run"]),
        ("doctor.env", json!({"file": &env}), vec!["doctor", "env", &env]),
        (
            "doctor.validate",
            json!({"command": ["sleep", "5"], "dir": &dir}),
            vec!["doctor", "validate", "--dir", &dir, "sleep", "5"],
        ),
        ("socket.list", json!({}), vec!["socket", "list"]),
        ("socket.send", json!({"words": ["job", "HEALTH"]}), vec!["socket", "send", "job", "HEALTH"]),
        (
            "start",
            json!({"words": ["sleep", "7"], "dir": &dir, "dry_run": true, "env_var": ["A=1", "B=2"]}),
            vec!["start", "--dir", &dir, "--dry-run", "--env-var", "A=1", "--env-var", "B=2", "sleep", "7"],
        ),
        (
            "save",
            json!({"words": ["pause", "sleep", "9"], "dry_run": true}),
            vec!["save", "--dry-run", "pause", "sleep", "9"],
        ),
        ("startup", json!({}), vec!["startup"]),
    ] {
        // In the directory that the daemon works in.
        let at = words.iter().position(|word| !["doctor", "socket"].contains(word)).unwrap() + 1;
        let mut words = words.clone();
        words.insert(at, "--json");
        let mut command = user.tsm_command(&words);
        command.current_dir(user.home());
        let ran = run(command);
        // A definition is no JSON: a text, then.
        let want = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| ran.stdout.trim().into());
        let got = api.call(method, &params).unwrap_or_else(|error| panic!("{method}: {error}"));
        assert_eq!(settled(got), settled(want), "{method} and {words:?}");
        seen.push(method);
    }
    assert_eq!(once(seen), ASKS);
}

#[test]
fn a_method_that_acts_does_it() {
    let user = User::new();
    let port = free_port();
    let name = format!("web-{port}");
    user.ok(&[
        "start",
        "--wait",
        "--name",
        "web",
        "--port",
        &port.to_string(),
        "python3",
        "-m",
        "http.server",
    ]);
    user.ok(&["start", "--wait", "--name", "job", "sleep", "1000"]);
    user.daemon();
    let mut api = user.api();
    let dir = user.cwd().display().to_string();
    let mut seen = Vec::new();
    let mut act = |method: &'static str, params: Value| {
        seen.push(method);
        api.call(method, &params).unwrap_or_else(|error| panic!("{method}: {error}"))
    };
    let scan = act("doctor", json!({"all": true}));
    assert!(scan.as_array().unwrap().iter().any(|row| row["port"] == port), "{scan}");
    // It sees what other tests have left behind just now.
    assert!(act("doctor.orphans", json!({}))["exact"].is_array());
    let log = act("logs", json!({"refs": [&name], "lines": 5}));
    assert!(log[0]["line"].as_str().unwrap().contains("Serving HTTP"), "{log}");
    assert_eq!(act("logs", json!({"refs": ["job"]})), json!([]));
    let started =
        act("start", json!({"words": ["sleep", "300"], "dir": &dir, "name": "made", "wait": "10s"}));
    assert_eq!(started["pid"], user.pid("made"), "{started}");
    let before = user.pid("made");
    assert_eq!(act("restart", json!({"refs": ["made"]}))[0]["name"], "made");
    assert_ne!(user.pid("made"), before);
    act("stop", json!({"refs": ["made"]}));
    assert_eq!(user.state("made"), "stopped");
    act("start", json!({"words": ["made"]}));
    act("kill", json!({"refs": ["made"]}));
    assert_eq!(user.state("made"), "stopped");
    act("delete", json!({"refs": ["made"], "purge": true}));
    assert_eq!(user.tsm(&["info", "made"]).code, 4);
    act("start", json!({"words": ["sleep", "300"], "name": "gone"}));
    user.ok(&["stop", "gone"]);
    assert_eq!(act("cleanup", json!({}))[0]["name"], "gone");
    act("save", json!({"words": ["pause", "sleep", "9"]}));
    assert_eq!(act("services.enable", json!({"names": ["pause"]}))[0]["done"], "enabled");
    assert_eq!(act("startup", json!({}))[0]["result"], "started");
    assert_eq!(user.state("pause"), user.view("pause")["status"]);
    assert_eq!(act("services.disable", json!({"names": ["pause"]}))[0]["done"], "disabled");
    assert_eq!(act("socket.cleanup", json!({})), json!({"removed": []}));
    act("reload", json!({"ref": "job"}));
    eventually("a program that knows no reload has ended by it", || user.view("job")["restarts"] == 1);
    let held = user.pid(&name);
    act("doctor.kill", json!({"port": port, "force": true}));
    eventually("whoever listened is gone", || user.view(&name)["pid"] != held);
    assert_eq!(once(seen), ACTS);
}

#[test]
fn a_frame_over_the_limit_ends_its_client_and_no_other() {
    let user = User::new();
    user.daemon();
    let (mut big, mut other) = (user.api(), user.api());
    let of_length = |length: usize| {
        let frame = r#"{"command":"ping"}"#;
        format!("{}{frame}", " ".repeat(length - frame.len()))
    };
    // Blanks before it count as well.
    assert_eq!(big.ask(&of_length(1 << 20))["pong"], true);
    let text = of_length((1 << 20) + 1);
    // The end of it may find nobody there any more.
    big.try_send(text.as_bytes());
    let error = big.hear().unwrap()["error"].take();
    assert_eq!(
        (&error["data"]["kind"], &error["data"]["limit"]),
        (&"too-large".into(), &(1 << 20).into()),
        "{error}"
    );
    assert_eq!(big.hear(), None);
    assert_eq!(other.ask("PING")["pong"], true);
    // One that never ends is refused as well, as soon as it is too long.
    let mut endless = user.api();
    let text = "x".repeat((1 << 20) + (64 << 10));
    endless.try_send(text.as_bytes());
    assert_eq!(endless.hear().unwrap()["error"]["data"]["kind"], "too-large");
    assert_eq!(other.ask("STATUS")["refused"], 2);
}

fn all_answer(clients: &mut [Client]) {
    for client in clients {
        assert_eq!(client.ask("PING")["pong"], true);
    }
}

#[test]
fn the_65th_client_is_refused_until_another_has_gone() {
    let user = User::new();
    user.daemon();
    let mut clients: Vec<Client> = (0..64).map(|_| user.api()).collect();
    all_answer(&mut clients);
    let mut refused = user.api();
    let error = refused.hear().unwrap()["error"].take();
    assert_eq!(
        (&error["data"]["kind"], &error["data"]["limit"]),
        (&"too-many-connections".into(), &64.into()),
        "{error}"
    );
    assert!(error["data"]["retry_after_ms"].as_u64() > Some(0), "{error}");
    assert_eq!(refused.hear(), None);
    // It lives, and says why it does not answer; nobody takes it for dead or for hanging.
    user.tsm(&["daemon", "status"]).code(5).complains("64 connections are open");
    user.tsm(&["rpc", "ping"]).code(5).complains("64 connections are open");
    user.ok(&["daemon", "start"]).says("Already running (PID: ");
    all_answer(&mut clients);
    drop(clients.pop());
    eventually("there is room again", || user.tsm(&["daemon", "ping"]).code == 0);
}

#[test]
fn a_client_that_asks_too_often_is_told_when_to_ask_again() {
    let user = User::new();
    user.daemon();
    let (mut hasty, mut other) = (user.api(), user.api());
    // More than a burst and what comes back while they are sent, however slow this machine is.
    hasty.send("PING\n".repeat(3000).as_bytes());
    let replies: Vec<Value> = (0..3000).map(|_| hasty.hear().unwrap()).collect();
    let good = replies.iter().filter(|reply| reply["pong"] == true).count();
    assert!((200..2000).contains(&good), "{good}");
    let busy: Vec<&Value> = replies.iter().filter(|reply| reply["ok"] == false).collect();
    assert_eq!(good + busy.len(), 3000, "each has an answer");
    for reply in &busy {
        assert_eq!(
            (&reply["data"]["kind"], &reply["data"]["limit"]),
            (&"busy".into(), &200.into()),
            "{reply}"
        );
        let wait = reply["data"]["retry_after_ms"].as_u64().unwrap();
        assert!((1..=10).contains(&wait), "{reply}");
    }
    assert_eq!(other.ask("PING")["pong"], true, "the limit is of one connection");
    eventually("it may ask again", || hasty.ask("PING")["pong"] == true);
}

#[test]
fn who_is_slow_or_does_not_read_holds_up_nobody() {
    let user = User::new();
    for at in 0..6 {
        let slow = "trap 'sleep 1; exit 0' TERM; while :; do sleep 0.05; done";
        user.ok(&["start", "--name", &format!("slow{at}"), "bash", "-c", slow]);
    }
    user.daemon();
    let mut half = user.api();
    half.send(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"meth");
    let mut deaf = user.api();
    deaf.send("{\"command\":\"list\"}\n".repeat(150).as_bytes());
    let mut busy = user.api();
    for at in 0..6 {
        busy.send(format!("{{\"command\":\"stop\",\"refs\":[\"slow{at}\"]}}\n").as_bytes());
    }
    let mut other = user.api();
    assert_eq!(other.ask("PING")["pong"], true);
    // A verb, too, while all of the others' are still under way.
    assert!(other.call("info", &json!({"refs": ["slow0"]})).unwrap()["name"] == "slow0");
    for _ in 0..6 {
        assert_eq!(busy.hear().unwrap()["ok"], true);
    }
    half.send(b"od\":\"ping\"}\n");
    assert_eq!(half.hear().unwrap()["result"]["pong"], true);
    assert_eq!(deaf.hear().unwrap()["ok"], true);
}

#[test]
fn one_client_cannot_fill_the_queue_of_verbs() {
    let user = User::new();
    let slow = "trap 'sleep 1; exit 0' TERM; while :; do sleep 0.05; done";
    user.ok(&["start", "--name", "slow", "bash", "-c", slow]);
    user.daemon();
    let mut greedy = user.api();
    // Each waits for the same second.
    greedy.send("{\"command\":\"stop\",\"refs\":[\"slow\"]}\n".repeat(100).as_bytes());
    let first = greedy.hear().unwrap();
    assert_eq!((&first["data"]["kind"], &first["data"]["limit"]), (&"busy".into(), &64.into()), "{first}");
    assert!(first["data"]["retry_after_ms"].is_u64());
    let mut other = user.api();
    assert_eq!(other.ask("{\"command\":\"info\",\"refs\":[\"slow\"]}")["name"], "slow");
}

#[test]
fn a_client_that_has_said_everything_gets_its_answers() {
    let user = User::new();
    user.ok(&["start", "--name", "web", "sleep", "1000"]);
    user.daemon();
    let mut api = user.api();
    // As `printf … | nc -N -U` does.
    api.send(b"{\"command\":\"stop\",\"refs\":[\"web\"]}\nPING\n");
    api.has_asked();
    let (first, second) = (api.hear().unwrap(), api.hear().unwrap());
    assert_eq!((&first["pong"], &second["result"][0]["done"]), (&true.into(), &"stopped".into()));
    assert_eq!(api.hear(), None);
}

/// Connects as another user; says what it is told, also when it says nothing itself.
const AS_NOBODY: &str = r#"
import os, socket, sys
os.setgid(65534)
os.setuid(65534)
client = socket.socket(socket.AF_UNIX)
try:
    client.connect(sys.argv[1])
except PermissionError:
    print("no way in")
    sys.exit()
print(client.makefile().read())
"#;

#[test]
fn another_user_is_refused_before_a_word_is_read() {
    let user = User::new();
    user.daemon();
    let id = run({
        let mut id = user.command("id");
        id.arg("-u");
        id
    });
    if id.stdout.trim() != "0" {
        // Only root can be somebody else; `sys::unix` has the table of who may.
        return;
    }
    let nobody = || {
        let mut python = user.command("python3");
        python.args(["-c", AS_NOBODY]).arg(user.daemon_file("daemon.sock")).current_dir("/");
        run(python).code(0)
    };
    nobody().says("no way in");
    // With every door open, too.
    for path in [user.home(), user.tsm_dir(), user.tsm_dir().join("daemon")] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs::set_permissions(user.daemon_file("daemon.sock"), fs::Permissions::from_mode(0o777)).unwrap();
    let told: Value = serde_json::from_str(&nobody().stdout).unwrap();
    assert_eq!(told["error"]["data"]["kind"], "refused", "{told}");
    assert_eq!(user.api().ask("PING")["pong"], true);
}

#[test]
fn rpc_prints_the_result_and_has_the_exit_code_of_the_verb() {
    let user = User::new();
    user.daemon();
    user.ok(&["rpc"]).says("services.enable").says("events.subscribe");
    user.tsm(&["rpc", "info", "{\"refs\":[\"nope\"]}"]).code(4).complains("try: tsm list all");
    user.tsm(&["rpc", "info", "{\"refs\""]).code(2).complains("the parameters are no JSON");
    user.tsm(&["rpc", "info", "{\"ref\":[\"x\"]}"]).code(2).complains("unknown field `ref`");
    user.tsm(&["rpc", "fly"]).code(2).complains("there is no method \"fly\"");
    user.ok(&["start", "--name", "web", "sleep", "1000"]);
    let ran = user.ok(&["rpc", "stop", "{\"refs\":[\"web\"]}"]);
    assert_eq!(serde_json::from_str::<Value>(&ran.stdout).unwrap()[0]["done"], "stopped");
}

#[test]
fn shutdown_with_processes_answers_when_all_are_stopped() {
    let user = User::new();
    user.ok(&["start", "--name", "web", "sleep", "1000"]);
    let daemon = user.daemon();
    let (mut api, mut other) = (user.api(), user.api());
    other.ask("PING");
    let done = api.call("shutdown", &json!({"with_processes": true})).unwrap();
    assert_eq!(
        (&done["stopping"], &done["processes"][0]["done"]),
        (&true.into(), &"stopped".into()),
        "{done}"
    );
    assert_eq!(user.state("web"), "stopped");
    eventually("it has ended", || !crate::kit::is_alive(daemon));
    assert_eq!(other.hear(), None);
}

#[test]
fn metrics_are_told_with_and_without_the_daemon() {
    let user = User::new();
    user.ok(&["start", "--name", "web", "--wait", "sleep", "1000"]);
    let alone = user.ok(&["metrics"]).stdout;
    user.daemon();
    let both = user.ok(&["metrics"]).stdout;
    for page in [&alone, &both] {
        assert!(page.contains("\ntsm_processes{state=\"online\"} 1\n"), "{page}");
        assert!(page.contains("\ntsm_process_restarts_total{name=\"web\"} 0\n"), "{page}");
        for line in page.lines().filter(|line| !line.starts_with('#')) {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(name.starts_with("tsm_") && value.parse::<f64>().is_ok(), "{line}");
        }
        for part in ["cpu_seconds_total", "memory_bytes", "uptime_seconds", "up"] {
            assert!(page.contains(&format!("\ntsm_process_{part}{{name=\"web\"}} ")), "{part}: {page}");
        }
    }
    assert!(!alone.contains("tsm_daemon_"));
    assert!(both.contains("tsm_daemon_requests_total{method=\"status\"}"), "{both}");
    assert!(both.contains("tsm_daemon_request_seconds_total{method=\"status\"}"), "{both}");
    let page = user.api().call("metrics", &json!({})).unwrap();
    assert_eq!(page.as_str().unwrap().lines().next(), both.lines().next());
}
