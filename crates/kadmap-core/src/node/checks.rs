//! What no operation is started for.

use bytes::Bytes;

use super::Node;
use crate::Address;
use crate::operation::{Change, ReadError, WriteError};
use crate::store::{RecordId, RecordStore};

impl<S: RecordStore, A: Address> Node<S, A> {
    pub(super) fn check_read(&self, record: &RecordId) -> Result<(), ReadError> {
        let limits = &self.env.config.limits;
        if record.name.len() > limits.name_bytes_max {
            let (bytes, bytes_max) = (record.name.len(), limits.name_bytes_max);
            return Err(ReadError::NameTooLong { bytes, bytes_max });
        }
        if self.operations.len() >= limits.operations_max {
            return Err(ReadError::Busy { in_flight_max: limits.operations_max });
        }
        Ok(())
    }

    pub(super) fn check_write(&self, record: &RecordId, change: &Change) -> Result<(), WriteError> {
        let limits = &self.env.config.limits;
        if record.name.len() > limits.name_bytes_max {
            return Err(WriteError::NameTooLong {
                bytes: record.name.len(),
                bytes_max: limits.name_bytes_max,
            });
        }
        let field: Option<&Bytes> = match change {
            Change::PutField { field, .. } | Change::DeleteField { field } => Some(field),
            _ => None,
        };
        if let Some(field) = field
            && field.len() > limits.name_bytes_max
        {
            return Err(WriteError::NameTooLong { bytes: field.len(), bytes_max: limits.name_bytes_max });
        }
        let bytes = change.value_bytes() + field.map_or(0, Bytes::len);
        if bytes > limits.value_bytes_max {
            let bytes_max = limits.value_bytes_max as u64;
            return Err(WriteError::ValueTooLarge { bytes: bytes as u64, bytes_max });
        }
        if self.operations.len() >= limits.operations_max {
            return Err(WriteError::Busy { in_flight_max: limits.operations_max });
        }
        Ok(())
    }
}
