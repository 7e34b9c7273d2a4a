//! One service definition: what a `.tsm` file says. It is read, never run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::fields::Fields;
use super::keys::Key;
use super::values;
use crate::envfile::assignments;
use crate::envfile::read_text;
use crate::error::{Error, Result};
use crate::model::{Kind, Name, Policy, RestartPolicy, StopSignal};

/// How to start a service. What the file does not say is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// The name users type: the file's, without `.tsm`.
    pub name: Name,
    /// The name of its process before the port suffix: `SERVICE_NAME`, else `name`.
    pub process: Name,
    /// The file it was read from.
    pub file: PathBuf,
    /// What it is to TSM.
    pub kind: Option<Kind>,
    /// What to run: one word, split or run by `bash -c` as on the command line.
    pub command: String,
    /// The port it is to listen on.
    pub port: Option<u16>,
    /// Its environment, as `--env` takes it; relative to `dir`.
    pub env: Option<String>,
    /// Its working directory; absolute if `file` is, the caller's when absent.
    pub dir: Option<PathBuf>,
    /// What it is, for people.
    pub description: Option<String>,
    /// When it is started again.
    pub restart: Option<RestartPolicy>,
    /// How many restarts in a row are allowed.
    pub max_restarts: Option<u32>,
    /// The signal of a graceful stop.
    pub stop_signal: Option<StopSignal>,
    /// How long a graceful stop may take, in milliseconds.
    pub stop_timeout_ms: Option<u64>,
    /// What RELOAD runs.
    pub reload: Option<String>,
    /// The size of the live log, in bytes.
    pub log_max_bytes: Option<u64>,
    /// How many rotated logs are kept.
    pub log_keep: Option<u32>,
    /// Other variables that the file exports: part of the process's environment.
    pub env_vars: BTreeMap<String, String>,
    /// What in the file has no effect or another one than it seems, a sentence each.
    pub remarks: Vec<String>,
}

impl Definition {
    /// Reads the definition in `file`; `$NAME` in it means an earlier assignment, else what `lookup` says.
    ///
    /// # Errors
    /// `NotFound` when the file does not exist; `FILE:LINE: why` for the first thing that is wrong in it.
    pub fn read(file: &Path, lookup: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        Self::parse(file, &read_text(file)?, lookup)
    }

