//! The fields of a map: a JSON object with what was put and removed above it, everything else kept as it was written.

use std::collections::BTreeMap;

use serde_json::Deserializer;
use serde_json::value::RawValue;

use crate::Value;

/// The fields of a map in the order in which its writer named them; later ones follow.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    /// `None` where one was removed.
    fields: Vec<Option<Field>>,
    /// Where each name stands; the last of its namesakes, as JSON is read everywhere.
    by_name: BTreeMap<String, usize>,
}

#[derive(Debug)]
struct Field {
    /// The name as JSON text, which need not be one that a string can hold: a lone surrogate has an escape.
    key: String,
    value: Value,
}

impl Fields {
    /// The fields of a JSON object, whose values are not looked into; `None` when the text is no object.
    pub(crate) fn of_json(text: &str) -> Option<Self> {
        let mut fields = Self::default();
        let mut rest = text.trim().strip_prefix('{')?.strip_suffix('}')?.trim_start();
        while !rest.is_empty() {
            let (key, after) = first_value(rest)?;
            let (value, after) = first_value(after.trim_start().strip_prefix(':')?)?;
            fields.push_raw(key, Value::Json(value.to_owned()));
            rest = match after.trim_start() {
                "" => "",
                // Another field has to follow the comma.
                more => Some(more.strip_prefix(',')?.trim_start()).filter(|rest| !rest.is_empty())?,
            };
        }
        Some(fields)
    }

    /// Puts a field in the place of its namesake, or after all others.
    pub(crate) fn put(&mut self, name: &str, value: Value) {
        let slot = self.by_name.get(name).and_then(|&at| self.fields.get_mut(at));
        match slot {
            Some(Some(field)) => field.value = value,
            _ => self.push_raw(&serde_json::Value::from(name).to_string(), value),
        }
    }

    /// Removes a field.
    pub(crate) fn remove(&mut self, name: &str) {
        if let Some(slot) = self.by_name.remove(name).and_then(|at| self.fields.get_mut(at)) {
            *slot = None;
        }
    }

    /// A JSON object if all fields are JSON, and a map of values if not.
    pub(crate) fn into_value(self) -> Value {
        let fields = || self.fields.iter().flatten();
        if fields().all(|field| matches!(field.value, Value::Json(_))) {
            let text: Vec<_> = fields().map(|field| format!("{}:{}", field.key, field.value)).collect();
            return Value::Json(format!("{{{}}}", text.join(",")));
        }
        let named = |field: Field| (name_of(&field.key).unwrap_or(field.key), field.value);
        Value::Map(self.fields.into_iter().flatten().map(named).collect())
    }

    fn push_raw(&mut self, key: &str, value: Value) {
        if let Some(name) = name_of(key)
            && let Some(namesake) = self.by_name.insert(name, self.fields.len())
            && let Some(slot) = self.fields.get_mut(namesake)
        {
            *slot = None;
        }
        self.fields.push(Some(Field { key: key.to_owned(), value }));
    }
}

/// The name that a JSON string is; `None` when no string can hold it.
fn name_of(key: &str) -> Option<String> {
    serde_json::from_str(key).ok()
}

/// The first JSON value of a text, and what follows it.
fn first_value(text: &str) -> Option<(&str, &str)> {
    let mut values = Deserializer::from_str(text).into_iter::<&RawValue>();
    let value = values.next()?.ok()?.get();
    Some((value, text.get(values.byte_offset()..)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn json(text: &str) -> Value {
        Value::Json(text.to_owned())
    }

    #[test]
    fn order_digits_and_strange_names_are_kept() {
        let mut fields = Fields::of_json(r#" { "b" : 1.10 , "\ud800" : [ {} ] , "a":"x,}" } "#).unwrap();
        fields.put("c", json("3"));
        fields.put("b", json("2"));
        assert_eq!(fields.into_value(), json(r#"{"b":2,"\ud800":[ {} ],"a":"x,}","c":3}"#));
    }

    #[test]
    fn of_namesakes_the_last_counts_and_none_comes_back() {
        let text = r#"{"a":1,"b":2,"a":3}"#;
        let mut fields = Fields::of_json(text).unwrap();
        fields.put("c", json("4"));
        assert_eq!(fields.into_value(), json(r#"{"b":2,"a":3,"c":4}"#));
        let mut fields = Fields::of_json(text).unwrap();
        fields.remove("a");
        fields.put("a", json("5"));
        assert_eq!(fields.into_value(), json(r#"{"b":2,"a":5}"#));
    }

    #[test]
    fn what_is_no_object_is_told_apart() {
        for text in ["", "{", "[]", "{,}", r#"{"a"}"#, r#"{"a":1,}"#, r#"{"a":1 "b":2}"#, r#"{"a":}"#, "{1}"]
        {
            assert!(Fields::of_json(text).is_none(), "{text}");
        }
        assert_eq!(Fields::of_json("{ }").unwrap().into_value(), json("{}"));
    }

    proptest! {
        #[test]
        fn any_text_is_taken_or_refused_without_harm(text in "[{}\\[\\]\",:a1\\\\ ]{0,24}") {
            let _ = Fields::of_json(&text);
        }

        #[test]
        fn any_object_reads_as_it_was(object in prop::collection::btree_map(".*", any::<i64>(), 0..8)) {
            let text = serde_json::to_string(&object).unwrap();
            prop_assert_eq!(Fields::of_json(&text).unwrap().into_value(), json(&text));
        }
    }
}
