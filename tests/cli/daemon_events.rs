//! What the daemon tells as it happens, and what it looks after while nobody types.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tsm::daemon::client::EventStream;
use tsm::model::Event;
use tsm::store::{Journal, Layout};

use crate::control::Client;
use crate::kit::{User, eventually, free_port, kill};
use crate::unsupervised::orphan;

/// A subscription to events.
pub(crate) struct Told {
    api: Client,
    id: Value,
    pub(crate) all: Vec<Value>,
}

impl User {
    /// Subscribes to events.
    pub(crate) fn told(&self, params: &Value) -> Told {
        let mut api = self.api();
        let id = api.call("events.subscribe", params).unwrap()["subscription"].clone();
        Told { api, id, all: Vec::new() }
    }

    fn layout(&self) -> Layout {
        Layout::new(self.tsm_dir())
    }
}

impl Told {
    fn next(&mut self) -> Value {
        let mut message = self.api.hear().unwrap();
        assert_eq!(
            (&message["method"], &message["params"]["subscription"]),
            (&"event".into(), &self.id),
            "{message}"
        );
        let event = message["params"]["event"].take();
        self.all.push(event.clone());
        event
    }

    /// Waits for that event of that process; what comes before is remembered.
    pub(crate) fn until(&mut self, name: &str, what: &str) -> Value {
        loop {
            let event = self.next();
            if (&event["name"], &event["event"]) == (&name.into(), &what.into()) {
                return event;
            }
        }
    }

    /// What was told of one process so far.
    pub(crate) fn of(&self, name: &str) -> Vec<&str> {
        let of_it = self.all.iter().filter(|event| event["name"] == name);
        of_it.map(|event| event["event"].as_str().unwrap()).collect()
    }
}

fn numbers(events: &[Value]) -> Vec<u64> {
    events.iter().map(|event| event["seq"].as_u64().unwrap()).collect()
}

fn wall_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

#[test]
fn a_subscriber_is_told_a_whole_life() {
    let user = User::new();
    user.daemon();
    let mut told = user.told(&json!({}));
    let mut other = user.told(&json!({"name": "elsewhere"}));
    let port = free_port();
    user.ok(&[
        "start",
        "--wait",
        "--name",
        "web",
        "--port",
        &port.to_string(),
        "python3",
        "-m",
        "http.server",
    ]);
    let web = format!("web-{port}");
    let bound = told.until(&web, "port-bound");
    assert_eq!(
        (&bound["port"], &bound["run"], &bound["id"]),
        (&port.into(), &1.into(), &0.into()),
        "{bound}"
    );
    let pid = user.pid(&web);
    kill(pid, "KILL");
    let exited = told.until(&web, "exited");
    assert_eq!(
        (&exited["pid"], &exited["run"], &exited["exit"]["signal"]),
        (&pid.into(), &1.into(), &9.into()),
        "{exited}"
    );
    let again = told.until(&web, "restarted");
    assert_eq!((&again["run"], &again["pid"]), (&2.into(), &user.pid(&web).into()), "{again}");
    assert_eq!(told.until(&web, "ready")["run"], 2);
    assert_eq!(told.until(&web, "port-bound")["run"], 2, "each run binds its own");
    user.ok(&["stop", &web]);
    told.until(&web, "stopped");
    assert_eq!(
        told.of(&web),
        ["started", "ready", "port-bound", "exited", "restarted", "ready", "port-bound", "exited", "stopped"],
        "{:#?}",
        told.all
    );
    user.ok(&["start", "--name", "bad", "--max-restarts", "1", "sh", "-c", "sleep 0.01; exit 7"]);
    told.until("bad", "gave-up");
    assert_eq!(told.of("bad"), ["started", "exited", "restarted", "exited", "gave-up"]);
    assert_eq!(told.all.iter().rfind(|event| event["event"] == "exited").unwrap()["exit"]["code"], 7);
    let first = told.all[0]["seq"].as_u64().unwrap();
    assert_eq!(numbers(&told.all), (first..first + told.all.len() as u64).collect::<Vec<_>>());
    assert!(told.all.iter().all(|event| event["time_ms"].as_u64() > Some(0)));
    // Who wants one process hears of no other.
    user.ok(&["start", "--name", "elsewhere", "sleep", "1000"]);
    assert_eq!(other.next()["name"], "elsewhere");
}

