//! Where a simulated node answers: four bytes, from which its id follows.

use std::fmt;

use kadmap_core::{Address, Contact, ID_BYTES, NodeId};

/// Spreads the bits of a word over all of it: the finaliser of SplitMix64 (Steele et al., 2014).
pub(crate) const fn spread(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// Undoes [`spread`].
const fn gather(word: u64) -> u64 {
    let word = (word ^ (word >> 31) ^ (word >> 62)).wrapping_mul(inverse(0x94d0_49bb_1331_11eb));
    let word = (word ^ (word >> 27) ^ (word >> 54)).wrapping_mul(inverse(0xbf58_476d_1ce4_e5b9));
    word ^ (word >> 30) ^ (word >> 60)
}

/// Keeps neighbouring numbers apart before they are spread: 2^64 divided by the golden ratio, odd.
const GOLDEN_RATIO: u64 = 0x9e37_79b9_7f4a_7c15;

/// What undoes the multiplication with an odd number modulo 2^64: Newton's iteration, each step of which doubles the
/// number of right bits, from three.
pub(crate) const fn inverse(odd: u64) -> u64 {
    let mut inverse = odd;
    let mut step = 0;
    while step < 5 {
        inverse = inverse.wrapping_mul(2u64.wrapping_sub(odd.wrapping_mul(inverse)));
        step += 1;
    }
    inverse
}

/// The address of a simulated node; it stands for its key pair as well.
///
/// A real id is the hash of a public key: nobody chooses it, but an attacker may draw keys until one suits.
/// So it is here with addresses. And as the id follows from the address, a routing table keeps four bytes for a contact
/// instead of 48, which is what lets one process hold a large swarm.
///
/// ```
/// use kadmap_sim::SimAddress;
/// assert_ne!(SimAddress(1).id(), SimAddress(2).id());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SimAddress(pub u32);

impl SimAddress {
    /// The id that goes with the address.
    pub fn id(self) -> NodeId {
        let mut bytes = [0; ID_BYTES];
        for (at, chunk) in (0..).zip(bytes.as_chunks_mut::<8>().0) {
            *chunk = self.id_word(at).to_be_bytes();
        }
        NodeId::from_bytes(bytes)
    }

    /// Eight bytes of the id: the first, second, third or fourth eight.
    fn id_word(self, at: u64) -> u64 {
        spread((u64::from(self.0) << 2 | at).wrapping_add(1).wrapping_mul(GOLDEN_RATIO))
    }

    /// The address that has this id; any address for an id that none has.
    ///
    /// Undoes what [`id_word`](Self::id_word) does to the first word, each step of which can be undone.
    pub(crate) fn of_id(id: &NodeId) -> Self {
        let word = gather(u64::from_be_bytes(std::array::from_fn(|at| id.as_bytes()[at])));
        let counted = word.wrapping_mul(inverse(GOLDEN_RATIO)).wrapping_sub(1);
        Self((counted >> 2) as u32)
    }

    /// Id and address.
    pub fn contact(self) -> Contact<Self> {
        Contact { id: self.id(), address: self }
    }
}

impl fmt::Display for SimAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:08x}", self.0)
    }
}

impl Address for SimAddress {
    type Packed = Self;
    /// As long as an IPv4 address with its port, so that counted bytes are those of a real swarm.
    type Wire = [u8; 6];

    const FIRST: Self = Self(0);

    /// A packed contact has the id that follows from its address, whoever packs it.
    fn of_own(own: &NodeId) -> Self {
        Self::of_id(own)
    }

    fn is_dialable(&self) -> bool {
        true
    }

    fn pack(contact: Contact<Self>) -> Self {
        debug_assert_eq!(contact.id, contact.address.id(), "ids follow from addresses");
        contact.address
    }

    fn unpack(packed: &Self) -> Contact<Self> {
        packed.contact()
    }

    fn is_packed(packed: &Self, id: &NodeId) -> bool {
        // One computation for all contacts that are searched through, and comparisons of four bytes.
        *packed == Self::of_id(id)
    }

    fn to_wire(&self) -> [u8; 6] {
        let [a, b, c, d] = self.0.to_be_bytes();
        [a, b, c, d, 0, 0]
    }

    fn from_wire(bytes: &[u8]) -> Option<Self> {
        let (address, _) = bytes.split_first_chunk::<4>()?;
        Some(Self(u32::from_be_bytes(*address)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_differ_and_spread_over_the_space() {
        let ids: BTreeSet<_> = (0..10_000).map(|n| SimAddress(n).id()).collect();
        assert_eq!(ids.len(), 10_000);
        for bit in [0, 1, 63, 64, 127, 255] {
            let ones = ids.iter().filter(|id| id.key().bit(bit)).count();
            assert!((4_700..5_300).contains(&ones), "bit {bit}: {ones}");
        }
    }

    #[test]
    fn an_id_leads_back_to_its_address() {
        for address in (0..1_000).chain([u32::MAX, 0x8000_0000]).map(SimAddress) {
            assert_eq!(SimAddress::of_id(&address.id()), address);
        }
    }

    #[test]
    fn an_address_survives_the_wire() {
        assert_eq!(SimAddress::from_wire(&SimAddress(77).to_wire()), Some(SimAddress(77)));
    }
}
