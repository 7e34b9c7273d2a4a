//! Which processes are found to be agent sessions: really running ones, each in the home of its test.

use std::fs;

use chrono::Utc;
use tsm::agents::{AgentTable, Config, Session, Watcher};

use crate::agents_kit::Agent;
use crate::kit::{User, eventually, free_port, is_alive, kill, text};

/// A watcher over this user's agents.
fn watcher(user: &User) -> Watcher {
    Watcher::new(Config {
        claude_dir: None,
        home: Some(user.home()),
        dir: user.tsm_dir().join("agents"),
        table: AgentTable::built_in(),
        elsewhere: false,
    })
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
