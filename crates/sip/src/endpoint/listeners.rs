//! The addresses that we listen at, and what a Via says for each (RFC 3261 §18.1.1).

use std::net::{IpAddr, SocketAddr};

use crate::flow::{Flow, Transport};

/// One listener.
#[derive(Clone, Copy, Debug)]
struct Listener {
    id: u64,
    transport: Transport,
    address: SocketAddr,
}

/// Where a request leaves from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    /// The local address to send from.
    pub(super) local: SocketAddr,
    /// The address in Via's sent-by.
    pub(super) sent_by: SocketAddr,
}

/// All listeners of an endpoint; they are few.
pub(super) struct Listeners {
    open: Vec<Listener>,
    last: u64,
    advertise: Vec<(IpAddr, IpAddr)>,
}

impl Listeners {
    pub(super) fn new(advertise: Vec<(IpAddr, IpAddr)>) -> Self {
        Listeners {
            open: Vec::new(),
            last: 0,
            advertise,
        }
    }

    pub(super) fn add(&mut self, transport: Transport, address: SocketAddr) -> u64 {
        self.last += 1;
        self.open.push(Listener {
            id: self.last,
            transport,
            address,
        });
        self.last
    }

    pub(super) fn remove(&mut self, id: u64) {
        self.open.retain(|listener| listener.id != id);
    }

    /// The listener that a request over `flow` names in its Via: the one the flow asks for, else of the same address, else the first of
    /// that transport and family.
    pub(super) fn origin(&self, flow: &Flow) -> Option<Origin> {
        let fits = |listener: &&Listener| listener.transport == flow.transport && listener.address.is_ipv4() == flow.remote.is_ipv4();
        let mut fitting = self.open.iter().filter(fits);
        let Some(wanted) = flow.local else {
            return fitting
                .next()
                .map(|listener| self.origin_of(listener.address, listener.address, listener.address.ip()));
        };
        let close = |listener: &Listener| {
            let same = listener.address.ip() == wanted.ip();
            let any = listener.address.ip().is_unspecified();
            let port = listener.address.port() == wanted.port();
            match (same, any, port) {
                (true, _, true) => Some(0),
                (_, true, true) => Some(1),
                // A connection that we opened has a port of its own; our listener on that address is what others can reach.
                (true, _, false) if !flow.transport_is_datagram() => Some(2),
                (_, true, false) if !flow.transport_is_datagram() => Some(3),
                _ if !flow.transport_is_datagram() => Some(4),
                _ => None,
            }
        };
        let best = fitting
            .filter_map(|listener| close(listener).map(|distance| (distance, listener)))
            .min_by_key(|(distance, _)| *distance);
        best.map(|(_, listener)| {
            let ip = if listener.address.ip().is_unspecified() {
                wanted.ip()
            } else {
                listener.address.ip()
            };
            self.origin_of(wanted, SocketAddr::new(ip, listener.address.port()), listener.address.ip())
        })
    }

    /// `bound` is the listener's own address, a wildcard perhaps: it may stand in the map as well.
    fn origin_of(&self, local: SocketAddr, reachable: SocketAddr, bound: IpAddr) -> Origin {
        let mapped = |ip: IpAddr| self.advertise.iter().find(|(from, _)| *from == ip).map(|(_, to)| *to);
        let public = mapped(reachable.ip()).or_else(|| mapped(bound)).unwrap_or(reachable.ip());
        Origin {
            local,
            sent_by: SocketAddr::new(public, reachable.port()),
        }
    }
}

impl Flow {
    const fn transport_is_datagram(&self) -> bool {
        !self.transport.is_reliable()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(transport: Transport, local: Option<&str>) -> Flow {
        Flow {
            transport,
            remote: "192.0.2.9:5060".parse().unwrap(),
            local: local.map(|text| text.parse().unwrap()),
            connection: 0,
        }
    }

    fn listeners() -> Listeners {
        let mut listeners = Listeners::new(vec![("10.0.0.2".parse().unwrap(), "203.0.113.5".parse().unwrap())]);
        listeners.add(Transport::Udp, "[2001:db8::1]:5060".parse().unwrap());
        listeners.add(Transport::Udp, "10.0.0.1:5060".parse().unwrap());
        listeners.add(Transport::Udp, "10.0.0.2:5070".parse().unwrap());
        listeners.add(Transport::Tcp, "10.0.0.1:5080".parse().unwrap());
        listeners
    }

    fn sent_by(flow: &Flow) -> Option<String> {
        listeners().origin(flow).map(|origin| origin.sent_by.to_string())
    }

    #[test]
    fn test_without_wish_the_first_listener_of_transport_and_family() {
        assert_eq!(sent_by(&flow(Transport::Udp, None)).as_deref(), Some("10.0.0.1:5060"));
        assert_eq!(sent_by(&flow(Transport::Tcp, None)).as_deref(), Some("10.0.0.1:5080"));
    }

    #[test]
    fn test_the_wished_listener_under_its_advertised_address() {
        assert_eq!(
            sent_by(&flow(Transport::Udp, Some("10.0.0.2:5070"))).as_deref(),
            Some("203.0.113.5:5070")
        );
        assert_eq!(sent_by(&flow(Transport::Udp, Some("10.0.0.9:5070"))), None);
    }

    #[test]
    fn test_a_connection_of_ours_names_the_listener_and_not_its_own_port() {
        assert_eq!(
            sent_by(&flow(Transport::Tcp, Some("10.0.0.1:40001"))).as_deref(),
            Some("10.0.0.1:5080")
        );
    }

    #[test]
    fn test_a_removed_listener_is_not_used() {
        let mut listeners = Listeners::new(Vec::new());
        let id = listeners.add(Transport::Udp, "10.0.0.1:5060".parse().unwrap());
        listeners.remove(id);
        assert_eq!(listeners.origin(&flow(Transport::Udp, None)), None);
    }
}
