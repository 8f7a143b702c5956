//! Everything that can be set, with its default, its range and why.

use std::time::Duration;

use crate::lookup::LookupConfig;
use crate::routing::TableConfig;
use crate::rtt::TimeoutConfig;

/// What a node is to the swarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Role {
    /// Serves requests, holds records and stands in routing tables.
    #[default]
    Member,
    /// Only asks: short-lived programs such as the command line's verbs.
    Client,
}

/// How many of the responsible nodes an operation waits for.
///
/// With n responsible nodes that exist, n at most the replication: a quorum of writers is two thirds of n rounded down,
/// but more than half, a quorum of readers is n minus that plus 1, so that every reader meets every acknowledged writer
/// (Gifford, 1979).
/// Two thirds rather than half, because a write goes to all n in any case, reads are the more frequent, and an
/// acknowledged write is then safer.
///
/// ```
/// use kadmap_core::Consistency;
/// assert_eq!(Consistency::Quorum.writes_needed(20), 13);
/// assert_eq!(Consistency::Quorum.reads_needed(20), 8);
/// assert_eq!(Consistency::Quorum.writes_needed(1), 1);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub enum Consistency {
    /// The first one: fastest, may read what is not the newest.
    One,
    /// Enough that reads and writes overlap.
    #[default]
    Quorum,
    /// Every one.
    All,
}

impl Consistency {
    /// Acknowledgements a write needs among `nodes` responsible nodes; at least one.
    pub fn writes_needed(self, nodes: usize) -> usize {
        match self {
            Self::One => 1,
            Self::Quorum => (2 * nodes / 3).max(nodes / 2 + 1),
            Self::All => nodes.max(1),
        }
    }

    /// Answers a read needs among `nodes` responsible nodes; at least one.
    pub fn reads_needed(self, nodes: usize) -> usize {
        match self {
            Self::One => 1,
            Self::Quorum => nodes + 1 - self.writes_needed(nodes).min(nodes),
            Self::All => nodes.max(1),
        }
    }
}

/// The bounds a node puts on what it takes; each refusal is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes in a name: default 1 KiB, at least 1.
    pub name_bytes_max: usize,
    /// Bytes in one value, item or field: default 1 MiB; up to 16 MiB is tested.
    pub value_bytes_max: usize,
    /// Bytes of one record with its items and their upkeep: default 64 MiB. A whole record travels in one
    /// answer, so this also bounds a frame.
    pub record_bytes_max: u64,
    /// Bytes the store holds in all, upkeep included: default 4 GiB.
    pub store_bytes_max: u64,
    /// Contacts in one answer: default 20, the bucket size; more would not fit the smallest packet.
    pub contacts_per_answer_max: usize,
    /// Names in one page: default 512.
    pub names_per_page_max: usize,
    /// Operations of this node's own user in flight: default 65,536; beyond it they are refused as busy.
    pub operations_max: usize,
    /// Records this node's own user watches: default 16,384, some 4 KB each.
    pub watches_max: usize,
    /// Watches of others that this node tells of changes, one for each watcher of each record: default 65,536, some
    /// 0.4 KB each.
    pub watchers_max: usize,
    /// The same of one peer: default 16,384.
    pub watchers_per_peer_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            name_bytes_max: 1024,
            value_bytes_max: 1024 * 1024,
            record_bytes_max: 64 * 1024 * 1024,
            store_bytes_max: 4 * 1024 * 1024 * 1024,
            contacts_per_answer_max: 20,
            names_per_page_max: 512,
            operations_max: 65_536,
            watches_max: 16_384,
            watchers_max: 65_536,
            watchers_per_peer_max: 16_384,
        }
    }
}

