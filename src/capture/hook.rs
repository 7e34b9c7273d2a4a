//! The text of our git hooks: made, recognised, put into somebody else's script and taken out again. Touches no file.
//!
//! githooks(5) is the source of the names, and of what git does where a hook is missing.

use std::path::Path;

use crate::error::{Error, Result};

/// The hook that capture needs.
pub const POST_COMMIT: &str = "post-commit";

/// What a hook that was in our place is called for as long as ours is there.
pub const BEFORE: &str = "post-commit.before-tsm";

/// Every hook of githooks(5), so that a directory of ours switches none of them off.
pub const NAMES: [&str; 28] = [
    "applypatch-msg",
    "pre-applypatch",
    "post-applypatch",
    "pre-commit",
    "pre-merge-commit",
    "prepare-commit-msg",
    "commit-msg",
    "post-commit",
    "pre-rebase",
    "post-checkout",
    "post-merge",
    "pre-push",
    "pre-receive",
    "update",
    "proc-receive",
    "post-receive",
    "post-update",
    "reference-transaction",
    "push-to-checkout",
    "pre-auto-gc",
    "post-rewrite",
    "sendemail-validate",
    "fsmonitor-watchman",
    "p4-changelist",
    "p4-prepare-changelist",
    "p4-post-changelist",
    "p4-pre-submit",
    "post-index-change",
];

/// How a line of ours ends.
const MARK: &str = " # tsm capture; undone by: tsm capture uninstall";

/// The second line of a file of ours.
const MADE: &str =
    "# Made by tsm, to keep what was said to coding agents with the commit. Undone by: tsm capture uninstall";

/// What our hook calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    line: String,
}

impl Call {
    /// A call of the program at `program`, whose state is in `state`, installed at `time_ms`.
    ///
    /// # Errors
    /// When one of the paths is not UTF-8, or has a line feed: it could not stand in a line of a script.
    pub fn new(program: &Path, state: &Path, time_ms: u64) -> Result<Self> {
        let program = quoted(program)?;
        let state = quoted(state)?;
        // It prints nothing and its exit code counts for nothing: no commit fails because of it. A program that is gone is
        // not called.
        let line = format!(
            "if [ -x {program} ]; then TSM_DIR={state} {program} capture commit {time_ms} </dev/null >/dev/null 2>&1 || :; fi{MARK}"
        );
        Ok(Call { line })
    }
}

/// A word for the shell.
fn quoted(path: &Path) -> Result<String> {
    match path.to_str() {
        Some(text) if !text.contains(['\n', '\r', '\0']) => Ok(format!("'{}'", text.replace('\'', r"'\''"))),
        _ => Err(Error::failed(format!("{} cannot be named in a hook", path.display()))
            .hint("keep tsm, and TSM_DIR, in a directory whose name is plain text")),
    }
}

/// Our hook where there is none, or beside the one that was there.
pub fn file(call: &Call) -> String {
    format!(
        "#!/bin/sh\n{MADE}\ncode=0\nif [ -x \"$0.before-tsm\" ]; then \"$0.before-tsm\" \"$@\" || code=$?; fi\n{}\nexit \"$code\"\n",
        call.line
    )
}

/// A hook in a directory of ours that stands in for another one: runs what stands there, with the same words and input.
pub fn stand_in(name: &str, next: Next<'_>, call: &Call) -> Result<String> {
    let find = match next {
        Next::In(dir) => format!("next={}/{name}\n", quoted(dir)?),
        // Only builtins of the shell, because git calls some hooks often (gitrepository-layout(5): commondir).
        Next::OfRepository => format!(
            "dir=${{GIT_DIR:-.git}}\n\
             [ -d \"$dir\" ] || dir=$(git rev-parse --git-dir 2>/dev/null) || exit 0\n\
             if [ -f \"$dir/commondir\" ]; then\n\
             \u{20}   IFS= read -r common <\"$dir/commondir\"\n\
             \u{20}   case $common in /*) dir=$common ;; *) dir=$dir/$common ;; esac\n\
             fi\n\
             next=$dir/hooks/{name}\n"
        ),
    };
    // A hook that is a link to this one would run for ever.
    let head = format!("#!/bin/sh\n{MADE}\n{find}[ \"$next\" -ef \"$0\" ] 2>/dev/null && next=\n");
    let rest = match name {
        POST_COMMIT => format!(
            "code=0\nif [ -x \"$next\" ]; then \"$next\" \"$@\" || code=$?; fi\n{}\nexit \"$code\"\n",
            call.line
        ),
        "push-to-checkout" => format!("{RUN_NEXT}{PUSH_TO_CHECKOUT}"),
        // Without the hook git refuses, too: nobody is there to speak the protocol.
        "proc-receive" => format!("{RUN_NEXT}exit 1\n"),
        _ => format!("{RUN_NEXT}exit 0\n"),
    };
    Ok(head + &rest)
}

