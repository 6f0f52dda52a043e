//! SIP without I/O: messages, session descriptions, digest, transactions and the endpoint that owns them.
//!
//! Nothing here knows a socket, a thread, a clock or a random source: time ([`time::Time`]) and seeds come in as arguments, bytes and
//! events go out. `trunkline-engine` gives it sockets, `trunkline-python` shows it to Python.
#![forbid(unsafe_code)]

pub mod build;
pub mod digest;
pub mod endpoint;
pub mod flow;
pub mod header;
pub mod mailbox_summary;
pub mod message;
pub mod multipart;
pub mod nonce;
pub mod pidf;
pub mod redaction;
pub mod sdp;
pub mod sipfrag;
pub mod stream;
pub mod time;
pub mod token;
pub mod transaction;
pub mod uri;
