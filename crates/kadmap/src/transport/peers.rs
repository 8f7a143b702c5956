//! Which connections lead to which peer.

use kadmap_core::NodeId;
use rustc_hash::FxHashMap;

/// Connections kept beside the preferred one to the same peer: two nodes that dial each other at once make one, and
/// a peer that restarts leaves one behind for a while. More is somebody wasting our memory.
const SPARES_MAX: usize = 2;

/// The open connections by the id their peer proved, and the dials that wait for such a proof.
#[derive(Debug, Default)]
pub(super) struct Peers {
    open: FxHashMap<NodeId, Routes>,
    dialling: FxHashMap<NodeId, usize>,
}

#[derive(Debug)]
struct Routes {
    preferred: usize,
    /// Oldest first.
    spares: Vec<usize>,
}

impl Peers {
    /// The connection to send to `id` on.
    pub(super) fn route(&self, id: &NodeId) -> Option<usize> {
        self.open.get(id).map(|routes| routes.preferred)
    }

    /// The dial under way to `id`.
    pub(super) fn dial(&self, id: &NodeId) -> Option<usize> {
        self.dialling.get(id).copied()
    }

    /// Notes a dial under way.
    pub(super) fn begin_dial(&mut self, id: NodeId, handle: usize) {
        self.dialling.insert(id, handle);
    }

    /// Forgets the dial of `id` if it was `handle`.
    pub(super) fn end_dial(&mut self, id: &NodeId, handle: usize) {
        if self.dialling.get(id) == Some(&handle) {
            self.dialling.remove(id);
        }
    }

    /// Adds an open connection; returns one too many, to be closed.
    pub(super) fn open(&mut self, id: NodeId, handle: usize, preferred: bool) -> Option<usize> {
        let Some(routes) = self.open.get_mut(&id) else {
            self.open.insert(id, Routes { preferred: handle, spares: Vec::new() });
            return None;
        };
        let spare = if preferred { std::mem::replace(&mut routes.preferred, handle) } else { handle };
        routes.spares.push(spare);
        (routes.spares.len() > SPARES_MAX).then(|| routes.spares.remove(0))
    }

    /// Removes a connection; `true` when it was open and the last to its peer.
    pub(super) fn close(&mut self, id: &NodeId, handle: usize) -> bool {
        let Some(routes) = self.open.get_mut(id) else { return false };
        if routes.preferred != handle {
            routes.spares.retain(|spare| *spare != handle);
            return false;
        }
        match routes.spares.pop() {
            Some(spare) => {
                routes.preferred = spare;
                false
            }
            None => {
                self.open.remove(id);
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preferred_connection_is_replaced_by_the_newest_spare() {
        let id = NodeId::from_bytes([1; 32]);
        let mut peers = Peers::default();
        assert_eq!(peers.open(id, 1, true), None);
        assert_eq!(peers.open(id, 2, true), None);
        assert_eq!(peers.open(id, 3, false), None);
        assert_eq!(peers.route(&id), Some(2));
        assert_eq!(peers.open(id, 4, false), Some(1));
        assert!(!peers.close(&id, 2));
        assert_eq!(peers.route(&id), Some(4));
        assert!(!peers.close(&id, 2));
        assert!(!peers.close(&id, 3));
        assert!(peers.close(&id, 4));
        assert_eq!(peers.route(&id), None);
    }

    #[test]
    fn a_dial_is_forgotten_only_by_its_own_end() {
        let id = NodeId::from_bytes([1; 32]);
        let mut peers = Peers::default();
        peers.begin_dial(id, 7);
        peers.end_dial(&id, 8);
        assert_eq!(peers.dial(&id), Some(7));
        peers.end_dial(&id, 7);
        assert_eq!(peers.dial(&id), None);
    }
}
