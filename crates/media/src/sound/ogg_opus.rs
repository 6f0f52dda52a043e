//! The Opus packets of an Ogg file: its header, and libopus's decoder with the gain that the header asks for.
//!
//! RFC 7845 §5.1 (the identification header), §4.2 (pre-skip), §4.6 (80 ms of pre-roll after a seek).

use super::Unplayable;
use crate::codec::Codec;
use crate::coder::{Decoder, MAX_SAMPLES};

/// Ogg Opus has a time base of 48 kHz whatever was encoded.
pub(super) const RATE: u32 = 48_000;
/// What the decoder needs in front of the place that is wanted, in samples.
pub(super) const PRE_ROLL: i64 = 3840;

/// What the identification header says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Head {
    /// Samples at the beginning that are not played.
    pub(super) pre_skip: u16,
    /// What the others are multiplied by.
    gain: f32,
}

impl Head {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Unplayable> {
        let Some([channels, skip_low, skip_high, _, _, _, _, gain_low, gain_high, family]) =
            bytes.strip_prefix(b"OpusHead").and_then(|rest| rest.get(1..11))
        else {
            return Err(Unplayable::Damaged("its header is cut off"));
        };
        if *family != 0 || !(1..=2).contains(channels) {
            return Err(Unplayable::Unsupported("Ogg Opus with more than two channels"));
        }
        // In 1/256 dB.
        let gain_db = f32::from(i16::from_le_bytes([*gain_low, *gain_high])) / 256.0;
        Ok(Head {
            pre_skip: u16::from_le_bytes([*skip_low, *skip_high]),
            gain: 10f32.powf(gain_db / 20.0),
        })
    }
}

/// A decoder of one stream.
pub(super) struct Opus {
    head: Head,
    decoder: Decoder,
    out: Vec<i16>,
}

impl Opus {
    pub(super) fn new(head: Head) -> Result<Self, Unplayable> {
        let decoder = Codec::new("opus", RATE, 2, 96).and_then(|codec| Decoder::new(&codec));
        Ok(Opus {
            head,
            decoder: decoder.ok_or(Unplayable::Unsupported("there is no memory for a decoder"))?,
            out: vec![0; MAX_SAMPLES],
        })
    }

    pub(super) const fn head(&self) -> Head {
        self.head
    }

    /// The samples of a packet, mixed down to mono; `None` for one that is none.
    pub(super) fn decode(&mut self, packet: &[u8]) -> Option<&mut [i16]> {
        let count = self.decoder.decode(packet, &mut self.out).ok()?;
        let samples = self.out.get_mut(..count)?;
        if self.head.gain.to_bits() != 1f32.to_bits() {
            for sample in &mut *samples {
                // `as` holds it within the scale.
                *sample = (f32::from(*sample) * self.head.gain) as i16;
            }
        }
        Some(samples)
    }
}
