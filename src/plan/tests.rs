//! Whole plans, as a user sees them.

use std::path::PathBuf;

use proptest::prelude::*;

use super::world::{DIR, World};
use super::{EnvAsk, Plan, Request, ServiceAsk, draft, plan};
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::model::{Kind, Name};

fn request(words: &[&str]) -> Request {
    Request {
        words: words.iter().map(|&word| word.to_owned()).collect(),
        dir: PathBuf::from(DIR),
        ..Request::default()
    }
}

/// A line in brackets is one word, any other is split at blanks.
fn typed(line: &str) -> Request {
    match line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
        Some(one) => request(&[one]),
        None => request(&line.split(' ').collect::<Vec<_>>()),
    }
}

fn decide(world: &World, request: &Request) -> Result<Plan> {
    plan(draft(request, world)?, world)
}

fn planned(world: &World, line: &str) -> Plan {
    decide(world, &typed(line)).unwrap()
}

fn refused(world: &World, request: &Request) -> Error {
    decide(world, request).unwrap_err()
}

fn why<'a>(plan: &'a Plan, what: &str) -> &'a str {
    &plan.reasons.iter().find(|reason| reason.what == what).unwrap().why
}

fn project() -> World {
    World::default()
        .file("server.py", "print('serving')")
        .file("script.py", "print('hello')")
        .file("phase.py", "from flask import Flask\nPORT = 5000\n")
        .file("web5.py", "import aiohttp.web\n")
        .file("server.js", "app.listen(process.env.PORT)")
        .file("with.js", "const port = process.env.PORT || 3456")
        .file("app.py", "")
        .file("worker.sh", "sleep 1")
        .executable("server.sh", "#!/bin/bash\nsleep 1")
        .executable("my-script.sh", "#!/usr/bin/env bash\n")
}

