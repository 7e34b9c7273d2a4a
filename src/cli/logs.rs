//! `tsm logs`: the output of processes.

use std::io::Write;
use std::time::Duration;

use super::context::Context;
use crate::error::{Error, Result, plain};
use crate::inspect::View;
use crate::logs::{self, Follower, Mix, Source};
use crate::model::{LogLimit, Name};
use crate::render::style;
use crate::store::{self, Record};
use crate::sys::watch::{Wake, Watch};

/// Show the output of processes: the last lines, or as it comes.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  tsm logs 0\n  tsm logs -f api worker\n  tsm logs --run api      only the current run"
)]
pub(super) struct Args {
    /// Names, IDs, ports, PIDs, globs, or all.
    #[arg(required = true, value_name = "REF")]
    refs: Vec<String>,
    /// Go on with what comes, across restarts and rotation; Ctrl-C ends it.
    #[arg(short, long)]
    follow: bool,
    /// How many of the last lines to show (50).
    #[arg(short = 'n', long, value_name = "N")]
    lines: Option<usize>,
    /// Only the current run.
    #[arg(long)]
    run: bool,
    /// One JSON object a line: name, run and line.
    #[arg(long)]
    json: bool,
}

/// How many lines are shown unasked.
const LINES: usize = 50;

/// How often a follower looks without having been told of a change.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

pub(super) fn run(context: &Context, args: &Args) -> Result<()> {
    let (views, errors) = context.find(&args.refs);
    let mut outcome = context.outcome();
    for error in &errors {
        outcome.failed(error);
    }
    if !views.is_empty() {
        show(context, args, &views)?;
    }
    outcome.done()
}

fn source(context: &Context, name: &Name) -> Source {
    let dir = context.layout.process(name);
    let limit = store::read_spec(&dir).found().map_or_else(LogLimit::default, |spec| spec.policy.log);
    Source {
        name: name.to_string(),
        live: context.layout.log(name),
        keep: limit.keep,
        base: Box::new(move || match store::read_status(&dir) {
            Record::Found(status) => Some(status.log_base),
            _ => None,
        }),
    }
}

/// The last `lines` of a process's current run.
pub(super) fn last_lines(context: &Context, name: &Name, lines: usize) -> Vec<u8> {
    logs::tail(&source(context, name), lines).map(|tail| tail.bytes).unwrap_or_default()
}

fn show(context: &Context, args: &Args, views: &[View]) -> Result<()> {
    let sources: Vec<Source> = views.iter().map(|view| source(context, &view.name)).collect();
    let mut writer = Writer::new(context, args, views);
    let mut positions = Vec::new();
    for (index, (source, view)) in sources.iter().zip(views).enumerate() {
        let (bytes, end) = beginning(args, source, view)?;
        writer.push(index, &bytes)?;
        positions.push(end);
    }
    if !args.follow {
        return writer.finish();
    }
    let mut followers: Vec<Follower<'_>> =
        sources.iter().zip(positions).map(|(source, at)| Follower::new(source, at)).collect();
    let paths: Vec<&std::path::Path> = sources.iter().map(|source| source.live.as_path()).collect();
    let mut watch = Watch::new(&paths)
        .map_err(|error| Error::failed(format!("cannot watch the logs: {}", plain(&error))))?;
    let mut buffer = Vec::new();
    loop {
        for (index, follower) in followers.iter_mut().enumerate() {
            loop {
                buffer.clear();
                let more = follower.read(&mut buffer)?;
                writer.push(index, &buffer)?;
                if !more {
                    break;
                }
            }
        }
        let out = std::io::stdout();
        let woken = watch
            .wait_or_gone(Some(LOOK_AGAIN), std::os::fd::AsFd::as_fd(&out))
            .map_err(|error| Error::failed(format!("cannot watch the logs: {}", plain(&error))))?;
        if woken == Wake::Gone {
            return Ok(());
        }
    }
}

/// What is shown first, and the position after it.
fn beginning(args: &Args, source: &Source, view: &View) -> Result<(Vec<u8>, u64)> {
    if !args.run {
        let tail = logs::tail(source, args.lines.unwrap_or(LINES))?;
        return Ok((tail.bytes, tail.end));
    }
    let mut bytes = Vec::new();
    let from = view.record.as_ref().map_or(0, |status| status.run_log);
    let end = logs::from(source, from, &mut bytes)?;
    if let Some(lines) = args.lines {
        let kept = last(&bytes, lines);
        bytes.drain(..bytes.len() - kept);
    }
    Ok((bytes, end))
}

/// How many bytes the last `lines` lines of `bytes` have.
fn last(bytes: &[u8], lines: usize) -> usize {
    let body = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let mut breaks = body.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at);
    if lines == 0 {
        return 0;
    }
    breaks.nth(lines - 1).map_or(bytes.len(), |at| bytes.len() - at - 1)
}

/// Writes several logs as one.
struct Writer {
    mix: Option<Mix>,
    json: Option<Vec<(String, u64, Vec<u8>)>>,
    out: Vec<u8>,
}

impl Writer {
    fn new(context: &Context, args: &Args, views: &[View]) -> Self {
        let names: Vec<(&str, anstyle::Style)> =
            views.iter().enumerate().map(|(at, view)| (view.name.as_str(), style::prefix(at))).collect();
        Writer {
            mix: (!args.json).then(|| Mix::new(&names, context.output.color)),
            json: args
                .json
                .then(|| views.iter().map(|view| (view.name.to_string(), view.run, Vec::new())).collect()),
            out: Vec::new(),
        }
    }

    fn push(&mut self, index: usize, bytes: &[u8]) -> Result<()> {
        if let Some(mix) = &mut self.mix {
            mix.push(index, bytes, &mut self.out);
        } else if let Some((name, run, held)) = self.json.as_mut().and_then(|all| all.get_mut(index)) {
            held.extend_from_slice(bytes);
            while let Some(end) = held.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = held.drain(..=end).collect();
                json_line(&mut self.out, name, *run, &line[..end])?;
            }
        }
        self.flush()
    }

    fn finish(mut self) -> Result<()> {
        if let Some(mix) = &mut self.mix {
            mix.finish(&mut self.out);
        }
        for (name, run, held) in self.json.take().into_iter().flatten() {
            if !held.is_empty() {
                json_line(&mut self.out, &name, run, &held)?;
            }
        }
        self.flush()
    }

    fn flush(&mut self) -> Result<()> {
        let mut out = std::io::stdout().lock();
        let written = out.write_all(&self.out).and_then(|()| out.flush());
        self.out.clear();
        written.map_err(|error| Error::io_kind_of(&error, format!("cannot write the log: {}", plain(&error))))
    }
}

fn json_line(out: &mut Vec<u8>, name: &str, run: u64, line: &[u8]) -> Result<()> {
    let value = serde_json::json!({ "name": name, "run": run, "line": String::from_utf8_lossy(line) });
    crate::render::json::line(out, &value).map_err(|error| Error::failed(plain(&error)))
}
