//! Builds requests and responses as bytes, out of headers that the caller gives and of those that RFC 3261 has copied.
//!
//! `endpoint` calls this for whatever goes out, its own answers included. Header names and values that would break the message (CR, LF,
//! NUL, no token) are refused, so that nothing an application passes can smuggle a header. RFC 3261 §7, §8.2.6, §9.1, §17.1.1.3, RFC 3581.

use std::net::SocketAddr;

use bytes::Bytes;

use crate::header::{CSeq, Name, Via, has_bare_nul, is_token, split_list};
use crate::message::Message;

/// Headers in the order in which they are written.
pub type Headers<'a> = &'a [(String, String)];

/// Bytes that a message without its body usually has at most.
const USUAL_BYTES: usize = 1_024;
/// RFC 3261 §8.1.1.6.
const MAX_FORWARDS: &str = "70";

/// What an application passed that cannot stand in a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// The method is no token.
    #[error("the method is no token")]
    Method,
    /// The Request-URI has white space or a control character.
    #[error("the Request-URI has white space or a control character")]
    Uri,
    /// A header name is no token.
    #[error("a header name is no token")]
    HeaderName,
    /// The value of this header has CR, LF or NUL.
    #[error("the value of {0} has CR, LF or NUL")]
    HeaderValue(String),
    /// This header is written by the library.
    #[error("{0} is written by the library")]
    Reserved(&'static str),
    /// The status is not between 100 and 699.
    #[error("no status: {0}")]
    Status(u16),
    /// The reason phrase has CR, LF or NUL.
    #[error("the reason phrase has CR, LF or NUL")]
    Reason,
    /// The To tag is no token.
    #[error("the To tag is no token")]
    Tag,
    /// The message that this one follows from lacks this header, or it is malformed.
    #[error("the message answered has no usable {0}")]
    Source(&'static str),
}

/// What a request gets where its headers leave it out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Defaults {
    /// User-Agent.
    pub user_agent: Option<String>,
}

/// What a response tells the sender of the request in the topmost Via.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ViaStamp {
    /// Where the request came from; `None` leaves the Via as it is.
    pub source: Option<SocketAddr>,
}

/// A message in the making.
struct Writer(Vec<u8>);

impl Writer {
    fn new(body: &[u8]) -> Writer {
        Writer(Vec::with_capacity(USUAL_BYTES.saturating_add(body.len())))
    }

    fn line(&mut self, parts: &[&str]) {
        for part in parts {
            self.0.extend_from_slice(part.as_bytes());
        }
        self.0.extend_from_slice(b"\r\n");
    }

    fn header(&mut self, name: Name, value: &[u8]) {
        self.0.extend_from_slice(name.as_str().as_bytes());
        self.0.extend_from_slice(b": ");
        self.0.extend_from_slice(value);
        self.0.extend_from_slice(b"\r\n");
    }

    /// Copy the lines of a header as they are, without folds and compact names.
    fn copy(&mut self, message: &Message, name: Name) {
        for line in message.lines_of(name) {
            self.header(name, &message.unfolded_bytes(line));
        }
    }

    /// Copy the first line only: of From, To, Call-ID and CSeq there is one.
    fn copy_first(&mut self, message: &Message, name: Name) {
        if let Some(line) = message.lines_of(name).next() {
            self.header(name, &message.unfolded_bytes(line));
        }
    }

    fn given(&mut self, headers: Headers) {
        for (name, value) in headers {
            // RFC 3323 §4.1: an empty User-Agent keeps ours out, and is none itself.
            let left_out = match Name::parse(name) {
                Some(Name::ContentLength) => true,
                Some(Name::UserAgent) => value.is_empty(),
                _ => false,
            };
            if !left_out {
                self.line(&[name, ": ", value]);
            }
        }
    }

    fn finish(mut self, body: &[u8]) -> Bytes {
        self.line(&["Content-Length: ", &body.len().to_string()]);
        self.0.extend_from_slice(b"\r\n");
        self.0.extend_from_slice(body);
        Bytes::from(self.0)
    }
}

fn breaks_a_line(text: &str) -> bool {
    text.contains(['\r', '\n']) || has_bare_nul(text.as_bytes())
}

