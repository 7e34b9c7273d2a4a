//! `install.sh`, run by real bash with a cargo that copies the binary under test.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::checkout::{Checkout, copy, show};

/// A rustup that has the static target, or can get no target, and a cargo that "builds" and notes how it was called.
fn checkout(has_static_target: bool) -> Checkout {
    let checkout = Checkout::unbuilt();
    checkout.program("bin/uname", "case $1 in -s) echo Linux ;; *) echo x86_64 ;; esac");
    let target = "echo \"$(uname -m)-unknown-linux-musl\"";
    checkout.program("bin/rustup", if has_static_target { target } else { "exit 1" });
    checkout.program("bin/rustc", "printf 'host: %s\\n' \"$(uname -m)-own-target\"");
    checkout.program(
        "bin/cargo",
        &format!(
            "[ \"$1\" != --version ] || exit 0\n\
             echo \"$PWD $*\" >\"$HOME/../cargo.log\"\n\
             while [ $# -gt 0 ]; do case $1 in --target) target=$2 ;; --target-dir) dir=$2 ;; esac; shift; done\n\
             mkdir -p \"$dir/$target/release\"\n\
             cp '{}' \"$dir/$target/release/tsm\"",
            env!("CARGO_BIN_EXE_tsm")
        ),
    );
    checkout
}

fn install(checkout: &Checkout, arguments: &[&str]) -> Output {
    checkout.command(checkout.path("co/install.sh")).args(arguments).output().unwrap()
}

/// What a run that must succeed prints.
fn installed(checkout: &Checkout, arguments: &[&str]) -> String {
    let output = install(checkout, arguments);
    assert!(output.status.success() && output.stderr.is_empty(), "{arguments:?}\n{}", show(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// Every path below `dir`, with a hash of the files' content.
fn tree(dir: &Path) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    let mut todo = vec![dir.to_path_buf()];
    while let Some(at) = todo.pop() {
        for entry in fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                found.insert(name + "/", 0);
                todo.push(path);
            } else {
                let mut hasher = DefaultHasher::new();
                fs::read(path).unwrap().hash(&mut hasher);
                found.insert(name, hasher.finish());
            }
        }
    }
    found
}

#[test]
fn it_installs_the_binary_and_its_files_under_the_prefix_and_again() {
    let checkout = checkout(true);
    checkout.program("co/services-available/example.tsm", "SERVICE_NAME=example");
    checkout.program("co/patterns.txt", "# patterns");
    let said = installed(&checkout, &[]);
    assert!(said.contains("Building for x86_64-unknown-linux-musl (static)\n"), "{said}");
    let prefix = checkout.path("home/.local");
    let first = tree(&prefix);
    for name in [
        "bin/tsm",
        "share/tsm/shell/tsm.sh",
        "share/tsm/includes.sh",
        "share/tsm/patterns.txt",
        "share/tsm/services-available/example.tsm",
        "share/tsm/shell/completions/tsm.bash",
        "share/bash-completion/completions/tsm",
        "share/zsh/site-functions/_tsm",
        "share/fish/vendor_completions.d/tsm.fish",
        "share/man/man1/tsm.1",
        "share/man/man1/tsm-start.1",
    ] {
        assert!(first.contains_key(name), "{name} is not in {:?}", first.keys());
    }
    assert_eq!(fs::metadata(prefix.join("bin/tsm")).unwrap().mode() & 0o7777, 0o755);

    // The installed shell layer runs the installed binary, the checkout's runs the build.
    fs::remove_file(checkout.path("co/target/release/tsm")).unwrap();
    checkout.echo("home/.local/bin/tsm", "installed");
    for file in ["shell/tsm.sh", "includes.sh"] {
        assert_eq!(
            checkout.answer(&format!("source ~/.local/share/tsm/{file}; tsm a || :; echo \"$TSM_SRC\"")),
            format!("installed:<a>\n{}/share/tsm\n", prefix.display())
        );
    }
    installed(&checkout, &[]);
    assert!(checkout.path("co/target/release/tsm").exists());
    assert_eq!(tree(&prefix), first);

    // What a later version does not have any more goes.
    fs::remove_file(checkout.path("co/services-available/example.tsm")).unwrap();
    installed(&checkout, &[]);
    assert!(!prefix.join("share/tsm/services-available/example.tsm").exists());
}

