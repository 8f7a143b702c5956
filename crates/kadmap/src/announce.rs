//! Who has it: nodes announce themselves under a name, and anybody asks who did.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use kadmap_core::wire::Refusal;
use kadmap_core::{
    Change, Consistency, NodeId, Payload, Record, Shape, WriteError, WriteOptions, WriteOutcome,
};
use thiserror::Error;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tracing::{debug, warn};

use crate::dht::now_unix_ms;
use crate::error::{GetError, PutError, Stopped};
use crate::lists::{Target, shown, tuned};
use crate::{Place, Value, ValueError};

/// How long an announcement lives unless said otherwise: whoever crashed is still told for half an hour at most, and one
/// that stays costs a small write every ten minutes, less than its connections cost anyway.
pub const ANNOUNCEMENT_TTL: Duration = Duration::from_secs(30 * 60);
/// The shortest life of an announcement: its renewal, a third of that, is still longer than a write takes.
pub const ANNOUNCEMENT_TTL_MIN: Duration = Duration::from_secs(3);
/// The longest life of an announcement: as long as tombstones, because a longer one is no sign of life.
pub const ANNOUNCEMENT_TTL_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// An announcement is renewed when this part of its life is over, so that one renewal may fail.
const RENEWALS_PER_LIFE: u32 = 3;
/// A renewal that failed is tried again after this part of the announcement's life.
const RETRIES_PER_LIFE: u32 = 12;

/// Why something was not announced, or the announcements could not be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AnnounceError {
    /// The life of an announcement is out of its range; nothing was sent.
    #[error("an announcement of {}s: give it {}s to {}s", ttl.as_secs_f64(), ANNOUNCEMENT_TTL_MIN.as_secs(), ANNOUNCEMENT_TTL_MAX.as_secs())]
    Ttl {
        /// What was asked for.
        ttl: Duration,
    },
    /// The name is used for something else.
    #[error("'{name}' holds a {found}, not announcements: choose another name")]
    Taken {
        /// The name.
        name: String,
        /// What is there; a map is one whose fields nobody announced.
        found: Shape,
    },
    /// The announcement was not acknowledged.
    #[error(transparent)]
    Put(#[from] PutError),
    /// Too few nodes answered.
    #[error(transparent)]
    Get(#[from] GetError),
}

/// Somebody who has announced itself.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let dht = kadmap::Dht::builder().listen("127.0.0.1:0").spawn().await.unwrap();
/// let announcement = dht.announce("model", "10.0.0.7:9000").await.unwrap();
/// let providers = dht.providers("model").await.unwrap();
/// assert_eq!((providers.len(), providers[0].id), (1, dht.id()));
/// assert_eq!(providers[0].payload.parse::<String>().unwrap(), "10.0.0.7:9000");
/// announcement.stop().await.unwrap();
/// assert!(dht.providers("model").await.unwrap().is_empty());
/// # });
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Provider {
    /// Who.
    pub id: NodeId,
    /// What it said.
    pub payload: Value,
    /// Milliseconds since 1970 from which it no longer counts, unless it renews.
    pub expires_ms: u64,
}

/// An announcement on its way: set options, then await it to have it renewed, or call [`once`](Self::once).
///
/// ```
/// use std::time::Duration;
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let dht = kadmap::Dht::builder().listen("127.0.0.1:0").spawn().await.unwrap();
/// dht.announce("model", &7).ttl(Duration::from_secs(60)).once().await.unwrap();
/// let refused = dht.announce("model", &7).ttl(Duration::from_secs(1)).once().await.unwrap_err();
/// assert_eq!(refused.to_string(), "an announcement of 1s: give it 3s to 86400s");
/// # });
/// ```
#[must_use = "an announcement is made when it is awaited"]
#[derive(Debug)]
pub struct Announce {
    target: Target,
    payload: Result<Payload, ValueError>,
    id: NodeId,
    ttl: Duration,
}

tuned!(Announce);

impl Announce {
    pub(crate) fn new(target: Target, payload: Result<Value, ValueError>) -> Self {
        let id = target.dht.id();
        let payload = payload.map(|value| value.into_payload().0);
        Self { target, payload, id, ttl: ANNOUNCEMENT_TTL }
    }

    /// Lets it live for so long after each renewal, 3 seconds to 24 hours instead of 30 minutes.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// Announces somebody else than this node, such as a service whose id outlives the process that speaks for it.
    pub fn on_behalf_of(mut self, id: NodeId) -> Self {
        self.id = id;
        self
    }

    /// Announces without renewing it.
    ///
    /// # Errors
    /// [`AnnounceError`]; in the case of too few acknowledgements some nodes may tell it all the same.
    pub async fn once(self) -> Result<WriteOutcome, AnnounceError> {
        self.into_spoken()?.speak().await
    }

    async fn keep(self) -> Result<Announcement, AnnounceError> {
        let spoken = self.into_spoken()?;
        let outcome = spoken.speak().await?;
        let (stop, stopped) = oneshot::channel();
        let renewing = tokio::spawn(renew(spoken.clone(), stopped));
        Ok(Announcement { spoken, outcome, stop, renewing })
    }

    fn into_spoken(self) -> Result<Spoken, AnnounceError> {
        let (target, id, ttl) = (self.target, self.id, self.ttl);
        if !(ANNOUNCEMENT_TTL_MIN..=ANNOUNCEMENT_TTL_MAX).contains(&ttl) {
            return Err(AnnounceError::Ttl { ttl });
        }
        Ok(Spoken { target, payload: self.payload.map_err(PutError::from)?, id, ttl })
    }
}

impl IntoFuture for Announce {
    type Output = Result<Announcement, AnnounceError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.keep())
    }
}

