//! `tsm list`, `tsm` alone and what all verbs have in common: help, colours, widths, pipes, JSON.

use std::fs;

use serde_json::Value;

use crate::kit::{User, eventually, free_port, run};
use crate::terminal::plain;

/// What design.md section 7 promises of each object of `list --json`.
pub(crate) const KEYS: [&str; 17] = [
    "id",
    "name",
    "kind",
    "status",
    "pid",
    "supervisor_pid",
    "port",
    "ports",
    "env_file",
    "cwd",
    "command",
    "uptime_ms",
    "restarts",
    "cpu_percent",
    "memory_bytes",
    "log_path",
    "schema",
];

/// Every verb.
const VERBS: [&str; 13] = [
    "start", "list", "logs", "info", "stop", "restart", "delete", "kill", "cleanup", "env", "enable",
    "disable", "show",
];

/// A user with something that runs and something that was stopped.
pub(crate) fn two() -> User {
    let user = User::new();
    user.ok(&["start", "--name", "up", "sleep", "1000"]);
    user.ok(&["start", "--name", "down", "sleep", "1000"]);
    user.ok(&["stop", "down"]);
    user.until_state("up", "online");
    user
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect()
}

#[test]
fn with_nothing_there_every_list_is_empty_and_fine() {
    let user = User::new();
    for what in ["running", "all"] {
        let ran = user.ok(&["list", what]).complains("tsm: nothing is running\n  try: tsm start ");
        assert_eq!(ran.stdout, "");
        let ran = user.ok(&["list", what, "--json"]);
        assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("[]\n", ""));
    }
    assert!(user.json(&["list", "available"]).is_array());
    assert!(!user.tsm_dir().exists(), "looking makes nothing");
}

#[test]
fn on_the_first_run_every_verb_prints_json_that_parses_and_nothing_else() {
    let user = User::new();
    for (words, code, answer) in [
        (vec!["stop", "all"], 0, "[]"),
        (vec!["restart", "all"], 0, "[]"),
        (vec!["delete", "all"], 0, "[]"),
        (vec!["kill", "all"], 0, "[]"),
        (vec!["info", "all"], 0, "[]"),
        (vec!["cleanup"], 0, "[]"),
        (vec!["stop", "nix"], 4, "[]"),
        (vec!["restart", "nix"], 4, "[]"),
        (vec!["delete", "nix"], 4, "[]"),
        (vec!["kill", "nix"], 4, "[]"),
        (vec!["info", "nix"], 4, "null"),
        (vec!["info", "nix", "nox"], 4, "[]"),
    ] {
        let mut words = words;
        words.push("--json");
        let ran = user.tsm(&words).code(code);
        assert_eq!(ran.stdout.trim(), answer, "{words:?}");
        assert_eq!(ran.stderr.is_empty(), code == 0, "{ran:?}");
    }
    assert_eq!(user.ok(&["logs", "all", "--json"]).stdout, "");
    assert!(user.json(&["env"]).is_object());
}

#[test]
fn each_object_has_every_key_and_null_for_what_is_not() {
    let user = two();
    for view in user.json(&["list", "all"]).as_array().unwrap() {
        for key in KEYS {
            assert!(view.get(key).is_some(), "no {key} in {view:#}");
        }
    }
    let up = user.view("up");
    assert_eq!((&up["id"], &up["kind"], &up["status"]), (&0.into(), &"pid".into(), &"online".into()));
    assert_eq!(
        (&up["port"], &up["ports"], &up["env_file"]),
        (&Value::Null, &Value::Array(vec![]), &Value::Null)
    );
    assert_eq!((&up["command"], &up["restarts"]), (&"sleep 1000".into(), &0.into()));
    assert_eq!(up["cwd"], user.cwd().canonicalize().unwrap().to_str().unwrap());
    assert_eq!(up["log_path"], user.log("up").to_str().unwrap());
    for number in ["pid", "supervisor_pid", "uptime_ms", "cpu_percent", "memory_bytes"] {
        assert!(up[number].is_number(), "{number}: {up:#}");
        assert!(user.view("down")[number].is_null(), "{number}");
    }
    assert_eq!(user.view("down")["status"], "stopped");
}

#[test]
fn list_shows_what_is_up_and_all_adds_the_rest_by_id() {
    let user = two();
    assert_eq!(names(&user.json(&["list"])), ["up"]);
    assert_eq!(names(&user.json(&["list", "running"])), ["up"]);
    assert_eq!(names(&user.json(&["list", "all"])), ["up", "down"]);
    for alias in ["ls", "ps"] {
        assert_eq!(names(&user.json(&[alias])), ["up"]);
    }
    user.ok(&["stop", "up"]);
    user.ok(&["list"])
        .complains("nothing is running; 2 processes have ended or were stopped\n  try: tsm list all");
}

