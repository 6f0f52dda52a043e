//! What a leg hears: packets of its peer in, 20 ms of PCM out at each tick.
//!
//! The jitter buffer says what comes next; the ear decodes it, lets the codec or [`Concealer`] make up for what is lost, makes comfort noise where
//! the peer is silent, and stretches time where the buffer asks for it. Packets may hold 10 to 120 ms, and change their codec from one
//! to the next. The leg calls [`Ear::push`] for every packet of an agreed codec and [`Ear::frame`] every 20 ms.

use super::store::Store;
use crate::codec::{Codec, Kind, MAX_CODECS};
use crate::coder::comfort::Noise;
use crate::coder::{Decoder, MAX_SAMPLES};
use crate::conceal::Concealer;
use crate::jitter::{self, Buffer, Packet, Playout, Settings, Stretch, TIMELINE_RATE};
use crate::rtp;
use crate::time::Time;

/// The samples of a frame at the highest rate.
const MAX_FRAME_SAMPLES: usize = 960;
/// The rate of silence before a codec is known.
const DEFAULT_RATE: u32 = 8000;
/// An Opus packet of at most two bytes holds no sound: its sender stops (RFC 6716 §2.1.9).
const OPUS_SILENCE_BYTES: usize = 2;
/// After so many stretches refused for how they would sound the next is done anyway.
const PATIENCE: u8 = 5;

/// What a frame is; of several things in one frame, that which came last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// What the peer said.
    Voice,
    /// Something in place of what was lost.
    Concealed,
    /// Comfort noise: the peer is silent.
    Noise,
    /// Nothing arrived yet, or nothing any more.
    Nothing,
}

/// What a tick gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// How many samples: 20 ms at the decoder's rate.
    pub samples: usize,
    /// What they are.
    pub kind: Sort,
}

/// Counts of an ear.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Those of its buffer.
    pub buffer: jitter::Statistics,
    /// Frames given, by what they were: voice, concealed, comfort noise, nothing.
    pub frames: [u64; 4],
    /// Lost packets that the one behind them restored (FEC).
    pub recovered: u64,
    /// Packets that were no frame of their codec.
    pub malformed: u64,
}

/// A codec that the peer may send.
#[derive(Debug)]
struct Known {
    codec: Codec,
    /// `None` for comfort noise.
    decoder: Option<Decoder>,
}

/// The receiving end of a leg's audio.
#[derive(Debug)]
pub struct Ear {
    buffer: Buffer,
    known: Vec<Known>,
    concealers: Vec<Concealer>,
    /// The codec of the last packet of voice.
    current: Option<usize>,
    rate: u32,
    store: Store,
    scratch: Box<[i16]>,
    noise: Noise,
    kind: Sort,
    refused: u8,
    statistics: Statistics,
}

impl Default for Ear {
    fn default() -> Self {
        Ear::new(Settings::default(), 0)
    }
}

impl Ear {
    /// An ear with a buffer of these bounds. `seed` gives its comfort noise, which should differ from that of others.
    #[must_use]
    pub fn new(settings: Settings, seed: u64) -> Self {
        Ear {
            buffer: Buffer::new(settings),
            known: Vec::with_capacity(MAX_CODECS),
            concealers: Vec::with_capacity(crate::codec::PCM_RATES.len()),
            current: None,
            rate: DEFAULT_RATE,
            store: Store::new(),
            scratch: vec![0; MAX_SAMPLES].into_boxed_slice(),
            noise: Noise::new(seed),
            kind: Sort::Nothing,
            refused: 0,
            statistics: Statistics::default(),
        }
    }

    /// Make ready for these codecs: what their packets need is allocated here and no more later. Decoders that stay keep what they know.
    pub fn configure(&mut self, codecs: &[Codec]) {
        let current = self.current.and_then(|index| self.known.get(index)).map(|known| known.codec);
        self.known.retain(|known| codecs.contains(&known.codec));
        for codec in codecs {
            self.learn(codec);
        }
        self.current = current.and_then(|codec| self.known.iter().position(|known| known.codec == codec));
        if self.kind == Sort::Nothing
            && let Some(decoder) = self.known.iter().find_map(|known| known.decoder.as_ref())
        {
            self.rate = decoder.sample_rate();
        }
    }