/// Check headers that an application gives: names are tokens, values stay on their line, none of `reserved` is among them. Content-Length
/// is let pass and left out, for it follows from the body.
fn check_headers(headers: Headers, reserved: &[Name]) -> Result<(), BuildError> {
    for (name, value) in headers {
        if !is_token(name) {
            return Err(BuildError::HeaderName);
        }
        if breaks_a_line(value) {
            return Err(BuildError::HeaderValue(name.clone()));
        }
        if let Some(known) = Name::parse(name).filter(|known| reserved.contains(known)) {
            return Err(BuildError::Reserved(known.as_str()));
        }
    }
    Ok(())
}

fn has(headers: Headers, name: Name) -> bool {
    headers.iter().any(|(key, _)| Name::parse(key) == Some(name))
}

fn check_request_line(method: &str, uri: &str) -> Result<(), BuildError> {
    if !is_token(method) {
        return Err(BuildError::Method);
    }
    if uri.is_empty() || !uri.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(BuildError::Uri);
    }
    Ok(())
}

/// Check what [`request`] would refuse, before it is queued for another thread.
///
/// # Errors
///
/// As those of [`request`].
pub fn check_request(method: &str, uri: &str, headers: Headers) -> Result<(), BuildError> {
    check_request_line(method, uri)?;
    check_headers(headers, &[Name::Via])
}

/// Check what [`response`] would refuse, before it is queued for another thread.
///
/// # Errors
///
/// As those of [`response`].
pub fn check_response(status: u16, reason: Option<&str>, to_tag: Option<&str>, headers: Headers) -> Result<(), BuildError> {
    if !(100..700).contains(&status) {
        return Err(BuildError::Status(status));
    }
    if reason.is_some_and(breaks_a_line) {
        return Err(BuildError::Reason);
    }
    if to_tag.is_some_and(|tag| !is_token(tag)) {
        return Err(BuildError::Tag);
    }
    check_headers(headers, &[Name::Via, Name::From, Name::To, Name::CallId, Name::CSeq])
}

/// Build a request: Via, Max-Forwards (70 where `headers` has none), the headers in their order, User-Agent (none where `headers` has an
/// empty one), Content-Length.
///
/// # Errors
///
/// When something passed cannot stand in a message, or `headers` has a Via.
pub fn request(method: &str, uri: &str, via: &str, headers: Headers, body: &[u8], defaults: &Defaults) -> Result<Bytes, BuildError> {
    check_request(method, uri, headers)?;
    if breaks_a_line(via) {
        return Err(BuildError::HeaderValue("Via".to_owned()));
    }
    let mut out = Writer::new(body);
    out.line(&[method, " ", uri, " SIP/2.0"]);
    out.line(&["Via: ", via]);
    if !has(headers, Name::MaxForwards) {
        out.line(&["Max-Forwards: ", MAX_FORWARDS]);
    }
    out.given(headers);
    if let Some(agent) = defaults
        .user_agent
        .as_deref()
        .filter(|agent| !breaks_a_line(agent) && !has(headers, Name::UserAgent))
    {
        out.line(&["User-Agent: ", agent]);
    }
    Ok(out.finish(body))
}

/// Build a response: all Via of the request (the topmost stamped), From, To with `to_tag` where it has none, Call-ID, CSeq, Record-Route (of
/// 101 to 299), Timestamp (of 100), then the headers in their order and Content-Length. `reason` is the usual phrase where absent.
///
/// # Errors
///
/// When something passed cannot stand in a message, or `headers` has a header that is copied.
pub fn response(
    request: &Message,
    status: u16,
    reason: Option<&str>,
    to_tag: Option<&str>,
    headers: Headers,
    body: &[u8],
    extra_via: &ViaStamp,
) -> Result<Bytes, BuildError> {
    check_response(status, reason, to_tag, headers)?;
    let reason = reason.unwrap_or_else(|| reason_phrase(status));
    let mut out = Writer::new(body);
    out.line(&["SIP/2.0 ", &status.to_string(), " ", reason]);
    copy_vias(&mut out, request, extra_via);
    out.copy_first(request, Name::From);
    copy_to(&mut out, request, to_tag);
    out.copy_first(request, Name::CallId);
    out.copy_first(request, Name::CSeq);
    // RFC 3261 §12.1.1: what makes a dialog carries the route set back.
    if (101..300).contains(&status) && !has(headers, Name::RecordRoute) {
        out.copy(request, Name::RecordRoute);
    }
    // RFC 3261 §8.2.6.1.
    if status == 100 && !has(headers, Name::Timestamp) {
        out.copy_first(request, Name::Timestamp);
    }
    out.given(headers);
    Ok(out.finish(body))
}

