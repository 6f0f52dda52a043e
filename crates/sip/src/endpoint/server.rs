//! Server transactions: what their machines say to do, done. Answers come from Python by `respond`, or from here: 100, 487, the 200 to a BYE
//! that was left alone (RFC 3261 §17.2, §13.3.1).

use std::collections::HashMap;

use bytes::Bytes;

use super::Endpoint;
use super::dialogs::DialogKey;
use super::event::{Event, ServerTransaction};
use super::matching::{ack_key, prack_key};
use super::reliable::Reliable;
use super::respond::{Answer, Reply};
use super::timers::Alarm;
use crate::flow::Flow;
use crate::message::Message;
use crate::time::Time;
use crate::transaction::{Action, Input, Kind, Machine, State, Timer, TimerSet};

/// One request that we answer.
pub(super) struct ServerTx {
    pub(super) handle: ServerTransaction,
    pub(super) machine: Machine,
    pub(super) running: TimerSet,
    /// Kept until the final answer is acknowledged or needs no more.
    pub(super) request: Option<Message>,
    /// What goes up with `Deliver`.
    pub(super) arrival: Option<Event>,
    pub(super) flow: Flow,
    pub(super) reply: Reply,
    key: String,
    merge: Option<String>,
    ack: Option<String>,
    /// The dialogs that answers of ours made.
    dialogs: Vec<DialogKey>,
    /// Our tag, as last sent.
    pub(super) tag: Option<String>,
    /// The dialog the request came in.
    pub(super) inside: Option<DialogKey>,
    /// Once a provisional went out reliably.
    pub(super) reliable: Option<Box<Reliable>>,
    /// The answer to be sent by the next `Send`, then the one to repeat.
    last: Option<Bytes>,
}

/// What a new server transaction is made of.
pub(super) struct Arrival {
    pub(super) handle: ServerTransaction,
    pub(super) request: Message,
    pub(super) event: Event,
    pub(super) flow: Flow,
    pub(super) reply: Reply,
    pub(super) key: String,
    pub(super) merge: Option<String>,
    pub(super) inside: Option<DialogKey>,
}

/// All server transactions.
#[derive(Default)]
pub(super) struct Servers {
    by_id: HashMap<u64, ServerTx>,
    by_key: HashMap<String, u64>,
    merges: HashMap<String, u64>,
    acks: HashMap<String, u64>,
    pracks: HashMap<String, u64>,
    last: u64,
}

impl Servers {
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn get_mut(&mut self, id: u64) -> Option<&mut ServerTx> {
        self.by_id.get_mut(&id)
    }

    pub(super) fn find(&self, key: &str) -> Option<u64> {
        self.by_key.get(key).copied()
    }

    /// Whether another copy of this request is under way.
    pub(super) fn is_merged(&self, merge: &str) -> bool {
        self.merges.contains_key(merge)
    }

    /// The INVITE whose 2xx an ACK acknowledges.
    pub(super) fn acknowledged_by(&self, ack: &str) -> Option<u64> {
        self.acks.get(ack).copied()
    }

    /// The INVITE whose reliable provisional a PRACK acknowledges.
    pub(super) fn acknowledged_reliable(&self, prack: &str) -> Option<u64> {
        self.pracks.get(prack).copied()
    }

    /// From now on a PRACK with that key is for this INVITE.
    pub(super) fn await_prack(&mut self, prack: String, id: u64) {
        self.pracks.insert(prack, id);
    }

    /// That PRACK came, or is awaited no more.
    pub(super) fn forget_prack(&mut self, prack: &str) {
        self.pracks.remove(prack);
    }

    pub(super) fn next_handle(&mut self) -> ServerTransaction {
        self.last += 1;
        ServerTransaction::new(self.last)
    }

    pub(super) fn insert(&mut self, arrival: Arrival) -> u64 {
        let id = arrival.handle.id;
        let kind = if arrival.request.method() == "INVITE" {
            Kind::InviteServer
        } else {
            Kind::Server
        };
        self.by_key.insert(arrival.key.clone(), id);
        if let Some(merge) = &arrival.merge {
            self.merges.insert(merge.clone(), id);
        }
        let tx = ServerTx {
            handle: arrival.handle,
            machine: Machine::new(kind),
            running: TimerSet::default(),
            request: Some(arrival.request),
            arrival: Some(arrival.event),
            flow: arrival.flow,
            reply: arrival.reply,
            key: arrival.key,
            merge: arrival.merge,
            ack: None,
            dialogs: Vec::new(),
            tag: None,
            inside: arrival.inside,
            reliable: None,
            last: None,
        };
        self.by_id.insert(id, tx);
        id
    }

