//! TSM's first version, a part of tetra: its definitions, and what it wrote of the processes it ran.
//!
//! Its definitions were sourced by a shell; here their assignments are read and nothing is run. Its `meta.json` has
//! `name`, `command`, `port` (a number or "none"), `cwd`, `env_file`, `service_type` and `prehook`.

use std::path::Path;

use serde_json::Value;

use super::{Import, Imported, SECRET, Source, shell_line};
use crate::envfile::{Assignment, assignments, looks_secret, shown};
use crate::error::{Error, Result};
use crate::model::Kind;
use crate::render::shell_quote;
use crate::service::Definition;
use crate::service::keys::Key;

/// Settings of the first version and its successors that have no counterpart.
const LOST: &[(&str, &str)] = &[
    ("TSM_PRE_COMMAND", PRE_COMMAND),
    ("TSM_ARGS", "it was only shown; write arguments behind the command"),
    ("TSM_DEPS", "TSM starts each service by itself"),
    ("TSM_HEALTH_CHECK", "TSM looks whether its port accepts"),
    ("TSM_PORTS", "a service has one planned port; tsm list shows all that it listens on"),
];

const PRE_COMMAND: &str = "it is not run; write SERVICE_COMMAND='FIRST && exec COMMAND'";

/// Adds the definition `text` of the file `source.file` to `import`.
pub fn tetra_definition(text: &str, source: &Source<'_>, import: &mut Import) {
    let stem = source.file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    match definition(text, &stem, source) {
        Ok(made) => import.add(made),
        Err(error) => import.skip(stem, error.message()),
    }
}

fn definition(text: &str, stem: &str, source: &Source<'_>) -> Result<Imported> {
    // A name to start with; all else comes from the file.
    let mut made = source.service(stem, "-")?;
    let mut kept = String::new();
    let (mut line, mut problem) = (1, None);
    for read in assignments::parse(text, source.lookup) {
        match read {
            Err(wrong) => {
                made.remark(format!("line {}", wrong.line), format!("{}: it is left out", wrong.why));
                problem = problem.or(Some(wrong));
            }
            Ok(assignment) => {
                if is_carried(&assignment, &mut made) {
                    line = put(&mut kept, line, &assignment);
                }
            }
        }
    }
    let read = Definition::parse(&made.definition.file, &kept, source.lookup).map_err(|error| {
        let (file, old) = (made.definition.file.display().to_string(), source.file.display());
        match &problem {
            Some(problem) => Error::failed(format!("{old}:{}: {}", problem.line, problem.why)),
            None => Error::failed(error.message().replacen(&file, &old.to_string(), 1)),
        }
    })?;
    for remark in &read.remarks {
        match remark.split_once(": ") {
            Some((line, why)) => made.remark(line, why),
            None => made.remark("definition", remark),
        }
    }
    // What was relative to the old file is not to become relative to the new one.
    let dir = read.dir.as_ref().map(|_| old_dir(&kept, source)).transpose()?.flatten();
    let own = read.process == read.name || !source.prefix.is_empty();
    let process = if own { made.definition.name.clone() } else { read.process.clone() };
    made.definition = Definition { name: made.definition.name, process, dir, remarks: Vec::new(), ..read };
    Ok(made)
}

/// The directory, read as the old file says it.
fn old_dir(kept: &str, source: &Source<'_>) -> Result<Option<std::path::PathBuf>> {
    // The same settings under the same path that they had.
    let file = source.file.with_file_name("old.tsm");
    Ok(Definition::parse(&file, kept, source.lookup)?.dir)
}

/// True for what belongs in the definition; what does not is remarked.
fn is_carried(assignment: &Assignment, made: &mut Imported) -> bool {
    let Assignment { name, value, exported, undefined, .. } = assignment;
    for gone in undefined {
        made.remark(name, format!("${gone} is not defined and was read as empty"));
    }
    if Key::of(name).is_some() {
        return true;
    }
    if let Some((_, why)) = LOST.iter().find(|(lost, _)| lost == name) {
        if !value.trim().is_empty() {
            made.remark(name, *why);
        }
        return false;
    }
    if name.starts_with("TSM_") {
        made.remark(name, "it has no effect here");
        return false;
    }
    if *exported && (looks_secret(name) || shown(name, value) != *value) {
        made.remark(name, SECRET);
        return false;
    }
    true
}

