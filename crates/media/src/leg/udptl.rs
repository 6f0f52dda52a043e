//! T.38 over UDPTL (ITU-T T.38 Annex D, RFC 7345 §1): datagrams that pass from leg to leg as they are.
//!
//! A leg in this mode carries no RTP and sends no RTCP. Whom it hears is the latch's decision as for RTP; UDPTL names no source, so that every
//! datagram counts as of the same one. What a datagram says is for the fax machines: it is neither read nor repaired here.

use std::net::SocketAddr;

use super::{Datagram, Frame, Leg, Socket};
use crate::codec::Key;
use crate::latch::Verdict;
use crate::rtp;
use crate::time::Time;

/// Longer datagrams are refused: T38FaxMaxDatagram is a few hundred bytes, and one packet of the network is the end of it.
pub const MAX_UDPTL: usize = 1_400;
/// A sequence number, an IFP packet's length and a byte of it.
const MIN_UDPTL: usize = 4;
/// Stands for the SSRC that UDPTL does not have.
const NO_SSRC: u32 = 0;

impl Leg {
    pub(super) fn receive_udptl(&mut self, now: Time, socket: Socket, source: SocketAddr, data: &[u8]) -> Option<Frame> {
        if socket != Socket::Rtp || !(MIN_UDPTL..=MAX_UDPTL).contains(&data.len()) {
            return self.refuse();
        }
        match self.latch.judge(now, source, NO_SSRC) {
            Verdict::Refused => return self.refuse(),
            Verdict::Latched => self.latched_event = self.latch.latched(),
            Verdict::Heard => {}
        }
        self.received += 1;
        self.received_bytes += data.len() as u64;
        self.silence.heard(now);
        self.receives.then_some(Frame {
            key: Key::UDPTL,
            is_audio: false,
            clock_rate: 0,
            header: rtp::Header {
                marker: false,
                payload_type: 0,
                sequence: 0,
                timestamp: 0,
                ssrc: NO_SSRC,
            },
            payload: 0..data.len(),
        })
    }

