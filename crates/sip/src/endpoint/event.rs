//! What the endpoint tells: one variant for each event class of the Python contract, in transaction terms. Built by the endpoint, handed
//! out by `poll_event`; the extension turns each into the Python object of the same name.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;

use crate::digest::Credentials;
use crate::flow::Flow;
use crate::message::Message;
use crate::time::Time;

/// The handle of a request that waits for an answer.
///
/// Whoever turns `answered` from false to true may send the final answer: Python's `respond` on its own thread, or the endpoint before
/// it answers 487 to a cancelled INVITE or 200 to a BYE that was left alone.
#[derive(Clone, Debug)]
pub struct ServerTransaction {
    /// The number of the transaction, unique over the endpoint's life.
    pub id: u64,
    /// Whether the final answer is taken.
    pub answered: Arc<AtomicBool>,
}

impl ServerTransaction {
    /// The handle of a transaction that nobody answered yet.
    #[must_use]
    pub fn new(id: u64) -> Self {
        ServerTransaction {
            id,
            answered: Arc::new(AtomicBool::new(false)),
        }
    }

    /// Take the right to send the final answer; true for the first that asks.
    #[must_use]
    pub fn claim(&self) -> bool {
        !self.answered.swap(true, Ordering::AcqRel)
    }

    /// Whether the right was taken.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        self.answered.load(Ordering::Acquire)
    }
}

/// One event, in the order it happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A request that passed parsing, matching and the challenge policy. ACK to a 2xx and CANCEL never come this way.
    RequestReceived {
        /// The handle to answer with.
        tx: ServerTransaction,
        /// The request.
        message: Message,
        /// Where it came from.
        flow: Flow,
        /// Its credentials, if their nonce was ours and fresh; the password is still to be verified.
        credentials: Option<Box<Credentials>>,
        /// Let through unchallenged by a network or token of the policy.
        trusted: bool,
    },
    /// A response to a request of ours.
    ResponseReceived {
        /// The request's id.
        tx: u64,
        /// The response.
        message: Message,
        /// Where it came from.
        flow: Flow,
    },
    /// The ACK to the 2xx that answered `tx`.
    AckReceived {
        /// The INVITE's id.
        tx: u64,
        /// The ACK.
        message: Message,
    },
    /// A CANCEL ended this INVITE; 200 and 487 were sent.
    Cancelled {
        /// The INVITE's id.
        tx: u64,
        /// The CANCEL.
        message: Message,
    },
    /// Our 2xx was repeated for 64*T1 and never acknowledged.
    AckTimedOut {
        /// The INVITE's id.
        tx: u64,
    },
    /// A BYE in order that Python left alone was answered 200.
    ByeAnswered {
        /// The BYE's id.
        tx: u64,
        /// The BYE.
        message: Message,
    },
    /// A PRACK acknowledged a reliable provisional of ours and is to be answered (RFC 3262 §3).
    PrackReceived {
        /// The handle to answer the PRACK with.
        tx: ServerTransaction,
        /// The id of the INVITE that the provisional answered.
        invite: u64,
        /// The PRACK.
        message: Message,
        /// Where it came from.
        flow: Flow,
    },
    /// A reliable provisional was repeated for 64*T1 and never acknowledged.
    ReliableTimedOut {
        /// The INVITE's id.
        tx: u64,
        /// A 2xx that waited for the PRACK was given up, and 504 was sent in its place.
        refused: bool,
    },
    /// No final response to a request of ours in time.
    TransactionTimedOut {
        /// The request's id.
        tx: u64,
    },
    /// A request of ours could not be sent.
    TransportFailed {
        /// The request's id.
        tx: u64,
        /// Why, in words.
        reason: String,
    },
    /// A connection was accepted or established.
    FlowOpened {
        /// The connection's flow.
        flow: Flow,
    },
    /// A connection is gone.
    FlowClosed {
        /// The connection's flow.
        flow: Flow,
        /// Why, in words.
        reason: String,
    },
    /// What was turned away since the last such event.
    Shed {
        /// New requests answered 503 because Python was behind.
        overload: u64,
        /// Messages dropped by the flood guard.
        flood: u64,
        /// Messages that are no SIP.
        malformed: u64,
    },
    /// INVITEs of a stranger were challenged, and nobody there came back with credentials. Told of a few sources now and then.
    ChallengeIgnored {
        /// One of them.
        message: Message,
        /// Where it came from.
        flow: Flow,
        /// How many the source sent since it was told last.
        count: u64,
    },
    /// A message as it went over the wire, while tracing is on.
    Traced {
        /// When.
        time: Time,
        /// Whether we sent it.
        sent: bool,
        /// The path it took.
        flow: Flow,
        /// The bytes, SRTP keys starred out.
        data: Bytes,
    },
}

/// Bytes to be sent. With connection zero of a stream transport, over any connection to `flow.remote`, or a new one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// The path to take.
    pub flow: Flow,
    /// The bytes.
    pub data: Bytes,
}

/// Totals over the endpoint's life, and what lives now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages received, keep-alives not counted.
    pub received: u64,
    /// Messages handed out for sending.
    pub sent: u64,
    /// Of those, repeats.
    pub retransmitted: u64,
    /// Messages that are no SIP, or SIP that no element may act on.
    pub malformed: u64,
    /// Messages dropped by the flood guard.
    pub flood_dropped: u64,
    /// New requests answered 503 because Python was behind.
    pub shed: u64,
    /// INVITEs of strangers that were challenged.
    pub challenged: u64,
    /// Live client transactions.
    pub client_transactions: u64,
    /// Live server transactions.
    pub server_transactions: u64,
    /// Live dialogs, early ones included.
    pub dialogs: u64,
    /// Open connections.
    pub connections: u64,
    /// Alarms that are set.
    pub timers: u64,
    /// Used nonces remembered, at most until they expire.
    pub nonces: u64,
}
