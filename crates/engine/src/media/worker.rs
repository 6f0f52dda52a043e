//! A media worker: one thread with an epoll, the legs placed on it, their sockets and their timers.
//!
//! A packet's way: epoll says that a leg's socket is readable, the packet is read into the worker's one buffer, [`Leg::receive`] takes it
//! through the stages, [`Leg::relay`] of the linked leg renumbers it in place, it is sent. No lock, no allocation, no copy. The clock is read once
//! a wake-up. A panic in a leg's code closes that leg; one anywhere else ends the process.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use rustix::event::epoll;
use rustix::net::{RecvFlags, SendFlags, recvfrom, sendto};
use trunkline_media::audio::Pcm;
use trunkline_media::leg::{BUFFER_LENGTH, Datagram, Event as LegEvent, Frame, Leg, Socket};
use trunkline_media::time::{Time, WallClock};

use super::command::{Command, Crossing};
use super::desk::{Desk, Meeting};
use super::events::{Event, Events};
use super::ports::Sockets;
use super::wake::Wake;

mod orders;
#[cfg(test)]
mod tests;
mod tick;

/// Events of one wake-up.
const EVENTS: usize = 256;
/// A leg's packets in one wake-up when they have piled up; otherwise one, for the next would be a read in vain.
const BURST: usize = 16;
/// Packets that come closer than this have piled up.
const PILED_UP: Duration = Duration::from_millis(2);
/// The epoll token of the worker's own wake-up.
const WAKE: u64 = u64::MAX;

/// Real time for the legs.
#[derive(Clone, Copy)]
pub struct Clock {
    origin: Instant,
    /// The wall clock at the origin.
    pub wall: WallClock,
}

impl Clock {
    /// A clock that begins now.
    pub fn start() -> Self {
        let unix = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        Clock {
            origin: Instant::now(),
            wall: WallClock::new(micros(unix)),
        }
    }

    fn now(&self) -> Time {
        Time::from_micros(micros(self.origin.elapsed()))
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// What a worker counts for others to read.
#[derive(Debug, Default)]
pub struct Counts {
    /// RTP datagrams that arrived.
    pub packets: AtomicU64,
    /// Ticks of audio that came later than one tick.
    pub late_ticks: AtomicU64,
}

/// Whom a leg's frames go to.
enum Peer {
    /// A leg of this worker, by its place and its number.
    Beside { slot: usize, leg: u64, link: u32 },
    /// A leg of another worker.
    Across(Box<Crossing>),
}

struct Slot {
    id: u64,
    leg: Leg,
    sockets: Box<Sockets>,
    peer: Option<Peer>,
    /// While its audio is heard or said.
    desk: Option<Box<Desk>>,
    /// The earliest entry in the timer heap.
    scheduled: Option<Time>,
    read_at: Time,
    #[cfg(test)]
    fault: bool,
}

impl Slot {
    fn socket(&self, which: Socket) -> &socket2::Socket {
        match which {
            Socket::Rtp => &self.sockets.rtp,
            Socket::Rtcp => &self.sockets.rtcp,
        }
    }

    fn send(&self, datagram: &Datagram, buffer: &[u8]) {
        if let Some(data) = buffer.get(datagram.range.clone()) {
            // A full buffer or an unreachable peer is a lost packet, as anywhere in the network.
            let _ = sendto(self.socket(datagram.socket), data, SendFlags::DONTWAIT, &datagram.to);
        }
    }
}

/// What the thread owns.
pub struct Worker {
    clock: Clock,
    wake: Arc<Wake>,
    commands: Receiver<Command>,
    events: Arc<Events>,
    counts: Arc<Counts>,
    epoll: std::os::fd::OwnedFd,
    slots: Vec<Option<Slot>>,
    free: Vec<usize>,
    places: HashMap<u64, usize>,
    /// Places of the legs that are linked to another worker.
    crossings: Vec<usize>,
    timers: BinaryHeap<Reverse<(Time, usize, u64)>>,
    /// Failures and ends that found no room in the event queue.
    untold: VecDeque<Event>,
    /// The leg whose code runs: a panic is its own.
    current: Option<usize>,
    relayed: u64,
    /// Places of the legs that have a desk.
    desks: Vec<usize>,
    meetings: Vec<Meeting>,
    /// The next 20 ms of audio.
    tick_at: Option<Time>,
    /// Sources that ended in this tick.
    ended: Vec<u64>,
    /// The application is to hear of this tick's frames.
    audible: bool,
    frame: Pcm,
    buffer: Box<[u8; BUFFER_LENGTH]>,
}

impl Worker {
    /// A worker without legs.
    ///
    /// # Errors
    /// When the process has no file descriptor left.
    pub fn new(clock: Clock, wake: Arc<Wake>, commands: Receiver<Command>, events: Arc<Events>, counts: Arc<Counts>) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, wake.fd(), epoll::EventData::new_u64(WAKE), epoll::EventFlags::IN)?;
        Ok(Worker {
            clock,
            wake,
            commands,
            events,
            counts,
            epoll,
            slots: Vec::new(),
            free: Vec::new(),
            places: HashMap::new(),
            crossings: Vec::new(),
            timers: BinaryHeap::new(),
            untold: VecDeque::new(),
            current: None,
            relayed: 0,
            desks: Vec::new(),
            meetings: Vec::new(),
            tick_at: None,
            ended: Vec::with_capacity(EVENTS),
            audible: false,
            frame: Self::empty_frame(),
            buffer: Box::new([0; BUFFER_LENGTH]),
        })
    }

