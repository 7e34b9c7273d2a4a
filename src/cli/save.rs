//! `tsm save`: a process or a command becomes a service definition.

use std::collections::BTreeMap;
use std::path::Path;

use super::confirm::confirm;
use super::context::Context;
use super::services;
use super::start::{self, Asked};
use crate::error::{Error, Kind, Result};
use crate::inspect::View;
use crate::model::{EnvFile, EnvSource, EnvVar, Name, Origin, Policy};
use crate::plan;
use crate::render::shell_quote;
use crate::service::Definition;
use crate::store::{self, Durability};

/// Make a service definition of a process or a command.
///
/// `tsm start NAME` then runs the same. Without a second word it is the process called NAME. The port is written when it
/// was asked for, not when tsm chose it. Values of secrets are never written. The options are those of `start`;
/// --dry-run prints the definition.
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(override_usage = "tsm save [--force] [OPTIONS] NAME [REF|[--] COMMAND...]")]
#[command(about = "Make a service definition of a process or a command")]
#[command(
    long_about = "Make a service definition of a process or a command.\n\n`tsm start NAME` then runs the \
    same. Without a second word it is the process called NAME. The port is written when it was asked for, not when \
    tsm chose it. Values of secrets are never written. The options are those of `start`; --dry-run prints the \
    definition."
)]
#[command(
    mut_arg("wait", |arg| arg.hide(true)),
    mut_arg("no_wait", |arg| arg.hide(true)),
    mut_arg("name", |arg| arg.help("What its process is called, if not as the service")),
    mut_arg("dry_run", |arg| arg.help("Print the definition, and write nothing")),
    mut_arg("words", |arg| arg.value_name("COMMAND").help("A tracked process, or a command")),
)]
#[command(after_help = "Examples:\n  tsm save web 0\n  tsm save worker ./worker.sh --fast\n  \
    tsm save --port 3000 web npm start")]
pub(super) struct Args {
    /// Replace a definition of that name without asking.
    #[arg(long)]
    force: bool,
    /// The name of the service.
    #[arg(value_name = "NAME", id = "service")]
    service: String,
    #[command(flatten)]
    start: start::Args,
}

/// What a definition is made of.
struct Source {
    asked: Asked,
    /// It is a process: that one's environment file.
    env_file: Option<EnvFile>,
    /// What its process is to be called, if not as the service.
    process: Option<Name>,
    /// The definition that the process came from, as it now stands.
    origin: Option<Definition>,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<()> {
    args.start.starts_nothing("save")?;
    let name = name_of(&args.service)?;
    let file = context.layout.services_available().join(format!("{name}.tsm"));
    let source = source(context, args)?;
    let (definition, remarks) = define(context, &file, &source)?;
    let text = definition.text()?;
    for remark in &remarks {
        context.output.remark(remark);
    }
    if args.start.is_dry_run() {
        return context.output.bytes(text.as_bytes());
    }
    let there = store_text(context, args, &file, &text)?;
    if args.start.wants_json() {
        return services::show_json(context, definition);
    }
    context.output.line(&format!(
        "{}: {name} ({})",
        if there { "Already saved" } else { "Saved" },
        file.display()
    ))
}

fn name_of(text: &str) -> Result<Name> {
    let wrong = |why: &str| Error::usage(format!("{text:?} cannot be the name of a service: {why}"));
    let name = Name::parse(text).map_err(|why| wrong(&why.to_string()).hint("tsm save NAME REF"))?;
    if text == "all" {
        return Err(wrong("all is what every process is called").hint("tsm save NAME REF"));
    }
    // `tsm start 0` means the process with this ID.
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong("a number is an ID, a port or a PID").hint(format!("tsm save NAME {text}")));
    }
    Ok(name)
}

/// Writes the definition; true when it is there as it is.
fn store_text(context: &Context, args: &Args, file: &Path, text: &str) -> Result<bool> {
    context.layout.create_services()?;
    if file.symlink_metadata().is_err() {
        return store::write_new(file, text.as_bytes(), Durability::Synced).map(|()| false);
    }
    if std::fs::read(file).is_ok_and(|there| there == text.as_bytes()) {
        return Ok(true);
    }
    let question = format!("{} exists already and says something else.\nReplace it?", file.display());
    let refusal = || {
        Error::conflict(format!("{} exists already", file.display()))
            .hint(format!("tsm save --force {} …, or tsm show {0} to see it", args.service))
    };
    if !args.force && !confirm(context, &question, refusal)? {
        return Err(Error::failed("nothing was written"));
    }
    store::write(file, text.as_bytes(), Durability::Synced).map(|()| false)
}

