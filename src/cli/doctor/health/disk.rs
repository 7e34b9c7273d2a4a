//! Whether the disk under `TSM_DIR` takes what will be written.

use std::path::PathBuf;

use super::super::super::context::Context;
use super::Finding;
use crate::render::human;
use crate::sys::disk::{self, Space};

/// With less than this a start or a log line may already fail.
const FULL: u64 = 16 << 20;

/// With less than this and [`NEARLY_PERCENT`] it is nearly full.
const NEARLY: u64 = 1 << 30;
const NEARLY_PERCENT: u64 = 5;

/// The file system of `TSM_DIR`.
pub(super) struct Facts {
    root: PathBuf,
    space: Result<Space, String>,
}

impl Facts {
    pub(super) fn gather(context: &Context) -> Self {
        let root = context.layout.root().to_owned();
        // Before the first start, the nearest directory that exists tells.
        let there = root.ancestors().find(|dir| dir.exists()).map_or(root.clone(), PathBuf::from);
        let space = disk::space(&there).map_err(|error| crate::error::plain(&error));
        Facts { root, space }
    }
}

pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    let root = facts.root.display();
    let elsewhere = "free some space, or export TSM_DIR=/a/directory/on/another/disk";
    vec![match &facts.space {
        Err(why) => Finding::warning(format!("the disk of {root} cannot be looked at: {why}"), elsewhere),
        Ok(space) if space.read_only => Finding::error(
            format!("the disk of {root} is read-only"),
            "export TSM_DIR=/a/directory/that/can/be/written",
        ),
        Ok(space) if space.free < FULL => {
            Finding::error(format!("{} are free for {root}: it is full", human::bytes(space.free)), elsewhere)
        }
        Ok(space) if space.no_files => {
            Finding::error(format!("no more files can be made on the disk of {root}"), elsewhere)
        }
        Ok(space) if space.free < NEARLY && space.free < space.total / 100 * NEARLY_PERCENT => {
            Finding::warning(
                format!("{} are free for {root}: it is nearly full", human::bytes(space.free)),
                elsewhere,
            )
        }
        Ok(space) => Finding::ok(format!("{} are free for {root}", human::bytes(space.free))),
    }]
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn a_disk_is_full_nearly_full_or_fine() {
        let whole = Space { free: 50 << 30, total: 100 << 30, read_only: false, no_files: false };
        for (space, level) in [
            (whole, Level::Ok),
            (Space { free: 900 << 20, ..whole }, Level::Warning),
            (Space { free: 900 << 20, total: 2 << 30, ..whole }, Level::Ok),
            (Space { free: 1 << 20, total: 2 << 20, ..whole }, Level::Error),
            (Space { read_only: true, ..whole }, Level::Error),
            (Space { no_files: true, ..whole }, Level::Error),
        ] {
            let found = findings(&Facts { root: "/t".into(), space: Ok(space) });
            assert_eq!(found[0].level, level, "{space:?}");
        }
    }
}
