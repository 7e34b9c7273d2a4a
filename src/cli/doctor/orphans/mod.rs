//! `tsm doctor orphans`: what was left behind, and what can be done about it.

mod adopt;
mod kill;
mod show;

use super::super::context::Context;
use crate::error::{Error, Result};
use crate::inspect::{Exact, Orphans, Place, Probable, View, orphans};
use crate::model::Pid;
use crate::sys::process::Process;

/// Find processes that were left behind, and adopt or end them.
///
/// Of two kinds: those that TSM started and whose supervisor was killed, and those that listen on a port from 1024 to
/// 10000 and whose starter is gone. What is managed is none.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  tsm doctor orphans\n  \
    tsm doctor orphans --adopt        new supervisors, without a restart\n  \
    tsm doctor orphans --adopt web    for this one\n  \
    tsm doctor orphans --kill 12345   end this one with everything below it")]
pub(super) struct Args {
    /// Give those that TSM started new supervisors; all of them unless some are named.
    #[arg(long, num_args = 0.., value_name = "REF", conflicts_with = "kill")]
    adopt: Option<Vec<String>>,
    /// End those that TSM started, after asking; or those that are named, of either kind.
    #[arg(long, num_args = 0.., value_name = "PID")]
    kill: Option<Vec<String>>,
    /// Do not ask before ending them.
    #[arg(short, long, requires = "kill")]
    force: bool,
    /// Print a JSON object of what was found, or an array of what was done.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<()> {
    let views = context.all();
    let agents = context.agent_table();
    let found = orphans(&context.layout, &views, &|comm, argv| agents.agent(comm, argv));
    match (&args.adopt, &args.kill) {
        (Some(refs), _) => adopt::run(context, &found, refs, args.json),
        (None, Some(refs)) => kill::run(context, &found, refs, args.force, args.json),
        (None, None) => show::run(context, &views, &found, &agents, args.json),
    }
}

/// One orphan.
#[derive(Clone, Copy)]
enum Orphan<'a> {
    Exact(&'a Exact),
    Probable(&'a Probable),
}

impl<'a> Orphan<'a> {
    fn tree(self) -> &'a [Process] {
        match self {
            Orphan::Exact(one) => &one.tree,
            Orphan::Probable(one) => &one.tree,
        }
    }

    fn pid(self) -> Pid {
        match self {
            Orphan::Exact(one) => one.main.pid,
            Orphan::Probable(one) => one.main.pid,
        }
    }
}

/// What a word on the command line means.
enum Named<'a> {
    Orphan(Orphan<'a>),
    /// A tracked process that is no orphan.
    Other(Box<View>),
}

/// What `text` names: orphans by a PID of their tree, and tracked processes as everywhere.
///
/// # Errors
/// When it names nothing.
fn named<'a>(context: &Context, found: &'a Orphans, text: &str) -> Result<Vec<Named<'a>>> {
    let exact = found.exact.iter().map(Orphan::Exact);
    let pid = text.strip_prefix("pid:").unwrap_or(text).parse::<i32>().ok();
    if let Some(pid) = pid.and_then(Pid::new) {
        let mut all = exact.clone().chain(found.probable.iter().map(Orphan::Probable));
        if let Some(one) = all.find(|one| one.tree().iter().any(|process| process.pid == pid)) {
            return Ok(vec![Named::Orphan(one)]);
        }
    }
    let (views, mut errors) = context.find(&[text.to_owned()]);
    if let Some(error) = errors.pop() {
        return Err(match pid {
            Some(pid) => Error::not_found(format!("PID {pid} is no orphan")).hint("tsm doctor orphans"),
            None => error,
        });
    }
    let means = |view: View| {
        let orphan = exact.clone().find(|one| match one {
            Orphan::Exact(Exact { place: Place::Here(name) | Place::Left(name, _), .. }) => {
                *name == view.name
            }
            _ => false,
        });
        orphan.map_or_else(|| Named::Other(Box::new(view)), Named::Orphan)
    };
    Ok(views.into_iter().map(means).collect())
}
