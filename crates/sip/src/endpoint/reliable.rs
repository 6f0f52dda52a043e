//! Reliable provisionals of an INVITE that we answer (RFC 3262 §3): numbered, repeated until their PRACK, one unacknowledged at a time.
//!
//! What Python answers meanwhile waits here: further provisionals for their turn, a 2xx until whatever described a session is acknowledged.
//! All of it goes on while Python stands still; Python hears of the PRACK and answers it, or of the PRACK that never came.

use std::collections::VecDeque;

use bytes::Bytes;

use super::Endpoint;
use super::config::MAX_HELD_PROVISIONALS;
use super::dialogs::DialogKey;
use super::event::Event;
use super::matching::prack_key;
use super::request::Incoming;
use super::respond::Answer;
use super::timers::Alarm;
use crate::header::{Name, RAck};
use crate::message::Message;
use crate::time::Time;
use crate::transaction::{State, Timer};

/// The extension's option tag.
const OPTION: &str = "100rel";
/// RFC 3262 §3: the first number is at most 2**31 - 1.
const MAX_FIRST_RSEQ: u64 = (1 << 31) - 1;

/// The provisional that awaits its PRACK.
struct Outstanding {
    key: String,
    data: Bytes,
    /// It describes a session, so that a 2xx must wait.
    described: bool,
    repeats: u32,
}

/// What one INVITE's answers have to do with each other.
#[derive(Default)]
pub(super) struct Reliable {
    /// The number last used; zero before the first.
    rseq: u32,
    outstanding: Option<Outstanding>,
    waiting: VecDeque<Answer>,
    success: Option<Answer>,
}

impl Reliable {
    /// Keep an answer whose time has not come; others are given back.
    fn hold(&mut self, answer: Answer) -> Option<Answer> {
        let described = self.outstanding.as_ref()?.described || self.waiting.iter().any(is_described);
        match answer.status {
            200..=299 if described => self.success = Some(answer),
            // §3: after a final answer no new provisional.
            200.. => {
                self.waiting.clear();
                return Some(answer);
            }
            // In the order that Python gave them.
            _ if answer.reliable || !self.waiting.is_empty() => {
                if self.waiting.len() < MAX_HELD_PROVISIONALS {
                    self.waiting.push_back(answer);
                }
            }
            _ => return Some(answer),
        }
        None
    }

    /// The next answer whose time has come.
    fn release(&mut self) -> Option<Answer> {
        if self.outstanding.is_some() {
            return None;
        }
        if self.success.is_some() && !self.waiting.iter().any(is_described) {
            self.waiting.clear();
            return self.success.take();
        }
        self.waiting.pop_front()
    }

    /// The key of the provisional that awaits its PRACK.
    pub(super) fn key(&self) -> Option<&str> {
        self.outstanding.as_ref().map(|outstanding| outstanding.key.as_str())
    }
}

/// Whether a held provisional describes a session that is to be acknowledged.
fn is_described(answer: &Answer) -> bool {
    answer.reliable && !answer.body.is_empty()
}

/// Whether the peer understands reliable provisionals (§3).
fn is_offered(invite: &Message) -> bool {
    invite.names_option(Name::Supported, OPTION) || invite.names_option(Name::Require, OPTION)
}

impl Endpoint {
    /// Answer a request for Python, or for ourselves, now or when what it waits for has come.
    pub(super) fn respond(&mut self, now: Time, id: u64, mut answer: Answer) {
        let Some(tx) = self.servers.get_mut(id).filter(|tx| tx.is_open()) else {
            return;
        };
        answer.reliable &= (101..200).contains(&answer.status)
            && tx
                .request
                .as_ref()
                .is_some_and(|request| request.method() == "INVITE" && is_offered(request));
        if answer.reliable {
            tx.reliable.get_or_insert_default();
        }
        let due = match &mut tx.reliable {
            Some(reliable) if reliable.outstanding.is_some() => reliable.hold(answer),
            _ => Some(answer),
        };
        if let Some(answer) = due {
            self.answer_now(now, id, answer);
        }
    }

    /// Number a provisional that goes out reliably; the fields that say so are added.
    pub(super) fn number_reliable(&mut self, id: u64, answer: &mut Answer) -> Option<u32> {
        let first = u32::try_from(self.minter.random() % MAX_FIRST_RSEQ + 1).unwrap_or(1);
        let reliable = self.servers.get_mut(id)?.reliable.as_mut()?;
        let rseq = match reliable.rseq {
            0 => first,
            last => last.checked_add(1)?,
        };
        reliable.rseq = rseq;
        answer.headers.retain(|(name, _)| Name::parse(name) != Some(Name::RSeq));
        let requires = |(name, value): &(String, String)| {
            Name::parse(name) == Some(Name::Require) && crate::header::split_list(value).any(|option| option.eq_ignore_ascii_case(OPTION))
        };
        if !answer.headers.iter().any(requires) {
            answer.headers.push((Name::Require.as_str().to_owned(), OPTION.to_owned()));
        }
        answer.headers.push((Name::RSeq.as_str().to_owned(), rseq.to_string()));
        Some(rseq)
    }

