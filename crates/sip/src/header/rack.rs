//! The sequence numbers of reliable provisionals: RSeq, and RAck that acknowledges one (RFC 3262 §7.1, §7.2).

use std::fmt;

use super::cseq::CSeq;
use super::text::{is_lws, parse_integer, trim};
use crate::message::ParseError;

/// The value of RAck: which provisional of which request a PRACK acknowledges.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RAck {
    /// The RSeq of the provisional.
    pub rseq: u32,
    /// The CSeq of the provisional, thus of the request that it answered.
    pub cseq: CSeq,
}

impl RAck {
    /// Read the value of RAck.
    ///
    /// # Errors
    ///
    /// 400 when it is malformed.
    pub fn parse(text: &str) -> Result<RAck, ParseError> {
        let malformed = |why: &str| ParseError::malformed("RAck", why);
        let (rseq, cseq) = trim(text).split_once(is_lws).ok_or_else(|| malformed("no CSeq"))?;
        let rseq = parse_rseq(rseq).ok_or_else(|| malformed("bad response number"))?;
        let cseq = CSeq::parse(cseq).map_err(|error| malformed(&error.reason))?;
        Ok(RAck { rseq, cseq })
    }
}

impl fmt::Display for RAck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.rseq, self.cseq)
    }
}

/// An RSeq: 1 to 2**32 - 1.
pub(crate) fn parse_rseq(text: &str) -> Option<u32> {
    parse_integer(text).ok().filter(|number| *number > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_a_rack_names_the_response_and_its_request() {
        let rack = RAck::parse(" 776656 \t1  INVITE ").unwrap();
        assert_eq!((rack.rseq, rack.cseq.number, rack.cseq.method.as_str()), (776_656, 1, "INVITE"));
        assert_eq!(rack.to_string(), "776656 1 INVITE");
        assert_eq!(RAck::parse(&rack.to_string()), Ok(rack));
    }

    #[test]
    fn test_what_is_no_rack_is_refused() {
        for text in [
            "",
            "1",
            "1 2",
            "0 1 INVITE",
            "4294967296 1 INVITE",
            "x 1 INVITE",
            "1 x INVITE",
            "1 1 IN,VITE",
            "-1 1 INVITE",
        ] {
            assert_eq!(RAck::parse(text).map_err(|error| error.status), Err(400), "{text}");
        }
    }
}
