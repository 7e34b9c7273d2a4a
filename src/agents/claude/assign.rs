//! Which conversation is whose, when a directory has several: a pure function of what is known of processes and files.
//!
//! A process does not keep its file open, and after `/clear` it writes to another one, while what it says of itself may
//! name the old one (anthropics/claude-code#95439). A wrong answer shows somebody else's question, so that a process keeps
//! what it has unless there is a reason.

/// How much older than its process a file may be, in milliseconds: a conversation is written when it goes on.
pub(super) const SLACK_MS: u64 = 10_000;

/// A process that has a conversation, or looks for one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seeker {
    pub(super) started_ms: u64,
    /// True when it may go on with a file from before its start.
    pub(super) resumes: bool,
    /// The file that it is known to have: by what it says of itself, else by the last look.
    pub(super) own: Option<usize>,
    /// True when it has said which conversation it has.
    pub(super) is_declared: bool,
    /// When it last said anything of itself.
    pub(super) active_ms: Option<u64>,
    /// Until when the conversation that it has said is known to be right.
    pub(super) sure_until_ms: Option<u64>,
}

/// A file of records that name the directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) mtime_ms: u64,
    /// When its first record was written.
    pub(super) first_ms: Option<u64>,
    /// When its last record was written; known of files that somebody has.
    pub(super) last_ms: Option<u64>,
    /// True when it began with `/clear`.
    pub(super) is_clear: bool,
    /// True when a process that is none of these may have written it: it is given only to who has none.
    pub(super) is_doubtful: bool,
    /// True when the process that had it has left it, or has ended.
    pub(super) is_spent: bool,
}

/// The file of each process; no two share one, unless both say so.
pub(super) fn assign(seekers: &[Seeker], files: &[Candidate]) -> Vec<Option<usize>> {
    let mut own: Vec<Option<usize>> =
        seekers.iter().map(|seeker| seeker.own.filter(|_| seeker.is_declared)).collect();
    for (at, seeker) in seekers.iter().enumerate().filter(|(_, seeker)| !seeker.is_declared) {
        own[at] = seeker.own.filter(|file| !own.contains(&Some(*file)));
    }
    let kept = own.clone();
    let mut free: Vec<usize> =
        (0..files.len()).filter(|file| !files[*file].is_spent && !own.contains(&Some(*file))).collect();
    free.sort_by_key(|file| std::cmp::Reverse((files[*file].mtime_ms, files[*file].first_ms)));
    move_on(seekers, files, &kept, &mut own, &mut free, |file| file.is_clear);
    settle(seekers, files, &mut own, &mut free);
    move_on(seekers, files, &kept, &mut own, &mut free, |_| true);
    own
}

/// Gives newer files to those who have left theirs. `kept` is what each had at first: nobody moves twice.
fn move_on(
    seekers: &[Seeker],
    files: &[Candidate],
    kept: &[Option<usize>],
    own: &mut [Option<usize>],
    free: &mut Vec<usize>,
    which: fn(&Candidate) -> bool,
) {
    free.retain(|new| {
        if !which(&files[*new]) {
            return true;
        }
        // Of several the one that fell silent last.
        let left = |at: &usize| {
            kept[*at]
                .is_some_and(|old| own[*at] == Some(old) && leaves(&seekers[*at], &files[old], &files[*new]))
        };
        let who =
            (0..seekers.len()).filter(left).max_by_key(|at| kept[*at].and_then(|old| files[old].last_ms));
        if let Some(at) = who {
            own[at] = Some(*new);
        }
        who.is_none()
    });
}

/// True when a process that had `old` goes on in `new`.
fn leaves(seeker: &Seeker, old: &Candidate, new: &Candidate) -> bool {
    let Some(first) = new.first_ms else { return false };
    // Nothing was written to the old one since the new one began.
    let follows = new.mtime_ms > old.mtime_ms && old.last_ms.is_some_and(|last| first > last);
    let is_mine = new.mtime_ms.saturating_add(SLACK_MS) >= seeker.started_ms;
    let is_sure = seeker.sure_until_ms.is_some_and(|until| first <= until);
    // Another one may have begun it that has ended; then this process has done nothing since.
    let is_active = seeker.active_ms.is_some_and(|active| active >= first);
    let has_reason = new.is_clear || (!new.is_doubtful && (is_active || !seeker.is_declared));
    follows && is_mine && !is_sure && has_reason
}

/// Gives the newest files to those who have none, so that who was started first has the conversation that began first.
fn settle(seekers: &[Seeker], files: &[Candidate], own: &mut [Option<usize>], free: &mut Vec<usize>) {
    let mut waiting: Vec<usize> =
        (0..seekers.len()).filter(|at| own[*at].is_none() && !seekers[*at].is_declared).collect();
    waiting.sort_by_key(|at| seekers[*at].started_ms);
    let may_have = |at: usize, file: usize| {
        seekers[at].resumes || files[file].mtime_ms.saturating_add(SLACK_MS) >= seekers[at].started_ms
    };
    // Of the newest as many as can have somebody: who may have an older file may have a newer one.
    let mut newest: Vec<usize> = Vec::new();
    for file in free.iter().copied() {
        let with: Vec<usize> = newest.iter().copied().chain([file]).collect();
        let can_have = |file: usize| waiting.iter().filter(|at| may_have(**at, file)).count();
        if with.iter().rev().enumerate().all(|(before, file)| can_have(*file) > before) {
            newest = with;
        }
    }
    newest.sort_by_key(|file| files[*file].first_ms.unwrap_or(files[*file].mtime_ms));
    let mut late = Vec::new();
    for (nth, file) in newest.iter().copied().enumerate() {
        let began = files[file].first_ms.unwrap_or(files[file].mtime_ms);
        let could =
            |at: &usize| may_have(*at, file) && seekers[*at].started_ms <= began.saturating_add(SLACK_MS);
        // Where there are fewer files than processes, one that has long had no prompt is less likely than a new one.
        let is_scarce = waiting.len() > newest.len() - nth + late.len();
        let found = if is_scarce { waiting.iter().rposition(could) } else { waiting.iter().position(could) };
        match found {
            Some(found) => own[waiting.remove(found)] = Some(file),
            None => late.push(file),
        }
    }
    // What began before any of them was taken up again.
    for file in late {
        if let Some(found) = waiting.iter().position(|at| may_have(*at, file)) {
            own[waiting.remove(found)] = Some(file);
        }
    }
    free.retain(|file| !own.contains(&Some(*file)));
}

#[cfg(test)]
mod tests;
