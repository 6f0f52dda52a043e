//! SDES: `a=crypto` lines, the keys that they carry, and keys of our own (RFC 4568, RFC 6188, RFC 7714).
//!
//! A line is read into a [`Crypto`] where we can do all that it demands; any other line is as if it were not there (§6.3, §7.1.2). `describer`
//! decides which one is answered. Key bytes leave through [`Key::expose`] alone, which the media side is given; nothing prints them.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::description::{Line, Media, attributes, decimal};

/// The most `a=crypto` lines of one media line that are read.
pub const MAX_CRYPTO: usize = 32;
/// A longer one is not read.
const MAX_VALUE: usize = 512;
/// The longest key with its salt.
const MAX_KEY: usize = 46;
/// What Debug and logs show of a line that carries a key.
const REDACTED: &str = "crypto:…";

/// A cryptographic suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Suite {
    name: &'static str,
    /// Bytes of master key and salt.
    length: usize,
}

/// What we can, the strongest first; tags of 32 bits come after those of 80.
pub const SUITES: [Suite; 6] = [
    Suite {
        name: "AEAD_AES_256_GCM",
        length: 44,
    },
    Suite {
        name: "AEAD_AES_128_GCM",
        length: 28,
    },
    Suite {
        name: "AES_256_CM_HMAC_SHA1_80",
        length: 46,
    },
    Suite {
        name: "AES_CM_128_HMAC_SHA1_80",
        length: 30,
    },
    Suite {
        name: "AES_256_CM_HMAC_SHA1_32",
        length: 46,
    },
    Suite {
        name: "AES_CM_128_HMAC_SHA1_32",
        length: 30,
    },
];

impl Suite {
    /// The suite of that name (RFC 4568 §9.1: suites are compared by case).
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        SUITES.into_iter().find(|suite| suite.name == name)
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.name
    }
}

/// A master key with its salt. Wiped when dropped, printed by nothing, compared in constant time.
#[derive(Clone)]
pub struct Key {
    bytes: Zeroizing<[u8; MAX_KEY]>,
    length: usize,
}

impl Key {
    fn new(bytes: &[u8]) -> Option<Self> {
        let mut kept = Zeroizing::new([0; MAX_KEY]);
        kept.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(Key {
            bytes: kept,
            length: bytes.len(),
        })
    }

    /// The key and, right after it, the salt: for whoever enciphers, and for nobody else.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        bool::from(self.expose().ct_eq(other.expose()))
    }
}

impl Eq for Key {}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Key(…)")
    }
}

/// One `a=crypto` line: what its writer sends with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crypto {
    /// Ties an answer to the line of the offer that it takes.
    pub tag: u32,
    /// The suite.
    pub suite: Suite,
    /// The writer's key.
    pub key: Key,
}

impl Crypto {
    /// Read the value of an `a=crypto` attribute; `None` for one that is malformed, of a suite that we lack, or that demands what we do not do:
    /// several keys or a master key identifier, and session parameters that change the protection (RFC 4568 §6.1, §6.3).
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        if value.len() > MAX_VALUE {
            return None;
        }
        let mut fields = value.split_ascii_whitespace();
        let tag = fields.next().filter(|text| text.len() <= 9).and_then(decimal)?;
        let suite = Suite::named(fields.next()?)?;
        let key = fields.next()?.strip_prefix("inline:")?;
        let (key, lifetime) = key.split_once('|').map_or((key, None), |(key, rest)| (key, Some(rest)));
        // Whoever sends renews his key in time; what we count is what we send ourselves.
        let harmless = lifetime.is_none_or(is_lifetime) && fields.all(is_harmless);
        let bytes = decode(key).filter(|bytes| bytes.len() == suite.length && harmless)?;
        Some(Crypto {
            tag,
            suite,
            key: Key::new(&bytes)?,
        })
    }

    /// The line of a description.
    #[must_use]
    pub fn line(&self) -> Line {
        let key = encode(self.key.expose());
        Line::new('a', format!("crypto:{} {} inline:{}", self.tag, self.suite.name, key.as_str()))
    }
}

