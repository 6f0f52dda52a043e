//! A message as it may be shown: SRTP keys (RFC 4568 §9.2) are starred out of it before it leaves the endpoint as a trace.
//!
//! `endpoint` passes every traced message through here, so that no ladder, report or capture has a key. The length stays, so that it
//! is still a whole message. Found is what stands behind `inline:`, whatever its case, in whatever a stranger writes: no grammar is asked for.

use bytes::Bytes;

const ATTRIBUTE: &[u8] = b"crypto";
const KEY_METHOD: &[u8] = b"inline:";

/// The message with each key starred out; the same bytes where it names no `crypto`.
#[must_use]
pub fn without_keys(data: &Bytes) -> Bytes {
    if find(data, ATTRIBUTE, 0).is_none() {
        return data.clone();
    }
    let mut shown: Option<Vec<u8>> = None;
    let mut at = 0;
    while let Some(found) = find(data, KEY_METHOD, at) {
        let shown = shown.get_or_insert_with(|| data.to_vec());
        at = star_out(shown, found + KEY_METHOD.len());
    }
    shown.map_or_else(|| data.clone(), Bytes::from)
}

/// Where `what` begins, without regard to case, at `from` or behind it.
fn find(data: &[u8], what: &[u8], from: usize) -> Option<usize> {
    let windows = data.get(from..)?.windows(what.len());
    windows
        .into_iter()
        .position(|part| part.eq_ignore_ascii_case(what))
        .map(|at| from + at)
}

/// Star out the word that begins at `from` or behind white space there, folds in it and before it included. Where it ends.
fn star_out(data: &mut [u8], from: usize) -> usize {
    let mut at = skip_blanks(data, from);
    while let Some(byte) = data.get_mut(at) {
        match *byte {
            b'|' | b' ' | b'\t' => break,
            b'\r' | b'\n' => match fold_end(data, at) {
                Some(end) => at = end,
                None => break,
            },
            _ => {
                *byte = b'*';
                at += 1;
            }
        }
    }
    at
}

/// Behind spaces, tabs and folds.
fn skip_blanks(data: &[u8], mut at: usize) -> usize {
    loop {
        match data.get(at) {
            Some(b' ' | b'\t') => at += 1,
            Some(b'\r' | b'\n') => match fold_end(data, at) {
                Some(end) => at = end,
                None => return at,
            },
            _ => return at,
        }
    }
}

/// Behind the line end at `at` and the white space that the next line begins with; `None` where it begins with none.
fn fold_end(data: &[u8], at: usize) -> Option<usize> {
    let rest = data.get(at..)?;
    let line_end = rest.iter().take_while(|byte| **byte == b'\r').count();
    let line_end = line_end + usize::from(rest.get(line_end) == Some(&b'\n'));
    let blanks = rest.get(line_end..)?.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    (blanks > 0).then(|| skip_blanks(data, at + line_end + blanks))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str) -> String {
        String::from_utf8(without_keys(&Bytes::copy_from_slice(text.as_bytes())).to_vec()).unwrap()
    }

    #[test]
    fn test_every_form_of_a_key_is_starred_out_and_nothing_else() {
        for (text, told) in [
            (
                "a=crypto:1 X inline:QUJD+/==|2^20;INLINE:QUJE|1:4\r\na=inline of no key\r\n",
                "a=crypto:1 X inline:********|2^20;INLINE:****|1:4\r\na=inline of no key\r\n",
            ),
            ("A=CRYPTO:1 X Inline:QUJD WSH=64\n", "A=CRYPTO:1 X Inline:**** WSH=64\n"),
            ("a=crypto:1 X inline: QUJD\r\nb", "a=crypto:1 X inline: ****\r\nb"),
            (
                "a=crypto:1 X inline:\r\n\tQU\n JD|1\r\nb",
                "a=crypto:1 X inline:\r\n\t**\n **|1\r\nb",
            ),
            ("a=crypto:1 X inline:QU-_~\u{1}JD\nb", "a=crypto:1 X inline:********\nb"),
            ("a=crypto:1 X inline:QUJD", "a=crypto:1 X inline:****"),
            ("a=crypto:1 X inline:\r\na=x", "a=crypto:1 X inline:\r\na=x"),
            ("v=0\r\na=inline:QUJD\r\n", "v=0\r\na=inline:QUJD\r\n"),
            ("a=crypto:1 X outline:QUJD\r\n", "a=crypto:1 X outline:QUJD\r\n"),
            ("", ""),
        ] {
            assert_eq!(shown(text), told);
        }
    }

    #[test]
    fn test_a_message_without_keys_is_not_copied() {
        let data = Bytes::from_static(b"INVITE sip:crypto@example.com SIP/2.0\r\n\r\n");
        assert_eq!(without_keys(&data).as_ptr(), data.as_ptr());
    }

    /// A text with its letters in either case.
    fn cased(text: &'static str) -> impl Strategy<Value = String> {
        proptest::collection::vec(any::<bool>(), text.len()).prop_map(move |upper| {
            let letter = |(letter, upper): (char, bool)| if upper { letter.to_ascii_uppercase() } else { letter };
            text.chars().zip(upper).map(letter).collect()
        })
    }

    fn fold() -> impl Strategy<Value = &'static str> {
        prop_oneof![Just(""), Just(" "), Just("\r\n "), Just("\n\t"), Just("\n \r\n  "), Just("\r ")]
    }

    /// Within a key, where a blank alone would end it.
    fn fold_within() -> impl Strategy<Value = &'static str> {
        fold().prop_filter("a blank ends a key", |fold| *fold != " ")
    }

    proptest! {
        #[test]
        fn test_no_byte_of_a_key_survives(
            head in "[ -~\r\n]{0,40}",
            attribute in cased("a=crypto:1 AES_CM_128_HMAC_SHA1_80 "),
            keys in proptest::collection::vec((cased("inline:"), fold(), "[g-z0-9+/=_-]{1,20}", fold_within(), "[g-z0-9+/=_-]{0,20}"), 1..4),
            tail in prop_oneof![Just(""), Just("\n"), Just("\r\n"), Just(" WSH=64\r\n"), Just("|2^20\n")],
        ) {
            let mut text = format!("{head}\n{attribute}");
            let mut expected = text.clone();
            for (method, before, first, within, second) in &keys {
                let (one, other) = ("*".repeat(first.len()), "*".repeat(second.len()));
                text += &format!("{method}{before}{first}{within}{second}|1:4;");
                expected += &format!("{method}{before}{one}{within}{other}|1:4;");
            }
            text += tail;
            expected += tail;
            // What stands in front is no key, unless it happens to say so.
            prop_assume!(!head.to_ascii_lowercase().contains("inline:"));
            prop_assert_eq!(shown(&text), expected);
        }

        #[test]
        fn test_the_length_stays_and_what_is_shown_stays_as_it_is(data in proptest::collection::vec(any::<u8>(), 0..200), keyed: bool) {
            let data = if keyed { [&b"crypto inline:"[..], &data].concat() } else { data };
            let once = without_keys(&Bytes::from(data.clone()));
            prop_assert_eq!(once.len(), data.len());
            prop_assert_eq!(without_keys(&once), once);
        }
    }
}
