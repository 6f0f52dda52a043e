//! Requests from the network: matched to what they belong to, turned away, challenged, or handed up in a new server transaction
//! (RFC 3261 §8.2, §9.2, §12.2.2, §17.2.3).

use super::Endpoint;
use super::challenge::Verdict;
use super::config::{MAX_SERVER_TRANSACTIONS, RETRY_AFTER_S};
use super::dialogs::DialogKey;
use super::event::{Event, ServerTransaction};
use super::matching::{ack_key, has_cookie, merge_key, server_key};
use super::respond::{Answer, Reply};
use super::server::Arrival;
use crate::flow::Flow;
use crate::header::Via;
use crate::message::{Message, ParseError};
use crate::time::Time;
use crate::transaction::{Input, State, Timer};

/// A checked request and what was read of it.
pub(super) struct Incoming {
    pub(super) message: Message,
    flow: Flow,
    via: Via,
    pub(super) cseq: u32,
    key: String,
    pub(super) reply: Reply,
}

impl Endpoint {
    /// Take a request that passed its check.
    pub(super) fn take_request(&mut self, now: Time, flow: Flow, message: Message) {
        let (Ok(via), Ok(cseq)) = (message.via(), message.cseq()) else {
            return;
        };
        let key = server_key(&message, &via, cseq.number);
        let reply = Reply::new(&flow, &via);
        let incoming = Incoming {
            message,
            flow,
            via,
            cseq: cseq.number,
            key,
            reply,
        };
        match (incoming.message.method(), self.servers.find(&incoming.key)) {
            ("ACK", found) => self.take_ack(now, &incoming, found),
            ("CANCEL", found) => self.take_cancel(now, incoming, found),
            (_, Some(id)) => self.server_input(now, id, Input::Request, None),
            (_, None) => self.take_new(now, incoming),
        }
    }

    /// Answer a request that failed its check, where it says whom to answer (RFC 3261 §8.2, §21.4.1).
    pub(super) fn refuse_malformed(&mut self, now: Time, flow: Flow, message: &Message, error: &ParseError) {
        if error.status == 0 || message.method() == "ACK" {
            return;
        }
        if let Ok(via) = message.via() {
            self.answer_malformed(now, message, Reply::new(&flow, &via), error.status);
        }
    }

    /// An ACK to a failure has the INVITE's branch; one to a 2xx has its own and is matched by its dialog (§13.3.1.4, §17.1.1.3).
    fn take_ack(&mut self, now: Time, incoming: &Incoming, found: Option<u64>) {
        let message = &incoming.message;
        let ack = || ack_key(message.call_id(), message.to_tag(), message.from_tag(), incoming.cseq);
        let Some(id) = found.or_else(|| self.servers.acknowledged_by(&ack())) else {
            return;
        };
        let Some(tx) = self.servers.get_mut(id) else { return };
        // §17.2.3, RFC 2543: without the cookie an ACK must bear the tag that our answer gave.
        let foreign = !has_cookie(&incoming.via) && tx.tag.as_deref().is_some_and(|tag| tag != message.to_tag());
        if !foreign {
            self.server_input(now, id, Input::Ack, Some(message));
        }
    }

    /// §9.2: 200 to the CANCEL; 487 to the INVITE unless it has its final answer.
    fn take_cancel(&mut self, now: Time, incoming: Incoming, found: Option<u64>) {
        let Some(tx) = found.and_then(|id| self.servers.get_mut(id)) else {
            return self.answer(now, &incoming.message, incoming.reply, 481, &[]);
        };
        let (id, open) = (tx.handle.id, tx.is_open());
        let tag = tx.tag.clone().unwrap_or_else(|| self.minter.tag());
        let Some(tx) = self.servers.get_mut(id) else { return };
        tx.tag = Some(tag.clone());
        let claimed = open && (tx.handle.claim() || self.withdraw_success(id));
        // "The To tag of the response to the CANCEL and the To tag in the response to the original request SHOULD be the same."
        let to_tag = incoming.message.to_tag().is_empty().then_some(tag.as_str());
        if let Some(data) = self.build_response(&incoming.message, &incoming.reply, 200, None, to_tag, &[], &[]) {
            self.send_reply(now, incoming.reply, data, false);
        }
        if claimed {
            self.respond(now, id, Answer::bare(487));
            self.output.tell(Event::Cancelled {
                tx: id,
                message: incoming.message,
            });
        }
    }

    fn take_new(&mut self, now: Time, incoming: Incoming) {
        if self.servers.len() >= MAX_SERVER_TRANSACTIONS || self.output.is_exhausted() {
            return;
        }
        if incoming.message.to_tag().is_empty() {
            self.take_outside(now, incoming)
        } else {
            self.take_inside(now, incoming)
        }
    }

    /// A request inside a dialog: known by its tags alone, never shed, never challenged.
    fn take_inside(&mut self, now: Time, incoming: Incoming) {
        let message = &incoming.message;
        let Some(key) = self.dialog_of(message) else {
            return self.answer(now, message, incoming.reply, 481, &[]);
        };
        if message.method() == "PRACK" {
            return self.take_prack(now, incoming, key);
        }
        let source = incoming.flow.remote.ip();
        let credentials = match self.policy.judge(now, &mut self.nonces, message, source, true) {
            Verdict::Pass { credentials, .. } => credentials,
            Verdict::Challenge { .. } => None,
        };
        let bye = self.dialogs.take_cseq(&key, incoming.cseq) && message.method() == "BYE";
        let id = self.hand_up(now, incoming, credentials, false, None, Some(key));
        if bye {
            self.start_server_timer(now, id, Timer::Bye);
        }
    }