/// The usable `a=crypto` lines of a media line, in their order.
pub(super) fn cryptos(media: &Media) -> Vec<Crypto> {
    let values = attributes(&media.lines).filter(|(name, _)| *name == "crypto");
    values.take(MAX_CRYPTO).filter_map(|(_, value)| Crypto::parse(value)).collect()
}

/// Of their lines the one that we like best.
pub(super) fn best<'a>(theirs: &'a [Crypto], ours: &[Suite]) -> Option<&'a Crypto> {
    ours.iter().find_map(|suite| theirs.iter().find(|crypto| crypto.suite == *suite))
}

/// A line's text as logs may show it.
pub(super) fn shown(line: &Line) -> &str {
    if line.kind == 'a' && line.value.starts_with("crypto:") {
        REDACTED
    } else {
        &line.value
    }
}

/// RFC 4568 §6.1: `2^20`, or a number of packets; a master key identifier would stand behind another bar, or in its place.
fn is_lifetime(text: &str) -> bool {
    let number = text.strip_prefix("2^").unwrap_or(text);
    decimal::<u64>(number).is_some_and(|number| number > 0)
}

/// Session parameters that leave the packets as they are (RFC 4568 §6.3): what the sender promises of its window, no derivation rate, and
/// what its writer lets us ignore.
fn is_harmless(parameter: &str) -> bool {
    match parameter.split_once('=') {
        Some(("WSH", size)) => decimal::<u32>(size).is_some_and(|size| size >= 64),
        Some(("KDR", rate)) => rate == "0",
        _ => parameter.starts_with('-'),
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base64 (RFC 4648 §4).
fn encode(bytes: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(bytes.len().div_ceil(3) * 4));
    for chunk in bytes.chunks(3) {
        let byte = |place: usize| u32::from(chunk.get(place).copied().unwrap_or(0));
        let group = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let digit = ALPHABET.get((group >> (18 - 6 * place) & 63) as usize);
            let digit = digit.filter(|_| place <= chunk.len()).map_or('=', |digit| char::from(*digit));
            text.push(digit);
        }
    }
    text
}

/// The same back; padding may be missing, as some phones have it.
fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let text = text.trim_end_matches('=').as_bytes();
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    for chunk in text.chunks(4) {
        let mut group = 0_u32;
        for digit in chunk {
            let value = ALPHABET.iter().position(|known| known == digit)?;
            group = group << 6 | u32::try_from(value).ok()?;
        }
        let whole = chunk.len().checked_sub(1).filter(|whole| *whole > 0)?;
        group <<= 6 * (4 - chunk.len());
        bytes.extend(group.to_be_bytes().iter().skip(1).take(whole));
    }
    Some(bytes)
}

/// Where our own keys come from: a secret of the leg, stretched by HMAC-SHA256, each value once.
#[derive(Clone)]
pub(super) struct Keyring {
    secret: Zeroizing<[u8; 32]>,
    made: u64,
}

impl Keyring {
    pub(super) const fn new(secret: Zeroizing<[u8; 32]>) -> Self {
        Keyring { secret, made: 0 }
    }