/// Listens on a port of its own choice, and on a line of its FIFO no longer.
const FICKLE: &str = "
import os, socket, sys
s = socket.socket(); s.bind(('127.0.0.1', int(sys.argv[1]))); s.listen()
os.mkfifo(sys.argv[2]); open(sys.argv[2]).read()
s.close()
while True: open(sys.argv[2]).read()
";

#[test]
fn a_port_that_comes_and_goes_is_told_also_what_no_daemon_saw() {
    let user = User::new();
    let (port, lost) = (free_port(), free_port());
    user.daemon();
    let mut told = user.told(&json!({}));
    let script = user.file("fickle.py", FICKLE).display().to_string();
    let fifos = [user.cwd().join("a"), user.cwd().join("b")];
    for (name, port, fifo) in [("one", port, &fifos[0]), ("two", lost, &fifos[1])] {
        let fifo = fifo.display().to_string();
        let port = port.to_string();
        user.ok(&["start", "--kind", "pid", "--name", name, "python3", "-u", &script, &port, &fifo]);
    }
    for _ in 0..2 {
        let bound = loop {
            let event = told.next();
            if event["event"] == "port-bound" {
                break event;
            }
        };
        let want = if bound["name"] == "one" { port } else { lost };
        assert_eq!(bound["port"], want, "{bound}");
    }
    fs::write(&fifos[0], "x").unwrap();
    assert_eq!(told.until("one", "port-lost")["port"], port);
    // While no daemon looks: the next one tells what has changed, and nothing twice.
    let seq = told.all.last().unwrap()["seq"].clone();
    user.ok(&["daemon", "stop"]);
    fs::write(&fifos[1], "x").unwrap();
    eventually("it listens no more", || user.view("two")["ports"] == json!([]));
    user.daemon();
    let mut told = user.told(&json!({"since": seq}));
    let next = told.next();
    assert_eq!(
        (&next["event"], &next["name"], &next["port"]),
        (&"port-lost".into(), &"two".into(), &lost.into())
    );
}

