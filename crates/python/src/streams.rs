//! The classes of PCM that crosses to Python: `PcmSource` and `PcmSink`, samples as int16 in any object with the buffer protocol.

use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyByteArray;
use trunkline_engine::media::streams::{Reader, Side, Writer};

/// The side that `side` names.
pub fn side(name: &str) -> PyResult<Side> {
    match name {
        "heard" => Ok(Side::Heard),
        "said" => Ok(Side::Said),
        _ => Err(PyValueError::new_err(format!("side is \"heard\" or \"said\", not {name:?}"))),
    }
}

/// The int16 samples of a buffer: one of int16, or of bytes in this machine's order.
fn samples(data: &Bound<'_, PyAny>) -> PyResult<Vec<i16>> {
    if let Ok(buffer) = PyBuffer::<i16>::get(data) {
        return buffer.to_vec(data.py());
    }
    let bytes = PyBuffer::<u8>::get(data)?.to_vec(data.py())?;
    let (pairs, rest) = bytes.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(PyValueError::new_err("int16 samples have an even number of bytes"));
    }
    Ok(pairs.iter().map(|pair| i16::from_ne_bytes(*pair)).collect())
}

/// Samples as a bytearray of int16 in this machine's order.
pub fn array<'py>(py: Python<'py>, samples: &[i16]) -> PyResult<Bound<'py, PyByteArray>> {
    PyByteArray::new_with(py, samples.len() * 2, |bytes| {
        let (pairs, _) = bytes.as_chunks_mut::<2>();
        for (pair, sample) in pairs.iter_mut().zip(samples) {
            *pair = sample.to_ne_bytes();
        }
        Ok(())
    })
}

/// What is played to a leg or a room; samples go in here.
#[pyclass(frozen, module = "_trunkline", name = "PcmSource")]
pub struct PyPcmSource {
    pub writer: Writer,
}

#[pymethods]
impl PyPcmSource {
    #[getter]
    const fn number(&self) -> u64 {
        self.writer.number()
    }

    #[getter]
    const fn sample_rate(&self) -> u32 {
        self.writer.rate()
    }

    #[getter]
    fn room(&self) -> usize {
        self.writer.room()
    }

    #[getter]
    fn played(&self) -> u64 {
        self.writer.played()
    }

    #[getter]
    fn underruns(&self) -> u64 {
        self.writer.underruns()
    }

    #[getter]
    fn is_open(&self) -> bool {
        self.writer.is_open()
    }

    fn write(&self, data: &Bound<'_, PyAny>) -> PyResult<usize> {
        Ok(self.writer.write(&samples(data)?))
    }

    fn finish(&self) {
        self.writer.finish();
    }

    fn clear(&self) {
        self.writer.clear();
    }

    fn restart(&self) {
        self.writer.restart();
    }

    fn pause(&self, paused: bool) {
        self.writer.pause(paused);
    }

    fn set_gain(&self, gain: f32) -> PyResult<()> {
        if !gain.is_finite() || !(0.0..=16.0).contains(&gain) {
            return Err(PyValueError::new_err(format!("gain is a factor from 0 to 16, not {gain}")));
        }
        self.writer.set_gain(gain);
        Ok(())
    }

    fn __repr__(&self) -> String {
        format!("PcmSource(number={}, sample_rate={})", self.writer.number(), self.writer.rate())
    }
}

/// What is taken from a leg or a room; samples come out here.
#[pyclass(frozen, module = "_trunkline", name = "PcmSink")]
pub struct PyPcmSink {
    pub reader: Reader,
}

#[pymethods]
impl PyPcmSink {
    #[getter]
    const fn number(&self) -> u64 {
        self.reader.number()
    }

    #[getter]
    const fn sample_rate(&self) -> u32 {
        self.reader.rate()
    }

    #[getter]
    fn waiting(&self) -> usize {
        self.reader.waiting()
    }

    #[getter]
    fn lost(&self) -> u64 {
        self.reader.lost()
    }

    #[getter]
    fn first_tick(&self) -> Option<u64> {
        self.reader.first_tick()
    }

    #[getter]
    fn is_open(&self) -> bool {
        self.reader.is_open()
    }

    /// Up to so many samples, as int16 in this machine's order.
    fn read<'py>(&self, py: Python<'py>, samples: usize) -> PyResult<Bound<'py, PyByteArray>> {
        let mut taken = vec![0; samples.min(self.reader.waiting())];
        let count = self.reader.read(&mut taken);
        array(py, taken.get(..count).unwrap_or_default())
    }

    fn __repr__(&self) -> String {
        format!("PcmSink(number={}, sample_rate={})", self.reader.number(), self.reader.rate())
    }
}

/// Add this file's classes to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyPcmSource>()?;
    module.add_class::<PyPcmSink>()?;
    Ok(())
}