    /// Know a codec from now on; false for one whose packets we cannot decode.
    fn learn(&mut self, codec: &Codec) -> bool {
        if self.known.iter().any(|known| known.codec == *codec) {
            return true;
        }
        let decoder = Decoder::new(codec);
        if self.known.len() >= MAX_CODECS || (decoder.is_none() && codec.kind != Kind::ComfortNoise) {
            return false;
        }
        if let Some(rate) = decoder.as_ref().map(Decoder::sample_rate)
            && !self.concealers.iter().any(|concealer| concealer.sample_rate() == rate)
        {
            self.concealers.push(Concealer::new(rate));
        }
        // Of two codecs with one payload type the new one is meant.
        self.known.retain(|known| known.codec.payload_type != codec.payload_type);
        self.known.push(Known { codec: *codec, decoder });
        true
    }

    /// Take a packet. A codec that [`Ear::configure`] did not name is made ready now; packets of one that we cannot decode are ignored.
    pub fn push(&mut self, now: Time, header: &rtp::Header, codec: &Codec, payload: &[u8]) {
        let header = rtp::Header {
            payload_type: codec.payload_type,
            ..*header
        };
        if codec.kind == Kind::TelephoneEvent {
            self.buffer.push_event(now, &header);
        } else if self.learn(codec) {
            self.buffer.push(now, &header, codec.clock_rate, payload);
        }
    }

    /// The next 20 ms, at the rate of what the peer sends now.
    pub fn frame(&mut self, now: Time, out: &mut [i16; MAX_FRAME_SAMPLES]) -> Heard {
        let advice = self.buffer.advice(now);
        self.fill(now);
        self.stretch(advice);
        self.fill(now);
        let samples = self.frame_samples();
        if let Some(out) = out.get_mut(..samples) {
            self.store.take(out);
        }
        let kind = self.kind;
        if let Some(count) = self.statistics.frames.get_mut(kind as usize) {
            *count += 1;
        }
        Heard { samples, kind }
    }

    const fn frame_samples(&self) -> usize {
        (self.rate / 50) as usize
    }

    const fn units_per_sample(&self) -> u32 {
        TIMELINE_RATE / self.rate
    }

    /// Samples of the present rate as units of the timeline.
    fn units(&self, samples: usize) -> u32 {
        u32::try_from(samples).unwrap_or(0).saturating_mul(self.units_per_sample())
    }

    fn samples(&self, units: u32) -> usize {
        ((units / self.units_per_sample()).max(1) as usize).min(MAX_SAMPLES)
    }

    /// Fill the store until it holds a frame. Each turn adds a sample at least, or takes a packet out of the buffer.
    fn fill(&mut self, now: Time) {
        while self.store.length() < self.frame_samples() {
            let held = self.units(self.store.length());
            let want = self.units(self.frame_samples() - self.store.length());
            self.turn(now, held, want);
        }
    }

    fn turn(&mut self, now: Time, held: u32, want: u32) {
        match self.buffer.pop(now, held, want) {
            Playout::Packet(packet) => {
                let Some(index) = position(&self.known, &packet) else {
                    return self.damage();
                };
                let joined = packet.joined;
                let Some(known) = self.known.get_mut(index) else { return };
                let Some(decoder) = known.decoder.as_mut() else {
                    self.noise.follow(packet.payload);
                    return self.buffer.falls_silent();
                };
                let rate = decoder.sample_rate();
                let length = packet.payload.len();
                let samples = decoder.decode(packet.payload, &mut self.scratch).unwrap_or(0);
                if samples == 0 {
                    return self.damage();
                }
                let stops = known.codec.kind == Kind::Opus && length <= OPUS_SILENCE_BYTES;
                self.current = Some(index);
                self.play(rate, samples, joined);
                if stops {
                    self.kind = Sort::Noise;
                    self.buffer.falls_silent();
                }
            }
            Playout::Lost { span, next } => {
                let recovered = match (next, self.current) {
                    (Some(packet), Some(index)) if position(&self.known, &packet) == Some(index) => {
                        let samples = (span / (TIMELINE_RATE / self.rate)) as usize;
                        let decoder = self.known.get_mut(index).and_then(|known| known.decoder.as_mut());
                        decoder.and_then(|decoder| decoder.recover(packet.payload, samples, &mut self.scratch))
                    }
                    _ => None,
                };
                self.conceal(span, recovered);
            }
            Playout::Silence { span } => self.hush(span),
            Playout::Nothing => {
                let samples = self.samples(want);
                self.kind = Sort::Nothing;
                if let Some(pcm) = self.scratch.get_mut(..samples) {
                    pcm.fill(0);
                    self.store.append(pcm);
                }
            }
        }
    }

