//! Reading an env file that TSM found by itself: nothing in it is executed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::Problem;
use super::assignments;
use crate::error::{Error, Result};

/// More than any env file has; what is larger was not meant as one.
const LARGEST: u64 = 1 << 20;

/// The variables of the file at `path`, and the lines that were passed over.
///
/// # Errors
/// `NotFound` when the file does not exist; otherwise when it cannot be read as text.
pub fn read_found(
    path: &Path,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<(BTreeMap<String, String>, Vec<Problem>)> {
    let text = read_text(path)?;
    let mut variables = BTreeMap::new();
    let mut problems = Vec::new();
    for read in assignments::parse(&text, lookup) {
        match read {
            Ok(assignment) => {
                variables.insert(assignment.name, assignment.value);
            }
            Err(problem) => problems.push(problem),
        }
    }
    Ok((variables, problems))
}

/// The text of a file of assignments, 1 MiB of UTF-8 at most.
///
/// # Errors
/// `NotFound` when the file does not exist; otherwise when it cannot be read as text.
pub fn read_text(path: &Path) -> Result<String> {
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes)).map_err(|error| {
        if error.kind() == std::io::ErrorKind::NotFound {
            Error::not_found(format!("{} does not exist", path.display()))
        } else {
            Error::io("read", path, &error)
        }
    })?;
    if bytes.len() as u64 > LARGEST {
        return Err(Error::failed(format!(
            "{} is larger than 1 MiB, too large for settings",
            path.display()
        )));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = good.split(|&byte| byte == b'\n').count();
        Error::failed(format!("{}:{line}: not UTF-8 text", path.display()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn what_is_wrong_is_passed_over_and_nothing_is_run() {
        let dir = tempfile::tempdir().unwrap();
        let (file, touched) = (dir.path().join("dev.env"), dir.path().join("touched"));
        let x = touched.display();
        let text = format!(
            "export PORT=3000\nA=$(touch {x})\nB=`touch {x}`\ntouch {x}\n\
             if touch {x}; then\n  PORT=1\nfi\nC=\"$HOME/c\"\n"
        );
        std::fs::write(&file, text).unwrap();
        let home = |name: &str| (name == "HOME").then(|| "/home/u".to_owned());
        let (variables, problems) = read_found(&file, &home).unwrap();
        assert!(!touched.exists());
        let expected = [("C", "/home/u/c"), ("PORT", "3000")].map(|(n, v)| (n.to_owned(), v.to_owned()));
        assert_eq!(variables, BTreeMap::from(expected));
        assert_eq!(problems.iter().map(|problem| problem.line).collect::<Vec<_>>(), [2, 3, 4, 5]);
    }

    #[test]
    fn what_is_no_text_is_an_error_that_says_where() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(".env");
        let missing = read_found(&file, &|_| None).unwrap_err();
        assert_eq!(missing.kind(), Kind::NotFound);
        std::fs::write(&file, b"A=1\nB=\xff\n").unwrap();
        let error = read_found(&file, &|_| None).unwrap_err();
        assert_eq!(error.message(), format!("{}:2: not UTF-8 text", file.display()));
        std::fs::write(&file, vec![b'#'; (1 << 20) + 1]).unwrap();
        assert!(read_found(&file, &|_| None).unwrap_err().message().contains("larger than 1 MiB"));
        assert!(read_found(dir.path(), &|_| None).is_err());
    }
}
