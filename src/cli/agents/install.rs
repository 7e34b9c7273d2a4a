//! `tsm agents install-hooks` and `remove-hooks`: what Claude Code is to tell, in its settings.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use super::super::boot;
use super::super::context::Context;
use crate::agents::settings::{self, Hook, SettingsFile, Wrong};
use crate::error::{Error, Result};
use crate::render::{diff, shell_quote};
use crate::sys::capture;

/// Have Claude Code tell at once what it does.
///
/// Its settings.json gets a few hooks that run `tsm agents hook`; what others have put there stays. With them a question is
/// known in the moment in which it is asked, also where Claude Code keeps no registry of its processes. Only names are
/// kept of what they tell, no word of a conversation. The old file is kept beside the new one, as settings.json.tsm-backup.
///
/// A version before 2.1.101 would skip a file that names an event it does not know, so only a newer one gets them all.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  tsm agents install-hooks --dry-run   shows what would change\n  \
    tsm agents install-hooks")]
pub(super) struct InstallArgs {
    #[command(flatten)]
    common: Common,
}

/// Take the hooks out of Claude Code's settings again.
///
/// Nothing else of that file changes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tsm agents remove-hooks")]
pub(super) struct RemoveArgs {
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, clap::Args)]
struct Common {
    /// Print what would change, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Another settings file; else that in `CLAUDE_CONFIG_DIR` or ~/.claude.
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// Print a JSON object of what was done.
    #[arg(long)]
    json: bool,
}

/// What was done; the object of `--json`.
#[derive(Debug, Serialize)]
struct Done<'a> {
    settings: &'a Path,
    changed: bool,
    dry_run: bool,
    backup: Option<PathBuf>,
    /// What the hooks run; none where they were taken out.
    command: Option<String>,
    events: Vec<&'static str>,
    left_out: Vec<&'static str>,
    /// What changes, as `diff -u` shows it.
    diff: String,
}

/// How long Claude Code may take to tell its version; under node it needs a second.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) fn install(context: &Context, args: &InstallArgs) -> Result<()> {
    let program = boot::program()?;
    let program = program.to_str().ok_or_else(|| {
        Error::usage(format!("a settings file takes no path that is not UTF-8: {}", program.display()))
    })?;
    let command = shell_quote::join(&[program, "agents", "hook"]);
    let version = version(context);
    let hooks = Hook::of_version(version);
    let events = |hooks: &[Hook]| hooks.iter().map(|hook| hook.event).collect::<Vec<_>>();
    let left_out = events(&Hook::left_out(version));
    let path = path(context, &args.common)?;
    let file = SettingsFile::read(&path)?;
    let text = settings::install(file.text(), &command, &hooks).map_err(|wrong| refused(&path, &wrong))?;
    let done = Done {
        settings: &path,
        changed: text != file.text(),
        dry_run: args.common.dry_run,
        backup: None,
        command: Some(command),
        events: events(&hooks),
        left_out,
        diff: String::new(),
    };
    let words = [format!("{} hooks are now", hooks.len()), "all hooks are already".to_owned()];
    let done = finish(context, &args.common, &file, &text, done, words)?;
    if settings::are_disabled(&text) {
        context.output.advise(
            "the settings have disableAllHooks, so that none is run",
            &format!("take it out of {}", path.display()),
        );
    }
    if !done.left_out.is_empty() {
        let known = version.map_or_else(
            || "the version of Claude Code could not be found out".to_owned(),
            |[major, minor, patch]| format!("Claude Code is {major}.{minor}.{patch}"),
        );
        let names = done.left_out.join(", ");
        let text = format!(
            "{known}, and one before 2.1.101 skips a settings file with {names} in it: these are left out"
        );
        context.output.advise(&text, "claude update && tsm agents install-hooks");
    }
    if done.changed && !done.dry_run {
        context.output.advise(
            "a session that runs takes hooks at its next start",
            "/exit there, then claude --continue",
        );
    }
    Ok(())
}

