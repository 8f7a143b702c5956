//! How keys and rows stand in the file.
//!
//! | table | key | row |
//! |---|---|---|
//! | heads | place (32) ++ name | what is known of the record without its payloads |
//! | parts | place (32) ++ length of the name (u32) ++ name ++ part | base or item |
//! | deaths | milliseconds since 1970 (u64) ++ key of the part | nothing |
//! | meta | name of the setting | its value |
//!
//! A part is 0 for the base, 1 ++ stamp (16) for an appended item, 2 ++ name for a field; numbers are big-endian.
//! Every row begins with 16 bytes of the BLAKE3 hash of its table, its key and the rest of it, so that a changed
//! bit is noticed, and a row that turns up under another key as well.

use bytes::Bytes;
use kadmap_core::{Base, Head, Item, ItemId, Key, RecordId, Shape, Stamp, Version};
use minicbor::{Decode, Encode};

use crate::part::{Death, Part};
use crate::plan::Entry;

const PLACE_BYTES: usize = 32;
const LENGTH_BYTES: usize = 4;
const TIME_BYTES: usize = 8;
const CHECK_BYTES: usize = 16;
const BASE_TAG: u8 = 0;
const APPENDED_TAG: u8 = 1;
const FIELD_TAG: u8 = 2;

/// A table of the file; its number is part of what a row's checksum covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    Heads = 0,
    Parts = 1,
    Deaths = 2,
    Meta = 3,
}

pub(crate) fn head_key(id: &RecordId) -> Vec<u8> {
    [id.key.as_bytes().as_slice(), &id.name].concat()
}

pub(crate) fn read_head_key(key: &[u8]) -> Option<RecordId> {
    let (place, name) = key.split_first_chunk::<PLACE_BYTES>()?;
    Some(RecordId::new(Key::from_bytes(*place), Bytes::copy_from_slice(name)))
}

/// What the keys of all parts of a record begin with; of no other record's.
pub(crate) fn parts_prefix(id: &RecordId) -> Vec<u8> {
    let mut key = Vec::with_capacity(PLACE_BYTES + LENGTH_BYTES + id.name.len() + 1 + size_of::<Stamp>());
    key.extend_from_slice(id.key.as_bytes());
    // Names are bounded to far less than 4 GiB long before they reach a store.
    key.extend_from_slice(&u32::try_from(id.name.len()).unwrap_or(u32::MAX).to_be_bytes());
    key.extend_from_slice(&id.name);
    key
}

pub(crate) fn part_key(id: &RecordId, part: &Part) -> Vec<u8> {
    let mut key = parts_prefix(id);
    push_part(&mut key, part);
    key
}

/// The range of keys of a record's fields.
pub(crate) fn fields_start(id: &RecordId) -> Vec<u8> {
    part_key(id, &Part::Item(ItemId::Field(Bytes::new())))
}

fn push_part(key: &mut Vec<u8>, part: &Part) {
    match part {
        Part::Base => key.push(BASE_TAG),
        Part::Item(ItemId::Appended(stamp)) => {
            key.push(APPENDED_TAG);
            key.extend_from_slice(&stamp.to_bytes());
        }
        Part::Item(ItemId::Field(name)) => {
            key.push(FIELD_TAG);
            key.extend_from_slice(name);
        }
    }
}

pub(crate) fn read_part(bytes: &[u8]) -> Option<Part> {
    let (tag, rest) = bytes.split_first()?;
    match *tag {
        BASE_TAG if rest.is_empty() => Some(Part::Base),
        APPENDED_TAG => Some(Part::Item(ItemId::Appended(Stamp::from_bytes(rest.try_into().ok()?)))),
        FIELD_TAG => Some(Part::Item(ItemId::Field(Bytes::copy_from_slice(rest)))),
        _ => None,
    }
}

fn read_part_key(key: &[u8]) -> Option<(RecordId, Part)> {
    let (place, rest) = key.split_first_chunk::<PLACE_BYTES>()?;
    let (length, rest) = rest.split_first_chunk::<LENGTH_BYTES>()?;
    let (name, part) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    Some((RecordId::new(Key::from_bytes(*place), Bytes::copy_from_slice(name)), read_part(part)?))
}

pub(crate) fn death_key(death: &Death) -> Vec<u8> {
    let mut key = death.at_ms.to_be_bytes().to_vec();
    key.extend_from_slice(&parts_prefix(&death.id));
    push_part(&mut key, &death.part);
    key
}

pub(crate) fn read_death_key(key: &[u8]) -> Option<Death> {
    let (time, rest) = key.split_first_chunk::<TIME_BYTES>()?;
    let (id, part) = read_part_key(rest)?;
    Some(Death { at_ms: u64::from_be_bytes(*time), id, part })
}

fn check(table: Table, key: &[u8], content: &[u8]) -> [u8; CHECK_BYTES] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[table as u8]);
    hasher.update(&(key.len() as u64).to_be_bytes());
    hasher.update(key);
    hasher.update(content);
    let mut check = [0; CHECK_BYTES];
    hasher.finalize_xof().fill(&mut check);
    check
}

