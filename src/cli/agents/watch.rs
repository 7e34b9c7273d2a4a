//! `tsm agents -w`: the sessions as they change, redrawn in place at a terminal, a line for each change elsewhere.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use super::list::{Args, elsewhere, table};
use super::looker::{Looker, tracked};
use crate::agents::{AgentState, Change, ChangeDocument, Session, What, refs};
use crate::cli::context::Context;
use crate::error::{Error, Result, plain};
use crate::render::table::Look;
use crate::render::{human, json, sanitize, style};
use crate::sys::poll::{self, Interest};
use crate::sys::tty;

/// How often to look: a second is as short as the times that are shown.
const LOOK: Duration = Duration::from_secs(1);

pub(super) fn run(context: &Context, args: &Args) -> Result<()> {
    let mut looker = Looker::new(context, args.all);
    let mut screen = Screen::default();
    loop {
        let changes = looker.look();
        if args.json {
            let mut out = io::stdout().lock();
            for change in &changes {
                json::line(&mut out, &ChangeDocument::new(change, looker.now_ms()))
                    .map_err(|e| failed(&e))?;
            }
            out.flush().map_err(|error| failed(&error))?;
        } else if context.output.terminal {
            screen.show(&frame(context, &looker)?)?;
        } else {
            for change in &changes {
                context.output.line(&sentence(change, looker.now_ms()))?;
            }
        }
        let out = io::stdout();
        let gone =
            poll::wait(&[(out.as_fd(), Interest::Gone)], Some(LOOK)).map_err(|error| failed(&error))?;
        if gone.contains(&true) {
            return Ok(());
        }
    }
}

fn failed(error: &io::Error) -> Error {
    Error::io_kind_of(error, format!("cannot show the sessions: {}", plain(error)))
}

/// What is shown now: a line that counts, and the table.
fn frame(context: &Context, looker: &Looker<'_>) -> Result<Frame> {
    let sessions = looker.sessions();
    let columns = tty::columns();
    let mut text = Vec::new();
    let title = if context.output.color { style::TITLE } else { style::PLAIN };
    writeln!(text, "{title}{}{title:#}", counted(sessions)).map_err(|error| failed(&error))?;
    if !sessions.is_empty() {
        let look =
            Look { width: columns.or(context.output.width), color: context.output.color, header: true };
        let table = table(sessions, &tracked(context), looker.now_ms());
        table.write(&mut text, look).map_err(|error| failed(&error))?;
    }
    let mut lines: Vec<String> = String::from_utf8_lossy(&text).lines().map(str::to_owned).collect();
    let rows = tty::lines();
    lines.extend(elsewhere(looker.hidden()).filter(|_| has_room(lines.len(), rows)));
    Ok(Frame { lines, columns, rows })
}

/// True when a remark fits below so many lines. Else it is left out: what is counted as not shown are sessions.
fn has_room(lines: usize, rows: Option<usize>) -> bool {
    rows.is_none_or(|rows| lines + 1 < rows)
}

/// `2 need input, 1 idle, 3 working`.
fn counted(sessions: &[Session]) -> String {
    let parts: Vec<String> = [
        (AgentState::NeedsInput, "need input", "needs input"),
        (AgentState::Idle, "idle", "idle"),
        (AgentState::Working, "working", "working"),
        (AgentState::Unknown, "unknown", "unknown"),
    ]
    .into_iter()
    .map(|(state, several, one)| (sessions.iter().filter(|of| of.state == state).count(), several, one))
    .filter(|(count, ..)| *count > 0)
    .map(|(count, several, one)| format!("{count} {}", if count == 1 { one } else { several }))
    .collect();
    if parts.is_empty() { "no coding agent runs".into() } else { parts.join(", ") }
}

/// Lines for a terminal of this size.
struct Frame {
    lines: Vec<String>,
    columns: Option<usize>,
    rows: Option<usize>,
}

