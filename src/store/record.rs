//! Reading and writing `spec.json` and `status.json`: schema, migration, and what is left of a broken file.

use std::fs;
use std::io;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

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

/// Makes an object of one schema into one of the next.
pub(super) type Step = fn(&mut Map<String, Value>);

/// A file with a schema.
pub(super) trait Recorded: DeserializeOwned {
    /// What leads from each older schema to the next: the first one from 1 to 2, the last one to [`SCHEMA`]. Schema 1 is
    /// the first that was ever written.
    const STEPS: &[Step];

    /// The schema that it was read with.
    fn schema(&self) -> u32;
}

impl Recorded for Spec {
    const STEPS: &[Step] = &[];

    fn schema(&self) -> u32 {
        self.schema
    }
}

impl Recorded for Status {
    const STEPS: &[Step] = &[];

    fn schema(&self) -> u32 {
        self.schema
    }
}

#[derive(Deserialize)]
struct Version {
    schema: u32,
}

pub(super) fn read<T: Recorded>(path: &Path) -> Record<T> {
    match fs::read(path) {
        Ok(bytes) => parse(&bytes),
        Err(error) => unreadable(&error),
    }
}

pub(super) fn unreadable<T>(error: &io::Error) -> Record<T> {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Record::Missing,
        _ => Record::Broken(crate::error::plain(error)),
    }
}

/// The record in `bytes`. One of today's schema, as nearly all are, is parsed only once.
pub(super) fn parse<T: Recorded>(bytes: &[u8]) -> Record<T> {
    match serde_json::from_slice::<T>(bytes) {
        Ok(record) if record.schema() == SCHEMA => Record::Found(record),
        // Another schema may well parse, and mean something else; only its number can tell.
        Ok(record) => of_schema(bytes, record.schema()),
        Err(why) => match serde_json::from_slice::<Version>(bytes) {
            Ok(Version { schema }) if schema != SCHEMA => of_schema(bytes, schema),
            _ if bytes.is_empty() => Record::Broken("it is empty".into()),
            _ => foreign(&why),
        },
    }
}

fn of_schema<T: Recorded>(bytes: &[u8], schema: u32) -> Record<T> {
    if schema > SCHEMA {
        return Record::Newer(schema);
    }
    match serde_json::from_slice(bytes).map(|object| migrate(object, schema, T::STEPS)) {
        Ok(Some(object)) => serde_json::from_value(object).map_or_else(|why| foreign(&why), Record::Found),
        Ok(None) => Record::Broken(format!("no tsm has written schema {schema}")),
        Err(why) => foreign(&why),
    }
}

/// An object of schema `from`, brought to the one behind the last of `steps`; none when there is no way.
fn migrate(mut object: Map<String, Value>, from: u32, steps: &[Step]) -> Option<Value> {
    let first = usize::try_from(from.checked_sub(1)?).ok()?;
    for step in steps.get(first..)? {
        step(&mut object);
    }
    object.insert("schema".into(), (steps.len() + 1).into());
    Some(object.into())
}

fn foreign<T>(why: &serde_json::Error) -> Record<T> {
    Record::Broken(format!("it is not what tsm writes ({why})"))
}

fn to_json<T: Serialize>(record: &T, path: &Path) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(record)
        .map_err(|why| Error::failed(format!("cannot write {}: {why}", path.display())))?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Reads what was asked.
pub fn read_spec(dir: &ProcessDir) -> Record<Spec> {
    read(&dir.spec())
}

/// Reads what is so.
pub fn read_status(dir: &ProcessDir) -> Record<Status> {
    read(&dir.status())
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
        assert!(
            matches!(status_of("{\"schema\":0,\"id\":1}"), Record::Broken(why) if why.contains("schema 0"))
        );
        assert!(matches!(read_status(&ProcessDir::at("/does/not/exist".into())), Record::Missing));
    }

    #[test]
    fn an_older_schema_goes_through_every_step_to_todays() {
        let steps: &[Step] = &[
            |object| {
                if let Some(line) = object.remove("cmd") {
                    object.insert("command".into(), line);
                }
            },
            |object| {
                object.insert("tries".into(), 3.into());
            },
        ];
        let object = |schema: u32, name: &str| {
            Map::from_iter([("schema".to_owned(), schema.into()), (name.to_owned(), "x".into())])
        };
        let three = serde_json::json!({ "schema": 3, "command": "x", "tries": 3 });
        assert_eq!(migrate(object(1, "cmd"), 1, steps).as_ref(), Some(&three));
        assert_eq!(migrate(object(2, "command"), 2, steps), Some(three));
        assert_eq!(migrate(object(0, "cmd"), 0, steps), None, "there never was one");
    }

    #[test]
    fn every_older_schema_has_a_step() {
        for steps in [Spec::STEPS, Status::STEPS, crate::store::StickyPorts::STEPS] {
            assert_eq!(steps.len() + 1, SCHEMA as usize);
        }
    }
}
