//! `tsm api`: what the utilities of the shell layer ask; hidden, because people have verbs for it.

use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal, Read};
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use super::context::Context;
use super::logs;
use super::start::{self, Preview, preview};
use crate::error::{Error, Kind, Result};
use crate::inspect::{View, port_owner};
use crate::logs::{Announced, announced};
use crate::model::{self, Name, Pid};
use crate::plan::{DefaultPort, Pattern};
use crate::sys::process;

/// How much of a run's output is searched for the port, in bytes: it is announced at the beginning.
const HEAD: usize = 1 << 20;

/// The longest line that is looked at, in bytes; of a longer one, each such part.
const LINE: u64 = 64 << 10;

/// Answer what the functions of the shell layer ask.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tsm api service-info python -m http.server")]
pub(super) struct Args {
    #[command(subcommand)]
    function: Function,
}

#[derive(Debug, clap::Subcommand)]
enum Function {
    /// Print what a command is to tsm.
    ServiceInfo(Command),
    /// Find out whether class, pattern and template of a command agree.
    ValidateClassification(Command),
    /// Exit with 0 when a process lives; a zombie does not.
    IsPidAlive {
        /// The process.
        #[arg(value_name = "PID", value_parser = clap::value_parser!(u32).range(1..))]
        pid: u32,
    },
    /// Print the PID of who listens on a port.
    PortPid {
        /// The port.
        #[arg(value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
        port: u16,
    },
    /// Print a JSON object that tells of a success.
    JsonSuccess {
        /// What to tell.
        message: String,
        /// JSON; what is none becomes a string.
        #[arg(allow_hyphen_values = true)]
        data: Option<String>,
    },
    /// Print a JSON object that tells of a failure.
    JsonError {
        /// What to tell.
        message: String,
        /// A number or a word.
        #[arg(allow_hyphen_values = true)]
        code: Option<String>,
        /// JSON; what is none becomes a string.
        #[arg(allow_hyphen_values = true)]
        details: Option<String>,
    },
    /// Print what would be started, as JSON, and do nothing.
    CreateMetadata {
        /// The name of the process, before its port.
        #[arg(value_name = "NAME", value_parser = start::parse_name)]
        name: Name,
        /// The command.
        #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
        command: Vec<String>,
    },
    /// Print the port that a program listens on, or says that it does.
    DiscoverPort {
        /// A tracked process, a file with its output, or - for standard input.
        #[arg(value_name = "REF|FILE", default_value = "-", hide_default_value = true)]
        source: String,
    },
}

#[derive(Debug, clap::Args)]
struct Command {
    /// The command, in one word or several.
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
    words: Vec<String>,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<()> {
    match &args.function {
        Function::ServiceInfo(command) => service_info(context, &command.words),
        Function::ValidateClassification(command) => validate(context, &command.words),
        Function::IsPidAlive { pid } => {
            if is_alive(*pid) {
                Ok(())
            } else {
                Err(no())
            }
        }
        Function::PortPid { port } => port_pid(context, *port),
        Function::JsonSuccess { message, data } => {
            tell(context, &Good { success: true, message, data: value(data.as_deref()) })
        }
        Function::JsonError { message, code, details } => {
            let error = Failure { message, code: word(code.as_deref()), details: value(details.as_deref()) };
            tell(context, &Bad { success: false, error })
        }
        Function::CreateMetadata { name, command } => {
            start::run(context, &start::Args::dry(name.clone(), command.clone()))
        }
        Function::DiscoverPort { source } => discover(context, source),
    }
}

/// The answer "no": an exit code without words.
fn no() -> Error {
    Error::new(Kind::Failed, "")
}

// ---- classification

fn class(kind: model::Kind) -> &'static str {
    match kind {
        model::Kind::Port => "port-based",
        model::Kind::Socket => "socket-based",
        model::Kind::Pid => "pid-based",
    }
}

fn service_info(context: &Context, words: &[String]) -> Result<()> {
    let Preview { plan, .. } = preview(context, words)?;
    // One of the range is no default: it is chosen when the command is started.
    let port =
        plan.port.filter(|_| !plan.allocated).map_or_else(|| "none".to_owned(), |port| port.to_string());
    context.output.line("Service Classification:")?;
    for (name, value) in [
        ("Type", class(plan.kind)),
        ("Port Required", if plan.kind == model::Kind::Port { "true" } else { "false" }),
        ("IPC Enabled", if plan.kind == model::Kind::Socket { "true" } else { "false" }),
        ("Default Port", port.as_str()),
    ] {
        context.output.line(&format!("  {name}: {value}"))?;
    }
    Ok(())
}

fn validate(context: &Context, words: &[String]) -> Result<()> {
    let Preview { plan, pattern } = preview(context, words)?;
    let Some(pattern) = pattern else {
        return context.output.line(&format!("consistent: {}, no pattern matches", class(plan.kind)));
    };
    let mut wrong: Vec<String> = contradictions(&pattern);
    let (found, expected) = (class(plan.kind), class_of(&pattern));
    if found != expected {
        let why = plan.reasons.iter().find(|reason| reason.what == "port");
        let why = why.map_or_else(String::new, |reason| format!(" ({})", reason.why));
        wrong.push(format!("the command is {found}{why}, its pattern says {expected}"));
    }
    if wrong.is_empty() {
        return context.output.line(&format!("consistent: {found}, pattern {:?}", pattern.name));
    }
    Err(Error::failed(format!("pattern {:?}: {}", pattern.name, wrong.join("; ")))
        .hint(format!("tsm patterns {}", crate::render::shell_quote::join(words))))
}

