//! The tables of the census.

use super::*;

fn held(port: u16, pid: i32, addrs: &[&str]) -> Held {
    Held {
        port,
        pid: Pid::new(pid),
        parent: 5,
        uid: 1000,
        addrs: addrs.iter().map(|addr| addr.parse().unwrap()).collect(),
    }
}

/// A tracked process whose supervisor is PID 100 and whose main process is PID 101.
fn web(state: State, port: u16, ports: &[u16]) -> Planned {
    let tree: Vec<Pid> = [100, 101, 102].into_iter().filter_map(Pid::new).collect();
    Planned {
        name: "web".into(),
        id: Some(0),
        port: Some(port),
        ports: ports.to_vec(),
        state,
        pid: Pid::new(101).filter(|_| state == State::Online),
        tree: if state.live() { tree } else { Vec::new() },
    }
}

fn statuses(held: &[Held], planned: &[Planned]) -> Vec<(u16, String, bool)> {
    census(held, planned).iter().map(|row| (row.port, row.status.to_string(), row.tsm)).collect()
}

fn remarks(held: &[Held], planned: &[Planned]) -> Vec<String> {
    census(held, planned)
        .into_iter()
        .filter_map(|row| row.remark)
        .map(|remark| format!("{} -> {}", remark.text, remark.next))
        .collect()
}

#[test]
fn who_listens_is_decided_by_tree() {
    let web = [web(State::Online, 3000, &[3000])];
    let all = [held(3000, 102, &["127.0.0.1"]), held(5000, 9, &["::"])];
    assert_eq!(statuses(&all, &web), [(3000, "USED".into(), true), (5000, "USED".into(), false)]);
    assert!(remarks(&all, &web).is_empty());
}

#[test]
fn a_reserved_port_is_in_conflict_silent_or_only_wanted() {
    let foreign = [held(3000, 9, &["127.0.0.1"])];
    for (state, held, expected, remark) in [
        (
            State::Backoff,
            &foreign[..],
            ("CONFLICT", false),
            "port 3000 is reserved by web (TSM ID: 0), which is backoff, but PID 9 holds it -> tsm doctor kill 3000",
        ),
        (State::Online, &foreign, ("CONFLICT", false), "but PID 9 holds it"),
        (
            State::Stopped,
            &foreign,
            ("USED", false),
            "port 3000 is planned for web (TSM ID: 0), which is stopped -> tsm doctor kill 3000, before you",
        ),
        (State::Online, &[], ("SILENT", true), "runs, but nobody listens on its port 3000 -> tsm logs web"),
        (State::Starting, &[], ("SILENT", true), "still starting"),
        (State::Backoff, &[], ("SILENT", true), "is backoff, and nobody listens"),
    ] {
        let planned = [web(state, 3000, &[])];
        assert_eq!(statuses(held, &planned), [(3000, expected.0.to_owned(), expected.1)], "{state}");
        let said = remarks(held, &planned);
        assert!(matches!(&said[..], [one] if one.contains(remark)), "{state}: {said:?}");
    }
    assert!(census(&[], &[web(State::Stopped, 3000, &[])]).is_empty());
}

#[test]
fn a_tracked_one_on_the_port_of_another_is_to_be_stopped_not_killed() {
    let other = Planned { name: "api".into(), id: Some(1), tree: vec![], ..web(State::Backoff, 4000, &[]) };
    let said = remarks(&[held(4000, 101, &["::"])], &[web(State::Online, 4000, &[4000]), other]);
    assert_eq!(
        said,
        [
            "port 4000 is reserved by api (TSM ID: 1), which is backoff, but web (TSM ID: 0) holds it -> tsm stop web"
        ]
    );
}

#[test]
fn one_that_listens_elsewhere_says_so_once() {
    let web = [web(State::Online, 3000, &[4000, 4001])];
    let all = [held(4000, 101, &["::"]), held(4001, 101, &["::"])];
    let expected =
        [(3000, "SILENT".into(), true), (4000, "ELSEWHERE".into(), true), (4001, "ELSEWHERE".into(), true)];
    assert_eq!(statuses(&all, &web), expected);
    let said = remarks(&all, &web);
    assert!(
        matches!(&said[..], [one] if one.starts_with("web (TSM ID: 0) listens on 4000, 4001, not on its planned port 3000")),
        "{said:?}"
    );
    // More ports than the planned one are nothing to speak of.
    let both = [self::web(State::Online, 3000, &[3000, 4000])];
    let all = [held(3000, 101, &["::"]), held(4000, 101, &["::"])];
    assert!(census(&all, &both).iter().all(|row| row.status == PortStatus::Used));
}

#[test]
fn two_programs_on_one_port_clash_where_one_name_leads_to_both() {
    for (a, b, clashes) in [
        ("127.0.0.1", "::1", true),
        ("0.0.0.0", "::1", true),
        ("0.0.0.0", "127.0.0.1", true),
        ("::", "::1", true),
        // Shared on purpose.
        ("127.0.0.1", "127.0.0.1", false),
        ("0.0.0.0", "0.0.0.0", false),
        // Told apart.
        ("127.0.0.1", "127.0.0.53", false),
        ("192.168.1.5", "::1", false),
    ] {
        let all = [held(3000, 9, &[a]), held(3000, 10, &[b])];
        let expected = if clashes { "CONFLICT" } else { "USED" };
        assert!(statuses(&all, &[]).iter().all(|row| row.1 == expected), "{a} {b}");
        assert_eq!(remarks(&all, &[]).len(), usize::from(clashes), "{a} {b}");
    }
    let all = [held(3000, 9, &["127.0.0.1"]), held(3000, 10, &["::1"])];
    assert_eq!(
        remarks(&all, &[]),
        ["port 3000 leads to PID 9 on 127.0.0.1 and to PID 10 on ::1 -> tsm doctor port 3000"]
    );
    // One program's two processes: of a tracked one, and a parent with its child.
    let ours = [held(3000, 101, &["127.0.0.1"]), held(3000, 102, &["::1"])];
    assert!(remarks(&ours, &[web(State::Online, 3000, &[3000])]).is_empty());
    let job = [held(3000, 9, &["127.0.0.1"]), Held { parent: 9, ..held(3000, 10, &["::1"]) }];
    assert!(remarks(&job, &[]).is_empty());
    // Workers that share both addresses.
    let workers = [held(3000, 9, &["0.0.0.0", "::"]), held(3000, 10, &["0.0.0.0", "::"])];
    assert!(remarks(&workers, &[]).is_empty());
    // The rightful one stays.
    let beside = [held(3000, 101, &["127.0.0.1"]), held(3000, 9, &["::1"])];
    let said = remarks(&beside, &[web(State::Online, 3000, &[3000])]);
    assert!(matches!(&said[..], [one] if one.ends_with("but PID 9 holds it -> tsm kill pid:9")), "{said:?}");
    // Nobody visible has no parent to compare.
    let unseen = Held { pid: None, parent: 0, uid: 70, ..held(3000, 9, &["127.0.0.1"]) };
    let all = [unseen.clone(), Held { uid: 71, addrs: vec!["::1".parse().unwrap()], ..unseen }];
    assert_eq!(remarks(&all, &[]).len(), 1);
}
