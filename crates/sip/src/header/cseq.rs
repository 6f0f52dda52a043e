//! The sequence number and method of a request (RFC 3261 §20.16).

use std::fmt;

use super::text::{is_lws, is_token, trim};
use crate::message::ParseError;

/// RFC 3261 §8.1.1.5: a sequence number is less than 2**31.
const MAX_NUMBER: u32 = (1 << 31) - 1;

/// The value of CSeq.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CSeq {
    /// The sequence number.
    pub number: u32,
    /// The method, as written: methods are case-sensitive.
    pub method: String,
}

impl CSeq {
    /// Read the value of CSeq.
    ///
    /// # Errors
    ///
    /// 400 when it is malformed or the number is 2**31 or more.
    pub fn parse(text: &str) -> Result<CSeq, ParseError> {
        let (number, method) = CSeq::scan(text)?;
        Ok(CSeq {
            number,
            method: method.to_owned(),
        })
    }

    /// The parts, without allocating.
    pub(crate) fn scan(text: &str) -> Result<(u32, &str), ParseError> {
        let malformed = |why| ParseError::malformed("CSeq", why);
        let (number, method) = trim(text).split_once(is_lws).ok_or_else(|| malformed("no method"))?;
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(malformed("no number"));
        }
        let number = number
            .parse()
            .ok()
            .filter(|number| *number <= MAX_NUMBER)
            .ok_or_else(|| malformed("number too large"))?;
        let method = trim(method);
        if is_token(method) {
            Ok((number, method))
        } else {
            Err(malformed("bad method"))
        }
    }
}

impl fmt::Display for CSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.method)
    }
}
