//! Aligned columns without a frame, made to fit a terminal or left whole for a pipe.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::ops::Range;

use anstyle::Style;

pub use super::width::Cut;
use super::width::{shorten, width};
use super::{sanitize, style};

/// Between two columns.
const GAP: usize = 2;
/// Stands for an empty cell, so that a program that splits a row at blanks counts the same columns in each.
const EMPTY: &str = "-";

/// To which side the cells of a column go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// A column: its title, and what may happen to it where room is scarce.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    title: &'static str,
    align: Align,
    drop: u8,
    flexible: Option<(usize, Cut)>,
}

impl Column {
    /// A column of text that is never shortened or left out.
    pub const fn new(title: &'static str) -> Self {
        Column { title, align: Align::Left, drop: 0, flexible: None }
    }

    /// Its cells go to the right.
    pub const fn right(mut self) -> Self {
        self.align = Align::Right;
        self
    }

    /// May be left out: the column with the highest number is the first to go.
    pub const fn drop(mut self, order: u8) -> Self {
        self.drop = order;
        self
    }

    /// May be shortened down to `least` columns of the terminal before another column is left out for it.
    pub const fn flexible(mut self, least: usize, cut: Cut) -> Self {
        self.flexible = Some((least, cut));
        self
    }
}

/// The content of one cell.
#[derive(Clone, Debug)]
pub struct Cell<'a> {
    text: Cow<'a, str>,
    style: Style,
}

impl<'a> Cell<'a> {
    /// A cell without a colour.
    pub fn new(text: impl Into<Cow<'a, str>>) -> Self {
        Cell { text: text.into(), style: style::PLAIN }
    }

    /// A number, or whatever else can be shown.
    #[expect(clippy::needless_pass_by_value, reason = "`show(8000)` reads better than `show(&8000)`")]
    pub fn show(value: impl ToString) -> Self {
        Cell::new(value.to_string())
    }

    /// The same, empty where there is no value.
    pub fn maybe(value: Option<impl ToString>) -> Self {
        Cell::new(value.map(|value| value.to_string()).unwrap_or_default())
    }

    /// The same cell in a colour.
    pub fn styled(mut self, style: Style) -> Self {
        self.style = style;
        self
    }
}

/// How a table is to be written.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// The columns of the terminal; `None` cuts nothing.
    pub width: Option<usize>,
    /// Whether to write colours.
    pub color: bool,
    /// Whether to write the titles.
    pub header: bool,
}

/// Rows of cells under titles.
#[derive(Debug)]
pub struct Table {
    columns: Vec<Column>,
    /// The text of all cells, one behind the other: a table of a thousand rows needs no thousand allocations.
    text: String,
    cells: Vec<Held>,
    /// Lines between the rows, each with how many rows stand above it.
    headings: Vec<(usize, String)>,
}

#[derive(Debug)]
struct Held {
    text: Range<usize>,
    width: usize,
    style: Style,
}

impl Table {
    /// A table of these columns, without rows.
    pub fn new(columns: &[Column]) -> Self {
        let mut made =
            Table { columns: columns.to_vec(), text: String::new(), cells: Vec::new(), headings: Vec::new() };
        made.row(columns.iter().map(|column| Cell::new(column.title).styled(style::TITLE)));
        made
    }

