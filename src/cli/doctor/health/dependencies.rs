//! The programs that TSM, or what is usually started with it, runs by.

use std::path::PathBuf;

use super::Finding;
use crate::envfile;

/// The oldest bash that the shell layer takes.
const OLDEST: (u32, u32) = (4, 4);

/// What is installed.
pub(super) struct Facts {
    /// The bash that env files are sourced with, and its version.
    bash: Option<(PathBuf, String)>,
    /// Interpreters, by name.
    interpreters: Vec<(&'static str, Option<PathBuf>)>,
}

impl Facts {
    pub(super) fn gather() -> Self {
        let found = |name| (name, which::which(name).ok());
        Facts { bash: envfile::bash_version(), interpreters: vec![found("python3"), found("node")] }
    }
}

pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    let mut found = vec![Finding::ok("lsof, jq, ps, netstat: not needed")];
    found.push(match &facts.bash {
        None => Finding::warning(
            "bash: not found; named env files and commands with shell syntax need it",
            "install bash",
        ),
        Some((path, version)) if is_older(version) => Finding::warning(
            format!("bash: {version} ({}); the shell layer needs {}.{}", path.display(), OLDEST.0, OLDEST.1),
            "install a newer bash, and put it first on PATH; the tsm binary works without",
        ),
        Some((path, version)) => Finding::ok(format!("bash: {version} ({})", path.display())),
    });
    for (name, path) in &facts.interpreters {
        found.push(match path {
            Some(path) => Finding::ok(format!("{name}: {}", path.display())),
            None => Finding::info(format!("{name}: not found (only programs that need it do)")),
        });
    }
    found
}

fn is_older(version: &str) -> bool {
    let mut numbers = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) < OLDEST
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn bash_is_judged_by_its_version() {
        for (version, level) in [
            (Some("5.2.15(1)-release"), Level::Ok),
            (Some("4.4.0(1)-release"), Level::Ok),
            (Some("4.3.48(1)-release"), Level::Warning),
            (Some("3.2.57(1)-release"), Level::Warning),
            (None, Level::Warning),
        ] {
            let bash = version.map(|version| ("/bin/bash".into(), version.to_owned()));
            let found = findings(&Facts { bash, interpreters: vec![("node", None)] });
            assert_eq!(found[1].level, level, "{version:?}");
            assert_eq!(found[2].level, Level::Info);
        }
    }
}
