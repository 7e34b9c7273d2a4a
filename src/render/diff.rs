//! What differs between two texts, in the unified form of `diff -u`.

use std::fmt::Write as _;

/// How many lines that are the same are shown around each change.
const AROUND: usize = 3;

/// From how many different lines on they are not compared one by one: all old ones go, all new ones come.
const MOST: usize = 3000;

/// One line of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line<'a> {
    Same(&'a str),
    Old(&'a str),
    New(&'a str),
}

/// The changes that make `new` of `old`, whose names stand above them; nothing when they are the same.
pub fn unified(old: &str, new: &str, old_name: &str, new_name: &str) -> String {
    if old == new {
        return String::new();
    }
    let mut out = format!("--- {old_name}\n+++ {new_name}\n");
    let lines = compare(&split(old), &split(new));
    let mut at = 0;
    while let Some(first) = (at..lines.len()).find(|&place| !matches!(lines[place], Line::Same(_))) {
        let start = first.saturating_sub(AROUND).max(at);
        let (mut end, mut same) = (first, 0);
        // A hunk goes on over what would be shown around both of two changes.
        for (place, line) in lines.iter().enumerate().skip(first) {
            same = if matches!(line, Line::Same(_)) { same + 1 } else { 0 };
            if same > 2 * AROUND {
                break;
            }
            end = place + 1;
        }
        let end = end - same.min(2 * AROUND).saturating_sub(AROUND);
        hunk(&lines, start, end, &mut out);
        at = end;
    }
    out
}

fn hunk(lines: &[Line<'_>], start: usize, end: usize, out: &mut String) {
    let count =
        |lines: &[Line<'_>], which: fn(&Line<'_>) -> bool| lines.iter().filter(|line| which(line)).count();
    let (is_old, is_new) =
        (|line: &Line<'_>| !matches!(line, Line::New(_)), |line: &Line<'_>| !matches!(line, Line::Old(_)));
    let range = |which: fn(&Line<'_>) -> bool| {
        let (before, length) = (count(&lines[..start], which), count(&lines[start..end], which));
        // An empty range stands behind the line that it names (POSIX, diff -u).
        format!("{},{length}", before + usize::from(length > 0))
    };
    let _ = writeln!(out, "@@ -{} +{} @@", range(is_old), range(is_new));
    for line in &lines[start..end] {
        let (mark, text) = match line {
            Line::Same(text) => (' ', text),
            Line::Old(text) => ('-', text),
            Line::New(text) => ('+', text),
        };
        let _ = write!(out, "{mark}{text}");
        if !text.ends_with('\n') {
            out.push_str("\n\\ No newline at end of file\n");
        }
    }
}

fn split(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

/// The lines of both in one order, by their longest common sequence.
fn compare<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Line<'a>> {
    let front = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let (old_rest, new_rest) = (&old[front..], &new[front..]);
    let back = old_rest.iter().rev().zip(new_rest.iter().rev()).take_while(|(a, b)| a == b).count();
    let (a, b) = (&old_rest[..old_rest.len() - back], &new_rest[..new_rest.len() - back]);
    let mut lines: Vec<Line<'a>> = old[..front].iter().map(|line| Line::Same(line)).collect();
    if a.len() > MOST || b.len() > MOST {
        lines.extend(a.iter().map(|line| Line::Old(line)));
        lines.extend(b.iter().map(|line| Line::New(line)));
    } else {
        walk(a, b, &mut lines);
    }
    lines.extend(old_rest[old_rest.len() - back..].iter().map(|line| Line::Same(line)));
    lines
}

fn walk<'a>(a: &[&'a str], b: &[&'a str], lines: &mut Vec<Line<'a>>) {
    // longest[i][j]: how long the longest common sequence of a[i..] and b[j..] is.
    let mut longest = vec![vec![0_u16; b.len() + 1]; a.len() + 1];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            longest[i][j] = if a[i] == b[j] {
                longest[i + 1][j + 1] + 1
            } else {
                longest[i + 1][j].max(longest[i][j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    while i < a.len() || j < b.len() {
        if i < a.len() && j < b.len() && a[i] == b[j] {
            lines.push(Line::Same(a[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == b.len() || (i < a.len() && longest[i + 1][j] >= longest[i][j + 1]) {
            lines.push(Line::Old(a[i]));
            i += 1;
        } else {
            lines.push(Line::New(b[j]));
            j += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn changes_come_in_hunks_with_three_lines_around() {
        let lines =
            |from: u32, to: u32| (from..=to).map(|n| n.to_string()).collect::<Vec<_>>().join("\n") + "\n";
        let old = lines(1, 30);
        let new = old.replace("\n5\n", "\nfive\n").replace("\n11\n", "\n").replace("\n25\n", "\n25\nx\n");
        let expected = "--- a\n+++ b\n@@ -2,13 +2,12 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n 9\n 10\n-11\n 12\n 13\n 14\n\
            @@ -23,6 +22,7 @@\n 23\n 24\n 25\n+x\n 26\n 27\n 28\n";
        assert_eq!(unified(&old, &new, "a", "b"), expected);
        assert_eq!(unified(&old, &old, "a", "b"), "");
        assert_eq!(unified("", "1\n", "a", "b"), "--- a\n+++ b\n@@ -0,0 +1,1 @@\n+1\n");
        assert_eq!(
            unified("1\n2", "1\n", "a", "b"),
            "--- a\n+++ b\n@@ -1,2 +1,1 @@\n 1\n-2\n\\ No newline at end of file\n"
        );
    }

    proptest! {
        #[test]
        fn a_difference_has_all_lines_of_both(old in "[abc\n]{0,60}", new in "[abc\n]{0,60}") {
            let (mut left, mut right) = (String::new(), String::new());
            for line in compare(&split(&old), &split(&new)) {
                match line {
                    Line::Same(text) => {
                        left.push_str(text);
                        right.push_str(text);
                    }
                    Line::Old(text) => left.push_str(text),
                    Line::New(text) => right.push_str(text),
                }
            }
            prop_assert_eq!(left, old);
            prop_assert_eq!(right, new);
        }
    }
}
