//! What a leg sends: frames of the linked leg under our own numbers, tones and digits at absolute deadlines.

use std::time::Duration;

use super::{Datagram, Foreign, Frame, Leg, Socket};
use crate::codec::{Codec, Key};
use crate::outbound::Incoming;
use crate::rtp;
use crate::time::Time;
use crate::tone::{SAMPLE_RATE, Tone};

/// A packet of our own holds 20 ms.
const PACKET_TIME: Duration = Duration::from_millis(20);
/// Packets a second.
const PACKETS_PER_S: u32 = 50;
const SAMPLES: usize = (SAMPLE_RATE / PACKETS_PER_S) as usize;
/// Packets that are late are sent together up to this; what is later still is left out.
const MAX_LAG: Duration = Duration::from_millis(500);

impl Leg {
    const fn refuse_relay(&mut self) -> Option<Datagram> {
        self.refused += 1;
        None
    }

    /// Send a frame of the linked leg, which lies in `buffer`: map its payload type and renumber it, in place.
    ///
    /// `link` tells one link from another, so that a receiver sees one stream over transfers.
    pub fn relay(&mut self, now: Time, link: u32, frame: &Frame, buffer: &mut [u8]) -> Option<Datagram> {
        if self.udptl != (frame.key == Key::UDPTL) {
            // One leg is still, or already, at audio.
            return self.refuse_relay();
        }
        if self.udptl {
            return self.relay_udptl(frame);
        }
        if !self.sends || self.is_generating() || !self.audio.passes(now, || self.send_map.is_event(frame.key)) {
            return None;
        }
        let to = self.latch.target()?;
        let Some(payload_type) = self.send_map.payload_type(frame.key) else {
            self.refused += 1;
            if self.foreign == Foreign::Never && frame.is_audio {
                self.foreign = Foreign::Due;
            }
            return None;
        };
        let rtp::Header {
            marker,
            sequence,
            timestamp,
            ssrc,
            ..
        } = frame.header;
        let incoming = Incoming {
            link,
            ssrc,
            sequence,
            timestamp,
            marker,
            clock_rate: frame.clock_rate,
        };
        let header = self.outbound.relay(now, &incoming, payload_type)?;
        let start = frame.payload.start.checked_sub(rtp::HEADER_LENGTH)?;
        buffer.get_mut(start..frame.payload.start)?.copy_from_slice(&header.bytes());
        let range = self.protection.protect(buffer, start..frame.payload.end)?;
        self.outbound.count(frame.payload.len());
        Some(Datagram {
            to,
            socket: Socket::Rtp,
            range,
        })
    }

    /// Send a tone until [`Leg::stop_tone`]; it takes the place of relayed frames.
    pub fn play_tone(&mut self, now: Time, frequency_hz: f64, level_dbm0: f64) {
        self.tone = Some(Tone::new(frequency_hz, level_dbm0));
        self.tick_at.get_or_insert(now);
    }

    /// Stop the tone; relayed frames go on.
    pub fn stop_tone(&mut self) {
        self.tone = None;
    }

    /// Send digits one after another, each so long; they take the place of frames and tones meanwhile. Without an agreed telephone-event
    /// nothing is sent.
    pub fn send_digits(&mut self, now: Time, digits: &str, duration: Duration) {
        if self.event_codec().is_none() {
            return;
        }
        let packets = u32::try_from(duration.as_millis().div_ceil(PACKET_TIME.as_millis())).unwrap_or(u32::MAX);
        for digit in digits.chars() {
            self.digits.push(digit, packets);
        }
        self.tick_at.get_or_insert(now);
    }

    fn event_codec(&self) -> Option<Codec> {
        self.send_map.telephone_event(self.send_map.audio_clock_rate())
    }

    /// Whether packets of our own take the place of relayed ones.
    fn is_generating(&self) -> bool {
        // The common relay has no tick and asks no further.
        self.tick_at.is_some() && (self.sends_digits() || self.toned() && self.send_map.g711().is_some())
    }

    /// Whether a tone is sent at its own ticks; a mouth says it at the worker's.
    const fn toned(&self) -> bool {
        self.tone.is_some() && self.audio.mouth.is_none()
    }

    pub(super) fn sends_digits(&self) -> bool {
        !self.digits.is_idle() && self.event_codec().is_some()
    }

    /// One packet time passes.
    pub(super) fn tick(&mut self, now: Time, at: Time, buffer: &mut [u8]) -> Option<Datagram> {
        if !self.toned() && !self.sends_digits() {
            self.tick_at = None;
            return None;
        }
        let lag = now.since(at);
        if lag > MAX_LAG {
            self.outbound
                .skip(Time::from_micros(u64::try_from(lag.as_micros()).unwrap_or(0)).in_clock(self.send_map.audio_clock_rate()));
            self.tick_at = Some(now + PACKET_TIME);
        } else {
            self.tick_at = Some(at + PACKET_TIME);
        }
        let to = self.latch.target().filter(|_| self.sends);
        let packet = if to.is_some() { self.generate(now, buffer) } else { None };
        let Some(end) = packet else {
            self.outbound.skip(self.send_map.audio_clock_rate() / PACKETS_PER_S);
            return None;
        };
        let range = self.protection.protect(buffer, 0..end)?;
        self.outbound.count(end - rtp::HEADER_LENGTH);
        Some(Datagram {
            to: to?,
            socket: Socket::Rtp,
            range,
        })
    }

    /// Write this packet time's packet to the start of `buffer`; its length, or `None` when there is nothing to send.
    fn generate(&mut self, now: Time, buffer: &mut [u8]) -> Option<usize> {
        if self.sends_digits() {
            let codec = self.event_codec()?;
            let units = codec.clock_rate / PACKETS_PER_S;
            if let Some(out) = self.digits.next(units) {
                let mut header = self.outbound.generate(now, units, codec.clock_rate, codec.payload_type);
                // RFC 4733 §2.5.1.2: the timestamp stands still at the event's beginning.
                header.timestamp = header.timestamp.wrapping_sub(out.units_back);
                header.marker = out.first;
                return write(buffer, &header, &out.event.bytes());
            }
        }
        let tone = self.tone.as_mut().filter(|_| self.audio.mouth.is_none())?;
        let (codec, law) = self.send_map.g711()?;
        let mut samples = [0; SAMPLES];
        tone.fill(&mut samples);
        let header = self
            .outbound
            .generate(now, SAMPLE_RATE / PACKETS_PER_S, codec.clock_rate, codec.payload_type);
        write(buffer, &header, &samples.map(|sample| law.encode(sample)))
    }
}

fn write(buffer: &mut [u8], header: &rtp::Header, payload: &[u8]) -> Option<usize> {
    let (head, rest) = buffer.split_first_chunk_mut()?;
    *head = header.bytes();
    rest.get_mut(..payload.len())?.copy_from_slice(payload);
    Some(rtp::HEADER_LENGTH + payload.len())
}
