//! URIs: `sip:` and `sips:` (RFC 3261 §19.1), `tel:` (RFC 3966), any other scheme kept as text, and the `*` of a Contact (§10.2.2).
//!
//! A `Uri` is one string and an index into it, so that parsing costs one allocation; `Index::scan` alone checks without any. Scheme and
//! host are lower case from the start, escapes stay as written and are undone by the readers. Equality and hash are in `compare`, making one
//! out of parts in `build`. Header fields and Python's `Uri` are made of this.

mod build;
mod compare;
mod escape;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;
use std::net::Ipv6Addr;

use crate::message::ParseError;
pub use build::{Changes, PlainHeaders, PlainParams};
use escape::{HEADER, PARAM, USER, decode, escaped_set};

/// Longer URIs are refused with 414.
pub const MAX_URI_BYTES: usize = 8_192;
/// More parameters, or more headers, in one URI are refused.
const MAX_PARTS: usize = 64;

/// A range of bytes of the URI's text.
#[derive(Clone, Copy, Debug, Default)]
struct Span {
    start: usize,
    end: usize,
}

impl Span {
    fn of(self, text: &str) -> &str {
        text.get(self.start..self.end).unwrap_or_default()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Sip,
    Tel,
    Star,
    Other,
}

/// Where the parts of a URI lie in its text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Index {
    kind: Kind,
    scheme: Span,
    user: Option<Span>,
    password: Option<Span>,
    host: Span,
    port: Option<u16>,
    params: Span,
    headers: Span,
}

/// A URI; equality is RFC 3261 §19.1.4, for tel RFC 3966 §4.
#[derive(Clone)]
pub struct Uri {
    text: String,
    index: Index,
    /// Parameters and headers without their escapes, where there are any.
    unescaped: Option<Box<Unescaped>>,
}

#[derive(Clone, Default)]
struct Unescaped {
    params: Vec<(String, Option<String>)>,
    headers: Vec<(String, String)>,
}

