//! `tsm import` and the disk: what is never replaced, what is written beside a failure, and what is never run.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::Value;

use crate::import::Importer;
use crate::kit::{run, text};

#[test]
fn what_is_there_stays_and_the_others_are_still_written() {
    let it = Importer::new();
    it.fixture("procfile/Procfile", "shop/Procfile");
    let mine = "SERVICE_COMMAND=mine\n";
    fs::create_dir_all(it.definition("web").parent().unwrap()).unwrap();
    fs::write(it.definition("web"), mine).unwrap();
    symlink("/nowhere", it.definition("clock")).unwrap();
    let ran = it.import(&["procfile"]).code(6);
    let ran =
        ran.complains("web.tsm exists already and says something else").complains("clock.tsm exists already");
    assert_eq!(ran.stdout.matches("Saved: ").count(), 3, "{ran:#?}");
    assert_eq!(text(&it.definition("web")), mine);
    assert!(it.definition("clock").is_symlink());
    // Once more: what was written is what would be.
    fs::remove_file(it.definition("clock")).unwrap();
    let again = it.import(&["procfile"]).code(6);
    assert_eq!(again.stdout.matches("Already saved: ").count(), 3, "{again:#?}");
    assert_eq!(again.stdout.matches("Saved: clock ").count(), 1, "{again:#?}");
    let other = it.import(&["procfile", "--prefix", "shop-"]).code(0);
    assert_eq!(other.stdout.matches("Saved: shop-").count(), 5, "{other:#?}");
    it.import(&["procfile", "--prefix", "shop-"]).code(0).says("Already saved: shop-web");
}

#[test]
fn a_dry_run_shows_what_would_be_written_and_writes_nothing() {
    let it = Importer::new();
    it.fixture("pm2/dump.pm2", ".pm2/dump.pm2");
    let shown = it.import(&["pm2", "--dry-run"]).code(0).says("SERVICE_COMMAND='node server.js'\n");
    assert!(
        shown.stderr.contains("cron_restart") && !shown.stderr.contains("nothing was started"),
        "{shown:#?}"
    );
    assert!(!it.user.tsm_dir().exists(), "not even a directory is made");
    it.import(&["pm2"]).code(0);
    for part in shown.stdout.split("\n\n") {
        let (file, definition) = part.trim_start_matches("# ").split_once('\n').unwrap();
        assert_eq!(text(file.as_ref()).trim_end(), definition.trim_end());
    }
    fs::write(it.definition("jobs"), "SERVICE_COMMAND=mine\n").unwrap();
    it.import(&["pm2", "--dry-run"]).code(6).complains("jobs.tsm exists already");
}

#[test]
fn a_folder_that_cannot_be_written_is_named_and_nothing_is_left() {
    let it = Importer::new();
    it.fixture("procfile/Procfile", "shop/Procfile");
    fs::create_dir_all(it.user.tsm_dir()).unwrap();
    fs::write(it.user.tsm_dir().join("services-available"), "a file").unwrap();
    let ran = it.import(&["--json", "procfile"]).code(1).complains("services-available");
    let answer: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(answer["services"][0]["state"], "failed");
    assert!(answer["services"][0]["error"].as_str().unwrap().contains("services-available"));
    assert_eq!(text(&it.user.tsm_dir().join("services-available")), "a file");
}

const PROGRAM: &str = "console.log('a banner');\nrequire('fs').writeFileSync('ran', '');\n\
    module.exports = { apps: [{ name: 'api', script: 'a.js', cwd: __dirname, env: { PORT: 0 } }] };\n";

#[test]
fn a_program_of_pm2_is_run_by_node_only_when_it_is_named() {
    let it = Importer::new();
    let shop = it.user.home().join("shop");
    fs::write(shop.join("ecosystem.config.js"), PROGRAM).unwrap();
    let here = |words: &[&str]| it.import(words);
    here(&["pm2"]).code(4).complains("there is no ").complains("tsm import pm2 ecosystem.config.js");
    assert!(!shop.join("ran").exists(), "nobody asked for it");
    let ran = here(&["pm2", "ecosystem.config.js"]).code(0).says("Saved: api").complains("env.PORT");
    assert!(shop.join("ran").exists() && !ran.stdout.contains("banner"), "{ran:#?}");
    assert!(text(&it.definition("api")).contains(&format!("SERVICE_DIR={}\n", shop.display())));
    it.fixture("pm2/ecosystem.config.js", "shop/real.config.cjs");
    let real = here(&["pm2", "real.config.cjs"]).code(0).complains("deploy").complains("env_production");
    assert_eq!(real.stdout.matches("Saved: ").count(), 3, "{real:#?}");
    fs::write(shop.join("new.config.mjs"), "export default { apps: [{ script: './new.mjs' }] };\n").unwrap();
    here(&["pm2", "new.config.mjs"]).code(0).says("Saved: new (");
    assert!(text(&it.definition("new")).contains("SERVICE_COMMAND='node ./new.mjs'\n"));
}

#[test]
fn what_is_wrong_with_a_program_of_pm2_is_said_with_its_line() {
    let it = Importer::new();
    let shop = it.user.home().join("shop");
    for (program, says) in [
        ("module.exports = {\n  apps: [\n};\n", "x.config.js:3 with node: SyntaxError: Unexpected token"),
        ("\nthrow new Error('no database');\n", "x.config.js:2 with node: Error: no database"),
        (
            "require('no-such-package');\n",
            "x.config.js:1 with node: Error: Cannot find module 'no-such-package'",
        ),
        ("process.exit(3);\n", "x.config.js with node: it ended with exit code 3 and exported nothing"),
        ("module.exports = {};\n", "x.config.js is not a file of pm2"),
    ] {
        fs::write(shop.join("x.config.js"), program).unwrap();
        it.import(&["pm2", "x.config.js"]).code(1).complains(says);
    }
    let mut command = it.user.tsm_command(&["import", "pm2", "../shop/x.config.js"]);
    command.env("PATH", &shop);
    run(command).code(1).complains("there is no node on PATH").complains("pm2 save");
    fs::write(shop.join("e.yml"), "apps:\n").unwrap();
    it.import(&["pm2", "e.yml"]).code(2).complains("YAML").complains("pm2 save");
    assert!(!it.user.tsm_dir().exists());
}

#[test]
fn what_is_not_there_is_not_found() {
    let it = Importer::new();
    it.import(&["pm2"])
        .code(4)
        .complains(".pm2/dump.pm2 and no ecosystem.config.json here")
        .complains("pm2 save");
    it.import(&["pm2", "x.json"]).code(4).complains("shop/x.json does not exist");
    it.import(&["pm2", "x.js"]).code(4).complains("shop/x.js does not exist");
    it.import(&["procfile"]).code(4).complains("shop/Procfile does not exist");
    it.import(&["tetra"]).code(2).complains("TETRA_DIR is not set");
    it.import(&["tetra", "."]).code(4).complains("neither services-available nor runtime/processes");
    it.import(&[]).code(2).complains("import needs one of pm2, procfile, tetra");
    let home = it.user.home().join("else");
    fs::create_dir_all(&home).unwrap();
    fs::write(home.join("dump.pm2"), "[]").unwrap();
    let mut command = it.user.tsm_command(&["import", "pm2"]);
    command.env("PM2_HOME", &home);
    run(command).code(0).complains("there is nothing to import in ");
    fs::write(home.join("dump.pm2"), b"[\xff]").unwrap();
    let mut command = it.user.tsm_command(&["import", "pm2"]);
    command.env("PM2_HOME", &home);
    run(command).code(1).complains("is not UTF-8 text");
}
