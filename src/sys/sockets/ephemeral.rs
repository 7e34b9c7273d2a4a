//! The ports that the kernel gives to outgoing connections.

use std::ops::RangeInclusive;

/// The range of `ip_local_port_range` (ip(7)); none where the kernel does not say.
#[cfg(target_os = "linux")]
pub fn ephemeral_range() -> Option<RangeInclusive<u16>> {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    let mut numbers = text.split_whitespace().map(str::parse::<u16>);
    Some(numbers.next()?.ok()?..=numbers.next()?.ok()?)
}

/// The range of `net.inet.ip.portrange.first` and `.last` (ip(4)); none where the kernel does not say.
#[cfg(target_os = "macos")]
pub fn ephemeral_range() -> Option<RangeInclusive<u16>> {
    let number = |name: &std::ffi::CStr| {
        let bytes = crate::sys::process::sysctl_by_name(name)?;
        u16::try_from(i32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?)).ok()
    };
    Some(number(c"net.inet.ip.portrange.first")?..=number(c"net.inet.ip.portrange.last")?)
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_holds_a_port_that_the_kernel_chose() {
        let chosen = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        assert!(super::ephemeral_range().is_none_or(|range| range.contains(&chosen)));
    }
}
