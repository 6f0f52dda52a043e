//! The two queues between the SIP thread and Python: events up, commands down; a batch costs one wake-up.
//!
//! [`EventQueue`] is written by the SIP thread and drained by Python, which watches its eventfd; it never makes the SIP thread wait: what it
//! holds back is shed by the endpoint (`Endpoint::set_backlog`), and traces are dropped beyond its bound. [`CommandQueue`] is written by any
//! thread; whoever writes to a full one waits until the SIP thread has taken what is there, which it does without waiting for anybody. Who writes
//! several commands in a row holds the wake-up back meanwhile, so that they cost one.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use rustix::event::{EventfdFlags, eventfd};
use tokio::sync::Notify;

/// Lock a mutex whose holders never panic half-way; a panic on the SIP thread ends the process anyway.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Events on their way to Python.
#[derive(Debug)]
pub(super) struct EventQueue<T> {
    waiting: Mutex<VecDeque<T>>,
    length: AtomicUsize,
    wake: OwnedFd,
}

impl<T> EventQueue<T> {
    pub(super) fn new() -> io::Result<Self> {
        let wake = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        Ok(EventQueue {
            waiting: Mutex::new(VecDeque::new()),
            length: AtomicUsize::new(0),
            wake,
        })
    }

    /// The descriptor that is readable while events wait.
    pub(super) fn fd(&self) -> RawFd {
        self.wake.as_fd().as_raw_fd()
    }

    /// How many events wait.
    pub(super) fn len(&self) -> usize {
        self.length.load(Ordering::Acquire)
    }

    /// Append a batch, emptying it. The eventfd is written only when nothing waited, and after the lock is free: whom it wakes takes the lock at once.
    /// No wake-up is lost, since the reader clears the eventfd only under the lock and with nothing left; one too many finds nothing.
    pub(super) fn push(&self, batch: &mut VecDeque<T>) {
        if batch.is_empty() {
            return;
        }
        let mut waiting = lock(&self.waiting);
        let first = waiting.is_empty();
        waiting.append(batch);
        self.length.store(waiting.len(), Ordering::Release);
        drop(waiting);
        if first {
            // The counter cannot overflow: it is cleared before the queue is empty again.
            let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
        }
    }

    /// Take at most `limit` events; the descriptor stays readable when some are left.
    pub(super) fn drain(&self, limit: usize) -> Vec<T> {
        let mut waiting = lock(&self.waiting);
        let count = limit.min(waiting.len());
        let taken = waiting.drain(..count).collect();
        self.length.store(waiting.len(), Ordering::Release);
        if waiting.is_empty() {
            let _ = rustix::io::read(&self.wake, &mut [0u8; 8]);
        }
        taken
    }
}

/// Commands on their way to the SIP thread.
#[derive(Debug)]
pub(super) struct CommandQueue<T> {
    state: Mutex<Commands<T>>,
    taken: Condvar,
    wake: Notify,
    bound: usize,
}

/// Why a command was not appended.
#[derive(Debug)]
pub(super) enum Refusal<T> {
    Full(T),
    Closed,
}

#[derive(Debug)]
struct Commands<T> {
    waiting: Vec<T>,
    closed: bool,
    /// Nobody is woken for what is appended.
    held: bool,
    /// Writers that wait for room. Without one nobody is told that there is some: telling is a system call, heard or not.
    writers: usize,
}

impl<T> CommandQueue<T> {
    pub(super) fn new(bound: usize) -> Self {
        let state = Mutex::new(Commands {
            waiting: Vec::new(),
            closed: false,
            held: false,
            writers: 0,
        });
        CommandQueue {
            state,
            taken: Condvar::new(),
            wake: Notify::new(),
            bound: bound.max(1),
        }
    }

    /// Append a command, unless the queue is full or closed.
    pub(super) fn try_push(&self, command: T) -> Result<(), Refusal<T>> {
        self.append(lock(&self.state), command)
    }

    /// Append a command, waiting while the queue is full; false when the SIP thread has ended.
    pub(super) fn push(&self, command: T) -> bool {
        let mut state = lock(&self.state);
        while state.waiting.len() >= self.bound && !state.closed {
            self.wake.notify_one();
            state.writers += 1;
            state = self.taken.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.writers -= 1;
        }
        self.append(state, command).is_ok()
    }