/// RFC 3261 §8.2.6.2: every Via, in order; §18.2.1 and RFC 3581 §4 for the topmost.
fn copy_vias(out: &mut Writer, request: &Message, stamp: &ViaStamp) {
    for (position, line) in request.lines_of(Name::Via).enumerate() {
        let value = request.unfolded_bytes(line);
        match (position, stamp.source) {
            (0, Some(source)) => out.header(Name::Via, stamped(&String::from_utf8_lossy(&value), source).as_bytes()),
            _ => out.header(Name::Via, &value),
        }
    }
}

/// A Via line whose first value says where the request came from; as it is where that value is malformed.
fn stamped(line: &str, source: SocketAddr) -> String {
    let first = split_list(line).next().unwrap_or_default();
    let Ok(via) = Via::parse(first) else { return line.to_owned() };
    let rest = line.get(line.find(first).unwrap_or(0) + first.len()..).unwrap_or_default();
    let address = source.ip().to_canonical();
    let mut params = String::new();
    for (name, value) in crate::header::scan_params(via_params(first)).map_while(Result::ok) {
        // What the sender wrote there itself is not believed.
        if !name.eq_ignore_ascii_case("received") && !name.eq_ignore_ascii_case("rport") {
            params.push(';');
            params.push_str(name);
            params.extend(value.map(|value| format!("={value}")));
        }
    }
    let head = first.get(..first.len() - via_params(first).len()).unwrap_or_default().trim_end();
    let is_same = via.host.parse().is_ok_and(|host: std::net::IpAddr| host == address);
    let stamp = match (via.wants_rport(), is_same) {
        (true, _) => format!(";received={address};rport={}", source.port()),
        (false, false) => format!(";received={address}"),
        (false, true) => String::new(),
    };
    format!("{head}{params}{stamp}{rest}")
}

/// The parameters of one Via value, from the first semicolon on.
fn via_params(value: &str) -> &str {
    value.find(';').and_then(|at| value.get(at..)).unwrap_or_default()
}

/// RFC 3261 §8.2.6.2: To as it came, and a tag where it has none.
fn copy_to(out: &mut Writer, request: &Message, tag: Option<&str>) {
    let Some(line) = request.lines_of(Name::To).next() else { return };
    let value = request.unfolded_bytes(line);
    match tag {
        Some(tag) if request.to_tag().is_empty() => out.header(Name::To, &[&value, b";tag=".as_slice(), tag.as_bytes()].concat()),
        _ => out.header(Name::To, &value),
    }
}

/// The first value of the topmost Via, as it stands.
fn top_via(message: &Message) -> Vec<u8> {
    let Some(line) = message.lines_of(Name::Via).next() else {
        return Vec::new();
    };
    let value = message.unfolded_bytes(line);
    let text = String::from_utf8_lossy(&value);
    split_list(&text).next().unwrap_or_default().as_bytes().to_vec()
}

/// The lines that ACK to a failure and CANCEL take from their INVITE: URI, the topmost Via with its branch, Route, From, Call-ID, CSeq.
fn follow_up(method: &str, invite: &Message, to_of: &Message) -> Writer {
    let mut out = Writer::new(&[]);
    out.line(&[method, " ", invite.uri_text(), " SIP/2.0"]);
    out.header(Name::Via, &top_via(invite));
    out.copy(invite, Name::Route);
    out.line(&["Max-Forwards: ", MAX_FORWARDS]);
    out.copy_first(invite, Name::From);
    out.copy_first(to_of, Name::To);
    out.copy_first(invite, Name::CallId);
    let number = invite.cseq().map_or(0, |cseq| cseq.number);
    out.line(&[
        "CSeq: ",
        &CSeq {
            number,
            method: method.to_owned(),
        }
        .to_string(),
    ]);
    out.copy_first(invite, Name::UserAgent);
    out
}

/// The ACK to a final response other than 2xx: the branch of the INVITE, the To of the response (RFC 3261 §17.1.1.3).
#[must_use]
pub fn ack_to_failure(invite: &Message, response: &Message) -> Bytes {
    follow_up("ACK", invite, response).finish(&[])
}

