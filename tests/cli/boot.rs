//! `tsm daemon enable`, `disable` and `tsm doctor boot`, against a real `systemd --user`.

use std::fs;

use serde_json::json;
use tsm::render::boot::{Job, plist};

use crate::kit::{User, eventually, run, text};
use crate::machine::Machine;

/// A definition of something that only runs.
fn define(user: &User, name: &str, body: &str) {
    let dir = user.tsm_dir().join("services-available");
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join(format!("{name}.tsm")), body).unwrap();
}

const SLEEPS: &str = "SERVICE_COMMAND='sleep 1000'\nSERVICE_TYPE=pid\n";

#[test]
fn enabled_the_daemon_is_a_unit_that_says_that_it_is_ready_and_alive() {
    let user = User::new();
    let Some(mut machine) = Machine::new(&user) else { return };
    machine.log_in();
    machine.ok(&["daemon", "start"]);
    let by_hand = machine.json(&["daemon", "status"])["pid"].clone();
    machine.ok(&["daemon", "status"]).says("  boot          not enabled\n");
    let ran = machine.ok(&["daemon", "enable"]).says("Enabled: systemd starts the daemon at boot (");
    assert!(ran.stderr.contains("\n  try: loginctl enable-linger root\n"), "{ran:?}");
    assert_eq!(machine.property("ActiveState"), "active");
    assert_eq!(
        (machine.property("Type").as_str(), machine.property("KillMode").as_str()),
        ("notify", "process")
    );
    let status = machine.json(&["daemon", "status"]);
    assert_eq!(status["pid"].to_string(), machine.property("MainPID"), "the unit's daemon answers");
    assert_ne!(status["pid"], by_hand, "the one that was started by hand has given way");
    assert_eq!(status["boot"]["enabled"], true);
    machine.ok(&["daemon", "status"]).says("  boot          enabled (systemd: tsm.service)\n");

    let file = fs::metadata(machine.unit()).unwrap().modified().unwrap();
    machine.ok(&["daemon", "enable"]).says("Already enabled: ");
    assert_eq!(machine.json(&["daemon", "enable"])["changed"], false);
    assert_eq!(fs::metadata(machine.unit()).unwrap().modified().unwrap(), file, "it was not written again");
    assert_eq!(status["pid"].to_string(), machine.property("MainPID"), "it was not started again");
}

fn state(machine: &Machine<'_>, name: &str) -> String {
    let all = machine.json(&["list", "all"]);
    let view = all.as_array().unwrap().iter().find(|view| view["name"] == name);
    view.map_or_else(|| "untracked".into(), |view| view["status"].as_str().unwrap().to_owned())
}

#[track_caller]
fn until(machine: &Machine<'_>, name: &str, wanted: &str) {
    eventually(&format!("{name} is {wanted}"), || state(machine, name) == wanted);
}

/// Waits until the unit has another daemon than `daemon`, which is ready.
#[track_caller]
fn until_another(machine: &Machine<'_>, daemon: &str) {
    eventually("there is another daemon", || {
        // In one look: between two of them the first one may end.
        let both = machine.systemctl(&["show", "--property", "ActiveState,MainPID", "tsm.service"]);
        both.contains("ActiveState=active\n") && !both.lines().any(|line| line == format!("MainPID={daemon}"))
    });
}

/// A service that says what it gets, and leaves word when it is asked to end.
const SPEAKS: &str = "SERVICE_COMMAND='env; only-on-this-path; trap \"echo asked; exit\" TERM; echo up; \
    while :; do sleep 0.05; done'\nSERVICE_TYPE=pid\n";

