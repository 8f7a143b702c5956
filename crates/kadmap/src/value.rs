//! What users store and read back: JSON and bytes, lists and maps of them.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use kadmap_core::{Codec, Payload, Record, Shape};
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::value::RawValue;
use thiserror::Error;

use crate::fields::Fields;

/// A value as it was stored: JSON as text, so that numbers keep every digit, or bytes, or a list or map in which some
/// are bytes.
///
/// ```
/// use kadmap::Value;
/// let value = Value::from_json(&[1, 2, 3]).unwrap();
/// assert_eq!(value.to_string(), "[1,2,3]");
/// assert_eq!(value.parse::<Vec<u8>>().unwrap(), [1, 2, 3]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Bytes as they are.
    Bytes(Bytes),
    /// A JSON text.
    Json(String),
    /// Items of which at least one is not JSON.
    List(Vec<Value>),
    /// Fields of which at least one is not JSON.
    Map(BTreeMap<String, Value>),
}

/// Why a value cannot be stored or read as a type.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ValueError {
    /// The value cannot be written as JSON: a map with keys that are not strings, or an error of its own.
    #[error("the value cannot be written as JSON: {0}")]
    Encode(#[source] serde_json::Error),
    /// What is stored is not JSON, or not JSON of the type asked for.
    #[error("the stored value is not what was asked for: {0}")]
    Decode(#[source] serde_json::Error),
    /// JSON was asked for, but bytes are stored.
    #[error("the stored value is {bytes} raw bytes, not JSON: read it with get_value or get_bytes")]
    NotJson {
        /// How many bytes.
        bytes: usize,
    },
}

impl Value {
    /// The JSON form of a serializable value.
    ///
    /// # Errors
    /// [`ValueError::Encode`] when it has none.
    pub fn from_json<T: Serialize + ?Sized>(value: &T) -> Result<Self, ValueError> {
        serde_json::to_string(value).map(Self::Json).map_err(ValueError::Encode)
    }

    /// A value of this JSON text, checked but otherwise kept as it is.
    ///
    /// # Errors
    /// [`ValueError::Decode`] when it is not JSON.
    pub fn from_json_text(text: impl Into<String>) -> Result<Self, ValueError> {
        let text = text.into();
        serde_json::from_str::<IgnoredAny>(&text).map_err(ValueError::Decode)?;
        Ok(Self::Json(text))
    }

    /// The value as a type of the caller's.
    ///
    /// # Errors
    /// [`ValueError::NotJson`] for bytes, [`ValueError::Decode`] when the JSON is not of that type.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, ValueError> {
        match self {
            Self::Json(text) => serde_json::from_str(text).map_err(ValueError::Decode),
            Self::Bytes(bytes) => Err(ValueError::NotJson { bytes: bytes.len() }),
            Self::List(items) => Err(Self::first_bytes(items.iter())),
            Self::Map(fields) => Err(Self::first_bytes(fields.values())),
        }
    }

    /// The payload and shape under which the value is stored.
    ///
    /// ```
    /// use kadmap::{Shape, Value};
    /// let (payload, shape) = Value::from_json(&[1, 2]).unwrap().into_payload();
    /// assert_eq!((&payload.bytes[..], shape), (&b"[1,2]"[..], Shape::List));
    /// ```
    pub fn into_payload(self) -> (Payload, Shape) {
        match self {
            Self::Bytes(bytes) => (Payload::new(Codec::Bytes, bytes), Shape::Value),
            Self::Json(text) => {
                let shape = match text.trim_start().as_bytes().first() {
                    Some(b'[') => Shape::List,
                    Some(b'{') => Shape::Map,
                    _ => Shape::Value,
                };
                (Payload::new(Codec::Json, text), shape)
            }
            // A mixed list or map has no form of its own on the wire: its bytes become arrays of numbers.
            Self::List(_) | Self::Map(_) => Self::Json(self.to_json_text()).into_payload(),
        }
    }

    /// What a record shows at this time, in milliseconds since 1970; `None` when there is nothing to see.
    /// For stores and guards; costs the record's size.
    ///
    /// ```
    /// use kadmap::{Codec, Payload, Record, Base, Shape, Stamp, Value};
    /// let payload = Some(Payload::new(Codec::Json, "1"));
    /// let base = Base { stamp: Stamp { time: 1, writer: 1 }, shape: Shape::Value, payload, expires_ms: Some(9) };
    /// let record = Record::from(base);
    /// assert_eq!(Value::of_record(&record, 8), Some(Value::Json("1".into())));
    /// assert_eq!(Value::of_record(&record, 9), None);
    /// ```
    pub fn of_record(record: &Record, unix_ms: u64) -> Option<Self> {
        let base = record.live_base(unix_ms);
        let shape = base.map(|base| base.shape);
        let base_value = base.and_then(|base| base.payload.as_ref()).map(Self::of_payload);
        let has_list = record.live_items(unix_ms).any(|item| item.field.is_none());
        match (shape, base_value) {
            (Some(Shape::Value), value) => value,
            // What nobody has added to is as its writer wrote it.
            (Some(_), Some(base)) if record.items().len() == 0 => Some(base),
            (Some(Shape::List), Some(base)) => Some(list_of(Some(base), record, unix_ms)),
            (Some(Shape::Map), Some(base)) => Some(map_of(Some(base), record, unix_ms)),
            _ if has_list => Some(list_of(None, record, unix_ms)),
            _ if record.live_items(unix_ms).next().is_some() => Some(map_of(None, record, unix_ms)),
            _ => None,
        }
    }

    /// The elements of a list; anything else is its own only one.
    pub(crate) fn into_elements(self) -> Vec<Self> {
        split_list(&self)
    }

    /// The value that a payload carries.
    ///
    /// ```
    /// use kadmap::{Codec, Payload, Value};
    /// assert_eq!(Value::of_payload(&Payload::new(Codec::Json, "1")), Value::Json("1".into()));
    /// ```
    pub fn of_payload(payload: &Payload) -> Self {
        match payload.codec {
            Codec::Bytes => Self::Bytes(payload.bytes.clone()),
            // What claims to be text and is not is handed out as the bytes it is.
            Codec::Json => match std::str::from_utf8(&payload.bytes) {
                Ok(text) => Self::Json(text.to_owned()),
                Err(_) => Self::Bytes(payload.bytes.clone()),
            },
        }
    }

    fn first_bytes<'a>(mut values: impl Iterator<Item = &'a Self>) -> ValueError {
        let bytes = values.find_map(|value| match value {
            Self::Bytes(bytes) => Some(bytes.len()),
            _ => None,
        });
        ValueError::NotJson { bytes: bytes.unwrap_or(0) }
    }

    fn to_json_text(&self) -> String {
        match self {
            Self::Json(text) => text.clone(),
            Self::Bytes(bytes) => {
                let numbers: Vec<_> = bytes.iter().map(u8::to_string).collect();
                format!("[{}]", numbers.join(","))
            }
            Self::List(items) => {
                let items: Vec<_> = items.iter().map(Self::to_json_text).collect();
                format!("[{}]", items.join(","))
            }
            Self::Map(fields) => {
                let field = |(name, value): (&String, &Self)| {
                    format!("{}:{}", serde_json::Value::from(name.as_str()), value.to_json_text())
                };
                format!("{{{}}}", fields.iter().map(field).collect::<Vec<_>>().join(","))
            }
        }
    }
}

