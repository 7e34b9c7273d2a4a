//! `tsm logs`: the output of processes.

use std::io::Write;
use std::time::{Duration, Instant};

use super::context::Context;
use crate::error::{Error, Result, plain};
use crate::inspect::View;
use crate::logs::{self, Follower, Mix, Source};
use crate::model::{LogLimit, Name, Status};
use crate::render::style;
use crate::store::{self, ProcessDir, Record};
use crate::sys::watch::{Wake, Watch};
use crate::sys::{lock, poll, process};

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
    /// One JSON object a line: name, run (null for runs before the current one) and line.
    #[arg(long)]
    json: bool,
}

/// How many lines are shown unasked.
const LINES: usize = 50;

/// How long the status may tell of a run that has ended while the next one writes already: for a busy machine.
const UNTOLD: Duration = Duration::from_secs(1);

/// How often a follower looks without having been told of a change.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

pub(super) fn run(context: &Context, args: &Args) -> Result<()> {
    let (mut views, mut errors) = context.find(&args.refs);
    let mut left = Vec::new();
    if !errors.is_empty() {
        let refs: Vec<String>;
        (left, refs) = left_behind(context, &args.refs);
        (views, errors) = context.find(&refs);
    }
    let mut outcome = context.outcome();
    for error in &errors {
        outcome.failed(error);
    }
    let mut shown: Vec<Shown> = views.iter().map(Shown::of).collect();
    for name in left {
        context.output.remark(&format!("{name} was deleted; this is the log that it left"));
        shown.push(Shown { name, run: None });
    }
    if !shown.is_empty() {
        show(context, args, &shown)?;
    }
    outcome.done()
}

/// The names among `refs` of which nothing is left but a log, and the other refs. Deleting keeps the log, so that name
/// is still an answer to what was logged.
pub(super) fn left_behind(context: &Context, refs: &[String]) -> (Vec<Name>, Vec<String>) {
    let mut left: Vec<Name> = Vec::new();
    let mut others = Vec::new();
    for text in refs {
        let name = Name::parse(text).ok().filter(|name| context.layout.log(name).is_file());
        match name.filter(|_| context.find(std::slice::from_ref(text)).0.is_empty()) {
            Some(name) if left.contains(&name) => {}
            Some(name) => left.push(name),
            None => others.push(text.clone()),
        }
    }
    (left, others)
}

/// A log that is to be shown.
struct Shown {
    name: Name,
    /// The current run, or the last one, and where in the log it begins.
    run: Option<Run>,
}

/// A run and the position of its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    number: u64,
    from: u64,
}

impl Shown {
    fn of(view: &View) -> Self {
        Shown { name: view.name.clone(), run: view.record.as_ref().map(Run::of) }
    }
}

