//! From one sampling rate to another, a frame at a time: a polyphase filter between any two of [`PCM_RATES`].
//!
//! The ear's frames and the mouth's, a player's and a room's may have different rates; what joins two of them owns a [`Resampler`]. It
//! passes up to 0.85 of half the lower rate (3.4 kHz of 8 kHz) and takes away what lies above half, by more than 60 dB; it delays by 28
//! samples of the lower rate.

use std::time::Duration;

use crate::codec::PCM_RATES;

/// Half the filter's length in samples of the lower rate.
const HALF_LENGTH: usize = 28;

/// The middle of the transition, as a share of half the lower rate.
const CUTOFF: f64 = 0.925;

/// Of the Kaiser window: 68 dB, which with this length makes a transition of 0.15 of half the lower rate.
const KAISER_BETA: f64 = 6.5;

/// How many products are summed side by side.
const LANES: usize = 8;

/// A converter of one stream. Its output goes on where it ended with the frame before.
#[derive(Clone, Debug)]
pub struct Resampler {
    /// The ratio of the rates in lowest terms.
    up: usize,
    down: usize,
    /// The lower of the two rates.
    lowest: u32,
    /// The filter in `up` phases of `taps` coefficients each, those for the oldest samples first.
    phases: Vec<f32>,
    /// Coefficients of a phase, a multiple of [`LANES`].
    taps: usize,
    /// The last `taps - 1` samples, and room for a frame.
    samples: Vec<f32>,
}

impl Resampler {
    /// A converter between two of [`PCM_RATES`] in Hz; `None` for any other.
    #[must_use]
    pub fn new(from: u32, to: u32) -> Option<Self> {
        (PCM_RATES.contains(&from) && PCM_RATES.contains(&to)).then(|| Resampler::between(from, to, (from / 50) as usize))
    }

    /// A converter of what is no frame: from a rate of files to one of [`PCM_RATES`], `block` samples at a time at most.
    pub(crate) fn of_files(from: u32, to: u32, block: usize) -> Self {
        Resampler::between(from, to, block)
    }

    /// The least number of samples that make a whole number of others.
    pub(crate) const fn step(from: u32, to: u32) -> usize {
        (from / greatest_common_divisor(from, to)) as usize
    }

    fn between(from: u32, to: u32, block: usize) -> Self {
        let unit = greatest_common_divisor(from, to);
        let (up, down) = ((to / unit) as usize, (from / unit) as usize);
        let taps = if from == to { 0 } else { taps(from, to, up) };
        Resampler {
            up,
            down,
            lowest: from.min(to),
            phases: if from == to { Vec::new() } else { phases(from, to, up, taps) },
            taps,
            samples: vec![0.0; taps.saturating_sub(1) + block],
        }
    }

    /// How much later a sample comes out than it went in.
    #[must_use]
    pub fn delay(&self) -> Duration {
        if self.taps == 0 {
            return Duration::ZERO;
        }
        Duration::from_secs(HALF_LENGTH as u64) / self.lowest
    }

    /// Convert a frame of up to 20 ms (or up to a block); how many samples were written. Zero for a frame that is longer, that makes no whole number of
    /// samples, or whose output does not fit; it is as if it had not been given then.
    pub fn process(&mut self, frame: &[i16], out: &mut [i16]) -> usize {
        let count = frame.len() * self.up / self.down;
        let is_whole = (frame.len() * self.up).is_multiple_of(self.down);
        let Some(out) = out.get_mut(..count).filter(|_| is_whole) else {
            return 0;
        };
        if self.taps == 0 {
            out.copy_from_slice(frame);
            return count;
        }
        let history = self.taps - 1;
        let Some(room) = self.samples.get_mut(history..history + frame.len()) else {
            return 0;
        };
        for (place, sample) in room.iter_mut().zip(frame) {
            *place = f32::from(*sample);
        }
        self.filter(out);
        self.samples.copy_within(frame.len()..frame.len() + history, 0);
        count
    }

    fn filter(&self, out: &mut [i16]) {
        let (mut at, mut phase) = (0, 0);
        for sample in out {
            let coefficients = self.phases.get(phase * self.taps..).and_then(|rest| rest.get(..self.taps));
            let window = self.samples.get(at..).and_then(|rest| rest.get(..self.taps));
            *sample = to_sample(dot(coefficients.unwrap_or_default(), window.unwrap_or_default()));
            phase += self.down;
            at += phase / self.up;
            phase %= self.up;
        }
    }
}

const fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// The filter's length at the common multiple of both rates, from its middle to one end.
fn half_length(from: u32, to: u32, up: usize) -> usize {
    HALF_LENGTH * (from as usize * up / from.min(to) as usize)
}

