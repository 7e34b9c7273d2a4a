//! `tsm doctor validate`: the dry run of a start, with judgement. Nothing is run, not even a named environment file.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::super::context::Context;
use super::super::start::{self, Judged, Question};
use super::env;
use super::finding::{self, Finding, Level};
use crate::error::{Error, Kind, Result};
use crate::model::{Kind as ProcessKind, Name, SCHEMA};
use crate::plan;
use crate::render::shell_quote::quote;

/// Check what a start would come to, without starting it.
///
/// The plan and why, whether program, script, directory and port are there to be had, and what is wrong with the
/// environment file.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  tsm doctor validate 'node server.js' --port 3000 --env dev\n  \
    tsm doctor validate my-service --json\n\nExit code 1 when it would not start.")]
pub(super) struct Args {
    /// A command, best in quotes; a service; or the name of a tracked process.
    #[arg(required = true, value_name = "COMMAND")]
    words: Vec<String>,
    /// The port it is to listen on, 1 to 65535.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// Environment: a name (env/NAME.env) or a file.
    #[arg(long, value_name = "NAME|FILE")]
    env: Option<String>,
    /// The working directory.
    #[arg(long, value_name = "DIRECTORY")]
    dir: Option<PathBuf>,
    /// Print a JSON object.
    #[arg(long)]
    json: bool,
}

/// What became of the search for a program.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Program {
    Found(PathBuf),
    NotExecutable(PathBuf),
    Missing,
}

/// What is known of the plan's chances.
struct Facts<'a> {
    judged: &'a Judged,
    program: Program,
    /// The script that an interpreter is to run and that is not there.
    no_script: Option<String>,
    is_dir: bool,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<()> {
    let question =
        Question { words: args.words.clone(), port: args.port, env: args.env.clone(), dir: args.dir.clone() };
    let (judged, findings) = match start::judge(context, question) {
        Ok(judged) => {
            let mut findings = findings(&Facts::gather(&judged));
            findings.extend(of_env_file(context, &judged));
            (Some(judged), findings)
        }
        Err(error) => (None, vec![refused(&error)]),
    };
    let errors = finding::count(&findings, Level::Error);
    if args.json {
        context.output.json(&report(judged.as_ref(), &findings))?;
    } else {
        print(context, judged.as_ref(), &findings, errors)?;
    }
    // Everything has been said.
    if errors == 0 { Ok(()) } else { Err(Error::new(Kind::Failed, "")) }
}

/// What keeps a tracked process from being started now: each in words, and what to type.
pub(in crate::cli) fn obstacles(context: &Context, name: &Name) -> Vec<(String, Option<String>)> {
    let question = Question { words: vec![name.to_string()], port: None, env: None, dir: None };
    let findings = match start::judge(context, question) {
        Ok(judged) => {
            let mut findings = findings(&Facts::gather(&judged));
            findings.extend(of_env_file(context, &judged));
            findings
        }
        Err(error) => vec![refused(&error)],
    };
    let bad = findings.into_iter().filter(|one| one.level == Level::Error);
    bad.map(|one| (one.what, one.remedy)).collect()
}

fn refused(error: &Error) -> Finding {
    Finding { remedy: error.hint_text().map(str::to_owned), ..Finding::error(error.message(), "") }
}

impl<'a> Facts<'a> {
    fn gather(judged: &'a Judged) -> Self {
        let plan = &judged.plan;
        let path = plan.env_values.get("PATH").cloned().or_else(|| std::env::var("PATH").ok());
        let word = plan.argv.first().map(String::as_str).unwrap_or_default();
        let no_script = plan::script(&plan.argv).filter(|script| !plan.dir.join(script).exists());
        Facts {
            program: program(word, path.as_deref().unwrap_or_default(), &plan.dir),
            no_script: no_script.map(str::to_owned),
            is_dir: plan.dir.is_dir(),
            judged,
        }
    }
}

/// The file that `word` means in `dir`: itself when it is a path, else the first on the program's own PATH.
fn program(word: &str, path: &str, dir: &Path) -> Program {
    match which::which_in(word, Some(path), dir) {
        Ok(found) => Program::Found(found),
        Err(_) if word.contains('/') && dir.join(word).is_file() => Program::NotExecutable(dir.join(word)),
        Err(_) => Program::Missing,
    }
}

