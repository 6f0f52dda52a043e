//! A token with parameters, the form of Event and Subscription-State (RFC 6665 §8.4) and of many smaller fields.

use std::fmt;

use super::Params;
use super::text::{is_token, trim};
use crate::message::ParseError;

/// `token;name=value`, as `active;expires=600` or `dialog;id=4`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Parameterized {
    /// What stands in front of the parameters, as written.
    pub token: String,
    /// The parameters.
    pub params: Params,
}

impl Parameterized {
    /// Read such a value.
    ///
    /// # Errors
    ///
    /// 400 when there is no token or a parameter is malformed.
    pub fn parse(text: &str) -> Result<Parameterized, ParseError> {
        let (token, params) = text.find(';').map_or((text, ""), |at| text.split_at(at));
        let token = trim(token);
        if !is_token(token) {
            return Err(ParseError::malformed("value", "no token"));
        }
        Ok(Parameterized {
            token: token.to_owned(),
            params: Params::parse(params)?,
        })
    }
}

impl fmt::Display for Parameterized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.token, self.params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_token_and_parameters_are_read_and_written_back() {
        let state = Parameterized::parse(" terminated ;reason=probation; retry-after=20").unwrap();
        assert_eq!(state.token, "terminated");
        assert_eq!(state.params.get("Reason"), Some("probation"));
        assert_eq!(state.to_string(), "terminated;reason=probation;retry-after=20");
        assert_eq!(Parameterized::parse(&state.to_string()), Ok(state));
    }

    #[test]
    fn test_what_is_no_token_or_has_bad_parameters_is_refused() {
        for text in ["", ";id=4", "a b", "dialog;=", "dialog;id=\"", "dialog, presence"] {
            assert!(Parameterized::parse(text).is_err(), "{text:?}");
        }
    }
}
