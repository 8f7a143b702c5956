//! Which nodes a key belongs to, for who sees the whole swarm.

use kadmap_core::{ID_BITS, Key, NodeId};

use crate::{NodeIndex, Sim};

/// The running nodes in the order of their ids: what is closest to a key is found without looking at all of them.
///
/// ```
/// use kadmap_sim::{Link, Neighbourhood, Sim};
/// let mut sim = Sim::new(1, Link::lan());
/// let nodes = sim.grow(5, std::time::Duration::from_millis(1));
/// let closest = Neighbourhood::of(&sim).closest(&kadmap_core::Key::of_name(b"colour"), 3);
/// assert_eq!(closest.len(), 3);
/// ```
#[derive(Debug, Clone)]
pub struct Neighbourhood(Vec<(NodeId, NodeIndex)>);

impl Neighbourhood {
    /// That of all nodes that run now.
    pub fn of(sim: &Sim) -> Self {
        let up = sim.up().into_iter();
        let mut all: Vec<_> = up.filter_map(|index| Some((sim.node(index)?.id(), index))).collect();
        all.sort_unstable();
        Self(all)
    }

    /// The `count` nodes closest to a key, nearest first.
    pub fn closest(&self, key: &Key, count: usize) -> Vec<NodeIndex> {
        let mut rest = &self.0[..];
        // The subtree around the key that still has enough.
        for bit in 0..ID_BITS {
            let ones = rest.partition_point(|(id, _)| !id.key().bit(bit));
            let same = if key.bit(bit) { &rest[ones..] } else { &rest[..ones] };
            if same.len() < count {
                break;
            }
            rest = same;
        }
        let mut closest: Vec<_> = rest.iter().map(|(id, index)| (id.distance(key), *index)).collect();
        closest.sort_unstable();
        closest.truncate(count);
        closest.into_iter().map(|(_, index)| index).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SimAddress;

    #[test]
    fn the_closest_are_those_that_a_look_at_all_finds() {
        let mut all: Vec<_> = (0..300).map(|n| (SimAddress(n).id(), NodeIndex(n))).collect();
        all.sort_unstable();
        let neighbourhood = Neighbourhood(all.clone());
        for target in (1_000..1_050).map(|n| SimAddress(n).id().key()) {
            let mut ranked: Vec<_> = all.iter().map(|(id, index)| (id.distance(&target), *index)).collect();
            ranked.sort_unstable();
            let closest: Vec<_> = ranked.iter().take(20).map(|(_, index)| *index).collect();
            assert_eq!(neighbourhood.closest(&target, 20), closest);
        }
        assert_eq!(neighbourhood.closest(&SimAddress(1).id().key(), 500).len(), 300);
    }
}
