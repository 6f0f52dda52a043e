//! RTP packets: parsed in place, headers written in place (RFC 3550 §5.1, §5.3.1).
//!
//! [`Packet::parse`] is what the fuzz target calls; the relay uses it on the receive buffer and [`Header::bytes`] in front of the payload.

use std::ops::Range;

/// Length of a header without CSRCs and extension.
pub const HEADER_LENGTH: usize = 12;

/// Why bytes are no RTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Shorter than its header, its CSRC list or its extension says.
    #[error("RTP packet is cut off")]
    Truncated,
    /// The version is not 2.
    #[error("RTP version is not 2")]
    Version,
    /// The padding count is zero or longer than what follows the header (RFC 3550 §5.1).
    #[error("RTP padding does not fit")]
    Padding,
}

/// The fixed header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The marker bit: the first packet after silence, or of an event.
    pub marker: bool,
    /// Seven bits.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp in the codec's clock.
    pub timestamp: u32,
    /// Synchronization source.
    pub ssrc: u32,
}

impl Header {
    /// The twelve bytes of this header: version 2, no padding, no extension, no CSRC.
    #[must_use]
    pub fn bytes(&self) -> [u8; HEADER_LENGTH] {
        let [s0, s1] = self.sequence.to_be_bytes();
        let [t0, t1, t2, t3] = self.timestamp.to_be_bytes();
        let [r0, r1, r2, r3] = self.ssrc.to_be_bytes();
        [
            0x80,
            u8::from(self.marker) << 7 | self.payload_type & 0x7f,
            s0,
            s1,
            t0,
            t1,
            t2,
            t3,
            r0,
            r1,
            r2,
            r3,
        ]
    }
}

/// A header extension (RFC 3550 §5.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extension<'a> {
    /// Defined by the profile.
    pub profile: u16,
    /// Whole 32-bit words.
    pub data: &'a [u8],
}

/// A parsed packet; borrows the datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The fixed header.
    pub header: Header,
    /// Contributing sources, four bytes each, at most fifteen.
    pub csrcs: &'a [u8],
    /// The header extension.
    pub extension: Option<Extension<'a>>,
    /// What the codec reads, without padding.
    pub payload: &'a [u8],
    /// Length of the padding, its count included; zero for none.
    pub padding: u8,
}

impl<'a> Packet<'a> {
    /// Parse a whole datagram.
    ///
    /// # Errors
    /// [`ParseError`] for anything that RFC 3550 does not allow; nothing is guessed.
    pub fn parse(data: &'a [u8]) -> Result<Self, ParseError> {
        let (fixed, rest) = data.split_first_chunk::<HEADER_LENGTH>().ok_or(ParseError::Truncated)?;
        let [first, second, s0, s1, t0, t1, t2, t3, r0, r1, r2, r3] = *fixed;
        if first >> 6 != 2 {
            return Err(ParseError::Version);
        }
        let header = Header {
            marker: second & 0x80 != 0,
            payload_type: second & 0x7f,
            sequence: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: u32::from_be_bytes([r0, r1, r2, r3]),
        };
        let (csrcs, rest) = rest.split_at_checked(usize::from(first & 0x0f) * 4).ok_or(ParseError::Truncated)?;
        let (extension, rest) = if first & 0x10 != 0 { split_extension(rest)? } else { (None, rest) };
        let (payload, padding) = if first & 0x20 != 0 { split_padding(rest)? } else { (rest, 0) };
        Ok(Packet {
            header,
            csrcs,
            extension,
            payload,
            padding,
        })
    }

    /// Where the payload lies in the datagram; at least [`HEADER_LENGTH`] bytes from its start.
    #[must_use]
    pub fn payload_range(&self) -> Range<usize> {
        let extension = self.extension.map_or(0, |extension| 4 + extension.data.len());
        let start = HEADER_LENGTH + self.csrcs.len() + extension;
        start..start + self.payload.len()
    }

    /// Append the packet to `out` as it would be sent. CSRCs beyond fifteen and half words are cut off.
    pub fn build(&self, out: &mut Vec<u8>) {
        let csrcs = self.csrcs.len().min(60) / 4;
        let mut fixed = self.header.bytes();
        let flags = u8::from(self.padding != 0) << 5 | u8::from(self.extension.is_some()) << 4 | u8::try_from(csrcs).unwrap_or(0);
        if let Some(first) = fixed.first_mut() {
            *first |= flags;
        }
        out.extend_from_slice(&fixed);
        out.extend(self.csrcs.iter().take(csrcs * 4));
        if let Some(extension) = self.extension {
            let words = u16::try_from(extension.data.len() / 4).unwrap_or(u16::MAX);
            out.extend_from_slice(&extension.profile.to_be_bytes());
            out.extend_from_slice(&words.to_be_bytes());
            out.extend(extension.data.iter().take(usize::from(words) * 4));
        }
        out.extend_from_slice(self.payload);
        if self.padding != 0 {
            out.extend(std::iter::repeat_n(0, usize::from(self.padding) - 1));
            out.push(self.padding);
        }
    }
}

