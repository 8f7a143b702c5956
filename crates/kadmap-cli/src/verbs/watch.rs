//! `kadmap watch`: what becomes of a name, as it happens.

use kadmap::{Change, Stamp, Value, Watch};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::client::Client;
use crate::failure::Failure;
use crate::input::name_bytes;
use crate::json_text;
use crate::output::Output;
use crate::signals::StopSignals;
use crate::typed::WatchArgs;

/// One change as a script reads it.
#[derive(Default, Serialize)]
struct Line {
    change: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Box<RawValue>>,
    /// The write, or the item.
    #[serde(skip_serializing_if = "Option::is_none")]
    stamp: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unix_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    lagged: bool,
}

pub(crate) async fn run(args: WatchArgs, output: &Output) -> Result<(), Failure> {
    let name = name_bytes(&args.name);
    let mut signals =
        StopSignals::listen().map_err(|source| Failure::System { what: "listen for signals", source })?;
    let client = Client::join(&args.node).await?;
    let result = match client.watch(name, !args.no_initial).await {
        Ok(mut watch) => {
            let over = async {
                match args.r#for {
                    Some(time) => tokio::time::sleep(time).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                result = print_changes(&mut watch, args.count, output) => result,
                _ = signals.next() => Ok(()),
                () = over => Ok(()),
            }
        }
        Err(failure) => Err(failure),
    };
    client.leave().await;
    result
}

/// Prints so many changes, or all there are.
async fn print_changes(watch: &mut Watch, count: Option<u64>, output: &Output) -> Result<(), Failure> {
    for _ in 0..count.unwrap_or(u64::MAX) {
        let change = watch.next().await.ok_or(kadmap::Stopped)?;
        let line = Line::of(&change);
        output.result(&line, |out| writeln!(out, "{}", line.text()))?;
    }
    Ok(())
}

impl Line {
    fn of(change: &Change) -> Self {
        let plain = |change| Self { change, ..Self::default() };
        let written = |change, stamp: &Stamp| {
            let text = stamp.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
            Self { stamp: Some(text), unix_ms: Some(stamp.unix_ms()), ..plain(change) }
        };
        let value = |value: &Value| Some(json_text::raw_of_value(value));
        match change {
            Change::State { value: found, version, lagged } => Self {
                value: found.as_ref().and_then(value),
                version: Some(version.to_string()),
                lagged: *lagged,
                ..plain(if found.is_some() { "state" } else { "absent" })
            },
            Change::Put { stamp, value: new } => Self { value: value(new), ..written("put", stamp) },
            Change::Deleted { stamp } => written("deleted", stamp),
            Change::Appended { stamp, item } => Self { value: value(item), ..written("appended", stamp) },
            Change::Removed { stamp } => written("removed", stamp),
            Change::FieldPut { stamp, field, value: new } => {
                Self { field: Some(field.clone()), value: value(new), ..written("field_put", stamp) }
            }
            Change::FieldDeleted { stamp, field } => {
                Self { field: Some(field.clone()), ..written("field_deleted", stamp) }
            }
            Change::Expired => plain("expired"),
            Change::ItemExpired { stamp } => written("item_expired", stamp),
            Change::FieldExpired { field } => Self { field: Some(field.clone()), ..plain("field_expired") },
            // The library may come to tell more than this version knows.
            _ => plain("other"),
        }
    }

    /// The change on a line for people: what happened, to which field, and what is there now.
    fn text(&self) -> String {
        let field = self.field.as_ref().map(|field| json_text::of_name_on_a_line(field.as_bytes()));
        let value = self.value.as_ref().map(|value| value.get().to_owned());
        let stamp = self.stamp.clone().filter(|_| matches!(self.change, "removed" | "item_expired"));
        let lagged = self.lagged.then(|| "(some changes were left out)".to_owned());
        let parts = [Some(self.change.to_owned()), field, value, stamp, lagged];
        parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_one_line_for_people_and_one_for_scripts() {
        let stamp = Stamp { time: 7 << 16, writer: 1 };
        let put = Change::FieldPut { stamp, field: "a b".into(), value: Value::Json("[1, 2]".into()) };
        let line = Line::of(&put);
        assert_eq!(line.text(), "field_put a b [1,2]");
        assert_eq!(
            serde_json::to_string(&line).unwrap(),
            "{\"change\":\"field_put\",\"field\":\"a b\",\"value\":[1,2],\
             \"stamp\":\"00000000000700000000000000000001\",\"unix_ms\":7}"
        );
        let nothing = Change::State { value: None, version: kadmap::Version::ABSENT, lagged: true };
        assert_eq!(Line::of(&nothing).text(), "absent (some changes were left out)");
    }
}
