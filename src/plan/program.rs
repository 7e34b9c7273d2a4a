//! Which word of a command is its program, and which is the script that an interpreter runs.

/// Programs that only run another one; each with the words that belong to it (`npx`, `uv run`).
const WRAPPERS: &[&[&str]] = &[
    &["npx"],
    &["bunx"],
    &["pnpx"],
    &["uvx"],
    &["nohup"],
    &["setsid"],
    &["time"],
    &["command"],
    &["caffeinate"],
    &["sudo"],
    &["stdbuf"],
    &["nice"],
    &["ionice"],
    &["direnv", "exec", "."],
    &["mise", "exec", "--"],
    &["npm", "exec"],
    &["npm", "exec", "--"],
    &["pnpm", "exec"],
    &["pnpm", "dlx"],
    &["yarn", "exec"],
    &["yarn", "dlx"],
    &["uv", "run"],
    &["poetry", "run"],
    &["pipenv", "run"],
    &["pdm", "run"],
    &["hatch", "run"],
    &["rye", "run"],
    &["bundle", "exec"],
    &["dotenv", "--"],
    &["doppler", "run", "--"],
    &["op", "run", "--"],
];

/// What an interpreter runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    /// `python`, `python3.11`, `pypy3`, …
    Python,
    /// `node`, `deno`, `bun`, `tsx`.
    Script,
    /// `bash`, `sh` and kin.
    Shell,
    /// `ruby`, `php`, `perl`, `lua`.
    Other,
    /// `go run`.
    Go,
}

/// What follows an interpreter and its options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target<'a> {
    /// A script file, and its place among the words.
    Script(&'a str, usize),
    /// `python -m MODULE`, and the module's place.
    Module(&'a str, usize),
    /// Program text on the command line, or nothing.
    Inline,
}

/// The last part of a path.
pub(super) fn base(word: &str) -> &str {
    word.trim_end_matches('/').rsplit('/').next().unwrap_or(word)
}

/// A file name without its directory and the ending of a script; other dots stay (`app.server.py` is `app.server`).
pub(super) fn stem(word: &str) -> &str {
    let name = base(word);
    match name.rsplit_once('.') {
        Some((stem, ending)) if !stem.is_empty() && ENDINGS.contains(&ending) => stem,
        _ => name,
    }
}

/// The endings of scripts.
const ENDINGS: &[&str] =
    &["py", "js", "mjs", "cjs", "ts", "mts", "cts", "sh", "bash", "rb", "php", "pl", "lua", "go"];

/// `words` from the program that matters on: without `npx`, `uv run` and the like, and their options.
pub(super) fn unwrapped(words: &[String]) -> &[String] {
    let mut rest = words;
    loop {
        let wraps = |wrapper: &&&[&str]| {
            rest.len() > wrapper.len()
                && wrapper
                    .iter()
                    .zip(rest)
                    .enumerate()
                    .all(|(i, (want, word))| if i == 0 { base(word) == *want } else { word == want })
        };
        let Some(wrapper) = WRAPPERS.iter().filter(wraps).max_by_key(|wrapper| wrapper.len()) else {
            return rest;
        };
        let inner = &rest[wrapper.len()..];
        let Some(program) = inner.iter().position(|word| !word.starts_with('-')) else { return rest };
        rest = &inner[program..];
    }
}

/// The language of the interpreter or script at the start of `words`: whole names and versions only.
pub(super) fn language(words: &[String]) -> Option<Language> {
    let program = base(words.first()?);
    let unversioned = program.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    match unversioned {
        "python" | "pypy" => Some(Language::Python),
        "ruby" | "php" | "perl" | "lua" | "luajit" => Some(Language::Other),
        _ => match program {
            "node" | "nodejs" | "deno" | "bun" | "tsx" | "ts-node" | "nodemon" => Some(Language::Script),
            "bash" | "sh" | "zsh" | "dash" | "ksh" => Some(Language::Shell),
            "go" if words.get(1).is_some_and(|word| word == "run") => Some(Language::Go),
            _ => of_ending(program),
        },
    }
}

/// The language of a script that is its own program, as in `uv run app.py`.
fn of_ending(script: &str) -> Option<Language> {
    match script.rsplit_once('.')?.1 {
        "py" => Some(Language::Python),
        "js" | "mjs" | "cjs" | "ts" | "mts" | "cts" => Some(Language::Script),
        "sh" | "bash" => Some(Language::Shell),
        "rb" | "php" | "pl" | "lua" => Some(Language::Other),
        _ => None,
    }
}

/// What the interpreter at the start of `words` runs; `None` when there is no interpreter.
pub(super) fn target(words: &[String]) -> Option<Target<'_>> {
    let language = language(words)?;
    let first = words.first()?;
    if stem(first) != base(first) {
        return Some(Target::Script(first, 0));
    }
    let mut at = 1;
    while let Some(word) = words.get(at).map(String::as_str) {
        match (language, word) {
            (Language::Python, "-m") => {
                return Some(
                    words.get(at + 1).map_or(Target::Inline, |module| Target::Module(module, at + 1)),
                );
            }
            (
                Language::Script,
                "-e" | "--eval" | "-p" | "--print" | "--test" | "-i" | "eval" | "task" | "repl",
            )
            | (Language::Python | Language::Shell, "-c")
            | (Language::Other, "-e" | "-r" | "-S" | "artisan") => return Some(Target::Inline),
            (Language::Python, "-W" | "-X")
            | (
                Language::Script,
                "-r" | "--require" | "--import" | "--loader" | "--env-file" | "--watch-path" | "--exec"
                | "-C",
            )
            | (Language::Shell, "-o" | "-O" | "--rcfile" | "--init-file")
            | (Language::Other, "-I" | "-t" | "-d" | "-c")
            | (Language::Go, "-tags" | "-ldflags" | "-gcflags" | "-exec" | "-mod") => at += 2,
            (Language::Go | Language::Script, "run" | "serve" | "watch") if at == 1 => at += 1,
            _ if word.starts_with('-') && word.len() > 1 => at += 1,
            _ => return Some(Target::Script(word, at)),
        }
    }
    Some(Target::Inline)
}

