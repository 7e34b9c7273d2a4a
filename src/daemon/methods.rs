//! The methods of the API, and the words of the verb that each one is.

#[cfg(test)]
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::params::{
    ActiveSessions, AddCodeChange, AddMessage, AgentsList, Clean, Cleanup, Command, CreateSession, Delete,
    Env, EnvFile, Events, Kill, KillPort, Label, List, Logs, Nothing, OneAgent, OneName, OneRef, Orphans,
    Port, Ports, Refs, Restart, Save, SaveSession, SaveSessionsForRepo, Scan, Send, Services, Shutdown,
    Start, Startup, StopAgent, Validate,
};
use super::protocol::{Failure, code};

/// One method.
#[derive(Clone, Copy, Debug)]
pub struct Method {
    /// Its name.
    pub name: &'static str,
    /// What it does, in a sentence.
    pub about: &'static str,
    /// The verb that it runs, if it is not the daemon's own: its words, and the parameter that holds the others.
    pub verb: Option<(&'static [&'static str], Option<&'static str>)>,
    check: fn(&Value) -> Result<(), serde_json::Error>,
    #[cfg(test)]
    schema: fn(&mut SchemaGenerator) -> Schema,
}

/// What the parameters of a method are read by, and described by in the documents.
#[cfg(not(test))]
trait Parameters: DeserializeOwned {}
#[cfg(not(test))]
impl<Any: DeserializeOwned> Parameters for Any {}
/// What the parameters of a method are read by, and described by in the documents.
#[cfg(test)]
trait Parameters: DeserializeOwned + JsonSchema {}
#[cfg(test)]
impl<Any: DeserializeOwned + JsonSchema> Parameters for Any {}

fn check<Params: DeserializeOwned>(params: &Value) -> Result<(), serde_json::Error> {
    Params::deserialize(params).map(drop)
}

const fn own<Params: Parameters>(name: &'static str, about: &'static str) -> Method {
    Method {
        name,
        about,
        verb: None,
        check: check::<Params>,
        #[cfg(test)]
        schema: SchemaGenerator::subschema_for::<Params>,
    }
}

const fn verb<Params: Parameters>(
    name: &'static str,
    words: &'static [&'static str],
    rest: Option<&'static str>,
    about: &'static str,
) -> Method {
    Method { verb: Some((words, rest)), ..own::<Params>(name, about) }
}

