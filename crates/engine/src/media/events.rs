//! The bounded queue of events to Python: workers push, `drain` takes, the eventfd is readable while any wait.
//!
//! When it is full a worker keeps what must not be lost: a failed leg is told later, a silent one after another timeout; a latched address
//! is not told (the statistics show it), nor is a change of sound, nor a digit.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use trunkline_media::dtmf::Press;
use trunkline_media::hearing::Change;

use super::wake::Wake;

/// What happened on a leg.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Nothing acceptable arrived for the silence timeout while the peer was to send.
    Silent {
        /// Which.
        leg: u64,
    },
    /// The leg found where its peer sends from, or that it moved.
    Latched {
        /// Which.
        leg: u64,
        /// Where from.
        remote: SocketAddr,
    },
    /// The leg was closed: its code panicked or its socket failed.
    Failed {
        /// Which.
        leg: u64,
        /// In words.
        reason: String,
    },
    /// The linked leg's peer sends in a codec that this leg's did not agree to; told once a media plan.
    Foreign {
        /// Which could not relay.
        leg: u64,
    },
    /// The leg's peer pressed a key; told when it was let go.
    Digit {
        /// Which.
        leg: u64,
        /// What, and for how long.
        press: Press,
        /// The clock of its telephone event in Hz; 0 where it was heard as a tone.
        clock_rate: u32,
    },
    /// A source is played no more.
    SourceEnded {
        /// Which.
        source: u64,
        /// All of it was played; else it was ended, or what it was played to.
        complete: bool,
    },
    /// What a leg hears is of another kind now.
    Sound {
        /// Which.
        leg: u64,
        /// What it was and is.
        change: Change,
    },
    /// In a room another one speaks, or nobody any more.
    Speaker {
        /// Which room.
        room: u64,
        /// Who.
        leg: Option<u64>,
    },
    /// Sinks that wake have new frames, one event for all of them.
    Frames,
}

struct State {
    waiting: VecDeque<Event>,
    wake: Option<Wake>,
}

/// The queue.
pub struct Events {
    state: Mutex<State>,
    capacity: usize,
    /// Frames came since the last drain.
    frames: AtomicBool,
}

impl Events {
    /// An empty queue that holds at most `capacity` events.
    ///
    /// # Errors
    /// When the process has no file descriptor left.
    pub fn new(capacity: usize) -> io::Result<Self> {
        let state = State {
            waiting: VecDeque::new(),
            wake: Some(Wake::new()?),
        };
        Ok(Events {
            state: Mutex::new(state),
            capacity: capacity.max(1),
            frames: AtomicBool::new(false),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queue an event, or hand it back when there is no room.
    pub fn push(&self, event: Event) -> Option<Event> {
        let mut state = self.state();
        if state.waiting.len() >= self.capacity {
            return Some(event);
        }
        state.waiting.push_back(event);
        if let Some(wake) = &state.wake {
            wake.wake();
        }
        None
    }

    /// Tell that sinks have frames; waits for nobody. When the queue is just being drained, the next tick wakes.
    pub fn frames(&self) {
        self.frames.store(true, Ordering::Release);
        if let Ok(state) = self.state.try_lock()
            && let Some(wake) = &state.wake
        {
            wake.wake();
        }
    }

    /// Take up to `limit` events.
    pub fn drain(&self, limit: usize) -> Vec<Event> {
        let mut state = self.state();
        let count = state.waiting.len().min(limit);
        let mut taken: Vec<Event> = state.waiting.drain(..count).collect();
        if state.waiting.is_empty()
            && let Some(wake) = &state.wake
        {
            wake.clear();
        }
        if self.frames.swap(false, Ordering::AcqRel) {
            taken.push(Event::Frames);
        }
        taken
    }

    /// The descriptor that is readable while events wait; -1 after `close`.
    pub fn fd(&self) -> RawFd {
        self.state().wake.as_ref().map_or(-1, |wake| wake.fd().as_raw_fd())
    }

    /// Close the descriptor; what waits can still be drained.
    pub fn close(&self) {
        self.state().wake = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readable(fd: RawFd) -> bool {
        // SAFETY: the queue that owns the descriptor outlives this call.
        let fd = unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) };
        let mut fds = [rustix::event::PollFd::new(&fd, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut fds, Some(&rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap() == 1
    }

    #[test]
    fn test_the_descriptor_is_readable_while_events_wait() {
        let events = Events::new(10).unwrap();
        assert!(!readable(events.fd()));
        for leg in 0..3 {
            assert_eq!(events.push(Event::Silent { leg }), None);
        }
        assert_eq!(events.drain(2), [Event::Silent { leg: 0 }, Event::Silent { leg: 1 }]);
        assert!(readable(events.fd()));
        assert_eq!(events.drain(2), [Event::Silent { leg: 2 }]);
        assert!(!readable(events.fd()));
        events.close();
        assert_eq!(events.fd(), -1);
    }

    #[test]
    fn test_what_does_not_fit_comes_back() {
        let events = Events::new(1).unwrap();
        assert_eq!(events.push(Event::Silent { leg: 1 }), None);
        assert_eq!(events.push(Event::Silent { leg: 2 }), Some(Event::Silent { leg: 2 }));
    }
}
