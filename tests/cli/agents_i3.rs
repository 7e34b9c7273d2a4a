//! `tsm agents switch` with a real i3 on a virtual screen, and a real sway without one: windows and workspaces.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::agents_switch::{Tmux, agent, pid};
use crate::kit::{User, WITHOUT, do_without, eventually, kill, run};

/// A program that is ended when this is dropped.
struct Running(Child);

impl Running {
    /// Starts it; its words about itself go to a file.
    fn start(mut command: Command, log: &Path, without: &str) -> Self {
        let log = fs::File::options().create(true).append(true).open(log).unwrap();
        command.stderr(log);
        let name = command.get_program().to_owned();
        match command.spawn() {
            Ok(child) => Running(child),
            Err(why) => {
                panic!("{why}: apt-get install {}, or set {WITHOUT}={without}", name.display())
            }
        }
    }

    fn pid(&self) -> i32 {
        self.0.id() as i32
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        kill(self.pid(), "CONT");
        kill(self.pid(), "TERM");
        let ended = (0..1000).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(5));
            self.0.try_wait().unwrap().is_some()
        });
        if !ended {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

/// A window manager with a screen of its own.
struct Desk<'a> {
    user: &'a User,
    /// What its programs need to find it.
    vars: Vec<(&'static str, PathBuf)>,
    /// What speaks to it: `i3-msg` or `swaymsg`, and its socket.
    ask: (&'static str, PathBuf),
    windows: Vec<Running>,
    manager: Running,
    _screen: Option<Running>,
}

impl<'a> Desk<'a> {
    /// i3 on a virtual X server with these options more, which lets in only who has its key.
    fn i3(user: &'a User, options: &[&str]) -> Option<Self> {
        if do_without("i3") {
            return None;
        }
        let (log, key) = (user.home().join("desk.log"), user.home().join("display.key"));
        // For any address and display (`FamilyWild`): its number is not known before it runs.
        let cookie = [7; 16];
        let parts: [&[u8]; 4] = [b"", b"", b"MIT-MAGIC-COOKIE-1", &cookie];
        let mut entry = vec![0xff, 0xff];
        for part in parts {
            entry.extend((part.len() as u16).to_be_bytes());
            entry.extend(part);
        }
        fs::write(&key, entry).unwrap();
        let mut xvfb = user.command("Xvfb");
        xvfb.args(["-displayfd", "1", "-nolisten", "tcp", "-auth"]).arg(&key).args(options);
        xvfb.stdout(Stdio::piped());
        let mut screen = Running::start(xvfb, &log, "i3");
        let mut number = String::new();
        BufReader::new(screen.0.stdout.take().unwrap()).read_line(&mut number).unwrap();
        let display = PathBuf::from(format!(":{}", number.trim()));
        let runtime = runtime_dir(user);
        let vars = vec![("DISPLAY", display), ("XAUTHORITY", key), ("XDG_RUNTIME_DIR", runtime.clone())];
        let config = user.home().join("i3.config");
        fs::write(&config, "# i3 config file (v4)\nfont pango:monospace 8\n").unwrap();
        let mut i3 = user.command("i3");
        i3.args(["-c"]).arg(&config).envs(vars.iter().cloned());
        let manager = Running::start(i3, &log, "i3");
        let socket = runtime.join(format!("i3/ipc-socket.{}", manager.pid()));
        let desk =
            Desk { user, vars, ask: ("i3-msg", socket), windows: Vec::new(), manager, _screen: Some(screen) };
        desk.until_it_answers();
        Some(desk)
    }

    /// sway without a screen. It refuses to be root, so it runs in a namespace in which this user is another one.
    fn sway(user: &'a User) -> Option<Self> {
        if do_without("sway") {
            return None;
        }
        let log = user.home().join("desk.log");
        let runtime = runtime_dir(user);
        let config = user.home().join("sway.config");
        fs::write(&config, "xwayland disable\n").unwrap();
        let mut sway = user.command("unshare");
        sway.args(["--user", "--map-user=1000", "--map-group=1000", "sway", "-c"]).arg(&config);
        sway.env("WLR_BACKENDS", "headless")
            .env("WLR_LIBINPUT_NO_DEVICES", "1")
            .env("WLR_RENDERER", "pixman");
        sway.env("XDG_RUNTIME_DIR", &runtime);
        let manager = Running::start(sway, &log, "sway");
        let socket = runtime.join(format!("sway-ipc.1000.{}.sock", manager.pid()));
        eventually("sway is up; apt-get install sway foot, or set TSM_TEST_WITHOUT=sway", || {
            socket.exists() && runtime.join("wayland-1").exists()
        });
        let vars = vec![
            ("SWAYSOCK", socket.clone()),
            ("WAYLAND_DISPLAY", "wayland-1".into()),
            ("XDG_RUNTIME_DIR", runtime),
        ];
        let desk = Desk { user, vars, ask: ("swaymsg", socket), windows: Vec::new(), manager, _screen: None };
        desk.until_it_answers();
        Some(desk)
    }

    fn until_it_answers(&self) {
        eventually("the window manager answers", || run(self.asking(&["-t", "get_version"])).code == 0);
    }

    fn asking(&self, words: &[&str]) -> Command {
        let mut command = self.user.command(self.ask.0);
        command.arg("-s").arg(&self.ask.1).args(words);
        command
    }

    /// What the window manager answers.
    fn says(&self, words: &[&str]) -> Value {
        serde_json::from_str(&run(self.asking(words)).code(0).stdout).unwrap()
    }

    fn goes_to(&self, workspace: &str) {
        self.says(&["workspace", workspace]);
    }

    /// The workspace that has the focus, and the title of the window that has it.
    fn seen(&self) -> (String, String) {
        let workspaces = self.says(&["-t", "get_workspaces"]);
        let one = workspaces.as_array().unwrap().iter().find(|one| one["focused"] == true).unwrap();
        let name = one["name"].as_str().unwrap().to_owned();
        (name, focused(&self.says(&["-t", "get_tree"])).unwrap_or_default())
    }

    /// Runs a program that opens windows here.
    fn runs(&mut self, program: &str, words: &[&str]) {
        let mut command = self.user.command(program);
        command.args(words).envs(self.vars.iter().cloned());
        let without = if program == "xterm" { "i3" } else { "sway" };
        self.windows.push(Running::start(command, &self.user.home().join("desk.log"), without));
    }

    /// Opens a terminal with a title on a workspace; returns when it has the focus.
    fn opens(&mut self, workspace: &str, program: &str, title: &str, command: &str) {
        self.goes_to(workspace);
        self.runs(program, &["-T", title, "-e", "sh", "-c", command]);
        self.until_seen(workspace, title);
    }

    #[track_caller]
    fn until_seen(&self, workspace: &str, title: &str) {
        eventually(&format!("{title} is seen on {workspace}"), || {
            self.seen() == (workspace.to_owned(), title.to_owned())
        });
    }

    /// `tsm agents switch`, as from outside of it: nothing but the runtime directory says where it is.
    fn switch(&self, pid: &str) -> Command {
        self.tsm(&["agents", "switch", pid, "--json"])
    }

    fn tsm(&self, words: &[&str]) -> Command {
        let mut command = self.user.tsm_command(words);
        command.envs(self.vars.iter().filter(|(name, _)| *name == "XDG_RUNTIME_DIR").cloned());
        command
    }

    /// The workspace of a session in `tsm agents --json`.
    fn workspace(&self, pid: &str) -> Value {
        let all: Value = serde_json::from_str(&run(self.tsm(&["agents", "--json"])).code(0).stdout).unwrap();
        let one = all.as_array().unwrap().iter().find(|one| one["pid"] == pid.parse::<i32>().unwrap());
        one.unwrap_or_else(|| panic!("no {pid} in {all:#}"))["workspace"].clone()
    }

    fn switched(&self, pid: &str) -> Value {
        serde_json::from_str(&run(self.switch(pid)).code(0).stdout).unwrap()
    }
}

impl Drop for Desk<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            crate::kit::say(&crate::kit::text(&self.user.home().join("desk.log")));
        }
        // What it shows first: a terminal whose screen went away has much to say.
        self.windows.clear();
    }
}

