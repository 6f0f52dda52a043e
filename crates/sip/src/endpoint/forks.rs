//! The far ends of one INVITE of ours: each To tag that answered, what it said last, and the ACK that its 2xx got (RFC 3261 §13.2.2.4,
//! §12.1.2; RFC 6026 §7.2).

use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::Bytes;

use super::config::MAX_FORKS;
use super::dialogs::DialogKey;
use crate::flow::Flow;

/// What a response is to the one that sent it before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Novelty {
    /// To be told.
    New,
    /// A copy.
    Repeat,
    /// From one fork too many.
    TooMany,
}

/// One To tag.
#[derive(Default)]
struct Fork {
    tag: String,
    succeeded: bool,
    /// The last provisional's hash.
    provisional: Option<u64>,
    /// The RSeq of the last reliable provisional.
    rseq: Option<u32>,
    ack: Option<(Flow, Bytes)>,
    dialog: Option<DialogKey>,
}

/// All To tags of an INVITE.
#[derive(Default)]
pub(super) struct Forks(Vec<Fork>);

impl Forks {
    /// The fork with that tag; a new one while there is room.
    fn entry(&mut self, tag: &str) -> Option<&mut Fork> {
        let at = self.0.iter().position(|fork| fork.tag == tag);
        if at.is_none() {
            if self.0.len() >= MAX_FORKS {
                return None;
            }
            self.0.push(Fork {
                tag: tag.to_owned(),
                ..Fork::default()
            });
        }
        match at {
            Some(at) => self.0.get_mut(at),
            None => self.0.last_mut(),
        }
    }

    /// Note a provisional; a byte-identical copy of the last one with that tag is a repeat (the minutely ones of §13.3.1.1 are).
    pub(super) fn provisional(&mut self, tag: &str, raw: &Bytes) -> Novelty {
        let Some(fork) = self.entry(tag) else { return Novelty::TooMany };
        // Fixed keys, for equal histories; who makes collisions hides his own news.
        let mut hasher = DefaultHasher::new();
        raw.hash(&mut hasher);
        let hash = Some(hasher.finish());
        if fork.succeeded || fork.provisional == hash {
            return Novelty::Repeat;
        }
        fork.provisional = hash;
        Novelty::New
    }

    /// Note a reliable provisional. RFC 3262 §4: per early dialog each number once and in order; what comes again or too early is dropped
    /// here, and comes again until it is acknowledged.
    pub(super) fn reliable(&mut self, tag: &str, rseq: u32) -> Novelty {
        let Some(fork) = self.entry(tag) else { return Novelty::TooMany };
        if fork.succeeded || fork.rseq.is_some_and(|last| last.checked_add(1) != Some(rseq)) {
            return Novelty::Repeat;
        }
        fork.rseq = Some(rseq);
        fork.provisional = None;
        Novelty::New
    }

    /// Note a 2xx.
    pub(super) fn success(&mut self, tag: &str) -> Novelty {
        let Some(fork) = self.entry(tag) else { return Novelty::TooMany };
        fork.provisional = None;
        if std::mem::replace(&mut fork.succeeded, true) {
            Novelty::Repeat
        } else {
            Novelty::New
        }
    }

    /// Keep the ACK to that tag's 2xx.
    pub(super) fn keep_ack(&mut self, tag: &str, flow: Flow, data: Bytes) {
        if let Some(fork) = self.entry(tag) {
            fork.ack = Some((flow, data));
        }
    }

    /// The ACK to that tag's 2xx, if Python has given it.
    pub(super) fn ack(&self, tag: &str) -> Option<(Flow, Bytes)> {
        self.0.iter().find(|fork| fork.tag == tag).and_then(|fork| fork.ack.clone())
    }

    /// Whether that tag's dialog is noted.
    pub(super) fn has_dialog(&self, tag: &str) -> bool {
        self.0.iter().any(|fork| fork.tag == tag && fork.dialog.is_some())
    }

    /// Note that tag's dialog.
    pub(super) fn set_dialog(&mut self, tag: &str, key: DialogKey) {
        if let Some(fork) = self.entry(tag) {
            fork.dialog = Some(key);
        }
    }

    /// The dialogs noted.
    pub(super) fn dialogs(&self) -> impl Iterator<Item = &DialogKey> {
        self.0.iter().filter_map(|fork| fork.dialog.as_ref())
    }
}
