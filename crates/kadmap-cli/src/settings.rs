//! What `run` is to do: flags over environment over config file over the library's defaults.

use std::path::PathBuf;

use kadmap::{Dht, DhtBuilder};

use crate::config_file::ConfigFile;
use crate::failure::Failure;
use crate::quantity::{ByteCount, Span};
use crate::trust::Trust;
use crate::typed::{ConsistencyName, DurabilityName, RunArgs};

/// The settings of one node.
#[derive(Debug)]
pub(crate) struct Settings {
    listen: Option<String>,
    join: Vec<String>,
    retry: bool,
    data: Option<PathBuf>,
    trust: Trust,
    replication: Option<usize>,
    consistency: Option<ConsistencyName>,
    durability: Option<DurabilityName>,
    value_bytes_max: Option<ByteCount>,
    store_bytes_max: Option<ByteCount>,
    repair_interval: Option<Span>,
    scrub_interval: Option<Span>,
}

impl Settings {
    /// Brings the levels together; clap has put flags over environment already.
    pub(crate) fn resolve(args: RunArgs) -> Result<Self, Failure> {
        let file = args.config.as_deref().map(ConfigFile::read).transpose()?.unwrap_or_default();
        let trust = Trust::resolve(&args.trust, &file.trust())?;
        Ok(Self {
            trust,
            listen: args.listen.or(file.listen),
            join: if args.join.is_empty() { file.join } else { args.join },
            retry: args.retry || file.retry,
            data: args.data.or(file.data),
            replication: args.replication.or(file.replication),
            consistency: args.consistency.or(file.consistency),
            durability: args.durability.or(file.durability),
            value_bytes_max: args.value_bytes_max.or(file.value_bytes_max),
            store_bytes_max: args.store_bytes_max.or(file.store_bytes_max),
            repair_interval: args.repair_interval.or(file.repair_interval),
            scrub_interval: args.scrub_interval.or(file.scrub_interval),
        })
    }

    /// Whether the node keeps its key and its records, so that it is the same when it is started again.
    pub(crate) fn has_disk(&self) -> bool {
        self.data.is_some()
    }

    /// The node to be.
    pub(crate) fn builder(self) -> DhtBuilder {
        let mut builder = self.trust.apply(Dht::builder()).join(self.join).join_retry(self.retry);
        if let Some(listen) = self.listen {
            builder = builder.listen(listen);
        }
        if let Some(data) = self.data {
            builder = builder.data_dir(data);
        }
        if let Some(nodes) = self.replication {
            builder = builder.replication(nodes);
        }
        if let Some(consistency) = self.consistency {
            builder = builder.consistency(consistency.into());
        }
        if let Some(durability) = self.durability {
            builder = builder.durability(durability.into());
        }
        if let Some(bytes) = self.value_bytes_max {
            builder = builder.value_bytes_max(bytes.as_usize());
        }
        if let Some(bytes) = self.store_bytes_max {
            builder = builder.store_bytes_max(bytes.0);
        }
        if let Some(Span(interval)) = self.repair_interval {
            builder = builder.repair_interval(interval);
        }
        if let Some(Span(interval)) = self.scrub_interval {
            builder = builder.scrub_interval(interval);
        }
        builder
    }
}
