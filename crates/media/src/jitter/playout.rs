//! What a jitter buffer says: what became of a packet, what comes next, and what it counted.

use std::time::Duration;

#[cfg(doc)]
use super::Buffer;
use crate::rtp::Header;

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It is held.
    Held,
    /// It came after its place was played.
    Late,
    /// It was here before.
    Duplicate,
    /// It is of another source or far from its stream; it is played if the next in line follows.
    Suspect,
    /// It is longer than the settings allow.
    TooLong,
}

/// A packet whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Its header as received.
    pub header: Header,
    /// Its codec's clock.
    pub clock_rate: u32,
    /// Where it lies on the timeline; rises from packet to packet.
    pub position: i64,
    /// What the codec reads.
    pub payload: &'a [u8],
    /// Its sound goes on from what was played before; otherwise the joint is to be smoothed.
    pub joined: bool,
}

/// What comes next. Spans are in units of the timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Playout<'a> {
    /// A packet; [`Buffer::played`] must say how much it held.
    Packet(Packet<'a>),
    /// Audio is missing: conceal this much.
    Lost {
        /// How much.
        span: u32,
        /// The packet behind the lost one, when it alone is missing and wholly: it may hold the lost one's audio (FEC).
        next: Option<Packet<'a>>,
    },
    /// The sender has nothing to say: comfort noise.
    Silence {
        /// How much.
        span: u32,
    },
    /// Nothing arrived yet, or nothing any more.
    Nothing,
}

/// Counts of a buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Packets taken out to be played.
    pub played: u64,
    /// Packets that were not there when their place was played.
    pub lost: u64,
    /// Packets that came after their place was played.
    pub late: u64,
    /// Packets that were here before.
    pub duplicates: u64,
    /// Packets that came behind a newer one.
    pub reordered: u64,
    /// Packets given up because too much was held, or because they had been held too long.
    pub skipped: u64,
    /// Packets refused: too long, or suspect and never confirmed.
    pub refused: u64,
    /// How much was concealed. What was concealed before it turned out that the sender was silent does not count.
    pub concealed: Duration,
    /// Times the stream began anew: another source, another timeline.
    pub restarts: u64,
    /// Stretches that made the delay longer.
    pub inserts: u64,
    /// Stretches that made it shorter.
    pub removals: u64,
    /// How long after the fastest packet the last one was played.
    pub depth: Duration,
    /// How long it should have been.
    pub target: Duration,
    /// Packets held now.
    pub held: u16,
}
