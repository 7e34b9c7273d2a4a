//! One client of the daemon's socket: what it asks, what it is owed, and what it may not do.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;

use serde::Serialize;
use serde_json::Value;

use super::frames::{Frames, MAX_FRAME, TooLong};
use super::protocol::{self, Asked, Failure, Form, code};
use super::rate::{BURST, Bucket};
use super::server::Token;
use crate::sys::poll::Interest;

/// The most bytes of answers that wait for a client that does not read them.
pub(super) const MAX_UNREAD: usize = 8 << 20;

/// A client that is connected.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) token: Token,
    pub(super) stream: UnixStream,
    pub(super) input: Frames,
    pub(super) output: Vec<u8>,
    /// How much of `output` is written.
    written: usize,
    bucket: Bucket,
    /// How many answers are still to come; a subscription is one that never comes.
    pub(super) owed: usize,
    /// It has closed its side of the connection: it asks no more, and waits for what is owed.
    ended: bool,
}

impl Connection {
    /// One that has just been accepted.
    pub(super) fn new(token: Token, stream: UnixStream, now: u64) -> Self {
        Connection {
            token,
            stream,
            input: Frames::default(),
            output: Vec::new(),
            written: 0,
            bucket: Bucket::new(now),
            owed: 0,
            ended: false,
        }
    }

    /// What the loop must wait for.
    pub(super) fn interest(&self) -> Interest {
        match (self.output.is_empty(), self.ended) {
            (false, _) => Interest::Write,
            (true, true) => Interest::Gone,
            (true, false) => Interest::Read,
        }
    }

    /// Sends bytes; an error means: drop this client.
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.output.extend_from_slice(bytes);
        if self.output.len() - self.written > MAX_UNREAD {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.flush()
    }

    /// Answers one of its requests.
    pub(super) fn answer<Outcome: Serialize>(
        &mut self,
        form: &Form,
        outcome: Result<Outcome, Failure>,
    ) -> io::Result<()> {
        if !form.wants_answer() {
            return Ok(());
        }
        self.owed = self.owed.saturating_sub(1);
        self.send(&protocol::answer(form, outcome))
    }

    /// Says why nothing more is heard of it; the result is for the caller to drop it with.
    pub(super) fn refuse(&mut self, failure: &Failure) -> io::Error {
        let _ = self.send(&protocol::answer::<Value>(&Form::Rpc(Some(Value::Null)), Err(failure.clone())));
        io::ErrorKind::ConnectionAborted.into()
    }

    /// It asks no more, and has got everything.
    pub(super) fn is_done(&self) -> bool {
        self.ended && self.owed == 0 && self.output.is_empty()
    }

    fn flush(&mut self) -> io::Result<()> {
        while self.written < self.output.len() {
            match self.stream.write(&self.output[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    // What was read needs no room, also of a client that is never quite done reading.
                    self.output.drain(..self.written);
                    self.written = 0;
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.written = 0;
        if self.output.capacity() > 4096 {
            // An idle connection keeps no large buffer.
            self.output = Vec::new();
        }
        self.output.clear();
        Ok(())
    }

    /// Writes what waits, then reads. An error means: drop this client.
    pub(super) fn serve(
        &mut self,
        now: u64,
        unlimited: bool,
        refused: &mut u64,
        asked: &mut Vec<(Token, Asked)>,
    ) -> io::Result<()> {
        if self.ended && self.output.is_empty() {
            // Nothing else was waited for: nobody is there to read what is owed.
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.flush()?;
        self.read(now, unlimited, refused, asked)
    }

    /// Reads one buffer; whole frames become requests or refusals. An error means: drop this client.
    pub(super) fn read(
        &mut self,
        now: u64,
        unlimited: bool,
        refused: &mut u64,
        asked: &mut Vec<(Token, Asked)>,
    ) -> io::Result<()> {
        // A client that does not read its answers gets no more of them.
        if self.ended || !self.output.is_empty() {
            return if self.is_done() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) };
        }
        let mut buffer = [0u8; 16 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(0) => {
                self.ended = true;
                // An unfinished frame will not be finished any more.
                self.input = Frames::default();
                return if self.is_done() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) };
            }
            Ok(count) => self.input.push(&buffer[..count], now),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(error) => return Err(error),
        }
        loop {
            let read = match self.input.next_frame(now) {
                Ok(Some(frame)) => protocol::read(frame),
                Ok(None) => return Ok(()),
                Err(TooLong) => {
                    *refused += 1;
                    return Err(self.refuse(&too_large()));
                }
            };
            let allowed = if unlimited { Ok(()) } else { self.bucket.take(now) };
            match (allowed, read) {
                (Ok(()), Ok(request)) => {
                    self.owed += usize::from(request.form.wants_answer());
                    asked.push((self.token, request));
                }
                (Ok(()), Err((form, failure))) => {
                    *refused += 1;
                    self.send(&protocol::answer::<Value>(&form, Err(failure)))?;
                }
                (Err(wait), read) => {
                    *refused += 1;
                    let form = read.map_or_else(|(form, _)| form, |request| request.form);
                    self.send(&protocol::answer::<Value>(&form, Err(busy(wait))))?;
                }
            }
        }
    }
}

fn too_large() -> Failure {
    Failure::new(code::LIMIT, "too-large", format!("a frame has at most {MAX_FRAME} bytes"))
        .limit(MAX_FRAME as u64)
}

fn busy(wait: u64) -> Failure {
    Failure::new(code::LIMIT, "busy", "too many requests on this connection; ask again later")
        .retry_after(wait)
        .limit(BURST)
}
