//! Digest access authentication in both roles: challenges read and answered, credentials read and verified.
//!
//! Lines answer a provider's challenge with [`Challenge::authorize`]; the endpoint writes its own with [`challenge_value`] and reads what
//! comes back as [`Credentials`], whose password Python has verified by [`Credentials::verify`]. Algorithms MD5 and SHA-256, quality of
//! protection `auth` or none. RFC 7616, RFC 8760, RFC 3261 §22; without `qop` RFC 2069 (RFC 7616 dropped it, SIP peers did not).

use std::fmt;

use md5::Md5;
use sha2::{Digest, Sha256};

mod params;

use params::Params;

/// The longest header value that is read, in bytes.
pub const MAX_BYTES: usize = 4096;
/// The most parameters that are read.
pub const MAX_PARAMS: usize = 64;

/// Why a header value is no usable digest, or a challenge cannot be answered. Never holds a secret or the input.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// The scheme is another one.
    #[error("the authentication scheme is not Digest")]
    Scheme,
    /// Longer than [`MAX_BYTES`] or more than [`MAX_PARAMS`] parameters.
    #[error("the digest header is too long")]
    TooLong,
    /// Not `name=value, name="value"`.
    #[error("malformed digest parameters: {0}")]
    Syntax(&'static str),
    /// A parameter that must be there is not.
    #[error("the digest parameter {0} is missing")]
    Missing(&'static str),
    /// The algorithm or every quality of protection offered is unknown here.
    #[error("the challenge wants an algorithm or a quality of protection that is not supported")]
    Unsupported,
    /// What was to be put into the header or the hash cannot be.
    #[error("{0}")]
    Argument(&'static str),
}

/// A hash that digest may use (RFC 8760 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// MD5 (RFC 3261 §22.4): what every phone knows.
    Md5,
    /// SHA-256 (RFC 8760).
    Sha256,
}

impl Algorithm {
    /// The algorithm of that name, in any case; `None` when this library does not know it.
    #[must_use]
    pub fn from_token(token: &str) -> Option<Self> {
        [Algorithm::Md5, Algorithm::Sha256]
            .into_iter()
            .find(|known| known.token().eq_ignore_ascii_case(token))
    }

    /// The name in the `algorithm` parameter.
    #[must_use]
    pub const fn token(self) -> &'static str {
        match self {
            Algorithm::Md5 => "MD5",
            Algorithm::Sha256 => "SHA-256",
        }
    }

    /// How many hex digits its hash has.
    #[must_use]
    pub const fn hex_digits(self) -> usize {
        match self {
            Algorithm::Md5 => 32,
            Algorithm::Sha256 => 64,
        }
    }

    /// H of the parts, joined by colons, in lower-case hex.
    fn hash(self, parts: &[&str]) -> String {
        let text = parts.join(":");
        match self {
            Algorithm::Md5 => hex(&Md5::digest(text.as_bytes())),
            Algorithm::Sha256 => hex(&Sha256::digest(text.as_bytes())),
        }
    }

    /// Check that `ha1` is a hash of this algorithm and write it in lower case, as it goes into the next hash.
    fn normal_ha1(self, ha1: &str) -> Option<String> {
        (ha1.len() == self.hex_digits() && is_hex(ha1)).then(|| ha1.to_ascii_lowercase())
    }
}

/// H(username:realm:password) in lower-case hex (RFC 7616 §3.4.2).
#[must_use]
pub fn ha1(username: &str, realm: &str, password: &str, algorithm: Algorithm) -> String {
    algorithm.hash(&[username, realm, password])
}

/// The value of a WWW-Authenticate or Proxy-Authenticate header that offers `auth` (RFC 7616 §3.3).
#[must_use]
pub fn challenge_value(realm: &str, nonce: &str, algorithm: Algorithm, stale: bool) -> String {
    let stale = if stale { ", stale=true" } else { "" };
    format!(
        "Digest realm={}, nonce={}, algorithm={}, qop=\"auth\"{stale}",
        quote(realm),
        quote(nonce),
        algorithm.token()
    )
}

/// One WWW-Authenticate or Proxy-Authenticate value of scheme Digest (RFC 7616 §3.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    realm: String,
    nonce: String,
    algorithm: Option<String>,
    qop: Vec<String>,
    stale: bool,
    opaque: Option<String>,
}

/// What answers a challenge: whose, with what, for which request.
#[derive(Clone, Copy)]
pub struct Answer<'a> {
    /// The account's name at the challenger.
    pub username: &'a str,
    /// The password; not needed when `ha1` is given.
    pub password: Option<&'a str>,
    /// H(username:realm:password) of the challenge's algorithm, in hex; wins over the password.
    pub ha1: Option<&'a str>,
    /// The request's method.
    pub method: &'a str,
    /// The Request-URI as written.
    pub uri: &'a str,
    /// Our nonce.
    pub cnonce: &'a str,
    /// How often this nonce has been used, this time included.
    pub nonce_count: u32,
}

