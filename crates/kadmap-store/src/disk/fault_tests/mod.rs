//! Disks that fail, and power that does.

mod failing;
mod power;

use std::io;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, mpsc};

use kadmap_core::{Base, Codec, Key, Payload, Shape};
use redb::StorageBackend;
use redb::backends::FileBackend;

use super::backend::open_backend;
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

/// A folder in memory where there is one: what is tested is what the disk refuses, not how long it takes to agree.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}
