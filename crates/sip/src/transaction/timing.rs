//! The timers of RFC 3261 §17 (its table 4), RFC 6026, and ours, and how long each runs.

use std::time::Duration;

use super::State;
use crate::endpoint::config;
use crate::time::Time;

/// On whole ones of these go the timers off that may be late.
const STEP: Duration = Duration::from_millis(100);
/// A timer that runs for fewer steps is not late.
const STEPS: u32 = 40;

/// A timer of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Timer {
    /// INVITE request repeated.
    A,
    /// INVITE without any answer.
    B,
    /// Repeats of a failure awaited.
    D,
    /// Non-INVITE request repeated.
    E,
    /// Non-INVITE without a final answer.
    F,
    /// Failure to INVITE repeated.
    G,
    /// ACK to a failure awaited.
    H,
    /// Repeats of that ACK absorbed.
    I,
    /// Repeats of a non-INVITE request absorbed.
    J,
    /// Repeats of a non-INVITE final answer absorbed.
    K,
    /// Repeats of an INVITE that was answered 2xx absorbed; for us also: its ACK awaited (RFC 6026 §7.1, RFC 3261 §13.3.1.4).
    L,
    /// Further 2xx to our INVITE awaited (RFC 6026 §7.2).
    M,
    /// 2xx to INVITE repeated until its ACK (RFC 3261 §13.3.1.4).
    Success,
    /// 100 sent when nobody answered (§17.2.1).
    Trying,
    /// Provisional repeated while an INVITE waits (§13.3.1.1).
    Minute,
    /// Final answer to a cancelled INVITE awaited (§9.1).
    CancelLimit,
    /// A non-INVITE request that nobody answered is given up.
    Abandon,
    /// A BYE in order that Python left alone is answered.
    Bye,
    /// A reliable provisional repeated until its PRACK (RFC 3262 §3).
    Reliable,
    /// That PRACK awaited.
    ReliableLimit,
    /// The connection for a large request awaited (RFC 3261 §18.1.1).
    Stream,
}

/// All timers, in the order of [`Timer`].
pub const TIMERS: [Timer; 21] = [
    Timer::A,
    Timer::B,
    Timer::D,
    Timer::E,
    Timer::F,
    Timer::G,
    Timer::H,
    Timer::I,
    Timer::J,
    Timer::K,
    Timer::L,
    Timer::M,
    Timer::Success,
    Timer::Trying,
    Timer::Minute,
    Timer::CancelLimit,
    Timer::Abandon,
    Timer::Bye,
    Timer::Reliable,
    Timer::ReliableLimit,
    Timer::Stream,
];

impl Timer {
    /// Whether each start of it runs twice as long as the one before.
    #[must_use]
    pub const fn doubles(self) -> bool {
        matches!(self, Timer::A | Timer::E | Timer::G | Timer::Success)
    }

    /// When it goes off that is to run for `duration` from `now` on.
    ///
    /// Those that end a transaction which is kept for repeats send nothing and may be a little late: they go off together, on whole steps of
    /// [`STEP`], since each alone would wake the thread for every transaction once more.
    #[must_use]
    pub fn due(self, now: Time, duration: Duration) -> Time {
        let due = now + duration;
        let absorbs = matches!(self, Timer::D | Timer::I | Timer::J | Timer::K | Timer::L | Timer::M);
        if absorbs && duration >= STEP.saturating_mul(STEPS) {
            due.rounded_up(STEP)
        } else {
            due
        }
    }

    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// A set of timers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimerSet(u32);

impl TimerSet {
    /// Put a timer in.
    pub const fn insert(&mut self, timer: Timer) {
        self.0 |= timer.bit();
    }

    /// Take a timer out; true when it was in.
    pub const fn remove(&mut self, timer: Timer) -> bool {
        let was = self.0 & timer.bit() != 0;
        self.0 &= !timer.bit();
        was
    }

    /// Those in it, in order.
    pub fn iter(self) -> impl Iterator<Item = Timer> {
        TIMERS.into_iter().filter(move |timer| self.0 & timer.bit() != 0)
    }
}

/// How long the timers run: T1 is set, T2 and T4 are RFC 3261's.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// The round-trip estimate.
    pub t1: Duration,
    /// The longest pause between repeats.
    pub t2: Duration,
    /// How long a message may linger in the network.
    pub t4: Duration,
}

impl Timing {
    /// The timing for that T1, which is at least a millisecond: without pause a repeat would never end.
    #[must_use]
    pub fn new(t1: Duration) -> Self {
        Timing {
            t1: t1.max(Duration::from_millis(1)),
            t2: config::T2,
            t4: config::T4,
        }
    }

    /// 64*T1, the life of an unanswered request.
    #[must_use]
    pub const fn limit(&self) -> Duration {
        self.t1.saturating_mul(64)
    }

    /// How long `timer` runs when it starts in `state` for the (`repeats` + 1)th time; `None` where a reliable transport makes it needless.
    #[must_use]
    pub fn duration(&self, timer: Timer, state: State, repeats: u32, reliable: bool) -> Option<Duration> {
        let doubled = self.t1.saturating_mul(1_u32.checked_shl(repeats).unwrap_or(u32::MAX));
        let absorb = |time: Duration| Some(if reliable { Duration::ZERO } else { time });
        match timer {
            Timer::A | Timer::E | Timer::G if reliable => None,
            // RFC 3262 §3 doubles without end too, and over reliable transports as well.
            Timer::A | Timer::Reliable => Some(doubled),
            // §17.1.2.2: in Proceeding every T2.
            Timer::E if state == State::Proceeding => Some(self.t2),
            // §13.3.1.4: a 2xx is repeated over reliable transports too.
            Timer::E | Timer::G | Timer::Success => Some(doubled.min(self.t2)),
            Timer::D => absorb(self.limit().max(Duration::from_secs(32))),
            Timer::J => absorb(self.limit()),
            Timer::I | Timer::K => absorb(self.t4),
            Timer::B | Timer::F | Timer::H | Timer::L | Timer::M | Timer::CancelLimit | Timer::Abandon | Timer::ReliableLimit => {
                Some(self.limit())
            }
            Timer::Trying => Some(config::TRYING_DELAY),
            Timer::Minute => Some(config::PROVISIONAL_INTERVAL),
            Timer::Bye => Some(config::BYE_DELAY),
            Timer::Stream => Some(config::STREAM_PATIENCE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_what_ends_a_transaction_kept_for_repeats_goes_off_in_steps_and_never_early() {
        let limit = Duration::from_secs(32);
        for now in [0, 1, 99_999, 100_000, 123_456].map(Time::from_micros) {
            let due = Timer::J.due(now, limit);
            assert_eq!(due.as_micros() % 100_000, 0);
            assert!(due >= now + limit && due.since(now) < limit + STEP);
        }
    }

    #[test]
    fn test_what_repeats_or_runs_briefly_goes_off_on_time() {
        let now = Time::from_micros(123_456);
        for (timer, duration) in [(Timer::A, 8_000), (Timer::B, 32_000), (Timer::Trying, 200), (Timer::K, 3_000)] {
            let duration = Duration::from_millis(duration);
            assert_eq!(timer.due(now, duration), now + duration);
        }
    }
}