    /// A reliable provisional goes out: repeat it until its PRACK.
    pub(super) fn await_prack(&mut self, now: Time, id: u64, key: String, data: Bytes, described: bool) {
        let Some(reliable) = self.servers.get_mut(id).and_then(|tx| tx.reliable.as_mut()) else {
            return;
        };
        reliable.outstanding = Some(Outstanding {
            key: key.clone(),
            data,
            described,
            repeats: 0,
        });
        self.servers.await_prack(key, id);
        self.start_reliable_timer(now, id, Timer::Reliable, 0);
        self.start_reliable_timer(now, id, Timer::ReliableLimit, 0);
    }

    fn start_reliable_timer(&mut self, now: Time, id: u64, timer: Timer, repeats: u32) {
        let Some(tx) = self.servers.get_mut(id) else { return };
        let Some(duration) = self.timing.duration(timer, tx.machine.state(), repeats, false) else {
            return;
        };
        tx.running.insert(timer);
        self.timers.set(Alarm::Server(id, timer), now + duration);
    }

    /// No more repeats; a late PRACK is still known.
    pub(super) fn stop_reliable(&mut self, id: u64) {
        self.stop_server_timer(id, Timer::Reliable);
        self.stop_server_timer(id, Timer::ReliableLimit);
    }

    /// The provisional was not acknowledged yet: once more, after twice the pause.
    pub(super) fn repeat_reliable(&mut self, now: Time, id: u64) {
        let Some(tx) = self.servers.get_mut(id) else { return };
        let reply = tx.reply;
        let Some(outstanding) = tx.reliable.as_mut().and_then(|reliable| reliable.outstanding.as_mut()) else {
            return;
        };
        outstanding.repeats = outstanding.repeats.saturating_add(1);
        let (repeats, data) = (outstanding.repeats, outstanding.data.clone());
        self.send_reply(now, reply, data, true);
        self.start_reliable_timer(now, id, Timer::Reliable, repeats);
    }

    /// §3: the PRACK never came. Python refuses the INVITE; where its 2xx waited here, that is done for it.
    pub(super) fn give_up_reliable(&mut self, now: Time, id: u64) {
        self.stop_reliable(id);
        self.forget_outstanding(id);
        let Some(reliable) = self.servers.get_mut(id).and_then(|tx| tx.reliable.as_mut()) else {
            return;
        };
        reliable.waiting.clear();
        let refused = reliable.success.take().is_some();
        if refused {
            self.answer_now(now, id, Answer::bare(504));
        }
        self.output.tell(Event::ReliableTimedOut { tx: id, refused });
    }

    fn forget_outstanding(&mut self, id: u64) {
        let outstanding = self.servers.get_mut(id).and_then(|tx| tx.reliable.as_mut()?.outstanding.take());
        if let Some(outstanding) = outstanding {
            self.servers.forget_prack(&outstanding.key);
        }
    }

    /// A PRACK inside a known dialog: it acknowledges the provisional that its RAck names, or nothing (481).
    pub(super) fn take_prack(&mut self, now: Time, incoming: Incoming, dialog: DialogKey) {
        let message = &incoming.message;
        let key = |rack: &RAck| prack_key(message.call_id(), message.to_tag(), message.from_tag(), rack.cseq.number, rack.rseq);
        let rack = message.rack().ok().filter(|rack| rack.cseq.method == "INVITE");
        let Some(invite) = rack.and_then(|rack| self.servers.acknowledged_reliable(&key(&rack))) else {
            return self.answer(now, message, incoming.reply, 481, &[]);
        };
        self.dialogs.take_cseq(&dialog, incoming.cseq);
        self.stop_reliable(invite);
        self.forget_outstanding(invite);
        self.hand_up_prack(now, incoming, invite, dialog);
        while let Some(answer) = self
            .servers
            .get_mut(invite)
            .filter(|tx| tx.machine.state() == State::Proceeding)
            .and_then(|tx| tx.reliable.as_mut()?.release())
        {
            self.answer_now(now, invite, answer);
        }
    }

    /// §9.2 of RFC 3261: a 2xx that waits has not been sent, so that a CANCEL still counts. Python is told by `Cancelled`.
    pub(super) fn withdraw_success(&mut self, id: u64) -> bool {
        let reliable = self.servers.get_mut(id).and_then(|tx| tx.reliable.as_mut());
        reliable.is_some_and(|reliable| reliable.success.take().is_some())
    }
}
