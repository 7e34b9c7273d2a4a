//! What clap finds wrong with the words, said in our own form: one sentence, and what to type next.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::error::Error;

/// How alike a wrong word and a right one must be for a question.
const ALIKE: f64 = 0.7;

/// What somebody types who wants to see what there is.
const LISTS: [&str; 4] = ["list", "ls", "ps", "show"];

/// The error behind `error`, which came of `words` (without the program's name) parsed as `command`.
pub(super) fn explain(error: &clap::Error, command: &clap::Command, words: &[OsString]) -> Error {
    let (verb, whose) = verb(command, words);
    let whose = whose.as_str();
    let help = format!("tsm {whose} --help").replace("tsm tsm", "tsm");
    let argument = text(error, ContextKind::InvalidArg).unwrap_or_default();
    let value = text(error, ContextKind::InvalidValue).unwrap_or_default();
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let typed = text(error, ContextKind::InvalidSubcommand).unwrap_or_default();
            if let Some(verb) = verb.filter(|verb| verb.has_subcommands()) {
                let next = match nearest_verb(verb, &typed) {
                    Some(inner) => format!("tsm {whose} {inner}"),
                    // What lists without a word, as other verbs do with this one.
                    None if LISTS.contains(&typed.as_str()) && !verb.is_subcommand_required_set() => {
                        format!("tsm {whose}")
                    }
                    None => help,
                };
                return Error::usage(format!("{whose} has no verb {typed:?}")).hint(next);
            }
            let next = nearest_verb(command, &typed).map_or(help, |verb| format!("tsm {verb}"));
            Error::usage(format!("there is no verb {typed:?}")).hint(next)
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            let inner = verb.into_iter().flat_map(clap::Command::get_subcommands);
            let names: Vec<&str> =
                inner.map(clap::Command::get_name).filter(|name| *name != "help").collect();
            Error::usage(format!("{whose} needs one of {}", names.join(", "))).hint(help)
        }
        ErrorKind::UnknownArgument if argument.starts_with('-') => {
            let next = match text(error, ContextKind::SuggestedArg) {
                Some(meant) => format!("tsm {whose} {meant}").replace("tsm tsm", "tsm"),
                None => help,
            };
            Error::usage(format!("{whose} has no option {argument}")).hint(next)
        }
        ErrorKind::UnknownArgument => {
            Error::usage(format!("{whose} does not know what to do with {argument:?}")).hint(help)
        }
        ErrorKind::MissingRequiredArgument => {
            let missing = match argument.as_str() {
                argument if argument.contains("<REF>") => "the name of a process, or all",
                argument if argument.contains("<SERVICE>") => "the name of a service",
                argument if argument.contains("<AGENT>") => "the name of a session",
                argument if argument.contains("<CONVERSATION>") => "a commit, or a session",
                _ if whose == "save" => "a name for the service",
                argument => argument,
            };
            let next = match argument.as_str() {
                argument if argument.contains("<SERVICE>") => "tsm list available",
                argument if argument.contains("<AGENT>") => "tsm agents",
                argument if argument.contains("<CONVERSATION>") => "tsm capture list",
                argument if argument.contains("<REF>") || whose == "save" => "tsm list",
                _ => &help,
            };
            Error::usage(format!("{whose} needs {missing}")).hint(next)
        }
        ErrorKind::InvalidValue if value.is_empty() => {
            Error::usage(format!("{} needs a value", option(&argument))).hint(help)
        }
        ErrorKind::InvalidValue => {
            let known = texts(error, ContextKind::ValidValue);
            let wrong = format!("{value:?} is none of {}", known.join(", "));
            let wrong = match option(&argument) {
                option if option.starts_with('-') => format!("{option}: {wrong}"),
                _ => format!("{whose}: {wrong}"),
            };
            let next = match text(error, ContextKind::SuggestedValue) {
                Some(meant) if !argument.starts_with('-') => format!("tsm {whose} {meant}"),
                Some(meant) => format!("{}={meant}", option(&argument)),
                // `list web` is what somebody types who wants to see one of them.
                None if whose == "list" && argument == "[WHAT]" => format!("tsm info {value}"),
                None => help,
            };
            Error::usage(wrong).hint(next)
        }
        ErrorKind::ValueValidation => {
            let why = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
            Error::usage(format!("{} {value:?}: {}", option(&argument), number(&why))).hint(help)
        }
        ErrorKind::ArgumentConflict => {
            let other = texts(error, ContextKind::PriorArg).join(", ");
            let wrong = match option(&argument) {
                twice if other == argument => format!("{twice} was given twice"),
                option_given => format!("{option_given} does not go with {}", option(&other)),
            };
            Error::usage(wrong).hint(help)
        }
        _ => {
            let rendered = error.render().to_string();
            let first = rendered.lines().next().unwrap_or("wrong words");
            Error::usage(first.strip_prefix("error: ").unwrap_or(first)).hint(help)
        }
    }
}

/// The verb among `words`, to the innermost, and what it is called: `agents label`; `tsm` where there is none.
fn verb<'a>(command: &'a clap::Command, words: &[OsString]) -> (Option<&'a clap::Command>, String) {
    let first = |(at, word)| Some((at, command.find_subcommand(word)?));
    let Some((at, mut found)) = words.iter().enumerate().find_map(first) else {
        return (None, "tsm".into());
    };
    let mut name = found.get_name().to_owned();
    // Of the rest only the next word can be one: what follows another is an argument, whatever it is.
    for word in words[at + 1..].iter().filter(|word| !word.to_string_lossy().starts_with('-')) {
        let Some(inner) = found.find_subcommand(word) else { break };
        found = inner;
        name = format!("{name} {}", inner.get_name());
    }
    (Some(found), name)
}

