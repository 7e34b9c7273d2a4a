//! A snapshot of processes, found by PID and by parent.

use crate::model::{Identity, Pid};
use crate::sys::process::{self, Process};

/// From how many roots on one pass over everything is faster: naming the children of a process takes as long as reading
/// it, so this holds as soon as the trees are half of what runs.
const MANY_ROOTS: usize = 200;

/// Processes as they were at one moment. What is not in it may have started since.
#[derive(Debug, Default)]
pub struct Table {
    /// Sorted by PID.
    processes: Vec<Process>,
    /// Places in `processes`, sorted by parent and then by age: the children of one parent stand together.
    by_parent: Vec<usize>,
}

impl Table {
    /// Every process that this user can see.
    pub fn all() -> Table {
        Table::new(process::all())
    }

    /// Every process but `skip`: reading one costs 7 µs, so `tsm list` leaves its supervisors out.
    ///
    /// Their trees are still found by [`Table::descendants`], and a main process whose parent is the recorded supervisor
    /// proves that one alive: when it dies, the kernel gives its children to one of its own ancestors.
    pub fn all_but(skip: &[Pid]) -> Table {
        let mut skip = skip.to_vec();
        skip.sort_unstable();
        Table::new(process::all_but(&skip))
    }

    /// The processes `roots` and everything below them, where the kernel can name children; else every process.
    ///
    /// A tree that changes meanwhile may miss a process (see [`process::children`]): good for showing, while what must
    /// end a whole tree takes [`Table::all`].
    pub fn below(roots: &[Pid]) -> Table {
        if roots.len() > MANY_ROOTS {
            return Table::all();
        }
        descend(roots).map_or_else(Table::all, Table::new)
    }

    /// A table of these processes.
    pub fn new(mut processes: Vec<Process>) -> Table {
        processes.sort_unstable_by_key(|process| process.pid);
        processes.dedup_by_key(|process| process.pid);
        let mut by_parent: Vec<usize> = (0..processes.len()).collect();
        by_parent.sort_unstable_by_key(|&at| {
            let process = &processes[at];
            (process.ppid, process.start, process.pid)
        });
        Table { processes, by_parent }
    }

    /// All of them, by PID.
    pub fn processes(&self) -> &[Process] {
        &self.processes
    }

    /// The process of that PID; it may be a zombie.
    pub fn get(&self, pid: Pid) -> Option<&Process> {
        let at = self.processes.binary_search_by_key(&pid, |process| process.pid).ok()?;
        Some(&self.processes[at])
    }

    /// True when that very process ran.
    pub fn is_alive(&self, identity: &Identity) -> bool {
        self.get(identity.pid).is_some_and(|process| process.start == identity.start && !process.is_dead())
    }

    /// The direct children, oldest first; zombies too.
    pub fn children(&self, parent: Pid) -> impl Iterator<Item = &Process> {
        let parent = parent.get();
        let first = self.by_parent.partition_point(|&at| self.processes[at].ppid < parent);
        self.by_parent[first..]
            .iter()
            .map(|&at| &self.processes[at])
            .take_while(move |process| process.ppid == parent)
    }

    /// Everything below `root`, parents before their children; neither `root` nor zombies, nor the other supervisors
    /// below it with what is theirs.
    pub fn descendants(&self, root: Pid) -> Vec<&Process> {
        // The snapshot is not one instant, so with a reused PID the parents may form a ring. Each process has one
        // parent: a ring that is reachable from `root` goes through it.
        let below = |parent: Pid| {
            self.children(parent).filter(move |child| child.pid != root && !child.is_supervisor())
        };
        let mut found: Vec<&Process> = below(root).collect();
        let mut next = 0;
        while let Some(parent) = found.get(next) {
            found.extend(below(parent.pid));
            next += 1;
        }
        found.retain(|process| !process.is_dead());
        found
    }

