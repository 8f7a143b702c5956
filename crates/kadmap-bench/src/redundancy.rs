//! How many nodes hold a record and how many are waited for.

use kadmap::{Consistency, Dht, DhtBuilder};
use serde::{Deserialize, Serialize};

use crate::Waits;

/// Replicas of each record and how many of them are waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Redundancy {
    pub(crate) replication: usize,
    pub(crate) waits: Waits,
}

impl Redundancy {
    /// What nodes do unless told otherwise.
    pub(crate) const DEFAULT: Self = Self { replication: 20, waits: Waits::Quorum };
    /// What the fastest of other systems do.
    pub(crate) const LIGHT: Self = Self { replication: 8, waits: Waits::One };

    /// The settings of a node with this redundancy.
    pub(crate) fn builder(self) -> DhtBuilder {
        Dht::builder().replication(self.replication).consistency(Consistency::from(self.waits))
    }
}

impl std::fmt::Display for Redundancy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let waits = match self.waits {
            Waits::One => "one",
            Waits::Quorum => "quorum",
            Waits::All => "all",
        };
        write!(f, "r={} {waits}", self.replication)
    }
}
