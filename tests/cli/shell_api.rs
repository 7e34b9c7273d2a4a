//! The functions that the seed's scripts call, and the file that they are loaded with.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::{Value, json};

use crate::checkout::{Checkout, copy, show};
use crate::kit::{Ran, User, eventually, free_port, is_alive, kill, text};
use crate::layer::{SHELLS, SOURCE};

/// Each utility and what it has the binary do.
pub(crate) const UTILITIES: [(&str, &[&str]); 17] = [
    ("tsm_cleanup_port_allocations", &["ports", "--forget"]),
    ("tsm_create_metadata", &["api", "create-metadata"]),
    ("tsm_discover_port", &["api", "discover-port"]),
    ("tsm_get_port_pid", &["api", "port-pid"]),
    ("tsm_get_port_range", &["ports", "--range"]),
    ("tsm_get_service_info", &["api", "service-info"]),
    ("tsm_ipc_cleanup_stale", &["ipc", "cleanup"]),
    ("tsm_ipc_list_channels", &["ipc", "list"]),
    ("tsm_ipc_send", &["ipc", "send"]),
    ("tsm_ipc_test_channel", &["ipc", "test"]),
    ("tsm_is_pid_alive", &["api", "is-pid-alive"]),
    ("tsm_json_error", &["api", "json-error"]),
    ("tsm_json_success", &["api", "json-success"]),
    ("tsm_list_port_allocations", &["ports", "--allocated"]),
    ("tsm_socket_health", &["socket", "health"]),
    ("tsm_socket_status", &["socket", "status"]),
    ("tsm_validate_classification", &["api", "validate-classification"]),
];

const INCLUDES: &str = "\\builtin source \"$CO/includes.sh\"\n";

/// A user whose checkout also has the entry point.
fn user() -> User {
    let user = User::with_layer();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("includes.sh"), &user.home().join("co/includes.sh"));
    user
}

#[test]
fn each_utility_passes_on_its_arguments_and_the_exit_code() {
    let checkout = Checkout::with_echo();
    for (name, words) in UTILITIES {
        let expected = format!("<{}>", words.join("><"));
        let said = checkout.answer(&format!(
            "set -euo pipefail\n{INCLUDES}{name} || echo $?\n{name} 'a  b' '' '*' -x || echo $?"
        ));
        let lines = format!("checkout:{expected}\n7\ncheckout:{expected}<a  b><><*><-x>\n7\n");
        assert_eq!(said, lines, "{name}");
    }
}

#[test]
fn there_are_fewer_functions_than_eighty_and_each_has_a_prefix() {
    let checkout = Checkout::with_echo();
    let names =
        checkout.answer(&format!("set +h\n{INCLUDES}_tsm_complete_load 2>/dev/null || :\ndeclare -F"));
    let names: Vec<&str> = names.lines().filter_map(|line| line.split(' ').next_back()).collect();
    assert!(names.len() < 80 && names.len() > UTILITIES.len(), "{}: {names:?}", names.len());
    for name in names {
        let prefixed = ["tetra_tsm_", "tsm_", "_tsm_"].iter().any(|prefix| name.starts_with(prefix));
        assert!(prefixed || matches!(name, "tsm" | "tetra"), "{name}");
    }
}

