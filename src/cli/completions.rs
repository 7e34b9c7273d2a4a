//! `tsm completions`: the completion script of a shell.

use super::context::Context;
use crate::error::Result;

/// Print the completion script for a shell.
///
/// The bash layer (shell/tsm.sh) and install.sh see to bash by themselves, and install.sh to zsh and fish where they look.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  tsm completions zsh >~/.zfunc/_tsm       with ~/.zfunc on fpath\n  \
    tsm completions fish >~/.config/fish/completions/tsm.fish\n  source <(tsm completions bash)")]
pub(super) struct Args {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<()> {
    let script = match args.shell {
        Shell::Bash => include_str!("../../shell/completions/tsm.bash"),
        Shell::Zsh => include_str!("../../shell/completions/_tsm"),
        Shell::Fish => include_str!("../../shell/completions/tsm.fish"),
    };
    context.output.bytes(script.as_bytes())
}
