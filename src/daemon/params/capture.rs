//! The parameters of the methods of capture, which have the names that its older daemon gave them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Parameters of `createSession`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct CreateSession {
    /// Which agent: `claude-code`, `cursor`, …
    pub tool: String,
    /// What is known of the session; `cwd` is the directory that it is in, absolute.
    pub metadata: Map<String, Value>,
}

/// Parameters of `addMessage`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct AddMessage {
    /// The session.
    pub session_id: String,
    /// `user` or `assistant`.
    pub role: String,
    /// What was said: at most 1 MiB, and a request has at most 1 MiB, too.
    pub content: String,
}

/// Parameters of `addCodeChange`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct AddCodeChange {
    /// The session.
    pub session_id: String,
    /// The file, absolute or from the directory of the session.
    pub file_path: String,
    /// What it held before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before_content: Option<String>,
    /// What it holds now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_content: Option<String>,
}

/// Parameters of `saveSession`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SaveSession {
    /// The session.
    pub session_id: String,
    /// The commit that it belongs to; `HEAD` without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit_sha: Option<String>,
}

/// Parameters of `saveSessionsForRepo`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SaveSessionsForRepo {
    /// A directory of the repository, absolute.
    pub repo_path: String,
    /// The commit that they belong to.
    pub commit_sha: String,
}

/// Parameters of `getActiveSessions`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ActiveSessions {
    /// Only those of the repository that this directory is in, absolute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repo_path: Option<String>,
}
