//! Voice activity by the crate `earshot` (pyke.io, MIT or Apache-2.0): a small neural network over the spectrum of 16 ms, in Rust alone.
//!
//! It allocates nothing after it was made and needs no model file. WebRTC's detector (BSD, in C) was last bound in 2019, Silero's needs the ONNX
//! runtime, which is larger than all of trunkline.

use std::fmt;

use earshot::Detector;

/// What `earshot` takes at a time: 16 ms at 16 kHz.
const BLOCK: usize = 256;

/// Scores a stream of 16 kHz.
pub(super) struct Voice {
    detector: Box<Detector>,
    block: [i16; BLOCK],
    filled: usize,
    score: f32,
}

impl Default for Voice {
    fn default() -> Self {
        Voice {
            detector: Detector::default_boxed(),
            block: [0; BLOCK],
            filled: 0,
            score: 0.0,
        }
    }
}

impl fmt::Debug for Voice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Voice").field("score", &self.score).finish_non_exhaustive()
    }
}

impl Voice {
    /// How surely the last whole block was voice, 0 to 1; the higher one of two.
    pub(super) fn score(&mut self, samples: &[i16]) -> f32 {
        let mut rest = samples;
        let mut found: Option<f32> = None;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(BLOCK - self.filled));
            if let Some(room) = self.block.get_mut(self.filled..self.filled + now.len()) {
                room.copy_from_slice(now);
            }
            self.filled += now.len();
            rest = later;
            if self.filled == BLOCK {
                self.filled = 0;
                let score = self.detector.predict_i16(&self.block);
                found = Some(found.map_or(score, |before| before.max(score)));
            }
        }
        self.score = found.unwrap_or(self.score);
        self.score
    }
}
