//! Who is heard on a leg, and where its packets go: symmetric RTP that a stranger cannot capture.
//!
//! The rules, in order, for a packet of an agreed payload type (with SRTP: an authentic one):
//!
//! 1. Exactly the address of the session description is always heard, and takes the latch.
//! 2. Nobody else is heard unless `learn_from` names his IP address and his peer is to send.
//! 3. Of `learn_from`, the first source is learned; from then on only that source is heard.
//! 4. A learned source may move (NAT rebinding) to another port of `learn_from` only when the old one has been silent for
//!    [`REBIND_SILENCE`] and the new one carries the SSRC that was heard: a number that nobody knows who did not hear the stream.
//! 5. A new address in the session description forgets what was learned; the same address, or none (hold by `0.0.0.0`), keeps it.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::time::Time;

/// How long a latched source must have been silent before another port may take over its stream.
pub const REBIND_SILENCE: Duration = Duration::from_millis(500);

/// What the latch says to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// From whom we expect it.
    Heard,
    /// Heard, and the leg has found where its peer sends from.
    Latched,
    /// From a stranger.
    Refused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Source {
    address: SocketAddr,
    ssrc: u32,
    heard: Time,
}

/// The state of one RTP socket.
#[derive(Clone, Debug, Default)]
pub struct Latch {
    /// As the session description says now.
    exact: Option<SocketAddr>,
    /// The last address that a session description named, kept over a hold.
    named: Option<SocketAddr>,
    learn_from: Option<IpAddr>,
    learning: bool,
    source: Option<Source>,
}

/// IPv4 in its own form, so that a mapped address of a dual-stack socket compares equal.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

impl Latch {
    /// Apply a session description: where they receive, whom to learn from, and whether they are to send.
    pub fn configure(&mut self, exact: Option<SocketAddr>, learn_from: Option<IpAddr>, receives: bool) {
        self.exact = exact.map(canonical);
        self.learn_from = learn_from.map(|ip| ip.to_canonical());
        self.learning = receives;
        if self.exact.is_some() && self.exact != self.named {
            // Rule 5: they moved.
            self.named = self.exact;
            self.source = None;
        }
        let allowed = |source: &Source| Some(source.address) == self.named || Some(source.address.ip()) == self.learn_from;
        if !self.source.as_ref().is_some_and(allowed) {
            self.source = None;
        }
    }

    /// Judge a plausible packet and remember its source where the rules say so.
    pub fn judge(&mut self, now: Time, source: SocketAddr, ssrc: u32) -> Verdict {
        if let Some(known) = &mut self.source
            && known.address == source
        {
            known.heard = now;
            known.ssrc = ssrc;
            return Verdict::Heard;
        }
        self.judge_other(now, canonical(source), ssrc)
    }

    fn judge_other(&mut self, now: Time, source: SocketAddr, ssrc: u32) -> Verdict {
        let may_take = match &mut self.source {
            Some(known) if known.address == source => {
                known.heard = now;
                known.ssrc = ssrc;
                return Verdict::Heard;
            }
            _ if self.exact == Some(source) => true,
            _ if self.learn_from != Some(source.ip()) || !self.learning => false,
            Some(known) => now.since(known.heard) >= REBIND_SILENCE && known.ssrc == ssrc,
            None => true,
        };
        if !may_take {
            return Verdict::Refused;
        }
        self.source = Some(Source {
            address: source,
            ssrc,
            heard: now,
        });
        Verdict::Latched
    }

    /// Forget where the peer was found: another kind of packet begins, which may come from another port.
    pub const fn forget(&mut self) {
        self.source = None;
    }

    /// Where packets to the peer go; `None` while the session description names no address.
    #[must_use]
    pub fn target(&self) -> Option<SocketAddr> {
        let exact = self.exact?;
        Some(self.source.map_or(exact, |source| source.address))
    }

    /// Where the peer was found to send from.
    #[must_use]
    pub fn latched(&self) -> Option<SocketAddr> {
        self.source.map(|source| source.address)
    }

    /// Whether a datagram that cannot be told by payload type (RTCP on this socket) comes from the peer.
    #[must_use]
    pub fn knows(&self, source: SocketAddr) -> bool {
        let source = canonical(source);
        self.exact == Some(source) || self.latched() == Some(source)
    }
}

#[cfg(test)]
mod tests {
    use super::Verdict::{Heard, Latched, Refused};
    use super::*;

    const SSRC: u32 = 7;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    fn ms(ms: u64) -> Time {
        Time::from_micros(ms * 1000)
    }

    fn latch(exact: &str, learn_from: Option<IpAddr>) -> Latch {
        let mut latch = Latch::default();
        latch.configure(Some(address(exact)), learn_from, true);
        latch
    }

