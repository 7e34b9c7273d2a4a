//! `tsm env REF` in the shell function: a running process's declared environment in this shell, and out of it again.

use std::fs;

use crate::kit::{Ran, User, eventually, free_port, kill, run};

const TSM: &str = env!("CARGO_BIN_EXE_tsm");

/// Runs `script` in bash after `prelude` and the shell layer, whose `tsm` is this build's.
fn bash_with(user: &User, prelude: &str, script: &str) -> Ran {
    let line = format!(
        "{prelude}\n\\builtin source '{}/shell/tsm.sh'; TSM_SRC=; PATH='{}':$PATH\n{script}",
        env!("CARGO_MANIFEST_DIR"),
        std::path::Path::new(TSM).parent().unwrap().display()
    );
    let mut command = user.command("bash");
    command.args(["--norc", "--noprofile", "-c", &line]);
    run(command)
}

fn bash(user: &User, script: &str) -> Ran {
    bash_with(user, "set -euo pipefail", script)
}

/// A user with `web`, which has an env file, settings and a port, and `api`.
fn two() -> (User, u16) {
    let user = User::new();
    user.file("web.env", "DATABASE_URL=postgres://u:pw@h/db\nMODE=dev\n");
    let port = free_port();
    let number = port.to_string();
    user.ok(&[
        "start",
        "--name",
        "web",
        "--env",
        "web.env",
        "--env-var",
        "API_TOKEN=s3cret",
        "--port",
        &number,
        "sleep",
        "1000",
    ]);
    user.ok(&[
        "start",
        "--name",
        "api",
        "--no-env",
        "--env-var",
        "MODE=api",
        "--env-var",
        "ONLY=1",
        "sleep",
        "1000",
    ]);
    (user, port)
}

/// Prints one variable as a program sees it and as the shell has it.
const SHOW: &str = "show() { local v; for v; do printf '%s=%s/%s ' \"$v\" \"${!v-unset}\" \"$(printenv \"$v\" || echo none)\"; \
                    done; echo; }\n";

#[test]
fn it_loads_what_was_declared_and_says_what() {
    let (user, port) = two();
    let ran = bash(
        &user,
        "tsm env web\nprintenv DATABASE_URL MODE API_TOKEN PORT\nprintenv TSM_NAME TSM_PORT || echo no",
    );
    let name = format!("web-{port}");
    let ran = ran.code(0);
    assert_eq!(ran.stdout, format!("postgres://u:pw@h/db\ndev\ns3cret\n{port}\nno\n"));
    assert_eq!(
        ran.stderr,
        format!(
            "Loaded 4 variables of {name}: API_TOKEN DATABASE_URL MODE PORT; tsm env {name} --unset takes them back\n"
        )
    );
    // What is started now is no part of that tree.
    bash(
        &user,
        "tsm env web 2>/dev/null; printenv TSM_SOCKET NOTIFY_SOCKET TSM_ID PYTHONUNBUFFERED && exit 9; :",
    )
    .code(0);
    bash(&user, "tetra_tsm_env web; echo $MODE").code(0).says("dev\n");
    bash(&user, "tsm env api; echo $ONLY").code(0).complains("Loaded 2 variables of api: MODE ONLY;");
}

