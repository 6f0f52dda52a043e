use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::coder::{Encoder, EncoderOptions};
use crate::jitter::Depth;
use crate::random::Random;
use crate::rtp::Header;
use crate::tone::Tone;

fn codec(name: &str, clock_rate: u32, payload_type: u8) -> Codec {
    Codec::new(name, clock_rate, 1, payload_type).unwrap()
}

/// A sender of L16 or G.711 and its listener.
struct Line {
    ear: Ear,
    header: Header,
    now_us: u64,
    next_tick_us: u64,
    heard: Vec<i16>,
    kinds: Vec<Sort>,
    rates: Vec<usize>,
}

impl Line {
    fn new(codecs: &[Codec]) -> Self {
        Line::with(codecs, Depth::default())
    }

    fn with(codecs: &[Codec], depth: Depth) -> Self {
        let mut ear = Ear::new(
            Settings {
                depth,
                payload_bytes: 12_000,
                ..Settings::default()
            },
            1,
        );
        ear.configure(codecs);
        Line {
            ear,
            header: Header {
                marker: true,
                payload_type: 0,
                sequence: 65_530,
                timestamp: u32::MAX - 1000,
                ssrc: 5,
            },
            now_us: 1_000_000,
            next_tick_us: 1_003_000,
            heard: Vec::new(),
            kinds: Vec::new(),
            rates: Vec::new(),
        }
    }

    /// Send a packet if it is not to be lost, and let its time pass.
    fn send(&mut self, codec: &Codec, payload: &[u8], ticks: u32, us: u64, lost: bool) {
        if !lost {
            self.ear.push(Time::from_micros(self.now_us), &self.header, codec, payload);
        }
        self.header.sequence = self.header.sequence.wrapping_add(1);
        self.header.timestamp = self.header.timestamp.wrapping_add(ticks);
        self.pass(us);
    }

    fn pass(&mut self, us: u64) {
        self.now_us += us;
        while self.next_tick_us < self.now_us {
            let mut out = [0; 960];
            let frame = self.ear.frame(Time::from_micros(self.next_tick_us), &mut out);
            self.heard.extend(&out[..frame.samples]);
            self.kinds.push(frame.kind);
            self.rates.push(frame.samples);
            self.next_tick_us += 20_000;
        }
    }

    fn linear(&mut self, pcm: &[i16], rate: u32, payload_type: u8, lost: bool) {
        let payload: Vec<u8> = pcm.iter().flat_map(|sample| sample.to_be_bytes()).collect();
        let us = pcm.len() as u64 * 1_000_000 / u64::from(rate);
        self.send(&codec("L16", rate, payload_type), &payload, pcm.len() as u32, us, lost);
    }

    fn count(&self, kind: Sort) -> usize {
        self.kinds.iter().filter(|known| **known == kind).count()
    }

    fn largest_step(&self) -> u16 {
        self.heard.windows(2).map(|pair| pair[0].abs_diff(pair[1])).max().unwrap()
    }
}

fn sine(frequency_hz: f64, samples: usize) -> Vec<i16> {
    let mut pcm = vec![0; samples];
    Tone::new(frequency_hz, -10.0).fill(&mut pcm);
    pcm
}

#[test]
fn test_packets_of_any_length_come_out_as_they_went_in() {
    for rate in [8000u32, 16_000, 48_000] {
        for ptime_ms in [10usize, 20, 30, 40, 60, 120] {
            let mut random = Random::new(1);
            // A noise that does not let itself be stretched, so that every sample must come.
            let samples = rate as usize / 1000 * ptime_ms;
            let pcm: Vec<i16> = (0..samples * 8).map(|_| random.next_u16().cast_signed()).collect();
            let mut line = Line::new(&[codec("L16", rate, 96)]);
            pcm.chunks_exact(samples).for_each(|piece| line.linear(piece, rate, 96, false));
            line.pass(200_000);
            // The first samples lead over from silence.
            let second = &pcm[samples..samples + 32];
            let start = line
                .heard
                .windows(32)
                .position(|window| window == second)
                .unwrap_or_else(|| panic!("{rate} {ptime_ms} {:?} {:?}", line.kinds, line.ear.statistics()));
            assert_eq!(
                line.heard[start..start + pcm.len() - samples],
                pcm[samples..],
                "{rate} Hz, {ptime_ms} ms"
            );
            assert!(line.kinds.contains(&Sort::Nothing) && line.rates.iter().all(|count| *count == rate as usize / 50));
        }
    }
}

