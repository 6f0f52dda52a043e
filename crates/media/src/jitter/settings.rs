//! The bounds of a jitter buffer, as the leg's configuration sets them.

use std::time::Duration;

/// How long packets are held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Always so long after the fastest packet.
    Fixed(Duration),
    /// As long as the network needs, within these bounds.
    Adaptive {
        /// Never less.
        min: Duration,
        /// Never more.
        max: Duration,
    },
}

impl Depth {
    pub(super) const fn least(self) -> Duration {
        match self {
            Depth::Fixed(depth) | Depth::Adaptive { min: depth, .. } => depth,
        }
    }

    pub(super) const fn most(self) -> Duration {
        match self {
            Depth::Fixed(depth) | Depth::Adaptive { max: depth, .. } => depth,
        }
    }
}

impl Default for Depth {
    fn default() -> Self {
        Depth::Adaptive {
            min: Duration::from_millis(20),
            max: Duration::from_millis(300),
        }
    }
}

/// Bounds of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long packets are held back.
    pub depth: Depth,
    /// The most packets held at a time.
    pub packets: u16,
    /// The largest payload in bytes; longer packets are refused.
    pub payload_bytes: u16,
    /// The most that may lie between the oldest and the newest packet held.
    pub held: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            depth: Depth::default(),
            packets: 64,
            payload_bytes: 1500,
            held: Duration::from_millis(500),
        }
    }
}