    #[test]
    fn test_without_learning_only_the_exact_address_is_heard() {
        let mut latch = latch("192.0.2.1:4000", None);
        assert_eq!(latch.judge(ms(0), address("192.0.2.1:4001"), SSRC), Refused);
        assert_eq!(latch.judge(ms(0), address("192.0.2.2:4000"), SSRC), Refused);
        assert_eq!(latch.judge(ms(1), address("192.0.2.1:4000"), SSRC), Latched);
        assert_eq!(latch.judge(ms(2), address("192.0.2.1:4000"), SSRC), Heard);
        assert_eq!(latch.judge(ms(10_000), address("192.0.2.1:4001"), SSRC), Refused);
        assert_eq!(latch.target(), Some(address("192.0.2.1:4000")));
    }

    #[test]
    fn test_one_source_of_the_named_ip_is_learned() {
        let mut latch = latch("10.0.0.5:4000", ip("192.0.2.1"));
        assert_eq!(latch.target(), Some(address("10.0.0.5:4000")));
        assert_eq!(latch.judge(ms(0), address("192.0.2.9:1000"), SSRC), Refused);
        assert_eq!(latch.judge(ms(1), address("192.0.2.1:1000"), SSRC), Latched);
        assert_eq!(latch.judge(ms(2), address("192.0.2.1:2000"), 8), Refused);
        assert_eq!(latch.target(), Some(address("192.0.2.1:1000")));
    }

    #[test]
    fn test_the_exact_address_always_wins() {
        let mut latch = latch("192.0.2.1:4000", ip("192.0.2.1"));
        assert_eq!(latch.judge(ms(0), address("192.0.2.1:666"), SSRC), Latched);
        assert_eq!(latch.judge(ms(1), address("192.0.2.1:4000"), 9), Latched);
        assert_eq!(latch.judge(ms(2), address("192.0.2.1:666"), SSRC), Refused);
        assert_eq!(latch.target(), Some(address("192.0.2.1:4000")));
    }

    #[test]
    fn test_rebinding_needs_silence_and_the_ssrc_that_was_heard() {
        let mut latch = latch("10.0.0.5:4000", ip("192.0.2.1"));
        latch.judge(ms(0), address("192.0.2.1:1000"), SSRC);
        assert_eq!(latch.judge(ms(499), address("192.0.2.1:2000"), SSRC), Refused);
        assert_eq!(latch.judge(ms(60_000), address("192.0.2.1:2000"), 8), Refused);
        assert_eq!(latch.judge(ms(60_000), address("192.0.2.2:2000"), SSRC), Refused);
        assert_eq!(latch.judge(ms(60_000), address("192.0.2.1:2000"), SSRC), Latched);
        assert_eq!(latch.target(), Some(address("192.0.2.1:2000")));
    }

    #[test]
    fn test_nothing_is_learned_while_they_are_not_to_send() {
        let mut latch = Latch::default();
        latch.configure(Some(address("10.0.0.5:4000")), ip("192.0.2.1"), false);
        assert_eq!(latch.judge(ms(0), address("192.0.2.1:1000"), SSRC), Refused);
        latch.configure(Some(address("10.0.0.5:4000")), ip("192.0.2.1"), true);
        assert_eq!(latch.judge(ms(0), address("192.0.2.1:1000"), SSRC), Latched);
    }

    #[test]
    fn test_hold_and_the_same_address_again_keep_what_was_learned() {
        let mut latch = latch("10.0.0.5:4000", ip("192.0.2.1"));
        latch.judge(ms(0), address("192.0.2.1:1000"), SSRC);
        latch.configure(None, ip("192.0.2.1"), false);
        assert_eq!(latch.target(), None);
        assert_eq!(latch.judge(ms(5000), address("192.0.2.1:2000"), 8), Refused);
        latch.configure(Some(address("10.0.0.5:4000")), ip("192.0.2.1"), true);
        assert_eq!(latch.target(), Some(address("192.0.2.1:1000")));
        assert_eq!(latch.judge(ms(9000), address("192.0.2.1:2000"), 8), Refused);
        assert_eq!(latch.judge(ms(9000), address("192.0.2.1:1000"), 12), Heard);
    }

    #[test]
    fn test_a_new_address_or_no_more_learning_forgets_what_was_learned() {
        let mut moved = latch("10.0.0.5:4000", ip("192.0.2.1"));
        moved.judge(ms(0), address("192.0.2.1:1000"), SSRC);
        moved.configure(Some(address("10.0.0.5:4002")), ip("192.0.2.1"), true);
        assert_eq!(moved.latched(), None);
        let mut closed = latch("10.0.0.5:4000", ip("192.0.2.1"));
        closed.judge(ms(0), address("192.0.2.1:1000"), SSRC);
        closed.configure(Some(address("10.0.0.5:4000")), None, true);
        assert_eq!(closed.judge(ms(1), address("192.0.2.1:1000"), SSRC), Refused);
    }

    #[test]
    fn test_a_mapped_address_is_the_ipv4_address() {
        let mut latch = latch("192.0.2.1:4000", None);
        assert_eq!(latch.judge(ms(0), address("[::ffff:192.0.2.1]:4000"), SSRC), Latched);
    }
}
