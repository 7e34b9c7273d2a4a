//! The README's two minutes, typed in an interactive bash, with TAB where a person would press it.

use crate::kit::{User, free_port};

/// Ends a line, so that its own echo does not look like the end of what it prints.
const DONE: &str = "; echo do''ne";

const LAYER: &str = "source ~/co/shell/tsm.sh; export NO_COLOR=1";

#[test]
fn two_minutes_of_the_readme() {
    let user = User::new();
    user.shell_layer();
    let listen = "require('http').createServer((q, r) => r.end('hi')).listen(process.env.PORT, () => console.log('listening on ' + process.env.PORT))\n";
    user.file("web/server.js", listen);
    user.file("web/package.json", "{\"scripts\": {\"start\": \"node server.js\"}}");
    user.program("jobs/worker.sh", "#!/bin/bash\necho at work\nwhile :; do sleep 1000; done\n");
    let stubborn = free_port();
    let app = format!("import http.server\nhttp.server.test(port={stubborn}, bind='127.0.0.1')\n");
    user.file("old/app.py", &app);
    let mut bash = user.interactive_bash(LAYER);
    let mut types = |line: &str, says: &[&str]| {
        let said = bash.runs(&format!("{line}{DONE}"));
        for text in says {
            assert!(said.contains(text), "{line}: no {text:?} in {said}");
        }
        said
    };
    let [first, second, third, fourth] = [(); 4].map(|()| free_port());

    let name = format!("my-api-http-{first}");
    let server = format!("tsm start --port {first} python3 -m http.server");
    types(&server, &[&format!("Started: {name} (TSM ID: 0, PID: "), &format!("Port: {first})")]);
    types(&server, &[&format!("Already running: {name} (TSM ID: 0, ")]);

    types("cd web", &[]);
    types(&format!("tsm start --port {second} node ser\t"), &[&format!("Started: web-server-{second} ")]);
    types(&format!("tsm start --port {third} npm start"), &[&format!("Started: web-start-{third} ")]);
    types("cd ../jobs", &[]);
    types("tsm start ./wor\t", &["Started: jobs-worker ("]);
    let elsewhere = format!("it listens on {stubborn}, not on the planned port {fourth}");
    types(&format!("cd ../old && tsm start --port {fourth} --name old python3 app.py"), &[&elsewhere]);

    let list = types("tsm list", &["ID  NAME", &name, "jobs-worker", "socket"]);
    assert!(list.lines().filter(|line| line.contains("online")).count() == 5, "{list}");
    types("tsm logs web-se\t-n 2", &[&format!("listening on {second}")]);
    types("tsm resta\tjobs\t", &["Restarted: jobs-worker (TSM ID: 3, PID: "]);
    types("tsm why old", &["is up", &format!("listens on {stubborn} instead")]);
    types(&format!("tsm doctor port {first}"), &["This is a TSM-managed process", "http.server"]);
    types("tsm start --dry-run npm start", &["argv npm start: the words as typed", "name old-start-"]);
    types("tsm cd web-server && pwd", &["/my-api/web"]);
    types("tsm nonsense", &["there is no verb \"nonsense\""]);
    let stopped = types("tsm sto\tall", &[&format!("Stopped: {name} (TSM ID: 0)"), "Stopped: jobs-worker"]);
    assert_eq!(stopped.matches("Stopped: ").count(), 5, "{stopped}");
    types("tsm list", &["nothing is running"]);
    types("tsm_unload; declare -F tsm || complete -p tsm", &["no completion specification"]);
}

#[test]
fn two_terminals_see_the_same() {
    let user = User::new();
    user.shell_layer();
    let (mut one, mut two) = (user.interactive_bash(LAYER), user.interactive_bash(LAYER));
    let port = free_port();
    let started =
        one.runs(&format!("tsm start --wait --port {port} --name web python3 -m http.server{DONE}"));
    assert!(started.contains("Started: web-"), "{started}");
    assert!(two.runs(&format!("tsm list{DONE}")).contains(&format!("web-{port}")));
    assert_eq!(two.line("tsm logs -f we\t"), format!("tsm logs -f web-{port} |"));

    // Follows it in the one, while the other fetches a page.
    two.terminal.types("tsm logs -f web");
    let fetch = format!("import urllib.request as u; u.urlopen('http://127.0.0.1:{port}/').read()");
    one.runs(&format!("python3 -c \"{fetch}\"{DONE}"));
    two.terminal.shows("GET / HTTP");
    two.terminal.interrupt();
    two.terminal.shows("ready> ");

    // A stranger's port is freed after the question.
    let foreign = free_port();
    one.runs(&format!("python3 -m http.server {foreign} >/dev/null 2>&1 & until tsm doctor port {foreign} | grep -q NOT; do :; done{DONE}"));
    let answered = two.runs(&format!("tsm doctor kill {foreign}{DONE}\ny"));
    assert!(answered.contains("[y/N]"), "{answered}");
    assert!(
        two.runs(&format!("tsm doctor port {foreign}{DONE}")).contains(&format!("Port {foreign} is free"))
    );
    let stopped = two.runs(&format!("tsm stop all{DONE}"));
    assert!(stopped.contains("Stopped: web-"), "{stopped}");
}
