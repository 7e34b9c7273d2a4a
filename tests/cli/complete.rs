//! What completion answers: verbs and options of the definition, and what there is.

use crate::kit::{User, free_port};

impl User {
    /// What zsh and fish are told at the end of this line: values, and their hints behind a `|`.
    fn complete(&self, line: &str) -> Vec<String> {
        let words: Vec<&str> = line.split(' ').collect();
        let index = (words.len() - 1).to_string();
        let mut args = vec!["complete", "fish", &index, "--"];
        args.extend(&words);
        let ran = self.ok(&args);
        assert_eq!(ran.stderr, "", "{line}");
        ran.stdout.lines().map(|line| line.replacen('\t', "|", 1)).collect()
    }

    /// The values alone.
    fn values(&self, line: &str) -> Vec<String> {
        let all = self.complete(line);
        all.into_iter().map(|line| line.split('|').next().unwrap().to_owned()).collect()
    }
}

#[test]
fn verbs_and_options_are_those_of_the_definition() {
    let user = User::new();
    let verbs = user.complete("tsm ");
    assert!(verbs.contains(&"start|Start a command, a service, or what was stopped".into()), "{verbs:?}");
    let help = user.ok(&["--help"]).stdout;
    for verb in user.values("tsm ") {
        assert!(help.lines().any(|line| line.trim_start().starts_with(&verb)), "{verb} is not in {help}");
    }
    assert!(!user.values("tsm ").contains(&"ls".into()), "an alias is one more thing to read");
    assert!(user.values("tsm ls").contains(&"ls".into()));
    assert!(user.values("tsm help sta").contains(&"start".into()));

    let options = user.complete("tsm logs --");
    assert!(options.iter().any(|one| one.starts_with("--follow|Go on with what comes")), "{options:?}");
    assert!(!user.values("tsm logs --follow --").contains(&"--follow".into()), "it is there already");
    assert!(user.values("tsm start --env-var A=1 --").contains(&"--env-var".into()), "it may be repeated");
    assert!(user.values("tsm logs -").contains(&"-f".into()));
    assert_eq!(user.values("tsm --color "), ["auto", "always", "never"]);
    assert_eq!(user.values("tsm start --kind "), ["port", "socket", "pid"]);
    assert_eq!(
        user.values("tsm start --restart="),
        ["--restart=no", "--restart=on-failure", "--restart=always"]
    );
}

#[test]
fn processes_are_those_that_fit_the_verb() {
    let user = User::new();
    let port = free_port().to_string();
    user.ok(&["start", "--wait", "--port", &port, "--name", "web", "python3", "-m", "http.server"]);
    user.ok(&["start", "--wait", "--name", "job", "sleep", "600"]);
    user.ok(&["start", "--name", "old", "sleep", "600"]);
    user.ok(&["stop", "old"]);
    let web = format!("web-{port}");
    let web = web.as_str();
    for (line, expected) in [
        ("tsm stop ", &[web, "job", "all"][..]),
        ("tsm stop job ", &[web]),
        ("tsm stop 1 ", &[web]),
        ("tsm stop all ", &[]),
        ("tsm stop w* ", &["job"]),
        ("tsm logs ", &[web, "job", "old", "all"]),
        ("tsm delete ", &[web, "job", "old", "all"]),
        ("tsm env ", &[web, "job", "init"]),
        ("tsm logs 0", &["0", "1", "2"]),
        ("tsm logs id:", &["id:0", "id:1", "id:2"]),
        ("tsm logs nonsense:", &[]),
    ] {
        assert_eq!(user.values(line), expected, "{line}");
    }
    assert_eq!(user.values("tsm logs port:"), [format!("port:{port}")]);
    assert_eq!(user.values("tsm logs pid:")[0], format!("pid:{}", user.pid(web)));
    let hints = user.complete("tsm logs ");
    assert!(hints[0].starts_with(&format!("{web}|online, port {port}, ")), "{hints:?}");
    assert_eq!(hints[2], "old|stopped, pid");
    let starts = user.values("tsm start ");
    assert_eq!(starts[0], "old");
    assert!(!starts.contains(&"job".into()), "{starts:?}");
}

