//! The SIP endpoint, real and sans-IO: their shared commands, the handles and the events.
//!
//! A command is checked, turned into data and queued; nothing here decides anything. `real` is the endpoint with a thread and sockets,
//! `sans_io` the one with time and packets as arguments, `events` the classes of what comes up.

mod events;
mod real;
mod sans_io;

use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyMapping;
use trunkline_engine::sip::Engine;
use trunkline_sip::build::{check_request, check_response};
use trunkline_sip::digest::Algorithm;
use trunkline_sip::endpoint::{ChallengeMode, Command, Config, Counters, Network};
use trunkline_sip::flow::Transport;
use trunkline_sip::token::Minter;

use crate::flow::{PyFlow as Flow, socket_addr, transport};
pub use events::ServerTransaction;

/// The default of `body`.
const NO_BODY: &[u8] = &[];

/// Header fields as Python gives them.
type HeaderList = Vec<(String, String)>;

/// What the commands go to.
enum Driver {
    Real(Engine),
    SansIo(Box<Mutex<sans_io::Machine>>),
}

/// The commands that the real and the sans-IO endpoint share.
#[pyclass(frozen, subclass, module = "_trunkline", name = "_EndpointCommands")]
pub struct EndpointCommands {
    driver: Driver,
    minter: Mutex<Minter>,
    last_tx: AtomicU64,
    t1: Duration,
}

impl EndpointCommands {
    fn new(driver: Driver, seed: &[u8; 32], node: u16, worker: u16, t1: Duration) -> Self {
        EndpointCommands {
            driver,
            minter: Mutex::new(Minter::new(seed, "python", node, worker)),
            last_tx: AtomicU64::new(0),
            t1,
        }
    }

