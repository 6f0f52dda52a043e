//! The stream that a leg sends: one SSRC of ours with continuous sequence numbers and timestamps, whatever feeds it.
//!
//! Frames come from the linked leg, from a tone or from digits. When the feeder changes (another link, another source behind it, a restart
//! of its numbers) offsets are chosen anew so that a receiver sees one stream that goes on: the next number, a timestamp later by the time
//! that passed, a marker. Within one feeder gaps and reordering are kept, so that the receiver can conceal them.

use crate::random::Random;
use crate::rtp::Header;
use crate::statistics::{MAX_DROPOUT, MAX_MISORDER};
use crate::time::Time;

/// Who feeds the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Feeder {
    Local,
    Relayed { link: u32, ssrc: u32 },
}

/// What a relayed frame brings along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// A number for the link that it came over; another link, another number.
    pub link: u32,
    /// Its source.
    pub ssrc: u32,
    /// Its sequence number.
    pub sequence: u16,
    /// Its timestamp.
    pub timestamp: u32,
    /// Its marker.
    pub marker: bool,
    /// Its codec's clock.
    pub clock_rate: u32,
}

/// The numbers of one outgoing stream.
#[derive(Clone, Debug)]
pub struct Outbound {
    ssrc: u32,
    feeder: Option<Feeder>,
    /// Highest sequence number sent, extended; the low 16 bits are on the wire.
    highest: u64,
    /// Below this, extended numbers belong to an earlier feeder.
    floor: u64,
    sequence_offset: u16,
    timestamp_offset: u32,
    /// Timestamp of the highest number and when it was sent.
    timestamp: u32,
    sent_at: Option<Time>,
    clock_rate: u32,
    /// A far number that the next in line would confirm as a restart.
    suspect: Option<u16>,
    packets: u64,
    octets: u64,
}

impl Outbound {
    /// A stream with random first numbers (RFC 3550 §5.1).
    #[must_use]
    pub fn new(random: &mut Random) -> Self {
        // RFC 3711 §3.3.1: in the lower half, so that a lost beginning does not hide a roll-over.
        let highest = 0x1_0000 + u64::from(random.next_u16() & 0x7fff);
        Outbound {
            ssrc: random.next_u32(),
            feeder: None,
            highest,
            floor: highest + 1,
            sequence_offset: 0,
            timestamp_offset: 0,
            timestamp: random.next_u32(),
            sent_at: None,
            clock_rate: 8000,
            suspect: None,
            packets: 0,
            octets: 0,
        }
    }

    /// Our SSRC.
    #[must_use]
    pub const fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// The clock of the last packet's codec, in Hz.
    #[must_use]
    pub const fn clock_rate(&self) -> u32 {
        self.clock_rate
    }

    /// Packets sent.
    #[must_use]
    pub const fn packets(&self) -> u64 {
        self.packets
    }

    /// Payload bytes sent.
    #[must_use]
    pub const fn octets(&self) -> u64 {
        self.octets
    }

    /// Note that a packet with so many payload bytes went out.
    pub fn count(&mut self, octets: usize) {
        self.packets += 1;
        self.octets += octets as u64;
    }

    /// The stream's timestamp at this moment, for sender reports.
    #[must_use]
    pub fn timestamp_at(&self, now: Time) -> u32 {
        self.timestamp.wrapping_add(self.elapsed(now, self.clock_rate))
    }

    fn elapsed(&self, now: Time, clock_rate: u32) -> u32 {
        let since = self
            .sent_at
            .map_or(0, |at| u64::try_from(now.since(at).as_micros()).unwrap_or(u64::MAX));
        Time::from_micros(since).in_clock(clock_rate)
    }

