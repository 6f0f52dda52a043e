//! The small grammar that header fields share: tokens, white space, quoted strings, lists, numbers (RFC 3261 §25.1).

use crate::message::ParseError;

/// White space inside a field; line breaks are there only in text that nobody unfolded yet.
pub(crate) fn is_lws(letter: char) -> bool {
    matches!(letter, ' ' | '\t' | '\r' | '\n')
}

/// `text` without white space around it.
pub(crate) fn trim(text: &str) -> &str {
    // By bytes: this runs several times a field.
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let Some(first) = text.bytes().position(|byte| !blank(&byte)) else {
        return "";
    };
    let last = text.as_bytes().iter().rposition(|byte| !blank(byte)).unwrap_or(first);
    text.get(first..=last).unwrap_or_default()
}

pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~')
}

/// Whether `text` is a token.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

/// Whether there is a NUL that no backslash stands before: the grammar has it in a quoted pair alone (RFC 3261 §25.1).
pub(crate) fn has_bare_nul(bytes: &[u8]) -> bool {
    let mut escaped = false;
    bytes.iter().any(|byte| {
        let bare = *byte == 0 && !escaped;
        escaped = *byte == b'\\' && !escaped;
        bare
    })
}

/// The length of the quoted string that `text` begins with, both quotes included.
pub(super) fn quoted_length(text: &str) -> Option<usize> {
    if !text.starts_with('"') {
        return None;
    }
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// What a quoted string of [`quoted_length`] says.
pub(crate) fn unquote(quoted: &str) -> String {
    let inner = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(quoted);
    let mut plain = String::with_capacity(inner.len());
    let mut letters = inner.chars();
    while let Some(letter) = letters.next() {
        plain.push(if letter == '\\' { letters.next().unwrap_or('\\') } else { letter });
    }
    plain
}

/// Read a field that is one decimal number, as Expires or Max-Forwards.
///
/// # Errors
///
/// 400 when it is no number of 32 bits.
pub fn parse_integer(text: &str) -> Result<u32, ParseError> {
    let digits = trim(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ParseError::malformed("number", "not decimal digits"));
    }
    digits.parse().map_err(|_| ParseError::malformed("number", "too large"))
}

/// A number of decimal digits alone, as the seconds of Expires and its parameters; one beyond 32 bits is the largest (RFC 3261 §20.19).
/// `None` where it is none.
#[must_use]
pub fn capped_integer(text: &str) -> Option<u32> {
    let digits = trim(text);
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().unwrap_or(u32::MAX))
}

/// A preference between 0 and 1 in thousandths (RFC 3261 §25.1: qvalue); further decimals are passed over, `.5` is read as well. `None` where
/// it is none.
#[must_use]
pub fn qvalue(text: &str) -> Option<u16> {
    let (whole, decimals) = trim(text).split_once('.').unwrap_or((trim(text), ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() > 1 || !digits(whole) || !digits(decimals) || (whole.is_empty() && decimals.is_empty()) {
        return None;
    }
    let digit = |byte: Option<u8>| byte.map_or(0, |byte| u16::from(byte - b'0'));
    let decimals = decimals.bytes().chain(std::iter::repeat(b'0')).take(3);
    let thousandths = decimals.fold(digit(whole.bytes().next()), |sum, byte| sum * 10 + digit(Some(byte)));
    (thousandths <= 1_000).then_some(thousandths)
}

/// The number that a field begins with, as Retry-After with its comment and parameters (RFC 3261 §20.33); one beyond 32 bits is the largest.
/// `None` where it begins with none.
#[must_use]
pub fn leading_integer(text: &str) -> Option<u32> {
    let text = trim(text);
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let digits = text.get(..end).filter(|digits| !digits.is_empty())?;
    Some(digits.parse().unwrap_or(u32::MAX))
}

/// What stands in front of the parameters of a value, in lower case and without white space: a media type of Accept, an option tag.
#[must_use]
pub fn without_params(value: &str) -> String {
    let front = value.split(';').next().unwrap_or_default();
    let plain: String = front.chars().filter(|letter| !letter.is_whitespace()).collect();
    plain.to_ascii_lowercase()
}

/// The values of a list field, cut at commas outside of quotes, `<>` and comments, each trimmed. Empty values come as empty text.
pub fn split_list(value: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(value);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = list_item_length(text);
        rest = text.get(end + 1..);
        Some(trim(text.get(..end).unwrap_or_default()))
    })
}

/// The bytes before the first comma that separates values.
fn list_item_length(text: &str) -> usize {
    let (mut quoted, mut escaped, mut bracketed, mut comment) = (false, false, false, 0_usize);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted || comment > 0 => escaped = true,
            b'"' if comment == 0 && !bracketed => quoted = !quoted,
            _ if quoted => {}
            b'(' if !bracketed => comment += 1,
            b')' if !bracketed => comment = comment.saturating_sub(1),
            _ if comment > 0 => {}
            b'<' => bracketed = true,
            b'>' => bracketed = false,
            b',' if !bracketed => return at,
            _ => {}
        }
    }
    text.len()
}

/// The head and the rest of a part of a body: at the first empty line, which may be its first.
pub(crate) fn head_and_body(part: &[u8]) -> (&[u8], &[u8]) {
    let mut at = 0;
    while let Some(rest) = part.get(at..).filter(|rest| !rest.is_empty()) {
        let end = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |end| end + 1);
        if matches!(rest.get(..end), Some(b"\r\n" | b"\n")) {
            return (part.get(..at).unwrap_or_default(), rest.get(end..).unwrap_or_default());
        }
        at += end;
    }
    (part, &[])
}

/// The header lines of such a head, folded ones joined; `None` where there are more than `max_lines` or one exceeds `max_bytes`.
pub(crate) fn unfolded_lines(head: &str, max_lines: usize, max_bytes: usize) -> Option<Vec<String>> {
    let mut lines: Vec<String> = Vec::new();
    for line in head.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)) {
        match lines.last_mut() {
            Some(last) if line.starts_with([' ', '\t']) => {
                last.push(' ');
                last.push_str(trim(line));
            }
            _ if line.is_empty() => {}
            _ => lines.push(line.to_owned()),
        }
        if lines.len() > max_lines || lines.last().is_some_and(|last| last.len() > max_bytes) {
            return None;
        }
    }
    Some(lines)
}