/// The process or the command that is meant.
fn source(context: &Context, args: &Args) -> Result<Source> {
    let words = args.start.words();
    let found = match words {
        [] => Some(context.find_one(&args.service)?),
        [word] => process(context, word)?,
        _ => None,
    };
    let Some(view) = found else {
        let asked = start::asked(context, &args.start)?;
        let process = option(&asked, "--name").and_then(|name| Name::parse(&name).ok());
        return Ok(Source { asked, env_file: None, process, origin: None });
    };
    if let Some(option) = args.start.first_option() {
        let hint = format!("tsm save {option} … {} COMMAND", args.service);
        return Err(Error::usage(format!(
            "{option} needs a command: {} keeps what it was started with",
            view.name
        ))
        .hint(hint));
    }
    let spec = store::read_spec(&view.dir).required(&view.dir.spec())?;
    if let Some(function) = &spec.function {
        let what = format!("{} runs {}, a function of the shell that started it", view.name, function.name);
        return Err(Error::failed(format!("{what}, and a definition holds a command"))
            .hint(format!("write it into a script, then tsm save {} ./SCRIPT", args.service)));
    }
    let origin = match &spec.origin {
        Origin::Service(service) => services::find(context, service).ok(),
        Origin::Command => None,
    };
    let asked = Asked {
        typed: spec.typed,
        dir: spec.dir,
        policy: spec.policy,
        env_vars: spec.env_vars,
        options: spec.options,
    };
    Ok(Source { asked, env_file: spec.env_file, process: None, origin })
}

