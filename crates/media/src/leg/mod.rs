//! One side of a call: the stages of the receive path, the stream that it sends, its timers and its statistics, without a socket.
//!
//! The engine's worker gives it datagrams and time ([`Leg::receive`], [`Leg::poll`]) and sends what comes out. A received packet becomes a
//! [`Frame`], a view into the receive buffer, which the worker hands to the linked leg's [`Leg::relay`]; the payload is never copied on one
//! worker. `send` holds what goes out, `report` RTCP. RFC 3550, RFC 4733, RFC 7983.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::time::Duration;

use crate::codec::{Codec, Key, Kind, ReceiveMap, SendMap};
use crate::demux;
use crate::detector::{Detector, Finding};
use crate::dtmf;
use crate::latch::{Latch, Verdict};
use crate::outbound::Outbound;
use crate::protect::{Keys, Protection};
use crate::random::Random;
use crate::rtp;
use crate::statistics::{Arrival, Reception, RemoteView};
use crate::time::{Time, WallClock};
use crate::tone::Tone;

mod audio;
mod report;
mod send;
#[cfg(test)]
mod tests;
mod udptl;

/// Every buffer that a leg is given should hold this much; larger datagrams than an Ethernet frame are no audio.
pub const BUFFER_LENGTH: usize = 2048;

/// Which of the leg's two sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Socket {
    /// The even port.
    Rtp,
    /// The port above it.
    Rtcp,
}

/// A media plan, as an offer and its answer made it. Seen from us.
#[derive(Clone, Debug, Default)]
pub struct Configuration {
    /// Where they receive RTP; `None` while nothing is to be sent to them (port 0, `0.0.0.0`).
    pub remote_rtp: Option<SocketAddr>,
    /// Where they receive RTCP.
    pub remote_rtcp: Option<SocketAddr>,
    /// We may send to them.
    pub sends: bool,
    /// They are to send to us.
    pub receives: bool,
    /// What they may send, with the payload types that they write.
    pub receive_codecs: Vec<Codec>,
    /// What we may send, with the payload types that we write.
    pub send_codecs: Vec<Codec>,
    /// Learn one source of this address ([`crate::latch`]).
    pub learn_from: Option<IpAddr>,
    /// Zero for never.
    pub silence_timeout: Duration,
    /// How long the audio in a packet of ours is to last; 0 for 20 ms.
    pub ptime_ms: u32,
    /// The RTP port carries UDPTL (T.38) instead of RTP; the codecs are those of nothing then.
    pub udptl: bool,
    /// SRTP with these keys; `None` for plain RTP. UDPTL has none.
    pub keys: Option<Keys>,
}

/// A received packet on its way to the linked leg: numbers, and where in the buffer its payload lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its codec.
    pub key: Key,
    /// Whether the codec carries audio, rather than events or the parameters of noise.
    pub is_audio: bool,
    /// The codec's clock.
    pub clock_rate: u32,
    /// The fixed header as received.
    pub header: rtp::Header,
    /// At least [`rtp::HEADER_LENGTH`] bytes from the buffer's start.
    pub payload: Range<usize>,
}

/// Something to send: a part of the buffer that the leg was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Where to.
    pub to: SocketAddr,
    /// From which socket.
    pub socket: Socket,
    /// Which bytes of the buffer.
    pub range: Range<usize>,
}

/// What the application learns of a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The leg found where its peer sends from, or found it moved.
    Latched(SocketAddr),
    /// Nothing acceptable arrived for the silence timeout while the peer was to send.
    Silent,
    /// A frame of the linked leg could not be relayed: this side did not agree to its codec. Told once a media plan.
    Foreign,
    /// A telephone event ended, whose clock was this many Hz.
    Digit(dtmf::Press, u32),
}

