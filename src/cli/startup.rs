//! `tsm startup`: starts every enabled service, several at a time.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use serde::Serialize;

use super::context::Context;
use super::services;
use super::start::{self, Begun, Patience};
use crate::error::{Error, Kind, Result};
use crate::inspect::{View, glance, verify};
use crate::model::{Name, Origin, State};
use crate::service::Entry;
use crate::store;

/// How many services are started at a time.
const AT_ONCE: usize = 8;

/// Start every enabled service.
///
/// Several at a time; what runs already is left alone, and what fails stops no other. A definition without a directory is
/// started in the home directory. The exit code is that of the worst failure.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  tsm enable web && tsm startup\n  tsm startup --wait=60 --json")]
pub(super) struct Args {
    /// Return when all are ready; 30 seconds for each unless said otherwise.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "30",
        value_parser = start::parse_seconds, conflicts_with = "no_wait")]
    wait: Option<u64>,
    /// Return as soon as all run; the default where standard output is not a terminal.
    #[arg(long)]
    no_wait: bool,
    /// Leave alone what was stopped with tsm: as the daemon does.
    #[arg(long)]
    boot: bool,
    /// Print a JSON array.
    #[arg(long)]
    json: bool,
}

/// What became of a service; also the object of `--json`.
#[derive(Debug, Serialize)]
struct Report {
    service: String,
    result: Outcome,
    process: Option<View>,
    #[serde(rename = "error")]
    failure: Option<Told>,
    #[serde(skip)]
    remarks: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Outcome {
    Started,
    AlreadyRunning,
    Failed,
}

/// An error as it is told.
#[derive(Debug, Serialize)]
struct Told {
    message: String,
    hint: Option<String>,
    #[serde(skip)]
    kind: Kind,
}

impl Told {
    fn of(error: &Error) -> Self {
        let hint = error.hint_text().map(str::to_owned);
        Told { message: error.message().to_owned(), hint, kind: error.kind() }
    }
}

pub(super) fn run(context: &Context, args: &Args) -> Result<()> {
    let mut services = services::enabled(context)?;
    if args.boot {
        let stopped = stopped(context);
        services.retain(|entry| Name::parse(&entry.name).map_or(true, |name| !stopped.contains(&name)));
    }
    if services.is_empty() {
        if args.json {
            return context.output.json(&[(); 0]);
        }
        context.output.line("no service is enabled")?;
        context
            .output
            .advise("tsm startup starts what is enabled", "tsm list available, then tsm enable NAME");
        return Ok(());
    }
    let patterns = start::user_patterns(context)?;
    start::complain_of_patterns(context, patterns.as_deref());
    let running = running(context);
    let patience = Patience::of(context, args.wait, args.no_wait);
    let tell = |report: &Report| if args.json { Ok(()) } else { say(context, report) };
    let reports = each(context, &services, &running, patience, tell)?;
    if args.json {
        context.output.json(&reports)?;
    } else {
        context.output.line(&count(&reports))?;
    }
    let worst = reports
        .iter()
        .filter_map(|report| Some(report.failure.as_ref()?.kind))
        .max_by_key(|kind| kind.exit_code());
    worst.map_or(Ok(()), |kind| Err(Error::new(kind, "")))
}

/// The services whose process somebody has stopped and not started again; a shutdown is nobody.
pub(super) fn stopped(context: &Context) -> Vec<Name> {
    let views = glance(&context.layout);
    let by_signal = |view: &View| view.record.as_ref().is_some_and(|status| status.signalled);
    let stopped = views.iter().filter(|view| view.status == State::Stopped && !by_signal(view));
    stopped
        .filter_map(|view| match store::read_spec(&view.dir).found()?.origin {
            Origin::Service(name) => Some(name),
            Origin::Command => None,
        })
        .collect()
}

/// The services that run, whatever their definitions have become.
fn running(context: &Context) -> BTreeMap<Name, View> {
    let mut views = glance(&context.layout);
    views.retain(|view| view.status.live() && view.status != State::Stopping);
    verify(&context.layout, &mut views);
    let service = |view: View| match store::read_spec(&view.dir).found()?.origin {
        // Not what is only reserved: `begin` waits for what becomes of that.
        Origin::Service(name) if view.status.live() && !start::is_pending(&view) => Some((name, view)),
        _ => None,
    };
    views.into_iter().filter_map(service).collect()
}

/// Starts `services`, some at a time; `tell` hears of each in their order, as soon as it can be told.
fn each(
    context: &Context,
    services: &[Entry],
    running: &BTreeMap<Name, View>,
    patience: Patience,
    tell: impl Fn(&Report) -> Result<()>,
) -> Result<Vec<Report>> {
    let next = AtomicUsize::new(0);
    let (sender, results) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(services.len()) {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(entry) = services.get(at) else { break };
                    let mut remarks = Vec::new();
                    let begun = begin(context, entry, running, &mut remarks);
                    let sender = sender.clone();
                    let end = move || {
                        let report = Report { remarks, ..end(context, &entry.name, begun, patience) };
                        // Whoever hears it has gone only when printing failed: all are started nevertheless.
                        let _ = sender.send((at, report));
                    };
                    // One that is slow to get ready keeps no other from being started.
                    if patience == Patience::None { end() } else { drop(scope.spawn(end)) }
                }
            });
        }
        drop(sender);
        let mut early = BTreeMap::new();
        let mut told: Vec<Report> = Vec::new();
        for (at, report) in results {
            early.insert(at, report);
            while let Some(report) = early.remove(&told.len()) {
                tell(&report)?;
                told.push(report);
            }
        }
        Ok(told)
    })
}

