//! Files of packets: MP3, FLAC and Ogg Opus, taken apart by symphonia and decoded by it or by libopus.
//!
//! A packet says when it is to be heard; what lies before the place that is wanted, or is padding of the encoder, is cut off here.
//! Packets that cannot be decoded are left out, up to a number in a row.

use std::fmt;
use std::io;

use symphonia::core::codecs::audio::well_known::CODEC_ID_OPUS;
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::{Error, SeekErrorKind};
use symphonia::core::formats::{FormatOptions, FormatReader, SeekMode, SeekTo, Track};
use symphonia::core::io::{MediaSourceStream, MediaSourceStreamOptions};
use symphonia::core::packet::Packet;
use symphonia::core::units::Timestamp;
use symphonia::default::codecs::{FlacDecoder, MpaDecoder};
use symphonia::default::formats::{FlacReader, MpaReader, OggReader};

use super::Unplayable;
use super::flac;
use super::input::Input;
use super::ogg_opus::{self, Head, Opus};

/// Packets in a row that cannot be decoded before a file is given up.
const MAX_WRONG: u32 = 200;
/// Samples in front of a place that MP3's decoder needs: two frames, which overlap.
const MPEG_PRE_ROLL: i64 = 2304;

impl From<Error> for Unplayable {
    fn from(error: Error) -> Self {
        match error {
            Error::IoError(error) if error.kind() == io::ErrorKind::UnexpectedEof => Unplayable::Damaged("it ends early"),
            Error::IoError(error) => Unplayable::Io(error),
            Error::DecodeError(why) | Error::LimitError(why) => Unplayable::Damaged(why),
            Error::Unsupported(why) => Unplayable::Unsupported(why),
            _ => Unplayable::Damaged("the place is not found"),
        }
    }
}

enum Unpacker {
    Symphonia { decoder: Box<dyn AudioDecoder>, samples: Vec<i16> },
    Opus(Opus),
}

/// Such a file.
pub(super) struct Packed {
    reader: Box<dyn FormatReader>,
    unpacker: Unpacker,
    track: u32,
    rate: u32,
    /// The timestamp of the first packet, and of what is heard first.
    start: i64,
    origin: i64,
    /// Samples that are decoded before a place for its sake.
    pre_roll: i64,
    /// Whether packets say what of them is padding.
    trims: bool,
    /// The timestamp from which on it is heard.
    from: i64,
    is_over: bool,
    wrong: u32,
}

impl fmt::Debug for Packed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Packed")
    }
}

fn stream(input: Input) -> MediaSourceStream<'static> {
    MediaSourceStream::new(Box::new(input), MediaSourceStreamOptions::default())
}

/// Its one track: what follows another stream within a file is a hiding place for endless searches.
fn only_track(reader: &dyn FormatReader) -> Result<(Track, AudioCodecParameters), Unplayable> {
    let [track] = reader.tracks() else {
        return Err(Unplayable::Unsupported("there is not one stream in it"));
    };
    let parameters = track.codec_params.as_ref().and_then(|parameters| parameters.audio());
    let parameters = parameters.ok_or(Unplayable::Unsupported("there is no audio in it"))?;
    Ok((track.clone(), parameters.clone()))
}

impl Packed {
    pub(super) fn mpeg(input: Input) -> Result<Self, Unplayable> {
        let reader = Box::new(MpaReader::try_new(stream(input), FormatOptions::default())?);
        let (track, parameters) = only_track(&*reader)?;
        let decoder = Box::new(MpaDecoder::try_new(&parameters, &undecided())?);
        // Without LAME's tag the length is a guess, and nothing is known to be padding.
        Ok(Packed {
            pre_roll: MPEG_PRE_ROLL,
            trims: track.delay.is_some(),
            start: -i64::from(track.delay.unwrap_or(0)),
            ..Packed::of(reader, decoder, &track, &parameters)
        })
    }

    pub(super) fn flac(mut input: Input) -> Result<Self, Unplayable> {
        flac::check_metadata(&mut input)?;
        let reader = Box::new(FlacReader::try_new(stream(input), FormatOptions::default())?);
        let (track, parameters) = only_track(&*reader)?;
        let decoder = Box::new(FlacDecoder::try_new(&parameters, &undecided())?);
        Ok(Packed::of(reader, decoder, &track, &parameters))
    }

    pub(super) fn ogg(input: Input) -> Result<Self, Unplayable> {
        let reader = Box::new(OggReader::try_new(stream(input), FormatOptions::default())?);
        let (track, parameters) = only_track(&*reader)?;
        if parameters.codec != CODEC_ID_OPUS {
            return Err(Unplayable::Unsupported("Ogg without Opus in it"));
        }
        let opus = Opus::new(Head::parse(parameters.extra_data.as_deref().unwrap_or_default())?)?;
        let start = track.start_ts.get();
        let origin = start.saturating_add(i64::from(opus.head().pre_skip));
        Ok(Packed {
            reader,
            unpacker: Unpacker::Opus(opus),
            track: track.id,
            rate: ogg_opus::RATE,
            start,
            origin,
            pre_roll: ogg_opus::PRE_ROLL,
            trims: true,
            from: origin,
            is_over: false,
            wrong: 0,
        })
    }

