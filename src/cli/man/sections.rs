//! What the manual says of exit codes, variables and files: the one place of these tables.

/// A name and what it is.
pub(super) type Entry = (&'static str, &'static str);

/// Exit codes (design.md section 7).
pub(super) const EXIT_STATUS: &[Entry] = &[
    ("0", "Done, or already so."),
    ("1", "It failed: it did not start, it died, a check found errors."),
    ("2", "The words were wrong."),
    ("3", "It is not running."),
    ("4", "There is no such process, service or file."),
    ("5", "A control socket or the daemon cannot be reached."),
    ("6", "A conflict: the port is taken, the name belongs to another command, several processes are meant."),
    ("124", "It took too long."),
    ("130", "It was interrupted."),
];

/// The variables that TSM reads.
pub(super) const ENVIRONMENT: &[Entry] = &[
    ("TSM_DIR", "Where everything is kept."),
    ("TETRA_DIR", "Without TSM_DIR: the directory tsm in it."),
    (
        "XDG_STATE_HOME",
        "Without these: the directory tsm in it, if it is an absolute path; else ~/.local/state/tsm.",
    ),
    ("HOME", "Where that is, and what ~/ in --env means."),
    ("TSM_PORT_RANGE", "The ports that are given to programs which name none; 8000-8999 unless it is set."),
    (
        "TSM_SHELL_PID",
        "The shell that start --with-shell means; the tsm function of the shell layer says it.",
    ),
    ("TSM_NONINTERACTIVE", "Set to anything: never ask, never wait unasked, even at a terminal."),
    ("NO_COLOR", "Set to anything: no colours."),
    ("CLICOLOR_FORCE", "Set to anything but 0: colours, even in a pipe; so does FORCE_COLOR."),
    ("FORCE_COLOR", "As CLICOLOR_FORCE."),
    ("CLICOLOR", "0: no colours."),
    ("TERM", "dumb: no colours."),
    ("COLUMNS", "How wide tables are where standard output is no terminal; uncut unless it is set."),
    ("PM2_HOME", "Where tsm import pm2 finds what pm2 save wrote; ~/.pm2 unless it is set."),
    (
        "XDG_CONFIG_HOME",
        "Where tsm daemon enable writes the unit, and tsm/agents.toml is; ~/.config unless it is set.",
    ),
    ("CLAUDE_CONFIG_DIR", "Where Claude Code keeps its sessions; ~/.claude unless it is set."),
    ("XDG_RUNTIME_DIR", "Where the user's service manager and its bus are reached."),
    ("GIT_DIR", "The repository of the commit, as git says it to the hook of tsm capture install."),
    ("PATH", "Where programs are looked for; tsm daemon enable gives it to the unit."),
    (
        "TMUX, TMUX_TMPDIR, I3SOCK, SWAYSOCK, DISPLAY, XAUTHORITY",
        "Where tsm agents looks for the tmux, i3 or sway that shows a session, beside what the session's own environment says.",
    ),
    ("TSM_DAEMON", "never: no verb starts the daemon on its own account."),
    ("TSM_SHELL_PID", "Set by the shell layer for each call: whose end --with-shell means."),
    ("SHELL", "What runs a line that begins with ! in tsm repl; /bin/sh unless it is set."),
];

/// The variables that TSM sets for a program.
pub(super) const GIVEN: &[Entry] = &[
    ("PORT, TSM_PORT", "The port that it is to listen on, where it has one."),
    ("TSM_NAME, TSM_ID", "What it is called."),
    ("TSM_SOCKET", "Where its supervisor answers STATUS, HEALTH, RELOAD and STOP."),
    ("NOTIFY_SOCKET", "Where it may say READY=1, as sd_notify(3) does."),
    ("PYTHONUNBUFFERED", "1, unless it is set: what a Python program prints is in its log at once."),
];

/// The files that a person may look for.
pub(super) const FILES: &[Entry] = &[
    ("$TSM_DIR/runtime/processes/NAME/spec.json", "What was asked of a process."),
    ("$TSM_DIR/runtime/processes/NAME/status.json", "What it does."),
    ("$TSM_DIR/runtime/processes/NAME/control.sock", "Its control socket."),
    ("$TSM_DIR/logs/NAME.log", "Its log; NAME.log.1 and so on are older."),
    ("$TSM_DIR/pids/NAME.pid", "The PID of its main process."),
    (
        "$TSM_DIR/services-available/NAME.tsm",
        "Definitions of services; services-enabled has links to those that start at boot.",
    ),
    ("$TSM_DIR/patterns.txt", "How commands take their port; these lines come before the built-in ones."),
    ("$TSM_DIR/agents/labels.json", "What sessions of coding agents are called."),
    ("$TSM_DIR/repl_history", "The lines that were typed in tsm repl."),
    ("~/.config/tsm/agents.toml", "More coding agents, and other names of those that are built in."),
    ("$TSM_DIR/capture/installed.json", "Where tsm capture is installed, and since when."),
    (".prompts/TIME-COMMIT.json", "In a working tree: what was said to coding agents for a commit."),
    ("env/NAME.env", "In the directory of a process: the environment that --env NAME means."),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn every_exit_code_is_explained() {
        let kinds = [
            Kind::Failed,
            Kind::Usage,
            Kind::NotRunning,
            Kind::NotFound,
            Kind::Unreachable,
            Kind::Conflict,
            Kind::TimedOut,
            Kind::Interrupted,
        ];
        let mut codes = vec!["0".to_owned()];
        codes.extend(kinds.iter().map(|kind| kind.exit_code().to_string()));
        assert_eq!(EXIT_STATUS.iter().map(|(code, _)| *code).collect::<Vec<_>>(), codes);
    }

    #[test]
    fn every_variable_that_is_read_is_explained() {
        let source = include_str!("../settings.rs");
        let code = source.split("#[cfg(test)]").next().unwrap();
        let read = code.split('"').skip(1).step_by(2);
        let names =
            read.filter(|text| text.len() > 2 && text.chars().all(|c| c.is_ascii_uppercase() || c == '_'));
        let mut count = 0;
        for name in names {
            assert!(ENVIRONMENT.iter().any(|(known, _)| *known == name), "{name}");
            count += 1;
        }
        assert!(count > 8, "only {count} found");
    }
}