/// Services: `on` and `mine` are enabled, of which `mine` is started in a login session; `off` is not, and runs; `halted`
/// is and was stopped.
fn services(user: &User, machine: &Machine<'_>) {
    user.program("bin/only-on-this-path", "#!/bin/sh\necho found\n");
    define(user, "on", SPEAKS);
    for name in ["mine", "off", "halted"] {
        define(user, name, SLEEPS);
    }
    machine.ok(&["enable", "on", "mine", "halted"]);
    for name in ["mine", "off", "halted"] {
        machine.ok(&["start", name]);
    }
    machine.ok(&["stop", "halted"]);
    let path = format!("{}:/usr/bin:/bin", user.cwd().join("bin").display());
    let mut enable = machine.command(env!("CARGO_BIN_EXE_tsm"), &["daemon", "enable"]);
    enable.env("PATH", path);
    run(enable).code(0);
    for name in ["on", "mine", "off"] {
        until(machine, name, "online");
    }
}

#[test]
fn boot_brings_back_what_is_enabled_and_nothing_else() {
    let user = User::new();
    let Some(mut machine) = Machine::new(&user) else { return };
    machine.log_in();
    services(&user, &machine);
    let log = || text(&user.log("on"));
    for line in ["found", &format!("HOME={}", user.home().display()), "PWD=/", "LOGNAME=root"] {
        let line = line.replace("PWD=/", &format!("PWD={}", user.home().display()));
        assert!(log().lines().any(|one| one == line), "no {line} in {}", log());
    }
    for name in ["WATCHDOG_", "INVOCATION_ID", "SYSTEMD_EXEC_PID", "MANAGERPID", "LC_ALL"] {
        assert!(!log().contains(name), "{name} of the daemon's unit, or of a login shell: {}", log());
    }
    assert_eq!(state(&machine, "halted"), "stopped");

    // The manager ends, and with it all that the daemon has started: gently, and not for good.
    machine.log_out();
    assert!(log().ends_with("asked\n"), "{}", log());
    assert_eq!(["on", "mine"].map(|name| state(&machine, name)), ["stopped", "online"]);
    // A shutdown signals what was started in a session, too.
    machine.end_session();
    machine.log_in();
    for (name, wanted) in [("on", "online"), ("mine", "online"), ("off", "stopped"), ("halted", "stopped")] {
        until(&machine, name, wanted);
    }
    assert_eq!(machine.json(&["daemon", "status"])["pid"].to_string(), machine.property("MainPID"));
    // What was stopped once more stays so.
    machine.ok(&["start", "halted"]);
    machine.ok(&["stop", "mine"]);

    machine.lose_power();
    let lost = ["on", "mine", "off", "halted"].map(|name| state(&machine, name));
    assert_eq!(lost, ["lost", "stopped", "stopped", "lost"]);
    machine.log_in();
    for (name, wanted) in [("on", "online"), ("halted", "online"), ("mine", "stopped"), ("off", "stopped")] {
        until(&machine, name, wanted);
    }
    let said = machine.ok(&["daemon", "logs"]).stdout;
    assert_eq!(said.matches("\"service\":\"on\"").count(), 3, "each outcome is recorded: {said}");
}

#[test]
fn the_unit_can_be_stopped_and_taken_away_under_what_it_has_started() {
    let user = User::new();
    let Some(mut machine) = Machine::new(&user) else { return };
    machine.log_in();
    services(&user, &machine);
    let pid = |name: &str| machine.json(&["info", name])["pid"].clone();
    let before = ["on", "mine", "off"].map(pid);
    machine.systemctl(&["stop", "tsm"]);
    assert_eq!(machine.tsm(&["daemon", "ping"]).code, 5);
    assert_eq!(["on", "mine", "off"].map(pid), before);
    // Whoever needs it gets the unit's daemon, which looks after what the one before has started.
    machine.ok(&["daemon", "start"]);
    assert_eq!(machine.property("ActiveState"), "active");
    machine.ok(&["daemon", "restart"]);
    assert_eq!(machine.property("ActiveState"), "active");
    assert_eq!(["on", "mine", "off"].map(pid), before);
    // Killed, it comes again.
    let daemon = machine.property("MainPID");
    run(machine.command("kill", &["-s", "KILL", &daemon])).code(0);
    until_another(&machine, &daemon);

    machine.ok(&["daemon", "disable"]).says("Disabled: ");
    assert!(!machine.unit().exists());
    assert_eq!(machine.property("LoadState"), "not-found");
    let links = machine.unit().with_file_name("default.target.wants");
    assert_eq!(fs::read_dir(links).map_or(0, Iterator::count), 0);
    machine.tsm(&["daemon", "status"]).code(3).says("  boot          not enabled\n");
    assert_eq!(["on", "mine", "off"].map(pid), before);
    machine.ok(&["daemon", "disable"]).says("Not enabled\n");
    assert_eq!(machine.json(&["daemon", "disable"])["changed"], false);
    assert!(!text(&user.log("on")).contains("asked"));
}

