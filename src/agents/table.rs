//! The table of known agents: what a command line must look like to be one. Data, `agents.toml`, and the user's file on top.

mod file;
mod script;

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use crate::error::Error;
use file::{File, Name, Word};

/// The agents that come with TSM.
const BUILT_IN: &str = include_str!("agents.toml");

/// The known agents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentTable {
    agents: BTreeMap<String, Agent>,
    interpreters: Vec<String>,
    shells: Vec<String>,
    ordinary: Vec<String>,
}

/// One of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Agent {
    adapter: Option<Adapter>,
    programs: Vec<String>,
    paths: Vec<String>,
    scripts: Vec<String>,
    packages: Vec<String>,
    helpers: Vec<String>,
    except: Except,
}

/// What can read the state of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Adapter {
    /// Claude Code: its registry, hooks and transcripts.
    Claude,
}

/// What makes the process of an agent no session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Except {
    commands: Vec<String>,
    flags: Vec<String>,
    paths: Vec<String>,
}

/// What a command line was recognised as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recognised<'a> {
    /// Which agent: `claude`, `codex`, …
    pub agent: &'a str,
    /// What can read its state.
    pub adapter: Option<Adapter>,
    /// From which word on its own arguments stand.
    pub arguments: usize,
    /// What runs it.
    pub by: By,
}

/// What runs an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// It is a program.
    Itself,
    /// An interpreter of its script, such as node.
    Interpreter,
    /// A shell: its script may be the agent, or only start it.
    Shell,
}

impl AgentTable {
    /// The table that comes with TSM.
    pub fn built_in() -> Self {
        let mut table = AgentTable {
            agents: BTreeMap::new(),
            interpreters: Vec::new(),
            shells: Vec::new(),
            ordinary: Vec::new(),
        };
        // It is a part of the program, and a test reads it.
        if let Ok(file) = file::parse(BUILT_IN) {
            table.overlay(file);
        }
        table
    }

    /// The built-in table with the user's file `path` on top, if there is one; and what is wrong with that file, in which
    /// case nothing of it is used.
    pub fn load(path: Option<&Path>) -> (Self, Option<Error>) {
        let mut table = Self::built_in();
        match path.map(file::read).transpose() {
            Ok(Some(Some(file))) => table.overlay(file),
            Ok(_) => {}
            Err(error) => return (table, Some(error)),
        }
        (table, None)
    }

    fn overlay(&mut self, file: File) {
        replace(&mut self.interpreters, file.interpreters);
        replace(&mut self.shells, file.shells);
        replace(&mut self.ordinary, file.ordinary);
        for (Name(name), entry) in file.agent {
            let agent = self.agents.entry(name).or_default();
            agent.adapter = entry.adapter.or(agent.adapter);
            replace(&mut agent.programs, entry.programs);
            replace(&mut agent.paths, entry.paths);
            replace(&mut agent.scripts, entry.scripts);
            replace(&mut agent.packages, entry.packages);
            replace(&mut agent.helpers, entry.helpers);
            replace(&mut agent.except.commands, entry.except.commands);
            replace(&mut agent.except.flags, entry.except.flags);
            replace(&mut agent.except.paths, entry.except.paths);
        }
    }