/// The CANCEL of an INVITE of ours, with further headers such as Reason (RFC 3261 §9.1).
///
/// # Errors
///
/// When a header cannot stand in a message or is one that CANCEL takes from the INVITE.
pub fn cancel(invite: &Message, headers: Headers) -> Result<Bytes, BuildError> {
    let copied = [
        Name::Via,
        Name::From,
        Name::To,
        Name::CallId,
        Name::CSeq,
        Name::Route,
        Name::MaxForwards,
        Name::UserAgent,
    ];
    check_headers(headers, &copied)?;
    let mut out = follow_up("CANCEL", invite, invite);
    out.given(headers);
    Ok(out.finish(&[]))
}

/// The usual phrase for a status (RFC 3261 §21 and the registry of response codes).
#[must_use]
pub fn reason_phrase(status: u16) -> &'static str {
    let known = REASONS.binary_search_by_key(&status, |(code, _)| *code);
    known
        .ok()
        .and_then(|at| REASONS.get(at))
        .map_or_else(|| class_phrase(status), |(_, phrase)| phrase)
}

fn class_phrase(status: u16) -> &'static str {
    match status / 100 {
        1 => "Progress",
        2 => "OK",
        3 => "Redirect",
        4 => "Request Failure",
        5 => "Server Failure",
        _ => "Global Failure",
    }
}

const REASONS: &[(u16, &str)] = &[
    (100, "Trying"),
    (180, "Ringing"),
    (181, "Call Is Being Forwarded"),
    (182, "Queued"),
    (183, "Session Progress"),
    (199, "Early Dialog Terminated"),
    (200, "OK"),
    (202, "Accepted"),
    (204, "No Notification"),
    (300, "Multiple Choices"),
    (301, "Moved Permanently"),
    (302, "Moved Temporarily"),
    (305, "Use Proxy"),
    (380, "Alternative Service"),
    (400, "Bad Request"),
    (401, "Unauthorized"),
    (402, "Payment Required"),
    (403, "Forbidden"),
    (404, "Not Found"),
    (405, "Method Not Allowed"),
    (406, "Not Acceptable"),
    (407, "Proxy Authentication Required"),
    (408, "Request Timeout"),
    (410, "Gone"),
    (412, "Conditional Request Failed"),
    (413, "Request Entity Too Large"),
    (414, "Request-URI Too Long"),
    (415, "Unsupported Media Type"),
    (416, "Unsupported URI Scheme"),
    (417, "Unknown Resource-Priority"),
    (420, "Bad Extension"),
    (421, "Extension Required"),
    (422, "Session Interval Too Small"),
    (423, "Interval Too Brief"),
    (424, "Bad Location Information"),
    (428, "Use Identity Header"),
    (429, "Provide Referrer Identity"),
    (430, "Flow Failed"),
    (433, "Anonymity Disallowed"),
    (436, "Bad Identity Info"),
    (437, "Unsupported Credential"),
    (438, "Invalid Identity Header"),
    (439, "First Hop Lacks Outbound Support"),
    (440, "Max-Breadth Exceeded"),
    (469, "Bad Info Package"),
    (470, "Consent Needed"),
    (480, "Temporarily Unavailable"),
    (481, "Call/Transaction Does Not Exist"),
    (482, "Loop Detected"),
    (483, "Too Many Hops"),
    (484, "Address Incomplete"),
    (485, "Ambiguous"),
    (486, "Busy Here"),
    (487, "Request Terminated"),
    (488, "Not Acceptable Here"),
    (489, "Bad Event"),
    (491, "Request Pending"),
    (493, "Undecipherable"),
    (494, "Security Agreement Required"),
    (500, "Server Internal Error"),
    (501, "Not Implemented"),
    (502, "Bad Gateway"),
    (503, "Service Unavailable"),
    (504, "Server Time-out"),
    (505, "Version Not Supported"),
    (513, "Message Too Large"),
    (555, "Push Notification Service Not Supported"),
    (580, "Precondition Failure"),
    (600, "Busy Everywhere"),
    (603, "Decline"),
    (604, "Does Not Exist Anywhere"),
    (606, "Not Acceptable"),
    (607, "Unwanted"),
    (608, "Rejected"),
];

#[cfg(test)]
mod tests;
