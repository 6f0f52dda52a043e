//! Client transactions: what their machines say to do, done (RFC 3261 §17.1, §9.1, §13.2.2.4; RFC 6026 §7.2). Python starts them by
//! `send_request`; a CANCEL has one of its own here.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;

use super::Endpoint;
use super::command::HeaderList;
use super::event::Event;
use super::forks::{Forks, Novelty};
use super::matching::client_key;
use super::timers::Alarm;
use crate::build;
use crate::flow::{ConnectionId, Flow, Transport};
use crate::message::{Limits, Message};
use crate::time::Time;
use crate::transaction::{Action, Input, Kind, Machine, State, Timer, TimerSet};

/// Ids of our own transactions have this bit; Python's lie below.
pub(super) const INTERNAL: u64 = 1 << 63;

/// Which way a request went, for failures of that way.
type Path = (Transport, SocketAddr, ConnectionId);

const fn path(flow: &Flow) -> Path {
    (flow.transport, flow.remote, flow.connection)
}

/// One request of ours.
pub(super) struct ClientTx {
    pub(super) machine: Machine,
    running: TimerSet,
    key: String,
    pub(super) flow: Flow,
    pub(super) sent_by: SocketAddr,
    data: Bytes,
    method: String,
    /// For a large request that went over TCP: the way back to UDP while nothing was answered.
    pub(super) fallback: Option<Way>,
    /// The flow that Python named, where the request took another.
    pub(super) asked: Option<Flow>,
    /// Our INVITE, for its ACK and CANCEL.
    invite: Option<Message>,
    /// Instead of 64*T1 as Timer B or F.
    timeout: Option<Duration>,
    held_cancel: Option<HeaderList>,
    /// Python has asked for the CANCEL.
    pub(super) cancelled: bool,
    pub(super) forks: Forks,
}

/// A request with its Via, ready to go one way.
pub(super) struct Way {
    pub(super) flow: Flow,
    pub(super) sent_by: SocketAddr,
    pub(super) branch: String,
    pub(super) data: Bytes,
}

/// What a new client transaction is made of.
pub(super) struct Departure {
    pub(super) kind: Kind,
    pub(super) key: String,
    pub(super) flow: Flow,
    pub(super) sent_by: SocketAddr,
    pub(super) data: Bytes,
    pub(super) method: String,
    pub(super) fallback: Option<Way>,
    pub(super) invite: Option<Message>,
    pub(super) timeout: Option<Duration>,
}

/// All client transactions.
#[derive(Default)]
pub(super) struct Clients {
    by_id: HashMap<u64, ClientTx>,
    by_key: HashMap<String, u64>,
    /// In order, so that equal inputs give equal outputs.
    by_path: HashMap<Path, BTreeSet<u64>>,
    last_internal: u64,
}

impl Clients {
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn get_mut(&mut self, id: u64) -> Option<&mut ClientTx> {
        self.by_id.get_mut(&id)
    }

    pub(super) fn has(&self, id: u64) -> bool {
        self.by_id.contains_key(&id)
    }

    pub(super) fn find(&self, key: &str) -> Option<u64> {
        self.by_key.get(key).copied()
    }

    pub(super) fn next_internal(&mut self) -> u64 {
        self.last_internal += 1;
        INTERNAL | self.last_internal
    }

    pub(super) fn insert(&mut self, id: u64, departure: Departure) {
        self.by_key.insert(departure.key.clone(), id);
        self.by_path.entry(path(&departure.flow)).or_default().insert(id);
        let asked = departure.fallback.as_ref().map(|way| way.flow);
        let tx = ClientTx {
            machine: Machine::new(departure.kind),
            running: TimerSet::default(),
            key: departure.key,
            flow: departure.flow,
            sent_by: departure.sent_by,
            data: departure.data,
            method: departure.method,
            fallback: departure.fallback,
            asked,
            invite: departure.invite,
            timeout: departure.timeout,
            held_cancel: None,
            cancelled: false,
            forks: Forks::default(),
        };
        self.by_id.insert(id, tx);
    }

    fn remove(&mut self, id: u64) -> Option<ClientTx> {
        let tx = self.by_id.remove(&id)?;
        self.by_key.remove(&tx.key);
        self.leave(id, &path(&tx.flow));
        Some(tx)
    }

    fn leave(&mut self, id: u64, path: &Path) {
        if let Some(ids) = self.by_path.get_mut(path) {
            ids.remove(&id);
            if ids.is_empty() {
                self.by_path.remove(path);
            }
        }
    }