#[test]
fn test_lost_packets_are_concealed_without_a_click() {
    let mut line = Line::new(&[codec("L16", 8000, 96)]);
    let mut random = Random::new(4);
    let pcm = sine(210.0, 8000 * 20);
    pcm.chunks_exact(160)
        .for_each(|piece| line.linear(piece, 8000, 96, random.below(10) == 0));
    assert!(line.count(Sort::Concealed) > 60 && line.count(Sort::Noise) == 0, "{:?}", line.kinds);
    assert!(line.largest_step() < 1700, "{}", line.largest_step());
    assert_eq!(line.ear.statistics().frames[1], line.count(Sort::Concealed) as u64);
}

#[test]
fn test_the_codec_may_change_from_packet_to_packet() {
    let codecs = [codec("L16", 8000, 96), codec("L16", 16_000, 97), codec("PCMU", 8000, 0)];
    let mut line = Line::new(&codecs);
    let (narrow, wide) = (sine(400.0, 160), sine(200.0, 320));
    let law: Vec<u8> = narrow.iter().map(|sample| crate::g711::Law::Mu.encode(*sample)).collect();
    (0..50).for_each(|_| line.linear(&narrow, 8000, 96, false));
    (0..50).for_each(|_| line.linear(&wide, 16_000, 97, false));
    (0..50).for_each(|_| line.send(&codecs[2], &law, 160, 20_000, false));
    assert!((147..=148).contains(&line.count(Sort::Voice)), "{:?}", line.kinds);
    assert_eq!(line.count(Sort::Concealed), 0);
    assert_eq!((line.rates[10], line.rates[75], line.rates[140]), (160, 320, 160));
    assert!(line.largest_step() < 2500, "{}", line.largest_step());
}

#[test]
fn test_comfort_noise_is_silence_and_no_loss() {
    let (voice, noise) = (codec("L16", 8000, 96), codec("CN", 8000, 13));
    let mut line = Line::new(&[voice, noise]);
    let pcm = sine(300.0, 160);
    for _ in 0..3 {
        (0..50).for_each(|_| line.linear(&pcm, 8000, 96, false));
        for _ in 0..5 {
            // RFC 3389: one packet now and then, while time goes on.
            line.send(&noise, &[60], 1600, 200_000, false);
        }
    }
    let statistics = line.ear.statistics();
    assert_eq!(
        (statistics.buffer.lost, statistics.buffer.concealed.as_micros()),
        (0, 0),
        "{statistics:?}"
    );
    assert!(
        line.count(Sort::Concealed) == 0 && (148..=152).contains(&line.count(Sort::Voice)),
        "{:?}",
        line.kinds
    );
    assert!(line.count(Sort::Noise) > 140, "{:?}", line.kinds);
    // -60 dBov is 33 by root mean square.
    let last = &line.heard[line.heard.len() - 1600..];
    let level = (last.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / 1600.0).sqrt();
    assert!((25.0..40.0).contains(&level), "{level}");
    assert!(line.largest_step() < 3500, "{}", line.largest_step());
}

#[test]
fn test_a_telephone_event_is_heard_as_silence() {
    let (voice, event) = (codec("L16", 8000, 96), codec("telephone-event", 8000, 101));
    let mut line = Line::new(&[voice, event]);
    let pcm = sine(300.0, 160);
    (0..20).for_each(|_| line.linear(&pcm, 8000, 96, false));
    let from = line.header.timestamp;
    (0..10).for_each(|_| line.send(&event, &[1, 10, 0, 160], 0, 20_000, false));
    line.header.timestamp = from.wrapping_add(1600);
    (0..20).for_each(|_| line.linear(&pcm, 8000, 96, false));
    line.pass(40_000);
    // Stretching may have saved a frame.
    assert!((39..=40).contains(&line.count(Sort::Voice)), "{:?}", line.kinds);
    assert_eq!(
        (line.count(Sort::Noise), line.ear.statistics().buffer.lost),
        (10, 0),
        "{:?}",
        line.kinds
    );
}

