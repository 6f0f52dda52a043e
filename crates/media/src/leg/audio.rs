//! A leg's ear and mouth: what it hears as frames of PCM, and what it says of them, beside or instead of relaying.
//!
//! With an ear, packets are decoded besides being handed to the linked leg. With a mouth, the leg says what it is given, and of the linked leg's
//! packets only telephone events pass; while they do the mouth is shut, so that a digit's packets keep their numbers and its timestamp (RFC 4733 §2.5.1).

use std::time::Duration;

use super::{Datagram, Leg, Socket};
use crate::audio::Pcm;
use crate::audio::ear::Ear;
use crate::audio::mouth::Mouth;
use crate::codec::{Codec, Kind};
use crate::rtp;
use crate::time::Time;

/// A relayed digit is over when no packet of it has come for this long.
const EVENT_PAUSE: Duration = Duration::from_millis(60);

/// The audio side of a leg.
#[derive(Debug, Default)]
pub(super) struct Audio {
    pub(super) ear: Option<Box<Ear>>,
    pub(super) mouth: Option<Box<Mouth>>,
    ptime_ms: u32,
    /// Packets of a relayed digit pass until then.
    event_until: Time,
    /// The codec had nothing to send last time.
    paused: bool,
    /// By the buffers of ears that are gone.
    discarded_before: u64,
}

/// What came too late for an ear's buffer, or was thrown away by it.
fn discarded(ear: &Ear) -> u64 {
    let buffer = ear.statistics().buffer;
    buffer.late + buffer.skipped
}

impl Audio {
    pub(super) fn configure(&mut self, receive: &[Codec], send: &[Codec], ptime_ms: u32) {
        self.ptime_ms = ptime_ms;
        if let Some(ear) = &mut self.ear {
            ear.configure(receive);
        }
        if let Some(mouth) = &mut self.mouth {
            mouth.configure(send, ptime_ms);
        }
    }

    /// Packets that came too late to be heard, over all ears that there were.
    pub(super) fn discarded(&self) -> u64 {
        self.discarded_before + self.ear.as_deref().map_or(0, discarded)
    }

    /// How long the buffer holds packets; `None` without an ear.
    pub(super) fn buffer_ms(&self) -> Option<f64> {
        let ear = self.ear.as_deref()?;
        Some(ear.statistics().buffer.depth.as_secs_f64() * 1000.0)
    }

    pub(super) fn hear(&mut self, now: Time, codec: &Codec, packet: &rtp::Packet<'_>) {
        if let Some(ear) = &mut self.ear {
            ear.push(now, &packet.header, codec, packet.payload);
        }
    }

    /// Whether a packet of the linked leg passes.
    pub(super) fn passes(&mut self, now: Time, is_event: impl FnOnce() -> bool) -> bool {
        if self.mouth.is_none() {
            return true;
        }
        let passes = is_event();
        if passes {
            self.event_until = now + EVENT_PAUSE;
        }
        passes
    }
}

impl Leg {
    /// Begin or cease to decode what arrives.
    pub fn set_ear(&mut self, on: bool) {
        if on != self.audio.ear.is_some() {
            self.audio.discarded_before = self.audio.discarded();
            self.audio.ear = on.then(Box::default);
            self.arrange();
        }
    }

    /// Begin or cease to say what [`Leg::speak`] gives; without a mouth the linked leg's packets pass.
    pub fn set_mouth(&mut self, now: Time, on: bool) {
        if on == self.audio.mouth.is_some() {
            return;
        }
        self.audio.mouth = on.then(Box::default);
        self.arrange();
        if !on && self.tone.is_some() {
            self.tick_at.get_or_insert(now);
        }
    }

    /// Have ear and mouth know what was agreed.
    fn arrange(&mut self) {
        let ptime_ms = self.audio.ptime_ms;
        self.audio.configure(self.receive_map.codecs(), self.send_map.codecs(), ptime_ms);
    }

    /// The next 20 ms of what the peer says; silence without an ear.
    pub fn hear(&mut self, at: Time, frame: &mut Pcm) {
        match &mut self.audio.ear {
            Some(ear) => frame.fill(|samples| ear.frame(at, samples).samples),
            None => frame.hush(8000),
        }
    }

    /// The rate in Hz of what this leg says.
    #[must_use]
    pub fn speaking_rate(&self) -> u32 {
        self.audio.mouth.as_ref().map_or(8000, |mouth| mouth.rate())
    }

    /// Say these 20 ms, or the tone that plays in their place; the packets come from [`Leg::utter`].
    pub fn speak(&mut self, now: Time, frame: &Pcm) {
        let shut = now < self.audio.event_until || self.sends_digits();
        let cannot = !self.sends || self.udptl || self.latch.target().is_none();
        let Some(mouth) = &mut self.audio.mouth else { return };
        if shut || cannot {
            mouth.clear();
            if !shut {
                self.outbound.skip(mouth.frame_units());
            }
            return;
        }
        match self.tone.as_mut().filter(|tone| !tone.is_silent()) {
            Some(tone) => {
                let mut toned = Pcm::silence(crate::tone::SAMPLE_RATE);
                tone.fill(toned.samples_mut());
                mouth.take(&toned);
            }
            None => mouth.take(frame),
        }
    }

    /// The next packet of what was said; called again until it returns `None`.
    pub fn utter(&mut self, now: Time, buffer: &mut [u8]) -> Option<Datagram> {
        let to = self.latch.target()?;
        let mouth = self.audio.mouth.as_mut()?;
        loop {
            let said = mouth.packet(buffer.get_mut(rtp::HEADER_LENGTH..)?)?;
            if said.length == 0 {
                // RFC 3550 §5.1: time passes without a packet, and the next one begins a talkspurt
                self.outbound.skip(said.units);
                self.audio.paused = true;
                continue;
            }
            let mut header = self
                .outbound
                .generate(now, said.units, said.codec.clock_rate, said.codec.payload_type);
            if said.codec.kind == Kind::ComfortNoise {
                // RFC 3551 §4.1: the marker is for what is heard after it
                (header.marker, self.audio.paused) = (false, true);
            } else {
                header.marker |= std::mem::take(&mut self.audio.paused);
            }
            *buffer.first_chunk_mut()? = header.bytes();
            let range = self.protection.protect(buffer, 0..rtp::HEADER_LENGTH + said.length)?;
            self.outbound.count(said.length);
            return Some(Datagram {
                to,
                socket: Socket::Rtp,
                range,
            });
        }
    }
}

#[cfg(test)]
mod impairments;
#[cfg(test)]
mod tests;
