//! What the document says that TSM began with, typed as it is written; and that `docs/seed-coverage.md` tells the truth.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::kit::{User, eventually, free_port, text};

const SERVER: &str = "import http.server, os, sys\nprint('listening', flush=True)\n\
    http.server.HTTPServer(('127.0.0.1', int(os.environ['PORT'])), http.server.SimpleHTTPRequestHandler).serve_forever()\n";

#[test]
fn the_quick_start_works_as_it_is_written() {
    let user = User::with_layer();
    let home = user.home();
    // Where a person of that project has it.
    fs::create_dir_all(home.join("devops/tetra/bash")).unwrap();
    symlink(home.join("co"), home.join("devops/tetra/bash/tsm")).unwrap();
    fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("includes.sh"), home.join("co/includes.sh")).unwrap();
    user.file("server.py", SERVER);
    user.file("worker.sh", "while sleep 1000; do :; done\n");
    let script = r#"
        set -euo pipefail
        unset TSM_DIR
        export TETRA_SRC=~/devops/tetra TETRA_DIR=~/tetra TSM_PORT_RANGE=8100-8999
        source "$TETRA_SRC/bash/tsm/includes.sh"
        echo "$TSM_PROCESSES_DIR|$TSM_LOGS_DIR|$TSM_PIDS_DIR|$MOD_DIR"
        tsm start --wait python server.py
        tsm start bash worker.sh
        tsm list
        tsm logs 0
        tsm restart 0
        tsm info server | head -2
        tsm doctor
        tsm doctor healthcheck
        tsm_list_port_allocations
        tsm_ipc_list_channels
        tsm_socket_status "worker"
        tsm_ipc_test_channel "my-api-worker"
        tsm stop server
        tsm delete server
        tsm stop all
        tsm list all
    "#;
    let mut command = user.command("bash");
    command.args(["--norc", "--noprofile", "-c", script]);
    let ran = crate::kit::run(command);
    let leave = || {
        let mut command = user.tsm_command(&["kill", "all"]);
        command.env("TSM_DIR", home.join("tetra/tsm"));
        crate::kit::run(command);
    };
    if ran.code != 0 {
        leave();
    }
    let ran = ran.code(0);
    let tetra = home.join("tetra/tsm").display().to_string();
    for said in [
        &format!("{tetra}/runtime/processes|{tetra}/logs|{tetra}/pids|{tetra}"),
        "Started: my-api-server-",
        "Started: my-api-worker (TSM ID: 1, PID: ",
        "ID  NAME",
        "listening",
        "Restarted: my-api-server-",
        "PORT",
        "TSM Health Check\n================",
        "[OK] No stale process files",
        "my-api-worker",
        "\"kind\":\"socket\"",
        "Stopped: my-api-server-",
        "Deleted: my-api-server-",
        "Stopped: my-api-worker",
    ] {
        assert!(ran.stdout.contains(said), "{said:?} is not in {ran:#?}");
    }
    assert!(!text(&home.join("tetra/tsm/logs").join("my-api-worker.log")).contains("error"));
}

#[test]
fn options_stand_before_a_bare_script() {
    let user = User::new();
    user.file("app.py", SERVER);
    user.file("app.js", "setInterval(() => {}, 1000);\n");
    let (port, other) = (free_port(), free_port());
    let said = user.ok(&["start", "--wait", "--port", &port.to_string(), "app.py"]);
    said.says(&format!("Started: my-api-app-{port} (TSM ID: 0, PID: ")).says(&format!("Port: {port})"));
    user.ok(&["start", "--port", &other.to_string(), "--name", "api", "node", "app"])
        .says(&format!("Started: api-{other} "));
    let argv = user.json(&["info", &format!("api-{other}")])["argv"].clone();
    assert_eq!(argv[1], "app");
    user.ok(&["doctor", "validate", "--port", &free_port().to_string(), "python app.py"]);
}

#[test]
fn a_pattern_of_the_users_gives_its_port_to_the_program() {
    let user = User::new();
    let port = free_port();
    fs::create_dir_all(user.tsm_dir()).unwrap();
    let patterns = format!(
        "# mine\nmyapp-server|./myapp server|{port}|{{cmd}} --listen {{port}}\nmyapp-worker|./myapp worker|0|{{cmd}}\n"
    );
    fs::write(user.tsm_dir().join("patterns.txt"), patterns).unwrap();
    user.program("myapp", "#!/bin/sh\necho \"$@\"\nexec sleep 1000\n");
    user.ok(&["start", "./myapp", "server"]).says(&format!("Started: my-api-myapp-{port} "));
    let log = user.log(&format!("my-api-myapp-{port}"));
    eventually("it was told its port", || text(&log) == format!("server --listen {port}\n"));
    user.ok(&["start", "./myapp", "worker"]).says("Started: my-api-myapp (");
    assert_eq!(user.view("my-api-myapp")["kind"], "socket");
}

/// The names of the tests in a file of this repository.
fn tests_in(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
    text.split("#[test]")
        .skip(1)
        .filter_map(|part| Some(part.split_once("fn ")?.1.split_once('(')?.0.to_owned()))
        .collect()
}

#[test]
fn every_row_of_the_coverage_names_a_test_that_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = fs::read_to_string(root.join("docs/seed-coverage.md")).unwrap();
    let mut rows = 0;
    for line in table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| ---")) {
        let cells: Vec<&str> = line.split(" | ").map(|cell| cell.trim_matches(['|', ' '])).collect();
        if cells[1] == "proven by" {
            continue;
        }
        assert!(cells.len() == 3, "three cells: {line}");
        rows += 1;
        for name in cells[1].split(", ") {
            let (file, test) = name.split_once("::").unwrap_or_else(|| panic!("no test: {line}"));
            let file = if file.starts_with("src/") {
                // A file, or the tests of a folder.
                root.join(format!("{file}.rs"))
            } else {
                root.join(format!("tests/cli/{file}.rs"))
            };
            assert!(
                tests_in(&file).iter().any(|known| known == test),
                "no test {test} in {}",
                file.display()
            );
        }
    }
    assert!(rows > 70, "only {rows} rows");
}
