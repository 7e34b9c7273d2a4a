//! `tsm capture list`, `show`, `search`, `export` and `blame`.

use std::fs;

use crate::capture_kit::{Repo, said};
use crate::kit::{User, text};

fn shop(user: &User) -> (Repo<'_>, String) {
    let repo = user.repo("shop");
    repo.tsm(&["capture", "install"]);
    repo.commit("README", "Begin");
    let talk = repo.talk();
    talk.say("user", "why is the Cart\nempty # here").say("assistant", "A *race* condition.");
    talk.change("cart.rs").say("user", "thanks");
    let commit = repo.commit("cart.rs", "Fill <the> cart");
    repo.until_kept(1);
    (repo, commit)
}

#[test]
fn conversations_are_listed_shown_found_and_exported() {
    let user = User::new();
    let (repo, commit) = shop(&user);
    let short = &commit[..7];
    repo.tsm(&["capture", "list"]).says(short).says("why is the Cart");
    let listed = repo.json(&["capture", "list"]);
    assert_eq!((&listed[0]["messages"], &listed[0]["commit"]["sha"]), (&3.into(), &commit.as_str().into()));
    let (file, session) = (listed[0]["file"].as_str().unwrap(), listed[0]["session"].as_str().unwrap());

    for word in ["HEAD", "main", short, &commit, file, &format!(".prompts/{file}"), session, &session[..6]] {
        repo.tsm(&["capture", "show", word]).says("  A *race* condition.").says("Fill <the> cart");
    }
    let shown = repo.json(&["capture", "show", "HEAD", short]);
    assert_eq!(shown.as_array().unwrap().len(), 1);
    assert_eq!(said(&shown[0])[2], "thanks");
    repo.try_tsm(&["capture", "show", "HEAD~1"]).code(4).complains("no conversation is kept with commit");
    repo.try_tsm(&["capture", "show", ""])
        .code(2)
        .complains("named by nothing")
        .complains("tsm capture list");
    repo.try_tsm(&["capture", "show", "nonsense"]).code(4).complains("tsm capture list");
    repo.try_tsm(&["capture", "show", "--", "--output=x"]).code(4);
    assert!(!repo.dir.join("x").exists());

    repo.tsm(&["capture", "search", "RACE"]).says(short).says("assistant").says("A *race* condition.");
    assert_eq!(repo.json(&["capture", "search", "cart"])[0]["line"], "why is the Cart");
    repo.tsm(&["capture", "search", "nowhere"]).complains("nobody has said");
    repo.try_tsm(&["capture", "search", ""]).code(2);

    let exported = repo.tsm(&["capture", "export", "--markdown"]).stdout;
    for part in [
        "# Fill \\<the\\> cart\n",
        "\n> why is the Cart\n> empty # here\n",
        "\nA *race* condition.",
        "- `cart.rs`",
    ] {
        assert!(exported.contains(part), "{part:?} in {exported}");
    }
    assert_eq!(repo.tsm(&["capture", "export", "HEAD"]).stdout, exported);

    // What is in no commit yet is there, too.
    let talk = repo.talk();
    talk.say("user", "a race again");
    repo.tsm(&["capture", "list"]).says("a race again");
    repo.tsm(&["capture", "show", &talk.id]).says("in no commit yet").says("a race again");
    assert_eq!(repo.json(&["capture", "search", "race"])[1]["commit"], serde_json::Value::Null);
}

#[test]
fn the_prompt_behind_a_line() {
    let user = User::new();
    let (repo, commit) = shop(&user);
    let ran = repo.tsm(&["capture", "blame", "cart.rs:1"]).says("why is the Cart").says(&commit[..7]);
    assert!(!ran.stdout.contains("thanks"), "what was said behind the change");
    fs::create_dir(repo.dir.join("below")).unwrap();
    let below = Repo { user: &user, dir: repo.dir.join("below") };
    below.tsm(&["capture", "blame", "../cart.rs:1"]).says("why is the Cart");
    let shown = repo.json(&["capture", "blame", "cart.rs:1"]);
    assert_eq!(shown["prompt"]["content"], "why is the Cart\nempty # here");
    assert_eq!(shown["commit"]["sha"], commit.as_str());
    // A line that was moved is still of that commit.
    repo.write("cart.rs", "above\nFill <the> cart\nbelow\n");
    repo.tsm(&["capture", "blame", "cart.rs:2"]).says("why is the Cart");
    repo.try_tsm(&["capture", "blame", "cart.rs:1"]).code(4).complains("no active session");
    repo.talk().say("user", "put it above").change("cart.rs");
    repo.tsm(&["capture", "blame", "cart.rs:1"]).says("in no commit yet").says("put it above");

    repo.try_tsm(&["capture", "blame", "README:1"])
        .code(4)
        .complains("no conversation is kept with that commit");
    repo.try_tsm(&["capture", "blame", "cart.rs:99"]).code(4).complains("no line 99");
    repo.try_tsm(&["capture", "blame", "missing:1"]).code(4);
    for word in ["cart.rs", "cart.rs:0", "cart.rs:x", ":3"] {
        repo.try_tsm(&["capture", "blame", word]).code(2).complains("tsm capture blame src/main.rs:12");
    }
    repo.try_tsm(&["capture", "blame", "/etc/passwd:1"]).code(2).complains("is not in the repository");
}

