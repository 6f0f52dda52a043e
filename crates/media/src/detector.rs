//! What a leg hears: the strongest frequency of 8 kHz PCM, its level and how pure it is.
//!
//! Blocks of 1024 samples (128 ms) go through a Hann window and a Fourier transform; their power spectra are added up over the span that
//! is asked about (Welch's method). The peak is interpolated between bins. Nothing is allocated after the detector was made.

use std::f32::consts::TAU;

use crate::tone::{FULL_SCALE_DBM0, SAMPLE_RATE};

const SIZE: usize = 1024;
const BINS: usize = SIZE / 2;
/// Hann's main lobe reaches two bins to each side; one more for a peak between two.
const LOBE: usize = 3;
/// Bins below this are the window's image of a constant: no sound.
const LOWEST: usize = 2;
/// Weaker than this is silence: G.711's idle noise lies below.
const SILENCE_DBM0: f64 = -60.0;

/// What was heard.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Finding {
    /// The strongest frequency; 0 for silence.
    pub frequency_hz: f64,
    /// Its level; negative infinity for silence.
    pub level_dbm0: f64,
    /// Its share of the whole power, 0 to 1.
    pub purity: f64,
}

impl Finding {
    /// What silence is.
    pub const SILENCE: Finding = Finding {
        frequency_hz: 0.0,
        level_dbm0: f64::NEG_INFINITY,
        purity: 0.0,
    };
}

impl Default for Finding {
    fn default() -> Self {
        Finding::SILENCE
    }
}

/// Collects samples and tells what they were.
#[derive(Clone, Debug)]
pub struct Detector {
    block: Vec<f32>,
    window: Vec<f32>,
    twiddles: Vec<(f32, f32)>,
    work: Vec<(f32, f32)>,
    power: Vec<f64>,
    blocks: u32,
}

impl Default for Detector {
    fn default() -> Self {
        Detector::new()
    }
}

impl Detector {
    /// A detector that has heard nothing.
    #[must_use]
    pub fn new() -> Self {
        // Indices below 1024 are exact in f32.
        let angle = |n: usize| TAU * n as f32 / SIZE as f32;
        Detector {
            block: Vec::with_capacity(SIZE),
            window: (0..SIZE).map(|n| 0.5 - 0.5 * angle(n).cos()).collect(),
            twiddles: (0..BINS).map(|n| (angle(n).cos(), -angle(n).sin())).collect(),
            work: vec![(0.0, 0.0); SIZE],
            power: vec![0.0; BINS],
            blocks: 0,
        }
    }

    /// Hear samples that follow the last ones.
    pub fn feed(&mut self, samples: impl IntoIterator<Item = i16>) {
        for sample in samples {
            self.block.push(f32::from(sample));
            if self.block.len() == SIZE {
                self.add_block();
            }
        }
    }

    /// What was heard since the last call; begins anew. A span without one whole block is judged by what there is.
    pub fn take(&mut self) -> Finding {
        let partial = self.block.len();
        if self.blocks == 0 && partial > 0 {
            self.add_block();
            // Zeros were added: the power of the samples that there were is higher by that.
            let scale = SIZE as f64 / partial as f64;
            self.power.iter_mut().for_each(|power| *power *= scale);
        }
        let finding = self.judge();
        self.power.fill(0.0);
        self.blocks = 0;
        finding
    }

    fn add_block(&mut self) {
        // The window stretches over what there is, so that a partial block is not cut hard.
        let length = self.block.len();
        for (n, slot) in self.work.iter_mut().enumerate() {
            let weight = self.window.get(n * SIZE / length.max(1)).copied().unwrap_or(0.0);
            *slot = (self.block.get(n).copied().unwrap_or(0.0) * weight, 0.0);
        }
        transform(&mut self.work, &self.twiddles);
        for (sum, (re, im)) in self.power.iter_mut().zip(&self.work) {
            *sum += f64::from(re * re + im * im);
        }
        self.blocks += 1;
        self.block.clear();
    }

    fn judge(&self) -> Finding {
        let audible = || self.power.iter().enumerate().skip(LOWEST);
        let total: f64 = audible().map(|(_, power)| power).sum();
        let Some((peak, _)) = audible().max_by(|a, b| a.1.total_cmp(b.1)) else {
            return Finding::SILENCE;
        };
        let near = |bin: &usize| bin.abs_diff(peak) <= LOBE;
        let tone: f64 = audible().filter(|(bin, _)| near(bin)).map(|(_, power)| power).sum();
        // One side of the spectrum of a sine of amplitude a under Hann sums to a² · N² · 3/32 (Parseval; the window's mean square is 3/8).
        let mean_square = 2.0 * tone / (f64::from(self.blocks.max(1)) * (SIZE * SIZE) as f64 * 0.375);
        let level_dbm0 = 10.0 * (mean_square / (32_768.0 * 32_768.0 / 2.0)).log10() + FULL_SCALE_DBM0;
        if level_dbm0.is_nan() || level_dbm0 <= SILENCE_DBM0 {
            return Finding::SILENCE;
        }
        let frequency_hz = (peak as f64 + self.offset(peak)) * f64::from(SAMPLE_RATE) / SIZE as f64;
        Finding {
            frequency_hz,
            level_dbm0,
            purity: (tone / total).clamp(0.0, 1.0),
        }
    }

