//! `tsm doctor env`: what is wrong with an environment file, found without running it.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::doctor_clean::parsed;
use crate::kit::{User, free_port, run};

/// `tsm doctor env FILE --json`, and its exit code.
fn check(user: &User, words: &[&str], code: i32) -> Value {
    parsed(&user.tsm(&[&["doctor", "env", "--json"], words].concat()).code(code))
}

fn texts(report: &Value, list: &str) -> Vec<String> {
    report[list].as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect()
}

/// The one warning, which has these words, and what it says to type.
#[track_caller]
fn warned(user: &User, file: &str, words: &str) -> String {
    let report = check(user, &[file], 0);
    let found = texts(&report, "warnings");
    assert!(found.len() == 1 && found[0].contains(words), "no {words:?} in {found:?}");
    let of = |one: &&Value| one["level"] == "warning";
    let one = report["findings"].as_array().unwrap().iter().find(of).unwrap();
    one["remedy"].as_str().unwrap().to_owned()
}

/// Writes a file that only its owner can read.
fn private(user: &User, file: &str, text: &str) {
    let path = user.file(file, text);
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
}

/// Types a remedy into bash.
fn obey(user: &User, remedy: &str) {
    let mut bash = user.command("bash");
    bash.args(["-c", remedy]);
    run(bash).code(0);
}

#[test]
fn a_good_file_is_valid_and_what_it_sets_is_shown_without_secrets() {
    let user = User::new();
    let port = free_port();
    let text = format!(
        "export PORT={port}\nexport NODE_ENV=development\nDB_PASSWORD=hunter2\n\
         DATABASE_URL=postgres://me:hunter2@db/x\n"
    );
    private(&user, "env/dev.env", &text);
    for words in [&["doctor", "env", "env/dev.env"][..], &["doctor", "env", "dev"], &["doctor", "env"]] {
        let ran = user.ok(words).says("  [OK] bash can read it\n");
        let ran =
            ran.says(&format!("  [OK] PORT={port} is free\n")).says("\nSets:\n").says("valid: 0 errors");
        let ran =
            ran.says("  NODE_ENV=development\n").says("  DB_PASSWORD=").says("DATABASE_URL=postgres://me:");
        assert!(!ran.stdout.contains("hunter2"), "{ran:?}");
    }
    let report = check(&user, &["dev"], 0);
    assert_eq!(report["valid"], true);
    assert_eq!(report["sets"]["PORT"], port.to_string());
    assert_eq!((&report["errors"], &report["warnings"]), (&Value::Array(vec![]), &Value::Array(vec![])));
    assert!(!report.to_string().contains("hunter2"), "{report:#}");
}

#[test]
fn nothing_of_it_is_run() {
    let user = User::new();
    let touched = user.cwd().join("touched");
    let x = touched.display();
    let text = format!("touch {x}\nA=$(touch {x})\nB=`touch {x}`\nif touch {x}; then C=1; fi\n");
    private(&user, "x.env", &text);
    let report = check(&user, &["x.env"], 0);
    assert!(!touched.exists());
    assert!(
        texts(&report, "info").iter().any(|one| one.contains("x.env:1: only bash can tell")),
        "{report:#}"
    );
    // Where it is read unasked, those lines have no effect, and that is a surprise.
    private(&user, ".env", "A=1\necho hello\n");
    let remedy = warned(&user, ".env", ".env:2: passed over unless the file is named with --env");
    assert!(remedy.starts_with("tsm start --env "), "{remedy}");
}

#[test]
fn a_syntax_error_is_said_as_start_says_it() {
    let user = User::new();
    private(&user, "env/dev.env", "PORT=4000\nexport A='open\n");
    let report = check(&user, &["env/dev.env"], 1);
    let said = texts(&report, "errors");
    let started = user.tsm(&["start", "--env", "dev", "sleep", "1000"]).code(1);
    assert!(said[0].contains("env/dev.env:2: ") && started.stderr.contains(&said[0]), "{said:?} {started:?}");
    assert_eq!(report["valid"], false);
    user.tsm(&["doctor", "env", "dev"]).code(1).says("  [ERROR] ").says("not valid: 1 error");
    fs::write(user.cwd().join("env/bin.env"), b"A=\xff\n").unwrap();
    assert!(texts(&check(&user, &["bin"], 1), "errors")[0].contains("bin.env:1: not UTF-8 text"));
}

