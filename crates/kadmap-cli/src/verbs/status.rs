//! `kadmap status`: how the node is.

use std::time::Duration;

use serde::Serialize;

use crate::client::Client;
use crate::failure::Failure;
use crate::output::Output;
use crate::quantity::shown_bytes;
use crate::typed::StatusArgs;

/// A node's account of itself.
#[derive(Serialize)]
struct Status {
    id: String,
    address: String,
    software: String,
    contacts: u64,
    records: u64,
    record_bytes: u64,
    requests_served: u64,
    puts_refused: u64,
    replication: u64,
    uptime_ms: u64,
}

pub(crate) async fn run(args: StatusArgs, output: &Output) -> Result<(), Failure> {
    let client = Client::join(&args.node).await?;
    let (member, report) = (client.member(), client.member_status().clone());
    client.close().await;
    let status = Status {
        id: member.id.to_string(),
        address: member.address.to_string(),
        software: report.software,
        contacts: report.contacts,
        records: report.records,
        record_bytes: report.bytes,
        requests_served: report.requests_served,
        puts_refused: report.puts_refused,
        replication: report.replication,
        uptime_ms: report.uptime_ms,
    };
    output.result(&status, |out| {
        let uptime = humantime::format_duration(Duration::from_secs(status.uptime_ms / 1_000));
        writeln!(out, "id           {}", status.id)?;
        writeln!(out, "address      {}", status.address)?;
        writeln!(out, "software     {}", status.software)?;
        writeln!(out, "up           {uptime}")?;
        writeln!(out, "contacts     {}", status.contacts)?;
        writeln!(out, "records      {} ({})", status.records, shown_bytes(status.record_bytes))?;
        writeln!(out, "replication  {}", status.replication)?;
        writeln!(out, "requests     {} served", status.requests_served)?;
        writeln!(out, "puts         {} refused", status.puts_refused)
    })
}
