//! Where in the command line of an interpreter or a shell its script stands.

/// The options of node, bun and tsx that take the next word as their value.
const OF_NODE: [&str; 12] = [
    "-r",
    "--require",
    "--import",
    "--loader",
    "--experimental-loader",
    "-C",
    "--conditions",
    "--env-file",
    "--preload",
    "--cwd",
    "--tsconfig",
    "--title",
];
const OF_DENO: [&str; 4] = ["-c", "--config", "--import-map", "--lock"];
const OF_PYTHON: [&str; 3] = ["-W", "-X", "--check-hash-based-pycs"];
/// Of bash, zsh and nu, next to `-o` and `-O`.
const OF_SHELLS: [&str; 5] = ["--rcfile", "--init-file", "--emulate", "--config", "--env-config"];

/// The place of the script that `program` was given: the first word that is neither an option nor the value of one, but for
/// `run` of bun and deno. None where code stands in the command line itself. The module of `python -m` counts as a script.
pub(super) fn of_interpreter(program: &str, argv: &[String]) -> Option<usize> {
    let (with_value, with_code): (&[&str], &[&str]) = if program.starts_with("py") {
        (&OF_PYTHON, &["-c"])
    } else if program == "deno" {
        (&OF_DENO, &[])
    } else {
        (&OF_NODE, &["-e", "--eval", "-p", "--print", "-pe"])
    };
    let mut words = argv.iter().enumerate().skip(1);
    let mut may_run = true;
    while let Some((at, word)) = words.next() {
        if with_code.contains(&word.as_str()) {
            return None;
        } else if with_value.contains(&word.as_str()) {
            words.next();
        } else if may_run && word == "run" {
            may_run = false;
        } else if !word.starts_with('-') {
            return Some(at);
        }
    }
    None
}

/// The same for a shell. What stands behind `-c` is code, and behind `-s` are arguments (POSIX, sh).
pub(super) fn of_shell(program: &str, argv: &[String]) -> Option<usize> {
    let mut words = argv.iter().enumerate().skip(1);
    while let Some((at, word)) = words.next() {
        if word == "--" || word == "-" {
            return words.next().map(|(at, _)| at);
        }
        if word.starts_with("--") {
            if word.starts_with("--command") {
                return None;
            }
            if OF_SHELLS.contains(&word.as_str()) {
                words.next();
            }
        } else if let Some(letters) = word.strip_prefix(['-', '+']) {
            if word.starts_with('-') && letters.contains(['c', 's']) {
                return None;
            }
            // `-C` is code that fish runs first; in other shells it stands alone.
            if letters.ends_with(['o', 'O']) || (program == "fish" && letters.ends_with('C')) {
                words.next();
            }
        } else {
            return Some(at);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(find: fn(&str, &[String]) -> Option<usize>, line: &str) -> Option<String> {
        let argv: Vec<String> = line.split(' ').map(String::from).collect();
        find(&argv[0], &argv).map(|at| argv[at].clone())
    }

    #[test]
    fn the_script_of_an_interpreter_is_no_value_of_an_option() {
        for (line, expected) in [
            ("node claude x", Some("claude")),
            ("node -r x.js claude", Some("claude")),
            ("node --no-warnings --require x.js --import=y.js claude", Some("claude")),
            ("node --require=x.js claude", Some("claude")),
            ("node -r claude server.js", Some("server.js")),
            ("node -e claude", None),
            ("node -r x.js", None),
            ("bun run --preload x.ts opencode.ts", Some("opencode.ts")),
            ("deno run -r -A npm:x", Some("npm:x")),
            ("deno run -c deno.json npm:x", Some("npm:x")),
            ("python3 -X dev -W error -m aider", Some("aider")),
            ("python3 -c claude", None),
            ("python3.12 run run", Some("run")),
        ] {
            assert_eq!(word(of_interpreter, line).as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn code_in_the_command_line_of_a_shell_is_no_script() {
        for (line, expected) in [
            ("bash claude -c x", Some("claude")),
            ("sh -e -u /bin/claude", Some("/bin/claude")),
            ("bash -euo pipefail claude", Some("claude")),
            ("bash +o posix --rcfile f --norc claude", Some("claude")),
            ("zsh -- claude", Some("claude")),
            ("fish -C init claude", Some("claude")),
            ("bash -C claude", Some("claude")),
            ("bash -c claude", None),
            ("bash -lc claude claude", None),
            ("bash -s claude", None),
            ("fish --command=claude claude", None),
            ("nu --commands claude", None),
            ("bash --", None),
            ("-bash", None),
        ] {
            assert_eq!(word(of_shell, line).as_deref(), expected, "{line}");
        }
    }
}
