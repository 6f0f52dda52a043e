//! PCM that crosses between a worker and a thread of the application: sources are played, sinks take what was heard.
//!
//! Each is a bounded ring of samples with one end here and one on the worker. A worker waits for nobody: a source that runs dry is silent, a sink
//! whose reader is behind loses frames; both are counted. What the application changes on the way (pause, gain, end) are atomic numbers.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use rtrb::{Consumer, Producer, RingBuffer};
use trunkline_media::audio::feed::Feed;
use trunkline_media::audio::{FRAMES_PER_S, Pcm};

use super::lock;

/// Which way of a leg's audio a sink takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// What its peer says; of a room, what all say together.
    Heard,
    /// What is said to its peer, of what is not relayed.
    Said,
}

#[derive(Debug, Default)]
struct SourceState {
    finished: AtomicBool,
    paused: AtomicBool,
    /// `f32` bits.
    gain: AtomicU32,
    /// Samples up to this one are not to be played.
    cleared: AtomicU64,
    played: AtomicU64,
    underruns: AtomicU64,
}

/// The application's end of a source.
pub struct Writer {
    number: u64,
    rate: u32,
    samples: Mutex<(Producer<i16>, u64)>,
    state: Arc<SourceState>,
}

impl Writer {
    /// What its end is told by ([`super::Event::SourceEnded`]).
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Samples a second.
    #[must_use]
    pub const fn rate(&self) -> u32 {
        self.rate
    }

    /// Play these after what waits; how many there was room for.
    pub fn write(&self, samples: &[i16]) -> usize {
        let (ring, written) = &mut *lock(&self.samples);
        let (taken, _) = ring.push_partial_slice(samples);
        *written += taken.len() as u64;
        taken.len()
    }

    /// How many samples may be written now.
    #[must_use]
    pub fn room(&self) -> usize {
        lock(&self.samples).0.slots()
    }

    /// Nothing more will be written: it ends when all is played.
    pub fn finish(&self) {
        self.state.finished.store(true, Ordering::Release);
    }

    /// Forget what waits to be played; more will be written, even if it was [`Writer::finish`]ed and is not over yet.
    pub fn restart(&self) {
        // Before the clearing: a worker that sees that sees this.
        self.state.finished.store(false, Ordering::Release);
        self.clear();
    }

    /// Forget what waits to be played.
    pub fn clear(&self) {
        let written = lock(&self.samples).1;
        self.state.cleared.store(written, Ordering::Release);
    }

    /// Be silent and keep what waits, or go on.
    pub fn pause(&self, paused: bool) {
        self.state.paused.store(paused, Ordering::Relaxed);
    }

    /// Multiply what is played from now on.
    pub fn set_gain(&self, gain: f32) {
        self.state.gain.store(gain.to_bits(), Ordering::Relaxed);
    }

    /// Samples that were played or cleared.
    #[must_use]
    pub fn played(&self) -> u64 {
        self.state.played.load(Ordering::Relaxed)
    }

    /// Frames of silence because nothing had been written in time.
    #[must_use]
    pub fn underruns(&self) -> u64 {
        self.state.underruns.load(Ordering::Relaxed)
    }

    /// Whether there is still somebody who plays it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !lock(&self.samples).0.is_abandoned()
    }
}

/// What a tick drew from a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drawn {
    /// A frame.
    Frame,
    /// Nothing: paused, or not written in time.
    Nothing,
    /// Nothing, now and ever.
    Ended,
}

/// The worker's end of a source.
pub struct Source {
    /// Its number.
    pub number: u64,
    /// It takes the place of all else that is said.
    pub exclusive: bool,
    rate: u32,
    ring: Consumer<i16>,
    state: Arc<SourceState>,
    begun: bool,
    feed: Feed,
}

impl Source {
    /// Both ends of a source that holds `capacity` samples.
    pub fn pair(number: u64, rate: u32, capacity: usize, exclusive: bool) -> (Writer, Source) {
        let (producer, ring) = RingBuffer::new(capacity);
        let state = Arc::new(SourceState {
            gain: AtomicU32::new(1f32.to_bits()),
            ..SourceState::default()
        });
        let source = Source {
            number,
            exclusive,
            rate,
            ring,
            state: Arc::clone(&state),
            begun: false,
            feed: Feed::to(rate),
        };
        let writer = Writer {
            number,
            rate,
            samples: Mutex::new((producer, 0)),
            state,
        };
        (writer, source)
    }

    fn discard(&mut self) {
        let cleared = self.state.cleared.load(Ordering::Acquire);
        let played = self.state.played.load(Ordering::Relaxed);
        let stale = usize::try_from(cleared.saturating_sub(played)).unwrap_or(usize::MAX);
        let stale = stale.min(self.ring.slots());
        if let Ok(chunk) = self.ring.read_chunk(stale)
            && stale > 0
        {
            chunk.commit_all();
            self.state.played.fetch_add(stale as u64, Ordering::Relaxed);
            // What comes next is a new beginning, for which nobody is late yet.
            self.begun = false;
        }
    }

