//! Whose INVITEs were challenged and never came back with credentials: a provider that no line knows, a phone without a password, a scan.
//!
//! Answering them is stateless and Python hears nothing of it; so that a provider which is missing among the lines is no riddle, one INVITE
//! of a source is told now and then, after the source had time to answer. A flood costs a look into a bounded table for each INVITE and at
//! most [`MAX_TOLD`] events in [`TOLD_EVERY`], however many INVITEs and sources it has.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use super::Endpoint;
use super::config::{CHALLENGE_PATIENCE, MAX_STRANGERS, MAX_TOLD, TOLD_EVERY};
use super::event::Event;
use super::timers::Alarm;
use crate::flow::{Flow, subscriber};
use crate::message::Message;
use crate::time::Time;

/// A challenged INVITE that stands for those of its source.
struct Sample {
    message: Message,
    flow: Flow,
    at: Time,
    /// The later, the larger.
    order: u64,
}

/// One source.
#[derive(Default)]
struct Stranger {
    sample: Option<Sample>,
    /// INVITEs since it was told last.
    count: u64,
    told: Option<Time>,
}

impl Stranger {
    fn was_told(&self, now: Time, within: Duration) -> bool {
        self.told.is_some_and(|told| now.since(told) < within)
    }

    fn is_due(&self, now: Time) -> bool {
        let waited = self
            .sample
            .as_ref()
            .is_some_and(|sample| now.since(sample.at) >= CHALLENGE_PATIENCE);
        waited && !self.was_told(now, TOLD_EVERY)
    }
}

/// The sources whose INVITEs were challenged lately.
#[derive(Default)]
pub(super) struct Strangers {
    seen: HashMap<IpAddr, Stranger>,
    noted: u64,
    /// Events since `since`.
    told: usize,
    since: Option<Time>,
}

impl Strangers {
    /// An INVITE is challenged. Sources beyond the bound are not noted.
    fn note(&mut self, now: Time, message: &Message, flow: Flow) {
        let source = subscriber(flow.remote.ip());
        if self.seen.len() >= MAX_STRANGERS && !self.seen.contains_key(&source) {
            return;
        }
        let stranger = self.seen.entry(source).or_default();
        stranger.count += 1;
        self.noted += 1;
        let order = self.noted;
        stranger.sample.get_or_insert_with(|| Sample {
            message: message.clone(),
            flow,
            at: now,
            order,
        });
    }

    /// Whoever answers challenges is no provider that cannot. What was told of the source stays known.
    fn forget(&mut self, source: IpAddr) {
        let source = subscriber(source);
        if let Some(stranger) = self.seen.get_mut(&source) {
            stranger.sample = None;
            stranger.count = 0;
            if stranger.told.is_none() {
                self.seen.remove(&source);
            }
        }
    }

    /// What is to be told now, the longest waiting first; what the bound leaves no room for is forgotten.
    fn take_due(&mut self, now: Time) -> Vec<Event> {
        if self.since.is_none_or(|since| now.since(since) >= TOLD_EVERY) {
            self.since = Some(now);
            self.told = 0;
        }
        let mut due: Vec<&mut Stranger> = self.seen.values_mut().filter(|stranger| stranger.is_due(now)).collect();
        due.sort_by_key(|stranger| stranger.sample.as_ref().map(|sample| sample.order));
        let mut events = Vec::new();
        for stranger in due {
            let count = std::mem::take(&mut stranger.count);
            let sample = stranger.sample.take().filter(|_| self.told < MAX_TOLD);
            if let Some(Sample { message, flow, .. }) = sample {
                self.told += 1;
                stranger.told = Some(now);
                events.push(Event::ChallengeIgnored { message, flow, count });
            }
        }
        self.seen
            .retain(|_, stranger| stranger.sample.is_some() || stranger.was_told(now, TOLD_EVERY));
        events
    }

    fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }
}

impl Endpoint {
    /// A request outside of dialogs is challenged, not for an old nonce.
    pub(super) fn note_challenged(&mut self, now: Time, message: &Message, flow: Flow) {
        if message.method() != "INVITE" {
            return;
        }
        self.output.totals.challenged += 1;
        self.strangers.note(now, message, flow);
        self.tell_strangers_later(now);
    }

    /// An INVITE came with credentials for a nonce of ours.
    pub(super) fn note_credentials(&mut self, message: &Message, source: IpAddr) {
        if message.method() == "INVITE" {
            self.strangers.forget(source);
        }
    }

    fn tell_strangers_later(&mut self, now: Time) {
        if !self.strangers.is_empty() && !self.timers.is_set(Alarm::Strangers) {
            self.timers.set(Alarm::Strangers, now + CHALLENGE_PATIENCE);
        }
    }

    /// Tell whose challenges were not answered; while Python is behind it waits.
    pub(super) fn tell_strangers(&mut self, now: Time) {
        if !self.output.is_behind() {
            for event in self.strangers.take_due(now) {
                self.output.tell(event);
            }
        }
        self.tell_strangers_later(now);
    }
}
