//! What arrived and how well: extended sequence numbers, loss, jitter, round trip (RFC 3550 §6.4.1, A.1, A.3, A.8).

use crate::rtcp::ReportBlock;
use crate::time::{Time, ntp_middle};

/// A forward jump up to this is loss, beyond it a restart (RFC 3550 A.1: MAX_DROPOUT).
pub const MAX_DROPOUT: u16 = 3000;
/// A packet may come so late (RFC 3550 A.1: MAX_MISORDER).
pub const MAX_MISORDER: u16 = 100;

/// How a packet stands to those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// The next, or later with a gap before it.
    InOrder,
    /// Earlier than the last, within reason.
    Late,
    /// Seen before.
    Duplicate,
    /// The first of a stream, or a stream that began anew.
    Restart,
    /// Far from what was expected; the next in line would make it a restart.
    Suspect,
}

/// Extended sequence numbers of one stream.
#[derive(Clone, Debug, Default)]
struct Sequence {
    first: u64,
    /// The highest, with its cycles.
    highest: u64,
    /// A bit for each of the 64 numbers up to the highest.
    window: u64,
    /// The number that would confirm a restart.
    suspect: Option<u16>,
    /// How often numbers were missing before one that came.
    gaps: u64,
}

impl Sequence {
    fn new(sequence: u16) -> Self {
        // One cycle ahead, so that packets from before the first stay positive.
        let first = 0x1_0000 | u64::from(sequence);
        Sequence {
            first,
            highest: first,
            window: 1,
            suspect: None,
            gaps: 0,
        }
    }

    fn judge(&mut self, sequence: u16) -> Arrival {
        // The low 16 bits of the extended number are the number itself.
        let ahead = sequence.wrapping_sub((self.highest & 0xffff) as u16);
        if ahead == 0 {
            return Arrival::Duplicate;
        }
        if ahead < MAX_DROPOUT {
            self.window = if ahead < 64 { self.window << ahead | 1 } else { 1 };
            self.highest += u64::from(ahead);
            self.gaps += u64::from(ahead > 1);
            self.suspect = None;
            return Arrival::InOrder;
        }
        let back = ahead.wrapping_neg();
        if back <= MAX_MISORDER {
            return self.judge_late(back);
        }
        // RFC 3550 A.1: two in a row make a restart.
        if self.suspect == Some(sequence) {
            return Arrival::Restart;
        }
        self.suspect = Some(sequence.wrapping_add(1));
        Arrival::Suspect
    }

    fn judge_late(&mut self, back: u16) -> Arrival {
        let bit = 1u64.checked_shl(u32::from(back)).unwrap_or(0);
        if self.window & bit != 0 {
            return Arrival::Duplicate;
        }
        self.window |= bit;
        self.first = self.first.min(self.highest - u64::from(back));
        Arrival::Late
    }

    const fn expected(&self) -> u64 {
        self.highest - self.first + 1
    }
}

/// Sender report of the peer, as its stamps are needed in our reports to it.
#[derive(Clone, Copy, Debug)]
struct LastReport {
    ntp_middle: u32,
    at: Time,
}

#[derive(Clone, Debug)]
struct Stream {
    ssrc: u32,
    sequence: Sequence,
    received: u64,
    unique: u64,
    /// Relative transit time of the last packet, and its timestamp.
    transit: Option<(u32, u32)>,
    /// Sixteen times the jitter in timestamp units (RFC 3550 A.8's integer form).
    jitter: u32,
    clock_rate: u32,
    report: Option<LastReport>,
    expected_before: u64,
    received_before: u64,
}

impl Stream {
    fn new(ssrc: u32, sequence: u16, clock_rate: u32) -> Self {
        Stream {
            ssrc,
            sequence: Sequence::new(sequence),
            received: 0,
            unique: 0,
            transit: None,
            jitter: 0,
            clock_rate,
            report: None,
            expected_before: 0,
            received_before: 0,
        }
    }

    const fn lost(&self) -> u64 {
        self.sequence.expected().saturating_sub(self.received)
    }

