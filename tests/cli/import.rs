//! `tsm import`: what other tools' files become, and that it runs as it did there.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::kit::{Ran, User, eventually, free_port, run, text};

/// A user with the files that the fixtures speak of, in `~/shop`, and with free ports instead of theirs.
pub(crate) struct Importer {
    pub(crate) user: User,
    ports: BTreeMap<u16, u16>,
}

impl Importer {
    pub(crate) fn new() -> Self {
        let user = User::new();
        let shop = user.home().join("shop");
        fs::create_dir_all(shop.join("packages/api")).unwrap();
        fs::create_dir_all(shop.join("bin")).unwrap();
        for file in ["../shop/tunnel.sh", "../shop/bin/poll.py"] {
            user.program(file, "#!/bin/sh\nexec sleep 1000\n");
        }
        fs::write(
            shop.join("server.py"),
            "import http.server, sys\nport = int(sys.argv[sys.argv.index('--port') + 1])\n\
             http.server.ThreadingHTTPServer(('127.0.0.1', port), http.server.SimpleHTTPRequestHandler).serve_forever()\n",
        )
        .unwrap();
        fs::write(
            shop.join("jobs.py"),
            "import os, sys, time\nprint(sys.argv[1:], os.environ['QUEUE_NAME'], os.getcwd(), flush=True)\ntime.sleep(1000)\n",
        )
        .unwrap();
        Importer { user, ports: (46113..46119).map(|port| (port, free_port())).collect() }
    }

    /// The port that stands for one of the fixtures.
    fn port(&self, port: u16) -> u16 {
        self.ports[&port]
    }

    /// Copies a fixture to `to` below the home directory, with this user's home directory and ports in it.
    pub(crate) fn fixture(&self, from: &str, to: &str) -> PathBuf {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/import").join(from);
        let to = self.user.home().join(to);
        if from.is_dir() {
            for item in fs::read_dir(&from).unwrap().map(|item| item.unwrap().path()) {
                self.fixture(item.to_str().unwrap(), to.join(item.file_name().unwrap()).to_str().unwrap());
            }
            return to;
        }
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        let mut text = fs::read_to_string(&from).unwrap();
        text = text.replace("/home/dev", self.user.home().to_str().unwrap());
        for (port, free) in &self.ports {
            text = text.replace(&port.to_string(), &free.to_string());
        }
        fs::write(&to, text).unwrap();
        to
    }

    pub(crate) fn definition(&self, name: &str) -> PathBuf {
        self.user.tsm_dir().join(format!("services-available/{name}.tsm"))
    }

    /// Runs `tsm import` with these words in `~/shop`.
    pub(crate) fn import(&self, words: &[&str]) -> Ran {
        let mut command = self.user.tsm_command(&[&["import"], words].concat());
        command.current_dir(self.user.home().join("shop"));
        run(command)
    }

    /// Checks what a start of `name` would execute, where, on which port.
    #[track_caller]
    fn starts(&self, name: &str, argv: &[&str], dir: &str, port: Option<u16>) {
        let plan = self.user.json(&["start", "--dry-run", name]);
        assert_eq!(plan["argv"], json!(argv), "{name}");
        assert_eq!(plan["dir"], json!(self.user.home().join(dir)), "{name}");
        assert_eq!(plan["port"], json!(port), "{name}");
    }
}

