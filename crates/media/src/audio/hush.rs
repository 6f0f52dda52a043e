//! When a mouth says nothing because there is nothing to say, and what comfort noise it leaves behind (RFC 3389).
//!
//! Only a peer that agreed to comfort noise is told so. What is left out is quieter than anything that anybody would hear; louder background,
//! music and tones are sent as they are. The first packet that is left out is told as noise, and later ones where the background changes, or
//! after a second: often enough for whoever waits for packets of ours, such as a NAT.

use super::FRAMES_PER_S;
use crate::codec::{Codec, Kind};
use crate::coder::comfort::Measurer;

/// Frames after the last that was heard which are sent yet: 200 ms, so that no word's end is cut off.
const HANGOVER_FRAMES: u32 = 10;
/// A frame whose level in dBov is below this says nothing.
const QUIET_DBOV: f64 = -54.0;
/// A background that is so much louder or softer than was told is told anew, in dB.
const CHANGE_DB: u8 = 3;
/// It is told at least so often, in frames.
const TELL_FRAMES: u32 = FRAMES_PER_S;

/// What is to become of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// There is something to hear in it.
    Send,
    /// Comfort noise goes in its place.
    Tell,
    /// Nothing goes in its place.
    Hush,
}

/// Hears what is to be said.
#[derive(Debug)]
pub(super) struct Hush {
    /// How the peer calls comfort noise.
    pub(super) codec: Codec,
    measurer: Measurer,
    /// Frames in a row that say nothing.
    quiet: u32,
    /// The level that was told last, while it is hushed, and how many frames ago that was.
    told: Option<(u8, u32)>,
}

impl Hush {
    /// For what is said at this rate in Hz, where the peer agreed to comfort noise of the same clock.
    pub(super) fn new(codecs: &[Codec], rate: u32) -> Option<Self> {
        let codec = codecs
            .iter()
            .find(|codec| codec.kind == Kind::ComfortNoise && codec.clock_rate == rate)?;
        Some(Hush {
            codec: *codec,
            measurer: Measurer::default(),
            quiet: 0,
            told: None,
        })
    }

    /// Hear the frame that is to be said next.
    pub(super) fn hear(&mut self, samples: &[i16]) {
        let power: f64 = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum();
        let most = 10f64.powf(QUIET_DBOV / 10.0) * 32_768.0 * 32_768.0 * samples.len() as f64;
        if power >= most {
            self.speak();
            return;
        }
        self.quiet = self.quiet.saturating_add(1);
        self.measurer.hear(samples);
        if let Some((_, ago)) = &mut self.told {
            *ago = ago.saturating_add(1);
        }
    }

    /// Something is to be heard.
    pub(super) fn speak(&mut self) {
        if self.quiet > 0 {
            *self = Hush {
                measurer: Measurer::default(),
                quiet: 0,
                told: None,
                ..*self
            };
        }
    }

    /// What is to become of a packet of the last `frames` frames, rounded up.
    pub(super) fn judge(&self, frames: u32) -> Verdict {
        if self.quiet < HANGOVER_FRAMES.saturating_add(frames) {
            return Verdict::Send;
        }
        let level = self.level();
        match self.told {
            Some((told, ago)) if ago < TELL_FRAMES && told.abs_diff(level) < CHANGE_DB => Verdict::Hush,
            _ => Verdict::Tell,
        }
    }

    /// Write the noise; the bytes of its payload, none where it does not fit.
    pub(super) fn tell(&mut self, out: &mut [u8]) -> usize {
        let payload = self.measurer.payload();
        let Some(place) = out.get_mut(..payload.len()) else { return 0 };
        place.copy_from_slice(&payload);
        self.told = Some((payload[0], 0));
        payload.len()
    }

    /// Below 0 dBov.
    fn level(&self) -> u8 {
        self.measurer.payload()[0]
    }
}
