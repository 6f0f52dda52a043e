//! The endpoint: listeners, connections, transactions, dialogs and timers behind one sans-IO face.
//!
//! The engine's shell (or the virtual network) hands in packets, commands and time; it takes out bytes to send and events for Python. What a
//! request becomes is in `request`, what Python's commands do in `command` and `send`, what the transaction machines order in `client` and
//! `server`. Everything "below the line" of the design happens here: repeats, 100, CANCEL, merged requests, challenges, shedding.

mod challenge;
mod client;
pub mod command;
pub mod config;
mod connections;
mod dialogs;
pub mod event;
mod forks;
mod large;
mod listeners;
mod matching;
mod network;
mod output;
mod reliable;
mod request;
mod respond;
mod response;
mod send;
mod server;
mod strangers;
mod timers;

use std::net::SocketAddr;

pub use command::{ChallengeMode, Command, Network, NetworkError};
pub use config::Config;
pub use event::{Counters, Event, ServerTransaction, Transmit};

use crate::build::Defaults;
use crate::flow::{ConnectionId, Transport};
use crate::message::Limits;
use crate::nonce::NonceBook;
use crate::time::Time;
use crate::token::{Minter, mac};
use crate::transaction::Timing;
use timers::Alarm;

/// The number of a listener.
pub type ListenerId = u64;

/// The state machines of one SIP endpoint.
pub struct Endpoint {
    limits: Limits,
    defaults: Defaults,
    timing: Timing,
    minter: Minter,
    tag_key: [u8; 32],
    listeners: listeners::Listeners,
    connections: connections::Connections,
    keep_alives: connections::KeepAlives,
    clients: client::Clients,
    servers: server::Servers,
    dialogs: dialogs::Dialogs,
    policy: challenge::Policy,
    nonces: NonceBook,
    refusals: large::Refusals,
    strangers: strangers::Strangers,
    timers: timers::Timers,
    output: output::Output,
    overloaded: bool,
}

impl Endpoint {
    /// An endpoint without listeners, whose tokens and nonces follow from `seed`.
    #[must_use]
    pub fn new(config: Config, seed: [u8; 32]) -> Self {
        Endpoint {
            limits: Limits {
                max_bytes: config.max_message_bytes,
                ..Limits::default()
            },
            defaults: Defaults {
                user_agent: config.user_agent,
            },
            timing: Timing::new(config.t1),
            minter: Minter::new(&seed, "endpoint", config.node, config.worker),
            tag_key: mac(&seed, &[b"trunkline stateless tag"]),
            listeners: listeners::Listeners::new(config.advertise),
            connections: connections::Connections::default(),
            keep_alives: connections::KeepAlives::default(),
            clients: client::Clients::default(),
            servers: server::Servers::default(),
            dialogs: dialogs::Dialogs::default(),
            policy: challenge::Policy::default(),
            nonces: NonceBook::new(&seed, config::MAX_NONCES),
            refusals: large::Refusals::default(),
            strangers: strangers::Strangers::default(),
            timers: timers::Timers::default(),
            output: output::Output::new(config.event_queue),
            overloaded: false,
        }
    }

    /// Make an address known that we listen at.
    pub fn add_listener(&mut self, transport: Transport, address: SocketAddr) -> ListenerId {
        self.listeners.add(transport, address)
    }

    /// Forget a listener; what came by it is still answered.
    pub fn remove_listener(&mut self, listener: ListenerId) {
        self.listeners.remove(listener);
    }

    /// The next bytes to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.output.poll_transmit()
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.output.poll_event()
    }

    /// How many events were taken by `poll_event` and wait outside for Python.
    pub fn set_backlog(&mut self, waiting: usize) {
        self.output.set_backlog(waiting);
    }

    /// When `handle_timeout` wants to be called.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Time> {
        self.timers.next()
    }

    /// Do what is due by `now`.
    pub fn handle_timeout(&mut self, now: Time) {
        while let Some(alarm) = self.timers.due(now) {
            match alarm {
                Alarm::Client(id, timer) => self.client_timer(now, id, timer),
                Alarm::Server(id, timer) => self.server_timer(now, id, timer),
                Alarm::KeepAlive(id) => self.send_keep_alive(now, id),
                Alarm::Shed => self.tell_turned_away(now),
                Alarm::Strangers => self.tell_strangers(now),
            }
        }
    }

    /// Media legs to stop: their BYE was answered here.
    pub fn take_stopped_legs(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.output.stopped_legs)
    }

    /// Connections to close: by command, because their stream is no SIP, or because there are too many.
    pub fn take_closed_connections(&mut self) -> Vec<ConnectionId> {
        std::mem::take(&mut self.output.closed)
    }

    /// Totals and live counts.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        Counters {
            client_transactions: count(self.clients.len()),
            server_transactions: count(self.servers.len()),
            dialogs: count(self.dialogs.len()),
            connections: count(self.connections.len()),
            timers: count(self.timers.len()),
            nonces: count(self.nonces.len()),
            ..self.output.totals
        }
    }
}
