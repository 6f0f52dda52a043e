//! The first stage: what a datagram is, by its first bytes (RFC 7983 §7, RFC 5761 §4).

/// A protocol that may share a media socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// STUN (RFC 8489): first byte 0 to 3.
    Stun,
    /// ZRTP (RFC 6189): 16 to 19.
    Zrtp,
    /// DTLS (RFC 9147): 20 to 63.
    Dtls,
    /// A TURN channel (RFC 8656): 64 to 79.
    TurnChannel,
    /// RTP: 128 to 191 with a second byte outside RTCP's packet types.
    Rtp,
    /// RTCP: 128 to 191 with a second byte from 192 to 223.
    Rtcp,
    /// Nothing known, or too short to tell.
    Unknown,
}

/// Tell what a datagram is without reading further than its second byte.
#[must_use]
pub const fn classify(data: &[u8]) -> Kind {
    let [first, second, ..] = data else { return Kind::Unknown };
    match (*first, *second) {
        (0..=3, _) => Kind::Stun,
        (16..=19, _) => Kind::Zrtp,
        (20..=63, _) => Kind::Dtls,
        (64..=79, _) => Kind::TurnChannel,
        // RFC 5761 §4: RTCP packet types leave payload types 64 to 95 unused on a shared socket.
        (128..=191, 192..=223) => Kind::Rtcp,
        (128..=191, _) => Kind::Rtp,
        _ => Kind::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_every_first_byte_has_the_kind_of_rfc_7983() {
        let expect = |range: std::ops::RangeInclusive<u8>, kind| {
            for first in range {
                assert_eq!(classify(&[first, 0]), kind, "first byte {first}");
            }
        };
        expect(0..=3, Kind::Stun);
        expect(4..=15, Kind::Unknown);
        expect(16..=19, Kind::Zrtp);
        expect(20..=63, Kind::Dtls);
        expect(64..=79, Kind::TurnChannel);
        expect(80..=127, Kind::Unknown);
        expect(128..=191, Kind::Rtp);
        expect(192..=255, Kind::Unknown);
    }

    #[test]
    fn test_rtcp_packet_types_are_told_from_payload_types() {
        assert_eq!(classify(&[0x80, 200]), Kind::Rtcp);
        assert_eq!(classify(&[0x80, 223]), Kind::Rtcp);
        assert_eq!(classify(&[0x80, 224]), Kind::Rtp);
        assert_eq!(classify(&[0x80, 0x80 | 13]), Kind::Rtp);
        assert_eq!(classify(&[0x80]), Kind::Unknown);
        assert_eq!(classify(&[]), Kind::Unknown);
    }
}
