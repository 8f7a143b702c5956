//! Any bytes as the body of each kind of message: a fixed header lets the fuzzer spend its time on bodies.
#![no_main]

use kadmap_core::wire::{Body, FRAME_HEADER_BYTES, Request, Response, WIRE_VERSION, decode, encode};
use libfuzzer_sys::fuzz_target;

/// Every kind there is.
const KINDS: [u8; 33] = [
    0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x0a, 0x0b, 0x0c, 0x0d, 0x0f, 0x10, 0x81, 0x82, 0x83,
    0x84, 0x85, 0x86, 0x87, 0x88, 0x8a, 0x8b, 0x8c, 0x8d, 0x8e, 0x8f, 0x90, 0x91, 0x92, 0x93, 0x94,
];
const REQUEST_ID: u32 = 0x0102_0304;

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, body)) = bytes.split_first() else { return };
    let kind = KINDS[usize::from(*choice) % KINDS.len()];
    let mut frame = vec![WIRE_VERSION, kind, choice & 3, 0];
    frame.extend_from_slice(&REQUEST_ID.to_be_bytes());
    frame.extend_from_slice(body);
    let Ok(message) = decode(&frame) else { return };
    assert_eq!(message.id, REQUEST_ID);
    assert_eq!((message.from_client, message.unhurried), (choice & 1 != 0, choice & 2 != 0));
    let unknown =
        matches!(message.body, Body::Request(Request::Unknown(_)) | Body::Response(Response::Unknown(_)));
    assert!(!unknown, "kind {kind:#04x} is known");
    let again = encode(&message);
    assert_eq!(again[..FRAME_HEADER_BYTES], frame[..FRAME_HEADER_BYTES]);
    assert_eq!(decode(&again), Ok(message));
});
