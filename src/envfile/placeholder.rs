//! Which values of an env file nobody has filled in yet.

/// Words that stand for a value.
const WORDS: &[&str] = &["changeme", "change_me", "replaceme", "replace_me", "placeholder"];

/// Values that are such a word as a whole.
const WHOLE: &[&str] = &["todo", "fixme", "tbd", "secret_here", "..."];

/// The least number of x in a row that nobody means.
const MANY: usize = 5;

/// True for a value that a template left for somebody to replace: `your-key-here`, `YOUR_API_KEY_HERE`, `CHANGEME`,
/// `REPLACE_THIS`, `TODO`, `<token>`, `xxx`, `sk-xxxxxxxx`.
pub fn looks_unfilled(value: &str) -> bool {
    let value = value.trim().to_ascii_lowercase().replace(['-', ' '], "_");
    let bracketed = value.len() > 2 && value.starts_with('<') && value.ends_with('>');
    let only_x =
        value.len() > 2 && value.chars().all(|c| matches!(c, 'x' | '_' | '.')) && value.contains("xx");
    let between = |first: &str, last: &str| {
        value.find(first).is_some_and(|at| value[at + first.len()..].contains(last))
    };
    bracketed
        || only_x
        || value.contains(&"x".repeat(MANY))
        || WHOLE.contains(&value.as_str())
        || WORDS.iter().any(|word| {
            // `replacement` is none.
            let ends = |at: usize| !value[at + word.len()..].starts_with(char::is_alphanumeric);
            value.match_indices(word).any(|(at, _)| ends(at))
        })
        || ["todo:", "replace_", "your_"].iter().any(|first| value.starts_with(first))
        || between("your_", "_here")
        || between("insert_", "_here")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_template_leaves_is_told_from_what_somebody_chose() {
        for value in [
            "your-key-here",
            "YOUR_API_KEY_HERE",
            "your secret",
            "postgres://u:changeme@h/db",
            "CHANGE-ME",
            "REPLACE_WITH_TOKEN",
            "TODO",
            "todo: ask ann",
            "xxx",
            "xxxx-xxxx",
            "sk-xxxxxxxxxx",
            "<your token>",
            "...",
            "insert-key-here",
        ] {
            assert!(looks_unfilled(value), "{value}");
        }
        for value in [
            "",
            "4000",
            "localhost",
            "xx",
            "development",
            "todo-app",
            "/home/u/todos",
            "mexx",
            "a<b>",
            "<>",
            "replacement",
            "hunter2",
            "true",
        ] {
            assert!(!looks_unfilled(value), "{value}");
        }
    }
}
