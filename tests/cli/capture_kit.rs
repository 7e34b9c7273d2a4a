//! Repositories for tests: a real git, with a home directory and a configuration of its own.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use tsm::capture::{Config, Sessions};
use tsm::store::Layout;

use super::kit::{Ran, User, eventually, run};

/// A working tree of a user.
pub(crate) struct Repo<'a> {
    pub(crate) user: &'a User,
    pub(crate) dir: PathBuf,
}

impl User {
    /// A new repository at this path of the home directory.
    pub(crate) fn repo(&self, path: &str) -> Repo<'_> {
        let config = self.home().join(".gitconfig");
        if !config.exists() {
            fs::write(
                config,
                "[user]\n\tname = Ann Other\n\temail = ann@example.org\n[init]\n\tdefaultBranch = main\n",
            )
            .unwrap();
        }
        let dir = self.home().join(path);
        fs::create_dir_all(&dir).unwrap();
        let repo = Repo { user: self, dir };
        repo.git(&["init", "-q"]);
        repo
    }
}

impl Repo<'_> {
    /// A program that runs in the working tree.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = self.user.command(program);
        command.env("GIT_CONFIG_NOSYSTEM", "1").current_dir(&self.dir);
        command
    }

    /// Runs git, whatever becomes of it.
    pub(crate) fn try_git(&self, words: &[&str]) -> Ran {
        let mut command = self.command("git");
        command.args(words);
        run(command)
    }

    /// What git prints, without the last line feed.
    #[track_caller]
    pub(crate) fn git(&self, words: &[&str]) -> String {
        self.try_git(words).code(0).stdout.trim_end_matches('\n').to_owned()
    }

    /// Writes a file of the working tree.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.dir.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Writes a file, commits it with this subject, and returns the commit's name.
    #[track_caller]
    pub(crate) fn commit(&self, path: &str, subject: &str) -> String {
        self.write(path, &format!("{subject}\n"));
        self.git(&["add", path]);
        self.git(&["commit", "-q", "-m", subject]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// A hook that somebody else has made, below the working tree.
    pub(crate) fn hook(&self, path: &str, text: &str) -> PathBuf {
        let path = self.dir.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        // By another process: one that this one has open for writing could not be executed.
        let mut sh = self.command("sh");
        sh.args(["-c", "printf %s \"$1\" >\"$0\" && chmod 755 \"$0\""]).arg(&path).arg(text);
        run(sh).code(0);
        path
    }

    /// Runs `tsm` in the working tree.
    pub(crate) fn try_tsm(&self, words: &[&str]) -> Ran {
        let mut command = self.command(env!("CARGO_BIN_EXE_tsm"));
        command.args(words);
        run(command)
    }

    /// Runs `tsm`, which must succeed.
    #[track_caller]
    pub(crate) fn tsm(&self, words: &[&str]) -> Ran {
        self.try_tsm(words).code(0)
    }

    /// What `tsm … --json` prints.
    #[track_caller]
    pub(crate) fn json(&self, words: &[&str]) -> Value {
        let ran = self.tsm(&[words, &["--json"]].concat());
        serde_json::from_str(&ran.stdout).unwrap_or_else(|why| panic!("{why}: {ran:?}"))
    }

    /// The commits that are noted, as the hook has seen them.
    pub(crate) fn noted(&self) -> Vec<String> {
        let dir = self.user.tsm_dir().join("capture/pending");
        let names = fs::read_dir(dir).into_iter().flatten().flatten();
        let names = names.map(|item| item.file_name().into_string().unwrap());
        names.filter(|name| !name.starts_with('.')).collect()
    }
}

/// What a client of the API has said, and how: the library itself, as the daemon uses it.
pub(crate) struct Talk {
    sessions: Sessions,
    pub(crate) id: String,
}

impl Talk {
    /// One message.
    #[track_caller]
    pub(crate) fn say(&self, role: &str, text: &str) -> &Self {
        self.sessions.add_message(&self.id, role, text, now_ms()).unwrap();
        self
    }

    /// A file that the agent has changed.
    #[track_caller]
    pub(crate) fn change(&self, file: &str) -> &Self {
        self.sessions.add_change(&self.id, Path::new(file), None, None, now_ms()).unwrap();
        self
    }
}

pub(crate) fn now_ms() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64
}

impl Repo<'_> {
    /// A new session here.
    #[track_caller]
    pub(crate) fn talk(&self) -> Talk {
        let sessions = Sessions::open(&Layout::new(self.user.tsm_dir()), Config::default());
        let metadata = json!({"cwd": self.dir});
        let made = sessions.create("cursor", metadata.as_object().unwrap(), now_ms()).unwrap();
        Talk { sessions, id: made.key }
    }

    /// The conversations that are kept here, by the names of their files.
    pub(crate) fn kept(&self) -> BTreeMap<String, Value> {
        let listing = fs::read_dir(self.dir.join(".prompts")).into_iter().flatten().flatten();
        let files = listing.filter(|item| !item.file_name().to_string_lossy().starts_with('.'));
        files
            .map(|item| {
                let text = fs::read_to_string(item.path()).unwrap();
                (item.file_name().into_string().unwrap(), serde_json::from_str(&text).unwrap())
            })
            .collect()
    }

    /// Waits until so many conversations are kept here and nothing is left to do, and returns them.
    #[track_caller]
    pub(crate) fn until_kept(&self, count: usize) -> Vec<Value> {
        eventually("the workers are done", || self.noted().is_empty() && self.user.alive().is_empty());
        let kept = self.kept();
        assert_eq!(kept.len(), count, "{kept:#?}");
        kept.into_values().collect()
    }
}

/// What was said in a conversation.
pub(crate) fn said(record: &Value) -> Vec<&str> {
    record["messages"].as_array().unwrap().iter().map(|said| said["content"].as_str().unwrap()).collect()
}

/// True when a commit keeps what was said before it.
#[track_caller]
pub(crate) fn is_captured(repo: &Repo<'_>) -> bool {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let text = format!("probe {}", NEXT.fetch_add(1, Ordering::Relaxed));
    repo.talk().say("user", &text);
    repo.git(&["commit", "-q", "--allow-empty", "-m", &text]);
    eventually("the worker is done", || repo.user.alive().is_empty());
    repo.kept().values().any(|record| said(record).contains(&text.as_str()))
}

/// Every file below a directory, with its mode and content; a link with what it says.
pub(crate) fn tree(dir: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let mut all = BTreeMap::new();
    let mut rest = vec![dir.to_owned()];
    while let Some(dir) = rest.pop() {
        for item in fs::read_dir(&dir).unwrap().flatten() {
            let path = item.path();
            let meta = fs::symlink_metadata(&path).unwrap();
            let content = if meta.is_symlink() {
                fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
            } else if meta.is_dir() {
                rest.push(path.clone());
                Vec::new()
            } else {
                fs::read(&path).unwrap()
            };
            all.insert(path, (meta.permissions().mode(), content));
        }
    }
    all
}