impl Run {
    fn of(status: &Status) -> Self {
        Run { number: status.run, from: status.run_log }
    }
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

/// The last `lines` lines of a process's current run, or its last.
pub(super) fn last_of_run(context: &Context, view: &View, lines: usize) -> Vec<u8> {
    let tail = logs::tail(&source(context, &view.name), lines).unwrap_or_default();
    let begin = view.record.as_ref().map_or(0, |status| status.run_log);
    let of_run = usize::try_from(tail.end.saturating_sub(begin)).unwrap_or(usize::MAX);
    tail.bytes[tail.bytes.len().saturating_sub(of_run)..].to_vec()
}

/// The first `limit` bytes that the current or last run of a process has logged.
pub(super) fn head_of_run(context: &Context, view: &View, limit: usize) -> Vec<u8> {
    let mut head = Head { bytes: Vec::new(), limit };
    let from = view.record.as_ref().map_or(0, |status| status.run_log);
    // It ends with an error where the head is full; and of a log that cannot be read there is no head.
    let _ = logs::from(&source(context, &view.name), from, &mut head);
    head.bytes
}

/// Takes so many bytes and no more.
struct Head {
    bytes: Vec<u8>,
    limit: usize,
}

impl std::io::Write for Head {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let taken = bytes.len().min(self.limit - self.bytes.len());
        self.bytes.extend_from_slice(&bytes[..taken]);
        // 0 is the error of `write_all`.
        Ok(taken)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn show(context: &Context, args: &Args, shown: &[Shown]) -> Result<()> {
    let sources: Vec<Source> = shown.iter().map(|one| source(context, &one.name)).collect();
    let mut writer = Writer::new(context, args, shown);
    let mut positions = Vec::new();
    for (index, (source, one)) in sources.iter().zip(shown).enumerate() {
        let (bytes, end) = beginning(args, source, one)?;
        if bytes.is_empty() && context.output.terminal && args.lines != Some(0) {
            context.output.remark(&format!("{} has logged nothing yet", one.name));
        }
        writer.push(index, &bytes, end)?;
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
                writer.push(index, &buffer, follower.position())?;
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
fn beginning(args: &Args, source: &Source, shown: &Shown) -> Result<(Vec<u8>, u64)> {
    if !args.run {
        let tail = logs::tail(source, args.lines.unwrap_or(LINES))?;
        return Ok((tail.bytes, tail.end));
    }
    let mut bytes = Vec::new();
    let from = shown.run.map_or(0, |run| run.from);
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
enum Writer {
    /// For people.
    Text(Mix, Vec<u8>),
    /// For programs: a line of JSON for each line.
    Json(Vec<JsonLog>, Vec<u8>),
}

impl Writer {
    fn new(context: &Context, args: &Args, shown: &[Shown]) -> Self {
        if args.json {
            return Writer::Json(shown.iter().map(|one| JsonLog::new(context, one)).collect(), Vec::new());
        }
        let names: Vec<(&str, anstyle::Style)> =
            shown.iter().enumerate().map(|(at, one)| (one.name.as_str(), style::prefix(at))).collect();
        Writer::Text(Mix::new(&names, context.output.color), Vec::new())
    }

    /// Takes new bytes of the log with this index, which end at the position `end` of that log.
    fn push(&mut self, index: usize, bytes: &[u8], end: u64) -> Result<()> {
        match self {
            Writer::Text(mix, out) => mix.push(index, bytes, out),
            Writer::Json(logs, out) => {
                if let Some(log) = logs.get_mut(index) {
                    log.push(bytes, end, out)?;
                }
            }
        }
        self.flush()
    }

    /// Writes the lines that never ended.
    fn finish(mut self) -> Result<()> {
        match &mut self {
            Writer::Text(mix, out) => mix.finish(out),
            Writer::Json(logs, out) => {
                for log in logs {
                    log.finish(out)?;
                }
            }
        }
        self.flush()
    }

    fn flush(&mut self) -> Result<()> {
        let (Writer::Text(_, out) | Writer::Json(_, out)) = self;
        let mut stdout = std::io::stdout().lock();
        let written = stdout.write_all(out).and_then(|()| stdout.flush());
        out.clear();
        written.map_err(|error| Error::io_kind_of(&error, format!("cannot write the log: {}", plain(&error))))
    }
}

/// One log on its way to lines of JSON.
struct JsonLog {
    name: Name,
    dir: ProcessDir,
    /// The runs that are known, in their order.
    runs: Vec<Run>,
    /// The beginning of a line whose end has not come.
    held: Vec<u8>,
    /// The position of `held`.
    at: u64,
}

impl JsonLog {
    fn new(context: &Context, shown: &Shown) -> Self {
        let dir = context.layout.process(&shown.name);
        JsonLog {
            name: shown.name.clone(),
            dir,
            runs: shown.run.into_iter().collect(),
            held: Vec::new(),
            at: 0,
        }
    }

    fn push(&mut self, bytes: &[u8], end: u64, out: &mut Vec<u8>) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.learn();
        self.at = end.saturating_sub((self.held.len() + bytes.len()) as u64);
        self.held.extend_from_slice(bytes);
        while let Some(length) = self.held.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.held.drain(..=length).collect();
            self.write(&line[..length], out)?;
            self.at += line.len() as u64;
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<()> {
        let line = std::mem::take(&mut self.held);
        if line.is_empty() { Ok(()) } else { self.write(&line, out) }
    }

    /// A restart may have begun a new run, and more than one since the last look.
    fn learn(&mut self) {
        let until = Instant::now() + UNTOLD;
        while let Some(status) = store::read_status(&self.dir).found() {
            self.note(Run::of(&status));
            let is_told = !status.state.supervised()
                || status.main.is_some_and(|main| process::alive(&main))
                || !lock::is_held(&self.dir.lock());
            // A program can write before its supervisor has written down that it runs.
            if is_told || Instant::now() >= until {
                return;
            }
            poll::pause(Duration::from_millis(1));
        }
    }

    fn note(&mut self, now: Run) {
        match self.runs.last() {
            Some(last) if *last == now => {}
            // Purged and begun anew.
            Some(last) if now.from < last.from => self.runs = vec![now],
            _ => self.runs.push(now),
        }
    }

    fn write(&self, line: &[u8], out: &mut Vec<u8>) -> Result<()> {
        // Where older runs began is not recorded.
        let run = self.runs.iter().rev().find(|run| run.from <= self.at).map(|run| run.number);
        let value =
            serde_json::json!({ "name": self.name, "run": run, "line": String::from_utf8_lossy(line) });
        crate::render::json::line(out, &value).map_err(|error| Error::failed(plain(&error)))
    }
}
