//! The parameters after the word `Digest`: names, tokens and quoted strings (RFC 7235 §2.1, RFC 3261 §25.1), bounded in bytes and number.
//!
//! Challenges and credentials are both read through [`Params`], each parameter taken by its name.

use super::{DigestError, MAX_BYTES, MAX_PARAMS};

/// The parameters of one header value: lower-case names, values without quotes and escapes.
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    pub(super) fn parse(text: &str) -> Result<Self, DigestError> {
        if text.len() > MAX_BYTES {
            return Err(DigestError::TooLong);
        }
        let mut scanner = Scanner { rest: text };
        if !scanner.token().eq_ignore_ascii_case("digest") || !scanner.rest.starts_with([' ', '\t', '\r', '\n']) {
            return Err(DigestError::Scheme);
        }
        let mut params = Params(Vec::new());
        loop {
            while scanner.eat(',') {}
            if scanner.rest.is_empty() {
                return Ok(params);
            }
            params.add(scanner.param()?)?;
            if !scanner.rest.is_empty() && !scanner.rest.starts_with(',') {
                return Err(DigestError::Syntax("a comma is missing between two parameters"));
            }
        }
    }

    fn add(&mut self, (name, value): (String, String)) -> Result<(), DigestError> {
        if self.0.len() == MAX_PARAMS {
            return Err(DigestError::TooLong);
        }
        if self.0.iter().any(|(known, _)| *known == name) {
            return Err(DigestError::Syntax("a parameter stands twice"));
        }
        self.0.push((name, value));
        Ok(())
    }

    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.swap_remove(at).1)
    }

    pub(super) fn require(&mut self, name: &'static str) -> Result<String, DigestError> {
        self.take(name).ok_or(DigestError::Missing(name))
    }
}

struct Scanner<'a> {
    rest: &'a str,
}

impl<'a> Scanner<'a> {
    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
    }

    /// Take `wanted` and the space around it.
    fn eat(&mut self, wanted: char) -> bool {
        self.skip_space();
        let Some(rest) = self.rest.strip_prefix(wanted) else { return false };
        self.rest = rest;
        self.skip_space();
        true
    }

    fn until(&mut self, ends: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(ends).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    fn token(&mut self) -> &'a str {
        self.skip_space();
        self.until(|character| !character.is_ascii_alphanumeric() && !"-.!%*_+`'~".contains(character))
    }

    fn param(&mut self) -> Result<(String, String), DigestError> {
        let name = self.token().to_ascii_lowercase();
        if name.is_empty() || !self.eat('=') {
            return Err(DigestError::Syntax("a parameter is not name=value"));
        }
        let value = if self.rest.starts_with('"') { self.quoted()? } else { self.bare()? };
        self.skip_space();
        Ok((name, value))
    }

    /// A token, read widely: peers leave the quotes away around a nonce with `=` or `/`.
    fn bare(&mut self) -> Result<String, DigestError> {
        let value = self.until(|character| character == ',' || character == '"' || character.is_ascii_whitespace());
        if value.is_empty() || value.chars().any(char::is_control) {
            return Err(DigestError::Syntax("a value is empty"));
        }
        Ok(value.to_owned())
    }

    /// A quoted-string (RFC 3261 §25.1); folded lines were unfolded before.
    fn quoted(&mut self) -> Result<String, DigestError> {
        let mut value = String::new();
        let mut characters = self.rest.char_indices().skip(1);
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => {
                    self.rest = self.rest.get(at + 1..).unwrap_or_default();
                    return Ok(value);
                }
                '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
                other => value.push(other),
            }
            if value.ends_with(['\r', '\n', '\0']) {
                return Err(DigestError::Syntax("a control character stands in a quoted string"));
            }
        }
        Err(DigestError::Syntax("a quoted string is not closed"))
    }
}