#[test]
fn the_watchdog_is_fed_without_requests_and_ends_a_daemon_that_hangs() {
    let user = User::new();
    let Some(mut machine) = Machine::new(&user) else { return };
    machine.log_in();
    let drop_in = machine.unit().with_file_name("tsm.service.d");
    fs::create_dir_all(&drop_in).unwrap();
    fs::write(drop_in.join("fast.conf"), "[Service]\nWatchdogSec=3\n").unwrap();
    machine.ok(&["start", "--name", "p", "sleep", "1000"]);
    machine.ok(&["daemon", "enable"]);
    assert_eq!(machine.property("WatchdogUSec"), "3s");
    let daemon = machine.property("MainPID");
    for _ in 0..2 {
        let fed = machine.property("WatchdogTimestampMonotonic");
        eventually("it is fed again", || machine.property("WatchdogTimestampMonotonic") != fed);
    }
    assert_eq!((machine.property("MainPID"), machine.property("NRestarts")), (daemon.clone(), "0".into()));
    run(machine.command("kill", &["-s", "STOP", &daemon])).code(0);
    until_another(&machine, &daemon);
    machine.ok(&["daemon", "ping"]);
    assert_eq!(state(&machine, "p"), "online");
}

#[test]
fn whatever_a_path_contains_reaches_the_daemon_as_it_is() {
    const ODD: &str = "a %h%% b\"c'd\\x41 $HOME ${PATH} é\t;#";
    let home = User::new();
    let user = User::within(&home.home(), ODD);
    let Some(mut machine) = Machine::new(&user) else { return };
    machine.log_in();
    // Also the program may stand in such a directory, as far as systemd allows.
    let bin = user.home().join("my %n $HOME bin");
    fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_tsm"), bin.join("tsm")).unwrap();
    let path = format!("{}:/usr/bin:relative::/bin:{ODD}:/x{ODD}", bin.display());
    let mut enable = machine.command("tsm", &["daemon", "enable"]);
    enable.env("PATH", &path);
    run(enable).code(0);
    let pid = machine.property("MainPID");
    let environ = run(machine.command("cat", &[&format!("/proc/{pid}/environ")])).stdout;
    let expected = format!("{}:/usr/bin:/bin:/x{ODD}", bin.display());
    for (name, value) in [("PATH", expected), ("TSM_DIR", user.tsm_dir().display().to_string())] {
        assert!(
            environ.split('\0').any(|var| var == format!("{name}={value}")),
            "no {name}={value} in {environ:?}"
        );
    }
    assert!(machine.property("ExecStart").contains(&format!("path={}/tsm ;", bin.display())));
    machine.ok(&["daemon", "ping"]);
}