/// The script file that `argv` runs, as it is written there, where a file of that name must exist: it has an ending of
/// its language. An interpreter may find one without an ending elsewhere (`node app`, `bun dev`).
pub fn script(argv: &[String]) -> Option<&str> {
    let words = unwrapped(argv);
    match (language(words)?, target(words)?) {
        (Language::Go, _) => None,
        (_, Target::Script(script, _)) => {
            Some(script).filter(|script| of_ending(base(script)).is_some() && !script.contains("://"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn wrappers_are_looked_through() {
        for (line, program) in [
            ("npx vite --host", "vite"),
            ("npx --yes vite", "vite"),
            ("uv run python app.py", "python"),
            ("bundle exec rails server", "rails"),
            ("nohup poetry run flask run", "flask"),
            ("npm exec -- vite", "vite"),
            ("npm run dev", "npm"),
            ("npx", "npx"),
            ("nohup", "nohup"),
            ("npxx vite", "npxx"),
        ] {
            assert_eq!(unwrapped(&words(line))[0], program, "{line}");
        }
    }

    #[test]
    fn the_script_is_the_first_word_that_is_no_option() {
        for (line, expected) in [
            ("python server.py 9000", Some(Target::Script("server.py", 1))),
            ("python3.11 -u -W ignore a.py", Some(Target::Script("a.py", 4))),
            ("python -m http.server", Some(Target::Module("http.server", 2))),
            ("python -c pass", Some(Target::Inline)),
            ("node -r dotenv/config app.js", Some(Target::Script("app.js", 3))),
            ("node -e 1", Some(Target::Inline)),
            ("deno run -A main.ts", Some(Target::Script("main.ts", 3))),
            ("go run ./cmd/x", Some(Target::Script("./cmd/x", 2))),
            ("go build", None),
            ("bash -c ls", Some(Target::Inline)),
            ("bash -eu w.sh", Some(Target::Script("w.sh", 2))),
            ("php -S localhost:1", Some(Target::Inline)),
            ("pythonic x", None),
            ("node", Some(Target::Inline)),
            ("./server.py 1", Some(Target::Script("./server.py", 0))),
            ("./server", None),
        ] {
            assert_eq!(target(&words(line)), expected, "{line}");
        }
        assert_eq!(
            ["a/b.py", "x", "a.b.js", ".py", "w.service", "/"].map(stem),
            ["b", "x", "a.b", ".py", "w.service", ""]
        );
    }

    #[test]
    fn a_script_is_known_by_its_ending() {
        for (line, expected) in [
            ("python3 server.py 8000", Some("server.py")),
            ("uv run --quiet app.py", Some("app.py")),
            ("node --watch src/main.mjs", Some("src/main.mjs")),
            ("./run.sh", Some("./run.sh")),
            ("node app", None),
            ("bun run dev", None),
            ("python3 -m http.server", None),
            ("deno run https://example.org/x.ts", None),
            ("go run main.go", None),
            ("sleep 10", None),
        ] {
            assert_eq!(script(&words(line)), expected, "{line}");
        }
    }
}