fn taps(from: u32, to: u32, up: usize) -> usize {
    (2 * half_length(from, to, up) + 1).div_ceil(up).next_multiple_of(LANES)
}

/// The windowed sinc of the filter, cut into phases; each lets a steady signal through as it is.
fn phases(from: u32, to: u32, up: usize, taps: usize) -> Vec<f32> {
    let half = half_length(from, to, up) as f64;
    let cutoff = CUTOFF * f64::from(from.min(to)) / (f64::from(from) * up as f64);
    let coefficient = |n: usize| {
        let offset = n as f64 - half;
        let window = 1.0 - (offset / half).powi(2);
        if window < 0.0 {
            0.0
        } else {
            sinc(cutoff * offset) * bessel(KAISER_BETA * window.sqrt())
        }
    };
    let mut phases = Vec::with_capacity(up * taps);
    for phase in 0..up {
        // The newest sample meets the filter's first coefficient of this phase.
        let taps: Vec<f64> = (0..taps).rev().map(|tap| coefficient(phase + tap * up)).collect();
        let sum: f64 = taps.iter().sum();
        phases.extend(taps.iter().map(|tap| (tap / sum) as f32));
    }
    phases
}

fn sinc(x: f64) -> f64 {
    let x = x * std::f64::consts::PI;
    if x == 0.0 { 1.0 } else { x.sin() / x }
}

/// The modified Bessel function of order zero, by its series.
fn bessel(x: f64) -> f64 {
    let quarter = x * x / 4.0;
    let terms = (1..40).scan(1.0, |term, n| {
        *term *= quarter / f64::from(n * n);
        Some(*term)
    });
    1.0 + terms.sum::<f64>()
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0; LANES];
    for (a, b) in a.as_chunks::<LANES>().0.iter().zip(b.as_chunks::<LANES>().0) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums.iter().sum()
}

