//! What a recorded call becomes in a file: two parties side by side or mixed, as PCM, G.711 or Opus in Ogg pages.
//!
//! The thread that writes a recording gives samples and takes bytes, as many as it likes at a time; each time they end so that what was
//! written until then can be played. The header of a WAV file, which tells its length, is the writer's. Not on any packet's way: it allocates.

use crate::g711::Law;

pub mod ogg;
mod opus;

/// How samples are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// 16 bits, little-endian.
    Pcm,
    /// A byte a sample.
    G711(Law),
    /// Opus in Ogg (RFC 7845), with its header pages.
    Opus,
}

impl Encoding {
    /// The encoding of that name: "pcm", "ulaw", "alaw" or "opus".
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "pcm" => Some(Encoding::Pcm),
            "ulaw" => Some(Encoding::G711(Law::Mu)),
            "alaw" => Some(Encoding::G711(Law::A)),
            "opus" => Some(Encoding::Opus),
            _ => None,
        }
    }
}

/// Turns the samples of two parties into the bytes of a file.
#[derive(Debug)]
pub struct RecordingEncoder {
    encoding: Encoding,
    stereo: bool,
    opus: Option<opus::Stream>,
    /// The samples of both as the file has them, kept for its room.
    joined: Vec<i16>,
}

impl RecordingEncoder {
    /// An encoder of a file; `None` where Opus does not know the rate (8000, 12000, 16000, 24000 and 48000 Hz), or there is no memory.
    ///
    /// `serial` is the Ogg stream's number, which no other stream of the same file may have.
    #[must_use]
    pub fn new(encoding: Encoding, sample_rate: u32, stereo: bool, serial: u32) -> Option<Self> {
        let opus = match encoding {
            Encoding::Opus => Some(opus::Stream::new(sample_rate, stereo, serial)?),
            Encoding::Pcm | Encoding::G711(_) => None,
        };
        Some(RecordingEncoder {
            encoding,
            stereo,
            opus,
            joined: Vec::new(),
        })
    }

    /// Append what the file begins with; nothing but for Opus.
    pub fn begin(&mut self, out: &mut Vec<u8>) {
        if let Some(opus) = &mut self.opus {
            opus.begin(out);
        }
    }

    /// Append samples of both parties, as many of the one as of the other; what one has more is left out.
    pub fn encode(&mut self, left: &[i16], right: &[i16], out: &mut Vec<u8>) {
        self.joined.clear();
        for (left, right) in left.iter().zip(right) {
            if self.stereo {
                self.joined.extend([*left, *right]);
            } else {
                self.joined.push(left.saturating_add(*right));
            }
        }
        match self.encoding {
            Encoding::Pcm => out.extend(self.joined.iter().flat_map(|sample| sample.to_le_bytes())),
            Encoding::G711(law) => out.extend(self.joined.iter().map(|sample| law.encode(*sample))),
            Encoding::Opus => {
                if let Some(opus) = &mut self.opus {
                    opus.encode(&self.joined, out);
                }
            }
        }
    }

    /// Append what the file ends with: for Opus the rest of the last frame, and its length to the sample.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        if let Some(opus) = &mut self.opus {
            opus.end(out);
        }
    }
}

#[cfg(test)]
mod tests;
