//! Conversations of real agents and real commits: each is kept once whatever dies, and no secret of it is ever on the disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::agents_kit::session_id;
use crate::capture_kit::{Repo, now_ms, said, tree};
use crate::kit::{User, eventually, is_alive, kill, text};

/// The hook that was there before counts its runs, and fails, which git ignores for this one.
const HOOK: &str = "#!/bin/sh\necho ran >>\"$HOME/hook-runs\"\nexit 3\n";

/// Secrets: how they are written, and what of them must never be found. Put together here, so that this file has none.
fn secrets() -> Vec<(String, Vec<String>)> {
    let body = [
        "MIIEpAIBAAKCAQEA7bq98fYJ2mZk4Xw",
        "Q3sT6vB8nD1gH5jK0lP9oR2uY7iE4aC",
        "xV6zM3wF8qS1tG5yN0bL2kJ7hU4pO9",
    ];
    let fence = |word: &str| ["-----", word, " RSA PRIVATE", " KEY-----"].concat();
    let key = format!("{}\n{}\n{}", fence("BEGIN"), body.join("\n"), fence("END"));
    let token = ["ghp_", "aB3dE5fG7hI9jK1lM3nO5pQ7rS9tU1vW3xY5"].concat();
    let aws = ["AKIA", "QX3T7BN5LW2RZ6VD"].concat();
    let jwt = [
        "eyJhbGciOiJIUzI1NiJ9",
        ".eyJzdWIiOiIxMjM0NTY3ODkwIn0",
        ".dBjftJeZ4CVPmB92K27uhbUJU1p1rwW1gFWFOEjXk",
    ]
    .concat();
    let one = |written: String, part: &str| (written, vec![part.to_owned()]);
    vec![
        (key, body.map(str::to_owned).to_vec()),
        one(token.clone(), &token),
        one(aws.clone(), &aws),
        one("DATABASE_PASSWORD=Tr0ub4dor-xyzzy".into(), "Tr0ub4dor-xyzzy"),
        one("postgres://shop:plugh-42-hollow@db.example.org/shop".into(), "plugh-42-hollow"),
        one("{\"api_key\": \"zx81-quux-19-frotz\"}".into(), "zx81-quux-19-frotz"),
        one(jwt.clone(), jwt.rsplit('.').next().unwrap()),
    ]
}

/// Every secret in one text.
fn all_secrets() -> String {
    secrets().into_iter().map(|(written, _)| format!("this: {written}")).collect::<Vec<_>>().join("\n") + "\n"
}

/// The files below these directories that have any part of a secret, and the processes that show one.
fn leaks(user: &User, dirs: &[PathBuf]) -> Vec<String> {
    let parts: Vec<String> = secrets().into_iter().flat_map(|(_, parts)| parts).collect();
    let has = |bytes: &[u8]| {
        parts.iter().find(|part| bytes.windows(part.len()).any(|window| window == part.as_bytes()))
    };
    let mut found = Vec::new();
    let mut rest = dirs.to_vec();
    while let Some(dir) = rest.pop() {
        for item in fs::read_dir(&dir).into_iter().flatten().flatten() {
            let path = item.path();
            if path.is_dir() {
                rest.push(path);
            } else if let Some(part) = fs::read(&path).ok().as_deref().and_then(has) {
                found.push(format!("{part} in {}", path.display()));
            }
        }
    }
    let all = user.alive().into_iter().filter(|(_, line)| line.contains("capture"));
    found.extend(all.filter_map(|(_, line)| has(line.as_bytes()).map(|part| format!("{part} in {line}"))));
    found
}

/// Does `work` while the disk is looked at all the time, and so at what is there for a moment only, too.
#[track_caller]
fn watched(user: &User, dirs: &[PathBuf], work: impl FnOnce()) {
    let (stop, looks) = (AtomicBool::new(false), AtomicUsize::new(0));
    let found = std::thread::scope(|scope| {
        let looker = scope.spawn(|| {
            let mut found = Vec::new();
            while !stop.load(Ordering::Acquire) && found.is_empty() {
                found = leaks(user, dirs);
                looks.fetch_add(1, Ordering::AcqRel);
            }
            found
        });
        eventually("it looks", || looks.load(Ordering::Acquire) > 0);
        work();
        stop.store(true, Ordering::Release);
        looker.join().unwrap()
    });
    assert_eq!(found, [""; 0]);
    assert_eq!(leaks(user, dirs), [""; 0]);
}

