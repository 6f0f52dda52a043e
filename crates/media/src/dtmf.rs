//! DTMF as telephone events (RFC 4733): each digit once on the way in, whatever was lost; packets one by one on the way out.
//!
//! The receiver keys an event by its timestamp. The first packet whose end bit is set reports it; an event whose ends were all lost is
//! reported when another begins, when audio goes on after it, or when nothing has come for [`END_SILENCE`].

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::Time;

/// Events 0 to 15 in their order (RFC 4733 §3.2).
const DIGITS: &[u8; 16] = b"0123456789*#ABCD";
/// An event that is not refreshed for so long has ended (packets come every 20 to 50 ms).
pub const END_SILENCE: Duration = Duration::from_millis(200);
/// More digits than this wait for nobody; later ones are dropped.
pub const MAX_DIGITS: usize = 256;
/// Presses that wait for whoever takes them.
pub const MAX_PRESSES: usize = 16;
/// A segment of a long event is as long as the duration field can say (RFC 4733 §2.5.1.3).
const SEGMENT: u32 = 0xffff;
/// Redundant end packets (RFC 4733 §2.5.1.4: three in all).
const END_PACKETS: u8 = 3;

/// The payload of an event packet (RFC 4733 §2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// The event code; 0 to 15 are DTMF.
    pub code: u8,
    /// The end bit.
    pub end: bool,
    /// Power below 0 dBm0, six bits.
    pub volume: u8,
    /// In timestamp units, up to now.
    pub duration: u16,
}

impl Event {
    /// Read the first event of a payload; `None` when it is shorter than one.
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let (&[code, flags, d0, d1], _) = payload.split_first_chunk::<4>()?;
        Some(Event {
            code,
            end: flags & 0x80 != 0,
            volume: flags & 0x3f,
            duration: u16::from_be_bytes([d0, d1]),
        })
    }

    /// The four bytes of the payload.
    #[must_use]
    pub const fn bytes(self) -> [u8; 4] {
        let [d0, d1] = self.duration.to_be_bytes();
        [self.code, (self.end as u8) << 7 | self.volume & 0x3f, d0, d1]
    }

    /// The digit, or `None` for an event that is no DTMF.
    #[must_use]
    pub fn digit(self) -> Option<char> {
        digit(self.code)
    }
}

fn digit(code: u8) -> Option<char> {
    DIGITS.get(usize::from(code)).map(|digit| char::from(*digit))
}

/// The event code of a digit: 0-9, *, #, A-D in either case.
#[must_use]
pub fn code(digit: char) -> Option<u8> {
    let digit = digit.to_ascii_uppercase();
    let index = DIGITS.iter().position(|known| char::from(*known) == digit)?;
    u8::try_from(index).ok()
}

/// A key that was pressed and let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Press {
    /// 0-9, `*`, `#`, A-D.
    pub digit: char,
    /// How long it was held.
    pub duration_ms: u32,
}

#[derive(Clone, Copy, Debug)]
struct Current {
    code: u8,
    timestamp: u32,
    reported: bool,
    seen: Time,
    /// In timestamp units, of the segments before this one and of this one.
    before: u32,
    duration: u32,
    clock_rate: u32,
}

impl Current {
    fn hear(&mut self, now: Time, event: Event) {
        self.seen = now;
        // Reordered packets tell less than was known.
        self.duration = self.duration.max(u32::from(event.duration));
    }

    fn duration_ms(&self) -> u32 {
        let units = u64::from(self.before) + u64::from(self.duration);
        u32::try_from(units * 1000 / u64::from(self.clock_rate.max(1))).unwrap_or(u32::MAX)
    }
}

/// Hears events of one stream; `take` hands out the digits that ended, `take_press` each with its duration.
#[derive(Clone, Debug)]
pub struct Receiver {
    current: Option<Current>,
    /// With room for all that it may hold: a packet allocates nothing.
    digits: String,
    /// Taken after each packet, so that few wait.
    presses: [Option<(Press, u32)>; MAX_PRESSES],
}

impl Default for Receiver {
    fn default() -> Self {
        Receiver {
            current: None,
            digits: String::with_capacity(MAX_DIGITS),
            presses: [None; MAX_PRESSES],
        }
    }
}

