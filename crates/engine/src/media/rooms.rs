//! Calls as audio, from the control side: rooms where legs meet, what is played to them and what is taken from them.
//!
//! Two linked legs without a common codec have a room of their own, which ends with the link; beside it the link passes digits on. A leg is in one room
//! at most: entering one takes it out of another, and out of its link.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::mpsc::sync_channel;

use trunkline_media::audio::room::Part;
use trunkline_media::codec::PCM_RATES;

use super::command::Command;
use super::desk::Seat;
use super::handle::closed;
use super::registry::{PlacedRoom, Registry, answered};
use super::streams::{Reader, Side, Sink, Source, Writer, capacity};
use super::{Engine, NEXT_NUMBER, lock};

/// No stream holds more: a minute.
const MAX_STREAM_FRAMES: u32 = 3000;

pub(super) fn gone(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("there is no such {what}"))
}

impl Engine {
    /// A room, on the worker of `beside`, a leg or a room, or on the one with the fewest legs.
    ///
    /// # Errors
    /// `NotConnected` after [`Engine::close`]; `WouldBlock` when the worker has too many commands waiting, as of every function here.
    pub fn open_room(&self, beside: u64) -> io::Result<u64> {
        let mut registry = lock(&self.0.registry);
        let worker = registry.worker_of(beside).or_else(|| registry.choose(0)).ok_or_else(closed)?;
        registry.open_room(worker, false)
    }

    /// End a room; who is in it hears nothing more of it.
    pub fn close_room(&self, room: u64) -> io::Result<()> {
        lock(&self.0.registry).close_room(room)
    }

    /// Bring a leg into a room, out of any other and out of its link; in the room already, change how it takes part.
    ///
    /// # Errors
    /// `NotFound` for an unknown room or leg.
    pub fn join_room(&self, room: u64, leg: u64, part: Part) -> io::Result<()> {
        let mut registry = lock(&self.0.registry);
        let placed = registry.legs.get(&leg).copied().ok_or_else(|| gone("leg"))?;
        let worker = registry.rooms.get(&room).ok_or_else(|| gone("room"))?.worker;
        if placed.room == Some(room) {
            return registry.send(worker, Command::Adjust { room, leg, part });
        }
        registry.unlink(leg)?;
        registry.depart(leg)?;
        registry.seat(room, leg, &part)
    }

    /// Take a leg out of its room; a guest leaves its host.
    pub fn leave_room(&self, leg: u64) -> io::Result<()> {
        let mut registry = lock(&self.0.registry);
        if registry.visits.contains_key(&leg) {
            return registry.depart(leg);
        }
        let room = registry.legs.get(&leg).and_then(|placed| placed.room);
        if room.and_then(|room| registry.rooms.get(&room)).is_some_and(|room| room.of_link) {
            return Ok(());
        }
        registry.rise(leg)
    }

    /// How loud each leg in a room is, in dBm0, before mute and gain; waits for the worker. Nothing for an unknown room.
    ///
    /// # Errors
    /// `TimedOut` when the worker is stuck.
    pub fn levels(&self, room: u64) -> io::Result<Vec<(u64, f32)>> {
        let (reply, answer) = sync_channel(1);
        let registry = lock(&self.0.registry);
        let Some(worker) = registry.rooms.get(&room).and_then(|placed| registry.workers.get(placed.worker)) else {
            return Ok(Vec::new());
        };
        worker.send(Command::Levels { room, reply })?;
        worker.wake_if_due();
        drop(registry);
        Ok(answered(&answer)?.unwrap_or_default())
    }

    /// Something to be played to a leg or to everybody in a room, at `rate` Hz, of which up to `frames` of 20 ms wait. With `exclusive` a leg's peer
    /// hears nothing else while there are samples.
    ///
    /// # Errors
    /// `InvalidInput` for a rate that is none of PCM's; `NotFound` for an unknown target.
    pub fn open_source(&self, target: u64, rate: u32, frames: u32, exclusive: bool) -> io::Result<Writer> {
        let capacity = stream_capacity(rate, frames)?;
        let number = NEXT_NUMBER.fetch_add(1, Ordering::Relaxed);
        let registry = lock(&self.0.registry);
        let worker = registry.worker_of(target).ok_or_else(|| gone("leg or room"))?;
        let (writer, source) = Source::pair(number, rate, capacity, exclusive);
        let source = Box::new(source);
        registry.send(worker, Command::Play { target, source })?;
        Ok(writer)
    }