/// What a client says over the daemon's socket.
fn by_api(user: &User, repo: &Repo<'_>, text: &str) {
    let mut api = user.api();
    let params = json!({"tool": "cursor", "metadata": {"cwd": repo.dir, "note": text}});
    let id = api.call("createSession", &params).unwrap()["sessionId"].take();
    for role in ["user", "assistant"] {
        api.call("addMessage", &json!({"sessionId": id, "role": role, "content": text})).unwrap();
    }
    let change = json!({"sessionId": id, "filePath": "a.rs", "beforeContent": text, "afterContent": text});
    assert_eq!(api.call("addCodeChange", &change).unwrap()["stored"], true);
}

#[test]
fn no_secret_is_ever_on_the_disk_whoever_says_it_and_wherever_it_stands() {
    let user = User::new();
    let repo = user.repo("shop");
    user.file(".config/tsm/capture.toml", "contents = true\n");
    repo.hook(".git/hooks/post-commit", HOOK);
    repo.tsm(&["capture", "install"]);
    let secret = all_secrets();
    let dirs = [user.tsm_dir(), repo.dir.join(".prompts")];
    let mut transcript = user.transcript(&repo.dir, &session_id());
    let commit = |name: &str| {
        // Each of those that a line can have, in the subject; in the names what they may have.
        let lines: Vec<String> =
            secrets().into_iter().map(|(one, _)| one).filter(|one| !one.contains('\n')).collect();
        let (token, aws) = (&lines[0], &lines[1]);
        repo.git(&["checkout", "-q", "-b", &format!("{name}-{token}")]);
        repo.git(&["config", "user.name", &format!("Ann {token}")]);
        repo.git(&["config", "user.email", &format!("{aws}@example.org")]);
        repo.commit("a.rs", &format!("{name}: {}", lines.join(" ")))
    };
    for (round, is_up) in [(1, false), (2, true)] {
        watched(&user, &dirs, || {
            if is_up {
                user.daemon();
                by_api(&user, &repo, &secret);
            }
            transcript.prompt(&secret).says(&secret, None);
            let file = repo.dir.join("a.rs");
            let edit = json!({"file_path": file, "old_string": secret, "new_string": secret});
            transcript
                .tool_use(&format!("e{round}"), "Edit", &edit)
                .tool_result(&format!("e{round}"), &secret);
            let write = json!({"file_path": file, "content": secret});
            transcript.tool_use(&format!("w{round}"), "Write", &write);
            repo.tsm(&["capture", "list"]);
            // Something in the way: journal and note stay for a while.
            let prompts = repo.dir.join(".prompts");
            let aside = user.home().join("aside");
            if prompts.exists() {
                fs::rename(&prompts, &aside).unwrap();
            }
            fs::write(&prompts, "in the way").unwrap();
            commit(&format!("round{round}"));
            eventually("the worker is done", || {
                !user.alive().iter().any(|(_, line)| line.contains("capture work"))
            });
            assert_eq!(repo.noted().len(), 1);
            assert_eq!(leaks(&user, &dirs), [""; 0]);
            fs::remove_file(&prompts).unwrap();
            if aside.exists() {
                fs::rename(&aside, &prompts).unwrap();
            }
            eventually("it is kept", || {
                repo.tsm(&["capture", "list"]);
                repo.noted().is_empty()
            });
        });
    }
    let kept = repo.kept();
    assert_eq!(kept.len(), 3, "{kept:#?}");
    for record in kept.values() {
        assert_eq!(said(record).len(), 2, "{record:#?}");
        assert!(record["masked"].as_u64().unwrap() >= 14, "{record:#?}");
        assert!(record["author"]["name"].as_str().unwrap().starts_with("Ann [masked: "), "{record:#?}");
        assert!(record["branch"].as_str().unwrap().contains("-[masked: "), "{record:#?}");
    }
    // The masked subject still finds the commit that a rebase has made of this one.
    repo.git(&["checkout", "-q", "-b", "side", "HEAD~1"]);
    repo.commit("b.rs", "side");
    repo.git(&["checkout", "-q", "-"]);
    let before = repo.git(&["rev-parse", "HEAD"]);
    repo.git(&["rebase", "-q", "side"]);
    assert_ne!(repo.git(&["rev-parse", "HEAD"]), before);
    repo.tsm(&["capture", "show", "HEAD"]).says("DATABASE_PASSWORD=[masked: ");
}

