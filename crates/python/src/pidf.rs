//! The presence classes: PresenceDocument and PresenceTuple, around what `trunkline_sip::pidf` reads.

use pyo3::prelude::*;
use pyo3::types::PyTuple;
use trunkline_sip::message::ParseError;
use trunkline_sip::pidf::{Presence, Tuple, parse};

use crate::values::parse_error;

/// One tuple of a presence document.
#[pyclass(frozen, eq, module = "_trunkline", name = "PresenceTuple")]
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PyPresenceTuple(Tuple);

#[pymethods]
impl PyPresenceTuple {
    #[getter]
    fn id(&self) -> &str {
        &self.0.id
    }

    #[getter]
    fn open(&self) -> Option<bool> {
        self.0.open
    }

    #[getter]
    fn contact(&self) -> &str {
        &self.0.contact
    }

    #[getter]
    fn notes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.0.notes)
    }
}

/// A presence document (PIDF).
#[pyclass(frozen, eq, module = "_trunkline", name = "PresenceDocument")]
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PyPresenceDocument(Presence);

#[pymethods]
impl PyPresenceDocument {
    #[staticmethod]
    fn parse(py: Python<'_>, body: &[u8]) -> PyResult<PyPresenceDocument> {
        parse(body)
            .map(PyPresenceDocument)
            .map_err(|error| parse_error(py, ParseError::new(400, error.to_string())))
    }

    #[getter]
    fn entity(&self) -> &str {
        &self.0.entity
    }

    #[getter]
    fn tuples<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.0.tuples.iter().cloned().map(PyPresenceTuple))
    }

    #[getter]
    fn notes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.0.notes)
    }

    #[getter]
    fn activities<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.0.activities)
    }
}

/// Add this file's classes to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyPresenceTuple>()?;
    module.add_class::<PyPresenceDocument>()?;
    Ok(())
}
