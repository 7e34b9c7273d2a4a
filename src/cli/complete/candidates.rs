//! What there is for a place: verbs and options from the definition, the rest from the files of TSM and from the kernel.

use std::collections::BTreeMap;

use clap::builder::PossibleValue;
use clap::{Arg, Command};

use super::place::{self, Place, Value};
use super::{Typed, agents};
use crate::cli::context::{Context, candidate};
use crate::cli::{refs, services};
use crate::inspect::{Table, View, glance, ports_by_process};
use crate::render::human;
use crate::sys::{clock, sockets};

/// Something that may stand at the cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Candidate {
    /// The whole word, without quotes.
    pub(in crate::cli) value: String,
    /// A few words on it; empty where there is nothing to say.
    pub(in crate::cli) about: String,
}

impl Candidate {
    pub(in crate::cli) fn new(value: impl Into<String>, about: impl Into<String>) -> Self {
        Candidate { value: value.into(), about: about.into() }
    }
}

/// Everything that may stand at the cursor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::cli) struct Answer {
    /// What is known by name, in the order to show it. Those that do not begin as the typed word does may be among them.
    pub(in crate::cli) candidates: Vec<Candidate>,
    /// Files, which shells know best.
    pub(in crate::cli) files: bool,
    /// Directories.
    pub(in crate::cli) dirs: bool,
    /// Whatever the shell can run.
    pub(in crate::cli) commands: bool,
    /// The word with this index begins a command of its own.
    pub(in crate::cli) inside: Option<usize>,
    /// What of the word stands in front of a value: `--env=`.
    pub(in crate::cli) prefix: String,
}

impl Answer {
    /// Any file.
    pub(in crate::cli) fn files() -> Self {
        Answer { files: true, ..Answer::default() }
    }
}

/// What may stand at the cursor of `typed`; `root` is built.
pub(in crate::cli) fn answer(context: &Context, root: &Command, typed: &Typed) -> Answer {
    let mut answer = Answer::default();
    match place::find(root, &typed.words, &typed.current) {
        Place::Nothing => {}
        Place::Inside(index) => answer.inside = Some(index),
        Place::Verb(command) => answer.candidates = verbs(command, &typed.current),
        Place::Option(command, given) => answer.candidates = options(command, &given, &typed.current),
        Place::Value(value) => {
            value.prefix.clone_into(&mut answer.prefix);
            let word = typed.current.strip_prefix(value.prefix).unwrap_or_default();
            let mut taken = value.taken.clone();
            if value.arg.is_positional() {
                taken.extend(typed.after.iter().filter(|word| !word.starts_with('-')).cloned());
            }
            values(context, &value, &taken, word, &mut answer);
            for one in &mut answer.candidates {
                one.value.insert_str(0, value.prefix);
            }
        }
    }
    answer
}

fn about(text: Option<&clap::builder::StyledStr>) -> String {
    let text = text.map(ToString::to_string).unwrap_or_default();
    let first = text.lines().next().unwrap_or_default();
    first.strip_suffix('.').unwrap_or(first).to_owned()
}

fn verbs(command: &Command, typed: &str) -> Vec<Candidate> {
    let all: Vec<&Command> = command.get_subcommands().filter(|verb| !verb.is_hide_set()).collect();
    let mut found: Vec<Candidate> =
        all.iter().map(|verb| Candidate::new(verb.get_name(), about(verb.get_about()))).collect();
    // An alias is a way to type less, not one more thing to know.
    if !typed.is_empty() && found.iter().all(|one| !one.value.starts_with(typed)) {
        for verb in all {
            let aliases = verb.get_all_aliases().filter(|alias| alias.starts_with(typed));
            found.extend(aliases.map(|alias| Candidate::new(alias, about(verb.get_about()))));
        }
    }
    found
}

fn options(command: &Command, given: &[&Arg], typed: &str) -> Vec<Candidate> {
    let is_given = |arg: &Arg| given.iter().any(|one| one.get_id() == arg.get_id());
    let mut found = Vec::new();
    for arg in command.get_arguments().filter(|arg| !arg.is_positional() && !arg.is_hide_set()) {
        if is_given(arg) && !place::may_repeat(arg) {
            continue;
        }
        let long = arg.get_long().map(|long| format!("--{long}"));
        // The short ones are for those who know them.
        let short =
            arg.get_short().filter(|_| typed == "-" || long.is_none()).map(|short| format!("-{short}"));
        found.extend(long.into_iter().chain(short).map(|name| Candidate::new(name, about(arg.get_help()))));
    }
    found
}