impl fmt::Display for Value {
    /// JSON as it is, bytes as an array of numbers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_json_text())
    }
}

/// A base list followed by the appended items.
fn list_of(base: Option<Value>, record: &Record, unix_ms: u64) -> Value {
    let appended = record.live_items(unix_ms).filter(|item| item.field.is_none());
    let items: Vec<_> = appended.filter_map(|item| item.payload.as_ref()).map(Value::of_payload).collect();
    if items.iter().all(|item| matches!(item, Value::Json(_)))
        && let Some(text) = splice_list(base.as_ref(), &items)
    {
        return Value::Json(text);
    }
    let base_items = base.map(|base| split_list(&base)).unwrap_or_default();
    Value::List(base_items.into_iter().chain(items).collect())
}

/// One JSON array of a JSON array and JSON items, without looking into them.
fn splice_list(base: Option<&Value>, items: &[Value]) -> Option<String> {
    let inside = match base {
        None => "",
        Some(Value::Json(text)) => text.trim().strip_prefix('[')?.strip_suffix(']')?.trim(),
        Some(_) => return None,
    };
    let length = items.iter().map(|item| if let Value::Json(text) = item { text.len() + 1 } else { 0 });
    let mut text = String::with_capacity(inside.len() + length.sum::<usize>() + 2);
    text.push('[');
    text.push_str(inside);
    let mut first = inside.is_empty();
    for item in items {
        if !std::mem::take(&mut first) {
            text.push(',');
        }
        if let Value::Json(item) = item {
            text.push_str(item);
        }
    }
    text.push(']');
    Some(text)
}

/// The items of a JSON array; anything else is its own only item.
fn split_list(base: &Value) -> Vec<Value> {
    let parsed = match base {
        Value::Json(text) => serde_json::from_str::<Vec<Box<RawValue>>>(text).ok(),
        _ => None,
    };
    match parsed {
        Some(items) => {
            items.into_iter().map(|item| Value::Json(String::from(Box::<str>::from(item)))).collect()
        }
        None => vec![base.clone()],
    }
}

