//! What the user calls sessions, kept in `TSM_DIR/agents/labels.json`: an object of session ID and text.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::time::Duration;

use super::files::Files;
use super::session::Session;
use crate::error::{Error, Kind, Result};
use crate::model::{Identity, Pid};
use crate::store::{self, Durability};
use crate::sys::lock::Lock;
use crate::sys::{boot, process};

/// How long another writer is waited for. It takes a few milliseconds; a halted one takes for ever.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest label, in characters.
const LONGEST: usize = 100;

/// What keys of sessions without an ID begin with; no session ID has a colon.
const PROCESS: &str = "process:";

/// The labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels(BTreeMap<String, String>);

impl Labels {
    /// Reads them; no file means that there are none.
    ///
    /// # Errors
    /// When the file cannot be read, or holds something else.
    pub fn load(files: &Files) -> Result<Self> {
        let path = files.labels();
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Labels::default()),
            Err(error) => return Err(Error::io("read", &path, &error)),
        };
        serde_json::from_slice(&bytes).map(Labels).map_err(|why| {
            let shown = path.display();
            Error::failed(format!(
                "cannot use {shown}: it is not an object of session IDs and labels ({why})"
            ))
            .hint(format!("mend it, or mv {shown} {shown}.broken, which forgets the labels"))
        })
    }

    /// The label of a session: that of its conversation, else that of its process.
    pub fn of(&self, session: &Session) -> Option<&str> {
        let by_id = session.session_id.as_ref().and_then(|id| self.0.get(id));
        let by_process = || {
            // Only then is the boot of interest, and there are hardly ever any.
            let any = self.0.keys().any(|key| key.starts_with(PROCESS));
            any.then(|| self.0.get(&process_key(session.identity, &boot::id()))).flatten()
        };
        by_id.or_else(by_process).map(String::as_str)
    }

    /// The label of a conversation.
    pub fn get(&self, session_id: &str) -> Option<&str> {
        self.0.get(session_id).map(String::as_str)
    }

    /// Puts its label on each session.
    pub fn apply(&self, sessions: &mut [Session]) {
        for session in sessions {
            session.label = self.of(session).map(str::to_owned);
        }
    }

    /// Labels a session, or takes its label away with an empty `text`; returns the labels as they are now. Labels of
    /// processes that are gone are forgotten by the way.
    ///
    /// # Errors
    /// Usage for a text that is no label; otherwise when the file cannot be read or written, which then stays as it was.
    pub fn set(files: &Files, session: &Session, text: &str) -> Result<Self> {
        let boot = boot::id();
        let of_process = process_key(session.identity, &boot);
        let label = parse(text)?;
        change(files, &boot, |labels| {
            let key = match &session.session_id {
                Some(id) => {
                    labels.remove(&of_process);
                    id.clone()
                }
                None => of_process,
            };
            put(labels, key, label);
        })
    }

    /// As [`Labels::set`], of a conversation whether it runs or not.
    ///
    /// # Errors
    /// As [`Labels::set`]; usage for an empty ID.
    pub fn set_by_id(files: &Files, session_id: &str, text: &str) -> Result<Self> {
        if session_id.is_empty() || session_id.starts_with(PROCESS) {
            return Err(Error::usage(format!("{session_id:?} is not a session ID")));
        }
        let label = parse(text)?;
        change(files, &boot::id(), |labels| put(labels, session_id.to_owned(), label))
    }
}

/// A label without blanks around it; empty for none.
///
/// # Errors
/// Usage for one that is too long, or has line feeds or other controls in it.
fn parse(text: &str) -> Result<&str> {
    let label = text.trim();
    if label.chars().any(char::is_control) {
        return Err(Error::usage("a label is one line of text without control characters")
            .hint("tsm agents label AGENT 'a short name'"));
    }
    if label.chars().count() > LONGEST {
        return Err(Error::usage(format!(
            "a label has at most {LONGEST} characters, and this one has {}",
            label.chars().count()
        ))
        .hint("tsm agents label AGENT 'a short name'"));
    }
    Ok(label)
}

fn put(labels: &mut BTreeMap<String, String>, key: String, label: &str) {
    if label.is_empty() {
        labels.remove(&key);
    } else {
        labels.insert(key, label.to_owned());
    }
}

/// Reads, changes and writes the labels while nobody else does.
fn change(files: &Files, boot: &str, change: impl FnOnce(&mut BTreeMap<String, String>)) -> Result<Labels> {
    files.create()?;
    let lock = files.labels_lock();
    let held = Lock::take_within(&lock, PATIENCE).map_err(|error| Error::io("lock", &lock, &error))?;
    let Some(_held) = held else {
        let why = format!("cannot change the labels: another tsm has held {} for 5s", lock.display());
        return Err(Error::new(Kind::TimedOut, why));
    };
    let before = Labels::load(files)?;
    let mut labels = before.clone();
    labels
        .0
        .retain(|key, _| process_of(key).is_none_or(|(process, of)| of == boot && process::alive(&process)));
    change(&mut labels.0);
    if labels != before {
        let path = files.labels();
        let mut bytes = serde_json::to_vec_pretty(&labels.0)
            .map_err(|why| Error::failed(format!("cannot write {}: {why}", path.display())))?;
        bytes.push(b'\n');
        store::write(&path, &bytes, Durability::Synced)?;
    }
    Ok(labels)
}

