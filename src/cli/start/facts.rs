//! What the planner asks of this machine.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::Context;
use crate::envfile::{self, Overlay, TIMEOUT};
use crate::error::Result;
use crate::model::{EnvFile, EnvSource};
use crate::plan::{EnvAsk, Facts};
use crate::supervisor::environment;

/// The files, programs and environment files around one working directory.
pub(super) struct World {
    dir: PathBuf,
    home: Option<PathBuf>,
    /// What the environment file changed, when it was read.
    overlay: RefCell<Overlay>,
    remarks: RefCell<Vec<String>>,
    /// No environment file is sourced.
    only_reads: bool,
}

impl World {
    pub(super) fn new(context: &Context, dir: &Path) -> Self {
        World {
            dir: dir.to_owned(),
            home: context.settings.home.clone(),
            overlay: RefCell::default(),
            remarks: RefCell::default(),
            only_reads: false,
        }
    }

    /// The same, which reads the assignments of a named environment file instead of sourcing it.
    pub(super) fn only_reading(self) -> Self {
        World { only_reads: true, ..self }
    }

    /// What the environment file changes.
    pub(super) fn overlay(&self) -> Overlay {
        self.overlay.take()
    }

    /// What is worth a word about the environment file.
    pub(super) fn remarks(&self) -> Vec<String> {
        self.remarks.take()
    }
}

impl Facts for World {
    fn is_file(&self, path: &Path) -> bool {
        self.dir.join(path).is_file()
    }

    fn is_executable(&self, path: &Path) -> bool {
        use std::os::unix::fs::PermissionsExt;
        std::fs::metadata(self.dir.join(path))
            .is_ok_and(|facts| facts.is_file() && facts.permissions().mode() & 0o111 != 0)
    }

    fn read_head(&self, path: &Path, limit: usize) -> Option<Vec<u8>> {
        let path = self.dir.join(path);
        // A FIFO or device would block or never end.
        if !std::fs::metadata(&path).is_ok_and(|facts| facts.is_file()) {
            return None;
        }
        let mut bytes = Vec::new();
        File::open(path).ok()?.take(limit as u64).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    fn on_path(&self, program: &str) -> bool {
        which::which(program).is_ok()
    }

    fn find_env(&self, ask: &EnvAsk, dir: &Path) -> Result<(Option<EnvFile>, Vec<String>)> {
        match ask {
            EnvAsk::None => Ok((None, Vec::new())),
            EnvAsk::Named(value) => {
                let path = envfile::locate(dir, value, self.home.as_deref())?;
                Ok((Some(EnvFile { path, source: EnvSource::Named }), Vec::new()))
            }
            EnvAsk::Discover => {
                let nearby = envfile::nearby(dir);
                let remark = nearby.production.filter(|_| nearby.read.is_none()).map(|_| {
                    "env/production.env is there but never read unasked; use it with --env production"
                        .to_owned()
                });
                let found = nearby.read.map(|path| EnvFile { path, source: EnvSource::Found });
                Ok((found, remark.into_iter().collect()))
            }
        }
    }

    fn load_env(&self, file: &EnvFile) -> Result<BTreeMap<String, String>> {
        let base = environment::captured(std::env::vars_os());
        let overlay = match file.source {
            EnvSource::Named if !self.only_reads => {
                envfile::source_named(&file.path, &base, &self.dir, TIMEOUT)?
            }
            EnvSource::Found | EnvSource::Named => {
                let lookup = |name: &str| {
                    base.iter()
                        .find(|(key, _)| key == name)
                        .map(|(_, value)| value.to_string_lossy().into_owned())
                };
                let (set, problems) = envfile::read_found(&file.path, &lookup)?;
                // What bash makes of the other lines of a named file shows when it is started.
                let passed_over = problems.iter().filter(|_| file.source == EnvSource::Found);
                self.remarks.borrow_mut().extend(passed_over.map(|problem| {
                    format!("{}:{}: not read: {}", file.path.display(), problem.line, problem.why)
                }));
                Overlay { set, ..Overlay::default() }
            }
        };
        let values = overlay.set.clone();
        *self.overlay.borrow_mut() = overlay;
        Ok(values)
    }
}
