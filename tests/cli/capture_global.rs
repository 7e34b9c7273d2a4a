//! `tsm capture install --global`: every repository is reached, and no hook of any of them is switched off.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use crate::capture_kit::{Repo, is_captured, tree};
use crate::kit::{User, text};

#[test]
fn every_repository_is_reached_and_its_own_hooks_go_on() {
    let user = User::new();
    let repo = user.repo("shop");
    let config = text(&user.home().join(".gitconfig"));
    let hooks =
        ["pre-commit", "prepare-commit-msg", "commit-msg", "post-commit", "post-checkout", "post-rewrite"];
    for name in hooks {
        let script = format!("#!/bin/sh\necho {name} $# >>\"$(git rev-parse --git-common-dir)/ran\"\n");
        repo.hook(&format!(".git/hooks/{name}"), &script);
    }
    let before = tree(&repo.dir.join(".git/hooks"));
    user.ok(&["capture", "install", "--global", "--dry-run"]).says("Would install");
    assert_eq!(text(&user.home().join(".gitconfig")), config);
    user.ok(&["capture", "install", "--global"]).says("core.hooksPath set in").complains("not reached");
    user.ok(&["capture", "install", "--global"]).says("Installed already");
    assert!(is_captured(&repo));
    repo.git(&["commit", "-q", "--amend", "--allow-empty", "-m", "other"]);
    repo.git(&["worktree", "add", "-q", "-b", "linked", "../linked"]);
    let linked = Repo { user: &user, dir: user.home().join("linked") };
    assert!(is_captured(&linked), "in a linked worktree");
    let ran = text(&repo.dir.join(".git/ran"));
    for line in [
        "pre-commit 0",
        "prepare-commit-msg 2",
        "commit-msg 1",
        "post-commit 0",
        "post-checkout 3",
        "post-rewrite 1",
    ] {
        assert!(ran.lines().any(|known| known == line), "{line}: {ran}");
    }
    assert_eq!(ran.matches("post-commit").count(), 3);
    assert_eq!(tree(&repo.dir.join(".git/hooks")), before);
    // One that says no still does, and its input reaches it.
    repo.hook(".git/hooks/pre-push", "#!/bin/sh\ncat >\"$(git rev-parse --git-dir)/pushed\"\nexit 1\n");
    repo.git(&["init", "-q", "--bare", "../remote"]);
    repo.try_git(&["push", "-q", "../remote", "main"]).code(1);
    assert!(text(&repo.dir.join(".git/pushed")).starts_with("refs/heads/main "));
    repo.try_git(&["push", "-q", "--no-verify", "../remote", "main"]).code(0);
    // Here, too, nothing has to be done; and one that has a path of its own needs it.
    repo.tsm(&["capture", "install"]).says("Installed already").complains("for all repositories");
    repo.tsm(&["capture", "uninstall"])
        .says("Not installed")
        .complains("captured all the same")
        .complains("tsm capture uninstall --global");
    let own = user.repo("own");
    own.git(&["config", "core.hooksPath", "hooks"]);
    assert!(!is_captured(&own));
    own.tsm(&["capture", "install"]).says("Installed: ");
    assert!(is_captured(&own));

    user.ok(&["capture", "uninstall", "--global"]).says("Uninstalled");
    assert_eq!(text(&user.home().join(".gitconfig")), config);
    assert!(!user.tsm_dir().join("capture/git-hooks").exists());
    assert!(!is_captured(&repo));
    user.ok(&["capture", "uninstall", "--global"]).says("Not installed");
}

