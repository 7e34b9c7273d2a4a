//! Which values are secrets, and how they look when they are shown.

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

/// What stands for a secret. Its length says nothing about the value's.
const MASK: &str = "********";

/// True when the value of a variable of this name should not be shown: one of the name's words (`API_KEY`, `dbPassword`)
/// says so. `KEYBOARD`, `MONKEY` and `AUTHOR` are other words.
pub fn looks_secret(name: &str) -> bool {
    !HARMLESS.contains(&name)
        && words(name)
            .iter()
            .any(|word| SECRET.contains(&word.as_str()) || ENDS.iter().any(|end| word.ends_with(end)))
}

/// The words of a name in upper case: parted by anything but letters, and where lower case turns to upper.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut lower = false;
    for c in name.chars() {
        if !c.is_alphabetic() || (lower && c.is_uppercase()) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| c.is_alphabetic()) {
            word.extend(c.to_uppercase());
        }
        lower = c.is_lowercase();
    }
    words
}

/// What is shown of a secret: that there is one, or that it is empty.
pub fn mask(value: &str) -> String {
    if value.is_empty() { String::new() } else { MASK.to_owned() }
}

/// The value of `name` as it may be shown: a secret masked, otherwise the passwords of URLs in it.
pub fn shown(name: &str, value: &str) -> String {
    if looks_secret(name) { mask(value) } else { mask_urls(value) }
}

/// `value` with the password of each `scheme://user:password@host` masked (RFC 3986, 3.2.1).
fn mask_urls(value: &str) -> String {
    let mut out = String::new();
    let mut rest = value;
    while let Some(at) = rest.find("://") {
        let (head, tail) = rest.split_at(at + 3);
        out.push_str(head);
        let end = tail.find(|c: char| c.is_whitespace() || "\"'<>,".contains(c)).unwrap_or(tail.len());
        let url = &tail[..end];
        let Some((user, password_end)) = password(url, is_web(head)) else {
            rest = tail;
            continue;
        };
        out.push_str(&url[..user]);
        out.push_str(MASK);
        rest = &tail[password_end..];
    }
    out.push_str(rest);
    out
}

fn is_web(head: &str) -> bool {
    head.ends_with("http://") || head.ends_with("https://")
}

/// Where the secret begins and ends in what follows `://`. A web address with a lone user part is a token
/// (`https://ghp_…@github.com`); elsewhere it is a user (`ssh://git@host`).
fn password(url: &str, web: bool) -> Option<(usize, usize)> {
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
    use proptest::prelude::*;

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
    fn a_password_in_a_url_is_masked_whatever_the_name() {
        for (value, expected) in [
            ("postgres://u:pw@h/db", "postgres://u:********@h/db"),
            ("redis://:pw@h:6379", "redis://:********@h:6379"),
            ("postgres://u:p/w#x@h/db", "postgres://u:********@h/db"),
            ("amqp://u:p@w@h", "amqp://u:********@h"),
            ("a,http://u:p@h,b http://x:y@z", "a,http://u:********@h,b http://x:********@z"),
            ("https://ghp_abc@github.com/x", "https://********@github.com/x"),
            ("ssh://git@github.com/x", "ssh://git@github.com/x"),
            ("postgres://u:@h/db", "postgres://u:@h/db"),
            ("http://localhost:3000/@scope/x", "http://localhost:3000/@scope/x"),
            ("http://h/x?to=a@b", "http://h/x?to=a@b"),
            ("user:pw@host", "user:pw@host"),
            ("://", "://"),
            ("http://h", "http://h"),
        ] {
            assert_eq!(shown("DATABASE_URL", value), expected, "{value}");
        }
        assert_eq!(shown("TOKEN", "abc"), "********");
        assert_eq!(shown("TOKEN", ""), "");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_password_survives_and_nothing_panics(text in "\\PC{0,40}", password in "[a-z0-9]{12,20}x") {
            let _ = shown("X", &text);
            let url = format!("a://u:{password}@h/{text}");
            prop_assert!(!shown("X", &url).contains(&password));
        }
    }
}
