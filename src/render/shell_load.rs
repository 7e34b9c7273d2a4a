//! Variables for the shell function to load into its own shell: never as code, and never those that the shell runs by.

use std::fmt::Write;

/// Variables by which bash itself runs, which it sets itself, or whose text it evaluates at a prompt (`bash(1)`,
/// "Shell Variables").
const OWN: [&str; 38] = [
    "BASH",
    "BASHOPTS",
    "BASHPID",
    "COMP_WORDBREAKS",
    "COPROC",
    "DIRSTACK",
    "ENV",
    "EPOCHREALTIME",
    "EPOCHSECONDS",
    "EUID",
    "EXECIGNORE",
    "FUNCNAME",
    "FUNCNEST",
    "GLOBIGNORE",
    "GROUPS",
    "HISTCMD",
    "IFS",
    "LINENO",
    "MAILPATH",
    "MAPFILE",
    "OPTARG",
    "OPTIND",
    "PIPESTATUS",
    "POSIXLY_CORRECT",
    "PPID",
    "PROMPT_COMMAND",
    "PS0",
    "PS1",
    "PS2",
    "PS3",
    "PS4",
    "RANDOM",
    "SECONDS",
    "SHELLOPTS",
    "SRANDOM",
    "TMOUT",
    "UID",
    "auto_resume",
];

/// Why a shell cannot load a variable of this name; none for one that it can.
pub fn refusal(name: &str) -> Option<&'static str> {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_';
    if !name.starts_with(first) || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Some("no name of a shell variable");
    }
    let ours = name.starts_with("_tsm_") || name.starts_with("_TSM_");
    (ours || name == "_" || name == "histchars" || name.starts_with("BASH_") || OWN.contains(&name))
        .then_some("the shell itself runs by it")
}

/// `value` as one line of ASCII that `printf %b` turns back into its bytes (`bash(1)`, `printf`).
pub fn escaped(value: &[u8]) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value {
        if byte.is_ascii_graphic() && *byte != b'\\' || *byte == b' ' {
            out.push(char::from(*byte));
        } else {
            // Four digits: one that follows in the value is not taken for a part of the number.
            let _ = write!(out, "\\0{byte:03o}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn bash_reads_every_byte_back_and_runs_nothing() {
        let mut all: Vec<u8> = (1..=255).chain(1..=255).collect();
        all.extend_from_slice(b"\n7\\n\\c\\0101$(exit 9)`exit 9`\n\n");
        for value in [all.as_slice(), b"", b"\n", b"\\", b"1\x017"] {
            let text = escaped(value);
            assert!(text.is_ascii() && !text.contains('\n'));
            let script = "printf -v x %b \"$1\" && printf '%s' \"$x\"";
            let output = Command::new("bash").args(["-c", script, "bash", &text]).output().unwrap();
            assert!(output.status.success());
            assert_eq!(output.stdout, value, "{text}");
        }
    }

    #[test]
    fn what_the_shell_runs_by_or_cannot_name_is_refused() {
        for name in ["IFS", "PS4", "BASH_ENV", "BASH_FUNC_x", "ENV", "PROMPT_COMMAND", "UID", "_", "_TSM_ENV"]
        {
            assert_eq!(refusal(name), Some("the shell itself runs by it"), "{name}");
        }
        for name in ["", "1A", "a.b", "A-B", "A B", "x[$(id)]", "Ä"] {
            assert_eq!(refusal(name), Some("no name of a shell variable"), "{name}");
        }
        for name in ["PORT", "PATH", "LD_PRELOAD", "_x", "a1", "BASHFUL", "TSM_DIR"] {
            assert_eq!(refusal(name), None, "{name}");
        }
    }
}