/// Rounded and held within the scale. `f32::round` would be a call on processors of 2005.
fn to_sample(value: f32) -> i16 {
    ((value.clamp(-32_768.0, 32_767.0) + 32_768.5) as i32 - 32_768) as i16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coder::signals::{noise, sine};
    use std::f64::consts::TAU;

    const LEVEL: f64 = 10_000.0;

    fn pairs() -> impl Iterator<Item = (u32, u32)> {
        PCM_RATES
            .into_iter()
            .flat_map(|from| PCM_RATES.into_iter().map(move |to| (from, to)))
    }

    fn converted(from: u32, to: u32, pcm: &[i16]) -> Vec<i16> {
        let mut resampler = Resampler::new(from, to).unwrap();
        let mut out = [0; 960];
        pcm.chunks_exact((from / 50) as usize)
            .flat_map(|frame| {
                let count = resampler.process(frame, &mut out);
                assert_eq!(count, (to / 50) as usize);
                out[..count].to_vec()
            })
            .collect()
    }

    /// Level, phase and what is left over of a sine that is fitted to the middle of a signal; the rest in dB below the sine.
    fn fit(rate: u32, frequency_hz: f64, pcm: &[i16]) -> (f64, f64, f64) {
        let step = TAU * frequency_hz / f64::from(rate);
        // 200 ms: whole periods of every multiple of 5 Hz
        let span = (rate / 5) as usize;
        let samples: Vec<(f64, f64)> = pcm
            .iter()
            .enumerate()
            .skip(span)
            .take(span)
            .map(|(n, x)| (n as f64 * step, f64::from(*x)))
            .collect();
        let scale = 2.0 / span as f64;
        let sine: f64 = samples.iter().map(|(angle, x)| x * angle.sin()).sum::<f64>() * scale;
        let cosine: f64 = samples.iter().map(|(angle, x)| x * angle.cos()).sum::<f64>() * scale;
        let rest: f64 = samples
            .iter()
            .map(|(angle, x)| (x - sine * angle.sin() - cosine * angle.cos()).powi(2))
            .sum();
        let level = sine.hypot(cosine);
        (level, cosine.atan2(sine), 10.0 * (rest * scale / level.powi(2)).log10())
    }

    #[test]
    fn test_tones_keep_their_level_and_nothing_is_added() {
        let (mut worst_level, mut worst_rest) = (0.0_f64, -200.0_f64);
        for (from, to) in pairs() {
            let edge = f64::from(from.min(to)) / 2.0 * 0.85;
            for frequency_hz in [50.0, 300.0, 1000.0, 2500.0, edge - edge % 5.0] {
                let heard = converted(from, to, &sine(from, frequency_hz, LEVEL, from));
                let (level, _, rest_db) = fit(to, frequency_hz, &heard);
                let level_db = 20.0 * (level / LEVEL).log10();
                worst_level = worst_level.max(level_db.abs());
                worst_rest = worst_rest.max(rest_db);
                assert!(level_db.abs() < 0.1, "{frequency_hz} Hz, {from} to {to}: {level_db:.3} dB");
                assert!(rest_db < -60.0, "{frequency_hz} Hz, {from} to {to}: {rest_db:.1} dB beside it");
            }
        }
        println!("level within {worst_level:.4} dB, rest below {worst_rest:.1} dB");
    }

    #[test]
    fn test_what_the_lower_rate_cannot_carry_is_taken_away() {
        for (from, to) in pairs().filter(|(from, to)| from > to) {
            let (lower, upper) = (f64::from(to) / 2.0, f64::from(from) / 2.0);
            for share in [0.0, 0.01, 0.1, 0.5, 0.9] {
                let frequency_hz = lower + (upper - lower) * share + 1.0;
                let heard = converted(from, to, &sine(from, frequency_hz, LEVEL, from));
                let (start, end) = (heard.len() / 5, heard.len() * 4 / 5);
                let power: f64 = heard[start..end].iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / (end - start) as f64;
                let level_db = 10.0 * (power.max(1e-9) / (LEVEL * LEVEL / 2.0)).log10();
                assert!(level_db < -60.0, "{frequency_hz} Hz, {from} to {to}: {level_db:.1} dB");
            }
        }
    }

    #[test]
    fn test_the_delay_is_what_it_says_at_every_frequency_and_short() {
        for (from, to) in pairs() {
            let delay = Resampler::new(from, to).unwrap().delay();
            assert!(delay <= Duration::from_millis(5));
            for frequency_hz in [20.0, 100.0, 1000.0, 3000.0] {
                let (_, phase, _) = fit(to, frequency_hz, &converted(from, to, &sine(from, frequency_hz, LEVEL, from)));
                let expected = -TAU * frequency_hz * delay.as_secs_f64();
                let error = (phase - expected + TAU / 2.0).rem_euclid(TAU) - TAU / 2.0;
                assert!(error.abs() < 1e-3, "{frequency_hz} Hz, {from} to {to}: {error}");
            }
        }
    }

    #[test]
    fn test_frames_of_any_length_give_the_same_stream() {
        for (from, to) in pairs() {
            let pcm = noise(5, 2, from / 5);
            let whole = converted(from, to, &pcm);
            let mut resampler = Resampler::new(from, to).unwrap();
            let mut out = [0; 960];
            let mut parts = Vec::new();
            // 5 ms, 2.5 ms
            for frame in pcm
                .chunks((from / 200) as usize)
                .flat_map(|frame| frame.chunks((from / 400) as usize))
            {
                let count = resampler.process(frame, &mut out);
                parts.extend_from_slice(&out[..count]);
            }
            assert_eq!(parts, whole, "{from} to {to}");
        }
    }

    #[test]
    fn test_full_scale_stops_at_the_ends_of_the_scale() {
        let square: Vec<i16> = (0..8000).map(|n| if n / 40 % 2 == 0 { i16::MAX } else { i16::MIN }).collect();
        let heard = converted(8000, 48_000, &square);
        assert!(heard.contains(&i16::MAX) && heard.contains(&i16::MIN));
        // No sample has jumped over to the other end: the middle of each half wave keeps its sign.
        let delay = 28 * 6;
        assert!(
            square
                .iter()
                .enumerate()
                .filter(|(n, _)| n % 40 == 20)
                .all(|(n, sample)| { heard.get(n * 6 + delay).is_none_or(|heard| (*heard < 0) == (*sample < 0)) })
        );
    }

    #[test]
    fn test_equal_rates_pass_every_sample_at_once() {
        let pcm = noise(1, 0, 3200);
        assert_eq!(converted(16_000, 16_000, &pcm), pcm);
        assert_eq!(Resampler::new(16_000, 16_000).unwrap().delay(), Duration::ZERO);
    }

    #[test]
    fn test_other_rates_and_frames_that_do_not_fit_are_refused() {
        assert!(Resampler::new(8000, 44_100).is_none());
        assert!(Resampler::new(0, 8000).is_none());
        let mut resampler = Resampler::new(48_000, 8000).unwrap();
        let mut out = [0; 960];
        assert_eq!(resampler.process(&[0; 961], &mut out), 0);
        assert_eq!(resampler.process(&[0; 966], &mut out), 0);
        assert_eq!(resampler.process(&[0; 959], &mut out), 0);
        assert_eq!(resampler.process(&[0; 960], &mut out[..159]), 0);
        assert_eq!(resampler.process(&[], &mut out), 0);
    }
}
