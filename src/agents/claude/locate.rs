//! Which files could be the conversation of a process: names, folders and the words of its command line.
//!
//! A conversation is `projects/ENCODED-DIRECTORY/SESSION-ID.jsonl` below Claude Code's folder (`skillsynchq/txcript`,
//! docs/formats/claude-code.md). The encoding loses which character stood there (anthropics/claude-code#7009), so that a
//! file found by the directory is one only if its records name that directory.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Names of folders are cut here, and a hash follows that differs between builds.
const LONGEST: usize = 200;

/// How a directory is called in the name of a folder: every character outside of A-Z, a-z and 0-9 is a dash, one for each
/// UTF-16 unit (`vectorize-io/hindsight` b448202bd, anthropics/claude-code#70076).
pub(super) fn encode(dir: &str) -> String {
    let encoded = |unit: u16| char::from_u32(unit.into()).filter(char::is_ascii_alphanumeric).unwrap_or('-');
    dir.encode_utf16().map(encoded).collect()
}

/// The folders that may hold the conversations of a directory, which exist.
pub(super) fn folders(claude_dir: &Path, dir: &Path) -> Vec<PathBuf> {
    let projects = claude_dir.join("projects");
    let encoded = encode(&dir.to_string_lossy());
    let mut found = Vec::new();
    if encoded.len() > LONGEST {
        let beginning = format!("{}-", &encoded[..LONGEST]);
        let listing = fs::read_dir(&projects).into_iter().flatten().flatten();
        let names = listing.filter(|item| item.file_name().to_string_lossy().starts_with(&beginning));
        found.extend(names.map(|item| item.path()));
        found.sort_unstable();
    }
    let whole = projects.join(encoded);
    if !found.contains(&whole) && whole.is_dir() {
        found.push(whole);
    }
    found
}

/// A file that may be a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) path: PathBuf,
    /// When it was written last, in milliseconds since the Unix epoch.
    pub(super) mtime_ms: u64,
    pub(super) inode: u64,
    pub(super) size: u64,
}

impl Listed {
    /// One file by its path, if it is there.
    pub(super) fn at(path: PathBuf) -> Option<Listed> {
        let meta = fs::metadata(&path).ok().filter(fs::Metadata::is_file)?;
        let mtime_ms = meta.mtime().saturating_mul(1000).saturating_add(meta.mtime_nsec() / 1_000_000);
        Some(Listed { path, mtime_ms: mtime_ms.try_into().unwrap_or(0), inode: meta.ino(), size: meta.len() })
    }
}

/// The conversations in a folder, without those of sub-agents.
pub(super) fn list(folder: &Path) -> Vec<Listed> {
    let listing = fs::read_dir(folder).into_iter().flatten().flatten();
    let conversations = listing.filter(|item| session_of(&item.file_name()).is_some());
    conversations.filter_map(|item| Listed::at(item.path())).collect()
}

/// The conversation `id` in any folder: of a process that was resumed in another directory, or has changed it.
pub(super) fn find(claude_dir: &Path, id: &str) -> Option<Listed> {
    let listing = fs::read_dir(claude_dir.join("projects")).into_iter().flatten().flatten();
    let name = format!("{id}.jsonl");
    let found = listing.filter_map(|folder| Listed::at(folder.path().join(&name)));
    found.max_by_key(|listed| listed.mtime_ms)
}

/// The session whose conversation a file of this name is; none for those of sub-agents and for other files.
pub(super) fn session_of(name: &OsStr) -> Option<&str> {
    let id = name.to_str()?.strip_suffix(".jsonl")?;
    (is_session_id(id) && !id.starts_with("agent-")).then_some(id)
}

/// True for what can be a session's ID, and with it the name of a file.
pub(super) fn is_session_id(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=100).contains(&text.len()) && text.bytes().all(fits)
}

/// What a command line says about the conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    /// The conversation that it names: a new one of this ID, or one to go on with.
    pub(super) id: Option<String>,
    /// True when it goes on with an older conversation.
    pub(super) resumes: bool,
}