#[test]
fn every_documented_command_has_its_plan() {
    let world = project();
    for (line, argv, name) in [
        ("python -m http.server", "python -m http.server 8000", "my-api-http-8000"),
        ("python3 -m http.server", "python3 -m http.server 8000", "my-api-http-8000"),
        ("python -m http.server 8123", "python -m http.server 8123", "my-api-http-8123"),
        (
            "python3 -m http.server 8300 --bind 127.0.0.1",
            "python3 -m http.server 8300 --bind 127.0.0.1",
            "my-api-http-8300",
        ),
        (
            "python -m http.server --bind 127.0.0.1",
            "python -m http.server --bind 127.0.0.1 8000",
            "my-api-http-8000",
        ),
        ("python server.py", "python server.py", "my-api-server-8000"),
        ("python server.py 9000", "python server.py 9000", "my-api-server-9000"),
        ("python run.py", "python run.py", "my-api-run-8000"),
        ("python phase.py", "python phase.py", "my-api-phase-5000"),
        ("env A=1 node server.js", "env 'A=1' node server.js", "my-api-server-3000"),
        ("uv run app.py", "uv run app.py", "my-api-app-8000"),
        ("python web5.py", "python web5.py", "my-api-web5-8000"),
        ("python script.py", "python script.py", "my-api-script"),
        ("app.py", "python app.py", "my-api-app-8000"),
        ("server.js", "node server.js", "my-api-server-3000"),
        ("node server.js", "node server.js", "my-api-server-3000"),
        ("node app.js", "node app.js", "my-api-app-3000"),
        ("node app", "node app", "my-api-app-3000"),
        ("node with.js", "node with.js", "my-api-with-3456"),
        ("node with", "node with", "my-api-with-3456"),
        ("npm start", "npm start", "my-api-start-3000"),
        ("npm run dev", "npm run dev", "my-api-dev-3000"),
        ("yarn dev", "yarn dev", "my-api-dev-3000"),
        ("bash worker.sh", "bash worker.sh", "my-api-worker"),
        ("worker.sh", "bash worker.sh", "my-api-worker"),
        ("./server.sh", "./server.sh", "my-api-server"),
        ("./my-script.sh", "./my-script.sh", "my-api-my-script"),
        ("[ruby server.rb -p 4000]", "ruby server.rb -p 4000", "my-api-server-4000"),
        ("[go run main.go]", "go run main.go", "my-api-main-8080"),
        ("[php -S localhost:8080]", "php -S localhost:8080", "my-api-php-8080"),
        ("[PORT=4000 node app.js]", "bash -c 'PORT=4000 node app.js'", "my-api-app-4000"),
        ("PORT=4000 node app.js", "env 'PORT=4000' node app.js", "my-api-app-4000"),
        ("[python -m http.server > log]", "bash -c 'python -m http.server > log 8000'", "my-api-http-8000"),
        ("[uvicorn a:b --port $PORT]", "bash -c 'uvicorn a:b --port $PORT'", "my-api-uvicorn-8000"),
        ("[./serve --on $PORT]", "bash -c './serve --on $PORT'", "my-api-serve-8000"),
        ("uvicorn a:b --uds x", "uvicorn a:b --uds x", "my-api-uvicorn"),
        ("uvicorn a:b", "uvicorn a:b --port 8000", "my-api-uvicorn-8000"),
        ("gunicorn a:b", "gunicorn a:b -b 127.0.0.1:8000", "my-api-gunicorn-8000"),
        ("flask --app x run", "flask --app x run --port 5000", "my-api-flask-5000"),
        ("npx vite", "npx vite --port 5173 --strictPort", "my-api-vite-5173"),
        ("npm run dev -- --port 4000", "npm run dev -- --port 4000", "my-api-dev-4000"),
        ("python manage.py runserver", "python manage.py runserver 8000", "my-api-manage-8000"),
        ("redis-server", "redis-server --port 6379", "my-api-redis-server-6379"),
        ("nodemon x", "nodemon x", "my-api-x"),
        ("sleep 300", "sleep 300", "my-api-sleep"),
        ("ssh -L 8080:localhost:80 host", "ssh -L 8080:localhost:80 host", "my-api-ssh"),
        ("./target/debug/my-app", "./target/debug/my-app", "my-api-my-app"),
    ] {
        let plan = planned(&world, line);
        assert_eq!(shell_words::join(&plan.argv), argv, "{line}");
        assert_eq!(plan.name.as_str(), name, "{line}");
        let kind = match line {
            _ if plan.port.is_some() => Kind::Port,
            "bash worker.sh" | "worker.sh" | "./server.sh" | "./my-script.sh" => Kind::Socket,
            _ => Kind::Pid,
        };
        assert_eq!(plan.kind, kind, "{line}");
    }
}

#[test]
fn each_value_has_one_reason() {
    let plan = planned(&project(), "node server.js");
    let mut whats: Vec<&str> = plan.reasons.iter().map(|reason| reason.what.as_str()).collect();
    whats.sort_unstable();
    assert_eq!(whats, ["argv", "dir", "env_file", "kind", "name", "port"]);
    let port = plan.reasons.iter().find(|reason| reason.what == "port").unwrap();
    assert_eq!((port.value.as_str(), port.why.as_str()), ("3000", "default of pattern \"node\""));
    assert!(why(&planned(&project(), "python phase.py"), "port").contains("default in phase.py, line 2"));
    assert!(why(&planned(&project(), "python server.py"), "port").contains("server's name"));
}

