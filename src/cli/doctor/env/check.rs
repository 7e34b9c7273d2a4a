//! Judging an environment file by what it says: facts in, findings out.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::super::finding::Finding;
use crate::envfile::{Assignment, Problem, looks_secret, looks_unfilled, shown};
use crate::render::shell_quote::quote;

/// Who has the port that the file sets.
pub(super) struct Holder {
    /// In words.
    pub(super) text: String,
    /// It was started with this very file.
    pub(super) ours: bool,
}

/// Everything that is known of an environment file.
pub(super) struct Facts {
    /// Its path.
    pub(super) path: PathBuf,
    /// Its lines.
    pub(super) lines: Vec<Result<Assignment, Problem>>,
    /// Its line ends are those of Windows.
    pub(super) crlf: bool,
    /// What bash says of its syntax.
    pub(super) syntax: Option<String>,
    /// It is read unasked where it is, and then only its assignments are.
    pub(super) unasked: bool,
    /// The permission bits.
    pub(super) mode: u32,
    /// git has it in its index.
    pub(super) tracked: bool,
    /// Who has its port.
    pub(super) holder: Option<Holder>,
}

/// `PORT` as the last line that sets it says.
pub(super) fn port_of(lines: &[Result<Assignment, Problem>]) -> Option<&str> {
    let set = lines.iter().flatten().rfind(|one| one.name == "PORT");
    set.map(|one| one.value.trim()).filter(|value| !value.is_empty())
}

/// What the file sets, as it may be shown.
pub(super) fn sets(lines: &[Result<Assignment, Problem>]) -> BTreeMap<String, String> {
    lines.iter().flatten().map(|one| (one.name.clone(), shown(&one.name, &one.value))).collect()
}

pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    let mut found = Vec::new();
    let path = facts.path.display();
    let quoted = facts.path.to_string_lossy();
    let quoted = quote(&quoted);
    let edit = |line: usize| format!("${{EDITOR:-vi}} +{line} {quoted}");
    match &facts.syntax {
        Some(why) => found.push(Finding::error(why.clone(), format!("${{EDITOR:-vi}} {quoted}"))),
        None => found.push(Finding::ok("bash can read it")),
    }
    let assigned: Vec<&Assignment> = facts.lines.iter().flatten().collect();
    for one in facts.lines.iter().filter_map(|line| line.as_ref().err()) {
        let place = format!("{path}:{}", one.line);
        found.push(if facts.unasked {
            Finding::warning(
                format!("{place}: passed over unless the file is named with --env: {}", one.why),
                format!("tsm start --env {quoted} …, or {}", edit(one.line)),
            )
        } else {
            Finding::info(format!("{place}: only bash can tell what it does: {}", one.why))
        });
    }
    if facts.crlf {
        found.push(Finding::warning(
            "its lines end as on Windows; bash takes the carriage returns as part of the values",
            format!("sed -i 's/\\r$//' {quoted}"),
        ));
    }
    for one in &assigned {
        let place = format!("{path}:{}", one.line);
        if looks_unfilled(&one.value) {
            found.push(Finding::warning(
                format!("{place}: {} looks like a placeholder that nobody has filled in", one.name),
                edit(one.line),
            ));
        }
        for name in &one.undefined {
            found.push(Finding::warning(
                format!("{place}: ${name} is set neither before nor in this shell, and reads as empty"),
                edit(one.line),
            ));
        }
    }
    let twice = assigned.iter().enumerate().filter_map(|(at, one)| {
        let later = assigned[at + 1..].iter().find(|later| later.name == one.name)?;
        Some(Finding::info(format!("{path}:{}: {} is set again in line {}", one.line, one.name, later.line)))
    });
    found.extend(twice);
    found.extend(privacy(facts, &assigned, &quoted));
    found
}

