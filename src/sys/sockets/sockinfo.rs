//! `struct socket_fdinfo` of macOS's `sys/proc_info.h`, read by offset: libc does not declare it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

// Offsets from the start of `socket_fdinfo`: `proc_fileinfo` has 24 bytes, `socket_info` follows, and its protocol
// part begins 240 bytes into it.
const SO: usize = 24 + 136;
const KIND: usize = 24 + 232;
const PROTO: usize = 24 + 240;
const LOCAL_PORT: usize = PROTO + 4;
const VFLAG: usize = PROTO + 24;
const LOCAL_ADDRESS: usize = PROTO + 48;
const TCP_STATE: usize = PROTO + 80;

const SOCKINFO_TCP: u32 = 2;
const TSI_S_LISTEN: u32 = 1;
const INI_IPV4: u8 = 1;

/// The kernel's handle of a socket: stable as long as the socket is open.
pub(in crate::sys) fn handle(info: &[u8]) -> Option<u64> {
    Some(u64::from_ne_bytes(*info.get(SO..)?.first_chunk()?))
}

/// Port and address of a TCP socket that listens.
pub(super) fn listening(info: &[u8]) -> Option<(u16, IpAddr)> {
    let word = |at: usize| Some(u32::from_ne_bytes(*info.get(at..)?.first_chunk()?));
    if word(KIND)? != SOCKINFO_TCP || word(TCP_STATE)? != TSI_S_LISTEN {
        return None;
    }
    // An `int` that holds the port in network order in its first two bytes.
    let port = u16::from_be_bytes(*info.get(LOCAL_PORT..)?.first_chunk()?);
    let address: [u8; 16] = *info.get(LOCAL_ADDRESS..)?.first_chunk()?;
    let address = if info.get(VFLAG)? & INI_IPV4 != 0 && address[..12] == [0; 12] && address[12..] != [0; 4] {
        // IPv4 stands in the last four of the sixteen bytes.
        Ipv4Addr::new(address[12], address[13], address[14], address[15]).into()
    } else if *info.get(VFLAG)? == INI_IPV4 {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        Ipv6Addr::from(address).into()
    };
    Some((port, address))
}

#[cfg(all(test, target_endian = "little"))]
mod tests {
    use super::*;

    fn info(kind: u32, state: u32, vflag: u8, address: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0_u8; 792];
        let mut put = |at: usize, part: &[u8]| bytes[at..at + part.len()].copy_from_slice(part);
        put(160, &0xfeed_u64.to_ne_bytes());
        put(256, &kind.to_ne_bytes());
        put(268, &[0x1f, 0x40, 0, 0]);
        put(288, &[vflag]);
        put(312 + 16 - address.len(), address);
        put(344, &state.to_ne_bytes());
        bytes
    }

    #[test]
    fn a_listening_socket_gives_its_port_and_address() {
        for (vflag, bytes, address) in [
            (1, &[127, 0, 0, 1][..], "127.0.0.1"),
            (1, &[0, 0, 0, 0], "0.0.0.0"),
            (2, &Ipv6Addr::LOCALHOST.octets(), "::1"),
            (3, &[0; 16], "::"),
        ] {
            let info = info(2, 1, vflag, bytes);
            assert_eq!(listening(&info), Some((8000, address.parse().unwrap())), "{address}");
            assert_eq!(handle(&info), Some(0xfeed));
        }
    }

    #[test]
    fn other_sockets_do_not_listen() {
        assert_eq!(listening(&info(2, 4, 1, &[127, 0, 0, 1])), None);
        assert_eq!(listening(&info(3, 1, 1, &[127, 0, 0, 1])), None);
        assert_eq!(listening(&[0; 100]), None);
        assert_eq!(handle(&[0; 100]), None);
    }
}
