//! What a command and its options ask for, without starting it: for `tsm save`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::args::options;
use super::{Args, Ask, Context, directory, preview};
use crate::envfile;
use crate::error::{Error, Result};
use crate::model::{EnvVar, Policy};

/// A command with its options.
pub(crate) struct Asked {
    /// The words as typed.
    pub(crate) typed: Vec<String>,
    /// The working directory.
    pub(crate) dir: PathBuf,
    /// How it is to be stopped and restarted.
    pub(crate) policy: Policy,
    /// What `--env-var` sets.
    pub(crate) env_vars: BTreeMap<String, EnvVar>,
    /// The options, as a spec keeps them.
    pub(crate) options: Vec<String>,
}

/// Understands a command and its options.
///
/// # Errors
/// When the words are no command, or the directory or the environment file is not there.
pub(crate) fn asked(context: &Context, args: &Args) -> Result<Asked> {
    let dir = match &args.dir {
        Some(dir) => directory(context, dir)?,
        None => context.current_dir()?,
    };
    preview(context, &args.words)?;
    if let Some(env) = &args.env {
        envfile::locate(&dir, env, context.settings.home.as_deref())?;
    }
    let ask = Ask::of_command(context, args, dir)?;
    Ok(Asked {
        typed: ask.request.words,
        dir: ask.request.dir,
        policy: ask.policy,
        env_vars: ask.env_vars,
        options: ask.options,
    })
}

impl Args {
    /// The words after the options.
    pub(crate) fn words(&self) -> &[String] {
        &self.words
    }

    /// True for `--json`.
    pub(crate) fn wants_json(&self) -> bool {
        self.json
    }

    /// True for `--dry-run`.
    pub(crate) fn is_dry_run(&self) -> bool {
        self.dry_run
    }

    /// The first option that says how a command is to be run, without its value.
    pub(crate) fn first_option(&self) -> Option<String> {
        let dir = self.dir.as_ref().map(|_| "--dir".to_owned());
        let all = options(self).into_iter().next();
        all.map(|option| option.split('=').next().unwrap_or_default().to_owned()).or(dir)
    }

    /// # Errors
    /// Usage where `--wait` or `--no-wait` was given to `verb`, which starts nothing.
    pub(crate) fn starts_nothing(&self, verb: &str) -> Result<()> {
        let given = [("--wait", self.wait.is_some()), ("--no-wait", self.no_wait)];
        match given.iter().find(|(_, given)| *given) {
            Some((option, _)) => {
                Err(Error::usage(format!("{verb} has no option {option}")).hint(format!("tsm {verb} --help")))
            }
            None => Ok(()),
        }
    }
}
