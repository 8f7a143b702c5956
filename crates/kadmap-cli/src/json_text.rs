//! JSON as text, so that numbers keep every digit.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kadmap::Value;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

/// Whether a text is JSON.
pub(crate) fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// A JSON text without the white space between its tokens.
pub(crate) fn compact(text: &str) -> String {
    let (mut in_string, mut escaped) = (false, false);
    text.chars()
        .filter(|&c| {
            let keep = in_string || !matches!(c, ' ' | '\t' | '\n' | '\r');
            if !escaped && c == '"' {
                in_string = !in_string;
            }
            escaped = in_string && !escaped && c == '\\';
            keep
        })
        .collect()
}

/// The value as compact JSON; bytes become an object that says so.
pub(crate) fn of_value(value: &Value) -> String {
    match value {
        Value::Json(text) => compact(text),
        Value::Bytes(bytes) => format!("{{\"base64\":\"{}\"}}", STANDARD.encode(bytes)),
        Value::List(items) => format!("[{}]", items.iter().map(of_value).collect::<Vec<_>>().join(",")),
        Value::Map(fields) => {
            let field = |(name, value): (&String, &Value)| format!("{}:{}", quoted(name), of_value(value));
            format!("{{{}}}", fields.iter().map(field).collect::<Vec<_>>().join(","))
        }
    }
}

/// The value's JSON to be put into other JSON as it is.
pub(crate) fn raw_of_value(value: &Value) -> Box<RawValue> {
    // What a stranger stored may claim to be JSON and not be; then it is shown as the text it is.
    let of_text = |text: String| RawValue::from_string(quoted(&text)).unwrap_or_default();
    RawValue::from_string(of_value(value)).unwrap_or_else(|_| of_text(value.to_string()))
}

/// The content of a string or of bytes; anything else as JSON.
pub(crate) fn content(value: &Value) -> Vec<u8> {
    match value {
        Value::Bytes(bytes) => bytes.to_vec(),
        other => match other.parse::<String>() {
            Ok(text) => text.into_bytes(),
            Err(_) => of_value(other).into_bytes(),
        },
    }
}

/// One field of a map: `None` when the value is no map, `Some(None)` when the map has no such field.
pub(crate) fn field_of(value: &Value, field: &str) -> Option<Option<Value>> {
    match value {
        Value::Map(fields) => Some(fields.get(field).cloned()),
        Value::Json(text) => {
            let fields = serde_json::from_str::<BTreeMap<String, &RawValue>>(text).ok()?;
            Some(fields.get(field).map(|raw| Value::Json(raw.get().to_owned())))
        }
        Value::Bytes(_) | Value::List(_) => None,
    }
}

/// A name as JSON: a string, or an object for bytes that are none.
pub(crate) fn of_name(name: &[u8]) -> String {
    match std::str::from_utf8(name) {
        Ok(text) => quoted(text),
        Err(_) => of_value(&Value::Bytes(name.to_vec().into())),
    }
}

/// A name as JSON to be put into other JSON as it is.
pub(crate) fn raw_of_name(name: &[u8]) -> Box<RawValue> {
    RawValue::from_string(of_name(name)).unwrap_or_default()
}

/// A name on a line of its own: as it is if that is plain text, and otherwise as JSON.
pub(crate) fn of_name_on_a_line(name: &[u8]) -> String {
    match std::str::from_utf8(name) {
        Ok(text) if !text.is_empty() && !text.chars().any(char::is_control) => text.to_owned(),
        _ => of_name(name),
    }
}

/// A text as a JSON string.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compacting_touches_nothing_inside_strings() {
        assert_eq!(compact("{ \"a b\" : [ 1 , \" \\\" \" ] }\n"), "{\"a b\":[1,\" \\\" \"]}");
        assert_eq!(compact(r#"["\\", " x"]"#), r#"["\\"," x"]"#);
    }

    #[test]
    fn bytes_say_that_they_are_bytes() {
        let bytes = Value::Bytes(b"\x00\xff".as_slice().into());
        assert_eq!(of_value(&bytes), "{\"base64\":\"AP8=\"}");
        assert_eq!(
            of_value(&Value::List(vec![bytes.clone(), Value::Json("1".into())])),
            "[{\"base64\":\"AP8=\"},1]"
        );
        assert_eq!(content(&bytes), b"\x00\xff");
        assert_eq!(content(&Value::Json("\"a\\nb\"".into())), b"a\nb");
        assert_eq!(content(&Value::Json("[1, 2]".into())), b"[1,2]");
    }

    #[test]
    fn fields_are_told_from_maps_without_them_and_from_what_is_no_map() {
        let map = Value::Json(r#"{"a": 1.50}"#.into());
        assert_eq!(field_of(&map, "a"), Some(Some(Value::Json("1.50".into()))));
        assert_eq!(field_of(&map, "b"), Some(None));
        assert_eq!(field_of(&Value::Json("[1]".into()), "a"), None);
    }

    #[test]
    fn names_fit_a_line() {
        assert_eq!(of_name_on_a_line("größe".as_bytes()), "größe");
        assert_eq!(of_name_on_a_line(b"a\nb"), "\"a\\nb\"");
        assert_eq!(of_name_on_a_line(b"\xff"), "{\"base64\":\"/w==\"}");
        assert_eq!(of_name_on_a_line(b""), "\"\"");
    }
}
