//! Learns the states of Claude Code processes, and remembers what need not be read again.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::assign::{self, Candidate, SLACK_MS, Seeker};
use super::detect::Facts;
use super::join::{Known, join};
use super::locate::{self, Asked, Listed};
use super::registry::{self, Registry};
use super::transcripts::Transcripts;
use super::{Assessment, Claude};
use crate::agents::hooks::{self, Told};
use crate::model::{Identity, Pid};

/// How long what hooks have told is believed against a registry that names another conversation, in milliseconds.
const HOOKS_LATE_MS: u64 = 60_000;

/// Reads the sources and keeps what it has read from look to look.
#[derive(Debug, Default)]
pub struct Reader {
    /// Where the hooks have told something: `TSM_DIR/agents/hooks`.
    hooks: Option<PathBuf>,
    transcripts: Transcripts,
    /// What each process was found to have at the last look.
    bound: HashMap<Identity, Bound>,
    /// Files that a process has left or has ended with, and when they had been written last: nobody else's, unless
    /// somebody goes on with them.
    spent: HashMap<PathBuf, u64>,
}

/// The conversation of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Bound {
    /// The one that it says.
    declared: Option<String>,
    path: PathBuf,
}

/// What a process says of itself.
#[derive(Debug)]
struct Said {
    registry: Registry,
    told: Option<Told>,
    asked: Asked,
    /// The conversation that it names, the best source first.
    id: Option<String>,
    /// True when that is only what it was asked to resume, which can be a word to search for.
    is_search: bool,
}

impl Reader {
    /// A reader that has seen nothing, and knows no hooks.
    pub fn new() -> Self {
        Reader::default()
    }

    /// Reads what hooks have told as well, from this folder (`TSM_DIR/agents/hooks`).
    pub fn with_hooks(mut self, dir: PathBuf) -> Self {
        self.hooks = Some(dir);
        self
    }

    /// The sessions of these processes at `now_ms`, milliseconds since the Unix epoch, in their order.
    ///
    /// Give all Claude Code processes of the user at once: two of them never share a conversation, and what is known of
    /// processes that are missing is forgotten.
    pub fn assess_all(&mut self, processes: &[Claude], now_ms: u64) -> Vec<Assessment> {
        let present: HashSet<Identity> = processes.iter().map(|process| process.identity).collect();
        for (_, gone) in self.bound.extract_if(|identity, _| !present.contains(identity)) {
            let written = Listed::at(gone.path.clone()).map(|file| file.mtime_ms);
            self.spent.extend(written.map(|at| (gone.path, at)));
        }
        let known = self.look(processes, now_ms);
        self.transcripts.keep_only(self.bound.values().map(|bound| bound.path.as_path()));
        self.spent.retain(|path, _| path.exists());
        known
    }

    /// The session of one process where no other is to be asked about; what is known of others is kept.
    pub fn assess(&mut self, process: &Claude, now_ms: u64) -> Assessment {
        let mut known = self.look(std::slice::from_ref(process), now_ms);
        known.remove(0)
    }

    /// How many bytes of transcripts have been read so far.
    pub fn bytes_read(&self) -> u64 {
        self.transcripts.bytes_read()
    }

    fn look(&mut self, processes: &[Claude], now_ms: u64) -> Vec<Assessment> {
        let told = self.hooks.as_deref().map(hooks::all).unwrap_or_default();
        let said: Vec<Said> = processes.iter().map(|process| Said::of(process, &told)).collect();
        let mut groups: HashMap<(&Path, Option<&Path>), Vec<usize>> = HashMap::new();
        for (at, process) in processes.iter().enumerate() {
            let cwd = process.cwd.as_deref().or_else(|| said[at].cwd());
            groups.entry((&process.claude_dir, cwd)).or_default().push(at);
        }
        let pids: HashSet<Pid> = processes.iter().map(|process| process.identity.pid).collect();
        for ((claude_dir, cwd), members) in groups {
            let members: Vec<(&Claude, &Said)> =
                members.iter().map(|at| (&processes[*at], &said[*at])).collect();
            self.bind(claude_dir, cwd, &members, &pids);
        }
        let assess = |(process, said): (&Claude, Said)| self.assess_one(process, said, now_ms);
        processes.iter().zip(said).map(assess).collect()
    }

