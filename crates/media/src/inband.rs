//! DTMF as tones in the audio (ITU-T Q.23): their samples, and a detector after Q.24 that does not take speech for digits.
//!
//! The detector looks at 20 ms of 8 kHz PCM every 5 ms, under a Hann window. The strongest frequency of each group is measured by Goertzel's
//! algorithm, and by how far its phase has turned since the look before, which tells a frequency within a hertz. A look is a hit when both
//! lie near their nominal frequencies, are strong enough and of like strength, and are nearly all that is heard. Hits and misses in a
//! row make a digit (Q.24 §4: from 40 ms of tone, gaps of 40 ms; what is shorter than 23 ms is none, breaks of 10 ms are bridged).

use std::f32::consts::{PI, TAU};

use crate::audio::Pcm;
use crate::audio::feed::Feed;
use crate::dtmf::Press;
use crate::tone::{FULL_SCALE_DBM0, SAMPLE_RATE, Tone};

/// The low group, by row of the keypad, and the high one, by column (Q.23 §6).
const LOW_HZ: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
const HIGH_HZ: [f32; 4] = [1209.0, 1336.0, 1477.0, 1633.0];
/// The keypad.
const KEYS: [[char; 4]; 4] = [
    ['1', '2', '3', 'A'],
    ['4', '5', '6', 'B'],
    ['7', '8', '9', 'C'],
    ['*', '0', '#', 'D'],
];

/// Levels that are sent: the high group two decibels above the low one, for the line's slope.
const SENT_LOW_DBM0: f64 = -8.0;
const SENT_HIGH_DBM0: f64 = -6.0;

/// Samples of a look, and between two.
const LOOK: usize = 160;
const STEP: usize = 40;
/// Hits in a row that begin a digit: 40 ms of tone give five at least, 23 ms three at most.
const HITS: u32 = 4;
/// Misses in a row that end it: a gap of 40 ms gives ten, a break of 10 ms seven at most.
const MISSES: u32 = 8;
/// A tone is longer than its hits: the edges that its first and last look do not miss.
const EDGES_MS: u32 = 6;
/// No frequency of a digit is farther from its nominal one; Q.24 wants 1.5 % taken and 3.5 % refused.
const MAX_OFFSET: f32 = 0.025;
/// Neither frequency is stronger than the other by more.
const MAX_TWIST_DB: f32 = 9.5;
/// Neither is weaker.
const MIN_LEVEL_DBM0: f32 = -36.0;
/// Their share of all that is heard; the rest is noise, or the harmonics of a voice.
const MIN_SHARE: f32 = 0.88;
/// Digits that wait for whoever takes them.
const MAX_PRESSES: usize = 8;

/// The two frequencies of a digit in Hz; `None` where it is none.
#[must_use]
pub fn frequencies(digit: char) -> Option<(f32, f32)> {
    let digit = digit.to_ascii_uppercase();
    KEYS.iter().zip(LOW_HZ).find_map(|(row, low)| {
        let column = row.iter().position(|key| *key == digit)?;
        Some((low, *HIGH_HZ.get(column)?))
    })
}

/// Digits as 8 kHz PCM, one after another, each followed by a pause; what is no digit is left out.
#[must_use]
pub fn tones(digits: &str, duration_ms: u32, pause_ms: u32) -> Vec<i16> {
    let samples = |ms: u32| (u64::from(ms) * u64::from(SAMPLE_RATE) / 1000) as usize;
    let (length, pause) = (samples(duration_ms), samples(pause_ms));
    let mut all = Vec::with_capacity(digits.len() * (length + pause));
    let (mut low_part, mut high_part) = (vec![0; length], vec![0; length]);
    for (low, high) in digits.chars().filter_map(frequencies) {
        Tone::new(f64::from(low), SENT_LOW_DBM0).fill(&mut low_part);
        Tone::new(f64::from(high), SENT_HIGH_DBM0).fill(&mut high_part);
        all.extend(low_part.iter().zip(&high_part).map(|(a, b)| a.saturating_add(*b)));
        all.extend(std::iter::repeat_n(0, pause));
    }
    all
}

/// One frequency that is looked for.
#[derive(Clone, Copy, Debug, Default)]
struct Bin {
    hz: f32,
    /// Twice the cosine, and cosine and sine, of its angle per sample.
    twice: f32,
    cosine: f32,
    sine: f32,
    /// Its phase in the look before.
    phase: f32,
    /// Of this look.
    magnitude: f32,
    /// How far the signal is from it, in Hz, by this look and the one before.
    offset: f32,
}

impl Bin {
    fn new(hz: f32) -> Self {
        let (sine, cosine) = (TAU * hz / SAMPLE_RATE as f32).sin_cos();
        Bin {
            hz,
            twice: 2.0 * cosine,
            cosine,
            sine,
            ..Bin::default()
        }
    }

    /// Goertzel's algorithm over a windowed look.
    fn look(&mut self, samples: &[f32; LOOK]) {
        let (mut before, mut last) = (0.0, 0.0);
        for sample in samples {
            (before, last) = (last, self.twice.mul_add(last, sample - before));
        }
        let (re, im) = (last - before * self.cosine, before * self.sine);
        self.magnitude = re.hypot(im);
        let phase = im.atan2(re);
        let turn = TAU * self.hz * STEP as f32 / SAMPLE_RATE as f32;
        let beyond = (phase - std::mem::replace(&mut self.phase, phase) - turn + PI).rem_euclid(TAU) - PI;
        self.offset = beyond * SAMPLE_RATE as f32 / (TAU * STEP as f32);
    }

