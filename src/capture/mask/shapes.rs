//! Tokens that are known by their shape: what they begin with, their alphabet and their length.
//!
//! The shapes are those that the issuers document, or that their tokens have had for years; most issuers gave them a
//! prefix for this very purpose.

use super::Find;
use super::scan::{ALNUM, BASE64, DASH, DOT, LOW, begins_word, is, is_random, next_line, run, run_back};

/// One kind of token.
struct Shape {
    /// What it begins with.
    prefix: &'static str,
    /// What the rest is made of.
    alphabet: u8,
    /// How many bytes the rest has at least, and how many when a line may have been broken within it.
    length: (usize, usize),
    /// It must begin a word, because so short a prefix also ends ordinary ones.
    alone: bool,
    kind: &'static str,
}

const fn shape(prefix: &'static str, alphabet: u8, length: (usize, usize), kind: &'static str) -> Shape {
    Shape { prefix, alphabet, length, alone: false, kind }
}

const fn alone(prefix: &'static str, alphabet: u8, length: (usize, usize), kind: &'static str) -> Shape {
    Shape { prefix, alphabet, length, alone: true, kind }
}

const WORD: u8 = ALNUM | LOW | DASH;
const GITHUB: &str = "github token";
const GITLAB: &str = "gitlab token";
const SLACK: &str = "slack token";
const STRIPE: &str = "stripe key";
const OPENAI: &str = "openai key";

/// By the last byte of their prefix, where the scan stops.
const LOWS: &[Shape] = &[
    shape("ghp_", ALNUM, (30, 36), GITHUB),
    shape("gho_", ALNUM, (30, 36), GITHUB),
    shape("ghu_", ALNUM, (30, 36), GITHUB),
    shape("ghs_", ALNUM | LOW | DASH | DOT, (30, 36), GITHUB),
    shape("ghr_", ALNUM, (30, 76), GITHUB),
    shape("github_pat_", ALNUM | LOW, (36, 82), GITHUB),
    shape("sk_live_", ALNUM, (16, 99), STRIPE),
    shape("rk_live_", ALNUM, (16, 99), STRIPE),
    shape("sk_test_", ALNUM, (16, 99), STRIPE),
    shape("rk_test_", ALNUM, (16, 99), STRIPE),
    alone("whsec_", ALNUM | BASE64, (24, 44), STRIPE),
    alone("npm_", ALNUM, (36, 36), "npm token"),
    alone("hf_", ALNUM, (30, 34), "hugging face token"),
    alone("gsk_", ALNUM, (40, 52), "groq key"),
    alone("r8_", ALNUM, (36, 37), "replicate token"),
    alone("secret_", ALNUM, (40, 43), "notion token"),
    alone("ntn_", ALNUM, (40, 46), "notion token"),
    alone("lin_api_", ALNUM, (32, 40), "linear key"),
    alone("figd_", WORD, (32, 40), "figma token"),
    alone("dop_v1_", ALNUM, (60, 64), "digitalocean token"),
    alone("doo_v1_", ALNUM, (60, 64), "digitalocean token"),
    alone("dckr_pat_", WORD, (24, 27), "docker token"),
    alone("shpat_", ALNUM, (32, 32), "shopify token"),
    alone("shpca_", ALNUM, (32, 32), "shopify token"),
    alone("shppa_", ALNUM, (32, 32), "shopify token"),
    alone("shpss_", ALNUM, (32, 32), "shopify secret"),
    alone("glsa_", ALNUM | LOW, (32, 41), "grafana token"),
    alone("glc_", ALNUM | BASE64, (32, 32), "grafana token"),
    alone("pscale_tkn_", WORD | DOT, (32, 43), "planetscale token"),
    alone("pscale_pw_", WORD | DOT, (32, 43), "planetscale password"),
    alone("sbp_", ALNUM, (40, 40), "supabase token"),
    alone("sb_secret_", WORD, (20, 31), "supabase key"),
    alone("rubygems_", ALNUM, (48, 48), "rubygems key"),
    alone("sntrys_", ALNUM | LOW | BASE64, (40, 99), "sentry token"),
    alone("sntryu_", ALNUM, (40, 64), "sentry token"),
    alone("fm2_", ALNUM | BASE64, (40, 99), "fly.io token"),
    alone("phx_", ALNUM, (40, 43), "posthog key"),
];

