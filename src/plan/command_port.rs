//! The port that a command names itself (rung 3 of the ladder).

use super::program::{self, Target};

/// Programs that talk to ports of others, or whose `-p` is something else.
const NOT_SERVERS: &[&str] = &[
    "ssh",
    "autossh",
    "scp",
    "sftp",
    "mosh",
    "rsync",
    "curl",
    "wget",
    "http",
    "https",
    "xh",
    "nc",
    "ncat",
    "netcat",
    "telnet",
    "socat",
    "psql",
    "mysql",
    "mongosh",
    "mongo",
    "redis-cli",
    "sqlite3",
    "ping",
    "nmap",
    "ab",
    "wrk",
    "hey",
    "k6",
    "websocat",
    "grpcurl",
    "wait-on",
    "open",
    "xdg-open",
    "ngrok",
    "cloudflared",
    "mkdir",
    "cp",
    "ps",
    "top",
    "htop",
    "kill",
    "strace",
    "gdb",
    "perf",
    "pgrep",
    "tail",
    "watch",
    "sleep",
    "echo",
    "cat",
    "grep",
    "ls",
    "git",
    "tar",
    "unzip",
    "ninja",
    "pytest",
    "tsc",
    "turbo",
    "parallel",
    "xargs",
    "journalctl",
    "tcpdump",
];

/// Options whose value is an address of somebody else, or not the one that is served.
const UPSTREAM: &[&str] = &[
    "--proxy",
    "--to",
    "--upstream",
    "--backend",
    "--target",
    "--connect",
    "--forward-to",
    "--url",
    "--db",
    "--database",
    "--redis",
    "--broker",
    "--registry",
    "--peer",
    "--remote",
    "--server",
    "--api",
    "--origin",
    "--join",
    "--inspect",
    "--inspect-brk",
    "--allow-net",
];

/// Options of servers that take a whole number as their port.
const PORT_OPTIONS: &[&str] = &[
    "--port",
    "-port",
    "--http-port",
    "-http-port",
    "--http_port",
    "--server.port",
    "--listen-port",
    "--server-port",
    "--web-port",
    "-Dserver.port",
];

/// What a command says about its port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Named {
    /// The port, and the words that name it.
    pub(super) port: Option<(u16, String)>,
    /// It says where it listens, if only by a variable, a socket's path or port 0: no template may say it again.
    pub(super) settled: bool,
    /// The program is known to serve nothing.
    pub(super) client: bool,
}

/// What `seen` (the program first) and the assignments before it say. `scripted` is the same command with its
/// interpreter in front.
pub(super) fn named(seen: &[String], scripted: &[String], assignments: &[(String, String)]) -> Named {
    let words = program::unwrapped(seen);
    let mut named = Named {
        client: words.first().is_some_and(|word| NOT_SERVERS.contains(&program::base(word))),
        ..Named::default()
    };
    if let Some((_, value)) = assignments.iter().find(|(name, _)| name == "PORT") {
        named.settle(value, &format!("PORT={value}"));
    }
    if named.client || named.port.is_some() {
        return named;
    }
    options(words, &mut named);
    if named.port.is_none() && !named.settled {
        positional(program::unwrapped(scripted), &mut named);
    }
    named
}

impl Named {
    /// Where it listens is `value`, as the command says in `text`.
    fn settle(&mut self, value: &str, text: &str) {
        self.settled = true;
        if self.port.is_none() {
            self.port = number(value).map(|port| (port, text.to_owned()));
        }
    }
}

/// Options of servers that listen on something else than a port.
const NO_PORT: &[&str] = &["--uds", "--fd", "--unixsocket"];

/// Options of servers that take an address or a port.
const LISTEN_OPTIONS: &[&str] = &["-l", "--listen", "-b", "--bind"];

