//! The name of a process's controlling terminal, from the number that `/proc/PID/stat` says (proc(5), `tty_nr`).

/// The terminal in a line of `/proc/PID/stat`, as it is called below `/dev`; `None` for a process without one.
pub(super) fn of_stat(line: &[u8]) -> Option<String> {
    let close = line.iter().rposition(|&byte| byte == b')')?;
    // Behind the command: state, parent, group, session, terminal.
    let field = line[close + 1..].trim_ascii().split(|&byte| byte == b' ').nth(4)?;
    name(super::stat::number(field)?)
}

/// The name of a terminal by its device number: the minor number is in bits 31 to 20 and 7 to 0, the major one in 19 to 8.
///
/// The numbers are those of the kernel's `Documentation/admin-guide/devices.txt`.
fn name(device: u64) -> Option<String> {
    let major = (device >> 8) & 0xfff;
    let minor = (device & 0xff) | ((device >> 12) & 0xfff00);
    match (major, minor) {
        (0, _) => None,
        (4, 0..=63) => Some(format!("tty{minor}")),
        (4, _) => Some(format!("ttyS{}", minor - 64)),
        (5, 1) => Some("console".into()),
        (136..=143, _) => Some(format!("pts/{}", (major - 136) * 256 + minor)),
        _ => Some(format!("tty {major}:{minor}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_called_as_below_dev() {
        for (device, expected) in [
            (0, None),
            (1025, Some("tty1")),
            (1088, Some("ttyS0")),
            (1281, Some("console")),
            (34816, Some("pts/0")),
            (34823, Some("pts/7")),
            // The 300th: the minor number does not fit into its low byte.
            (1_083_436, Some("pts/300")),
            (48640, Some("tty 190:0")),
        ] {
            let line = format!("77 (a) S (b)) S 1 77 77 {device} 77 4194304");
            assert_eq!(of_stat(line.as_bytes()).as_deref(), expected, "{device}");
        }
        for line in ["", "77 (a", "77 (a) S 1 2 3", "77 (a) S 1 2 3 x 5"] {
            assert_eq!(of_stat(line.as_bytes()), None, "{line:?}");
        }
    }
}