/// The calls of the seed's document, in every shell that people have.
#[test]
fn the_calls_of_the_seed_give_its_answers_in_every_shell() {
    let user = user();
    user.ok(&["start", "--name", "myservice-worker", "--kind", "socket", "sleep", "1000"]);
    user.ok(&["start", "--name", "coworkers", "sleep", "1000"]);
    let port = free_port();
    let serve = port.to_string();
    user.ok(&[
        "start",
        "--wait",
        "--name",
        "web",
        "python3",
        "-m",
        "http.server",
        &serve,
        "--bind",
        "127.0.0.1",
    ]);
    user.until_state("myservice-worker", "online");
    let web = user.pid(&format!("web-{port}"));
    let script = format!(
        "say() {{ printf '== %s %s\\n' \"$1\" \"${{2-}}\"; \"$@\" || printf 'code %s\\n' \"$?\"; }}
say tsm_socket_status \"worker\"
say tsm_socket_health \"worker\"
say tsm_ipc_list_channels --json
say tsm_ipc_test_channel \"myservice-worker\"
say tsm_ipc_send \"myservice-worker\" \"STATUS\"
say tsm_ipc_cleanup_stale
say tsm_get_service_info \"python -m http.server\"
say tsm_validate_classification \"bash worker.sh\"
say tsm_list_port_allocations --json
say tsm_cleanup_port_allocations
say tsm_get_port_range
say tsm_is_pid_alive $$
say tsm_is_pid_alive 2147483647
say tsm_get_port_pid {port}
say tsm_json_success 'all good' '{{\"a\":1}}'
say tsm_json_error 'all bad' E1
say tsm_create_metadata api node server.js
say tsm_discover_port web
"
    );
    for (shell, options, prelude) in SHELLS {
        let ran = user.bash_with(options, &format!("{prelude}{SOURCE}trap - DEBUG\n{script}")).code(0);
        let answers: Vec<(&str, &str)> =
            ran.stdout.split("== ").skip(1).map(|part| part.split_once('\n').unwrap()).collect();
        let answer = |call: &str| {
            let hit = answers.iter().find(|(said, _)| said.starts_with(call));
            hit.unwrap_or_else(|| panic!("{shell}: no {call}: {ran:#?}")).1
        };
        let object = |call: &str| -> Value {
            serde_json::from_str(answer(call))
                .unwrap_or_else(|why| panic!("{shell}: {call}: {why}: {ran:#?}"))
        };
        for call in ["tsm_socket_status", "tsm_ipc_send"] {
            assert_eq!(object(call)["name"], "myservice-worker", "{shell}");
        }
        assert_eq!(object("tsm_socket_health")["health"], "healthy", "{shell}");
        assert_eq!(object("tsm_ipc_list_channels").as_array().unwrap().len(), 3, "{shell}");
        assert!(answer("tsm_ipc_test_channel").starts_with("myservice-worker answers in "), "{shell}");
        assert_eq!(answer("tsm_ipc_cleanup_stale"), "no stale sockets\n", "{shell}");
        assert_eq!(
            answer("tsm_get_service_info"),
            "Service Classification:\n  Type: port-based\n  Port Required: true\n  IPC Enabled: false\n  Default Port: 8000\n"
        );
        assert!(answer("tsm_validate_classification").starts_with("consistent: socket-based"), "{shell}");
        assert!(object("tsm_list_port_allocations").is_array(), "{shell}: {ran:#?}");
        assert!(!answer("tsm_cleanup_port_allocations").contains("code"), "{shell}: {ran:#?}");
        assert_eq!(answer("tsm_get_port_range"), "8000 8999\n", "{shell}");
        assert_eq!(answer("tsm_is_pid_alive 2147483647"), "code 1\n", "{shell}");
        assert_eq!(answers.iter().filter(|(_, said)| said.contains("code ")).count(), 1, "{shell}: {ran:#?}");
        assert_eq!(answer("tsm_get_port_pid"), format!("{web}\n"), "{shell}");
        assert_eq!(
            object("tsm_json_success"),
            json!({"success": true, "message": "all good", "data": {"a": 1}})
        );
        assert_eq!(object("tsm_json_error")["error"]["code"], "E1", "{shell}");
        assert_eq!(object("tsm_create_metadata")["argv"], json!(["node", "server.js"]), "{shell}");
        assert_eq!(answer("tsm_discover_port"), format!("{port}\n"), "{shell}");
        assert_eq!(ran.stderr.replace("D\n", ""), "", "{shell}");
    }
}

