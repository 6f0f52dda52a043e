//! Where a message came from or goes to: transport, both addresses and, for streams, the connection.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// A transport that SIP runs over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A byte stream, framed by Content-Length (RFC 3261 §18.3).
    Tcp,
}

impl Transport {
    /// Whether the transport delivers by itself, so that requests and responses are not repeated (RFC 3261 §17).
    #[must_use]
    pub const fn is_reliable(self) -> bool {
        matches!(self, Transport::Tcp)
    }

    /// The word in a Via: `UDP`, `TCP`.
    #[must_use]
    pub const fn via_name(self) -> &'static str {
        match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
        }
    }
}

/// The number of a stream connection, unique over the endpoint's life; zero means "any connection to there, or a new one".
pub type ConnectionId = u64;

/// One path to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flow {
    /// The transport.
    pub transport: Transport,
    /// The peer's address.
    pub remote: SocketAddr,
    /// The address of our listener or socket; `None` lets the endpoint choose a listener of that transport and family.
    pub local: Option<SocketAddr>,
    /// The connection of a stream transport; zero for UDP.
    pub connection: ConnectionId,
}

/// What is counted as one source: an IPv4 address, or the /64 of an IPv6 address, which is what one subscriber holds.
#[must_use]
pub fn subscriber(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        address => address,
    }
}
