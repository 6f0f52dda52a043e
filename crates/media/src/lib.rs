//! Media without I/O: RTP, RTCP, latching, codecs, tones and statistics.
//!
//! Nothing here knows a socket, a thread, a clock or a random source: time ([`time::Time`]) and seeds come in as arguments. A datagram
//! passes through stages, first-byte demux ([`demux`]), unprotect ([`protect`]), parse ([`rtp`]), judge ([`latch`]), map ([`codec`],
//! [`outbound`]), protect; [`leg`] composes them, `trunkline-engine` gives it sockets.
#![forbid(unsafe_code)]

pub mod audio;
pub mod codec;
pub mod coder;
pub mod conceal;
pub mod demux;
pub mod detector;
pub mod dtmf;
pub mod g711;
pub mod hearing;
pub mod inband;
pub mod jitter;
pub mod latch;
pub mod leg;
pub mod outbound;
mod pitch;
pub mod protect;
pub mod random;
pub mod recording;
pub mod resample;
pub mod rtcp;
pub mod rtp;
pub mod sound;
pub mod srtp;
pub mod statistics;
pub mod stretch;
pub mod time;
pub mod tone;