#[test]
fn what_cannot_be_enabled_changes_nothing_and_says_what_is_missing() {
    let user = User::new();
    // Also this is asked in the machine: outside there may be a user manager, which is not ours.
    let Some(mut machine) = Machine::new(&user) else { return };
    let config = user.home().join(".config");
    for verb in ["enable", "disable"] {
        machine.tsm(&["daemon", verb]).code(5).complains("nobody answers at /run/user/0/systemd/private (");
        let mut command = machine.command(env!("CARGO_BIN_EXE_tsm"), &["daemon", verb]);
        command.env_remove("XDG_RUNTIME_DIR");
        let ran = run(command).code(5);
        let missing = "tsm: there is no systemd session of this user: XDG_RUNTIME_DIR is not set";
        assert!(ran.stderr.starts_with(missing), "{ran:?}");
        assert!(ran.stderr.contains("\n  try: log in as this user"), "{ran:?}");
    }
    assert!(!config.exists() && !user.tsm_dir().exists(), "nothing was made");

    machine.log_in();
    // A daemon that cannot start: its directory is a file.
    fs::create_dir_all(user.tsm_dir()).unwrap();
    fs::write(user.tsm_dir().join("daemon"), "").unwrap();
    let ran =
        machine.tsm(&["daemon", "enable"]).code(1).complains("cannot enable the daemon at boot: systemctl");
    assert!(!config.join("systemd/user/tsm.service").exists(), "{ran:?}");
    assert_eq!(machine.property("LoadState"), "not-found");
    fs::remove_file(user.tsm_dir().join("daemon")).unwrap();
    let ran = machine.ok(&["daemon", "enable"]);
    assert!(ran.stderr.contains("  try: loginctl enable-linger root\n"), "{ran:?}");
    run(machine.command("touch", &["/var/lib/systemd/linger/root"])).code(0);
    assert_eq!(machine.ok(&["daemon", "enable"]).stderr, "");
    assert_eq!(machine.json(&["daemon", "enable"])["linger"], true);
}

#[test]
fn a_unit_of_somebody_else_and_an_edited_one_are_left() {
    let user = User::new();
    let Some(mut machine) = Machine::new(&user) else { return };
    machine.log_in();
    fs::create_dir_all(machine.unit().parent().unwrap()).unwrap();
    let foreign = "[Service]\nExecStart=/bin/sleep 1000\n";
    fs::write(machine.unit(), foreign).unwrap();
    machine.systemctl(&["daemon-reload"]);
    machine.systemctl(&["start", "tsm"]);
    for verb in ["enable", "disable"] {
        machine.tsm(&["daemon", verb]).code(6).complains("tsm.service was not written by tsm");
    }
    assert_eq!(
        (text(&machine.unit()).as_str(), machine.property("ActiveState").as_str()),
        (foreign, "active")
    );

    machine.ok(&["daemon", "enable", "--force"]).says("Enabled: ");
    let ours = text(&machine.unit());
    assert!(ours.starts_with("# Written by \"tsm daemon enable\", hash "), "{ours}");
    let edited = ours.replace("RestartSec=1", "RestartSec=2");
    fs::write(machine.unit(), &edited).unwrap();
    machine.ok(&["daemon", "enable"]).says("Enabled: ").complains("was edited, and is used as it is");
    assert_eq!((text(&machine.unit()), machine.property("RestartUSec")), (edited.clone(), "2s".into()));
    machine.ok(&["daemon", "disable"]).says("Disabled: ").complains("was edited, and is left");
    assert_eq!((text(&machine.unit()), machine.property("ActiveState")), (edited, "inactive".into()));
    assert_eq!(machine.json(&["daemon", "status"])["boot"]["enabled"], false);
    machine.ok(&["daemon", "disable", "--force"]);
    assert!(!machine.unit().exists());
}

