//! A leg behind networks that lose, delay and reorder: what stands in `docs/impairments.csv`, measured anew.
//!
//! A sender's encoder, RTP bytes, the network, the leg with its latch, jitter buffer, decoder and concealment; 60 s of speech in virtual time, each
//! packet's fate by a seed. What is heard is compared with what the same codec gives without a network. `cargo test -p trunkline-media print_impairments -- --ignored --nocapture` prints the file.

use std::fmt::Write as _;

use super::*;
use crate::audio::feed::Feed;
use crate::coder::{Encoder, EncoderOptions};
use crate::g711::Law;
use crate::leg::{BUFFER_LENGTH, Configuration};
use crate::random::Random;
use crate::time::WallClock;

const STANDING: &str = include_str!("../../../../../docs/impairments.csv");
const HEADINGS: &str = "codec,network,percent,sent,received,lost,bursts,discarded,concealed_percent,restored_percent,jitter_ms,delay_ms,most_delay_ms,intact_percent,silent_percent";

const PACKETS: u64 = 3000;
const PTIME_US: u64 = 20_000;
const RATE: u32 = 8000;
const FRAME_SAMPLES: usize = 160;
/// "Hello?", 0.88 s, said once a second.
const HELLO: &[u8] = include_bytes!("../../hearing/hello.ulaw");
const SECOND_FRAMES: usize = 50;
/// From this power on (about -40 dBm0) a frame is speech.
const SPEECH: f64 = 60_000.0;
/// A frame that so resembles what was to be heard is intact.
const ALIKE: f64 = 0.9;
/// What is to be heard is held finer than it is compared: codecs of higher rates shift by parts of a sample.
const FINE_RATE: u32 = 16_000;
/// So many of the last frames: a second, and what the resampler begins with.
const FINE_FRAMES: u64 = SECOND_FRAMES as u64 + 5;
/// Where a frame lies in the second is known by its delay up to so many fine samples: 20 ms.
const SLACK: i64 = 320;
/// Its place is found in such steps and then to the fine sample; wider ones would find the next period of the voice.
const STEP: i64 = 2;
/// What every packet takes more than the fastest, at most.
const USUAL_US: u64 = 2_000;
/// How long a packet is held up, and those behind it with it.
const HELD_UP_US: u64 = 100_000;
/// How much longer a packet takes that two others overtake.
const OVERTAKEN_US: u64 = 50_000;
const SEED: u64 = 11;

/// What happens to how many packets in a hundred.
#[derive(Clone, Copy, Debug, Default)]
struct Network {
    lost: u64,
    held_up: u64,
    overtaken: u64,
}

/// What a network does to so many packets in a hundred.
type Does = fn(u64) -> Network;
const NETWORKS: [(&str, Does); 4] = [
    ("loss", |percent| Network { lost: percent, ..CLEAN }),
    ("jitter", |percent| Network { held_up: percent, ..CLEAN }),
    ("reordering", |percent| Network {
        overtaken: percent,
        ..CLEAN
    }),
    ("all three", |percent| Network {
        lost: percent,
        held_up: percent,
        overtaken: percent,
    }),
];
const CLEAN: Network = Network {
    lost: 0,
    held_up: 0,
    overtaken: 0,
};

/// When which packet arrives, in order of arrival.
fn arrivals(network: Network) -> Vec<(u64, u64)> {
    let mut random = Random::new(SEED);
    let mut happens = |percent: u64| random.below(100) < percent;
    let fates: Vec<_> = (0..PACKETS)
        .map(|_| (happens(network.lost), happens(network.held_up), happens(network.overtaken)))
        .collect();
    let (mut arrivals, mut queue_us) = (Vec::new(), 0);
    for (n, (lost, held_up, overtaken)) in (0..PACKETS).zip(fates) {
        let took = random.below(USUAL_US) + if held_up { HELD_UP_US } else { 0 };
        // One queue: nobody leaves it before who came earlier.
        queue_us = (1_000_000 + n * PTIME_US + took).max(queue_us);
        if !lost {
            arrivals.push((queue_us + if overtaken { OVERTAKEN_US } else { 0 }, n));
        }
    }
    arrivals.sort_unstable();
    arrivals
}

/// The payloads of a sender who says it again and again.
fn payloads(codec: &Codec, options: &EncoderOptions) -> Vec<Vec<u8>> {
    let mut second: Vec<i16> = HELLO.iter().map(|byte| Law::Mu.decode(*byte)).collect();
    second.resize(SECOND_FRAMES * FRAME_SAMPLES, 0);
    let mut encoder = Encoder::new(codec, options).unwrap();
    let (mut feed, mut frame, mut out) = (Feed::to(encoder.sample_rate()), Pcm::silence(RATE), [0; 1500]);
    let mut payload = |samples: &[i16]| {
        frame.samples_mut().copy_from_slice(samples);
        let length = encoder.encode(feed.bring(&frame).samples(), &mut out);
        out[..length].to_vec()
    };
    let frames = second.chunks(FRAME_SAMPLES).cycle().take(PACKETS as usize);
    frames.map(&mut payload).collect()
}