/// Every method.
pub const METHODS: &[Method] = &[
    own::<Nothing>("ping", "answers {\"pong\":true}"),
    own::<Nothing>("status", "what the daemon is, and what it has done"),
    own::<Nothing>("metrics", "the figures of `tsm metrics` as text in Prometheus' format"),
    own::<List>("list", "the array of `tsm list --json`"),
    verb::<Logs>(
        "logs.subscribe",
        &["logs", "--follow"],
        Some("refs"),
        "the last lines, then each new one as a `log` notification",
    ),
    own::<Events>("events.subscribe", "each event as an `event` notification"),
    own::<AgentsList>("agents.list", "the sessions of coding agents, and which of them wait for their user"),
    own::<Label>("agents.label", "what a session is called, as `tsm agents label`"),
    verb::<OneAgent>("agents.explain", &["agents", "explain"], Some("ref"), "why its state is what it is"),
    verb::<OneRef>("agents.switch", &["agents", "switch"], Some("ref"), "brings its pane or window forward"),
    verb::<StopAgent>("agents.stop", &["agents", "stop"], Some("ref"), "ends the process of a session"),
    own::<Nothing>("agents.subscribe", "the sessions, then each change as an `agent` notification"),
    own::<CreateSession>("createSession", "begins to capture a conversation: {\"sessionId\":…}"),
    own::<AddMessage>("addMessage", "adds what was said, secrets masked; answered when it is on the disk"),
    own::<AddCodeChange>("addCodeChange", "adds that a file was changed"),
    own::<SaveSession>("saveSession", "keeps what was said with a commit, in `.prompts`"),
    own::<SaveSessionsForRepo>("saveSessionsForRepo", "the same for all conversations of a repository"),
    own::<ActiveSessions>("getActiveSessions", "the captured conversations that are not over"),
    own::<Nothing>("getConfig", "what is captured, and what is left out"),
    own::<Shutdown>("shutdown", "ends the daemon after the requests under way"),
    verb::<Refs>("info", &["info"], Some("refs"), "the details of processes"),
    verb::<Start>("start", &["start"], Some("words"), "starts a command, a service, or what was stopped"),
    verb::<Refs>("stop", &["stop"], Some("refs"), "stops processes with everything that they started"),
    verb::<Restart>("restart", &["restart"], Some("refs"), "stops and starts processes"),
    verb::<Delete>("delete", &["delete"], Some("refs"), "stops and forgets processes"),
    verb::<Kill>("kill", &["kill"], Some("refs"), "kills processes at once"),
    verb::<Logs>("logs", &["logs"], Some("refs"), "the last lines of logs"),
    verb::<OneRef>("reload", &["socket", "reload"], Some("ref"), "has a process read its configuration anew"),
    verb::<OneRef>("health", &["socket", "health"], Some("ref"), "whether a process is healthy"),
    verb::<OneRef>("why", &["why"], Some("ref"), "why a process is not up"),
    verb::<Env>("env", &["env"], Some("ref"), "the environment of TSM, or of a process"),
    verb::<Cleanup>("cleanup", &["cleanup"], None, "forgets everything that does not run"),
    verb::<Nothing>("services.list", &["list", "available"], None, "the service definitions"),
    verb::<OneName>("services.show", &["show"], Some("name"), "one service definition"),
    verb::<Services>("services.enable", &["enable"], Some("names"), "marks services to be started at boot"),
    verb::<Services>("services.disable", &["disable"], Some("names"), "takes that mark away"),
    verb::<Startup>("startup", &["startup"], None, "starts every enabled service"),
    verb::<Save>("save", &["save"], Some("words"), "makes a service definition"),
    verb::<Command>(
        "patterns",
        &["patterns"],
        Some("command"),
        "the known commands, or what is known of one",
    ),
    verb::<Ports>("ports", &["ports"], Some("port"), "the ports of processes, planned and real"),
    verb::<Scan>("doctor", &["doctor", "scan"], None, "who listens on which port"),
    verb::<Port>("doctor.port", &["doctor", "port"], Some("port"), "who has a port"),
    verb::<KillPort>("doctor.kill", &["doctor", "kill"], Some("port"), "ends who listens on a port"),
    verb::<Nothing>("doctor.boot", &["doctor", "boot"], None, "would boot bring back what is enabled"),
    verb::<Nothing>("doctor.healthcheck", &["doctor", "healthcheck"], None, "is everything as it should be"),
    verb::<Orphans>("doctor.orphans", &["doctor", "orphans"], Some("refs"), "what was left behind"),
    verb::<Clean>("doctor.clean", &["doctor", "clean"], None, "removes what is nobody's"),
    verb::<EnvFile>("doctor.env", &["doctor", "env"], Some("file"), "checks an environment file"),
    verb::<Validate>(
        "doctor.validate",
        &["doctor", "validate"],
        Some("command"),
        "the dry run of a start, judged",
    ),
    verb::<Nothing>("socket.list", &["socket", "list"], None, "the control sockets, and who answers"),
    verb::<Send>("socket.send", &["socket", "send"], Some("words"), "sends a request to a control socket"),
    verb::<Nothing>(
        "socket.cleanup",
        &["socket", "cleanup"],
        None,
        "removes the sockets of dead supervisors",
    ),
];

/// The longest name that can be a mistyped one, in bytes.
const LONGEST_NAME: usize = 40;

