use std::f64::consts::TAU;

use super::*;
use crate::random::Random;

/// A voice: a glottal pulse train whose pitch glides, through two resonances, with a little breath, its loudness going up and down.
fn voice(sample_rate: u32, samples: usize, seed: u64) -> Vec<i16> {
    let rate = f64::from(sample_rate);
    let mut random = Random::new(seed);
    let (mut phase, mut states) = (0.0f64, [[0.0f64; 2]; 2]);
    let resonances = [(600.0, 90.0), (1500.0, 130.0)].map(|(frequency, width): (f64, f64)| {
        let radius = (-std::f64::consts::PI * width / rate).exp();
        (2.0 * radius * (TAU * frequency / rate).cos(), -radius * radius, 1.0 - radius)
    });
    let wave = (0..samples).map(|n| {
        let time = n as f64 / rate;
        phase += (120.0 + 25.0 * (TAU * 0.7 * time).sin()) / rate;
        let pulse = if phase >= 1.0 { 40.0 } else { 0.0 };
        phase %= 1.0;
        let breath = random.below(2001) as f64 / 1000.0 - 1.0;
        let mut value = pulse * (8000.0 / rate).sqrt() + 0.05 * breath;
        for (state, (a, b, gain)) in states.iter_mut().zip(resonances) {
            let out = gain * value + a * state[0] + b * state[1];
            *state = [out, state[0]];
            value = out * 4.0;
        }
        value * 1500.0 * (1.0 + 0.5 * (TAU * 2.0 * time).sin())
    });
    wave.map(|value| value as i16).collect()
}

fn sine(sample_rate: u32, frequency_hz: f64, samples: usize) -> Vec<i16> {
    let step = TAU * frequency_hz / f64::from(sample_rate);
    (0..samples).map(|n| (8000.0 * (step * n as f64).sin()) as i16).collect()
}

/// What a loss is replaced with.
#[derive(Clone, Copy, Debug, PartialEq)]
enum With {
    Concealment,
    Silence,
    Repetition,
}

/// `pcm` with frames of 20 ms lost at random and replaced.
fn damage(pcm: &[i16], sample_rate: u32, loss_percent: u64, with: With, seed: u64) -> (Vec<i16>, Vec<bool>) {
    let mut random = Random::new(seed);
    let mut concealer = Concealer::new(sample_rate);
    let frame = sample_rate as usize / 50;
    let (mut out, mut lost) = (Vec::new(), Vec::new());
    for (number, good) in pcm.chunks_exact(frame).enumerate() {
        let gone = number >= 5 && random.below(100) < loss_percent;
        lost.push(gone);
        let mut piece = good.to_vec();
        match (gone, with) {
            (false, With::Concealment) => concealer.good(&mut piece),
            (true, With::Concealment) => concealer.conceal(&mut piece),
            (true, With::Silence) => piece.fill(0),
            (true, With::Repetition) => piece = out[out.len() - frame..].to_vec(),
            (false, _) => {}
        }
        out.extend(piece);
    }
    (out, lost)
}

/// Segmental signal-to-noise ratio in dB over 10 ms, each held between -10 and 35, over the frames that were lost.
fn segmental_snr(pcm: &[i16], heard: &[i16], lost: &[bool], sample_rate: u32) -> f64 {
    let frame = sample_rate as usize / 50;
    let mut values = Vec::new();
    for (number, (good, bad)) in pcm.chunks_exact(frame / 2).zip(heard.chunks_exact(frame / 2)).enumerate() {
        if !lost[number / 2] {
            continue;
        }
        let signal: f64 = good.iter().map(|value| f64::from(*value).powi(2)).sum();
        let noise: f64 = good.iter().zip(bad).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
        values.push((10.0 * (signal / noise.max(1.0)).log10()).clamp(-10.0, 35.0));
    }
    values.iter().sum::<f64>() / values.len() as f64
}

/// Distance of two spectra in dB: bands of a third of the voice's range by Goertzel, root mean square over the lost frames.
fn spectral_distance(pcm: &[i16], heard: &[i16], lost: &[bool], sample_rate: u32) -> f64 {
    let frame = sample_rate as usize / 50;
    let level = |samples: &[i16], band: usize| {
        let power: f64 = (0..8)
            .map(|n| goertzel(samples, sample_rate, 200.0 + 400.0 * band as f64 + 50.0 * f64::from(n)))
            .sum();
        10.0 * (power + 1e3).log10()
    };
    let mut squares = Vec::new();
    for (number, (good, bad)) in pcm.chunks_exact(frame).zip(heard.chunks_exact(frame)).enumerate() {
        // A burst fades as it should: the first frame is what is compared.
        if lost[number] && !lost[number - 1] {
            squares.extend((0..8).map(|band| (level(good, band) - level(bad, band)).powi(2)));
        }
    }
    (squares.iter().sum::<f64>() / squares.len() as f64).sqrt()
}

fn goertzel(samples: &[i16], sample_rate: u32, frequency_hz: f64) -> f64 {
    let step = TAU * frequency_hz / f64::from(sample_rate);
    let (mut re, mut im) = (0.0, 0.0);
    for (n, sample) in samples.iter().enumerate() {
        let window = (std::f64::consts::PI * (n as f64 + 0.5) / samples.len() as f64).sin();
        let (sine, cosine) = (step * n as f64).sin_cos();
        re += f64::from(*sample) * window * cosine;
        im += f64::from(*sample) * window * sine;
    }
    (re * re + im * im) / samples.len() as f64
}

