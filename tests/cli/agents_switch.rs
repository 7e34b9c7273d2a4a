//! `tsm agents switch` with a real tmux: the pane of a session, before the eyes of whoever looks.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::agents_kit::{ago, session_id};
use crate::kit::{Ran, User, WITHOUT, do_without, eventually, is_alive, kill, run, text};
use crate::terminal::Terminal;

/// A server of tmux with its own socket; it is ended when this is dropped.
pub(crate) struct Tmux<'a> {
    user: &'a User,
    pub(crate) socket: PathBuf,
    server: i32,
}

impl<'a> Tmux<'a> {
    /// A server with a session `name`, which runs `command`; none where the tests were told to do without tmux.
    pub(crate) fn new(user: &'a User, socket: &str, name: &str, command: &str) -> Option<Self> {
        if do_without("tmux") {
            return None;
        }
        let socket = user.home().join(socket);
        fs::create_dir_all(socket.parent().unwrap()).unwrap();
        let mut tmux = Tmux { user, socket, server: 0 };
        let mut first = tmux.command(&["-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24"]);
        first.args(["-s", name, command]);
        let ran = run(first);
        assert_eq!(ran.code, 0, "apt-get install tmux, or set {WITHOUT}=tmux: {ran:?}");
        tmux.server = tmux.say(&["display-message", "-p", "#{pid}"]).parse().unwrap();
        Some(tmux)
    }

    fn command(&self, words: &[&str]) -> std::process::Command {
        let mut command = self.user.command("tmux");
        command.args(["-u", "-S"]).arg(&self.socket).args(words);
        command
    }

    /// What a command of tmux prints; it must succeed.
    pub(crate) fn say(&self, words: &[&str]) -> String {
        run(self.command(words)).code(0).stdout.trim_end().to_owned()
    }

    /// What the terminals show: `SESSION:WINDOW.PANE` of each, in the order in which they came.
    fn seen(&self) -> Vec<String> {
        let all = self.say(&[
            "list-clients",
            "-F",
            "#{client_created} #{client_pid} #{session_name}:#{window_index}.#{pane_index}",
        ]);
        let mut all: Vec<(u64, u64, &str)> = all
            .lines()
            .map(|line| {
                let mut words = line.splitn(3, ' ');
                let mut number = || words.next().unwrap().parse().unwrap();
                (number(), number(), words.next().unwrap())
            })
            .collect();
        all.sort_unstable();
        all.into_iter().map(|(_, _, place)| place.to_owned()).collect()
    }

    /// A terminal that shows a session.
    fn attach(&self, session: &str) -> Terminal {
        let before = self.seen().len();
        let mut attach = self.command(&["attach", "-t", session]);
        attach.env("TERM", "xterm");
        let terminal = Terminal::open(attach);
        eventually("a terminal is attached", || self.seen().len() > before);
        terminal
    }
}

impl Drop for Tmux<'_> {
    fn drop(&mut self) {
        // None where it did not even start.
        if self.server != 0 && is_alive(self.server) {
            kill(self.server, "CONT");
            run(self.command(&["kill-server"]));
            eventually("tmux has ended", || !is_alive(self.server));
        }
    }
}

/// A command for a pane or window: an agent called `claude` below a shell, as a person starts one. [`pid`] says its PID.
pub(crate) fn agent(user: &User, name: &str) -> String {
    let file = user.home().join(format!("{name}.pid"));
    let claude = user.agent_program("claude");
    let script = user.program(
        &format!("run-{name}"),
        &format!("#!/bin/sh\necho $$ >'{}'\nexec '{}'\n", file.display(), claude.display()),
    );
    format!("sh -c '{}; true'", script.canonicalize().unwrap().display())
}

/// The PID of an agent that [`agent`] started, as soon as it is one.
pub(crate) fn pid(user: &User, name: &str) -> String {
    let read = || text(&user.home().join(format!("{name}.pid"))).trim().to_owned();
    eventually("the agent runs", || {
        let comm = PathBuf::from("/proc").join(read()).join("comm");
        !read().is_empty() && text(&comm) == "claude\n"
    });
    read()
}

fn switch(user: &User, pid: &str) -> Value {
    serde_json::from_str(&user.ok(&["agents", "switch", pid, "--json"]).stdout).unwrap()
}

