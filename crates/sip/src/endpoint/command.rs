//! What the endpoint is told to do: one variant for each command of the Python contract, as data, so that the shell can queue them from any
//! thread. No command answers; what comes of it comes as an event.

use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;

use super::Endpoint;
use super::challenge::Policy;
use super::dialogs::DialogKey;
use super::event::ServerTransaction;
use super::respond::Answer;
use super::send::Outgoing;
use crate::digest::Algorithm;
use crate::flow::{ConnectionId, Flow};
use crate::time::Time;

/// Header fields to add, in order.
pub type HeaderList = Vec<(String, String)>;

/// Whom to challenge for a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChallengeMode {
    /// Every request.
    Everybody,
    /// Every request but those of trusted networks and to trusted tokens.
    Strangers,
    /// None.
    Nobody,
}

/// An IP network: an address and how many of its leading bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    prefix: u32,
}

/// Text that is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an IP network in CIDR form: {0:.80}")]
pub struct NetworkError(String);

impl Network {
    /// Whether `address` lies in it. An IPv4 address mapped into IPv6 counts as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(it)) => (u32::from(net) ^ u32::from(it)).checked_shr(32 - self.prefix).unwrap_or(0) == 0,
            (IpAddr::V6(net), IpAddr::V6(it)) => (u128::from(net) ^ u128::from(it)).checked_shr(128 - self.prefix).unwrap_or(0) == 0,
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    /// Reads `192.0.2.0/24`, `2001:db8::/32` or a single address.
    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let error = || NetworkError(text.to_owned());
        let (address, prefix) = text
            .split_once('/')
            .map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.trim().parse().map_err(|_| error())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(most), |digits| digits.trim().parse::<u32>().map_err(|_| error()))?;
        if prefix > most {
            Err(error())
        } else {
            Ok(Network { address, prefix })
        }
    }
}

/// One command.
#[derive(Clone, Debug)]
pub enum Command {
    /// Send a request in a new client transaction.
    SendRequest {
        /// The id that events about it carry; the caller keeps them unique and below 2^63.
        tx: u64,
        /// The method; neither ACK nor CANCEL.
        method: String,
        /// The Request-URI.
        uri: String,
        /// From, To, Call-ID, CSeq and all else besides Via and Content-Length.
        headers: HeaderList,
        /// The body.
        body: Bytes,
        /// Where to.
        flow: Flow,
        /// Instead of 64*T1 as Timer B or F.
        timeout: Option<Duration>,
        /// A request over UDP that is longer than 1300 bytes may go over TCP (RFC 3261 §18.1.1).
        large_over_tcp: bool,
    },
    /// Send CANCEL for an INVITE of ours, once a provisional has come (RFC 3261 §9.1).
    Cancel {
        /// The INVITE's id.
        tx: u64,
        /// Fields of the CANCEL, as Reason.
        headers: HeaderList,
    },
    /// Answer a request. For a final answer the caller has won `tx.claim()`.
    Respond {
        /// The request's handle.
        tx: ServerTransaction,
        /// 100 to 699.
        status: u16,
        /// The phrase; the usual one when absent.
        reason: Option<String>,
        /// Fields to add.
        headers: HeaderList,
        /// The body.
        body: Bytes,
        /// Our tag; one is minted where it is needed and absent.
        to_tag: Option<String>,
        /// Send a provisional to INVITE reliably (RFC 3262), where the INVITE allows it.
        reliable: bool,
    },
    /// Answer 401 with a fresh nonce. The caller has won `tx.claim()`.
    Challenge {
        /// The request's handle.
        tx: ServerTransaction,
        /// Whether the credentials were right and only their nonce old.
        stale: bool,
    },
    /// Send the ACK to a 2xx of our INVITE; kept, and replayed to each repeat of that 2xx.
    SendAck {
        /// The INVITE's id.
        tx: u64,
        /// The remote tag of the dialog.
        to_tag: String,
        /// The Request-URI.
        uri: String,
        /// From, To, Call-ID, CSeq, Route and all else besides Via and Content-Length.
        headers: HeaderList,
        /// The body.
        body: Bytes,
        /// Where to.
        flow: Flow,
    },
    /// Make a dialog known, or change its leg.
    AddDialog {
        /// Its Call-ID.
        call_id: String,
        /// Our tag.
        local_tag: String,
        /// Theirs.
        remote_tag: String,
        /// The highest CSeq of theirs so far; zero when none came.
        remote_cseq: u32,
        /// The media leg to stop when its BYE is answered here; zero for none.
        leg: u64,
    },
    /// Forget a dialog: its requests get 481.
    RemoveDialog {
        /// Its Call-ID.
        call_id: String,
        /// Our tag.
        local_tag: String,
        /// Theirs.
        remote_tag: String,
    },
    /// Close a connection.
    CloseFlow {
        /// Its number.
        connection: ConnectionId,
    },
    /// Send CRLF keep-alives over a flow; an interval of zero stops them.
    KeepAlive {
        /// The flow.
        flow: Flow,
        /// The pause between two.
        interval: Duration,
    },
    /// Whom to challenge from now on.
    SetChallenge {
        /// The realm of our challenges.
        realm: String,
        /// Modes per method; `*` is every method not named.
        modes: Vec<(String, ChallengeMode)>,
        /// Networks that are no strangers.
        trusted_networks: Vec<Network>,
        /// Request-URI users and `tl` values that are no strangers'.
        trusted_tokens: Vec<String>,
        /// The algorithm that we offer.
        algorithm: Algorithm,
        /// How long a nonce stays fresh.
        lifetime: Duration,
    },
    /// Shed new requests outside of dialogs whatever the backlog.
    SetOverloaded(bool),
    /// Tell every message as `Traced`.
    SetTrace(bool),
}

