//! What a conversation is about, in one line.

use crate::agents::claude::record::{Kind, Part, Title};
use crate::agents::claude::text::one_line;

/// The lines that could stand for a conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::agents::claude) struct Preview {
    custom: Option<String>,
    ai: Option<String>,
    summary: Option<String>,
    said: Option<String>,
    prompt: Option<String>,
}

impl Preview {
    /// Takes what the next record says.
    pub(in crate::agents::claude) fn push(&mut self, kind: &Kind) {
        match kind {
            Kind::Title(title, text) => {
                let place = match title {
                    Title::Custom => &mut self.custom,
                    Title::Ai => &mut self.ai,
                    Title::Summary => &mut self.summary,
                };
                *place = one_line(text).or(place.take());
            }
            Kind::Prompt(text) if self.prompt.is_none() => self.prompt = one_line(text),
            Kind::Said { parts, is_error: false, .. } => {
                let last = parts.iter().rev().find_map(|part| match part {
                    Part::Text(text) => one_line(text),
                    _ => None,
                });
                self.said = last.or(self.said.take());
            }
            _ => {}
        }
    }

    /// Takes over what the beginning of the file says where its end says nothing; the first prompt stands there.
    pub(in crate::agents::claude) fn or(&self, head: &Preview) -> Preview {
        let first = |a: &Option<String>, b: &Option<String>| a.clone().or_else(|| b.clone());
        Preview {
            custom: first(&self.custom, &head.custom),
            ai: first(&self.ai, &head.ai),
            summary: first(&self.summary, &head.summary),
            said: first(&self.said, &head.said),
            prompt: first(&head.prompt, &self.prompt),
        }
    }

    /// The title that the user, the agent or a compaction gave it.
    pub(in crate::agents::claude) fn title(&self) -> Option<&str> {
        self.custom.as_deref().or(self.ai.as_deref()).or(self.summary.as_deref())
    }

    /// The title, else what the agent said last, else the first prompt.
    pub(in crate::agents::claude) fn line(&self) -> Option<&str> {
        self.title().or(self.said.as_deref()).or(self.prompt.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Kind {
        Kind::Said {
            message: None,
            parts: vec![Part::Text(text.into()), Part::Other],
            stop: None,
            is_error: false,
        }
    }

    fn of(kinds: &[Kind]) -> Option<String> {
        let mut preview = Preview::default();
        for kind in kinds {
            preview.push(kind);
        }
        preview.line().map(str::to_owned)
    }

    #[test]
    fn a_title_stands_before_what_was_said_and_that_before_the_first_prompt() {
        let title = |title, text: &str| Kind::Title(title, text.into());
        let prompts = [Kind::Prompt("first\nprompt".into()), Kind::Prompt("second".into())];
        assert_eq!(of(&[]), None);
        assert_eq!(of(&prompts).unwrap(), "first prompt");
        let mut kinds = prompts.to_vec();
        kinds.extend([said("one"), said("two\n\nlines"), said(" ")]);
        assert_eq!(of(&kinds).unwrap(), "two lines");
        kinds.insert(0, title(Title::Summary, "a summary"));
        assert_eq!(of(&kinds).unwrap(), "a summary");
        kinds.insert(0, title(Title::Ai, "an AI's title"));
        assert_eq!(of(&kinds).unwrap(), "an AI's title");
        kinds.extend([
            title(Title::Custom, "mine"),
            title(Title::Custom, "mine, renamed"),
            title(Title::Custom, ""),
        ]);
        assert_eq!(of(&kinds).unwrap(), "mine, renamed");
    }

    #[test]
    fn an_error_is_nothing_that_was_said() {
        let error =
            Kind::Said { message: None, parts: vec![Part::Text("529".into())], stop: None, is_error: true };
        assert_eq!(of(&[said("fine"), error]).unwrap(), "fine");
    }

    #[test]
    fn the_beginning_of_a_file_adds_what_its_end_lacks() {
        let (mut head, mut tail) = (Preview::default(), Preview::default());
        head.push(&Kind::Prompt("first".into()));
        tail.push(&Kind::Prompt("fortieth".into()));
        assert_eq!(tail.or(&head).line(), Some("first"));
        head.push(&Kind::Title(Title::Ai, "old".into()));
        tail.push(&said("later"));
        assert_eq!(tail.or(&head).line(), Some("old"));
        tail.push(&Kind::Title(Title::Ai, "new".into()));
        assert_eq!(tail.or(&head).line(), Some("new"));
    }
}
