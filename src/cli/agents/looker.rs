//! Looks at the sessions as the verbs see them: with their labels, in their order, and noted for the prompt.

use crate::agents::switch::Workspaces;
use crate::agents::{
    self, AgentTable, Change, Config, Document, Files, Labels, Register, Session, Watcher, refs,
};
use crate::cli::context::Context;
use crate::error::{Error, Kind, Result};
use crate::inspect::{View, glance};
use crate::sys::clock;

/// Looks once, or again and again.
pub(in crate::cli) struct Looker<'a> {
    context: &'a Context,
    files: Files,
    watcher: Watcher,
    register: Register,
    workspaces: Workspaces,
    /// Those of other homes are shown as well.
    all: bool,
    /// Nothing is said and nothing written.
    quiet: bool,
    /// That the labels cannot be read was said.
    complained: bool,
    /// When the last look was, in milliseconds since the Unix epoch.
    now_ms: u64,
}

impl<'a> Looker<'a> {
    /// One that has not looked yet. What is wrong with the user's table of agents is said at once.
    pub(in crate::cli) fn new(context: &'a Context, all: bool) -> Self {
        let (looker, complaint) = Self::with_table(context, all);
        if let Some(error) = complaint {
            context.output.remark(error.message());
        }
        looker
    }

    /// The same for who must not say or write anything.
    pub(in crate::cli) fn quiet(context: &'a Context) -> Self {
        Looker { quiet: true, ..Self::with_table(context, false).0 }
    }

    fn with_table(context: &'a Context, all: bool) -> (Self, Option<Error>) {
        let (config, complaint) = config(context, all);
        let (files, watcher) = (Files::of(&context.layout), Watcher::new(config));
        let (register, workspaces) = (Register::default(), Workspaces::default());
        (
            Looker {
                context,
                files,
                watcher,
                register,
                workspaces,
                all,
                quiet: false,
                complained: false,
                now_ms: 0,
            },
            complaint,
        )
    }

    /// Looks, and returns what has changed since the last look.
    pub(in crate::cli) fn look(&mut self) -> Vec<Change> {
        self.now_ms = clock::wall_ms();
        let mut sessions = self.watcher.look(self.now_ms);
        match Labels::load(&self.files) {
            Ok(labels) => labels.apply(&mut sessions),
            Err(error) => {
                if !self.quiet && !std::mem::replace(&mut self.complained, true) {
                    self.context.output.remark(&format!("no labels are shown: {}", error.message()));
                }
            }
        }
        if !self.quiet {
            self.workspaces.note(&mut sessions, &self.context.settings.seat, self.now_ms);
        }
        let changes = self.register.update(sessions, self.now_ms);
        if !self.all && !self.quiet {
            // The prompt can do without; and who cannot write there has been told by other verbs.
            let _ = agents::waiting::note(&self.files, self.register.waiting(), self.now_ms);
        }
        changes
    }

    /// Those of the last look.
    pub(in crate::cli) fn sessions(&self) -> &[Session] {
        self.register.list()
    }

    /// How many of the last look belong to other homes, and are not shown.
    pub(in crate::cli) fn hidden(&self) -> usize {
        if self.all { 0 } else { self.watcher.elsewhere() }
    }

    /// When the last look was.
    pub(in crate::cli) fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// The files of agents.
    pub(in crate::cli) fn files(&self) -> &Files {
        &self.files
    }

    /// The session of the last look that `text` means.
    ///
    /// # Errors
    /// As [`refs::resolve`].
    pub(in crate::cli) fn find(&self, text: &str) -> Result<Session> {
        let all = self.sessions();
        refs::resolve(text, all).map(|at| all[at].clone()).map_err(|error| match error.kind() {
            Kind::NotFound if self.hidden() > 0 => error.hint("tsm agents --all, which shows other homes"),
            _ => error,
        })
    }

    /// Looks, and returns the session that `text` means.
    ///
    /// # Errors
    /// As [`refs::resolve`].
    pub(in crate::cli) fn look_for(&mut self, text: &str) -> Result<Session> {
        self.look();
        self.find(text)
    }
}

/// Whose agents are looked for, those of other homes too if `all`; and what is wrong with the user's table of agents.
pub(in crate::cli) fn config(context: &Context, all: bool) -> (Config, Option<Error>) {
    let (table, complaint) = AgentTable::load(context.settings.config_file("agents.toml").as_deref());
    let config = Config {
        claude_dir: context.settings.claude_dir.clone(),
        home: context.settings.home.clone(),
        dir: Files::of(&context.layout).path().to_owned(),
        table,
        elsewhere: all,
    };
    (config, complaint)
}

/// The tracked process that a session is, if `tsm start` started it.
pub(in crate::cli) fn managed(session: &Session, views: &[View]) -> Option<View> {
    let is_it = |view: &&View| view.main == Some(session.identity) && view.status.live();
    views.iter().find(is_it).cloned()
}

/// What the files say of every tracked process: only to be asked which session is one.
pub(in crate::cli) fn tracked(context: &Context) -> Vec<View> {
    glance(&context.layout)
}

/// A session for JSON.
pub(in crate::cli) fn document(session: &Session, views: &[View]) -> Document {
    let managed = managed(session, views).map(|view| view.name.to_string());
    Document { managed, ..Document::from(session) }
}