/// A base object with the fields put and removed above it; a base that is no object is all there is to see.
fn map_of(base: Option<Value>, record: &Record, unix_ms: u64) -> Value {
    let fields = match &base {
        None => Some(Fields::default()),
        Some(Value::Json(text)) => Fields::of_json(text),
        Some(_) => None,
    };
    let Some(mut fields) = fields else { return base.unwrap_or(Value::Map(BTreeMap::new())) };
    for item in record.items() {
        let Some(name) = &item.field else { continue };
        let name = String::from_utf8_lossy(name);
        match item.payload.as_ref().filter(|_| item.is_live(unix_ms)) {
            Some(payload) => fields.put(&name, Value::of_payload(payload)),
            None => fields.remove(&name),
        }
    }
    fields.into_value()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kadmap_core::{Base, Item, Stamp};

    fn json(text: &str) -> Value {
        Value::Json(text.to_owned())
    }

    fn base(value: Value) -> Base {
        let (payload, shape) = value.into_payload();
        Base { stamp: Stamp { time: 1, writer: 0 }, shape, payload: Some(payload), expires_ms: None }
    }

    fn item(time: u64, field: Option<&str>, value: Option<Value>) -> Item {
        let field = field.map(|name| Bytes::copy_from_slice(name.as_bytes()));
        let payload = value.map(|value| value.into_payload().0);
        Item { stamp: Stamp { time, writer: 0 }, field, payload, expires_ms: None }
    }

    #[test]
    fn values_that_are_false_or_empty_are_values() {
        for text in ["null", "false", "0", "\"\"", "[]", "{}"] {
            let record = Record::from(base(json(text)));
            assert_eq!(Value::of_record(&record, 0), Some(json(text)));
        }
        assert_eq!(Value::of_record(&Record::default(), 0), None);
        let record = Record::from(base(Value::Bytes(Bytes::new())));
        assert_eq!(Value::of_record(&record, 0), Some(Value::Bytes(Bytes::new())));
    }

    #[test]
    fn appended_items_follow_the_base_list_digit_by_digit() {
        let huge = "123456789012345678901234567890.10";
        let items = [item(2, None, Some(json(huge))), item(3, None, Some(json("\"x\"")))];
        let record = Record::from_parts(Some(base(json(" [1, 2] "))), items.clone());
        assert_eq!(Value::of_record(&record, 0), Some(json(&format!("[1, 2,{huge},\"x\"]"))));
        let record = Record::from_parts(Some(base(json("[]"))), items.clone());
        assert_eq!(Value::of_record(&record, 0), Some(json(&format!("[{huge},\"x\"]"))));
        let record = Record::from_parts(None, items);
        assert_eq!(Value::of_record(&record, 0), Some(json(&format!("[{huge},\"x\"]"))));
    }

    #[test]
    fn bytes_in_a_list_stay_bytes() {
        let raw = Value::Bytes(Bytes::from_static(b"\xff"));
        let record = Record::from_parts(Some(base(json("[1]"))), [item(2, None, Some(raw.clone()))]);
        assert_eq!(Value::of_record(&record, 0), Some(Value::List(vec![json("1"), raw])));
    }

    #[test]
    fn fields_override_and_remove_those_of_the_base() {
        let items = [
            item(2, Some("b"), Some(json("22"))),
            item(3, Some("c"), None),
            item(4, Some("d \""), Some(json("4"))),
        ];
        let record = Record::from_parts(Some(base(json(r#"{"a":1,"b":2,"c":3}"#))), items);
        assert_eq!(Value::of_record(&record, 0), Some(json(r#"{"a":1,"b":22,"d \"":4}"#)));
    }

    #[test]
    fn what_nobody_has_added_to_reads_as_it_was_written() {
        for text in [r#"{ "b":1, "a":2 }"#, r#"{"\ud800":1}"#, "[ 1,  2 ]"] {
            assert_eq!(Value::of_record(&base(json(text)).into(), 0), Some(json(text)), "{text}");
        }
    }

    #[test]
    fn a_field_above_what_is_no_object_does_not_hide_it() {
        let lie = Base { shape: Shape::Map, ..base(json("{\"a\"")) };
        let record = Record::from_parts(Some(lie), [item(2, Some("b"), Some(json("2")))]);
        assert_eq!(Value::of_record(&record, 0), Some(json("{\"a\"")));
    }

    #[test]
    fn a_wrong_type_names_what_is_wrong() {
        let error = json("\"x\"").parse::<u32>().unwrap_err();
        assert!(error.to_string().contains("invalid type: string"), "{error}");
        let error = Value::Bytes(Bytes::from_static(b"abc")).parse::<u32>().unwrap_err();
        assert!(error.to_string().contains("3 raw bytes"), "{error}");
        assert!(Value::from_json_text("{").is_err());
    }
}