    /// Finds the conversations of the processes in one directory.
    fn bind(
        &mut self,
        claude_dir: &Path,
        cwd: Option<&Path>,
        members: &[(&Claude, &Said)],
        pids: &HashSet<Pid>,
    ) {
        let real = cwd.and_then(|cwd| cwd.canonicalize().ok());
        let cwd = real.as_deref().or(cwd);
        let folders = cwd.map(|cwd| locate::folders(claude_dir, cwd)).unwrap_or_default();
        let mut files: Vec<Listed> = folders.iter().flat_map(|folder| locate::list(folder)).collect();
        let own: Vec<Option<usize>> =
            members.iter().map(|(process, said)| self.own(claude_dir, process, said, &mut files)).collect();
        let others: HashSet<&Path> = self
            .bound
            .iter()
            .filter(|(identity, _)| members.iter().all(|(process, _)| process.identity != **identity))
            .map(|(_, bound)| bound.path.as_path())
            .collect();
        let wanted = wanted(members, &own, &files);
        let claimed = if wanted.is_empty() { HashSet::new() } else { registry::of_others(claude_dir, pids) };
        let mut candidates = Vec::with_capacity(files.len());
        for (at, file) in files.iter().enumerate() {
            let mut candidate = Candidate { mtime_ms: file.mtime_ms, is_spent: true, ..Candidate::default() };
            if own.contains(&Some(at)) {
                if let Some(tail) = self.transcripts.look(&file.path) {
                    candidate.first_ms = tail.head().first_ms;
                    candidate.last_ms = tail.summary().newest_ms();
                    candidate.is_clear = tail.head().is_clear;
                    candidate.is_spent = false;
                }
            } else if wanted.contains(&at) && !others.contains(file.path.as_path()) {
                let head = self.transcripts.head(file);
                let is_here =
                    head.cwd.as_deref().zip(cwd).is_some_and(|(of, cwd)| is_same_dir(Path::new(of), cwd));
                let is_over = self.spent.get(&file.path).is_some_and(|written| file.mtime_ms <= *written);
                candidate.first_ms = head.first_ms;
                candidate.is_clear = head.is_clear;
                candidate.is_doubtful = session_of(&file.path).is_some_and(|id| claimed.contains(id));
                candidate.is_spent = !is_here || is_over;
            }
            candidates.push(candidate);
        }
        let seekers: Vec<Seeker> =
            members.iter().zip(&own).map(|((process, said), own)| said.seeker(process, *own)).collect();
        for ((process, said), file) in members.iter().zip(assign::assign(&seekers, &candidates)) {
            let now = file.map(|file| Bound { declared: said.id.clone(), path: files[file].path.clone() });
            let before = match now.clone() {
                Some(now) => self.bound.insert(process.identity, now),
                None => self.bound.remove(&process.identity),
            };
            // What it has left is nobody else's.
            if let Some(left) =
                before.map(|before| before.path).filter(|left| now.is_none_or(|now| now.path != *left))
            {
                let written = files.iter().find(|file| file.path == left).map(|file| file.mtime_ms);
                self.spent.extend(written.map(|at| (left, at)));
            }
        }
    }

    /// The file that a process is known to have, by what it says or by the last look; added to `files` if it is elsewhere.
    fn own(
        &self,
        claude_dir: &Path,
        process: &Claude,
        said: &Said,
        files: &mut Vec<Listed>,
    ) -> Option<usize> {
        let bound = self.bound.get(&process.identity).filter(|bound| bound.declared == said.id);
        if let Some(at) = bound.and_then(|bound| files.iter().position(|file| file.path == bound.path)) {
            return Some(at);
        }
        let id = said.id.as_deref()?;
        if let Some(at) = files.iter().position(|file| session_of(&file.path) == Some(id)) {
            return Some(at);
        }
        let told =
            said.told.as_ref().filter(|told| told.session_id == id).and_then(|told| told.transcript.clone());
        let told = told.filter(|path| session_of(path) == Some(id)).and_then(Listed::at);
        let bound = bound.and_then(|bound| Listed::at(bound.path.clone()));
        files.push(told.or(bound).or_else(|| locate::find(claude_dir, id))?);
        Some(files.len() - 1)
    }

