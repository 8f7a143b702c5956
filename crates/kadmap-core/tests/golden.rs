//! The wire format stands still: each kind of message has its bytes in `tests/golden`, and they never change.
//!
//! A new kind or field gets a new file, which `UPDATE_GOLDEN=1 cargo test -p kadmap-core --test golden` writes.
//! A file that changes is a new wire version.

mod samples;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use kadmap_core::wire::{Body, Message, Request, Response, decode, encode, encoded_bytes};

/// Set to write the files anew.
const UPDATE: &str = "UPDATE_GOLDEN";
/// Bytes on one line of a file.
const LINE_BYTES: usize = 32;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn to_hex(bytes: &[u8]) -> String {
    let line = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n";
    bytes.chunks(LINE_BYTES).map(line).collect()
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.chars().filter_map(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// Writes the files anew when told to, before any test looks at them.
static WRITTEN: LazyLock<()> = LazyLock::new(|| {
    if std::env::var_os(UPDATE).is_some() {
        for (name, message) in samples::all() {
            fs::write(folder().join(format!("{name}.hex")), to_hex(&encode(&message))).unwrap();
        }
    }
});

#[test]
fn messages_keep_their_bytes() {
    LazyLock::force(&WRITTEN);
    for (name, message) in samples::all() {
        let path = folder().join(format!("{name}.hex"));
        let bytes = encode(&message);
        let golden = fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{name}.hex: {error}; write it with {UPDATE}=1"));
        assert_eq!(to_hex(&bytes), golden, "{name} is said in other bytes than before");
        assert_eq!(encoded_bytes(&message), bytes.len(), "{name} is counted as it is said");
        assert_eq!(
            decode(&from_hex(&golden)),
            Ok(message),
            "{name} is understood in another way than before"
        );
    }
}

/// Vectors on the page about the protocol: the name after "```hex", and the bytes on its lines, which end at two spaces.
fn vectors(page: &str) -> impl Iterator<Item = (&str, Vec<u8>)> {
    let blocks =
        page.split("```hex ").skip(1).filter_map(|block| block.split("```").next()?.split_once('\n'));
    let bytes = |line: &str| from_hex(line.trim_start().split("  ").next().unwrap_or_default());
    blocks.map(move |(name, lines)| (name, lines.lines().flat_map(bytes).collect()))
}

#[test]
fn vectors_in_the_docs_are_the_golden_ones() {
    LazyLock::force(&WRITTEN);
    let page =
        fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/protocol.md")).unwrap();
    assert!(vectors(&page).count() >= 2);
    for (name, bytes) in vectors(&page) {
        let golden = fs::read_to_string(folder().join(format!("{name}.hex"))).unwrap();
        assert_eq!(to_hex(&bytes), golden, "{name}");
    }
}

#[test]
fn every_file_belongs_to_a_message() {
    LazyLock::force(&WRITTEN);
    let known: BTreeSet<_> = samples::all().iter().map(|(name, _)| format!("{name}.hex")).collect();
    let files = fs::read_dir(folder()).unwrap();
    let there: BTreeSet<_> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(there, known);
}

#[test]
fn every_kind_has_a_message() {
    let is_known = |message: &Message| {
        !matches!(message.body, Body::Request(Request::Unknown(_)) | Body::Response(Response::Unknown(_)))
    };
    let kind = |message: &Message| encode(message)[1];
    let sampled: BTreeSet<_> =
        samples::all().iter().map(|(_, message)| message).filter(|m| is_known(m)).map(kind).collect();
    // A kind that is known wants a body: without one it is malformed, while an unknown kind is not.
    let known =
        (0..=u8::MAX).filter(|kind| !decode(&[1, *kind, 0, 0, 0, 0, 0, 1]).is_ok_and(|m| !is_known(&m)));
    assert_eq!(known.collect::<BTreeSet<_>>(), sampled);
}
