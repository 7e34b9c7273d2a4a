//! Listening sockets by `/proc/net/tcp` and `/proc/net/tcp6` (proc(5)): the slow way, where netlink is not to be had.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Listener;

/// The state LISTEN, as the tables write it.
const LISTEN: &str = "0A";

/// Reads both tables; a kernel without IPv6 has one.
///
/// # Errors
/// The IPv4 table cannot be read.
#[cfg(target_os = "linux")]
pub(super) fn listeners() -> std::io::Result<Vec<Listener>> {
    let mut found = parse(&std::fs::read_to_string("/proc/net/tcp")?);
    found.extend(parse(&std::fs::read_to_string("/proc/net/tcp6").unwrap_or_default()));
    Ok(found)
}

/// The listening sockets of one table.
fn parse(table: &str) -> Vec<Listener> {
    table.lines().filter_map(line).collect()
}

/// One line: number, local address, remote address, state, queues, timer, retransmits, user, timeout, inode.
fn line(line: &str) -> Option<Listener> {
    let mut fields = line.split_ascii_whitespace();
    let (addr, port) = fields.nth(1)?.split_once(':')?;
    if fields.nth(1)? != LISTEN {
        return None;
    }
    let uid = fields.nth(3)?.parse().ok()?;
    let inode = fields.nth(1)?.parse().ok()?;
    Some(Listener { port: u16::from_str_radix(port, 16).ok()?, addr: address(addr)?, inode, uid })
}

/// An address: words of four bytes in the machine's own order, as the kernel prints them.
fn address(hex: &str) -> Option<IpAddr> {
    let words: Vec<[u8; 4]> = (0..hex.len())
        .step_by(8)
        .map(|at| u32::from_str_radix(hex.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes))
        .collect::<Option<_>>()?;
    match words[..] {
        [v4] => Some(Ipv4Addr::from(v4).into()),
        [a, b, c, d] => Some(Ipv6Addr::from(<[u8; 16]>::try_from([a, b, c, d].concat()).ok()?).into()),
        _ => None,
    }
}

#[cfg(all(test, target_endian = "little"))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_listening_lines_are_taken() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 77 1 000000 100 0 0 10 0
   1: 0100007F:1F40 0100007F:D431 01 00000000:00000000 00:00000000 00000000  1000        0 78 1 000000 20 4 30 10 -1
   0: 00000000000000000000000001000000:0BB8 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 88 1 0 100 0 0 10 0
   2: 0100007F
";
        assert_eq!(
            parse(table),
            [
                Listener { port: 8000, addr: Ipv4Addr::LOCALHOST.into(), inode: 77, uid: 1000 },
                Listener { port: 3000, addr: Ipv6Addr::LOCALHOST.into(), inode: 88, uid: 0 },
            ]
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn both_ways_of_asking_agree() {
        let made = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = made.local_addr().unwrap().port();
        let of = |found: Vec<Listener>| found.into_iter().find(|one| one.port == port).unwrap();
        assert_eq!(of(listeners().unwrap()), of(super::super::netlink::listeners().unwrap()));
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "\\PC{0,120}") {
            parse(&text);
        }
    }
}