const DASHES: &[Shape] = &[
    shape("glpat-", WORD | DOT, (20, 20), GITLAB),
    shape("gldt-", WORD, (20, 20), GITLAB),
    shape("glrt-", WORD | DOT, (20, 20), GITLAB),
    shape("glptt-", WORD, (40, 40), GITLAB),
    shape("glcbt-", WORD, (20, 20), GITLAB),
    shape("gloas-", WORD, (40, 64), GITLAB),
    shape("glagent-", WORD, (40, 50), GITLAB),
    shape("xoxa-", WORD, (10, 70), SLACK),
    shape("xoxb-", WORD, (10, 70), SLACK),
    shape("xoxc-", WORD, (10, 70), SLACK),
    shape("xoxd-", ALNUM | LOW | DASH | BASE64, (10, 70), SLACK),
    shape("xoxe-", WORD, (10, 70), SLACK),
    shape("xoxo-", WORD, (10, 70), SLACK),
    shape("xoxp-", WORD, (10, 70), SLACK),
    shape("xoxr-", WORD, (10, 70), SLACK),
    shape("xoxs-", WORD, (10, 70), SLACK),
    shape("xapp-", WORD, (20, 90), SLACK),
    shape("sk-ant-", WORD, (16, 101), "anthropic key"),
    alone("sk-proj-", WORD, (16, 156), OPENAI),
    alone("sk-svcacct-", WORD, (16, 156), OPENAI),
    alone("sk-admin-", WORD, (16, 156), OPENAI),
    alone("sk-None-", WORD, (16, 156), OPENAI),
    alone("sk-or-v1-", ALNUM, (32, 64), "openrouter key"),
    alone("sk-", ALNUM, (20, 48), OPENAI),
    alone("pypi-", WORD, (50, 166), "pypi token"),
    alone("AGE-SECRET-KEY-", ALNUM, (50, 59), "age key"),
    alone("AGE-PLUGIN-", WORD, (50, 99), "age key"),
    alone("GOCSPX-", WORD, (24, 28), "google secret"),
    alone("xai-", ALNUM, (60, 80), "xai key"),
    alone("pplx-", ALNUM, (40, 48), "perplexity key"),
    alone("nvapi-", WORD, (50, 64), "nvidia key"),
    alone("tvly-", WORD, (28, 32), "tavily key"),
    alone("tskey-auth-", WORD, (20, 48), "tailscale key"),
    alone("tskey-api-", WORD, (20, 48), "tailscale key"),
    alone("tskey-client-", WORD, (20, 48), "tailscale key"),
    alone("PMAK-", WORD, (56, 59), "postman key"),
    alone("NRAK-", ALNUM, (27, 27), "new relic key"),
    alone("HRKU-", WORD, (36, 60), "heroku key"),
    alone("sq0atp-", WORD, (22, 22), "square token"),
    alone("sq0csp-", WORD, (43, 43), "square secret"),
    alone("key-", ALNUM, (32, 32), "mailgun key"),
];

const DOTS: &[Shape] = &[
    alone("SG.", WORD | DOT, (40, 66), "sendgrid key"),
    alone("hvs.", WORD, (24, 95), "vault token"),
    alone("hvb.", WORD, (100, 180), "vault token"),
    alone("hvr.", WORD, (24, 95), "vault token"),
    alone("ya29.", WORD, (20, 200), "google token"),
    alone("dp.pt.", ALNUM, (40, 44), "doppler token"),
    alone("dp.st.", WORD | DOT, (40, 60), "doppler token"),
    shape(".atlasv1.", WORD, (60, 70), "terraform token"),
];

const CAPITALS: &[Shape] = &[
    shape("AKIA", ALNUM, (16, 16), "aws key"),
    shape("ASIA", ALNUM, (16, 16), "aws key"),
    shape("AIza", WORD, (35, 35), "google key"),
];

