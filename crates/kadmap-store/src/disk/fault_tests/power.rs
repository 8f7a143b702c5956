//! Drives that lose their power, refuse to confirm, or lie about it.

use super::*;
use crate::disk::fault::Fault;
use crate::disk::mend::Recording;

/// What the system calls an error of the device.
const EIO: i32 = 5;

/// What a drive does when the power goes: what it had confirmed is there, of the rest some sectors.
#[derive(Debug, Clone, Default)]
struct Drive {
    current: Vec<u8>,
    confirmed: Vec<u8>,
    /// Changes since: where and what, or a new length.
    unconfirmed: Vec<Unconfirmed>,
    operations_left: u64,
    /// Confirmations until one goes wrong.
    syncs_left: u64,
    wrong_sync: WrongSync,
}

/// What a drive does when a confirmation goes wrong.
#[derive(Debug, Clone, Copy, Default)]
enum WrongSync {
    /// It says so, and the system takes for written what never will be (Rebello et al., USENIX ATC 2020).
    #[default]
    Refused,
    /// It lies: nothing was made durable.
    Lost,
}

#[derive(Debug, Clone)]
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

    fn new() -> Arc<Mutex<Self>> {
        let (operations_left, syncs_left) = (u64::MAX, u64::MAX);
        Arc::new(Mutex::new(Self { operations_left, syncs_left, ..Self::default() }))
    }

    fn sync(&mut self) -> io::Result<()> {
        self.ask()?;
        let wrong = self.syncs_left == 0;
        self.syncs_left = self.syncs_left.checked_sub(1).unwrap_or(u64::MAX);
        match self.wrong_sync {
            WrongSync::Refused if wrong => {
                self.unconfirmed.clear();
                return Err(io::Error::from_raw_os_error(EIO));
            }
            WrongSync::Lost if wrong => return Ok(()),
            WrongSync::Refused | WrongSync::Lost => {}
        }
        let confirmed = &mut self.confirmed;
        self.unconfirmed.drain(..).for_each(|change| change.apply(confirmed));
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
            operations_left: u64::MAX,
            syncs_left: u64::MAX,
            ..Self::default()
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
        self.0.lock().unwrap().sync()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.lock().unwrap().change(Unconfirmed::Write(offset as usize, data.to_vec()))
    }
}

/// Opens what is on a drive, mended if the power was cut.
fn try_open_drive(folder: &Path, drive: &Arc<Mutex<Drive>>, mode: Mode) -> Result<DiskFile, Fault> {
    let drive = PluggedDrive(Arc::clone(drive));
    let opener: Opener = Box::new(move |builder, _, access| open_backend(builder, drive.clone(), access));
    let path = folder.join("drive");
    if mode != Mode::Create {
        // The bytes are the drive's; the file only has to be there.
        std::fs::write(&path, []).unwrap();
    }
    DiskFile::open(&path, 1 << 20, opener, mode)
}

fn open_drive(folder: &Path, drive: &Arc<Mutex<Drive>>, mode: Mode) -> DiskFile {
    try_open_drive(folder, drive, mode).unwrap()
}

/// Three new records in one layer.
fn layer(number: u64) -> Layer {
    let mut layer = Layer::default();
    layer.touch(Usage { records: 3 * (number + 1), bytes: 0 });
    for number in 3 * number..3 * number + 3 {
        let mut entry = Entry::default();
        entry.replace_base(Some(&value(number)));
        let change = Change { entry, base: Some(value(number)), removed: vec![], added: vec![] };
        layer.apply(&id(number), None, change, 0);
    }
    layer
}