#[test]
fn a_directory_of_hooks_that_the_user_has_keeps_its_place() {
    let user = User::new();
    let repo = user.repo("shop");
    let theirs =
        repo.hook("../my hooks/post-commit", "#!/usr/bin/env python3\nopen('ran', 'a').write('ran\\n')\n");
    let dir = theirs.parent().unwrap().canonicalize().unwrap();
    repo.git(&["config", "--global", "core.hooksPath", "~/my hooks"]);
    let before = (tree(&dir), text(&user.home().join(".gitconfig")));
    user.ok(&["capture", "install", "--global"]).says("my hooks/post-commit").complains("stays so");
    assert!(is_captured(&repo));
    assert_eq!(text(&repo.dir.join("ran")), "ran\n");
    repo.tsm(&["capture", "install"]).says("Installed already");
    user.ok(&["capture", "uninstall", "--global"]);
    assert_eq!((tree(&dir), text(&user.home().join(".gitconfig"))), before);
    // One repository alone is not all of them: the shared directory stays as it is.
    repo.tsm(&["capture", "install"]).says(".git/tsm-hooks");
    assert_eq!(tree(&dir), before.0);
    assert!(is_captured(&repo));
    assert_eq!(text(&repo.dir.join("ran")), "ran\nran\n");
    let other = user.repo("other");
    assert!(!is_captured(&other));
    repo.tsm(&["capture", "uninstall"]);
    assert_eq!(repo.git(&["config", "core.hooksPath"]), "~/my hooks");
}

#[test]
fn without_a_configuration_there_is_none_again() {
    let user = User::new();
    user.ok(&["capture", "install", "--global"]);
    assert!(text(&user.home().join(".gitconfig")).contains("hooksPath"));
    user.ok(&["capture", "uninstall", "--global"]);
    assert!(!user.home().join(".gitconfig").exists());
}

#[test]
fn a_push_to_what_is_checked_out_does_what_git_does() {
    let user = User::new();
    let target = user.repo("target");
    target.commit("a", "one");
    target.git(&["config", "receive.denyCurrentBranch", "updateInstead"]);
    target.git(&["clone", "-q", ".", "../clone"]);
    let clone = Repo { user: &user, dir: user.home().join("clone") };
    let mut answers = Vec::new();
    for round in ["without", "with"] {
        if round == "with" {
            user.ok(&["capture", "install", "--global"]);
        }
        clone.commit("a", round);
        clone.git(&["push", "-q", "origin", "main"]);
        assert_eq!(text(&target.dir.join("a")), format!("{round}\n"));
        assert_eq!(target.git(&["status", "--porcelain"]), "");
        // What is changed there is not overwritten.
        target.write("a", "changed\n");
        clone.commit("a", &format!("{round} too late"));
        let refused = clone.try_git(&["push", "-q", "origin", "main"]);
        assert_eq!(text(&target.dir.join("a")), "changed\n");
        target.git(&["add", "a"]);
        let staged = clone.try_git(&["push", "-q", "origin", "main"]);
        target.git(&["reset", "-q", "--hard"]);
        clone.git(&["push", "-q", "origin", "main"]);
        assert!(refused.stderr.contains("unstaged changes"), "{refused:?}");
        assert!(staged.stderr.contains("staged changes"), "{staged:?}");
        answers.push((refused.code, staged.code));
    }
    assert_eq!(answers[0], answers[1]);
    // A hook of that repository decides instead.
    target.hook(".git/hooks/push-to-checkout", "#!/bin/sh\necho \"mine $1\" >\"$HOME/mine\"\nexit 1\n");
    let commit = clone.commit("a", "mine");
    assert!(clone.try_git(&["push", "-q", "origin", "main"]).code != 0);
    assert_eq!(text(&user.home().join("mine")), format!("mine {commit}\n"));
    // The first commit of all.
    let empty = user.repo("empty");
    empty.git(&["config", "receive.denyCurrentBranch", "updateInstead"]);
    clone.git(&["push", "-q", "../empty", "main"]);
    assert_eq!(text(&empty.dir.join("a")), "mine\n");
}

#[test]
fn every_hook_that_git_knows_has_a_stand_in() {
    let user = User::new();
    let repo = user.repo("shop");
    user.ok(&["capture", "install", "--global"]);
    let dir = user.tsm_dir().join("capture/git-hooks");
    let mut count = 0;
    for item in fs::read_dir(&dir).unwrap().flatten() {
        let name = item.file_name().into_string().unwrap();
        if name == "undo.json" {
            continue;
        }
        count += 1;
        // Each passes on words, input and exit code.
        repo.hook(&format!(".git/hooks/{name}"), &format!("#!/bin/sh\necho \"{name} $1 $(cat)\"\nexit 7\n"));
        let mut run = repo.command(item.path().to_str().unwrap());
        let mut child = run
            .arg("a b")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(b"input").unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{name} a b input\n"));
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(7), &b""[..]), "{name}");
    }
    assert_eq!(count, 28);
}
