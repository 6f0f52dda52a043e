//! Files that are played, as mono 16-bit PCM at a rate of calls: WAV, MP3, FLAC and Ogg Opus, told apart by what is in them.
//!
//! `trunkline-engine` opens a [`Sound`] over a file or bytes and reads it on a thread that may wait for a disk, never on a media worker.
//! The bytes are as hostile as a network's: what is read, held and computed for them is bounded, and what is no audio is
//! [`Unplayable`]. WAV is read here (`wave`); MP3, FLAC and Ogg by symphonia (`packed`), Opus by libopus. RFC 7845 (Ogg Opus).

use std::collections::VecDeque;
use std::io;

use convert::Converter;
use input::Input;
pub use input::Source;
use packed::Packed;
use wave::Wave;

mod convert;
mod flac;
mod input;
mod mpeg;
mod ogg_opus;
mod packed;
#[cfg(test)]
mod tests;
mod wave;

/// The most samples that [`Sound::read`] gives at once.
pub const MAX_READ: usize = 96_000;

/// Why something is not played; the text follows the name of the file.
#[derive(Debug, thiserror::Error)]
pub enum Unplayable {
    /// The disk, or whatever it is on, says no.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// It begins like nothing that is played.
    #[error("is no WAV, MP3, FLAC or Ogg Opus")]
    Unknown,
    /// It is of a known kind, and broken.
    #[error("is damaged: {0}")]
    Damaged(&'static str),
    /// It is of a known kind, and holds what is not played.
    #[error("is not played: {0}")]
    Unsupported(&'static str),
    /// Its sampling rate is none of the usual ones.
    #[error("has {0} samples a second, which is not played: 8000 to 192000 are, as far as they are usual")]
    Rate(u32),
}

#[derive(Debug)]
enum Body {
    Wave(Wave),
    Packed(Box<Packed>),
}

impl Body {
    fn rate(&self) -> u32 {
        match self {
            Body::Wave(wave) => wave.rate(),
            Body::Packed(packed) => packed.rate(),
        }
    }

    /// Append what comes next, which may be nothing; whether there may be more.
    fn next(&mut self, out: &mut Vec<i16>) -> Result<bool, Unplayable> {
        match self {
            Body::Wave(wave) => wave.next(out),
            Body::Packed(packed) => packed.next(out),
        }
    }

    fn seek(&mut self, seconds: f64) -> Result<(), Unplayable> {
        match self {
            Body::Wave(wave) => wave.seek(seconds),
            Body::Packed(packed) => packed.seek(seconds),
        }
    }
}

/// A file that is being played.
#[derive(Debug)]
pub struct Sound {
    body: Body,
    rate: u32,
    converter: Option<Converter>,
    piece: Vec<i16>,
    ready: VecDeque<i16>,
    is_over: bool,
}

impl Sound {
    /// Look into a file.
    ///
    /// # Errors
    ///
    /// It cannot be read, or is nothing that is played.
    pub fn open(source: Box<dyn Source>) -> Result<Self, Unplayable> {
        let body = body(Input::new(source)?)?;
        let rate = convert::rate_of_calls(body.rate()).ok_or(Unplayable::Rate(body.rate()))?;
        Ok(Sound {
            converter: Converter::new(body.rate(), rate),
            body,
            rate,
            piece: Vec::new(),
            ready: VecDeque::new(),
            is_over: false,
        })
    }

    /// Its samples a second as it is read, one of [`crate::codec::PCM_RATES`]: the file's own, or the next one above that.
    #[must_use]
    pub const fn rate(&self) -> u32 {
        self.rate
    }

    /// The next samples, at most [`MAX_READ`]; fewer than asked for at the end alone, and none behind it.
    ///
    /// # Errors
    ///
    /// It cannot be read, or is damaged too much.
    pub fn read(&mut self, samples: usize) -> Result<Vec<i16>, Unplayable> {
        let wanted = samples.min(MAX_READ);
        while self.ready.len() < wanted && !self.is_over {
            self.piece.clear();
            self.is_over = !self.body.next(&mut self.piece)?;
            let Some(converter) = &mut self.converter else {
                self.ready.extend(&self.piece);
                continue;
            };
            converter.convert(&self.piece, &mut self.ready);
            if self.is_over {
                converter.end(&mut self.ready);
            }
        }
        Ok(self.ready.drain(..wanted.min(self.ready.len())).collect())
    }

    /// Go on from so many seconds behind the beginning; from the end if there are not so many. FLAC that was read to its end is opened
    /// anew instead: symphonia 0.6 finds no more than a frame of it then.
    ///
    /// # Errors
    ///
    /// It cannot be read, or is too damaged to find the place.
    pub fn seek(&mut self, seconds: f64) -> Result<(), Unplayable> {
        self.ready.clear();
        self.converter = Converter::new(self.body.rate(), self.rate);
        self.is_over = false;
        self.body.seek(seconds)
    }
}

fn body(mut input: Input) -> Result<Body, Unplayable> {
    let head = input.peek(mpeg::SEARCHED)?;
    if head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WAVE") {
        return Ok(Body::Wave(Wave::open(input)?));
    }
    let packed = if head.starts_with(b"fLaC") {
        Packed::flac(input)?
    } else if head.starts_with(b"OggS") {
        Packed::ogg(input)?
    } else {
        mpeg::skip_tags(&mut input)?;
        let begin = mpeg::first_frame(&input.peek(mpeg::SEARCHED)?).ok_or(Unplayable::Unknown)?;
        input.skip(begin as u64)?;
        Packed::mpeg(input)?
    };
    Ok(Body::Packed(Box::new(packed)))
}