    /// The header for a relayed frame; `None` when it is too late to be sent.
    pub fn relay(&mut self, now: Time, frame: &Incoming, payload_type: u8) -> Option<Header> {
        let feeder = Feeder::Relayed {
            link: frame.link,
            ssrc: frame.ssrc,
        };
        if self.feeder != Some(feeder) {
            return Some(self.switch(now, feeder, frame, payload_type));
        }
        let sequence = frame.sequence.wrapping_add(self.sequence_offset);
        let ahead = sequence.wrapping_sub((self.highest & 0xffff) as u16);
        let timestamp = frame.timestamp.wrapping_add(self.timestamp_offset);
        if ahead < MAX_DROPOUT {
            self.highest += u64::from(ahead);
            if timestamp != self.timestamp {
                // a digit's packets all tell when it began
                (self.timestamp, self.sent_at) = (timestamp, Some(now));
            }
            (self.suspect, self.clock_rate) = (None, frame.clock_rate);
        } else if ahead.wrapping_neg() > MAX_MISORDER {
            return self.far(now, feeder, frame, payload_type);
        } else if self.highest.saturating_sub(u64::from(ahead.wrapping_neg())) < self.floor {
            // Its number was given to the feeder before.
            return None;
        }
        Some(Header {
            marker: frame.marker,
            payload_type,
            sequence,
            timestamp,
            ssrc: self.ssrc,
        })
    }

    /// RFC 3550 A.1: a source that jumped is believed at the second packet in line.
    fn far(&mut self, now: Time, feeder: Feeder, frame: &Incoming, payload_type: u8) -> Option<Header> {
        if self.suspect == Some(frame.sequence) {
            return Some(self.switch(now, feeder, frame, payload_type));
        }
        self.suspect = Some(frame.sequence.wrapping_add(1));
        None
    }

    fn switch(&mut self, now: Time, feeder: Feeder, frame: &Incoming, payload_type: u8) -> Header {
        // At least a packet time of 20 ms later than what was sent last.
        let step = self.elapsed(now, frame.clock_rate).max(frame.clock_rate / 50);
        let header = self.advance(now, feeder, step, frame.clock_rate, payload_type);
        self.sequence_offset = header.sequence.wrapping_sub(frame.sequence);
        self.timestamp_offset = header.timestamp.wrapping_sub(frame.timestamp);
        Header { marker: true, ..header }
    }

    fn advance(&mut self, now: Time, feeder: Feeder, step: u32, clock_rate: u32, payload_type: u8) -> Header {
        if self.feeder != Some(feeder) || self.suspect.is_some() {
            self.floor = self.highest + 1;
        }
        self.highest += 1;
        self.timestamp = self.timestamp.wrapping_add(step);
        (self.feeder, self.sent_at, self.clock_rate, self.suspect) = (Some(feeder), Some(now), clock_rate, None);
        let sequence = (self.highest & 0xffff) as u16;
        Header {
            marker: false,
            payload_type,
            sequence,
            timestamp: self.timestamp,
            ssrc: self.ssrc,
        }
    }

    /// The header for a packet of our own, `step` timestamp units after the last of our own; the first one sets the marker.
    pub fn generate(&mut self, now: Time, step: u32, clock_rate: u32, payload_type: u8) -> Header {
        let begins = self.feeder != Some(Feeder::Local);
        let step = if begins { self.elapsed(now, clock_rate).max(step) } else { step };
        let header = self.advance(now, Feeder::Local, step, clock_rate, payload_type);
        Header { marker: begins, ..header }
    }

