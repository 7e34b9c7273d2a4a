//! The second half of a plan: the ladder of ports (design.md section 4), and what follows from its result.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::draft::Draft;
use super::functions::{self, Script};
use super::patterns::DefaultPort;
use super::request::{Holder, Ports};
use super::words::Shell;
use crate::error::{Error, Result};
use crate::model::{EnvFile, Kind, Name, Reason};

/// What `start` decided.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What is executed, word for word.
    pub argv: Vec<String>,
    /// What bash runs where it is a function of the calling shell; [`Plan::place`] says where that is kept.
    pub script: Option<Script>,
    /// The command as a person reads it, before a template added words.
    pub command: String,
    /// What it is to TSM.
    pub kind: Kind,
    /// The port that is reserved and passed on.
    pub port: Option<u16>,
    /// The port is from the range: the directory keeps it.
    pub allocated: bool,
    /// The process's name.
    pub name: Name,
    /// The name before the port suffix.
    pub base: Name,
    /// The working directory.
    pub dir: PathBuf,
    /// The env file.
    pub env_file: Option<EnvFile>,
    /// What the env file sets.
    pub env_values: BTreeMap<String, String>,
    /// The words as typed.
    pub typed: Vec<String>,
    /// Why each of argv, kind, port, name, dir and `env_file` is what it is; one each.
    pub reasons: Vec<Reason>,
    /// What the user should hear.
    pub remarks: Vec<String>,
}

impl Plan {
    /// Puts the path of the script into argv, where there is one: it depends on the name.
    pub fn place(&mut self, path: &str) {
        if let Some(word) = self.argv.iter_mut().find(|word| *word == functions::PLACE) {
            path.clone_into(word);
            let said = self.reasons.iter_mut().filter(|reason| reason.what == "argv");
            said.for_each(|reason| reason.value = shell_words::join(&self.argv));
        }
    }
}

/// The ladder's result.
struct Choice {
    port: Option<u16>,
    allocated: bool,
    why: String,
}

impl Choice {
    fn none(why: impl Into<String>) -> Self {
        Choice { port: None, allocated: false, why: why.into() }
    }
}

/// Chooses the port, and with it the kind, the name and the last words of argv.
///
/// # Errors
/// `Conflict` when a port that was asked for is taken, or none of the range is left.
pub fn plan(mut draft: Draft, ports: &dyn Ports) -> Result<Plan> {
    let choice = choose(&mut draft, ports)?;
    let (kind, kind_why) = kind(&draft, &choice);
    let argv = with_template(&mut draft, choice.port);
    let name = choice.port.map_or_else(|| draft.base.clone(), |port| draft.base.suffixed(port));
    if let (Some((given, _)), Some((named, text))) = (draft.ladder.given, &draft.ladder.named.port)
        && given != *named
    {
        draft.remarks.push(format!(
            "the command itself names port {named} ({text}); port {given} does not change that"
        ));
    }
    let port = choice.port.map_or_else(|| "none".to_owned(), |port| port.to_string());
    let mut reasons = vec![
        Reason::new("argv", shell_words::join(&argv), draft.ladder.argv_why),
        Reason::new("kind", kind.as_str(), kind_why),
        Reason::new("port", port, choice.why),
        Reason::new("name", name.as_str(), draft.ladder.base_why),
    ];
    reasons.append(&mut draft.reasons);
    Ok(Plan {
        argv,
        script: draft.script,
        command: draft.command,
        kind,
        port: choice.port,
        allocated: choice.allocated,
        name,
        base: draft.base,
        dir: draft.dir,
        env_file: draft.env_file,
        env_values: draft.env_values,
        typed: draft.typed,
        reasons,
        remarks: draft.remarks,
    })
}

fn choose(draft: &mut Draft, ports: &dyn Ports) -> Result<Choice> {
    if let Some((port, why)) = draft.ladder.given {
        return fixed(draft, ports, port, why);
    }
    if let Some(port) = draft.ladder.defined {
        return fixed(draft, ports, port, "SERVICE_PORT of the definition");
    }
    if let Some((kind @ (Kind::Socket | Kind::Pid), _)) = draft.ladder.kind {
        return Ok(Choice::none(format!("kind {kind} has no port")));
    }
    let asked = draft.ladder.kind.is_some();
    if draft.ladder.named.client && !asked {
        return Ok(Choice::none("the program serves nothing itself"));
    }
    if let Some((port, text)) = draft.ladder.named.port.clone() {
        if let Some(holder) = ports.holder(port) {
            let hint = holder
                .hint
                .clone()
                .unwrap_or_else(|| format!("name another port in the command, or tsm kill {port}"));
            return Err(taken(port, &format!("named in the command by {text:?}"), &holder).hint(hint));
        }
        return Ok(Choice { port: Some(port), allocated: false, why: format!("the command says {text:?}") });
    }
    if let Some(port) = env_port(draft) {
        let file = draft.env_file.as_ref().map(|file| file.path.display().to_string()).unwrap_or_default();
        return fixed(draft, ports, port, &format!("PORT of {file}"));
    }
    guessed(draft, ports, asked)
}

/// `PORT` of the env file as a number; a remark where it is none.
fn env_port(draft: &mut Draft) -> Option<u16> {
    let text = draft.env_port()?.to_owned();
    let port = text.parse().ok().filter(|&port| port != 0);
    if port.is_none() {
        draft.remarks.push(format!(
            "PORT={text} of the env file is not a port from 1 to 65535; it is not used to plan one"
        ));
    }
    port
}

