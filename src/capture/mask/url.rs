//! Secrets in addresses: the password before a host, the token of a webhook, and images that stand in the text.

use super::scan::{ALNUM, BASE64, DASH, LOW, begins_word, is_random, run, run_back};
use super::{Find, IMAGE};
use crate::model::secret::url_password;

/// The longest address that is looked at, in bytes.
const LONGEST: usize = 512;

/// The shortest image that is left out, in bytes of its base64.
const LEAST_IMAGE: usize = 64;

/// Addresses whose path is a secret: who knows it can post there.
const WEBHOOKS: [&str; 5] = [
    "hooks.slack.com/services/",
    "discord.com/api/webhooks/",
    "discordapp.com/api/webhooks/",
    "hooks.zapier.com/hooks/catch/",
    "outlook.office.com/webhook/",
];

/// The secret of the address whose colon is at `at`.
pub(super) fn find(text: &str, at: usize) -> Option<Find> {
    let bytes = text.as_bytes();
    let rest = &bytes[at + 1..];
    // In JSON a slash may be escaped, and some programs do.
    let from = if rest.starts_with(b"//") {
        at + 3
    } else if rest.starts_with(b"\\/\\/") {
        at + 5
    } else if rest.starts_with(b"image/") {
        return image(bytes, at);
    } else {
        return None;
    };
    let scheme = run_back(bytes, at, ALNUM | DASH | BASE64, 24);
    if scheme == at {
        return None;
    }
    let tail = &bytes[from..bytes.len().min(from + LONGEST)];
    let is_end =
        |byte: &u8| byte.is_ascii_whitespace() || byte.is_ascii_control() || b"\"'<>`,\\".contains(byte);
    let end = from + tail.iter().position(is_end).unwrap_or(tail.len());
    let url = text.get(from..end)?;
    if let Some(hook) = WEBHOOKS.iter().find(|hook| url.starts_with(**hook)) {
        let start = from + hook.len();
        let end = run(bytes, start, ALNUM | DASH | LOW | BASE64);
        return (end - start >= 16).then_some(Find { start, end, kind: "webhook" });
    }
    let web = bytes[..at].ends_with(b"http") || bytes[..at].ends_with(b"https");
    let (start, stop) = url_password(url, web)?;
    let secret = &bytes[from + start..from + stop];
    let is_reference = b"$<{[*%(".contains(&secret[0]) || secret.contains(&b'{');
    // A lone name before a web host is a user's as often as a token.
    let is_name = start == 0 && !(secret.len() >= 16 && secret.iter().any(u8::is_ascii_digit));
    (!is_reference && !is_name).then_some(Find { start: from + start, end: from + stop, kind: "password" })
}

/// An image as a `data:` address (RFC 2397) whose first colon is at `at`.
fn image(bytes: &[u8], at: usize) -> Option<Find> {
    let start = at.checked_sub(4)?;
    if &bytes[start..at] != b"data" {
        return None;
    }
    let head = &bytes[at..bytes.len().min(at + 64)];
    let from = at + head.windows(8).position(|window| window == b";base64,")? + 8;
    let end = run(bytes, from, ALNUM | BASE64);
    (end - from >= LEAST_IMAGE).then_some(Find { start, end, kind: IMAGE })
}

/// The password of `curl -u USER:PASSWORD` whose colon is at `at`.
pub(super) fn basic(text: &str, at: usize) -> Option<Find> {
    let bytes = text.as_bytes();
    let user = bytes[at.saturating_sub(64)..at]
        .iter()
        .rposition(|byte| byte.is_ascii_whitespace() || b"\"'=".contains(byte))
        .map(|found| at.saturating_sub(64) + found)?;
    let before = bytes[..=user].trim_ascii_end();
    let before =
        before.strip_suffix(b"\"").or_else(|| before.strip_suffix(b"'")).unwrap_or(before).trim_ascii_end();
    let before = before.strip_suffix(b"=").unwrap_or(before);
    if !before.ends_with(b" -u") && !before.ends_with(b"--user") && !before.ends_with(b"--proxy-user")
        || user + 1 == at
    {
        return None;
    }
    let start = at + 1;
    let tail = &bytes[start..bytes.len().min(start + LONGEST)];
    let end = start
        + tail
            .iter()
            .position(|byte| byte.is_ascii_whitespace() || b"\"'`\\".contains(byte))
            .unwrap_or(tail.len());
    // Numbers are the user and group of `docker run -u 1000:1000`.
    let secret = &bytes[start..end];
    let is_plain =
        secret.is_empty() || b"$<{[*/".contains(&secret[0]) || secret.iter().all(u8::is_ascii_digit);
    let is_docker = text.get(at.saturating_sub(200)..at).is_none_or(|before| !before.contains("curl"));
    (!is_plain && (!is_docker || is_random(secret)) && begins_word(bytes, user + 1)).then_some(Find {
        start,
        end,
        kind: "password",
    })
}
