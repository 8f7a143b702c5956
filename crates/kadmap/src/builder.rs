//! The settings of a node, and its start.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use kadmap_core::{Config, Consistency, Node, Now, RecordStore, Role};
use kadmap_store::{AnyStore, Durability, MemoryStore, RedbStore, StoreConfig};
use tokio::sync::{Notify, mpsc, oneshot};
use tracing::{info, warn};

use crate::crowding::Crowding;
use crate::dht::Shared;
use crate::error::StartError;
use crate::guard::{Guard, GuardHandle, Guarded};
use crate::identity::{Credentials, Identity, PkiFiles, SwarmSecret, Trust};
use crate::node::{ContactsFile, Driver, JoinPlan, Parts};
use crate::place::Places;
use crate::transport::{Transport, TransportConfig};
use crate::{Dht, Place};

/// The port on which nodes listen unless told otherwise: that of gevent_dht.
pub const DEFAULT_PORT: u16 = 8339;
/// How long a join may take unless told otherwise.
const JOIN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long remembered contacts are tried when no address to join by is given.
const KNOWN_CONTACTS_TIMEOUT: Duration = Duration::from_secs(3);
/// How long one pass over the stored records takes unless told otherwise.
const SCRUB_INTERVAL: Duration = Duration::from_secs(7 * 24 * 3600);
/// Bytes that a frame may have beyond the largest record: names, numbers and CBOR around it.
const FRAME_SLACK_BYTES: usize = 1024 * 1024;
/// Comparing more often than this finds nothing that the last comparison has not, and keeps everybody busy.
const REPAIR_INTERVAL_MIN: Duration = Duration::from_secs(1);
/// Replication allowed.
const REPLICATION_RANGE: std::ops::RangeInclusive<usize> = 1..=64;

/// The settings of a node; [`spawn`](Self::spawn) starts it.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use kadmap::{Consistency, Dht};
/// let dht = Dht::builder()
///     .listen("127.0.0.1:0")
///     .secret("correct horse battery staple")
///     .replication(8)
///     .consistency(Consistency::One)
///     .spawn()
///     .await
///     .unwrap();
/// dht.leave().await.unwrap();
/// # });
/// ```
#[derive(Debug, Clone)]
pub struct DhtBuilder {
    listen: Option<String>,
    join: Vec<String>,
    join_timeout: Duration,
    join_retry: bool,
    data_dir: Option<PathBuf>,
    secret: Option<Vec<u8>>,
    pki: Option<PkiFiles>,
    places: Places,
    config: Config,
    store: StoreConfig,
    custom_store: Option<StoreFactory>,
    guard: Option<GuardHandle>,
    scrub_interval: Duration,
    transport: TransportConfig,
}

/// Opens the caller's own store; called once for each node that starts.
#[derive(Clone)]
struct StoreFactory(Arc<dyn Fn() -> Result<Box<dyn RecordStore + Send>, StartError> + Send + Sync>);

impl fmt::Debug for StoreFactory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreFactory(..)")
    }
}

impl Default for DhtBuilder {
    fn default() -> Self {
        Self {
            listen: None,
            join: Vec::new(),
            join_timeout: JOIN_TIMEOUT,
            join_retry: false,
            data_dir: None,
            secret: None,
            pki: None,
            places: Places::default(),
            config: Config::default(),
            store: StoreConfig::default(),
            custom_store: None,
            guard: None,
            scrub_interval: SCRUB_INTERVAL,
            transport: TransportConfig::default(),
        }
    }
}

impl DhtBuilder {
    /// Listens at `host:port`; port 0 takes any free one. Default: port 8339 of all interfaces, IPv6 and IPv4
    /// (clients: any free port).
    #[must_use]
    pub fn listen(mut self, address: impl Into<String>) -> Self {
        self.listen = Some(address.into());
        self
    }

