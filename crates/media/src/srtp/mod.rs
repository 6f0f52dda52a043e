//! SRTP and SRTCP (RFC 3711) with the suites of RFC 4568, RFC 6188 and RFC 7714: packets in place, indices, replays.
//!
//! [`Sender`] and [`Receiver`] hold one master key each. [`crate::protect`] gives every packet of a leg to them: what [`Receiver`] lets
//! through is authentic and came for the first time. Nothing here allocates for a packet, shows a key or keeps one after it is dropped.

mod cipher;
mod index;
mod key;
mod suite;
#[cfg(test)]
mod tests;

pub use index::{MAX_STREAMS, WINDOW};
pub use key::MasterKey;
pub use suite::Suite;

use cipher::{Cipher, Place, Protocol};
use index::{Full, MAX_RTCP_INDEX, Streams};

use crate::rtp;

/// RTCP's bytes that stay in the clear: the first header and the sender's SSRC (RFC 3711 §3.4).
const RTCP_CLEAR: usize = 8;

/// What is received under one master key.
#[derive(Debug)]
pub struct Receiver {
    master: MasterKey,
    rtp: Cipher,
    rtcp: Cipher,
    streams: Streams,
}

/// What is sent under one master key.
#[derive(Debug)]
pub struct Sender {
    master: MasterKey,
    rtp: Cipher,
    rtcp: Cipher,
    streams: Streams,
}

impl Receiver {
    /// Derive the session keys. `None` never happens: a [`MasterKey`] has the length of its suite.
    #[must_use]
    pub fn new(master: &MasterKey) -> Option<Self> {
        Some(Receiver {
            master: master.clone(),
            rtp: Cipher::new(master, Protocol::Rtp)?,
            rtcp: Cipher::new(master, Protocol::Rtcp)?,
            streams: Streams::new(Full::Forget),
        })
    }

    /// The key that it was made of.
    #[must_use]
    pub const fn master(&self) -> &MasterKey {
        &self.master
    }

    /// Take the protection off an RTP packet in place; the plain one's length. `None`, and the packet is as it was, when it is not authentic
    /// or came before.
    pub fn unprotect_rtp(&mut self, packet: &mut [u8]) -> Option<usize> {
        let (clear, ssrc, sequence) = rtp_header(packet)?;
        let mut stream = self.streams.find(ssrc);
        let index = stream.index(sequence)?;
        if !stream.rtp.is_new(index) {
            return None;
        }
        let length = self.rtp.open_rtp(packet, Place { clear, ssrc, index })?;
        stream.rtp.take(index);
        self.streams.keep(stream).then_some(length)
    }

    /// The same of an SRTCP packet.
    pub fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Option<usize> {
        let ssrc = rtcp_sender(packet)?;
        let (enciphered, index, length) = self.rtcp.rtcp_index(packet)?;
        let mut stream = self.streams.find(ssrc);
        if length < RTCP_CLEAR || !stream.rtcp.is_new(index) {
            return None;
        }
        let place = Place {
            clear: RTCP_CLEAR,
            ssrc,
            index,
        };
        let length = self.rtcp.open_rtcp(packet, place, enciphered, length)?;
        stream.rtcp.take(index);
        self.streams.keep(stream).then_some(length)
    }
}

impl Sender {
    /// Derive the session keys. `None` never happens: a [`MasterKey`] has the length of its suite.
    #[must_use]
    pub fn new(master: &MasterKey) -> Option<Self> {
        Some(Sender {
            master: master.clone(),
            rtp: Cipher::new(master, Protocol::Rtp)?,
            rtcp: Cipher::new(master, Protocol::Rtcp)?,
            streams: Streams::new(Full::Refuse),
        })
    }

    /// The key that it was made of.
    #[must_use]
    pub const fn master(&self) -> &MasterKey {
        &self.master
    }

    /// Protect the RTP packet of `length` bytes at the start of `buffer`; the length of what is to be sent. `None` when the buffer has no room
    /// for the tag, when the key is used up, and for a number that was sent: two payloads under one index would give both away.
    pub fn protect_rtp(&mut self, buffer: &mut [u8], length: usize) -> Option<usize> {
        let (clear, ssrc, sequence) = rtp_header(buffer.get(..length)?)?;
        let mut stream = self.streams.find(ssrc);
        let index = stream.index(sequence)?;
        if !stream.rtp.is_new(index) || buffer.len() < length + self.rtp.tag_length() {
            return None;
        }
        stream.rtp.take(index);
        if !self.streams.keep(stream) {
            return None;
        }
        self.rtp.seal_rtp(buffer, length, Place { clear, ssrc, index })
    }

    /// The same of an RTCP compound.
    pub fn protect_rtcp(&mut self, buffer: &mut [u8], length: usize) -> Option<usize> {
        let ssrc = rtcp_sender(buffer.get(..length)?)?;
        let mut stream = self.streams.find(ssrc);
        let index = stream.rtcp.next(MAX_RTCP_INDEX)?;
        if buffer.len() < length + 4 + self.rtcp.tag_length() {
            return None;
        }
        stream.rtcp.take(index);
        if !self.streams.keep(stream) {
            return None;
        }
        let place = Place {
            clear: RTCP_CLEAR,
            ssrc,
            index,
        };
        self.rtcp.seal_rtcp(buffer, length, place)
    }
}

/// Length of the header with CSRCs and extension, SSRC and sequence number; they are in the clear.
fn rtp_header(packet: &[u8]) -> Option<(usize, u32, u16)> {
    let [first, _, q0, q1, _, _, _, _, s0, s1, s2, s3] = *packet.first_chunk::<{ rtp::HEADER_LENGTH }>()?;
    if first >> 6 != 2 {
        return None;
    }
    let mut clear = rtp::HEADER_LENGTH + usize::from(first & 0x0f) * 4;
    if first & 0x10 != 0 {
        let [_, _, w0, w1] = *packet.get(clear..)?.first_chunk()?;
        clear += 4 + usize::from(u16::from_be_bytes([w0, w1])) * 4;
    }
    (clear <= packet.len()).then_some((clear, u32::from_be_bytes([s0, s1, s2, s3]), u16::from_be_bytes([q0, q1])))
}

fn rtcp_sender(packet: &[u8]) -> Option<u32> {
    let [first, _, _, _, s0, s1, s2, s3] = *packet.first_chunk::<RTCP_CLEAR>()?;
    (first >> 6 == 2).then_some(u32::from_be_bytes([s0, s1, s2, s3]))
}
