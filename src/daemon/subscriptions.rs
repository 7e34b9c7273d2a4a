//! Who wants to be told of events, agents and log lines as they come.

use std::io::{BufRead, BufReader};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::agents::{Changes, Seen};
use super::methods::Method;
use super::params::Events;
use super::protocol::{self, Failure, code};
use super::server::{Server, Token};
use crate::agents::ChangeDocument;
use crate::model::Event;
use crate::store::{Journal, Layout};
use crate::sys::run;
use crate::sys::wake::Waker;

/// The most subscriptions of all clients together.
const MOST: usize = 64;

/// How many log lines of one subscription wait for the loop; then its reader waits.
const LINES: usize = 1024;

/// One subscription.
#[derive(Debug)]
struct Subscription {
    id: u64,
    to: Token,
    what: What,
}

#[derive(Debug)]
enum What {
    /// Events after a number; `begun` once what was before is sent.
    Events { wanted: Events, seq: u64, begun: bool },
    /// What changes of agents after a look.
    Agents { look: u64 },
    /// The lines of a `tsm logs -f`.
    Logs { _stream: run::Stream, lines: Receiver<Value>, count: u64, ended: bool },
}

/// What a notification `agent` has.
#[derive(Debug, Serialize)]
struct AgentTold<'a> {
    subscription: u64,
    #[serde(flatten)]
    change: &'a ChangeDocument,
}

/// All subscriptions.
#[derive(Debug)]
pub(super) struct Subscriptions {
    all: Vec<Subscription>,
    next: u64,
    waker: Waker,
}