#[test]
fn list_available_shows_definitions_and_says_which_is_broken() {
    let user = User::new();
    let dir = user.tsm_dir().join("services-available");
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("mine.tsm"), "SERVICE_NAME=mine\nSERVICE_COMMAND='sleep 5'\n").unwrap();
    fs::write(dir.join("bad.tsm"), "SERVICE_NAME=bad\nSERVICE_COMMAND=$(rm -rf x)\n").unwrap();
    let ran = user.ok(&["list", "available"]).says("mine").says("sleep 5").says("(broken)");
    assert!(ran.stderr.contains("bad.tsm:2"), "{ran:?}");
    let all = user.json(&["list", "available"]);
    let of = |name: &str| all.as_array().unwrap().iter().find(|one| one["name"] == name).unwrap().clone();
    assert_eq!((&of("mine")["command"], &of("mine")["error"]), (&"sleep 5".into(), &Value::Null));
    assert_eq!(of("bad")["command"], Value::Null);
    assert!(of("bad")["error"].as_str().unwrap().contains("bad.tsm:2"));
}

#[test]
fn broken_files_never_stop_a_list() {
    let user = User::new();
    let good = ["a", "b", "c", "d", "e"];
    for name in good {
        user.ok(&["start", "--name", name, "sleep", "1000"]);
        user.ok(&["stop", name]);
    }
    user.ok(&["start", "--name", "alive", "sleep", "1000"]);
    user.until_state("alive", "online");
    let put =
        |name: &str, file: &str, text: &str| fs::write(user.process_dir(name).join(file), text).unwrap();
    put("a", "status.json", "");
    put("b", "status.json", "{\"schema\":1,\"id\":");
    put("c", "status.json", "{\"schema\":999}");
    put("d", "status.json", "[]");
    put("d", "spec.json", "\0\0\0");
    put("e", "spec.json", "");
    put("alive", "status.json", "not json");
    // What is no process at all.
    fs::write(user.tsm_dir().join("runtime/processes/file"), "x").unwrap();
    fs::create_dir(user.tsm_dir().join("runtime/processes/.hidden")).unwrap();
    fs::create_dir(user.tsm_dir().join("runtime/processes/empty")).unwrap();
    let all = user.json(&["list", "all"]);
    for name in good.into_iter().chain(["alive"]) {
        let view = user.view(name);
        for key in KEYS {
            assert!(view.get(key).is_some(), "no {key} in {view:#}");
        }
    }
    assert!(!names(&all).contains(&"file") && !names(&all).contains(&".hidden"), "{all:#}");
    assert_eq!(user.view("e")["status"], "stopped");
    // Its supervisor knows what the file does not say.
    assert_eq!(user.view("alive")["status"], "online");
    user.ok(&["list", "all"]).says("alive");
    user.ok(&["list"]).says("alive");
    for name in good {
        assert!(user.json(&["info", name]).is_object());
        user.ok(&["delete", name]);
    }
    user.ok(&["stop", "alive"]);
}

#[test]
fn a_pipe_gets_every_column_and_no_colour() {
    let user = two();
    let ran = user.ok(&["list", "all"]);
    let lines: Vec<Vec<&str>> = ran.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["ID", "NAME", "ENV", "PID", "PORT", "STATUS", "TYPE", "UPTIME", "CPU", "MEM", "↺"]);
    assert_eq!((lines[1][1], lines[1][5], lines[1].len()), ("up", "online", 11));
    assert_eq!(lines[2], ["1", "down", "-", "-", "-", "stopped", "pid", "-", "-", "-", "0"]);
    assert!(!ran.stdout.contains('\x1b') && ran.stderr.is_empty(), "{ran:?}");
}

#[test]
fn a_table_fits_the_terminal() {
    let user = User::new();
    let long = "a-name-that-is-much-longer-than-a-narrow-terminal-allows";
    user.ok(&["start", "--name", long, "sleep", "1000"]);
    user.ok(&["start", "--name", "web", "sleep", "1000"]);
    user.until_state("web", "online");
    for (columns, titles) in [(120, 11), (60, 8), (40, 4)] {
        let (shown, code) = user.at_terminal(columns, &["list"]);
        let shown = plain(&shown);
        let mut lines = shown.lines();
        let header: Vec<&str> = lines.next().unwrap().split_whitespace().collect();
        assert_eq!(header.len(), titles, "{columns}:\n{shown}");
        for needed in ["ID", "NAME", "PORT", "STATUS"] {
            assert!(header.contains(&needed), "{columns}:\n{shown}");
        }
        assert_eq!((lines.clone().count(), code), (2, 0), "{shown}");
        assert!(lines.clone().any(|line| line.contains("web") && line.contains("online")), "{shown}");
        for line in shown.lines() {
            assert!(line.chars().count() <= usize::from(columns), "{columns}: {line}");
        }
    }
}

