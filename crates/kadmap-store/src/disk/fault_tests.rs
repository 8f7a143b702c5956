//! Disks that fail, and power that does.

use std::io;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, mpsc};

use kadmap_core::{Base, Codec, Key, Payload, Shape};
use redb::StorageBackend;
use redb::backends::FileBackend;

use super::file::Mode;
use super::layer::Layer;
use super::*;

fn id(number: u64) -> RecordId {
    let name = format!("record {number}");
    RecordId::new(Key::of_name(name.as_bytes()), name)
}

fn value(number: u64) -> Base {
    let payload = Some(Payload::new(Codec::Bytes, vec![number as u8; 700]));
    Base { stamp: Stamp { time: number + 1, writer: 1 }, shape: Shape::Value, payload, expires_ms: None }
}

/// Numbers without a pattern, the same each time.
fn scatter(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^= mixed >> 27;
    mixed.wrapping_mul(0x94d0_49bb_1331_11eb) ^ (mixed >> 31)
}

/// How many more times the disk does as asked when something is to be changed on it.
#[derive(Debug)]
struct Patience {
    left: AtomicI64,
    /// Whether it fails from then on, or once.
    for_good: bool,
}

impl Patience {
    fn ask(&self) -> io::Result<()> {
        let left = self.left.fetch_sub(1, Ordering::SeqCst);
        let refuses = left == 0 || left < 0 && self.for_good;
        if refuses { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

#[derive(Debug)]
struct FailingDisk {
    file: FileBackend,
    patience: Arc<Patience>,
}

impl StorageBackend for FailingDisk {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.patience.ask()?;
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.patience.ask()?;
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.patience.ask()?;
        self.file.write(offset, data)
    }
}

/// Writes until the disk fails; gives how many were acknowledged, and how many were taken.
fn write_until_it_fails(store: &mut RedbStore, flushed: &mpsc::Receiver<()>, writes: u64) -> (u64, u64) {
    for number in 0..writes {
        let Ok(merged) = store.merge(&id(number), value(number).into()) else { return (number, number) };
        let ticket = merged.ticket.unwrap();
        while store.flushed() < ticket {
            flushed.recv().unwrap();
            if store.flushed() < ticket && store.shared.lock().failed.is_some() {
                return (number, number + 1);
            }
        }
    }
    (writes, writes)
}

fn a_disk_fails_at(operation: i64, for_good: bool) -> bool {
    const WRITES: u64 = 8;
    let folder = tempfile::tempdir().unwrap();
    let patience = Arc::new(Patience { left: AtomicI64::new(i64::MAX), for_good });
    let opener = || -> Opener {
        let patience = Arc::clone(&patience);
        Box::new(move |builder, file| {
            let patience = Arc::clone(&patience);
            builder.create_with_backend(FailingDisk { file: FileBackend::new(file)?, patience })
        })
    };
    let (notify, flushed) = mpsc::channel();
    let config = StoreConfig { durability: Durability::Synced, ..StoreConfig::default() };
    let notify = Box::new(move || notify.send(()).unwrap_or(()));
    let mut store = RedbStore::open_with(folder.path(), config, notify, opener).unwrap().store;

    patience.left.store(operation, Ordering::SeqCst);
    let (acked, taken) = write_until_it_fails(&mut store, &flushed, WRITES);
    let failed = acked < WRITES;
    if failed {
        let ticket = store.flushed();
        let refused = store.merge(&id(WRITES), value(WRITES).into());
        assert!(matches!(refused, Err(StoreError::Failed { .. })), "taken by a failed disk");
        assert!(matches!(store.forget(&id(0)), Err(StoreError::Failed { .. })));
        assert_eq!(store.flushed(), ticket);
        for number in 0..taken {
            match store.load(&id(number)) {
                Ok(found) => assert_eq!(found, Some(value(number).into())),
                Err(StoreError::Failed { .. }) if for_good => {}
                Err(error) => panic!("reads do not go on at operation {operation}: {error}"),
            }
        }
        assert!(store.close().is_err());
    } else {
        let _ = store.close();
    }
    let opened = RedbStore::open(folder.path(), StoreConfig::default(), Box::new(|| ())).unwrap();
    assert_eq!(opened.set_aside, None, "operation {operation}");
    let mut store = opened.store;
    for number in 0..acked {
        assert_eq!(store.load(&id(number)).unwrap(), Some(value(number).into()), "operation {operation}");
    }
    failed
}

#[test]
fn a_disk_that_fails_once_loses_nothing_acknowledged_and_is_read_on() {
    let failures = (0..150).filter(|operation| a_disk_fails_at(*operation, false)).count();
    assert!(failures > 50, "only {failures} of the faults were met");
}

#[test]
fn a_disk_that_fails_for_good_loses_nothing_acknowledged() {
    let failures = (0..150).filter(|operation| a_disk_fails_at(*operation, true)).count();
    assert!(failures > 50, "only {failures} of the faults were met");
}

#[test]
fn an_error_of_the_system_sets_nothing_aside() {
    let folder = tempfile::tempdir().unwrap();
    let open = |folder: &Path| RedbStore::open(folder, StoreConfig::default(), Box::new(|| ()));
    let mut store = open(folder.path()).unwrap().store;
    store.merge(&id(0), value(0).into()).unwrap();
    store.close().unwrap();
    let refusing = || -> Opener {
        Box::new(|_, _| Err(redb::StorageError::Io(io::ErrorKind::PermissionDenied.into()).into()))
    };
    let error = RedbStore::open_with(folder.path(), StoreConfig::default(), Box::new(|| ()), refusing);
    assert!(matches!(error.unwrap_err(), OpenError::Disk { .. }));
    assert_eq!(open(folder.path()).unwrap().store.load(&id(0)).unwrap(), Some(value(0).into()));
}

/// What a drive does when the power goes: what it had confirmed is there, of the rest some sectors.
#[derive(Debug, Default)]
struct Drive {
    current: Vec<u8>,
    confirmed: Vec<u8>,
    /// Changes since: where and what, or a new length.
    unconfirmed: Vec<Unconfirmed>,
    operations_left: u64,
}

#[derive(Debug)]
enum Unconfirmed {
    Write(usize, Vec<u8>),
    Length(usize),
}

impl Unconfirmed {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Length(length) => bytes.resize(*length, 0),
            Self::Write(at, data) => {
                if bytes.len() < at + data.len() {
                    bytes.resize(at + data.len(), 0);
                }
                bytes[*at..at + data.len()].copy_from_slice(data);
            }
        }
    }
}

