//! `tsm capture blame`: the prompt behind a line.

use serde_json::{Value, json};

use super::{Here, document, lines, moment};
use crate::capture::blame::{self, Blamed};
use crate::cli::context::Context;
use crate::error::{Error, Result};

/// Show the prompt behind a line of a file.
///
/// git blame says which commit the line is from, and the conversation that is kept with that commit what it came of. A line
/// that is not committed yet is looked for in what was said since.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tsm capture blame src/main.rs:12")]
pub(super) struct Args {
    /// The file and the number of the line.
    #[arg(value_name = "FILE:LINE")]
    line: String,
    /// Print a JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<()> {
    let here = Here::find(context)?;
    let (file, line) = blame::parse(&here.place, &context.current_dir()?, &args.line)?;
    let blamed = blame::blame(&here.place, &here.all, &file, line)?;
    if args.json {
        let conversations = blamed.found.iter().map(|one| document(one)).collect::<Result<Vec<Value>>>()?;
        return context.output.json(&json!({
            "file": file.to_string_lossy(),
            "line": line,
            "text": blamed.text,
            "commit": blamed.commit.as_ref().map(|facts| &facts.commit),
            "author": blamed.commit.as_ref().map(|facts| &facts.author),
            "prompt": blamed.prompt().map(|(_, said)| said),
            "conversations": conversations,
        }));
    }
    show(context, &here, &blamed, &format!("{}:{line}", file.display()))
}

fn show(context: &Context, here: &Here, blamed: &Blamed<'_>, place: &str) -> Result<()> {
    let line = |text: &str| context.output.bytes(format!("{}\n", lines(text)).as_bytes());
    let short = blamed.commit.as_ref().map(|facts| facts.commit.sha.get(..7).unwrap_or_default());
    line(&format!("{place}  {}", blamed.text))?;
    match &blamed.commit {
        Some(facts) => {
            let (author, commit) = (&facts.author.name, &facts.commit);
            line(&format!(
                "commit {} {} ({author}, {})",
                short.unwrap_or_default(),
                commit.subject,
                moment(&commit.time)
            ))?;
        }
        None => line("in no commit yet")?,
    }
    let Some((kept, said)) = blamed.prompt() else {
        let what = if short.is_some() {
            "no conversation is kept with that commit"
        } else {
            "no active session is known to have changed it"
        };
        here.advise(context);
        return Err(Error::not_found(what).hint("tsm capture list"));
    };
    line(&format!("{}, session {}, {}", kept.record.tool, kept.record.session, moment(&said.time)))?;
    line("")?;
    for text in said.content.lines() {
        line(&format!("  {text}"))?;
    }
    let word = short.unwrap_or(&kept.record.session);
    context.output.advise("the whole conversation", &format!("tsm capture show {word}"));
    Ok(())
}