/// How a node behaves.
///
/// ```
/// let config = kadmap_core::Config::default();
/// assert_eq!(config.replication, 20);
/// ```
#[derive(Debug, Clone)]
pub struct Config {
    /// Member or client: default member.
    pub role: Role,
    /// Nodes that hold each record (r): default 20, from 1 to 64.
    pub replication: usize,
    /// How many of them an operation waits for unless it says otherwise: default quorum.
    pub consistency: Consistency,
    /// Shape of the routing table.
    pub table: TableConfig,
    /// Lookup requests in flight (alpha): default 3, from 1 to 10. The paper's value.
    pub parallelism: usize,
    /// Disjoint paths of a lookup (d): default 4, from 1 to 16. See RELIABILITY in the project's notes: at 25%
    /// liars d = 4 finds an honest holder in 99% of lookups, for 15% more messages.
    pub disjoint_paths: usize,
    /// When a peer counts as slow and when as silent.
    pub timeouts: TimeoutConfig,
    /// Times a request is sent before its peer counts as silent: default 4, from 1 to 8. With the default
    /// floor a peer on a LAN is given up after 20 + 40 + 80 + 160 ms.
    pub attempts_max: u32,
    /// Bytes per second that a large request or answer is assumed to travel at least: default 1 MB/s; sets how long
    /// it is waited for.
    pub transfer_rate_min: u64,
    /// How long an operation may take unless it says otherwise: default 10 s.
    pub operation_timeout: Duration,
    /// How far a stamp may be ahead of a storing node's clock: default 10 s.
    pub clock_drift_max: Duration,
    /// How long copies beyond the quorum, and the answers to them, may wait to share packets with other messages:
    /// default 50 ms, from 0. Longer saves packets; a writer's crash within it leaves the record on a quorum only.
    pub background_delay: Duration,
    /// Wait before records are handed to a new or a returning node, drawn between these two, so that neighbours
    /// do not all start at once and nodes that come and go cost nothing: default 0.3 to 1 s.
    pub handover_delay: (Duration, Duration),
    /// Wait before the records of a node that fell silent are copied to the next closest: default 5 to 30 s
    /// (Rhea et al., 2004: repair at once makes congestion worse).
    pub repair_delay: (Duration, Duration),
    /// Messages with copies to other holders in flight, each of one record or of many small ones: default 64.
    pub handover_in_flight_max: usize,
    /// How often all that this node holds is compared with other holders, a quarter more or less: default 10 min, at
    /// least 1 s. With 10 minutes and r = 20 a key is lost once in 10^17 days at a median session of 60 min; with
    /// hourly repair once in 10^5 (exponential sessions; computed in RELIABILITY of the project's notes). At rest it
    /// costs a few small messages, whatever the number of records.
    pub repair_interval: Duration,
    /// Bytes a second that copies to other holders may take: default 16 MB/s, at least 1.
    pub repair_rate_max: u64,
    /// A bucket in which nothing was looked up for this long is refreshed: default 1 h, as in the paper.
    pub refresh_interval: Duration,
    /// A contact not heard from for this long, or for `repair_interval` where that is shorter, is probed:
    /// default 5 min. Whoever takes the dead for holders believes that less belongs to it than does. With
    /// sessions of an hour one probe in twelve then finds nobody, and of what a node tells others some 3% is
    /// out of date; a probe is two dozen bytes.
    pub probe_interval: Duration,
    /// A contact that fell silent is probed again after this long, and once more after four times that: default
    /// 5 s. Later, and at once where its bucket is well filled without it, it is one of those that take turns:
    /// one of them is probed in each `probe_interval`. Where so many fell silent together that it looks like a
    /// cut, each is probed again and again, with waits that double up to `probe_interval`.
    pub retry_silent_interval: Duration,
    /// Probes of contacts that others told us of, in flight: default 32.
    pub probes_in_flight_max: usize,
    /// How long tombstones are kept: default 24 h, and the same as the store's. What is dead for longer may not enter.
    pub tombstone_grace: Duration,
    /// How often expired records are swept: default 1 s when there are any.
    pub expire_interval: Duration,
    /// For how long replicas tell a watcher of changes unless it asks again, which it does in a third of it: default
    /// 3 min. A crashed watcher costs its replicas that long; a shorter lease costs the others more requests.
    pub watch_lease: Duration,
    /// What this node takes.
    pub limits: Limits,
    /// What the node says of its software in its status.
    pub software: String,
    /// What else it tells everyone who asks for its status: free text, JSON by convention. Default: empty.
    pub info: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            role: Role::Member,
            replication: 20,
            consistency: Consistency::Quorum,
            table: TableConfig::default(),
            parallelism: 3,
            disjoint_paths: 4,
            timeouts: TimeoutConfig::default(),
            attempts_max: 4,
            transfer_rate_min: 1_000_000,
            operation_timeout: Duration::from_secs(10),
            clock_drift_max: Duration::from_secs(10),
            background_delay: Duration::from_millis(50),
            handover_delay: (Duration::from_millis(300), Duration::from_secs(1)),
            repair_delay: (Duration::from_secs(5), Duration::from_secs(30)),
            handover_in_flight_max: 64,
            repair_interval: Duration::from_secs(600),
            repair_rate_max: 16_000_000,
            refresh_interval: Duration::from_secs(3600),
            probe_interval: Duration::from_secs(300),
            retry_silent_interval: Duration::from_secs(5),
            probes_in_flight_max: 32,
            tombstone_grace: Duration::from_secs(24 * 3600),
            expire_interval: Duration::from_secs(1),
            watch_lease: Duration::from_secs(180),
            limits: Limits::default(),
            software: concat!("kadmap/", env!("CARGO_PKG_VERSION")).to_owned(),
            info: String::new(),
        }
    }
}

impl Config {
    /// The lookup settings for finding `want` nodes.
    pub(crate) fn lookup(&self, seeds_known_complete: bool) -> LookupConfig {
        LookupConfig {
            // One more than the replicas, so that a scan sees where the next region begins.
            want: self.table.bucket_size.max(self.replication + 1),
            parallelism: self.parallelism,
            disjoint_paths: self.disjoint_paths,
            seeds_known_complete,
            ..LookupConfig::default()
        }
    }
}
