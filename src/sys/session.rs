//! Where this process stands among the login sessions of systemd.

/// The control group of this process in the hierarchy that systemd keeps (cgroups(7)), such as
/// `/user.slice/user-1000.slice/session-3.scope`; none where there is none.
#[cfg(target_os = "linux")]
pub fn control_group() -> Option<String> {
    named_group(&std::fs::read_to_string("/proc/self/cgroup").ok()?)
}

/// macOS has no control groups.
#[cfg(target_os = "macos")]
pub fn control_group() -> Option<String> {
    None
}

/// The path in the lines `ID:CONTROLLERS:PATH`: of systemd's own hierarchy, else of the unified one.
#[cfg(any(target_os = "linux", test))]
fn named_group(text: &str) -> Option<String> {
    let of = |wanted: &str| {
        text.lines().find_map(|line| {
            let (_, rest) = line.split_once(':')?;
            let (controllers, path) = rest.split_once(':')?;
            (controllers == wanted).then(|| path.to_owned())
        })
    };
    of("name=systemd").or_else(|| of(""))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_hierarchy_of_systemd_counts() {
        for (text, path) in [
            (
                "0::/user.slice/user-1000.slice/session-3.scope\n",
                Some("/user.slice/user-1000.slice/session-3.scope"),
            ),
            ("9:name=systemd:/a\n8:pids:/b\n0::/c\n", Some("/a")),
            ("8:pids:/b\n", None),
            ("0::/a:b\n", Some("/a:b")),
            ("", None),
        ] {
            assert_eq!(super::named_group(text).as_deref(), path);
        }
    }
}
