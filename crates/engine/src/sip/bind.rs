//! Opening sockets, on the thread that asks for them, so that the system's refusal reaches it as it is.
//!
//! `Engine::listen` calls this and hands the open socket to the SIP thread. IPv6 sockets are IPv6 only: an IPv4 peer is always seen as IPv4.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use rustix::rand::{GetRandomFlags, getrandom};
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use trunkline_sip::flow::Transport;

/// What the kernel may hold of datagrams that the SIP thread has not read or the network not taken; the system's limit may be lower.
const UDP_BUFFER: usize = 4 << 20;
/// Connections that the kernel completes before they are accepted.
const ACCEPT_BACKLOG: i32 = 1_024;
/// How long sent bytes may stay unacknowledged, and how long a silent connection goes unprobed.
const STREAM_DEAD_AFTER: Duration = Duration::from_secs(30);
const STREAM_PROBE_AFTER: Duration = Duration::from_secs(60);

/// Thirty-two bytes from the system's random source.
pub fn random_seed() -> io::Result<[u8; 32]> {
    let mut seed = [0; 32];
    let mut filled = 0;
    while let Some(rest) = seed.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        filled += getrandom(rest, GetRandomFlags::empty())?;
    }
    Ok(seed)
}

/// Open a listening socket; returns it with the address it really has.
pub(super) fn listener(transport: Transport, address: SocketAddr) -> io::Result<(Socket, SocketAddr)> {
    let (kind, protocol) = match transport {
        Transport::Udp => (Type::DGRAM, Protocol::UDP),
        Transport::Tcp => (Type::STREAM, Protocol::TCP),
    };
    let socket = Socket::new(Domain::for_address(address), kind.nonblocking().cloexec(), Some(protocol))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    match transport {
        Transport::Udp => {
            // Best effort: the system clamps the sizes by itself.
            let _ = socket.set_recv_buffer_size(UDP_BUFFER);
            let _ = socket.set_send_buffer_size(UDP_BUFFER);
            if address.ip().is_unspecified() {
                ask_for_packet_info(&socket, address)?;
            }
            socket.bind(&address.into())?;
        }
        Transport::Tcp => {
            // A port in TIME_WAIT may be taken again; one that somebody listens on may not.
            socket.set_reuse_address(true)?;
            socket.bind(&address.into())?;
            socket.listen(ACCEPT_BACKLOG)?;
        }
    }
    let local = socket
        .local_addr()?
        .as_socket()
        .ok_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable))?;
    Ok((socket, local))
}

/// Have the kernel say to which of our addresses each datagram was sent.
fn ask_for_packet_info(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    let (level, name) = match address {
        SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_PKTINFO),
        SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO),
    };
    let on: libc::c_int = 1;
    let length = libc::socklen_t::try_from(size_of_val(&on)).map_err(io::Error::other)?;
    // SAFETY: the descriptor is open for the whole call, and `on` is a valid int of `length` bytes.
    let result = unsafe { libc::setsockopt(socket.as_fd().as_raw_fd(), level, name, (&raw const on).cast(), length) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Set what every SIP connection wants: no delay, and dead peers found out. Best effort.
pub(super) fn tune_stream(stream: &impl AsFd) {
    let socket = SockRef::from(stream);
    let _ = socket.set_tcp_nodelay(true);
    let _ = socket.set_tcp_user_timeout(Some(STREAM_DEAD_AFTER));
    let _ = socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(STREAM_PROBE_AFTER));
}

/// The address that the kernel would send from to `remote`: a connected datagram socket is asked, nothing is sent.
pub(super) fn source_towards(remote: IpAddr) -> io::Result<IpAddr> {
    let wildcard: IpAddr = match remote {
        IpAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
    };
    let probe = std::net::UdpSocket::bind((wildcard, 0))?;
    probe.connect((remote, 5060))?;
    Ok(probe.local_addr()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_the_kernel_names_the_source_address() {
        assert_eq!(
            source_towards("127.0.0.1".parse().unwrap()).unwrap(),
            "127.0.0.1".parse::<IpAddr>().unwrap()
        );
    }

    #[test]
    fn test_a_port_in_use_is_the_systems_error() {
        for transport in [Transport::Udp, Transport::Tcp] {
            let (_held, local) = listener(transport, "127.0.0.1:0".parse().unwrap()).unwrap();
            assert_ne!(local.port(), 0);
            assert_eq!(listener(transport, local).unwrap_err().raw_os_error(), Some(libc::EADDRINUSE));
        }
    }

    #[test]
    fn test_seeds_differ() {
        assert_ne!(random_seed().unwrap(), random_seed().unwrap());
    }
}
