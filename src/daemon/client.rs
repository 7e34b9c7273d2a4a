//! Asking the daemon: the client of the command line, and of programs that use this library.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::protocol::Failure;
use crate::error::{Error, Kind, Result, plain};
use crate::model::Event;
use crate::store::DaemonFiles;
use crate::sys::{lock, poll, unix};

/// How long connecting is tried in all.
pub const CONNECTING: Duration = Duration::from_secs(3);

/// After how long without an answer a daemon counts as unresponsive.
pub const PROMPT: Duration = Duration::from_secs(2);

/// How long a verb may take: as long as the longest stop.
const VERB: Duration = Duration::from_secs(120);

/// How often a quiet subscription is asked whether the daemon is still there.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// A connection to the daemon.
#[derive(Debug)]
pub struct Client {
    path: PathBuf,
    stream: UnixStream,
    pending: Vec<u8>,
    next: u64,
    /// Notifications that came while an answer was waited for.
    told: Vec<Value>,
}

/// What is known of a daemon without asking it to do anything.
#[derive(Clone, Debug, PartialEq)]
pub enum Presence {
    /// It answers: the reply to `status`.
    Running(Value),
    /// Nobody listens.
    Absent,
    /// One lives, and does not answer within 2 s.
    Unresponsive,
    /// It answers that it cannot answer: too many clients, say.
    Refuses(Failure),
}

impl Client {
    /// Connects once.
    ///
    /// # Errors
    /// Unreachable when nobody listens.
    pub fn connect(files: &DaemonFiles) -> Result<Self> {
        let path = files.socket();
        let connected = unix::connect_at_once(&path).and_then(|stream| {
            // A daemon that reads nothing must not hold up whoever asks it.
            stream.set_write_timeout(Some(PROMPT))?;
            Ok(stream)
        });
        let stream = connected.map_err(|error| unreachable(&path, &error))?;
        Ok(Client { path, stream, pending: Vec::new(), next: 1, told: Vec::new() })
    }

    /// Connects to a daemon that may be just starting: tries again with growing pauses, 3 s in all.
    ///
    /// # Errors
    /// As [`Client::connect`].
    pub fn connect_patiently(files: &DaemonFiles) -> Result<Self> {
        let end = Instant::now() + CONNECTING;
        for attempt in 0.. {
            match Client::connect(files) {
                Ok(client) => return Ok(client),
                Err(error) if Instant::now() >= end => return Err(error),
                Err(_) => {
                    poll::pause(pause(attempt, jitter()).min(end.saturating_duration_since(Instant::now())));
                }
            }
        }
        Err(unreachable(&files.socket(), &io::ErrorKind::TimedOut.into()))
    }

    /// Calls a method and waits for its result.
    ///
    /// # Errors
    /// Unreachable when the daemon goes away or does not answer in two minutes; what the method failed with.
    pub fn call(&mut self, method: &str, params: &Value) -> Result<Value> {
        self.call_within(method, params, VERB)?.map_err(Failure::into_error)
    }

    /// [`Client::call`] with a limit of time, and the failure as the daemon says it.
    ///
    /// # Errors
    /// Unreachable, timed out.
    pub fn call_within(
        &mut self,
        method: &str,
        params: &Value,
        limit: Duration,
    ) -> Result<std::result::Result<Value, Failure>> {
        let id = self.next;
        self.next += 1;
        let request = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        self.send(&request)?;
        let end = Instant::now() + limit;
        loop {
            let Some(mut message) = self.receive(Some(end.saturating_duration_since(Instant::now())))? else {
                return Err(Error::new(Kind::Unreachable, format!("the daemon does not answer {method}"))
                    .hint("tsm daemon status"));
            };
            if message.get("method").is_some() {
                self.told.push(message);
                continue;
            }
            if message["id"] != id && !message["id"].is_null() {
                continue;
            }
            return Ok(match message.get_mut("error") {
                Some(error) => Err(serde_json::from_value(error.take()).unwrap_or_else(|why| {
                    Failure::new(0, "failed", format!("an answer that makes no sense: {why}"))
                })),
                None => Ok(message["result"].take()),
            });
        }
    }

    fn send(&mut self, request: &Value) -> Result<()> {
        let mut line = request.to_string();
        line.push('\n');
        match self.stream.write_all(line.as_bytes()) {
            // Why it does not listen may stand in what it has said before.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            sent => sent.map_err(|error| unreachable(&self.path, &error)),
        }
    }

