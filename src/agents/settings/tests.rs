//! What comes of a text: only what is ours changes, in the form of the rest.

use proptest::prelude::*;
use serde_json::json;

use super::*;

const COMMAND: &str = "'/home/ann/.local/bin/tsm' agents hook";

fn all() -> Vec<Hook> {
    Hook::of_version(Some([2, 1, 141]))
}

fn stop() -> Vec<Hook> {
    all().into_iter().filter(|hook| hook.event == "Stop").collect()
}

fn installed(text: &str) -> String {
    install(text, COMMAND, &stop()).unwrap()
}

#[test]
fn hooks_are_put_into_the_text_as_it_is_laid_out() {
    let ours =
        r#"{"hooks":[{"type":"command","command":"'/home/ann/.local/bin/tsm' agents hook","timeout":5}]}"#;
    assert_eq!(installed(r#"{"a":1}"#), format!(r#"{{"a":1,"hooks":{{"Stop":[{ours}]}}}}"#));
    let text = "\
{
  \"hooks\": {
    \"Stop\": [
      {
        \"hooks\": [
          {
            \"type\": \"command\",
            \"command\": \"'/home/ann/.local/bin/tsm' agents hook\",
            \"timeout\": 5
          }
        ]
      }
    ]
  }
}
";
    for empty in ["", "\n", "{}", "{}\n", " { }"] {
        assert_eq!(installed(empty).trim(), text.trim(), "{empty:?}");
    }
    assert!(installed("").ends_with("}\n"));
    let tabs = installed("\u{feff}{\r\n\t\"z\" : 1e3,\r\n\t\"a\": [ 1,2 ]\r\n}\r\n\r\n");
    assert!(
        tabs.starts_with("\u{feff}{\r\n\t\"z\": 1e3,\r\n\t\"a\": [ 1,2 ],\r\n\t\"hooks\": {\r\n\t\t\"Stop\""),
        "{tabs}"
    );
    assert!(tabs.ends_with("\r\n\t}\r\n}\r\n\r\n"), "{tabs:?}");
}

#[test]
fn what_others_have_there_stays_in_its_order_and_to_the_letter() {
    let text = r#"{
    "z": 1.50, "big": 123456789012345678901234567890,
    "hooks": {
        "Stop": [ {"matcher": "", "hooks": [ {"type":"command","command":"say done"} ] } ],
        "Custom": [],
        "PreToolUse": [{"matcher": "Bash", "hooks": [{"type": "command", "command": "guard"}]}]
    },
    "a": {"nested": [1, 2]}
}"#;
    let merged = installed(text);
    let order: Vec<usize> = ["1.50", "1234567890123456789", "say done", COMMAND, "Custom", "guard", "nested"]
        .iter()
        .map(|part| merged.find(part).unwrap())
        .collect();
    assert!(order.is_sorted(), "{merged}");
    for line in
        [r#"{"matcher": "", "hooks": [ {"type":"command","command":"say done"} ] }"#, r#"{"nested": [1, 2]}"#]
    {
        assert!(merged.contains(line), "{merged}");
    }
    let value = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    assert_eq!(value(&remove(&merged).unwrap()), value(text));
    assert_eq!(installed(&merged), merged, "twice is once");
    assert_eq!(remove(text).unwrap(), text, "nothing of ours is nothing to do");
}

#[test]
fn an_older_form_of_ours_is_replaced_where_it_stands() {
    let group = |command: &str, timeout: u32| json!({"hooks": [{"type": "command", "command": command, "timeout": timeout}]});
    let other = group("other", 9);
    let wanted = group(COMMAND, 5);
    for old in [
        json!([group("/old/tsm agents hook", 5), other]),
        json!([group(COMMAND, 60), other]),
        json!([wanted, other, wanted]),
        json!([{"matcher": "x", "hooks": [{"type": "command", "command": COMMAND, "timeout": 5}]}, other]),
    ] {
        let text = json!({"hooks": {"Stop": old, "Setup": [group("tsm agents hook", 5)]}}).to_string();
        let merged: Value = serde_json::from_str(&installed(&text)).unwrap();
        assert_eq!(merged, json!({"hooks": {"Stop": [wanted, other]}}), "{text}");
    }
    // Somebody has put his own beside it.
    let mixed = json!({"hooks": {"Stop": [{"hooks": [
        {"type": "command", "command": "a"}, {"type": "command", "command": "/x/tsm agents hook"}, {"type": "command", "command": "b"},
    ]}]}});
    let left = json!({"hooks": [{"type": "command", "command": "a"}, {"type": "command", "command": "b"}]});
    let merged: Value = serde_json::from_str(&installed(&mixed.to_string())).unwrap();
    assert_eq!(merged, json!({"hooks": {"Stop": [left, wanted]}}));
    let removed: Value = serde_json::from_str(&remove(&mixed.to_string()).unwrap()).unwrap();
    assert_eq!(removed, json!({"hooks": {"Stop": [left]}}));
}