#[test]
fn the_property_list_says_to_others_what_it_says_to_us() {
    const READ: &str = "import json, plistlib, sys\njson.dump(plistlib.load(sys.stdin.buffer), sys.stdout)";
    let user = User::new();
    let path = "/a b/<&>\"'/é\t:/bin".to_owned();
    let job = Job { program: "/opt/<my> & tools/tsm".into(), env: vec![("PATH".into(), path.clone())] };
    let file = user.file("tsm.plist", &plist::text(&job).unwrap());
    let mut python = user.command("python3");
    python.args(["-c", READ]).stdin(fs::File::open(file).unwrap());
    let read: serde_json::Value = serde_json::from_str(&run(python).code(0).stdout).unwrap();
    let expected = json!({
        "Label": plist::LABEL,
        "ProgramArguments": [job.program, "daemon", "run", "--replace"],
        "EnvironmentVariables": {"PATH": path},
        "RunAtLoad": true,
        "KeepAlive": {"SuccessfulExit": false},
        "AbandonProcessGroup": true,
        "ProcessType": "Interactive",
    });
    assert_eq!(read, expected);
}

/// The findings of `tsm doctor boot` of that level, but for that of linger.
fn findings(machine: &Machine<'_>, level: &str) -> Vec<String> {
    let all = machine.json(&["doctor", "boot"]);
    let of_level = all.as_array().unwrap().iter().filter(|finding| finding["level"] == level);
    let mut said: Vec<String> =
        of_level.map(|finding| finding["what"].as_str().unwrap().to_owned()).collect();
    said.retain(|what| !what.contains("linger"));
    said
}

#[test]
fn doctor_boot_tells_what_would_not_come_back_and_starts_nothing() {
    let user = User::new();
    let Some(mut machine) = Machine::new(&user) else { return };
    let none = machine.tsm(&["doctor", "boot"]).code(1);
    for line in [
        "  [ERROR] the daemon is not started at boot: there is no ",
        "         try: tsm daemon enable\n",
        "  [ERROR] there is no systemd session of this user: ",
        "  [WARN] this user does not linger: ",
        "         try: loginctl enable-linger root\n",
        "  no service is enabled\n",
        "  2 errors, 1 warning\n",
    ] {
        assert!(none.stdout.contains(line), "no {line:?} in {none:#?}");
    }
    machine.log_in();
    run(machine.command("touch", &["/var/lib/systemd/linger/root"])).code(0);
    services(&user, &machine);
    let good = machine.ok(&["doctor", "boot"]).says("\n  All checks passed\n");
    let on = format!(
        "  [OK] on: env; only-on-this-path; trap \"echo asked; exit\" TERM; echo up; while :; do sleep 0.05; done in {}\n",
        user.home().display()
    );
    for line in [
        on.as_str(),
        "  [OK] tsm.service is active (running), and its daemon answers\n",
        "  halted: it was stopped, and boot leaves it at that\n",
    ] {
        assert!(good.stdout.contains(line), "no {line:?} in {good:#?}");
    }

    // Each of these a login shell would start, and boot would not.
    let flag = user.home().join("ran");
    let bin = user.home().join("shell");
    fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink("/bin/sleep", bin.join("of-the-shell")).unwrap();
    define(&user, "path", "SERVICE_COMMAND='of-the-shell 1000'\nSERVICE_TYPE=pid\n");
    define(
        &user,
        "variable",
        "SERVICE_COMMAND='sleep 1000'\nSERVICE_DIR=$PROJECTS/my-api\nSERVICE_TYPE=pid\n",
    );
    let touches = format!("SERVICE_COMMAND='touch {}'\nSERVICE_TYPE=pid\n", flag.display());
    define(&user, "runs", &touches);
    define(&user, "env", &format!("{touches}SERVICE_ENV={}/no.env\n", user.home().display()));
    define(&user, "dir", &format!("{touches}SERVICE_DIR=/nowhere/at/all\n"));
    define(&user, "broken", SLEEPS);
    define(&user, "gone", SLEEPS);
    machine.ok(&["enable", "path", "variable", "runs", "env", "dir", "broken", "gone"]);
    define(&user, "broken", "SERVICE_COMMAND=x\nrm -rf x\n");
    fs::remove_file(user.tsm_dir().join("services-available/gone.tsm")).unwrap();
    let mut doctor = machine.command(env!("CARGO_BIN_EXE_tsm"), &["doctor", "boot"]);
    doctor.env("PATH", format!("{}:/usr/bin:/bin", bin.display())).env("PROJECTS", user.home());
    let ran = run(doctor).code(1);
    let wrong = |name: &str| {
        ran.stdout
            .lines()
            .find(|line| line.starts_with(&format!("  [ERROR] {name}: ")))
            .unwrap_or_else(|| panic!("nothing of {name} in {ran:#?}"))
    };
    for (name, why) in [
        ("path", "\"of-the-shell\" is not found on the PATH of boot"),
        ("variable", "no directory /my-api"),
        ("env", "no.env"),
        ("dir", "no directory /nowhere/at/all"),
        ("broken", "broken.tsm:2:"),
        ("gone", "does not exist"),
    ] {
        assert!(wrong(name).contains(why), "{name}: {}", wrong(name));
    }
    assert!(ran.stdout.contains("  [OK] runs: touch ") && ran.stdout.contains("  [OK] mine: "), "{ran:#?}");
    assert!(!flag.exists(), "nothing was started");
}