    /// Adds a row. Cells that are missing are empty, and those that are too many are left out. What a terminal would obey
    /// or hide is made visible in them.
    pub fn row<'a>(&mut self, cells: impl IntoIterator<Item = Cell<'a>>) {
        let mut cells = cells.into_iter();
        for _ in 0..self.columns.len() {
            let cell = cells.next().unwrap_or_else(|| Cell::new(""));
            let start = self.text.len();
            let shown = sanitize::text(if cell.text.is_empty() { EMPTY } else { &cell.text });
            self.text.push_str(&shown);
            self.cells.push(Held { text: start..self.text.len(), width: width(&shown), style: cell.style });
        }
    }

    /// Adds a line that is no row: what the rows behind it have in common.
    pub fn heading(&mut self, text: &str) {
        let above = self.cells.len() / self.columns.len().max(1);
        self.headings.push((above, sanitize::text(text).into_owned()));
    }

    /// True when it has no rows.
    pub fn is_empty(&self) -> bool {
        self.cells.len() <= self.columns.len()
    }

    /// Writes the table, at once.
    pub fn write(&self, out: &mut dyn Write, look: Look) -> io::Result<()> {
        let widths = self.fit(look.width);
        let Some(last) = widths.iter().rposition(Option::is_some) else { return Ok(()) };
        let mut lines = String::with_capacity(self.text.len() * 2 + self.cells.len() * GAP * 4);
        let skip = usize::from(!look.header);
        let mut headings = self.headings.iter().peekable();
        for (above, row) in self.cells.chunks_exact(self.columns.len()).enumerate().skip(skip) {
            while let Some((_, text)) = headings.next_if(|(place, _)| *place <= above) {
                let style = if look.color { style::TITLE } else { style::PLAIN };
                let room = look.width.unwrap_or(usize::MAX);
                let (text, _) = match width(text) {
                    full if full > room => shorten(text, full, room, Cut::End),
                    full => (Cow::Borrowed(text.as_str()), full),
                };
                let _ = writeln!(lines, "{style}{text}{style:#}");
            }
            for (index, (cell, column)) in row.iter().zip(&self.columns).enumerate() {
                let Some(room) = widths[index] else { continue };
                let text = &self.text[cell.text.clone()];
                let (text, taken) = match column.flexible {
                    Some((_, cut)) if cell.width > room => shorten(text, cell.width, room, cut),
                    _ => (Cow::Borrowed(text), cell.width),
                };
                let padding = room.saturating_sub(taken);
                if column.align == Align::Right {
                    pad(&mut lines, padding);
                }
                if look.color && !cell.style.is_plain() {
                    // Writing to a string cannot fail.
                    let _ = write!(lines, "{}{text}{:#}", cell.style, cell.style);
                } else {
                    lines.push_str(&text);
                }
                if index != last {
                    pad(&mut lines, GAP + if column.align == Align::Left { padding } else { 0 });
                }
            }
            lines.push('\n');
        }
        out.write_all(lines.as_bytes())
    }

    /// The width of each column, `None` for one that is left out.
    fn fit(&self, room: Option<usize>) -> Vec<Option<usize>> {
        let mut full = vec![0; self.columns.len()];
        for row in self.cells.chunks_exact(self.columns.len().max(1)) {
            for (width, cell) in full.iter_mut().zip(row) {
                *width = (*width).max(cell.width);
            }
        }
        let mut widths: Vec<Option<usize>> = full.iter().copied().map(Some).collect();
        let Some(room) = room else { return widths };
        let least = |index: usize| match self.columns[index].flexible {
            Some((least, _)) => full[index].min(least),
            None => full[index],
        };
        loop {
            let kept =
                || widths.iter().enumerate().filter(|(_, width)| width.is_some()).map(|(index, _)| index);
            if total(kept().map(least)) <= room {
                break;
            }
            // Of equals the rightmost goes first.
            let Some(gone) = kept()
                .filter(|&index| self.columns[index].drop > 0)
                .max_by_key(|&index| self.columns[index].drop)
            else {
                break;
            };
            widths[gone] = None;
        }
        self.squeeze(&mut widths, room, least);
        // Not even the smallest form fits: a mere trace of a long column is better than a broken line.
        self.squeeze(&mut widths, room, |_| 1);
        widths
    }

    /// Shortens the flexible columns, always the widest, until all fits or each is at its least.
    fn squeeze(&self, widths: &mut [Option<usize>], room: usize, least: impl Fn(usize) -> usize) {
        let mut excess = total(widths.iter().copied().flatten()).saturating_sub(room);
        while excess > 0 {
            let able = widths.iter().enumerate().filter_map(|(index, width)| Some((index, (*width)?)));
            let able =
                able.filter(|&(index, width)| self.columns[index].flexible.is_some() && width > least(index));
            let Some((widest, width)) = able.max_by_key(|&(_, width)| width) else { return };
            widths[widest] = Some(width - 1);
            excess -= 1;
        }
    }
}

/// The width of columns side by side.
fn total(widths: impl Iterator<Item = usize>) -> usize {
    let (count, sum) = widths.fold((0_usize, 0), |(count, sum), width| (count + 1, sum + width));
    sum + count.saturating_sub(1) * GAP
}

fn pad(lines: &mut String, count: usize) {
    const BLANKS: &str = "                                ";
    let mut left = count;
    while left > 0 {
        let part = left.min(BLANKS.len());
        lines.push_str(&BLANKS[..part]);
        left -= part;
    }
}

