//! Whether the value of a name that looks secret is one: `token = parse(x)` and `password: string` hold none.

use crate::model::secret::{looks_secret, words};

/// How sure a name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// `password`, `API_KEY`, `clientSecret`: what it holds is a secret unless it is plainly something else.
    Strong,
    /// `key`, `auth`, `token_count`, `SECRET_FILE`: what it holds must look like a secret itself.
    Weak,
}

/// Where a value stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// `NAME=value` in capitals and without blanks, as a shell and an env file have it: everything is literal.
    Variable,
    /// Alone on its line, as in YAML, or a parameter of an address.
    Alone,
    /// Anywhere else, where it can be an expression of a program or a word of a sentence.
    Within,
    /// In quotation marks.
    Quoted,
}

/// Words that make a name a sure one, but for those that end in [`ENDINGS`].
const STRONG: [&str; 18] = [
    "apikey",
    "cred",
    "creds",
    "credential",
    "credentials",
    "jwt",
    "pass",
    "passphrase",
    "passwd",
    "password",
    "passwords",
    "pw",
    "pwd",
    "secret",
    "secrets",
    "token",
    "authorization",
    "cookie",
];

const ENDINGS: [&str; 9] =
    ["password", "passwd", "passphrase", "secret", "token", "apikey", "secretkey", "accesskey", "privatekey"];

/// Words that make a `key` a sure one when they stand before it.
const KEYS: [&str; 14] = [
    "api",
    "access",
    "secret",
    "private",
    "encryption",
    "signing",
    "master",
    "auth",
    "account",
    "deploy",
    "license",
    "service",
    "app",
    "client",
];

/// Last words of names that hold something about a secret.
const ABOUT: [&str; 40] = [
    "file",
    "path",
    "dir",
    "name",
    "id",
    "ids",
    "type",
    "types",
    "length",
    "count",
    "counts",
    "limit",
    "limits",
    "size",
    "url",
    "uri",
    "endpoint",
    "ttl",
    "expiry",
    "expires",
    "expiration",
    "at",
    "in",
    "algorithm",
    "format",
    "field",
    "header",
    "prefix",
    "hint",
    "label",
    "placeholder",
    "policy",
    "version",
    "usage",
    "budget",
    "index",
    "required",
    "enabled",
    "ref",
    "error",
];

/// What stands where a value would: types, and words for nothing.
const WORDS: [&str; 46] = [
    "any",
    "bool",
    "boolean",
    "bytes",
    "char",
    "const",
    "dict",
    "empty",
    "error",
    "false",
    "float",
    "hidden",
    "int",
    "integer",
    "invalid",
    "list",
    "long",
    "missing",
    "never",
    "nil",
    "no",
    "none",
    "not",
    "null",
    "number",
    "object",
    "off",
    "on",
    "optional",
    "option",
    "password",
    "redacted",
    "required",
    "secret",
    "secretstr",
    "set",
    "str",
    "string",
    "text",
    "token",
    "true",
    "undefined",
    "unknown",
    "unset",
    "varchar",
    "yes",
];

/// How sure `name` is; none when it does not look secret at all.
pub(super) fn judge_name(name: &str) -> Option<Name> {
    if !looks_secret(name) {
        return None;
    }
    let last_part = name.rsplit('.').next().unwrap_or(name);
    let is = |word: &str, list: &[&str]| list.iter().any(|known| word.eq_ignore_ascii_case(known));
    let (mut before, mut strong, mut last) = ("", false, "");
    for word in words(last_part).filter(|word| !word.is_empty()) {
        strong |= is(word, &STRONG)
            || (is(word, &["key", "keys"]) && is(before, &KEYS))
            || ENDINGS.iter().any(|end| ends_with(word, end));
        before = word;
        last = word;
    }
    Some(if strong && !is(last, &ABOUT) { Name::Strong } else { Name::Weak })
}

fn ends_with(word: &str, end: &str) -> bool {
    let (word, end) = (word.as_bytes(), end.as_bytes());
    word.len() >= end.len() && word[word.len() - end.len()..].eq_ignore_ascii_case(end)
}

/// True when `value` is a secret in a name of `sure`, called `name`, at `place`.
pub(super) fn is_secret(value: &str, sure: Name, name: &str, place: Place) -> bool {
    let value = value.trim();
    let Some(first) = value.bytes().next() else { return false };
    if value.contains(super::MASK.trim_end()) {
        return false;
    }
    if is_reference(value) || is_filler(value) || WORDS.iter().any(|word| value.eq_ignore_ascii_case(word)) {
        // A variable named for its password may well hold the word.
        return place == Place::Variable
            && sure == Name::Strong
            && matches!(value, "password" | "secret" | "token");
    }
    if value.bytes().all(|byte| byte.is_ascii_digit() || b".,_%-".contains(&byte)) {
        return is_number_secret(name)
            && value.len() >= 4
            && (place != Place::Within || sure == Name::Strong);
    }
    if is_path(value) {
        return false;
    }
    match (place, sure) {
        (Place::Variable, Name::Strong) => true,
        (Place::Variable, Name::Weak) => !name_is_about(name) || is_random(value),
        (Place::Quoted, Name::Strong) => !is_sentence(value),
        (Place::Alone, Name::Strong) => !is_type(value) && (!is_expression(value) || has_symbols(value)),
        (Place::Within, Name::Strong) => {
            !is_type(value) && !is_expression(value) && is_literal(value) && !b"([{".contains(&first)
        }
        (Place::Quoted | Place::Alone | Place::Within, Name::Weak) => is_random(value),
    }
}

