//! Comfort noise (RFC 3389): what a peer says of its background while it sends nothing, as noise, and our own background in its words.
//!
//! A payload is a level and reflection coefficients of the spectrum. The ear makes noise of it until speech comes back; the mouth measures
//! what it leaves out. Coefficients have the sign of G.711 Appendix II: the first is minus the correlation of neighbouring samples.

use crate::random::Random;

/// More coefficients than this are passed over (RFC 3389 §3.3 leaves the order to the receiver).
pub const MAX_ORDER: usize = 12;

/// The coefficients that we measure, as G.711 Appendix II has them.
const ORDER: usize = 10;

/// The length of a payload that [`Measurer::payload`] writes.
pub const PAYLOAD_LENGTH: usize = 1 + ORDER;

/// 0 dBov: a square wave of full scale (RFC 3389 §3.1).
const OVERLOAD: f64 = 32_768.0;

/// How much of what was measured before stays with each new frame.
const MEMORY: f64 = 0.8;

/// More samples than this are not measured at once: 20 ms at 48 kHz.
const LONGEST: usize = 960;

/// Beyond this, changing coefficients have driven the filter out of any signal's range.
const FAR_OUT: f32 = 1e6;

/// The highest index; 255 is reserved (RFC 3389 §3.2).
const HIGHEST_INDEX: u8 = 254;

/// Noise after a peer's parameters, silent until there are some. It goes on without a seam when they change.
#[derive(Clone, Debug)]
pub struct Noise {
    random: Random,
    /// Root mean square of the excitation that gives the asked level.
    excitation: f32,
    reflections: [f32; MAX_ORDER],
    /// The backward errors of the lattice filter.
    memory: [f32; MAX_ORDER],
}

impl Noise {
    /// A source whose noise follows from `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Noise {
            random: Random::new(seed),
            excitation: 0.0,
            reflections: [0.0; MAX_ORDER],
            memory: [0.0; MAX_ORDER],
        }
    }

    /// Take a payload's level and spectrum; an empty one changes nothing, one of a level alone is white noise.
    pub fn follow(&mut self, payload: &[u8]) {
        let Some((level, indices)) = payload.split_first() else { return };
        let mut indices = indices.iter();
        for reflection in &mut self.reflections {
            *reflection = indices.next().map_or(0.0, |index| reflection_of(*index));
        }
        // The filter of these coefficients has the power gain 1 / product of (1 - k^2).
        let lost: f32 = self.reflections.iter().map(|k| 1.0 - k * k).product();
        let level_db = -f64::from(level & 0x7f);
        self.excitation = (OVERLOAD * 10f64.powf(level_db / 20.0)) as f32 * lost.sqrt();
    }

    /// Fill `out` with the noise that goes on.
    pub fn generate(&mut self, out: &mut [i16]) {
        for sample in out {
            let white = self.white() * self.excitation;
            let shaped = self.shape(white);
            if shaped.abs() > FAR_OUT || shaped.is_nan() {
                self.memory = [0.0; MAX_ORDER];
            }
            // `as` stops at the ends of the scale and makes nothing of a NaN.
            *sample = shaped as i16;
        }
    }

    /// Close to a normal distribution of variance one: the sum of four uniform numbers.
    fn white(&mut self) -> f32 {
        let bits = self.random.next_u64();
        let sum: u32 = [bits, bits >> 16, bits >> 32, bits >> 48]
            .iter()
            .map(|part| (part & 0xffff) as u32)
            .sum();
        // The sum's middle, and its deviation: that of one uniform number is the range over the root of 12.
        (sum as f32 - 131_070.0) * (3f32.sqrt() / 65_536.0)
    }

    /// The all-pole lattice filter of the reflection coefficients, from the highest order down.
    fn shape(&mut self, excitation: f32) -> f32 {
        let mut forward = excitation;
        let mut above: Option<&mut f32> = None;
        for (reflection, memory) in self.reflections.iter().zip(&mut self.memory).rev() {
            let delayed = *memory;
            forward -= reflection * delayed;
            if let Some(above) = above {
                *above = delayed + reflection * forward;
            }
            above = Some(memory);
        }
        if let Some(lowest) = above {
            *lowest = forward;
        }
        forward
    }
}