    /// Every agent's name.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.agents.keys().map(String::as_str)
    }

    /// True for the short name of a process that is no agent whatever its command line says.
    pub fn is_ordinary(&self, comm: &str) -> bool {
        contains(&self.ordinary, comm)
    }

    /// True for a short name under which now an agent, then something else may run without being called otherwise.
    pub fn is_telling(&self, comm: &str) -> bool {
        self.interprets(comm)
            || self.is_shell(comm)
            || self.agents.values().any(|agent| contains(&agent.programs, comm))
    }

    /// True for a child of `agent` that it keeps for itself, such as a server of tools. What a shell runs never is.
    pub fn is_helper(&self, agent: &str, comm: &str, argv: &[String]) -> bool {
        let helpers = self.agents.get(agent).map_or(&[][..], |agent| &agent.helpers);
        !self.is_ordinary(comm) && !self.is_shell(comm) && argv.iter().any(|word| any_part(helpers, word))
    }

    /// The name of the agent that a process is a session of.
    pub fn agent(&self, comm: &str, argv: &[String]) -> Option<String> {
        self.recognise(comm, argv).map(|found| found.agent.to_owned())
    }

    /// The agent that a process is a session of: by its short name, by the word it was started as, or by the script or
    /// package that an interpreter runs.
    pub fn recognise(&self, comm: &str, argv: &[String]) -> Option<Recognised<'_>> {
        let first = argv.first().map_or("", String::as_str);
        // A program that sets its own title puts everything into the first word.
        let is_title = argv.iter().skip(1).all(String::is_empty);
        let title = first.split_ascii_whitespace().next().filter(|_| is_title);
        let program = base(title.unwrap_or(first));
        if self.is_ordinary(program) {
            return None;
        }
        let native = |agent: &Agent| contains(&agent.programs, program) || any_part(&agent.paths, first);
        let by = self.runner(comm, program).filter(|_| !self.agents.values().any(native));
        let at_script = match by {
            // The short name of a script is its own, so it says nothing when the shell has no script.
            Some(By::Shell) => Some(script::of_shell(program, argv)?),
            Some(By::Interpreter) => script::of_interpreter(program, argv),
            _ => None,
        };
        let shown = at_script.map_or(first, |at| argv[at].as_str());
        let by = by.filter(|_| at_script.is_some()).unwrap_or(By::Itself);
        let (name, agent) = match by {
            By::Shell => Some(self.agents.iter().find(|(_, agent)| contains(&agent.scripts, base(shown)))?),
            By::Interpreter => self.agents.iter().find(|(_, agent)| agent.is_script(shown)),
            By::Itself => self.agents.iter().find(|(_, agent)| native(agent)),
        }
        .or_else(|| self.agents.iter().find(|(_, agent)| contains(&agent.programs, comm)))?;
        let arguments = at_script.map_or(1, |at| at + 1).min(argv.len());
        (!agent.except.applies(shown, &argv[arguments..])).then_some(Recognised {
            agent: name,
            adapter: agent.adapter,
            arguments,
            by,
        })
    }

    /// What runs a script, by the word that it was started as before its short name.
    fn runner(&self, comm: &str, program: &str) -> Option<By> {
        let known = |name: &str| match name {
            _ if self.is_shell(name) => Some(By::Shell),
            _ if self.interprets(name) => Some(By::Interpreter),
            _ => None,
        };
        known(program).or_else(|| known(comm))
    }

    fn is_shell(&self, name: &str) -> bool {
        contains(&self.shells, name)
    }

    fn interprets(&self, name: &str) -> bool {
        contains(&self.interpreters, name) || name.starts_with("python3.")
    }
}

impl Agent {
    /// True for the path, or the name of a package, that an interpreter was given.
    fn is_script(&self, script: &str) -> bool {
        let script = script.strip_prefix("npm:").unwrap_or(script);
        let below = |root: &str| {
            let rest = script.rsplit_once(root).map_or("", |(_, rest)| rest);
            self.packages.iter().any(|package| is_package(rest, package))
        };
        contains(&self.scripts, stem(script))
            || any_part(&self.paths, script)
            || self.packages.iter().any(|package| is_package(script, package))
            || below("node_modules/")
            || below("site-packages/")
    }
}

impl Except {
    fn applies(&self, path: &str, arguments: &[String]) -> bool {
        let flag = |word: &String| {
            self.flags
                .iter()
                .any(|flag| if flag.ends_with('=') { word.starts_with(flag) } else { word == flag })
        };
        arguments.first().is_some_and(|first| contains(&self.commands, first))
            || arguments.iter().take_while(|word| *word != "--").any(flag)
            || any_part(&self.paths, path)
    }
}

