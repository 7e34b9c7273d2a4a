//! The buffer of `sysctl(KERN_PROCARGS2)`: how macOS hands out arguments and environment of a process.

/// The words and the environment of a process.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ProcArgs {
    /// Its argument words.
    pub(super) argv: Vec<String>,
    /// `NAME=value`, each ended by a NUL, as `/proc/PID/environ` has it on Linux.
    pub(super) environ: Vec<u8>,
}

/// Reads the buffer: the number of arguments (an `int`), the executed path, NULs up to a word's boundary, the arguments,
/// then the environment, which an empty string or the end of the buffer ends.
pub(super) fn parse(buffer: &[u8]) -> Option<ProcArgs> {
    let (count, rest) = buffer.split_first_chunk()?;
    let count = usize::try_from(i32::from_ne_bytes(*count)).ok()?;
    let after_path = rest.iter().position(|&byte| byte == 0)?;
    let padding = rest[after_path..].iter().position(|&byte| byte != 0)?;
    let mut strings = rest[after_path + padding..].split(|&byte| byte == 0);
    // A process may claim more arguments than it has bytes.
    let argv = strings.by_ref().take(count).map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    let environ = strings.take_while(|one| !one.is_empty()).flat_map(|one| [one, b"\0"].concat()).collect();
    Some(ProcArgs { argv, environ })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn arguments_and_environment_are_told_apart() {
        let buffer =
            [&3_i32.to_ne_bytes()[..], b"/bin/sh\0\0\0\0\0sh\0\0-c\0A=1\0B=2 3\0\0junk=1\0"].concat();
        let read = parse(&buffer).unwrap();
        assert_eq!(read.argv, ["sh", "", "-c"]);
        assert_eq!(read.environ, b"A=1\0B=2 3\0");
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(0u8..4, 0..60)) {
            let _ = parse(&bytes);
        }
    }
}
