//! `tsm doctor port`: who has one port.

use std::net::IpAddr;

use serde::Serialize;

use crate::cli::context::Context;
use crate::error::{Error, Kind, Result, plain};
use crate::inspect::{self, Belongs, Held, Planned, Remark, View, Who, census, held, user_name, who};
use crate::render::{human, sanitize, shell_quote};
use crate::sys::{sockets, user};

/// Show who has a port.
///
/// Only who listens has it: a connection to it, or one that was closed just now, leaves it free.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tsm doctor port 8000 && npm start\n\n\
    Exit code 0 when the port is free, 1 when it is in use.")]
pub(super) struct Args {
    /// A port from 1 to 65535.
    #[arg(value_name = "PORT", value_parser = parse_port)]
    port: u16,
    /// Print a JSON object.
    #[arg(long)]
    json: bool,
}

/// A port from 1 to 65535.
pub(in crate::cli) fn parse_port(text: &str) -> Result<u16, String> {
    text.parse().ok().filter(|port| *port > 0).ok_or_else(|| "not a port from 1 to 65535".to_owned())
}

/// What is known of one port; also the object of `tsm doctor port --json`.
#[derive(Debug, Serialize)]
pub(super) struct State {
    pub(super) schema: u32,
    pub(super) port: u16,
    pub(super) status: Status,
    /// Those who listen.
    pub(super) holders: Vec<Holder>,
    /// The tracked process that has it reserved.
    pub(super) reserved_by: Option<String>,
    /// What is wrong.
    pub(super) remarks: Vec<Remark>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    /// Nobody listens, and a server could be started there.
    Free,
    /// Somebody listens.
    Used,
    /// Nobody is seen to listen, but no server could be started there.
    Blocked,
}

/// One of those who listen.
#[derive(Debug, Serialize)]
pub(super) struct Holder {
    pub(super) addrs: Vec<IpAddr>,
    /// The user who made the sockets, by name or number.
    pub(super) socket_user: String,
    /// Who it is; none when this user cannot see it.
    pub(super) process: Option<Who>,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<()> {
    show(context, args.port, args.json)
}

/// Shows who has `port`.
///
/// # Errors
/// One without a message when somebody has it.
pub(in crate::cli) fn show(context: &Context, port: u16, json: bool) -> Result<()> {
    let state = look(context, &context.all(), port)?;
    if json {
        context.output.json(&state)?;
    } else {
        print(context, &state)?;
    }
    if state.status == Status::Free { Ok(()) } else { Err(Error::new(Kind::Failed, "")) }
}

/// What is so of `port` now.
///
/// # Errors
/// When the kernel does not say who listens.
pub(super) fn look(context: &Context, views: &[View], port: u16) -> Result<State> {
    let mut listeners = sockets::listeners().map_err(|error| {
        Error::failed(format!("cannot read the table of listening sockets: {}", plain(&error)))
    })?;
    listeners.retain(|one| one.port == port);
    let table = if listeners.is_empty() { inspect::Table::default() } else { inspect::Table::all() };
    let held = held(&listeners, &table);
    let planned: Vec<Planned> = views.iter().map(Planned::from).collect();
    let remarks = census(&held, &planned).into_iter().filter(|row| row.port == port);
    let remarks: Vec<Remark> = remarks.filter_map(|row| row.remark).collect();
    let home = context.settings.home.as_deref();
    let agents = context.agent_table();
    let agent = |comm: &str, argv: &[String]| agents.agent(comm, argv);
    let seen = |one: Held| {
        let process = one.pid.and_then(|pid| who(pid, views, home, &agent));
        // One that has just ended is no holder any more.
        (process.is_some() || one.pid.is_none()).then(|| Holder {
            socket_user: user_name(one.uid),
            process,
            addrs: one.addrs,
        })
    };
    let holders: Vec<Holder> = held.into_iter().filter_map(seen).collect();
    Ok(State {
        schema: 1,
        port,
        status: if !holders.is_empty() {
            Status::Used
        } else if sockets::port_is_free(port) {
            Status::Free
        } else {
            Status::Blocked
        },
        remarks,
        reserved_by: planned
            .iter()
            .find(|process| process.port == Some(port) && process.state.live())
            .map(|process| process.name.clone()),
        holders,
    })
}

fn print(context: &Context, state: &State) -> Result<()> {
    let out = &context.output;
    let port = state.port;
    match state.status {
        Status::Free => out.line(&format!("Port {port} is free"))?,
        Status::Used => out.line(&format!("Port {port} is in use"))?,
        Status::Blocked => {
            out.line(&format!("Port {port} is in use, but nobody is seen to listen"))?;
            out.line("  A connection has it as its own end, or its holder cannot be seen from here")?;
        }
    }
    for (at, holder) in state.holders.iter().enumerate() {
        if at > 0 {
            out.line("")?;
        }
        print_holder(context, port, holder)?;
    }
    for remark in &state.remarks {
        out.advise(&remark.text, &remark.next);
    }
    Ok(())
}

fn print_holder(context: &Context, port: u16, holder: &Holder) -> Result<()> {
    let out = &context.output;
    // As wide as the longest of them, which is what the seed's three are aligned to.
    // One line each: a foreign command could otherwise write lines of its own here.
    let field =
        |name: &str, value: &str| out.line(&format!("  {:<8} {}", format!("{name}:"), sanitize::text(value)));
    let addrs: Vec<String> = holder.addrs.iter().map(IpAddr::to_string).collect();
    let Some(process) = &holder.process else {
        field("User", &holder.socket_user)?;
        field("Address", &addrs.join(", "))?;
        out.line(&format!("\n{}", unseen(holder)))?;
        return out.line(&format!("  Use: sudo tsm doctor port {port}"));
    };
    field("PID", &process.pid.to_string())?;
    field("User", &process.user)?;
    field("Process", &process.process)?;
    field("Command", &command(process))?;
    field("Address", &addrs.join(", "))?;
    if let Some(dir) = &process.cwd {
        field("Dir", &dir.display().to_string())?;
    }
    if let Some(project) = &process.project {
        field("Project", &project.display().to_string())?;
    }
    field("Age", &human::span(process.age_ms))?;
    if process.belongs != Belongs::Unknown {
        field("From", &process.belongs.to_string())?;
    }
    if let Belongs::Managed { name, .. } = &process.belongs {
        out.line("\nThis is a TSM-managed process")?;
        return out.line(&format!("  Use: tsm stop {name}"));
    }
    out.line("\nThis is NOT a TSM-managed process")?;
    out.line(&format!("  Use: tsm doctor kill {port}"))
}

/// Why nothing more is known of a holder.
pub(super) fn unseen(holder: &Holder) -> String {
    if user::uid() == 0 {
        // Root sees every process but init; what is left are sockets of the kernel and of other namespaces.
        "It is held by init, by the kernel, or by a process outside of this container".to_owned()
    } else {
        format!("It belongs to user {}, whose processes are hidden from you", holder.socket_user)
    }
}

/// The command as a person would type it; what a program calls itself, in one word with blanks, is none.
pub(super) fn command(process: &Who) -> String {
    if process.argv.len() < 2 { process.command.clone() } else { shell_quote::join(&process.argv) }
}
