//! The bounded way of news from the node's task to whoever watches.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use kadmap_core::{News, OVERHEAD_BYTES, Record};

/// News that wait for one watch at most: a second of a thousand changes.
const NEWS_MAX: usize = 1024;
/// Bytes in them at most, unless it is only one: eight of the largest values.
const NEWS_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What waits, and for whom. A channel would do, but takes a kilobyte for each of maybe 10,000 watches.
#[derive(Debug, Default)]
struct State {
    queue: VecDeque<News>,
    bytes: usize,
    /// Whether something could not be queued, so that the watch is paused.
    lagging: bool,
    waker: Option<Waker>,
    is_sender_gone: bool,
    is_receiver_gone: bool,
}

#[derive(Debug, Default)]
struct Shared(Mutex<State>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The node's end.
#[derive(Debug)]
pub(crate) struct NewsSender(Arc<Shared>);

/// The watch's end.
#[derive(Debug)]
pub(crate) struct NewsReceiver(Arc<Shared>);

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
    let shared = Arc::new(Shared::default());
    (NewsSender(Arc::clone(&shared)), NewsReceiver(shared))
}

impl NewsSender {
    pub(super) fn send(&self, news: News) -> Sent {
        let mut state = self.0.lock();
        if state.is_receiver_gone {
            return Sent::Abandoned;
        }
        let bytes = bytes_of(&news);
        let is_full = state.queue.len() >= NEWS_MAX
            || (!state.queue.is_empty() && state.bytes + bytes > NEWS_BYTES_MAX);
        state.lagging |= is_full;
        if state.lagging {
            return Sent::Full;
        }
        state.bytes += bytes;
        state.queue.push_back(news);
        let waker = state.waker.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
        Sent::Queued
    }
}

impl Drop for NewsSender {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.is_sender_gone = true;
        let waker = state.waker.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
    }
}

impl NewsReceiver {
    /// The next news; `None` when there will be no more.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<News>> {
        let mut state = self.0.lock();
        let Some(news) = state.queue.pop_front() else {
            if state.is_sender_gone {
                return Poll::Ready(None);
            }
            state.waker = Some(context.waker().clone());
            return Poll::Pending;
        };
        state.bytes -= bytes_of(&news);
        if state.queue.is_empty() {
            state.queue = VecDeque::new();
        }
        Poll::Ready(Some(news))
    }

    /// Whether news were left out after all that was queued; told once.
    pub(crate) fn take_lagging(&self) -> bool {
        let mut state = self.0.lock();
        state.queue.is_empty() && std::mem::take(&mut state.lagging)
    }
}

impl Drop for NewsReceiver {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.is_receiver_gone = true;
        let queue = std::mem::take(&mut state.queue);
        drop(state);
        // Outside the lock: values may be large.
        drop(queue);
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
    fn what_was_queued_is_told_before_the_end() {
        let (sender, mut receiver) = queue();
        sender.send(news(1));
        drop(sender);
        let mut context = Context::from_waker(Waker::noop());
        assert!(matches!(receiver.poll(&mut context), Poll::Ready(Some(_))));
        assert!(matches!(receiver.poll(&mut context), Poll::Ready(None)));
    }

    #[test]
    fn a_sender_learns_that_nobody_listens() {
        let (sender, receiver) = queue();
        drop(receiver);
        assert_eq!(sender.send(news(1)), Sent::Abandoned);
    }
}