#[test]
fn a_definition_that_changes_is_told_also_while_no_daemon_runs() {
    let user = User::new();
    user.daemon();
    let mut told = user.told(&json!({}));
    let path = user.tsm_dir().join("services-available/nap.tsm");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    for (text, note) in [(Some("1"), "it is new"), (Some("20"), "it was changed"), (None, "it was removed")] {
        match text {
            Some(text) => fs::write(&path, format!("SERVICE_COMMAND='sleep {text}'\n")).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        assert_eq!(told.until("nap", "definition-changed")["note"], note);
    }
    let seq = told.all.last().unwrap()["seq"].clone();
    user.ok(&["daemon", "stop"]);
    fs::write(&path, "SERVICE_COMMAND='sleep 3'\n").unwrap();
    user.daemon();
    let mut told = user.told(&json!({"since": seq}));
    assert_eq!(told.until("nap", "definition-changed")["note"], "it is new");
    let seq = told.all.last().unwrap()["seq"].clone();
    user.ok(&["daemon", "restart"]);
    user.ok(&["start", "--name", "last", "sleep", "1000"]);
    assert_eq!(user.told(&json!({"since": seq})).next()["event"], "started", "it is told once");
}

#[test]
fn a_program_whose_supervisor_was_killed_gets_a_new_one_within_five_seconds() {
    let user = User::new();
    let names: Vec<String> = (0..5).map(|at| format!("n{at}")).collect();
    for name in &names {
        user.ok(&["start", "--wait", "--name", name, "sleep", "1000"]);
    }
    let daemon = user.daemon();
    let mut told = user.told(&json!({}));
    let before: Vec<(i32, i32)> = names.iter().map(|name| (user.pid(name), user.supervisor(name))).collect();
    let killed = wall_ms();
    for (_, supervisor) in &before {
        kill(*supervisor, "KILL");
    }
    for _ in &names {
        let adopted = loop {
            let event = told.next();
            if event["event"] == "adopted" {
                break event;
            }
        };
        let took = adopted["time_ms"].as_u64().unwrap() - killed;
        assert!(took < 5000, "{took} ms: {adopted}");
    }
    for (name, (pid, supervisor)) in names.iter().zip(&before) {
        eventually("it has a supervisor", || user.view(name)["supervisor_pid"].is_i64());
        assert_eq!((user.pid(name), user.state(name).as_str()), (*pid, "online"));
        assert_ne!(user.supervisor(name), *supervisor);
        assert_ne!(user.supervisor(name), daemon, "the daemon owns no process");
        assert_eq!(told.of(name).iter().filter(|word| **word == "orphaned").count(), 1, "{:#?}", told.all);
    }
    // Restart policy and stop work as before; of an end that nobody could see, only that it came.
    kill(before[0].0, "KILL");
    let exited = told.until("n0", "exited");
    assert_eq!(
        (&exited["exit"]["code"], &exited["exit"]["signal"]),
        (&Value::Null, &Value::Null),
        "{exited}"
    );
    assert_eq!(told.until("n0", "restarted")["run"], 2);
    user.ok(&["stop", "n1"]);
    told.until("n1", "stopped");
    // And once more: the daemon has taken hold of the new one.
    kill(user.supervisor("n2"), "KILL");
    told.until("n2", "adopted");
    user.ok(&["daemon", "logs"]).says("n2 has a new supervisor");
}

#[test]
fn the_first_look_ends_before_anybody_is_answered() {
    let user = User::new();
    user.ok(&["start", "--name", "web", "--wait", "sleep", "1000"]);
    let pid = user.pid("web");
    orphan(&user, "web");
    user.daemon();
    let list = user.api().call("list", &json!({})).unwrap();
    assert_eq!((&list[0]["status"], &list[0]["pid"]), (&"online".into(), &pid.into()), "{list}");
    let mut told = user.told(&json!({"since": 0}));
    told.until("web", "adopted");
    assert_eq!(told.of("web"), ["started", "ready", "orphaned", "adopted"]);
}

#[test]
fn what_is_lost_is_told_once_and_not_by_each_daemon_again() {
    let user = User::new();
    user.ok(&["start", "--name", "web", "--wait", "sleep", "1000"]);
    let (pid, supervisor) = (user.pid("web"), user.supervisor("web"));
    user.daemon();
    let mut told = user.told(&json!({}));
    user.ok(&["daemon", "stop"]);
    kill(supervisor, "KILL");
    kill(pid, "KILL");
    user.until_state("web", "lost");
    for _ in 0..3 {
        user.daemon();
        told = user.told(&json!({"since": 0}));
        told.until("web", "lost");
        user.ok(&["daemon", "stop"]);
    }
    assert_eq!(told.of("web"), ["started", "ready", "lost"]);
    user.ok(&["start", "web"]);
    let events = user.ok(&["events", "--json", "-n", "100", "web"]).stdout;
    assert_eq!(events.matches("\"lost\"").count(), 1, "{events}");
}

#[test]
fn a_stream_of_events_survives_daemons_without_loss_or_repetition() {
    let user = User::new();
    user.ok(&["start", "--name", "early", "sleep", "1000"]);
    user.daemon();
    let files = user.layout().daemon();
    let done = AtomicBool::new(false);
    let seen: Vec<Event> = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut stream = EventStream::after(files, 1);
            let mut seen = Vec::new();
            loop {
                let over = done.load(Ordering::Relaxed);
                match stream.next(Duration::from_millis(500)).unwrap() {
                    Some(event) => seen.push(event),
                    None if over => return seen,
                    None => {}
                }
            }
        });
        for round in 0..6 {
            user.ok(&["start", "--name", &format!("n{round}"), "sleep", "1000"]);
            match round % 3 {
                0 => drop(user.ok(&["daemon", "restart"])),
                1 => {
                    kill(user.daemon(), "KILL");
                    user.ok(&["stop", &format!("n{round}")]);
                    user.daemon();
                }
                _ => drop(user.ok(&["stop", "early", &format!("n{round}")])),
            }
        }
        done.store(true, Ordering::Relaxed);
        reader.join().unwrap()
    });
    let all = Journal::after(&user.layout(), 1).read().unwrap();
    assert!(all.len() > 12, "{all:#?}");
    assert_eq!(seen, all[..seen.len()]);
    // Nothing happens any more but what a look of the daemon may still find.
    assert!(all.len() - seen.len() <= 1, "{} of {}", seen.len(), all.len());
}

