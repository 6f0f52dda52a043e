//! A stream of frames brought to the rate that its taker wants; the resampler is made anew only when a rate changes.

use super::Pcm;
use crate::resample::Resampler;

/// Brings frames of any rate to one.
#[derive(Debug)]
pub struct Feed {
    resampler: Option<Resampler>,
    from: u32,
    to: u32,
    out: Pcm,
}

impl Feed {
    /// A feed to a rate in Hz.
    #[must_use]
    pub fn to(rate: u32) -> Self {
        Feed {
            resampler: None,
            from: rate,
            to: rate,
            out: Pcm::silence(rate),
        }
    }

    /// Bring frames to another rate from now on.
    pub fn set_rate(&mut self, rate: u32) {
        if rate != self.to {
            *self = Feed::to(rate);
        }
    }

    /// The rate that frames are brought to.
    #[must_use]
    pub const fn rate(&self) -> u32 {
        self.to
    }

    /// The frame at the wanted rate; silence where there is no way from its rate to that.
    pub fn bring<'a>(&'a mut self, frame: &'a Pcm) -> &'a Pcm {
        if frame.rate() == self.to {
            return frame;
        }
        if frame.rate() != self.from {
            self.from = frame.rate();
            self.resampler = Resampler::new(self.from, self.to);
        }
        self.out.hush(self.to);
        if let Some(resampler) = &mut self.resampler {
            // silence stays where nothing is written
            resampler.process(frame.samples(), self.out.samples_mut());
        }
        &self.out
    }
}