#[test]
fn a_port_that_was_asked_for_and_is_taken_is_a_conflict() {
    let world = project().taken(4000).taken(8000).env("PORT", "4000");
    let with = |line: &str, change: fn(&mut Request)| {
        let mut request = typed(line);
        change(&mut request);
        refused(&world, &request)
    };
    for error in [
        with("node server.js", |request| request.port = Some(4000)),
        with("node server.js", |request| request.env = EnvAsk::Named("dev".into())),
        with("node server.js", |_| ()),
        with("node server.js", |request| {
            request.service = Some(ServiceAsk { name: Name::reduce("web"), port: Some(4000), kind: None });
        }),
    ] {
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(
            error.message().contains("4000") && error.message().contains("other 4000 (PID 77)"),
            "{error}"
        );
        assert!(error.hint_text().unwrap().starts_with("tsm start --port 8001 "), "{error:?}");
    }
    for line in [
        "node server.js --port 4000",
        "python server.py 4000",
        "python -m http.server 8000",
        "[PORT=4000 node x]",
    ] {
        assert_eq!(refused(&world, &typed(line)).kind(), ErrorKind::Conflict, "{line}");
    }
}

#[test]
fn a_guessed_port_that_is_taken_moves_on() {
    let world = project().taken(5000).taken(3000).taken(3456).taken(8000);
    let plan = planned(&world, "python phase.py");
    assert_eq!((plan.port, plan.allocated), (Some(8001), true));
    assert!(
        plan.remarks.iter().any(|remark| remark.contains("does not seem to read PORT")),
        "{:?}",
        plan.remarks
    );
    assert_eq!(planned(&world, "node with.js").port, Some(8001));
    assert_eq!(planned(&world, "python -m http.server").argv.last().unwrap(), "8001");
    let free = project().taken(3456);
    assert_eq!(
        (planned(&free, "node with.js").port, planned(&free, "node with.js").allocated),
        (Some(3000), false)
    );
    let none = world.taken(8001).taken(8002).taken(8003);
    let error = refused(&none, &typed("node server.js"));
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.message().contains("8000-8003"));
}

#[test]
fn a_directory_keeps_its_allocated_port_while_it_is_free() {
    let world = project().sticky("my-api-server", 8002);
    let plan = planned(&world, "python server.py");
    assert_eq!((plan.port, plan.allocated), (Some(8002), true));
    assert_eq!(planned(&world.taken(8002), "python server.py").port, Some(8000));
}

#[test]
fn names_and_kinds_that_were_given_are_kept() {
    let world = project();
    let mut request = typed("python server.py");
    request.name = Some(Name::reduce("backend"));
    assert_eq!(decide(&world, &request).unwrap().name.as_str(), "backend-8000");
    request.kind = Some(Kind::Pid);
    let plan = decide(&world, &request).unwrap();
    assert_eq!((plan.name.as_str(), plan.port, plan.kind), ("backend", None, Kind::Pid));
    let mut request = typed("sleep 300");
    request.kind = Some(Kind::Port);
    assert_eq!(decide(&world, &request).unwrap().port, Some(8000));
    request.kind = None;
    request.port = Some(4700);
    assert_eq!(decide(&world, &request).unwrap().name.as_str(), "my-api-sleep-4700");
    request.port = Some(0);
    assert_eq!(refused(&world, &request).kind(), ErrorKind::Usage);
    let mut request = typed("[python run.py]");
    request.service = Some(ServiceAsk { name: Name::reduce("myapp"), port: Some(8000), kind: None });
    assert_eq!(decide(&world, &request).unwrap().name.as_str(), "myapp-8000");
    let mut request = typed("python -m http.server 8000");
    request.port = Some(8001);
    let plan = decide(&world, &request).unwrap();
    assert_eq!((plan.port, plan.argv.len()), (Some(8001), 4));
    assert!(plan.remarks[0].contains("does not change"), "{:?}", plan.remarks);
}

