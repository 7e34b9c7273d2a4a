//! The shell layer, sourced by real bash.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;

use crate::checkout::{Checkout, show};
use crate::shell_api::UTILITIES;

const SOURCE: &str = "\\builtin source \"$CO/shell/tsm.sh\"\n";

const GLOBALS: [&str; 7] =
    ["MOD_DIR", "MOD_SRC", "TSM_DIR", "TSM_LOGS_DIR", "TSM_PIDS_DIR", "TSM_PROCESSES_DIR", "TSM_SRC"];

const PUBLIC: [&str; 25] = [
    "tetra_tsm_cleanup",
    "tetra_tsm_delete",
    "tetra_tsm_disable",
    "tetra_tsm_doctor",
    "tetra_tsm_enable",
    "tetra_tsm_env",
    "tetra_tsm_import",
    "tetra_tsm_info",
    "tetra_tsm_ipc",
    "tetra_tsm_kill",
    "tetra_tsm_list",
    "tetra_tsm_logs",
    "tetra_tsm_patterns",
    "tetra_tsm_ports",
    "tetra_tsm_repl",
    "tetra_tsm_restart",
    "tetra_tsm_save",
    "tetra_tsm_show",
    "tetra_tsm_socket",
    "tetra_tsm_start",
    "tetra_tsm_startup",
    "tetra_tsm_stop",
    "tetra_tsm_why",
    "tetra_tsm_with",
    "tsm",
];

/// The words of bash's own syntax, which nobody can alias and go on working.
const SYNTAX: [&str; 11] =
    ["if", "then", "else", "elif", "fi", "case", "function", "for", "while", "do", "done"];

#[test]
fn sourcing_survives_a_hostile_shell() {
    let checkout = Checkout::with_echo();
    let file = fs::read_to_string(checkout.path("co/shell/tsm.sh")).unwrap();
    let words: BTreeSet<&str> = file
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.chars().any(|c| c.is_ascii_lowercase()))
        // The names with our prefix are ours.
        .filter(|word| !SYNTAX.contains(word) && !word.contains("tsm_") && *word != "in" && *word != "esac")
        .collect();
    let aliases: Vec<String> =
        words.iter().map(|word| format!("alias {word}='echo HOSTILE {word}; false'")).collect();
    assert!(words.contains("printf") && words.contains("tsm"), "{words:?}");

    for (case, prelude) in [
        ("plain", ""),
        ("strict", "set -euo pipefail"),
        ("strict posix", "set -o posix; set -euo pipefail"),
        ("noclobber", "set -euC"),
        ("noglob and allexport", "set -efa"),
        ("odd IFS", "set -eu; IFS='/tsmdir.'"),
        ("empty IFS", "set -eu; IFS="),
        ("globbing", "set -eu; shopt -s nullglob failglob nocasematch nocaseglob extglob globstar dotglob"),
        ("ERR and DEBUG traps", "set -eEuT; trap 'echo ERR; exit' ERR; trap : DEBUG"),
        ("cd overridden", "set -eu; cd() { echo cd; }; pwd() { echo pwd; }; CDPATH=/tmp:/"),
        (
            "builtins overridden",
            "set -eu; for f in printf export unset local declare type unalias test; do eval \"$f() { echo $f; }\"; done",
        ),
        ("readonly names", "set -eu; readonly file=1 dir=1 name=1 bin=1 verb=1 path=1 root=1"),
        ("aliases", &format!("set -eu\n{}\n\\builtin shopt -s expand_aliases", aliases.join("\n"))),
        ("no HOME", "set -eu; unset HOME"),
        ("a PATH with nothing", "set -eu; PATH=/nonexistent"),
    ] {
        for times in 1..=2 {
            let script = format!(
                "{prelude}\n{}\\builtin unalias -a\n\\builtin trap - ERR\nIFS=$' \\t\\n'\nset +e\ntsm one 'two  words' '*' ''\n\\builtin echo \"$?\"\n",
                SOURCE.repeat(times)
            );
            let said = checkout.answer(&script);
            assert_eq!(said, "checkout:<one><two  words><*><>\n7\n", "{case}, {times} times");
        }
    }
}

#[test]
fn an_alias_named_tsm_gives_way() {
    let checkout = Checkout::with_echo();
    let said = checkout.answer(&format!(
        "shopt -s expand_aliases\nalias tsm='echo alias' tetra_tsm_list='echo other'\n{SOURCE}tsm a\n\\tetra_tsm_list b\nalias"
    ));
    assert_eq!(said, "checkout:<a>\ncheckout:<list><b>\nalias tetra_tsm_list='echo other'\n");
}

