//! `tsm doctor kill`: frees one port.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::port::{self, Holder, Status, command, unseen};
use crate::cli::confirm::confirm;
use crate::cli::context::Context;
use crate::cli::end::{self, How};
use crate::cli::foreign::{Foreign, Victim};
use crate::cli::stop::say_killed;
use crate::error::{Error, Result};
use crate::inspect::{Belongs, View, Who, manager};
use crate::model::{Killed, Pid};
use crate::render::sanitize;
use crate::sys::{poll, sockets};

/// End who listens on a port.
///
/// Asks before it does so. What TSM manages is stopped through its supervisor; anything else gets TERM, and after two
/// seconds KILL. Whoever is only connected to the port is left alone.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tsm doctor kill 8000")]
pub(super) struct Args {
    /// A port from 1 to 65535.
    #[arg(value_name = "PORT", value_parser = port::parse_port)]
    port: u16,
    /// Do not ask.
    #[arg(short, long)]
    force: bool,
    /// Print a JSON object.
    #[arg(long)]
    json: bool,
}

/// How long a foreign process has between TERM and KILL.
const GRACE: Duration = Duration::from_secs(2);

/// How long to look whether somebody starts the same program again: other process managers do so at once.
const RETAKEN: Duration = Duration::from_millis(250);

/// The object of `tsm doctor kill --json`.
#[derive(Debug, Serialize)]
struct Freed {
    schema: u32,
    port: u16,
    /// What was ended.
    ended: Vec<Ended>,
    /// What of it had to be killed.
    killed: Vec<Killed>,
    /// Nobody listens there now.
    free: bool,
    /// Those who do.
    holders: Vec<Holder>,
}

#[derive(Debug, Serialize)]
struct Ended {
    /// The tracked process, or none.
    name: Option<String>,
    id: Option<u32>,
    /// The process that listened.
    pid: Option<i32>,
    command: String,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<()> {
    let views = context.all();
    let state = port::look(context, &views, args.port)?;
    match state.status {
        Status::Free => return nothing_to_do(context, args),
        Status::Blocked => {
            return Err(Error::failed(format!("nobody is seen to listen on port {}", args.port))
                .hint(format!("tsm doctor port {}", args.port)));
        }
        Status::Used => {}
    }
    if let Some(holder) = state.holders.iter().find(|holder| holder.process.is_none()) {
        let why = sentence(&unseen(holder));
        return Err(Error::failed(format!("cannot end who holds port {}: {why}", args.port))
            .hint(format!("sudo tsm doctor kill {}", args.port)));
    }
    let holders: Vec<&Who> = state.holders.iter().filter_map(|holder| holder.process.as_ref()).collect();
    let found = Found::new(args.port, &holders, &views)?;
    let questions: Vec<String> = holders.iter().map(|who| described(who)).collect();
    let question = format!(
        "Port {} is held by\n{}\nEnd {}?",
        args.port,
        questions.join("\n"),
        if holders.len() == 1 { "it" } else { "them" }
    );
    if !args.force && !confirm(context, &question, || refusal(args.port, &holders))? {
        return Err(Error::failed("nothing was ended"));
    }
    let freed = found.end(context, args, &views)?;
    recheck(context, args, freed)
}

fn nothing_to_do(context: &Context, args: &Args) -> Result<()> {
    if args.json {
        return context.output.json(&Freed::new(args.port));
    }
    context.output.line(&format!("Port {} is free already", args.port))
}

/// What is to be ended, and a hold on what TSM does not manage.
struct Found {
    managed: Vec<View>,
    foreign: Foreign,
    victims: Vec<Victim>,
}

impl Found {
    fn new(port: u16, holders: &[&Who], views: &[View]) -> Result<Self> {
        let mut managed: Vec<View> = Vec::new();
        let mut pids: Vec<Pid> = Vec::new();
        for who in holders {
            match manager(who.pid, views) {
                Some(view) if managed.iter().any(|known| known.name == view.name) => {}
                Some(view) => managed.push(view.clone()),
                None => pids.push(who.pid),
            }
        }
        let alone = pids.is_empty();
        let foreign = Foreign::of_port(port, pids);
        let victims = if alone { Vec::new() } else { foreign.hold(views)? };
        Ok(Found { managed, foreign, victims })
    }

