//! A person at an interactive shell with the shell layer, who types and presses TAB.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::checkout::copy;
use crate::kit::User;
use crate::terminal::Terminal;

/// A shell in which Ctrl-O shows the line as it stands, with the cursor's place, and empties it.
pub(crate) struct Typist {
    pub(crate) terminal: Terminal,
}

impl User {
    /// A directory with a `tsm` that is the one of this build, then the system's.
    pub(crate) fn search_path(&self) -> String {
        let bin = self.home().join("bin");
        fs::create_dir_all(&bin).unwrap();
        let _ = symlink(env!("CARGO_BIN_EXE_tsm"), bin.join("tsm"));
        format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display())
    }

    /// A copy of the checkout's shell files, beside which there is no build.
    pub(crate) fn shell_layer(&self) -> PathBuf {
        let checkout = self.home().join("co");
        if !checkout.exists() {
            fs::create_dir(&checkout).unwrap();
            copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("shell"), &checkout.join("shell"));
        }
        checkout.join("shell/tsm.sh")
    }

    /// A shell that is called so and starts in the working directory.
    #[track_caller]
    pub(crate) fn shell(&self, name: &str) -> Command {
        let path = which::which(name).unwrap_or_else(|_| panic!("{name} is missing: apt-get install {name}"));
        let mut command = self.command(path);
        command.env("PATH", self.search_path()).env("TERM", "xterm");
        command
    }

    /// Bash, which has run `rc` and has the shell layer.
    pub(crate) fn interactive_bash(&self, rc: &str) -> Typist {
        let show = "_show() { builtin printf '\\n<<%s|%s>>\\n' \"$READLINE_LINE\" \"$READLINE_POINT\"; READLINE_LINE= READLINE_POINT=0; }";
        let text = format!(
            "PS1='ready> '\n{show}\nbind -x '\"\\C-o\": _show'\nbind -m vi-insert -x '\"\\C-o\": _show'\n\
             bind 'set enable-bracketed-paste off'\nbind 'set bell-style none'\nbind 'set page-completions off'\n\
             stty cols 100\n{rc}\n"
        );
        let file = self.home().join("rc");
        fs::write(&file, text).unwrap();
        let mut command = self.shell("bash");
        command.arg("--noprofile").arg("--rcfile").arg(file).arg("-i");
        Typist::new(Terminal::open(command))
    }
}

impl User {
    /// Zsh, which has run `rc` after its completion system was set up.
    pub(crate) fn zsh(&self, rc: &str) -> Typist {
        let text = format!(
            "stty cols 100\nunsetopt prompt_cr prompt_sp\nPS1='ready> '\n\
             show() {{ zle -I; print -r -- \"<<$BUFFER|$CURSOR>>\"; BUFFER= }}\nzle -N show\nbindkey -e\nbindkey '^O' show\n{rc}\n"
        );
        fs::write(self.home().join(".zshrc"), text).unwrap();
        let mut command = self.shell("zsh");
        command.env("ZDOTDIR", self.home()).args(["-d", "-i"]);
        Typist::new(Terminal::open(command))
    }

    /// Fish, which has run `rc`.
    pub(crate) fn fish(&self, rc: &str) -> Typist {
        let text = format!(
            "stty cols 100\nset -g fish_autosuggestion_enabled 0\nset -g fish_greeting\n\
             function fish_prompt; printf 'ready> '; end\n\
             function show; printf '\\n<<%s|%s>>\\n' (commandline) (commandline -C); commandline ''; end\n\
             bind \\co show\n{rc}\n"
        );
        let file = self.home().join("rc.fish");
        fs::write(&file, text).unwrap();
        let mut command = self.shell("fish");
        command.args(["-i", "-C"]).arg(format!("source {}", file.display()));
        Typist::new(Terminal::open(command))
    }
}

impl Typist {
    fn new(mut terminal: Terminal) -> Self {
        terminal.shows("ready> ");
        Typist { terminal }
    }

    /// The line that these keys make, with `|` where the cursor is.
    #[track_caller]
    pub(crate) fn line(&mut self, keys: &str) -> String {
        self.terminal.presses(keys);
        self.terminal.presses("\x0f");
        self.terminal.shows("<<");
        let shown = self.terminal.until(">>");
        let (line, at) = shown.rsplit_once('|').unwrap();
        let mut line: Vec<char> = line.chars().collect();
        line.insert(at.parse().unwrap(), '|');
        line.into_iter().collect()
    }

    /// What is printed when these keys are pressed, as far as the line is shown again.
    #[track_caller]
    pub(crate) fn list(&mut self, keys: &str) -> String {
        self.terminal.presses(keys);
        self.terminal.presses("\x0f");
        let shown = self.terminal.until("<<");
        self.terminal.shows(">>");
        shown
    }

    /// What a line prints that ends with `echo do''ne`; its echo does not say that.
    #[track_caller]
    pub(crate) fn runs(&mut self, line: &str) -> String {
        self.terminal.types(line);
        self.terminal.until("done\r\n")
    }
}

impl Drop for Typist {
    fn drop(&mut self) {
        // An interactive shell does not mind a TERM, and Ctrl-C would eat what follows it.
        self.terminal.leave("\x15exit");
    }
}
