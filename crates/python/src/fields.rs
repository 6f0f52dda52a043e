//! Small fields: Reason and Replaces, each around its Rust type, and the readers of numbers, dates and fragments. `message` makes the reasons.

use pyo3::prelude::*;
use trunkline_sip::header::{Reason, Replaces, capped_integer, date_seconds, qvalue};
use trunkline_sip::sipfrag;

use crate::values::parse_error;

/// One value of Reason.
#[pyclass(frozen, get_all, module = "_trunkline", name = "Reason")]
pub struct PyReason {
    protocol: String,
    cause: Option<u16>,
    text: Option<String>,
}

impl From<Reason> for PyReason {
    fn from(reason: Reason) -> Self {
        PyReason {
            protocol: reason.protocol,
            cause: reason.cause,
            text: reason.text,
        }
    }
}

/// The value of Replaces.
#[pyclass(frozen, eq, hash, module = "_trunkline", name = "Replaces")]
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PyReplaces(Replaces);

#[pymethods]
impl PyReplaces {
    #[new]
    #[pyo3(signature = (call_id, to_tag, from_tag, early_only=false))]
    fn new(call_id: String, to_tag: String, from_tag: String, early_only: bool) -> Self {
        PyReplaces(Replaces {
            call_id,
            to_tag,
            from_tag,
            early_only,
        })
    }

    #[staticmethod]
    fn parse(py: Python<'_>, text: &str) -> PyResult<PyReplaces> {
        Replaces::parse(text).map(PyReplaces).map_err(|error| parse_error(py, error))
    }

    #[getter]
    fn call_id(&self) -> &str {
        &self.0.call_id
    }

    #[getter]
    fn to_tag(&self) -> &str {
        &self.0.to_tag
    }

    #[getter]
    #[allow(clippy::wrong_self_convention, reason = "the name of the parameter")]
    fn from_tag(&self) -> &str {
        &self.0.from_tag
    }

    #[getter]
    fn early_only(&self) -> bool {
        self.0.early_only
    }

    fn __str__(&self) -> String {
        self.0.to_string()
    }

    fn __repr__(&self) -> String {
        format!("Replaces({:?})", self.0.to_string())
    }
}

/// A number of decimal digits alone.
#[pyfunction]
fn read_number(text: &str) -> Option<u32> {
    capped_integer(text)
}

/// A preference between 0 and 1.
#[pyfunction]
fn read_q(text: &str) -> Option<f64> {
    qvalue(text).map(|thousandths| f64::from(thousandths) / 1_000.0)
}

/// Seconds since 1970 of a Date.
#[pyfunction]
fn read_date(text: &str) -> Option<u64> {
    date_seconds(text)
}

/// The status line of a `message/sipfrag`.
#[pyfunction]
fn read_sipfrag(body: &[u8]) -> Option<(u16, String)> {
    sipfrag::status_line(body)
}

/// Add this file's classes and functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyReason>()?;
    module.add_class::<PyReplaces>()?;
    module.add_function(wrap_pyfunction!(read_number, module)?)?;
    module.add_function(wrap_pyfunction!(read_q, module)?)?;
    module.add_function(wrap_pyfunction!(read_date, module)?)?;
    module.add_function(wrap_pyfunction!(read_sipfrag, module)?)
}
