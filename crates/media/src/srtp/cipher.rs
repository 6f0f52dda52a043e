//! The two families of transforms: AES in counter mode with HMAC-SHA1 (RFC 3711 §4, RFC 6188), and AES-GCM (RFC 7714).
//!
//! A [`Cipher`] holds the session keys of RTP or of RTCP in one direction. It works in place on whole packets; which index a packet has and
//! whether it came before is the business of `index` and of the module above. A packet that is not authentic is left as it was.

use std::fmt;

use aes::{Aes128, Aes256};
use aes_gcm::aead::AeadInOut;
use aes_gcm::aead::consts::{U12, U16};
use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::{Aes128Gcm, Aes256Gcm, Nonce, Tag};
use ctr::CtrCore;
use ctr::cipher::{BlockCipherEncrypt, BlockSizeUser, InnerIvInit, StreamCipherCore};
use ctr::flavors::Ctr128BE;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::key::{MasterKey, Purpose};
use super::suite::{MAX_KEY, MAX_SALT, MAX_TAG, Suite};

/// HMAC-SHA1's session key has 160 bits (RFC 3711 §5.2).
pub(super) const TAG_KEY: usize = 20;

/// The block cipher with its round keys.
enum Aes {
    Short(Aes128),
    Long(Aes256),
}

enum Transform {
    Counter { aes: Aes, mac: Hmac<Sha1>, tag: usize },
    ShortGcm(Box<Aes128Gcm>),
    LongGcm(Box<Aes256Gcm>),
}

/// The session keys of one direction's RTP or RTCP.
pub(super) struct Cipher {
    transform: Transform,
    /// Twelve bytes of it with AEAD.
    salt: Zeroizing<[u8; MAX_SALT]>,
}

impl fmt::Debug for Cipher {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Cipher(…)")
    }
}

/// Where in a packet what is enciphered begins, and what the nonce and the tag are made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Bytes that stay in the clear: RTP's header, the first eight of RTCP.
    pub(super) clear: usize,
    pub(super) ssrc: u32,
    pub(super) index: u64,
}

/// Which session keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Rtp,
    Rtcp,
}

impl Cipher {
    /// Derive the session keys; `None` never happens with the lengths of [`Suite`].
    pub(super) fn new(master: &MasterKey, protocol: Protocol) -> Option<Self> {
        let suite = master.suite();
        let (for_cipher, for_tag, for_salt) = match protocol {
            Protocol::Rtp => (Purpose::RtpCipher, Purpose::RtpTag, Purpose::RtpSalt),
            Protocol::Rtcp => (Purpose::RtcpCipher, Purpose::RtcpTag, Purpose::RtcpSalt),
        };
        let mut salt = Zeroizing::new([0; MAX_SALT]);
        master.derive(for_salt, salt.get_mut(..suite.salt_length())?);
        let mut key = Zeroizing::new([0; MAX_KEY]);
        let key = key.get_mut(..suite.key_length())?;
        master.derive(for_cipher, key);
        let mut tag_key = Zeroizing::new([0; TAG_KEY]);
        master.derive(for_tag, tag_key.as_mut_slice());
        Cipher::of(suite, protocol, key, &tag_key, salt)
    }

    /// Of session keys.
    pub(super) fn of(
        suite: Suite,
        protocol: Protocol,
        key: &[u8],
        tag_key: &[u8; TAG_KEY],
        salt: Zeroizing<[u8; MAX_SALT]>,
    ) -> Option<Self> {
        let transform = match suite {
            Suite::Aes128Gcm => Transform::ShortGcm(Box::new(Aes128Gcm::new_from_slice(key).ok()?)),
            Suite::Aes256Gcm => Transform::LongGcm(Box::new(Aes256Gcm::new_from_slice(key).ok()?)),
            Suite::Aes128Sha1_80 | Suite::Aes128Sha1_32 | Suite::Aes256Sha1_80 | Suite::Aes256Sha1_32 => Transform::Counter {
                aes: Aes::new(key)?,
                mac: Hmac::<Sha1>::new_from_slice(tag_key).ok()?,
                tag: match protocol {
                    Protocol::Rtp => suite.tag_length(),
                    Protocol::Rtcp => suite.rtcp_tag_length(),
                },
            },
        };
        Some(Cipher { transform, salt })
    }

    /// Bytes of a tag.
    pub(super) const fn tag_length(&self) -> usize {
        match &self.transform {
            Transform::Counter { tag, .. } => *tag,
            Transform::ShortGcm(_) | Transform::LongGcm(_) => MAX_TAG,
        }
    }