fn options(words: &[String], named: &mut Named) {
    if words.first().is_some_and(|word| matches!(program::base(word), "docker" | "podman" | "nerdctl")) {
        return published(words, named);
    }
    let forwards = words.iter().any(|word| word == "port-forward");
    let mut before = "";
    for word in words.iter().skip(1).map(String::as_str) {
        let (option, value, text) = match word.split_once('=') {
            Some((option, value)) if option.starts_with('-') => (option, value, word.to_owned()),
            _ if before.starts_with('-') => (before, word, format!("{before} {word}")),
            _ => ("", word, word.to_owned()),
        };
        before = word;
        if UPSTREAM.contains(&option) {
            continue;
        }
        named.settled |= NO_PORT.contains(&option)
            || LISTEN_OPTIONS.contains(&option) && (value.starts_with("unix:") || value.starts_with("fd:"))
            || ["$PORT", "${PORT", "$TSM_PORT", "${TSM_PORT"].iter().any(|variable| word.contains(variable));
        let found = match option {
            _ if PORT_OPTIONS.contains(&option) => Some(value),
            // A small number after `-p` is rather a count.
            "-p" if value.parse().is_ok_and(|port: u32| port == 0 || port >= 80) => Some(value),
            _ if LISTEN_OPTIONS.contains(&option) && number(value).is_some() => Some(value),
            _ => address(value)
                .or_else(|| word.strip_prefix("PORT="))
                .or_else(|| {
                    word.strip_prefix("-p").filter(|digits| digits.len() >= 4 && number(digits).is_some())
                })
                .or_else(|| {
                    Some(word.split_once(':')?.0).filter(|local| forwards && number(local).is_some())
                }),
        };
        if let Some(port) = found {
            named.settle(port, &text);
        }
    }
}

/// The host's side of a container's published port: `-p 8080:80`, `-p 127.0.0.1:8080:80`.
fn published(words: &[String], named: &mut Named) {
    let mut before = "";
    for word in words.iter().map(String::as_str) {
        let value = match (before, word.strip_prefix("--publish=")) {
            (_, Some(value)) => Some(value),
            ("-p" | "--publish", None) => Some(word),
            _ => None,
        };
        if let Some(port) = value.and_then(|value| value.rsplit(':').nth(1)) {
            named.settle(port, word);
        }
        before = word;
    }
}

/// A number straight after a script, or anywhere after `http.server` and `runserver` that is no option's value.
fn positional(words: &[String], named: &mut Named) {
    let runserver = words.iter().position(|word| word == "runserver");
    let (at, anywhere) = match (runserver, program::target(words)) {
        (Some(at), _) | (None, Some(Target::Module("http.server", at))) => (at, true),
        (None, Some(Target::Script(_, at))) => (at, false),
        _ => return,
    };
    let mut before = "";
    for word in &words[at + 1..] {
        let value = matches!(before, "-b" | "--bind" | "-d" | "--directory" | "-p" | "--protocol");
        // A small number after a script is rather a count.
        if !value && number(word).is_some_and(|port| anywhere || port >= 1024) {
            return named.settle(word, &format!("{} {word}", words[at]));
        }
        if !anywhere {
            return;
        }
        before = word;
    }
}

/// The port of an address on this machine: `:8080`, `localhost:8080`, `0.0.0.0:8000`, `[::]:8000`. Digits or a variable.
fn address(word: &str) -> Option<&str> {
    let (host, port) = word.rsplit_once(':')?;
    let local = matches!(host, "" | "localhost" | "*" | "[::]" | "[::1]")
        || host.parse::<std::net::Ipv4Addr>().is_ok();
    (local && (number(port).is_some() || port == "0")).then_some(port)
}