    /// Work until told to quit.
    pub fn run(mut self) {
        let mut ready = Vec::with_capacity(EVENTS);
        while self.turn(&mut ready) {}
        let now = self.clock.now();
        self.quit(now);
    }

    /// Wait, and do what there is to do; false when told to quit.
    ///
    /// Commands come before packets, even those whose wake-up is still held back: whoever was told by SIP that a leg is ready may send at once,
    /// and finds it so.
    fn turn(&mut self, ready: &mut Vec<epoll::Event>) -> bool {
        ready.clear();
        let timeout = self.timeout();
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(ready), timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            // Nothing else can be wrong with an epoll of our own; the process ends with the message.
            Err(error) => panic!("media worker cannot wait: {error}"),
        }
        let now = self.clock.now();
        let wakes = |event: &epoll::Event| event.data.u64() == WAKE;
        let woken = ready.iter().any(wakes);
        if woken {
            self.wake.clear();
        }
        if !self.obey_all(now) {
            return false;
        }
        if woken {
            self.take_crossings(now);
        }
        for event in ready.iter().filter(|event| !wakes(event)) {
            self.contain(|worker| worker.readable(now, event.data.u64()));
        }
        self.run_timers(now);
        self.run_ticks(now);
        self.tell_untold();
        self.counts.packets.store(self.relayed, Ordering::Relaxed);
        true
    }

    fn timeout(&self) -> Option<rustix::event::Timespec> {
        let timer = self.timers.peek().map(|Reverse((at, ..))| *at);
        let at = timer.into_iter().chain(self.tick_at).min()?;
        let wait = at.since(self.clock.now());
        // Below a second in nanoseconds, and seconds of a monotonic clock, fit.
        Some(rustix::event::Timespec {
            tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(wait.subsec_nanos()),
        })
    }

    /// Run code of legs; a panic closes the leg that was at work.
    fn contain(&mut self, work: impl FnOnce(&mut Self)) {
        self.current = None;
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| work(self))) {
            let Some(place) = self.current.take() else { resume_unwind(panic) };
            let text = panic
                .downcast_ref::<&str>()
                .map(ToString::to_string)
                .or_else(|| panic.downcast_ref::<String>().cloned());
            self.fail(place, format!("panicked: {}", text.as_deref().unwrap_or("without words")));
        }
    }

    fn fail(&mut self, place: usize, reason: String) {
        if let Some(mut slot) = self.remove(place) {
            let sources = slot.desk.take().map(|mut desk| desk.take_sources());
            self.tell_ended(sources.into_iter().flatten(), false);
            self.tell(Event::Failed { leg: slot.id, reason });
        }
    }

    fn tell(&mut self, event: Event) {
        if let Some(event @ (Event::Failed { .. } | Event::SourceEnded { .. })) = self.events.push(event) {
            self.untold.push_back(event);
        }
    }

    fn tell_untold(&mut self) {
        while let Some(event) = self.untold.pop_front() {
            if let Some(event) = self.events.push(event) {
                self.untold.push_front(event);
                return;
            }
        }
    }

    fn readable(&mut self, now: Time, token: u64) {
        let which = if token & 1 == 0 { Socket::Rtp } else { Socket::Rtcp };
        let Ok(place) = usize::try_from(token >> 1) else { return };
        let Some(Some(slot)) = self.slots.get_mut(place) else { return };
        let piled_up = now.since(std::mem::replace(&mut slot.read_at, now)) < PILED_UP;
        for _ in 0..if piled_up { BURST } else { 1 } {
            if !self.read_one(now, place, which) {
                break;
            }
        }
        self.settle(now, place);
    }

    /// Read and process one datagram; false when there is none, or no leg any more.
    fn read_one(&mut self, now: Time, place: usize, which: Socket) -> bool {
        self.current = Some(place);
        let Some(Some(slot)) = self.slots.get_mut(place) else {
            return false;
        };
        let received = recvfrom(slot.socket(which), &mut self.buffer[..], RecvFlags::DONTWAIT | RecvFlags::TRUNC);
        let (length, whole, source) = match received {
            Ok((length, whole, Some(source))) => (length, whole, source),
            Ok(_) => return true,
            Err(rustix::io::Errno::AGAIN) => return false,
            Err(error) if is_passing(error) => return true,
            Err(error) => {
                self.fail(place, format!("socket failed: {error}"));
                return false;
            }
        };
        self.relayed += u64::from(which == Socket::Rtp);
        #[cfg(test)]
        assert!(!slot.fault, "told to fail");
        let (Ok(source), true) = (SocketAddr::try_from(source), whole == length) else {
            slot.leg.refuse();
            return true;
        };
        let Some(data) = self.buffer.get_mut(..length) else { return true };
        if let Some(frame) = slot.leg.receive(now, which, source, data) {
            self.hand_on(now, place, frame);
        }
        true
    }

    /// A frame lies in the buffer: give it to the linked leg.
    fn hand_on(&mut self, now: Time, place: usize, frame: Frame) {
        let Some(Some(Slot { peer: Some(peer), .. })) = self.slots.get_mut(place) else {
            return;
        };
        match peer {
            Peer::Beside { slot, leg, link } => {
                let (slot, leg, link) = (*slot, *leg, *link);
                self.relay(now, slot, leg, link, &frame);
            }
            Peer::Across(crossing) => {
                crossing.push(frame, &self.buffer[..]);
            }
        }
    }

    fn relay(&mut self, now: Time, place: usize, leg: u64, link: u32, frame: &Frame) {
        let Some(Some(slot)) = self.slots.get_mut(place) else { return };
        if slot.id != leg {
            return;
        }
        let before = self.current.replace(place);
        if let Some(datagram) = slot.leg.relay(now, link, frame, &mut self.buffer[..]) {
            slot.send(&datagram, &self.buffer[..]);
        } else {
            // It may have something to say of that.
            self.settle(now, place);
        }
        self.current = before;
    }

    /// Pass on a leg's events and see to its next timer.
    fn settle(&mut self, now: Time, place: usize) {
        let Some(Some(slot)) = self.slots.get_mut(place) else { return };
        let leg = slot.id;
        while let Some(event) = slot.leg.take_event() {
            let event = match event {
                LegEvent::Latched(remote) => Event::Latched { leg, remote },
                LegEvent::Silent => Event::Silent { leg },
                LegEvent::Foreign => Event::Foreign { leg },
                LegEvent::Digit(press, clock_rate) => Event::Digit { leg, press, clock_rate },
            };
            if let Some(Event::Silent { .. }) = self.events.push(event) {
                slot.leg.repeat_silence(now);
            }
        }
        if let Some(at) = slot.leg.next_timeout()
            && slot.scheduled.is_none_or(|scheduled| at < scheduled)
        {
            slot.scheduled = Some(at);
            self.timers.push(Reverse((at, place, leg)));
        }
    }

    fn run_timers(&mut self, now: Time) {
        while let Some(Reverse((at, place, leg))) = self.timers.peek().copied() {
            if at > now {
                return;
            }
            self.timers.pop();
            let Some(Some(slot)) = self.slots.get_mut(place) else { continue };
            // An entry that an earlier one replaced, or of a leg that is gone.
            if slot.id != leg || slot.scheduled != Some(at) {
                continue;
            }
            slot.scheduled = None;
            self.contain(|worker| worker.poll(now, place));
        }
    }

    fn poll(&mut self, now: Time, place: usize) {
        self.current = Some(place);
        let Some(Some(slot)) = self.slots.get_mut(place) else { return };
        while let Some(datagram) = slot.leg.poll(now, &mut self.buffer[..]) {
            slot.send(&datagram, &self.buffer[..]);
        }
        self.settle(now, place);
    }

    /// Obey what other threads ordered; false when the thread is to end.
    fn obey_all(&mut self, now: Time) -> bool {
        while let Ok(command) = self.commands.try_recv() {
            if matches!(command, Command::Quit) {
                return false;
            }
            self.contain(|worker| worker.obey(now, command));
        }
        true
    }

    /// Send on what other workers' legs received.
    fn take_crossings(&mut self, now: Time) {
        for n in 0..self.crossings.len() {
            if let Some(place) = self.crossings.get(n).copied() {
                self.contain(|worker| worker.take_crossed(now, place));
            }
        }
    }

    fn take_crossed(&mut self, now: Time, place: usize) {
        self.current = Some(place);
        loop {
            let Some(Some(Slot {
                id,
                peer: Some(Peer::Across(crossing)),
                ..
            })) = self.slots.get_mut(place)
            else {
                return;
            };
            let (leg, link) = (*id, crossing.link);
            let Some(frame) = crossing.pop(&mut self.buffer[..]) else { return };
            self.relay(now, place, leg, link, &frame);
        }
    }
}

/// Errors of a datagram that says nothing about the socket: an ICMP answer, a lack of memory.
fn is_passing(error: rustix::io::Errno) -> bool {
    use rustix::io::Errno;
    matches!(
        error,
        Errno::INTR
            | Errno::CONNREFUSED
            | Errno::HOSTUNREACH
            | Errno::NETUNREACH
            | Errno::NETDOWN
            | Errno::HOSTDOWN
            | Errno::NOBUFS
            | Errno::NOMEM
    )
}
