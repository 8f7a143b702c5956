//! Another node, asked about itself.

use std::time::Duration;

use bytes::Bytes;
use kadmap_core::wire::{Empty, Get, Names, Peers, Ping, Request, Response, StatusReport, Want};
use kadmap_core::{Contact, Key, Version};

use crate::error::RemoteError;
use crate::{Dht, PeerInfo};

/// Names asked for at a time.
const NAMES_PER_REQUEST: u32 = 512;

/// Another node, to ask about itself rather than about the swarm's records.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let first = kadmap::Dht::builder().listen("127.0.0.1:0").spawn().await.unwrap();
/// let second =
///     kadmap::Dht::builder().listen("127.0.0.1:0").join([first.address().to_string()]).spawn().await.unwrap();
/// let peer = second.peers().await.unwrap()[0];
/// let status = second.remote(peer.id, peer.address).status().await.unwrap();
/// assert_eq!(status.records, 0);
/// # });
/// ```
#[derive(Debug, Clone)]
pub struct Remote {
    dht: Dht,
    contact: Contact,
}

impl Remote {
    pub(crate) fn new(dht: Dht, contact: Contact) -> Self {
        Self { dht, contact }
    }

    /// Who and where it is.
    pub fn contact(&self) -> Contact {
        self.contact
    }

    /// Sends a ping and tells how long the answer took.
    ///
    /// # Errors
    /// [`RemoteError`] when it does not answer.
    pub async fn ping(&self, payload: impl Into<Bytes>) -> Result<Duration, RemoteError> {
        match self.ask(Request::Ping(Ping { payload: payload.into() })).await? {
            (Response::Pong(_), round_trip) => Ok(round_trip),
            (other, _) => Err(unexpected(&other)),
        }
    }

    /// How it is.
    ///
    /// # Errors
    /// [`RemoteError`] when it does not answer.
    pub async fn status(&self) -> Result<StatusReport, RemoteError> {
        match self.ask(Request::Status(Empty {})).await? {
            (Response::Status(report), _) => Ok(report),
            (other, _) => Err(unexpected(&other)),
        }
    }

    /// Whom it knows, in id order.
    ///
    /// # Errors
    /// [`RemoteError`] when it does not answer.
    pub async fn peers(&self) -> Result<Vec<PeerInfo>, RemoteError> {
        let mut all: Vec<PeerInfo> = Vec::new();
        loop {
            let after = all.last().map(|peer| peer.id);
            match self.ask(Request::Peers(Peers { after })).await? {
                (Response::Peers(page), _) => {
                    let more = page.more && !page.peers.is_empty();
                    all.extend(page.peers.into_iter().map(PeerInfo::from));
                    if !more {
                        return Ok(all);
                    }
                }
                (other, _) => return Err(unexpected(&other)),
            }
        }
    }

    /// The names it holds.
    ///
    /// # Errors
    /// [`RemoteError`] when it does not answer.
    pub async fn keys(&self) -> Result<Vec<Bytes>, RemoteError> {
        self.keys_between(Key::MIN, Key::MAX).await
    }

    /// The names it holds at one place.
    ///
    /// # Errors
    /// [`RemoteError`] when it does not answer.
    pub async fn keys_at(&self, place: Key) -> Result<Vec<Bytes>, RemoteError> {
        self.keys_between(place, place).await
    }

    /// The state of what it holds under a name, [`Version::ABSENT`] for nothing: whether replicas are equal is seen by
    /// asking each of them.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let one = kadmap::Dht::builder().listen("127.0.0.1:0").spawn().await.unwrap();
    /// let two = kadmap::Dht::builder().listen("127.0.0.1:0").join([one.address().to_string()]).spawn().await.unwrap();
    /// let version = two.put("colour", "red").consistency(kadmap::Consistency::All).await.unwrap().version;
    /// assert_eq!(two.remote(one.id(), one.address()).version("colour").await.unwrap(), version);
    /// # });
    /// ```
    ///
    /// # Errors
    /// [`RemoteError`] when it does not answer, or cannot tell because its disk fails.
    pub async fn version(&self, name: impl AsRef<[u8]>) -> Result<Version, RemoteError> {
        let (key, name) = (self.dht.key_of(&name), Bytes::copy_from_slice(name.as_ref()));
        match self.ask(Request::Get(Get { key, name, want: Want::Summary })).await? {
            (Response::Summary(summary), _) => Ok(summary.version),
            (other, _) => Err(unexpected(&other)),
        }
    }

    async fn keys_between(&self, first: Key, to: Key) -> Result<Vec<Bytes>, RemoteError> {
        let mut all = Vec::new();
        let (mut from, mut after_name) = (first, None);
        loop {
            let names = Names { from, to, after_name, limit: NAMES_PER_REQUEST };
            match self.ask(Request::Names(names)).await? {
                (Response::Names(page), _) => {
                    all.extend(page.entries.into_iter().map(|entry| entry.name));
                    match page.last.filter(|_| page.more) {
                        Some(last) => (from, after_name) = (last.key, Some(last.name)),
                        None => return Ok(all),
                    }
                }
                (other, _) => return Err(unexpected(&other)),
            }
        }
    }

    async fn ask(&self, request: Request) -> Result<(Response, Duration), RemoteError> {
        Ok(self.dht.ask(self.contact, request).await??)
    }
}

fn unexpected(response: &Response) -> RemoteError {
    let text = format!("{response:?}");
    let answer = text.split(['(', ' ']).next().unwrap_or_default().to_owned();
    RemoteError::Unexpected { answer }
}