#[test]
fn it_replaces_a_binary_that_runs() {
    let checkout = checkout(true);
    installed(&checkout, &[]);
    let binary = checkout.path("home/.local/bin/tsm");
    copy(&which::which("bash").unwrap(), &binary);
    let mut old = Command::new(&binary)
        .args(["-c", "read -r line; echo \"still $line\""])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();

    installed(&checkout, &[]);
    old.stdin.take().unwrap().write_all(b"here\n").unwrap();
    assert_eq!(String::from_utf8_lossy(&old.wait_with_output().unwrap().stdout), "still here\n");
    assert!(fs::read(&binary).unwrap() == fs::read(env!("CARGO_BIN_EXE_tsm")).unwrap(), "not replaced");
    let names: Vec<String> = tree(&checkout.path("home/.local/bin")).into_keys().collect();
    assert_eq!(names, ["tsm"]);
}

#[test]
fn it_builds_where_cargo_is_told_to_and_says_when_the_binary_is_not_static() {
    let checkout = checkout(false);
    let output = checkout
        .command(checkout.path("co/install.sh"))
        .args(["--prefix", "../other"])
        .env("CARGO_TARGET_DIR", "../built")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", show(&output));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        said.contains("Building for x86_64-own-target (this machine's own target, not static)\n"),
        "{said}"
    );
    for binary in ["other/bin/tsm", "co/target/release/tsm"] {
        let same = fs::read(checkout.path(binary)).unwrap() == fs::read(env!("CARGO_BIN_EXE_tsm")).unwrap();
        assert!(same, "{binary} is not what was built");
    }
    // Cargo reads the checkout's .cargo/config.toml only when it runs there.
    let log = fs::read_to_string(checkout.path("cargo.log")).unwrap();
    assert!(log.starts_with(&format!("{} build ", checkout.text("co"))), "{log}");
    assert!(log.contains("--release --locked"), "{log}");
    assert!(checkout.path("built").is_dir());
}

#[test]
fn uninstall_removes_what_was_installed_and_nothing_else() {
    let checkout = checkout(true);
    let home = checkout.path("home");
    fs::create_dir_all(home.join(".local/state/tsm/logs")).unwrap();
    fs::create_dir_all(home.join(".local/share")).unwrap();
    fs::write(home.join(".local/share/theirs"), "x").unwrap();
    fs::write(home.join(".bashrc"), "PS1=x\n").unwrap();
    let before = tree(&home);

    installed(&checkout, &["--rc"]);
    let said = installed(&checkout, &["--uninstall"]);
    assert!(
        said.contains(&format!("Your data stays in {}", home.join(".local/state/tsm").display())),
        "{said}"
    );
    assert_eq!(tree(&home), before);
    assert!(installed(&checkout, &["--uninstall"]).contains("Nothing of tsm is installed"));

    // A file that somebody put among ours keeps its directory.
    installed(&checkout, &[]);
    fs::write(home.join(".local/share/tsm/shell/mine"), "x").unwrap();
    installed(&checkout, &["--uninstall"]);
    let left: Vec<String> = tree(&home.join(".local/share")).into_keys().collect();
    assert_eq!(left, ["theirs", "tsm/", "tsm/shell/", "tsm/shell/mine"]);
}

#[test]
fn the_manifest_reaches_nothing_outside_the_prefix() {
    let checkout = checkout(true);
    installed(&checkout, &[]);
    let outside = checkout.path("home/outside");
    fs::write(&outside, "x").unwrap();
    let manifest = checkout.path("home/.local/share/tsm/manifest");
    let entries = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, format!("{entries}../outside\nbin/../../outside\n{}\n\n", outside.display()))
        .unwrap();
    installed(&checkout, &["--uninstall"]);
    assert!(outside.exists());
    assert!(!manifest.exists());
}