/// Rungs 5 to 7: nobody named a port.
fn guessed(draft: &mut Draft, ports: &dyn Ports, asked: bool) -> Result<Choice> {
    let ladder = &draft.ladder;
    if ladder.named.settled && ladder.likely.is_none() && !asked {
        return Ok(Choice::none("the command itself says where it listens"));
    }
    let default = ladder.pattern.as_ref().map(|pattern| (pattern.port, pattern.name.clone()));
    if let (Some((DefaultPort::Socket | DefaultPort::None, name)), false) = (&default, asked) {
        return Ok(Choice::none(format!("pattern {name:?} has none")));
    }
    let mut passed = String::new();
    let mut candidates = Vec::new();
    if let Some((script, found)) = &ladder.script {
        candidates.push((found.port, format!("default in {script}, line {}", found.line), !found.reads_port));
    }
    if let Some((DefaultPort::Tcp(port), name)) = &default {
        candidates.push((*port, format!("default of pattern {name:?}"), false));
    }
    let known = !candidates.is_empty() || ladder.likely.is_some() || asked;
    for (port, why, deaf) in candidates {
        let Some(Holder { text, .. }) = ports.holder(port) else {
            return Ok(Choice { port: Some(port), allocated: false, why: why + &passed });
        };
        if deaf {
            draft.remarks.push(format!(
                "port {port} ({why}) is taken by {text}, and the script does not seem to read PORT"
            ));
        }
        passed = format!("{passed}; {port}, {why}, is taken by {text}");
    }
    if !known {
        return Ok(Choice::none("nothing says that it listens"));
    }
    allocate(draft, ports, &passed)
}

/// Rung 7.
fn allocate(draft: &Draft, ports: &dyn Ports, passed: &str) -> Result<Choice> {
    let because = match &draft.ladder.likely {
        Some(likely) if passed.is_empty() => format!("; {likely}"),
        _ => passed.to_owned(),
    };
    let last = ports.sticky(&draft.dir, &draft.base).filter(|&port| ports.holder(port).is_none());
    if let Some(port) = last {
        let why = format!("the last port of {} in this directory{because}", draft.base);
        return Ok(Choice { port: Some(port), allocated: true, why });
    }
    let range = ports.range();
    let (first, last) = (*range.start(), *range.end());
    if let Some(port) = free(ports) {
        return Ok(Choice {
            port: Some(port),
            allocated: true,
            why: format!("first free port of {first}-{last}{because}"),
        });
    }
    Err(Error::conflict(format!("no port of {first}-{last} is free"))
        .hint("tsm list to see what can be stopped, or TSM_PORT_RANGE=9000-9999 tsm start …"))
}

fn free(ports: &dyn Ports) -> Option<u16> {
    ports.range().find(|&port| port != 0 && ports.holder(port).is_none())
}

/// A port that somebody asked for, and that must be free.
fn fixed(draft: &Draft, ports: &dyn Ports, port: u16, why: &str) -> Result<Choice> {
    let Some(holder) = ports.holder(port) else {
        return Ok(Choice { port: Some(port), allocated: false, why: why.to_owned() });
    };
    let words =
        draft.ladder.service.as_ref().map_or_else(|| shell_words::join(&draft.typed), Name::to_string);
    let start = free(ports).map(|port| format!("tsm start --port {port} {words}"));
    let hints: Vec<String> = [start, holder.hint.clone()].into_iter().flatten().collect();
    let error = taken(port, why, &holder);
    Err(if hints.is_empty() { error } else { error.hint(hints.join(", or ")) })
}

fn taken(port: u16, why: &str, holder: &Holder) -> Error {
    Error::conflict(format!("port {port} ({why}) is taken by {}", holder.text))
}

fn kind(draft: &Draft, choice: &Choice) -> (Kind, String) {
    if let Some((kind, why)) = draft.ladder.kind {
        return (kind, why.to_owned());
    }
    match (&draft.ladder.pattern, choice.port) {
        (_, Some(_)) => (Kind::Port, "it has a port".into()),
        (Some(pattern), None) if pattern.port == DefaultPort::Socket => {
            (Kind::Socket, format!("pattern {:?} has port 0", pattern.name))
        }
        _ => (Kind::Pid, choice.why.clone()),
    }
}

/// argv with the words by which the program takes its port, unless the command says where it listens.
fn with_template(draft: &mut Draft, port: Option<u16>) -> Vec<String> {
    let mut argv = draft.argv.clone();
    let ladder = &mut draft.ladder;
    let (Some(port), Some(pattern), false) = (port, &ladder.pattern, ladder.named.settled) else {
        return argv;
    };
    let Ok((before, after)) = pattern.template_words() else { return argv };
    if before.is_empty() && after.is_empty() {
        return argv;
    }
    let filled = |words: Vec<String>| {
        words.iter().map(|word| word.replace("{port}", &port.to_string())).collect::<Vec<_>>()
    };
    let (mut before, after) = (filled(before), filled(after));
    match ladder.shell {
        Shell::No => {
            if before.first().is_some_and(|word| word.contains('=')) {
                before.insert(0, "env".into());
            }
            argv = [before, argv, after].concat();
        }
        Shell::One => {
            if let Some(line) = argv.last_mut() {
                let parts = [shell_words::join(&before), line.trim().to_owned(), shell_words::join(&after)];
                parts.join(" ").trim().clone_into(line);
            }
        }
        Shell::Many => {
            draft
                .remarks
                .push(format!("port {port} is passed as PORT only; put $PORT where the command wants it"));
            return argv;
        }
    }
    ladder.argv_why = format!("{}; template of pattern {:?}", ladder.argv_why, pattern.name);
    argv
}
