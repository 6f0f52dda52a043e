//! The value classes: SipParseError, Uri, NameAddr, Parameterized, Via, each around its Rust type.
//!
//! `message` makes them through `From`; all files raise SipParseError through [`parse_error`].

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyType};
use trunkline_sip::header::{NameAddr, Parameterized, Params, Via};
use trunkline_sip::message::ParseError;
use trunkline_sip::uri::{Changes, Uri};

/// The stable interface of Python 3.11 has no way to derive a native class from an exception, so this one is made by Python.
const PARSE_ERROR_SOURCE: &std::ffi::CStr = c"
class SipParseError(ValueError):
    '''Text or bytes that are no SIP. `status` is what RFC 3261 says to answer, or 0 where nothing is answered.'''

    def __init__(self, *args):
        super().__init__(*args[:1])
        self.reason = str(args[0]) if args else ''
        self.status = args[1] if len(args) > 1 else 400
";

static PARSE_ERROR: PyOnceLock<Py<PyType>> = PyOnceLock::new();

type PairList = Vec<(String, Option<String>)>;
type HeaderList = Vec<(String, String)>;

fn parse_error_class(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    let class = PARSE_ERROR.get_or_try_init(py, || {
        let globals = PyDict::new(py);
        globals.set_item("__name__", "_trunkline")?;
        py.run(PARSE_ERROR_SOURCE, Some(&globals), None)?;
        let class = globals
            .get_item("SipParseError")?
            .ok_or_else(|| PyValueError::new_err("SipParseError"))?;
        Ok::<_, PyErr>(class.cast_into::<PyType>()?.unbind())
    })?;
    Ok(class.bind(py))
}

/// The exception SipParseError for an error of the parser.
pub(crate) fn parse_error(py: Python<'_>, error: ParseError) -> PyErr {
    match parse_error_class(py).and_then(|class| class.call1((error.reason, error.status))) {
        Ok(instance) => PyErr::from_value(instance),
        Err(error) => error,
    }
}

fn borrowed(pairs: &PairList) -> Vec<(&str, Option<&str>)> {
    pairs.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect()
}

fn borrowed_headers(headers: &HeaderList) -> Vec<(&str, &str)> {
    headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// Pairs as a tuple of tuples.
fn pair_tuple<'py, V: IntoPyObject<'py>>(py: Python<'py>, pairs: Vec<(&str, V)>) -> PyResult<Bound<'py, pyo3::types::PyTuple>> {
    pyo3::types::PyTuple::new(py, pairs)
}

/// An argument that was left out, or given, possibly as None.
enum Change<T> {
    Keep,
    Set(Option<T>),
}

impl<'a, 'py, T: FromPyObject<'a, 'py>> FromPyObject<'a, 'py> for Change<T> {
    type Error = <Option<T> as FromPyObject<'a, 'py>>::Error;

    fn extract(given: Borrowed<'a, 'py, PyAny>) -> Result<Self, Self::Error> {
        given.extract::<Option<T>>().map(Change::Set)
    }
}

impl<T> Change<T> {
    fn given(self) -> Option<Option<T>> {
        match self {
            Change::Keep => None,
            Change::Set(value) => Some(value),
        }
    }
}

/// A `sip:`, `sips:` or `tel:` URI, or any other scheme kept as text.
#[pyclass(frozen, eq, hash, module = "_trunkline", name = "Uri")]
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct PyUri(Uri);

impl From<Uri> for PyUri {
    fn from(uri: Uri) -> Self {
        PyUri(uri)
    }
}

#[pymethods]
impl PyUri {
    #[new]
    #[pyo3(
        signature = (scheme, user, host, port=None, params=Vec::new(), headers=Vec::new()),
        text_signature = "(scheme, user, host, port=None, params=(), headers=())"
    )]
    fn new(
        py: Python<'_>,
        scheme: &str,
        user: Option<&str>,
        host: &str,
        port: Option<u16>,
        params: PairList,
        headers: HeaderList,
    ) -> PyResult<PyUri> {
        let uri = Uri::new(scheme, user, host, port, &borrowed(&params), &borrowed_headers(&headers));
        uri.map(PyUri).map_err(|error| parse_error(py, error))
    }

    #[staticmethod]
    fn parse(py: Python<'_>, text: &str) -> PyResult<PyUri> {
        Uri::parse(text).map(PyUri).map_err(|error| parse_error(py, error))
    }

    #[getter]
    fn scheme(&self) -> &str {
        self.0.scheme()
    }

    #[getter]
    fn user(&self) -> Option<std::borrow::Cow<'_, str>> {
        self.0.user()
    }

    #[getter]
    fn password(&self) -> Option<std::borrow::Cow<'_, str>> {
        self.0.password()
    }

    #[getter]
    fn host(&self) -> &str {
        self.0.host()
    }

    #[getter]
    fn port(&self) -> Option<u16> {
        self.0.port()
    }

    #[getter]
    fn params<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, pyo3::types::PyTuple>> {
        pair_tuple(py, self.0.params().collect())
    }

    #[getter]
    fn headers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, pyo3::types::PyTuple>> {
        pair_tuple(py, self.0.headers().collect())
    }

    fn param(&self, name: &str) -> Option<&str> {
        self.0.param(name)
    }

    #[pyo3(signature = (*, user=Change::Keep, host=Change::Keep, port=Change::Keep, params=Change::Keep, headers=Change::Keep))]
    fn replace(
        &self,
        py: Python<'_>,
        user: Change<String>,
        host: Change<String>,
        port: Change<u16>,
        params: Change<PairList>,
        headers: Change<HeaderList>,
    ) -> PyResult<PyUri> {
        let (user, host, params, headers) = (user.given(), host.given(), params.given(), headers.given());
        let params = params.as_ref().map(|given| given.as_ref().map(borrowed).unwrap_or_default());
        let headers = headers
            .as_ref()
            .map(|given| given.as_ref().map(borrowed_headers).unwrap_or_default());
        let changes = Changes {
            user: user.as_ref().map(Option::as_deref),
            host: host.as_ref().map(|host| host.as_deref().unwrap_or_default()),
            port: port.given(),
            params: params.as_deref(),
            headers: headers.as_deref(),
        };
        self.0.replace(&changes).map(PyUri).map_err(|error| parse_error(py, error))
    }

    fn __str__(&self) -> &str {
        self.0.as_str()
    }

    fn __repr__(&self) -> String {
        format!("{:?}", self.0)
    }
}

