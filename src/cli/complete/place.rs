//! What may stand at the cursor, read from the definition of the command line. Knows nothing of what there is.

use clap::{Arg, ArgAction, Command};

/// What may stand at the cursor.
#[derive(Debug)]
pub(super) enum Place<'a> {
    /// Nothing that is known here.
    Nothing,
    /// The name of a verb of this command.
    Verb(&'a Command),
    /// An option of this command; those that are given already are left out.
    Option(&'a Command, Vec<&'a Arg>),
    /// A value.
    Value(Value<'a>),
    /// A word of another command, whose first word has this index.
    Inside(usize),
}

/// A value of an option or argument.
#[derive(Debug)]
pub(super) struct Value<'a> {
    /// Whose.
    pub(super) arg: &'a Arg,
    /// The verb, with the one above it: `doctor port`.
    pub(super) verb: String,
    /// What of the word stands in front of the value: `--env=`.
    pub(super) prefix: &'a str,
    /// The values of the same argument that are typed already.
    pub(super) taken: Vec<String>,
}

/// What stands at the cursor behind `words`, of which the first is `tsm` itself. `root` is built.
pub(super) fn find<'a>(root: &'a Command, words: &'a [String], current: &'a str) -> Place<'a> {
    let mut walk = Walk { command: root, path: Vec::new(), at: 0, given: Vec::new(), taken: Vec::new() };
    let mut literal = false;
    let mut rest = words.iter().enumerate().skip(1).peekable();
    while let Some((index, word)) = rest.next() {
        if !literal && word == "--" {
            literal = true;
            walk.skip_to_last();
            continue;
        }
        if !literal && word.len() > 1 && word.starts_with('-') {
            let Some(arg) = walk.option(word) else { continue };
            walk.given.push(arg);
            // Its value is a word of its own.
            if takes_next(arg, word) && rest.next().is_none() {
                return walk.value(arg, "");
            }
            continue;
        }
        if let Some(verb) = walk.command.find_subcommand(word).filter(|_| walk.at == 0 && !literal) {
            walk = Walk { command: verb, ..walk };
            walk.path.push(verb.get_name());
            continue;
        }
        let Some(arg) = walk.argument() else { return Place::Nothing };
        if arg.is_trailing_var_arg_set() || arg.is_last_set() {
            return Place::Inside(index);
        }
        walk.taken.push(word.clone());
        if !is_many(arg) {
            walk.at += 1;
            walk.taken.clear();
        }
    }
    if !literal && current.starts_with('-') {
        return match current.split_once('=') {
            Some((name, _)) if name.starts_with("--") => match walk.option(name) {
                Some(arg) => walk.value(arg, &current[..=name.len()]),
                None => Place::Nothing,
            },
            _ => Place::Option(walk.command, walk.given),
        };
    }
    if walk.at == 0 && walk.command.has_subcommands() && walk.argument().is_none() {
        return Place::Verb(walk.command);
    }
    match walk.argument() {
        Some(arg) => walk.value(arg, ""),
        // Nothing else can follow, so what can is shown unasked.
        None if !literal && current.is_empty() => Place::Option(walk.command, walk.given),
        None => Place::Nothing,
    }
}

/// How far the words have been understood.
struct Walk<'a> {
    command: &'a Command,
    path: Vec<&'a str>,
    /// The place of the next positional argument.
    at: usize,
    given: Vec<&'a Arg>,
    taken: Vec<String>,
}

impl<'a> Walk<'a> {
    /// The positional argument that comes next.
    fn argument(&self) -> Option<&'a Arg> {
        self.command.get_positionals().nth(self.at)
    }

    /// `--` leads to an argument that can only stand behind it, where there is one.
    fn skip_to_last(&mut self) {
        if let Some(at) = self.command.get_positionals().position(Arg::is_last_set) {
            self.at = at;
            self.taken.clear();
        }
    }

    /// The option that `word` is: of several short ones the last.
    fn option(&self, word: &str) -> Option<&'a Arg> {
        let mut all = self.command.get_arguments();
        let Some(long) = word.strip_prefix("--") else {
            let short = short_of(word, self.command)?;
            return all.find(|arg| arg.get_short() == Some(short));
        };
        let name = long.split('=').next().unwrap_or(long);
        let also = |arg: &Arg| arg.get_all_aliases().is_some_and(|aliases| aliases.contains(&name));
        all.find(|arg| arg.get_long() == Some(name) || also(arg))
    }

    fn value(self, arg: &'a Arg, prefix: &'a str) -> Place<'a> {
        let taken = if arg.is_positional() { self.taken } else { Vec::new() };
        Place::Value(Value { arg, verb: self.path.join(" "), prefix, taken })
    }
}

