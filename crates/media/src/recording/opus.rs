//! Opus in Ogg (RFC 7845): header pages, 20 ms a packet, positions in samples of 48 kHz whatever the rate of what is recorded.

use ::opus::{Application, Bitrate, Channels, Encoder};

use super::ogg::{FIRST, LAST, Pages};

/// Positions count these a second (RFC 7845 §4).
const CLOCK: u32 = 48_000;
/// Samples of 48 kHz in a packet: 20 ms.
const PACKET: u64 = 960;
/// Bits a second for each channel: speech without audible loss at any bandwidth.
const BITRATE: i32 = 32_000;
/// The longest packet of one frame (RFC 6716 §3.4).
const MAX_PACKET: usize = 1275;
/// A page holds a second at most, however much comes at once (RFC 7845 §6).
const MAX_PACKETS: u64 = 50;

/// One stream: its encoder, its pages, and how far it is.
pub(super) struct Stream {
    encoder: Encoder,
    pages: Pages,
    sample_rate: u32,
    channels: u8,
    /// What the decoder puts in front, in samples of 48 kHz.
    pre_skip: u64,
    /// Samples, interleaved, that are no whole packet yet.
    waiting: Vec<i16>,
    /// Samples that were given, of one channel, at `sample_rate`.
    given: u64,
    packets: u64,
    in_page: u64,
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Stream")
            .field("packets", &self.packets)
            .finish_non_exhaustive()
    }
}

impl Stream {
    /// `None` for a rate that Opus does not know, or without memory.
    pub(super) fn new(sample_rate: u32, stereo: bool, serial: u32) -> Option<Self> {
        let (kind, channels) = if stereo { (Channels::Stereo, 2) } else { (Channels::Mono, 1) };
        // Two parties are no stereo picture: "audio" keeps them apart, where "voip" may fold them together.
        let purpose = if stereo { Application::Audio } else { Application::Voip };
        let mut encoder = Encoder::new(sample_rate, kind, purpose).ok()?;
        encoder.set_bitrate(Bitrate::Bits(BITRATE * i32::from(channels))).ok()?;
        let ahead = u64::try_from(encoder.get_lookahead().ok()?).ok()?;
        Some(Stream {
            encoder,
            pages: Pages::new(serial),
            sample_rate,
            channels,
            pre_skip: ahead * u64::from(CLOCK) / u64::from(sample_rate),
            waiting: Vec::new(),
            given: 0,
            packets: 0,
            in_page: 0,
        })
    }

    /// Append the pages of the identification and comment headers (RFC 7845 §5).
    pub(super) fn begin(&mut self, out: &mut Vec<u8>) {
        let mut head = b"OpusHead\x01".to_vec();
        head.push(self.channels);
        head.extend_from_slice(&u16::try_from(self.pre_skip).unwrap_or(u16::MAX).to_le_bytes());
        head.extend_from_slice(&self.sample_rate.to_le_bytes());
        // no gain; channel mapping family 0: mono, or left and right
        head.extend_from_slice(&[0, 0, 0]);
        self.pages.put(&head);
        self.pages.page(0, FIRST, out);
        let mut tags = b"OpusTags".to_vec();
        tags.extend_from_slice(&9u32.to_le_bytes());
        tags.extend_from_slice(b"trunkline");
        // no comments
        tags.extend_from_slice(&0u32.to_le_bytes());
        self.pages.put(&tags);
        self.pages.page(0, 0, out);
    }

    /// Append what these interleaved samples make whole, and end the page.
    pub(super) fn encode(&mut self, samples: &[i16], out: &mut Vec<u8>) {
        self.given += (samples.len() / usize::from(self.channels)) as u64;
        self.take(samples, out);
        if !self.pages.is_empty() {
            self.end_page(0, self.packets * PACKET, out);
        }
    }

    /// Append the rest, with silence until the encoder has given everything back; the last position says where it really ends
    /// (RFC 7845 §4.4).
    pub(super) fn end(&mut self, out: &mut Vec<u8>) {
        let length = self.pre_skip + self.given * u64::from(CLOCK) / u64::from(self.sample_rate);
        let silence = vec![0; self.frame()];
        while self.packets * PACKET < length {
            let missing = self.frame() - self.waiting.len();
            self.take(silence.get(..missing).unwrap_or_default(), out);
        }
        self.end_page(LAST, length, out);
    }

    /// Interleaved samples of a packet.
    const fn frame(&self) -> usize {
        self.sample_rate as usize / 50 * self.channels as usize
    }

    fn take(&mut self, samples: &[i16], out: &mut Vec<u8>) {
        self.waiting.extend_from_slice(samples);
        let waiting = std::mem::take(&mut self.waiting);
        let mut frames = waiting.chunks_exact(self.frame());
        for frame in frames.by_ref() {
            self.packet(frame, out);
        }
        self.waiting.extend_from_slice(frames.remainder());
    }

    fn packet(&mut self, frame: &[i16], out: &mut Vec<u8>) {
        let mut packet = [0; MAX_PACKET];
        // A frame of 20 ms into as much room as a frame can take: it cannot fail. If it did, an empty packet is a lost one to a decoder.
        let count = self.encoder.encode(frame, &mut packet).unwrap_or(0);
        let packet = packet.get(..count).unwrap_or_default();
        if !self.pages.fits(packet.len()) || self.in_page == MAX_PACKETS {
            self.end_page(0, self.packets * PACKET, out);
        }
        self.pages.put(packet);
        self.packets += 1;
        self.in_page += 1;
    }

    fn end_page(&mut self, flags: u8, position: u64, out: &mut Vec<u8>) {
        self.pages.page(position, flags, out);
        self.in_page = 0;
    }
}