#[test]
fn where_nothing_is_it_says_what_to_do() {
    let user = User::new();
    let repo = user.repo("shop");
    repo.tsm(&["capture", "list"]).complains("no conversation is kept here").complains("tsm capture install");
    assert_eq!(repo.json(&["capture", "list"]), serde_json::json!([]));
    repo.tsm(&["capture", "export", "--markdown"]).complains("tsm capture install");
    for words in [&["capture", "list"][..], &["capture", "search", "x"], &["capture", "show", "x"]] {
        user.tsm(words).code(4).complains("is not in a git repository").complains("git init");
    }
    // A file that is none of ours, or of a later form, is said and passed over.
    repo.write(".prompts/x.json", "{}");
    repo.write(".prompts/note.txt", "mine");
    repo.tsm(&["capture", "list"]).complains(".prompts/x.json: no conversation");
    assert_eq!(text(&repo.dir.join(".prompts/x.json")), "{}");
}

#[test]
fn what_a_terminal_would_obey_is_shown() {
    let user = User::new();
    let repo = user.repo("shop");
    repo.tsm(&["capture", "install"]);
    repo.talk().say("user", "clear \x1b[2J\x07 it\nand \u{202e}back\ntabs\tstay blanks");
    repo.git(&["commit", "-q", "--allow-empty", "-m", "clear"]);
    repo.until_kept(1);
    // A pipe often ends at a terminal; the exact bytes are in --json.
    let piped = repo.tsm(&["capture", "show", "HEAD"]).stdout;
    assert!(piped.contains("\\x1b[2J") && !piped.contains(['\x1b', '\u{202e}']), "{piped:?}");
    assert!(piped.contains("  tabs    stay blanks"), "{piped}");
    for words in ["list", "show HEAD", "search clear"] {
        let mut script = repo.command("script");
        let line = format!("stty cols 40; {} capture {words}", env!("CARGO_BIN_EXE_tsm"));
        script.args(["-qec", &line, "/dev/null"]);
        let ran = crate::kit::run(script).code(0);
        assert!(!ran.stdout.contains("\x1b[2J") && !ran.stdout.contains('\u{202e}'), "{ran:?}");
        assert!(ran.stdout.contains("\\x1b[2J"), "{ran:?}");
    }
}

#[test]
fn a_completion_offers_the_commits_with_a_conversation() {
    let user = User::new();
    let (repo, commit) = shop(&user);
    let ran = repo.tsm(&["complete", "fish", "3", "--", "tsm", "capture", "show", ""]);
    assert_eq!(ran.stdout, format!("{}\tFill <the> cart\n", &commit[..7]));
}

#[test]
fn times_are_those_of_the_user() {
    let user = User::new();
    let repo = user.repo("shop");
    repo.tsm(&["capture", "install"]);
    repo.talk().say("user", "what time is it").change("clock.rs");
    repo.commit("clock.rs", "Tell the time");
    repo.until_kept(1);
    let said = repo.json(&["capture", "show", "HEAD"])[0]["messages"][0]["time"].as_str().unwrap().to_owned();
    let time = chrono::DateTime::parse_from_rfc3339(&said).unwrap();
    let local = time.with_timezone(&chrono::FixedOffset::east_opt(5 * 3600 + 1800).unwrap());
    for (words, expected) in [
        (&["list"][..], local.format("%Y-%m-%d %H:%M").to_string()),
        (&["show", "HEAD"], local.format("\nuser, %Y-%m-%dT%H:%M:%S+05:30\n").to_string()),
        (&["blame", "clock.rs:1"], local.format(", %Y-%m-%dT%H:%M:%S+05:30\n").to_string()),
    ] {
        let mut command = repo.command(env!("CARGO_BIN_EXE_tsm"));
        command.arg("capture").args(words).env("TZ", "IST-5:30");
        crate::kit::run(command).code(0).says(&expected);
    }
}

#[test]
fn help_on_what_the_hook_calls_keeps_nothing() {
    let user = User::new();
    let repo = user.repo("shop");
    repo.talk().say("user", "not yet");
    repo.git(&["commit", "-q", "--allow-empty", "-m", "mine"]);
    repo.try_tsm(&["capture", "commit", "--help"]).code(2).complains("capture has no verb \"commit\"");
    assert_eq!((repo.noted().len(), repo.kept().len()), (0, 0));
}
