//! Requests too large for a datagram (RFC 3261 §18.1.1): sent over TCP, and over UDP after all where TCP leads nowhere.
//!
//! The choice is made for each request: its dialog stays on the flow that Python named, and the response is told as of that flow. A peer
//! that refuses TCP, or does not answer in time, is remembered for a while, so that the next large request to it loses no time.

use std::collections::HashMap;
use std::net::SocketAddr;

use super::Endpoint;
use super::client::{Cause, Way};
use super::config::{MAX_DATAGRAM_REQUEST, MAX_REFUSALS, REFUSED_FOR};
use super::send::Outgoing;
use super::timers::Alarm;
use crate::flow::{Flow, Transport};
use crate::time::Time;
use crate::transaction::{Input, State, Timer};

/// The peers that have no TCP, each until when that is believed.
#[derive(Default)]
pub(super) struct Refusals(HashMap<SocketAddr, Time>);

impl Refusals {
    /// Note that a peer refused. At the bound those of the past are forgotten, then all: that costs an attempt each.
    fn note(&mut self, now: Time, peer: SocketAddr) {
        if self.0.len() >= MAX_REFUSALS {
            self.0.retain(|_, until| *until > now);
        }
        if self.0.len() >= MAX_REFUSALS {
            self.0.clear();
        }
        self.0.insert(peer, now + REFUSED_FOR);
    }

    fn holds(&self, now: Time, peer: &SocketAddr) -> bool {
        self.0.get(peer).is_some_and(|until| *until > now)
    }
}

impl Endpoint {
    /// The same request over TCP, where it is too large for UDP and may move: we have a TCP listener to name in Via, and the peer has not
    /// refused of late.
    pub(super) fn enlarge(&mut self, now: Time, outgoing: &Outgoing, way: &Way) -> Option<Way> {
        let flow = way.flow;
        let moves = outgoing.large_over_tcp && flow.transport == Transport::Udp && way.data.len() > MAX_DATAGRAM_REQUEST;
        if !moves || self.refusals.holds(now, &flow.remote) {
            return None;
        }
        self.build_request(outgoing, over_tcp(flow)).ok()
    }

    /// The ACK to a 2xx moves only where a connection is open: it has no transaction that could fall back.
    pub(super) fn enlarge_ack(&mut self, id: u64, outgoing: &Outgoing, way: &Way) -> Option<Way> {
        let flow = way.flow;
        let moved = self
            .clients
            .get_mut(id)
            .is_some_and(|tx| tx.fallback.is_some() || tx.asked.is_some());
        let moves = moved && flow.transport == Transport::Udp && way.data.len() > MAX_DATAGRAM_REQUEST;
        if !moves || self.connections.to(&flow.remote).is_none() {
            return None;
        }
        self.build_request(outgoing, over_tcp(flow)).ok()
    }

    /// TCP failed before any response came: send the request as a datagram after all. False where it had never moved.
    pub(super) fn fall_back(&mut self, now: Time, id: u64) -> bool {
        let Some(tx) = self.clients.get_mut(id) else { return false };
        if !matches!(tx.machine.state(), State::Calling | State::Trying) {
            return false;
        }
        let Some(way) = tx.fallback.take() else { return false };
        let (peer, never_open) = (tx.flow.remote, tx.flow.connection == 0);
        tx.take_running()
            .iter()
            .for_each(|timer| self.timers.stop(Alarm::Client(id, timer)));
        if never_open {
            self.refusals.note(now, peer);
        }
        self.clients.redirect(id, way, &self.limits);
        self.client_input(now, id, Input::Start, Cause::default());
        true
    }

    /// A connection for a large request should be open by now.
    pub(super) fn stream_overdue(&mut self, now: Time, id: u64) {
        if self.clients.get_mut(id).is_some_and(|tx| tx.flow.connection == 0) {
            self.fall_back(now, id);
        }
    }

    /// Give the connection for a large request its time.
    pub(super) fn await_stream(&mut self, now: Time, id: u64) {
        let Some(tx) = self.clients.get_mut(id) else { return };
        if tx.fallback.is_some()
            && tx.flow.connection == 0
            && let Some(duration) = self.timing.duration(Timer::Stream, tx.machine.state(), 0, false)
        {
            tx.note_running(Timer::Stream);
            self.timers.set(Alarm::Client(id, Timer::Stream), now + duration);
        }
    }
}

fn over_tcp(flow: Flow) -> Flow {
    Flow {
        transport: Transport::Tcp,
        connection: 0,
        ..flow
    }
}
