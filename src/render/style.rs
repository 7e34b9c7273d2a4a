//! The colours of TSM, and whether they are shown.

use anstyle::{AnsiColor, Style};

use crate::model::State;

/// What the user said with `--color`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ColorChoice {
    /// Nothing: it depends on [`Surroundings`].
    #[default]
    Auto,
    /// Colours, whatever the output is.
    Always,
    /// No colours.
    Never,
}

/// What decides about colours when the user did not say: the variables as they are set, and where the output goes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Surroundings<'a> {
    /// True when the output is a terminal.
    pub terminal: bool,
    /// `NO_COLOR` (no-color.org): any value but the empty one means no colours.
    pub no_color: Option<&'a str>,
    /// `CLICOLOR_FORCE` (bixense.com/clicolors): any value but `0` and the empty one means colours.
    pub clicolor_force: Option<&'a str>,
    /// `FORCE_COLOR` (force-color.org), read as `CLICOLOR_FORCE` is; `false` means no as well.
    pub force_color: Option<&'a str>,
    /// `CLICOLOR`: `0` means no colours.
    pub clicolor: Option<&'a str>,
    /// `TERM`: `dumb` means no colours.
    pub term: Option<&'a str>,
}

impl ColorChoice {
    /// Whether to write colours. The flag wins, then a wish for none, then one for some, then the terminal's ability.
    pub fn wanted(self, around: Surroundings<'_>) -> bool {
        let forced = |value: Option<&str>| value.is_some_and(|value| !matches!(value, "" | "0" | "false"));
        match self {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto if around.no_color.is_some_and(|value| !value.is_empty()) => false,
            ColorChoice::Auto if forced(around.clicolor_force) || forced(around.force_color) => true,
            ColorChoice::Auto => {
                around.terminal && around.term != Some("dumb") && around.clicolor != Some("0")
            }
        }
    }
}

/// No colour at all.
pub const PLAIN: Style = Style::new();
/// The titles of columns.
pub const TITLE: Style = Style::new().bold();
/// What matters less.
pub const DIM: Style = Style::new().dimmed();
/// Success.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// What deserves a look.
pub const WARNING: Style = AnsiColor::Yellow.on_default();
/// What went wrong.
pub const ERROR: Style = AnsiColor::Red.on_default().bold();
/// The next command to type.
pub const HINT: Style = AnsiColor::Cyan.on_default();

/// The colour of a state.
pub const fn state(state: State) -> Style {
    match state {
        State::Online => GOOD,
        State::Starting | State::Stopping => AnsiColor::Cyan.on_default(),
        State::Backoff => WARNING,
        State::Errored => AnsiColor::Red.on_default(),
        State::Unsupervised | State::Lost => AnsiColor::Magenta.on_default(),
        State::Stopped | State::Exited => DIM,
    }
}

/// The colour of the name in front of the lines of the log with this index, where several are shown. Red is left to
/// errors.
pub const fn prefix(index: usize) -> Style {
    const COLORS: [AnsiColor; 10] = [
        AnsiColor::Cyan,
        AnsiColor::Yellow,
        AnsiColor::Green,
        AnsiColor::Magenta,
        AnsiColor::Blue,
        AnsiColor::BrightCyan,
        AnsiColor::BrightYellow,
        AnsiColor::BrightGreen,
        AnsiColor::BrightMagenta,
        AnsiColor::BrightBlue,
    ];
    COLORS[index % COLORS.len()].on_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_decides_about_colours() {
        let terminal = Surroundings { terminal: true, term: Some("xterm"), ..Default::default() };
        let pipe = Surroundings { terminal: false, ..terminal };
        for (wanted, around) in [
            (true, terminal),
            (false, pipe),
            (false, Surroundings { term: Some("dumb"), ..terminal }),
            (false, Surroundings { clicolor: Some("0"), ..terminal }),
            (false, Surroundings { no_color: Some("1"), ..terminal }),
            (true, Surroundings { no_color: Some(""), ..terminal }),
            (true, Surroundings { clicolor_force: Some("1"), ..pipe }),
            (true, Surroundings { force_color: Some("1"), term: Some("dumb"), ..pipe }),
            (false, Surroundings { force_color: Some("0"), clicolor_force: Some(""), ..pipe }),
            (false, Surroundings { force_color: Some("1"), no_color: Some("1"), ..terminal }),
        ] {
            assert_eq!(ColorChoice::Auto.wanted(around), wanted, "{around:?}");
            assert!(ColorChoice::Always.wanted(around));
            assert!(!ColorChoice::Never.wanted(around));
        }
    }

    #[test]
    fn neighbours_differ() {
        assert!((0..30).all(|index| prefix(index) != prefix(index + 1)));
        assert_ne!(state(State::Online), state(State::Errored));
    }
}
