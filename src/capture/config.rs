//! `capture.toml`: what the user wants captured, and what never.
//!
//! A file that is not understood is an error with its line, and nothing is captured then: a guess could let a secret
//! through.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use toml::Spanned;

use crate::error::{Error, Result};

/// The tools that are captured unless switched off; any other that a client names is, too.
const TOOLS: [&str; 4] = ["claude-code", "cursor", "chatgpt", "generic"];

/// Files that are left out, by their name or by their path in the repository, whatever the case of their letters.
const EXCLUDED: [&str; 24] = [
    "*.env",
    ".env*",
    "*.envrc",
    "*secret*",
    "*password*",
    "*passwd*",
    "*credential*",
    "*api*key*",
    "*private*key*",
    "*token*.json",
    "*.pem",
    "*.key",
    "*.p12",
    "*.pfx",
    "*.jks",
    "*.keystore",
    "*.kdbx",
    "*.ppk",
    "id_rsa*",
    "id_dsa*",
    "id_ecdsa*",
    "id_ed25519*",
    ".netrc",
    ".npmrc",
];

/// The largest program that one of the user's expressions may become, in bytes.
const LARGEST_EXPRESSION: usize = 1 << 20;

/// What is captured, and how it is kept.
#[derive(Clone, Debug)]
pub struct Config {
    /// False: nothing is captured.
    pub enabled: bool,
    /// Tools that are switched on or off by name.
    pub tools: BTreeMap<String, bool>,
    /// Shell patterns of files that are left out, in lower case.
    pub exclude: Vec<String>,
    /// Secrets are masked.
    pub mask: bool,
    /// More that is masked.
    pub mask_patterns: Vec<Regex>,
    /// What a changed file held before and after is kept; otherwise its name only.
    pub contents: bool,
    /// How long a session may be silent before it is over.
    pub max_session_age: Duration,
    /// How many days what no commit has taken is kept.
    pub keep_days: u64,
    /// The longest message, in bytes.
    pub max_message_size: u64,
}

impl Default for Config {
    fn default() -> Self {
        File::default().config(Vec::new())
    }
}

/// The file as it is written. An unknown key is an error.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    enabled: bool,
    tools: BTreeMap<String, bool>,
    exclude: Vec<Spanned<String>>,
    exclude_defaults: bool,
    mask: bool,
    mask_patterns: Vec<Spanned<String>>,
    contents: bool,
    #[serde(deserialize_with = "duration")]
    max_session_age: Duration,
    keep_days: u64,
    #[serde(deserialize_with = "size")]
    max_message_size: u64,
}

impl Default for File {
    fn default() -> Self {
        File {
            enabled: true,
            tools: BTreeMap::new(),
            exclude: Vec::new(),
            exclude_defaults: true,
            mask: true,
            mask_patterns: Vec::new(),
            contents: false,
            max_session_age: Duration::from_secs(24 * 60 * 60),
            keep_days: 30,
            max_message_size: 1 << 20,
        }
    }
}

impl File {
    fn config(self, mask_patterns: Vec<Regex>) -> Config {
        let built_in = EXCLUDED.iter().filter(|_| self.exclude_defaults).map(|pattern| (*pattern).to_owned());
        let own = self.exclude.into_iter().map(|pattern| pattern.into_inner().to_lowercase());
        let mut tools: BTreeMap<String, bool> = TOOLS.iter().map(|tool| ((*tool).to_owned(), true)).collect();
        tools.extend(self.tools);
        Config {
            enabled: self.enabled,
            tools,
            exclude: built_in.chain(own).collect(),
            mask: self.mask,
            mask_patterns,
            contents: self.contents,
            max_session_age: self.max_session_age,
            keep_days: self.keep_days,
            max_message_size: self.max_message_size,
        }
    }
}

fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(from)?;
    let parsed =
        humantime::parse_duration(&text).map_err(|_| format!("\"{text}\" is no time such as \"24h\""));
    parsed
        .and_then(
            |time| if time.is_zero() { Err("it must be longer than nothing".to_owned()) } else { Ok(time) },
        )
        .map_err(serde::de::Error::custom)
}

fn size<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let text = String::deserialize(from)?;
    let parsed =
        text.parse::<bytesize::ByteSize>().map_err(|_| format!("\"{text}\" is no size such as \"1MiB\""));
    let most = 1 << 20;
    parsed
        .map(|size| size.as_u64())
        .and_then(
            |size| {
                if (1..=most).contains(&size) { Ok(size) } else { Err("it must be 1B to 1MiB".to_owned()) }
            },
        )
        .map_err(serde::de::Error::custom)
}

impl Config {
    /// Where the file is: `tsm/capture.toml` in `XDG_CONFIG_HOME`, else in `~/.config`.
    pub fn path(config_home: Option<&Path>, home: Option<&Path>) -> Option<PathBuf> {
        let base = config_home.map(Path::to_owned).or_else(|| home.map(|home| home.join(".config")))?;
        Some(base.join("tsm/capture.toml"))
    }