/// The letter of `-abc` that decides: the first that takes a value, else the last.
fn short_of(word: &str, command: &Command) -> Option<char> {
    let takes = |letter: char| {
        command.get_arguments().any(|arg| arg.get_short() == Some(letter) && arg.get_action().takes_values())
    };
    let mut letters = word.chars().skip(1);
    let last = word.chars().last();
    letters.find(|letter| takes(*letter)).or(last)
}

/// True when the value of `arg`, typed as `word`, is the word behind it.
fn takes_next(arg: &Arg, word: &str) -> bool {
    let attached = if word.starts_with("--") {
        word.contains('=')
    } else {
        arg.get_short().is_some_and(|short| !word.ends_with(short))
    };
    arg.get_action().takes_values() && !attached && !arg.is_require_equals_set()
}

/// True for an argument that may be given any number of times.
fn is_many(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Append | ArgAction::Count)
        || arg.get_num_args().is_some_and(|count| count.max_values() > 1)
}

/// True when an option may stand once more.
pub(super) fn may_repeat(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Append | ArgAction::Count)
}

#[cfg(test)]
mod tests {
    use super::super::super::Cli;
    use super::*;
    use clap::CommandFactory;

    /// The place in words: what a person would say may stand there.
    fn at(line: &str) -> String {
        let mut root = Cli::command();
        root.build();
        let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let current = words.pop().unwrap();
        match find(&root, &words, &current) {
            Place::Nothing => "nothing".into(),
            Place::Verb(command) => format!("verb of {}", command.get_name()),
            Place::Option(command, given) => {
                format!("option of {} without {}", command.get_name(), given.len())
            }
            Place::Value(value) => {
                let name = value.arg.get_value_names().map_or("", |names| names[0].as_str());
                format!("{name} of {} {}", value.verb, value.taken.join(",")).trim_end().to_owned()
                    + value.prefix
            }
            Place::Inside(index) => format!("inside {index}"),
        }
    }

    #[test]
    fn what_may_stand_where() {
        for (line, expected) in [
            ("tsm ", "verb of tsm"),
            ("tsm st", "verb of tsm"),
            ("tsm help ", "verb of help"),
            ("tsm --color ", "COLOR of"),
            ("tsm --color always ", "verb of tsm"),
            ("tsm --col", "option of tsm without 0"),
            ("tsm stop ", "REF of stop"),
            ("tsm stop a b ", "REF of stop a,b"),
            ("tsm stop --json a ", "REF of stop a"),
            ("tsm rm a", "REF of delete"),
            ("tsm stop a --", "option of stop without 0"),
            ("tsm stop --json --", "option of stop without 1"),
            ("tsm stop -- -", "REF of stop"),
            ("tsm show ", "SERVICE of show"),
            ("tsm show web ", "option of show without 0"),
            ("tsm show web x", "nothing"),
            ("tsm cleanup ", "option of cleanup without 0"),
            ("tsm logs -n ", "N of logs"),
            ("tsm logs -n 5 ", "REF of logs"),
            ("tsm logs -n5 ", "REF of logs"),
            ("tsm logs -fn ", "N of logs"),
            ("tsm logs -f ", "REF of logs"),
            ("tsm logs --lines=", "N of logs--lines="),
            ("tsm start ", "WORD of start"),
            ("tsm start --env ", "NAME|FILE of start"),
            ("tsm start --env d", "NAME|FILE of start"),
            ("tsm start --env=d", "NAME|FILE of start--env="),
            ("tsm start --env dev ", "WORD of start"),
            ("tsm start --wait ", "WORD of start"),
            ("tsm start --wait=", "SECONDS of start--wait="),
            ("tsm start --no-such x", "WORD of start"),
            ("tsm start -- ", "WORD of start"),
            ("tsm start -- pyt", "WORD of start"),
            ("tsm start python -", "inside 2"),
            ("tsm start --env dev -- python -m h", "inside 5"),
            ("tsm nonsense ", "nothing"),
        ] {
            assert_eq!(at(line), expected, "{line}");
        }
    }
}
