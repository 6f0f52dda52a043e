//! The parts of a body (RFC 2046 §5.1, RFC 5621): one for a plain body, the leaves of a multipart one, nested ones included.
//!
//! Everything is bounded: depth, parts, header lines of a part. `message` reads its own body by this, the session description among the
//! parts is found here, and what a peer requires us to understand is said for each part.

use std::borrow::Cow;

use crate::header::{Name, find_raw, head_and_body, is_token, trim, unfolded_lines, unquote};
use crate::message::ParseError;

/// Leaves that are read.
pub const MAX_PARTS: usize = 32;
/// Multiparts inside each other.
pub const MAX_DEPTH: usize = 4;
/// Header lines of one part.
const MAX_LINES: usize = 32;
/// Bytes of one header line of a part.
const MAX_LINE_BYTES: usize = 2_048;
/// RFC 2046 §5.1.1.
const MAX_BOUNDARY: usize = 70;
/// The type of a session description.
const SDP: &str = "application/sdp";

/// One part that is no multipart itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// In lower case, without parameters; empty where the sender gave none.
    pub content_type: String,
    /// What it is for, in lower case: `session`, `render`, …; empty where the sender does not say (RFC 5621 §5).
    pub disposition: String,
    /// It must be understood (RFC 5621 §5.3: unless it says `handling=optional`), and is no mere choice among alternatives.
    pub required: bool,
    /// Its Content-ID without angle brackets; empty where it has none.
    pub content_id: String,
    /// Its bytes as they are; `encoded` ones are not decoded.
    pub body: &'a [u8],
    /// It has a Content-Transfer-Encoding or Content-Encoding other than none.
    pub encoded: bool,
}

impl Part<'_> {
    /// Whether it describes the session: SDP for the session, and not for something else (RFC 5621 §8).
    #[must_use]
    pub fn is_session(&self) -> bool {
        let typed = self.content_type.is_empty() || self.content_type == SDP;
        typed && !self.encoded && matches!(self.disposition.as_str(), "" | "session")
    }
}

/// The header fields of a body or part that say what it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields<'a> {
    pub(crate) content_type: Option<Cow<'a, str>>,
    pub(crate) disposition: Option<Cow<'a, str>>,
    pub(crate) encodings: Vec<Cow<'a, str>>,
    pub(crate) content_id: Option<Cow<'a, str>>,
}

/// What holds for all parts inside a multipart.
#[derive(Clone, Copy)]
struct Inside {
    depth: usize,
    /// It need not be understood: an alternative, or optional as a whole.
    optional: bool,
}

/// The leaves of a body; an empty one has none.
///
/// # Errors
///
/// 400 where a multipart has no usable boundary, more than [`MAX_PARTS`] leaves or [`MAX_DEPTH`] levels, or a malformed part.
pub(crate) fn parts<'a>(fields: &Fields<'_>, body: &'a [u8]) -> Result<Vec<Part<'a>>, ParseError> {
    let mut leaves = Vec::new();
    if !body.is_empty() {
        let inside = Inside { depth: 0, optional: false };
        read(fields, body, inside, &mut leaves)?;
    }
    Ok(leaves)
}

fn read<'a>(fields: &Fields<'_>, body: &'a [u8], inside: Inside, leaves: &mut Vec<Part<'a>>) -> Result<(), ParseError> {
    let value = fields.content_type.as_deref().unwrap_or_default();
    let (kind, params) = split_value(value);
    let (disposition, about) = split_value(fields.disposition.as_deref().unwrap_or_default());
    let handling = find_raw(about, "handling").unwrap_or_default();
    let optional = inside.optional || handling.eq_ignore_ascii_case("optional");
    if let Some(subtype) = kind.strip_prefix("multipart/") {
        if inside.depth >= MAX_DEPTH {
            return Err(malformed("nested too deeply"));
        }
        let boundary = find_raw(params, "boundary").ok_or_else(|| malformed("no boundary"))?;
        let boundary = if boundary.starts_with('"') {
            unquote(boundary)
        } else {
            boundary.to_owned()
        };
        let inside = Inside {
            depth: inside.depth + 1,
            optional: optional || subtype == "alternative",
        };
        return split(&boundary, body, |part| read_part(part, inside, leaves));
    }
    if leaves.len() >= MAX_PARTS {
        return Err(malformed("too many parts"));
    }
    let plain = |encoding: &str| matches!(encoding.to_ascii_lowercase().as_str(), "" | "7bit" | "8bit" | "binary" | "identity");
    leaves.push(Part {
        content_type: kind,
        disposition,
        required: !optional,
        content_id: fields
            .content_id
            .as_deref()
            .map(|id| trim(id).trim_start_matches('<').trim_end_matches('>').to_owned())
            .unwrap_or_default(),
        body,
        encoded: !fields.encodings.iter().all(|encoding| plain(trim(encoding))),
    });
    Ok(())
}

