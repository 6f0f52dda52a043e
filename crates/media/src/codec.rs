//! Codecs as the relay sees them, and the mapping of payload types between two sides that agreed on them separately.
//!
//! A frame carries the [`Key`] of its codec from the leg that received it to the leg that sends it; there [`SendMap`] finds the payload type
//! that the peer calls this codec. telephone-event and CN are codecs like any other (RFC 4733, RFC 3389).

use crate::coder::EncoderOptions;
use crate::g711::Law;

/// More codecs than this on one leg are cut off.
pub const MAX_CODECS: usize = 32;

/// The sampling rates of PCM inside the engine, in Hz.
pub const PCM_RATES: [u32; 5] = [8000, 16_000, 24_000, 32_000, 48_000];

/// What identifies a codec across legs: a hash over name, clock rate and channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key(u64);

impl Key {
    /// What a UDPTL datagram (T.38) has in place of a codec.
    pub const UDPTL: Key = Key(u64::MAX);
}

/// What the leg itself can do with a codec's packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// G.711: can be generated and listened to.
    G711(Law),
    /// G.722 at 64 kbit/s: sampled at 16 kHz, its RTP clock is 8000 (RFC 3551 §4.5.2).
    G722,
    /// Opus (RFC 7587).
    Opus,
    /// Uncompressed mono samples at this rate in Hz, one of [`PCM_RATES`].
    L16(u32),
    /// RFC 4733 events.
    TelephoneEvent,
    /// Comfort noise (RFC 3389).
    ComfortNoise,
    /// Anything else is relayed.
    Other,
}

impl Kind {
    /// Whether its packets carry audio, rather than events or the parameters of noise.
    #[must_use]
    pub const fn is_audio(self) -> bool {
        !matches!(self, Kind::TelephoneEvent | Kind::ComfortNoise)
    }
}

/// A codec with the payload type that one side writes for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Codec {
    /// Its identity.
    pub key: Key,
    /// What we can do with it.
    pub kind: Kind,
    /// RTP clock in Hz, never zero.
    pub clock_rate: u32,
    /// Seven bits.
    pub payload_type: u8,
    /// How the peer likes it to be encoded.
    pub wishes: EncoderOptions,
}

impl Codec {
    /// A codec as SDP names it; `None` for a payload type above 127 or a clock rate of zero.
    #[must_use]
    pub fn new(name: &str, clock_rate: u32, channels: u32, payload_type: u8) -> Option<Self> {
        if payload_type > 127 || clock_rate == 0 {
            return None;
        }
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        let kind = match (clock_rate, channels) {
            (8000, 1) if is("PCMU") => Kind::G711(Law::Mu),
            (8000, 1) if is("PCMA") => Kind::G711(Law::A),
            (8000, 1) if is("G722") => Kind::G722,
            // RFC 7587 §7: always written with two channels, whatever is sent
            (48_000, 2) if is("opus") => Kind::Opus,
            (rate, 1) if is("L16") && PCM_RATES.contains(&rate) => Kind::L16(rate),
            _ if is("telephone-event") => Kind::TelephoneEvent,
            _ if is("CN") => Kind::ComfortNoise,
            _ => Kind::Other,
        };
        Some(Codec {
            key: Key(hash(name, clock_rate, channels)),
            kind,
            clock_rate,
            payload_type,
            wishes: EncoderOptions::default(),
        })
    }

    /// The same codec for a peer that says this of it in `a=fmtp`.
    #[must_use]
    pub fn wished(mut self, fmtp: &str) -> Self {
        if self.kind == Kind::Opus {
            self.wishes = EncoderOptions::default().for_peer(fmtp);
        }
        self
    }
}

