//! The n-th operation of the disk fails, for every n until none is left to fail.

use super::*;

/// When the disk refuses, and how.
#[derive(Debug)]
struct Script {
    /// Operations until the first refusal.
    left: AtomicI64,
    /// Refusals in a row.
    refusals: AtomicI64,
    error: i32,
    /// Whether reads are refused too.
    reads: bool,
}

/// Errors of the operating system: a device that fails, one that is full, one that turned read-only.
const ERRORS: [i32; 3] = [5, 28, 30];
const FOR_GOOD: i64 = i64::MAX;

impl Script {
    fn new(error: i32, reads: bool) -> Arc<Self> {
        let (left, refusals) = (AtomicI64::new(i64::MAX), AtomicI64::new(0));
        Arc::new(Self { left, refusals, error, reads })
    }

    fn arm(&self, left: i64, refusals: i64) {
        self.refusals.store(refusals, Ordering::SeqCst);
        self.left.store(left, Ordering::SeqCst);
    }

    fn heal(&self) {
        self.arm(i64::MAX, 0);
    }

    /// Whether it has refused anything since it was armed.
    fn was_met(&self) -> bool {
        self.left.load(Ordering::SeqCst) < 0
    }

    fn ask(&self) -> io::Result<()> {
        let left = self.left.fetch_sub(1, Ordering::SeqCst);
        let refuses = left <= 0 && -left < self.refusals.load(Ordering::SeqCst);
        if refuses { Err(io::Error::from_raw_os_error(self.error)) } else { Ok(()) }
    }

    fn opener(self: &Arc<Self>) -> Opener {
        let script = Arc::clone(self);
        Box::new(move |builder, file, access| {
            let disk = FailingDisk { file: FileBackend::new(file)?, script: Arc::clone(&script) };
            open_backend(builder, disk, access)
        })
    }
}

#[derive(Debug)]
struct FailingDisk {
    file: FileBackend,
    script: Arc<Script>,
}

impl StorageBackend for FailingDisk {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if self.script.reads {
            self.script.ask()?;
        }
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.script.ask()?;
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.script.ask()?;
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.script.ask()?;
        self.file.write(offset, data)
    }
}

/// A store on a scripted disk, and the bell its flusher rings.
struct Subject {
    store: RedbStore,
    bell: mpsc::Receiver<()>,
    script: Arc<Script>,
}

/// Records of the scripted load.
const WRITES: u64 = 8;
/// No memory for pages, so that reads reach the disk too.
const PAGE_CACHE_BYTES: usize = 0;

fn config() -> StoreConfig {
    StoreConfig {
        durability: Durability::Synced,
        disk_retry_interval: Duration::from_millis(1),
        page_cache_bytes: PAGE_CACHE_BYTES,
        heads_cached_max: 0,
        ..StoreConfig::default()
    }
}

impl Subject {
    fn open(folder: &Path, script: &Arc<Script>) -> Self {
        let (notify, bell) = mpsc::channel();
        let notify = Box::new(move || notify.send(()).unwrap_or(()));
        let opened = RedbStore::open_with(folder, config(), notify, || script.opener()).unwrap();
        assert_eq!(opened.set_aside, None);
        Self { store: opened.store, bell, script: Arc::clone(script) }
    }

    fn fails(&self) -> bool {
        self.store.shared.lock().failed.is_some()
    }

    /// Waits until this ticket is on disk, or the disk refuses.
    fn is_acknowledged(&self, ticket: Ticket) -> bool {
        while self.store.flushed() < ticket {
            if self.fails() {
                return false;
            }
            self.bell.recv().unwrap();
        }
        true
    }

    fn wait_until_it_works(&self) {
        while self.fails() {
            self.bell.recv().unwrap();
        }
    }