/// Starts one service.
fn begin(
    context: &Context,
    entry: &Entry,
    running: &BTreeMap<Name, View>,
    remarks: &mut Vec<String>,
) -> std::result::Result<Begun, Told> {
    let definition = entry.definition.as_ref().map_err(Told::of)?;
    if let Some(view) = running.get(&definition.name) {
        return Ok(Begun::Already(Box::new(view.clone())));
    }
    // Not the current directory: the same service is the same process, wherever this is typed.
    let home = context.settings.home.as_deref().filter(|home| home.is_dir());
    let here: PathBuf = home.unwrap_or(Path::new("/")).to_owned();
    let said = RefCell::new(Vec::new());
    let say = |text: &str| said.borrow_mut().push(text.to_owned());
    let begun = start::Ask::of_service(context, &start::Args::default(), definition, None, here)
        .and_then(|ask| start::begin(context, &ask, &say));
    *remarks = said.into_inner();
    begun.map_err(|error| Told::of(&error))
}

/// What came of it, once it is as ready as is waited for.
fn end(
    context: &Context,
    service: &str,
    begun: std::result::Result<Begun, Told>,
    patience: Patience,
) -> Report {
    let report = |result, process, failure| Report {
        service: service.to_owned(),
        result,
        process,
        failure,
        remarks: Vec::new(),
    };
    match begun {
        Err(failure) => report(Outcome::Failed, None, Some(failure)),
        Ok(Begun::Already(view)) => report(Outcome::AlreadyRunning, Some(*view), None),
        Ok(Begun::Started(name, _)) => match start::settle(context, &name, patience) {
            Err(error) => report(Outcome::Failed, None, Some(Told::of(&error))),
            Ok(settled) => match settled.in_time(patience) {
                Err(error) => report(Outcome::Failed, Some(settled.view), Some(Told::of(&error))),
                Ok(()) => report(Outcome::Started, Some(settled.view), None),
            },
        },
    }
}

fn say(context: &Context, report: &Report) -> Result<()> {
    let out = &context.output;
    match (report.result, &report.process) {
        (Outcome::Started, Some(view)) => {
            out.line(&format!("Started: {}", start::details(view, view.pid)))?;
        }
        (Outcome::AlreadyRunning, Some(view)) => {
            out.line(&format!("Already running: {}", start::details(view, view.pid)))?;
        }
        _ => {
            let failure = report.failure.as_ref();
            let message = failure.map(|failure| failure.message.as_str()).unwrap_or_default();
            out.line(&format!("Failed: {}: {message}", report.service))?;
            if let Some(hint) = failure.and_then(|failure| failure.hint.as_deref()) {
                out.line(&format!("  try: {hint}"))?;
            }
        }
    }
    report.remarks.iter().for_each(|remark| out.remark(&format!("{}: {remark}", report.service)));
    Ok(())
}

/// `3 services: 1 started, 1 already running, 1 failed`.
fn count(reports: &[Report]) -> String {
    let all = [
        (Outcome::Started, "started"),
        (Outcome::AlreadyRunning, "already running"),
        (Outcome::Failed, "failed"),
    ];
    let parts: Vec<String> = all
        .into_iter()
        .map(|(outcome, word)| (reports.iter().filter(|report| report.result == outcome).count(), word))
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    let services =
        if reports.len() == 1 { "1 service".to_owned() } else { format!("{} services", reports.len()) };
    format!("{services}: {}", parts.join(", "))
}
