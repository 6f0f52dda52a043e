//! Where the legs and rooms are: which worker has them, who is tied to whom, and how a command reaches them.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use trunkline_media::random::Random;

use super::command::Command;
use super::handle::{Handle, closed};
use super::ports::Ports;
use super::visits::Visit;
use super::wake::Wake;
use super::{MAX_WORKERS, events, lock};

/// A worker answers within microseconds; one that does not in this time is stuck.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where a leg is and whom it is linked to.
#[derive(Clone, Copy)]
pub(super) struct Placed {
    pub(super) worker: usize,
    pub(super) linked: Option<u64>,
    pub(super) room: Option<u64>,
}

/// Where a room is.
#[derive(Clone, Copy)]
pub(super) struct PlacedRoom {
    pub(super) worker: usize,
    /// It is of a link and ends with it.
    pub(super) of_link: bool,
}

#[derive(Default)]
pub(super) struct Registry {
    pub(super) workers: Vec<Handle>,
    pub(super) legs: HashMap<u64, Placed>,
    pub(super) rooms: HashMap<u64, PlacedRoom>,
    /// By their guests.
    pub(super) visits: HashMap<u64, Visit>,
}

pub(super) struct Control {
    /// Legs were closed that nobody has waited for: their ports may be free in a moment.
    pub(super) closing: AtomicBool,
    pub(super) registry: Mutex<Registry>,
    pub(super) ports: Arc<Ports>,
    pub(super) events: Arc<events::Events>,
    pub(super) seeds: Mutex<Random>,
    pub(super) links: AtomicU32,
}

impl Registry {
    pub(super) fn choose(&self, beside: u64) -> Option<usize> {
        if let Some(placed) = self.legs.get(&beside) {
            return Some(placed.worker);
        }
        self.workers
            .iter()
            .enumerate()
            .min_by_key(|(_, worker)| worker.legs)
            .map(|(number, _)| number)
    }

    pub(super) fn place(&mut self, leg: u64, worker: usize) {
        if let Some(handle) = self.workers.get_mut(worker) {
            handle.legs += 1;
        }
        self.legs.insert(
            leg,
            Placed {
                worker,
                linked: None,
                room: None,
            },
        );
    }

    /// Wake the worker of a leg for what it was sent while wake-ups are held back.
    pub(super) fn wake(&self, leg: u64) {
        if let Some(handle) = self.legs.get(&leg).and_then(|placed| self.workers.get(placed.worker)) {
            handle.wake_if_due();
        }
    }

    /// Forget a leg; the wake-up of the worker that had it.
    pub(super) fn forget(&mut self, leg: u64) -> Option<Arc<Wake>> {
        let placed = self.legs.remove(&leg)?;
        let handle = self.workers.get_mut(placed.worker)?;
        handle.legs -= 1;
        Some(Arc::clone(&handle.wake))
    }

    pub(super) fn send(&self, worker: usize, command: Command) -> io::Result<()> {
        self.workers.get(worker).ok_or_else(closed)?.send(command)
    }

    pub(super) fn unlink(&mut self, leg: u64) -> io::Result<()> {
        let Some(other) = self.legs.get_mut(&leg).and_then(|placed| placed.linked.take()) else {
            return Ok(());
        };
        if let Some(placed) = self.legs.get_mut(&other) {
            placed.linked = None;
        }
        self.rise(leg)?;
        for leg in [leg, other] {
            if let Some(placed) = self.legs.get(&leg) {
                self.send(placed.worker, Command::Unlink { leg })?;
            }
        }
        Ok(())
    }
}

impl Control {
    /// Send a command to the worker of a leg; nothing happens when there is no such leg.
    pub(super) fn tell(&self, leg: u64, command: Command) -> io::Result<()> {
        let registry = lock(&self.registry);
        match registry.legs.get(&leg) {
            Some(placed) => registry.send(placed.worker, command),
            None => Ok(()),
        }
    }

    /// Wait until the ports of all legs that were closed are free; false when none was.
    pub(super) fn catch_up(&self) -> bool {
        if !self.closing.swap(false, Ordering::AcqRel) {
            return false;
        }
        let (reply, answer) = sync_channel(MAX_WORKERS);
        for worker in &lock(&self.registry).workers {
            if worker.send(Command::Echo { reply: reply.clone() }).is_ok() {
                worker.wake_if_due();
            }
        }
        drop(reply);
        while answer.recv_timeout(PATIENCE).is_ok() {}
        true
    }

    pub(super) fn ask<T>(&self, leg: u64, command: impl FnOnce(SyncSender<Option<T>>) -> Command) -> io::Result<Option<T>> {
        let (reply, answer): (_, Receiver<Option<T>>) = sync_channel(1);
        self.tell(leg, command(reply))?;
        lock(&self.registry).wake(leg);
        answered(&answer)
    }
}

/// What a worker answers.
pub(super) fn answered<T>(answer: &Receiver<Option<T>>) -> io::Result<Option<T>> {
    match answer.recv_timeout(PATIENCE) {
        Ok(answer) => Ok(answer),
        // Nobody holds the other end: no such leg, or its code panicked while it answered.
        Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => Ok(None),
        Err(std::sync::mpsc::RecvTimeoutError::Timeout) => Err(io::Error::new(io::ErrorKind::TimedOut, "the media worker does not answer")),
    }
}
