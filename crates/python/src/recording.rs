//! The class `RecordingEncoder`: samples of two parties in, bytes of a file out, without the interpreter's lock.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use trunkline_media::recording::{Encoding, RecordingEncoder};

/// What a recording is written with; used by one thread at a time.
#[pyclass(frozen, module = "_trunkline", name = "RecordingEncoder")]
pub struct PyRecordingEncoder {
    encoder: Mutex<RecordingEncoder>,
}

impl PyRecordingEncoder {
    /// An encoder that panicked half-way is still one.
    fn encoder(&self) -> MutexGuard<'_, RecordingEncoder> {
        self.encoder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn written<'py>(&self, py: Python<'py>, write: impl FnOnce(&mut RecordingEncoder, &mut Vec<u8>) + Send) -> Bound<'py, PyBytes> {
        let out = py.detach(|| {
            let mut out = Vec::new();
            write(&mut self.encoder(), &mut out);
            out
        });
        PyBytes::new(py, &out)
    }
}

#[pymethods]
impl PyRecordingEncoder {
    #[new]
    #[pyo3(signature = (encoding, sample_rate, *, stereo, serial = 0))]
    fn new(encoding: &str, sample_rate: u32, stereo: bool, serial: u32) -> PyResult<Self> {
        let kind = Encoding::named(encoding)
            .ok_or_else(|| PyValueError::new_err(format!("encoding is \"pcm\", \"ulaw\", \"alaw\" or \"opus\", not {encoding:?}")))?;
        let encoder = RecordingEncoder::new(kind, sample_rate, stereo, serial)
            .ok_or_else(|| PyValueError::new_err(format!("{encoding} knows no {sample_rate} Hz")))?;
        Ok(PyRecordingEncoder {
            encoder: Mutex::new(encoder),
        })
    }

    fn begin<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        self.written(py, RecordingEncoder::begin)
    }

    fn encode<'py>(&self, py: Python<'py>, left: &Bound<'py, PyAny>, right: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
        let left = PyBuffer::<i16>::get(left)?.to_vec(py)?;
        let right = PyBuffer::<i16>::get(right)?.to_vec(py)?;
        Ok(self.written(py, move |encoder, out| encoder.encode(&left, &right, out)))
    }

    fn end<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        self.written(py, RecordingEncoder::end)
    }
}

/// Add this file's class to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyRecordingEncoder>()
}
