//! Service definitions: found, read, enabled and started, and never executed as shell.

use std::fs;
use std::path::PathBuf;

use serde_json::json;

use crate::kit::{User, eventually, free_port, text};

/// Writes a definition of the user's.
fn define(user: &User, name: &str, body: &str) -> PathBuf {
    let dir = user.tsm_dir().join("services-available");
    fs::create_dir_all(&dir).unwrap();
    let file = dir.join(format!("{name}.tsm"));
    fs::write(&file, body).unwrap();
    file
}

fn says(user: &User, name: &str, line: &str) {
    eventually(&format!("{name} says {line:?}"), || text(&user.log(name)).contains(line));
}

#[test]
fn a_definition_is_listed_shown_enabled_started_and_disabled() {
    let user = User::new();
    let port = free_port();
    let file = define(
        &user,
        "web",
        &format!(
            "# a page\nSERVICE_NAME=web\nSERVICE_TYPE=port\nSERVICE_COMMAND=\"python3 -m http.server\"\n\
             SERVICE_PORT={port}\nSERVICE_DIR={}\nSERVICE_DESCRIPTION=\"A page\"\n",
            user.cwd().display()
        ),
    );
    user.ok(&["list", "available"]).says("web").says("A page");
    user.ok(&["show", "web"]).says("python3 -m http.server").says(&port.to_string()).says("disabled");
    user.ok(&["enable", "web"]).says("Enabled");
    let link = user.tsm_dir().join("services-enabled/web.tsm");
    assert_eq!(fs::canonicalize(&link).unwrap(), fs::canonicalize(&file).unwrap());
    user.ok(&["enable", "web"]).says("Already enabled");
    user.ok(&["show", "web"]).says("enabled");
    assert_eq!(user.json(&["show", "web"])["port"], json!(port));
    let name = format!("web-{port}");
    user.ok(&["start", "--wait", "web"]).says(&format!("Started: {name} (TSM ID: 0"));
    user.ok(&["start", "web"]).says("Already running");
    assert_eq!(user.view(&name)["ports"], json!([port]));
    user.ok(&["stop", "web"]);
    user.ok(&["start", "--wait", "web"]).says(&format!("Started: {name} (TSM ID: 0"));
    user.ok(&["disable", "web"]).says("Disabled");
    assert!(fs::symlink_metadata(&link).is_err() && file.exists());
    for verb in ["enable", "disable", "show"] {
        user.tsm(&[verb, "nope"]).code(4).complains("nope");
        user.tsm(&[verb, "../x"]).code(2);
    }
}

#[test]
fn the_busy_port_of_a_definition_is_a_conflict() {
    let user = User::new();
    let held = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = held.local_addr().unwrap().port();
    define(&user, "web", &format!("SERVICE_COMMAND=\"python3 -m http.server\"\nSERVICE_PORT={port}\n"));
    user.tsm(&["start", "web"])
        .code(6)
        .complains("SERVICE_PORT")
        .complains(&format!("(PID {})", std::process::id()));
    assert_eq!(user.json(&["list", "all"]), json!([]));
}

#[test]
fn relative_paths_are_those_of_the_definitions_directory() {
    let user = User::new();
    user.file("sub/conf/dev.env", "COLOR=blue\n");
    define(
        &user,
        "worker",
        &format!(
            "SERVICE_COMMAND='echo \"$PWD $COLOR\"; exec sleep 1000'\nSERVICE_DIR=\"{}/sub\"\nSERVICE_ENV=conf/dev.env\nSERVICE_TYPE=pid\n",
            user.cwd().display()
        ),
    );
    let mut command = user.tsm_command(&["start", "worker"]);
    command.current_dir("/");
    crate::kit::run(command).code(0);
    says(&user, "worker", &format!("{} blue", user.home().join("my-api/sub").display()));
}

#[test]
fn the_keys_of_the_original_are_read_too() {
    let user = User::new();
    define(
        &user,
        "old",
        &format!("TSM_NAME=old\nTSM_COMMAND=\"sleep 1000\"\nTSM_DIR={}\n", user.cwd().display()),
    );
    user.ok(&["start", "old"]).says("Started: old");
    assert_eq!(user.view("old")["command"], "sleep 1000");
    assert_eq!(user.view("old")["cwd"], user.home().join("my-api").display().to_string());
}

#[test]
fn what_is_no_assignment_is_refused_with_its_line_and_nothing_is_executed() {
    let user = User::new();
    for (name, body, line) in [
        ("subst", "SERVICE_NAME=subst\nSERVICE_COMMAND=\"sleep $(touch pwned)\"\n", 2),
        ("back", "SERVICE_COMMAND=`touch pwned`\n", 1),
        ("plain", "SERVICE_COMMAND='sleep 1000'\n\ntouch pwned\n", 3),
        ("rm", "SERVICE_COMMAND=x\nSERVICE_DIR=$(rm -rf x)\n", 2),
    ] {
        let file = define(&user, name, body);
        let place = format!("{}:{line}", file.display());
        for words in [&["start", name][..], &["show", name], &["enable", name]] {
            user.tsm(words).code(1).complains(&place);
        }
    }
    define(&user, "good", "SERVICE_COMMAND='sleep 1000'\n");
    user.ok(&["list", "available"]).says("good").says("(broken)").complains("subst.tsm:2");
    assert!(!user.cwd().join("pwned").exists());
    assert_eq!(user.json(&["list", "all"]), json!([]));
    user.ok(&["start", "good"]).says("Started: good");
}

#[test]
fn restart_and_start_apply_the_definition_as_it_now_stands() {
    let user = User::new();
    define(&user, "app", "SERVICE_COMMAND='echo one; exec sleep 1000'\nSERVICE_TYPE=pid\n");
    user.ok(&["start", "app"]);
    says(&user, "app", "one");
    define(&user, "app", "SERVICE_COMMAND='echo two; exec sleep 1000'\nSERVICE_TYPE=pid\n");
    user.ok(&["restart", "app"]);
    says(&user, "app", "two");
    assert_eq!(user.view("app")["command"], "echo two; exec sleep 1000");
    user.ok(&["stop", "app"]);
    define(&user, "app", "SERVICE_COMMAND='echo three; exec sleep 1000'\nSERVICE_TYPE=pid\n");
    user.ok(&["start", "app"]).says("Started: app (TSM ID: 0");
    says(&user, "app", "three");
    // A definition that broke meanwhile does not cost the running process.
    let pid = user.pid("app");
    define(&user, "app", "oops here\n");
    user.tsm(&["restart", "app"]).code(1).complains("app.tsm:1");
    assert_eq!(user.pid("app"), pid);
}
