//! `tsm ports`: the ports of what runs, and those that directories keep.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::kit::{User, eventually, free_port, run};
use crate::start::TELL;

fn json_of(user: &User, args: &[&str]) -> Value {
    let ran = user.tsm(&[args, &["--json"]].concat());
    serde_json::from_str(&ran.stdout).unwrap_or_else(|why| panic!("{why}: {ran:?}"))
}

/// The lines of a table, their blanks as one.
fn lines(text: &str) -> Vec<String> {
    text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn planned_and_real_ports_stand_beside_each_other() {
    let user = User::new();
    user.ok(&["ports"]).complains("no process that TSM manages has a port");
    assert_eq!(json_of(&user, &["ports"]), json!([]));
    let mut ports = [free_port(), free_port(), free_port()];
    ports.sort_unstable();
    let [first, second, real] = ports;
    let (one, two) = (first.to_string(), second.to_string());
    user.ok(&["start", "--wait", "--name", "web", "--port", &one, "python3", "-m", "http.server"]);
    let server = format!("python3 -m http.server {real}");
    user.ok(&["start", "--name", "far", "--port", &two, "bash", "-c", &server]);
    user.ok(&["start", "--name", "none", "sleep", "1000"]);
    let far = format!("far-{second}");
    eventually("it listens", || user.view(&far)["ports"] == json!([real]));
    let ran = user.ok(&["ports"]);
    let state = user.state(&far);
    assert_eq!(
        lines(&ran.stdout),
        [
            "PORT LISTENS TYPE STATUS ID OWNER".to_owned(),
            format!("{first} {first} port online 0 web-{first}"),
            format!("{second} {real} port {state} 1 {far}"),
        ]
    );
    let all = json_of(&user, &["ports"]);
    assert_eq!(
        (&all[1]["port"], &all[1]["ports"], &all[1]["owner"], &all[1]["directory"]),
        (&json!(second), &json!([real]), &json!(far), &json!(user.home().join("my-api")))
    );
}

#[test]
fn the_range_is_two_numbers() {
    let user = User::new();
    assert_eq!(user.ok(&["ports", "--range"]).stdout, "8000 8999\n");
    assert_eq!(json_of(&user, &["ports", "--range"]), json!({ "first": 8000, "last": 8999 }));
    let mut command = user.tsm_command(&["ports", "--range"]);
    command.env("TSM_PORT_RANGE", "3000-3099");
    assert_eq!(run(command).code(0).stdout, "3000 3099\n");
    for words in
        [["--allocated", "--forget"], ["--allocated", "8000"], ["--range", "8000"], ["--range", "--forget"]]
    {
        user.tsm(&["ports", words[0], words[1]]).code(2).complains("does not go with");
    }
}

#[test]
fn kept_ports_are_listed_and_those_of_lost_directories_forgotten() {
    let user = User::new();
    // Looking makes nothing.
    user.ok(&["ports", "--allocated"]).complains("no directory keeps a port yet");
    user.ok(&["ports", "--forget"]).says("Nothing to forget");
    assert!(!user.tsm_dir().exists());

    user.file("server.py", TELL);
    fs::create_dir_all(user.home().join("gone")).unwrap();
    fs::copy(user.cwd().join("server.py"), user.home().join("gone/server.py")).unwrap();
    let here = user.json(&["start", "--kind", "port", "python3", "server.py"]);
    let there = user.json(&["start", "--kind", "port", "--dir", "../gone", "python3", "server.py"]);
    let (port, other) = (here["port"].as_u64().unwrap(), there["port"].as_u64().unwrap());
    user.ok(&["delete", there["name"].as_str().unwrap()]);

    let all = json_of(&user, &["ports", "--allocated"]);
    let find = |port: u64| all.as_array().unwrap().iter().find(|one| one["port"] == port).unwrap();
    let mine = find(port);
    assert_eq!(
        (&mine["status"], &mine["owner"], &mine["name"], &mine["directory"], &mine["gone"]),
        (
            &json!("reserved"),
            &here["name"],
            &json!("my-api-server"),
            &json!(user.home().join("my-api")),
            &json!(false)
        )
    );
    // Another test may have been given the port that is free here.
    assert_eq!((&find(other)["owner"], &find(other)["gone"]), (&json!(null), &json!(false)));
    user.ok(&["ports", "--allocated"]).says("PORT").says("my-api-server");

    fs::remove_dir_all(user.home().join("gone")).unwrap();
    let ran = user.ok(&["ports", "--allocated"]).complains("1 port of a directory that is gone");
    assert_eq!(ran.stdout.lines().count(), 3, "listing forgets nothing: {ran:#?}");
    user.ok(&["ports", "--forget"]).says("Forgot 1 port of a directory that is gone\n");
    let left = json_of(&user, &["ports", "--allocated"]);
    assert_eq!(left.as_array().unwrap().len(), 1, "{left:#}");
    assert_eq!(left[0]["port"], port);
    assert_eq!(json_of(&user, &["ports", "--forget"]), json!({ "forgotten": 0 }));
    // The one that is left is still remembered.
    user.ok(&["delete", here["name"].as_str().unwrap()]);
    let again = user.json(&["start", "--dry-run", "--kind", "port", "python3", "server.py"]);
    assert!(again["reasons"].to_string().contains("the last port of"), "{again:#}");
}

#[test]
fn forgetting_waits_for_whoever_is_reserving() {
    let user = User::new();
    user.file("server.py", TELL);
    let name = user.json(&["start", "--kind", "port", "python3", "server.py"])["name"].clone();
    user.ok(&["delete", name.as_str().unwrap()]);
    let lock = user.tsm_dir().join("runtime/lock");
    let mut holder = user.command("python3");
    let script = "import fcntl, sys\n\
        f = open(sys.argv[1], 'r+')\n\
        fcntl.lockf(f, fcntl.LOCK_EX)\n\
        print('locked', flush=True)\n\
        sys.stdin.read()\n";
    holder.args(["-c", script]).arg(&lock).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut holder = holder.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "locked\n");
    let mut child = user.tsm_command(&["ports", "--forget"]).stdout(Stdio::null()).spawn().unwrap();
    // proc_locks(5): who waits for a lock stands behind an arrow.
    let inode = format!(":{} ", fs::metadata(&lock).unwrap().ino());
    let mut early = None;
    eventually("it waits for the lock, or does not", || {
        early = child.try_wait().unwrap();
        let locks = fs::read_to_string("/proc/locks").unwrap();
        early.is_some() || locks.lines().any(|line| line.contains("->") && line.contains(&inode))
    });
    drop(holder.stdin.take());
    holder.wait().unwrap();
    assert!(early.is_none(), "it did not wait");
    assert!(child.wait().unwrap().success());
}
