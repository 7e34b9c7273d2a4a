//! The variables that say where things are, and which ports are allocated from.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use super::super::super::context::Context;
use super::Finding;
use crate::render::shell_quote::quote;
use crate::sys::{sockets, user};

/// A variable of the calling shell that names a directory.
pub(super) struct Variable {
    name: &'static str,
    value: Option<PathBuf>,
    is_dir: bool,
}

impl Variable {
    fn read(name: &'static str) -> Self {
        let value = std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        Variable { name, is_dir: value.as_ref().is_some_and(|path| path.is_dir()), value }
    }
}

/// What is known of the environment.
pub(super) struct Facts {
    /// `TETRA_SRC`, `TETRA_DIR`, `TSM_SRC`.
    set: Vec<Variable>,
    /// `TSM_DIR` as it was exported, and as it is used.
    asked: Option<PathBuf>,
    root: PathBuf,
    root_is_there: bool,
    root_is_dir: bool,
    /// What the shell layer derives of it: as it was exported, and as it is used.
    derived: Vec<(Variable, PathBuf)>,
    range: RangeInclusive<u16>,
    /// The ports that the kernel gives to outgoing connections.
    ephemeral: Option<RangeInclusive<u16>>,
    /// The ports that are listened on.
    taken: Vec<u16>,
    uid: u32,
}

impl Facts {
    pub(super) fn gather(context: &Context) -> Self {
        let layout = &context.layout;
        let root = layout.root().to_owned();
        Facts {
            set: ["TETRA_SRC", "TETRA_DIR", "TSM_SRC"].map(Variable::read).into(),
            asked: Variable::read("TSM_DIR").value,
            root_is_there: root.symlink_metadata().is_ok(),
            root_is_dir: root.is_dir(),
            root,
            derived: vec![
                (Variable::read("TSM_PROCESSES_DIR"), layout.processes()),
                (Variable::read("TSM_LOGS_DIR"), layout.logs()),
                (Variable::read("TSM_PIDS_DIR"), layout.pids()),
            ],
            range: context.settings.port_range.clone(),
            ephemeral: sockets::ephemeral_range(),
            taken: sockets::listeners().unwrap_or_default().iter().map(|one| one.port).collect(),
            uid: user::uid(),
        }
    }
}

/// Where the code and the data are.
pub(super) fn core(facts: &Facts) -> Vec<Finding> {
    let mut found = Vec::new();
    for variable in &facts.set {
        let Some(value) = &variable.value else { continue };
        let shown = format!("{}={}", variable.name, value.display());
        found.push(if variable.is_dir {
            Finding::ok(shown)
        } else if variable.name == "TETRA_DIR" {
            let path = value.to_string_lossy();
            Finding::warning(
                format!("{shown} is not a directory"),
                format!("mkdir -p {}, or unset TETRA_DIR", quote(&path)),
            )
        } else {
            Finding::warning(format!("{shown} is not a directory"), format!("unset {}", variable.name))
        });
    }
    let root = facts.root.to_string_lossy();
    let shown = format!("TSM_DIR={root}");
    found.push(if facts.root_is_there && !facts.root_is_dir {
        Finding::error(
            format!("{shown} is not a directory"),
            format!("mv {0} {0}.old, or export TSM_DIR=/another/directory", quote(&root)),
        )
    } else if facts.asked.as_ref().is_some_and(|asked| asked.is_relative()) {
        Finding::warning(
            format!("{shown}: TSM_DIR is relative, so it is another place in every directory"),
            format!("export TSM_DIR={}", quote(&root)),
        )
    } else if facts.root_is_there {
        Finding::ok(shown)
    } else {
        Finding::info(format!("{shown} (the first start makes it)"))
    });
    found
}

/// What follows from it, and the ports.
pub(super) fn runtime(facts: &Facts) -> Vec<Finding> {
    let mut found = Vec::new();
    for (variable, used) in &facts.derived {
        let name = variable.name;
        found.push(match &variable.value {
            Some(value) if value != used => Finding::warning(
                format!("{name}={} is exported, but tsm uses {}", value.display(), used.display()),
                format!("unset {name}"),
            ),
            _ => Finding::ok(format!("{name}={}", used.display())),
        });
    }
    found.push(range(facts));
    found
}

fn range(facts: &Facts) -> Finding {
    let (first, last) = (*facts.range.start(), *facts.range.end());
    let shown = format!("TSM_PORT_RANGE={first}-{last}");
    let usual = "unset TSM_PORT_RANGE, which means 8000-8999";
    if first < 1024 && facts.uid != 0 {
        return Finding::warning(format!("{shown}: ports below 1024 need root"), usual);
    }
    let overlap = facts.ephemeral.as_ref().filter(|kernel| first <= *kernel.end() && last >= *kernel.start());
    if let Some(kernel) = overlap {
        let (from, to) = (kernel.start(), kernel.end());
        return Finding::warning(
            format!(
                "{shown}: the kernel gives {from}-{to} to outgoing connections, which may take such a port"
            ),
            usual,
        );
    }
    if facts.range.clone().all(|port| facts.taken.contains(&port)) {
        return Finding::error(
            format!("{shown}: every port of it is taken"),
            "tsm list, and stop what is not needed; or export TSM_PORT_RANGE=9000-9999",
        );
    }
    Finding::ok(shown)
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    fn facts() -> Facts {
        Facts {
            set: Vec::new(),
            asked: None,
            root: "/t".into(),
            root_is_there: true,
            root_is_dir: true,
            derived: Vec::new(),
            range: 8000..=8999,
            ephemeral: Some(32768..=60999),
            taken: vec![8000],
            uid: 1000,
        }
    }

    #[test]
    fn a_range_is_judged_by_who_else_takes_ports_of_it() {
        for (given, uid, level) in [
            (8000..=8999, 1000, Level::Ok),
            (80..=8999, 1000, Level::Warning),
            (80..=8999, 0, Level::Ok),
            (32000..=32767, 1000, Level::Ok),
            (32000..=32768, 1000, Level::Warning),
            (60999..=61000, 1000, Level::Warning),
            (8000..=8000, 1000, Level::Error),
        ] {
            let finding = range(&Facts { range: given.clone(), uid, ..facts() });
            assert_eq!(finding.level, level, "{given:?} {finding:?}");
            assert_eq!(finding.remedy.is_some(), level != Level::Ok);
        }
    }

    #[test]
    fn places_are_as_they_are_used() {
        let [one] = core(&facts()).try_into().unwrap();
        assert_eq!(one, Finding::ok("TSM_DIR=/t"));
        let level = |facts: Facts| core(&facts).last().map(|one| one.level);
        assert_eq!(level(Facts { root_is_there: false, root_is_dir: false, ..facts() }), Some(Level::Info));
        assert_eq!(level(Facts { root_is_dir: false, ..facts() }), Some(Level::Error));
        assert_eq!(level(Facts { asked: Some("t".into()), ..facts() }), Some(Level::Warning));
        let set = |is_dir| vec![Variable { name: "TETRA_DIR", value: Some("/x".into()), is_dir }];
        assert_eq!(core(&Facts { set: set(true), ..facts() })[0], Finding::ok("TETRA_DIR=/x"));
        assert_eq!(core(&Facts { set: set(false), ..facts() })[0].level, Level::Warning);
    }
}
