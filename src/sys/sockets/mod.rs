//! Which TCP ports are listened on, and which can be.

use std::net::IpAddr;

mod ephemeral;
mod free;
#[cfg(target_os = "macos")]
mod macos;
#[cfg(any(target_os = "linux", test))]
mod netlink;
#[cfg(any(target_os = "linux", test))]
mod procnet;
#[cfg(any(target_os = "macos", test))]
mod sockinfo;

pub use ephemeral::ephemeral_range;
pub use free::port_is_free;
#[cfg(target_os = "macos")]
pub use macos::listeners;
#[cfg(target_os = "macos")]
pub(super) use sockinfo::handle as socket_handle;

/// A TCP socket in state LISTEN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The port.
    pub port: u16,
    /// The address that it is bound to; `0.0.0.0` and `::` mean all.
    pub addr: IpAddr,
    /// What [`super::process::socket_inodes`] calls the same socket; 0 when nobody holds it.
    pub inode: u64,
    /// The user who made it.
    pub uid: u32,
}

/// Every listening TCP socket of this network namespace.
///
/// Asked of the kernel by netlink, in a fiftieth of the time that `/proc/net/tcp` takes; that is for where netlink is
/// forbidden or was not built in.
///
/// # Errors
/// Neither can be asked.
#[cfg(target_os = "linux")]
pub fn listeners() -> std::io::Result<Vec<Listener>> {
    netlink::listeners().or_else(|_| procnet::listeners())
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_listener_is_listed_with_its_address_and_user() {
        let v4 = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let v6 = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).ok();
        for made in [Some(v4), v6].into_iter().flatten() {
            let address = made.local_addr().unwrap();
            let found = listeners().unwrap();
            let found: Vec<_> = found.iter().filter(|one| one.port == address.port()).collect();
            assert_eq!(found.len(), 1, "{found:?}");
            assert_eq!(found[0].addr, address.ip());
            assert_eq!(found[0].uid, crate::sys::user::uid());
            assert_ne!(found[0].inode, 0);
        }
    }

    #[test]
    fn a_connection_is_no_listener() {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let client = TcpStream::connect(server.local_addr().unwrap()).unwrap();
        let port = client.local_addr().unwrap().port();
        assert!(listeners().unwrap().iter().all(|one| one.port != port));
    }
}
