//! What a message belongs to: keys of transactions, of merged requests and of ACKs to 2xx (RFC 3261 §17.1.3, §17.2.3, §8.2.2.2).

use crate::header::Via;
use crate::message::Message;
use crate::token::{BRANCH_COOKIE, mac};

/// The port in Via where none is written (RFC 3261 §18.2.2).
pub(super) const DEFAULT_PORT: u16 = 5060;

/// Longer keys are kept as their hash, so that what a stranger writes into a branch does not fill our tables.
const MAX_KEY: usize = 160;

/// One string of parts, each preceded by its length, so that no two lists of parts are alike.
pub(super) fn join(parts: &[&str]) -> String {
    let length: usize = parts.iter().map(|part| part.len() + 4).sum();
    if length > MAX_KEY {
        let bytes: Vec<&[u8]> = parts.iter().map(|part| part.as_bytes()).collect();
        return mac(b"key", &bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    }
    let mut key = String::with_capacity(length);
    for part in parts {
        key.push_str(&part.len().to_string());
        key.push(':');
        key.push_str(part);
    }
    key
}

/// ACK and CANCEL are matched as the INVITE that they are about (§17.2.3, §9.2).
fn matched_method(method: &str) -> &str {
    if matches!(method, "ACK" | "CANCEL") { "INVITE" } else { method }
}

/// Whether the branch is one of RFC 3261, which alone names its transaction.
pub(super) fn has_cookie(via: &Via) -> bool {
    via.branch().is_some_and(|branch| {
        branch
            .get(..BRANCH_COOKIE.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(BRANCH_COOKIE))
    })
}

/// The server transaction that a request belongs to.
pub(super) fn server_key(message: &Message, via: &Via, cseq: u32) -> String {
    let method = matched_method(message.method());
    if has_cookie(via) {
        let port = via.port.unwrap_or(DEFAULT_PORT).to_string();
        return join(&["3261", method, via.branch().unwrap_or_default(), &via.host, &port]);
    }
    // RFC 2543: the To tag counts, but an ACK has the one that our answer added (checked where the ACK is taken).
    let to_tag = if method == "INVITE" { "" } else { message.to_tag() };
    let parts = [
        message.uri_text(),
        message.from_tag(),
        message.call_id(),
        &cseq.to_string(),
        to_tag,
        &via.to_string(),
    ];
    join(&[&["2543", method], parts.as_slice()].concat())
}

/// The client transaction that a response belongs to (§17.1.3).
pub(super) fn client_key(branch: &str, method: &str) -> String {
    join(&[method, branch])
}

/// What copies of one request have in common that took different ways (§8.2.2.2).
pub(super) fn merge_key(message: &Message, cseq: u32) -> String {
    join(&[message.method(), message.call_id(), message.from_tag(), &cseq.to_string()])
}

/// The dialog and INVITE that an ACK to a 2xx is for (§13.3.1.4).
pub(super) fn ack_key(call_id: &str, local_tag: &str, remote_tag: &str, cseq: u32) -> String {
    join(&[call_id, local_tag, remote_tag, &cseq.to_string()])
}

/// The reliable provisional that a PRACK is for (RFC 3262 §3).
pub(super) fn prack_key(call_id: &str, local_tag: &str, remote_tag: &str, cseq: u32, rseq: u32) -> String {
    join(&[call_id, local_tag, remote_tag, &cseq.to_string(), &rseq.to_string()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_parts_of_a_key_cannot_be_shifted() {
        let long = "x".repeat(1000);
        assert_ne!(join(&["ab", "c"]), join(&["a", "bc"]));
        assert_ne!(join(&["1:a", "b"]), join(&["1", ":ab"]));
        assert_ne!(join(&["ab", "c", &long]), join(&["a", "bc", &long]));
    }

    #[test]
    fn test_a_key_is_short_whatever_its_parts() {
        for length in [0, 100, 10_000, 1_000_000] {
            assert!(join(&["INVITE", &"z".repeat(length)]).len() <= MAX_KEY);
        }
    }

    #[test]
    fn test_the_cookie_is_known_in_any_case() {
        let via = |branch: &str| Via::parse(&format!("SIP/2.0/UDP h;branch={branch}")).unwrap();
        assert!(has_cookie(&via("z9hG4bKx")) && has_cookie(&via("Z9HG4BKx")));
        assert!(!has_cookie(&via("z9hG4")) && !has_cookie(&via("1")) && !has_cookie(&Via::parse("SIP/2.0/UDP h").unwrap()));
    }
}