    /// Have a transaction begin anew, another way.
    pub(super) fn redirect(&mut self, id: u64, way: Way, limits: &Limits) {
        let Some(tx) = self.by_id.get_mut(&id) else { return };
        let kind = tx.machine.kind();
        let key = client_key(&way.branch, &tx.method);
        let old = (std::mem::replace(&mut tx.key, key.clone()), path(&tx.flow));
        tx.machine = Machine::new(kind);
        if kind.is_invite() {
            tx.invite = Message::parse(way.data.clone(), limits).ok();
        }
        (tx.flow, tx.sent_by, tx.data, tx.asked) = (way.flow, way.sent_by, way.data, None);
        self.by_key.remove(&old.0);
        self.by_key.insert(key, id);
        self.leave(id, &old.1);
        self.by_path.entry(path(&way.flow)).or_default().insert(id);
    }

    /// The transactions whose request went that way.
    pub(super) fn on_path(&self, flow: &Flow) -> Vec<u64> {
        self.by_path.get(&path(flow)).into_iter().flatten().copied().collect()
    }

    /// Requests that waited for "any connection to there" went over this one.
    pub(super) fn join(&mut self, flow: &Flow) {
        let waiting = self.by_path.remove(&path(&Flow { connection: 0, ..*flow })).unwrap_or_default();
        for id in &waiting {
            if let Some(tx) = self.by_id.get_mut(id) {
                tx.flow = *flow;
            }
        }
        if !waiting.is_empty() {
            self.by_path.entry(path(flow)).or_default().extend(waiting);
        }
    }
}

impl ClientTx {
    /// The timers that run, none of them any more.
    pub(super) fn take_running(&mut self) -> TimerSet {
        std::mem::take(&mut self.running)
    }

    /// A timer was set.
    pub(super) fn note_running(&mut self, timer: Timer) {
        self.running.insert(timer);
    }
}

/// What comes with an input.
#[derive(Clone, Copy, Default)]
pub(super) struct Cause<'a> {
    /// The response and where it came from.
    pub(super) response: Option<(&'a Message, Flow)>,
    /// Why the transport failed.
    pub(super) reason: &'a str,
}

impl Endpoint {
    /// Feed a client transaction.
    pub(super) fn client_input(&mut self, now: Time, id: u64, input: Input, cause: Cause<'_>) {
        let mut next = Some(input);
        while let Some(input) = next.take() {
            let Some(tx) = self.clients.get_mut(id) else { return };
            for action in tx.machine.input(input) {
                next = self.client_action(now, id, *action, cause).or(next);
            }
        }
        self.settle_client(id);
    }

    /// Do one action; an input that follows from it at once is returned.
    fn client_action(&mut self, now: Time, id: u64, action: Action, cause: Cause<'_>) -> Option<Input> {
        let tx = self.clients.get_mut(id)?;
        match action {
            Action::Start(timer) => return self.start_client_timer(now, id, timer),
            Action::Stop(timer) if tx.running.remove(timer) => self.timers.stop(Alarm::Client(id, timer)),
            Action::Send => {
                let (flow, data) = (tx.flow, tx.data.clone());
                self.output.send(now, flow, data);
            }
            Action::Repeat => {
                let (flow, data) = (tx.flow, tx.data.clone());
                self.output.send_again(now, flow, data);
            }
            Action::SendAck => self.ack_failure(now, id, cause),
            Action::ReleaseCancel => return tx.held_cancel.is_some().then_some(Input::Cancel),
            Action::SendCancel => self.send_cancel(now, id),
            Action::Deliver => self.deliver_response(now, id, cause),
            Action::ReportTimeout => self.report(id, Event::TransactionTimedOut { tx: id }),
            Action::ReportTransport => self.report(
                id,
                Event::TransportFailed {
                    tx: id,
                    reason: cause.reason.to_owned(),
                },
            ),
            // `HoldCancel` needs nothing: the headers are held already.
            _ => {}
        }
        None
    }

    fn report(&mut self, id: u64, event: Event) {
        if id & INTERNAL == 0 {
            self.output.tell(event);
        }
    }

    fn start_client_timer(&mut self, now: Time, id: u64, timer: Timer) -> Option<Input> {
        let tx = self.clients.get_mut(id)?;
        let usual = tx.machine.start_timer(timer, &self.timing, tx.flow.transport.is_reliable())?;
        let duration = tx.timeout.filter(|_| matches!(timer, Timer::B | Timer::F)).unwrap_or(usual);
        if usual.is_zero() {
            return Some(Input::Fired(timer));
        }
        tx.running.insert(timer);
        self.timers.set(Alarm::Client(id, timer), timer.due(now, duration));
        None
    }

    /// A timer of a client transaction has gone off.
    pub(super) fn client_timer(&mut self, now: Time, id: u64, timer: Timer) {
        if let Some(tx) = self.clients.get_mut(id) {
            tx.running.remove(timer);
        }
        if timer == Timer::Stream {
            self.stream_overdue(now, id);
        } else {
            self.client_input(now, id, Input::Fired(timer), Cause::default());
        }
    }

