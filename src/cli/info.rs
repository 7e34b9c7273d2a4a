//! `tsm info`: everything about one process.

use serde::Serialize;

use super::context::Context;
use super::{lifeline, refs, start};
use crate::envfile;
use crate::error::{Error, Kind, Result};
use crate::inspect::View;
use crate::model::{EnvVar, Lifeline, Origin, Reason, Spec, State};
use crate::render::{human, shell_quote, style};
use crate::store;
use crate::sys::process;

/// Show everything about processes.
///
/// The tree, the ports, use of CPU and memory, the last exit, the log, and why the plan is what it is.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  tsm info 0 --json | jq .ports\n\nExit code 3 when a process is not running."
)]
pub(super) struct Args {
    /// Names, IDs, ports, PIDs, globs, or all.
    #[arg(required = true, value_name = "REF")]
    refs: Vec<String>,
    /// Print a JSON object; an array for several refs, globs and all.
    #[arg(long)]
    json: bool,
}

/// How many lines of a function are shown; `--json` has all.
const LINES: usize = 20;

/// The object of `tsm info --json`: that of `list`, with more.
#[derive(Debug, Serialize)]
struct Details<'a> {
    #[serde(flatten)]
    view: &'a View,
    argv: Option<Vec<String>>,
    service: Option<String>,
    function: Option<start::Function>,
    tree: Vec<Member>,
    started: Option<String>,
    log_bytes: Option<u64>,
    restart: Option<String>,
    max_restarts: Option<u32>,
    stop_signal: Option<String>,
    stop_timeout_ms: Option<u64>,
    socket: String,
    env_vars: Vec<String>,
    ends_with: Option<EndsWith>,
    reasons: Vec<Reason>,
}

/// The process that it is bound to.
#[derive(Debug, Serialize)]
struct EndsWith {
    what: String,
    pid: i32,
    alive: bool,
    #[serde(skip)]
    shown: String,
}

#[derive(Debug, Serialize)]
struct Member {
    pid: i32,
    ppid: i32,
    command: String,
    memory_bytes: u64,
    #[serde(skip)]
    depth: usize,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<()> {
    let (views, errors) = context.find(&args.refs);
    let mut outcome = context.outcome();
    for error in &errors {
        outcome.failed(error);
    }
    let all: Vec<Details<'_>> = views.iter().map(details).collect();
    let for_one = matches!(args.refs.as_slice(), [text] if !refs::means_several(text));
    match (args.json, all.as_slice()) {
        // Null when there is no such process.
        (true, all) if for_one => context.output.json(&all.first())?,
        (true, all) => context.output.json(&all)?,
        (false, all) => {
            for (at, one) in all.iter().enumerate() {
                if at > 0 {
                    context.output.line("")?;
                }
                print(context, one)?;
            }
        }
    }
    outcome.done()?;
    if all.is_empty() && errors.is_empty() && !args.json {
        context.output.line("nothing is tracked")?;
    }
    if views.iter().any(|view| !view.status.live()) {
        return Err(Error::new(Kind::NotRunning, ""));
    }
    Ok(())
}

fn details(view: &View) -> Details<'_> {
    let spec: Option<Spec> = store::read_spec(&view.dir).found();
    let policy = spec.as_ref().map(|spec| &spec.policy);
    Details {
        argv: spec.as_ref().map(|spec| spec.argv.clone()),
        service: spec.as_ref().and_then(|spec| match &spec.origin {
            Origin::Service(name) => Some(name.to_string()),
            Origin::Command => None,
        }),
        function: spec.as_ref().and_then(|spec| spec.function.as_ref()).map(|function| {
            let file = view.dir.function();
            let text = std::fs::read(&file).unwrap_or_default();
            start::shown_function(&function.name, &function.helpers, Some(&file), &text)
        }),
        tree: members(view),
        started: view
            .record
            .as_ref()
            .filter(|status| status.started_ms > 0)
            .map(|status| human::time(status.started_ms)),
        log_bytes: std::fs::metadata(&view.log_path).ok().map(|facts| facts.len()),
        restart: policy.map(|policy| policy.restart.to_string()),
        max_restarts: policy.map(|policy| policy.max_restarts),
        stop_signal: policy.map(|policy| policy.stop_signal.to_string()),
        stop_timeout_ms: policy.map(|policy| policy.stop_timeout_ms),
        socket: view.dir.address(&view.dir.socket()).display().to_string(),
        env_vars: spec.as_ref().map(|spec| spec.env_vars.iter().map(shown_var).collect()).unwrap_or_default(),
        ends_with: spec.as_ref().and_then(|spec| spec.lifeline.as_ref()).map(ends_with),
        reasons: spec.map(|spec| spec.reasons).unwrap_or_default(),
        view,
    }
}

fn ends_with(bound: &Lifeline) -> EndsWith {
    let alive = lifeline::lives(bound);
    let shown = if alive { bound.to_string() } else { format!("{bound}, which has ended") };
    EndsWith { what: bound.what.clone(), pid: bound.identity.pid.get(), alive, shown }
}

fn shown_var((name, setting): (&String, &EnvVar)) -> String {
    match setting {
        EnvVar::Value(value) => format!("{name}={}", envfile::shown(name, value)),
        EnvVar::Secret => format!("{name}=(kept in memory only)"),
    }
}