/// Puts an assignment on the line that it had, so that remarks and errors name that one. Returns the line it ends on.
fn put(kept: &mut String, mut line: usize, assignment: &Assignment) -> usize {
    if line == assignment.line && !kept.is_empty() && !kept.ends_with('\n') {
        kept.push_str("; ");
    }
    while line < assignment.line {
        kept.push('\n');
        line += 1;
    }
    let value = shell_quote::quote(&assignment.value);
    let export = if assignment.exported { "export " } else { "" };
    kept.push_str(export);
    kept.push_str(&assignment.name);
    kept.push('=');
    kept.push_str(&value);
    line + value.matches('\n').count()
}

/// Adds the process that the metadata `text` of `source.file` describes, unless a definition of this import is what it
/// was started from.
pub fn tetra_process(text: &str, source: &Source<'_>, import: &mut Import) {
    let dir = source.file.parent().and_then(Path::file_name).unwrap_or_default();
    let dir = dir.to_string_lossy();
    match process(text, &dir, source) {
        Ok(made) => {
            if !import.services.iter().any(|other| is_source_of(&other.definition, &made.definition)) {
                import.add(made);
            }
        }
        Err(error) => import.skip(dir, error.message()),
    }
}

/// True when the process `made` was started from the definition `other`, if perhaps with its interpreter's path.
fn is_source_of(other: &Definition, made: &Definition) -> bool {
    [&other.name, &other.process].contains(&&made.name)
        && (other.command == made.command || other.port.is_some() && other.port == made.port)
}

fn process(text: &str, dir: &str, source: &Source<'_>) -> Result<Imported> {
    let wrong = |why: String| Error::failed(format!("{}: {why}", source.file.display()));
    let value: Value = serde_json::from_str(text).map_err(|why| wrong(format!("it is not JSON ({why})")))?;
    // `null` and "none" were both written for what there is not.
    let field = |name: &str| {
        let text = match &value[name] {
            Value::String(text) => text.trim().to_owned(),
            Value::Number(number) => number.to_string(),
            _ => String::new(),
        };
        Some(text).filter(|text| !text.is_empty() && text != "none" && text != "null" && text != "-")
    };
    let command = field("command").ok_or_else(|| wrong("it has no command".into()))?;
    let port = field("port").and_then(|text| text.parse::<u16>().ok()).filter(|port| *port != 0);
    let name = field("name").unwrap_or_else(|| dir.to_owned());
    let mut made = source.service(unsuffixed(&name, port), &shell_line(&command))?;
    let definition = &mut made.definition;
    definition.port = port;
    definition.env = field("env_file");
    definition.kind = match (port, field("service_type").as_deref()) {
        (None, Some("socket")) => Some(Kind::Socket),
        (None, Some("pid")) => Some(Kind::Pid),
        _ => None,
    };
    definition.dir = field("cwd").filter(|dir| dir.starts_with('/')).map(Into::into);
    if definition.dir.is_none() {
        made.remark("cwd", "it is no absolute path, so it is started in the directory that you are in");
    }
    if let (Some(text), None) = (field("port"), port) {
        made.remark("port", format!("{text:?} is not a port from 1 to 65535"));
    }
    if field("prehook").is_some() {
        made.remark("prehook", PRE_COMMAND);
    }
    Ok(made)
}

