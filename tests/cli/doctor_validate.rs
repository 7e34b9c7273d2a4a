//! `tsm doctor validate`: the dry run with judgement, which runs nothing.

use std::fs;
use std::net::TcpListener;

use serde_json::{Value, json};

use crate::doctor_clean::parsed;
use crate::kit::{User, free_port};

fn check(user: &User, words: &[&str], code: i32) -> Value {
    parsed(&user.tsm(&[&["doctor", "validate", "--json"], words].concat()).code(code))
}

fn texts(report: &Value, list: &str) -> Vec<String> {
    report[list].as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect()
}

/// The one error, which has these words.
#[track_caller]
fn refused(user: &User, words: &[&str], text: &str) {
    let report = check(user, words, 1);
    let errors = texts(&report, "errors");
    assert!(errors.len() == 1 && errors[0].contains(text), "no {text:?} in {report:#}");
    assert_eq!(report["valid"], false);
    let starts = user.tsm(&["list", "all", "--json"]);
    assert!(!starts.stdout.contains("no-such"), "{starts:?}");
}

#[test]
fn a_good_plan_is_that_of_the_dry_run_and_valid() {
    let user = User::new();
    user.file("server.py", "");
    let port = free_port().to_string();
    let report = check(&user, &["python3 server.py", "--port", &port], 0);
    assert_eq!(
        (&report["valid"], &report["errors"], &report["warnings"]),
        (&json!(true), &json!([]), &json!([]))
    );
    let dry = user.ok(&["start", "--dry-run", "--json", "--port", &port, "python3 server.py"]);
    assert_eq!(report["plan"], parsed(&dry));
    let ran = user.ok(&["doctor", "validate", "python3 server.py", "--port", &port]);
    let dry = user.ok(&["start", "--dry-run", "--port", &port, "python3 server.py"]);
    for line in dry.stdout.lines() {
        assert!(ran.stdout.contains(line), "no {line:?} in {ran:?}");
    }
    ran.says("  [OK] program: /")
        .says(&format!("  [OK] port {port} is free, and is passed as PORT\n"))
        .says("\nvalid\n");
    user.ok(&["doctor", "validate", "--port", &port, "--", "python3", "-m", "http.server"])
        .says(&format!("port {port} is free, and is on the command line\n"));
    user.ok(&["doctor", "validate", "sleep 1000"]).says("no port is planned");
    assert!(!user.tsm_dir().exists(), "nothing was made");
}

#[test]
fn what_would_not_start_is_said_before_it_does() {
    let user = User::new();
    refused(&user, &["no-such-program"], "\"no-such-program\" is not found on PATH");
    refused(&user, &["./no-such"], "there is no ./no-such in ");
    refused(&user, &["python3 no-such.py"], "there is no no-such.py in ");
    refused(&user, &["sleep 1", "--dir", "/does/not/exist"], "no directory /does/not/exist");
    refused(&user, &["sleep 1", "--env", "no-such"], "no env file for \"no-such\"");
    user.file("bin", "\x7fELF");
    refused(&user, &["./bin"], "/bin is not executable");
    user.tsm(&["doctor", "validate"]).code(2);
    user.tsm(&["doctor", "validate", "./bin"]).code(1).says("try: chmod +x ").says("\nnot valid: 1 error\n");
}

#[test]
fn a_port_that_is_taken_is_an_error_and_the_plan_is_shown_all_the_same() {
    let user = User::new();
    let held = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = held.local_addr().unwrap().port().to_string();
    let report = check(&user, &["sleep 1000", "--port", &port], 1);
    let error = &texts(&report, "errors")[0];
    assert!(error.starts_with(&format!("port {port} (given with --port) is taken by ")), "{error}");
    assert_eq!(report["plan"]["port"].to_string(), port);
    drop(held);
    check(&user, &["sleep 1000", "--port", &port], 0);
    user.ok(&["start", "--port", &port, "--name", "holder", "sleep", "1000"]);
    refused(&user, &["tail -f x", "--port", &port], &format!("holder-{port} (TSM ID: 0)"));
}

#[test]
fn a_named_env_file_is_judged_and_not_sourced() {
    let user = User::new();
    let touched = user.cwd().join("touched");
    let port = free_port();
    user.file("env/dev.env", &format!("touch {}\nPORT={port}\nAPI_KEY=your-key-here\n", touched.display()));
    user.file("server.py", "");
    let report = check(&user, &["python3 server.py", "--env", "dev"], 0);
    assert!(!touched.exists());
    assert_eq!(report["plan"]["port"], port);
    assert!(texts(&report, "warnings").iter().any(|one| one.contains("API_KEY looks like a placeholder")));
    user.file("env/bad.env", "export A='open\n");
    let report = check(&user, &["sleep 1000", "--env", "bad"], 1);
    assert!(texts(&report, "errors")[0].contains("bad.env:1: "), "{report:#}");
    assert_eq!(texts(&report, "errors").len(), 1);
}

#[test]
fn services_and_tracked_processes_are_judged_too() {
    let user = User::new();
    let available = user.tsm_dir().join("services-available");
    fs::create_dir_all(&available).unwrap();
    fs::write(available.join("web.tsm"), "SERVICE_COMMAND='sleep 1000'\nSERVICE_DIR=/does/not/exist\n")
        .unwrap();
    refused(&user, &["web"], "no directory /does/not/exist");
    fs::write(available.join("web.tsm"), "SERVICE_COMMAND='sleep 1000'\nrm x\n").unwrap();
    refused(&user, &["web"], "web.tsm:2: ");
    fs::write(available.join("web.tsm"), "SERVICE_COMMAND='sleep 1000'\n").unwrap();
    assert_eq!(check(&user, &["web"], 0)["plan"]["name"], "web");

    let port = free_port();
    user.ok(&["start", "--name", "app", "--port", &port.to_string(), "sleep", "1000"]);
    let name = format!("app-{port}");
    let report = check(&user, &[&name], 0);
    assert!(texts(&report, "info")[0].contains("it runs already as app-"), "{report:#}");
    assert_eq!(report["plan"]["argv"], json!(["sleep", "1000"]));
    user.ok(&["stop", &name]);
    check(&user, &[&name], 0);
    let held = TcpListener::bind(("127.0.0.1", port)).unwrap();
    refused(&user, &[&name], &format!("port {port} is taken by "));
    drop(held);
}
