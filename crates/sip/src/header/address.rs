//! A display name, a URI and parameters: From, To, Contact, Route, Record-Route, Refer-To, P-Asserted-Identity … (RFC 3261 §20.10, §20.20).

use std::fmt;

use super::params::{Params, scan as scan_params};
use super::text::{is_lws, is_token, quoted_length, trim, unquote};
use crate::message::ParseError;
use crate::uri::{Index, Uri};

/// One value of From, To, Contact, Route and the like.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NameAddr {
    /// The display name without quotes and escapes.
    pub display_name: Option<String>,
    /// The URI.
    pub uri: Uri,
    /// Header parameters.
    pub params: Params,
}

/// The parts of a value, still as they stand in the text.
pub(crate) struct AddressScan<'a> {
    /// With its quotes.
    display_name: Option<&'a str>,
    pub(crate) uri: &'a str,
    pub(crate) params: &'a str,
}

fn bad(why: &str) -> ParseError {
    ParseError::malformed("address", why)
}

impl<'a> AddressScan<'a> {
    /// Find the parts; URI and parameters are not looked into yet.
    pub(crate) fn new(text: &'a str) -> Result<AddressScan<'a>, ParseError> {
        let text = trim(text);
        let (display_name, rest) = match quoted_length(text) {
            Some(length) => (text.get(..length), trim(text.get(length..).unwrap_or_default())),
            None if text.starts_with('"') => return Err(bad("no closing quote")),
            None => match text.find('<') {
                Some(open) => (
                    text.get(..open).map(trim).filter(|name| !name.is_empty()),
                    text.get(open..).unwrap_or_default(),
                ),
                None => return AddressScan::bare(text),
            },
        };
        // Names that are no tokens are let pass unquoted (RFC 4475 §3.1.2.15 leaves it open); a quote in them is not.
        if display_name.is_some_and(|name| !name.starts_with('"') && name.contains(['"', '>'])) {
            return Err(bad("bad display name"));
        }
        let inner = rest.strip_prefix('<').ok_or_else(|| bad("no URI after the display name"))?;
        let (uri, params) = inner.split_once('>').ok_or_else(|| bad("no closing `>`"))?;
        Ok(AddressScan {
            display_name,
            uri,
            params: trim(params),
        })
    }

    /// RFC 3261 §20: without `<>` what follows a semicolon belongs to the header, and a URI with a comma or question mark needs them.
    fn bare(text: &'a str) -> Result<AddressScan<'a>, ParseError> {
        let end = text.find(';').unwrap_or(text.len());
        let (uri, params) = text.split_at_checked(end).unwrap_or((text, ""));
        if uri.contains([',', '?']) {
            return Err(bad("a URI with `,` or `?` needs `<>`"));
        }
        Ok(AddressScan {
            display_name: None,
            uri: trim(uri),
            params,
        })
    }

    /// Check URI and parameters without allocating.
    pub(crate) fn check(&self) -> Result<(), ParseError> {
        Index::scan(self.uri)?;
        scan_params(self.params).try_for_each(|param| param.map(|_| ()))
    }

    /// The parameter `tag` (RFC 3261 §19.3).
    pub(crate) fn tag(&self) -> Option<&'a str> {
        super::find_raw(self.params, "tag")
    }
}

impl NameAddr {
    /// Read one value.
    ///
    /// # Errors
    ///
    /// 400 when it is malformed, 414 when its URI is too long.
    pub fn parse(text: &str) -> Result<NameAddr, ParseError> {
        let scan = AddressScan::new(text)?;
        let display_name = scan
            .display_name
            .map(|name| if name.starts_with('"') { unquote(name) } else { collapse(name) });
        Ok(NameAddr {
            display_name,
            uri: Uri::parse(scan.uri)?,
            params: Params::parse(scan.params)?,
        })
    }

    /// The parameter `tag` (RFC 3261 §19.3).
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.params.get("tag")
    }

    /// The value of a header parameter: empty for one without value, `None` when absent.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.get(name)
    }
}

/// White space between the words of an unquoted name means one space.
fn collapse(name: &str) -> String {
    name.split(is_lws).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// `text` as a quoted string.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for letter in text.chars() {
        // Line breaks cannot be in a quoted string, escaped or not (RFC 3261 §25.1 `quoted-pair`).
        match letter {
            '\r' | '\n' => quoted.push(' '),
            '"' | '\\' | '\0'..='\x1f' | '\x7f' => quoted.extend(['\\', letter]),
            _ => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

impl fmt::Display for NameAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.uri.is_star() && self.display_name.is_none() {
            return write!(f, "*{}", self.params);
        }
        match self.display_name.as_deref() {
            Some(name) if is_token(name) => write!(f, "{name} ")?,
            Some(name) => write!(f, "{} ", quote(name))?,
            None => {}
        }
        write!(f, "<{}>{}", self.uri, self.params)
    }
}