    /// The lock is let go before anybody is woken, who takes it at once.
    fn append(&self, mut state: MutexGuard<'_, Commands<T>>, command: T) -> Result<(), Refusal<T>> {
        if state.closed {
            return Err(Refusal::Closed);
        }
        if state.waiting.len() >= self.bound {
            return Err(Refusal::Full(command));
        }
        state.waiting.push(command);
        let wakes = state.waiting.len() == 1 && !state.held;
        drop(state);
        if wakes {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Wake the SIP thread for nothing that is appended from now on, until [`CommandQueue::release`].
    pub(super) fn hold(&self) {
        lock(&self.state).held = true;
    }

    /// Wake the SIP thread for what was appended, and from now on as ever.
    pub(super) fn release(&self) {
        let mut state = lock(&self.state);
        state.held = false;
        let wakes = !state.waiting.is_empty();
        drop(state);
        if wakes {
            self.wake.notify_one();
        }
    }

    /// Append a command whose answer is waited for: it wakes the SIP thread even while wake-ups are held back.
    pub(super) fn push_now(&self, command: T) -> bool {
        let pushed = self.push(command);
        self.wake.notify_one();
        pushed
    }

    /// Wait until a command was appended to the empty queue.
    pub(super) async fn filled(&self) {
        self.wake.notified().await;
    }

    /// Swap what waits for the empty `batch`.
    pub(super) fn take(&self, batch: &mut Vec<T>) {
        let mut state = lock(&self.state);
        std::mem::swap(&mut state.waiting, batch);
        let awaited = state.writers > 0;
        drop(state);
        if awaited {
            self.taken.notify_all();
        }
    }

    /// Refuse further commands and drop what waits: an answer that somebody waits for there ends with its channel.
    pub(super) fn close(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        state.waiting.clear();
        self.taken.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;
    use std::time::Duration;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

    fn readable<T>(queue: &EventQueue<T>) -> bool {
        let mut fds = [PollFd::new(&queue.wake, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap() == 1
    }

    #[test]
    fn test_the_descriptor_is_readable_exactly_while_events_wait() {
        let queue = EventQueue::new().unwrap();
        assert!(!readable(&queue));
        queue.push(&mut VecDeque::from([1, 2, 3]));
        queue.push(&mut VecDeque::from([4]));
        assert!(readable(&queue));
        assert_eq!(queue.drain(3), [1, 2, 3]);
        assert!(readable(&queue), "one is left");
        assert_eq!(queue.drain(3), [4]);
        assert!(!readable(&queue));
        queue.push(&mut VecDeque::from([5]));
        assert!(readable(&queue));
        assert_eq!(queue.len(), 1);
    }

    #[test]
    fn test_an_empty_batch_wakes_nobody() {
        let queue = EventQueue::<u8>::new().unwrap();
        queue.push(&mut VecDeque::new());
        assert!(!readable(&queue));
    }

    #[test]
    fn test_no_wake_up_is_lost_between_two_threads() {
        let queue = Arc::new(EventQueue::new().unwrap());
        let writer = {
            let queue = queue.clone();
            thread::spawn(move || (0..20_000u32).for_each(|number| queue.push(&mut VecDeque::from([number]))))
        };
        let mut next = 0;
        while next < 20_000 {
            let mut fds = [PollFd::new(&queue.wake, PollFlags::IN)];
            assert_eq!(
                poll(&mut fds, Some(&Timespec { tv_sec: 10, tv_nsec: 0 })).unwrap(),
                1,
                "slept with {next} taken"
            );
            for number in queue.drain(7) {
                assert_eq!(number, next);
                next += 1;
            }
        }
        writer.join().unwrap();
    }

    #[test]
    fn test_a_full_command_queue_makes_the_writer_wait() {
        let queue = Arc::new(CommandQueue::new(2));
        let writer = {
            let queue = queue.clone();
            thread::spawn(move || (0..100).for_each(|number| assert!(queue.push(number))))
        };
        let mut seen = Vec::new();
        while seen.len() < 100 {
            let mut batch = Vec::new();
            queue.take(&mut batch);
            assert!(batch.len() <= 2);
            seen.append(&mut batch);
        }
        writer.join().unwrap();
        assert_eq!(seen, (0..100).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn test_held_commands_wake_once_and_together() {
        let queue = CommandQueue::new(10);
        let woken = async || tokio::time::timeout(Duration::from_millis(20), queue.filled()).await.is_ok();
        queue.hold();
        assert!(queue.push(1) && queue.push(2));
        assert!(!woken().await);
        queue.release();
        assert!(woken().await);
        let mut batch = Vec::new();
        queue.take(&mut batch);
        assert_eq!(batch, [1, 2]);
        queue.release();
        assert!(!woken().await, "nothing waits");
        assert!(queue.push(3));
        assert!(woken().await);
    }

    #[tokio::test]
    async fn test_a_command_that_is_waited_for_wakes_while_others_are_held() {
        let queue = CommandQueue::new(10);
        queue.hold();
        assert!(queue.push(1) && queue.push_now(2));
        queue.filled().await;
    }

    #[test]
    fn test_a_closed_command_queue_frees_whoever_waits() {
        let queue = Arc::new(CommandQueue::new(1));
        assert!(queue.push(0));
        let writer = {
            let queue = queue.clone();
            thread::spawn(move || queue.push(1))
        };
        thread::sleep(Duration::from_millis(20));
        assert!(matches!(queue.try_push(2), Err(Refusal::Full(2))));
        queue.close();
        assert!(!writer.join().unwrap());
        assert!(!queue.push(2));
        assert!(matches!(queue.try_push(2), Err(Refusal::Closed)));
    }
}