impl Receiver {
    /// A packet of the telephone-event payload type, whose clock is `clock_rate`.
    pub fn event(&mut self, now: Time, timestamp: u32, event: Event, clock_rate: u32) {
        match &mut self.current {
            Some(current) if current.timestamp == timestamp => {
                current.hear(now, event);
                if event.end {
                    self.finish();
                }
                return;
            }
            // RFC 4733 §2.5.1.3: the next segment of the same long event.
            Some(current) if !current.reported && current.code == event.code && timestamp == current.timestamp.wrapping_add(SEGMENT) => {
                current.timestamp = timestamp;
                current.before = current.before.saturating_add(SEGMENT);
                current.duration = 0;
                current.hear(now, event);
                if event.end {
                    self.finish();
                }
                return;
            }
            // Late: belongs before the event that we know.
            Some(current) if is_before(timestamp, current.timestamp) && now.since(current.seen) < Duration::from_secs(2) => return,
            _ => {}
        }
        self.finish();
        self.current = Some(Current {
            code: event.code,
            timestamp,
            reported: false,
            seen: now,
            before: 0,
            duration: u32::from(event.duration),
            clock_rate,
        });
        if event.end {
            self.finish();
        }
    }

    /// An audio packet: an event that began earlier has ended when audio with a later timestamp comes and its own packets have stopped.
    pub fn audio(&mut self, now: Time, timestamp: u32) {
        if let Some(current) = self.current
            && is_before(current.timestamp, timestamp)
            && now.since(current.seen) >= Duration::from_millis(60)
        {
            self.finish();
        }
    }

    /// Let an event end whose packets stopped.
    pub fn poll(&mut self, now: Time) {
        if self.current.is_some_and(|current| now.since(current.seen) >= END_SILENCE) {
            self.finish();
        }
    }

    /// When [`Receiver::poll`] has an event to end.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        let current = self.current.as_ref().filter(|current| !current.reported)?;
        Some(current.seen + END_SILENCE)
    }

    /// The stream ended or changed its source: what had begun has ended.
    pub fn restart(&mut self) {
        self.finish();
        self.current = None;
    }

    /// The digits that ended since the last call.
    pub fn take(&mut self) -> String {
        if self.digits.is_empty() {
            return String::new();
        }
        std::mem::replace(&mut self.digits, String::with_capacity(MAX_DIGITS))
    }

    /// The next digit that ended, and the clock of its events.
    pub fn take_press(&mut self) -> Option<(Press, u32)> {
        let press = self.presses.first_mut()?.take()?;
        self.presses.rotate_left(1);
        Some(press)
    }

    fn finish(&mut self) {
        let Some(current) = &mut self.current else { return };
        if std::mem::replace(&mut current.reported, true) {
            return;
        }
        let (duration_ms, clock_rate) = (current.duration_ms(), current.clock_rate);
        let Some(digit) = digit(current.code) else { return };
        if self.digits.len() < MAX_DIGITS {
            self.digits.push(digit);
        }
        if let Some(free) = self.presses.iter_mut().find(|slot| slot.is_none()) {
            *free = Some((Press { digit, duration_ms }, clock_rate));
        }
    }
}

/// Whether one timestamp lies before another, modulo 2^32.
const fn is_before(a: u32, b: u32) -> bool {
    a != b && b.wrapping_sub(a) < 0x8000_0000
}

/// One event packet to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The payload.
    pub event: Event,
    /// The first packet of the event carries the marker.
    pub first: bool,
    /// How many timestamp units before this packet's time the event began, or its segment; modulo 2^32, since a segment may begin within a
    /// packet.
    pub units_back: u32,
}

#[derive(Clone, Copy, Debug)]
struct Sending {
    code: u8,
    packets: u32,
    sent: u32,
    pause: u32,
}

/// Makes the packets of digits, one for each packet time that passes.
#[derive(Clone, Debug, Default)]
pub struct Sender {
    queue: VecDeque<(u8, u32)>,
    current: Option<Sending>,
}

impl Sender {
    /// Send a digit for `packets` packet times; false when it is none or too many wait.
    pub fn push(&mut self, digit: char, packets: u32) -> bool {
        match code(digit) {
            Some(code) if self.queue.len() < MAX_DIGITS => {
                // 8 s; digits are shorter.
                self.queue.push_back((code, packets.clamp(2, 400)));
                true
            }
            _ => false,
        }
    }