#[test]
fn sourcing_changes_nothing_but_its_names_and_unloading_takes_them_away() {
    let checkout = Checkout::with_echo();
    let state = "state() { echo \"== $1\"; shift; compgen -v | sort; echo '-- functions'; declare -F | sort; \
                 echo '-- the rest'; set -o; shopt; trap -p; alias; complete -p; echo \"$PWD $# $*\"; umask; }\n";
    for prelude in ["", "set -euo pipefail\n", "set -o posix\n"] {
        let said = checkout.answer(&format!(
            "{prelude}{state}set -- a 'b c'; x=$(:); state before \"$@\"\n{SOURCE}{SOURCE}state loaded \"$@\"\ntsm_unload\nstate after \"$@\"\n"
        ));
        let states: Vec<Vec<&str>> = said
            .split("== ")
            .skip(1)
            .map(|state| state.split_once('\n').unwrap().1.split("-- ").collect())
            .collect();
        let [before, loaded, after] = &states[..] else { panic!("{said}") };
        let new = |part: usize| -> BTreeSet<&str> {
            let old: BTreeSet<&str> = before[part].lines().collect();
            loaded[part].lines().filter(|line| !old.contains(line)).collect()
        };

        assert_eq!(new(0), BTreeSet::from(GLOBALS), "{prelude}");
        let exported = PUBLIC.map(|name| format!("declare -fx {name}"));
        let own = [
            "_tsm_cd",
            "_tsm_code",
            "_tsm_count",
            "_tsm_waiting",
            "_tsm_env",
            "_tsm_env_back",
            "_tsm_env_load",
            "_tsm_env_loads",
            "_tsm_env_state",
            "_tsm_env_unset",
            "_tsm_forget_dir",
            "_tsm_has_code",
            "_tsm_lives",
            "_tsm_start",
            "_tsm_with_public",
            "tetra",
            "tsm_prompt",
            "tsm_unload",
        ]
        .map(|name| format!("declare -f {name}"));
        let utilities = UTILITIES.map(|(name, _)| format!("declare -f {name}"));
        let all = exported.iter().chain(&own).chain(&utilities).map(String::as_str).collect();
        assert_eq!(new(1), all, "{prelude}");
        assert_eq!(before[2], loaded[2], "{prelude}");
        assert_eq!(before, after, "{prelude}");
    }
}

#[test]
fn sourcing_starts_no_process() {
    let checkout = Checkout::with_echo();
    // The trap runs for every child of the shell; the last line proves that.
    let said =
        checkout.answer(&format!("trap 'echo child' CHLD\n{SOURCE}{SOURCE}echo sourced\n: \"$(:)\"\n:"));
    assert_eq!(said, "sourced\nchild\n");
}

#[test]
fn other_shells_are_left_alone() {
    let checkout = Checkout::with_echo();
    let output =
        checkout.command("/bin/sh").args(["-euc", ". \"$CO/shell/tsm.sh\"; echo alive"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "alive\n", "{}", show(&output));
    assert!(output.stderr.is_empty(), "{}", show(&output));

    for version in ["3.2.57(1)-release", "4.3.48(1)-release"] {
        let old = format!("set -eu; BASH_VERSION='{version}'\n{SOURCE}declare -F; echo alive");
        assert_eq!(checkout.answer(&old), "alive\n", "{version}");
        let typed = checkout.command("bash").args(["--norc", "--noprofile", "-ic", &old]).output().unwrap();
        let said = String::from_utf8_lossy(&typed.stderr).into_owned();
        assert!(said.contains(&format!("needs bash 4.4, this is {version}")), "{}", show(&typed));
    }
    assert_eq!(checkout.answer(&format!("BASH_VERSION=4.4.20\n{SOURCE}declare -F tsm")), "tsm\n");
}

#[test]
fn the_binary_is_the_checkouts_then_the_installed_one_then_the_one_on_path() {
    let checkout = Checkout::with_echo();
    checkout.echo("bin/tsm", "path");
    checkout.echo("pre fix/bin/tsm", "installed");
    fs::create_dir_all(checkout.path("pre fix/share/tsm/shell")).unwrap();
    fs::copy(checkout.path("co/shell/tsm.sh"), checkout.path("pre fix/share/tsm/shell/tsm.sh")).unwrap();

    let installed = "source \"$CO/../pre fix/share/tsm/shell/tsm.sh\"\n";
    // The build that goes away, the one that comes back: each call looks anew.
    let said = checkout.answer(&format!(
        "{SOURCE}tsm a; mv \"$CO/target\" \"$CO/gone\"; tsm b; mv \"$CO/gone\" \"$CO/target\"; tsm c\n\
         {installed}tsm d; rm \"$CO/../pre fix/bin/tsm\"; tsm e || echo $?"
    ));
    assert_eq!(said, "checkout:<a>\npath:<b>\ncheckout:<c>\ninstalled:<d>\npath:<e>\n7\n");
}

#[test]
fn a_missing_binary_is_one_line_that_says_what_to_run() {
    let checkout = Checkout::unbuilt();
    for call in ["tsm list", "tetra_tsm_list", "bash -c tetra_tsm_list", "tetra env init dev"] {
        let output = checkout.bash(&format!("set -eu\n{SOURCE}{call} || exit $?")).output().unwrap();
        assert_eq!(output.status.code(), Some(127), "{call}: {}", show(&output));
        assert!(output.stdout.is_empty(), "{call}: {}", show(&output));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            said.starts_with("tsm: there is no tsm binary; run: ") && said.lines().count() == 1,
            "{said}"
        );

        // The command can be pasted.
        let command = said.trim_end().strip_prefix("tsm: there is no tsm binary; run: ").unwrap();
        let help = checkout.answer(&format!("{command} --help"));
        assert!(help.starts_with("Usage: ./install.sh"), "{help}");
    }
}

