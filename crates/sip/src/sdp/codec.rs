//! A codec as SDP names it, the payload types that need no `rtpmap`, and which codecs two sides have in common.
//!
//! RFC 8866 §6.6 and §6.15 (`rtpmap`, `fmtp`), RFC 3551 §6 (static payload types), RFC 4733 (`telephone-event`). `audio` reads codecs out of
//! a media line, `negotiate` intersects them.

use std::fmt;
use std::hash::{Hash, Hasher};

use super::description::{Media, attributes, decimal};

/// The longest encoding name that is read, in bytes.
const MAX_NAME: usize = 64;

/// RFC 3551 §6, table 4.
const STATIC: [(u8, &str, u32, u8); 18] = [
    (0, "PCMU", 8_000, 1),
    (3, "GSM", 8_000, 1),
    (4, "G723", 8_000, 1),
    (5, "DVI4", 8_000, 1),
    (6, "DVI4", 16_000, 1),
    (7, "LPC", 8_000, 1),
    (8, "PCMA", 8_000, 1),
    // RFC 3551 §4.5.2: G722 samples at 16 kHz and says 8000.
    (9, "G722", 8_000, 1),
    (10, "L16", 44_100, 2),
    (11, "L16", 44_100, 1),
    (12, "QCELP", 8_000, 1),
    (13, "CN", 8_000, 1),
    (14, "MPA", 90_000, 1),
    (15, "G728", 8_000, 1),
    (16, "DVI4", 11_025, 1),
    (17, "DVI4", 22_050, 1),
    (18, "G729", 8_000, 1),
    // Before RFC 3551 comfort noise was 19; old gateways still say so.
    (19, "CN", 8_000, 1),
];

/// Formats that accompany a codec and are none themselves: RFC 4733 events, RFC 3389 comfort noise.
const COMPANIONS: [&str; 2] = ["telephone-event", "CN"];

/// Why a codec cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// Empty, too long, or not a token.
    #[error("a codec's name is a token of at most {MAX_NAME} characters")]
    Name,
    /// Zero.
    #[error("a codec's clock rate and number of channels are at least 1")]
    Zero,
    /// Above 127.
    #[error("a payload type is at most 127")]
    PayloadType,
    /// A line break in it.
    #[error("fmtp is one line")]
    Fmtp,
}

/// A codec; frozen. Equality ignores the payload type and the case of the name.
#[derive(Clone, Debug)]
pub struct Codec {
    name: String,
    clock_rate: u32,
    channels: u8,
    payload_type: Option<u8>,
    fmtp: Option<String>,
}

impl PartialEq for Codec {
    fn eq(&self, other: &Self) -> bool {
        self.same_format(other) && self.fmtp == other.fmtp
    }
}

impl Eq for Codec {}

impl Hash for Codec {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.name.to_ascii_lowercase(), self.clock_rate, self.channels, &self.fmtp).hash(state);
    }
}

impl fmt::Display for Codec {
    /// As in an rtpmap: `PCMU/8000`, `opus/48000/2`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.name, self.clock_rate)?;
        if self.channels == 1 {
            Ok(())
        } else {
            write!(out, "/{}", self.channels)
        }
    }
}

impl Codec {
    /// A codec out of checked parts.
    pub fn new(name: &str, clock_rate: u32, channels: u8, payload_type: Option<u8>, fmtp: Option<String>) -> Result<Self, CodecError> {
        let token = |byte: u8| byte.is_ascii_graphic() && !b"/\"\\,;<>()@:[]?={}".contains(&byte);
        if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(token) {
            return Err(CodecError::Name);
        }
        if clock_rate == 0 || channels == 0 {
            return Err(CodecError::Zero);
        }
        if payload_type.is_some_and(|number| number > 127) {
            return Err(CodecError::PayloadType);
        }
        if fmtp.as_ref().is_some_and(|text| text.contains(['\r', '\n', '\0'])) {
            return Err(CodecError::Fmtp);
        }
        Ok(Codec {
            name: name.to_owned(),
            clock_rate,
            channels,
            payload_type,
            fmtp,
        })
    }

    /// The codec that RFC 3551 gives this payload type.
    #[must_use]
    pub fn of_static_type(payload_type: u8) -> Option<Self> {
        let (_, name, clock_rate, channels) = STATIC.into_iter().find(|row| row.0 == payload_type)?;
        Some(Codec {
            name: name.to_owned(),
            clock_rate,
            channels,
            payload_type: Some(payload_type),
            fmtp: None,
        })
    }

    /// The payload type that RFC 3551 gives this codec.
    #[must_use]
    pub fn static_type(&self) -> Option<u8> {
        let is_it =
            |row: &&(u8, &str, u32, u8)| row.1.eq_ignore_ascii_case(&self.name) && (row.2, row.3) == (self.clock_rate, self.channels);
        STATIC.iter().find(is_it).map(|row| row.0)
    }

    /// The encoding name as written.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The RTP clock rate in hertz.
    #[must_use]
    pub fn clock_rate(&self) -> u32 {
        self.clock_rate
    }

