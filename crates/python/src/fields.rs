//! Small header fields: Reason and Replaces, each around its Rust type. `values` makes the reasons of a message.

use pyo3::prelude::*;
use trunkline_sip::header::{Reason, Replaces};

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

/// Add this file's classes to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyReason>()?;
    module.add_class::<PyReplaces>()
}
