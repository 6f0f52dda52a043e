//! Via: the way a response goes back (RFC 3261 §20.42, RFC 3581).

use std::fmt;

use super::params::{Params, scan as scan_params};
use super::text::{is_lws, is_token, trim};
use crate::message::ParseError;
use crate::uri::{parse_port, split_host_port};

/// One Via value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Via {
    /// The transport, lower case.
    pub transport: String,
    /// The host of sent-by, lower case, IPv6 without brackets.
    pub host: String,
    /// The port of sent-by, if one is written.
    pub port: Option<u16>,
    /// Parameters.
    pub params: Params,
}

/// The parts of a value, as they stand in the text.
pub(crate) struct ViaScan<'a> {
    transport: &'a str,
    host: &'a str,
    port: Option<u16>,
    params: &'a str,
}

fn bad(why: &str) -> ParseError {
    ParseError::malformed("Via", why)
}

impl<'a> ViaScan<'a> {
    /// `SIP / 2.0 / transport LWS host [: port] *(; param)`, white space wherever §25.1 lets it be.
    fn new(text: &'a str) -> Result<ViaScan<'a>, ParseError> {
        let mut protocol = trim(text).splitn(3, '/');
        let mut part = || trim(protocol.next().unwrap_or_default());
        if !part().eq_ignore_ascii_case("SIP") || part() != "2.0" {
            return Err(bad("the protocol is not SIP/2.0"));
        }
        let rest = part();
        let (transport, rest) = rest.split_once(is_lws).ok_or_else(|| bad("no sent-by"))?;
        if !is_token(transport) {
            return Err(bad("bad transport"));
        }
        let end = rest.find(';').unwrap_or(rest.len());
        let (sent_by, params) = rest.split_at_checked(end).ok_or_else(|| bad("no sent-by"))?;
        let (host, port) = scan_sent_by(trim(sent_by)).ok_or_else(|| bad("bad sent-by"))?;
        Ok(ViaScan {
            transport,
            host,
            port,
            params,
        })
    }

    /// Check a value without allocating.
    pub(crate) fn check(text: &str) -> Result<(), ParseError> {
        let via = ViaScan::new(text)?;
        let mut rest = scan_params(via.params);
        rest.try_for_each(|param| match param? {
            // RFC 3261 §8.1.1.7: a branch is the cookie and more. Without any branch it is RFC 2543.
            ("branch", Some(crate::token::BRANCH_COOKIE)) => Err(bad("nothing after the branch cookie")),
            _ => Ok(()),
        })
    }
}

/// `host [: port]` with white space around the colon.
fn scan_sent_by(text: &str) -> Option<(&str, Option<u16>)> {
    if !text.contains(is_lws) {
        let (host, port) = split_host_port(text)?;
        return Some((text.get(host)?, port));
    }
    let (host, port) = text.rsplit_once(':')?;
    let host = trim(host);
    let (range, None) = split_host_port(host)? else { return None };
    Some((host.get(range)?, Some(parse_port(trim(port))?)))
}

impl Via {
    /// Read one value.
    ///
    /// # Errors
    ///
    /// 400 when it is malformed.
    pub fn parse(text: &str) -> Result<Via, ParseError> {
        let scan = ViaScan::new(text)?;
        Ok(Via {
            transport: scan.transport.to_ascii_lowercase(),
            host: scan.host.to_ascii_lowercase(),
            port: scan.port,
            params: Params::parse(scan.params)?,
        })
    }

    /// Check a value without allocating; stricter than [`Via::parse`] in that an empty branch is refused.
    pub(crate) fn check(text: &str) -> Result<(), ParseError> {
        ViaScan::check(text)
    }

    /// The branch, which names the transaction.
    #[must_use]
    pub fn branch(&self) -> Option<&str> {
        self.param("branch")
    }

    /// The address that the next hop saw the request come from.
    #[must_use]
    pub fn received(&self) -> Option<&str> {
        self.param("received").filter(|value| !value.is_empty())
    }

    /// The port that the next hop saw it come from; `None` also while `rport` has no value yet.
    #[must_use]
    pub fn rport(&self) -> Option<u16> {
        self.param("rport").and_then(parse_port)
    }

    /// Whether the sender asked for the port to be filled in (RFC 3581 §3).
    #[must_use]
    pub fn wants_rport(&self) -> bool {
        self.param("rport").is_some()
    }

    /// The value of a parameter: empty for one without value, `None` when absent.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.get(name)
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SIP/2.0/{} ", self.transport.to_ascii_uppercase())?;
        if self.host.contains(':') {
            write!(f, "[{}]", self.host)?
        } else {
            f.write_str(&self.host)?
        }
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        write!(f, "{}", self.params)
    }
}
