//! The name of a process: `DIR-WHAT`, or what was given; the port is put behind it later.

use std::path::Path;

use super::program::{self, Target};
use crate::model::Name;

/// Room that a directory's name leaves for what is run in it, in characters.
const LEAST_DIR: usize = 24;

/// The base name of the command `plain` (its interpreter first) in `dir`.
pub(super) fn derive(dir: &Path, plain: &[String]) -> Name {
    let what = what(program::unwrapped(plain));
    let what = Name::reduce(&what);
    let dir = dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let room = 63_usize.saturating_sub(what.as_str().len()).max(LEAST_DIR);
    let dir: String = dir.chars().take(room).collect();
    Name::reduce(&format!("{dir}-{what}"))
}

/// What is run: the script's stem, the module, the script of package.json, or the program.
fn what(words: &[String]) -> String {
    let Some(first) = words.first() else { return String::new() };
    let own = || program::stem(first).to_owned();
    match program::base(first) {
        "npm" | "yarn" | "pnpm" => return package_script(&words[1..]).map_or_else(own, str::to_owned),
        "bun" if words.get(1).is_some_and(|word| word == "run") => {
            return package_script(&words[1..]).map_or_else(own, |script| program::stem(script).to_owned());
        }
        _ => {}
    }
    match program::target(words) {
        Some(Target::Module(module, _)) => module.split('.').next().unwrap_or_default().to_owned(),
        Some(Target::Script(script, _)) if Name::parse(program::stem(script)).is_ok() => {
            program::stem(script).to_owned()
        }
        _ => own(),
    }
}

/// `npm start` is `start`, `npm run dev` is `dev`, whatever options stand between.
fn package_script(words: &[String]) -> Option<&str> {
    let run = words.iter().position(|word| word == "run" || word == "run-script");
    let rest = run.map_or(words, |at| &words[at + 1..]);
    let mut value = false;
    rest.iter().map(String::as_str).find(|word| {
        let option = word.starts_with('-');
        let found = !option && !value;
        value =
            matches!(*word, "--prefix" | "-w" | "--workspace" | "--cwd" | "-C" | "--dir" | "--filter" | "-F");
        found
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(dir: &str, line: &str) -> String {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        derive(Path::new(dir), &words).to_string()
    }

    #[test]
    fn a_command_names_itself() {
        for (line, what) in [
            ("python -m http.server 8000", "http"),
            ("python -m uvicorn a:b", "uvicorn"),
            ("python server.py 9000", "server"),
            ("node app.js", "app"),
            ("node app", "app"),
            ("node src/index.mjs", "index"),
            ("npm start", "start"),
            ("npm run dev", "dev"),
            ("npm run dev:web", "dev-web"),
            ("npm --prefix web run dev", "dev"),
            ("npm -w web start", "start"),
            ("npm", "npm"),
            ("yarn dev", "dev"),
            ("pnpm run dev", "dev"),
            ("bun run dev", "dev"),
            ("go run main.go", "main"),
            ("go run ./cmd/server", "server"),
            ("go run .", "go"),
            ("cargo run", "cargo"),
            ("./target/debug/my-app", "my-app"),
            ("bash worker.sh", "worker"),
            ("./my-script.sh", "my-script"),
            ("./node_modules/.bin/vite", "vite"),
            ("npx vite", "vite"),
            ("uv run python -m http.server", "http"),
            ("php -S localhost:8080", "php"),
            ("python3.11 -c pass", "python3.11"),
            ("uvicorn main:app", "uvicorn"),
            ("sleep 300", "sleep"),
        ] {
            assert_eq!(name("/home/u/my-api", line), format!("my-api-{what}"), "{line}");
        }
    }

    #[test]
    fn odd_directories_still_give_a_name() {
        assert_eq!(name("/", "sleep 1"), "sleep");
        assert_eq!(name("/x/My Project (2)", "sleep 1"), "My-Project-2--sleep");
        assert_eq!(name("/x/проект", "sleep 1"), "sleep");
        let long = name(&format!("/x/{}", "d".repeat(200)), "python server.py");
        assert!(long.ends_with("-server") && long.len() == 64, "{long}");
    }

    proptest! {
        #[test]
        fn any_words_have_a_name(dir in "/\\PC{0,80}", words in prop::collection::vec("\\PC{0,70}|npm|run|python|-m", 0..5)) {
            let name = derive(Path::new(&dir), &words);
            prop_assert!(Name::parse(name.as_str()).is_ok());
        }
    }
}
