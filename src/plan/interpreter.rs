//! What runs a script: its shebang, its ending, and the virtualenv of its directory.
//!
//! An explicit path or version (`/usr/bin/python3`, `python3.11`) is never replaced, and only whole names count.

use std::path::{Path, PathBuf};

use super::request::Facts;

/// Enough for the longest shebang that Linux reads (`execve(2)`), with room.
const SHEBANG: usize = 512;

/// Where a virtualenv of a directory is.
const VIRTUALENVS: &[&str] = &[".venv", "venv"];

/// What runs a TypeScript file, the first that is there. `tsx` and `bun` run the most programs unchanged; `deno` asks
/// for permissions, so it gets them all; `node` strips types by itself since 22.18.
const TYPESCRIPT: &[&[&str]] = &[&["tsx"], &["bun"], &["deno", "run", "-A"], &["node"]];

/// A command with its interpreter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Interpreted {
    /// What is executed instead of the program's words.
    pub(super) argv: Vec<String>,
    /// The same in plain names (`python server.py`), to be matched and understood.
    pub(super) plain: Vec<String>,
    /// Why, where something was decided.
    pub(super) why: Option<String>,
}

/// Finds what runs `words`, a program and its arguments, in `dir`.
pub(super) fn interpret(words: &[String], dir: &Path, facts: &dyn Facts) -> Interpreted {
    let unchanged = || Interpreted { argv: words.to_vec(), plain: words.to_vec(), why: None };
    let Some(program) = words.first().filter(|word| !word.is_empty()) else { return unchanged() };
    if !program.contains('/') {
        if let Some((first, why)) = named(program, dir, facts) {
            return Interpreted { argv: replaced(words, &[first]), plain: words.to_vec(), why: Some(why) };
        }
        if facts.on_path(program) {
            return unchanged();
        }
    }
    let path = dir.join(program);
    if !facts.is_file(&path) {
        return unchanged();
    }
    script(program, words, &path, dir, facts).unwrap_or_else(unchanged)
}

/// What a program given by its bare name really is.
fn named(program: &str, dir: &Path, facts: &dyn Facts) -> Option<(String, String)> {
    let versioned = program.strip_prefix("python").is_some_and(|version| version.contains('.'));
    if !versioned {
        for venv in VIRTUALENVS {
            let bin = dir.join(venv).join("bin").join(program);
            if facts.is_executable(&bin) {
                return Some((
                    bin.to_string_lossy().into_owned(),
                    format!("{program} of the virtualenv {venv}"),
                ));
            }
        }
    }
    (program == "python" && !facts.on_path("python") && facts.on_path("python3"))
        .then(|| ("python3".to_owned(), "there is no python, but python3".to_owned()))
}

/// The file `path`, typed as `program`, with what runs it; `None` when it runs by itself.
fn script(
    program: &str,
    words: &[String],
    path: &Path,
    dir: &Path,
    facts: &dyn Facts,
) -> Option<Interpreted> {
    let head = facts.read_head(path, SHEBANG).unwrap_or_default();
    let shebang = shebang(&head);
    let executable = facts.is_executable(path);
    // `execvp(3)` looks a word without a slash up on PATH.
    let typed = if program.contains('/') { program.to_owned() } else { format!("./{program}") };
    if let (Some(by), true) = (&shebang, executable) {
        let plain = [plain_name(by), words.to_vec()].concat();
        return Some(Interpreted {
            argv: replaced(words, &[typed]),
            plain,
            why: Some(format!("{program} runs by its shebang")),
        });
    }
    if let Some(by) = shebang {
        let plain = [plain_name(&by), words.to_vec()].concat();
        let (by, extra) = resolved(by, dir, facts);
        let why = format!("{program} is not executable, so its shebang is run{extra}");
        return Some(Interpreted { argv: [by, words.to_vec()].concat(), plain, why: Some(why) });
    }
    let binary = executable && head.contains(&0) || head.starts_with(b"\x7fELF");
    if let Some(by) = by_ending(path, dir, facts).filter(|_| !binary) {
        let plain = [by.clone(), words.to_vec()].concat();
        let (by, extra) = resolved(by, dir, facts);
        let ending = path.extension().unwrap_or_default().to_string_lossy();
        let why = format!("{program} ends in .{ending}, so {} runs it{extra}", plain[0]);
        return Some(Interpreted { argv: [by, words.to_vec()].concat(), plain, why: Some(why) });
    }
    // Found here and not on PATH: the file is meant, whatever it is.
    (typed != program).then(|| Interpreted {
        argv: replaced(words, &[typed]),
        plain: words.to_vec(),
        why: Some(format!("{program} is a file of this directory")),
    })
}