    /// Send a datagram of the linked leg as it is.
    pub(super) fn relay_udptl(&mut self, frame: &Frame) -> Option<Datagram> {
        let to = self.latch.target().filter(|_| self.sends)?;
        self.udptl_sent += 1;
        self.udptl_sent_bytes += frame.payload.len() as u64;
        Some(Datagram {
            to,
            socket: Socket::Rtp,
            range: frame.payload.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{BUFFER_LENGTH, Configuration};
    use super::*;
    use crate::time::WallClock;

    const IFP: &[u8] = &[0x00, 0x07, 0x01, 0x06, 0x00, 0x00];

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn ms(millis: u64) -> Time {
        Time::from_micros(millis * 1000)
    }

    fn plan(remote: &str) -> Configuration {
        Configuration {
            remote_rtp: Some(address(remote)),
            sends: true,
            receives: true,
            udptl: true,
            ..Configuration::default()
        }
    }

    fn leg(plan: &Configuration) -> Leg {
        let mut leg = Leg::new(1, WallClock::new(1_700_000_000_000_000));
        leg.configure(ms(0), plan);
        leg
    }

    fn pass(from: &mut Leg, to: &mut Leg, now: Time, source: &str, data: &[u8]) -> Option<(SocketAddr, Vec<u8>)> {
        let mut buffer = [0; BUFFER_LENGTH];
        buffer[..data.len()].copy_from_slice(data);
        let frame = from.receive(now, Socket::Rtp, address(source), &mut buffer[..data.len()])?;
        let out = to.relay(now, 1, &frame, &mut buffer)?;
        assert_eq!(out.socket, Socket::Rtp);
        Some((out.to, buffer[out.range].to_vec()))
    }

    #[test]
    fn test_datagrams_pass_as_they_are_both_ways_and_are_counted() {
        let (mut a, mut b) = (leg(&plan("192.0.2.1:4000")), leg(&plan("192.0.2.2:5000")));
        // First bytes of RTP, RTCP, STUN and DTLS: nothing is read into them.
        for first in [0x00, 0x80, 0x16, 0xff] {
            let data = [&[first, 200], IFP].concat();
            assert_eq!(
                pass(&mut a, &mut b, ms(1), "192.0.2.1:4000", &data),
                Some((address("192.0.2.2:5000"), data.clone()))
            );
            assert_eq!(
                pass(&mut b, &mut a, ms(1), "192.0.2.2:5000", &data),
                Some((address("192.0.2.1:4000"), data))
            );
        }
        let (a, b) = (a.statistics(), b.statistics());
        assert_eq!((a.packets_received, a.bytes_received, a.packets_sent, a.bytes_sent), (4, 32, 4, 32));
        assert_eq!((b.packets_received, b.packets_sent, b.packets_refused), (4, 4, 0));
    }

    #[test]
    fn test_a_stranger_and_what_is_no_udptl_are_refused() {
        let (mut a, mut b) = (leg(&plan("192.0.2.1:4000")), leg(&plan("192.0.2.2:5000")));
        assert_eq!(pass(&mut a, &mut b, ms(1), "203.0.113.9:4000", IFP), None);
        assert_eq!(pass(&mut a, &mut b, ms(1), "192.0.2.1:4000", &[0, 1, 0]), None);
        assert_eq!(pass(&mut a, &mut b, ms(1), "192.0.2.1:4000", &[0; MAX_UDPTL + 1]), None);
        assert!(a.receive(ms(1), Socket::Rtcp, address("192.0.2.1:4000"), &mut [0; 20]).is_none());
        assert_eq!((a.statistics().packets_refused, a.statistics().packets_received), (4, 0));
        assert!(pass(&mut a, &mut b, ms(1), "192.0.2.1:4000", &[0; MAX_UDPTL]).is_some());
    }

    #[test]
    fn test_behind_nat_it_is_latched_as_rtp_is() {
        let nat = Configuration {
            learn_from: Some("203.0.113.1".parse().unwrap()),
            ..plan("10.0.0.1:4000")
        };
        let (mut a, mut b) = (leg(&nat), leg(&plan("192.0.2.2:5000")));
        assert!(pass(&mut a, &mut b, ms(1), "203.0.113.1:7000", IFP).is_some());
        assert_eq!(
            pass(&mut b, &mut a, ms(2), "192.0.2.2:5000", IFP).unwrap().0,
            address("203.0.113.1:7000")
        );
        assert_eq!(
            pass(&mut a, &mut b, ms(3), "203.0.113.1:7001", IFP),
            None,
            "one source may be learned"
        );
        assert_eq!(a.statistics().latched, Some(address("203.0.113.1:7000")));
    }

    #[test]
    fn test_it_may_come_from_another_port_of_the_peer_than_its_rtp_and_goes_back() {
        let nat = Configuration {
            learn_from: Some("203.0.113.1".parse().unwrap()),
            ..plan("10.0.0.1:4000")
        };
        let mut it = leg(&nat);
        let mut data = IFP.to_vec();
        assert!(it.receive(ms(1), Socket::Rtp, address("203.0.113.1:7000"), &mut data).is_some());
        it.configure(
            ms(2),
            &Configuration {
                udptl: false,
                ..nat.clone()
            },
        );
        assert_eq!(it.statistics().latched, None);
        it.configure(ms(3), &nat);
        assert!(it.receive(ms(4), Socket::Rtp, address("203.0.113.1:7002"), &mut data).is_some());
    }

    #[test]
    fn test_on_hold_or_between_unlike_legs_nothing_passes() {
        let held = Configuration {
            sends: false,
            ..plan("192.0.2.2:5000")
        };
        let (mut a, mut b) = (leg(&plan("192.0.2.1:4000")), leg(&held));
        assert_eq!(pass(&mut a, &mut b, ms(1), "192.0.2.1:4000", IFP), None);
        let audio = Configuration {
            udptl: false,
            ..plan("192.0.2.2:5000")
        };
        let mut c = leg(&audio);
        assert_eq!(pass(&mut a, &mut c, ms(1), "192.0.2.1:4000", IFP), None);
        assert_eq!(c.statistics().packets_refused, 1);
    }

    #[test]
    fn test_no_rtcp_is_sent() {
        let mut it = leg(&plan("192.0.2.1:4000"));
        let mut buffer = [0; BUFFER_LENGTH];
        for second in 0..30 {
            assert_eq!(it.poll(ms(second * 1000), &mut buffer), None);
        }
        assert_eq!(it.farewell(ms(31_000), &mut buffer), None);
    }
}
