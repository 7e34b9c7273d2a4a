//! `tsm save`: processes and commands become definitions that run the same.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::kit::{User, eventually, free_port, run, text};

fn file_of(user: &User, name: &str) -> PathBuf {
    user.tsm_dir().join(format!("services-available/{name}.tsm"))
}

/// What is in the folder of the definitions.
fn folder(user: &User) -> Vec<String> {
    let folder = fs::read_dir(user.tsm_dir().join("services-available"));
    let mut names: Vec<String> =
        folder.into_iter().flatten().map(|item| item.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// What `start` would do with these words, without its reasons.
fn plan(user: &User, words: &[&str]) -> Value {
    let mut plan = user.json(&[&["start", "--dry-run"], words].concat());
    for key in ["reasons", "name", "command"] {
        plan.as_object_mut().unwrap().remove(key);
    }
    plan
}

/// A program that prints its words and what is set, one a line.
const SHOW: &str = "#!/bin/sh\nprintf '<%s>\\n' \"$@\" \"A=${A-}\" \"$PWD\"\nexec sleep 1000\n";

#[test]
fn a_process_is_saved_and_started_by_its_definition_it_runs_the_same() {
    let user = User::new();
    user.program("show.sh", SHOW);
    user.file("conf/x.env", "A=from-file\n");
    let words =
        ["it's", "a  b", "$HOME", "*", "", "A=1", "{x,y}", "~", "back\\slash", "é\u{202e}", "cr\r\nlf"];
    let options = ["--name", "p", "--env", "conf/x.env", "--restart", "always", "--stop-timeout", "1500ms"];
    user.ok(&[&["start"][..], &options, &["./show.sh"], &words].concat());
    let file = file_of(&user, "mine");
    let said = user.ok(&["save", "mine", "p"]);
    assert_eq!(said.stdout, format!("Saved: mine ({})\n", file.display()));
    assert_eq!(said.stderr, "");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(folder(&user), ["mine.tsm"]);
    let saved = text(&file);
    for line in [
        "SERVICE_ENV=conf/x.env\n",
        "SERVICE_RESTART=always\n",
        "SERVICE_STOP_TIMEOUT=1500ms\n",
        &format!("SERVICE_DIR={}\n", user.cwd().canonicalize().unwrap().display()),
    ] {
        assert!(saved.contains(line), "no {line:?} in {saved}");
    }
    // What is as always is not mentioned.
    for key in ["PORT", "TYPE", "NAME", "MAX_RESTARTS", "STOP_SIGNAL", "LOG", "DESCRIPTION"] {
        assert!(!saved.contains(&format!("SERVICE_{key}")), "{key} in {saved}");
    }
    // From another directory: the definition knows its own.
    let mut start = user.tsm_command(&["start", "mine"]);
    start.current_dir("/");
    run(start).code(0).says("Started: mine (TSM ID: 1");
    eventually("both have printed", || {
        ["p", "mine"].iter().all(|name| text(&user.log(name)).ends_with("/my-api>\n"))
    });
    assert_eq!(text(&user.log("mine")), text(&user.log("p")));
    assert!(text(&user.log("mine")).contains("<cr\r\nlf>\n<A=from-file>\n"));
    let (p, mine) = (user.json(&["info", "p"]), user.json(&["info", "mine"]));
    for key in ["argv", "restart", "stop_timeout_ms", "cwd", "kind", "port"] {
        assert_eq!(p[key], mine[key], "{key}");
    }
}

#[test]
fn a_command_is_saved_with_the_options_of_start_and_plans_the_same() {
    let user = User::new();
    let port = free_port().to_string();
    user.file("env/dev.env", "B=2\n");
    user.file(".env", "PORT=1\n");
    for (at, (options, words)) in [
        (&["--port", &port][..], &["node", "server.js"][..]),
        (&["--env", "dev", "--kind", "socket"], &["./worker.sh", "--port", "1"]),
        (&["--no-env"], &["python3 -m http.server | tee log"]),
        (&["--no-env"], &["PORT=4321 node app.js"]),
        (&["--dir", "/"], &["--", "sleep", "300"]),
        (&["--env-var", "A=$x y", "--env-var", &format!("PORT={port}"), "--no-env"], &["node", "x.js"]),
        (&["--max-restarts", "3", "--stop-signal", "INT", "--no-env"], &["A=1", "sleep", "300"]),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("s{at}");
        user.ok(&[&["save"], options, &[&name], words].concat()).says(&format!("Saved: {name} "));
        let saved = text(&file_of(&user, &name));
        let (by_name, by_words) = (plan(&user, &[&name]), plan(&user, &[options, words].concat()));
        if saved.contains("/dev/null") {
            assert_eq!((&by_words["env_file"], &by_name["env_file"]), (&json!(null), &json!("/dev/null")));
            assert_eq!(by_words["argv"], by_name["argv"], "{saved}");
            assert_eq!(by_words["port"], by_name["port"], "{saved}");
        } else {
            assert_eq!(by_name, by_words, "{saved}");
        }
    }
    assert!(text(&file_of(&user, "s5")).contains(&format!("SERVICE_PORT={port}\n")));
    assert!(text(&file_of(&user, "s5")).ends_with("export A='$x y'\n"));
    user.ok(&["save", "--name", "backend", "named", "sleep", "1000"]);
    user.ok(&["start", "named"]).says("Started: backend (TSM ID: 0");
}

#[test]
fn a_port_is_written_when_it_was_asked_for_and_not_when_it_was_chosen() {
    let user = User::new();
    let port = free_port().to_string();
    user.file("server.py", "import http.server, os\nhttp.server.ThreadingHTTPServer(('127.0.0.1', int(os.environ['PORT'])), http.server.SimpleHTTPRequestHandler).serve_forever()\n");
    user.ok(&["start", "--wait", "--port", &port, "--name", "asked", "python3", "server.py"]);
    user.ok(&["start", "--wait", "--name", "chosen", "python3", "server.py"]);
    user.ok(&["save", "asked"]);
    user.ok(&["save", "chosen"]);
    assert!(text(&file_of(&user, "asked")).contains(&format!("SERVICE_PORT={port}\n")));
    assert!(!text(&file_of(&user, "chosen")).contains("SERVICE_PORT"));
    // The definition of a service keeps what the definition said.
    user.ok(&["stop", "all"]);
    user.ok(&["start", "--wait", "asked"]);
    user.ok(&["save", "copy", &format!("asked-{port}")]);
    assert!(text(&file_of(&user, "copy")).contains(&format!("SERVICE_PORT={port}\n")));
}

#[test]
fn secrets_are_named_and_never_written() {
    let user = User::new();
    let secrets = ["--env-var", "API_KEY=hunter2", "--env-var", "DB=postgres://u:hunter2@h/x"];
    let more = ["--env-var", "PLAIN=1", "--env-var", "TSM_X=2"];
    user.ok(&[&["start", "--name", "p"][..], &secrets, &more, &["sleep", "1000"]].concat());
    for words in [
        &["save", "of-process", "p"][..],
        &[&["save"], &secrets[..], &more, &["of-words", "sleep", "1"]].concat(),
    ] {
        let ran = user.ok(words);
        for name in ["API_KEY", "DB", "TSM_X"] {
            assert!(ran.stderr.contains(&format!("tsm: {name} is not written, because ")), "{ran:?}");
        }
    }
    for name in folder(&user) {
        let saved = text(&user.tsm_dir().join("services-available").join(name));
        assert!(saved.ends_with("export PLAIN=1\n") && !saved.contains("hunter2"), "{saved}");
    }
    user.ok(&["start", "of-process"]);
    assert!(user.json(&["env", "of-process"]).to_string().contains("PLAIN"));
}

#[test]
fn one_word_is_a_process_unless_it_is_a_program_that_only_looks_like_one() {
    let user = User::new();
    user.ok(&["start", "--name", "my-sleep-server", "sh", "-c", "exec sleep 1000"]);
    user.ok(&["save", "a", "my-sleep-server"]);
    user.ok(&["save", "b", "0"]);
    user.ok(&["save", "c", "server"]);
    for name in ["a", "b", "c"] {
        assert_eq!(user.json(&["show", name])["command"], "sh -c 'exec sleep 1000'", "{name}");
    }
    // `sleep` is a part of that name, and a program.
    user.ok(&["save", "d", "sleep"]);
    assert_eq!(user.json(&["show", "d"])["command"], "sleep");
    user.ok(&["save", "e", "npm run dev"]);
    assert_eq!(user.json(&["show", "e"])["command"], "npm run dev");
    user.tsm(&["save", "f", "nothing-like-it"]).code(4).complains("no such process: nothing-like-it");
    user.tsm(&["save", "unknown"]).code(4).complains("no such process: unknown");
    user.tsm(&["save", "--port", "1", "g", "0"]).code(2).complains("--port needs a command");
    user.tsm(&["save", "h", "echo 'x"]).code(2).complains("a quote is not closed");
    user.tsm(&["save", "--env", "nix", "i", "sleep", "1"]).code(4).complains("no env file for \"nix\"");
    assert_eq!(folder(&user), ["a.tsm", "b.tsm", "c.tsm", "d.tsm", "e.tsm"]);
}

#[test]
fn a_bad_name_is_refused_and_nothing_is_written() {
    let user = User::new();
    user.ok(&["start", "--name", "p", "sleep", "1000"]);
    for name in ["../evil", "a/b", "/tmp/evil", "a b", ".x", "", "0", "8000", "all"] {
        user.tsm(&["save", name, "p"]).code(2).complains("cannot be the name of a service");
        user.tsm(&["save", name, "sleep", "1"]).code(2);
    }
    user.tsm(&["save", "-x", "p"]).code(2);
    user.tsm(&["save"]).code(2).complains("save needs a name for the service");
    assert!(folder(&user).is_empty());
}

#[test]
fn an_existing_definition_is_replaced_only_by_yes_or_force() {
    let user = User::new();
    let file = file_of(&user, "web");
    user.ok(&["save", "web", "sleep", "1"]);
    let first = text(&file);
    user.ok(&["save", "web", "sleep", "1"]).says("Already saved: web (");
    user.tsm(&["save", "web", "sleep", "2"]).code(6).complains("exists already").complains("--force");
    assert_eq!(text(&file), first);
    for (answer, code, kept) in [("n", 1, true), ("", 1, true), ("y", 0, false)] {
        let mut terminal = user.terminal(80, &["save", "web", "sleep", "3"]);
        terminal.shows("Replace it? [y/N] ");
        terminal.types(answer);
        let (said, exit) = terminal.end();
        assert_eq!(exit, code, "{said}");
        assert_eq!(said.contains("nothing was written"), kept, "{said}");
        assert_eq!(text(&file) == first, kept);
    }
    user.ok(&["save", "--force", "web", "sleep", "4"]).says("Saved: web");
    assert!(text(&file).contains("SERVICE_COMMAND='sleep 4'\n"));
    // Not even what is no definition, and a link to nowhere.
    let odd = file_of(&user, "odd");
    std::os::unix::fs::symlink("/nowhere", &odd).unwrap();
    user.tsm(&["save", "odd", "sleep", "1"]).code(6);
    assert_eq!(fs::read_link(&odd).unwrap(), PathBuf::from("/nowhere"));
    assert_eq!(folder(&user), ["odd.tsm", "web.tsm"]);
}

#[test]
fn a_folder_that_cannot_be_written_is_said_by_name_and_is_as_it_was() {
    let user = User::new();
    let file = user.file("a file", "");
    for (dir, why) in [(file.join("tsm"), "not a directory"), (PathBuf::from("/proc/tsm"), "cannot create")] {
        let mut command = user.tsm_command(&["save", "web", "sleep", "1"]);
        command.env("TSM_DIR", &dir);
        run(command).code(1).complains(&dir.display().to_string()).complains(why);
    }
    // A file where the folder belongs.
    fs::create_dir_all(user.tsm_dir()).unwrap();
    fs::write(user.tsm_dir().join("services-available"), "x").unwrap();
    user.tsm(&["save", "web", "sleep", "1"]).code(1).complains("services-available");
    assert_eq!(text(&user.tsm_dir().join("services-available")), "x");
}

#[test]
fn a_dry_run_prints_the_definition_and_json_is_that_of_show() {
    let user = User::new();
    let ran = user.ok(&["save", "--dry-run", "web", "sleep", "1"]);
    assert!(ran.stdout.starts_with("# Written by `tsm save`.\nSERVICE_COMMAND='sleep 1'\n"), "{ran:?}");
    assert!(!user.tsm_dir().join("services-available").exists());
    let saved = user.json(&["save", "web", "sleep", "1"]);
    assert_eq!(saved, user.json(&["show", "web"]));
    assert_eq!((&saved["name"], &saved["command"]), (&json!("web"), &json!("sleep 1")));
}

#[test]
fn of_many_who_save_at_once_one_is_told_that_it_has_saved() {
    let user = User::new();
    let codes: Vec<i32> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..6)
            .map(|at| {
                let user = &user;
                scope.spawn(move || user.tsm(&["save", "web", "sleep", &at.to_string()]).code)
            })
            .collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(codes.iter().filter(|code| **code == 0).count(), 1, "{codes:?}");
    assert_eq!(codes.iter().filter(|code| **code == 6).count(), 5, "{codes:?}");
    assert_eq!(folder(&user), ["web.tsm"]);
}

#[test]
fn a_function_of_a_shell_is_no_command_that_a_definition_could_hold() {
    let user = User::with_layer();
    user.bash("serve-it() { sleep 1000; }; tsm start --name p serve-it").code(0);
    user.tsm(&["save", "x", "p"])
        .code(1)
        .complains("p runs serve-it, a function of the shell that started it");
    assert!(folder(&user).is_empty());
}
