//! Coding agents for tests: processes that really run under an agent's name, and the files that Claude Code keeps.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};

use super::kit::User;

/// The program behind every agent of the tests, compiled once.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        let (made, program) = (dir.join(format!("agent-{}", std::process::id())), dir.join("agent"));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/agent.c");
        let status = Command::new("cc").args(["-O1", "-o"]).arg(&made).arg(source).status();
        assert!(status.expect("a C compiler, which Rust's linker is too").success());
        fs::rename(made, &program).unwrap();
        program
    })
}

/// A running agent; it is ended when this is dropped.
pub(crate) struct Agent {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Agent {
    /// Its PID.
    pub(crate) fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// Has it run a shell command as its child, and returns the exit status.
    pub(crate) fn run(&mut self, command: &str) -> i32 {
        self.begin(command);
        let mut answer = String::new();
        self.output.read_line(&mut answer).unwrap();
        answer
            .trim()
            .strip_prefix("done ")
            .unwrap_or_else(|| panic!("{command}: {answer:?}"))
            .parse()
            .unwrap()
    }

    /// Has it run a shell command as its child, which may take its time.
    pub(crate) fn begin(&mut self, command: &str) {
        assert!(!command.contains('\n'));
        let input = self.input.as_mut().unwrap();
        writeln!(input, "!{command}").unwrap();
        input.flush().unwrap();
    }

    /// When it was started, as field 22 of `/proc/PID/stat` says: Claude Code's `procStart`.
    pub(crate) fn proc_start(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        stat.rsplit(')').next().unwrap().split_whitespace().nth(19).unwrap().parse().unwrap()
    }

    /// Ends it at once.
    pub(crate) fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.end();
    }
}

impl User {
    /// A path under which an agent called `name` can be executed: `~/.local/bin/NAME`.
    pub(crate) fn agent_program(&self, name: &str) -> PathBuf {
        let path = self.home().join(".local/bin").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        if !path.is_symlink() {
            symlink(program(), &path).unwrap();
        }
        path
    }

    /// Starts an agent called `name` in `dir`, with these arguments; its first word is `name` as a shell would have it.
    pub(crate) fn agent(&self, name: &str, dir: &Path, args: &[&str]) -> Agent {
        use std::os::unix::process::CommandExt;
        let mut command = self.command(self.agent_program(name));
        command.arg0(name).args(args).current_dir(dir);
        start(command)
    }

    /// Starts `claude` in the working directory.
    pub(crate) fn claude(&self) -> Agent {
        self.agent("claude", &self.cwd(), &[])
    }

    /// Claude Code's folder.
    pub(crate) fn claude_dir(&self) -> PathBuf {
        self.home().join(".claude")
    }

    /// Writes what Claude Code keeps about its process, whose conversation is `session`.
    pub(crate) fn registry(&self, agent: &Agent, session: &str, status: &str, changed: DateTime<Utc>) {
        self.registry_file(
            agent.pid(),
            &json!({
                "pid": agent.pid(),
                "procStart": agent.proc_start(),
                "sessionId": session,
                "cwd": fs::read_link(format!("/proc/{}/cwd", agent.pid())).unwrap(),
                "startedAt": ago(600).timestamp_millis(),
                "status": status,
                "statusUpdatedAt": changed.timestamp_millis(),
                "version": "2.1.141",
                "kind": "interactive",
                "entrypoint": "cli",
            }),
        );
    }

    /// Writes any content to the file of a PID.
    pub(crate) fn registry_file(&self, pid: i32, content: &Value) {
        let dir = self.claude_dir().join("sessions");
        fs::create_dir_all(&dir).unwrap();
        // As a careful writer does it, so that no reader sees half of it.
        let (made, path) = (dir.join(format!(".{pid}.new")), dir.join(format!("{pid}.json")));
        fs::write(&made, content.to_string()).unwrap();
        fs::rename(made, path).unwrap();
    }

    /// An empty transcript of a conversation in `dir`.
    pub(crate) fn transcript(&self, dir: &Path, session: &str) -> Transcript {
        let dir = dir.canonicalize().unwrap();
        let encoded: String = dir
            .to_str()
            .unwrap()
            .encode_utf16()
            .map(|unit| char::from_u32(u32::from(unit)).filter(char::is_ascii_alphanumeric).unwrap_or('-'))
            .collect();
        let path = self.claude_dir().join("projects").join(encoded).join(format!("{session}.jsonl"));
        Transcript::at(path, dir, session)
    }
}

/// Starts an agent.
pub(crate) fn start(mut command: Command) -> Agent {
    command.env("AGENT_ALONE", "1");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
    Agent { child, input, output }
}

/// So many seconds before now.
pub(crate) fn ago(seconds: i64) -> DateTime<Utc> {
    Utc::now() - TimeDelta::seconds(seconds)
}