/// Whether its port is one that can be had.
pub(super) fn port(facts: &Facts) -> Finding {
    let Some(text) = port_of(&facts.lines) else {
        return Finding::info("it sets no PORT; tsm start finds one where one is needed");
    };
    match (text.parse::<u16>().ok().filter(|port| *port != 0), &facts.holder) {
        (None, _) => Finding::warning(
            format!("PORT={text} is not a port from 1 to 65535; tsm start does not use it"),
            format!("${{EDITOR:-vi}} {}", quote(&facts.path.to_string_lossy())),
        ),
        (Some(port), None) => Finding::ok(format!("PORT={port} is free")),
        (Some(port), Some(holder)) if holder.ours => {
            Finding::ok(format!("PORT={port} is used by {}, which was started with this file", holder.text))
        }
        (Some(port), Some(holder)) => Finding::warning(
            format!("PORT={port} is taken by {}", holder.text),
            format!("tsm doctor port {port}"),
        ),
    }
}

fn privacy(facts: &Facts, assigned: &[&Assignment], quoted: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    let secret = |one: &&&Assignment| {
        let hidden = looks_secret(&one.name) || shown(&one.name, &one.value) != one.value;
        hidden && !one.value.is_empty() && !looks_unfilled(&one.value)
    };
    let secrets: Vec<&str> = assigned.iter().filter(secret).map(|one| one.name.as_str()).collect();
    if let Some(first) = secrets.first() {
        if facts.mode & 0o077 != 0 {
            let mode = facts.mode;
            found.push(Finding::warning(
                format!("others can read it (mode {mode:04o}), and it holds secrets such as {first}"),
                format!("chmod 600 {quoted}"),
            ));
        }
        if facts.tracked {
            found.push(Finding::warning(
                format!("git tracks it, and it holds secrets such as {first}"),
                format!("git rm --cached {quoted}, and change what was published"),
            ));
        }
    }
    if facts.mode & 0o002 != 0 {
        let what = "anybody can write it, and bash executes it where it is named";
        found.push(Finding::warning(what, format!("chmod o-w {quoted}")));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::super::finding::Level;
    use super::*;
    use crate::envfile::assignments;

    fn facts(text: &str) -> Facts {
        Facts {
            path: "/e".into(),
            lines: assignments::parse(text, &|_| None),
            crlf: false,
            syntax: None,
            unasked: false,
            mode: 0o600,
            tracked: false,
            holder: None,
        }
    }

    fn bad(facts: &Facts) -> Vec<String> {
        let worth = |one: &Finding| matches!(one.level, Level::Warning | Level::Error);
        findings(facts).into_iter().chain([port(facts)]).filter(worth).map(|one| one.what).collect()
    }

    #[test]
    fn a_good_file_gives_no_warning_and_each_fault_gives_one() {
        assert_eq!(bad(&facts("export PORT=4000\nNODE_ENV=development\nAPI_KEY=k3y\n")), [""; 0]);
        for (text, words) in [
            ("API_KEY=your-key-here\n", "/e:1: API_KEY looks like a placeholder"),
            ("A=1\nB=$NOPE/x\n", "/e:2: $NOPE is set neither"),
            ("PORT=abc\n", "PORT=abc is not a port"),
            ("PORT=0\n", "PORT=0 is not a port"),
        ] {
            let found = bad(&facts(text));
            assert!(found.len() == 1 && found[0].starts_with(words), "{text:?}: {found:?}");
        }
        let secret = "TOKEN=abc\n";
        for facts in [
            Facts { mode: 0o644, ..facts(secret) },
            Facts { tracked: true, ..facts(secret) },
            Facts { mode: 0o602, ..facts("A=1\n") },
            Facts { crlf: true, ..facts(secret) },
            Facts { unasked: true, ..facts("if true; then A=1; fi\n") },
            Facts { syntax: Some("/e:1: why".into()), ..facts("") },
            Facts { holder: Some(Holder { text: "web".into(), ours: false }), ..facts("PORT=1\n") },
        ] {
            assert_eq!(bad(&facts).len(), 1, "{:?}", bad(&facts));
        }
        // Nobody reads a secret that is none.
        for facts in [
            Facts { mode: 0o644, ..facts("A=1\nTOKEN=\n") },
            Facts { tracked: true, ..facts("A=1\n") },
            Facts { holder: Some(Holder { text: "web".into(), ours: true }), ..facts("PORT=1\n") },
            facts("if true; then A=1; fi\n"),
            facts("A=1\nA=2\n"),
        ] {
            assert_eq!(bad(&facts), [""; 0]);
        }
    }
}