/// The name without what the first version put behind it: the port, `auto`, or without a port the time in seconds.
fn unsuffixed(name: &str, port: Option<u16>) -> &str {
    let Some((base, suffix)) = name.rsplit_once('-').filter(|(base, _)| !base.is_empty()) else {
        return name;
    };
    let is_time = || suffix.len() == 10 && suffix.bytes().all(|byte| byte.is_ascii_digit());
    let added = match port {
        Some(port) => suffix == port.to_string() || suffix == "auto",
        None => suffix == "auto" || is_time(),
    };
    if added { base } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::import::tests::{source, texts};

    fn defined(text: &str) -> Import {
        let mut import = Import::default();
        source("/old/services-available/api.tsm", "", |source| tetra_definition(text, source, &mut import));
        import
    }

    fn ran(import: &mut Import, text: &str) {
        source("/old/runtime/processes/dir-name/meta.json", "", |source| tetra_process(text, source, import));
    }

    #[test]
    fn a_definition_is_read_and_never_run_and_keeps_its_paths() {
        let import = defined(
            "#!/bin/bash\nexport TSM_NAME=\"shop\"\nTSM_COMMAND=\"node server.js\"; TSM_CWD=../shop\n\
             TSM_PRE_COMMAND='nvm use'\nTSM_DEPS=''\nTSM_ORG=x\nexport A='1\n2'\nexport API_KEY=k\nNOW=$(date)\n\
             cd /x\nTSM_PORT=auto\nSERVICE_COLOUR=red\nTSM_DESCRIPTION=\"$NOPE page\"\n",
        );
        let made = &import.services[0];
        assert_eq!(
            made.definition.text_by("x").unwrap(),
            "# x\nSERVICE_NAME=shop\nSERVICE_DESCRIPTION=' page'\nSERVICE_COMMAND='node server.js'\n\
             SERVICE_DIR=/old/services-available/../shop\nexport A='1\n2'\n"
        );
        let said = texts(&made.remarks);
        for (part, line) in [
            "TSM_PRE_COMMAND: it is not run",
            "TSM_ORG: it has no effect",
            "API_KEY: it looks secret",
            "line 10: $(…) is a command",
            "line 11: \"cd\" is not NAME=value",
            "TSM_DESCRIPTION: $NOPE is not defined",
            "line 13: SERVICE_COLOUR is not a setting",
        ]
        .iter()
        .zip(&said)
        {
            assert!(line.starts_with(part), "{part}: {said:?}");
        }
        assert_eq!(said.len(), 7, "{said:?}");
    }

    #[test]
    fn one_that_cannot_be_read_is_named_with_its_own_file_and_line() {
        for (text, expected) in [
            ("\n", "/old/services-available/api.tsm: SERVICE_COMMAND is missing"),
            ("TSM_NAME=x\nTSM_COMMAND=$(x)\n", "/old/services-available/api.tsm:2: $(…) is a command"),
            ("TSM_COMMAND=x\n\nTSM_PORT=x\n", "/old/services-available/api.tsm:3: SERVICE_PORT is \"x\""),
        ] {
            let import = defined(text);
            assert!(import.services.is_empty());
            assert!(import.skipped[0].1.starts_with(expected), "{:?}", import.skipped);
        }
    }

    #[test]
    fn a_process_is_a_definition_unless_it_came_from_one() {
        let mut import = defined("TSM_NAME=shop\nTSM_COMMAND='python3 server.py'\nTSM_PORT=3000\n");
        for text in [
            r#"{"name":"shop-3000","command":"/usr/bin/python3 server.py","port":3000,"cwd":"/s"}"#,
            r#"{"name":"api-auto","command":"python3 server.py","port":"none","cwd":"/s"}"#,
        ] {
            ran(&mut import, text);
            assert_eq!(import.services.len(), 1, "{text}");
        }
        ran(
            &mut import,
            r#"{"name":"api-8000","command":"other","port":8000,"cwd":"x","prehook":"y","env_file":"dev.env"}"#,
        );
        ran(
            &mut import,
            r#"{"name":"job-1760000200","command":"$JOB","port":"none","cwd":"/s","service_type":"socket","env_file":"null"}"#,
        );
        ran(&mut import, r#"{"command":"x-1760000200","cwd":"/s"}"#);
        let [_, api, job, unnamed] = import.services.as_slice() else { panic!("{import:?}") };
        assert_eq!((api.definition.name.as_str(), api.definition.port), ("api-2", Some(8000)));
        assert_eq!((api.definition.dir.as_deref(), api.definition.env.as_deref()), (None, Some("dev.env")));
        let fields: Vec<_> = api.remarks.iter().map(|remark| remark.field.as_str()).collect();
        assert_eq!(fields, ["cwd", "prehook", "name"]);
        assert_eq!(
            (job.definition.name.as_str(), job.definition.command.as_str()),
            ("job", "bash -c '$JOB'")
        );
        assert_eq!((job.definition.kind, job.definition.env.as_deref()), (Some(Kind::Socket), None));
        assert_eq!(unnamed.definition.name.as_str(), "dir-name");
        for text in ["{", "[]", "{\"name\":\"x\"}"] {
            ran(&mut import, text);
        }
        assert_eq!(import.skipped.len(), 3);
        assert!(import.skipped[0].1.starts_with("/old/runtime/processes/dir-name/meta.json: it is not JSON"));
    }
}
