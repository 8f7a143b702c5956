//! Names and values from the command line, standard input and files.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use kadmap::Value;
use thiserror::Error;

use crate::json_text;
use crate::typed::ValueForm;

/// Characters of a name that a message shows.
const NAME_CHARS_SHOWN_MAX: usize = 64;

/// Why a value could not be taken.
#[derive(Debug, Error)]
pub(crate) enum InputError {
    #[error("cannot read '{}': {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("cannot read standard input: {0}")]
    Stdin(#[source] io::Error),
    #[error("the value is not UTF-8 from byte {at} on: store it as bytes by --raw")]
    NotText { at: usize },
}

/// The bytes of a name as they were typed.
pub(crate) fn name_bytes(name: &OsStr) -> &[u8] {
    name.as_encoded_bytes()
}

/// A name for messages: escaped, so that it cannot disturb a terminal, and not too long.
pub(crate) fn shown_name(name: &[u8]) -> String {
    let text = String::from_utf8_lossy(name);
    let mut shown: String = text.chars().take(NAME_CHARS_SHOWN_MAX).flat_map(char::escape_debug).collect();
    if text.chars().count() > NAME_CHARS_SHOWN_MAX {
        shown.push_str("...");
    }
    shown
}

/// The value that was typed, or that is where the argument points to.
pub(crate) fn read_value(argument: &OsStr, form: ValueForm) -> Result<Value, InputError> {
    let bytes = argument.as_encoded_bytes();
    if bytes == b"-" {
        let mut all = Vec::new();
        io::stdin().lock().read_to_end(&mut all).map_err(InputError::Stdin)?;
        return value_of_file(all, form);
    }
    if bytes.starts_with(b"@") {
        let path = path_behind_at(argument);
        let all = std::fs::read(&path).map_err(|source| InputError::File { path, source })?;
        return value_of_file(all, form);
    }
    value_of(bytes.to_vec(), form)
}

#[cfg(unix)]
fn path_behind_at(argument: &OsStr) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    Path::new(OsStr::from_bytes(argument.as_bytes().get(1..).unwrap_or_default())).to_owned()
}

#[cfg(not(unix))]
fn path_behind_at(argument: &OsStr) -> PathBuf {
    Path::new(argument.to_string_lossy().get(1..).unwrap_or_default()).to_owned()
}

/// A file's content without the line end that editors and `echo` add, unless every byte counts.
fn value_of_file(mut bytes: Vec<u8>, form: ValueForm) -> Result<Value, InputError> {
    if !form.raw {
        for end in [b'\n', b'\r'] {
            bytes.pop_if(|last| *last == end);
        }
    }
    value_of(bytes, form)
}

fn value_of(bytes: Vec<u8>, form: ValueForm) -> Result<Value, InputError> {
    if form.raw {
        return Ok(Value::Bytes(bytes.into()));
    }
    let text = String::from_utf8(bytes)
        .map_err(|error| InputError::NotText { at: error.utf8_error().valid_up_to() })?;
    if !form.string && json_text::is_json(&text) {
        return Ok(Value::Json(json_text::compact(&text)));
    }
    Ok(Value::Json(serde_json::Value::String(text).to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: ValueForm = ValueForm { raw: false, string: false };

    fn taken(text: &str) -> Value {
        read_value(OsStr::new(text), JSON).unwrap()
    }

    #[test]
    fn what_is_json_is_json_and_anything_else_a_string() {
        for (typed, stored) in [
            ("red", "\"red\""),
            ("\"red\"", "\"red\""),
            ("42", "42"),
            ("-1.50", "-1.50"),
            ("007", "\"007\""),
            ("true", "true"),
            ("", "\"\""),
            ("[1, 2,\n 3]", "[1,2,3]"),
            ("[1, 2", "\"[1, 2\""),
            ("größe \" x", "\"größe \\\" x\""),
        ] {
            assert_eq!(taken(typed), Value::Json(stored.to_owned()), "{typed}");
        }
        let string = ValueForm { string: true, raw: false };
        assert_eq!(read_value(OsStr::new("42"), string).unwrap(), Value::Json("\"42\"".to_owned()));
    }

    #[test]
    fn files_lose_one_line_end_unless_they_are_raw() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("value");
        std::fs::write(&path, "red\n\n").unwrap();
        let argument = format!("@{}", path.display());
        assert_eq!(taken(&argument), Value::Json("\"red\\n\"".to_owned()));
        let raw = ValueForm { raw: true, string: false };
        assert_eq!(read_value(OsStr::new(&argument), raw).unwrap(), Value::Bytes("red\n\n".into()));
        std::fs::write(&path, b"ab\xff").unwrap();
        let error = read_value(OsStr::new(&argument), JSON).unwrap_err();
        assert_eq!(error.to_string(), "the value is not UTF-8 from byte 2 on: store it as bytes by --raw");
    }

    #[test]
    fn names_in_messages_are_short_and_harmless() {
        assert_eq!(shown_name(b"a\x1b[2J"), "a\\u{1b}[2J");
        assert_eq!(shown_name(&[b'x'; 100]).len(), NAME_CHARS_SHOWN_MAX + 3);
    }
}