fn bad(why: &str) -> ParseError {
    ParseError::malformed("URI", why)
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A port as digits.
pub(crate) fn parse_port(text: &str) -> Option<u16> {
    if digits(text) { text.parse().ok() } else { None }
}

/// Whether `host` may stand as a host: a name, an IPv4 address, or (`bracketed`) an IPv6 address.
pub(crate) fn valid_host(host: &str, bracketed: bool) -> bool {
    if bracketed {
        return host.parse::<Ipv6Addr>().is_ok();
    }
    // An underscore is no legal host name, but machines are named so.
    !host.is_empty()
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
}

/// Split `host[:port]` or `[v6][:port]`: the range of the host without brackets, and the port.
pub(crate) fn split_host_port(text: &str) -> Option<(std::ops::Range<usize>, Option<u16>)> {
    let (range, rest, bracketed) = match text.strip_prefix('[') {
        Some(inner) => {
            let end = inner.find(']')?;
            (1..end + 1, inner.get(end + 1..)?, true)
        }
        None => {
            let end = text.find(':').unwrap_or(text.len());
            (0..end, text.get(end..)?, false)
        }
    };
    if !valid_host(text.get(range.clone())?, bracketed) {
        return None;
    }
    match rest.strip_prefix(':') {
        Some(port) => Some((range, Some(parse_port(port)?))),
        None if rest.is_empty() => Some((range, None)),
        None => None,
    }
}

impl Index {
    /// Find the parts of `text` and check them, without allocating.
    pub(crate) fn scan(text: &str) -> Result<Index, ParseError> {
        if text.len() > MAX_URI_BYTES {
            return Err(ParseError::new(414, "URI too long"));
        }
        if text == "*" {
            return Ok(Index::bare(Kind::Star, 1, 1));
        }
        if !text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>' | b'"'))
        {
            return Err(bad("a character that must be escaped"));
        }
        let colon = text.find(':').ok_or_else(|| bad("no scheme"))?;
        let scheme = text.get(..colon).unwrap_or_default();
        if !valid_scheme(scheme) {
            return Err(bad("no scheme"));
        }
        if colon + 1 == text.len() {
            return Err(bad("nothing after the scheme"));
        }
        if scheme.eq_ignore_ascii_case("sip") || scheme.eq_ignore_ascii_case("sips") {
            Index::scan_sip(text, colon)
        } else if scheme.eq_ignore_ascii_case("tel") {
            Index::scan_tel(text, colon)
        } else {
            Ok(Index::bare(Kind::Other, colon, text.len()))
        }
    }

    fn bare(kind: Kind, scheme_end: usize, end: usize) -> Index {
        let nothing = Span { start: end, end };
        let scheme = Span { start: 0, end: scheme_end };
        Index {
            kind,
            scheme,
            user: None,
            password: None,
            host: nothing,
            port: None,
            params: nothing,
            headers: nothing,
        }
    }

    /// RFC 3261 §25.1: `sip:user:password@host:port;parameters?headers`.
    fn scan_sip(text: &str, colon: usize) -> Result<Index, ParseError> {
        let mut index = Index::bare(Kind::Sip, colon, text.len());
        let mut at = colon + 1;
        let rest = text.get(at..).unwrap_or_default();
        if let Some(userinfo_end) = rest.find('@') {
            let userinfo = rest.get(..userinfo_end).unwrap_or_default();
            let user_end = userinfo.find(':').unwrap_or(userinfo_end);
            if user_end == 0 || !escaped_set(userinfo, USER) {
                return Err(bad("bad user part"));
            }
            index.user = Some(Span {
                start: at,
                end: at + user_end,
            });
            index.password = (user_end < userinfo_end).then_some(Span {
                start: at + user_end + 1,
                end: at + userinfo_end,
            });
            at += userinfo_end + 1;
        }
        let rest = text.get(at..).unwrap_or_default();
        let headers_start = rest.find('?').unwrap_or(rest.len());
        let before_headers = rest.get(..headers_start).unwrap_or_default();
        let host_end = before_headers.find(';').unwrap_or(headers_start);
        let (host, port) = split_host_port(before_headers.get(..host_end).unwrap_or_default()).ok_or_else(|| bad("bad host or port"))?;
        index.host = Span {
            start: at + host.start,
            end: at + host.end,
        };
        index.port = port;
        index.params = scan_params(text, at + host_end, at + headers_start)?;
        index.headers = scan_headers(text, at + headers_start)?;
        Ok(index)
    }

    /// RFC 3966 §3. A local number without phone-context is let pass: phones send it.
    fn scan_tel(text: &str, colon: usize) -> Result<Index, ParseError> {
        let mut index = Index::bare(Kind::Tel, colon, text.len());
        let start = colon + 1;
        let rest = text.get(start..).unwrap_or_default();
        let end = start + rest.find(';').unwrap_or(rest.len());
        let number = text.get(start..end).unwrap_or_default();
        let (number, global) = number.strip_prefix('+').map_or((number, false), |number| (number, true));
        let allowed = |byte: u8| match byte {
            b'0'..=b'9' | b'-' | b'.' | b'(' | b')' => true,
            b'a'..=b'f' | b'A'..=b'F' | b'*' | b'#' => !global,
            _ => false,
        };
        if !number.bytes().all(allowed) || !number.bytes().any(|byte| byte.is_ascii_hexdigit() || matches!(byte, b'*' | b'#')) {
            return Err(bad("bad telephone number"));
        }
        index.user = Some(Span { start, end });
        index.params = scan_params(text, end, text.len())?;
        Ok(index)
    }

    /// The scheme is one that a Request-URI may have here (RFC 3261 §8.2.2.1).
    pub(crate) fn is_callable(&self) -> bool {
        matches!(self.kind, Kind::Sip | Kind::Tel)
    }

    /// Whether headers follow the parameters.
    pub(crate) fn has_headers(&self) -> bool {
        self.headers.start < self.headers.end
    }
}

fn valid_scheme(scheme: &str) -> bool {
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}

/// Check `;name=value;name` in `text[start..end]`; the span without the first semicolon.
fn scan_params(text: &str, start: usize, end: usize) -> Result<Span, ParseError> {
    if start >= end {
        return Ok(Span { start: end, end });
    }
    let span = Span { start: start + 1, end };
    for (count, part) in span.of(text).split(';').enumerate() {
        let (name, value) = part.split_once('=').unwrap_or((part, "-"));
        if count >= MAX_PARTS || name.is_empty() || value.is_empty() || !escaped_set(name, PARAM) || !escaped_set(value, PARAM) {
            return Err(bad("bad parameter"));
        }
    }
    Ok(span)
}

/// Check `?name=value&name=value` from `start` to the end; the span without the question mark.
fn scan_headers(text: &str, start: usize) -> Result<Span, ParseError> {
    if start >= text.len() {
        return Ok(Span {
            start: text.len(),
            end: text.len(),
        });
    }
    let span = Span {
        start: start + 1,
        end: text.len(),
    };
    for (count, part) in span.of(text).split('&').enumerate() {
        // Values are taken as they come as long as their escapes are whole: Refer-To often has a Replaces with a bare `;` or `=`.
        let (name, value) = part.split_once('=').ok_or_else(|| bad("bad header"))?;
        if count >= MAX_PARTS || name.is_empty() || !escaped_set(name, HEADER) || !escape::whole(value) {
            return Err(bad("bad header"));
        }
    }
    Ok(span)
}

fn pairs(text: &str, separator: char) -> impl Iterator<Item = (&str, Option<&str>)> {
    let parts = (!text.is_empty()).then(|| text.split(separator));
    parts.into_iter().flatten().map(|part| match part.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (part, None),
    })
}

