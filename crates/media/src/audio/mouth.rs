//! What a leg says: frames are brought to the codec's rate, gathered to the agreed packet time and encoded.
//!
//! The leg numbers and sends the packets ([`crate::leg`]), so that tones, digits, relayed frames and these make one stream. RFC 3550 §5.1
//! (the marker), RFC 3551 §4.1 (silence).

use super::feed::Feed;
use super::{FRAMES_PER_S, MAX_FRAME_SAMPLES, Pcm};
use crate::codec::Codec;
use crate::coder::{Encoder, EncoderOptions};

/// The shortest and the longest packet time that is sent, and what is meant where nothing was agreed.
const PTIME_MS: std::ops::RangeInclusive<u32> = 10..=120;
const DEFAULT_PTIME_MS: u32 = 20;
/// A packet of 120 ms at 48 kHz, and a frame.
const PENDING_SAMPLES: usize = 6 * MAX_FRAME_SAMPLES + MAX_FRAME_SAMPLES;

/// A packet's worth of audio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Utterance {
    /// How it is encoded.
    pub codec: Codec,
    /// How long it lasts, in units of the codec's RTP clock.
    pub units: u32,
    /// Bytes of payload; zero when nothing is to be sent this time (the codec's DTX).
    pub length: usize,
}

/// The sending end of a leg's audio.
#[derive(Debug)]
pub struct Mouth {
    speech: Option<Speech>,
    ptime_ms: u32,
    pending: Box<[i16; PENDING_SAMPLES]>,
    filled: usize,
}

#[derive(Debug)]
struct Speech {
    codec: Codec,
    encoder: Encoder,
    feed: Feed,
}

impl Default for Mouth {
    fn default() -> Self {
        Mouth {
            speech: None,
            ptime_ms: DEFAULT_PTIME_MS,
            pending: Box::new([0; PENDING_SAMPLES]),
            filled: 0,
        }
    }
}

impl Mouth {
    /// Speak the first of these codecs that can be encoded, in packets of `ptime_ms` (0 for 20 ms; tens between 10 and 120). A codec that is spoken already goes on
    /// undisturbed.
    pub fn configure(&mut self, codecs: &[Codec], ptime_ms: u32) {
        let ptime_ms = if ptime_ms == 0 {
            DEFAULT_PTIME_MS
        } else {
            ptime_ms - ptime_ms % 10
        };
        self.ptime_ms = ptime_ms.clamp(*PTIME_MS.start(), *PTIME_MS.end());
        let options = EncoderOptions::default();
        for codec in codecs {
            if self.speech.as_ref().is_some_and(|speech| speech.codec == *codec) {
                return;
            }
            if let Some(encoder) = Encoder::new(codec, &options) {
                self.filled = 0;
                let feed = Feed::to(encoder.sample_rate());
                self.speech = Some(Speech {
                    codec: *codec,
                    encoder,
                    feed,
                });
                return;
            }
        }
        self.speech = None;
    }

    /// The rate of what it says, in Hz; 8000 where it can say nothing.
    #[must_use]
    pub fn rate(&self) -> u32 {
        self.speech.as_ref().map_or(8000, |speech| speech.encoder.sample_rate())
    }

    /// Say these 20 ms next.
    pub fn take(&mut self, frame: &Pcm) {
        let Some(speech) = &mut self.speech else { return };
        let samples = speech.feed.bring(frame).samples();
        // Never full while packets are taken each tick; what does not fit is lost.
        if let Some(free) = self.pending.get_mut(self.filled..self.filled + samples.len()) {
            free.copy_from_slice(samples);
            self.filled += samples.len();
        }
    }

    /// Forget what was not sent yet.
    pub fn clear(&mut self) {
        self.filled = 0;
    }

    /// Write the payload of the next packet; `None` until its time is full.
    pub fn packet(&mut self, out: &mut [u8]) -> Option<Utterance> {
        let Speech { codec, encoder, .. } = self.speech.as_mut()?;
        let length = (encoder.sample_rate() / 1000 * self.ptime_ms) as usize;
        if length == 0 || self.filled < length {
            return None;
        }
        let bytes = encoder.encode(self.pending.get(..length)?, out);
        self.pending.copy_within(length..self.filled, 0);
        self.filled -= length;
        Some(Utterance {
            codec: *codec,
            units: codec.clock_rate / 1000 * self.ptime_ms,
            length: bytes,
        })
    }

    /// What a frame lasts, in units of the spoken codec's RTP clock.
    #[must_use]
    pub fn frame_units(&self) -> u32 {
        self.speech.as_ref().map_or(8000, |speech| speech.codec.clock_rate) / FRAMES_PER_S
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codec(name: &str, rate: u32) -> Codec {
        Codec::new(name, rate, 1, 96).unwrap()
    }

    fn say(mouth: &mut Mouth, frames: usize) -> Vec<usize> {
        let mut out = [0; 1500];
        let mut lengths = Vec::new();
        for _ in 0..frames {
            mouth.take(&Pcm::silence(8000));
            while let Some(packet) = mouth.packet(&mut out) {
                lengths.push(packet.length);
            }
        }
        lengths
    }

    #[test]
    fn test_packets_have_the_agreed_time() {
        for (ptime_ms, lengths) in [(0, vec![160; 6]), (10, vec![80; 12]), (30, vec![240; 4]), (120, vec![960])] {
            let mut mouth = Mouth::default();
            mouth.configure(&[codec("PCMA", 8000)], ptime_ms);
            assert_eq!(say(&mut mouth, 6), lengths, "{ptime_ms}");
        }
    }

    #[test]
    fn test_the_first_codec_that_can_be_encoded_is_spoken() {
        let mut mouth = Mouth::default();
        mouth.configure(
            &[
                codec("G729", 8000),
                codec("telephone-event", 8000),
                codec("L16", 16_000),
                codec("PCMU", 8000),
            ],
            20,
        );
        assert_eq!((mouth.rate(), mouth.frame_units()), (16_000, 320));
        assert_eq!(say(&mut mouth, 1), [640]);
        mouth.configure(&[codec("G729", 8000)], 20);
        assert!(say(&mut mouth, 3).is_empty());
    }

    #[test]
    fn test_the_same_codec_goes_on_undisturbed() {
        let mut mouth = Mouth::default();
        mouth.configure(&[codec("PCMU", 8000)], 60);
        assert!(say(&mut mouth, 2).is_empty());
        mouth.configure(&[codec("PCMU", 8000)], 60);
        assert_eq!(say(&mut mouth, 1), [480]);
    }
}