#[test]
fn a_missing_file_is_4_and_says_what_was_tried() {
    let user = User::new();
    user.tsm(&["doctor", "env"]).code(4).complains("no env/local.env").complains("try: tsm env init dev");
    user.tsm(&["doctor", "env", "dev"]).code(4).complains("env/dev.env").complains("try: tsm env init dev");
    user.tsm(&["doctor", "env", "some/x.env"]).code(4).complains("some/x.env");
    let report = check(&user, &["dev"], 4);
    assert_eq!((&report["valid"], texts(&report, "errors").len()), (&false.into(), 1));
    // And the remedy makes one, whose placeholder is the only fault.
    user.ok(&["env", "init", "dev"]);
    warned(&user, "dev", "API_KEY looks like a placeholder");
    private(&user, "env/production.env", "A=1\n");
    fs::remove_file(user.cwd().join("env/dev.env")).unwrap();
    user.tsm(&["doctor", "env"]).code(4).complains("try: tsm doctor env production");
}

#[test]
fn a_port_is_free_taken_or_its_own_process() {
    let user = User::new();
    let held = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = held.local_addr().unwrap().port();
    private(&user, "env/dev.env", &format!("PORT={port}\n"));
    let remedy = warned(&user, "dev", &format!("PORT={port} is taken by "));
    assert_eq!(remedy, format!("tsm doctor port {port}"));
    drop(held);
    let serve = "import os, http.server as h; h.HTTPServer(('127.0.0.1', int(os.environ['PORT'])), \
        h.SimpleHTTPRequestHandler).serve_forever()";
    user.file("server.py", serve);
    user.ok(&["start", "--wait", "--env", "dev", "--name", "web", "python3", "server.py"]);
    let name = format!("web-{port}");
    user.ok(&["doctor", "env", "dev"]).says(&format!(
        "  [OK] PORT={port} is used by {name} (TSM ID: 0), which was started with this file\n"
    ));
    private(&user, "env/other.env", &format!("PORT={port}\n"));
    warned(&user, "other", &format!("PORT={port} is taken by {name} (TSM ID: 0)"));
    private(&user, "env/bad.env", "PORT=many\n");
    warned(&user, "bad", "PORT=many is not a port");
    private(&user, "env/none.env", "A=1\n");
    assert!(texts(&check(&user, &["none"], 0), "info").iter().any(|one| one.starts_with("it sets no PORT")));
}

#[test]
fn secrets_that_others_can_read() {
    let user = User::new();
    let path = user.file("env/dev.env", "API_KEY=hunter2\n");
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    let remedy = warned(&user, "dev", "others can read it (mode 0644), and it holds secrets such as API_KEY");
    obey(&user, &remedy);
    assert_eq!(texts(&check(&user, &["dev"], 0), "warnings"), [""; 0]);
    // As git writes its index.
    let mut index = b"DIRC\0\0\0\x02\0\0\0\x01".to_vec();
    index.extend([0; 60]);
    index.extend(b"\0\x0benv/dev.env\0\0\0\0");
    fs::create_dir_all(user.cwd().join(".git")).unwrap();
    fs::write(user.cwd().join(".git/index"), index).unwrap();
    let remedy = warned(&user, "dev", "git tracks it, and it holds secrets such as API_KEY");
    assert!(remedy.starts_with("git rm --cached "), "{remedy}");
}

#[test]
fn line_ends_of_windows_are_mended_by_the_remedy() {
    let user = User::new();
    private(&user, "dev.env", "A=1\r\nB=two\r\n");
    let remedy = warned(&user, "dev.env", "its lines end as on Windows");
    obey(&user, &remedy);
    let report = check(&user, &["dev.env"], 0);
    assert_eq!((texts(&report, "warnings").len(), &report["sets"]["B"]), (0, &"two".into()));
}