    /// Protect the RTP packet of `length` bytes at the start of `buffer`; the length of what is to be sent (RFC 3711 §3.3, RFC 7714 §8).
    pub(super) fn seal_rtp(&self, buffer: &mut [u8], length: usize, place: Place) -> Option<usize> {
        let end = length + self.tag_length();
        let (packet, tag) = buffer.get_mut(..end)?.split_at_mut_checked(length)?;
        let (clear, secret) = packet.split_at_mut_checked(place.clear)?;
        match &self.transform {
            Transform::Counter { aes, mac, .. } => {
                self.apply(aes, place, secret);
                copy(tag, &rtp_tag(mac, packet, place.index));
            }
            _ => copy(tag, &self.gcm_seal(place, clear, secret)?),
        }
        Some(end)
    }

    /// Take the protection off an RTP packet in place; the length of the plain one, or `None` when it is not authentic.
    pub(super) fn open_rtp(&self, packet: &mut [u8], place: Place) -> Option<usize> {
        let length = packet.len().checked_sub(self.tag_length())?;
        let (packet, tag) = packet.split_at_mut_checked(length)?;
        match &self.transform {
            Transform::Counter { aes, mac, .. } => {
                same(tag, &rtp_tag(mac, packet, place.index)).then_some(())?;
                self.apply(aes, place, packet.get_mut(place.clear..)?);
            }
            _ => {
                let (clear, secret) = packet.split_at_mut_checked(place.clear)?;
                self.gcm_open(place, clear, secret, tag)?;
            }
        }
        Some(length)
    }

    /// Protect the RTCP compound of `length` bytes; the length of what is to be sent (RFC 3711 §3.4, RFC 7714 §9).
    pub(super) fn seal_rtcp(&self, buffer: &mut [u8], length: usize, place: Place) -> Option<usize> {
        let tag_length = self.tag_length();
        let buffer = buffer.get_mut(..length + 4 + tag_length)?;
        let word = word(place.index, true);
        let (packet, rest) = buffer.split_at_mut_checked(length)?;
        match &self.transform {
            Transform::Counter { aes, mac, .. } => {
                self.apply(aes, place, packet.get_mut(place.clear..)?);
                let (index, tag) = rest.split_at_mut_checked(4)?;
                index.copy_from_slice(&word);
                copy(tag, &digest(mac, packet, &word));
            }
            _ => {
                let (clear, secret) = packet.split_at_mut_checked(place.clear)?;
                let made = self.gcm_seal(place, &rtcp_aad(clear, word)?, secret)?;
                let (tag, index) = rest.split_at_mut_checked(tag_length)?;
                copy(tag, &made);
                index.copy_from_slice(&word);
            }
        }
        Some(length + 4 + tag_length)
    }

    /// The E bit and the index of an SRTCP packet, and how long its compound is; `None` when it is too short for them.
    pub(super) fn rtcp_index(&self, packet: &[u8]) -> Option<(bool, u64, usize)> {
        let length = packet.len().checked_sub(4 + self.tag_length())?;
        let at = match &self.transform {
            Transform::Counter { .. } => length,
            _ => length + self.tag_length(),
        };
        let word = u32::from_be_bytes(*packet.get(at..)?.first_chunk()?);
        Some((word >> 31 == 1, u64::from(word & 0x7fff_ffff), length))
    }

    /// Take the protection off an SRTCP packet in place; the length of the compound, or `None` when it is not authentic.
    pub(super) fn open_rtcp(&self, packet: &mut [u8], place: Place, enciphered: bool, length: usize) -> Option<usize> {
        let word = word(place.index, enciphered);
        let (packet, rest) = packet.split_at_mut_checked(length)?;
        match &self.transform {
            Transform::Counter { aes, mac, .. } => {
                let tag = rest.get(4..)?;
                same(tag, &digest(mac, packet, &word)).then_some(())?;
                if enciphered {
                    self.apply(aes, place, packet.get_mut(place.clear..)?);
                }
            }
            // RFC 7714 §9.3 has another order for what is only authenticated; nobody agreed to that with us (UNENCRYPTED_SRTCP).
            _ if !enciphered => return None,
            _ => {
                let (clear, secret) = packet.split_at_mut_checked(place.clear)?;
                self.gcm_open(place, &rtcp_aad(clear, word)?, secret, rest.get(..MAX_TAG)?)?;
            }
        }
        Some(length)
    }

    /// RFC 3711 §4.1.1: IV = (k_s * 2^16) XOR (SSRC * 2^64) XOR (i * 2^16).
    fn apply(&self, aes: &Aes, place: Place, secret: &mut [u8]) {
        let mut salt = [0; 16];
        for (to, from) in salt.iter_mut().zip(self.salt.iter()) {
            *to = *from;
        }
        let iv = u128::from_be_bytes(salt) ^ u128::from(place.ssrc) << 64 ^ u128::from(place.index) << 16;
        aes.apply(&iv.to_be_bytes(), secret);
    }