#[test]
fn a_no_of_a_utility_is_a_condition_and_ends_a_strict_script_elsewhere() {
    let user = user();
    let said = user.bash("set -euo pipefail\nif tsm_is_pid_alive 2147483647; then echo yes; else echo no; fi\n\
         tsm_get_port_pid 1 || echo free\necho \"$(tsm_json_success ok)\" | cat\ntsm_is_pid_alive 2147483647\necho never");
    let said = said.code(1);
    assert_eq!(said.stdout, "no\nfree\n{\"success\":true,\"message\":\"ok\",\"data\":null}\n");
}

#[test]
fn a_stale_socket_is_cleaned_up_and_a_live_one_answers_afterwards() {
    let user = user();
    for name in ["dead-worker", "live"] {
        user.ok(&["start", "--name", name, "sleep", "1000"]);
    }
    let supervisor = user.supervisor("dead-worker");
    kill(supervisor, "KILL");
    eventually("it is dead", || !is_alive(supervisor));
    let ran: Ran = user.bash(
        "tsm_ipc_test_channel worker || echo \"code $?\"\ntsm_ipc_cleanup_stale\ntsm_socket_health live",
    );
    let ran = ran.code(0).complains("runs without its supervisor");
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(&lines[..2], ["code 5", "Removed 1 stale socket: dead-worker"]);
    assert!(lines[2].contains("healthy"), "{ran:?}");
}

#[test]
fn the_entry_point_loads_the_layer_from_wherever_it_is_sourced() {
    let checkout = Checkout::with_echo();
    // Where tetra has its modules: a link to the checkout. And a link to the file alone.
    fs::create_dir_all(checkout.path("home/tetra/bash")).unwrap();
    symlink(checkout.path("co"), checkout.path("home/tetra/bash/tsm")).unwrap();
    symlink(checkout.path("co/includes.sh"), checkout.path("home/link.sh")).unwrap();
    symlink("link.sh", checkout.path("home/second.sh")).unwrap();
    let co = fs::canonicalize(checkout.path("co")).unwrap();
    let module = checkout.path("home/tetra/bash/tsm");
    for (dir, file, source) in [
        ("co", "includes.sh", &co),
        ("co", "./includes.sh", &co),
        ("co/shell", "../includes.sh", &co),
        ("home", "~/../co/includes.sh", &co),
        ("home", "\"$TETRA_SRC/bash/tsm/includes.sh\"", &module),
        ("home", "link.sh", &co),
        ("home", "./second.sh", &co),
        ("tmp", "\"$HOME/link.sh\"", &co),
    ] {
        for times in 1..=2 {
            let said = checkout.answer(&format!(
                "set -euo pipefail; TETRA_SRC=~/tetra; cd \"$CO/../{dir}\"; cd -P .; CDPATH=/:..\n{}\
                 cd /; echo \"$TSM_SRC\"; tsm x || :; tsm_json_success || :",
                format!("source {file}\n").repeat(times)
            ));
            let real = said.lines().next().map(|path| fs::canonicalize(path).unwrap());
            assert_eq!(real, Some(co.clone()), "{file} in {dir}");
            assert!(!file.contains("TETRA") || said.starts_with(source.to_str().unwrap()), "{said}");
            assert!(said.ends_with("\ncheckout:<x>\ncheckout:<api><json-success>\n"), "{file}: {said}");
        }
    }
}