/// The title of the window that has the focus.
fn focused(node: &Value) -> Option<String> {
    if node["focused"] == true {
        return node["name"].as_str().map(str::to_owned);
    }
    let below = ["nodes", "floating_nodes"].into_iter().filter_map(|name| node[name].as_array());
    below.flatten().find_map(focused)
}

fn runtime_dir(user: &User) -> PathBuf {
    use std::os::unix::fs::DirBuilderExt;
    let dir = user.home().join("run");
    fs::DirBuilder::new().mode(0o700).create(&dir).unwrap();
    dir
}

#[test]
fn i3_shows_the_workspace_and_the_window_of_a_session() {
    let user = User::new();
    let Some(mut desk) = Desk::i3(&user, &[]) else { return };
    desk.opens("2: web", "xterm", "asks", &agent(&user, "asks"));
    desk.opens("2: web", "xterm", "beside it", "exec sleep 1000");
    desk.opens("1", "xterm", "elsewhere", "exec sleep 1000");
    let asks = pid(&user, "asks");
    assert_eq!(desk.workspace(&asks), "2: web");
    let mut explain = desk.tsm(&["agents", "explain", "2: web"]);
    explain.env("DISPLAY", ":none");
    run(explain).code(0).says("workspace     2: web");
    user.ok(&["daemon", "start"]);
    let known = user.ok(&["rpc", "agents.list"]);
    assert!(known.stdout.replace(": ", ":").contains("\"workspace\":\"2:web\""), "{known:?}");
    user.ok(&["daemon", "stop"]);
    let said = desk.switched(&asks);
    assert_eq!(
        (&said["by"], &said["place"], &said["workspace"]),
        (&"i3".into(), &"2: web".into(), &"2: web".into())
    );
    desk.until_seen("2: web", "asks");
    // What was put away comes to where the user is.
    desk.says(&["[title=\"^asks$\"]", "move", "scratchpad"]);
    desk.goes_to("1");
    assert_eq!(desk.switched(&asks)["workspace"], Value::Null);
    desk.until_seen("1", "asks");

    // What fills the screen gives way.
    desk.says(&["[title=\"^asks$\"] move container to workspace 2: web, floating disable"]);
    desk.goes_to("2: web");
    desk.says(&["[title=\"^beside it$\"] focus"]);
    desk.says(&["fullscreen", "enable"]);
    desk.switched(&asks);
    desk.until_seen("2: web", "asks");
    desk.says(&["[title=\"^elsewhere$\"] focus, fullscreen enable global"]);
    desk.until_seen("1", "elsewhere");
    desk.switched(&asks);
    desk.until_seen("2: web", "asks");

    // i3 stands still: the user of the verb does not.
    kill(desk.manager.pid(), "STOP");
    run(desk.switch(&asks)).code(1).complains("the window manager at").complains("it does not answer");
}

