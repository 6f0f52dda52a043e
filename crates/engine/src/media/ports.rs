//! The port range: pairs of an even RTP port and the RTCP port above it (RFC 3550 §11), leased to legs.
//!
//! Free pairs wait in a queue that was shuffled once: taking one is a step, a pair is used again only after all others, so that packets of
//! a call that has ended do not reach the next one, and where a call's ports lie cannot be guessed from the one before.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use socket2::{Domain, Protocol, Socket, Type};
use trunkline_media::random::Random;

/// Pairs that others hold are stepped over up to this many times.
const MAX_ATTEMPTS: usize = 1024;
/// Expedited forwarding (RFC 3246) in the upper six bits of the traffic class.
const TRAFFIC_CLASS: u32 = 46 << 2;

/// The pairs of a range.
pub struct Ports {
    free: Mutex<VecDeque<u16>>,
    pairs: usize,
}

/// A pair in use; dropping it gives it back.
pub struct Lease {
    ports: Arc<Ports>,
    port: u16,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.ports.free.lock().unwrap_or_else(PoisonError::into_inner).push_back(self.port);
    }
}

/// A leg's two sockets and their ports. The sockets close before the pair is given back.
pub struct Sockets {
    /// The even port.
    pub rtp: Socket,
    /// The port above.
    pub rtcp: Socket,
    lease: Lease,
}

impl Sockets {
    /// The RTP port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.lease.port
    }
}

impl Ports {
    /// The even pairs that lie within `first` and `last`, shuffled by `seed`.
    ///
    /// # Errors
    /// `InvalidInput` when there is none.
    pub fn new(first: u16, last: u16, seed: u64) -> io::Result<Self> {
        let mut pairs: Vec<u16> = (first.max(2)..last).filter(|port| port % 2 == 0).collect();
        if pairs.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("no even port with the next one in {first}-{last}"),
            ));
        }
        let mut random = Random::new(seed);
        // Fisher and Yates.
        for n in (1..pairs.len()).rev() {
            let other = usize::try_from(random.below(n as u64 + 1)).unwrap_or(0);
            pairs.swap(n, other);
        }
        Ok(Ports {
            pairs: pairs.len(),
            free: Mutex::new(pairs.into()),
        })
    }

    /// Ports that are leased now, two a leg.
    #[must_use]
    pub fn used(&self) -> usize {
        (self.pairs - self.free.lock().unwrap_or_else(PoisonError::into_inner).len()) * 2
    }

    fn take(self: &Arc<Self>) -> Option<Lease> {
        let port = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop_front()?;
        Some(Lease {
            ports: Arc::clone(self),
            port,
        })
    }

    /// Bind a pair on `address`.
    ///
    /// # Errors
    /// `AddrInUse` when the range is used up; what the system says when the address is not ours or no socket can be had.
    pub fn bind(self: &Arc<Self>, address: IpAddr) -> io::Result<Sockets> {
        // Pairs that others hold are kept aside, so that none is tried twice and each goes back at the end.
        let mut foreign = Vec::new();
        while foreign.len() < MAX_ATTEMPTS {
            let Some(lease) = self.take() else { break };
            match bind_pair(address, lease.port) {
                Ok((rtp, rtcp)) => return Ok(Sockets { rtp, rtcp, lease }),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => foreign.push(lease),
                Err(error) => return Err(error),
            }
        }
        let text = format!("all {} port pairs of the media range are in use", self.pairs);
        Err(io::Error::new(io::ErrorKind::AddrInUse, text))
    }
}

fn bind_pair(address: IpAddr, port: u16) -> io::Result<(Socket, Socket)> {
    Ok((bind_one(address, port)?, bind_one(address, port + 1)?))
}

fn bind_one(address: IpAddr, port: u16) -> io::Result<Socket> {
    let domain = if address.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
    let socket = Socket::new(domain, Type::DGRAM.nonblocking().cloexec(), Some(Protocol::UDP))?;
    // A wish: a container may forbid it. The kernel's own buffers hold more than a second of audio and are left alone.
    let _ = if address.is_ipv4() {
        socket.set_tos_v4(TRAFFIC_CLASS)
    } else {
        socket.set_tclass_v6(TRAFFIC_CLASS)
    };
    socket.bind(&SocketAddr::new(address, port).into())?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, UdpSocket};

    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn ports(first: u16, last: u16) -> Arc<Ports> {
        Arc::new(Ports::new(first, last, 1).unwrap())
    }

    #[test]
    fn test_a_range_holds_its_even_pairs_and_no_more() {
        let ports = ports(21_001, 21_008);
        let all: Vec<Sockets> = (0..3).map(|_| ports.bind(HERE).unwrap()).collect();
        let mut numbers: Vec<u16> = all.iter().map(Sockets::port).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, [21_002, 21_004, 21_006]);
        assert_eq!(ports.bind(HERE).err().map(|error| error.kind()), Some(io::ErrorKind::AddrInUse));
        assert_eq!(ports.used(), 6);
        drop(all);
        assert_eq!(ports.used(), 0);
        assert!(ports.bind(HERE).is_ok());
    }

    #[test]
    fn test_a_pair_that_another_process_holds_is_stepped_over_and_kept() {
        let taken = UdpSocket::bind((HERE, 21_013)).unwrap();
        let ports = ports(21_010, 21_015);
        let (first, second) = (ports.bind(HERE).unwrap(), ports.bind(HERE).unwrap());
        assert!(first.port() != 21_012 && second.port() != 21_012);
        assert!(ports.bind(HERE).is_err());
        drop(taken);
        assert_eq!(ports.bind(HERE).unwrap().port(), 21_012);
    }

    #[test]
    fn test_a_pair_is_used_again_only_after_all_others() {
        let ports = ports(21_020, 21_039);
        let numbers: std::collections::HashSet<u16> = (0..10).map(|_| ports.bind(HERE).unwrap().port()).collect();
        assert_eq!(numbers.len(), 10);
    }

    #[test]
    fn test_an_address_that_is_not_ours_is_an_error_and_loses_no_pair() {
        let ports = ports(21_040, 21_049);
        assert!(ports.bind("192.0.2.1".parse().unwrap()).is_err());
        assert_eq!(ports.used(), 0);
    }

    #[test]
    fn test_a_range_without_a_pair_is_refused() {
        assert!(Ports::new(21_001, 21_002, 1).is_err());
        assert!(Ports::new(30, 20, 1).is_err());
        assert!(Ports::new(65_534, 65_535, 1).is_ok());
    }
}
