//! The listening side of the daemon's socket, for a poll loop: never blocks, never trusts a client's manners.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use serde_json::Value;

use super::frames::{FRAME_MS, Frames, MAX_FRAME, TooLong};
use super::protocol::{self, Asked, Failure, Form, code};
use super::rate::{BURST, Bucket};
use crate::sys::poll::Interest;
use crate::sys::{fd, unix};

/// The most connections at a time.
pub(super) const MAX_CONNECTIONS: usize = 64;

/// The most bytes of answers that wait for a client that does not read them.
const MAX_UNREAD: usize = 8 << 20;

/// How long a client that there is no descriptor for waits, in milliseconds.
const DEAF_MS: u64 = 500;

/// Names one connection of this server for as long as it lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Token(u64);

#[derive(Debug)]
struct Connection {
    token: Token,
    stream: UnixStream,
    input: Frames,
    output: Vec<u8>,
    /// How much of `output` is written.
    written: usize,
    bucket: Bucket,
    /// Close when the output is written.
    closing: bool,
}

/// The socket and its clients.
#[derive(Debug)]
pub(super) struct Server {
    listener: Option<UnixListener>,
    clients: Vec<Connection>,
    next: u64,
    /// When to listen again, in monotonic milliseconds, after no descriptor was left for a client.
    deaf_until: Option<u64>,
    /// No limit of requests a second: for measuring.
    unlimited: bool,
    /// Frames that were refused for a limit.
    pub(super) refused: u64,
}

impl Server {
    /// Listens at `path`, for this user only; what a dead daemon left there is replaced.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub(super) fn bind(path: &Path, unlimited: bool) -> io::Result<Self> {
        let listener = unix::listen(path)?;
        fd::set_nonblocking(&listener)?;
        Ok(Server {
            listener: Some(listener),
            clients: Vec::new(),
            next: 0,
            deaf_until: None,
            unlimited,
            refused: 0,
        })
    }

    /// Takes no more clients.
    pub(super) fn close(&mut self) {
        self.listener = None;
    }

    /// How many clients are connected.
    pub(super) fn connections(&self) -> usize {
        self.clients.len()
    }

    /// True when every answer is on its way.
    pub(super) fn is_flushed(&self) -> bool {
        self.clients.iter().all(|client| client.output.is_empty())
    }

    /// What the loop must wait for, in the order that [`Server::serve`] wants the answers in.
    pub(super) fn interests(&self) -> impl Iterator<Item = (BorrowedFd<'_>, Interest)> {
        let listener = self.listener.as_ref().filter(|_| self.deaf_until.is_none());
        let clients = self.clients.iter().map(|client| {
            let interest = if client.output.is_empty() { Interest::Read } else { Interest::Write };
            (client.stream.as_fd(), interest)
        });
        clients.chain(listener.map(|listener| (listener.as_fd(), Interest::Read)))
    }

    /// When an unfinished frame is to be dropped next, or clients are to be accepted again, in monotonic milliseconds.
    pub(super) fn deadline(&self) -> Option<u64> {
        self.clients.iter().filter_map(|client| client.input.deadline()).chain(self.deaf_until).min()
    }

    /// Reads and writes what is `ready` at `now`, accepts who waits, and returns what was asked.
    pub(super) fn serve(&mut self, ready: &[bool], now: u64) -> Vec<(Token, Asked)> {
        let mut asked = Vec::new();
        let before = self.clients.len();
        let mut gone = Vec::new();
        for (at, client) in self.clients.iter_mut().enumerate() {
            let late = client.input.deadline().is_some_and(|deadline| now >= deadline);
            let is_ready = ready.get(at).copied().unwrap_or(false);
            let result = match (late, is_ready) {
                (true, _) => {
                    self.refused += 1;
                    client.refuse(&too_slow())
                }
                (false, true) => client
                    .flush()
                    .and_then(|()| client.read(now, self.unlimited, &mut self.refused, &mut asked)),
                (false, false) => Ok(()),
            };
            if result.is_err() {
                gone.push(client.token);
            }
        }
        self.clients.retain(|client| !gone.contains(&client.token));
        self.deaf_until = self.deaf_until.filter(|until| now < *until);
        if ready.get(before).copied().unwrap_or(false) {
            self.accept(now, &mut asked);
        }
        asked
    }

    fn accept(&mut self, now: u64, asked: &mut Vec<(Token, Asked)>) {
        while let Some(listener) = self.listener.as_ref().filter(|_| self.deaf_until.is_none()) {
            let mut stream = match listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => {
                    self.deaf_until = Some(now + DEAF_MS);
                    return;
                }
            };
            if fd::set_nonblocking(&stream).is_err() {
                continue;
            }
            // Before a byte of it is looked at.
            let refusal = match unix::peer_uid(&stream) {
                Ok(uid) if unix::may_command(uid) => None,
                _ => Some(Failure::new(code::LIMIT, "refused", "only the user who runs this daemon may ask")),
            };
            let refusal = refusal.or_else(|| (self.clients.len() >= MAX_CONNECTIONS).then(too_many));
            if let Some(failure) = refusal {
                self.refused += 1;
                let _ = stream.write_all(&protocol::answer(&Form::Rpc(Some(Value::Null)), Err(failure)));
                continue;
            }
            let token = Token(self.next);
            self.next += 1;
            let mut client = Connection {
                token,
                stream,
                input: Frames::default(),
                output: Vec::new(),
                written: 0,
                bucket: Bucket::new(now),
                closing: false,
            };
            // Most clients send their request with the connection: answered without another turn of the loop.
            if client.read(now, self.unlimited, &mut self.refused, asked).is_ok() {
                self.clients.push(client);
            }
        }
    }

    /// Sends bytes to `token`; a client that is gone, or reads too slowly, is none any more.
    pub(super) fn send(&mut self, token: Token, bytes: &[u8]) {
        let Some(at) = self.clients.iter().position(|client| client.token == token) else { return };
        if self.clients[at].send(bytes).is_err() {
            self.clients.swap_remove(at);
        }
    }

    /// True while `token` is connected.
    pub(super) fn has(&self, token: Token) -> bool {
        self.clients.iter().any(|client| client.token == token)
    }
}

