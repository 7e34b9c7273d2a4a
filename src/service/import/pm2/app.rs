//! One application as pm2 writes it: its fields, under each of the names that pm2 reads.

use serde_json::Value;

use super::Object;

/// One application.
pub(super) struct App<'a> {
    map: &'a Object,
    /// It was written by `pm2 save`, with everything resolved and pm2's own values among it.
    pub(super) dumped: bool,
}

impl<'a> App<'a> {
    pub(super) fn new(map: &'a Object) -> Self {
        App { map, dumped: map.contains_key("pm_exec_path") }
    }

    /// The first of these fields that is there and not null.
    pub(super) fn value(&self, names: &[&str]) -> Option<&'a Value> {
        names.iter().find_map(|name| self.map.get(*name).filter(|value| !value.is_null()))
    }

    /// As [`App::value`], where it is more than another way to say nothing.
    pub(super) fn meant(&self, names: &[&str]) -> Option<&'a Value> {
        self.value(names).filter(|value| match value {
            Value::Null => false,
            Value::Bool(yes) => *yes,
            Value::Number(number) => number.as_f64() != Some(0.0),
            Value::String(text) => !text.trim().is_empty(),
            Value::Array(items) => !items.is_empty(),
            Value::Object(map) => !map.is_empty(),
        })
    }

    /// The text of a field that is not blank.
    pub(super) fn text(&self, names: &[&str]) -> Option<String> {
        self.value(names).and_then(scalar).filter(|text| !text.trim().is_empty())
    }

    /// The words of a field, which can be a list or one text with quotes.
    pub(super) fn words(&self, names: &[&str]) -> Vec<String> {
        match self.value(names) {
            Some(Value::Array(items)) => items.iter().filter_map(scalar).collect(),
            Some(other) => {
                let line = scalar(other).unwrap_or_default();
                let split = shell_words::split(&line);
                split.unwrap_or_else(|_| line.split_whitespace().map(str::to_owned).collect())
            }
            None => Vec::new(),
        }
    }

    /// The variables it is given.
    pub(super) fn env(&self) -> Option<&'a Object> {
        self.value(&["env"])?.as_object()
    }

    /// All its fields.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&'a String, &'a Value)> {
        self.map.iter()
    }
}

/// A value as node puts it into an environment or a command line; none for what has no such form.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}