    fn assess_one(&mut self, process: &Claude, said: Said, now_ms: u64) -> Assessment {
        let path = self.bound.get(&process.identity).map(|bound| bound.path.clone());
        let tail = path.as_deref().and_then(|path| self.transcripts.look(path));
        let facts = Facts {
            now_ms,
            mtime_ms: tail.map(super::tail::Tail::mtime_ms),
            youngest_child_ms: process.youngest_child_ms,
            has_busy_child: process.has_busy_child,
        };
        let session_id =
            path.as_deref().and_then(session_of).map(str::to_owned).or(said.id.filter(|_| !said.is_search));
        join(Known {
            registry_path: registry::path(&process.claude_dir, process.identity.pid),
            registry: said.registry,
            told_path: self.hooks.as_ref().zip(said.told.as_ref()).map(|(dir, told)| {
                // As `hooks` names them.
                dir.join(format!("{}.json", told.session_id))
            }),
            told: said.told,
            tail,
            transcript: path,
            session_id,
            facts,
        })
    }
}

/// The files that could be somebody's who does not have them yet.
fn wanted(members: &[(&Claude, &Said)], own: &[Option<usize>], files: &[Listed]) -> HashSet<usize> {
    let wants = |at: usize| {
        let file = &files[at];
        members.iter().zip(own).any(|((process, said), own)| {
            let is_recent = file.mtime_ms.saturating_add(SLACK_MS) >= process.started_ms;
            match own {
                Some(own) => is_recent && file.mtime_ms > files[*own].mtime_ms,
                None => (said.id.is_none() || said.is_search) && (is_recent || said.asked.resumes),
            }
        })
    };
    (0..files.len()).filter(|at| !own.contains(&Some(*at)) && wants(*at)).collect()
}

impl Said {
    fn of(process: &Claude, told: &[Told]) -> Said {
        let registry = registry::read(&process.claude_dir, process.identity, process.started_ms);
        let of_it = told.iter().filter(|told| told.identity() == process.identity);
        let told = of_it.max_by_key(|told| told.at_ms).cloned();
        let asked = locate::asked(&process.argv);
        let (registered, at_ms) = match &registry {
            Registry::Fits(entry) => (entry.session_id.clone(), entry.at_ms),
            _ => (None, None),
        };
        let is_late = |told: &&Told| at_ms.is_some_and(|at| at > told.at_ms.saturating_add(HOOKS_LATE_MS));
        // Hooks know of `/clear` at once. When they were removed the registry goes on without them.
        let by_hooks = told.as_ref().filter(|told| registered.is_none() || !is_late(told));
        let id = by_hooks.map(|told| told.session_id.clone()).or(registered);
        let is_search = id.is_none() && asked.resumes;
        let id = id.or_else(|| asked.id.clone());
        Said { registry, told, asked, id, is_search }
    }

    /// The directory that the registry names.
    fn cwd(&self) -> Option<&Path> {
        match &self.registry {
            Registry::Fits(entry) => entry.cwd.as_deref(),
            _ => None,
        }
    }

    fn seeker(&self, process: &Claude, own: Option<usize>) -> Seeker {
        let registered = match &self.registry {
            Registry::Fits(entry) => entry.at_ms,
            _ => None,
        };
        let told = self.told.as_ref().filter(|told| Some(&told.session_id) == self.id.as_ref());
        Seeker {
            started_ms: process.started_ms,
            resumes: self.asked.resumes,
            own,
            is_declared: self.id.is_some() && (own.is_some() || !self.is_search),
            active_ms: registered,
            sure_until_ms: told.map(|told| told.at_ms),
        }
    }
}

fn session_of(path: &Path) -> Option<&str> {
    locate::session_of(path.file_name()?)
}

/// True when records of `of` are records of `cwd`, which has no links in it.
fn is_same_dir(of: &Path, cwd: &Path) -> bool {
    of == cwd || of.canonicalize().is_ok_and(|of| of == cwd)
}

#[cfg(test)]
mod tests;