impl Subscriptions {
    pub(super) fn new(waker: Waker) -> Self {
        Subscriptions { all: Vec::new(), next: 1, waker }
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    fn add(&mut self, to: Token, what: What, server: &mut Server) -> u64 {
        server.keep(to);
        let id = self.next;
        self.next += 1;
        self.all.push(Subscription { id, to, what });
        id
    }

    fn full(&self) -> Result<(), Failure> {
        if self.all.len() < MOST {
            return Ok(());
        }
        Err(Failure::new(code::LIMIT, "busy", format!("there are {MOST} subscriptions")).limit(MOST as u64))
    }

    /// Events after `wanted.since`, else after `now`.
    pub(super) fn add_events(
        &mut self,
        to: Token,
        wanted: Events,
        now: u64,
        server: &mut Server,
    ) -> Result<Value, Failure> {
        self.full()?;
        // A number that is still to come is one of a journal that is gone: all of this one is new then.
        let since = wanted.since.map(|since| if since > now { 0 } else { since });
        let (seq, begun) = since.map_or((now, true), |since| (since, false));
        let id = self.add(to, What::Events { wanted, seq, begun }, server);
        Ok(json!({"subscription": id, "seq": seq}))
    }

    /// What changes of agents after what was seen.
    pub(super) fn add_agents(
        &mut self,
        to: Token,
        seen: &Seen,
        server: &mut Server,
    ) -> Result<Value, Failure> {
        self.full()?;
        let id = self.add(to, What::Agents { look: seen.number }, server);
        Ok(json!({"subscription": id, "sessions": seen.documents}))
    }

    /// Tells of what has changed of agents.
    pub(super) fn agents(&mut self, changes: &Changes, server: &mut Server) {
        for one in &self.all {
            let What::Agents { look } = one.what else { continue };
            // A look may have ended between the answer and this.
            for change in changes.all.iter().filter(|_| changes.number > look) {
                let told = AgentTold { subscription: one.id, change };
                server.send(one.to, &protocol::notification("agent", &told));
            }
        }
        self.drop_gone(server);
    }

    /// The lines of logs.
    pub(super) fn add_logs(
        &mut self,
        to: Token,
        params: &Map<String, Value>,
        server: &mut Server,
    ) -> Result<Value, Failure> {
        self.full()?;
        let words = Method::find("logs.subscribe")?.words(params)?;
        let failed = |error: &std::io::Error| {
            Failure::new(code::VERB - 1, "failed", format!("cannot follow: {}", crate::error::plain(error)))
        };
        let mut stream = run::own_stream(&words).map_err(|error| failed(&error))?;
        let (send, lines) = sync_channel(LINES);
        if let Some(out) = stream.output() {
            let waker = self.waker.clone();
            let read = move || read_lines(BufReader::new(out), send, &waker);
            std::thread::Builder::new().stack_size(128 * 1024).spawn(read).map_err(|error| failed(&error))?;
        }
        let id = self.add(to, What::Logs { _stream: stream, lines, count: 0, ended: false }, server);
        Ok(json!({"subscription": id}))
    }

    /// After the answer to `token`: what a new subscription has missed.
    pub(super) fn began(&mut self, token: Token, server: &mut Server, layout: &Layout) {
        for one in self.all.iter_mut().filter(|one| one.to == token) {
            let What::Events { wanted, seq, begun } = &mut one.what else { continue };
            if std::mem::replace(begun, true) {
                continue;
            }
            let mut missed = Journal::after(layout, *seq);
            while let Some(events) = missed.read_some().ok().filter(|events| !events.is_empty()) {
                tell(one.id, token, wanted, seq, &events, server);
            }
        }
    }

    /// Tells of events, each once.
    pub(super) fn events(&mut self, events: &[Event], server: &mut Server) {
        for one in &mut self.all {
            if let What::Events { wanted, seq, .. } = &mut one.what {
                tell(one.id, one.to, wanted, seq, events, server);
            }
        }
        self.drop_gone(server);
    }

    /// Passes on the log lines that have come.
    pub(super) fn lines(&mut self, server: &mut Server) {
        for one in &mut self.all {
            let What::Logs { lines, count, ended, .. } = &mut one.what else { continue };
            for _ in 0..LINES {
                let mut line = match lines.try_recv() {
                    Ok(line) => line,
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => {
                        *ended = true;
                        let params = json!({"subscription": one.id});
                        server.send(one.to, &protocol::notification("log.end", &params));
                        break;
                    }
                };
                *count += 1;
                if let Value::Object(fields) = &mut line {
                    fields.insert("subscription".into(), one.id.into());
                    fields.insert("seq".into(), (*count).into());
                }
                server.send(one.to, &protocol::notification("log", &line));
            }
        }
        self.drop_gone(server);
    }

    fn drop_gone(&mut self, server: &Server) {
        // The child of one that logs goes with it.
        self.all.retain(|one| server.has(one.to) && !matches!(one.what, What::Logs { ended: true, .. }));
    }
}

fn tell(id: u64, to: Token, wanted: &Events, seq: &mut u64, events: &[Event], server: &mut Server) {
    for event in events.iter().filter(|event| event.seq > *seq) {
        if wanted.name.as_ref().is_none_or(|name| event.name.as_str() == name) {
            let params = json!({"subscription": id, "event": event});
            server.send(to, &protocol::notification("event", &params));
        }
    }
    *seq = events.last().map_or(*seq, |last| last.seq.max(*seq));
}

fn read_lines(out: impl BufRead, send: SyncSender<Value>, waker: &Waker) {
    for line in out.split(b'\n') {
        let Ok(line) = line else { break };
        let Ok(value) = serde_json::from_slice(&line) else { continue };
        if send.send(value).is_err() {
            return;
        }
        waker.wake();
    }
    // The loop sees the end by this.
    drop(send);
    waker.wake();
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    use super::super::protocol::Form;
    use super::*;
    use crate::model::{Happening, Name};
    use crate::store;
    use crate::sys::{poll, wake};

    #[test]
    fn what_a_subscriber_was_told_of_the_past_is_not_told_again() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path().to_owned());
        layout.create().unwrap();
        for name in ["web", "job", "web"] {
            let mut event = Event::of(&Name::reduce(name), Happening::Started, 1);
            store::record(&layout, &mut event).unwrap();
        }
        let path = dir.path().join("s");
        let mut server = Server::bind(&path, true).unwrap();
        let mut client = UnixStream::connect(&path).unwrap();
        client.write_all(b"PING\n").unwrap();
        let fds: Vec<_> = server.interests().collect();
        let ready = poll::wait(&fds, None).unwrap();
        let (token, _) = server.serve(&ready, 0).remove(0);
        server.answer(token, &Form::Rpc(None), Ok(Value::Null));

        let mut all = Subscriptions::new(wake::pair().unwrap().0);
        let wanted = |since, name: Option<&str>| Events { since, name: name.map(str::to_owned) };
        // The daemon itself has read one event so far.
        all.add_events(token, wanted(Some(1), None), 1, &mut server).unwrap();
        all.add_events(token, wanted(Some(0), Some("web")), 1, &mut server).unwrap();
        all.add_events(token, wanted(None, None), 1, &mut server).unwrap();
        let anew = all.add_events(token, wanted(Some(99), Some("job")), 1, &mut server).unwrap();
        assert_eq!(anew["seq"], 0, "of a journal that is gone");
        all.began(token, &mut server, &layout);
        let events = Journal::after(&layout, 1).read().unwrap();
        all.events(&events, &mut server);
        all.events(&events, &mut server);
        drop(server);
        let mut text = String::new();
        client.read_to_string(&mut text).unwrap();
        let told = |id: u64| -> Vec<u64> {
            text.lines()
                .map(|line| serde_json::from_str::<Value>(line).unwrap()["params"].take())
                .filter(|params| params["subscription"] == id)
                .map(|params| params["event"]["seq"].as_u64().unwrap())
                .collect()
        };
        assert_eq!([told(1), told(2), told(3), told(4)], [vec![2, 3], vec![1, 3], vec![2, 3], vec![2]]);
    }
}
