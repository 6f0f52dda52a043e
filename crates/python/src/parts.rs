//! BodyPart: one part of a message's body, around its Rust type. `message` makes them.

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use trunkline_sip::multipart::Part;

/// One part of a body.
#[pyclass(frozen, get_all, module = "_trunkline", name = "BodyPart")]
pub struct PyBodyPart {
    content_type: String,
    disposition: String,
    required: bool,
    content_id: String,
    encoded: bool,
    body: Py<PyBytes>,
}

impl PyBodyPart {
    /// A copy of a part that Python may keep.
    pub(crate) fn new(py: Python<'_>, part: &Part<'_>) -> Self {
        PyBodyPart {
            content_type: part.content_type.clone(),
            disposition: part.disposition.clone(),
            required: part.required,
            content_id: part.content_id.clone(),
            encoded: part.encoded,
            body: PyBytes::new(py, part.body).unbind(),
        }
    }
}

#[pymethods]
impl PyBodyPart {
    fn __repr__(&self, py: Python<'_>) -> String {
        format!("<BodyPart {} {} bytes>", self.content_type, self.body.bind(py).as_bytes().len())
    }
}
