//! The media classes: MediaEngine around the Rust workers, and the snapshots it returns. Its events are in `events`.
//!
//! Methods that wait for a worker release the GIL; the wait is bounded by the engine. Codecs come as `sdp::PyCodec`.

mod events;

use std::net::IpAddr;
use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use trunkline_engine::media::{Engine, LegEnd, Options};
use trunkline_media::audio::circle::{Circle, MAX_NAMED};
use trunkline_media::audio::room::Part;
use trunkline_media::codec::Codec;
use trunkline_media::coder::Decoder;
use trunkline_media::inband::tones;
use trunkline_media::leg::{Configuration, Heard, Statistics};
use trunkline_media::protect::Keys;
use trunkline_media::srtp::{MasterKey, Suite};

use crate::flow::{Address, address, socket_addr};
use crate::media_plan::{PyCodec, PySrtpKeys};
use crate::streams::{self, PyPcmSink, PyPcmSource};

/// No digit and no pause is made longer.
const MAX_TONE_MS: u32 = 10_000;

/// Counts of one leg; a snapshot.
#[pyclass(frozen, get_all, module = "_trunkline", name = "LegStatistics")]
struct PyLegStatistics {
    packets_received: u64,
    bytes_received: u64,
    packets_sent: u64,
    bytes_sent: u64,
    packets_lost: u64,
    loss_bursts: u64,
    packets_discarded: u64,
    jitter_ms: f64,
    buffer_ms: Option<f64>,
    packets_refused: u64,
    remote_packets_lost: Option<u32>,
    remote_jitter_ms: Option<f64>,
    round_trip_ms: Option<f64>,
    level_dbm0: Option<f64>,
    latched: Option<Address>,
}

impl From<Statistics> for PyLegStatistics {
    fn from(counts: Statistics) -> Self {
        PyLegStatistics {
            packets_received: counts.packets_received,
            bytes_received: counts.bytes_received,
            packets_sent: counts.packets_sent,
            bytes_sent: counts.bytes_sent,
            packets_lost: counts.packets_lost,
            loss_bursts: counts.loss_bursts,
            packets_discarded: counts.packets_discarded,
            jitter_ms: counts.jitter_ms,
            buffer_ms: counts.buffer_ms,
            packets_refused: counts.packets_refused,
            remote_packets_lost: counts.remote_packets_lost,
            remote_jitter_ms: counts.remote_jitter_ms,
            round_trip_ms: counts.round_trip_ms,
            level_dbm0: counts.level_dbm0,
            latched: counts.latched.map(address),
        }
    }
}

#[pymethods]
impl PyLegStatistics {
    fn __repr__(&self) -> String {
        let PyLegStatistics {
            packets_received,
            packets_sent,
            packets_lost,
            packets_refused,
            jitter_ms,
            latched,
            ..
        } = self;
        let latched = latched
            .as_ref()
            .map_or_else(|| "None".to_owned(), |(host, port)| format!("({host:?}, {port})"));
        format!(
            "LegStatistics(packets_received={packets_received}, packets_sent={packets_sent}, packets_lost={packets_lost}, \
             packets_refused={packets_refused}, jitter_ms={jitter_ms:.3}, latched={latched})"
        )
    }
}

/// What a leg's tone detector heard since it was last asked.
#[pyclass(frozen, get_all, module = "_trunkline", name = "Heard")]
struct PyHeard {
    frequency_hz: f64,
    level_dbm0: f64,
    purity: f64,
    duration_s: f64,
    gaps: u64,
    digits: String,
}

impl From<Heard> for PyHeard {
    fn from(heard: Heard) -> Self {
        PyHeard {
            frequency_hz: heard.tone.frequency_hz,
            level_dbm0: heard.tone.level_dbm0,
            purity: heard.tone.purity,
            duration_s: heard.duration.as_secs_f64(),
            gaps: heard.gaps,
            digits: heard.digits,
        }
    }
}

#[pymethods]
impl PyHeard {
    fn __repr__(&self) -> String {
        let PyHeard {
            frequency_hz,
            level_dbm0,
            purity,
            duration_s,
            gaps,
            digits,
        } = self;
        format!(
            "Heard(frequency_hz={frequency_hz:.1}, level_dbm0={level_dbm0:.1}, purity={purity:.3}, duration_s={duration_s:.3}, gaps={gaps}, \
             digits={digits:?})"
        )
    }
}

