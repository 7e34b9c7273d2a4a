//! What stands in `docs/` of the API is what the types say: the schema as a whole, and the table of the methods.

use std::fmt::Write;
use std::path::PathBuf;

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::methods::{METHODS, Method};
use super::protocol::{Failure, Request};
use crate::agents::ChangeDocument;
use crate::model::Event;

/// With this variable set, the documents are written instead of compared.
const WRITE: &str = "TSM_WRITE_DOCS";

/// Where the generated part of `docs/api.md` begins and ends.
const TABLE: [&str; 2] =
    ["<!-- methods: generated from src/daemon/methods.rs -->\n", "<!-- end of methods -->\n"];

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs").join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap_or_default()
}

#[track_caller]
fn is_current(name: &str, text: &str) {
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(path(name), text).unwrap();
    }
    assert!(read(name) == text, "docs/{name} is out of date: {WRITE}=1 cargo test --lib daemon::documents");
}

/// A request is one of the calls, one for each method; the rest is among the definitions.
fn schema() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    for schema in [
        generator.subschema_for::<Request>(),
        generator.subschema_for::<Failure>(),
        generator.subschema_for::<Event>(),
        generator.subschema_for::<ChangeDocument>(),
    ] {
        assert!(schema.get("$ref").is_some(), "{schema:?}");
    }
    let calls: Vec<Value> = METHODS
        .iter()
        .map(|method| {
            let params = method.schema(&mut generator);
            json!({
                "title": method.name,
                "description": method.about,
                "type": "object",
                "properties": {
                    "jsonrpc": {"const": "2.0"},
                    "id": {"type": ["integer", "string", "null"]},
                    "method": {"const": method.name},
                    "params": params,
                },
                "required": ["jsonrpc", "method"],
                "additionalProperties": false,
            })
        })
        .collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A request to the daemon of tsm",
        "description": "What else there is, is defined below: Failure is the `error` of an answer, Event and ChangeDocument \
            what subscriptions tell.",
        "oneOf": calls,
        "$defs": generator.take_definitions(true),
    })
}

/// How a person reads the type of a parameter.
fn words(schema: &Value, definitions: &Map<String, Value>) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return words(&definitions[name], definitions);
    }
    if let Some(all) = schema["oneOf"].as_array().or_else(|| schema["anyOf"].as_array()) {
        let all = all.iter().filter(|one| one["type"] != "null");
        return all.map(|one| words(one, definitions)).collect::<Vec<_>>().join(" or ");
    }
    if let Some(word) = schema["const"].as_str() {
        return format!("`{word}`");
    }
    if let Some(all) = schema["enum"].as_array() {
        let all = all.iter().filter_map(Value::as_str).map(|word| format!("`{word}`"));
        return all.collect::<Vec<_>>().join(" or ");
    }
    let of = schema["type"].as_str().or_else(|| schema["type"][0].as_str());
    match of.unwrap_or_else(|| panic!("{schema}")) {
        "string" => "text".into(),
        "integer" => "number".into(),
        "boolean" => "`true`".into(),
        "object" => "object".into(),
        "array" => format!("[{}, …]", words(&schema["items"], definitions)),
        other => panic!("no word for {other}"),
    }
}

/// The parameters of a method: those that it needs, then those that may be left out.
fn parameters(method: &Method) -> String {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let schema = method.schema(&mut generator);
    let definitions = generator.take_definitions(true);
    let of = schema["$ref"].as_str().map_or(&schema, |path| &definitions[path.rsplit('/').next().unwrap()]);
    let is_needed = |name: &str| of["required"].as_array().is_some_and(|all| all.contains(&name.into()));
    let none = Map::new();
    let mut all: Vec<(&String, &Value)> = of["properties"].as_object().unwrap_or(&none).iter().collect();
    all.sort_by_key(|(name, _)| (!is_needed(name), name.as_str()));
    let all = all.into_iter().map(|(name, schema)| {
        let mark = if is_needed(name) { "" } else { "?" };
        format!("`{name}`{mark} {}", words(schema, &definitions))
    });
    all.collect::<Vec<_>>().join("; ")
}

fn table() -> String {
    let mut text = String::from("| method | parameters (`?` may be left out) | what it does | as |\n");
    text.push_str("| --- | --- | --- | --- |\n");
    for method in METHODS {
        let verb = method.verb.map_or_else(String::new, |(words, _)| format!("`tsm {}`", words.join(" ")));
        writeln!(text, "| `{}` | {} | {} | {verb} |", method.name, parameters(method), method.about).unwrap();
    }
    text
}

#[test]
fn the_schema_is_current() {
    is_current("api.schema.json", &format!("{:#}\n", schema()));
}

#[test]
fn the_table_of_the_methods_is_current() {
    let page = read("api.md");
    let [begin, end] =
        TABLE.map(|mark| page.find(mark).unwrap_or_else(|| panic!("no {mark:?} in docs/api.md")));
    let text = format!("{}{}{}", &page[..begin + TABLE[0].len()], table(), &page[end..]);
    is_current("api.md", &text);
    for method in METHODS {
        assert!(page.contains(&format!("| `{}` |", method.name)), "{} is not in docs/api.md", method.name);
    }
}

#[test]
fn every_reference_of_the_schema_leads_somewhere_and_a_request_is_one_call() {
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str));
                fields.values().for_each(|one| references(one, found));
            }
            Value::Array(all) => all.iter().for_each(|one| references(one, found)),
            _ => {}
        }
    }
    let schema = schema();
    let mut found = Vec::new();
    references(&schema, &mut found);
    assert!(found.len() > 30, "{found:?}");
    for path in found {
        assert!(schema.pointer(path.trim_start_matches('#')).is_some(), "{path}");
    }
    for name in ["Request", "Failure", "FailureData", "Event", "Happening", "Refs", "Start"] {
        assert!(schema["$defs"][name]["description"].is_string(), "{name} is not described");
    }
}

#[test]
fn every_kind_of_failure_and_of_event_is_in_the_document() {
    let page = read("api.md");
    let schema = schema();
    let kinds = schema["$defs"]["FailureData"]["properties"]["kind"]["description"].as_str().unwrap();
    let events = schema["$defs"]["Happening"]["oneOf"].as_array().unwrap();
    let kinds = kinds.split('`').skip(1).step_by(2);
    let events = events.iter().filter_map(|one| one["const"].as_str()).filter(|word| *word != "other");
    let mut count = 0;
    for word in kinds.chain(events) {
        assert!(page.contains(&format!("`{word}`")), "{word} is not in docs/api.md");
        count += 1;
    }
    assert!(count > 20, "{count}");
}
