//! What the daemon does for its clients beside its loop, a few things at once: a verb, `tsm VERB --json`, as a child, or
//! a call of this library that reads a long file or waits for the disk.
//!
//! A child of its own means that the verb is the one of the command line in every respect, and that it ends its work
//! also when the daemon is killed.

use std::collections::VecDeque;
use std::fmt;
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

/// What a job does.
pub(super) enum Work {
    /// Runs `tsm` with these words.
    Verb(Vec<String>),
    /// Calls this library. Of one client it is the only call at a time, in the order in which it has asked: what is said
    /// first stands first in a journal.
    Call(Box<dyn FnOnce() -> Result<Value, Failure> + Send>),
}

impl Work {
    /// A call of this library.
    pub(super) fn call(call: impl FnOnce() -> Result<Value, Failure> + Send + 'static) -> Self {
        Work::Call(Box::new(call))
    }

    fn is_call(&self) -> bool {
        matches!(self, Work::Call(_))
    }

    /// The stack that it may need, in bytes; only what is used of it costs memory.
    fn stack(&self) -> usize {
        if self.is_call() { 1 << 20 } else { 128 << 10 }
    }

    fn run(self) -> Result<Value, Failure> {
        match self {
            Work::Verb(words) => outcome(run::own(&words, None), prints_lines(&words)),
            Work::Call(call) => call(),
        }
    }
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Work::Verb(words) => f.debug_tuple("Verb").field(words).finish(),
            Work::Call(_) => f.write_str("Call"),
        }
    }
}

/// Whose job it is, and whether it is a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    /// The client, if it is for one.
    owner: Option<Token>,
    is_call: bool,
}

/// Something to do, and who wants to know what came of it.
#[derive(Debug)]
struct Job<Ticket> {
    place: Place,
    ticket: Ticket,
    work: Work,
}

/// What came of a job.
#[derive(Debug)]
pub(super) struct Done<Ticket> {
    place: Place,
    pub(super) ticket: Ticket,
    pub(super) outcome: Result<Value, Failure>,
}

/// The jobs under way.
#[derive(Debug)]
pub(super) struct Jobs<Ticket> {
    waiting: VecDeque<Job<Ticket>>,
    running: Vec<Place>,
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

    /// Does `work` for `owner`, when its turn comes.
    ///
    /// # Errors
    /// Busy when too many wait already.
    pub(super) fn add(&mut self, owner: Option<Token>, ticket: Ticket, work: Work) -> Result<(), Failure> {
        let of_owner = self.waiting.iter().filter(|job| job.place.owner == owner).count();
        if self.waiting.len() >= QUEUE || of_owner >= QUEUE_EACH {
            let most = if of_owner >= QUEUE_EACH { QUEUE_EACH } else { QUEUE };
            let failure = Failure::new(code::LIMIT, "busy", format!("{most} requests wait for their turn"))
                .limit(most as u64)
                .retry_after(1000);
            return Err(failure);
        }
        self.waiting.push_back(Job { place: Place { owner, is_call: work.is_call() }, ticket, work });
        self.start();
        Ok(())
    }

    /// Those that have ended.
    pub(super) fn ended(&mut self) -> Vec<Done<Ticket>> {
        let done: Vec<_> = self.receive.try_iter().collect();
        for one in &done {
            if let Some(at) = self.running.iter().position(|place| *place == one.place) {
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
        while let Some(at) = next(&self.running, self.waiting.iter().map(|job| job.place)) {
            let Some(job) = self.waiting.remove(at) else { return };
            self.running.push(job.place);
            let (give, take) = channel::<Job<Ticket>>();
            let (send, waker) = (self.send.clone(), self.waker.clone());
            let work = move || {
                let Ok(job) = take.recv() else { return };
                let outcome = job.work.run();
                let _ = send.send(Done { place: job.place, ticket: job.ticket, outcome });
                waker.wake();
            };
            match std::thread::Builder::new().stack_size(job.work.stack()).spawn(work) {
                Ok(_) => drop(give.send(job)),
                Err(error) => {
                    let done =
                        Done { place: job.place, ticket: job.ticket, outcome: outcome(Err(error), false) };
                    let _ = self.send.send(done);
                    self.waker.wake();
                }
            }
        }
    }
}

/// Which of those that wait may run: the first of a client that has not its share already, and no call beside another
/// call of its client.
fn next(running: &[Place], mut waiting: impl Iterator<Item = Place>) -> Option<usize> {
    if running.len() >= AT_ONCE {
        return None;
    }
    waiting.position(|one| {
        let of_it = || running.iter().filter(|other| other.owner == one.owner);
        one.owner.is_none()
            || (of_it().count() < EACH && !(one.is_call && of_it().any(|other| other.is_call)))
    })
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
        let verb = |number| Place { owner: Some(Token::numbered(number)), is_call: false };
        let (a, b, own) = (verb(1), verb(2), Place { owner: None, is_call: false });
        let next = |running: &[Place], waiting: &[Place]| super::next(running, waiting.iter().copied());
        assert_eq!(next(&[], &[a, b]), Some(0));
        assert_eq!(next(&[a; EACH], &[a, a, b]), Some(2), "the other one comes first");
        assert_eq!(next(&[a; EACH], &[a, a]), None);
        assert_eq!(next(&[a; EACH], &[a, own]), Some(1), "the daemon's own");
        assert_eq!(next(&[own; AT_ONCE], &[a, own]), None);
        let [call_a, call_b, call_own] = [a, b, own].map(|place| Place { is_call: true, ..place });
        assert_eq!(next(&[call_a], &[call_a, a]), Some(1), "a verb waits for no call");
        assert_eq!(next(&[call_a], &[call_a, call_b]), Some(1));
        assert_eq!(next(&[call_own], &[call_own]), Some(0));
    }

    #[test]
    fn the_calls_of_one_client_are_made_in_the_order_of_its_asking() {
        let (waker, woken) = crate::sys::wake::pair().unwrap();
        let mut jobs = Jobs::new(waker);
        let order = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        for number in 0..20 {
            let order = order.clone();
            let work = Work::call(move || {
                // The first would be the last if they ran side by side.
                std::thread::sleep(std::time::Duration::from_millis(if number == 0 { 50 } else { 0 }));
                order.lock().unwrap().push(number);
                if number == 7 { Err(Failure::new(1, "failed", "seven")) } else { Ok(json!(number)) }
            });
            jobs.add(Some(Token::numbered(1)), number, work).unwrap();
        }
        let mut ended = Vec::new();
        while jobs.is_busy() {
            crate::sys::poll::readable(&woken, None).unwrap();
            woken.drain();
            ended.extend(jobs.ended());
        }
        assert_eq!(*order.lock().unwrap(), (0..20).collect::<Vec<_>>());
        assert_eq!(ended.iter().map(|done| done.ticket).collect::<Vec<_>>(), (0..20).collect::<Vec<_>>());
        assert_eq!(ended.iter().filter(|done| done.outcome.is_err()).count(), 1);
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
