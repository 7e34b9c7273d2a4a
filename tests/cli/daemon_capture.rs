//! Capture over the daemon's socket: what was answered is on the disk, whoever is killed, and what is refused leaves nothing.

use std::fs;

use serde_json::{Value, json};

use crate::control::Client;
use crate::kit::{User, eventually, is_alive, kill, run};

impl User {
    /// Makes the working directory a repository.
    fn repository(&self) {
        let mut git = self.command("git");
        git.args(["init", "-q"]);
        run(git).code(0);
    }

    /// A captured session; its ID.
    fn capture_session(&self, api: &mut Client) -> String {
        let metadata = json!({"cwd": self.cwd(), "model": "x"});
        let made = api.call("createSession", &json!({"tool": "claude-code", "metadata": metadata})).unwrap();
        made["sessionId"].as_str().unwrap().to_owned()
    }

    /// Every byte that capture has written.
    fn captured_bytes(&self) -> String {
        let dir = self.tsm_dir().join("capture/sessions");
        let files = fs::read_dir(dir).into_iter().flatten().flatten();
        files.map(|item| String::from_utf8_lossy(&fs::read(item.path()).unwrap()).into_owned()).collect()
    }
}

/// What was said in each active session.
fn said(api: &mut Client) -> Vec<Vec<String>> {
    let told = api.call("getActiveSessions", &json!({})).unwrap();
    let text = |message: &Value| {
        format!("{}: {}", message["role"].as_str().unwrap(), message["content"].as_str().unwrap())
    };
    let all = told["sessions"].as_array().unwrap().iter();
    all.map(|one| one["messages"].as_array().unwrap().iter().map(text).collect()).collect()
}

