//! What must not go wrong whatever is done to the daemon: it is killed again and again, and talked to by a madman.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tsm::model::{Event, Happening};
use tsm::store::{Journal, Layout};

use crate::kit::{User, eventually, is_alive, kill};

/// How often the daemon is killed.
const KILLS: u64 = 100;

/// One request of a connection of its own; none when the daemon is not there, or goes away before it answers.
fn ask(socket: &Path, request: &Value) -> Option<Value> {
    let mut stream = UnixStream::connect(socket).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream.write_all(format!("{request}\n").as_bytes()).ok()?;
    let mut line = String::new();
    match BufReader::new(stream).read_line(&mut line) {
        Ok(_) if line.ends_with('\n') => Some(serde_json::from_str(&line).unwrap()),
        Ok(_) => None,
        Err(error) => {
            let gone = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
            assert!(gone.contains(&error.kind()), "the daemon does not answer: {error}");
            None
        }
    }
}

/// Starts and stops a process by the command line until `over`; how often it was started.
fn typed(user: &User, name: &str, over: &AtomicBool) -> usize {
    let mut starts = 0;
    while !over.load(Ordering::Relaxed) {
        user.ok(&["start", "--name", name, "sleep", "1000"]).says("Started: ");
        starts += 1;
        let pid = user.pid(name);
        assert!(is_alive(pid));
        user.ok(&["stop", name]);
        assert!(!is_alive(pid));
    }
    starts
}

/// The same by the API, as often as there is a daemon that answers.
fn called(user: &User, name: &str, over: &AtomicBool) -> usize {
    let socket = user.daemon_file("daemon.sock");
    let mut answers = 0;
    while !over.load(Ordering::Relaxed) {
        for request in [
            json!({"command": "start", "words": ["sleep", "1000"], "name": name}),
            json!({"command": "stop", "refs": [name]}),
        ] {
            let Some(reply) = ask(&socket, &request) else { continue };
            // What the daemon before has begun may still be under way.
            let kind = reply["data"]["kind"].as_str().unwrap_or("");
            assert!(reply["ok"] == true || ["not-found", "conflict"].contains(&kind), "{request}: {reply}");
            answers += usize::from(reply["ok"] == true);
        }
    }
    answers
}

/// Checks that the events of one process make one life after another; how often it was started.
fn lives(name: &str, events: &[&Event]) -> usize {
    let mut starts = 0;
    let mut running: Option<i32> = None;
    for event in events {
        match event.event {
            Happening::Started => {
                assert_eq!(running, None, "{name} was doubled: {events:#?}");
                running = event.pid;
                starts += 1;
                assert_eq!(event.run, Some(starts as u64), "{name}: a start is missing: {events:#?}");
            }
            Happening::Exited => {
                assert!(running.is_some() && running.take() == event.pid, "{name}: {events:#?}");
            }
            Happening::Ready => assert!(running.is_some(), "{name}: {events:#?}"),
            Happening::Stopped => assert_eq!(running, None, "{name}: {events:#?}"),
            other => panic!("{name}: nobody did {other}: {events:#?}"),
        }
    }
    assert_eq!(running, None, "{name} was lost: {events:#?}");
    starts
}

/// No file is broken or left over.
fn files_are_whole(dir: &Path) {
    for item in fs::read_dir(dir).unwrap().flatten() {
        let (path, name) = (item.path(), item.file_name().into_string().unwrap());
        if item.file_type().unwrap().is_dir() {
            files_are_whole(&path);
        } else if [".json", ".state"].iter().any(|ending| name.ends_with(ending)) {
            let text = fs::read_to_string(&path).unwrap();
            serde_json::from_str::<Value>(&text).unwrap_or_else(|why| panic!("{name}: {why}: {text:?}"));
        }
        assert!(!name.starts_with(".new-"), "{} was left", path.display());
    }
}

#[test]
fn a_daemon_that_is_killed_a_hundred_times_costs_nothing() {
    let user = User::new();
    user.ok(&["start", "--name", "stays", "sleep", "1000"]);
    let stays = user.pid("stays");
    let over = AtomicBool::new(false);
    let (typed, called) = std::thread::scope(|scope| {
        let typist = scope.spawn(|| typed(&user, "typed", &over));
        let caller = scope.spawn(|| called(&user, "called", &over));
        for round in 0..KILLS {
            let pid = user.daemon();
            // At another moment each time.
            std::thread::sleep(Duration::from_millis(round * 7 % 61));
            kill(pid, "KILL");
            let list = user.json(&["list"]);
            assert!(list.as_array().unwrap().iter().any(|view| view["pid"] == stays), "{list}");
        }
        over.store(true, Ordering::Relaxed);
        (typist.join().unwrap(), caller.join().unwrap())
    });
    assert!(typed > 10 && called > 10, "too little was going on: {typed}, {called}");
    user.daemon();
    assert_eq!(user.pid("stays"), stays);
    user.ok(&["stop", "all"]);
    eventually("nothing but the daemon is left", || user.alive().len() == 1);
    user.ok(&["daemon", "stop"]);
    files_are_whole(&user.tsm_dir());

    let all = Journal::after(&Layout::new(user.tsm_dir()), 0).read().unwrap();
    let numbers: Vec<u64> = all.iter().map(|event| event.seq).collect();
    assert_eq!(numbers, (1..=all.len() as u64).collect::<Vec<_>>());
    let mut by_name: BTreeMap<&str, Vec<&Event>> = BTreeMap::new();
    for event in &all {
        by_name.entry(event.name.as_str()).or_default().push(event);
    }
    let lives: BTreeMap<&str, usize> =
        by_name.iter().map(|(name, events)| (*name, lives(name, events))).collect();
    assert_eq!((lives["typed"], lives["stays"]), (typed, 1));
    assert!(lives["called"] * 2 >= called / 2, "{lives:?} {called}");
}

