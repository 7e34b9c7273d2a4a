//! Masking as the user's settings have it: what is built in, and their own expressions.

use serde_json::{Map, Value};

use super::config::Config;
use super::mask::mask;
use crate::model::secret::looks_secret;

/// What stands for what one of the user's expressions has found.
const OWN: &str = "[masked: by capture.toml]";

/// Everything that is stored goes through this first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cleaner<'a>(&'a Config);

impl<'a> Cleaner<'a> {
    /// The one for these settings.
    pub(super) fn new(config: &'a Config) -> Self {
        Cleaner(config)
    }

    /// `text` without secrets, and how many were masked.
    pub(super) fn text(self, text: &str) -> (String, usize) {
        if !self.0.mask {
            return (text.to_owned(), 0);
        }
        // The user's own come first: what is built in may take a part of what they mean, and their expression would
        // find no more of it.
        let (mut own, mut count) = (None::<String>, 0);
        for pattern in &self.0.mask_patterns {
            let from = own.as_deref().unwrap_or(text);
            let found = pattern.find_iter(from).filter(|found| !found.is_empty()).count();
            if found > 0 {
                let made = pattern
                    .replace_all(from, |one: &regex::Captures<'_>| if one[0].is_empty() { "" } else { OWN });
                own = Some(made.into_owned());
                count += found;
            }
        }
        let masked = mask(own.as_deref().unwrap_or(text));
        (masked.text.into_owned(), count + masked.count)
    }

    /// The same for each text in an object, also for those whose name looks secret.
    pub(super) fn object(self, object: &Map<String, Value>) -> Map<String, Value> {
        object
            .iter()
            .map(|(name, value)| {
                let value = match value {
                    Value::String(text) if self.0.mask && looks_secret(name) && !text.is_empty() => {
                        Value::String("[masked: secret]".to_owned())
                    }
                    value => self.value(value),
                };
                (self.text(name).0, value)
            })
            .collect()
    }

    fn value(self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text).0),
            Value::Array(values) => Value::Array(values.iter().map(|value| self.value(value)).collect()),
            Value::Object(object) => Value::Object(self.object(object)),
            plain => plain.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn config(mask: bool) -> Config {
        let pattern = regex::Regex::new("ACME-[0-9]+").unwrap();
        Config { mask, mask_patterns: vec![pattern], ..Config::default() }
    }

    #[test]
    fn the_users_expressions_and_ours_are_masked_unless_that_is_off() {
        let text = "ACME-12, TOKEN=abc, ACME-345";
        let (on, off) = (config(true), config(false));
        let expected = "[masked: by capture.toml], TOKEN=[masked: secret], [masked: by capture.toml]";
        assert_eq!(Cleaner::new(&on).text(text), (expected.to_owned(), 3));
        assert_eq!(Cleaner::new(&on).text(expected), (expected.to_owned(), 0));
        assert_eq!(Cleaner::new(&off).text(text), (text.to_owned(), 0));
    }

    #[test]
    fn of_an_object_every_text_is_masked_at_any_depth() {
        let object = json!({"cwd": "/x", "apiKey": "abc", "n": 1, "list": ["ACME-1", {"env": "TOKEN=abc"}]});
        let masked = Cleaner::new(&config(true)).object(object.as_object().unwrap());
        let expected = json!({"cwd": "/x", "apiKey": "[masked: secret]", "n": 1,
            "list": ["[masked: by capture.toml]", {"env": "TOKEN=[masked: secret]"}]});
        assert_eq!(Value::Object(masked), expected);
    }
}
