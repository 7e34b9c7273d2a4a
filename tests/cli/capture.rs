//! `tsm capture`: what was said is kept with the commit that came of it, once.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::agents_kit::session_id;
use crate::capture_kit::{Repo, said};
use crate::kit::{User, eventually, kill, run, text};

/// Begins the name of an AWS key in its documentation; masked as one.
const KEY: &str = "AKIAIOSFODNN7EXAMPLE";

#[test]
fn a_commit_keeps_what_was_said_since_the_last_one_with_secrets_masked() {
    let user = User::new();
    let repo = user.repo("it's \"my\" shop");
    repo.tsm(&["capture", "install"]);
    let talk = repo.talk();
    let home = user.home();
    talk.say("user", &format!("fix {}/src/a.rs with {KEY}", repo.dir.display()));
    talk.say("assistant", &format!("done, see {}/notes", home.display())).change("src/a.rs").change("x.env");
    let first = repo.commit("src/a.rs", "Fix the cart");
    let [one] = &repo.until_kept(1)[..] else { panic!() };
    let contents = said(one);
    assert!(contents[0].starts_with("fix src/a.rs with ") && !contents[0].contains(KEY), "{contents:?}");
    assert_eq!(contents[1], "done, see ~/notes");
    assert_eq!(one["commit"]["sha"], first.as_str());
    assert_eq!(one["commit"]["subject"], "Fix the cart");
    assert_eq!(
        (&one["author"]["name"], &one["author"]["email"]),
        (&"Ann Other".into(), &"ann@example.org".into())
    );
    assert_eq!((&one["branch"], &one["tool"], &one["schema"]), (&"main".into(), &"cursor".into(), &1.into()));
    assert_eq!(one["files"]["commit"], serde_json::json!(["src/a.rs"]));
    assert_eq!(one["files"]["session"].as_array().unwrap().len(), 1, "x.env is left out");
    assert_eq!(one["masked"], 1);
    let (name, _) = repo.kept().into_iter().next().unwrap();
    let time: String =
        one["messages"][0]["time"].as_str().unwrap().chars().filter(|c| !matches!(c, '-' | ':')).collect();
    assert_eq!(name, format!("{time}-{}.json", &first[..7]));
    let file = text(&repo.dir.join(".prompts").join(&name));
    assert!(!file.contains(home.to_str().unwrap()) && !file.contains(KEY), "{file}");
    // Nowhere on the disk.
    for (path, (_, content)) in crate::capture_kit::tree(&user.tsm_dir()) {
        assert!(!String::from_utf8_lossy(&content).contains(KEY), "{}", path.display());
    }

    // Nothing was said: nothing is written. What is said then goes with the next one, and only that.
    repo.commit("b", "quiet");
    repo.until_kept(1);
    talk.say("user", "and now b");
    let third = repo.commit("b", "third");
    let kept = repo.until_kept(2);
    let other = kept.iter().find(|one| one["commit"]["sha"] == third.as_str()).unwrap();
    assert_eq!(said(other), ["and now b"]);
    assert_eq!(fs::read_dir(repo.dir.join(".prompts")).unwrap().count(), 2, "nothing else is left");
}

#[test]
fn a_conversation_with_claude_code_is_found_where_it_keeps_it() {
    let user = User::new();
    let repo = user.repo("shop");
    let (old, new) = (session_id(), session_id());
    let mut before = user.transcript(&repo.dir, &old);
    before.ago(600).prompt("long ago").says("yes", Some("end_turn"));
    repo.tsm(&["capture", "install"]);
    let mut transcript = user.transcript(&repo.dir, &new);
    transcript.prompt(&format!("fix it with {KEY}")).says("fixed", Some("end_turn"));
    let elsewhere = user.home().join("other");
    fs::create_dir(&elsewhere).unwrap();
    user.transcript(&elsewhere, &session_id()).prompt("of another place");
    repo.tsm(&["capture", "list"]).says("fix it with");
    repo.commit("a", "first");
    let [one] = &repo.until_kept(1)[..] else { panic!() };
    assert_eq!((&one["tool"], &one["session"]), (&"claude-code".into(), &new.as_str().into()));
    let contents = said(one);
    assert_eq!(contents.len(), 2, "{contents:?}");
    assert!(contents[0].starts_with("fix it with ") && !contents[0].contains(KEY), "{contents:?}");
    // It goes on, and the old one is taken up again.
    transcript.prompt("more");
    before.record(serde_json::json!({"type": "user", "timestamp": chrono::Utc::now().to_rfc3339(),
        "message": {"role": "user", "content": "again"}}));
    repo.commit("a", "second");
    let kept = repo.until_kept(3);
    let mut all: Vec<&str> =
        kept.iter().filter(|one| one["commit"]["subject"] == "second").flat_map(said).collect();
    all.sort_unstable();
    assert_eq!(all, ["again", "more"]);
}