#[test]
fn the_entry_point_is_as_clean_as_the_layer() {
    let checkout = Checkout::with_echo();
    symlink(checkout.path("co/includes.sh"), checkout.path("home/link.sh")).unwrap();
    let state = "state() { compgen -v | grep -v '^_$\\|^BASH_\\|^PIPESTATUS$\\|^FUNCNAME$' | sort; declare -F | sort; set -o; shopt; trap -p; echo \"$PWD $*\"; }\n";
    for prelude in [
        "",
        "set -euo pipefail\n",
        "set -o posix\nset -eu\n",
        "set -eu; IFS='/tsmdir.'\n",
        "set -eu; shopt -s failglob nocasematch\n",
    ] {
        for file in ["\"$CO/includes.sh\"", "~/link.sh"] {
            let said = checkout.answer(&format!(
                "{prelude}{state}state a 'b c' >one\n\\builtin source \"$CO/shell/tsm.sh\"\nstate a 'b c' >direct\ntsm_unload\n\
                 \\builtin source {file}\nstate a 'b c' >two\ntsm_unload\nstate a 'b c' >three\n\
                 cmp one three && cmp direct two && echo same"
            ));
            assert_eq!(said, "same\n", "{prelude} {file}");
        }
    }
    // Words that somebody has given another meaning.
    let aliases = "for word in source printf readlink command builtin return shell includes file; do alias \"$word=echo HOSTILE\"; done\nshopt -s expand_aliases\n";
    for file in ["\"$CO/includes.sh\"", "~/link.sh"] {
        let said = checkout
            .answer(&format!("set -eu\n{aliases}\\builtin source {file}\n\\builtin unalias -a\ntsm x || :"));
        assert_eq!(said, "checkout:<x>\n", "{file}");
    }
    let said =
        checkout.answer(&format!("trap 'echo child' CHLD\n{INCLUDES}{INCLUDES}echo sourced\n: \"$(:)\"\n:"));
    assert_eq!(said, "sourced\nchild\n", "no process is started");
    let sh =
        checkout.command("/bin/sh").args(["-euc", ". \"$CO/includes.sh\"; echo alive"]).output().unwrap();
    assert_eq!(
        (String::from_utf8_lossy(&sh.stdout).as_ref(), sh.stderr.len()),
        ("alive\n", 0),
        "{}",
        show(&sh)
    );
}

#[test]
fn an_installation_is_loaded_through_a_link_to_it_and_finds_its_binary() {
    let checkout = Checkout::unbuilt();
    let share = checkout.path("pre fix/share/tsm");
    fs::create_dir_all(&share).unwrap();
    for name in ["shell", "includes.sh"] {
        copy(&checkout.path("co").join(name), &share.join(name));
    }
    checkout.echo("pre fix/bin/tsm", "installed");
    checkout.echo("bin/tsm", "path");
    fs::create_dir_all(checkout.path("home/tetra/bash")).unwrap();
    symlink(&share, checkout.path("home/tetra/bash/tsm")).unwrap();
    for file in ["~/tetra/bash/tsm/includes.sh", "\"$CO/../pre fix/share/tsm/includes.sh\""] {
        let said =
            checkout.answer(&format!("set -eu\nsource {file}\ntsm a || :\nbash -euc 'tetra_tsm_why b || :'"));
        assert_eq!(said, "installed:<a>\ninstalled:<why><b>\n", "{file}");
    }
    // A checkout that is not built is no installation, whatever lies beside it.
    fs::create_dir_all(checkout.path("x/y")).unwrap();
    copy(&checkout.path("co"), &checkout.path("x/y/co"));
    checkout.echo("x/bin/tsm", "beside");
    assert_eq!(checkout.answer("source \"$CO/../x/y/co/includes.sh\"\ntsm a || :"), "path:<a>\n");
}

#[test]
fn the_log_of_a_worker_tells_its_port_to_a_script() {
    let user = user();
    user.program(
        "serve.sh",
        "#!/bin/sh\nprintf 'Listening on \\033[1mhttp://localhost:5173\\033[0m\\n'\nexec sleep 1000\n",
    );
    user.ok(&["start", "--name", "vite", "--kind", "pid", "./serve.sh"]);
    eventually("it has said so", || text(&user.log("vite")).contains("5173"));
    let said =
        user.bash("set -euo pipefail\ntsm_discover_port vite\ntsm logs vite | tsm_discover_port\n").code(0);
    assert_eq!(said.stdout, "5173\n5173\n");
}
