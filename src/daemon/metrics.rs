//! The figures of what runs, and of the daemon itself.

use super::runtime::Daemon;
use crate::inspect::View;
use crate::model::State;
use crate::render::prometheus::{Figure, Page};
use crate::sys::clock;

/// The states that are counted, those of which there is none too.
const STATES: [State; 9] = [
    State::Starting,
    State::Online,
    State::Backoff,
    State::Stopping,
    State::Stopped,
    State::Exited,
    State::Errored,
    State::Unsupervised,
    State::Lost,
];

/// The figures of processes, which need no daemon.
pub fn of_processes(views: &[View]) -> Page {
    let mut page = Page::default();
    let count = |state: State| views.iter().filter(|view| view.status == state).count() as f64;
    let states: Vec<Figure<'_>> =
        STATES.iter().map(|state| (vec![("state", state.as_str())], count(*state))).collect();
    page.metric("gauge", "tsm_processes", "Tracked processes by state.", &states);
    let each = |value: &dyn Fn(&View) -> Option<f64>| -> Vec<(String, f64)> {
        views.iter().filter_map(|view| Some((view.name.to_string(), value(view)?))).collect()
    };
    let mut add = |kind: &str, name: &str, help: &str, values: Vec<(String, f64)>| {
        let figures: Vec<Figure<'_>> =
            values.iter().map(|(name, value)| (vec![("name", name.as_str())], *value)).collect();
        page.metric(kind, name, help, &figures);
    };
    add(
        "gauge",
        "tsm_process_up",
        "1 while it is online.",
        each(&|view| Some(f64::from(u8::from(view.status == State::Online)))),
    );
    let restarts = each(&|view| Some(f64::from(view.restarts)));
    add("counter", "tsm_process_restarts_total", "How often it was started again.", restarts);
    let cpu = each(&|view| Some(view.tree.iter().map(|one| one.cpu_ms).sum::<u64>() as f64 / 1000.0));
    add("counter", "tsm_process_cpu_seconds_total", "Processor time of its living tree.", cpu);
    let memory = each(&|view| Some(view.memory_bytes? as f64));
    add("gauge", "tsm_process_memory_bytes", "Resident memory of its tree.", memory);
    let uptime = each(&|view| Some(view.uptime_ms? as f64 / 1000.0));
    add("gauge", "tsm_process_uptime_seconds", "How long its current run lasts.", uptime);
    page
}

impl Daemon {
    /// The page of `tsm metrics`, with what only a daemon knows.
    pub(super) fn metrics(&mut self) -> String {
        let mut page = of_processes(&self.views());
        let up = clock::wall_ms().saturating_sub(self.files.state.started_ms) as f64 / 1000.0;
        page.metric("gauge", "tsm_daemon_uptime_seconds", "How long the daemon runs.", &[(vec![], up)]);
        let open = self.server.connections() as f64;
        page.metric("gauge", "tsm_daemon_connections", "Open connections.", &[(vec![], open)]);
        let refused = self.server.refused as f64;
        page.metric(
            "counter",
            "tsm_daemon_refused_total",
            "Frames refused for a limit.",
            &[(vec![], refused)],
        );
        let each = |value: &dyn Fn(&super::runtime::Count) -> f64| -> Vec<Figure<'_>> {
            self.counts.iter().map(|(name, count)| (vec![("method", *name)], value(count))).collect()
        };
        let (requests, failures) = (each(&|one| one.requests as f64), each(&|one| one.failures as f64));
        let seconds = each(&|one| one.nanos as f64 / 1e9);
        page.metric("counter", "tsm_daemon_requests_total", "Requests by method.", &requests);
        page.metric("counter", "tsm_daemon_failures_total", "Requests that failed, by method.", &failures);
        page.metric(
            "counter",
            "tsm_daemon_request_seconds_total",
            "Time to the answer, by method.",
            &seconds,
        );
        page.text()
    }
}