    fn measure(&mut self, now: Time, timestamp: u32, clock_rate: u32) {
        if clock_rate != self.clock_rate {
            self.clock_rate = clock_rate;
            self.transit = None;
        }
        let transit = now.in_clock(clock_rate).wrapping_sub(timestamp);
        match self.transit.replace((transit, timestamp)) {
            // RFC 3550 A.8; packets that share a timestamp (telephone events) say nothing about the network.
            Some((before, last)) if last != timestamp => {
                // A jump of more than a minute is a new timeline, not jitter.
                let difference = transit.wrapping_sub(before).cast_signed().unsigned_abs();
                if difference < clock_rate.saturating_mul(60) {
                    self.jitter = self
                        .jitter
                        .saturating_add(difference)
                        .saturating_sub(self.jitter.saturating_add(8) >> 4);
                }
            }
            _ => {}
        }
    }
}

/// Counts of what arrived on a leg, over all sources that it heard one after another.
#[derive(Clone, Debug, Default)]
pub struct Reception {
    stream: Option<Stream>,
    lost_before: u64,
    expected_before: u64,
    unique_before: u64,
    gaps_before: u64,
}

impl Reception {
    /// Note a packet that was heard. `timed` is false for telephone events, whose timestamps stand still.
    pub fn packet(&mut self, now: Time, ssrc: u32, sequence: u16, timestamp: u32, clock_rate: u32, timed: bool) -> Arrival {
        let arrival = match &mut self.stream {
            Some(stream) if stream.ssrc == ssrc => stream.sequence.judge(sequence),
            _ => Arrival::Restart,
        };
        if arrival == Arrival::Restart {
            self.close_stream();
        }
        let stream = self.stream.get_or_insert_with(|| Stream::new(ssrc, sequence, clock_rate));
        if arrival == Arrival::Suspect {
            return arrival;
        }
        stream.received += 1;
        stream.unique += u64::from(arrival != Arrival::Duplicate);
        if timed && matches!(arrival, Arrival::InOrder | Arrival::Restart) {
            stream.measure(now, timestamp, clock_rate);
        }
        arrival
    }

    fn close_stream(&mut self) {
        if let Some(stream) = self.stream.take() {
            self.lost_before += stream.lost();
            self.expected_before += stream.sequence.expected();
            self.unique_before += stream.unique;
            self.gaps_before += stream.sequence.gaps;
        }
    }

    /// The source that is heard now.
    #[must_use]
    pub fn ssrc(&self) -> Option<u32> {
        self.stream.as_ref().map(|stream| stream.ssrc)
    }

