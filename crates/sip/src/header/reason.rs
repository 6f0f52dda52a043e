//! Reason: why a request was sent (RFC 3326). Read for what crosses from one leg to the other.

use super::params::scan;
use super::text::{is_token, trim, unquote};

/// One value of Reason.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reason {
    /// `SIP`, `Q.850` or another, as written.
    pub protocol: String,
    /// The status or cause value.
    pub cause: Option<u16>,
    /// What it says in words, without quotes.
    pub text: Option<String>,
}

impl Reason {
    /// Read such a value; `None` where it has no protocol. Parameters behind a malformed one, as a text without quotes, are left out: a
    /// reason is never worth a refusal.
    #[must_use]
    pub fn read(value: &str) -> Option<Reason> {
        let (protocol, params) = value.find(';').map_or((value, ""), |at| value.split_at(at));
        let protocol = trim(protocol);
        let param = |name: &str| {
            let mut raws = scan(params).map_while(Result::ok);
            raws.find_map(|(key, said)| said.filter(|_| key.eq_ignore_ascii_case(name)))
        };
        is_token(protocol).then(|| Reason {
            protocol: protocol.to_owned(),
            cause: param("cause")
                .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
                .and_then(|digits| digits.parse().ok()),
            text: param("text").map(|said| if said.starts_with('"') { unquote(said) } else { said.to_owned() }),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::header::Params;

    fn read(value: &str) -> (String, Option<u16>, Option<String>) {
        let reason = Reason::read(value).unwrap();
        (reason.protocol, reason.cause, reason.text)
    }

    fn of(protocol: &str, cause: Option<u16>, text: Option<&str>) -> (String, Option<u16>, Option<String>) {
        (protocol.to_owned(), cause, text.map(str::to_owned))
    }

    #[test]
    fn test_protocol_cause_and_text_are_read() {
        let value = r#"Q.850 ; cause=16 ; Text="Terminated; \"so\"""#;
        assert_eq!(read(value), of("Q.850", Some(16), Some(r#"Terminated; "so""#)));
        assert_eq!(read("preemption"), of("preemption", None, None));
        assert_eq!(read("SIP;cause=+5;text=Busy"), of("SIP", None, Some("Busy")));
        assert_eq!(read("SIP;cause=99999"), of("SIP", None, None));
    }

    #[test]
    fn test_what_follows_a_malformed_parameter_is_left_out() {
        assert_eq!(read("Q.850;cause=31;text=Normal, unspecified;x=1"), of("Q.850", Some(31), None));
    }

    #[test]
    fn test_without_a_protocol_there_is_no_reason() {
        for value in ["", ";cause=16", "Q 850;cause=16", "\"SIP\";cause=200"] {
            assert_eq!(Reason::read(value), None, "{value:?}");
        }
    }

    proptest! {
        #[test]
        fn test_read_gives_back_what_was_written(protocol in "[A-Za-z0-9.]{1,12}", cause in any::<u16>(), text in "[^\\r\\n\\x00]{0,40}") {
            let number = cause.to_string();
            let params = Params::new(&[("cause", Some(&number)), ("text", Some(&text))]).unwrap();
            let reason = Reason::read(&format!("{protocol}{params}")).unwrap();
            prop_assert_eq!(reason, Reason { protocol, cause: Some(cause), text: Some(text) });
        }

        #[test]
        fn test_any_text_is_read_or_left(value in "\\PC{0,60}") {
            let _ = Reason::read(&value);
        }
    }
}
