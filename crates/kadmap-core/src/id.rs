//! Ids, keys and the XOR metric between them.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Bytes in an id, a key or a distance: 256 bits.
pub const ID_BYTES: usize = 32;
/// Bits in an id, a key or a distance.
pub const ID_BITS: usize = ID_BYTES * 8;

/// A place in the 256-bit space: where a record belongs, or what a lookup aims at.
///
/// ```
/// use kadmap_core::Key;
/// let key = Key::of_name(b"colour");
/// assert_eq!(key, Key::of_name(b"colour"));
/// assert_eq!(key.to_string().parse::<Key>().unwrap(), key);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key([u8; ID_BYTES]);

/// The identity of a node: BLAKE3 of its public key, so nobody chooses an id freely.
///
/// ```
/// use kadmap_core::NodeId;
/// let id = NodeId::of_public_key(b"the 32 bytes of an Ed25519 public key");
/// assert_eq!(id.to_string().len(), 64);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct NodeId([u8; ID_BYTES]);

/// The XOR of two places, ordered as a big-endian number (Kademlia paper, section 2.1).
///
/// ```
/// use kadmap_core::Key;
/// let (a, b) = (Key::of_name(b"a"), Key::of_name(b"b"));
/// assert_eq!(a.distance(&b), b.distance(&a));
/// assert!(a.distance(&a).is_zero());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Distance([u8; ID_BYTES]);

/// Ids sort as big-endian numbers. Almost always the first word decides, and comparing it costs a fifth of a call
/// that compares all bytes.
macro_rules! order_by_words {
    ($type:ident) => {
        impl Ord for $type {
            fn cmp(&self, other: &Self) -> Ordering {
                first_word(&self.0).cmp(&first_word(&other.0)).then_with(|| self.0.cmp(&other.0))
            }
        }
        impl PartialOrd for $type {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }
    };
}
order_by_words!(Key);
order_by_words!(NodeId);
order_by_words!(Distance);

/// The first 64 bits of an id, in its order.
fn first_word(bytes: &[u8; ID_BYTES]) -> u64 {
    u64::from_be_bytes(std::array::from_fn(|at| bytes[at]))
}

/// Why a text is not an id or a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("expected 64 hexadecimal digits, got {digits} characters of which {bad} are not hexadecimal")]
pub struct ParseIdError {
    /// Characters in the text.
    pub digits: usize,
    /// Characters that are not hexadecimal digits.
    pub bad: usize,
}

impl Key {
    /// The smallest key: all bits zero.
    pub const MIN: Self = Self([0; ID_BYTES]);
    /// The largest key: all bits one.
    pub const MAX: Self = Self([0xff; ID_BYTES]);

    /// The key with exactly these bytes, most significant first.
    pub const fn from_bytes(bytes: [u8; ID_BYTES]) -> Self {
        Self(bytes)
    }

    /// The default place of a name: its BLAKE3 hash.
    pub fn of_name(name: &[u8]) -> Self {
        Self(*blake3::hash(name).as_bytes())
    }

    /// The place of a name in a swarm with a secret: its BLAKE3 hash keyed by `place_key`,
    /// so that nobody outside can compute where a name lives.
    pub fn of_name_keyed(place_key: &[u8; 32], name: &[u8]) -> Self {
        Self(*blake3::keyed_hash(place_key, name).as_bytes())
    }

    /// The bytes of this key, most significant first.
    pub const fn as_bytes(&self) -> &[u8; ID_BYTES] {
        &self.0
    }

    /// The first 64 bits, in the order of keys.
    pub(crate) fn first_word(&self) -> u64 {
        first_word(&self.0)
    }

    /// The XOR distance from here to `other`.
    pub fn distance(&self, other: &Self) -> Distance {
        Distance(std::array::from_fn(|i| self.0[i] ^ other.0[i]))
    }

    /// The number of leading bits that both keys share, 0 to 256.
    pub fn common_prefix_bits(&self, other: &Self) -> usize {
        self.distance(other).leading_zero_bits()
    }

    /// The bit at `index`, counted from the most significant; `false` past the end.
    pub fn bit(&self, index: usize) -> bool {
        self.0.get(index / 8).is_some_and(|byte| byte & (0x80 >> (index % 8)) != 0)
    }

    /// This key with the bit at `index` set to `value`; unchanged when `index` is past the end.
    #[must_use]
    pub fn with_bit(mut self, index: usize, value: bool) -> Self {
        if let Some(byte) = self.0.get_mut(index / 8) {
            let mask = 0x80 >> (index % 8);
            if value { *byte |= mask } else { *byte &= !mask }
        }
        self
    }

    /// The first key of the subtree that shares this key's first `prefix_bits` bits.
    #[must_use]
    pub fn subtree_first(&self, prefix_bits: usize) -> Self {
        (prefix_bits..ID_BITS).fold(*self, |key, bit| key.with_bit(bit, false))
    }

    /// The last key of the subtree that shares this key's first `prefix_bits` bits.
    #[must_use]
    pub fn subtree_last(&self, prefix_bits: usize) -> Self {
        (prefix_bits..ID_BITS).fold(*self, |key, bit| key.with_bit(bit, true))
    }

    /// The key before this one, or `None` at the start of the space.
    #[must_use]
    pub fn predecessor(&self) -> Option<Self> {
        let mut bytes = self.0;
        for byte in bytes.iter_mut().rev() {
            let (before, borrow) = byte.overflowing_sub(1);
            *byte = before;
            if !borrow {
                return Some(Self(bytes));
            }
        }
        None
    }

