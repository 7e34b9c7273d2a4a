//! The options of `tsm start`.

use std::path::PathBuf;

use super::is_secret;
use crate::cli::{lifeline, services};
use crate::model::{Kind, Name, RestartPolicy, StopSignal};

/// Start a command, a service, or what was stopped.
///
/// Options of tsm end at the first word that is not one; what follows is the command, word for word. One quoted word is
/// split by shell rules, and run by bash when it has shell syntax. In a shell that has sourced shell/tsm.sh, the command
/// may be one of its functions or aliases: the text is kept with what it calls, for every later run. Variables that are
/// not exported, and options of the shell, are not.
#[derive(Debug, Default, clap::Args)]
#[command(override_usage = "tsm start [OPTIONS] [--] WORD...")]
#[command(
    after_help = "Examples:\n  tsm start python -m http.server\n  tsm start --env dev --port 4000 node server.js\n  \
    tsm start 'npm run build && node dist/app.js'\n  tsm start my-service\n  \
    tsm start my_function arguments\n  tsm start --dry-run npm start"
)]
pub(crate) struct Args {
    /// Environment: a name (env/NAME.env) or a file, sourced by bash at every start.
    #[arg(long, value_name = "NAME|FILE", conflicts_with = "no_env")]
    pub(super) env: Option<String>,
    /// Read no environment file, not even one that is found.
    #[arg(long)]
    pub(super) no_env: bool,
    /// Set a variable for the program; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(super) env_var: Vec<String>,
    /// The port it is to listen on, 1 to 65535.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) port: Option<u16>,
    /// The name; the port is added to it.
    #[arg(long, value_parser = parse_name)]
    pub(super) name: Option<Name>,
    /// The working directory.
    #[arg(long, value_name = "DIRECTORY")]
    pub(super) dir: Option<PathBuf>,
    /// What it is: port, socket or pid.
    #[arg(long)]
    pub(super) kind: Option<Kind>,
    /// When to start it again: no, on-failure (the default) or always.
    #[arg(long, value_name = "POLICY")]
    pub(super) restart: Option<RestartPolicy>,
    /// How many restarts in a row are allowed (10).
    #[arg(long, value_name = "N")]
    pub(super) max_restarts: Option<u32>,
    /// How long a graceful stop may take before KILL (10s).
    #[arg(long, value_name = "TIME", value_parser = services::parse_time)]
    pub(super) stop_timeout: Option<u64>,
    /// The signal of a graceful stop (TERM).
    #[arg(long, value_name = "SIGNAL")]
    pub(super) stop_signal: Option<StopSignal>,
    /// The size above which the log's head is moved to a rotated file (10MiB).
    #[arg(long, value_name = "SIZE", value_parser = services::parse_size)]
    pub(super) log_max_size: Option<u64>,
    /// How many rotated logs are kept (5).
    #[arg(long, value_name = "N")]
    pub(super) log_keep: Option<u32>,
    /// End it when this shell ends; without the shell function, when the caller of tsm ends.
    #[arg(long)]
    pub(super) with_shell: bool,
    /// End it when the coding agent ends that tsm was called from.
    #[arg(long, conflicts_with = "with_shell")]
    pub(super) with_agent: bool,
    /// Return when it is ready, or fail with its last lines; 30 seconds unless said otherwise.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "30",
        value_parser = parse_seconds, conflicts_with = "no_wait")]
    pub(super) wait: Option<u64>,
    /// Return as soon as the program runs; the default where standard output is not a terminal.
    #[arg(long)]
    pub(super) no_wait: bool,
    /// Print what would be done and why, and do nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Print a JSON object.
    #[arg(long)]
    pub(super) json: bool,
    /// The descriptor on which the shell layer hands over the functions and aliases of its shell.
    #[arg(long, value_name = "N", hide = true, value_parser = clap::value_parser!(i32).range(3..))]
    pub(super) shell_fd: Option<i32>,
    /// A service, the name of a tracked process, or a command.
    #[arg(trailing_var_arg = true, value_name = "WORD")]
    pub(super) words: Vec<String>,
}

/// A name that is not `all`.
pub(crate) fn parse_name(text: &str) -> Result<Name, String> {
    match Name::parse(text) {
        Ok(_) if text == "all" => Err("all is what every process is called".into()),
        Ok(name) => Ok(name),
        Err(why) => Err(why.to_string()),
    }
}

/// Seconds, or a time such as `500ms` or `2m`; in milliseconds.
pub(crate) fn parse_seconds(text: &str) -> Result<u64, String> {
    match text.parse::<u64>() {
        Ok(seconds) => Ok(seconds.saturating_mul(1000)),
        Err(_) => services::parse_time(text),
    }
}

impl Args {
    /// A dry run of a command under a name, told as JSON.
    pub(crate) fn dry(name: Name, words: Vec<String>) -> Self {
        Args { name: Some(name), words, dry_run: true, json: true, ..Args::default() }
    }
}

/// The options that make another process of the same command. Values of secrets are left out.
pub(super) fn options(args: &Args) -> Vec<String> {
    let mut all = Vec::new();
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            all.push(format!("{name}={value}"));
        }
    };
    add("--env", args.env.clone());
    add("--no-env", args.no_env.then(String::new));
    add("--port", args.port.map(|port| port.to_string()));
    add("--name", args.name.as_ref().map(Name::to_string));
    add("--kind", args.kind.map(|kind| kind.to_string()));
    add("--restart", args.restart.map(|policy| policy.to_string()));
    add("--max-restarts", args.max_restarts.map(|count| count.to_string()));
    add("--stop-timeout", args.stop_timeout.map(|ms| ms.to_string()));
    add("--stop-signal", args.stop_signal.map(|signal| signal.to_string()));
    add("--log-max-size", args.log_max_size.map(|size| size.to_string()));
    add("--log-keep", args.log_keep.map(|count| count.to_string()));
    for setting in &args.env_var {
        let (name, value) = setting.split_once('=').unwrap_or((setting, ""));
        add("--env-var", Some(if is_secret(name, value) { name.to_owned() } else { setting.clone() }));
    }
    // The last one: it comes and goes with the shells and agents that the process is bound to.
    let bound = [args.with_shell, args.with_agent].into_iter().zip(lifeline::OPTIONS);
    all.extend(bound.filter(|(given, _)| *given).map(|(_, (_, option))| option.to_owned()));
    all
}
