//! What an endpoint is built with, and the bounds that hold whatever peers do. Each bound says what happens when it is reached.

use std::net::IpAddr;
use std::time::Duration;

/// The settings of one endpoint.
#[derive(Clone, Debug)]
pub struct Config {
    /// The node id that every token carries.
    pub node: u16,
    /// The worker id that every token carries.
    pub worker: u16,
    /// The User-Agent of requests that name none themselves.
    pub user_agent: Option<String>,
    /// RFC 3261's T1, the round-trip estimate; the other timers follow from it.
    pub t1: Duration,
    /// So many events may wait for Python; from there on new requests outside of dialogs are answered 503.
    pub event_queue: usize,
    /// Longer messages are refused.
    pub max_message_bytes: usize,
    /// Local address → the address to write into Via, for listeners behind a NAT.
    pub advertise: Vec<(IpAddr, IpAddr)>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            node: 0,
            worker: 0,
            user_agent: None,
            t1: Duration::from_millis(500),
            event_queue: 8192,
            max_message_bytes: 65_535,
            advertise: Vec::new(),
        }
    }
}

/// RFC 3261's T2, the longest pause between repeats of a non-INVITE request and of a final answer to INVITE.
pub const T2: Duration = Duration::from_secs(4);
/// RFC 3261's T4, how long a message may linger in the network.
pub const T4: Duration = Duration::from_secs(5);
/// An INVITE that has no answer after this gets 100 (RFC 3261 §17.2.1).
pub const TRYING_DELAY: Duration = Duration::from_millis(200);
/// The last provisional to a waiting INVITE is repeated this often (RFC 3261 §13.3.1.1).
pub const PROVISIONAL_INTERVAL: Duration = Duration::from_secs(60);
/// A BYE in order that Python leaves this long is answered here.
pub const BYE_DELAY: Duration = Duration::from_millis(400);
/// Counts of shed, flooding and malformed messages are told this often at most.
pub const SHED_INTERVAL: Duration = Duration::from_secs(1);
/// Who is challenged has this long to come back with credentials before it is told that he does not.
pub const CHALLENGE_PATIENCE: Duration = Duration::from_secs(4);
/// The same source's unanswered challenges are told this often at most.
pub const TOLD_EVERY: Duration = Duration::from_secs(30);
/// Events of unanswered challenges in that time, of all sources together. Further ones are not told.
pub const MAX_TOLD: usize = 8;
/// Sources of unanswered challenges at once. Further ones are not noted.
pub const MAX_STRANGERS: usize = 64;
/// Keep-alives over one flow are no closer than this.
pub const MIN_KEEP_ALIVE: Duration = Duration::from_millis(100);
/// What `Retry-After` of a 503 says, in seconds, spread over this many values so that the shed do not come back at once.
pub const RETRY_AFTER_S: std::ops::Range<u64> = 5..15;

/// RFC 3261 §18.1.1: a longer request does not go as a datagram, for it may be cut into fragments that get lost.
pub const MAX_DATAGRAM_REQUEST: usize = 1_300;
/// So long the connection for such a request may take to open; then it goes as a datagram after all.
pub const STREAM_PATIENCE: Duration = Duration::from_secs(4);
/// So long a peer that has no TCP is not asked again.
pub const REFUSED_FOR: Duration = Duration::from_secs(900);
/// Such peers at once. Above it they are forgotten.
pub const MAX_REFUSALS: usize = 4_096;

/// Server transactions at once. Above three quarters new requests outside of dialogs get 503; at the bound every new request is dropped.
pub const MAX_SERVER_TRANSACTIONS: usize = 262_144;
/// Client transactions at once. Above it a request of ours ends at once with `TransportFailed`.
pub const MAX_CLIENT_TRANSACTIONS: usize = 262_144;
/// Dialogs at once. Above it a further one is not registered: its requests get 481.
pub const MAX_DIALOGS: usize = 262_144;
/// Connections at once. A further one is asked to be closed.
pub const MAX_CONNECTIONS: usize = 16_384;
/// To tags of one INVITE of ours. Answers from further forks are dropped.
pub const MAX_FORKS: usize = 32;
/// Provisionals of one INVITE that wait for the PRACK to an earlier one. Further ones are dropped.
pub const MAX_HELD_PROVISIONALS: usize = 16;
/// Keep-alives at once. Further ones are not started.
pub const MAX_KEEP_ALIVES: usize = 65_536;
/// Used nonces remembered; see [`crate::nonce::NonceBook`].
pub const MAX_NONCES: usize = 65_536;
/// Authorization lines of one request that are looked at.
pub const MAX_CREDENTIALS: usize = 8;
/// Provisional answers and opened flows are not told when this many times `event_queue` events wait; `Traced` already at `event_queue`.
pub const HARD_QUEUE_FACTOR: usize = 2;
