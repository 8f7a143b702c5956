//! Real disks that are full or turn read-only: small file systems, mounted for the test. Without the right to mount,
//! the tests say so and pass.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use kadmap_core::{Base, Codec, Key, Payload, RecordId, RecordStore, Shape, Stamp, StoreError, Ticket};
use kadmap_store::{Durability, OpenError, RedbStore, StoreConfig};

/// What one record takes.
const VALUE_BYTES: usize = 20_000;
/// Records that no disk of these tests can take: the load is bounded.
const RECORDS_MAX: u64 = 4_000;

fn id(number: u64) -> RecordId {
    let name = format!("record {number}");
    RecordId::new(Key::of_name(name.as_bytes()), name)
}

fn value(number: u64) -> Base {
    let payload = Some(Payload::new(Codec::Bytes, vec![number as u8; VALUE_BYTES]));
    Base { stamp: Stamp { time: number + 1, writer: 1 }, shape: Shape::Value, payload, expires_ms: None }
}

fn run(program: &str, args: &[&str]) -> bool {
    let status = Command::new(program).args(args).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// A file system of a few megabytes.
struct Mount {
    point: tempfile::TempDir,
    /// The file that holds it, if it is not in memory.
    image: Option<tempfile::NamedTempFile>,
}

impl Mount {
    fn text(&self) -> &str {
        self.point.path().to_str().unwrap()
    }

    /// `None`, and a word about it, when this user may not mount.
    fn tmpfs(megabytes: u64) -> Option<Self> {
        let mount = Self { point: tempfile::tempdir().unwrap(), image: None };
        let size = format!("size={megabytes}m");
        let mounted = run("mount", &["-t", "tmpfs", "-o", &size, "tmpfs", mount.text()]);
        mount.check(mounted)
    }

    fn ext4(megabytes: u64) -> Option<Self> {
        let image = tempfile::NamedTempFile::new().unwrap();
        image.as_file().set_len(megabytes << 20).unwrap();
        let mount = Self { point: tempfile::tempdir().unwrap(), image: Some(image) };
        let made = run("mkfs.ext4", &["-q", "-F", "-m", "0", mount.image_path().to_str().unwrap()]);
        let mounted = made && mount.mount_image();
        mount.check(mounted)
    }

    fn image_path(&self) -> PathBuf {
        self.image.as_ref().unwrap().path().to_owned()
    }

    fn mount_image(&self) -> bool {
        run("mount", &["-o", "loop", self.image_path().to_str().unwrap(), self.text()])
    }

    fn check(self, mounted: bool) -> Option<Self> {
        if !mounted {
            let told = b"skipped: this user may not mount file systems\n";
            std::io::stderr().write_all(told).unwrap();
        }
        mounted.then_some(self)
    }

    fn unmount(&self) -> bool {
        run("umount", &[self.text()])
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        self.unmount();
    }
}

struct Subject {
    store: RedbStore,
    bell: mpsc::Receiver<()>,
}

impl Subject {
    fn open(folder: &Path) -> Self {
        let (notify, bell) = mpsc::channel();
        let notify = Box::new(move || notify.send(()).unwrap_or(()));
        let opened = RedbStore::open(folder, config(), notify).unwrap();
        assert_eq!(opened.set_aside, None);
        Self { store: opened.store, bell }
    }

    fn put(&mut self, number: u64) -> Result<Option<Ticket>, StoreError> {
        self.store.merge(&id(number), value(number).into()).map(|merged| merged.ticket)
    }

    /// Puts one and waits for the disk; `None` when it refuses.
    fn put_durably(&mut self, number: u64) -> Option<()> {
        let ticket = self.put(number).ok()?;
        while ticket.is_some_and(|ticket| self.store.flushed() < ticket) {
            if self.store.counters().failures > 0 && self.put(RECORDS_MAX).is_err() {
                return None;
            }
            self.bell.recv().unwrap();
        }
        Some(())
    }

    /// Puts until the disk refuses; gives how many it has confirmed.
    fn fill(&mut self) -> u64 {
        (0..RECORDS_MAX).take_while(|number| self.put_durably(*number).is_some()).count() as u64
    }

    /// Demands that all confirmed records can be read; right after a failure the file may be about to be opened again.
    fn check(&mut self, records: u64) {
        for number in 0..records {
            loop {
                match self.store.load(&id(number)) {
                    Ok(found) => break assert_eq!(found, Some(value(number).into())),
                    Err(_) => self.bell.recv().unwrap(),
                }
            }
        }
    }
}

fn config() -> StoreConfig {
    StoreConfig {
        durability: Durability::Synced,
        disk_retry_interval: Duration::from_millis(20),
        ..StoreConfig::default()
    }
}

/// Fills a disk, makes room, and demands that all goes on.
fn a_full_disk_goes_on_once_there_is_room(mount: &Mount) {
    let ballast = mount.point.path().join("ballast");
    fs::write(&ballast, vec![1; 6 << 20]).unwrap();
    let folder = mount.point.path().join("node");
    let mut subject = Subject::open(&folder);
    let confirmed = subject.fill();
    assert!(confirmed > 10 && confirmed < RECORDS_MAX, "{confirmed} records fit");
    subject.check(confirmed);
    let refused = subject.put(0).unwrap_err().to_string();
    assert!(refused.contains("records.redb") && refused.contains("make room on its disk"), "{refused}");

    // A node that is started while the disk is full serves what is there.
    drop(subject);
    let mut subject = Subject::open(&folder);
    subject.check(confirmed);
    fs::remove_file(&ballast).unwrap();
    for number in confirmed..confirmed + 50 {
        while subject.put_durably(number).is_none() {
            subject.bell.recv().unwrap();
        }
    }
    subject.check(confirmed + 50);
    subject.store.close().unwrap();
    Subject::open(&folder).check(confirmed + 50);
}

#[test]
fn a_full_tmpfs_goes_on_once_there_is_room() {
    let Some(mount) = Mount::tmpfs(12) else { return };
    a_full_disk_goes_on_once_there_is_room(&mount);
}

#[test]
fn a_full_ext4_goes_on_once_there_is_room() {
    let Some(mount) = Mount::ext4(16) else { return };
    a_full_disk_goes_on_once_there_is_room(&mount);
}

#[test]
fn a_full_disk_refuses_a_new_folder_with_the_remedy() {
    let Some(mount) = Mount::tmpfs(1) else { return };
    // The last byte is what the copy stops at.
    let _ = fs::write(mount.point.path().join("ballast"), vec![1; 2 << 20]);
    let error = RedbStore::open(&mount.point.path().join("node"), config(), Box::new(|| ())).unwrap_err();
    let told = error.to_string();
    assert!(matches!(error, OpenError::Disk { .. } | OpenError::Folder { .. }), "{told}");
    assert!(told.contains("node") && told.contains("o space left"), "{told}");
}

#[test]
fn a_disk_that_turns_read_only_is_read_on_and_written_after_a_restart() {
    let Some(mount) = Mount::ext4(16) else { return };
    let folder = mount.point.path().join("node");
    let mut subject = Subject::open(&folder);
    for number in 0..50 {
        subject.put_durably(number).unwrap();
    }
    // As the system does it when the device fails: files that are open for writing stay open.
    assert!(
        run("mount", &["-o", "remount,abort", mount.text()])
            || run("mount", &["-o", "remount,ro", mount.text()])
    );
    assert_eq!(subject.put_durably(50), None);
    let refused = subject.put(51).unwrap_err().to_string();
    assert!(refused.contains("records.redb"), "{refused}");
    subject.check(50);
    let lost = subject.store.close().unwrap_err().to_string();
    assert!(lost.contains("records.redb"), "{lost}");

    let error = RedbStore::open(&folder, config(), Box::new(|| ())).unwrap_err();
    assert!(error.to_string().contains("Read-only file system"), "{error}");

    assert!(mount.unmount());
    run("e2fsck", &["-p", "-f", mount.image_path().to_str().unwrap()]);
    assert!(mount.mount_image());
    let mut subject = Subject::open(&folder);
    subject.check(50);
    subject.put_durably(50).unwrap();
}
