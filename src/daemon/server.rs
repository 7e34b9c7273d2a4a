//! The listening side of the daemon's socket, for a poll loop: never blocks, never trusts a client's manners.

use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use super::connection::Connection;
use super::frames::FRAME_MS;
use super::protocol::{self, Asked, Failure, Form, code};
use crate::sys::poll::Interest;
use crate::sys::{fd, unix};

/// The most connections at a time.
pub(super) const MAX_CONNECTIONS: usize = 64;

/// How long a client that there is no descriptor for waits, in milliseconds.
const DEAF_MS: u64 = 500;

/// Names one connection of this server for as long as it lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Token(u64);

impl Token {
    /// One by its number.
    #[cfg(test)]
    pub(super) fn numbered(number: u64) -> Self {
        Token(number)
    }
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
        let clients = self.clients.iter().map(|client| (client.stream.as_fd(), client.interest()));
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
                    Err(client.refuse(&too_slow()))
                }
                (false, true) => client.serve(now, self.unlimited, &mut self.refused, &mut asked),
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
                let _ =
                    stream.write_all(&protocol::answer::<Value>(&Form::Rpc(Some(Value::Null)), Err(failure)));
                continue;
            }
            let token = Token(self.next);
            self.next += 1;
            let mut client = Connection::new(token, stream, now);
            // Most clients send their request with the connection: answered without another turn of the loop.
            if client.read(now, self.unlimited, &mut self.refused, asked).is_ok() {
                self.clients.push(client);
            }
        }
    }

    /// Sends what nobody has asked for just now to `token`; a client that is gone, or reads too slowly, is none any more.
    pub(super) fn send(&mut self, token: Token, bytes: &[u8]) {
        self.with(token, |client| client.send(bytes));
    }

    /// Answers one request of `token`.
    pub(super) fn answer<Outcome: Serialize>(
        &mut self,
        token: Token,
        form: &Form,
        outcome: Result<Outcome, Failure>,
    ) {
        self.with(token, |client| client.answer(form, outcome));
    }

    /// From now on `token` waits for notifications, also when it has nothing more to ask.
    pub(super) fn keep(&mut self, token: Token) {
        self.with(token, |client| {
            client.owed += 1;
            Ok(())
        });
    }

    fn with(&mut self, token: Token, act: impl FnOnce(&mut Connection) -> io::Result<()>) {
        let Some(at) = self.clients.iter().position(|client| client.token == token) else { return };
        let client = &mut self.clients[at];
        if act(client).is_err() || client.is_done() {
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

#[cfg(test)]
mod tests {
    use std::io::{BufRead, Read};
    use std::os::unix::net::UnixStream;

    use super::super::connection::MAX_UNREAD;
    use super::*;
    use crate::sys::poll;

    /// A server, and how it is served.
    struct Place {
        server: Server,
        dir: tempfile::TempDir,
    }

    impl Place {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            Place { server: Server::bind(&dir.path().join("s"), false).unwrap(), dir }
        }

        fn client(&mut self) -> UnixStream {
            let client = UnixStream::connect(self.dir.path().join("s")).unwrap();
            self.turn(0);
            client
        }

        /// What is asked at `now`.
        fn turn(&mut self, now: u64) -> Vec<(Token, Asked)> {
            let fds: Vec<_> = self.server.interests().collect();
            let ready = poll::wait(&fds, Some(std::time::Duration::ZERO)).unwrap();
            self.server.serve(&ready, now)
        }
    }

    fn hear(client: &mut UnixStream) -> String {
        let mut line = String::new();
        let _ = io::BufReader::new(client).read_line(&mut line);
        line
    }

    #[test]
    fn a_frame_that_does_not_end_in_time_ends_its_client_and_no_other() {
        let mut place = Place::new();
        let (mut slow, mut other) = (place.client(), place.client());
        slow.write_all(b"{\"method\":").unwrap();
        assert!(place.turn(5).is_empty());
        assert_eq!(place.server.deadline(), Some(5 + FRAME_MS));
        slow.write_all(b" ").unwrap();
        assert!(place.turn(4 + FRAME_MS).is_empty());
        assert_eq!(place.server.connections(), 2);
        other.write_all(b"ping\n").unwrap();
        assert_eq!(place.turn(5 + FRAME_MS).len(), 1);
        assert_eq!(place.server.connections(), 1);
        let said: Value = serde_json::from_str(&hear(&mut slow)).unwrap();
        assert_eq!(said["error"]["data"]["kind"], "too-slow");
        assert_eq!(said["error"]["data"]["limit"], 30_000);
        assert_eq!(hear(&mut slow), "");
        assert_eq!(place.server.deadline(), None);
    }

    #[test]
    fn who_has_said_everything_gets_what_is_owed_and_who_is_gone_gets_nothing() {
        let mut place = Place::new();
        let mut client = place.client();
        client.write_all(b"status\n{\"jsonrpc\":\"2.0\",\"method\":\"ping\"}\n").unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        let asked = place.turn(0);
        assert_eq!(asked.len(), 2);
        place.turn(0);
        assert_eq!(place.server.connections(), 1, "one answer is owed");
        for (token, asked) in asked {
            place.server.answer(token, &asked.form, Ok(Value::Null));
        }
        assert_eq!(place.server.connections(), 0);
        assert_eq!(hear(&mut client), "{\"ok\":true,\"result\":null}\n");

        let mut gone = place.client();
        gone.write_all(b"status\n").unwrap();
        gone.shutdown(std::net::Shutdown::Write).unwrap();
        place.turn(0);
        place.turn(0);
        assert_eq!(place.server.connections(), 1);
        drop(gone);
        place.turn(0);
        assert_eq!(place.server.connections(), 0);
    }

    #[test]
    fn who_does_not_read_is_dropped_and_a_slow_reader_costs_only_what_it_has_not_read() {
        let mut place = Place::new();
        let (mut reader, _deaf) = (place.client(), place.client());
        let [first, second] = [0, 1].map(Token);
        let line = [vec![b'x'; 1 << 20], b"\n".to_vec()].concat();
        let mut buffer = vec![0; 2 << 20];
        for _ in 0..3 * (MAX_UNREAD >> 20) {
            place.server.send(second, &line);
            place.server.send(first, &line);
            let mut left = line.len();
            while left > 0 {
                left -= reader.read(&mut buffer).unwrap().min(left);
                place.turn(0);
            }
        }
        assert!(!place.server.has(second));
        assert!(place.server.has(first));
        let kept = place.server.clients.iter().map(|client| client.output.capacity()).max();
        assert!(kept < Some(MAX_UNREAD), "{kept:?}");
    }

    #[test]
    fn an_unfinished_frame_of_who_does_not_read_ends_it_once() {
        let mut place = Place::new();
        let mut client = place.client();
        client.write_all(b"{").unwrap();
        place.turn(0);
        place.server.send(Token(0), &vec![b'x'; 4 << 20]);
        assert!(place.server.has(Token(0)));
        place.turn(FRAME_MS);
        assert!(!place.server.has(Token(0)), "nobody waits for it for ever");
        assert_eq!(place.server.deadline(), None);
    }
}