#[test]
fn rc_adds_one_line_once_that_outlives_the_installation() {
    let checkout = checkout(true);
    let rc = checkout.path("home/.bashrc");
    let real = checkout.path("home/dotfiles-bashrc");
    for before in ["", "PS1=x", "PS1=x\n"] {
        fs::write(&real, before).unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
        if !rc.is_symlink() {
            symlink(&real, &rc).unwrap();
        }
        installed(&checkout, &["--rc"]);
        let after = fs::read_to_string(&rc).unwrap();
        installed(&checkout, &["--rc"]);
        assert_eq!(fs::read_to_string(&rc).unwrap(), after);
        assert_eq!(after.lines().count(), before.lines().count() + 1, "{after}");
        assert_eq!(checkout.answer("set -euo pipefail; . ~/.bashrc; type -t tsm"), "function\n");

        // Another prefix takes its place.
        let other = checkout.text("other");
        installed(&checkout, &["--rc", "--prefix", &other]);
        let moved = fs::read_to_string(&rc).unwrap();
        assert_eq!(moved.lines().count(), before.lines().count() + 1, "{moved}");
        assert_eq!(checkout.answer(". ~/.bashrc; echo \"$TSM_SRC\""), format!("{other}/share/tsm\n"));
        installed(&checkout, &["--uninstall"]);
        assert_eq!(fs::read_to_string(&rc).unwrap(), moved, "the line was another prefix's");

        fs::remove_dir_all(checkout.path("other/share/tsm/shell")).unwrap();
        assert_eq!(checkout.answer("set -euo pipefail; . ~/.bashrc; echo $?"), "0\n");
        installed(&checkout, &["--uninstall", "--prefix", &other]);
        assert_eq!(fs::read_to_string(&rc).unwrap().trim_end(), before.trim_end());
        assert!(rc.is_symlink());
        assert_eq!(fs::metadata(&real).unwrap().mode() & 0o7777, 0o640);
    }
}

/// A checkout whose binary starts a `sleep`, notes its PID in `pid`, and "stops" it by `stop`.
fn checkout_to_try(stop: &str) -> Checkout {
    let checkout = checkout(true);
    checkout.program(
        "stub",
        &format!(
            "case $1 in\n\
             start) mkdir -p \"$TSM_DIR\"; sleep 600 >/dev/null & echo $! >\"$HOME/../pid\"\n\
                 echo \"Started: my-site-http-8000 (TSM ID: 0, PID: $!, Port: 8000)\" ;;\n\
             stop) {stop} ;;\n\
             *) echo \"<$*>\" ;;\n\
             esac"
        ),
    );
    let cargo = fs::read_to_string(checkout.path("bin/cargo")).unwrap();
    let cargo = cargo.replace(&format!("'{}'", env!("CARGO_BIN_EXE_tsm")), "\"$HOME/../stub\"");
    checkout.program("bin/cargo", &cargo);
    checkout
}

/// Whether the process that the stub started is alive; a zombie has no command line.
fn is_alive(checkout: &Checkout) -> bool {
    let pid = fs::read_to_string(checkout.path("pid")).unwrap();
    fs::read(format!("/proc/{}/cmdline", pid.trim())).is_ok_and(|line| !line.is_empty())
}

/// Whether it ends soon: a KILL has been sent to it.
fn ends(checkout: &Checkout) -> bool {
    let deadline = Instant::now() + Duration::from_secs(20);
    while is_alive(checkout) && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(5));
    }
    !is_alive(checkout)
}