/// A session ID of the usual form; each call gives another one.
pub(crate) fn session_id() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{:08x}-{:04x}-4aaa-8bbb-{:012x}", std::process::id() ^ (number << 20), number, number)
}

/// A growing transcript of Claude Code; what is written is there at once.
pub(crate) struct Transcript {
    pub(crate) path: PathBuf,
    file: File,
    cwd: PathBuf,
    session: String,
    branch: String,
    records: u32,
    last: Option<String>,
    /// When the next record is dated; now if not set.
    at: Option<DateTime<Utc>>,
}

impl Transcript {
    /// One at any place, such as a sub-agent's.
    pub(crate) fn at(path: PathBuf, cwd: PathBuf, session: &str) -> Self {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let file = File::options().create(true).append(true).open(&path).unwrap();
        Transcript {
            path,
            file,
            cwd,
            session: session.to_owned(),
            branch: "main".into(),
            records: 0,
            last: None,
            at: None,
        }
    }

    /// Dates the records that follow `seconds` back.
    pub(crate) fn ago(&mut self, seconds: i64) -> &mut Self {
        self.at = Some(ago(seconds));
        self
    }

    /// The fields that every record of the conversation has, and `more`.
    pub(crate) fn record(&mut self, more: Value) -> &mut Self {
        self.records += 1;
        let uuid = format!("{}-{:04}", self.session, self.records);
        let mut record = json!({
            "parentUuid": self.last,
            "isSidechain": false,
            "userType": "external",
            "cwd": self.cwd,
            "sessionId": self.session,
            "version": "2.1.141",
            "gitBranch": self.branch,
            "uuid": uuid,
            "timestamp": self.at.unwrap_or_else(Utc::now).to_rfc3339_opts(SecondsFormat::Millis, true),
        });
        let Value::Object(more) = more else { panic!("a record is an object") };
        record.as_object_mut().unwrap().extend(more);
        self.last = Some(uuid);
        self.raw(&format!("{record}\n"))
    }

    /// Any bytes.
    pub(crate) fn raw(&mut self, text: &str) -> &mut Self {
        self.file.write_all(text.as_bytes()).unwrap();
        self
    }

    /// What the user typed.
    pub(crate) fn prompt(&mut self, text: &str) -> &mut Self {
        self.record(json!({"type": "user", "message": {"role": "user", "content": text}}))
    }

    /// What the agent said; a turn that goes on has no `stop_reason`.
    pub(crate) fn says(&mut self, text: &str, stop_reason: Option<&str>) -> &mut Self {
        self.assistant(&json!({"type": "text", "text": text}), stop_reason)
    }

    /// The agent wants to use a tool.
    pub(crate) fn tool_use(&mut self, id: &str, name: &str, input: &Value) -> &mut Self {
        self.assistant(&json!({"type": "tool_use", "id": id, "name": name, "input": input}), None)
    }

    /// What came of a tool.
    pub(crate) fn tool_result(&mut self, id: &str, content: &str) -> &mut Self {
        let block = json!({"type": "tool_result", "tool_use_id": id, "content": content});
        self.record(json!({"type": "user", "message": {"role": "user", "content": [block]}}))
    }

    /// A record of the program itself.
    pub(crate) fn system(&mut self, subtype: &str) -> &mut Self {
        self.record(json!({"type": "system", "subtype": subtype, "content": "", "level": "info"}))
    }

    fn assistant(&mut self, block: &Value, stop_reason: Option<&str>) -> &mut Self {
        let id = format!("msg_{}", self.records);
        self.record(json!({
            "type": "assistant",
            "requestId": "req_1",
            "message": {
                "id": id,
                "type": "message",
                "role": "assistant",
                "model": "claude-x",
                "content": [block],
                "stop_reason": stop_reason,
                "usage": {"input_tokens": 1, "output_tokens": 1},
            },
        }))
    }
}

#[test]
fn an_agent_of_the_tests_is_a_process_of_that_name() {
    let user = User::new();
    let mut agent = user.claude();
    let comm = || fs::read_to_string(format!("/proc/{}/comm", agent.pid())).unwrap();
    super::kit::eventually("it is called claude", || comm() == "claude\n");
    assert!(agent.proc_start() > 0);
    assert_eq!(agent.run("exit 3"), 3);
    let mut transcript = user.transcript(&user.cwd(), &session_id());
    transcript.ago(60).prompt("hello").tool_use("t1", "Bash", &json!({"command": "ls"}));
    transcript.tool_result("t1", "a b").says("hi", Some("end_turn")).system("turn_duration");
    assert_eq!(super::kit::text(&transcript.path).lines().count(), 5);
    user.registry(&agent, "s", "busy", ago(1));
    assert!(user.claude_dir().join(format!("sessions/{}.json", agent.pid())).exists());
    let pid = agent.pid();
    agent.kill();
    assert!(!super::kit::is_alive(pid));
    assert!(transcript.path.to_str().unwrap().contains("-my-api/"));
}
