//! What the control side tells a worker, and how frames cross from one worker to another.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use rtrb::{Consumer, Producer, RingBuffer};
use trunkline_media::audio::room::Part;
use trunkline_media::leg::{Configuration, Frame, Heard, Statistics};
use trunkline_media::rtp;

use super::desk::{Line, Seat};
use super::ports::Sockets;
use super::streams::{Sink, Source};
use super::wake::Wake;

/// Frames that wait between two workers: 1.28 s of 20 ms packets. What comes when it is full is dropped.
const RING_FRAMES: usize = 64;
/// The largest packet that crosses, its header included.
const CROSSING_BYTES: usize = 1500;

/// A command; those to unknown legs do nothing.
pub enum Command {
    /// A new leg.
    Open { leg: u64, seed: u64, sockets: Box<Sockets> },
    /// Apply a media plan.
    Configure { leg: u64, plan: Box<Configuration> },
    /// Relay between two legs of this worker.
    Link { a: u64, b: u64, link: u32 },
    /// Relay between a leg of this worker and one of another.
    Cross { leg: u64, crossing: Box<Crossing> },
    /// Stop relaying.
    Unlink { leg: u64 },
    /// Send a tone.
    PlayTone { leg: u64, frequency_hz: f64, level_dbm0: f64 },
    /// Stop it.
    StopTone { leg: u64 },
    /// Send telephone events.
    SendDigits { leg: u64, digits: String, duration: Duration },
    /// Hear digits in the peer's audio, or no longer.
    HearDigits { leg: u64, on: bool },
    /// Start the tone detector.
    Listen { leg: u64 },
    /// Answer with what was heard.
    Heard { leg: u64, reply: SyncSender<Option<Heard>> },
    /// Answer with the counts.
    Statistics { leg: u64, reply: SyncSender<Option<Statistics>> },
    /// A new room; with `watched` it tells who speaks.
    OpenRoom { room: u64, watched: bool },
    /// It is over; its legs hear nothing until their lines are taken away.
    CloseRoom { room: u64 },
    /// Let a leg in, which has the other end.
    Seat { room: u64, seat: Box<Seat> },
    /// Let it go.
    Rise { room: u64, leg: u64 },
    /// Change how it takes part.
    Adjust { room: u64, leg: u64, part: Part },
    /// Answer how loud each leg in a room is, in dBm0.
    Levels {
        room: u64,
        reply: SyncSender<Option<Vec<(u64, f32)>>>,
    },
    /// The leg's end of its place in a room, or none any more.
    Line { leg: u64, line: Option<Box<Line>> },
    /// Play to a leg or a room.
    Play { target: u64, source: Box<Source> },
    /// Take what is heard from a leg or a room.
    Fill { target: u64, sink: Box<Sink> },
    /// Tell what a leg's audio is made of, or no longer.
    Attend { leg: u64, wanted: bool },
    /// End either.
    EndStream { target: u64, stream: u64 },
    /// Fall silent: the call ended while Python was busy.
    Stop { leg: u64 },
    /// Close the sockets and answer with the last counts.
    Close { leg: u64, reply: SyncSender<Option<Statistics>> },
    /// Answer when all that was told before is done.
    Echo { reply: SyncSender<()> },
    /// End the thread.
    Quit,
    /// Panic at the leg's next packet.
    #[cfg(test)]
    Fault { leg: u64 },
    /// Panic at once.
    #[cfg(test)]
    Panic,
}

/// One end of a link between two workers.
pub struct Crossing {
    /// The link's number.
    pub link: u32,
    out: Producer<CrossingFrame>,
    inbox: Consumer<CrossingFrame>,
    other: Arc<Wake>,
}

/// A frame with its bytes.
struct CrossingFrame {
    frame: Frame,
    data: [u8; CROSSING_BYTES],
}

impl Crossing {
    /// Both ends of a new link between the workers that `a` and `b` wake.
    pub fn pair(link: u32, a: &Arc<Wake>, b: &Arc<Wake>) -> (Self, Self) {
        let (to_b, from_a) = RingBuffer::new(RING_FRAMES);
        let (to_a, from_b) = RingBuffer::new(RING_FRAMES);
        let end_a = Crossing {
            link,
            out: to_b,
            inbox: from_b,
            other: Arc::clone(b),
        };
        let end_b = Crossing {
            link,
            out: to_a,
            inbox: from_a,
            other: Arc::clone(a),
        };
        (end_a, end_b)
    }

    /// Hand a frame of `buffer` to the other worker; false when it does not fit.
    pub fn push(&mut self, frame: Frame, buffer: &[u8]) -> bool {
        let mut data = [0; CROSSING_BYTES];
        let range = rtp::HEADER_LENGTH..rtp::HEADER_LENGTH + frame.payload.len();
        let (Some(from), Some(to)) = (buffer.get(frame.payload.clone()), data.get_mut(range.clone())) else {
            return false;
        };
        to.copy_from_slice(from);
        let pushed = self
            .out
            .push(CrossingFrame {
                frame: Frame { payload: range, ..frame },
                data,
            })
            .is_ok();
        self.other.wake();
        pushed
    }

    /// Take a frame of the other worker into `buffer`.
    pub fn pop(&mut self, buffer: &mut [u8]) -> Option<Frame> {
        let CrossingFrame { frame, data } = self.inbox.pop().ok()?;
        buffer.get_mut(..frame.payload.end)?.copy_from_slice(data.get(..frame.payload.end)?);
        Some(frame)
    }
}
