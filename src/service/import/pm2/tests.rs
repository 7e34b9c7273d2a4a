//! What is made of the samples that a real pm2 wrote, and of each form that a field can have.

use std::path::Path;

use serde_json::json;

use super::*;
use crate::service::import::tests::{source, texts};

fn fixture(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/import/pm2");
    std::fs::read_to_string(folder.join(name)).unwrap()
}

fn read(file: &str, text: &str) -> Import {
    source(file, "", |source| pm2(text, source)).unwrap()
}

/// The one definition made of an application in `/home/u/shop`.
fn one(app: &Value) -> Imported {
    let mut import = read("/home/u/shop/e.json", &json!({ "apps": [app] }).to_string());
    assert!(import.services.len() == 1 && import.skipped.is_empty(), "{import:?}");
    import.services.remove(0)
}

fn commands(import: &Import) -> Vec<(&str, &str)> {
    import
        .services
        .iter()
        .map(|one| (one.definition.name.as_str(), one.definition.command.as_str()))
        .collect()
}

fn fields(remarks: &[Remark]) -> Vec<&str> {
    remarks.iter().map(|remark| remark.field.as_str()).collect()
}

#[test]
fn a_dump_of_pm2_is_read() {
    let import = read("/home/dev/.pm2/dump.pm2", &fixture("dump.pm2"));
    assert_eq!(
        commands(&import),
        [
            ("shop-api", "node server.js"),
            ("jobs", "python3 -u jobs.py --queue 'mail and news' --price '$5'"),
            ("tunnel", "./tunnel.sh -v --to 'db.example.com 5432'"),
            ("web", "/usr/bin/npm run dev"),
            ("files", "python3 -m http.server 46115"),
            ("dev-watch", "node --max-old-space-size=200 server.js --verbose 'two words'"),
        ]
    );
    assert_eq!(
        import.services[0].definition.text_by("x").unwrap(),
        "# x\nSERVICE_COMMAND='node server.js'\nSERVICE_DIR=/home/dev/shop\nSERVICE_PORT=46113\n\
         SERVICE_RESTART=always\nSERVICE_STOP_SIGNAL=INT\nSERVICE_STOP_TIMEOUT=4s\nexport NODE_ENV=development\n"
    );
    assert_eq!(
        fields(&import.services[0].remarks),
        [
            "name",
            "env.API_TOKEN",
            "env.GITHUB_TOKEN",
            "exec_mode",
            "env_production",
            "max_memory_restart",
            "wait_ready",
            "watch",
            "instances"
        ]
    );
    let said = texts(&import.services[0].remarks).join("\n");
    assert!(said.contains("pm2 runs 2 of it") && said.contains("env/production.env"), "{said}");
    let jobs = &import.services[1];
    assert_eq!(
        fields(&jobs.remarks),
        ["env.GITHUB_TOKEN", "cron_restart", "pm_out_log_path", "restart_delay"]
    );
    assert_eq!(jobs.definition.env_vars["QUEUE_NAME"], "it's mail");
    assert_eq!((jobs.definition.max_restarts, jobs.definition.port), (Some(4), None));
    assert_eq!(import.services[2].definition.restart, Some(RestartPolicy::No));
    assert_eq!(fields(&import.services[2].remarks), ["env.GITHUB_TOKEN", "namespace"]);
    assert_eq!(import.services[3].definition.port, Some(46114));
    for made in &import.services {
        let text = made.definition.text().unwrap();
        for gone in ["not-a-real-token", "PATH=", "HOME=", "LANG=", "PM2_", "unique_id", "EDITOR"] {
            assert!(!text.contains(gone), "{gone} in {text}");
        }
    }
    assert_eq!((fields(&import.remarks), import.skipped.len()), (vec!["env"], 0));
}

#[test]
fn an_ecosystem_file_is_read_with_the_defaults_of_pm2() {
    let import = read("/home/dev/shop/ecosystem.config.json", &fixture("ecosystem.config.json"));
    assert_eq!(
        commands(&import),
        [
            ("api", "node --max-old-space-size=200 server.js --verbose --title 'two words'"),
            ("poll", "python ./bin/poll.py"),
            ("assets", "npm run watch -- --poll"),
            ("db-tunnel", "/usr/bin/ssh -N -L 5433:localhost:5432 db.example.com"),
        ]
    );
    let api = &import.services[0];
    assert_eq!(api.definition.dir.as_deref(), Some(Path::new("/home/dev/shop/packages/api")));
    assert_eq!((api.definition.port, api.definition.restart), (Some(46116), Some(RestartPolicy::OnFailure)));
    assert_eq!(api.definition.env_vars.keys().collect::<Vec<_>>(), ["DEBUG", "NODE_ENV", "WORKERS"]);
    assert_eq!(
        fields(&api.remarks),
        ["env.DATABASE_URL", "instances", "env_staging", "error_file", "no_such_field", "out_file"]
    );
    let poll = &import.services[1].definition;
    assert_eq!((poll.stop_timeout_ms, poll.max_restarts), (Some(2500), Some(3)));
    assert_eq!(poll.dir.as_deref(), Some(Path::new("/home/dev/shop")));
    assert_eq!(import.skipped, [("lost".to_owned(), "it has no script".to_owned())]);
    assert_eq!(fields(&import.remarks), ["deploy"]);
}