impl Drive {
    /// Bytes that a drive writes whole or not at all.
    const SECTOR: usize = 512;

    fn change(&mut self, change: Unconfirmed) -> io::Result<()> {
        self.ask()?;
        change.apply(&mut self.current);
        self.unconfirmed.push(change);
        Ok(())
    }

    fn ask(&mut self) -> io::Result<()> {
        match self.operations_left.checked_sub(1) {
            None => Err(io::Error::other("the power is gone")),
            Some(left) => {
                self.operations_left = left;
                Ok(())
            }
        }
    }

    /// The drive after the power came back.
    fn after_power_cut(&self, seed: u64) -> Self {
        let mut survived = self.confirmed.clone();
        let mut toss = seed;
        let mut heads = || {
            toss = scatter(toss);
            toss.is_multiple_of(2)
        };
        let mut order: Vec<_> = (0..self.unconfirmed.len()).collect();
        order.sort_by_key(|index| scatter(seed ^ *index as u64));
        for change in order.into_iter().map(|index| &self.unconfirmed[index]) {
            match change {
                Unconfirmed::Length(_) if heads() => change.apply(&mut survived),
                Unconfirmed::Length(_) => {}
                Unconfirmed::Write(at, data) => {
                    for (index, sector) in data.chunks(Self::SECTOR).enumerate() {
                        if heads() {
                            let at = at + index * Self::SECTOR;
                            Unconfirmed::Write(at, sector.to_vec()).apply(&mut survived);
                        }
                    }
                }
            }
        }
        Self {
            current: survived.clone(),
            confirmed: survived,
            unconfirmed: Vec::new(),
            operations_left: u64::MAX,
        }
    }
}

