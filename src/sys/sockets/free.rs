//! Whether a port can be bound.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, bind, setsockopt, socket, sockopt,
};

use super::listeners;

/// What one attempt to bind says about a port.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    /// It can be bound.
    Free,
    /// Somebody has it.
    Busy,
    /// This machine does not have the address family.
    NoFamily,
    /// Not allowed, or not possible for a reason that has nothing to do with the port.
    Unknown,
}

/// True when a server could be started on this port: nobody listens on it, on any address of IPv4 or IPv6.
///
/// `SO_REUSEADDR` is set, as servers set it, so that connections of a former server in `TIME_WAIT` do not count. Linux
/// still refuses while a live listener has the port on any address, BSD only if it has the very same: so the loopback
/// addresses are tried there too.
pub fn port_is_free(port: u16) -> bool {
    const ANY: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
    const LOOPBACK: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    // Port 0 asks the kernel for any port; it cannot be had itself.
    if port == 0 {
        return false;
    }
    let loopback = if cfg!(target_os = "linux") { &[][..] } else { &LOOPBACK[..] };
    let mut proved = false;
    for &address in ANY.iter().chain(loopback) {
        match try_bind(SocketAddr::new(address, port)) {
            Answer::Free => proved = true,
            Answer::Busy => return false,
            Answer::NoFamily => {}
            // A port below 1024, say: its holder can still be seen.
            Answer::Unknown => return nobody_listens(port),
        }
    }
    proved || nobody_listens(port)
}

fn nobody_listens(port: u16) -> bool {
    listeners().is_ok_and(|found| found.iter().all(|one| one.port != port))
}

fn try_bind(address: SocketAddr) -> Answer {
    match bound(address) {
        Ok(()) => Answer::Free,
        Err(Errno::EADDRINUSE) => Answer::Busy,
        Err(Errno::EAFNOSUPPORT | Errno::EPROTONOSUPPORT | Errno::EADDRNOTAVAIL) => Answer::NoFamily,
        Err(_) => Answer::Unknown,
    }
}

fn bound(address: SocketAddr) -> nix::Result<()> {
    #[cfg(target_os = "linux")]
    let flags = SockFlag::SOCK_CLOEXEC;
    // Elsewhere the flag does not exist; the socket is closed within microseconds.
    #[cfg(not(target_os = "linux"))]
    let flags = SockFlag::empty();
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let socket = socket(family, SockType::Stream, flags, None)?;
    setsockopt(&socket, sockopt::ReuseAddr, &true)?;
    if address.is_ipv6() {
        setsockopt(&socket, sockopt::Ipv6V6Only, &true)?;
    }
    bind(socket.as_raw_fd(), &SockaddrStorage::from(address))
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    /// Another test may be between fork and exec, and hold a copy of a socket for that moment.
    fn becomes_free(port: u16) -> bool {
        (0..10_000).any(|_| {
            std::thread::yield_now();
            port_is_free(port)
        })
    }

    #[test]
    fn a_listener_on_any_address_makes_the_port_busy_until_it_is_closed() {
        for address in ["127.0.0.1", "0.0.0.0", "::1", "::"] {
            let address: IpAddr = address.parse().unwrap();
            let Ok(listener) = TcpListener::bind((address, 0)) else {
                assert!(address.is_ipv6(), "IPv4 must be there");
                continue;
            };
            let port = listener.local_addr().unwrap().port();
            assert!(!port_is_free(port), "{address}");
            drop(listener);
            assert!(becomes_free(port), "{address}");
        }
    }

    #[test]
    fn connections_of_a_former_server_do_not_count() {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = server.local_addr().unwrap();
        let mut client = TcpStream::connect(address).unwrap();
        // The side that closes first keeps the connection in TIME_WAIT: the server's.
        drop(server.accept().unwrap());
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
        drop(client);
        drop(server);
        assert!(becomes_free(address.port()));
    }

    #[test]
    fn an_address_that_this_machine_lacks_is_not_taken_for_a_busy_port() {
        // 192.0.2.0/24 is for documentation (RFC 5737): no machine has it.
        assert_eq!(try_bind(SocketAddr::from(([192, 0, 2, 1], 40_000))), Answer::NoFamily);
        assert!(!port_is_free(0));
    }
}
