//! A command at a terminal of a known width, and the person who sits there.

use std::process::{Command, Stdio};

use rexpect::process::WaitStatus;
use rexpect::session::{PtySession, spawn_command};

use crate::kit::User;

/// How long the person waits for anything.
const PATIENCE_MS: u64 = 60_000;

/// A command that runs at a terminal.
pub(crate) struct Terminal {
    session: PtySession,
}

impl User {
    /// `tsm` with these words at a terminal of so many columns.
    pub(crate) fn terminal(&self, columns: u16, args: &[&str]) -> Terminal {
        self.terminal_with(columns, args, &[])
    }

    /// The same, with variables.
    pub(crate) fn terminal_with(&self, columns: u16, args: &[&str], vars: &[(&str, &str)]) -> Terminal {
        let mut command = self.command("sh");
        command.args(["-c", "stty cols \"$1\" rows 40 && shift && exec \"$@\"", "sh"]);
        command.arg(columns.to_string()).arg(env!("CARGO_BIN_EXE_tsm")).args(args);
        command.env("TERM", "xterm").envs(vars.iter().copied());
        Terminal::open(command)
    }

    /// What `tsm` prints at such a terminal, and its exit code.
    pub(crate) fn at_terminal(&self, columns: u16, args: &[&str]) -> (String, i32) {
        self.terminal(columns, args).end()
    }
}

impl Terminal {
    /// Runs any command at a terminal.
    pub(crate) fn open(mut command: Command) -> Self {
        command.stdin(Stdio::inherit());
        Terminal { session: spawn_command(command, Some(PATIENCE_MS)).unwrap() }
    }

    /// Waits until `text` appears.
    #[track_caller]
    pub(crate) fn shows(&mut self, text: &str) {
        if let Err(why) = self.session.exp_string(text) {
            panic!("{text:?} did not appear: {why}");
        }
    }

    /// Types a line.
    pub(crate) fn types(&mut self, line: &str) {
        self.session.send_line(line).unwrap();
    }

    /// Presses these keys and no return.
    pub(crate) fn presses(&mut self, keys: &str) {
        self.session.send(keys).unwrap();
        self.session.flush().unwrap();
    }

    /// Types a last line to a program that ignores being told to end.
    pub(crate) fn leave(&mut self, line: &str) {
        let _ = self.session.send_line(line);
    }

    /// Waits until `text` appears, and returns what came before it.
    #[track_caller]
    pub(crate) fn until(&mut self, text: &str) -> String {
        let before = match self.session.exp_string(text) {
            Ok(before) => before,
            Err(why) => panic!("{text:?} did not appear: {why}"),
        };
        // Each byte comes as a character of its own.
        let bytes: Vec<u8> = before.chars().filter_map(|c| u8::try_from(c).ok()).collect();
        String::from_utf8_lossy(&bytes).replace("\r\n", "\n")
    }

    /// Presses Ctrl-C.
    pub(crate) fn interrupt(&mut self) {
        self.session.send_control('c').unwrap();
    }

    /// Presses Ctrl-D.
    pub(crate) fn control_d(&mut self) {
        self.session.send_control('d').unwrap();
    }

    /// Everything that was printed since, and the exit code as a shell counts it.
    #[track_caller]
    pub(crate) fn end(mut self) -> (String, i32) {
        let rest = self.session.exp_eof().unwrap_or_else(|why| panic!("it does not end: {why}"));
        let code = match self.session.process().wait().unwrap() {
            WaitStatus::Exited(_, code) => code,
            WaitStatus::Signaled(_, signal, _) => 128 + signal as i32,
            other => panic!("{other:?}"),
        };
        // Each byte comes as a character of its own.
        let bytes: Vec<u8> = rest.chars().filter_map(|c| u8::try_from(c).ok()).collect();
        (String::from_utf8_lossy(&bytes).replace("\r\n", "\n"), code)
    }
}

/// `text` without its colours.
pub(crate) fn plain(text: &str) -> String {
    let mut shown = String::new();
    let mut parts = text.split("\x1b[");
    shown.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (_, rest) = part.split_once('m').unwrap_or_else(|| panic!("not only colours: {text:?}"));
        shown.push_str(rest);
    }
    shown
}