/// Counts of a leg. Bytes are payload bytes, as RFC 3550 counts octets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Statistics {
    /// RTP packets heard.
    pub packets_received: u64,
    /// Their payload bytes.
    pub bytes_received: u64,
    /// RTP packets sent.
    pub packets_sent: u64,
    /// Their payload bytes.
    pub bytes_sent: u64,
    /// Lost on the way to us (RFC 3550 A.3).
    pub packets_lost: u64,
    /// How often packets in a row were missing: with the loss it tells how long the bursts are.
    pub loss_bursts: u64,
    /// Too late for the jitter buffer, or thrown away by it, while the leg had one.
    pub packets_discarded: u64,
    /// Interarrival jitter (RFC 3550 A.8).
    pub jitter_ms: f64,
    /// How long the jitter buffer holds packets now; `None` without one.
    pub buffer_ms: Option<f64>,
    /// From strangers, malformed, of payload types not agreed; and frames of the linked leg whose codec this side did not agree to.
    pub packets_refused: u64,
    /// Lost on the way to them, by their reports.
    pub remote_packets_lost: Option<u32>,
    /// Interarrival jitter at them, by their reports.
    pub remote_jitter_ms: Option<f64>,
    /// By their reports.
    pub round_trip_ms: Option<f64>,
    /// The level of the last 20 ms, while somebody attends to what is heard; the engine's to fill in.
    pub level_dbm0: Option<f64>,
    /// Where the peer was found to send from.
    pub latched: Option<SocketAddr>,
}

/// What a leg heard since it was last asked; nothing, by default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Heard {
    /// The strongest tone.
    pub tone: Finding,
    /// How much G.711 audio arrived.
    pub duration: Duration,
    /// Packets missing by sequence number.
    pub gaps: u64,
    /// Telephone events that ended.
    pub digits: String,
}

/// The tone detector and what `heard` counts since it was last asked.
#[derive(Clone, Debug, Default)]
struct Ear {
    detector: Option<Box<Detector>>,
    samples: u64,
    missing_before: u64,
    digits: dtmf::Receiver,
}

/// When the peer's silence is noticed.
#[derive(Clone, Copy, Debug, Default)]
struct Silence {
    timeout: Duration,
    /// The peer is to send since then.
    expected_since: Option<Time>,
    last_heard: Time,
    /// When to look next; `None` while nothing is expected, or after the event until something is heard.
    check_at: Option<Time>,
}

impl Silence {
    fn configure(&mut self, now: Time, receives: bool, timeout: Duration) {
        if !receives || timeout.is_zero() {
            *self = Silence {
                last_heard: self.last_heard,
                ..Silence::default()
            };
            return;
        }
        if self.expected_since.is_none() || timeout != self.timeout {
            // A refresh that changes nothing must not put the end off.
            self.expected_since = Some(now);
            self.timeout = timeout;
            self.check_at = Some(now + timeout);
        }
    }

    fn heard(&mut self, now: Time) {
        self.last_heard = now;
        if self.check_at.is_none() && self.expected_since.is_some() {
            self.check_at = Some(now + self.timeout);
        }
    }

    /// Whether the peer has been silent too long; puts the next look where that could be so.
    fn check(&mut self, now: Time) -> bool {
        let since = self.expected_since.map_or(self.last_heard, |since| since.max(self.last_heard));
        let silent = now.since(since) >= self.timeout;
        self.check_at = if silent { None } else { Some(since + self.timeout) };
        silent
    }
}

/// One side of a call.
#[derive(Debug)]
pub struct Leg {
    wall: WallClock,
    random: Random,
    cname: String,
    protection: Protection,
    latch: Latch,
    receives: bool,
    sends: bool,
    udptl: bool,
    udptl_sent: u64,
    udptl_sent_bytes: u64,
    receive_map: ReceiveMap,
    send_map: SendMap,
    reception: Reception,
    received: u64,
    received_bytes: u64,
    refused: u64,
    ear: Ear,
    audio: audio::Audio,
    silence: Silence,
    outbound: Outbound,
    tone: Option<Tone>,
    digits: dtmf::Sender,
    tick_at: Option<Time>,
    rtcp: report::Rtcp,
    remote: RemoteView,
    latched_event: Option<SocketAddr>,
    silent_event: bool,
    foreign: Foreign,
}

/// Whether it was told that a frame could not be relayed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Foreign {
    #[default]
    Never,
    Due,
    Told,
}

