//! The session description classes: Codec, MediaPlan, RemoteOffer, SessionDescriber and NegotiationError, each around its Rust type.
//!
//! `media` reads codecs through [`PyCodec::inner`]; dialogs in Python drive the describer.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyTuple, PyType};
use trunkline_sip::message::ParseError;
use trunkline_sip::sdp::{
    Codec, DescribeError, Describer, Direction, Fax, FaxAttribute, Keys, MediaPlan, Ours, Policy, RemoteOffer, SUITES, Security, Suite,
};
use zeroize::Zeroizing;

use crate::flow::{Address, address};
use crate::values::parse_error;

/// The stable interface of Python 3.11 has no way to derive a native class from an exception, so this one is made by Python.
const NEGOTIATION_ERROR_SOURCE: &std::ffi::CStr = c"
class NegotiationError(ValueError):
    '''An offer or answer that cannot be agreed. `reason` says why in words.'''

    def __init__(self, *args):
        super().__init__(*args)
        self.reason = str(args[0]) if args else ''
";

static NEGOTIATION_ERROR: PyOnceLock<Py<PyType>> = PyOnceLock::new();

fn negotiation_error_class(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    let class = NEGOTIATION_ERROR.get_or_try_init(py, || {
        let globals = PyDict::new(py);
        globals.set_item("__name__", "_trunkline")?;
        py.run(NEGOTIATION_ERROR_SOURCE, Some(&globals), None)?;
        let class = globals
            .get_item("NegotiationError")?
            .ok_or_else(|| PyValueError::new_err("NegotiationError"))?;
        Ok::<_, PyErr>(class.cast_into::<PyType>()?.unbind())
    })?;
    Ok(class.bind(py))
}

/// The Python exception for an error of the describer.
fn raised(py: Python<'_>, error: DescribeError) -> PyErr {
    match error {
        DescribeError::Sdp(error) => parse_error(py, ParseError::new(400, error.to_string())),
        DescribeError::Negotiation(error) => match negotiation_error_class(py).and_then(|class| class.call1((error.reason,))) {
            Ok(instance) => PyErr::from_value(instance),
            Err(error) => error,
        },
        DescribeError::State(why) => PyRuntimeError::new_err(why),
        DescribeError::Argument(why) => PyValueError::new_err(why),
    }
}

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
fn kept_codecs<'py>(py: Python<'py>, once: &PyOnceLock<Py<PyTuple>>, codecs: &[Codec]) -> PyResult<Bound<'py, PyTuple>> {
    let tuple = once.get_or_try_init(py, || codec_tuple(py, codecs).map(Bound::unbind))?;
    Ok(tuple.bind(py).clone())
}

fn optional_address(at: Option<SocketAddr>) -> Option<Address> {
    at.map(address)
}

/// What a description says about its fax line.
#[pyclass(frozen, module = "_trunkline", name = "Fax")]
pub(crate) struct PyFax(Fax);

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
    plan: MediaPlan,
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

/// A parsed offer of the other side.
#[pyclass(frozen, module = "_trunkline", name = "RemoteOffer")]
pub(crate) struct PyRemoteOffer {
    offer: RemoteOffer,
    /// The codecs in Python, once they were asked for.
    codecs: PyOnceLock<Py<PyTuple>>,
}

#[pymethods]
impl PyRemoteOffer {
    #[getter]
    fn codecs<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        kept_codecs(py, &self.codecs, &self.offer.audio().codecs)
    }

    #[getter]
    fn direction(&self) -> &'static str {
        self.offer.audio().direction.name()
    }

    #[getter]
    fn held(&self) -> bool {
        self.offer.audio().held()
    }

    #[getter]
    fn remote_rtp(&self) -> Option<Address> {
        optional_address(self.offer.audio().rtp)
    }

    #[getter]
    fn ptime_ms(&self) -> Option<u16> {
        self.offer.audio().ptime_ms
    }

    #[getter]
    fn rtcp_mux(&self) -> bool {
        self.offer.audio().rtcp_mux
    }

    #[getter]
    fn fax(&self) -> Option<PyFax> {
        self.offer.fax().cloned().map(PyFax)
    }

    #[getter]
    fn unchanged(&self) -> bool {
        self.offer.unchanged()
    }
}

/// What Python gives for a description of ours, checked.
struct Given {
    address: std::net::IpAddr,
    port: u16,
    codecs: Vec<Codec>,
    direction: Direction,
    ptime_ms: Option<u16>,
    rtcp_mux: bool,
}

