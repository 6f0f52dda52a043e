//! The stages before parsing and after building: what takes protection off a packet and puts it on.
//!
//! Plain RTP passes through as it is. With SRTP only a packet that was found authentic may latch, which is why the verdict is part of the
//! answer and [`crate::latch`] is asked after it. [`Protection::configure`] keeps what a description repeats: the same key goes on with its
//! indices (a re-INVITE must not lose the roll-over counter), another key begins anew.

use std::ops::Range;

use crate::srtp::{MasterKey, Receiver, Sender};

/// How many packets must have come under a new key before the one before it is forgotten: they overtake each other on the way.
const OVERLAP: u8 = 64;

/// The master keys of a leg, as an offer and its answer gave them; they are never shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// What they send with.
    pub receive: MasterKey,
    /// What we send with.
    pub send: MasterKey,
}

/// How a leg's packets are protected.
#[derive(Debug, Default)]
pub enum Protection {
    /// RTP/AVP: not at all.
    #[default]
    Plain,
    /// SRTP and SRTCP.
    Secure(Box<Secure>),
}

/// SRTP both ways.
#[derive(Debug)]
pub struct Secure {
    receiver: Receiver,
    /// Under the key before, and how many packets it has left to live.
    before: Option<(Receiver, u8)>,
    sender: Sender,
}

impl Protection {
    /// Do as a description says: `None` for plain RTP.
    pub fn configure(&mut self, keys: Option<&Keys>) {
        match (&mut *self, keys) {
            (Protection::Secure(secure), Some(keys)) => secure.renew(keys),
            (_, keys) => {
                *self = keys
                    .and_then(Secure::new)
                    .map_or(Protection::Plain, |secure| Protection::Secure(Box::new(secure)))
            }
        }
    }

    /// Whether packets are enciphered.
    #[must_use]
    pub const fn is_secure(&self) -> bool {
        matches!(self, Protection::Secure(_))
    }

    /// Take the protection off an RTP packet in place; the range that the plain packet fills, or `None` for one that is not authentic.
    #[must_use]
    pub fn unprotect(&mut self, data: &mut [u8]) -> Option<Range<usize>> {
        match self {
            Protection::Plain => Some(0..data.len()),
            Protection::Secure(secure) => secure.unprotect(data, Receiver::unprotect_rtp).map(|length| 0..length),
        }
    }

    /// The same of RTCP.
    #[must_use]
    pub fn unprotect_rtcp(&mut self, data: &mut [u8]) -> Option<Range<usize>> {
        match self {
            Protection::Plain => Some(0..data.len()),
            Protection::Secure(secure) => secure.unprotect(data, Receiver::unprotect_rtcp).map(|length| 0..length),
        }
    }

    /// Protect the RTP packet that fills `packet` in place, within `buffer`, where it grows; the range of what is to be sent.
    #[must_use]
    pub fn protect(&mut self, buffer: &mut [u8], packet: Range<usize>) -> Option<Range<usize>> {
        self.put_on(buffer, packet, Sender::protect_rtp)
    }

    /// The same of an RTCP compound.
    #[must_use]
    pub fn protect_rtcp(&mut self, buffer: &mut [u8], packet: Range<usize>) -> Option<Range<usize>> {
        self.put_on(buffer, packet, Sender::protect_rtcp)
    }

    fn put_on(
        &mut self,
        buffer: &mut [u8],
        packet: Range<usize>,
        put_on: fn(&mut Sender, &mut [u8], usize) -> Option<usize>,
    ) -> Option<Range<usize>> {
        let Range { start, end } = packet;
        let Protection::Secure(secure) = self else {
            return (end <= buffer.len()).then_some(start..end);
        };
        let length = put_on(&mut secure.sender, buffer.get_mut(start..)?, end.checked_sub(start)?)?;
        Some(start..start + length)
    }
}

impl Secure {
    fn new(keys: &Keys) -> Option<Self> {
        Some(Secure {
            receiver: Receiver::new(&keys.receive)?,
            before: None,
            sender: Sender::new(&keys.send)?,
        })
    }

    fn renew(&mut self, keys: &Keys) {
        if *self.receiver.master() != keys.receive
            && let Some(receiver) = Receiver::new(&keys.receive)
        {
            self.before = Some((std::mem::replace(&mut self.receiver, receiver), OVERLAP));
        }
        if *self.sender.master() != keys.send
            && let Some(sender) = Sender::new(&keys.send)
        {
            self.sender = sender;
        }
    }

