//! What strangers send never harms: decoding any bytes gives a message or an error, and later versions are
//! understood as far as this one goes.

mod samples;

use kadmap_core::Record;
use kadmap_core::wire::{
    Body, DecodeError, FRAME_HEADER_BYTES, Message, Request, Response, WIRE_VERSION, decode, encode,
};
use minicbor::data::Type;
use minicbor::{Decoder, Encoder};
use proptest::prelude::*;

/// A field that no version will use soon.
const UNKNOWN_FIELD: u32 = 1_000;
/// Far more than any frame: memory for it must not be asked for.
const ABSURD_LENGTH: u64 = 1 << 40;
/// Levels of a nested value, beyond any stack that would hold a frame for each.
const NESTING: usize = 1_000_000;

fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = vec![WIRE_VERSION, kind, 0, 0, 0, 0, 0, 1];
    frame.extend_from_slice(body);
    frame
}

fn sample() -> impl Strategy<Value = (&'static str, Message)> {
    prop::sample::select(samples::all())
}

fn is_unknown(body: &Body) -> bool {
    matches!(body, Body::Request(Request::Unknown(_)) | Body::Response(Response::Unknown(_)))
}

proptest! {
    #[test]
    fn any_bytes_are_a_message_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(message) = decode(&bytes) {
            prop_assert_eq!(decode(&encode(&message)), Ok(message));
        }
    }

    #[test]
    fn any_body_of_a_known_kind_is_a_message_or_an_error(
        (_, known) in sample(),
        body in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        if let Ok(message) = decode(&frame(encode(&known)[1], &body)) {
            prop_assert_eq!(decode(&encode(&message)), Ok(message));
        }
    }

    #[test]
    fn damaged_frames_are_messages_or_errors(
        (_, message) in sample(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = encode(&message).to_vec();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = decode(&bytes);
        let _ = decode(&bytes[..cut.index(bytes.len())]);
    }

    #[test]
    fn a_cut_body_is_an_error((name, message) in sample(), cut in any::<prop::sample::Index>()) {
        let bytes = encode(&message);
        let cut = cut.index(bytes.len());
        let whole = is_unknown(&message.body) && cut >= FRAME_HEADER_BYTES;
        prop_assert_eq!(decode(&bytes[..cut]).is_ok(), whole, "{} cut to {}", name, cut);
    }

    #[test]
    fn kinds_of_later_versions_are_told_as_unknown(kind in any::<u8>(), body in prop::collection::vec(any::<u8>(), 0..50)) {
        let is_known = samples::all().iter().any(|(_, m)| !is_unknown(&m.body) && encode(m)[1] == kind);
        prop_assume!(!is_known);
        let body = decode(&frame(kind, &body)).map(|message| message.body);
        let unknown = if kind < 0x80 {
            Body::Request(Request::Unknown(kind))
        } else {
            Body::Response(Response::Unknown(kind))
        };
        prop_assert_eq!(body, Ok(unknown));
    }

    #[test]
    fn other_wire_versions_are_errors((_, message) in sample(), version in any::<u8>()) {
        prop_assume!(version != WIRE_VERSION);
        let mut bytes = encode(&message).to_vec();
        bytes[0] = version;
        prop_assert_eq!(decode(&bytes), Err(DecodeError::Version { version }));
    }

    #[test]
    fn flags_and_reserved_bits_of_later_versions_are_ignored((_, message) in sample(), flags: u8, reserved: u8) {
        let mut bytes = encode(&message).to_vec();
        bytes[2] |= flags & 0xfc;
        bytes[3] = reserved;
        prop_assert_eq!(decode(&bytes), Ok(message));
    }

    #[test]
    fn any_bytes_are_a_record_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(record) = minicbor::decode::<Record>(&bytes) {
            prop_assert_eq!(minicbor::decode::<Record>(&minicbor::to_vec(&record).unwrap()).unwrap(), record);
        }
    }
}

/// Copies a CBOR value and adds an unknown field to every map in it.
fn with_unknown_fields(from: &mut Decoder<'_>, to: &mut Encoder<Vec<u8>>) -> usize {
    let mut added = 0;
    match from.datatype().unwrap() {
        Type::Map => {
            let fields = from.map().unwrap().unwrap();
            to.map(fields + 1).unwrap();
            for _ in 0..fields * 2 {
                added += with_unknown_fields(from, to);
            }
            // A value of several levels, as a later version may have.
            to.u32(UNKNOWN_FIELD).unwrap().array(2).unwrap().str("later").unwrap();
            to.map(1).unwrap().u8(0).unwrap().bytes(b"more").unwrap();
            added += 1;
        }
        Type::Array => {
            let items = from.array().unwrap().unwrap();
            to.array(items).unwrap();
            for _ in 0..items {
                added += with_unknown_fields(from, to);
            }
        }
        Type::Bytes => drop(to.bytes(from.bytes().unwrap()).unwrap()),
        Type::String => drop(to.str(from.str().unwrap()).unwrap()),
        Type::Bool => drop(to.bool(from.bool().unwrap()).unwrap()),
        Type::Null => drop(from.null().map(|()| to.null().unwrap()).unwrap()),
        _ => drop(to.u64(from.u64().unwrap()).unwrap()),
    }
    added
}

