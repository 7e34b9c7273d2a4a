//! How users name sessions: label, session ID, PID, project, workspace, or a part that only one has.

use std::path::Path;

use super::session::Session;
use crate::error::{Error, Result};

/// So many characters of a session ID say which one is meant, if only one begins so.
const PREFIX: usize = 4;

/// How much of a session ID is shown: as many as `git` shows of a commit, and one more.
const SHORT: usize = 8;

impl Session {
    /// What a user calls it and can type: the label, the beginning of its ID, or its PID.
    pub fn title(&self) -> String {
        self.label
            .clone()
            .or_else(|| self.short_id().map(str::to_owned))
            .unwrap_or_else(|| self.pid().to_string())
    }

    /// The beginning of its ID.
    pub fn short_id(&self) -> Option<&str> {
        let id = self.session_id.as_deref()?;
        Some(id.char_indices().nth(SHORT).map_or(id, |(end, _)| &id[..end]))
    }

    /// The name of its project: the last part of the path.
    pub fn project_name(&self) -> Option<&str> {
        self.project.as_deref().and_then(last)
    }
}

fn last(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()
}

/// The place in `all` that `text` means.
///
/// The order is: exact label, session ID (whole, or at least 4 characters of its beginning), PID, name of the project,
/// workspace, any part of a label, project or working directory's name. What the agent has said is no name.
///
/// # Errors
/// Not found when it means none, a conflict that lists them when it means several, usage for an empty one.
pub fn resolve(text: &str, all: &[Session]) -> Result<usize> {
    if text.trim().is_empty() {
        return Err(Error::usage("a session cannot be named by nothing").hint("tsm agents"));
    }
    let lower = text.to_lowercase();
    let has = |name: Option<&str>| name.is_some_and(|name| name.to_lowercase().contains(&lower));
    let by_prefix = text.chars().count() >= PREFIX;
    let rungs: [&dyn Fn(&Session) -> bool; 7] = [
        &|one| one.label.as_deref() == Some(text),
        &|one| one.session_id.as_deref() == Some(text),
        &|one| by_prefix && one.session_id.as_deref().is_some_and(|id| id.starts_with(text)),
        &|one| text.parse() == Ok(one.pid().get()),
        &|one| one.project_name() == Some(text),
        &|one| one.workspace.as_deref() == Some(text),
        &|one| has(one.label.as_deref()) || has(one.project_name()) || has(one.cwd.as_deref().and_then(last)),
    ];
    for rung in rungs {
        let hits: Vec<usize> = (0..all.len()).filter(|at| rung(&all[*at])).collect();
        match hits.as_slice() {
            [] => {}
            [one] => return Ok(*one),
            several => {
                let named: Vec<String> = several.iter().map(|at| described(&all[*at])).collect();
                return Err(Error::conflict(format!(
                    "{text:?} means several sessions: {}",
                    named.join(", ")
                ))
                .hint("name one of them by its PID, or tsm agents label PID TEXT"));
            }
        }
    }
    Err(Error::not_found(format!("no such session: {text}")).hint("tsm agents"))
}

/// `review MR (PID 12, claude in my-api)`.
pub fn described(session: &Session) -> String {
    let project = session.project_name().or_else(|| session.cwd.as_deref().and_then(last));
    let place = project.map(|name| format!(" in {name}")).unwrap_or_default();
    let is_pid = session.label.is_none() && session.session_id.is_none();
    let name = if is_pid { format!("PID {}", session.pid()) } else { session.title() };
    let pid = if is_pid { String::new() } else { format!("PID {}, ", session.pid()) };
    format!("{name} ({pid}{}{place})", session.agent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agents::session::tests::session;
    use crate::error::Kind;

    fn all() -> Vec<Session> {
        vec![
            Session {
                session_id: Some("11aa22bb-0000-4aaa".into()),
                label: Some("review MR".into()),
                project: Some("/w/my-api".into()),
                cwd: Some("/w/my-api/server".into()),
                workspace: Some("3: web".into()),
                preview: Some("preview of the docs".into()),
                ..session(100)
            },
            Session {
                session_id: Some("11aa33cc-0000-4aaa".into()),
                project: Some("/w/shop".into()),
                cwd: Some("/w/shop".into()),
                ..session(200)
            },
            Session { label: Some("shop".into()), project: Some("/w/docs-2".into()), ..session(300) },
            Session {
                session_id: Some("abcd".into()),
                label: Some("200".into()),
                project: Some("/w/docs-3".into()),
                ..session(400)
            },
        ]
    }

    #[test]
    fn a_ref_is_a_label_an_id_a_pid_a_project_a_workspace_or_a_part() {
        for (text, pid) in [
            ("review MR", 100),
            ("11aa22bb-0000-4aaa", 100),
            ("11aa2", 100),
            ("11aa3", 200),
            ("100", 100),
            // The label is what the user said last.
            ("200", 400),
            ("shop", 300),
            ("my-api", 100),
            ("docs-2", 300),
            ("3: web", 100),
            ("server", 100),
            ("REVIEW", 100),
            ("abcd", 400),
        ] {
            let sessions = all();
            let found = resolve(text, &sessions).map(|at| sessions[at].pid().get());
            assert_eq!(found.ok(), Some(pid), "{text}");
        }
    }

    #[test]
    fn several_are_listed_and_none_is_said() {
        let text = resolve("11aa", &all()).unwrap_err();
        assert_eq!(text.kind(), Kind::Conflict);
        assert_eq!(
            text.message(),
            "\"11aa\" means several sessions: review MR (PID 100, claude in my-api), 11aa33cc (PID 200, claude in shop)"
        );
        assert_eq!(resolve("docs", &all()).unwrap_err().kind(), Kind::Conflict);
        for text in ["11a", "preview", "nothing", "999", "10", "-1"] {
            // A part of an ID or PID that is too short, what it has said, and what is not there.
            assert_eq!(resolve(text, &all()).map_err(|error| error.kind()), Err(Kind::NotFound), "{text}");
        }
        for text in ["", " "] {
            assert_eq!(resolve(text, &all()).unwrap_err().kind(), Kind::Usage);
        }
    }

    #[test]
    fn a_title_can_be_typed() {
        let titles: Vec<String> = all().iter().map(Session::title).collect();
        assert_eq!(titles, ["review MR", "11aa33cc", "shop", "200"]);
        assert_eq!(session(7).title(), "7");
        assert_eq!(described(&session(7)), "PID 7 (claude)");
    }
}
