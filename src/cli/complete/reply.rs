//! An answer in the form that a shell takes: one candidate a line.
//!
//! For zsh and fish `VALUE<TAB>ABOUT`, which they filter and quote themselves. For bash the text that takes the place of
//! what readline replaces, filtered and quoted here. A line that begins with a TAB is no candidate but something that the
//! shell is to add: `files`, `dirs`, `commands`, or `inside` and where the command begins.

use std::fmt::Write;

use super::candidates::{Answer, Candidate};
use super::line::{Line, Quote, Syntax};
use crate::render::sanitize;

/// How bash shows what it gets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// It only lists them, or inserts no more than what they have in common (`COMP_TYPE` of bash(1): `?`, `!`, `@`).
    listing: bool,
    columns: usize,
}

impl Look {
    pub(super) fn new(kind: &str, columns: &str) -> Self {
        let columns = columns.parse().ok().filter(|columns| *columns > 0).unwrap_or(80);
        Look { listing: matches!(kind, "63" | "33" | "64"), columns }
    }
}

/// For zsh and fish.
pub(super) fn plain(answer: &Answer) -> String {
    let mut text = String::new();
    for one in answer.candidates.iter().filter(|one| is_one_line(&one.value)) {
        let _ = writeln!(text, "{}\t{}", one.value, sanitize::text(&one.about));
    }
    for (wanted, what) in [(answer.files, "files"), (answer.dirs, "dirs"), (answer.commands, "commands")] {
        if wanted {
            let _ = writeln!(text, "\t{what}");
        }
    }
    if let Some(index) = answer.inside {
        let _ = writeln!(text, "\tinside\t{index}");
    }
    text
}

/// For bash: `before` is its line as far as the cursor, of which `line` was made, `replaced` the end of it that will be
/// replaced. That is less than the word where bash splits words at `=` and `:`.
pub(super) fn bash(answer: Answer, line: &Line, before: &str, replaced: &str, look: Look) -> String {
    if let Some(index) = answer.inside {
        let start = line.words.get(index).map_or(line.start, |word| word.start);
        return format!("\tinside\t{}\n", before[start..].replace('\n', " "));
    }
    let cut =
        before.len() - if before.ends_with(replaced) { replaced.len() } else { before.len() - line.start };
    // What of the word stays.
    let head = Line::parse(&before[..cut.max(line.start)], Syntax::Bash);
    let head = if head.start == line.start { head } else { Line::default() };
    let typed = line.current.strip_prefix(&answer.prefix).unwrap_or(&line.current);
    let mut candidates = answer.candidates;
    let mut text = String::new();
    let path = typed.contains('/') || typed.starts_with(['~', '$']);
    // Readline completes files as the user has set it up, but only those that its own word is the beginning of.
    let by_readline = head.current == answer.prefix;
    if answer.files && (!by_readline || (answer.commands && !path)) {
        candidates.extend(files(typed, &answer.prefix));
    } else if answer.files {
        text.push_str("\tfiles\n");
    }
    if answer.dirs && !by_readline {
        candidates.extend(files(typed, &answer.prefix).into_iter().filter(|one| one.value.ends_with('/')));
    } else if answer.dirs {
        text.push_str("\tdirs\n");
    }
    if answer.commands && !typed.is_empty() && !path && line.quote == Quote::None {
        text.push_str("\tcommands\n");
    }
    candidates.retain(|one| one.value.starts_with(&line.current) && is_one_line(&one.value));
    let rest = |one: &Candidate| one.value.get(head.current.len()..).unwrap_or_default().to_owned();
    if look.listing && candidates.len() > 1 && candidates.iter().any(|one| !one.about.is_empty()) {
        let all: Vec<(String, &str)> = candidates.iter().map(|one| (rest(one), one.about.as_str())).collect();
        for row in rows(&all, look.columns) {
            let _ = writeln!(text, "{row}");
        }
        return text;
    }
    if let [one] = &candidates[..]
        && one.value.ends_with('/')
    {
        text.push_str("\tnospace\n");
    }
    for one in &candidates {
        let _ = writeln!(text, "{}", closed(&rest(one), head.quote, line.quote));
    }
    text
}

/// `text` in the quotes that stand open in front of it; closed again where the user had closed them.
fn closed(text: &str, open: Quote, now: Quote) -> String {
    let mut quoted = quoted(text, open);
    if now == Quote::None {
        quoted.push_str(match open {
            Quote::None => "",
            Quote::Single | Quote::Dollar => "'",
            Quote::Double => "\"",
        });
    }
    quoted
}

