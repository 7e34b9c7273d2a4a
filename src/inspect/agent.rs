//! Which coding agent a command line is.

/// What each agent's program or package is called, and what it is called here.
const AGENTS: [(&str, &[&str]); 6] = [
    ("claude", &["claude", "claude-code"]),
    ("codex", &["codex"]),
    ("gemini", &["gemini", "gemini-cli"]),
    ("opencode", &["opencode", "opencode-ai"]),
    ("aider", &["aider"]),
    ("cursor-agent", &["cursor-agent"]),
];

/// Programs whose first word that is no option says what really runs.
const INTERPRETERS: [&str; 5] = ["node", "bun", "deno", "python", "python3"];

/// The agent that a process is: by its short name, by the word it was started as, or by the script or package that an
/// interpreter runs.
pub(super) fn agent(comm: &str, argv: &[String]) -> Option<&'static str> {
    let first = argv.first().map_or("", String::as_str);
    // A program that sets its own title puts everything into the first word.
    let first = base(first.split_ascii_whitespace().next().unwrap_or_default());
    known(comm).or_else(|| known(first)).or_else(|| {
        let interpreted = INTERPRETERS.contains(&first) || first.starts_with("python3.");
        let script = argv.iter().skip(1).find(|word| interpreted && !word.starts_with('-'))?;
        let package = script.rsplit_once("node_modules/").map_or("", |(_, rest)| rest).split('/');
        known(stem(script)).or_else(|| package.take(2).find_map(known))
    })
}

fn known(name: &str) -> Option<&'static str> {
    AGENTS.iter().find(|(_, names)| names.contains(&name)).map(|(agent, _)| *agent)
}

/// The last part of a path; a login shell's leading dash is no part of its name.
pub(super) fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default().trim_start_matches('-')
}

/// The base name without an ending such as `.js`.
fn stem(path: &str) -> &str {
    let base = base(path);
    base.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()).map_or(base, |(stem, _)| stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_is_known_by_its_program_or_its_script() {
        for (comm, line, expected) in [
            ("claude", "claude", Some("claude")),
            ("MainThread", "claude --resume", Some("claude")),
            ("node", "/home/ann/.local/bin/claude -p x", Some("claude")),
            ("node", "node /usr/lib/node_modules/@anthropic-ai/claude-code/cli.js", Some("claude")),
            ("node", "node --no-warnings /usr/local/bin/gemini", Some("gemini")),
            ("node", "/usr/bin/node /opt/codex.js exec", Some("codex")),
            ("codex", "/opt/codex/bin/codex", Some("codex")),
            ("python3", "/usr/bin/python3.12 /home/ann/.local/bin/aider --model x", Some("aider")),
            ("bun", "bun opencode.ts", Some("opencode")),
            ("cursor-agent", "", Some("cursor-agent")),
            // Only what runs counts, not what it works on.
            ("vim", "vim claude", None),
            ("cat", "cat /tmp/codex", None),
            ("node", "node server.js claude", None),
            ("node", "node /home/ann/claude/server.js", None),
            ("node", "node", None),
            ("bash", "-bash", None),
            ("claudette", "claudette", None),
            ("", "", None),
        ] {
            let argv: Vec<String> =
                line.split(' ').filter(|word| !word.is_empty()).map(String::from).collect();
            assert_eq!(agent(comm, &argv), expected, "{comm}: {line}");
        }
    }
}
