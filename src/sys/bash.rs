//! Asking bash whether it can read a text, without running any of it.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::process::{Command, Stdio};

/// What bash says of `text` that it cannot read; none when it can.
///
/// # Errors
/// When there is no bash, or the text cannot be passed to it.
pub fn complaint(text: &[u8]) -> io::Result<Option<String>> {
    // Not a pipe, from which bash would read one byte at a time.
    let mut file = private_file()?;
    file.write_all(text)?;
    file.rewind()?;
    let output = Command::new("bash")
        // With -n bash does not execute the line that sets extglob.
        .args(["--norc", "--noprofile", "-O", "extglob", "-n"])
        // What it names would be executed.
        .env_remove("BASH_ENV")
        .stdin(file)
        .stdout(Stdio::null())
        .output()?;
    Ok((!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}

/// A file without a name, in memory: the text may hold secrets.
#[cfg(target_os = "linux")]
fn private_file() -> io::Result<File> {
    use nix::sys::memfd::{MFdFlags, memfd_create};
    Ok(memfd_create(c"tsm", MFdFlags::MFD_CLOEXEC)?.into())
}

/// A file without a name: the text may hold secrets.
#[cfg(not(target_os = "linux"))]
fn private_file() -> io::Result<File> {
    tempfile::tempfile()
}

#[cfg(test)]
mod tests {
    use super::complaint;

    #[test]
    fn bash_reads_without_running() {
        let large = format!("f() {{\n{}}}\nexit 3\n", "echo 'a long line of text'\n".repeat(20_000));
        for text in ["", "exit 3", "case x in @(a|b)) ;; esac", "kill -9 $$", &large] {
            assert_eq!(complaint(text.as_bytes()).unwrap(), None, "{text:.80}");
        }
        let said = complaint(b"f() {\n  if\n}\n").unwrap().unwrap();
        assert!(said.contains("line 3: syntax error"), "{said}");
    }
}
