//! Opus at 48 kHz mono, by libopus (RFC 6716, RFC 7587): in-band FEC, discontinuous transmission and libopus's own concealment.
//!
//! libopus mixes a stereo peer down while it decodes. It works on its stack: after the states are made, nothing is allocated.

use ::opus::packet::get_samples_per_frame;
use ::opus::{Application, Bandwidth, Bitrate, Channels};

use super::{BadPayload, EncoderOptions};

pub(super) const RATE: u32 = 48_000;

/// The shortest frame, 2.5 ms; every duration is a multiple of it.
const STEP: usize = 120;

/// Audio bandwidths by the sampling rate that they need (RFC 7587 §6.1, `maxplaybackrate`).
const BANDWIDTHS: [(u32, Bandwidth); 4] = [
    (8000, Bandwidth::Narrowband),
    (12_000, Bandwidth::Mediumband),
    (16_000, Bandwidth::Wideband),
    (24_000, Bandwidth::Superwideband),
];

/// Payloads to PCM.
#[derive(Debug)]
pub(super) struct Decoder(Inner<::opus::Decoder>);

/// PCM to payloads.
#[derive(Debug)]
pub(super) struct Encoder {
    inner: Inner<::opus::Encoder>,
    /// Whether a payload of up to two bytes need not be sent.
    dtx: bool,
}

/// A state of libopus, which has nothing to show.
struct Inner<T>(T);

impl<T> std::fmt::Debug for Inner<T> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("libopus")
    }
}

impl Decoder {
    /// `None` when there is no memory.
    pub(super) fn new() -> Option<Self> {
        let decoder = ::opus::Decoder::new(RATE, Channels::Mono).ok()?;
        Some(Decoder(Inner(decoder)))
    }

    /// A payload of one or two bytes is a frame that was not sent (DTX): libopus goes on with its comfort noise.
    pub(super) fn decode(&mut self, payload: &[u8], out: &mut [i16]) -> Result<usize, BadPayload> {
        if payload.is_empty() {
            let last = self.0.0.get_last_packet_duration().map_or(0, |samples| samples as usize);
            return self.conceal(if last == 0 { 960 } else { last }, out).ok_or(BadPayload);
        }
        self.0.0.decode(payload, out, false).map_err(|_| BadPayload)
    }

    pub(super) fn recover(&mut self, next: &[u8], samples: usize, out: &mut [i16]) -> Option<usize> {
        let repeated = repeated_samples(next)?;
        if samples < repeated || !samples.is_multiple_of(STEP) {
            return None;
        }
        self.0.0.decode(next, out.get_mut(..samples)?, true).ok()
    }

    pub(super) fn conceal(&mut self, samples: usize, out: &mut [i16]) -> Option<usize> {
        // An empty output would be taken for a mistake, no packet for a lost one.
        if samples == 0 || !samples.is_multiple_of(STEP) {
            return None;
        }
        self.0.0.decode(&[], out.get_mut(..samples)?, false).ok()
    }
}

/// The duration in samples that a packet repeats of the one before; `None` when it repeats nothing (RFC 6716 §4.2.4: the LBRR flags).
fn repeated_samples(packet: &[u8]) -> Option<usize> {
    let toc = *packet.first()?;
    let is_celt_only = toc & 0x80 != 0;
    if is_celt_only {
        return None;
    }
    let frame = get_samples_per_frame(packet, RATE).ok()?;
    // The first byte of a SILK frame: for each channel a voice flag per 20 ms, then a flag for LBRR.
    let flags = *packet.get(first_frame(packet)?)?;
    let parts = (frame / 960).max(1);
    let is_stereo = toc & 0x04 != 0;
    let mid = flags >> (7usize.saturating_sub(parts)) & 1;
    let side = if is_stereo {
        flags >> (6usize.saturating_sub(2 * parts)) & 1
    } else {
        0
    };
    (mid | side != 0).then_some(frame)
}

/// Where the first frame of a packet starts (RFC 6716 §3.2); `None` for one that is empty.
fn first_frame(packet: &[u8]) -> Option<usize> {
    match packet.first()? & 0x03 {
        0 | 1 => Some(1),
        2 => Some(1 + length(packet, 1)?),
        _ => {
            let count = *packet.get(1)?;
            let (is_vbr, is_padded) = (count & 0x80 != 0, count & 0x40 != 0);
            let mut at = 2;
            if is_padded {
                while *packet.get(at)? == 255 {
                    at += 1;
                }
                at += 1;
            }
            let lengths = if is_vbr { (count & 0x3f).saturating_sub(1) } else { 0 };
            for _ in 0..lengths {
                at += length(packet, at)?;
            }
            Some(at)
        }
    }
}

