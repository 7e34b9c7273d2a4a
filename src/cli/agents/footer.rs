//! The line below `tsm list` that says how many agents wait for their user.

use std::path::Path;

use super::looker::Looker;
use crate::agents::{AgentState, Files, Session, waiting};
use crate::cli::context::Context;
use crate::model::Pid;
use crate::sys::{clock, process};

/// Says at a terminal who waits, if anybody does: `2 agents wait for you, 1 is idle: tsm agents`.
///
/// Where no agent of a kind whose state can be read has left a trace, nothing is looked at.
pub(in crate::cli) fn remark(context: &Context) {
    if !context.output.terminal || !may_wait(context) {
        return;
    }
    let mut looker = Looker::quiet(context);
    looker.look();
    if let Some(text) = words(looker.sessions()) {
        context.output.remark(&text);
    }
}

/// Only Claude Code's state can be read. Since 2.1.139 each of its processes has a file in `sessions`, named by its PID;
/// before, there was no such folder, and only a look at all processes tells.
fn may_wait(context: &Context) -> bool {
    let now_ms = clock::wall_ms();
    if waiting::read(&Files::of(&context.layout), now_ms).is_some_and(|count| count > 0) {
        return true;
    }
    let settings = &context.settings;
    let in_home = || settings.home.as_ref().map(|home| home.join(".claude"));
    let Some(folder) = settings.claude_dir.clone().or_else(in_home) else { return false };
    match std::fs::read_dir(folder.join("sessions")) {
        Ok(files) => files.flatten().any(|file| runs(&file.path())),
        Err(_) => folder.is_dir(),
    }
}

/// True for the file of a PID that is in use, whoever has it now.
fn runs(file: &Path) -> bool {
    let pid = file.file_stem().and_then(|name| name.to_str()).and_then(|name| name.parse::<i32>().ok());
    pid.and_then(Pid::new).is_some_and(|pid| process::read(pid).is_some())
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