    /// Whether nothing is left to send.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.current.is_none() && self.queue.is_empty()
    }

    /// Forget what was to be sent.
    pub fn clear(&mut self) {
        *self = Sender::default();
    }

    /// What to send in this packet time of `units` timestamp units: an event packet, or `None` between digits.
    pub fn next(&mut self, units: u32) -> Option<Outgoing> {
        let sending = match &mut self.current {
            Some(sending) => sending,
            None => {
                let (code, packets) = self.queue.pop_front()?;
                // Silence of three packets after the redundant ends keeps two equal digits apart.
                self.current.insert(Sending {
                    code,
                    packets,
                    sent: 0,
                    pause: 3,
                })
            }
        };
        let last = sending.packets + u32::from(END_PACKETS) - 1;
        if sending.sent < last {
            let sent = sending.sent;
            sending.sent += 1;
            let packets = sending.sent.min(sending.packets);
            // RFC 4733 §2.5.1.3: what is longer than the field can say goes on in another segment
            let whole = packets.saturating_mul(units);
            let before = whole.saturating_sub(1) / SEGMENT * SEGMENT;
            let duration = u16::try_from(whole - before).unwrap_or(u16::MAX);
            let event = Event {
                code: sending.code,
                end: sending.sent >= sending.packets,
                volume: 10,
                duration,
            };
            return Some(Outgoing {
                event,
                first: sent == 0,
                units_back: sent.wrapping_mul(units).wrapping_sub(before),
            });
        }
        match sending.pause.checked_sub(1) {
            Some(left) if left > 0 => sending.pause = left,
            _ => self.current = None,
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(ms: u64) -> Time {
        Time::from_micros(ms * 1000)
    }

    fn event(digit: char, end: bool, duration: u16) -> Event {
        Event {
            code: code(digit).unwrap(),
            end,
            volume: 10,
            duration,
        }
    }

    /// The packets of a digit as an ordinary phone sends them.
    fn packets(digit: char, timestamp: u32) -> Vec<(u32, Event)> {
        let mut packets: Vec<_> = (1..=5).map(|n| (timestamp, event(digit, false, n * 160))).collect();
        packets.extend([(timestamp, event(digit, true, 960)); 3]);
        packets
    }

    fn hear(packets: &[(u32, Event)]) -> String {
        let mut receiver = Receiver::default();
        for (n, (timestamp, event)) in (0..).zip(packets) {
            receiver.event(ms(n * 20), *timestamp, *event, 8000);
        }
        receiver.poll(ms(1_000_000));
        receiver.take()
    }

    #[test]
    fn test_a_digit_is_reported_once_despite_its_redundant_ends() {
        let mut all = packets('5', 1000);
        all.extend(packets('5', 5000));
        all.extend(packets('#', 9000));
        assert_eq!(hear(&all), "55#");
    }

    #[test]
    fn test_lost_starts_and_lost_ends_change_nothing() {
        let only_end = packets('1', 1000).split_off(7);
        let no_end = packets('2', 5000)[..3].to_vec();
        let all = [only_end, no_end, packets('3', 9000)].concat();
        assert_eq!(hear(&all), "123");
    }

    #[test]
    fn test_an_event_without_ends_is_reported_after_silence_or_by_the_audio_that_follows() {
        let mut receiver = Receiver::default();
        receiver.event(ms(0), 1000, event('7', false, 160), 8000);
        assert_eq!(receiver.deadline(), Some(ms(200)));
        receiver.poll(ms(199));
        assert_eq!(receiver.take(), "");
        receiver.poll(ms(200));
        assert_eq!(receiver.take(), "7");
        assert_eq!(receiver.deadline(), None);
        receiver.event(ms(300), 5000, event('8', false, 160), 8000);
        receiver.audio(ms(380), 5640);
        assert_eq!(receiver.take(), "8");
        receiver.event(ms(400), 5000, event('8', true, 640), 8000);
        assert_eq!(receiver.take(), "");
    }

    #[test]
    fn test_a_late_end_of_the_previous_digit_is_no_digit() {
        let all = [
            packets('1', 1000),
            vec![(5000, event('2', false, 160)), (1000, event('1', true, 960))],
            packets('2', 5000),
        ]
        .concat();
        assert_eq!(hear(&all), "12");
    }

    #[test]
    fn test_a_long_event_in_segments_is_one_digit() {
        let segments = [
            (1000, event('9', false, 0xffff)),
            (1000 + 0xffff, event('9', false, 160)),
            (1000 + 0xffff, event('9', true, 320)),
        ];
        assert_eq!(hear(&segments), "9");
    }

    #[test]
    fn test_events_that_are_no_dtmf_are_ignored() {
        assert_eq!(
            hear(&[(
                1,
                Event {
                    code: 16,
                    end: true,
                    volume: 0,
                    duration: 160
                }
            )]),
            ""
        );
    }

    #[test]
    fn test_digits_wait_bounded() {
        let mut receiver = Receiver::default();
        for n in 0..10_000u32 {
            receiver.event(ms(u64::from(n)), n * 160, event('1', true, 80), 8000);
        }
        assert_eq!(receiver.take().len(), MAX_DIGITS);
        assert_eq!(std::iter::from_fn(|| receiver.take_press()).count(), MAX_PRESSES);
    }

    #[test]
    fn test_a_press_tells_its_duration_by_its_clock_over_all_segments() {
        let press = |packets: &[(u32, Event)], clock_rate: u32| {
            let mut receiver = Receiver::default();
            for (n, (timestamp, event)) in (0..).zip(packets) {
                receiver.event(ms(n * 20), *timestamp, *event, clock_rate);
            }
            receiver.take_press().map(|(press, clock)| (press.digit, press.duration_ms, clock))
        };
        assert_eq!(press(&packets('5', 1000), 8000), Some(('5', 120, 8000)));
        assert_eq!(press(&packets('5', 1000), 48_000), Some(('5', 20, 48_000)));
        let segments = [
            (1000, event('9', false, 0xffff)),
            (1000 + 0xffff, event('9', true, 480)),
            (1000 + 0xffff, event('9', true, 480)),
        ];
        assert_eq!(press(&segments, 8000), Some(('9', 8251, 8000)));
    }

    #[test]
    fn test_what_the_sender_makes_the_receiver_hears() {
        let (mut sender, mut sent, mut timestamp) = (Sender::default(), Vec::new(), 0u32);
        assert!("12*#aD".chars().all(|digit| sender.push(digit, 5)));
        assert!(!sender.push('x', 5));
        while !sender.is_idle() {
            if let Some(out) = sender.next(160) {
                sent.push((timestamp - out.units_back, out.event));
                assert_eq!(out.first, out.units_back == 0);
            }
            timestamp += 160;
        }
        assert_eq!(hear(&sent), "12*#AD");
        let ends: Vec<_> = sent.iter().filter(|(_, event)| event.end && event.code == 1).collect();
        assert_eq!(ends.len(), 3);
        assert!(ends.iter().all(|(at, event)| *at == sent[0].0 && event.duration == 800));
    }

    #[test]
    fn test_a_digit_that_is_longer_than_its_field_goes_on_in_segments() {
        for (units, packets) in [(160, 50), (320, 250), (960, 68), (960, 69), (960, 250)] {
            let (mut sender, mut receiver) = (Sender::default(), Receiver::default());
            sender.push('7', packets);
            sender.push('8', 5);
            let (mut sent, mut heard) = (0u32, Vec::new());
            while !sender.is_idle() {
                if let Some(out) = sender.next(units) {
                    let timestamp = (u32::MAX - 70_000).wrapping_add(sent * units).wrapping_sub(out.units_back);
                    receiver.event(ms(u64::from(sent) * 20), timestamp, out.event, units * 50);
                }
                sent += 1;
                heard.extend(std::iter::from_fn(|| receiver.take_press()).map(|(press, _)| (press.digit, press.duration_ms)));
            }
            assert_eq!(heard, [('7', packets * 20), ('8', 100)], "{units} {packets}");
        }
    }

    proptest! {
        #[test]
        fn test_a_payload_survives_building_and_parsing(code: u8, end: bool, volume in 0u8..64, duration: u16) {
            let event = Event { code, end, volume, duration };
            prop_assert_eq!(Event::parse(&event.bytes()), Some(event));
        }

        #[test]
        fn test_any_packets_are_survived_and_any_one_loss_of_seven_is_healed(lost in 0usize..8, noise in proptest::collection::vec(any::<u8>(), 0..8)) {
            let _ = Event::parse(&noise);
            let mut all = packets('4', u32::MAX - 100);
            all.remove(lost);
            prop_assert_eq!(hear(&all), "4");
        }
    }
}
