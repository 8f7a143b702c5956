//! `kadmap get`: the value under a name, or one field of it.

use kadmap::{Reading, Value};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::client::Client;
use crate::failure::Failure;
use crate::input::{name_bytes, shown_name};
use crate::json_text;
use crate::output::Output;
use crate::typed::GetArgs;

/// A value and how it was read.
#[derive(Serialize)]
struct Got {
    name: Box<RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    value: Box<RawValue>,
    version: String,
    answers: usize,
    need: usize,
    replicas: usize,
    repaired: usize,
}

pub(crate) async fn run(args: GetArgs, output: &Output) -> Result<(), Failure> {
    let name = name_bytes(&args.name);
    let client = Client::join(&args.node).await?;
    let reading = client.read(name, args.consistency).await;
    match &reading {
        // The repair of a stale replica is under way.
        Ok(reading) if reading.repaired > 0 => client.leave().await,
        _ => client.close().await,
    }
    let reading = reading?;
    let value = choose(&reading, name, args.field.as_deref())?;
    if args.raw {
        return output.bytes(&json_text::content(&value));
    }
    let got = Got {
        name: json_text::raw_of_name(name),
        field: args.field,
        value: json_text::raw_of_value(&value),
        version: reading.version.to_string(),
        answers: reading.answers,
        need: reading.need,
        replicas: reading.replicas,
        repaired: reading.repaired,
    };
    output.result(&got, |out| writeln!(out, "{}", got.value))
}

/// The value, or the field of it that was asked for.
fn choose(reading: &Reading, name: &[u8], field: Option<&str>) -> Result<Value, Failure> {
    let value = reading.value.as_ref().ok_or_else(|| Failure::NameNotFound { name: shown_name(name) })?;
    let Some(field) = field else { return Ok(value.clone()) };
    let found =
        json_text::field_of(value, field).ok_or_else(|| Failure::NotAMap { name: shown_name(name) })?;
    found
        .ok_or_else(|| Failure::FieldNotFound { name: shown_name(name), field: shown_name(field.as_bytes()) })
}
