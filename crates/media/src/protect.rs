//! The stages before parsing and after building: what takes protection off a packet and puts it on.
//!
//! Plain RTP passes through as it is. SRTP (RFC 3711) becomes another variant of [`Protection`]; then only a packet that [`Protection::unprotect`]
//! found authentic may latch, which is why the verdict is part of its answer and [`crate::latch`] is asked after it.

use std::ops::Range;

/// How a leg's packets are protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protection {
    /// RTP/AVP: not at all.
    #[default]
    Plain,
}

impl Protection {
    /// Take the protection off in place; the range that the plain packet fills, or `None` for a packet that is not authentic.
    #[must_use]
    pub const fn unprotect(&mut self, data: &mut [u8]) -> Option<Range<usize>> {
        match self {
            Protection::Plain => Some(0..data.len()),
        }
    }

    /// Protect the packet that fills `packet` in place, within `buffer`; the range of what is to be sent.
    #[must_use]
    pub const fn protect(&mut self, buffer: &mut [u8], packet: Range<usize>) -> Option<Range<usize>> {
        match self {
            Protection::Plain if packet.end <= buffer.len() => Some(packet),
            Protection::Plain => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_plain_packets_pass_as_they_are() {
        let mut data = [1, 2, 3];
        assert_eq!(Protection::Plain.unprotect(&mut data), Some(0..3));
        assert_eq!(Protection::Plain.protect(&mut data, 1..3), Some(1..3));
        assert_eq!(Protection::Plain.protect(&mut data, 1..4), None);
    }
}
