//! Any bytes as a message summary: what is read is within its bounds, each class is there once, and reads again as it is written.
#![no_main]

use std::fmt::Write;

use libfuzzer_sys::fuzz_target;
use trunkline_sip::mailbox_summary::{MAX_BYTES, MailboxSummary};

fuzz_target!(|body: &[u8]| {
    let Ok(summary) = MailboxSummary::parse(body) else { return };
    assert!(summary.account.len() <= MAX_BYTES * 3 && !summary.account.contains(char::is_control));
    for (at, each) in summary.counts.iter().enumerate() {
        assert!(summary.counts[..at].iter().all(|before| before.class != each.class));
        assert_eq!(summary.of(each.class), Some(*each));
    }
    let mut text = format!("Messages-Waiting: {}\r\n", if summary.waiting { "yes" } else { "no" });
    for each in &summary.counts {
        let (name, new, old, urgent_new, urgent_old) = (each.class.name(), each.new, each.old, each.urgent_new, each.urgent_old);
        write!(text, "{name}: {new}/{old} ({urgent_new}/{urgent_old})\r\n").expect("text is written");
    }
    let again = MailboxSummary::parse(text.as_bytes()).expect("what is written reads");
    assert_eq!((again.waiting, again.counts), (summary.waiting, summary.counts));
});
