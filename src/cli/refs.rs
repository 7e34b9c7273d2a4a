//! How users name processes: the one function that every verb resolves a ref with (design.md section 7).

use crate::error::{Error, Result};
use crate::model::Name;

/// What a ref can hit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    /// The name.
    pub(super) name: Name,
    /// The TSM ID.
    pub(super) id: Option<u32>,
    /// The planned port and those really listened on.
    pub(super) ports: Vec<u16>,
    /// The main process.
    pub(super) pid: Option<i32>,
}

impl Candidate {
    /// The name without its port suffix: also what a service is called.
    fn base(&self) -> &str {
        let name = self.name.as_str();
        let suffixed = name
            .rsplit_once('-')
            .filter(|(_, port)| port.parse::<u16>().is_ok_and(|port| self.ports.contains(&port)));
        suffixed.map_or(name, |(base, _)| base)
    }
}

/// The places in `all` that `text` means: one for a ref, any number for a glob or `all`.
///
/// The order is: exact name, ID, service or base name, managed port, PID, whole dash-separated parts of a name, any
/// part of one.
///
/// # Errors
/// Not found when it hits nothing, a conflict that lists them when it hits several, usage for a PID such as 0 or 1.
pub(super) fn resolve(text: &str, all: &[Candidate]) -> Result<Vec<usize>> {
    if text == "all" || text == "*" {
        return Ok((0..all.len()).collect());
    }
    if text.is_empty() {
        return Err(Error::usage("a process cannot be named by nothing").hint("tsm list"));
    }
    if let Some((kind, rest)) = text.split_once(':') {
        return one(text, by_kind(kind, rest, text, all)?, all);
    }
    if means_several(text) {
        return glob(text, all);
    }
    let number = text.parse::<u32>().ok();
    let port = number.and_then(|number| u16::try_from(number).ok());
    let pid = number.and_then(|number| i32::try_from(number).ok());
    let whole = format!("-{text}-");
    let rungs: [&dyn Fn(&Candidate) -> bool; 7] = [
        &|one| one.name.as_str() == text,
        &|one| number.is_some() && one.id == number,
        &|one| one.base() == text,
        &|one| port.is_some_and(|port| port != 0 && one.ports.contains(&port)),
        &|one| pid.is_some_and(|pid| pid > 1 && one.pid == Some(pid)),
        // A number is an ID, a port or a PID; a part of a name would be a guess.
        &|one| number.is_none() && format!("-{}-", one.name).contains(&whole),
        &|one| number.is_none() && one.name.as_str().contains(text),
    ];
    for rung in rungs {
        let hits: Vec<usize> = (0..all.len()).filter(|at| rung(&all[*at])).collect();
        if !hits.is_empty() {
            return one(text, hits, all);
        }
    }
    Err(unknown(text, all))
}

/// True for a ref that may mean any number of processes: a glob, or `all`.
pub(super) fn means_several(text: &str) -> bool {
    text == "all" || text.contains(['*', '?', '['])
}

fn by_kind(kind: &str, rest: &str, text: &str, all: &[Candidate]) -> Result<Vec<usize>> {
    let hits = |test: &dyn Fn(&Candidate) -> bool| (0..all.len()).filter(|at| test(&all[*at])).collect();
    let number = |what: &str| {
        rest.parse::<u32>().map_err(|_| Error::usage(format!("{rest:?} in {text:?} is not {what}")))
    };
    Ok(match kind {
        "name" => hits(&|one| one.name.as_str() == rest),
        "id" => {
            let id = number("an ID")?;
            hits(&|one| one.id == Some(id))
        }
        "port" | "" => {
            let port = number("a port")?;
            hits(&|one| one.ports.iter().any(|own| u32::from(*own) == port))
        }
        "pid" => {
            let pid = number("a PID")?;
            if pid < 2 {
                return Err(Error::usage(format!("PID {pid} is never a target")));
            }
            hits(&|one| one.pid.and_then(|own| u32::try_from(own).ok()) == Some(pid))
        }
        _ => {
            return Err(Error::usage(format!("{kind:?} in {text:?} is not a kind of ref"))
                .hint("a ref is a name, an ID, a port or a PID, or name:x, id:0, port:8000, pid:123"));
        }
    })
}

fn glob(text: &str, all: &[Candidate]) -> Result<Vec<usize>> {
    let pattern = glob::Pattern::new(text)
        .map_err(|why| Error::usage(format!("{text:?} is not a pattern: {}", why.msg)))?;
    let hits: Vec<usize> = (0..all.len()).filter(|at| pattern.matches(all[*at].name.as_str())).collect();
    if hits.is_empty() { Err(unknown(text, all)) } else { Ok(hits) }
}

fn one(text: &str, hits: Vec<usize>, all: &[Candidate]) -> Result<Vec<usize>> {
    match hits.as_slice() {
        [_] => Ok(hits),
        [] => Err(unknown(text, all)),
        several => {
            let names: Vec<String> = several
                .iter()
                .map(|at| match all[*at].id {
                    Some(id) => format!("{} (TSM ID: {id})", all[*at].name),
                    None => all[*at].name.to_string(),
                })
                .collect();
            Err(Error::conflict(format!("{text:?} is ambiguous: {}", names.join(", ")))
                .hint("name one of them in full, or by id:N"))
        }
    }
}