fn findings(facts: &Facts<'_>) -> Vec<Finding> {
    let Facts { judged, program, no_script, is_dir } = facts;
    let plan = &judged.plan;
    let dir = plan.dir.to_string_lossy();
    let word = plan.argv.first().map(String::as_str).unwrap_or_default();
    let mut found = Vec::new();
    if let Some(view) = &judged.runs {
        found.push(Finding::info(format!("it runs already as {}; a start leaves it alone", view.title())));
    }
    found.push(match program {
        Program::Found(path) => Finding::ok(format!("program: {}", path.display())),
        Program::NotExecutable(path) => Finding::error(
            format!("{} is not executable", path.display()),
            format!("chmod +x {}", quote(&path.to_string_lossy())),
        ),
        Program::Missing if word.contains('/') => {
            Finding::error(format!("there is no {word} in {dir}"), format!("ls {}", quote(&dir)))
        }
        Program::Missing => {
            Finding::error(format!("{word:?} is not found on PATH"), format!("type -a {}", quote(word)))
        }
    });
    if let Some(script) = no_script {
        let what = format!("there is no {script} in {dir}");
        found.push(Finding::error(what, format!("ls {}", quote(&dir))));
    }
    found.push(if *is_dir {
        Finding::ok(format!("directory: {dir}"))
    } else {
        Finding::error(format!("there is no directory {dir}"), format!("mkdir -p {}", quote(&dir)))
    });
    found.extend(judged.errors.iter().map(refused));
    let taken = judged.errors.iter().any(|error| error.kind() == Kind::Conflict);
    if let Some(port) = plan.port.filter(|_| !taken && judged.runs.is_none()) {
        found.push(Finding::ok(format!("port {port} is free{}", passed(port, &plan.argv))));
    } else if plan.port.is_none() && plan.kind != ProcessKind::Port {
        found.push(Finding::info("no port is planned; if it listens, tsm list shows where"));
    }
    found.extend(judged.remarks.iter().map(|remark| Finding::warning(remark.clone(), "tsm start --help")));
    found
}

/// How the program learns of its port.
fn passed(port: u16, argv: &[String]) -> &'static str {
    let port = port.to_string();
    let has = |word: &String| {
        let mut numbers = word.split(|c: char| !c.is_ascii_digit());
        numbers.any(|number| number == port)
    };
    if argv.iter().any(has) { ", and is on the command line" } else { ", and is passed as PORT" }
}

/// What is wrong with the environment file; its port is judged with the plan.
fn of_env_file(context: &Context, judged: &Judged) -> Vec<Finding> {
    let Some(file) = judged.plan.env_file.as_ref().filter(|file| file.path.exists()) else {
        return Vec::new();
    };
    let (mut found, _) = env::examine(context, &file.path, &judged.plan.dir, false);
    found.retain(|one| one.level != Level::Ok);
    if found.iter().all(|one| one.level == Level::Info) {
        found.insert(0, Finding::ok(format!("env file: {}", file.path.display())));
    }
    // The plan may have failed at the same line.
    found.retain(|one| judged.errors.iter().all(|error| error.message() != one.what));
    found
}

fn report(judged: Option<&Judged>, findings: &[Finding]) -> Value {
    let of = |levels: &[Level]| -> Vec<&str> {
        findings.iter().filter(|one| levels.contains(&one.level)).map(|one| one.what.as_str()).collect()
    };
    let plan = judged.map(|judged| {
        judged.shown.clone().unwrap_or_else(|| {
            let plan = &judged.plan;
            serde_json::json!({
                "schema": SCHEMA, "argv": plan.argv, "command": plan.command, "kind": plan.kind,
                "port": plan.port, "name": plan.name, "dir": plan.dir,
                "env_file": plan.env_file.as_ref().map(|file| &file.path), "reasons": plan.reasons,
            })
        })
    });
    serde_json::json!({
        "schema": SCHEMA,
        "valid": finding::count(findings, Level::Error) == 0,
        "errors": of(&[Level::Error]),
        "warnings": of(&[Level::Warning]),
        "info": of(&[Level::Ok, Level::Info]),
        "findings": findings,
        "plan": plan,
    })
}

fn print(context: &Context, judged: Option<&Judged>, findings: &[Finding], errors: usize) -> Result<()> {
    let out = &context.output;
    if let Some(judged) = judged {
        out.line("Plan:")?;
        for reason in &judged.plan.reasons {
            out.line(&format!("  {} {}: {}", reason.what, reason.value, reason.why))?;
        }
        out.line("\nJudgement:")?;
    }
    for finding in findings {
        finding::print(context, finding)?;
    }
    let counted = if errors == 1 { "1 error".to_owned() } else { format!("{errors} errors") };
    let valid = if errors == 0 { "valid".to_owned() } else { format!("not valid: {counted}") };
    out.line(&format!("\n{valid}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_on_the_command_line_as_a_whole_number() {
        for (argv, there) in [
            (&["python3", "-m", "http.server", "8000"][..], true),
            (&["x", "--port=8000"], true),
            (&["x", ":8000"], true),
            (&["node", "server.js"], false),
            (&["x", "18000"], false),
        ] {
            let argv: Vec<String> = argv.iter().map(|&word| word.to_owned()).collect();
            assert_eq!(passed(8000, &argv).contains("command line"), there, "{argv:?}");
        }
    }
}
