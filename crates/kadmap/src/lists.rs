//! Lists looked after: read item by item, items removed, the oldest dropped.

use std::collections::VecDeque;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kadmap_core::{
    Base, Change, Consistency, ItemRange, ItemsOutcome, ReadError, ReadOptions, RecordId, Shape, Stamp,
    WriteError, WriteOptions, WriteOutcome,
};
use thiserror::Error;

use crate::dht::now_unix_ms;
use crate::error::{GetError, PutError, Stopped};
use crate::{Dht, Place, Value};

/// Why a list could not be read item by item, or looked after.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ListError {
    /// What is under the name has no items.
    #[error("'{name}' holds a {found}, not a list")]
    NotAList {
        /// The name.
        name: String,
        /// What is there.
        found: Shape,
    },
    /// The list has no such item: it was removed, trimmed, replaced or has expired, or never was.
    #[error("the list under '{name}' has no item {id}")]
    NoSuchItem {
        /// The name.
        name: String,
        /// The item's id.
        id: Stamp,
    },
    /// Too few nodes answered; nothing was written.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The swarm did not acknowledge the change.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The node has stopped.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

impl ListError {
    fn of_read(error: GetError) -> Self {
        match error {
            GetError::Read(error) => Self::Read(error),
            GetError::Value(_) | GetError::Stopped(_) => Self::Stopped(Stopped),
        }
    }

    fn of_write(error: PutError, record: &RecordId) -> Self {
        use kadmap_core::wire::Refusal;
        match error {
            PutError::Write(WriteError::Refused { refusal: Refusal::WrongShape { found, .. }, .. }) => {
                Self::NotAList { name: shown(record), found }
            }
            PutError::Write(error) => Self::Write(error),
            PutError::Value(_) | PutError::Stopped(_) => Self::Stopped(Stopped),
        }
    }
}

/// One element of a list.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let dht = kadmap::Dht::builder().listen("127.0.0.1:0").spawn().await.unwrap();
/// dht.put("list", &["put"]).await.unwrap();
/// let appended = dht.append("list", "appended").await.unwrap();
/// let page = dht.items_page("list", None, 10).await.unwrap();
/// assert_eq!(page.items[0].id, None, "the elements of a list that was put are one value");
/// assert_eq!(page.items[1].id, Some(appended.stamp));
/// # });
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListItem {
    /// By which [`Dht::remove`] finds it: the stamp of its append, which tells when and by which writer.
    /// `None` for an element of a list that was put: those are replaced by a put only.
    pub id: Option<Stamp>,
    /// Milliseconds since 1970 from which it is gone; `None` for never.
    pub expires_ms: Option<u64>,
    /// What was appended.
    pub value: Value,
}

/// Some elements of a list.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let dht = kadmap::Dht::builder().listen("127.0.0.1:0").spawn().await.unwrap();
/// for number in 0..3 {
///     dht.append("list", &number).await.unwrap();
/// }
/// let first = dht.items_page("list", None, 2).await.unwrap();
/// let second = dht.items_page("list", first.next_after, 2).await.unwrap();
/// assert_eq!((first.items.len(), second.items.len(), second.next_after), (2, 1, None));
/// # });
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ItemsPage {
    /// What is there; `None` when there is nothing under the name.
    pub shape: Option<Shape>,
    /// The elements in order; may be empty although more follow.
    pub items: Vec<ListItem>,
    /// After which id the next page begins; `None` when this is the last.
    pub next_after: Option<Stamp>,
}

/// What stays when a list is trimmed.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use kadmap::Keep;
/// let dht = kadmap::Dht::builder().listen("127.0.0.1:0").spawn().await.unwrap();
/// for number in 0..5 {
///     dht.append("list", &number).await.unwrap();
/// }
/// dht.trim("list", Keep::Last(2)).await.unwrap();
/// assert_eq!(dht.get::<Vec<u32>>("list").await.unwrap(), Some(vec![3, 4]));
/// # });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// The last so many.
    Last(u64),
    /// Whatever stands after the item with this id.
    After(Stamp),
    /// Whatever was written at this time or later.
    Since(SystemTime),
}

