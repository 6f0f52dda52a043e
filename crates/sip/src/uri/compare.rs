//! When two URIs are the same: RFC 3261 §19.1.4, RFC 3966 §4, and a hash that agrees.
//!
//! By §19.1.4 a parameter that only one of two URIs has is ignored unless it is one of `DECIDING`, so that the relation is not transitive
//! (`;a=1` ~ nothing ~ `;a=2`); the hash covers only what must be equal on both sides.

use std::hash::{Hash, Hasher};
use std::net::Ipv6Addr;

use super::escape::{RESERVED, bytes};
use super::{Kind, Uri};

/// Parameters that one URI must not have alone. §19.1.4 names the first four; `transport` follows from its examples.
const DECIDING: [&str; 5] = ["user", "ttl", "method", "maddr", "transport"];
/// What RFC 3966 §3 lets stand between digits.
const VISUAL_SEPARATORS: [char; 4] = ['-', '.', '(', ')'];

/// A byte in a form in which equal escaped texts are equal: escapes of `reserved` and of `%` stay apart from the characters themselves.
type Folded = (u8, bool);

fn folded(text: &str, fold_case: bool) -> impl Iterator<Item = Folded> {
    bytes(text).map(move |(byte, escaped)| {
        let byte = if fold_case { byte.to_ascii_lowercase() } else { byte };
        (byte, escaped && (byte == b'%' || RESERVED.contains(&byte)))
    })
}

fn same(a: &str, b: &str, fold_case: bool) -> bool {
    folded(a, fold_case).eq(folded(b, fold_case))
}

fn same_optional(a: Option<&str>, b: Option<&str>, fold_case: bool) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => same(a, b, fold_case),
        (None, None) => true,
        _ => false,
    }
}

fn hash_text<H: Hasher>(text: Option<&str>, fold_case: bool, state: &mut H) {
    text.is_some().hash(state);
    for unit in folded(text.unwrap_or_default(), fold_case) {
        unit.hash(state);
    }
    // The end, so that two neighbouring texts cannot be shifted into each other.
    0xffff_u16.hash(state);
}

fn number_digits(text: &str) -> impl Iterator<Item = char> {
    text.chars()
        .filter(|letter| !VISUAL_SEPARATORS.contains(letter))
        .map(|letter| letter.to_ascii_lowercase())
}

/// The value of the first parameter of that name, escapes as written; `Some("")` without value.
fn find<'a>(mut pairs: impl Iterator<Item = (&'a str, Option<&'a str>)>, name: &str) -> Option<&'a str> {
    pairs
        .find(|(key, _)| same(key, name, true))
        .map(|(_, value)| value.unwrap_or_default())
}

impl Uri {
    fn part(&self, span: Option<super::Span>) -> Option<&str> {
        span.map(|span| span.of(&self.text))
    }

    fn host_key(&self) -> Result<Ipv6Addr, &str> {
        self.host().parse().map_err(|_| self.host())
    }

    fn same_sip(&self, other: &Uri) -> bool {
        same_optional(self.part(self.index.user), other.part(other.index.user), false)
            && same_optional(self.part(self.index.password), other.part(other.index.password), false)
            && self.port() == other.port()
            && self.host_key() == other.host_key()
            && self.params_agree_with(other)
            && other.params_agree_with(self)
            && self.headers_are_in(other)
            && other.headers_are_in(self)
    }

    /// Each of our parameters has the same value there, or is absent there and decides nothing.
    fn params_agree_with(&self, other: &Uri) -> bool {
        self.raw_params()
            .all(|(name, _)| match (find(self.raw_params(), name), find(other.raw_params(), name)) {
                (Some(ours), Some(theirs)) => same(ours, theirs, true),
                _ => !DECIDING.iter().any(|deciding| same(name, deciding, true)),
            })
    }

    /// §19.1.4: header components are never ignored. Their order is.
    fn headers_are_in(&self, other: &Uri) -> bool {
        self.raw_headers().count() == other.raw_headers().count()
            && self.raw_headers().all(|(name, value)| {
                let alike = |(key, there): (&str, Option<&str>)| same(key, name, true) && same_optional(there, value, false);
                other.raw_headers().any(alike)
            })
    }

    /// RFC 3966 §4: the digits without separators, and every parameter on both sides.
    fn same_tel(&self, other: &Uri) -> bool {
        let number = |uri: &Uri| number_digits(uri.part(uri.index.user).unwrap_or_default()).collect::<String>();
        number(self) == number(other) && self.tel_params_are_in(other) && other.tel_params_are_in(self)
    }

    fn tel_params_are_in(&self, other: &Uri) -> bool {
        self.raw_params().all(|(name, _)| {
            let (Some(ours), Some(theirs)) = (find(self.raw_params(), name), find(other.raw_params(), name)) else {
                return false;
            };
            let is_number = same(name, "ext", true) || (same(name, "phone-context", true) && ours.starts_with('+'));
            if is_number {
                number_digits(ours).eq(number_digits(theirs))
            } else {
                same(ours, theirs, true)
            }
        })
    }
}

impl PartialEq for Uri {
    fn eq(&self, other: &Uri) -> bool {
        if self.index.kind != other.index.kind || self.scheme() != other.scheme() {
            return false;
        }
        match self.index.kind {
            Kind::Sip => self.same_sip(other),
            Kind::Tel => self.same_tel(other),
            Kind::Star | Kind::Other => self.text == other.text,
        }
    }
}

impl Eq for Uri {}

impl Hash for Uri {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.scheme().hash(state);
        match self.index.kind {
            Kind::Sip => {
                hash_text(self.part(self.index.user), false, state);
                hash_text(self.part(self.index.password), false, state);
                self.host_key().hash(state);
                self.port().hash(state);
                for name in DECIDING {
                    hash_text(find(self.raw_params(), name), true, state);
                }
                self.raw_headers().count().hash(state);
            }
            Kind::Tel => number_digits(self.part(self.index.user).unwrap_or_default()).for_each(|digit| digit.hash(state)),
            Kind::Star | Kind::Other => self.text.hash(state),
        }
    }
}