    /// Writes records from `first` on until the disk fails; gives how many are acknowledged, and how many were taken.
    fn write(&mut self, first: u64) -> (u64, u64) {
        for number in first..WRITES {
            let Ok(merged) = self.store.merge(&id(number), value(number).into()) else {
                return (number, number);
            };
            // What a failure left in memory may be on disk by now.
            if merged.ticket.is_some_and(|ticket| !self.is_acknowledged(ticket)) {
                return (number, number + 1);
            }
        }
        (WRITES, WRITES)
    }

    /// Demands that nothing is taken, and that what can be read is right.
    fn check_while_failing(&mut self, taken: u64) {
        let flushed = self.store.flushed();
        match self.store.merge(&id(WRITES), value(WRITES).into()) {
            Err(StoreError::Failed { reason }) => {
                assert!(reason.contains("records.redb") && reason.contains("disk"), "{reason}");
            }
            other => panic!("taken by a failed disk: {other:?}"),
        }
        assert!(matches!(self.store.forget(&id(0)), Err(StoreError::Failed { .. })));
        assert_eq!(self.store.flushed(), flushed);
        self.check_reads(taken, true);
    }

    fn check_reads(&mut self, taken: u64, may_fail: bool) {
        for number in 0..taken {
            match self.store.load(&id(number)) {
                Ok(found) => assert_eq!(found, Some(value(number).into())),
                Err(StoreError::Failed { .. }) if may_fail => {}
                Err(error) => panic!("record {number} cannot be read: {error}"),
            }
        }
    }
}

/// Demands the first records of the load, on a disk that works again.
fn check_on_disk(folder: &Path, records: u64, told: &str) {
    let opened = RedbStore::open(folder, config(), Box::new(|| ())).unwrap();
    assert_eq!(opened.set_aside, None, "{told}");
    let mut store = opened.store;
    for number in 0..records {
        assert_eq!(store.load(&id(number)).unwrap(), Some(value(number).into()), "{told}");
    }
    let heads = store.heads(None, usize::MAX).unwrap();
    assert_eq!(store.usage().records, heads.len() as u64, "{told}");
    let bytes: u64 = heads.iter().map(|(id, head)| head.bytes + id.name.len() as u64).sum();
    assert_eq!(store.usage().bytes, bytes, "{told}");
}

/// A disk that refuses some operations of a load from the n-th on; tells whether it came to that.
fn a_disk_fails_at(operation: i64, refusals: i64, error: i32, reads: bool) -> bool {
    let told = format!("{refusals} times error {error} from operation {operation} on");
    let folder = folder();
    let script = Script::new(error, reads);
    let mut subject = Subject::open(folder.path(), &script);
    script.arm(operation, refusals);
    let (acked, taken) = subject.write(0);
    let mut acknowledged = acked;
    let met = subject.script.was_met();
    if acked < WRITES && refusals == FOR_GOOD {
        subject.check_while_failing(taken);
        assert!(subject.store.close().is_err(), "{told}");
    } else {
        // What was in memory when the disk failed is written first, then the rest.
        while acknowledged < WRITES {
            subject.wait_until_it_works();
            subject.check_reads(acknowledged, true);
            acknowledged = subject.write(acknowledged).0;
        }
        let _ = subject.store.close();
    }
    script.heal();
    check_on_disk(folder.path(), acknowledged, &told);
    met
}

/// Lets each operation fail in turn, until none is left.
fn each_operation_fails(refusals: i64, error: i32, reads: bool) {
    let met = (0..).take_while(|operation| a_disk_fails_at(*operation, refusals, error, reads)).count();
    assert!(met > 50, "only {met} faults were met");
}

#[test]
fn a_disk_that_fails_once_loses_nothing_acknowledged_and_goes_on() {
    each_operation_fails(1, ERRORS[1], false);
}

#[test]
fn a_disk_that_fails_at_reads_too_loses_nothing_acknowledged_and_goes_on() {
    each_operation_fails(1, ERRORS[0], true);
}

#[test]
fn a_disk_that_fails_while_it_is_tried_again_loses_nothing_acknowledged_and_goes_on() {
    each_operation_fails(4, ERRORS[1], true);
}