/// What a stand-in leads to.
#[derive(Clone, Copy, Debug)]
pub enum Next<'a> {
    /// The hooks in this directory; a relative one is from where git runs hooks, as core.hooksPath is.
    In(&'a Path),
    /// The hooks in the directory `hooks` of the repository.
    OfRepository,
}

const RUN_NEXT: &str = "if [ -x \"$next\" ]; then exec \"$next\" \"$@\"; fi\n";

/// What receive-pack does itself where there is no such hook (`push_to_deploy`), which it leaves to us as soon as there is.
const PUSH_TO_CHECKOUT: &str = "\
refuse() {
    echo \"$1\" >&2
    exit 1
}
git update-index -q --ignore-submodules --refresh || refuse 'Up-to-date check failed'
git diff-files --quiet --ignore-submodules -- || refuse 'Working directory has unstaged changes'
head=HEAD
git rev-parse -q --verify HEAD >/dev/null || head=$(git hash-object -t tree /dev/null)
git diff-index --quiet --cached --ignore-submodules \"$head\" -- || refuse 'Working directory has staged changes'
git read-tree -u -m \"$1\" || refuse 'Could not update working tree to new HEAD'
exit 0
";

/// True for a file that is ours as a whole, whatever program it calls.
pub fn is_ours(text: &[u8]) -> bool {
    let mut lines = text.split(|byte| *byte == b'\n');
    lines.next() == Some(b"#!/bin/sh") && lines.next() == Some(MADE.as_bytes())
}

/// True for a file that is [`file`] of some call, and nothing that somebody has written into it since.
pub fn is_unchanged(text: &[u8]) -> bool {
    let made = file(&Call { line: String::new() });
    let without: Vec<&[u8]> = text
        .split(|byte| *byte == b'\n')
        .map(|line| if line.ends_with(MARK.as_bytes()) { b"" } else { line })
        .collect();
    without.join(&b'\n') == made.as_bytes()
}

/// True when our line stands in it.
pub fn has_line(text: &[u8]) -> bool {
    text.split(|byte| *byte == b'\n').any(|line| line.ends_with(MARK.as_bytes()))
}

/// A shell script with our line behind its first one: there nothing can have ended it yet, its own exit code stays the
/// last one, and its end may look as it likes. `None` for what is no script of a shell that reads such a line.
pub fn with_line(text: &[u8], call: &Call) -> Option<Vec<u8>> {
    let end = text.iter().position(|byte| *byte == b'\n')?;
    let (first, rest) = text.split_at(end + 1);
    let rest = without_line(rest);
    // A script with something binary behind it, such as an archive that unpacks itself, counts on its line numbers.
    if !is_shell(std::str::from_utf8(first).ok()?) || std::str::from_utf8(&rest).is_err() {
        return None;
    }
    Some([first, call.line.as_bytes(), b"\n", &rest].concat())
}

/// A text that has our line, with this one instead.
pub fn with_new_line(text: &[u8], call: &Call) -> Vec<u8> {
    let lines = text.split(|byte| *byte == b'\n');
    let lines = lines.map(|line| if line.ends_with(MARK.as_bytes()) { call.line.as_bytes() } else { line });
    lines.collect::<Vec<_>>().join(&b'\n')
}

/// The text without our line.
pub fn without_line(text: &[u8]) -> Vec<u8> {
    let lines = text.split_inclusive(|byte| *byte == b'\n');
    let others = lines.filter(|line| {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        !line.ends_with(MARK.as_bytes())
    });
    others.collect::<Vec<_>>().concat()
}

