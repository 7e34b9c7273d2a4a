//! The names of a definition's settings.

/// A setting of a definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Name,
    Type,
    Command,
    Port,
    Env,
    Dir,
    Description,
    Restart,
    MaxRestarts,
    StopSignal,
    StopTimeout,
    Reload,
    LogMaxSize,
    LogKeep,
}

/// Each setting, its name, and the name that TSM's first version had for it.
const KEYS: &[(Key, &str, Option<&str>)] = &[
    (Key::Name, "SERVICE_NAME", Some("TSM_NAME")),
    (Key::Type, "SERVICE_TYPE", None),
    (Key::Command, "SERVICE_COMMAND", Some("TSM_COMMAND")),
    (Key::Port, "SERVICE_PORT", Some("TSM_PORT")),
    (Key::Env, "SERVICE_ENV", Some("TSM_ENV_FILE")),
    (Key::Dir, "SERVICE_DIR", Some("TSM_CWD")),
    (Key::Description, "SERVICE_DESCRIPTION", Some("TSM_DESCRIPTION")),
    (Key::Restart, "SERVICE_RESTART", None),
    (Key::MaxRestarts, "SERVICE_MAX_RESTARTS", None),
    (Key::StopSignal, "SERVICE_STOP_SIGNAL", None),
    (Key::StopTimeout, "SERVICE_STOP_TIMEOUT", None),
    (Key::Reload, "SERVICE_RELOAD", None),
    (Key::LogMaxSize, "SERVICE_LOG_MAX_SIZE", None),
    (Key::LogKeep, "SERVICE_LOG_KEEP", None),
];

impl Key {
    /// The setting that a variable means, and whether the name is the first version's.
    pub(super) fn of(variable: &str) -> Option<(Self, bool)> {
        KEYS.iter().find_map(|&(key, name, old)| match variable {
            _ if variable == name => Some((key, false)),
            _ if Some(variable) == old => Some((key, true)),
            _ => None,
        })
    }

    /// Its name.
    pub(super) fn name(self) -> &'static str {
        KEYS.iter().find(|(key, ..)| *key == self).map_or("", |(_, name, _)| name)
    }

    /// All names, for suggestions.
    pub(super) fn names() -> impl Iterator<Item = &'static str> {
        KEYS.iter().map(|(_, name, _)| *name)
    }
}
