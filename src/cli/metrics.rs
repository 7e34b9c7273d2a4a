//! `tsm metrics`: the figures of what runs, for Prometheus.

use serde_json::Value;

use super::context::Context;
use crate::daemon;
use crate::daemon::client::{Client, PROMPT};
use crate::error::Result;

/// Print the figures of what runs, in Prometheus' text format.
///
/// From the daemon when it runs, with its own figures; without it, from a look of its own.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tsm metrics > /var/lib/node_exporter/textfile/tsm.prom")]
pub(super) struct Args {
    /// Print a JSON array of the figures' objects: that of `tsm list all --json`.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<()> {
    if args.json {
        return context.output.json(&context.all());
    }
    let from_daemon = Client::connect(&context.layout.daemon())
        .and_then(|mut client| client.call_within("metrics", &Value::Null, PROMPT))
        .ok()
        .and_then(std::result::Result::ok)
        .and_then(|page| page.as_str().map(str::to_owned));
    let page = from_daemon.unwrap_or_else(|| daemon::of_processes(&context.all()).text());
    context.output.bytes(page.as_bytes())
}
