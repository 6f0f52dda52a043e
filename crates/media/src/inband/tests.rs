//! What Q.24 wants taken and refused, and what the detector makes of coded audio.

use super::*;
use crate::g711::Law;
use crate::random::Random;
use crate::tone::peak;

const ALL: &str = "123A456B789C*0#D";

/// A digit with its own levels and frequencies, and 100 ms of silence.
fn pressed(digit: char, low_dbm0: f64, high_dbm0: f64, ms: usize, scale: f64) -> Vec<i16> {
    let (low, high) = frequencies(digit).unwrap();
    let wave = |hz: f32, dbm0: f64, n: usize| peak(dbm0) * (std::f64::consts::TAU * f64::from(hz) * scale * n as f64 / 8000.0).sin();
    let tone = (0..ms * 8).map(|n| (wave(low, low_dbm0, n) + wave(high, high_dbm0, n)) as i16);
    tone.chain(std::iter::repeat_n(0, 800)).collect()
}

fn hear(samples: &[i16]) -> Vec<Press> {
    let mut detector = Detector::default();
    let mut presses = Vec::new();
    for frame in samples.chunks(160) {
        detector.feed(frame);
        presses.extend(std::iter::from_fn(|| detector.take()));
    }
    detector.feed(&[0; 800]);
    presses.extend(std::iter::from_fn(|| detector.take()));
    presses
}

fn digits(samples: &[i16]) -> String {
    hear(samples).iter().map(|press| press.digit).collect()
}

/// The samples as G.711 leaves them.
fn coded(samples: &[i16], law: Law) -> Vec<i16> {
    samples.iter().map(|sample| law.decode(law.encode(*sample))).collect()
}

#[test]
fn test_what_is_made_is_heard() {
    for law in [Law::Mu, Law::A] {
        assert_eq!(digits(&coded(&tones(ALL, 70, 70), law)), ALL);
    }
}

#[test]
fn test_forty_ms_of_tone_and_forty_of_silence_are_digits_wherever_they_begin() {
    for shift in 0..40 {
        let mut samples = vec![0; shift];
        samples.extend(tones("1155*#D0", 40, 40));
        assert_eq!(digits(&coded(&samples, Law::A)), "1155*#D0", "{shift}");
    }
}

#[test]
fn test_a_tone_of_23_ms_is_none_and_a_break_of_10_ms_makes_no_two() {
    for digit in ALL.chars() {
        for shift in 0..40 {
            let mut short = vec![0; shift];
            short.extend(pressed(digit, -10.0, -10.0, 23, 1.0));
            assert_eq!(digits(&short), "", "{digit} {shift}");
            let mut broken = vec![0; shift];
            broken.extend(tones(&digit.to_string(), 60, 10));
            broken.extend(tones(&digit.to_string(), 60, 100));
            assert_eq!(digits(&broken), digit.to_string(), "{digit} {shift}");
        }
    }
}

#[test]
fn test_levels_from_minus_30_to_0_dbm0_are_taken_and_whispers_are_not() {
    for digit in ALL.chars() {
        for level in [0.0, -3.0, -10.0, -20.0, -30.0] {
            for law in [Law::Mu, Law::A] {
                let samples = coded(&pressed(digit, level - 3.0, level - 3.0, 50, 1.0), law);
                assert_eq!(digits(&samples), digit.to_string(), "{digit} at {level}");
            }
        }
        assert_eq!(digits(&pressed(digit, -45.0, -45.0, 50, 1.0)), "");
    }
}

#[test]
fn test_twist_of_8_db_is_taken_either_way_and_12_are_not() {
    for digit in ALL.chars() {
        for (low, high) in [(-10.0, -18.0), (-18.0, -10.0), (-30.0, -22.0)] {
            assert_eq!(
                digits(&coded(&pressed(digit, low, high, 50, 1.0), Law::A)),
                digit.to_string(),
                "{digit} {low} {high}"
            );
        }
        for (low, high) in [(-10.0, -22.0), (-22.0, -10.0)] {
            assert_eq!(digits(&pressed(digit, low, high, 50, 1.0)), "", "{digit} {low} {high}");
        }
    }
}

#[test]
fn test_frequencies_off_by_1_5_percent_are_taken_and_by_3_5_refused() {
    for digit in ALL.chars() {
        for scale in [0.985, 1.015] {
            let samples = coded(&pressed(digit, -10.0, -10.0, 50, scale), Law::Mu);
            assert_eq!(digits(&samples), digit.to_string(), "{digit} {scale}");
        }
        for scale in [0.965, 1.035] {
            assert_eq!(digits(&pressed(digit, -10.0, -10.0, 100, scale)), "", "{digit} {scale}");
        }
    }
}

#[test]
fn test_digits_are_heard_in_noise_15_db_below_them() {
    let mut random = Random::new(7);
    let mut samples = tones(ALL, 70, 70);
    // Uniform noise has a power of its width² / 12, the digits one of (9087² + 11,440²) / 2.
    for sample in &mut samples {
        *sample = sample.saturating_add(i16::try_from(random.below(6400)).unwrap() - 3200);
    }
    assert_eq!(digits(&samples), ALL);
}

#[test]
fn test_one_tone_noise_and_chords_are_no_digits() {
    let mut random = Random::new(3);
    let noise: Vec<i16> = (0..80_000).map(|_| i16::try_from(random.below(30_000)).unwrap() - 15_000).collect();
    assert_eq!(digits(&noise), "");
    let mut tone = vec![0; 8000];
    for hz in [440.0, 697.0, 941.0, 1209.0, 1633.0, 2100.0] {
        Tone::new(hz, -10.0).fill(&mut tone);
        assert_eq!(digits(&tone), "", "{hz}");
    }
    // A digit and a third tone of like strength.
    let mut chord = tones("5", 200, 0);
    let mut third = vec![0; chord.len()];
    Tone::new(1000.0, -8.0).fill(&mut third);
    chord.iter_mut().zip(&third).for_each(|(a, b)| *a = a.saturating_add(*b));
    assert_eq!(digits(&chord), "");
}

#[test]
fn test_the_duration_is_told_within_15_ms() {
    for ms in [50, 100, 333, 1000] {
        let found = hear(&pressed('5', -10.0, -8.0, ms, 1.0));
        assert_eq!(found.len(), 1, "{ms}");
        assert!((i64::from(found[0].duration_ms) - ms as i64).abs() <= 15, "{ms}: {found:?}");
    }
}

#[test]
fn test_digits_wait_bounded_and_in_order() {
    let mut detector = Detector::default();
    detector.feed(&tones("123456789", 50, 50));
    let taken: String = std::iter::from_fn(|| detector.take()).map(|press| press.digit).collect();
    assert_eq!(taken, "12345678");
}

#[test]
fn test_digits_are_heard_at_every_rate_of_a_call() {
    for rate in crate::codec::PCM_RATES {
        let mut up = Feed::to(rate);
        let mut listener = Listener::default();
        let mut heard = String::new();
        let mut samples = tones(ALL, 60, 60);
        samples.resize(samples.len() + 1600, 0);
        for chunk in samples.as_chunks::<160>().0 {
            let mut frame = Pcm::silence(8000);
            frame.samples_mut().copy_from_slice(chunk);
            listener.hear(up.bring(&frame));
            heard.extend(std::iter::from_fn(|| listener.take()).map(|press| press.digit));
        }
        assert_eq!(heard, ALL, "{rate}");
    }
}
