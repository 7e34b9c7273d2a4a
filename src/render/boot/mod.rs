//! What a service manager is told about the daemon: the file, and the mark in it that says who wrote it.

pub mod plist;
pub mod unit;

/// What is to be started at boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// The absolute path of `tsm`.
    pub program: String,
    /// The variables that it needs beside those of a login.
    pub env: Vec<(String, String)>,
}

impl Job {
    /// The words that start the daemon: in the place of one that somebody started by hand meanwhile.
    pub const WORDS: [&str; 3] = ["daemon", "run", "--replace"];

    /// The words with which systemd ends it: they see to what it has started, where that would be killed.
    pub const LAST_WORDS: [&str; 2] = ["daemon", "leave"];

    /// The value of one of its variables.
    pub fn var(&self, name: &str) -> Option<&str> {
        self.env.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Who wrote a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    /// We, and nobody has changed it since.
    Tsm,
    /// We, and somebody has changed it since.
    Edited,
    /// Somebody else.
    Other,
}

/// What stands in the mark before the hash.
const MARK: &str = "Written by \"tsm daemon enable\", hash ";

/// The text of the mark for what follows it.
fn mark(body: &str) -> String {
    format!("{MARK}{:016x}", hash(body))
}

/// Tells who wrote `text`: the line with the mark holds the hash of all that follows it.
pub fn writer(text: &str) -> Writer {
    let Some(at) = text.find(MARK) else { return Writer::Other };
    let body = text[at..].split_once('\n').map_or("", |(_, body)| body);
    if [unit::seal(body), plist::seal(body)].iter().any(|whole| whole == text) {
        Writer::Tsm
    } else {
        Writer::Edited
    }
}

/// FNV-1a: tells an edit, not a forger.
fn hash(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_shows_wherever_it_is_made() {
        let job = Job { program: "/usr/bin/tsm".into(), env: vec![("PATH".into(), "/bin".into())] };
        for text in [unit::text(&job).unwrap(), plist::text(&job).unwrap()] {
            assert_eq!(writer(&text), Writer::Tsm, "{text}");
            for (at, _) in text.char_indices() {
                let mut edited = text.clone();
                edited.replace_range(at..=at, if &text[at..=at] == "~" { "x" } else { "~" });
                assert_ne!(writer(&edited), Writer::Tsm, "changed at {at}: {edited}");
            }
            assert_eq!(writer(&format!("{text}# more\n")), Writer::Edited);
            assert_eq!(writer(&format!("# more\n{text}")), Writer::Edited);
        }
        assert_eq!(writer("[Service]\nExecStart=/usr/bin/tsm daemon run\n"), Writer::Other);
        assert_eq!(writer(""), Writer::Other);
    }
}
