//! Which files are left out: those that may hold secrets, are made by a build, or are not the repository's own.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use glob::Pattern;

use super::config::Config;
use crate::sys::capture;

/// Directories whose content nobody has written.
const DIRECTORIES: [&str; 5] = ["node_modules", "dist", "build", ".git", ".prompts"];

/// How long git may take to say what is ignored.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is left out of one repository.
#[derive(Clone, Debug)]
pub struct Excluded<'a> {
    root: &'a Path,
    patterns: Vec<Pattern>,
}

impl<'a> Excluded<'a> {
    /// What these settings leave out of the working tree at `root`, which is a path without links.
    pub fn new(root: &'a Path, config: &Config) -> Self {
        // The settings were read with these patterns checked.
        let patterns = config.exclude.iter().filter_map(|pattern| Pattern::new(pattern).ok()).collect();
        Excluded { root, patterns }
    }

    /// Of each file, given with an absolute path or one from the root, its path from the root; `None` for one that is left
    /// out. Git is asked once, and when it fails, all are left out.
    pub fn keep(&self, files: &[PathBuf]) -> Vec<Option<PathBuf>> {
        let mut kept: Vec<Option<PathBuf>> = files.iter().map(|file| self.inside(file)).collect();
        for file in &mut kept {
            file.take_if(|file| self.is_excluded(file));
        }
        let asked: Vec<&Path> = kept.iter().flatten().map(PathBuf::as_path).collect();
        if asked.is_empty() {
            return kept;
        }
        let Some(ignored) = ignored(self.root, &asked) else { return vec![None; files.len()] };
        for file in &mut kept {
            file.take_if(|file| ignored.contains(file));
        }
        kept
    }

    /// The path from the root; none for what is outside of it, also by way of a link.
    pub(super) fn inside(&self, file: &Path) -> Option<PathBuf> {
        let file = tidy(&self.root.join(file))?;
        // The file may be gone, or still to come: the directories that are there decide.
        let there = file.ancestors().find(|path| path.symlink_metadata().is_ok())?;
        let real = there.canonicalize().ok()?;
        let rest = file.strip_prefix(there).ok()?;
        let real = if rest.as_os_str().is_empty() { real } else { real.join(rest) };
        let inside = real.strip_prefix(self.root).ok()?;
        // A submodule, or a repository within this one, has its own conversations.
        let between = inside.ancestors().skip(1).filter(|dir| !dir.as_os_str().is_empty());
        let is_nested = between.into_iter().any(|dir| self.root.join(dir).join(".git").exists());
        (!inside.as_os_str().is_empty() && !is_nested).then(|| inside.to_owned())
    }

    /// True for a path from the root that the settings, or its directories, leave out.
    pub fn is_excluded(&self, file: &Path) -> bool {
        let parts = file.components().map(|part| part.as_os_str().to_string_lossy().to_lowercase());
        let parts: Vec<String> = parts.collect();
        let directories = parts.split_last().map_or(&[][..], |(_, directories)| directories);
        if directories.iter().any(|part| DIRECTORIES.contains(&part.as_str())) {
            return true;
        }
        let whole = parts.join("/");
        self.patterns
            .iter()
            .any(|pattern| pattern.matches(&whole) || parts.iter().any(|part| pattern.matches(part)))
    }
}

/// `a/./b/../c` as `a/c`; none for what leads above the top.
fn tidy(path: &Path) -> Option<PathBuf> {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => clean.pop().then_some(())?,
            Component::CurDir => {}
            part => clean.push(part),
        }
    }
    Some(clean)
}