/// What is announced, again and again.
#[derive(Debug, Clone)]
struct Spoken {
    target: Target,
    payload: Payload,
    id: NodeId,
    ttl: Duration,
}

impl Spoken {
    async fn speak(&self) -> Result<WriteOutcome, AnnounceError> {
        let change = Change::PutField { field: self.field(), payload: self.payload.clone() };
        self.write(change, Some(self.ttl)).await
    }

    async fn withdraw(&self) -> Result<WriteOutcome, AnnounceError> {
        self.write(Change::DeleteField { field: self.field() }, None).await
    }

    /// One field for each announcer, so that whoever announces again is told once.
    fn field(&self) -> Bytes {
        self.id.to_string().into()
    }

    async fn write(&self, change: Change, ttl: Option<Duration>) -> Result<WriteOutcome, AnnounceError> {
        let options = WriteOptions { ttl, ..self.target.write_options() };
        let written = self.target.dht.write(self.target.record.clone(), change, options).await;
        written.map_err(|error| match error {
            PutError::Write(WriteError::Refused { refusal: Refusal::WrongShape { found, .. }, .. }) => {
                AnnounceError::Taken { name: shown(&self.target.record), found }
            }
            error => AnnounceError::Put(error),
        })
    }
}

/// Renews an announcement until it is told to stop.
async fn renew(spoken: Spoken, mut stopped: oneshot::Receiver<()>) {
    let mut wait = spoken.ttl / RENEWALS_PER_LIFE;
    loop {
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = &mut stopped => return,
        }
        // Not given up half way: what is on its way would be written again above the withdrawal.
        wait = match spoken.speak().await {
            Ok(_) => spoken.ttl / RENEWALS_PER_LIFE,
            Err(AnnounceError::Put(PutError::Stopped(Stopped))) => return,
            Err(error) => {
                let name = shown(&spoken.target.record);
                warn!(name, %error, "an announcement is not renewed yet, trying again");
                spoken.ttl / RETRIES_PER_LIFE
            }
        };
        debug!(name = shown(&spoken.target.record), "announced again");
    }
}

/// An announcement that is renewed at a third of its life until it is stopped or dropped.
///
/// [`stop`](Self::stop) withdraws it at once; one that is dropped is told until its life is over.
/// It holds a handle of the node, which so runs as long as the announcement.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let dht = kadmap::Dht::builder().listen("127.0.0.1:0").spawn().await.unwrap();
/// let announcement = dht.announce("model", &7).await.unwrap();
/// assert_eq!(announcement.outcome().acks, [dht.id()]);
/// drop(announcement);
/// assert_eq!(dht.providers("model").await.unwrap().len(), 1);
/// # });
/// ```
#[must_use = "an announcement ends when it is dropped"]
#[derive(Debug)]
pub struct Announcement {
    spoken: Spoken,
    outcome: WriteOutcome,
    /// Dropped or used, it ends the renewals.
    stop: oneshot::Sender<()>,
    renewing: JoinHandle<()>,
}

impl Announcement {
    /// Who is announced.
    pub fn id(&self) -> NodeId {
        self.spoken.id
    }

    /// How the first announcement was acknowledged.
    pub fn outcome(&self) -> &WriteOutcome {
        &self.outcome
    }

    /// Ends the renewals and withdraws the announcement.
    ///
    /// # Errors
    /// [`AnnounceError`] when too few nodes acknowledge it; it then ends with its life.
    pub async fn stop(self) -> Result<WriteOutcome, AnnounceError> {
        drop(self.stop);
        // A renewal that is under way ends first; one that panicked has ended.
        let _ = self.renewing.await;
        self.spoken.withdraw().await
    }
}

