//! The media workers and the one who commands them: legs are opened, configured, linked and closed here; packets stay on the workers.
//!
//! [`Engine`] is what `trunkline-python` shows as `MediaEngine`. Commands go to a worker over a bounded queue and its eventfd, events come
//! back over [`events::Events`]. Sockets are bound on the caller's thread, so that opening a leg waits for nobody. Leg numbers are unique in
//! the process, so that the SIP thread can stop a leg by its number alone ([`stop_leg`]).

use std::io;
use std::net::IpAddr;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use trunkline_media::leg::{Configuration, Heard, Statistics};
use trunkline_media::random::Random;

use command::{Command, Crossing};
use handle::{closed, start_worker};
use ports::Ports;
use registry::{Control, answered};
use wake::Wake;
use worker::Clock;

mod command;
mod desk;
pub mod events;
mod handle;
mod ports;
mod registry;
mod rooms;
pub mod sound;
pub mod streams;
#[cfg(test)]
mod tests;
mod visits;
mod wake;
mod worker;

pub use events::Event;

/// More workers than this help nobody.
const MAX_WORKERS: usize = 64;

/// Numbers of legs, rooms and streams, unique in the process; zero is none of them.
static NEXT_NUMBER: AtomicU64 = AtomicU64::new(1);
/// Every engine of the process, for [`stop_leg`].
static ENGINES: Mutex<Vec<Weak<Control>>> = Mutex::new(Vec::new());

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How to start an engine.
#[derive(Clone, Debug)]
pub struct Options {
    /// Threads; zero for one per core.
    pub workers: usize,
    /// The first port of the range.
    pub first_port: u16,
    /// The last.
    pub last_port: u16,
    /// Events that may wait for Python.
    pub event_queue: usize,
}

/// Totals and live counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Legs that are open.
    pub legs: usize,
    /// Ports that they use, two each.
    pub ports_used: usize,
    /// Threads.
    pub workers: usize,
    /// RTP datagrams that arrived.
    pub packets: u64,
    /// Rooms, those of links included.
    pub rooms: usize,
    /// Ticks of audio that came later than one tick.
    pub late_ticks: u64,
}

/// The media workers.
pub struct Engine(Arc<Control>);

/// What is left of a leg that [`Engine::end_leg`] closes.
pub struct LegEnd {
    last: Mutex<Last>,
    /// Of the worker, whose wake-up may be held back.
    wake: Option<Arc<Wake>>,
}

/// The last counts of a leg: on their way, or here.
enum Last {
    Due(Receiver<Option<Statistics>>),
    Known(Option<Statistics>),
}

impl LegEnd {
    /// The last counts; waits for the worker where they are not here yet. `None` for an unknown leg, or one that failed.
    ///
    /// # Errors
    /// `TimedOut` when the worker is stuck.
    pub fn statistics(&self) -> io::Result<Option<Statistics>> {
        let mut last = lock(&self.last);
        let statistics = match &*last {
            Last::Known(statistics) => return Ok(statistics.clone()),
            Last::Due(answer) => {
                if let Some(wake) = &self.wake {
                    wake.wake();
                }
                answered(answer)?
            }
        };
        *last = Last::Known(statistics.clone());
        Ok(statistics)
    }
}

/// Make a leg fall silent that any engine of this process holds: its call ended while Python was busy (`ByeAnswered`).
pub fn stop_leg(leg: u64) {
    let engines: Vec<Arc<Control>> = lock(&ENGINES).iter().filter_map(Weak::upgrade).collect();
    for engine in engines {
        // A leg that another engine holds, or nobody, is none of ours.
        let _ = engine.tell(leg, Command::Stop { leg });
        // Python may be what holds wake-ups back, and late.
        lock(&engine.registry).wake(leg);
    }
}

impl Engine {
    /// Start the workers.
    ///
    /// # Errors
    /// `InvalidInput` for a range without a port pair; what the system says when threads or descriptors are lacking.
    pub fn start(options: &Options) -> io::Result<Engine> {
        let mut seed = [0u8; 8];
        rustix::rand::getrandom(&mut seed, rustix::rand::GetRandomFlags::empty())?;
        let mut seeds = Random::new(u64::from_ne_bytes(seed));
        let ports = Arc::new(Ports::new(options.first_port, options.last_port, seeds.next_u64())?);
        let control = Arc::new(Control {
            closing: AtomicBool::new(false),
            registry: Mutex::default(),
            ports,
            events: Arc::new(events::Events::new(options.event_queue)?),
            seeds: Mutex::new(seeds),
            links: AtomicU32::new(0),
        });
        let engine = Engine(control);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let count = if options.workers == 0 { cores } else { options.workers };
        let clock = Clock::start();
        for number in 0..count.min(MAX_WORKERS) {
            // Should a later one fail, dropping the engine ends those that run.
            let handle = start_worker(number, clock, &engine.0.events)?;
            lock(&engine.0.registry).workers.push(handle);
        }
        let mut engines = lock(&ENGINES);
        engines.retain(|engine| engine.strong_count() > 0);
        engines.push(Arc::downgrade(&engine.0));
        drop(engines);
        Ok(engine)
    }

