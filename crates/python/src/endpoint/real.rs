//! The real endpoint: a handle of the SIP thread.

use std::io;

use pyo3::exceptions::{PyOSError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyDict, PyMapping};
use trunkline_engine::sip::{Engine, Options, random_seed};

use super::{Driver, EndpointCommands, Listener, address, config, counted, events, networks, transport};

/// The real endpoint: one thread, its sockets, its clock.
#[pyclass(frozen, extends = EndpointCommands, module = "_trunkline")]
pub struct SipEndpoint;

/// The engine of an endpoint.
fn engine<'a>(endpoint: &'a Bound<'_, SipEndpoint>) -> PyResult<&'a Engine> {
    match &endpoint.as_super().get().driver {
        Driver::Real(engine) => Ok(engine),
        Driver::SansIo(_) => Err(PyTypeError::new_err("not a real endpoint")),
    }
}

/// The system's error with its number, as `socket` raises it.
fn os_error(error: &io::Error) -> PyErr {
    let words = error.to_string();
    match error.raw_os_error() {
        Some(number) => PyOSError::new_err((number, words.split(" (os error").next().unwrap_or_default().to_owned())),
        None => PyOSError::new_err(words),
    }
}

#[pymethods]
impl SipEndpoint {
    #[new]
    #[pyo3(signature = (*, node = 0, worker = 0, user_agent = None, t1_s = 0.5, event_queue = 8192, max_message_bytes = 65_535,
        flood_rate = 500.0, flood_burst = 2_000.0, flood_exempt = Vec::new(), max_connections = 4_096, advertise = None),
        text_signature = "(*, node=0, worker=0, user_agent=None, t1_s=0.5, event_queue=8192, max_message_bytes=65535, flood_rate=500.0, \
        flood_burst=2000.0, flood_exempt=(), max_connections=4096, advertise=None)")]
    #[allow(clippy::too_many_arguments, reason = "the contract's")]
    fn new(
        node: u16,
        worker: u16,
        user_agent: Option<String>,
        t1_s: f64,
        event_queue: usize,
        max_message_bytes: usize,
        flood_rate: f64,
        flood_burst: f64,
        flood_exempt: Vec<String>,
        max_connections: usize,
        advertise: Option<&Bound<'_, PyMapping>>,
    ) -> PyResult<PyClassInitializer<Self>> {
        let config = config(node, worker, user_agent, t1_s, event_queue, max_message_bytes, advertise)?;
        let t1 = config.t1;
        let options = Options {
            config,
            flood_rate,
            flood_burst,
            flood_exempt: networks(&flood_exempt)?,
            max_connections,
            ..Options::default()
        };
        let seed = random_seed().map_err(|error| os_error(&error))?;
        let engine = Engine::start(options).map_err(|error| os_error(&error))?;
        let commands = EndpointCommands::new(Driver::Real(engine), &seed, node, worker, t1);
        Ok(PyClassInitializer::from(commands).add_subclass(SipEndpoint))
    }

    /// Open a listener; OSError as the system gives it.
    #[pyo3(signature = (transport, host, port))]
    fn listen(slf: &Bound<'_, Self>, transport: &str, host: &str, port: u16) -> PyResult<Listener> {
        let engine = engine(slf)?;
        let transport = self::transport(transport)?;
        let address = address(host, port)?;
        let bound = slf
            .py()
            .detach(|| engine.listen(transport, address))
            .map_err(|error| os_error(&error))?;
        Ok(Listener::new(transport, bound.local, bound.id))
    }

    /// Close a listener and its socket; connections that it accepted stay.
    fn close_listener(slf: &Bound<'_, Self>, listener: &Bound<'_, Listener>) -> PyResult<()> {
        let engine = engine(slf)?;
        let id = listener.get().id;
        slf.py().detach(|| engine.close_listener(id));
        Ok(())
    }

    /// Replace the networks that the flood guard never limits.
    fn set_flood_exempt(slf: &Bound<'_, Self>, networks: Vec<String>) -> PyResult<()> {
        let engine = engine(slf)?;
        let networks = self::networks(&networks)?;
        slf.py().detach(|| engine.set_flood_exempt(networks));
        Ok(())
    }

    /// The descriptor that is readable while events wait.
    fn fileno(slf: &Bound<'_, Self>) -> PyResult<i32> {
        Ok(engine(slf)?.event_fd())
    }

    /// Take at most `limit` events.
    #[pyo3(signature = (limit = 512))]
    fn drain(slf: &Bound<'_, Self>, limit: usize) -> PyResult<Vec<Py<PyAny>>> {
        events::objects(slf.py(), engine(slf)?.drain(limit))
    }

    /// Let commands wait until `release`: several of them then cost one wake-up of the thread.
    fn hold(slf: &Bound<'_, Self>) -> PyResult<()> {
        engine(slf)?.hold();
        Ok(())
    }

    /// Have what waits done now, and what follows at once again.
    fn release(slf: &Bound<'_, Self>) -> PyResult<()> {
        engine(slf)?.release();
        Ok(())
    }

    /// Totals and live counts.
    fn counters<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyDict>> {
        let engine = engine(slf)?;
        counted(&slf.py().detach(|| engine.counters())).into_py_dict(slf.py())
    }

    /// Stop the thread and close every socket; waits for it.
    fn close(slf: &Bound<'_, Self>) -> PyResult<()> {
        let engine = engine(slf)?;
        slf.py().detach(|| engine.close());
        Ok(())
    }
}
