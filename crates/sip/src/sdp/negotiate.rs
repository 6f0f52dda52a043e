//! The offer/answer model as pure functions (RFC 3264 §5–§8): what we can, what they sent and what stood give an answer and a media plan.
//!
//! [`negotiate`] answers their offer, [`conclude`] draws the plan from their answer to ours. Audio over RTP is agreed, plain or secure as `security`
//! says; every other media line is refused with port 0 in its place. `describer` keeps the state between calls.

use std::net::{IpAddr, SocketAddr};

use super::audio::{Audio, Direction, is_plain_audio, is_secure_audio};
use super::codec::{Codec, in_common, in_words};
use super::crypto::Crypto;
use super::description::{Description, Line, Media};
use super::fax::{Fax, is_fax};
use super::security::{Keys, Security};

/// What is sent where nobody asks for anything (RFC 3551 §4.2).
const USUAL_PTIME_MS: u16 = 20;

/// An offer or answer that cannot be agreed; the text says why in words, fit for a quoted string.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct NegotiationError {
    /// What they want and what we can.
    pub reason: String,
}

impl NegotiationError {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        NegotiationError { reason: reason.into() }
    }
}

/// What we can and are willing to do.
#[derive(Clone, Copy, Debug)]
pub struct Ours<'a> {
    /// Where we receive.
    pub address: IpAddr,
    /// Our RTP port; RTCP is the next one.
    pub port: u16,
    /// In our preference.
    pub codecs: &'a [Codec],
    /// What we are willing to do, seen from us.
    pub direction: Direction,
    /// The milliseconds of audio that we want in a packet.
    pub ptime_ms: Option<u16>,
    /// Offer one port for RTP and RTCP, or agree to it where it is offered (RFC 5761 §5.1.1).
    pub rtcp_mux: bool,
}

/// The media lines that stood before, and which of them is the audio.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stood {
    /// Of our description.
    pub media: Vec<Media>,
    /// The audio's place among them.
    pub audio: Option<usize>,
}

/// What a leg's audio does after an offer and its answer; seen from us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaPlan {
    /// Where to send; `None` for port 0 or an unspecified address.
    pub remote_rtp: Option<SocketAddr>,
    /// Where our RTCP goes.
    pub remote_rtcp: Option<SocketAddr>,
    /// Ours.
    pub direction: Direction,
    /// Agreed, in order, with the payload types that they told us to write.
    pub send_codecs: Vec<Codec>,
    /// The same codecs with the payload types that our description told them to write.
    pub receive_codecs: Vec<Codec>,
    /// The milliseconds of audio that they want in a packet, else what we want.
    pub ptime_ms: Option<u16>,
    /// They do not want to hear us.
    pub held: bool,
    /// RTCP goes over the RTP ports, both ways.
    pub rtcp_mux: bool,
    /// T.38 instead of audio; then there are no codecs and no RTP.
    pub fax: Option<Fax>,
    /// SRTP with these keys; `None` for plain RTP.
    pub keys: Option<Keys>,
}

impl MediaPlan {
    /// No audio flows: the line was ended (RFC 3264 §8.2).
    fn silent() -> Self {
        MediaPlan {
            remote_rtp: None,
            remote_rtcp: None,
            direction: Direction::Inactive,
            send_codecs: Vec::new(),
            receive_codecs: Vec::new(),
            ptime_ms: None,
            held: true,
            rtcp_mux: false,
            fax: None,
            keys: None,
        }
    }

    /// T.38 flows in place of audio.
    pub(super) fn of_fax(fax: Fax) -> Self {
        MediaPlan {
            held: false,
            direction: Direction::of(fax.remote.is_some(), true),
            fax: Some(fax),
            ..MediaPlan::silent()
        }
    }
}

/// An answer of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// Our media lines, one for each of theirs.
    pub stood: Stood,
    /// What the audio does now.
    pub plan: MediaPlan,
}

/// The enabled fax line of an offer that has no enabled audio of ours (T.38 Annex D).
pub(super) fn choose_fax(offer: &Description) -> Option<usize> {
    let audio = offer.media.iter().any(|media| is_plain_audio(media) && media.port != 0);
    let fax = offer.media.iter().position(|media| is_fax(media) && media.port != 0);
    fax.filter(|_| !audio)
}