    /// The dialog of a request with a To tag. A NOTIFY may make one that Python awaits without knowing their tag (RFC 6665 §4.4.1).
    fn dialog_of(&self, message: &Message) -> Option<DialogKey> {
        let key = DialogKey::new(message.call_id(), message.to_tag(), message.from_tag());
        if self.dialogs.get(&key).is_some() {
            return Some(key);
        }
        let awaited = DialogKey::new(message.call_id(), message.to_tag(), "");
        (message.method() == "NOTIFY" && self.dialogs.get(&awaited).is_some()).then_some(awaited)
    }

    /// A request outside of dialogs: merged with one under way, shed, challenged or handed up.
    fn take_outside(&mut self, now: Time, incoming: Incoming) {
        let message = &incoming.message;
        if message.method() == "PRACK" {
            // RFC 3262 §3: it matches no provisional of ours.
            return self.answer(now, message, incoming.reply, 481, &[]);
        }
        let merge = merge_key(message, incoming.cseq);
        if self.servers.is_merged(&merge) {
            // §8.2.2.2
            return self.answer(now, message, incoming.reply, 482, &[]);
        }
        if self.sheds() {
            return self.shed(now, &incoming);
        }
        let source = incoming.flow.remote.ip();
        match self.policy.judge(now, &mut self.nonces, message, source, false) {
            Verdict::Pass { credentials, trusted } => {
                if credentials.is_some() {
                    self.note_credentials(&incoming.message, source);
                }
                self.hand_up(now, incoming, credentials, trusted, Some(merge), None);
            }
            Verdict::Challenge { stale } => {
                let value = self.policy.challenge(now, &mut self.nonces, source, stale);
                if !stale {
                    self.note_challenged(now, &incoming.message, incoming.flow);
                }
                self.answer(
                    now,
                    &incoming.message,
                    incoming.reply,
                    401,
                    &[("WWW-Authenticate".to_owned(), value)],
                );
            }
        }
    }

    fn sheds(&self) -> bool {
        self.overloaded || self.output.is_behind() || self.servers.len() >= MAX_SERVER_TRANSACTIONS / 4 * 3
    }

    /// §21.5.4: 503, and not all of them back at the same time.
    fn shed(&mut self, now: Time, incoming: &Incoming) {
        self.output.totals.shed += 1;
        self.output.turned_away.overload += 1;
        self.tell_turned_away_later(now);
        let spread = RETRY_AFTER_S.end - RETRY_AFTER_S.start;
        let seconds = RETRY_AFTER_S.start + self.minter.random() % spread;
        self.answer(
            now,
            &incoming.message,
            incoming.reply,
            503,
            &[("Retry-After".to_owned(), seconds.to_string())],
        );
    }

    fn hand_up(
        &mut self,
        now: Time,
        incoming: Incoming,
        credentials: Option<Box<crate::digest::Credentials>>,
        trusted: bool,
        merge: Option<String>,
        inside: Option<DialogKey>,
    ) -> u64 {
        let handle = self.servers.next_handle();
        let event = Event::RequestReceived {
            tx: handle.clone(),
            message: incoming.message.clone(),
            flow: incoming.flow,
            credentials,
            trusted,
        };
        self.enter(now, incoming, handle, event, merge, inside)
    }

    /// Hand up the PRACK to a reliable provisional of this INVITE.
    pub(super) fn hand_up_prack(&mut self, now: Time, incoming: Incoming, invite: u64, inside: DialogKey) {
        let handle = self.servers.next_handle();
        let event = Event::PrackReceived {
            tx: handle.clone(),
            invite,
            message: incoming.message.clone(),
            flow: incoming.flow,
        };
        self.enter(now, incoming, handle, event, None, Some(inside));
    }

    /// Begin the server transaction of a request; `event` is what goes up.
    fn enter(
        &mut self,
        now: Time,
        incoming: Incoming,
        handle: ServerTransaction,
        event: Event,
        merge: Option<String>,
        inside: Option<DialogKey>,
    ) -> u64 {
        let Incoming {
            message, flow, key, reply, ..
        } = incoming;
        let id = self.servers.insert(Arrival {
            handle,
            request: message,
            event,
            flow,
            reply,
            key,
            merge,
            inside,
        });
        self.server_input(now, id, Input::Start, None);
        id
    }

    /// Answer 401 for Python with a fresh nonce, bound to the request's source.
    pub(super) fn challenge(&mut self, now: Time, id: u64, stale: bool) {
        let Some(tx) = self.servers.get_mut(id).filter(|tx| tx.machine.state() != State::Terminated) else {
            return;
        };
        let source = tx.flow.remote.ip();
        let value = self.policy.challenge(now, &mut self.nonces, source, stale);
        self.respond(now, id, Answer::with(401, vec![("WWW-Authenticate".to_owned(), value)]));
    }
}
