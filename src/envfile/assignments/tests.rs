//! Tables and properties of the reader.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Vec<Result<Assignment, Problem>> {
    let lookup = |name: &str| match name {
        "HOME" => Some("/home/u".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    };
    parse(text, &lookup)
}

/// The values of a text without problems.
fn values(text: &str) -> Vec<(String, String)> {
    read(text)
        .into_iter()
        .map(|read| read.unwrap_or_else(|p| panic!("{text:?}: {p:?}")))
        .map(|a| (a.name, a.value))
        .collect()
}

fn owned((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// Line and text of each problem.
fn problems(text: &str) -> Vec<(usize, String)> {
    read(text).into_iter().filter_map(Result::err).map(|problem| (problem.line, problem.why)).collect()
}

#[test]
fn one_value_in_every_form_that_means_what_it_means_to_a_shell() {
    for (text, value) in [
        ("A=1", "1"),
        ("A=", ""),
        ("  export   A=1  ", "1"),
        ("A= # comment", ""),
        ("A=1 # comment", "1"),
        ("A=1#no", "1#no"),
        ("A=#no", "#no"),
        ("A='#no' #yes", "#no"),
        ("A='a b'", "a b"),
        ("A=\"a b\"", "a b"),
        ("A=a' b '\"c\"\\ d", "a b c d"),
        ("A='$HOME'", "$HOME"),
        ("A=\"$HOME/x\"", "/home/u/x"),
        ("A=$HOME:${HOME}x", "/home/u:/home/ux"),
        ("A=~/x:~:~u:a~", "/home/u/x:/home/u:~u:a~"),
        ("A=\"~\"", "~"),
        ("A=${NO:-~}x:${NO:-~/a:~}:${NO:-~b}\"${NO:-~}\"", "/home/ux:/home/u/a:/home/u:~b~"),
        ("A=${NO:-d}", "d"),
        ("A=${EMPTY:-d}", "d"),
        ("A=${EMPTY-d}", ""),
        ("A=${NO:-${HOME}/'a }'\"b\"}", "/home/u/a }b"),
        ("A=\"${NO:-a \\} $HOME}\"", "a } /home/u"),
        ("A=${HOME:-${NO}}", "/home/u"),
        ("A=\"\\$\\\"\\\\\\`\\n\"", "$\"\\`\\n"),
        ("A=\\$HOME", "$HOME"),
        ("A='x\ny'", "x\ny"),
        ("A=\"x\ny\"", "x\ny"),
        ("A=\"x\\\ny\"", "xy"),
        ("A=x\\\ny", "xy"),
        ("A=x\\", "x\\"),
        ("A=5$", "5$"),
        ("A=\"$ 5$\"", "$ 5$"),
        ("A=\"$'x'\"", "$'x'"),
        ("A=a=b?c&d".split('&').next().unwrap_or_default(), "a=b?c"),
        ("A=*.{a,b}[x]", "*.{a,b}[x]"),
        ("A=1;", "1"),
        ("A=1 ; # x", "1"),
        ("\u{feff}A=1\r\n", "1"),
        ("A=é漢", "é漢"),
        ("export A\nA=1\nexport A B", "1"),
    ] {
        assert_eq!(values(text), [("A".to_owned(), value.to_owned())], "{text:?}");
    }
}

#[test]
fn assignments_see_the_earlier_ones_and_keep_their_lines() {
    let read: Vec<_> = read("A=1\n\n# c\nB='x\ny'\nexport C=$A$B; D=${C} F=$D; E=$NO$NO$A\n")
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let seen: Vec<_> = read.iter().map(|a| (a.line, a.name.as_str(), a.value.as_str(), a.exported)).collect();
    let expected = [
        (1, "A", "1", false),
        (4, "B", "x\ny", false),
        (6, "C", "1x\ny", true),
        (6, "D", "1x\ny", false),
        (6, "F", "1x\ny", false),
        (6, "E", "1", false),
    ];
    assert_eq!(seen, expected);
    assert_eq!(values("A=1\nexport A=2 B=$A\nC=$A")[1..], [("A", "2"), ("B", "1"), ("C", "2")].map(owned));
    assert_eq!(read[5].undefined, ["NO"]);
}

#[test]
fn everything_else_is_a_problem_of_its_line() {
    for (text, line, part) in [
        ("A=$(date)", 1, "$(…) is a command"),
        ("\nA=\"x $(date)\"", 2, "$(…) is a command"),
        ("A=$((1+1))", 1, "$(…) is a command"),
        ("A=`date`", 1, "`…` is a command"),
        ("A=\"`date`\"", 1, "`…` is a command"),
        ("A=${NO:-$(date)}", 1, "$(…) is a command"),
        ("A=<(date)", 1, "'<' outside quotes"),
        ("rm -rf x", 1, "\"rm\" is not NAME=value"),
        ("A=1 rm x", 1, "\"rm\" stands behind A=…"),
        ("A=hello world", 1, "put a value with blanks in quotes"),
        ("A=1; rm x", 1, "\"rm\" stands behind"),
        ("A=1;; B=2", 1, "';' stands"),
        ("; A=1", 1, "';' stands"),
        ("A=1 && B=2", 1, "\"&&\" stands behind"),
        ("A=a&b", 1, "'&' outside quotes"),
        ("A=(a b)", 1, "'(' outside quotes"),
        ("A = 1", 1, "write A=value"),
        ("export A = 1", 1, "write A=value"),
        ("export = 1", 1, "write export=value"),
        ("A+=1", 1, "not '+='"),
        ("A[0]=1", 1, "arrays"),
        ("1A=1", 1, "is not NAME=value"),
        ("a-b=1", 1, "is not NAME=value"),
        ("é=1", 1, "is not NAME=value"),
        ("export -n A", 1, "\"-n\" is not"),
        ("source x", 1, "\"source\" is not"),
        ("A", 1, "\"A\" is not"),
        ("A=1 export B=2", 1, "\"export\" stands behind"),
        ("A=$1", 1, "$1 has no meaning"),
        ("A=$$", 1, "$$ has no meaning"),
        ("A=${#B}", 1, "of ${…} only"),
        ("A=${B/x/y}", 1, "of ${…} only"),
        ("A=${B:=x}", 1, "of ${…} only"),
        ("A=\"${B:-'x'}\"", 1, "a quote inside"),
        ("A=${B", 1, "${ is opened here"),
        ("A=${B:-x", 1, "${ is opened here"),
        ("A=$HOME\\\nB", 1, "write ${NAME}"),
        ("A=$'x'", 1, "use plain quotes"),
        ("A=1\nB='x\n\n", 2, "' is opened here and never closed"),
        ("A=\"x", 1, "\" is opened here"),
        ("A=x\0y", 1, "NUL"),
    ] {
        let found = problems(text);
        assert_eq!(found.len(), 1, "{text:?}: {found:?}");
        assert_eq!(found[0].0, line, "{text:?}");
        assert!(found[0].1.contains(part), "{text:?}: {found:?}");
    }
}

#[test]
fn a_bad_line_costs_itself_and_a_block_costs_itself() {
    for (text, bad) in [
        ("A=1\nA=2 rm\nZ=$A\n", vec![2]),
        ("A=1\nif x; then\n  A=2\n  if y\n  then A=3; fi\nelse\n A=4\nfi\nZ=$A\n", vec![2]),
        ("A=1\nif x; then A=2; fi\nZ=$A\n", vec![2]),
        ("A=1\nf() {\n A=2\n}\nZ=$A", vec![2]),
        ("A=1\nf() { A=2; }\nZ=$A", vec![2]),
        ("A=1\n(\nA=2\n)\nZ=$A", vec![2]),
        ("A=1\n(A=2)\nZ=$A", vec![2]),
        ("A=1\nfor i in 1 2; do # x\nA=2\ndone | cat\nZ=$A", vec![2]),
        ("A=1\ncase $x in\n a) A=2 ;;\nesac\nZ=$A", vec![2]),
        ("A=1\ncat <<EOF\nA=2\nEOF\nZ=$A", vec![2]),
        ("A=1\ncat <<-'END' >x\nA=2\n\tEND\nZ=$A", vec![2]),
        ("A=1\ncat <<< x\nZ=$A", vec![2]),
        ("A=1\n[ -f x ] && . x\nB=\"\nZ=$A", vec![2, 3]),
    ] {
        assert_eq!(problems(text).iter().map(|(line, _)| *line).collect::<Vec<_>>(), bad, "{text:?}");
        let last = read(text).into_iter().filter_map(Result::ok).next_back().unwrap();
        assert_eq!((last.name.as_str(), last.value.as_str()), ("Z", "1"), "{text:?}");
    }
}

#[test]
fn growth_and_depth_are_bounded() {
    let doubling = format!("A=xxxxxxxxxxxxxxxx\n{}", "A=$A$A\n".repeat(60));
    assert!(problems(&doubling)[0].1.contains("128 KiB"));
    let deep = format!("A={}", "${A:-".repeat(100_000));
    assert!(problems(&deep)[0].1.contains("too deeply"));
    let deep = format!("A=\"{}", "${A:-".repeat(100_000));
    assert!(problems(&deep)[0].1.contains("too deeply"));
}

/// Pieces that files like these are made of, and any other character.
const PIECES: &str = "([A-Z]=|export |[\\PC]|[\"'$`{}()\\\\;:#~\\n \\t-]|if|fi|<<){0,60}";

/// Lines that are mostly assignments, with all that can stand in a value.
const LINES: &str = concat!(
    "((export )?[AB]=(",
    "[ab ~:/#'\"\\\\$;\n]|",
    "\"[ab'$\\\\ ]{0,3}\"|",
    "'[ab\"$ ]{0,3}'|",
    "\\$\\{(A|HOME|C)(:?-['\"a ~]{0,3})?\\}|",
    "\"\\$\\{(A|C)(:?-[a ~$\\\\]{0,3})?\\}\"|",
    "\\$A",
    "){0,6}\n){1,4}",
);

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_never_panics_and_lines_are_in_the_text(text in PIECES) {
        let lines = text.lines().count() + 1;
        for read in read(&text) {
            let line = read.map_or_else(|problem| problem.line, |assignment| assignment.line);
            prop_assert!((1..=lines).contains(&line), "{}", line);
        }
    }

    #[test]
    fn a_quoted_value_comes_back(value in "[^\\x00\\r]{0,60}", name in "[A-Za-z_][A-Za-z0-9_]{0,8}") {
        prop_assume!(name != "export");
        let single = format!("{name}='{}'\n", value.replace('\'', "'\\''"));
        prop_assert_eq!(values(&single), [(name.clone(), value.clone())]);
        let escape = |c: char| "$`\"\\".contains(c).then_some('\\').into_iter().chain([c]);
        let escaped: String = value.chars().flat_map(escape).collect();
        prop_assert_eq!(values(&format!("export {name}=\"{escaped}\" # end")), [(name, value)]);
    }

    #[test]
    fn what_is_accepted_means_the_same_to_bash(text in LINES) {
        let all: Result<Vec<_>, _> = read(&text).into_iter().collect();
        let Ok(all) = all else { return Ok(()) };
        let expected: BTreeMap<String, String> = all.into_iter().map(|a| (a.name, a.value)).collect();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("f"), &text).unwrap();
        // Should it run something after all, there is nothing to be found on this PATH.
        let base = [("HOME", "/home/u"), ("PATH", "")].map(|(name, value)| (name.into(), value.into()));
        let sourced = crate::envfile::source_named(Path::new("f"), &base, dir.path(), Duration::from_secs(60));
        let sourced = sourced.map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(sourced.set, expected);
    }
}
