//! The copies of a record that a read has received, merged into one.

use super::env::Env;
use super::read_quorum::Copies;
use crate::record::{Record, Version};
use crate::store::{RecordId, RecordStore};
use crate::wire::{Found, Get, Held, Request, Response, Want};
use crate::{Address, Now};

/// What one replica told.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) version: Version,
    /// Whether its record went into the merged one.
    merged: bool,
}

impl Told {
    /// Of one that told its version only.
    fn of_version(version: Version) -> Self {
        Self { version, merged: version.is_absent() }
    }
}

/// All that was received of one record.
pub(super) struct RecordCopies {
    id: RecordId,
    /// All records received so far.
    merged: Record,
    /// The state of `merged`, and of each record that went into it.
    version: Version,
    /// Whether more than one record went into `merged`, so that its version must be computed.
    mixed: bool,
    /// Whether `merged` is of a node whose clock may be ahead: others may still hold what it has buried.
    buried_early: bool,
}

impl RecordCopies {
    pub(super) fn new(id: RecordId) -> Self {
        let (merged, version) = (Record::default(), Version::ABSENT);
        Self { id, merged, version, mixed: false, buried_early: false }
    }

    /// The merged record, if there is anything, and its version.
    pub(super) fn take_merged(&mut self) -> (Option<Record>, Version) {
        let version = if self.mixed { self.merged.head().version } else { self.version };
        let merged = std::mem::take(&mut self.merged);
        ((!merged.is_empty()).then_some(merged), version)
    }

    /// Takes in what a replica told on the way.
    pub(super) fn take_in_held(&mut self, now: Now, held: Held) -> Told {
        match held.record {
            Some(record) => self.merge(now, held.version, record),
            None => Told::of_version(held.version),
        }
    }

    /// Merges a record that was received or read here.
    fn merge(&mut self, now: Now, version: Version, record: Record) -> Told {
        if self.merged.is_empty() {
            self.merged = record;
            self.version = version;
        } else if self.merged.merge(record) {
            self.mixed = true;
        }
        self.buried_early = self.merged.may_be_buried_early(now.unix_ms);
        Told { version, merged: true }
    }
}

impl Copies for RecordCopies {
    type Told = Told;

    fn record_id(&self) -> &RecordId {
        &self.id
    }

    fn is_empty(&self) -> bool {
        self.merged.is_empty()
    }

    fn lacks(&self, told: &Told) -> bool {
        !told.merged && (self.mixed || self.buried_early || told.version != self.version)
    }

    fn is_nothing(told: &Told) -> bool {
        told.version.is_absent()
    }

    fn request(&self, want: Want) -> Request {
        Request::Get(Get { key: self.id.key, name: self.id.name.clone(), want })
    }

    fn take_in_own<S: RecordStore, A: Address>(&mut self, env: &mut Env<S, A>, now: Now) -> Option<Told> {
        let (version, record) = env.own_word(now, &self.id).ok()?;
        Some(self.merge(now, version, record))
    }

    fn take_in<A>(&mut self, now: Now, response: Response<A>) -> Option<Told> {
        match response {
            Response::Found(Found { version, record }) => Some(self.merge(now, version, record)),
            Response::Summary(summary) => Some(Told::of_version(summary.version)),
            _ => None,
        }
    }
}