#[test]
fn values_of_every_kind_arrive_and_none_is_executed() {
    let user = User::new();
    let x = user.cwd().join("touched");
    let x = x.display();
    // Sourced by bash: the values are what the quotes say.
    user.file(
        "odd.env",
        &format!(
            "A='$(touch {x})'\nB='`touch {x}`'\nC=$'two\\nlines\\n\\n'\nD=\"it's \\\"quoted\\\" \\\\n \\\\0101\"\nE=\n\
             F=$'\\x01\\x7f'\nG='  blanks * ? [a] '\nH=';touch {x};'\nI=$'\\n'\nJ='ünï \\c'\nK='x[$(touch {x})]'\nL=a=b=c\n"
        ),
    );
    user.ok(&["start", "--name", "odd", "--env", "odd.env", "sleep", "1000"]);
    let environ = fs::read(format!("/proc/{}/environ", user.pid("odd"))).unwrap();
    let letters = |bytes: &[u8]| -> Vec<Vec<u8>> {
        let all = bytes.split(|byte| *byte == 0).filter(|var| var.get(1) == Some(&b'='));
        let mut all: Vec<Vec<u8>> =
            all.filter(|var| (b'A'..=b'L').contains(&var[0])).map(<[u8]>::to_vec).collect();
        all.sort_unstable();
        all
    };
    let want = letters(&environ);
    assert_eq!(want.len(), 12);
    for prelude in [
        "set -euo pipefail",
        "set -euo pipefail; IFS='tsm=ABCL\n'",
        "set -o posix; set -euo pipefail",
        "set -euC; shopt -s nocasematch nullglob failglob extglob",
        "set -efa",
        "set -eu; IFS=",
        "set -eET; trap 'echo ERR >&2; exit 7' ERR; trap : DEBUG",
        "set -eu; shopt -s expand_aliases; alias printf='echo HOSTILE' export='echo HOSTILE' declare='echo HOSTILE' test=false",
        "set -eu; printf() { echo p; }; test() { return 1; }; export() { :; }; declare() { :; }; unset() { :; }; local() { :; }",
    ] {
        let script = format!(
            "tsm env odd\n\\builtin trap - ERR DEBUG\n\\command env -0 >|'{}/got'\n",
            user.cwd().display()
        );
        let ran = bash_with(&user, prelude, &script).code(0);
        assert!(ran.stderr.starts_with("Loaded 12 variables of odd: A B C D"), "{prelude}: {ran:#?}");
        let got = letters(&fs::read(user.cwd().join("got")).unwrap());
        assert_eq!(got, want, "{prelude}");
    }
    assert!(!user.cwd().join("touched").exists());
}

#[test]
fn unset_puts_back_values_and_export_attributes_and_leaves_nothing() {
    let (user, _) = two();
    // Not what every command changes.
    let state = "state() { compgen -v | grep -vE '^(BASH|_$|FUNCNAME|PIPESTATUS|RANDOM|SECONDS|EPOCH|SRANDOM|LINENO)' | sort; \
                 declare -px; declare -p MODE DATABASE_URL API_TOKEN ONLY; declare -F; set -o; shopt; trap -p; }\n";
    let read = |name: &str| fs::read_to_string(user.home().join(name)).unwrap();
    for prelude in ["", "set -euo pipefail", "set -o posix; set -eu", "set -a", "IFS=abt"] {
        let script = format!(
            "{state}declare ONLY; export MODE=mine API_TOKEN; DATABASE_URL='not exported'; export -n DATABASE_URL\n\
             state >\"$HOME/before\"\ntsm env web; tsm env api; tsm env web\n[ \"$MODE\" = dev ] && [ \"$ONLY\" = 1 ] || exit 9\n\
             state >\"$HOME/loaded\"\ntsm env web --unset; tsm env --unset api\nstate >\"$HOME/after\"\n"
        );
        bash_with(&user, prelude, &script).code(0);
        assert_eq!(read("before"), read("after"), "{prelude}");
        assert!(read("loaded").contains("declare -x DATABASE_URL=\"postgres:"), "{prelude}");
        let new = |line: &&str| !read("before").contains(line) && !line.starts_with("declare");
        assert_eq!(read("loaded").lines().filter(new).collect::<Vec<_>>(), ["PORT", "_TSM_ENV"], "{prelude}");
    }
}

#[test]
fn processes_that_set_the_same_variable_are_taken_back_in_any_order() {
    let (user, port) = two();
    let show = format!("{SHOW}MODE=mine\n");
    for (script, want) in [
        ("tsm env web; tsm env api; show MODE", "MODE=api/api"),
        (
            "tsm env web; tsm env api; tsm env web --unset; show MODE; tsm env api --unset; show MODE",
            "MODE=api/api \nMODE=mine/none",
        ),
        (
            "tsm env web; tsm env api; tsm env api --unset; show MODE; tsm env web --unset; show MODE",
            "MODE=dev/dev \nMODE=mine/none",
        ),
        ("tsm env web; tsm env web; tsm env web --unset; show MODE PORT", "MODE=mine/none PORT=unset/none"),
        (
            "tsm env web; tsm env api; tsm env web; show MODE; tsm env web --unset; show MODE; tsm env --unset; show MODE",
            "MODE=dev/dev \nMODE=api/api \nMODE=mine/none",
        ),
        (
            "tsm env web; tsm env api; tsm env --unset; show MODE ONLY PORT",
            "MODE=mine/none ONLY=unset/none PORT=unset/none",
        ),
        ("tsm env web; MODE=changed; tsm env web --unset; show MODE", "MODE=mine/none"),
        (
            "tsm env web; tsm_unload; show MODE PORT; declare -p _TSM_ENV 2>/dev/null || echo gone",
            "MODE=mine/none PORT=unset/none \ngone",
        ),
    ] {
        let ran = bash(&user, &format!("{show}{script}")).code(0);
        assert_eq!(ran.stdout.trim_end(), want, "{script}");
    }
    // What it declares no more is taken back by loading it again.
    let file = user.cwd().join("web.env");
    let script = format!(
        "tsm env web; echo MODE=new >'{}'; tsm restart web >/dev/null; tsm env web; show MODE DATABASE_URL; \
                          tsm env web --unset; show MODE",
        file.display()
    );
    let ran = bash(&user, &format!("{show}{script}")).code(0);
    assert_eq!(ran.stdout, "MODE=new/new DATABASE_URL=unset/none \nMODE=mine/none \n");
    // By the name in full, by what was typed, and when the process is gone.
    let name = format!("web-{port}");
    bash(&user, &format!("tsm env web; tsm env {name} --unset")).code(0).complains("Took back: ");
    let ran = bash(
        &user,
        "tsm env web; tsm stop web >/dev/null; tsm delete web >/dev/null; tsm env web --unset; echo ${PORT-none}",
    );
    ran.code(0).says("none\n");
    bash(&user, "tsm env nothing --unset || exit $?").code(4).complains("nothing of nothing is loaded");
    bash(&user, "tsm env --unset || exit $?").code(4).complains("nothing of any process is loaded");
}

