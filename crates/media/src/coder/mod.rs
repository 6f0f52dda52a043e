//! Payloads to PCM and back: one decoder for what a peer sends, one encoder for what it is sent, of one codec each.
//!
//! A leg's ear owns [`Decoder`]s, its mouth an [`Encoder`]; both speak mono 16-bit PCM at the codec's own rate, and
//! [`crate::resample`] joins rates. Everything is allocated by `new`; no packet allocates, and no bytes of a peer make anything panic.
//! RFC 3551 §4.5 (G.711, G.722, L16), RFC 7587 (Opus).

use crate::codec::{Codec, Kind};
use crate::g711::Law;

pub mod comfort;
mod g722;
mod l16;
mod opus;
#[cfg(test)]
pub(crate) mod signals;
#[cfg(test)]
mod tests;

/// The most samples that a payload may hold: 120 ms at 48 kHz (RFC 6716 §2.1.4, and as much of any other codec).
pub const MAX_SAMPLES: usize = 5760;

/// A payload that is none of its codec: an odd length, a broken frame, more samples than fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the payload is no frame of its codec")]
pub struct BadPayload;

/// How to encode where the codec leaves a choice. A codec ignores what it does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncoderOptions {
    /// Opus: bits a second, 6,000 to 510,000; `None` leaves it to libopus (`maxaveragebitrate`).
    pub bitrate: Option<u32>,
    /// Opus: repeat each frame, coarser, in the next packet, as far as `expected_loss_percent` asks for it (`useinbandfec`).
    pub fec: bool,
    /// Opus: send next to nothing during silence (`usedtx`).
    pub dtx: bool,
    /// Opus: as many bits for each packet (`cbr`).
    pub constant_bitrate: bool,
    /// Opus: how many packets in a hundred are expected to be lost; without any, FEC repeats nothing.
    pub expected_loss_percent: u8,
    /// Opus: the highest sampling rate in Hz that the peer plays (`maxplaybackrate`).
    pub max_playback_rate: u32,
}

impl Default for EncoderOptions {
    fn default() -> Self {
        EncoderOptions {
            bitrate: None,
            fec: false,
            dtx: false,
            constant_bitrate: false,
            expected_loss_percent: 10,
            max_playback_rate: 48_000,
        }
    }
}

impl EncoderOptions {
    /// The options narrowed to what a peer's `a=fmtp` says of what it likes to receive (RFC 7587 §6.1: `maxaveragebitrate`,
    /// `maxplaybackrate`, `useinbandfec`, `usedtx`, `cbr`); what is not understood is passed over. So is `stereo`: whoever can play it plays
    /// mono as well, and mono is what we have.
    #[must_use]
    pub fn for_peer(mut self, fmtp: &str) -> Self {
        for (name, value) in fmtp.split(';').filter_map(|parameter| parameter.split_once('=')) {
            let Ok(value) = value.trim().parse::<u32>() else { continue };
            match name.trim().to_ascii_lowercase().as_str() {
                "maxaveragebitrate" => self.bitrate = Some(self.bitrate.map_or(value, |ours| ours.min(value))),
                "maxplaybackrate" => self.max_playback_rate = self.max_playback_rate.min(value),
                "useinbandfec" => self.fec = value == 1,
                "usedtx" => self.dtx = value == 1,
                "cbr" => self.constant_bitrate = value == 1,
                _ => {}
            }
        }
        self
    }
}

/// What turns a peer's payloads of one codec into PCM.
#[derive(Debug)]
pub struct Decoder(Decoding);

#[derive(Debug)]
enum Decoding {
    G711(Law),
    G722(Box<g722::Decoder>),
    Opus(opus::Decoder),
    L16(u32),
}

impl Decoder {
    /// A decoder of this codec; `None` for what is only relayed and for what is no voice.
    #[must_use]
    pub fn new(codec: &Codec) -> Option<Self> {
        match codec.kind {
            Kind::G711(law) => Some(Decoder(Decoding::G711(law))),
            Kind::G722 => Some(Decoder(Decoding::G722(Box::new(g722::Decoder::new())))),
            Kind::Opus => opus::Decoder::new().map(|decoder| Decoder(Decoding::Opus(decoder))),
            Kind::L16(rate) => Some(Decoder(Decoding::L16(rate))),
            Kind::TelephoneEvent | Kind::ComfortNoise | Kind::Other => None,
        }
    }

    /// The rate of its PCM in Hz, which is not always the codec's RTP clock.
    #[must_use]
    pub const fn sample_rate(&self) -> u32 {
        match self.0 {
            Decoding::G711(_) => 8000,
            Decoding::G722(_) => 16_000,
            Decoding::Opus(_) => opus::RATE,
            Decoding::L16(rate) => rate,
        }
    }

