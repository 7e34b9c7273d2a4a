//! Which git repository a directory is in, read from its files: no git is run, because a list asks for many.
//!
//! The layout is that of gitrepository-layout(5) and git-worktree(1).

use std::fs;
use std::path::{Path, PathBuf};

/// A working tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    /// The top of the working tree.
    pub root: PathBuf,
    /// Where this working tree's `HEAD` and `index` are.
    pub git_dir: PathBuf,
    /// Where `config`, `hooks` and the objects are: the same, but for a linked worktree.
    pub common_dir: PathBuf,
}

impl Repository {
    /// The working tree that `dir` is in; `None` outside of one.
    pub fn of(dir: &Path) -> Option<Self> {
        let root = dir.ancestors().find(|candidate| candidate.join(".git").exists())?;
        let mark = root.join(".git");
        let git_dir = if mark.is_dir() {
            mark
        } else {
            // A linked worktree and a submodule have a file: `gitdir: PATH`.
            let text = fs::read_to_string(&mark).ok()?;
            root.join(text.strip_prefix("gitdir:")?.trim())
        };
        let common_dir = match fs::read_to_string(git_dir.join("commondir")) {
            Ok(text) => tidy(&git_dir.join(text.trim())),
            Err(_) => git_dir.clone(),
        };
        git_dir.join("HEAD").exists().then(|| Repository { root: root.to_owned(), git_dir, common_dir })
    }

    /// The branch that is checked out, or the first seven digits of the commit where there is none.
    pub fn branch(&self) -> Option<String> {
        let head = fs::read_to_string(self.git_dir.join("HEAD")).ok()?;
        let head = head.trim();
        match head.strip_prefix("ref:") {
            Some(name) => {
                let name = name.trim();
                Some(name.strip_prefix("refs/heads/").unwrap_or(name).to_owned())
            }
            None => head.get(..7).map(str::to_owned),
        }
    }

    /// The name of the linked worktree that this is; none for the main one.
    pub fn worktree(&self) -> Option<String> {
        let is_linked = self.git_dir != self.common_dir && self.git_dir.parent()?.ends_with("worktrees");
        is_linked.then(|| self.root.file_name().map(|name| name.to_string_lossy().into_owned()))?
    }
}

/// `a/b/../c` as `a/c`, without asking what is a link.
fn tidy(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => {
                clean.pop();
            }
            std::path::Component::CurDir => {}
            part => clean.push(part),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: PathBuf, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn a_repository_and_its_linked_worktrees_are_read_from_their_files() {
        let dir = tempfile::tempdir().unwrap();
        let main = dir.path().join("shop");
        write(main.join(".git/HEAD"), "ref: refs/heads/feature/cart\n");
        fs::create_dir_all(main.join("src/deep")).unwrap();
        let found = Repository::of(&main.join("src/deep")).unwrap();
        assert_eq!((found.root.as_path(), found.common_dir.as_path()), (&*main, &*main.join(".git")));
        assert_eq!((found.branch().as_deref(), found.worktree()), (Some("feature/cart"), None));

        let linked = dir.path().join("shop-fix");
        write(linked.join(".git"), &format!("gitdir: {}\n", main.join(".git/worktrees/shop-fix").display()));
        write(main.join(".git/worktrees/shop-fix/HEAD"), "0123456789abcdef0123456789abcdef01234567\n");
        write(main.join(".git/worktrees/shop-fix/commondir"), "../..\n");
        let found = Repository::of(&linked).unwrap();
        assert_eq!(found.common_dir, main.join(".git"));
        assert_eq!(
            (found.branch().as_deref(), found.worktree().as_deref()),
            (Some("0123456"), Some("shop-fix"))
        );

        // A submodule is no worktree, and what only looks like a repository is none.
        let sub = main.join("vendor/lib");
        write(sub.join(".git"), "gitdir: ../../.git/modules/lib\n");
        write(main.join(".git/modules/lib/HEAD"), "ref: refs/heads/main\n");
        assert_eq!(Repository::of(&sub).unwrap().worktree(), None);
        write(dir.path().join("odd/.git"), "what\n");
        assert_eq!(Repository::of(&dir.path().join("odd")), None);
    }
}
