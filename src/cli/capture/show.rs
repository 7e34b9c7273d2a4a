//! `tsm capture show`: a conversation, as it went.

use serde_json::Value;

use super::{Here, document, lines, moment, short};
use crate::capture::history::Kept;
use crate::cli::context::Context;
use crate::error::Result;
use crate::render::style;

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
    let title = if context.output.color { style::TITLE } else { style::PLAIN };
    let branch = record.branch.as_ref().map(|branch| format!(", {branch}")).unwrap_or_default();
    let mut text = Vec::new();
    let mut line = |shown: String| text.push(lines(&shown));
    let first = match &kept.file {
        Some(_) => {
            let (author, commit) = (&record.author, &record.commit);
            line(format!("  {} <{}>, {}{branch}", author.name, author.email, moment(&commit.time)));
            format!("commit {} {}", short(kept), commit.subject)
        }
        None => format!("in no commit yet{branch}"),
    };
    line(format!("  {}, session {}", record.tool, record.session));
    if record.masked > 0 {
        line(format!("  secrets masked: {}", record.masked));
    }
    if !record.files.session.is_empty() {
        let files: Vec<&str> = record.files.session.iter().map(|changed| changed.path.as_str()).collect();
        line(format!("  changed: {}", files.join(", ")));
    }
    text.insert(0, format!("{title}{}{title:#}", lines(&first)));
    for said in &record.messages {
        text.push(format!("\n{title}{}{title:#}, {}", said.role, lines(&moment(&said.time))));
        for shown in said.content.lines() {
            text.push(if shown.is_empty() { String::new() } else { format!("  {}", lines(shown)) });
        }
    }
    // Not `line`: the colours are ours, and all else has been made visible.
    context.output.bytes(format!("{}\n", text.join("\n")).as_bytes())
}
