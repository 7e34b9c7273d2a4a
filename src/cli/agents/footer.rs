//! The line below `tsm list` that says how many agents wait for their user.

use super::looker::config;
use crate::agents::{AgentState, Session, Watcher};
use crate::cli::context::Context;
use crate::inspect::Table;
use crate::sys::clock;

/// Says who waits, if anybody does: `2 agents wait for you, 1 is idle: tsm agents`. It looks at `processes` if the caller
/// has read them, all but supervisors.
///
/// No file tells whether it is worth a look: a session may keep none, or keep it anywhere. A script, which may list
/// every second, pays for the look only where Claude Code is used at all.
pub(in crate::cli) fn remark(context: &Context, processes: Option<Table>) {
    let settings = &context.settings;
    let in_home = || settings.home.as_ref().map(|home| home.join(".claude"));
    let has_claude = || settings.claude_dir.clone().or_else(in_home).is_some_and(|dir| dir.is_dir());
    if !context.output.terminal && !has_claude() {
        return;
    }
    let (config, _) = config(context, false);
    let sessions = Watcher::new(config).look_in(&processes.unwrap_or_else(Table::all), clock::wall_ms());
    if let Some(text) = words(&sessions) {
        context.output.remark(&text);
    }
}

fn words(sessions: &[Session]) -> Option<String> {
    let count = |state| sessions.iter().filter(|one| one.state == state).count();
    let waiting = match count(AgentState::NeedsInput) {
        0 => return None,
        1 => "1 agent waits for you".to_owned(),
        many => format!("{many} agents wait for you"),
    };
    let idle = match count(AgentState::Idle) {
        0 => String::new(),
        1 => ", 1 is idle".to_owned(),
        many => format!(", {many} are idle"),
    };
    Some(format!("{waiting}{idle}: tsm agents"))
}