fn replace(list: &mut Vec<String>, given: Option<Vec<Word>>) {
    if let Some(given) = given {
        *list = given.into_iter().map(|Word(text)| text).collect();
    }
}

fn contains(list: &[String], text: &str) -> bool {
    list.iter().any(|one| one == text)
}

fn any_part(parts: &[String], path: &str) -> bool {
    parts.iter().any(|part| path.contains(part.as_str()))
}

/// True for `PACKAGE`, `PACKAGE/…` and `PACKAGE@VERSION`.
fn is_package(path: &str, package: &str) -> bool {
    path.strip_prefix(package).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '@']))
}

/// The last part of a path; a login shell's leading dash is no part of its name.
fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default().trim_start_matches('-')
}

/// The base name without an ending such as `.js`.
fn stem(path: &str) -> &str {
    let base = base(path);
    base.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()).map_or(base, |(stem, _)| stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').filter(|word| !word.is_empty()).map(String::from).collect()
    }

    #[test]
    fn an_agent_is_known_by_its_program_or_its_script() {
        let table = AgentTable::built_in();
        let expected = ["aider", "claude", "codex", "cursor-agent", "gemini", "opencode"];
        assert_eq!(table.names().collect::<Vec<_>>(), expected);
        for (comm, line, expected) in [
            ("claude", "claude", Some("claude")),
            ("claude", "", Some("claude")),
            ("MainThread", "claude --resume", Some("claude")),
            ("node", "/home/ann/.local/bin/claude -p x", Some("claude")),
            ("node", "node /usr/lib/node_modules/@anthropic-ai/claude-code/cli.js", Some("claude")),
            ("MainThread", "node /usr/lib/node_modules/@anthropic-ai/claude-code/cli.js", Some("claude")),
            ("2.1.141", "/home/ann/.local/share/claude/versions/2.1.141 --resume", Some("claude")),
            ("2.1.141", "claude", Some("claude")),
            ("deno", "deno run -A npm:@anthropic-ai/claude-code", Some("claude")),
            ("bun", "bun run npm:@anthropic-ai/claude-code@2.1", Some("claude")),
            ("node", "node --no-warnings /usr/local/bin/gemini", Some("gemini")),
            ("node", "node /x/node_modules/@google/gemini-cli/dist/index.js", Some("gemini")),
            ("node", "/usr/bin/node /opt/codex.js exec", Some("codex")),
            ("codex", "/opt/codex/bin/codex", Some("codex")),
            ("python3", "/usr/bin/python3.12 /home/ann/.local/bin/aider --model x", Some("aider")),
            ("python3", "python3 -m aider", Some("aider")),
            ("python3", "python3 /v/lib/python3.12/site-packages/aider/__main__.py", Some("aider")),
            ("bun", "bun opencode.ts", Some("opencode")),
            ("opencode", "/x/node_modules/opencode-linux-x64/bin/opencode", Some("opencode")),
            ("cursor-agent", "", Some("cursor-agent")),
            (
                "node",
                "/h/.local/share/cursor-agent/versions/1/node /h/.local/share/cursor-agent/versions/1/index.js",
                Some("cursor-agent"),
            ),
            (
                "node",
                "/home/ann/.local/bin/agent --use-system-ca /h/.local/share/cursor-agent/versions/1/index.js",
                Some("cursor-agent"),
            ),
            // Only what runs counts, not what it works on.
            ("vim", "vim claude", None),
            ("cat", "cat /tmp/codex", None),
            ("node", "node server.js claude", None),
            ("node", "node /home/ann/claude/server.js", None),
            ("node", "node /x/node_modules/@anthropic-ai/claude-code-sdk/x.js", None),
            ("node", "node", None),
            ("bash", "-bash", None),
            ("claudette", "claudette", None),
            ("claude-status", "claude-status", None),
            ("python3", "python3 /home/ann/bin/claude-status", None),
            ("tmux: server", "tmux new -s claude", None),
            ("npm exec @anthr", "npm exec @anthropic-ai/claude-code", None),
            ("", "", None),
            // A shell script of that name, and any program that was started by it.
            ("claude", "/bin/bash /usr/local/bin/claude --resume", Some("claude")),
            ("bash", "bash claude", Some("claude")),
            ("sh", "sh -e ./codex", Some("codex")),
            ("bash", "zsh claude.sh", None),
            ("bash", "bash /x/claude/versions/1/x.sh", None),
            ("bash", "bash x.sh claude", None),
            ("claude", "bash -c claude", None),
            ("claude", "bash x.sh", None),
            ("sleep", "claude 1000", Some("claude")),
            ("tail", "/h/bin/claude -f /dev/null", Some("claude")),
            ("cat", "claude", Some("claude")),
            ("bash", "claude -c true", Some("claude")),
            ("sleep", "sleep 1000", None),
            ("node", "node -r x.js /usr/bin/claude", Some("claude")),
            // What a script's first line names before it is that.
            ("claude", "/usr/bin/env node /usr/local/bin/claude", None),
            ("bash", "bash -c claude", None),
            ("sudo", "sudo -u ann claude", None),
        ] {
            let found = table.recognise(comm, &words(line));
            assert_eq!(found.map(|found| found.agent), expected, "{comm}: {line}");
        }
        let title = ["claude --resume /x/y".to_owned(), String::new()];
        assert_eq!(table.recognise("node", &title).map(|found| found.agent), Some("claude"));
    }

    #[test]
    fn helpers_and_the_desktop_app_are_no_sessions() {
        let table = AgentTable::built_in();
        for line in [
            "claude mcp serve",
            "claude update",
            "claude install",
            "claude doctor",
            "claude --version",
            "node /usr/bin/claude mcp serve",
            "bash /usr/bin/claude update",
            "/home/ann/.local/share/claude/versions/2.1.77 --chrome-native-host",
            "/h/.local/share/claude/versions/2.1.201 --bg-pty-host /tmp/cc-daemon-1000/x.pty.sock",
            "/Applications/Claude.app/Contents/MacOS/claude",
            "/usr/lib/claude-desktop/claude",
            "/opt/Claude/claude --no-sandbox",
            "/somewhere/claude --type=renderer --lang=de",
            "codex app-server",
            "opencode serve",
        ] {
            assert_eq!(table.recognise("claude", &words(line)), None, "{line}");
        }
        // What is said to it is none of these.
        for prompt in ["update the docs", "--", "doctor it"] {
            let argv = ["claude".to_owned(), prompt.to_owned(), "--version".to_owned()];
            let counted = if prompt == "--" { 3 } else { 2 };
            assert!(table.recognise("claude", &argv[..counted]).is_some(), "{prompt}");
        }
        assert!(table.recognise("claude", &words("claude -p mcp")).is_some());
    }

    #[test]
    fn its_own_arguments_begin_behind_its_program_or_script() {
        let table = AgentTable::built_in();
        for (line, arguments, by) in [
            ("claude --resume x", 1, By::Itself),
            ("node --no-warnings /usr/bin/claude --resume x", 3, By::Interpreter),
            ("node /usr/bin/claude", 2, By::Interpreter),
            ("bash -e /usr/bin/claude x", 3, By::Shell),
            ("", 0, By::Itself),
        ] {
            let argv = words(line);
            let found = table.recognise("claude", &argv).unwrap();
            assert_eq!((found.arguments, found.by), (arguments, by), "{line}");
            assert_eq!(found.adapter, Some(Adapter::Claude));
        }
        assert_eq!(table.recognise("codex", &[]).unwrap().adapter, None);
    }
}