/// A value in lower case without white space, and its parameters from the first semicolon on.
fn split_value(value: &str) -> (String, &str) {
    let at = value.find(';').unwrap_or(value.len());
    let (head, params) = value.split_at_checked(at).unwrap_or((value, ""));
    let head = head.chars().filter(|letter| !letter.is_whitespace()).collect::<String>();
    (head.to_ascii_lowercase(), params)
}

fn malformed(why: &str) -> ParseError {
    ParseError::new(400, format!("multipart body: {why}"))
}

/// RFC 2046 §5.1.1: hand each part between two delimiter lines to `take`. What comes before the first and after the last is no part; a body
/// that is cut off ends its last part.
fn split<'a>(boundary: &str, body: &'a [u8], mut take: impl FnMut(&'a [u8]) -> Result<(), ParseError>) -> Result<(), ParseError> {
    let boundary = boundary.as_bytes();
    let fits = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
    if boundary.is_empty() || boundary.len() > MAX_BOUNDARY || !boundary.iter().all(fits) || boundary.ends_with(b" ") {
        return Err(malformed("no usable boundary"));
    }
    let mut from: Option<usize> = None;
    let mut at = 0;
    while at < body.len() {
        let rest = body.get(at..).unwrap_or_default();
        let end = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |end| end + 1);
        if let Some(last) = delimiter(rest.get(..end).unwrap_or_default(), boundary) {
            if let Some(from) = from {
                take(without_end(body.get(from..at).unwrap_or_default()))?;
            }
            if last {
                return Ok(());
            }
            from = Some(at + end);
        }
        at += end;
    }
    match from {
        Some(from) => take(body.get(from..).unwrap_or_default()),
        None => Err(malformed("its boundary stands nowhere")),
    }
}

/// Whether a line is a delimiter, and then whether it is the last one.
fn delimiter(line: &[u8], boundary: &[u8]) -> Option<bool> {
    let rest = line.strip_prefix(b"--")?.strip_prefix(boundary)?;
    let (rest, last) = rest.strip_prefix(b"--").map_or((rest, false), |rest| (rest, true));
    rest.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')).then_some(last)
}

/// The line end before a delimiter belongs to it.
fn without_end(part: &[u8]) -> &[u8] {
    let part = part.strip_suffix(b"\n").unwrap_or(part);
    part.strip_suffix(b"\r").unwrap_or(part)
}

