//! The lines of `patterns.txt`: which commands are known, and how each takes a port.
//!
//! The format is written down at the top of the built-in file. Regular expressions are compiled only when the search
//! reaches them, because that costs more than all the rest of a plan.

use regex::RegexBuilder;

/// The patterns that come with TSM.
const BUILT_IN: &str = include_str!("../../patterns.txt");

/// The largest program that a user's expression may become, in bytes.
const LARGEST_EXPRESSION: usize = 1 << 20;

/// Where a known command listens by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultPort {
    /// It listens here.
    Tcp(u16),
    /// It has no port and is spoken to over its control socket; written `0`.
    Socket,
    /// It does not listen at all; written `-`.
    None,
}

/// One line of a patterns file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// What reasons call it.
    pub name: String,
    /// What it matches, as written.
    pub matches: String,
    /// Where the command listens by default.
    pub port: DefaultPort,
    /// What is put around the command, as written.
    pub template: String,
    /// The line's number in its file, from 1.
    pub line: usize,
    /// It came with TSM.
    pub built_in: bool,
}

/// A patterns file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patterns {
    /// The good lines, in their order.
    pub lines: Vec<Pattern>,
    /// The broken lines: their number from 1, and why. Expressions are not compiled here: see [`Patterns::problems`].
    pub broken: Vec<(usize, String)>,
}

impl Patterns {
    /// The patterns that come with TSM.
    pub fn built_in() -> Self {
        let mut patterns = Self::parse(BUILT_IN);
        patterns.lines.iter_mut().for_each(|pattern| pattern.built_in = true);
        patterns
    }

    /// Reads the text of a patterns file; a broken line is noted and passed over.
    pub fn parse(text: &str) -> Self {
        let mut patterns = Patterns::default();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            match Pattern::parse(line, index + 1) {
                Ok(pattern) => patterns.lines.push(pattern),
                Err(why) => patterns.broken.push((index + 1, why)),
            }
        }
        patterns
    }

    /// Everything that is wrong with the text of a patterns file, regular expressions included.
    pub fn problems(text: &str) -> Vec<(usize, String)> {
        let Patterns { lines, mut broken } = Self::parse(text);
        broken.extend(lines.iter().filter_map(|pattern| {
            let why = compile(pattern.matches.strip_prefix("re:")?).err()?;
            Some((pattern.line, why))
        }));
        broken.sort();
        broken
    }

    /// The broken line that may have been meant for a command, by its typed words: it speaks of one of them. Only
    /// such lines have their expression compiled.
    pub fn broken_for(text: &str, typed: &[String]) -> Option<usize> {
        let words: Vec<&str> = typed
            .iter()
            .flat_map(|word| word.split_whitespace())
            .filter(|word| !word.starts_with('-'))
            .map(super::program::base)
            // Shorter ones are part of any text.
            .filter(|word| word.len() > 2)
            .collect();
        let spoken_of = |line: &str| words.iter().any(|word| line.contains(word));
        let is_meant = |line: &str| spoken_of(line) && !Self::problems(line).is_empty();
        text.lines().position(is_meant).map(|index| index + 1)
    }

    /// The first line that matches one of `commands`, which are readings of the same command. Only the words from
    /// `program` on are matched.
    pub fn find(&self, commands: &[&[String]]) -> Option<&Pattern> {
        self.lines.iter().find(|pattern| commands.iter().any(|words| pattern.matches(words)))
    }
}

impl Pattern {
    fn parse(line: &str, number: usize) -> Result<Self, String> {
        let (name, rest) = line.split_once('|').ok_or("it has no '|'; a line is name|match|port|template")?;
        // From the right, so that an expression may hold a '|'.
        let (rest, template) =
            rest.rsplit_once('|').ok_or("it has no port; a line is name|match|port|template")?;
        let (matches, port, template) = match rest.rsplit_once('|') {
            Some((matches, port)) => (matches.trim(), port.trim(), template.trim()),
            None => (rest.trim(), template.trim(), "{cmd}"),
        };
        if matches.is_empty() || matches == "^" || matches == "re:" {
            return Err("it matches nothing: the second field is empty".into());
        }
        let port = match port {
            "-" => DefaultPort::None,
            _ => match port.parse().map_err(|_| format!("{port:?} is not a port from 0 to 65535"))? {
                0 => DefaultPort::Socket,
                port => DefaultPort::Tcp(port),
            },
        };
        let pattern = Pattern {
            name: name.trim().to_owned(),
            matches: matches.to_owned(),
            port,
            template: if template.is_empty() { "{cmd}".into() } else { template.to_owned() },
            line: number,
            built_in: false,
        };
        pattern.template_words().map(|_| pattern)
    }

    /// The words that the template puts before and after the command, with `{port}` still in them.
    pub(super) fn template_words(&self) -> Result<(Vec<String>, Vec<String>), String> {
        let words = shell_words::split(&self.template)
            .map_err(|_| format!("a quote is not closed in the template {:?}", self.template))?;
        let mut parts = words.split(|word| word == "{cmd}");
        match (parts.next(), parts.next(), parts.next()) {
            (Some(before), Some(after), None)
                if !words.iter().any(|word| word != "{cmd}" && word.contains("{cmd}")) =>
            {
                Ok((before.to_vec(), after.to_vec()))
            }
            _ => Err(format!("the template {:?} needs {{cmd}} once, as a word of its own", self.template)),
        }
    }

