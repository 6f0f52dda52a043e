//! What a mailbox tells of itself: the body `application/simple-message-summary` (RFC 3842 §5.2), read with bounds.
//!
//! Python asks it for the body of a provider's NOTIFY. Read are whether something waits, whose mailbox it is, and the counts of each
//! class of message; headers of single messages, which may follow an empty line, are passed over.

use thiserror::Error;

use crate::header::{head_and_body, trim, unfolded_lines};

/// Bytes of a summary that are looked at.
pub const MAX_BYTES: usize = 4_096;

const MAX_LINES: usize = 64;
const MAX_LINE_BYTES: usize = 1_024;

/// Why a body is no summary.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SummaryError {
    /// No line says `yes` or `no` to whether messages wait.
    #[error("Messages-Waiting says neither yes nor no")]
    NoStatus,
    /// It has more or longer lines than are read.
    #[error("too many or too long lines")]
    TooLarge,
}

/// A class of messages (RFC 3458 §3.2, RFC 3938 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Spoken.
    Voice,
    /// With pictures that move.
    Video,
    /// Facsimile.
    Fax,
    /// Short and urgent text.
    Pager,
    /// Of several kinds at once.
    Multimedia,
    /// Written.
    Text,
    /// Of no class.
    None,
}

const CLASSES: [(&str, Class); 7] = [
    ("voice-message", Class::Voice),
    ("video-message", Class::Video),
    ("fax-message", Class::Fax),
    ("pager-message", Class::Pager),
    ("multimedia-message", Class::Multimedia),
    ("text-message", Class::Text),
    ("none", Class::None),
];

impl Class {
    /// The class of that name, whatever its case.
    #[must_use]
    pub fn parse(name: &str) -> Option<Class> {
        let fits = |row: &&(&str, Class)| row.0.eq_ignore_ascii_case(name);
        CLASSES.iter().find(fits).map(|row| row.1)
    }

    /// Its name, in lower case.
    #[must_use]
    pub fn name(self) -> &'static str {
        CLASSES.iter().find(|row| row.1 == self).map_or("", |row| row.0)
    }
}

/// How many messages of one class there are, as the sender counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Which.
    pub class: Class,
    /// Not seen or heard yet.
    pub new: u32,
    /// The others.
    pub old: u32,
    /// Of the new ones; 0 where the sender does not say.
    pub urgent_new: u32,
    /// Of the old ones; 0 where the sender does not say.
    pub urgent_old: u32,
}

/// What a summary says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxSummary {
    /// Whether something new waits.
    pub waiting: bool,
    /// The URI of the mailbox, unchecked; empty for none.
    pub account: String,
    /// Each class once, in the order of their lines; what has no readable counts is left out.
    pub counts: Vec<Counts>,
}

impl MailboxSummary {
    /// Read a summary.
    ///
    /// # Errors
    ///
    /// [`SummaryError`] says why it is none.
    pub fn parse(body: &[u8]) -> Result<MailboxSummary, SummaryError> {
        let (head, _) = head_and_body(whole_lines(body));
        let text = String::from_utf8_lossy(head);
        let lines = unfolded_lines(&text, MAX_LINES, MAX_LINE_BYTES).ok_or(SummaryError::TooLarge)?;
        let (mut waiting, mut account, mut counts) = (None, None, Vec::<Counts>::new());
        for (name, value) in lines.iter().filter_map(|line| line.split_once(':')) {
            let (name, value) = (trim(name), trim(value));
            // Of lines that are there twice the first one counts.
            if name.eq_ignore_ascii_case("Messages-Waiting") {
                waiting = waiting.or_else(|| status(value));
            } else if name.eq_ignore_ascii_case("Message-Account") {
                account.get_or_insert_with(|| value.replace(|letter: char| letter.is_control(), " "));
            } else if let Some(class) = Class::parse(name) {
                let known = counts.iter().any(|each| each.class == class);
                counts.extend(read_counts(class, value).filter(|_| !known));
            }
        }
        Ok(MailboxSummary {
            waiting: waiting.ok_or(SummaryError::NoStatus)?,
            account: account.unwrap_or_default(),
            counts,
        })
    }