fn class_of(pattern: &Pattern) -> &'static str {
    match pattern.port {
        DefaultPort::Tcp(_) => class(model::Kind::Port),
        DefaultPort::Socket => class(model::Kind::Socket),
        DefaultPort::None => class(model::Kind::Pid),
    }
}

/// Where a pattern contradicts itself.
fn contradictions(pattern: &Pattern) -> Vec<String> {
    let mut wrong = Vec::new();
    let template = &pattern.template;
    if template.contains("{port}") && !matches!(pattern.port, DefaultPort::Tcp(_)) {
        wrong.push(format!("its template {template:?} wants a port, and it has none"));
    }
    // What looks like a placeholder and is none would reach the program as it stands.
    let unknown = template.split('{').skip(1).filter_map(|part| part.split_once('}').map(|(name, _)| name));
    for name in unknown.filter(|name| !matches!(*name, "cmd" | "port") && is_word(name)) {
        wrong.push(format!("its template {template:?} has {{{name}}}, which nothing replaces"));
    }
    wrong
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

// ---- processes and ports

fn is_alive(pid: u32) -> bool {
    // PID 1 is nobody's target, so it is no `Pid`; it always lives.
    pid == 1
        || i32::try_from(pid)
            .ok()
            .and_then(Pid::new)
            .and_then(process::read)
            .is_some_and(|process| !process.is_dead())
}

fn port_pid(context: &Context, port: u16) -> Result<()> {
    let Some(owner) = port_owner(port) else { return Err(no()) };
    let Some(pid) = owner.pid else {
        context.output.remark(&format!("port {port} is held by a program of another user"));
        return Err(no());
    };
    context.output.line(&pid.to_string())
}

fn discover(context: &Context, source: &str) -> Result<()> {
    let (what, port) = if source == "-" {
        let input = std::io::stdin().lock();
        if std::io::stdin().is_terminal() {
            return Err(Error::usage("discover-port reads the output of a program from standard input")
                .hint("tsm logs NAME | tsm api discover-port"));
        }
        ("standard input".to_owned(), in_lines(input, Path::new("standard input"))?)
    } else if source.contains('/') {
        (source.to_owned(), in_file(Path::new(source))?)
    } else {
        match context.find_one(source) {
            Ok(view) => (view.name.to_string(), of_process(context, &view)),
            Err(error) if error.kind() == Kind::NotFound && Path::new(source).is_file() => {
                (source.to_owned(), in_file(Path::new(source))?)
            }
            Err(error) => return Err(error),
        }
    };
    match port {
        Some(port) => context.output.line(&port.to_string()),
        None => Err(Error::failed(format!("{what} names no port"))),
    }
}

/// What it listens on as the kernel knows; else what it says of itself.
fn of_process(context: &Context, view: &View) -> Option<u16> {
    let planned = view.port.filter(|port| view.ports.contains(port));
    planned.or_else(|| view.ports.first().copied()).or_else(|| {
        let output = logs::head_of_run(context, view, HEAD);
        announced(&String::from_utf8_lossy(&output))
    })
}

fn in_file(path: &Path) -> Result<Option<u16>> {
    let file = File::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Error::not_found(format!("{} does not exist", path.display())),
        _ => Error::io("read", path, &error),
    })?;
    in_lines(BufReader::new(file), path)
}

/// Reads no further than to the first announcement, so that a pipe that goes on is no obstacle.
fn in_lines(mut input: impl BufRead, path: &Path) -> Result<Option<u16>> {
    let mut search = Announced::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut input).take(LINE).read_until(b'\n', &mut line);
        if read.map_err(|error| Error::io("read", path, &error))? == 0 {
            return Ok(search.end());
        }
        if let Some(port) = search.line(&String::from_utf8_lossy(&line)) {
            return Ok(Some(port));
        }
    }
}

// ---- JSON

#[derive(Serialize)]
struct Good<'a> {
    success: bool,
    message: &'a str,
    data: Value,
}

#[derive(Serialize)]
struct Bad<'a> {
    success: bool,
    error: Failure<'a>,
}

#[derive(Serialize)]
struct Failure<'a> {
    message: &'a str,
    code: Value,
    details: Value,
}

/// One line, for scripts that read lines.
fn tell(context: &Context, value: &impl Serialize) -> Result<()> {
    let mut line = Vec::new();
    crate::render::json::line(&mut line, value)
        .map_err(|error| Error::io_kind_of(&error, format!("cannot write the answer: {error}")))?;
    context.output.bytes(&line)
}

/// JSON as it is, anything else as a string.
fn value(text: Option<&str>) -> Value {
    text.map_or(Value::Null, |text| serde_json::from_str(text).unwrap_or_else(|_| text.into()))
}

/// A whole number as such, anything else as a string.
fn word(text: Option<&str>) -> Value {
    text.map_or(Value::Null, |text| text.parse::<i64>().map_or_else(|_| text.into(), Value::from))
}
