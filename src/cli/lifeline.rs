//! Binding a process to the life of another one: of a shell, an agent, or of this very `tsm`.

use super::context::Context;
use crate::agents::Session;
use crate::error::{Error, Result};
use crate::model::{Lifeline, Pid, Spec};
use crate::sys::{boot, process, user};

/// What a process can be bound to by an option, and that option as it stands in a spec: part of "the same process?".
pub(super) const OPTIONS: [(&str, &str); 2] = [("shell", "--with-shell="), ("agent", "--with-agent=")];

/// The option that binds to a `shell` or an `agent`.
fn option_of(what: &str) -> Option<&'static str> {
    OPTIONS.iter().find(|(bound, _)| *bound == what).map(|(_, option)| *option)
}

/// True for an option that only says what a process is bound to.
pub(super) fn is_option(option: &str) -> bool {
    OPTIONS.iter().any(|(_, known)| *known == option)
}

/// The shell that `tsm` was typed in: what the shell function says, else the parent of this process.
///
/// # Errors
/// Failed when it has ended or belongs to another user; usage when `TSM_SHELL_PID` is no process.
pub(super) fn shell(context: &Context) -> Result<Lifeline> {
    let parent = || i32::try_from(std::os::unix::process::parent_id()).unwrap_or_default();
    let (number, said) = match &context.settings.shell_pid {
        None => (parent(), String::new()),
        Some(text) => (text.parse().unwrap_or_default(), format!("TSM_SHELL_PID={text} is not one: ")),
    };
    let pid = Pid::new(number).ok_or_else(|| {
        Error::usage(format!("--with-shell needs a shell that tsm was started from; {said}there is none"))
            .hint("tsm start without --with-shell")
    })?;
    of(pid, "shell").ok_or_else(|| {
        Error::failed(format!("--with-shell: PID {pid} has ended already, or belongs to another user"))
            .hint("tsm start without --with-shell")
    })
}

/// The agent from inside of which `tsm` was called.
///
/// # Errors
/// Usage when there is none.
pub(super) fn agent(session: Option<&Session>) -> Result<Lifeline> {
    let session = session.ok_or_else(|| {
        Error::usage(
            "--with-agent needs a coding agent that tsm was started from; there is none above this process",
        )
        .hint("tsm start without --with-agent; tsm agents lists those that run")
    })?;
    Ok(Lifeline {
        identity: session.identity,
        boot_id: boot::id(),
        what: "agent".into(),
        // Its short name may be that of an interpreter, or a version.
        program: session.agent.clone(),
    })
}

/// This process itself.
///
/// # Errors
/// When the kernel does not say when it was started.
pub(super) fn this(what: &str) -> Result<Lifeline> {
    i32::try_from(std::process::id())
        .ok()
        .and_then(Pid::new)
        .and_then(|pid| of(pid, what))
        .ok_or_else(|| Error::failed("cannot read the start time of this process"))
}

/// The living process `pid` of this user.
fn of(pid: Pid, what: &str) -> Option<Lifeline> {
    let process = process::read(pid).filter(|process| !process.is_dead())?;
    // As its files and signals go: root may act for nobody else here either.
    (process::owner(pid)? == user::uid()).then(|| Lifeline {
        identity: process.identity(),
        boot_id: boot::id(),
        what: what.to_owned(),
        program: process.comm.to_string(),
    })
}

/// True while that process runs.
pub(super) fn lives(lifeline: &Lifeline) -> bool {
    lifeline.boot_id == boot::id() && process::alive(&lifeline.identity)
}

/// What the next run of `spec` is bound to: `asked`, else what it was bound to as long as that lives.
pub(super) fn rebind(context: &Context, spec: &mut Spec, asked: Option<&Lifeline>) {
    if let Some(asked) = asked {
        spec.lifeline = Some(asked.clone());
        if let Some(option) = option_of(&asked.what) {
            spec.options.retain(|given| !is_option(given));
            spec.options.push(option.to_owned());
        }
    } else if let Some(gone) = spec.lifeline.take_if(|bound| !lives(bound)) {
        spec.options.retain(|given| !is_option(given));
        // Whoever started it for the time of a command has not asked for that time again.
        if option_of(&gone.what).is_some() {
            let (name, what) = (&spec.name, gone.holder());
            context.output.remark(&format!("{gone} has ended: {name} is bound to no {what} any more"));
        }
    }
}
