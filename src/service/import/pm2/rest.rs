//! The fields of an application that a definition has no word for.

use serde_json::Value;

use super::super::Imported;
use super::app::App;

const LOGS: &str = "tsm logs shows what it prints; TSM keeps both streams in one capped log";
const WATCH: &str = "TSM watches no files; let the program do it (node --watch, nodemon, uvicorn --reload)";
const WAITS: &str = "TSM restarts at once, then after 0.1 s to 30 s, and counts anew after 10 s of running";
const USER: &str = "it runs as the user who starts it";
const NO_CLUSTER: &str = "one process is started; for several write a definition for each, with its own port";

/// Each field, and what becomes of it.
const LOST: &[(&str, &str)] = &[
    ("append_env_to_name", "the name is the same in every environment"),
    ("combine_logs", LOGS),
    ("cron", "TSM has no clock for restarts; a crontab line can say tsm restart NAME"),
    ("cron_restart", "TSM has no clock for restarts; a crontab line can say tsm restart NAME"),
    ("disable_logs", "what it prints is always kept, in a capped log"),
    ("err", LOGS),
    ("err_file", LOGS),
    ("err_log", LOGS),
    ("error", LOGS),
    ("error_file", LOGS),
    ("exp_backoff_restart_delay", WAITS),
    ("filter_env", "it gets the environment of the shell that starts it"),
    ("gid", USER),
    ("ignore_watch", WATCH),
    ("increment_var", NO_CLUSTER),
    ("install_url", "TSM installs nothing"),
    ("listen_timeout", "tsm start --wait=SECONDS waits until it listens"),
    ("log", LOGS),
    ("log_date_format", LOGS),
    ("log_file", LOGS),
    ("log_type", LOGS),
    ("max_memory_restart", "TSM restarts nothing for its memory; tsm list shows it"),
    ("merge_logs", LOGS),
    ("min_uptime", WAITS),
    ("name_prefix", "tsm import --prefix puts one before each name"),
    ("out", LOGS),
    ("out_file", LOGS),
    ("out_log", LOGS),
    ("output", LOGS),
    ("pid", "its PID is in the pids folder of TSM (tsm env)"),
    ("pid_file", "its PID is in the pids folder of TSM (tsm env)"),
    ("post_update", "TSM updates no program"),
    ("restart_delay", WAITS),
    ("shutdown_with_message", "it is stopped by a signal, not by process.send"),
    ("time", LOGS),
    ("uid", USER),
    ("user", USER),
    (
        "wait_ready",
        "process.send('ready') is not heard; it counts as ready when it listens or says READY=1 (sd_notify)",
    ),
    ("watch", WATCH),
    ("watch_delay", WATCH),
    ("watch_options", WATCH),
];

/// Fields that are read elsewhere, or say nothing about how the program runs.
const SILENT: &[&str] = &[
    "args",
    "automation",
    "autorestart",
    "autostart",
    "cmd",
    "command",
    "cwd",
    "deep_monitoring",
    "disable_source_map_support",
    "disable_trace",
    "env",
    "event_loop_inspector",
    "exec",
    "exec_interpreter",
    "exec_mode",
    "execute_command",
    "force",
    "instance_var",
    "instances",
    "interpreter",
    "interpreterArgs",
    "interpreter_args",
    "io",
    "kill_retry_time",
    "kill_timeout",
    "max_restarts",
    "name",
    "namespace",
    "node_args",
    "pmx",
    "port",
    "script",
    "source_map_support",
    "stop_exit_codes",
    "trace",
    "treekill",
    "username",
    "v8",
    "vizion",
    "windowsHide",
    "write",
];

/// Says which fields are not carried over.
pub(super) fn remarks(app: &App<'_>, made: &mut Imported) {
    several(app, made);
    if let Some(namespace) = app.text(&["namespace"]).filter(|name| name != "default") {
        made.remark(
            "namespace",
            format!(
                "{namespace}: TSM has none; names can be matched together, as in tsm stop '{namespace}-*'"
            ),
        );
    }
    for (field, off) in [
        ("treekill", "a stop always ends the whole tree"),
        ("autostart", "a start at boot is asked for by tsm enable"),
    ] {
        if app.value(&[field]) == Some(&Value::Bool(false)) {
            made.remark(field, off);
        }
    }
    for (field, value) in app.fields() {
        if let Some(overlay) = field.strip_prefix("env_").filter(|name| !name.is_empty()) {
            let names = value.as_object().map(|vars| vars.keys().map(String::as_str).collect::<Vec<_>>());
            made.remark(
                field,
                format!(
                    "{}: write them to env/{overlay}.env and start with --env {overlay}",
                    names.unwrap_or_default().join(", ")
                ),
            );
        } else if app.dumped {
            dumped(app, field, made);
        } else if app.meant(&[field]).is_some() {
            match LOST.iter().find(|(name, _)| name == field) {
                Some((_, why)) => made.remark(field, *why),
                None if SILENT.contains(&field.as_str()) => {}
                None => made.remark(field, "tsm import does not know it"),
            }
        }
    }
}

/// A field of a dump, where pm2 has added its own and all variables once more.
fn dumped(app: &App<'_>, field: &str, made: &mut Imported) {
    let home = app.env().and_then(|env| env.get("PM2_HOME")?.as_str()).unwrap_or_default();
    let own_log = |path: &str| {
        path.contains("/.pm2/logs/") || !home.is_empty() && path.starts_with(home) || path == "/dev/null"
    };
    match field {
        "pm_out_log_path" | "pm_err_log_path" | "pm_log_path" => {
            if let Some(path) = app.text(&[field]).filter(|path| !own_log(path)) {
                made.remark(field, format!("{path}: {LOGS}"));
            }
        }
        // Set in every application that is no cluster.
        "merge_logs" | "filter_env" => {}
        _ if app.env().is_some_and(|env| env.contains_key(field)) => {}
        _ if app.meant(&[field]).is_some() => {
            if let Some((_, why)) = LOST.iter().find(|(name, _)| *name == field) {
                made.remark(field, *why);
            }
        }
        _ => {}
    }
}

fn several(app: &App<'_>, made: &mut Imported) {
    if app.text(&["exec_mode"]).is_some_and(|mode| mode.starts_with("cluster")) {
        made.remark("exec_mode", format!("cluster: {NO_CLUSTER}"));
    }
    if let Some(instances) = app.value(&["instances"]).filter(|value| value.as_i64() != Some(1)) {
        made.remark("instances", format!("{instances}: {NO_CLUSTER}"));
    }
}
