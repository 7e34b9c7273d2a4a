//! `tsm capture`: what was said to coding agents, kept with the commits that came of it.

mod blame;
pub(super) mod commit;
mod export;
mod install;
mod list;
mod search;
mod show;

use chrono::DateTime;
use serde_json::Value;

use super::complete::Candidate;
use super::context::Context;
use super::settings::Settings;
use crate::capture::commit::Desk;
use crate::capture::history::{self, Kept};
use crate::capture::record::{Facts, Record};
use crate::capture::repo::Place;
use crate::capture::{Config, Sessions};
use crate::error::{Error, Result};
use crate::inspect::Repository;
use crate::render::{human, sanitize};
use crate::store::Layout;
use crate::sys::clock;

/// Keep what was said to coding agents with each commit.
///
/// tsm capture install puts a hook into this repository. With each commit, what was said to an agent since the last one is
/// written to .prompts/ in the working tree, secrets masked; commit these files to share them, or ignore them to keep them
/// to yourself. ~/.config/tsm/capture.toml says what is left out.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  tsm capture install\n  tsm capture list\n  tsm capture show HEAD\n  \
    tsm capture blame src/main.rs:12")]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    Install(install::Args),
    Uninstall(install::UninstallArgs),
    List(list::Args),
    Show(show::Args),
    Search(search::Args),
    Export(export::Args),
    Blame(blame::Args),
}

pub(super) fn run(context: &Context, args: &Args) -> Result<()> {
    match &args.what {
        What::Install(args) => install::run(context, args),
        What::Uninstall(args) => install::undo(context, args),
        What::List(args) => list::run(context, args),
        What::Show(args) => show::run(context, args),
        What::Search(args) => search::run(context, args),
        What::Export(args) => export::run(context, args),
        What::Blame(args) => blame::run(context, args),
    }
}

/// What is captured, and where it is kept.
///
/// # Errors
/// When `capture.toml` is not understood.
fn desk(settings: &Settings) -> Result<Desk> {
    let layout = Layout::new(settings.root.clone());
    let config = match settings.config_file("capture.toml") {
        Some(path) => Config::load(&path)?,
        None => Config::default(),
    };
    let sessions = Sessions::open(&layout, config);
    let home = settings.home.as_ref().map(|home| home.canonicalize().unwrap_or_else(|_| home.clone()));
    let claude = settings.claude_dir.clone().or_else(|| Some(settings.home.as_ref()?.join(".claude")));
    Ok(Desk { layout, sessions, home, claude_dirs: claude.into_iter().collect() })
}

/// A repository and every conversation in it.
struct Here {
    place: Place,
    /// The kept ones, then what is in no commit yet.
    all: Vec<Kept>,
}

impl Here {
    /// That of the working directory. What a worker was kept from is done first.
    ///
    /// # Errors
    /// When there is no repository, or its conversations cannot be read.
    fn find(context: &Context) -> Result<Self> {
        let place = Place::find(&context.current_dir()?)?;
        let desk = desk(&context.settings)?;
        let now_ms = clock::wall_ms();
        if let Err(error) = desk.read_agents(&place) {
            context.output.remark(&format!("what agents have written down could not be read: {error}"));
        }
        for error in desk.sweep(now_ms).failed {
            context.output.remark(&format!("not kept yet: {error}"));
        }
        let (mut all, broken) = history::all(&place.root)?;
        for one in broken {
            context.output.remark(&one);
        }
        let branch = Repository::of(&place.root).and_then(|repository| repository.branch());
        for session in desk.sessions.of_repo(&place.root)? {
            let home = desk.home.as_deref();
            let wanted = |_: &std::path::Path| true;
            let record = Record::of(&session, &Facts::default(), branch.as_deref(), u64::MAX, home, wanted);
            all.extend(record.map(|record| Kept { file: None, record }));
        }
        Ok(Here { place, all })
    }

    /// Says how to begin, where nothing is captured.
    fn advise(&self, context: &Context) {
        if !crate::capture::install::is_installed(&self.place).unwrap_or(true) {
            context.output.advise("capture is not installed in this repository", "tsm capture install");
        }
    }

    /// What a word means.
    ///
    /// # Errors
    /// As [`history::resolve`].
    fn resolve(&self, context: &Context, word: &str) -> Result<Vec<&Kept>> {
        history::resolve(&self.place.git(), &self.all, word).inspect_err(|_| self.advise(context))
    }
}

/// A conversation as `--json` has it: the file's own words, and where it is.
fn document(kept: &Kept) -> Result<Value> {
    let mut value = serde_json::to_value(&kept.record).map_err(|why| Error::failed(why.to_string()))?;
    if let Some(object) = value.as_object_mut() {
        object.insert("file".into(), kept.file.clone().into());
        object.insert("active".into(), kept.file.is_none().into());
        if kept.file.is_none() {
            object.insert("commit".into(), Value::Null);
            object.insert("author".into(), Value::Null);
        }
    }
    Ok(value)
}

/// The commit in short; `-` for what has none.
fn short(kept: &Kept) -> &str {
    match (&kept.file, kept.record.commit.sha.get(..7)) {
        (Some(_), Some(short)) => short,
        _ => "-",
    }
}

/// The first line of what the user said first.
fn prompt(record: &Record) -> &str {
    let said = record.messages.iter().find(|said| said.role == crate::capture::Role::User);
    let said = said.or(record.messages.first());
    said.and_then(|said| said.content.lines().find(|line| !line.trim().is_empty())).unwrap_or_default().trim()
}

/// A point in time of a record, as everywhere at a terminal: in the zone of the user. What is none stays as it is.
fn moment(time: &str) -> String {
    let ms = DateTime::parse_from_rfc3339(time).ok().map(|time| time.timestamp_millis());
    ms.and_then(|ms| u64::try_from(ms).ok()).map_or_else(|| time.to_owned(), human::time)
}

/// Foreign lines, for people: harmless in a pipe as well, which often ends at a terminal. Code is full of tabs.
fn lines(text: &str) -> String {
    sanitize::lines(&text.replace('\t', "    ")).into_owned()
}

/// What stands for a conversation on the command line, for a completion: commits, newest first.
pub(super) fn candidates() -> Vec<Candidate> {
    let Some(repository) = std::env::current_dir().ok().and_then(|dir| Repository::of(&dir)) else {
        return Vec::new();
    };
    let (kept, _) = history::all(&repository.root).unwrap_or_default();
    let mut found: Vec<Candidate> = Vec::new();
    for one in kept.iter().rev() {
        if found.iter().all(|known| known.value != short(one)) {
            found.push(Candidate::new(short(one), one.record.commit.subject.clone()));
        }
    }
    found
}