/// FNV-1a over the lower-case name, rate and channels. Names come out of our own agreed lists, so that nobody can gain by a collision.
fn hash(name: &str, clock_rate: u32, channels: u32) -> u64 {
    let numbers = clock_rate.to_be_bytes().into_iter().chain(channels.to_be_bytes());
    let bytes = name.bytes().map(|byte| byte.to_ascii_lowercase()).chain(numbers);
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The codecs that a peer may send, by its payload types.
#[derive(Clone, Debug)]
pub struct ReceiveMap {
    slots: [u8; 128],
    codecs: Vec<Codec>,
}

impl Default for ReceiveMap {
    fn default() -> Self {
        ReceiveMap {
            slots: [u8::MAX; 128],
            codecs: Vec::new(),
        }
    }
}

impl ReceiveMap {
    /// A map of the agreed codecs; of two with one payload type the first counts.
    #[must_use]
    pub fn new(codecs: &[Codec]) -> Self {
        let mut map = ReceiveMap::default();
        for (index, codec) in (0u8..).zip(codecs.iter().take(MAX_CODECS)) {
            if let Some(slot) = map.slots.get_mut(usize::from(codec.payload_type))
                && *slot == u8::MAX
            {
                *slot = index;
            }
            map.codecs.push(*codec);
        }
        map
    }

    /// The codecs.
    #[must_use]
    pub fn codecs(&self) -> &[Codec] {
        &self.codecs
    }

    /// The codec that the peer means by this payload type.
    #[must_use]
    pub fn codec(&self, payload_type: u8) -> Option<&Codec> {
        let slot = self.slots.get(usize::from(payload_type))?;
        self.codecs.get(usize::from(*slot))
    }
}

/// The codecs that we may send, in the agreed order, with the payload types to write.
#[derive(Clone, Debug, Default)]
pub struct SendMap {
    codecs: Vec<Codec>,
}

impl SendMap {
    /// A map of the agreed codecs.
    #[must_use]
    pub fn new(codecs: &[Codec]) -> Self {
        SendMap {
            codecs: codecs.iter().take(MAX_CODECS).copied().collect(),
        }
    }

    /// The codecs.
    #[must_use]
    pub fn codecs(&self) -> &[Codec] {
        &self.codecs
    }

    /// Whether a codec of ours is telephone-event.
    #[must_use]
    pub fn is_event(&self, key: Key) -> bool {
        self.codecs
            .iter()
            .any(|codec| codec.key == key && codec.kind == Kind::TelephoneEvent)
    }

    /// The payload type to write for a codec, or `None` when this side did not agree to it.
    #[must_use]
    pub fn payload_type(&self, key: Key) -> Option<u8> {
        self.codecs.iter().find(|codec| codec.key == key).map(|codec| codec.payload_type)
    }

    /// The first G.711 codec, for tones.
    #[must_use]
    pub fn g711(&self) -> Option<(Codec, Law)> {
        self.codecs.iter().find_map(|codec| match codec.kind {
            Kind::G711(law) => Some((*codec, law)),
            _ => None,
        })
    }

    /// The telephone-event codec whose clock is `clock_rate`, or else the first (RFC 4733 §2.1: it shares the audio's clock).
    #[must_use]
    pub fn telephone_event(&self, clock_rate: u32) -> Option<Codec> {
        let mut events = self.codecs.iter().filter(|codec| codec.kind == Kind::TelephoneEvent);
        let first = events.clone().next();
        events.find(|codec| codec.clock_rate == clock_rate).or(first).copied()
    }

    /// The clock rate of the first audio codec, 8000 for none.
    #[must_use]
    pub fn audio_clock_rate(&self) -> u32 {
        let audio = self.codecs.iter().find(|codec| codec.kind.is_audio());
        audio.map_or(8000, |codec| codec.clock_rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codec(name: &str, payload_type: u8) -> Codec {
        Codec::new(name, 8000, 1, payload_type).unwrap()
    }

    #[test]
    fn test_payload_types_are_mapped_by_codec_without_case() {
        let theirs = ReceiveMap::new(&[codec("pcmu", 0), codec("telephone-event", 96), codec("CN", 13)]);
        let others = SendMap::new(&[codec("PCMU", 0), codec("TELEPHONE-EVENT", 101), codec("cn", 13)]);
        let map = |payload_type| theirs.codec(payload_type).and_then(|codec| others.payload_type(codec.key));
        assert_eq!([map(0), map(96), map(13), map(101)], [Some(0), Some(101), Some(13), None]);
    }

    #[test]
    fn test_rate_and_channels_tell_codecs_apart() {
        let wide = Codec::new("L16", 44_100, 2, 10).unwrap();
        assert_ne!(wide.key, Codec::new("L16", 44_100, 1, 11).unwrap().key);
        assert_ne!(wide.key, Codec::new("L16", 8000, 2, 10).unwrap().key);
    }

    #[test]
    fn test_kinds_are_told_by_name_rate_and_channels() {
        let kind = |name, rate, channels| Codec::new(name, rate, channels, 96).unwrap().kind;
        assert_eq!(kind("g722", 8000, 1), Kind::G722);
        assert_eq!(kind("opus", 48_000, 2), Kind::Opus);
        assert_eq!(kind("L16", 16_000, 1), Kind::L16(16_000));
        assert_eq!(
            [kind("L16", 44_100, 1), kind("L16", 16_000, 2), kind("opus", 48_000, 1)],
            [Kind::Other; 3]
        );
    }

    #[test]
    fn test_impossible_codecs_are_refused() {
        assert_eq!(Codec::new("PCMU", 8000, 1, 128), None);
        assert_eq!(Codec::new("PCMU", 0, 1, 0), None);
    }

    #[test]
    fn test_tones_take_the_first_g711_and_events_the_clock_of_the_audio() {
        let map = SendMap::new(&[
            Codec::new("opus", 48_000, 2, 111).unwrap(),
            codec("PCMA", 8),
            codec("PCMU", 0),
            codec("telephone-event", 101),
            Codec::new("telephone-event", 48_000, 1, 110).unwrap(),
        ]);
        assert_eq!(map.g711().map(|(codec, law)| (codec.payload_type, law)), Some((8, Law::A)));
        assert_eq!(map.telephone_event(48_000).unwrap().payload_type, 110);
        assert_eq!(map.telephone_event(16_000).unwrap().payload_type, 101);
        assert_eq!(map.audio_clock_rate(), 48_000);
    }
}
