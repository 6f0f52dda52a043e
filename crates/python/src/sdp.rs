//! The session description classes: RemoteOffer, SessionDescriber and NegotiationError, each around its Rust type.
//!
//! Dialogs in Python drive the describer; what is agreed is in `media_plan`.

use std::sync::{Mutex, PoisonError};

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyTuple, PyType};
use trunkline_sip::message::ParseError;
use trunkline_sip::sdp::{Codec, DescribeError, Describer, Direction, FaxAttribute, Ours, Policy, RemoteOffer, SUITES, Security, Suite};
use zeroize::Zeroizing;

use crate::flow::Address;
use crate::media_plan::{PyCodec, PyFax, PyMediaPlan, kept_codecs, optional_address};
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
        self.offer.fax().cloned().map(PyFax::from)
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
    Ok(codecs.into_iter().map(PyCodec::from).collect())
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
    module.add_class::<PyRemoteOffer>()?;
    module.add_class::<PySessionDescriber>()
}
