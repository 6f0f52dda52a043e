//! What Python sends: requests and the ACKs to 2xx, with the Via that names their listener (RFC 3261 §8.1.1.7, §18.1.1, §13.2.2.4).

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;

use super::Endpoint;
use super::client::{Cause, Departure, INTERNAL, Way};
use super::command::HeaderList;
use super::config::MAX_CLIENT_TRANSACTIONS;
use super::event::Event;
use super::matching::client_key;
use crate::build;
use crate::flow::{Flow, Transport};
use crate::message::Message;
use crate::time::Time;
use crate::transaction::{Input, Kind};

/// A request as Python gives it.
pub(super) struct Outgoing {
    pub(super) method: String,
    pub(super) uri: String,
    pub(super) headers: HeaderList,
    pub(super) body: Bytes,
    pub(super) flow: Flow,
    pub(super) large_over_tcp: bool,
}

impl Endpoint {
    /// Send a request in a new client transaction.
    pub(super) fn send_request(&mut self, now: Time, id: u64, outgoing: &Outgoing, timeout: Option<Duration>) {
        if id & INTERNAL != 0 || self.clients.has(id) {
            return;
        }
        match self.depart(now, outgoing, timeout) {
            Ok(departure) => {
                self.clients.insert(id, departure);
                self.client_input(now, id, Input::Start, Cause::default());
                self.await_stream(now, id);
            }
            Err(reason) => self.output.tell(Event::TransportFailed { tx: id, reason }),
        }
    }

    fn depart(&mut self, now: Time, outgoing: &Outgoing, timeout: Option<Duration>) -> Result<Departure, String> {
        if self.clients.len() >= MAX_CLIENT_TRANSACTIONS {
            return Err("too many requests are under way".to_owned());
        }
        if matches!(outgoing.method.as_str(), "ACK" | "CANCEL") {
            return Err(format!("{} is no request of its own", outgoing.method));
        }
        let datagram = self.build_request(outgoing, outgoing.flow)?;
        let (way, fallback) = match self.enlarge(now, outgoing, &datagram) {
            Some(stream) => (stream, Some(datagram)),
            None => (datagram, None),
        };
        let is_invite = outgoing.method == "INVITE";
        let invite = if is_invite {
            Message::parse(way.data.clone(), &self.limits).ok()
        } else {
            None
        };
        Ok(Departure {
            kind: if is_invite { Kind::InviteClient } else { Kind::Client },
            key: client_key(&way.branch, &outgoing.method),
            flow: way.flow,
            sent_by: way.sent_by,
            data: way.data,
            method: outgoing.method.clone(),
            fallback,
            invite,
            timeout,
        })
    }

    /// Write a request for the way that `flow` names.
    pub(super) fn build_request(&mut self, outgoing: &Outgoing, flow: Flow) -> Result<Way, String> {
        let (flow, sent_by) = self.route(flow)?;
        let branch = self.minter.branch();
        let via = format!("SIP/2.0/{} {sent_by};branch={branch};rport", flow.transport.via_name());
        let built = build::request(
            &outgoing.method,
            &outgoing.uri,
            &via,
            &outgoing.headers,
            &outgoing.body,
            &self.defaults,
        );
        built
            .map(|data| Way {
                flow,
                sent_by,
                branch,
                data,
            })
            .map_err(|error| error.to_string())
    }

    /// The flow that a message really takes, and the address in its Via.
    fn route(&self, flow: Flow) -> Result<(Flow, SocketAddr), String> {
        let known = if flow.transport == Transport::Tcp && flow.connection == 0 {
            self.connections.to(&flow.remote)
        } else {
            None
        };
        let flow = known.unwrap_or(flow);
        if flow.transport == Transport::Tcp && flow.connection != 0 && !self.connections.is_open(flow.connection) {
            return Err("the connection is closed".to_owned());
        }
        let family = if flow.remote.is_ipv4() { "IPv4" } else { "IPv6" };
        let origin = self
            .listeners
            .origin(&flow)
            .ok_or_else(|| format!("no {} listener for {family}", flow.transport.via_name()))?;
        let local = if flow.transport == Transport::Udp {
            Some(origin.local)
        } else {
            flow.local
        };
        Ok((Flow { local, ..flow }, origin.sent_by))
    }

    /// Send the ACK to a 2xx, and keep it for the repeats of that 2xx. It is no transaction: what cannot be sent is not told.
    pub(super) fn send_ack(&mut self, now: Time, id: u64, to_tag: &str, outgoing: &Outgoing) {
        let Ok(way) = self.build_request(outgoing, outgoing.flow) else {
            return;
        };
        let built = self.enlarge_ack(id, outgoing, &way).unwrap_or(way);
        if let Some(tx) = self.clients.get_mut(id) {
            tx.forks.keep_ack(to_tag, built.flow, built.data.clone());
        }
        self.output.send(now, built.flow, built.data);
    }
}
