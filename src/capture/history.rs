//! The conversations that are kept in a working tree, and what git says of the commits that they belong to.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use chrono::{DateTime, SecondsFormat, Utc};

use super::mask::mask;
use super::record::{Author, Commit, DIR, Facts, Record, SCHEMA};
use super::repo::Git;
use crate::error::{Error, Result, plain};

/// The largest file that is read as a conversation, in bytes: more than any session of a day has.
const LARGEST: u64 = 256 << 20;

/// A conversation and its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The name of the file in `.prompts`; none for what is not committed yet.
    pub file: Option<String>,
    /// What is in it.
    pub record: Record,
}

/// The directory of the conversations of a working tree; false when there is none yet.
///
/// # Errors
/// When it is no directory. A link is none: what a repository brings with it must not lead what is said here elsewhere.
pub fn is_there(root: &Path) -> Result<bool> {
    let dir = root.join(DIR);
    match fs::symlink_metadata(&dir) {
        Ok(meta) if meta.is_dir() => Ok(true),
        Ok(_) => Err(Error::conflict(format!("{} is not a directory", dir.display()))
            .hint(format!("mv {0} {0}.old", dir.display()))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::io("read", &dir, &error)),
    }
}

/// Every conversation that is kept in a working tree, the oldest first, and the files that are none.
///
/// # Errors
/// When the directory cannot be read.
pub fn all(root: &Path) -> Result<(Vec<Kept>, Vec<String>)> {
    let (mut kept, mut broken) = (Vec::new(), Vec::new());
    if !is_there(root)? {
        return Ok((kept, broken));
    }
    let dir = root.join(DIR);
    let listing = fs::read_dir(&dir).map_err(|error| Error::io("read", &dir, &error))?;
    for item in listing.flatten() {
        let path = item.path();
        let name = item.file_name();
        if path.extension() != Some(OsStr::new("json")) || name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let name = name.to_string_lossy().into_owned();
        match read(&path) {
            Ok(record) => kept.push(Kept { file: Some(name), record }),
            Err(error) => broken.push(format!("{DIR}/{name}: {error}")),
        }
    }
    kept.sort_by(|a, b| a.file.cmp(&b.file));
    broken.sort();
    Ok((kept, broken))
}

fn read(path: &Path) -> Result<Record, String> {
    let meta = fs::symlink_metadata(path).map_err(|error| plain(&error))?;
    if !meta.is_file() || meta.len() > LARGEST {
        return Err("not a file that is read".into());
    }
    let bytes = fs::read(path).map_err(|error| plain(&error))?;
    let record: Record = serde_json::from_slice(&bytes).map_err(|why| format!("no conversation: {why}"))?;
    if record.schema > SCHEMA {
        return Err(format!("schema {} is of a newer tsm", record.schema));
    }
    Ok(record)
}

/// The file that has what `session` has to do with `commit`, if it is there; without reading those of other commits.
pub(super) fn find(root: &Path, session: &str, commit: &str) -> Option<Kept> {
    let short = commit.get(..7)?;
    let listing = fs::read_dir(root.join(DIR)).ok()?;
    let names = listing.flatten().filter_map(|item| item.file_name().into_string().ok());
    let mut names = names.filter(|name| name.contains(short) && !name.starts_with('.'));
    names.find_map(|file| {
        let record = read(&root.join(DIR).join(&file)).ok()?;
        let is_it = record.session == session && record.commit.sha == commit;
        is_it.then_some(Kept { file: Some(file), record })
    })
}

/// What git says of a commit.
///
/// # Errors
/// When there is no such commit, or git fails.
pub fn facts(git: &Git, commit: &str) -> Result<Facts> {
    let said =
        git.text(&["show", "-s", "--no-show-signature", "--format=%H%n%P%n%an%n%ae%n%at%n%s", commit, "--"])?;
    let mut lines = said.lines();
    let mut next = || lines.next().unwrap_or_default().to_owned();
    let (sha, parents, name, email) = (next(), next(), next(), next());
    let (time, subject) = (next(), next());
    let tree = format!("{sha}^{{tree}}");
    let words: Vec<&str> = match parents.split(' ').next().filter(|parent| !parent.is_empty()) {
        // Of a merge, what it has brought to its first parent.
        Some(parent) => vec!["diff-tree", "-r", "-z", "--name-only", parent, &tree],
        None => vec!["ls-tree", "-r", "-z", "--name-only", &tree],
    };
    let listed = git.ask(&words).unwrap_or_default();
    let files = listed.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    Ok(Facts {
        author: Author { name, email },
        commit: Commit { sha, time: seconds(&time), subject, amends: None },
        files: files.map(|name| String::from_utf8_lossy(name).into_owned()).collect(),
        masked: 0,
    })
}

