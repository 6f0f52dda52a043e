//! The Python extension module `_trunkline`: it converts values and events and holds no logic.

use pyo3::prelude::*;

mod digest;
mod endpoint;
mod fields;
mod flow;
mod mailbox_summary;
mod media;
mod media_plan;
mod message;
mod parts;
mod pidf;
mod sdp;
mod streams;
mod values;

/// Messages are made on the SIP thread and let go on Python's. The system's allocator keeps such pieces in the arena of the thread
/// that made them, where they pin pages; this one gives them back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The Rust half of trunkline; `src/_trunkline/__init__.pyi` is its typed face.
#[pymodule(gil_used = false)]
fn _trunkline(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    values::register(module)?;
    message::register(module)?;
    fields::register(module)?;
    flow::register(module)?;
    digest::register(module)?;
    media_plan::register(module)?;
    sdp::register(module)?;
    pidf::register(module)?;
    mailbox_summary::register(module)?;
    endpoint::register(module)?;
    media::register(module)?;
    streams::register(module)?;
    Ok(())
}