impl Method {
    /// The method of that name.
    ///
    /// # Errors
    /// Unknown, with the nearest.
    pub fn find(name: &str) -> Result<&'static Method, Failure> {
        METHODS.iter().find(|method| method.name == name).ok_or_else(|| {
            let near = METHODS
                .iter()
                // The likeness of a megabyte takes seconds, for which everybody would wait.
                .filter(|_| name.len() <= LONGEST_NAME)
                .map(|method| (strsim::jaro_winkler(name, method.name), method.name))
                .filter(|(likeness, _)| *likeness > 0.8)
                .max_by(|a, b| a.0.total_cmp(&b.0));
            let mut failure = Failure::new(
                code::UNKNOWN,
                "unknown-method",
                format!("there is no method {:?}", name.chars().take(60).collect::<String>()),
            );
            failure.data.hint = near.map(|(_, name)| format!("did you mean {name}?"));
            failure
        })
    }

    /// The parameters as their type.
    ///
    /// # Errors
    /// Which field is wrong, missing or unknown.
    pub fn params<Params: DeserializeOwned>(&self, params: Map<String, Value>) -> Result<Params, Failure> {
        serde_json::from_value(Value::Object(params)).map_err(|why| self.wrong(&why))
    }

    fn wrong(&self, why: &serde_json::Error) -> Failure {
        Failure::new(code::PARAMS, "usage", format!("{}: {why}", self.name))
    }

    /// The words of the verb with these parameters.
    ///
    /// # Errors
    /// As [`Method::params`].
    pub fn words(&self, params: &Map<String, Value>) -> Result<Vec<String>, Failure> {
        (self.check)(&Value::Object(params.clone())).map_err(|why| self.wrong(&why))?;
        let (words, rest) = self.verb.unwrap_or((&[], None));
        let mut all: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        all.push("--json".into());
        for (name, value) in params.iter().filter(|(name, _)| Some(name.as_str()) != rest) {
            let flag = name.replace('_', "-");
            match value {
                Value::Bool(true) => all.push(format!("--{flag}")),
                Value::Bool(false) | Value::Null => {}
                Value::Array(values) => {
                    all.extend(values.iter().map(|value| format!("--{flag}={}", text(value))));
                }
                value => all.push(format!("--{flag}={}", text(value))),
            }
        }
        if let Some(rest) = rest {
            all.push("--".into());
            match params.get(rest) {
                Some(Value::Array(values)) => all.extend(values.iter().map(text)),
                Some(value) => all.push(text(value)),
                None => {}
            }
        }
        Ok(all)
    }

    /// The JSON Schema of its parameters, whose parts are among the definitions of `generator`.
    #[cfg(test)]
    pub(crate) fn schema(&self, generator: &mut SchemaGenerator) -> Value {
        (self.schema)(generator).to_value()
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn words(name: &str, params: &Value) -> Result<Vec<String>, Failure> {
        Method::find(name).unwrap().words(params.as_object().unwrap())
    }

    #[test]
    fn parameters_become_the_words_of_the_verb() {
        for (name, params, want) in [
            ("stop", json!({"refs": ["web", "--purge"]}), "stop --json -- web --purge"),
            ("delete", json!({"refs": ["a"], "purge": true}), "delete --json --purge -- a"),
            ("delete", json!({"refs": ["a"], "purge": false}), "delete --json -- a"),
            (
                "start",
                json!({"words": ["node", "a.js", "-p"], "dir": "/x", "port": 80, "env_var": ["A=1", "B=2"]}),
                "start --json --dir=/x --env-var=A=1 --env-var=B=2 --port=80 -- node a.js -p",
            ),
        ] {
            assert_eq!(words(name, &params).unwrap().join(" "), want);
        }
    }

    #[test]
    fn wrong_parameters_name_the_field() {
        for (name, params, said) in [
            ("stop", json!({}), "stop: missing field `refs`"),
            ("stop", json!({"refs": "web"}), "stop: invalid type: string"),
            ("stop", json!({"refs": ["a"], "purge": true}), "stop: unknown field `purge`"),
            ("start", json!({"words": ["a"], "port": 70000}), "start: invalid value: integer `70000`"),
        ] {
            let failure = words(name, &params).unwrap_err();
            assert_eq!((failure.code, failure.data.kind.as_str()), (code::PARAMS, "usage"));
            assert!(failure.message.starts_with(said), "{}", failure.message);
        }
        let failure = Method::find("strat").unwrap_err();
        assert_eq!(failure.data.hint.as_deref(), Some("did you mean start?"));
    }
}
