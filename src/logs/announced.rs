//! The port that a program says it listens on, in what it prints.
//!
//! Programs say it in every form: `http://localhost:5173/`, `0.0.0.0 port 8000`, `:8080`, `"port":3000`. A line that tells
//! of a server counts; one that only names a local address is taken where nothing better comes. Lines about other ends
//! (connections, proxies, debuggers, ports in use) are no announcements.

/// Parts of lines that tell of something else than a server of the program's own.
const OTHER: &[&str] = &[
    "in use",
    "eaddrinuse",
    "already",
    "debugger",
    "inspector",
    "proxy",
    "->",
    "=>",
    "→",
    "connected",
    "connecting",
    "connect to",
    "connection to",
    "connection from",
    "fail",
    "error",
    "refused",
    "trying",
    "waiting",
    "forward",
    "upstream",
    "cannot",
    "could not",
    "unable",
    "stopp",
    "shut",
    "closed",
    "usage",
    "get /",
    "get http",
    "post /",
];

/// Words of lines that tell of a server.
const SERVES: &[&str] = &[
    "accepting",
    "access",
    "addr",
    "address",
    "available",
    "bind",
    "binding",
    "bound",
    "browse",
    "launched",
    "listen",
    "listening",
    "listens",
    "live",
    "local",
    "loopback",
    "open",
    "ready",
    "running",
    "runs",
    "serve",
    "server",
    "serves",
    "serving",
    "start",
    "started",
    "starting",
    "up",
    "view",
    "visit",
];

/// Words of lines that tell of a server beside the main one.
const BESIDE: &[&str] = &["admin", "hmr", "livereload", "metrics", "pprof", "websocket"];

/// Schemes of what a browser or a client of TCP opens.
const SCHEMES: &[&str] = &["http", "https", "tcp"];

/// Finds the port in lines as they come.
#[derive(Debug, Default)]
pub struct Announced {
    /// The first that was named without being announced.
    named: Option<u16>,
}

impl Announced {
    /// The port that `line` announces. One that it only names is remembered for [`Announced::end`].
    pub fn line(&mut self, line: &str) -> Option<u16> {
        let plain = without_escapes(line);
        let lower = plain.to_lowercase();
        if OTHER.iter().any(|part| lower.contains(part)) {
            return None;
        }
        let words = || lower.split(|c: char| !c.is_alphabetic());
        // The line that npm and `bash -x` show of a command is not what that prints.
        let echo = ["> ", "$ ", "+ "].iter().any(|prompt| lower.trim_start().starts_with(prompt));
        let announces = !echo
            && words().any(|word| SERVES.contains(&word))
            && !words().any(|word| BESIDE.contains(&word));
        let (port, alone) = first(&lower)?;
        if announces {
            return Some(port);
        }
        if alone {
            self.named = self.named.or(Some(port));
        }
        None
    }

    /// At the end of all lines: the port that was named, if none was announced.
    pub fn end(self) -> Option<u16> {
        self.named
    }
}

/// The port that `text` announces, or at least names.
pub fn announced(text: &str) -> Option<u16> {
    let mut search = Announced::default();
    text.lines().find_map(|line| search.line(line)).or_else(|| search.end())
}

/// The first port of a line in lower case, and whether its form says what it is also without a word of a server.
fn first(line: &str) -> Option<(u16, bool)> {
    let bytes = line.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at].is_ascii_digit() && (at == 0 || !bytes[at - 1].is_ascii_digit()) {
            let digits = bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            let found = number(line, at, at + digits).and_then(|port| Some((port, form(&line[..at])?)));
            if found.is_some() {
                return found;
            }
            at += digits;
        } else {
            at += 1;
        }
    }
    None
}

/// The number in `line[start..end]`, if it can be a port and is no part of something longer.
fn number(line: &str, start: usize, end: usize) -> Option<u16> {
    let mut after = line[end..].chars();
    let longer = match after.next() {
        Some('.' | ':' | ',') => after.next().is_some_and(|c| c.is_ascii_digit()),
        Some(c) => c.is_alphanumeric() || matches!(c, '_' | '%'),
        None => false,
    };
    // Years and sizes have as many digits; forms that a port is written in keep them apart.
    let port: u16 = line[start..end].parse().ok()?;
    (!longer && port > 0 && end - start >= 2).then_some(port)
}