/// What a trim did.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let dht = kadmap::Dht::builder().listen("127.0.0.1:0").spawn().await.unwrap();
/// let trimmed = dht.trim("nothing", kadmap::Keep::Last(2)).await.unwrap();
/// assert!(trimmed.outcome.is_none());
/// # });
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trimmed {
    /// Everything up to this stamp is dropped; `None` when there was nothing to drop.
    pub up_to: Option<Stamp>,
    /// The acknowledged write; `None` when none was needed.
    pub outcome: Option<WriteOutcome>,
}

/// The record that an operation is about, and how it is to be done.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) dht: Dht,
    pub(crate) record: RecordId,
    pub(crate) consistency: Option<Consistency>,
    pub(crate) timeout: Option<Duration>,
}

impl Target {
    pub(crate) fn new(dht: &Dht, record: RecordId) -> Self {
        Self { dht: dht.clone(), record, consistency: None, timeout: None }
    }

    pub(crate) fn read_options(&self) -> ReadOptions {
        ReadOptions { consistency: self.consistency, timeout: self.timeout }
    }

    pub(crate) fn write_options(&self) -> WriteOptions {
        WriteOptions { consistency: self.consistency, timeout: self.timeout, ..WriteOptions::default() }
    }

    async fn items(&self, range: ItemRange, with_base: bool) -> Result<ItemsOutcome, ListError> {
        let read = self.dht.read_items(self.record.clone(), range, with_base, self.read_options());
        let outcome = read.await.map_err(ListError::of_read)?;
        match outcome.shape {
            Some(found) if found != Shape::List => {
                Err(ListError::NotAList { name: shown(&self.record), found })
            }
            _ => Ok(outcome),
        }
    }

    async fn write(&self, change: Change) -> Result<WriteOutcome, ListError> {
        let write = self.dht.write(self.record.clone(), change, self.write_options());
        write.await.map_err(|error| ListError::of_write(error, &self.record))
    }
}

/// The settings that all operations of this kind share.
macro_rules! tuned {
    ($type:ident) => {
        impl $type {
            /// Looks at this place instead of where the name's hash is; see [`Write::place`](crate::Write::place).
            pub fn place(mut self, place: &Place) -> Self {
                self.target.record.key = self.target.dht.place_of(place);
                self
            }

            /// Waits for so many of the replicas, instead of what the node was built with.
            pub fn consistency(mut self, consistency: Consistency) -> Self {
                self.target.consistency = Some(consistency);
                self
            }

            /// Gives each request to the swarm so long, instead of what the node was built with.
            pub fn timeout(mut self, timeout: Duration) -> Self {
                self.target.timeout = Some(timeout);
                self
            }
        }
    };
}
pub(crate) use tuned;

/// The elements of a list, read a page at a time: memory stays that of a page, however long the list.
///
/// Items appended while it is read are seen if they stand behind what was read already.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let dht = kadmap::Dht::builder().listen("127.0.0.1:0").spawn().await.unwrap();
/// for number in 0..5 {
///     dht.append("list", &number).await.unwrap();
/// }
/// let mut items = dht.items("list").page_items(2);
/// let mut numbers: Vec<u32> = Vec::new();
/// while let Some(item) = items.next().await.unwrap() {
///     numbers.push(item.value.parse().unwrap());
/// }
/// assert_eq!(numbers, [0, 1, 2, 3, 4]);
/// # });
/// ```
#[derive(Debug, Clone)]
pub struct Items {
    target: Target,
    range: ItemRange,
    with_base: bool,
    queue: VecDeque<ListItem>,
    done: bool,
    shape: Option<Shape>,
}

tuned!(Items);

impl Items {
    pub(crate) fn new(target: Target) -> Self {
        let (range, queue) = (ItemRange::default(), VecDeque::new());
        Self { target, range, with_base: true, queue, done: false, shape: None }
    }

    /// Begins after the item with this id, without the elements of a list that was put.
    pub fn after(mut self, id: Stamp) -> Self {
        self.with_base = false;
        self.done = id == Stamp::MAX;
        self.range.from = id.successor();
        self
    }

    /// Asks for so many items at a time, 512 at most.
    pub fn page_items(mut self, items: usize) -> Self {
        self.range.items_max = items.max(1);
        self
    }

