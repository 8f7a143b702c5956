//! Warnings of records that come near their limit, before anything is refused.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use kadmap_core::RecordSize;
use tracing::warn;

/// Names remembered at most; when they are more, all are warned of anew.
const NAMES_MAX: usize = 1_024;

/// How full the records were of which the log has been warned.
#[derive(Debug, Default)]
pub(crate) struct Crowding {
    percent_told: Mutex<BTreeMap<Bytes, u64>>,
}

impl Crowding {
    /// Warns of a record that comes near its limit, once for each percent.
    pub(crate) fn look(&self, name: &Bytes, size: Option<RecordSize>) {
        let Some(size) = size.filter(|size| self.is_news(name, *size)) else { return };
        warn!(
            name = %name.escape_ascii(),
            bytes = size.bytes,
            bytes_max = size.bytes_max,
            "a record has used {}% of what it may have: trim it or use another key",
            size.percent()
        );
    }

    fn is_news(&self, name: &Bytes, size: RecordSize) -> bool {
        if !size.is_nearly_full() {
            return false;
        }
        let mut told = self.percent_told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= NAMES_MAX && !told.contains_key(name) {
            told.clear();
        }
        let last = told.insert(name.clone(), size.percent());
        last.is_none_or(|last| last < size.percent())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_warned_of_from_eighty_percent_on_once_for_each_percent() {
        let (crowding, name) = (Crowding::default(), Bytes::from_static(b"list"));
        let is_news = |bytes| crowding.is_news(&name, RecordSize { bytes, bytes_max: 1_000 });
        let told: Vec<_> = [799, 800, 805, 810, 700, 810, 1_000].into_iter().map(is_news).collect();
        assert_eq!(told, [false, true, false, true, false, false, true]);
        for number in 0..5_000u64 {
            crowding.is_news(&number.to_be_bytes().to_vec().into(), RecordSize { bytes: 9, bytes_max: 10 });
        }
        assert!(crowding.percent_told.lock().unwrap().len() <= NAMES_MAX);
    }
}
