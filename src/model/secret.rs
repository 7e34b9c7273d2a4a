//! Which names and which parts of an address say that something is a secret.

/// Words of a variable's name that make its value a secret.
const SECRET: &[&str] = &[
    "APIKEY",
    "AUTH",
    "AUTHORIZATION",
    "COOKIE",
    "CRED",
    "CREDENTIAL",
    "CREDENTIALS",
    "CREDS",
    "JWT",
    "KEY",
    "KEYS",
    "OAUTH",
    "PASS",
    "PASSPHRASE",
    "PASSWD",
    "PASSWORD",
    "PASSWORDS",
    "PAT",
    "PIN",
    "PRIVATE",
    "PW",
    "PWD",
    "SALT",
    "SECRET",
    "SECRETS",
    "SIGNATURE",
    "TOKEN",
    "TOKENS",
];

/// Ends of words that do so too: PGPASSWORD, GHTOKEN, AWSSECRETKEY.
const ENDS: &[&str] = &[
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "SECRET",
    "TOKEN",
    "APIKEY",
    "SECRETKEY",
    "ACCESSKEY",
    "PRIVATEKEY",
];

/// Names that sound secret and hold a path or a setting.
const HARMLESS: &[&str] = &["PWD", "OLDPWD", "SSH_AUTH_SOCK"];

/// True when the value of a variable of this name should not be shown: one of the name's words (`API_KEY`, `dbPassword`)
/// says so. `KEYBOARD`, `MONKEY` and `AUTHOR` are other words.
pub fn looks_secret(name: &str) -> bool {
    !HARMLESS.contains(&name) && words(name).any(is_secret)
}

/// True when this word of a name says that its value is a secret.
fn is_secret(word: &str) -> bool {
    // Captured conversations ask this a hundred thousand times a second: nothing is copied, and most words are told by
    // their first and last letters.
    let word = word.as_bytes();
    let (Some(first), Some(last)) = (word.first(), word.last()) else { return false };
    let begins = matches!(first.to_ascii_uppercase(), b'A' | b'C' | b'J' | b'K' | b'O' | b'P' | b'S' | b'T');
    let ends = matches!(last.to_ascii_uppercase(), b'D' | b'E' | b'N' | b'T' | b'Y');
    (begins && SECRET.iter().any(|secret| word.eq_ignore_ascii_case(secret.as_bytes())))
        || (ends && ENDS.iter().any(|end| ends_with(word, end.as_bytes())))
}

fn ends_with(word: &[u8], end: &[u8]) -> bool {
    word.len() >= end.len() && word[word.len() - end.len()..].eq_ignore_ascii_case(end)
}

/// The words of a name: parted by anything but letters, and where lower case turns to upper. Some may be empty.
pub fn words(name: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(name);
    std::iter::from_fn(move || {
        let text = rest?;
        let mut lower = false;
        for (at, c) in text.char_indices() {
            if !c.is_alphabetic() {
                rest = Some(&text[at + c.len_utf8()..]);
                return Some(&text[..at]);
            }
            if lower && c.is_uppercase() {
                rest = Some(&text[at..]);
                return Some(&text[..at]);
            }
            lower = c.is_lowercase();
        }
        rest = None;
        Some(text)
    })
}

/// Where the secret begins and ends in what follows `://`. A web address with a lone user part is a token
/// (`https://ghp_…@github.com`); elsewhere it is a user (`ssh://git@host`).
pub fn url_password(url: &str, web: bool) -> Option<(usize, usize)> {
    let authority = url.find(['/', '?', '#']).unwrap_or(url.len());
    // People write unescaped '/', '?' and '#' in passwords; a port is only digits.
    let at = url[..authority].rfind('@').or_else(|| {
        let (_, after) = url[..authority].split_once(':')?;
        let port = after.bytes().all(|byte| byte.is_ascii_digit());
        if port { None } else { url.rfind('@') }
    })?;
    match url[..at].find(':') {
        Some(colon) if colon + 1 < at => Some((colon + 1, at)),
        Some(_) => None,
        None => (web && at > 0).then_some((0, at)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_judged_by_whole_words() {
        for name in [
            "API_KEY",
            "api-key",
            "apiKey",
            "DB_PASSWORD",
            "PGPASSWORD",
            "MYSQL_PWD",
            "AWS_SECRET_ACCESS_KEY",
            "GH_TOKEN",
            "GITHUBTOKEN",
            "KEY",
            "KEY2",
            "CREDENTIALS",
            "PRIVATE_FILE",
            "BASIC_AUTH",
            "dbPassword",
            "JWT_SECRET",
            "SMTP_PASS",
        ] {
            assert!(looks_secret(name), "{name}");
        }
        for name in [
            "KEYBOARD",
            "MONKEY",
            "AUTHOR",
            "GIT_AUTHOR_NAME",
            "PWD",
            "OLDPWD",
            "SSH_AUTH_SOCK",
            "PATH",
            "PORT",
            "TOKENIZER",
            "COMPASS",
            "PASSENGER",
            "XAUTHORITY",
            "DATABASE_URL",
            "KEYMAP",
            "",
        ] {
            assert!(!looks_secret(name), "{name}");
        }
    }

    #[test]
    fn every_word_of_the_rule_counts() {
        for word in SECRET.iter().chain(ENDS) {
            assert!(looks_secret(&format!("my_{}", word.to_lowercase())), "{word}");
        }
        for end in ENDS {
            assert!(looks_secret(&format!("XX{end}")), "{end}");
        }
    }

    #[test]
    fn a_name_falls_into_its_words() {
        for (name, expected) in [
            ("API_KEY", "API KEY"),
            ("dbPassword2x", "db Password x"),
            ("HTTPServer", "HTTPServer"),
            ("äÖ", "ä Ö"),
            ("__", ""),
            ("", ""),
        ] {
            let found: Vec<&str> = words(name).filter(|word| !word.is_empty()).collect();
            assert_eq!(found.join(" "), expected, "{name}");
        }
    }
}
