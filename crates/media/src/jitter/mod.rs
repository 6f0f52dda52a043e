//! The jitter buffer: packets as they arrive in, packets as they are to be played out.
//!
//! [`Buffer::push`] takes each packet of a leg, [`Buffer::pop`] says once or more a tick what comes next: a packet, a loss, silence or nothing.
//! The depth follows the lateness of what arrives (`arrival`), numbers that wrap or begin anew become one timeline (`stream`). The buffer
//! changes its depth where there is silence, and asks for a stretch ([`Buffer::advice`]) where there is none; [`crate::audio::ear::Ear`]
//! decodes, conceals and stretches. Nothing is allocated after [`Buffer::new`].

use std::time::Duration;

use crate::rtp::Header;
use crate::time::Time;

mod arrival;
mod pace;
mod playout;
mod settings;
#[cfg(test)]
mod simulation;
mod slots;
mod stream;
#[cfg(test)]
mod tests;

use arrival::Arrivals;
use pace::Pace;
pub use pace::Stretch;
pub use playout::{Packet, Playout, Pushed, Statistics};
pub use settings::{Depth, Settings};
use slots::{Entry, Slots};
use stream::{Moment, Place, Spot, Stream};

/// Units of the timeline a second: a sample of every rate we decode to is a whole number of them.
pub const TIMELINE_RATE: u32 = 96_000;
/// A tick of 20 ms.
pub const FRAME_UNITS: i64 = 1920;
/// After so long without a packet there is nothing left to conceal with: the concealment has faded long before.
const OUTAGE: i64 = 10 * FRAME_UNITS;
/// Differences below this are a sender's rounding.
const ROUNDING: i64 = FRAME_UNITS / 20;

/// A duration in units of the timeline.
pub(crate) fn units(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros() * 12 / 125).unwrap_or(i64::MAX / 4)
}

/// A point in time in units of the timeline.
fn units_at(time: Time) -> i64 {
    units(Duration::from_micros(time.as_micros()))
}

/// Units of the timeline as a duration; nothing for a negative number.
fn duration(units: i64) -> Duration {
    Duration::from_micros(u64::try_from(units).unwrap_or(0).saturating_mul(125) / 12)
}

/// What the listener hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing; a packet is played when it is due.
    Waiting,
    /// Comfort noise; the same.
    Silent,
    /// Packets, one behind the other.
    Playing,
}

/// A packet that may begin another stream, in a slot of its own.
#[derive(Clone, Copy, Debug)]
struct Suspect {
    header: Header,
    clock_rate: u32,
    length: u16,
    arrived: Time,
}

/// Packets between the network and the decoder.
#[derive(Clone, Debug)]
pub struct Buffer {
    settings: Settings,
    slots: Slots,
    stream: Option<Stream>,
    suspect: Option<Suspect>,
    arrivals: Arrivals,
    pace: Pace,
    state: State,
    /// The position that is played next.
    cursor: i64,
    /// Where the last packet played began, and how much it held.
    last: (i64, i64),
    /// Everything up to this number was played or given up.
    sequence: i64,
    /// How much was concealed since the last packet.
    concealed: i64,
    /// The sender was seen to stop without a word (silence suppression).
    pauses: bool,
    /// What was played since does not lead to the next packet.
    torn: bool,
    statistics: Statistics,
}