    /// Queue a command. Waits, without the GIL, only while the SIP thread has very many to do.
    fn command(&self, py: Python<'_>, command: Command) {
        match &self.driver {
            Driver::Real(engine) => {
                if let Err(command) = engine.try_command(command) {
                    py.detach(|| engine.command(*command));
                }
            }
            Driver::SansIo(machine) => lock(machine).command(command),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[pymethods]
impl EndpointCommands {
    /// RFC 3261's T1, as it was built with.
    #[getter]
    fn t1_s(&self) -> f64 {
        self.t1.as_secs_f64()
    }

    /// Send a request in a new client transaction and return its id.
    #[pyo3(signature = (method, uri, headers, body, flow, *, timeout_s = None, large_over_tcp = true))]
    #[allow(clippy::too_many_arguments, reason = "the contract's")]
    fn send_request(
        &self,
        py: Python<'_>,
        method: String,
        uri: String,
        headers: HeaderList,
        body: &[u8],
        flow: &Bound<'_, Flow>,
        timeout_s: Option<f64>,
        large_over_tcp: bool,
    ) -> PyResult<u64> {
        check_request(&method, &uri, &headers).map_err(value_error)?;
        if matches!(method.as_str(), "ACK" | "CANCEL") {
            return Err(PyValueError::new_err("ACK and CANCEL have commands of their own"));
        }
        let timeout = timeout_s.map(duration).transpose()?;
        let tx = self.last_tx.fetch_add(1, Ordering::Relaxed) + 1;
        let body = Bytes::copy_from_slice(body);
        self.command(
            py,
            Command::SendRequest {
                tx,
                method,
                uri,
                headers,
                body,
                flow: flow.get().inner(),
                timeout,
                large_over_tcp,
            },
        );
        Ok(tx)
    }

    /// Send CANCEL for an INVITE of ours, held until a provisional arrives.
    #[pyo3(signature = (tx, headers = Vec::new()), text_signature = "(self, tx, headers=())")]
    fn cancel(&self, py: Python<'_>, tx: u64, headers: HeaderList) -> PyResult<()> {
        check_request("CANCEL", "sip:invalid", &headers).map_err(value_error)?;
        self.command(py, Command::Cancel { tx, headers });
        Ok(())
    }

    /// Answer a request; False when it was answered already.
    #[pyo3(
        signature = (tx, status, reason = None, headers = Vec::new(), body = NO_BODY, *, to_tag = None, reliable = false),
        text_signature = "(self, tx, status, reason=None, headers=(), body=b'', *, to_tag=None, reliable=False)"
    )]
    #[allow(clippy::too_many_arguments, reason = "the contract's")]
    fn respond(
        &self,
        py: Python<'_>,
        tx: &Bound<'_, ServerTransaction>,
        status: u16,
        reason: Option<String>,
        headers: HeaderList,
        body: &[u8],
        to_tag: Option<String>,
        reliable: bool,
    ) -> PyResult<bool> {
        if reliable && !(101..200).contains(&status) {
            return Err(PyValueError::new_err("only a response 101 to 199 can be reliable"));
        }
        check_response(status, reason.as_deref(), to_tag.as_deref(), &headers).map_err(value_error)?;
        let tx = tx.get().inner();
        let ours = if status >= 200 { tx.claim() } else { !tx.is_answered() };
        if ours {
            let body = Bytes::copy_from_slice(body);
            self.command(
                py,
                Command::Respond {
                    tx,
                    status,
                    reason,
                    headers,
                    body,
                    to_tag,
                    reliable,
                },
            );
        }
        Ok(ours)
    }

    /// Answer 401 with a fresh nonce.
    #[pyo3(signature = (tx, *, stale = false))]
    fn challenge(&self, py: Python<'_>, tx: &Bound<'_, ServerTransaction>, stale: bool) -> bool {
        let tx = tx.get().inner();
        let ours = tx.claim();
        if ours {
            self.command(py, Command::Challenge { tx, stale });
        }
        ours
    }

    /// Send the ACK to a 2xx of our INVITE; kept, and replayed to each repeat of that 2xx.
    #[allow(clippy::too_many_arguments, reason = "the contract's")]
    fn send_ack(
        &self,
        py: Python<'_>,
        tx: u64,
        to_tag: String,
        uri: String,
        headers: HeaderList,
        body: &[u8],
        flow: &Bound<'_, Flow>,
    ) -> PyResult<()> {
        check_request("ACK", &uri, &headers).map_err(value_error)?;
        let body = Bytes::copy_from_slice(body);
        self.command(
            py,
            Command::SendAck {
                tx,
                to_tag,
                uri,
                headers,
                body,
                flow: flow.get().inner(),
            },
        );
        Ok(())
    }

    /// Make a dialog known.
    #[pyo3(signature = (call_id, local_tag, remote_tag, *, remote_cseq = 0, leg = 0))]
    fn add_dialog(&self, py: Python<'_>, call_id: String, local_tag: String, remote_tag: String, remote_cseq: u32, leg: u64) {
        self.command(
            py,
            Command::AddDialog {
                call_id,
                local_tag,
                remote_tag,
                remote_cseq,
                leg,
            },
        );
    }

    /// Forget a dialog: its requests get 481.
    fn remove_dialog(&self, py: Python<'_>, call_id: String, local_tag: String, remote_tag: String) {
        self.command(
            py,
            Command::RemoveDialog {
                call_id,
                local_tag,
                remote_tag,
            },
        );
    }

    /// Close a connection.
    fn close_flow(&self, py: Python<'_>, connection: u64) {
        self.command(py, Command::CloseFlow { connection });
    }

    /// Send CRLF keep-alives over a flow; 0 stops them.
    fn keep_alive(&self, py: Python<'_>, flow: &Bound<'_, Flow>, interval_s: f64) -> PyResult<()> {
        let interval = duration(interval_s)?;
        self.command(
            py,
            Command::KeepAlive {
                flow: flow.get().inner(),
                interval,
            },
        );
        Ok(())
    }

    /// A From or To tag.
    fn mint_tag(&self) -> String {
        lock(&self.minter).tag()
    }

    /// A Call-ID.
    fn mint_call_id(&self) -> String {
        lock(&self.minter).call_id()
    }

    /// A Contact user part or parameter: node and worker id, then 64 random bits.
    fn mint_token(&self) -> String {
        lock(&self.minter).token()
    }

    /// Whom Rust challenges, per method.
    #[pyo3(signature = (realm, modes, trusted_networks, trusted_tokens, *, algorithm = "MD5", nonce_lifetime_s = 300.0))]
    #[allow(clippy::too_many_arguments, reason = "the contract's")]
    fn set_challenge(
        &self,
        py: Python<'_>,
        realm: String,
        modes: &Bound<'_, PyMapping>,
        trusted_networks: Vec<String>,
        trusted_tokens: Vec<String>,
        algorithm: &str,
        nonce_lifetime_s: f64,
    ) -> PyResult<()> {
        if realm.bytes().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            return Err(PyValueError::new_err("the realm has CR, LF or NUL"));
        }
        let modes = pairs(modes)?
            .into_iter()
            .map(|(method, mode)| Ok((method, challenge_mode(&mode)?)))
            .collect::<PyResult<_>>()?;
        let trusted_networks = networks(&trusted_networks)?;
        let algorithm =
            Algorithm::from_token(algorithm).ok_or_else(|| PyValueError::new_err(format!("unknown digest algorithm {algorithm:?}")))?;
        let lifetime = duration(nonce_lifetime_s)?;
        self.command(
            py,
            Command::SetChallenge {
                realm,
                modes,
                trusted_networks,
                trusted_tokens,
                algorithm,
                lifetime,
            },
        );
        Ok(())
    }

