//! Flow, and the addresses and transports that it is made of, as Python sees them.
//!
//! The event and command bindings in `endpoint`, `sdp` and `media` convert addresses here.

use std::net::{IpAddr, SocketAddr};

use std::hash::{Hash, Hasher};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyTuple;
use trunkline_sip::flow::{ConnectionId, Flow, Transport};

/// An IP address in text and a port.
pub(crate) type Address = (String, u16);

/// The address as Python sees it.
pub(crate) fn address(address: SocketAddr) -> Address {
    (address.ip().to_string(), address.port())
}

/// The address that Python gave; ValueError unless it is an IP address in text.
pub(crate) fn socket_addr((host, port): Address) -> PyResult<SocketAddr> {
    let ip: IpAddr = host
        .parse()
        .map_err(|_| PyValueError::new_err(format!("not an IP address: {host:?}")))?;
    Ok(SocketAddr::new(ip, port))
}

/// The transport that Python named; ValueError for an unknown one.
pub(crate) fn transport(name: &str) -> PyResult<Transport> {
    match name {
        "udp" => Ok(Transport::Udp),
        "tcp" => Ok(Transport::Tcp),
        _ => Err(PyValueError::new_err(format!("no transport: {name:?}; \"udp\" or \"tcp\""))),
    }
}

/// The name of a transport in Python.
pub(crate) fn transport_name(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "udp",
        Transport::Tcp => "tcp",
    }
}

/// Where a message came from or goes to.
#[pyclass(frozen, eq, hash, module = "_trunkline", name = "Flow")]
pub(crate) struct PyFlow {
    flow: Flow,
    /// Their address in Python, once it was asked for: it is asked for often, and text is dear.
    remote: PyOnceLock<Py<PyTuple>>,
    /// Ours, likewise.
    local: PyOnceLock<Py<PyTuple>>,
}

impl From<Flow> for PyFlow {
    fn from(flow: Flow) -> Self {
        PyFlow {
            flow,
            remote: PyOnceLock::new(),
            local: PyOnceLock::new(),
        }
    }
}

impl PartialEq for PyFlow {
    fn eq(&self, other: &Self) -> bool {
        self.flow == other.flow
    }
}

impl Eq for PyFlow {}

impl Hash for PyFlow {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.flow.hash(state);
    }
}

/// An address as Python sees it, made once.
fn kept<'py>(py: Python<'py>, once: &PyOnceLock<Py<PyTuple>>, at: SocketAddr) -> PyResult<Bound<'py, PyTuple>> {
    let tuple = once.get_or_try_init(py, || address(at).into_pyobject(py).map(Bound::unbind))?;
    Ok(tuple.bind(py).clone())
}

#[pymethods]
impl PyFlow {
    #[new]
    #[pyo3(signature = (transport, remote, local=None, connection=0))]
    fn new(transport: &str, remote: Address, local: Option<Address>, connection: ConnectionId) -> PyResult<PyFlow> {
        let (transport, remote) = (self::transport(transport)?, socket_addr(remote)?);
        Ok(PyFlow::from(Flow {
            transport,
            remote,
            local: local.map(socket_addr).transpose()?,
            connection,
        }))
    }

    #[getter]
    fn transport(&self) -> &'static str {
        transport_name(self.flow.transport)
    }

    #[getter]
    fn remote<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        kept(py, &self.remote, self.flow.remote)
    }

    #[getter]
    fn local<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        self.flow.local.map(|at| kept(py, &self.local, at)).transpose()
    }

    #[getter]
    fn connection(&self) -> ConnectionId {
        self.flow.connection
    }

    fn __repr__(&self) -> String {
        let local = self.flow.local.map_or_else(|| "None".to_owned(), |local| format!("\"{local}\""));
        format!(
            "Flow({:?}, \"{}\", {local}, {})",
            transport_name(self.flow.transport),
            self.flow.remote,
            self.flow.connection
        )
    }
}

impl PyFlow {
    /// The Rust value.
    pub(crate) fn inner(&self) -> Flow {
        self.flow
    }
}

/// Add this file's class to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyFlow>()
}
