//! Threads and sockets: the one SIP thread with its transports, and the media workers. The only crate that reads a clock.

mod abort;
pub mod media;
pub mod sip;
