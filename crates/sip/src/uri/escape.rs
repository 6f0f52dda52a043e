//! Percent escapes (RFC 3261 §19.1.2, §25.1) and the sets of characters that stand without them.

use std::borrow::Cow;

/// Characters that stand unescaped in a user part besides `unreserved`; `#` is not legal there, but dialled.
pub(super) const USER: &[u8] = b"&=+$,;?/:#";
/// Characters that stand unescaped in a parameter besides `unreserved`.
pub(super) const PARAM: &[u8] = b"[]/:&+$";
/// Characters that stand unescaped in a header besides `unreserved`.
pub(super) const HEADER: &[u8] = b"[]/?:+$";
/// Characters whose escape is not the same as the character itself (RFC 2396 `reserved`, to which §19.1.4 refers).
pub(super) const RESERVED: &[u8] = b";/?:@&=+$,";

/// RFC 3261 §25.1 `unreserved`.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'\'' | b'(' | b')')
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// A byte of escaped text: what it stands for, and whether it was escaped.
pub(super) fn bytes(text: &str) -> impl Iterator<Item = (u8, bool)> {
    let mut rest = text.as_bytes().iter().copied();
    std::iter::from_fn(move || {
        let byte = rest.next()?;
        if byte != b'%' {
            return Some((byte, false));
        }
        let mut ahead = rest.clone();
        match (ahead.next().and_then(hex), ahead.next().and_then(hex)) {
            (Some(high), Some(low)) => {
                rest = ahead;
                Some((high << 4 | low, true))
            }
            _ => Some((byte, false)),
        }
    })
}

/// Whether every `%` is followed by two hex digits.
pub(super) fn whole(text: &str) -> bool {
    bytes(text).all(|(byte, escaped)| escaped || byte != b'%')
}

/// Whether `text` holds only `unreserved`, `also` and whole escapes.
pub(super) fn escaped_set(text: &str, also: &[u8]) -> bool {
    let stands = |byte: u8| is_unreserved(byte) || also.contains(&byte);
    // Most text has no escapes.
    text.bytes().all(stands) || bytes(text).all(|(byte, escaped)| escaped || stands(byte))
}

/// Undo the escapes; text that would not be UTF-8 then is returned as it is.
pub(super) fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let plain: Vec<u8> = bytes(text).map(|(byte, _)| byte).collect();
    String::from_utf8(plain).map_or(Cow::Borrowed(text), Cow::Owned)
}

/// Append `text` with all but `unreserved` and `also` escaped. A colon is escaped in a user part, where it would begin the password.
pub(super) fn encode_into(out: &mut String, text: &str, also: &[u8]) {
    let is_user = also == USER;
    for byte in text.bytes() {
        let stands = is_unreserved(byte) || (also.contains(&byte) && !(is_user && matches!(byte, b':' | b'#')));
        if stands {
            out.push(char::from(byte));
        } else {
            const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
            let digit = |value: u8| DIGITS.get(usize::from(value & 15)).copied().unwrap_or('0');
            out.extend(['%', digit(byte >> 4), digit(byte)]);
        }
    }
}
