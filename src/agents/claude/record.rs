//! One record of a Claude Code transcript: what its line says, as far as it matters.
//!
//! A transcript is one JSON object a line; fields and types come and go with versions of Claude Code, so that each is read
//! on its own, and what is not known is [`Kind::Skipped`]. The fields are those of `oneryalcin/agent-schemas`
//! (`claude-code/v2.1.144`), checked there on a hundred thousand lines.

use serde::Deserialize;

use super::lenient::{Maybe, Moment, Shape, objects};
use super::text::{is_typed, repaired};

/// One line of a transcript.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) at_ms: Option<u64>,
    pub(super) uuid: Option<String>,
    pub(super) session_id: Option<String>,
    /// The conversation that it was copied from, by a fork.
    pub(super) forked_from: Option<String>,
    pub(super) cwd: Option<String>,
    /// The branch; none outside of a repository.
    pub(super) branch: Option<String>,
    /// How permissions are asked for, where the record says it.
    pub(super) mode: Option<String>,
    /// True in the conversation of a sub-agent.
    pub(super) is_side: bool,
    pub(super) kind: Kind,
}

/// What a record says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    /// What the user typed.
    Prompt(String),
    /// Something that the program said in the user's name: a command such as `/clear`, its output, a reminder.
    Aside { is_clear: bool },
    /// What came of tools.
    Results(Vec<ToolResult>),
    /// The user has interrupted the turn.
    Interrupted,
    /// One or more parts of a message of the agent; the other parts have the same ID.
    Said { message: Option<String>, parts: Vec<Part>, stop: Option<String>, is_error: bool },
    /// The turn is over.
    TurnEnded,
    /// The service has failed, and is asked again after so many milliseconds.
    ApiError { retry_in_ms: Option<u64> },
    /// What the conversation is called.
    Title(Title, String),
    /// Anything else.
    #[default]
    Skipped,
}

/// Who has given a title.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Title {
    Custom,
    Ai,
    Summary,
}

/// One block of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Text(String),
    Tool(Tool),
    /// Thinking, and blocks that are not known.
    Other,
}

/// The use of a tool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tool {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) input: Input,
}

/// The end of the use of a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ToolResult {
    pub(super) tool: String,
    pub(super) is_error: bool,
}

/// What tools are given, as far as it is shown or kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Input {
    /// What it is about in a few words: a command, a file, a question.
    pub(super) about: Option<String>,
    pub(super) file: Option<String>,
    pub(super) edits: Vec<Edit>,
}

/// A change of a file: what stood there, if that is said, and what shall stand there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Edit {
    pub(super) before: Option<String>,
    pub(super) after: String,
}

/// How an interruption begins (`kvsankar/agent-history`, docs/analysis/features/interruptions.md).
const INTERRUPTED: &str = "[Request interrupted by user";

