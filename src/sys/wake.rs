//! Waking a poll loop from another thread: a byte on a pipe.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

/// The end that wakes; it can be cloned and sent to other threads.
#[derive(Clone, Debug)]
pub struct Waker(Arc<File>);

/// The end that is waited for.
#[derive(Debug)]
pub struct Wakes(File);

/// Both ends.
///
/// # Errors
/// When no descriptor is left.
pub fn pair() -> io::Result<(Waker, Wakes)> {
    let (read, write) = super::fd::pipe()?;
    super::fd::set_nonblocking(&read)?;
    super::fd::set_nonblocking(&write)?;
    Ok((Waker(Arc::new(File::from(write))), Wakes(File::from(read))))
}

impl Waker {
    /// Ends the wait. A pipe that is full is one that wakes anyway.
    pub fn wake(&self) {
        let _ = (&*self.0).write(&[1]);
    }
}

impl Wakes {
    /// Forgets the wakes so far.
    pub fn drain(&self) {
        let mut buffer = [0u8; 64];
        while matches!((&self.0).read(&mut buffer), Ok(count) if count > 0) {}
    }
}

impl AsFd for Wakes {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::poll;
    use std::time::Duration;

    #[test]
    fn a_wake_from_another_thread_ends_a_wait() {
        let (waker, woken) = pair().unwrap();
        let is_awake = |patience| poll::readable(&woken, Some(patience)).unwrap();
        assert!(!is_awake(Duration::ZERO));
        let other = waker.clone();
        std::thread::spawn(move || (0..100_000).for_each(|_| other.wake())).join().unwrap();
        assert!(is_awake(Duration::from_secs(10)));
        woken.drain();
        assert!(!is_awake(Duration::ZERO));
    }
}
