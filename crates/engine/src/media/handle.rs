//! A worker as the control side holds it: its queue of commands, its wake-up, its thread.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use super::command::Command;
use super::events::Events;
use super::wake::Wake;
use super::worker::{Clock, Counts, Worker};
use crate::abort::AbortOnPanic;

/// Commands that wait for one worker; more is an error of the caller's call.
const COMMANDS: usize = 8192;

pub(super) struct Handle {
    pub(super) commands: SyncSender<Command>,
    pub(super) wake: Arc<Wake>,
    pub(super) counts: Arc<Counts>,
    /// Wake-ups are held back, and one is due.
    pub(super) held: bool,
    pub(super) due: AtomicBool,
    /// Legs placed on it.
    pub(super) legs: usize,
    pub(super) thread: Option<JoinHandle<()>>,
}

impl Handle {
    pub(super) fn send(&self, command: Command) -> io::Result<()> {
        self.send_held(command)?;
        if !self.held {
            self.wake_if_due();
        }
        Ok(())
    }

    /// Send a command that wakes the worker with the next one.
    pub(super) fn send_held(&self, command: Command) -> io::Result<()> {
        self.due.store(true, Ordering::Relaxed);
        self.commands.try_send(command).map_err(|error| match error {
            TrySendError::Full(_) => {
                self.wake_if_due();
                io::Error::new(io::ErrorKind::WouldBlock, "the media worker has too many commands waiting")
            }
            TrySendError::Disconnected(_) => closed(),
        })
    }

    pub(super) fn wake_if_due(&self) {
        if self.due.swap(false, Ordering::Relaxed) {
            self.wake.wake();
        }
    }
}

pub(super) fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the media engine is closed")
}

pub(super) fn start_worker(number: usize, clock: Clock, events: &Arc<Events>) -> io::Result<Handle> {
    let (commands, queue) = sync_channel(COMMANDS);
    let (wake, counts) = (Arc::new(Wake::new()?), Arc::new(Counts::default()));
    let worker = Worker::new(clock, Arc::clone(&wake), queue, Arc::clone(events), Arc::clone(&counts))?;
    let thread = std::thread::Builder::new().name(format!("media-{number}")).spawn(move || {
        let _guard = AbortOnPanic(format!("media worker {number}").into());
        worker.run();
    })?;
    Ok(Handle {
        commands,
        wake,
        counts,
        held: false,
        due: AtomicBool::new(false),
        legs: 0,
        thread: Some(thread),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abort::tests::{alone, ended_by};

    #[test]
    #[ignore = "ends its process"]
    fn panics() {
        let events = Arc::new(Events::new(8).unwrap());
        let mut worker = start_worker(1, Clock::start(), &events).unwrap();
        worker.send(Command::Panic).unwrap();
        let _ = worker.thread.take().unwrap().join();
    }

    #[test]
    fn test_a_panic_of_a_worker_outside_any_leg_ends_the_process_and_says_so() {
        let output = alone("media::handle::tests::panics");
        ended_by(&output, "told to panic");
        ended_by(&output, "trunkline: media worker 1 panicked; the process ends");
    }
}
