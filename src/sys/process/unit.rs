//! The systemd unit that a process belongs to, from its control group (cgroups(7), systemd.unit(5)).

/// The innermost `.service` in the text of `/proc/PID/cgroup`; not the user's own manager, which is no answer.
pub(super) fn of_cgroup(text: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(text).ok()?;
    text.lines().find_map(|line| {
        // Hierarchy, controllers and path; without systemd's hierarchy the path says nothing of units.
        let mut fields = line.splitn(3, ':');
        let controllers = fields.nth(1)?;
        if !matches!(controllers, "" | "name=systemd") {
            return None;
        }
        let unit = fields.next()?.rsplit('/').find(|part| part.ends_with(".service"))?;
        (!unit.starts_with("user@")).then(|| unit.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_service_is_the_unit() {
        for (text, unit) in [
            ("0::/system.slice/nginx.service\n", Some("nginx.service")),
            ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/web.service\n", Some("web.service")),
            ("9:cpu:/x.service\n1:name=systemd:/system.slice/db.service/sub\n0::/\n", Some("db.service")),
            ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/run-1.scope\n", None),
            ("0::/user.slice/user-1000.slice/session-3.scope\n", None),
            ("9:cpu:/x.service\n0::/\n", None),
            ("", None),
            ("nonsense", None),
        ] {
            assert_eq!(of_cgroup(text.as_bytes()).as_deref(), unit, "{text:?}");
        }
    }
}
