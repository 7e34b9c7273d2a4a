//! What the text of a script says about listening: its default port (rung 5), and whether it serves at all.
//!
//! Plain searches by line, without a parser or regular expressions: the text decides a default, and `list` shows what is
//! really listened on.

/// As much of a script as is looked at, in bytes.
pub(super) const LOOK: usize = 64 * 1024;

/// Names of a variable or argument that holds the port of the script itself.
const NAMES: &[&str] = &[
    "port",
    "default_port",
    "defaultport",
    "server_port",
    "serverport",
    "http_port",
    "httpport",
    "app_port",
    "appport",
    "listen_port",
    "listenport",
    "api_port",
    "web_port",
];

/// Words of a line that speaks of the port of somebody else.
const OTHERS: &[&str] =
    &["connect", "redis", "postgres", "mysql", "mongo", "smtp", "amqp", "proxy", "psycopg", "client"];

/// Words that only a script which serves has (in lower case).
const SERVES: &[&str] = &[
    "http.server",
    "httpserver",
    "socketserver",
    "xmlrpc.server",
    "wsgiref",
    "flask",
    "fastapi",
    "aiohttp.web",
    "import web",
    "aiohttp import web",
    "starlette",
    "uvicorn",
    "gunicorn",
    "hypercorn",
    "tornado",
    "bottle",
    "sanic",
    "django",
    "quart",
    "litestar",
    "cherrypy",
    "websockets.serve",
    "gradio",
    "streamlit",
    "start_server(",
    "create_server(",
    ".listen(",
    ".bind((",
    "sinatra",
    "webrick",
    "tcpserver",
    "rack/handler",
    "roda",
    "mojolicious",
    "dancer",
    "listenandserve",
    "net.listen(",
    "deno.serve",
    "bun.serve",
    "createserver(",
    "express(",
    "fastify(",
    "koa(",
    "new hono",
    "require('http')",
    "require(\"http\")",
    "node:http",
];

/// The default port of a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Default {
    /// The port.
    pub(super) port: u16,
    /// Its line, from 1.
    pub(super) line: usize,
    /// The script reads `PORT`, so it will listen on another port when told so.
    pub(super) reads_port: bool,
}

/// The default port that `text` has for itself. What stands behind a read of `PORT` comes before any other number.
pub(super) fn default_port(text: &str) -> Option<Default> {
    let lines = || text.lines().enumerate().map(|(index, line)| (index + 1, code(line)));
    let reads_port = lines().any(|(_, line)| environment(line).is_some());
    let fallback = lines().find_map(|(line, text)| Some((line, fallback(environment(text)?)?)));
    let found = fallback.or_else(|| lines().find_map(|(line, text)| Some((line, literal(text)?))));
    found.map(|(line, port)| Default { port, line, reads_port })
}

/// Whether `text` looks like a server's.
pub(super) fn serves(text: &str) -> bool {
    text.lines()
        .map(|line| code(line).to_ascii_lowercase())
        .any(|line| SERVES.iter().any(|word| line.contains(word)))
        || text.lines().any(|line| environment(code(line)).is_some())
}

/// A line without its comment.
fn code(line: &str) -> &str {
    let line = line.trim();
    if line.starts_with(['#', '*']) || line.starts_with("//") || line.starts_with("/*") {
        return "";
    }
    let end = [" #", " //"].iter().filter_map(|mark| line.find(mark)).min();
    &line[..end.unwrap_or(line.len())]
}

/// What stands behind a read of the variable `PORT`.
fn environment(line: &str) -> Option<&str> {
    let reads = line.contains("env") || line.contains("ENV");
    let marks = ["env.PORT", "\"PORT\"", "'PORT'"];
    let (at, mark) = marks.iter().filter_map(|mark| Some((line.find(mark)?, mark))).min()?;
    let rest = &line[at + mark.len()..];
    (reads && !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_')).then_some(rest)
}

/// The number behind a read of `PORT`: `|| 3000`, `?? 3000`, `, "5000")`, `or 5000`, `, 10) || 3000`.
fn fallback(rest: &str) -> Option<u16> {
    let mut rest = rest;
    let mut offered = false;
    while !rest.is_empty() {
        if let Some((value, more)) = digits(rest) {
            if value >= 80 {
                return u16::try_from(value).ok().filter(|_| offered);
            }
            rest = more;
            continue;
        }
        let word = ["or ", "or(", "int(", "Number(", "parseInt(", "str(", "String("]
            .iter()
            .find(|word| rest.starts_with(**word));
        let skip = match (word, rest.chars().next()) {
            (Some(word), _) => {
                offered |= word.starts_with("or");
                word.len()
            }
            (None, Some(c)) if " \"'])}(,|?:+".contains(c) => {
                offered |= matches!(c, ',' | '|' | '?');
                1
            }
            _ => return None,
        };
        rest = &rest[skip..];
    }
    None
}

/// The port that a line sets without the environment.
fn literal(line: &str) -> Option<u16> {
    let lower = line.to_ascii_lowercase();
    if OTHERS.iter().any(|word| lower.contains(word)) {
        return None;
    }
    assigned(&lower).or_else(|| listened(&lower)).or_else(|| argument(&lower)).or_else(|| pair(&lower))
}

/// `PORT = 5000`, `const port: number = 5000`, `run(port=5000)`.
fn assigned(line: &str) -> Option<u16> {
    NAMES.iter().find_map(|name| {
        line.match_indices(name).find_map(|(at, _)| {
            let part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '\'' | '"');
            if line[..at].ends_with(part) {
                return None;
            }
            let rest = line[at + name.len()..].trim_start();
            let rest =
                rest.strip_prefix(": int").or(rest.strip_prefix(": number")).unwrap_or(rest).trim_start();
            port(rest.strip_prefix('=')?)
        })
    })
}

