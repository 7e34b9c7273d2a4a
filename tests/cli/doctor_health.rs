//! `tsm doctor healthcheck`: each finding is caused, and is gone after what its remedy says was typed.

use std::fs::{self, File, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use serde_json::Value;

use crate::doctor_clean::parsed;
use crate::kit::{Ran, User, eventually, is_alive, kill, run};
use crate::list::two;
use crate::terminal::plain;

/// The sections that speak of this user's TSM alone, and not of the machine.
const OWN: [&str; 6] = [
    "Core Environment",
    "TSM Runtime Variables",
    "Process Tracking",
    "Patterns and Definitions",
    "Permissions",
    "Logs",
];

/// `tsm doctor healthcheck` with these variables.
fn check(user: &User, vars: &[(&str, &str)], flags: &[&str]) -> Ran {
    let mut command = user.tsm_command(&[&["doctor", "healthcheck"], flags].concat());
    command.envs(vars.iter().copied());
    run(command)
}

/// What is wrong with this user's TSM.
fn wrong(user: &User, vars: &[(&str, &str)]) -> Vec<Value> {
    let found = parsed(&check(user, vars, &["--json"]));
    let bad = |one: &&Value| one["level"] == "warning" || one["level"] == "error";
    let own = |one: &&Value| OWN.iter().any(|own| one["section"] == *own);
    found.as_array().unwrap().iter().filter(bad).filter(own).cloned().collect()
}

/// The one thing that is wrong; it has this level and these words, and comes with a remedy.
#[track_caller]
fn only(user: &User, level: &str, words: &str) -> String {
    let found = wrong(user, &[]);
    let [one] = found.as_slice() else { panic!("not one finding: {found:#?}") };
    assert_eq!(one["level"], level, "{one:#}");
    assert!(one["what"].as_str().unwrap().contains(words), "no {words:?} in {one:#}");
    one["remedy"].as_str().unwrap().to_owned()
}

/// Types a remedy into bash, with an editor that deletes the line it is told to go to.
fn obey(user: &User, remedy: &str) {
    let editor = user.program("editor", "#!/bin/sh\nexec sed -i \"${1#+}d\" \"$2\"\n");
    let bin = Path::new(env!("CARGO_BIN_EXE_tsm")).parent().unwrap();
    let mut bash = user.command("bash");
    bash.args(["-c", remedy]).env("PATH", format!("{}:/usr/bin:/bin", bin.display())).env("EDITOR", editor);
    run(bash).code(0);
}

fn tidy(user: &User) {
    assert_eq!(wrong(user, &[]), [] as [Value; 0]);
}

#[test]
fn the_sections_come_in_the_order_of_the_seed_and_nothing_is_wrong_with_a_fresh_one() {
    let user = two();
    let ran = check(&user, &[("TETRA_DIR", user.home().to_str().unwrap())], &[]).code(0);
    let root = user.tsm_dir();
    let root = root.to_str().unwrap();
    let mut rest = ran.stdout.as_str();
    for text in [
        "TSM Health Check\n================\n\nCore Environment:\n  [OK] TETRA_DIR=",
        &format!("  [OK] TSM_DIR={root}\n\nTSM Runtime Variables:\n"),
        &format!("  [OK] TSM_PROCESSES_DIR={root}/runtime/processes\n  [OK] TSM_LOGS_DIR={root}/logs\n"),
        &format!("  [OK] TSM_PIDS_DIR={root}/pids\n"),
        "\n\nDependencies:\n  [OK] lsof, jq, ps, netstat: not needed\n  [OK] bash: ",
        "\nProcess Tracking:\n  Tracked processes: 2 (1 online, 1 stopped)\n  [OK] No stale process files\n",
        "\nSummary:\n  ",
    ] {
        let at = rest.find(text).unwrap_or_else(|| panic!("no {text:?} in {rest}"));
        rest = &rest[at + text.len()..];
    }
    assert!(ran.stderr.is_empty() && !ran.stdout.contains('\x1b'), "{ran:?}");
    tidy(&user);
    // Whether the machine gives rise to a warning is not this user's doing; the two forms agree on it.
    let found = parsed(&check(&user, &[], &["--json"]));
    let bad = |one: &Value| one["level"] == "warning" || one["level"] == "error";
    let any = found.as_array().unwrap().iter().any(bad);
    assert_eq!(rest.starts_with("All checks passed\n"), !any, "{rest}");
    user.ok(&["doctor", "health"]).says("TSM Health Check\n");
}

#[test]
fn before_the_first_start_all_is_well_and_nothing_is_made() {
    let user = User::new();
    tidy(&user);
    check(&user, &[], &[]).code(0).says("(the first start makes it)").says("Tracked processes: 0\n");
    assert!(!user.tsm_dir().exists());
}

#[test]
fn files_that_others_can_read_or_write() {
    let user = two();
    let mode = |path: &Path, mode: u32| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    mode(&user.tsm_dir(), 0o755);
    let remedy = only(&user, "warning", "tsm can be read by others (mode 0755)");
    check(&user, &[], &[]).code(0).says("\n         try: chmod -R go-rwx ");
    obey(&user, &remedy);
    tidy(&user);
    mode(&user.tsm_dir(), 0o777);
    let remedy = only(&user, "error", "tsm can be written by others (mode 0777)");
    check(&user, &[], &[]).code(1).says("  [ERROR] ").says("1 error");
    obey(&user, &remedy);
    tidy(&user);
    mode(&user.log("up"), 0o644);
    let remedy = only(&user, "warning", "up.log can be read by others (mode 0644), were it not for");
    obey(&user, &remedy);
    mode(&user.tsm_dir().join("logs"), 0o500);
    let remedy = only(&user, "error", "logs is closed to its owner (mode 0500)");
    obey(&user, &remedy);
    tidy(&user);
}

#[test]
fn a_broken_line_of_the_patterns() {
    let user = two();
    fs::write(user.tsm_dir().join("patterns.txt"), "# mine\nweb ./web 9000\napp|./app|9000|{cmd}\n").unwrap();
    let remedy = only(&user, "warning", "patterns.txt:2: skipped: it has no '|'");
    check(&user, &[], &[]).says("patterns.txt: 1 pattern\n");
    obey(&user, &remedy);
    tidy(&user);
    fs::write(user.tsm_dir().join("patterns.txt"), "web|re:(|9000|{cmd}\n").unwrap();
    only(&user, "warning", "patterns.txt:1: skipped: ");
}

#[test]
fn a_broken_definition_is_an_error_and_a_link_that_leads_nowhere_is_not() {
    let user = two();
    let available = user.tsm_dir().join("services-available");
    fs::create_dir_all(&available).unwrap();
    fs::write(available.join("web.tsm"), "SERVICE_COMMAND=x\nrm -rf x\n").unwrap();
    let remedy = only(&user, "error", "web.tsm:2: ");
    check(&user, &[], &[]).code(1);
    obey(&user, &remedy);
    tidy(&user);
    fs::write(available.join("web.tsm"), "SERVICE_COMMAND=x\nSERVICE_DIR=/does/not/exist\n").unwrap();
    only(&user, "warning", "the directory /does/not/exist does not exist");
    fs::write(available.join("web.tsm"), "SERVICE_COMMAND=x\n").unwrap();
    let enabled = user.tsm_dir().join("services-enabled");
    fs::create_dir_all(&enabled).unwrap();
    symlink("../services-available/no.tsm", enabled.join("no.tsm")).unwrap();
    let remedy = only(&user, "warning", "no.tsm leads to ../services-available/no.tsm, which is gone");
    assert_eq!(remedy, "tsm disable no");
    obey(&user, &remedy);
    tidy(&user);
}

#[test]
fn a_supervisor_that_was_killed() {
    let user = two();
    let supervisor = user.supervisor("up");
    kill(supervisor, "KILL");
    eventually("it is dead", || !is_alive(supervisor));
    let found = wrong(&user, &[]);
    let of = |word: &str| found.iter().find(|one| one["what"].as_str().unwrap().contains(word));
    assert_eq!(of("up runs without a supervisor").unwrap()["remedy"], "tsm restart up");
    assert_eq!(of("control.sock (its supervisor is dead)").unwrap()["remedy"], "tsm doctor clean");
    obey(&user, "tsm doctor clean");
    let remedy = only(&user, "warning", "up runs without a supervisor");
    obey(&user, &remedy);
    tidy(&user);
}

#[test]
fn a_process_that_died_with_its_supervisor() {
    let user = two();
    let (supervisor, pid) = (user.supervisor("up"), user.pid("up"));
    kill(supervisor, "KILL");
    kill(pid, "KILL");
    eventually("both are dead", || !is_alive(supervisor) && !is_alive(pid));
    check(&user, &[], &[]).code(0).says("stale: ").says("up.pid (no such process lives)");
    obey(&user, "tsm doctor clean");
    let remedy = only(&user, "warning", "up is lost");
    assert_eq!(remedy, "tsm start up, or tsm delete up");
    obey(&user, "tsm start up");
    tidy(&user);
}

#[test]
fn a_supervisor_that_nobody_can_reach() {
    let user = two();
    fs::remove_file(user.process_dir("up").join("control.sock")).unwrap();
    let remedy = only(&user, "warning", "up: cannot reach the supervisor at ");
    obey(&user, &remedy);
    tidy(&user);
}

#[test]
fn files_of_no_use() {
    let user = two();
    fs::write(user.process_dir("down").join("spec.json"), "{").unwrap();
    let remedy = only(&user, "error", "spec.json cannot be used: ");
    obey(&user, remedy.split(", ").next().unwrap());
    tidy(&user);
    fs::write(user.tsm_dir().join("pids/gone.pid"), "999999\n").unwrap();
    fs::set_permissions(user.tsm_dir().join("pids/gone.pid"), Permissions::from_mode(0o600)).unwrap();
    let remedy = only(&user, "warning", "stale: ");
    obey(&user, &remedy);
    tidy(&user);
}

#[test]
fn a_log_that_is_over_its_cap_and_logs_of_nobody() {
    let user = User::new();
    user.ok(&["start", "--log-max-size", "1MiB", "--name", "app", "sleep", "1000"]);
    user.ok(&["stop", "app"]);
    File::options().append(true).open(user.log("app")).unwrap().set_len(2 << 20).unwrap();
    let remedy = only(&user, "warning", "the log of app has 2.0M, over its cap of 1.0M: it does not run");
    check(&user, &[], &[]).says("[OK] Logs: 2.0M in all, the biggest of app (2.0M)\n");
    assert!(remedy.starts_with("tsm start app, "), "{remedy}");
    obey(&user, "tsm start app");
    eventually("it is rotated", || wrong(&user, &[]).is_empty());
    fs::write(user.log("old"), "twelve bytes").unwrap();
    fs::set_permissions(user.log("old"), Permissions::from_mode(0o600)).unwrap();
    check(&user, &[], &[]).code(0).says("1 log of no tracked process (12B)\n");
    obey(&user, "tsm doctor clean --aggressive");
    assert!(!check(&user, &[], &[]).stdout.contains("no tracked process"));
    tidy(&user);
}

#[test]
fn variables_that_mislead() {
    let user = two();
    let warned = |name: &str, value: &str, words: &str| {
        let found = wrong(&user, &[(name, value)]);
        let [one] = found.as_slice() else { panic!("{name}={value}: {found:#?}") };
        assert!(one["what"].as_str().unwrap().contains(words), "{one:#}");
        one["remedy"].as_str().unwrap().to_owned()
    };
    assert_eq!(warned("TSM_LOGS_DIR", "/elsewhere", "is exported, but tsm uses "), "unset TSM_LOGS_DIR");
    assert_eq!(warned("TETRA_SRC", "/does/not/exist", "is not a directory"), "unset TETRA_SRC");
    let tetra = user.home().join("tetra dir");
    let remedy = warned("TETRA_DIR", tetra.to_str().unwrap(), "is not a directory");
    obey(&user, remedy.split(", ").next().unwrap());
    assert_eq!(wrong(&user, &[("TETRA_DIR", tetra.to_str().unwrap())]), [] as [Value; 0]);
    let kernel = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap();
    let first = kernel.split_whitespace().next().unwrap();
    warned("TSM_PORT_RANGE", &format!("{first}-{first}"), "to outgoing connections");
    // Below the kernel's range, and taken as a whole.
    let taken = (2000..10000).find_map(|port| TcpListener::bind(("127.0.0.1", port)).ok()).unwrap();
    let port = taken.local_addr().unwrap().port();
    let range = format!("{port}-{port}");
    warned("TSM_PORT_RANGE", &range, "every port of it is taken");
    check(&user, &[("TSM_PORT_RANGE", &range)], &[]).code(1);
    drop(taken);
    let relative = check(&user, &[("TSM_DIR", "here")], &[]).code(0);
    assert!(relative.stdout.contains("TSM_DIR is relative"), "{relative:?}");
    let file = user.file("file", "");
    check(&user, &[("TSM_DIR", file.to_str().unwrap())], &[]).code(1).says("is not a directory");
}

#[test]
fn another_binary_than_the_shell_would_run() {
    let user = two();
    let other = user.program("src/target/release/tsm", "#!/bin/sh\n");
    let bin = other.parent().unwrap().to_str().unwrap();
    let path = format!("{bin}:/usr/bin:/bin");
    check(&user, &[("PATH", &path)], &[]).says("  [WARN] tsm on PATH is ").says("try: export PATH=");
    let src = user.cwd().join("src");
    let src = src.to_str().unwrap();
    check(&user, &[("TSM_SRC", src)], &[]).says(&format!("  [WARN] the shell layer of {src} runs "));
    // The remedies: this one's shell layer, and this one first.
    let me = Path::new(env!("CARGO_BIN_EXE_tsm"));
    let first = format!("{}:{path}", me.parent().unwrap().display());
    check(&user, &[("PATH", &first)], &[]).says("  [OK] tsm on PATH is this one: ");
    fs::remove_file(&other).unwrap();
    let vars = [("TSM_SRC", src), ("PATH", first.as_str())];
    check(&user, &vars, &[]).says(&format!("  [OK] The shell layer is loaded from {src}\n"));
    check(&user, &[], &[]).says("The shell layer is not loaded").says("/shell/tsm.sh\n");
}

#[test]
fn at_a_terminal_it_has_colours_and_no_escapes_of_others() {
    let user = two();
    fs::write(user.tsm_dir().join("patterns.txt"), "\x1b[2Jweb ./web 9000\n").unwrap();
    fs::write(user.tsm_dir().join("pids/x.pid"), "1\x1b[2J").unwrap();
    let (shown, code) = user.at_terminal(120, &["doctor", "healthcheck"]);
    assert_eq!(code, 0);
    assert!(shown.contains("\x1b[33m[WARN]"), "{shown:?}");
    assert!(plain(&shown).contains("  [OK] TSM_DIR="), "{shown:?}");
}
