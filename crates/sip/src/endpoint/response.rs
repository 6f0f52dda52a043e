//! Responses from the network: those to requests of ours, by branch and method (RFC 3261 §17.1.3, §18.1.2); all others are dropped.

use super::Endpoint;
use super::client::Cause;
use super::matching::{DEFAULT_PORT, client_key};
use crate::flow::Flow;
use crate::header::Via;
use crate::message::Message;
use crate::time::Time;
use crate::transaction::Input;

impl Endpoint {
    /// Take a response that passed its check.
    pub(super) fn take_response(&mut self, now: Time, flow: Flow, message: &Message) {
        let (Ok(via), Ok(cseq)) = (message.via(), message.cseq()) else {
            return;
        };
        let Some(id) = via.branch().and_then(|branch| self.clients.find(&client_key(branch, &cseq.method))) else {
            return;
        };
        // §8.1.3.3: a second Via means that the response went astray.
        if !self.is_ours(id, &via) || message.values("Via").len() > 1 {
            return;
        }
        let input = match message.status() {
            ..=199 => Input::Provisional,
            200..=299 => Input::Success,
            _ => Input::Failure,
        };
        self.client_input(
            now,
            id,
            input,
            Cause {
                response: Some((message, flow)),
                reason: "",
            },
        );
    }

    /// §18.1.2: sent-by must be what the request said.
    fn is_ours(&mut self, id: u64, via: &Via) -> bool {
        let Some(tx) = self.clients.get_mut(id) else { return false };
        let host = via.host.parse::<std::net::IpAddr>();
        host.is_ok_and(|host| host == tx.sent_by.ip()) && via.port.unwrap_or(DEFAULT_PORT) == tx.sent_by.port()
    }
}
