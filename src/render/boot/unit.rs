//! The unit of the daemon for systemd's user manager (`systemd.service(5)`), written and read.

use std::fmt::Write;

use super::{Job, mark};
use crate::error::{Error, Result};

/// The name of the unit.
pub const NAME: &str = "tsm.service";

/// The text of the unit.
///
/// # Errors
/// Usage, when systemd cannot run a program of that path.
pub fn text(job: &Job) -> Result<String> {
    // `string_is_safe` of systemd, which no quoting gets past.
    if job.program.contains(['"', '\'', '\\']) || job.program.contains(char::is_control) {
        return Err(Error::usage(format!(
            "systemd runs no program whose path has a quote, a backslash or a control character: {:?}",
            job.program
        ))
        .hint("install tsm elsewhere, and run it from there"));
    }
    let line = |words: &[&str]| format!("{} {}", quote(&job.program), words.join(" "));
    let (start, stop) = (line(&Job::WORDS), line(&Job::LAST_WORDS));
    let pairs = job.env.iter().map(|(name, value)| quote(&format!("{name}={value}")));
    let env = pairs.fold(String::new(), |all, pair| all + "Environment=" + &pair + "\n");
    let body = format!(
        "\
# To change something, use \"systemctl --user edit tsm\"; \"tsm daemon disable\" removes this file.
[Unit]
Description=TSM, which keeps the processes that a developer runs
Documentation=man:tsm(1)

[Service]
Type=notify
ExecStart={start}
# When all of the user's ends, systemd would kill what the daemon has started: it is told to end before.
ExecStop={stop}
{env}Restart=on-failure
RestartSec=1
WatchdogSec=30
# What it started goes on without it, and what goes out of memory there is not its own end.
KillMode=process
OOMPolicy=continue

[Install]
WantedBy=default.target
"
    );
    Ok(seal(&body))
}

/// The whole text, with the mark of what follows it.
pub(super) fn seal(body: &str) -> String {
    format!("# {}\n{body}", mark(body))
}

/// A word as systemd reads it back: quotes, C escapes and specifiers (`systemd.syntax(7)`, `systemd.unit(5)`).
fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._:=+@,-".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    let mut quoted = String::from("\"");
    for c in word.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '%' => quoted.push_str("%%"),
            '\n' => quoted.push_str("\\n"),
            c if c.is_ascii_control() => {
                let _ = write!(quoted, "\\x{:02x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// What a unit starts, as far as it is written in our way; none without a program.
pub fn read(text: &str) -> Option<Job> {
    let mut job = Job { program: String::new(), env: Vec::new() };
    for line in text.lines() {
        if let Some(words) = line.strip_prefix("ExecStart=") {
            job.program = words_of(words).into_iter().next().unwrap_or_default();
        } else if let Some(words) = line.strip_prefix("Environment=") {
            let pairs = words_of(words);
            job.env.extend(pairs.iter().filter_map(|pair| {
                let (name, value) = pair.split_once('=')?;
                Some((name.to_owned(), value.to_owned()))
            }));
        }
    }
    job.program.starts_with('/').then_some(job)
}

/// The words of a line, unquoted.
fn words_of(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut open = None;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match (open, c) {
            (None, ' ' | '\t') => words.extend(word.take()),
            (None, '"' | '\'') if word.is_none() => {
                open = Some(c);
                word = Some(String::new());
            }
            (Some(quote), c) if c == quote => open = None,
            _ => {
                let word = word.get_or_insert_default();
                match c {
                    '\\' => word.extend(escaped(&mut chars)),
                    '%' => {
                        chars.next_if_eq(&'%');
                        word.push('%');
                    }
                    c => word.push(c),
                }
            }
        }
    }
    words.extend(word);
    words
}

/// The character that an escape means.
fn escaped(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<char> {
    Some(match chars.next()? {
        'n' => '\n',
        't' => '\t',
        'x' => {
            let digits: String = chars.by_ref().take(2).collect();
            char::from(u8::from_str_radix(&digits, 16).ok()?)
        }
        c => c,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_unit_says_what_it_must() {
        let env = [("PATH", "/a b:/bin"), ("TSM_DIR", "/x/100%/\"q\"")].map(|(a, b)| (a.into(), b.into()));
        let text = text(&Job { program: "/opt/my tools/tsm".into(), env: env.into() }).unwrap();
        for line in [
            "Type=notify",
            "ExecStart=\"/opt/my tools/tsm\" daemon run --replace",
            "Environment=\"PATH=/a b:/bin\"",
            "Environment=\"TSM_DIR=/x/100%%/\\\"q\\\"\"",
            "KillMode=process",
            "Restart=on-failure",
            "WatchdogSec=30",
            "WantedBy=default.target",
        ] {
            assert!(text.lines().any(|one| one == line), "no {line} in {text}");
        }
    }

    #[test]
    fn a_path_that_systemd_refuses_is_refused_before_it_is_written() {
        for program in ["/a'b/tsm", "/a\"b/tsm", "/a\\b/tsm", "/a\nb/tsm"] {
            assert!(text(&Job { program: program.into(), env: Vec::new() }).is_err(), "{program:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            program in "/[^\"'\\\\\\pC]{1,20}",
            path in "[^\0]{0,40}",
            dir in "/[ -~\n\t]{0,40}",
        ) {
            let env = vec![("PATH".to_owned(), path), ("TSM_DIR".to_owned(), dir)];
            let job = Job { program, env };
            prop_assert_eq!(read(&text(&job).unwrap()), Some(job));
        }
    }
}
