//! `tsm cd`, by the program and by the shell function.

use std::fs;

use crate::kit::User;
use crate::layer::{SHELLS, SOURCE};
use crate::terminal::plain;

/// A user with the process `api`, whose directory is not the one they are in.
fn user() -> (User, String) {
    let user = User::with_layer();
    let dir = user.home().join("it's a\ndir *\n\n");
    fs::create_dir(&dir).unwrap();
    user.ok(&["start", "--name", "api", "--dir", dir.to_str().unwrap(), "sleep", "1000"]);
    (user, dir.to_str().unwrap().to_owned())
}

#[test]
fn the_shell_goes_there_whatever_the_user_made_of_cd() {
    let (user, dir) = user();
    for (shell, options, prelude) in SHELLS {
        for id in ["api", "0"] {
            let script = format!(
                "cd() {{ echo wrong; }}; pwd() {{ echo wrong; }}; CDPATH=/:/tmp\n{prelude}\\builtin trap - DEBUG\n{SOURCE}tsm cd {id} >|here\n\
                 [[ ! -s $OLDPWD/here ]]; printf '%s' \"$PWD\"; [[ $(\\builtin pwd; printf x) == \"$PWD\"$'\\n'x ]]"
            );
            let ran = user.bash_with(options, &script).code(0);
            assert!(ran.stdout.ends_with(&dir) && !ran.stdout.contains("wrong"), "{shell} {id}: {ran:?}");
        }
    }
    // A stopped one has its directory still.
    user.ok(&["stop", "api"]);
    user.bash("tsm cd api; printf '%s' \"$PWD\"").code(0).says(&dir);
}

#[test]
fn nothing_is_left_in_the_shell_and_a_failure_leaves_it_where_it_is() {
    let (user, dir) = user();
    user.ok(&["start", "--name", "api-2", "sleep", "1000"]);
    for (words, code, said) in [
        ("cd none", 4, "none"),
        ("cd", 2, "cd needs the name of a process"),
        ("cd api api-2", 2, "api-2"),
        ("cd api-*", 0, ""),
        ("cd all", 6, "one is wanted"),
        ("cd a", 6, "ambiguous"),
        ("cd ''", 2, "named by nothing"),
        ("cd --no-such", 2, "--no-such"),
    ] {
        let ran = user.bash(&format!(
            "here=$PWD; tsm {words}; code=$?; [[ $code == 0 || $PWD == \"$here\" ]] || echo moved; exit $code"
        ));
        let ran = ran.code(code).complains(said);
        assert!(ran.stdout.is_empty(), "{words}: {ran:?}");
        assert_eq!(user.tsm(&words.replace("''", "").split(' ').collect::<Vec<_>>()).code, code, "{words}");
    }
    user.bash(
        "set -e; tsm cd none || echo \"on $?\"; if tsm cd none; then echo no; fi; tsm cd none; echo no",
    )
    .code(4)
    .says("on 4\n");

    let state = "state() { compgen -v; declare -F; set -o; shopt; trap -p; }\n";
    let ran = user.bash(&format!("{state}before='' after=''; before=$(state); tsm cd api; after=$(state); diff <(echo \"$before\") <(echo \"$after\")"));
    assert_eq!(
        ran.stdout.lines().filter(|line| line.starts_with('>')).collect::<Vec<_>>(),
        ["> OLDPWD"],
        "{ran:?}"
    );

    fs::remove_dir(&dir).unwrap();
    user.bash("here=$PWD; tsm cd api && echo no; [[ $PWD == \"$here\" ]]").code(0).complains("is gone: ");
    user.tsm(&["cd", "api"]).code(4).complains("the directory of api is gone");
}

#[test]
fn the_program_prints_it_and_says_at_a_terminal_what_is_needed() {
    let (user, dir) = user();
    let ran = user.ok(&["cd", "api"]);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), (format!("{dir}\n").as_str(), ""));
    assert_eq!(user.json(&["cd", "0"]), serde_json::json!({"name": "api", "dir": dir}));
    let (shown, code) = user.at_terminal(80, &["cd", "api"]);
    assert_eq!(code, 0);
    assert!(plain(&shown).contains("source shell/tsm.sh") && shown.contains(&dir), "{shown}");

    // The shell's own words for it, and a child shell that has no more than the exported function.
    for words in ["cd -- api", "cd --json api", "cd --help"] {
        user.bash(&format!("here=$PWD; tsm {words}; [[ $PWD == \"$here\" ]]"))
            .code(0)
            .says(if words.ends_with("help") { "Usage" } else { "dir" });
    }
    user.bash("bash -c 'tsm cd api'").code(0).says(&dir);
}
