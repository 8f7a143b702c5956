//! A node among peers who may say anything at any time: it never panics, never spins, and what it keeps and sends
//! stays within bounds.
#![no_main]

use kadmap_fuzz::World;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| World::new(bytes).run());
