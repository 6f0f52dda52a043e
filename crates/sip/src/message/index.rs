//! Where the parts of a message lie: start line, header lines, body (RFC 3261 §7, §25.1).

use super::{Limits, ParseError};
use crate::header::{Name, has_bare_nul};

/// Header lines that a message usually has at most; the index is allocated for so many.
const USUAL_LINES: usize = 24;

/// A range of bytes of the message.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// Offsets beyond 4 GiB cannot be: the message is bounded by then.
    fn new(start: usize, end: usize) -> Span {
        Span {
            start: u32::try_from(start).unwrap_or(u32::MAX),
            end: u32::try_from(end).unwrap_or(u32::MAX),
        }
    }

    pub(super) fn of(self, data: &[u8]) -> &[u8] {
        data.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    fn len(self) -> usize {
        self.end.saturating_sub(self.start) as usize
    }

    /// Without white space (and folds) at either end.
    fn trimmed(self, data: &[u8]) -> Span {
        let text = self.of(data);
        let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
        let Some(first) = text.iter().position(|byte| !blank(byte)) else {
            return Span {
                start: self.end,
                end: self.end,
            };
        };
        let last = text.iter().rposition(|byte| !blank(byte)).unwrap_or(first);
        Span::new(self.start as usize + first, self.start as usize + last + 1)
    }
}

/// The start line.
#[derive(Clone, Copy, Debug)]
pub(super) enum Start {
    Request { method: Span, uri: Span, version: Span },
    Response { version: Span, status: u16, reason: Span },
}

/// A header line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    /// As written.
    pub(super) name: Span,
    /// Trimmed, folds included.
    pub(super) value: Span,
    pub(super) id: Option<Name>,
    pub(super) folded: bool,
}

/// The structure of a message.
#[derive(Debug)]
pub(super) struct Index {
    pub(super) start: Start,
    pub(super) lines: Vec<Line>,
    pub(super) body: Span,
    /// What Content-Length announces, if it is there and well-formed.
    pub(super) announced: Result<Option<usize>, ParseError>,
    /// The first thing wrong with the structure: status and words.
    pub(super) fault: Option<(u16, &'static str)>,
}

impl Index {
    pub(super) fn scan(data: &[u8], limits: &Limits) -> Result<Index, ParseError> {
        if data.len() > limits.max_bytes || u32::try_from(data.len()).is_err() {
            return Err(ParseError::new(513, "message too large"));
        }
        // RFC 3261 §7.5: empty lines before the start line are ignored.
        let begin = data.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(data.len());
        let mut lines = head_lines(data, begin);
        let (from, to) = lines
            .next()
            .filter(|(from, to)| from < to)
            .ok_or_else(|| ParseError::new(0, "no start line"))?;
        let start = scan_start(data, from, to)?;
        let mut scan = Scan {
            data,
            limits,
            lines: Vec::with_capacity(USUAL_LINES),
            fault: None,
        };
        for (from, to) in &mut lines {
            scan.take(from, to);
        }
        if let Some(why) = lines.fault {
            scan.note(400, why);
        }
        let body_start = lines.at;
        let values = scan
            .lines
            .iter()
            .filter(|line| line.id == Some(Name::ContentLength))
            .map(|line| line.value.of(data));
        let announced = content_length(values);
        let there = data.len().saturating_sub(body_start);
        // RFC 3261 §18.3: bytes beyond the body are dropped; without Content-Length the body is the rest of the datagram.
        let length = announced.as_ref().map_or(0, |announced| announced.unwrap_or(there).min(there));
        if announced
            .as_ref()
            .is_ok_and(|announced| announced.is_some_and(|length| length > there))
        {
            scan.note(400, "body shorter than Content-Length");
        }
        Ok(Index {
            start,
            lines: scan.lines,
            body: Span::new(body_start, body_start + length),
            announced,
            fault: scan.fault,
        })
    }
}

struct Scan<'a> {
    data: &'a [u8],
    limits: &'a Limits,
    lines: Vec<Line>,
    fault: Option<(u16, &'static str)>,
}

impl Scan<'_> {
    fn note(&mut self, status: u16, why: &'static str) {
        self.fault.get_or_insert((status, why));
    }

    fn take(&mut self, from: usize, to: usize) {
        let text = self.data.get(from..to).unwrap_or_default();
        if text.starts_with(b" ") || text.starts_with(b"\t") {
            self.continue_line(to);
        } else if self.lines.len() >= self.limits.max_headers {
            self.note(513, "too many header lines");
        } else {
            match scan_line(self.data, from, to) {
                Some(line) => self.lines.push(line),
                None => self.note(400, "malformed header line"),
            }
        }
        if self
            .lines
            .last()
            .is_some_and(|line| line.value.len() > self.limits.max_header_bytes)
        {
            self.note(513, "header line too long");
        }
    }

    /// RFC 3261 §7.3.1: a line that begins with white space belongs to the one before.
    fn continue_line(&mut self, to: usize) {
        // Where lines were left out for their number, nothing is wrong with this one: the fault is noted already.
        match self.lines.last_mut() {
            Some(line) if self.fault.is_none() => {
                let whole = Span {
                    start: line.value.start,
                    end: Span::new(to, to).end,
                };
                line.value = whole.trimmed(self.data);
                line.folded = true;
            }
            _ => self.note(400, "the first header line is a continuation"),
        }
    }
}

