//! The terminal: how wide and how high it is.
#![expect(unsafe_code, reason = "ioctl(2)")]

use nix::libc;

/// The columns of the terminal on standard output, if there is one.
pub fn columns() -> Option<usize> {
    Some(usize::from(size()?.ws_col)).filter(|columns| *columns > 0)
}

/// The lines of the terminal on standard output, if there is one.
pub fn lines() -> Option<usize> {
    Some(usize::from(size()?.ws_row)).filter(|lines| *lines > 0)
}

fn size() -> Option<libc::winsize> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: fills in `size`, which lives for the call.
    let done = unsafe { libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &raw mut size) };
    (done == 0).then_some(size)
}