/// The value of an option that was given.
fn option(asked: &Asked, name: &str) -> Option<String> {
    asked.options.iter().find_map(|option| option.strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
}

/// The process that `word` means; none for a command. Only a part of a name is no reason to leave a program of that name
/// aside.
fn process(context: &Context, word: &str) -> Result<Option<View>> {
    match context.find_one(word) {
        Ok(view) => {
            let named = word.contains(':')
                || word.bytes().all(|byte| byte.is_ascii_digit())
                || view.name.as_str() == word
                || store::read_spec(&view.dir).found().is_some_and(|spec| spec.base.as_str() == word);
            let program = || which::which(word).is_ok();
            Ok(Some(view).filter(|_| named || !program()))
        }
        // Neither a name nor anything like one: a line, a path, a program.
        Err(error) if matches!(error.kind(), Kind::NotFound | Kind::Usage) => {
            let program = word.contains(|c: char| c.is_whitespace() || c == '/')
                || which::which(word).is_ok()
                || Path::new(word).is_file();
            if program { Ok(None) } else { Err(error) }
        }
        Err(error) => Err(error),
    }
}

/// The command of a definition that means these words.
fn line_of(typed: &[String]) -> String {
    match typed {
        // One word was split, or left to bash, as the definition's will be.
        [line] => line.clone(),
        [first, rest @ ..] => {
            let line = shell_quote::join(typed);
            // In quotes a shell's own word is a program again, as it was among several.
            let means_bash = !plan::same_command(std::slice::from_ref(&line), typed);
            if means_bash { format!("'{first}' {}", shell_quote::join(rest)) } else { line }
        }
        [] => String::new(),
    }
}

/// The definition in `file`, and what could not be put into it.
fn define(context: &Context, file: &Path, source: &Source) -> Result<(Definition, Vec<String>)> {
    let Source { asked, origin, .. } = source;
    let command = line_of(&asked.typed);
    if !plan::same_command(std::slice::from_ref(&command), &asked.typed) {
        return Err(Error::failed("the command cannot be written as one line that means the same"));
    }
    let (mut env_vars, mut secrets, mut foreign) = (BTreeMap::new(), Vec::new(), Vec::new());
    for (name, setting) in &asked.env_vars {
        match setting {
            _ if name.starts_with("SERVICE_") || name.starts_with("TSM_") => foreign.push(name.as_str()),
            EnvVar::Secret => secrets.push(name.as_str()),
            EnvVar::Value(value) => {
                env_vars.insert(name.clone(), value.clone());
            }
        }
    }
    let variable = env_vars.remove("PORT");
    let number = |text: Option<String>| text.and_then(|text| text.parse().ok());
    let policy = (&asked.policy, Policy::default());
    let plain = Definition::of_command(file, &command)?;
    let definition = Definition {
        process: source.process.clone().unwrap_or_else(|| plain.name.clone()),
        kind: option(asked, "--kind")
            .and_then(|kind| kind.parse().ok())
            .or_else(|| origin.as_ref().and_then(|one| one.kind)),
        port: number(option(asked, "--port"))
            .or_else(|| number(variable))
            .or_else(|| origin.as_ref().and_then(|one| one.port)),
        env: env(context, source),
        dir: Some(asked.dir.clone()),
        description: origin.as_ref().and_then(|one| one.description.clone()),
        restart: differs(policy.0.restart, policy.1.restart),
        max_restarts: differs(policy.0.max_restarts, policy.1.max_restarts),
        stop_signal: differs(policy.0.stop_signal, policy.1.stop_signal),
        stop_timeout_ms: differs(policy.0.stop_timeout_ms, policy.1.stop_timeout_ms),
        reload: policy.0.reload.clone(),
        log_max_bytes: differs(policy.0.log.max_bytes, policy.1.log.max_bytes),
        log_keep: differs(policy.0.log.keep, policy.1.log.keep),
        env_vars,
        ..plain
    };
    let mut remarks = Vec::new();
    for (names, why) in [
        (secrets, "not written, because it is a secret; put it into an environment file, or export it"),
        (
            foreign,
            "not written, because in a definition it would be a setting; put it into an environment file",
        ),
    ] {
        remarks.extend(names.iter().map(|name| format!("{name} is {why}")));
    }
    Ok((definition, remarks))
}

fn differs<T: PartialEq + Copy>(value: T, default: T) -> Option<T> {
    (value != default).then_some(value)
}

/// `SERVICE_ENV`: what was named; an empty file where none was wanted, because without it one would be looked for.
fn env(context: &Context, source: &Source) -> Option<String> {
    if let Some(named) = option(&source.asked, "--env") {
        let home = context.settings.home.as_deref();
        return Some(match (named.strip_prefix("~/"), home) {
            (Some(rest), Some(home)) => home.join(rest).to_string_lossy().into_owned(),
            _ => named,
        });
    }
    if source.asked.options.iter().any(|option| option.starts_with("--no-env")) {
        return Some("/dev/null".into());
    }
    let named = source.env_file.as_ref().filter(|file| file.source == EnvSource::Named);
    named.map(|file| file.path.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WORD: &str = "[a-z=~#!{}*?$`'\"\\\\|&;<>()\\[\\] \t\r\n-]{0,8}|\\PC{0,8}|[^\\x00]{0,6}";

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_words_mean_the_same_when_they_are_read_back(typed in prop::collection::vec(WORD, 1..6)) {
            // What `start` refuses never was a process.
            prop_assume!(plan::same_command(&typed, &typed.clone()) && !typed[0].trim().is_empty());
            let line = line_of(&typed);
            prop_assert!(plan::same_command(std::slice::from_ref(&line), &typed), "{line:?}");
            let definition = Definition::of_command(Path::new("/d/x.tsm"), &line).unwrap();
            let text = definition.text().unwrap();
            let read = Definition::parse(Path::new("/d/x.tsm"), &text, &|_| None).unwrap();
            prop_assert_eq!(read.command, line);
        }
    }

    #[test]
    fn a_line_stays_as_typed_and_words_get_only_the_quotes_they_need() {
        for (typed, line) in [
            (&["npm run dev && x"][..], "npm run dev && x"),
            (&["exec", "a b"], "'exec' 'a b'"),
            (&["npm", "run", "dev"], "npm run dev"),
            (&["bash", "-c", "a && b"], "bash -c 'a && b'"),
            (&["A=1", "node", "--x=2"], "'A=1' node --x=2"),
        ] {
            let typed: Vec<String> = typed.iter().map(|&word| word.to_owned()).collect();
            assert_eq!(line_of(&typed), line);
        }
    }
}
