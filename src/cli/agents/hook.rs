//! `tsm agents hook`, which Claude Code runs at its events: notes what one says about the session.
//!
//! Claude Code waits for it, takes what it prints for decisions, and its exit code 2 for a veto (hooks reference, "Exit code
//! output"). So it prints nothing, exits with 0 whatever happens, and takes its time from nobody; what went wrong is
//! in `TSM_DIR/agents/hook.log`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use super::super::settings::Settings;
use crate::agents::hooks::{self, Event, Meaning};
use crate::agents::{AgentTable, Files};
use crate::error::{Error, Result};
use crate::render::{human, sanitize};
use crate::store::{self, Durability, Layout};
use crate::sys::{clock, poll};

/// Note what Claude Code tells of a session.
///
/// It runs this with an event on standard input, once `tsm agents install-hooks` has put that into its settings. Nothing is
/// printed, and the exit code is 0 whatever happens; what went wrong is in `TSM_DIR/agents/hook.log`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tsm agents install-hooks")]
pub(super) struct Args {}

/// How much of an event is kept, in bytes: its names stand at its beginning. The rest is read and dropped, because Claude
/// Code would fail to write it.
const KEPT: usize = 256 << 10;

/// How long an event may take to arrive.
const PATIENCE: Duration = Duration::from_secs(1);

/// After such a pause, what has arrived may be all of it, though its writer keeps the pipe open.
const PAUSE: Duration = Duration::from_millis(20);

/// The size from which the older half of the log is given up, in bytes.
const MOST_LOG: u64 = 64 << 10;

/// Takes one event.
pub(in crate::cli) fn main() -> ExitCode {
    let now_ms = clock::wall_ms();
    if io::stdin().is_terminal() {
        let _ = writeln!(io::stderr(), "tsm: agents hook is for Claude Code, which gives it an event");
        let _ = writeln!(io::stderr(), "  try: tsm agents install-hooks");
        return ExitCode::SUCCESS;
    }
    let taken = event();
    // Nowhere to note it, nowhere to complain.
    let Ok(settings) = Settings::read() else { return ExitCode::SUCCESS };
    let taken = taken.and_then(|event| match event.meaning() {
        Meaning::Nothing => Ok(()),
        _ => note(&settings, &event, now_ms).map_err(|why| {
            Error::failed(format!("{} of session {}: {}", event.name, event.session_id, why.message()))
        }),
    });
    if let Err(error) = taken {
        log(&settings.root.join("agents"), &error, now_ms);
    }
    ExitCode::SUCCESS
}

fn note(settings: &Settings, event: &Event, now_ms: u64) -> Result<()> {
    // What is wrong with the user's table is said by the verbs that somebody reads.
    let (table, _) = AgentTable::load(settings.config_file("agents.toml").as_deref());
    let claude =
        hooks::caller(&table).ok_or_else(|| Error::failed("no process of Claude Code has called this"))?;
    hooks::take(&Files::of(&Layout::new(settings.root.clone())), event, claude, now_ms)
}

/// What is on standard input.
fn event() -> Result<Event> {
    let failed =
        |error: &io::Error| Error::failed(format!("cannot read an event: {}", crate::error::plain(error)));
    let input = io::stdin().as_fd().try_clone_to_owned().map_err(|error| failed(&error))?;
    let (bytes, whole) = read(&mut File::from(input)).map_err(|error| failed(&error))?;
    Event::parse(&bytes, whole).map_err(Error::failed)
}

/// The beginning of what can be read in time, and whether that is all.
fn read(input: &mut File) -> io::Result<(Vec<u8>, bool)> {
    let end = Instant::now() + PATIENCE;
    let (mut kept, mut chunk) = (Vec::new(), vec![0; 64 << 10]);
    let mut whole = true;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok((kept, false));
        }
        if !poll::readable(input, Some(left.min(PAUSE)))? {
            if whole && Event::parse(&kept, true).is_ok() {
                return Ok((kept, true));
            }
            continue;
        }
        match input.read(&mut chunk) {
            Ok(0) => return Ok((kept, whole)),
            Ok(count) => {
                let room = (KEPT - kept.len()).min(count);
                kept.extend_from_slice(&chunk[..room]);
                whole &= room == count;
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Notes an error for whoever wonders; that this fails is nobody's business.
fn log(dir: &Path, error: &Error, now_ms: u64) {
    let line = format!("{} {}\n", human::time(now_ms), sanitize::text(error.message()));
    let path = dir.join("hook.log");
    let _ = store::create_dir(dir).and_then(|()| append(&path, &line));
}

fn append(path: &Path, line: &str) -> Result<()> {
    let size = fs::symlink_metadata(path).map_or(0, |meta| meta.len());
    if size > MOST_LOG {
        let text = fs::read(path).map_err(|error| Error::io("read", path, &error))?;
        let half = text.get(text.len() / 2..).unwrap_or_default();
        let begin = half.iter().position(|byte| *byte == b'\n').map_or(half.len(), |at| at + 1);
        store::write(path, &half[begin..], Durability::Cached)?;
    }
    let mut options = OpenOptions::new();
    let opened = options.append(true).create(true).mode(0o600).open(path);
    // One call, so that lines of several hooks do not mix.
    opened
        .and_then(|mut file| file.write_all(line.as_bytes()))
        .map_err(|error| Error::io("write", path, &error))
}