impl Frame {
    /// As many lines as the terminal has above the one of the cursor; the last one counts what did not fit.
    fn fitting(mut self) -> Vec<String> {
        let most = self.rows.map_or(usize::MAX, |rows| rows.saturating_sub(1).max(1));
        if self.lines.len() > most {
            let more = self.lines.len() - (most - 1);
            self.lines.truncate(most - 1);
            self.lines.push(format!("… {more} more"));
        }
        self.lines
    }
}

/// What stands on the terminal.
#[derive(Default)]
struct Screen {
    lines: Vec<String>,
    columns: Option<usize>,
}

impl Screen {
    /// Puts `frame` in the place of the one before. Nothing is written when nothing has changed.
    fn show(&mut self, frame: &Frame) -> Result<()> {
        let columns = frame.columns;
        let lines = Frame { lines: frame.lines.clone(), ..*frame }.fitting();
        if lines == self.lines && columns == self.columns {
            return Ok(());
        }
        let bytes = self.replaced_by(&lines, columns);
        (self.lines, self.columns) = (lines, columns);
        let mut out = io::stdout().lock();
        out.write_all(bytes.as_bytes()).and_then(|()| out.flush()).map_err(|error| failed(&error))
    }

    /// What is to be written: the cursor stands in the line below the last one, and all is written at once, so that
    /// nothing flickers (ECMA-48: CUP, CUU, EL, ED).
    fn replaced_by(&self, lines: &[String], columns: Option<usize>) -> String {
        let mut bytes = match self.lines.len() {
            0 => String::new(),
            // A terminal of another width has broken the lines elsewhere.
            _ if columns != self.columns => "\x1b[H\x1b[2J".into(),
            above => format!("\x1b[{above}A\r"),
        };
        for line in lines {
            bytes.push_str(line);
            bytes.push_str("\x1b[K\n");
        }
        bytes.push_str("\x1b[J");
        bytes
    }
}

/// `2026-11-21T05:45:23+00:00  review (PID 12, claude in my-api)  working -> needs-input: permission: Bash`.
fn sentence(change: &Change, now_ms: u64) -> String {
    let session = &change.session;
    let reason = if session.reason.is_empty() { String::new() } else { format!(": {}", session.reason) };
    let state = format!("{}{reason}", session.state);
    let what = match (change.what, change.from) {
        (What::Gone, Some(from)) => format!("gone, was {from}"),
        (What::Gone, None) => "gone".into(),
        (What::Session, _) => format!("another conversation, {state}"),
        (What::Label, _) => "has got that label".into(),
        (What::State, Some(from)) if from != session.state => format!("{from} -> {state}"),
        (What::State | What::Appeared, _) => state,
    };
    let text = format!("{}  {what}", refs::described(session));
    format!("{}  {}", human::time(now_ms), sanitize::text(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn a_frame_takes_the_place_of_the_one_before() {
        let mut screen = Screen::default();
        assert_eq!(screen.replaced_by(&lines(&["a", "b"]), Some(80)), "a\x1b[K\nb\x1b[K\n\x1b[J");
        (screen.lines, screen.columns) = (lines(&["a", "b"]), Some(80));
        assert_eq!(screen.replaced_by(&lines(&["c"]), Some(80)), "\x1b[2A\rc\x1b[K\n\x1b[J");
        assert_eq!(screen.replaced_by(&lines(&["c"]), Some(60)), "\x1b[H\x1b[2Jc\x1b[K\n\x1b[J");
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let frame = |rows| Frame { lines: lines(&["1", "2", "3", "4"]), columns: None, rows };
        assert_eq!(frame(None).fitting(), ["1", "2", "3", "4"]);
        assert_eq!(frame(Some(5)).fitting(), ["1", "2", "3", "4"]);
        assert_eq!(frame(Some(4)).fitting(), ["1", "2", "… 2 more"]);
        assert_eq!(frame(Some(1)).fitting(), ["… 4 more"]);
    }

    #[test]
    fn a_remark_takes_no_place_of_a_session() {
        assert!(has_room(4, None) && has_room(4, Some(6)));
        assert!(!has_room(4, Some(5)) && !has_room(4, Some(1)));
    }

    #[test]
    fn nobody_is_counted_as_nobody() {
        assert_eq!(counted(&[]), "no coding agent runs");
    }
}