fn values(context: &Context, value: &Value<'_>, taken: &[String], typed: &str, answer: &mut Answer) {
    let possible = value.arg.get_possible_values();
    let shown = possible.iter().filter(|one| !one.is_hide_set());
    answer
        .candidates
        .extend(shown.map(|one: &PossibleValue| Candidate::new(one.get_name(), about(one.get_help()))));
    let names: Vec<&str> =
        value.arg.get_value_names().unwrap_or_default().iter().map(clap::builder::Str::as_str).collect();
    if names == ["NAME|FILE"] {
        environments(typed, answer);
        return;
    }
    for name in names.iter().flat_map(|name| name.split('|')) {
        match name {
            "REF" => {
                processes(context, value, taken, typed, answer);
                if value.verb == "with" {
                    let begin = answer.candidates.len();
                    definitions(context, "with", taken, answer);
                    for one in &mut answer.candidates[begin..] {
                        one.about.insert_str(0, "service: ");
                    }
                }
                if value.verb == "kill" && typed.starts_with(|c: char| c.is_ascii_digit()) {
                    ports(answer);
                }
            }
            "AGENT" => agents::sessions(context, taken, answer),
            "SERVICE" => definitions(context, &value.verb, taken, answer),
            "PORT" if value.arg.is_positional() => ports(answer),
            "VERB" => fixed(&["STATUS", "HEALTH", "RELOAD", "STOP"], answer),
            "FILE" => answer.files = true,
            "DIRECTORY" => answer.dirs = true,
            "FILE:LINE" => answer.files = true,
            "CONVERSATION" => answer.candidates.extend(
                crate::cli::capture::candidates().into_iter().filter(|one| !taken.contains(&one.value)),
            ),
            "COMMAND" => {
                if value.verb == "save" {
                    processes(context, value, taken, typed, answer);
                }
                answer.commands = true;
            }
            "WORD" => {
                startable(context, answer);
                answer.files = true;
                answer.commands = true;
            }
            "KIND" => fixed(&["port", "socket", "pid"], answer),
            "POLICY" => fixed(&["no", "on-failure", "always"], answer),
            "SIGNAL" => fixed(&["TERM", "INT", "QUIT", "HUP", "USR1", "USR2", "KILL"], answer),
            _ => {}
        }
    }
}

fn fixed(words: &[&str], answer: &mut Answer) {
    answer.candidates.extend(words.iter().map(|word| Candidate::new(*word, "")));
}

/// Every tracked process by ID, as its files say.
fn all(context: &Context) -> Vec<View> {
    let mut views = glance(&context.layout);
    views.sort_by(|a, b| (a.id.is_none(), a.id, &a.name).cmp(&(b.id.is_none(), b.id, &b.name)));
    views
}

/// `online, port 8000, 3m`.
fn state(view: &View) -> String {
    let kind = view.port.map_or_else(|| view.kind.to_string(), |port| format!("port {port}"));
    let since = view.record.as_ref().filter(|_| view.status.live());
    let age =
        since.map(|status| format!(", {}", human::age(clock::wall_ms().saturating_sub(status.started_ms))));
    format!("{}, {kind}{}", view.status, age.unwrap_or_default())
}

/// Whether a process is of use to the verb.
fn fits(verb: &str, view: &View) -> bool {
    match verb {
        "stop" | "kill" => view.status.listed(),
        "env" => view.status.live(),
        _ => true,
    }
}

fn processes(context: &Context, value: &Value<'_>, taken: &[String], typed: &str, answer: &mut Answer) {
    let views = all(context);
    let known: Vec<refs::Candidate> = views.iter().map(candidate).collect();
    let hit: Vec<usize> =
        taken.iter().filter_map(|text| refs::resolve(text, &known).ok()).flatten().collect();
    let left: Vec<&View> = views
        .iter()
        .enumerate()
        .filter(|(at, view)| !hit.contains(at) && fits(&value.verb, view))
        .map(|(_, view)| view)
        .collect();
    let several = place::may_repeat(value.arg);
    let out = &mut answer.candidates;
    match typed.split_once(':') {
        Some(("id", _)) => out.extend(by(&left, "id", |view| view.id)),
        Some(("port", _)) => out.extend(by(&left, "port", |view| view.port)),
        Some(("pid", _)) => out.extend(by(&left, "pid", |view| view.pid)),
        Some(("name", _)) => out.extend(by(&left, "name", |view| Some(view.name.to_string()))),
        Some(_) => {}
        // A number is an ID here; that of a port is typed faster than chosen.
        None if typed.starts_with(|c: char| c.is_ascii_digit()) => {
            out.extend(left.iter().filter_map(|view| {
                Some(Candidate::new(view.id?.to_string(), format!("{}: {}", view.name, state(view))))
            }));
        }
        None => {
            out.extend(left.iter().map(|view| Candidate::new(view.name.as_str(), state(view))));
            if several && left.len() > 1 && taken.is_empty() && !matches!(value.verb.as_str(), "env" | "save")
            {
                out.push(Candidate::new("all", format!("all {} of them", left.len())));
            }
        }
    }
    if value.verb == "env" && taken.is_empty() {
        out.push(Candidate::new("init", "write a template of env/NAME.env"));
    }
}