    /// The key after this one, or `None` at the end of the space.
    #[must_use]
    pub fn successor(&self) -> Option<Self> {
        let mut bytes = self.0;
        for byte in bytes.iter_mut().rev() {
            let (next, carry) = byte.overflowing_add(1);
            *byte = next;
            if !carry {
                return Some(Self(bytes));
            }
        }
        None
    }
}

impl NodeId {
    /// The id with exactly these bytes; for ids read from the wire or from disk.
    pub const fn from_bytes(bytes: [u8; ID_BYTES]) -> Self {
        Self(bytes)
    }

    /// The id that a public key proves.
    pub fn of_public_key(public_key: &[u8]) -> Self {
        Self(*blake3::hash(public_key).as_bytes())
    }

    /// The bytes of this id, most significant first.
    pub const fn as_bytes(&self) -> &[u8; ID_BYTES] {
        &self.0
    }

    /// The place of this node in the key space.
    pub const fn key(&self) -> Key {
        Key(self.0)
    }

    /// The XOR distance from this node to a place.
    pub fn distance(&self, key: &Key) -> Distance {
        self.key().distance(key)
    }

    /// The first eight hexadecimal digits: enough for a person to tell nodes apart.
    pub fn short(&self) -> String {
        self.to_string()[..8].to_owned()
    }
}

impl Distance {
    /// The first 64 bits, in the order of distances.
    pub(crate) fn first_word(&self) -> u64 {
        first_word(&self.0)
    }

    /// The bytes of the distance, most significant first.
    pub const fn as_bytes(&self) -> &[u8; ID_BYTES] {
        &self.0
    }

    /// Whether the two places are the same.
    pub fn is_zero(&self) -> bool {
        self.0 == [0; ID_BYTES]
    }

    /// The number of leading zero bits, 0 to 256: how long a prefix the two places share.
    pub fn leading_zero_bits(&self) -> usize {
        match self.0.iter().position(|&byte| byte != 0) {
            Some(index) => index * 8 + self.0[index].leading_zeros() as usize,
            None => ID_BITS,
        }
    }
}

fn write_hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

fn parse_hex(text: &str) -> Result<[u8; ID_BYTES], ParseIdError> {
    let error = || ParseIdError {
        digits: text.chars().count(),
        bad: text.chars().filter(|c| !c.is_ascii_hexdigit()).count(),
    };
    if text.len() != ID_BYTES * 2 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(error());
    }
    let mut bytes = [0; ID_BYTES];
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digits = std::str::from_utf8(digits).map_err(|_| error())?;
        *byte = u8::from_str_radix(digits, 16).map_err(|_| error())?;
    }
    Ok(bytes)
}

macro_rules! hex_text {
    ($type:ident) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex(&self.0, f)
            }
        }
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($type), "("))?;
                write_hex(&self.0[..4], f)?;
                write!(f, "..)")
            }
        }
        impl FromStr for $type {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                parse_hex(text).map(Self)
            }
        }
    };
}
hex_text!(Key);
hex_text!(NodeId);
hex_text!(Distance);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_key() -> impl Strategy<Value = Key> {
        any::<[u8; ID_BYTES]>().prop_map(Key::from_bytes)
    }

    proptest! {
        #[test]
        fn distance_is_a_metric_and_unidirectional(a in any_key(), b in any_key(), c in any_key()) {
            prop_assert!(a.distance(&a).is_zero());
            prop_assert_eq!(a.distance(&b), b.distance(&a));
            prop_assert_eq!(a == b, a.distance(&b).is_zero());
            // XOR of two legs is the third side, which is never longer than their sum.
            let through = Key(a.distance(&b).0).distance(&Key(b.distance(&c).0));
            prop_assert_eq!(through, a.distance(&c));
            // For a point and a distance there is exactly one other point.
            let other = Key(a.distance(&Key(b.distance(&a).0)).0);
            prop_assert_eq!(other, b);
        }

        #[test]
        fn a_longer_common_prefix_is_a_shorter_distance(a in any_key(), b in any_key(), c in any_key()) {
            if a.common_prefix_bits(&b) > a.common_prefix_bits(&c) {
                prop_assert!(a.distance(&b) < a.distance(&c));
            }
        }

        #[test]
        fn text_round_trips(a in any_key()) {
            prop_assert_eq!(a.to_string().parse::<Key>(), Ok(a));
        }

        #[test]
        fn subtrees_hold_exactly_the_keys_of_their_prefix(a in any_key(), b in any_key(), bits in 0..=ID_BITS) {
            let inside = (a.subtree_first(bits)..=a.subtree_last(bits)).contains(&b);
            prop_assert_eq!(inside, a.common_prefix_bits(&b) >= bits);
        }

        #[test]
        fn the_successor_is_next_in_order(a in any_key()) {
            if let Some(next) = a.successor() {
                prop_assert!(next > a);
                prop_assert_eq!(next.predecessor(), Some(a));
            }
        }
    }

    #[test]
    fn the_largest_key_has_no_successor() {
        assert_eq!(Key::MAX.successor(), None);
    }

    #[test]
    fn bad_text_is_named() {
        let error = "xyz".parse::<NodeId>().unwrap_err();
        assert_eq!(error, ParseIdError { digits: 3, bad: 3 });
    }
}