#[test]
fn the_env_file_gives_port_and_name() {
    let world = project().env("PORT", "4567").env("NAME", "shop");
    let named = |line: &str| Request { env: EnvAsk::Named("dev".into()), ..typed(line) };
    let plan = decide(&world, &named("./server.sh")).unwrap();
    assert_eq!((plan.name.as_str(), plan.kind), ("shop-4567", Kind::Port));
    let plan = decide(&world, &named("python -m http.server")).unwrap();
    assert_eq!(plan.argv.last().unwrap(), "4567");
    assert_eq!(why(&plan, "port"), format!("PORT of {DIR}/env/dev.env"));
    let found = planned(&world, "node server.js");
    assert_eq!((found.port, found.remarks), (Some(4567), vec!["a remark".to_owned()]));
    // A found PORT is that of the server beside it.
    let worker = planned(&world, "bash worker.sh");
    assert_eq!((worker.port, worker.kind), (None, Kind::Socket));
    let without = Request { env: EnvAsk::None, ..typed("node server.js") };
    assert_eq!(decide(&world, &without).unwrap().port, Some(3000));
    let missing = Request { env: EnvAsk::Named("missing".into()), ..typed("node server.js") };
    assert_eq!(refused(&world, &missing).kind(), ErrorKind::NotFound);
    let odd = project().env("PORT", "abc").env("NAME", "a b");
    let plan = planned(&odd, "node server.js");
    assert_eq!((plan.port, plan.name.as_str(), plan.remarks.len()), (Some(3000), "a-b-3000", 3));
}

#[test]
fn the_users_patterns_come_first() {
    let world = project();
    let patterns = "myapp|./myapp server|9000|{cmd} --listen {port}\nmine|node server.js|7000|{cmd}\n\
                    worker|python server.py|0|{cmd}\nset|envy|7100|PORT={port} {cmd}\nbad\n";
    let with = |line: &str| {
        decide(&world, &Request { user_patterns: Some(patterns.into()), ..typed(line) }).unwrap()
    };
    assert_eq!(with("./myapp server").argv.join(" "), "./myapp server --listen 9000");
    assert_eq!(with("node server.js").port, Some(7000));
    assert_eq!(with("python server.py").kind, Kind::Socket);
    assert_eq!(with("envy").argv.join(" "), "env PORT=7100 envy");
    assert_eq!(with("node app.js").port, Some(3000));
}

#[test]
fn a_script_is_not_read_where_its_text_cannot_matter() {
    for line in ["python phase.py 9000", "sleep 3", "bash worker.sh", "ssh host"] {
        let world = project();
        planned(&world, line);
        assert_eq!(world.reads.get(), 0, "{line}");
    }
}

fn subsequence(part: &[String], whole: &[String]) -> bool {
    let mut whole = whole.iter();
    part.iter().all(|word| whole.any(|other| other == word))
}

proptest! {
    #[test]
    fn any_words_are_planned_or_refused(
        words in prop::collection::vec("\\PC{0,12}|python|node|-m|http.server|npx|vite|[a-z $'\"|;&<>=:0-9-]{0,20}", 0..5),
        patterns in prop::option::of("(\\PC|[|{}:\n]|re:|\\{cmd\\}){0,40}"),
    ) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let request = Request { user_patterns: patterns, ..request(&words) };
        if let Ok(plan) = decide(&project(), &request) {
            prop_assert_eq!(plan.reasons.len(), 6);
            prop_assert_eq!(plan.port.is_some(), plan.kind == Kind::Port);
        }
    }

    #[test]
    fn several_words_stay_in_their_order(words in prop::collection::vec("[a-z./=-]{1,8}|python3|node|flask|run|vite|-p|80..", 2..6)) {
        let borrowed: Vec<&str> = words.iter().map(String::as_str).collect();
        let plan = decide(&World::default(), &request(&borrowed));
        if let Ok(plan) = plan {
            prop_assert!(subsequence(&words, &plan.argv), "{:?} {:?}", words, plan.argv);
        }
    }

    #[test]
    fn a_command_that_names_its_port_gets_no_second_one(
        command in prop::sample::select(vec!["vite", "uvicorn a:b", "next dev", "flask run", "redis-server", "gunicorn a:b", "rails server"]),
        form in prop::sample::select(vec!["--port N", "--port=N", "-p N", "-b :N", "--listen localhost:N", "PORT=N"]),
        port in 1024u16..,
    ) {
        let line = format!("{command} {}", form.replace('N', &port.to_string()));
        let plan = planned(&World::default(), &line);
        prop_assert_eq!(plan.argv.join(" "), line);
        prop_assert_eq!(plan.port, Some(port));
    }
}