/// `text` as it must be typed where these quotes are open.
pub(in crate::cli) fn quoted(text: &str, open: Quote) -> String {
    let special = match open {
        Quote::None => " \t\"'\\$`&|;<>()*?[]{}!#~^",
        Quote::Double => "\"\\$`",
        Quote::Dollar => "'\\",
        Quote::Single => return text.replace('\'', "'\\''"),
    };
    let mut quoted = String::with_capacity(text.len());
    for c in text.chars() {
        if special.contains(c) {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted
}

/// What can stand in a line of an answer, and in one of the user's.
fn is_one_line(value: &str) -> bool {
    !value.is_empty() && !value.chars().any(char::is_control)
}

/// The files that `typed` may become, directories with their slash.
pub(in crate::cli) fn files(typed: &str, prefix: &str) -> Vec<Candidate> {
    let (dir, name) = typed.rfind('/').map_or(("", typed), |at| typed.split_at(at + 1));
    let Ok(listing) = std::fs::read_dir(if dir.is_empty() { "." } else { dir }) else { return Vec::new() };
    let mut found: Vec<Candidate> = listing
        .flatten()
        .filter_map(|item| {
            let file = item.file_name().into_string().ok()?;
            let shown = file.starts_with(name) && (name.starts_with('.') || !file.starts_with('.'));
            let slash = if shown && item.path().is_dir() { "/" } else { "" };
            shown.then(|| Candidate::new(format!("{prefix}{dir}{file}{slash}"), ""))
        })
        .collect();
    found.sort_by(|a, b| a.value.cmp(&b.value));
    found
}

/// Values with what they are, one a line on a terminal of so many columns.
pub(in crate::cli) fn rows(all: &[(String, &str)], columns: usize) -> Vec<String> {
    let widest = all.iter().map(|(value, _)| value.chars().count()).max().unwrap_or(0);
    let room = columns.saturating_sub(3).max(widest);
    // Line editors put several in a line where two of them have room.
    let half = columns / 2;
    let row = |(value, about): &(String, &str)| {
        let row = match *about {
            "" => value.clone(),
            about => format!("{value:<widest$}  ({})", sanitize::text(about)),
        };
        let row: String = row.chars().take(room).collect();
        format!("{row:<half$}")
    };
    all.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&str]) -> Answer {
        let candidates = values.iter().map(|value| Candidate::new(*value, "")).collect();
        Answer { candidates, ..Answer::default() }
    }

    fn reply(answer: Answer, before: &str, replaced: &str) -> String {
        bash(answer, &Line::parse(before, Syntax::Bash), before, replaced, Look::new("9", ""))
    }

    #[test]
    fn bash_gets_what_takes_the_place_of_what_it_replaces() {
        for (values, before, replaced, expected) in [
            (&["web", "worker", "api"][..], "tsm stop w", "w", "web\nworker\n"),
            (&["port:8000", "port:9000"], "tsm stop port:8", "8", "8000\n"),
            (&["port:8000"], "tsm stop port:8", "port:8", "port:8000\n"),
            (&["port:8000"], "tsm stop 'port:8", "port:8", "port:8000\n"),
            (&["--env=dev"], "tsm start --env=d", "d", "dev\n"),
            (&["--env=dev"], "tsm start --env=", "", "dev\n"),
            (&["--env=dev"], "tsm start --env=d", "--env=d", "--env=dev\n"),
            (&["my file"], "tsm start my", "my", "my\\ file\n"),
            (&["my file"], "tsm start my\\ f", "my\\ f", "my\\ file\n"),
            (&["my file"], "tsm start 'my f", "my f", "my file\n"),
            (&["my file"], "tsm start 'my f'i", "my f'i", "my file'\n"),
            (&["it's $1"], "tsm start \"it", "it", "it's \\$1\n"),
            (&["it's"], "tsm start 'it", "it", "it'\\''s\n"),
            (&["it's"], "tsm start it", "it", "it\\'s\n"),
            (&["two\nlines", ""], "tsm start t", "t", ""),
            (&["web"], "tsm stop ", "", "web\n"),
            (&["web"], "A=1 tsm stop w", "w", "web\n"),
        ] {
            assert_eq!(reply(of(values), before, replaced), expected, "{before} [{replaced}]");
        }
    }

    #[test]
    fn a_command_is_handed_over_from_its_first_word() {
        let answer = Answer { inside: Some(3), ..Answer::default() };
        assert_eq!(reply(answer, "tsm start --no-env  git log --", "--"), "\tinside\tgit log --\n");
    }

    #[test]
    fn a_list_has_words_on_each_and_never_what_could_be_inserted() {
        let answer = || {
            let mut answer = of(&["web", "worker"]);
            answer.candidates[0].about = "online".into();
            answer
        };
        let line = Line::parse("tsm stop w", Syntax::Bash);
        let shown = |kind| bash(answer(), &line, "tsm stop w", "w", Look::new(kind, "20"));
        assert_eq!(shown("63"), "web     (online)\nworker    \n");
        assert_eq!(shown("9"), "web\nworker\n");
        assert_eq!(shown("37"), "web\nworker\n", "a menu inserts");
        let line = Line::parse("tsm stop we", Syntax::Bash);
        assert_eq!(
            bash(answer(), &line, "tsm stop we", "we", Look::new("63", "80")),
            "web\n",
            "it is inserted"
        );
    }
}