fn too_many() -> Failure {
    Failure::new(
        code::LIMIT,
        "too-many-connections",
        format!("{MAX_CONNECTIONS} connections are open; close one, or try again"),
    )
    .limit(MAX_CONNECTIONS as u64)
    .retry_after(100)
}

fn too_slow() -> Failure {
    Failure::new(code::LIMIT, "too-slow", format!("a frame must be complete within {} s", FRAME_MS / 1000))
        .limit(FRAME_MS)
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

impl Connection {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.output.extend_from_slice(bytes);
        if self.output.len() - self.written > MAX_UNREAD {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.flush()
    }

    /// Says why, and closes.
    fn refuse(&mut self, failure: &Failure) -> io::Result<()> {
        self.closing = true;
        self.send(&protocol::answer(&Form::Rpc(Some(Value::Null)), Err(failure.clone())))
    }

    fn flush(&mut self) -> io::Result<()> {
        while self.written < self.output.len() {
            match self.stream.write(&self.output[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
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
        if self.closing { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }

    /// Reads one buffer; whole frames become requests or refusals. An error means: drop this client.
    fn read(
        &mut self,
        now: u64,
        unlimited: bool,
        refused: &mut u64,
        asked: &mut Vec<(Token, Asked)>,
    ) -> io::Result<()> {
        // A client that does not read its answers gets no more of them.
        if self.closing || !self.output.is_empty() {
            return Ok(());
        }
        let mut buffer = [0u8; 16 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
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
                    return self.refuse(&too_large());
                }
            };
            let allowed = if unlimited { Ok(()) } else { self.bucket.take(now) };
            match (allowed, read) {
                (Ok(()), Ok(request)) => asked.push((self.token, request)),
                (Ok(()), Err((form, failure))) => {
                    *refused += 1;
                    self.send(&protocol::answer(&form, Err(failure)))?;
                }
                (Err(wait), read) => {
                    *refused += 1;
                    let form = read.map_or_else(|(form, _)| form, |request| request.form);
                    self.send(&protocol::answer(&form, Err(busy(wait))))?;
                }
            }
        }
    }
}
