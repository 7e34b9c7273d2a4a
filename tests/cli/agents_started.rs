//! What an agent has started: it is remembered, `list --by-agent` groups by it, and `--with-agent` ends with it.

use std::fs;

use serde_json::{Value, json};

use crate::agents_kit::{Agent, ago, session_id, start};
use crate::kit::{User, eventually, is_alive, kill, run, text};

const TSM: &str = env!("CARGO_BIN_EXE_tsm");

/// What an agent's shell command printed: its exit code, standard output and error together.
fn says(user: &User, agent: &mut Agent, args: &str) -> (i32, String) {
    let file = user.cwd().join(".said");
    let code = agent.run(&format!("'{TSM}' {args} >'{}' 2>&1 </dev/null", file.display()));
    (code, text(&file))
}

/// Has an agent start `sleep` under a name.
fn starts(user: &User, agent: &mut Agent, options: &str, name: &str) {
    let (code, said) = says(user, agent, &format!("start {options} --name {name} sleep 1000"));
    assert!(code == 0 && said.starts_with(&format!("Started: {name} ")), "{code}: {said}");
    user.until_state(name, "online");
}

#[test]
fn what_was_started_by_an_agent_says_so() {
    let user = User::new();
    let mut agent = user.claude();
    let (pid, cwd) = (agent.pid(), user.cwd());
    starts(&user, &mut agent, "", "one");
    user.ok(&["start", "--name", "free", "sleep", "1000"]);
    let by = |alive: bool| json!(["claude", pid, cwd, alive]);
    let said = |value: &Value| {
        let agent = &value["agent"];
        if agent.is_null() {
            Value::Null
        } else {
            json!(["what", "pid", "cwd", "alive"].map(|key| &agent[key]))
        }
    };
    let agent_of = |name: &str| said(&user.view(name));
    assert_eq!(agent_of("one"), by(true));
    assert_eq!(said(&user.json(&["info", "one"])), by(true));
    assert_eq!((&agent_of("free"), &user.json(&["info", "free"])["agent"]), (&Value::Null, &Value::Null));
    user.ok(&["info", "one"]).says(&format!("  started by  claude (PID {pid})\n"));
    assert!(!user.ok(&["info", "free"]).stdout.contains("started by"));
    // A restart keeps it, from anywhere and after a crash; a start again is the work of who does it.
    user.ok(&["restart", "one"]);
    user.ok(&["restart", "--update-env", "one"]);
    assert_eq!(agent_of("one"), by(true));
    kill(user.pid("one"), "KILL");
    eventually("it is started again", || user.view("one")["restarts"] == 3);
    assert_eq!(agent_of("one"), by(true));
    user.ok(&["stop", "one"]);
    assert_eq!(agent_of("one"), by(true));
    user.ok(&["start", "one"]);
    assert_eq!(agent_of("one"), Value::Null);
    user.ok(&["stop", "one", "free"]);
    let (code, _) = says(&user, &mut agent, "start free");
    assert_eq!((code, agent_of("free")), (0, by(true)));
    // Not bound to it: it stays when the agent ends.
    let left = user.pid("free");
    let was = by(false);
    let shown = format!("  started by  claude (PID {pid}), which has ended\n");
    agent.kill();
    assert_eq!(agent_of("free"), was);
    user.ok(&["info", "free"]).says(&shown);
    assert!(is_alive(left));
}

#[test]
fn an_outer_agent_and_not_its_sub_agent_is_what_started_it() {
    let user = User::new();
    let claude = user.agent_program("claude").display().to_string();
    let mut outer = user.claude();
    // Below the agent runs another one, whose child starts it.
    let inner = format!("!\"{TSM}\" start --name deep sleep 1000 >/dev/null 2>&1; kill -KILL $PPID");
    outer.run(&format!("echo '{inner}' | '{claude}' -p x"));
    assert_eq!(user.view("deep")["agent"]["pid"], outer.pid());
    // One of another home is nobody that this user knows.
    let other = User::new();
    let mut command = user.command(user.agent_program("claude"));
    command.env("HOME", other.home());
    let mut foreign = start(command);
    let line =
        format!("HOME='{}' '{TSM}' start --name away sleep 1000 >/dev/null 2>&1", user.home().display());
    assert_eq!(foreign.run(&line), 0);
    assert_eq!(user.view("away")["agent"], Value::Null);
}

