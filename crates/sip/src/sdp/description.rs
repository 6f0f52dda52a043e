//! A session description as lines: parsed without losing anything, written back as it was (RFC 8866 §5, §9).
//!
//! Order and unknown lines and attributes are kept. Only what offer/answer needs is typed: `v=`, `o=` and `m=` are checked here, the rest
//! is read where it matters (`audio`). Line ends may be LF alone, text that is no UTF-8 is read with replacement characters.

use std::fmt;

use super::crypto::shown;

/// The longest description that is read, in bytes.
pub const MAX_BYTES: usize = 65_536;
/// The most `m=` lines.
pub const MAX_MEDIA: usize = 64;
/// The most formats on one `m=` line.
pub const MAX_FORMATS: usize = 128;
/// The most `a=` lines in all.
pub const MAX_ATTRIBUTES: usize = 1_000;
/// The most lines that are neither `m=` nor `a=`.
pub const MAX_OTHER_LINES: usize = 512;

/// Why bytes are no session description.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// Longer than [`MAX_BYTES`].
    #[error("the session description is longer than {MAX_BYTES} bytes")]
    TooLong,
    /// More of something than is read.
    #[error("the session description has more than {limit} {what}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How much would be read.
        limit: usize,
    },
    /// A line that is not what its type demands.
    #[error("line {line} of the session description: {what}")]
    Line {
        /// Counted from one.
        line: usize,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A line that must be there is not.
    #[error("the session description lacks {0}")]
    Missing(&'static str),
}

/// One line that is no `m=` line. Its Debug shows no key of `a=crypto`.
#[derive(Clone, PartialEq, Eq)]
pub struct Line {
    /// The letter before the equals sign.
    pub kind: char,
    /// All that follows it.
    pub value: String,
}

impl fmt::Debug for Line {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Line({}={:?})", self.kind, shown(self))
    }
}

impl Line {
    /// A line of that type.
    pub fn new(kind: char, value: impl Into<String>) -> Self {
        Line { kind, value: value.into() }
    }
}

/// An `m=` line and the lines that belong to it (RFC 8866 §5.14).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// `audio`, `video`, `image`, …
    pub kind: String,
    /// The transport port; zero refuses or ends the stream (RFC 3264 §6, §8.2).
    pub port: u16,
    /// How many ports, where a number follows after a slash.
    pub port_count: Option<u32>,
    /// `RTP/AVP`, `RTP/SAVP`, `udptl`, …
    pub protocol: String,
    /// Payload type numbers for RTP; anything else for other protocols.
    pub formats: Vec<String>,
    /// What follows up to the next `m=`.
    pub lines: Vec<Line>,
}

impl Media {
    fn parse(value: &str) -> Result<Self, &'static str> {
        let mut fields = value.split(' ').filter(|field| !field.is_empty());
        let (Some(kind), Some(port), Some(protocol)) = (fields.next(), fields.next(), fields.next()) else {
            return Err("m= needs a media type, a port and a protocol");
        };
        let (port, count) = port.split_once('/').map_or((port, None), |(port, count)| (port, Some(count)));
        let port = decimal(port).ok_or("the port is no number below 65536")?;
        let port_count = count
            .map(|text| decimal(text).ok_or("the number of ports is no number"))
            .transpose()?;
        let formats: Vec<String> = fields.take(MAX_FORMATS + 1).map(str::to_owned).collect();
        Ok(Media {
            kind: kind.to_owned(),
            port,
            port_count,
            protocol: protocol.to_owned(),
            formats,
            lines: Vec::new(),
        })
    }

    /// The same line refused or disabled: port 0, its formats kept, nothing else (RFC 3264 §6).
    #[must_use]
    pub fn refused(&self) -> Self {
        Media {
            port: 0,
            port_count: None,
            lines: Vec::new(),
            ..self.clone()
        }
    }
}

/// A parsed description; two are equal when every line is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// The lines before the first `m=`, `v=` included.
    pub session: Vec<Line>,
    /// The media, in order.
    pub media: Vec<Media>,
}

/// Who made a description, and which one it is (RFC 8866 §5.2). Numbers stay text: peers write more digits than fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin<'a> {
    /// The login name, `-` where there is none.
    pub username: &'a str,
    /// What stays over the session.
    pub session_id: &'a str,
    /// What rises with each change.
    pub version: &'a str,
    /// The address of the machine; not where media goes.
    pub address: &'a str,
}

impl<'a> Origin<'a> {
    /// Read from the right, for peers put spaces into the username.
    fn parse(value: &'a str) -> Option<Self> {
        let mut fields = value.trim_end().rsplitn(6, ' ');
        let (address, _family, _network) = (fields.next()?, fields.next()?, fields.next()?);
        let (version, session_id, username) = (fields.next()?, fields.next()?, fields.next()?);
        let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        (all_digits(version) && all_digits(session_id)).then_some(Origin {
            username,
            session_id,
            version,
            address,
        })
    }
}