/// `process:PID:START:BOOT`.
fn process_key(process: Identity, boot: &str) -> String {
    format!("{PROCESS}{}:{}:{boot}", process.pid, process.start)
}

/// The process that a key means, and the boot in which it was that one.
fn process_of(key: &str) -> Option<(Identity, &str)> {
    let mut parts = key.strip_prefix(PROCESS)?.splitn(3, ':');
    let pid = Pid::new(parts.next()?.parse().ok()?)?;
    let start = parts.next()?.parse().ok()?;
    Some((Identity { pid, start }, parts.next()?))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::agents::session::tests::session;
    use crate::store::Layout;

    fn files() -> (tempfile::TempDir, Files) {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::of(&Layout::new(dir.path().to_owned()));
        (dir, files)
    }

    /// This very process, as a session.
    fn living(id: Option<&str>) -> Session {
        let pid = Pid::new(std::process::id() as i32).unwrap();
        let identity = process::read(pid).unwrap().identity();
        Session { identity, session_id: id.map(Into::into), ..session(7) }
    }

    #[test]
    fn label_store_set_get() {
        let (_dir, files) = files();
        let labels = Labels::set_by_id(&files, "session-id", "review MR").unwrap();
        assert_eq!(labels.get("session-id"), Some("review MR"));
        assert_eq!(labels.get("another"), None);
        let labels = Labels::set_by_id(&files, "session-id", "").unwrap();
        assert_eq!(labels.get("session-id"), None);
    }

    #[test]
    fn label_store_persistence() {
        let (_dir, files) = files();
        Labels::set_by_id(&files, "session-id", "review MR").unwrap();
        assert_eq!(Labels::load(&files).unwrap().get("session-id"), Some("review MR"));
        let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(files.labels()), 0o600);
        assert_eq!(mode(files.labels().parent().unwrap().to_owned()), 0o700);
    }

    #[test]
    fn label_store_load_missing() {
        let (_dir, files) = files();
        assert_eq!(Labels::load(&files).unwrap(), Labels::default());
        assert!(!files.labels().exists());
    }

    #[test]
    fn a_broken_file_is_named_and_stays_as_it_is() {
        let (_dir, files) = files();
        files.create().unwrap();
        for text in ["", "{", "[]", "{\"a\": 1}", "{\"a\": null}"] {
            fs::write(files.labels(), text).unwrap();
            for error in [Labels::load(&files).unwrap_err(), Labels::set_by_id(&files, "a", "x").unwrap_err()]
            {
                assert!(error.message().contains("agents/labels.json: it is not an object"), "{error}");
                assert!(error.hint_text().is_some());
            }
            assert_eq!(fs::read_to_string(files.labels()).unwrap(), text);
        }
    }

    #[test]
    fn two_writers_at_once_lose_nothing() {
        let (_dir, files) = files();
        std::thread::scope(|scope| {
            for writer in 0..8 {
                let files = &files;
                scope.spawn(move || {
                    for number in 0..10 {
                        Labels::set_by_id(files, &format!("{writer}-{number}"), "x").unwrap();
                    }
                });
            }
        });
        assert_eq!(Labels::load(&files).unwrap().0.len(), 80);
    }

    #[test]
    fn a_session_without_an_id_is_labelled_by_its_process_as_long_as_that_lives() {
        let (_dir, files) = files();
        let labels = Labels::set(&files, &living(None), "mine").unwrap();
        assert_eq!(labels.of(&living(None)), Some("mine"));
        // It says later which conversation it is.
        assert_eq!(labels.of(&living(Some("abcd"))), Some("mine"));
        let labels = Labels::set(&files, &living(Some("abcd")), "ours").unwrap();
        assert_eq!(labels.0.keys().collect::<Vec<_>>(), ["abcd"]);
        assert_eq!(labels.of(&living(Some("abcd"))), Some("ours"));
        assert_eq!(labels.of(&living(None)), None);

        let gone = Session { identity: Identity { start: 1, ..living(None).identity }, ..living(None) };
        assert_eq!(Labels::set(&files, &gone, "gone").unwrap().of(&gone), Some("gone"));
        let labels = Labels::set_by_id(&files, "other", "x").unwrap();
        assert_eq!(labels.of(&gone), None, "it is forgotten with its process");
        let earlier = process_key(living(None).identity, "an-earlier-boot");
        fs::write(files.labels(), format!("{{\"{earlier}\": \"old\"}}")).unwrap();
        assert_eq!(Labels::load(&files).unwrap().of(&living(None)), None);
        assert!(Labels::set_by_id(&files, "x", "").unwrap().0.is_empty());
    }

    #[test]
    fn a_label_is_one_short_line() {
        let (_dir, files) = files();
        let long = "x".repeat(101);
        for text in ["two\nlines", "\x1b[2J", long.as_str()] {
            let error = Labels::set_by_id(&files, "a", text).unwrap_err();
            assert_eq!(error.kind(), Kind::Usage, "{text:?}");
        }
        assert!(!files.labels().exists());
        assert_eq!(Labels::set_by_id(&files, "a", "  dépôt ").unwrap().get("a"), Some("dépôt"));
        for id in ["", "process:1:2:3"] {
            assert_eq!(Labels::set_by_id(&files, id, "x").unwrap_err().kind(), Kind::Usage);
        }
    }
}