impl Record {
    /// Reads a line; one that is no JSON object is a record that says nothing.
    pub(super) fn parse(line: &[u8]) -> Record {
        let raw = serde_json::from_slice::<Maybe<Raw>>(line);
        // JavaScript writes half of a surrogate pair where it has cut a text; Rust knows no such text.
        let raw = raw.or_else(|error| repaired(line).map_or(Err(error), |line| serde_json::from_str(&line)));
        raw.ok().and_then(|raw| raw.0).map(Raw::into_record).unwrap_or_default()
    }
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Raw {
    r#type: Maybe<String>,
    subtype: Maybe<String>,
    timestamp: Maybe<Moment>,
    uuid: Maybe<String>,
    session_id: Maybe<String>,
    forked_from: Maybe<Origin>,
    cwd: Maybe<String>,
    git_branch: Maybe<String>,
    permission_mode: Maybe<String>,
    is_sidechain: Maybe<bool>,
    is_meta: Maybe<bool>,
    is_compact_summary: Maybe<bool>,
    is_api_error_message: Maybe<bool>,
    retry_in_ms: Maybe<u64>,
    message: Maybe<Message>,
    custom_title: Maybe<String>,
    ai_title: Maybe<String>,
    summary: Maybe<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Origin {
    session_id: Maybe<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Message {
    id: Maybe<String>,
    content: Maybe<Content>,
    stop_reason: Maybe<String>,
}

enum Content {
    Text(String),
    Blocks(Vec<Block>),
}

impl<'de> Shape<'de> for Content {
    fn text(text: &str) -> Option<Self> {
        Some(Content::Text(text.to_owned()))
    }

    fn list<A: serde::de::SeqAccess<'de>>(list: A) -> Result<Option<Self>, A::Error> {
        Ok(Vec::list(list)?.map(Content::Blocks))
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Block {
    r#type: Maybe<String>,
    text: Maybe<String>,
    id: Maybe<String>,
    name: Maybe<String>,
    input: Maybe<RawInput>,
    tool_use_id: Maybe<String>,
    is_error: Maybe<bool>,
    /// Of the result of a tool, where it is one text.
    content: Maybe<Beginning>,
}

/// The first characters of a text.
struct Beginning(String);

impl Shape<'_> for Beginning {
    fn text(text: &str) -> Option<Self> {
        Some(Beginning(text.chars().take(INTERRUPTED.len()).collect()))
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawInput {
    command: Maybe<String>,
    description: Maybe<String>,
    pattern: Maybe<String>,
    url: Maybe<String>,
    query: Maybe<String>,
    questions: Maybe<Vec<Question>>,
    file_path: Maybe<String>,
    notebook_path: Maybe<String>,
    content: Maybe<String>,
    new_source: Maybe<String>,
    old_string: Maybe<String>,
    new_string: Maybe<String>,
    edits: Maybe<Vec<RawEdit>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Question {
    question: Maybe<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawEdit {
    old_string: Maybe<String>,
    new_string: Maybe<String>,
}

objects!(Raw, Origin, Message, Block, RawInput, Question, RawEdit);

impl Raw {
    fn into_record(mut self) -> Record {
        Record {
            at_ms: self.timestamp.0.map(|moment| moment.0),
            uuid: self.uuid.0.take(),
            session_id: self.session_id.0.take(),
            forked_from: self.forked_from.0.take().and_then(|origin| origin.session_id.0),
            cwd: self.cwd.0.take().filter(|cwd| !cwd.is_empty()),
            branch: self.git_branch.0.take().filter(|branch| !branch.is_empty()),
            mode: self.permission_mode.0.take(),
            is_side: self.is_sidechain.0 == Some(true),
            kind: self.into_kind(),
        }
    }

    fn into_kind(self) -> Kind {
        let is_own = self.is_meta.0 == Some(true) || self.is_compact_summary.0 == Some(true);
        let title =
            |title, text: Maybe<String>| text.0.map_or(Kind::Skipped, |text| Kind::Title(title, text));
        match self.r#type.0.as_deref() {
            Some("user" | "assistant") if is_own => Kind::Skipped,
            Some("user") => self.message.0.map_or(Kind::Skipped, Message::into_user),
            Some("assistant") => {
                let is_error = self.is_api_error_message.0 == Some(true);
                self.message.0.map_or(Kind::Skipped, |message| message.into_said(is_error))
            }
            Some("system") => match self.subtype.0.as_deref() {
                Some("turn_duration" | "stop_hook_summary") => Kind::TurnEnded,
                Some("api_error") => Kind::ApiError { retry_in_ms: self.retry_in_ms.0 },
                Some("local_command" | "informational" | "away_summary") => Kind::Aside { is_clear: false },
                _ => Kind::Skipped,
            },
            Some("custom-title") => title(Title::Custom, self.custom_title),
            Some("ai-title") => title(Title::Ai, self.ai_title),
            Some("summary") => title(Title::Summary, self.summary),
            _ => Kind::Skipped,
        }
    }
}

impl Message {
    /// A record in the name of the user.
    fn into_user(self) -> Kind {
        let blocks = match self.content.0 {
            Some(Content::Text(text)) => return said_by_user(&[text], false),
            Some(Content::Blocks(blocks)) => blocks,
            None => return Kind::Skipped,
        };
        let is = |block: &Block, kind: &str| block.r#type.0.as_deref() == Some(kind);
        let refused = |block: &Block| block.content.0.as_ref().is_some_and(|text| text.0 == INTERRUPTED);
        let has_file = blocks.iter().any(|block| is(block, "image") || is(block, "document"));
        let was_refused = blocks.iter().any(|block| is(block, "tool_result") && refused(block));
        let (results, others): (Vec<Block>, Vec<Block>) =
            blocks.into_iter().partition(|block| is(block, "tool_result"));
        let texts: Vec<String> = others.into_iter().filter_map(|block| block.text.0).collect();
        if was_refused || texts.iter().any(|text| text.starts_with(INTERRUPTED)) {
            return Kind::Interrupted;
        }
        if results.is_empty() {
            return said_by_user(&texts, has_file);
        }
        let result = |block: Block| {
            let is_error = block.is_error.0 == Some(true);
            block.tool_use_id.0.map(|tool| ToolResult { tool, is_error })
        };
        Kind::Results(results.into_iter().filter_map(result).collect())
    }

    /// A record of the agent.
    fn into_said(self, is_error: bool) -> Kind {
        let parts = match self.content.0 {
            Some(Content::Text(text)) => vec![Part::Text(text)],
            Some(Content::Blocks(blocks)) => blocks.into_iter().map(Block::into_part).collect(),
            None => Vec::new(),
        };
        Kind::Said { message: self.id.0, parts, stop: self.stop_reason.0, is_error }
    }
}

fn said_by_user(texts: &[String], has_file: bool) -> Kind {
    if texts.iter().any(|text| text.starts_with(INTERRUPTED)) {
        return Kind::Interrupted;
    }
    let typed: Vec<&str> = texts.iter().map(String::as_str).filter(|text| is_typed(text)).collect();
    if !typed.is_empty() || has_file {
        return Kind::Prompt(typed.join("\n"));
    }
    let clears = |text: &String| text.contains("<command-name>/clear</command-name>");
    if texts.is_empty() { Kind::Skipped } else { Kind::Aside { is_clear: texts.iter().any(clears) } }
}

impl Block {
    fn into_part(self) -> Part {
        match (self.r#type.0.as_deref(), self.text.0, self.id.0) {
            (Some("text"), Some(text), _) => Part::Text(text),
            (Some("tool_use"), _, Some(id)) => Part::Tool(Tool {
                id,
                name: self.name.0.unwrap_or_default(),
                input: self.input.0.map(RawInput::into_input).unwrap_or_default(),
            }),
            _ => Part::Other,
        }
    }
}

impl RawInput {
    fn into_input(self) -> Input {
        let question = self.questions.0.and_then(|all| all.into_iter().find_map(|each| each.question.0));
        let file = self.file_path.0.or(self.notebook_path.0);
        let about = [question, self.command.0, file.clone(), self.url.0, self.pattern.0, self.query.0];
        let about = about.into_iter().flatten().next().or(self.description.0);
        let mut edits: Vec<Edit> = Vec::new();
        let whole = self.content.0.or(self.new_source.0);
        edits.extend(whole.map(|after| Edit { before: None, after }));
        edits.extend(self.new_string.0.map(|after| Edit { before: self.old_string.0, after }));
        let several = self.edits.0.unwrap_or_default().into_iter();
        edits.extend(
            several.filter_map(|edit| Some(Edit { before: edit.old_string.0, after: edit.new_string.0? })),
        );
        Input { about, file, edits }
    }
}

#[cfg(test)]
mod tests;
