//! When the delay of what is played should change, and by how much at a time.
//!
//! A tick takes packets at its start, so that a packet waits for the tick and then behind what the tick plays before it. The first wait is what
//! the target asks for and moves by whole ticks; the second is waste and may be removed without harm.

use std::time::Duration;

use super::FRAME_UNITS;
use crate::time::Time;

/// How long the waits are watched between two stretches.
const WATCH: Duration = Duration::from_millis(200);
/// How long when the delay is far from its target.
const HURRIED: Duration = Duration::from_millis(40);
/// Differences below this are left alone.
const SLACK: i64 = FRAME_UNITS * 3 / 20;
/// Waste below this is left alone.
const WASTE: i64 = FRAME_UNITS * 3 / 10;
/// Far from the target.
const FAR: i64 = 2 * FRAME_UNITS;
/// The longest stretch: the longest pitch period.
const LONGEST: i64 = FRAME_UNITS * 3 / 4;

/// What to do to the delay. Spans are the most, in units of the timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stretch {
    /// Nothing.
    Keep,
    /// Make it longer.
    Insert(u32),
    /// Make it shorter.
    Remove(u32),
}

/// The waits since the last stretch.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    since: Option<Time>,
    waited: i64,
    held: i64,
}

impl Pace {
    /// Note how long after the fastest one a packet was taken, and how much was still to be played before it.
    pub(super) fn note(&mut self, now: Time, waited: i64, held: i64) {
        if self.since.is_some() {
            self.waited = self.waited.min(waited);
            self.held = self.held.min(held);
        } else {
            (self.since, self.waited, self.held) = (Some(now), waited, held);
        }
    }

    /// `packet` is what a packet holds: packets shorter than a tick wait by steps of their own.
    pub(super) fn advise(&mut self, now: Time, target: i64, packet: i64) -> Stretch {
        let Some(since) = self.since else { return Stretch::Keep };
        let excess = self.waited - target;
        let far = !(-FRAME_UNITS..=FAR).contains(&excess);
        if now.since(since) < if far { HURRIED } else { WATCH } {
            return Stretch::Keep;
        }
        let held = self.held;
        *self = Pace::default();
        let most = |units: i64| u32::try_from(units.min(LONGEST)).unwrap_or(0);
        if excess < -SLACK {
            Stretch::Insert(most(LONGEST))
        } else if excess >= packet.min(FRAME_UNITS) + SLACK {
            Stretch::Remove(most(LONGEST))
        } else if held >= WASTE {
            Stretch::Remove(most(held))
        } else {
            Stretch::Keep
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advice(waited_ms: i64, held_ms: i64, after_ms: u64) -> Stretch {
        advice_for(20, waited_ms, held_ms, after_ms)
    }

    fn advice_for(packet_ms: i64, waited_ms: i64, held_ms: i64, after_ms: u64) -> Stretch {
        let mut pace = Pace::default();
        pace.note(Time::ZERO, waited_ms * 96, held_ms * 96);
        pace.advise(Time::from_micros(after_ms * 1000), 50 * 96, packet_ms * 96)
    }

    #[test]
    fn test_a_delay_within_a_tick_of_its_target_is_kept() {
        assert_eq!(advice(48, 0, 1000), Stretch::Keep);
        assert_eq!(advice(72, 5, 1000), Stretch::Keep);
        assert_eq!(advice_for(60, 72, 5, 1000), Stretch::Keep);
        assert_eq!(advice_for(10, 72, 5, 1000), Stretch::Remove(1440));
    }

    #[test]
    fn test_too_little_is_stretched_and_too_much_removed() {
        assert_eq!(advice(40, 19, 200), Stretch::Insert(1440));
        assert_eq!(advice(73, 0, 200), Stretch::Remove(1440));
        assert_eq!(advice(55, 10, 200), Stretch::Remove(960));
    }

    #[test]
    fn test_stretches_come_slowly_unless_the_target_is_far() {
        assert_eq!(advice(73, 0, 180), Stretch::Keep);
        assert_eq!(advice(100, 0, 40), Stretch::Remove(1440));
        assert_eq!(advice(29, 0, 40), Stretch::Insert(1440));
    }
}