    /// Shed new requests outside of dialogs, whatever waits.
    fn set_overloaded(&self, py: Python<'_>, overloaded: bool) {
        self.command(py, Command::SetOverloaded(overloaded));
    }

    /// Tell every message as `Traced`.
    fn set_trace(&self, py: Python<'_>, enabled: bool) {
        self.command(py, Command::SetTrace(enabled));
    }
}

/// An open listening socket; frozen.
#[pyclass(frozen, get_all, module = "_trunkline")]
pub struct Listener {
    transport: &'static str,
    host: String,
    port: u16,
    id: u64,
}

#[pymethods]
impl Listener {
    fn __repr__(&self) -> String {
        format!("<Listener {} {} {}>", self.transport, self.host, self.port)
    }
}

impl Listener {
    fn new(transport: Transport, address: SocketAddr, id: u64) -> Self {
        let host = address.ip().to_string();
        let transport = match transport {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
        };
        Listener {
            transport,
            host,
            port: address.port(),
            id,
        }
    }
}

// --- arguments ---

fn value_error(error: impl std::fmt::Display) -> PyErr {
    PyValueError::new_err(error.to_string())
}

fn duration(seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds).map_err(value_error)
}

fn address(host: &str, port: u16) -> PyResult<SocketAddr> {
    socket_addr((host.to_owned(), port))
}

fn networks(texts: &[String]) -> PyResult<Vec<Network>> {
    texts.iter().map(|text| Network::from_str(text).map_err(value_error)).collect()
}

fn challenge_mode(name: &str) -> PyResult<ChallengeMode> {
    match name {
        "everybody" => Ok(ChallengeMode::Everybody),
        "strangers" => Ok(ChallengeMode::Strangers),
        "nobody" => Ok(ChallengeMode::Nobody),
        _ => Err(PyValueError::new_err(format!(
            "unknown challenge mode {name:?}: \"everybody\", \"strangers\" or \"nobody\""
        ))),
    }
}

fn pairs(mapping: &Bound<'_, PyMapping>) -> PyResult<Vec<(String, String)>> {
    mapping.items()?.extract()
}

/// The endpoint's settings out of those that both constructors take.
#[allow(clippy::too_many_arguments, reason = "the contract's")]
fn config(
    node: u16,
    worker: u16,
    user_agent: Option<String>,
    t1_s: f64,
    event_queue: usize,
    max_message_bytes: usize,
    advertise: Option<&Bound<'_, PyMapping>>,
) -> PyResult<Config> {
    if user_agent
        .as_deref()
        .is_some_and(|agent| agent.bytes().any(|byte| matches!(byte, b'\r' | b'\n' | 0)))
    {
        return Err(PyValueError::new_err("the user agent has CR, LF or NUL"));
    }
    let t1 = duration(t1_s)?;
    if t1.is_zero() {
        return Err(PyValueError::new_err("t1_s is zero"));
    }
    let advertise = advertise.map(pairs).transpose()?.unwrap_or_default();
    let advertise = advertise
        .iter()
        .map(|(from, to)| Ok((address(from, 0)?.ip(), address(to, 0)?.ip())))
        .collect::<PyResult<_>>()?;
    Ok(Config {
        node,
        worker,
        user_agent,
        t1,
        event_queue,
        max_message_bytes,
        advertise,
    })
}

/// The counters under their names in the contract.
fn counted(counters: &Counters) -> [(&'static str, u64); 13] {
    [
        ("received", counters.received),
        ("sent", counters.sent),
        ("retransmitted", counters.retransmitted),
        ("malformed", counters.malformed),
        ("flood_dropped", counters.flood_dropped),
        ("shed", counters.shed),
        ("challenged", counters.challenged),
        ("client_transactions", counters.client_transactions),
        ("server_transactions", counters.server_transactions),
        ("dialogs", counters.dialogs),
        ("connections", counters.connections),
        ("timers", counters.timers),
        ("nonces", counters.nonces),
    ]
}

/// Add this file's classes and functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    events::register(module)?;
    module.add_class::<Listener>()?;
    module.add_class::<EndpointCommands>()?;
    module.add_class::<real::SipEndpoint>()?;
    module.add_class::<sans_io::SansIoEndpoint>()?;
    Ok(())
}