    /// Packets lost, as RFC 3550 counts them (a duplicate makes up for a loss), over all sources.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost_before + self.stream.as_ref().map_or(0, Stream::lost)
    }

    /// Sequence numbers that never arrived, duplicates not counted, over all sources.
    #[must_use]
    pub fn missing(&self) -> u64 {
        let (expected, unique) = self
            .stream
            .as_ref()
            .map_or((0, 0), |stream| (stream.sequence.expected(), stream.unique));
        (self.expected_before + expected).saturating_sub(self.unique_before + unique)
    }

    /// How often packets in a row were missing when the next one came, over all sources: with the loss it tells how long the bursts are.
    #[must_use]
    pub fn gaps(&self) -> u64 {
        self.gaps_before + self.stream.as_ref().map_or(0, |stream| stream.sequence.gaps)
    }

    /// Interarrival jitter of the source that is heard now.
    #[must_use]
    pub fn jitter_ms(&self) -> f64 {
        self.stream.as_ref().map_or(0.0, |stream| {
            f64::from(stream.jitter) / 16.0 / f64::from(stream.clock_rate) * 1000.0
        })
    }

    /// Note the NTP timestamp of a sender report from this source.
    pub fn sender_report(&mut self, now: Time, ssrc: u32, ntp: u64) {
        if let Some(stream) = self.stream.as_mut().filter(|stream| stream.ssrc == ssrc) {
            stream.report = Some(LastReport {
                ntp_middle: ntp_middle(ntp),
                at: now,
            });
        }
    }

    /// The report block for our next report about the source that is heard now (RFC 3550 A.3).
    pub fn report(&mut self, now: Time) -> Option<ReportBlock> {
        let stream = self.stream.as_mut()?;
        let expected = stream.sequence.expected();
        let expected_now = expected.saturating_sub(stream.expected_before);
        let received_now = stream.received.saturating_sub(stream.received_before);
        (stream.expected_before, stream.received_before) = (expected, stream.received);
        let lost_now = expected_now.saturating_sub(received_now);
        let fraction = (lost_now << 8).checked_div(expected_now).unwrap_or(0).min(255);
        let lost = i64::try_from(expected)
            .unwrap_or(i64::MAX)
            .saturating_sub(i64::try_from(stream.received).unwrap_or(i64::MAX));
        let delay = stream
            .report
            .map_or(0, |report| now.since(report.at).as_micros() * 65_536 / 1_000_000);
        Some(ReportBlock {
            ssrc: stream.ssrc,
            fraction_lost: u8::try_from(fraction).unwrap_or(u8::MAX),
            // Twenty-four bits, signed.
            cumulative_lost: i32::try_from(lost.clamp(-0x80_0000, 0x7f_ffff)).unwrap_or(0),
            // Thirty-two bits: cycles since our first packet and the number itself.
            highest_sequence: ((stream.sequence.highest - 0x1_0000) & 0xffff_ffff) as u32,
            jitter: stream.jitter >> 4,
            last_sender_report: stream.report.map_or(0, |report| report.ntp_middle),
            delay: u32::try_from(delay).unwrap_or(u32::MAX),
        })
    }
}

/// What the peer's reports say about the stream that we send.
#[derive(Clone, Copy, Debug, Default)]
pub struct RemoteView {
    /// Packets lost on the way to the peer.
    pub lost: Option<u32>,
    /// Round trip in milliseconds.
    pub round_trip_ms: Option<f64>,
    /// Interarrival jitter at the peer, in units of our stream's clock.
    pub jitter: Option<u32>,
}