/// A shell with the functions `mydev`, `node` and `helper`, and some aliases.
fn with_code(line: &str) -> Request {
    let text = b"\0tsm-code\0-f helper\0helper () { :; }\n\0-f mydev\0mydev () { helper; }\n\0\
        -f node\0node () { :; }\n\0alias d\0mydev -p 4321\0alias web\0cd web && mydev\0alias n\0npm start\0end\0";
    Request { code: super::ShellCode::parse(text).unwrap(), ..typed(line) }
}

#[test]
fn a_function_of_the_calling_shell_comes_before_a_program() {
    let world = project();
    let decided = |line: &str| {
        let mut plan = decide(&world, &with_code(line)).unwrap();
        plan.place("/d/function.bash");
        plan
    };
    for (line, argv, name, port) in [
        ("mydev a b", "bash /d/function.bash a b", "my-api-mydev", None),
        ("[mydev 'a  b']", "bash /d/function.bash 'a  b'", "my-api-mydev", None),
        ("A=1 mydev", "env 'A=1' bash /d/function.bash", "my-api-mydev", None),
        ("node server.js", "bash /d/function.bash server.js", "my-api-server-3000", Some(3000)),
        ("d x", "bash /d/function.bash -p 4321 x", "my-api-mydev-4321", Some(4321)),
        ("[mydev 2>&1 && true]", "bash /d/function.bash", "my-api-mydev", None),
        ("[cd web && mydev]", "bash /d/function.bash", "my-api-mydev", None),
        ("web x", "bash /d/function.bash", "my-api-mydev", None),
        ("n", "npm start", "my-api-start-3000", Some(3000)),
    ] {
        let plan = decided(line);
        assert_eq!((shell_words::join(&plan.argv).as_str(), plan.name.as_str()), (argv, name), "{line}");
        assert_eq!((plan.port, plan.script.is_some()), (port, line != "n"), "{line}");
        assert_eq!(plan.reasons.iter().find(|reason| reason.what == "argv").unwrap().value, argv, "{line}");
    }
    let plan = decided("mydev");
    assert_eq!(why(&plan, "argv"), "mydev is a function of the calling shell, kept with helper");
    assert_eq!((plan.command.as_str(), plan.kind), ("mydev", Kind::Pid));
    assert_eq!(why(&decided("n"), "argv"), "n is an alias of the calling shell; the words as typed");
    let plan = decide(&world, &Request { port: Some(4000), ..with_code("mydev") }).unwrap();
    assert_eq!((plan.name.as_str(), plan.kind), ("my-api-mydev-4000", Kind::Port));

    // The shell itself would not look these up.
    for line in ["env mydev", "exec mydev", "python mydev", "./mydev"] {
        assert_eq!(decided(line).script, None, "{line}");
    }
}

#[test]
fn a_pattern_matches_what_was_typed_of_a_function_and_gives_it_words() {
    let world = project();
    let patterns = |text: &str| Some(text.to_owned());
    let request =
        Request { user_patterns: patterns("x|mydev|4111|{cmd} --port {port}\n"), ..with_code("mydev a") };
    let plan = decide(&world, &request).unwrap();
    assert_eq!(plan.argv[2..], ["a", "--port", "4111"]);
    let request = Request {
        user_patterns: patterns("x|mydev|4111|PORT2={port} {cmd} -p {port}\n"),
        ..with_code("[mydev >log]")
    };
    let plan = decide(&world, &request).unwrap();
    assert_eq!(
        (&plan.argv[..3], &plan.argv[4..]),
        (&["env", "PORT2=4111", "bash"].map(str::to_owned)[..], &["-p", "4111"].map(str::to_owned)[..])
    );
    assert!(plan.script.unwrap().text.ends_with(b"\nmydev >log \"$@\"\n"));
}