#[test]
fn a_failing_call_is_the_callers_to_handle() {
    let checkout = Checkout::with_echo();
    checkout.echo("bin/tsm", "path");
    for remove in ["", "rm -f \"$CO/target/release/tsm\"\n"] {
        let said = checkout.answer(&format!(
            "set -euo pipefail\n{remove}{SOURCE}tsm a >/dev/null || echo \"rc $?\"\nif tetra_tsm_stop b >/dev/null; then echo no; fi\necho on"
        ));
        assert_eq!(said, "rc 7\non\n");
        let output =
            checkout.bash(&format!("set -e\n{remove}{SOURCE}tsm a >/dev/null\necho no")).output().unwrap();
        assert_eq!((output.status.code(), output.stdout), (Some(7), vec![]));
        checkout.echo("co/target/release/tsm", "checkout");
    }
}

#[test]
fn the_public_functions_work_in_child_shells_and_no_others_go_there() {
    let checkout = Checkout::with_echo();
    for verb in PUBLIC.iter().filter_map(|name| name.strip_prefix("tetra_tsm_")) {
        let said = checkout.answer(&format!("{SOURCE}bash -euc 'tetra_tsm_{verb} \"a  b\" || echo $?'"));
        assert_eq!(said, format!("checkout:<{verb}><a  b>\n7\n"));
    }
    let said = checkout
        .answer(&format!("{SOURCE}bash -c 'declare -F; echo \"$TSM_SRC|$TSM_DIR|${{TSM_LOGS_DIR-}}\"'"));
    let functions = PUBLIC.map(|name| format!("declare -fx {name}\n")).concat();
    let (co, home) = (checkout.text("co"), checkout.text("home"));
    assert_eq!(said, format!("{functions}{co}|{home}/.local/state/tsm|\n"));

    // They are in the environment of every program that the shell runs.
    let bytes = checkout.answer(&format!("{SOURCE}declare -fp {} | wc -c", PUBLIC.join(" ")));
    assert!(bytes.trim().parse::<usize>().unwrap() < 3000, "{bytes}");
}

