//! `tsm agents wait`: until an agent needs its user, or is otherwise as wanted.

use std::time::{Duration, Instant};

use clap::ValueEnum;

use super::looker::{Looker, document, tracked};
use crate::agents::{AgentState, Session, refs};
use crate::cli::context::Context;
use crate::cli::services::parse_time;
use crate::error::{Error, Kind, Result};
use crate::model::Identity;
use crate::render::{human, sanitize};
use crate::sys::poll;

/// Wait until an agent asks something, or its turn has ended.
///
/// It ends with the first of the sessions that is in one of the wanted states, at once if one is so already, and says which
/// one and why. With --any all sessions count, also those that appear meanwhile; one that is idle because nobody has asked
/// it anything yet does so only if --until says idle.
///
/// Exit codes: 0 for that, 3 when the sessions have ended, 124 when the time is up.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  tsm agents wait review && notify-send 'your turn'\n  \
    tsm agents wait --any --until needs-input --timeout 10m")]
pub(super) struct Args {
    /// Labels, session IDs, PIDs, projects, workspaces, or parts that only one has.
    #[arg(value_name = "AGENT", required_unless_present = "any", conflicts_with = "any")]
    agents: Vec<String>,
    /// Any session.
    #[arg(long)]
    any: bool,
    /// The states to wait for (needs-input,idle).
    #[arg(long, value_enum, value_delimiter = ',', value_name = "STATE")]
    until: Vec<Wanted>,
    /// How long to wait: 30s, 10m; for ever if it is not given.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    timeout: Option<u64>,
    /// Those of other homes as well.
    #[arg(long)]
    all: bool,
    /// Print the session as a JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Wanted {
    NeedsInput,
    Idle,
    Working,
    Unknown,
}

impl Wanted {
    fn state(self) -> AgentState {
        match self {
            Wanted::NeedsInput => AgentState::NeedsInput,
            Wanted::Idle => AgentState::Idle,
            Wanted::Working => AgentState::Working,
            Wanted::Unknown => AgentState::Unknown,
        }
    }
}

/// How often to look.
const LOOK: Duration = Duration::from_millis(500);

/// Who is waited for.
enum Whom {
    /// Whoever is there.
    Anybody,
    /// These, each with how it is called.
    These(Vec<(Identity, String)>),
}

pub(super) fn run(context: &Context, args: &Args) -> Result<()> {
    let end = args.timeout.and_then(|ms| Instant::now().checked_add(Duration::from_millis(ms)));
    let mut looker = Looker::new(context, args.all);
    looker.look();
    let mut whom = whom(&looker, args)?;
    whom.doubt(context, args, looker.sessions());
    loop {
        if let Some(session) = looker.sessions().iter().find(|one| whom.has(one) && is_wanted(args, one)) {
            return say(context, args, session, looker.now_ms());
        }
        whom.forget_ended(context, looker.sessions(), looker.hidden())?;
        let left = end.map(|end| end.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            return Err(timed_out(args, &whom, looker.sessions()));
        }
        poll::pause(left.map_or(LOOK, |left| left.min(LOOK)));
        looker.look();
    }
}

fn whom(looker: &Looker<'_>, args: &Args) -> Result<Whom> {
    if args.any {
        return Ok(Whom::Anybody);
    }
    let mut these: Vec<(Identity, String)> = Vec::new();
    for text in &args.agents {
        let session = looker.find(text)?;
        these.push((session.identity, refs::described(&session)));
    }
    Ok(Whom::These(these))
}

impl Whom {
    fn has(&self, session: &Session) -> bool {
        match self {
            Whom::Anybody => true,
            Whom::These(these) => these.iter().any(|(identity, _)| *identity == session.identity),
        }
    }

    /// Says so where it would wait in silence for what can never be seen.
    fn doubt(&self, context: &Context, args: &Args, sessions: &[Session]) {
        if args.until.contains(&Wanted::Unknown) {
            return;
        }
        let Whom::These(_) = self else { return };
        for one in sessions.iter().filter(|one| self.has(one) && one.agent != "claude") {
            let text =
                format!("{}: tsm cannot read its state, so that only its end is seen", refs::described(one));
            context.output.remark(&text);
        }
    }

    /// Waits no longer for those that are not among `sessions`.
    ///
    /// # Errors
    /// Not running when nobody is left.
    fn forget_ended(&mut self, context: &Context, sessions: &[Session], hidden: usize) -> Result<()> {
        let Whom::These(these) = self else {
            return match sessions {
                [] => Err(Error::new(Kind::NotRunning, "no coding agent runs that could be waited for")
                    .hint(if hidden > 0 { "tsm agents --all" } else { "tsm agents" })),
                _ => Ok(()),
            };
        };
        let lives = |identity: &Identity| sessions.iter().any(|one| one.identity == *identity);
        let ended: Vec<String> =
            these.iter().filter(|(one, _)| !lives(one)).map(|(_, name)| name.clone()).collect();
        these.retain(|(identity, _)| lives(identity));
        match ended.as_slice() {
            [] => Ok(()),
            names if these.is_empty() => {
                let text = format!("{} ended before it was as wanted", names.join(" and "));
                Err(Error::new(Kind::NotRunning, text).hint("tsm agents"))
            }
            names => {
                context.output.remark(&format!("{} ended; still waiting for the rest", names.join(" and ")));
                Ok(())
            }
        }
    }
}

fn is_wanted(args: &Args, session: &Session) -> bool {
    if !args.until.is_empty() {
        return args.until.iter().any(|wanted| wanted.state() == session.state);
    }
    match session.state {
        AgentState::NeedsInput => true,
        // Of all sessions there are, one that was only started waits for nobody.
        AgentState::Idle => !args.any || session.waiting_since_ms.is_some(),
        AgentState::Working | AgentState::Unknown => false,
    }
}

/// `review (PID 12, claude in my-api): needs-input, permission: Bash, for 12s`.
fn say(context: &Context, args: &Args, session: &Session, now_ms: u64) -> Result<()> {
    if args.json {
        return context.output.json(&document(session, &tracked(context)));
    }
    let since = session.since_ms.map(|since| format!(", for {}", human::span(now_ms.saturating_sub(since))));
    let reason = if session.reason.is_empty() { String::new() } else { format!(", {}", session.reason) };
    let text =
        format!("{}: {}{reason}{}", refs::described(session), session.state, since.unwrap_or_default());
    context.output.line(&sanitize::text(&text))
}

fn timed_out(args: &Args, whom: &Whom, sessions: &[Session]) -> Error {
    let waited: Vec<String> = sessions
        .iter()
        .filter(|one| whom.has(one))
        .map(|one| format!("{} is still {}", refs::described(one), one.state))
        .collect();
    let time = human::span(args.timeout.unwrap_or_default());
    Error::new(Kind::TimedOut, format!("waited {time} in vain: {}", waited.join(", "))).hint("tsm agents")
}