fn name_is_about(name: &str) -> bool {
    let last = words(name).filter(|word| !word.is_empty()).last().unwrap_or_default();
    ABOUT.iter().any(|word| last.eq_ignore_ascii_case(word))
}

/// `$PASSWORD`, `${…}`, `{{ … }}`, `<your token>`, `%s`, `process.env.X`, and what is masked already.
fn is_reference(value: &str) -> bool {
    let bytes = value.as_bytes();
    let second = bytes.get(1).copied().unwrap_or(b' ');
    match bytes[0] {
        b'$' => second.is_ascii_alphabetic() || b"_{($[<".contains(&second),
        b'<' | b'{' => true,
        b'[' => value.starts_with("[REDACTED") || value.ends_with(']'),
        b'%' => second.is_ascii_alphabetic() || second == b'(',
        b'#' => second == b'{',
        _ => {
            let lower = value.get(..12.min(value.len())).unwrap_or_default().to_ascii_lowercase();
            [
                "process.env",
                "os.environ",
                "os.getenv",
                "import.meta",
                "env.",
                "env(",
                "env[",
                "secrets.",
                "vault:",
                "op://",
            ]
            .iter()
            .any(|known| lower.starts_with(known))
        }
    }
}

/// `****`, `xxxx`, `...`, `-----`.
fn is_filler(value: &str) -> bool {
    let mut chars = value.chars();
    let first = chars.next().unwrap_or(' ');
    let is_one = !first.is_alphanumeric() || (matches!(first, 'x' | 'X') && value.len() >= 3);
    is_one && chars.all(|c| c == first)
}

/// A PIN is a number, a count of tokens is one, too, and a password may be one.
fn is_number_secret(name: &str) -> bool {
    let known = ["pin", "password", "passwd", "pwd", "pw", "passphrase", "secret"];
    words(name).any(|word| known.iter().any(|known| ends_with(word, known))) && !name_is_about(name)
}

/// A path of a file, and no base64 that has a slash.
fn is_path(value: &str) -> bool {
    ["./", "../", "~/"].iter().any(|start| value.starts_with(start))
        || (value.starts_with('/')
            && value.split('/').skip(1).all(|part| part.len() < 24 || part.contains('.'))
            && value.matches('/').count() >= 2)
        || [".pem", ".key", ".json", ".txt", ".toml", ".yaml", ".yml", ".env"]
            .iter()
            .any(|end| value.ends_with(end))
}

/// A text for people: `Password is required`.
fn is_sentence(value: &str) -> bool {
    let mut chars = value.chars();
    let capital =
        chars.next().is_some_and(char::is_uppercase) && chars.next().is_some_and(char::is_lowercase);
    let blanks = value.matches(' ').count();
    (blanks >= 1 && (capital || value.ends_with(['?', ':'])))
        || value.contains(" is ")
        || value.contains(" must ")
}

/// `AuthToken`, `Vec<u8>`, `&str`, `[u8; 32]`, `string[]`.
fn is_type(value: &str) -> bool {
    let humps = value
        .bytes()
        .zip(value.bytes().skip(1))
        .filter(|(a, b)| a.is_ascii_lowercase() && b.is_ascii_uppercase());
    value.starts_with(['&', '['])
        || value.ends_with("[]")
        || (value.contains('<') && value.contains('>'))
        || (value.starts_with(|c: char| c.is_ascii_uppercase())
            && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".:_".contains(&byte))
            && humps.count() >= 1
            && !value.bytes().any(|byte| byte.is_ascii_digit()))
        || matches!(value, "u8" | "u16" | "u32" | "u64" | "i32" | "i64" | "usize" | "Uint8Array" | "Option")
}

/// What a program computes: a call, an index, a path of names.
fn is_expression(value: &str) -> bool {
    let value = value.trim_end_matches([';', ',']);
    let is_name = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    value.contains(['(', '[', '{'])
        || (value.contains('.') && value.split(['.', '?', '!']).filter(|part| !part.is_empty()).all(is_name))
        || value.contains("::")
}

/// Letters with digits, or with characters that words and programs do not have there.
fn is_literal(value: &str) -> bool {
    let letter = value.bytes().any(|byte| byte.is_ascii_alphabetic());
    value.len() >= 4
        && letter
        && (value.bytes().any(|byte| byte.is_ascii_digit()) || has_symbols(value) || value.len() >= 24)
}

fn has_symbols(value: &str) -> bool {
    value.bytes().any(|byte| b"!@#$%^&*~+?".contains(&byte))
}

/// Long and drawn by lot; hashes and UUIDs are not meant.
fn is_random(value: &str) -> bool {
    value.len() >= 12
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=_-".contains(&byte))
        && super::scan::is_random(value.as_bytes())
        && !value.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}