/// `tsm agents switch` in a shell of a pane, and what it said.
fn switch_in(tmux: &Tmux<'_>, pane: &str, pid: &str) -> Ran {
    let [out, code] = ["said", "code"].map(|name| tmux.user.home().join(name));
    let _ = fs::remove_file(&code);
    let tsm = env!("CARGO_BIN_EXE_tsm");
    let quoted = |path: &Path| path.display().to_string();
    let line = format!(
        "{tsm} agents switch {pid} >{out} 2>&1; echo $? >{code}.new; mv {code}.new {code}",
        out = quoted(&out),
        code = quoted(&code)
    );
    tmux.say(&["send-keys", "-t", pane, &line, "Enter"]);
    eventually("it has ended", || code.exists());
    let mut cat = tmux.user.command("sh");
    cat.args(["-c", "cat \"$0\"; exit \"$(cat \"$1\")\""]).args([&out, &code]);
    run(cat)
}

#[test]
fn the_pane_comes_forward_before_who_is_attached() {
    let user = User::new();
    let Some(tmux) = Tmux::new(&user, "one two/tmux.sock", "my wörk", "sh") else { return };
    tmux.say(&["new-window", "-d", "-t", "my wörk:", &agent(&user, "left")]);
    tmux.say(&["split-window", "-d", "-t", "my wörk:1", &agent(&user, "right")]);
    let (left, right) = (pid(&user, "left"), pid(&user, "right"));
    let _terminal = tmux.attach("my wörk");
    assert_eq!(tmux.seen(), ["my wörk:0.0"]);

    let said = switch(&user, &right);
    assert_eq!(said["pid"].to_string(), right);
    assert_eq!((&said["by"], &said["place"]), (&json!("tmux"), &json!("my wörk:1.1")), "{said}");
    assert_eq!((&said["attach"], &said["workspace"]), (&Value::Null, &Value::Null));
    assert_eq!(tmux.seen(), ["my wörk:1.1"]);
    user.ok(&["agents", "switch", &left]).says("tmux: my wörk:1.0\n");
    assert_eq!(tmux.seen(), ["my wörk:1.0"]);

    // A pane that fills the window gives way, and the window goes on to be filled by one pane.
    let zoomed =
        || tmux.say(&["display-message", "-p", "-t", "my wörk:1", "#{window_zoomed_flag} #{pane_index}"]);
    tmux.say(&["resize-pane", "-Z", "-t", "my wörk:1.0"]);
    assert_eq!(zoomed(), "1 0");
    switch(&user, &right);
    assert_eq!(zoomed(), "1 1");
    switch(&user, &right);
    assert_eq!(zoomed(), "1 1", "what is there already stays as it is");
}

#[test]
fn who_waits_for_one_that_asks_is_brought_before_it() {
    let user = User::new();
    let Some(tmux) = Tmux::new(&user, "s", "work", "sh") else { return };
    for name in ["works", "asks"] {
        tmux.say(&["new-window", "-d", "-t", "work:", &agent(&user, name)]);
    }
    let (works, asks) = (pid(&user, "works"), pid(&user, "asks"));
    let registered = |pid: &str, session: &str, status: &str| {
        let stat = text(&PathBuf::from("/proc").join(pid).join("stat"));
        let ticks: u64 =
            stat.rsplit(')').next().unwrap().split_whitespace().nth(19).unwrap().parse().unwrap();
        let pid: i32 = pid.parse().unwrap();
        let now = ago(1).timestamp_millis();
        user.registry_file(
            pid,
            &json!({"pid": pid, "procStart": ticks, "sessionId": session, "cwd": user.cwd(), "startedAt": now,
                "status": status, "statusUpdatedAt": now, "kind": "interactive", "entrypoint": "cli"}),
        );
    };
    let (first, second) = (session_id(), session_id());
    registered(&works, &first, "busy");
    registered(&asks, &second, "busy");
    let _terminal = tmux.attach("work");
    let mut wait = user.tsm_command(&["agents", "wait", "--any", "--json", "--timeout", "60s"]);
    let wait = wait.stdout(Stdio::piped()).spawn().unwrap();
    registered(&asks, &second, "waiting");
    let said = wait.wait_with_output().unwrap();
    assert!(said.status.success());
    let said: Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!((said["pid"].to_string(), &said["state"]), (asks, &json!("needs-input")));
    let id = said["session_id"].as_str().unwrap();
    let shown = switch(&user, id);
    assert_eq!((shown["session_id"].as_str(), &shown["place"]), (Some(id), &json!("work:2.0")));
    assert_eq!(tmux.seen(), ["work:2.0"]);
    user.ok(&["agents", "label", &works, "the other"]);
    assert_eq!(switch(&user, "the other")["label"], "the other");
    assert_eq!(tmux.seen(), ["work:1.0"]);
}

