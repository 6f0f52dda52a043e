//! The events of the media engine as Python classes, one for each variant, all frozen.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use trunkline_engine::media::Event;
use trunkline_media::audio::FRAME;
use trunkline_media::hearing::{Change, Sound};

use crate::flow::{Address, address};

/// Nothing acceptable arrived on a leg for its silence timeout while its peer was to send.
#[pyclass(frozen, get_all, module = "_trunkline", name = "LegSilent")]
struct PyLegSilent {
    leg: u64,
}

#[pymethods]
impl PyLegSilent {
    /// For the test kit's stand-in.
    #[new]
    const fn new(leg: u64) -> Self {
        PyLegSilent { leg }
    }

    fn __repr__(&self) -> String {
        format!("LegSilent(leg={})", self.leg)
    }
}

/// The leg found where its peer sends from; or found it moved (NAT rebinding).
#[pyclass(frozen, get_all, module = "_trunkline", name = "LegLatched")]
struct PyLegLatched {
    leg: u64,
    remote: Address,
}

#[pymethods]
impl PyLegLatched {
    fn __repr__(&self) -> String {
        format!("LegLatched(leg={}, remote=({:?}, {}))", self.leg, self.remote.0, self.remote.1)
    }
}

/// A leg was closed because its code panicked or its socket failed.
#[pyclass(frozen, get_all, module = "_trunkline", name = "LegFailed")]
struct PyLegFailed {
    leg: u64,
    reason: String,
}

#[pymethods]
impl PyLegFailed {
    fn __repr__(&self) -> String {
        format!("LegFailed(leg={}, reason={:?})", self.leg, self.reason)
    }
}

/// A frame of the linked leg could not be relayed.
#[pyclass(frozen, get_all, module = "_trunkline", name = "LegForeign")]
struct PyLegForeign {
    leg: u64,
}

#[pymethods]
impl PyLegForeign {
    /// For the test kit's stand-in.
    #[new]
    const fn new(leg: u64) -> Self {
        PyLegForeign { leg }
    }

    fn __repr__(&self) -> String {
        format!("LegForeign(leg={})", self.leg)
    }
}

/// A key that a leg's peer pressed.
#[pyclass(frozen, get_all, module = "_trunkline", name = "LegDigit")]
struct PyLegDigit {
    leg: u64,
    digit: char,
    duration_ms: u32,
    clock_rate: u32,
}

#[pymethods]
impl PyLegDigit {
    /// For the test kit's stand-in.
    #[new]
    const fn new(leg: u64, digit: char, duration_ms: u32, clock_rate: u32) -> Self {
        PyLegDigit {
            leg,
            digit,
            duration_ms,
            clock_rate,
        }
    }

    /// The digit is not shown: it may be of a number that is secret.
    fn __repr__(&self) -> String {
        format!(
            "LegDigit(leg={}, duration_ms={}, clock_rate={})",
            self.leg, self.duration_ms, self.clock_rate
        )
    }
}

/// A source is played no more.
#[pyclass(frozen, get_all, module = "_trunkline", name = "SourceEnded")]
struct PySourceEnded {
    source: u64,
    complete: bool,
}

#[pymethods]
impl PySourceEnded {
    /// For the test kit's stand-in.
    #[new]
    const fn new(source: u64, complete: bool) -> Self {
        PySourceEnded { source, complete }
    }

    fn __repr__(&self) -> String {
        format!(
            "SourceEnded(source={}, complete={})",
            self.source,
            if self.complete { "True" } else { "False" }
        )
    }
}

/// What a leg hears is of another kind now.
#[pyclass(frozen, get_all, module = "_trunkline", name = "SoundChanged")]
struct PySoundChanged {
    leg: u64,
    sound: &'static str,
    age_s: f64,
    frequency_hz: f64,
    ended_dbm0: f64,
}