/// Refs of one kind: `port:8000`.
fn by<Text: ToString>(views: &[&View], kind: &str, number: impl Fn(&View) -> Option<Text>) -> Vec<Candidate> {
    let one = |view: &&View| {
        let number = number(view)?.to_string();
        Some(Candidate::new(format!("{kind}:{number}"), format!("{}: {}", view.name, state(view))))
    };
    views.iter().filter_map(one).collect()
}

/// What `tsm start NAME` can start: what does not run, and definitions.
fn startable(context: &Context, answer: &mut Answer) {
    let views = all(context);
    let down = views.iter().filter(|view| !view.status.live());
    answer.candidates.extend(down.map(|view| Candidate::new(view.name.as_str(), state(view))));
    let from = answer.candidates.len();
    definitions(context, "start", &[], answer);
    for one in &mut answer.candidates[from..] {
        one.about.insert_str(0, "service: ");
    }
}

fn definitions(context: &Context, verb: &str, taken: &[String], answer: &mut Answer) {
    for entry in services::catalog(context).list().unwrap_or_default() {
        let wanted = match verb {
            "enable" => !entry.enabled && entry.definition.is_ok(),
            "disable" => entry.enabled,
            _ => true,
        };
        let known = answer.candidates.iter().any(|one| one.value == entry.name);
        if !wanted || known || taken.contains(&entry.name) {
            continue;
        }
        let about = match &entry.definition {
            Ok(definition) => definition.description.clone().unwrap_or_else(|| definition.command.clone()),
            Err(_) => "broken".to_owned(),
        };
        answer.candidates.push(Candidate::new(entry.name, about));
    }
}

/// `--env`: the names of env/NAME.env and .env.NAME, the files .env and NAME.env, else any file.
fn environments(typed: &str, answer: &mut Answer) {
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    for file in names_in("env") {
        if let Some(name) = file.strip_suffix(".env").filter(|name| !name.is_empty()) {
            found.entry(name.to_owned()).or_insert_with(|| format!("env/{file}"));
        }
    }
    let here = names_in(".");
    for file in &here {
        if let Some(name) = file.strip_prefix(".env.").filter(|name| !name.is_empty()) {
            found.entry(name.to_owned()).or_insert_with(|| file.clone());
        }
    }
    for file in here.into_iter().filter(|file| file.strip_suffix(".env").is_some()) {
        found.insert(file, "file".into());
    }
    let fits = found.keys().any(|name| name.starts_with(typed));
    answer.candidates.extend(found.into_iter().map(|(name, about)| Candidate::new(name, about)));
    answer.files = !fits;
}

/// The files in a directory, as far as their names can be typed.
fn names_in(dir: &str) -> Vec<String> {
    let Ok(listing) = std::fs::read_dir(dir) else { return Vec::new() };
    let names = listing.flatten().filter(|item| !item.path().is_dir());
    names.filter_map(|item| item.file_name().into_string().ok()).collect()
}

/// Ports that are listened on, with who does.
fn ports(answer: &mut Answer) {
    let listeners = sockets::listeners().unwrap_or_default();
    let table = Table::all();
    let mut owners: BTreeMap<u16, String> =
        listeners.iter().map(|one| (one.port, "of another user".to_owned())).collect();
    let pids = table.processes().iter().map(|process| process.pid);
    for (pid, ports) in ports_by_process(pids, &listeners) {
        let name = table.get(pid).map(|process| process.comm.to_string()).unwrap_or_default();
        owners.extend(ports.into_iter().map(|port| (port, format!("{name}, PID {pid}"))));
    }
    answer.candidates.extend(owners.into_iter().map(|(port, owner)| Candidate::new(port.to_string(), owner)));
}
