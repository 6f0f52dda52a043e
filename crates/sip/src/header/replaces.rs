//! Replaces: the dialog whose place an INVITE takes (RFC 3891 §3, §6.1).

use std::fmt;

use super::Params;
use super::text::trim;
use crate::message::ParseError;

/// The value of Replaces, as seen from whom the INVITE is sent to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Replaces {
    /// The Call-ID of the dialog.
    pub call_id: String,
    /// The tag of whom the INVITE is sent to.
    pub to_tag: String,
    /// The tag of the other side.
    pub from_tag: String,
    /// Only where that dialog is early.
    pub early_only: bool,
}

impl Replaces {
    /// Read such a value.
    ///
    /// # Errors
    ///
    /// 400 when there is no Call-ID, not exactly one of each tag, or a parameter is malformed.
    pub fn parse(text: &str) -> Result<Replaces, ParseError> {
        let malformed = |why: &str| ParseError::malformed("Replaces", why);
        let (call_id, params) = text.find(';').map_or((text, ""), |at| text.split_at(at));
        let call_id = trim(call_id);
        if call_id.is_empty() || !call_id.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',') {
            return Err(malformed("no Call-ID"));
        }
        let params = Params::parse(params).map_err(|error| malformed(&error.reason))?;
        let tag = |name: &str| {
            let mut found = params.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
            match (found.next(), found.next()) {
                (Some((_, Some(tag))), None) => Ok(tag.to_owned()),
                _ => Err(malformed("not one to-tag and one from-tag")),
            }
        };
        Ok(Replaces {
            call_id: call_id.to_owned(),
            to_tag: tag("to-tag")?,
            from_tag: tag("from-tag")?,
            early_only: params.get("early-only").is_some(),
        })
    }
}

impl fmt::Display for Replaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{};to-tag={};from-tag={}", self.call_id, self.to_tag, self.from_tag)?;
        f.write_str(if self.early_only { ";early-only" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn test_a_dialog_is_read_and_written_back() {
        let replaces = Replaces::parse(" 425928@bobster.example ;TO-tag=7743;from-tag=6472; early-only").unwrap();
        assert_eq!(replaces.call_id, "425928@bobster.example");
        assert_eq!(
            (replaces.to_tag.as_str(), replaces.from_tag.as_str(), replaces.early_only),
            ("7743", "6472", true)
        );
        assert_eq!(Replaces::parse(&replaces.to_string()), Ok(replaces));
    }

    #[test]
    fn test_what_names_no_dialog_is_refused() {
        for text in [
            "",
            "a@b",
            ";to-tag=1;from-tag=2",
            "a@b;to-tag=1",
            "a@b;from-tag=2",
            "a@b;to-tag=1;to-tag=3;from-tag=2",
            "a@b;to-tag;from-tag=2",
            "a b;to-tag=1;from-tag=2",
            "a@b;to-tag=1;from-tag=2,c@d;to-tag=3;from-tag=4",
            "a@b;to-tag=1;from-tag=\"2",
        ] {
            assert_eq!(Replaces::parse(text).map_err(|error| error.status), Err(400), "{text}");
        }
    }

    proptest! {
        #[test]
        fn test_parse_reads_what_was_written(
            call_id in "[!-+\\--:<-~]{1,30}", to_tag in "[a-z0-9.~-]{1,12}", from_tag in "[a-z0-9.~-]{1,12}", early_only in any::<bool>()
        ) {
            let replaces = Replaces { call_id, to_tag, from_tag, early_only };
            prop_assert_eq!(Replaces::parse(&replaces.to_string()), Ok(replaces));
        }

        #[test]
        fn test_any_text_is_read_or_refused(text in "\\PC{0,60}") {
            if let Ok(replaces) = Replaces::parse(&text) {
                prop_assert!(!replaces.call_id.is_empty());
            }
        }
    }
}
