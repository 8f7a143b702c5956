//! A short verb's way into the swarm.

use std::time::{Duration, Instant};

use kadmap::{
    Contact, Dht, DhtBuilder, GetError, NodeId, PutError, Reading, Remote, StatusReport, Watch, WatchError,
    Write, WriteOutcome,
};

use crate::failure::Failure;
use crate::input::shown_name;
use crate::progress::patiently;
use crate::trust::Trust;
use crate::typed::{ConsistencyName, NodeArgs, TrustArgs};

/// Values that a client lets pass: the largest record, since the member it joins by says what the swarm takes.
const VALUE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Replication by which a client starts, before the node it joined by has told the swarm's.
const REPLICATION: u64 = 20;
/// Turns that the node's task gets to say goodbye to the network after its last handle is gone.
const CLOSING_TURNS: usize = 4;

/// A client that has joined, and the member it joined by.
#[derive(Debug)]
pub(crate) struct Client {
    dht: Dht,
    member: Contact,
    status: StatusReport,
    timeout: Duration,
}

impl Client {
    /// Joins by the first member that answers, with the replication that it tells.
    pub(crate) async fn join(args: &NodeArgs) -> Result<Self, Failure> {
        let trust = Trust::resolve(&args.trust, &TrustArgs::default())?;
        let builder = trust.apply(Dht::builder()).client().join(args.node.iter().map(String::as_str));
        let builder = builder.join_timeout(args.timeout).operation_timeout(args.timeout);
        let builder = builder.value_bytes_max(VALUE_BYTES_MAX);
        patiently("joining", async {
            let client = Self::start(builder.clone(), args.timeout).await?;
            if client.status.replication == REPLICATION {
                return Ok(client);
            }
            // Only a new node takes a new setting, and one that differs would read and write elsewhere than others.
            let replication = usize::try_from(client.status.replication).unwrap_or(usize::MAX);
            client.close().await;
            Self::start(builder.replication(replication), args.timeout).await
        })
        .await
    }

    async fn start(builder: DhtBuilder, timeout: Duration) -> Result<Self, Failure> {
        let dht = builder.spawn().await?;
        // A client's table has whom it joined by, and nobody else until it has asked something.
        let joined_by = dht.peers().await?.first().map(|peer| Contact { id: peer.id, address: peer.address });
        let member = joined_by.ok_or(Failure::NoMember)?;
        let status = dht.remote(member.id, member.address).status().await?;
        Ok(Self { dht, member, status, timeout })
    }

    pub(crate) fn dht(&self) -> &Dht {
        &self.dht
    }

    /// The member it joined by.
    pub(crate) fn member(&self) -> Contact {
        self.member
    }

    /// How that member was when it was joined by.
    pub(crate) fn member_status(&self) -> &StatusReport {
        &self.status
    }

    pub(crate) fn remote(&self) -> Remote {
        self.dht.remote(self.member.id, self.member.address)
    }

    /// Reads a name; a failure tells whether time ran out.
    pub(crate) async fn read(&self, name: &[u8], consistency: ConsistencyName) -> Result<Reading, Failure> {
        let start = Instant::now();
        let read = self.dht.read(name).consistency(consistency.into()).timeout(self.timeout).into_future();
        patiently("reading", read).await.map_err(|error: GetError| {
            Failure::of_read(shown_name(name), error, self.timeout, start.elapsed())
        })
    }

    /// Begins to watch a name; a failure tells whether time ran out.
    pub(crate) async fn watch(&self, name: &[u8], initial: bool) -> Result<Watch, Failure> {
        let start = Instant::now();
        let watch = self.dht.watch(name).initial(initial).timeout(self.timeout).into_future();
        patiently("asking the replicas", watch).await.map_err(|error: WatchError| {
            Failure::of_watch(shown_name(name), error, self.timeout, start.elapsed())
        })
    }

    /// Does a write; a failure tells whether time ran out.
    pub(crate) async fn write(
        &self,
        what: &'static str,
        name: &[u8],
        write: Write<'_>,
    ) -> Result<WriteOutcome, Failure> {
        let start = Instant::now();
        let write = match self.status.value_bytes_max {
            0 => write,
            bytes_max => write.value_bytes_max(bytes_max),
        };
        let write = write.timeout(self.timeout).into_future();
        patiently("writing", write).await.map_err(|error: PutError| {
            Failure::of_write(what, shown_name(name), error, self.timeout, start.elapsed())
        })
    }

    /// Ends a client that has only asked.
    pub(crate) async fn close(self) {
        stop(self.dht).await;
    }

    /// Ends a client that has written, once the replicas that nobody waited for have their copies too.
    pub(crate) async fn leave(self) {
        // A node that has stopped needs no goodbye.
        let _ = patiently("saying goodbye", self.dht.leave()).await;
        stop(self.dht).await;
    }
}

/// Drops a handle and lets the node's task see that it was the last.
pub(crate) async fn stop(dht: Dht) {
    drop(dht);
    for _ in 0..CLOSING_TURNS {
        tokio::task::yield_now().await;
    }
}

/// Ids as text, for JSON.
pub(crate) fn texts(ids: &[NodeId]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}
