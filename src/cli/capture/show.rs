//! `tsm capture show`: a conversation, as it went.

use serde_json::Value;

use super::{Here, document, short};
use crate::capture::history::Kept;
use crate::cli::context::Context;
use crate::error::Result;

/// Show the conversation of a commit.
///
/// A commit in any form that git understands, a file of .prompts, or a session. The conversation of a commit that was
/// amended or rebased is found by its author, time and subject.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  tsm capture show HEAD\n  tsm capture show 1a2b3c4 --json")]
pub(super) struct Args {
    /// A commit, a file of .prompts, or a session.
    #[arg(value_name = "CONVERSATION", required = true)]
    refs: Vec<String>,
    /// Print a JSON array, with the words of docs/capture.md.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<()> {
    let here = Here::find(context)?;
    let mut found: Vec<&Kept> = Vec::new();
    for word in &args.refs {
        for one in here.resolve(context, word)? {
            if !found.contains(&one) {
                found.push(one);
            }
        }
    }
    if args.json {
        let documents = found.into_iter().map(document).collect::<Result<Vec<Value>>>()?;
        return context.output.json(&documents);
    }
    for (at, one) in found.into_iter().enumerate() {
        if at > 0 {
            context.output.line("")?;
        }
        write(context, one)?;
    }
    Ok(())
}

fn write(context: &Context, kept: &Kept) -> Result<()> {
    let record = &kept.record;
    let branch = record.branch.as_ref().map(|branch| format!(", {branch}")).unwrap_or_default();
    let line = |text: &str| context.output.line(text);
    match &kept.file {
        Some(_) => {
            line(&format!("commit {} {}", short(kept), record.commit.subject))?;
            line(&format!(
                "  {} <{}>, {}{branch}",
                record.author.name, record.author.email, record.commit.time
            ))?;
        }
        None => line(&format!("in no commit yet{branch}"))?,
    }
    line(&format!("  {}, session {}", record.tool, record.session))?;
    if record.masked > 0 {
        line(&format!("  secrets masked: {}", record.masked))?;
    }
    if !record.files.session.is_empty() {
        let files: Vec<&str> = record.files.session.iter().map(|changed| changed.path.as_str()).collect();
        line(&format!("  changed: {}", files.join(", ")))?;
    }
    for said in &record.messages {
        line(&format!("\n{}, {}", said.role, said.time))?;
        for text in said.content.lines() {
            line(if text.is_empty() { String::new() } else { format!("  {text}") }.as_str())?;
        }
    }
    Ok(())
}
