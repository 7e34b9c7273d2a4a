//! The verbs that the daemon runs for its clients: `tsm VERB --json` as a child, a few side by side.
//!
//! A child of its own means that the verb is the one of the command line in every respect, and that it ends its work
//! also when the daemon is killed.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};

use serde_json::Value;

use super::protocol::{Failure, code, kind_name};
use crate::sys::run::{self, Ran};
use crate::sys::wake::Waker;

/// How many verbs run at once.
const AT_ONCE: usize = 8;

/// How many wait for their turn.
pub(super) const QUEUE: usize = 256;

/// A verb to run, and who wants to know what came of it.
#[derive(Debug)]
struct Job<Ticket> {
    ticket: Ticket,
    words: Vec<String>,
    dir: Option<PathBuf>,
}

/// What came of a verb.
#[derive(Debug)]
pub(super) struct Done<Ticket> {
    pub(super) ticket: Ticket,
    pub(super) outcome: Result<Value, Failure>,
}

/// The verbs under way.
#[derive(Debug)]
pub(super) struct Jobs<Ticket> {
    waiting: VecDeque<Job<Ticket>>,
    running: usize,
    send: Sender<Done<Ticket>>,
    receive: Receiver<Done<Ticket>>,
    waker: Waker,
}

impl<Ticket: Send + 'static> Jobs<Ticket> {
    /// None yet; `waker` is woken when one has ended.
    pub(super) fn new(waker: Waker) -> Self {
        let (send, receive) = channel();
        Jobs { waiting: VecDeque::new(), running: 0, send, receive, waker }
    }

    /// Runs `tsm` with these words, in that directory, when its turn comes.
    ///
    /// # Errors
    /// Busy, with the ticket, when too many wait already.
    pub(super) fn add(
        &mut self,
        ticket: Ticket,
        words: Vec<String>,
        dir: Option<PathBuf>,
    ) -> Result<(), (Ticket, Failure)> {
        if self.waiting.len() >= QUEUE {
            let failure = Failure::new(code::LIMIT, "busy", format!("{QUEUE} requests wait for their turn"))
                .limit(QUEUE as u64)
                .retry_after(1000);
            return Err((ticket, failure));
        }
        self.waiting.push_back(Job { ticket, words, dir });
        self.start();
        Ok(())
    }

    /// Those that have ended.
    pub(super) fn ended(&mut self) -> Vec<Done<Ticket>> {
        let done: Vec<_> = self.receive.try_iter().collect();
        self.running -= done.len();
        self.start();
        done
    }

    /// True while any runs or waits.
    pub(super) fn is_busy(&self) -> bool {
        self.running > 0 || !self.waiting.is_empty()
    }

    fn start(&mut self) {
        while self.running < AT_ONCE {
            let Some(job) = self.waiting.pop_front() else { return };
            let (send, waker) = (self.send.clone(), self.waker.clone());
            self.running += 1;
            let work = move || {
                let ran = run::own(&job.words, job.dir.as_deref());
                let _ = send.send(Done { ticket: job.ticket, outcome: outcome(ran) });
                waker.wake();
            };
            // A thread that cannot be had is one that has failed at once; its ticket is gone with it.
            if std::thread::Builder::new().stack_size(128 * 1024).spawn(work).is_err() {
                self.running -= 1;
                return;
            }
        }
    }
}

/// The result of a verb as its JSON document, or its error as `--json` verbs tell it on standard error.
fn outcome(ran: io::Result<Ran>) -> Result<Value, Failure> {
    let ran = ran.map_err(|error| {
        Failure::new(code::VERB - 1, "failed", format!("cannot run tsm: {}", crate::error::plain(&error)))
    })?;
    let document = serde_json::from_slice::<Value>(&ran.stdout).ok();
    if ran.code == 0 {
        // Verbs without data say what they did in words.
        return Ok(
            document.unwrap_or_else(|| Value::String(String::from_utf8_lossy(&ran.stdout).trim().into()))
        );
    }
    // An answer that is a no: `doctor port` of a used one, `info` of what does not run.
    if ran.stderr.is_empty()
        && let Some(document) = document
    {
        return Ok(document);
    }
    let (message, hint) = said(&String::from_utf8_lossy(&ran.stderr));
    let mut failure = Failure::new(code::VERB - ran.code, kind_name(ran.code), message);
    failure.data.exit_code = Some(ran.code);
    failure.data.hint = hint;
    failure.data.result = document;
    Err(failure)
}

/// The last error that a verb has printed, and its hint.
fn said(text: &str) -> (String, Option<String>) {
    let hint = text.lines().rev().find_map(|line| line.strip_prefix("  try: ")).map(str::to_owned);
    let errors: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("tsm: ")).collect();
    let message = if errors.is_empty() { text.trim().to_owned() } else { errors.join("; ") };
    (message, hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_what_the_verb_has_said() {
        let ran = Ran {
            code: 4,
            stdout: b"[]\n".to_vec(),
            stderr: b"tsm: no such process: x\n  try: tsm list\n".to_vec(),
        };
        let failure = outcome(Ok(ran)).unwrap_err();
        assert_eq!(
            (failure.message.as_str(), failure.data.hint.as_deref()),
            ("no such process: x", Some("tsm list"))
        );
        assert_eq!((failure.code, failure.data.exit_code), (-32_004, Some(4)));
        assert_eq!(failure.data.result, Some(serde_json::json!([])));
        let words = Ran { code: 0, stdout: b"Enabled: web\n".to_vec(), stderr: Vec::new() };
        assert_eq!(outcome(Ok(words)), Ok("Enabled: web".into()));
    }
}
