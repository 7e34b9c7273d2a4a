//! The first half of a plan: everything that needs no look at ports.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::aliases;
use super::command_port::{self, Named};
use super::functions::{self, Script};
use super::interpreter::{self, Interpreted};
use super::name;
use super::patterns::{DefaultPort, Pattern, Patterns};
use super::program::{self, Language, Target};
use super::request::{EnvAsk, Facts, Request};
use super::script_port;
use super::words::{self, Shell, Words};
use crate::error::{Error, Result};
use crate::model::{EnvFile, EnvSource, Kind, Name, Reason};

/// Scripts of these names serve, as far as one can guess.
const SERVERS: &[&str] = &["server", "app", "main", "run", "manage", "wsgi", "asgi", "api", "web"];

/// Everything but the port: what "the same process?" compares before the ladder.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The words as typed, its aliases expanded.
    pub typed: Vec<String>,
    /// What bash runs where it is a function of the calling shell.
    pub script: Option<Script>,
    /// What is executed, before a template adds words.
    pub argv: Vec<String>,
    /// The command as a person reads it.
    pub command: String,
    /// The working directory.
    pub dir: PathBuf,
    /// The name before the port suffix.
    pub base: Name,
    /// Somebody chose the base name: `--name`, the definition, or `NAME` of the env file.
    pub base_is_given: bool,
    /// The env file.
    pub env_file: Option<EnvFile>,
    /// What the env file sets.
    pub env_values: BTreeMap<String, String>,
    /// Why `dir` and `env_file` are what they are.
    pub reasons: Vec<Reason>,
    /// What the user should hear.
    pub remarks: Vec<String>,
    pub(super) ladder: Ladder,
}

