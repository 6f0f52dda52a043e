//! Flow, and the addresses and transports that it is made of, as Python sees them.
//!
//! The event and command bindings in `endpoint`, `sdp` and `media` convert addresses here.

use std::net::{IpAddr, SocketAddr};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
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
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct PyFlow(Flow);

impl From<Flow> for PyFlow {
    fn from(flow: Flow) -> Self {
        PyFlow(flow)
    }
}

#[pymethods]
impl PyFlow {
    #[new]
    #[pyo3(signature = (transport, remote, local=None, connection=0))]
    fn new(transport: &str, remote: Address, local: Option<Address>, connection: ConnectionId) -> PyResult<PyFlow> {
        let (transport, remote) = (self::transport(transport)?, socket_addr(remote)?);
        Ok(PyFlow(Flow {
            transport,
            remote,
            local: local.map(socket_addr).transpose()?,
            connection,
        }))
    }

    #[getter]
    fn transport(&self) -> &'static str {
        transport_name(self.0.transport)
    }

    #[getter]
    fn remote(&self) -> Address {
        address(self.0.remote)
    }

    #[getter]
    fn local(&self) -> Option<Address> {
        self.0.local.map(address)
    }

    #[getter]
    fn connection(&self) -> ConnectionId {
        self.0.connection
    }

    fn __repr__(&self) -> String {
        let local = self.0.local.map_or_else(|| "None".to_owned(), |local| format!("\"{local}\""));
        format!(
            "Flow({:?}, \"{}\", {local}, {})",
            transport_name(self.0.transport),
            self.0.remote,
            self.0.connection
        )
    }
}

impl PyFlow {
    /// The Rust value.
    pub(crate) fn inner(&self) -> Flow {
        self.0
    }
}

/// Add this file's class to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyFlow>()
}