/// `name HCOLON value`.
fn scan_line(data: &[u8], from: usize, to: usize) -> Option<Line> {
    let colon = from + data.get(from..to)?.iter().position(|byte| *byte == b':')?;
    let name = Span::new(from, colon).trimmed(data);
    let text = name.of(data);
    let id = Name::of_bytes(text);
    if id.is_none() && !std::str::from_utf8(text).is_ok_and(crate::header::is_token) {
        return None;
    }
    let value = Span::new(colon + 1, to).trimmed(data);
    // A CR on its own is read, and copied into an answer, as the white space that a fold is.
    let folded = value.of(data).contains(&b'\r');
    // An empty value begins at the line's end, so that a continuation reaches no further back.
    Some(Line { name, value, id, folded })
}

/// The lines of a head, from a start line on up to the blank line, which is passed over.
pub(crate) struct HeadLines<'a> {
    data: &'a [u8],
    /// Where the next line begins; after the last one, where the body does.
    at: usize,
    done: bool,
    fault: Option<&'static str>,
}

/// Walk the lines of a head.
pub(crate) fn head_lines(data: &[u8], at: usize) -> HeadLines<'_> {
    HeadLines {
        data,
        at,
        done: false,
        fault: None,
    }
}

impl Iterator for HeadLines<'_> {
    type Item = (usize, usize);

    fn next(&mut self) -> Option<(usize, usize)> {
        // A head that ends at the end of the datagram, after a whole line, is taken for complete.
        if self.done || self.at >= self.data.len() {
            return None;
        }
        let from = self.at;
        let rest = self.data.get(from..)?;
        let Some(length) = rest.iter().position(|byte| *byte == b'\n') else {
            self.at = self.data.len();
            self.fault.get_or_insert("the head is cut off");
            return Some((from, self.data.len()));
        };
        self.at = from + length + 1;
        let line = rest.get(..length)?;
        let line = line.strip_suffix(b"\r").unwrap_or_else(|| {
            self.fault.get_or_insert("a line ends without CR");
            line
        });
        if line.is_empty() {
            self.done = true;
            return None;
        }
        if line.contains(&b'\r') {
            self.fault.get_or_insert("CR within a line");
        }
        if has_bare_nul(line) {
            // What is copied from such a line could not be sent.
            self.fault.get_or_insert("NUL within a line");
        }
        Some((from, from + line.len()))
    }
}

/// Whether the line is a request line or a status line, and where its parts are (RFC 3261 §7.1, §7.2).
fn scan_start(data: &[u8], from: usize, to: usize) -> Result<Start, ParseError> {
    let line = data.get(from..to).unwrap_or_default();
    let first = line.iter().position(|byte| *byte == b' ');
    if line.get(..4).is_some_and(|head| head.eq_ignore_ascii_case(b"SIP/")) {
        return scan_status_line(line, from, to).ok_or_else(|| ParseError::new(0, "status line: malformed"));
    }
    let last = line.iter().rposition(|byte| *byte == b' ');
    match (first, last) {
        (Some(first), Some(last)) if first < last && first > 0 => Ok(Start::Request {
            method: Span::new(from, from + first),
            uri: Span::new(from + first + 1, from + last),
            version: Span::new(from + last + 1, to),
        }),
        _ => Err(ParseError::malformed("request line", "no method, URI and version")),
    }
}

fn scan_status_line(line: &[u8], from: usize, to: usize) -> Option<Start> {
    let space = line.iter().position(|byte| *byte == b' ')?;
    let digits = line.get(space + 1..space + 4)?;
    // The space before an empty reason phrase is often left out.
    if line.get(space + 4).is_some_and(|byte| *byte != b' ') || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let status = digits.iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    let reason = Span::new((from + space + 5).min(to), to);
    (100..700).contains(&status).then_some(Start::Response {
        version: Span::new(from, from + space),
        status,
        reason,
    })
}

/// What the Content-Length lines say together: they must agree (RFC 4475 §3.3.9).
pub(crate) fn content_length<'a>(values: impl Iterator<Item = &'a [u8]>) -> Result<Option<usize>, ParseError> {
    let malformed = |why| ParseError::malformed("Content-Length", why);
    let mut known = None;
    for value in values {
        let digits = value.trim_ascii();
        if digits.is_empty() || digits.len() > 10 || !digits.iter().all(u8::is_ascii_digit) {
            return Err(malformed("no number"));
        }
        let length = digits.iter().fold(0_u64, |sum, digit| sum * 10 + u64::from(digit - b'0'));
        let length = usize::try_from(length).map_err(|_| malformed("too large"))?;
        if known.is_some_and(|known| known != length) {
            return Err(malformed("two that differ"));
        }
        known = Some(length);
    }
    Ok(known)
}

/// A value without folds: each, with the white space around it, becomes one space.
pub(super) fn unfold(value: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::with_capacity(value.len());
    let mut in_fold = false;
    for byte in value {
        match byte {
            b'\r' | b'\n' if !in_fold => {
                while out.last().is_some_and(|last| matches!(last, b' ' | b'\t')) {
                    out.pop();
                }
                out.push(b' ');
                in_fold = true;
            }
            b'\r' | b'\n' | b' ' | b'\t' if in_fold => {}
            _ => {
                in_fold = false;
                out.push(*byte);
            }
        }
    }
    out
}
