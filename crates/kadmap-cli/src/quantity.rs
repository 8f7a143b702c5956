//! Sizes and times as people write them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use thiserror::Error;

/// Units of sizes: single letters and -iB count in 1024s, as files and memory do, -B in 1000s, as the SI does.
const BYTE_UNITS: [(&str, u64); 14] = [
    ("", 1),
    ("b", 1),
    ("k", 1 << 10),
    ("kib", 1 << 10),
    ("kb", 1_000),
    ("m", 1 << 20),
    ("mib", 1 << 20),
    ("mb", 1_000_000),
    ("g", 1 << 30),
    ("gib", 1 << 30),
    ("gb", 1_000_000_000),
    ("t", 1 << 40),
    ("tib", 1 << 40),
    ("tb", 1_000_000_000_000),
];

/// A number of bytes, written as `1048576`, `1MiB`, `16M` or `1.5GB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ByteCount(pub(crate) u64);

/// Why a text is not a [`ByteCount`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "'{text}' is no size: give bytes, or a number with k, M, G, KiB, MiB, GiB, kB, MB or GB, such as 16MiB"
)]
pub(crate) struct ByteCountError {
    text: String,
}

impl ByteCount {
    /// The count where memory is addressed by it; a count beyond is as good as the largest.
    pub(crate) fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl FromStr for ByteCount {
    type Err = ByteCountError;

    fn from_str(text: &str) -> Result<Self, ByteCountError> {
        let error = || ByteCountError { text: text.to_owned() };
        let trimmed = text.trim();
        let digits_end = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
        let (number, unit) = trimmed.split_at(digits_end);
        let unit = unit.trim().to_ascii_lowercase();
        let &(_, factor) = BYTE_UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(error)?;
        let count = match number.parse::<u64>() {
            Ok(whole) => whole.checked_mul(factor),
            // Only sizes with a fraction go through floating point, and those are round to begin with.
            Err(_) => number.parse::<f64>().ok().map(|part| (part * factor as f64) as u64),
        };
        count.map(Self).ok_or_else(error)
    }
}

impl<'de> Deserialize<'de> for ByteCount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrText;
        impl Visitor<'_> for NumberOrText {
            type Value = ByteCount;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size such as 1048576 or \"1MiB\"")
            }

            fn visit_i64<E: Error>(self, bytes: i64) -> Result<ByteCount, E> {
                u64::try_from(bytes)
                    .map(ByteCount)
                    .map_err(|_| E::invalid_value(serde::de::Unexpected::Signed(bytes), &self))
            }

            fn visit_u64<E: Error>(self, bytes: u64) -> Result<ByteCount, E> {
                Ok(ByteCount(bytes))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<ByteCount, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(NumberOrText)
    }
}

/// A time as a config file has it: the text that the flag takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) Duration);

impl FromStr for Span {
    type Err = humantime::DurationError;

    fn from_str(text: &str) -> Result<Self, humantime::DurationError> {
        parse_duration(text).map(Self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|error| D::Error::custom(format!("'{text}' is no time such as 10m: {error}")))
    }
}

/// A time such as `500ms`, `5s`, `10m` or `1h30m`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, humantime::DurationError> {
    humantime::parse_duration(text)
}

/// A time for people, with three digits: `0.153 ms`, `21.4 ms`, `1.60 s`.
pub(crate) fn shown_duration(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1e3;
    let (value, unit) = if ms < 1_000.0 { (ms, "ms") } else { (ms / 1e3, "s") };
    match value {
        0.0..1.0 => format!("{value:.3} {unit}"),
        1.0..10.0 => format!("{value:.2} {unit}"),
        10.0..100.0 => format!("{value:.1} {unit}"),
        _ => format!("{value:.0} {unit}"),
    }
}

/// A size for people: `512 B`, `1.5 MiB`.
pub(crate) fn shown_bytes(bytes: u64) -> String {
    indicatif::HumanBytes(bytes).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        let read = |text: &str| text.parse::<ByteCount>().map(|count| count.0);
        assert_eq!(read("1048576"), Ok(1 << 20));
        assert_eq!(read("1MiB"), Ok(1 << 20));
        assert_eq!(read("16M"), Ok(16 << 20));
        assert_eq!(read("64 kB"), Ok(64_000));
        assert_eq!(read("1.5g"), Ok(3 << 29));
        for bad in ["", "M", "1X", "-1", "1.2.3", "99999999999T", "1 M B"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn times_keep_three_digits() {
        assert_eq!(shown_duration(Duration::from_micros(153)), "0.153 ms");
        assert_eq!(shown_duration(Duration::from_micros(21_430)), "21.4 ms");
        assert_eq!(shown_duration(Duration::from_millis(1_600)), "1.60 s");
        assert_eq!(shown_duration(Duration::ZERO), "0.000 ms");
    }
}