#[test]
fn every_form_of_a_command_is_one_that_means_the_same() {
    for (app, command) in [
        (json!({ "script": "a.js", "interpreter": "none" }), "a.js"),
        (json!({ "script": "a.js", "interpreter": "/opt/node/bin/node" }), "/opt/node/bin/node a.js"),
        (json!({ "script": "a.js", "interpreter": "node@20.1.0" }), "node a.js"),
        (json!({ "script": "a.ts" }), "a.ts"),
        (json!({ "script": "a.rb", "args": "" }), "ruby a.rb"),
        (json!({ "script": "npm", "args": ["start"] }), "npm start"),
        (json!({ "exec": "a.sh", "args": [1, true, "a*b"] }), "bash a.sh 1 true 'a*b'"),
        (json!({ "cmd": "a.py", "exec_interpreter": "bash", "interpreterArgs": ["-x"] }), "bash -x a.py"),
        (json!({ "script": "serve -s $DIR && true" }), "serve -s $DIR && true"),
        (json!({ "pm_exec_path": "/usr/bin/bash", "args": ["-c", "$APP"], "pm_cwd": "/" }), "bash -c '$APP'"),
        (
            json!({ "pm_exec_path": "/srv/x/-odd", "exec_interpreter": "ruby", "pm_cwd": "/srv/x" }),
            "ruby ./-odd",
        ),
        (json!({ "pm_exec_path": "/a/b", "exec_interpreter": "none", "pm_cwd": "/" }), "/a/b"),
    ] {
        assert_eq!(one(&app).definition.command, command, "{app}");
    }
    let unclosed = one(&json!({ "script": "a.js", "args": "it's b" }));
    assert_eq!(unclosed.definition.command, "node a.js 'it'\\''s' b");
}

#[test]
fn what_a_variable_must_not_do_is_said_and_not_done() {
    let made = one(&json!({
        "pm_exec_path": "/x/a.js", "pm_cwd": "~/x", "name": "a", "exec_interpreter": "node",
        "env": {
            "SHARED": "same", "SERVICE_PORT": "1", "TSM_DIR": "/", "odd name": 1, "OBJECT": { "a": 1 }, "NULL": null,
            "URL": "https://u:pw@host/", "PORT": "http", "EMPTY": "", "a": "{}", "npm_config_x": "1", "KEPT": "1"
        }
    }));
    let kept: Vec<_> =
        made.definition.env_vars.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(kept, [("EMPTY", ""), ("KEPT", "1")]);
    assert_eq!(
        fields(&made.remarks),
        ["env.OBJECT", "env.PORT", "env.SERVICE_PORT", "env.TSM_DIR", "env.URL", "env.odd name", "env"]
    );
    assert!(texts(&made.remarks).join("\n").contains("SHARED: left out"));
    assert_eq!((made.definition.port, made.definition.dir.as_deref()), (None, Some(Path::new("/home/u/x"))));
    let told = one(&json!({ "script": "a.js", "env": { "PM2_KILL_SIGNAL": "SIGTERM" } }));
    assert_eq!(told.definition.stop_signal, "TERM".parse().ok());
}

#[test]
fn each_form_of_a_list_is_found_and_anything_else_is_refused() {
    let app = json!({ "name": "a", "script": "a.js" });
    for value in [
        json!([app]),
        json!({ "apps": [app] }),
        json!({ "apps": app }),
        json!({ "pm2": [app] }),
        app.clone(),
        json!([{ "pid": 1, "name": "a", "pm2_env": { "name": "a", "pm_exec_path": "a.js", "pm_cwd": "/x" } }]),
    ] {
        assert_eq!(commands(&read("/x/e.json", &value.to_string())).len(), 1, "{value}");
    }
    let error = |text: &str| source("/x/e.json", "", |source| pm2(text, source)).unwrap_err().to_string();
    assert!(
        error("{ a: 1 }")
            .starts_with("cannot read /x/e.json: it is not JSON (key must be a string at line 1")
    );
    for text in ["1", "{}", "{\"name\":\"x\"}", "null"] {
        assert!(error(text).starts_with("/x/e.json is not a file of pm2"), "{text}");
    }
    let odd = read("/x/e.json", "[1, {\"script\": 5}, {\"script\": \" \"}]");
    assert_eq!((odd.services.len(), odd.skipped.len()), (1, 2));
}