/// Digits as tones: 8 kHz PCM, int16 in this machine's order.
#[pyfunction]
fn digit_tones<'py>(py: Python<'py>, digits: &str, duration_ms: u32, pause_ms: u32) -> Bound<'py, PyBytes> {
    let samples = tones(digits, duration_ms.min(MAX_TONE_MS), pause_ms.min(MAX_TONE_MS));
    let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_ne_bytes()).collect();
    PyBytes::new(py, &bytes)
}

/// Whether audio in this codec can be decoded and encoded here.
#[pyfunction]
fn can_transcode(codec: &PyCodec) -> bool {
    let codec = codec.inner();
    let made = Codec::new(codec.name(), codec.clock_rate(), u32::from(codec.channels()), 0);
    made.is_some_and(|codec| Decoder::new(&codec).is_some())
}

fn circle(named: Option<Vec<u64>>) -> PyResult<Circle> {
    Circle::of(named).ok_or_else(|| PyValueError::new_err(format!("at most {MAX_NAMED} members can be named")))
}

fn part(gain: f32, muted: bool, deaf: bool, hears: Option<Vec<u64>>, heard_by: Option<Vec<u64>>) -> PyResult<Part> {
    if !gain.is_finite() || !(0.0..=16.0).contains(&gain) {
        return Err(PyValueError::new_err(format!("gain is a factor from 0 to 16, not {gain}")));
    }
    Ok(Part {
        gain,
        muted,
        deaf,
        hears: circle(hears)?,
        heard_by: circle(heard_by)?,
    })
}

fn ip(text: &str) -> PyResult<IpAddr> {
    text.parse()
        .map_err(|_| PyValueError::new_err(format!("not an IP address: {text:?}")))
}

fn seconds(value: f64, name: &str) -> PyResult<Duration> {
    Duration::try_from_secs_f64(value).map_err(|_| PyValueError::new_err(format!("{name} must be a number of seconds, not {value}")))
}