    /// The counts of one class.
    #[must_use]
    pub fn of(&self, class: Class) -> Option<Counts> {
        self.counts.iter().find(|each| each.class == class).copied()
    }
}

/// The body as far as it is looked at, without a line that is cut off there.
fn whole_lines(body: &[u8]) -> &[u8] {
    let Some(first) = body.get(..MAX_BYTES).filter(|_| body.len() > MAX_BYTES) else {
        return body;
    };
    let end = first.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    first.get(..end).unwrap_or_default()
}

fn status(value: &str) -> Option<bool> {
    match value {
        _ if value.eq_ignore_ascii_case("yes") => Some(true),
        _ if value.eq_ignore_ascii_case("no") => Some(false),
        _ => None,
    }
}

/// `new SLASH old [LPAREN urgent-new SLASH urgent-old RPAREN]`, each a number of 32 bits.
fn read_counts(class: Class, value: &str) -> Option<Counts> {
    let (all, urgent) = match value.split_once('(') {
        Some((all, urgent)) => (all, trim(urgent).strip_suffix(')')?),
        None => (value, "0/0"),
    };
    let (new, old) = pair(all)?;
    let (urgent_new, urgent_old) = pair(urgent)?;
    Some(Counts {
        class,
        new,
        old,
        urgent_new,
        urgent_old,
    })
}

fn pair(text: &str) -> Option<(u32, u32)> {
    let (one, other) = text.split_once('/')?;
    Some((number(one)?, number(other)?))
}

