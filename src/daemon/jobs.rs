//! The verbs that the daemon runs for its clients: `tsm VERB --json` as a child, a few side by side.
//!
//! A child of its own means that the verb is the one of the command line in every respect, and that it ends its work
//! also when the daemon is killed.

use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};

use serde_json::Value;

use super::protocol::{Failure, code, kind_name};
use super::server::Token;
use crate::sys::run::{self, Ran};
use crate::sys::wake::Waker;

/// How many verbs run at once.
const AT_ONCE: usize = 16;

/// How many of one client run at once, so that slow ones of one do not hold up another.
const EACH: usize = 4;

/// How many wait for their turn.
const QUEUE: usize = 256;

/// How many of one client wait.
const QUEUE_EACH: usize = 64;

/// A verb to run, and who wants to know what came of it.
#[derive(Debug)]
struct Job<Ticket> {
    /// The client, if it is for one.
    owner: Option<Token>,
    ticket: Ticket,
    words: Vec<String>,
}

/// What came of a verb.
#[derive(Debug)]
pub(super) struct Done<Ticket> {
    owner: Option<Token>,
    pub(super) ticket: Ticket,
    pub(super) outcome: Result<Value, Failure>,
}

/// The verbs under way.
#[derive(Debug)]
pub(super) struct Jobs<Ticket> {
    waiting: VecDeque<Job<Ticket>>,
    /// Whose run.
    running: Vec<Option<Token>>,
    send: Sender<Done<Ticket>>,
    receive: Receiver<Done<Ticket>>,
    waker: Waker,
}

impl<Ticket: Send + 'static> Jobs<Ticket> {
    /// None yet; `waker` is woken when one has ended.
    pub(super) fn new(waker: Waker) -> Self {
        let (send, receive) = channel();
        Jobs { waiting: VecDeque::new(), running: Vec::new(), send, receive, waker }
    }

    /// Runs `tsm` with these words for `owner`, when its turn comes.
    ///
    /// # Errors
    /// Busy, with the ticket, when too many wait already.
    pub(super) fn add(
        &mut self,
        owner: Option<Token>,
        ticket: Ticket,
        words: Vec<String>,
    ) -> Result<(), (Ticket, Failure)> {
        let of_owner = self.waiting.iter().filter(|job| job.owner == owner).count();
        if self.waiting.len() >= QUEUE || of_owner >= QUEUE_EACH {
            let most = if of_owner >= QUEUE_EACH { QUEUE_EACH } else { QUEUE };
            let failure = Failure::new(code::LIMIT, "busy", format!("{most} requests wait for their turn"))
                .limit(most as u64)
                .retry_after(1000);
            return Err((ticket, failure));
        }
        self.waiting.push_back(Job { owner, ticket, words });
        self.start();
        Ok(())
    }

    /// Those that have ended.
    pub(super) fn ended(&mut self) -> Vec<Done<Ticket>> {
        let done: Vec<_> = self.receive.try_iter().collect();
        for one in &done {
            if let Some(at) = self.running.iter().position(|owner| *owner == one.owner) {
                self.running.swap_remove(at);
            }
        }
        self.start();
        done
    }

    /// True while any runs or waits.
    pub(super) fn is_busy(&self) -> bool {
        !self.running.is_empty() || !self.waiting.is_empty()
    }

    fn start(&mut self) {
        while let Some(at) = next(&self.running, self.waiting.iter().map(|job| job.owner)) {
            let Some(job) = self.waiting.remove(at) else { return };
            self.running.push(job.owner);
            let (give, take) = channel::<Job<Ticket>>();
            let (send, waker) = (self.send.clone(), self.waker.clone());
            let work = move || {
                let Ok(job) = take.recv() else { return };
                let outcome = outcome(run::own(&job.words, None), prints_lines(&job.words));
                let _ = send.send(Done { owner: job.owner, ticket: job.ticket, outcome });
                waker.wake();
            };
            match std::thread::Builder::new().stack_size(128 * 1024).spawn(work) {
                Ok(_) => drop(give.send(job)),
                Err(error) => {
                    let done =
                        Done { owner: job.owner, ticket: job.ticket, outcome: outcome(Err(error), false) };
                    let _ = self.send.send(done);
                    self.waker.wake();
                }
            }
        }
    }
}

/// Which of those that wait may run: the first of a client that has not its share already.
fn next(running: &[Option<Token>], mut waiting: impl Iterator<Item = Option<Token>>) -> Option<usize> {
    if running.len() >= AT_ONCE {
        return None;
    }
    waiting.position(|owner| owner.is_none() || running.iter().filter(|one| **one == owner).count() < EACH)
}

/// True for the verb that prints an object a line, and none when there is none.
fn prints_lines(words: &[String]) -> bool {
    words.first().is_some_and(|verb| verb == "logs")
}

/// The result of a verb as its JSON document, or its error as `--json` verbs tell it on standard error.
fn outcome(ran: io::Result<Ran>, lines: bool) -> Result<Value, Failure> {
    let ran = ran.map_err(|error| {
        Failure::new(code::VERB - 1, "failed", format!("cannot run tsm: {}", crate::error::plain(&error)))
    })?;
    let document = if lines {
        let lines = ran.stdout.split(|byte| *byte == b'\n');
        Some(lines.filter_map(|line| serde_json::from_slice::<Value>(line).ok()).collect())
    } else {
        serde_json::from_slice::<Value>(&ran.stdout).ok()
    };
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
    use serde_json::json;

    use super::*;

    #[test]
    fn nobody_takes_more_than_a_share() {
        let [a, b] = [Some(Token::numbered(1)), Some(Token::numbered(2))];
        let next = |running: &[Option<Token>], waiting: &[Option<Token>]| {
            super::next(running, waiting.iter().copied())
        };
        assert_eq!(next(&[], &[a, b]), Some(0));
        assert_eq!(next(&[a; EACH], &[a, a, b]), Some(2), "the other one comes first");
        assert_eq!(next(&[a; EACH], &[a, a]), None);
        assert_eq!(next(&[a; EACH], &[a, None]), Some(1), "the daemon's own");
        assert_eq!(next(&[None; AT_ONCE], &[a, None]), None);
    }

    #[test]
    fn an_error_is_what_the_verb_has_said() {
        let ran = Ran {
            code: 4,
            stdout: b"[]\n".to_vec(),
            stderr: b"tsm: no such process: x\n  try: tsm list\n".to_vec(),
        };
        let failure = outcome(Ok(ran), false).unwrap_err();
        assert_eq!(
            (failure.message.as_str(), failure.data.hint.as_deref()),
            ("no such process: x", Some("tsm list"))
        );
        assert_eq!((failure.code, failure.data.exit_code), (-32_004, Some(4)));
        assert_eq!(failure.data.result, Some(json!([])));
        let words = Ran { code: 0, stdout: b"Enabled: web\n".to_vec(), stderr: Vec::new() };
        assert_eq!(outcome(Ok(words), false), Ok("Enabled: web".into()));
        for (stdout, want) in [("", json!([])), ("{\"a\":1}\n", json!([{"a": 1}])), ("1\n2\n", json!([1, 2]))]
        {
            let ran = Ran { code: 0, stdout: stdout.into(), stderr: Vec::new() };
            assert_eq!(outcome(Ok(ran), true), Ok(want));
        }
    }
}