/// What the ladder of ports needs to know (design.md section 4).
#[derive(Clone, Debug)]
pub(super) struct Ladder {
    /// Rung 1, and how it was given.
    pub(super) given: Option<(u16, &'static str)>,
    /// Rung 2.
    pub(super) defined: Option<u16>,
    /// The definition's name.
    pub(super) service: Option<Name>,
    /// The kind that was asked for, and where.
    pub(super) kind: Option<(Kind, &'static str)>,
    /// Rung 3.
    pub(super) named: Named,
    /// Rung 5: the script's file as typed, and its default.
    pub(super) script: Option<(String, script_port::Default)>,
    /// Rung 6.
    pub(super) pattern: Option<Pattern>,
    /// Why rung 7 applies without a pattern.
    pub(super) likely: Option<String>,
    pub(super) shell: Shell,
    pub(super) argv_why: String,
    pub(super) base_why: String,
}

impl Draft {
    /// The line of a patterns file that knows the command.
    pub fn pattern(&self) -> Option<&Pattern> {
        self.ladder.pattern.as_ref()
    }

    /// The text of `PORT` in the env file, where it is meant for this command: a file that TSM only found says nothing
    /// to a worker that is known to have no port.
    pub(super) fn env_port(&self) -> Option<&str> {
        let file = self.env_file.as_ref()?;
        let worker =
            self.ladder.pattern.as_ref().is_some_and(|pattern| !matches!(pattern.port, DefaultPort::Tcp(_)));
        let asked = matches!(self.ladder.kind, Some((Kind::Port, _)));
        if file.source == EnvSource::Found && worker && !asked {
            return None;
        }
        self.env_values.get("PORT").map(|port| port.trim()).filter(|port| !port.is_empty())
    }
}

/// Decides all that can be decided without looking at ports.
///
/// # Errors
/// `Usage` when the words are no command; `NotFound` when the named env file is missing; what sourcing it says.
pub fn draft(request: &Request, facts: &dyn Facts) -> Result<Draft> {
    if request.port == Some(0) {
        return Err(Error::usage("a port is a number from 1 to 65535, not 0"));
    }
    let expanded = aliases::expand(&request.code, &request.words)?;
    let words = words::understand(&expanded.words)?;
    let dir = &request.dir;
    let script = script(request, &words, expanded.source.as_deref())?;
    let interpreted = match &script {
        Some(script) => in_script(script, &words),
        None => interpreter::interpret(&words.seen, dir, facts),
    };
    let (argv, mut argv_why) = match (words.shell, interpreted.why) {
        (Shell::No, why) => {
            let before = words.argv.len() - words.seen.len();
            let argv = words.argv[..before].iter().cloned().chain(interpreted.argv).collect();
            (argv, why.unwrap_or_else(|| words.why.to_owned()))
        }
        (_, Some(why)) if script.is_some() => (interpreted.argv, why),
        _ => (words.argv.clone(), words.why.to_owned()),
    };
    if let Some(alias) = &expanded.alias {
        argv_why = format!("{alias} is an alias of the calling shell; {argv_why}");
    }
    let plain = interpreted.plain;
    let (env_file, mut remarks) = match request.env {
        EnvAsk::None => (None, Vec::new()),
        _ => facts.find_env(&request.env, dir)?,
    };
    let env_values = env_file.as_ref().map(|file| facts.load_env(file)).transpose()?.unwrap_or_default();
    let (base, base_is_given, base_why) = base(request, env_file.as_ref(), &env_values, &plain, &mut remarks);
    let named = command_port::named(&words.seen, &plain, &words.assignments);
    let reasons = vec![
        Reason::new(
            "dir",
            dir.to_string_lossy(),
            if request.service.is_some() { "of the definition" } else { "the working directory" },
        ),
        env_reason(&request.env, env_file.as_ref()),
    ];
    let kind = request.kind.map(|kind| (kind, "asked for with --kind"));
    let mut draft = Draft {
        typed: expanded.words,
        argv,
        command: words.command.clone(),
        dir: dir.clone(),
        base,
        base_is_given,
        env_file,
        env_values,
        reasons,
        remarks,
        ladder: Ladder {
            given: given(request),
            defined: request.service.as_ref().and_then(|service| service.port).filter(|&port| port != 0),
            service: request.service.as_ref().map(|service| service.name.clone()),
            kind: kind.or_else(|| Some((request.service.as_ref()?.kind?, "of the definition"))),
            named,
            script: None,
            pattern: pattern(request, &words, &plain),
            likely: None,
            // A script takes further words as its arguments.
            shell: if script.is_some() && words.shell == Shell::One { Shell::No } else { words.shell },
            argv_why,
            base_why,
        },
        script,
    };
    look_at_script(&mut draft, &words, &plain, facts);
    Ok(draft)
}

/// The script of a command that is, or calls, a function of the calling shell. Of a line that takes more words at its end
/// it is a program with arguments, as that of a function.
fn script(request: &Request, words: &Words, source: Option<&str>) -> Result<Option<Script>> {
    match (words.shell, words.seen.first(), words.argv.last()) {
        (Shell::No, Some(name), _) if words.direct => request.code.call(name),
        (Shell::One | Shell::Many, _, Some(line)) => {
            request.code.line(line, source, words.shell == Shell::One)
        }
        _ => Ok(None),
    }
}

/// How bash runs `script`.
fn in_script(script: &Script, words: &Words) -> Interpreted {
    let arguments = if words.shell == Shell::No { &words.seen[1..] } else { &[] };
    let argv = ["bash", functions::PLACE].map(str::to_owned).into_iter().chain(arguments.iter().cloned());
    let kept = match script.helpers.len() {
        0 => String::new(),
        1..=5 => format!(", kept with {}", script.helpers.join(", ")),
        many => format!(", kept with {many} others"),
    };
    let why = match words.shell {
        Shell::No => format!("{} is a function of the calling shell{kept}", script.name),
        _ => format!("a line that calls {} of the calling shell{kept}", script.name),
    };
    Interpreted { argv: argv.collect(), plain: words.seen.clone(), why: Some(why) }
}

fn given(request: &Request) -> Option<(u16, &'static str)> {
    let option = request.port.map(|port| (port, "given with --port"));
    option.or_else(|| Some((request.port_variable?, "given with --env-var PORT")))
}

fn pattern(request: &Request, words: &Words, plain: &[String]) -> Option<Pattern> {
    let readings = [&words.seen[..], program::unwrapped(&words.seen), program::unwrapped(plain)];
    let mine =
        request.user_patterns.as_deref().and_then(|text| Patterns::parse(text).find(&readings).cloned());
    mine.or_else(|| Patterns::built_in().find(&readings[1..]).cloned())
}

/// The base name, whether it was given, and why it is that.
fn base(
    request: &Request,
    env_file: Option<&EnvFile>,
    env_values: &BTreeMap<String, String>,
    plain: &[String],
    remarks: &mut Vec<String>,
) -> (Name, bool, String) {
    if let Some(name) = &request.name {
        return (name.clone(), true, "given with --name".into());
    }
    if let Some(service) = &request.service {
        return (service.name.clone(), true, "the definition's name".into());
    }
    if let (Some(file), Some(text)) =
        (env_file, env_values.get("NAME").map(|text| text.trim()).filter(|text| !text.is_empty()))
    {
        let name = Name::reduce(text);
        if name.as_str() != text {
            remarks
                .push(format!("NAME={text} of {} is no process name; {name} is used", file.path.display()));
        }
        return (name, true, format!("NAME of {}", file.path.display()));
    }
    (name::derive(&request.dir, plain), false, "the directory and the command".into())
}

fn env_reason(ask: &EnvAsk, file: Option<&EnvFile>) -> Reason {
    let value = file.map_or_else(|| "none".into(), |file| file.path.to_string_lossy().into_owned());
    let why = match (ask, file) {
        (EnvAsk::Named(name), _) => format!("named {name:?}"),
        (EnvAsk::Discover, Some(_)) => "found in the directory".into(),
        (EnvAsk::Discover, None) => "there is none in the directory".into(),
        (EnvAsk::None, _) => "none was wanted".into(),
    };
    Reason::new("env_file", value, why)
}

/// Reads the script, where its text can still matter for the port.
fn look_at_script(draft: &mut Draft, words: &Words, plain: &[String], facts: &dyn Facts) {
    let ladder = &draft.ladder;
    let portless =
        ladder.pattern.as_ref().is_some_and(|pattern| !matches!(pattern.port, DefaultPort::Tcp(_)));
    let settled = ladder.given.is_some()
        || ladder.defined.is_some()
        || ladder.named.client
        || draft.env_port().is_some();
    if settled || portless {
        return;
    }
    let reads = ["$PORT", "${PORT", "$TSM_PORT", "${TSM_PORT"];
    if words.shell != Shell::No && reads.iter().any(|variable| draft.command.contains(variable)) {
        draft.ladder.likely = Some("the command reads PORT".into());
        return;
    }
    if ladder.named.settled {
        return;
    }
    let plain = program::unwrapped(plain);
    let (Some(language), Some(Target::Script(script, _))) =
        (program::language(plain), program::target(plain))
    else {
        return;
    };
    if matches!(language, Language::Shell | Language::Go) {
        return;
    }
    let text = text(&draft.dir, script, language, facts).unwrap_or_default();
    if matches!(language, Language::Python | Language::Script) {
        draft.ladder.script = script_port::default_port(&text).map(|default| (script.to_owned(), default));
    }
    if script_port::serves(&text) {
        draft.ladder.likely = Some(format!("{script} looks like a server's text"));
    } else if SERVERS.contains(&program::stem(script)) {
        draft.ladder.likely = Some(format!("{script} has a server's name"));
    }
}

fn text(dir: &Path, script: &str, language: Language, facts: &dyn Facts) -> Option<String> {
    // `node app` and `node .` find these endings by themselves.
    let endings: &[&str] = if language == Language::Script { &["", ".js", "/index.js"] } else { &[""] };
    let head = endings.iter().find_map(|ending| {
        let path = dir.join(format!("{script}{ending}"));
        if facts.is_file(&path) { facts.read_head(&path, script_port::LOOK) } else { None }
    })?;
    Some(String::from_utf8_lossy(&head).into_owned())
}
