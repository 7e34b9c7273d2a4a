//! The lines that were typed, in a file of their own that several REPLs write at once.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::envfile::looks_secret;
use crate::error::{Error, Result};
use crate::store::{self, Durability};
use crate::sys::flock;

/// How many lines are remembered. The file may hold twice as many.
pub(super) const LINES: usize = 1000;

/// A longer line is not worth keeping, in bytes.
const LONGEST: usize = 4096;

/// The file.
pub(super) struct History {
    path: PathBuf,
}

impl History {
    pub(super) fn new(path: PathBuf) -> Self {
        History { path }
    }

    /// The last [`LINES`] lines of everybody, the newest last.
    pub(super) fn load(&self) -> Vec<String> {
        let mut bytes = Vec::new();
        let read = File::open(&self.path).and_then(|mut file| file.read_to_end(&mut bytes));
        if read.is_err() {
            return Vec::new();
        }
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
        lines[lines.len().saturating_sub(LINES)..].iter().map(|line| (*line).to_owned()).collect()
    }

    /// Adds a line, unless it is one that does not belong on the disk.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn add(&self, line: &str) -> Result<()> {
        if !is_kept(line) {
            return Ok(());
        }
        self.append(line).map_err(|error| Error::io("write", &self.path, &error))
    }

    fn append(&self, line: &str) -> std::io::Result<()> {
        if let Some(dir) = self.path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        }
        loop {
            let file =
                OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&self.path)?;
            let guard = flock::lock_exclusive(&file)?;
            let meta = file.metadata()?;
            if !is_still_there(&self.path, &meta) {
                // Another REPL has just put a shorter one in its place.
                continue;
            }
            if meta.permissions().mode() & 0o077 != 0 {
                file.set_permissions(Permissions::from_mode(0o600))?;
            }
            // One write: a reader sees the whole line or none of it.
            (&file).write_all(format!("{line}\n").as_bytes())?;
            let mut text = Vec::new();
            if meta.len() > (LINES * 8) as u64 {
                std::io::Seek::rewind(&mut file.try_clone()?)?;
                file.try_clone()?.read_to_end(&mut text)?;
            }
            let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
            if lines.len() > 2 * LINES {
                let kept = lines[lines.len() - LINES..].concat();
                let _ = store::write(&self.path, &kept, Durability::Cached);
            }
            drop(guard);
            return Ok(());
        }
    }
}

fn is_still_there(path: &Path, open: &std::fs::Metadata) -> bool {
    std::fs::metadata(path).is_ok_and(|now| (now.dev(), now.ino()) == (open.dev(), open.ino()))
}

/// False for a line that begins with a blank, as shells have it, and for one that sets a variable whose name looks secret.
fn is_kept(line: &str) -> bool {
    let blank = line.trim().is_empty() || line.starts_with([' ', '\t']);
    !blank && line.len() <= LONGEST && !line.contains(['\n', '\r']) && !has_secret(line)
}

/// Looks at every `NAME=value`, in quotes or not, also behind `--env-var=`.
fn has_secret(line: &str) -> bool {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    line.match_indices('=').any(|(at, _)| {
        let before = &line[..at];
        let begin = before
            .rfind(|c| !is_name(c))
            .map_or(0, |last| last + before[last..].chars().next().map_or(1, char::len_utf8));
        let name = &before[begin..];
        !name.is_empty() && looks_secret(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_back_and_secrets_do_not() {
        let dir = tempfile::tempdir().unwrap();
        let history = History::new(dir.path().join("sub/repl_history"));
        assert!(history.load().is_empty());
        for line in [
            "list",
            "start --env-var API_KEY=abc x",
            "start --env-var=DB_PASSWORD=abc x",
            "!export GITHUB_TOKEN='abc'",
            " hidden",
            "",
            "start --env-var NODE_ENV=dev node x.js",
            "start --port=80 'ü'",
        ] {
            history.add(line).unwrap();
        }
        let expected = ["list", "start --env-var NODE_ENV=dev node x.js", "start --port=80 'ü'"];
        assert_eq!(history.load(), expected);
        let mode = std::fs::metadata(&history.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn the_file_does_not_grow_for_ever_and_keeps_the_newest() {
        let dir = tempfile::tempdir().unwrap();
        let history = History::new(dir.path().join("h"));
        let long = "logs a\n".repeat(2 * LINES);
        std::fs::write(&history.path, long).unwrap();
        std::fs::set_permissions(&history.path, Permissions::from_mode(0o644)).unwrap();
        history.add("newest").unwrap();
        let text = std::fs::read_to_string(&history.path).unwrap();
        assert_eq!(text.lines().count(), LINES);
        assert_eq!(text.lines().last(), Some("newest"));
        let mode = std::fs::metadata(&history.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn many_writers_lose_no_line_of_each_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("h");
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let history = History::new(path.clone());
                scope.spawn(move || {
                    for line in 0..900 {
                        history.add(&format!("logs writer-{writer}-{line}")).unwrap();
                    }
                });
            }
        });
        // It was shortened meanwhile, under the eyes of three who were about to write.
        let kept = History::new(path).load();
        assert_eq!(kept.len(), LINES);
        for writer in 0..4 {
            let own = kept.iter().filter_map(|line| line.strip_prefix(&format!("logs writer-{writer}-")));
            let numbers: Vec<u32> = own.map(|number| number.parse().unwrap()).collect();
            let first = numbers.first().copied().unwrap_or(900);
            assert_eq!(numbers, (first..900).collect::<Vec<u32>>(), "writer {writer}");
        }
    }
}
