//! The digest classes: Challenge, Credentials and `digest_ha1`, each around its Rust type.
//!
//! `endpoint` hands Credentials up with a request through `From`; lines answer challenges. No repr shows a password or a digest.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use trunkline_sip::digest::{Algorithm, Answer, Challenge, Credentials, DigestError, ha1};
use trunkline_sip::message::ParseError;

use crate::values::parse_error;

/// A header that is no usable digest, as SipParseError.
fn unreadable(py: Python<'_>, error: &DigestError) -> PyErr {
    parse_error(py, ParseError::new(400, error.to_string()))
}

/// One parsed WWW-Authenticate or Proxy-Authenticate value of scheme Digest.
#[pyclass(frozen, module = "_trunkline", name = "Challenge")]
pub(crate) struct PyChallenge(Challenge);

#[pymethods]
impl PyChallenge {
    #[staticmethod]
    fn parse(py: Python<'_>, text: &str) -> PyResult<PyChallenge> {
        Challenge::parse(text).map(PyChallenge).map_err(|error| unreadable(py, &error))
    }

    #[getter]
    fn realm(&self) -> &str {
        self.0.realm()
    }

    #[getter]
    fn nonce(&self) -> &str {
        self.0.nonce()
    }

    #[getter]
    fn algorithm(&self) -> &str {
        self.0.algorithm()
    }

    #[getter]
    fn qop<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.0.qop())
    }

    #[getter]
    fn stale(&self) -> bool {
        self.0.stale()
    }

    #[getter]
    fn opaque(&self) -> Option<&str> {
        self.0.opaque()
    }

    #[getter]
    fn supported(&self) -> bool {
        self.0.supported()
    }

    #[allow(clippy::too_many_arguments)]
    #[pyo3(signature = (*, username, password, ha1=None, method, uri, cnonce, nonce_count=1))]
    fn authorize(
        &self,
        username: &str,
        password: Option<&str>,
        ha1: Option<&str>,
        method: &str,
        uri: &str,
        cnonce: &str,
        nonce_count: u32,
    ) -> PyResult<String> {
        let answer = Answer {
            username,
            password,
            ha1,
            method,
            uri,
            cnonce,
            nonce_count,
        };
        self.0.authorize(&answer).map_err(|error| PyValueError::new_err(error.to_string()))
    }

    fn __repr__(&self) -> String {
        format!(
            "Challenge(realm={:?}, algorithm={:?}, stale={})",
            self.0.realm(),
            self.0.algorithm(),
            self.0.stale()
        )
    }
}

/// One parsed Authorization or Proxy-Authorization value of scheme Digest.
#[pyclass(frozen, module = "_trunkline", name = "Credentials")]
pub(crate) struct PyCredentials(Credentials);

impl From<Credentials> for PyCredentials {
    fn from(credentials: Credentials) -> Self {
        PyCredentials(credentials)
    }
}

#[pymethods]
impl PyCredentials {
    #[staticmethod]
    fn parse(py: Python<'_>, text: &str) -> PyResult<PyCredentials> {
        Credentials::parse(text).map(PyCredentials).map_err(|error| unreadable(py, &error))
    }

    #[getter]
    fn username(&self) -> &str {
        self.0.username()
    }

    #[getter]
    fn realm(&self) -> &str {
        self.0.realm()
    }

    #[getter]
    fn nonce(&self) -> &str {
        self.0.nonce()
    }

    #[getter]
    fn uri(&self) -> &str {
        self.0.uri()
    }

    #[getter]
    fn algorithm(&self) -> &str {
        self.0.algorithm()
    }

    #[getter]
    fn qop(&self) -> Option<&str> {
        self.0.qop()
    }

    #[getter]
    fn nonce_count(&self) -> Option<u32> {
        self.0.nonce_count()
    }

    fn verify(&self, ha1: &str, method: &str) -> bool {
        self.0.verify(ha1, method)
    }

    fn __repr__(&self) -> String {
        let (username, realm, uri) = (self.0.username(), self.0.realm(), self.0.uri());
        format!("Credentials(username={username:?}, realm={realm:?}, uri={uri:?})")
    }
}

/// H(username:realm:password) in hex; ValueError for an algorithm other than MD5 and SHA-256.
#[pyfunction]
#[pyo3(signature = (username, realm, password, algorithm="MD5"))]
fn digest_ha1(username: &str, realm: &str, password: &str, algorithm: &str) -> PyResult<String> {
    let known = Algorithm::from_token(algorithm);
    let known = known.ok_or_else(|| PyValueError::new_err(format!("no digest algorithm: {algorithm:?}; \"MD5\" or \"SHA-256\"")))?;
    Ok(ha1(username, realm, password, known))
}

/// Add this file's classes and functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyChallenge>()?;
    module.add_class::<PyCredentials>()?;
    module.add_function(wrap_pyfunction!(digest_ha1, module)?)
}
