//! Files that a TSM of any schema wrote: they are read, and what they describe starts again. `tests/compat/freeze.sh`
//! made them; they never change. What a newer TSM wrote is left alone.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tsm::model::SCHEMA;

use crate::kit::{Ran, User, eventually, free_port, text};

/// Each process of the samples, its name there, and what it is seen as when nothing of it runs.
const PROCESSES: [(&str, &str, &str); 9] = [
    ("adopted", "adopted", "lost"),
    ("broken", "broken", "errored"),
    ("failing", "failing", "lost"),
    ("finished", "finished", "exited"),
    ("function", "app-serve", "stopped"),
    ("page", "page-@PAGE@", "stopped"),
    ("stubborn", "stubborn", "stopped"),
    ("web", "web-@PORT@", "stopped"),
    ("worker", "worker", "stopped"),
];

/// A user who has files of another TSM.
struct Heir {
    user: User,
    samples: PathBuf,
    port: u16,
    page: u16,
}

impl Heir {
    fn new(schema: u32) -> Self {
        let user = User::new();
        let env = user.home().join("app/env");
        fs::create_dir_all(&env).unwrap();
        fs::write(env.join("dev.env"), "GREETING=hello\n").unwrap();
        let services = user.tsm_dir().join("services-available");
        fs::create_dir_all(&services).unwrap();
        let worker =
            "SERVICE_COMMAND='echo \"$COLOR\"; exec sleep 1000'\nSERVICE_TYPE=socket\nexport COLOR=blue\n";
        let dir = user.home().join("app");
        fs::write(services.join("worker.tsm"), format!("{worker}SERVICE_DIR={}\n", dir.display())).unwrap();
        let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/compat/schema-{schema}"));
        Heir { user, samples, port: free_port(), page: free_port() }
    }

    /// `text` of a sample as it would stand on this machine.
    fn here(&self, text: &str) -> String {
        text.replace("@HOME@", self.user.home().to_str().unwrap())
            .replace("@PORT@", &self.port.to_string())
            .replace("@PAGE@", &self.page.to_string())
    }

    /// Puts the file `from` of the samples to `to` in `runtime`, changed by `change` if it is JSON.
    fn put(&self, from: &Path, to: &str, change: &dyn Fn(&mut Value)) {
        let mut text = self.here(&fs::read_to_string(from).unwrap());
        if from.extension().is_some_and(|ending| ending == "json") {
            let mut value = serde_json::from_str(&text).unwrap();
            change(&mut value);
            text = value.to_string();
        }
        let to = self.user.tsm_dir().join("runtime").join(to);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::write(to, text).unwrap();
    }

    /// Puts the files of one process where they belong.
    fn inherit(&self, sample: &str, name: &str, change: &dyn Fn(&mut Value)) {
        for file in fs::read_dir(self.samples.join(sample)).unwrap().map(|item| item.unwrap().path()) {
            let name = self.here(name);
            let file_name = file.file_name().unwrap().to_str().unwrap();
            self.put(&file, &format!("processes/{name}/{file_name}"), change);
        }
    }

    fn inherit_all(&self, change: &dyn Fn(&mut Value)) {
        for (sample, name, _) in PROCESSES {
            self.inherit(sample, name, change);
        }
        self.put(&self.samples.join("ports.json"), "ports.json", change);
    }

    fn start(&self, words: &[&str]) -> Ran {
        let words: Vec<String> = words.iter().map(|word| self.here(word)).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.user.ok(&[&["start"], &words[..]].concat())
    }

    /// Checks that all are listed, and that each starts again as it was meant.
    fn all_goes_on(&self) {
        let user = &self.user;
        let list = user.json(&["list", "all"]);
        let seen: Vec<(String, String)> =
            list.as_array().unwrap().iter().map(|view| (word(view, "name"), word(view, "status"))).collect();
        let mut expected: Vec<(String, String)> =
            PROCESSES.iter().map(|(_, name, state)| (self.here(name), (*state).to_owned())).collect();
        let mut sorted = seen.clone();
        sorted.sort();
        expected.sort();
        assert_eq!(sorted, expected);
        for (_, name, state) in PROCESSES {
            let name = self.here(name);
            let info = user.json(&["info", &name]);
            assert_eq!((&info["name"], &info["status"]), (&json!(name), &json!(state)));
            user.tsm(&["info", &name]).code(3).says(state);
            let started = self.start(&[&name]).says(&format!("Started: {name} (TSM ID: "));
            let id = user.view(&name)["id"].clone();
            assert!(started.stdout.contains(&format!("TSM ID: {id},")), "{started:?}");
            for file in ["spec.json", "status.json"] {
                let written: Value =
                    serde_json::from_str(&text(&user.process_dir(&name).join(file))).unwrap();
                assert_eq!(written["schema"], json!(SCHEMA), "{name}/{file}");
            }
        }
        let web = self.here("web-@PORT@");
        eventually("web listens", || user.view(&web)["ports"] == json!([self.port]));
        eventually("the worker is as its definition says", || text(&user.log("worker")).contains("blue"));
        for name in ["adopted", "app-serve", "stubborn"] {
            user.until_state(name, "online");
        }
        // The port that this directory and name had is the one that they get again.
        user.ok(&["delete", &self.here("page-@PAGE@")]);
        let mut again = user.tsm_command(&["start", "--name", "page", "--kind", "port", "sleep", "1000"]);
        again.current_dir(user.home().join("app"));
        crate::kit::run(again).code(0).says(&self.here("Started: page-@PAGE@ "));
    }
}