/// What was heard at a tick.
struct Tick {
    samples: Vec<f64>,
    fine: Vec<f64>,
    /// How long after the fastest packet.
    delay_ms: f64,
    jitter_ms: f64,
}

/// A call over a network.
struct Call {
    ticks: Vec<Tick>,
    leg: Leg,
}

fn call(codec: Codec, sent: &[Vec<u8>], network: Network) -> Call {
    let source = "192.0.2.1:4000".parse().unwrap();
    let mut leg = Leg::new(SEED, WallClock::default());
    leg.configure(
        Time::ZERO,
        &Configuration {
            remote_rtp: Some(source),
            receives: true,
            receive_codecs: vec![codec],
            ..Configuration::default()
        },
    );
    leg.set_ear(true);
    let (mut buffer, mut frame) = ([0; BUFFER_LENGTH], Pcm::silence(RATE));
    let (mut feed, mut fine) = (Feed::to(RATE), Feed::to(FINE_RATE));
    let floats = |frame: &Pcm| frame.samples().iter().map(|sample| f64::from(*sample)).collect();
    let arrivals = arrivals(network);
    let mut due = arrivals.iter().peekable();
    let mut ticks = Vec::new();
    for tick in 0..PACKETS {
        let at = 1_007_000 + tick * PTIME_US;
        while let Some((at, n)) = due.next_if(|(due, _)| *due <= at) {
            let header = rtp::Header {
                marker: *n == 0,
                payload_type: codec.payload_type,
                sequence: (65_000 + n) as u16,
                timestamp: (n * u64::from(codec.clock_rate / 50)) as u32,
                ssrc: 7,
            };
            let payload = &sent[*n as usize];
            let length = rtp::HEADER_LENGTH + payload.len();
            buffer[..rtp::HEADER_LENGTH].copy_from_slice(&header.bytes());
            buffer[rtp::HEADER_LENGTH..length].copy_from_slice(payload);
            let _ = leg.receive(Time::from_micros(*at), Socket::Rtp, source, &mut buffer[..length]);
        }
        leg.hear(Time::from_micros(at), &mut frame);
        ticks.push(Tick {
            samples: floats(feed.bring(&frame)),
            fine: if tick + FINE_FRAMES >= PACKETS {
                floats(fine.bring(&frame))
            } else {
                Vec::new()
            },
            delay_ms: leg.audio.buffer_ms().unwrap(),
            jitter_ms: leg.statistics().jitter_ms,
        });
    }
    Call { ticks, leg }
}

/// A second of what is heard without a network, and its delay.
struct Clean {
    fine: Vec<f64>,
    delay_ms: f64,
}

impl Clean {
    fn of(call: &Call) -> Self {
        let last = &call.ticks[call.ticks.len() - SECOND_FRAMES..];
        let second = last.iter().flat_map(|tick| tick.fine.iter().copied());
        Clean {
            // One frame more than a second, for what begins near its end.
            fine: second.clone().chain(second.take(2 * FRAME_SAMPLES)).collect(),
            delay_ms: last[0].delay_ms,
        }
    }

    /// The frame that begins at a fine sample.
    fn frame(&self, begin: i64) -> impl Iterator<Item = f64> {
        let begin = begin.rem_euclid((SECOND_FRAMES * 2 * FRAME_SAMPLES) as i64) as usize;
        self.fine[begin..begin + 2 * FRAME_SAMPLES].iter().step_by(2).copied()
    }

    /// How much what was heard resembles the frame that begins there: 1 for the same at any level.
    fn alike(&self, begin: i64, heard: &[f64]) -> f64 {
        let (mut product, mut own, mut other) = (0.0, 1.0, 1.0);
        for (wanted, heard) in self.frame(begin).zip(heard) {
            product += wanted * heard;
            own += wanted * wanted;
            other += heard * heard;
        }
        product / f64::sqrt(own * other)
    }

    /// How much a frame resembles what was to be heard, and what share of its power it has; `None` in a pause.
    fn judge(&self, number: usize, tick: &Tick) -> Option<(f64, f64)> {
        let power = |frame: &mut dyn Iterator<Item = f64>| frame.map(|sample| sample * sample).sum::<f64>();
        let later_ms = tick.delay_ms - self.delay_ms;
        let expected = (number * 2 * FRAME_SAMPLES) as i64 - (later_ms * f64::from(FINE_RATE) / 1000.0).round() as i64;
        let wanted = power(&mut self.frame(expected));
        if wanted < SPEECH * FRAME_SAMPLES as f64 {
            return None;
        }
        let best = |begins: &mut dyn Iterator<Item = i64>| {
            let alike = begins.map(|begin| (self.alike(begin, &tick.samples), begin));
            alike.fold((-1.0, expected), |best, each| if each.0 > best.0 { each } else { best })
        };
        let (_, near) = best(&mut (expected - SLACK..=expected + SLACK).step_by(STEP as usize));
        let (alike, _) = best(&mut (near - STEP..=near + STEP));
        Some((alike, power(&mut tick.samples.iter().copied()) / wanted))
    }
}

