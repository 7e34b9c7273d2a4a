//! What the readers of other tools' files have in common, tried with each.

use super::*;
use proptest::prelude::*;

/// What `read` makes of a source in `file`, for the folder `/tsm`.
pub(super) fn source<T>(file: &str, prefix: &str, read: impl FnOnce(&Source<'_>) -> T) -> T {
    let lookup = |name: &str| match name {
        "HOME" => Some("/home/u".to_owned()),
        "SHARED" => Some("same".to_owned()),
        _ => None,
    };
    read(&Source { file: Path::new(file), folder: Path::new("/tsm"), prefix, lookup: &lookup })
}

/// Remarks as they are printed.
pub(super) fn texts(remarks: &[Remark]) -> Vec<String> {
    remarks.iter().map(|remark| format!("{}: {}", remark.field, remark.why)).collect()
}

#[test]
fn a_lone_word_of_a_shell_line_is_no_programs_name() {
    for (line, expected) in [
        ("node app.js", "node app.js"),
        ("./run", "./run"),
        ("$APP", "bash -c '$APP'"),
        ("./a;./b", "bash -c './a;./b'"),
        ("a && b", "a && b"),
    ] {
        assert_eq!(shell_line(line), expected);
    }
    let words = |words: &[&str]| command_line(&words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>());
    assert_eq!(words(&["./a$b"]), "./a$b");
    assert_eq!(words(&["./a b"]), "'./a b'");
    assert_eq!(words(&["node", "a b", "$5", "{x,y}"]), "node 'a b' '$5' '{x,y}'");
}

#[test]
fn names_that_mean_something_else_to_tsm_are_not_given() {
    let named = |from: &str| {
        source("/d/Procfile", "", |source| source.service(from, "x")).unwrap().definition.name.to_string()
    };
    assert_eq!(
        [named("all"), named("0"), named("a b"), named("web")],
        ["service-all", "service-0", "a-b", "web"]
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_panics_and_all_that_is_made_can_be_written(
        text in "([\\PC\n]{0,60}|(TSM_(NAME|COMMAND|PORT|CWD)=|web: |[a-z '\"$\n]){0,20})",
        value in "\\PC{0,20}",
    ) {
        let app = serde_json::json!([{ "name": text, "script": value, "args": text, "env": { "A": value, "PORT": text } }]);
        let meta = serde_json::json!({ "name": text, "command": value, "port": text, "cwd": "/x" });
        source("/d/x.tsm", "", |source| {
            let mut tetra = Import::default();
            tetra_definition(&text, source, &mut tetra);
            tetra_process(&text, source, &mut tetra);
            tetra_process(&meta.to_string(), source, &mut tetra);
            for import in [procfile(&text, source), pm2(&app.to_string(), source).unwrap(), tetra] {
                for one in &import.services {
                    prop_assert!(one.definition.text().is_ok(), "{:?} of {:?}", one.definition.text(), one);
                }
            }
            let _ = pm2(&text, source);
            Ok(())
        })?;
    }
}
