//! All names of the swarm, as a stream.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use kadmap_core::RecordId;
use tokio::sync::mpsc;

use crate::node::{Command, ScanPage};

/// The names of all records in the swarm, in no order that means anything to a user, each once.
///
/// Names written or deleted while it runs may or may not be seen. Costs about two lookups for each `replication`
/// nodes, and the names themselves.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let dht = kadmap::Dht::builder().listen("127.0.0.1:0").spawn().await.unwrap();
/// dht.put("colour", "red").await.unwrap();
/// let mut names = dht.scan().unwrap();
/// assert_eq!(names.next().await.as_deref(), Some(&b"colour"[..]));
/// assert_eq!(names.next().await, None);
/// # });
/// ```
#[derive(Debug)]
pub struct Scan {
    pages: mpsc::UnboundedReceiver<ScanPage>,
    commands: mpsc::UnboundedSender<Command>,
    names: VecDeque<RecordId>,
    done: bool,
}

impl std::fmt::Debug for ScanPage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScanPage").field("names", &self.names.len()).field("done", &self.done).finish()
    }
}

impl Scan {
    pub(crate) fn new(
        pages: mpsc::UnboundedReceiver<ScanPage>,
        commands: mpsc::UnboundedSender<Command>,
    ) -> Self {
        Self { pages, commands, names: VecDeque::new(), done: false }
    }

    /// The next name; `None` when there are no more, or the node has stopped.
    pub async fn next(&mut self) -> Option<Bytes> {
        std::future::poll_fn(|context| self.poll_name(context)).await
    }

    /// The names that came together with the next one, which saves a turn for each; `None` when there are no more, or
    /// the node has stopped.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let dht = kadmap::Dht::builder().listen("127.0.0.1:0").spawn().await.unwrap();
    /// dht.put("colour", "red").await.unwrap();
    /// let mut names = dht.scan().unwrap();
    /// assert_eq!(names.next_page().await, Some(vec!["colour".into()]));
    /// assert_eq!(names.next_page().await, None);
    /// # });
    /// ```
    pub async fn next_page(&mut self) -> Option<Vec<Bytes>> {
        let first = self.next().await?;
        Some(std::iter::once(first).chain(self.names.drain(..).map(|id| id.name)).collect())
    }

    fn poll_name(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            if let Some(id) = self.names.pop_front() {
                return Poll::Ready(Some(id.name));
            }
            if self.done {
                return Poll::Ready(None);
            }
            match std::task::ready!(self.pages.poll_recv(context)) {
                Some(page) => self.take_page(page),
                None => self.done = true,
            }
        }
    }

    fn take_page(&mut self, page: ScanPage) {
        self.names.extend(page.names);
        self.done = page.done;
        if !page.done {
            // A node that has stopped also ends the pages, which is how the scan learns of it.
            let _ = self.commands.send(Command::ContinueScan { operation: page.operation });
        }
    }
}

impl Stream for Scan {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        self.poll_name(context)
    }
}
