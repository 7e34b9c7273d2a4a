//! Whether the hooks in Claude Code's settings run a program that is there.

use std::path::Path;

use super::Finding;
use crate::agents::settings::{self, SettingsFile};
use crate::cli::agents;
use crate::cli::context::Context;

/// What the hooks of ours run; nothing where there are none.
pub(super) fn findings(context: &Context) -> Vec<Finding> {
    let Some(path) = agents::settings_file(context) else { return Vec::new() };
    let Ok(file) = SettingsFile::read(&path) else { return Vec::new() };
    let Ok(commands) = settings::commands(file.text()) else { return Vec::new() };
    let is_there = |program: &str| Path::new(program).is_file() || which::which(program).is_ok();
    let find = |command: String| {
        let program = settings::program(&command).unwrap_or_default();
        if is_there(&program) {
            Finding::ok(format!("Claude Code's hooks run {program}"))
        } else {
            let what = format!("Claude Code's hooks run {program}, which is not there ({})", path.display());
            Finding::warning(what, "tsm agents install-hooks")
        }
    };
    commands.into_iter().map(find).collect()
}
