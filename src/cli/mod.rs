//! The command line: one file per verb, and the only caller of everything below.

mod agents;
mod api;
mod boot;
mod by_agent;
mod capture;
mod cd;
mod complete;
mod completions;
mod confirm;
mod context;
mod daemon;
mod declared;
mod delete;
mod doctor;
mod end;
mod env;
mod events;
mod foreign;
mod import;
mod info;
mod leave;
mod life;
mod lifeline;
mod list;
mod logs;
mod man;
mod metrics;
mod output;
mod patterns;
mod ports;
mod refs;
mod repl;
mod restart;
mod rpc;
mod save;
mod services;
mod settings;
mod socket;
mod start;
mod starter;
mod startup;
mod stop;
mod usage;
mod why;
mod with;

use std::path::Path;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand, ValueEnum};

use crate::error::{Error, Result};
use crate::render;
use crate::render::style::ColorChoice;
use context::Context;
use output::Output;

/// Keeps the processes that you run beside your editor.
#[derive(Debug, Parser)]
#[command(name = "tsm", version, max_term_width = 100, disable_help_subcommand = false)]
#[command(after_help = "Examples:\n  tsm start python -m http.server   finds a port, gives a name\n  \
    tsm list                          what runs\n  tsm logs -f 0                     follow its log\n  \
    tsm stop all\n\nExit codes: 0 done, 1 failed, 2 usage, 3 not running, 4 not found,\n  \
    5 unreachable, 6 conflict, 124 timed out, 130 interrupted")]