#[test]
fn a_conversation_is_captured_in_the_words_of_the_older_daemon() {
    let user = User::new();
    user.repository();
    user.daemon();
    let mut api = user.api();
    assert_eq!(api.ask("STATUS")["activeSessions"], 0);
    let asked = json!({"command": "createSession", "tool": "claude-code", "metadata": {"cwd": user.cwd()}});
    let made = api.ask(&asked.to_string());
    let id = made["sessionId"].as_str().unwrap();
    assert!(id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{made}");
    for (role, content) in [("user", "add a login"), ("assistant", "Done.")] {
        let asked = json!({"command": "addMessage", "sessionId": id, "role": role, "content": content});
        assert_eq!(api.ask(&asked.to_string())["success"], true);
    }
    let change = json!({"command": "addCodeChange", "sessionId": id, "filePath": "src/login.rs", "beforeContent": "", "afterContent": "fn x() {}"});
    let done = api.ask(&change.to_string());
    assert_eq!((&done["success"], &done["stored"]), (&true.into(), &true.into()), "{done}");
    let told = api.ask(&json!({"command": "getActiveSessions", "repoPath": user.cwd()}).to_string());
    let one = &told["sessions"][0];
    let cwd = user.cwd().canonicalize().unwrap();
    assert_eq!((&one["id"], &one["tool"]), (&id.into(), &"claude-code".into()), "{one}");
    assert_eq!((&one["messageCount"], &one["codeChangeCount"]), (&2.into(), &1.into()), "{one}");
    assert_eq!(one["codeChanges"][0]["filePath"], "src/login.rs");
    assert_eq!((&one["metadata"]["cwd"], &one["metadata"]["repoPath"]), (&json!(cwd), &json!(cwd)));
    assert!(one["startTime"].as_str().unwrap().ends_with('Z'));
    assert_eq!(said(&mut api), [["user: add a login", "assistant: Done."]]);
    assert_eq!(api.ask("STATUS")["activeSessions"], 1);
    let config = api.ask("{\"command\":\"getConfig\"}")["config"].take();
    assert_eq!(config["privacy"]["maskSensitiveData"], true, "{config}");
    // The settings are read anew each time.
    fs::create_dir_all(user.home().join(".config/tsm")).unwrap();
    fs::write(user.home().join(".config/tsm/capture.toml"), "enabled = false\n").unwrap();
    let error =
        api.call("addMessage", &json!({"sessionId": id, "role": "user", "content": "x"})).unwrap_err();
    assert_eq!(error["data"]["kind"], "disabled", "{error}");
    assert_eq!(api.call("getConfig", &json!({})).unwrap()["config"]["enabled"], false);
}

#[test]
fn what_was_answered_survives_a_kill_in_the_next_moment() {
    let user = User::new();
    user.repository();
    user.daemon();
    let id = user.capture_session(&mut user.api());
    let mut wanted = Vec::new();
    for round in 0..10 {
        let (pid, mut api) = (user.daemon(), user.api());
        for number in 0..3 {
            let content = format!("{round}-{number}");
            let params = json!({"sessionId": id, "role": "user", "content": content});
            assert_eq!(api.call("addMessage", &params).unwrap(), json!({"success": true}));
            wanted.push(format!("user: {content}"));
        }
        kill(pid, "KILL");
        eventually("it is dead", || !is_alive(pid));
    }
    user.daemon();
    assert_eq!(said(&mut user.api()), [wanted]);
    assert_eq!(user.api().ask("STATUS")["activeSessions"], 1);
}

#[test]
fn what_one_client_says_at_once_stands_in_its_order_and_two_do_not_mix() {
    let user = User::new();
    user.repository();
    user.daemon();
    let (mut one, mut two) = (user.api(), user.api());
    let ids = [user.capture_session(&mut one), user.capture_session(&mut two)];
    let texts = |name: &str| (0..40).map(|number| format!("{name}{number}")).collect::<Vec<_>>();
    for (api, id, name) in [(&mut one, &ids[0], "a"), (&mut two, &ids[1], "b")] {
        let line = |content: String| {
            format!(
                "{}\n",
                json!({"command": "addMessage", "sessionId": id, "role": "user", "content": content})
            )
        };
        api.send(texts(name).into_iter().map(line).collect::<String>().as_bytes());
    }
    for api in [&mut one, &mut two] {
        for _ in 0..40 {
            assert_eq!(api.hear().unwrap()["success"], true);
        }
    }
    let mut all = said(&mut one);
    all.sort();
    let want =
        ["a", "b"].map(|name| texts(name).iter().map(|text| format!("user: {text}")).collect::<Vec<_>>());
    assert_eq!(all, want);
}

#[test]
fn what_cannot_be_captured_is_refused_in_words_and_nothing_is_kept() {
    let user = User::new();
    user.repository();
    fs::create_dir_all(user.home().join(".config/tsm")).unwrap();
    fs::write(user.home().join(".config/tsm/capture.toml"), "max_message_size = \"10KiB\"\n").unwrap();
    user.daemon();
    let mut api = user.api();
    let id = user.capture_session(&mut api);
    let before = user.captured_bytes();
    let elsewhere = user.home();
    let message =
        |id: &str, role: &str, content: &str| json!({"sessionId": id, "role": role, "content": content});
    for (method, params, kind) in [
        ("addMessage", message("0123456789abcdef", "user", "x"), "unknown-session"),
        ("addMessage", message("../../labels", "user", "x"), "unknown-session"),
        ("addMessage", message(&id, "system", "x"), "wrong-role"),
        ("addMessage", message(&id, "user", &"x".repeat(10_241)), "too-large"),
        ("addMessage", json!({"sessionId": id, "role": "user"}), "usage"),
        ("addMessage", json!({"sessionId": id, "role": "user", "content": 7}), "usage"),
        ("addCodeChange", json!({"sessionId": "nope", "filePath": "a"}), "unknown-session"),
        (
            "addCodeChange",
            json!({"sessionId": id, "filePath": "a", "afterContent": "x".repeat(10_241)}),
            "too-large",
        ),
        ("createSession", json!({"tool": "cursor", "metadata": {"cwd": elsewhere}}), "not-a-repository"),
        (
            "createSession",
            json!({"tool": "cursor", "metadata": {"cwd": "/does/not/exist"}}),
            "not-a-repository",
        ),
        ("createSession", json!({"tool": "cursor", "metadata": {"cwd": "."}}), "not-a-repository"),
        ("createSession", json!({"tool": "", "metadata": {"cwd": user.cwd()}}), "invalid"),
        ("getActiveSessions", json!({"repoPath": elsewhere}), "not-a-repository"),
    ] {
        let error = api.call(method, &params).unwrap_err();
        assert_eq!(error["data"]["kind"], kind, "{method}: {error}");
        assert!(error["message"].as_str().unwrap().len() < 300, "{error}");
    }
    let plain = json!({"command": "addMessage", "sessionId": "nope", "role": "user", "content": "x"});
    let refused = api.ask(&plain.to_string());
    assert_eq!((&refused["ok"], &refused["data"]["kind"]), (&false.into(), &"unknown-session".into()));
    assert!(refused["error"].as_str().unwrap().contains("nope"), "{refused}");
    // A message of a megabyte is more than a request may have, and is refused as such.
    let mut big = user.api();
    let text = format!("{}\n", message(&id, "user", &"x".repeat(1 << 20)));
    big.try_send(text.as_bytes());
    let error = big.hear().unwrap()["error"].take();
    assert_eq!((&error["data"]["kind"], &error["data"]["limit"]), (&"too-large".into(), &(1 << 20).into()));
    assert_eq!(user.captured_bytes(), before);
    assert_eq!(said(&mut api), [Vec::<String>::new()]);
    // What is left out by the settings is no failure, and no name of it is kept.
    let left =
        api.call("addCodeChange", &json!({"sessionId": id, "filePath": "prod.env", "afterContent": "x"}));
    assert_eq!(left.unwrap(), json!({"success": true, "stored": false}));
    assert_eq!(user.captured_bytes(), before);
    let secret = ["ghp_", "aB3dE5fG7hI9jK1lM3nO5pQ7rS9tU1vW3xY5"].concat();
    api.call("addMessage", &message(&id, "user", &format!("use {secret} for it"))).unwrap();
    assert!(!user.captured_bytes().contains(&secret));
}

/// Commits nothing, and returns the name of that.
fn commit(user: &User) -> String {
    let git = |args: &[&str]| {
        let mut git = user.command("git");
        git.args(["-c", "user.name=a", "-c", "user.email=a@b"]).args(args);
        run(git).code(0).stdout.trim().to_owned()
    };
    git(&["commit", "-q", "--allow-empty", "-m", "x"]);
    git(&["rev-parse", "HEAD"])
}

#[test]
fn what_was_said_is_kept_with_a_commit_once() {
    let user = User::new();
    user.repository();
    user.daemon();
    let mut api = user.api();
    let ids = [user.capture_session(&mut api), user.capture_session(&mut api)];
    for id in &ids {
        api.call("addMessage", &json!({"sessionId": id, "role": "user", "content": "add a login"})).unwrap();
    }
    let error =
        api.call("saveSession", &json!({"sessionId": ids[0], "commitSha": "0".repeat(40)})).unwrap_err();
    assert!(!user.cwd().join(".prompts").exists(), "{error}");
    let error = api.call("saveSession", &json!({"sessionId": "nope"})).unwrap_err();
    assert_eq!(error["data"]["kind"], "unknown-session", "{error}");
    let sha = commit(&user);
    let saved = api.call("saveSession", &json!({"sessionId": ids[0], "commitSha": sha})).unwrap();
    assert_eq!(saved["success"], true, "{saved}");
    let kept: Value =
        serde_json::from_str(&fs::read_to_string(saved["file"].as_str().unwrap()).unwrap()).unwrap();
    assert_eq!(
        (&kept["commit"]["sha"], &kept["messages"][0]["content"]),
        (&sha.as_str().into(), &"add a login".into())
    );
    let all = json!({"command": "saveSessionsForRepo", "repoPath": user.cwd(), "commitSha": sha});
    assert_eq!(api.ask(&all.to_string())["sessionsSaved"], 1, "the other one");
    assert_eq!(api.ask(&all.to_string())["sessionsSaved"], 0, "each once");
    assert_eq!(fs::read_dir(user.cwd().join(".prompts")).unwrap().count(), 2);
    let elsewhere = json!({"repoPath": user.home(), "commitSha": sha});
    let error = api.call("saveSessionsForRepo", &elsewhere).unwrap_err();
    assert_eq!(error["data"]["kind"], "not-a-repository", "{error}");
}

#[test]
fn where_capture_is_installed_the_daemon_follows_what_agents_write_themselves() {
    let user = User::new();
    user.repository();
    commit(&user);
    user.ok(&["capture", "install"]);
    let (agent, id) = (user.claude(), crate::agents_kit::session_id());
    user.registry(&agent, &id, "busy", crate::agents_kit::ago(1));
    user.transcript(&user.cwd(), &id).prompt("add a login").says("Done.", Some("end_turn"));
    user.daemon();
    eventually("it has read the conversation", || {
        said(&mut user.api()) == [["user: add a login", "assistant: Done."]]
    });
    eventually("it is counted", || user.api().ask("STATUS")["activeSessions"] == 1);
}
