//! Which boot this is: a PID with its start time means a process only within one.

/// A text that differs from boot to boot (`random/boot_id` of proc(5)); empty where the kernel does not say.
#[cfg(target_os = "linux")]
pub fn id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}

/// A text that differs from boot to boot (`kern.bootsessionuuid`); empty where the kernel does not say.
#[cfg(target_os = "macos")]
pub fn id() -> String {
    super::process::sysctl_by_name(c"kern.bootsessionuuid")
        .and_then(|bytes| std::ffi::CStr::from_bytes_until_nul(&bytes).ok()?.to_str().ok().map(str::to_owned))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #[test]
    fn one_boot_has_one_id() {
        let id = super::id();
        assert_eq!(id.len(), 36, "{id:?}");
        assert_eq!(id, super::id());
    }
}