    /// `root` and everything below it, parents before their children; no zombies.
    pub fn tree(&self, root: Pid) -> Vec<&Process> {
        let mut found: Vec<&Process> =
            self.get(root).filter(|process| !process.is_dead()).into_iter().collect();
        found.append(&mut self.descendants(root));
        found
    }
}

/// `roots` and everything below them, from the kernel's lists of children.
fn descend(roots: &[Pid]) -> Option<Vec<Process>> {
    let mut found: Vec<Process> = roots.iter().filter_map(|&pid| process::read(pid)).collect();
    let mut seen: std::collections::HashSet<Pid> = found.iter().map(|process| process.pid).collect();
    let mut next = 0;
    while let Some(parent) = found.get(next) {
        let children = process::children_of(parent)?;
        found.extend(children.into_iter().filter(|&pid| seen.insert(pid)).filter_map(process::read));
        next += 1;
    }
    Some(found)
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(in crate::inspect) fn process(pid: i32, parent: i32, state: char) -> Process {
        Process {
            pid: Pid::new(pid).unwrap(),
            ppid: parent,
            pgid: pid,
            session: pid,
            state,
            start: pid as u64 * 10,
            cpu_ms: 0,
            rss_bytes: 0,
            threads: 1,
            comm: "".into(),
        }
    }

    fn pids(processes: &[&Process]) -> Vec<i32> {
        processes.iter().map(|process| process.pid.get()).collect()
    }

    #[test]
    fn a_tree_is_listed_parents_first_and_without_zombies() {
        let table = Table::new(vec![
            process(50, 20, 'S'),
            process(20, 10, 'S'),
            process(10, 1, 'S'),
            process(30, 10, 'Z'),
            process(40, 10, 'R'),
            process(60, 1, 'S'),
        ]);
        let pid = |number| Pid::new(number).unwrap();
        assert_eq!(pids(&table.descendants(pid(10))), [20, 40, 50]);
        assert_eq!(pids(&table.tree(pid(10))), [10, 20, 40, 50]);
        assert_eq!(pids(&table.children(pid(10)).collect::<Vec<_>>()), [20, 30, 40]);
        assert!(table.tree(pid(30)).is_empty());
        assert!(table.descendants(pid(999)).is_empty());
        for (number, start, alive) in [(20, 200, true), (20, 201, false), (30, 300, false), (70, 700, false)]
        {
            assert_eq!(table.is_alive(&Identity { pid: pid(number), start }), alive, "{number} {start}");
        }
    }

    #[test]
    fn a_tree_is_found_below_a_process_that_is_not_in_the_table() {
        let table = Table::new(vec![process(20, 10, 'S'), process(30, 20, 'S')]);
        assert_eq!(pids(&table.tree(Pid::new(10).unwrap())), [20, 30]);
        let me = Pid::new(std::process::id() as i32).unwrap();
        let table = Table::all_but(&[Pid::new(i32::MAX).unwrap(), me]);
        assert!(table.get(me).is_none() && !table.processes().is_empty());
    }

    #[test]
    fn a_partial_table_holds_at_least_the_root_and_its_children() {
        let me = Pid::new(std::process::id() as i32).unwrap();
        let mut child =
            std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let cat = Pid::new(child.id() as i32).unwrap();
        let (below, all) = (Table::below(&[me]), Table::all());
        for table in [&below, &all] {
            assert!(table.get(me).is_some());
            assert!(table.descendants(me).iter().any(|process| process.pid == cat));
        }
        drop(child.stdin.take());
        child.wait().unwrap();
    }

    proptest! {
        #[test]
        fn any_parentage_even_a_ring_is_walked_once(parents in proptest::collection::vec(0i32..14, 12)) {
            let all = parents.iter().enumerate().map(|(at, &ppid)| process(at as i32 + 2, ppid, 'S')).collect();
            let table = Table::new(all);
            for root in 2..14 {
                let mut found = pids(&table.tree(Pid::new(root).unwrap()));
                prop_assert_eq!(found[0], root);
                let count = found.len();
                found.sort_unstable();
                found.dedup();
                prop_assert_eq!(found.len(), count);
            }
        }
    }
}
