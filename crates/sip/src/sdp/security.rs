//! Whether a leg's audio is secure: the policy, what of an offer it takes, and the keys that stand (RFC 4568 §7).
//!
//! [`Security`] is the policy and decides on lines; [`Keeper`] keeps what a leg's own `a=crypto` lines say, so that a description that changes
//! nothing repeats them, and makes fresh keys where the other side brought a fresh one. `describer` holds one keeper.

use zeroize::Zeroizing;

use super::audio::{Audio, is_plain_audio, is_secure_audio};
use super::crypto::{Crypto, Key, Keyring, SUITES, Suite, best, cryptos};
use super::description::Media;
use super::negotiate::{MediaPlan, NegotiationError};

/// Whether audio is to be secure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// RTP/AVP alone.
    #[default]
    Never,
    /// Where the other side can.
    Offered,
    /// No audio otherwise.
    Required,
}

/// A policy, on a signalling that may or may not carry keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Security {
    /// What is wanted.
    pub policy: Policy,
    /// Keys may stand in descriptions: the signalling is secure, or the configuration allows it.
    pub keys_may_cross: bool,
    /// In our preference.
    pub suites: Vec<Suite>,
}

impl Default for Security {
    fn default() -> Self {
        Security {
            policy: Policy::Never,
            keys_may_cross: false,
            suites: SUITES.to_vec(),
        }
    }
}

/// The master keys of a leg. Seen from us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// The suite of both.
    pub suite: Suite,
    /// What they send with.
    pub receive: Key,
    /// What we send with.
    pub send: Key,
}

impl Security {
    fn secures(&self) -> bool {
        self.policy != Policy::Never && self.keys_may_cross
    }

    /// Whether anything can be agreed at all.
    pub(super) fn check(&self) -> Result<(), NegotiationError> {
        if self.policy == Policy::Required && !self.keys_may_cross {
            return Err(NegotiationError::new(
                "SRTP is required and its keys would cross signalling that is not encrypted",
            ));
        }
        Ok(())
    }

    /// The protocol of a first offer. What is only offered stands on RTP/AVP: who does not know `a=crypto` answers without it.
    pub(super) fn protocol(&self) -> &'static str {
        match self.policy {
            Policy::Required => "RTP/SAVP",
            Policy::Never | Policy::Offered => "RTP/AVP",
        }
    }

    /// The audio line that we take: a secure one before a plain one that carries keys, and that before one without.
    pub(super) fn choose(&self, offer: &[Media]) -> Option<usize> {
        let place = |takes: &dyn Fn(&Media) -> bool| offer.iter().position(|media| media.port != 0 && takes(media));
        let has_key = |media: &Media| best(&cryptos(media), &self.suites).is_some();
        let secure =
            || place(&|media| is_secure_audio(media) && has_key(media)).or_else(|| place(&|media| is_plain_audio(media) && has_key(media)));
        let plain = || place(&is_plain_audio);
        match (self.secures(), self.policy) {
            (false, _) => plain(),
            (true, Policy::Required) => secure(),
            (true, _) => secure().or_else(plain),
        }
    }

    /// Why an audio line is not taken, where the reason is its security.
    pub(super) fn why_not(&self, media: &Media) -> Option<String> {
        if self.policy == Policy::Required && is_plain_audio(media) && cryptos(media).is_empty() {
            return Some("they offer audio over plain RTP and SRTP is required".to_owned());
        }
        if self.policy == Policy::Never || !(is_secure_audio(media) || is_plain_audio(media)) {
            return None;
        }
        Some(if self.keys_may_cross {
            "they offer SRTP without a key and suite that we can use".to_owned()
        } else {
            "they offer SRTP, whose keys would cross signalling that is not encrypted".to_owned()
        })
    }

    /// The keys that their answer to our lines gives (RFC 4568 §7.1.3); `None` where it is plain RTP.
    pub(super) fn keys_answered(&self, ours: &[Crypto], media: Option<&Media>, theirs: &Audio) -> Result<Option<Keys>, NegotiationError> {
        let taken = theirs.cryptos.iter().find_map(|their| {
            let our = ours.iter().find(|our| our.tag == their.tag && our.suite == their.suite)?;
            Some((our, their))
        });
        match taken {
            Some((our, their)) => keys(their, &our.key).map(Some),
            None if !ours.is_empty() && media.is_some_and(is_secure_audio) => {
                Err(NegotiationError::new("they answer with SRTP and take no key that we offered"))
            }
            None if self.policy == Policy::Required => Err(NegotiationError::new("they answer with plain RTP and SRTP is required")),
            None => Ok(None),
        }
    }
}

