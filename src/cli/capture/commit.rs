//! `tsm capture commit`: what the post-commit hook calls. It says nothing, never fails, and keeps no commit waiting.
//!
//! This process reads which commit it is, and starts a worker in a session of its own; that one notes the commit on the disk
//! and goes on with the work. It is waited for until the note is on the disk, but never longer than [`PATIENCE`]: a disk
//! that is slow or full, a directory that cannot be written and a daemon that hangs are no business of the commit. For the
//! same reason this process never writes: nobody can give up a write that hangs.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, RawFd};
use std::os::unix::fs::MetadataExt as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::capture::pending::Pending;
use crate::capture::repo;
use crate::cli::settings::Settings;
use crate::store::Layout;
use crate::sys::{clock, fd, poll, run, spawn, user};

/// How long a commit waits for everything together.
const PATIENCE: Duration = Duration::from_millis(60);

/// What the worker says when the commit is noted.
const IS_NOTED: &[u8] = b".";

/// What it says when that has failed, and would again.
const CANNOT_NOTE: &[u8] = b"!";

/// How long an agent may take to write down what it has said.
const GRACE: Duration = Duration::from_millis(200);

/// Where the worker says that the commit is noted.
const NOTED: RawFd = 3;

/// The hidden verbs of `tsm capture`; `None` for any other word.
pub(in crate::cli) fn main(mut words: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    let verb = words.next()?;
    if verb == "commit" {
        let since = words.next();
        // Who asks for help has not committed, and reads that this is no verb to type.
        if since.as_ref().is_some_and(|word| word.as_encoded_bytes().starts_with(b"-")) {
            return None;
        }
        let since = since.and_then(|word| word.to_str()?.parse().ok());
        let _ = commit(since.unwrap_or(0));
        return Some(ExitCode::SUCCESS);
    }
    if verb == "work" {
        let _ = work(words.next());
        return Some(ExitCode::SUCCESS);
    }
    None
}

/// Sees the commit and hands it to a worker.
fn commit(since_ms: u64) -> Option<()> {
    let settings = Settings::read().ok()?;
    // Another user commits here, or root does for this one: what they wrote would be in the owner's way.
    if fs::metadata(&settings.root).is_ok_and(|meta| meta.uid() != user::uid()) {
        return None;
    }
    let end = Instant::now() + PATIENCE;
    let dir = std::env::current_dir().ok()?;
    let pending = Pending::see(&dir, settings.git_dir.as_deref(), clock::wall_ms(), since_ms)?;
    // A worker that was killed before it could say anything has another one.
    let _ = answers(&pending, end)? || answers(&pending, end)?;
    Some(())
}

/// Starts a worker; false when it has ended without a word.
fn answers(pending: &Pending, end: Instant) -> Option<bool> {
    let mut pipe = start(pending)?;
    let left = end.saturating_duration_since(Instant::now());
    // Silence is a slow disk, or a worker that waits for a processor: it goes on by itself.
    let is_silent = !poll::readable(&pipe, Some(left)).unwrap_or(false);
    Some(is_silent || matches!(pipe.read(&mut [0]), Ok(1)))
}

/// Starts the worker; what becomes readable when the commit is noted, or the worker has ended.
fn start(pending: &Pending) -> Option<File> {
    let program = run::own_path().ok()?;
    let order = serde_json::to_string(pending).ok()?;
    let argv = [OsString::from("tsm"), "capture".into(), "work".into(), order.into()];
    let null = File::options().read(true).write(true).open("/dev/null").ok()?;
    let (ours, theirs) = fd::pipe().ok()?;
    let fds: [BorrowedFd<'_>; 4] = [null.as_fd(), null.as_fd(), null.as_fd(), theirs.as_fd()];
    spawn::Command { program, argv: &argv, env: &repo::environment(), fds: &fds }.spawn().ok()?;
    Some(File::from(ours))
}

/// The worker: notes the commit, and keeps the conversations of all commits that are noted.
fn work(order: Option<OsString>) -> Option<()> {
    // Git, its caller, and a lock that its caller holds must not live as long as this.
    fd::close_from(NOTED + 1);
    let settings = Settings::read().ok()?;
    let layout = Layout::new(settings.root.clone());
    // A directory that was left can be removed, and its disk unmounted.
    let _ = std::env::set_current_dir("/");
    let pending: Option<Pending> = order.and_then(|order| serde_json::from_str(order.to_str()?).ok());
    // Closed without a word it says that there is no worker any more.
    let told = fd::inherited(NOTED).map(File::from);
    let pending = pending?;
    let is_noted = pending.record(&layout).is_ok();
    if let Ok(mut told) = told {
        let _ = told.write_all(if is_noted { IS_NOTED } else { CANNOT_NOTE });
    }
    // An agent that commits itself may still be writing down what it has said before.
    poll::pause(GRACE);
    let desk = super::desk(&settings).ok()?;
    let now_ms = clock::wall_ms();
    desk.work(&pending, now_ms);
    Some(())
}
