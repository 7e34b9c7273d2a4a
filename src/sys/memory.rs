//! What this program itself keeps in memory.
#![expect(unsafe_code, reason = "madvise on this program's own code")]

/// Gives back the pages of this program's code that only its start has needed. What is needed again is mapped again from
/// the file, which costs a minor fault (madvise(2): `MADV_DONTNEED` of a mapping that is never written). On macOS, where
/// mapped files do not count, nothing.
pub fn release_code() {
    #[cfg(target_os = "linux")]
    for (start, length) in code(&std::fs::read_to_string("/proc/self/maps").unwrap_or_default()) {
        // SAFETY: the range is one whole mapping of this process, of a file, private, executable and not writable: its
        // pages are the file's, and come back from there.
        let _ = unsafe {
            nix::libc::madvise(std::ptr::with_exposed_provenance_mut(start), length, nix::libc::MADV_DONTNEED)
        };
    }
}

/// The executable mappings of files in `/proc/PID/maps` (proc(5)): address and length. Not those that are only read: the
/// loader has written into some of them.
#[cfg(any(target_os = "linux", test))]
fn code(maps: &str) -> Vec<(usize, usize)> {
    let mapping = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let (from, to) = words.next()?.split_once('-')?;
        let (from, to) = (usize::from_str_radix(from, 16).ok()?, usize::from_str_radix(to, 16).ok()?);
        let is_code = words.next()? == "r-xp" && words.nth(3)?.starts_with('/');
        is_code.then_some((from, to.checked_sub(from)?))
    };
    maps.lines().filter_map(mapping).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_that_is_a_file_s_is_given_back() {
        let maps = "\
            00400000-00401000 r--p 00000000 fe:00 12 /usr/bin/tsm\n\
            00401000-00a01000 r-xp 00001000 fe:00 12 /usr/bin/tsm\n\
            00a01000-00b01000 r--p 00601000 fe:00 12 /usr/bin/tsm\n\
            00b01000-00b02000 rw-p 00701000 fe:00 12 /usr/bin/tsm\n\
            01234000-01255000 rw-p 00000000 00:00 0 [heap]\n\
            7fff0000-7fff1000 r-xp 00000000 00:00 0 [vdso]\n\
            7ffe0000-7ffe1000 r-xp 00000000 00:00 0\n";
        assert_eq!(code(maps), [(0x0040_1000, 0x0060_0000)]);
    }

    #[test]
    fn a_program_goes_on_without_its_code_in_memory() {
        release_code();
        assert_eq!(code("x"), []);
    }
}