#[test]
fn what_is_not_running_changes_nothing() {
    let (user, _) = two();
    user.ok(&["stop", "api"]);
    for (what, code) in [("api", 3), ("nix", 4), ("all", 6)] {
        let ran =
            bash(&user, &format!("MODE=mine\ntsm env {what} || echo rc=$?\necho $MODE ${{_TSM_ENV-none}}"))
                .code(0);
        assert_eq!(ran.stdout, format!("rc={code}\nmine none\n"));
    }
    // A failing second load leaves the first.
    let ran = bash(
        &user,
        "tsm env web\ntsm stop web >/dev/null\ntsm env web || echo rc=$?\necho $MODE\ntsm env web --unset\necho ${MODE-none}",
    );
    assert_eq!(ran.code(0).stdout, "rc=3\ndev\nnone\n");
    bash(&user, "tsm env api\necho not reached").code(3);
}

#[test]
fn variables_that_cannot_be_set_are_passed_over_with_a_word() {
    let user = User::new();
    let x = user.cwd().join("touched");
    user.file(
        "own.env",
        &format!(
            "PATH=/declared:$PATH\nLD_PRELOAD=\nPS1='$(touch {0})'\nPS4=x\nPROMPT_COMMAND='touch {0}'\nENV={0}\nTMOUT=1\nGOOD=1\n\
             RO=1\nINT='a[$(touch {0})]'\nARR=1\nREF='y'\nLOW=ABC\n",
            x.display()
        ),
    );
    user.ok(&[
        "start",
        "--name",
        "own",
        "--env",
        "own.env",
        "--env-var",
        "IFS=x",
        "--env-var",
        "BASH_ENV=/x",
        "sleep",
        "1000",
    ]);
    let ran = bash(
        &user,
        "readonly RO=0; declare -i INT=5; ARR=(1 2); declare -n REF=target; target=t; declare -l LOW=abc\n\
         before=$(declare -p RO INT ARR target LOW IFS); ps=${PS1-none}$PS4\ntsm env own\n\
         [ \"$before\" = \"$(declare -p RO INT ARR target LOW IFS)\" ]; [ \"$ps\" = \"${PS1-none}$PS4\" ]\n\
         echo \"$GOOD|${PATH%%:*}|${LD_PRELOAD-unset}|${TMOUT-}|${BASH_ENV-}|${PROMPT_COMMAND-}\"\n\
         path=$PATH; tsm env own --unset; [ \"$path\" != \"$PATH\" ]",
    )
    .code(0);
    assert_eq!(ran.stdout, "1|/declared||||\n");
    for name in ["RO", "INT", "ARR", "REF", "LOW"] {
        assert!(
            ran.stderr.contains(&format!("{name} is not loaded: it is read-only here, or no plain variable")),
            "{name}: {ran:#?}"
        );
    }
    for name in ["IFS", "PS1", "PS4", "PROMPT_COMMAND", "TMOUT", "BASH_ENV"] {
        assert!(
            ran.stderr.contains(&format!("{name} is not loaded: the shell itself runs by it")),
            "{name}: {ran:#?}"
        );
    }
    assert!(!x.exists());
    // Made read-only meanwhile.
    let ran = bash(&user, "tsm env own 2>/dev/null; readonly GOOD; tsm env own --unset; echo $GOOD").code(0);
    ran.says("1\n").complains("GOOD stays: it is read-only by now");
}