#[test]
fn the_terminal_of_the_caller_is_the_one_that_changes() {
    let user = User::new();
    let Some(tmux) = Tmux::new(&user, "s", "here", "sh") else { return };
    tmux.say(&["new-session", "-d", "-s", "there", "sh"]);
    tmux.say(&["new-session", "-d", "-s", "agents", &agent(&user, "claude")]);
    let claude = pid(&user, "claude");
    let (_one, _two) = (tmux.attach("here"), tmux.attach("there"));
    assert_eq!(tmux.seen(), ["here:0.0", "there:0.0"]);
    switch_in(&tmux, "here:", &claude).code(0).says("tmux: agents:0.0");
    assert_eq!(tmux.seen(), ["agents:0.0", "there:0.0"]);
    // From without: who shows that session already sees it.
    tmux.say(&["new-window", "-t", "agents:", "sh"]);
    assert_eq!(tmux.seen(), ["agents:1.0", "there:0.0"]);
    switch(&user, &claude);
    assert_eq!(tmux.seen(), ["agents:0.0", "there:0.0"]);
    switch_in(&tmux, "there:", &claude).code(0);
    assert_eq!(tmux.seen(), ["agents:0.0", "agents:0.0"]);
}

#[test]
fn sessions_that_share_a_window_keep_their_own_view_of_it() {
    let user = User::new();
    let Some(tmux) = Tmux::new(&user, "s", "first", "sh") else { return };
    tmux.say(&["new-window", "-d", "-t", "first:", &agent(&user, "claude")]);
    tmux.say(&["new-session", "-d", "-s", "second", "-t", "first"]);
    tmux.say(&["new-session", "-d", "-s", "third", "sh"]);
    tmux.say(&["link-window", "-s", "first:1", "-t", "third:7", "-d"]);
    let claude = pid(&user, "claude");
    let _one = tmux.attach("second");
    assert_eq!(switch(&user, &claude)["place"], "second:1.0");
    assert_eq!(tmux.seen(), ["second:1.0"]);
    assert_eq!(tmux.say(&["display-message", "-p", "-t", "first:", "#{window_index}"]), "0");
    let _two = tmux.attach("third");
    switch_in(&tmux, "third:0", &claude).code(0).says("third:7.0");
    assert_eq!(tmux.seen(), ["second:1.0", "third:7.0"]);
}

#[test]
fn a_tmux_that_nobody_looks_at_has_it_selected_and_the_command_to_see_it_is_told() {
    let user = User::new();
    let Some(tmux) = Tmux::new(&user, "a b/s", "my: work", "sh") else { return };
    tmux.say(&["new-window", "-d", &agent(&user, "claude")]);
    let claude = pid(&user, "claude");
    let said =
        user.ok(&["agents", "switch", &claude]).says("tmux: my_ work:1.0").complains("no terminal shows");
    let told = said.stderr.lines().find_map(|line| line.trim().strip_prefix("try: ")).unwrap();
    let mut sh = user.command("sh");
    sh.args(["-c", told]).env("TERM", "xterm");
    let _terminal = Terminal::open(sh);
    eventually("it is attached", || tmux.seen() == ["my_ work:1.0"]);
    assert_eq!(switch(&user, &claude)["attach"], Value::Null);
}

