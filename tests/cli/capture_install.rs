//! `tsm capture install` and `uninstall`: hooks of others are run as before, and are there again as they were.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use crate::capture_kit::{Repo, is_captured, tree};
use crate::kit::{User, eventually, text};

#[test]
fn without_a_hook_there_is_a_file_of_ours_once() {
    let user = User::new();
    let repo = user.repo("it's a \"shop\"");
    let hooks = repo.dir.join(".git/hooks");
    let before = tree(&repo.dir);
    repo.tsm(&["capture", "install", "--dry-run"]).says("Would install: ");
    assert_eq!(tree(&repo.dir), before);

    let ran = repo.tsm(&["capture", "install"]).says("Installed: ").says("a new file");
    ran.complains(".prompts/");
    let hook = text(&hooks.join("post-commit"));
    assert!(is_captured(&repo));
    repo.tsm(&["capture", "install"]).says("Installed already: ");
    assert_eq!(text(&hooks.join("post-commit")), hook);
    let shown = repo.json(&["capture", "install"]);
    assert_eq!((&shown["installed"], &shown["changed"]), (&true.into(), &false.into()), "{shown}");
    let note: serde_json::Value =
        serde_json::from_str(&text(&user.tsm_dir().join("capture/installed.json"))).unwrap();
    assert_eq!(note["repositories"][0]["root"], repo.dir.to_str().unwrap());
    assert!(note["repositories"][0]["time_ms"].as_u64().unwrap() > 1_600_000_000_000);

    repo.tsm(&["capture", "uninstall", "--dry-run"]).says("Would uninstall: ");
    repo.tsm(&["capture", "uninstall"]).says("Uninstalled: ");
    assert!(!hooks.join("post-commit").exists());
    assert!(!is_captured(&repo));
    repo.tsm(&["capture", "uninstall"]).says("Not installed");
    assert_eq!(repo.json(&["capture", "uninstall"])["installed"], false);
}

#[test]
fn a_hook_that_is_there_is_run_as_before_and_comes_back_to_the_byte() {
    for (name, script, way) in [
        ("sh", "#!/bin/sh\necho \"$0 $#\" >>\"$PWD/ran\"", "line"),
        (
            "fails",
            "#!/usr/bin/env bash\nset -euo pipefail\necho \"$0 $#\" >>\"$PWD/ran\"\nexit 3\necho never\n",
            "line",
        ),
        ("exec", "#!/bin/bash -e\nexec sh -c 'echo \"$0 $#\" >>ran' \"$0\"\n", "line"),
        (
            "python",
            "#!/usr/bin/env python3\nimport sys\nopen('ran', 'a').write(f'{sys.argv[0]} {len(sys.argv) - 1}\\n')\nsys.exit(4)",
            "beside",
        ),
        ("plain", "echo \"$0 $#\" >>ran\n", "beside"),
    ] {
        let user = User::new();
        let repo = user.repo("shop");
        let hook = repo.hook(".git/hooks/post-commit", script);
        fs::set_permissions(&hook, fs::Permissions::from_mode(0o750)).unwrap();
        let before = tree(&repo.dir.join(".git/hooks"));
        let shown = repo.json(&["capture", "install"]);
        assert_eq!(shown["way"], way, "{name}");
        repo.tsm(&["capture", "install"]).says("Installed already");
        assert!(is_captured(&repo), "{name}");
        let ran = text(&repo.dir.join("ran"));
        assert_eq!(ran.lines().count(), 1, "{name}: {ran:?}");
        assert!(ran.ends_with(" 0\n"), "{name}: {ran:?}");
        repo.tsm(&["capture", "uninstall"]);
        assert_eq!(tree(&repo.dir.join(".git/hooks")), before, "{name}");
        repo.commit("again", "again");
        assert_eq!(text(&repo.dir.join("ran")).lines().count(), 2, "{name}");
    }
}

#[test]
fn its_own_exit_code_and_what_it_says_are_what_git_gets() {
    let user = User::new();
    for script in
        ["#!/bin/sh\necho said >&2\nexit 3\n", "#!/usr/bin/env python3\nimport sys\nsys.exit('said')\n"]
    {
        let repo = user.repo(&format!("shop-{}", script.len()));
        repo.hook(".git/hooks/post-commit", script);
        let code = |repo: &Repo<'_>| repo.try_git(&["hook", "run", "post-commit"]);
        let before = code(&repo);
        assert!(before.code != 0 && before.stderr.contains("said"), "{before:?}");
        repo.tsm(&["capture", "install"]);
        let now = code(&repo);
        assert_eq!((before.code, &before.stdout, &before.stderr), (now.code, &now.stdout, &now.stderr));
    }
}

