//! Nonces of the stateless digest challenge: made without storing anything, checked when they come back (RFC 7616 §3.3, §5.4).
//!
//! A nonce is time and a serial number in hex and an HMAC-SHA256 over them, the realm and the source's IP address. Only nonces that came
//! back are remembered, with a window of the counts that were used, in a bounded table; what falls out of it early counts as stale, so
//! that nothing can be replayed. `endpoint::challenge` calls this.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use crate::time::Time;
use crate::token::mac;

/// Hex digits of time, serial number and MAC.
const TIME_DIGITS: usize = 16;
const SERIAL_DIGITS: usize = 8;
const MAC_DIGITS: usize = 32;
/// Counts below the highest seen that may still arrive, reordered.
const WINDOW: u32 = 64;

/// What a nonce that came back is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Ours, of this source, in time, with a count not seen before.
    Fresh,
    /// Ours, but too old or with a count seen before: challenge again with `stale=true`.
    Stale,
    /// Not ours, or of another source or realm.
    Foreign,
}

/// When a nonce was minted, and its serial number.
type Key = (u64, u32);

/// The counts that one nonce was used with: the highest, and a bit for each of the 64 up to it.
#[derive(Clone, Copy, Default)]
struct Counts {
    highest: u32,
    seen: u64,
}

impl Counts {
    /// Note `count` as used; false when it was used before or lies too far back (RFC 7616 §3.4: `nc`).
    fn take(&mut self, count: u32) -> bool {
        if count > self.highest {
            let shift = count - self.highest;
            self.seen = if shift >= WINDOW { 1 } else { self.seen << shift | 1 };
            self.highest = count;
            return true;
        }
        let back = self.highest - count;
        if back >= WINDOW || self.seen >> back & 1 == 1 {
            return false;
        }
        self.seen |= 1 << back;
        true
    }
}

/// Mints nonces and judges those that come back.
pub struct NonceBook {
    key: [u8; 32],
    serial: u32,
    /// By key, in one piece of memory: the nodes of a tree, a few a second and each alive for minutes, would hold a page each.
    used: VecDeque<(Key, Counts)>,
    capacity: usize,
    /// Nonces minted up to here fell out of the table: unless they are in it, they are stale.
    floor: Option<Key>,
}

impl NonceBook {
    /// A book that remembers at most `capacity` used nonces; its key follows from `seed`.
    #[must_use]
    pub fn new(seed: &[u8; 32], capacity: usize) -> Self {
        let key = mac(seed, &[b"trunkline nonce"]);
        NonceBook {
            key,
            serial: 0,
            used: VecDeque::new(),
            capacity: capacity.max(1),
            floor: None,
        }
    }

    /// A fresh nonce, bound to the realm and to the address that the request came from.
    pub fn mint(&mut self, now: Time, realm: &str, source: IpAddr) -> String {
        self.serial = self.serial.wrapping_add(1);
        self.text(now.as_micros(), self.serial, realm, source)
    }

    fn text(&self, time: u64, serial: u32, realm: &str, source: IpAddr) -> String {
        let address = source.to_canonical().to_string();
        let parts: [&[u8]; 4] = [&time.to_be_bytes(), &serial.to_be_bytes(), realm.as_bytes(), address.as_bytes()];
        let digest = mac(&self.key, &parts);
        let head: u128 = digest.iter().take(16).fold(0, |value, byte| value << 8 | u128::from(*byte));
        format!("{time:016x}{serial:08x}{head:032x}")
    }

    /// Judge a nonce that came back and note its count. `count` is `nc`; a client that sends none may use a nonce once.
    pub fn judge(&mut self, now: Time, realm: &str, source: IpAddr, nonce: &str, count: Option<u32>, lifetime: Duration) -> Freshness {
        let Some((time, serial)) = self.authentic(nonce, realm, source) else {
            return Freshness::Foreign;
        };
        if now.since(Time::from_micros(time)) > lifetime || self.forgotten(time, serial) {
            return Freshness::Stale;
        }
        self.drop_expired(now, lifetime);
        if !self.counts((time, serial)).is_some_and(|counts| counts.take(count.unwrap_or(1))) {
            return Freshness::Stale;
        }
        self.keep_bound();
        Freshness::Fresh
    }

