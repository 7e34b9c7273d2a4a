//! The parameters of the methods of agents.

use serde::{Deserialize, Serialize};

use super::is_false;

/// Parameters of `agents.list`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AgentsList {
    /// Those of another home as well.
    #[serde(default, skip_serializing_if = "is_false")]
    pub all: bool,
    /// Look anew, also when the last look is younger than a second.
    #[serde(default, skip_serializing_if = "is_false")]
    pub fresh: bool,
}

/// Parameters of `agents.label`: either `ref` or `session_id`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// A session that runs, as on the command line.
    #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// A conversation, whether it runs or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// What it is called from now on; empty for nothing.
    pub label: String,
}

/// Parameters of `agents.explain`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct OneAgent {
    /// As on the command line.
    #[serde(rename = "ref")]
    pub reference: String,
    /// Also one of another home.
    #[serde(default, skip_serializing_if = "is_false")]
    pub all: bool,
}

/// Parameters of `agents.stop`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct StopAgent {
    /// As on the command line.
    #[serde(rename = "ref")]
    pub reference: String,
    /// Also one of another home.
    #[serde(default, skip_serializing_if = "is_false")]
    pub all: bool,
    /// Kill it at once.
    #[serde(default, skip_serializing_if = "is_false")]
    pub force: bool,
}