fn read_part<'a>(part: &'a [u8], inside: Inside, leaves: &mut Vec<Part<'a>>) -> Result<(), ParseError> {
    let (head, body) = head_and_body(part);
    let text = String::from_utf8_lossy(head);
    let mut fields = Fields::default();
    let lines = unfolded_lines(&text, MAX_LINES, MAX_LINE_BYTES).ok_or_else(|| malformed("a part with too long a head"))?;
    for line in lines {
        let (name, value) = line.split_once(':').ok_or_else(|| malformed("a header line without colon"))?;
        let name = trim(name);
        if !is_token(name) {
            return Err(malformed("a header name is no token"));
        }
        let value = || Some(Cow::Owned(trim(value).to_owned()));
        match Name::parse(name) {
            Some(Name::ContentType) => fields.content_type = value(),
            Some(Name::ContentDisposition) => fields.disposition = value(),
            Some(Name::ContentEncoding) => fields.encodings.extend(value()),
            _ if name.eq_ignore_ascii_case("Content-Transfer-Encoding") => fields.encodings.extend(value()),
            _ if name.eq_ignore_ascii_case("Content-ID") => fields.content_id = value(),
            _ => {}
        }
    }
    // RFC 2046 §5.1: what says nothing is text.
    fields.content_type.get_or_insert(Cow::Borrowed("text/plain"));
    read(&fields, body, inside, leaves)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of<'a>(content_type: &'static str, body: &'a str) -> Result<Vec<Part<'a>>, ParseError> {
        let fields = Fields {
            content_type: Some(Cow::Borrowed(content_type)),
            ..Fields::default()
        };
        parts(&fields, body.as_bytes())
    }

    /// A line for each part: type, disposition, whether it is required, body.
    fn told(content_type: &'static str, body: &str) -> Vec<String> {
        let parts = of(content_type, body).unwrap();
        let line = |part: &Part<'_>| {
            let body = String::from_utf8_lossy(part.body);
            format!("{} {} {} {body:?}", part.content_type, part.disposition, part.required)
        };
        parts.iter().map(line).collect()
    }

    const ISUP: &str = "preamble\r\n--b1\r\nContent-Type: application/SDP\r\nContent-Disposition: session\r\n\r\nv=0\r\n\r\n--b1  \r\n\
        Content-Type: application/isup; version=itu-t92+\r\nContent-Disposition: signal ;handling=optional\r\n\r\n\x01\n\x10\r\n--b1--\r\nepilogue";

    #[test]
    fn test_the_parts_of_a_mixed_body_keep_their_bytes() {
        let want = [
            "application/sdp session true \"v=0\\r\\n\"",
            "application/isup signal false \"\\u{1}\\n\\u{10}\"",
        ];
        assert_eq!(told("multipart/mixed;boundary=b1", ISUP), want);
        assert_eq!(told("Multipart/Mixed ; charset=x; Boundary=\"b1\"", ISUP), want);
    }

    #[test]
    fn test_a_plain_body_is_one_part_and_an_empty_one_is_none() {
        assert_eq!(told("application/sdp", "v=0"), ["application/sdp  true \"v=0\""]);
        assert!(of("multipart/mixed;boundary=b", "").unwrap().is_empty());
    }

    #[test]
    fn test_alternatives_need_not_be_understood_and_nested_ones_are_read() {
        let body = "--a\r\nContent-Type: multipart/alternative;boundary=b\r\n\r\n--b\r\n\r\nplain\r\n--b\r\nContent-Type: application/sdp\r\n\r\n\
            v=0\r\n--b--\r\n--a\r\nc: x/y\r\n\r\nz\r\n--a--";
        let want = ["text/plain  false \"plain\"", "application/sdp  false \"v=0\"", "x/y  true \"z\""];
        assert_eq!(told("multipart/mixed;boundary=a", body), want);
    }

    #[test]
    fn test_bare_line_feeds_and_a_missing_end_are_read() {
        let want = ["application/sdp  true \"v=0\\n\""];
        assert_eq!(
            told("multipart/mixed;boundary=b", "--b\nContent-Type: application/sdp\n\nv=0\n"),
            want
        );
    }

    #[test]
    fn test_a_boundary_inside_a_line_or_longer_is_none() {
        let body = "--b\r\n\r\nx --b\r\n--bb\r\n--b-\r\n--b--";
        assert_eq!(
            told("multipart/mixed;boundary=b", body),
            ["text/plain  true \"x --b\\r\\n--bb\\r\\n--b-\""]
        );
    }

    #[test]
    fn test_folded_lines_and_a_content_id_are_read() {
        let body = "--b\r\nContent-Type: application/pidf+xml;\r\n charset=utf-8\r\nContent-ID: <place@example.com>\r\n\r\n<x/>\r\n--b--";
        let parts = of("multipart/mixed;boundary=b", body).unwrap();
        assert_eq!(
            (parts[0].content_type.as_str(), parts[0].content_id.as_str()),
            ("application/pidf+xml", "place@example.com")
        );
    }

    #[test]
    fn test_what_is_encoded_describes_no_session() {
        let body =
            |encoding: &str| format!("--b\r\nContent-Type: application/sdp\r\nContent-Transfer-Encoding: {encoding}\r\n\r\ndj0w\r\n--b--");
        for (encoding, session) in [("base64", false), ("quoted-printable", false), ("binary", true), ("7BIT", true)] {
            let text = body(encoding);
            let parts = of("multipart/mixed;boundary=b", &text).unwrap();
            assert_eq!(parts[0].is_session(), session, "{encoding}");
        }
    }

    #[test]
    fn test_what_is_no_multipart_is_refused() {
        let cases = [
            ("multipart/mixed", ISUP),
            ("multipart/mixed;boundary=\"\"", ISUP),
            ("multipart/mixed;boundary=other", ISUP),
            ("multipart/mixed;boundary=b", "--b\r\nno colon\r\n\r\nx\r\n--b--"),
            ("multipart/mixed;boundary=b", "--b\r\nb@d: x\r\n\r\nx\r\n--b--"),
        ];
        for (content_type, body) in cases {
            assert_eq!(
                of(content_type, body).map_err(|error| error.status),
                Err(400),
                "{content_type} {body:?}"
            );
        }
    }

    #[test]
    fn test_parts_depth_and_heads_are_bounded() {
        let many = |count: usize| "--b\r\n\r\nx\r\n".repeat(count) + "--b--";
        assert_eq!(of("multipart/mixed;boundary=b", &many(MAX_PARTS)).unwrap().len(), MAX_PARTS);
        assert!(of("multipart/mixed;boundary=b", &many(MAX_PARTS + 1)).is_err());
        let deep = |levels: usize| {
            let mut body = "x".to_owned();
            for level in (1..levels).rev() {
                body = format!(
                    "--b{level}\r\nContent-Type: multipart/mixed;boundary=b{}\r\n\r\n{body}\r\n--b{level}--",
                    level + 1
                );
                if level == levels - 1 {
                    body = body.replace(
                        &format!("boundary=b{levels}\r\n\r\nx"),
                        &format!("boundary=b{levels}\r\n\r\n--b{levels}\r\n\r\nx"),
                    );
                }
            }
            body
        };
        assert_eq!(of("multipart/mixed;boundary=b1", &deep(MAX_DEPTH)).unwrap().len(), 1);
        assert!(of("multipart/mixed;boundary=b1", &deep(MAX_DEPTH + 1)).is_err());
        let long = format!("--b\r\nX: {}\r\n\r\nx\r\n--b--", "y".repeat(MAX_LINE_BYTES));
        assert!(of("multipart/mixed;boundary=b", &long).is_err());
    }
}