/// Seconds since the Unix epoch, in digits, as ISO 8601 in UTC.
pub(super) fn seconds(digits: &str) -> String {
    let moment = digits.trim().parse().ok().and_then(|seconds| DateTime::<Utc>::from_timestamp(seconds, 0));
    moment.unwrap_or_default().to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// The conversations of one commit: those that name it, and those of the commits that a rebase or an amend has made it of.
///
/// # Errors
/// When git fails.
pub fn of_commit<'a>(git: &Git, kept: &'a [Kept], facts: &Facts) -> Result<Vec<&'a Kept>> {
    let sha = &facts.commit.sha;
    let mut found: Vec<&Kept> = kept.iter().filter(|one| one.record.commit.sha == *sha).collect();
    // What was said for the commit that this one replaces belongs to it, too.
    let mut replaced: Vec<&str> =
        found.iter().filter_map(|one| one.record.commit.amends.as_deref()).collect();
    while let Some(before) = replaced.pop() {
        for one in kept.iter().filter(|one| one.record.commit.sha == before) {
            if !found.contains(&one) {
                replaced.extend(one.record.commit.amends.as_deref());
                found.push(one);
            }
        }
    }
    for one in rewritten(git, kept, facts)? {
        if !found.contains(&one) {
            found.push(one);
        }
    }
    found.sort_by(|a, b| a.file.cmp(&b.file));
    Ok(found)
}

/// Those of a commit that was authored in the same second by the same author, and is neither before nor behind this one:
/// with the same subject, and, where no branch has it any more and only one such commit is known, with any subject.
fn rewritten<'a>(git: &Git, kept: &'a [Kept], facts: &Facts) -> Result<Vec<&'a Kept>> {
    let this = facts.commit.sha.as_str();
    let same = |one: &&Kept| {
        let record = &one.record;
        record.commit.sha != this
            && record.commit.time == facts.commit.time
            && is_same(&record.author.email, &facts.author.email)
            && one.file.is_some()
    };
    let (mut found, mut gone) = (Vec::new(), Vec::new());
    for one in kept.iter().filter(same) {
        let other = one.record.commit.sha.as_str();
        // Code 1: it is not; 128: the commit is gone.
        let is_before =
            |a: &str, b: &str| Ok::<_, Error>(git.run(&["merge-base", "--is-ancestor", a, b])?.code == 0);
        if is_before(other, this)? || is_before(this, other)? {
            continue;
        }
        if is_same(&one.record.commit.subject, &facts.commit.subject) {
            found.push(one);
        } else if !is_reachable(git, other)? {
            gone.push(one);
        }
    }
    let first = gone.first().map(|one| &one.record.commit.sha);
    if gone.iter().all(|one| Some(&one.record.commit.sha) == first) {
        found.append(&mut gone);
    }
    Ok(found)
}

/// True when what is kept, which is masked, is what git says.
fn is_same(kept: &str, said: &str) -> bool {
    kept == said || kept == mask(said).text
}

/// True when a branch, a tag or `HEAD` leads to the commit.
fn is_reachable(git: &Git, sha: &str) -> Result<bool> {
    let refs = git.run(&["for-each-ref", "--count=1", "--contains", sha])?;
    let in_head = git.run(&["merge-base", "--is-ancestor", sha, "HEAD"])?;
    Ok(in_head.code == 0 || (refs.code == 0 && !refs.stdout.is_empty()))
}

/// Which conversations a word means: the name of a file, a session, or a commit in any form that git understands.
///
/// # Errors
/// `NotFound` when there is none, a conflict when it is the beginning of several sessions, usage for an empty one.
pub fn resolve<'a>(git: &Git, kept: &'a [Kept], word: &str) -> Result<Vec<&'a Kept>> {
    if word.trim().is_empty() {
        return Err(Error::usage("a conversation cannot be named by nothing").hint("tsm capture list"));
    }
    let name =
        Path::new(word).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let of = |test: &dyn Fn(&Kept) -> bool| kept.iter().filter(|one| test(one)).collect::<Vec<_>>();
    for found in [
        of(&|one| {
            one.file.as_ref().is_some_and(|file| *file == name || file.strip_suffix(".json") == Some(&name))
        }),
        of(&|one| one.record.session == word),
    ] {
        if !found.is_empty() {
            return Ok(found);
        }
    }
    let commit = format!("{word}^{{commit}}");
    let known = git.run(&["rev-parse", "--verify", "-q", "--end-of-options", &commit])?;
    if known.code == 0 {
        let sha = String::from_utf8_lossy(&known.stdout).trim().to_owned();
        let facts = facts(git, &sha)?;
        let found = of_commit(git, kept, &facts)?;
        if found.is_empty() {
            let short = sha.get(..7).unwrap_or(&sha);
            return Err(Error::not_found(format!("no conversation is kept with commit {short}"))
                .hint("tsm capture list"));
        }
        return Ok(found);
    }
    // A commit that git has forgotten, and the beginning of a session.
    let is_long = word.len() >= 4;
    let found =
        of(&|one| is_long && !one.record.commit.sha.is_empty() && one.record.commit.sha.starts_with(word));
    if !found.is_empty() {
        return Ok(found);
    }
    let found = of(&|one| is_long && one.record.session.starts_with(word));
    let mut sessions: Vec<&str> = found.iter().map(|one| one.record.session.as_str()).collect();
    sessions.sort_unstable();
    sessions.dedup();
    match sessions.len() {
        0 => Err(Error::not_found(format!("no commit, session or file of a conversation: {word}"))
            .hint("tsm capture list")),
        1 => Ok(found),
        _ => Err(Error::conflict(format!(
            "{word} is the beginning of several sessions: {}",
            sessions.join(", ")
        ))
        .hint("tsm capture list")),
    }
}
