//! `tsm rpc`: one call of the daemon's API, for scripts.

use serde_json::Value;

use super::context::Context;
use super::life;
use crate::daemon::methods::METHODS;
use crate::error::{Error, Result};

/// Call a method of the daemon and print its result.
///
/// The daemon is started when it does not run, unless `TSM_DAEMON=never`. docs/api.md has the methods; so has this, without
/// a method.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  tsm rpc ping\n  tsm rpc stop '{\"refs\":[\"web\"]}'\n  tsm rpc")]
pub(super) struct Args {
    /// The method.
    method: Option<String>,
    /// Its parameters: a JSON object.
    #[arg(value_name = "JSON")]
    params: Option<String>,
    /// Print JSON, which it does anyway.
    #[arg(long, hide = true)]
    json: bool,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<()> {
    let Some(method) = &args.method else {
        for method in METHODS {
            context.output.line(&format!("{:<18}  {}", method.name, method.about))?;
        }
        return Ok(());
    };
    let params = match args.params.as_deref() {
        None => Value::Null,
        Some(text) => serde_json::from_str(text).map_err(|why| {
            Error::usage(format!("the parameters are no JSON: {why}"))
                .hint("tsm rpc stop '{\"refs\":[\"web\"]}'")
        })?,
    };
    let mut client = life::client(context)?;
    if method.ends_with(".subscribe") {
        client.call(method, &params)?;
        loop {
            if let Some(message) = client.next(std::time::Duration::from_secs(3600))? {
                context.output.bytes(format!("{}\n", message["params"]).as_bytes())?;
            }
        }
    }
    match client.call(method, &params)? {
        Value::String(text) => context.output.bytes(format!("{}\n", text.trim_end()).as_bytes()),
        value => context.output.json(&value),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::super::Cli;
    use super::*;

    /// Verbs that are of use to somebody who sits there, or are the daemon's own door. Those of capture speak of the
    /// repository that they are typed in; programs have `createSession` and its kin.
    const NO_METHOD: [&str; 15] = [
        "api",
        "capture",
        "cd",
        "completions",
        "daemon",
        "events",
        "help",
        "import",
        "ipc",
        "man",
        "metrics",
        "repl",
        "rpc",
        "socket",
        "with",
    ];

    #[test]
    fn every_verb_has_a_method_and_every_parameter_is_an_option_of_it() {
        let command = Cli::command();
        for verb in command.get_subcommands().map(clap::Command::get_name) {
            let has = METHODS.iter().any(|method| {
                method.name == verb || method.verb.is_some_and(|(words, _)| words.first() == Some(&verb))
            });
            assert!(has || NO_METHOD.contains(&verb), "{verb} has no method");
        }
        for method in METHODS {
            let Some((words, rest)) = method.verb else { continue };
            let long = |arg: &clap::Arg| Some(arg.get_long()?.replace('-', "_"));
            let mut known: Vec<String> = Vec::new();
            let mut verb = &command;
            for word in words.iter().filter(|word| !word.starts_with("--") && **word != "available") {
                known.extend(verb.get_arguments().filter(|arg| arg.is_global_set()).filter_map(long));
                let found = verb.find_subcommand(word);
                verb = found.unwrap_or_else(|| panic!("{}: no verb {word}", method.name));
            }
            known.extend(verb.get_arguments().filter_map(long));
            assert!(known.contains(&"json".to_owned()), "{} prints no JSON", method.name);
            let inline =
                schemars::generate::SchemaSettings::default().with(|all| all.inline_subschemas = true);
            let schema = method.schema(&mut inline.into_generator());
            for name in schema["properties"].as_object().into_iter().flat_map(|fields| fields.keys()) {
                assert!(
                    Some(name.as_str()) == rest || known.contains(name),
                    "{}: {name} is no option of the verb: {known:?}",
                    method.name
                );
            }
        }
    }
}
