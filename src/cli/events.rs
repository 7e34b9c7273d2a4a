//! `tsm events`: what happened to processes, from the journal, or as it happens.

use std::time::Duration;

use serde::Serialize;

use super::context::Context;
use super::services::parse_time;
use crate::error::{Error, Result, plain};
use crate::model::{Event, Happening};
use crate::render::human;
use crate::store::Journal;
use crate::sys::clock;
use crate::sys::watch::{Wake, Watch};

/// Show what happened to processes, or follow it.
///
/// Started, ready, exited, restarted, gave up, stopped, adopted, ports and definitions that changed: each with its number
/// (seq), time and run. The journal keeps the last events, about 4,000 or more.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  tsm events\n  tsm events -f web-3000\n  tsm events --since 10m\n  \
    tsm events --json --since 1204       what follows on number 1204")]
pub(super) struct Args {
    /// Names, IDs, ports, PIDs, globs, or all; everything when there is none.
    #[arg(value_name = "REF")]
    refs: Vec<String>,
    /// Go on with what happens; Ctrl-C ends it.
    #[arg(short, long)]
    follow: bool,
    /// What follows on this number, or was not longer ago than this time (10m, 2h).
    #[arg(long, value_name = "SEQ|TIME", value_parser = parse_since)]
    since: Option<Since>,
    /// How many of the last ones to show (20, all of --since).
    #[arg(short = 'n', long, value_name = "N")]
    lines: Option<usize>,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Since {
    /// After the event of this number.
    Number(u64),
    /// So many milliseconds ago.
    Ago(u64),
}

fn parse_since(text: &str) -> Result<Since, String> {
    match text.parse() {
        Ok(number) => Ok(Since::Number(number)),
        Err(_) => {
            parse_time(text).map(Since::Ago).map_err(|_| "not a number or a time; use 1204, 10m or 2h".into())
        }
    }
}

/// How many events are shown unasked.
const LINES: usize = 20;

/// How often a follower looks without having been told of a change.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// The object of `--json`: the line of the journal and its time for people.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    time: String,
    #[serde(flatten)]
    event: &'a Event,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<()> {
    let wanted = Wanted::new(context, &args.refs)?;
    let layout = &context.layout;
    // Watched before it is read: what comes in between is seen twice rather than not at all.
    let mut watch = if args.follow { Some(watch(context)?) } else { None };
    let mut journal = Journal::after(
        layout,
        match args.since {
            Some(Since::Number(number)) => number,
            _ => 0,
        },
    );
    let mut events = journal.read()?;
    if let Some(Since::Ago(ms)) = args.since {
        let from = clock::wall_ms().saturating_sub(ms);
        events.retain(|event| event.time_ms >= from);
    }
    events.retain(|event| wanted.has(event));
    let most = args.lines.unwrap_or(if args.since.is_some() { usize::MAX } else { LINES });
    if events.is_empty() && watch.is_none() && !args.json {
        context.output.remark("nothing has happened");
    }
    show(context, args.json, &events[events.len().saturating_sub(most)..])?;
    while let Some(watch) = &mut watch {
        let out = std::io::stdout();
        let wake = watch
            .wait_or_gone(Some(LOOK_AGAIN), std::os::fd::AsFd::as_fd(&out))
            .map_err(|error| Error::failed(format!("cannot wait for events: {}", plain(&error))))?;
        if wake == Wake::Gone {
            return Ok(());
        }
        let mut events = journal.read()?;
        events.retain(|event| wanted.has(event));
        show(context, args.json, &events)?;
    }
    Ok(())
}

fn watch(context: &Context) -> Result<Watch> {
    let path = context.layout.journal();
    context.layout.create()?;
    Watch::new(&[&path]).map_err(|error| Error::io("watch", &path, &error))
}

/// The names that the refs mean; all of them when there is no ref.
struct Wanted(Option<Vec<glob::Pattern>>);

impl Wanted {
    /// # Errors
    /// When a ref means no process, and nothing of that name is in the journal either.
    fn new(context: &Context, refs: &[String]) -> Result<Self> {
        if refs.is_empty() || refs.iter().any(|text| text == "all") {
            return Ok(Wanted(None));
        }
        let mut patterns = Vec::new();
        for text in refs {
            let (views, mut errors) = context.find(std::slice::from_ref(text));
            patterns.extend(views.iter().map(|view| glob::Pattern::escape(view.name.as_str())));
            if let Some(error) = errors.pop() {
                // A process that was deleted has left its events.
                let known = glob::Pattern::new(text).is_ok_and(|pattern| {
                    Journal::after(&context.layout, 0)
                        .read()
                        .is_ok_and(|all| all.iter().any(|event| pattern.matches(event.name.as_str())))
                });
                if !known {
                    return Err(error);
                }
                patterns.push(text.clone());
            }
        }
        Ok(Wanted(Some(patterns.iter().filter_map(|text| glob::Pattern::new(text).ok()).collect())))
    }

    fn has(&self, event: &Event) -> bool {
        self.0.as_ref().is_none_or(|all| all.iter().any(|pattern| pattern.matches(event.name.as_str())))
    }
}

fn show(context: &Context, json: bool, events: &[Event]) -> Result<()> {
    for event in events {
        if json {
            let shown = Shown { time: human::time(event.time_ms), event };
            let mut line = serde_json::to_vec(&shown).map_err(|why| Error::failed(why.to_string()))?;
            line.push(b'\n');
            context.output.bytes(&line)?;
        } else {
            context.output.line(&sentence(event))?;
        }
    }
    Ok(())
}

/// `2026-11-21T05:45:23+00:00  web-3000  exited (exit code 1, PID 123, run 2)`.
fn sentence(event: &Event) -> String {
    let mut more = Vec::new();
    if let Some(exit) = event.exit {
        more.push(exit.to_string());
    }
    if let (Happening::PortBound | Happening::PortLost, Some(port)) = (event.event, event.port) {
        more.push(format!("port {port}"));
    }
    if let Some(pid) = event.pid {
        more.push(format!("PID {pid}"));
    }
    if let Some(run) = event.run.filter(|run| *run > 1) {
        more.push(format!("run {run}"));
    }
    let more = if more.is_empty() { String::new() } else { format!(" ({})", more.join(", ")) };
    let note = event.note.as_ref().map(|note| format!(": {note}")).unwrap_or_default();
    format!("{}  {}  {}{more}{note}", human::time(event.time_ms), event.name, event.event)
}