impl Leg {
    /// A leg that hears and sends nothing until it is configured. `seed` gives its SSRC, CNAME and first numbers.
    #[must_use]
    pub fn new(seed: u64, wall: WallClock) -> Self {
        let mut random = Random::new(seed);
        // RFC 7022 §4.2: 96 random bits; nobody can tell two legs of one call by it.
        let cname = format!("{:016x}{:08x}", random.next_u64(), random.next_u32());
        let outbound = Outbound::new(&mut random);
        Leg {
            wall,
            random,
            cname,
            protection: Protection::Plain,
            latch: Latch::default(),
            receives: false,
            sends: false,
            udptl: false,
            udptl_sent: 0,
            udptl_sent_bytes: 0,
            receive_map: ReceiveMap::default(),
            send_map: SendMap::default(),
            reception: Reception::default(),
            received: 0,
            received_bytes: 0,
            refused: 0,
            ear: Ear::default(),
            audio: audio::Audio::default(),
            silence: Silence::default(),
            outbound,
            tone: None,
            digits: dtmf::Sender::default(),
            tick_at: None,
            rtcp: report::Rtcp::default(),
            remote: RemoteView::default(),
            latched_event: None,
            silent_event: false,
            foreign: Foreign::Never,
        }
    }

    /// Apply a media plan. Our SSRC, numbers and statistics go on.
    pub fn configure(&mut self, now: Time, plan: &Configuration) {
        self.latch.configure(plan.remote_rtp, plan.learn_from, plan.receives);
        if std::mem::replace(&mut self.udptl, plan.udptl) != plan.udptl {
            self.latch.forget();
        }
        if !plan.udptl {
            self.protection.configure(plan.keys.as_ref());
        }
        self.receives = plan.receives;
        self.sends = plan.sends;
        self.receive_map = ReceiveMap::new(&plan.receive_codecs);
        self.send_map = SendMap::new(&plan.send_codecs);
        self.audio
            .configure(self.receive_map.codecs(), self.send_map.codecs(), plan.ptime_ms);
        self.foreign = Foreign::Never;
        self.silence.configure(now, plan.receives, plan.silence_timeout);
        self.configure_rtcp(now, plan);
    }

    /// Fall silent both ways until the next [`Leg::configure`]: the call has ended and the application does not know yet.
    pub fn stop(&mut self, now: Time) {
        (self.sends, self.receives, self.tone) = (false, false, None);
        self.digits.clear();
        self.silence.configure(now, false, Duration::ZERO);
    }

    /// A datagram arrived on one of the leg's sockets. The frame that comes back belongs to the linked leg.
    pub fn receive(&mut self, now: Time, socket: Socket, source: SocketAddr, data: &mut [u8]) -> Option<Frame> {
        if self.udptl {
            return self.receive_udptl(now, socket, source, data);
        }
        match (demux::classify(data), socket) {
            (demux::Kind::Rtp, Socket::Rtp) => self.receive_rtp(now, source, data),
            (demux::Kind::Rtcp, _) => {
                self.receive_rtcp(now, socket, source, data);
                None
            }
            // STUN and DTLS have no taker yet.
            _ => self.refuse(),
        }
    }

    /// Count a datagram as refused, for what the worker itself throws away.
    pub const fn refuse(&mut self) -> Option<Frame> {
        self.refused += 1;
        None
    }

    fn receive_rtp(&mut self, now: Time, source: SocketAddr, data: &mut [u8]) -> Option<Frame> {
        let Some(plain) = self.protection.unprotect(data) else {
            return self.refuse();
        };
        let offset = plain.start;
        let Some(Ok(packet)) = data.get(plain).map(rtp::Packet::parse) else {
            return self.refuse();
        };
        let header = packet.header;
        let Some(codec) = self.receive_map.codec(header.payload_type).copied() else {
            return self.refuse();
        };
        match self.latch.judge(now, source, header.ssrc) {
            Verdict::Refused => return self.refuse(),
            Verdict::Latched => self.latched_event = self.latch.latched(),
            Verdict::Heard => {}
        }
        self.received += 1;
        self.received_bytes += packet.payload.len() as u64;
        self.silence.heard(now);
        let timed = codec.kind != Kind::TelephoneEvent;
        let arrival = self
            .reception
            .packet(now, header.ssrc, header.sequence, header.timestamp, codec.clock_rate, timed);
        if !self.receives {
            // On hold nothing passes, whatever they send.
            return None;
        }
        self.ear.hear(now, &codec, &packet, arrival);
        self.audio.hear(now, &codec, &packet);
        let payload = packet.payload_range();
        Some(Frame {
            key: codec.key,
            is_audio: codec.kind.is_audio(),
            clock_rate: codec.clock_rate,
            header,
            payload: payload.start + offset..payload.end + offset,
        })
    }