impl fmt::Debug for Answer<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Answer")
            .field("username", &self.username)
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

impl Challenge {
    /// Read one challenge.
    pub fn parse(text: &str) -> Result<Self, DigestError> {
        let mut params = Params::parse(text)?;
        let qop = params.take("qop").unwrap_or_default();
        Ok(Challenge {
            realm: params.require("realm")?,
            nonce: params.require("nonce")?,
            algorithm: params.take("algorithm"),
            qop: qop
                .split(',')
                .map(str::trim)
                .filter(|word| !word.is_empty())
                .map(str::to_owned)
                .collect(),
            stale: params.take("stale").is_some_and(|word| word.eq_ignore_ascii_case("true")),
            opaque: params.take("opaque"),
        })
    }

    /// The protection space.
    #[must_use]
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// The challenger's nonce.
    #[must_use]
    pub fn nonce(&self) -> &str {
        &self.nonce
    }

    /// `MD5` (also when none was named, RFC 7616 §3.3), `SHA-256`, or what was written where it is unknown.
    #[must_use]
    pub fn algorithm(&self) -> &str {
        canonical(self.algorithm.as_deref())
    }

    /// The qualities of protection offered, as written; empty for RFC 2069.
    #[must_use]
    pub fn qop(&self) -> &[String] {
        &self.qop
    }

    /// Whether only the nonce was refused: the same password is worth another try (RFC 7616 §3.3).
    #[must_use]
    pub fn stale(&self) -> bool {
        self.stale
    }

    /// What goes back unchanged.
    #[must_use]
    pub fn opaque(&self) -> Option<&str> {
        self.opaque.as_deref()
    }

    fn known_algorithm(&self) -> Option<Algorithm> {
        Algorithm::from_token(self.algorithm())
    }

    fn offers_auth(&self) -> bool {
        self.qop.iter().any(|word| word.eq_ignore_ascii_case("auth"))
    }

    /// Whether [`Challenge::authorize`] can answer: MD5 or SHA-256, and `auth` or no `qop` at all.
    #[must_use]
    pub fn supported(&self) -> bool {
        self.known_algorithm().is_some() && (self.qop.is_empty() || self.offers_auth())
    }

    /// The value of the Authorization or Proxy-Authorization header that answers (RFC 7616 §3.4).
    pub fn authorize(&self, answer: &Answer<'_>) -> Result<String, DigestError> {
        let algorithm = self
            .known_algorithm()
            .filter(|_| self.supported())
            .ok_or(DigestError::Unsupported)?;
        if [answer.username, answer.method, answer.uri, answer.cnonce]
            .iter()
            .any(|text| text.chars().any(char::is_control))
        {
            return Err(DigestError::Argument(
                "username, method, URI and cnonce must not hold control characters",
            ));
        }
        let ha1 = match (answer.ha1, answer.password) {
            (Some(ha1), _) => algorithm
                .normal_ha1(ha1)
                .ok_or(DigestError::Argument("ha1 is no hash of the challenge's algorithm"))?,
            (None, Some(password)) => ha1(answer.username, &self.realm, password, algorithm),
            (None, None) => return Err(DigestError::Argument("a password or ha1 is needed")),
        };
        let count = self.offers_auth().then(|| format!("{:08x}", answer.nonce_count));
        let protection = count.as_deref().map(|count| (count, answer.cnonce, "auth"));
        let response = response(algorithm, &ha1, &self.nonce, protection, answer.method, answer.uri);
        let mut value = format!(
            "Digest username={}, realm={}, nonce={}, uri={}, response=\"{response}\"",
            quote(answer.username),
            quote(&self.realm),
            quote(&self.nonce),
            quote(answer.uri)
        );
        if let Some(token) = &self.algorithm {
            value.push_str(&format!(", algorithm={token}"));
        }
        if let Some((count, cnonce, qop)) = protection {
            value.push_str(&format!(", cnonce={}, qop={qop}, nc={count}", quote(cnonce)));
        }
        if let Some(opaque) = &self.opaque {
            value.push_str(&format!(", opaque={}", quote(opaque)));
        }
        Ok(value)
    }
}

/// One Authorization or Proxy-Authorization value of scheme Digest (RFC 7616 §3.4).
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    username: String,
    realm: String,
    nonce: String,
    uri: String,
    response: String,
    algorithm: Option<String>,
    opaque: Option<String>,
    protection: Option<Protection>,
}

