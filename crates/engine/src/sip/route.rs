//! Which of our addresses a message to somebody leaves from: a listener of the right transport and family and, where it listens on a
//! wildcard, the address that the kernel would route from. Asked before a request is built, so that no Via or Contact says 0.0.0.0.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use trunkline_sip::time::Time;

use super::bind::source_towards;

/// How long an answer of the kernel holds; routes change.
const LIFETIME: Duration = Duration::from_secs(10);
/// Answers remembered; all are forgotten when one more comes.
const CAPACITY: usize = 8_192;

/// The kernel's answers, remembered for a while.
#[derive(Debug, Default)]
pub(super) struct Routes {
    known: HashMap<IpAddr, (IpAddr, Time)>,
}

impl Routes {
    /// The address that the kernel would send from to `remote`. A refusal is not remembered.
    fn source(&mut self, now: Time, remote: IpAddr) -> io::Result<IpAddr> {
        if let Some((source, asked)) = self.known.get(&remote)
            && now.since(*asked) < LIFETIME
        {
            return Ok(*source);
        }
        let source = source_towards(remote)?;
        if self.known.len() >= CAPACITY {
            self.known.clear();
        }
        self.known.insert(remote, (source, now));
        Ok(source)
    }

    /// The concrete local address to reach `remote` from, among listeners bound to `bound`; None when none of them fits.
    pub(super) fn choose(&mut self, now: Time, remote: SocketAddr, bound: &[SocketAddr]) -> io::Result<Option<SocketAddr>> {
        let fitting = || bound.iter().filter(|local| local.is_ipv4() == remote.is_ipv4());
        if fitting().next().is_none() {
            return Ok(None);
        }
        let source = self.source(now, remote.ip())?;
        let exact = fitting().find(|local| local.ip() == source).copied();
        let wildcard = || {
            fitting()
                .find(|local| local.ip().is_unspecified())
                .map(|local| SocketAddr::new(source, local.port()))
        };
        // A listener bound elsewhere still serves, when it is as local as the peer is.
        let other = || {
            fitting()
                .find(|local| local.ip().is_loopback() == remote.ip().is_loopback())
                .copied()
        };
        Ok(exact.or_else(wildcard).or_else(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(remote: &str, bound: &[&str]) -> Option<String> {
        let bound: Vec<SocketAddr> = bound.iter().map(|text| text.parse().unwrap()).collect();
        let chosen = Routes::default().choose(Time::ZERO, remote.parse().unwrap(), &bound);
        chosen.unwrap().map(|local| local.to_string())
    }

    #[test]
    fn test_a_wildcard_listener_is_named_by_the_routes_address() {
        assert_eq!(choose("127.0.0.1:9", &["0.0.0.0:5060"]).as_deref(), Some("127.0.0.1:5060"));
    }

    #[test]
    fn test_the_listener_on_the_routes_address_comes_first() {
        assert_eq!(
            choose("127.0.0.1:9", &["0.0.0.0:5060", "127.0.0.1:5070"]).as_deref(),
            Some("127.0.0.1:5070")
        );
    }

    #[test]
    fn test_a_listener_of_the_other_family_never_serves() {
        assert_eq!(choose("127.0.0.1:9", &["[::]:5060"]), None);
        assert_eq!(choose("127.0.0.1:9", &[]), None);
    }

    #[test]
    fn test_another_loopback_address_serves_loopback() {
        assert_eq!(choose("127.0.0.1:9", &["127.0.0.2:5060"]).as_deref(), Some("127.0.0.2:5060"));
        assert_eq!(choose("127.0.0.1:9", &["192.0.2.1:5060"]), None);
    }
}
