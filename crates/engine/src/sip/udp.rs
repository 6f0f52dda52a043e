//! One UDP listener: datagrams in with the address they were sent to, datagrams out from the address that was asked (RFC 3581 §4).
//!
//! On a wildcard address the kernel tells and takes our own address as ancillary data (IP_PKTINFO, IPV6_PKTINFO). What the network does not
//! take at once waits in a bounded queue; what finds it full is lost, as a datagram may be, and is repeated by its transaction.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use bytes::Bytes;
use socket2::{MaybeUninitSlice, MsgHdr, MsgHdrMut, SockAddr, SockRef, Socket};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::Notify;

/// More than a UDP datagram can hold.
const DATAGRAM: usize = 65_536;
const CONTROL: usize = 256;
/// Datagrams that wait for the network at most.
const BACKLOG: usize = 1_024;

/// `struct cmsghdr`: the length (with this header), the level, the type.
const HEADER: usize = size_of::<libc::cmsghdr>();
const LEVEL_AT: usize = size_of::<usize>();
const KIND_AT: usize = LEVEL_AT + size_of::<libc::c_int>();
/// `struct in_pktinfo`: interface index, our address, the header's destination. `struct in6_pktinfo`: the address, the index.
const V4_INFO: usize = 12;
const V6_INFO: usize = 20;

/// A buffer to receive into, shared by all listeners.
pub(super) struct Inbox {
    data: Box<[MaybeUninit<u8>]>,
}

impl Inbox {
    pub(super) fn new() -> Self {
        Inbox {
            data: vec![MaybeUninit::new(0); DATAGRAM].into_boxed_slice(),
        }
    }

    /// What stands in for an inbox while it is in use.
    pub(super) fn empty() -> Self {
        Inbox { data: Box::default() }
    }
}

/// A datagram in an [`Inbox`].
pub(super) struct Datagram<'a> {
    pub(super) data: &'a [u8],
    pub(super) remote: SocketAddr,
    pub(super) local: SocketAddr,
}

/// A datagram that waits for the network.
struct Waiting {
    remote: SocketAddr,
    source: Option<SocketAddr>,
    data: Bytes,
}

/// An open UDP listener.
pub(super) struct UdpListener {
    socket: UdpSocket,
    /// The address it is bound to.
    pub(super) local: SocketAddr,
    waiting: RefCell<VecDeque<Waiting>>,
    wake: Notify,
}

impl UdpListener {
    /// Watch an open socket; must be called on the SIP thread.
    pub(super) fn new(socket: Socket, local: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::from_std(socket.into())?;
        Ok(UdpListener {
            socket,
            local,
            waiting: RefCell::new(VecDeque::new()),
            wake: Notify::new(),
        })
    }

    /// Wait until datagrams can be read; meanwhile send what waits.
    pub(super) async fn readable(&self) -> io::Result<()> {
        loop {
            let interest = if self.waiting.borrow().is_empty() {
                Interest::READABLE
            } else {
                Interest::READABLE | Interest::WRITABLE
            };
            tokio::select! {
                ready = self.socket.ready(interest) => {
                    let ready = ready?;
                    if ready.is_writable() {
                        self.send_waiting();
                    }
                    if ready.is_readable() || ready.is_error() {
                        return Ok(());
                    }
                }
                () = self.wake.notified() => {}
            }
        }
    }

    /// The next datagram, or None when none is there.
    pub(super) fn receive<'a>(&self, inbox: &'a mut Inbox) -> io::Result<Option<Datagram<'a>>> {
        let mut control = [MaybeUninit::new(0u8); CONTROL];
        let mut sender = SockAddr::from(SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 0], 0)));
        let read = self.socket.try_io(Interest::READABLE, || {
            let mut buffers = [MaybeUninitSlice::new(&mut inbox.data)];
            let mut header = MsgHdrMut::new()
                .with_addr(&mut sender)
                .with_buffers(&mut buffers)
                .with_control(&mut control);
            let length = SockRef::from(&self.socket).recvmsg(&mut header, 0)?;
            Ok((length, header.control_len()))
        });
        let (length, control_length) = match read {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some(remote) = sender.as_socket() else {
            return Err(io::Error::from(io::ErrorKind::InvalidData));
        };
        let data = initialised(&inbox.data).get(..length).unwrap_or_default();
        let control = initialised(&control).get(..control_length).unwrap_or_default();
        Ok(Some(Datagram {
            data,
            remote,
            local: self.local_of(control),
        }))
    }

    /// Our concrete address of a datagram: the bound one, or the one in its ancillary data.
    fn local_of(&self, control: &[u8]) -> SocketAddr {
        match packet_info(control) {
            Some((ip, interface)) if self.local.ip().is_unspecified() => concrete(ip, self.local.port(), interface),
            _ => self.local,
        }
    }

    /// Send a datagram; `local` is the address it is to come from. Only errors of this one datagram come back.
    pub(super) fn send(&self, remote: SocketAddr, local: Option<SocketAddr>, data: Bytes) -> io::Result<()> {
        let source = local.filter(|local| self.local.ip().is_unspecified() && !local.ip().is_unspecified());
        let mut waiting = self.waiting.borrow_mut();
        if waiting.is_empty() {
            match self.transmit(remote, source, &data) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return done,
            }
        }
        if waiting.len() < BACKLOG {
            waiting.push_back(Waiting { remote, source, data });
            self.wake.notify_one();
        }
        Ok(())
    }

    fn send_waiting(&self) {
        let mut waiting = self.waiting.borrow_mut();
        while let Some(first) = waiting.front() {
            match self.transmit(first.remote, first.source, &first.data) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // What waited is not worth a report: its transaction repeats it and hears of the error then.
                _ => drop(waiting.pop_front()),
            }
        }
    }

    fn transmit(&self, remote: SocketAddr, source: Option<SocketAddr>, data: &[u8]) -> io::Result<()> {
        let control = source.map(|source| source_control(source, remote));
        self.socket.try_io(Interest::WRITABLE, || {
            let address = SockAddr::from(remote);
            let buffers = [IoSlice::new(data)];
            let mut header = MsgHdr::new().with_addr(&address).with_buffers(&buffers);
            if let Some(control) = &control {
                header = header.with_control(control);
            }
            SockRef::from(&self.socket).sendmsg(&header, libc::MSG_NOSIGNAL).map(|_| ())
        })
    }
}