    /// Reads the file at `path`; one that is missing says nothing.
    ///
    /// # Errors
    /// When it cannot be read or is not understood: an unknown key, a wrong value, a broken expression. The message has the
    /// file and the line.
    pub fn load(path: &Path) -> Result<Self> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Config::default()),
            Err(error) => return Err(Error::io("read", path, &error)),
        };
        Self::parse(&text).map_err(|(at, why)| {
            let line = text[..at.min(text.len())].matches('\n').count() + 1;
            Error::failed(format!("nothing is captured: {}:{line}: {why}", path.display()))
                .hint("correct that line of capture.toml, or remove the file for the defaults")
        })
    }

    /// Reads the text of such a file, or says where it is broken, in bytes, and why.
    fn parse(text: &str) -> Result<Self, (usize, String)> {
        let file: File = toml::from_str(text).map_err(|error| {
            let why = error.message().lines().collect::<Vec<_>>().join(", ");
            (error.span().map_or(0, |span| span.start), why)
        })?;
        for pattern in &file.exclude {
            glob::Pattern::new(pattern.get_ref())
                .map_err(|error| (pattern.span().start, error.msg.to_owned()))?;
        }
        let expressions = file.mask_patterns.iter().map(expression).collect::<Result<_, _>>()?;
        Ok(file.config(expressions))
    }

    /// True when sessions of `tool` are captured.
    pub fn captures(&self, tool: &str) -> bool {
        self.enabled && self.tools.get(tool).copied().unwrap_or(true)
    }

    /// The same in the words of the API's `getConfig`.
    pub fn document(&self) -> Value {
        json!({
            "enabled": self.enabled,
            "autoCapture": self.tools,
            "privacy": {
                "excludePatterns": self.exclude,
                "maskSensitiveData": self.mask,
                "maskPatterns": self.mask_patterns.iter().map(Regex::as_str).collect::<Vec<_>>(),
                "fileContents": self.contents,
            },
            "storage": {
                "maxSessionAge": self.max_session_age.as_millis() as u64,
                "maxMessageSize": self.max_message_size,
                "keepDays": self.keep_days,
                "autoCleanup": true,
            },
        })
    }
}

fn expression(text: &Spanned<String>) -> Result<Regex, (usize, String)> {
    let at = text.span().start;
    let made = RegexBuilder::new(text.get_ref()).size_limit(LARGEST_EXPRESSION).build();
    let made = made.map_err(|error| {
        // The last line says what is wrong; those before it draw the expression.
        let text = error.to_string();
        (at, text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned())
    })?;
    if made.is_match("") {
        return Err((at, format!("\"{}\" matches an empty text, and so everywhere", text.get_ref())));
    }
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Config> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("capture.toml");
        std::fs::write(&path, text).unwrap();
        Config::load(&path)
    }

    #[test]
    fn a_missing_or_empty_file_means_the_defaults() {
        for config in [Config::load(Path::new("/does/not/exist")).unwrap(), load("").unwrap()] {
            assert!(config.enabled && config.mask && !config.contents);
            assert!(config.exclude.iter().any(|pattern| pattern == "*secret*"));
            assert_eq!(config.max_session_age, Duration::from_secs(86400));
            assert_eq!((config.keep_days, config.max_message_size), (30, 1 << 20));
            assert!(config.captures("claude-code") && config.captures("a-tool-of-mine"));
        }
    }

    #[test]
    fn what_the_file_says_counts_and_its_patterns_are_added() {
        let config = load(
            "exclude = ['*.sql', 'Private/**']\nmask_patterns = ['ACME-\\d+']\ncontents = true\n\
             max_session_age = '90m'\nkeep_days = 3\nmax_message_size = '64KiB'\n[tools]\ncursor = false\n",
        )
        .unwrap();
        assert!(
            config.exclude.contains(&"*.env".to_owned()) && config.exclude.contains(&"private/**".to_owned())
        );
        assert!(config.mask_patterns[0].is_match("see ACME-12"));
        assert_eq!(config.max_session_age, Duration::from_secs(5400));
        assert_eq!((config.keep_days, config.max_message_size, config.contents), (3, 65536, true));
        assert!(!config.captures("cursor") && config.captures("claude-code"));
        assert!(!load("exclude_defaults = false").unwrap().exclude.contains(&"*.env".to_owned()));
        assert!(!load("enabled = false").unwrap().captures("claude-code"));
    }

    #[test]
    fn a_broken_file_is_an_error_with_its_line() {
        for (text, line, why) in [
            ("enabled = true\nmaks = false\n", 2, "unknown field"),
            ("\n\nmask = 'no'\n", 3, "invalid type"),
            ("mask = true\nmask = false\n", 2, "duplicate key"),
            ("mask_patterns = [\n  'a+',\n  '('\n]\n", 3, "unclosed group"),
            ("mask_patterns = ['x*']\n", 1, "empty text"),
            ("exclude = ['a[']\n", 1, "invalid range"),
            ("\nmax_session_age = 'soon'\n", 2, "no time"),
            ("max_session_age = '0s'\n", 1, "longer than nothing"),
            ("max_message_size = '2MiB'\n", 1, "1B to 1MiB"),
            ("keep_days = -1\n", 1, "invalid value"),
            ("enabled = \n", 1, ""),
        ] {
            let error = load(text).unwrap_err();
            assert!(error.message().contains(&format!("capture.toml:{line}: ")), "{text}: {error}");
            assert!(error.message().contains(why), "{text}: {error}");
            assert!(error.message().starts_with("nothing is captured: "), "{error}");
        }
    }

    #[test]
    fn the_document_has_the_names_of_the_api() {
        let document = load("[tools]\ncursor = false\n").unwrap().document();
        assert_eq!(document["autoCapture"]["cursor"], false);
        assert_eq!(document["autoCapture"]["claude-code"], true);
        assert_eq!(document["privacy"]["maskSensitiveData"], true);
        assert_eq!(document["privacy"]["excludePatterns"][0], "*.env");
        assert_eq!(document["storage"]["maxSessionAge"], 86_400_000);
    }

    #[test]
    fn the_place_is_that_of_xdg() {
        let home = Some(Path::new("/home/ann"));
        let path = |config| Config::path(config, home).unwrap();
        assert_eq!(path(None), Path::new("/home/ann/.config/tsm/capture.toml"));
        assert_eq!(path(Some(Path::new("/x"))), Path::new("/x/tsm/capture.toml"));
        assert_eq!(Config::path(None, None), None);
    }
}