#[test]
fn words_behind_the_cursor_count_too() {
    let user = User::new();
    for name in ["a", "b", "c"] {
        user.ok(&["start", "--name", name, "sleep", "600"]);
    }
    let ran = user.ok(&["complete", "zsh", "2", "--", "tsm", "stop", "", "b", "--json"]);
    let values: Vec<&str> = ran.stdout.lines().map(|line| line.split('\t').next().unwrap()).collect();
    assert_eq!(values, ["a", "c"]);
    let ran = user.ok(&["complete", "bash", "9", "80", "", "tsm stop ", " b --json"]);
    assert_eq!(ran.stdout, "a\nc\n");
}

#[test]
fn services_are_those_that_can_still_be_enabled_or_disabled() {
    let user = User::new();
    let dir = user.tsm_dir().join("services-available");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("mine.tsm"), "SERVICE_COMMAND='sleep 600'\nSERVICE_DESCRIPTION='a nap'\n")
        .unwrap();
    std::fs::write(dir.join("yours.tsm"), "SERVICE_COMMAND='sleep 600'\n").unwrap();
    std::fs::write(dir.join("broken.tsm"), "rm -rf\n").unwrap();
    user.ok(&["enable", "mine"]);
    let enable = user.values("tsm enable ");
    assert!(enable.contains(&"yours".into()), "{enable:?}");
    assert!(!enable.contains(&"mine".into()) && !enable.contains(&"broken".into()), "{enable:?}");
    assert_eq!(user.complete("tsm disable "), ["mine|a nap"]);
    assert!(user.complete("tsm with ").contains(&"mine|service: a nap".into()));
    assert!(user.values("tsm show ").contains(&"broken".into()));
    assert!(user.complete("tsm start ").contains(&"mine|service: a nap".into()));
}

#[test]
fn environments_are_named_by_their_files() {
    let user = User::new();
    for file in ["env/dev.env", "env/prod.env", ".env.staging", ".env", "x.env", "env/notes.txt", "other"] {
        user.file(file, "A=1\n");
    }
    assert_eq!(user.values("tsm start --env "), [".env", "dev", "prod", "staging", "x.env"]);
    assert_eq!(user.complete("tsm start --env=d")[1], "--env=dev|env/dev.env");
    assert!(user.complete("tsm start --env ./o").contains(&"|files".into()));
}

#[test]
fn what_the_shell_knows_best_is_left_to_it() {
    let user = User::new();
    assert_eq!(user.complete("tsm start --dir "), ["|dirs"]);
    assert_eq!(user.complete("tsm start node ser"), ["|inside\t2"]);
    assert_eq!(user.complete("tsm start --env x -- node --"), ["|inside\t5"]);
    let words = user.complete("tsm start no");
    assert!(words.contains(&"|commands".into()) && words.contains(&"|files".into()), "{words:?}");
}

#[test]
fn nothing_makes_it_fail_or_say_anything_else() {
    let user = User::new();
    for args in [
        &["complete"][..],
        &["complete", "bash"],
        &["complete", "zsh", "x", "--"],
        &["complete", "fish", "99", "--", "tsm"],
        &["complete", "fish", "0", "--"],
        &["complete", "bash", "", "", "longer than the line", "tsm stop 'ü", "x"],
        &["complete", "bash", "63", "1", "", "tsm ", ""],
        &["complete", "bash", "9", "80", "", "", ""],
        &["complete", "bash", "9", "80", "=", "tsm start --env=", "\u{1f600}"],
    ] {
        assert_eq!(user.ok(args).stderr, "", "{args:?}");
    }
    let mut command = user.tsm_command(&["complete", "fish", "2", "--", "tsm", "stop", ""]);
    command.env_remove("HOME").env_remove("TSM_DIR");
    let ran = crate::kit::run(command).code(0);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", ""));
    assert!(!user.tsm_dir().exists());
}

#[test]
fn what_a_port_or_a_request_may_be() {
    let user = User::new();
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let owner = format!("{port}|cli-");
    for line in
        ["tsm doctor port ".to_owned(), "tsm doctor kill ".to_owned(), format!("tsm kill {}", &port[..1])]
    {
        let found = user.complete(&line);
        assert!(found.iter().any(|one| one.starts_with(&owner)), "{line}: {found:?}");
    }
    assert_eq!(user.values("tsm start --port "), [""; 0]);
    assert!(user.values("tsm doctor ").contains(&"orphans".into()));
    user.ok(&["start", "--name", "job", "sleep", "600"]);
    assert_eq!(user.values("tsm socket send job "), ["STATUS", "HEALTH", "RELOAD", "STOP"]);
    assert_eq!(user.complete("tsm save mine ").pop().as_deref(), Some("|commands"));
    assert_eq!(user.values("tsm save mine ")[0], "job");
}
