//! `tsm patterns`: the tables, and what is known of one command.

use std::fs;

use serde_json::json;

use crate::kit::User;

fn write(user: &User, text: &str) -> String {
    fs::create_dir_all(user.tsm_dir()).unwrap();
    let file = user.tsm_dir().join("patterns.txt");
    fs::write(&file, text).unwrap();
    file.display().to_string()
}

#[test]
fn both_tables_are_shown_and_an_empty_one_says_how_to_fill_it() {
    let user = User::new();
    let file = user.tsm_dir().join("patterns.txt").display().to_string();
    let none = user.ok(&["patterns"]);
    assert!(none.stdout.starts_with("User Patterns\nNo user patterns defined\n"), "{none:?}");
    let none = none.says(&file).says("name|match|port|template").says("\n\nBuilt-in Patterns\nNAME");
    assert_eq!(none.stderr, "");
    assert!(none.stdout.lines().any(|line| line.split_whitespace().collect::<Vec<_>>()
        == ["python-http", "-m", "http.server", "8000", "{cmd}", "{port}"]));
    assert!(!user.tsm_dir().exists(), "a look makes nothing");

    write(&user, "# mine\nmyapp-server|./myapp server|9000|{cmd} --listen {port}\n");
    let some = user.ok(&["patterns"]);
    let user_part = some.stdout.split("Built-in").next().unwrap();
    assert!(user_part.contains("./myapp server  9000  {cmd} --listen {port}"), "{user_part}");
    assert!(!user_part.contains("No user patterns"), "{user_part}");

    let all = user.json(&["patterns"]);
    assert_eq!((&all["file"], &all["broken"]), (&json!(file), &json!([])));
    assert_eq!(
        all["user"],
        json!([{"name": "myapp-server", "match": "./myapp server", "port": 9000,
            "template": "{cmd} --listen {port}", "line": 2}])
    );
    let ports = |name: &str| {
        let all = all["built_in"].as_array().unwrap();
        all.iter().find(|one| one["name"] == name).unwrap()["port"].clone()
    };
    assert_eq!((ports("node"), ports("bash"), ports("vite-build")), (json!(3000), json!(0), json!(null)));
}

#[test]
fn a_command_shows_its_pattern_with_file_and_line_and_what_comes_of_it() {
    let user = User::new();
    user.ok(&["patterns", "python3", "-m", "http.server"])
        .says("python-http\n")
        .says("built-in patterns, line ")
        .says("kind      port (it has a port)")
        .says("port      8000 (default of pattern \"python-http\")")
        .says("argv      python3 -m http.server 8000\n");
    // The words of the command are not options of tsm, also where tsm has such a one.
    user.ok(&["patterns", "bash", "worker.sh", "--json"]).says("bash\n").says("kind      socket");
    user.ok(&["patterns", "sleep 300"]).says("no pattern matches: sleep 300\n").says("kind      pid");
    user.tsm(&["patterns", "echo 'x"]).code(2).complains("a quote is not closed");

    let file = write(&user, "\nmine|bash worker.sh|7100|{cmd} --listen {port}\n");
    user.ok(&["patterns", "bash worker.sh"])
        .says(&format!("from      {file}, line 2\n"))
        .says("argv      bash worker.sh --listen 7100\n");
    let hit = user.json(&["patterns", "bash", "worker.sh"]);
    assert_eq!(
        (&hit["pattern"]["line"], &hit["file"], &hit["built_in"]),
        (&json!(2), &json!(file), &json!(false))
    );
    assert_eq!((&hit["kind"], &hit["port"]), (&json!("port"), &json!(7100)));
    assert_eq!(hit["argv"], json!(["bash", "worker.sh", "--listen", "7100"]));
    let none = user.json(&["patterns", "sleep", "300"]);
    assert_eq!((&none["pattern"], &none["kind"], &none["port"]), (&json!(null), &json!("pid"), &json!(null)));
}

#[test]
fn what_comes_of_a_command_does_not_depend_on_who_holds_its_port() {
    let user = User::new();
    let held = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = held.local_addr().unwrap().port();
    write(&user, &format!("mine|./mine|{port}|{{cmd}} {{port}}\n"));
    assert_eq!(user.json(&["patterns", "./mine"])["port"], json!(port));
    // Nor on an environment file, which is neither read nor sourced.
    user.file(".env", "PORT=4321\n");
    assert_eq!(user.json(&["patterns", "./mine"])["port"], json!(port));
}

#[test]
fn broken_lines_are_named_and_are_in_no_table() {
    let user = User::new();
    let file = write(&user, "good|./a|1|{cmd}\nbad\nworse|re:(|2|{cmd}\nodd|./b|99999|{cmd}\n");
    let ran = user.ok(&["patterns"]);
    for (line, why) in
        [(2, "it has no '|'"), (3, "is not a regular expression"), (4, "\"99999\" is not a port")]
    {
        assert!(
            ran.stderr.lines().any(|text| text.starts_with(&format!("tsm: {file}:{line}: skipped: "))
                && text.contains(why)),
            "{line}: {ran:?}"
        );
    }
    assert!(ran.stdout.contains("good") && !ran.stdout.contains("worse"), "{ran:?}");
    let all = user.json(&["patterns"]);
    assert_eq!(all["user"].as_array().unwrap().len(), 1);
    let lines: Vec<_> = all["broken"].as_array().unwrap().iter().map(|one| one["line"].clone()).collect();
    assert_eq!(lines, [2, 3, 4]);
}
