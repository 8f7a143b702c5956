//! The arguments of each verb.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap_complete::Shell;
use kadmap::{Stamp, Version};

use super::{ConsistencyName, DurabilityName, NodeArgs, TrustArgs, ValueForm};
use crate::quantity::{ByteCount, Span, parse_duration};

const CONFIG_HELP: &str = "\
A config file is TOML with the names of the long flags as keys, without the dashes:

  listen = \"0.0.0.0:8339\"
  join = [\"10.0.0.1:8339\", \"10.0.0.2:8339\"]
  data = \"/var/lib/kadmap\"
  value-bytes-max = \"16MiB\"

Flags win over environment variables, and those win over the file. Relative paths in a file start at its folder.
SIGINT (Ctrl-C): leave for good, hand the records over, say goodbye and end.
SIGTERM: the same without a data folder. With one the node is expected back within seconds, as after an upgrade, and
hands over what it alone has; others take its place 5 to 30 s later unless it is back by then.
A second signal ends at once.";

const VALUE_HELP: &str = "\
A value that is JSON is stored as that JSON, anything else as a JSON string:
  kadmap put colour red            the string \"red\"
  kadmap put answer 42             the number 42
  kadmap put zip 42 --string       the string \"42\"
  kadmap put list '[1, 2, 3]'      a list, to append to
  kadmap put page @index.html      the content of a file
  date | kadmap put today -        standard input; one line end at its end does not count
  kadmap put photo @me.jpg --raw   bytes as they are
To store a text that is '-' or starts with '@', give it as JSON: '\"@home\"'.";

const APPEND_HELP: &str = "\
The list comes to be if nothing is there. Items of concurrent writers are neither lost nor doubled.";

const KEYS_HELP: &str = "\
One name on a line. A name that is no plain text is printed as a JSON string, or as {\"base64\": \"...\"};
with --json every line is JSON.";

const DEMO_HELP: &str = "\
The nodes run in this process and talk over loopback, each with a socket, an identity and a data folder of its own.
The folders are removed at the end.";

const GET_HELP: &str = "\
What is stored is printed as compact JSON on one line; bytes, which JSON has no form for, as {\"base64\": \"...\"}.
With --raw a string or bytes are printed as they are, with nothing added, and everything else as JSON.";

const WATCH_HELP: &str = "\
Prints one line for each change as it happens, until it is interrupted:
  state VALUE, absent              what is there when the watch begins
  put VALUE, deleted               the value was replaced or deleted
  appended ITEM                    the list has one more item
  field_put FIELD VALUE, field_deleted FIELD
  expired, item_expired STAMP, field_expired FIELD
With --json each is an object with the write's stamp. Each change comes once, in its writer's order.";

/// Start a node and serve until told to stop
#[derive(Debug, Args)]
#[command(after_help = CONFIG_HELP)]
pub(crate) struct RunArgs {
    /// Where to listen, port 0 for any free one [default: port 8339 of all interfaces]
    #[arg(long, value_name = "HOST:PORT", env = "KADMAP_LISTEN", hide_env_values = true)]
    pub(crate) listen: Option<String>,
    /// Members to join by; without any the node starts a swarm, or finds again whom it knew
    #[arg(
        long,
        value_name = "HOST:PORT",
        env = "KADMAP_JOIN",
        hide_env_values = true,
        value_delimiter = ','
    )]
    pub(crate) join: Vec<String>,
    /// Go on trying to join until a member answers
    #[arg(long, env = "KADMAP_RETRY", hide_env_values = true)]
    pub(crate) retry: bool,
    /// Folder for identity, records and known members [default: none, all is forgotten at the end]
    #[arg(long, value_name = "DIR", env = "KADMAP_DATA", hide_env_values = true)]
    pub(crate) data: Option<PathBuf>,
    /// Hold each record on so many nodes, 1 to 64, the same on all nodes [default: 20]
    #[arg(long, value_name = "NODES", env = "KADMAP_REPLICATION", hide_env_values = true)]
    pub(crate) replication: Option<usize>,
    /// Replicas that this node's own operations wait for [default: quorum]
    #[arg(long, value_name = "HOW MANY", env = "KADMAP_CONSISTENCY", hide_env_values = true)]
    pub(crate) consistency: Option<ConsistencyName>,
    /// When this node calls a write stored: once in memory, or once on disk [default: replicated]
    #[arg(long, value_name = "WHEN", env = "KADMAP_DURABILITY", hide_env_values = true)]
    pub(crate) durability: Option<DurabilityName>,
    /// Take values of up to so many bytes, such as 16MiB, the same on all nodes [default: 1MiB]
    #[arg(long, value_name = "BYTES", env = "KADMAP_VALUE_BYTES_MAX", hide_env_values = true)]
    pub(crate) value_bytes_max: Option<ByteCount>,
    /// Store up to so many bytes in all [default: 4GiB]
    #[arg(long, value_name = "BYTES", env = "KADMAP_STORE_BYTES_MAX", hide_env_values = true)]
    pub(crate) store_bytes_max: Option<ByteCount>,
    /// Compare what this node holds with other holders this often, such as 10m [default: 10m]
    #[arg(long, value_name = "TIME", env = "KADMAP_REPAIR_INTERVAL", hide_env_values = true)]
    pub(crate) repair_interval: Option<Span>,
    /// Read all that is in --data once in so long, to find damage early; 0s for never [default: 7days]
    #[arg(long, value_name = "TIME", env = "KADMAP_SCRUB_INTERVAL", hide_env_values = true)]
    pub(crate) scrub_interval: Option<Span>,
    /// Read settings from a TOML file
    #[arg(long, value_name = "FILE", env = "KADMAP_CONFIG", hide_env_values = true)]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
}