    /// The descriptor that is readable while events wait; -1 after [`Engine::close`].
    #[must_use]
    pub fn event_fd(&self) -> RawFd {
        self.0.events.fd()
    }

    /// Take up to `limit` events.
    #[must_use]
    pub fn drain(&self, limit: usize) -> Vec<Event> {
        self.0.events.drain(limit)
    }

    /// Bind a port pair on `address` and place a leg on it: on the worker of `beside`, or on the one with the fewest legs.
    ///
    /// # Errors
    /// `AddrInUse` when the range is used up; what the system says otherwise.
    pub fn open_leg(&self, address: IpAddr, beside: u64) -> io::Result<(u64, u16)> {
        let sockets = match self.0.ports.bind(address) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && self.0.catch_up() => self.0.ports.bind(address),
            bound => bound,
        }?;
        let port = sockets.port();
        let leg = NEXT_NUMBER.fetch_add(1, Ordering::Relaxed);
        let seed = lock(&self.0.seeds).next_u64();
        let mut registry = lock(&self.0.registry);
        let worker = registry.choose(beside).ok_or_else(closed)?;
        // Nothing arrives before the port is told and the leg configured: that wakes the worker.
        registry.workers.get(worker).ok_or_else(closed)?.send_held(Command::Open {
            leg,
            seed,
            sockets: Box::new(sockets),
        })?;
        registry.place(leg, worker);
        Ok((leg, port))
    }

    /// Apply a media plan.
    ///
    /// # Errors
    /// `WouldBlock` when the worker has too many commands waiting. The same holds for every command below.
    pub fn configure(&self, leg: u64, plan: Configuration) -> io::Result<()> {
        self.0.tell(leg, Command::Configure { leg, plan: Box::new(plan) })
    }

    /// Relay between two legs, both ways; links that they had end. A leg cannot be linked to itself. With `transcode` each side's audio is decoded and
    /// encoded anew for the other, and only telephone events are relayed; linking them again changes between the two.
    pub fn link(&self, a: u64, b: u64, transcode: bool) -> io::Result<()> {
        let mut registry = lock(&self.0.registry);
        let (Some(placed_a), Some(placed_b)) = (registry.legs.get(&a).copied(), registry.legs.get(&b).copied()) else {
            return Ok(());
        };
        if a == b {
            return Ok(());
        }
        if placed_a.linked == Some(b) {
            return registry.transcode(a, b, transcode);
        }
        for leg in [a, b] {
            registry.unlink(leg)?;
            registry.depart(leg)?;
        }
        let link = self.0.links.fetch_add(1, Ordering::Relaxed);
        if placed_a.worker == placed_b.worker {
            registry.send(placed_a.worker, Command::Link { a, b, link })?;
        } else if let (Some(worker_a), Some(worker_b)) = (registry.workers.get(placed_a.worker), registry.workers.get(placed_b.worker)) {
            let (end_a, end_b) = Crossing::pair(link, &worker_a.wake, &worker_b.wake);
            worker_a.send(Command::Cross {
                leg: a,
                crossing: Box::new(end_a),
            })?;
            worker_b.send(Command::Cross {
                leg: b,
                crossing: Box::new(end_b),
            })?;
        }
        for (leg, other) in [(a, b), (b, a)] {
            if let Some(placed) = registry.legs.get_mut(&leg) {
                placed.linked = Some(other);
            }
        }
        registry.transcode(a, b, transcode)
    }

    /// Stop relaying to and from a leg.
    pub fn unlink(&self, leg: u64) -> io::Result<()> {
        lock(&self.0.registry).unlink(leg)
    }

    /// Out of its link and its room.
    fn part(&self, leg: u64) -> io::Result<()> {
        let mut registry = lock(&self.0.registry);
        registry.unlink(leg)?;
        registry.depart(leg)?;
        registry.end_visits(leg);
        Ok(())
    }

    /// Send a tone until [`Engine::stop_tone`].
    pub fn play_tone(&self, leg: u64, frequency_hz: f64, level_dbm0: f64) -> io::Result<()> {
        self.0.tell(
            leg,
            Command::PlayTone {
                leg,
                frequency_hz,
                level_dbm0,
            },
        )
    }

    /// Stop the tone.
    pub fn stop_tone(&self, leg: u64) -> io::Result<()> {
        self.0.tell(leg, Command::StopTone { leg })
    }

    /// Send telephone events, each so long.
    pub fn send_digits(&self, leg: u64, digits: String, duration: Duration) -> io::Result<()> {
        self.0.tell(leg, Command::SendDigits { leg, digits, duration })
    }

    /// Hear digits in the audio of a leg's peer ([`Event::Digit`] with a clock of 0), or no longer; events of its telephone-event codec are told always.
    pub fn hear_digits(&self, leg: u64, on: bool) -> io::Result<()> {
        self.0.tell(leg, Command::HearDigits { leg, on })
    }

    /// Start the tone detector.
    pub fn listen(&self, leg: u64) -> io::Result<()> {
        self.0.tell(leg, Command::Listen { leg })
    }

    /// Tell by [`Event::Sound`] what a leg's audio is made of, from now on or no longer. What is relayed is heard and goes on.
    pub fn attend(&self, leg: u64, wanted: bool) -> io::Result<()> {
        self.0.tell(leg, Command::Attend { leg, wanted })
    }

    /// What a leg heard since it was last asked; waits for the worker. `None` for an unknown leg.
    ///
    /// # Errors
    /// `TimedOut` when the worker is stuck.
    pub fn heard(&self, leg: u64) -> io::Result<Option<Heard>> {
        self.0.ask(leg, |reply| Command::Heard { leg, reply })
    }

    /// The counts of a leg; waits for the worker. `None` for an unknown leg.
    ///
    /// # Errors
    /// `TimedOut` when the worker is stuck.
    pub fn statistics(&self, leg: u64) -> io::Result<Option<Statistics>> {
        self.0.ask(leg, |reply| Command::Statistics { leg, reply })
    }

    /// Close a leg and return its last counts; when it returns, the ports are free. `None` for an unknown leg, or one that failed.
    ///
    /// # Errors
    /// `TimedOut` when the worker is stuck.
    pub fn close_leg(&self, leg: u64) -> io::Result<Option<Statistics>> {
        let _ = self.part(leg);
        let statistics = self.0.ask(leg, |reply| Command::Close { leg, reply });
        lock(&self.0.registry).forget(leg);
        statistics
    }

    /// Close a leg without waiting; its last counts are there when the worker has closed it. [`Engine::open_leg`] waits where it needs the ports.
    ///
    /// # Errors
    /// `WouldBlock` when the worker has too many commands waiting.
    pub fn end_leg(&self, leg: u64) -> io::Result<LegEnd> {
        let _ = self.part(leg);
        let (reply, answer) = sync_channel(1);
        self.0.closing.store(true, Ordering::Release);
        let told = self.0.tell(leg, Command::Close { leg, reply });
        let wake = lock(&self.0.registry).forget(leg);
        told.map(|()| LegEnd {
            last: Mutex::new(Last::Due(answer)),
            wake,
        })
    }

    /// Let commands wait until [`Engine::release`], so that several of them wake a worker once; what waits for an answer is done at once.
    pub fn hold(&self) {
        for worker in &mut lock(&self.0.registry).workers {
            worker.held = true;
        }
    }

    /// Have what was held done now, and what follows at once again.
    pub fn release(&self) {
        for worker in &mut lock(&self.0.registry).workers {
            worker.held = false;
            worker.wake_if_due();
        }
    }

    /// Totals and live counts.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let registry = lock(&self.0.registry);
        Counters {
            legs: registry.legs.len(),
            rooms: registry.rooms.len(),
            late_ticks: registry
                .workers
                .iter()
                .map(|worker| worker.counts.late_ticks.load(Ordering::Relaxed))
                .sum(),
            ports_used: self.0.ports.used(),
            workers: registry.workers.len(),
            packets: registry
                .workers
                .iter()
                .map(|worker| worker.counts.packets.load(Ordering::Relaxed))
                .sum(),
        }
    }

    /// End the workers, close every socket and descriptor; waits for them. Idempotent.
    pub fn close(&self) {
        let workers = {
            let mut registry = lock(&self.0.registry);
            registry.legs.clear();
            registry.rooms.clear();
            registry.visits.clear();
            std::mem::take(&mut registry.workers)
        };
        for worker in &workers {
            // Waits for room if it must: the worker works its queue off.
            let _ = worker.commands.send(Command::Quit);
            worker.wake.wake();
        }
        for mut worker in workers {
            if let Some(thread) = worker.thread.take() {
                // A worker that panicked has ended the process.
                let _ = thread.join();
            }
        }
        self.0.events.close();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.close();
    }
}