    /// Reads the definition `text` of `file`.
    ///
    /// # Errors
    /// `FILE:LINE: why` for the first thing that is wrong in it.
    pub fn parse(file: &Path, text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let name = name_of(file)?;
        let mut fields = Fields::new(file);
        for read in assignments::parse(text, lookup) {
            match read {
                Ok(assignment) => fields.add(assignment),
                Err(problem) => {
                    return Err(fields
                        .error(problem.line, problem.why)
                        .hint("a .tsm file is read, not run; a command belongs in SERVICE_COMMAND='…'"));
                }
            }
        }
        let Some((_, command)) = fields.take(Key::Command) else {
            return Err(Error::failed(format!("{}: SERVICE_COMMAND is missing", file.display()))
                .hint("add a line such as SERVICE_COMMAND='node server.js'"));
        };
        let home = |path: String| match (path.strip_prefix('~'), lookup("HOME")) {
            (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => format!("{home}{rest}"),
            _ => path,
        };
        let process = fields.parsed(Key::Name, |text| {
            Name::parse(text).map_err(|error| format!("{error}; {} would do", Name::reduce(text)))
        })?;
        let kind = fields.kind();
        let port = fields.parsed(Key::Port, values::port)?.flatten();
        let definition = Definition {
            process: process.unwrap_or_else(|| name.clone()),
            name,
            file: file.to_owned(),
            kind,
            command,
            port,
            env: fields.take(Key::Env).map(|(_, value)| home(value)),
            dir: fields
                .take(Key::Dir)
                .map(|(_, value)| file.parent().unwrap_or(Path::new("")).join(home(value))),
            description: fields.take(Key::Description).map(|(_, value)| value),
            restart: fields.parsed(Key::Restart, str::parse)?,
            max_restarts: fields.parsed(Key::MaxRestarts, values::count)?,
            stop_signal: fields.parsed(Key::StopSignal, str::parse)?,
            stop_timeout_ms: fields.parsed(Key::StopTimeout, values::milliseconds)?,
            reload: fields.take(Key::Reload).map(|(_, value)| value),
            log_max_bytes: fields.parsed(Key::LogMaxSize, values::bytes)?,
            log_keep: fields.parsed(Key::LogKeep, values::count)?,
            env_vars: fields.env_vars,
            remarks: fields.remarks,
        };
        Ok(definition)
    }

    /// `base` with what the definition says.
    pub fn policy(&self, base: Policy) -> Policy {
        let mut policy = base;
        policy.restart = self.restart.unwrap_or(policy.restart);
        policy.max_restarts = self.max_restarts.unwrap_or(policy.max_restarts);
        policy.stop_signal = self.stop_signal.unwrap_or(policy.stop_signal);
        policy.stop_timeout_ms = self.stop_timeout_ms.unwrap_or(policy.stop_timeout_ms);
        policy.reload = self.reload.clone().or(policy.reload);
        policy.log.max_bytes = self.log_max_bytes.unwrap_or(policy.log.max_bytes);
        policy.log.keep = self.log_keep.unwrap_or(policy.log.keep);
        policy
    }
}

/// The name of the service in `file`.
fn name_of(file: &Path) -> Result<Name> {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    Name::parse(&stem).map_err(|error| {
        Error::failed(format!("{}: the file's name is no service name: {error}", file.display()))
            .hint(format!("rename it to {}.tsm", Name::reduce(&stem)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Definition> {
        let lookup = |name: &str| (name == "HOME").then(|| "/home/u".to_owned());
        Definition::parse(Path::new("/d/web.tsm"), text, &lookup)
    }

    #[test]
    fn every_setting_is_read() {
        let d = read(
            "SERVICE_NAME=web-app\nSERVICE_TYPE=port\nSERVICE_COMMAND='node server.js --x \"$PORT\"'\nSERVICE_PORT=3000\n\
             SERVICE_ENV=dev\nSERVICE_DIR=~/app\nSERVICE_DESCRIPTION=\"The app\"\nSERVICE_RESTART=always\n\
             SERVICE_MAX_RESTARTS=3\nSERVICE_STOP_SIGNAL=INT\nSERVICE_STOP_TIMEOUT=2s\nSERVICE_RELOAD='kill -HUP x'\n\
             SERVICE_LOG_MAX_SIZE=1MiB\nSERVICE_LOG_KEEP=2\nROOT=/srv\nexport DATA=$ROOT/data\n",
        )
        .unwrap();
        assert_eq!((d.name.as_str(), d.process.as_str()), ("web", "web-app"));
        assert_eq!((d.kind, d.port, d.env.as_deref()), (Some(Kind::Port), Some(3000), Some("dev")));
        assert_eq!(d.command, "node server.js --x \"$PORT\"");
        assert_eq!(d.dir.as_deref(), Some(Path::new("/home/u/app")));
        assert_eq!(d.description.as_deref(), Some("The app"));
        assert_eq!(d.env_vars, BTreeMap::from([("DATA".to_owned(), "/srv/data".to_owned())]));
        assert_eq!(d.remarks, [""; 0]);
        let policy = d.policy(Policy::default());
        assert_eq!((policy.restart, policy.max_restarts), (RestartPolicy::Always, 3));
        assert_eq!((policy.stop_signal.number(), policy.stop_timeout_ms), (2, 2000));
        assert_eq!((policy.log.max_bytes, policy.log.keep), (1 << 20, 2));
        assert_eq!(policy.reload.as_deref(), Some("kill -HUP x"));
    }

    #[test]
    fn a_command_is_enough() {
        let d = read("SERVICE_COMMAND=x\nSERVICE_PORT=\nSERVICE_DIR=\nSERVICE_STOP_TIMEOUT=5\n").unwrap();
        assert_eq!((d.process.as_str(), d.kind, d.port, &d.dir), ("web", None, None, &None));
        assert_eq!(d.policy(Policy::default()), Policy { stop_timeout_ms: 5000, ..Policy::default() });
    }

    #[test]
    fn directories_are_relative_to_the_file_and_know_the_home() {
        for (value, expected) in [
            (".", "/d/."),
            ("../app", "/d/../app"),
            ("/srv", "/srv"),
            ("~/a", "/home/u/a"),
            ("\"~/a\"", "/home/u/a"),
            ("'~'", "/home/u"),
            ("$HOME/a", "/home/u/a"),
            ("~u/a", "/d/~u/a"),
        ] {
            let d = read(&format!("SERVICE_COMMAND=x\nSERVICE_DIR={value}\n")).unwrap();
            assert_eq!(d.dir.as_deref(), Some(Path::new(expected)), "{value}");
        }
    }

    #[test]
    fn the_first_versions_names_are_read_and_todays_win() {
        let old =
            read("TSM_NAME=a\nTSM_COMMAND=x\nTSM_CWD=/c\nTSM_ENV_FILE=e\nTSM_PORT=1\nTSM_DESCRIPTION=d\n")
                .unwrap();
        assert_eq!((old.process.as_str(), old.command.as_str(), old.port), ("a", "x", Some(1)));
        assert_eq!((old.env.as_deref(), old.dir.as_deref()), (Some("e"), Some(Path::new("/c"))));
        assert_eq!((old.description.as_deref(), old.remarks.len()), (Some("d"), 0));
        for text in ["SERVICE_PORT=1\nTSM_PORT=2\n", "TSM_PORT=2\nSERVICE_PORT=1\n"] {
            let both = read(&format!("SERVICE_COMMAND=x\n{text}")).unwrap();
            assert_eq!(both.port, Some(1), "{text}");
            assert!(both.remarks.len() == 1 && both.remarks[0].contains("counts"), "{:?}", both.remarks);
        }
        assert_eq!(read("SERVICE_COMMAND=x\nTSM_COMMAND=x\n").unwrap().remarks, [""; 0], "they agree");
    }

    #[test]
    fn what_has_no_effect_is_remarked() {
        for (text, part) in [
            ("SERVICE_COMAND=y", "line 2: SERVICE_COMAND is not a setting; did you mean SERVICE_COMMAND?"),
            ("SERVCE_PORT=1", "did you mean SERVICE_PORT?"),
            ("SERVICE_COLOUR=1", "line 2: SERVICE_COLOUR is not a setting"),
            ("TSM_PRE_COMMAND=x", "TSM_PRE_COMMAND is not run"),
            ("TSM_ORG=x", "TSM_ORG has no effect"),
            ("SERVICE_COMMAND=y", "the last one counts"),
            ("SERVICE_TYPE=fast", "port, socket or pid"),
            ("SERVICE_RELOAD=\"x $NO\"", "$NO is not defined"),
        ] {
            let d = read(&format!("SERVICE_COMMAND=x\n{text}\n")).unwrap();
            assert!(d.remarks.len() == 1 && d.remarks[0].contains(part), "{text}: {:?}", d.remarks);
        }
        let python = read("SERVICE_COMMAND=x\nSERVICE_TYPE=python\n").unwrap();
        assert_eq!((python.kind, python.remarks.len()), (None, 0));
        assert_eq!(read("SERVICE_COMMAND=x\nSERVICE_TYPE=socket\n").unwrap().kind, Some(Kind::Socket));
    }

    #[test]
    fn what_is_wrong_is_an_error_with_its_place() {
        for (text, expected) in [
            ("", "/d/web.tsm: SERVICE_COMMAND is missing"),
            ("SERVICE_COMMAND=' '\n", "/d/web.tsm: SERVICE_COMMAND is missing"),
            ("SERVICE_COMMAND=x\nSERVICE_PORT=$(rm -rf x)\n", "/d/web.tsm:2: $(…) is a command"),
            ("SERVICE_COMMAND=x\nrm -rf x\n", "/d/web.tsm:2: \"rm\" is not NAME=value"),
            (
                "SERVICE_COMMAND=node server.js\n",
                "/d/web.tsm:1: \"server.js\" stands behind SERVICE_COMMAND=…",
            ),
            ("SERVICE_COMMAND='x\n", "/d/web.tsm:1: ' is opened here"),
            ("SERVICE_COMMAND=x\nSERVICE_PORT=http\n", "/d/web.tsm:2: SERVICE_PORT is \"http\": a port is"),
            ("SERVICE_COMMAND=x\nSERVICE_PORT=0\n", "/d/web.tsm:2: SERVICE_PORT"),
            ("SERVICE_COMMAND=x\nSERVICE_PORT=65536\n", "/d/web.tsm:2: SERVICE_PORT"),
            ("SERVICE_COMMAND=x\nSERVICE_NAME=../x\n", "/d/web.tsm:2: SERVICE_NAME"),
            ("SERVICE_COMMAND=x\nSERVICE_RESTART=maybe\n", "/d/web.tsm:2: SERVICE_RESTART"),
            ("SERVICE_COMMAND=x\nSERVICE_MAX_RESTARTS=-1\n", "/d/web.tsm:2: SERVICE_MAX_RESTARTS"),
            ("SERVICE_COMMAND=x\nSERVICE_STOP_SIGNAL=NOPE\n", "/d/web.tsm:2: SERVICE_STOP_SIGNAL"),
            ("SERVICE_COMMAND=x\nSERVICE_STOP_TIMEOUT=soon\n", "/d/web.tsm:2: SERVICE_STOP_TIMEOUT"),
            ("SERVICE_COMMAND=x\nSERVICE_LOG_MAX_SIZE=big\n", "/d/web.tsm:2: SERVICE_LOG_MAX_SIZE"),
            ("SERVICE_COMMAND=x\nSERVICE_LOG_KEEP=1.5\n", "/d/web.tsm:2: SERVICE_LOG_KEEP"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.message().starts_with(expected), "{text}: {error}");
        }
        let huge = read("SERVICE_COMMAND=x\nSERVICE_STOP_TIMEOUT=18446744073709551615\n").unwrap_err();
        assert!(huge.message().contains("SERVICE_STOP_TIMEOUT"));
    }

    #[test]
    fn nothing_is_run() {
        let dir = tempfile::tempdir().unwrap();
        let touched = dir.path().join("touched");
        for form in [
            "$(touch X)",
            "`touch X`",
            "\"$(touch X)\"",
            "x; touch X",
            "x & touch X",
            "${A:-$(touch X)}",
            "<(touch X)",
        ] {
            let text = format!("SERVICE_COMMAND={}\n", form.replace('X', &touched.display().to_string()));
            assert!(read(&text).is_err(), "{text}");
        }
        assert!(!touched.exists());
    }

    const PIECES: &str = "(SERVICE_(NAME|TYPE|PORT|STOP_TIMEOUT|LOG_MAX_SIZE|DIR)=|[\\PC\n'\"$]){0,40}";

    #[test]
    fn the_examples_are_good() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("services-available");
        let mut count = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let file = entry.unwrap().path();
            let d = Definition::read(&file, &|name| (name == "HOME").then(|| "/home/u".to_owned())).unwrap();
            assert_eq!(d.remarks, [""; 0], "{}", file.display());
            assert_eq!(d.process, d.name, "{}", file.display());
            assert!(d.description.is_some(), "{}", file.display());
            count += 1;
        }
        assert!(count >= 4);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn it_never_panics(text in PIECES) {
            let _ = read(&format!("SERVICE_COMMAND=x\n{text}"));
        }

        #[test]
        fn a_command_in_single_quotes_is_kept(command in "[^\\x00\\r]*[!-~][^\\x00\\r]*") {
            let text = format!("SERVICE_COMMAND='{}'\n", command.replace('\'', "'\\''"));
            prop_assert_eq!(read(&text).unwrap().command, command);
        }
    }
}
