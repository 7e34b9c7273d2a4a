//! Our hooks in Claude Code's `settings.json`: put in and taken out of its text, which stays as it is everywhere else.
//!
//! The form is that of Anthropic's hooks reference (`code.claude.com/docs/en/hooks`, as of October 2026): `hooks` has the
//! events, an event a list of groups, a group perhaps a `matcher` and a list of `hooks`, each with `type`, `command` and
//! `timeout` in seconds. Groups of several settings files add up, so that ours stands in no one's way.

mod file;
mod text;

use serde_json::Value;

pub use file::SettingsFile;
use text::{Node, Style, members};

/// What Claude Code is to tell.
///
/// Each costs it a process, so these are no more than a right state needs, and they run one after the other with what they
/// tell of: `async` would spare the agent 5 ms, and lose the order of events that follow at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hook {
    /// The event.
    pub event: &'static str,
    /// Of which kind it must be; any if `None`.
    pub matcher: Option<&'static str>,
    /// Its name was not known from the beginning: see [`Hook::of_version`].
    later: bool,
}

const fn hook(event: &'static str, matcher: Option<&'static str>) -> Hook {
    Hook { event, matcher, later: false }
}

/// The hooks that are put in.
const HOOKS: [Hook; 10] = [
    // A session is there, and `/clear` has begun another one. Not `compact`, after which it goes on as before.
    hook("SessionStart", Some("startup|resume|clear")),
    hook("SessionEnd", None),
    // It works from here, and its turn ends there.
    hook("UserPromptSubmit", None),
    hook("Stop", None),
    Hook { later: true, ..hook("StopFailure", None) },
    // Questions that are tools. Of other tools `PreToolUse` says nothing that was not known: the agent works.
    hook("PreToolUse", Some("AskUserQuestion|ExitPlanMode")),
    // It asks for a permission; and what it asked for has run, which alone tells that it was given.
    Hook { later: true, ..hook("PermissionRequest", None) },
    hook("PostToolUse", None),
    Hook { later: true, ..hook("PostToolUseFailure", None) },
    // What has no event of its own, or none in older versions; and an idle prompt, because an interrupted turn has no `Stop`.
    hook("Notification", Some("permission_prompt|elicitation_dialog|idle_prompt")),
];

/// From this version on, an event of an unknown name is passed over. Before, one made Claude Code skip the whole file with
/// all that its user has set there: "Invalid key in record" (stablyai/orca#10191, farouqaldori/vibe-notch#85).
const TOLERANT: [u32; 3] = [2, 1, 101];

/// How long Claude Code waits for a hook, in seconds; ours needs a few milliseconds.
const TIMEOUT_S: u32 = 5;

impl Hook {
    /// Those that a version of Claude Code takes without harm; where it is not known, those that all versions know.
    pub fn of_version(version: Option<[u32; 3]>) -> Vec<Hook> {
        let tolerant = version.is_some_and(|version| version >= TOLERANT);
        HOOKS.into_iter().filter(|hook| tolerant || !hook.later).collect()
    }

    /// Those that [`Hook::of_version`] leaves out.
    pub fn left_out(version: Option<[u32; 3]>) -> Vec<Hook> {
        let taken = Hook::of_version(version);
        HOOKS.into_iter().filter(|hook| !taken.contains(hook)).collect()
    }

    fn group(self, command: &str) -> Node {
        let text = |text: &str| Node::Raw(Value::from(text).to_string());
        let object = |members: Vec<(&str, Node)>| {
            Node::Object(members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
        };
        let entry = object(vec![
            ("type", text("command")),
            ("command", text(command)),
            ("timeout", Node::Raw(TIMEOUT_S.to_string())),
        ]);
        let matcher = self.matcher.map(|matcher| ("matcher", text(matcher)));
        object(matcher.into_iter().chain([("hooks", Node::Array(vec![entry]))]).collect())
    }

    fn is(self, group: &Value, entry: &Value, command: &str) -> bool {
        group.get("matcher").and_then(Value::as_str) == self.matcher
            && entry["type"] == "command"
            && entry["command"] == command
            && entry["timeout"] == TIMEOUT_S
            && entry.as_object().is_some_and(|entry| entry.len() == 3)
    }
}

/// What is wrong with a text, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The line, from 1; 0 when it is no matter of a line.
    pub line: usize,
    /// A sentence without a full stop.
    pub why: String,
}

/// `text` with `hooks` that run `command`, each once and nothing else of ours; the same text when it is so already.
///
/// # Errors
/// When it is no settings file.
pub fn install(text: &str, command: &str, hooks: &[Hook]) -> Result<String, Wrong> {
    merge(text, hooks, command)
}

/// `text` without any hook of ours, and without what is empty because of that.
///
/// # Errors
/// When it is no settings file.
pub fn remove(text: &str) -> Result<String, Wrong> {
    merge(text, &[], "")
}