#[test]
fn i3_shows_the_terminal_of_a_tmux_together_with_the_pane() {
    let user = User::new();
    // A server without that extension knows nothing of processes, and the windows' own word is taken.
    let Some(mut desk) = Desk::i3(&user, &["-extension", "X-Resource"]) else { return };
    let Some(tmux) = Tmux::new(&user, "s", "work", "sh") else { return };
    tmux.say(&["new-window", "-d", "-t", "work:", &agent(&user, "asks")]);
    let attach = format!("TERM=xterm exec tmux -S {} attach", tmux.socket.display());
    desk.opens("3", "xterm", "tmux", &attach);
    desk.opens("1", "xterm", "elsewhere", "exec sleep 1000");
    let asks = pid(&user, "asks");
    assert_eq!(desk.workspace(&asks), "3");
    let said = desk.switched(&asks);
    assert_eq!(
        (&said["by"], &said["place"], &said["workspace"]),
        (&"tmux".into(), &"work:1.0".into(), &"3".into())
    );
    assert_eq!(tmux.say(&["display-message", "-p", "-t", "work:", "#{window_index}"]), "1");
    desk.until_seen("3", "tmux");
}

#[test]
fn sway_shows_the_window_and_of_several_of_one_program_none_that_may_be_wrong() {
    let user = User::new();
    let Some(mut desk) = Desk::sway(&user) else { return };
    desk.opens("2", "foot", "asks", &agent(&user, "asks"));
    desk.opens("1", "foot", "elsewhere", "exec sleep 1000");
    let mut command = desk.switch(&pid(&user, "asks"));
    command.env_remove("XDG_RUNTIME_DIR");
    let said: Value = serde_json::from_str(&run(command).code(0).stdout).unwrap();
    assert_eq!((&said["by"], &said["place"]), (&"sway".into(), &"2".into()));
    desk.until_seen("2", "asks");

    // One process with windows on two workspaces.
    let server = user.home().join("run/foot.sock");
    let socket = format!("--server={}", server.display());
    desk.runs("foot", &[&socket]);
    eventually("the server of terminals is up", || server.exists());
    let client = format!("--server-socket={}", server.display());
    for (workspace, title, command) in
        [("4", "first", agent(&user, "first")), ("5", "second", "exec sleep 1000".into())]
    {
        desk.goes_to(workspace);
        desk.runs("footclient", &[&client, "-T", title, "sh", "-c", &command]);
        desk.until_seen(workspace, title);
    }
    let first = pid(&user, "first");
    let refused = run(desk.switch(&first)).code(6).complains("foot shows several windows");
    assert_eq!(desk.workspace(&first), Value::Null);
    let refused = refused.complains("\"first\" on workspace 4").complains("\"second\" on workspace 5");
    assert_eq!(refused.stdout, "");
    assert_eq!(desk.seen().0, "5", "nothing was changed");
    // On the same workspace, that one is certain.
    desk.says(&["move", "container", "to", "workspace", "4"]);
    desk.goes_to("1");
    assert_eq!(desk.workspace(&first), "4");
    let said = desk.switched(&first);
    assert_eq!(said["workspace"], "4");
    assert!(said["remark"].as_str().unwrap().contains("several windows"), "{said}");
    assert_eq!(desk.seen().0, "4");
}