    /// The next message; none when `patience` is over.
    ///
    /// # Errors
    /// Unreachable when the daemon has gone.
    fn receive(&mut self, patience: Option<Duration>) -> Result<Option<Value>> {
        let end = patience.map(|patience| Instant::now() + patience);
        loop {
            if let Some(at) = self.pending.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.pending.drain(..=at).collect();
                return serde_json::from_slice(&line)
                    .map(Some)
                    .map_err(|why| Error::failed(format!("the daemon's answer makes no sense: {why}")));
            }
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            if !poll::readable(&self.stream, left).map_err(|error| unreachable(&self.path, &error))? {
                if end.is_some_and(|end| Instant::now() >= end) {
                    return Ok(None);
                }
                continue;
            }
            let mut buffer = [0u8; 16 * 1024];
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(Error::new(Kind::Unreachable, "the daemon has ended")),
                Ok(count) => self.pending.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(unreachable(&self.path, &error)),
            }
        }
    }

    /// The next notification of a subscription; none when `patience` is over. A quiet daemon is asked whether it is
    /// still there.
    ///
    /// # Errors
    /// Unreachable when it is not.
    pub fn next(&mut self, patience: Duration) -> Result<Option<Value>> {
        let end = Instant::now() + patience;
        loop {
            if !self.told.is_empty() {
                return Ok(Some(self.told.remove(0)));
            }
            let left = end.saturating_duration_since(Instant::now());
            match self.receive(Some(left.min(HEARTBEAT)))? {
                Some(message) if message.get("method").is_some() => return Ok(Some(message)),
                Some(_) => {}
                None if left <= HEARTBEAT => return Ok(None),
                None => {
                    let alive = self.call_within("ping", &Value::Null, PROMPT)?;
                    alive.map_err(Failure::into_error)?;
                }
            }
        }
    }
}

/// Events as they happen, across restarts of the daemon: none is lost and none comes twice.
#[derive(Debug)]
pub struct EventStream {
    files: DaemonFiles,
    client: Option<Client>,
    seq: u64,
}

impl EventStream {
    /// Events after number `since`.
    pub fn after(files: DaemonFiles, since: u64) -> Self {
        EventStream { files, client: None, seq: since }
    }

    /// The next event; none when `patience` is over. A daemon that went away is connected to again.
    ///
    /// # Errors
    /// Unreachable when it does not come back within 3 s.
    pub fn next(&mut self, patience: Duration) -> Result<Option<Event>> {
        let end = Instant::now() + patience;
        loop {
            let client = match &mut self.client {
                Some(client) => client,
                none => {
                    let (client, seq) = subscribed(&self.files, self.seq)?;
                    self.seq = seq;
                    none.insert(client)
                }
            };
            match client.next(end.saturating_duration_since(Instant::now())) {
                Ok(None) => return Ok(None),
                Ok(Some(mut message)) => {
                    let Ok(event) = serde_json::from_value::<Event>(message["params"]["event"].take()) else {
                        continue;
                    };
                    if event.seq > self.seq {
                        self.seq = event.seq;
                        return Ok(Some(event));
                    }
                }
                Err(_) => self.client = None,
            }
        }
    }
}

/// A connection that tells of the events after `since` and the number it begins with, also when the daemon goes away once more meanwhile.
fn subscribed(files: &DaemonFiles, since: u64) -> Result<(Client, u64)> {
    let end = Instant::now() + CONNECTING;
    loop {
        let mut client = Client::connect_patiently(files)?;
        match client.call_within("events.subscribe", &json!({"since": since}), PROMPT) {
            Ok(Ok(answer)) => return Ok((client, answer["seq"].as_u64().unwrap_or(since))),
            Ok(Err(failure)) if Instant::now() >= end => return Err(failure.into_error()),
            Err(error) if Instant::now() >= end => return Err(error),
            // It ends just now, say.
            _ => poll::pause(pause(1, jitter())),
        }
    }
}

/// Whether a daemon answers. One that holds its lock and does not listen is starting or ending: it is given 2 s.
pub fn presence(files: &DaemonFiles) -> Presence {
    let end = Instant::now() + PROMPT;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let asked =
            Client::connect(files).and_then(|mut client| client.call_within("status", &Value::Null, left));
        match asked {
            Ok(Ok(status)) => return Presence::Running(status),
            Ok(Err(failure)) => return Presence::Refuses(failure),
            Err(_) if !lock::is_held(&files.lock()) => return Presence::Absent,
            Err(_) if Instant::now() >= end => return Presence::Unresponsive,
            Err(_) => poll::pause(Duration::from_millis(2)),
        }
    }
}

/// How long to wait before attempt number `attempt` is repeated: 10 ms doubled up to 500 ms, and up to half of it less,
/// so that many clients do not come at the same moment.
fn pause(attempt: u32, jitter: f64) -> Duration {
    let full = 10u64 << attempt.min(6);
    Duration::from_micros((full.min(500) as f64 * 1000.0 * (1.0 - jitter / 2.0)) as u64)
}

/// A number from 0 to 1 that differs between processes and moments.
fn jitter() -> f64 {
    let nanos = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |time| time.subsec_nanos());
    let mixed = (u64::from(nanos) ^ u64::from(std::process::id()) << 20).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> 40) as f64 / f64::from(1 << 24)
}

fn unreachable(path: &std::path::Path, error: &io::Error) -> Error {
    Error::new(Kind::Unreachable, format!("cannot reach the daemon at {}: {}", path.display(), plain(error)))
        .hint("tsm daemon start")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_half_a_second_and_are_never_all_the_same() {
        assert_eq!(pause(0, 0.0), Duration::from_millis(10));
        assert_eq!(pause(3, 0.0), Duration::from_millis(80));
        assert_eq!(pause(99, 0.0), Duration::from_millis(500));
        assert_eq!(pause(99, 1.0), Duration::from_millis(250));
        assert!((0.0..=1.0).contains(&jitter()));
    }
}