#[test]
fn tsm_dir_is_the_users_then_tetras_then_the_state_directory() {
    let checkout = Checkout::with_echo();
    let home = checkout.text("home");
    for (prelude, want) in [
        ("", format!("{home}/.local/state/tsm")),
        ("XDG_STATE_HOME=/x", "/x/tsm".into()),
        ("XDG_STATE_HOME=", format!("{home}/.local/state/tsm")),
        ("XDG_STATE_HOME=relative", format!("{home}/.local/state/tsm")),
        ("export TETRA_DIR=/t XDG_STATE_HOME=/x", "/t/tsm".into()),
        ("TETRA_DIR=/t", "/t/tsm".into()),
        ("TETRA_DIR=", format!("{home}/.local/state/tsm")),
        ("TSM_DIR=/d TETRA_DIR=/t", "/d".into()),
        ("TSM_DIR= TETRA_DIR=/t", "/t/tsm".into()),
        ("TSM_DIR=/d; readonly TSM_DIR", "/d".into()),
    ] {
        let said = checkout.answer(&format!(
            "set -eu\n{prelude}\n{SOURCE}{SOURCE}\
             printf '%s\\n' \"$TSM_DIR\" \"$MOD_DIR\" \"$TSM_PROCESSES_DIR\" \"$TSM_LOGS_DIR\" \"$TSM_PIDS_DIR\"\n\
             env | grep ^TSM_DIR="
        ));
        let want =
            format!("{want}\n{want}\n{want}/runtime/processes\n{want}/logs\n{want}/pids\nTSM_DIR={want}\n");
        assert_eq!(said, want, "{prelude}");
    }
    assert_eq!(
        checkout.answer(&format!("{SOURCE}echo \"${{TETRA_DIR-unset}} ${{TETRA_SRC-unset}}\"")),
        "unset unset\n"
    );
}

#[test]
fn sourcing_again_follows_tetra_dir_and_keeps_what_was_set_by_hand() {
    let checkout = Checkout::with_echo();
    let said = checkout.answer(&format!(
        "set -eu\nTETRA_DIR=/one\n{SOURCE}TETRA_DIR=/two\n{SOURCE}echo $TSM_DIR\n\
         TSM_DIR=/hand\n{SOURCE}{SOURCE}echo $TSM_DIR $TSM_LOGS_DIR\ntsm_unload; echo $TSM_DIR\n\
         unset TSM_DIR\n{SOURCE}echo $TSM_DIR\ntsm_unload; echo ${{TSM_DIR-unset}}"
    ));
    assert_eq!(said, "/two/tsm\n/hand /hand/logs\n/hand\n/two/tsm\nunset\n");
}

#[test]
fn the_checkout_is_found_from_wherever_the_file_is_sourced() {
    let checkout = Checkout::with_echo();
    fs::create_dir(checkout.path("co/shell/sub")).unwrap();
    symlink(checkout.path("co/shell/tsm.sh"), checkout.path("home/link.sh")).unwrap();
    symlink(checkout.path("co/shell"), checkout.path("home/shell")).unwrap();
    symlink(checkout.path("co"), checkout.path("home/co")).unwrap();
    let (co, linked) = (fs::canonicalize(checkout.path("co")).unwrap(), checkout.path("home/co"));
    for (dir, file, want) in [
        ("co", "shell/tsm.sh", &co),
        ("co", "./shell/tsm.sh", &co),
        ("co/shell", "tsm.sh", &co),
        ("co/shell", "./tsm.sh", &co),
        ("co/shell/sub", "../tsm.sh", &co),
        ("co/target", "../shell/tsm.sh", &co),
        ("home", "link.sh", &co),
        ("home", "shell/tsm.sh", &co),
        ("home", "co/shell/tsm.sh", &linked),
    ] {
        let said = checkout.answer(&format!(
            "set -eu; cd \"$CO/../{dir}\"; cd -P .; CDPATH=/:..; source {file}; echo \"$TSM_SRC\"; tsm x || :; echo \"$MOD_SRC\""
        ));
        let want = want.display();
        assert_eq!(said, format!("{want}\ncheckout:<x>\n{want}\n"), "source {file} in {dir}");
    }
}

#[test]
fn tetra_is_answered_only_where_there_is_none() {
    let checkout = Checkout::with_echo();
    assert_eq!(
        checkout.answer(&format!("{SOURCE}{SOURCE}tetra env init dev 'a b' || echo $?")),
        "checkout:<env><init><dev><a b>\n7\n"
    );
    let output = checkout.bash(&format!("set -u\n{SOURCE}tetra")).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", show(&output));
    assert!(String::from_utf8_lossy(&output.stderr).contains("tetra env init"), "{}", show(&output));

    // A function, before or after, and a program.
    let theirs = "tetra() { echo theirs; }\n";
    assert_eq!(checkout.answer(&format!("{theirs}{SOURCE}tetra; tsm_unload; tetra")), "theirs\ntheirs\n");
    assert_eq!(
        checkout.answer(&format!("{SOURCE}{theirs}{SOURCE}tetra; tsm_unload; tetra")),
        "theirs\ntheirs\n"
    );
    checkout.program("bin/tetra", "echo program");
    assert_eq!(checkout.answer(&format!("{SOURCE}tetra; type -t tetra")), "program\nfile\n");
}
