//! The property list of the daemon for launchd (`launchd.plist(5)`), written and read.

use std::fmt::Write;

use super::{Job, mark};
use crate::error::{Error, Result};

/// The label of the agent, which is also the name of its file.
pub const LABEL: &str = "dev.tsm.daemon";

/// The text of the list.
///
/// # Errors
/// Usage, when XML cannot say a word of it.
pub fn text(job: &Job) -> Result<String> {
    let mut words = format!("<string>{}</string>", escape(&job.program)?);
    for word in Job::WORDS {
        let _ = write!(words, "\n    <string>{word}</string>");
    }
    let mut env = String::new();
    for (name, value) in &job.env {
        let _ = writeln!(env, "    <key>{}</key>\n    <string>{}</string>", escape(name)?, escape(value)?);
    }
    let body = format!(
        "\
<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">
<plist version=\"1.0\">
<dict>
  <key>Label</key>
  <string>{LABEL}</string>
  <key>ProgramArguments</key>
  <array>
    {words}
  </array>
  <key>EnvironmentVariables</key>
  <dict>
{env}  </dict>
  <key>RunAtLoad</key>
  <true/>
  <!-- Started again after a failure; and what it started goes on without it. -->
  <key>KeepAlive</key>
  <dict>
    <key>SuccessfulExit</key>
    <false/>
  </dict>
  <key>AbandonProcessGroup</key>
  <true/>
  <!-- What it starts is not throttled as background work is. -->
  <key>ProcessType</key>
  <string>Interactive</string>
</dict>
</plist>
"
    );
    Ok(seal(&body))
}

/// The whole text, with the mark of what follows it.
pub(super) fn seal(body: &str) -> String {
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- {} -->\n{body}", mark(body))
}

/// A text between two tags.
fn escape(text: &str) -> Result<String> {
    // Of the control characters XML 1.0 has three, and reads a bare carriage return as a line feed.
    if text.contains(|c: char| {
        c.is_control() && !matches!(c, '\t' | '\n' | '\r') || c == '\u{fffe}' || c == '\u{ffff}'
    }) {
        return Err(Error::usage(format!("a property list cannot say {text:?}")));
    }
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    Ok(text.replace('\r', "&#13;"))
}

/// What a list starts, as far as it is written in our way; none without a program.
pub fn read(text: &str) -> Option<Job> {
    let (_, rest) = text.split_once("<key>ProgramArguments</key>")?;
    let program = between(rest, "<string>", "</string>")?;
    let env = match text.split_once("<key>EnvironmentVariables</key>") {
        Some((_, rest)) => rest.split_once("</dict>").map_or(rest, |(dict, _)| dict),
        None => "",
    };
    let pairs = env.split("<key>").skip(1).filter_map(|pair| {
        let (name, rest) = pair.split_once("</key>")?;
        Some((plain(name), between(rest, "<string>", "</string>")?))
    });
    let job = Job { program, env: pairs.collect() };
    job.program.starts_with('/').then_some(job)
}

fn between(text: &str, open: &str, close: &str) -> Option<String> {
    let (_, rest) = text.split_once(open)?;
    Some(plain(rest.split_once(close)?.0))
}

/// The text that [`escape`] was given.
fn plain(text: &str) -> String {
    text.replace("&#13;", "\r").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_xml_cannot_say_is_refused() {
        for word in ["/a\u{1}b", "/a\u{7f}b", "/\u{ffff}"] {
            assert!(text(&Job { program: word.into(), env: Vec::new() }).is_err(), "{word:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(program in "/[\\PC&<>]{1,20}", path in "[ -~\n\t\r]{0,40}") {
            let job = Job { program, env: vec![("PATH".to_owned(), path)] };
            prop_assert_eq!(read(&text(&job).unwrap()), Some(job));
        }
    }
}
