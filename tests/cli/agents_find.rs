//! Which processes are found to be agent sessions: really running ones, each in the home of its test.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use chrono::Utc;
use tsm::agents::{AgentTable, Config, Session, Watcher};

use crate::agents_kit::{Agent, start};
use crate::kit::{User, eventually, free_port, is_alive, kill, text};

/// A watcher over this user's agents.
fn watcher(user: &User) -> Watcher {
    Watcher::new(config(user))
}

fn config(user: &User) -> Config {
    Config {
        claude_dir: None,
        home: Some(user.home()),
        dir: user.tsm_dir().join("agents"),
        table: AgentTable::built_in(),
        elsewhere: false,
    }
}

fn look(watcher: &mut Watcher) -> Vec<Session> {
    watcher.look(Utc::now().timestamp_millis() as u64)
}

/// Agent and PID of each session, by PID.
fn found(watcher: &mut Watcher) -> Vec<(String, i32)> {
    let mut found: Vec<(String, i32)> =
        look(watcher).into_iter().map(|one| (one.agent.clone(), one.pid().get())).collect();
    found.sort_by_key(|(_, pid)| *pid);
    found
}

fn is_called(agent: &Agent, comm: &str) {
    let path = format!("/proc/{}/comm", agent.pid());
    eventually(comm, || text(path.as_ref()).trim() == comm);
}

#[test]
fn a_session_has_what_the_tables_of_the_system_say() {
    let user = User::new();
    let dir = user.cwd().join("shop");
    fs::create_dir_all(dir.join(".git")).unwrap();
    fs::create_dir_all(dir.join("src")).unwrap();
    fs::write(dir.join(".git/HEAD"), "ref: refs/heads/cart\n").unwrap();
    let mut agent = user.agent("claude", &dir.join("src"), &[]);
    is_called(&agent, "claude");
    let mut watcher = watcher(&user);
    let [session] = &look(&mut watcher)[..] else { panic!("one session") };
    assert_eq!((session.agent.as_str(), session.pid().get()), ("claude", agent.pid()));
    let dir = dir.canonicalize().unwrap();
    assert_eq!(session.cwd.as_deref(), Some(&*dir.join("src")));
    assert_eq!(session.project.as_deref(), Some(&*dir));
    assert_eq!((session.git_branch.as_deref(), session.worktree.as_deref()), (Some("cart"), None));
    assert!(session.ports.is_empty() && session.memory_bytes > 0 && session.age_ms < 600_000, "{session:?}");

    // What changes is seen by the next look: the branch, and a port that something below it begins to listen on.
    fs::write(dir.join(".git/HEAD"), "ref: refs/heads/main\n").unwrap();
    let port = free_port();
    agent.begin(&format!("echo $$ >pid; exec python3 -m http.server --bind 127.0.0.1 {port}"));
    let memory = session.memory_bytes;
    eventually("it serves", || look(&mut watcher)[0].ports == [port]);
    let [session] = &look(&mut watcher)[..] else { panic!("one session") };
    assert_eq!(session.git_branch.as_deref(), Some("main"));
    assert!(session.memory_bytes > memory + 1_000_000, "{session:?}");
    let server: i32 = text(&dir.join("src/pid")).trim().parse().unwrap();
    kill(server, "KILL");
    eventually("nothing listens", || look(&mut watcher)[0].ports.is_empty());
    assert!(!is_alive(server));
    agent.kill();
    assert!(look(&mut watcher).is_empty());
}

#[test]
fn every_agent_of_the_table_is_found() {
    let user = User::new();
    let names = ["aider", "claude", "codex", "cursor-agent", "gemini", "opencode"];
    let agents = names.map(|name| user.agent(name, &user.cwd(), &[]));
    for (agent, name) in agents.iter().zip(names) {
        is_called(agent, name);
    }
    let mut expected: Vec<(String, i32)> =
        names.iter().zip(&agents).map(|(name, agent)| ((*name).to_owned(), agent.pid())).collect();
    expected.sort_by_key(|(_, pid)| *pid);
    assert_eq!(found(&mut watcher(&user)), expected);
    let sessions = look(&mut watcher(&user));
    let codex = sessions.iter().find(|one| one.agent == "codex").unwrap();
    assert_eq!((codex.state.to_string(), codex.source.to_string()), ("unknown".into(), "none".into()));
}