/// The names of the definitions there are.
fn names(user: &User) -> Vec<String> {
    let folder = user.tsm_dir().join("services-available");
    let mut names: Vec<String> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .map(|item| item.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn what_pm2_saved_starts_as_it_did_there() {
    let it = Importer::new();
    let dump = it.fixture("pm2/dump.pm2", ".pm2/dump.pm2");
    let ran = it
        .import(&["pm2"])
        .code(0)
        .says("Saved: shop-api (")
        .complains("cron_restart")
        .complains("API_TOKEN");
    assert!(!format!("{ran:?}").contains("not-a-real-token"), "{ran:#?}");
    assert_eq!(
        names(&it.user),
        ["dev-watch.tsm", "files.tsm", "jobs.tsm", "shop-api.tsm", "tunnel.tsm", "web.tsm"]
    );
    for name in names(&it.user) {
        let file = it.user.tsm_dir().join("services-available").join(name);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let text = text(&file);
        assert!(text.starts_with(&format!("# Written by `tsm import pm2`: {}\n", dump.display())), "{text}");
        assert!(!text.contains("not-a-real-token"), "{text}");
    }
    it.starts("shop-api", &["node", "server.js"], "shop", Some(it.port(46113)));
    let jobs = ["python3", "-u", "jobs.py", "--queue", "mail and news", "--price", "$5"];
    it.starts("jobs", &jobs, "shop", None);
    it.starts("tunnel", &["./tunnel.sh", "-v", "--to", "db.example.com 5432"], "shop", None);
    it.starts("web", &["/usr/bin/npm", "run", "dev"], "shop", Some(it.port(46114)));
    let port = it.port(46115);
    it.starts("files", &["python3", "-m", "http.server", &port.to_string()], "shop", Some(port));
    let watch = it.user.json(&["start", "--dry-run", "dev-watch"]);
    let words = ["node", "--max-old-space-size=200", "server.js", "--verbose", "two words"];
    assert_eq!(watch["argv"], json!(words));
    let api = it.user.json(&["start", "--dry-run", "shop-api"]);
    assert_eq!(
        (&api["restart"], &api["stop_signal"], &api["stop_timeout_ms"]),
        (&json!("always"), &json!("INT"), &json!(4000))
    );
    assert_eq!(it.user.json(&["start", "--dry-run", "tunnel"])["restart"], "no");

    it.user.ok(&["start", "jobs"]);
    let shop = it.user.home().join("shop").display().to_string();
    let line = format!("['--queue', 'mail and news', '--price', '$5'] it's mail {shop}");
    eventually("jobs says its words", || text(&it.user.log("jobs")).contains(&line));
    it.user.ok(&["start", "--wait", "files"]);
    assert_eq!(it.user.view(&format!("files-{port}"))["ports"], json!([port]));
}

#[test]
fn a_procfile_starts_its_lines_by_a_shell_and_web_on_a_port() {
    let it = Importer::new();
    it.fixture("procfile/Procfile", "shop/Procfile");
    fs::write(it.user.home().join("shop/worker.py"), "").unwrap();
    it.import(&["procfile"]).code(0).says("Saved: web (").complains("release: name: ");
    let clock = "while :; do date; sleep 60; done";
    it.starts("clock", &["bash", "-c", clock], "shop", None);
    it.starts("worker-1", &["python3", "-u", "worker.py", "--queue", "mail and news"], "shop", None);
    it.starts("tail.log", &["bash", "-c", "exec tail -n 0 -F server.log"], "shop", None);
    it.starts("release", &["python3", "-c", "print(\"migrated\")"], "shop", None);
    let web = it.user.json(&["start", "--dry-run", "web"]);
    assert_eq!(web["argv"], json!(["bash", "-c", "python3 -u server.py --port $PORT"]));
    assert_eq!(web["kind"], "port");
    assert!(web["port"].is_u64(), "{web}");

    it.user.ok(&["start", "--wait", "web"]);
    let views = it.user.json(&["list"]);
    assert_eq!((&views[0]["status"], &views[0]["ports"]), (&json!("online"), &json!([views[0]["port"]])));
}

#[test]
fn the_first_tsm_starts_as_it_did_and_nothing_of_it_is_sourced() {
    let it = Importer::new();
    it.fixture("tetra", "old");
    let touch = format!("TSM_COMMAND=x\ntouch {}/pwned\nX=$(touch {0}/pwned)\n", it.user.home().display());
    let old = it.user.home().join("old");
    fs::write(old.join("services-available/evil.tsm"), touch).unwrap();
    let ran = it.import(&["tetra", old.to_str().unwrap()]).code(1);
    let ran = ran.complains("api: TSM_PRE_COMMAND: it is not run").complains("evil: line 2: \"touch\"");
    let ran = ran.complains("broken.tsm:2: $(…) is a command").complains("torn/meta.json: it is not JSON");
    assert!(!it.user.home().join("pwned").exists());
    assert!(!ran.stderr.contains("not-a-real-token"));
    assert_eq!(names(&it.user), ["api.tsm", "evil.tsm", "poll.tsm", "shop-http.tsm", "worker.tsm"]);
    let port = it.port(46118);
    it.starts("shop-http", &["python3", "-m", "http.server", &port.to_string()], "shop", Some(port));
    it.starts("poll", &["bash", "-c", "while :; do date; sleep 60; done"], "shop", None);
    it.starts("worker", &["bash", "worker.sh"], "shop", None);
    fs::create_dir_all(it.user.home().join("shop/env")).unwrap();
    fs::write(it.user.home().join("shop/env/dev.env"), "A=1\n").unwrap();
    let api = ["python3", "-u", "server.py", "--title", "two words"];
    it.starts("api", &api, "shop", Some(it.port(46117)));
    let plan = it.user.json(&["start", "--dry-run", "api"]);
    assert_eq!(plan["name"], format!("shop-api-{}", it.port(46117)));
    assert!(plan["env_file"].as_str().unwrap().ends_with("shop/env/dev.env"), "{plan}");
}

#[test]
fn in_the_directory_of_the_first_tsm_only_what_is_new_is_written() {
    let it = Importer::new();
    it.fixture("tetra", "tsm");
    let before = text(&it.definition("api"));
    let mut command = it.user.tsm_command(&["import", "tetra"]);
    command.env_remove("TSM_DIR").env("TETRA_DIR", it.user.home());
    let ran = run(command).code(1).complains("services-available: its 2 definitions are in place");
    assert!(ran.stdout.contains("poll") && ran.stdout.contains("shop-http"), "{ran:#?}");
    assert_eq!(ran.stdout.lines().count(), 2, "{ran:#?}");
    assert_eq!(text(&it.definition("api")), before);
    let port = it.port(46118);
    it.user.ok(&["start", "--wait", "shop-http"]).says(&format!("Started: shop-http-{port} "));
    assert_eq!(it.user.view(&format!("shop-http-{port}"))["ports"], json!([port]));
}

#[test]
fn the_whole_answer_is_one_json_object() {
    let it = Importer::new();
    let file = it.fixture("pm2/ecosystem.config.json", "shop/ecosystem.config.json");
    let ran = it.import(&["pm2", "--json"]).code(1).complains("lost: it has no script");
    let answer: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&answer["schema"], &answer["dry_run"]), (&json!(1), &json!(false)));
    assert_eq!(answer["source"], json!(file));
    let services = answer["services"].as_array().unwrap();
    let of = |key: &str| services.iter().map(|one| one[key].clone()).collect::<Vec<_>>();
    assert_eq!(of("name"), ["api", "poll", "assets", "db-tunnel"]);
    assert_eq!(of("from"), ["api", "poll", "assets", "db tunnel"]);
    assert_eq!(of("state"), ["written"; 4]);
    for one in services {
        let file = PathBuf::from(one["file"].as_str().unwrap());
        assert_eq!(one["definition"], json!(text(&file)));
        assert_eq!(one["error"], Value::Null);
    }
    assert_eq!(services[3]["remarks"][0]["field"], "name");
    assert_eq!(answer["skipped"], json!([{ "what": "lost", "why": "it has no script" }]));
    assert_eq!(answer["remarks"][0]["field"], "deploy");
    let api = ["node", "--max-old-space-size=200", "server.js", "--verbose", "--title", "two words"];
    it.starts("api", &api, "shop/packages/api", Some(it.port(46116)));
    it.starts("poll", &[&python(&it), "./bin/poll.py"], "shop", None);
    it.starts("assets", &["npm", "run", "watch", "--", "--poll"], "shop", None);
    let tunnel = ["/usr/bin/ssh", "-N", "-L", "5433:localhost:5432", "db.example.com"];
    it.starts("db-tunnel", &tunnel, "shop", None);
}

/// What `python` is on this machine.
fn python(it: &Importer) -> String {
    let plan = it.user.json(&["start", "--dry-run", "python", "x.py"]);
    plan["argv"][0].as_str().unwrap().to_owned()
}