/// A withdrawal of what was announced once, which happens when it is awaited.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let dht = kadmap::Dht::builder().listen("127.0.0.1:0").spawn().await.unwrap();
/// dht.announce("model", &7).once().await.unwrap();
/// dht.withdraw("model", dht.id()).await.unwrap();
/// assert!(dht.providers("model").await.unwrap().is_empty());
/// # });
/// ```
#[must_use = "a withdrawal happens when it is awaited"]
#[derive(Debug)]
pub struct Withdraw {
    target: Target,
    id: NodeId,
}

tuned!(Withdraw);

impl Withdraw {
    pub(crate) fn new(target: Target, id: NodeId) -> Self {
        Self { target, id }
    }
}

impl IntoFuture for Withdraw {
    type Output = Result<WriteOutcome, AnnounceError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let payload = Payload::new(kadmap_core::Codec::Bytes, Bytes::new());
        let spoken = Spoken { target: self.target, payload, id: self.id, ttl: ANNOUNCEMENT_TTL };
        Box::pin(async move { spoken.withdraw().await })
    }
}

/// A question for all who have announced themselves, asked when it is awaited.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let dht = kadmap::Dht::builder().listen("127.0.0.1:0").spawn().await.unwrap();
/// assert!(dht.providers("nothing").await.unwrap().is_empty());
/// dht.append("list", &4).await.unwrap();
/// let taken = dht.providers("list").await.unwrap_err();
/// assert_eq!(taken.to_string(), "'list' holds a list, not announcements: choose another name");
/// # });
/// ```
#[must_use = "providers are asked for when it is awaited"]
#[derive(Debug)]
pub struct Providers {
    target: Target,
}

tuned!(Providers);

impl Providers {
    pub(crate) fn new(target: Target) -> Self {
        Self { target }
    }

    async fn run(self) -> Result<Vec<Provider>, AnnounceError> {
        let read = self.target.dht.read_outcome(self.target.record.clone(), self.target.read_options());
        let Some(record) = read.await?.record else { return Ok(Vec::new()) };
        let taken = |found| AnnounceError::Taken { name: shown(&self.target.record), found };
        providers_of(&record, now_unix_ms()).map_err(taken)
    }
}

impl IntoFuture for Providers {
    type Output = Result<Vec<Provider>, AnnounceError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

/// Who is announced in a record, by id; what is there instead of announcements otherwise.
fn providers_of(record: &Record, unix_ms: u64) -> Result<Vec<Provider>, Shape> {
    if let Some(base) = record.live_base(unix_ms) {
        return Err(base.shape);
    }
    let provider = |item: &kadmap_core::Item| {
        let field = item.field.as_ref().ok_or(Shape::List)?;
        let id = std::str::from_utf8(field).ok().and_then(|text| text.parse().ok()).ok_or(Shape::Map)?;
        let payload = item.payload.as_ref().map(Value::of_payload).ok_or(Shape::Map)?;
        Ok(Provider { id, payload, expires_ms: item.expires_ms.ok_or(Shape::Map)? })
    };
    record.live_items(unix_ms).map(provider).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kadmap_core::{Base, Codec, Item, Stamp};

    fn announced(time: u64, field: &str, expires_ms: Option<u64>) -> Item {
        let (stamp, payload) = (Stamp { time, writer: 1 }, Some(Payload::new(Codec::Json, "7")));
        Item { stamp, field: Some(field.to_owned().into()), payload, expires_ms }
    }

    #[test]
    fn each_announcer_is_told_once_while_it_lives() {
        let id = NodeId::of_public_key(b"one");
        let other = NodeId::of_public_key(b"other");
        let items = [
            announced(1, &id.to_string(), Some(100)),
            announced(3, &id.to_string(), Some(300)),
            announced(2, &other.to_string(), Some(200)),
        ];
        let record = Record::from_parts(None, items);
        let ids = |now| -> Vec<_> {
            let providers = providers_of(&record, now).unwrap();
            providers.into_iter().map(|provider| (provider.id, provider.expires_ms)).collect()
        };
        let mut both = vec![(id, 300), (other, 200)];
        both.sort_unstable();
        assert_eq!(ids(199), both);
        assert_eq!(ids(200), [(id, 300)]);
        assert_eq!(ids(300), []);
    }

    #[test]
    fn what_nobody_announced_is_told_apart() {
        let stamp = Stamp { time: 1, writer: 1 };
        let payload = Some(Payload::new(Codec::Json, "{}"));
        let base = Base { stamp, shape: Shape::Value, payload: payload.clone(), expires_ms: None };
        assert_eq!(providers_of(&base.into(), 0), Err(Shape::Value));
        let item = Item { stamp, field: None, payload, expires_ms: None };
        assert_eq!(providers_of(&item.into(), 0), Err(Shape::List));
        for field in
            [announced(1, "colour", Some(9)), announced(1, &NodeId::of_public_key(b"x").to_string(), None)]
        {
            assert_eq!(providers_of(&field.into(), 0), Err(Shape::Map));
        }
    }
}
