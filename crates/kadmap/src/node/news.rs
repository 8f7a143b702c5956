//! The bounded way of news from the node's task to whoever watches.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use kadmap_core::{News, OVERHEAD_BYTES, Record};
use tokio::sync::mpsc;

/// News that wait for one watch at most: a second of a thousand changes.
const NEWS_MAX: usize = 1024;
/// Bytes in them at most, unless it is only one: eight of the largest values.
const NEWS_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How much waits.
#[derive(Debug, Default)]
struct Load {
    count: AtomicUsize,
    bytes: AtomicUsize,
    /// Whether something could not be queued, so that the watch is paused.
    lagging: AtomicBool,
}

/// The node's end.
pub(crate) struct NewsSender {
    // Boxed because the channel keeps room for 32 at a time, for each of maybe 10,000 watches.
    queue: mpsc::UnboundedSender<Box<News>>,
    load: Arc<Load>,
}

/// The watch's end.
#[derive(Debug)]
pub(crate) struct NewsReceiver {
    queue: mpsc::UnboundedReceiver<Box<News>>,
    load: Arc<Load>,
}

/// What became of news.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sent {
    Queued,
    /// Too much waits: nothing more is queued until the watch is resumed.
    Full,
    /// Nobody listens any more.
    Abandoned,
}

/// A queue of news.
pub(crate) fn queue() -> (NewsSender, NewsReceiver) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let load = Arc::new(Load::default());
    (NewsSender { queue: sender, load: Arc::clone(&load) }, NewsReceiver { queue: receiver, load })
}

impl NewsSender {
    pub(super) fn send(&self, news: News) -> Sent {
        let load = &self.load;
        let (count, held) = (load.count.load(Ordering::Acquire), load.bytes.load(Ordering::Acquire));
        if load.lagging.load(Ordering::Acquire) {
            return Sent::Full;
        }
        let bytes = bytes_of(&news);
        if count >= NEWS_MAX || (count > 0 && held + bytes > NEWS_BYTES_MAX) {
            load.lagging.store(true, Ordering::Release);
            return Sent::Full;
        }
        load.count.fetch_add(1, Ordering::AcqRel);
        load.bytes.fetch_add(bytes, Ordering::AcqRel);
        if self.queue.send(Box::new(news)).is_ok() { Sent::Queued } else { Sent::Abandoned }
    }
}

impl NewsReceiver {
    /// The next news; `None` when there will be no more.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<News>> {
        let news = std::task::ready!(self.queue.poll_recv(context));
        Poll::Ready(news.map(|news| {
            self.load.count.fetch_sub(1, Ordering::AcqRel);
            self.load.bytes.fetch_sub(bytes_of(&news), Ordering::AcqRel);
            *news
        }))
    }

    /// Whether news were left out after all that was queued; told once.
    pub(crate) fn take_lagging(&self) -> bool {
        self.load.count.load(Ordering::Acquire) == 0 && self.load.lagging.swap(false, Ordering::AcqRel)
    }
}

fn bytes_of(news: &News) -> usize {
    let of_record = |record: &Record| {
        let items = record.items().map(|item| item.bytes() + OVERHEAD_BYTES);
        record.base().map_or(0, |base| base.bytes()) + items.sum::<usize>()
    };
    match news {
        News::State(record) => of_record(record),
        News::Base(base) => base.bytes(),
        News::Item(item) => item.bytes(),
        News::Expired(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kadmap_core::{Base, Codec, Payload, Shape, Stamp};
    use std::task::Waker;

    fn news(bytes: usize) -> News {
        let payload = Some(Payload::new(Codec::Bytes, vec![0; bytes]));
        News::Base(Base { stamp: Stamp::MIN, shape: Shape::Value, payload, expires_ms: None })
    }

    fn drain(receiver: &mut NewsReceiver) -> usize {
        let mut context = Context::from_waker(Waker::noop());
        let mut count = 0;
        while let Poll::Ready(Some(_)) = receiver.poll(&mut context) {
            count += 1;
        }
        count
    }

    #[test]
    fn what_waits_is_bounded_in_number_and_bytes() {
        for bytes in [0, NEWS_BYTES_MAX / 4, 2 * NEWS_BYTES_MAX] {
            let (sender, mut receiver) = queue();
            let queued = (0..2 * NEWS_MAX).take_while(|_| sender.send(news(bytes)) == Sent::Queued).count();
            assert_eq!(queued, NEWS_MAX.min(NEWS_BYTES_MAX.checked_div(bytes).unwrap_or(NEWS_MAX).max(1)));
            assert!(!receiver.take_lagging(), "first what was queued");
            assert_eq!(sender.send(news(0)), Sent::Full, "nothing overtakes what was left out");
            assert_eq!(drain(&mut receiver), queued);
            assert!(receiver.take_lagging() && !receiver.take_lagging());
            assert_eq!(sender.send(news(bytes)), Sent::Queued);
        }
    }

    #[test]
    fn a_sender_learns_that_nobody_listens() {
        let (sender, receiver) = queue();
        drop(receiver);
        assert_eq!(sender.send(news(1)), Sent::Abandoned);
    }
}