#[test]
fn test_a_packet_that_is_no_frame_of_its_codec_is_concealed() {
    let voice = codec("L16", 8000, 96);
    let mut line = Line::new(&[voice]);
    let pcm = sine(300.0, 160);
    for number in 0..40 {
        if number == 20 {
            line.send(&voice, &[1, 2, 3], 160, 20_000, false)
        } else {
            line.linear(&pcm, 8000, 96, false)
        }
    }
    assert_eq!((line.count(Sort::Concealed), line.ear.statistics().malformed), (1, 1));
    line.send(&voice, &[], 160, 20_000, false);
    (0..9).for_each(|_| line.linear(&pcm, 8000, 96, false));
    assert_eq!((line.count(Sort::Concealed), line.ear.statistics().malformed), (2, 2));
}

#[test]
fn test_a_codec_that_was_not_agreed_is_learnt_and_one_that_cannot_be_decoded_ignored() {
    let mut line = Line::new(&[]);
    (0..10).for_each(|_| line.send(&codec("G729", 8000, 18), &[0; 20], 160, 20_000, false));
    assert_eq!(line.count(Sort::Nothing), 10);
    let pcm = sine(300.0, 320);
    (0..10).for_each(|_| line.linear(&pcm, 16_000, 97, false));
    assert_eq!(line.kinds.last(), Some(&Sort::Voice));
}

#[test]
fn test_a_change_of_the_source_does_not_click() {
    let voice = codec("L16", 8000, 96);
    let mut line = Line::new(&[voice]);
    for turn in 0..20u32 {
        let pcm = sine(150.0 + f64::from(turn) * 13.0, 160 * 20);
        (line.header.ssrc, line.header.sequence) = (turn, (turn * 7919) as u16);
        pcm.chunks_exact(160).for_each(|piece| line.linear(piece, 8000, 96, false));
    }
    assert!(line.count(Sort::Concealed) + line.count(Sort::Nothing) < 10, "{:?}", line.kinds);
    assert!(line.largest_step() < 3500, "{}", line.largest_step());
}

/// Opus packets of 20 ms through losses; the signal-to-noise of what is heard, once it has been brought into step.
fn opus(fec: bool, loss_percent: u64) -> (Line, f64) {
    let codec = Codec::new("opus", 48_000, 2, 111).unwrap();
    let options = EncoderOptions {
        fec,
        expected_loss_percent: 20,
        bitrate: Some(24_000),
        ..EncoderOptions::default()
    };
    let mut encoder = Encoder::new(&codec, &options).unwrap();
    // No stretch, so that samples can be compared.
    let mut line = Line::with(&[codec], Depth::Fixed(Duration::from_millis(40)));
    let (mut random, mut payload) = (Random::new(3), [0; 1500]);
    // Tones that come and go, so that concealment cannot guess what FEC knows.
    let mut phase = 0.0f64;
    let pcm: Vec<i16> = (0..960 * 400usize)
        .map(|n| {
            let frequency_hz = 250.0 + 40.0 * ((n / 2880) % 7) as f64;
            phase += std::f64::consts::TAU * frequency_hz / 48_000.0;
            (8000.0 * phase.sin()) as i16
        })
        .collect();
    for piece in pcm.chunks_exact(960) {
        let length = encoder.encode(piece, &mut payload);
        line.send(&codec, &payload[..length], 960, 20_000, random.below(100) < loss_percent);
    }
    let shift = (0..6000).max_by_key(|shift| {
        let pairs = pcm[96_000..120_000]
            .iter()
            .step_by(2)
            .zip(line.heard[96_000 + shift..].iter().step_by(2));
        pairs.map(|(a, b)| i64::from(*a) * i64::from(*b)).sum::<i64>()
    });
    let heard = &line.heard[96_000 + shift.unwrap()..];
    let (mut signal, mut noise) = (0.0, 0.0);
    for (a, b) in pcm[96_000..].iter().zip(heard).take(96_000 * 2) {
        signal += f64::from(*a).powi(2);
        noise += (f64::from(*a) - f64::from(*b)).powi(2);
    }
    let ratio = 10.0 * (signal / f64::max(noise, 1.0)).log10();
    (line, ratio)
}

