//! Listening sockets by netlink (`sock_diag(7)`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Listener;

// Linux's numbers, written out so that the parser can be tested on any system.
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const IPPROTO_TCP: u8 = 6;
const TCP_LISTEN: u32 = 10;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_DUMP: u16 = 0x300;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const SOCK_DIAG_BY_FAMILY: u16 = 20;

/// The size of a `struct nlmsghdr`.
const HEADER: usize = 16;
/// The size of a request: `nlmsghdr` and `inet_diag_req_v2`.
const REQUEST: usize = HEADER + 56;

/// What a buffer of replies ended with.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// More replies follow.
    Open,
    /// That was all.
    Done,
    /// The kernel refused: an errno.
    Refused(i32),
}

/// Asks the kernel for both address families.
///
/// # Errors
/// Netlink cannot be used: forbidden, or a kernel without `inet_diag`.
#[cfg(target_os = "linux")]
pub(super) fn listeners() -> std::io::Result<Vec<Listener>> {
    use std::io;
    use std::os::fd::AsRawFd;

    use nix::sys::socket::{
        AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, setsockopt,
        socket, sockopt,
    };
    use nix::sys::time::{TimeVal, TimeValLike};

    let socket = socket(
        AddressFamily::Netlink,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkSockDiag,
    )?;
    // The kernel answers at once; whatever stands in for one must not hang us.
    setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::seconds(1))?;
    let mut found = Vec::new();
    // The kernel fills at most 32 KiB at a time.
    let mut buffer = vec![0; 32 << 10];
    for family in [AF_INET, AF_INET6] {
        sendto(socket.as_raw_fd(), &request(family), &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
        loop {
            let length = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
            match parse(&buffer[..length], &mut found) {
                End::Open if length == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                End::Open => {}
                End::Done => break,
                // A kernel without IPv6 has nothing to list of it.
                End::Refused(_) if family == AF_INET6 => break,
                End::Refused(errno) => return Err(io::Error::from_raw_os_error(errno)),
            }
        }
    }
    Ok(found)
}

/// A request for every listening TCP socket of a family.
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only the parser is tested elsewhere"))]
fn request(family: u8) -> [u8; REQUEST] {
    let mut bytes = [0; REQUEST];
    let mut put = |at: usize, part: &[u8]| bytes[at..at + part.len()].copy_from_slice(part);
    put(0, &(REQUEST as u32).to_ne_bytes());
    put(4, &SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    put(6, &(NLM_F_REQUEST | NLM_F_DUMP).to_ne_bytes());
    put(HEADER, &[family, IPPROTO_TCP]);
    put(HEADER + 4, &(1_u32 << TCP_LISTEN).to_ne_bytes());
    bytes
}

/// Adds the sockets in a buffer of netlink messages to `found`.
fn parse(mut messages: &[u8], found: &mut Vec<Listener>) -> End {
    while let Some((header, _)) = messages.split_first_chunk::<HEADER>() {
        let length = u32_at(header, 0).unwrap_or(0) as usize;
        let Some(payload) = messages.get(HEADER..length) else { return End::Refused(0) };
        let kind = u16::from_ne_bytes([header[4], header[5]]);
        // An error is a negative errno; so is what a listing ended with, or 0.
        let errno = u32_at(payload, 0).map_or(0, |raw| (raw as i32).saturating_neg());
        match kind {
            NLMSG_DONE if errno == 0 => return End::Done,
            NLMSG_DONE | NLMSG_ERROR => return End::Refused(errno),
            SOCK_DIAG_BY_FAMILY => found.extend(listener(payload)),
            _ => {}
        }
        // Messages start at multiples of four.
        messages = messages.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    End::Open
}

/// One `struct inet_diag_msg`: family, state, timer and retries (a byte each), ports (big-endian), addresses (16 bytes
/// each), interface, cookie, then expiry, queues, user and inode (4 bytes each).
fn listener(message: &[u8]) -> Option<Listener> {
    let port = u16::from_be_bytes(*message.get(4..)?.first_chunk()?);
    let addr: [u8; 16] = *message.get(8..)?.first_chunk()?;
    let addr: IpAddr = match *message.first()? {
        AF_INET => Ipv4Addr::new(addr[0], addr[1], addr[2], addr[3]).into(),
        AF_INET6 => Ipv6Addr::from(addr).into(),
        _ => return None,
    };
    Some(Listener { port, addr, uid: u32_at(message, 64)?, inode: u32_at(message, 68)?.into() })
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(kind: u16, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(((HEADER + payload.len()) as u32).to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend([2, 0]);
        bytes.extend([0; 8]);
        bytes.extend(payload);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn diag(family: u8, port: u16, addr: &[u8], uid: u32, inode: u32) -> Vec<u8> {
        let mut payload = vec![family, 10, 0, 0];
        payload.extend(port.to_be_bytes());
        payload.extend([0, 0]);
        payload.extend(addr);
        payload.resize(64, 0);
        payload.extend(uid.to_ne_bytes());
        payload.extend(inode.to_ne_bytes());
        // An attribute after it, of an odd length.
        payload.extend([5, 0, 8, 0, 0]);
        message(SOCK_DIAG_BY_FAMILY, &payload)
    }

    #[test]
    fn both_families_are_read_up_to_the_end() {
        let v6 = Ipv6Addr::LOCALHOST.octets();
        let buffer =
            [diag(AF_INET, 8000, &[127, 0, 0, 1], 1000, 77), diag(AF_INET6, 3000, &v6, 0, 88)].concat();
        let mut found = Vec::new();
        assert_eq!(parse(&buffer, &mut found), End::Open);
        assert_eq!(parse(&message(NLMSG_DONE, &[0; 4]), &mut found), End::Done);
        assert_eq!(
            found,
            [
                Listener { port: 8000, addr: Ipv4Addr::LOCALHOST.into(), inode: 77, uid: 1000 },
                Listener { port: 3000, addr: Ipv6Addr::LOCALHOST.into(), inode: 88, uid: 0 },
            ]
        );
    }

    #[test]
    fn a_refusal_is_told_from_an_end() {
        let mut found = Vec::new();
        for kind in [NLMSG_ERROR, NLMSG_DONE] {
            assert_eq!(parse(&message(kind, &(-2_i32).to_ne_bytes()), &mut found), End::Refused(2));
        }
        // A message longer than the buffer, and one shorter than its own header.
        for length in [200_u32, 4] {
            let mut broken = diag(AF_INET, 1, &[0; 4], 0, 0);
            broken[..4].copy_from_slice(&length.to_ne_bytes());
            assert_eq!(parse(&broken, &mut found), End::Refused(0), "{length}");
        }
        assert!(found.is_empty());
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            parse(&bytes, &mut Vec::new());
        }
    }
}