    fn of(reader: Box<dyn FormatReader>, decoder: Box<dyn AudioDecoder>, track: &Track, parameters: &AudioCodecParameters) -> Self {
        Packed {
            reader,
            unpacker: Unpacker::Symphonia {
                decoder,
                samples: Vec::new(),
            },
            track: track.id,
            rate: parameters.sample_rate.unwrap_or(0),
            start: 0,
            origin: 0,
            pre_roll: 0,
            trims: false,
            from: 0,
            is_over: false,
            wrong: 0,
        }
    }

    pub(super) const fn rate(&self) -> u32 {
        self.rate
    }

    pub(super) fn next(&mut self, out: &mut Vec<i16>) -> Result<bool, Unplayable> {
        if self.is_over {
            return Ok(false);
        }
        let packet = match self.reader.next_packet() {
            Ok(Some(packet)) if packet.track_id == self.track => packet,
            Ok(Some(_)) | Err(Error::DecodeError(_)) => return self.bear(),
            // Where one stream ends and another begins, the file ends.
            Ok(None) | Err(Error::ResetRequired) => return Ok(false),
            Err(Error::IoError(error)) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        if self.unpack(&packet, out)? {
            self.wrong = 0;
            return Ok(true);
        }
        self.bear()
    }

    /// Leave out what cannot be decoded.
    fn bear(&mut self) -> Result<bool, Unplayable> {
        self.wrong += 1;
        if self.wrong > MAX_WRONG {
            return Err(Unplayable::Damaged("too much of it cannot be decoded"));
        }
        Ok(true)
    }

    /// Decode a packet and append what is to be heard of it; whether it could be decoded.
    fn unpack(&mut self, packet: &Packet, out: &mut Vec<i16>) -> Result<bool, Unplayable> {
        let samples: &[i16] = match &mut self.unpacker {
            Unpacker::Opus(opus) => match opus.decode(&packet.data) {
                Some(samples) => samples,
                None => return Ok(false),
            },
            Unpacker::Symphonia { decoder, samples } => match decode(&mut **decoder, packet, samples) {
                Ok(()) => samples,
                Err(Error::DecodeError(_) | Error::IoError(_)) => return Ok(false),
                Err(error) => return Err(error.into()),
            },
        };
        let (first, last) = if self.trims {
            (packet.trim_start.get(), packet.trim_end.get())
        } else {
            (0, 0)
        };
        let early = u64::try_from(self.from.saturating_sub(packet.pts.get())).unwrap_or(0).max(first);
        let begin = usize::try_from(early).unwrap_or(usize::MAX);
        let end = samples.len().saturating_sub(usize::try_from(last).unwrap_or(usize::MAX));
        out.extend_from_slice(samples.get(begin..end).unwrap_or_default());
        Ok(true)
    }

    pub(super) fn seek(&mut self, seconds: f64) -> Result<(), Unplayable> {
        // `as` holds it within what there is.
        let wanted = (seconds * f64::from(self.rate)).round() as i64;
        self.from = self.origin.saturating_add(wanted);
        let ts = Timestamp::new(self.from.saturating_sub(self.pre_roll).max(self.start));
        let to = SeekTo::Timestamp { ts, track_id: self.track };
        self.is_over = match self.reader.seek(SeekMode::Accurate, to) {
            Ok(_) => false,
            Err(Error::SeekError(SeekErrorKind::OutOfRange)) => true,
            Err(Error::IoError(error)) if error.kind() == io::ErrorKind::UnexpectedEof => true,
            Err(error) => return Err(error.into()),
        };
        match &mut self.unpacker {
            Unpacker::Symphonia { decoder, .. } => decoder.reset(),
            Unpacker::Opus(opus) => *opus = Opus::new(opus.head())?,
        }
        Ok(())
    }
}

/// Padding is cut off here: symphonia would, of an MP3 whose length it guessed, cut off what is heard.
fn undecided() -> AudioDecoderOptions {
    AudioDecoderOptions::default().gapless(false)
}

/// The samples of a packet, mixed down to mono.
fn decode(decoder: &mut dyn AudioDecoder, packet: &Packet, samples: &mut Vec<i16>) -> Result<(), Error> {
    let decoded = decoder.decode(packet)?;
    let channels = decoded.num_planes();
    decoded.copy_to_vec_interleaved(samples);
    if channels < 2 {
        return Ok(());
    }
    let mut mixed = 0;
    let frames = samples.len() / channels;
    while mixed < frames {
        let frame = samples.get(mixed * channels..(mixed + 1) * channels).unwrap_or_default();
        let sum: i32 = frame.iter().map(|sample| i32::from(*sample)).sum();
        if let Some(place) = samples.get_mut(mixed) {
            // The mean of samples is in their range.
            *place = (sum / channels as i32) as i16;
        }
        mixed += 1;
    }
    samples.truncate(frames);
    Ok(())
}
