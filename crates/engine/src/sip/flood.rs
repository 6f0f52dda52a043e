//! The flood guard: a token bucket per source address, asked before a byte is parsed.
//!
//! The SIP thread calls [`Guard::admit`] for every datagram and for every connection and read of a stream. IPv6 sources are counted by /64,
//! which is what one subscriber holds. The table is bounded: it lives in two generations, and the older one is forgotten when the younger
//! is full, so that a flood of forged sources costs constant time and memory.

use std::collections::HashMap;
use std::net::IpAddr;

use trunkline_sip::endpoint::Network;
use trunkline_sip::flow::subscriber;
use trunkline_sip::time::Time;

/// Sources in one generation of the table; the table holds at most twice as many.
const GENERATION: usize = 32_768;

/// What one source may still send.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    filled: Time,
}

/// Token buckets by source address.
#[derive(Debug)]
pub(super) struct Guard {
    rate: f64,
    burst: f64,
    exempt: Vec<Network>,
    young: HashMap<IpAddr, Bucket>,
    old: HashMap<IpAddr, Bucket>,
    generation: usize,
}

impl Guard {
    /// A guard that lets each source send `rate` packets a second, and `burst` at once. A rate of zero or less lets everything pass.
    pub(super) fn new(rate: f64, burst: f64, exempt: Vec<Network>) -> Self {
        Guard {
            rate,
            burst: burst.max(1.0),
            exempt,
            young: HashMap::new(),
            old: HashMap::new(),
            generation: GENERATION,
        }
    }

    /// Replace the networks that are never limited.
    pub(super) fn set_exempt(&mut self, exempt: Vec<Network>) {
        self.exempt = exempt;
    }

    /// Take one token of `source`'s bucket; false when it has none left.
    pub(super) fn admit(&mut self, now: Time, source: IpAddr) -> bool {
        if !self.limits(source) {
            return true;
        }
        let (rate, burst) = (self.rate, self.burst);
        let bucket = self.bucket(now, source);
        let gained = now.since(bucket.filled).as_secs_f64() * rate;
        bucket.tokens = (bucket.tokens + gained).min(burst);
        bucket.filled = now;
        if bucket.tokens < 1.0 {
            return false;
        }
        bucket.tokens -= 1.0;
        true
    }

    fn limits(&self, source: IpAddr) -> bool {
        self.rate > 0.0 && !self.exempt.iter().any(|network| network.contains(source))
    }

    /// The bucket of `source`, full when it is not known (any more).
    fn bucket(&mut self, now: Time, source: IpAddr) -> &mut Bucket {
        let key = subscriber(source);
        if self.young.len() >= self.generation && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        let Guard { young, old, burst, .. } = self;
        young.entry(key).or_insert_with(|| {
            old.remove(&key).unwrap_or(Bucket {
                tokens: *burst,
                filled: now,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn admitted(guard: &mut Guard, now: Time, source: &str, packets: usize) -> usize {
        (0..packets).filter(|_| guard.admit(now, ip(source))).count()
    }

    #[test]
    fn test_a_burst_passes_and_then_the_rate() {
        let mut guard = Guard::new(10.0, 5.0, vec![]);
        assert_eq!(admitted(&mut guard, Time::ZERO, "192.0.2.1", 20), 5);
        let later = Time::ZERO + Duration::from_millis(300);
        assert_eq!(admitted(&mut guard, later, "192.0.2.1", 20), 3);
        let much_later = later + Duration::from_secs(3600);
        assert_eq!(
            admitted(&mut guard, much_later, "192.0.2.1", 20),
            5,
            "a bucket never holds more than its burst"
        );
    }

    #[test]
    fn test_sources_do_not_share_a_bucket() {
        let mut guard = Guard::new(1.0, 2.0, vec![]);
        assert_eq!(admitted(&mut guard, Time::ZERO, "192.0.2.1", 5), 2);
        assert_eq!(admitted(&mut guard, Time::ZERO, "192.0.2.2", 5), 2);
    }

    #[test]
    fn test_one_ipv6_subscriber_is_one_source() {
        let mut guard = Guard::new(1.0, 2.0, vec![]);
        assert_eq!(admitted(&mut guard, Time::ZERO, "2001:db8::1", 1), 1);
        assert_eq!(admitted(&mut guard, Time::ZERO, "2001:db8::2", 5), 1);
        assert_eq!(admitted(&mut guard, Time::ZERO, "2001:db8:0:1::2", 5), 2);
    }

    #[test]
    fn test_exempt_networks_and_rate_zero_are_never_limited() {
        let mut guard = Guard::new(1.0, 1.0, vec!["192.0.2.0/24".parse().unwrap()]);
        assert_eq!(admitted(&mut guard, Time::ZERO, "192.0.2.9", 100), 100);
        assert_eq!(admitted(&mut guard, Time::ZERO, "198.51.100.1", 100), 1);
        guard.set_exempt(vec![]);
        assert_eq!(admitted(&mut guard, Time::ZERO, "192.0.2.9", 100), 1);
        assert_eq!(admitted(&mut Guard::new(0.0, 0.0, vec![]), Time::ZERO, "192.0.2.9", 100), 100);
    }

    #[test]
    fn test_the_table_is_bounded_and_remembers_whoever_keeps_sending() {
        let mut guard = Guard::new(1.0, 2.0, vec![]);
        guard.generation = 100;
        for number in 0..10_000u32 {
            guard.admit(Time::ZERO, IpAddr::V4(number.into()));
            guard.admit(Time::ZERO, ip("203.0.113.1"));
            assert!(guard.young.len() + guard.old.len() <= 200);
        }
        assert!(!guard.admit(Time::ZERO, ip("203.0.113.1")));
    }
}
