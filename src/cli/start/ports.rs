//! Which ports are free, for the planner, under the runtime lock.

use std::ops::RangeInclusive;
use std::path::Path;

use super::Context;
use crate::inspect::{self, View, verify};
use crate::model::Name;
use crate::plan::{Holder, Ports};
use crate::store::{Layout, StickyPorts};
use crate::sys::sockets;

/// The ports of this machine as one moment shows them.
pub(super) struct Machine<'a> {
    layout: &'a Layout,
    /// The processes that are said to be live, as a glance shows them.
    views: &'a [View],
    sticky: StickyPorts,
    range: RangeInclusive<u16>,
}

impl<'a> Machine<'a> {
    pub(super) fn new(context: &'a Context, views: &'a [View]) -> Self {
        Machine {
            layout: &context.layout,
            views,
            sticky: StickyPorts::read(&context.layout),
            range: context.settings.port_range.clone(),
        }
    }

    /// The live process that has `port` reserved, whether it listens yet or not.
    fn reserver(&self, port: u16) -> Option<View> {
        let mut said = self.views.iter().filter(|view| view.status.live() && view.port == Some(port));
        said.find_map(|view| {
            let mut view = view.clone();
            verify(self.layout, std::slice::from_mut(&mut view));
            view.status.live().then_some(view)
        })
    }
}

impl Ports for Machine<'_> {
    fn holder(&self, port: u16) -> Option<Holder> {
        if let Some(view) = self.reserver(port) {
            return Some(Holder { text: view.title(), hint: Some(format!("tsm stop {}", view.name)) });
        }
        if sockets::port_is_free(port) {
            return None;
        }
        let text = match inspect::port_owner(port) {
            Some(owner) => match owner.pid {
                Some(pid) => format!("{} (PID {pid})", owner.command.chars().take(100).collect::<String>()),
                None => "a program of another user".to_owned(),
            },
            None if port < 1024 => "the system: ports below 1024 need root".to_owned(),
            None => "a program that this user cannot see".to_owned(),
        };
        Some(Holder { text, hint: None })
    }

    fn sticky(&self, dir: &Path, base: &Name) -> Option<u16> {
        self.sticky.get(dir, base)
    }

    fn range(&self) -> RangeInclusive<u16> {
        self.range.clone()
    }
}

/// Who has `port`, in words, and the process that has it reserved.
pub(crate) fn holder(context: &Context, port: u16) -> Option<(Holder, Option<View>)> {
    let views = inspect::glance(&context.layout);
    let machine = Machine::new(context, &views);
    Some((machine.holder(port)?, machine.reserver(port)))
}

/// A machine on which every port is free, and that allocates from this range: for the port that a process itself holds,
/// and for what a command would get elsewhere.
pub(super) struct Free(pub(super) RangeInclusive<u16>);

impl Ports for Free {
    fn holder(&self, _port: u16) -> Option<Holder> {
        None
    }

    fn sticky(&self, _dir: &Path, _base: &Name) -> Option<u16> {
        None
    }

    fn range(&self) -> RangeInclusive<u16> {
        self.0.clone()
    }
}
