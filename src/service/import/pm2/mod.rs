//! pm2: its `dump.pm2` (what `pm2 save` wrote), `pm2 jlist`, and ecosystem files as JSON.

mod app;
mod command;
mod env;
mod rest;

use std::path::PathBuf;

use serde_json::{Map, Value};

use super::{Import, Imported, Remark, Source};
use crate::error::{Error, Result};
use crate::model::{RestartPolicy, StopSignal};
use app::App;

/// The definitions for the applications in `text`.
///
/// # Errors
/// When it is no JSON, or nothing of pm2's.
pub fn pm2(text: &str, source: &Source<'_>) -> Result<Import> {
    let file = source.file.display();
    let value: Value = serde_json::from_str(text).map_err(|why| {
        Error::failed(format!("cannot read {file}: it is not JSON ({why})"))
            .hint("name an ecosystem.config.js, which node evaluates, or what `pm2 save` wrote")
    })?;
    let mut import = Import::default();
    let Some(apps) = applications(&value, &mut import) else {
        return Err(Error::failed(format!(
            "{file} is not a file of pm2: it is no list of applications and has no \"apps\""
        )));
    };
    let mut saved = false;
    for (at, item) in apps.iter().enumerate() {
        let place = format!("application {}", at + 1);
        let Value::Object(map) = item else {
            import.skip(place, "it is not an object");
            continue;
        };
        // `pm2 jlist` prints what the dump has one level deeper.
        let app = App::new(map.get("pm2_env").and_then(Value::as_object).unwrap_or(map));
        saved |= app.dumped;
        let name = app.text(&["name"]);
        match application(&app, source) {
            Ok(made) => import.add(made),
            Err(error) => import.skip(name.unwrap_or(place), error.message()),
        }
    }
    if saved {
        import.remarks.push(Remark {
            field: "env".into(),
            why: "variables that pm2 saved of its shell (PATH, HOME, LANG, …) are left out: a start uses those \
                  of its own shell"
                .into(),
        });
    }
    Ok(import.counted("instances", |copies| format!("pm2 runs {copies} of it; one is started here")))
}

/// The list of applications in any of the forms that pm2 takes.
fn applications<'a>(value: &'a Value, import: &mut Import) -> Option<Vec<&'a Value>> {
    let list = |value: &'a Value| match value {
        Value::Array(items) => items.iter().collect(),
        other => vec![other],
    };
    let map = match value {
        Value::Array(_) => return Some(list(value)),
        Value::Object(map) => map,
        _ => return None,
    };
    let Some(key) = ["apps", "pm2"].into_iter().find(|key| map.contains_key(*key)) else {
        let single = ["script", "exec", "cmd", "command", "pm_exec_path"];
        return single.iter().any(|key| map.contains_key(*key)).then(|| vec![value]);
    };
    for field in map.keys().filter(|field| *field != key) {
        let why = match field.as_str() {
            "deploy" => "tsm copies no program to other machines",
            _ => "it is not read",
        };
        import.remarks.push(Remark { field: field.clone(), why: why.into() });
    }
    Some(list(&map[key]))
}

/// The definition for one application.
fn application(app: &App<'_>, source: &Source<'_>) -> Result<Imported> {
    let (command, name) = command::command(app)?;
    let mut made = source.service(&name, &command)?;
    command::remarks(app, &mut made);
    let definition = &mut made.definition;
    definition.dir = Some(directory(app, source));
    // What pm2 does unless it is told otherwise: it starts again whatever ends, and stops by INT.
    definition.restart = Some(RestartPolicy::Always);
    definition.stop_signal = Some(stop_signal(app)?);
    if app.value(&["autorestart"]) == Some(&Value::Bool(false)) {
        definition.restart = Some(RestartPolicy::No);
    } else if app.value(&["stop_exit_codes"]).is_some_and(only_success) {
        definition.restart = Some(RestartPolicy::OnFailure);
    } else if let Some(codes) = app.meant(&["stop_exit_codes"]) {
        made.remark(
            "stop_exit_codes",
            format!("{codes}: only 0 can be told apart, by SERVICE_RESTART=on-failure"),
        );
    }
    policy(app, &mut made);
    env::carry(app, source, &mut made);
    rest::remarks(app, &mut made);
    Ok(made)
}

/// Where it runs. pm2 knows no `~`, but who writes one means the home directory.
fn directory(app: &App<'_>, source: &Source<'_>) -> PathBuf {
    let Some(dir) = app.text(&["pm_cwd", "cwd"]) else { return source.dir().to_owned() };
    match (dir.strip_prefix('~'), (source.lookup)("HOME")) {
        (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => {
            format!("{home}{rest}").into()
        }
        _ => source.dir().join(dir),
    }
}

fn policy(app: &App<'_>, made: &mut Imported) {
    if let Some(value) = app.meant(&["max_restarts"]) {
        match value.as_u64().and_then(|count| u32::try_from(count).ok()) {
            Some(count) => made.definition.max_restarts = Some(count),
            None => made.remark("max_restarts", format!("{value} is not a whole number")),
        }
    }
    if let Some(value) = app.meant(&["kill_timeout"]) {
        match value.as_u64() {
            Some(ms) => made.definition.stop_timeout_ms = Some(ms),
            None => made.remark("kill_timeout", format!("{value} is not a number of milliseconds")),
        }
    }
}

/// INT, unless the daemon that wrote the dump was told another one by `PM2_KILL_SIGNAL`.
fn stop_signal(app: &App<'_>) -> Result<StopSignal> {
    let told = app.env().and_then(|env| env.get("PM2_KILL_SIGNAL")?.as_str()?.parse().ok());
    told.map_or_else(|| "INT".parse().map_err(Error::failed), Ok)
}

/// True for `0` and `[0]`.
fn only_success(codes: &Value) -> bool {
    let codes = codes.as_array().map_or(std::slice::from_ref(codes), Vec::as_slice);
    !codes.is_empty() && codes.iter().all(|code| code.as_i64() == Some(0))
}

type Object = Map<String, Value>;

#[cfg(test)]
mod tests;
