//! Running a program to its end within a time limit, and what it wrote.

use std::ffi::OsString;
use std::io::{self, PipeReader, PipeWriter, Read as _, Seek as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// The most that is kept of each stream; the rest is read and dropped, so that the program never blocks on it.
const KEPT: usize = 8 << 20;

/// One read, in bytes.
const CHUNK: usize = 16 << 10;

/// What a program did that ended in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    /// Its exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to standard output, at most 8 MiB of it.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error, at most 8 MiB of it.
    pub stderr: Vec<u8>,
}

/// Runs `argv` to its end in the directory `dir`, with `env` as its whole environment, nothing on standard input, and in
/// a process group of its own. `None` when it took longer than `timeout`: that group was then killed.
///
/// What it left running in the background is not waited for, even where that holds its output open.
///
/// # Errors
/// When it cannot be executed, or there is no descriptor left.
pub fn run(
    argv: &[OsString],
    env: &[(OsString, OsString)],
    dir: &Path,
    timeout: Duration,
) -> io::Result<Option<Captured>> {
    run_with(Stdio::null(), argv, env, dir, timeout)
}

/// As [`run`], with `input` on standard input.
///
/// # Errors
/// As [`run`], and when there is no room for the input in the directory of temporary files.
pub fn run_with_input(
    argv: &[OsString],
    env: &[(OsString, OsString)],
    dir: &Path,
    input: &[u8],
    timeout: Duration,
) -> io::Result<Option<Captured>> {
    // A file without a name, because a pipe would have to be filled while the output is read.
    let mut file = tempfile::tempfile()?;
    file.write_all(input)?;
    file.rewind()?;
    run_with(file.into(), argv, env, dir, timeout)
}

fn run_with(
    input: Stdio,
    argv: &[OsString],
    env: &[(OsString, OsString)],
    dir: &Path,
    timeout: Duration,
) -> io::Result<Option<Captured>> {
    let deadline = Instant::now() + timeout;
    let (out, out_end) = io::pipe()?;
    let (err, err_end) = io::pipe()?;
    // Ends when the waiting thread does: the exit of the program as something that poll can see.
    let (exited, exited_end) = io::pipe()?;
    let (program, words) = argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let child = Command::new(program)
        .args(words)
        .env_clear()
        .envs(env.iter().map(|(name, value)| (name, value)))
        .current_dir(dir)
        .stdin(input)
        .stdout(out_end)
        .stderr(err_end)
        .process_group(0)
        .spawn()?;
    let group = Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX));
    let waiter = thread::spawn(move || wait(child, exited_end));

    let mut streams = [Stream::new(out), Stream::new(err)];
    let ended = loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if round(&mut streams, Some(&exited), left)? {
            break true;
        }
        if left.is_zero() {
            break false;
        }
    };
    if ended {
        // What it wrote before it ended is in the pipes, which hold 1 MiB at most (pipe(7)).
        for _ in 0..(1 << 20) / CHUNK {
            round(&mut streams, None, Duration::ZERO)?;
        }
    } else {
        // It leads this group and was not waited for a moment ago, so the number is still its own.
        let _ = killpg(group, Signal::SIGKILL);
    }
    let code = waiter.join().map_err(|_| io::Error::other("the waiting thread panicked"))??;
    let [out, err] = streams;
    Ok(ended.then_some(Captured { code, stdout: out.bytes, stderr: err.bytes }))
}

/// Waits for the child; `ended` closes on return.
fn wait(mut child: Child, ended: PipeWriter) -> io::Result<Option<i32>> {
    let status = child.wait();
    drop(ended);
    Ok(status?.code())
}

/// One poll of at most `left`, and one read of each stream that has something; true when `exited` was closed.
fn round(streams: &mut [Stream; 2], exited: Option<&PipeReader>, left: Duration) -> io::Result<bool> {
    let watched: Vec<BorrowedFd<'_>> =
        streams.iter().filter(|stream| stream.open).map(|s| s.pipe.as_fd()).collect();
    let mut polled: Vec<PollFd<'_>> = watched.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)).collect();
    polled.extend(exited.map(|pipe| PollFd::new(pipe.as_fd(), PollFlags::POLLIN)));
    // Rounded up, so that the last wait is not a series of empty ones.
    let timeout = PollTimeout::try_from(left.as_micros().div_ceil(1000)).unwrap_or(PollTimeout::MAX);
    match poll(&mut polled, timeout) {
        Ok(_) => {}
        Err(Errno::EINTR) => return Ok(false),
        Err(errno) => return Err(errno.into()),
    }
    let mut ready = polled.iter().map(|fd| fd.any() == Some(true)).collect::<Vec<_>>().into_iter();
    for stream in streams.iter_mut().filter(|stream| stream.open) {
        if ready.next() == Some(true) {
            stream.read()?;
        }
    }
    Ok(ready.next() == Some(true))
}

/// One of its output streams.
struct Stream {
    pipe: PipeReader,
    bytes: Vec<u8>,
    open: bool,
}

impl Stream {
    fn new(pipe: PipeReader) -> Self {
        Stream { pipe, bytes: Vec::new(), open: true }
    }

    /// One read of what is there.
    fn read(&mut self) -> io::Result<()> {
        let mut chunk = [0; CHUNK];
        let got = self.pipe.read(&mut chunk)?;
        self.open = got > 0;
        self.bytes.extend_from_slice(&chunk[..got.min(KEPT.saturating_sub(self.bytes.len()))]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, timeout: Duration) -> io::Result<Option<Captured>> {
        let argv = ["/bin/sh", "-c", script].map(OsString::from);
        run(&argv, &[("A".into(), "1".into())], Path::new("/"), timeout)
    }

    #[test]
    fn code_and_streams_come_back_and_nothing_is_inherited() {
        let ran = sh("cat; pwd; echo $A$HOME >&2; exit 3", Duration::from_secs(60)).unwrap();
        let expected = Captured { code: Some(3), stdout: b"/\n".to_vec(), stderr: b"1\n".to_vec() };
        assert_eq!(ran, Some(expected));
        let killed = sh("kill -9 $$", Duration::from_secs(60)).unwrap();
        assert_eq!(killed.map(|ran| ran.code), Some(None));
    }

    #[test]
    fn a_program_reads_what_it_is_given_however_much() {
        let input = vec![b'x'; 300_000];
        let argv = ["/bin/cat"].map(OsString::from);
        let ran = run_with_input(&argv, &[], Path::new("/"), &input, Duration::from_secs(60)).unwrap();
        assert_eq!(ran.map(|ran| (ran.code, ran.stdout)), Some((Some(0), input)));
    }

    #[test]
    fn what_takes_too_long_has_no_result_and_what_is_not_there_is_an_error() {
        assert_eq!(sh("sleep 1000", Duration::from_millis(50)).unwrap(), None);
        let missing = run(&["/does/not/exist".into()], &[], Path::new("/"), Duration::from_secs(1));
        assert_eq!(missing.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
