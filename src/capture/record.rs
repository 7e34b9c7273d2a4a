//! The file of a conversation that is kept with a commit: `.prompts/TIME-COMMIT.json`. Its form is in docs/capture.md.

use std::path::{Component, Path};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

use super::session::{Captured, Role};

/// The directory of these files, at the top of the working tree.
pub const DIR: &str = ".prompts";

/// The version of their form.
pub const SCHEMA: u32 = 1;

/// How many digits of a commit's name stand in the name of the file.
const SHORT: usize = 7;

/// What was said and changed in one session of a coding agent, and belongs to one commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Record {
    /// The version of this form; a reader must refuse a higher one.
    pub schema: u32,
    /// The tool that it was said to, such as `claude-code`.
    pub tool: String,
    /// The session, as the tool or tsm calls it. There is one file for each session and commit.
    pub session: String,
    /// The number of the last message or change of the session that is in this file or in an earlier one.
    pub upto: u64,
    /// Who made the commit.
    pub author: Author,
    /// The branch that it was made on; null for a detached HEAD.
    pub branch: Option<String>,
    /// The commit.
    pub commit: Commit,
    /// Where the agent ran, from the top of the working tree; empty for the top itself.
    pub directory: String,
    /// What was said since the commit before, in its order. Secrets are masked, and paths begin at the top of the working
    /// tree, or with `~` for the home directory.
    pub messages: Vec<Said>,
    /// The files that were changed, from the top of the working tree.
    pub files: Files,
    /// How many secrets were masked in it.
    pub masked: usize,
}

/// The author of a commit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Author {
    /// As git has it.
    pub name: String,
    /// As git has it.
    pub email: String,
}

/// A commit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Commit {
    /// Its name in full.
    pub sha: String,
    /// When it was authored (ISO 8601, UTC). With the subject it finds the commit again that a rebase or an amend has
    /// made of it.
    pub time: String,
    /// The first line of its message.
    pub subject: String,
    /// The commit that it has replaced by `git commit --amend`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amends: Option<String>,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Said {
    /// Who said it.
    pub role: Role,
    /// What.
    pub content: String,
    /// When (ISO 8601, UTC, milliseconds).
    pub time: String,
}

/// Files that were changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Files {
    /// By the commit.
    pub commit: Vec<String>,
    /// In the session, as far as it said so.
    pub session: Vec<Changed>,
}

/// A file that an agent has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Changed {
    /// The file.
    pub path: String,
    /// When it was changed last (ISO 8601, UTC, milliseconds).
    pub time: String,
    /// Which of `messages`, counted from 0, is the prompt that it was changed for; null when that is in an earlier file.
    pub prompt: Option<usize>,
}

/// What git says of a commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Its author.
    pub author: Author,
    /// The commit.
    pub commit: Commit,
    /// The files that it has changed.
    pub files: Vec<String>,
    /// How many secrets were masked in what git says.
    pub masked: usize,
}

