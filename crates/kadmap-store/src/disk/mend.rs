//! Opening a file that was not closed: what makes mending it quick, and when it need not be mended at all.
//!
//! Unless its last commit recorded which pages are free, redb reads all pages of such a file, in the order of its trees,
//! to check them and to learn that.
//! A disk that is asked for one scattered page after the other is slow, so others read the file from end to end meanwhile.
//! The record itself is some 100 bytes for each MB of the file, written anew by each commit that has it: far more than
//! the rows of a small commit, next to nothing beside those of a large one or once after the last of many.

use std::cell::RefCell;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use redb::Builder;

/// A smaller file is mended in a tenth of a second.
pub(super) const RECORDED_FROM_BYTES: u64 = 64 << 20;
/// A commit of so much of the file records what is free: the record is then a small part of what is written anyway.
const RECORDED_SHARE: u64 = 1_024;
/// How long after the last write what is free is recorded on its own.
///
/// Default 1 s: of what is killed at rest little was at rest for less, and a write each second costs what one each
/// hour would cost three thousand times.
pub(super) const RECORDED_AFTER: Duration = Duration::from_secs(1);
/// Readers ahead: two keep a disk busy that one waits for now and then, and leave the processor to who checks.
const READERS: u64 = 2;
/// Bytes that a reader takes at once.
const CHUNK_BYTES: u64 = 1 << 20;

/// Whether a commit should say which pages are free, so that nothing needs mending if it was the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recording {
    /// It should not.
    Off,
    /// It should.
    On,
}

impl Recording {
    /// For a layer of so many bytes, into a file of so many.
    pub(super) fn of(layer_bytes: usize, file_bytes: u64) -> Self {
        let is_worth_it = layer_bytes as u64 >= file_bytes / RECORDED_SHARE;
        if file_bytes >= RECORDED_FROM_BYTES && is_worth_it { Self::On } else { Self::Off }
    }
}

/// Reads a file ahead while redb mends it; stops when dropped.
#[derive(Debug)]
pub(super) struct Mending {
    path: PathBuf,
    is_over: Arc<AtomicBool>,
    readers: Rc<RefCell<Vec<std::thread::JoinHandle<()>>>>,
}

impl Mending {
    pub(super) fn of(path: &Path) -> Self {
        Self { path: path.to_owned(), is_over: Arc::default(), readers: Rc::default() }
    }

    /// Begins to read as soon as redb finds that the file has to be mended.
    pub(super) fn watch(&self, builder: &mut Builder) {
        let (path, is_over, readers) =
            (self.path.clone(), Arc::clone(&self.is_over), Rc::clone(&self.readers));
        builder.set_repair_callback(move |_| {
            let mut readers = readers.borrow_mut();
            if !readers.is_empty() {
                return;
            }
            let bytes = std::fs::metadata(&path).map_or(0, |found| found.len());
            tracing::info!(path = %path.display(), bytes, "the records were not closed: all of them are checked");
            let next = Arc::new(AtomicU64::new(0));
            for _ in 0..READERS.min(bytes.div_ceil(CHUNK_BYTES)) {
                let (path, is_over, next) = (path.clone(), Arc::clone(&is_over), Arc::clone(&next));
                let reader = std::thread::Builder::new().name("kadmap-mend".into());
                // Without it mending is slower, and nothing else.
                readers.extend(reader.spawn(move || read_ahead(&path, &next, &is_over)));
            }
        });
    }

    /// Whether the file had to be mended.
    pub(super) fn was_needed(&self) -> bool {
        !self.readers.borrow().is_empty()
    }
}

impl Drop for Mending {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        for reader in self.readers.borrow_mut().drain(..) {
            let _ = reader.join();
        }
    }
}

/// Takes one chunk after the other into the system's cache, shared with the other readers.
fn read_ahead(path: &Path, next: &AtomicU64, is_over: &AtomicBool) {
    // What cannot be read is redb's to report.
    let Ok(mut file) = File::open(path) else { return };
    let mut chunk = vec![0; CHUNK_BYTES as usize];
    while !is_over.load(Ordering::Relaxed) {
        let at = next.fetch_add(CHUNK_BYTES, Ordering::Relaxed);
        if file.seek(SeekFrom::Start(at)).is_err() || !file.read(&mut chunk).is_ok_and(|bytes| bytes > 0) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_files_and_small_commits_record_nothing() {
        let large = RECORDED_FROM_BYTES << 4;
        assert_eq!(Recording::of(usize::MAX, RECORDED_FROM_BYTES - 1), Recording::Off);
        assert_eq!(Recording::of(1_000, large), Recording::Off);
        assert_eq!(Recording::of(2 << 20, large), Recording::On);
    }
}
