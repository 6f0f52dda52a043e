//! Signals that tests of codecs and resamplers are fed with. `tests/oracle.rs` includes this file too.
#![allow(dead_code, reason = "each test crate uses its part")]

use std::f64::consts::TAU;

pub fn sine(rate: u32, frequency_hz: f64, amplitude: f64, count: u32) -> Vec<i16> {
    let step = TAU * frequency_hz / f64::from(rate);
    (0..count)
        .map(|n| (amplitude * (step * f64::from(n)).sin()).round() as i16)
        .collect()
}

/// White, of full scale over two to the power of `shift`.
pub fn noise(seed: u32, shift: u32, count: u32) -> Vec<i16> {
    let mut state = u64::from(seed) ^ 0x9e37_79b9_7f4a_7c15;
    (0..count)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            ((state >> 48) as u16).cast_signed() >> shift
        })
        .collect()
}

/// Pulses and breath at a gliding pitch through two gliding resonances, in syllables with pauses: what predictors see of speech.
pub fn speech(rate: u32, count: u32) -> Vec<i16> {
    let (mut phase, mut filters, mut before) = (0.0_f64, [[0.0_f64; 2]; 2], 0.0_f64);
    let breath = noise(9, 0, count);
    (0..count)
        .zip(breath)
        .map(|(n, breath)| {
            let time = f64::from(n) / f64::from(rate);
            phase += (120.0 + 30.0 * (2.1 * time).sin()) / f64::from(rate);
            let pulse = if phase >= 1.0 { 1.0 } else { 0.0 };
            phase = phase.fract();
            let mut value = (pulse + f64::from(breath) / 800_000.0) * (6.0 * time).sin().max(0.0);
            let centres = [500.0 + 250.0 * (3.3 * time).sin(), 1700.0 + 600.0 * (1.9 * time).cos()];
            for ([one, two], centre) in filters.iter_mut().zip(centres) {
                let (radius, angle) = ((-1500.0 / f64::from(rate)).exp(), TAU * centre / f64::from(rate));
                let next = value + 2.0 * radius * angle.cos() * *one - radius * radius * *two;
                (*two, *one) = (*one, next);
                value = next * 0.4;
            }
            // lips radiate no steady pressure
            let radiated = (value - before) * f64::from(rate) / 8000.0;
            before = value;
            (radiated * 30_000.0).clamp(-32_768.0, 32_767.0) as i16
        })
        .collect()
}

/// Signal over error in dB, when what was heard lags by `delay` samples.
pub fn signal_to_noise_db(sent: &[i16], heard: &[i16], delay: usize) -> f64 {
    let pairs = sent.iter().zip(heard.iter().skip(delay));
    let (signal, error) = pairs.fold((0.0, 1e-9), |(signal, error), (sent, heard)| {
        let (sent, heard) = (f64::from(*sent), f64::from(*heard));
        (signal + sent * sent, error + (sent - heard).powi(2))
    });
    10.0 * (signal / error).log10()
}
