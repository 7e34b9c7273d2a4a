//! Connecting to a TCP port without waiting for it.
#![expect(unsafe_code, reason = "a non-blocking connect has no safe form in std")]

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd};

use nix::libc;

/// A connection attempt under way.
#[derive(Debug)]
pub struct Connecting(TcpStream);

/// Where a listener on `addr` is reached from this machine: any address means loopback.
fn target(addr: IpAddr) -> IpAddr {
    match addr {
        IpAddr::V4(v4) if v4.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(v6) if v6.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other => other,
    }
}

impl Connecting {
    /// Begins to connect to a listener that is bound to `addr` and `port`.
    ///
    /// # Errors
    /// When the attempt fails at once.
    pub fn begin(addr: IpAddr, port: u16) -> io::Result<Self> {
        let addr = target(addr);
        let family = if addr.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
        // SAFETY: makes a descriptor that is owned by the stream from here on.
        let stream = unsafe {
            let fd = libc::socket(family, libc::SOCK_STREAM, 0);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            TcpStream::from_raw_fd(fd)
        };
        super::fd::set_cloexec(stream.as_raw_fd())?;
        stream.set_nonblocking(true)?;
        let done = match addr {
            IpAddr::V4(v4) => {
                // SAFETY: all-zero is a valid address structure of its family.
                let mut to: libc::sockaddr_in = unsafe { zeroed() };
                to.sin_family = family as libc::sa_family_t;
                to.sin_port = port.to_be();
                to.sin_addr.s_addr = u32::from_ne_bytes(v4.octets());
                // SAFETY: `to` is a valid address of the given size.
                unsafe {
                    libc::connect(
                        stream.as_raw_fd(),
                        (&raw const to).cast(),
                        size_of::<libc::sockaddr_in>() as libc::socklen_t,
                    )
                }
            }
            IpAddr::V6(v6) => {
                // SAFETY: as above.
                let mut to: libc::sockaddr_in6 = unsafe { zeroed() };
                to.sin6_family = family as libc::sa_family_t;
                to.sin6_port = port.to_be();
                to.sin6_addr.s6_addr = v6.octets();
                // SAFETY: as above.
                unsafe {
                    libc::connect(
                        stream.as_raw_fd(),
                        (&raw const to).cast(),
                        size_of::<libc::sockaddr_in6>() as libc::socklen_t,
                    )
                }
            }
        };
        if done != 0 {
            let error = io::Error::last_os_error();
            if error.raw_os_error() != Some(libc::EINPROGRESS) {
                return Err(error);
            }
        }
        Ok(Connecting(stream))
    }

    /// The outcome, once the descriptor can be written.
    ///
    /// # Errors
    /// Why the connection was not made.
    pub fn finish(&self) -> io::Result<()> {
        self.0.take_error()?.map_or(Ok(()), Err)
    }
}

impl AsFd for Connecting {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