    /// The next element; `None` when there are no more.
    ///
    /// # Errors
    /// [`ListError`] when what is there is no list or too few nodes answer; asking again goes on where it stopped.
    pub async fn next(&mut self) -> Result<Option<ListItem>, ListError> {
        loop {
            if let Some(item) = self.queue.pop_front() {
                return Ok(Some(item));
            }
            match self.fetch().await? {
                Some(items) => self.queue.extend(items),
                None => return Ok(None),
            }
        }
    }

    /// The elements that came together with the next one; `None` when there are no more.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let dht = kadmap::Dht::builder().listen("127.0.0.1:0").spawn().await.unwrap();
    /// dht.append("list", &4).await.unwrap();
    /// let mut items = dht.items("list");
    /// assert_eq!(items.next_page().await.unwrap().map(|page| page.len()), Some(1));
    /// assert_eq!(items.next_page().await.unwrap(), None);
    /// # });
    /// ```
    pub async fn next_page(&mut self) -> Result<Option<Vec<ListItem>>, ListError> {
        loop {
            if !self.queue.is_empty() {
                return Ok(Some(self.queue.drain(..).collect()));
            }
            match self.fetch().await? {
                Some(items) if items.is_empty() => {}
                page => return Ok(page),
            }
        }
    }

    /// What is under the name, once something was read; `None` when there is nothing.
    pub fn shape(&self) -> Option<Shape> {
        self.shape
    }

    async fn fetch(&mut self) -> Result<Option<Vec<ListItem>>, ListError> {
        if self.done {
            return Ok(None);
        }
        let outcome = self.target.items(self.range, self.with_base).await?;
        self.shape = self.shape.or(outcome.shape);
        let items = elements(&outcome, now_unix_ms());
        self.with_base = false;
        match outcome.next {
            Some(next) => self.range = self.range.starting_at(next),
            None => self.done = true,
        }
        Ok(Some(items))
    }

    /// One page only, and where the next begins.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub async fn page(mut self) -> Result<ItemsPage, ListError> {
        let items = self.fetch().await?.unwrap_or_default();
        let next_after = (!self.done).then(|| self.range.from.predecessor());
        Ok(ItemsPage { shape: self.shape, items, next_after })
    }
}

/// What can be read of a page.
fn elements(outcome: &ItemsOutcome, unix_ms: u64) -> Vec<ListItem> {
    let base = outcome.base.as_ref().filter(|base| base.is_live(unix_ms));
    let put = base.map(put_elements).unwrap_or_default().into_iter();
    let expires_ms = base.and_then(|base| base.expires_ms);
    let put = put.map(|value| ListItem { id: None, expires_ms, value });
    let appended = outcome.items.iter().filter(|item| item.is_live(unix_ms)).filter_map(|item| {
        let value = Value::of_payload(item.payload.as_ref()?);
        Some(ListItem { id: Some(item.stamp), expires_ms: item.expires_ms, value })
    });
    put.chain(appended).collect()
}

fn put_elements(base: &Base) -> Vec<Value> {
    base.payload.as_ref().map(|payload| Value::of_payload(payload).into_elements()).unwrap_or_default()
}

/// The removal of one item, which happens when it is awaited.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let dht = kadmap::Dht::builder().listen("127.0.0.1:0").spawn().await.unwrap();
/// let four = dht.append("list", &4).await.unwrap().stamp;
/// dht.append("list", &5).await.unwrap();
/// dht.remove("list", four).await.unwrap();
/// assert_eq!(dht.get::<Vec<u32>>("list").await.unwrap(), Some(vec![5]));
/// assert!(dht.remove("list", four).await.unwrap_err().to_string().contains("has no item"));
/// # });
/// ```
#[must_use = "a removal happens when it is awaited"]
#[derive(Debug)]
pub struct Remove {
    target: Target,
    id: Stamp,
}

tuned!(Remove);

impl Remove {
    pub(crate) fn new(target: Target, id: Stamp) -> Self {
        Self { target, id }
    }

