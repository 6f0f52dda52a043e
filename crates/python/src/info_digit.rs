//! The class InfoDigit: a digit in the body of an INFO, around what `trunkline_sip::info_digit` reads.

use pyo3::prelude::*;
use trunkline_sip::info_digit::InfoDigit;

/// A digit in the body of an INFO.
#[pyclass(frozen, module = "_trunkline", name = "InfoDigit")]
struct PyInfoDigit(InfoDigit);

#[pymethods]
impl PyInfoDigit {
    #[staticmethod]
    fn parse(content_type: &str, body: &[u8]) -> Option<PyInfoDigit> {
        InfoDigit::parse(content_type, body).map(PyInfoDigit)
    }

    /// The body of `application/dtmf-relay`.
    #[staticmethod]
    fn body(digit: char, duration_ms: u32) -> Option<String> {
        InfoDigit::body(digit, duration_ms)
    }

    #[getter]
    const fn digit(&self) -> char {
        self.0.digit
    }

    #[getter]
    const fn duration_ms(&self) -> Option<u32> {
        self.0.duration_ms
    }
}

/// Add this file's class to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyInfoDigit>()
}