/// Those of `files` that git ignores, by the files of patterns alone: also what is tracked all the same. `None` when git
/// cannot be asked.
fn ignored(root: &Path, files: &[&Path]) -> Option<Vec<PathBuf>> {
    let words = ["git", "check-ignore", "-z", "--stdin", "--no-index"].map(OsString::from);
    // What a hook has set for its commit would lead to another repository.
    let env: Vec<(OsString, OsString)> =
        std::env::vars_os().filter(|(name, _)| !name.as_bytes().starts_with(b"GIT_")).collect();
    let mut input = Vec::new();
    for file in files {
        // A name that begins with a colon is magic to git.
        input.extend(b"./");
        input.extend(file.as_os_str().as_bytes());
        input.push(0);
    }
    let ran = capture::run_with_input(&words, &env, root, &input, PATIENCE).ok()??;
    // 0: some are ignored; 1: none is; anything else is a failure (git-check-ignore(1)).
    if !matches!(ran.code, Some(0 | 1)) {
        return None;
    }
    let names = ran.stdout.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let plain =
        |name: &[u8]| PathBuf::from(OsString::from_vec(name.strip_prefix(b"./").unwrap_or(name).to_vec()));
    Some(names.map(plain).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A working tree that git knows, at a path without links.
    struct Tree(tempfile::TempDir);

    impl Tree {
        fn new() -> Self {
            let tree = Tree(tempfile::tempdir().unwrap());
            tree.git(&["init", "-q"]);
            tree
        }

        fn git(&self, words: &[&str]) {
            let argv: Vec<OsString> = [&["git"], words].concat().iter().map(OsString::from).collect();
            let env =
                [("PATH".into(), std::env::var_os("PATH").unwrap()), ("HOME".into(), self.root().into())];
            let ran = capture::run(&argv, &env, &self.root(), PATIENCE).unwrap().unwrap();
            assert_eq!(ran.code, Some(0), "{ran:?}");
        }

        fn root(&self) -> PathBuf {
            self.0.path().canonicalize().unwrap()
        }

        fn file(&self, path: &str, text: &str) {
            let path = self.root().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        fn keep(&self, file: impl Into<PathBuf>) -> Option<PathBuf> {
            Excluded::new(&self.root(), &Config::default()).keep(&[file.into()]).pop().flatten()
        }
    }

    #[test]
    fn files_of_secrets_builds_and_other_places_are_left_out() {
        let tree = Tree::new();
        for file in [
            "a.env",
            ".env",
            ".env.local",
            "config/.ENV",
            "my-secrets.yml",
            "secrets/db.yml",
            "Passwords.txt",
            "credentials.json",
            "my_api_key.txt",
            "server.pem",
            "id_rsa",
            "home/id_ed25519.pub",
            ".netrc",
            "node_modules/x/i.js",
            "web/dist/a.js",
            "build/out",
            ".git/config",
            ".prompts/x.json",
            "../other/a.rs",
            "/etc/passwd",
            "src/../../a.rs",
            "..",
            ".",
            "../../../../../../../../../..",
        ] {
            assert_eq!(tree.keep(file), None, "{file}");
        }
        for (file, kept) in [
            ("src/main.rs", "src/main.rs"),
            ("src/../a.rs", "a.rs"),
            ("./builder/env.rs", "builder/env.rs"),
            ("not/yet/there.rs", "not/yet/there.rs"),
            ("dist", "dist"),
            (":odd", ":odd"),
            ("new\nline \"x\"", "new\nline \"x\""),
        ] {
            assert_eq!(tree.keep(file), Some(PathBuf::from(kept)), "{file}");
            assert_eq!(tree.keep(tree.root().join(file)), Some(PathBuf::from(kept)), "{file}");
        }
    }

    #[test]
    fn what_git_ignores_is_left_out_and_everything_when_git_fails() {
        let tree = Tree::new();
        tree.file(".gitignore", "*.log\n/local/\n\"q*\n");
        tree.file("sub/.gitignore", "mine\n");
        let files = ["a.rs", "x.log", "local/a", "sub/mine", "mine", "\"q.txt", "b.rs"].map(PathBuf::from);
        let (root, config) = (tree.root(), Config::default());
        let excluded = Excluded::new(&root, &config);
        let kept: Vec<bool> = excluded.keep(&files).iter().map(Option::is_some).collect();
        assert_eq!(kept, [true, false, false, false, true, false, true]);
        fs::write(root.join(".git/HEAD"), "broken").unwrap();
        assert_eq!(excluded.keep(&files), vec![None; files.len()]);
    }

    #[test]
    fn links_lead_out_and_other_repositories_within_are_their_own() {
        let tree = Tree::new();
        let other = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(other.path(), tree.root().join("link")).unwrap();
        assert_eq!(tree.keep("link/a.rs"), None);
        tree.file("vendor/.git/HEAD", "ref: refs/heads/main\n");
        assert_eq!(tree.keep("vendor/a.rs"), None);
        let alias = other.path().join("alias");
        std::os::unix::fs::symlink(tree.root(), &alias).unwrap();
        assert_eq!(tree.keep(alias.join("a.rs")), Some("a.rs".into()));
    }
}
