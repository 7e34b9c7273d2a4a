//! What a command is to TSM, apart from what this machine runs and from any environment file.

use super::ports::Free;
use super::{Context, World, complain_of_patterns, user_patterns};
use crate::error::Result;
use crate::plan::{self, EnvAsk, Pattern, Plan, Request};

/// What a command is to TSM.
pub(crate) struct Preview {
    /// What a start would come to where every port is free.
    pub(crate) plan: Plan,
    /// The line of a patterns file that knows it.
    pub(crate) pattern: Option<Pattern>,
}

/// Plans the command `words` in the current directory.
///
/// # Errors
/// When the words are no command.
pub(crate) fn preview(context: &Context, words: &[String]) -> Result<Preview> {
    let dir = context.current_dir()?;
    let user_patterns = user_patterns(context)?;
    complain_of_patterns(context, user_patterns.as_deref());
    let world = World::new(context, &dir);
    let request =
        Request { words: words.to_vec(), dir, env: EnvAsk::None, user_patterns, ..Request::default() };
    let draft = plan::draft(&request, &world)?;
    let pattern = draft.pattern().cloned();
    let plan = plan::plan(draft, &Free(context.settings.port_range.clone()))?;
    Ok(Preview { plan, pattern })
}