/// Every other layer is written with what makes opening quick.
fn commit(file: &DiskFile, number: u64) -> Result<(), Fault> {
    let recording = if number % 2 == 1 { Recording::On } else { Recording::Off };
    file.commit(&layer(number), recording).map(|_| ())
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

/// The drive as it is after a power cut, and a folder to open it in.
fn cut(drive: &Arc<Mutex<Drive>>, seed: u64) -> (tempfile::TempDir, Arc<Mutex<Drive>>) {
    let after = drive.lock().unwrap().after_power_cut(seed);
    (folder(), Arc::new(Mutex::new(after)))
}

/// Demands all layers that were committed, and of the next one all or nothing.
fn check_layers(file: &DiskFile, committed: u64, told: &str) {
    for number in 0..committed {
        assert_eq!(found_of(file, number), 3, "layer {number} of {committed}: {told}");
    }
    let torn = found_of(file, committed);
    assert!(torn == 0 || torn == 3, "half a commit: {told}");
    assert_eq!(file.usage().unwrap().records, 3 * committed + torn as u64, "{told}");
}

/// Layers written before the power goes.
const LAYERS: u64 = 6;
/// Fates of what was not confirmed, for each point at which the power goes.
const FATES: u64 = 4;
/// More of them, for a long night.
const FATES_LONG: &str = "KADMAP_LONG_ROUNDS";

fn fates() -> u64 {
    std::env::var(FATES_LONG).ok().and_then(|fates| fates.parse().ok()).unwrap_or(FATES)
}

fn tell(told: &str) {
    io::Write::write_all(&mut io::stderr(), told.as_bytes()).unwrap();
}

/// Commits layers to a drive that loses its power after so many operations; gives how many were confirmed.
fn commit_until_power_goes(operations: u64) -> (Arc<Mutex<Drive>>, u64) {
    let folder = folder();
    let drive = Drive::new();
    let file = open_drive(folder.path(), &drive, Mode::Create);
    drive.lock().unwrap().operations_left = operations;
    let committed = (0..LAYERS).take_while(|number| commit(&file, *number).is_ok()).count() as u64;
    (drive, committed)
}

#[test]
fn a_power_cut_at_any_write_keeps_what_was_committed_and_tears_nothing() {
    let mut cuts = 0;
    for operations in 0.. {
        let (drive, committed) = commit_until_power_goes(operations);
        for seed in 0..fates() {
            let (folder, after) = cut(&drive, scatter(operations) ^ seed);
            let file = open_drive(folder.path(), &after, Mode::Trust);
            check_layers(&file, committed, &format!("{operations} operations, seed {seed}"));
            assert!(commit(&file, LAYERS).is_ok());
        }
        if committed == LAYERS {
            break;
        }
        cuts += 1;
    }
    tell(&format!("{} power cuts at {cuts} points\n", cuts * fates()));
    assert!(cuts > 50, "only {cuts} of the cuts were met");
}

#[test]
fn a_second_power_cut_while_the_file_is_mended_loses_nothing_either() {
    let mut cuts = 0;
    for operations in (0..).step_by(3) {
        let (drive, committed) = commit_until_power_goes(operations);
        for again in 0.. {
            let (folder, second) = cut(&drive, scatter(operations));
            second.lock().unwrap().operations_left = again;
            // The mended file is closed as well, which writes to it once more.
            let mended = try_open_drive(folder.path(), &second, Mode::Trust).and_then(|file| file.close());
            let (folder, third) = cut(&second, scatter(again));
            let file = open_drive(folder.path(), &third, Mode::Trust);
            check_layers(&file, committed, &format!("{operations} operations, then {again}"));
            if mended.is_ok() {
                break;
            }
            cuts += 1;
        }
        if committed == LAYERS {
            break;
        }
    }
    tell(&format!("{cuts} power cuts while the file was mended\n"));
    assert!(cuts > 50, "only {cuts} of the second cuts were met");
}

#[test]
fn a_sync_that_fails_takes_nothing_with_it_that_is_acknowledged_later() {
    let mut failures = 0;
    for syncs in 0.. {
        let told = format!("sync {syncs} failed");
        let (folder, drive) = (folder(), Drive::new());
        let file = open_drive(folder.path(), &drive, Mode::Create);
        drive.lock().unwrap().syncs_left = syncs;
        let failed = (0..LAYERS).find(|number| commit(&file, *number).is_err());
        let Some(failed) = failed else { break };
        failures += 1;
        assert!(commit(&file, failed).is_err(), "taken after a sync that failed: {told}");
        file.reopen_to_read().unwrap();
        check_layers(&file, failed, &told);
        // Whatever happens from here on, what was confirmed is there, also when the power goes at any point of it.
        for operations in 0.. {
            let mut retried = drive.lock().unwrap().clone();
            retried.operations_left = operations;
            let retried = Arc::new(Mutex::new(retried));
            let confirmed = retry(&folder.path().join("drive"), &retried, failed);
            let (folder, after) = cut(&retried, scatter(operations) ^ syncs);
            let found = open_drive(folder.path(), &after, Mode::Trust);
            check_layers(&found, failed + confirmed, &format!("{told}, power after {operations}"));
            if failed + confirmed == LAYERS {
                break;
            }
        }
    }
    assert!(failures > 10, "only {failures} failures were met");
}

/// Opens the file as the flusher does after a failure, and writes the layers that were not confirmed; gives how many
/// are now.
fn retry(path: &Path, drive: &Arc<Mutex<Drive>>, first: u64) -> u64 {
    let backend = PluggedDrive(Arc::clone(drive));
    let opener: Opener = Box::new(move |builder, _, access| open_backend(builder, backend.clone(), access));
    let Ok(file) = DiskFile::open(path, 1 << 20, opener, Mode::Check) else { return 0 };
    (first..LAYERS).take_while(|number| commit(&file, *number).is_ok()).count() as u64
}

#[test]
fn a_drive_that_lies_once_serves_nothing_wrong() {
    let mut lies = 0;
    for syncs in 0..40 {
        let (folder, drive) = (folder(), Drive::new());
        let file = open_drive(folder.path(), &drive, Mode::Create);
        drive.lock().unwrap().wrong_sync = WrongSync::Lost;
        drive.lock().unwrap().syncs_left = syncs;
        // Cut before the next confirmation makes good for the lie.
        let until = syncs / 2 + 1;
        for number in 0..until {
            commit(&file, number).unwrap();
        }
        for seed in 0..4 {
            let (folder, after) = cut(&drive, scatter(syncs) ^ seed);
            // What a drive lies about may be gone, even all of it; `found_of` demands that what is found is right.
            let Ok(file) = try_open_drive(folder.path(), &after, Mode::Check) else { continue };
            lies += u64::from((0..until).map(|number| found_of(&file, number)).sum::<usize>() > 0);
        }
    }
    assert!(lies > 20, "only {lies} drives could be read");
}
