//! Whether git tracks a file: read from git's own index, without git.

use std::fs;
use std::path::{Path, PathBuf};

/// Paths that are longer say 0xFFF in the index.
const LONGEST: usize = 0xFFF;

/// True when the repository that `path` is in has it in its index. False, too, when that cannot be found out.
pub(super) fn is_tracked(path: &Path) -> bool {
    let Some(root) = path.ancestors().skip(1).find(|dir| dir.join(".git").exists()) else { return false };
    let Ok(inside) = path.strip_prefix(root) else { return false };
    let index = fs::read(git_dir(root).join("index")).unwrap_or_default();
    lists(&index, inside.as_os_str().as_encoded_bytes())
}

/// `.git`, or where a file of that name leads: so it is in a linked work tree and in a submodule.
fn git_dir(root: &Path) -> PathBuf {
    let dot = root.join(".git");
    let text = fs::read_to_string(&dot).unwrap_or_default();
    text.strip_prefix("gitdir: ").map_or(dot, |path| root.join(path.trim_end()))
}

/// True when an index (gitformat-index(5), versions 2 and 3) has an entry of that path. In an entry the path follows the
/// flags, two bytes whose low twelve bits are its length; version 3 may have two more between, and a NUL ends it.
/// Version 4 compresses the paths and is not read.
fn lists(index: &[u8], path: &[u8]) -> bool {
    let version = index.get(..8).filter(|head| head.starts_with(b"DIRC")).map(|head| head[7]);
    if !matches!(version, Some(2 | 3)) || path.is_empty() {
        return false;
    }
    let length = path.len().min(LONGEST);
    let says_length = |at: usize| {
        index
            .get(at..at + 2)
            .is_some_and(|flags| usize::from(u16::from_be_bytes([flags[0], flags[1]])) & LONGEST == length)
    };
    let mut from = 0;
    while let Some(found) = index[from..].windows(path.len()).position(|part| part == path) {
        let at = from + found;
        let ended = index.get(at + path.len()) == Some(&0);
        if ended && at >= 4 && (says_length(at - 2) || says_length(at - 4)) {
            return true;
        }
        from = at + 1;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(version: u8, paths: &[&str]) -> Vec<u8> {
        let mut bytes = b"DIRC\0\0\0".to_vec();
        bytes.extend([version, 0, 0, 0, paths.len() as u8]);
        for path in paths {
            bytes.extend([1; 60]);
            bytes.extend((path.len() as u16).to_be_bytes());
            bytes.extend(path.as_bytes());
            bytes.extend([0; 4]);
        }
        bytes
    }

    #[test]
    fn an_entry_is_a_whole_path() {
        let index = index(2, &["README.md", "app/env/dev.env", "env/dev.env.sample"]);
        for (path, tracked) in [
            ("README.md", true),
            ("app/env/dev.env", true),
            ("env/dev.env", false),
            ("dev.env", false),
            ("", false),
        ] {
            assert_eq!(lists(&index, path.as_bytes()), tracked, "{path}");
        }
        assert!(!lists(b"", b"x") && !lists(&super::tests::index(4, &["x"]), b"x"));
    }

    #[test]
    fn a_linked_work_tree_has_its_index_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        let put = |path: &str, bytes: &[u8]| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        };
        put("main/.git/index", &index(2, &["env/dev.env"]));
        put("main/.git/worktrees/w/index", &index(2, &["other.env"]));
        put("w/.git", b"gitdir: ../main/.git/worktrees/w\n");
        for (path, tracked) in [
            ("main/env/dev.env", true),
            ("main/other.env", false),
            ("w/other.env", true),
            ("w/env/dev.env", false),
            ("none/env/dev.env", false),
        ] {
            assert_eq!(is_tracked(&dir.path().join(path)), tracked, "{path}");
        }
    }
}