impl Endpoint {
    /// Do what Python asks.
    pub fn command(&mut self, now: Time, command: Command) {
        match command {
            Command::SendRequest {
                tx,
                method,
                uri,
                headers,
                body,
                flow,
                timeout,
                large_over_tcp,
            } => {
                self.send_request(
                    now,
                    tx,
                    &Outgoing {
                        method,
                        uri,
                        headers,
                        body,
                        flow,
                        large_over_tcp,
                    },
                    timeout,
                );
            }
            Command::Cancel { tx, headers } => self.cancel(now, tx, headers),
            Command::Respond {
                tx,
                status,
                reason,
                headers,
                body,
                to_tag,
                reliable,
            } => {
                let answer = Answer {
                    status,
                    reason,
                    headers,
                    body,
                    to_tag,
                    reliable,
                };
                self.respond(now, tx.id, answer);
            }
            Command::Challenge { tx, stale } => self.challenge(now, tx.id, stale),
            Command::SendAck {
                tx,
                to_tag,
                uri,
                headers,
                body,
                flow,
            } => {
                self.send_ack(
                    now,
                    tx,
                    &to_tag,
                    &Outgoing {
                        method: "ACK".to_owned(),
                        uri,
                        headers,
                        body,
                        flow,
                        large_over_tcp: true,
                    },
                );
            }
            Command::AddDialog {
                call_id,
                local_tag,
                remote_tag,
                remote_cseq,
                leg,
            } => {
                self.dialogs
                    .add(DialogKey::new(&call_id, &local_tag, &remote_tag), remote_cseq, leg);
            }
            Command::RemoveDialog {
                call_id,
                local_tag,
                remote_tag,
            } => {
                self.dialogs.remove(&DialogKey::new(&call_id, &local_tag, &remote_tag));
            }
            Command::CloseFlow { connection } => self.close_connection(now, connection, "closed by us"),
            Command::KeepAlive { flow, interval } => self.keep_alive(now, flow, interval),
            Command::SetChallenge {
                realm,
                modes,
                trusted_networks,
                trusted_tokens,
                algorithm,
                lifetime,
            } => {
                let (modes, tokens) = (modes.into_iter().collect(), trusted_tokens.into_iter().collect());
                self.policy = Policy {
                    realm,
                    modes,
                    networks: trusted_networks,
                    tokens,
                    algorithm,
                    lifetime,
                };
            }
            Command::SetOverloaded(overloaded) => self.overloaded = overloaded,
            Command::SetTrace(tracing) => self.output.tracing = tracing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(network: &str, address: &str) -> bool {
        network.parse::<Network>().unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn test_a_network_holds_what_shares_its_prefix() {
        assert!(holds("192.0.2.0/24", "192.0.2.255") && !holds("192.0.2.0/24", "192.0.3.0"));
        assert!(holds("192.0.2.7", "192.0.2.7") && !holds("192.0.2.7", "192.0.2.6"));
        assert!(holds("0.0.0.0/0", "203.0.113.1") && !holds("0.0.0.0/0", "2001:db8::1"));
        assert!(holds("2001:db8::/33", "2001:db8:7fff::1") && !holds("2001:db8::/33", "2001:db8:8000::1"));
        assert!(holds("::/0", "2001:db8::1"));
        assert!(holds("192.0.2.0/24", "::ffff:192.0.2.9"), "mapped into IPv6 it is the same address");
    }

    #[test]
    fn test_text_that_is_no_network_is_refused() {
        for text in [
            "",
            "x",
            "192.0.2.0/33",
            "192.0.2/24",
            "::/129",
            "192.0.2.0/-1",
            "192.0.2.0/",
            "/8",
            "pbx.example/8",
        ] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}