/// An interpreter's words after the virtualenv and `python3` had their say, and a remark on that.
fn resolved(mut by: Vec<String>, dir: &Path, facts: &dyn Facts) -> (Vec<String>, String) {
    let found = by.first().filter(|first| !first.contains('/')).and_then(|first| named(first, dir, facts));
    match found {
        Some((first, why)) => {
            by[0] = first;
            (by, format!(" ({why})"))
        }
        None => (by, String::new()),
    }
}

fn replaced(words: &[String], first: &[String]) -> Vec<String> {
    first.iter().chain(words.iter().skip(1)).cloned().collect()
}

fn plain_name(by: &[String]) -> Vec<String> {
    by.iter()
        .enumerate()
        .map(|(i, word)| if i == 0 { super::program::base(word).to_owned() } else { word.clone() })
        .collect()
}

/// The words of a shebang: `#!/usr/bin/env node` is `node`, `#!/bin/bash -e` keeps its path.
fn shebang(head: &[u8]) -> Option<Vec<String>> {
    let line = head.strip_prefix(b"#!")?.split(|&byte| byte == b'\n').next()?;
    let line = String::from_utf8_lossy(line);
    let line = line.trim();
    let (program, rest) =
        line.split_once(char::is_whitespace).map_or((line, ""), |(program, rest)| (program, rest.trim()));
    let words: Vec<String> = if super::program::base(program) == "env" {
        let rest = rest.strip_prefix("-S").unwrap_or(rest);
        rest.split_whitespace().map(str::to_owned).collect()
    } else {
        // The kernel passes all that follows the program as one argument.
        [program, rest].into_iter().filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    (!words.is_empty()).then_some(words)
}

fn by_ending(path: &Path, dir: &Path, facts: &dyn Facts) -> Option<Vec<String>> {
    let words: &[&str] = match path.extension()?.to_str()? {
        "py" => &["python"],
        "js" | "mjs" | "cjs" => &["node"],
        "ts" | "mts" | "cts" => return Some(typescript(dir, facts)),
        "sh" | "bash" => &["bash"],
        "rb" => &["ruby"],
        "php" => &["php"],
        "pl" => &["perl"],
        "lua" => &["lua"],
        "go" => &["go", "run"],
        _ => return None,
    };
    Some(words.iter().map(|&word| word.to_owned()).collect())
}

fn typescript(dir: &Path, facts: &dyn Facts) -> Vec<String> {
    let local: PathBuf = dir.join("node_modules/.bin/tsx");
    if facts.is_executable(&local) {
        return vec![local.to_string_lossy().into_owned()];
    }
    let there = TYPESCRIPT.iter().find(|words| facts.on_path(words[0])).unwrap_or(&TYPESCRIPT[3]);
    there.iter().map(|&word| word.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::world::{DIR, World};
    use super::*;

    fn run(world: &World, line: &str) -> (String, String) {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let found = interpret(&words, Path::new(DIR), world);
        (found.argv.join(" "), found.plain.join(" "))
    }

    fn assert_runs(world: &World, line: &str, argv: &str) {
        assert_eq!(run(world, line).0, argv, "{line}");
    }

    #[test]
    fn a_lone_script_gets_its_interpreter_and_keeps_its_arguments() {
        let world =
            ["a.py", "a.js", "a.mjs", "a.cjs", "a.sh", "a.rb", "a.php", "a.pl", "a.lua", "a.go", "a.ts"]
                .iter()
                .fold(World::default(), |world, name| world.file(name, "x"));
        for (line, argv) in [
            ("a.py 9000", "python a.py 9000"),
            ("./a.py", "python ./a.py"),
            ("a.js", "node a.js"),
            ("a.mjs", "node a.mjs"),
            ("a.cjs", "node a.cjs"),
            ("a.sh", "bash a.sh"),
            ("a.rb -p 4000", "ruby a.rb -p 4000"),
            ("a.php", "php a.php"),
            ("a.pl", "perl a.pl"),
            ("a.lua", "lua a.lua"),
            ("a.go", "go run a.go"),
            ("a.ts", "tsx a.ts"),
            ("missing.py", "missing.py"),
            ("sleep 3", "sleep 3"),
        ] {
            assert_runs(&world, line, argv);
        }
    }

    #[test]
    fn typescript_runs_by_the_first_that_is_there() {
        let world = |absent: &[&str]| World::default().file("a.ts", "").without(absent);
        assert_runs(&world(&["tsx"]), "a.ts", "bun a.ts");
        assert_runs(&world(&["tsx", "bun"]), "a.ts", "deno run -A a.ts");
        assert_runs(&world(&["tsx", "bun", "deno"]), "a.ts", "node a.ts");
        let local = World::default().file("a.ts", "").executable("node_modules/.bin/tsx", "");
        assert_runs(&local, "a.ts", &format!("{DIR}/node_modules/.bin/tsx a.ts"));
    }

    #[test]
    fn a_shebang_comes_before_the_ending() {
        let world = World::default()
            .executable("x.py", "#!/usr/bin/env ruby\n")
            .file("y.py", "#!/usr/bin/env node\n")
            .file("z", "#!/bin/bash -e -u\n")
            .file("s", "#!/usr/bin/env -S deno run -A\n")
            .executable("noshebang.py", "print()")
            .executable("binary.py", "\u{7f}ELF")
            .executable("tool", "\u{7f}ELF");
        let world = world.without(&["tool", "z", "s"]);
        assert_eq!(run(&world, "x.py 1"), ("./x.py 1".into(), "ruby x.py 1".into()));
        assert_eq!(run(&world, "./x.py"), ("./x.py".into(), "ruby ./x.py".into()));
        assert_runs(&world, "y.py", "node y.py");
        assert_eq!(run(&world, "z"), ("/bin/bash -e -u z".into(), "bash -e -u z".into()));
        assert_runs(&world, "s", "deno run -A s");
        assert_runs(&world, "noshebang.py", "python noshebang.py");
        assert_runs(&world, "./binary.py", "./binary.py");
        assert_runs(&world, "tool a", "./tool a");
        assert_runs(&World::default().file("ls", "x"), "ls", "ls");
    }

    #[test]
    fn python_is_the_virtualenvs_then_python_then_python3() {
        let without = World::default().file("a.py", "").without(&["python"]);
        assert_eq!(run(&without, "python a.py"), ("python3 a.py".into(), "python a.py".into()));
        assert_runs(&without, "a.py", "python3 a.py");
        assert_runs(&without, "/usr/bin/python a.py", "/usr/bin/python a.py");
        assert_runs(&World::default(), "python a.py", "python a.py");
        let bin = format!("{DIR}/.venv/bin");
        let venv = ["python", "python3", "python3.11", "uvicorn"]
            .iter()
            .fold(World::default().file("a.py", ""), |world, name| {
                world.executable(&format!(".venv/bin/{name}"), "")
            });
        for (line, argv) in [
            ("python a.py", format!("{bin}/python a.py")),
            ("python3 -m http.server", format!("{bin}/python3 -m http.server")),
            ("a.py", format!("{bin}/python a.py")),
            ("uvicorn m:app", format!("{bin}/uvicorn m:app")),
            ("python3.11 a.py", "python3.11 a.py".into()),
            ("/usr/bin/python3 a.py", "/usr/bin/python3 a.py".into()),
            ("pythonic", "pythonic".into()),
        ] {
            assert_runs(&venv, line, &argv);
        }
        let plain = World::default().executable("venv/bin/python", "");
        assert_runs(&plain, "python x", &format!("{DIR}/venv/bin/python x"));
    }
}
