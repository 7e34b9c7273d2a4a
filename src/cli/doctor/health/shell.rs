//! Which `tsm` a shell runs: the shell layer's, the one on PATH, and this one.

use std::path::{Path, PathBuf};

use super::Finding;
use crate::render::shell_quote::quote;

/// Where the binaries are.
pub(super) struct Facts {
    /// This binary.
    me: PathBuf,
    /// `TSM_SRC`: the shell layer was sourced from there.
    src: Option<PathBuf>,
    /// The binary that the shell layer of `TSM_SRC` runs.
    of_shell: Option<PathBuf>,
    /// The first `tsm` on PATH, as it was found, and where it really is.
    on_path: Option<(PathBuf, PathBuf)>,
    /// The shell layer that belongs to this binary.
    layer: Option<PathBuf>,
}

impl Facts {
    pub(super) fn gather() -> Self {
        let real = |path: PathBuf| path.canonicalize().unwrap_or(path);
        let me = real(std::env::current_exe().unwrap_or_default());
        let on_path = which::which("tsm").ok().map(|path| (path.clone(), real(path)));
        let src = std::env::var_os("TSM_SRC").filter(|src| !src.is_empty()).map(PathBuf::from);
        let of_shell = src.as_deref().and_then(|src| run_by(src, on_path.as_ref())).map(real);
        Facts { layer: layer_of(&me), me, src, of_shell, on_path }
    }
}

/// What the shell layer's function runs: the same three places in the same order (`shell/tsm.sh`).
fn run_by(src: &Path, on_path: Option<&(PathBuf, PathBuf)>) -> Option<PathBuf> {
    let built = src.join("target/release/tsm");
    let installed = src.ends_with("share/tsm").then(|| src.join("../../bin/tsm"));
    let there = [Some(built), installed].into_iter().flatten().find(|path| path.is_file());
    there.or_else(|| on_path.map(|(path, _)| path.clone()))
}

/// The shell layer beside a binary: `PREFIX/share/tsm/shell/tsm.sh`, or that of its checkout.
fn layer_of(me: &Path) -> Option<PathBuf> {
    let installed = me.ancestors().nth(2).map(|prefix| prefix.join("share/tsm/shell/tsm.sh"));
    let checkout = me.ancestors().nth(3).map(|root| root.join("shell/tsm.sh"));
    [installed, checkout].into_iter().flatten().find(|path| path.is_file())
}

pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    let source = facts.layer.as_ref().map(|path| format!("source {}", quote(&path.to_string_lossy())));
    let me = facts.me.display();
    let mut found = Vec::new();
    found.push(match (&facts.src, &facts.of_shell) {
        (None, _) => {
            let missing = Finding::info("The shell layer is not loaded; only its functions are missing");
            match &source {
                Some(source) => missing.remedy(source.clone()),
                None => missing,
            }
        }
        (Some(src), Some(run)) if *run != facts.me => Finding::warning(
            format!("the shell layer of {} runs {}, this is {me}", src.display(), run.display()),
            source.unwrap_or_else(|| format!("type tsm where the function is, not {me}")),
        ),
        (Some(src), _) => Finding::ok(format!("The shell layer is loaded from {}", src.display())),
    });
    let dir = facts.me.parent().unwrap_or(Path::new("/")).to_string_lossy();
    let first = format!("export PATH={}:\"$PATH\"", quote(&dir));
    found.push(match &facts.on_path {
        None => {
            Finding::info("tsm is not on PATH; scripts, cron and other shells do not find it").remedy(first)
        }
        Some((path, real)) if *real != facts.me => {
            Finding::warning(format!("tsm on PATH is {}, this is {me}", path.display()), first)
        }
        Some((path, _)) => Finding::ok(format!("tsm on PATH is this one: {}", path.display())),
    });
    found
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn another_binary_is_noticed_wherever_it_is_run_from() {
        let base = || Facts {
            me: "/p/bin/tsm".into(),
            src: Some("/p/share/tsm".into()),
            of_shell: Some("/p/bin/tsm".into()),
            on_path: Some(("/usr/bin/tsm".into(), "/p/bin/tsm".into())),
            layer: Some("/p/share/tsm/shell/tsm.sh".into()),
        };
        let levels = |facts: Facts| findings(&facts).iter().map(|one| one.level).collect::<Vec<_>>();
        assert_eq!(levels(base()), [Level::Ok, Level::Ok]);
        assert_eq!(levels(Facts { src: None, of_shell: None, ..base() }), [Level::Info, Level::Ok]);
        let other = Facts { of_shell: Some("/q/bin/tsm".into()), ..base() };
        assert_eq!(findings(&other)[0].remedy.as_deref(), Some("source /p/share/tsm/shell/tsm.sh"));
        assert_eq!(levels(other), [Level::Warning, Level::Ok]);
        let other = Some(("/q/tsm".into(), "/q/tsm".into()));
        assert_eq!(levels(Facts { on_path: other, ..base() }), [Level::Ok, Level::Warning]);
        assert_eq!(levels(Facts { on_path: None, ..base() }), [Level::Ok, Level::Info]);
    }
}
