//! What a peer's audio is made of: silence, voice, a tone, or some other noise, 20 ms at a time.
//!
//! A [`Listener`] gets the frames of a leg's ear and tells where one kind of sound ends and another begins, at the frame where it did, though it
//! knows that only a moment later. Voice is found by the crate `earshot` ([`voice`]), a tone by one frequency that holds nearly all of a
//! frame's power and stays ([`tonal`]). What it means (somebody speaks, an answering machine, a fax) is decided in Python. A frame allocates
//! nothing.

use crate::audio::Pcm;
use crate::audio::feed::Feed;
use crate::tone::FULL_SCALE_DBM0;

mod tonal;
mod voice;

use tonal::Tonal;
use voice::Voice;

/// What `earshot` hears.
const RATE: u32 = 16_000;
/// Weaker than this is silence: the idle noise of lines and comfort noise lie below.
const SILENCE_DBM0: f64 = -48.0;
/// From this score on a frame is voice; `earshot`'s own threshold.
const VOICE_SCORE: f32 = 0.5;

/// How many frames one after another make somebody speak: 60 ms. A click is shorter.
const TO_VOICE: u64 = 3;
/// How many frames without voice end an utterance: 200 ms. Pauses inside words are shorter.
const FROM_VOICE: u64 = 10;
/// How many frames of one frequency make a tone: 100 ms. No vowel stays on one for so long.
const TO_TONE: u64 = 5;
/// How many other frames end a tone: 60 ms, so that the phase reversals of an answer tone (ITU-T V.8) do not.
const FROM_TONE: u64 = 3;
/// How many frames tell silence from noise.
const BETWEEN: u64 = 5;

/// A kind of sound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sound {
    /// Nothing that anybody would hear.
    #[default]
    Silence,
    /// Somebody speaks.
    Voice,
    /// One frequency.
    Tone,
    /// Anything else: music, several tones, the noise of a street.
    Noise,
}

/// One kind of sound has ended and another begun.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// What began.
    pub sound: Sound,
    /// How many frames ago, the present one included.
    pub age: u64,
    /// Of a tone; 0 for all else.
    pub frequency_hz: f64,
    /// The mean level of what ended; negative infinity where it had none.
    pub ended_dbm0: f64,
}

/// Tells the kinds of sound of one peer apart.
#[derive(Debug)]
pub struct Listener {
    feed: Feed,
    voice: Voice,
    tonal: Tonal,
    /// Frames heard.
    frame: u64,
    sound: Sound,
    /// The frame after the last one of the present kind.
    left: u64,
    /// What the last frames were, and the first of them.
    candidate: (Sound, u64),
    /// Power of the frames of the present kind, and how many.
    power: (f64, u64),
    level_dbm0: f64,
}

impl Default for Listener {
    fn default() -> Self {
        Listener {
            feed: Feed::to(RATE),
            voice: Voice::default(),
            tonal: Tonal::default(),
            frame: 0,
            sound: Sound::Silence,
            left: 0,
            candidate: (Sound::Silence, 0),
            power: (0.0, 0),
            level_dbm0: f64::NEG_INFINITY,
        }
    }
}

impl Listener {
    /// Hear the next 20 ms.
    pub fn hear(&mut self, frame: &Pcm) -> Option<Change> {
        let samples = self.feed.bring(frame).samples();
        let power = mean_square(frame.samples());
        self.level_dbm0 = decibels(power);
        let score = self.voice.score(samples);
        let steady = self.tonal.steady(samples, power);
        self.frame += 1;
        let label = if self.level_dbm0 < SILENCE_DBM0 {
            Sound::Silence
        } else if steady >= TO_TONE {
            Sound::Tone
        } else if steady >= 2 {
            // It may become one: until then it says nothing of what was before.
            return None;
        } else if score >= VOICE_SCORE {
            Sound::Voice
        } else {
            Sound::Noise
        };
        self.judge(label, power, steady)
    }

    /// The level of the last frame.
    #[must_use]
    pub const fn level_dbm0(&self) -> f64 {
        self.level_dbm0
    }

    /// What is heard now.
    #[must_use]
    pub const fn sound(&self) -> Sound {
        self.sound
    }

    fn judge(&mut self, label: Sound, power: f64, steady: u64) -> Option<Change> {
        if label == self.sound {
            self.power = (self.power.0 + power, self.power.1 + 1);
            self.left = self.frame;
            self.candidate = (label, self.frame);
            return None;
        }
        if label != self.candidate.0 {
            self.candidate = (label, self.frame - 1);
        }
        let began = match (self.sound, label) {
            (_, Sound::Tone) => Some(self.frame - steady),
            (_, Sound::Voice) => self.since(self.candidate.1, TO_VOICE),
            (Sound::Voice, _) => self.since(self.left, FROM_VOICE),
            (Sound::Tone, _) => self.since(self.left, FROM_TONE),
            _ => self.since(self.candidate.1, BETWEEN),
        }?;
        let (sum, frames) = std::mem::take(&mut self.power);
        let ended_dbm0 = if frames == 0 {
            f64::NEG_INFINITY
        } else {
            decibels(sum / frames as f64)
        };
        self.sound = label;
        self.left = self.frame;
        self.candidate = (label, self.frame);
        self.power = (power, 1);
        Some(Change {
            sound: label,
            age: self.frame - began,
            frequency_hz: if label == Sound::Tone { self.tonal.frequency_hz() } else { 0.0 },
            ended_dbm0,
        })
    }

    /// The frame that something began after, once it has lasted so many.
    fn since(&self, began: u64, frames: u64) -> Option<u64> {
        (self.frame - began >= frames).then_some(began)
    }
}

fn mean_square(samples: &[i16]) -> f64 {
    let sum: f64 = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    sum / samples.len().max(1) as f64
}

/// A mean square as the level of a sine.
fn decibels(mean_square: f64) -> f64 {
    10.0 * (mean_square / (32_768.0 * 32_768.0 / 2.0)).log10() + FULL_SCALE_DBM0
}

#[cfg(test)]
mod tests;