    /// Joins by the addresses (`host:port`) of any members; one that answers is enough. Without any the node starts a
    /// swarm of its own, unless it remembers members in its data folder.
    #[must_use]
    pub fn join<T: Into<String>>(mut self, addresses: impl IntoIterator<Item = T>) -> Self {
        self.join.extend(addresses.into_iter().map(Into::into));
        self
    }

    /// Gives a join up after this long: default 10 s.
    #[must_use]
    pub fn join_timeout(mut self, timeout: Duration) -> Self {
        self.join_timeout = timeout;
        self
    }

    /// Goes on trying to join until a member answers.
    #[must_use]
    pub fn join_retry(mut self, retry: bool) -> Self {
        self.join_retry = retry;
        self
    }

    /// Keeps identity, records and known contacts in a folder, which is made if it is not there. Default: none, the
    /// node forgets everything when it stops.
    #[must_use]
    pub fn data_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(folder.into());
        self
    }

    /// Admits only nodes that know the same secret, of at least 8 bytes. Default: none, anyone may join.
    #[must_use]
    pub fn secret(mut self, secret: impl AsRef<[u8]>) -> Self {
        self.secret = Some(secret.as_ref().to_vec());
        self
    }

    /// Admits only nodes with a certificate of this authority, and shows ours: for operators with a certificate
    /// authority of their own.
    #[must_use]
    pub fn pki(mut self, files: PkiFiles) -> Self {
        self.pki = Some(files);
        self
    }

    /// Holds each record on so many nodes (r): default 20, from 1 to 64. The same on all nodes of a swarm.
    #[must_use]
    pub fn replication(mut self, nodes: usize) -> Self {
        self.config.replication = nodes;
        self
    }

    /// How many replicas an operation waits for unless it says otherwise: default quorum.
    #[must_use]
    pub fn consistency(mut self, consistency: Consistency) -> Self {
        self.config.consistency = consistency;
        self
    }

    /// When a write counts as stored: default as soon as it is in memory and queued for the disk. Without a data folder
    /// it has no effect.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.store.durability = durability;
        self
    }

    /// Reads all stored records once in so long, to find what the disk has damaged and fetch it again from the swarm
    /// before somebody needs it: default a week; zero for never. Without a data folder it has no effect.
    #[must_use]
    pub fn scrub_interval(mut self, interval: Duration) -> Self {
        self.scrub_interval = interval;
        self
    }

    /// Takes values, items and fields of up to so many bytes: default 1 MiB. The same on all nodes of a swarm.
    #[must_use]
    pub fn value_bytes_max(mut self, bytes: usize) -> Self {
        self.config.limits.value_bytes_max = bytes;
        self
    }

    /// Takes records (a value with its items) of up to so many bytes: default 64 MiB.
    #[must_use]
    pub fn record_bytes_max(mut self, bytes: u64) -> Self {
        self.config.limits.record_bytes_max = bytes;
        self
    }

    /// Stores up to so many bytes in all: default 4 GiB. Beyond it puts are refused as full.
    #[must_use]
    pub fn store_bytes_max(mut self, bytes: u64) -> Self {
        self.config.limits.store_bytes_max = bytes;
        self
    }

    /// Gives an operation up after this long unless it says otherwise: default 10 s.
    #[must_use]
    pub fn operation_timeout(mut self, timeout: Duration) -> Self {
        self.config.operation_timeout = timeout;
        self
    }

    /// Compares all that this node holds with other holders this often, a quarter more or less: default 10 min, at least
    /// 1 s. At rest it costs a few small messages, whatever the number of records.
    #[must_use]
    pub fn repair_interval(mut self, interval: Duration) -> Self {
        self.config.repair_interval = interval;
        self
    }

    /// Sends copies to other holders at so many bytes a second at most: default 16 MB/s, at least 1.
    #[must_use]
    pub fn repair_rate_max(mut self, bytes_per_second: u64) -> Self {
        self.config.repair_rate_max = bytes_per_second;
        self
    }

    /// Asks along so many disjoint paths in a lookup (d): default 4, from 1 to 16.
    #[must_use]
    pub fn disjoint_paths(mut self, paths: usize) -> Self {
        self.config.disjoint_paths = paths;
        self
    }

    /// Forgets connections without traffic after this long: default 30 s. The next request dials again.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.transport.idle_timeout = timeout;
        self
    }

    /// Keeps up to so many connections open: default 1024, at some 30 KB each; the least recently used gives way.
    #[must_use]
    pub fn connections_max(mut self, connections: usize) -> Self {
        self.transport.connections_max = connections;
        self
    }

    /// Only asks: serves nothing, holds nothing and enters no routing table. For short-lived programs.
    #[must_use]
    pub fn client(mut self) -> Self {
        self.config.role = Role::Client;
        self
    }

    /// Places names by a function of the user's instead of BLAKE3. The same on all nodes of a swarm.
    #[must_use]
    pub fn place_function(mut self, function: impl Fn(&[u8]) -> Place + Send + Sync + 'static) -> Self {
        self.places.set_function(function);
        self
    }

    /// Keeps records in a store of the caller's, which `open` makes when the node starts. Identity and known contacts
    /// stay in the data folder, if there is one.
    ///
    /// The store runs on the node's own thread and stands in the way of everything else there, so it must be quick.
    /// A write that it rejects ([`StoreError::Rejected`](crate::StoreError::Rejected)) is refused and nothing else
    /// happens.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use kadmap::{Dht, MemoryStore, RecordStore, StoreConfig};
    /// let open = || -> Result<Box<dyn RecordStore + Send>, std::io::Error> {
    ///     Ok(Box::new(MemoryStore::new(StoreConfig::default())))
    /// };
    /// let dht = Dht::builder().listen("127.0.0.1:0").store(open).spawn().await.unwrap();
    /// dht.put("colour", "red").await.unwrap();
    /// # });
    /// ```
    #[must_use]
    pub fn store<E>(
        mut self,
        open: impl Fn() -> Result<Box<dyn RecordStore + Send>, E> + Send + Sync + 'static,
    ) -> Self
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let open = move || open().map_err(|error| StartError::CustomStore(error.into()));
        self.custom_store = Some(StoreFactory(Arc::new(open)));
        self
    }

    /// Shows every message that arrives, and every record that the node is to keep, to a [`Guard`] first.
    #[must_use]
    pub fn guard(mut self, guard: Arc<dyn Guard>) -> Self {
        self.guard = Some(GuardHandle(guard));
        self
    }

    /// Tells everyone who asks for the node's status this text too: free, JSON by convention. Default: empty.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use kadmap::Dht;
    /// let first = Dht::builder().listen("127.0.0.1:0").info("{\"rack\":7}").spawn().await.unwrap();
    /// let second = Dht::builder().listen("127.0.0.1:0").join([first.address().to_string()]).spawn().await.unwrap();
    /// let status = second.remote(first.id(), first.address()).status().await.unwrap();
    /// assert_eq!(status.info, "{\"rack\":7}");
    /// # });
    /// ```
    #[must_use]
    pub fn info(mut self, text: impl Into<String>) -> Self {
        self.config.info = text.into();
        self
    }

    /// Throws away this share of outgoing packets, 0.0 to 1.0, to see how a swarm copes; for tests and benchmarks.
    #[must_use]
    pub fn packet_loss(mut self, share: f64) -> Self {
        self.transport.packet_loss = share;
        self
    }

    /// Starts the node on the current tokio runtime, joins, and returns once it serves.
    ///
    /// For the lowest latency run it on a current-thread runtime together with its caller: waking another thread
    /// costs more than a request.
    ///
    /// # Errors
    /// [`StartError`] tells what is wrong and what to do about it; nothing is left running then.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O and time enabled.
    pub async fn spawn(self) -> Result<Dht, StartError> {
        self.check()?;
        let (trust, mut places) = (self.trust()?, self.places.clone());
        if let Trust::Secret(secret) = &trust {
            places.set_key(*secret.place_key());
        }
        let identity = match &self.data_dir {
            Some(folder) => {
                create_folder(folder)?;
                Identity::load_or_create(folder)?
            }
            None => Identity::generate()?,
        };
        let credentials = Credentials::new(&identity, &trust)?;
        if matches!(trust, Trust::Open) && self.config.role == Role::Member {
            info!("no secret: anyone who reaches this node may join the swarm");
        }
        let mut join = self.join_plan().await?;
        let flushed = Arc::new(Notify::new());
        let store = self.open_store(&flushed)?;
        let store = match &self.guard {
            Some(guard) => Guarded::new(store, guard.clone()).into(),
            None => store,
        };
        let contacts_file = self.data_dir.as_deref().map(ContactsFile::in_folder);
        join.known =
            contacts_file.iter().flat_map(|file| file.load()).map(|contact| contact.address).collect();
        if join.addresses.is_empty() && !join.known.is_empty() {
            join.timeout = join.timeout.min(KNOWN_CONTACTS_TIMEOUT);
        }
        let transport = self.bind(&credentials).await?;
        let id = credentials.node_id();
        let address = transport.local_address();
        let (sender, commands) = mpsc::unbounded_channel();
        let (ready, joined) = oneshot::channel();
        let start = Instant::now();
        let node = Node::new(id, self.config.clone(), store, random_seed(), wall_clock());
        let guard = self.guard.clone();
        let scrub_interval =
            Some(self.scrub_interval).filter(|interval| self.data_dir.is_some() && !interval.is_zero());
        let parts = Parts {
            node,
            transport,
            commands,
            flushed,
            contacts_file,
            join,
            ready,
            guard,
            scrub_interval,
            start,
        };
        tokio::spawn(Driver::new(parts).run());
        match joined.await {
            Ok(Ok(())) => Ok(Dht::new(sender, Shared { id, address, places, crowding: Crowding::default() })),
            Ok(Err(error)) => Err(error),
            Err(_) => {
                let reason = "the node's task ended before it had joined".to_owned();
                Err(StartError::Listen { kind: io::ErrorKind::Other, reason })
            }
        }
    }

    fn check(&self) -> Result<(), StartError> {
        let setting = |setting, value: String, remedy: &str| {
            Err(StartError::Setting { setting, value, remedy: remedy.to_owned() })
        };
        let config = &self.config;
        if !REPLICATION_RANGE.contains(&config.replication) {
            return setting("replication", config.replication.to_string(), "choose 1 to 64");
        }
        if !(1..=16).contains(&config.disjoint_paths) {
            return setting("disjoint paths", config.disjoint_paths.to_string(), "choose 1 to 16");
        }
        if config.limits.value_bytes_max as u64 > config.limits.record_bytes_max {
            let value = config.limits.value_bytes_max.to_string();
            return setting("largest value", value, "choose at most the largest record, or raise that");
        }
        if config.repair_interval < REPAIR_INTERVAL_MIN {
            let value = format!("{:?}", config.repair_interval);
            return setting("repair interval", value, "choose at least 1 s");
        }
        if config.repair_rate_max == 0 {
            return setting("repair rate", "0 bytes a second".to_owned(), "choose at least 1");
        }
        if self.secret.is_some() && self.pki.is_some() {
            return setting("trust", "a secret and a PKI".to_owned(), "choose one of them");
        }
        if config.role == Role::Client && self.join.is_empty() {
            return setting("join", "empty".to_owned(), "give a client the address of a member");
        }
        Ok(())
    }

    fn trust(&self) -> Result<Trust, StartError> {
        if let Some(files) = &self.pki {
            return Ok(Trust::Pki(files.clone()));
        }
        let Some(secret) = &self.secret else { return Ok(Trust::Open) };
        SwarmSecret::new(secret).map(Trust::Secret).map_err(|error| StartError::Setting {
            setting: "secret",
            value: format!("{} bytes long", error.bytes),
            remedy: "choose one of at least 8 bytes".to_owned(),
        })
    }

    async fn join_plan(&self) -> Result<JoinPlan, StartError> {
        let addresses = resolve_all(&self.join).await?;
        Ok(JoinPlan { addresses, known: Vec::new(), timeout: self.join_timeout, retry: self.join_retry })
    }

    fn open_store(&self, flushed: &Arc<Notify>) -> Result<AnyStore, StartError> {
        if let Some(StoreFactory(open)) = &self.custom_store {
            return open().map(AnyStore::from);
        }
        let Some(folder) = self.data_dir.as_deref().filter(|_| self.config.role == Role::Member) else {
            return Ok(MemoryStore::new(self.store.clone()).into());
        };
        let bell = Arc::clone(flushed);
        let opened = RedbStore::open(folder, self.store.clone(), Box::new(move || bell.notify_one()))?;
        if let Some(path) = opened.set_aside {
            warn!(
                "the record file was damaged and has been moved to {}; this node starts empty and receives its \
                 records from the swarm",
                path.display()
            );
        }
        Ok(opened.store.into())
    }

    async fn bind(&self, credentials: &Credentials) -> Result<Transport, StartError> {
        let mut config = self.transport.clone();
        config.frame_bytes_max = self.config.limits.record_bytes_max as usize + FRAME_SLACK_BYTES;
        config.queue_bytes_max = config.queue_bytes_max.max(2 * config.frame_bytes_max);
        config.reassembly_bytes_max = config.reassembly_bytes_max.max(2 * config.frame_bytes_max);
        let (kind, reason) = (io::ErrorKind::InvalidInput, "no address given".to_owned());
        let mut result = Err(StartError::Listen { kind, reason });
        for address in self.listen_addresses().await? {
            config.listen = address;
            match Transport::bind(&config, credentials) {
                Ok(transport) => return Ok(transport),
                Err(error) => {
                    result = Err(StartError::Listen { kind: error.kind(), reason: error.to_string() });
                }
            }
            if matches!(&result, Err(StartError::Listen { kind: io::ErrorKind::AddrInUse, .. })) {
                break;
            }
        }
        result
    }

    /// Where to listen, in order of preference.
    async fn listen_addresses(&self) -> Result<Vec<SocketAddr>, StartError> {
        match &self.listen {
            Some(text) => resolve(text).await,
            None => {
                let port = if self.config.role == Role::Client { 0 } else { DEFAULT_PORT };
                Ok(vec![(Ipv6Addr::UNSPECIFIED, port).into(), (Ipv4Addr::UNSPECIFIED, port).into()])
            }
        }
    }
}