/// Whether what stands before a number makes it a port; true where it does without a word of a server.
fn form(before: &str) -> Option<bool> {
    if let Some(host) = before.strip_suffix(':') {
        if is_local(host) {
            return Some(true);
        }
        // `:8080`, alone or in quotes that begin there; `"pid":1234` is none.
        let outside = host.strip_suffix(['"', '\'', '`']).unwrap_or(host);
        let begins = |text: &str| text.is_empty() || text.ends_with([' ', '\t', '(', '=', '[']);
        let quoted = outside.len() < host.len() && outside.ends_with(':');
        if begins(host) || (outside.len() < host.len() && begins(outside)) || quoted {
            return if ends_with_port(host) { Some(true) } else { Some(false) };
        }
    }
    if ends_with_port(before) {
        return Some(true);
    }
    // `listening on 3000`, `started at 3000`.
    let rest = before.strip_suffix(' ')?;
    let place = [" on", " at"].iter().find_map(|word| rest.strip_suffix(word))?;
    let verb = place.rsplit(|c: char| !c.is_alphabetic()).next()?;
    SERVES.contains(&verb).then_some(false)
}

/// `port 8000`, `PORT=8000`, `port(s): 8080`, `"port":3000`.
fn ends_with_port(before: &str) -> bool {
    let word = before.trim_end_matches([' ', '\t', ':', '=', '#', '"', '\'']);
    let word = word.strip_suffix(" is").unwrap_or(word);
    let word = word.strip_suffix("(s)").or_else(|| word.strip_suffix('s')).unwrap_or(word);
    let Some(start) = word.strip_suffix("port") else { return false };
    word.len() < before.len() && !start.ends_with(|c: char| c.is_alphanumeric())
}

/// Whether `before` ends with an address of this machine, which is not behind another scheme or a login.
fn is_local(before: &str) -> bool {
    let bracketed = before.strip_suffix(']').and_then(|rest| rest.rfind('[').map(|at| (at, &rest[at + 1..])));
    let start = match bracketed {
        Some((at, inside)) if inside.parse::<std::net::Ipv6Addr>().is_ok() => at,
        Some(_) => return false,
        None => {
            let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '*' | ':');
            let host = before.rsplit(|c| !part(c)).next().unwrap_or_default();
            let local = host == "*"
                || host == "::"
                || matches!(host.rsplit('.').next(), Some("localhost" | "local"))
                || host.parse::<std::net::Ipv4Addr>().is_ok();
            if !local {
                return false;
            }
            before.len() - host.len()
        }
    };
    let front = &before[..start];
    match front.strip_suffix("://") {
        Some(scheme) => {
            let scheme =
                scheme.rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '+').next().unwrap_or_default();
            SCHEMES.contains(&scheme)
        }
        None => !front.ends_with(['@', '/']),
    }
}

