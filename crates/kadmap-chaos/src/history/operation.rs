//! One thing a client did.

use std::fmt;

use kadmap::Stamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a client did.
///
/// ```
/// assert!(kadmap_chaos::Kind::Put.is_write() && !kadmap_chaos::Kind::Get.is_write());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Replaced a value.
    Put,
    /// Removed a value.
    Delete,
    /// Added an item to a list.
    Append,
    /// Read.
    Get,
}

impl Kind {
    /// Whether it changes anything.
    pub fn is_write(self) -> bool {
        self != Self::Get
    }
}

/// What became of an operation.
///
/// ```
/// assert_eq!(serde_json::to_string(&kadmap_chaos::Outcome::Info).unwrap(), "\"info\"");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was acknowledged, or answered.
    Ok,
    /// It certainly did not happen; of a read: it told nothing.
    Fail,
    /// It may have happened, or may happen yet.
    Info,
}

/// What was written, or what a read showed.
///
/// ```
/// use kadmap_chaos::Seen;
/// assert_eq!(serde_json::from_str::<Seen>("[1,2]").unwrap(), Seen::Items(vec![1, 2]));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Seen {
    /// No value there, or none to tell of.
    Nothing,
    /// A value, by its number.
    Value(u64),
    /// The items of a list, by their numbers.
    Items(Vec<u64>),
    /// Something that no client of a harness writes, as text.
    Strange(String),
}

/// A stamp as one number that sorts as stamps do; 32 hexadecimal digits in JSON.
///
/// ```
/// use kadmap_chaos::Mark;
/// assert_eq!(serde_json::to_string(&Mark(255)).unwrap(), format!("\"{:032x}\"", 255));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(pub u128);

impl From<Stamp> for Mark {
    fn from(stamp: Stamp) -> Self {
        Self(u128::from_be_bytes(stamp.to_bytes()))
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl Serialize for Mark {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Mark {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        u128::from_str_radix(&text, 16).map(Self).map_err(serde::de::Error::custom)
    }
}

/// One thing a client did, from its call to its answer.
///
/// ```
/// use kadmap_chaos::{Kind, Operation, Outcome, Seen};
/// let put = Operation::new(3, Kind::Put, "colour", Seen::Value(7)).at(10, 20);
/// assert_eq!((put.outcome, put.end_ns), (Outcome::Ok, 20));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// Which client; its operations do not overlap where a checker depends on their order.
    pub process: u32,
    /// Which operation, unique in its history.
    pub op: u64,
    /// What it did.
    pub kind: Kind,
    /// The name.
    pub key: String,
    /// What it wrote or saw.
    pub value: Seen,
    /// When it was called, by the one monotonic clock of its history.
    pub start_ns: u64,
    /// When it was answered.
    pub end_ns: u64,
    /// What became of it.
    pub outcome: Outcome,
    /// Replicas that acknowledged or answered.
    pub acks: u32,
    /// The stamp of an acknowledged write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamp: Option<Mark>,
}

impl Operation {
    /// An operation that succeeded, at no time yet.
    pub fn new(process: u32, kind: Kind, key: &str, value: Seen) -> Self {
        Self {
            process,
            op: 0,
            kind,
            key: key.to_owned(),
            value,
            start_ns: 0,
            end_ns: 0,
            outcome: Outcome::Ok,
            acks: 0,
            stamp: None,
        }
    }

    /// The same from one time to another.
    #[must_use]
    pub fn at(mut self, start_ns: u64, end_ns: u64) -> Self {
        (self.start_ns, self.end_ns) = (start_ns, end_ns);
        self
    }

    /// The same with another outcome.
    #[must_use]
    pub fn with_outcome(mut self, outcome: Outcome) -> Self {
        self.outcome = outcome;
        self
    }

    /// The same with a stamp.
    #[must_use]
    pub fn stamped(mut self, stamp: u128) -> Self {
        self.stamp = Some(Mark(stamp));
        self
    }

    /// Whether it is a read that was answered.
    pub(crate) fn is_answered_read(&self) -> bool {
        self.kind == Kind::Get && self.outcome == Outcome::Ok
    }

    /// Whether it is a write that was acknowledged.
    pub(crate) fn is_acknowledged_write(&self) -> bool {
        self.kind.is_write() && self.outcome == Outcome::Ok
    }
}

impl fmt::Display for Operation {
    /// One line for an example: who did what when.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = match &self.value {
            Seen::Items(items) => format!("{} items", items.len()),
            other => format!("{other:?}"),
        };
        write!(
            f,
            "op {} (client {}, {:?} {value}, {:?}, {} to {} ms, {} acks)",
            self.op,
            self.process,
            self.kind,
            self.outcome,
            self.start_ns / 1_000_000,
            self.end_ns / 1_000_000,
            self.acks,
        )
    }
}
