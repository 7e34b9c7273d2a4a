//! Seeing to it that what a ref means runs, for the time of a command.

use super::again::start_again;
use super::{Args, Ask, Begun, By, Context, begin, directory, services, starter};
use crate::error::{Error, Kind, Result};
use crate::inspect::View;
use crate::model::{Lifeline, Name, Origin};
use crate::service::Definition;
use crate::store;

/// Starts what `text` means, bound to `lifeline`, unless it runs: a tracked process, or a service definition.
///
/// A definition comes before a process that is stopped, and before one that `text` is only a part of the name of.
///
/// # Errors
/// Not found when it is neither; a conflict when it means several processes; why it does not start.
pub(crate) fn up(context: &Context, text: &str, lifeline: &Lifeline) -> Result<Begun> {
    let found = context.find_one(text);
    match definition(context, text)? {
        None => match found {
            Ok(view) => start_again(context, &view, &by(context, lifeline)),
            Err(error) if error.kind() == Kind::NotFound && error.message().contains("no such process") => {
                let hint = error.hint_text().unwrap_or("tsm list all").to_owned();
                Err(Error::not_found(format!("no such process or service: {text}")).hint(hint))
            }
            Err(error) => Err(error),
        },
        Some(definition) => match found {
            Ok(view) if view.status.live() && is_of(&view, &definition, text) => {
                Ok(Begun::Already(Box::new(view)))
            }
            _ => start_service(context, &definition, lifeline),
        },
    }
}

fn definition(context: &Context, text: &str) -> Result<Option<Definition>> {
    let Ok(name) = Name::parse(text) else { return Ok(None) };
    match services::find(context, &name) {
        Ok(definition) => Ok(Some(definition)),
        Err(error) if error.kind() == Kind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// True when `view` is what `text`, the name of `definition`, means, and not only something of a longer name.
fn is_of(view: &View, definition: &Definition, text: &str) -> bool {
    view.name.as_str() == text
        || store::read_spec(&view.dir).found().is_some_and(|spec| {
            spec.origin == Origin::Service(definition.name.clone()) || spec.base.as_str() == text
        })
}

fn start_service(context: &Context, definition: &Definition, lifeline: &Lifeline) -> Result<Begun> {
    let here = match &definition.dir {
        Some(dir) => directory(context, dir)?,
        None => context.current_dir()?,
    };
    let mut ask = Ask::of_service(context, &Args::default(), definition, None, here)?;
    ask.by = by(context, lifeline);
    begin(context, &ask, &|text| context.output.remark(text))
}

fn by(context: &Context, lifeline: &Lifeline) -> By {
    By { lifeline: Some(lifeline.clone()), starter: starter::session(context).map(starter::starter) }
}