fn word(view: &Value, key: &str) -> String {
    view[key].as_str().unwrap().to_owned()
}

/// Calls `change` with `value` and every object in it.
fn each_object(value: &mut Value, change: &dyn Fn(&mut serde_json::Map<String, Value>)) {
    match value {
        Value::Object(map) => {
            map.values_mut().for_each(|inner| each_object(inner, change));
            change(map);
        }
        Value::Array(items) => items.iter_mut().for_each(|inner| each_object(inner, change)),
        _ => {}
    }
}

#[test]
fn files_of_every_schema_are_read_and_their_processes_start_again() {
    for schema in 1..=SCHEMA {
        let heir = Heir::new(schema);
        heir.inherit_all(&|_| {});
        let web = heir.user.view(&heir.here("web-@PORT@"));
        assert_eq!((&web["restarts"], &web["port"]), (&json!(0), &json!(heir.port)));
        assert_eq!(web["env_file"], json!(heir.user.home().join("app/env/dev.env")));
        assert_eq!(heir.user.view("finished")["exit"]["code"], json!(0));
        heir.all_goes_on();
    }
}

#[test]
fn one_that_ran_when_the_machine_stopped_is_lost_and_starts_again() {
    for schema in 1..=SCHEMA {
        let heir = Heir::new(schema);
        heir.inherit("online", "web-@PORT@", &|_| {});
        let name = heir.here("web-@PORT@");
        assert_eq!(heir.user.state(&name), "lost");
        // What was typed is not on the disk, and that is said.
        heir.start(&["--wait", "web"]).complains("API_TOKEN was given with --env-var");
        assert_eq!(heir.user.view(&name)["ports"], json!([heir.port]));
        let environ = heir.user.json(&["env", &name]);
        assert_eq!((&environ["COLOR"], &environ["GREETING"]), (&json!("red"), &json!("hello")));
    }
}

#[test]
fn fields_that_this_tsm_does_not_know_are_passed_over() {
    let heir = Heir::new(SCHEMA);
    heir.inherit_all(&|value| {
        // The objects whose names are data, and those that hold one of several forms, have no fields.
        let closed = ["ports", "env_vars", "origin"];
        let Value::Object(map) = value else { panic!("{value}") };
        for (_, inner) in map.iter_mut().filter(|(name, _)| !closed.contains(&name.as_str())) {
            each_object(inner, &|map| drop(map.insert("future".into(), json!({ "a": [1, null] }))));
        }
        map.insert("future".into(), json!([{ "b": "c" }]));
    });
    heir.all_goes_on();
}

#[test]
fn fields_that_need_not_be_there_have_defaults() {
    let heir = Heir::new(SCHEMA);
    heir.inherit_all(&|value| {
        each_object(value, &|map| map.retain(|_, inner| !inner.is_null()));
        let map = value.as_object_mut().unwrap();
        for name in [
            "options",
            "reasons",
            "policy",
            "main",
            "supervisor",
            "exit",
            "retry_ms",
            "note",
            "killed",
            "adopted",
        ] {
            map.remove(name);
        }
        map.retain(|name, value| !(matches!(name.as_str(), "env_vars" | "origin") && *value == json!({})));
    });
    heir.all_goes_on();
}

/// The JSON files of the runtime.
fn files(dir: &Path) -> BTreeMap<PathBuf, String> {
    let mut all = BTreeMap::new();
    for path in fs::read_dir(dir).unwrap().map(|item| item.unwrap().path()) {
        if path.is_dir() {
            all.extend(files(&path));
        } else if path.extension().is_some_and(|ending| ending == "json") {
            all.insert(path.clone(), text(&path));
        }
    }
    all
}

#[test]
fn a_newer_schema_is_refused_by_name_and_nothing_is_changed() {
    for newer in ["spec.json", "status.json"] {
        let heir = Heir::new(SCHEMA);
        let user = &heir.user;
        heir.inherit("finished", "finished", &|value| {
            let is_spec = value.get("typed").is_some();
            if is_spec == (newer == "spec.json") {
                value["schema"] = json!(SCHEMA + 1);
                value["typed"] = json!({ "words": ["sh"] });
            }
        });
        heir.put(&heir.samples.join("ports.json"), "ports.json", &|value| {
            value["schema"] = json!(SCHEMA + 1);
        });
        let runtime = user.tsm_dir().join("runtime");
        let before = files(&runtime);
        let file = user.process_dir("finished").join(newer).display().to_string();
        let says = format!("{file} was written by a newer tsm (schema {})", SCHEMA + 1).replace(')', ",");
        user.ok(&["list", "all"]).says("finished");
        for verb in ["start", "restart"] {
            user.tsm(&[verb, "finished"]).code(1).complains(&says).complains("update this tsm");
        }
        user.tsm(&["stop", "finished"]);
        user.ok(&["doctor", "clean"]);
        user.tsm(&["cleanup"]).code(1).complains(&says);
        assert_eq!(files(&runtime), before);
        // Others go on, and the remembered ports of the newer one stay.
        user.ok(&["start", "--kind", "port", "sleep", "1000"]);
        let after = files(&runtime);
        assert!(before.iter().all(|(path, text)| after.get(path) == Some(text)), "{after:#?}");
    }
}