    async fn run(self) -> Result<WriteOutcome, ListError> {
        let only = ItemRange { from: self.id, to: self.id, items_max: 1, ..ItemRange::default() };
        let found = self.target.items(only, false).await?;
        if !found.items.iter().any(|item| item.is_live(now_unix_ms())) {
            return Err(ListError::NoSuchItem { name: shown(&self.target.record), id: self.id });
        }
        self.target.write(Change::Remove { stamp: self.id }).await
    }
}

impl IntoFuture for Remove {
    type Output = Result<WriteOutcome, ListError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

/// A trim, which happens when it is awaited.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use kadmap::Keep;
/// let dht = kadmap::Dht::builder().listen("127.0.0.1:0").spawn().await.unwrap();
/// let first = dht.append("list", &1).await.unwrap().stamp;
/// dht.append("list", &2).await.unwrap();
/// assert_eq!(dht.trim("list", Keep::After(first)).await.unwrap().up_to, Some(first));
/// # });
/// ```
#[must_use = "a trim happens when it is awaited"]
#[derive(Debug)]
pub struct Trim {
    target: Target,
    keep: Keep,
}

tuned!(Trim);

impl Trim {
    pub(crate) fn new(target: Target, keep: Keep) -> Self {
        Self { target, keep }
    }

    async fn run(self) -> Result<Trimmed, ListError> {
        let up_to = match self.keep {
            Keep::Last(count) => self.before_the_last(count).await?,
            Keep::After(id) => self.if_it_drops(id).await?,
            Keep::Since(time) => {
                let since = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
                let since = u64::try_from(since).unwrap_or(u64::MAX);
                if since > now_unix_ms() {
                    // A floor in the future would take what is yet to be written, and one at this moment would leave what
                    // a clock that is a little ahead has stamped: all goes that is there.
                    self.before_the_last(0).await?
                } else {
                    self.if_it_drops(Stamp::before_ms(since)).await?
                }
            }
        };
        let outcome = match up_to {
            Some(up_to) => Some(self.target.write(Change::Trim { up_to }).await?),
            None => None,
        };
        Ok(Trimmed { up_to, outcome })
    }

    /// The newest item to drop so that so many stay.
    async fn before_the_last(&self, count: u64) -> Result<Option<Stamp>, ListError> {
        let mut kept = 0;
        let mut range = ItemRange { newest_first: true, ..ItemRange::default() };
        loop {
            let page = self.target.items(range, false).await?;
            let now = now_unix_ms();
            for item in page.items.iter().filter(|item| item.is_live(now)) {
                if kept == count {
                    return Ok(Some(item.stamp));
                }
                kept += 1;
            }
            match page.next {
                Some(next) => range = range.starting_at(next),
                None if kept == count => return self.put_list().await,
                None => return Ok(None),
            }
        }
    }

    /// The place of the list that was put, if it has elements: it goes as a whole once no appended item has to.
    async fn put_list(&self) -> Result<Option<Stamp>, ListError> {
        let nothing = ItemRange { to: Stamp::MIN, items_max: 1, ..ItemRange::default() };
        let base = self.target.items(nothing, true).await?.base;
        // The stamp between the list and its first item; none was ever given to a write.
        Ok(base.filter(has_elements).map(|base| base.stamp.successor()))
    }

    /// This stamp, if there is something up to it.
    async fn if_it_drops(&self, up_to: Stamp) -> Result<Option<Stamp>, ListError> {
        let mut range = ItemRange { to: up_to, ..ItemRange::default() };
        let mut with_base = true;
        loop {
            let page = self.target.items(range, with_base).await?;
            let now = now_unix_ms();
            let put = page.base.as_ref().is_some_and(|base| base.stamp <= up_to && has_elements(base));
            if put || page.items.iter().any(|item| item.is_live(now)) {
                return Ok(Some(up_to));
            }
            let Some(next) = page.next else { return Ok(None) };
            range = range.starting_at(next);
            with_base = false;
        }
    }
}

fn has_elements(base: &Base) -> bool {
    base.is_live(now_unix_ms()) && !put_elements(base).is_empty()
}

impl IntoFuture for Trim {
    type Output = Result<Trimmed, ListError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

/// A record's name for messages.
pub(crate) fn shown(record: &RecordId) -> String {
    String::from_utf8_lossy(&record.name).into_owned()
}
