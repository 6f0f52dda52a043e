//! Cuts a byte stream into messages (RFC 3261 §18.3) and keep-alives (RFC 5626 §4.4.1).
//!
//! One [`Framer`] a connection: `endpoint` pushes what the socket gave and takes frames until there is none. What is kept is bounded by the
//! largest message and one push; an error means that the stream cannot be followed any more and must be closed.

use bytes::{Bytes, BytesMut};

use crate::header::Name;
use crate::message::{Limits, ParseError, content_length, head_lines};

/// What a stream carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A whole message.
    Message(Bytes),
    /// CRLF CRLF between messages: answer with CRLF (RFC 5626 §4.4.1).
    Ping,
}

/// Collects the bytes of one connection and cuts them.
#[derive(Debug)]
pub struct Framer {
    buffer: BytesMut,
    limits: Limits,
    /// Bytes of the buffer in which the end of the head was looked for.
    searched: usize,
    /// Once the head is whole: the length of the message.
    length: Option<usize>,
    failed: Option<ParseError>,
}

impl Framer {
    /// A framer that refuses messages beyond `limits`.
    #[must_use]
    pub fn new(limits: Limits) -> Framer {
        Framer {
            buffer: BytesMut::new(),
            limits,
            searched: 0,
            length: None,
            failed: None,
        }
    }

    /// Append what the socket gave.
    pub fn push(&mut self, data: &[u8]) {
        if self.failed.is_none() {
            self.buffer.extend_from_slice(data);
        }
    }

    /// Bytes that wait for the rest of their message.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.buffer.len()
    }

    /// The next whole message or keep-alive; `None` until more arrives.
    ///
    /// # Errors
    ///
    /// The stream cannot be followed: no readable Content-Length, or too large. Every later call says the same.
    #[allow(clippy::should_implement_trait, reason = "not an iterator: more may come after None")]
    pub fn next(&mut self) -> Result<Option<Frame>, ParseError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let outcome = self.cut();
        if let Err(error) = &outcome {
            self.failed = Some(error.clone());
            self.buffer = BytesMut::new();
        }
        outcome
    }

    fn cut(&mut self) -> Result<Option<Frame>, ParseError> {
        if self.length.is_none() {
            if let Some(frame) = self.skip_empty_lines() {
                return Ok(Some(frame));
            }
            let Some(head) = self.find_head_end() else {
                return self.check_bound(self.buffer.len()).map(|()| None);
            };
            self.check_bound(head)?;
            let length = head.saturating_add(announced(self.buffer.get(..head).unwrap_or_default())?);
            self.check_bound(length)?;
            self.length = Some(length);
        }
        match self.length {
            Some(length) if self.buffer.len() >= length => {
                self.length = None;
                self.searched = 0;
                Ok(Some(Frame::Message(self.buffer.split_to(length).freeze())))
            }
            _ => Ok(None),
        }
    }

    /// RFC 3261 §7.5: empty lines before a start line mean nothing; two at once are a ping. A single CRLF (the answer to our own ping, or
    /// half of one of theirs) stays until it is known what follows.
    fn skip_empty_lines(&mut self) -> Option<Frame> {
        if self.buffer.starts_with(b"\r\n\r\n") {
            let _ = self.buffer.split_to(4);
            self.searched = 0;
            return Some(Frame::Ping);
        }
        if self.buffer.len() > 3 && self.buffer.starts_with(b"\r\n") {
            let _ = self.buffer.split_to(2);
            self.searched = 0;
        }
        None
    }

    /// The length of the head with its blank line. What was searched is not searched again.
    fn find_head_end(&mut self) -> Option<usize> {
        let from = self.searched.saturating_sub(3);
        let found = self.buffer.get(from..)?.windows(4).position(|bytes| bytes == b"\r\n\r\n");
        self.searched = self.buffer.len();
        found.map(|at| from + at + 4)
    }

    fn check_bound(&self, length: usize) -> Result<(), ParseError> {
        if length > self.limits.max_bytes {
            Err(ParseError::new(513, "message too large"))
        } else {
            Ok(())
        }
    }
}

/// The body length that a whole head announces. RFC 3261 §18.3: on a stream Content-Length is mandatory.
fn announced(head: &[u8]) -> Result<usize, ParseError> {
    let mut values: Vec<(usize, usize)> = Vec::new();
    let mut open = false;
    for (from, to) in head_lines(head, 0).skip(1) {
        let line = head.get(from..to).unwrap_or_default();
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            if let Some(last) = values.last_mut().filter(|_| open) {
                last.1 = to;
            }
            continue;
        }
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let name = line.get(..colon).unwrap_or_default().trim_ascii();
        open = Name::of_bytes(name) == Some(Name::ContentLength);
        if open {
            values.push(((from + colon + 1).min(to), to));
        }
    }
    let values = values.iter().map(|(from, to)| head.get(*from..*to).unwrap_or_default());
    content_length(values)?.ok_or_else(|| ParseError::malformed("Content-Length", "absent on a stream"))
}

#[cfg(test)]
mod tests;
