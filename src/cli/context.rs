//! What every verb needs: settings, paths, output, and the processes that its refs mean.

use std::path::PathBuf;

use super::output::Output;
use super::refs::{self, Candidate};
use super::settings::Settings;
use crate::agents::AgentTable;
use crate::error::{Error, Kind, Result};
use crate::inspect::{Table, View, glance, verify, verify_in_table, view};
use crate::model::Name;
use crate::render::style::ColorChoice;
use crate::store::Layout;

/// The surroundings of one run of `tsm`.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) settings: Settings,
    pub(super) layout: Layout,
    pub(super) output: Output,
}

impl Context {
    pub(super) fn new(choice: ColorChoice) -> Result<Self> {
        let settings = Settings::read()?;
        let layout = Layout::new(settings.root.clone());
        let output = Output::new(Some(&settings), choice);
        Ok(Context { settings, layout, output })
    }

    /// Every tracked process, by ID.
    pub(super) fn all(&self) -> Vec<View> {
        self.all_in_table().0
    }

    /// The same, and the table of the processes that it was read from, if everything but supervisors is in that.
    pub(super) fn all_in_table(&self) -> (Vec<View>, Option<Table>) {
        let mut views = glance(&self.layout);
        let table = verify_in_table(&self.layout, &mut views);
        views.sort_by(|a, b| (a.id.is_none(), a.id, &a.name).cmp(&(b.id.is_none(), b.id, &b.name)));
        (views, table)
    }

    /// The processes that `refs` mean, each once, in their order; what could not be found comes as an error.
    pub(super) fn find(&self, refs: &[String]) -> (Vec<View>, Vec<Error>) {
        // A name in full is the usual ref and needs no look at the others.
        if let Some(views) = refs.iter().map(|text| self.named(text)).collect::<Option<Vec<View>>>() {
            let mut once: Vec<View> = Vec::new();
            for view in views {
                if once.iter().all(|known| known.name != view.name) {
                    once.push(view);
                }
            }
            return (once, Vec::new());
        }
        let mut views = glance(&self.layout);
        views.sort_by(|a, b| (a.id, &a.name).cmp(&(b.id, &b.name)));
        let candidates: Vec<Candidate> = views.iter().map(candidate).collect();
        let by_number = |text: &String| text.contains(|c: char| c.is_ascii_digit());
        let all_found = refs.iter().all(|text| refs::resolve(text, &candidates).is_ok());
        if !all_found && refs.iter().any(by_number) {
            // It may be a port that a process listens on without having planned it.
            verify(&self.layout, &mut views);
        }
        let candidates: Vec<Candidate> = views.iter().map(candidate).collect();
        let mut views: Vec<Option<View>> = views.into_iter().map(Some).collect();
        let mut found = Vec::new();
        let mut errors = Vec::new();
        for text in refs {
            match refs::resolve(text, &candidates) {
                Ok(places) => found.extend(places.into_iter().filter_map(|at| views[at].take())),
                Err(error) => errors.push(error),
            }
        }
        verify(&self.layout, &mut found);
        (found, errors)
    }

    /// The process whose exact name `text` is.
    fn named(&self, text: &str) -> Option<View> {
        if text == "all" {
            return None;
        }
        view(&self.layout, &Name::parse(text).ok()?)
    }

    /// The one process that `text` means.
    ///
    /// # Errors
    /// When it means none, or several.
    pub(super) fn find_one(&self, text: &str) -> Result<View> {
        let (mut found, mut errors) = self.find(std::slice::from_ref(&text.to_owned()));
        match (errors.pop(), found.len()) {
            (Some(error), _) => Err(error),
            (None, 1) => Ok(found.remove(0)),
            (None, 0) => Err(Error::not_found(format!("no such process: {text}")).hint("tsm list all")),
            (None, _) => {
                Err(Error::conflict(format!("{text:?} means several processes here, and one is wanted")))
            }
        }
    }

    /// The known agents, with the user's file on top; says what is wrong with that.
    pub(super) fn agent_table(&self) -> AgentTable {
        let path = self.settings.config_file("agents.toml");
        let (table, error) = AgentTable::load(path.as_deref());
        if let Some(error) = error {
            self.output.advise(error.message(), error.hint_text().unwrap_or_default());
        }
        table
    }

    /// The current directory.
    ///
    /// # Errors
    /// When it was removed.
    pub(super) fn current_dir(&self) -> Result<PathBuf> {
        std::env::current_dir().map_err(|error| {
            Error::failed(format!("cannot tell the current directory: {}", crate::error::plain(&error)))
                .hint("cd to a directory that exists")
        })
    }

    /// Prints errors of single items as they come and remembers the worst.
    pub(super) fn outcome(&self) -> Outcome<'_> {
        Outcome { output: &self.output, worst: None }
    }
}

/// What a ref can hit of a process.
pub(super) fn candidate(view: &View) -> Candidate {
    let mut ports = view.ports.clone();
    ports.extend(view.port.filter(|port| !view.ports.contains(port)));
    Candidate { name: view.name.clone(), id: view.id, ports, pid: view.pid }
}

/// The result of a verb over several processes: it goes on after a failure, and ends with the worst one's code.
pub(super) struct Outcome<'a> {
    output: &'a Output,
    worst: Option<Kind>,
}

impl Outcome<'_> {
    /// Says what failed, and goes on.
    pub(super) fn failed(&mut self, error: &Error) {
        let _ = crate::render::error::write(&mut std::io::stderr().lock(), error, self.output.error_color);
        let worse = self.worst.is_none_or(|worst| error.kind().exit_code() > worst.exit_code());
        if worse {
            self.worst = Some(error.kind());
        }
    }

    /// True when nothing failed.
    pub(super) fn is_good(&self) -> bool {
        self.worst.is_none()
    }

    /// The end of the verb.
    ///
    /// # Errors
    /// An error without a message, because everything has been said.
    pub(super) fn done(self) -> Result<()> {
        self.worst.map_or(Ok(()), |kind| Err(Error::new(kind, "")))
    }
}