#[test]
fn colours_are_for_terminals_and_for_those_who_ask() {
    let user = two();
    let at = |args: &[&str], vars: &[(&str, &str)]| user.terminal_with(100, args, vars).end().0;
    assert!(at(&["list"], &[]).contains('\x1b'));
    for (args, vars) in [
        (vec!["list"], ("NO_COLOR", "1")),
        (vec!["list"], ("TERM", "dumb")),
        (vec!["list", "--color", "never"], ("TERM", "xterm")),
        (vec!["info", "nix"], ("NO_COLOR", "1")),
        (vec!["lst"], ("NO_COLOR", "1")),
        (vec!["--help"], ("NO_COLOR", "1")),
        (vec![], ("NO_COLOR", "1")),
    ] {
        assert!(!at(&args, &[vars]).contains('\x1b'), "{args:?} {vars:?}");
    }
    let ran = user.ok(&["list", "--color", "always"]);
    assert!(ran.stdout.contains("\x1b[32monline\x1b[0m"), "{ran:?}");
    let ran = user.tsm(&["--color=always", "info", "nix"]).code(4);
    assert!(ran.stderr.contains("\x1b["), "{ran:?}");
    assert!(
        !user.ok(&["list", "--json", "--color", "always"]).stdout.contains('\x1b'),
        "data has no colours"
    );
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let user = two();
    user.ok(&["start", "--name", "talk", "sh", "-c", "echo hello; exec sleep 1000"]);
    eventually("it has logged", || user.ok(&["logs", "talk"]).stdout == "hello\n");
    for args in [
        &["list"] as &[&str],
        &["list", "all", "--json"],
        &["info", "up"],
        &["logs", "talk"],
        &["logs", "talk", "up"],
        &["logs", "--json", "talk"],
        &["env"],
        &["env", "up"],
        &["list", "available"],
        &["--help"],
        &["list", "--help"],
        &[],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = user.tsm_command(args);
        let output = command.stdout(writer).stderr(std::process::Stdio::piped()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), said.as_ref()), (Some(0), ""), "{args:?}");
    }
    let mut bash = user.command("bash");
    bash.args(["-c", "\"$0\" list all | head -1; echo \"${PIPESTATUS[0]}\"", env!("CARGO_BIN_EXE_tsm")]);
    let ran = run(bash).code(0).says("\n0\n");
    assert!(ran.stdout.starts_with("ID  NAME") && ran.stderr.is_empty(), "{ran:?}");
}

#[test]
fn an_output_that_cannot_be_written_is_a_failure() {
    let user = two();
    for args in [&["list"] as &[&str], &["list", "--json"], &["info", "up"]] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = user.tsm_command(args).stdout(full).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("tsm: cannot write the answer: no space left on device"), "{said}");
    }
}

#[test]
fn tsm_alone_helps_and_says_what_runs() {
    let user = two();
    let ran = user.ok(&[]).says("Usage: tsm").says("\n1 online, 1 not running\n");
    assert!(ran.stderr.is_empty(), "{ran:?}");
    let fresh = User::new().ok(&[]);
    assert!(fresh.stdout.ends_with("\n0 online\n"), "{fresh:?}");
}

#[test]
fn every_verb_has_help_with_an_example_that_fits_80_columns() {
    let user = User::new();
    let overview = user.ok(&["--help"]).says("Exit codes: 0 done");
    for verb in VERBS {
        assert!(overview.stdout.contains(&format!("\n  {verb} ")), "{verb}");
        for args in [&[verb, "--help"] as &[&str], &[verb, "-h"], &["help", verb]] {
            let ran = user.ok(args).says(&format!("Usage: tsm {verb}"));
            let (_, example) =
                ran.stdout.split_once("\nExample").unwrap_or_else(|| panic!("{args:?}: {ran:?}"));
            assert!(example.contains(&format!("tsm {verb}")), "{example}");
            assert!(ran.stderr.is_empty());
        }
    }
    for args in [&["--help"] as &[&str], &["-h"]] {
        let (shown, _) = user.at_terminal(80, args);
        for line in plain(&shown).lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
}

#[test]
fn wrong_words_are_one_sentence_with_the_next_command_and_code_2() {
    let user = User::new();
    for (args, said) in [
        (&["lst"] as &[&str], "tsm: there is no verb \"lst\"\n  try: tsm list\n"),
        (&["list", "--jsn"], "tsm: list has no option --jsn\n  try: tsm list --json\n"),
        (&["stop"], "tsm: stop needs the name of a process, or all\n  try: tsm list\n"),
        (&["logs", "-n"], "tsm: --lines needs a value\n  try: tsm logs --help\n"),
        (&["kill", "-1"], "tsm: kill has no option -1\n  try: tsm kill --help\n"),
        (&[""], "tsm: there is no verb \"\"\n  try: tsm --help\n"),
    ] {
        let ran = user.tsm(args).code(2);
        assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", said), "{args:?}");
    }
}

#[test]
fn what_is_not_as_planned_is_said_beside_the_data() {
    let user = User::new();
    let (planned, real) = (free_port(), free_port());
    user.ok(&[
        "start",
        "--wait",
        "--port",
        &planned.to_string(),
        "--name",
        "odd",
        "sh",
        "-c",
        &format!("exec python3 -m http.server {real}"),
    ]);
    let name = format!("odd-{planned}");
    eventually("it listens", || user.view(&name)["ports"] == serde_json::json!([real]));
    let ran = user
        .ok(&["list"])
        .complains(&format!("{name}: listens on {real}, not on the planned port {planned}"));
    assert_eq!(ran.stdout.lines().count(), 2, "{ran:?}");
    assert!(user.ok(&["list", "--json"]).stderr.is_empty());
    assert_eq!(user.view(&name)["port"], planned);
}
