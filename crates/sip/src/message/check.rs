//! What must hold before an element acts on a message (RFC 3261 §8.1.1, §8.2, §16.3, §18.3), and the status for what does not.

use super::index::{Line, Start};
use super::{Message, ParseError};
use crate::header::{AddressScan, CSeq, Name, Via, is_token, parse_integer, split_list};
use crate::uri::Index as UriIndex;

/// RFC 3261 §20.22.
const MAX_MAX_FORWARDS: u32 = 255;

/// The lines that every message has, found in one pass.
#[derive(Default)]
struct Found<'a> {
    via: Option<&'a Line>,
    from: Option<&'a Line>,
    to: Option<&'a Line>,
    call_id: Option<&'a Line>,
    cseq: Option<&'a Line>,
    max_forwards: Option<&'a Line>,
}

impl<'a> Found<'a> {
    fn of(message: &'a Message) -> Result<Found<'a>, ParseError> {
        let mut found = Found::default();
        for line in &message.index.lines {
            let (slot, name) = match line.id {
                Some(Name::Via) => {
                    found.via.get_or_insert(line);
                    continue;
                }
                Some(Name::From) => (&mut found.from, "From"),
                Some(Name::To) => (&mut found.to, "To"),
                Some(Name::CallId) => (&mut found.call_id, "Call-ID"),
                Some(Name::CSeq) => (&mut found.cseq, "CSeq"),
                Some(Name::MaxForwards) => (&mut found.max_forwards, "Max-Forwards"),
                _ => continue,
            };
            if slot.replace(line).is_some() {
                return Err(ParseError::malformed(name, "more than one"));
            }
        }
        Ok(found)
    }
}

pub(super) fn check(message: &Message) -> Result<(), ParseError> {
    check_version(message.version())?;
    if let Some((status, why)) = message.index.fault {
        return Err(ParseError::new(status, why));
    }
    message.index.announced.clone()?;
    let found = Found::of(message)?;
    check_via(message, found.via)?;
    check_address(message, found.from, "From")?;
    check_address(message, found.to, "To")?;
    check_call_id(message, found.call_id)?;
    check_cseq(message, found.cseq)?;
    if let Some(line) = found.max_forwards {
        // Absent it is let pass: RFC 2543 had it optional.
        let hops = parse_integer(&message.text(line)).map_err(|error| error.inside("Max-Forwards"))?;
        if hops > MAX_MAX_FORWARDS {
            return Err(ParseError::malformed("Max-Forwards", "more than 255"));
        }
    }
    if message.is_request() {
        check_request_line(message)
    } else {
        Ok(())
    }
}

/// RFC 3261 §7.1, §21.5.6: another version of SIP is 505, anything else no SIP at all.
fn check_version(version: &str) -> Result<(), ParseError> {
    if version.eq_ignore_ascii_case("SIP/2.0") {
        return Ok(());
    }
    let (name, number) = version.split_at_checked(4).unwrap_or((version, ""));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if name.eq_ignore_ascii_case("SIP/") && number.split_once('.').is_some_and(|(major, minor)| digits(major) && digits(minor)) {
        return Err(ParseError::new(505, "not SIP/2.0"));
    }
    Err(ParseError::malformed("request line", "no SIP version"))
}

fn require<'a>(line: Option<&'a Line>, name: &str) -> Result<&'a Line, ParseError> {
    line.ok_or_else(|| ParseError::malformed(name, "absent"))
}

fn check_via(message: &Message, line: Option<&Line>) -> Result<(), ParseError> {
    let text = message.text(require(line, "Via")?);
    Via::check(split_list(&text).next().unwrap_or_default())
}

fn check_address(message: &Message, line: Option<&Line>, name: &str) -> Result<(), ParseError> {
    let text = message.text(require(line, name)?);
    let scan = AddressScan::new(&text)
        .and_then(|scan| scan.check().map(|()| scan))
        .map_err(|error| error.inside(name))?;
    if scan.uri == "*" {
        return Err(ParseError::malformed(name, "no URI"));
    }
    Ok(())
}

fn check_call_id(message: &Message, line: Option<&Line>) -> Result<(), ParseError> {
    let text = message.bytes_at(require(line, "Call-ID")?.value);
    if text.is_empty() || !text.iter().all(u8::is_ascii_graphic) {
        return Err(ParseError::malformed("Call-ID", "malformed"));
    }
    Ok(())
}

fn check_cseq(message: &Message, line: Option<&Line>) -> Result<(), ParseError> {
    let text = message.text(require(line, "CSeq")?);
    let (_, method) = CSeq::scan(&text)?;
    // RFC 3261 §8.1.1.5: the method of CSeq is that of the request.
    if message.is_request() && method != message.method() {
        return Err(ParseError::malformed("CSeq", "another method than the request's"));
    }
    Ok(())
}

fn check_request_line(message: &Message) -> Result<(), ParseError> {
    let Start::Request { method, uri, .. } = message.index.start else {
        return Ok(());
    };
    if !is_token(message.str_at(method)) {
        return Err(ParseError::malformed("request line", "the method is no token"));
    }
    let text = std::str::from_utf8(message.bytes_at(uri)).map_err(|_| ParseError::malformed("Request-URI", "not ASCII"))?;
    let index = UriIndex::scan(text).map_err(|error| if error.status == 400 { error.inside("Request-URI") } else { error })?;
    if text == "*" {
        return Err(ParseError::malformed("Request-URI", "no URI"));
    }
    // RFC 3261 §8.2.2.1.
    if !index.is_callable() {
        return Err(ParseError::new(416, "Request-URI: unknown scheme"));
    }
    // RFC 3261 §19.1.1, table 1: headers are not allowed in a Request-URI.
    if index.has_headers() {
        return Err(ParseError::malformed("Request-URI", "headers"));
    }
    Ok(())
}