#[test]
fn the_first_commit_a_detached_head_two_sessions_and_two_commits_in_a_row() {
    let user = User::new();
    let repo = user.repo("shop");
    repo.tsm(&["capture", "install"]);
    let (one, two) = (repo.talk(), repo.talk());
    one.say("user", "first of one");
    two.say("user", "first of two");
    repo.commit("a", "first");
    one.say("user", "second of one");
    repo.commit("a", "second");
    two.say("user", "third of two");
    repo.commit("a", "third");
    let kept = repo.until_kept(4);
    let mut all: Vec<(&str, &str)> =
        kept.iter().map(|one| (one["commit"]["subject"].as_str().unwrap(), said(one)[0])).collect();
    all.sort_unstable();
    let expected = [
        ("first", "first of one"),
        ("first", "first of two"),
        ("second", "second of one"),
        ("third", "third of two"),
    ];
    assert_eq!(all, expected);
    repo.git(&["checkout", "-q", "--detach"]);
    one.say("user", "detached");
    repo.commit("a", "detached");
    let kept = repo.until_kept(5);
    let one = kept.iter().find(|one| said(one) == ["detached"]).unwrap();
    assert_eq!(one["branch"], Value::Null);
}

#[test]
fn each_working_tree_keeps_its_own() {
    let user = User::new();
    let repo = user.repo("shop");
    repo.commit("a", "a");
    repo.tsm(&["capture", "install"]);
    repo.git(&["worktree", "add", "-q", "-b", "linked", "../linked tree"]);
    let linked = Repo { user: &user, dir: user.home().join("linked tree") };
    let library = user.repo("library");
    library.commit("b", "b");
    repo.git(&["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "../library", "vendor"]);
    let module = Repo { user: &user, dir: repo.dir.join("vendor") };
    module.tsm(&["capture", "install"]);
    let all = [("main", &repo), ("linked", &linked), ("module", &module)];
    for (name, tree) in all {
        tree.talk().say("user", name);
    }
    // From a directory below, and from inside of another hook, which has set git's variables.
    fs::create_dir(linked.dir.join("below")).unwrap();
    linked.write("below/x", "x");
    let mut commit = linked.command("sh");
    commit.args([
        "-c",
        "cd below && git add x && GIT_AUTHOR_NAME=Z git commit -q -m x && cd / && git -C \"$0\" status -s",
    ]);
    run({
        commit.arg(&linked.dir);
        commit
    })
    .code(0);
    module.commit("c", "c");
    repo.hook(".git/hooks/post-checkout", "#!/bin/sh\ngit commit -q --allow-empty -m 'from a hook'\n");
    repo.git(&["checkout", "-q", "-b", "other"]);
    for (name, tree) in all {
        let kept = tree.until_kept(1);
        assert_eq!(said(&kept[0]), [name]);
    }
    assert_eq!(linked.until_kept(1)[0]["author"]["name"], "Z");
}

#[test]
fn an_amended_and_a_rebased_commit_keep_their_conversation() {
    let user = User::new();
    let repo = user.repo("shop");
    repo.tsm(&["capture", "install"]);
    repo.commit("base", "base");
    let talk = repo.talk();
    talk.say("user", "write the cart").change("cart");
    repo.commit("cart", "cart");
    repo.until_kept(1);
    // Nothing new was said; the subject is another one, too.
    repo.git(&["commit", "-q", "--amend", "-m", "the cart"]);
    repo.until_kept(1);
    repo.tsm(&["capture", "show", "HEAD"]).says("write the cart");
    // Something was said: both belong to it.
    talk.say("user", "make it green");
    repo.git(&["commit", "-q", "--amend", "-m", "the green cart"]);
    repo.until_kept(2);
    repo.tsm(&["capture", "show", "HEAD"]).says("write the cart").says("make it green");
    repo.tsm(&["capture", "blame", "cart:1"]).says("write the cart");

    // A rebase makes commits of commits: nothing new is kept, and nothing is taken from what is said meanwhile.
    repo.git(&["checkout", "-q", "-b", "side", "HEAD~1"]);
    repo.commit("side", "side");
    repo.git(&["checkout", "-q", "main"]);
    talk.say("user", "not yet committed");
    let before = repo.git(&["rev-parse", "HEAD"]);
    repo.git(&["rebase", "-q", "side"]);
    assert_ne!(repo.git(&["rev-parse", "HEAD"]), before);
    repo.git(&["checkout", "-q", "side"]);
    repo.git(&["cherry-pick", "main"]);
    repo.git(&["checkout", "-q", "main"]);
    repo.until_kept(2);
    repo.tsm(&["capture", "show", "HEAD"]).says("write the cart").says("make it green");
    repo.tsm(&["capture", "blame", "cart:1"]).says("write the cart");
    repo.commit("x", "at last");
    let kept = repo.until_kept(3);
    assert!(kept.iter().any(|one| said(one) == ["not yet committed"]));
    // Another commit of the same second is none of it.
    repo.try_tsm(&["capture", "show", "side~1"]).code(4).complains("no conversation is kept with commit");
}

#[test]
fn commits_with_a_daemon_that_is_up_down_or_killed_keep_theirs() {
    let user = User::new();
    let repo = user.repo("shop");
    repo.tsm(&["capture", "install"]);
    let talk = repo.talk();
    talk.say("user", "down");
    repo.commit("a", "down");
    eventually("it is kept", || repo.noted().is_empty() && repo.kept().len() == 1);
    user.ok(&["daemon", "start"]);
    talk.say("user", "up");
    repo.commit("a", "up");
    eventually("it is kept", || repo.noted().is_empty() && repo.kept().len() == 2);
    let pid = text(&user.tsm_dir().join("daemon/daemon.pid")).trim().parse().unwrap();
    talk.say("user", "killed");
    repo.write("a", "killed");
    kill(pid, "KILL");
    repo.git(&["commit", "-qam", "killed"]);
    eventually("it is kept", || repo.noted().is_empty() && repo.kept().len() == 3);
    let kept = repo.kept();
    for word in ["down", "up", "killed"] {
        let mut with = kept.values().filter(|one| said(one) == [word]);
        assert_eq!(with.next().unwrap()["commit"]["subject"], word);
        assert!(with.next().is_none());
    }
}

#[test]
fn a_worker_that_is_killed_at_any_moment_keeps_everything_once() {
    let user = User::new();
    let repo = user.repo("shop");
    repo.tsm(&["capture", "install"]);
    repo.commit("a", "base");
    eventually("quiet", || user.alive().is_empty());
    let talk = repo.talk();
    let end = Instant::now() + Duration::from_secs(20);
    let mut rounds: u32 = 0;
    let mut killed = 0;
    while rounds < 12 || (killed < 4 && Instant::now() < end) {
        let words = format!("round {rounds}");
        talk.say("user", &words);
        repo.commit("a", &words);
        // Another moment in each round; the worker waits 200 ms before it begins.
        let moment = Instant::now() + Duration::from_millis(u64::from(rounds * 37 % 230) + 60);
        while Instant::now() < moment {
            std::thread::yield_now();
        }
        for (pid, line) in user.alive() {
            if line.contains("capture work") || line.starts_with("git ") {
                kill(pid, "KILL");
                killed += 1;
            }
        }
        rounds += 1;
    }
    eventually("nobody is at it", || user.alive().is_empty());
    assert!(killed > 0, "no worker was hit");
    // The next look does what is left.
    repo.tsm(&["capture", "list"]);
    assert_eq!(repo.noted(), [""; 0]);
    let kept = repo.kept();
    for round in 0..rounds {
        let words = format!("round {round}");
        let with: Vec<&Value> = kept.values().filter(|one| said(one).contains(&words.as_str())).collect();
        assert_eq!(with.len(), 1, "{words}: {kept:#?}");
        assert_eq!(with[0]["commit"]["subject"], words.as_str());
    }
    assert_eq!(kept.len() as u32, rounds);
    let names = fs::read_dir(repo.dir.join(".prompts")).unwrap().flatten();
    assert_eq!(names.count() as u32, rounds, "nothing unfinished is left");
}

#[test]
fn a_commit_does_not_hang_on_the_worker_and_fails_for_nothing() {
    let user = User::new();
    let repo = user.repo("shop");
    repo.tsm(&["capture", "install"]);
    repo.talk().say("user", "x");
    // `cat` ends only when nobody holds its input open.
    let mut piped = repo.command("sh");
    piped.args([
        "-c",
        "git commit -q --allow-empty -m x 2>&1 | cat; exec 9>lock; git commit -q --allow-empty -m y",
    ]);
    let ran = run(piped).code(0);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", ""));
    for (pid, _) in user.alive() {
        let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        let paths: Vec<_> = open.filter_map(|item| fs::read_link(item.path()).ok()).collect();
        assert!(!paths.iter().any(|path| path.ends_with("lock")), "{paths:?}");
    }
    repo.until_kept(1);
    // A directory that is none: the conversation waits.
    fs::rename(repo.dir.join(".prompts"), user.home().join("old")).unwrap();
    fs::write(repo.dir.join(".prompts"), "mine").unwrap();
    repo.talk().say("user", "waits");
    repo.commit("a", "blocked");
    eventually("the worker is done", || user.alive().is_empty());
    assert_eq!(repo.noted().len(), 1);
    repo.try_tsm(&["capture", "list"]).code(6).complains("is not a directory");
    fs::remove_file(repo.dir.join(".prompts")).unwrap();
    repo.tsm(&["capture", "list"]).says("waits");
    assert_eq!(said(&repo.until_kept(1)[0]), ["waits"]);
    // A link would lead what is said elsewhere.
    fs::remove_dir_all(repo.dir.join(".prompts")).unwrap();
    std::os::unix::fs::symlink(user.home().join("old"), repo.dir.join(".prompts")).unwrap();
    repo.talk().say("user", "not there");
    repo.commit("a", "link");
    eventually("the worker is done", || user.alive().is_empty());
    assert_eq!(fs::read_dir(user.home().join("old")).unwrap().count(), 1);
}
