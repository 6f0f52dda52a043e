//! What leaves the endpoint: bytes to send, events for Python, connections to close, legs to stop, and the counts. Every way out passes
//! here, so that tracing and the bounds of the event queue hold everywhere.

use std::collections::VecDeque;

use bytes::Bytes;

use super::config::{HARD_QUEUE_FACTOR, MAX_SERVER_TRANSACTIONS};
use super::event::{Counters, Event, Transmit};
use crate::flow::{ConnectionId, Flow};
use crate::redaction::without_keys;
use crate::time::Time;

/// What was turned away since it was last told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TurnedAway {
    pub(super) overload: u64,
    pub(super) flood: u64,
    pub(super) malformed: u64,
}

/// The queues of one endpoint.
pub(super) struct Output {
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
    capacity: usize,
    /// Events that were taken and wait outside.
    backlog: usize,
    pub(super) tracing: bool,
    pub(super) turned_away: TurnedAway,
    pub(super) totals: Counters,
    pub(super) closed: Vec<ConnectionId>,
    pub(super) stopped_legs: Vec<u64>,
}

impl Output {
    pub(super) fn new(capacity: usize) -> Self {
        Output {
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            capacity: capacity.max(1),
            backlog: 0,
            tracing: false,
            turned_away: TurnedAway::default(),
            totals: Counters::default(),
            closed: Vec::new(),
            stopped_legs: Vec::new(),
        }
    }

    /// Events that Python has not taken.
    pub(super) fn waiting(&self) -> usize {
        self.backlog.saturating_add(self.events.len())
    }

    /// So many wait that new requests are to be shed.
    pub(super) fn is_behind(&self) -> bool {
        self.waiting() >= self.capacity
    }

    /// So many wait that what can be spared is dropped.
    pub(super) fn is_full(&self) -> bool {
        self.waiting() >= self.capacity.saturating_mul(HARD_QUEUE_FACTOR)
    }

    /// More wait than all live transactions can have caused: nothing new is taken in.
    pub(super) fn is_exhausted(&self) -> bool {
        self.waiting() >= self.capacity.saturating_add(MAX_SERVER_TRANSACTIONS)
    }

    pub(super) fn set_backlog(&mut self, waiting: usize) {
        self.backlog = waiting;
    }

    pub(super) fn tell(&mut self, event: Event) {
        self.events.push_back(event);
    }

    /// Tell a message that came in or went out, without its keys, if anybody listens and there is room.
    pub(super) fn trace(&mut self, now: Time, sent: bool, flow: Flow, data: &Bytes) {
        if self.tracing && !self.is_behind() {
            self.tell(Event::Traced {
                time: now,
                sent,
                flow,
                data: without_keys(data),
            });
        }
    }

    /// Send a message.
    pub(super) fn send(&mut self, now: Time, flow: Flow, data: Bytes) {
        self.totals.sent += 1;
        self.trace(now, true, flow, &data);
        self.transmits.push_back(Transmit { flow, data });
    }

    /// Send a message that was sent before.
    pub(super) fn send_again(&mut self, now: Time, flow: Flow, data: Bytes) {
        self.totals.retransmitted += 1;
        self.send(now, flow, data);
    }

    /// Send what is no message: a keep-alive or its answer.
    pub(super) fn send_bare(&mut self, flow: Flow, data: &'static [u8]) {
        self.transmits.push_back(Transmit {
            flow,
            data: Bytes::from_static(data),
        });
    }

    pub(super) fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    pub(super) fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}
