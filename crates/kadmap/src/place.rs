//! Where names live: the hash function, the user's or the default one.

use std::fmt;
use std::sync::Arc;

use kadmap_core::{Key, RecordId};

/// What a user's hash function says of a name.
///
/// ```
/// use kadmap::{Key, Place};
/// assert_ne!(Place::Hashed(b"colour".to_vec()), Place::Exact(Key::MIN));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// These bytes are hashed once more; names with equal bytes live on the same nodes.
    Hashed(Vec<u8>),
    /// This is the place itself.
    Exact(Key),
}

type PlaceFn = dyn Fn(&[u8]) -> Place + Send + Sync;

/// The places of a swarm's names.
#[derive(Clone, Default)]
pub(crate) struct Places {
    /// In a swarm with a secret, hashes are keyed by it.
    place_key: Option<[u8; 32]>,
    function: Option<Arc<PlaceFn>>,
}

impl Places {
    pub(crate) fn set_key(&mut self, key: [u8; 32]) {
        self.place_key = Some(key);
    }

    pub(crate) fn set_function(&mut self, function: impl Fn(&[u8]) -> Place + Send + Sync + 'static) {
        self.function = Some(Arc::new(function));
    }

    /// The key that a place means.
    pub(crate) fn key_at(&self, place: &Place) -> Key {
        match place {
            Place::Hashed(bytes) => self.hash(bytes),
            Place::Exact(key) => *key,
        }
    }

    /// The record of a name.
    pub(crate) fn record(&self, name: &[u8]) -> RecordId {
        let key = match &self.function {
            None => self.hash(name),
            Some(function) => self.key_at(&function(name)),
        };
        RecordId::new(key, name.to_vec())
    }

    fn hash(&self, bytes: &[u8]) -> Key {
        match &self.place_key {
            Some(place_key) => Key::of_name_keyed(place_key, bytes),
            None => Key::of_name(bytes),
        }
    }
}

impl fmt::Debug for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Places")
            .field("keyed", &self.place_key.is_some())
            .field("function", &self.function.as_ref().map(|_| ".."))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_moves_every_name_and_a_function_may_keep_families_together() {
        let plain = Places::default();
        let mut keyed = Places::default();
        keyed.set_key([7; 32]);
        assert_ne!(plain.record(b"colour").key, keyed.record(b"colour").key);
        let mut family = Places::default();
        family.set_function(|name| Place::Hashed(name[..2].to_vec()));
        let (one, two) = (family.record(b"my_key"), family.record(b"my_kitten"));
        assert_eq!(one.key, two.key);
        assert_ne!(one, two);
        assert_eq!(keyed.key_at(&Place::Hashed(b"colour".to_vec())), keyed.record(b"colour").key);
        assert_eq!(keyed.key_at(&Place::Exact(Key::MAX)), Key::MAX);
    }
}