    /// RFC 7714 §8.1, §9.1: two zero bytes, the SSRC, the index in six, all under the salt.
    fn nonce(&self, place: Place) -> Nonce<U12> {
        let [.., s0, s1, s2, s3] = place.ssrc.to_be_bytes();
        let [_, _, i0, i1, i2, i3, i4, i5] = place.index.to_be_bytes();
        let mut nonce = [0, 0, s0, s1, s2, s3, i0, i1, i2, i3, i4, i5];
        for (to, from) in nonce.iter_mut().zip(self.salt.iter()) {
            *to ^= *from;
        }
        nonce.into()
    }

    fn gcm_seal(&self, place: Place, clear: &[u8], secret: &mut [u8]) -> Option<[u8; MAX_TAG]> {
        let (nonce, secret) = (self.nonce(place), InOutBuf::from(secret));
        let tag = match &self.transform {
            Transform::ShortGcm(gcm) => gcm.encrypt_inout_detached(&nonce, clear, secret),
            Transform::LongGcm(gcm) => gcm.encrypt_inout_detached(&nonce, clear, secret),
            Transform::Counter { .. } => return None,
        };
        Some(tag.ok()?.into())
    }

    fn gcm_open(&self, place: Place, clear: &[u8], secret: &mut [u8], tag: &[u8]) -> Option<()> {
        let (nonce, secret) = (self.nonce(place), InOutBuf::from(secret));
        let tag: Tag = (*tag.first_chunk::<MAX_TAG>()?).into();
        match &self.transform {
            Transform::ShortGcm(gcm) => gcm.decrypt_inout_detached(&nonce, clear, secret, &tag),
            Transform::LongGcm(gcm) => gcm.decrypt_inout_detached(&nonce, clear, secret, &tag),
            Transform::Counter { .. } => return None,
        }
        .ok()
    }
}

impl Aes {
    fn new(key: &[u8]) -> Option<Self> {
        if key.len() == 16 {
            Aes128::new_from_slice(key).ok().map(Aes::Short)
        } else {
            Aes256::new_from_slice(key).ok().map(Aes::Long)
        }
    }

    fn apply(&self, iv: &[u8; 16], secret: &mut [u8]) {
        match self {
            Aes::Short(aes) => counter_mode(aes, iv, secret),
            Aes::Long(aes) => counter_mode(aes, iv, secret),
        }
    }
}

fn counter_mode<C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>>(aes: &C, iv: &[u8; 16], secret: &mut [u8]) {
    let core = CtrCore::<&C, Ctr128BE>::inner_iv_init(aes, &(*iv).into());
    // A datagram is far shorter than the keystream of 2^128 blocks.
    let _ = core.try_apply_keystream_partial(InOutBuf::from(secret));
}

/// RFC 3711 §4.2: RTP's tag is over the packet and its roll-over counter.
fn rtp_tag(mac: &Hmac<Sha1>, packet: &[u8], index: u64) -> [u8; TAG_KEY] {
    let [_, _, r0, r1, r2, r3, ..] = index.to_be_bytes();
    digest(mac, packet, &[r0, r1, r2, r3])
}

fn digest(mac: &Hmac<Sha1>, packet: &[u8], behind: &[u8; 4]) -> [u8; TAG_KEY] {
    let mut mac = mac.clone();
    mac.update(packet);
    mac.update(behind);
    mac.finalize().into_bytes().into()
}

/// The E bit and the index as they stand behind an SRTCP packet.
const fn word(index: u64, enciphered: bool) -> [u8; 4] {
    let [.., i0, i1, i2, i3] = index.to_be_bytes();
    [i0 & 0x7f | (enciphered as u8) << 7, i1, i2, i3]
}

/// RFC 7714 §9.2: the first eight bytes, then E and index.
fn rtcp_aad(clear: &[u8], word: [u8; 4]) -> Option<[u8; 12]> {
    let [c0, c1, c2, c3, c4, c5, c6, c7] = *clear.first_chunk::<8>()?;
    let [w0, w1, w2, w3] = word;
    Some([c0, c1, c2, c3, c4, c5, c6, c7, w0, w1, w2, w3])
}

fn copy(to: &mut [u8], from: &[u8]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}

/// Compare a received tag with as much of the right one, in constant time.
fn same(tag: &[u8], right: &[u8]) -> bool {
    right.get(..tag.len()).is_some_and(|right| bool::from(tag.ct_eq(right))) && !tag.is_empty()
}
