//! How redb reaches the bytes of the file: to write them, or only to read them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::sync::{Mutex, PoisonError};

use redb::backends::FileBackend;
use redb::{Builder, Database, DatabaseError, StorageBackend};

/// Bytes in which changes are kept above a file that is only read: the page of redb.
const PAGE_BYTES: u64 = 4_096;

/// What the file is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// To read and write.
    Write,
    /// To read; what redb has to mend for that is mended in memory.
    Read,
}

/// Opens the database in a file; tests put faults in between.
pub(crate) type Opener = Box<dyn Fn(&Builder, File, Access) -> Result<Database, DatabaseError> + Send + Sync>;

/// The file itself, with redb's lock on it.
pub(crate) fn plain_opener() -> Opener {
    Box::new(|builder, file, access| open_backend(builder, FileBackend::new(file)?, access))
}

/// Opens the database on a backend.
pub(crate) fn open_backend(
    builder: &Builder,
    backend: impl StorageBackend,
    access: Access,
) -> Result<Database, DatabaseError> {
    match access {
        Access::Write => builder.create_with_backend(backend),
        Access::Read => builder.create_with_backend(Overlay::new(backend)?),
    }
}

/// A file that is only read, and in memory what was changed above it.
#[derive(Debug)]
struct Overlay<B> {
    below: B,
    above: Mutex<Above>,
}

#[derive(Debug)]
struct Above {
    bytes: u64,
    /// Bytes of the file below that still count: what was cut off once does not come back.
    below_bytes: u64,
    pages: BTreeMap<u64, Vec<u8>>,
}

impl<B: StorageBackend> Overlay<B> {
    fn new(below: B) -> Result<Self, redb::StorageError> {
        let bytes = below.len()?;
        let above = Mutex::new(Above { bytes, below_bytes: bytes, pages: BTreeMap::new() });
        Ok(Self { below, above })
    }

    /// One page as it is now.
    fn page(&self, above: &Above, index: u64) -> io::Result<Vec<u8>> {
        if let Some(page) = above.pages.get(&index) {
            return Ok(page.clone());
        }
        let mut page = vec![0; PAGE_BYTES as usize];
        let left = above.below_bytes.saturating_sub(index * PAGE_BYTES).min(PAGE_BYTES);
        if left > 0 {
            self.below.read(index * PAGE_BYTES, &mut page[..left as usize])?;
        }
        Ok(page)
    }
}

/// The pieces of a range: page, first byte in it, and bytes of the range that lie in it.
fn pieces(offset: u64, bytes: usize) -> impl Iterator<Item = (u64, std::ops::Range<usize>, usize)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done as u64;
        let start = (at % PAGE_BYTES) as usize;
        let length = (PAGE_BYTES as usize - start).min(bytes - done);
        done += length;
        (length > 0).then_some((at / PAGE_BYTES, start..start + length, done - length))
    })
}

impl<B: StorageBackend> StorageBackend for Overlay<B> {
    fn len(&self) -> io::Result<u64> {
        Ok(self.above.lock().unwrap_or_else(PoisonError::into_inner).bytes)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let above = self.above.lock().unwrap_or_else(PoisonError::into_inner);
        let end = offset.checked_add(out.len() as u64);
        if end.is_none_or(|end| end > above.bytes) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let covers = |index| above.pages.contains_key(&index);
        let (first, last) = (offset / PAGE_BYTES, end.unwrap_or(offset).saturating_sub(1) / PAGE_BYTES);
        if end.is_some_and(|end| end <= above.below_bytes) && !(first..=last).any(covers) {
            return self.below.read(offset, out);
        }
        for (index, range, at) in pieces(offset, out.len()) {
            let page = self.page(&above, index)?;
            out[at..at + range.len()].copy_from_slice(&page[range]);
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut above = self.above.lock().unwrap_or_else(PoisonError::into_inner);
        above.bytes = len;
        above.below_bytes = above.below_bytes.min(len);
        above.pages.split_off(&len.div_ceil(PAGE_BYTES));
        if let Some(page) = above.pages.get_mut(&(len / PAGE_BYTES)) {
            page[(len % PAGE_BYTES) as usize..].fill(0);
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut above = self.above.lock().unwrap_or_else(PoisonError::into_inner);
        for (index, range, at) in pieces(offset, data.len()) {
            let mut page = self.page(&above, index)?;
            page[range.clone()].copy_from_slice(&data[at..at + range.len()]);
            above.pages.insert(index, page);
        }
        above.bytes = above.bytes.max(offset + data.len() as u64);
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.below.close()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use redb::backends::InMemoryBackend;

    #[derive(Debug, Clone)]
    enum Change {
        Write(u64, Vec<u8>),
        Length(u64),
    }

    fn any_change() -> impl Strategy<Value = Change> {
        let length = 3 * PAGE_BYTES;
        prop_oneof![
            3 => (0..length, prop::collection::vec(any::<u8>(), 0..6_000))
                .prop_map(|(at, data)| Change::Write(at, data)),
            1 => (0..2 * length).prop_map(Change::Length),
        ]
    }

    proptest! {
        #[test]
        fn an_overlay_reads_as_if_it_had_written_and_writes_nothing(
            start in prop::collection::vec(any::<u8>(), 1..10_000),
            changes in prop::collection::vec(any_change(), 0..8),
        ) {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), &start).unwrap();
            let below = FileBackend::new(File::open(file.path()).unwrap()).unwrap();
            let overlay = Overlay::new(below).unwrap();
            let model = InMemoryBackend::new();
            model.set_len(start.len() as u64).unwrap();
            model.write(0, &start).unwrap();
            for change in changes {
                match change {
                    Change::Write(at, data) => {
                        // redb grows a file before it writes there.
                        let end = at + data.len() as u64;
                        if end > model.len().unwrap() {
                            model.set_len(end).unwrap();
                            overlay.set_len(end).unwrap();
                        }
                        model.write(at, &data).unwrap();
                        overlay.write(at, &data).unwrap();
                    }
                    Change::Length(length) => {
                        model.set_len(length).unwrap();
                        overlay.set_len(length).unwrap();
                    }
                }
                let length = model.len().unwrap();
                prop_assert_eq!(overlay.len().unwrap(), length);
                let (mut expected, mut found) = (vec![0; length as usize], vec![1; length as usize]);
                model.read(0, &mut expected).unwrap();
                overlay.read(0, &mut found).unwrap();
                prop_assert!(expected == found);
                prop_assert!(overlay.read(length, &mut [0]).is_err());
            }
            prop_assert_eq!(std::fs::read(file.path()).unwrap(), start);
        }
    }
}