    fn unprotect(&mut self, data: &mut [u8], take_off: fn(&mut Receiver, &mut [u8]) -> Option<usize>) -> Option<usize> {
        if let Some(length) = take_off(&mut self.receiver, data) {
            if let Some((_, left)) = &mut self.before {
                *left -= 1;
                if *left == 0 {
                    self.before = None;
                }
            }
            return Some(length);
        }
        take_off(&mut self.before.as_mut()?.0, data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::srtp::Suite;

    fn keys(receive: u8, send: u8) -> Keys {
        let key = |fill| MasterKey::new(Suite::Aes128Sha1_80, &[fill; 30]).unwrap();
        Keys {
            receive: key(receive),
            send: key(send),
        }
    }

    fn secure(receive: u8, send: u8) -> Protection {
        let mut protection = Protection::Plain;
        protection.configure(Some(&keys(receive, send)));
        protection
    }

    fn packet(sequence: u16) -> Vec<u8> {
        let [high, low] = sequence.to_be_bytes();
        vec![0x80, 0, high, low, 0, 0, 0, 1, 0, 0, 0, 9, 1, 2, 3]
    }

    fn sealed(by: &mut Protection, sequence: u16) -> Vec<u8> {
        let mut buffer = packet(sequence);
        let length = buffer.len();
        buffer.resize(64, 0);
        let range = by.protect(&mut buffer, 0..length).unwrap();
        buffer[range].to_vec()
    }

    fn opens(by: &mut Protection, packet: &[u8]) -> bool {
        by.unprotect(&mut packet.to_vec()).is_some()
    }

    #[test]
    fn test_plain_packets_pass_as_they_are() {
        let mut data = [1, 2, 3];
        assert_eq!(Protection::Plain.unprotect(&mut data), Some(0..3));
        assert_eq!(Protection::Plain.protect(&mut data, 1..3), Some(1..3));
        assert_eq!(Protection::Plain.protect(&mut data, 1..4), None);
        assert_eq!(Protection::Plain.unprotect_rtcp(&mut data), Some(0..3));
    }

    #[test]
    fn test_the_same_keys_again_go_on_with_their_roll_over() {
        let (mut theirs, mut ours) = (secure(1, 2), secure(2, 1));
        for index in 0..70_000_u32 {
            let sent = sealed(&mut theirs, (index & 0xffff) as u16);
            if index % 1000 == 0 || index > 69_990 {
                assert!(opens(&mut ours, &sent), "packet {index}");
            }
            if index == 66_000 {
                theirs.configure(Some(&keys(1, 2)));
                ours.configure(Some(&keys(2, 1)));
                assert!(!opens(&mut ours, &sent), "a replay");
            }
        }
    }

    #[test]
    fn test_the_key_before_is_heard_until_the_new_one_has_settled() {
        let (mut theirs, mut ours) = (secure(1, 2), secure(2, 1));
        let late: Vec<_> = (0..3).map(|sequence| sealed(&mut theirs, sequence)).collect();
        ours.configure(Some(&keys(3, 1)));
        assert!(opens(&mut ours, &late[0]));
        theirs.configure(Some(&keys(1, 3)));
        assert!(opens(&mut ours, &sealed(&mut theirs, 3)));
        assert!(opens(&mut ours, &late[1]));
        assert!(!opens(&mut ours, &late[1]), "a replay");
        for sequence in 4..3 + u16::from(OVERLAP) {
            assert!(opens(&mut ours, &sealed(&mut theirs, sequence)));
        }
        assert!(!opens(&mut ours, &late[2]));
    }

    #[test]
    fn test_plain_packets_are_not_heard_where_keys_were_agreed_nor_the_reverse() {
        let mut protection = secure(1, 2);
        assert!(!opens(&mut protection, &packet(1)));
        protection.configure(None);
        assert!(!protection.is_secure());
        assert!(opens(&mut protection, &packet(1)));
    }

    #[test]
    fn test_a_packet_within_the_buffer_grows_at_its_end() {
        let mut buffer = vec![0xee; 4];
        buffer.extend(packet(1));
        let end = buffer.len();
        buffer.resize(end + 9, 0xee);
        assert_eq!(secure(1, 2).protect(&mut buffer, 4..end), None);
        buffer.push(0xee);
        assert_eq!(secure(1, 2).protect(&mut buffer, 4..end), Some(4..end + 10));
        assert_eq!(buffer[..4], [0xee; 4]);
    }
}
