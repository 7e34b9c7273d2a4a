//! The daemon where descriptors are scarce: it may have 1,024 of them as a rule, and holds three for each process.

use serde_json::Value;

use crate::kit::User;

#[test]
fn processes_leave_descriptors_for_clients_and_verbs() {
    let user = User::new();
    for number in 0..16 {
        user.ok(&["start", "--name", &format!("p{number}"), "sleep", "1000"]);
    }
    let start = format!("ulimit -n 64; exec '{}' daemon start", env!("CARGO_BIN_EXE_tsm"));
    let mut command = user.command("bash");
    command.args(["--norc", "-c", &start]);
    crate::kit::run(command).code(0);
    // The first list has it take hold of each.
    let list = |args: &[&str]| -> Value { serde_json::from_str(&user.ok(args).stdout).unwrap() };
    for _ in 0..3 {
        assert_eq!(list(&["rpc", "list"]).as_array().unwrap().len(), 16);
    }
    let mut clients: Vec<_> = (0..8).map(|_| user.api()).collect();
    for client in &mut clients {
        let said = client.ask(r#"{"id":1,"method":"info","params":{"refs":["p3"]}}"#);
        assert_eq!(said["result"]["name"], "p3", "{said}");
    }
    user.ok(&["stop", "p3"]);
    assert_eq!(list(&["rpc", "list"]).as_array().unwrap().len(), 15);
}
