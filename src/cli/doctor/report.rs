//! A check of several parts: their findings, and what they come to.

use serde::Serialize;

use super::super::context::Context;
use super::finding::{self, Finding, Level};
use crate::error::{Error, Kind, Result};
use crate::render::style;

/// A part of the check.
pub(super) struct Section {
    pub(super) title: &'static str,
    pub(super) findings: Vec<Finding>,
}

#[derive(Serialize)]
struct Shown<'a> {
    section: &'a str,
    #[serde(flatten)]
    finding: &'a Finding,
}

/// Prints all of it, or a JSON array of the findings.
///
/// # Errors
/// Without a message, when there are errors among them: everything has been said.
pub(super) fn report(context: &Context, title: &str, sections: &[Section], json: bool) -> Result<()> {
    let all = || sections.iter().flat_map(|section| &section.findings);
    let (warnings, errors) = (finding::count(all(), Level::Warning), finding::count(all(), Level::Error));
    if json {
        let shown: Vec<Shown<'_>> = sections
            .iter()
            .flat_map(|section| {
                section.findings.iter().map(|finding| Shown { section: section.title, finding })
            })
            .collect();
        context.output.json(&shown)?;
    } else {
        print(context, title, sections, warnings, errors)?;
    }
    if errors == 0 { Ok(()) } else { Err(Error::new(Kind::Failed, "")) }
}

fn print(context: &Context, title: &str, sections: &[Section], warnings: usize, errors: usize) -> Result<()> {
    let out = &context.output;
    let heading =
        |text: &str| if out.color { format!("{0}{text}{0:#}", style::TITLE) } else { text.to_owned() };
    out.bytes(format!("{}\n{}\n", heading(title), "=".repeat(title.len())).as_bytes())?;
    for section in sections {
        out.bytes(format!("\n{}:\n", heading(section.title)).as_bytes())?;
        for finding in &section.findings {
            finding::print(context, finding)?;
        }
    }
    out.bytes(format!("\n{}:\n", heading("Summary")).as_bytes())?;
    let counted = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    out.line(&match (warnings, errors) {
        (0, 0) => "  All checks passed".to_owned(),
        (_, 0) => format!("  {}, no errors", counted(warnings, "warning")),
        (0, _) => format!("  {}", counted(errors, "error")),
        _ => format!("  {}, {}", counted(errors, "error"), counted(warnings, "warning")),
    })
}