/// Store a value under a name, in place of what is there
#[derive(Debug, Args)]
#[command(after_help = VALUE_HELP)]
pub(crate) struct PutArgs {
    /// The name, up to 1 KiB
    pub(crate) name: OsString,
    /// The value, '-' for standard input, or '@FILE'
    #[arg(allow_negative_numbers = true)]
    pub(crate) value: OsString,
    #[command(flatten)]
    pub(crate) form: ValueForm,
    /// Write one field of the map under the name; its other fields stay
    #[arg(long, value_name = "FIELD", conflicts_with = "raw")]
    pub(crate) field: Option<String>,
    /// Only if the record is at this version, which `get --json` and `put --json` tell
    #[arg(long, value_name = "VERSION", conflicts_with = "if_absent")]
    pub(crate) if_version: Option<Version>,
    /// Only if nothing is stored under the name
    #[arg(long)]
    pub(crate) if_absent: bool,
    #[command(flatten)]
    pub(crate) write: WriteArgs,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
}

/// Print the value under a name
#[derive(Debug, Args)]
#[command(after_help = GET_HELP)]
pub(crate) struct GetArgs {
    /// The name
    pub(crate) name: OsString,
    /// Print a string or bytes as they are
    #[arg(long, conflicts_with = "json")]
    pub(crate) raw: bool,
    /// Print one field of the map under the name
    #[arg(long, value_name = "FIELD")]
    pub(crate) field: Option<String>,
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

/// Add an item to the list under a name
#[derive(Debug, Args)]
#[command(after_help = APPEND_HELP)]
pub(crate) struct AppendArgs {
    /// The name
    pub(crate) name: OsString,
    /// The item, '-' for standard input, or '@FILE'; taken as `put` takes a value
    #[arg(allow_negative_numbers = true)]
    pub(crate) item: OsString,
    #[command(flatten)]
    pub(crate) form: ValueForm,
    #[command(flatten)]
    pub(crate) write: WriteArgs,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
}

/// How a write is to be done.
#[derive(Debug, Args)]
pub(crate) struct WriteArgs {
    /// Let it expire after this long, such as 10m or 1h30m
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) ttl: Option<Duration>,
    /// How many replicas to wait for: one is fastest, quorums of reads and writes overlap
    #[arg(
        long,
        value_name = "HOW MANY",
        env = "KADMAP_CONSISTENCY",
        hide_env_values = true,
        default_value = "quorum"
    )]
    pub(crate) consistency: ConsistencyName,
}

/// Remove what is under a name; that nothing is there is no error
#[derive(Debug, Args)]
pub(crate) struct RmArgs {
    /// The name
    pub(crate) name: OsString,
    /// Remove only one field of the map under the name
    #[arg(long, value_name = "FIELD")]
    pub(crate) field: Option<String>,
    /// Remove only one item of the list under the name, by the id that `items` tells; it must be there
    #[arg(long, value_name = "ID", conflicts_with_all = ["field", "if_version"])]
    pub(crate) item: Option<Stamp>,
    /// Only if the record is at this version, which `get --json` and `put --json` tell
    #[arg(long, value_name = "VERSION")]
    pub(crate) if_version: Option<Version>,
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

/// List the names that the node holds, or all of the swarm's
#[derive(Debug, Args)]
#[command(after_help = KEYS_HELP)]
pub(crate) struct KeysArgs {
    /// All names of the swarm, as they are found
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
}

/// Print what becomes of a name, as it happens
#[derive(Debug, Args)]
#[command(after_help = WATCH_HELP)]
pub(crate) struct WatchArgs {
    /// The name
    pub(crate) name: OsString,
    /// Leave out what is there when the watch begins
    #[arg(long)]
    pub(crate) no_initial: bool,
    /// End after so many lines
    #[arg(long, short, value_name = "LINES", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// End after this long
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) r#for: Option<Duration>,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
}

/// List the nodes that the node knows
#[derive(Debug, Args)]
pub(crate) struct PeersArgs {
    #[command(flatten)]
    pub(crate) node: NodeArgs,
}

/// Find the nodes closest to a name or key
#[derive(Debug, Args)]
pub(crate) struct LookupArgs {
    /// A name, or a key as 64 hexadecimal digits
    pub(crate) target: OsString,
    /// Tell every request it took
    #[arg(long)]
    pub(crate) trace: bool,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
}

/// Tell how the node is
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) node: NodeArgs,
}

/// Measure the round trip to the node
#[derive(Debug, Args)]
pub(crate) struct PingArgs {
    /// So many pings, one after the other
    #[arg(long, short, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) count: u32,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
}

/// Watch a swarm do its job: write, kill half of the nodes, read everything back
#[derive(Debug, Args)]
#[command(after_help = DEMO_HELP)]
pub(crate) struct DemoArgs {
    /// So many nodes
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(2..=1024))]
    pub(crate) nodes: u32,
    /// So many keys
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) keys: u32,
}

/// Print the completions of a shell
#[derive(Debug, Args)]
#[command(after_help = "For example: kadmap completions bash > /etc/bash_completion.d/kadmap")]
pub(crate) struct CompletionsArgs {
    /// The shell
    pub(crate) shell: Shell,
}