#[test]
fn variables_of_another_tmux_lead_nobody_astray() {
    let user = User::new();
    let Some(other) = Tmux::new(&user, "other", "other", "sh") else { return };
    let Some(tmux) = Tmux::new(&user, "s", "work", "sh") else { return };
    let inherited = |tmux: &Tmux<'_>| format!("TMUX={},{},0", tmux.socket.display(), tmux.server);
    // In a pane of one, with the variables of the other.
    let command = format!("env {} TMUX_PANE=%0 {}", inherited(&other), agent(&user, "claude"));
    tmux.say(&["new-window", "-d", "-t", "work:", &command]);
    // Its parents ended, and only the terminal is left.
    let script = agent(&user, "orphan");
    tmux.say(&["new-window", "-d", "-t", "work:", &format!("sh -c \"({script} &) ; exec sleep 1000\"")]);
    assert_eq!(switch(&user, &pid(&user, "claude"))["place"], "work:1.0");
    let orphan = pid(&user, "orphan");
    assert_eq!(switch(&user, &orphan)["place"], "work:2.0");
    assert_eq!(other.say(&["display-message", "-p", "#{session_name}:#{window_index}"]), "other:0");

    // In no tmux at all, with variables of one.
    let mut claude = user.command(user.agent_program("claude"));
    let (name, value) = inherited(&tmux).split_once('=').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    claude.env(name, value).env("TMUX_PANE", "%0");
    let elsewhere = crate::agents_kit::start(claude);
    let refused = user.tsm(&["agents", "switch", &elsewhere.pid().to_string()]).code(1);
    refused.complains("it has no terminal");
    assert_eq!(tmux.say(&["display-message", "-p", "-t", "work:", "#{window_index}"]), "2");
}

#[test]
fn a_server_in_the_usual_directory_is_found_without_variables() {
    let user = User::new();
    let mut id = user.command("id");
    id.arg("-u");
    let own = run(id);
    let socket = format!("sockets/tmux-{}/default", own.stdout.trim());
    let command = format!("env -i {}", agent(&user, "claude"));
    let Some(tmux) =
        Tmux::new(&user, &socket, "work", &format!("exec env -i HOME={} {command}", user.home().display()))
    else {
        return;
    };
    let claude = pid(&user, "claude");
    // Beside it what a server left that ended, and what is no server.
    let dir = tmux.socket.parent().unwrap();
    drop(std::os::unix::net::UnixListener::bind(dir.join("dead")).unwrap());
    fs::write(dir.join("file"), "").unwrap();
    let mut command = user.tsm_command(&["agents", "switch", &claude, "--json"]);
    command.env("TMUX_TMPDIR", user.home().join("sockets"));
    let said: Value = serde_json::from_str(&run(command).code(0).stdout).unwrap();
    assert_eq!(said["place"], "work:0.0");
}

#[test]
fn a_tmux_in_a_tmux_is_brought_forward_with_the_one_around_it() {
    let user = User::new();
    let Some(inner) = Tmux::new(&user, "inner", "inner", "sh") else { return };
    inner.say(&["new-window", "-d", &agent(&user, "claude")]);
    let claude = pid(&user, "claude");
    let Some(outer) = Tmux::new(&user, "outer", "outer", "sh") else { return };
    let attach = format!("env -u TMUX TERM=screen tmux -S {} attach", inner.socket.display());
    outer.say(&["new-window", "-d", &attach]);
    eventually("the inner one is attached", || inner.seen() == ["inner:0.0"]);
    let _terminal = outer.attach("outer");
    assert_eq!(outer.seen(), ["outer:0.0"]);
    assert_eq!(switch(&user, &claude)["place"], "inner:1.0");
    assert_eq!((inner.seen(), outer.seen()), (vec!["inner:1.0".into()], vec!["outer:1.0".into()]));
}

#[test]
fn a_tmux_that_hangs_does_not_hang_the_verb() {
    let user = User::new();
    let Some(tmux) = Tmux::new(&user, "s", "work", &agent(&user, "claude")) else { return };
    let (claude, server) = (pid(&user, "claude"), tmux.server);
    kill(server, "STOP");
    let refused = user.tsm(&["agents", "switch", &claude]);
    kill(server, "CONT");
    refused.code(1).complains("tmux at").complains("does not answer within 2 s");
    assert_eq!(switch(&user, &claude)["place"], "work:0.0");
}

#[test]
fn what_cannot_be_brought_forward_is_said_with_what_can_be_done() {
    let user = User::new();
    let mut sh = user.command("sh");
    sh.args(["-c", &agent(&user, "claude")]);
    let _terminal = Terminal::open(sh);
    let claude = pid(&user, "claude");
    let refused = user.tsm(&["agents", "switch", &claude]).code(1);
    assert_eq!(refused.stdout, "");
    refused
        .complains(&format!("cannot bring PID {claude} forward: it sits at pts/"))
        .complains("try: run agents in tmux");
    for unknown in ["2147483647", "no such agent", "1", "-1"] {
        assert_ne!(user.tsm(&["agents", "switch", unknown]).code, 0, "{unknown}");
    }
    user.tsm(&["agents", "switch", "2147483647"]).code(4).complains("no such session: 2147483647");
}
