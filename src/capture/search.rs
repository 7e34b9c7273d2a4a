//! Lines of conversations that contain a text.

use super::history::Kept;
use super::session::Role;

/// A line that contains it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit<'a> {
    /// The conversation.
    pub kept: &'a Kept,
    /// Which of its messages, from 0.
    pub message: usize,
    /// Who said it.
    pub role: Role,
    /// When, as the conversation says it.
    pub time: &'a str,
    /// The line, without the blanks at its ends.
    pub line: &'a str,
}

/// Every line that contains `text`, whatever the case of the letters, the conversations in their order.
pub fn search<'a>(kept: &'a [Kept], text: &str) -> Vec<Hit<'a>> {
    let wanted = text.to_lowercase();
    let mut hits = Vec::new();
    for one in kept {
        for (message, said) in one.record.messages.iter().enumerate() {
            let lines = said.content.lines().filter(|line| line.to_lowercase().contains(&wanted));
            hits.extend(lines.map(|line| Hit {
                kept: one,
                message,
                role: said.role,
                time: &said.time,
                line: line.trim(),
            }));
        }
    }
    hits
}
