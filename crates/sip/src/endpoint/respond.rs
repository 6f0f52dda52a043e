//! Responses on their way: built with the Via stamped, sent where RFC 3261 §18.2.2 and RFC 3581 say, with or without a transaction.

use std::net::SocketAddr;

use bytes::Bytes;

use super::Endpoint;
use super::command::HeaderList;
use super::matching::DEFAULT_PORT;
use crate::build::{self, ViaStamp};
use crate::flow::Flow;
use crate::header::Via;
use crate::message::Message;
use crate::time::Time;
use crate::token::mac;

/// A response as Python gives it, or as we make it ourselves.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) reason: Option<String>,
    pub(super) headers: HeaderList,
    pub(super) body: Bytes,
    pub(super) to_tag: Option<String>,
    pub(super) reliable: bool,
}

impl Answer {
    /// One with a status and nothing else to say.
    pub(super) fn bare(status: u16) -> Self {
        Answer::with(status, HeaderList::new())
    }

    /// One with header fields.
    pub(super) const fn with(status: u16, headers: HeaderList) -> Self {
        Answer {
            status,
            reason: None,
            headers,
            body: Bytes::new(),
            to_tag: None,
            reliable: false,
        }
    }
}

/// Where a response goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reply {
    /// The path the request came by; for a datagram already with the port to answer to.
    flow: Flow,
    /// Where the request came from.
    source: SocketAddr,
    /// Where to connect when the request's connection is gone (§18.2.2).
    fallback: SocketAddr,
}

impl Reply {
    pub(super) fn new(flow: &Flow, via: &Via) -> Self {
        let fallback = SocketAddr::new(flow.remote.ip(), via.port.unwrap_or(DEFAULT_PORT));
        // RFC 3581 §4: with rport to the source's port, from the address that was asked.
        let remote = if flow.transport.is_reliable() || via.wants_rport() {
            flow.remote
        } else {
            fallback
        };
        Reply {
            flow: Flow { remote, ..*flow },
            source: flow.remote,
            fallback,
        }
    }

    pub(super) const fn is_reliable(&self) -> bool {
        self.flow.transport.is_reliable()
    }

    fn stamp(&self) -> ViaStamp {
        ViaStamp { source: Some(self.source) }
    }
}

impl Endpoint {
    #[allow(clippy::too_many_arguments)] // RFC 3261 §8.2.6 has as many parts
    pub(super) fn build_response(
        &self,
        request: &Message,
        reply: &Reply,
        status: u16,
        reason: Option<&str>,
        tag: Option<&str>,
        headers: &[(String, String)],
        body: &[u8],
    ) -> Option<Bytes> {
        build::response(request, status, reason, tag, headers, body, &reply.stamp()).ok()
    }

    /// Send a response over the connection the request came by while that is open, else to where its Via says.
    pub(super) fn send_reply(&mut self, now: Time, reply: Reply, data: Bytes, again: bool) {
        let mut flow = reply.flow;
        if reply.is_reliable() && !self.connections.is_open(flow.connection) {
            let elsewhere = Flow {
                remote: reply.fallback,
                connection: 0,
                ..flow
            };
            flow = self.connections.to(&reply.fallback).unwrap_or(elsewhere);
        }
        if again {
            self.output.send_again(now, flow, data)
        } else {
            self.output.send(now, flow, data)
        }
    }

    /// Answer a request without a transaction (§8.2.7): repeats of it are answered alike, with the same To tag.
    pub(super) fn answer(&mut self, now: Time, request: &Message, reply: Reply, status: u16, headers: &[(String, String)]) {
        if let Some(data) = self.build_stateless(request, &reply, status, headers) {
            self.send_reply(now, reply, data, false);
        }
    }

    /// Answer a request that failed its check, unless what the answer copies from it would break the answer's own lines.
    pub(super) fn answer_malformed(&mut self, now: Time, request: &Message, reply: Reply, status: u16) {
        if let Some(data) = self
            .build_stateless(request, &reply, status, &[])
            .filter(|data| has_whole_lines(data))
        {
            self.send_reply(now, reply, data, false);
        }
    }

    fn build_stateless(&self, request: &Message, reply: &Reply, status: u16, headers: &[(String, String)]) -> Option<Bytes> {
        let branch = request
            .via()
            .ok()
            .and_then(|via| via.branch().map(str::to_owned))
            .unwrap_or_default();
        let tag = self.stateless_tag(request, &branch);
        let tag = request.to_tag().is_empty().then_some(tag.as_str());
        self.build_response(request, reply, status, None, tag, headers, &[])
    }

    fn stateless_tag(&self, request: &Message, branch: &str) -> String {
        let parts = [
            request.call_id().as_bytes(),
            request.from_tag().as_bytes(),
            branch.as_bytes(),
            request.uri_text().as_bytes(),
        ];
        let random = mac(&self.tag_key, &parts)
            .iter()
            .take(8)
            .fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
        format!("{}{random:016x}", self.minter.prefix())
    }
}

/// Whether CR and LF come in pairs only, and no NUL.
fn has_whole_lines(data: &[u8]) -> bool {
    let after = data.iter().skip(1).chain(std::iter::once(&0));
    let before = std::iter::once(&0).chain(data);
    let pairs = data.iter().zip(after).zip(before);
    pairs.into_iter().all(|((byte, after), before)| match byte {
        b'\r' => *after == b'\n',
        b'\n' => *before == b'\r',
        other => *other != 0,
    })
}
