use super::*;

mod properties;

/// A sender of 20 ms packets of 8 kHz and a listener who ticks every 20 ms, 1 ms after the packets.
struct Line {
    buffer: Buffer,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
    now_ms: u64,
    heard: Vec<Heard>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    /// The first byte of a packet.
    Voice(u8),
    Lost,
    Silence,
    Nothing,
}
use Heard::{Lost, Nothing, Silence, Voice};

fn at(ms: u64) -> Time {
    Time::from_micros(ms * 1000)
}

impl Line {
    fn new() -> Self {
        Line::with(Settings::default())
    }

    fn with(settings: Settings) -> Self {
        Line {
            buffer: Buffer::new(settings),
            sequence: 65_533,
            timestamp: u32::MAX - 500,
            ssrc: 1,
            now_ms: 1000,
            heard: Vec::new(),
        }
    }

    fn header(&self, back: u16) -> Header {
        Header {
            marker: false,
            payload_type: 8,
            sequence: self.sequence.wrapping_sub(back),
            timestamp: self.timestamp.wrapping_sub(u32::from(back) * 160),
            ssrc: self.ssrc,
        }
    }

    /// The packet that the clock has come to, or one from `back` packets before.
    fn push(&mut self, back: u16, mark: u8) -> Pushed {
        let header = self.header(back);
        self.buffer.push(at(self.now_ms), &header, 8000, &[mark])
    }

    /// The sender's next 20 ms begin.
    fn step(&mut self) {
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(160);
    }

    fn tick(&mut self) -> Heard {
        let heard = match self.buffer.pop(at(self.now_ms + 1), 0, 1920) {
            Playout::Packet(packet) => Voice(packet.payload.first().copied().unwrap_or(0)),
            Playout::Lost { .. } => Lost,
            Playout::Silence { .. } => Silence,
            Playout::Nothing => Nothing,
        };
        if let Voice(_) = heard {
            self.buffer.played(1920);
        }
        self.heard.push(heard);
        self.now_ms += 20;
        heard
    }

    /// `count` packets in order, with a tick behind each.
    fn talk(&mut self, count: u8) {
        for mark in 0..count {
            self.push(0, mark);
            self.step();
            self.tick();
        }
    }

    /// Ticks without packets.
    fn wait(&mut self, count: u32) {
        (0..count).for_each(|_| {
            self.tick();
        });
    }

    fn marks(&self) -> Vec<u8> {
        let mark = |heard: &Heard| if let Voice(mark) = heard { Some(*mark) } else { None };
        self.heard.iter().filter_map(mark).collect()
    }

    fn count(&self, what: Heard) -> usize {
        self.heard.iter().filter(|heard| **heard == what).count()
    }
}

#[test]
fn test_packets_are_played_in_order_across_the_wraps_of_numbers_and_timestamps() {
    let mut line = Line::new();
    line.talk(20);
    line.wait(3);
    assert_eq!(line.marks(), (0..20).collect::<Vec<_>>());
    assert_eq!(line.heard[..3], [Nothing, Nothing, Voice(0)], "40 ms until more is known");
    assert_eq!(line.count(Lost), 1, "what follows the last");
}

#[test]
fn test_reordered_packets_are_put_right_and_duplicates_dropped() {
    let mut line = Line::new();
    line.talk(4);
    line.step();
    assert_eq!(line.push(0, 5), Pushed::Held);
    assert_eq!(line.push(1, 4), Pushed::Held);
    assert_eq!(line.push(1, 4), Pushed::Duplicate);
    assert_eq!(line.push(0, 5), Pushed::Duplicate);
    line.wait(5);
    assert_eq!(line.marks(), [0, 1, 2, 3, 4, 5]);
    let statistics = line.buffer.statistics();
    assert_eq!((statistics.reordered, statistics.duplicates, statistics.lost), (1, 2, 0));
}

#[test]
fn test_a_lost_packet_is_concealed_and_a_late_one_counted() {
    let mut line = Line::new();
    line.talk(5);
    line.step();
    line.tick();
    line.talk(5);
    assert_eq!(line.heard[6..10], [Voice(4), Lost, Voice(0), Voice(1)]);
    assert_eq!(line.push(6, 99), Pushed::Late);
    line.wait(2);
    let statistics = line.buffer.statistics();
    assert_eq!((statistics.lost, statistics.late), (1, 1));
    assert_eq!(statistics.concealed, Duration::from_millis(20));
}

#[test]
fn test_the_packet_behind_a_loss_is_offered_for_recovery() {
    let mut line = Line::new();
    line.talk(5);
    line.step();
    line.push(0, 77);
    line.wait(2);
    match line.buffer.pop(at(line.now_ms + 1), 0, 1920) {
        Playout::Lost {
            span: 1920,
            next: Some(next),
        } => assert_eq!(next.payload, [77]),
        other => panic!("{other:?}"),
    }
    assert_eq!(line.tick(), Voice(77));
}