fn initialised(bytes: &[MaybeUninit<u8>]) -> &[u8] {
    // SAFETY: both buffers of this module are filled with zeros when they are made, and recvmsg only writes bytes into them.
    unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast(), bytes.len()) }
}

/// An address with the interface as scope where its kind needs one (RFC 4007 §6).
fn concrete(ip: IpAddr, port: u16, interface: u32) -> SocketAddr {
    match ip {
        IpAddr::V6(ip) if ip.is_unicast_link_local() => SocketAddr::V6(SocketAddrV6::new(ip, port, 0, interface)),
        ip => SocketAddr::new(ip, port),
    }
}

/// The address that a datagram was sent to, and the interface, out of its ancillary data.
fn packet_info(mut control: &[u8]) -> Option<(IpAddr, u32)> {
    while let Some((level, kind, data, rest)) = next_control(control) {
        match (level, kind) {
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                let interface = u32::from_ne_bytes(array(data, 0)?);
                return Some((IpAddr::V4(Ipv4Addr::from(array::<4>(data, 4)?)), interface));
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                let interface = u32::from_ne_bytes(array(data, 16)?);
                return Some((IpAddr::V6(Ipv6Addr::from(array::<16>(data, 0)?)), interface));
            }
            _ => control = rest,
        }
    }
    None
}

/// Level, type and data of the first control message, and what follows it.
fn next_control(control: &[u8]) -> Option<(libc::c_int, libc::c_int, &[u8], &[u8])> {
    let length = usize::from_ne_bytes(array(control, 0)?);
    let level = libc::c_int::from_ne_bytes(array(control, LEVEL_AT)?);
    let kind = libc::c_int::from_ne_bytes(array(control, KIND_AT)?);
    let data = control.get(HEADER..length)?;
    let rest = control
        .get(length.checked_next_multiple_of(size_of::<usize>())?..)
        .unwrap_or_default();
    Some((level, kind, data, rest))
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

/// Ancillary data that has a datagram sent from `source`.
fn source_control(source: SocketAddr, remote: SocketAddr) -> Vec<u8> {
    match source {
        SocketAddr::V4(source) => {
            let mut control = control_header(libc::IPPROTO_IP, libc::IP_PKTINFO, V4_INFO);
            control.extend_from_slice(&0u32.to_ne_bytes());
            control.extend_from_slice(&source.ip().octets());
            control.extend_from_slice(&[0; 4]);
            padded(control)
        }
        SocketAddr::V6(source) => {
            let scope = match remote {
                SocketAddr::V6(remote) if source.scope_id() == 0 => remote.scope_id(),
                _ => source.scope_id(),
            };
            let mut control = control_header(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, V6_INFO);
            control.extend_from_slice(&source.ip().octets());
            control.extend_from_slice(&scope.to_ne_bytes());
            padded(control)
        }
    }
}

fn control_header(level: libc::c_int, kind: libc::c_int, data: usize) -> Vec<u8> {
    let mut control = Vec::with_capacity(HEADER + data + size_of::<usize>());
    control.extend_from_slice(&(HEADER + data).to_ne_bytes());
    control.extend_from_slice(&level.to_ne_bytes());
    control.extend_from_slice(&kind.to_ne_bytes());
    control
}

fn padded(mut control: Vec<u8>) -> Vec<u8> {
    control.resize(control.len().next_multiple_of(size_of::<usize>()), 0);
    control
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_a_source_address_survives_its_control_message() {
        for (source, remote) in [("192.0.2.7:5060", "192.0.2.1:5060"), ("[2001:db8::7]:5060", "[2001:db8::1]:5060")] {
            let source: SocketAddr = source.parse().unwrap();
            let control = source_control(source, remote.parse().unwrap());
            assert_eq!(packet_info(&control), Some((source.ip(), 0)));
        }
    }

    #[test]
    fn test_broken_control_messages_say_nothing() {
        let whole = source_control("192.0.2.7:5060".parse().unwrap(), "192.0.2.1:5060".parse().unwrap());
        for length in 0..HEADER + V4_INFO {
            assert_eq!(packet_info(&whole[..length]), None);
        }
        let mut long = whole;
        long[..size_of::<usize>()].copy_from_slice(&usize::MAX.to_ne_bytes());
        assert_eq!(packet_info(&long), None);
    }

    #[test]
    fn test_only_link_local_addresses_carry_their_interface() {
        assert_eq!(concrete("fe80::1".parse().unwrap(), 5060, 3).to_string(), "[fe80::1%3]:5060");
        assert_eq!(concrete("2001:db8::1".parse().unwrap(), 5060, 3).to_string(), "[2001:db8::1]:5060");
    }
}