fn largest_step(pcm: &[i16]) -> u16 {
    pcm.windows(2).map(|pair| pair[0].abs_diff(pair[1])).max().unwrap()
}

fn level(pcm: &[i16]) -> f64 {
    (pcm.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>() / pcm.len() as f64).sqrt()
}

#[test]
fn test_a_lost_frame_of_a_sine_is_hardly_missed() {
    for (sample_rate, frequency_hz) in [
        (8000, 400.0),
        (8000, 1000.0),
        (8000, 437.0),
        (16_000, 700.0),
        (48_000, 437.0),
        (48_000, 3000.0),
    ] {
        let frame = sample_rate as usize / 50;
        let pcm = sine(sample_rate, frequency_hz, 20 * frame);
        let mut concealer = Concealer::new(sample_rate);
        let mut heard = pcm.clone();
        for (number, piece) in heard.chunks_exact_mut(frame).enumerate() {
            if number == 10 {
                concealer.conceal(piece)
            } else {
                concealer.good(piece)
            }
        }
        let lost = &heard[10 * frame..11 * frame];
        let dip = 20.0 * (level(&lost[..frame / 2]) / level(&pcm)).log10();
        assert!(dip > -1.5, "{sample_rate} {frequency_hz}: {dip} dB");
        let dip = 20.0 * (level(&lost[frame / 2..]) / level(&pcm)).log10();
        assert!(dip > -2.5, "{sample_rate} {frequency_hz}: {dip} dB");
        let (most, plain) = (largest_step(&heard), largest_step(&pcm));
        assert!(
            f64::from(most) <= f64::from(plain) * 1.3 + 2.0,
            "{sample_rate} {frequency_hz}: step {most} for {plain}"
        );
        assert_eq!(heard[12 * frame..], pcm[12 * frame..], "nothing is left of it after 20 ms");
    }
}

#[test]
fn test_a_long_loss_fades_to_silence_within_60_ms() {
    let mut concealer = Concealer::new(8000);
    let mut pcm = sine(8000, 200.0, 800);
    concealer.good(&mut pcm);
    let mut frames = [[0i16; 80]; 10];
    frames.iter_mut().for_each(|frame| concealer.conceal(frame));
    let levels = frames.map(|frame| level(&frame) / level(&pcm));
    assert!((levels[0] - 1.0).abs() < 0.05, "{levels:?}");
    assert!(levels.windows(2).take(6).all(|pair| pair[1] < pair[0] + 0.03), "{levels:?}");
    assert!((0.35..0.65).contains(&levels[3]), "{levels:?}");
    assert_eq!(levels[6..], [0.0; 4]);
}

#[test]
fn test_a_voice_is_nearer_to_itself_than_with_silence_or_repetition() {
    for sample_rate in [8000, 16_000, 48_000] {
        let pcm = voice(sample_rate, sample_rate as usize * 30, 1);
        for loss_percent in [1, 5, 10] {
            let measure = |with| {
                let (heard, lost) = damage(&pcm, sample_rate, loss_percent, with, 7);
                let step = largest_step(&heard);
                (
                    segmental_snr(&pcm, &heard, &lost, sample_rate),
                    spectral_distance(&pcm, &heard, &lost, sample_rate),
                    step,
                )
            };
            let [ours, silence, repetition] = [With::Concealment, With::Silence, With::Repetition].map(measure);
            println!(
                "{sample_rate} Hz, {loss_percent} %: ours {ours:.1?}, silence {silence:.1?}, repetition {repetition:.1?}, itself {}",
                largest_step(&pcm)
            );
            assert!(
                ours.0 > silence.0 + 2.0 && ours.0 > repetition.0 + 2.0,
                "{ours:?} {silence:?} {repetition:?}"
            );
            assert!(ours.1 < 6.0 && ours.1 < silence.1 / 3.0, "{ours:?} {silence:?} {repetition:?}");
            assert!(f64::from(ours.2) <= 1.4 * f64::from(largest_step(&pcm)), "{ours:?}");
        }
    }
}

#[test]
fn test_noise_does_not_begin_to_hum() {
    let mut random = Random::new(9);
    let mut noise: Vec<i16> = (0..800).map(|_| random.next_u16().cast_signed() / 8).collect();
    let mut concealer = Concealer::new(8000);
    concealer.good(&mut noise);
    let mut out = [0; 160];
    concealer.conceal(&mut out);
    // A hum of the shortest pitch would be like itself 40 samples on.
    let like: f64 = out[..120].iter().zip(&out[40..]).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
    assert!(like / (level(&out).powi(2) * 120.0) < 0.5);
}

#[test]
fn test_an_interruption_without_loss_leads_over() {
    let mut concealer = Concealer::new(8000);
    concealer.good(&mut [8000; 400]);
    concealer.interrupt();
    let mut after = [-8000; 160];
    concealer.good(&mut after);
    assert!(after[0] > 5000 && after[40] == -8000, "{after:?}");
    assert!(largest_step(&after) < 2000);
}

#[test]
fn test_silence_conceals_as_silence() {
    let mut concealer = Concealer::new(48_000);
    let mut out = [7; 960];
    concealer.conceal(&mut out);
    assert_eq!(out, [0; 960]);
    concealer.good(&mut []);
    concealer.conceal(&mut []);
    concealer.reset();
    concealer.conceal(&mut out);
    assert_eq!(out, [0; 960]);
}
