//! The answer of `tsm why` for a person.

use super::super::context::Context;
use super::Answer;
use crate::error::Result;
use crate::render::{human, style};
use crate::sys::clock;

/// Prints it.
///
/// # Errors
/// When standard output cannot be written.
pub(super) fn answer(context: &Context, answer: &Answer) -> Result<()> {
    let out = &context.output;
    let paint = |style: anstyle::Style, text: &str| {
        if out.color { format!("{style}{text}{style:#}") } else { text.to_owned() }
    };
    let title = answer.id.map_or_else(|| answer.name.clone(), |id| format!("{} (TSM ID: {id})", answer.name));
    out.bytes(paint(style::TITLE, &title).as_bytes())?;
    let state = match answer.status {
        Some(state) => paint(style::state(state), state.as_str()),
        None => "not started".to_owned(),
    };
    let since = answer.since_ms.map(|at| {
        let ago = human::span(clock::wall_ms().saturating_sub(at));
        format!(" since {} ({ago} ago)", human::time(at))
    });
    out.bytes(format!(" is {state}{}\n", since.unwrap_or_default()).as_bytes())?;
    let field = |name: &str, value: &str| out.line(&format!("  {name:<12}  {value}"));
    field("why", &answer.why)?;
    if let Some(exit) = &answer.last_exit {
        field("last exit", exit)?;
    }
    for (at, obstacle) in answer.obstacles.iter().enumerate() {
        field(if at == 0 { "in the way" } else { "" }, &obstacle.what)?;
    }
    // An obstacle has named it already.
    let named = |holder: &str| answer.obstacles.iter().any(|one| one.what.contains(holder));
    if let Some(holder) = answer.port_holder.as_deref().filter(|holder| !named(holder)) {
        field("its port", &format!("is held by {holder}"))?;
    }
    for (at, cause) in answer.causes.iter().enumerate() {
        let now = match (&cause.holder, cause.port) {
            (Some(holder), Some(_)) => format!("; now {holder} has it"),
            (None, Some(_)) => "; now nobody listens there".to_owned(),
            _ => String::new(),
        };
        field(if at == 0 { "the log says" } else { "" }, &format!("{}{now}", cause.what))?;
    }
    if !answer.log.is_empty() {
        field("log", answer.log_path.as_deref().unwrap_or_default())?;
        for line in &answer.log {
            out.bytes(format!("    {} ", paint(style::DIM, "|")).as_bytes())?;
            out.line(line)?;
        }
    }
    if !answer.todo.is_empty() {
        out.line("\nWhat to do:")?;
    }
    for one in &answer.todo {
        // Names of others are in it; its colours are ours.
        let one = crate::render::sanitize::text(one);
        out.bytes(format!("  {}\n", paint(style::HINT, &one)).as_bytes())?;
    }
    Ok(())
}
