//! The live dialogs: those that Python registered, and those that an INVITE under way implies until Python has. A request inside a dialog
//! is known by Call-ID and both tags alone, never by its source (RFC 3261 §12).

use std::collections::HashMap;

use super::config::MAX_DIALOGS;
use super::matching::join;

/// Call-ID, our tag, their tag, in one string that no two dialogs share.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct DialogKey(String);

impl DialogKey {
    pub(super) fn new(call_id: &str, local_tag: &str, remote_tag: &str) -> Self {
        DialogKey(join(&[call_id, local_tag, remote_tag]))
    }
}

/// What is known of a dialog.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Dialog {
    /// Registered by Python.
    added: bool,
    /// Live INVITE transactions that imply it.
    implied_by: u32,
    /// The highest CSeq of theirs.
    remote_cseq: u32,
    /// The media leg; zero for none.
    pub(super) leg: u64,
}

/// All live dialogs.
#[derive(Default)]
pub(super) struct Dialogs {
    known: HashMap<DialogKey, Dialog>,
}

impl Dialogs {
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    pub(super) fn get(&self, key: &DialogKey) -> Option<Dialog> {
        self.known.get(key).copied()
    }

    fn entry(&mut self, key: DialogKey) -> Option<&mut Dialog> {
        if self.known.len() >= MAX_DIALOGS && !self.known.contains_key(&key) {
            return None;
        }
        Some(self.known.entry(key).or_default())
    }

    /// Python registers it, or changes its leg.
    pub(super) fn add(&mut self, key: DialogKey, remote_cseq: u32, leg: u64) {
        if let Some(dialog) = self.entry(key) {
            dialog.added = true;
            dialog.leg = leg;
            dialog.remote_cseq = dialog.remote_cseq.max(remote_cseq);
        }
    }

    /// Python has ended it.
    pub(super) fn remove(&mut self, key: &DialogKey) {
        self.known.remove(key);
    }

    /// An INVITE transaction implies it from now on; true when that was noted and must be taken back.
    pub(super) fn imply(&mut self, key: &DialogKey, remote_cseq: u32) -> bool {
        let Some(dialog) = self.entry(key.clone()) else { return false };
        dialog.implied_by = dialog.implied_by.saturating_add(1);
        dialog.remote_cseq = dialog.remote_cseq.max(remote_cseq);
        true
    }

    /// That transaction is over: without registration the dialog is unknown again.
    pub(super) fn release(&mut self, key: &DialogKey) {
        let Some(dialog) = self.known.get_mut(key) else { return };
        dialog.implied_by = dialog.implied_by.saturating_sub(1);
        if !dialog.added && dialog.implied_by == 0 {
            self.known.remove(key);
        }
    }

    /// Note the CSeq of a request inside it; true when it is in order: above all before (RFC 3261 §12.2.2).
    pub(super) fn take_cseq(&mut self, key: &DialogKey, cseq: u32) -> bool {
        let Some(dialog) = self.known.get_mut(key) else { return false };
        let in_order = cseq > dialog.remote_cseq;
        dialog.remote_cseq = dialog.remote_cseq.max(cseq);
        in_order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_an_implied_dialog_ends_with_its_transaction_unless_registered() {
        let mut dialogs = Dialogs::default();
        let (a, b) = (DialogKey::new("c", "l", "a"), DialogKey::new("c", "l", "b"));
        assert!(dialogs.imply(&a, 1) && dialogs.imply(&b, 1));
        dialogs.add(b.clone(), 0, 7);
        dialogs.release(&a);
        dialogs.release(&b);
        assert_eq!(dialogs.get(&a), None);
        assert_eq!(dialogs.get(&b).map(|dialog| dialog.leg), Some(7));
    }

    #[test]
    fn test_cseq_in_order_is_above_all_before() {
        let mut dialogs = Dialogs::default();
        let key = DialogKey::new("c", "l", "r");
        assert!(!dialogs.take_cseq(&key, 1));
        dialogs.add(key.clone(), 5, 0);
        assert!(!dialogs.take_cseq(&key, 5));
        assert!(dialogs.take_cseq(&key, 7));
        assert!(!dialogs.take_cseq(&key, 6));
    }

    #[test]
    fn test_parts_of_a_key_cannot_be_shifted() {
        assert_ne!(DialogKey::new("ab", "c", "d"), DialogKey::new("a", "bc", "d"));
        assert_ne!(DialogKey::new("a", "bc", "d"), DialogKey::new("a", "b", "cd"));
    }

    #[test]
    fn test_at_the_bound_a_further_dialog_is_not_registered_and_known_ones_stay() {
        let mut dialogs = Dialogs::default();
        for number in 0..MAX_DIALOGS {
            dialogs.add(DialogKey::new("c", &number.to_string(), "r"), 0, 0);
        }
        let further = DialogKey::new("d", "l", "r");
        dialogs.add(further.clone(), 0, 0);
        assert_eq!((dialogs.len(), dialogs.get(&further)), (MAX_DIALOGS, None));
        let known = DialogKey::new("c", "0", "r");
        dialogs.add(known.clone(), 0, 9);
        assert_eq!(dialogs.get(&known).map(|dialog| dialog.leg), Some(9));
    }
}
