//! What a check found: how bad it is, in words, and what to type about it.

use serde::{Deserialize, Serialize};

use super::super::context::Context;
use crate::error::Result;
use crate::render::style;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    /// As it should be.
    Ok,
    /// Worth knowing.
    Info,
    /// It works, and may surprise.
    Warning,
    /// It does not work.
    Error,
}

/// One result of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Finding {
    /// How bad it is.
    pub(super) level: Level,
    /// What was found.
    pub(super) what: String,
    /// The command to type, or what to do.
    pub(super) remedy: Option<String>,
}

impl Finding {
    /// It is as it should be.
    pub(super) fn ok(what: impl Into<String>) -> Self {
        Finding { level: Level::Ok, what: what.into(), remedy: None }
    }

    /// It is worth knowing.
    pub(super) fn info(what: impl Into<String>) -> Self {
        Finding { level: Level::Info, what: what.into(), remedy: None }
    }

    /// It works, and may surprise.
    pub(super) fn warning(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Finding { level: Level::Warning, what: what.into(), remedy: Some(remedy.into()) }
    }

    /// It does not work.
    pub(super) fn error(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Finding { level: Level::Error, what: what.into(), remedy: Some(remedy.into()) }
    }

    /// The same with something to type.
    pub(super) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

/// How many of `findings` are of that level.
pub(super) fn count<'a>(findings: impl IntoIterator<Item = &'a Finding>, level: Level) -> usize {
    findings.into_iter().filter(|one| one.level == level).count()
}

/// Prints one: `  [WARN] what`, and below it what to type.
///
/// # Errors
/// When standard output cannot be written.
pub(super) fn print(context: &Context, finding: &Finding) -> Result<()> {
    let (tag, colour) = match finding.level {
        Level::Ok => ("[OK] ", style::GOOD),
        Level::Info => ("", style::PLAIN),
        Level::Warning => ("[WARN] ", style::WARNING),
        Level::Error => ("[ERROR] ", style::ERROR),
    };
    let out = &context.output;
    let paint = |style: anstyle::Style, text: &str| {
        if out.color { format!("{style}{text}{style:#}") } else { text.to_owned() }
    };
    out.bytes(format!("  {}", paint(colour, tag)).as_bytes())?;
    out.line(&finding.what)?;
    if let Some(remedy) = &finding.remedy {
        out.bytes(format!("         {} ", paint(style::HINT, "try:")).as_bytes())?;
        out.line(remedy)?;
    }
    Ok(())
}
