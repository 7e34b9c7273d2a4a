//! Quotes words for a POSIX shell, and only where they need it.
//!
//! Everything that a shell is to evaluate passes through here. The crate shell-words splits, but does not quote for us:
//! it leaves `{a,b}`, `!` and `\r` bare, which bash expands or a terminal hides.

use std::borrow::Cow;

/// `word` so that a shell reads it as this one word.
pub fn quote(word: &str) -> Cow<'_, str> {
    if plain(word.as_bytes()) { Cow::Borrowed(word) } else { Cow::Owned(single(word)) }
}

/// As [`quote`], of a word that need not be UTF-8.
pub fn quote_bytes(word: &[u8]) -> Cow<'_, [u8]> {
    if plain(word) {
        return Cow::Borrowed(word);
    }
    let parts: Vec<&[u8]> = word.split(|&byte| byte == b'\'').collect();
    Cow::Owned([b"'", parts.join(&b"'\\''"[..]).as_slice(), b"'"].concat())
}

/// A command line that a shell reads as these words. A first word that would be an assignment is quoted.
pub fn join<Word: AsRef<str>>(words: &[Word]) -> String {
    let mut line = String::new();
    for (index, word) in words.iter().enumerate() {
        let word = word.as_ref();
        if index == 0 && word.contains('=') {
            line.push_str(&single(word));
            continue;
        }
        if index > 0 {
            line.push(' ');
        }
        line.push_str(&quote(word));
    }
    line
}

fn single(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// True when no shell sees more in `word` than its letters. A tilde counts at the beginning and behind `=` and `:` only,
/// but stays quoted everywhere: nobody misses it.
fn plain(word: &[u8]) -> bool {
    let harmless = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-./:=,@%+".contains(byte);
    !word.is_empty() && word.iter().all(harmless) && !RESERVED.contains(&word)
}

/// Words that begin a construct where a command is expected (the letters-only ones of `bash(1)`, "RESERVED WORDS").
const RESERVED: [&[u8]; 16] = [
    b"case",
    b"coproc",
    b"do",
    b"done",
    b"elif",
    b"else",
    b"esac",
    b"fi",
    b"for",
    b"function",
    b"if",
    b"in",
    b"select",
    b"then",
    b"until",
    b"while",
];

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::process::Command;

    use super::*;

    /// The words that bash makes of a line.
    fn read_by_bash(line: &[u8]) -> Vec<Vec<u8>> {
        let script = [b"printf '%s\\0' ", line].concat();
        let output = Command::new("bash").arg("-c").arg(OsStr::from_bytes(&script)).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&script));
        let mut words: Vec<Vec<u8>> = output.stdout.split(|&byte| byte == 0).map(<[u8]>::to_vec).collect();
        assert_eq!(words.pop(), Some(Vec::new()));
        words
    }

    #[test]
    fn bash_reads_back_every_byte_alone_and_between_others() {
        let mut words: Vec<Vec<u8>> = vec![(1..=255).collect(), Vec::new()];
        for byte in 1..=255_u8 {
            words.push(vec![byte]);
            words.push(vec![b'a', byte, b'b']);
            words.push(vec![byte, byte]);
        }
        let quoted: Vec<_> = words.iter().map(|word| quote_bytes(word)).collect();
        assert_eq!(read_by_bash(&quoted.join(&b' ')), words);
    }

    #[test]
    fn bash_reads_back_what_means_something_to_it() {
        let words = [
            "",
            "~",
            "~root",
            "{a,b}",
            "a{1..3}",
            "$HOME",
            "`id`",
            "!!",
            "a'b\"c",
            "*",
            "[a-z]",
            "#x",
            "a;b",
            "-n",
            "x=~/y",
            "\r\n",
            "ü\u{a0}日本",
            "\\",
            "<(id)",
            "a\\'b",
        ];
        assert_eq!(read_by_bash(join(&words).as_bytes()), words.map(|word| word.as_bytes().to_vec()));
    }

    #[test]
    fn only_what_needs_quotes_gets_them() {
        for (words, line) in [
            (&["python", "-m", "http.server", "8000"][..], "python -m http.server 8000"),
            (&["npm", "run", "dev", "--", "--port=3000"], "npm run dev -- --port=3000"),
            (&["bash", "-c", "a && b"], "bash -c 'a && b'"),
            (&["echo", "it's"], "echo 'it'\\''s'"),
            (&["A=b", "C=d"], "'A=b' C=d"),
            (&["if", "/a:b@c,d"], "'if' /a:b@c,d"),
            (&[""], "''"),
        ] {
            assert_eq!(join(words), line);
        }
    }

    #[test]
    fn text_and_bytes_agree() {
        for word in ["a", "a b", "it's", "", "ü", "A=b"] {
            assert_eq!(quote(word).as_bytes(), &*quote_bytes(word.as_bytes()));
        }
    }
}