struct Cli {
    /// When to write colours.
    #[arg(long, global = true, value_enum, default_value_t = When::Auto, hide_default_value = true)]
    color: When,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum When {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Start(start::Args),
    #[command(visible_aliases = ["ls", "ps"])]
    List(list::Args),
    Logs(logs::Args),
    Info(info::Args),
    Cd(cd::Args),
    Stop(stop::StopArgs),
    Restart(restart::Args),
    #[command(visible_aliases = ["rm", "del"])]
    Delete(delete::Args),
    Kill(stop::KillArgs),
    With(with::Args),
    Cleanup(delete::CleanupArgs),
    Doctor(doctor::Args),
    Ports(ports::Args),
    Env(env::Args),
    Why(why::Args),
    Events(events::Args),
    #[command(visible_alias = "sessions")]
    Agents(agents::Args),
    Daemon(daemon::Args),
    Rpc(rpc::Args),
    Metrics(metrics::Args),
    Enable(services::EnableArgs),
    Disable(services::DisableArgs),
    Show(services::ShowArgs),
    Startup(startup::Args),
    Save(save::Args),
    Patterns(patterns::Args),
    Import(import::Args),
    Capture(capture::Args),
    Socket(socket::Args),
    Ipc(socket::IpcArgs),
    Repl(repl::Args),
    Completions(completions::Args),
    #[command(hide = true)]
    Api(api::Args),
    #[command(hide = true)]
    Man(man::Args),
}

/// Runs the program and returns its exit code.
pub fn main() -> ExitCode {
    // The supervisor is started for every process: it must not pay for parsing words that it does not have. Nor must a
    // completion, whose words are those of somebody's unfinished line.
    let mut words = std::env::args_os().skip(1);
    match words.next() {
        Some(word) if word == "supervise" => {
            return match (words.next(), words.next()) {
                (Some(dir), None) => crate::supervisor::run(Path::new(&dir)),
                _ => ExitCode::from(2),
            };
        }
        Some(word) if word == "complete" => return complete::main(words),
        // An agent waits for it, and would take what clap says for an answer.
        Some(word)
            if word == "agents"
                && words.next().is_some_and(|word| word == "hook")
                && words.next().is_none() =>
        {
            return agents::hook();
        }
        // Nor must a commit, which waits for it.
        Some(word) if word == "capture" => {
            if let Some(code) = capture::commit::main(words) {
                return code;
            }
        }
        _ => {}
    }
    let cli = match daemon::Args::of_run(std::env::args_os().skip(1)) {
        Some(args) => Cli { color: When::Auto, verb: Some(Verb::Daemon(args)) },
        None => match Cli::try_parse() {
            Ok(cli) => cli,
            Err(error) => return refuse(&error),
        },
    };
    let choice = match cli.color {
        When::Auto => ColorChoice::Auto,
        When::Always => ColorChoice::Always,
        When::Never => ColorChoice::Never,
    };
    let result = Context::new(choice).and_then(|context| match cli.verb {
        None => summary(&context).map(|()| 0),
        Some(verb) => dispatch(&context, verb),
    });
    match result {
        Ok(code) => ExitCode::from(code),
        // Whoever read us has seen enough: `tsm list | head -1`.
        Err(error) if error.io_kind() == Some(std::io::ErrorKind::BrokenPipe) => ExitCode::SUCCESS,
        Err(error) => {
            say(&error, choice);
            ExitCode::from(error.kind().exit_code())
        }
    }
}

/// Prints an error, and what to type next.
fn say(error: &Error, choice: ColorChoice) {
    // Already said, one by one: see `context::Outcome`.
    if error.message().is_empty() {
        return;
    }
    let color = Output::new(settings::Settings::read().ok().as_ref(), choice).error_color;
    let _ = render::error::write(&mut std::io::stderr().lock(), error, color);
}

/// Prints what clap has to say: help on standard output, an error in our own form on standard error.
fn refuse(error: &clap::Error) -> ExitCode {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    let words: Vec<_> = std::env::args_os().skip(1).collect();
    let wrong = usage::explain(error, &Cli::command(), &words);
    say(&wrong, ColorChoice::Auto);
    ExitCode::from(wrong.kind().exit_code())
}

/// Returns the exit code, which is 0 for all but a command that was run on the user's behalf.
fn dispatch(context: &Context, verb: Verb) -> Result<u8> {
    match verb {
        Verb::Start(args) => start::run(context, &args),
        Verb::List(args) => list::run(context, &args),
        Verb::Logs(args) => logs::run(context, &args),
        Verb::Info(args) => info::run(context, &args),
        Verb::Cd(args) => cd::run(context, &args),
        Verb::Stop(args) => stop::run(context, &args),
        Verb::Restart(args) => restart::run(context, &args),
        Verb::Delete(args) => delete::run(context, &args),
        Verb::Kill(args) => stop::kill(context, &args),
        Verb::With(args) => return with::run(context, &args),
        Verb::Cleanup(args) => delete::cleanup(context, &args),
        Verb::Doctor(args) => doctor::run(context, &args),
        Verb::Ports(args) => ports::run(context, &args),
        Verb::Env(args) => env::run(context, &args),
        Verb::Why(args) => why::run(context, &args),
        Verb::Events(args) => events::run(context, &args),
        Verb::Agents(args) => agents::run(context, &args),
        Verb::Daemon(args) => daemon::run(context, &args),
        Verb::Rpc(args) => rpc::run(context, &args),
        Verb::Metrics(args) => metrics::run(context, &args),
        Verb::Enable(args) => services::enable(context, &args),
        Verb::Disable(args) => services::disable(context, &args),
        Verb::Show(args) => services::show(context, &args),
        Verb::Startup(args) => startup::run(context, &args),
        Verb::Save(args) => save::run(context, &args),
        Verb::Patterns(args) => patterns::run(context, &args),
        Verb::Import(args) => import::run(context, &args),
        Verb::Capture(args) => capture::run(context, &args),
        Verb::Socket(args) => socket::run(context, &args),
        Verb::Ipc(args) => socket::ipc(context, &args),
        Verb::Repl(_) => return repl::run(context),
        Verb::Completions(args) => completions::run(context, &args),
        Verb::Api(args) => api::run(context, &args),
        Verb::Man(args) => man::run(context, &args),
    }
    .map(|()| 0)
}

/// `tsm` alone: the short help and what runs, in one line.
fn summary(context: &Context) -> Result<()> {
    let help = Cli::command().render_help();
    let text = if context.output.color { help.ansi().to_string() } else { help.to_string() };
    context.output.bytes(text.as_bytes())?;
    let (line, processes) = list::summary(context);
    context.output.line(&format!("\n{line}"))?;
    agents::remark(context, processes);
    Ok(())
}
