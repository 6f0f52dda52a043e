//! `message/sipfrag` (RFC 3420) as a NOTIFY of a transfer carries it: its status line (RFC 3515 §2.4.5), all else passed over.

use bytes::Bytes;

use crate::message::{Limits, Message};

/// Bytes of a status line that are looked at.
pub const MAX_BYTES: usize = 1_024;

/// Status and reason phrase of the response that a fragment begins with; `None` where it begins with none.
#[must_use]
pub fn status_line(fragment: &[u8]) -> Option<(u16, String)> {
    let start = fragment.iter().position(|byte| !matches!(byte, b'\r' | b'\n'))?;
    let rest = fragment.get(start..fragment.len().min(start + MAX_BYTES))?;
    let line = rest.split(|byte| matches!(byte, b'\r' | b'\n')).next()?;
    let told = Message::parse(Bytes::from([line, b"\r\n\r\n"].concat()), &Limits::default()).ok()?;
    (!told.is_request()).then(|| (told.status(), told.reason().into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_the_status_line_alone_is_read() {
        let told = |status, reason: &str| Some((status, reason.to_owned()));
        assert_eq!(status_line(b"SIP/2.0 100 Trying"), told(100, "Trying"));
        assert_eq!(status_line(b"SIP/2.0 486 Busy Here\r\nTo: <sip:a@b>\r\n"), told(486, "Busy Here"));
        assert_eq!(status_line(b"\r\nSIP/2.0 200 OK\nVia: x"), told(200, "OK"));
        assert_eq!(status_line(b"SIP/2.0 603\r\n"), told(603, ""));
    }

    #[test]
    fn test_what_begins_with_no_status_line_tells_nothing() {
        for fragment in [
            "",
            "\r\n",
            "INVITE sip:a@b SIP/2.0\r\n",
            "SIP/2.0 2000 OK",
            "To: <sip:a@b>",
            "SIP/2.0",
        ] {
            assert_eq!(status_line(fragment.as_bytes()), None, "{fragment}");
        }
    }

    #[test]
    fn test_a_long_line_is_cut() {
        let long = format!("SIP/2.0 200 {}", "a".repeat(10_000));
        let (status, reason) = status_line(long.as_bytes()).unwrap();
        assert_eq!((status, reason.len()), (200, MAX_BYTES - "SIP/2.0 200 ".len()));
    }
}