fn create_folder(folder: &std::path::Path) -> Result<(), StartError> {
    std::fs::create_dir_all(folder).map_err(|source| {
        StartError::Store(kadmap_store::OpenError::Folder { path: folder.to_owned(), source })
    })
}

/// The addresses of these texts, each with the text it was given as.
pub(crate) async fn resolve_all(texts: &[String]) -> Result<Vec<(SocketAddr, String)>, StartError> {
    let mut addresses = Vec::new();
    for text in texts {
        addresses.extend(resolve(text).await?.into_iter().map(|address| (address, text.clone())));
    }
    Ok(addresses)
}

async fn resolve(text: &str) -> Result<Vec<SocketAddr>, StartError> {
    let error = |reason: String| StartError::Address { address: text.to_owned(), reason };
    let found: Vec<_> = tokio::net::lookup_host(text).await.map_err(|e| error(e.to_string()))?.collect();
    if found.is_empty() { Err(error("the name has no address".to_owned())) } else { Ok(found) }
}

/// A seed that is new at each start: 64 bits of a fresh key, which the operating system's randomness made.
fn random_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64;
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u64(time);
    hasher.finish()
}

fn wall_clock() -> Now {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Now {
        instant: kadmap_core::Instant::default(),
        unix_ms: u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX),
    }
}