/// True for `#!/bin/sh`, `#! /usr/bin/env bash`, `#!/bin/bash -e` and their like.
fn is_shell(first: &str) -> bool {
    let Some(words) = first.strip_prefix("#!") else { return false };
    if words.contains('\r') {
        return false;
    }
    let base = |word: &str| word.rsplit('/').next().unwrap_or_default().to_owned();
    let mut words = words.split_whitespace();
    let program = words.next().map(base).unwrap_or_default();
    let program = if program == "env" {
        match words.next() {
            // `env -S` and variables in front: not worth guessing.
            Some(word) if !word.starts_with('-') && !word.contains('=') => base(word),
            _ => return false,
        }
    } else {
        program
    };
    // `sh -n` reads without doing, and `-c` does something else.
    let odd = words.any(|word| !matches!(word, "-e" | "-u" | "-x" | "-eu" | "-ex" | "-eux" | "-l"));
    matches!(program.as_str(), "sh" | "bash" | "dash" | "ash" | "ksh" | "zsh" | "mksh") && !odd
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call() -> Call {
        Call::new(Path::new("/opt/it's here/tsm"), Path::new("/home/x/state"), 5).unwrap()
    }

    #[test]
    fn a_line_goes_behind_the_first_one_of_a_shell_script_and_out_again() {
        for script in [
            "#!/bin/sh\necho hi\n",
            "#!/usr/bin/env bash\nset -euo pipefail\nexec ./other",
            "#! /bin/dash -e\nexit 3\n\n\n",
            "#!/bin/bash\n",
        ] {
            let with = with_line(script.as_bytes(), &call()).unwrap();
            let text = String::from_utf8(with.clone()).unwrap();
            assert!(text.lines().nth(1).unwrap().starts_with("if [ -x '/opt/it'\\''s here/tsm' ]; then "));
            assert!(has_line(&with) && !has_line(script.as_bytes()));
            assert_eq!(without_line(&with), script.as_bytes());
            // Once more with another program: one line, the new one.
            let again = with_line(&with, &Call::new(Path::new("/b"), Path::new("/c"), 6).unwrap()).unwrap();
            assert_eq!(without_line(&again), script.as_bytes());
            assert!(String::from_utf8(again).unwrap().contains("[ -x '/b' ]"));
        }
    }

    #[test]
    fn what_is_no_plain_shell_script_gets_no_line() {
        for script in [
            &b"#!/usr/bin/env python3\nprint(1)\n"[..],
            b"#!/bin/sh",
            b"#!/bin/sh\r\necho hi\r\n",
            b"#!/usr/bin/env -S bash -e\necho\n",
            b"#!/bin/sh -n\necho\n",
            b"#!/usr/bin/fish\necho\n",
            b"#!/bin/sh\nexec tail -n +3 \"$0\"\n\xff\xfe",
            b"echo no first line\n",
            b"\x7fELF\n",
            b"",
        ] {
            assert_eq!(with_line(script, &call()), None, "{}", String::from_utf8_lossy(script));
        }
    }

    #[test]
    fn a_file_of_ours_is_known_and_one_that_was_edited_too() {
        let made = file(&call());
        assert!(is_ours(made.as_bytes()) && is_unchanged(made.as_bytes()) && has_line(made.as_bytes()));
        let edited = made.replace("exit \"$code\"", "echo mine\nexit \"$code\"");
        assert!(is_ours(edited.as_bytes()) && !is_unchanged(edited.as_bytes()));
        assert!(!is_ours(b"#!/bin/sh\necho\n") && !is_unchanged(b""));
        for name in NAMES {
            let text = stand_in(name, Next::In(Path::new(".husky")), &call()).unwrap();
            assert!(is_ours(text.as_bytes()) && text.contains(&format!("'.husky'/{name}\n")), "{text}");
            assert_eq!(has_line(text.as_bytes()), name == POST_COMMIT);
        }
    }

    #[test]
    fn a_path_that_fits_no_line_is_refused() {
        assert!(Call::new(Path::new("/a\nb"), Path::new("/c"), 5).is_err());
    }
}
