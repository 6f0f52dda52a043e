//! The endpoint: listeners, connections, transactions, dialogs and timers behind one sans-IO face.
//!
//! The engine's shell (or the virtual network) hands in packets, commands and time; it takes out bytes to send and events for Python.

pub mod command;
pub mod config;
pub mod event;

use std::net::SocketAddr;

pub use command::{ChallengeMode, Command, Network};
pub use config::Config;
pub use event::{Counters, Event, ServerTransaction, Transmit};

use crate::flow::{ConnectionId, Flow, Transport};
use crate::time::Time;

/// The number of a listener.
pub type ListenerId = u64;

/// The state machines of one SIP endpoint.
pub struct Endpoint {
    config: Config,
}

impl Endpoint {
    /// An endpoint without listeners, whose tokens and nonces follow from `seed`.
    #[must_use]
    pub fn new(config: Config, _seed: [u8; 32]) -> Self {
        Endpoint { config }
    }

    /// Make an address known that we listen at.
    pub fn add_listener(&mut self, _transport: Transport, _address: SocketAddr) -> ListenerId {
        0
    }

    /// Forget a listener.
    pub fn remove_listener(&mut self, _listener: ListenerId) {}

    /// Take a datagram, or (`flow.connection` not zero) the next bytes of a connection.
    pub fn receive(&mut self, _now: Time, _flow: Flow, _data: &[u8]) {}

    /// A connection was accepted or established.
    pub fn flow_opened(&mut self, _now: Time, _flow: Flow) {}

    /// A connection is gone.
    pub fn flow_closed(&mut self, _now: Time, _flow: Flow, _reason: String) {}

    /// Bytes for this flow could not be sent, or no connection could be opened.
    pub fn send_failed(&mut self, _now: Time, _flow: Flow, _reason: String) {}

    /// Do what Python asks.
    pub fn command(&mut self, _now: Time, _command: Command) {}

    /// The next bytes to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        None
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        None
    }

    /// How many events were taken by `poll_event` and wait outside for Python.
    pub fn set_backlog(&mut self, _waiting: usize) {}

    /// Messages that the flood guard dropped unread.
    pub fn count_flood(&mut self, _now: Time, _dropped: u64) {}

    /// When `handle_timeout` wants to be called.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Time> {
        None
    }

    /// Do what is due by `now`.
    pub fn handle_timeout(&mut self, _now: Time) {}

    /// Media legs to stop: their BYE was answered here.
    pub fn take_stopped_legs(&mut self) -> Vec<u64> {
        Vec::new()
    }

    /// Connections to close, by command or because their stream is no SIP.
    pub fn take_closed_connections(&mut self) -> Vec<ConnectionId> {
        Vec::new()
    }

    /// Totals and live counts.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters::default()
    }
}
