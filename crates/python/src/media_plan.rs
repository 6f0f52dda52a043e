//! What a description agrees on: Codec, Fax, SrtpKeys and MediaPlan, each around its Rust type. `sdp` makes plans, `media` applies them.

use std::net::SocketAddr;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyTuple;
use trunkline_sip::sdp::{Codec, Fax, Keys, MediaPlan};

use crate::flow::{Address, address};

/// A codec as SDP names it.
#[pyclass(frozen, eq, hash, module = "_trunkline", name = "Codec")]
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct PyCodec(Codec);

impl From<Codec> for PyCodec {
    fn from(codec: Codec) -> Self {
        PyCodec(codec)
    }
}

impl PyCodec {
    /// The Rust value.
    pub(crate) fn inner(&self) -> &Codec {
        &self.0
    }
}

#[pymethods]
impl PyCodec {
    #[new]
    #[pyo3(signature = (name, clock_rate, channels=1, payload_type=None, fmtp=None))]
    fn new(name: &str, clock_rate: u32, channels: u8, payload_type: Option<u8>, fmtp: Option<String>) -> PyResult<PyCodec> {
        let codec = Codec::new(name, clock_rate, channels, payload_type, fmtp);
        codec.map(PyCodec).map_err(|error| PyValueError::new_err(error.to_string()))
    }

    #[getter]
    fn name(&self) -> &str {
        self.0.name()
    }

    #[getter]
    fn clock_rate(&self) -> u32 {
        self.0.clock_rate()
    }

    #[getter]
    fn channels(&self) -> u8 {
        self.0.channels()
    }

    #[getter]
    fn payload_type(&self) -> Option<u8> {
        self.0.payload_type()
    }

    #[getter]
    fn fmtp(&self) -> Option<&str> {
        self.0.fmtp()
    }

    fn __repr__(&self) -> String {
        let number = self
            .0
            .payload_type()
            .map(|number| format!(", payload_type={number}"))
            .unwrap_or_default();
        format!("Codec({:?}, {}, {}{number})", self.0.name(), self.0.clock_rate(), self.0.channels())
    }
}

fn codec_tuple<'py>(py: Python<'py>, codecs: &[Codec]) -> PyResult<Bound<'py, PyTuple>> {
    PyTuple::new(py, codecs.iter().cloned().map(PyCodec))
}

/// The codecs as Python sees them, made once.
pub(crate) fn kept_codecs<'py>(py: Python<'py>, once: &PyOnceLock<Py<PyTuple>>, codecs: &[Codec]) -> PyResult<Bound<'py, PyTuple>> {
    let tuple = once.get_or_try_init(py, || codec_tuple(py, codecs).map(Bound::unbind))?;
    Ok(tuple.bind(py).clone())
}

/// An address that may be absent.
pub(crate) fn optional_address(at: Option<SocketAddr>) -> Option<Address> {
    at.map(address)
}

/// What a description says about its fax line.
#[pyclass(frozen, module = "_trunkline", name = "Fax")]
pub(crate) struct PyFax(Fax);

impl From<Fax> for PyFax {
    fn from(fax: Fax) -> Self {
        PyFax(fax)
    }
}

#[pymethods]
impl PyFax {
    #[getter]
    fn remote(&self) -> Option<Address> {
        optional_address(self.0.remote)
    }

    #[getter]
    fn attributes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.0.attributes.iter().cloned())
    }
}

/// The master keys of a leg: for `MediaEngine.configure`, and shown to nobody.
#[pyclass(frozen, eq, module = "_trunkline", name = "SrtpKeys")]
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PySrtpKeys(Keys);

impl PySrtpKeys {
    /// The Rust value.
    pub(crate) fn inner(&self) -> &Keys {
        &self.0
    }
}

#[pymethods]
impl PySrtpKeys {
    #[getter]
    fn suite(&self) -> &'static str {
        self.0.suite.name()
    }

    fn __repr__(&self) -> String {
        format!("<SrtpKeys {}>", self.0.suite.name())
    }
}

/// What one leg's audio does after an offer and its answer.
#[pyclass(frozen, module = "_trunkline", name = "MediaPlan")]
pub(crate) struct PyMediaPlan {
    pub(crate) plan: MediaPlan,
    /// The codecs in Python, once they were asked for.
    send_codecs: PyOnceLock<Py<PyTuple>>,
    receive_codecs: PyOnceLock<Py<PyTuple>>,
}

impl From<MediaPlan> for PyMediaPlan {
    fn from(plan: MediaPlan) -> Self {
        PyMediaPlan {
            plan,
            send_codecs: PyOnceLock::new(),
            receive_codecs: PyOnceLock::new(),
        }
    }
}

#[pymethods]
impl PyMediaPlan {
    #[getter]
    fn remote_rtp(&self) -> Option<Address> {
        optional_address(self.plan.remote_rtp)
    }

    #[getter]
    fn remote_rtcp(&self) -> Option<Address> {
        optional_address(self.plan.remote_rtcp)
    }

    #[getter]
    fn direction(&self) -> &'static str {
        self.plan.direction.name()
    }

    #[getter]
    fn send_codecs<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        kept_codecs(py, &self.send_codecs, &self.plan.send_codecs)
    }

    #[getter]
    fn receive_codecs<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        kept_codecs(py, &self.receive_codecs, &self.plan.receive_codecs)
    }

    #[getter]
    fn ptime_ms(&self) -> Option<u16> {
        self.plan.ptime_ms
    }

    #[getter]
    fn held(&self) -> bool {
        self.plan.held
    }

    #[getter]
    fn rtcp_mux(&self) -> bool {
        self.plan.rtcp_mux
    }

    #[getter]
    fn fax(&self) -> Option<PyFax> {
        self.plan.fax.clone().map(PyFax)
    }

    #[getter]
    fn keys(&self) -> Option<PySrtpKeys> {
        self.plan.keys.clone().map(PySrtpKeys)
    }

    fn __repr__(&self) -> String {
        let remote = self
            .plan
            .remote_rtp
            .map_or_else(|| "nowhere".to_owned(), |remote| remote.to_string());
        let codecs: Vec<String> = self.plan.send_codecs.iter().map(Codec::to_string).collect();
        let secure = self.plan.keys.as_ref().map(|keys| format!(" over SRTP ({})", keys.suite.name()));
        let (direction, codecs) = (self.plan.direction.name(), codecs.join(" "));
        format!("<MediaPlan {direction} to {remote} with {codecs}{}>", secure.unwrap_or_default())
    }
}

/// Add this file's classes to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyCodec>()?;
    module.add_class::<PyFax>()?;
    module.add_class::<PySrtpKeys>()?;
    module.add_class::<PyMediaPlan>()
}
