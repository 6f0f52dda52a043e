//! A digit in the body of an INFO, both forms in use: `application/dtmf-relay` (`Signal=5`, `Duration=160`) and `application/dtmf` (`5`).
//!
//! Neither has an RFC; they are INFO of RFC 2976, as Cisco's gateways began with it and phones do it since. Either form is read in either
//! type, since phones mix them up. `trunkline-python` shows it as `InfoDigit`.

use std::str::FromStr;

/// Events 0 to 15 in their order (RFC 4733 §3.2), which numeric signals follow.
const DIGITS: &[u8; 16] = b"0123456789*#ABCD";
/// No body with a digit is longer.
const MAX_BYTES: usize = 256;
/// No key is held longer, in ms.
const MAX_DURATION_MS: u32 = 60_000;

/// A digit that was pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InfoDigit {
    /// 0-9, `*`, `#`, A-D.
    pub digit: char,
    /// How long, where the body says so.
    pub duration_ms: Option<u32>,
}

/// Whether a Content-Type, as it was written, is one of digits.
#[must_use]
pub fn is_digit_type(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    ["application/dtmf-relay", "application/dtmf"]
        .iter()
        .any(|known| kind.eq_ignore_ascii_case(known))
}

impl InfoDigit {
    /// The digit of a body; `None` where there is none, as for a flash hook, or where the type is another.
    #[must_use]
    pub fn parse(content_type: &str, body: &[u8]) -> Option<Self> {
        if !is_digit_type(content_type) || body.len() > MAX_BYTES {
            return None;
        }
        let text = std::str::from_utf8(body).ok()?;
        let (mut signal, mut duration_ms) = (None, None);
        for line in text.split(['\r', '\n']).map(str::trim).filter(|line| !line.is_empty()) {
            match line.split_once('=') {
                Some((name, value)) if name.trim().eq_ignore_ascii_case("signal") => signal = signal.or(digit(value.trim())),
                Some((name, value)) if name.trim().eq_ignore_ascii_case("duration") => {
                    duration_ms = value.trim().parse().ok().map(|ms: u32| ms.min(MAX_DURATION_MS));
                }
                Some(_) => {}
                None => signal = signal.or(digit(line)),
            }
        }
        signal.map(|digit| InfoDigit { digit, duration_ms })
    }

    /// The body of `application/dtmf-relay` for a digit; `None` where it is none.
    #[must_use]
    pub fn body(digit: char, duration_ms: u32) -> Option<String> {
        let digit = known(digit)?;
        Some(format!("Signal={digit}\r\nDuration={duration_ms}\r\n"))
    }
}

fn known(digit: char) -> Option<char> {
    let digit = digit.to_ascii_uppercase();
    DIGITS.iter().any(|known| char::from(*known) == digit).then_some(digit)
}

/// A signal as it is written: the digit, or its number as an event.
fn digit(signal: &str) -> Option<char> {
    let mut characters = signal.chars();
    match (characters.next(), characters.next()) {
        (Some(single), None) => known(single),
        // 10 is *, 11 is #; 16 is a flash, no digit
        _ => DIGITS.get(usize::from_str(signal).ok()?).map(|digit| char::from(*digit)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: &str, body: &str) -> Option<(char, Option<u32>)> {
        InfoDigit::parse(kind, body.as_bytes()).map(|found| (found.digit, found.duration_ms))
    }

    #[test]
    fn test_both_bodies_are_read_as_phones_write_them() {
        for (kind, body, found) in [
            ("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n", ('5', Some(160))),
            (
                "Application/DTMF-Relay; charset=utf-8",
                "signal= # \nduration = 250",
                ('#', Some(250)),
            ),
            ("application/dtmf-relay", "Signal=10\r\nDuration=x", ('*', None)),
            ("application/dtmf-relay", "Signal=d", ('D', None)),
            ("application/dtmf", "7", ('7', None)),
            ("application/dtmf", "11\r\n", ('#', None)),
            ("application/dtmf", "Signal=*\r\nDuration=9999999", ('*', Some(60_000))),
        ] {
            assert_eq!(read(kind, body), Some(found), "{kind} {body:?}");
        }
    }

    #[test]
    fn test_what_is_no_digit_is_none() {
        for (kind, body) in [
            ("application/dtmf-relay", "Signal=hf"),
            ("application/dtmf-relay", "Signal=16"),
            ("application/dtmf-relay", "Duration=160"),
            ("application/dtmf-relay", ""),
            ("application/dtmf", "x"),
            ("application/dtmf", "-1"),
            ("application/json", "5"),
            ("application/dtmfx", "5"),
        ] {
            assert_eq!(read(kind, body), None, "{kind} {body:?}");
        }
        assert_eq!(InfoDigit::parse("application/dtmf", b"\xff5"), None);
        assert_eq!(InfoDigit::parse("application/dtmf", &[b'5'; 300]), None);
    }

    #[test]
    fn test_what_is_written_is_read() {
        for digit in DIGITS.map(char::from) {
            let body = InfoDigit::body(digit, 100).unwrap();
            assert_eq!(read("application/dtmf-relay", &body), Some((digit, Some(100))));
        }
        assert_eq!(InfoDigit::body('x', 100), None);
    }
}
