//! What runs: process trees, the ports they listen on, their use of the machine, and what a lost supervisor left.
//!
//! Joins the tables of `sys`; portable, and without a clock of its own.

mod census;
mod marks;
mod orphans;
mod ports;
mod project;
mod repository;
mod started;
mod table;
mod usage;
mod view;
mod who;

pub use census::{Planned, PortRow, PortStatus, Remark, census};
pub use marks::{Marks, oldest, orphan_tree, supervised_tree};
pub use orphans::{Exact, Orphans, Place, Probable, orphans};
pub use ports::{Held, PortOwner, held, holders, owner_of, port_owner, ports_by_process, ports_of};
pub use project::project;
pub use repository::Repository;
pub use started::StartedBy;
pub use table::Table;
pub use usage::{Usage, usage};
pub use view::{View, glance, verify, verify_in_table, view};
pub use who::{Agents, Belongs, Who, manager, user_name, who};