fn keys(theirs: &Crypto, send: &Key) -> Result<Keys, NegotiationError> {
    // Two streams under one key: what both sides say could be read off their difference.
    if theirs.key == *send {
        return Err(NegotiationError::new("they send with our own SRTP key"));
    }
    Ok(Keys {
        suite: theirs.suite,
        receive: theirs.key.clone(),
        send: send.clone(),
    })
}

/// What a leg keeps of its keys.
#[derive(Clone, Debug)]
pub(super) struct Keeper {
    pub(super) security: Security,
    ring: Keyring,
    /// Our `a=crypto` lines that stand; they are kept while a fax takes the place of the audio.
    ours: Vec<Crypto>,
    keys: Option<Keys>,
    /// The next offer brings fresh keys.
    pub(super) renew: bool,
}

impl Default for Keeper {
    /// Secures nothing, so that its secret is never used.
    fn default() -> Self {
        Keeper::new(Security::default(), Zeroizing::new([0; 32]))
    }
}

impl Keeper {
    pub(super) const fn new(security: Security, secret: Zeroizing<[u8; 32]>) -> Self {
        Keeper {
            security,
            ring: Keyring::new(secret),
            ours: Vec::new(),
            keys: None,
            renew: false,
        }
    }

    pub(super) fn reseed(&mut self, secret: Zeroizing<[u8; 32]>) {
        self.ring = Keyring::new(secret);
    }

    /// The `a=crypto` lines of an offer: those that stand, or fresh ones; none where plain RTP stands or is all we may.
    pub(super) fn to_offer(&mut self, stands: Option<&MediaPlan>) -> Vec<Crypto> {
        if !self.security.secures() {
            return Vec::new();
        }
        if !self.ours.is_empty() {
            return if self.renew {
                self.ring.renew(&self.ours)
            } else {
                self.ours.clone()
            };
        }
        let plain = stands.is_some_and(|plan| !plan.receive_codecs.is_empty());
        if plain && self.security.policy == Policy::Offered {
            return Vec::new();
        }
        self.ring.offer(&self.security.suites)
    }

    /// Our line for an answer to theirs, written into `media`, and the keys that stand with it: ours is kept as long as theirs is (RFC 4568
    /// §7.1.4), so that its roll-over counter goes on; with a fresh one of theirs comes a fresh one of ours.
    pub(super) fn answer(&mut self, theirs: &Audio, media: Option<&mut Media>) -> Result<Option<(Crypto, Keys)>, NegotiationError> {
        let Some(chosen) = best(&theirs.cryptos, &self.security.suites).filter(|_| self.security.secures()) else {
            return Ok(None);
        };
        let standing = self
            .keys
            .as_ref()
            .filter(|keys| keys.receive == chosen.key && keys.suite == chosen.suite);
        let key = match standing {
            Some(keys) => keys.send.clone(),
            None => self
                .ring
                .make(chosen.suite)
                .ok_or_else(|| NegotiationError::new("no key for their suite"))?,
        };
        let crypto = Crypto {
            tag: chosen.tag,
            suite: chosen.suite,
            key,
        };
        if let Some(media) = media {
            media.lines.push(crypto.line());
        }
        let keys = keys(chosen, &crypto.key)?;
        Ok(Some((crypto, keys)))
    }

    /// A description stands, with these lines of ours.
    pub(super) fn stand(&mut self, plan: &MediaPlan, ours: &[Crypto]) {
        if plan.fax.is_some() {
            return;
        }
        self.renew = false;
        let before = std::mem::replace(&mut self.keys, plan.keys.clone());
        self.ours = if plan.keys.is_some() { ours.to_vec() } else { Vec::new() };
        // The leg forgets the indices of a key that is no longer in use: it must not come back.
        if let Some(before) = before
            && self.keys.as_ref().is_some_and(|keys| keys.send != before.send)
        {
            self.ours.retain(|crypto| crypto.key != before.send);
        }
    }
}

#[cfg(test)]
mod tests;
