//! What a leg hears: packets are decoded into a short store, of which each tick takes 20 ms.

use super::{FRAMES_PER_S, MAX_FRAME_SAMPLES};
use crate::codec::Codec;
use crate::coder::{Decoder, MAX_SAMPLES};
use crate::rtp;
use crate::time::Time;

/// Frames that are waited for before the first is given.
const DEPTH_FRAMES: usize = 2;
/// More than this in store is too late.
const MAX_DEPTH_FRAMES: usize = 8;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// What the peer said.
    Voice,
    /// Nothing arrived for it.
    Nothing,
}

/// What a tick gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// How many samples: 20 ms at the decoder's rate.
    pub samples: usize,
    /// What they are.
    pub kind: Sort,
}

/// The receiving end of a leg's audio.
#[derive(Debug)]
pub struct Ear {
    decoder: Option<(Codec, Decoder)>,
    store: Box<[i16; 2 * MAX_SAMPLES]>,
    filled: usize,
    flows: bool,
}

impl Default for Ear {
    fn default() -> Self {
        Ear {
            decoder: None,
            store: Box::new([0; 2 * MAX_SAMPLES]),
            filled: 0,
            flows: false,
        }
    }
}

impl Ear {
    /// A packet of the peer.
    pub fn push(&mut self, _now: Time, _header: &rtp::Header, codec: &Codec, payload: &[u8]) {
        if self.decoder.as_ref().is_none_or(|(known, _)| known != codec) {
            self.filled = 0;
            self.decoder = Decoder::new(codec).map(|decoder| (*codec, decoder));
        }
        let Some((_, decoder)) = &mut self.decoder else { return };
        let Some(free) = self.store.get_mut(self.filled..) else { return };
        self.filled += decoder.decode(payload, free).unwrap_or(0);
        let most = (decoder.sample_rate() / FRAMES_PER_S) as usize * MAX_DEPTH_FRAMES;
        if self.filled > most {
            self.store.copy_within(self.filled - most..self.filled, 0);
            self.filled = most;
        }
    }

    /// The next 20 ms.
    pub fn frame(&mut self, _now: Time, out: &mut [i16; MAX_FRAME_SAMPLES]) -> Heard {
        let rate = self.decoder.as_ref().map_or(8000, |(_, decoder)| decoder.sample_rate());
        let samples = (rate / FRAMES_PER_S) as usize;
        self.flows = self.filled >= if self.flows { samples } else { samples * DEPTH_FRAMES };
        let out = out.get_mut(..samples).unwrap_or_default();
        if !self.flows {
            out.fill(0);
            return Heard {
                samples,
                kind: Sort::Nothing,
            };
        }
        out.copy_from_slice(self.store.get(..samples).unwrap_or_default());
        self.store.copy_within(samples..self.filled, 0);
        self.filled -= samples;
        Heard {
            samples,
            kind: Sort::Voice,
        }
    }
}
