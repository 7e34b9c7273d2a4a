//! Which project a directory belongs to.

use std::path::{Path, PathBuf};

/// What marks the top of a project: the repository, or a manifest of one of the languages.
const MARKS: [&str; 10] = [
    ".git",
    "package.json",
    "pyproject.toml",
    "setup.py",
    "requirements.txt",
    "Cargo.toml",
    "go.mod",
    "Gemfile",
    "composer.json",
    "deno.json",
];

/// The nearest directory from `dir` upwards that has a mark of a project.
///
/// Never `/`. The home directory only for what runs right in it: many have a `.git` for their dotfiles there, and what
/// runs in `~/Downloads` is not their project.
pub fn project(dir: &Path, home: Option<&Path>, exists: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    let above = dir.ancestors().filter(|candidate| candidate.is_absolute() && candidate.parent().is_some());
    let mut candidates = above.filter(|candidate| *candidate == dir || Some(*candidate) != home);
    candidates.find(|candidate| MARKS.iter().any(|mark| exists(&candidate.join(mark)))).map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_marked_directory_is_the_project() {
        let there = [
            "/package.json",
            "/home/ann/.git",
            "/home/ann/shop/.git",
            "/home/ann/shop/web/package.json",
            "/srv/api/go.mod",
        ];
        for (dir, expected) in [
            ("/home/ann/shop/web/src/pages", Some("/home/ann/shop/web")),
            ("/home/ann/shop/docs", Some("/home/ann/shop")),
            ("/home/ann/shop", Some("/home/ann/shop")),
            ("/home/ann/Downloads", None),
            ("/home/ann", Some("/home/ann")),
            // The kernel's word for a directory that was removed.
            ("/srv/api/tmp (deleted)", Some("/srv/api")),
            ("/srv", None),
            ("/", None),
            ("", None),
        ] {
            let exists = |path: &Path| there.iter().any(|known| Path::new(known) == path);
            let found = project(Path::new(dir), Some(Path::new("/home/ann")), exists);
            assert_eq!(found.as_deref(), expected.map(Path::new), "{dir:?}");
        }
    }
}
