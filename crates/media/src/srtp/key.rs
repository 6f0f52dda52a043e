//! Master keys and what is derived of them (RFC 3711 §4.3, RFC 6188 §3, RFC 7714 §11), at a key derivation rate of zero: once a stream.
//!
//! Key material is wiped when it is dropped and is shown by nothing.

use std::fmt;

use aes::{Aes128, Aes256};
use ctr::Ctr128BE;
use ctr::cipher::{KeyIvInit, StreamCipher};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::suite::{MAX_KEY, MAX_SALT, Suite};

/// What a session key is for (RFC 3711 §4.3.1, §4.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    RtpCipher = 0,
    RtpTag = 1,
    RtpSalt = 2,
    RtcpCipher = 3,
    RtcpTag = 4,
    RtcpSalt = 5,
}

/// The master key and master salt of one direction, with the suite that they are for.
#[derive(Clone)]
pub struct MasterKey {
    suite: Suite,
    bytes: Zeroizing<[u8; MAX_KEY + MAX_SALT]>,
}

impl MasterKey {
    /// The key and, right after it, the salt, as SDES carries them (RFC 4568 §6.1); `None` for another length than the suite's.
    #[must_use]
    pub fn new(suite: Suite, key_and_salt: &[u8]) -> Option<Self> {
        let length = suite.key_length() + suite.salt_length();
        let mut bytes = Zeroizing::new([0; MAX_KEY + MAX_SALT]);
        if key_and_salt.len() != length {
            return None;
        }
        bytes.get_mut(..length)?.copy_from_slice(key_and_salt);
        Some(MasterKey { suite, bytes })
    }

    /// What it is for.
    #[must_use]
    pub const fn suite(&self) -> Suite {
        self.suite
    }

    fn key(&self) -> &[u8] {
        self.bytes.get(..self.suite.key_length()).unwrap_or_default()
    }

    fn salt(&self) -> &[u8] {
        let start = self.suite.key_length();
        self.bytes.get(start..start + self.suite.salt_length()).unwrap_or_default()
    }

    /// Fill `out` with the session key of that purpose (RFC 3711 §4.3.3).
    pub(super) fn derive(&self, purpose: Purpose, out: &mut [u8]) {
        // The key id is <label, index DIV 0>: the label stands over the seventh byte of a salt of fourteen; AEAD's twelve get two zeroes
        // behind them (RFC 7714 §11). The last two bytes count blocks.
        let mut block = Zeroizing::new([0u8; 16]);
        for (place, byte) in block.iter_mut().zip(self.salt()) {
            *place = *byte;
        }
        if let Some(place) = block.get_mut(7) {
            *place ^= purpose as u8;
        }
        out.fill(0);
        if self.suite.key_length() == 16 {
            keystream::<Ctr128BE<Aes128>>(self.key(), &block, out);
        } else {
            keystream::<Ctr128BE<Aes256>>(self.key(), &block, out);
        }
    }
}

fn keystream<C: KeyIvInit + StreamCipher>(key: &[u8], block: &[u8; 16], out: &mut [u8]) {
    if let Ok(mut cipher) = C::new_from_slices(key, block) {
        cipher.apply_keystream(out);
    }
}

impl PartialEq for MasterKey {
    fn eq(&self, other: &Self) -> bool {
        self.suite == other.suite && bool::from(self.bytes.as_slice().ct_eq(other.bytes.as_slice()))
    }
}

impl Eq for MasterKey {}

impl fmt::Debug for MasterKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "MasterKey({}, …)", self.suite.name())
    }
}