fn members(view: &View) -> Vec<Member> {
    let mut all: Vec<Member> = Vec::new();
    for process in &view.tree {
        let depth = all.iter().find(|parent| parent.pid == process.ppid).map_or(0, |parent| parent.depth + 1);
        let argv = process::argv(process.pid);
        let command = if argv.is_empty() { process.comm.to_string() } else { shell_quote::join(&argv) };
        all.push(Member {
            pid: process.pid.get(),
            ppid: process.ppid,
            command,
            memory_bytes: process.rss_bytes,
            depth,
        });
    }
    all
}

fn print(context: &Context, one: &Details<'_>) -> Result<()> {
    let view = one.view;
    let out = &context.output;
    let paint = |style: anstyle::Style, text: &str| {
        if out.color { format!("{style}{text}{style:#}") } else { text.to_owned() }
    };
    let field = |name: &str, value: &str| out.line(&format!("  {name:<10}  {value}"));
    out.bytes(format!("{}\n", paint(style::TITLE, &view.title())).as_bytes())?;
    out.bytes(
        format!("  {:<10}  {}", "status", paint(style::state(view.status), view.status.as_str())).as_bytes(),
    )?;
    out.line(&view.note.as_ref().map(|note| format!(" ({note})")).unwrap_or_default())?;
    field("command", &view.command)?;
    if let Some(argv) =
        one.argv.as_ref().map(|argv| shell_quote::join(argv)).filter(|argv| *argv != view.command)
    {
        field("runs", &argv)?;
    }
    field("directory", &view.cwd)?;
    if let Some(service) = &one.service {
        field("service", service)?;
    }
    if let Some(function) = &one.function {
        print_function(context, function)?;
    }
    field("type", view.kind.as_str())?;
    if view.port.is_some() || !view.ports.is_empty() {
        field("port", &ports(view))?;
    }
    if let Some(pid) = view.pid {
        field(
            "pid",
            &format!(
                "{pid} (supervisor {})",
                view.supervisor_pid.map_or("none".into(), |pid| pid.to_string())
            ),
        )?;
    }
    if let Some(started) = &one.started {
        let up = view.uptime_ms.map(|ms| format!(", up {}", human::span(ms))).unwrap_or_default();
        field("started", &format!("{started}{up}"))?;
    }
    if let (Some(cpu), Some(memory)) = (view.cpu_percent, view.memory_bytes) {
        field("uses", &format!("CPU {}, memory {}", human::percent(cpu), human::bytes(memory)))?;
    }
    let policy = match (one.restart.as_deref(), one.max_restarts) {
        (None, _) => "policy unknown".to_owned(),
        (Some("no"), _) | (_, None) => "policy no".to_owned(),
        (Some(policy), Some(most)) => format!("policy {policy}, at most {most} in a row"),
    };
    field("restarts", &format!("{} ({policy})", view.restarts))?;
    if let Some(by) = &view.started_by {
        let ended = if by.alive { "" } else { ", which has ended" };
        field("started by", &format!("{}{ended}", by.starter))?;
    }
    if let Some(bound) = &one.ends_with {
        field("ends with", &bound.shown)?;
    }
    if let Some(exit) = view.exit {
        field("last exit", &format!("{exit}, {}", human::time(exit.at_ms)))?;
    }
    if let Some(env) = &view.env_file {
        field("env file", env)?;
    }
    for var in &one.env_vars {
        field("env", var)?;
    }
    let size = match one.log_bytes {
        None => "none yet".to_owned(),
        Some(0) => "empty".to_owned(),
        Some(bytes) => human::bytes(bytes),
    };
    field("log", &format!("{} ({size})", view.log_path))?;
    field("socket", &one.socket)?;
    if view.status != State::Unsupervised || !one.tree.is_empty() {
        for (at, member) in one.tree.iter().enumerate() {
            let name = if at == 0 { "tree" } else { "" };
            let indent = "  ".repeat(member.depth);
            field(name, &format!("{indent}{} {}", member.pid, member.command))?;
        }
    }
    for (at, reason) in one.reasons.iter().enumerate() {
        let name = if at == 0 { "plan" } else { "" };
        field(name, &format!("{} {}: {}", reason.what, reason.value, reason.why))?;
    }
    Ok(())
}

/// The name of a function, what is kept with it, and the beginning of its text.
fn print_function(context: &Context, function: &start::Function) -> Result<()> {
    let with = match function.helpers.as_slice() {
        [] => String::new(),
        helpers => format!(" (with {})", helpers.join(", ")),
    };
    context.output.line(&format!("  {:<10}  {}{with}", "function", function.name))?;
    let bare = |line: &&str| line.starts_with('#') || line.starts_with("shopt ");
    let lines: Vec<&str> = function.text.lines().skip_while(bare).collect();
    for line in lines.iter().take(LINES) {
        context.output.line(&format!("  {:<10}    {line}", ""))?;
    }
    let left = lines.len().saturating_sub(LINES);
    if let Some(file) = function.file.as_ref().filter(|_| left > 0) {
        context.output.line(&format!("  {:<10}    … {left} more lines: {}", "", file.display()))?;
    }
    Ok(())
}

fn ports(view: &View) -> String {
    let real = view.ports.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
    match (view.port, view.ports.is_empty()) {
        (Some(port), true) => format!("{port} (not listening)"),
        (Some(port), false) if view.ports.contains(&port) && view.ports.len() == 1 => {
            format!("{port} (listening)")
        }
        (Some(port), false) if view.ports.contains(&port) => format!("{port} (listening; also {real})"),
        (Some(port), false) => format!("{port} was planned, but it listens on {real}"),
        (None, _) => format!("{real} (listening)"),
    }
}
