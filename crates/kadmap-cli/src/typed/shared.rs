//! Flags that several verbs share.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use kadmap::{Consistency, Durability};
use serde::Deserialize;

use crate::quantity::parse_duration;

/// Whom a short verb asks, and for how long.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Swarm options")]
pub(crate) struct NodeArgs {
    /// Members to ask; the first that answers is enough
    #[arg(
        long,
        value_name = "HOST:PORT",
        env = "KADMAP_NODE",
        hide_env_values = true,
        value_delimiter = ',',
        default_value = "127.0.0.1:8339"
    )]
    pub(crate) node: Vec<String>,
    /// Give up after this long, for joining and for asking each
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "10s")]
    pub(crate) timeout: Duration,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
}

/// Proof that we belong to the swarm.
///
/// Environment and file are read in `trust`, because what is given at one level replaces what is given at the next as
/// a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Swarm options")]
pub(crate) struct TrustArgs {
    /// The swarm's secret, at least 8 bytes; others on this machine can see flags [env: KADMAP_SECRET]
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["secret_file", "ca", "cert", "key"])]
    pub(crate) secret: Option<String>,
    /// A file with the swarm's secret [env: KADMAP_SECRET_FILE]
    #[arg(long, value_name = "FILE", conflicts_with_all = ["ca", "cert", "key"])]
    pub(crate) secret_file: Option<PathBuf>,
    /// Certificates of the authority that members are certified by, PEM [env: KADMAP_CA]
    #[arg(long, value_name = "FILE", requires_all = ["cert", "key"])]
    pub(crate) ca: Option<PathBuf>,
    /// This node's certificate, PEM [env: KADMAP_CERT]
    #[arg(long, value_name = "FILE", requires_all = ["ca", "key"])]
    pub(crate) cert: Option<PathBuf>,
    /// The private key of that certificate, PEM [env: KADMAP_KEY]
    #[arg(long, value_name = "FILE", requires_all = ["ca", "cert"])]
    pub(crate) key: Option<PathBuf>,
}

/// How a value or item is to be taken.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct ValueForm {
    /// Store the bytes as they are, not as JSON
    #[arg(long)]
    pub(crate) raw: bool,
    /// Store the text as a JSON string, even if it reads as a number or other JSON
    #[arg(long, conflicts_with = "raw")]
    pub(crate) string: bool,
}

/// How many replicas to wait for.
///
/// The names have no documentation of their own: clap would spread all help over three times the lines for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ConsistencyName {
    One,
    Quorum,
    All,
}

impl From<ConsistencyName> for Consistency {
    fn from(name: ConsistencyName) -> Self {
        match name {
            ConsistencyName::One => Self::One,
            ConsistencyName::Quorum => Self::Quorum,
            ConsistencyName::All => Self::All,
        }
    }
}

/// When a write counts as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DurabilityName {
    Replicated,
    Synced,
}

impl From<DurabilityName> for Durability {
    fn from(name: DurabilityName) -> Self {
        match name {
            DurabilityName::Replicated => Self::Replicated,
            DurabilityName::Synced => Self::Synced,
        }
    }
}
