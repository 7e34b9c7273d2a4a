//! TAB in real interactive fish.

use std::fs;

use crate::complete_zsh::{TYPED, user};

#[test]
fn a_tab_completes_what_stands_at_the_cursor() {
    let user = user();
    let dir = user.home().join(".config/fish/completions");
    fs::create_dir_all(&dir).unwrap();
    let mut fish = user.fish("tsm completions fish | source");
    for (keys, line) in TYPED {
        assert_eq!(fish.line(keys), *line, "{keys:?}");
    }
    assert_eq!(fish.line("tsm logs 'ap\t"), "tsm logs 'api' |");
    drop(fish);
    fs::write(dir.join("tsm.fish"), user.ok(&["completions", "fish"]).stdout).unwrap();
    let mut fish = user.fish("");
    assert_eq!(fish.line("tsm stop ap\t"), "tsm stop api |");
}

#[test]
fn several_candidates_are_shown_with_what_they_are() {
    let user = user();
    let mut fish = user.fish("tsm completions fish | source");
    let shown = fish.list("tsm logs \t");
    for row in ["online, pid, ", "stopped, pid", "all 4 of them"] {
        assert!(shown.contains(row), "{row}: {shown}");
    }
}
