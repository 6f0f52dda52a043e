//! The events of the endpoint as Python classes, one for each variant, all frozen, and the handle of a server transaction.

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use trunkline_sip::endpoint as sip;

use crate::digest::PyCredentials as Credentials;
use crate::flow::PyFlow as Flow;
use crate::message::PyMessage as Message;

/// The handle of a request that waits for our answer; frozen.
#[pyclass(frozen, module = "_trunkline")]
pub struct ServerTransaction(sip::ServerTransaction);

impl ServerTransaction {
    /// The handle that the endpoint knows.
    pub fn inner(&self) -> sip::ServerTransaction {
        self.0.clone()
    }
}

#[pymethods]
impl ServerTransaction {
    /// The transaction's number.
    #[getter]
    fn id(&self) -> u64 {
        self.0.id
    }

    /// Whether a final response was sent, by us or by Rust.
    #[getter]
    fn answered(&self) -> bool {
        self.0.is_answered()
    }

    fn __repr__(&self) -> String {
        format!(
            "<ServerTransaction {}{}>",
            self.0.id,
            if self.answered() { " answered" } else { "" }
        )
    }
}

/// Declares event classes: frozen, with their fields as attributes.
macro_rules! events {
    ($($(#[$doc:meta])* $name:ident { $($field:ident: $kind:ty),* $(,)? })*) => {
        $(
            $(#[$doc])*
            #[pyclass(frozen, get_all, module = "_trunkline")]
            pub struct $name { $($field: $kind),* }
        )*

        fn register_events(module: &Bound<'_, PyModule>) -> PyResult<()> {
            $(module.add_class::<$name>()?;)*
            Ok(())
        }
    };
}

events! {
    /// A request that passed parsing, matching and the challenge policy.
    RequestReceived { tx: Py<ServerTransaction>, message: Py<Message>, flow: Py<Flow>, credentials: Option<Py<Credentials>>, trusted: bool }
    /// A response to a request of ours.
    ResponseReceived { tx: u64, message: Py<Message>, flow: Py<Flow> }
    /// The ACK to the 2xx that answered `tx`.
    AckReceived { tx: u64, message: Py<Message> }
    /// A CANCEL ended this INVITE; 200 and 487 were sent.
    Cancelled { tx: u64, message: Py<Message> }
    /// Our 2xx was never acknowledged.
    AckTimedOut { tx: u64 }
    /// Rust answered a BYE that was left alone.
    ByeAnswered { tx: u64, message: Py<Message> }
    /// A PRACK acknowledged a reliable provisional of ours.
    PrackReceived { tx: Py<ServerTransaction>, invite: u64, message: Py<Message>, flow: Py<Flow> }
    /// A reliable provisional was never acknowledged.
    ReliableTimedOut { tx: u64, refused: bool }
    /// No final response to a request of ours in time.
    TransactionTimedOut { tx: u64 }
    /// A request of ours could not be sent.
    TransportFailed { tx: u64, reason: String }
    /// A connection was accepted or established.
    FlowOpened { flow: Py<Flow> }
    /// A connection is gone.
    FlowClosed { flow: Py<Flow>, reason: String }
    /// What was turned away since the last such event.
    Shed { overload: u64, flood: u64, malformed: u64 }
    /// Challenges of a stranger's INVITEs were not answered.
    ChallengeIgnored { message: Py<Message>, flow: Py<Flow>, count: u64 }
    /// A message as it went over the wire.
    Traced { time_s: f64, sent: bool, flow: Py<Flow>, data: Py<PyBytes> }
}

/// Turn events into a list of Python objects.
pub(super) fn objects(py: Python<'_>, events: Vec<sip::Event>) -> PyResult<Vec<Py<PyAny>>> {
    events.into_iter().map(|event| object(py, event)).collect()
}

fn object(py: Python<'_>, event: sip::Event) -> PyResult<Py<PyAny>> {
    use sip::Event;
    let flow = |flow| Py::new(py, Flow::from(flow));
    let message = |message| Py::new(py, Message::from(message));
    Ok(match event {
        Event::RequestReceived {
            tx,
            message: request,
            flow: from,
            credentials,
            trusted,
        } => {
            let tx = Py::new(py, ServerTransaction(tx))?;
            let credentials = credentials
                .map(|credentials| Py::new(py, Credentials::from(*credentials)))
                .transpose()?;
            Py::new(
                py,
                RequestReceived {
                    tx,
                    message: message(request)?,
                    flow: flow(from)?,
                    credentials,
                    trusted,
                },
            )?
            .into_any()
        }
        Event::ResponseReceived {
            tx,
            message: response,
            flow: from,
        } => Py::new(
            py,
            ResponseReceived {
                tx,
                message: message(response)?,
                flow: flow(from)?,
            },
        )?
        .into_any(),
        Event::AckReceived { tx, message: ack } => Py::new(
            py,
            AckReceived {
                tx,
                message: message(ack)?,
            },
        )?
        .into_any(),
        Event::Cancelled { tx, message: cancel } => Py::new(
            py,
            Cancelled {
                tx,
                message: message(cancel)?,
            },
        )?
        .into_any(),
        Event::AckTimedOut { tx } => Py::new(py, AckTimedOut { tx })?.into_any(),
        Event::ByeAnswered { tx, message: bye } => Py::new(
            py,
            ByeAnswered {
                tx,
                message: message(bye)?,
            },
        )?
        .into_any(),
        Event::PrackReceived {
            tx,
            invite,
            message: prack,
            flow: from,
        } => Py::new(
            py,
            PrackReceived {
                tx: Py::new(py, ServerTransaction(tx))?,
                invite,
                message: message(prack)?,
                flow: flow(from)?,
            },
        )?
        .into_any(),
        Event::ReliableTimedOut { tx, refused } => Py::new(py, ReliableTimedOut { tx, refused })?.into_any(),
        Event::TransactionTimedOut { tx } => Py::new(py, TransactionTimedOut { tx })?.into_any(),
        Event::TransportFailed { tx, reason } => Py::new(py, TransportFailed { tx, reason })?.into_any(),
        Event::FlowOpened { flow: opened } => Py::new(py, FlowOpened { flow: flow(opened)? })?.into_any(),
        Event::FlowClosed { flow: closed, reason } => Py::new(
            py,
            FlowClosed {
                flow: flow(closed)?,
                reason,
            },
        )?
        .into_any(),
        Event::Shed {
            overload,
            flood,
            malformed,
        } => Py::new(
            py,
            Shed {
                overload,
                flood,
                malformed,
            },
        )?
        .into_any(),
        Event::ChallengeIgnored {
            message: invite,
            flow: from,
            count,
        } => Py::new(
            py,
            ChallengeIgnored {
                message: message(invite)?,
                flow: flow(from)?,
                count,
            },
        )?
        .into_any(),
        Event::Traced {
            time,
            sent,
            flow: path,
            data,
        } => {
            let data = PyBytes::new(py, &data).unbind();
            Py::new(
                py,
                Traced {
                    time_s: super::sans_io::seconds(time),
                    sent,
                    flow: flow(path)?,
                    data,
                },
            )?
            .into_any()
        }
    })
}

/// Add this file's classes to the module.
pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<ServerTransaction>()?;
    register_events(module)
}