#[derive(Debug, Clone)]
struct PluggedDrive(Arc<Mutex<Drive>>);

impl StorageBackend for PluggedDrive {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().current.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let drive = self.0.lock().unwrap();
        let found = drive.current.get(offset as usize..offset as usize + out.len());
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.lock().unwrap().change(Unconfirmed::Length(len as usize))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut drive = self.0.lock().unwrap();
        drive.ask()?;
        let drive = &mut *drive;
        drive.unconfirmed.drain(..).for_each(|change| change.apply(&mut drive.confirmed));
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.lock().unwrap().change(Unconfirmed::Write(offset as usize, data.to_vec()))
    }
}

fn open_drive(folder: &Path, drive: &Arc<Mutex<Drive>>, mode: Mode) -> DiskFile {
    let drive = PluggedDrive(Arc::clone(drive));
    let opener: Opener = Box::new(move |builder, _| builder.create_with_backend(drive.clone()));
    DiskFile::open(&folder.join("drive"), 1 << 20, opener, mode).unwrap()
}

/// Three new records in one layer.
fn layer(number: u64) -> Layer {
    let mut layer = Layer::default();
    layer.touch(Usage { records: 3 * (number + 1), bytes: 0 });
    for number in 3 * number..3 * number + 3 {
        let mut entry = Entry::default();
        entry.replace_base(Some(&value(number)));
        let change = Change { entry, base: Some(value(number)), removed: vec![], added: vec![] };
        layer.apply(&id(number), None, change);
    }
    layer
}

/// How many of a layer's records are on the drive, each of them whole.
fn found_of(file: &DiskFile, number: u64) -> usize {
    let whole = |number: &u64| {
        let Some(entry) = file.entry(&id(*number)).unwrap().unwrap() else { return false };
        let parts = file.parts(&id(*number), &layer::Unflushed::default()).unwrap().unwrap();
        assert_eq!(parts, [(Part::Base, Stored::Base(value(*number)))]);
        entry.base_bytes.is_some()
    };
    (3 * number..3 * number + 3).filter(whole).count()
}

#[test]
fn a_power_cut_at_any_write_keeps_what_was_committed_and_tears_nothing() {
    const LAYERS: u64 = 6;
    let mut cuts = 0;
    for operations in 0..160 {
        let folder = tempfile::tempdir().unwrap();
        let drive = Arc::new(Mutex::new(Drive { operations_left: u64::MAX, ..Drive::default() }));
        let file = open_drive(folder.path(), &drive, Mode::Create);
        drive.lock().unwrap().operations_left = operations;
        let committed = (0..LAYERS).take_while(|number| file.commit(&layer(*number)).is_ok()).count() as u64;
        cuts += u64::from(committed < LAYERS);
        for seed in 0..4 {
            let after = drive.lock().unwrap().after_power_cut(scatter(operations) ^ seed);
            let after = Arc::new(Mutex::new(after));
            let file = open_drive(folder.path(), &after, Mode::Trust);
            for number in 0..committed {
                assert_eq!(found_of(&file, number), 3, "{operations} operations, seed {seed}");
            }
            let torn = found_of(&file, committed);
            assert!(torn == 0 || torn == 3, "half a commit after {operations} operations, seed {seed}");
            let usage = file.usage().unwrap();
            assert_eq!(usage.records, 3 * committed + torn as u64);
            assert!(file.commit(&layer(LAYERS)).is_ok());
        }
    }
    assert!(cuts > 50, "only {cuts} of the cuts were met");
}