fn number(text: &str) -> Option<u16> {
    text.parse().ok().filter(|&port| port > 0 && text.starts_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn look(line: &str) -> Named {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        named(&words, &words, &[])
    }

    #[test]
    fn a_port_is_found_in_every_form() {
        for (line, port) in [
            ("python -m http.server 8000", 8000),
            ("python -m http.server --bind 127.0.0.1 8300", 8300),
            ("python3 -m http.server 8300 --bind 127.0.0.1", 8300),
            ("python server.py 9000", 9000),
            ("ruby server.rb -p 4000", 4000),
            ("next dev -p 4000", 4000),
            ("next dev -p4000", 4000),
            ("docker run -e PORT=5000 -p 8080:5000 x", 8080),
            ("docker run --publish=8080:5000 x", 8080),
            ("vite --port=4000", 4000),
            ("vite --port 4000", 4000),
            ("npm run dev -- --port 4000", 4000),
            ("streamlit run a.py --server.port 8600", 8600),
            ("php -S localhost:8080", 8080),
            ("./server :8080", 8080),
            ("./server -addr :8080", 8080),
            ("./server -addr=:8080", 8080),
            ("./server -port 8080", 8080),
            ("gunicorn app:app -b 0.0.0.0:8001", 8001),
            ("gunicorn app:app --bind=[::]:8001", 8001),
            ("python manage.py runserver 8100", 8100),
            ("python manage.py runserver 0.0.0.0:8100", 8100),
            ("python manage.py runserver --noreload 8100", 8100),
            ("make run PORT=4000", 4000),
            ("docker run -p 8080:80 nginx", 8080),
            ("docker run -p 127.0.0.1:8081:80 nginx", 8081),
            ("kubectl port-forward svc/web 8082:80", 8082),
            ("serve -l 5001", 5001),
            ("java -Dserver.port=8090 -jar a.jar", 8090),
            ("uv run a.py 9001", 9001),
            ("vite --proxy localhost:9000 --port 4000", 4000),
        ] {
            let named = look(line);
            assert_eq!(named.port.as_ref().map(|(port, _)| *port), Some(port), "{line}");
            assert!(named.settled && !named.client, "{line}");
        }
        let words = ["node".to_owned(), "app.js".to_owned()];
        let set = [("PORT".to_owned(), "4000".to_owned())];
        assert_eq!(named(&words, &words, &set).port, Some((4000, "PORT=4000".into())));
    }

    #[test]
    fn other_numbers_are_no_ports() {
        for line in [
            "sleep 9000",
            "mkdir -p 4000",
            "ssh -p 22 host",
            "ssh -L 8080:localhost:80 host",
            "python train.py 20",
            "python train.py --epochs 2000",
            "curl localhost:8080",
            "vite --proxy localhost:9000",
            "node --inspect=127.0.0.1:9229 x",
            "./x --proxy=localhost:9000",
            "node app.js --origin http://localhost:3000",
            "uvicorn main:app",
            "python -m http.server --bind 127.0.0.1",
            "./worker 5000",
            "x -p 4",
            "x --port",
            "x 99999",
            "python s.py 99999",
            "python -m http.server -d 8000",
        ] {
            assert_eq!(look(line).port, None, "{line}");
        }
        assert!(look("ssh -p 22 host").client && look("/usr/bin/ssh host").client && !look("sshd").client);
    }

    #[test]
    fn a_command_may_settle_where_it_listens_without_a_number() {
        for line in [
            "uvicorn a:b --uds x.sock",
            "gunicorn a:b -b unix:x",
            "vite --port 0",
            "vite --port $PORT",
            "x -b :$PORT",
            "x --port=abc",
        ] {
            let named = look(line);
            assert!(named.settled && named.port.is_none(), "{line}: {named:?}");
        }
        for line in ["uvicorn a:b", "python -m http.server --bind 127.0.0.1", "vite --host 0.0.0.0"] {
            assert!(!look(line).settled, "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_words_can_be_looked_at(words in prop::collection::vec("\\PC{0,9}|-p|--port|-b|docker|[:=0-9]{0,7}|python|runserver", 0..6)) {
            let _ = named(&words, &words, &[]);
        }
    }
}
