//! `tsm man`: the manual pages, made of the definition of the command line.

mod sections;

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::Cli;
use super::context::Context;
use crate::error::{Error, Result, plain};
use sections::{ENVIRONMENT, EXIT_STATUS, Entry, FILES, GIVEN};

/// Write the manual pages into a directory: tsm.1, tsm-VERB.1.
///
/// install.sh calls it; `man tsm` and `man tsm-start` show them.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tsm man /tmp/man && man /tmp/man/tsm.1")]
pub(super) struct Args {
    /// Where to; it is made where there is none.
    #[arg(value_name = "DIRECTORY")]
    dir: PathBuf,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<()> {
    fs::create_dir_all(&args.dir).map_err(|error| Error::io("create", &args.dir, &error))?;
    let mut root = Cli::command().disable_help_subcommand(true);
    root.build();
    let mut pages = Vec::new();
    collect(&root, &mut pages);
    for command in &pages {
        let path = args.dir.join(format!("{}.1", title(command)));
        fs::write(&path, page(command)?).map_err(|error| Error::io("write", &path, &error))?;
    }
    context.output.line(&format!("Wrote {} pages to {}", pages.len(), Path::new(&args.dir).display()))
}

/// `command` and everything below it that is not hidden.
fn collect<'a>(command: &'a Command, pages: &mut Vec<&'a Command>) {
    pages.push(command);
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        collect(below, pages);
    }
}

/// `tsm-doctor-port`.
fn title(command: &Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

/// One page, as roff.
fn page(command: &Command) -> Result<String> {
    let is_root = title(command) == command.get_name();
    let man = Man::new(command.clone().subcommand_value_name("verb").subcommand_help_heading("VERBS"));
    let mut bytes = Vec::new();
    let made = man
        .render_name_section(&mut bytes)
        .and_then(|()| man.render_synopsis_section(&mut bytes))
        .and_then(|()| man.render_description_section(&mut bytes))
        .and_then(|()| man.render_options_section(&mut bytes))
        .and_then(|()| {
            let has_verbs = command.get_subcommands().any(|below| !below.is_hide_set());
            if has_verbs { man.render_subcommands_section(&mut bytes) } else { Ok(()) }
        })
        .and_then(|()| own(command, is_root).to_writer(&mut bytes));
    made.map_err(|error| {
        Error::failed(format!("cannot make the page {}: {}", title(command), plain(&error)))
    })?;
    // Each section brings along what a page needs once.
    let preamble = Roff::new().render();
    let body: String = String::from_utf8_lossy(&bytes).split(preamble.as_str()).collect();
    // Not clap_mangen's, which leaves the empty date out, so that all that follows is in the wrong place.
    let title =
        format!(".TH {} 1 \"\" \"tsm {}\" \"TSM Manual\"\n", title(command), env!("CARGO_PKG_VERSION"));
    Ok(format!("{preamble}{title}{body}"))
}

/// The sections that clap knows nothing of.
fn own(command: &Command, is_root: bool) -> Roff {
    let mut roff = Roff::new();
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let (shown, codes) = help.find("\n\nExit code").map_or((help.as_str(), ""), |at| help.split_at(at));
    examples(shown, &mut roff);
    roff.control("SH", ["EXIT STATUS"]);
    if is_root {
        entries(EXIT_STATUS, &mut roff);
        roff.control("SH", ["ENVIRONMENT"]);
        entries(ENVIRONMENT, &mut roff);
        roff.control("PP", []);
        roff.text([roman("Set for each program that is started:")]);
        entries(GIVEN, &mut roff);
        roff.control("SH", ["FILES"]);
        entries(FILES, &mut roff);
    } else {
        roff.text([
            roman("0 when it is done, or was so already; otherwise as "),
            bold("tsm"),
            roman("(1) says."),
        ]);
        if !codes.is_empty() {
            roff.control("PP", []);
            roff.text([roman(codes.trim_start().replace('\n', " "))]);
        }
    }
    roff.control("SH", ["SEE ALSO"]);
    if is_root {
        roff.text([
            roman("Each verb has a page, "),
            bold("tsm-VERB"),
            roman("(1), and a help, "),
            bold("tsm VERB --help"),
            roman("."),
        ]);
    } else {
        roff.text([bold("tsm"), roman("(1)")]);
    }
    roff
}

/// What stands below the help.
fn examples(text: &str, roff: &mut Roff) {
    if text.is_empty() {
        return;
    }
    roff.control("SH", ["EXAMPLES"]);
    roff.control("nf", []);
    for line in text.lines().filter(|line| !matches!(*line, "Example:" | "Examples:")) {
        roff.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
    }
    roff.control("fi", []);
}

fn entries(all: &[Entry], roff: &mut Roff) {
    for (name, about) in all {
        roff.control("TP", []);
        roff.text([bold(*name)]);
        roff.text([roman(*about)]);
    }
}
