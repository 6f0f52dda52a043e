//! Where a packet belongs: sequence numbers and timestamps of one source after another, on one timeline that never runs back.
//!
//! Numbers wrap, sources change, senders begin their counts anew. [`Stream::judge`] says what a packet is to those before it;
//! a restart is tied on behind what was there, where its arrival puts it. RFC 3550 §5.1, A.1.

use std::time::Duration;

use super::{TIMELINE_RATE, units, units_at};
use crate::rtp::Header;
use crate::statistics::{MAX_DROPOUT, MAX_MISORDER};
use crate::time::Time;

/// A source that was heard within this time is not left for the first packet of another.
const ALIVE: Duration = Duration::from_millis(100);
/// A packet that marks a talkspurt (RFC 3551 §4.1) may begin a timeline when it is so far off.
const MARKED: Duration = Duration::from_millis(200);
/// Any packet may when it is so much too early, for it would be held for as long.
const EARLY: Duration = Duration::from_millis(500);
/// Any packet may when it is so much too late.
const LATE: Duration = Duration::from_secs(1);
/// So many packets in a row that come too late show that time has moved.
const LATE_IN_A_ROW: u8 = 10;

/// What a packet is to those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It has a place.
    At(Spot),
    /// Its number was seen before.
    Duplicate,
    /// It belongs so far back that nothing is known of it.
    Stale,
    /// It does not belong to this stream, yet; if the next in line comes, both do.
    Suspect,
}

/// A place on the timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    /// Counts on through wraps and restarts.
    pub(super) sequence: i64,
    /// In units of the timeline.
    pub(super) position: i64,
    /// It begins a timeline of its own: what it holds does not go on from the packet before.
    pub(super) restart: bool,
}

/// What is known about time when a packet arrives.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) now: Time,
    /// The usual transit.
    pub(super) typical: i64,
    /// No restart may lie before this: the end of what is held or was played.
    pub(super) end: i64,
    /// A packet from before this comes too late.
    pub(super) past: i64,
}

#[derive(Clone, Debug)]
pub(super) struct Stream {
    ssrc: u32,
    clock_rate: u32,
    /// The highest number, as sent and as counted here.
    sequence: u16,
    highest: i64,
    /// The number that the last restart began with; zero before the first restart.
    first: i64,
    /// A bit for each number up to the highest.
    seen: u128,
    /// The last timestamp, as sent and as counted here.
    timestamp: u32,
    extended: i64,
    /// Which extended timestamp lies at which position.
    anchor: (i64, i64),
    heard: Time,
    late_in_a_row: u8,
}

impl Stream {
    /// A stream that begins with this packet.
    pub(super) fn new(header: &Header, clock_rate: u32, now: Time) -> (Self, Spot) {
        let position = units_at(now);
        let stream = Stream {
            ssrc: header.ssrc,
            clock_rate,
            sequence: header.sequence,
            // Numbers from before the first stay positive.
            highest: 0x1_0000,
            first: 0,
            seen: 1,
            timestamp: header.timestamp,
            extended: 0,
            anchor: (0, position),
            heard: now,
            late_in_a_row: 0,
        };
        let spot = Spot {
            sequence: stream.highest,
            position,
            restart: true,
        };
        (stream, spot)
    }

    /// Whether this source could follow at once: another source while this one speaks, or a far number, needs a second packet.
    fn credible(&self, header: &Header, now: Time) -> bool {
        header.ssrc != self.ssrc && now.since(self.heard) >= ALIVE
    }

    /// Steps from the highest number; `None` where that can be no loss and no reordering (RFC 3550 A.1).
    fn steps(&self, header: &Header) -> Option<i64> {
        let ahead = header.sequence.wrapping_sub(self.sequence);
        if header.ssrc != self.ssrc {
            None
        } else if ahead < MAX_DROPOUT {
            Some(i64::from(ahead))
        } else if ahead.wrapping_neg() <= MAX_MISORDER {
            Some(-i64::from(ahead.wrapping_neg()))
        } else {
            None
        }
    }

