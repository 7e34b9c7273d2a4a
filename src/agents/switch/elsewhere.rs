//! Why a session cannot be brought forward, and what its user can do.

use super::chain::Chain;
use super::environment::Environment;
use crate::error::Error;
use crate::model::Pid;

/// Says where the process sits instead.
pub(super) fn why_not(pid: Pid, chain: &Chain, environments: &[Environment], troubles: &[String]) -> Error {
    let own = environments.first();
    let of = |name: &str| own.and_then(|own| own.get(name)).map(|value| value.to_string_lossy().into_owned());
    let parent = |names: &[&str]| chain.names().skip(1).any(|name| names.contains(&name));
    let tty = chain.tty.as_deref();
    let (why, hint) = if chain.pids().next().is_none() {
        (format!("PID {pid} is gone"), "tsm agents".into())
    } else if parent(&["screen", "SCREEN"]) {
        let name = of("STY").map_or(String::new(), |sty| format!(" {sty}"));
        (format!("it sits in a window of screen{name}, which tsm cannot switch"), format!("screen -x{name}"))
    } else if parent(&["zellij"]) {
        let name = of("ZELLIJ_SESSION_NAME").map_or(String::new(), |name| format!(" {name}"));
        (
            format!("it sits in a pane of zellij{name}, which tsm cannot switch"),
            format!("zellij attach{name}"),
        )
    } else if tty.is_none() {
        ("it has no terminal: it runs in the background".into(), format!("tsm agents explain {pid}"))
    } else if parent(&["sshd", "sshd-session"]) {
        (format!("it sits at {}, the terminal of an ssh connection", tty.unwrap_or_default()), tmux_hint())
    } else if let Some(console) = tty.and_then(|tty| tty.strip_prefix("tty")?.parse::<u32>().ok()) {
        (format!("it sits at the console tty{console}"), format!("chvt {console}"))
    } else {
        let host = chain.host.as_ref().map_or(String::new(), |(pid, name)| format!(" of {name} (PID {pid})"));
        let tty = tty.unwrap_or_default();
        let mut why = format!(
            "it sits at {tty}{host}, in no pane of tmux and no window of i3 or sway that can be found"
        );
        if !troubles.is_empty() {
            why = format!("{why} ({})", troubles.join("; "));
        }
        (why, tmux_hint())
    };
    Error::failed(format!("cannot bring PID {pid} forward: {why}")).hint(hint)
}

fn tmux_hint() -> String {
    "run agents in tmux, where tsm can switch to them: tmux new-session claude".into()
}

#[cfg(test)]
mod tests {
    use super::super::chain::tests::chain;
    use super::*;

    #[test]
    fn it_is_said_where_it_sits_and_what_can_be_done() {
        let screen = Environment::new(|name| (name == "STY").then(|| "77.work".into()));
        let none = Environment::default();
        let check = |chain: &Chain, environment: &Environment, troubles: &[String], why: &str, hint: &str| {
            let error = why_not(Pid::new(10).unwrap(), chain, std::slice::from_ref(environment), troubles);
            assert!(error.message().contains(why), "{error}");
            assert!(error.hint_text().unwrap().contains(hint), "{:?}", error.hint_text());
        };
        let claude = (10, "claude");
        check(&chain(&[], None), &none, &[], "PID 10 is gone", "tsm agents");
        check(
            &chain(&[claude, (9, "SCREEN")], Some("pts/1")),
            &screen,
            &[],
            "screen 77.work",
            "screen -x 77.work",
        );
        // Inherited by what sits elsewhere.
        check(&chain(&[claude, (9, "xterm")], Some("pts/1")), &screen, &[], "pts/1 of xterm (PID 9)", "tmux");
        check(&chain(&[claude, (9, "zellij")], Some("pts/1")), &none, &[], "pane of zellij", "zellij attach");
        check(&chain(&[claude], None), &none, &[], "no terminal", "explain");
        check(&chain(&[claude, (9, "sshd")], Some("pts/1")), &none, &[], "ssh connection", "tmux");
        check(&chain(&[claude, (9, "login")], Some("tty3")), &none, &[], "console tty3", "chvt 3");
        check(&chain(&[claude], Some("ttyS0")), &none, &[], "ttyS0", "tmux");
        check(
            &chain(&[claude], Some("pts/1")),
            &none,
            &["tmux at /x: it hangs".into()],
            "found (tmux at /x: it hangs)",
            "tmux",
        );
    }
}