/// The verb that looks most like `typed`, by its own name even where an alias is nearer.
fn nearest_verb(command: &clap::Command, typed: &str) -> Option<String> {
    let near = |name: &str| strsim::jaro_winkler(&typed.to_lowercase(), name);
    command
        .get_subcommands()
        .filter(|verb| !verb.is_hide_set())
        .map(|verb| {
            let own = near(verb.get_name());
            (verb.get_all_aliases().map(near).fold(own, f64::max), own, verb.get_name())
        })
        .filter(|(best, ..)| *best > ALIKE)
        .max_by(|a, b| (a.0 + a.1).total_cmp(&(b.0 + b.1)))
        .map(|(.., name)| name.to_owned())
}

/// `--port` of `--port <PORT>`.
fn option(argument: &str) -> &str {
    argument.split([' ', '[', '=']).next().filter(|option| !option.is_empty()).unwrap_or(argument)
}

/// What the parsers of numbers say, for people.
fn number(why: &str) -> String {
    if let Some((_, range)) = why.split_once(" is not in ") {
        return format!("not a number from {}", range.replace("..=", " to "));
    }
    match why {
        "invalid digit found in string" | "cannot parse integer from empty string" => {
            "not a whole number".into()
        }
        "number too large to fit in target type" => "too large a number".into(),
        other => other.to_owned(),
    }
}

fn text(error: &clap::Error, kind: ContextKind) -> Option<String> {
    texts(error, kind).into_iter().next()
}

fn texts(error: &clap::Error, kind: ContextKind) -> Vec<String> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => vec![text.clone()],
        Some(ContextValue::Strings(texts)) => texts.clone(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Cli;
    use super::*;
    use clap::{CommandFactory, Parser};

    #[test]
    fn each_mistake_is_one_sentence_and_the_next_command() {
        for (typed, sentence, next) in [
            ("lst", "there is no verb \"lst\"", "tsm list"),
            ("strat x", "there is no verb \"strat\"", "tsm start"),
            ("xyzzy", "there is no verb \"xyzzy\"", "tsm --help"),
            ("socket stats", "socket has no verb \"stats\"", "tsm socket status"),
            ("ipc xyzzy", "ipc has no verb \"xyzzy\"", "tsm ipc --help"),
            ("socket status", "socket status needs the name of a process, or all", "tsm list"),
            ("agents list", "agents has no verb \"list\"", "tsm agents"),
            ("agents lable x", "agents has no verb \"lable\"", "tsm agents label"),
            ("agents foo wait", "agents has no verb \"foo\"", "tsm agents --help"),
            ("capture ls", "capture has no verb \"ls\"", "tsm capture list"),
            ("agents explain", "agents explain needs the name of a session", "tsm agents"),
            ("sessions wait", "agents wait needs the name of a session", "tsm agents"),
            ("agents label x", "agents label needs <TEXT>", "tsm agents label --help"),
            ("agents wait --x", "agents wait has no option --x", "tsm agents wait --help"),
            ("agents wait --any x", "--any does not go with [AGENT]...", "tsm agents wait --help"),
            ("capture show", "capture show needs a commit, or a session", "tsm capture list"),
            ("capture search", "capture search needs <TEXT>", "tsm capture search --help"),
            ("help lst", "there is no verb \"lst\"", "tsm list"),
            ("-x", "tsm has no option -x", "tsm --help"),
            ("list --jsn", "list has no option --jsn", "tsm list --json"),
            ("ls --zzz", "list has no option --zzz", "tsm list --help"),
            ("list all x", "list does not know what to do with \"x\"", "tsm list --help"),
            ("list runing", "list: \"runing\" is none of running, available, all", "tsm list running"),
            ("list web", "list: \"web\" is none of running, available, all", "tsm info web"),
            ("stop", "stop needs the name of a process, or all", "tsm list"),
            ("enable", "enable needs the name of a service", "tsm list available"),
            ("logs -n", "--lines needs a value", "tsm logs --help"),
            ("logs -n x 0", "--lines \"x\": not a whole number", "tsm logs --help"),
            ("start --port 0 x", "--port \"0\": not a number from 1 to 65535", "tsm start --help"),
            ("start --env a --no-env x", "--env does not go with --no-env", "tsm start --help"),
            ("list --json --json", "--json was given twice", "tsm list --help"),
            ("--color=blue list", "--color: \"blue\" is none of auto, always, never", "tsm list --help"),
        ] {
            let words: Vec<OsString> = typed.split(' ').map(OsString::from).collect();
            let all = std::iter::once(OsString::from("tsm")).chain(words.iter().cloned());
            let error = explain(&Cli::try_parse_from(all).unwrap_err(), &Cli::command(), &words);
            assert_eq!((error.message(), error.hint_text()), (sentence, Some(next)), "{typed}");
            assert_eq!(error.kind().exit_code(), 2);
        }
    }

    #[test]
    fn every_verb_has_a_short_summary_and_an_example() {
        for verb in Cli::command().get_subcommands() {
            let name = verb.get_name();
            let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
            // Beside the names, in a terminal of 80 columns.
            assert!((10..=64).contains(&about.len()), "{name}: {about}");
            let after = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(after.contains(&format!("  tsm {name}")), "{name}: {after}");
        }
    }
}