impl RemoteView {
    /// Note a report block about our stream that arrived when the NTP clock read `ntp_now` (RFC 3550 §6.4.1: A - LSR - DLSR).
    pub fn report(&mut self, ntp_now: u64, block: &ReportBlock) {
        self.lost = Some(u32::try_from(block.cumulative_lost).unwrap_or(0));
        self.jitter = Some(block.jitter);
        if block.last_sender_report == 0 {
            return;
        }
        let trip = ntp_middle(ntp_now).wrapping_sub(block.last_sender_report).wrapping_sub(block.delay);
        // Beyond a minute, or "negative": stamps that are not ours.
        if trip < 60 << 16 {
            self.round_trip_ms = Some(f64::from(trip) / 65_536.0 * 1000.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Time {
        Time::from_micros(ms * 1000)
    }

    fn feed(reception: &mut Reception, sequences: &[u16]) -> Vec<Arrival> {
        let packet = |sequence: &u16| reception.packet(at(0), 1, *sequence, u32::from(*sequence) * 160, 8000, true);
        sequences.iter().map(packet).collect()
    }

    #[test]
    fn test_gaps_are_loss_and_late_packets_mend_them() {
        let mut reception = Reception::default();
        feed(&mut reception, &[10, 11, 14, 15]);
        assert_eq!((reception.lost(), reception.missing()), (2, 2));
        assert_eq!(feed(&mut reception, &[12, 12]), [Arrival::Late, Arrival::Duplicate]);
        assert_eq!((reception.lost(), reception.missing()), (0, 1));
    }

    #[test]
    fn test_gaps_are_counted_by_burst_over_all_sources() {
        let mut reception = Reception::default();
        feed(&mut reception, &[10, 11, 15, 16, 18]);
        assert_eq!((reception.lost(), reception.gaps()), (4, 2));
        reception.packet(at(0), 2, 60_000, 0, 8000, true);
        reception.packet(at(0), 2, 60_003, 0, 8000, true);
        assert_eq!((reception.lost(), reception.gaps()), (6, 3));
    }

    #[test]
    fn test_sequence_numbers_wrap() {
        let mut reception = Reception::default();
        feed(&mut reception, &[65_534, 65_535, 0, 2]);
        assert_eq!(reception.lost(), 1);
        assert_eq!(reception.report(at(0)).unwrap().highest_sequence, 0x1_0002);
    }

    #[test]
    fn test_a_packet_from_before_the_first_belongs_to_the_stream() {
        let mut reception = Reception::default();
        assert_eq!(feed(&mut reception, &[0, 65_535]), [Arrival::Restart, Arrival::Late]);
        assert_eq!(reception.lost(), 0);
        assert_eq!(reception.report(at(0)).unwrap().highest_sequence, 0);
    }

    #[test]
    fn test_one_far_packet_is_suspect_and_two_in_line_are_a_restart() {
        let mut reception = Reception::default();
        let seen = feed(&mut reception, &[1, 2, 30_000, 3, 30_000, 30_001, 30_002]);
        use Arrival::{InOrder, Restart, Suspect};
        assert_eq!(seen, [Restart, InOrder, Suspect, InOrder, Suspect, Restart, InOrder]);
        assert_eq!(reception.lost(), 0);
    }

    #[test]
    fn test_a_new_source_keeps_the_loss_of_the_old() {
        let mut reception = Reception::default();
        feed(&mut reception, &[1, 5]);
        assert_eq!(reception.packet(at(0), 2, 60_000, 0, 8000, true), Arrival::Restart);
        assert_eq!((reception.lost(), reception.ssrc()), (3, Some(2)));
    }

    #[test]
    fn test_jitter_is_that_of_appendix_a8() {
        let mut reception = Reception::default();
        // Every second packet is 8 ms late: |D| is 64 units from the second on.
        let mut expected = 0f64;
        for n in 0..200u16 {
            let late = u64::from(n % 2) * 8;
            reception.packet(at(u64::from(n) * 20 + late), 1, n, u32::from(n) * 160, 8000, true);
            if n > 0 {
                expected += (64.0 - expected) / 16.0;
            }
        }
        assert!(
            (reception.jitter_ms() - expected / 8.0).abs() < 0.1,
            "{} {expected}",
            reception.jitter_ms()
        );
    }

    #[test]
    fn test_a_report_block_holds_fraction_cumulative_loss_and_delay() {
        let mut reception = Reception::default();
        feed(&mut reception, &[1, 2, 4, 5]);
        reception.sender_report(at(1000), 1, 0x1122_3344_5566_7788);
        let block = reception.report(at(3000)).unwrap();
        assert_eq!((block.fraction_lost, block.cumulative_lost), (51, 1));
        assert_eq!((block.last_sender_report, block.delay), (0x3344_5566, 2 * 65_536));
        feed(&mut reception, &[6, 7]);
        let block = reception.report(at(3000)).unwrap();
        assert_eq!((block.fraction_lost, block.cumulative_lost), (0, 1));
    }

    #[test]
    fn test_round_trip_is_the_example_of_rfc_3550_figure_2() {
        // A = 0xb710:8000, DLSR = 5.250 s, LSR = 0xb705:2000; the trip is 6.125 s.
        let mut view = RemoteView::default();
        let block = ReportBlock {
            last_sender_report: 0xb705_2000,
            delay: 0x0005_4000,
            cumulative_lost: 3,
            ..ReportBlock::default()
        };
        view.report(0xb44d_b710_8000_0000, &block);
        assert_eq!(view.round_trip_ms, Some(6125.0));
        assert_eq!(view.lost, Some(3));
        view.report(
            0,
            &ReportBlock {
                last_sender_report: 1,
                cumulative_lost: -2,
                ..block
            },
        );
        assert_eq!((view.round_trip_ms, view.lost), (Some(6125.0), Some(0)));
    }
}
