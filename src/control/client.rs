//! Asking a supervisor something.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;

use super::message::{Request, StatusReply};
use crate::error::{Error, Kind, Result};
use crate::sys::{poll, unix};

/// How long a supervisor may take to answer what it can answer at once.
const PROMPT: Duration = Duration::from_secs(5);

/// A connection to the control socket of one process.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    pending: Vec<u8>,
    /// How long it may take to answer what can be answered at once.
    prompt: Duration,
}

/// What came instead of an answer in time.
#[derive(Debug)]
pub enum Waited {
    /// The answer.
    Answer(StatusReply),
    /// The time was over.
    TimedOut,
}

impl Client {
    /// Connects to the socket at `path`.
    ///
    /// # Errors
    /// Unreachable (exit 5) when nobody listens there.
    pub fn connect(path: &Path) -> Result<Self> {
        let stream = unix::connect(path).map_err(|error| {
            Error::new(
                Kind::Unreachable,
                format!("cannot reach the supervisor at {}: {}", path.display(), crate::error::plain(&error)),
            )
        })?;
        Ok(Client { stream, pending: Vec::new(), prompt: PROMPT })
    }

    /// The same, waiting no longer than `prompt` for what can be answered at once.
    pub fn patient_for(mut self, prompt: Duration) -> Self {
        self.prompt = prompt;
        self
    }

    fn unreachable(error: &io::Error) -> Error {
        Error::new(Kind::Unreachable, format!("lost the supervisor: {}", crate::error::plain(error)))
    }

    /// Asks and waits for the answer; `None` of patience is for ever.
    fn exchange(&mut self, request: &str, patience: Option<Duration>) -> Result<Option<String>> {
        self.say(request)?;
        self.hear(patience)
    }

    /// Sends one request line, whose answer [`Client::hear`] waits for: so that several supervisors can be asked at once.
    ///
    /// # Errors
    /// Unreachable when the supervisor is gone.
    pub fn say(&mut self, request: &str) -> Result<()> {
        let line = format!("{}\n", request.trim_end());
        self.stream.write_all(line.as_bytes()).map_err(|error| Self::unreachable(&error))
    }

    /// The next reply line; none when it does not come within `patience` (`None`: for ever).
    ///
    /// # Errors
    /// Unreachable when the supervisor is gone.
    pub fn hear(&mut self, patience: Option<Duration>) -> Result<Option<String>> {
        let end = patience.map(|time| Instant::now() + time);
        loop {
            if let Some(at) = self.pending.iter().position(|byte| *byte == b'\n') {
                let line = String::from_utf8_lossy(&self.pending[..at]).into_owned();
                self.pending.drain(..=at);
                return Ok(Some(line));
            }
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            if !poll::readable(&self.stream, left).map_err(|error| Self::unreachable(&error))? {
                if end.is_some_and(|end| Instant::now() >= end) {
                    return Ok(None);
                }
                continue;
            }
            let mut buffer = [0u8; 4096];
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(Error::new(Kind::Unreachable, "the supervisor ended without an answer")),
                Ok(count) => self.pending.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Self::unreachable(&error)),
            }
        }
    }

    /// Sends one request line as it is and returns the reply line.
    ///
    /// # Errors
    /// Unreachable when the supervisor is gone or does not answer in 5 s.
    pub fn raw(&mut self, request: &str) -> Result<String> {
        self.exchange(request, Some(self.prompt))?
            .ok_or_else(|| Error::new(Kind::Unreachable, "the supervisor does not answer"))
    }

    /// Asks what is answered at once; the reply as JSON.
    ///
    /// # Errors
    /// Unreachable as [`Client::raw`]; failed with the supervisor's own words when it refuses.
    pub fn ask(&mut self, request: Request) -> Result<Value> {
        let reply = self.raw(request.line())?;
        accepted(&reply)
    }

    /// Asks for a wait and stays until it is answered or `patience` is over (`None`: for ever).
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub fn wait(&mut self, request: Request, patience: Option<Duration>) -> Result<Waited> {
        let Some(reply) = self.exchange(request.line(), patience)? else { return Ok(Waited::TimedOut) };
        waited(&reply).map(Waited::Answer)
    }

    /// The answer to a wait that was asked for with [`Client::say`], if it has come: look when the descriptor is readable.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub fn answer(&mut self) -> Result<Option<StatusReply>> {
        self.hear(Some(Duration::ZERO))?.map(|reply| waited(&reply)).transpose()
    }

    /// Waits until the other side is gone: after it, a supervisor holds nothing any more, its lock included.
    pub fn until_closed(mut self, patience: Duration) {
        let end = Instant::now() + patience;
        let mut buffer = [0u8; 256];
        while poll::readable(&self.stream, Some(end.saturating_duration_since(Instant::now())))
            .unwrap_or(false)
        {
            if !matches!(self.stream.read(&mut buffer), Ok(count) if count > 0) {
                break;
            }
        }
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

fn waited(reply: &str) -> Result<StatusReply> {
    StatusReply::deserialize(accepted(reply)?)
        .map_err(|why| Error::failed(format!("the supervisor's answer makes no sense: {why}")))
}

fn accepted(reply: &str) -> Result<Value> {
    let value: Value = serde_json::from_str(reply)
        .map_err(|why| Error::failed(format!("the supervisor's answer makes no sense: {why}")))?;
    if value.get("ok").and_then(Value::as_bool) == Some(true) {
        return Ok(value);
    }
    let why = value.get("error").and_then(Value::as_str).unwrap_or("the supervisor refused");
    Err(Error::failed(why))
}