fn codecs(list: &[PyRef<'_, PyCodec>]) -> PyResult<Vec<Codec>> {
    list.iter().map(|codec| media_codec(codec.inner())).collect()
}

fn media_codec(codec: &trunkline_sip::sdp::Codec) -> PyResult<Codec> {
    let payload_type = codec.payload_type();
    let made = payload_type.and_then(|number| Codec::new(codec.name(), codec.clock_rate(), u32::from(codec.channels()), number));
    made.ok_or_else(|| PyValueError::new_err(format!("codec {:?} has no usable payload type: {payload_type:?}", codec.name())))
}

/// The codecs that we may send, each as the peer's `a=fmtp` likes it.
fn send_codecs(list: &[PyRef<'_, PyCodec>]) -> PyResult<Vec<Codec>> {
    let wished = |codec: &PyRef<'_, PyCodec>| {
        let made = media_codec(codec.inner())?;
        Ok(codec.inner().fmtp().map_or(made, |fmtp| made.wished(fmtp)))
    };
    list.iter().map(wished).collect()
}

fn media_keys(keys: &PySrtpKeys) -> PyResult<Keys> {
    let keys = keys.inner();
    let suite = Suite::from_name(keys.suite.name());
    let master = |key: &trunkline_sip::sdp::Key| MasterKey::new(suite?, key.expose());
    let both = master(&keys.receive).zip(master(&keys.send));
    both.map(|(receive, send)| Keys { receive, send })
        .ok_or_else(|| PyValueError::new_err(format!("no suite of the media workers: {}", keys.suite.name())))
}

/// What is left of a leg that `MediaEngine.end_leg` closes.
#[pyclass(frozen, module = "_trunkline", name = "LegEnd")]
struct PyLegEnd {
    end: LegEnd,
}

#[pymethods]
impl PyLegEnd {
    /// The last counts of the leg.
    fn statistics(&self, py: Python<'_>) -> PyResult<Option<PyLegStatistics>> {
        Ok(py.detach(|| self.end.statistics())?.map(PyLegStatistics::from))
    }
}

/// The media workers: threads with an epoll each, RTP sockets from a port range.
#[pyclass(frozen, module = "_trunkline", name = "MediaEngine")]
struct PyMediaEngine {
    engine: Engine,
}

#[pymethods]
impl PyMediaEngine {
    #[new]
    #[pyo3(
        signature = (*, workers=0, port_range=(16384, 32767), event_queue=8192),
        text_signature = "(*, workers=0, port_range=(16384, 32767), event_queue=8192)"
    )]
    fn new(workers: usize, port_range: (u16, u16), event_queue: usize) -> PyResult<Self> {
        let options = Options {
            workers,
            first_port: port_range.0,
            last_port: port_range.1,
            event_queue,
        };
        Ok(PyMediaEngine {
            engine: Engine::start(&options)?,
        })
    }

    fn fileno(&self) -> i32 {
        self.engine.event_fd()
    }

    #[pyo3(signature = (limit=512))]
    fn drain(&self, py: Python<'_>, limit: usize) -> PyResult<Vec<Py<PyAny>>> {
        self.engine
            .drain(limit)
            .into_iter()
            .map(|event| events::event_object(py, event))
            .collect()
    }

    #[pyo3(signature = (address, *, beside=0))]
    fn open_leg(&self, py: Python<'_>, address: &str, beside: u64) -> PyResult<(u64, u16)> {
        let address = ip(address)?;
        Ok(py.detach(|| self.engine.open_leg(address, beside))?)
    }

    #[pyo3(signature = (leg, *, remote_rtp, remote_rtcp, sends, receives, receive_codecs, send_codecs, learn_from=None, silence_timeout_s=0.0, udptl=false, keys=None, ptime_ms=0))]
    #[expect(clippy::too_many_arguments, reason = "the contract's keywords")]
    fn configure(
        &self,
        leg: u64,
        remote_rtp: Option<Address>,
        remote_rtcp: Option<Address>,
        sends: bool,
        receives: bool,
        receive_codecs: Vec<PyRef<'_, PyCodec>>,
        send_codecs: Vec<PyRef<'_, PyCodec>>,
        learn_from: Option<&str>,
        silence_timeout_s: f64,
        udptl: bool,
        keys: Option<&PySrtpKeys>,
        ptime_ms: u32,
    ) -> PyResult<()> {
        let plan = Configuration {
            remote_rtp: remote_rtp.map(socket_addr).transpose()?,
            remote_rtcp: remote_rtcp.map(socket_addr).transpose()?,
            sends,
            receives,
            receive_codecs: codecs(&receive_codecs)?,
            send_codecs: self::send_codecs(&send_codecs)?,
            learn_from: learn_from.map(ip).transpose()?,
            silence_timeout: seconds(silence_timeout_s, "silence_timeout_s")?,
            ptime_ms,
            udptl,
            keys: keys.map(media_keys).transpose()?,
        };
        Ok(self.engine.configure(leg, plan)?)
    }

    #[pyo3(signature = (a, b, *, transcode=false))]
    fn link(&self, a: u64, b: u64, transcode: bool) -> PyResult<()> {
        Ok(self.engine.link(a, b, transcode)?)
    }

    #[pyo3(signature = (*, beside=0))]
    fn open_room(&self, beside: u64) -> PyResult<u64> {
        Ok(self.engine.open_room(beside)?)
    }

    fn close_room(&self, room: u64) -> PyResult<()> {
        Ok(self.engine.close_room(room)?)
    }

    #[pyo3(
        signature = (room, leg, *, gain=1.0, muted=false, deaf=false, hears=None, heard_by=None),
        text_signature = "(self, room, leg, *, gain=1.0, muted=False, deaf=False, hears=None, heard_by=None)"
    )]
    #[expect(clippy::too_many_arguments, reason = "the contract's keywords")]
    fn join_room(
        &self,
        room: u64,
        leg: u64,
        gain: f32,
        muted: bool,
        deaf: bool,
        hears: Option<Vec<u64>>,
        heard_by: Option<Vec<u64>>,
    ) -> PyResult<()> {
        Ok(self.engine.join_room(room, leg, part(gain, muted, deaf, hears, heard_by)?)?)
    }

    #[pyo3(signature = (guest, host, *, heard_by=None))]
    fn visit(&self, guest: u64, host: u64, heard_by: Option<Vec<u64>>) -> PyResult<()> {
        let part = Part {
            heard_by: circle(heard_by)?,
            ..Part::default()
        };
        Ok(self.engine.visit(guest, host, part)?)
    }

    fn levels(&self, py: Python<'_>, room: u64) -> PyResult<Vec<(u64, f32)>> {
        Ok(py.detach(|| self.engine.levels(room))?)
    }

    fn leave_room(&self, leg: u64) -> PyResult<()> {
        Ok(self.engine.leave_room(leg)?)
    }

    #[pyo3(signature = (target, sample_rate, *, frames=100, exclusive=false))]
    fn open_source(&self, target: u64, sample_rate: u32, frames: u32, exclusive: bool) -> PyResult<PyPcmSource> {
        let writer = self.engine.open_source(target, sample_rate, frames, exclusive)?;
        Ok(PyPcmSource { writer })
    }

    #[pyo3(signature = (target, sample_rate, *, side="heard", frames=100, wakes=false))]
    fn open_sink(&self, target: u64, sample_rate: u32, side: &str, frames: u32, wakes: bool) -> PyResult<PyPcmSink> {
        let side = streams::side(side)?;
        let reader = self.engine.open_sink(target, sample_rate, frames, side, wakes)?;
        Ok(PyPcmSink { reader })
    }

    fn end_stream(&self, target: u64, stream: u64) -> PyResult<()> {
        Ok(self.engine.end_stream(target, stream)?)
    }

    fn unlink(&self, leg: u64) -> PyResult<()> {
        Ok(self.engine.unlink(leg)?)
    }

    #[pyo3(
        signature = (leg, frequency_hz, level_dbm0=-10.0),
        text_signature = "(self, leg, frequency_hz, level_dbm0=-10.0)"
    )]
    fn play_tone(&self, leg: u64, frequency_hz: f64, level_dbm0: f64) -> PyResult<()> {
        Ok(self.engine.play_tone(leg, frequency_hz, level_dbm0)?)
    }

    fn stop_tone(&self, leg: u64) -> PyResult<()> {
        Ok(self.engine.stop_tone(leg)?)
    }

    #[pyo3(signature = (leg, digits, duration_ms=100))]
    fn send_digits(&self, leg: u64, digits: String, duration_ms: u32) -> PyResult<()> {
        Ok(self
            .engine
            .send_digits(leg, digits, Duration::from_millis(u64::from(duration_ms)))?)
    }

    fn hear_digits(&self, leg: u64, on: bool) -> PyResult<()> {
        Ok(self.engine.hear_digits(leg, on)?)
    }

    fn listen(&self, leg: u64) -> PyResult<()> {
        Ok(self.engine.listen(leg)?)
    }

    fn attend(&self, leg: u64, wanted: bool) -> PyResult<()> {
        Ok(self.engine.attend(leg, wanted)?)
    }

    /// An unknown leg has heard silence.
    fn heard(&self, py: Python<'_>, leg: u64) -> PyResult<PyHeard> {
        let heard = py.detach(|| self.engine.heard(leg))?;
        Ok(heard.unwrap_or_default().into())
    }

    fn statistics(&self, py: Python<'_>, leg: u64) -> PyResult<Option<PyLegStatistics>> {
        Ok(py.detach(|| self.engine.statistics(leg))?.map(PyLegStatistics::from))
    }

    fn close_leg(&self, py: Python<'_>, leg: u64) -> PyResult<Option<PyLegStatistics>> {
        Ok(py.detach(|| self.engine.close_leg(leg))?.map(PyLegStatistics::from))
    }

    /// Close a leg without waiting for its worker.
    fn end_leg(&self, leg: u64) -> PyResult<PyLegEnd> {
        Ok(PyLegEnd {
            end: self.engine.end_leg(leg)?,
        })
    }

    fn hold(&self) {
        self.engine.hold();
    }

    fn release(&self) {
        self.engine.release();
    }

    fn counters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let counters = self.engine.counters();
        let dict = PyDict::new(py);
        dict.set_item("legs", counters.legs)?;
        dict.set_item("ports_used", counters.ports_used)?;
        dict.set_item("workers", counters.workers)?;
        dict.set_item("rooms", counters.rooms)?;
        dict.set_item("late_ticks", counters.late_ticks)?;
        dict.set_item("packets", counters.packets)?;
        Ok(dict)
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| self.engine.close());
    }
}

/// Add this file's classes and functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyLegStatistics>()?;
    module.add_class::<PyHeard>()?;
    module.add_class::<PyLegEnd>()?;
    module.add_function(wrap_pyfunction!(digit_tones, module)?)?;
    module.add_function(wrap_pyfunction!(can_transcode, module)?)?;
    module.add_class::<PyMediaEngine>()?;
    events::register(module)
}
