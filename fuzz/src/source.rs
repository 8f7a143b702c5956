//! Values drawn from a fuzzer's bytes.

use bytes::Bytes;
use kadmap_core::{Base, Codec, Item, Key, Payload, Record, Shape, Stamp};

/// Names that records and fields are drawn from: few, so that writes meet.
const NAMES: [&str; 6] = ["", "a", "b", "list", "map", "a longer name that has a place of its own"];
/// Writers that stamps are drawn from.
const WRITERS: u8 = 4;

/// A fuzzer's bytes, taken from the front; past their end everything is zero.
#[derive(Debug, Clone)]
pub struct Source<'a> {
    bytes: &'a [u8],
    /// Wall clock that stamps are drawn around, in milliseconds since 1970.
    pub unix_ms: u64,
}

impl<'a> Source<'a> {
    /// All of the bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, unix_ms: 0 }
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    /// The next two bytes.
    pub fn short(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// A number below `end`; zero when `end` is.
    pub fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()).checked_rem(end).unwrap_or(0)
    }

    /// One of some values.
    pub fn one_of<T: Copy, const N: usize>(&mut self, values: [T; N]) -> T {
        values[self.below(N)]
    }

    /// The next bytes, up to `length`.
    pub fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.bytes.split_at(length.min(self.bytes.len()));
        self.bytes = rest;
        taken
    }

    /// The rest.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.bytes)
    }

    /// One of a few names.
    pub fn name(&mut self) -> Bytes {
        Bytes::from_static(self.one_of(NAMES).as_bytes())
    }

    /// A place: of a name, at an end of the space, or anywhere.
    pub fn key(&mut self) -> Key {
        match self.below(4) {
            0 => Key::MIN,
            1 => Key::MAX,
            2 => Key::of_name(&[self.byte()]),
            _ => Key::of_name(&self.name()),
        }
    }

    /// A stamp around the wall clock, or anywhere.
    pub fn stamp(&mut self) -> Stamp {
        let writer = u64::from(self.byte() % WRITERS);
        let ms = match self.below(8) {
            0 => 0,
            1 => u64::MAX >> 16,
            2 => self.unix_ms + u64::from(self.short()),
            _ => self.unix_ms.saturating_sub(u64::from(self.byte())),
        };
        Stamp { time: ms << 16 | u64::from(self.byte() % 4), writer }
    }

    /// A payload or a tombstone.
    pub fn payload(&mut self) -> Option<Payload> {
        let codec = self.one_of([Codec::Bytes, Codec::Json]);
        match self.below(8) {
            0 => None,
            1 => Some(Payload::new(codec, vec![b'x'; usize::from(self.short())])),
            length => Some(Payload::new(codec, vec![b'y'; length])),
        }
    }

    /// When something expires, if ever.
    pub fn expires_ms(&mut self) -> Option<u64> {
        match self.below(4) {
            0 => Some(self.unix_ms + u64::from(self.short())),
            1 => Some(u64::from(self.byte())),
            _ => None,
        }
    }

    /// A base.
    pub fn base(&mut self) -> Base {
        Base {
            stamp: self.stamp(),
            shape: self.one_of([Shape::Value, Shape::List, Shape::Map]),
            payload: self.payload(),
            expires_ms: self.expires_ms(),
        }
    }

    /// An item of a list or a field of a map.
    pub fn item(&mut self) -> Item {
        let field = if self.byte() % 2 == 0 { None } else { Some(self.name()) };
        Item { stamp: self.stamp(), field, payload: self.payload(), expires_ms: self.expires_ms() }
    }

    /// A record with a few items.
    pub fn record(&mut self) -> Record {
        let base = if self.byte() % 2 == 0 { None } else { Some(self.base()) };
        let items: Vec<_> = (0..self.below(4)).map(|_| self.item()).collect();
        Record::from_parts(base, items)
    }
}