    fn remove(&mut self, id: u64) -> Option<ServerTx> {
        let tx = self.by_id.remove(&id)?;
        self.by_key.remove(&tx.key);
        let mine = |owner: Option<&u64>| owner == Some(&id);
        if let Some(merge) = tx.merge.as_ref().filter(|merge| mine(self.merges.get(*merge))) {
            self.merges.remove(merge);
        }
        if let Some(ack) = tx.ack.as_ref().filter(|ack| mine(self.acks.get(*ack))) {
            self.acks.remove(ack);
        }
        if let Some(prack) = tx
            .reliable
            .as_ref()
            .and_then(|reliable| reliable.key())
            .filter(|prack| mine(self.pracks.get(*prack)))
        {
            self.pracks.remove(prack);
        }
        Some(tx)
    }
}

impl ServerTx {
    /// Whether Python's answer would still go out.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.machine.state(), State::Trying | State::Proceeding)
    }
}

impl Endpoint {
    /// Feed a server transaction; `message` is the ACK where that is the input.
    pub(super) fn server_input(&mut self, now: Time, id: u64, input: Input, message: Option<&Message>) {
        let mut next = Some(input);
        while let Some(input) = next.take() {
            let Some(tx) = self.servers.get_mut(id) else { return };
            for action in tx.machine.input(input) {
                next = self.server_action(now, id, *action, message).or(next);
            }
        }
        self.settle_server(id);
    }

    /// Do one action; an input that follows from it at once is returned.
    fn server_action(&mut self, now: Time, id: u64, action: Action, message: Option<&Message>) -> Option<Input> {
        match action {
            Action::Start(timer) => return self.start_server_timer(now, id, timer),
            Action::Stop(timer) => self.stop_server_timer(id, timer),
            Action::Send => self.send_answer(now, id, false),
            Action::Repeat => self.send_answer(now, id, true),
            Action::SendTrying => self.send_trying(now, id),
            Action::Deliver => {
                let event = self.servers.get_mut(id).and_then(|tx| tx.arrival.take());
                event.into_iter().for_each(|event| self.output.tell(event));
            }
            Action::ReportAck => {
                let message = message.cloned();
                message
                    .into_iter()
                    .for_each(|message| self.output.tell(Event::AckReceived { tx: id, message }));
            }
            Action::ReportAckTimeout => self.output.tell(Event::AckTimedOut { tx: id }),
            Action::Abandon => {
                // Whether Python was about to answer or not, nobody waits for it any more.
                let _ = self.servers.get_mut(id).is_some_and(|tx| tx.handle.claim());
            }
            _ => {}
        }
        None
    }

    pub(super) fn start_server_timer(&mut self, now: Time, id: u64, timer: Timer) -> Option<Input> {
        let tx = self.servers.get_mut(id)?;
        let duration = tx.machine.start_timer(timer, &self.timing, tx.reply.is_reliable())?;
        if duration.is_zero() {
            return Some(Input::Fired(timer));
        }
        tx.running.insert(timer);
        self.timers.set(Alarm::Server(id, timer), timer.due(now, duration));
        None
    }

    pub(super) fn stop_server_timer(&mut self, id: u64, timer: Timer) {
        if self.servers.get_mut(id).is_some_and(|tx| tx.running.remove(timer)) {
            self.timers.stop(Alarm::Server(id, timer));
        }
    }

    /// A timer of a server transaction has gone off.
    pub(super) fn server_timer(&mut self, now: Time, id: u64, timer: Timer) {
        if let Some(tx) = self.servers.get_mut(id) {
            tx.running.remove(timer);
        }
        match timer {
            Timer::Bye => self.answer_bye(now, id),
            Timer::Reliable => self.repeat_reliable(now, id),
            Timer::ReliableLimit => self.give_up_reliable(now, id),
            _ => self.server_input(now, id, Input::Fired(timer), None),
        }
    }

    fn send_answer(&mut self, now: Time, id: u64, again: bool) {
        let Some(tx) = self.servers.get_mut(id) else { return };
        let (reply, last) = (tx.reply, tx.last.clone());
        match last {
            Some(data) => self.send_reply(now, reply, data, again),
            // Their INVITE came again before anything was answered: 100 at once stops the repeats.
            None => self.send_trying(now, id),
        }
    }

    fn send_trying(&mut self, now: Time, id: u64) {
        let Some(tx) = self.servers.get_mut(id) else { return };
        let Some(request) = tx.request.clone() else { return };
        let reply = tx.reply;
        if let Some(data) = self.build_response(&request, &reply, 100, None, None, &[], &[]) {
            if let Some(tx) = self.servers.get_mut(id) {
                tx.last = Some(data.clone());
            }
            self.stop_server_timer(id, Timer::Trying);
            self.send_reply(now, reply, data, false);
        }
    }