    /// The peak of the sine, the window's loss beside the nominal frequency made good.
    fn peak(&self) -> f32 {
        // Hann's sum is half the samples; its lobe is sinc(x) / (1 - x²), x in bins.
        let x = self.offset * LOOK as f32 / SAMPLE_RATE as f32;
        let lobe = if x.abs() < 0.01 {
            1.0
        } else {
            (PI * x).sin() / (PI * x * (1.0 - x * x))
        };
        self.magnitude * 4.0 / LOOK as f32 / lobe.clamp(0.1, 1.0)
    }

    fn is_near(&self) -> bool {
        self.offset.abs() <= self.hz * MAX_OFFSET
    }
}

/// A digit that is being heard.
#[derive(Clone, Copy, Debug)]
struct Current {
    digit: char,
    hits: u32,
    misses: u32,
    /// Looks since the first hit.
    looks: u32,
}

/// Hears digits in 8 kHz PCM.
#[derive(Clone, Debug)]
pub struct Detector {
    low: [Bin; 4],
    high: [Bin; 4],
    window: [f32; LOOK],
    /// The last samples, the oldest first.
    recent: [f32; LOOK],
    fresh: usize,
    current: Option<Current>,
    presses: [Option<Press>; MAX_PRESSES],
}

impl Default for Detector {
    fn default() -> Self {
        let mut window = [0.0; LOOK];
        for (n, weight) in window.iter_mut().enumerate() {
            *weight = 0.5 - 0.5 * (TAU * n as f32 / LOOK as f32).cos();
        }
        Detector {
            low: LOW_HZ.map(Bin::new),
            high: HIGH_HZ.map(Bin::new),
            window,
            recent: [0.0; LOOK],
            fresh: 0,
            current: None,
            presses: [None; MAX_PRESSES],
        }
    }
}

impl Detector {
    /// Hear samples that follow the last ones.
    pub fn feed(&mut self, samples: &[i16]) {
        for sample in samples {
            let place = LOOK - STEP + self.fresh;
            if let Some(slot) = self.recent.get_mut(place) {
                *slot = f32::from(*sample);
            }
            self.fresh += 1;
            if self.fresh == STEP {
                self.fresh = 0;
                let found = self.look();
                self.count(found);
                self.recent.copy_within(STEP.., 0);
            }
        }
    }

    /// The next digit that ended.
    pub fn take(&mut self) -> Option<Press> {
        let press = self.presses.first_mut()?.take()?;
        self.presses.rotate_left(1);
        Some(press)
    }

    /// The digit of this look.
    fn look(&mut self) -> Option<char> {
        let mut windowed = [0.0; LOOK];
        let mut power = 0.0;
        for ((out, sample), weight) in windowed.iter_mut().zip(&self.recent).zip(&self.window) {
            *out = sample * weight;
            power += *out * *out;
        }
        for bin in self.low.iter_mut().chain(&mut self.high) {
            bin.look(&windowed);
        }
        let (row, low) = strongest(&self.low)?;
        let (column, high) = strongest(&self.high)?;
        let (low_peak, high_peak) = (low.peak(), high.peak());
        let strong = level_dbm0(low_peak.min(high_peak)) >= MIN_LEVEL_DBM0;
        let twist = (20.0 * (high_peak / low_peak).log10()).abs();
        // The mean square of the window is 3/8.
        let theirs = (low_peak * low_peak + high_peak * high_peak) / 2.0 * 0.375 * LOOK as f32;
        let hit = strong && twist <= MAX_TWIST_DB && theirs >= MIN_SHARE * power && low.is_near() && high.is_near();
        if hit { KEYS.get(row)?.get(column).copied() } else { None }
    }

    fn count(&mut self, found: Option<char>) {
        match (&mut self.current, found) {
            (Some(current), Some(digit)) if digit == current.digit => {
                current.looks += 1;
                current.hits += 1;
                current.misses = 0;
            }
            (Some(current), _) => {
                current.looks += 1;
                current.misses += 1;
                let begun = current.hits >= HITS;
                if !begun || current.misses >= MISSES || found.is_some() {
                    self.end();
                    self.current = found.map(Current::new);
                }
            }
            (None, _) => self.current = found.map(Current::new),
        }
    }

    fn end(&mut self) {
        let Some(current) = self.current.take().filter(|current| current.hits >= HITS) else {
            return;
        };
        let looks = current.looks - current.misses;
        let duration_ms = looks.saturating_mul(STEP as u32 * 1000 / SAMPLE_RATE) + EDGES_MS;
        if let Some(slot) = self.presses.iter_mut().find(|slot| slot.is_none()) {
            *slot = Some(Press {
                digit: current.digit,
                duration_ms,
            });
        }
    }
}

impl Current {
    const fn new(digit: char) -> Self {
        Current {
            digit,
            hits: 1,
            misses: 0,
            looks: 1,
        }
    }
}

/// Hears digits in frames of any rate.
#[derive(Debug)]
pub struct Listener {
    feed: Feed,
    detector: Detector,
}

impl Default for Listener {
    fn default() -> Self {
        Listener {
            feed: Feed::to(SAMPLE_RATE),
            detector: Detector::default(),
        }
    }
}

impl Listener {
    /// Hear the next frame.
    pub fn hear(&mut self, frame: &Pcm) {
        self.detector.feed(self.feed.bring(frame).samples());
    }

    /// The next digit that ended.
    pub fn take(&mut self) -> Option<Press> {
        self.detector.take()
    }
}

fn strongest(bins: &[Bin; 4]) -> Option<(usize, &Bin)> {
    bins.iter().enumerate().max_by(|a, b| a.1.magnitude.total_cmp(&b.1.magnitude))
}

fn level_dbm0(peak: f32) -> f32 {
    20.0 * (peak / 32_768.0).log10() + FULL_SCALE_DBM0 as f32
}

#[cfg(test)]
mod tests;
