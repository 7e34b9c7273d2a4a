//! `tsm capture export`: conversations as a document.

use std::fmt::Write as _;

use super::{Here, short};
use crate::capture::Role;
use crate::capture::history::Kept;
use crate::cli::context::Context;
use crate::error::Result;

/// Write conversations as Markdown.
///
/// Those of the given commits, sessions or files; all that are kept here when none is given. It goes to standard output.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  tsm capture export --markdown >prompts.md\n  tsm capture export HEAD~3")]
pub(super) struct Args {
    /// Commits, files of .prompts, or sessions.
    #[arg(value_name = "CONVERSATION")]
    refs: Vec<String>,
    /// As Markdown, which is the only form there is.
    #[arg(long)]
    markdown: bool,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<()> {
    let here = Here::find(context)?;
    let mut found: Vec<&Kept> = Vec::new();
    if args.refs.is_empty() {
        found.extend(here.all.iter().filter(|one| one.file.is_some()));
    }
    for word in &args.refs {
        for one in here.resolve(context, word)? {
            if !found.contains(&one) {
                found.push(one);
            }
        }
    }
    if found.is_empty() {
        context.output.remark("no conversation is kept here");
        here.advise(context);
    }
    for (at, one) in found.into_iter().enumerate() {
        let gap = if at > 0 { "\n" } else { "" };
        context.output.line(&format!("{gap}{}", markdown(one)))?;
    }
    Ok(())
}

/// One conversation, without a line feed at its end.
fn markdown(kept: &Kept) -> String {
    let record = &kept.record;
    let mut text = match kept.file {
        Some(_) => format!(
            "# {}\n\nCommit `{}` by {}, {}",
            plain(&record.commit.subject),
            short(kept),
            plain(&record.author.name),
            record.commit.time
        ),
        None => "# In no commit yet\n\nSaid".to_owned(),
    };
    if let Some(branch) = &record.branch {
        let _ = write!(text, ", on `{branch}`");
    }
    let _ = write!(text, ", with {} (session `{}`).", plain(&record.tool), record.session);
    if !record.files.session.is_empty() {
        text.push_str("\n\nFiles:\n");
        for changed in &record.files.session {
            let _ = write!(text, "\n- `{}`", changed.path);
        }
    }
    for said in &record.messages {
        let _ = write!(text, "\n\n## {}, {}\n", said.role, said.time);
        for line in said.content.lines() {
            // What a person typed is quoted: it is no Markdown, and a heading in it would be one of the document.
            let quote = match said.role {
                Role::User => "> ",
                Role::Assistant => "",
            };
            text.push('\n');
            text.push_str(format!("{quote}{line}").trim_end());
        }
    }
    text
}

/// A text in which nothing is a sign of Markdown.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '|' | '~') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_cannot_make_a_heading_or_a_link() {
        assert_eq!(plain("fix [x](y) `z` #1"), "fix \\[x\\](y) \\`z\\` \\#1");
    }
}
