//! The environment of an application: what is written, and what of it must not be.

use serde_json::Value;

use super::super::{Imported, SECRET, Source, is_variable};
use super::app::{App, scalar};
use crate::envfile::{looks_secret, shown};

/// Variables of the shell, session or machine that pm2 was started in; `pm2 save` writes them all.
const SESSION: &[&str] = &[
    "_",
    "COLORTERM",
    "COLUMNS",
    "DISPLAY",
    "EDITOR",
    "HOME",
    "HOSTNAME",
    "HOSTTYPE",
    "INVOCATION_ID",
    "LANG",
    "LANGUAGE",
    "LESS",
    "LESSCLOSE",
    "LESSOPEN",
    "LINES",
    "LOGNAME",
    "LS_COLORS",
    "MACHTYPE",
    "MAIL",
    "MANPATH",
    "NODE",
    "OLDPWD",
    "OSTYPE",
    "PAGER",
    "PATH",
    "PROMPT_COMMAND",
    "PS1",
    "PWD",
    "SHELL",
    "SHLVL",
    "STY",
    "SYSTEMD_EXEC_PID",
    "TERM",
    "TMPDIR",
    "TMUX",
    "TMUX_PANE",
    "TZ",
    "USER",
    "USERNAME",
    "VISUAL",
    "WAYLAND_DISPLAY",
    "WINDOWID",
    "XAUTHORITY",
];

/// Beginnings of such names, and of pm2's own.
const SESSIONS: &[&str] = &[
    "BASH_FUNC_",
    "DBUS_",
    "GNOME_",
    "GTK_",
    "HIST",
    "JOURNAL_",
    "KDE_",
    "LC_",
    "NVM_",
    "PM2_",
    "SDKMAN_",
    "SSH_",
    "SUDO_",
    "TERM_",
    "VSCODE_",
    "XDG_",
    "npm_",
];

/// What pm2 itself puts into the environment.
const OWN: &[&str] = &["NODE_APP_INSTANCE", "PYTHONUNBUFFERED", "pm_id", "unique_id"];

/// Puts the variables of `app` into the definition.
pub(super) fn carry(app: &App<'_>, source: &Source<'_>, made: &mut Imported) {
    if let Some(port) = app.meant(&["port"]) {
        carry_port("port", port, made);
    }
    if let Some(Value::String(_) | Value::Array(_)) = app.meant(&["env"]) {
        made.remark("env", "it is not an object, so nothing of it is written");
    }
    let mut of_shell = Vec::new();
    for (name, value) in app.env().into_iter().flatten() {
        // pm2 keeps a place for settings of an application under that one's name.
        let place = *name == made.from && matches!(value.to_string().as_str(), "{}" | "\"{}\"");
        if app.dumped && (place || is_pm2s(name)) {
            continue;
        }
        let field = format!("env.{name}");
        let Some(text) = scalar(value) else {
            if !value.is_null() {
                made.remark(field, "it is neither text nor a number");
            }
            continue;
        };
        if name == "PORT" {
            if made.definition.port.is_none() {
                carry_port(&field, value, made);
            }
        } else if app.dumped && (source.lookup)(name).as_ref() == Some(&text) {
            of_shell.push(name.as_str());
        } else if !is_variable(name) {
            made.remark(field, "it is not the name of a variable that a shell could set");
        } else if name.starts_with("SERVICE_") || name.starts_with("TSM_") {
            made.remark(
                field,
                "such names are settings of tsm here; put it into an env file and name that in SERVICE_ENV",
            );
        } else if looks_secret(name) || shown(name, &text) != text {
            made.remark(field, SECRET);
        } else {
            made.definition.env_vars.insert(name.clone(), text);
        }
    }
    if !of_shell.is_empty() {
        let names = of_shell.join(", ");
        made.remark("env", format!("{names}: left out, because this shell has the same"));
    }
}

fn is_pm2s(name: &str) -> bool {
    SESSION.contains(&name) || OWN.contains(&name) || SESSIONS.iter().any(|start| name.starts_with(start))
}

fn carry_port(field: &str, value: &Value, made: &mut Imported) {
    match scalar(value).and_then(|text| text.trim().parse::<u16>().ok()).filter(|port| *port != 0) {
        Some(port) => made.definition.port = Some(port),
        None => made.remark(field, format!("{value} is not a port from 1 to 65535")),
    }
}