impl Uri {
    /// Read a URI.
    ///
    /// # Errors
    ///
    /// 414 when it is longer than [`MAX_URI_BYTES`], else 400.
    pub fn parse(text: &str) -> Result<Uri, ParseError> {
        let index = Index::scan(text)?;
        Ok(Uri::from_index(text.to_owned(), index))
    }

    fn from_index(mut text: String, index: Index) -> Uri {
        for span in [index.scheme, index.host] {
            if let Some(part) = text.get_mut(span.start..span.end) {
                part.make_ascii_lowercase();
            }
        }
        let parts = (index.params.of(&text), index.headers.of(&text));
        let unescaped = (parts.0.contains('%') || parts.1.contains('%')).then(|| {
            let text_of = |part: &str| decode(part).into_owned();
            Box::new(Unescaped {
                params: pairs(parts.0, ';')
                    .map(|(name, value)| (text_of(name), value.map(text_of)))
                    .collect(),
                headers: pairs(parts.1, '&')
                    .map(|(name, value)| (text_of(name), text_of(value.unwrap_or_default())))
                    .collect(),
            })
        });
        Uri { text, index, unescaped }
    }

    /// The `*` of `Contact: *` (RFC 3261 §10.2.2): all parts are empty.
    #[must_use]
    pub fn star() -> Uri {
        Uri {
            text: "*".to_owned(),
            index: Index::bare(Kind::Star, 1, 1),
            unescaped: None,
        }
    }

    /// Whether this is the `*` of a Contact.
    #[must_use]
    pub fn is_star(&self) -> bool {
        self.index.kind == Kind::Star
    }

    /// Whether the scheme is `sip` or `sips`.
    #[must_use]
    pub fn is_sip(&self) -> bool {
        self.index.kind == Kind::Sip
    }

    /// The scheme, lower case.
    #[must_use]
    pub fn scheme(&self) -> &str {
        self.index.scheme.of(&self.text)
    }

    /// The user part without its escapes; for tel the number as written. Escapes that hide no UTF-8 stay.
    #[must_use]
    pub fn user(&self) -> Option<Cow<'_, str>> {
        self.index.user.map(|span| decode(span.of(&self.text)))
    }

    /// The password without its escapes.
    #[must_use]
    pub fn password(&self) -> Option<Cow<'_, str>> {
        self.index.password.map(|span| decode(span.of(&self.text)))
    }

    /// The host, lower case, IPv6 without brackets; empty unless [`Uri::is_sip`].
    #[must_use]
    pub fn host(&self) -> &str {
        self.index.host.of(&self.text)
    }

    /// The port, if one is written.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.index.port
    }

    /// The parameters in order, without their escapes.
    pub fn params(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        let kept = self.unescaped.as_ref().map(|parts| parts.params.as_slice());
        let plain = if kept.is_some() { "" } else { self.index.params.of(&self.text) };
        let kept = kept
            .unwrap_or_default()
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_deref()));
        kept.chain(pairs(plain, ';'))
    }

    /// The headers in order, without their escapes.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let kept = self.unescaped.as_ref().map(|parts| parts.headers.as_slice());
        let plain = if kept.is_some() { "" } else { self.index.headers.of(&self.text) };
        let kept = kept.unwrap_or_default().iter().map(|(name, value)| (name.as_str(), value.as_str()));
        kept.chain(pairs(plain, '&').map(|(name, value)| (name, value.unwrap_or_default())))
    }

    /// The value of a parameter, without case of the name: empty for one without value, `None` when absent.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.unwrap_or_default())
    }

    /// The text: scheme and host in lower case, all else as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn raw_params(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        pairs(self.index.params.of(&self.text), ';')
    }

    fn raw_headers(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        pairs(self.index.headers.of(&self.text), '&')
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Uri {
    /// The text; a password is not shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(password) = self.index.password else {
            return write!(f, "Uri({})", self.text);
        };
        let (before, after) = (self.text.get(..password.start), self.text.get(password.end..));
        write!(f, "Uri({}…{})", before.unwrap_or_default(), after.unwrap_or_default())
    }
}
