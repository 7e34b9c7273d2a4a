//! The text of a JSON object, taken apart as far as it is changed and written again in the form in which it was found.

use std::fmt::{self, Write as _};

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::Wrong;

/// A value, of which only what is changed is taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    /// As it stands in the text, which keeps every number, order and blank.
    Raw(String),
    Array(Vec<Node>),
    Object(Vec<(String, Node)>),
}

/// The members of an object in their order, each value as it stands in the text. Nothing at all is an empty object.
///
/// # Errors
/// What is wrong, and in which line.
pub(super) fn members(text: &str) -> Result<Vec<(String, &str)>, Wrong> {
    let text = body(text);
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    if let Err(error) = serde_json::from_str::<IgnoredAny>(text) {
        let line = error.line();
        let rest = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
        let is_comment =
            rest.get(error.column().saturating_sub(1)..).is_some_and(|rest| rest.starts_with('/'));
        let why = if is_comment {
            "a comment, which is no JSON".to_owned()
        } else {
            // Without the place, which is said beside it.
            let said = error.to_string();
            format!("no JSON: {}", said.split(" at line ").next().unwrap_or_default())
        };
        return Err(Wrong { line, why });
    }
    match serde_json::from_str::<Members<'_>>(text) {
        Ok(Members(members)) => Ok(members),
        Err(_) => Err(Wrong { line: 1, why: "not an object".into() }),
    }
}

/// The object `text` without those elements of its list `key` that are not at `places`.
///
/// # Errors
/// When it is no object, or has no such list.
pub(super) fn without(text: &str, key: &str, places: &[usize]) -> Result<Node, Wrong> {
    let filtered = |list: &str| -> Result<Node, Wrong> {
        let all: Vec<&RawValue> = serde_json::from_str(list)
            .map_err(|_| Wrong { line: 0, why: format!("{key:?} is not a list") })?;
        let kept = places.iter().filter_map(|&at| all.get(at)).map(|raw| Node::Raw(raw.get().to_owned()));
        Ok(Node::Array(kept.collect()))
    };
    let member = |(name, value): (String, &str)| {
        let node = if name == key { filtered(value)? } else { Node::Raw(value.to_owned()) };
        Ok((name, node))
    };
    Ok(Node::Object(members(text)?.into_iter().map(member).collect::<Result<_, Wrong>>()?))
}

/// The text without the mark that some editors put in front.
fn body(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

struct Members<'a>(Vec<(String, &'a str)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Collect)
    }
}

struct Collect;

impl<'de> Visitor<'de> for Collect {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::new();
        while let Some((key, value)) = map.next_entry::<String, &RawValue>()? {
            all.push((key, value.get()));
        }
        Ok(Members(all))
    }
}

/// How a text is laid out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Style {
    /// One step of indentation; `None` for a text in one line.
    indent: Option<String>,
    newline: &'static str,
}

impl Style {
    /// That of `text`; two blanks, as Claude Code writes it, where it does not show.
    pub(super) fn of(text: &str) -> Self {
        let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
        let body = body(text).trim();
        let inner = body.strip_prefix('{').unwrap_or_default();
        let shown = inner.trim_start().starts_with('"');
        let indent = match inner.split_once('\n') {
            _ if !shown => Some("  ".to_owned()),
            None => None,
            Some((_, rest)) => {
                let line = rest.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
                Some(line[..line.len() - line.trim_start().len()].to_owned())
            }
        };
        Style { indent, newline }
    }

    /// `root` in place of the object in `text`, with what stands around that.
    pub(super) fn around(&self, text: &str, root: &Node) -> String {
        let body = body(text);
        let start = text.len() - body.len() + (body.len() - body.trim_start().len());
        let end = text.trim_end().len().max(start);
        let mut out = text[..start].to_owned();
        self.write(root, 0, &mut out);
        // A file that was empty gets its end of line.
        out.push_str(if start == end { self.newline } else { &text[end..] });
        out
    }

    fn write(&self, node: &Node, depth: usize, out: &mut String) {
        match node {
            Node::Raw(text) => out.push_str(text),
            Node::Array(all) => {
                self.list(['[', ']'], all, depth, out, |one, out| self.write(one, depth + 1, out));
            }
            Node::Object(all) => self.list(['{', '}'], all, depth, out, |(key, value), out| {
                let colon = if self.indent.is_some() { ": " } else { ":" };
                let _ = write!(out, "{}{colon}", serde_json::Value::from(key.as_str()));
                self.write(value, depth + 1, out);
            }),
        }
    }

    fn list<T>(
        &self,
        [open, close]: [char; 2],
        all: &[T],
        depth: usize,
        out: &mut String,
        each: impl Fn(&T, &mut String),
    ) {
        let line = |depth: usize, out: &mut String| {
            if let Some(indent) = &self.indent {
                out.push_str(self.newline);
                (0..depth).for_each(|_| out.push_str(indent));
            }
        };
        out.push(open);
        for (at, one) in all.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            line(depth + 1, out);
            each(one, out);
        }
        if !all.is_empty() {
            line(depth, out);
        }
        out.push(close);
    }
}
