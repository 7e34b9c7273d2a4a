//! The module map: what each module may know of, and what may stand only in `src/sys`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What each module may use, beside itself. All may use what [`COMMON`] names.
const MAP: [(&str, &[&str]); 18] = [
    ("main", &["cli"]),
    (
        "cli",
        &[
            "agents",
            "capture",
            "control",
            "daemon",
            "envfile",
            "inspect",
            "logs",
            "plan",
            "render",
            "service",
            "store",
            "supervisor",
            "sys",
        ],
    ),
    ("daemon", &["agents", "capture", "inspect", "render", "store", "sys"]),
    ("capture", &["agents", "inspect", "store", "sys"]),
    ("agents", &["inspect", "store", "sys"]),
    ("supervisor", &["control", "envfile", "inspect", "store", "sys"]),
    ("inspect", &["control", "store", "sys"]),
    ("service", &["envfile", "render", "store", "sys"]),
    ("logs", &["render", "sys"]),
    ("control", &["sys"]),
    ("store", &["sys"]),
    ("envfile", &["sys"]),
    ("plan", &[]),
    ("render", &[]),
    ("sys", &[]),
    ("error", &[]),
    ("model", &[]),
    // The list of the modules.
    ("lib", &[]),
];

const COMMON: [&str; 2] = ["model", "error"];

/// The longest a file may be, in lines.
const LONGEST: usize = 450;

/// A file of `src`: its path there, and its text.
struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    /// `cli` for `cli/list.rs`, `error` for `error.rs`.
    fn module(&self) -> &str {
        let first = self.path.iter().next().and_then(|part| part.to_str()).unwrap();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// Its numbered lines without what is said in comments.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        // An address in a text keeps its slashes; no code behind it is of interest here.
        self.text.lines().map(|line| line.split("//").next().unwrap_or("")).enumerate()
    }

    /// As [`Source::lines`], as far as the tests at its foot.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let is_test = self.path.ends_with("tests.rs");
        self.lines().take_while(move |(_, line)| !is_test && line.trim() != "#[cfg(test)]")
    }
}

fn sources() -> Vec<Source> {
    fn collect(root: &Path, dir: &Path, all: &mut Vec<Source>) {
        for item in fs::read_dir(dir).unwrap().flatten() {
            let path = item.path();
            if path.is_dir() {
                collect(root, &path, all);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                all.push(Source { path: path.strip_prefix(root).unwrap().to_owned(), text });
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut all = Vec::new();
    collect(&root, &root, &mut all);
    all.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(all.len() > 80, "only {} files in {}", all.len(), root.display());
    all
}

/// The modules of this crate that a line names: `crate::a::B`, `crate::{a, b::C}`, and `tsm::a` in `main.rs`.
fn named(line: &str) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    for root in ["crate::", "tsm::"] {
        for (at, _) in line.match_indices(root) {
            if line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
                continue;
            }
            let rest = &line[at + root.len()..];
            let parts: Vec<&str> = match rest.strip_prefix('{') {
                Some(several) => several.split(',').collect(),
                None => vec![rest],
            };
            for part in parts {
                let end = part.trim_start().find(|c: char| !c.is_alphanumeric() && c != '_');
                let name = end.map_or(part.trim_start(), |end| &part.trim_start()[..end]);
                found.extend(MAP.iter().map(|(module, _)| *module).find(|module| *module == name));
            }
        }
    }
    found
}

/// All broken rules in one message.
#[track_caller]
fn none(rule: &str, broken: &[String]) {
    assert!(broken.is_empty(), "{rule}:\n  {}", broken.join("\n  "));
}

#[test]
fn imports_point_down_the_map() {
    let mut broken = Vec::new();
    let mut edges = 0;
    for source in sources() {
        let module = source.module();
        let Some((_, allowed)) = MAP.iter().find(|(name, _)| *name == module) else {
            broken.push(format!("{} belongs to no module of the map", source.path.display()));
            continue;
        };
        for (at, line) in source.lines() {
            for other in named(line) {
                edges += 1;
                if other != module && !allowed.contains(&other) && !COMMON.contains(&other) {
                    broken.push(format!(
                        "src/{}:{}: {module} must not know {other}",
                        source.path.display(),
                        at + 1
                    ));
                }
            }
        }
    }
    none("an import that the module map does not allow", &broken);
    assert!(edges > 100, "the test sees only {edges} imports");
}

#[test]
fn the_map_is_read_from_every_form_of_an_import() {
    for (line, modules) in [
        ("use crate::sys::tty;", vec!["sys"]),
        ("use crate::{error::Error, store};", vec!["error", "store"]),
        ("    Err(crate::error::Error::failed(crate::sys::x()))", vec!["error", "sys"]),
        ("    tsm::cli::main()", vec!["cli"]),
        ("use other_crate::sys;", vec![]),
    ] {
        assert_eq!(named(line).into_iter().collect::<Vec<_>>(), modules, "{line}");
    }
}

#[test]
fn only_sys_is_unsafe_and_knows_the_platform() {
    let mut broken = Vec::new();
    for source in sources().iter().filter(|source| source.module() != "sys") {
        for (at, line) in source.code() {
            for word in ["unsafe", "libc::", "cfg(target_os", "cfg(not(target_os", "cfg!(target_os"] {
                if line.contains(word) && !line.contains("unsafe_code") {
                    broken.push(format!("src/{}:{}: {word}", source.path.display(), at + 1));
                }
            }
        }
    }
    none("outside of src/sys", &broken);
}

#[test]
fn programs_are_started_in_sys() {
    let mut broken = Vec::new();
    for source in sources().iter().filter(|source| source.module() != "sys") {
        for (at, line) in source.code() {
            // Exit codes are no programs, and clap's commands are made by its derive.
            let named = line.contains("std::process::")
                && ["Command", "Child", "process::{"].iter().any(|word| line.contains(word));
            if named || line.contains("Command::new(") {
                broken.push(format!("src/{}:{}: {}", source.path.display(), at + 1, line.trim()));
            }
        }
    }
    none("a program is started outside of src/sys", &broken);
}

#[test]
fn no_file_is_too_long_and_each_says_what_it_owns() {
    let mut broken = Vec::new();
    for source in sources() {
        let lines = source.text.lines().count();
        if lines > LONGEST {
            broken.push(format!("src/{} has {lines} lines, over {LONGEST}", source.path.display()));
        }
        if !source.text.starts_with("//! ") {
            broken.push(format!("src/{} does not begin with what it owns", source.path.display()));
        }
    }
    none("a file", &broken);
}
