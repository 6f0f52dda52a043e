//! The 20 ms of audio: legs hear, rooms mix, legs speak, at deadlines that all workers share and that do not drift.
//!
//! There are ticks only while a leg or a room of this worker wants them. One that comes late is made up for, and counted.

use std::sync::atomic::Ordering;
use std::time::Duration;

use trunkline_media::audio::{FRAME, Pcm};
use trunkline_media::time::Time;

use super::{Slot, Worker};
use crate::media::desk::{Desk, Line};
use crate::media::events::Event;
use crate::media::streams::{Sink, Source};

/// Ticks that are late by less are made up for; later ones are left out.
const MAX_LAG: Duration = Duration::from_millis(500);
/// Audio that leaves this much after its time is a late frame.
const LATE: Duration = FRAME;

/// The number of the tick at a time.
fn number(at: Time) -> u64 {
    at.as_micros() / 20_000
}

fn deadline_after(now: Time) -> Time {
    Time::from_micros((number(now) + 1) * 20_000)
}

impl Worker {
    /// Do something with a leg's desk, and see what the leg needs for it.
    pub(super) fn at_desk(&mut self, now: Time, leg: u64, work: impl FnOnce(&mut Desk)) -> bool {
        let Some(&place) = self.places.get(&leg) else { return false };
        self.current = Some(place);
        let Some(Some(slot)) = self.slots.get_mut(place) else {
            return false;
        };
        work(slot.desk.get_or_insert_default());
        self.arrange(now, place);
        self.settle(now, place);
        true
    }

    /// Give the leg ears and mouth as its desk wants them.
    fn arrange(&mut self, now: Time, place: usize) {
        let Some(Some(slot)) = self.slots.get_mut(place) else { return };
        let Some(desk) = &slot.desk else { return };
        slot.leg.set_ear(desk.hears());
        slot.leg.set_mouth(now, desk.speaks());
        self.desks.retain(|other| *other != place);
        if desk.is_empty() {
            slot.desk = None;
        } else {
            self.desks.push(place);
        }
        self.schedule_tick(now);
    }

    pub(super) fn schedule_tick(&mut self, now: Time) {
        let wanted = !self.desks.is_empty() || !self.meetings.is_empty();
        if !wanted {
            self.tick_at = None;
        } else if self.tick_at.is_none() {
            self.tick_at = Some(deadline_after(now));
        }
    }

    pub(super) fn set_line(&mut self, now: Time, leg: u64, line: Option<Line>) {
        self.at_desk(now, leg, |desk| desk.line = line);
    }

    /// Have digits heard in what a leg's peer says, or no longer.
    pub(super) fn hear_digits(&mut self, now: Time, leg: u64, on: bool) {
        self.at_desk(now, leg, |desk| {
            if on != desk.digits.is_some() {
                desk.digits = on.then(Box::default);
            }
        });
    }

    /// Play a source to a leg or a room.
    pub(super) fn play(&mut self, now: Time, target: u64, source: Source) {
        let number = source.number;
        if let Some(meeting) = self.meetings.iter_mut().find(|meeting| meeting.number == target) {
            meeting.play(source);
        } else if !self.at_desk(now, target, |desk| desk.play(source)) {
            self.tell(Event::SourceEnded {
                source: number,
                complete: false,
            });
        }
    }

    /// Fill a sink from a leg or a room.
    pub(super) fn fill(&mut self, now: Time, target: u64, sink: Sink) {
        if let Some(meeting) = self.meetings.iter_mut().find(|meeting| meeting.number == target) {
            meeting.fill(sink);
        } else {
            self.at_desk(now, target, |desk| desk.fill(sink));
        }
    }

    /// Take a source or a sink away from a leg or a room.
    pub(super) fn end_stream(&mut self, now: Time, target: u64, stream: u64) {
        let mut ended = None;
        if let Some(meeting) = self.meetings.iter_mut().find(|meeting| meeting.number == target) {
            ended = meeting.remove(stream);
        } else if self.places.contains_key(&target) {
            self.at_desk(now, target, |desk| ended = desk.remove(stream));
        }
        self.tell_ended(ended, false);
    }

