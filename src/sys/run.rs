//! Running this very program as a child and collecting what it prints.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

/// What a run has left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// Its exit code; 128 and more for a signal, as a shell counts.
    pub code: i32,
    /// What it has printed.
    pub stdout: Vec<u8>,
    /// What it has said beside that.
    pub stderr: Vec<u8>,
}

/// Where this program is. Asked once, while it is still there: when another version has taken its place, that is the one
/// to run.
///
/// # Errors
/// When the kernel cannot tell.
pub fn own_path() -> io::Result<&'static Path> {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    match PATH.get() {
        Some(path) => Ok(path),
        None => Ok(PATH.get_or_init({
            let path = std::env::current_exe()?;
            || path
        })),
    }
}

fn command(words: &[String], dir: Option<&Path>) -> io::Result<Command> {
    let mut command = Command::new(own_path()?);
    // An option and no variable, because what it starts inherits its environment.
    command.arg("--color=never").args(words);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if let Some(dir) = dir {
        command.current_dir(dir);
    }
    Ok(command)
}

/// Runs `tsm` with these words to its end.
///
/// # Errors
/// When it cannot be started.
pub fn own(words: &[String], dir: Option<&Path>) -> io::Result<Ran> {
    use std::os::unix::process::ExitStatusExt;
    let output = command(words, dir)?.output()?;
    let code = output.status.code().or_else(|| output.status.signal().map(|signal| 128 + signal));
    Ok(Ran { code: code.unwrap_or(1), stdout: output.stdout, stderr: output.stderr })
}

/// A `tsm` that goes on printing; it ends with this.
#[derive(Debug)]
pub struct Stream(Child);

impl Stream {
    /// What it prints; once.
    pub fn output(&mut self) -> Option<impl io::Read + Send + use<>> {
        self.0.stdout.take()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // One that has ended by itself cannot be killed any more, and was not waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts `tsm` with these words; its standard output is to be read, its standard error goes nowhere.
///
/// # Errors
/// As [`own`].
pub fn own_stream(words: &[String]) -> io::Result<Stream> {
    command(words, None)?.stderr(Stdio::null()).spawn().map(Stream)
}