#[test]
fn test_opus_restores_lost_packets_from_the_next() {
    let (with, near) = opus(true, 10);
    let (without, far) = opus(false, 10);
    let (with, without) = (with.ear.statistics(), without.ear.statistics());
    assert!(with.recovered > 10 && without.recovered == 0, "{with:?} {without:?}");
    assert_eq!(with.frames[1] + with.recovered, without.frames[1], "{with:?} {without:?}");
    assert!(near > far + 1.0, "{near} dB with FEC, {far} dB without");
}

#[test]
fn test_opus_conceals_by_itself_and_its_silence_is_no_loss() {
    let (line, _) = opus(false, 5);
    assert!(
        line.count(Sort::Concealed) > 5 && line.largest_step() < 3000,
        "{}",
        line.largest_step()
    );
    let codec = Codec::new("opus", 48_000, 2, 111).unwrap();
    let options = EncoderOptions {
        dtx: true,
        ..EncoderOptions::default()
    };
    let mut encoder = Encoder::new(&codec, &options).unwrap();
    let mut line = Line::new(&[codec]);
    let (mut random, mut payload) = (Random::new(3), [0; 1500]);
    for n in 0..300 {
        let loud = if n % 150 < 50 { 8000 } else { 1 };
        let pcm: Vec<i16> = (0..960).map(|_| random.next_u16().cast_signed() % loud).collect();
        let length = encoder.encode(&pcm, &mut payload);
        if length > 0 {
            line.send(&codec, &payload[..length], 960, 20_000, false);
        } else {
            // RFC 7587 §3.1.3: nothing is sent, time goes on.
            line.header.timestamp = line.header.timestamp.wrapping_add(960);
            line.pass(20_000);
        }
    }
    let statistics = line.ear.statistics();
    assert_eq!((statistics.buffer.lost, statistics.buffer.concealed), (0, Duration::ZERO));
    // The first pause is known as one when it ends.
    assert!(line.count(Sort::Noise) > 50, "{statistics:?}");
}

#[test]
fn test_configuring_anew_keeps_what_stays() {
    let (first, second) = (codec("L16", 8000, 96), codec("PCMU", 8000, 0));
    let mut line = Line::new(&[first, second]);
    let pcm = sine(300.0, 160);
    (0..10).for_each(|_| line.linear(&pcm, 8000, 96, false));
    line.ear.configure(&[second, first]);
    (0..10).for_each(|_| line.linear(&pcm, 8000, 96, false));
    assert_eq!((line.count(Sort::Voice), line.count(Sort::Concealed)), (18, 0), "{:?}", line.kinds);
    line.ear.configure(&[second]);
    line.pass(100_000);
    assert!(line.ear.statistics().malformed > 0, "what was held cannot be decoded any more");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn test_every_tick_gives_20_ms_whatever_arrives(
        packets in prop::collection::vec((any::<u8>(), -3i16..4, -400i32..400, 0u64..60_000, prop::collection::vec(any::<u8>(), 0..400)), 1..120)
    ) {
        let codecs = [codec("L16", 8000, 96), codec("L16", 48_000, 97), codec("PCMU", 8000, 0), codec("CN", 8000, 13), codec("telephone-event", 8000, 101)];
        let mut line = Line::new(&codecs);
        for (kind, steps, ticks, us, payload) in packets {
            let picked = codecs[usize::from(kind) % codecs.len()];
            let header = Header {
                sequence: line.header.sequence.wrapping_add(steps as u16),
                timestamp: line.header.timestamp.wrapping_add(ticks as u32),
                ssrc: u32::from(kind / 100),
                ..line.header
            };
            line.ear.push(Time::from_micros(line.now_us), &header, &picked, &payload);
            line.send(&picked, &payload, 160, us, kind % 7 == 0);
        }
        prop_assert!(line.rates.iter().all(|samples| [160, 960].contains(samples)));
        prop_assert_eq!(line.ear.statistics().frames.iter().sum::<u64>(), line.kinds.len() as u64);
    }
}