    /// Let time pass without a packet: the next packet of our own is so much later.
    pub fn skip(&mut self, units: u32) {
        // A relayed source keeps its own time; what passed since is added when our own packets begin.
        if self.feeder == Some(Feeder::Local) {
            self.timestamp = self.timestamp.wrapping_add(units);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outbound() -> Outbound {
        Outbound::new(&mut Random::new(5))
    }

    fn ms(ms: u64) -> Time {
        Time::from_micros(ms * 1000)
    }

    fn frame(link: u32, ssrc: u32, sequence: u16, timestamp: u32) -> Incoming {
        Incoming {
            link,
            ssrc,
            sequence,
            timestamp,
            marker: false,
            clock_rate: 8000,
        }
    }

    #[test]
    fn test_within_a_source_gaps_and_reordering_are_kept() {
        let mut out = outbound();
        let first = out.relay(ms(0), &frame(1, 9, 65_534, 1000), 0).unwrap();
        let mut relay = |sequence: u16, timestamp| out.relay(ms(20), &frame(1, 9, sequence, timestamp), 8).unwrap();
        let (gap, late) = (relay(1, 1480), relay(0, 1320));
        assert!(first.marker && !gap.marker);
        assert_eq!(gap.sequence, first.sequence.wrapping_add(3));
        assert_eq!(late.sequence, first.sequence.wrapping_add(2));
        assert_eq!(gap.timestamp, first.timestamp.wrapping_add(480));
        assert_eq!(late.timestamp, first.timestamp.wrapping_add(320));
        assert_eq!((gap.ssrc, gap.payload_type), (first.ssrc, 8));
    }

    #[test]
    fn test_a_new_source_or_link_goes_on_where_the_old_one_stopped() {
        let mut out = outbound();
        let first = out.relay(ms(0), &frame(1, 9, 100, 1000), 0).unwrap();
        for (n, next) in (1u16..).zip([frame(1, 8, 5000, 77), frame(2, 8, 5001, 237), frame(3, 9, 0, 0)]) {
            let header = out.relay(ms(u64::from(n) * 100), &next, 0).unwrap();
            assert!(header.marker);
            assert_eq!(header.sequence, first.sequence.wrapping_add(n));
            assert_eq!(header.timestamp, first.timestamp.wrapping_add(u32::from(n) * 800));
            assert_eq!(header.ssrc, first.ssrc);
        }
    }

    #[test]
    fn test_a_late_packet_never_takes_a_number_of_the_source_before() {
        let mut out = outbound();
        out.relay(ms(0), &frame(1, 9, 100, 1000), 0).unwrap();
        out.relay(ms(20), &frame(2, 8, 501, 160), 0).unwrap();
        assert_eq!(out.relay(ms(21), &frame(2, 8, 500, 0), 0), None);
        assert!(out.relay(ms(40), &frame(2, 8, 502, 320), 0).is_some());
    }

    #[test]
    fn test_a_jump_is_believed_at_its_second_packet() {
        let mut out = outbound();
        let first = out.relay(ms(0), &frame(1, 9, 100, 1000), 0).unwrap();
        assert_eq!(out.relay(ms(20), &frame(1, 9, 40_000, 5), 0), None);
        let next = out.relay(ms(40), &frame(1, 9, 40_001, 165), 0).unwrap();
        assert_eq!(next.sequence, first.sequence.wrapping_add(1));
        assert_eq!(next.timestamp, first.timestamp.wrapping_add(320));
        assert_eq!(out.relay(ms(41), &frame(1, 9, 40_000, 5), 0), None);
    }

    #[test]
    fn test_our_own_packets_and_relayed_ones_make_one_stream() {
        let mut out = outbound();
        let relayed = out.relay(ms(0), &frame(1, 9, 100, 1000), 0).unwrap();
        let own = out.generate(ms(20), 160, 8000, 0);
        let more = out.generate(ms(40), 160, 8000, 0);
        let back = out.relay(ms(60), &frame(1, 9, 103, 1480), 0).unwrap();
        assert_eq!([own.marker, more.marker, back.marker], [true, false, true]);
        for (n, header) in (1u16..).zip([own, more, back]) {
            assert_eq!(header.sequence, relayed.sequence.wrapping_add(n));
            assert_eq!(header.timestamp, relayed.timestamp.wrapping_add(u32::from(n) * 160));
        }
    }

    #[test]
    fn test_a_long_stream_keeps_its_numbers_over_many_wraps() {
        let mut out = outbound();
        let first = out.relay(ms(0), &frame(1, 9, 0, 0), 0).unwrap();
        for n in 1..200_000u32 {
            let header = out.relay(ms(u64::from(n) * 20), &frame(1, 9, n as u16, n * 160), 0).unwrap();
            assert_eq!(header.sequence, first.sequence.wrapping_add(n as u16));
        }
    }
}
