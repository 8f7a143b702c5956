//! Ids that an asker has heard of already, in two bytes each.

use bytes::Bytes;
use minicbor::{Decode, Encode};

use crate::{ID_BYTES, NodeId};

/// Bytes of an id by which it is told apart here.
const PRINT_BYTES: usize = 2;
/// Bytes at the beginning of an id that are never used: ids close to one place begin alike.
const ALIKE_BYTES: usize = 8;
/// Ids looked at in one request; what is beyond is ignored, and told again.
const KNOWN_MAX: usize = 128;

/// Ids that an asker has heard of already, so that nobody has to tell it of them again.
///
/// Two bytes of each id, at a place drawn anew for each request: another id passes for one of `n` known ones with
/// probability `n / 65536`, and then not again at the next place. Nobody can choose an id that always does.
///
/// ```
/// use kadmap_core::{NodeId, wire::KnownIds};
/// let [red, sky] = [b"red", b"sky"].map(|key| NodeId::of_public_key(key));
/// let known = KnownIds::new([red], 7);
/// assert_eq!([known.covers(&red), known.covers(&sky)], [true, false]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct KnownIds(
    /// The place of the bytes in each id, then those of one id after the other.
    #[cbor(with = "crate::record::cbor_bytes")]
    Bytes,
);

impl KnownIds {
    /// These ids, told apart by the bytes at a place that follows from a number drawn at random.
    pub fn new(ids: impl IntoIterator<Item = NodeId>, drawn: u64) -> Self {
        let places = (ID_BYTES - PRINT_BYTES - ALIKE_BYTES) as u64 + 1;
        let place = ALIKE_BYTES + (drawn % places) as usize;
        let prints = ids.into_iter().flat_map(|id| print(&id, place));
        Self(std::iter::once(place as u8).chain(prints).collect())
    }

    /// Whether an id is one of them, or looks like one.
    pub fn covers(&self, id: &NodeId) -> bool {
        let Some((&place, prints)) = self.0.split_first() else { return false };
        let place = usize::from(place);
        // A place past the end tells nothing.
        if place > ID_BYTES - PRINT_BYTES {
            return false;
        }
        let (prints, _) = prints.as_chunks::<PRINT_BYTES>();
        prints.iter().take(KNOWN_MAX).any(|known| *known == print(id, place))
    }
}

fn print(id: &NodeId, place: usize) -> [u8; PRINT_BYTES] {
    let bytes = id.as_bytes();
    std::array::from_fn(|at| bytes[place + at])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Key;
    use crate::wire::{Body, FindNode, Message, Request, decode, encode};

    fn id(number: u32) -> NodeId {
        NodeId::of_public_key(&number.to_be_bytes())
    }

    #[test]
    fn known_ids_are_covered_wherever_the_place_and_hardly_any_others() {
        for drawn in 0..50 {
            let known = KnownIds::new((0..20).map(id), drawn);
            assert!((0..20).all(|number| known.covers(&id(number))));
            let others = (20..2_020).filter(|number| known.covers(&id(*number))).count();
            assert!(others < 10, "{others} of 2,000 strangers pass for known at place {drawn}");
        }
    }

    #[test]
    fn whatever_arrives_in_their_place_covers_nothing_and_does_no_harm() {
        for bytes in [&[][..], &[31], &[31, 1, 2], &[255, 1, 2], &[8, 1]] {
            let find = FindNode {
                target: Key::of_name(b"a"),
                count: 1,
                known: Some(KnownIds(bytes.to_vec().into())),
                value: None,
            };
            let body: Body = Body::Request(Request::FindNode(find.clone()));
            let message = Message { id: 1, from_client: false, unhurried: false, body };
            let back = decode(&encode(&message)).unwrap();
            assert_eq!(back, message);
            assert!(!find.known.unwrap().covers(&id(1)));
        }
    }
}
