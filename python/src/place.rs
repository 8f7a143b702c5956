//! Places as Python sees them: bytes that are hashed again, or integers of 256 bits.

use kadmap::{Key, Place};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyInt};

/// Bytes of a place or an id.
const PLACE_BYTES: usize = 32;

/// The place that an argument names.
pub(crate) fn of_python(place: &Bound<'_, PyAny>) -> PyResult<Place> {
    if let Ok(bytes) = place.cast::<PyBytes>() {
        return Ok(Place::Hashed(bytes.as_bytes().to_vec()));
    }
    if place.is_instance_of::<PyInt>() {
        return key_of_python(place).map(Place::Exact);
    }
    let what = place.get_type().name()?;
    Err(PyTypeError::new_err(format!("a place is bytes (hashed again) or an int of 256 bits, not {what}")))
}

/// The key that an integer is.
pub(crate) fn key_of_python(place: &Bound<'_, PyAny>) -> PyResult<Key> {
    let bytes = place
        .call_method1("to_bytes", (PLACE_BYTES, "big"))
        .map_err(|_| PyValueError::new_err("a place given as an int must be at least 0 and below 2**256"))?;
    let bytes = bytes.cast::<PyBytes>()?.as_bytes();
    <[u8; PLACE_BYTES]>::try_from(bytes)
        .map(Key::from_bytes)
        .map_err(|_| PyValueError::new_err("a place given as an int must have 256 bits"))
}

/// A place or id as an integer.
pub(crate) fn to_python<'py>(py: Python<'py>, bytes: &[u8; PLACE_BYTES]) -> PyResult<Bound<'py, PyAny>> {
    py.get_type::<PyInt>().call_method1("from_bytes", (PyBytes::new(py, bytes), "big"))
}