    /// Send an answer whose time has come. What cannot be built becomes 500, so that no peer is left waiting.
    pub(super) fn answer_now(&mut self, now: Time, id: u64, mut answer: Answer) {
        let Some(tx) = self.servers.get_mut(id).filter(|tx| tx.is_open()) else {
            return;
        };
        let (Some(request), reply) = (tx.request.clone(), tx.reply) else {
            return;
        };
        let kept = tx.tag.clone();
        let tag = if answer.status > 100 && request.to_tag().is_empty() {
            answer.to_tag.take().or(kept).or_else(|| Some(self.minter.tag()))
        } else {
            None
        };
        let rseq = if answer.reliable {
            self.number_reliable(id, &mut answer)
        } else {
            None
        };
        let Answer { reason, headers, body, .. } = &answer;
        let built = self.build_response(&request, &reply, answer.status, reason.as_deref(), tag.as_deref(), headers, body);
        let (status, data) = match built {
            Some(data) => (answer.status, Some(data)),
            None if answer.status < 200 => return,
            None => (500, self.build_response(&request, &reply, 500, None, tag.as_deref(), &[], &[])),
        };
        let Some(data) = data else { return };
        self.note_dialog(id, &request, status, tag.as_deref());
        match rseq {
            Some(rseq) => {
                let local = tag.as_deref().unwrap_or(request.to_tag());
                let cseq = request.cseq().map_or(0, |cseq| cseq.number);
                let key = prack_key(request.call_id(), local, request.from_tag(), cseq, rseq);
                self.await_prack(now, id, key, data.clone(), !answer.body.is_empty());
            }
            // RFC 3262 §3: a final answer ends the repeats.
            None if status >= 200 => self.stop_reliable(id),
            None => {}
        }
        if let Some(tx) = self.servers.get_mut(id) {
            tx.last = Some(data);
            tx.tag = tag.or(tx.tag.take());
        }
        let input = match status {
            ..=199 => Input::Provisional,
            200..=299 => Input::Success,
            _ => Input::Failure,
        };
        self.server_input(now, id, input, None);
    }

    /// An answer to INVITE makes a dialog, early or not, and a 2xx awaits an ACK inside it (RFC 3261 §12.1.1, §13.3.1.4).
    fn note_dialog(&mut self, id: u64, request: &Message, status: u16, tag: Option<&str>) {
        if request.method() != "INVITE" || !(101..300).contains(&status) {
            return;
        }
        let Ok(cseq) = request.cseq() else { return };
        let local = tag.unwrap_or(request.to_tag());
        let key = DialogKey::new(request.call_id(), local, request.from_tag());
        let Some(tx) = self.servers.get_mut(id) else { return };
        if tx.inside.is_none() && !tx.dialogs.contains(&key) && self.dialogs.imply(&key, cseq.number) {
            tx.dialogs.push(key);
        }
        if status >= 200 {
            let ack = ack_key(request.call_id(), local, request.from_tag(), cseq.number);
            tx.ack = Some(ack.clone());
            self.servers.acks.insert(ack, id);
        }
    }

    /// Python left a BYE in order alone: answer it and stop its leg.
    fn answer_bye(&mut self, now: Time, id: u64) {
        let Some(tx) = self.servers.get_mut(id).filter(|tx| tx.is_open()) else {
            return;
        };
        let (Some(request), inside) = (tx.request.clone(), tx.inside.clone()) else {
            return;
        };
        if !tx.handle.claim() {
            return;
        }
        self.respond(now, id, Answer::bare(200));
        let leg = inside.and_then(|key| self.dialogs.get(&key)).map_or(0, |dialog| dialog.leg);
        if leg != 0 {
            self.output.stopped_legs.push(leg);
        }
        self.output.tell(Event::ByeAnswered { tx: id, message: request });
    }

    /// Let go of what a state needs no more: everything in Terminated, the request once it cannot be answered again.
    fn settle_server(&mut self, id: u64) {
        let Some(tx) = self.servers.get_mut(id) else { return };
        match tx.machine.state() {
            State::Terminated => {}
            State::Completed | State::Accepted => {
                tx.request = None;
                return;
            }
            State::Acknowledged | State::Confirmed => {
                (tx.request, tx.last) = (None, None);
                return;
            }
            _ => return,
        }
        let Some(tx) = self.servers.remove(id) else { return };
        tx.running.iter().for_each(|timer| self.timers.stop(Alarm::Server(id, timer)));
        tx.dialogs.iter().for_each(|key| self.dialogs.release(key));
    }
}
