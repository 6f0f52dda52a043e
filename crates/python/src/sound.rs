//! The class of a file that is played: `SoundReader`. Its methods may wait for a disk, and let other threads run meanwhile.

use std::io::Cursor;
use std::path::PathBuf;

use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyByteArray, PyBytes};
use trunkline_engine::media::sound::SoundFile;
use trunkline_media::sound::Unplayable;

use crate::streams;

/// What a disk says is an `OSError`, what is wrong with a file a `ValueError` whose text follows the file's name.
fn raised(error: Unplayable) -> PyErr {
    let Unplayable::Io(error) = error else {
        return PyValueError::new_err(error.to_string());
    };
    let text = error.to_string();
    let Some(number) = error.raw_os_error() else {
        return PyOSError::new_err(text);
    };
    // Python shows the number by itself, and finds the subclass by it.
    let words = text.split_once(" (os error").map_or(text.as_str(), |(words, _)| words);
    PyOSError::new_err((number, words.to_owned()))
}

/// A file that is being played.
#[pyclass(frozen, module = "_trunkline", name = "SoundReader")]
struct PySoundReader {
    file: SoundFile,
}

#[pymethods]
impl PySoundReader {
    #[new]
    fn new(audio: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = audio.py();
        let file = if let Ok(bytes) = audio.cast::<PyBytes>() {
            // The object's own memory: many calls may play it.
            let bytes = PyBackedBytes::from(bytes.clone());
            py.detach(|| SoundFile::of(Box::new(Cursor::new(bytes))))
        } else {
            let path: PathBuf = audio.extract()?;
            py.detach(|| SoundFile::open(&path))
        };
        Ok(PySoundReader {
            file: file.map_err(raised)?,
        })
    }

    #[getter]
    const fn sample_rate(&self) -> u32 {
        self.file.rate()
    }

    /// The next samples, as int16 in this machine's order.
    fn read<'py>(&self, py: Python<'py>, samples: usize) -> PyResult<Bound<'py, PyByteArray>> {
        let read = py.detach(|| self.file.read(samples)).map_err(raised)?;
        streams::array(py, &read)
    }

    fn seek(&self, py: Python<'_>, position_s: f64) -> PyResult<()> {
        py.detach(|| self.file.seek(position_s)).map_err(raised)
    }

    fn __repr__(&self) -> String {
        format!("SoundReader(sample_rate={})", self.file.rate())
    }
}

/// Add this file's class to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PySoundReader>()
}
