//! What a description of the other side says about its audio: where to send, in which direction, with which codecs.
//!
//! Session-level `c=` and direction hold where the media line has none (RFC 8866 §5.7, §6.7). Hold in each form that RFC 3264 §8.4 knows,
//! `c=0.0.0.0` of RFC 2543 included. `negotiate` works on what this reads.

use std::net::{IpAddr, SocketAddr};

use super::codec::{Codec, codecs_of};
use super::crypto::{Crypto, cryptos};
use super::description::{Description, Media, attribute, attributes, decimal, first};

/// Who sends (RFC 8866 §6.7), seen from whoever wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Both ways.
    SendRecv,
    /// The writer sends and hears nothing.
    SendOnly,
    /// The writer hears and sends nothing.
    RecvOnly,
    /// Neither.
    Inactive,
}

impl Direction {
    const ALL: [Direction; 4] = [Direction::SendRecv, Direction::SendOnly, Direction::RecvOnly, Direction::Inactive];

    /// The direction of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Direction::ALL.into_iter().find(|direction| direction.name() == name)
    }

    /// The attribute's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Direction::SendRecv => "sendrecv",
            Direction::SendOnly => "sendonly",
            Direction::RecvOnly => "recvonly",
            Direction::Inactive => "inactive",
        }
    }

    /// Out of its two halves.
    #[must_use]
    pub const fn of(sends: bool, receives: bool) -> Self {
        match (sends, receives) {
            (true, true) => Direction::SendRecv,
            (true, false) => Direction::SendOnly,
            (false, true) => Direction::RecvOnly,
            (false, false) => Direction::Inactive,
        }
    }

    /// Whether the writer sends.
    #[must_use]
    pub const fn sends(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::SendOnly)
    }

    /// Whether the writer wants to hear something.
    #[must_use]
    pub const fn receives(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::RecvOnly)
    }

    /// The same seen from the other side.
    #[must_use]
    pub const fn reversed(self) -> Self {
        Direction::of(self.receives(), self.sends())
    }

    /// What both allow, seen from the same side.
    #[must_use]
    pub const fn meet(self, other: Self) -> Self {
        Direction::of(self.sends() && other.sends(), self.receives() && other.receives())
    }
}

/// The audio of a remote description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audio {
    /// Which media line it is, from zero.
    pub index: usize,
    /// `RTP/AVP`, `RTP/AVPF`, `RTP/SAVP` or `RTP/SAVPF`.
    pub protocol: String,
    /// False for port 0: refused or ended.
    pub enabled: bool,
    /// Their codecs with their payload types, in their order.
    pub codecs: Vec<Codec>,
    /// As they wrote it.
    pub direction: Direction,
    /// The family of their address, also where it is the unspecified one; `None` when the line is not enabled.
    pub address: Option<IpAddr>,
    /// Where to send; `None` for port 0 or an unspecified address.
    pub rtp: Option<SocketAddr>,
    /// Where RTCP goes: `a=rtcp` (RFC 3605), else the next port.
    pub rtcp: Option<SocketAddr>,
    /// The milliseconds of audio that they want in a packet.
    pub ptime_ms: Option<u16>,
    /// The most that they take in one.
    pub maxptime_ms: Option<u16>,
    /// They take RTCP on the RTP port (RFC 5761 §5.1.1).
    pub rtcp_mux: bool,
    /// The keys that they offer, those that we can use.
    pub cryptos: Vec<Crypto>,
}

/// Why a remote audio line cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unusable {
    NoAddress,
    NotNumeric,
    NotUnicast,
}

impl Unusable {
    pub(super) const fn reason(self) -> &'static str {
        match self {
            Unusable::NoAddress => "their audio has no connection address",
            Unusable::NotNumeric => "their connection address is a name, not an IP address",
            Unusable::NotUnicast => "their connection address is multicast or broadcast",
        }
    }
}

/// Whether a media line is audio over plain RTP.
pub(super) fn is_plain_audio(media: &Media) -> bool {
    media.kind == "audio" && matches!(media.protocol.as_str(), "RTP/AVP" | "RTP/AVPF")
}

/// Whether a media line is audio over SRTP whose keys stand in the description (RFC 3711 §12, RFC 5124).
pub(super) fn is_secure_audio(media: &Media) -> bool {
    media.kind == "audio" && matches!(media.protocol.as_str(), "RTP/SAVP" | "RTP/SAVPF")
}

