//! What runs: process trees, the ports they listen on, their use of the machine, and what a lost supervisor left.
//!
//! Joins the tables of `sys`; portable, and without a clock of its own.

mod orphan;
mod ports;
mod table;
mod usage;
mod view;

pub use orphan::{marked, orphan_tree, supervised_tree};
pub use ports::{PortOwner, owner_of, port_owner, ports_by_process, ports_of};
pub use table::Table;
pub use usage::{Usage, usage};
pub use view::{View, glance, verify, view};