#[test]
fn a_link_and_a_hook_that_is_switched_off_stay_what_they_are() {
    let user = User::new();
    let repo = user.repo("shop");
    let script = repo.hook("tools/hook", "#!/bin/sh\necho ran >>ran\n");
    symlink("../../tools/hook", repo.dir.join(".git/hooks/post-commit")).unwrap();
    let before = (tree(&repo.dir.join(".git/hooks")), text(&script));
    repo.tsm(&["capture", "install"]).complains("post-commit.before-tsm");
    assert!(is_captured(&repo));
    assert_eq!(text(&repo.dir.join("ran")), "ran\n");
    repo.tsm(&["capture", "uninstall"]);
    assert_eq!((tree(&repo.dir.join(".git/hooks")), text(&script)), before);

    let repo = user.repo("off");
    let hook = repo.hook(".git/hooks/post-commit", "#!/bin/sh\necho ran >>ran\n");
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o644)).unwrap();
    let before = tree(&repo.dir.join(".git/hooks"));
    repo.tsm(&["capture", "install"]);
    assert!(is_captured(&repo));
    assert!(!repo.dir.join("ran").exists(), "it was switched off");
    repo.tsm(&["capture", "uninstall"]);
    assert_eq!(tree(&repo.dir.join(".git/hooks")), before);
}

#[test]
fn what_somebody_wrote_into_our_hook_is_not_thrown_away() {
    let user = User::new();
    let repo = user.repo("shop");
    repo.tsm(&["capture", "install"]);
    let hook = repo.dir.join(".git/hooks/post-commit");
    let edited = text(&hook).replace("exit \"$code\"", "echo mine >>ran\nexit \"$code\"");
    fs::write(&hook, &edited).unwrap();
    repo.try_tsm(&["capture", "uninstall"]).code(6).complains("has changed").complains("edit ");
    assert_eq!(text(&hook), edited);

    // In a script with our line, what was written beside it stays.
    let repo = user.repo("line");
    let hook = repo.hook(".git/hooks/post-commit", "#!/bin/sh\necho one >>ran\n");
    repo.tsm(&["capture", "install"]);
    fs::write(&hook, format!("{}echo two >>ran\n", text(&hook))).unwrap();
    repo.tsm(&["capture", "uninstall"]);
    assert_eq!(text(&hook), "#!/bin/sh\necho one >>ran\necho two >>ran\n");
}

#[test]
fn hooks_that_are_files_of_the_working_tree_are_not_touched() {
    let user = User::new();
    for (name, hooks) in [("husky", ".husky"), ("absolute", "tools/git hooks")] {
        let repo = user.repo(name);
        repo.hook(&format!("{hooks}/post-commit"), "#!/bin/sh\necho \"$0\" >>ran\n");
        repo.hook(&format!("{hooks}/pre-commit"), "#!/bin/sh\necho \"$0\" >>ran\n[ ! -e stop ]\n");
        repo.hook(&format!("{hooks}/commit-msg"), "#!/bin/sh\necho checked >>\"$1\"\n");
        repo.write(".gitignore", "ran\nstop\n");
        let set = if name == "husky" { hooks.to_owned() } else { repo.dir.join(hooks).display().to_string() };
        repo.git(&["config", "core.hooksPath", &set]);
        repo.git(&["add", "."]);
        repo.git(&["commit", "-q", "-m", "all"]);
        fs::remove_file(repo.dir.join("ran")).unwrap();
        let config = text(&repo.dir.join(".git/config"));
        let before = tree(&repo.dir.join(hooks));

        repo.tsm(&["capture", "install"]).says("core.hooksPath set in ").complains("husky");
        assert_eq!(tree(&repo.dir.join(hooks)), before);
        assert_eq!(repo.git(&["status", "--porcelain"]), "", "the tree is clean");
        assert!(is_captured(&repo));
        let ran = text(&repo.dir.join("ran"));
        assert!(
            ran.contains(&format!("{hooks}/pre-commit\n")) && ran.contains(&format!("{hooks}/post-commit\n"))
        );
        assert!(
            repo.git(&["log", "-1", "--format=%B"]).contains("checked"),
            "the words of a hook are passed on"
        );
        repo.write("stop", "");
        repo.write("x", "x");
        repo.git(&["add", "x"]);
        repo.try_git(&["commit", "-q", "-m", "x"]).code(1);
        repo.tsm(&["capture", "install"]).says("Installed already");

        repo.tsm(&["capture", "uninstall"]);
        assert_eq!(text(&repo.dir.join(".git/config")), config);
        assert!(!repo.dir.join(".git/tsm-hooks").exists());
    }
}