#[test]
fn a_try_that_is_interrupted_leaves_nothing() {
    let checkout = checkout_to_try("exit 1");
    // The page never comes.
    checkout.program("bin/python3", "[ -z \"$2\" ] || exec sleep 600");
    let mut command = Command::new("bash");
    command.arg(checkout.path("co/install.sh")).arg("--try").process_group(0);
    command
        .env("PATH", checkout.search_path())
        .env("HOME", checkout.path("home"))
        .env("TMPDIR", checkout.path("tmp"));
    let mut run = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();

    let mut lines = BufReader::new(run.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.starts_with("The page at ")));
    assert!(is_alive(&checkout));
    killpg(Pid::from_raw(i32::try_from(run.id()).unwrap()), Signal::SIGINT).unwrap();
    let status = run.wait().unwrap();
    assert_eq!(status.code(), Some(130), "{status}");
    assert!(tree(&checkout.path("tmp")).is_empty());
    assert!(ends(&checkout));
}

#[test]
fn a_try_that_left_a_process_fails_and_says_which() {
    let checkout = checkout_to_try(":");
    checkout.program("bin/python3", "[ -z \"$2\" ] || echo served under tsm");
    let output = install(&checkout, &["--try"]);
    assert_eq!(output.status.code(), Some(1), "{}", show(&output));
    let pid = fs::read_to_string(checkout.path("pid")).unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains(&format!("still running after stop: {}", pid.trim())), "{said}");
    assert!(tree(&checkout.path("tmp")).is_empty());
    assert!(ends(&checkout));

    // The same with a stop that works; nothing was installed, and the data of the user's own TSM was not touched.
    let checkout = checkout_to_try("kill \"$(cat \"$HOME/../pid\")\"");
    checkout.program("bin/python3", "[ -z \"$2\" ] || echo served under tsm");
    let said = installed(&checkout, &["--try"]);
    for line in ["<list>", "<logs my-site-http-8000>", "<info my-site-http-8000>", "No process is left"] {
        assert!(said.lines().any(|said| said == line), "{said}");
    }
    assert!(tree(&checkout.path("tmp")).is_empty() && tree(&checkout.path("home")).is_empty());
}

#[test]
fn what_is_missing_is_one_line_with_the_remedy() {
    let checkout = Checkout::unbuilt();
    // Only what every machine has.
    for tool in ["bash", "dirname", "uname", "mktemp", "rm", "mkdir", "cat"] {
        symlink(which::which(tool).unwrap(), checkout.path("bin").join(tool)).unwrap();
    }
    for (arguments, want) in [
        (
            &[][..],
            "install.sh: cargo is missing; install Rust as https://rustup.rs says, then run this again\n",
        ),
        (
            &["--try"],
            "install.sh: python3 is missing; install it: apt-get install python3, or brew install python\n",
        ),
    ] {
        let output = checkout
            .command(checkout.path("co/install.sh"))
            .args(arguments)
            .env("PATH", checkout.path("bin"))
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", show(&output));
        assert_eq!(String::from_utf8_lossy(&output.stderr), want);
        assert!(output.stdout.is_empty(), "{}", show(&output));
    }
    assert!(tree(&checkout.path("tmp")).is_empty());
}

#[test]
fn wrong_usage_is_2_and_does_nothing() {
    let checkout = checkout(true);
    for (arguments, want) in [
        (&["--nonsense"][..], "unknown option: --nonsense"),
        (&["prefix"], "unknown option: prefix"),
        (&["--prefix"], "--prefix needs a directory"),
        (&["--prefix", ""], "--prefix needs a directory"),
        (&["--prefix="], "--prefix needs a directory"),
        (&["--try", "--uninstall"], "--uninstall and --try do not go together"),
        (&["--rc", "--try"], "--rc and --try do not go together"),
    ] {
        let output = install(&checkout, arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?} {}", show(&output));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(said, format!("install.sh: {want}; see: ./install.sh --help\n"));
    }
    assert!(installed(&checkout, &["--help"]).contains("--uninstall"));
    assert!(tree(&checkout.path("home")).is_empty());
}
