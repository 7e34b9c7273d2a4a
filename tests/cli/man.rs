//! The manual pages: every verb and option is in them, and they are roff that every `man` reads.

use std::collections::BTreeMap;
use std::fs;

use crate::kit::User;

/// The pages by their names.
fn pages(user: &User) -> BTreeMap<String, String> {
    user.ok(&["man", "pages"]).says("pages to pages");
    let mut found = BTreeMap::new();
    for item in fs::read_dir(user.cwd().join("pages")).unwrap().flatten() {
        found.insert(item.file_name().into_string().unwrap(), fs::read_to_string(item.path()).unwrap());
    }
    found
}

/// The verbs that a help lists, and the options that it explains.
fn of_help(text: &str) -> (Vec<String>, Vec<String>) {
    let mut verbs = Vec::new();
    let mut options = Vec::new();
    let mut in_commands = false;
    for line in text.lines() {
        match line {
            "Commands:" => in_commands = true,
            _ if !line.starts_with(' ') => in_commands = false,
            // Two blanks and a word; what is folded stands further in.
            _ if in_commands && !line.starts_with("   ") => {
                verbs
                    .extend(line.split_whitespace().next().filter(|verb| *verb != "help").map(str::to_owned));
            }
            _ => {
                let word = line.split_whitespace().find(|word| word.starts_with("--") && word.len() > 2);
                let is_option =
                    line.trim_start().starts_with('-') && line.len() - line.trim_start().len() < 8;
                options.extend(word.filter(|_| is_option).map(|word| {
                    word.split(['[', '=', ',']).next().unwrap().trim_end_matches("...").to_owned()
                }));
            }
        }
    }
    (verbs, options)
}

fn check(user: &User, path: &[&str], pages: &BTreeMap<String, String>, checked: &mut usize) {
    let mut words = path.to_vec();
    words.push("--help");
    let help = user.ok(&words).stdout;
    let name = format!("{}.1", [&["tsm"], path].concat().join("-"));
    let page = pages.get(&name).unwrap_or_else(|| panic!("no page {name}"));
    let (verbs, options) = of_help(&help);
    assert!(options.contains(&"--help".to_owned()), "{path:?}: {options:?}");
    for option in options {
        assert!(page.contains(&format!("\\fB{}\\fR", option.replace('-', "\\-"))), "{name} has no {option}");
        *checked += 1;
    }
    for verb in verbs {
        let named = format!("{}\\-{}(1)", [&["tsm"], path].concat().join("\\-"), verb.replace('-', "\\-"));
        assert!(page.contains(&named), "{name} does not name {verb}");
        check(user, &[path, &[verb.as_str()]].concat(), pages, checked);
    }
}

#[test]
fn every_verb_and_option_has_its_place_in_the_manual() {
    let user = User::new();
    let pages = pages(&user);
    let mut checked = 0;
    check(&user, &[], &pages, &mut checked);
    assert!(checked > 50, "only {checked} options were seen");
    assert!(!pages.contains_key("tsm-man.1"), "what is hidden has no page");
    for section in
        ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "ENVIRONMENT", "FILES", "SEE ALSO"]
    {
        let heading = if section.contains(' ') { format!("\"{section}\"") } else { section.to_owned() };
        assert!(pages["tsm.1"].contains(&format!(".SH {heading}\n")), "no {section} in {}", pages["tsm.1"]);
    }
    assert!(pages["tsm-start.1"].contains("tsm start \\-\\-env dev"), "{}", pages["tsm-start.1"]);
}

#[test]
fn the_pages_are_roff_of_the_man_macros() {
    let user = User::new();
    for (name, page) in pages(&user) {
        let title = format!(
            ".TH {} 1 \"\" \"tsm {}\" \"TSM Manual\"",
            &name[..name.len() - 2],
            env!("CARGO_PKG_VERSION")
        );
        assert_eq!(
            page.lines().filter(|line| line.starts_with(".TH")).collect::<Vec<_>>(),
            [&title],
            "{name}"
        );
        let mut headings = Vec::new();
        for line in page.lines() {
            // A line that begins so is a request to roff.
            if let Some(request) = line.strip_prefix(['.', '\'']) {
                let request = request.split(' ').next().unwrap();
                let known = ["TH", "SH", "TP", "PP", "IP", "RS", "RE", "nf", "fi", "br", "ie", "el"];
                assert!(known.contains(&request), "{name}: {line}");
                headings.extend(line.strip_prefix(".SH "));
            }
            let line = line.replace("\\\\", "");
            let escapes: Vec<&str> = line.split('\\').skip(1).collect();
            let known = ["-", "fB", "fI", "fR", "(bu", "(aq", "n(.g", "*(Aq", "&", "e"];
            for escape in escapes {
                assert!(known.iter().any(|one| escape.starts_with(one)), "{name}: \\{escape} in {line}");
            }
        }
        let once: std::collections::BTreeSet<_> = headings.iter().collect();
        assert_eq!(once.len(), headings.len(), "{name}: {headings:?}");
    }
}

#[test]
fn a_directory_that_cannot_be_written_is_said() {
    let user = User::new();
    user.file("taken", "");
    user.tsm(&["man", "taken"]).code(1).complains("taken");
    user.tsm(&["man"]).code(2);
}