#[test]
fn a_broken_file_of_the_user_is_named_and_the_built_in_agents_stay() {
    let user = User::new();
    let file = user.home().join(".config/tsm/agents.toml");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let port = free_port();
    let agent = user.agent("claude", &user.cwd(), &[]);
    is_called(&agent, "claude");
    let mut agent = agent;
    agent.begin(&format!("echo $$ >pid; exec python3 -m http.server --bind 127.0.0.1 {port}"));
    let shown = || user.tsm(&["doctor", "port", &port.to_string()]);
    eventually("it serves", || shown().stdout.contains("in use"));
    let from = format!("\n  From:    agent claude (PID {})\n", agent.pid());
    shown().says(&from);
    fs::write(&file, "[agent.claude]\nprogram = 'x'\n").unwrap();
    shown().says(&from).complains(&format!("{}:2: unknown field `program`", file.display()));
    // One that says that this is none.
    fs::write(&file, "[agent.claude]\nprograms = ['other']\nscripts = []\npaths = []\n").unwrap();
    assert!(!shown().stdout.contains("agent claude"));
    kill(text(&user.cwd().join("pid")).trim().parse().unwrap(), "KILL");
}

#[test]
fn what_belongs_to_another_home_is_counted_and_not_shown() {
    let (user, other) = (User::new(), User::new());
    let ours = user.claude();
    // The same home by another path is the same home.
    let link = user.home().join("link");
    symlink(user.home(), &link).unwrap();
    let started = |home: &Path| {
        let mut command = user.command(user.agent_program("claude"));
        command.env("HOME", home);
        start(command)
    };
    let (linked, foreign) = (started(&link), started(&other.home()));
    for agent in [&ours, &linked, &foreign] {
        is_called(agent, "claude");
    }
    let shown = |watcher: &mut Watcher| {
        let found = found(watcher);
        [&ours, &linked, &foreign].map(|agent| found.iter().any(|(_, pid)| *pid == agent.pid()))
    };
    let mut own = watcher(&user);
    assert_eq!(shown(&mut own), [true, true, false]);
    assert!(own.elsewhere() > 0);
    let mut all = Watcher::new(Config { elsewhere: true, ..config(&user) });
    assert_eq!(shown(&mut all), [true, true, true]);
}

/// Where a script writes its PID, once it has.
fn pid_in(user: &User, file: &str) -> i32 {
    let path = user.cwd().join(file);
    eventually(file, || text(&path).ends_with('\n'));
    text(&path).trim().parse().unwrap()
}

/// Waits until a process is called so; what it was before the exec is no agent or another one.
fn becomes(pid: i32, comm: &str) {
    let path = format!("/proc/{pid}/comm");
    eventually(comm, || text(path.as_ref()).trim() == comm);
}

#[test]
fn a_launcher_is_no_session_but_what_it_launches_is() {
    let user = User::new();
    let real = user.agent_program("claude").display().to_string();
    // A shell script, under the name that the user types.
    let script = user.program(
        "bin/claude",
        &format!("#!/bin/sh\nsh -c 'echo $$ >shell; exec \"$@\"' sh '{real}' \"$@\"\n:\n"),
    );
    let mut command = user.command(script);
    command.arg("--resume");
    let shell = start(command);
    // A script under an interpreter, as the package installs one; its child has the same arguments.
    let script = format!(
        "#!/usr/bin/env python3\nimport subprocess, sys\n\
         child = subprocess.Popen(['{real}'] + sys.argv[1:])\n\
         print(child.pid, file=open('package', 'w'))\nchild.wait()\n"
    );
    let script = user.program("node_modules/@anthropic-ai/claude-code/cli", &script);
    let mut command = user.command(script);
    command.args(["--model", "x"]);
    let package = start(command);
    let children = ["shell", "package"].map(|file| pid_in(&user, file));
    for child in children {
        becomes(child, "claude");
    }
    let mut expected = children.map(|pid| ("claude".to_owned(), pid));
    expected.sort_by_key(|(_, pid)| *pid);
    assert_eq!(found(&mut watcher(&user)), expected);
    drop((shell, package));
    for pid in children {
        kill(pid, "KILL");
    }
}