#[test]
fn a_list_by_agent_has_a_group_for_each() {
    let user = User::new();
    let (mut first, mut second, mut third) =
        (user.claude(), user.claude(), user.agent("codex", &user.cwd(), &[]));
    let boot = text("/proc/sys/kernel/random/boot_id".as_ref()).trim().to_owned();
    let named = format!("process:{}:{}:{boot}", first.pid(), first.proc_start());
    let labels = user.tsm_dir().join("agents/labels.json");
    fs::create_dir_all(labels.parent().unwrap()).unwrap();
    fs::write(&labels, json!({ &named: "the cart" }).to_string()).unwrap();
    starts(&user, &mut first, "", "a");
    user.ok(&["start", "--name", "free", "sleep", "1000"]);
    starts(&user, &mut second, "", "b");
    starts(&user, &mut first, "", "c");
    starts(&user, &mut third, "", "d");
    let rows = || -> Vec<String> {
        let ran = user.ok(&["list", "--by-agent"]);
        let is_row = |line: &&str| line.starts_with(|c: char| c.is_ascii_digit());
        let shown = |line: &str| {
            if is_row(&line) { line.split_whitespace().nth(1).unwrap().to_owned() } else { line.to_owned() }
        };
        ran.stdout.lines().map(|line| shown(line.trim_start())).skip(1).collect()
    };
    let (one, two, three) = (first.pid(), second.pid(), third.pid());
    let cart = format!("claude the cart (PID {one})");
    let short = format!("claude (PID {two})");
    let codex = format!("codex (PID {three})");
    assert_eq!(rows(), [&cart, "a", "c", &short, "b", &codex, "d", "no agent", "free"]);
    let groups = user.json(&["list", "--by-agent"]);
    assert_eq!(
        (
            &groups[0]["label"],
            &groups[0]["agent"]["pid"],
            &groups[0]["processes"][1]["name"],
            &groups[3]["agent"]
        ),
        (&json!("the cart"), &json!(one), &json!("c"), &Value::Null)
    );
    // Ended ones are told from what runs now.
    first.kill();
    second.kill();
    let cart = format!("claude (PID {one}, ended)");
    let short = format!("claude (PID {two}, ended)");
    assert_eq!(rows(), [&cart, "a", "c", &short, "b", &codex, "d", "no agent", "free"]);
    // The number of the PID now means another process.
    let status = user.process_dir("d").join("status.json");
    let mut changed: Value = serde_json::from_str(&text(&status)).unwrap();
    let began = changed["started_by"]["identity"]["start"].as_u64().unwrap();
    changed["started_by"]["identity"]["start"] = json!(began + 1);
    fs::write(&status, changed.to_string()).unwrap();
    assert!(rows().contains(&format!("codex (PID {three}, ended)")));
    user.tsm(&["list", "--by-agent", "available"]).code(2).complains("try: tsm list all --by-agent");
}

#[test]
fn the_session_of_the_agent_is_remembered_and_names_its_group() {
    let user = User::new();
    let mut agent = user.claude();
    let (pid, id) = (agent.pid(), session_id());
    user.registry(&agent, &id, "busy", ago(1));
    starts(&user, &mut agent, "", "one");
    let spec: Value = serde_json::from_str(&text(&user.process_dir("one").join("spec.json"))).unwrap();
    assert_eq!(spec["started_by"]["session_id"], json!(id), "{spec:#}");
    assert_eq!(user.view("one")["agent"]["session_id"], json!(id));
    let title = || {
        let text = user.ok(&["list", "--by-agent"]).stdout;
        text.lines().nth(1).unwrap().trim().to_owned()
    };
    let group = || user.json(&["list", "--by-agent"])[0].clone();
    assert_eq!(title(), format!("claude {} (PID {pid})", &id[..8]));
    assert_eq!((&group()["label"], &group()["session_id"]), (&Value::Null, &json!(id)));
    user.ok(&["agents", "label", &pid.to_string(), "the cart"]);
    assert_eq!(title(), format!("claude the cart (PID {pid})"));
    // After `/clear` it has another conversation, whose label it is then.
    let next = session_id();
    user.registry(&agent, &next, "busy", ago(0));
    assert_eq!(title(), format!("claude {} (PID {pid})", &next[..8]));
    user.registry(&agent, &id, "busy", ago(0));
    agent.kill();
    assert_eq!(title(), format!("claude the cart (PID {pid}, ended)"));
    assert_eq!((&group()["label"], &group()["session_id"]), (&json!("the cart"), &json!(id)));
    // The one that takes the conversation up again has the label.
    let resumed = user.agent("claude", &user.cwd(), &["--resume", &id]);
    let comm = format!("/proc/{}/comm", resumed.pid());
    eventually("it is called claude", || text(comm.as_ref()) == "claude\n");
    user.registry(&resumed, &id, "busy", ago(0));
    assert_eq!(user.json(&["agents"])[0]["label"], "the cart");
}

