//! The listening side of a control socket, for a poll loop: never blocks, never trusts a client's manners.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use super::message::{Request, error_line};
use super::wire::{Lines, MAX_CLIENTS, MAX_LINE, TooLong};
use crate::sys::{fd, poll::Interest, unix};

/// The most bytes of replies that wait for a client that does not read them.
const MAX_UNREAD: usize = 64 * 1024;

/// Names one connection of this server for as long as it lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Token(u64);

#[derive(Debug)]
struct Connection {
    token: Token,
    stream: UnixStream,
    input: Lines,
    output: Vec<u8>,
    /// Close when the output is written.
    closing: bool,
}

/// The control socket and its clients.
#[derive(Debug)]
pub struct Server {
    listener: UnixListener,
    clients: Vec<Connection>,
    next: u64,
    /// When to listen again, in monotonic milliseconds, after no descriptor was left for a client.
    deaf_until: Option<u64>,
}

/// How long a client that there is no descriptor for waits, in milliseconds.
const DEAF_MS: u64 = 500;

impl Server {
    /// Listens at `path`, for this user only.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub fn bind(path: &Path) -> io::Result<Self> {
        let listener = unix::listen(path)?;
        fd::set_nonblocking(&listener)?;
        Ok(Server { listener, clients: Vec::new(), next: 0, deaf_until: None })
    }

    /// What the loop must wait for.
    pub fn interests(&self) -> Vec<(BorrowedFd<'_>, Interest)> {
        let clients = self.clients.iter().map(|client| {
            let interest = if client.output.is_empty() { Interest::Read } else { Interest::Write };
            (client.stream.as_fd(), interest)
        });
        // A client that cannot be accepted would keep the loop awake.
        let listener = self.deaf_until.is_none().then(|| (self.listener.as_fd(), Interest::Read));
        listener.into_iter().chain(clients).collect()
    }

    /// When a client's unfinished line is to be dropped next, or clients are to be accepted again, in monotonic
    /// milliseconds.
    pub fn deadline(&self) -> Option<u64> {
        self.clients.iter().filter_map(|client| client.input.deadline()).chain(self.deaf_until).min()
    }

    /// Accepts, reads and writes what is possible at `now` and returns the requests that have come.
    pub fn serve(&mut self, now: u64) -> Vec<(Token, Request)> {
        let mut requests = Vec::new();
        let mut gone = Vec::new();
        for client in &mut self.clients {
            if client.flush().is_err() || client.read(now, &mut requests).is_err() {
                gone.push(client.token);
            }
        }
        self.clients.retain(|client| !gone.contains(&client.token));
        self.accept(now, &mut requests);
        requests
    }

    fn accept(&mut self, now: u64, requests: &mut Vec<(Token, Request)>) {
        self.deaf_until = self.deaf_until.filter(|until| now < *until);
        while self.deaf_until.is_none() {
            let (mut stream, _) = match self.listener.accept() {
                Ok(accepted) => accepted,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => {
                    self.deaf_until = Some(now + DEAF_MS);
                    return;
                }
            };
            if fd::set_nonblocking(&stream).is_err() {
                continue;
            }
            let refused = match unix::peer_uid(&stream) {
                Ok(uid) if unix::may_command(uid) => None,
                _ => Some("only the user who runs this process may ask".to_owned()),
            };
            let refused = refused.or_else(|| {
                (self.clients.len() >= MAX_CLIENTS)
                    .then(|| format!("busy: {MAX_CLIENTS} connections are open; try again"))
            });
            if let Some(why) = refused {
                let _ = stream.write_all(error_line(&why).as_bytes());
                continue;
            }
            let token = Token(self.next);
            self.next += 1;
            let mut client =
                Connection { token, stream, input: Lines::default(), output: Vec::new(), closing: false };
            // Most clients send their request with the connection: answered without another turn of the loop.
            if client.read(now, requests).is_ok() {
                self.clients.push(client);
            }
        }
    }

    /// Answers `token` with a reply line; a client that is gone is none.
    pub fn reply(&mut self, token: Token, line: &str) {
        let Some(at) = self.clients.iter().position(|client| client.token == token) else { return };
        if self.clients[at].send(line).is_err() {
            self.clients.swap_remove(at);
        }
    }

    /// True while `token` is connected.
    pub fn has(&self, token: Token) -> bool {
        self.clients.iter().any(|client| client.token == token)
    }
}

impl Connection {
    fn send(&mut self, line: &str) -> io::Result<()> {
        self.output.extend_from_slice(line.as_bytes());
        if self.output.len() > MAX_UNREAD {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        while !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(count) => {
                    self.output.drain(..count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.output = Vec::new();
        if self.closing { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }

    /// Reads one buffer; whole lines become requests or error replies. An error means: drop this client.
    fn read(&mut self, now: u64, requests: &mut Vec<(Token, Request)>) -> io::Result<()> {
        if self.input.deadline().is_some_and(|deadline| now >= deadline) {
            self.input.clear();
            self.send(&error_line("the line was not finished within 5 s and is dropped"))?;
        }
        // A client that does not read its answers gets no more of them.
        if self.closing || !self.output.is_empty() {
            return Ok(());
        }
        let mut buffer = [0u8; MAX_LINE];
        match self.stream.read(&mut buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => self.input.push(&buffer[..count], now),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(error) => return Err(error),
        }
        loop {
            match self.input.next_line(now) {
                Ok(Some(line)) => match Request::parse(&line) {
                    Ok(request) => requests.push((self.token, request)),
                    Err(why) => self.send(&error_line(&why))?,
                },
                Ok(None) => return Ok(()),
                Err(TooLong) => {
                    self.closing = true;
                    return self.send(&error_line(&format!("a line has at most {MAX_LINE} bytes")));
                }
            }
        }
    }
}