impl PySoundChanged {
    fn of(leg: u64, change: &Change) -> Self {
        let sound = match change.sound {
            Sound::Silence => "silence",
            Sound::Voice => "voice",
            Sound::Tone => "tone",
            Sound::Noise => "noise",
        };
        PySoundChanged {
            leg,
            sound,
            age_s: change.age as f64 * FRAME.as_secs_f64(),
            frequency_hz: change.frequency_hz,
            ended_dbm0: change.ended_dbm0,
        }
    }
}

#[pymethods]
impl PySoundChanged {
    /// For the test kit's stand-in.
    #[new]
    fn new(leg: u64, sound: &str, age_s: f64, frequency_hz: f64, ended_dbm0: f64) -> PyResult<Self> {
        let known = ["silence", "voice", "tone", "noise"].into_iter().find(|known| *known == sound);
        let sound = known.ok_or_else(|| PyValueError::new_err(format!("no kind of sound: {sound:?}")))?;
        Ok(PySoundChanged {
            leg,
            sound,
            age_s,
            frequency_hz,
            ended_dbm0,
        })
    }

    fn __repr__(&self) -> String {
        let PySoundChanged {
            leg,
            sound,
            age_s,
            frequency_hz,
            ended_dbm0,
        } = self;
        format!("SoundChanged(leg={leg}, sound={sound:?}, age_s={age_s:.2}, frequency_hz={frequency_hz:.1}, ended_dbm0={ended_dbm0:.1})")
    }
}

/// Sinks that wake have frames.
#[pyclass(frozen, module = "_trunkline", name = "FramesArrived")]
struct PyFramesArrived;

#[pymethods]
impl PyFramesArrived {
    /// For the test kit's stand-in.
    #[new]
    const fn new() -> Self {
        PyFramesArrived
    }

    const fn __repr__(&self) -> &'static str {
        "FramesArrived()"
    }
}

/// In a room another one speaks.
#[pyclass(frozen, get_all, module = "_trunkline", name = "RoomSpeaker")]
struct PyRoomSpeaker {
    room: u64,
    leg: Option<u64>,
}

#[pymethods]
impl PyRoomSpeaker {
    /// For the test kit's stand-in.
    #[new]
    const fn new(room: u64, leg: Option<u64>) -> Self {
        PyRoomSpeaker { room, leg }
    }

    fn __repr__(&self) -> String {
        let leg = self.leg.map_or_else(|| "None".to_owned(), |leg| leg.to_string());
        format!("RoomSpeaker(room={}, leg={leg})", self.room)
    }
}

/// An event of the engine as its object.
pub fn event_object(py: Python<'_>, event: Event) -> PyResult<Py<PyAny>> {
    Ok(match event {
        Event::Silent { leg } => Py::new(py, PyLegSilent { leg })?.into_any(),
        Event::Latched { leg, remote } => Py::new(
            py,
            PyLegLatched {
                leg,
                remote: address(remote),
            },
        )?
        .into_any(),
        Event::Failed { leg, reason } => Py::new(py, PyLegFailed { leg, reason })?.into_any(),
        Event::Foreign { leg } => Py::new(py, PyLegForeign { leg })?.into_any(),
        Event::Digit { leg, press, clock_rate } => {
            Py::new(py, PyLegDigit::new(leg, press.digit, press.duration_ms, clock_rate))?.into_any()
        }
        Event::SourceEnded { source, complete } => Py::new(py, PySourceEnded { source, complete })?.into_any(),
        Event::Sound { leg, change } => Py::new(py, PySoundChanged::of(leg, &change))?.into_any(),
        Event::Speaker { room, leg } => Py::new(py, PyRoomSpeaker { room, leg })?.into_any(),
        Event::Frames => Py::new(py, PyFramesArrived)?.into_any(),
    })
}

/// Add this file's classes to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyLegSilent>()?;
    module.add_class::<PyLegLatched>()?;
    module.add_class::<PyLegFailed>()?;
    module.add_class::<PyLegForeign>()?;
    module.add_class::<PySourceEnded>()?;
    module.add_class::<PySoundChanged>()?;
    module.add_class::<PyRoomSpeaker>()?;
    module.add_class::<PyLegDigit>()?;
    module.add_class::<PyFramesArrived>()?;
    Ok(())
}
