//! What may enter a store and leave it again as time passes.

use super::env::Env;
use crate::record::{Base, Head, Item, Record};
use crate::store::{RecordId, RecordStore, StoreError};
use crate::{Address, Now};

/// Expiry takes effect in steps of so many milliseconds of wall time, at the same moments on all nodes: between two of
/// them replicas hold the same, however many items of a list expire every second and whenever each node sweeps.
/// Readers see no steps; what is kept longer is kept for 10 s.
const EXPIRY_STEP_MS: u64 = 10_000;

/// The time up to which expiry has taken effect.
pub(super) const fn step_of(unix_ms: u64) -> u64 {
    unix_ms - unix_ms % EXPIRY_STEP_MS
}

impl<S: RecordStore, A: Address> Env<S, A> {
    /// What of a delta may still enter: not what every node has dropped by now, or a node that sweeps late would
    /// bring it back for ever. Tombstones take over the time of what they bury.
    pub(super) fn admit(
        &mut self,
        now: Now,
        id: &RecordId,
        delta: Record,
        head: &Head,
    ) -> Result<Record, StoreError> {
        let mut delta = delta;
        delta.expire(self.expiry_ms(now), self.config.tombstone_grace.as_millis() as u64);
        let buries = delta.base().is_some_and(|base| base.payload.is_none())
            || delta.items().any(|item| item.field.is_some() && item.payload.is_none());
        if !buries || head.version.is_absent() {
            return Ok(delta);
        }
        self.cover(id, delta, head)
    }

    /// Lets tombstones stay until what they bury would have expired anyway, if that is beyond their grace: a holder
    /// that was away must not bring it back.
    fn cover(&mut self, id: &RecordId, delta: Record, head: &Head) -> Result<Record, StoreError> {
        let grace_ms = self.config.tombstone_grace.as_millis() as u64;
        let (base, items) = delta.into_parts();
        let base = match base {
            Some(base) if base.payload.is_none() && base.stamp > head.base_stamp => {
                let expires_ms = match head.appended + head.fields {
                    0 => head.base_expires_ms.unwrap_or(0),
                    _ => self.store.load(id)?.map_or(0, |record| record.last_expiry_ms()),
                };
                let lasts = expires_ms > base.stamp.unix_ms().saturating_add(grace_ms);
                let covers = base.expires_ms.max(lasts.then_some(expires_ms));
                Some(Base { expires_ms: covers, ..base })
            }
            base => base,
        };
        let mut covering = Vec::new();
        for item in items {
            covering.push(match item {
                Item { field: Some(_), payload: None, .. } if head.fields > 0 => {
                    let buried = self.store.item(id, &item.id())?.filter(|old| old.stamp < item.stamp);
                    let expires_ms = buried.and_then(|old| old.expires_ms).unwrap_or(0);
                    let lasts = expires_ms > item.stamp.unix_ms().saturating_add(grace_ms);
                    let covers = item.expires_ms.max(lasts.then_some(expires_ms));
                    Item { expires_ms: covers, ..item }
                }
                item => item,
            });
        }
        Ok(Record::from_parts(base, covering))
    }
}
