//! `tsm env`: where TSM keeps things, what a process was given, and new environment files.

use std::fs;

use crate::kit::User;
use crate::list::two;

#[test]
fn alone_it_shows_the_places() {
    let user = User::new();
    let root = user.tsm_dir();
    let root = root.to_str().unwrap();
    let ran = user.ok(&["env"]);
    assert_eq!(
        ran.stdout,
        format!(
            "TSM_DIR={root}\nTSM_LOGS_DIR={root}/logs\nTSM_PIDS_DIR={root}/pids\nTSM_PORT_RANGE=8000-8999\n\
             TSM_PROCESSES_DIR={root}/runtime/processes\n"
        )
    );
    assert_eq!(user.json(&["env"])["TSM_DIR"], root);
}

#[test]
fn of_a_process_it_masks_secrets_unless_asked() {
    let user = User::new();
    user.file(".env", "DB_PASSWORD=hunter2\nDATABASE_URL=postgres://u:hunter2@h/db\nMODE='a b'\n");
    user.ok(&["start", "--name", "app", "sleep", "1000"]);
    let ran = user.ok(&["env", "app"]).says("MODE='a b'\n").says("DB_PASSWORD=").says("TSM_NAME=app\n");
    assert!(!ran.stdout.contains("hunter2"), "{ran:?}");
    let json = user.json(&["env", "app"]);
    assert_eq!(json["MODE"], "a b");
    assert!(!json.to_string().contains("hunter2"), "{json:#}");
    user.ok(&["env", "app", "--show"]).says("DB_PASSWORD=hunter2\n");
    assert_eq!(user.json(&["env", "app", "--show"])["DB_PASSWORD"], "hunter2");
}

#[test]
fn what_does_not_run_has_none() {
    let user = two();
    let ran =
        user.tsm(&["env", "down"]).code(3).complains("down is not running").complains("try: tsm start down");
    assert_eq!(ran.stdout, "");
    user.tsm(&["env", "nix"]).code(4);
    user.tsm(&["env", "all"]).code(6).complains("several processes");
    user.tsm(&["env", "up", "down"]).code(2);
}

#[test]
fn init_writes_a_template_and_never_overwrites() {
    let user = User::new();
    user.tsm(&["env", "init"]).code(2).complains("try: tsm env init dev");
    let file = user.cwd().join("env/dev.env");
    user.ok(&["env", "init", "dev"]).says("Wrote ").says("env/dev.env\n");
    assert!(fs::read_to_string(&file).unwrap().contains("PORT"));
    fs::write(&file, "MINE=1\n").unwrap();
    let ran = user.tsm(&["env", "init", "dev"]);
    assert!(ran.code != 0 && ran.stderr.contains("exists") && ran.stdout.is_empty(), "{ran:?}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "MINE=1\n");
    let wrote = user.json(&["env", "init", "staging"]);
    assert!(wrote["wrote"].as_str().unwrap().ends_with("env/staging.env"), "{wrote}");
    for bad in ["../x", "", "a/b"] {
        let ran = user.tsm(&["env", "init", bad]);
        assert!(ran.code != 0, "{ran:?}");
    }
    assert!(!user.home().join("x.env").exists());
}