impl Record {
    /// What of `session` was said up to `cut_ms` (milliseconds since the Unix epoch) and is in no record yet; `None` when
    /// that is nothing. Names of files that `wanted` refuses are left out.
    pub fn of(
        session: &Captured,
        facts: &Facts,
        branch: Option<&str>,
        cut_ms: u64,
        home: Option<&Path>,
        wanted: impl Fn(&Path) -> bool,
    ) -> Option<Self> {
        // In the order of their numbers, so that one number says what is in it; clocks may differ.
        let messages: Vec<_> = session.unsaved_messages().take_while(|said| said.at_ms <= cut_ms).collect();
        let last = messages.last()?.seq;
        // A change belongs to what was said before it; what is changed while nothing more is said does, too.
        let next = session.unsaved_messages().map(|said| said.seq).find(|seq| *seq > last);
        let until = session
            .unsaved_changes()
            .take_while(|change| change.at_ms <= cut_ms && next.is_none_or(|next| change.seq < next));
        let done: Vec<_> = until.collect();
        let upto = done.last().map_or(last, |change| change.seq.max(last));
        let shorten = |text: &str| shorten(text, &session.root, home);
        let mut changed: Vec<Changed> = Vec::new();
        for change in done.iter().filter(|change| wanted(&change.file)) {
            let path = shorten(&change.file.to_string_lossy());
            let prompt = messages.iter().rposition(|said| said.role == Role::User && said.seq < change.seq);
            // Of several changes of a file the last one counts.
            changed.retain(|known| known.path != path);
            changed.push(Changed { path, time: time(change.at_ms), prompt });
        }
        changed.sort_by(|a, b| a.path.cmp(&b.path));
        let committed = facts.files.iter().filter(|file| wanted(Path::new(file)) && !is_ours(file));
        let masked = messages.iter().map(|said| said.masked).sum::<usize>()
            + done.iter().map(|change| change.masked).sum::<usize>()
            + facts.masked;
        let directory = session.cwd.strip_prefix(&session.root).unwrap_or(Path::new(""));
        Some(Record {
            schema: SCHEMA,
            tool: session.tool.clone(),
            session: session.id.clone(),
            upto,
            author: facts.author.clone(),
            branch: branch.map(str::to_owned),
            commit: facts.commit.clone(),
            directory: directory.to_string_lossy().into_owned(),
            messages: messages
                .iter()
                .map(|said| Said { role: said.role, content: shorten(&said.content), time: time(said.at_ms) })
                .collect(),
            files: Files { commit: committed.cloned().collect(), session: changed },
            masked,
        })
    }

    /// The name of its file: when its first message was said, and the commit; `-2` and so on for further ones of the same
    /// millisecond.
    pub fn file_name(&self, number: usize) -> String {
        let first = self.messages.first().map_or("", |said| said.time.as_str());
        let time: String = first.chars().filter(|c| !matches!(c, '-' | ':')).collect();
        let short = self.commit.sha.get(..SHORT).unwrap_or(&self.commit.sha);
        let further = if number > 1 { format!("-{number}") } else { String::new() };
        format!("{time}-{short}{further}.json")
    }
}

/// Milliseconds since the Unix epoch as ISO 8601 in UTC.
pub fn time(ms: u64) -> String {
    let moment = i64::try_from(ms).ok().and_then(DateTime::<Utc>::from_timestamp_millis);
    moment.unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// True for what capture itself has written.
fn is_ours(file: &str) -> bool {
    Path::new(file).components().next() == Some(Component::Normal(DIR.as_ref()))
}

/// A text whose paths do not tell where this machine keeps the repository, and whose it is.
fn shorten(text: &str, root: &Path, home: Option<&Path>) -> String {
    let mut text = text.to_owned();
    if let Some(root) = root.to_str().filter(|root| root.len() > 1) {
        text = replaced(&text, root, "", "./");
    }
    if let Some(home) = home.and_then(Path::to_str).filter(|home| home.len() > 1) {
        text = replaced(&text, home, "~/", "~");
    }
    text
}

/// Every path `prefix/x` as `inner` and `x`, and `prefix` alone as `alone`.
fn replaced(text: &str, prefix: &str, inner: &str, alone: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(prefix) {
        let (before, found) = rest.split_at(at);
        let after = &found[prefix.len()..];
        out.push_str(before);
        let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '/' | '.' | '~');
        if out.chars().next_back().is_some_and(is_name) {
            // The end of a longer path.
            out.push_str(prefix);
            rest = after;
        } else if let Some(below) = after.strip_prefix('/') {
            let goes_on = below.starts_with(|c: char| !c.is_whitespace() && !"\"'`),;:/".contains(c));
            out.push_str(if goes_on { inner } else { alone });
            rest = below;
        } else if after.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '-')) {
            // A neighbour whose name begins as this one does.
            out.push_str(prefix);
            rest = after;
        } else {
            out.push_str(alone);
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests;