#[test]
fn only_what_runs_our_verb_is_ours() {
    for (command, expected) in [
        ("/x/tsm agents hook", true),
        ("'/with blank/tsm' agents hook", true),
        ("tsm agents hook", true),
        ("/x/tsm agents hook; say done", false),
        ("/x/tsm agents hook --flag", false),
        ("FOO=1 tsm agents hook", false),
        ("/x/nottsm agents hook", false),
        ("echo tsm agents hook", false),
        ("tsm agents 'hook", false),
        ("", false),
    ] {
        assert_eq!(ours(&json!({"type": "command", "command": command})).is_some(), expected, "{command}");
    }
    assert_eq!(ours(&json!({"command": 7})), None);
}

#[test]
fn a_version_that_would_drop_the_whole_file_is_not_told_of_later_events() {
    let events = |version| Hook::of_version(version).iter().map(|hook| hook.event).collect::<Vec<_>>();
    let base = [
        "SessionStart",
        "SessionEnd",
        "UserPromptSubmit",
        "Stop",
        "PreToolUse",
        "PostToolUse",
        "Notification",
    ];
    assert_eq!(events(None), base);
    assert_eq!(events(Some([2, 1, 100])), base);
    assert_eq!(events(Some([2, 1, 101])).len(), 10);
    assert_eq!(events(Some([3, 0, 0])).len(), 10);
    // After a step back to such a version, they are taken out again.
    let newer = install("{}", COMMAND, &all()).unwrap();
    let older = install(&newer, COMMAND, &Hook::of_version(None)).unwrap();
    assert!(newer.contains("StopFailure") && !older.contains("StopFailure"), "{older}");
}

#[test]
fn what_is_no_settings_file_is_refused_with_its_line() {
    for (text, line, part) in [
        ("{\n  // mine\n  \"a\": 1\n}", 2, "a comment"),
        ("{\n  \"a\": 1,\n}", 3, "key must be a string"),
        ("[]", 1, "not an object"),
        ("7", 1, "not an object"),
        ("{\"a\": 1", 1, "EOF"),
        ("{\"hooks\": []}", 0, "\"hooks\" is not an object"),
        ("{\"hooks\": {\"Stop\": {}}}", 0, "no list for Stop"),
    ] {
        let wrong = install(text, COMMAND, &stop()).unwrap_err();
        assert!(wrong.line == line && wrong.why.contains(part), "{text}: {wrong:?}");
    }
}

#[test]
fn what_there_is_can_be_asked() {
    let text = install("{\"disableAllHooks\": true}", COMMAND, &all()).unwrap();
    assert_eq!(commands(&text).unwrap(), [COMMAND]);
    assert_eq!(program(COMMAND).as_deref(), Some("/home/ann/.local/bin/tsm"));
    assert!(are_disabled(&text) && !are_disabled("{\"disableAllHooks\": false}"));
    assert!(commands("{}").unwrap().is_empty());
}

/// Any hooks, of others and of ours in old forms.
fn any_settings() -> impl Strategy<Value = Value> {
    let entry = prop_oneof![
        Just(json!({"type": "command", "command": "other", "timeout": 1})),
        Just(json!({"type": "http", "url": "x"})),
        Just(json!({"type": "command", "command": "/old/tsm agents hook"})),
        Just(json!(null)),
    ];
    let group =
        (prop::option::of("[a-z]{0,3}"), prop::collection::vec(entry, 0..3)).prop_map(|(matcher, hooks)| {
            let mut group = json!({"hooks": hooks});
            if let Some(matcher) = matcher {
                group["matcher"] = matcher.into();
            }
            group
        });
    let events = prop::collection::btree_map(
        prop_oneof![Just("Stop"), Just("PostToolUse"), Just("Other")],
        prop::collection::vec(group, 0..3),
        0..3,
    );
    (events, any::<bool>()).prop_map(
        |(events, first)| json!({(if first { "a" } else { "z" }): [1.5, {"x": null}], "hooks": events}),
    )
}

proptest! {
    #[test]
    fn any_settings_keep_what_is_not_ours(settings in any_settings(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_string_pretty(&settings).unwrap() } else { settings.to_string() };
        let once = install(&text, COMMAND, &all()).unwrap();
        prop_assert_eq!(&install(&once, COMMAND, &all()).unwrap(), &once);
        prop_assert_eq!(once.matches("agents hook").count(), 10);
        // What is left after taking ours out is what is left of the first text.
        let value = |text: String| serde_json::from_str::<Value>(&text).unwrap();
        let mut left = value(remove(&once).unwrap());
        let mut first = value(remove(&text).unwrap());
        for settings in [&mut left, &mut first] {
            // An event without a group says nothing.
            let hooks = settings.as_object_mut().unwrap().remove("hooks").unwrap_or_default();
            let events = hooks.as_object().cloned().unwrap_or_default();
            settings["hooks"] = events.into_iter().filter(|(_, groups)| groups != &json!([])).collect();
        }
        prop_assert_eq!(left, first);
    }

    #[test]
    fn any_text_is_taken_or_refused(text in "\\PC{0,40}") {
        let _ = install(&text, COMMAND, &stop());
        let _ = remove(&text);
    }
}
