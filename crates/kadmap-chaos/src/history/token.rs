//! The values and items that clients write: numbers that prove what they are.

/// Bits of an item's number that count its writer's items.
const SEQUENCE_BITS: u32 = 32;
/// Hexadecimal digits of a value's number.
const DIGITS: usize = 16;
/// What separates a value's number from its filling.
const SEPARATOR: char = ':';

/// The number of a writer's item: larger for later items of one writer, different for different writers.
/// Below 2^53 for the first two million writers, so it is exact in any JSON reader.
pub(crate) fn item(writer: u32, sequence: u32) -> u64 {
    u64::from(writer) << SEQUENCE_BITS | u64::from(sequence)
}

/// Whose item it is, and which.
pub(crate) fn item_parts(item: u64) -> (u32, u32) {
    ((item >> SEQUENCE_BITS) as u32, item as u32)
}

/// A value of so many bytes, at least 17, that carries its number and a filling which only that number has.
pub(crate) fn value_of_token(token: u64, bytes: usize) -> String {
    let mut text = format!("{token:016x}{SEPARATOR}");
    let mut filling = token;
    while text.len() < bytes {
        filling = filling.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        let room = (bytes - text.len()).min(DIGITS);
        text.push_str(&format!("{filling:016x}")[..room]);
    }
    text
}

/// The number that a value carries; `None` when a single character of it is not what was written.
pub(crate) fn token_of_value(text: &str) -> Option<u64> {
    let token = u64::from_str_radix(text.get(..DIGITS)?, 16).ok()?;
    (value_of_token(token, text.len()) == text).then_some(token)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_value_carries_its_number(token: u64, bytes in 17_usize..200) {
            let value = value_of_token(token, bytes);
            prop_assert_eq!(value.len(), bytes);
            prop_assert_eq!(token_of_value(&value), Some(token));
        }

        #[test]
        fn a_changed_value_carries_none(token: u64, at in 0_usize..100) {
            let mut bytes = value_of_token(token, 100).into_bytes();
            bytes[at] ^= 1;
            prop_assert_ne!(token_of_value(std::str::from_utf8(&bytes).unwrap()), Some(token));
        }

        #[test]
        fn an_item_tells_its_writer_and_number(writer: u32, sequence: u32) {
            prop_assert_eq!(item_parts(item(writer, sequence)), (writer, sequence));
        }
    }

    #[test]
    fn text_of_others_carries_no_number() {
        for text in ["", "0", "hello", "zzzzzzzzzzzzzzzz:", "ééééééééé"] {
            assert_eq!(token_of_value(text), None, "{text}");
        }
    }
}
