//! What a worker does when it is told: legs come, change, are linked and go.

use rustix::event::epoll;
use trunkline_media::leg::{Leg, Statistics};
use trunkline_media::time::Time;

use super::{Peer, Slot, Worker};
use crate::media::command::{Command, Crossing};
use crate::media::desk::Meeting;
use crate::media::ports::Sockets;

impl Worker {
    pub(super) fn obey(&mut self, now: Time, command: Command) {
        match command {
            Command::Open { leg, seed, sockets } => self.open(leg, seed, sockets),
            Command::Configure { leg, plan } => self.with(now, leg, |slot, now| slot.leg.configure(now, &plan)).unwrap_or(()),
            Command::Link { a, b, link } => self.link(a, b, link),
            Command::Cross { leg, crossing } => self.cross(leg, crossing),
            Command::Unlink { leg } => self.unlink(leg),
            Command::PlayTone {
                leg,
                frequency_hz,
                level_dbm0,
            } => {
                self.with(now, leg, |slot, now| slot.leg.play_tone(now, frequency_hz, level_dbm0))
                    .unwrap_or(());
            }
            Command::StopTone { leg } => self.with(now, leg, |slot, _| slot.leg.stop_tone()).unwrap_or(()),
            Command::SendDigits { leg, digits, duration } => {
                self.with(now, leg, |slot, now| slot.leg.send_digits(now, &digits, duration))
                    .unwrap_or(());
            }
            Command::HearDigits { leg, on } => self.hear_digits(now, leg, on),
            Command::Listen { leg } => self.with(now, leg, |slot, _| slot.leg.listen()).unwrap_or(()),
            // Whoever asked may have stopped waiting.
            Command::Heard { leg, reply } => drop(reply.try_send(self.with(now, leg, |slot, now| slot.leg.heard(now)))),
            Command::Statistics { leg, reply } => drop(reply.try_send(self.with(now, leg, |slot, _| Statistics {
                level_dbm0: slot.desk.as_ref().and_then(|desk| desk.level_dbm0()),
                ..slot.leg.statistics()
            }))),
            Command::OpenRoom { room, watched } => {
                self.meetings.push(Meeting::new(room, watched));
                self.schedule_tick(now);
            }
            Command::CloseRoom { room } => {
                self.close_room(room);
                self.schedule_tick(now);
            }
            Command::Seat { room, seat } => self.with_room(room, |meeting| meeting.seat(*seat)),
            Command::Rise { room, leg } => self.with_room(room, |meeting| meeting.rise(leg)),
            Command::Adjust { room, leg, part } => self.with_room(room, |meeting| meeting.set(leg, part)),
            Command::Levels { room, reply } => self.with_room(room, |meeting| drop(reply.try_send(Some(meeting.levels())))),
            Command::Line { leg, line } => self.set_line(now, leg, line.map(|line| *line)),
            Command::Play { target, source } => self.play(now, target, *source),
            Command::Fill { target, sink } => self.fill(now, target, *sink),
            Command::Attend { leg, wanted } => {
                self.at_desk(now, leg, |desk| desk.attend(wanted));
            }
            Command::EndStream { target, stream } => self.end_stream(now, target, stream),
            Command::Stop { leg } => self.with(now, leg, |slot, now| slot.leg.stop(now)).unwrap_or(()),
            Command::Close { leg, reply } => drop(reply.try_send(self.close(now, leg))),
            Command::Echo { reply } => drop(reply.try_send(())),
            Command::Quit => {}
            #[cfg(test)]
            Command::Panic => panic!("told to panic"),
            #[cfg(test)]
            Command::Fault { leg } => self.with(now, leg, |slot, _| slot.fault = true).unwrap_or(()),
        }
    }

    fn with_room(&mut self, room: u64, work: impl FnOnce(&mut Meeting)) {
        if let Some(meeting) = self.meetings.iter_mut().find(|meeting| meeting.number == room) {
            work(meeting);
        }
    }

    /// Do something with a leg, if there is such a one.
    fn with<T>(&mut self, now: Time, leg: u64, work: impl FnOnce(&mut Slot, Time) -> T) -> Option<T> {
        let place = *self.places.get(&leg)?;
        self.current = Some(place);
        let slot = self.slots.get_mut(place)?.as_mut()?;
        let done = work(slot, now);
        self.poll(now, place);
        Some(done)
    }

    fn open(&mut self, id: u64, seed: u64, sockets: Box<Sockets>) {
        let place = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        let token = (place as u64) << 1;
        let watched = [(&sockets.rtp, token), (&sockets.rtcp, token | 1)]
            .into_iter()
            .try_for_each(|(socket, token)| epoll::add(&self.epoll, socket, epoll::EventData::new_u64(token), epoll::EventFlags::IN));
        if let Some(entry) = self.slots.get_mut(place) {
            *entry = Some(Slot {
                id,
                leg: Leg::new(seed, self.clock.wall),
                sockets,
                peer: None,
                desk: None,
                scheduled: None,
                read_at: Time::ZERO,
                #[cfg(test)]
                fault: false,
            });
            self.places.insert(id, place);
        }
        if let Err(error) = watched {
            self.fail(place, format!("socket cannot be watched: {error}"));
        }
    }

    fn close(&mut self, now: Time, leg: u64) -> Option<Statistics> {
        let place = *self.places.get(&leg)?;
        self.current = Some(place);
        let slot = self.slots.get_mut(place)?.as_mut()?;
        if let Some(datagram) = slot.leg.farewell(now, &mut self.buffer[..]) {
            slot.send(&datagram, &self.buffer[..]);
        }
        let statistics = slot.leg.statistics();
        let sources = self.remove(place).and_then(|slot| slot.desk).map(|mut desk| desk.take_sources());
        self.tell_ended(sources.into_iter().flatten(), false);
        Some(statistics)
    }

    /// Take a leg out; its sockets close when it is dropped, and closing takes them out of the epoll.
    pub(super) fn remove(&mut self, place: usize) -> Option<Slot> {
        let slot = self.slots.get_mut(place)?.take()?;
        self.places.remove(&slot.id);
        self.crossings.retain(|crossing| *crossing != place);
        self.desks.retain(|desk| *desk != place);
        self.free.push(place);
        Some(slot)
    }

    fn set_peer(&mut self, place: usize, peer: Option<Peer>) {
        self.crossings.retain(|crossing| *crossing != place);
        if matches!(peer, Some(Peer::Across(_))) {
            self.crossings.push(place);
        }
        if let Some(Some(slot)) = self.slots.get_mut(place) {
            slot.peer = peer;
        }
    }

    fn link(&mut self, a: u64, b: u64, link: u32) {
        let (Some(&place_a), Some(&place_b)) = (self.places.get(&a), self.places.get(&b)) else {
            return;
        };
        self.set_peer(
            place_a,
            Some(Peer::Beside {
                slot: place_b,
                leg: b,
                link,
            }),
        );
        self.set_peer(
            place_b,
            Some(Peer::Beside {
                slot: place_a,
                leg: a,
                link,
            }),
        );
    }

    fn cross(&mut self, leg: u64, crossing: Box<Crossing>) {
        if let Some(&place) = self.places.get(&leg) {
            self.set_peer(place, Some(Peer::Across(crossing)));
        }
    }

    fn unlink(&mut self, leg: u64) {
        if let Some(&place) = self.places.get(&leg) {
            self.set_peer(place, None);
        }
    }

    pub(super) fn quit(mut self, now: Time) {
        let legs: Vec<u64> = self.places.keys().copied().collect();
        for leg in legs {
            self.contain(|worker| {
                let _ = worker.close(now, leg);
            });
        }
    }
}
