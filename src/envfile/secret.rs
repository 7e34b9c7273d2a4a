//! How values that are secrets look when they are shown.

use crate::model::secret::url_password;

pub use crate::model::secret::looks_secret;

/// What stands for a secret. Its length says nothing about the value's.
const MASK: &str = "********";

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
        let Some((user, password_end)) = url_password(url, is_web(head)) else {
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
