//! The endpoint's alarms: one binary heap with lazy deletion. An alarm that was stopped or set anew stays in the heap until it surfaces or
//! until such leftovers outnumber the live ones, when the heap is rebuilt; every operation is O(log n), amortised.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use crate::time::Time;
use crate::transaction::Timer;

/// Whose alarm it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Alarm {
    /// A client transaction's timer.
    Client(u64, Timer),
    /// A server transaction's timer.
    Server(u64, Timer),
    /// The next keep-alive of that number.
    KeepAlive(u64),
    /// The counts of what was turned away are due.
    Shed,
    /// Whose challenges were not answered is due.
    Strangers,
}

/// Below so many entries the heap is not rebuilt.
const SMALL: usize = 64;

/// What is set, by time.
#[derive(Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<(Time, u64, Alarm)>>,
    live: HashMap<Alarm, u64>,
    serial: u64,
}

impl Timers {
    /// Set an alarm; one that was set already moves.
    pub(super) fn set(&mut self, alarm: Alarm, at: Time) {
        self.serial += 1;
        self.live.insert(alarm, self.serial);
        self.heap.push(Reverse((at, self.serial, alarm)));
        self.tidy();
    }

    /// Stop an alarm.
    pub(super) fn stop(&mut self, alarm: Alarm) {
        if self.live.remove(&alarm).is_some() {
            self.tidy();
        }
    }

    /// Whether the alarm is set.
    pub(super) fn is_set(&self, alarm: Alarm) -> bool {
        self.live.contains_key(&alarm)
    }

    /// How many alarms are set.
    pub(super) fn len(&self) -> usize {
        self.live.len()
    }

    /// When the next one goes off.
    pub(super) fn next(&self) -> Option<Time> {
        // `tidy` keeps a live entry on top.
        self.heap.peek().map(|Reverse((at, ..))| *at)
    }

    /// Take the next one that is due; those set first go first among equals.
    pub(super) fn due(&mut self, now: Time) -> Option<Alarm> {
        self.next().filter(|at| *at <= now)?;
        let Reverse((_, _, alarm)) = self.heap.pop()?;
        self.live.remove(&alarm);
        self.tidy();
        Some(alarm)
    }

    /// How many entries the heap has, leftovers included.
    #[cfg(test)]
    fn entries(&self) -> usize {
        self.heap.len()
    }

    fn tidy(&mut self) {
        while let Some(Reverse((_, serial, alarm))) = self.heap.peek() {
            if self.live.get(alarm) == Some(serial) {
                break;
            }
            self.heap.pop();
        }
        if self.heap.len() > SMALL + 2 * self.live.len() {
            self.heap.retain(|Reverse((_, serial, alarm))| self.live.get(alarm) == Some(serial));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64) -> Time {
        Time::from_micros(micros)
    }

    #[test]
    fn test_alarms_go_off_in_order_of_time_and_then_of_setting() {
        let mut timers = Timers::default();
        timers.set(Alarm::KeepAlive(1), at(20));
        timers.set(Alarm::KeepAlive(2), at(10));
        timers.set(Alarm::KeepAlive(3), at(10));
        assert_eq!(timers.next(), Some(at(10)));
        assert_eq!(timers.due(at(9)), None);
        let order: Vec<_> = std::iter::from_fn(|| timers.due(at(30))).collect();
        assert_eq!(order, [Alarm::KeepAlive(2), Alarm::KeepAlive(3), Alarm::KeepAlive(1)]);
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn test_a_stopped_alarm_does_not_go_off_and_does_not_wake() {
        let mut timers = Timers::default();
        timers.set(Alarm::Shed, at(10));
        timers.set(Alarm::KeepAlive(1), at(20));
        timers.stop(Alarm::Shed);
        assert!(!timers.is_set(Alarm::Shed));
        assert_eq!(timers.next(), Some(at(20)));
    }

    #[test]
    fn test_an_alarm_set_anew_moves() {
        let mut timers = Timers::default();
        timers.set(Alarm::Shed, at(10));
        timers.set(Alarm::Shed, at(30));
        assert_eq!(timers.due(at(20)), None);
        assert_eq!(timers.due(at(30)), Some(Alarm::Shed));
        assert_eq!(timers.due(at(90)), None);
    }

    #[test]
    fn test_leftovers_do_not_pile_up() {
        let mut timers = Timers::default();
        timers.set(Alarm::Shed, at(1));
        for id in 0..100_000 {
            timers.set(Alarm::Client(id, Timer::F), at(1_000_000 - id));
            timers.stop(Alarm::Client(id, Timer::F));
        }
        assert!(timers.entries() <= SMALL + 2, "{}", timers.entries());
        assert_eq!(timers.due(at(2_000_000)), Some(Alarm::Shed));
    }
}
