//! `Bytes` as a CBOR byte string, for minicbor's `with`.

use bytes::Bytes;
use minicbor::decode::Error as DecodeError;
use minicbor::encode::{Error as EncodeError, Write};
use minicbor::{Decoder, Encoder};

pub(crate) fn encode<C, W: Write>(
    bytes: &Bytes,
    e: &mut Encoder<W>,
    _: &mut C,
) -> Result<(), EncodeError<W::Error>> {
    e.bytes(bytes)?.ok()
}

pub(crate) fn decode<C>(d: &mut Decoder<'_>, _: &mut C) -> Result<Bytes, DecodeError> {
    d.bytes().map(Bytes::copy_from_slice)
}

/// The same for an optional byte string.
pub(crate) mod option {
    use super::*;

    pub(crate) fn encode<C, W: Write>(
        bytes: &Option<Bytes>,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), EncodeError<W::Error>> {
        match bytes {
            Some(bytes) => e.bytes(bytes)?.ok(),
            None => e.null()?.ok(),
        }
    }

    pub(crate) fn decode<C>(d: &mut Decoder<'_>, ctx: &mut C) -> Result<Option<Bytes>, DecodeError> {
        if d.datatype()? == minicbor::data::Type::Null {
            return d.skip().map(|()| None);
        }
        super::decode(d, ctx).map(Some)
    }

    pub(crate) fn is_nil(bytes: &Option<Bytes>) -> bool {
        bytes.is_none()
    }

    pub(crate) fn nil() -> Option<Option<Bytes>> {
        Some(None)
    }
}