#[test]
fn it_ends_with_the_agent_that_started_it_however_that_ends() {
    let user = User::new();
    let mut agent = user.claude();
    starts(&user, &mut agent, "--with-agent", "one");
    starts(&user, &mut agent, "--with-agent", "two");
    starts(&user, &mut agent, "", "free");
    let pids = ["one", "two"].map(|name| user.pid(name));
    assert_eq!(
        user.json(&["info", "one"])["ends_with"],
        json!({"what": "agent", "pid": agent.pid(), "alive": true})
    );
    user.ok(&["info", "one"]).says(&format!("  ends with   claude (PID {})\n", agent.pid()));
    // A restart keeps the tie.
    user.ok(&["restart", "two"]);
    let gone = agent.pid();
    kill(gone, "KILL");
    for name in ["one", "two"] {
        user.until_state(name, "stopped");
        assert_eq!(user.view(name)["note"], format!("ended with its agent (PID {gone})"));
    }
    assert!(!is_alive(pids[0]));
    user.until_state("free", "online");
    drop(agent);

    // A start without the option sets it free; one from another agent binds it anew.
    user.ok(&["start", "one"])
        .complains(&format!("claude (PID {gone}) has ended: one is bound to no agent any more"));
    let mut next = user.claude();
    let (code, said) = says(&user, &mut next, "start --with-agent one");
    assert!(
        code == 0 && said.contains("Already running") && said.contains("it is bound to no agent"),
        "{said}"
    );
    user.ok(&["stop", "one"]);
    let (code, said) = says(&user, &mut next, "start --with-agent one");
    assert!(code == 0 && said.contains("Started: one"), "{said}");
    // The same command with and without the option are two.
    let (code, _) = says(&user, &mut next, "start --with-agent --name one sleep 1000");
    assert_eq!(code, 0);
    let (code, _) = says(&user, &mut next, "start --name one sleep 1000");
    assert_eq!(code, 6);
    user.ok(&["start", "one"]).complains(&format!("it ends with claude (PID {})", next.pid()));
    next.kill();
    user.until_state("one", "stopped");
}

#[test]
fn outside_of_an_agent_there_is_nothing_to_be_bound_to() {
    let user = User::new();
    user.tsm(&["start", "--with-agent", "--name", "x", "sleep", "1000"])
        .code(2)
        .complains("--with-agent needs a coding agent that tsm was started from")
        .complains("try: tsm start without --with-agent");
    user.tsm(&["start", "--with-agent", "--with-shell", "sleep", "1000"]).code(2);
    assert_eq!(user.json(&["list", "all"]), json!([]));
    // Nor is one in a shell that only works on a script that is called claude.
    let script = user
        .program("bin/claude.sh", &format!("#!/bin/sh\n'{TSM}' start --with-agent --name x sleep 1000\n"));
    run(user.command(script)).code(2);
    // A wrapper of the agent is none either, also when it runs beside it; a script that is the agent itself is one.
    let real = user.agent_program("claude").display().to_string();
    let start = format!("'{TSM}' start --with-agent --name x sleep 1000; echo $? >code");
    let wrapper = format!(
        "#!/bin/sh\n'{real}' --resume <&3 &\nuntil [ \"$(readlink /proc/$!/exe)\" != \"$(readlink /proc/$$/exe)\" ]; do :; done\n{start}\nkill -KILL $!\n"
    );
    let wrapper = user.program("bin/claude", &wrapper);
    let mut command = user.command("sh");
    command.args(["-c", "mkfifo fifo; exec 3<>fifo; exec \"$0\"", wrapper.to_str().unwrap()]);
    run(command);
    assert_eq!(text(&user.cwd().join("code")), "2\n");
    let script = user.program("bin/claude", &format!("#!/bin/sh\n{start}\n"));
    run(user.command(script));
    assert_eq!(text(&user.cwd().join("code")), "0\n");
}
