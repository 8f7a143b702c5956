//! The changes of one name, as a stream.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_core::Stream;
use kadmap_core::{ItemId, News, OperationId, RecordId, Stamp, Version, WatchOptions};
use tokio::sync::mpsc;

use crate::error::WatchError;
use crate::node::{Command, NewsReceiver, news_queue};
use crate::{Dht, Place, Value};

/// What has come of a watched name.
///
/// Each write is told once; its stamp tells it from all others. The writes of one [`Dht`] handle come in the order in
/// which it made them (each awaited before the next).
///
/// ```
/// use kadmap::Change;
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let dht = kadmap::Dht::builder().listen("127.0.0.1:0").spawn().await.unwrap();
/// let mut watch = dht.watch("list").initial(false).await.unwrap();
/// let written = dht.append("list", "milk").await.unwrap().stamp;
/// let Some(Change::Appended { stamp, item }) = watch.next().await else { panic!() };
/// assert_eq!((stamp, item.parse::<String>().unwrap().as_str()), (written, "milk"));
/// # });
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// The value as it stands: first of all, unless that was not wanted, and again when the watch could not be
    /// followed.
    State {
        /// The value; `None` when there is none.
        value: Option<Value>,
        /// The record's version.
        version: Version,
        /// Whether changes before it were left out, because more waited than a watch holds.
        lagged: bool,
    },
    /// A value was put in the place of what was there.
    Put {
        /// The write.
        stamp: Stamp,
        /// The value.
        value: Value,
    },
    /// What was there was deleted.
    Deleted {
        /// The write.
        stamp: Stamp,
    },
    /// An item was appended to the list.
    Appended {
        /// The write, and the item's id.
        stamp: Stamp,
        /// The item.
        item: Value,
    },
    /// An appended item was removed.
    Removed {
        /// The item's id.
        stamp: Stamp,
    },
    /// A field of the map was written.
    FieldPut {
        /// The write.
        stamp: Stamp,
        /// The field's name.
        field: String,
        /// Its value.
        value: Value,
    },
    /// A field of the map was removed.
    FieldDeleted {
        /// The write.
        stamp: Stamp,
        /// The field's name.
        field: String,
    },
    /// The time to live of the value is over.
    Expired,
    /// The time to live of an appended item is over.
    ItemExpired {
        /// The item's id.
        stamp: Stamp,
    },
    /// The time to live of a field is over.
    FieldExpired {
        /// The field's name.
        field: String,
    },
}

impl Change {
    fn of(news: News, lagged: bool) -> Self {
        let text = |field: &[u8]| String::from_utf8_lossy(field).into_owned();
        match news {
            News::State(record) => {
                let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let unix_ms = u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX);
                let version = record.head().version;
                Self::State { value: Value::of_record(&record, unix_ms), version, lagged }
            }
            News::Base(base) => match base.payload {
                Some(payload) => Self::Put { stamp: base.stamp, value: Value::of_payload(&payload) },
                None => Self::Deleted { stamp: base.stamp },
            },
            News::Item(item) => {
                let (stamp, value) = (item.stamp, item.payload.as_ref().map(Value::of_payload));
                match (item.field.as_deref().map(text), value) {
                    (None, Some(item)) => Self::Appended { stamp, item },
                    (None, None) => Self::Removed { stamp },
                    (Some(field), Some(value)) => Self::FieldPut { stamp, field, value },
                    (Some(field), None) => Self::FieldDeleted { stamp, field },
                }
            }
            News::Expired(None) => Self::Expired,
            News::Expired(Some(ItemId::Appended(stamp))) => Self::ItemExpired { stamp },
            News::Expired(Some(ItemId::Field(field))) => Self::FieldExpired { field: text(&field) },
        }
    }
}

/// A watch that begins when it is awaited.
///
/// ```
/// use std::time::Duration;
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let dht = kadmap::Dht::builder().listen("127.0.0.1:0").spawn().await.unwrap();
/// let mut watch = dht.watch("colour").initial(false).timeout(Duration::from_secs(5)).await.unwrap();
/// # });
/// ```
#[must_use = "a watch begins when it is awaited"]
#[derive(Debug)]
pub struct BeginWatch<'a> {
    dht: &'a Dht,
    record: RecordId,
    options: WatchOptions,
}

impl<'a> BeginWatch<'a> {
    pub(crate) fn new(dht: &'a Dht, record: RecordId) -> Self {
        Self { dht, record, options: WatchOptions::default() }
    }

    /// Watches at this place instead of where the name's hash is; see [`Write::place`](crate::Write::place).
    pub fn place(mut self, place: &Place) -> Self {
        self.record.key = self.dht.place_of(place);
        self
    }

    /// Whether to tell the value as it stands, first: default yes, so that to read and then to watch is one step and
    /// nothing falls between.
    pub fn initial(mut self, initial: bool) -> Self {
        self.options.initial = initial;
        self
    }

    /// Gives up after this long if the watch has not begun by then, instead of what the node was built with. A watch
    /// that has begun goes on until it is dropped.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = Some(timeout);
        self
    }

    async fn run(self) -> Result<Watch, WatchError> {
        let (sender, news) = news_queue();
        let (record, options) = (self.record, self.options);
        let begun = self.dht.ask_node(|reply| Command::Watch { record, options, news: sender, reply });
        let operation = begun.await??;
        Ok(Watch { news, operation, commands: self.dht.commands(), lagged: false })
    }
}

impl<'a> IntoFuture for BeginWatch<'a> {
    type Output = Result<Watch, WatchError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

/// The changes of one name, pushed by its replicas; ends when it is dropped, or the node stops.
///
/// It survives the death of replicas, of connections and of leases: what was missed meanwhile is told once it can be.
/// Changes wait for who reads them, up to 1,024 or 8 MiB; then those that follow are left out, and what comes after
/// those that wait is a [`Change::State`] that says so. `docs/guarantees.md` has the rest.
///
/// ```
/// use kadmap::{Change, Value};
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let dht = kadmap::Dht::builder().listen("127.0.0.1:0").spawn().await.unwrap();
/// let mut watch = dht.watch("colour").await.unwrap();
/// assert!(matches!(watch.next().await, Some(Change::State { value: None, .. })));
/// dht.put("colour", "red").await.unwrap();
/// assert!(matches!(watch.next().await, Some(Change::Put { value: Value::Json(text), .. }) if text == "\"red\""));
/// dht.stop().await;
/// assert_eq!(watch.next().await, None);
/// # });
/// ```
#[derive(Debug)]
pub struct Watch {
    news: NewsReceiver,
    operation: OperationId,
    commands: mpsc::UnboundedSender<Command>,
    lagged: bool,
}

impl Watch {
    /// The next change; `None` when the node has stopped. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Change> {
        std::future::poll_fn(|context| self.poll_change(context)).await
    }

    fn poll_change(&mut self, context: &mut Context<'_>) -> Poll<Option<Change>> {
        loop {
            match self.news.poll(context) {
                Poll::Ready(news) => {
                    return Poll::Ready(news.map(|news| {
                        let lagged = matches!(news, News::State(_)) && std::mem::take(&mut self.lagged);
                        Change::of(news, lagged)
                    }));
                }
                Poll::Pending if self.news.take_lagging() => {
                    self.lagged = true;
                    if self.commands.send(Command::ResumeWatch { operation: self.operation }).is_err() {
                        return Poll::Ready(None);
                    }
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl Stream for Watch {
    type Item = Change;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Change>> {
        self.poll_change(context)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // A node that has stopped has ended it already.
        let _ = self.commands.send(Command::EndWatch { operation: self.operation });
    }
}
