//! The client machines: RFC 3261 figures 5 and 6, with RFC 6026's Accepted.

use super::Action::{Deliver, HoldCancel, ReleaseCancel, Repeat, ReportTimeout, ReportTransport, Send, SendAck, SendCancel, Start, Stop};
use super::Input::{self, Cancel, Failure, Fired, Provisional, Success, TransportError};
use super::State::{Accepted, Calling, Completed, Initial, Lost, Proceeding, Terminated, Trying};
use super::Timer::{A, B, CancelLimit, D, E, F, K, M};
use super::{Row, row};

/// Our INVITE.
pub(super) const INVITE: &[Row] = &[
    row(Initial, Input::Start, Calling, &[Start(A), Start(B), Send]),
    row(Calling, Fired(A), Calling, &[Repeat, Start(A)]),
    // A 2xx that comes too late must still be acknowledged and ended, or the callee holds a call that nobody knows.
    row(Calling, Fired(B), Lost, &[Stop(A), ReportTimeout, Start(M)]),
    row(Lost, Success, Accepted, &[Deliver]),
    row(Lost, Failure, Completed, &[Stop(M), SendAck, Start(D)]),
    row(Lost, Fired(M), Terminated, &[]),
    row(Calling, TransportError, Terminated, &[ReportTransport]),
    // §9.1: no CANCEL before a provisional.
    row(Calling, Cancel, Calling, &[HoldCancel]),
    row(Calling, Provisional, Proceeding, &[Stop(A), Stop(B), Deliver, ReleaseCancel]),
    row(Calling, Success, Accepted, &[Stop(A), Stop(B), Start(M), Deliver]),
    row(Calling, Failure, Completed, &[Stop(A), Stop(B), SendAck, Deliver, Start(D)]),
    row(Proceeding, Cancel, Proceeding, &[SendCancel, Start(CancelLimit)]),
    // §9.1: 64*T1 after the CANCEL the INVITE counts as cancelled.
    row(Proceeding, Fired(CancelLimit), Lost, &[ReportTimeout, Start(M)]),
    row(Proceeding, Provisional, Proceeding, &[Deliver]),
    row(Proceeding, Success, Accepted, &[Stop(CancelLimit), Start(M), Deliver]),
    row(Proceeding, Failure, Completed, &[Stop(CancelLimit), SendAck, Deliver, Start(D)]),
    // RFC 6026 §7.2: further 2xx, repeated or forked, go up.
    row(Accepted, Success, Accepted, &[Deliver]),
    row(Accepted, Fired(M), Terminated, &[]),
    row(Completed, Failure, Completed, &[SendAck]),
    row(Completed, Fired(D), Terminated, &[]),
    // The answer went up already: that its ACK cannot be sent is no news.
    row(Completed, TransportError, Terminated, &[]),
];

/// Our request of another method.
pub(super) const OTHER: &[Row] = &[
    row(Initial, Input::Start, Trying, &[Start(E), Start(F), Send]),
    row(Trying, Fired(E), Trying, &[Repeat, Start(E)]),
    row(Trying, Fired(F), Terminated, &[ReportTimeout]),
    row(Trying, TransportError, Terminated, &[ReportTransport]),
    row(Trying, Provisional, Proceeding, &[Deliver]),
    row(Trying, Success, Completed, &[Stop(E), Stop(F), Deliver, Start(K)]),
    row(Trying, Failure, Completed, &[Stop(E), Stop(F), Deliver, Start(K)]),
    row(Proceeding, Fired(E), Proceeding, &[Repeat, Start(E)]),
    row(Proceeding, Fired(F), Terminated, &[ReportTimeout]),
    row(Proceeding, TransportError, Terminated, &[ReportTransport]),
    row(Proceeding, Provisional, Proceeding, &[Deliver]),
    row(Proceeding, Success, Completed, &[Stop(E), Stop(F), Deliver, Start(K)]),
    row(Proceeding, Failure, Completed, &[Stop(E), Stop(F), Deliver, Start(K)]),
    row(Completed, Fired(K), Terminated, &[]),
];