impl Audio {
    /// No audio in that place: another kind of media stands there.
    pub(super) fn absent(index: usize) -> Self {
        Audio {
            index,
            protocol: String::new(),
            enabled: false,
            codecs: Vec::new(),
            direction: Direction::Inactive,
            address: None,
            rtp: None,
            rtcp: None,
            ptime_ms: None,
            maxptime_ms: None,
            rtcp_mux: false,
            cryptos: Vec::new(),
        }
    }

    /// Read the media line at `index`; `known` are the codecs that unexplained payload types may refer to. `None`: no such line.
    pub(super) fn read(description: &Description, index: usize, known: &[Codec]) -> Option<Result<Self, Unusable>> {
        let media = description.media.get(index)?;
        let enabled = media.port != 0;
        let address = match (enabled, connection(description, media)) {
            (false, _) => None,
            (true, Ok(address)) => Some(address),
            (true, Err(why)) => return Some(Err(why)),
        };
        let reachable = address.filter(|address| !address.is_unspecified());
        let rtp = reachable.map(|address| SocketAddr::new(address, media.port));
        Some(Ok(Audio {
            index,
            protocol: media.protocol.clone(),
            enabled,
            codecs: codecs_of(media, known),
            direction: direction(&media.lines)
                .or_else(|| direction(&description.session))
                .unwrap_or(Direction::SendRecv),
            address,
            rtp,
            rtcp: rtp.and_then(|rtp| rtcp(media, rtp)),
            ptime_ms: attribute(&media.lines, "ptime").and_then(ptime),
            maxptime_ms: attribute(&media.lines, "maxptime").and_then(ptime),
            rtcp_mux: enabled && attribute(&media.lines, "rtcp-mux").is_some(),
            cryptos: cryptos(media),
        }))
    }

    /// Whether we are on hold: they do not want to hear us (RFC 3264 §8.4), or left no address to send to.
    #[must_use]
    pub fn held(&self) -> bool {
        !self.direction.receives() || self.rtp.is_none()
    }
}

/// The address of `c=`, the media line's before the session's: `IN IP4 192.0.2.1`, with `/ttl` for multicast (RFC 8866 §5.7).
pub(super) fn connection(description: &Description, media: &Media) -> Result<IpAddr, Unusable> {
    let value = first(&media.lines, 'c')
        .or_else(|| first(&description.session, 'c'))
        .ok_or(Unusable::NoAddress)?;
    let text = value
        .split(' ')
        .filter(|field| !field.is_empty())
        .nth(2)
        .ok_or(Unusable::NoAddress)?;
    let text = text.split('/').next().unwrap_or_default();
    unicast(text.parse().map_err(|_| Unusable::NotNumeric)?).ok_or(Unusable::NotUnicast)
}

fn unicast(address: IpAddr) -> Option<IpAddr> {
    let broadcast = matches!(address, IpAddr::V4(four) if four.is_broadcast());
    (!address.is_multicast() && !broadcast).then_some(address)
}

fn direction(lines: &[super::description::Line]) -> Option<Direction> {
    attributes(lines)
        .filter(|(_, value)| value.is_empty())
        .find_map(|(name, _)| Direction::from_name(name.trim_end()))
}

/// RFC 3605 §2.1: `a=rtcp:53020` or `a=rtcp:53020 IN IP4 192.0.2.4`; an address that cannot be used means that RTCP goes nowhere.
fn rtcp(media: &Media, rtp: SocketAddr) -> Option<SocketAddr> {
    let mut fields = attribute(&media.lines, "rtcp").unwrap_or_default().split_ascii_whitespace();
    let Some(port) = fields.next().and_then(decimal::<u16>).filter(|port| *port != 0) else {
        return rtp.port().checked_add(1).map(|port| SocketAddr::new(rtp.ip(), port));
    };
    let address = match fields.nth(2) {
        None => rtp.ip(),
        Some(text) => text.parse().ok().and_then(unicast).filter(|address| !address.is_unspecified())?,
    };
    (address.is_ipv4() == rtp.is_ipv4()).then(|| SocketAddr::new(address, port))
}

/// Whole milliseconds of `20` or `20.0` (RFC 8866 §6.4); nothing for 0 and for more than a second.
fn ptime(value: &str) -> Option<u16> {
    let whole = value.trim().split('.').next().unwrap_or_default();
    decimal(whole).filter(|milliseconds| (1..=1_000).contains(milliseconds))
}
