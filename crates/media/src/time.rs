//! Time as the leg sees it: microseconds since an origin that the caller chose, and the wall clock of RTCP that goes with it.

use std::ops::Add;
use std::time::Duration;

/// A point on the caller's monotonic clock, in microseconds since the caller's origin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

impl Time {
    /// The origin of the caller's clock.
    pub const ZERO: Time = Time(0);

    /// The point that lies `micros` microseconds after the origin.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Time(micros)
    }

    /// Microseconds since the origin.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// How long ago `earlier` was; zero when it lies ahead.
    #[must_use]
    pub const fn since(self, earlier: Time) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// This point in units of an RTP clock, modulo 2^32 (RFC 3550 §5.1).
    #[must_use]
    pub const fn in_clock(self, clock_rate: u32) -> u32 {
        let units = self.0 as u128 * clock_rate as u128 / 1_000_000;
        // Modulo 2^32 is what a timestamp is.
        (units & 0xffff_ffff) as u32
    }
}

impl Add<Duration> for Time {
    type Output = Time;

    fn add(self, rhs: Duration) -> Time {
        Time(self.0.saturating_add(u64::try_from(rhs.as_micros()).unwrap_or(u64::MAX)))
    }
}

/// Seconds from 1900 (NTP's origin) to 1970.
const NTP_OFFSET_S: u64 = 2_208_988_800;

/// The wall clock at [`Time::ZERO`], for the NTP timestamps of sender reports (RFC 3550 §4).
#[derive(Clone, Copy, Debug, Default)]
pub struct WallClock {
    origin_us: u64,
}

impl WallClock {
    /// A wall clock that read `unix_us` microseconds since 1970 at [`Time::ZERO`].
    #[must_use]
    pub const fn new(unix_us: u64) -> Self {
        WallClock { origin_us: unix_us }
    }

    /// The 64-bit NTP timestamp of `now`.
    #[must_use]
    pub const fn ntp(self, now: Time) -> u64 {
        let micros = self.origin_us.saturating_add(now.0);
        let seconds = (micros / 1_000_000).saturating_add(NTP_OFFSET_S) & 0xffff_ffff;
        let fraction = ((micros % 1_000_000) << 32) / 1_000_000;
        seconds << 32 | fraction
    }
}

/// The middle 32 bits of an NTP timestamp, in units of 1/65536 s (RFC 3550 §4).
#[must_use]
pub const fn ntp_middle(ntp: u64) -> u32 {
    (ntp >> 16 & 0xffff_ffff) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_a_second_is_the_clock_rate_in_units() {
        assert_eq!(Time::from_micros(1_000_000).in_clock(8000), 8000);
        assert_eq!(Time::from_micros(20_000).in_clock(48_000), 960);
    }

    #[test]
    fn test_ntp_counts_from_1900_with_binary_fractions() {
        let ntp = WallClock::new(500_000).ntp(Time::ZERO);
        assert_eq!(ntp, NTP_OFFSET_S << 32 | 0x8000_0000);
        assert_eq!(ntp_middle(0x1122_3344_5566_7788), 0x3344_5566);
    }
}