    pub(super) fn tell_ended(&mut self, sources: impl IntoIterator<Item = u64>, complete: bool) {
        for source in sources {
            self.tell(Event::SourceEnded { source, complete });
        }
    }

    pub(super) fn close_room(&mut self, room: u64) {
        if let Some(place) = self.meetings.iter().position(|meeting| meeting.number == room) {
            let sources = self.meetings.swap_remove(place).take_sources();
            self.tell_ended(sources, false);
        }
    }

    /// Run the ticks that are due.
    pub(super) fn run_ticks(&mut self, now: Time) {
        while let Some(at) = self.tick_at.filter(|at| *at <= now) {
            let lag = now.since(at);
            if lag >= LATE {
                self.counts.late_ticks.fetch_add(1, Ordering::Relaxed);
            }
            self.tick_at = Some(if lag > MAX_LAG { deadline_after(now) } else { at + FRAME });
            self.tick(now, at);
            self.schedule_tick(now);
        }
    }

    fn tick(&mut self, now: Time, at: Time) {
        let tick = number(at);
        // From the last, here and below: a leg that fails or has nothing more to say is taken out.
        for n in (0..self.desks.len()).rev() {
            if let Some(place) = self.desks.get(n).copied() {
                self.contain(|worker| worker.hear(at, tick, place));
            }
        }
        for meeting in &mut self.meetings {
            let ended = &mut self.ended;
            self.audible |= meeting.mix(tick, |source| ended.push(source));
            // One that finds no room in the queue is told at the next tick.
            if let Some(news) = meeting.news()
                && self.events.push(news).is_none()
            {
                meeting.told();
            }
        }
        for n in (0..self.desks.len()).rev() {
            if let Some(place) = self.desks.get(n).copied() {
                self.contain(|worker| worker.speak(now, tick, place));
            }
        }
        while let Some(source) = self.ended.pop() {
            self.tell(Event::SourceEnded { source, complete: true });
        }
        if std::mem::take(&mut self.audible) {
            self.events.frames();
        }
    }

    fn hear(&mut self, at: Time, tick: u64, place: usize) {
        self.current = Some(place);
        let Some(Some(Slot {
            id, leg, desk: Some(desk), ..
        })) = self.slots.get_mut(place)
        else {
            return;
        };
        if !desk.hears() {
            return;
        }
        leg.hear(at, &mut self.frame);
        self.audible |= desk.heard(tick, &self.frame);
        let leg = *id;
        while let Some(press) = desk.digits.as_mut().and_then(|digits| digits.take()) {
            // With a full queue the digit is lost.
            let _ = self.events.push(Event::Digit { leg, press, clock_rate: 0 });
        }
        if let Some(change) = desk.judge(&self.frame) {
            self.tell(Event::Sound { leg, change });
        }
    }

    fn speak(&mut self, now: Time, tick: u64, place: usize) {
        self.current = Some(place);
        let Some(Some(slot)) = self.slots.get_mut(place) else { return };
        let Some(desk) = &mut slot.desk else { return };
        let rate = slot.leg.speaking_rate();
        let (ended, before) = (&mut self.ended, (desk.hears(), desk.speaks()));
        self.audible |= desk.say(tick, rate, &mut self.frame, |source| ended.push(source));
        let changed = desk.is_empty() || (desk.hears(), desk.speaks()) != before;
        slot.leg.speak(now, &self.frame);
        while let Some(datagram) = slot.leg.utter(now, &mut self.buffer[..]) {
            slot.send(&datagram, &self.buffer[..]);
        }
        if changed {
            self.arrange(now, place);
            self.settle(now, place);
        }
    }

    /// A frame to work with.
    pub(super) const fn empty_frame() -> Pcm {
        Pcm::silence(8000)
    }
}