#[test]
fn doctor_boot_tells_a_unit_that_is_not_what_it_should_be() {
    let user = User::new();
    let Some(mut machine) = Machine::new(&user) else { return };
    machine.log_in();
    let none: [&str; 0] = [];
    // The program that boot starts goes away.
    let bin = user.home().join("bin");
    fs::create_dir(&bin).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_tsm"), bin.join("tsm")).unwrap();
    let copy = bin.join("tsm").display().to_string();
    run(machine.command(&copy, &["daemon", "enable"])).code(0);
    let what = format!("it starts {copy}, and this is {}", env!("CARGO_BIN_EXE_tsm"));
    assert_eq!(
        (findings(&machine, "error"), findings(&machine, "warning")),
        (none.map(str::to_owned).to_vec(), vec![what])
    );
    fs::remove_file(&copy).unwrap();
    let what = format!("it starts {copy}, which is not there or not executable");
    assert_eq!(findings(&machine, "error"), [what]);
    machine.ok(&["daemon", "enable"]);
    assert_eq!(findings(&machine, "error"), none);
    assert_eq!(findings(&machine, "warning"), none);

    // Another TSM_DIR than that of this shell.
    let mut other = machine.command(env!("CARGO_BIN_EXE_tsm"), &["doctor", "boot"]);
    other.env("TSM_DIR", user.home().join("other"));
    run(other)
        .code(1)
        .says(&format!("it starts the services of {}, and TSM_DIR is ", user.tsm_dir().display()));

    // Disabled, stopped, and run by hand behind its back.
    machine.systemctl(&["disable", "--now", "tsm"]);
    assert_eq!(findings(&machine, "error"), ["tsm.service is not enabled"]);
    assert_eq!(findings(&machine, "warning"), ["tsm.service is inactive (dead)"]);
    machine.ok(&["daemon", "start"]);
    let pid = machine.json(&["daemon", "status"])["pid"].clone();
    let what = format!("the daemon that runs (PID: {pid}) is not the one of tsm.service");
    assert_eq!(findings(&machine, "warning"), [what]);
    machine.ok(&["daemon", "enable"]);
    assert_eq!(findings(&machine, "warning"), none);

    // An edit, before and after systemd has read it; and a directory of PATH that has gone.
    let edited = text(&machine.unit()).replace("PATH=", "PATH=/gone/away:");
    fs::write(machine.unit(), edited).unwrap();
    assert_eq!(findings(&machine, "warning"), ["systemd has not read the file since it was changed"]);
    machine.ok(&["daemon", "enable"]);
    let said = findings(&machine, "info");
    assert!(said.contains(&format!("{} was edited", machine.unit().display())), "{said:?}");
    assert!(said.contains(&"of its PATH is not there: /gone/away".to_owned()), "{said:?}");
}