/// `line` without the sequences by which a terminal is coloured and moved (ECMA-48, 5.4; OSC ends at BEL or ST).
fn without_escapes(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        if c != '\x1b' {
            plain.push(if c.is_control() { ' ' } else { c });
            continue;
        }
        match chars.next() {
            Some('[') => {
                let _ = chars.find(|c| ('\x40'..='\x7e').contains(c));
            }
            // ST is ESC \; its backslash is taken with it.
            Some(']') if chars.find(|c| matches!(c, '\x07' | '\x1b')) == Some('\x1b') => {
                chars.next();
            }
            Some('(' | ')') => {
                chars.next();
            }
            _ => {}
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_of_real_tools() {
        for (line, port) in [
            ("Serving HTTP on 0.0.0.0 port 8000 (http://0.0.0.0:8000/) ...", 8000),
            ("Serving HTTP on :: port 8000 (http://[::]:8000/) ...", 8000),
            (" * Running on http://127.0.0.1:5000", 5000),
            ("Starting development server at http://127.0.0.1:8000/", 8000),
            ("INFO:     Uvicorn running on http://127.0.0.1:8000 (Press CTRL+C to quit)", 8000),
            ("[2024-05-06 12:30:45 +0000] [1234] [INFO] Listening at: http://127.0.0.1:8000 (1234)", 8000),
            ("  Local URL: http://localhost:8501", 8501),
            ("        http://localhost:8888/tree?token=0123456789abcdef0123456789abcdef", 8888),
            ("INFO    -  [12:30:45] Serving on http://127.0.0.1:8000/", 8000),
            (
                "\x1b[32m  ➜\x1b[39m  \x1b[1mLocal\x1b[22m:   \x1b[36mhttp://localhost:\x1b[1m5173\x1b[22m/\x1b[39m",
                5173,
            ),
            ("ready: \x1b]8;;http://x\x07http://localhost:4173\x1b]8;;\x1b\\\x1b(B!", 4173),
            ("   - Local:        http://localhost:3000", 3000),
            ("┃ Local    http://localhost:4321/", 4321),
            (
                "** Angular Live Development Server is listening on localhost:4200, open your browser on http://localhost:4200/ **",
                4200,
            ),
            ("<i> [webpack-dev-server] Loopback: http://localhost:8080/", 8080),
            ("Example app listening on port 3000", 3000),
            ("App listening on 3000!", 3000),
            ("Listening on http://localhost:5173", 5173),
            (
                "{\"level\":30,\"time\":1699999999999,\"pid\":12345,\"hostname\":\"x\",\"msg\":\"Server listening at http://127.0.0.1:3000\"}",
                3000,
            ),
            ("{\"pid\":2345,\"msg\":\"listening\",\"port\":3000}", 3000),
            ("{\"level\":\"info\",\"msg\":\"listening\",\"addr\":\":8080\"}", 8080),
            ("  ▶ Accepting connections at http://localhost:3000", 3000),
            ("Listening on http://0.0.0.0:8000/ (http://localhost:8000/)", 8000),
            ("Started development server: http://localhost:3000", 3000),
            ("[GIN-debug] Listening and serving HTTP on :8080", 8080),
            ("2024/05/06 12:30:45 listening on :8080", 8080),
            ("server running at :8080", 8080),
            ("⇨ http server started on [::]:1323", 1323),
            ("Rocket has launched from http://127.0.0.1:8000", 8000),
            ("[2024-05-06T12:30:45Z INFO  actix_server] listening on: 127.0.0.1:8080, workers: 4", 8080),
            ("[Mon May  6 12:30:45 2024] PHP 8.2.7 Development Server (http://localhost:8080) started", 8080),
            ("* Listening on http://[::1]:3000", 3000),
            ("* Listening on tcp://0.0.0.0:9292", 9292),
            ("    Server address: http://127.0.0.1:4000/", 4000),
            ("Web Server is available at http://localhost:1313/ (bind address 127.0.0.1)", 1313),
            ("Tomcat started on port(s): 8080 (http) with context path ''", 8080),
            ("Running mode=standalone, port=6379.", 6379),
            ("listening on IPv4 address \"127.0.0.1\", port 5432", 5432),
            ("Now listening on: http://localhost:5000", 5000),
            ("[info] Running MyAppWeb.Endpoint with Bandit 1.0 at 127.0.0.1:4000 (http)", 4000),
            ("level=info msg=\"Start listening for connections\" address=0.0.0.0:9090", 9090),
            ("Local: http://127.0.0.1:3000/", 3000),
            ("Listening on :::3000", 3000),
            ("http://my-mac.local:8080 is up", 8080),
            // Named, not announced.
            ("http://127.0.0.1:8080", 8080),
            ("port 4000", 4000),
            ("PORT=4000", 4000),
            ("using port: 4000", 4000),
        ] {
            assert_eq!(announced(line), Some(port), "{line}");
        }
    }

    #[test]
    fn what_is_no_announcement() {
        for line in [
            "",
            "Port 3000 is in use, trying 3001 instead.",
            "Error: listen EADDRINUSE: address already in use :::3000",
            "Debugger listening on ws://127.0.0.1:9229/0123-4567",
            " * Debugger PIN: 123-456-789",
            "Connected to MongoDB at mongodb://localhost:27017",
            "server uses redis://localhost:6379 and postgres://u:p@127.0.0.1:5432/x",
            "[HPM] Proxy created: /api  -> http://localhost:5000",
            "127.0.0.1 - - [06/May/2024 12:30:45] \"GET / HTTP/1.1\" 200 -",
            "server started in 3000 ms",
            "[12:30:45] Server ready",
            "started server 2024-05-06 12:30",
            "listening on unix:/run/x.sock",
            "server at https://example.com:8443/ is up",
            "export 4000 files, report 8000, airport 9000",
            "Running on 4 workers",
            "listening on port 99999",
            "listening on port 0",
            "{\"pid\":1234,\"msg\":\"server ready\"}",
            "serving version 10.20.30.40:x",
        ] {
            assert_eq!(announced(line), None, "{line}");
        }
    }

    #[test]
    fn an_announcement_comes_before_what_is_only_named_and_the_first_counts() {
        for (text, port) in [
            (
                "> web@1.0.0 dev\n> vite --port 5173\n\nPort 5173 is in use, trying another one...\n\n  ➜  Local:   http://localhost:5174/\n",
                5174,
            ),
            ("see http://localhost:1111\nlistening on 2222\nlistening on 3333\n", 2222),
            ("LiveReload server listening on port 35729\nserver listening on 4000\n", 4000),
            ("metrics listening on :9090\n", 9090),
            ("> node server.js --port 4000\n", 4000),
        ] {
            // What has neither form nor announcement is not even named.
            let expected = Some(port).filter(|port| *port != 9090);
            assert_eq!(announced(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_line_is_too_strange(line in "\\PC{0,40}|(port|:|[0-9]{1,6}|localhost|\\[|\\]|http://|\x1b\\[|\x1b\\]|[ \"=.@]){0,12}") {
            let found = announced(&line);
            prop_assert!(found != Some(0));
        }
    }
}