fn number(text: &str) -> Option<u32> {
    crate::header::parse_integer(text).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn told(lines: &[&str]) -> Result<MailboxSummary, SummaryError> {
        MailboxSummary::parse(lines.join("\r\n").as_bytes())
    }

    fn counts(class: Class, [new, old, urgent_new, urgent_old]: [u32; 4]) -> Counts {
        Counts {
            class,
            new,
            old,
            urgent_new,
            urgent_old,
        }
    }

    #[test]
    fn test_the_examples_of_the_rfc_are_read() {
        // RFC 3842 §4.1, §5.2
        let summary = told(&[
            "Messages-Waiting: yes",
            "Message-Account: sip:alice@vmail.example.com",
            "Voice-Message: 2/8 (0/2)",
            "Fax-Message: 1/3",
            "",
            "To: alice@example.com",
            "Voice-Message: 9/9",
        ])
        .unwrap();
        assert!(summary.waiting);
        assert_eq!(summary.account, "sip:alice@vmail.example.com");
        assert_eq!(
            summary.counts,
            [counts(Class::Voice, [2, 8, 0, 2]), counts(Class::Fax, [1, 3, 0, 0])]
        );
    }

    #[test]
    fn test_every_class_is_known_by_its_name() {
        for (name, class) in CLASSES {
            let line = format!("{}: 1/2 ( 3 / 4 )", name.to_uppercase());
            let summary = told(&["messages-waiting : NO", &line]).unwrap();
            assert_eq!(summary.counts, [counts(class, [1, 2, 3, 4])]);
            assert_eq!(summary.of(class).map(|each| each.class.name()), Some(name));
        }
        assert_eq!(told(&["Messages-Waiting: no", "Smell-Message: 1/2"]).unwrap().counts, []);
    }

    #[test]
    fn test_counts_that_cannot_be_read_are_left_out_and_the_rest_is_told() {
        for value in [
            "many",
            "1",
            "1/",
            "-1/2",
            "4294967296/0",
            "1/2 (3/4",
            "1/2 (3)",
            "1/2 3/4",
            "1/2 (3/4) 5",
            "",
        ] {
            let line = format!("Voice-Message: {value}");
            let summary = told(&["Messages-Waiting: yes", &line, "Text-Message: 4294967295/0"]).unwrap();
            assert_eq!(summary.counts, [counts(Class::Text, [u32::MAX, 0, 0, 0])], "{value}");
        }
    }

    #[test]
    fn test_folded_lines_and_bare_line_feeds_are_read() {
        let folded = MailboxSummary::parse(b"Messages-Waiting:\n yes\nVoice-Message: 1/2\r\n\t(0/1)\nFax-Message: 3/4\n").unwrap();
        assert!(folded.waiting);
        assert_eq!(
            folded.counts,
            [counts(Class::Voice, [1, 2, 0, 1]), counts(Class::Fax, [3, 4, 0, 0])]
        );
    }

    #[test]
    fn test_of_two_lines_the_first_one_counts() {
        let summary = told(&[
            "Messages-Waiting: yes",
            "Messages-Waiting: no",
            "Message-Account: sip:a@x",
            "Message-Account: sip:b@x",
            "Voice-Message: 1/1",
            "Voice-Message: 2/2",
        ])
        .unwrap();
        assert!(summary.waiting);
        assert_eq!(summary.account, "sip:a@x");
        assert_eq!(summary.counts, [counts(Class::Voice, [1, 1, 0, 0])]);
    }

    #[test]
    fn test_what_does_not_say_whether_something_waits_is_no_summary() {
        for lines in [
            &[][..],
            &["no colon"],
            &["Messages-Waiting: perhaps"],
            &["", "Messages-Waiting: yes"],
        ] {
            assert_eq!(told(lines), Err(SummaryError::NoStatus));
        }
    }

    #[test]
    fn test_every_measure_is_bounded() {
        let long = format!("Message-Account: {}", "a".repeat(MAX_LINE_BYTES));
        assert_eq!(told(&["Messages-Waiting: yes", &long]), Err(SummaryError::TooLarge));
        let many = vec!["a: b"; MAX_LINES + 1];
        assert_eq!(told(&many), Err(SummaryError::TooLarge));
        // A line that the limit cuts is not half read.
        let mut body = b"Messages-Waiting: yes\r\n".to_vec();
        for size in [1_000, 1_000, 1_000, 1_000] {
            body.extend(format!("X: {}\r\n", "a".repeat(size)).into_bytes());
        }
        let left = MAX_BYTES - body.len();
        body.extend(format!("X: {}\r\nVoice-Message: 12/3", "a".repeat(left - 5 - 17)).into_bytes());
        assert!(body.len() > MAX_BYTES);
        assert_eq!(MailboxSummary::parse(&body).unwrap().counts, []);
    }

    proptest! {
        #[test]
        fn test_what_is_written_is_read(
            waiting: bool,
            account in "(sip:[a-z0-9.@]{1,40})?",
            all in proptest::collection::vec((0..CLASSES.len(), any::<[u32; 4]>()), 0..12),
            end in prop_oneof![Just("\r\n"), Just("\n")],
        ) {
            let mut text = format!("Messages-Waiting: {}{end}", if waiting { "yes" } else { "no" });
            if !account.is_empty() {
                text += &format!("Message-Account: {account}{end}");
            }
            let mut expected: Vec<Counts> = Vec::new();
            for (class, [new, old, urgent_new, urgent_old]) in all {
                let (name, class) = CLASSES[class];
                text += &format!("{name}: {new}/{old} ({urgent_new}/{urgent_old}){end}");
                if expected.iter().all(|each| each.class != class) {
                    expected.push(counts(class, [new, old, urgent_new, urgent_old]));
                }
            }
            let summary = MailboxSummary::parse(text.as_bytes()).unwrap();
            prop_assert_eq!(summary, MailboxSummary { waiting, account, counts: expected });
        }

        #[test]
        fn test_no_bytes_make_it_fail(body in proptest::collection::vec(any::<u8>(), 0..6_000)) {
            if let Ok(summary) = MailboxSummary::parse(&body) {
                prop_assert!(summary.counts.len() <= CLASSES.len());
            }
        }
    }
}
