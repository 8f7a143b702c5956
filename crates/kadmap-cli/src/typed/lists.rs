//! The arguments of the verbs about lists and announcements.

use std::ffi::OsString;
use std::time::Duration;

use clap::Args;
use kadmap::Stamp;

use super::{ConsistencyName, NodeArgs, ValueForm};
use crate::quantity::parse_duration;

const ITEMS_HELP: &str = "\
One element on a line: its id, a tab, and its value as compact JSON; with --json all that is known of it.
Elements of a list that was put have no id ('-'): they are replaced by `put` only.
The list is read a page at a time, however long it is. `rm --item ID` removes an element.";

const TRIM_HELP: &str = "\
Costs one small write, whatever is dropped; that there is nothing to drop is no error.
  kadmap trim log --keep 1000        the last 1000 stay
  kadmap trim log --up-to ID         everything after that element stays
  kadmap trim log --older-than 7d    what was written within a week stays
The elements of a list that was put go together, once an appended one goes or just the appended ones are to stay.";

const ANNOUNCE_HELP: &str = "\
An announcement is told by `providers` until its time is over; announcing again under the same id renews it.
  kadmap announce model http://10.0.0.7:8000 --hold      as long as this command runs
  kadmap announce model 10.0.0.7:8000 --as $(hostname)   once, for 30 minutes
  kadmap announce model --as $(hostname) --withdraw
Without --as the id is that of the certificate (--cert), or with --hold one that ends with this command.";

/// List the elements of a list with their ids
#[derive(Debug, Args)]
#[command(after_help = ITEMS_HELP)]
pub(crate) struct ItemsArgs {
    /// The name
    pub(crate) name: OsString,
    /// Begin after the element with this id
    #[arg(long, value_name = "ID")]
    pub(crate) after: Option<Stamp>,
    /// So many elements at most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) limit: Option<u64>,
    /// How many replicas to hear: one is fastest, quorums of reads and writes overlap
    #[arg(
        long,
        value_name = "HOW MANY",
        env = "KADMAP_CONSISTENCY",
        hide_env_values = true,
        default_value = "quorum"
    )]
    pub(crate) consistency: ConsistencyName,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
}

/// Drop the oldest elements of a list
#[derive(Debug, Args)]
#[command(after_help = TRIM_HELP)]
#[group(id = "what", required = true, multiple = false, args = ["keep", "up_to", "older_than"])]
pub(crate) struct TrimArgs {
    /// The name
    pub(crate) name: OsString,
    /// Keep the last so many
    #[arg(long, value_name = "N")]
    pub(crate) keep: Option<u64>,
    /// Drop everything up to the element with this id
    #[arg(long, value_name = "ID")]
    pub(crate) up_to: Option<Stamp>,
    /// Drop what was written longer ago, such as 7d or 12h
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) older_than: Option<Duration>,
    /// How many replicas to wait for: one is fastest, quorums of reads and writes overlap
    #[arg(
        long,
        value_name = "HOW MANY",
        env = "KADMAP_CONSISTENCY",
        hide_env_values = true,
        default_value = "quorum"
    )]
    pub(crate) consistency: ConsistencyName,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
}

/// Say under a name that you have it, for others to find
#[derive(Debug, Args)]
#[command(after_help = ANNOUNCE_HELP)]
pub(crate) struct AnnounceArgs {
    /// The name
    pub(crate) name: OsString,
    /// What to say, such as an address; taken as `put` takes a value [default: null]
    #[arg(allow_negative_numbers = true)]
    pub(crate) payload: Option<OsString>,
    #[command(flatten)]
    pub(crate) form: ValueForm,
    /// Who has it: an id of 64 hexadecimal digits, or any text that stands for one
    #[arg(long = "as", value_name = "ID")]
    pub(crate) speaker: Option<String>,
    /// How long it is told unless it is renewed, 3s to 24h
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "30m")]
    pub(crate) ttl: Duration,
    /// Renew it until this command is stopped, and withdraw it then
    #[arg(long)]
    pub(crate) hold: bool,
    /// Withdraw what was announced under that id
    #[arg(long, conflicts_with_all = ["hold", "payload"])]
    pub(crate) withdraw: bool,
    /// How many replicas to wait for: one is fastest, quorums of reads and writes overlap
    #[arg(
        long,
        value_name = "HOW MANY",
        env = "KADMAP_CONSISTENCY",
        hide_env_values = true,
        default_value = "quorum"
    )]
    pub(crate) consistency: ConsistencyName,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
}

/// List who is announced under a name
#[derive(Debug, Args)]
#[command(after_help = "One on a line: id, time left, and what it said, with tabs between.")]
pub(crate) struct ProvidersArgs {
    /// The name
    pub(crate) name: OsString,
    /// How many replicas to hear: one is fastest, quorums of reads and writes overlap
    #[arg(
        long,
        value_name = "HOW MANY",
        env = "KADMAP_CONSISTENCY",
        hide_env_values = true,
        default_value = "quorum"
    )]
    pub(crate) consistency: ConsistencyName,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
}
