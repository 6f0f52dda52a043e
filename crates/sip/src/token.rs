//! Tokens that nobody can guess: branches, tags, Call-IDs and Contact users, out of a seeded generator.
//!
//! Every token begins with four hex digits of the node id and four of the worker id, so that an in-dialog request can be routed to its
//! process; at least 64 random bits follow. The generator is HMAC-SHA256 over a counter, keyed by the seed: equal seeds give equal tokens.
//! The endpoint mints branches and tags here, Python's `mint_*` has a minter of its own. RFC 3261 §8.1.1.7, §19.3.

use std::fmt::Write;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The magic cookie that opens a branch of RFC 3261 (§8.1.1.7).
pub const BRANCH_COOKIE: &str = "z9hG4bK";

/// A keyed MAC over several parts, each preceded by its length so that no two lists of parts are alike.
pub(crate) fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = keyed(key);
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    // A key longer than a block is hashed by HMAC itself, so that no length fails; 64 zero bytes are what an empty key is padded to.
    <Hmac<Sha256> as KeyInit>::new_from_slice(key).unwrap_or_else(|_| <Hmac<Sha256> as KeyInit>::new(&Default::default()))
}

/// Mints tokens for one node and worker.
pub struct Minter {
    key: [u8; 32],
    counter: u64,
    pool: [u8; 32],
    used: usize,
    prefix: String,
}

impl Minter {
    /// A minter whose tokens follow from `seed` and `purpose`: two purposes of one seed give unrelated tokens.
    #[must_use]
    pub fn new(seed: &[u8; 32], purpose: &str, node: u16, worker: u16) -> Self {
        let key = mac(seed, &[b"trunkline token", purpose.as_bytes()]);
        Minter {
            key,
            counter: 0,
            pool: [0; 32],
            used: 32,
            prefix: format!("{node:04x}{worker:04x}"),
        }
    }

    /// The eight hex digits that every token of this minter begins with.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Sixty-four random bits.
    pub fn random(&mut self) -> u64 {
        if self.used + 8 > self.pool.len() {
            self.pool = mac(&self.key, &[&self.counter.to_be_bytes()]);
            self.counter += 1;
            self.used = 0;
        }
        let bytes = self.pool.iter().skip(self.used).take(8);
        self.used += 8;
        bytes.fold(0, |value, byte| value << 8 | u64::from(*byte))
    }

    /// A Contact user part or parameter: node, worker, 64 random bits.
    pub fn token(&mut self) -> String {
        let random = self.random();
        format!("{}{random:016x}", self.prefix)
    }

    /// A From or To tag (RFC 3261 §19.3).
    pub fn tag(&mut self) -> String {
        self.token()
    }

    /// A Call-ID (RFC 3261 §8.1.1.4), with 128 random bits and no host: it tells nothing about us.
    pub fn call_id(&mut self) -> String {
        let mut text = self.token();
        let random = self.random();
        // Writing to a String cannot fail.
        let _ = write!(text, "{random:016x}");
        text
    }

    /// A Via branch (RFC 3261 §8.1.1.7).
    pub fn branch(&mut self) -> String {
        let random = self.random();
        format!("{BRANCH_COOKIE}{}{random:016x}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn test_tokens_carry_node_and_worker() {
        let mut minter = Minter::new(&[7; 32], "endpoint", 0x12ab, 3);
        assert!(minter.token().starts_with("12ab0003"));
        assert!(minter.tag().starts_with("12ab0003"));
        assert!(minter.call_id().starts_with("12ab0003"));
        assert!(minter.branch().starts_with("z9hG4bK12ab0003"));
        assert_eq!(minter.token().len(), 24);
    }

    #[test]
    fn test_tokens_follow_from_the_seed_and_the_purpose() {
        let take = |seed: u8, purpose: &str| {
            let mut minter = Minter::new(&[seed; 32], purpose, 0, 0);
            (0..9).map(|_| minter.token()).collect::<Vec<_>>()
        };
        assert_eq!(take(1, "a"), take(1, "a"));
        assert_ne!(take(1, "a"), take(2, "a"));
        assert_ne!(take(1, "a"), take(1, "b"));
    }

    #[test]
    fn test_no_token_comes_twice() {
        let mut minter = Minter::new(&[9; 32], "endpoint", 1, 1);
        let seen: HashSet<String> = (0..10_000).map(|_| minter.token()).collect();
        assert_eq!(seen.len(), 10_000);
    }

    #[test]
    fn test_parts_of_a_mac_cannot_be_shifted() {
        assert_ne!(mac(b"k", &[b"ab", b"c"]), mac(b"k", &[b"a", b"bc"]));
    }
}
