//! Header parameters: `;name`, `;name=token`, `;name="quoted string"` (RFC 3261 §25.1 `generic-param`).
//!
//! [`scan`] walks them without allocating, for `message`'s checks and its tag readers; [`Params`] owns them.

use std::borrow::Cow;
use std::fmt;

use super::address::quote;
use super::text::{is_token, is_token_byte, quoted_length, trim, unquote};
use crate::message::ParseError;

/// More parameters in one value are refused.
const MAX_PARAMS: usize = 64;

/// Header parameters in order, names as written; names match without case.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Params(Vec<(String, Option<String>)>);

/// A parameter as it stands in the text: name, and the value with its quotes.
type Raw<'a> = (&'a str, Option<&'a str>);

/// Walk `;a=b;c` (empty text is no parameters). After an error nothing follows.
pub(crate) fn scan(text: &str) -> impl Iterator<Item = Result<Raw<'_>, ParseError>> {
    let mut rest = trim(text);
    let mut count = 0;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        count += 1;
        match if count > MAX_PARAMS { None } else { next(rest) } {
            Some((raw, after)) => {
                rest = after;
                Some(Ok(raw))
            }
            None => {
                rest = "";
                Some(Err(ParseError::malformed(
                    "parameters",
                    if count > MAX_PARAMS { "too many" } else { "malformed" },
                )))
            }
        }
    })
}

/// The parameter that `text` begins with, semicolon first, and what follows it.
fn next(text: &str) -> Option<(Raw<'_>, &str)> {
    let text = trim(text.strip_prefix(';')?);
    let name_end = text.bytes().position(|byte| matches!(byte, b'=' | b';')).unwrap_or(text.len());
    let name = trim(text.get(..name_end)?);
    if !is_token(name) {
        return None;
    }
    let Some(after) = text.get(name_end..)?.strip_prefix('=') else {
        return Some(((name, None), text.get(name_end..)?));
    };
    let after = trim(after);
    if let Some(length) = quoted_length(after) {
        let rest = trim(after.get(length..)?);
        let well = rest.is_empty() || rest.starts_with(';');
        return well.then_some(((name, Some(after.get(..length)?)), rest));
    }
    let value_end = after.find(';').unwrap_or(after.len());
    let value = trim(after.get(..value_end)?);
    is_value(value).then_some(((name, Some(value)), after.get(value_end..)?))
}

/// A token or host; also what is neither but does no harm, as the `/` or `@` that some peers leave unquoted.
fn is_value(value: &str) -> bool {
    !value.is_empty()
        && value
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b',' | b'\\'))
}

/// The value of the first parameter of that name as it stands in the text, `Some("")` without value; text after an error is not looked at.
pub(crate) fn find_raw<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut raws = scan(text).map_while(Result::ok);
    raws.find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.unwrap_or_default())
}

impl Params {
    /// Parameters out of names and values that are not quoted.
    ///
    /// # Errors
    ///
    /// 400 when a name is no token or a value has a control character.
    pub fn new(pairs: &[(&str, Option<&str>)]) -> Result<Params, ParseError> {
        let fits = |(name, value): &(&str, Option<&str>)| is_token(name) && !value.unwrap_or_default().contains(['\r', '\n', '\0']);
        if pairs.len() > MAX_PARAMS || !pairs.iter().all(fits) {
            return Err(ParseError::malformed("parameters", "malformed"));
        }
        Ok(Params(
            pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned)))
                .collect(),
        ))
    }

    /// Read `;a=b;c`; empty text is no parameters.
    ///
    /// # Errors
    ///
    /// 400 when it is malformed or has too many.
    pub fn parse(text: &str) -> Result<Params, ParseError> {
        let own = |(name, value): Raw<'_>| {
            let value = value.map(|value| if value.starts_with('"') { unquote(value) } else { value.to_owned() });
            (name.to_owned(), value)
        };
        scan(text).map(|raw| raw.map(own)).collect::<Result<_, _>>().map(Params)
    }

    /// Names and values in order; values without their quotes.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_deref()))
    }

    /// The value of a parameter: empty for one without value, `None` when absent.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.unwrap_or_default())
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A value as it may stand after `=`: quoted unless it is a token or a host.
fn presentable(value: &str) -> Cow<'_, str> {
    let plain = |byte: u8| is_token_byte(byte) || matches!(byte, b':' | b'[' | b']');
    if !value.is_empty() && value.bytes().all(plain) {
        Cow::Borrowed(value)
    } else {
        Cow::Owned(quote(value))
    }
}

impl fmt::Display for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in self.iter() {
            write!(f, ";{name}")?;
            if let Some(value) = value {
                write!(f, "={}", presentable(value))?;
            }
        }
        Ok(())
    }
}