#[test]
fn test_of_two_lost_packets_only_the_last_is_offered_for_recovery() {
    let mut line = Line::new();
    line.talk(5);
    (0..2).for_each(|_| line.step());
    line.push(0, 77);
    line.wait(2);
    let offered = |playout: Playout<'_>| matches!(playout, Playout::Lost { next: Some(_), span: 1920 });
    assert!(!offered(line.buffer.pop(at(line.now_ms + 1), 0, 1920)));
    assert!(offered(line.buffer.pop(at(line.now_ms + 1), 0, 1920)));
    assert_eq!(line.tick(), Voice(77));
}

#[test]
fn test_a_packet_that_comes_late_but_before_its_successor_is_played() {
    let mut line = Line::new();
    line.talk(6);
    line.wait(3);
    assert_eq!(line.heard[8], Lost);
    line.step();
    line.step();
    // The one that should have been played in the last tick, then the others.
    [2, 1, 0].into_iter().for_each(|back| {
        line.push(back, 50 - u8::try_from(back).unwrap());
    });
    line.wait(4);
    assert_eq!(line.marks(), [0, 1, 2, 3, 4, 5, 48, 49, 50]);
    assert_eq!(line.buffer.statistics().concealed, Duration::from_millis(20));
}

#[test]
fn test_another_source_follows_without_a_gap() {
    let mut line = Line::new();
    line.talk(10);
    (line.ssrc, line.sequence, line.timestamp) = (2, 4000, 99);
    let before = line.heard.len();
    line.talk(10);
    // One tick: the second packet of it shows that it is meant, while the old one still plays.
    assert!(
        line.heard[before..].iter().filter(|heard| !matches!(heard, Voice(_))).count() <= 1,
        "{:?}",
        line.heard
    );
    assert_eq!(line.marks()[..13], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2]);
    let statistics = line.buffer.statistics();
    assert_eq!((statistics.restarts, statistics.lost), (1, 0));
}

#[test]
fn test_a_stranger_among_the_packets_is_not_followed() {
    let mut line = Line::new();
    for mark in 0..20u8 {
        line.talk(1);
        let header = Header {
            ssrc: 9,
            sequence: u16::from(mark),
            ..line.header(0)
        };
        assert_eq!(line.buffer.push(at(line.now_ms), &header, 8000, &[200]), Pushed::Suspect);
    }
    assert!(line.marks().iter().all(|mark| *mark == 0));
    let statistics = line.buffer.statistics();
    assert_eq!((statistics.restarts, statistics.refused), (0, 19));
}

#[test]
fn test_jumps_of_the_timestamp_are_followed_at_once() {
    for jump in [
        5_000_000u32,
        20_000,
        5000,
        3_000_000_000,
        0u32.wrapping_sub(30_000),
        0u32.wrapping_sub(3200),
        0u32.wrapping_sub(160),
    ] {
        let mut line = Line::new();
        line.talk(10);
        line.timestamp = line.timestamp.wrapping_add(jump);
        let before = line.heard.len();
        line.talk(40);
        let missed = line.heard[before..].iter().filter(|heard| !matches!(heard, Voice(_))).count();
        assert!(missed <= 2, "{jump}: {:?}", line.heard);
    }
}

#[test]
fn test_a_jump_of_the_numbers_is_followed_from_the_second_packet_on() {
    let mut line = Line::new();
    line.talk(10);
    line.sequence = line.sequence.wrapping_add(20_000);
    let before = line.heard.len();
    line.talk(10);
    assert!(
        line.heard[before..].iter().filter(|heard| !matches!(heard, Voice(_))).count() <= 1,
        "{:?}",
        line.heard
    );
    assert_eq!(line.marks()[10..13], [0, 1, 2]);
}

#[test]
fn test_time_that_passes_while_numbers_do_not_is_silence_and_no_loss() {
    let mut line = Line::new();
    line.talk(10);
    // The sender is silent for a second, its clock goes on (RFC 3551 §4.1).
    line.wait(50);
    line.timestamp = line.timestamp.wrapping_add(50 * 160);
    let before = line.heard.len();
    line.talk(10);
    assert_eq!(line.heard[before..before + 3], [Nothing, Nothing, Voice(0)]);
    let statistics = line.buffer.statistics();
    assert_eq!((statistics.lost, statistics.late, statistics.concealed), (0, 0, Duration::ZERO));
}