/// What was heard of a call, as a row of the table.
fn row(name: &str, label: &str, percent: u64, call: &Call, clean: &Clean) -> String {
    // A call has begun 200 ms after its first packet.
    let ticks = call.ticks.iter().enumerate().skip(10);
    let judged: Vec<_> = ticks.clone().filter_map(|(n, tick)| clean.judge(n, tick)).collect();
    let share = |counts: &dyn Fn(&(f64, f64)) -> bool| {
        let counted = judged.iter().filter(|each| counts(each)).count();
        100.0 * counted as f64 / judged.len() as f64
    };
    let mean = |of: fn(&Tick) -> f64| ticks.clone().map(|(_, tick)| of(tick)).sum::<f64>() / ticks.clone().count() as f64;
    let most = ticks.clone().map(|(_, tick)| tick.delay_ms).fold(0.0, f64::max);
    let counts = call.leg.statistics();
    let heard = call.leg.audio.ear.as_deref().unwrap().statistics();
    let restored = heard.recovered as f64 * 0.02;
    let concealed = heard.buffer.concealed.as_secs_f64() - restored;
    let per_cent = 100.0 / (PACKETS as f64 * 0.02);
    let mut row = format!("{name},{label},{percent},{PACKETS},{}", counts.packets_received);
    let _ = write!(row, ",{},{},{}", counts.packets_lost, counts.loss_bursts, counts.packets_discarded);
    let _ = write!(row, ",{:.2},{:.2}", concealed * per_cent, restored * per_cent);
    let _ = write!(
        row,
        ",{:.1},{:.1},{most:.1}",
        mean(|tick| tick.jitter_ms),
        mean(|tick| tick.delay_ms)
    );
    let _ = write!(
        row,
        ",{:.1},{:.1}",
        share(&|(alike, _)| *alike >= ALIKE),
        share(&|(_, power)| *power < 0.1)
    );
    row
}

/// The rows of one codec.
fn rows(name: &str) -> Vec<String> {
    let (codec, fec) = match name {
        "PCMA" => (Codec::new("PCMA", 8000, 1, 8), false),
        "G722" => (Codec::new("G722", 8000, 1, 9), false),
        "opus" => (Codec::new("opus", 48_000, 2, 111), false),
        _ => (Codec::new("opus", 48_000, 2, 111), true),
    };
    let options = EncoderOptions {
        fec,
        ..EncoderOptions::default()
    };
    let codec = codec.unwrap();
    let sent = payloads(&codec, &options);
    let unharmed = call(codec, &sent, CLEAN);
    let clean = Clean::of(&unharmed);
    let mut rows = vec![row(name, "none", 0, &unharmed, &clean)];
    for (label, network) in NETWORKS {
        rows.extend([1, 5, 10].map(|percent| row(name, label, percent, &call(codec, &sent, network(percent)), &clean)));
    }
    rows
}

/// Words are the same; numbers nearly, since libopus decodes otherwise on another processor.
fn agrees(standing: &str, measured: &str) -> bool {
    let mut cells = standing.split(',').zip(measured.split(','));
    standing.split(',').count() == measured.split(',').count()
        && cells.all(|(a, b)| match (a.parse::<f64>(), b.parse::<f64>()) {
            (Ok(a), Ok(b)) => (a - b).abs() <= 0.2 + 0.03 * a.abs(),
            _ => a == b,
        })
}

fn check(name: &str) {
    let standing = STANDING.lines().filter(|line| line.split(',').next() == Some(name));
    let measured = rows(name);
    assert_eq!(standing.clone().count(), measured.len());
    for (standing, measured) in standing.zip(&measured) {
        assert!(
            agrees(standing, measured),
            "docs/impairments.csv is not what is measured:\n{standing}\n{measured}"
        );
    }
}

#[test]
fn test_the_table_of_pcma_is_what_is_measured() {
    assert_eq!(STANDING.lines().next(), Some(HEADINGS));
    check("PCMA");
}

#[test]
fn test_the_table_of_g722_is_what_is_measured() {
    check("G722");
}

#[test]
fn test_the_table_of_opus_is_what_is_measured() {
    check("opus");
}

#[test]
fn test_the_table_of_opus_with_fec_is_what_is_measured() {
    check("opus with FEC");
}

#[test]
#[ignore = "prints docs/impairments.csv"]
fn print_impairments() {
    println!("{HEADINGS}");
    for name in ["PCMA", "G722", "opus", "opus with FEC"] {
        rows(name).iter().for_each(|row| println!("{row}"));
    }
}