    /// Decode one payload into `out`, which should hold [`MAX_SAMPLES`]; how many samples were written.
    ///
    /// # Errors
    ///
    /// The payload is no frame of the codec or holds more than `out` takes.
    pub fn decode(&mut self, payload: &[u8], out: &mut [i16]) -> Result<usize, BadPayload> {
        match &mut self.0 {
            Decoding::G711(law) => {
                let out = out.get_mut(..payload.len()).ok_or(BadPayload)?;
                let table = law.table();
                for (sample, code) in out.iter_mut().zip(payload) {
                    *sample = table.get(usize::from(*code)).copied().unwrap_or(0);
                }
                Ok(payload.len())
            }
            Decoding::G722(decoder) => decoder.decode(payload, out),
            Decoding::Opus(decoder) => decoder.decode(payload, out),
            Decoding::L16(_) => l16::decode(payload, out),
        }
    }

    /// The packet before `next`, which was lost, out of what `next` repeats of it (Opus in-band FEC, RFC 6716 §2.1.7); how many samples
    /// were written, or `None` when the codec or this packet repeats nothing.
    pub fn recover(&mut self, next: &[u8], samples: usize, out: &mut [i16]) -> Option<usize> {
        match &mut self.0 {
            Decoding::Opus(decoder) => decoder.recover(next, samples, out),
            Decoding::G711(_) | Decoding::G722(_) | Decoding::L16(_) => None,
        }
    }

    /// Go on for `samples` without a packet, by the codec's own concealment; `None` when it has none (then the ear does it).
    pub fn conceal(&mut self, samples: usize, out: &mut [i16]) -> Option<usize> {
        match &mut self.0 {
            Decoding::Opus(decoder) => decoder.conceal(samples, out),
            Decoding::G711(_) | Decoding::G722(_) | Decoding::L16(_) => None,
        }
    }
}

/// What turns PCM into payloads of one codec.
#[derive(Debug)]
pub struct Encoder(Encoding);

#[derive(Debug)]
enum Encoding {
    G711(Law),
    G722(Box<g722::Encoder>),
    Opus(opus::Encoder),
    L16(u32),
}

impl Encoder {
    /// An encoder of this codec; `None` for what is only relayed and for what is no voice.
    #[must_use]
    pub fn new(codec: &Codec, options: &EncoderOptions) -> Option<Self> {
        match codec.kind {
            Kind::G711(law) => Some(Encoder(Encoding::G711(law))),
            Kind::G722 => Some(Encoder(Encoding::G722(Box::new(g722::Encoder::new())))),
            Kind::Opus => opus::Encoder::new(options).map(|encoder| Encoder(Encoding::Opus(encoder))),
            Kind::L16(rate) => Some(Encoder(Encoding::L16(rate))),
            Kind::TelephoneEvent | Kind::ComfortNoise | Kind::Other => None,
        }
    }

    /// The rate of the PCM that it takes, in Hz.
    #[must_use]
    pub const fn sample_rate(&self) -> u32 {
        match self.0 {
            Encoding::G711(_) => 8000,
            Encoding::G722(_) => 16_000,
            Encoding::Opus(_) => opus::RATE,
            Encoding::L16(rate) => rate,
        }
    }

    /// The longest packet time up to `wanted_ms` that it fills a packet of; both in whole tens of milliseconds.
    #[must_use]
    pub fn packet_ms(&self, wanted_ms: u32) -> u32 {
        match self.0 {
            Encoding::G711(_) | Encoding::G722(_) => wanted_ms,
            Encoding::Opus(_) => opus::longest_packet_ms(wanted_ms),
            Encoding::L16(rate) => wanted_ms.min(l16::longest_packet_ms(rate)),
        }
    }

    /// Fit the encoding to a share of lost packets that the peer reports, in percent. Opus repeats more at more loss (FEC).
    pub fn expect_loss(&mut self, percent: u8) {
        if let Encoding::Opus(encoder) = &mut self.0 {
            encoder.expect_loss(percent);
        }
    }

    /// Encode the samples of one packet, of a time that [`packet_ms`](Self::packet_ms) allows; how many bytes were
    /// written. Zero means that there is nothing to send (Opus DTX), or that `out` is too small for what there is.
    pub fn encode(&mut self, pcm: &[i16], out: &mut [u8]) -> usize {
        match &mut self.0 {
            Encoding::G711(law) => {
                let Some(out) = out.get_mut(..pcm.len()) else { return 0 };
                for (code, sample) in out.iter_mut().zip(pcm) {
                    *code = law.encode(*sample);
                }
                pcm.len()
            }
            Encoding::G722(encoder) => encoder.encode(pcm, out),
            Encoding::Opus(encoder) => encoder.encode(pcm, out),
            Encoding::L16(_) => l16::encode(pcm, out),
        }
    }
}
