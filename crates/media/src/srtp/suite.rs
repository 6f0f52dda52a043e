//! The cryptographic suites by the names that SDES gives them, and their sizes (RFC 4568 §6.2, RFC 6188 §4, RFC 7714 §14.2).

/// How a stream is enciphered and authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Suite {
    /// AES-128 in counter mode, HMAC-SHA1 cut to 80 bits.
    Aes128Sha1_80,
    /// The same cut to 32 bits; SRTCP keeps 80.
    Aes128Sha1_32,
    /// AES-256 in counter mode, HMAC-SHA1 cut to 80 bits.
    Aes256Sha1_80,
    /// The same cut to 32 bits; SRTCP keeps 80.
    Aes256Sha1_32,
    /// AES-128 in Galois/counter mode.
    Aes128Gcm,
    /// AES-256 in Galois/counter mode.
    Aes256Gcm,
}

/// The longest master key, in bytes.
pub const MAX_KEY: usize = 32;
/// The longest master salt, in bytes.
pub const MAX_SALT: usize = 14;
/// The longest tag, in bytes.
pub const MAX_TAG: usize = 16;

impl Suite {
    /// Every suite.
    pub const ALL: [Suite; 6] = [
        Suite::Aes256Gcm,
        Suite::Aes128Gcm,
        Suite::Aes256Sha1_80,
        Suite::Aes128Sha1_80,
        Suite::Aes256Sha1_32,
        Suite::Aes128Sha1_32,
    ];

    /// Its name in SDES.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Suite::Aes128Sha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Suite::Aes128Sha1_32 => "AES_CM_128_HMAC_SHA1_32",
            Suite::Aes256Sha1_80 => "AES_256_CM_HMAC_SHA1_80",
            Suite::Aes256Sha1_32 => "AES_256_CM_HMAC_SHA1_32",
            Suite::Aes128Gcm => "AEAD_AES_128_GCM",
            Suite::Aes256Gcm => "AEAD_AES_256_GCM",
        }
    }

    /// The suite of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Suite::ALL.into_iter().find(|suite| suite.name() == name)
    }

    /// Bytes of the master key, which are those of the session keys too.
    #[must_use]
    pub const fn key_length(self) -> usize {
        match self {
            Suite::Aes128Sha1_80 | Suite::Aes128Sha1_32 | Suite::Aes128Gcm => 16,
            Suite::Aes256Sha1_80 | Suite::Aes256Sha1_32 | Suite::Aes256Gcm => 32,
        }
    }

    /// Bytes of the master salt.
    #[must_use]
    pub const fn salt_length(self) -> usize {
        match self {
            Suite::Aes128Gcm | Suite::Aes256Gcm => 12,
            _ => 14,
        }
    }

    /// Bytes that SRTP adds to an RTP packet.
    #[must_use]
    pub const fn tag_length(self) -> usize {
        match self {
            Suite::Aes128Sha1_80 | Suite::Aes256Sha1_80 => 10,
            Suite::Aes128Sha1_32 | Suite::Aes256Sha1_32 => 4,
            Suite::Aes128Gcm | Suite::Aes256Gcm => 16,
        }
    }

    /// Bytes of the tag that SRTCP adds; its index comes to that.
    #[must_use]
    pub const fn rtcp_tag_length(self) -> usize {
        match self {
            Suite::Aes128Gcm | Suite::Aes256Gcm => 16,
            _ => 10,
        }
    }
}