#[test]
fn test_a_marked_packet_after_a_clock_that_stood_still_is_played() {
    let mut line = Line::new();
    line.talk(10);
    line.wait(25);
    let header = Header {
        marker: true,
        ..line.header(0)
    };
    line.buffer.push(at(line.now_ms), &header, 8000, &[100]);
    line.step();
    let before = line.heard.len();
    line.tick();
    line.talk(10);
    let first = line.heard[before..].iter().position(|heard| matches!(heard, Voice(_)));
    assert!(first.is_some_and(|first| first <= 3), "{:?}", &line.heard[before..]);
    assert_eq!(line.buffer.statistics().late, 0);
}

#[test]
fn test_a_clock_that_stood_still_without_a_mark_is_found_out() {
    let mut line = Line::new();
    line.talk(10);
    line.wait(45);
    let before = line.heard.len();
    line.talk(30);
    let first = line.heard[before..].iter().position(|heard| matches!(heard, Voice(_)));
    assert!(first.is_some_and(|first| first <= 14), "{:?}", &line.heard[before..]);
}

#[test]
fn test_silence_is_given_until_the_next_packet_is_due() {
    let mut line = Line::new();
    line.talk(10);
    line.wait(2);
    line.buffer.falls_silent();
    line.wait(100);
    assert_eq!(line.heard[12..], [Silence; 100]);
    line.timestamp = line.timestamp.wrapping_add(102 * 160);
    let before = line.heard.len();
    line.talk(5);
    assert_eq!(line.heard[before + 2], Voice(0));
    assert_eq!(line.buffer.statistics().lost, 0);
}

#[test]
fn test_telephone_events_are_no_loss() {
    let mut line = Line::new();
    line.talk(10);
    let event = line.header(0);
    for _ in 0..10 {
        // RFC 4733 §2.5.1.2: the numbers go on, the timestamp stays.
        let header = Header {
            sequence: line.sequence,
            ..event
        };
        line.buffer.push_event(at(line.now_ms), &header);
        line.step();
        line.tick();
    }
    line.talk(10);
    line.wait(2);
    assert_eq!(line.count(Lost), 0, "{:?}", line.heard);
    assert_eq!((line.buffer.statistics().lost, line.marks().len()), (0, 20));
}

#[test]
fn test_an_outage_ends_with_the_first_packet_that_is_due() {
    let mut line = Line::new();
    line.talk(20);
    for _ in 0..100 {
        line.step();
        line.tick();
    }
    let lost = line.count(Lost);
    assert_eq!(lost, 10, "concealment ends after 200 ms");
    line.talk(10);
    line.wait(2);
    assert_eq!(line.marks().len(), 30);
    assert_eq!(line.buffer.statistics().lost, 100);
}

#[test]
fn test_packets_that_were_held_up_for_seconds_are_skipped() {
    let mut line = Line::new();
    line.talk(50);
    line.wait(100);
    (0..99).for_each(|_| line.step());
    (0..100u16).rev().for_each(|back| {
        line.push(back, 100);
    });
    line.step();
    line.talk(50);
    let statistics = line.buffer.statistics();
    assert!(statistics.held < 20, "{statistics:?}");
    assert!(
        line.heard.iter().rev().take(40).all(|heard| matches!(heard, Voice(_))),
        "{:?}",
        line.heard
    );
}

#[test]
fn test_a_codec_of_another_clock_follows_without_a_gap() {
    let mut line = Line::new();
    line.talk(10);
    let before = line.heard.len();
    for mark in 0..10 {
        let header = Header {
            timestamp: u32::from(mark) * 960,
            ..line.header(0)
        };
        assert_eq!(line.buffer.push(at(line.now_ms), &header, 48_000, &[mark]), Pushed::Held);
        line.step();
        line.tick();
    }
    assert!(
        line.heard[before..].iter().all(|heard| matches!(heard, Voice(_))),
        "{:?}",
        line.heard
    );
    assert_eq!((line.buffer.statistics().restarts, line.buffer.statistics().lost), (1, 0));
}

#[test]
fn test_what_does_not_fit_is_refused_and_the_oldest_gives_way() {
    let settings = Settings {
        packets: 4,
        payload_bytes: 10,
        ..Settings::default()
    };
    let mut line = Line::with(settings);
    let header = line.header(0);
    assert_eq!(line.buffer.push(at(0), &header, 8000, &[0; 11]), Pushed::TooLong);
    assert_eq!(line.buffer.push(at(0), &header, 0, &[0]), Pushed::TooLong);
    for mark in 0..6 {
        line.push(0, mark);
        line.step();
    }
    let statistics = line.buffer.statistics();
    assert_eq!((statistics.held, statistics.skipped), (4, 2));
    line.now_ms += 60;
    assert_eq!(line.tick(), Voice(2));
}

#[test]
fn test_no_more_time_is_held_than_allowed() {
    let mut line = Line::new();
    for _ in 0..60 {
        line.push(0, 0);
        line.step();
        line.now_ms += 20;
    }
    assert_eq!(line.buffer.statistics().held, 26);
}
