//! URIs out of parts: new ones, and old ones with some parts changed.

use super::escape::{HEADER, PARAM, USER, encode_into};
use super::{Kind, Uri, bad, valid_host};
use crate::message::ParseError;

/// Parameters that are not escaped yet.
pub type PlainParams<'a> = &'a [(&'a str, Option<&'a str>)];
/// Headers that are not escaped yet.
pub type PlainHeaders<'a> = &'a [(&'a str, &'a str)];

/// What [`Uri::replace`] changes; `None` keeps what stands. Nothing is escaped yet.
#[derive(Clone, Copy, Debug, Default)]
pub struct Changes<'a> {
    /// Another user part, or none (which takes the password along).
    pub user: Option<Option<&'a str>>,
    /// Another host.
    pub host: Option<&'a str>,
    /// Another port, or none.
    pub port: Option<Option<u16>>,
    /// Other parameters.
    pub params: Option<PlainParams<'a>>,
    /// Other headers.
    pub headers: Option<PlainHeaders<'a>>,
}

impl Uri {
    /// Make a URI out of parts that are not escaped yet. Schemes: `sip`, `sips`, `tel` (the number is `user`, `host` is empty), `*` (all else empty).
    ///
    /// # Errors
    ///
    /// 400 when a part cannot stand in a URI of that scheme.
    pub fn new(
        scheme: &str,
        user: Option<&str>,
        host: &str,
        port: Option<u16>,
        params: &[(&str, Option<&str>)],
        headers: &[(&str, &str)],
    ) -> Result<Uri, ParseError> {
        if scheme == "*" {
            let is_bare = user.is_none() && host.is_empty() && port.is_none() && params.is_empty() && headers.is_empty();
            return if is_bare { Ok(Uri::star()) } else { Err(bad("`*` has no parts")) };
        }
        let is_tel = scheme.eq_ignore_ascii_case("tel");
        if !is_tel && !scheme.eq_ignore_ascii_case("sip") && !scheme.eq_ignore_ascii_case("sips") {
            return Err(bad("a URI of this scheme cannot be built from parts"));
        }
        if is_tel && !(host.is_empty() && port.is_none() && headers.is_empty()) {
            return Err(bad("a tel URI has neither host, port nor headers"));
        }
        let mut text = format!("{scheme}:");
        match user {
            Some(number) if is_tel => text.push_str(number),
            Some(user) => {
                encode_into(&mut text, user, USER);
                text.push('@');
            }
            None => {}
        }
        if !is_tel {
            push_host(&mut text, host, port)?;
        }
        push_params(&mut text, params);
        push_headers(&mut text, headers);
        Uri::built(&text)
    }

    /// The same URI with some parts changed; what is not changed keeps even its spelling.
    ///
    /// # Errors
    ///
    /// 400 when a part cannot stand in a URI of this scheme.
    pub fn replace(&self, changes: &Changes<'_>) -> Result<Uri, ParseError> {
        let is_tel = self.index.kind == Kind::Tel;
        if !is_tel && self.index.kind != Kind::Sip {
            return Err(bad("a URI of this scheme has no parts"));
        }
        let mut text = format!("{}:", self.scheme());
        match changes.user {
            None => text.push_str(self.index.user.map_or("", |span| span.of(&self.text))),
            Some(user) if is_tel => text.push_str(user.unwrap_or_default()),
            Some(user) => encode_into(&mut text, user.unwrap_or_default(), USER),
        }
        if is_tel {
            if changes.host.is_some_and(|host| !host.is_empty())
                || changes.port.flatten().is_some()
                || changes.headers.is_some_and(|given| !given.is_empty())
            {
                return Err(bad("a tel URI has neither host, port nor headers"));
            }
        } else {
            self.push_rest_of_authority(&mut text, changes)?;
        }
        match changes.params {
            Some(params) => push_params(&mut text, params),
            None => push_kept(&mut text, ';', self.index.params.of(&self.text)),
        }
        match changes.headers {
            Some(headers) => push_headers(&mut text, headers),
            None => push_kept(&mut text, '?', self.index.headers.of(&self.text)),
        }
        Uri::built(&text)
    }

    /// `[:password]@host[:port]`, after the user.
    fn push_rest_of_authority(&self, text: &mut String, changes: &Changes<'_>) -> Result<(), ParseError> {
        let has_user = changes.user.map_or(self.index.user.is_some(), |user| user.is_some());
        if has_user {
            if let Some(password) = self.index.password {
                text.push(':');
                text.push_str(password.of(&self.text));
            }
            text.push('@');
        }
        push_host(text, changes.host.unwrap_or(self.host()), changes.port.unwrap_or(self.port()))
    }

    fn built(text: &str) -> Result<Uri, ParseError> {
        Uri::parse(text).map_err(|error| ParseError::new(400, error.reason))
    }
}

fn push_host(text: &mut String, host: &str, port: Option<u16>) -> Result<(), ParseError> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let is_v6 = bare.contains(':');
    if !valid_host(bare, is_v6) {
        return Err(bad("bad host or port"));
    }
    let (open, close) = if is_v6 { ("[", "]") } else { ("", "") };
    text.extend([open, bare, close]);
    if let Some(port) = port {
        text.extend([":", &port.to_string()]);
    }
    Ok(())
}

fn push_params(text: &mut String, params: PlainParams<'_>) {
    for (name, value) in params {
        text.push(';');
        encode_into(text, name, PARAM);
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            text.push('=');
            encode_into(text, value, PARAM);
        }
    }
}

fn push_headers(text: &mut String, headers: PlainHeaders<'_>) {
    for (position, (name, value)) in headers.iter().enumerate() {
        text.push(if position == 0 { '?' } else { '&' });
        encode_into(text, name, HEADER);
        text.push('=');
        encode_into(text, value, HEADER);
    }
}

fn push_kept(text: &mut String, opening: char, kept: &str) {
    if !kept.is_empty() {
        text.push(opening);
        text.push_str(kept);
    }
}