    fn end(&self, context: &Context, args: &Args, views: &[View]) -> Result<Freed> {
        let mut freed = Freed::new(args.port);
        let say = |text: String, killed: &[Killed]| -> Result<()> {
            if args.json {
                return Ok(());
            }
            context.output.line(&text)?;
            say_killed(context, killed)
        };
        for (view, begun) in end::begin_all(&self.managed, How::Gracefully) {
            let killed = begun.and_then(|ending| end::finish(view, ending))?;
            say(format!("Stopped: {}", view.title()), &killed)?;
            freed.killed.extend(killed);
            freed.ended.push(Ended {
                name: Some(view.name.to_string()),
                id: view.id,
                pid: view.pid,
                command: view.command.clone(),
            });
        }
        if self.victims.is_empty() {
            return Ok(freed);
        }
        let killed = self.foreign.end(&self.victims, Some(GRACE), views)?;
        for victim in &self.victims {
            let text = format!("Ended: PID {} ({})", victim.pid, sanitize::text(&victim.command));
            say(text, &[])?;
            freed.ended.push(Ended {
                name: None,
                id: None,
                pid: Some(victim.pid.get()),
                command: victim.command.clone(),
            });
        }
        if !args.json {
            say_killed(context, &killed)?;
        }
        freed.killed.extend(killed);
        Ok(freed)
    }
}

impl Freed {
    fn new(port: u16) -> Self {
        Freed { schema: 1, port, ended: Vec::new(), killed: Vec::new(), free: true, holders: Vec::new() }
    }
}

/// One holder, in the question.
fn described(who: &Who) -> String {
    let shown: String = command(who).chars().take(200).collect();
    let mut lines = vec![format!("  PID {}: {}", who.pid, sanitize::text(&shown))];
    lines.push(match &who.belongs {
        Belongs::Managed { .. } => format!("    of {}, which TSM manages", who.belongs),
        Belongs::Unknown => format!("    of user {}, which TSM does not manage", who.user),
        belongs => format!("    of user {}, from {belongs}, which TSM does not manage", who.user),
    });
    if let Some(dir) = who.project.as_ref().or(who.cwd.as_ref()) {
        lines.push(format!("    in {}", sanitize::text(&dir.display().to_string())));
    }
    lines.join("\n")
}

/// The same where nobody can be asked.
fn refusal(port: u16, holders: &[&Who]) -> Error {
    let named: Vec<String> = holders
        .iter()
        .map(|who| {
            if matches!(who.belongs, Belongs::Managed { .. }) {
                return who.belongs.to_string();
            }
            let shown: String = who.command.chars().take(120).collect();
            format!("PID {} ({}), which TSM does not manage", who.pid, sanitize::text(&shown))
        })
        .collect();
    Error::conflict(format!("port {port} is held by {}", named.join(", and ")))
        .hint(format!("tsm doctor kill --force {port}, if that may end"))
}

/// Looks whether the port is free now, and says who has it if not.
fn recheck(context: &Context, args: &Args, mut freed: Freed) -> Result<()> {
    let foreign = freed.ended.iter().any(|one| one.name.is_none());
    let end = Instant::now() + if foreign { RETAKEN } else { Duration::ZERO };
    let listened = || sockets::listeners().is_ok_and(|all| all.iter().any(|one| one.port == args.port));
    while !listened() && Instant::now() < end {
        poll::pause(Duration::from_millis(5));
    }
    let state = port::look(context, &context.all(), args.port)?;
    freed.free = state.status == Status::Free;
    freed.holders = state.holders;
    let taken = freed.holders.first().map(|holder| match &holder.process {
        Some(who) => format!("PID {} ({})", who.pid, sanitize::text(&who.command)),
        None => format!("a program of user {}", holder.socket_user),
    });
    if args.json {
        context.output.json(&freed)?;
    }
    match taken {
        Some(who) => Err(Error::failed(format!("port {} is held by {who} now", args.port))
            .hint(format!("tsm doctor port {}, to see what started it", args.port))),
        None => Ok(()),
    }
}

/// A sentence's beginning in the middle of another one.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}