    /// Whether the command `words` is meant; `words[0]` is its program.
    pub fn matches(&self, words: &[String]) -> bool {
        if let Some(expression) = self.matches.strip_prefix("re:") {
            return compile(expression).is_ok_and(|regex| regex.is_match(&words.join(" ")));
        }
        let (tied, text) =
            self.matches.strip_prefix('^').map_or((false, self.matches.as_str()), |text| (true, text));
        let wanted: Vec<&str> = text.split_whitespace().collect();
        let starts = if tied { words.len().min(1) } else { words.len() };
        (0..starts).any(|start| follows(&wanted, &words[start..], true))
    }
}

/// Whether `words` begin with `wanted`, where `...` passes over any number of words.
fn follows(wanted: &[&str], words: &[String], first: bool) -> bool {
    match (wanted, words) {
        ([], _) => true,
        (["...", rest @ ..], _) => (0..=words.len()).any(|skip| follows(rest, &words[skip..], false)),
        ([want, rest @ ..], [word, more @ ..]) => {
            let same =
                word == want || (first && !want.contains('/') && word.rsplit('/').next() == Some(want));
            same && follows(rest, more, false)
        }
        (_, []) => false,
    }
}

fn compile(expression: &str) -> Result<regex::Regex, String> {
    RegexBuilder::new(expression).size_limit(LARGEST_EXPRESSION).build().map_err(|error| {
        let text = error.to_string();
        let last = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
        format!("{expression:?} is not a regular expression: {last}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn a_broken_line_matters_to_a_command_that_it_speaks_of() {
        let text =
            "good|./app|1|{cmd}\nweb ./web 9000\nx|re:(api|1|{cmd}\nmine|server.py|99999|{cmd}\n# web\n";
        for (typed, line) in [
            (&["./web", "--fast"][..], Some(2)),
            (&["/opt/web"], Some(2)),
            (&["./web serve"], Some(2)),
            (&["./app"], None),
            (&["node", "api"], Some(3)),
            (&["python", "server.py"], Some(4)),
            (&["sleep", "9000"], Some(2)),
            (&["sleep", "--api", "10"], None),
        ] {
            let typed: Vec<String> = typed.iter().map(|&word| word.to_owned()).collect();
            assert_eq!(Patterns::broken_for(text, &typed), line, "{typed:?}");
        }
    }

    #[test]
    fn the_built_in_file_is_sound_and_without_expressions() {
        assert_eq!(Patterns::problems(BUILT_IN), []);
        assert!(!Patterns::built_in().lines.iter().any(|pattern| pattern.matches.starts_with("re:")));
    }

    #[test]
    fn commands_are_known_by_whole_names() {
        let built_in = Patterns::built_in();
        for (command, expected) in [
            ("python -m http.server", Some("python-http")),
            ("python3 -m http.server 8300 --bind 127.0.0.1", Some("python-http")),
            ("node app.js", Some("node")),
            ("/usr/bin/node app.js", Some("node")),
            ("nodemon app.js", None),
            ("google-chrome --headless", None),
            ("go run main.go", Some("go")),
            ("go build .", None),
            ("bash worker.sh", Some("bash")),
            ("cat /home/bash/x", None),
            ("cat /home/bash", None),
            ("ls node", None),
            ("/home/bash/x", None),
            ("flask --app hello run --debug", Some("flask")),
            ("python -m flask run", Some("flask")),
            ("flask db upgrade", None),
            ("python manage.py runserver", Some("django")),
            ("./manage.py runserver", Some("django")),
            ("pip install gunicorn", None),
            ("gunicorn app:app", Some("gunicorn")),
            ("npm run dev", Some("npm")),
            ("npm --prefix web start", Some("npm")),
            ("npm install", None),
            ("yarn dev", Some("yarn")),
            ("vite", Some("vite")),
            ("vite build --watch", Some("vite-build")),
            ("php -t public -S localhost:8080", Some("php")),
            ("bin/rails server", Some("rails")),
            ("sleep 300", None),
        ] {
            let found = built_in.find(&[&words(command)]).map(|pattern| pattern.name.as_str());
            assert_eq!(found, expected, "{command}");
        }
    }

    #[test]
    fn a_users_line_may_be_text_or_an_expression() {
        let text = "# mine\n\nserver|./myapp server|9000|{cmd} --listen {port}\nre|re:^foo (a|b)$|7000|{cmd}\nshort|w.py|0\n";
        let mine = Patterns::parse(text);
        assert_eq!((mine.lines.len(), mine.broken.len()), (3, 0));
        for (command, expected) in [
            ("./myapp server --x", Some("server")),
            ("./myapp servers", None),
            ("foo b", Some("re")),
            ("foo bc", None),
            ("python tools/w.py", Some("short")),
            ("python xw.py", None),
        ] {
            assert_eq!(mine.find(&[&words(command)]).map(|p| p.name.as_str()), expected, "{command}");
        }
        assert_eq!(mine.lines[2].port, DefaultPort::Socket);
    }

    #[test]
    fn broken_lines_are_named_and_passed_over() {
        let text = "a\nb|c\nc|x|99999|{cmd}\nd|x|1|--port {port}\ne|x|1|{cmd} '\nf|re:(|1|{cmd}\ng||1|{cmd}\nh|x|1|{cmd}\n";
        let problems = Patterns::problems(text);
        assert_eq!(problems.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7]);
        assert!(
            problems[2].1.contains("99999") && problems[5].1.contains("regular expression"),
            "{problems:?}"
        );
        assert_eq!(Patterns::parse(text).find(&[&words("x")]).unwrap().name, "h");
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "([a-z^|{}' .0-9:\n-]|re:|\\{cmd\\}|\\PC){0,60}", command in "[a-z ./]{0,20}") {
            let _ = Patterns::parse(&text).find(&[&words(&command)]);
            let _ = Patterns::problems(&text);
        }
    }
}