/// Level and spectrum of what is heard, for payloads.
#[derive(Clone, Debug, Default)]
pub struct Measurer {
    /// Mean square, and the autocorrelation from lag zero; both fade by [`MEMORY`] a frame.
    power: f64,
    correlation: [f64; ORDER + 1],
    heard: bool,
}

impl Measurer {
    /// Take in a frame of background, of up to 960 samples; of more the last 960 count.
    pub fn hear(&mut self, pcm: &[i16]) {
        let pcm = pcm.get(pcm.len().saturating_sub(LONGEST)..).unwrap_or_default();
        if pcm.is_empty() {
            return;
        }
        let mut windowed = [0.0_f32; LONGEST];
        let middle = pcm.len() as f32 / 2.0;
        let mut sum = 0.0;
        for ((place, sample), n) in windowed.iter_mut().zip(pcm).zip(0u16..) {
            let (value, offset) = (f32::from(*sample), (f32::from(n) + 0.5 - middle) / middle);
            *place = value * (1.0 - offset * offset);
            sum += f64::from(value * value);
        }
        let windowed = windowed.get(..pcm.len()).unwrap_or_default();
        let kept = if self.heard { MEMORY } else { 0.0 };
        self.heard = true;
        self.power = kept * self.power + (1.0 - kept) * sum / pcm.len() as f64;
        for (lag, correlation) in self.correlation.iter_mut().enumerate() {
            let later = windowed.get(lag..).unwrap_or_default();
            let products: f32 = windowed.iter().zip(later).map(|(a, b)| a * b).sum();
            *correlation = kept * *correlation + (1.0 - kept) * f64::from(products);
        }
    }

    /// The payload for what was heard; silence before anything was.
    #[must_use]
    pub fn payload(&self) -> [u8; PAYLOAD_LENGTH] {
        let level_db = -10.0 * (self.power.max(1e-12) / (OVERLOAD * OVERLOAD)).log10();
        let mut payload = [127; PAYLOAD_LENGTH];
        let reflections = reflections_of(&self.correlation);
        let words = std::iter::once(level_db.round().clamp(0.0, 127.0) as u8).chain(reflections.iter().map(|k| index_of(*k)));
        for (place, word) in payload.iter_mut().zip(words) {
            *place = word;
        }
        payload
    }
}

/// Schur's recursion: reflection coefficients out of the autocorrelation, without predictor coefficients on the way.
fn reflections_of(correlation: &[f64; ORDER + 1]) -> [f64; ORDER] {
    let mut reflections = [0.0; ORDER];
    if correlation[0] <= 0.0 {
        return reflections;
    }
    let (mut forward, mut backward) = (*correlation, *correlation);
    // A little white noise under the spectrum keeps the recursion in bounds (-40 dB).
    forward[0] *= 1.0001;
    backward[0] *= 1.0001;
    for (order, reflection) in reflections.iter_mut().enumerate() {
        let (Some(next), Some(error)) = (forward.get(order + 1).copied(), backward.first().copied()) else {
            break;
        };
        let k = (-next / error).clamp(-1.0, 1.0);
        *reflection = k;
        // Each order's errors by lag: the forward ones from lag order + 1 on, the backward ones shifted by one lag an order.
        let pairs = forward.iter_mut().skip(order + 1).zip(&mut backward);
        for (f, b) in pairs {
            (*f, *b) = (*f + k * *b, *b + k * *f);
        }
    }
    reflections
}

/// `k = 258 (N - 127) / 32768` (RFC 3389 §3.2), always inside the unit circle.
fn reflection_of(index: u8) -> f32 {
    (f32::from(index.min(HIGHEST_INDEX)) - 127.0) * (258.0 / 32_768.0)
}

