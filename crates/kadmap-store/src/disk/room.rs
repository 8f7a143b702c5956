//! Whether a disk that failed takes writes again.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Bytes tried out at least: what redb needs beside the rows, and its file grows in such steps.
const ROOM_BYTES_MIN: usize = 1 << 20;
/// Bytes tried out at most.
const ROOM_BYTES_MAX: usize = 8 << 20;
static CHUNK: [u8; 64 << 10] = [0; 64 << 10];
const SUFFIX: &str = "room";

/// Writes a file of about this size beside `path`, has it confirmed, and removes it again.
pub(super) fn try_out(path: &Path, room_bytes: usize) -> io::Result<()> {
    let trial = path.with_extension(SUFFIX);
    let written = write_zeros(&trial, room_bytes.clamp(ROOM_BYTES_MIN, ROOM_BYTES_MAX));
    let removed = fs::remove_file(&trial);
    written.and(removed)
}

fn write_zeros(path: &Path, bytes: usize) -> io::Result<()> {
    let mut file = File::create(path)?;
    let mut left = bytes;
    while left > 0 {
        let now = left.min(CHUNK.len());
        file.write_all(&CHUNK[..now])?;
        left -= now;
    }
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        try_out(&folder.path().join("records.redb"), 100).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(try_out(&folder.path().join("nowhere/records.redb"), 100).is_err());
    }
}
