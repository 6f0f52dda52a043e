//! The sans-IO endpoint: the same state machines with time and packets as arguments, for the virtual network and clock.

use std::sync::{Mutex, MutexGuard};

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyBytes, PyDict, PyMapping};
use trunkline_sip::endpoint::{Command, Endpoint, Event};
use trunkline_sip::time::Time;

use super::{Driver, EndpointCommands, Listener, address, config, counted, events, lock, transport};
use crate::flow::PyFlow as Flow;

/// An endpoint and the time that it was told.
pub struct Machine {
    endpoint: Endpoint,
    now: Time,
}

impl Machine {
    /// Do what Python asks, now.
    pub fn command(&mut self, command: Command) {
        self.endpoint.command(self.now, command);
    }
}

/// Seconds on the caller's clock.
#[allow(clippy::cast_precision_loss, reason = "microseconds of centuries fit")]
pub(super) fn seconds(time: Time) -> f64 {
    time.as_micros() as f64 / 1e6
}

fn time(seconds: f64) -> PyResult<Time> {
    let micros = (seconds * 1e6).round();
    if !(0.0..9e15).contains(&micros) {
        return Err(PyValueError::new_err("a time is zero or later"));
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
    let micros = micros as u64;
    Ok(Time::from_micros(micros))
}

/// The same state machines with time and packets as arguments. Listeners are plain addresses.
#[pyclass(frozen, extends = EndpointCommands, module = "_trunkline")]
pub struct SansIoEndpoint;

/// The machine of an endpoint.
fn machine<'a>(endpoint: &'a Bound<'_, SansIoEndpoint>) -> PyResult<MutexGuard<'a, Machine>> {
    match &endpoint.as_super().get().driver {
        Driver::SansIo(machine) => Ok(lock(machine)),
        Driver::Real(_) => Err(PyTypeError::new_err("not a sans-IO endpoint")),
    }
}

#[pymethods]
impl SansIoEndpoint {
    #[new]
    #[pyo3(signature = (*, seed, node = 0, worker = 0, user_agent = None, t1_s = 0.5, event_queue = 8192, max_message_bytes = 65_535,
        advertise = None))]
    #[allow(clippy::too_many_arguments, reason = "the contract's")]
    fn new(
        seed: u64,
        node: u16,
        worker: u16,
        user_agent: Option<String>,
        t1_s: f64,
        event_queue: usize,
        max_message_bytes: usize,
        advertise: Option<&Bound<'_, PyMapping>>,
    ) -> PyResult<PyClassInitializer<Self>> {
        let config = config(node, worker, user_agent, t1_s, event_queue, max_message_bytes, advertise)?;
        let mut bytes = [0; 32];
        bytes.iter_mut().zip(seed.to_be_bytes()).for_each(|(byte, digit)| *byte = digit);
        let t1 = config.t1;
        let machine = Machine {
            endpoint: Endpoint::new(config, bytes),
            now: Time::ZERO,
        };
        let commands = EndpointCommands::new(Driver::SansIo(Box::new(Mutex::new(machine))), &bytes, node, worker, t1);
        Ok(PyClassInitializer::from(commands).add_subclass(SansIoEndpoint))
    }

    /// Make an address known that we listen at.
    fn add_listener(slf: &Bound<'_, Self>, transport: &str, host: &str, port: u16) -> PyResult<Listener> {
        let (transport, address) = (self::transport(transport)?, address(host, port)?);
        let id = machine(slf)?.endpoint.add_listener(transport, address);
        Ok(Listener::new(transport, address, id))
    }

    /// Everything that follows happens at this time; it never goes back.
    fn set_time(slf: &Bound<'_, Self>, now_s: f64) -> PyResult<()> {
        let mut machine = machine(slf)?;
        machine.now = machine.now.max(time(now_s)?);
        Ok(())
    }

    /// A datagram, or the next bytes of a connection's stream.
    fn receive(slf: &Bound<'_, Self>, flow: &Bound<'_, Flow>, data: &[u8]) -> PyResult<()> {
        let mut machine = machine(slf)?;
        let now = machine.now;
        machine.endpoint.receive(now, flow.get().inner(), data);
        Ok(())
    }

    /// A connection was accepted or established.
    fn flow_opened(slf: &Bound<'_, Self>, flow: &Bound<'_, Flow>) -> PyResult<()> {
        let mut machine = machine(slf)?;
        let now = machine.now;
        machine.endpoint.flow_opened(now, flow.get().inner());
        Ok(())
    }

    /// A connection is gone.
    fn flow_closed(slf: &Bound<'_, Self>, flow: &Bound<'_, Flow>, reason: String) -> PyResult<()> {
        let mut machine = machine(slf)?;
        let now = machine.now;
        machine.endpoint.flow_closed(now, flow.get().inner(), reason);
        Ok(())
    }

    /// Bytes for this flow could not be sent.
    fn send_failed(slf: &Bound<'_, Self>, flow: &Bound<'_, Flow>, reason: String) -> PyResult<()> {
        let mut machine = machine(slf)?;
        let now = machine.now;
        machine.endpoint.send_failed(now, flow.get().inner(), reason);
        Ok(())
    }

    /// The next bytes to send.
    fn poll_transmit<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<(Flow, Bound<'py, PyBytes>)>> {
        let transmit = machine(slf)?.endpoint.poll_transmit();
        Ok(transmit.map(|transmit| (Flow::from(transmit.flow), PyBytes::new(slf.py(), &transmit.data))))
    }

    /// When `handle_timeout` wants to be called, on the clock of `set_time`.
    fn next_timeout(slf: &Bound<'_, Self>) -> PyResult<Option<f64>> {
        Ok(machine(slf)?.endpoint.next_timeout().map(seconds))
    }

    /// Do what is due.
    fn handle_timeout(slf: &Bound<'_, Self>) -> PyResult<()> {
        let mut machine = machine(slf)?;
        let now = machine.now;
        machine.endpoint.handle_timeout(now);
        Ok(())
    }

    /// Legs that answering BYEs stopped since the last call.
    fn stopped_legs(slf: &Bound<'_, Self>) -> PyResult<Vec<u64>> {
        Ok(machine(slf)?.endpoint.take_stopped_legs())
    }

    /// Connections that the endpoint wants closed since the last call.
    fn closed_connections(slf: &Bound<'_, Self>) -> PyResult<Vec<u64>> {
        Ok(machine(slf)?.endpoint.take_closed_connections())
    }

    /// Take at most `limit` events.
    #[pyo3(signature = (limit = 512))]
    fn drain(slf: &Bound<'_, Self>, limit: usize) -> PyResult<Vec<Py<PyAny>>> {
        let taken: Vec<Event> = {
            let mut machine = machine(slf)?;
            std::iter::from_fn(|| machine.endpoint.poll_event()).take(limit).collect()
        };
        events::objects(slf.py(), taken)
    }

    /// Totals and live counts.
    fn counters<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyDict>> {
        let counters = machine(slf)?.endpoint.counters();
        counted(&counters).into_py_dict(slf.py())
    }
}