#[test]
fn unknown_fields_are_skipped_wherever_they_are() {
    for (name, message) in samples::all().into_iter().filter(|(_, message)| !is_unknown(&message.body)) {
        let bytes = encode(&message);
        let (header, body) = bytes.split_at(FRAME_HEADER_BYTES);
        let mut later = Encoder::new(header.to_vec());
        let added = with_unknown_fields(&mut Decoder::new(body), &mut later);
        assert!(added > 0 || name.starts_with("refused"), "{name} has no map");
        let later = later.into_writer();
        assert_eq!(decode(&later), Ok(message), "{name}");
    }
}

#[test]
fn fields_that_a_refusal_gains_are_skipped() {
    for (name, message) in samples::all().into_iter().filter(|(name, _)| name.starts_with("refused")) {
        let bytes = encode(&message);
        let (header, body) = bytes.split_at(FRAME_HEADER_BYTES);
        let mut from = Decoder::new(body);
        let mut later = Encoder::new(header.to_vec());
        later.array(from.array().unwrap().unwrap()).unwrap().u64(from.u64().unwrap()).unwrap();
        let fields = from.array().unwrap().unwrap();
        later.array(fields + 1).unwrap();
        for _ in 0..fields {
            with_unknown_fields(&mut from, &mut later);
        }
        later.array(1).unwrap().str("later").unwrap();
        assert_eq!(decode(&later.into_writer()), Ok(message), "{name}");
    }
}

#[test]
fn bytes_after_the_body_are_ignored() {
    for (name, message) in samples::all() {
        let mut bytes = encode(&message).to_vec();
        bytes.extend_from_slice(b"more");
        assert_eq!(decode(&bytes), Ok(message), "{name}");
    }
}

#[test]
fn absurd_lengths_are_errors_and_no_memory() {
    // Every head of bytes, text, array or map in every sample, given an absurd length in turn.
    for (name, message) in samples::all().into_iter().filter(|(_, message)| !is_unknown(&message.body)) {
        let bytes = encode(&message);
        let mut at = FRAME_HEADER_BYTES;
        let mut tried = 0;
        while at < bytes.len() {
            let mut rest = Decoder::new(&bytes[at..]);
            let major = bytes[at] >> 5;
            if !(2..=5).contains(&major) {
                rest.skip().unwrap();
                at += rest.position();
                continue;
            }
            let head = head_bytes(bytes[at]);
            let mut absurd = bytes[..at].to_vec();
            absurd.push(major << 5 | 27);
            absurd.extend_from_slice(&ABSURD_LENGTH.to_be_bytes());
            absurd.extend_from_slice(&bytes[at + head..]);
            assert!(decode(&absurd).is_err(), "{name} with an absurd length at {at}");
            tried += 1;
            // Into an array or a map, past bytes or text.
            let content = if major <= 3 { skipped(&bytes[at..]) } else { head };
            at += content;
        }
        assert!(tried > 0, "{name}");
    }
}

/// Bytes of a head whose first byte this is.
fn head_bytes(first: u8) -> usize {
    match first & 0x1f {
        24 => 2,
        25 => 3,
        26 => 5,
        27 => 9,
        _ => 1,
    }
}

fn skipped(bytes: &[u8]) -> usize {
    let mut decoder = Decoder::new(bytes);
    decoder.skip().unwrap();
    decoder.position()
}

#[test]
fn deep_nesting_in_an_unknown_field_does_not_overflow_the_stack() {
    for opening in [0x81, 0xa1, 0x9f, 0xc0] {
        // A ping with its payload, then field 9 with a value of many levels that never ends.
        let mut body = vec![0xa2, 0x00, 0x40, 0x09];
        body.extend(std::iter::repeat_n(opening, NESTING));
        assert!(decode(&frame(0x01, &body)).is_err(), "{opening:#04x}");
    }
}

#[test]
fn frames_shorter_than_a_header_are_told_so() {
    for bytes in 0..FRAME_HEADER_BYTES {
        assert_eq!(decode(&vec![WIRE_VERSION; bytes]), Err(DecodeError::Truncated { bytes }));
    }
}