impl Given {
    fn read(
        address: &str,
        port: u16,
        codecs: &[Bound<'_, PyCodec>],
        direction: &str,
        ptime_ms: Option<u16>,
        rtcp_mux: bool,
    ) -> PyResult<Self> {
        let ip = address
            .parse()
            .map_err(|_| PyValueError::new_err(format!("not an IP address: {address:?}")))?;
        let direction = Direction::from_name(direction).ok_or_else(|| PyValueError::new_err(format!("no direction: {direction:?}")))?;
        let codecs = codecs.iter().map(|codec| codec.get().inner().clone()).collect();
        Ok(Given {
            address: ip,
            port,
            codecs,
            direction,
            ptime_ms,
            rtcp_mux,
        })
    }

    fn ours(&self) -> Ours<'_> {
        Ours {
            address: self.address,
            port: self.port,
            codecs: &self.codecs,
            direction: self.direction,
            ptime_ms: self.ptime_ms,
            rtcp_mux: self.rtcp_mux,
        }
    }
}

/// One leg's offer/answer state.
#[pyclass(frozen, module = "_trunkline", name = "SessionDescriber")]
pub(crate) struct PySessionDescriber {
    state: Mutex<Describer>,
    /// The plan that Python was last given: it is asked for often, and seldom another one.
    told: Mutex<Option<Py<PyMediaPlan>>>,
}

impl From<Describer> for PySessionDescriber {
    fn from(describer: Describer) -> Self {
        PySessionDescriber {
            state: Mutex::new(describer),
            told: Mutex::new(None),
        }
    }
}

impl PySessionDescriber {
    /// Run `step` on the state. No Python runs inside: a thread that waits here keeps the GIL.
    fn with<T>(&self, step: impl FnOnce(&mut Describer) -> T) -> T {
        step(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The plan that stands, as the object that Python was given of it before, if it was.
    fn standing(&self, py: Python<'_>) -> PyResult<Option<Py<PyMediaPlan>>> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = self.with(|state| match (state.plan(), told.as_ref()) {
            (Some(plan), Some(before)) if before.get().plan == *plan => None,
            (plan, _) => Some(plan.cloned()),
        });
        if let Some(plan) = fresh {
            *told = plan.map(|plan| Py::new(py, PyMediaPlan::from(plan))).transpose()?;
        }
        Ok(told.as_ref().map(|plan| plan.clone_ref(py)))
    }
}

#[pymethods]
impl PySessionDescriber {
    #[new]
    #[pyo3(signature = (*, session_id, session_name="-", username="-", srtp="never", keys_may_cross=false, suites=None))]
    fn new(
        py: Python<'_>,
        session_id: u64,
        session_name: &str,
        username: &str,
        srtp: &str,
        keys_may_cross: bool,
        suites: Option<Vec<String>>,
    ) -> PyResult<Self> {
        let describer = Describer::new(session_id, session_name, username).map_err(|error| raised(py, error))?;
        let security = security(srtp, keys_may_cross, suites)?;
        if security.policy == Policy::Never {
            return Ok(describer.into());
        }
        Ok(describer.secured(security, secret()?).into())
    }

    /// Have the next offer bring new keys.
    fn renew_keys(&self) {
        self.with(Describer::renew_keys);
    }