/// How many bytes a frame's length takes (RFC 6716 §3.2.1); `None` for a frame of nothing.
fn length(packet: &[u8], at: usize) -> Option<usize> {
    match *packet.get(at)? {
        0 => None,
        1..=251 => Some(1),
        252.. => Some(2),
    }
}

/// What libopus encodes at once: a frame of 10 to 60 ms, or several of 20 ms.
const PACKETS_MS: [u32; 7] = [120, 100, 80, 60, 40, 20, 10];

/// The longest packet up to `wanted_ms`.
pub(super) fn longest_packet_ms(wanted_ms: u32) -> u32 {
    PACKETS_MS.into_iter().find(|length| *length <= wanted_ms).unwrap_or(10)
}

impl Encoder {
    /// `None` when there is no memory.
    pub(super) fn new(options: &EncoderOptions) -> Option<Self> {
        let mut encoder = ::opus::Encoder::new(RATE, Channels::Mono, Application::Voip).ok()?;
        if let Some(bitrate) = options.bitrate {
            encoder.set_bitrate(Bitrate::Bits(bitrate.clamp(6000, 510_000) as i32)).ok()?;
        }
        let allowed = BANDWIDTHS.iter().find(|(rate, _)| options.max_playback_rate <= *rate);
        encoder
            .set_max_bandwidth(allowed.map_or(Bandwidth::Fullband, |(_, bandwidth)| *bandwidth))
            .ok()?;
        encoder.set_inband_fec(options.fec).ok()?;
        encoder.set_dtx(options.dtx).ok()?;
        encoder.set_vbr(!options.constant_bitrate).ok()?;
        let mut encoder = Encoder {
            inner: Inner(encoder),
            dtx: options.dtx,
        };
        encoder.expect_loss(options.expected_loss_percent);
        Some(encoder)
    }

    pub(super) fn expect_loss(&mut self, percent: u8) {
        // It refuses nothing up to a hundred.
        let _ = self.inner.0.set_packet_loss_perc(i32::from(percent.min(100)));
    }

    pub(super) fn encode(&mut self, pcm: &[i16], out: &mut [u8]) -> usize {
        match self.inner.0.encode(pcm, out) {
            Ok(count) if self.dtx && count <= 2 => 0,
            Ok(count) => count,
            Err(_) => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 20 ms of SILK, mono, wideband: the flags are the first bits (RFC 6716 §4.2.3).
    const SILK: u8 = 9 << 3;

    #[test]
    fn test_repeats_are_seen_in_each_packing() {
        let cases: [(&[u8], Option<usize>); 12] = [
            (&[SILK, 0x40, 0], Some(960)),
            (&[SILK, 0x80, 0], None),
            (&[SILK | 1, 0x40, 0, 0x40, 0], Some(960)),
            (&[SILK | 2, 2, 0x40, 0, 0, 0], Some(960)),
            (&[SILK | 2, 252, 0, 0x40, 0, 0], Some(960)),
            (&[SILK | 2, 0, 0x40, 0, 0], None),
            (&[SILK | 3, 0x02, 0x40, 0x40], Some(960)),
            (&[SILK | 3, 0xc2, 1, 1, 0x40, 0x40, 0], Some(960)),
            // 60 ms: three voice flags come first
            (&[11 << 3, 0x10, 0], Some(2880)),
            (&[11 << 3, 0x40, 0], None),
            // stereo: the side's flag counts as well
            (&[SILK | 4, 0x10, 0], Some(960)),
            // CELT
            (&[31 << 3, 0x40, 0], None),
        ];
        for (packet, expected) in cases {
            assert_eq!(repeated_samples(packet), expected, "{packet:x?}");
        }
    }

    #[test]
    fn test_cut_packets_repeat_nothing() {
        let packets: [&[u8]; 6] = [&[], &[SILK], &[SILK | 2], &[SILK | 3], &[SILK | 3, 0x41, 255], &[SILK | 3, 0x83, 1]];
        for packet in packets {
            assert_eq!(repeated_samples(packet), None, "{packet:x?}");
        }
    }
}