    /// What is heard from a leg's peer or said to it, or in a room, at `rate` Hz; up to `frames` of 20 ms wait to be read. With `wakes`
    /// there is a [`super::Event::Frames`] for each tick.
    ///
    /// # Errors
    /// `InvalidInput` for a rate that is none of PCM's; `NotFound` for an unknown target.
    pub fn open_sink(&self, target: u64, rate: u32, frames: u32, side: Side, wakes: bool) -> io::Result<Reader> {
        let capacity = stream_capacity(rate, frames)?;
        let number = NEXT_NUMBER.fetch_add(1, Ordering::Relaxed);
        let registry = lock(&self.0.registry);
        let worker = registry.worker_of(target).ok_or_else(|| gone("leg or room"))?;
        let (reader, sink) = Sink::pair(number, rate, capacity, side, wakes);
        registry.send(
            worker,
            Command::Fill {
                target,
                sink: Box::new(sink),
            },
        )?;
        Ok(reader)
    }

    /// End a source or a sink of a leg or a room.
    pub fn end_stream(&self, target: u64, stream: u64) -> io::Result<()> {
        let registry = lock(&self.0.registry);
        match registry.worker_of(target) {
            Some(worker) => registry.send(worker, Command::EndStream { target, stream }),
            None => Ok(()),
        }
    }
}

fn stream_capacity(rate: u32, frames: u32) -> io::Result<usize> {
    if !PCM_RATES.contains(&rate) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{rate} Hz is no rate of calls"),
        ));
    }
    Ok(capacity(rate, frames.min(MAX_STREAM_FRAMES)))
}

impl Registry {
    /// The worker of a leg or a room.
    pub(super) fn worker_of(&self, target: u64) -> Option<usize> {
        let leg = self.legs.get(&target).map(|placed| placed.worker);
        leg.or_else(|| self.rooms.get(&target).map(|room| room.worker))
    }

    fn open_room(&mut self, worker: usize, of_link: bool) -> io::Result<u64> {
        let room = NEXT_NUMBER.fetch_add(1, Ordering::Relaxed);
        let watched = !of_link;
        self.send(worker, Command::OpenRoom { room, watched })?;
        self.rooms.insert(room, PlacedRoom { worker, of_link });
        Ok(room)
    }

    pub(super) fn close_room(&mut self, room: u64) -> io::Result<()> {
        let Some(placed) = self.rooms.remove(&room) else { return Ok(()) };
        let legs: Vec<(u64, usize)> = self
            .legs
            .iter_mut()
            .filter(|(_, leg)| leg.room == Some(room))
            .map(|(leg, at)| {
                at.room = None;
                (*leg, at.worker)
            })
            .collect();
        for (leg, worker) in legs {
            self.send(worker, Command::Line { leg, line: None })?;
        }
        self.send(placed.worker, Command::CloseRoom { room })
    }

    pub(super) fn seat(&mut self, room: u64, leg: u64, part: &Part) -> io::Result<()> {
        let (Some(placed), Some(at)) = (self.rooms.get(&room).copied(), self.legs.get(&leg).copied()) else {
            return Ok(());
        };
        let (line, seat) = Seat::pair(leg, part.clone());
        let (seat, line) = (Box::new(seat), Some(Box::new(line)));
        self.send(placed.worker, Command::Seat { room, seat })?;
        self.send(at.worker, Command::Line { leg, line })?;
        if let Some(at) = self.legs.get_mut(&leg) {
            at.room = Some(room);
        }
        self.seat_guests(room, leg)
    }

    /// Take a leg and its guests out of their room; a link's own room ends.
    pub(super) fn rise(&mut self, leg: u64) -> io::Result<()> {
        self.rise_guests(leg)?;
        let is_guest = self.visits.contains_key(&leg);
        let Some(at) = self.legs.get_mut(&leg) else { return Ok(()) };
        let worker = at.worker;
        let Some(room) = at.room.take() else { return Ok(()) };
        self.send(worker, Command::Line { leg, line: None })?;
        match self.rooms.get(&room).copied() {
            Some(PlacedRoom { of_link: true, .. }) if !is_guest => self.close_room(room),
            Some(placed) => self.send(placed.worker, Command::Rise { room, leg }),
            None => Ok(()),
        }
    }

    /// Have two linked legs meet in a room of their own, or be relayed again.
    pub(super) fn transcode(&mut self, a: u64, b: u64, wanted: bool) -> io::Result<()> {
        let room = self.legs.get(&a).and_then(|placed| placed.room);
        if wanted == room.is_some() {
            return Ok(());
        }
        if !wanted {
            return self.rise(a);
        }
        let worker = self.worker_of(a).ok_or_else(closed)?;
        let room = self.open_room(worker, true)?;
        self.seat(room, a, &Part::default())?;
        self.seat(room, b, &Part::default())
    }
}
