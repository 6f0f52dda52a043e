//! A received or built message: its bytes and an index of where its parts lie (RFC 3261 §7).
//!
//! [`Message::parse`] finds the structure in one pass (`message/index.rs`) and keeps what is wrong for [`Message::check`]
//! (`message/check.rs`), which must pass before anybody acts on the message: a request that cannot be acted upon can still be answered.
//! Readers borrow from the bytes. The endpoint and Python hold the same handle; cloning it copies no bytes.

mod check;
mod index;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::header::{
    AddressScan, CSeq, Name, NameAddr, RAck, Reason, Via, is_token, leading_integer, parse_integer, parse_rseq, split_list, trim,
    without_params,
};
use crate::multipart::{Fields, Part, parts};
use index::{Index, Line, Span, Start};
pub(crate) use index::{content_length, head_lines};

/// Text or bytes that are no SIP, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct ParseError {
    /// The status to answer with; 0 where nothing is answered.
    pub status: u16,
    /// Where and what, without the input itself.
    pub reason: String,
}

impl ParseError {
    /// An error that is answered with `status`.
    #[must_use]
    pub fn new(status: u16, reason: impl Into<String>) -> ParseError {
        ParseError {
            status,
            reason: reason.into(),
        }
    }

    /// A 400 that says where and why.
    pub(crate) fn malformed(place: &str, why: &str) -> ParseError {
        ParseError::new(400, format!("{place}: {why}"))
    }

    /// The same error seen inside of `place`, where only 400 makes sense.
    fn inside(self, place: &str) -> ParseError {
        ParseError::malformed(place, &self.reason)
    }
}

/// How large a message may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the whole message.
    pub max_bytes: usize,
    /// Header lines.
    pub max_headers: usize,
    /// Bytes of one header line, folded lines together.
    pub max_header_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_bytes: 65_535,
            max_headers: 256,
            max_header_bytes: 8_192,
        }
    }
}

/// A SIP message; frozen, cheap to clone.
#[derive(Clone)]
pub struct Message {
    raw: Bytes,
    index: Arc<Index>,
}

impl Message {
    /// Find the structure of a message. What follows the body that Content-Length announces is dropped.
    ///
    /// # Errors
    ///
    /// When there is no start line to tell what it is (400; 0 where it looks like a response), or too many bytes (513). All else is kept
    /// for [`Message::check`].
    pub fn parse(data: Bytes, limits: &Limits) -> Result<Message, ParseError> {
        let index = Index::scan(&data, limits)?;
        Ok(Message {
            raw: data,
            index: Arc::new(index),
        })
    }

    /// Check what must hold before an element acts on the message: exactly one well-formed From, To, Call-ID and CSeq, a topmost Via, at most
    /// one Max-Forwards, agreeing methods, version and URI scheme, and that all of it arrived.
    ///
    /// # Errors
    ///
    /// What to answer: 400, 414, 416, 505 or 513; for a response 0, drop it.
    pub fn check(&self) -> Result<(), ParseError> {
        check::check(self).map_err(|error| {
            if self.is_request() {
                error
            } else {
                ParseError { status: 0, ..error }
            }
        })
    }

    /// Whether this is a request.
    #[must_use]
    pub fn is_request(&self) -> bool {
        matches!(self.index.start, Start::Request { .. })
    }

    /// The method; of a response the one in CSeq, empty where that is malformed.
    #[must_use]
    pub fn method(&self) -> &str {
        match self.index.start {
            Start::Request { method, .. } => self.str_at(method),
            Start::Response { .. } => self.cseq_scan().map_or("", |(_, method)| method),
        }
    }

    /// The Request-URI as written; empty for a response.
    #[must_use]
    pub fn uri_text(&self) -> &str {
        match self.index.start {
            Start::Request { uri, .. } => self.str_at(uri),
            Start::Response { .. } => "",
        }
    }