/// The token whose prefix ends at `at`.
pub(super) fn find(bytes: &[u8], at: usize) -> Option<Find> {
    let shapes = match bytes.get(at)? {
        b'_' => LOWS,
        b'-' => DASHES,
        b'.' => DOTS,
        b'A' | b'a' => CAPITALS,
        _ => return None,
    };
    let before = &bytes[..=at];
    let shape = shapes.iter().find(|shape| before.ends_with(shape.prefix.as_bytes()))?;
    let start = at + 1 - shape.prefix.len();
    if shape.alone && !begins_word(bytes, start) {
        return None;
    }
    let end = rest(bytes, at + 1, shape)?;
    let body = &bytes[at + 1..end];
    if is_placeholder(body) || (shape.alone && !body.iter().any(u8::is_ascii_digit)) {
        return None;
    }
    match shape.prefix {
        // Only capitals and digits, and exactly so many.
        "AKIA" | "ASIA" if body.len() != 16 || body.iter().any(u8::is_ascii_lowercase) => None,
        // It begins with 14 letters and digits of its own.
        ".atlasv1." => {
            let start = run_back(bytes, start, ALNUM, 14);
            Some(Find { start, end, kind: shape.kind })
        }
        _ => Some(Find { start, end, kind: shape.kind }),
    }
}

/// Where the rest of a token ends, over the ends of lines when it is broken there; none when it is too short.
fn rest(bytes: &[u8], from: usize, shape: &Shape) -> Option<usize> {
    let (least, whole) = shape.length;
    let mut end = run(bytes, from, shape.alphabet);
    let mut count = end - from;
    while (4..whole).contains(&count) {
        let Some(next) = next_line(bytes, end) else { break };
        let stop = run(bytes, next, shape.alphabet);
        let more = &bytes[next..stop];
        let fits = count + more.len() == whole || (count < least && count + more.len() >= least);
        let completes = fits && more.iter().any(u8::is_ascii_digit);
        let goes_on = completes || (more.len() >= 8 && is_random(more));
        if !goes_on {
            break;
        }
        end = stop;
        count += more.len();
    }
    (count >= least).then_some(end)
}

/// True for `xxxx…` and its like, which documentation writes.
fn is_placeholder(body: &[u8]) -> bool {
    let head = &body[..body.len().min(24)];
    head.iter().all(|byte| *byte == head[0])
}

/// A JSON Web Token whose first `eyJ` ends at `at`: two parts that are objects, and a signature (RFC 7519).
pub(super) fn jwt(bytes: &[u8], at: usize) -> Option<Find> {
    let start = at.checked_sub(2)?;
    if !bytes[start..].starts_with(b"eyJ") || !begins_word(bytes, start) {
        return None;
    }
    let part = |from: usize| {
        let mut end = run(bytes, from, WORD);
        while let Some(next) = next_line(bytes, end) {
            let stop = run(bytes, next, WORD);
            if stop - next < 8 || !is_random(&bytes[next..stop]) {
                break;
            }
            end = stop;
        }
        end
    };
    let first = part(start);
    let second = first + 1;
    if first - start < 10 || !bytes[first..].starts_with(b".eyJ") {
        return None;
    }
    let mut end = part(second);
    if bytes.get(end) == Some(&b'.') {
        end = part(end + 1);
    }
    Some(Find { start, end, kind: "json web token" })
}

/// The token of a Telegram bot whose colon is at `at`: its number, and 35 characters that begin with `AA`.
pub(super) fn telegram(bytes: &[u8], at: usize) -> Option<Find> {
    if !bytes[at + 1..].starts_with(b"AA") {
        return None;
    }
    let start = run_back(bytes, at, ALNUM, 12);
    let digits = &bytes[start..at];
    // What stands before it may be `bot`, as in the addresses of its API.
    let digits_from = start + digits.iter().rposition(|byte| !byte.is_ascii_digit()).map_or(0, |at| at + 1);
    let end = run(bytes, at + 1, WORD);
    let fits = (8..=10).contains(&(at - digits_from)) && (34..=36).contains(&(end - at - 1));
    (fits && !is(bytes.get(end).copied().unwrap_or(b' '), ALNUM)).then_some(Find {
        start: digits_from,
        end,
        kind: "telegram token",
    })
}