#[test]
fn a_disk_that_fails_for_good_loses_nothing_acknowledged() {
    each_operation_fails(FOR_GOOD, ERRORS[0], false);
}

#[test]
fn a_disk_that_is_full_for_a_while_is_read_meanwhile_and_written_afterwards() {
    let folder = folder();
    let script = Script::new(ERRORS[1], false);
    let mut subject = Subject::open(folder.path(), &script);
    assert_eq!(subject.write(3), (WRITES, WRITES));
    script.arm(0, FOR_GOOD);
    let ticket = subject.store.merge(&id(0), value(0).into()).unwrap().ticket.unwrap();
    assert!(!subject.is_acknowledged(ticket));
    // It has been opened to be read, and tried again at least twice.
    for _ in 0..3 {
        subject.bell.recv().unwrap();
    }
    subject.check_while_failing(0);
    for number in (0..1).chain(3..WRITES) {
        assert_eq!(subject.store.load(&id(number)).unwrap(), Some(value(number).into()), "record {number}");
    }
    let refused = subject.store.merge(&id(1), value(1).into()).unwrap_err().to_string();
    assert!(refused.contains("make room on its disk"), "{refused}");
    assert_eq!(subject.store.counters().failures, 1, "one failure, however often it is tried");
    script.heal();
    subject.wait_until_it_works();
    assert!(subject.is_acknowledged(ticket), "what was taken before is acknowledged now");
    assert_eq!(subject.write(1), (WRITES, WRITES));
    subject.store.close().unwrap();
    check_on_disk(folder.path(), WRITES, "after the disk was full");
}

/// A file as a crash leaves it, with the records of the load acknowledged.
fn crashed_file() -> Vec<u8> {
    let folder = folder();
    let mut subject = Subject::open(folder.path(), &Script::new(ERRORS[0], false));
    assert_eq!(subject.write(0), (WRITES, WRITES));
    // Not closed: the file says that it was not.
    std::fs::read(folder.path().join("records.redb")).unwrap()
}

#[test]
fn a_disk_that_fails_while_the_file_is_opened_or_mended_leaves_it_to_the_next_start() {
    let crashed = crashed_file();
    for error in ERRORS {
        for refusals in [1, FOR_GOOD] {
            let mut met = 0;
            for operation in 0.. {
                let folder = folder();
                std::fs::write(folder.path().join("records.redb"), &crashed).unwrap();
                let script = Script::new(error, true);
                script.arm(operation, refusals);
                let opened =
                    RedbStore::open_with(folder.path(), config(), Box::new(|| ()), || script.opener());
                match opened {
                    Ok(opened) => {
                        assert_eq!(opened.set_aside, None, "error {error} at operation {operation}")
                    }
                    Err(error) => {
                        let told = error.to_string();
                        assert!(matches!(error, OpenError::Disk { .. }), "{told}");
                        assert!(told.contains("records.redb") && told.contains("start again"), "{told}");
                    }
                }
                let was_met = script.was_met();
                script.heal();
                check_on_disk(folder.path(), WRITES, &format!("error {error} at operation {operation}"));
                if !was_met {
                    break;
                }
                met += 1;
            }
            assert!(met > 10, "only {met} faults were met");
        }
    }
}

#[test]
fn an_error_of_the_system_sets_nothing_aside() {
    let folder = folder();
    let open = |folder: &Path| RedbStore::open(folder, StoreConfig::default(), Box::new(|| ()));
    let mut store = open(folder.path()).unwrap().store;
    store.merge(&id(0), value(0).into()).unwrap();
    store.close().unwrap();
    let refusing = || -> Opener {
        Box::new(|_, _, _| Err(redb::StorageError::Io(io::ErrorKind::PermissionDenied.into()).into()))
    };
    let error = RedbStore::open_with(folder.path(), StoreConfig::default(), Box::new(|| ()), refusing);
    assert!(matches!(error.unwrap_err(), OpenError::Disk { .. }));
    assert_eq!(open(folder.path()).unwrap().store.load(&id(0)).unwrap(), Some(value(0).into()));
}