    /// Play what the decoder wrote.
    fn play(&mut self, rate: u32, samples: usize, joined: bool) {
        if rate != self.rate {
            self.store.convert(self.rate, rate);
            self.rate = rate;
            self.concealer_reset();
        }
        let units = self.units(samples);
        self.buffer.played(units);
        self.kind = Sort::Voice;
        self.give(samples, !joined);
    }

    /// Give what is in `scratch`, led over to from what was before where that is `torn`.
    fn give(&mut self, samples: usize, torn: bool) {
        let Some(pcm) = self.scratch.get_mut(..samples) else { return };
        if let Some(concealer) = concealer(&mut self.concealers, self.rate) {
            if torn {
                concealer.interrupt();
            }
            concealer.good(pcm);
        }
        self.store.append(pcm);
    }

    fn concealer_reset(&mut self) {
        if let Some(concealer) = concealer(&mut self.concealers, self.rate) {
            concealer.reset();
        }
    }

    /// A packet that is no frame of its codec counts as lost.
    fn damage(&mut self) {
        self.statistics.malformed += 1;
        let span = self.buffer.usual_span();
        self.buffer.played(span);
        self.conceal(span, None);
    }

    /// Make up for what is lost; `recovered` samples of it are in `scratch` already.
    fn conceal(&mut self, span: u32, recovered: Option<usize>) {
        if let Some(samples) = recovered.filter(|samples| *samples > 0) {
            self.statistics.recovered += 1;
            self.kind = Sort::Voice;
            return self.give(samples, false);
        }
        self.kind = Sort::Concealed;
        let samples = self.samples(span);
        if let Some(samples) = self.codec_conceals(samples) {
            return self.give(samples, false);
        }
        let Some(pcm) = self.scratch.get_mut(..samples) else { return };
        match concealer(&mut self.concealers, self.rate) {
            Some(concealer) => concealer.conceal(pcm),
            None => pcm.fill(0),
        }
        self.store.append(pcm);
    }

    /// Let the codec go on by itself, if it can.
    fn codec_conceals(&mut self, samples: usize) -> Option<usize> {
        let known = self.current.and_then(|index| self.known.get_mut(index))?;
        let decoder = known.decoder.as_mut()?;
        // Opus goes by steps of 2.5 ms (RFC 6716 §2.1.4).
        let samples = samples.next_multiple_of((self.rate / 400) as usize).min(MAX_SAMPLES);
        decoder.conceal(samples, &mut self.scratch).filter(|samples| *samples > 0)
    }

    /// The peer is silent.
    fn hush(&mut self, span: u32) {
        let fresh = self.kind != Sort::Noise;
        self.kind = Sort::Noise;
        let samples = self.samples(span);
        if let Some(samples) = self.codec_conceals(samples) {
            // A codec with silence of its own (Opus DTX) goes on with its noise.
            return self.give(samples, false);
        }
        let Some(pcm) = self.scratch.get_mut(..samples) else { return };
        self.noise.generate(pcm);
        self.give(samples, fresh);
    }

    /// Change the delay as the buffer wishes, where that is not heard.
    fn stretch(&mut self, advice: Stretch) {
        if advice == Stretch::Keep || self.kind != Sort::Voice {
            return;
        }
        let anyway = self.refused >= PATIENCE;
        let per_sample = self.units_per_sample();
        let most = |units: u32| (units / per_sample) as usize;
        let changed = match advice {
            Stretch::Insert(units) => {
                let added = self.store.insert(self.rate, most(units), anyway);
                i64::from(self.units(added))
            }
            Stretch::Remove(units) => {
                // A packet must be there to follow, or enough be left.
                let left = self.store.length().saturating_sub(self.frame_samples());
                let most = if self.buffer.has_next() {
                    most(units)
                } else {
                    most(units).min(left)
                };
                let removed = self.store.remove(self.rate, most, anyway);
                -i64::from(self.units(removed))
            }
            Stretch::Keep => 0,
        };
        self.refused = if changed == 0 { self.refused.saturating_add(1) } else { 0 };
        self.buffer.stretched(changed);
    }

    /// Counts since the ear was made.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        Statistics {
            buffer: self.buffer.statistics(),
            ..self.statistics
        }
    }
}

/// Which of the known codecs a packet is of.
fn position(known: &[Known], packet: &Packet<'_>) -> Option<usize> {
    known
        .iter()
        .position(|known| known.codec.payload_type == packet.header.payload_type && known.codec.clock_rate == packet.clock_rate)
}

fn concealer(concealers: &mut [Concealer], rate: u32) -> Option<&mut Concealer> {
    concealers.iter_mut().find(|concealer| concealer.sample_rate() == rate)
}

#[cfg(test)]
mod tests;
