//! Who runs TSM, and what users are called.

/// The effective user ID of this process: whom its files and signals belong to.
pub fn uid() -> u32 {
    nix::unistd::geteuid().as_raw()
}

/// The name of a user by `/etc/passwd` alone: a static binary has no NSS, so a user of a directory service has none.
#[cfg(target_os = "linux")]
pub fn name(uid: u32) -> Option<String> {
    let passwd = std::fs::read("/etc/passwd").ok()?;
    name_in(&passwd, uid)
}

/// The name of a user by the system's directory; `/etc/passwd` of macOS lists no person.
#[cfg(target_os = "macos")]
pub fn name(uid: u32) -> Option<String> {
    Some(nix::unistd::User::from_uid(uid.into()).ok()??.name)
}

/// The first name of `uid` in a text as passwd(5) describes it.
#[cfg(any(target_os = "linux", test))]
fn name_in(passwd: &[u8], uid: u32) -> Option<String> {
    passwd.split(|&byte| byte == b'\n').find_map(|line| {
        let mut fields = std::str::from_utf8(line).ok()?.split(':');
        let name = fields.next()?;
        let found: u32 = fields.nth(1)?.parse().ok()?;
        (found == uid && !name.is_empty()).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_passwd_lines_that_are_whole() {
        let passwd = b"root:x:0:0:root:/root:/bin/bash\n+nis\n# note\n\xff:x:7:7\n:x:8:8::/:\n\
            ann:x:1000:1000:Ann,,,:/home/ann:/bin/zsh\nann2:x:1000:1000::/:/bin/sh\nbad:x:ten:1::/:";
        for (uid, name) in
            [(0, Some("root")), (1000, Some("ann")), (7, None), (8, None), (10, None), (42, None)]
        {
            assert_eq!(name_in(passwd, uid).as_deref(), name, "{uid}");
        }
    }

    #[test]
    fn root_has_a_name() {
        assert_eq!(name(0).as_deref(), Some("root"));
        assert_eq!(name(u32::MAX - 7), None);
    }
}