    /// A fresh key for that suite.
    pub(super) fn make(&mut self, suite: Suite) -> Option<Key> {
        let mut bytes = Zeroizing::new([0_u8; MAX_KEY]);
        for block in bytes.chunks_mut(32) {
            self.made += 1;
            let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.as_slice()).ok()?;
            mac.update(b"trunkline SRTP master key");
            mac.update(&self.made.to_be_bytes());
            for (to, from) in block.iter_mut().zip(mac.finalize().into_bytes()) {
                *to = from;
            }
        }
        Key::new(bytes.get(..suite.length)?)
    }

    /// A line for each suite, with fresh keys.
    pub(super) fn offer(&mut self, suites: &[Suite]) -> Vec<Crypto> {
        let line = |(tag, suite): (u32, &Suite)| {
            let key = self.make(*suite)?;
            Some(Crypto { tag, suite: *suite, key })
        };
        (1..).zip(suites).filter_map(line).collect()
    }

    /// The same lines with fresh keys.
    pub(super) fn renew(&mut self, lines: &[Crypto]) -> Vec<Crypto> {
        let fresh = |line: &Crypto| {
            let key = self.make(line.suite)?;
            Some(Crypto { key, ..line.clone() })
        };
        lines.iter().filter_map(fresh).collect()
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Keyring(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4568 §4.
    const EXAMPLE: &str = "1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20";

    #[test]
    fn test_the_example_of_rfc_4568_is_read() {
        let crypto = Crypto::parse(EXAMPLE).unwrap();
        assert_eq!((crypto.tag, crypto.suite.name()), (1, "AES_CM_128_HMAC_SHA1_80"));
        assert_eq!(crypto.key.expose(), b"YS___semctl () {\t220;}\n}\nunles");
        assert_eq!(
            crypto.line().value,
            "crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"
        );
    }

    #[test]
    fn test_a_line_that_demands_what_we_do_not_do_is_skipped() {
        for change in [
            "|2^20|1:4",
            "|1:4",
            "|0",
            "|2^x",
            "|2^20;inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20|2:4",
            " KDR=1",
            " UNENCRYPTED_SRTP",
            " UNENCRYPTED_SRTCP",
            " UNAUTHENTICATED_SRTP",
            " FEC_ORDER=FEC_SRTP",
            " WSH=63",
            " NEW=1",
            "AAAA",
        ] {
            let base = EXAMPLE.strip_suffix("|2^20").unwrap();
            assert_eq!(Crypto::parse(&format!("{base}{change}")), None, "{change}");
        }
        for value in [
            "",
            "1",
            "1 AES_CM_128_HMAC_SHA1_80",
            "x AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz",
            "1234567890 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz",
            "1 F8_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz",
            "1 AES_256_CM_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz",
            "1 AES_CM_128_HMAC_SHA1_80 WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz",
            "1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGV_",
        ] {
            assert_eq!(Crypto::parse(value), None, "{value}");
        }
    }

    #[test]
    fn test_parameters_that_change_no_packet_are_taken() {
        for change in ["", "|2^31", "|1048576", "|2^20 WSH=128", " KDR=0", " -EXTRA=1 WSH=64"] {
            let base = EXAMPLE.strip_suffix("|2^20").unwrap();
            assert!(Crypto::parse(&format!("{base}{change}")).is_some(), "{change}");
        }
    }

    #[test]
    fn test_every_suite_is_written_and_read_with_a_key_of_its_own() {
        let mut ring = Keyring::new(Zeroizing::new([7; 32]));
        let lines = ring.offer(&SUITES);
        for (number, crypto) in lines.iter().enumerate() {
            let line = crypto.line();
            assert_eq!(Crypto::parse(line.value.strip_prefix("crypto:").unwrap()).as_ref(), Some(crypto));
            assert_eq!(crypto.key.expose().len(), crypto.suite.length);
            for other in &lines[number + 1..] {
                assert_ne!(crypto.key.expose()[..16], other.key.expose()[..16]);
            }
        }
        assert_eq!(lines.len(), 6);
    }

    #[test]
    fn test_base64_is_that_of_rfc_4648_10() {
        for (plain, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(encode(plain.as_bytes()).as_str(), text);
            assert_eq!(decode(text).unwrap().as_slice(), plain.as_bytes());
            assert_eq!(decode(text.trim_end_matches('=')).unwrap().as_slice(), plain.as_bytes());
        }
        assert!(decode("Zm9vY").is_none());
    }

    #[test]
    fn test_no_key_is_printed() {
        let crypto = Crypto::parse(EXAMPLE).unwrap();
        let line = crypto.line();
        let shown = format!("{crypto:?} {line:?} {:?}", Keyring::new(Zeroizing::new([7; 32])));
        assert!(
            !shown.contains("WVNf") && !shown.contains("semctl") && !shown.contains('7'),
            "{shown}"
        );
        assert!(shown.contains("AES_CM_128_HMAC_SHA1_80"), "{shown}");
    }
}