/// The index of a coefficient.
fn index_of(reflection: f64) -> u8 {
    (reflection * (32_768.0 / 258.0) + 127.0)
        .round()
        .clamp(0.0, f64::from(HIGHEST_INDEX)) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coder::signals;

    fn made(payload: &[u8], count: usize) -> Vec<i16> {
        let (mut noise, mut out) = (Noise::new(1), vec![0; count]);
        noise.follow(payload);
        noise.generate(&mut out);
        out
    }

    fn level_dbov(pcm: &[i16]) -> f64 {
        let power = pcm.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / pcm.len() as f64;
        10.0 * (power / (OVERLOAD * OVERLOAD)).log10()
    }

    /// The correlation of samples `lag` apart.
    fn correlation(pcm: &[i16], lag: usize) -> f64 {
        let product = |lag: usize| pcm.iter().zip(&pcm[lag..]).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
        product(lag) / product(0)
    }

    #[test]
    fn test_noise_has_the_level_that_the_payload_says_whatever_its_spectrum() {
        for spectrum in [
            &[][..],
            &[20],
            &[220],
            &[20, 200, 100, 140],
            &[40, 180, 127, 127, 90, 127, 127, 140, 127, 127],
        ] {
            for level in [20, 40, 60] {
                let payload: Vec<u8> = std::iter::once(level).chain(spectrum.iter().copied()).collect();
                let heard = level_dbov(&made(&payload, 80_000));
                assert!((heard + f64::from(level)).abs() < 0.7, "{payload:?}: {heard:.2} dBov");
            }
        }
    }

    #[test]
    fn test_a_negative_first_coefficient_makes_neighbours_alike() {
        let low = made(&[30, 27], 80_000);
        let high = made(&[30, 227], 80_000);
        let expected = f64::from(reflection_of(227));
        assert!((correlation(&low, 1) - expected).abs() < 0.02);
        assert!((correlation(&high, 1) + expected).abs() < 0.02);
        assert!(correlation(&made(&[30], 80_000), 1).abs() < 0.02);
    }

    #[test]
    fn test_what_is_measured_is_made_again() {
        let mut measurer = Measurer::default();
        let background = made(&[35, 40, 160, 110, 140], 48_000);
        background.chunks(160).for_each(|frame| measurer.hear(frame));
        let again = made(&measurer.payload(), 48_000);
        assert!((level_dbov(&background) - level_dbov(&again)).abs() < 1.5);
        for lag in 1..=4 {
            let (sent, heard) = (correlation(&background, lag), correlation(&again, lag));
            assert!((sent - heard).abs() < 0.12, "lag {lag}: {sent:.2} {heard:.2}");
        }
    }

    #[test]
    fn test_measuring_gives_the_coefficients_of_the_payload() {
        let payload = [30, 60, 150, 100, 140, 127, 127, 127, 127, 127, 127];
        let mut measurer = Measurer::default();
        // The memory would let the last frames count most; here all do.
        let background = made(&payload, 96_000);
        let mut sums = [0.0; ORDER + 1];
        for frame in background.chunks(960) {
            measurer.heard = false;
            measurer.hear(frame);
            sums.iter_mut().zip(measurer.correlation).for_each(|(sum, r)| *sum += r);
        }
        measurer.correlation = sums;
        for (ours, theirs) in measurer.payload().iter().zip(payload) {
            assert!(ours.abs_diff(theirs) <= 3, "{:?}", measurer.payload());
        }
    }

    #[test]
    fn test_silence_and_tones_are_measured_too() {
        let mut measurer = Measurer::default();
        assert_eq!(measurer.payload(), [127; PAYLOAD_LENGTH]);
        measurer.hear(&[0; 160]);
        measurer.hear(&[]);
        assert_eq!(measurer.payload(), [127; PAYLOAD_LENGTH]);
        // a sine of full scale is 3 dB under a square wave
        let mut measurer = Measurer::default();
        measurer.hear(&signals::sine(8000, 1000.0, 32_767.0, 2000));
        assert_eq!(measurer.payload()[0], 3);
        assert!(measurer.payload().iter().all(|word| *word <= HIGHEST_INDEX));
    }

    #[test]
    fn test_nothing_is_heard_before_the_first_payload_and_nothing_of_an_empty_one() {
        let (mut noise, mut out) = (Noise::new(1), [1; 160]);
        noise.follow(&[]);
        noise.generate(&mut out);
        assert_eq!(out, [0; 160]);
    }

    #[test]
    fn test_no_change_of_parameters_leaves_the_filter_out_of_range() {
        let (mut noise, mut out) = (Noise::new(1), [0; 160]);
        let mut random = Random::new(2);
        for _ in 0..2000 {
            let payload: Vec<u8> = (0..14)
                .map(|_| if random.below(2) == 0 { 255 } else { random.below(256) as u8 })
                .collect();
            noise.follow(&payload);
            noise.generate(&mut out);
        }
        noise.follow(&[40]);
        noise.generate(&mut out);
        noise.generate(&mut out);
        let level = level_dbov(&out);
        assert!((level + 40.0).abs() < 2.0, "{level:.1}");
    }
}