#[test]
fn a_stream_without_a_daemon_ends_with_an_error() {
    let user = User::new();
    let mut stream = EventStream::after(user.layout().daemon(), 0);
    let error = stream.next(Duration::from_secs(60)).unwrap_err();
    assert!(error.message().starts_with("cannot reach the daemon"), "{error}");
    assert_eq!(error.kind().exit_code(), 5);
}

#[test]
fn lines_of_a_log_come_with_their_number_and_their_run() {
    let user = User::new();
    let fifo = user.cwd().join("fifo");
    let script = user.file(
        "talk.sh",
        "echo begun\n[ -p fifo ] || mkfifo fifo\nwhile :; do read -r line <fifo && echo \"$line\"; done\n",
    );
    user.ok(&["start", "--name", "talk", "bash", &script.display().to_string()]);
    user.ok(&["start", "--name", "mute", "sleep", "1000"]);
    user.daemon();
    let say = |line: &str| {
        eventually("it listens", || fifo.exists());
        fs::write(&fifo, format!("{line}\n")).unwrap();
    };
    say("before");
    eventually("it has said so", || user.ok(&["logs", "talk"]).stdout.contains("before"));
    let mut api = user.api();
    let id = api.call("logs.subscribe", &json!({"refs": ["talk", "mute"]})).unwrap()["subscription"].clone();
    let mut next = || {
        let message = api.hear().unwrap();
        assert_eq!(
            (&message["method"], &message["params"]["subscription"]),
            (&"log".into(), &id),
            "{message}"
        );
        message["params"].clone()
    };
    let mut seen = vec![next(), next()];
    say("first");
    seen.push(next());
    kill(user.pid("talk"), "KILL");
    seen.push(next());
    say("second");
    seen.push(next());
    let told = |field: &str| seen.iter().map(|line| line[field].clone()).collect::<Vec<_>>();
    assert_eq!(told("line"), ["begun", "before", "first", "begun", "second"], "{seen:#?}");
    assert_eq!(told("seq"), [1, 2, 3, 4, 5]);
    assert_eq!(told("run"), [1, 1, 1, 2, 2]);
    assert!(seen.iter().all(|line| line["name"] == "talk"));
    // The reader goes with its subscriber.
    let readers = || user.alive().iter().filter(|(_, command)| command.contains(" logs ")).count();
    assert_eq!(readers(), 1);
    drop(api);
    eventually("nobody reads any more", || readers() == 0);
}

#[test]
fn subscriptions_have_a_limit() {
    let user = User::new();
    user.daemon();
    let mut api = user.api();
    for _ in 0..64 {
        api.call("events.subscribe", &json!({})).unwrap();
    }
    let error = api.call("events.subscribe", &json!({})).unwrap_err();
    assert_eq!((&error["data"]["kind"], &error["data"]["limit"]), (&"busy".into(), &64.into()), "{error}");
    drop(api);
    eventually("they go with their client", || user.told_again());
}

impl User {
    fn told_again(&self) -> bool {
        self.api().call("events.subscribe", &json!({})).is_ok()
    }
}