#[test]
fn an_agent_below_another_is_a_session_only_at_a_terminal_of_its_own() {
    let user = User::new();
    let claude = user.agent_program("claude").display().to_string();
    let mut outer = user.claude();
    is_called(&outer, "claude");
    user.program("at-terminal", "#!/usr/bin/env python3\nimport pty, sys\npty.spawn(sys.argv[1:])\n");
    user.program("own.sh", &format!("#!/bin/sh\necho $$ >own\nexec '{claude}'\n"));
    outer.begin(&format!("sh -c 'echo $$ >sub; exec {claude} -p hello' & ./at-terminal ./own.sh & wait"));
    let (sub, own) = (pid_in(&user, "sub"), pid_in(&user, "own"));
    becomes(sub, "claude");
    becomes(own, "claude");
    let mut watcher = watcher(&user);
    let mut expected = [outer.pid(), own].map(|pid| ("claude".to_owned(), pid));
    expected.sort_by_key(|(_, pid)| *pid);
    assert_eq!(found(&mut watcher), expected);
    let at_terminal = look(&mut watcher).into_iter().find(|one| one.pid().get() == own).unwrap();
    assert!(at_terminal.tty.is_some_and(|tty| tty.starts_with("pts/")));
    // Without the outer one it is nobody's sub-agent any more.
    outer.kill();
    let left = [sub, own].map(|pid| ("claude".to_owned(), pid));
    eventually("both are sessions", || left.iter().all(|one| found(&mut watcher).contains(one)));
    for pid in [sub, own] {
        kill(pid, "KILL");
    }
}

#[test]
fn one_process_that_becomes_an_agent_by_exec_is_noticed() {
    let user = User::new();
    let claude = user.agent_program("claude").display().to_string();
    let go = user.cwd().join("go");
    // A program of any other name, a script of the same name, and an interpreter that was seen at something else.
    let wait = format!("until [ -e '{}' ]; do sleep 0.01; done; exec '{claude}'", go.display());
    let scripts = [
        user.program("bin/other", &format!("#!/bin/sh\n{wait}\n")),
        user.program("bin/claude", &format!("#!/bin/sh\n{wait}\n")),
        user.program(
            "bin/third",
            &format!(
                "#!/usr/bin/env python3\nimport os, time\nwhile not os.path.exists('go'): time.sleep(0.01)\n\
                 os.execv('/usr/bin/env', ['env', 'python3', '{claude}.py'])\n"
            ),
        ),
    ];
    // The same interpreter, with an agent's script now.
    fs::write(format!("{claude}.py"), "import time\ntime.sleep(1000)\n").unwrap();
    let agents = scripts.map(|script| start(user.command(script)));
    is_called(&agents[0], "other");
    is_called(&agents[1], "claude");
    is_called(&agents[2], "python3");
    let mut watcher = watcher(&user);
    // A shell whose script is called so is one already.
    assert_eq!(found(&mut watcher), [("claude".to_owned(), agents[1].pid())]);
    fs::write(go, "").unwrap();
    eventually("all three are agents", || found(&mut watcher).len() == 3);
}

#[test]
fn a_shell_script_or_any_program_that_is_called_as_an_agent_is_a_session() {
    let user = User::new();
    // It works in a subshell, and has something else below it.
    let script = user.program("bin/claude", "#!/bin/bash\n(sleep 1000 & echo $! >sub; wait; :)\n:\n");
    let path = script.display().to_string();
    let by_path = start(user.command(&path));
    let sub = pid_in(&user, "sub");
    fs::remove_file(user.cwd().join("sub")).unwrap();
    let mut command = user.command("bash");
    command.args(["-e", &path, "--resume"]);
    let by_shell = start(command);
    let other = pid_in(&user, "sub");
    let mut command = user.command("bash");
    command.args(["-c", "exec -a /opt/bin/claude sleep 1000"]);
    let renamed = start(command);
    is_called(&renamed, "sleep");
    let mut command = user.command("bash");
    command.args(["-c", "while :; do read; done", "claude"]);
    let code = start(command);
    let mut watcher = watcher(&user);
    let mut expected = [&by_path, &by_shell, &renamed].map(|agent| ("claude".to_owned(), agent.pid()));
    expected.sort_by_key(|(_, pid)| *pid);
    assert_eq!(found(&mut watcher), expected);
    drop((by_path, by_shell, renamed, code));
    for pid in [sub, other] {
        kill(pid, "KILL");
    }
}