    #[allow(clippy::too_many_arguments)]
    #[pyo3(signature = (*, address, port, codecs, direction="sendrecv", ptime_ms=None, rtcp_mux=false))]
    fn offer<'py>(
        &self,
        py: Python<'py>,
        address: &str,
        port: u16,
        codecs: Vec<Bound<'py, PyCodec>>,
        direction: &str,
        ptime_ms: Option<u16>,
        rtcp_mux: bool,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let given = Given::read(address, port, &codecs, direction, ptime_ms, rtcp_mux)?;
        let text = self.with(|state| state.offer(&given.ours()));
        Ok(PyBytes::new(py, text.map_err(|error| raised(py, error))?.as_bytes()))
    }

    fn accept_answer(&self, py: Python<'_>, body: &[u8]) -> PyResult<PyMediaPlan> {
        let plan = self.with(|state| state.accept_answer(body).cloned());
        plan.map(PyMediaPlan::from).map_err(|error| raised(py, error))
    }

    fn withdraw(&self) {
        self.with(Describer::withdraw);
    }

    #[pyo3(signature = (body, *, fax=false))]
    fn read_offer(&self, py: Python<'_>, body: &[u8], fax: bool) -> PyResult<PyRemoteOffer> {
        let offer = self.with(|state| {
            if fax {
                state.read_offer_or_fax(body)
            } else {
                state.read_offer(body)
            }
        });
        let offer = offer.map_err(|error| raised(py, error))?;
        Ok(PyRemoteOffer {
            offer,
            codecs: PyOnceLock::new(),
        })
    }

    #[allow(clippy::too_many_arguments)]
    #[pyo3(signature = (offer, *, address, port, codecs, direction="sendrecv", ptime_ms=None, rtcp_mux=true))]
    fn answer<'py>(
        &self,
        py: Python<'py>,
        offer: &PyRemoteOffer,
        address: &str,
        port: u16,
        codecs: Vec<Bound<'py, PyCodec>>,
        direction: &str,
        ptime_ms: Option<u16>,
        rtcp_mux: bool,
    ) -> PyResult<(Bound<'py, PyBytes>, PyMediaPlan)> {
        let given = Given::read(address, port, &codecs, direction, ptime_ms, rtcp_mux)?;
        let answer = self.with(|state| state.answer(&offer.offer, &given.ours()).map(|(text, plan)| (text, plan.clone())));
        let (text, plan) = answer.map_err(|error| raised(py, error))?;
        Ok((PyBytes::new(py, text.as_bytes()), plan.into()))
    }

    #[pyo3(signature = (*, address, port, attributes))]
    fn offer_fax<'py>(&self, py: Python<'py>, address: &str, port: u16, attributes: Vec<FaxAttribute>) -> PyResult<Bound<'py, PyBytes>> {
        let address = crate::flow::socket_addr((address.to_owned(), port))?.ip();
        let text = self.with(|state| state.offer_fax(address, port, &attributes));
        Ok(PyBytes::new(py, text.map_err(|error| raised(py, error))?.as_bytes()))
    }

    #[pyo3(signature = (offer, *, address, port, attributes))]
    fn answer_fax<'py>(
        &self,
        py: Python<'py>,
        offer: &PyRemoteOffer,
        address: &str,
        port: u16,
        attributes: Vec<FaxAttribute>,
    ) -> PyResult<(Bound<'py, PyBytes>, PyMediaPlan)> {
        let address = crate::flow::socket_addr((address.to_owned(), port))?.ip();
        let answer = self.with(|state| {
            let answer = state.answer_fax(&offer.offer, address, port, &attributes);
            answer.map(|(text, plan)| (text, plan.clone()))
        });
        let (text, plan) = answer.map_err(|error| raised(py, error))?;
        Ok((PyBytes::new(py, text.as_bytes()), plan.into()))
    }

    #[getter]
    fn local<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        let text = self.with(|state| state.local().map(str::to_owned));
        text.map(|text| PyBytes::new(py, text.as_bytes()))
    }

    #[getter]
    fn plan(&self, py: Python<'_>) -> PyResult<Option<Py<PyMediaPlan>>> {
        self.standing(py)
    }

    #[getter]
    fn offer_pending(&self) -> bool {
        self.with(|state| state.offer_pending())
    }

    /// For another early dialog of the same INVITE.
    fn fork(&self) -> PyResult<PySessionDescriber> {
        let secret = secret()?;
        Ok(self.with(|state| state.fork(secret)).into())
    }
}

fn security(srtp: &str, keys_may_cross: bool, suites: Option<Vec<String>>) -> PyResult<Security> {
    let policy = match srtp {
        "never" => Policy::Never,
        "offered" => Policy::Offered,
        "required" => Policy::Required,
        _ => return Err(PyValueError::new_err(format!("no policy of SRTP: {srtp:?}"))),
    };
    let named = |name: &String| Suite::named(name).ok_or_else(|| PyValueError::new_err(format!("no suite of SRTP: {name:?}")));
    let suites = suites.map_or_else(|| Ok(SUITES.to_vec()), |names| names.iter().map(named).collect())?;
    Ok(Security {
        policy,
        keys_may_cross,
        suites,
    })
}

/// What the keys of one leg are made of.
fn secret() -> PyResult<Zeroizing<[u8; 32]>> {
    let mut secret = Zeroizing::new([0; 32]);
    rustix::rand::getrandom(secret.as_mut_slice(), rustix::rand::GetRandomFlags::empty()).map_err(std::io::Error::from)?;
    Ok(secret)
}

/// The codecs that a description names which describes no session.
#[pyfunction]
fn read_capabilities(py: Python<'_>, body: &[u8]) -> PyResult<Vec<PyCodec>> {
    let codecs = trunkline_sip::sdp::read_capabilities(body).map_err(|error| raised(py, error.into()))?;
    Ok(codecs.into_iter().map(PyCodec).collect())
}

/// Add this file's classes and functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    // The stub's alias, so that annotations can be evaluated at run time; stubtest wants a union.
    let typing = module.py().import("typing")?;
    let literal = typing.getattr("Literal")?;
    let names = ["sendrecv", "sendonly", "recvonly", "inactive"].map(|name| literal.get_item(name));
    let names = PyTuple::new(module.py(), names.into_iter().collect::<PyResult<Vec<_>>>()?)?;
    module.add("Direction", typing.getattr("Union")?.get_item(names)?)?;
    module.add("NegotiationError", negotiation_error_class(module.py())?)?;
    module.add_function(wrap_pyfunction!(read_capabilities, module)?)?;
    module.add_class::<PyCodec>()?;
    module.add_class::<PyFax>()?;
    module.add_class::<PySrtpKeys>()?;
    module.add_class::<PyMediaPlan>()?;
    module.add_class::<PyRemoteOffer>()?;
    module.add_class::<PySessionDescriber>()
}