/// A display name, a URI and header parameters.
#[pyclass(frozen, eq, hash, module = "_trunkline", name = "NameAddr")]
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct PyNameAddr(NameAddr);

impl From<NameAddr> for PyNameAddr {
    fn from(address: NameAddr) -> Self {
        PyNameAddr(address)
    }
}

#[pymethods]
impl PyNameAddr {
    #[new]
    #[pyo3(signature = (uri, display_name=None, params=Vec::new()), text_signature = "(uri, display_name=None, params=())")]
    fn new(py: Python<'_>, uri: &PyUri, display_name: Option<String>, params: PairList) -> PyResult<PyNameAddr> {
        let params = Params::new(&borrowed(&params)).map_err(|error| parse_error(py, error))?;
        Ok(PyNameAddr(NameAddr {
            display_name,
            uri: uri.0.clone(),
            params,
        }))
    }

    #[staticmethod]
    fn parse(py: Python<'_>, text: &str) -> PyResult<PyNameAddr> {
        NameAddr::parse(text).map(PyNameAddr).map_err(|error| parse_error(py, error))
    }

    #[getter]
    fn display_name(&self) -> Option<&str> {
        self.0.display_name.as_deref()
    }

    #[getter]
    fn uri(&self) -> PyUri {
        PyUri(self.0.uri.clone())
    }

    #[getter]
    fn params<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, pyo3::types::PyTuple>> {
        pair_tuple(py, self.0.params.iter().collect())
    }

    #[getter]
    fn tag(&self) -> Option<&str> {
        self.0.tag()
    }

    fn param(&self, name: &str) -> Option<&str> {
        self.0.param(name)
    }

    fn __str__(&self) -> String {
        self.0.to_string()
    }

    fn __repr__(&self) -> String {
        let name = self
            .0
            .display_name
            .as_ref()
            .map_or_else(|| "None".to_owned(), |name| format!("{name:?}"));
        format!("NameAddr({name}, {:?}, {:?})", self.0.uri, self.0.params.to_string())
    }
}

/// A token with parameters, as Event and Subscription-State have it.
#[pyclass(frozen, eq, hash, module = "_trunkline", name = "Parameterized")]
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct PyParameterized(Parameterized);

#[pymethods]
impl PyParameterized {
    #[staticmethod]
    fn parse(py: Python<'_>, text: &str) -> PyResult<PyParameterized> {
        Parameterized::parse(text)
            .map(PyParameterized)
            .map_err(|error| parse_error(py, error))
    }

    #[getter]
    fn token(&self) -> &str {
        &self.0.token
    }

    #[getter]
    fn params<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, pyo3::types::PyTuple>> {
        pair_tuple(py, self.0.params.iter().collect())
    }

    fn param(&self, name: &str) -> Option<&str> {
        self.0.params.get(name)
    }

    fn __str__(&self) -> String {
        self.0.to_string()
    }

    fn __repr__(&self) -> String {
        format!("Parameterized({:?})", self.0.to_string())
    }
}

/// One Via value.
#[pyclass(frozen, eq, hash, module = "_trunkline", name = "Via")]
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct PyVia(Via);

impl From<Via> for PyVia {
    fn from(via: Via) -> Self {
        PyVia(via)
    }
}

#[pymethods]
impl PyVia {
    #[staticmethod]
    fn parse(py: Python<'_>, text: &str) -> PyResult<PyVia> {
        Via::parse(text).map(PyVia).map_err(|error| parse_error(py, error))
    }

    #[getter]
    fn transport(&self) -> &str {
        &self.0.transport
    }

    #[getter]
    fn host(&self) -> &str {
        &self.0.host
    }

    #[getter]
    fn port(&self) -> Option<u16> {
        self.0.port
    }

    #[getter]
    fn branch(&self) -> Option<&str> {
        self.0.branch()
    }

    #[getter]
    fn received(&self) -> Option<&str> {
        self.0.received()
    }

    #[getter]
    fn rport(&self) -> Option<u16> {
        self.0.rport()
    }

    fn param(&self, name: &str) -> Option<&str> {
        self.0.param(name)
    }

    fn __str__(&self) -> String {
        self.0.to_string()
    }

    fn __repr__(&self) -> String {
        format!("Via({:?})", self.0.to_string())
    }
}

/// Add this file's classes and functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("SipParseError", parse_error_class(module.py())?)?;
    module.add_class::<PyUri>()?;
    module.add_class::<PyNameAddr>()?;
    module.add_class::<PyParameterized>()?;
    module.add_class::<PyVia>()
}