/// Writes a row into `row`, whatever stood there.
pub(crate) fn seal<T: Encode<()>>(table: Table, key: &[u8], content: Option<&T>, row: &mut Vec<u8>) {
    row.clear();
    row.extend_from_slice(&[0; CHECK_BYTES]);
    if let Some(content) = content {
        // Writing to a vector cannot fail; if it did, the row would not decode and be set aside.
        let _ = minicbor::encode(content, &mut *row);
    }
    let check = check(table, key, &row[CHECK_BYTES..]);
    row[..CHECK_BYTES].copy_from_slice(&check);
}

/// The content of a row; `None` when it is not what was written.
pub(crate) fn unseal<'a>(table: Table, key: &[u8], row: &'a [u8]) -> Option<&'a [u8]> {
    let (found, content) = row.split_first_chunk::<CHECK_BYTES>()?;
    (*found == check(table, key, content)).then_some(content)
}

/// The content of a row, decoded; `None` when it is not what was written.
pub(crate) fn open<'a, T: Decode<'a, ()>>(table: Table, key: &[u8], row: &'a [u8]) -> Option<T> {
    minicbor::decode(unseal(table, key, row)?).ok()
}

/// A base or an item as its row holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stored {
    Base(Base),
    Item(Item),
}

pub(crate) fn open_part(key: &[u8], part: &Part, row: &[u8]) -> Option<Stored> {
    match part {
        Part::Base => open(Table::Parts, key, row).map(Stored::Base),
        Part::Item(_) => open(Table::Parts, key, row).map(Stored::Item),
    }
}

/// An entry as the file holds it; new fields get new numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct HeadRow {
    #[n(0)]
    version: Version,
    #[n(1)]
    newest: Stamp,
    #[n(2)]
    bytes: u64,
    #[n(3)]
    appended: u64,
    #[n(4)]
    fields: u64,
    #[n(5)]
    base: Option<BaseRow>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
struct BaseRow {
    #[n(0)]
    stamp: Stamp,
    #[n(1)]
    bytes: u64,
    #[n(2)]
    shape: Option<Shape>,
    #[n(3)]
    expires_ms: Option<u64>,
}

impl From<Entry> for HeadRow {
    fn from(entry: Entry) -> Self {
        let head = entry.head;
        let base = entry.base_bytes.map(|bytes| BaseRow {
            stamp: head.base_stamp,
            bytes,
            shape: head.base_shape,
            expires_ms: head.base_expires_ms,
        });
        let Head { version, newest, bytes, appended, fields, .. } = head;
        Self { version, newest, bytes, appended, fields, base }
    }
}

impl From<HeadRow> for Entry {
    fn from(row: HeadRow) -> Self {
        let HeadRow { version, newest, bytes, appended, fields, base } = row;
        let head = Head {
            version,
            newest,
            bytes,
            appended,
            fields,
            base_stamp: base.map_or(Stamp::MIN, |base| base.stamp),
            base_shape: base.and_then(|base| base.shape),
            base_expires_ms: base.and_then(|base| base.expires_ms),
        };
        Self { head, base_bytes: base.map(|base| base.bytes) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_part() -> impl Strategy<Value = Part> {
        prop_oneof![
            Just(Part::Base),
            any::<(u64, u64)>()
                .prop_map(|(time, writer)| Part::Item(ItemId::Appended(Stamp { time, writer }))),
            prop::collection::vec(any::<u8>(), 0..4).prop_map(|name| Part::Item(ItemId::Field(name.into()))),
        ]
    }

    fn any_id() -> impl Strategy<Value = RecordId> {
        (0u8..3, prop::collection::vec(any::<u8>(), 0..5))
            .prop_map(|(place, name)| RecordId::new(Key::from_bytes([place; PLACE_BYTES]), name))
    }

    proptest! {
        #[test]
        fn keys_round_trip_and_sort_as_what_they_name(
            a in (any::<u64>(), any_id(), any_part()),
            b in (any::<u64>(), any_id(), any_part()),
        ) {
            prop_assert_eq!(a.1.cmp(&b.1), head_key(&a.1).cmp(&head_key(&b.1)));
            prop_assert_eq!(a.2.cmp(&b.2), part_key(&a.1, &a.2).cmp(&part_key(&a.1, &b.2)));
            prop_assert_eq!(read_head_key(&head_key(&a.1)), Some(a.1.clone()));
            prop_assert_eq!(a.1 == b.1, part_key(&b.1, &b.2).starts_with(&parts_prefix(&a.1)));
            let death = Death { at_ms: a.0, id: a.1, part: a.2 };
            prop_assert_eq!(read_death_key(&death_key(&death)), Some(death));
        }

        #[test]
        fn no_key_panics_a_reader(key in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = (read_head_key(&key), read_death_key(&key), read_part(&key));
        }

        #[test]
        fn a_row_opens_only_under_its_own_key_and_table(key in any::<[u8; 4]>(), bit in 0usize..8 * 20) {
            let mut row = Vec::new();
            seal(Table::Heads, &key, Some(&7u64), &mut row);
            prop_assert_eq!(open::<u64>(Table::Heads, &key, &row), Some(7));
            prop_assert_eq!(open::<u64>(Table::Parts, &key, &row), None);
            prop_assert_eq!(open::<u64>(Table::Heads, &[key.as_slice(), &[0]].concat(), &row), None);
            let at = bit / 8 % row.len();
            row[at] ^= 1 << (bit % 8);
            prop_assert_eq!(open::<u64>(Table::Heads, &key, &row), None);
        }
    }
}
