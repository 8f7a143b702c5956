//! Any text where a user or a file names an id, a key or a version: an error or a value that prints as it was read.
#![no_main]

use std::fmt::Display;
use std::str::FromStr;

use kadmap_core::{Key, NodeId, Version};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    round_trip::<Key>(text);
    round_trip::<NodeId>(text);
    round_trip::<Version>(text);
});

fn round_trip<T: FromStr<Err: Display> + Display>(text: &str) {
    match text.parse::<T>() {
        Ok(value) => assert_eq!(value.to_string(), text.to_ascii_lowercase()),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
