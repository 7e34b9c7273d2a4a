//! A definition as the text of a `.tsm` file: what [`Definition::parse`] reads back as the same.

use std::borrow::Cow;
use std::fmt::Write;
use std::path::Path;

use super::definition::Definition;
use super::keys::Key;
use crate::error::{Error, Result};

impl Definition {
    /// The text of its file, as `tsm save` writes it; what is `None` is not mentioned.
    ///
    /// # Errors
    /// When a reader would make something else of it, such as of a directory whose name is no text.
    pub fn text(&self) -> Result<String> {
        self.text_by("Written by `tsm save`.")
    }

    /// As [`Definition::text`], with another first line: `by` is one line that says where it comes from.
    ///
    /// # Errors
    /// As [`Definition::text`].
    pub fn text_by(&self, by: &str) -> Result<String> {
        let mut text = format!("# {by}\n");
        let mut add = |key: Key, value: Option<String>| {
            if let Some(value) = value {
                line(&mut text, key.name(), &value);
            }
        };
        add(Key::Name, (self.process != self.name).then(|| self.process.to_string()));
        add(Key::Description, self.description.clone());
        add(Key::Type, self.kind.map(|kind| kind.to_string()));
        add(Key::Command, Some(self.command.clone()));
        add(Key::Dir, self.dir.as_ref().map(|dir| dir.to_string_lossy().into_owned()));
        add(Key::Port, self.port.map(|port| port.to_string()));
        add(Key::Env, self.env.clone());
        add(Key::Restart, self.restart.map(|policy| policy.to_string()));
        add(Key::MaxRestarts, self.max_restarts.map(|count| count.to_string()));
        add(Key::StopSignal, self.stop_signal.map(|signal| signal.to_string()));
        add(Key::StopTimeout, self.stop_timeout_ms.map(time));
        add(Key::Reload, self.reload.clone());
        add(Key::LogMaxSize, self.log_max_bytes.map(|bytes| bytes.to_string()));
        add(Key::LogKeep, self.log_keep.map(|count| count.to_string()));
        for (name, value) in &self.env_vars {
            line(&mut text, &format!("export {name}"), value);
        }
        self.check(&text)?;
        Ok(text)
    }

    /// Makes sure that a reader makes the same of `text`.
    fn check(&self, text: &str) -> Result<()> {
        let failed = |why: &str| Error::failed(format!("{} cannot be written: {why}", self.file.display()));
        let read = Definition::parse(&self.file, text, &|_| None).map_err(|error| failed(error.message()))?;
        if read == (Definition { remarks: Vec::new(), ..self.clone() }) {
            return Ok(());
        }
        let why = if self.dir.as_deref().is_some_and(|dir| dir.to_str().is_none()) {
            "the name of its directory is not UTF-8 text"
        } else {
            "it would not be read back as it is"
        };
        Err(failed(why))
    }

    /// A definition in `file` that says no more than its command.
    ///
    /// # Errors
    /// When the file's name is no service name, or the command is blank.
    pub fn of_command(file: &Path, command: &str) -> Result<Self> {
        let mut text = String::new();
        line(&mut text, Key::Command.name(), command);
        Self::parse(file, &text, &|_| None)
    }
}

fn line(text: &mut String, name: &str, value: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{name}={}", quoted(value));
}

/// `value` as it stands behind `NAME=`. The reader takes a carriage return before a line's end for part of that, so the two
/// are kept apart by an end and a beginning of quotes.
fn quoted(value: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:@%+,".contains(&byte);
    if !value.is_empty() && value.bytes().all(plain) {
        return Cow::Borrowed(value);
    }
    Cow::Owned(format!("'{}'", value.replace('\'', "'\\''").replace("\r\n", "\r''\n")))
}

/// A time in the largest unit that holds it without a fraction.
fn time(ms: u64) -> String {
    if ms.is_multiple_of(1000) { format!("{}s", ms / 1000) } else { format!("{ms}ms") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Kind, RestartPolicy};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn base(command: &str) -> Definition {
        Definition::of_command(Path::new("/d/web.tsm"), command).unwrap()
    }

    #[test]
    fn a_definition_says_what_it_has_and_no_more() {
        assert_eq!(base("sleep").text().unwrap(), "# Written by `tsm save`.\nSERVICE_COMMAND=sleep\n");
        let full = Definition {
            kind: Some(Kind::Port),
            port: Some(3000),
            env: Some("dev".into()),
            dir: Some("/home/u/it's".into()),
            restart: Some(RestartPolicy::Always),
            max_restarts: Some(3),
            stop_signal: Some("INT".parse().unwrap()),
            stop_timeout_ms: Some(1500),
            log_max_bytes: Some(1 << 20),
            log_keep: Some(0),
            env_vars: BTreeMap::from([("A".to_owned(), "$B `c`".to_owned())]),
            ..base("node server.js")
        };
        assert_eq!(
            full.text().unwrap(),
            "# Written by `tsm save`.\nSERVICE_TYPE=port\nSERVICE_COMMAND='node server.js'\n\
             SERVICE_DIR='/home/u/it'\\''s'\nSERVICE_PORT=3000\nSERVICE_ENV=dev\nSERVICE_RESTART=always\n\
             SERVICE_MAX_RESTARTS=3\nSERVICE_STOP_SIGNAL=INT\nSERVICE_STOP_TIMEOUT=1500ms\n\
             SERVICE_LOG_MAX_SIZE=1048576\nSERVICE_LOG_KEEP=0\nexport A='$B `c`'\n"
        );
    }

    #[test]
    fn what_would_be_read_as_something_else_is_refused() {
        use std::os::unix::ffi::OsStringExt;
        let no_text = std::ffi::OsString::from_vec(b"/a\xff".to_vec());
        for (wrong, why) in [
            (Definition { dir: Some(no_text.into()), ..base("x") }, "is not UTF-8 text"),
            (Definition { env: Some("  ".into()), ..base("x") }, "would not be read back"),
            (Definition { command: "\u{0}".into(), ..base("x") }, "NUL"),
            (
                Definition { env_vars: BTreeMap::from([("TSM_X".into(), "1".into())]), ..base("x") },
                "would not be read back",
            ),
        ] {
            let error = wrong.text().unwrap_err();
            assert!(error.message().starts_with("/d/web.tsm cannot be written: "), "{error}");
            assert!(error.message().contains(why), "{error}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_values_are_read_back(
            command in "[^\\x00]*[!-~][^\\x00]*",
            dir in "/([^\\x00]{0,20}|[\r\n'\"\\\\$ ]{0,6})",
            value in "([^\\x00]|\r\n|['\"$`\\\\\n]){0,30}",
            timeout in 0u64..100_000,
        ) {
            let full = Definition {
                dir: Some(dir.into()),
                reload: Some(format!("x{value}")),
                stop_timeout_ms: Some(timeout),
                env_vars: BTreeMap::from([("LC_X".to_owned(), value)]),
                ..base(&command)
            };
            // It reads its own text back and compares, or it fails.
            prop_assert!(full.text().is_ok(), "{:?}", full.text());
        }
    }
}
