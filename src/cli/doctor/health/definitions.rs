//! The user's patterns and service definitions: what of them cannot be read, by file and line.

use std::path::{Path, PathBuf};

use super::super::super::context::Context;
use super::super::super::services;
use super::super::stale::{Stale, What};
use super::Finding;
use crate::plan::Patterns;
use crate::render::shell_quote::quote;
use crate::service::Entry;

/// One service definition.
pub(super) struct Service {
    name: String,
    file: PathBuf,
    /// What is wrong with it.
    error: Option<String>,
    /// What in it has no effect.
    remarks: Vec<String>,
    /// The directory that it names and that is not there.
    no_dir: Option<PathBuf>,
}

/// How many good lines a patterns file has, and the broken ones: number and why.
type Lines = (usize, Vec<(usize, String)>);

/// What the files say.
pub(super) struct Facts {
    patterns: PathBuf,
    /// Its lines, or why it cannot be read; none without a file.
    read: Option<Result<Lines, String>>,
    services: Result<Vec<Service>, String>,
    /// Links of enabled services that lead nowhere.
    dangling: Vec<Stale>,
}

impl Facts {
    pub(super) fn gather(context: &Context, stale: &[Stale]) -> Self {
        let patterns = context.layout.patterns();
        let read = match std::fs::read(&patterns) {
            Ok(bytes) => {
                let text = String::from_utf8_lossy(&bytes);
                let broken = Patterns::problems(&text);
                Some(Ok((Patterns::parse(&text).lines.len(), broken)))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => Some(Err(crate::error::plain(&error))),
        };
        let dangling: Vec<Stale> =
            stale.iter().filter(|one| one.what == What::ServiceLink).cloned().collect();
        let is_dangling = |path: &Path| dangling.iter().any(|one| one.path == path);
        let services = services::catalog(context).list().map_err(|error| error.message().to_owned());
        let services = services.map(|all| {
            // Those that came with TSM are examples until somebody enables them.
            let is_used = |entry: &Entry| entry.enabled || entry.file.starts_with(context.layout.root());
            let of = |entry: Entry| {
                let used = entry.definition.as_ref().ok().filter(|_| is_used(&entry));
                Service {
                    error: entry.definition.as_ref().err().map(|error| error.message().to_owned()),
                    remarks: used.map(|one| one.remarks.clone()).unwrap_or_default(),
                    no_dir: used.and_then(|one| one.dir.clone()).filter(|dir| !dir.is_dir()),
                    name: entry.name,
                    file: entry.file,
                }
            };
            all.into_iter().filter(|entry| !is_dangling(&entry.file)).map(of).collect()
        });
        Facts { patterns, read, services, dangling }
    }
}

pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    let mut found = patterns(facts);
    match &facts.services {
        Err(why) => found.push(Finding::error(why.clone(), "ls -ld of that folder")),
        Ok(services) => {
            let whole = services.iter().filter(|one| one.error.is_none()).count();
            found.push(Finding::ok(format!("Service definitions: {whole}")));
            found.extend(services.iter().flat_map(of_service));
        }
    }
    for one in &facts.dangling {
        let name = one.path.file_stem().unwrap_or_default().to_string_lossy();
        found.push(Finding::warning(
            format!("{} {}", one.path.display(), one.why),
            format!("tsm disable {}", quote(&name)),
        ));
    }
    found
}

fn patterns(facts: &Facts) -> Vec<Finding> {
    let path = facts.patterns.display();
    match &facts.read {
        None => vec![Finding::ok(format!("{path}: none, the built-in patterns count"))],
        Some(Err(why)) => vec![Finding::error(
            format!("{path} cannot be read, so that nothing can be started: {why}"),
            format!("ls -l {}", quote(&facts.patterns.to_string_lossy())),
        )],
        Some(Ok((count, broken))) => {
            let mut found = vec![Finding::ok(format!("{path}: {}", count_of(*count)))];
            found.extend(broken.iter().map(|(line, why)| {
                Finding::warning(format!("{path}:{line}: skipped: {why}"), edit(&facts.patterns, Some(*line)))
            }));
            found
        }
    }
}

fn count_of(count: usize) -> String {
    if count == 1 { "1 pattern".to_owned() } else { format!("{count} patterns") }
}

fn of_service(one: &Service) -> Vec<Finding> {
    let mut found = Vec::new();
    if let Some(why) = &one.error {
        found.push(Finding::error(
            format!("the service {:?} cannot be started: {why}", one.name),
            edit(&one.file, line_of(why, &one.file)),
        ));
    }
    if let Some(dir) = &one.no_dir {
        let why = format!("{}: the directory {} does not exist", one.file.display(), dir.display());
        found.push(Finding::warning(why, edit(&one.file, None)));
    }
    found.extend(one.remarks.iter().map(|why| {
        // Most remarks begin with their place.
        let known = why.contains(&*one.file.to_string_lossy());
        let text = if known { why.clone() } else { format!("{}: {why}", one.file.display()) };
        Finding::warning(text, edit(&one.file, line_of(why, &one.file)))
    }));
    found
}

/// The line in a message that begins `FILE:LINE:`.
fn line_of(message: &str, file: &Path) -> Option<usize> {
    let rest = message.strip_prefix(&*file.to_string_lossy())?.strip_prefix(':')?;
    rest.split(':').next()?.parse().ok()
}

/// What opens a file at a line.
fn edit(file: &Path, line: Option<usize>) -> String {
    let file = file.to_string_lossy();
    match line {
        Some(line) => format!("${{EDITOR:-vi}} +{line} {}", quote(&file)),
        None => format!("${{EDITOR:-vi}} {}", quote(&file)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn what_is_broken_is_named_by_file_and_line() {
        let service = |name: &str, error: Option<&str>| Service {
            name: name.into(),
            file: format!("/s/{name}.tsm").into(),
            error: error.map(str::to_owned),
            remarks: Vec::new(),
            no_dir: None,
        };
        let facts = Facts {
            patterns: "/t/patterns.txt".into(),
            read: Some(Ok((2, vec![(3, "it has no '|'".into())]))),
            services: Ok(vec![service("web", None), service("x", Some("/s/x.tsm:4: what is this"))]),
            dangling: Vec::new(),
        };
        let found = findings(&facts);
        let levels: Vec<Level> = found.iter().map(|one| one.level).collect();
        assert_eq!(levels, [Level::Ok, Level::Warning, Level::Ok, Level::Error]);
        assert_eq!(found[1].what, "/t/patterns.txt:3: skipped: it has no '|'");
        assert_eq!(found[1].remedy.as_deref(), Some("${EDITOR:-vi} +3 /t/patterns.txt"));
        assert_eq!(found[3].remedy.as_deref(), Some("${EDITOR:-vi} +4 /s/x.tsm"));
    }
}
