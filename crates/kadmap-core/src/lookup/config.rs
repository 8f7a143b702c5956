//! What one lookup is to find and how hard it may try.

/// Candidates heard in one answer that a lookup considers, as a multiple of what it wants: honest nodes send
/// as many as are wanted.
pub(super) const HEARD_PER_WANTED: usize = 2;
/// Candidates that one path remembers, as a multiple of what the lookup wants. Those past the wanted ones
/// are reserves for dead and slow nodes: with four times as many, three quarters may be dead.
pub(super) const SHORTLIST_PER_WANTED: usize = 4;
/// Requests that a path may always send, beyond those for a full shortlist: hops on the way and, for lookups
/// that want few nodes, some dead ones.
pub(super) const REQUESTS_PER_PATH_MIN: usize = 32;

/// Width, parallelism and paths of a [`Lookup`](crate::Lookup).
///
/// ```
/// use kadmap_core::LookupConfig;
/// let paranoid = LookupConfig { disjoint_paths: 8, ..LookupConfig::default() };
/// assert_eq!(paranoid.requests_max(), 8 * (4 * 20 + 32));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookupConfig {
    /// How many of the closest nodes to find, and the width of every path's shortlist (k or r), at least 1;
    /// 20. Below about 8 a path has little to fall back on when nodes are dead or lie.
    pub want: usize,
    /// Requests under way at once while the lookup is still approaching (alpha), over all paths, at least one
    /// per path; 3 as in the Kademlia paper.
    pub parallelism: usize,
    /// Requests under way at once for a path whose last answer named nobody closer, so that it has arrived
    /// and only has to ask the rest of its closest; 10. Costs hardly a request more and saves round trips.
    pub parallelism_arrived: usize,
    /// Paths that share no node they learn from (d), at least 1, at most one per seed; 4. With 8 a quarter of
    /// colluding liars is harmless, for about 1.4 times the requests (S/Kademlia, section 4.4).
    pub disjoint_paths: usize,
    /// Answers below which slow nodes are still awaited rather than passed over, at most `want`; 10, a quorum
    /// of 20. Keeps a lookup in a tiny or stalled swarm from ending with nothing.
    pub answers_min: usize,
    /// Whether the seeds are known to hold all the closest nodes; then nobody is asked.
    pub seeds_known_complete: bool,
}

impl Default for LookupConfig {
    fn default() -> Self {
        Self {
            want: 20,
            parallelism: 3,
            parallelism_arrived: 10,
            disjoint_paths: 4,
            answers_min: 10,
            seeds_known_complete: false,
        }
    }
}

impl LookupConfig {
    /// The most requests that a lookup ever sends, whatever it is answered:
    /// `disjoint_paths * (4 * want + 32)`.
    pub fn requests_max(&self) -> usize {
        self.disjoint_paths.max(1).saturating_mul(self.requests_per_path_max())
    }

    pub(super) fn requests_per_path_max(&self) -> usize {
        self.shortlist_max().saturating_add(REQUESTS_PER_PATH_MIN)
    }

    pub(super) fn shortlist_max(&self) -> usize {
        self.want.max(1).saturating_mul(SHORTLIST_PER_WANTED)
    }

    pub(super) fn heard_max(&self) -> usize {
        self.want.max(1).saturating_mul(HEARD_PER_WANTED)
    }
}
