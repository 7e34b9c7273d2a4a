//! Several logs in one stream, line by line, each line with the name of its process.

use anstyle::{Reset, Style};

/// How long a line may grow before it is shown in parts: a program that never ends a line must not fill the memory.
const LONGEST: usize = 64 * 1024;

/// Interleaves the bytes of several logs; those of a single one pass through as they are.
#[derive(Debug)]
pub struct Mix {
    logs: Vec<Log>,
}

#[derive(Debug)]
struct Log {
    prefix: Vec<u8>,
    /// The beginning of a line whose end has not come.
    held: Vec<u8>,
}

impl Mix {
    /// Mixes the logs of these processes; the styles are for their names, where colours are wanted.
    pub fn new(names: &[(&str, Style)], color: bool) -> Self {
        let width = names.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        let logs = names.iter().map(|(name, style)| {
            let prefix = match (names.len(), color) {
                (..=1, _) => String::new(),
                // The reset in front: the line before may have left its own colour behind.
                (_, true) => format!("{Reset}{style}{name:width$} |{style:#} "),
                (_, false) => format!("{name:width$} | "),
            };
            Log { prefix: prefix.into_bytes(), held: Vec::new() }
        });
        Mix { logs: logs.collect() }
    }

    /// Takes new bytes of the log with this index, and appends the lines that they complete to `out`.
    pub fn push(&mut self, index: usize, bytes: &[u8], out: &mut Vec<u8>) {
        let Some(log) = self.logs.get_mut(index) else { return };
        if log.prefix.is_empty() {
            out.extend_from_slice(bytes);
            return;
        }
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            if piece.ends_with(b"\n") {
                out.extend_from_slice(&log.prefix);
                out.append(&mut log.held);
                out.extend_from_slice(piece);
            } else {
                log.held.extend_from_slice(piece);
                if log.held.len() >= LONGEST {
                    log.flush(out);
                }
            }
        }
    }

    /// Appends the lines that never ended.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        for log in &mut self.logs {
            log.flush(out);
        }
    }
}

impl Log {
    fn flush(&mut self, out: &mut Vec<u8>) {
        if !self.held.is_empty() {
            out.extend_from_slice(&self.prefix);
            out.append(&mut self.held);
            out.push(b'\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use anstyle::AnsiColor;

    use super::*;

    fn mixed(names: &[&str], color: bool, pushes: &[(usize, &str)]) -> String {
        let style = AnsiColor::Cyan.on_default();
        let names: Vec<_> = names.iter().map(|name| (*name, style)).collect();
        let mut mix = Mix::new(&names, color);
        let mut out = Vec::new();
        for (index, text) in pushes {
            mix.push(*index, text.as_bytes(), &mut out);
        }
        mix.finish(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_of_several_logs_never_mingle() {
        let pushes = [(0, "a\nb"), (1, "one\n"), (0, "c\n"), (1, "never ended"), (0, "\n")];
        assert_eq!(
            mixed(&["web", "worker"], false, &pushes),
            "web    | a\nworker | one\nweb    | bc\nweb    | \nworker | never ended\n"
        );
    }

    #[test]
    fn one_log_passes_through_byte_for_byte() {
        let pushes = [(0, "\x1b[1mbold"), (0, "\x1b[0m\r\npart")];
        assert_eq!(mixed(&["web"], true, &pushes), "\x1b[1mbold\x1b[0m\r\npart");
    }

    #[test]
    fn a_colour_colours_the_name_alone() {
        assert_eq!(mixed(&["a", "b"], true, &[(1, "x\n")]), "\x1b[0m\x1b[36mb |\x1b[0m x\n");
    }

    #[test]
    fn a_line_without_end_is_shown_in_parts() {
        let text = "x".repeat(LONGEST);
        let out = mixed(&["a", "b"], false, &[(0, &text), (0, "y\n")]);
        assert_eq!(out, format!("a | {text}\na | y\n"));
    }
}
