//! How many sessions need input, in one line for the prompt of a shell: `TSM_DIR/agents/waiting`.
//!
//! It holds the number and when somebody looked, in seconds since the Unix epoch. A reader takes no notice of a look that
//! is older than a minute, so that nothing wrong stays when nobody looks any more.

use std::fs;

use super::files::Files;
use crate::error::Result;
use crate::store::{self, Durability};

/// How long a look counts, in seconds. The prompt of `shell/tsm.sh` has the same number.
pub const FRESH_S: u64 = 60;

/// An unchanged number is dated anew after so many seconds.
const RENEW_S: u64 = 20;

/// Notes that a look at all sessions at `now_ms` found `count` in need of input. The file is written when that is news,
/// or the look that it tells of becomes old; nothing waits and nothing did is never news.
///
/// # Errors
/// When it cannot be written.
pub fn note(files: &Files, count: usize, now_ms: u64) -> Result<()> {
    let now = now_ms / 1000;
    let known = read_line(files);
    let is_news = match known {
        None => count > 0,
        Some((0, _)) if count == 0 => false,
        Some((known, at)) => known != count || now.abs_diff(at) >= RENEW_S,
    };
    if !is_news {
        return Ok(());
    }
    files.create()?;
    store::write(&files.waiting(), format!("{count} {now}\n").as_bytes(), Durability::Cached)
}

/// The number, if somebody looked within the last minute.
pub fn read(files: &Files, now_ms: u64) -> Option<usize> {
    let (count, at) = read_line(files)?;
    ((now_ms / 1000).abs_diff(at) <= FRESH_S).then_some(count)
}

fn read_line(files: &Files) -> Option<(usize, u64)> {
    let text = fs::read_to_string(files.waiting()).ok()?;
    let (count, at) = text.trim_end().split_once(' ')?;
    Some((count.parse().ok()?, at.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Layout;

    #[test]
    fn the_file_is_written_when_there_is_news_or_it_becomes_old() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::of(&Layout::new(dir.path().to_owned()));
        let noted = |count, second: u64| {
            note(&files, count, second * 1000 + 7).unwrap();
            fs::read_to_string(files.waiting()).ok()
        };
        for (count, second, text) in [
            (0, 100, None),
            (2, 101, Some("2 101\n")),
            (2, 110, Some("2 101\n")),
            (2, 121, Some("2 121\n")),
            (1, 122, Some("1 122\n")),
            (0, 123, Some("0 123\n")),
            (0, 999, Some("0 123\n")),
            (1, 1000, Some("1 1000\n")),
            // The clock was set back.
            (1, 500, Some("1 500\n")),
        ] {
            assert_eq!(noted(count, second).as_deref(), text, "{count} at {second}");
        }
        assert_eq!(read(&files, 501_000), Some(1));
        assert_eq!(read(&files, 560_000), Some(1));
        assert_eq!(read(&files, 561_000), None, "it is too old");
        fs::write(files.waiting(), "many\n").unwrap();
        assert_eq!(read(&files, 501_000), None);
        note(&files, 3, 501_000).unwrap();
        assert_eq!(read(&files, 501_000), Some(3));
    }
}
