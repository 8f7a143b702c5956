//! What the nodes asked in a lookup tell of a record on the way: most reads need nothing more.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use crate::NodeId;
use crate::wire::{FindValue, Held, Want};

/// What was told of one record on the way to it.
pub(super) struct Gleaned {
    /// The record's name.
    name: Bytes,
    told: BTreeMap<NodeId, Held>,
    /// Who was asked for all of it and has not answered.
    fetching: Option<NodeId>,
    /// Whether one that has it was asked for all of it: it came, or is too large to come on the way.
    has_asked_holder: bool,
    /// How long the last answer took.
    pub(super) round_trip: Option<Duration>,
}

impl Gleaned {
    pub(super) fn new(name: Bytes) -> Self {
        let told = BTreeMap::new();
        Self { name, told, fetching: None, has_asked_holder: false, round_trip: None }
    }

    /// What to ask a node along with whom it knows: one at a time for all of the record, until one has it.
    pub(super) fn ask(&mut self, id: NodeId) -> FindValue {
        let is_wanted = self.fetching.is_none() && !self.has_asked_holder;
        if is_wanted {
            self.fetching = Some(id);
        }
        let want = if is_wanted { Want::Record } else { Want::Summary };
        FindValue { name: self.name.clone(), want }
    }

    pub(super) fn answered(&mut self, id: NodeId, held: Option<&Held>, round_trip: Duration) {
        self.round_trip = Some(round_trip);
        let was_wanted = self.fetching.take_if(|asked| *asked == id).is_some();
        if let Some(held) = held {
            self.has_asked_holder |= was_wanted && !held.version.is_absent();
            self.told.insert(id, held.clone());
        }
    }

    /// Takes note that a node does not answer for now.
    pub(super) fn passed_over(&mut self, id: &NodeId) {
        self.fetching.take_if(|asked| asked == id);
    }

    pub(super) fn of(&self, id: &NodeId) -> Option<&Held> {
        self.told.get(id)
    }

    pub(super) fn take(&mut self, id: &NodeId) -> Option<Held> {
        self.told.remove(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Version;

    const ROUND_TRIP: Duration = Duration::from_millis(1);

    fn held(version: Version) -> Held {
        Held { version, record: None }
    }

    #[test]
    fn all_of_a_record_is_asked_of_one_node_at_a_time_until_one_has_it() {
        let [red, sky, sea] = [b"red", b"sky", b"sea"].map(|key| NodeId::of_public_key(key));
        let mut gleaned = Gleaned::new("colour".into());
        assert_eq!(gleaned.ask(red).want, Want::Record);
        assert_eq!(gleaned.ask(sky).want, Want::Summary);
        gleaned.answered(sky, Some(&held(Version::ABSENT)), ROUND_TRIP);
        assert_eq!(gleaned.ask(sea).want, Want::Summary, "the first has not answered");
        gleaned.passed_over(&red);
        assert_eq!(gleaned.ask(red).want, Want::Record);
        gleaned.answered(red, None, ROUND_TRIP);
        assert_eq!(gleaned.ask(sky).want, Want::Record);
        let version = Version::from_bytes([1; 16]);
        gleaned.answered(sky, Some(&held(version)), ROUND_TRIP);
        assert_eq!(gleaned.ask(sea).want, Want::Summary, "one that has it was asked for all of it");
        assert_eq!(gleaned.of(&sky), Some(&held(version)));
        assert_eq!(gleaned.of(&red), None);
        assert_eq!(gleaned.take(&sky), Some(held(version)));
    }
}
