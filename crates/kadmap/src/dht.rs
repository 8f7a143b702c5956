//! The handle that users hold.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use kadmap_core::wire::Request;
use kadmap_core::{
    Change, Contact, ItemRange, ItemsOutcome, Key, LookupOutcome, NodeId, ReadOptions, ReadOutcome, RecordId,
    Stamp, WriteOptions, WriteOutcome,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, oneshot};

use crate::announce::{Announce, Providers, Withdraw};
use crate::builder::resolve_all;
use crate::crowding::Crowding;
use crate::error::{GetError, PutError, StartError, Stopped};
use crate::lists::{Items, ItemsPage, Keep, ListError, Remove, Target, Trim};
use crate::node::{Answer, Command, JoinPlan};
use crate::place::Places;
use crate::request::{Draft, Read, Reading, Write};
use crate::{BeginWatch, DhtBuilder, PeerInfo, Place, Remote, Scan, Status, Value, ValueError};

/// Names read from the own store at a time.
const NAMES_PER_PAGE: usize = 1024;

/// A map shared by a swarm of peers; cheap to clone, all clones speak for the same node.
///
/// The node stops when the last clone is dropped, without a hand-over; [`leave`](Self::leave) is the polite way.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use kadmap::Dht;
/// let first = Dht::builder().listen("127.0.0.1:0").spawn().await.unwrap();
/// let second = Dht::builder().listen("127.0.0.1:0").join([first.address().to_string()]).spawn().await.unwrap();
///
/// first.put("list", &[1, 2, 3]).await.unwrap();
/// second.append("list", &4).await.unwrap();
/// assert_eq!(first.get::<Vec<i32>>("list").await.unwrap(), Some(vec![1, 2, 3, 4]));
/// assert_eq!(first.get::<Vec<i32>>("nothing").await.unwrap(), None);
/// # });
/// ```
#[derive(Debug, Clone)]
pub struct Dht {
    commands: mpsc::UnboundedSender<Command>,
    shared: Arc<Shared>,
}

/// What all handles of one node share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) id: NodeId,
    pub(crate) address: SocketAddr,
    pub(crate) places: Places,
    pub(crate) crowding: Crowding,
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Command")
    }
}

impl Dht {
    /// Settings for a new node, all with defaults.
    pub fn builder() -> DhtBuilder {
        DhtBuilder::default()
    }

    pub(crate) fn new(commands: mpsc::UnboundedSender<Command>, shared: Shared) -> Self {
        Self { commands, shared: Arc::new(shared) }
    }

    /// This node's id.
    pub fn id(&self) -> NodeId {
        self.shared.id
    }

    /// The address its socket is bound to.
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// The place of a name: its key.
    pub fn key_of(&self, name: impl AsRef<[u8]>) -> Key {
        self.record(name).key
    }

    /// The key that a place means in this swarm, for [`lookup`](Self::lookup).
    ///
    /// ```
    /// use kadmap::{Dht, Key, Place};
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let dht = Dht::builder().listen("127.0.0.1:0").spawn().await.unwrap();
    /// assert_eq!(dht.place_of(&Place::Exact(Key::MAX)), Key::MAX);
    /// assert_eq!(dht.place_of(&Place::Hashed(b"colour".to_vec())), dht.key_of("colour"));
    /// # });
    /// ```
    pub fn place_of(&self, place: &Place) -> Key {
        self.shared.places.key_at(place)
    }