#[cfg(test)]
mod tests {
    use anstyle::AnsiColor;

    use super::*;

    const LIST: [Column; 11] = [
        Column::new("ID").right(),
        Column::new("NAME").flexible(16, Cut::Middle),
        Column::new("ENV").drop(4).flexible(5, Cut::End),
        Column::new("PID").right().drop(3),
        Column::new("PORT").right(),
        Column::new("STATUS"),
        Column::new("TYPE").drop(6),
        Column::new("UPTIME").right().drop(1),
        Column::new("CPU").right().drop(5),
        Column::new("MEM").right().drop(2),
        Column::new("↺").right().drop(7),
    ];

    fn list() -> Table {
        let mut table = Table::new(&LIST);
        for row in [
            "0 my-api-http-8000 dev 1234 8000 online port 3m 0.3% 24.1M 0",
            "1 my-api-a-long-name-of-a-worker  1250412  backoff pid 59s 12.0% 101.3M 12",
        ] {
            table.row(row.split(' ').map(Cell::new));
        }
        table
    }

    fn shown(table: &Table, width: Option<usize>) -> String {
        let mut out = Vec::new();
        table.write(&mut out, Look { width, color: false, header: true }).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_pipe_gets_everything() {
        assert_eq!(
            shown(&list(), None),
            "\
ID  NAME                            ENV      PID  PORT  STATUS   TYPE  UPTIME    CPU     MEM   ↺
 0  my-api-http-8000                dev     1234  8000  online   port      3m   0.3%   24.1M   0
 1  my-api-a-long-name-of-a-worker  -    1250412     -  backoff  pid      59s  12.0%  101.3M  12
"
        );
    }

    #[test]
    fn a_terminal_gets_what_fits() {
        assert_eq!(
            shown(&list(), Some(80)),
            "\
ID  NAME                ENV      PID  PORT  STATUS   TYPE  UPTIME    CPU     MEM
 0  my-api-http-8000    dev     1234  8000  online   port      3m   0.3%   24.1M
 1  my-api-a-…a-worker  -    1250412     -  backoff  pid      59s  12.0%  101.3M
"
        );
        assert_eq!(
            shown(&list(), Some(60)),
            "\
ID  NAME                  PID  PORT  STATUS   UPTIME     MEM
 0  my-api-http-8000     1234  8000  online       3m   24.1M
 1  my-api-a…-worker  1250412     -  backoff     59s  101.3M
"
        );
        assert_eq!(
            shown(&list(), Some(40)),
            "\
ID  NAME                   PORT  STATUS
 0  my-api-http-8000       8000  online
 1  my-api-a-l…f-a-worker     -  backoff
"
        );
    }

    #[test]
    fn no_line_is_longer_than_the_terminal() {
        let table = list();
        for room in 30..120 {
            for line in shown(&table, Some(room)).lines() {
                assert!(width(line) <= room, "{room}: {line}");
                assert_eq!(line.trim_end(), line);
            }
        }
    }

    #[test]
    fn a_colour_ends_with_its_cell() {
        let mut table = Table::new(&[Column::new("A"), Column::new("B")]);
        table.row([Cell::new("x").styled(AnsiColor::Green.on_default()), Cell::show(1)]);
        let mut out = Vec::new();
        table.write(&mut out, Look { width: None, color: true, header: false }).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "\x1b[32mx\x1b[0m  1\n");
    }

    #[test]
    fn foreign_text_cannot_break_a_row() {
        let mut table = Table::new(&[Column::new("CMD"), Column::new("X")]);
        table.row([Cell::new("a\nb\x1b[1m"), Cell::new("y")]);
        assert_eq!(shown(&table, None), "CMD          X\na\\nb\\x1b[1m  y\n");
    }

    #[test]
    fn rows_of_another_length_are_made_to_fit() {
        let mut table = Table::new(&[Column::new("A"), Column::new("B")]);
        assert!(table.is_empty());
        table.row([Cell::new("1")]);
        table.row(["1", "2", "3"].map(Cell::new));
        table.row([Cell::maybe(None::<u8>), Cell::maybe(Some(2))]);
        assert!(!table.is_empty());
        assert_eq!(shown(&table, None), "A  B\n1  -\n1  2\n-  2\n");
        assert_eq!(shown(&Table::new(&[]), Some(10)), "");
    }
}
