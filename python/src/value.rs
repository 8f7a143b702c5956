//! Values as pairs of a kind and what it holds: ("json", text), ("bytes", bytes), ("list", [..]), ("map", {..}).

use bytes::Bytes;
use kadmap::Value;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};

/// The value in a pair that Python made: JSON or bytes.
pub(crate) fn of_python(pair: &Bound<'_, PyAny>) -> PyResult<Value> {
    let (kind, data): (String, Bound<'_, PyAny>) = pair.extract()?;
    match kind.as_str() {
        "json" => Value::from_json_text(data.extract::<String>()?)
            .map_err(|error| PyValueError::new_err(format!("not JSON: {error}"))),
        "bytes" => Ok(Value::Bytes(Bytes::copy_from_slice(data.cast::<PyBytes>()?.as_bytes()))),
        other => Err(PyTypeError::new_err(format!("a value to store is 'json' or 'bytes', not '{other}'"))),
    }
}

/// The pair of a value.
pub(crate) fn to_python<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyTuple>> {
    match value {
        Value::Json(text) => ("json", text).into_pyobject(py),
        Value::Bytes(bytes) => ("bytes", PyBytes::new(py, bytes)).into_pyobject(py),
        Value::List(items) => {
            let items: Vec<_> = items.iter().map(|item| to_python(py, item)).collect::<PyResult<_>>()?;
            ("list", PyList::new(py, items)?).into_pyobject(py)
        }
        Value::Map(fields) => {
            let map = PyDict::new(py);
            for (name, value) in fields {
                map.set_item(name, to_python(py, value)?)?;
            }
            ("map", map).into_pyobject(py)
        }
    }
}