/// Reads `--session-id ID`, `--resume [ID]`, `-r [ID]`, `--continue`, `-c` and `--fork-session`.
pub(super) fn asked(argv: &[String]) -> Asked {
    let mut asked = Asked::default();
    let (mut resumed, mut forks) = (None, false);
    let mut words = argv.iter().map(String::as_str).take_while(|word| *word != "--").peekable();
    while let Some(word) = words.next() {
        let (option, value) = match word.split_once('=') {
            Some((option, value)) if option.starts_with("--") => (option, Some(value)),
            _ => (word, None),
        };
        match option {
            "--session-id" | "--resume" | "-r" => {
                let value = value.or_else(|| words.peek().copied().filter(|word| !word.starts_with('-')));
                let id = value.filter(|id| is_session_id(id)).map(str::to_owned);
                if option == "--session-id" {
                    asked.id = id;
                } else {
                    (asked.resumes, resumed) = (true, id);
                }
            }
            "--continue" | "-c" => asked.resumes = true,
            "--fork-session" => forks = true,
            _ => {}
        }
    }
    if !forks {
        asked.id = asked.id.or(resumed);
    }
    asked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_that_is_no_letter_or_digit_is_a_dash() {
        assert_eq!(encode("/x/hs+odd@repo v2"), "-x-hs-odd-repo-v2");
        assert_eq!(encode("/home/u/.config/A_b--C"), "-home-u--config-A-b--C");
        assert_eq!(encode("/é/😀"), "-----", "one for a unit of UTF-16: é is one, a face two");
        for same in ["/w/a-b", "/w/a/b", "/w/a_b", "/w/a.b"] {
            assert_eq!(encode(same), "-w-a-b");
        }
    }

    #[test]
    fn a_long_directory_is_found_by_its_beginning() {
        let dir = tempfile::tempdir().unwrap();
        let long = format!("/w/{}", "x".repeat(220));
        let encoded = encode(&long);
        let folder = |name: &str| {
            let folder = dir.path().join("projects").join(name);
            fs::create_dir_all(&folder).unwrap();
            folder
        };
        let cut = folder(&format!("{}-1k2j3h", &encoded[..200]));
        folder(&format!("{}-1k2j3h", &encoded[..199]));
        assert_eq!(folders(dir.path(), Path::new(&long)), std::slice::from_ref(&cut));
        let whole = folder(&encoded);
        assert_eq!(folders(dir.path(), Path::new(&long)), [cut, whole]);
        let exact = folder("-w-a");
        assert_eq!(folders(dir.path(), Path::new("/w/a")), [exact]);
        assert!(folders(dir.path(), Path::new("/w/b")).is_empty());
        assert!(folders(Path::new("/nowhere"), Path::new(&long)).is_empty());
    }

    #[test]
    fn conversations_of_sub_agents_are_none() {
        let dir = tempfile::tempdir().unwrap();
        let session = dir.path().join("0199-a");
        fs::create_dir_all(session.join("subagents")).unwrap();
        fs::create_dir(dir.path().join("0200-b.jsonl")).unwrap();
        for name in [
            "0199-a.jsonl",
            "agent-17.jsonl",
            "0199-a/subagents/agent-1.jsonl",
            "sessions-index.json",
            "x y.jsonl",
        ] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let paths: Vec<PathBuf> = list(dir.path()).into_iter().map(|listed| listed.path).collect();
        assert_eq!(paths, [dir.path().join("0199-a.jsonl")]);
    }

    #[test]
    fn the_command_line_names_a_conversation() {
        let of = |line: &str| {
            let argv: Vec<String> = line.split(' ').map(str::to_owned).collect();
            let asked = asked(&argv);
            (asked.id, asked.resumes)
        };
        let id = |id: &str| Some(id.to_owned());
        assert_eq!(of("claude"), (None, false));
        assert_eq!(of("claude --session-id a-1"), (id("a-1"), false));
        assert_eq!(of("node /usr/bin/claude --session-id=a-1 -p x"), (id("a-1"), false));
        assert_eq!(of("claude --resume a-1"), (id("a-1"), true));
        assert_eq!(of("claude -r a-1 go"), (id("a-1"), true));
        assert_eq!(of("claude --resume"), (None, true));
        assert_eq!(of("claude --resume --verbose"), (None, true));
        assert_eq!(of("claude --resume a/b"), (None, true));
        assert_eq!(of("claude -c"), (None, true));
        assert_eq!(of("claude --continue"), (None, true));
        assert_eq!(of("claude --resume a-1 --fork-session"), (None, true));
        assert_eq!(of("claude --resume a-1 --fork-session --session-id b-2"), (id("b-2"), true));
        assert_eq!(of("claude -- --session-id a-1"), (None, false));
    }
}
