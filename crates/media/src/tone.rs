//! A sine by its level: the source of the test kit's phones, and of the tones that calls play.

use std::f64::consts::TAU;

/// Samples a second of everything here.
pub const SAMPLE_RATE: u32 = 8000;
/// Level of the largest sine that A-law holds (G.711 §4; µ-law's is +3.17 dBm0): peak 32768 in 16-bit PCM.
#[expect(clippy::approx_constant, reason = "the recommendation's figure, not the circle's")]
pub const FULL_SCALE_DBM0: f64 = 3.14;

/// The peak of a sine of this level in 16-bit PCM, at most full scale.
#[must_use]
pub fn peak(level_dbm0: f64) -> f64 {
    let peak = 32_768.0 * 10f64.powf((level_dbm0 - FULL_SCALE_DBM0) / 20.0);
    if peak.is_finite() { peak.min(32_767.0) } else { 0.0 }
}

/// A sine generator: a rotating unit vector, set straight after each block.
#[derive(Clone, Debug)]
pub struct Tone {
    step: (f64, f64),
    state: (f64, f64),
    peak: f64,
}

impl Tone {
    /// A tone of this frequency and level; 0 Hz, or a frequency that 8 kHz cannot carry, is silence.
    #[must_use]
    pub fn new(frequency_hz: f64, level_dbm0: f64) -> Self {
        let audible = frequency_hz > 0.0 && frequency_hz < f64::from(SAMPLE_RATE) / 2.0;
        let angle = if audible {
            TAU * frequency_hz / f64::from(SAMPLE_RATE)
        } else {
            0.0
        };
        let (sine, cosine) = angle.sin_cos();
        Tone {
            step: (cosine, sine),
            state: (1.0, 0.0),
            peak: if audible { peak(level_dbm0) } else { 0.0 },
        }
    }

    /// Whether it is silence.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.peak <= 0.0
    }

    /// Fill `samples` with what comes next; phase runs on from block to block.
    pub fn fill(&mut self, samples: &mut [i16]) {
        let (cosine, sine) = self.step;
        let (mut re, mut im) = self.state;
        for sample in samples {
            // Within ±32767 by `peak`, and `as` saturates.
            *sample = (im * self.peak).round() as i16;
            (re, im) = (re * cosine - im * sine, re * sine + im * cosine);
        }
        let length = re.hypot(im);
        self.state = if length > 0.0 { (re / length, im / length) } else { (1.0, 0.0) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_phase_runs_on_over_blocks() {
        let (mut blocks, mut whole) = (vec![0; 1600], vec![0; 1600]);
        let mut tone = Tone::new(440.0, -10.0);
        blocks.chunks_mut(160).for_each(|block| tone.fill(block));
        Tone::new(440.0, -10.0).fill(&mut whole);
        assert!(blocks.iter().zip(&whole).all(|(a, b)| (i32::from(*a) - i32::from(*b)).abs() <= 1));
        let expected = (TAU * 440.0 * 1234.0 / 8000.0).sin() * peak(-10.0);
        assert!((f64::from(whole[1234]) - expected).abs() < 1.0);
    }

    #[test]
    fn test_level_is_the_power_below_full_scale() {
        let mut samples = vec![0; 8000];
        Tone::new(1000.0, -10.0).fill(&mut samples);
        let power = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / 8000.0;
        let dbm0 = 10.0 * (power / (32_768f64.powi(2) / 2.0)).log10() + FULL_SCALE_DBM0;
        assert!((dbm0 + 10.0).abs() < 0.05, "{dbm0}");
    }

    #[test]
    fn test_no_frequency_is_silence_and_no_level_overflows() {
        let mut samples = vec![7; 160];
        Tone::new(0.0, 0.0).fill(&mut samples);
        assert!(samples.iter().all(|sample| *sample == 0));
        Tone::new(f64::NAN, 0.0).fill(&mut samples);
        assert!(samples.iter().all(|sample| *sample == 0));
        Tone::new(1000.0, 400.0).fill(&mut samples);
        assert_eq!(samples.iter().max(), Some(&32_767));
    }
}