    /// The number of audio channels.
    #[must_use]
    pub fn channels(&self) -> u8 {
        self.channels
    }

    /// The RTP payload type, where one was given.
    #[must_use]
    pub fn payload_type(&self) -> Option<u8> {
        self.payload_type
    }

    /// The format parameters, where there are any.
    #[must_use]
    pub fn fmtp(&self) -> Option<&str> {
        self.fmtp.as_deref()
    }

    /// Whether it is what a peer may send when we agreed on the other: name without case, clock rate, channels (RFC 3264 §6.1).
    #[must_use]
    pub fn same_format(&self, other: &Self) -> bool {
        self.name.eq_ignore_ascii_case(&other.name) && self.clock_rate == other.clock_rate && self.channels == other.channels
    }

    /// Whether it only accompanies a codec of its clock rate (`telephone-event`, `CN`).
    #[must_use]
    pub fn is_companion(&self) -> bool {
        COMPANIONS.iter().any(|name| name.eq_ignore_ascii_case(&self.name))
    }

    /// The same codec under another payload type.
    #[must_use]
    pub fn numbered(&self, payload_type: u8) -> Self {
        Codec {
            payload_type: Some(payload_type),
            ..self.clone()
        }
    }

    /// The same codec with these format parameters.
    #[must_use]
    pub fn with_fmtp(&self, fmtp: Option<&str>) -> Self {
        Codec {
            fmtp: fmtp.map(str::to_owned),
            ..self.clone()
        }
    }

    /// `PCMU/8000` or `opus/48000/2` of an rtpmap.
    fn parse_encoding(text: &str, payload_type: u8) -> Option<Self> {
        let mut parts = text.trim().split('/');
        let (name, clock_rate) = (parts.next()?, decimal(parts.next()?)?);
        let channels = parts.next().map_or(Some(1), decimal)?;
        Codec::new(name, clock_rate, channels, Some(payload_type), None).ok()
    }
}

/// The codecs of an RTP media line, in its order, each payload type once. One without an rtpmap is looked up in RFC 3551 and then among
/// `known`, by number; what stays unknown is left out.
#[must_use]
pub fn codecs_of(media: &Media, known: &[Codec]) -> Vec<Codec> {
    let mut table: Vec<Numbered> = (0..128).map(|_| Numbered::default()).collect();
    for (name, value) in attributes(&media.lines) {
        let Some((number, rest)) = value.split_once(' ') else { continue };
        let Some(number) = decimal::<u8>(number) else { continue };
        let Some(entry) = table.get_mut(usize::from(number)) else {
            continue;
        };
        match name {
            "rtpmap" if entry.codec.is_none() => entry.codec = Codec::parse_encoding(rest, number),
            "fmtp" if entry.fmtp.is_none() => entry.fmtp = Some(rest.trim()),
            _ => {}
        }
    }
    let mut codecs = Vec::new();
    for number in media.formats.iter().filter_map(|format| decimal::<u8>(format)) {
        let Some(entry) = table.get_mut(usize::from(number)).filter(|entry| !entry.listed) else {
            continue;
        };
        entry.listed = true;
        let by_number = || known.iter().find(|codec| codec.payload_type == Some(number)).cloned();
        let codec = entry.codec.take().or_else(|| Codec::of_static_type(number)).or_else(by_number);
        codecs.extend(codec.map(|codec| codec.with_fmtp(entry.fmtp)));
    }
    codecs
}

/// What a media line says of one payload type.
#[derive(Default)]
struct Numbered<'a> {
    codec: Option<Codec>,
    fmtp: Option<&'a str>,
    listed: bool,
}

/// The codecs that both lists hold, in the order of `theirs`, as (theirs, ours). A companion stays only beside a codec of its clock rate,
/// so that the result is empty when nothing but companions is common.
#[must_use]
pub fn in_common(theirs: &[Codec], ours: &[Codec]) -> Vec<(Codec, Codec)> {
    let mut pairs: Vec<(Codec, Codec)> = Vec::new();
    for codec in theirs {
        let Some(our) = ours.iter().find(|our| our.same_format(codec)) else {
            continue;
        };
        if !pairs.iter().any(|(known, _)| known.same_format(codec)) {
            pairs.push((codec.clone(), our.clone()));
        }
    }
    let rates: Vec<u32> = pairs
        .iter()
        .filter(|(codec, _)| !codec.is_companion())
        .map(|(codec, _)| codec.clock_rate)
        .collect();
    pairs.retain(|(codec, _)| !codec.is_companion() || rates.contains(&codec.clock_rate));
    pairs
}

/// Codecs in words for a reason text: at most eight, names cut at 24 characters.
#[must_use]
pub fn in_words(codecs: &[Codec]) -> String {
    const SHOWN: usize = 8;
    if codecs.is_empty() {
        return "no codec known here".to_owned();
    }
    let mut words: Vec<String> = codecs
        .iter()
        .take(SHOWN)
        .map(|codec| codec.to_string().chars().take(24).collect())
        .collect();
    if codecs.len() > SHOWN {
        words.push(format!("{} more", codecs.len() - SHOWN));
    }
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => words.concat(),
    }
}