    /// Start the tone detector; what was heard before counts no more.
    pub fn listen(&mut self) {
        self.ear.detector = Some(Box::default());
        self.ear.samples = 0;
        self.ear.missing_before = self.reception.missing();
    }

    /// What was heard since the last call.
    pub fn heard(&mut self, now: Time) -> Heard {
        let missing = self.reception.missing();
        let gaps = missing.saturating_sub(std::mem::replace(&mut self.ear.missing_before, missing));
        self.ear.digits.poll(now);
        Heard {
            tone: self.ear.detector.as_mut().map_or(Finding::SILENCE, |detector| detector.take()),
            duration: Duration::from_micros(std::mem::take(&mut self.ear.samples).saturating_mul(125)),
            gaps,
            digits: self.ear.digits.take(),
        }
    }

    /// The counts up to now.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        Statistics {
            packets_received: self.received,
            bytes_received: self.received_bytes,
            packets_sent: self.outbound.packets() + self.udptl_sent,
            bytes_sent: self.outbound.octets() + self.udptl_sent_bytes,
            packets_lost: self.reception.lost(),
            loss_bursts: self.reception.gaps(),
            packets_discarded: self.audio.discarded(),
            jitter_ms: self.reception.jitter_ms(),
            buffer_ms: self.audio.buffer_ms(),
            packets_refused: self.refused,
            remote_packets_lost: self.remote.lost,
            remote_jitter_ms: self
                .remote
                .jitter
                .map(|units| f64::from(units) * 1000.0 / f64::from(self.outbound.clock_rate().max(1))),
            round_trip_ms: self.remote.round_trip_ms,
            level_dbm0: None,
            latched: self.latch.latched(),
        }
    }

    /// What happened and was not taken yet.
    pub fn take_event(&mut self) -> Option<Event> {
        if let Some(address) = self.latched_event.take() {
            return Some(Event::Latched(address));
        }
        if std::mem::take(&mut self.silent_event) {
            return Some(Event::Silent);
        }
        if let Some((press, clock_rate)) = self.ear.digits.take_press() {
            return Some(Event::Digit(press, clock_rate));
        }
        if self.foreign == Foreign::Due {
            self.foreign = Foreign::Told;
            return Some(Event::Foreign);
        }
        None
    }

    /// The silence could not be told to anybody: tell it again after another timeout.
    pub fn repeat_silence(&mut self, now: Time) {
        self.silence.check_at = self.silence.expected_since.map(|_| now + self.silence.timeout);
    }

    /// When [`Leg::poll`] has something to do.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Time> {
        [
            self.tick_at,
            self.rtcp.report_at(),
            self.silence.check_at,
            self.ear.digits.deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Do what is due; called again until it returns `None`.
    pub fn poll(&mut self, now: Time, buffer: &mut [u8]) -> Option<Datagram> {
        while let Some(at) = self.tick_at.filter(|at| *at <= now) {
            if let Some(datagram) = self.tick(now, at, buffer) {
                return Some(datagram);
            }
        }
        if self.silence.check_at.is_some_and(|at| at <= now) && self.silence.check(now) {
            self.silent_event = true;
        }
        self.ear.digits.poll(now);
        if self.rtcp.report_at().is_some_and(|at| at <= now) {
            return self.report(now, buffer);
        }
        None
    }
}

impl Ear {
    fn hear(&mut self, now: Time, codec: &Codec, packet: &rtp::Packet<'_>, arrival: Arrival) {
        let timestamp = packet.header.timestamp;
        if arrival == Arrival::Restart {
            self.digits.restart();
        }
        match codec.kind {
            Kind::TelephoneEvent => {
                if let Some(event) = dtmf::Event::parse(packet.payload) {
                    self.digits.event(now, timestamp, event, codec.clock_rate);
                }
            }
            Kind::G711(law) => {
                self.digits.audio(now, timestamp);
                if let Some(detector) = &mut self.detector
                    && matches!(arrival, Arrival::InOrder | Arrival::Restart)
                {
                    detector.feed(packet.payload.iter().map(|code| law.decode(*code)));
                    self.samples += packet.payload.len() as u64;
                }
            }
            Kind::G722 | Kind::Opus | Kind::L16(_) | Kind::ComfortNoise | Kind::Other => self.digits.audio(now, timestamp),
        }
    }
}