fn split_extension(data: &[u8]) -> Result<(Option<Extension<'_>>, &[u8]), ParseError> {
    let (&[p0, p1, l0, l1], rest) = data.split_first_chunk::<4>().ok_or(ParseError::Truncated)?;
    let length = usize::from(u16::from_be_bytes([l0, l1])) * 4;
    let (data, rest) = rest.split_at_checked(length).ok_or(ParseError::Truncated)?;
    Ok((
        Some(Extension {
            profile: u16::from_be_bytes([p0, p1]),
            data,
        }),
        rest,
    ))
}

fn split_padding(data: &[u8]) -> Result<(&[u8], u8), ParseError> {
    let padding = *data.last().ok_or(ParseError::Padding)?;
    let kept = data.len().checked_sub(usize::from(padding)).ok_or(ParseError::Padding)?;
    match data.get(..kept) {
        Some(payload) if padding != 0 => Ok((payload, padding)),
        _ => Err(ParseError::Padding),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEADER: Header = Header {
        marker: true,
        payload_type: 101,
        sequence: 0x1234,
        timestamp: 0x5566_7788,
        ssrc: 0x99aa_bbcc,
    };

    fn bytes(first: u8, tail: &[u8]) -> Vec<u8> {
        let mut bytes = HEADER.bytes().to_vec();
        bytes[0] = first;
        bytes.extend_from_slice(tail);
        bytes
    }

    #[test]
    fn test_a_plain_packet_is_read_as_figure_1_says() {
        let data = [0x80, 0xe5, 0x12, 0x34, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 1, 2];
        let packet = Packet::parse(&data).unwrap();
        assert_eq!(
            packet,
            Packet {
                header: HEADER,
                csrcs: &[],
                extension: None,
                payload: &[1, 2],
                padding: 0
            }
        );
        assert_eq!(packet.payload_range(), 12..14);
        assert_eq!(HEADER.bytes(), data[..12]);
    }

    #[test]
    fn test_csrcs_extension_and_padding_are_stepped_over() {
        let data = bytes(0xb1, &[9, 9, 9, 9, 0xbe, 0xde, 0, 1, 5, 5, 5, 5, 42, 0, 0, 3]);
        let packet = Packet::parse(&data).unwrap();
        assert_eq!(packet.csrcs, [9; 4]);
        assert_eq!(
            packet.extension,
            Some(Extension {
                profile: 0xbede,
                data: &[5; 4]
            })
        );
        assert_eq!((packet.payload, packet.padding), (&[42][..], 3));
        assert_eq!(&data[packet.payload_range()], [42]);
    }

    #[test]
    fn test_what_does_not_fit_is_refused() {
        let cases: [(Vec<u8>, ParseError); 7] = [
            (vec![0x80; 11], ParseError::Truncated),
            (bytes(0x40, &[]), ParseError::Version),
            (bytes(0x81, &[1, 2, 3]), ParseError::Truncated),
            (bytes(0x90, &[0, 0, 0, 1, 1, 2, 3]), ParseError::Truncated),
            (bytes(0xa0, &[]), ParseError::Padding),
            (bytes(0xa0, &[1, 0]), ParseError::Padding),
            (bytes(0xa0, &[1, 3]), ParseError::Padding),
        ];
        for (data, error) in cases {
            assert_eq!(Packet::parse(&data), Err(error), "{data:?}");
        }
    }

    #[test]
    fn test_padding_may_fill_the_whole_payload() {
        let data = bytes(0xa0, &[0, 0, 3]);
        assert_eq!(Packet::parse(&data).unwrap().payload, &[] as &[u8]);
    }

    proptest! {
        #[test]
        fn test_parsing_never_panics(data in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(packet) = Packet::parse(&data) {
                prop_assert_eq!(&data[packet.payload_range()], packet.payload);
            }
        }

        #[test]
        fn test_building_and_parsing_is_identity(
            (marker, payload_type, sequence, timestamp, ssrc) in (any::<bool>(), 0u8..128, any::<u16>(), any::<u32>(), any::<u32>()),
            csrcs in 0usize..=15, words in proptest::option::of(0usize..8), payload in proptest::collection::vec(any::<u8>(), 0..200),
            padding in any::<u8>(),
        ) {
            let filler = [0x5a; 64];
            let header = Header { marker, payload_type, sequence, timestamp, ssrc };
            let extension = words.map(|words| Extension { profile: sequence, data: &filler[..words * 4] });
            let packet = Packet { header, csrcs: &filler[..csrcs * 4], extension, payload: &payload, padding };
            let mut out = Vec::new();
            packet.build(&mut out);
            prop_assert_eq!(Packet::parse(&out), Ok(packet));
        }
    }
}