#[test]
fn beside_an_older_hook_each_commit_keeps_each_conversation_once_whatever_dies() {
    let user = User::new();
    let repo = user.repo("shop");
    repo.hook(".git/hooks/post-commit", HOOK);
    repo.tsm(&["capture", "install"]);
    let talk = repo.talk();
    let mut transcript = user.transcript(&repo.dir, &session_id());
    let mut rounds = Vec::new();
    for name in ["down", "up", "killed before", "killed behind", "killed with its worker", "up again"] {
        let daemon = (name != "down").then(|| user.daemon());
        let end = |pid: i32| {
            kill(pid, "KILL");
            eventually("it is dead", || !is_alive(pid));
        };
        transcript.prompt(&format!("{name} to claude"));
        talk.say("user", &format!("{name} to cursor"));
        if let Some(pid) = daemon.filter(|_| name == "killed before") {
            end(pid);
        }
        repo.commit("a", name);
        if let Some(pid) = daemon.filter(|_| name.starts_with("killed") && name != "killed before") {
            end(pid);
        }
        if name == "killed with its worker" {
            for (pid, _) in user.alive().iter().filter(|(_, line)| line.contains("capture work")) {
                end(*pid);
            }
        }
        rounds.push(name);
    }
    eventually("everything is kept", || {
        let _ = repo.try_tsm(&["capture", "list"]);
        repo.noted().is_empty() && !user.alive().iter().any(|(_, line)| line.contains("capture work"))
    });
    let kept = repo.kept();
    for name in &rounds {
        for text in [format!("{name} to claude"), format!("{name} to cursor")] {
            let with: Vec<&Value> = kept.values().filter(|one| said(one).contains(&text.as_str())).collect();
            assert_eq!(with.len(), 1, "{text}: {kept:#?}");
            assert_eq!(with[0]["commit"]["subject"], **name, "{text}");
            assert_eq!(said(with[0]), [text.as_str()]);
        }
    }
    assert_eq!(kept.len(), rounds.len() * 2);
    assert_eq!(text(&user.home().join("hook-runs")).lines().count(), rounds.len());
}

#[test]
fn what_cannot_be_noted_is_kept_all_the_same_and_the_commit_goes_through() {
    let user = User::new();
    let repo = user.repo("shop");
    repo.tsm(&["capture", "install"]);
    repo.talk().say("user", "no place for a note");
    // A file where the directory of the notes belongs: what a full disk does to it, too.
    fs::write(user.tsm_dir().join("capture/pending"), "").unwrap();
    let ran = repo.try_git(&["commit", "-q", "--allow-empty", "-m", "x"]).code(0);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", ""));
    assert_eq!(said(&repo.until_kept(1)[0]), ["no place for a note"]);
}

#[test]
fn a_commit_of_another_user_leaves_nothing_in_the_owners_way() {
    let user = User::new();
    let repo = user.repo("shop");
    repo.tsm(&["capture", "install"]);
    repo.talk().say("user", "mine");
    let dir = user.tsm_dir();
    if std::os::unix::fs::chown(&dir, Some(65_534), None).is_err() {
        // Who is not root cannot give a directory away, and could not write in that of another user.
        return crate::kit::say("!!! NOT CHECKED: a commit by root in the name of another user");
    }
    let before = tree(&dir);
    repo.commit("a", "by root");
    eventually("nobody is at it", || user.alive().is_empty());
    assert!(repo.kept().is_empty() && tree(&dir) == before);
    std::os::unix::fs::chown(&dir, Some(0), None).unwrap();
    repo.commit("a", "by its owner");
    assert_eq!(said(&repo.until_kept(1)[0]), ["mine"]);
}