/// What comes with `qop`.
#[derive(Clone, PartialEq, Eq)]
struct Protection {
    qop: String,
    /// Eight hex digits as written: they go into the hash.
    count_text: String,
    count: u32,
    cnonce: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Credentials")
            .field("username", &self.username)
            .field("realm", &self.realm)
            .field("uri", &self.uri)
            .field("algorithm", &self.algorithm())
            .finish_non_exhaustive()
    }
}

impl Credentials {
    /// Read one set of credentials.
    pub fn parse(text: &str) -> Result<Self, DigestError> {
        let mut params = Params::parse(text)?;
        let credentials = Credentials {
            username: params.require("username")?,
            realm: params.require("realm")?,
            nonce: params.require("nonce")?,
            uri: params.require("uri")?,
            response: params.require("response")?,
            algorithm: params.take("algorithm"),
            opaque: params.take("opaque"),
            protection: Protection::take(&mut params)?,
        };
        Ok(credentials)
    }

    /// The account's name.
    #[must_use]
    pub fn username(&self) -> &str {
        &self.username
    }

    /// The protection space that they are for.
    #[must_use]
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// The nonce that they answer.
    #[must_use]
    pub fn nonce(&self) -> &str {
        &self.nonce
    }

    /// The URI that was hashed, as written; a proxy on the way may have changed the Request-URI since (RFC 3261 §22.4).
    #[must_use]
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// `MD5` (also when none was named), `SHA-256`, or what was written where it is unknown.
    #[must_use]
    pub fn algorithm(&self) -> &str {
        canonical(self.algorithm.as_deref())
    }

    /// The opaque value of the challenge, given back.
    #[must_use]
    pub fn opaque(&self) -> Option<&str> {
        self.opaque.as_deref()
    }

    /// The quality of protection, as written; `None` for RFC 2069.
    #[must_use]
    pub fn qop(&self) -> Option<&str> {
        self.protection.as_ref().map(|protection| protection.qop.as_str())
    }

    /// The use of the nonce that this is; `None` without `qop`.
    #[must_use]
    pub fn nonce_count(&self) -> Option<u32> {
        self.protection.as_ref().map(|protection| protection.count)
    }

    /// Whether the response was made with the password behind `ha1` for this method, in constant time.
    ///
    /// False as well for an unknown algorithm, a `qop` other than `auth`, and an `ha1` or response of the wrong length.
    #[must_use]
    pub fn verify(&self, ha1: &str, method: &str) -> bool {
        let Some(algorithm) = Algorithm::from_token(self.algorithm()) else {
            return false;
        };
        let Some(ha1) = algorithm.normal_ha1(ha1) else { return false };
        if self.response.len() != algorithm.hex_digits() || self.qop().is_some_and(|qop| !qop.eq_ignore_ascii_case("auth")) {
            return false;
        }
        let protection = self
            .protection
            .as_ref()
            .map(|with| (with.count_text.as_str(), with.cnonce.as_str(), with.qop.as_str()));
        let expected = response(algorithm, &ha1, &self.nonce, protection, method, &self.uri);
        same_text(&expected, &self.response.to_ascii_lowercase())
    }
}

impl Protection {
    /// RFC 7616 §3.4: with `qop` come `nc` and `cnonce`; without it neither counts.
    fn take(params: &mut Params) -> Result<Option<Self>, DigestError> {
        let Some(qop) = params.take("qop") else { return Ok(None) };
        let count_text = params.require("nc")?;
        if count_text.len() != 8 || !is_hex(&count_text) {
            return Err(DigestError::Syntax("nc is not eight hex digits"));
        }
        let count = u32::from_str_radix(&count_text, 16).map_err(|_| DigestError::Syntax("nc is not eight hex digits"))?;
        Ok(Some(Protection {
            qop,
            count_text,
            count,
            cnonce: params.require("cnonce")?,
        }))
    }
}

/// KD of RFC 7616 §3.4.1; `protection` is (nc, cnonce, qop), `None` for RFC 2069.
fn response(algorithm: Algorithm, ha1: &str, nonce: &str, protection: Option<(&str, &str, &str)>, method: &str, uri: &str) -> String {
    let ha2 = algorithm.hash(&[method, uri]);
    match protection {
        Some((count, cnonce, qop)) => algorithm.hash(&[ha1, nonce, count, cnonce, qop, &ha2]),
        None => algorithm.hash(&[ha1, nonce, &ha2]),
    }
}

fn canonical(algorithm: Option<&str>) -> &str {
    // RFC 7616 §3.3: no algorithm means MD5.
    algorithm.map_or(Algorithm::Md5.token(), |written| match Algorithm::from_token(written) {
        Some(known) => known.token(),
        None => written,
    })
}

/// Equality whose time tells nothing about where two texts of one length differ.
fn same_text(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |sum, (x, y)| sum | (x ^ y)) == 0
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        if matches!(character, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests;
