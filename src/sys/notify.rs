//! Talking to a service manager that started this process (`sd_notify(3)`).

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

/// Tells the manager something, such as `READY=1`; without a manager nothing happens.
pub fn say(text: &str) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let Ok(socket) = UnixDatagram::unbound() else { return };
    let name = path.as_encoded_bytes();
    // An abstract address begins with an @, which stands for a NUL.
    #[cfg(target_os = "linux")]
    if let Some(name) = name.strip_prefix(b"@") {
        use std::os::linux::net::SocketAddrExt;
        if let Ok(address) = std::os::unix::net::SocketAddr::from_abstract_name(name) {
            let _ = socket.send_to_addr(text.as_bytes(), &address);
        }
        return;
    }
    if name.starts_with(b"/") {
        let _ = socket.send_to(text.as_bytes(), path);
    }
}

/// How often to say `WATCHDOG=1`: half of what the manager waits for (`sd_watchdog_enabled(3)`); none when it does not.
pub fn watchdog() -> Option<Duration> {
    let of_us = std::env::var("WATCHDOG_PID").map_or(true, |pid| pid == std::process::id().to_string());
    let micros: u64 = std::env::var("WATCHDOG_USEC").ok()?.parse().ok()?;
    (of_us && micros > 0).then(|| Duration::from_micros(micros / 2))
}