#[test]
fn a_repository_whose_references_are_in_another_form_is_captured_with_its_branch() {
    let user = User::new();
    let repo = user.repo("shop");
    fs::remove_dir_all(repo.dir.join(".git")).unwrap();
    if repo.try_git(&["init", "-q", "--ref-format=reftable"]).code != 0 {
        // This git is older than the form (2.45).
        repo.git(&["init", "-q"]);
    }
    repo.tsm(&["capture", "install"]);
    let talk = repo.talk();
    talk.say("user", "on a branch");
    let sha = repo.commit("a", "first");
    let kept = repo.until_kept(1);
    assert_eq!((&kept[0]["commit"]["sha"], &kept[0]["branch"]), (&sha.as_str().into(), &"main".into()));
    repo.git(&["checkout", "-q", "--detach"]);
    talk.say("user", "on none");
    repo.commit("a", "second");
    let kept = repo.until_kept(2);
    let second = kept.iter().find(|one| one["commit"]["subject"] == "second").unwrap();
    assert_eq!(second["branch"], Value::Null);
}

/// What each commit keeps: its subject, and what was said, whoever it was said to.
fn by_subject(kept: &[Value]) -> Vec<(String, Vec<String>)> {
    let mut all: Vec<(String, Vec<String>)> = kept
        .iter()
        .map(|one| {
            let texts = said(one).into_iter().map(str::to_owned).collect();
            (one["commit"]["subject"].as_str().unwrap().to_owned(), texts)
        })
        .collect();
    all.sort();
    all
}

fn want(all: &[(&str, &[&str])]) -> Vec<(String, Vec<String>)> {
    let words = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    all.iter().map(|(subject, texts)| ((*subject).to_owned(), words(texts))).collect()
}

#[test]
fn a_conversation_that_was_cleared_or_resumed_or_began_before_says_nothing_twice() {
    let user = User::new();
    let repo = user.repo("shop");
    let ids = [session_id(), session_id(), session_id()];
    let mut first = user.transcript(&repo.dir, &ids[0]);
    first.ago(60).prompt("before the installation").says("yes", Some("end_turn"));
    repo.tsm(&["capture", "install"]);
    let date = |at: u64| chrono::DateTime::from_timestamp_millis(at as i64).unwrap().to_rfc3339();
    let typed = |text: &str| json!({"type": "user", "timestamp": date(now_ms()), "message": {"role": "user", "content": text}});
    first.record(typed("after it"));
    repo.commit("a", "one");
    repo.until_kept(1);
    // `/clear`: the same process goes on in another file.
    let mut second = user.transcript(&repo.dir, &ids[1]);
    second.prompt("<command-name>/clear</command-name>").prompt("cleared");
    repo.commit("a", "two");
    repo.until_kept(2);
    // Resumed: the same file goes on, or another one begins with a copy of it.
    first.record(typed("taken up again"));
    let mut third = user.transcript(&repo.dir, &ids[2]);
    third.raw(&text(&second.path)).prompt("resumed in another file");
    // As a fork does it: the copies say that they are of the new conversation, and what they are copies of.
    let forked = session_id();
    let mut fork = user.transcript(&repo.dir, &forked);
    for line in text(&second.path).lines() {
        let mut record: Value = serde_json::from_str(line).unwrap();
        record["forkedFrom"] = json!({"sessionId": ids[1], "messageUuid": record["uuid"]});
        record["sessionId"] = forked.as_str().into();
        fork.raw(&format!("{record}\n"));
    }
    fork.prompt("forked");
    repo.commit("a", "three");
    let kept = repo.until_kept(5);
    let expected = want(&[
        ("one", &["after it"]),
        ("three", &["forked"]),
        ("three", &["resumed in another file"]),
        ("three", &["taken up again"]),
        ("two", &["cleared"]),
    ]);
    assert_eq!(by_subject(&kept), expected);
}

