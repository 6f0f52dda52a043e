//! One frequency: whether a frame is nearly all of it, and for how many frames it has stayed.
//!
//! For a sine x[n] + x[n-2] = 2 cos(ω) x[n-1]; the least-squares solution for cos(ω) over a frame gives the frequency, a Goertzel sum at it
//! the share of the frame's power that it holds. Both cost a few products a sample.

use std::f64::consts::TAU;

/// The rate of what is looked at: half of that of what comes in.
const RATE: f64 = 8000.0;
/// A frame's samples at that rate.
const SAMPLES: usize = 160;
/// A tone holds at least this share of the power. G.711 leaves a sine more than 0.999 of it, the amplitude modulation of an answer
/// tone (ITU-T V.8, a fifth) 0.98.
const SHARE: f64 = 0.9;
/// A tone stays within this from frame to frame. The ear hears a fifth of it, a voice moves by more.
const DRIFT_HZ: f64 = 12.0;
/// Lower ones are the pitch of a voice, mains hum or the like.
const LOWEST_HZ: f64 = 300.0;
/// Frames of another kind that a tone outlasts: a phase reversal.
const TOLERATED: u64 = 2;

/// Follows one stream.
#[derive(Clone, Debug)]
pub(super) struct Tonal {
    samples: [f64; SAMPLES],
    mean_hz: f64,
    steady: u64,
    missed: u64,
}

impl Default for Tonal {
    fn default() -> Self {
        Tonal {
            samples: [0.0; SAMPLES],
            mean_hz: 0.0,
            steady: 0,
            missed: 0,
        }
    }
}

impl Tonal {
    /// For how many frames, this one of 16 kHz included, the same frequency was heard; 0 where this one has none.
    pub(super) fn steady(&mut self, samples: &[i16], power: f64) -> u64 {
        let (pairs, _) = samples.as_chunks::<2>();
        for (slot, [a, b]) in self.samples.iter_mut().zip(pairs) {
            // The mean of two is filter enough: what is above 4 kHz makes no tone here.
            *slot = f64::midpoint(f64::from(*a), f64::from(*b));
        }
        let found = self.frequency().filter(|_| power > 0.0);
        match found {
            Some(hz) if self.steady > 0 && (hz - self.mean_hz).abs() <= DRIFT_HZ => {
                self.steady += 1 + std::mem::take(&mut self.missed);
                // Over the first frames the mean of all, then one that follows.
                self.mean_hz += (hz - self.mean_hz) / (self.steady.min(16) as f64);
                self.steady
            }
            Some(hz) => {
                (self.mean_hz, self.steady, self.missed) = (hz, 1, 0);
                1
            }
            None => {
                self.missed += 1;
                if self.missed > TOLERATED {
                    self.steady = 0;
                    self.missed = 0;
                }
                0
            }
        }
    }

    /// The mean of the frequency that has stayed.
    pub(super) const fn frequency_hz(&self) -> f64 {
        self.mean_hz
    }

    /// The frequency that nearly all of the samples' power is at.
    fn frequency(&self) -> Option<f64> {
        let (mut cross, mut middle, mut total) = (0.0, 0.0, 0.0);
        for window in self.samples.windows(3) {
            let [a, b, c] = window else { continue };
            cross += b * (a + c);
            middle += b * b;
        }
        for sample in &self.samples {
            total += sample * sample;
        }
        if middle <= 0.0 {
            return None;
        }
        let cosine = (cross / (2.0 * middle)).clamp(-1.0, 1.0);
        let angle = cosine.acos();
        let hz = angle * RATE / TAU;
        if hz < LOWEST_HZ {
            return None;
        }
        let share = 2.0 * goertzel(&self.samples, cosine) / (SAMPLES as f64 * total);
        (share >= SHARE).then_some(hz)
    }
}

/// The squared magnitude of the spectrum at the angle of this cosine (Goertzel 1958).
fn goertzel(samples: &[f64], cosine: f64) -> f64 {
    let (mut last, mut before) = (0.0, 0.0);
    for sample in samples {
        let next = sample + 2.0 * cosine * last - before;
        (before, last) = (last, next);
    }
    last * last + before * before - 2.0 * cosine * last * before
}