    /// Draw the next 20 ms into `frame`.
    pub fn draw(&mut self, frame: &mut Pcm) -> Drawn {
        self.discard();
        // Before the count: what was written before the end is seen then.
        let over = self.state.finished.load(Ordering::Acquire) || self.ring.is_abandoned();
        let waiting = self.ring.slots();
        if self.state.paused.load(Ordering::Relaxed) {
            return if over && waiting == 0 { Drawn::Ended } else { Drawn::Nothing };
        }
        frame.hush(self.rate);
        let wanted = frame.samples().len();
        if waiting < wanted && !over {
            self.state.underruns.fetch_add(u64::from(self.begun), Ordering::Relaxed);
            return Drawn::Nothing;
        }
        if waiting == 0 {
            return Drawn::Ended;
        }
        self.begun = true;
        let Ok(chunk) = self.ring.read_chunk(waiting.min(wanted)) else {
            return Drawn::Nothing;
        };
        let gain = f32::from_bits(self.state.gain.load(Ordering::Relaxed));
        let (first, second) = chunk.as_slices();
        let length = first.len() + second.len();
        for (out, sample) in frame.samples_mut().iter_mut().zip(first.iter().chain(second)) {
            // `as` saturates; a gain of one is exact.
            *out = (f32::from(*sample) * gain) as i16;
        }
        chunk.commit_all();
        self.state.played.fetch_add(length as u64, Ordering::Relaxed);
        Drawn::Frame
    }

    /// Its frame at another rate.
    pub fn bring<'a>(&'a mut self, frame: &'a Pcm, rate: u32) -> &'a Pcm {
        self.feed.set_rate(rate);
        self.feed.bring(frame)
    }
}

#[derive(Debug)]
struct SinkState {
    lost: AtomicU64,
    /// The tick of the first frame, `u64::MAX` before it.
    first_tick: AtomicU64,
}

/// The application's end of a sink.
pub struct Reader {
    number: u64,
    rate: u32,
    samples: Mutex<Consumer<i16>>,
    state: Arc<SinkState>,
}

impl Reader {
    /// Its number.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Samples a second.
    #[must_use]
    pub const fn rate(&self) -> u32 {
        self.rate
    }

    /// Samples that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        lock(&self.samples).slots()
    }

    /// Take samples; how many there were.
    pub fn read(&self, out: &mut [i16]) -> usize {
        let (taken, _) = lock(&self.samples).pop_partial_slice(out);
        taken.len()
    }

    /// Frames that found no room.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.state.lost.load(Ordering::Relaxed)
    }

    /// The number of the 20 ms, on the engine's clock, at which it began; by it the frames of two sinks are laid side by side.
    #[must_use]
    pub fn first_tick(&self) -> Option<u64> {
        let tick = self.state.first_tick.load(Ordering::Acquire);
        (tick != u64::MAX).then_some(tick)
    }

    /// Whether there is still somebody who fills it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !lock(&self.samples).is_abandoned()
    }
}

/// The worker's end of a sink.
pub struct Sink {
    /// Its number.
    pub number: u64,
    /// What it takes.
    pub side: Side,
    wakes: bool,
    ring: Producer<i16>,
    state: Arc<SinkState>,
    feed: Feed,
}

impl Sink {
    /// Both ends of a sink that holds `capacity` samples; with `wakes` each frame wakes the application.
    pub fn pair(number: u64, rate: u32, capacity: usize, side: Side, wakes: bool) -> (Reader, Sink) {
        let (ring, consumer) = RingBuffer::new(capacity);
        let state = Arc::new(SinkState {
            lost: AtomicU64::new(0),
            first_tick: AtomicU64::new(u64::MAX),
        });
        let sink = Sink {
            number,
            side,
            wakes,
            ring,
            state: Arc::clone(&state),
            feed: Feed::to(rate),
        };
        let reader = Reader {
            number,
            rate,
            samples: Mutex::new(consumer),
            state,
        };
        (reader, sink)
    }

    /// Give it a frame; whether the application is to be woken.
    pub fn give(&mut self, tick: u64, frame: &Pcm) -> bool {
        let samples = self.feed.bring(frame).samples();
        let _ = self
            .state
            .first_tick
            .compare_exchange(u64::MAX, tick, Ordering::Release, Ordering::Relaxed);
        if self.ring.slots() < samples.len() {
            self.state.lost.fetch_add(1, Ordering::Relaxed);
            return self.wakes;
        }
        let _ = self.ring.push_entire_slice(samples);
        self.wakes
    }

    /// Whether nobody reads it any more.
    pub fn is_abandoned(&self) -> bool {
        self.ring.is_abandoned()
    }
}

/// How many samples so many frames hold; of no frames as many as of one.
#[must_use]
pub fn capacity(rate: u32, frames: u32) -> usize {
    (rate / FRAMES_PER_S) as usize * frames.max(1) as usize
}
