//! Reading all that is stored, little by little, to find damage before somebody needs it.

use std::hash::{BuildHasher, RandomState};

use bytes::Bytes;
use kadmap_core::{Key, RecordId, RecordStore, Scrubbed, StoreError};

use super::RedbStore;
use super::file::HeadScan;

/// A step ends after the record with which it has read so much: some milliseconds of a slow disk.
const STEP_BYTES_MAX: u64 = 4 << 20;
/// Damaged records remembered until the next step; of more the swarm is not told, and repairs them by itself.
const UNTOLD_MAX: usize = 1_024;

/// A place drawn anew at each start: a node that runs for a day at a time gets round all the same.
pub(super) fn somewhere() -> RecordId {
    let state = RandomState::new();
    let words: Vec<_> = (0u8..4).flat_map(|word| state.hash_one(word).to_be_bytes()).collect();
    let place = words.first_chunk().map_or(Key::MIN, |place| Key::from_bytes(*place));
    RecordId::new(place, Bytes::new())
}

impl RedbStore {
    /// See [`RecordStore::scrub`].
    pub(super) fn scrub_some(&mut self, records_max: usize) -> Result<Scrubbed, StoreError> {
        let after = self.scrubbed_to.take();
        let heads = self.scan(after.as_ref(), records_max)?.heads;
        let mut scrubbed = Scrubbed::default();
        let is_last = heads.len() < records_max;
        let (count, mut bytes) = (heads.len(), 0);
        for (index, (id, entry)) in heads.into_iter().enumerate() {
            match self.load(&id) {
                Ok(_) => scrubbed.sound += 1,
                Err(StoreError::Damaged) => scrubbed.damaged.push(id.clone()),
                Err(error) => return Err(error),
            }
            bytes += entry.head.bytes;
            if bytes >= STEP_BYTES_MAX || index + 1 == count {
                self.scrubbed_to = Some(id).filter(|_| index + 1 < count || !is_last);
                break;
            }
        }
        scrubbed.damaged.append(&mut self.untold);
        Ok(scrubbed)
    }

    /// Heads in order; damaged ones are set aside and left out.
    pub(super) fn scan(&mut self, after: Option<&RecordId>, limit: usize) -> Result<HeadScan, StoreError> {
        let scan = {
            let state = self.shared.lock();
            let older = state.flushing.as_ref().map(|layer| &layer.records);
            self.file.heads(after, limit, &state.active.records, older)
        };
        let mut scan = scan.map_err(|fault| self.reader().failed(&fault))?;
        for id in std::mem::take(&mut scan.bad) {
            match self.set_aside(&id) {
                Ok(()) if self.untold.len() < UNTOLD_MAX => self.untold.push(id),
                Ok(()) => {}
                // When nothing can be written the row stays, and is left out again next time.
                Err(error) => tracing::debug!(%error, "a damaged record cannot be set aside"),
            }
        }
        Ok(scan)
    }
}