    /// Say where a packet belongs and count it as seen. `confirmed` says that the packet before it in number was suspect.
    pub(super) fn judge(&mut self, header: &Header, clock_rate: u32, confirmed: bool, moment: &Moment) -> Place {
        let Some(steps) = self.steps(header) else {
            if !confirmed && !self.credible(header, moment.now) {
                return Place::Suspect;
            }
            return Place::At(self.restart(header, clock_rate, moment));
        };
        self.heard = moment.now;
        if steps <= 0 {
            return self.judge_old(header, clock_rate, steps, moment);
        }
        self.count(header, steps);
        let (extended, position) = self.locate(header.timestamp);
        // No network turns a sender's clock back while its numbers rise.
        let back = extended <= self.extended;
        let off = units_at(moment.now) - position - moment.typical;
        if back || clock_rate != self.clock_rate || self.is_broken(header, position, off, moment) {
            return Place::At(self.anchor(header, clock_rate, moment));
        }
        (self.timestamp, self.extended) = (header.timestamp, extended);
        Place::At(Spot {
            sequence: self.highest,
            position,
            restart: false,
        })
    }

    fn judge_old(&mut self, header: &Header, clock_rate: u32, steps: i64, moment: &Moment) -> Place {
        if self.highest + steps < self.first || clock_rate != self.clock_rate {
            return Place::Stale;
        }
        if !self.mark(steps) {
            return Place::Duplicate;
        }
        let position = self.locate(header.timestamp).1;
        let off = units_at(moment.now) - position - moment.typical;
        if off < -units(EARLY) || off > units(LATE) {
            return Place::Stale;
        }
        Place::At(Spot {
            sequence: self.highest + steps,
            position,
            restart: false,
        })
    }

    /// Count a packet that has a number but no place in time: a telephone event.
    pub(super) fn count_event(&mut self, header: &Header, now: Time) -> Option<i64> {
        let steps = self.steps(header)?;
        self.heard = now;
        if steps <= 0 {
            let known = self.highest + steps >= self.first && self.mark(steps);
            return known.then_some(self.highest + steps);
        }
        self.count(header, steps);
        Some(self.highest)
    }

    /// Mark an older number as seen; false when it was.
    fn mark(&mut self, steps: i64) -> bool {
        let bit = u32::try_from(-steps).ok().and_then(|back| 1u128.checked_shl(back)).unwrap_or(0);
        let fresh = self.seen & bit == 0;
        self.seen |= bit;
        fresh
    }

    fn count(&mut self, header: &Header, steps: i64) {
        self.seen = u32::try_from(steps).ok().and_then(|by| self.seen.checked_shl(by)).unwrap_or(0) | 1;
        self.highest += steps;
        self.sequence = header.sequence;
    }

    /// The timestamp as counted here, and its position.
    fn locate(&self, timestamp: u32) -> (i64, i64) {
        let step = i64::from(timestamp.wrapping_sub(self.timestamp).cast_signed());
        let extended = self.extended + step;
        let (from, position) = self.anchor;
        (extended, position + in_units(extended - from, self.clock_rate))
    }

    /// Whether the newest packet is where no network can have put it.
    fn is_broken(&mut self, header: &Header, position: i64, off: i64, moment: &Moment) -> bool {
        // Every packet from before the playing end is late, the newest too when time stood still at the sender.
        let late = position < moment.past;
        self.late_in_a_row = if late { self.late_in_a_row.saturating_add(1) } else { 0 };
        let (early, behind) = if header.marker { (MARKED, MARKED) } else { (EARLY, LATE) };
        off < -units(early) || off > units(behind) || self.late_in_a_row >= LATE_IN_A_ROW
    }

    /// Begin to count anew, one step behind the highest number.
    fn restart(&mut self, header: &Header, clock_rate: u32, moment: &Moment) -> Spot {
        self.ssrc = header.ssrc;
        self.sequence = header.sequence;
        self.seen = 1;
        self.highest += 1;
        self.first = self.highest;
        self.heard = moment.now;
        self.anchor(header, clock_rate, moment)
    }

    /// Tie the timeline to this packet, where one of the usual transit would lie that arrives now.
    pub(super) fn anchor(&mut self, header: &Header, clock_rate: u32, moment: &Moment) -> Spot {
        let position = (units_at(moment.now) - moment.typical).max(moment.end);
        self.clock_rate = clock_rate;
        self.timestamp = header.timestamp;
        self.extended = 0;
        self.anchor = (0, position);
        self.late_in_a_row = 0;
        Spot {
            sequence: self.highest,
            position,
            restart: true,
        }
    }
}

/// Ticks of an RTP clock in units of the timeline.
fn in_units(ticks: i64, clock_rate: u32) -> i64 {
    let units = i128::from(ticks) * i128::from(TIMELINE_RATE);
    i64::try_from(units.div_euclid(i128::from(clock_rate.max(1)))).unwrap_or(i64::MAX / 4)
}
