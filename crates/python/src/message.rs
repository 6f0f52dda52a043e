//! The class Message, around its Rust type: a header becomes a Python object when it is read. `endpoint` makes them through `From`.

use bytes::Bytes;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use trunkline_sip::message::{Limits, Message};
use trunkline_sip::uri::Uri;

use crate::fields::PyReason;
use crate::parts::PyBodyPart;
use crate::values::{PyNameAddr, PyUri, PyVia, parse_error};

/// A received or built SIP message.
#[pyclass(frozen, module = "_trunkline", name = "Message")]
#[derive(Clone)]
pub(crate) struct PyMessage(Message);

impl From<Message> for PyMessage {
    fn from(message: Message) -> Self {
        PyMessage(message)
    }
}

#[pymethods]
impl PyMessage {
    #[staticmethod]
    fn parse(py: Python<'_>, data: &[u8]) -> PyResult<PyMessage> {
        let message = Message::parse(Bytes::copy_from_slice(data), &Limits::default());
        message.map(PyMessage).map_err(|error| parse_error(py, error))
    }

    #[getter]
    fn is_request(&self) -> bool {
        self.0.is_request()
    }

    #[getter]
    fn method(&self) -> &str {
        self.0.method()
    }

    #[getter]
    fn uri_text(&self) -> &str {
        self.0.uri_text()
    }

    #[getter]
    fn uri(&self, py: Python<'_>) -> PyResult<PyUri> {
        Uri::parse(self.0.uri_text())
            .map(PyUri::from)
            .map_err(|error| parse_error(py, error))
    }

    #[getter]
    fn status(&self) -> u16 {
        self.0.status()
    }

    #[getter]
    fn reason(&self) -> std::borrow::Cow<'_, str> {
        self.0.reason()
    }

    #[getter]
    fn body<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.body())
    }

    #[getter]
    fn content_type(&self) -> Option<String> {
        self.0.content_type()
    }

    #[getter]
    fn raw<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.raw())
    }

    #[getter]
    fn call_id(&self) -> &str {
        self.0.call_id()
    }

    #[getter]
    fn cseq(&self, py: Python<'_>) -> PyResult<u32> {
        self.0.cseq().map(|cseq| cseq.number).map_err(|error| parse_error(py, error))
    }

    #[getter]
    fn from_(&self, py: Python<'_>) -> PyResult<PyNameAddr> {
        self.0.from().map(PyNameAddr::from).map_err(|error| parse_error(py, error))
    }

    #[getter]
    fn to(&self, py: Python<'_>) -> PyResult<PyNameAddr> {
        self.0.to().map(PyNameAddr::from).map_err(|error| parse_error(py, error))
    }

    #[getter]
    #[allow(clippy::wrong_self_convention, reason = "the name of the header")]
    fn from_tag(&self) -> &str {
        self.0.from_tag()
    }

    #[getter]
    fn to_tag(&self) -> &str {
        self.0.to_tag()
    }

    #[getter]
    fn via(&self, py: Python<'_>) -> PyResult<PyVia> {
        self.0.via().map(PyVia::from).map_err(|error| parse_error(py, error))
    }

    #[getter]
    fn contacts(&self, py: Python<'_>) -> PyResult<Vec<PyNameAddr>> {
        let contacts = self.0.contacts().map_err(|error| parse_error(py, error))?;
        Ok(contacts.into_iter().map(PyNameAddr::from).collect())
    }

    /// The parts of the body.
    #[getter]
    fn parts(&self, py: Python<'_>) -> PyResult<Vec<PyBodyPart>> {
        let parts = self.0.parts().map_err(|error| parse_error(py, error))?;
        Ok(parts.into_iter().map(|part| PyBodyPart::new(py, &part)).collect())
    }

    /// The session description in the body.
    #[getter]
    fn sdp<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.sdp())
    }

    /// RSeq of a reliable provisional.
    #[getter]
    fn rseq(&self) -> Option<u32> {
        self.0.rseq()
    }

    #[getter]
    fn star_contact(&self) -> bool {
        self.0.star_contact()
    }

    fn header(&self, name: &str) -> Option<std::borrow::Cow<'_, str>> {
        self.0.header(name)
    }

    fn lines(&self, name: &str) -> Vec<std::borrow::Cow<'_, str>> {
        self.0.lines(name).collect()
    }

    fn values(&self, name: &str) -> Vec<String> {
        self.0.values(name)
    }

    fn tokens(&self, name: &str) -> Vec<String> {
        self.0.tokens(name)
    }

    #[getter]
    fn privacy(&self) -> Vec<String> {
        self.0.privacy()
    }

    #[getter]
    fn reasons(&self) -> Vec<PyReason> {
        self.0.reasons().into_iter().map(PyReason::from).collect()
    }

    #[getter]
    fn retry_after_s(&self) -> Option<u32> {
        self.0.retry_after_s()
    }

    fn integer(&self, py: Python<'_>, name: &str) -> PyResult<Option<u32>> {
        self.0.integer(name).map_err(|error| parse_error(py, error))
    }

    fn headers(&self) -> Vec<(&str, std::borrow::Cow<'_, str>)> {
        self.0.headers().collect()
    }

    fn __repr__(&self) -> String {
        format!("{:?}", self.0)
    }
}

/// Add this file's classes to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyBodyPart>()?;
    module.add_class::<PyMessage>()
}
