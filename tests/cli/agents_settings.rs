//! `tsm agents install-hooks` and `remove-hooks` on real settings files, and hooks that run from what was written.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use serde_json::{Value, json};

use super::agents_kit::session_id;
use super::kit::{Ran, User, run, text};

/// Runs `tsm` where Claude Code of that version is on PATH.
pub(crate) fn with_version(user: &User, version: &str, args: &[&str]) -> Ran {
    let program = user.program("bin/claude", &format!("#!/bin/sh\necho '{version} (Claude Code)'\n"));
    let mut command = user.tsm_command(args);
    command.env("PATH", format!("{}:/usr/bin:/bin", program.parent().unwrap().display()));
    run(command)
}

fn install(user: &User, more: &[&str]) -> Ran {
    with_version(user, "2.1.141", &[&["agents", "install-hooks"], more].concat())
}

fn path(user: &User) -> PathBuf {
    user.claude_dir().join("settings.json")
}

fn settings(user: &User) -> Value {
    serde_json::from_str(&text(&path(user))).unwrap()
}

fn write(user: &User, content: &str) {
    fs::create_dir_all(user.claude_dir()).unwrap();
    fs::write(path(user), content).unwrap();
}

/// The files in Claude Code's folder.
fn files(user: &User) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(user.claude_dir())
        .unwrap()
        .map(|item| item.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

const OTHERS: &str = r#"{
    "model": "opus",
    "hooks": {
        "Stop": [{ "hooks": [{ "type": "command", "command": "say done" }] }],
        "PreToolUse": [{ "matcher": "Bash", "hooks": [{ "type": "command", "command": "guard" }] }]
    },
    "env": { "A": "1" }
}
"#;

