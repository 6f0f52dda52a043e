//! The audio path of a leg: what its peer says as frames of PCM, and back.

pub mod ear;
mod store;
