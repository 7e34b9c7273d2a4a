//! Environment files: which one is taken, and what it may do.

use std::fs;

use serde_json::json;

use crate::kit::{User, eventually, free_port, text};

/// Prints the variables that matter, then waits.
const SHOW: &str = "echo \"COLOR=$COLOR X=$X Y=$Y PORT=$PORT\"; exec sleep 1000";

/// Waits until the program of `name` has said `line`.
fn says(user: &User, name: &str, line: &str) {
    eventually(&format!("{name} says {line:?}"), || text(&user.log(name)).contains(line));
}

#[test]
fn a_named_file_is_found_by_name_alias_or_path_and_is_sourced() {
    let user = User::new();
    user.file("env/dev.env", "export COLOR=blue\nX=$(echo computed)\nY=\"${X} twice\"\n");
    user.file("env/production.env", "COLOR=red\n");
    user.file(".env.test", "COLOR=grey\n");
    user.file("conf/some file.env", "COLOR=green\n");
    for (env, said) in [
        ("dev", "COLOR=blue X=computed Y=computed twice"),
        ("development", "COLOR=blue"),
        ("prod", "COLOR=red"),
        ("production", "COLOR=red"),
        ("test", "COLOR=grey"),
        ("conf/some file.env", "COLOR=green"),
    ] {
        let name = env.replace([' ', '/'], "-");
        user.ok(&["start", "--name", &name, "--env", env, "sh", "-c", SHOW]).says("Env: ");
        says(&user, &name, said);
    }
    user.ok(&["start", "--name", "plain", "--no-env", "sh", "-c", SHOW]);
    says(&user, "plain", "COLOR= X=");
}

#[test]
fn a_missing_file_is_not_found_with_the_paths_that_were_tried() {
    let user = User::new();
    let cwd = user.home().join("my-api");
    user.tsm(&["start", "--env", "nope", "sleep", "1000"])
        .code(4)
        .complains(&cwd.join("env/nope.env").display().to_string())
        .complains(&cwd.join(".env.nope").display().to_string());
    user.tsm(&["start", "--env", "./no/such.env", "sleep", "1000"]).code(4).complains("no/such.env");
    user.tsm(&["start", "--env", "dev", "--no-env", "sleep", "1000"]).code(2);
    assert_eq!(user.json(&["list", "all"]), json!([]));
}

#[test]
fn an_error_in_a_file_stops_the_start_with_file_and_line_and_leaves_nothing() {
    let user = User::new();
    for (name, body, line) in [
        ("quote", "A=1\nB=\"open\n", "quote.env"),
        ("syntax", "A=1\n\nif then\n", "syntax.env:3"),
        ("fails", "A=1\nreturn 7\n", "fails.env"),
    ] {
        user.file(&format!("env/{name}.env"), body);
        user.tsm(&["start", "--env", name, "sleep", "1000"]).code(1).complains(line);
    }
    assert_eq!(user.json(&["list", "all"]), json!([]));
    assert!(!user.log("my-api-sleep").exists());
    assert_eq!(user.alive(), []);
}

#[test]
fn a_file_that_is_only_found_is_read_and_never_executed() {
    let user = User::new();
    user.file("env/local.env", "COLOR='deep blue'\nX=$(touch pwned)\ntouch pwned2\nY=\"<$COLOR>\"\n");
    user.file(".env", "COLOR=second\n");
    let ran = user.ok(&["start", "--name", "found", "sh", "-c", SHOW]);
    assert!(ran.stdout.contains("Env: env/local.env"), "{ran:?}");
    assert!(ran.stderr.contains("local.env:2") && ran.stderr.contains("local.env:3"), "{ran:?}");
    says(&user, "found", "COLOR=deep blue X= Y=<deep blue>");
    user.ok(&["restart", "found"]);
    eventually("it ran twice", || text(&user.log("found")).matches("COLOR=deep blue").count() == 2);
    for file in ["pwned", "pwned2"] {
        assert!(!user.cwd().join(file).exists(), "{file} was made");
    }
    user.ok(&["start", "--name", "without", "--no-env", "sh", "-c", SHOW]);
    says(&user, "without", "COLOR= X= Y=");
}

#[test]
fn production_is_only_mentioned() {
    let user = User::new();
    user.file("env/production.env", "COLOR=red\n");
    let ran = user.ok(&["start", "--name", "careful", "sh", "-c", SHOW]);
    assert!(ran.stderr.contains("env/production.env") && ran.stderr.contains("--env production"), "{ran:?}");
    says(&user, "careful", "COLOR= X=");
}

#[test]
fn name_and_port_of_the_file_are_used_and_options_come_before_them() {
    let user = User::new();
    let port = free_port();
    user.file(".env", &format!("NAME=shop\nPORT={port}\n"));
    let name = format!("shop-{port}");
    user.ok(&["start", "--wait", "python3", "-m", "http.server"]).says(&format!("Started: {name} "));
    assert_eq!(user.view(&name)["ports"], json!([port]));
    let other = free_port();
    let started =
        user.json(&["start", "--name", "mine", "--port", &other.to_string(), "python3", "-m", "http.server"]);
    assert_eq!((&started["name"], &started["port"]), (&json!(format!("mine-{other}")), &json!(other)));
    user.file(".env", "NAME=a/b\nPORT=http\n");
    let ran = user.ok(&["start", "--kind", "port", "sleep", "1000"]);
    assert!(ran.stderr.contains("a/b") && ran.stderr.contains("PORT=http"), "{ran:?}");
}

#[test]
fn every_start_reads_the_file_anew() {
    let user = User::new();
    user.file("env/dev.env", "COLOR=first\n");
    user.ok(&["start", "--name", "app", "--env", "dev", "sh", "-c", SHOW]);
    says(&user, "app", "COLOR=first");
    user.file("env/dev.env", "COLOR=second\n");
    user.ok(&["restart", "app"]);
    says(&user, "app", "COLOR=second");
    user.ok(&["stop", "app"]);
    assert_eq!(user.alive(), [], "the second run was all there was");
    user.file("env/dev.env", "COLOR=third\n");
    user.ok(&["start", "app"]);
    says(&user, "app", "COLOR=third");
    user.ok(&["stop", "app"]);
    user.file("env/dev.env", "if then\n");
    user.tsm(&["start", "app"]).code(1).complains("dev.env");
    fs::remove_file(user.cwd().join("env/dev.env")).unwrap();
    user.tsm(&["start", "app"]).code(4).complains("dev.env");
    assert_eq!(user.state("app"), "stopped");
}