#[test]
fn hooks_are_put_in_once_kept_apart_from_others_and_taken_out_again() {
    let user = User::new();
    write(&user, OTHERS);
    fs::set_permissions(path(&user), fs::Permissions::from_mode(0o644)).unwrap();
    install(&user, &[]).code(0).says("10 hooks are now in").complains("at its next start");
    let merged = settings(&user);
    assert_eq!(merged["hooks"]["Stop"][0]["hooks"][0]["command"], "say done");
    let tsm = user.tsm_command(&[]).get_program().to_str().unwrap().to_owned();
    let ours = json!({"type": "command", "command": format!("{tsm} agents hook"), "timeout": 5});
    assert_eq!(merged["hooks"]["Stop"][1], json!({"hooks": [ours]}));
    assert_eq!(merged["hooks"]["PermissionRequest"], json!([{"hooks": [ours]}]));
    assert_eq!(text(&user.claude_dir().join("settings.json.tsm-backup")), OTHERS);
    assert_eq!(fs::metadata(path(&user)).unwrap().permissions().mode() & 0o777, 0o644);
    let first = text(&path(&user));
    assert!(
        first.contains(r#"[{ "matcher": "Bash", "hooks""#)
            || first.contains(r#"{ "matcher": "Bash", "hooks""#)
    );
    assert!(first.ends_with("    \"env\": { \"A\": \"1\" }\n}\n"), "{first}");

    let again = install(&user, &[]).code(0).says("all hooks are already in");
    assert!(!again.stderr.contains("next start"), "{again:?}");
    assert_eq!(text(&path(&user)), first);
    assert_eq!(files(&user), ["settings.json", "settings.json.tsm-backup"]);

    user.ok(&["agents", "remove-hooks"]).says("the hooks of tsm are no longer in");
    let value: Value = serde_json::from_str(OTHERS).unwrap();
    assert_eq!(settings(&user), value);
    assert_eq!(text(&user.claude_dir().join("settings.json.tsm-backup")), OTHERS, "no copy is overwritten");
    assert_eq!(text(&user.claude_dir().join("settings.json.tsm-backup.2")), first);
    user.ok(&["agents", "remove-hooks"]).says("nothing to remove: no hook of tsm is in");
}

#[test]
fn a_dry_run_shows_what_would_change_and_changes_nothing() {
    let user = User::new();
    let ran = install(&user, &["--dry-run"]).code(0).says("\n@@ -0,0 +1,").says("+    \"Stop\": [");
    assert!(ran.stdout.starts_with("--- ") && !user.claude_dir().exists(), "{ran:?}");
    write(&user, OTHERS);
    install(&user, &["--dry-run"]).code(0).says("     \"model\": \"opus\",\n").says("+            {\n");
    assert_eq!((text(&path(&user)).as_str(), files(&user).len()), (OTHERS, 1));
    let shown = install(&user, &["--dry-run", "--json"]).code(0).stdout;
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(
        (&shown["changed"], &shown["dry_run"], &shown["backup"]),
        (&json!(true), &json!(true), &Value::Null)
    );
    assert_eq!(shown["events"].as_array().unwrap().len(), 10);
    install(&user, &[]).code(0);
    let out = user.ok(&["agents", "remove-hooks", "--dry-run"]);
    assert_eq!(
        out.stdout.lines().filter(|line| line.starts_with('-') && line.contains("agents hook")).count(),
        10
    );
    assert_eq!(text(&path(&user)).matches("agents hook").count(), 10);
}

#[test]
fn a_version_that_skips_files_with_unknown_events_gets_none() {
    let user = User::new();
    for (version, count, part) in [
        (
            "2.1.100",
            7,
            "Claude Code is 2.1.100, and one before 2.1.101 skips a settings file with StopFailure",
        ),
        ("2.1.101", 10, ""),
    ] {
        let ran = with_version(&user, version, &["agents", "install-hooks"]).code(0);
        assert!(ran.stderr.contains(part), "{ran:?}");
        assert_eq!(settings(&user)["hooks"].as_object().unwrap().len(), count, "{version}");
    }
    // Nobody knows which it is.
    user.ok(&["agents", "install-hooks"])
        .complains("could not be found out, and one before 2.1.101 skips a settings file with StopFailure, PermissionRequest");
    assert_eq!(settings(&user)["hooks"].as_object().unwrap().len(), 7);
}

#[test]
fn what_is_no_json_is_refused_with_its_line_and_stays() {
    let user = User::new();
    for (content, part) in [
        ("{\n  // mine\n}\n", "settings.json:2: a comment, which is no JSON"),
        ("{\n  \"a\": 1,\n}\n", "settings.json:3: no JSON"),
        ("[]\n", "settings.json:1: not an object"),
        ("{\"hooks\": {\"Stop\": 1}}\n", "settings.json: \"hooks\" has no list for Stop"),
    ] {
        write(&user, content);
        install(&user, &[]).code(1).complains(part).complains("--dry-run --settings /dev/null");
        user.tsm(&["agents", "remove-hooks"]).code(1).complains(part);
        assert_eq!((text(&path(&user)).as_str(), files(&user).len()), (content, 1));
    }
    fs::write(path(&user), b"{\"a\": \"\xff\"}").unwrap();
    install(&user, &[]).code(1).complains("it is not UTF-8");
    with_version(&user, "2.1.141", &["agents", "install-hooks", "--dry-run", "--settings", "/dev/null"])
        .code(0)
        .says("+++ /dev/null");
}

#[test]
fn a_linked_settings_file_is_written_where_it_is() {
    let user = User::new();
    let dotfiles = user.file("dotfiles/claude.json", "{}\n");
    fs::create_dir_all(user.claude_dir()).unwrap();
    symlink(&dotfiles, path(&user)).unwrap();
    install(&user, &[]).code(0).complains("that is a link: the file is");
    assert!(path(&user).is_symlink() && text(&dotfiles).contains("agents hook"));
    assert_eq!(files(&user), ["settings.json", "settings.json.tsm-backup"]);
    // One that may not be changed stays, and leaves no copy.
    fs::write(&dotfiles, "{ }\n").unwrap();
    let dir = dotfiles.parent().unwrap();
    fs::set_permissions(dir, fs::Permissions::from_mode(0o555)).unwrap();
    let is_root = fs::write(dir.join("probe"), "").is_ok();
    if !is_root {
        install(&user, &[]).code(1).complains("Permission denied");
        assert_eq!((text(&dotfiles).as_str(), files(&user).len()), ("{ }\n", 2));
    }
    fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn another_folder_and_another_file_are_taken_where_they_are_named() {
    let user = User::new();
    let other = user.home().join("other");
    let mut command = user.tsm_command(&["agents", "install-hooks"]);
    command.env("CLAUDE_CONFIG_DIR", &other);
    run(command).code(0);
    assert!(text(&other.join("settings.json")).contains("agents hook") && !user.claude_dir().exists());
    assert_eq!(fs::metadata(other.join("settings.json")).unwrap().permissions().mode() & 0o777, 0o600);
    install(&user, &["--settings", ".claude/settings.local.json"]).code(0);
    assert!(text(&user.cwd().join(".claude/settings.local.json")).contains("agents hook"));
    assert!(!user.claude_dir().exists());
    write(&user, "{\"disableAllHooks\": true}");
    install(&user, &[]).code(0).complains("disableAllHooks");
}

#[test]
fn what_is_installed_runs_as_it_stands_in_the_settings() {
    let user = User::new();
    install(&user, &[]).code(0);
    let mut agent = user.claude();
    let session = session_id();
    let tell = |agent: &mut super::agents_kit::Agent, event: &str, more: Value| {
        let mut input = json!({"session_id": session, "cwd": user.cwd(), "hook_event_name": event});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        fs::write(user.cwd().join("event.json"), input.to_string()).unwrap();
        let groups = &settings(&user)["hooks"][event];
        let command = groups[0]["hooks"][0]["command"].as_str().unwrap();
        assert_eq!(agent.run(&format!("{command} <event.json >output 2>&1")), 0);
        assert_eq!(text(&user.cwd().join("output")), "");
        let kept = text(&user.tsm_dir().join(format!("agents/hooks/{session}.json")));
        serde_json::from_str::<Value>(&kept).unwrap_or_default()["state"].clone()
    };
    assert_eq!(tell(&mut agent, "UserPromptSubmit", json!({})), "working");
    assert_eq!(tell(&mut agent, "PermissionRequest", json!({"tool_name": "Bash"})), "needs-input");
    assert_eq!(tell(&mut agent, "PostToolUse", json!({"tool_name": "Bash"})), "working");
    assert_eq!(tell(&mut agent, "Stop", json!({})), "idle");
    assert_eq!(tell(&mut agent, "SessionEnd", json!({})), Value::Null);
}

#[test]
fn doctor_says_when_hooks_run_a_program_that_is_gone() {
    let user = User::new();
    let check = || user.tsm(&["doctor", "healthcheck"]).stdout;
    assert!(!check().contains("Claude Code"), "{}", check());
    install(&user, &[]).code(0);
    assert!(check().contains("[OK] Claude Code's hooks run "), "{}", check());
    let tsm = user.tsm_command(&[]).get_program().to_str().unwrap().to_owned();
    write(&user, &text(&path(&user)).replace(&tsm, "/gone/tsm"));
    let said = check();
    assert!(
        said.contains("hooks run /gone/tsm, which is not there") && said.contains("tsm agents install-hooks"),
        "{said}"
    );
    // The same verb mends it.
    install(&user, &[]).code(0).says("10 hooks are now in");
    assert!(!text(&path(&user)).contains("/gone/tsm"));
}

#[test]
fn what_cannot_be_removed_is_told_what_to_correct() {
    let user = User::new();
    write(&user, "{bad");
    let ran = user.tsm(&["agents", "remove-hooks"]).code(1).complains("try: correct that file");
    assert!(!ran.stderr.contains("install-hooks"), "{ran:?}");
    assert_eq!(text(&path(&user)), "{bad");
}