fn unknown(text: &str, all: &[Candidate]) -> Error {
    let error = Error::not_found(format!("no such process: {text}"));
    let close = all
        .iter()
        .flat_map(|one| [one.name.as_str(), one.base()])
        .map(|name| (strsim::jaro(text, name), name))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match close {
        Some((_, name)) => error.hint(format!("did you mean {name}? tsm list all shows every process")),
        None => error.hint("tsm list all"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind as ErrorKind;
    use proptest::prelude::*;

    fn candidate(id: u32, name: &str, ports: &[u16], pid: i32) -> Candidate {
        Candidate { name: Name::parse(name).unwrap(), id: Some(id), ports: ports.to_vec(), pid: Some(pid) }
    }

    fn some() -> Vec<Candidate> {
        vec![
            candidate(0, "my-api-http-8000", &[8000], 1234),
            candidate(1, "my-api-worker", &[], 1),
            candidate(2, "devpages-http-8999", &[8999, 9229], 3),
            candidate(3, "8000", &[], 4000),
            candidate(4, "web", &[3000], 70000),
            candidate(5, "web-2", &[], 70001),
        ]
    }

    #[test]
    fn the_first_rung_that_hits_decides() {
        for (text, hits) in [
            ("my-api-http-8000", vec![0]),
            ("0", vec![0]),
            ("id:0", vec![0]),
            // An exact name comes before a port.
            ("8000", vec![3]),
            ("port:8000", vec![0]),
            (":8000", vec![0]),
            ("9229", vec![2]),
            // An ID comes before a PID.
            ("3", vec![3]),
            ("pid:3", vec![2]),
            ("70000", vec![4]),
            ("devpages-http", vec![2]),
            ("devpages", vec![2]),
            // An exact name comes before a part of another one.
            ("web", vec![4]),
            ("name:web", vec![4]),
            ("my-api-*", vec![0, 1]),
            ("all", vec![0, 1, 2, 3, 4, 5]),
        ] {
            assert_eq!(resolve(text, &some()).unwrap(), hits, "{text}");
        }
    }

    #[test]
    fn whole_parts_of_a_name_come_before_any_part_of_one() {
        let all = vec![
            candidate(0, "myservice-worker", &[], 10),
            candidate(1, "coworkers-list", &[], 11),
            candidate(2, "my-api-http-8000", &[8000], 12),
            candidate(3, "api2-httpd", &[], 13),
        ];
        for (text, hits) in [
            ("worker", vec![0]),
            ("coworkers", vec![1]),
            ("api", vec![2]),
            ("api-http", vec![2]),
            ("http", vec![2]),
            ("httpd", vec![3]),
            ("workers", vec![1]),
            ("httpd-", vec![]),
        ] {
            assert_eq!(resolve(text, &all).unwrap_or_default(), hits, "{text}");
        }
        let two = [all, vec![candidate(4, "other-worker", &[], 14)]].concat();
        let error = resolve("worker", &two).unwrap_err();
        assert!(
            error.message().ends_with("myservice-worker (TSM ID: 0), other-worker (TSM ID: 4)"),
            "{error}"
        );
    }

    #[test]
    fn what_hits_nothing_or_too_much_says_so() {
        for (text, kind, words) in [
            ("my-api", ErrorKind::Conflict, "my-api-http-8000 (TSM ID: 0), my-api-worker (TSM ID: 1)"),
            ("nothing", ErrorKind::NotFound, "no such process: nothing"),
            ("nothing*", ErrorKind::NotFound, "no such process"),
            ("pid:1", ErrorKind::Usage, "PID 1 is never a target"),
            ("pid:0", ErrorKind::Usage, "PID 0 is never a target"),
            ("1", ErrorKind::NotFound, ""),
            ("port:x", ErrorKind::Usage, "not a port"),
            ("colour:red", ErrorKind::Usage, "not a kind of ref"),
            ("", ErrorKind::Usage, "nothing"),
            ("[", ErrorKind::Usage, "not a pattern"),
        ] {
            let all = if text == "1" { vec![candidate(0, "x", &[], 1)] } else { some() };
            let error = resolve(text, &all).unwrap_err();
            assert_eq!(error.kind(), kind, "{text}");
            assert!(error.message().contains(words), "{text}: {error}");
        }
        let error = resolve("devpage-http", &some()).unwrap_err();
        assert!(error.hint_text().unwrap().contains("devpages-http"), "{error:?}");
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange_and_a_ref_without_glob_hits_at_most_one(text in "\\PC{0,20}") {
            if let Ok(hits) = resolve(&text, &some()) {
                prop_assert!(hits.len() == 1 || text == "all" || text.contains(['*', '?', '[']));
            }
        }
    }
}
