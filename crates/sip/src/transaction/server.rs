//! The server machines: RFC 3261 figures 7 and 8, with RFC 6026's Accepted and the repeats of a 2xx that §13.3.1.4 leaves to the core.

use super::Action::{Abandon, Deliver, Repeat, ReportAck, ReportAckTimeout, Send, SendTrying, Start, Stop};
use super::Input::{self, Ack, Failure, Fired, Provisional, Request, Success};
use super::State::{Accepted, Acknowledged, Completed, Confirmed, Initial, Proceeding, Terminated, Trying};
use super::timing::Timer;
use super::timing::Timer::{Bye, G, H, I, J, L, Minute};
use super::{Row, row};

/// Their INVITE.
pub(super) const INVITE: &[Row] = &[
    row(Initial, Input::Start, Proceeding, &[Start(Timer::Trying), Deliver]),
    row(Proceeding, Fired(Timer::Trying), Proceeding, &[SendTrying]),
    row(Proceeding, Request, Proceeding, &[Repeat]),
    row(Proceeding, Provisional, Proceeding, &[Stop(Timer::Trying), Send, Start(Minute)]),
    // §13.3.1.1: a proxy on the way would give up after three minutes.
    row(Proceeding, Fired(Minute), Proceeding, &[Repeat, Start(Minute)]),
    row(
        Proceeding,
        Success,
        Accepted,
        &[Stop(Timer::Trying), Stop(Minute), Send, Start(Timer::Success), Start(L)],
    ),
    row(
        Proceeding,
        Failure,
        Completed,
        &[Stop(Timer::Trying), Stop(Minute), Send, Start(G), Start(H)],
    ),
    // §13.3.1.4: repeated until the ACK, which has a branch of its own and is matched by its dialog.
    row(Accepted, Fired(Timer::Success), Accepted, &[Repeat, Start(Timer::Success)]),
    row(Accepted, Ack, Acknowledged, &[Stop(Timer::Success), ReportAck]),
    row(Accepted, Fired(L), Terminated, &[ReportAckTimeout]),
    row(Acknowledged, Fired(L), Terminated, &[]),
    row(Completed, Request, Completed, &[Repeat]),
    row(Completed, Fired(G), Completed, &[Repeat, Start(G)]),
    row(Completed, Ack, Confirmed, &[Stop(G), Stop(H), Start(I)]),
    row(Completed, Fired(H), Terminated, &[]),
    row(Confirmed, Fired(I), Terminated, &[]),
];

/// Their request of another method.
pub(super) const OTHER: &[Row] = &[
    row(Initial, Input::Start, Trying, &[Start(Timer::Abandon), Deliver]),
    row(Trying, Provisional, Proceeding, &[Send]),
    row(Trying, Success, Completed, &[Stop(Timer::Abandon), Stop(Bye), Send, Start(J)]),
    row(Trying, Failure, Completed, &[Stop(Timer::Abandon), Stop(Bye), Send, Start(J)]),
    // The client's Timer F has run out: no answer would find it (RFC 4320 §3).
    row(Trying, Fired(Timer::Abandon), Terminated, &[Abandon]),
    row(Proceeding, Request, Proceeding, &[Repeat]),
    row(Proceeding, Provisional, Proceeding, &[Send]),
    row(Proceeding, Success, Completed, &[Stop(Timer::Abandon), Stop(Bye), Send, Start(J)]),
    row(Proceeding, Failure, Completed, &[Stop(Timer::Abandon), Stop(Bye), Send, Start(J)]),
    row(Proceeding, Fired(Timer::Abandon), Terminated, &[Abandon]),
    row(Completed, Request, Completed, &[Repeat]),
    row(Completed, Fired(J), Terminated, &[]),
];