#[test]
fn supervisors_and_the_daemon_may_die_together() {
    let user = User::new();
    let names: Vec<String> = (0..4).map(|at| format!("n{at}")).collect();
    for name in &names {
        user.ok(&["start", "--wait", "--name", name, "sleep", "1000"]);
    }
    let pids: Vec<i32> = names.iter().map(|name| user.pid(name)).collect();
    for _ in 0..5 {
        let daemon = user.daemon();
        let supervisors: Vec<i32> = names.iter().map(|name| user.supervisor(name)).collect();
        for pid in supervisors.iter().chain([&daemon]) {
            kill(*pid, "KILL");
        }
    }
    user.daemon();
    for (name, pid) in names.iter().zip(pids) {
        assert_eq!((user.state(name).as_str(), user.pid(name)), ("online", pid));
    }
    user.ok(&["stop", "all"]);
}

/// Numbers without a pattern (xorshift64*).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % sides
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        (0..self.roll(most)).map(|_| self.roll(256) as u8).collect()
    }
}

/// Nothing here can end the daemon or another user's process, whatever becomes of it.
const SEEDS: [&str; 7] = [
    r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{}}"#,
    r#"{"jsonrpc":"2.0","id":"x","method":"info","params":{"refs":["web"]}}"#,
    r#"{"command":"list","what":"all"}"#,
    r#"{"action":"status","args":{}}"#,
    r#"{"jsonrpc":"2.0","id":2,"method":"events.subscribe","params":{"since":0}}"#,
    r#"{"jsonrpc":"2.0","id":3,"method":"logs.subscribe","params":{"refs":["web"],"lines":3}}"#,
    "STATUS",
];

/// Talks nonsense until `over`.
fn rave(socket: &Path, mut dice: Dice, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        let Ok(mut stream) = UnixStream::connect(socket) else { continue };
        stream.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        for _ in 0..dice.roll(40) {
            let mut bytes = match dice.roll(4) {
                0 => dice.bytes(300),
                1 => vec![b"x\n{[\""[dice.roll(5)]; dice.roll(200_000)],
                _ => SEEDS[dice.roll(SEEDS.len())].as_bytes().to_vec(),
            };
            for _ in 0..dice.roll(4) {
                if !bytes.is_empty() {
                    let at = dice.roll(bytes.len());
                    bytes[at] = dice.roll(256) as u8;
                }
            }
            if dice.roll(5) > 0 {
                bytes.push(b'\n');
            }
            // Some answers are read, others are not.
            let sent = stream.write_all(&bytes);
            if dice.roll(2) == 0 {
                let _ = stream.read(&mut [0; 4096]);
            }
            if sent.is_err() {
                break;
            }
        }
    }
}

#[test]
fn a_client_that_raves_is_nobodys_business_but_its_own() {
    // `.ci/run` has it rave for a minute.
    let seconds = std::env::var("TSM_RAVE_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(5);
    let user = User::new();
    user.ok(&["start", "--wait", "--name", "web", "sleep", "1000"]);
    let (daemon, web) = (user.daemon(), user.pid("web"));
    let socket = user.daemon_file("daemon.sock");
    let over = AtomicBool::new(false);
    let mut told = user.told(&json!({"name": "job"}));
    let mut answers = 0;
    std::thread::scope(|scope| {
        for seed in 1..5 {
            let (socket, over) = (&socket, &over);
            scope.spawn(move || rave(socket, Dice(seed), over));
        }
        let end = Instant::now() + Duration::from_secs(seconds);
        let mut api = user.api();
        while Instant::now() < end {
            let reply = api.ask("{\"command\":\"list\"}");
            assert_eq!((&reply["ok"], &reply["result"][0]["pid"]), (&true.into(), &web.into()), "{reply}");
            assert_eq!(api.call("info", &json!({"refs": ["web"]})).unwrap()["pid"], web);
            user.ok(&["start", "--name", "job", "sleep", "1000"]);
            user.ok(&["delete", "job"]);
            told.until("job", "stopped");
            answers += 1;
        }
        over.store(true, Ordering::Relaxed);
    });
    assert!(answers > 3, "{answers}");
    let status = user.api().call("status", &json!({})).unwrap();
    assert_eq!(status["pid"], daemon, "{status}");
    assert!(status["refused"].as_u64() > Some(100), "it did not rave: {status}");
    eventually("all of it is gone", || {
        let status = user.api().call("status", &json!({})).unwrap();
        (&status["connections"], &status["subscriptions"]) == (&2.into(), &1.into())
    });
    assert_eq!(user.pid("web"), web);
}
