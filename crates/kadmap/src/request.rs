//! Reads and writes on their way: set options, then await.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use kadmap_core::{
    Change, Consistency, Payload, ReadOptions, RecordId, Shape, Version, WriteError, WriteOptions,
    WriteOutcome,
};
use serde::de::DeserializeOwned;

use crate::error::{GetError, PutError};
use crate::{Dht, Place, Value, ValueError};

/// What a write does, before its value has become a payload.
#[derive(Debug)]
pub(crate) enum Draft {
    Put(Value),
    Delete,
    Append(Value),
    PutField(Bytes, Value),
    DeleteField(Bytes),
}

impl Draft {
    fn into_change(self) -> Change {
        let payload_of = |value: Value| value.into_payload().0;
        match self {
            Self::Put(value) => {
                let (payload, shape): (Payload, Shape) = value.into_payload();
                Change::Put { payload, shape }
            }
            Self::Delete => Change::Delete,
            Self::Append(value) => Change::Append { payload: payload_of(value) },
            Self::PutField(field, value) => Change::PutField { field, payload: payload_of(value) },
            Self::DeleteField(field) => Change::DeleteField { field },
        }
    }
}

/// A write that happens when it is awaited.
///
/// ```
/// use std::time::Duration;
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let dht = kadmap::Dht::builder().listen("127.0.0.1:0").spawn().await.unwrap();
/// let outcome = dht.put("colour", "red").ttl(Duration::from_secs(60)).await.unwrap();
/// assert_eq!((outcome.acks.len(), outcome.need), (1, 1));
/// # });
/// ```
#[must_use = "a write happens when it is awaited"]
#[derive(Debug)]
pub struct Write<'a> {
    dht: &'a Dht,
    record: RecordId,
    draft: Result<Draft, ValueError>,
    options: WriteOptions,
    value_bytes_max: Option<u64>,
}

impl<'a> Write<'a> {
    pub(crate) fn new(dht: &'a Dht, record: RecordId, draft: Result<Draft, ValueError>) -> Self {
        Self { dht, record, draft, options: WriteOptions::default(), value_bytes_max: None }
    }

    /// Writes at this place instead of where the name's hash is; the record is the name's *at that place*, so read it
    /// there too.
    ///
    /// ```
    /// use kadmap::Place;
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let dht = kadmap::Dht::builder().listen("127.0.0.1:0").spawn().await.unwrap();
    /// let family = Place::Hashed(b"colours".to_vec());
    /// dht.put("red", "#f00").place(&family).await.unwrap();
    /// assert!(dht.read("red").place(&family).await.unwrap().value.is_some());
    /// assert!(dht.read("red").await.unwrap().value.is_none());
    /// # });
    /// ```
    pub fn place(mut self, place: &Place) -> Self {
        self.record.key = self.dht.place_of(place);
        self
    }

    /// Waits for so many of the replicas, instead of what the node was built with.
    pub fn consistency(mut self, consistency: Consistency) -> Self {
        self.options.consistency = Some(consistency);
        self
    }

    /// Lets the value, item or field expire after this long.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.options.ttl = Some(ttl);
        self
    }

    /// Gives up after this long, instead of what the node was built with.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = Some(timeout);
        self
    }

    /// Writes only if the record is at this version ([`Version::ABSENT`]: if there is none).
    ///
    /// It detects a lost race and reports it as a conflict. A DHT cannot promise more: after a write that reports
    /// too few acknowledgements, and between the sides of a partition, two writers may both believe to have won.
    pub fn if_version(mut self, version: Version) -> Self {
        self.options.if_version = Some(version);
        self
    }

    /// Refuses a value larger than this before anything travels, beside the node's own limit: for a client that has
    /// been told the swarm's, by [`StatusReport::value_bytes_max`](crate::StatusReport::value_bytes_max).
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let dht = kadmap::Dht::builder().listen("127.0.0.1:0").spawn().await.unwrap();
    /// let refused = dht.put_bytes("large", vec![0; 11]).value_bytes_max(10).await.unwrap_err();
    /// assert!(refused.to_string().contains("11 bytes, allowed are 10"), "{refused}");
    /// # });
    /// ```
    pub fn value_bytes_max(mut self, bytes: u64) -> Self {
        self.value_bytes_max = Some(bytes);
        self
    }

    async fn run(self) -> Result<WriteOutcome, PutError> {
        let change = self.draft?.into_change();
        let bytes = change.value_bytes() as u64;
        if let Some(bytes_max) = self.value_bytes_max.filter(|bytes_max| bytes > *bytes_max) {
            return Err(WriteError::ValueTooLarge { bytes, bytes_max }.into());
        }
        self.dht.write(self.record, change, self.options).await
    }
}

impl<'a> IntoFuture for Write<'a> {
    type Output = Result<WriteOutcome, PutError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

/// A read that happens when it is awaited.
///
/// ```
/// use kadmap::Consistency;
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let dht = kadmap::Dht::builder().listen("127.0.0.1:0").spawn().await.unwrap();
/// dht.put("colour", "red").await.unwrap();
/// let reading = dht.read("colour").consistency(Consistency::All).await.unwrap();
/// assert_eq!(reading.parse::<String>().unwrap().as_deref(), Some("red"));
/// # });
/// ```
#[must_use = "a read happens when it is awaited"]
#[derive(Debug)]
pub struct Read<'a> {
    dht: &'a Dht,
    record: RecordId,
    options: ReadOptions,
}

impl<'a> Read<'a> {
    pub(crate) fn new(dht: &'a Dht, record: RecordId) -> Self {
        Self { dht, record, options: ReadOptions::default() }
    }

    /// Reads at this place instead of where the name's hash is; see [`Write::place`].
    pub fn place(mut self, place: &Place) -> Self {
        self.record.key = self.dht.place_of(place);
        self
    }

    /// Waits for so many of the replicas, instead of what the node was built with.
    pub fn consistency(mut self, consistency: Consistency) -> Self {
        self.options.consistency = Some(consistency);
        self
    }

    /// Gives up after this long, instead of what the node was built with.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = Some(timeout);
        self
    }
}

impl<'a> IntoFuture for Read<'a> {
    type Output = Result<Reading, GetError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.dht.read_record(self.record, self.options))
    }
}

/// What a read found.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let dht = kadmap::Dht::builder().listen("127.0.0.1:0").spawn().await.unwrap();
/// let reading = dht.read("nothing").await.unwrap();
/// assert_eq!((reading.value, reading.answers, reading.need), (None, 1, 1));
/// # });
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reading {
    /// The value; `None` when there is none.
    pub value: Option<Value>,
    /// The record's version, for [`Write::if_version`].
    pub version: Version,
    /// How many replicas answered.
    pub answers: usize,
    /// How many were needed.
    pub need: usize,
    /// How many are responsible.
    pub replicas: usize,
    /// How many lacked something and are being repaired.
    pub repaired: usize,
}

impl Reading {
    /// The value as a type of the caller's; `None` when there is none.
    ///
    /// # Errors
    /// As [`Value::parse`].
    pub fn parse<T: DeserializeOwned>(&self) -> Result<Option<T>, ValueError> {
        self.value.as_ref().map(Value::parse).transpose()
    }
}
