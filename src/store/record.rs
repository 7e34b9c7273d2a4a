//! Reading and writing `spec.json` and `status.json`: schema, migration, and what is left of a broken file.

use std::fs;
use std::io;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Durability, ProcessDir, write};
use crate::error::{Error, Result};
use crate::model::{SCHEMA, Spec, Status};

/// What a reader found at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record<T> {
    /// The record.
    Found(T),
    /// No file.
    Missing,
    /// A file that is truncated, empty, foreign, or cannot be read; why.
    Broken(String),
    /// A file of a newer TSM; its schema.
    Newer(u32),
}

impl<T> Record<T> {
    /// The record, if it could be read.
    pub fn found(self) -> Option<T> {
        match self {
            Record::Found(record) => Some(record),
            _ => None,
        }
    }

    /// The record, or the error that says why there is none, naming `path`.
    ///
    /// # Errors
    /// Not found for a missing file, failed for a broken or newer one.
    pub fn required(self, path: &Path) -> Result<T> {
        match self {
            Record::Found(record) => Ok(record),
            Record::Missing => Err(Error::not_found(format!("{} is missing", path.display()))),
            Record::Broken(why) => Err(Error::failed(format!("cannot use {}: {why}", path.display()))),
            Record::Newer(schema) => Err(Error::failed(format!(
                "{} was written by a newer tsm (schema {schema}, this one reads up to {SCHEMA})",
                path.display()
            ))
            .hint("update this tsm, or use the one that wrote it")),
        }
    }
}

#[derive(Deserialize)]
struct Version {
    schema: u32,
}

fn read<T: DeserializeOwned>(path: &Path, schema: fn(&T) -> u32) -> Record<T> {
    match fs::read(path) {
        Ok(bytes) => parse(&bytes, schema),
        Err(error) => unreadable(&error),
    }
}

pub(super) fn unreadable<T>(error: &io::Error) -> Record<T> {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Record::Missing,
        _ => Record::Broken(crate::error::plain(error)),
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8], schema: fn(&T) -> u32) -> Record<T> {
    match serde_json::from_slice::<T>(bytes) {
        // A newer file may well parse, and mean something else; only its number can tell.
        Ok(record) if schema(&record) > SCHEMA => Record::Newer(schema(&record)),
        Ok(record) => Record::Found(record),
        Err(why) => match serde_json::from_slice::<Version>(bytes) {
            Ok(Version { schema }) if schema > SCHEMA => Record::Newer(schema),
            _ if bytes.is_empty() => Record::Broken("it is empty".into()),
            _ => Record::Broken(format!("it is not what tsm writes ({why})")),
        },
    }
}

fn to_json<T: Serialize>(record: &T, path: &Path) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(record)
        .map_err(|why| Error::failed(format!("cannot write {}: {why}", path.display())))?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Reads what was asked.
pub fn read_spec(dir: &ProcessDir) -> Record<Spec> {
    read(&dir.spec(), |spec: &Spec| spec.schema)
}

/// Reads what is so.
pub fn read_status(dir: &ProcessDir) -> Record<Status> {
    read(&dir.status(), |status: &Status| status.schema)
}

/// What is so, from the content of the file.
pub(super) fn parse_status(bytes: &[u8]) -> Record<Status> {
    parse(bytes, |status: &Status| status.schema)
}

/// Writes what was asked.
///
/// # Errors
/// When the directory cannot be written or is full.
pub fn write_spec(dir: &ProcessDir, spec: &Spec, durability: Durability) -> Result<()> {
    let path = dir.spec();
    write(&path, &to_json(spec, &path)?, durability)
}

/// Writes what is so; only for whoever holds the supervisor lock.
///
/// # Errors
/// When the directory cannot be written or is full.
pub fn write_status(dir: &ProcessDir, status: &Status) -> Result<()> {
    let path = dir.status();
    write(&path, &to_json(status, &path)?, Durability::Cached)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status_of(text: &str) -> Record<Status> {
        let dir = tempfile::tempdir().unwrap();
        let dir = ProcessDir::at(dir.path().to_owned());
        fs::create_dir_all(dir.path()).unwrap();
        fs::write(dir.status(), text).unwrap();
        let read = read_status(&dir);
        fs::remove_dir_all(dir.path()).unwrap();
        read
    }

    #[test]
    fn what_is_not_ours_is_told_apart() {
        assert!(matches!(status_of(""), Record::Broken(why) if why.contains("empty")));
        assert!(matches!(status_of("{\"schema\":1,\"id\""), Record::Broken(_)));
        assert!(matches!(status_of("[1,2]"), Record::Broken(_)));
        assert!(matches!(status_of("{\"schema\":99,\"what\":1}"), Record::Newer(99)));
        assert!(matches!(read_status(&ProcessDir::at("/does/not/exist".into())), Record::Missing));
    }
}
