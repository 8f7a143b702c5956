//! Any bytes as a frame: decoding never panics, and what was understood survives being said again.
#![no_main]

use kadmap_core::wire::{decode, encode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|frame: &[u8]| {
    let Ok(message) = decode(frame) else { return };
    let again = encode(&message);
    assert_eq!(decode(&again), Ok(message));
});