#[test]
fn an_agent_that_works_in_a_second_working_tree_is_kept_there() {
    let user = User::new();
    let repo = user.repo("shop");
    repo.commit("a", "base");
    repo.tsm(&["capture", "install"]);
    repo.git(&["worktree", "add", "-q", "-b", "fix", ".worktrees/fix"]);
    let linked = Repo { user: &user, dir: repo.dir.join(".worktrees/fix") };
    // Started at the top, it goes into the other tree.
    let mut transcript = user.transcript(&repo.dir, &session_id());
    transcript.prompt("at the top");
    transcript.record(
        json!({"type": "user", "cwd": linked.dir, "message": {"role": "user", "content": "in the other"}}),
    );
    user.transcript(&linked.dir, &session_id()).prompt("started there");
    linked.commit("b", "linked");
    let kept = linked.until_kept(2);
    assert_eq!(by_subject(&kept), want(&[("linked", &["in the other"]), ("linked", &["started there"])]));
    repo.commit("c", "top");
    assert_eq!(by_subject(&repo.until_kept(1)), want(&[("top", &["at the top"])]));
}

/// The change of a file by an agent.
fn write(path: &Path) -> Value {
    json!({"file_path": path, "content": "x"})
}

#[test]
fn an_agent_that_was_started_above_the_repository_is_found_by_the_files_that_it_changes() {
    let user = User::new();
    let (shop, other) = (user.repo("work/shop"), user.repo("work/other"));
    for repo in [&shop, &other] {
        repo.tsm(&["capture", "install"]);
    }
    let above = user.home().join("work");
    let mut transcript = user.transcript(&above, &session_id());
    transcript.prompt("what is here?").says("two repositories", Some("end_turn"));
    transcript.prompt("fix the shop").says("I look at it", None);
    // Looked at in the middle of the turn, when nobody can know yet.
    shop.tsm(&["capture", "list"]);
    transcript.tool_use("t1", "Write", &write(&shop.dir.join("a.rs"))).says("done", Some("end_turn"));
    transcript.prompt("now the other").tool_use("t2", "Write", &write(&other.dir.join("b.rs")));
    shop.commit("a.rs", "shop");
    other.commit("b.rs", "other");
    let kept = shop.until_kept(1);
    assert_eq!(by_subject(&kept), want(&[("shop", &["fix the shop", "I look at it", "done"])]));
    assert_eq!(kept[0]["files"]["session"][0]["path"], "a.rs");
    assert_eq!(by_subject(&other.until_kept(1)), want(&[("other", &["now the other"])]));
    // It goes on, in a turn of which a part was kept.
    transcript.says("written", Some("end_turn")).prompt("and the shop again");
    transcript.tool_use("t3", "Write", &write(&shop.dir.join("c.rs")));
    shop.commit("c.rs", "again");
    let kept = shop.until_kept(2);
    let expected =
        want(&[("again", &["and the shop again"]), ("shop", &["fix the shop", "I look at it", "done"])]);
    assert_eq!(by_subject(&kept), expected);
    // The rest of a turn belongs to where it has begun.
    other.commit("b.rs", "rest");
    let kept = other.until_kept(2);
    assert_eq!(by_subject(&kept)[1], want(&[("rest", &["written"])])[0]);
    // By its own words, where no file is named by a tool.
    transcript.prompt("nothing is changed");
    let mut cd = transcript.prompt("go into it");
    cd = cd.record(json!({"type": "assistant", "cwd": shop.dir, "message": {"id": "m", "content": [{"type": "text", "text": "there"}]}}));
    cd.prompt("end");
    shop.commit("d", "inside");
    let kept = shop.until_kept(3);
    let inside = by_subject(&kept).into_iter().find(|(subject, _)| subject == "inside").unwrap();
    assert_eq!(inside.1[..2], ["go into it", "there"]);
}