#[test]
fn a_directory_of_hooks_that_is_a_link_is_not_written_to() {
    let user = User::new();
    let repo = user.repo("shop");
    repo.hook("hooks/pre-commit", "#!/bin/sh\necho ran >>ran\n");
    fs::remove_dir_all(repo.dir.join(".git/hooks")).unwrap();
    symlink("../hooks", repo.dir.join(".git/hooks")).unwrap();
    let before = tree(&repo.dir.join("hooks"));
    let config = text(&repo.dir.join(".git/config"));
    repo.tsm(&["capture", "install"]);
    assert_eq!(tree(&repo.dir.join("hooks")), before);
    assert!(is_captured(&repo));
    assert_eq!(text(&repo.dir.join("ran")), "ran\n");
    repo.tsm(&["capture", "uninstall"]);
    assert_eq!(text(&repo.dir.join(".git/config")), config);
}

#[test]
fn what_has_changed_the_path_since_is_left_alone() {
    let user = User::new();
    let repo = user.repo("shop");
    repo.git(&["config", "core.hooksPath", ".husky/_"]);
    repo.tsm(&["capture", "install"]);
    repo.git(&["config", "core.hooksPath", "elsewhere"]);
    repo.tsm(&["capture", "uninstall"]).complains("was changed since");
    assert_eq!(repo.git(&["config", "core.hooksPath"]), "elsewhere");
    assert!(!repo.dir.join(".git/tsm-hooks").exists());
}

#[test]
fn a_linked_worktree_shares_the_hook_and_a_submodule_has_its_own() {
    let user = User::new();
    let repo = user.repo("shop");
    repo.commit("a", "a");
    repo.git(&["worktree", "add", "-q", "-b", "linked", "../linked tree"]);
    let linked = Repo { user: &user, dir: user.home().join("linked tree") };
    linked.tsm(&["capture", "install"]).says("shop/.git/hooks/post-commit");
    assert!(is_captured(&repo) && is_captured(&linked));
    repo.tsm(&["capture", "uninstall"]).says("Uninstalled");
    assert!(!is_captured(&linked));

    let library = user.repo("library");
    library.commit("b", "b");
    repo.git(&["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "../library", "vendor"]);
    let module = Repo { user: &user, dir: repo.dir.join("vendor") };
    module.tsm(&["capture", "install"]).says("modules/vendor/hooks/post-commit");
    assert!(is_captured(&module) && !is_captured(&repo));
}

#[test]
fn where_nothing_can_be_committed_it_says_so() {
    let user = User::new();
    let repo = user.repo("shop");
    fs::create_dir(user.home().join("plain")).unwrap();
    let plain = Repo { user: &user, dir: user.home().join("plain") };
    plain
        .try_tsm(&["capture", "install"])
        .code(4)
        .complains("is not in a git repository")
        .complains("git init");
    plain.try_tsm(&["capture", "uninstall"]).code(4);
    repo.git(&["init", "-q", "--bare", "../bare"]);
    let bare = Repo { user: &user, dir: user.home().join("bare") };
    bare.try_tsm(&["capture", "install"]).code(4).complains("bare repository");
    let inside = Repo { user: &user, dir: repo.dir.join(".git") };
    inside.try_tsm(&["capture", "install"]).code(4).complains("no working tree");
}

#[test]
fn a_hook_whose_program_or_state_is_gone_keeps_no_commit() {
    let user = User::new();
    let repo = user.repo("shop");
    let copy = user.home().join("tsm-copy");
    fs::copy(env!("CARGO_BIN_EXE_tsm"), &copy).unwrap();
    let mut install = repo.command("sh");
    install.args(["-c", "\"$0\" capture install"]).arg(&copy);
    crate::kit::run(install).code(0);
    assert!(is_captured(&repo));
    fs::remove_file(&copy).unwrap();
    let mut commit = repo.command("git");
    commit.args(["commit", "-q", "--allow-empty", "-m", "without"]);
    let ran = crate::kit::run(commit).code(0);
    assert_eq!((ran.stdout, ran.stderr), (String::new(), String::new()));
    // As does one that cannot be written to, and one that is a file.
    repo.tsm(&["capture", "install"]).says("Installed: ");
    fs::remove_dir_all(user.tsm_dir()).unwrap();
    fs::write(user.tsm_dir(), "").unwrap();
    let ran = repo.try_git(&["commit", "-q", "--allow-empty", "-m", "without"]).code(0);
    assert_eq!((ran.stdout, ran.stderr), (String::new(), String::new()));
    fs::remove_file(user.tsm_dir()).unwrap();
    eventually("the worker has ended", || user.alive().is_empty());
}
