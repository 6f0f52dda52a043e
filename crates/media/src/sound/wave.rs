//! WAV: PCM of 8, 16, 24 and 32 bits, floating point, µ-law and A-law, any number of channels mixed down to one.
//!
//! Microsoft's and IBM's "Multimedia Programming Interface and Data Specifications 1.0" (RIFF), and `WAVEFORMATEXTENSIBLE`.

use std::io::{Seek, SeekFrom};

use super::Unplayable;
use super::input::Input;
use crate::g711::Law;

/// Chunks in front of the data.
const MAX_CHUNKS: usize = 1024;
/// Channels that are mixed down.
const MAX_CHANNELS: usize = 32;
/// Frames that are read at once.
const PIECE: usize = 4096;

/// How a sample is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    /// Eight bits, unsigned.
    Byte,
    /// Two to four bytes, signed, the upper two of which count.
    Integer,
    Float,
    Double,
    Law(Law),
}

impl Coding {
    /// By `wFormatTag` and the bytes of a sample.
    const fn new(tag: u16, bytes: usize) -> Option<Self> {
        match (tag, bytes) {
            (1, 1) => Some(Coding::Byte),
            (1, 2..=4) => Some(Coding::Integer),
            (3, 4) => Some(Coding::Float),
            (3, 8) => Some(Coding::Double),
            (6, 1) => Some(Coding::Law(Law::A)),
            (7, 1) => Some(Coding::Law(Law::Mu)),
            _ => None,
        }
    }

    fn sample(self, bytes: &[u8]) -> i16 {
        match (self, bytes) {
            (Coding::Byte, [byte]) => (i16::from(*byte) - 128) << 8,
            (Coding::Law(law), [byte]) => law.decode(*byte),
            (Coding::Integer, [.., low, high]) => i16::from_le_bytes([*low, *high]),
            (Coding::Float, bytes) => bytes.try_into().map_or(0, |bytes| scaled(f64::from(f32::from_le_bytes(bytes)))),
            (Coding::Double, bytes) => bytes.try_into().map_or(0, |bytes| scaled(f64::from_le_bytes(bytes))),
            _ => 0,
        }
    }
}

/// `as` holds it within the scale and makes silence of what is no number.
fn scaled(value: f64) -> i16 {
    (value * 32_768.0).round() as i16
}

#[derive(Clone, Copy, Debug)]
struct Format {
    coding: Coding,
    channels: usize,
    rate: u32,
    sample_bytes: usize,
}

/// A WAV file.
#[derive(Debug)]
pub(super) struct Wave {
    input: Input,
    format: Format,
    /// Where its samples begin, and how many bytes they are: whole frames.
    begin: u64,
    length: u64,
    at: u64,
    bytes: Vec<u8>,
}

impl Wave {
    pub(super) fn open(mut input: Input) -> Result<Self, Unplayable> {
        let mut place = 12;
        let mut format = None;
        for _ in 0..MAX_CHUNKS {
            input.seek(SeekFrom::Start(place))?;
            let mut header = [0; 8];
            if input.fill(&mut header)? < header.len() {
                break;
            }
            let [a, b, c, d, size @ ..] = header;
            let size = u64::from(u32::from_le_bytes(size));
            place += 8;
            match &[a, b, c, d] {
                b"fmt " => format = Some(read_format(&mut input, size)?),
                b"data" => {
                    let format = format.ok_or(Unplayable::Damaged("its samples come before their format"))?;
                    return Ok(Wave::of(input, format, place, size));
                }
                _ => {}
            }
            // A chunk of an odd size is followed by a byte of nothing.
            place += size + (size & 1);
        }
        Err(Unplayable::Damaged("it ends before its samples"))
    }

    /// What was cut off, or written to where its size could not be known, is as long as there are samples.
    fn of(input: Input, format: Format, begin: u64, size: u64) -> Self {
        let frame = (format.channels * format.sample_bytes) as u64;
        let length = size.min(input.length().saturating_sub(begin));
        Wave {
            input,
            format,
            begin,
            length: length - length % frame,
            at: 0,
            bytes: vec![0; PIECE * format.channels * format.sample_bytes],
        }
    }

    pub(super) const fn rate(&self) -> u32 {
        self.format.rate
    }

    pub(super) fn next(&mut self, out: &mut Vec<i16>) -> Result<bool, Unplayable> {
        let left = usize::try_from(self.length.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let wanted = left.min(self.bytes.len());
        let filled = self.input.fill(self.bytes.get_mut(..wanted).unwrap_or_default())?;
        self.at += filled as u64;
        let Format {
            coding,
            channels,
            sample_bytes,
            ..
        } = self.format;
        let read = self.bytes.get(..filled).unwrap_or_default();
        out.extend(read.chunks_exact(channels * sample_bytes).map(|frame| {
            let sum: i32 = frame.chunks_exact(sample_bytes).map(|bytes| i32::from(coding.sample(bytes))).sum();
            // The mean of samples is in their range.
            (sum / channels as i32) as i16
        }));
        Ok(filled == self.bytes.len())
    }

    pub(super) fn seek(&mut self, seconds: f64) -> Result<(), Unplayable> {
        let frame = (self.format.channels * self.format.sample_bytes) as u64;
        // `as` makes nothing of what is below zero and the end of what is beyond it.
        let frames = (seconds * f64::from(self.format.rate)).round() as u64;
        self.at = frames.saturating_mul(frame).min(self.length);
        self.input.seek(SeekFrom::Start(self.begin + self.at))?;
        Ok(())
    }
}

/// Two bytes, little-endian; zero beyond the end.
fn u16_at(bytes: &[u8], at: usize) -> u16 {
    match bytes.get(at..) {
        Some([low, high, ..]) => u16::from_le_bytes([*low, *high]),
        _ => 0,
    }
}

fn read_format(input: &mut Input, size: u64) -> Result<Format, Unplayable> {
    let mut bytes = [0; 40];
    let wanted = usize::try_from(size).unwrap_or(usize::MAX).min(bytes.len());
    let filled = input.fill(bytes.get_mut(..wanted).unwrap_or_default())?;
    let bytes = bytes.get(..filled).filter(|bytes| bytes.len() >= 16);
    let bytes = bytes.ok_or(Unplayable::Damaged("its format is cut off"))?;
    let tag = match u16_at(bytes, 0) {
        // WAVE_FORMAT_EXTENSIBLE: the tag is the beginning of the sub-format.
        0xfffe => u16_at(bytes, 24),
        tag => tag,
    };
    let channels = usize::from(u16_at(bytes, 2));
    let rate = u32::from(u16_at(bytes, 4)) | u32::from(u16_at(bytes, 6)) << 16;
    let sample_bytes = usize::from(u16_at(bytes, 14)).div_ceil(8);
    if channels == 0 || channels > MAX_CHANNELS || usize::from(u16_at(bytes, 12)) != channels * sample_bytes {
        return Err(Unplayable::Damaged("its format contradicts itself"));
    }
    let coding = Coding::new(tag, sample_bytes).ok_or(Unplayable::Unsupported("WAV of another coding than PCM, float, µ-law or A-law"))?;
    Ok(Format {
        coding,
        channels,
        rate,
        sample_bytes,
    })
}
