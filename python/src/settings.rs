//! Arguments that several calls share.

use std::time::Duration;

use kadmap::{Consistency, Durability, Place, Read, Version, Write};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::place;

/// A duration of seconds.
pub(crate) fn seconds(what: &str, seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| PyValueError::new_err(format!("{what} is {seconds}: give seconds of at least 0")))
}

/// The consistency of a name.
pub(crate) fn consistency(name: &str) -> PyResult<Consistency> {
    match name {
        "one" => Ok(Consistency::One),
        "quorum" => Ok(Consistency::Quorum),
        "all" => Ok(Consistency::All),
        _ => Err(PyValueError::new_err(format!("consistency is '{name}': choose 'one', 'quorum' or 'all'"))),
    }
}

/// The durability of a name.
pub(crate) fn durability(name: &str) -> PyResult<Durability> {
    match name {
        "replicated" => Ok(Durability::Replicated),
        "synced" => Ok(Durability::Synced),
        _ => Err(PyValueError::new_err(format!("durability is '{name}': choose 'replicated' or 'synced'"))),
    }
}

/// An operation of the library that is done as the options say.
macro_rules! tuned {
    ($options:expr, $operation:expr) => {{
        let mut operation = $operation;
        if let Some(place) = &$options.place {
            operation = operation.place(place);
        }
        if let Some(timeout) = $options.timeout {
            operation = operation.timeout(timeout);
        }
        if let Some(consistency) = $options.consistency {
            operation = operation.consistency(consistency);
        }
        operation
    }};
}
pub(crate) use tuned;

/// How one operation is to be done.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) place: Option<Place>,
    ttl: Option<Duration>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) consistency: Option<Consistency>,
    if_version: Option<Version>,
}

impl Options {
    /// Where, for how long to try, and how many replicas to wait for.
    pub(crate) fn new(
        place: Option<&Bound<'_, PyAny>>,
        timeout: Option<f64>,
        consistency: Option<&str>,
    ) -> PyResult<Self> {
        Ok(Self {
            place: place.map(place::of_python).transpose()?,
            timeout: timeout.map(|timeout| seconds("timeout", timeout)).transpose()?,
            consistency: consistency.map(self::consistency).transpose()?,
            ..Self::default()
        })
    }

    /// With a time to live.
    pub(crate) fn ttl(mut self, ttl: Option<f64>) -> PyResult<Self> {
        self.ttl = ttl.map(|ttl| seconds("ttl", ttl)).transpose()?;
        Ok(self)
    }

    /// Only if the record is at this version.
    pub(crate) fn if_version(mut self, version: Option<&str>) -> PyResult<Self> {
        let parse =
            |text: &str| text.parse::<Version>().map_err(|error| PyValueError::new_err(error.to_string()));
        self.if_version = version.map(parse).transpose()?;
        Ok(self)
    }

    /// A write that is done so.
    pub(crate) fn write<'a>(&self, mut write: Write<'a>) -> Write<'a> {
        if let Some(place) = &self.place {
            write = write.place(place);
        }
        if let Some(ttl) = self.ttl {
            write = write.ttl(ttl);
        }
        if let Some(timeout) = self.timeout {
            write = write.timeout(timeout);
        }
        if let Some(consistency) = self.consistency {
            write = write.consistency(consistency);
        }
        match self.if_version {
            Some(version) => write.if_version(version),
            None => write,
        }
    }

    /// A read that is done so.
    pub(crate) fn read<'a>(&self, mut read: Read<'a>) -> Read<'a> {
        if let Some(place) = &self.place {
            read = read.place(place);
        }
        if let Some(timeout) = self.timeout {
            read = read.timeout(timeout);
        }
        match self.consistency {
            Some(consistency) => read.consistency(consistency),
            None => read,
        }
    }
}
