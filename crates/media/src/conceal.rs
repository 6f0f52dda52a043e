//! Loss concealment after G.711 Appendix I, at every rate: the last pitch period goes on, then two and three of them, and fades.
//!
//! What the ear decodes passes through [`Concealer::good`]; for what is missing it asks [`Concealer::conceal`]. Other than the appendix it needs no
//! delay of 3.75 ms: where the repeated period meets the last sample, the step between them is spread over the first quarter of the period. A
//! signal without a pitch is repeated in pieces of three periods at once, so that noise does not begin to hum.

use crate::pitch::{self, fade, sample};

/// Below this likeness a signal has no pitch.
const UNVOICED: f32 = 0.4;

/// A piece of the past that is repeated: its length, and which sample of it is next.
#[derive(Clone, Copy, Debug, Default)]
struct Loop {
    length: usize,
    offset: usize,
}

/// The history of a signal at one rate, and what goes on from it.
#[derive(Clone, Debug)]
pub struct Concealer {
    sample_rate: u32,
    /// Samples of 125 µs: 1 at 8 kHz, 6 at 48 kHz.
    scale: usize,
    /// The last 48.75 ms, good or concealed.
    heard: Vec<i16>,
    /// The same as it was when concealment began.
    history: Vec<i16>,
    pitch: usize,
    /// What is repeated.
    now: Loop,
    /// What was repeated before, while one fades into the other; and how far it has faded.
    before: Option<(Loop, usize)>,
    /// Samples concealed since the last good one; the good ones end in an interruption when `Some`.
    erased: Option<usize>,
    /// The step between the last good sample and what goes on.
    step: f32,
}

impl Concealer {
    /// A concealer of silence, at one of the rates of [`crate::codec::PCM_RATES`].
    #[must_use]
    pub fn new(sample_rate: u32) -> Self {
        let scale = (sample_rate / 8000).max(1) as usize;
        Concealer {
            sample_rate,
            scale,
            heard: vec![0; 390 * scale],
            history: vec![0; 390 * scale],
            pitch: 40 * scale,
            now: Loop::default(),
            before: None,
            erased: None,
            step: 0.0,
        }
    }

    /// The rate in Hz.
    #[must_use]
    pub const fn sample_rate(&self) -> u32 {
        self.sample_rate
    }

    /// Forget everything.
    pub fn reset(&mut self) {
        self.heard.fill(0);
        (self.erased, self.before) = (None, None);
    }

    /// Take good samples; where they follow concealed ones, their beginning is blended with what would have gone on (Appendix I.2.7).
    pub fn good(&mut self, pcm: &mut [i16]) {
        if let Some(erased) = self.erased {
            // A quarter of the period, and 4 ms for each 10 ms that were lost, up to 10 ms.
            let lost = (erased / (80 * self.scale)).saturating_sub(usize::from(erased % (80 * self.scale) == 0));
            let length = (self.quarter() + 32 * self.scale * lost).min(80 * self.scale).min(pcm.len());
            for (place, good) in pcm.iter_mut().take(length).enumerate() {
                *good = sample(fade(self.next(), f32::from(*good), place, length));
            }
            (self.erased, self.before) = (None, None);
        }
        self.remember(pcm);
    }

    fn remember(&mut self, pcm: &[i16]) {
        let kept = self.heard.len();
        let new = pcm.get(pcm.len().saturating_sub(kept)..).unwrap_or(&[]);
        self.heard.copy_within(new.len().., 0);
        if let Some(end) = self.heard.get_mut(kept - new.len()..) {
            end.copy_from_slice(new);
        }
    }

    /// Go on for as many samples as `out` has. Full level for 10 ms, then fading, silence from 60 ms on.
    pub fn conceal(&mut self, out: &mut [i16]) {
        self.interrupt();
        for concealed in out.iter_mut() {
            *concealed = sample(self.next());
        }
        self.remember(out);
    }

    /// The samples that come do not go on from those before: blend them, though nothing is missing.
    pub fn interrupt(&mut self) {
        if self.erased.is_some() {
            return;
        }
        self.history.copy_from_slice(&self.heard);
        let period = pitch::of_end(&self.history, self.sample_rate);
        self.pitch = period.length;
        let pieces = if period.likeness < UNVOICED { 3 } else { 1 };
        self.now = Loop {
            length: self.pitch * pieces,
            offset: 0,
        };
        self.before = None;
        let end = self.history.len();
        self.step = self.past(end - 1) - self.past(end - 1 - self.now.length);
        self.erased = Some(0);
    }

    const fn quarter(&self) -> usize {
        self.pitch / 4
    }

    fn past(&self, index: usize) -> f32 {
        self.history.get(index).copied().map_or(0.0, f32::from)
    }

    /// A sample of a loop, whose last quarter period leads over to its beginning.
    fn looped(&self, at: Loop) -> f32 {
        let index = self.history.len() - at.length + at.offset;
        let lead = at.length - self.quarter();
        match at.offset.checked_sub(lead) {
            None => self.past(index),
            Some(place) => fade(self.past(index), self.past(index - at.length), place, self.quarter()),
        }
    }

    /// The next sample of what goes on.
    fn next(&mut self) -> f32 {
        let erased = self.erased.unwrap_or(0);
        self.erased = Some(erased.saturating_add(1));
        let ten_ms = 80 * self.scale;
        if erased >= 6 * ten_ms {
            return 0.0;
        }
        if (erased == ten_ms || erased == 2 * ten_ms) && self.now.length < 3 * self.pitch {
            self.widen();
        }
        let mut value = self.looped(self.now);
        self.now = advance(self.now);
        if let Some((before, place)) = self.before {
            value = fade(self.looped(before), value, place, self.quarter());
            self.before = (place + 1 < self.quarter()).then(|| (advance(before), place + 1));
        }
        if erased < self.quarter() {
            value += fade(self.step, 0.0, erased, self.quarter());
        }
        // Appendix I.2.6: 20 % in each 10 ms after the first.
        let faded = erased.saturating_sub(ten_ms) as f32 / (5 * ten_ms) as f32;
        value * (1.0 - faded)
    }

    /// Repeat one period more than before, lest the voice become a beep (Appendix I.2.5).
    fn widen(&mut self) {
        self.before = Some((self.now, 0));
        self.now = Loop {
            length: self.now.length + self.pitch,
            offset: self.now.offset % self.pitch,
        };
    }
}

const fn advance(at: Loop) -> Loop {
    let offset = at.offset + 1;
    Loop {
        length: at.length,
        offset: if offset >= at.length { 0 } else { offset },
    }
}

#[cfg(test)]
mod tests;
