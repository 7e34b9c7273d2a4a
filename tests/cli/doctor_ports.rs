//! `tsm doctor` and `doctor port`: who has which port, and what is wrong with that.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::kill::Foreign;
use crate::kit::{Ran, User, eventually, free_port, run};

/// Listens on the address and port of its arguments, then says so.
pub(crate) const LISTEN: &str = "import socket, sys, time\n\
    host, port = sys.argv[1], int(sys.argv[2])\n\
    family = socket.AF_INET6 if ':' in host else socket.AF_INET\n\
    s = socket.create_server((host, port), family=family)\n\
    print(s.getsockname()[1], flush=True)\n\
    time.sleep(1000)\n";

/// A process that TSM knows nothing of; it is ended with the test.
pub(crate) struct Stranger(pub(crate) Child);

impl Stranger {
    /// One that listens on `host` and `port`.
    fn listening(host: &str, port: u16) -> Self {
        let mut command = Command::new("python3");
        command.args(["-c", LISTEN, host, &port.to_string()]);
        Stranger(up(command).0)
    }

    pub(crate) fn pid(&self) -> i32 {
        self.0.id() as i32
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A command that has said its first line, and that line.
pub(crate) fn up(mut command: Command) -> (Child, String) {
    use std::io::{BufRead, BufReader};
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(!line.is_empty(), "it did not get so far");
    (child, line.trim_end().to_owned())
}

/// What `id` says of this user.
fn id(flag: &str) -> String {
    let mut command = Command::new("id");
    command.arg(flag);
    run(command).code(0).stdout.trim_end().to_owned()
}

/// The JSON of `tsm` with these words and `--json`.
pub(crate) fn json_of(user: &User, args: &[&str]) -> Value {
    let ran = user.tsm(&[args, &["--json"]].concat());
    serde_json::from_str(&ran.stdout).unwrap_or_else(|why| panic!("{why}: {ran:?}"))
}

/// The rows of `tsm doctor --all --json` for one port: status, whether it is TSM's, name and PID.
fn rows(user: &User, port: u16) -> Vec<(String, bool, Value, Value)> {
    let all = json_of(user, &["doctor", "--all"]);
    let rows = all.as_array().unwrap().iter().filter(|row| row["port"] == port);
    rows.map(|row| {
        let status = row["status"].as_str().unwrap().to_owned();
        (status, row["tsm"].as_bool().unwrap(), row["name"].clone(), row["pid"].clone())
    })
    .collect()
}

/// The line of one port in a table, its blanks as one.
fn line(ran: &Ran, port: u16) -> Option<String> {
    let words = ran.stdout.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    words.into_iter().find(|words| words.first() == Some(&&*port.to_string())).map(|words| words.join(" "))
}

/// A managed python that listens on `port`, whatever port was planned for it.
pub(crate) fn managed(user: &User, name: &str, planned: u16, port: u16) -> String {
    user.file("listen.py", LISTEN);
    let (planned, port) = (planned.to_string(), port.to_string());
    user.ok(&["start", "--name", name, "--port", &planned, "python3", "listen.py", "127.0.0.1", &port]);
    let name = format!("{name}-{planned}");
    eventually("it listens", || user.view(&name)["ports"] == json!([port.parse::<u16>().unwrap()]));
    name
}

#[test]
fn a_scan_tells_ours_from_others_by_the_tree() {
    let user = User::new();
    let (foreign, ours) = (Foreign::new(), free_port());
    // Not the main process of it listens, but one that a shell started.
    user.file("listen.py", LISTEN);
    let shell = format!("python3 listen.py 127.0.0.1 {ours} & wait");
    user.ok(&["start", "--name", "web", "--kind", "pid", "bash", "-c", &shell]);
    eventually("it listens", || user.view("web")["ports"] == json!([ours]));

    // A development port: whichever is free there, so that no other test is in the way.
    let script = "import socket, time\n\
        for port in range(9001, 10000):\n\
        \x20   try: s = socket.create_server(('127.0.0.1', port)); break\n\
        \x20   except OSError: pass\n\
        print(port, flush=True)\n\
        time.sleep(1000)\n";
    let mut command = Command::new("python3");
    command.args(["-c", script]);
    let (child, port) = up(command);
    let (stranger, port) = (Stranger(child), port.parse::<u16>().unwrap());

    let ran = user.ok(&["doctor"]);
    let header: Vec<&str> = ran.stdout.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(header, ["PORT", "STATUS", "TSM", "PID", "NAME", "COMMAND"]);
    let theirs = line(&ran, port).unwrap();
    assert!(theirs.starts_with(&format!("{port} USED - {} - ", stranger.pid())), "{theirs}");
    assert!(theirs.contains("python3 -c import socket, time\\nfor"), "{theirs}");
    let child = user.view("web")["pid"].as_i64().unwrap();
    let mine = line(&ran, ours).unwrap_or_else(|| panic!("what is managed is shown on any port: {ran:#?}"));
    assert!(mine.starts_with(&format!("{ours} USED TSM ")) && mine.contains(" web "), "{mine}");
    assert!(!mine.contains(&format!(" {child} ")), "the shell does not listen: {mine}");
    assert_eq!(line(&ran, foreign.port), None, "no development port");
    for words in [&["doctor", "--all"][..], &["doctor", "scan", "--all"], &["doctor", "ports", "--all"]] {
        let row = line(&user.ok(words), foreign.port).unwrap();
        assert!(row.starts_with(&format!("{} USED - {} - ", foreign.port, foreign.server())), "{row}");
    }
    let all = json_of(&user, &["doctor", "scan"]);
    let row = all.as_array().unwrap().iter().find(|row| row["port"] == port).unwrap();
    assert_eq!(
        (&row["status"], &row["tsm"], &row["pid"], &row["addrs"], &row["remark"]),
        (&json!("used"), &json!(false), &json!(stranger.pid()), &json!(["127.0.0.1"]), &json!(null))
    );
}

#[test]
fn one_that_listens_elsewhere_and_its_silent_port_are_marked() {
    let user = User::new();
    let (planned, real) = (free_port(), free_port());
    let name = managed(&user, "web", planned, real);
    let pid = json!(user.pid(&name));
    assert_eq!(rows(&user, real), [("elsewhere".into(), true, json!(name), pid.clone())]);
    assert_eq!(rows(&user, planned), [("silent".into(), true, json!(name), pid)]);
    let ran = user.ok(&["doctor"]);
    assert!(line(&ran, real).unwrap().contains(&format!(" ELSEWHERE TSM {} {name} ", user.pid(&name))));
    assert!(line(&ran, planned).unwrap().contains(" SILENT TSM "));
    ran.complains(&format!(
        "{name} (TSM ID: 0) listens on {real}, not on its planned port {planned}\n  try: tsm info {name}"
    ));
    user.ok(&["doctor", "port", &planned.to_string()]).says(&format!("Port {planned} is free\n"));
}

#[test]
fn a_reserved_port_is_silent_until_somebody_takes_it() {
    let user = User::new();
    let port = free_port();
    let number = port.to_string();
    let name = format!("api-{port}");
    user.ok(&["start", "--name", "api", "--port", &number, "sleep", "1000"]);
    assert_eq!(rows(&user, port), [("silent".into(), true, json!(name), json!(user.pid(&name)))]);
    user.ok(&["doctor", "port", &number])
        .says(&format!("Port {port} is free\n"))
        .complains(&format!("{name} (TSM ID: 0)"))
        .complains(&format!("listen on its port {port} yet\n  try: tsm logs {name}"));
    let state = json_of(&user, &["doctor", "port", &number]);
    assert_eq!((&state["status"], &state["reserved_by"]), (&json!("free"), &json!(name)));

    let stranger = Stranger::listening("127.0.0.1", port);
    assert_eq!(rows(&user, port), [("conflict".into(), false, json!(null), json!(stranger.pid()))]);
    let ran = user.tsm(&["doctor", "port", &number]).code(1).says("This is NOT a TSM-managed process");
    ran.complains(&format!("port {port} is reserved by {name} (TSM ID: 0), which is "))
        .complains(&format!("but PID {} holds it\n  try: tsm doctor kill {port}", stranger.pid()));

    // Nobody has a claim on it any more, but one will want it.
    user.ok(&["stop", &name]);
    assert_eq!(rows(&user, port), [("used".into(), false, json!(null), json!(stranger.pid()))]);
    user.ok(&["doctor", "--all"]).complains(&format!("planned for {name} (TSM ID: 0), which is stopped"));
}

#[test]
fn a_port_taken_while_its_owner_waits_to_be_started_again_is_a_conflict() {
    let user = User::new();
    let port = free_port();
    let number = port.to_string();
    user.ok(&["start", "--name", "web", "--port", &number, "sh", "-c", "exit 1"]);
    let name = format!("web-{port}");
    user.until_state(&name, "backoff");
    let stranger = Stranger::listening("127.0.0.1", port);
    assert_eq!(rows(&user, port), [("conflict".into(), false, json!(null), json!(stranger.pid()))]);
    user.ok(&["doctor", "kill", "--force", &number]).says(&format!("Ended: PID {}", stranger.pid()));
    assert!(["backoff", "starting", "online"].contains(&&*user.state(&name)), "its supervisor is left alone");
}

#[test]
fn two_programs_by_ipv4_and_ipv6_are_a_conflict_and_ipv6_alone_is_seen() {
    let user = User::new();
    let port = free_port();
    let six = Stranger::listening("::1", port);
    assert_eq!(rows(&user, port), [("used".into(), false, json!(null), json!(six.pid()))]);
    let number = port.to_string();
    user.tsm(&["doctor", "port", &number]).code(1).says("\n  Address: ::1\n");
    let four = Stranger::listening("127.0.0.1", port);
    let found = rows(&user, port);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.iter().all(|row| row.0 == "conflict"), "{found:?}");
    let ran = user.ok(&["doctor", "--all"]);
    assert_eq!(ran.stderr.matches(&format!("port {port} leads to ")).count(), 1, "{ran:#?}");
    ran.complains(&format!("PID {} on ::1", six.pid()))
        .complains(&format!("PID {} on 127.0.0.1", four.pid()));
    user.ok(&["doctor", "kill", "--force", &number])
        .says(&format!("Ended: PID {} (", six.pid()))
        .says(&format!("Ended: PID {} (", four.pid()));
    user.ok(&["doctor", "port", &number]).says(&format!("Port {port} is free\n"));
}

#[test]
fn a_used_port_is_shown_with_who_has_it() {
    let user = User::new();
    let port = free_port();
    user.file("shop/package.json", "{}");
    fs::create_dir_all(user.cwd().join("shop/src")).unwrap();
    let project = user.home().join("my-api/shop");
    let mut command = user.command("python3");
    command.args(["-c", LISTEN, "127.0.0.1", &port.to_string()]).current_dir(project.join("src"));
    let stranger = Stranger(up(command).0);
    let ran = user.tsm(&["doctor", "port", &port.to_string()]).code(1);
    let me = id("-un");
    for text in [
        format!("Port {port} is in use\n  PID:     {}\n  User:    {}", stranger.pid(), me),
        "\n  Process: python3\n  Command: python3 -c ".to_owned(),
        format!(" 127.0.0.1 {port}\n  Address: 127.0.0.1\n"),
        format!("\n  Dir:     {0}/src\n  Project: {0}\n  Age:     ", project.display()),
        format!("\n\nThis is NOT a TSM-managed process\n  Use: tsm doctor kill {port}\n"),
    ] {
        assert!(ran.stdout.contains(&text), "no {text:?} in {}", ran.stdout);
    }
    let state = json_of(&user, &["doctor", "port", &port.to_string()]);
    let who = &state["holders"][0]["process"];
    assert_eq!(
        (&state["status"], &who["pid"], &who["project"], &who["argv"][0], &who["belongs"]["name"]),
        (&json!("used"), &json!(stranger.pid()), &json!(project), &json!("python3"), &json!(null))
    );
    // `tsm ports N` is the same answer, but for the age.
    let other = user.tsm(&["ports", &port.to_string()]).code(1);
    let without_age = |text: &str| {
        text.lines().filter(|line| !line.starts_with("  Age:")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(without_age(&other.stdout), without_age(&ran.stdout));

    let name = managed(&user, "web", free_port(), free_port());
    let port = user.view(&name)["ports"][0].to_string();
    user.tsm(&["doctor", "port", &port])
        .code(1)
        .says(&format!("\n  From:    {name} (TSM ID: 0)\n"))
        .says(&format!("\n\nThis is a TSM-managed process\n  Use: tsm stop {name}\n"));
}

#[test]
fn a_foreign_command_line_writes_no_lines_of_its_own() {
    let user = User::new();
    let port = free_port();
    let mut command = Command::new("python3");
    command.args([
        "-c",
        LISTEN,
        "127.0.0.1",
        &port.to_string(),
        "x\n\nThis is a TSM-managed process\n\x1b[2J",
    ]);
    let _stranger = Stranger(up(command).0);
    let port = port.to_string();
    let shown = user.tsm(&["doctor", "port", &port]).code(1).stdout;
    assert!(!shown.contains("\nThis is a TSM") && !shown.contains('\x1b'), "{shown}");
    for args in [&["doctor", "port", &port][..], &["doctor", "--all"]] {
        let (shown, _) = user.terminal_with(400, args, &[("NO_COLOR", "1")]).end();
        assert!(!shown.contains("\nThis is a TSM") && !shown.contains("\x1b[2J"), "{shown}");
    }
    let mut terminal = user.terminal(100, &["doctor", "kill", &port]);
    terminal.shows("End it? [y/N] ");
    terminal.types("n");
    terminal.end();
    let refused = user.tsm(&["doctor", "kill", &port]).code(6).stderr;
    assert_eq!(refused.lines().count(), 2, "{refused}");
}

#[test]
fn a_server_of_an_agent_is_called_so() {
    let user = User::new();
    let port = free_port();
    let script = "#!/usr/bin/env python3\nimport subprocess, sys\n\
                  subprocess.Popen([\"python3\", \"-c\", *sys.argv[1:]]).wait()\n";
    let agent = user.program("claude", script);
    let mut command = user.command(agent);
    command.args([LISTEN, "127.0.0.1", &port.to_string()]);
    let stranger = Stranger(up(command).0);
    let ran = user.tsm(&["doctor", "port", &port.to_string()]).code(1);
    // Before anything is judged: its server is no child of this test.
    user.ok(&["doctor", "kill", "--force", &port.to_string()]);
    ran.says(&format!("\n  From:    agent claude (PID {})\n", stranger.pid()));
}

#[test]
fn a_server_at_a_terminal_is_called_so() {
    let user = User::new();
    let port = free_port();
    user.file("listen.py", LISTEN);
    let mut command = user.command("sh");
    command.args(["-c", "python3 listen.py 127.0.0.1 \"$1\"; :", "sh", &port.to_string()]);
    let mut terminal = crate::terminal::Terminal::open(command);
    terminal.shows(&port.to_string());
    let state = json_of(&user, &["doctor", "port", &port.to_string()]);
    let belongs = &state["holders"][0]["process"]["belongs"];
    // Where an agent runs these tests, that is what it belongs to first.
    if belongs["to"] != "agent" {
        assert_eq!((&belongs["to"], &belongs["shell"]), (&json!("terminal"), &json!("sh")));
        assert!(belongs["tty"].as_str().unwrap().starts_with("pts/"), "{belongs}");
    }
    terminal.interrupt();
    terminal.end();
}

#[test]
fn a_number_that_is_no_port_is_usage() {
    let user = User::new();
    for verb in [&["doctor", "port"][..], &["doctor", "kill", "--force"], &["ports"]] {
        for text in ["0", "65536", "70000", "abc", "-1", "", "80 80"] {
            let ran = user.tsm(&[verb, &[text]].concat()).code(2);
            assert_eq!(ran.stdout, "", "{verb:?} {text:?}");
        }
    }
    user.tsm(&["doctor", "port"]).code(2);
    user.tsm(&["doctor", "nonsense"]).code(2);
}

#[test]
fn the_sockets_of_other_users_have_a_user_and_no_pid() {
    let user = User::new();
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let root = id("-u") == "0";
    if !root {
        // What this user may not look into is what is there; how it is shown is the census's table.
        let all = json_of(&user, &["doctor", "--all"]);
        let unseen = all.as_array().unwrap().iter().filter(|row| row["pid"].is_null());
        assert!(unseen.into_iter().all(|row| row["tsm"] == true || row["user"].is_string()), "{all:#}");
        return;
    }
    // Another user's TSM, which may not look into the processes of this one.
    let dir = tempfile::Builder::new()
        .prefix("tsm-t-")
        .permissions(fs::Permissions::from_mode(0o755))
        .tempdir()
        .unwrap();
    let tsm = dir.path().join("tsm");
    let mut copy = Command::new("cp");
    copy.arg(env!("CARGO_BIN_EXE_tsm")).arg(&tsm);
    run(copy).code(0);
    let nobody = |args: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(&tsm).args(args);
        command.env_clear().env("HOME", dir.path()).env("PATH", "/usr/bin:/bin").current_dir("/");
        run(command)
    };
    let row = line(&nobody(&["doctor", "--all"]).code(0), port).unwrap();
    assert_eq!(row, format!("{port} USED - - - (user root)"));
    let number = port.to_string();
    nobody(&["doctor", "port", &number])
        .code(1)
        .says(&format!("Port {port} is in use\n  User:    root\n  Address: 127.0.0.1\n"))
        .says("It belongs to user root, whose processes are hidden from you\n");
    nobody(&["doctor", "kill", "--force", &number])
        .code(1)
        .complains(&format!("cannot end who holds port {port}: it belongs to user root"))
        .complains(&format!("  try: sudo tsm doctor kill {port}"));
    assert!(fs::read_dir(dir.path()).unwrap().count() == 1, "looking makes no files");
}