    /// Stores a value as JSON under a name, in the place of whatever is there.
    ///
    /// # Errors
    /// [`PutError`] when the value cannot be written as JSON, when it is too large, or when too few replicas
    /// acknowledge it; in that case some may hold it all the same.
    pub fn put<T: Serialize + ?Sized>(&self, name: impl AsRef<[u8]>, value: &T) -> Write<'_> {
        self.draft(name, Value::from_json(value).map(Draft::Put))
    }

    /// Stores a value that is JSON text or bytes already.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn put_value(&self, name: impl AsRef<[u8]>, value: Value) -> Write<'_> {
        self.draft(name, Ok(Draft::Put(value)))
    }

    /// Stores bytes as they are.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn put_bytes(&self, name: impl AsRef<[u8]>, bytes: impl Into<Bytes>) -> Write<'_> {
        self.put_value(name, Value::Bytes(bytes.into()))
    }

    /// Stores a value as JSON if the record is still at the version that a read told; see
    /// [`Write::if_version`] for what that can promise.
    ///
    /// # Errors
    /// As [`put`](Self::put), and a conflict that names the version found.
    pub fn put_if_version<T: Serialize + ?Sized>(
        &self,
        name: impl AsRef<[u8]>,
        value: &T,
        version: kadmap_core::Version,
    ) -> Write<'_> {
        self.put(name, value).if_version(version)
    }

    /// Adds an item to the list under a name, which comes to be if nothing is there.
    ///
    /// Costs the item, however long the list. Items of concurrent writers are neither lost nor doubled, and each
    /// writer's own stay in order.
    ///
    /// # Errors
    /// As [`put`](Self::put), and a refusal when the name holds something that is not a list.
    pub fn append<T: Serialize + ?Sized>(&self, name: impl AsRef<[u8]>, item: &T) -> Write<'_> {
        self.draft(name, Value::from_json(item).map(Draft::Append))
    }

    /// Adds an item that is JSON text or bytes already.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn append_value(&self, name: impl AsRef<[u8]>, item: Value) -> Write<'_> {
        self.draft(name, Ok(Draft::Append(item)))
    }

    /// Writes one field of the map under a name, which comes to be if nothing is there; the other fields, and who
    /// else writes them, do not matter.
    ///
    /// # Errors
    /// As [`put`](Self::put), and a refusal when the name holds something that is not a map.
    pub fn put_field<T: Serialize + ?Sized>(
        &self,
        name: impl AsRef<[u8]>,
        field: impl AsRef<str>,
        value: &T,
    ) -> Write<'_> {
        let field = Bytes::copy_from_slice(field.as_ref().as_bytes());
        self.draft(name, Value::from_json(value).map(|value| Draft::PutField(field, value)))
    }

    /// Writes one field of the map under a name with a value that is JSON text or bytes already.
    ///
    /// # Errors
    /// As [`put_field`](Self::put_field).
    pub fn put_field_value(&self, name: impl AsRef<[u8]>, field: impl AsRef<str>, value: Value) -> Write<'_> {
        let field = Bytes::copy_from_slice(field.as_ref().as_bytes());
        self.draft(name, Ok(Draft::PutField(field, value)))
    }

    /// Removes one field of the map under a name.
    ///
    /// # Errors
    /// As [`put_field`](Self::put_field).
    pub fn delete_field(&self, name: impl AsRef<[u8]>, field: impl AsRef<str>) -> Write<'_> {
        let field = Bytes::copy_from_slice(field.as_ref().as_bytes());
        self.draft(name, Ok(Draft::DeleteField(field)))
    }

    /// The elements of the list under a name with their ids, a page at a time; nothing happens before the first is asked
    /// for.
    pub fn items(&self, name: impl AsRef<[u8]>) -> Items {
        Items::new(self.target(name))
    }

    /// One page of the list under a name: up to `limit` appended items (512 at most) after the item with the id `after`.
    ///
    /// Without `after` it begins with the elements of the list that was put, all of them.
    ///
    /// # Errors
    /// [`ListError`] when what is there is no list, or too few replicas answer.
    pub async fn items_page(
        &self,
        name: impl AsRef<[u8]>,
        after: Option<Stamp>,
        limit: usize,
    ) -> Result<ItemsPage, ListError> {
        let items = self.items(name).page_items(limit);
        match after {
            Some(id) => items.after(id).page().await,
            None => items.page().await,
        }
    }

    /// Removes one appended item of the list under a name, by the id that [`items`](Self::items) tells, which is the stamp
    /// in the outcome of its [`append`](Self::append).
    ///
    /// # Errors
    /// [`ListError::NoSuchItem`] when it is not there, [`ListError::NotAList`] when what is there is no list; nothing is
    /// written then.
    pub fn remove(&self, name: impl AsRef<[u8]>, id: Stamp) -> Remove {
        Remove::new(self.target(name), id)
    }

    /// Drops the oldest of the list under a name; one small message whatever is dropped.
    /// To keep the last so many costs reading these.
    ///
    /// The elements of a list that was put go together, with the first appended item that goes or when just the appended
    /// ones are to stay.
    /// Hides also what is appended at the same moment by a writer whose clock is behind; see `docs/guarantees.md`.
    ///
    /// # Errors
    /// [`ListError`] when what is there is no list, or too few replicas answer.
    pub fn trim(&self, name: impl AsRef<[u8]>, keep: Keep) -> Trim {
        Trim::new(self.target(name), keep)
    }

    /// Announces this node under a name with a payload, JSON of any kind, for others to find by
    /// [`providers`](Self::providers); renewed until the [`Announcement`](crate::Announcement) is stopped or dropped.
    ///
    /// # Errors
    /// [`AnnounceError`](crate::AnnounceError) when the name is used for something else, or too few replicas
    /// acknowledge it.
    pub fn announce<T: Serialize + ?Sized>(&self, name: impl AsRef<[u8]>, payload: &T) -> Announce {
        Announce::new(self.target(name), Value::from_json(payload))
    }

    /// Announces this node with a payload that is JSON text or bytes already.
    ///
    /// # Errors
    /// As [`announce`](Self::announce).
    pub fn announce_value(&self, name: impl AsRef<[u8]>, payload: Value) -> Announce {
        Announce::new(self.target(name), Ok(payload))
    }

    /// Withdraws what was announced under a name for somebody. That nothing was is no error.
    ///
    /// # Errors
    /// As [`announce`](Self::announce).
    pub fn withdraw(&self, name: impl AsRef<[u8]>, id: NodeId) -> Withdraw {
        Withdraw::new(self.target(name), id)
    }

    /// Who is announced under a name, by id; each once, and only while its announcement lives.
    ///
    /// # Errors
    /// [`AnnounceError`](crate::AnnounceError) when the name is used for something else, or too few replicas answer.
    pub fn providers(&self, name: impl AsRef<[u8]>) -> Providers {
        Providers::new(self.target(name))
    }

    /// Removes whatever is under a name. That nothing was there is no error.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn delete(&self, name: impl AsRef<[u8]>) -> Write<'_> {
        self.draft(name, Ok(Draft::Delete))
    }

    /// Reads the value under a name as a type; `None` when there is none.
    ///
    /// # Errors
    /// [`GetError`] when too few replicas answer, or the value is not of that type.
    pub async fn get<T: DeserializeOwned>(&self, name: impl AsRef<[u8]>) -> Result<Option<T>, GetError> {
        Ok(self.read(name).await?.parse()?)
    }

    /// Reads the value under a name as it was stored; `None` when there is none.
    ///
    /// # Errors
    /// [`GetError`] when too few replicas answer.
    pub async fn get_value(&self, name: impl AsRef<[u8]>) -> Result<Option<Value>, GetError> {
        Ok(self.read(name).await?.value)
    }

    /// Reads a name with its version and how many replicas answered, with options.
    ///
    /// # Errors
    /// [`GetError`] when too few replicas answer.
    pub fn read(&self, name: impl AsRef<[u8]>) -> Read<'_> {
        Read::new(self, self.record(name))
    }

    /// Watches a name: its replicas push each change, which is told some milliseconds after the write at most. With
    /// options.
    ///
    /// # Errors
    /// [`WatchError`](crate::WatchError) when too few replicas agree in time to tell of changes.
    pub fn watch(&self, name: impl AsRef<[u8]>) -> BeginWatch<'_> {
        BeginWatch::new(self, self.record(name))
    }

    /// Whether there is a value under a name. Costs a read.
    ///
    /// # Errors
    /// [`GetError`] when too few replicas answer.
    pub async fn contains(&self, name: impl AsRef<[u8]>) -> Result<bool, GetError> {
        Ok(self.read(name).await?.value.is_some())
    }

    /// The names of the records that this node holds itself.
    ///
    /// # Errors
    /// [`Stopped`] when the node has.
    pub async fn keys(&self) -> Result<Vec<Bytes>, Stopped> {
        let mut all = Vec::new();
        let mut after = None;
        loop {
            let page = self.ask_node(|reply| Command::Names { after, limit: NAMES_PER_PAGE, reply }).await?;
            all.extend(page.0.into_iter().map(|id| id.name));
            after = page.1;
            if after.is_none() {
                return Ok(all);
            }
        }
    }

    /// The names of all records in the swarm, as a stream.
    ///
    /// # Errors
    /// [`Stopped`] when the node has.
    pub fn scan(&self) -> Result<Scan, Stopped> {
        let (sender, pages) = mpsc::unbounded_channel();
        self.commands.send(Command::Scan { pages: sender }).map_err(|_| Stopped)?;
        Ok(Scan::new(pages, self.commands.clone()))
    }

    /// Looks up the nodes closest to a key by asking the swarm, and tells every request it took.
    ///
    /// # Errors
    /// [`Stopped`] when the node has.
    pub async fn lookup(&self, target: Key) -> Result<LookupOutcome, Stopped> {
        self.ask_node(|reply| Command::Lookup { target, reply }).await
    }

    /// The contacts in this node's routing table, in id order.
    ///
    /// # Errors
    /// [`Stopped`] when the node has.
    pub async fn peers(&self) -> Result<Vec<PeerInfo>, Stopped> {
        let reports = self.ask_node(|reply| Command::Peers { reply }).await?;
        Ok(reports.into_iter().map(PeerInfo::from).collect())
    }

    /// How this node is.
    ///
    /// # Errors
    /// [`Stopped`] when the node has.
    pub async fn status(&self) -> Result<Status, Stopped> {
        self.ask_node(|reply| Command::Status { reply }).await
    }

    /// Another node, to ask about itself.
    pub fn remote(&self, id: NodeId, address: SocketAddr) -> Remote {
        Remote::new(self.clone(), Contact { id, address })
    }

    /// Joins, while the node runs, by the addresses (`host:port`) of any members; one that answers is enough. For nodes
    /// that started alone, and to bring two swarms together.
    ///
    /// # Errors
    /// [`StartError::Join`] when none answers in time; the node goes on as before.
    /// [`StartError::Address`] for what is no address, [`StartError::Setting`] when none is given or the node has
    /// stopped.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use std::time::Duration;
    /// let one = kadmap::Dht::builder().listen("127.0.0.1:0").spawn().await.unwrap();
    /// let two = kadmap::Dht::builder().listen("127.0.0.1:0").spawn().await.unwrap();
    /// two.join([one.address().to_string()], Duration::from_secs(10)).await.unwrap();
    /// assert_eq!(two.peers().await.unwrap()[0].id, one.id());
    /// # });
    /// ```
    pub async fn join<T: Into<String>>(
        &self,
        addresses: impl IntoIterator<Item = T>,
        timeout: Duration,
    ) -> Result<(), StartError> {
        let addresses: Vec<String> = addresses.into_iter().map(Into::into).collect();
        let plan = JoinPlan { addresses: resolve_all(&addresses).await?, timeout, ..JoinPlan::default() };
        let unusable = |value: &str, remedy: &str| StartError::Setting {
            setting: "join",
            value: value.to_owned(),
            remedy: remedy.to_owned(),
        };
        if plan.addresses.is_empty() {
            return Err(unusable("empty", "give the address of a member"));
        }
        let joined = self.ask_node(|reply| Command::Join { plan, reply }).await;
        joined.unwrap_or_else(|_| Err(unusable("asked of a node that has stopped", "start a new one")))
    }

    /// Leaves for good: hands over what others lack, says goodbye and stops the node; takes at most some five seconds.
    /// Tells how many records were handed over.
    ///
    /// # Errors
    /// [`Stopped`] when the node has stopped before.
    pub async fn leave(&self) -> Result<u64, Stopped> {
        self.ask_node(|reply| Command::Leave { briefly: false, reply }).await
    }

    /// Leaves for so short a time that nobody need take the node's place, and stops it: for a restart with its data
    /// folder within seconds, as an upgrade is. Tells how many records were handed over.
    ///
    /// The node makes sure that others have what it has; where they do, nothing travels. Who does not come back within
    /// 5 to 30 s is replaced as one that has crashed. Where so many others have gone within the last seconds that reads
    /// would suffer, and where there are fewer than three replicas, it [leaves](Self::leave) for good.
    ///
    /// # Errors
    /// [`Stopped`] when the node has stopped before.
    pub async fn leave_briefly(&self) -> Result<u64, Stopped> {
        self.ask_node(|reply| Command::Leave { briefly: true, reply }).await
    }

    /// Stops the node at once, without a hand-over or a goodbye, and returns when its socket is closed. Whatever is
    /// under way ends with [`Stopped`]. Nothing happens if it has stopped before.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let dht = kadmap::Dht::builder().listen("127.0.0.1:0").spawn().await.unwrap();
    /// dht.stop().await;
    /// assert!(dht.is_stopped() && dht.status().await.is_err());
    /// # });
    /// ```
    pub async fn stop(&self) {
        // An error is how a node says that it has stopped already.
        let _ = self.ask_node(|reply| Command::Stop { reply }).await;
    }

    /// Whether the node has stopped, by [`stop`](Self::stop), by [`leave`](Self::leave) or by itself.
    pub fn is_stopped(&self) -> bool {
        self.commands.is_closed()
    }

    pub(crate) async fn write(
        &self,
        record: RecordId,
        change: Change,
        options: WriteOptions,
    ) -> Result<WriteOutcome, PutError> {
        let name = record.name.clone();
        let outcome = self.ask_node(|reply| Command::Write { record, change, options, reply }).await??;
        self.shared.crowding.look(&name, outcome.size);
        Ok(outcome)
    }

    pub(crate) async fn read_record(
        &self,
        record: RecordId,
        options: ReadOptions,
    ) -> Result<Reading, GetError> {
        let outcome = self.read_outcome(record, options).await?;
        Ok(Reading {
            value: outcome.record.as_ref().and_then(|record| Value::of_record(record, now_unix_ms())),
            version: outcome.version,
            answers: outcome.answers,
            need: outcome.need,
            replicas: outcome.replicas,
            repaired: outcome.repaired,
        })
    }

    pub(crate) async fn read_outcome(
        &self,
        record: RecordId,
        options: ReadOptions,
    ) -> Result<ReadOutcome, GetError> {
        Ok(self.ask_node(|reply| Command::Read { record, options, reply }).await??)
    }

    pub(crate) async fn read_items(
        &self,
        record: RecordId,
        range: ItemRange,
        with_base: bool,
        options: ReadOptions,
    ) -> Result<ItemsOutcome, GetError> {
        let command = |reply| Command::Items { record, range, with_base, options, reply };
        Ok(self.ask_node(command).await??)
    }

    pub(crate) fn commands(&self) -> mpsc::UnboundedSender<Command> {
        self.commands.clone()
    }

    pub(crate) async fn ask(&self, contact: Contact, request: Request) -> Result<Answer, Stopped> {
        self.ask_node(|reply| Command::Ask { contact, request, reply }).await
    }

    fn draft(&self, name: impl AsRef<[u8]>, draft: Result<Draft, ValueError>) -> Write<'_> {
        Write::new(self, self.record(name), draft)
    }

    fn target(&self, name: impl AsRef<[u8]>) -> Target {
        Target::new(self, self.record(name))
    }

    fn record(&self, name: impl AsRef<[u8]>) -> RecordId {
        self.shared.places.record(name.as_ref())
    }

    pub(crate) async fn ask_node<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, Stopped> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }
}

/// Milliseconds since 1970 by this machine's clock.
pub(crate) fn now_unix_ms() -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX)
}