    /// The status; 0 for a request.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self.index.start {
            Start::Request { .. } => 0,
            Start::Response { status, .. } => status,
        }
    }

    /// The reason phrase; empty for a request.
    #[must_use]
    pub fn reason(&self) -> Cow<'_, str> {
        match self.index.start {
            Start::Request { .. } => Cow::Borrowed(""),
            Start::Response { reason, .. } => text_of(self.bytes_at(reason)),
        }
    }

    fn version(&self) -> &str {
        match self.index.start {
            Start::Request { version, .. } | Start::Response { version, .. } => self.str_at(version),
        }
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        self.bytes_at(self.index.body)
    }

    /// All bytes as they came.
    #[must_use]
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// The first value line of that name (long or compact, without case), unfolded.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        self.lines(name).next()
    }

    /// Each value line of that name, unfolded.
    pub fn lines(&self, name: &str) -> impl Iterator<Item = Cow<'_, str>> {
        self.lines_named(name).map(|line| self.unfolded(line))
    }

    /// The values of a list header over all its lines, cut at top-level commas; empty ones are left out.
    #[must_use]
    pub fn values(&self, name: &str) -> Vec<String> {
        let mut values = Vec::new();
        for line in self.lines(name) {
            values.extend(split_list(&line).filter(|value| !value.is_empty()).map(str::to_owned));
        }
        values
    }

    /// All headers in order: the name as written, the value unfolded.
    pub fn headers(&self) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
        self.index.lines.iter().map(|line| (self.str_at(line.name), self.unfolded(line)))
    }

    /// Whether a header of that name is there.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.lines_named(name).next().is_some()
    }

    /// A header that is one decimal number, as Expires; `None` when absent.
    ///
    /// # Errors
    ///
    /// 400 when it is no number of 32 bits.
    pub fn integer(&self, name: &str) -> Result<Option<u32>, ParseError> {
        self.header(name)
            .map(|value| parse_integer(&value).map_err(|error| error.inside(name)))
            .transpose()
    }

    /// The values of a list header without their parameters, in lower case, over all its lines: the media types of Accept (RFC 3261 §20.1).
    #[must_use]
    pub fn tokens(&self, name: &str) -> Vec<String> {
        let mut tokens = Vec::new();
        for line in self.lines(name) {
            tokens.extend(split_list(&line).map(without_params).filter(|token| !token.is_empty()));
        }
        tokens
    }

    /// What Privacy asks for, in lower case, over all its lines: its values stand between semicolons (RFC 3323 §4.2).
    #[must_use]
    pub fn privacy(&self) -> Vec<String> {
        let mut wanted = Vec::new();
        for line in self.lines("Privacy") {
            let values = line.split([';', ',']).map(trim).filter(|value| is_token(value));
            wanted.extend(values.map(str::to_ascii_lowercase));
        }
        wanted
    }

    /// The reasons that it gives (RFC 3326), without those that cannot be read.
    #[must_use]
    pub fn reasons(&self) -> Vec<Reason> {
        let mut reasons = Vec::new();
        for line in self.lines("Reason") {
            reasons.extend(split_list(&line).filter_map(Reason::read));
        }
        reasons
    }

    /// The seconds of Retry-After, without its comment and parameters (RFC 3261 §20.33).
    #[must_use]
    pub fn retry_after_s(&self) -> Option<u32> {
        self.header("Retry-After").and_then(|value| leading_integer(&value))
    }

    /// The media type of the body in lower case, without parameters: `application/sdp`.
    #[must_use]
    pub fn content_type(&self) -> Option<String> {
        self.header(Name::ContentType.as_str()).map(|value| without_params(&value))
    }

    /// The parts of the body: one for a plain body, the leaves of a multipart one (RFC 5621), none for an empty one.
    ///
    /// # Errors
    ///
    /// 400 when a multipart body is malformed or has too many parts or levels.
    pub fn parts(&self) -> Result<Vec<Part<'_>>, ParseError> {
        let fields = Fields {
            content_type: self.header(Name::ContentType.as_str()),
            disposition: self.header(Name::ContentDisposition.as_str()),
            encodings: self.lines(Name::ContentEncoding.as_str()).collect(),
            content_id: None,
        };
        parts(&fields, self.body())
    }

    /// The session description: the body, or the first part of it, that is SDP for the session; empty where there is none.
    #[must_use]
    pub fn sdp(&self) -> &[u8] {
        let parts = self.parts().unwrap_or_default();
        parts.iter().find(|part| part.is_session()).map_or(&[], |part| part.body)
    }

    /// Call-ID; empty when absent.
    #[must_use]
    pub fn call_id(&self) -> &str {
        self.raw_str(Name::CallId).unwrap_or_default()
    }

    /// The tag of From; empty when absent.
    #[must_use]
    pub fn from_tag(&self) -> &str {
        self.tag_of(Name::From)
    }

    /// The tag of To; empty when absent.
    #[must_use]
    pub fn to_tag(&self) -> &str {
        self.tag_of(Name::To)
    }

    /// CSeq.
    ///
    /// # Errors
    ///
    /// 400 when it is absent or malformed.
    pub fn cseq(&self) -> Result<CSeq, ParseError> {
        let (number, method) = self.cseq_scan()?;
        Ok(CSeq {
            number,
            method: method.to_owned(),
        })
    }

    /// The RSeq of a reliable provisional response: one that requires 100rel and numbers itself (RFC 3262 §4). `None` for all other messages.
    #[must_use]
    pub fn rseq(&self) -> Option<u32> {
        if !(101..200).contains(&self.status()) || !self.names_option(Name::Require, "100rel") {
            return None;
        }
        parse_rseq(trim(self.raw_str(Name::RSeq)?))
    }

    /// RAck (RFC 3262 §7.2).
    ///
    /// # Errors
    ///
    /// 400 when it is absent or malformed.
    pub fn rack(&self) -> Result<RAck, ParseError> {
        RAck::parse(&self.required(Name::RAck)?)
    }

    /// Whether a list header of option tags, as Require or Supported, has this one.
    #[must_use]
    pub fn names_option(&self, name: Name, tag: &str) -> bool {
        let lines = || self.lines_of(name).map(|line| self.unfolded(line));
        lines().any(|line| split_list(&line).any(|option| option.eq_ignore_ascii_case(tag)))
    }

    /// The topmost Via.
    ///
    /// # Errors
    ///
    /// 400 when it is absent or malformed.
    pub fn via(&self) -> Result<Via, ParseError> {
        let value = self.required(Name::Via)?;
        Via::parse(split_list(&value).next().unwrap_or_default())
    }

    /// From.
    ///
    /// # Errors
    ///
    /// 400 when it is absent or malformed.
    pub fn from(&self) -> Result<NameAddr, ParseError> {
        NameAddr::parse(&self.required(Name::From)?).map_err(|error| error.inside("From"))
    }

    /// To.
    ///
    /// # Errors
    ///
    /// 400 when it is absent or malformed.
    pub fn to(&self) -> Result<NameAddr, ParseError> {
        NameAddr::parse(&self.required(Name::To)?).map_err(|error| error.inside("To"))
    }

    /// Every Contact over all lines; `*` is an address whose URI is [`crate::uri::Uri::star`].
    ///
    /// # Errors
    ///
    /// 400 when one is malformed.
    pub fn contacts(&self) -> Result<Vec<NameAddr>, ParseError> {
        self.addresses(Name::Contact)
    }

    /// Every address of a list header over all lines, as of Route, Record-Route, Path.
    ///
    /// # Errors
    ///
    /// 400 when one is malformed.
    pub fn addresses(&self, name: Name) -> Result<Vec<NameAddr>, ParseError> {
        let mut addresses = Vec::new();
        for line in self.lines_of(name) {
            for value in split_list(&self.unfolded(line)) {
                addresses.push(NameAddr::parse(value).map_err(|error| error.inside(name.as_str()))?);
            }
        }
        Ok(addresses)
    }

    /// Whether the message has `Contact: *` (RFC 3261 §10.2.2).
    #[must_use]
    pub fn star_contact(&self) -> bool {
        self.lines_of(Name::Contact).any(|line| trim(&self.text(line)) == "*")
    }

    fn required(&self, name: Name) -> Result<Cow<'_, str>, ParseError> {
        let line = self
            .lines_of(name)
            .next()
            .ok_or_else(|| ParseError::malformed(name.as_str(), "absent"))?;
        Ok(self.unfolded(line))
    }

    fn cseq_scan(&self) -> Result<(u32, &str), ParseError> {
        CSeq::scan(self.raw_str(Name::CSeq).ok_or_else(|| ParseError::malformed("CSeq", "absent"))?)
    }

    fn tag_of(&self, name: Name) -> &str {
        let scan = self.raw_str(name).and_then(|text| AddressScan::new(text).ok());
        scan.and_then(|scan| scan.tag()).unwrap_or_default()
    }

    /// The lines of a known name, for the builder.
    pub(crate) fn lines_of(&self, name: Name) -> impl Iterator<Item = &Line> {
        self.index.lines.iter().filter(move |line| line.id == Some(name))
    }

    fn lines_named(&self, name: &str) -> impl Iterator<Item = &Line> {
        let id = Name::parse(name);
        let wanted = move |line: &&Line| match id {
            Some(_) => line.id == id,
            None => line.id.is_none() && self.bytes_at(line.name).eq_ignore_ascii_case(name.as_bytes()),
        };
        self.index.lines.iter().filter(wanted)
    }

    /// The value of the first line of that name with its folds, where it is UTF-8. The scanners take folds as white space.
    fn raw_str(&self, name: Name) -> Option<&str> {
        let line = self.lines_of(name).next()?;
        std::str::from_utf8(self.bytes_at(line.value)).ok()
    }

    /// A value with its folds; what is no UTF-8 is replaced.
    fn text(&self, line: &Line) -> Cow<'_, str> {
        text_of(self.bytes_at(line.value))
    }

    /// A value without its folds; what is no UTF-8 is replaced.
    fn unfolded(&self, line: &Line) -> Cow<'_, str> {
        match self.unfolded_bytes(line) {
            Cow::Borrowed(bytes) => text_of(bytes),
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
        }
    }

    /// A value without its folds, byte for byte else.
    pub(crate) fn unfolded_bytes(&self, line: &Line) -> Cow<'_, [u8]> {
        let value = self.bytes_at(line.value);
        if line.folded {
            Cow::Owned(index::unfold(value))
        } else {
            Cow::Borrowed(value)
        }
    }

    fn bytes_at(&self, span: Span) -> &[u8] {
        span.of(&self.raw)
    }

    fn str_at(&self, span: Span) -> &str {
        std::str::from_utf8(self.bytes_at(span)).unwrap_or_default()
    }
}

/// Text out of bytes; what is no UTF-8 is replaced. The usual case takes the fast check.
fn text_of(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

impl fmt::Debug for Message {
    /// What it is and how long: headers may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_request() {
            return write!(f, "Message({}, {} bytes)", self.method(), self.raw.len());
        }
        write!(f, "Message({}, {} bytes)", self.status(), self.raw.len())
    }
}