    /// §17.1.1.3: the ACK to a failure goes where the INVITE went.
    fn ack_failure(&mut self, now: Time, id: u64, cause: Cause<'_>) {
        let Some(tx) = self.clients.get_mut(id) else { return };
        let (Some(invite), Some((response, _))) = (&tx.invite, cause.response) else {
            return;
        };
        let (flow, data) = (tx.flow, build::ack_to_failure(invite, response));
        self.output.send(now, flow, data);
    }

    /// Python wants an INVITE cancelled; only the first wish counts.
    pub(super) fn cancel(&mut self, now: Time, id: u64, headers: HeaderList) {
        let Some(tx) = self.clients.get_mut(id) else { return };
        if !std::mem::replace(&mut tx.cancelled, true) {
            tx.held_cancel = Some(headers);
            self.client_input(now, id, Input::Cancel, Cause::default());
        }
    }

    /// §9.1: the CANCEL goes where the INVITE went, under the same branch, in a transaction of its own.
    fn send_cancel(&mut self, now: Time, id: u64) {
        let Some(tx) = self.clients.get_mut(id) else { return };
        let (Some(invite), Some(headers)) = (&tx.invite, tx.held_cancel.take()) else {
            return;
        };
        let built = build::cancel(invite, &headers).or_else(|_| build::cancel(invite, &[]));
        let branch = invite.via().ok().and_then(|via| via.branch().map(str::to_owned));
        let (Ok(data), Some(branch)) = (built, branch) else { return };
        let (flow, sent_by) = (tx.flow, tx.sent_by);
        let key = client_key(&branch, "CANCEL");
        let internal = self.clients.next_internal();
        self.clients.insert(
            internal,
            Departure {
                kind: Kind::Client,
                key,
                flow,
                sent_by,
                data,
                method: "CANCEL".to_owned(),
                fallback: None,
                invite: None,
                timeout: None,
            },
        );
        self.client_input(now, internal, Input::Start, Cause::default());
    }

    /// Hand a response up, unless it is a repeat; a repeat of a 2xx gets the ACK that the first one got.
    fn deliver_response(&mut self, now: Time, id: u64, cause: Cause<'_>) {
        let Some((response, from)) = cause.response else { return };
        if id & INTERNAL != 0 {
            return;
        }
        let Some(tx) = self.clients.get_mut(id) else { return };
        let (status, tag) = (response.status(), response.to_tag());
        let asked = tx.asked;
        let rseq = response.rseq().filter(|_| tx.machine.kind().is_invite());
        // A provisional can be spared when Python is far behind; a reliable one comes again until it is acknowledged.
        let spared = status < 200 && self.output.is_full();
        if spared && rseq.is_some() {
            return;
        }
        let novelty = match (status, rseq) {
            (_, Some(rseq)) => tx.forks.reliable(tag, rseq),
            (..=199, None) => tx.forks.provisional(tag, response.raw()),
            (200..=299, None) if tx.machine.kind().is_invite() => tx.forks.success(tag),
            _ => Novelty::New,
        };
        match novelty {
            Novelty::New => {}
            Novelty::TooMany => return,
            Novelty::Repeat => {
                let ack = tx.forks.ack(tag).filter(|_| status >= 200);
                ack.into_iter().for_each(|(flow, data)| self.output.send_again(now, flow, data));
                return;
            }
        }
        self.note_remote_dialog(id, response);
        if !spared {
            self.output.tell(Event::ResponseReceived {
                tx: id,
                message: response.clone(),
                flow: asked.unwrap_or(from),
            });
        }
    }

    /// §12.1.2: an answer to our INVITE with a tag makes a dialog, early or not.
    fn note_remote_dialog(&mut self, id: u64, response: &Message) {
        let tag = response.to_tag();
        let Some(tx) = self.clients.get_mut(id).filter(|tx| tx.machine.kind().is_invite()) else {
            return;
        };
        let inside = tx.invite.as_ref().is_some_and(|invite| !invite.to_tag().is_empty());
        if inside || tag.is_empty() || !(101..300).contains(&response.status()) || tx.forks.has_dialog(tag) {
            return;
        }
        let key = super::dialogs::DialogKey::new(response.call_id(), response.from_tag(), tag);
        if self.dialogs.imply(&key, 0) {
            tx.forks.set_dialog(tag, key);
        }
    }

    /// Let go of what a state needs no more: everything in Terminated, the request once it needs neither repeat nor ACK.
    fn settle_client(&mut self, id: u64) {
        let Some(tx) = self.clients.get_mut(id) else { return };
        if !matches!(tx.machine.state(), State::Calling | State::Trying) {
            tx.fallback = None;
        }
        match tx.machine.state() {
            State::Terminated => {}
            State::Completed | State::Lost => {
                tx.data = Bytes::new();
                return;
            }
            _ => return,
        }
        let Some(tx) = self.clients.remove(id) else { return };
        tx.running.iter().for_each(|timer| self.timers.stop(Alarm::Client(id, timer)));
        tx.forks.dialogs().for_each(|key| self.dialogs.release(key));
    }
}
