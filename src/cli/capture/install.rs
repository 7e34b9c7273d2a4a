//! `tsm capture install` and `uninstall`: the hook that keeps conversations with commits.

use std::path::Path;

use serde::Serialize;

use crate::capture::install::{self, Done, Order};
use crate::capture::installed::{Installed, Way};
use crate::capture::repo::{Git, Place};
use crate::capture::uninstall;
use crate::cli::context::Context;
use crate::error::{Error, Result, plain};
use crate::sys::{clock, run as own};

/// Keep conversations with the commits of this repository.
///
/// Puts a post-commit hook where git looks for one. A hook that is there is run first and decides, as before. Where the
/// hooks are files of the working tree (husky), core.hooksPath leads to a directory in .git, whose hooks run yours.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  tsm capture install\n  tsm capture install --dry-run\n  \
    tsm capture install --global         all repositories that have no core.hooksPath")]
pub(super) struct Args {
    /// For all repositories of yours, by core.hooksPath.
    #[arg(long)]
    global: bool,
    /// Say what would be done, and do nothing.
    #[arg(long)]
    dry_run: bool,
    /// Print a JSON object.
    #[arg(long)]
    json: bool,
}

/// Take the hook away again.
///
/// The hook that was there before, and git's configuration, are then as they were. What was kept in .prompts/ stays.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  tsm capture uninstall\n  tsm capture uninstall --global")]
pub(super) struct UninstallArgs {
    /// The one for all repositories.
    #[arg(long)]
    global: bool,
    /// Say what would be done, and do nothing.
    #[arg(long)]
    dry_run: bool,
    /// Print a JSON object.
    #[arg(long)]
    json: bool,
}

/// The object of `--json`.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    /// The repository; none for all of them.
    root: Option<&'a Path>,
    /// Whether commits are captured then.
    installed: bool,
    dry_run: bool,
    #[serde(flatten)]
    done: Option<&'a Done>,
}

/// The repository of the working directory.
fn here(context: &Context) -> Result<Place> {
    Place::find(&context.current_dir()?)
}

/// Git where no repository has a say.
fn anywhere() -> Git {
    Git::at(Path::new("/"))
}

pub(super) fn run(context: &Context, args: &Args) -> Result<()> {
    let program = own::own_path()
        .map_err(|error| Error::failed(format!("no path of this program: {}", plain(&error))))?;
    let order = Order { layout: &context.layout, program, now_ms: clock::wall_ms(), dry_run: args.dry_run };
    let (place, done) = if args.global {
        (None, install::install_global(order, &anywhere())?)
    } else {
        let place = here(context)?;
        let done = install::install(order, &place)?;
        (Some(place), done)
    };
    let root = place.as_ref().map(|place| place.root.as_path());
    if args.json {
        return context.output.json(&Shown {
            root,
            installed: true,
            dry_run: args.dry_run,
            done: Some(&done),
        });
    }
    let what = match (done.changed, args.dry_run) {
        (false, _) => "Installed already",
        (true, true) => "Would install",
        (true, false) => "Installed",
    };
    context.output.line(&format!("{what}: {} ({})", done.hook.display(), how(done.way)))?;
    if let Some(config) = done.config.as_ref().filter(|_| done.changed) {
        let would = if args.dry_run { "would be " } else { "" };
        context.output.line(&format!("  core.hooksPath {would}set in {}", config.display()))?;
    }
    for remark in &done.remarks {
        context.output.remark(remark);
    }
    if let Some(place) = place.filter(|_| !args.dry_run) {
        context.output.remark(&fate(&place));
    }
    Ok(())
}

/// What becomes of the files that are written.
fn fate(place: &Place) -> String {
    let ignored = place.git().run(&["check-ignore", "-q", ".prompts/x.json"]);
    match ignored.map(|answer| answer.code) {
        Ok(0) => "conversations are written to .prompts/, which git ignores here: they stay on this machine".into(),
        _ => "conversations are written to .prompts/: commit them to share them, or keep them to yourself with: echo \
              .prompts/ >>.gitignore"
            .into(),
    }
}

fn how(way: Way) -> &'static str {
    match way {
        Way::File => "a new file",
        Way::Beside => "a new file, which runs the hook that was there",
        Way::Line => "a line in the script that is there",
        Way::StandIn => "each hook there runs the one that it stands in for",
    }
}

pub(super) fn undo(context: &Context, args: &UninstallArgs) -> Result<()> {
    let (root, done) = if args.global {
        (None, uninstall::uninstall_global(&context.layout, &anywhere(), args.dry_run)?)
    } else {
        let place = here(context)?;
        let done = uninstall::uninstall(&context.layout, &place, args.dry_run)?;
        (Some(place.root), done)
    };
    if args.json {
        let installed = args.dry_run && done.is_some();
        let shown = Shown { root: root.as_deref(), installed, dry_run: args.dry_run, done: done.as_ref() };
        return context.output.json(&shown);
    }
    let Some(done) = done else {
        context.output.line("Not installed: nothing was changed")?;
        let everywhere = Installed::read(&context.layout)?.global.is_some();
        if everywhere && !args.global {
            let text =
                "commits here are captured all the same: it is installed for all repositories of yours";
            context.output.advise(text, "tsm capture uninstall --global");
        }
        return Ok(());
    };
    let what = if args.dry_run { "Would uninstall" } else { "Uninstalled" };
    context.output.line(&format!("{what}: {}", done.hook.display()))?;
    for remark in &done.remarks {
        context.output.remark(remark);
    }
    Ok(())
}