#[test]
fn where_nothing_can_be_loaded_it_prints() {
    let (user, port) = two();
    let ran = bash(&user, "x=$(tsm env web); echo \"$x\"; echo ${MODE-none}; tsm env web | grep -c MODE=dev; (tsm env api) | cat").code(0);
    assert!(ran.stdout.contains("MODE=dev") && ran.stdout.contains("\nnone\n1\n"), "{ran:#?}");
    assert!(!ran.stdout.contains("s3cret") && ran.stderr.is_empty(), "{ran:#?}");
    // With any other option, in a child shell, and with another verb's words.
    for call in ["env web --list", "env --declared web", "env web --json", "env web --show"] {
        let ran = bash(&user, &format!("tsm {call}; echo ${{MODE-none}}")).code(0);
        assert!(ran.stdout.ends_with("none\n") && ran.stdout.contains("dev"), "{call}: {ran:#?}");
    }
    let ran = bash(
        &user,
        "bash -c 'tsm env web; echo ${MODE-none}'; tsm env | grep -c TSM_DIR=; tsm env --help | head -1",
    )
    .code(0);
    assert!(ran.stdout.contains("none\n1\nLoad a process's environment"), "{ran:#?}");
    bash(&user, "(tsm env web --unset) || exit $?")
        .code(2)
        .complains("only the tsm function can change its shell");
    user.tsm(&["env", "web", "--unset"]).code(2).complains("try: source tsm.sh");
    bash(&user, "tsm env '' || exit $?").code(2);
    // A port is a name, too.
    bash(&user, &format!("tsm env :{port}; tsm env port:{port}; echo $MODE; tsm env :{port} --unset || :; tsm env port:{port} --unset"))
        .code(0)
        .says("dev\n");
}

#[test]
fn declared_alone_is_printed_masked() {
    let (user, port) = two();
    let ran = user.ok(&["env", "web", "--declared"]);
    assert!(
        !ran.stdout.contains("s3cret") && !ran.stdout.contains("HOME=") && !ran.stdout.contains("TSM_"),
        "{ran:#?}"
    );
    let json = user.json(&["env", "--declared", "--show", "web"]);
    let want = serde_json::json!({"API_TOKEN": "s3cret", "DATABASE_URL": "postgres://u:pw@h/db", "MODE": "dev", "PORT": port.to_string()});
    assert_eq!(json, want);
    // What the starting shell has by chance as the file says it, is declared all the same.
    let mut command = user.tsm_command(&["start", "--name", "same", "--env", "web.env", "sleep", "1000"]);
    command.env("MODE", "dev").env("UNRELATED", "1");
    run(command).code(0);
    let json = user.json(&["env", "--declared", "--show", "same"]);
    assert_eq!(json, serde_json::json!({"DATABASE_URL": "postgres://u:pw@h/db", "MODE": "dev"}));
}

#[test]
fn without_its_supervisor_the_names_of_file_and_settings_count() {
    let (user, port) = two();
    let name = format!("web-{port}");
    kill(user.supervisor(&name), "KILL");
    user.until_state(&name, "unsupervised");
    let json = user.json(&["env", "--declared", "--show", &name]);
    let want = serde_json::json!({"API_TOKEN": "s3cret", "DATABASE_URL": "postgres://u:pw@h/db", "MODE": "dev", "PORT": port.to_string()});
    assert_eq!(json, want);
    bash(&user, "tsm env web; echo $MODE").code(0).says("dev\n");
}

#[test]
fn what_a_shim_has_set_before_the_program_is_not_declared() {
    let user = User::new();
    // As pyenv and its like do: a script that changes its environment and becomes the program.
    user.program("shim", "#!/bin/sh\nexport SHIM_ROOT=/opt PATH=/opt/bin:$PATH\nexec sleep 1000\n");
    user.ok(&["start", "--name", "web", "--env-var", "MINE=1", "./shim"]);
    let pid = user.pid("web");
    eventually("it is the program", || {
        fs::read(format!("/proc/{pid}/environ")).unwrap().windows(10).any(|part| part == b"SHIM_ROOT=")
    });
    assert_eq!(user.json(&["env", "--declared", "web"]), serde_json::json!({"MINE": "1"}));
    bash(&user, "tsm env web; echo \"$MINE ${SHIM_ROOT-unset}\"").code(0).says("1 unset\n");
}