/// The commands of our hooks that stand in a settings file, each once.
///
/// # Errors
/// When it is no settings file.
pub fn commands(text: &str) -> Result<Vec<String>, Wrong> {
    let mut found = Vec::new();
    let Some((_, hooks)) = members(text)?.into_iter().rfind(|(key, _)| key == "hooks") else {
        return Ok(found);
    };
    for (_, groups) in members(hooks)? {
        let groups: Value = serde_json::from_str(groups).unwrap_or_default();
        for group in groups.as_array().into_iter().flatten() {
            found.extend(entries(group).iter().filter_map(ours).map(str::to_owned));
        }
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// True when the settings say that no hook is to run.
pub fn are_disabled(text: &str) -> bool {
    let disabled = |(key, value): &(String, &str)| key == "disableAllHooks" && *value == "true";
    members(text).is_ok_and(|members| members.iter().any(disabled))
}

fn merge(text: &str, hooks: &[Hook], command: &str) -> Result<String, Wrong> {
    let style = Style::of(text);
    let mut root = members(text)?;
    // As for JavaScript, the last one of a name counts.
    let at = root.iter().rposition(|(key, _)| key == "hooks");
    let old = at
        .map(|at| members(root[at].1))
        .transpose()
        .map_err(|_| Wrong { line: 0, why: "\"hooks\" is not an object".into() })?;
    let (mut events, mut changed) = (Vec::new(), false);
    for (event, groups) in old.unwrap_or_default() {
        let wanted = hooks.iter().find(|hook| hook.event == event).copied();
        match merge_groups(&event, groups, wanted, command)? {
            None => events.push((event, Node::Raw(groups.to_owned()))),
            Some(groups) => {
                changed = true;
                if !groups.is_empty() {
                    events.push((event, Node::Array(groups)));
                }
            }
        }
    }
    for hook in hooks {
        if events.iter().all(|(event, _)| event != hook.event) {
            changed = true;
            events.push((hook.event.to_owned(), Node::Array(vec![hook.group(command)])));
        }
    }
    if !changed {
        return Ok(text.to_owned());
    }
    let merged = (!events.is_empty()).then_some(Node::Object(events));
    let mut new: Vec<(String, Node)> =
        root.drain(..).map(|(key, value)| (key, Node::Raw(value.to_owned()))).collect();
    match (at, merged) {
        (Some(at), Some(merged)) => new[at].1 = merged,
        (Some(at), None) => {
            new.remove(at);
        }
        (None, Some(merged)) => new.push(("hooks".to_owned(), merged)),
        (None, None) => {}
    }
    Ok(style.around(text, &Node::Object(new)))
}

/// The groups of an event with the one that is wanted and no other of ours; `None` when they are so.
fn merge_groups(
    event: &str,
    text: &str,
    wanted: Option<Hook>,
    command: &str,
) -> Result<Option<Vec<Node>>, Wrong> {
    let groups: Vec<&serde_json::value::RawValue> = serde_json::from_str(text)
        .map_err(|_| Wrong { line: 0, why: format!("\"hooks\" has no list for {event}") })?;
    let (mut merged, mut changed, mut there) = (Vec::new(), false, false);
    for raw in groups {
        let group: Value = serde_json::from_str(raw.get()).unwrap_or_default();
        let keep = |entry: &Value| wanted.is_some_and(|hook| hook.is(&group, entry, command));
        let (mut others, mut dropped) = (Vec::new(), false);
        for (at, entry) in entries(&group).iter().enumerate() {
            let kept = keep(entry) && !there;
            there |= kept;
            if ours(entry).is_some() && !kept {
                dropped = true;
            } else {
                others.push(at);
            }
        }
        match wanted {
            _ if !dropped => merged.push(Node::Raw(raw.get().to_owned())),
            // Where one of an older form stood alone, the new one stands.
            Some(hook) if others.is_empty() && !there => {
                there = true;
                merged.push(hook.group(command));
            }
            _ if others.is_empty() => {}
            _ => merged.push(text::without(raw.get(), "hooks", &others)?),
        }
        changed |= dropped;
    }
    if let Some(hook) = wanted.filter(|_| !there) {
        changed = true;
        merged.push(hook.group(command));
    }
    Ok(changed.then_some(merged))
}

fn entries(group: &Value) -> &[Value] {
    group.get("hooks").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The command of a hook of ours: `…/tsm agents hook`, wherever that is.
fn ours(entry: &Value) -> Option<&str> {
    let command = entry.get("command")?.as_str()?;
    let words = shell_words::split(command).ok()?;
    let [program, verb, noun] = words.as_slice() else { return None };
    (program.rsplit('/').next() == Some("tsm") && verb == "agents" && noun == "hook").then_some(command)
}

/// The program that a command of ours runs.
pub fn program(command: &str) -> Option<String> {
    shell_words::split(command).ok()?.into_iter().next()
}

#[cfg(test)]
mod tests;