/// Choose the audio line of their offer: the first enabled one that `security` likes best, or the ended one where audio stood. Says why there
/// is none.
pub fn choose_audio(offer: &Description, stood: &Stood, security: &Security) -> Result<usize, NegotiationError> {
    // RFC 3264 §8: a later offer never has fewer media lines.
    if offer.media.len() < stood.media.len() {
        let (now, before) = (offer.media.len(), stood.media.len());
        return Err(NegotiationError::new(format!(
            "their new offer has {now} media lines where {before} stood"
        )));
    }
    if let Some(index) = security.choose(&offer.media) {
        return Ok(index);
    }
    let ended = |index: &usize| {
        offer
            .media
            .get(*index)
            .is_some_and(|media| media.kind == "audio" && media.port == 0)
    };
    stood
        .audio
        .filter(ended)
        .ok_or_else(|| NegotiationError::new(why_no_audio(offer, security)))
}

fn why_no_audio(offer: &Description, security: &Security) -> String {
    if offer.media.is_empty() {
        return "they offer no media at all".to_owned();
    }
    let audio: Vec<&Media> = offer.media.iter().filter(|media| media.kind == "audio").collect();
    match audio.iter().find(|media| media.port != 0) {
        Some(media) => security
            .why_not(media)
            .unwrap_or_else(|| format!("they offer audio over {} and we can RTP/AVP", printable(&media.protocol))),
        None if audio.is_empty() => {
            let kinds: Vec<String> = offer.media.iter().take(4).map(|media| printable(&media.kind)).collect();
            format!("they offer {} and we can audio", kinds.join(", "))
        }
        None => "their only audio line has port 0".to_owned(),
    }
}

/// At most 24 characters of their text that may stand in a quoted string.
fn printable(text: &str) -> String {
    text.chars()
        .filter(|character| character.is_ascii_graphic() && !matches!(character, '"' | '\\'))
        .take(24)
        .collect()
}

/// Answer an offer: (what we can, what they sent, what stood) → (our media lines, the plan). RFC 3264 §6. `describer` adds the keys.
pub fn negotiate(
    ours: &Ours<'_>,
    offer: &Description,
    theirs: &Audio,
    stood: &Stood,
    security: &Security,
) -> Result<Agreed, NegotiationError> {
    if choose_audio(offer, stood, security)? != theirs.index {
        return Err(NegotiationError::new("what stands has changed since the offer was read"));
    }
    let mut media: Vec<Media> = offer.media.iter().map(Media::refused).collect();
    let mut plan = MediaPlan::silent();
    if theirs.enabled && ours.port != 0 {
        let codecs = agree(theirs, ours.address, ours.codecs, "they offer")?;
        // RFC 3264 §6.1: the answer keeps the offer's order and payload types.
        let answered = |(their, our): &(Codec, Codec)| their.with_fmtp(our.fmtp().or(their.fmtp()));
        let receive: Vec<Codec> = codecs.iter().map(answered).collect();
        plan = make_plan(
            theirs,
            (ours.direction, ours.ptime_ms, ours.rtcp_mux),
            codecs.into_iter().map(|(their, _)| their).collect(),
            receive,
        );
        if let Some(line) = media.get_mut(theirs.index) {
            let settled = Ours {
                codecs: &plan.receive_codecs,
                direction: plan.direction,
                rtcp_mux: plan.rtcp_mux,
                ..*ours
            };
            *line = audio_line(&theirs.protocol, &settled);
        }
    }
    Ok(Agreed {
        stood: Stood {
            media,
            audio: Some(theirs.index),
        },
        plan,
    })
}

/// An offer of ours that waits for its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offered {
    /// Our media lines.
    pub stood: Stood,
    /// Where we receive.
    pub address: IpAddr,
    /// With the payload types that the offer gives them.
    pub codecs: Vec<Codec>,
    /// What we offered.
    pub direction: Direction,
    /// What we asked for.
    pub ptime_ms: Option<u16>,
    /// Whether we offered one port for RTP and RTCP.
    pub rtcp_mux: bool,
    /// Our `a=crypto` lines.
    pub cryptos: Vec<Crypto>,
}

