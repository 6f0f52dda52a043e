//! The classes of message waiting: MailboxSummary and MessageCounts, around what `trunkline_sip::mailbox_summary` reads.

use pyo3::prelude::*;
use pyo3::types::PyTuple;
use trunkline_sip::mailbox_summary::{Class, Counts, MailboxSummary};
use trunkline_sip::message::ParseError;

use crate::values::parse_error;

/// How many messages of one class there are.
#[pyclass(frozen, eq, module = "_trunkline", name = "MessageCounts")]
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PyMessageCounts(Counts);

#[pymethods]
impl PyMessageCounts {
    #[getter]
    fn message_class(&self) -> &'static str {
        self.0.class.name()
    }

    #[getter]
    fn get_new(&self) -> u32 {
        self.0.new
    }

    #[getter]
    fn old(&self) -> u32 {
        self.0.old
    }

    #[getter]
    fn urgent_new(&self) -> u32 {
        self.0.urgent_new
    }

    #[getter]
    fn urgent_old(&self) -> u32 {
        self.0.urgent_old
    }

    fn __repr__(&self) -> String {
        let Counts {
            class,
            new,
            old,
            urgent_new,
            urgent_old,
        } = self.0;
        format!("<MessageCounts {} {new}/{old} ({urgent_new}/{urgent_old})>", class.name())
    }
}

/// A message summary.
#[pyclass(frozen, eq, module = "_trunkline", name = "MailboxSummary")]
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PyMailboxSummary(MailboxSummary);

#[pymethods]
impl PyMailboxSummary {
    #[staticmethod]
    fn parse(py: Python<'_>, body: &[u8]) -> PyResult<PyMailboxSummary> {
        MailboxSummary::parse(body)
            .map(PyMailboxSummary)
            .map_err(|error| parse_error(py, ParseError::new(400, error.to_string())))
    }

    #[getter]
    fn waiting(&self) -> bool {
        self.0.waiting
    }

    #[getter]
    fn account(&self) -> &str {
        &self.0.account
    }

    #[getter]
    fn counts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.0.counts.iter().copied().map(PyMessageCounts))
    }

    fn of(&self, message_class: &str) -> Option<PyMessageCounts> {
        Class::parse(message_class).and_then(|class| self.0.of(class)).map(PyMessageCounts)
    }
}

/// Add this file's classes to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyMessageCounts>()?;
    module.add_class::<PyMailboxSummary>()
}