impl Description {
    /// Read a body of type application/sdp.
    pub fn parse(body: &[u8]) -> Result<Self, SdpError> {
        if body.len() > MAX_BYTES {
            return Err(SdpError::TooLong);
        }
        let text = String::from_utf8_lossy(body);
        let mut reader = Reader::default();
        for (number, line) in text.split('\n').enumerate() {
            let line = line.strip_suffix('\r').unwrap_or(line);
            if !line.is_empty() {
                reader.read(number + 1, line)?;
            }
        }
        let description = reader.description;
        if description.session.is_empty() {
            return Err(SdpError::Missing("v=0"));
        }
        description.origin().ok_or(SdpError::Missing("a usable o= line"))?;
        Ok(description)
    }

    /// The `o=` line; `None` only in a description that was not parsed.
    #[must_use]
    pub fn origin(&self) -> Option<Origin<'_>> {
        Origin::parse(first(&self.session, 'o')?)
    }
}

/// The value of the first line of that type.
#[must_use]
pub fn first(lines: &[Line], kind: char) -> Option<&str> {
    lines.iter().find(|line| line.kind == kind).map(|line| line.value.as_str())
}

/// The attributes among `lines`, as name and value; `""` for a property attribute (RFC 8866 §5.13).
pub fn attributes(lines: &[Line]) -> impl Iterator<Item = (&str, &str)> {
    lines
        .iter()
        .filter(|line| line.kind == 'a')
        .map(|line| line.value.split_once(':').unwrap_or((&line.value, "")))
}

/// The first attribute of that name.
#[must_use]
pub fn attribute<'a>(lines: &'a [Line], name: &str) -> Option<&'a str> {
    attributes(lines).find(|(known, _)| *known == name).map(|(_, value)| value)
}

/// A number of decimal digits alone; `None` when it does not fit.
pub(super) fn decimal<T: std::str::FromStr>(text: &str) -> Option<T> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

struct Reader {
    description: Description,
    attributes: usize,
    others: usize,
}

impl Default for Reader {
    fn default() -> Self {
        Reader {
            description: Description {
                session: Vec::new(),
                media: Vec::new(),
            },
            attributes: 0,
            others: 0,
        }
    }
}

impl Reader {
    fn read(&mut self, line: usize, text: &str) -> Result<(), SdpError> {
        let wrong = |what| SdpError::Line { line, what };
        if text.contains(['\r', '\0']) {
            return Err(wrong("a control character stands in it"));
        }
        let (kind, value) = text.split_once('=').ok_or(wrong("it is not of the form x=value"))?;
        let mut letters = kind.chars();
        let (Some(kind), None) = (letters.next().filter(char::is_ascii_alphabetic), letters.next()) else {
            return Err(wrong("its type is not one letter"));
        };
        match (kind, self.description.session.is_empty()) {
            ('v', true) if value == "0" => self.keep(Line::new(kind, value)),
            (_, true) => Err(wrong("the first line must be v=0")),
            ('v', false) => Err(wrong("a second description begins")),
            ('m', false) => self.open(Media::parse(value).map_err(wrong)?),
            _ => self.keep(Line::new(kind, value)),
        }
    }

    fn open(&mut self, media: Media) -> Result<(), SdpError> {
        bounded(self.description.media.len() + 1, MAX_MEDIA, "media lines")?;
        bounded(media.formats.len(), MAX_FORMATS, "formats on one media line")?;
        self.description.media.push(media);
        Ok(())
    }

    fn keep(&mut self, line: Line) -> Result<(), SdpError> {
        if line.kind == 'a' {
            self.attributes += 1;
            bounded(self.attributes, MAX_ATTRIBUTES, "attributes")?;
        } else {
            self.others += 1;
            bounded(self.others, MAX_OTHER_LINES, "lines")?;
        }
        match self.description.media.last_mut() {
            Some(media) => media.lines.push(line),
            None => self.description.session.push(line),
        }
        Ok(())
    }
}

fn bounded(count: usize, limit: usize, what: &'static str) -> Result<(), SdpError> {
    if count > limit {
        Err(SdpError::TooMany { what, limit })
    } else {
        Ok(())
    }
}

impl fmt::Display for Line {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}={}\r\n", self.kind, self.value)
    }
}

impl fmt::Display for Media {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "m={} {}", self.kind, self.port)?;
        if let Some(count) = self.port_count {
            write!(out, "/{count}")?;
        }
        write!(out, " {}", self.protocol)?;
        for format in &self.formats {
            write!(out, " {format}")?;
        }
        out.write_str("\r\n")?;
        self.lines.iter().try_for_each(|line| line.fmt(out))
    }
}

impl fmt::Display for Description {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.session.iter().try_for_each(|line| line.fmt(out))?;
        self.media.iter().try_for_each(|media| media.fmt(out))
    }
}
