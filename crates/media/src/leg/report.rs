//! RTCP of a leg: reports of our own about what it sent and heard, under its own CNAME; what the peer reports about us.
//!
//! Nothing of one side's RTCP reaches the other: each leg is the end of its RTP session. A compound is believed when it comes from the
//! address of the session description, from the latched source (RFC 5761), or, to be learned, from the latched source's IP address with
//! the SSRC that is heard there. RFC 3550 §6.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Configuration, Datagram, Leg, Socket};
use crate::rtcp::{self, Packet, SenderInfo};
use crate::time::Time;

/// RFC 3550 §6.2: the minimum interval for two parties, varied from half to one and a half of it (§6.3.1).
const INTERVAL: Duration = Duration::from_secs(5);

/// The RTCP state of a leg.
#[derive(Debug, Default)]
pub(super) struct Rtcp {
    named: Option<SocketAddr>,
    rtp: Option<SocketAddr>,
    learned: Option<SocketAddr>,
    report_at: Option<Time>,
    /// Packets that had been sent at the last two reports: a sender report follows only if some were since (§6.4).
    sent_before: [u64; 2],
    scratch: Vec<u8>,
}

impl Rtcp {
    pub(super) const fn report_at(&self) -> Option<Time> {
        self.report_at
    }
}

impl Leg {
    pub(super) fn configure_rtcp(&mut self, now: Time, plan: &Configuration) {
        // RFC 3550 §11: the port above, where the description names none.
        let above = |rtp: SocketAddr| Some(SocketAddr::new(rtp.ip(), rtp.port().checked_add(1)?));
        let named = plan.remote_rtcp.or_else(|| plan.remote_rtp.and_then(above));
        if named.is_some() && named != self.rtcp.named {
            self.rtcp.named = named;
            self.rtcp.learned = None;
        }
        self.rtcp.rtp = plan.remote_rtp;
        if self.latch.latched().is_none() {
            self.rtcp.learned = None;
        }
        if self.rtcp.report_at.is_none() {
            // §6.2: the first after half the interval.
            self.rtcp.report_at = Some(now + self.interval() / 2);
        }
    }

    fn interval(&mut self) -> Duration {
        INTERVAL / 2 + Duration::from_micros(self.random.below(5_000_000))
    }

    /// Where reports go, and from which socket.
    fn report_target(&self) -> Option<(SocketAddr, Socket)> {
        // UDPTL has no RTCP.
        let target = self.latch.target().filter(|_| !self.udptl)?;
        let (rtp, named) = (self.rtcp.rtp?, self.rtcp.named?);
        if named == rtp {
            // RFC 5761: one port for both.
            return Some((target, Socket::Rtp));
        }
        if let Some(learned) = self.rtcp.learned {
            return Some((learned, Socket::Rtcp));
        }
        // Behind a NAT that kept the RTP port the RTCP port is kept too; otherwise theirs must come first.
        (target.port() == rtp.port()).then(|| (SocketAddr::new(target.ip(), named.port()), Socket::Rtcp))
    }

    pub(super) fn receive_rtcp(&mut self, now: Time, socket: Socket, source: SocketAddr, data: &mut [u8]) {
        let plain = self.protection.unprotect_rtcp(data);
        let Some(Ok(compound)) = plain.and_then(|plain| data.get(plain)).map(rtcp::parse) else {
            self.refused += 1;
            return;
        };
        if !self.believes(socket, source, compound.sender()) {
            self.refused += 1;
            return;
        }
        for packet in compound.packets() {
            self.read(now, &packet);
        }
    }

    fn believes(&mut self, socket: Socket, source: SocketAddr, sender: Option<u32>) -> bool {
        let source = SocketAddr::new(source.ip().to_canonical(), source.port());
        if socket == Socket::Rtp {
            return self.latch.knows(source);
        }
        if Some(source) == self.rtcp.named || Some(source) == self.rtcp.learned {
            return true;
        }
        let of_peer = self.latch.latched().is_some_and(|latched| latched.ip() == source.ip());
        // Once learned it stays: another port would need another description.
        let may_learn = of_peer && self.rtcp.learned.is_none() && sender.is_some() && sender == self.reception.ssrc();
        if may_learn {
            self.rtcp.learned = Some(source);
        }
        may_learn
    }

    fn read(&mut self, now: Time, packet: &Packet<'_>) {
        let blocks = match packet {
            Packet::SenderReport { ssrc, info, blocks } => {
                self.reception.sender_report(now, *ssrc, info.ntp);
                blocks
            }
            Packet::ReceiverReport { blocks, .. } => blocks,
            Packet::SourceDescription { .. } | Packet::Goodbye { .. } | Packet::Other { .. } => return,
        };
        let ours = self.outbound.ssrc();
        for block in blocks.iter().filter(|block| block.ssrc == ours) {
            self.remote.report(self.wall.ntp(now), &block);
        }
    }

    /// The report that is due; `None` while there is nobody to send it to.
    pub(super) fn report(&mut self, now: Time, buffer: &mut [u8]) -> Option<Datagram> {
        self.rtcp.report_at = Some(now + self.interval());
        self.compound(now, buffer, false)
    }

    /// The last report, with BYE (§6.6), when the leg closes; `None` when it never sent anything.
    pub fn farewell(&mut self, now: Time, buffer: &mut [u8]) -> Option<Datagram> {
        self.rtcp.report_at = None;
        if self.outbound.packets() == 0 {
            return None;
        }
        self.compound(now, buffer, true)
    }

    fn compound(&mut self, now: Time, buffer: &mut [u8], leaves: bool) -> Option<Datagram> {
        let (to, socket) = self.report_target()?;
        let mut out = std::mem::take(&mut self.rtcp.scratch);
        out.clear();
        let ssrc = self.outbound.ssrc();
        let info = self.sender_info(now);
        let block = self.reception.report(now);
        rtcp::write_report(&mut out, ssrc, info.as_ref(), block.as_slice());
        rtcp::write_cname(&mut out, ssrc, &self.cname);
        if leaves {
            rtcp::write_goodbye(&mut out, ssrc);
        }
        let length = out.len();
        let fits = buffer.get_mut(..length).map(|space| space.copy_from_slice(&out));
        self.rtcp.scratch = out;
        fits?;
        let range = self.protection.protect_rtcp(buffer, 0..length)?;
        Some(Datagram { to, socket, range })
    }

    fn sender_info(&mut self, now: Time) -> Option<SenderInfo> {
        let sent = self.outbound.packets();
        let [last, before_last] = self.rtcp.sent_before;
        self.rtcp.sent_before = [sent, last];
        // §6.4: SR if we sent since the last report or the one before.
        (sent > last || last > before_last).then(|| SenderInfo {
            ntp: self.wall.ntp(now),
            rtp_timestamp: self.outbound.timestamp_at(now),
            // Both counts are modulo 2^32 by definition.
            packets: (sent & 0xffff_ffff) as u32,
            octets: (self.outbound.octets() & 0xffff_ffff) as u32,
        })
    }
}
