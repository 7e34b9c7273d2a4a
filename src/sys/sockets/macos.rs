//! Listening sockets of macOS: those of every process that this user may inspect.

use std::io;
use std::ops::ControlFlow;

use super::{Listener, sockinfo};
use crate::sys::process;

/// Every listening TCP socket of a process that this user may inspect.
///
/// # Errors
/// None on this system; elsewhere the kernel may refuse.
pub fn listeners() -> io::Result<Vec<Listener>> {
    let mut found: Vec<Listener> = Vec::new();
    for process in process::all() {
        let uid = process::owner(process.pid).unwrap_or(u32::MAX);
        process::each_socket_of(process.pid, &mut |info| {
            if let (Some((port, addr)), Some(inode)) = (sockinfo::listening(info), sockinfo::handle(info))
                && found.iter().all(|one| one.inode != inode)
            {
                found.push(Listener { port, addr, inode, uid });
            }
            ControlFlow::Continue(())
        });
    }
    Ok(found)
}