/// Draw the plan from their answer to our offer. Audio may be ended only where it stood before (`running`). RFC 3264 §7.
pub fn conclude(offered: &Offered, answer: &Description, running: bool, security: &Security) -> Result<MediaPlan, NegotiationError> {
    // RFC 3264 §6: as many media lines as the offer, in its order.
    let (wanted, got) = (offered.stood.media.len(), answer.media.len());
    if wanted != got {
        return Err(NegotiationError::new(format!(
            "they answer with {got} media lines and we offered {wanted}"
        )));
    }
    let index = offered.stood.audio.unwrap_or_default();
    let theirs = Audio::read(answer, index, &offered.codecs).ok_or_else(|| NegotiationError::new("they answer without audio"))?;
    let theirs = theirs.map_err(|why| NegotiationError::new(why.reason()))?;
    let refused = !theirs.enabled;
    if answer.media.get(index).is_some_and(|media| {
        media.kind != "audio" || !(refused || is_plain_audio(media) || !offered.cryptos.is_empty() && is_secure_audio(media))
    }) {
        let protocol = printable(&theirs.protocol);
        return Err(NegotiationError::new(format!(
            "we offered audio over {} and they answer another media line, {protocol}",
            offered.stood.media.get(index).map_or("RTP/AVP", |media| media.protocol.as_str())
        )));
    }
    if refused || offered.stood.media.get(index).is_some_and(|media| media.port == 0) {
        return if running {
            Ok(MediaPlan::silent())
        } else {
            Err(NegotiationError::new("they refuse the audio that we offer"))
        };
    }
    let codecs = agree(&theirs, offered.address, &offered.codecs, "they answer with")?;
    let (send, receive) = codecs.into_iter().unzip();
    let willing = (offered.direction, offered.ptime_ms, offered.rtcp_mux);
    Ok(MediaPlan {
        keys: security.keys_answered(&offered.cryptos, answer.media.get(index), &theirs)?,
        ..make_plan(&theirs, willing, send, receive)
    })
}

/// The codecs in common, at an address that we can send to.
fn agree(theirs: &Audio, address: IpAddr, ours: &[Codec], they: &str) -> Result<Vec<(Codec, Codec)>, NegotiationError> {
    let pairs = in_common(&theirs.codecs, ours);
    if pairs.is_empty() {
        let reason = format!(
            "no codec in common: {they} {} and we can {}",
            in_words(&theirs.codecs),
            in_words(ours)
        );
        return Err(NegotiationError::new(reason));
    }
    match theirs.address {
        Some(other) if other.is_ipv4() != address.is_ipv4() => {
            let family = |address: IpAddr| if address.is_ipv4() { "IPv4" } else { "IPv6" };
            Err(NegotiationError::new(format!(
                "their audio is at an {} address and ours at an {} one",
                family(other),
                family(address)
            )))
        }
        _ => Ok(pairs),
    }
}

/// `willing`: our direction, packet time and whether RTCP may share the port.
fn make_plan(theirs: &Audio, willing: (Direction, Option<u16>, bool), send_codecs: Vec<Codec>, receive_codecs: Vec<Codec>) -> MediaPlan {
    let (willing, ptime_ms, rtcp_mux) = willing;
    let rtcp_mux = rtcp_mux && theirs.rtcp_mux;
    let direction = theirs.direction.reversed().meet(willing);
    MediaPlan {
        remote_rtp: theirs.rtp,
        remote_rtcp: if rtcp_mux { theirs.rtp } else { theirs.rtcp },
        // RFC 3264 §8.4: nothing is sent to an unspecified address.
        direction: Direction::of(direction.sends() && theirs.rtp.is_some(), direction.receives()),
        send_codecs,
        receive_codecs,
        ptime_ms: packet_time(theirs, ptime_ms),
        held: theirs.held(),
        rtcp_mux,
        fax: None,
        keys: None,
    }
}

/// What they ask for, else what we do, and never more than a packet may hold for them (RFC 8866 §6.4, §6.5).
fn packet_time(theirs: &Audio, ours: Option<u16>) -> Option<u16> {
    let wanted = theirs.ptime_ms.or(ours);
    match theirs.maxptime_ms {
        Some(most) => Some(wanted.unwrap_or(USUAL_PTIME_MS).min(most)),
        None => wanted,
    }
}

/// Our audio line; every codec must have its payload type.
#[must_use]
pub fn audio_line(protocol: &str, ours: &Ours<'_>) -> Media {
    let numbered: Vec<(u8, &Codec)> = ours
        .codecs
        .iter()
        .filter_map(|codec| Some((codec.payload_type()?, codec)))
        .collect();
    let mut lines = Vec::new();
    for (number, codec) in &numbered {
        lines.push(Line::new('a', format!("rtpmap:{number} {codec}")));
        lines.extend(codec.fmtp().map(|fmtp| Line::new('a', format!("fmtp:{number} {fmtp}"))));
    }
    lines.extend(ours.ptime_ms.map(|milliseconds| Line::new('a', format!("ptime:{milliseconds}"))));
    lines.push(Line::new('a', ours.direction.name()));
    lines.extend(ours.rtcp_mux.then(|| Line::new('a', "rtcp-mux")));
    let formats = numbered.iter().map(|(number, _)| number.to_string()).collect();
    Media {
        kind: "audio".to_owned(),
        port: ours.port,
        port_count: None,
        protocol: protocol.to_owned(),
        formats,
        lines,
    }
}
