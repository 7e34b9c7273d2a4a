//! A `Procfile`: `NAME: COMMAND` lines, each run by a shell in the directory of the file.

use super::{Import, Source, shell_line};
use crate::model::{Kind, RestartPolicy};

/// The definitions for the processes of the Procfile `text`.
pub fn procfile(text: &str, source: &Source<'_>) -> Import {
    let mut import = Import::default();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let place = format!("line {}", at + 1);
        let Some((name, command)) = line.split_once(':').map(|(name, rest)| (name.trim(), rest.trim()))
        else {
            import.skip(place, "it is not NAME: COMMAND");
            continue;
        };
        if name.is_empty() || name.contains(char::is_whitespace) || command.is_empty() {
            import.skip(place, "it is not NAME: COMMAND");
            continue;
        }
        let mut made = match source.service(name, &shell_line(command)) {
            Ok(made) => made,
            Err(error) => {
                import.skip(place, error.message());
                continue;
            }
        };
        made.definition.dir = Some(source.dir().to_owned());
        // `web` is what is given a port to serve on, by the rule of those who invented the file.
        if name == "web" || reads_port(command) {
            made.definition.kind = Some(Kind::Port);
        }
        if name == "release" {
            made.definition.restart = Some(RestartPolicy::No);
            made.remark(
                "name",
                "it is meant to run once at a release, so it is not started again when it ends",
            );
        }
        import.add(made);
    }
    import.counted("name", |lines| format!("{lines} lines say the same; one of them is read"))
}

/// True when the shell would put a port into the command.
fn reads_port(command: &str) -> bool {
    let ends = |rest: &str| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    command.match_indices("$PORT").any(|(at, found)| ends(&command[at + found.len()..]))
        || command.match_indices("${PORT").any(|(at, found)| ends(&command[at + found.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::import::tests::{source, texts};
    use std::path::Path;

    #[test]
    fn each_line_is_a_process_run_by_a_shell_in_the_files_directory() {
        let import = source("/srv/shop/Procfile", "", |source| {
            procfile(
                "# a comment\n\nweb: bundle exec puma -p $PORT\nworker-1:   node worker.js \"two words\"\r\n\
                 api: uvicorn app:app --port ${PORT:-5000}\nlog: tail -f x | grep $PORTAL\nrun: $APP\nbare: ./run\n",
                source,
            )
        });
        let found: Vec<_> = import
            .services
            .iter()
            .map(|one| (one.definition.name.as_str(), one.definition.command.as_str(), one.definition.kind))
            .collect();
        assert_eq!(
            found,
            [
                ("web", "bundle exec puma -p $PORT", Some(Kind::Port)),
                ("worker-1", "node worker.js \"two words\"", None),
                ("api", "uvicorn app:app --port ${PORT:-5000}", Some(Kind::Port)),
                ("log", "tail -f x | grep $PORTAL", None),
                ("run", "bash -c '$APP'", None),
                ("bare", "./run", None),
            ]
        );
        assert!(
            import.services.iter().all(|one| one.definition.dir.as_deref() == Some(Path::new("/srv/shop")))
        );
        assert!(import.skipped.is_empty() && import.remarks.is_empty());
    }

    #[test]
    fn names_are_reduced_prefixed_and_kept_apart_and_what_is_no_line_is_said() {
        let import = source("/srv/Procfile", "shop-", |source| {
            procfile("we.b: a\nwörk: b\nw rk: c\nwork\nx:\nwe.b: d\nwe.b: d\nrelease: migrate now\n", source)
        });
        let found: Vec<_> = import
            .services
            .iter()
            .map(|one| (one.definition.name.as_str(), one.definition.command.as_str(), texts(&one.remarks)))
            .collect();
        let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        assert_eq!(
            found,
            [
                ("shop-we.b", "a", vec![]),
                ("shop-w-rk", "b", texts(&["name: \"wörk\" is called shop-w-rk here"])),
                (
                    "shop-we.b-2",
                    "d",
                    texts(&[
                        "name: another one of this import is called shop-we.b; this one is shop-we.b-2",
                        "name: 2 lines say the same; one of them is read",
                    ])
                ),
                (
                    "shop-release",
                    "migrate now",
                    texts(&[
                        "name: it is meant to run once at a release, so it is not started again when it ends"
                    ])
                ),
            ]
        );
        assert_eq!(import.services[3].definition.restart, Some(RestartPolicy::No));
        let lines: Vec<_> = import.skipped.iter().map(|(place, _)| place.as_str()).collect();
        assert_eq!(lines, ["line 3", "line 4", "line 5"]);
    }
}
