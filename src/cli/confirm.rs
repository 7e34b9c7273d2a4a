//! Asking a person before something that cannot be taken back.

use std::io::{BufRead, Write};

use super::context::Context;
use crate::error::{Error, Result};
use crate::render::sanitize;

/// True when the person at the terminal says yes to `question`, which may have several lines.
///
/// # Errors
/// `refusal`, where nobody can be asked.
pub(super) fn confirm(context: &Context, question: &str, refusal: impl FnOnce() -> Error) -> Result<bool> {
    if !context.output.interactive {
        return Err(refusal());
    }
    context.output.bytes(sanitize::lines(&format!("{question} [y/N] ")).as_bytes())?;
    let _ = std::io::stdout().flush();
    let mut answer = String::new();
    let _ = std::io::stdin().lock().read_line(&mut answer);
    Ok(matches!(answer.trim(), "y" | "Y" | "yes" | "Yes"))
}
