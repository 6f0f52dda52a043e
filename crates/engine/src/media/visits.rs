//! Visits: a guest is a leg that is wherever its host's audio is mixed, and goes with it from room to room.
//!
//! So a supervisor follows the call that he listens to through bridges, holds and conferences. While the host is relayed, or talks to nobody, the
//! guest hears nothing.

use std::io;

use trunkline_media::audio::room::Part;

use super::command::Command;
use super::registry::Registry;
use super::rooms::gone;
use super::{Engine, lock};

/// A guest's visit.
pub(super) struct Visit {
    host: u64,
    part: Part,
}

impl Engine {
    /// Have `guest` be where `host` is from now on, out of its link and its room, until [`Engine::leave_room`] or either is closed, linked or brought
    /// into a room; on its visit already, change how it takes part.
    ///
    /// # Errors
    /// `NotFound` for an unknown leg; `InvalidInput` where a guest would be a host.
    pub fn visit(&self, guest: u64, host: u64, part: Part) -> io::Result<()> {
        let mut registry = lock(&self.0.registry);
        if !registry.legs.contains_key(&guest) || !registry.legs.contains_key(&host) {
            return Err(gone("leg"));
        }
        if guest == host || registry.visits.contains_key(&host) || registry.visits.values().any(|visit| visit.host == guest) {
            let text = "a guest cannot be a host";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        if registry.visits.get(&guest).is_none_or(|visit| visit.host != host) {
            registry.unlink(guest)?;
            registry.depart(guest)?;
        }
        let visit = Visit { host, part: part.clone() };
        registry.visits.insert(guest, visit);
        registry.bring(guest, host, part)
    }
}

impl Registry {
    /// Seat a guest where its host is, or have it take part there in another way.
    fn bring(&mut self, guest: u64, host: u64, part: Part) -> io::Result<()> {
        let room_of = |leg| self.legs.get(&leg).and_then(|placed| placed.room);
        let Some(room) = room_of(host) else { return Ok(()) };
        if room_of(guest) != Some(room) {
            return self.seat(room, guest, &part);
        }
        match self.rooms.get(&room).copied() {
            Some(placed) => self.send(placed.worker, Command::Adjust { room, leg: guest, part }),
            None => Ok(()),
        }
    }

    fn guests(&self, host: u64) -> Vec<u64> {
        let visits = self.visits.iter().filter(|(_, visit)| visit.host == host);
        visits.map(|(guest, _)| *guest).collect()
    }

    /// The host has taken a seat.
    pub(super) fn seat_guests(&mut self, room: u64, host: u64) -> io::Result<()> {
        for guest in self.guests(host) {
            if let Some(part) = self.visits.get(&guest).map(|visit| visit.part.clone()) {
                self.seat(room, guest, &part)?;
            }
        }
        Ok(())
    }

    /// The host rises.
    pub(super) fn rise_guests(&mut self, host: u64) -> io::Result<()> {
        self.guests(host).into_iter().try_for_each(|guest| self.rise(guest))
    }

    /// Take a leg out of its room, and end its visit.
    pub(super) fn depart(&mut self, leg: u64) -> io::Result<()> {
        self.rise(leg)?;
        self.visits.remove(&leg);
        Ok(())
    }

    /// Its host is gone.
    pub(super) fn end_visits(&mut self, host: u64) {
        self.visits.retain(|_, visit| visit.host != host);
    }
}
