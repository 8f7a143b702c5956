//! Answering another holder that compares.

use super::super::env::Env;
use super::super::serve::Stored;
use super::rival::{Rival, write_flags};
use super::session::{GUESSED_AMONG_MAX, SHORT_BYTES, short, the_one, write_parts, write_sent};
use super::wish::Wish;
use crate::ranges::{Leaf, Prefix};
use crate::record::Head;
use crate::store::{RecordId, RecordStore, Ticket};
use crate::wire::{
    Compare, Copied, Copies, Divide, Fetch, Fetching, Parts, Put, PutMode, RecordCopy, Refusal, Response,
    Sums,
};
use crate::{Address, Contact, NodeId, Now};

/// Records of one range that are fetched by their hashes; a range is only listed when it has a few.
const LEAVES_LOOKED_AT_MAX: usize = 1_024;

impl<S: RecordStore, A: Address> Env<S, A> {
    /// Tells the hashes of some ranges, unless they are all as the asking node has them.
    pub(in super::super) fn serve_compare(&self, now: Now, from: &NodeId, compare: &Compare) -> Response<A> {
        // Whoever is being told what belongs to it is not told by two at once.
        if self.is_syncing || !self.store.is_indexed() {
            return Response::Refused(Refusal::Starting);
        }
        let tree = self.store.tree();
        let hashes: Vec<_> = compare.ranges.0.iter().map(|range| tree.sum(range).hash).collect();
        let all = hashes.iter().fold(0, |all, hash| all ^ hash);
        let member_ms = compare.joins.and_then(|_| self.attendance.member_ms(now.instant));
        if all == compare.hash {
            return Response::Sums(Sums { hashes: Default::default(), member_ms, foreign: None });
        }
        let hashes: Vec<u8> = hashes.into_iter().flat_map(u64::to_be_bytes).collect();
        // Who joins asks what belongs to it, others what belongs to this node.
        let holder = if compare.joins == Some(true) { from } else { &self.own };
        let foreign = compare.shared.map(|_| self.foreign(&compare.ranges.0, holder)).unwrap_or_default();
        let foreign = foreign.contains(&true).then(|| write_flags(&foreign).into());
        Response::Sums(Sums { hashes: hashes.into(), member_ms, foreign })
    }

    /// Tells the parts of some ranges, and sends what is known to be all that the other lacks there.
    pub(in super::super) fn serve_divide(&mut self, from: Contact<A>, divide: &Divide) -> Response<A> {
        let mut parts = Vec::new();
        let (differences, _) = divide.differences.as_chunks::<SHORT_BYTES>();
        let ranges = &divide.ranges.0;
        let plain = ranges.len().saturating_sub(differences.len());
        for range in &ranges[..plain] {
            write_parts(self.store.tree(), range, divide.rotation, &mut parts);
        }
        for (range, difference) in ranges[plain..].iter().zip(differences) {
            let leaves = self.store.tree().leaves(range, GUESSED_AMONG_MAX);
            match the_one(&leaves, u16::from_be_bytes(*difference), divide.rotation) {
                Some(only) => {
                    self.send_leaves(from, range, &[only]);
                    write_sent(&mut parts);
                }
                None => write_parts(self.store.tree(), range, divide.rotation, &mut parts),
            }
        }
        Response::Parts(Parts { parts: parts.into() })
    }

    /// Queues the records that another holder lacks.
    pub(in super::super) fn serve_fetch(&mut self, from: Contact<A>, fetch: &Fetch) -> Response<A> {
        let (mut records, mut newer) = (0, Vec::new());
        let mut wanted = &fetch.wanted[..];
        for range in &fetch.ranges.0 {
            let Some(wish) = Wish::read(&mut wanted) else { break };
            records += self.grant(from, range, &wish, fetch.rotation, &mut newer);
        }
        Response::Fetching(Fetching { records, newer: write_flags(&newer).into() })
    }

    /// Merges copies; tells what became of them, and what the answer has to wait for.
    pub(in super::super) fn take_copies(
        &mut self,
        now: Now,
        from: &NodeId,
        copies: Copies,
    ) -> (Response<A>, Option<Ticket>) {
        if let Some(awaited) = &mut self.awaited {
            awaited.came(now.instant, from, copies.records.len() as u64);
        }
        let (mut stored, mut last) = (0, None);
        for RecordCopy { key, name, delta } in copies.records {
            let put = Put { key, name, mode: PutMode::Replicate, delta, if_newest: None };
            // What is refused is found again by the next comparison, and counted by the store.
            let Ok(Stored { changed, ticket, .. }) = self.store_put(now, put) else { continue };
            stored += u64::from(changed);
            last = last.max(ticket);
        }
        (Response::Copied(Copied { stored }), last)
    }

    /// Queues what is wanted of one range; tells how many records, and of which of the asker's it has newer ones.
    fn grant(
        &mut self,
        to: Contact<A>,
        range: &Prefix,
        wish: &Wish,
        rotation: u8,
        newer: &mut Vec<bool>,
    ) -> u64 {
        if wish.hashes.is_empty() {
            self.outbox.push_range(to, *range);
            return self.store.tree().sum(range).records;
        }
        let first = newer.len();
        let mut granted = 0;
        newer.resize(first + wish.rivals.len(), false);
        let mut leaves = self.store.tree().leaves(range, LEAVES_LOOKED_AT_MAX);
        leaves.retain(|leaf| wish.hashes.contains(&short(leaf.hash, rotation)));
        for (id, head) in self.records_behind(range, &leaves) {
            let met = Rival::of(&id, &head)
                .and_then(|own| Some((own, wish.rivals.iter().position(|rival| rival.meets(&own))?)));
            if let Some((own, at)) = met {
                if own.is_older_than(&wish.rivals[at]) {
                    continue;
                }
                newer[first + at] = own.is_newer_than(&wish.rivals[at]);
            }
            self.outbox.push_record(to, id);
            granted += 1;
        }
        granted
    }

    fn send_leaves(&mut self, to: Contact<A>, range: &Prefix, leaves: &[Leaf]) {
        for (id, _) in self.records_behind(range, leaves) {
            self.outbox.push_record(to, id);
        }
    }

    /// The records behind some leaves of a range.
    pub(super) fn records_behind(&mut self, range: &Prefix, leaves: &[Leaf]) -> Vec<(RecordId, Head)> {
        if leaves.is_empty() {
            return Vec::new();
        }
        // A store that fails has reported itself, and another holder has these records as well.
        self.store.records_of(range, leaves).unwrap_or_default()
    }
}
