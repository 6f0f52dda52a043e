//! The network's side: datagrams, streams and their connections, keep-alives, and the counts of what was turned away.

use std::time::Duration;

use bytes::Bytes;

use super::Endpoint;
use super::client::Cause;
use super::config::{MIN_KEEP_ALIVE, SHED_INTERVAL};
use super::connections::{PING, PONG};
use super::event::Event;
use super::output::TurnedAway;
use super::timers::Alarm;
use crate::flow::{ConnectionId, Flow, Transport};
use crate::message::Message;
use crate::stream::Frame;
use crate::time::Time;
use crate::transaction::Input;

impl Endpoint {
    /// Take a datagram, or (`flow.connection` not zero) the next bytes of a connection.
    pub fn receive(&mut self, now: Time, flow: Flow, data: &[u8]) {
        if flow.connection != 0 {
            return self.take_stream(now, flow, data);
        }
        // CRLF and NUL datagrams keep a NAT binding open (RFC 5626 §4.4 has STUN; phones send these).
        if !data.iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            self.take_message(now, flow, Bytes::copy_from_slice(data));
        }
    }

    fn take_stream(&mut self, now: Time, flow: Flow, data: &[u8]) {
        if !self.connections.is_open(flow.connection) && !self.open_connection(flow) {
            return;
        }
        if let Some(connection) = self.connections.get_mut(flow.connection) {
            connection.framer.push(data);
        }
        loop {
            let Some(connection) = self.connections.get_mut(flow.connection) else {
                return;
            };
            match connection.framer.next() {
                Ok(Some(Frame::Message(message))) => self.take_message(now, flow, message),
                Ok(Some(Frame::Ping)) => self.output.send_bare(flow, PONG),
                Ok(None) => return,
                Err(_) => {
                    self.count_malformed(now);
                    return self.close_connection(now, flow.connection, "the stream is no SIP");
                }
            }
        }
    }

    fn take_message(&mut self, now: Time, flow: Flow, data: Bytes) {
        self.output.totals.received += 1;
        self.output.trace(now, false, flow, &data);
        let Ok(message) = Message::parse(data, &self.limits) else {
            return self.count_malformed(now);
        };
        match (message.is_request(), message.check()) {
            (true, Ok(())) => self.take_request(now, flow, message),
            (false, Ok(())) => self.take_response(now, flow, &message),
            (is_request, Err(error)) => {
                self.count_malformed(now);
                if is_request {
                    self.refuse_malformed(now, flow, &message, &error);
                }
            }
        }
    }

    /// A connection was accepted or established.
    pub fn flow_opened(&mut self, _now: Time, flow: Flow) {
        if flow.connection != 0 && !self.connections.is_open(flow.connection) {
            self.open_connection(flow);
        }
    }

    /// Note a connection and tell it; where there are too many, ask for its end.
    fn open_connection(&mut self, flow: Flow) -> bool {
        let told = !self.output.is_full();
        if !self.connections.insert(flow, self.limits, told) {
            self.output.closed.push(flow.connection);
            return false;
        }
        self.clients.join(&flow);
        if told {
            self.output.tell(Event::FlowOpened { flow });
        }
        true
    }

    /// A connection is gone.
    pub fn flow_closed(&mut self, now: Time, flow: Flow, reason: String) {
        if let Some(connection) = self.connections.remove(flow.connection) {
            self.stop_keep_alive(&connection.flow);
            self.fail_path(now, &connection.flow, &reason);
            if connection.told {
                self.output.tell(Event::FlowClosed {
                    flow: connection.flow,
                    reason,
                });
            }
        }
    }

    /// Bytes for this flow could not be sent, or no connection could be opened.
    pub fn send_failed(&mut self, now: Time, flow: Flow, reason: String) {
        self.fail_path(now, &flow, &reason);
    }

    fn fail_path(&mut self, now: Time, flow: &Flow, reason: &str) {
        for id in self.clients.on_path(flow) {
            if !self.fall_back(now, id) {
                self.client_input(now, id, Input::TransportError, Cause { response: None, reason });
            }
        }
    }

    /// Have a connection closed, and treat it as gone.
    pub(super) fn close_connection(&mut self, now: Time, id: ConnectionId, reason: &str) {
        if let Some(flow) = self.connections.get_mut(id).map(|connection| connection.flow) {
            self.output.closed.push(id);
            self.flow_closed(now, flow, reason.to_owned());
        }
    }

    /// Start, change or (interval zero) stop the keep-alives over a flow.
    pub(super) fn keep_alive(&mut self, now: Time, flow: Flow, interval: Duration) {
        if interval.is_zero() {
            self.stop_keep_alive(&flow);
        } else if let Some(id) = self.keep_alives.start(flow, interval.max(MIN_KEEP_ALIVE)) {
            self.timers.set(Alarm::KeepAlive(id), now + interval.max(MIN_KEEP_ALIVE));
        }
    }

    fn stop_keep_alive(&mut self, flow: &Flow) {
        if let Some(id) = self.keep_alives.stop(flow) {
            self.timers.stop(Alarm::KeepAlive(id));
        }
    }

    /// The next keep-alive is due; over a connection that is gone it was the last.
    pub(super) fn send_keep_alive(&mut self, now: Time, id: u64) {
        let Some((flow, interval)) = self.keep_alives.get(id) else { return };
        if flow.transport == Transport::Tcp && !self.connections.is_open(flow.connection) {
            return self.stop_keep_alive(&flow);
        }
        self.output.send_bare(flow, PING);
        // From now on: a late wake-up must not make up for itself by a burst.
        self.timers.set(Alarm::KeepAlive(id), now + interval);
    }

    fn count_malformed(&mut self, now: Time) {
        self.output.totals.malformed += 1;
        self.output.turned_away.malformed += 1;
        self.tell_turned_away_later(now);
    }

    /// Messages that the flood guard dropped unread.
    pub fn count_flood(&mut self, now: Time, dropped: u64) {
        self.output.totals.flood_dropped += dropped;
        self.output.turned_away.flood += dropped;
        if dropped != 0 {
            self.tell_turned_away_later(now);
        }
    }

    pub(super) fn tell_turned_away_later(&mut self, now: Time) {
        if !self.timers.is_set(Alarm::Shed) {
            self.timers.set(Alarm::Shed, now + SHED_INTERVAL);
        }
    }

    /// Tell what was turned away, in one event; while Python is behind the counts go on and wait.
    pub(super) fn tell_turned_away(&mut self, now: Time) {
        if self.output.is_behind() {
            return self.tell_turned_away_later(now);
        }
        let TurnedAway {
            overload,
            flood,
            malformed,
        } = std::mem::take(&mut self.output.turned_away);
        self.output.tell(Event::Shed {
            overload,
            flood,
            malformed,
        });
    }
}
