//! A short name for the state of a record.

use std::fmt;
use std::str::FromStr;

use minicbor::{Decode, Encode};

use super::{Base, Item};

/// Bytes of a version.
const VERSION_BYTES: usize = 16;
const BASE_TAG: u8 = 0;
const APPENDED_TAG: u8 = 1;
const FIELD_TAG: u8 = 2;
const REMOVED_TAG: u8 = 3;

/// The state of a record in 16 bytes: equal versions mean equal records.
///
/// It is the XOR of 128-bit BLAKE3 hashes, one for each write the record holds, so that one append changes it
/// at a cost that does not grow with the list.
/// It guards against accidents, not against a member of the swarm who forges collisions on purpose.
///
/// ```
/// use kadmap_core::Version;
/// assert!(Version::ABSENT.is_absent());
/// assert_eq!(Version::ABSENT.to_string().parse::<Version>().unwrap(), Version::ABSENT);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Version(u128);

impl Version {
    /// The version of a record that holds nothing.
    pub const ABSENT: Self = Self(0);

    /// Whether the record holds nothing, not even a tombstone.
    pub const fn is_absent(self) -> bool {
        self.0 == 0
    }

    /// Adds a base value, or takes it out again: both are the same operation.
    pub fn toggle_base(&mut self, base: &Base) {
        self.toggle(BASE_TAG, &base.stamp.to_bytes(), &[]);
    }

    /// Adds an item, or takes it out again: both are the same operation.
    pub fn toggle_item(&mut self, item: &Item) {
        let stamp = item.stamp.to_bytes();
        // Tags of their own: an appended item and a nameless field under one stamp would cancel each other out.
        match (&item.field, &item.payload) {
            (Some(field), _) => self.toggle(FIELD_TAG, &stamp, field),
            (None, Some(_)) => self.toggle(APPENDED_TAG, &stamp, &[]),
            // A removal keeps the item's stamp, so what tells the two apart, and one removal from another, is its time.
            (None, None) => {
                let at = item.expires_ms.map(u64::to_be_bytes);
                self.toggle(REMOVED_TAG, &stamp, at.as_ref().map_or(&[], |at| at.as_slice()));
            }
        }
    }

    /// The version as bytes, most significant first.
    pub const fn to_bytes(self) -> [u8; VERSION_BYTES] {
        self.0.to_be_bytes()
    }

    /// The version that [`to_bytes`](Self::to_bytes) wrote.
    pub const fn from_bytes(bytes: [u8; VERSION_BYTES]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }

    fn toggle(&mut self, tag: u8, stamp: &[u8; 16], field: &[u8]) {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&[tag]).update(stamp).update(field);
        let mut half = [0; VERSION_BYTES];
        half.copy_from_slice(&hasher.finalize().as_bytes()[..VERSION_BYTES]);
        self.0 ^= u128::from_be_bytes(half);
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Version({self})")
    }
}

impl FromStr for Version {
    type Err = ParseVersionError;
    fn from_str(text: &str) -> Result<Self, ParseVersionError> {
        if text.len() != VERSION_BYTES * 2 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(ParseVersionError { text: text.to_owned() });
        }
        u128::from_str_radix(text, 16).map(Self).map_err(|_| ParseVersionError { text: text.to_owned() })
    }
}

/// Why a text is not a version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a version: expected 32 hexadecimal digits as printed by a read or a write")]
pub struct ParseVersionError {
    /// The text as given.
    pub text: String,
}

impl<C> Encode<C> for Version {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(&self.to_bytes())?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Version {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let bytes = d.bytes()?;
        let bytes =
            bytes.try_into().map_err(|_| minicbor::decode::Error::message("version is not 16 bytes"))?;
        Ok(Self::from_bytes(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Stamp;

    #[test]
    fn parts_under_one_stamp_do_not_cancel_each_other_out() {
        let stamp = Stamp { time: 1, writer: 1 };
        let item = |field: Option<&'static str>| Item {
            stamp,
            field: field.map(Into::into),
            payload: None,
            expires_ms: None,
        };
        let mut version = Version::ABSENT;
        version.toggle_item(&item(None));
        version.toggle_item(&item(Some("")));
        assert!(!version.is_absent());
        version.toggle_item(&item(Some("")));
        version.toggle_item(&item(None));
        assert!(version.is_absent());
    }
}
