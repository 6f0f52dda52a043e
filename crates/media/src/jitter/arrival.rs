//! How late packets arrive, and from that how deep the buffer has to be.
//!
//! The transit of a packet is its arrival less its place on the timeline; only differences of transits mean anything. Two windows of them
//! are kept sorted: a short one that notices a network that grows worse within a second, and a long one that forgets it slowly. Clock drift moves
//! all transits alike, so that the windows follow it.

use std::time::Duration;

use super::{Depth, FRAME_UNITS, units};

/// Packets of the long window: eight seconds of 20 ms each.
const LONG: usize = 400;
/// Packets of the short window.
const SHORT: usize = 50;
/// Before this many packets arrived, little is known.
const LEARNT: usize = 25;
/// The least depth until then.
const UNKNOWN: Duration = Duration::from_millis(40);
/// Of the long window, two packets in a hundred may be later than the target.
const LONG_PERMILLE: usize = 980;
/// Of the short window, two of fifty.
const SHORT_PERMILLE: usize = 960;

/// The last transits, in order of arrival and sorted.
#[derive(Clone, Debug)]
struct Window {
    size: usize,
    arrived: Vec<i64>,
    oldest: usize,
    sorted: Vec<i64>,
}

impl Window {
    fn new(size: usize) -> Self {
        Window {
            size,
            arrived: Vec::with_capacity(size),
            oldest: 0,
            sorted: Vec::with_capacity(size),
        }
    }

    fn add(&mut self, transit: i64) {
        if self.arrived.len() < self.size {
            self.arrived.push(transit);
        } else if let Some(old) = self.arrived.get_mut(self.oldest) {
            let gone = std::mem::replace(old, transit);
            self.oldest = (self.oldest + 1) % self.size;
            if let Ok(place) = self.sorted.binary_search(&gone) {
                self.sorted.remove(place);
            }
        }
        let place = self.sorted.partition_point(|known| *known < transit);
        self.sorted.insert(place, transit);
    }

    /// The transit that `permille` of the packets do not exceed.
    fn quantile(&self, permille: usize) -> Option<i64> {
        let rank = (self.sorted.len() * permille).div_ceil(1000);
        self.sorted.get(rank.saturating_sub(1)).copied()
    }
}

/// The transits of a stream and the depth that follows from them. All numbers are units of the timeline.
#[derive(Clone, Debug)]
pub(super) struct Arrivals {
    depth: Depth,
    long: Window,
    short: Window,
    least: i64,
    target: i64,
}

impl Arrivals {
    pub(super) fn new(depth: Depth) -> Self {
        Arrivals {
            depth,
            long: Window::new(LONG),
            short: Window::new(SHORT),
            least: 0,
            target: units(depth.least()),
        }
    }

    /// Note the transit of a packet, late ones included.
    pub(super) fn add(&mut self, transit: i64) {
        self.long.add(transit);
        self.short.add(transit);
        self.least = self.long.quantile(0).unwrap_or(0);
        self.target = self.judge();
    }

    fn judge(&self) -> i64 {
        let Depth::Adaptive { min, max } = self.depth else {
            return units(self.depth.least());
        };
        let long = self.long.quantile(LONG_PERMILLE).unwrap_or(0);
        let short = self.short.quantile(SHORT_PERMILLE).unwrap_or(0);
        let floor = if self.long.sorted.len() < LEARNT { min.max(UNKNOWN) } else { min };
        (long.max(short) - self.least).max(units(floor)).min(units(max))
    }

    /// Whether a transit is known.
    pub(super) const fn is_used(&self) -> bool {
        !self.long.arrived.is_empty()
    }

    /// The least transit of the long window: what the network takes when nothing is in its way.
    pub(super) const fn least(&self) -> i64 {
        self.least
    }

    /// The transit of the packet in the middle, zero before the first.
    pub(super) fn typical(&self) -> i64 {
        self.long.quantile(500).unwrap_or(0)
    }

    /// How long after the fastest packet a packet should be played.
    pub(super) const fn target(&self) -> i64 {
        self.target
    }

    /// The most that a packet may be behind the fastest when it is played.
    pub(super) fn limit(&self) -> i64 {
        units(self.depth.most()) + 2 * FRAME_UNITS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADAPTIVE: Depth = Depth::Adaptive {
        min: Duration::from_millis(20),
        max: Duration::from_millis(300),
    };

    #[test]
    fn test_a_window_holds_the_last_transits_sorted() {
        let mut window = Window::new(4);
        [5, 1, 9, 3, 7, 7].into_iter().for_each(|transit| window.add(transit));
        assert_eq!(window.sorted, [3, 7, 7, 9]);
        assert_eq!(
            (window.quantile(0), window.quantile(500), window.quantile(1000)),
            (Some(3), Some(7), Some(9))
        );
    }

    #[test]
    fn test_depth_rises_within_a_second_and_falls_within_ten() {
        let mut arrivals = Arrivals::new(ADAPTIVE);
        (0..400).for_each(|_| arrivals.add(0));
        assert_eq!(arrivals.target(), units(Duration::from_millis(20)));
        let late = units(Duration::from_millis(100));
        (0..30).for_each(|n| arrivals.add(if n % 10 == 0 { late } else { 0 }));
        assert_eq!(arrivals.target(), late);
        (0..70).for_each(|n| arrivals.add(if n % 10 == 0 { late } else { 0 }));
        (0..300).for_each(|_| arrivals.add(0));
        assert_eq!(arrivals.target(), late);
        (0..100).for_each(|_| arrivals.add(0));
        assert_eq!(arrivals.target(), units(Duration::from_millis(20)));
    }

    #[test]
    fn test_one_packet_in_a_hundred_does_not_deepen_it() {
        let mut arrivals = Arrivals::new(ADAPTIVE);
        (0..1000).for_each(|n| arrivals.add(if n % 100 == 0 { 10_000 } else { 0 }));
        assert_eq!(arrivals.target(), units(Duration::from_millis(20)));
    }

    #[test]
    fn test_drift_does_not_deepen_it() {
        let mut arrivals = Arrivals::new(ADAPTIVE);
        // 200 ppm of 20 ms is 0.384 units a packet: an hour of it.
        (0..180_000i64).for_each(|n| arrivals.add(n * 384 / 1000));
        assert_eq!(arrivals.target(), units(Duration::from_millis(20)));
    }

    #[test]
    fn test_a_fixed_depth_stays() {
        let mut arrivals = Arrivals::new(Depth::Fixed(Duration::from_millis(60)));
        (0..500).for_each(|n| arrivals.add(n * 100));
        assert_eq!(arrivals.target(), units(Duration::from_millis(60)));
    }
}