pub(super) fn remove(context: &Context, args: &RemoveArgs) -> Result<()> {
    let path = path(context, &args.common)?;
    let file = SettingsFile::read(&path)?;
    let text = settings::remove(file.text()).map_err(|wrong| unread(&path, &wrong))?;
    let done = Done {
        settings: &path,
        changed: text != file.text(),
        dry_run: args.common.dry_run,
        backup: None,
        command: None,
        events: Vec::new(),
        left_out: Vec::new(),
        diff: String::new(),
    };
    let words = ["the hooks of tsm are no longer", "nothing to remove: no hook of tsm is"].map(str::to_owned);
    finish(context, &args.common, &file, &text, done, words).map(|_| ())
}

/// Writes the new text if it is one, and says so; `words` are for a change and for none.
fn finish<'a>(
    context: &Context,
    args: &Common,
    file: &SettingsFile,
    text: &str,
    mut done: Done<'a>,
    [changed, unchanged]: [String; 2],
) -> Result<Done<'a>> {
    let name = done.settings.display().to_string();
    done.diff = diff::unified(file.text(), text, &name, &name);
    if done.changed && !done.dry_run {
        done.backup = file.write(text)?;
    }
    if args.json {
        context.output.json(&done)?;
    } else if !done.changed {
        context.output.line(&format!("{unchanged} in {name}"))?;
    } else if done.dry_run {
        context.output.bytes(done.diff.as_bytes())?;
    } else {
        context.output.line(&format!("{changed} in {name}"))?;
        if let Some(backup) = &done.backup {
            context.output.line(&format!("what it held is in {}", backup.display()))?;
        }
        if let Some(target) = file.elsewhere() {
            context.output.remark(&format!("that is a link: the file is {}", target.display()));
        }
    }
    Ok(done)
}

fn path(context: &Context, args: &Common) -> Result<PathBuf> {
    if let Some(path) = &args.settings {
        return Ok(context.current_dir()?.join(path));
    }
    usual(context)
        .ok_or_else(|| Error::usage("HOME is not set").hint("tsm agents install-hooks --settings FILE"))
}

/// The user's own settings of Claude Code.
pub(in crate::cli) fn usual(context: &Context) -> Option<PathBuf> {
    let settings = &context.settings;
    let in_home = || Some(settings.home.as_ref()?.join(".claude"));
    Some(settings.claude_dir.clone().or_else(in_home)?.join("settings.json"))
}

/// What is wrong with the file, so that nothing is changed.
fn unread(path: &Path, wrong: &Wrong) -> Error {
    let place = if wrong.line > 0 { format!(":{}", wrong.line) } else { String::new() };
    Error::failed(format!("cannot change {}{place}: {}", path.display(), wrong.why))
        .hint("correct that file, or take out by hand what runs `tsm agents hook`")
}

fn refused(path: &Path, wrong: &Wrong) -> Error {
    unread(path, wrong)
        .hint("tsm agents install-hooks --dry-run --settings /dev/null, which shows what to put in by hand")
}

/// The version of Claude Code that is on PATH, or where its installers put it.
fn version(context: &Context) -> Option<[u32; 3]> {
    let settings = &context.settings;
    let home = settings.home.as_deref();
    let usual = [
        home.map(|home| home.join(".local/bin/claude")),
        usual(context).map(|file| file.with_file_name("local").join("claude")),
    ];
    let on_path = which::which_in("claude", settings.path.as_ref(), "/").ok();
    let program = on_path.into_iter().chain(usual.into_iter().flatten()).find(|path| path.is_file())?;
    let env: Vec<_> = std::env::vars_os().collect();
    let words = [program.into_os_string(), "--version".into()];
    let ran = capture::run(&words, &env, home.unwrap_or(Path::new("/")), PATIENCE).ok()??;
    parse(&String::from_utf8_lossy(&ran.stdout))
}

/// The version in `2.1.141 (Claude Code)`.
fn parse(text: &str) -> Option<[u32; 3]> {
    let first = text.split_whitespace().next()?;
    let mut numbers = first.split(['.', '-', '+']).map(|part| part.parse().ok());
    Some([numbers.next()??, numbers.next()??, numbers.next()??])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_three_numbers() {
        for (text, expected) in [
            ("2.1.141 (Claude Code)\n", Some([2, 1, 141])),
            ("2.1.0-beta.1\n", Some([2, 1, 0])),
            ("claude 2.1\n", None),
            ("2.1\n", None),
            ("", None),
        ] {
            assert_eq!(parse(text), expected, "{text:?}");
        }
    }
}