impl Buffer {
    /// An empty buffer; all its memory is taken here.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Buffer {
            settings,
            slots: Slots::new(settings.packets, settings.payload_bytes),
            stream: None,
            suspect: None,
            arrivals: Arrivals::new(settings.depth),
            pace: Pace::default(),
            state: State::Waiting,
            cursor: i64::MIN / 4,
            last: (i64::MIN / 4, FRAME_UNITS),
            sequence: i64::MIN / 4,
            concealed: 0,
            pauses: false,
            torn: false,
            statistics: Statistics::default(),
        }
    }

    /// Take a packet of audio or comfort noise. `clock_rate` is that of its codec.
    pub fn push(&mut self, now: Time, header: &Header, clock_rate: u32, payload: &[u8]) -> Pushed {
        if payload.len() > usize::from(self.settings.payload_bytes) || clock_rate == 0 {
            self.statistics.refused += 1;
            return Pushed::TooLong;
        }
        if self.confirms(header) {
            self.admit_suspect();
        }
        let place = self.place(now, header, clock_rate, false);
        if place == Place::Suspect {
            return self.suspect(now, header, clock_rate, payload);
        }
        if let Some(suspect) = self.suspect.take() {
            // The stream goes on, so that what stood aside was a stranger's.
            self.statistics.refused += u64::from(suspect.header.ssrc != header.ssrc || suspect.header.sequence != header.sequence);
        }
        self.admit(now, header, clock_rate, payload, place)
    }

    /// Take notice of a telephone event: it has a number, but no audio of the stream.
    pub fn push_event(&mut self, now: Time, header: &Header) {
        let Some(sequence) = self.stream.as_mut().and_then(|stream| stream.count_event(header, now)) else {
            return;
        };
        if sequence > self.sequence && self.make_room() {
            self.slots.insert(Entry::event(*header, sequence), &[]);
        }
    }

    /// Where a packet belongs; the first one begins the stream.
    fn place(&mut self, now: Time, header: &Header, clock_rate: u32, confirmed: bool) -> Place {
        let moment = self.moment(now);
        match &mut self.stream {
            Some(stream) => stream.judge(header, clock_rate, confirmed, &moment),
            None => {
                let (stream, spot) = Stream::new(header, clock_rate, now);
                self.stream = Some(stream);
                Place::At(spot)
            }
        }
    }

    fn moment(&self, now: Time) -> Moment {
        let held = self.slots.last_audio().map_or(i64::MIN / 4, |entry| entry.position + self.last.1);
        Moment {
            now,
            typical: self.arrivals.typical(),
            end: held.max(self.last.0 + self.last.1),
            past: self.last.0.max(self.hopeless_before(now)),
        }
    }

    fn confirms(&self, header: &Header) -> bool {
        self.suspect
            .as_ref()
            .is_some_and(|suspect| suspect.header.ssrc == header.ssrc && suspect.header.sequence.wrapping_add(1) == header.sequence)
    }

    fn suspect(&mut self, now: Time, header: &Header, clock_rate: u32, payload: &[u8]) -> Pushed {
        let length = self.slots.set_aside(payload);
        let suspect = Suspect {
            header: *header,
            clock_rate,
            length,
            arrived: now,
        };
        self.statistics.refused += u64::from(self.suspect.replace(suspect).is_some());
        Pushed::Suspect
    }

    /// The packet that stood aside begins the stream anew.
    fn admit_suspect(&mut self) {
        let Some(suspect) = self.suspect.take() else { return };
        let now = suspect.arrived;
        let (header, clock_rate) = (suspect.header, suspect.clock_rate);
        if let Place::At(spot) = self.place(now, &header, clock_rate, true) {
            self.statistics.restarts += 1;
            let entry = Entry::audio(header, clock_rate, spot);
            if self.make_room() {
                self.slots.insert_aside(entry, suspect.length);
                self.bound();
            }
        }
    }

    fn admit(&mut self, now: Time, header: &Header, clock_rate: u32, payload: &[u8], place: Place) -> Pushed {
        let spot = match place {
            Place::At(spot) => spot,
            Place::Duplicate => {
                self.statistics.duplicates += 1;
                return Pushed::Duplicate;
            }
            Place::Stale | Place::Suspect => {
                self.statistics.late += 1;
                return Pushed::Late;
            }
        };
        let newest = self.slots.last().is_none_or(|last| spot.sequence > last.sequence);
        self.statistics.reordered += u64::from(!newest);
        let spot = match self.fit(now, header, clock_rate, spot, newest) {
            Some(spot) => spot,
            None => {
                self.statistics.late += 1;
                return Pushed::Late;
            }
        };
        self.statistics.restarts += u64::from(spot.restart && self.arrivals.is_used());
        self.arrivals.add(units_at(now) - spot.position);
        if !self.make_room() {
            self.statistics.refused += 1;
            return Pushed::TooLong;
        }
        self.slots.insert(Entry::audio(*header, clock_rate, spot), payload);
        self.bound();
        Pushed::Held
    }

    /// The packet's spot if it can still be played; positions rise with numbers.
    fn fit(&mut self, now: Time, header: &Header, clock_rate: u32, spot: Spot, newest: bool) -> Option<Spot> {
        if spot.position < self.hopeless_before(now) {
            return None;
        }
        if spot.sequence <= self.sequence {
            // What comes late says most about the network.
            self.arrivals.add(units_at(now) - spot.position);
            return None;
        }
        if self.slots.fits(spot.sequence, spot.position) && spot.position > self.last.0 {
            return Some(spot);
        }
        if !newest {
            return None;
        }
        // The sender's clock ran back: its time goes on behind what there is.
        let moment = self.moment(now);
        self.stream.as_mut().map(|stream| stream.anchor(header, clock_rate, &moment))
    }

    /// Packets from before this would be played later than the greatest depth allows.
    fn hopeless_before(&self, now: Time) -> i64 {
        if self.arrivals.is_used() {
            units_at(now) - self.arrivals.least() - self.arrivals.limit()
        } else {
            i64::MIN / 4
        }
    }

    /// A slot is free afterwards; the oldest packet makes room.
    fn make_room(&mut self) -> bool {
        if self.slots.is_full() {
            self.skip();
        }
        !self.slots.is_full()
    }

    /// Keep the time held within its bound.
    fn bound(&mut self) {
        let most = units(self.settings.held);
        while let (Some(first), Some(last)) = (self.slots.first_audio(), self.slots.last_audio())
            && last.position - first.position > most
        {
            self.skip();
        }
    }

    /// Give the oldest packet up.
    fn skip(&mut self) {
        if let Some(entry) = self.slots.take_first() {
            self.sequence = entry.sequence;
            self.statistics.skipped += u64::from(!entry.event);
            self.torn = true;
        }
    }

    /// What comes next. `held` is what the caller still has to play before it, `want` what it needs to fill its tick, both in units of the timeline.
    pub fn pop(&mut self, now: Time, held: u32, want: u32) -> Playout<'_> {
        let (held, want) = (i64::from(held), i64::from(want));
        loop {
            self.pass_events();
            let Some(head) = self.slots.first() else {
                return self.pop_empty(want);
            };
            if self.slots.audio() > 1 && head.position < self.hopeless_before(now) {
                self.skip();
                continue;
            }
            let due = units_at(now) - head.position - self.arrivals.least() >= self.arrivals.target();
            if self.state != State::Playing {
                if !due {
                    return self.idle(want);
                }
                self.torn |= self.state == State::Silent || self.concealed > 0;
                return self.take(now, held);
            }
            let gap = head.position - self.cursor;
            let lost = head.sequence - self.sequence - 1;
            if gap <= ROUNDING || (self.concealed >= 3 * FRAME_UNITS && due) {
                return self.take(now, held);
            }
            if lost == 0 {
                // RFC 3550 §5.1: time goes on and numbers do not: silence, not loss.
                self.state = State::Silent;
                continue;
            }
            if self.concealed >= OUTAGE {
                self.state = State::Waiting;
                continue;
            }
            return self.lose(gap, lost, want);
        }
    }

    /// Events have no audio; what is silent beside them is no loss.
    fn pass_events(&mut self) {
        while self.slots.first().is_some_and(|head| head.event) {
            let Some(entry) = self.slots.take_first() else { return };
            let missing = (entry.sequence - self.sequence - 1).max(0);
            if self.state == State::Playing {
                self.statistics.lost += missing.unsigned_abs();
                self.state = State::Silent;
            }
            self.sequence = entry.sequence;
        }
    }

    fn pop_empty(&mut self, want: i64) -> Playout<'_> {
        if self.state == State::Playing && self.concealed >= OUTAGE {
            self.state = if self.pauses { State::Silent } else { State::Waiting };
        }
        if self.state != State::Playing {
            return self.idle(want);
        }
        self.cursor += want;
        self.concealed += want;
        Playout::Lost {
            span: span(want),
            next: None,
        }
    }

    fn idle(&self, want: i64) -> Playout<'_> {
        match self.state {
            State::Silent => Playout::Silence { span: span(want) },
            State::Waiting | State::Playing => Playout::Nothing,
        }
    }

    /// Conceal what is missing before the first packet held.
    fn lose(&mut self, gap: i64, lost: i64, want: i64) -> Playout<'_> {
        let usual = self.last.1;
        let whole = (gap - usual).abs() <= ROUNDING;
        // The last of the lost is concealed in one piece, so that the packet behind it can help.
        let length = if whole {
            gap
        } else {
            want.min(gap).min((gap - usual).max(ROUNDING))
        };
        let length = if gap < usual { want.min(gap) } else { length };
        self.cursor += length;
        self.concealed += length;
        let helps = whole && lost > 0;
        Playout::Lost {
            span: span(length),
            next: self.slots.first().filter(|_| helps).map(|entry| self.packet(&entry, true)),
        }
    }

    fn take(&mut self, now: Time, held: i64) -> Playout<'_> {
        let Some(entry) = self.slots.take_first() else {
            return Playout::Nothing;
        };
        let fresh = self.statistics.played == 0;
        let lost = if fresh { 0 } else { (entry.sequence - self.sequence - 1).max(0) };
        self.statistics.lost += lost.unsigned_abs();
        self.statistics.played += 1;
        // Numbers that follow and time between them: the sender was silent, which only now can be seen.
        if lost > 0 || entry.position + ROUNDING < self.cursor {
            self.statistics.concealed += duration(self.concealed);
        } else if self.concealed > 0 && !entry.restart {
            self.pauses = true;
        }
        let waited = units_at(now) - entry.position - self.arrivals.least();
        self.statistics.depth = duration(waited + held);
        self.pace.note(now, waited, held);
        let joined = !entry.restart && !self.torn;
        self.sequence = entry.sequence;
        self.state = State::Playing;
        (self.cursor, self.last.0) = (entry.position, entry.position);
        (self.concealed, self.torn) = (0, false);
        Playout::Packet(self.packet(&entry, joined))
    }

    fn packet(&self, entry: &Entry, joined: bool) -> Packet<'_> {
        Packet {
            header: entry.header,
            clock_rate: entry.clock_rate,
            position: entry.position,
            payload: self.slots.payload(entry),
            joined,
        }
    }

    /// Say how much audio the last packet held, in units of the timeline.
    pub fn played(&mut self, span: u32) {
        self.cursor += i64::from(span);
        if span > 0 {
            self.last.1 = i64::from(span);
        }
    }

    /// How much the last packet held, in units of the timeline; 20 ms before the first.
    #[must_use]
    pub fn usual_span(&self) -> u32 {
        span(self.last.1)
    }

    /// Say that the sender stops after the last packet (DTX): what comes then is silence, no loss.
    pub const fn falls_silent(&mut self) {
        self.state = State::Silent;
    }

    /// Whether a packet is held that goes on from what was played.
    #[must_use]
    pub fn has_next(&self) -> bool {
        self.state == State::Playing
            && self
                .slots
                .first()
                .is_some_and(|head| !head.event && head.position - self.cursor <= ROUNDING)
    }

    /// Whether the delay should change by stretching what is played now.
    pub fn advice(&mut self, now: Time) -> Stretch {
        if self.state == State::Playing {
            self.pace.advise(now, self.arrivals.target(), self.last.1)
        } else {
            self.pace = Pace::default();
            Stretch::Keep
        }
    }

    /// Note a stretch that was carried out: units added, or removed where negative.
    pub const fn stretched(&mut self, units: i64) {
        if units > 0 {
            self.statistics.inserts += 1;
        } else if units < 0 {
            self.statistics.removals += 1;
        }
    }

    /// Counts, depth and target.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        Statistics {
            target: duration(self.arrivals.target()),
            held: self.slots.audio(),
            ..self.statistics
        }
    }
}

fn span(units: i64) -> u32 {
    u32::try_from(units.max(0)).unwrap_or(u32::MAX)
}