/// `.listen(3000`, `listen({ port: 3000`, `serve({ port: 8000`.
fn listened(line: &str) -> Option<u16> {
    ["listen(", "serve("].iter().find_map(|call| {
        let rest = &line[line.find(call)? + call.len()..];
        let inside = rest
            .find("port:")
            .filter(|_| rest.trim_start().starts_with('{'))
            .map_or(rest, |at| &rest[at + 5..]);
        port(inside)
    })
}

/// `add_argument("--port", type=int, default=8000)`.
fn argument(line: &str) -> Option<u16> {
    let rest = &line[line.find("--port")?..];
    port(rest[rest.find("default")? + 7..].trim_start_matches([' ', '=', ':']))
}

/// `HTTPServer(("", 8000), …)`, `sock.bind(("0.0.0.0", 9000))`, `start_server(handle, "127.0.0.1", 8888)`.
fn pair(line: &str) -> Option<u16> {
    let rest =
        ["server(", ".bind(", "make_server("].iter().find_map(|call| Some(&line[line.find(call)?..]))?;
    ["\",", "',"].iter().flat_map(|end| rest.match_indices(end)).find_map(|(at, _)| port(&rest[at + 2..]))
}

/// The number at the start of `text`, as a port.
fn port(text: &str) -> Option<u16> {
    let (value, rest) = digits(text.trim_start().trim_start_matches(['"', '\'']))?;
    let ends = !rest.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '.'));
    u16::try_from(value).ok().filter(|&port| port >= 80 && ends)
}

fn digits(text: &str) -> Option<(u32, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn defaults_are_found_in_their_usual_forms() {
        for (text, port, reads_port) in [
            ("PORT = 5000", 5000, false),
            ("import x\nPORT: int = 5000  # here", 5000, false),
            ("port = int(os.environ.get(\"PORT\", 5000))", 5000, true),
            ("port = int(os.environ.get('PORT', '5001'))", 5001, true),
            ("p = os.getenv(\"PORT\", \"5000\")", 5000, true),
            ("p = int(os.getenv('PORT') or 5000)", 5000, true),
            ("app.run(host='0.0.0.0', port=5000)", 5000, false),
            ("uvicorn.run(app, port=8001)", 8001, false),
            ("parser.add_argument('--port', type=int, default=8002)", 8002, false),
            ("HTTPServer(('', 8003), Handler).serve_forever()", 8003, false),
            ("s.bind((\"127.0.0.1\", 8004))", 8004, false),
            ("app.listen(3000)", 3000, false),
            ("server.listen({ host, port: 3001 })", 3001, false),
            ("Deno.serve({ port: 8005 }, f)", 8005, false),
            ("const PORT = process.env.PORT || 3000;", 3000, true),
            ("const port = process.env.PORT ?? '3002'", 3002, true),
            ("const port = parseInt(process.env.PORT, 10) || 3003", 3003, true),
            ("const port = Number(process.env.PORT || 3004)", 3004, true),
            ("const port = process.env['PORT'] || 3005", 3005, true),
            ("const x = 1\nconst port = 4000\napp.listen(port)", 4000, false),
            ("PORT = 1234\nport = os.environ.get('PORT', 5678)", 5678, true),
        ] {
            let found = default_port(text);
            assert_eq!(found.map(|found| (found.port, found.reads_port)), Some((port, reads_port)), "{text}");
        }
        assert_eq!(default_port("\n\nPORT = 5000").unwrap().line, 3);
    }

    #[test]
    fn other_numbers_are_no_defaults() {
        for text in [
            "print('hello 5000')",
            "# PORT = 5000",
            "// const port = 3000",
            "DB_PORT = 5432",
            "redis.Redis(port=6379)",
            "psycopg2.connect(host='x', port=5432)",
            "transport = 5000",
            "self.port == 5000",
            "port = 5000.5",
            "port = 500000",
            "port = 0",
            "const port = process.env.PORT",
            "app.listen(process.env.PORT, () => console.log('up 3000'))",
            "export = 9000",
        ] {
            assert_eq!(default_port(text), None, "{text}");
        }
    }

    #[test]
    fn a_server_is_told_from_a_script() {
        for text in [
            "from http.server import HTTPServer",
            "from flask import Flask",
            "require('http').createServer(f)",
            "x = os.environ['PORT']",
        ] {
            assert!(serves(text), "{text}");
        }
        for text in
            ["print('hello')", "# flask", "import requests\nrequests.get('x')", "while True: time.sleep(1)"]
        {
            assert!(!serves(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_can_be_looked_at(text in "(port|PORT|env|default|--port|listen\\(|[ =:,|?'\"(){}0-9\n]|\\PC){0,40}") {
            let _ = (default_port(&text), serves(&text));
        }
    }
}
