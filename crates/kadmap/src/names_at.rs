//! The names that share one place.

use std::collections::BTreeSet;

use bytes::Bytes;
use kadmap_core::{Key, RecordId};
use tokio::task::JoinSet;

use crate::Dht;
use crate::error::Stopped;
use crate::node::Command;

/// Names read from the own store at a time.
const NAMES_PER_PAGE: usize = 1024;
/// Bytes of a name that sorts after every name that a node takes.
const AFTER_EVERY_NAME: [u8; 1025] = [0xff; 1025];

impl Dht {
    /// The names of the records at one place, in order: what a place function keeps together, in one step.
    ///
    /// Asks the nodes closest to the place and this node itself, and puts together what they hold; one that does not
    /// answer is left out. Costs a lookup and a request to each of them.
    ///
    /// # Errors
    /// [`Stopped`] when the node has.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use kadmap::{Dht, Place};
    /// let dht = Dht::builder().listen("127.0.0.1:0").spawn().await.unwrap();
    /// let colours = Place::Hashed(b"colours".to_vec());
    /// dht.put("red", "#f00").place(&colours).await.unwrap();
    /// dht.put("blue", "#00f").place(&colours).await.unwrap();
    /// assert_eq!(dht.names_at(dht.place_of(&colours)).await.unwrap(), ["blue", "red"]);
    /// # });
    /// ```
    pub async fn names_at(&self, place: Key) -> Result<Vec<Bytes>, Stopped> {
        let mut asked = JoinSet::new();
        for contact in self.lookup(place).await?.closest.into_iter().filter(|contact| contact.id != self.id())
        {
            let remote = self.remote(contact.id, contact.address);
            asked.spawn(async move { remote.keys_at(place).await });
        }
        let mut names: BTreeSet<Bytes> = self.own_names_at(place).await?.into_iter().collect();
        while let Some(answer) = asked.join_next().await {
            // A node that is silent holds nothing that the others do not.
            names.extend(answer.ok().and_then(Result::ok).unwrap_or_default());
        }
        Ok(names.into_iter().collect())
    }

    async fn own_names_at(&self, place: Key) -> Result<Vec<Bytes>, Stopped> {
        let mut all = Vec::new();
        let mut after = place.predecessor().map(|key| RecordId::new(key, &AFTER_EVERY_NAME[..]));
        loop {
            let page = self.ask_node(|reply| Command::Names { after, limit: NAMES_PER_PAGE, reply }).await?;
            let is_over = page.0.last().is_some_and(|last| last.key > place);
            all.extend(page.0.into_iter().filter(|id| id.key == place).map(|id| id.name));
            after = page.1.filter(|_| !is_over);
            if after.is_none() {
                return Ok(all);
            }
        }
    }
}
