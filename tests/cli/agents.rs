//! `tsm agents` and its verbs, with agents that really run.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Stdio};

use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr;

use crate::agents_kit::{Agent, ago, session_id, start};
use crate::kit::{User, eventually, is_alive, kill};
use crate::terminal::plain;

impl User {
    /// The sessions as `tsm agents --json` tells them.
    fn sessions(&self) -> Vec<Value> {
        serde_json::from_str(&self.ok(&["agents", "--json"]).stdout).unwrap()
    }

    /// A `claude` in a project of this name, whose registry says `status` for so many seconds.
    fn claude_in(&self, project: &str, status: &str, seconds: i64) -> (Agent, String) {
        let dir = self.cwd().join(project);
        fs::create_dir_all(dir.join(".git")).unwrap();
        fs::write(dir.join(".git/HEAD"), "ref: refs/heads/trunk\n").unwrap();
        let agent = self.agent("claude", &dir, &[]);
        let id = session_id();
        is_called_claude(&agent);
        self.registry(&agent, &id, status, ago(seconds));
        (agent, id)
    }
}

/// A `tsm` that runs; it is ended when this is dropped.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    pub(crate) fn begin(user: &User, args: &[&str]) -> Self {
        let mut command = user.command(env!("CARGO_BIN_EXE_tsm"));
        command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
        Running(command.spawn().unwrap())
    }

    /// Waits for its end; returns its exit code, standard output and standard error.
    pub(crate) fn end(mut self) -> (i32, String, String) {
        eventually("it ends", || self.0.try_wait().unwrap().is_some());
        let (mut out, mut err) = (String::new(), String::new());
        self.0.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        self.0.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        (self.0.wait().unwrap().code().unwrap_or(-1), out, err)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Until then it is no agent.
fn is_called_claude(agent: &Agent) {
    let comm = format!("/proc/{}/comm", agent.pid());
    eventually("it is called claude", || fs::read_to_string(&comm).unwrap() == "claude\n");
}

#[test]
fn who_waits_comes_first_with_all_that_is_known() {
    let user = User::new();
    let ran = user.ok(&["agents"]);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", "tsm: no coding agent runs\n"));
    assert!(user.sessions().is_empty());
    assert!(!user.tsm_dir().join("agents").exists(), "nothing is there to be noted");

    let (busy, _) = user.claude_in("shop", "busy", 20);
    let (asks, id) = user.claude_in("api", "waiting", 300);
    let sessions = user.sessions();
    let pids: Vec<&Value> = sessions.iter().map(|one| &one["pid"]).collect();
    assert_eq!(pids, [asks.pid(), busy.pid()]);
    let first = &sessions[0];
    for (name, expected) in [
        ("schema", json!(1)),
        ("agent", json!("claude")),
        ("session_id", json!(id)),
        ("state", json!("needs-input")),
        ("source", json!("registry")),
        ("label", Value::Null),
        ("git_branch", json!("trunk")),
        ("project", json!(user.cwd().canonicalize().unwrap().join("api"))),
        ("cwd", json!(user.cwd().canonicalize().unwrap().join("api"))),
        ("managed", Value::Null),
    ] {
        assert_eq!(first[name], expected, "{name} of {first}");
    }
    for name in ["since", "waiting_since"] {
        let time = first[name].as_str().unwrap_or_else(|| panic!("{name}: {first}"));
        assert_eq!((time.len(), &time[23..]), (24, "Z"), "{time}");
    }
    assert_eq!(sessions[1]["state"], "working");
    assert_eq!(sessions[1]["waiting_since"], Value::Null);

    // The same for people, also under the other name of the verb.
    for verb in ["agents", "sessions"] {
        let text = user.ok(&[verb]).stdout;
        let rows: Vec<&str> = text.lines().collect();
        assert!(rows[0].starts_with("SESSION "), "{text}");
        assert!(!rows[0].contains("MANAGED"), "{text}");
        let words: Vec<&str> = rows[1].split_whitespace().collect();
        assert_eq!(words[..4], [&id[..8], "claude", "needs-input", "5m"], "{text}");
        assert!(rows[1].contains("api") && rows[1].contains("trunk"), "{text}");
        assert!(rows[2].contains("working"), "{text}");
    }
}

#[test]
fn the_table_fits_the_terminal() {
    let user = User::new();
    let (_asks, id) = user.claude_in("a-project-with-a-name-that-is-rather-long", "waiting", 300);
    let mut transcript = user.transcript(&user.cwd().join("a-project-with-a-name-that-is-rather-long"), &id);
    transcript.ago(400).prompt("please \x1b[2Jrefactor 日本語 the whole of it, and do not forget the tests");
    let (_busy, _) = user.claude_in("b", "busy", 3);
    for columns in [40, 60, 90, 120] {
        let (text, code) = user.at_terminal(columns, &["agents"]);
        assert_eq!(code, 0, "{text}");
        let shown = plain(&text);
        // Agents of other tests run beside these.
        let lines: Vec<&str> = shown.lines().filter(|line| !line.starts_with("tsm: ")).collect();
        assert_eq!(lines.len(), 3, "{shown}");
        for line in &lines {
            assert!(line.width() <= usize::from(columns), "{columns}: {line}");
        }
        assert!(lines[1].contains("needs-input") && lines[1].contains("5m"), "{shown}");
        // What it waits for is whole before anything is shown beside it.
        assert!(columns == 40 || lines[1].contains("  a dialog is open  "), "{shown}");
        assert_eq!(lines[0].contains("PROJECT"), columns >= 60, "{shown}");
        assert_eq!(lines[0].contains("PREVIEW"), columns >= 90, "{shown}");
        assert_eq!(lines[0].contains("PORTS"), columns >= 120, "{shown}");
        assert_eq!(lines[0].contains("PID"), columns >= 120, "{shown}");
    }
    // A pipe gets all of it.
    let text = user.ok(&["agents"]).stdout;
    assert!(text.contains("a-project-with-a-name-that-is-rather-long"), "{text}");
    for title in ["REASON", "BRANCH", "PREVIEW", "PID", "MEM", "PORTS"] {
        assert!(text.contains(title), "{text}");
    }
    assert!(!text.contains('\x1b'), "{text:?}");
}

#[test]
fn a_label_is_kept_shown_and_taken_away() {
    let user = User::new();
    let (agent, id) = user.claude_in("api", "busy", 3);
    let pid = agent.pid().to_string();
    let said = user.ok(&["agents", "label", &pid, "review MR"]).stdout;
    assert_eq!(said, format!("{} (PID {pid}, claude in api) is called review MR\n", &id[..8]));
    let file = user.tsm_dir().join("agents/labels.json");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let kept: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(kept, json!({&id: "review MR"}));
    assert_eq!(user.sessions()[0]["label"], "review MR");
    assert!(user.ok(&["agents"]).stdout.contains("review MR"));
    // By every other name, too.
    for text in ["review MR", "REVIEW", &id[..4], &id, "api"] {
        let one: Value =
            serde_json::from_str(&user.ok(&["agents", "explain", text, "--json"]).stdout).unwrap();
        assert_eq!(one["pid"], agent.pid(), "{text}");
    }
    let one = user.ok(&["agents", "label", "api", "other", "--json"]).stdout;
    assert_eq!(serde_json::from_str::<Value>(&one).unwrap()["label"], "other");
    assert!(user.ok(&["agents", "label", "other", "--clear"]).stdout.contains("no longer called other"));
    user.ok(&["agents", "label", "api", "again"]);
    user.ok(&["agents", "label", "api", ""]);
    assert_eq!(user.sessions()[0]["label"], Value::Null);
    user.tsm(&["agents", "label", "nobody", "x"]).code(4).complains("no such session: nobody");
    user.tsm(&["agents", "label", "api"]).code(2);
    user.tsm(&["agents", "label", "api", "two\nlines"])
        .code(2)
        .complains("one line")
        .complains("try: tsm agents label AGENT");
    user.tsm(&["agents", "label", "api", &"x".repeat(101)]).code(2).complains("and this one has 101");

    // One that two have names neither, which is said.
    let (other, other_id) = user.claude_in("shop", "busy", 3);
    user.ok(&["agents", "label", "shop", "mine"]);
    let same = format!("also the label of {} (PID {}, claude in shop): ", &other_id[..8], other.pid());
    user.ok(&["agents", "label", "api", "mine"]).complains(&same).complains(&format!("label {pid} TEXT"));
    other.kill();

    // It belongs to the conversation.
    user.ok(&["agents", "label", "api", "mine"]);
    agent.kill();
    let (next, _) = user.claude_in("api", "busy", 3);
    assert_eq!(user.sessions()[0]["label"], Value::Null);
    user.registry(&next, &id, "busy", ago(1));
    assert_eq!(user.sessions()[0]["label"], "mine");
}

#[test]
fn broken_labels_are_said_and_never_written_over() {
    let user = User::new();
    let (_agent, _) = user.claude_in("api", "busy", 3);
    fs::create_dir_all(user.tsm_dir().join("agents")).unwrap();
    let file = user.tsm_dir().join("agents/labels.json");
    fs::write(&file, "{ \"half").unwrap();
    let ran = user.ok(&["agents"]);
    assert!(ran.stdout.contains("working"), "{ran:?}");
    assert!(ran.stderr.contains("no labels are shown") && ran.stderr.contains("labels.json"), "{ran:?}");
    user.tsm(&["agents", "label", "api", "x"]).code(1).complains("labels.json: it is not an object");
    assert_eq!(fs::read_to_string(&file).unwrap(), "{ \"half");
}

#[test]
fn several_that_a_ref_may_mean_are_listed() {
    let user = User::new();
    let (one, _) = user.claude_in("shop-web", "busy", 3);
    let (two, _) = user.claude_in("shop-api", "busy", 3);
    let ran = user.tsm(&["agents", "stop", "shop"]).code(6);
    for text in
        ["means several sessions", "shop-web", "shop-api", &one.pid().to_string(), &two.pid().to_string()]
    {
        assert!(ran.stderr.contains(text), "{text}: {ran:?}");
    }
    assert!(is_alive(one.pid()) && is_alive(two.pid()));
}

#[test]
fn explain_says_what_decided_and_what_to_type() {
    let user = User::new();
    let (agent, id) = user.claude_in("api", "waiting", 75);
    let text = user.ok(&["agents", "explain", "api"]).stdout;
    let registry = user.claude_dir().join(format!("sessions/{}.json", agent.pid()));
    for part in [
        "needs-input",
        "registry",
        "(this decides)",
        "1m",
        registry.to_str().unwrap(),
        &id,
        &format!("try: tsm agents switch {}", &id[..8]),
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let one: Value = serde_json::from_str(&user.ok(&["agents", "explain", "api", "--json"]).stdout).unwrap();
    let decided: Vec<&Value> =
        one["evidence"].as_array().unwrap().iter().filter(|of| of["decided"] == true).collect();
    assert_eq!((decided.len(), &decided[0]["source"]), (1, &json!("registry")), "{one}");
    user.tsm(&["agents", "explain", "nobody"]).code(4);
    // A file in the evidence reads as the time above it; who says nothing is not named.
    user.registry(&agent, &id, "unheard", ago(3700));
    let text = user.ok(&["agents", "explain", "api"]).stdout;
    assert!(text.contains(", 1h 1m ago") && !text.contains("said by"), "{text}");
}

#[test]
fn stop_ends_that_very_process_and_not_its_terminal() {
    let user = User::new();
    let (agent, _) = user.claude_in("api", "busy", 3);
    let (other, _) = user.claude_in("shop", "busy", 3);
    let ran = user.ok(&["agents", "stop", "api"]);
    assert!(ran.stdout.starts_with("Stopped: "), "{ran:?}");
    assert!(!is_alive(agent.pid()));
    assert!(is_alive(other.pid()));
    // A halted one acts on TERM only when it goes on.
    kill(other.pid(), "STOP");
    let done = user.ok(&["agents", "stop", "shop", "--json"]).stdout;
    assert_eq!(serde_json::from_str::<Value>(&done).unwrap()["done"], "stopped");
    assert!(!is_alive(other.pid()));
    user.tsm(&["agents", "stop", "shop"]).code(4);
}

#[test]
fn what_ignores_term_is_killed_by_force_only() {
    let user = User::new();
    let mut command = user.command("sh");
    // What is ignored stays so in what is executed.
    command.args(["-c", "trap '' TERM && exec \"$0\""]).arg(user.agent_program("claude"));
    let agent = start(command);
    is_called_claude(&agent);
    let id = session_id();
    user.registry(&agent, &id, "busy", ago(3));
    user.ok(&["agents", "label", &agent.pid().to_string(), "api"]);
    user.tsm(&["agents", "stop", "api"])
        .code(124)
        .complains("still runs 10s after TERM")
        .complains("tsm agents stop --force api");
    assert!(is_alive(agent.pid()));
    assert!(user.ok(&["agents", "stop", "--force", "api"]).stdout.starts_with("Killed: "));
    assert!(!is_alive(agent.pid()));
}

#[test]
fn a_session_that_tsm_has_started_is_stopped_through_its_supervisor() {
    let user = User::new();
    let program = user.agent_program("claude");
    user.ok(&["start", "--name", "helper", "--restart", "always", program.to_str().unwrap()]);
    user.until_state("helper", "online");
    let pid = user.pid("helper");
    eventually("it is a session", || user.sessions().len() == 1);
    let sessions = user.sessions();
    assert_eq!((&sessions[0]["pid"], &sessions[0]["managed"]), (&json!(pid), &json!("helper")));
    let text = user.ok(&["agents"]).stdout;
    assert!(text.contains("MANAGED") && text.contains("helper"), "{text}");
    user.ok(&["agents", "stop", &pid.to_string()]);
    user.until_state("helper", "stopped");
    assert!(user.sessions().is_empty());
}

#[test]
fn agents_of_another_home_are_not_shown_unasked() {
    let (user, other) = (User::new(), User::new());
    let (_mine, _) = user.claude_in("api", "busy", 3);
    let (theirs, _) = other.claude_in("shop", "waiting", 3);
    assert_eq!(user.sessions().len(), 1);
    let all: Vec<Value> = serde_json::from_str(&user.ok(&["agents", "--all", "--json"]).stdout).unwrap();
    assert!(all.iter().any(|one| one["pid"] == theirs.pid()), "{all:?}");
    let (text, _) = user.at_terminal(120, &["agents"]);
    assert!(plain(&text).contains("not shown: tsm agents --all"), "{text}");
    user.tsm(&["agents", "explain", &theirs.pid().to_string()]).code(4).complains("--all");
    user.ok(&["agents", "explain", "--all", &theirs.pid().to_string()]);
}

#[test]
fn watch_tells_what_changes_line_by_line() {
    let user = User::new();
    let (agent, id) = user.claude_in("api", "busy", 3);
    let mut watch = Running::begin(&user, &["agents", "--watch", "--json"]);
    let mut lines = BufReader::new(watch.0.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();
    let first = next();
    assert_eq!((&first["event"], &first["session"]["pid"]), (&json!("appeared"), &json!(agent.pid())));
    user.registry(&agent, &id, "waiting", ago(0));
    let asks = next();
    assert_eq!(
        (&asks["event"], &asks["from"], &asks["session"]["state"]),
        (&json!("state"), &json!("working"), &json!("needs-input"))
    );
    assert!(asks["session"]["waiting_since"].is_string(), "{asks}");
    user.ok(&["agents", "label", "api", "mine"]);
    assert_eq!(next()["event"], "label");
    agent.kill();
    let gone = next();
    assert_eq!((&gone["event"], &gone["session"]["label"]), (&json!("gone"), &json!("mine")));
    // A reader that goes away ends it.
    drop(lines);
    eventually("it ends", || watch.0.try_wait().unwrap().is_some());

    let (_agent, _) = user.claude_in("shop", "busy", 3);
    let mut watch = Running::begin(&user, &["agents", "-w"]);
    let mut lines = BufReader::new(watch.0.stdout.take().unwrap()).lines();
    let line = lines.next().unwrap().unwrap();
    assert!(line.contains("claude in shop)  working"), "{line}");
    drop(lines);
    eventually("it ends", || watch.0.try_wait().unwrap().is_some());
}

#[test]
fn watch_redraws_in_place_until_ctrl_c() {
    let user = User::new();
    let (agent, id) = user.claude_in("api", "busy", 3);
    let mut terminal = user.terminal(90, &["agents", "-w"]);
    terminal.shows("1 working");
    user.registry(&agent, &id, "waiting", ago(0));
    // Up to the first line again, however many of other homes are counted below.
    terminal.shows("A\r\x1b[1m1 needs input");
    terminal.interrupt();
    assert_eq!(terminal.end().1, 130);
}

#[test]
fn list_counts_sessions_that_keep_no_file_where_one_would_look() {
    let user = User::new();
    fs::create_dir_all(user.claude_dir().join("sessions")).unwrap();
    let footer = || plain(&user.at_terminal(100, &["list"]).0);
    let silent = user.claude();
    is_called_claude(&silent);
    let mut transcript = user.transcript(&user.cwd(), &session_id());
    transcript.prompt("go").says("Which one?", Some("end_turn"));
    assert!(footer().contains("tsm: 1 agent waits for you: tsm agents"), "{}", footer());
    // A folder of its own.
    let own = user.home().join("own");
    let mut command = user.command(user.agent_program("claude"));
    command.env("CLAUDE_CONFIG_DIR", &own);
    let elsewhere = start(command);
    is_called_claude(&elsewhere);
    user.registry(&elsewhere, &session_id(), "waiting", ago(3));
    fs::rename(user.claude_dir().join("sessions"), user.home().join("sessions")).unwrap();
    fs::create_dir(&own).unwrap();
    fs::rename(user.home().join("sessions"), own.join("sessions")).unwrap();
    assert!(footer().contains("tsm: 2 agents wait for you: tsm agents"), "{}", footer());
    assert!(plain(&user.at_terminal(100, &[]).0).contains("2 agents wait for you"));
    // With so many processes that `list` has read all that runs, which it lends.
    for number in 0..40 {
        user.ok(&["start", "--name", &format!("s{number}"), "sleep", "1000"]);
    }
    assert!(footer().contains("tsm: 2 agents wait for you: tsm agents"), "{}", footer());
    drop((silent, elsewhere));
}

#[test]
fn list_says_how_many_wait_and_the_prompt_is_told() {
    let user = User::new();
    let footer = || {
        let (text, _) = user.at_terminal(100, &["list"]);
        plain(&text)
    };
    assert!(!footer().contains("agent"), "{}", footer());
    let (idle, _) = user.claude_in("shop", "idle", 3);
    assert!(!footer().contains("agent"), "nobody waits: {}", footer());
    let (asks, id) = user.claude_in("api", "waiting", 3);
    assert!(footer().contains("tsm: 1 agent waits for you, 1 is idle: tsm agents"), "{}", footer());
    user.registry(&idle, &session_id(), "waiting", ago(3));
    assert!(footer().contains("tsm: 2 agents wait for you: tsm agents"), "{}", footer());
    let (text, _) = user.at_terminal(100, &[]);
    assert!(text.contains("2 agents wait for you"), "{text}");
    user.ok(&["list"]).complains("2 agents wait for you");
    assert!(!user.ok(&["list", "--json"]).stderr.contains("agent"), "a program reads `agents --json`");

    let waiting = || fs::read_to_string(user.tsm_dir().join("agents/waiting")).unwrap_or_default();
    user.ok(&["agents"]);
    assert!(waiting().starts_with("2 "), "{}", waiting());
    user.registry(&asks, &id, "busy", ago(0));
    user.ok(&["agents"]);
    assert!(waiting().starts_with("1 "), "{}", waiting());
    asks.kill();
    idle.kill();
    user.ok(&["agents"]);
    assert!(waiting().starts_with("0 "), "{}", waiting());
}

#[test]
fn tab_offers_labels_ids_and_projects() {
    let user = User::new();
    let (_one, id) = user.claude_in("api", "busy", 3);
    let (_two, _) = user.claude_in("shop", "waiting", 3);
    user.ok(&["agents", "label", "shop", "review MR"]);
    let noted = user.tsm_dir().join("agents/waiting");
    fs::remove_file(&noted).unwrap();
    let values = |words: &[&str]| {
        let index = (words.len() - 1).to_string();
        let mut args = vec!["complete", "fish", &index, "--"];
        args.extend(words);
        let ran = user.ok(&args);
        assert_eq!(ran.stderr, "");
        ran.stdout.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(values(&["tsm", "agents", "stop", ""]), ["review MR", &id[..8], "shop", "api"]);
    assert_eq!(values(&["tsm", "agents", "wait", "shop", ""]), [&id[..8], "api"]);
    assert!(values(&["tsm", "agents", "wait", "--until", ""]).contains(&"needs-input".to_owned()));
    assert!(values(&["tsm", "agents", ""]).contains(&"explain".to_owned()));
    // A project that two work in names neither.
    let (_three, third) = user.claude_in("api", "busy", 2);
    assert_eq!(values(&["tsm", "agents", "explain", ""]), ["review MR", &id[..8], &third[..8], "shop"]);
    assert!(!noted.exists(), "a shell that completes writes nothing");
}
