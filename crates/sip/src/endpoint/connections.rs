//! The open stream connections, each with its framer, and the keep-alives that run over flows (RFC 3261 §18, RFC 5626 §4.4.1).

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::config::{MAX_CONNECTIONS, MAX_KEEP_ALIVES};
use crate::flow::{ConnectionId, Flow};
use crate::message::Limits;
use crate::stream::Framer;

/// What a keep-alive is.
pub(super) const PING: &[u8] = b"\r\n\r\n";
/// What answers it on a stream.
pub(super) const PONG: &[u8] = b"\r\n";

/// One connection.
pub(super) struct Connection {
    pub(super) flow: Flow,
    pub(super) framer: Framer,
    /// Python was told that it opened.
    pub(super) told: bool,
}

/// All connections.
#[derive(Default)]
pub(super) struct Connections {
    open: HashMap<ConnectionId, Connection>,
    /// The newest connection to each peer.
    by_remote: HashMap<SocketAddr, ConnectionId>,
}

impl Connections {
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// Note a connection; false when there are too many already.
    pub(super) fn insert(&mut self, flow: Flow, limits: Limits, told: bool) -> bool {
        if self.open.len() >= MAX_CONNECTIONS {
            return false;
        }
        self.open.insert(
            flow.connection,
            Connection {
                flow,
                framer: Framer::new(limits),
                told,
            },
        );
        self.by_remote.insert(flow.remote, flow.connection);
        true
    }

    pub(super) fn remove(&mut self, id: ConnectionId) -> Option<Connection> {
        let connection = self.open.remove(&id)?;
        if self.by_remote.get(&connection.flow.remote) == Some(&id) {
            self.by_remote.remove(&connection.flow.remote);
        }
        Some(connection)
    }

    pub(super) fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.open.get_mut(&id)
    }

    pub(super) fn is_open(&self, id: ConnectionId) -> bool {
        self.open.contains_key(&id)
    }

    /// The flow of an open connection to a peer.
    pub(super) fn to(&self, remote: &SocketAddr) -> Option<Flow> {
        self.by_remote
            .get(remote)
            .and_then(|id| self.open.get(id))
            .map(|connection| connection.flow)
    }
}

/// The keep-alives that run.
#[derive(Default)]
pub(super) struct KeepAlives {
    running: HashMap<u64, (Flow, Duration)>,
    by_flow: HashMap<Flow, u64>,
    last: u64,
}

impl KeepAlives {
    /// Start or change one; its number, or `None` when there are too many.
    pub(super) fn start(&mut self, flow: Flow, interval: Duration) -> Option<u64> {
        if !self.by_flow.contains_key(&flow) && self.running.len() >= MAX_KEEP_ALIVES {
            return None;
        }
        let id = *self.by_flow.entry(flow).or_insert_with(|| {
            self.last += 1;
            self.last
        });
        self.running.insert(id, (flow, interval));
        Some(id)
    }

    /// Stop one; its number.
    pub(super) fn stop(&mut self, flow: &Flow) -> Option<u64> {
        let id = self.by_flow.remove(flow)?;
        self.running.remove(&id);
        Some(id)
    }

    /// The flow and pause of a running one.
    pub(super) fn get(&self, id: u64) -> Option<(Flow, Duration)> {
        self.running.get(&id).copied()
    }
}
