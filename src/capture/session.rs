//! One captured session: what was said and changed in one repository, and how much of it is kept with commits already.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The longest identifier of a session, in characters.
const LONGEST_ID: usize = 64;

/// Who said it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The developer, by typing it.
    User,
    /// The agent.
    Assistant,
}

impl Role {
    /// The role of that name; none for any other word.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "user" => Some(Role::User),
            "assistant" => Some(Role::Assistant),
            _ => None,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Role::User => "user",
            Role::Assistant => "assistant",
        })
    }
}

/// One thing that was said, masked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Its number among the messages and changes of its session, from 1 and rising.
    pub seq: u64,
    /// Who said it.
    pub role: Role,
    /// What, with every secret masked.
    pub content: String,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// How many secrets were masked in it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub masked: usize,
    /// What its agent calls it: the `uuid` of a transcript's record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
}

/// One file that was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Its number, as that of a message.
    pub seq: u64,
    /// The file, from the repository's root.
    pub file: PathBuf,
    /// What it held before, masked; none where only names are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// What it held after, masked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// How many secrets were masked in both texts.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub masked: usize,
    /// What its agent calls the use of the tool that changed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_use: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// What was kept with one commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    /// The commit, as it was named.
    pub commit: String,
    /// The last number that is in it, or in a commit before it.
    pub upto: u64,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
}

/// A session, as its journal tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    /// What it is called: 16 hexadecimal digits of ours, or the agent's own name of the conversation.
    pub id: String,
    /// The name of its journal: the same, but for a conversation that went through several repositories, each of which
    /// has a part of it. This is what [`Sessions`](super::Sessions) wants to hear.
    pub key: String,
    /// Which tool it is of: `claude-code`, `cursor`, …
    pub tool: String,
    /// The root of its repository's working tree.
    pub root: PathBuf,
    /// Where it began.
    pub cwd: PathBuf,
    /// When it began, in milliseconds since the Unix epoch.
    pub started_ms: u64,
    /// When something was last added, in milliseconds since the Unix epoch.
    pub last_ms: u64,
    /// What its client said of it, masked.
    pub metadata: Map<String, Value>,
    /// The transcript that it is read from, if it is.
    pub transcript: Option<PathBuf>,
    /// What was said.
    pub messages: Vec<Message>,
    /// What was changed.
    pub changes: Vec<Change>,
    /// The commits that have some of it.
    pub saved: Vec<Saved>,
}

impl Captured {
    /// The last number that is kept with a commit; 0 when none is.
    pub fn saved_upto(&self) -> u64 {
        self.saved.iter().map(|saved| saved.upto).max().unwrap_or(0)
    }

    /// The last number that was given.
    pub fn last_seq(&self) -> u64 {
        let message = self.messages.last().map_or(0, |message| message.seq);
        let change = self.changes.last().map_or(0, |change| change.seq);
        message.max(change).max(self.saved_upto())
    }

    /// What was said and is in no commit yet.
    pub fn unsaved_messages(&self) -> impl Iterator<Item = &Message> {
        let upto = self.saved_upto();
        self.messages.iter().filter(move |message| message.seq > upto)
    }

    /// What was changed and is in no commit yet.
    pub fn unsaved_changes(&self) -> impl Iterator<Item = &Change> {
        let upto = self.saved_upto();
        self.changes.iter().filter(move |change| change.seq > upto)
    }

    /// True when something was said that is in no commit yet; changes without a word make no prompt.
    pub fn has_unsaved(&self) -> bool {
        self.unsaved_messages().next().is_some()
    }

    /// What is kept with `commit` already, if anything is.
    pub fn saved_with(&self, commit: &str) -> Option<&Saved> {
        self.saved.iter().find(|saved| saved.commit == commit)
    }
}

/// True for what may be the identifier of a session, and so a part of a file's name.
pub(super) fn is_id(text: &str) -> bool {
    (1..=LONGEST_ID).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}
