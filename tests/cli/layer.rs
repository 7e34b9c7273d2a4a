//! A user whose bash has sourced the shell layer of this checkout, over the binary of this build.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::checkout::copy;
use crate::kit::{Ran, User, run};

/// Sources the layer.
pub(crate) const SOURCE: &str = "\\builtin source ~/co/shell/tsm.sh\n";

/// Ways in which people run bash: options before the script, and what the script begins with.
pub(crate) const SHELLS: [(&str, &[&str], &str); 4] = [
    ("plain", &[], ""),
    ("strict", &[], "set -euo pipefail\n"),
    ("posix", &["--posix"], "set -euo pipefail\n"),
    (
        "hostile",
        &[],
        "set -euCT -o pipefail; IFS=/smt; shopt -s failglob nocasematch; trap 'echo D >&2; echo D' DEBUG\n",
    ),
];

impl User {
    /// A user with a checkout in `~/co`.
    pub(crate) fn with_layer() -> Self {
        let user = User::new();
        let checkout = user.home().join("co");
        fs::create_dir_all(checkout.join("target/release")).unwrap();
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("shell"), &checkout.join("shell"));
        symlink(env!("CARGO_BIN_EXE_tsm"), checkout.join("target/release/tsm")).unwrap();
        user
    }

    /// Runs `script` in bash, with the layer sourced.
    pub(crate) fn bash(&self, script: &str) -> Ran {
        self.bash_with(&[], &format!("{SOURCE}{script}"))
    }

    /// Runs `script` in bash with `options`.
    pub(crate) fn bash_with(&self, options: &[&str], script: &str) -> Ran {
        let mut command = self.command("bash");
        command.args(["--norc", "--noprofile"]).args(options).args(["-c", script]);
        run(command)
    }
}
