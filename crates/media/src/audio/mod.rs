//! Calls as audio: 20 ms frames of PCM between what a leg hears, what it says, and the rooms where legs meet.
//!
//! An [`ear::Ear`] makes frames of the packets of a peer, a [`mouth::Mouth`] packets of frames; a [`room::Room`] gives each of its members
//! the sum of the others. A [`feed::Feed`] brings a frame to the rate that its taker wants. The engine's worker moves the frames, once a
//! tick. What is allocated is allocated when something is configured; a tick allocates nothing.

use std::time::Duration;

pub mod circle;
pub mod ear;
pub mod feed;
mod hush;
pub mod mouth;
pub mod room;
pub mod speaker;
mod store;

/// What a frame lasts.
pub const FRAME: Duration = Duration::from_millis(20);
/// Frames in a second.
pub const FRAMES_PER_S: u32 = 50;
/// The samples of a frame at the highest rate.
pub const MAX_FRAME_SAMPLES: usize = 960;

/// 20 ms of mono 16-bit PCM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pcm {
    rate: u32,
    samples: [i16; MAX_FRAME_SAMPLES],
}

impl Pcm {
    /// Silence at a rate in Hz, at most 48,000.
    #[must_use]
    pub const fn silence(rate: u32) -> Self {
        Pcm {
            rate: if rate > 48_000 { 48_000 } else { rate },
            samples: [0; MAX_FRAME_SAMPLES],
        }
    }

    /// Its rate in Hz.
    #[must_use]
    pub const fn rate(&self) -> u32 {
        self.rate
    }

    const fn length(&self) -> usize {
        (self.rate / FRAMES_PER_S) as usize
    }

    /// Its samples.
    #[must_use]
    pub fn samples(&self) -> &[i16] {
        self.samples.get(..self.length()).unwrap_or_default()
    }

    /// Its samples, to be written.
    pub fn samples_mut(&mut self) -> &mut [i16] {
        let length = self.length();
        self.samples.get_mut(..length).unwrap_or_default()
    }

    /// Make it silence at a rate in Hz.
    pub fn hush(&mut self, rate: u32) {
        self.rate = rate.min(48_000);
        self.samples_mut().fill(0);
    }

    /// Room for the samples of any rate, whose number then says the rate.
    pub fn fill(&mut self, write: impl FnOnce(&mut [i16; MAX_FRAME_SAMPLES]) -> usize) {
        let written = write(&mut self.samples).min(MAX_FRAME_SAMPLES);
        // At most 960 by the line above.
        self.rate = written as u32 * FRAMES_PER_S;
    }

    /// Whether it says nothing.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.samples().iter().all(|sample| *sample == 0)
    }
}
