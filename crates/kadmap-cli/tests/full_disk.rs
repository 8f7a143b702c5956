//! `kadmap run` on a disk that fills up: it says so, serves what it has, and goes on once there is room.
#![cfg(target_os = "linux")]

mod support;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use kadmap::Dht;
use support::{Node, eventually, text};

/// What one value takes.
const VALUE_BYTES: usize = 50_000;
/// Values that no disk of this test can take: the load is bounded.
const VALUES_MAX: usize = 1_000;

/// A file system in memory, unmounted when dropped.
struct Mount(tempfile::TempDir);

impl Mount {
    /// `None`, and a word about it, when this user may not mount.
    fn new(megabytes: u64) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={megabytes}m");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "tmpfs", text(folder.path())]).stderr(Stdio::null());
        if mount.status().is_ok_and(|status| status.success()) {
            return Some(Self(folder));
        }
        std::io::stderr().write_all(b"skipped: this user may not mount file systems\n").unwrap();
        None
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.path()).status();
    }
}

async fn client(node: &Node) -> Dht {
    Dht::builder().client().listen("127.0.0.1:0").join([node.address.clone()]).spawn().await.unwrap()
}

fn value(number: usize) -> String {
    format!("{number} ").repeat(VALUE_BYTES / 4)
}

async fn put(dht: &Dht, number: usize) -> Result<(), String> {
    let put = dht.put(format!("key {number}"), &value(number)).timeout(Duration::from_secs(2));
    put.await.map(|_| ()).map_err(|error| error.to_string())
}

async fn check(dht: &Dht, values: usize) {
    for number in 0..values {
        let found = dht.get::<String>(format!("key {number}")).await.unwrap();
        assert!(found == Some(value(number)), "key {number}");
    }
}

#[tokio::test]
async fn a_node_on_a_full_disk_says_so_serves_and_goes_on_once_there_is_room() {
    let Some(mount) = Mount::new(16) else { return };
    let (ballast, folder) = (mount.path().join("ballast"), mount.path().join("node"));
    fs::write(&ballast, vec![1; 8 << 20]).unwrap();
    let node = Node::start(&["--data", text(&folder), "--durability", "synced"]);
    let dht = client(&node).await;
    let mut values = 0;
    while values < VALUES_MAX && put(&dht, values).await.is_ok() {
        values += 1;
    }
    assert!(values > 10 && values < VALUES_MAX, "{values} values fit");
    for _ in 0..20 {
        let refused = put(&dht, VALUES_MAX).await.unwrap_err();
        assert!(refused.contains("disk is full"), "{refused}");
    }
    check(&dht, values).await;
    let log = node.log();
    assert!(log.contains("records.redb") && log.contains("make room on its disk"), "{log}");
    let lines = log.lines().filter(|line| line.contains("make room")).count();
    assert!(lines <= 3, "one line for each refused write: {log}");

    // A restart on the full disk serves what was acknowledged.
    node.kill();
    let node = Node::start(&["--data", text(&folder), "--durability", "synced"]);
    let dht = client(&node).await;
    check(&dht, values).await;

    fs::remove_file(&ballast).unwrap();
    let number = values;
    for number in number..number + 20 {
        while put(&dht, number).await.is_err() {
            tokio::task::yield_now().await;
        }
    }
    check(&dht, values + 20).await;
    node.signal("TERM");
    assert!(node.wait().success());
    let node = Node::start(&["--data", text(&folder), "--durability", "synced"]);
    check(&client(&node).await, values + 20).await;
}

#[test]
fn a_node_that_cannot_make_its_folder_ends_with_the_reason() {
    let Some(mount) = Mount::new(1) else { return };
    let _ = fs::write(mount.path().join("ballast"), vec![1; 2 << 20]);
    let folder = mount.path().join("node");
    let ran = support::kadmap(&["run", "--listen", "127.0.0.1:0", "--data", text(&folder)]);
    assert_ne!(ran.code, 0, "{ran:?}");
    assert!(ran.stderr.contains("node") && ran.stderr.contains("No space left"), "{ran:?}");
    assert!(!ran.stderr.contains("panicked"), "{ran:?}");
    // Once there is room it starts: what the first attempt left is no obstacle.
    fs::remove_file(mount.path().join("ballast")).unwrap();
}

#[test]
fn a_node_on_a_read_only_disk_ends_with_the_reason() {
    let Some(mount) = Mount::new(8) else { return };
    let folder = mount.path().join("node");
    Node::start(&["--data", text(&folder)]).kill();
    let remounted = Command::new("mount").args(["-o", "remount,ro", text(mount.path())]).status().unwrap();
    assert!(remounted.success());
    let ran = support::kadmap(&["run", "--listen", "127.0.0.1:0", "--data", text(&folder)]);
    assert_ne!(ran.code, 0, "{ran:?}");
    assert!(ran.stderr.contains(text(&folder)) && ran.stderr.contains("Read-only"), "{ran:?}");
    let remounted = Command::new("mount").args(["-o", "remount,rw", text(mount.path())]).status().unwrap();
    assert!(remounted.success());
    let node = Node::start(&["--data", text(&folder)]);
    eventually("the node serves again", || node.run(&["status"]).code == 0);
}
