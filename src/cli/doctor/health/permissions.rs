//! Who can read and write the files under `TSM_DIR`: this user, and nobody else.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::super::super::context::Context;
use super::Finding;
use crate::render::shell_quote::quote;
use crate::sys::user;

/// How deep the directories below `runtime` are: `processes/NAME/status.json`.
const DEEPEST: usize = 3;

/// One file or directory.
pub(super) struct Item {
    path: PathBuf,
    uid: u32,
    /// The permission bits (`chmod(2)`).
    mode: u32,
    is_dir: bool,
}

impl Item {
    /// True when anybody but the owner may do anything with it.
    fn is_open(&self) -> bool {
        self.mode & 0o077 != 0
    }
}

/// Who owns what.
pub(super) struct Facts {
    root: PathBuf,
    uid: u32,
    /// What the user is called, or the number.
    user: String,
    /// `TSM_DIR` and what TSM writes in it; not the user's own patterns and definitions.
    items: Vec<Item>,
}

impl Facts {
    pub(super) fn gather(context: &Context) -> Self {
        let layout = &context.layout;
        let runtime = layout.processes().parent().map(Path::to_owned).unwrap_or_default();
        let mut items = Vec::new();
        for (dir, depth) in [
            (layout.root().to_owned(), 0),
            (runtime, DEEPEST),
            (layout.logs(), 1),
            (layout.pids(), 1),
            (layout.root().join("daemon"), 1),
        ] {
            look(&dir, depth, &mut items);
        }
        let uid = user::uid();
        let user = user::name(uid).unwrap_or_else(|| uid.to_string());
        Facts { root: layout.root().to_owned(), uid, user, items }
    }
}

/// Adds what is at `path`, and what is below it so many levels deep.
fn look(path: &Path, depth: usize, items: &mut Vec<Item>) {
    let Ok(facts) = fs::symlink_metadata(path) else { return };
    // The mode of a link means nothing.
    if facts.is_symlink() {
        return;
    }
    let is_dir = facts.is_dir();
    items.push(Item { path: path.to_owned(), uid: facts.uid(), mode: facts.mode() & 0o7777, is_dir });
    if is_dir && depth > 0 {
        for item in fs::read_dir(path).into_iter().flatten().flatten() {
            look(&item.path(), depth - 1, items);
        }
    }
}

pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    if facts.items.is_empty() {
        return vec![Finding::ok("nothing was written yet")];
    }
    let root = facts.root.to_string_lossy();
    let root = quote(&root);
    let mut found = Vec::new();
    let named = |items: &[&Item]| {
        let first = items.first().map(|item| item.path.display().to_string()).unwrap_or_default();
        match items.len() {
            1 => first,
            more => format!("{first} and {} more", more - 1),
        }
    };
    let pick = |wanted: &dyn Fn(&Item) -> bool| facts.items.iter().filter(|item| wanted(item)).collect();
    let foreign: Vec<&Item> = pick(&|item| item.uid != facts.uid);
    if let Some(first) = foreign.first() {
        let owner = user::name(first.uid).unwrap_or_else(|| first.uid.to_string());
        let what = format!("{} belongs to {owner}, not to {}", named(&foreign), facts.user);
        let remedy = if facts.uid == 0 {
            format!("run tsm as {owner}, without sudo")
        } else {
            format!("sudo chown -R {} {root}", quote(&facts.user))
        };
        found.push(Finding::error(what, remedy));
    }
    let shut: Vec<&Item> = pick(&|item| {
        let needed = if item.is_dir { 0o700 } else { 0o600 };
        item.uid == facts.uid && item.mode & needed != needed
    });
    if let Some(first) = shut.first() {
        let what = format!("{} is closed to its owner (mode {:04o})", named(&shut), first.mode);
        found.push(Finding::error(what, format!("chmod -R u+rwX {root}")));
    }
    let private = facts.items.iter().any(|item| item.path == facts.root && !item.is_open());
    let open: Vec<&Item> = pick(&Item::is_open);
    if let Some(first) = open.first() {
        let writable = open.iter().any(|item| item.mode & 0o022 != 0) && !private;
        let may = if writable { "written" } else { "read" };
        let what = format!("{} can be {may} by others (mode {:04o})", named(&open), first.mode);
        let what = if private { format!("{what}, were it not for {root}") } else { what };
        let remedy = format!("chmod -R go-rwx {root}");
        found.push(if writable { Finding::error(what, remedy) } else { Finding::warning(what, remedy) });
    }
    if found.is_empty() {
        found.push(Finding::ok(format!("{root} is private to {}", facts.user)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    fn judged(items: &[(&str, u32, u32, bool)]) -> Vec<Finding> {
        let item = |&(path, uid, mode, is_dir): &(&str, u32, u32, bool)| Item {
            path: path.into(),
            uid,
            mode,
            is_dir,
        };
        let items = items.iter().map(item).collect();
        findings(&Facts { root: "/t".into(), uid: 1000, user: "ann".into(), items })
    }

    #[test]
    fn only_the_owner_may_do_anything() {
        for (items, level, words) in [
            (&[("/t", 1000, 0o700, true), ("/t/x", 1000, 0o600, false)][..], Level::Ok, "private"),
            (&[("/t", 1000, 0o755, true)], Level::Warning, "/t can be read by others (mode 0755)"),
            (&[("/t", 1000, 0o777, true)], Level::Error, "/t can be written by others"),
            (&[("/t", 1000, 0o700, true), ("/t/x", 1000, 0o666, false)], Level::Warning, "were it not for"),
            (&[("/t", 1000, 0o755, true), ("/t/x", 1000, 0o666, false)], Level::Error, "and 1 more can be"),
            (&[("/t", 1000, 0o500, true)], Level::Error, "closed to its owner"),
            (&[("/t", 1000, 0o700, true), ("/t/x", 0, 0o600, false)], Level::Error, "/t/x belongs to root"),
        ] {
            let found = judged(items);
            assert_eq!((found.len(), found[0].level), (1, level), "{found:?}");
            assert!(found[0].what.contains(words), "{found:?}");
        }
        assert_eq!(judged(&[])[0].level, Level::Ok);
    }
}
