//! Two threads for what is mostly waiting for the kernel to open and print small files.

/// Maps `items` with `map`, the second half on a thread of its own when there are at least `worth` of them; the results
/// are in the order of the items.
pub fn halves<T: Sync, R: Send>(items: &[T], worth: usize, map: impl Fn(&[T]) -> Vec<R> + Sync) -> Vec<R> {
    if items.len() < worth.max(2) {
        return map(items);
    }
    let (first, second) = items.split_at(items.len() / 2);
    std::thread::scope(|scope| {
        let other = std::thread::Builder::new().spawn_scoped(scope, || map(second));
        let mut all = map(first);
        all.append(&mut match other.map(std::thread::ScopedJoinHandle::join) {
            Ok(Ok(rest)) => rest,
            // No thread to be had: a limit on processes.
            _ => map(second),
        });
        all
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_order_stays_with_one_thread_and_with_two() {
        let items: Vec<u32> = (0..101).collect();
        let doubled: Vec<u32> = items.iter().map(|item| item * 2).collect();
        for worth in [0, 1, 2, 101, 102] {
            let map = |part: &[u32]| part.iter().map(|item| item * 2).collect();
            assert_eq!(super::halves(&items, worth, map), doubled, "{worth}");
        }
    }
}
