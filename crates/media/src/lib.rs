//! Media without I/O: RTP, RTCP, latching, G.711, tones and statistics.
//!
//! Nothing here knows a socket, a thread, a clock or a random source: time and seeds come in as arguments.
#![forbid(unsafe_code)]