    /// How far the peak lies from the middle of its bin, -0.5 to 0.5: exact for Hann from the amplitudes of the two neighbours.
    fn offset(&self, peak: usize) -> f64 {
        let amplitude = |bin: Option<usize>| bin.and_then(|bin| self.power.get(bin)).map_or(0.0, |power| power.sqrt());
        let (left, middle, right) = (
            amplitude(peak.checked_sub(1)),
            amplitude(Some(peak)),
            amplitude(peak.checked_add(1)),
        );
        if middle <= 0.0 {
            return 0.0;
        }
        // For Hann, the ratio r of the larger neighbour to the peak gives (2r - 1) / (r + 1).
        let shift = |neighbour: f64| (2.0 * neighbour / middle - 1.0) / (neighbour / middle + 1.0);
        let offset = if right >= left { shift(right) } else { -shift(left) };
        offset.clamp(-0.5, 0.5)
    }
}

/// The fast Fourier transform in place, radix 2, decimation in time (Cooley and Tukey 1965).
fn transform(data: &mut [(f32, f32)], twiddles: &[(f32, f32)]) {
    let size = data.len();
    let shift = usize::BITS - size.trailing_zeros();
    for n in 0..size {
        let mirrored = n.reverse_bits() >> shift;
        if n < mirrored {
            data.swap(n, mirrored);
        }
    }
    let mut half = 1;
    while half < size {
        let stride = twiddles.len() / half;
        for group in data.chunks_exact_mut(half * 2) {
            let (low, high) = group.split_at_mut(half);
            for ((a, b), twiddle) in low.iter_mut().zip(high).zip(twiddles.iter().step_by(stride)) {
                let turned = (b.0 * twiddle.0 - b.1 * twiddle.1, b.0 * twiddle.1 + b.1 * twiddle.0);
                *b = (a.0 - turned.0, a.1 - turned.1);
                *a = (a.0 + turned.0, a.1 + turned.1);
            }
        }
        half *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::g711::Law;
    use crate::random::Random;
    use crate::tone::Tone;

    fn samples(frequency: f64, level: f64, count: usize) -> Vec<i16> {
        let mut samples = vec![0; count];
        Tone::new(frequency, level).fill(&mut samples);
        samples
    }

    fn hear(samples: &[i16]) -> Finding {
        let mut detector = Detector::new();
        detector.feed(samples.iter().copied());
        detector.take()
    }

    #[test]
    fn test_frequency_level_and_purity_of_a_tone_are_found() {
        for frequency in [100.0, 440.0, 697.0, 1004.0, 1633.5, 2100.0, 3400.0] {
            let found = hear(&samples(frequency, -10.0, 8000));
            assert!((found.frequency_hz - frequency).abs() < 0.5, "{frequency}: {found:?}");
            assert!((found.level_dbm0 + 10.0).abs() < 0.1, "{frequency}: {found:?}");
            assert!(found.purity > 0.999, "{frequency}: {found:?}");
        }
    }

    #[test]
    fn test_a_coded_tone_is_still_pure() {
        for law in [Law::Mu, Law::A] {
            let coded: Vec<i16> = samples(523.0, -20.0, 8000)
                .iter()
                .map(|sample| law.decode(law.encode(*sample)))
                .collect();
            let found = hear(&coded);
            assert!((found.frequency_hz - 523.0).abs() < 0.5 && found.purity > 0.995, "{found:?}");
        }
    }

    #[test]
    fn test_silence_and_idle_noise_are_silence() {
        assert_eq!(hear(&[]), Finding::SILENCE);
        assert_eq!(hear(&[0; 4000]), Finding::SILENCE);
        assert_eq!(hear(&[8; 4000]), Finding::SILENCE);
        assert_eq!(hear(&samples(1000.0, -65.0, 4000)), Finding::SILENCE);
    }

    #[test]
    fn test_noise_is_not_pure_and_two_tones_share() {
        let mut random = Random::new(1);
        let noise: Vec<i16> = (0..16_000).map(|_| i16::try_from(random.below(20_000)).unwrap() - 10_000).collect();
        assert!(hear(&noise).purity < 0.1);
        let both: Vec<i16> = samples(500.0, -10.0, 8000)
            .iter()
            .zip(samples(1500.0, -13.0, 8000))
            .map(|(a, b)| a + b)
            .collect();
        let found = hear(&both);
        assert!(
            (found.frequency_hz - 500.0).abs() < 0.5 && (found.purity - 0.667).abs() < 0.02,
            "{found:?}"
        );
    }

    #[test]
    fn test_a_short_span_is_judged_by_what_there_is() {
        let found = hear(&samples(1000.0, -10.0, 320));
        assert!(
            (found.frequency_hz - 1000.0).abs() < 15.0 && (found.level_dbm0 + 10.0).abs() < 2.0,
            "{found:?}"
        );
    }

    #[test]
    fn test_each_span_is_judged_by_itself() {
        let mut detector = Detector::new();
        detector.feed(samples(440.0, -10.0, 2048));
        assert!((detector.take().frequency_hz - 440.0).abs() < 0.5);
        assert_eq!(detector.take(), Finding::SILENCE);
        detector.feed(samples(880.0, -10.0, 2048));
        assert!((detector.take().frequency_hz - 880.0).abs() < 0.5);
    }
}