    /// How many used nonces are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.used.len()
    }

    /// Whether no used nonce is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.used.is_empty()
    }

    fn authentic(&self, nonce: &str, realm: &str, source: IpAddr) -> Option<(u64, u32)> {
        if nonce.len() != TIME_DIGITS + SERIAL_DIGITS + MAC_DIGITS || !nonce.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let time = u64::from_str_radix(nonce.get(..TIME_DIGITS)?, 16).ok()?;
        let serial = u32::from_str_radix(nonce.get(TIME_DIGITS..TIME_DIGITS + SERIAL_DIGITS)?, 16).ok()?;
        let expected = self.text(time, serial, realm, source);
        // Constant time: the position of the first wrong digit must not show.
        let differs = expected.bytes().zip(nonce.bytes()).fold(0, |sum, (a, b)| sum | (a ^ b));
        (differs == 0).then_some((time, serial))
    }

    /// Where a nonce is, or would be.
    fn find(&self, key: Key) -> Result<usize, usize> {
        self.used.binary_search_by_key(&key, |(key, _)| *key)
    }

    /// The counts of a nonce, none when it is new; it is remembered from now on. They come back nearly in the order they were minted in, so
    /// that little has to move.
    fn counts(&mut self, key: Key) -> Option<&mut Counts> {
        let place = self.find(key).unwrap_or_else(|place| {
            self.used.insert(place, (key, Counts::default()));
            place
        });
        self.used.get_mut(place).map(|(_, counts)| counts)
    }

    fn forgotten(&self, time: u64, serial: u32) -> bool {
        self.floor.is_some_and(|floor| (time, serial) <= floor) && self.find((time, serial)).is_err()
    }

    fn drop_expired(&mut self, now: Time, lifetime: Duration) {
        while self
            .used
            .front()
            .is_some_and(|((time, _), _)| now.since(Time::from_micros(*time)) > lifetime)
        {
            self.used.pop_front();
        }
    }

    fn keep_bound(&mut self) {
        while self.used.len() > self.capacity {
            let Some((key, _)) = self.used.pop_front() else { break };
            self.floor = self.floor.max(Some(key));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: Duration = Duration::from_secs(300);
    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    fn at(seconds: u64) -> Time {
        Time::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn test_a_nonce_is_bound_to_realm_source_and_key() {
        let mut book = NonceBook::new(&[1; 32], 10);
        let nonce = book.mint(at(1), "pbx", HERE);
        assert_eq!(
            NonceBook::new(&[2; 32], 10).judge(at(1), "pbx", HERE, &nonce, Some(1), LIFE),
            Freshness::Foreign
        );
        assert_eq!(book.judge(at(1), "other", HERE, &nonce, Some(1), LIFE), Freshness::Foreign);
        assert_eq!(book.judge(at(1), "pbx", THERE, &nonce, Some(1), LIFE), Freshness::Foreign);
        assert_eq!(book.judge(at(1), "pbx", HERE, &nonce, Some(1), LIFE), Freshness::Fresh);
    }

    #[test]
    fn test_a_nonce_grows_stale() {
        let mut book = NonceBook::new(&[1; 32], 10);
        let nonce = book.mint(at(1), "pbx", HERE);
        assert_eq!(book.judge(at(302), "pbx", HERE, &nonce, Some(1), LIFE), Freshness::Stale);
    }

    #[test]
    fn test_a_replayed_count_is_stale_and_a_reordered_one_is_not() {
        let mut book = NonceBook::new(&[1; 32], 10);
        let nonce = book.mint(at(1), "pbx", HERE);
        let mut judge = |count| book.judge(at(2), "pbx", HERE, &nonce, Some(count), LIFE);
        assert_eq!(judge(1), Freshness::Fresh);
        assert_eq!(judge(3), Freshness::Fresh);
        assert_eq!(judge(2), Freshness::Fresh);
        assert_eq!(judge(2), Freshness::Stale);
        assert_eq!(judge(3), Freshness::Stale);
        assert_eq!(judge(100), Freshness::Fresh);
        assert_eq!(judge(36), Freshness::Stale);
        assert_eq!(judge(37), Freshness::Fresh);
    }

    #[test]
    fn test_a_nonce_without_count_serves_once() {
        let mut book = NonceBook::new(&[1; 32], 10);
        let nonce = book.mint(at(1), "pbx", HERE);
        assert_eq!(book.judge(at(2), "pbx", HERE, &nonce, None, LIFE), Freshness::Fresh);
        assert_eq!(book.judge(at(2), "pbx", HERE, &nonce, None, LIFE), Freshness::Stale);
    }

    #[test]
    fn test_the_table_is_bounded_and_what_falls_out_cannot_be_replayed() {
        let mut book = NonceBook::new(&[1; 32], 4);
        let nonces: Vec<String> = (0..6).map(|_| book.mint(at(1), "pbx", HERE)).collect();
        for nonce in &nonces {
            assert_eq!(book.judge(at(1), "pbx", HERE, nonce, Some(1), LIFE), Freshness::Fresh);
        }
        assert_eq!(book.len(), 4);
        assert_eq!(book.judge(at(1), "pbx", HERE, &nonces[0], Some(1), LIFE), Freshness::Stale);
        assert_eq!(book.judge(at(1), "pbx", HERE, &nonces[5], Some(2), LIFE), Freshness::Fresh);
    }

    #[test]
    fn test_nonces_that_come_back_in_any_order_are_remembered_until_they_expire() {
        let mut book = NonceBook::new(&[1; 32], 100);
        let nonces: Vec<String> = (0..10).map(|second| book.mint(at(second), "pbx", HERE)).collect();
        for n in [7, 2, 9, 0, 4, 1, 8, 3, 6, 5] {
            assert_eq!(book.judge(at(10), "pbx", HERE, &nonces[n], Some(1), LIFE), Freshness::Fresh);
        }
        for nonce in &nonces {
            assert_eq!(book.judge(at(10), "pbx", HERE, nonce, Some(1), LIFE), Freshness::Stale);
        }
        assert_eq!(book.judge(at(305), "pbx", HERE, &nonces[6], Some(2), LIFE), Freshness::Fresh);
        assert_eq!(book.len(), 5, "the first five have expired");
    }

    #[test]
    fn test_hostile_nonces_are_foreign() {
        let mut book = NonceBook::new(&[1; 32], 4);
        let long = "f".repeat(100_000);
        let sign = format!("+{}", "0".repeat(55));
        for nonce in ["", "x", "ÄÖÜ", long.as_str(), sign.as_str(), &"é".repeat(28)] {
            assert_eq!(book.judge(at(1), "pbx", HERE, nonce, Some(1), LIFE), Freshness::Foreign);
        }
    }
}
