//! One leg's offer/answer state: its `o=` line and version, its payload types, what stands and what is pending (RFC 3264 §4, §8).
//!
//! Offers and answers are written here, what they mean is decided in `negotiate`. A call that fails changes nothing. The Python class
//! `SessionDescriber` wraps it.

use std::net::IpAddr;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::audio::{Audio, Direction, is_plain_audio, is_secure_audio};
use super::codec::Codec;
use super::crypto::Crypto;
use super::description::{Description, Line, Media, SdpError, decimal, first};
use super::fax::{Fax, FaxAttribute, closed, fax_line, is_fax};
use super::negotiate::{MediaPlan, NegotiationError, Offered, Ours, Stood, audio_line, choose_audio, choose_fax, conclude, negotiate};
use super::numbering::Numbering;
use super::security::{Keeper, Security};

/// Why a step of the model failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DescribeError {
    /// The body is no session description.
    #[error(transparent)]
    Sdp(#[from] SdpError),
    /// It is one, and cannot be agreed.
    #[error(transparent)]
    Negotiation(#[from] NegotiationError),
    /// The step is not allowed now.
    #[error("{0}")]
    State(&'static str),
    /// What was handed in cannot be described.
    #[error("{0}")]
    Argument(&'static str),
}

/// A parsed offer of the other side; frozen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteOffer {
    description: Arc<Description>,
    audio: Audio,
    fax: Option<(usize, Fax)>,
    unchanged: bool,
}

impl RemoteOffer {
    /// What it says about audio.
    #[must_use]
    pub fn audio(&self) -> &Audio {
        &self.audio
    }

    /// T.38 that it offers instead of audio.
    #[must_use]
    pub fn fax(&self) -> Option<&Fax> {
        self.fax.as_ref().map(|(_, fax)| fax)
    }

    /// All of it.
    #[must_use]
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Whether it is, `o=` line included, the description of theirs that stands.
    #[must_use]
    pub fn unchanged(&self) -> bool {
        self.unchanged
    }
}

/// A description of ours, as lines and as text. The text may hold keys: no Debug.
#[derive(Clone)]
struct Local {
    stood: Stood,
    /// Without the version, to tell whether anything changed.
    content: String,
    version: u64,
    text: String,
}

impl std::fmt::Debug for Local {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Local")
            .field("stood", &self.stood)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// An offer of ours and what it left behind.
#[derive(Clone, Debug)]
struct Open {
    offered: Offered,
    local: Local,
    numbering: Numbering,
    /// Whether audio ran before it.
    running: bool,
    /// It offers T.38.
    fax: bool,
}

/// One leg's offer/answer state. Not shared between legs.
#[derive(Clone, Debug)]
pub struct Describer {
    username: String,
    session_id: u64,
    session_name: String,
    /// The highest version that was sent.
    version: u64,
    numbering: Numbering,
    /// The `t=` line: theirs when they offered (RFC 3264 §6).
    time: String,
    local: Option<Local>,
    remote: Option<Arc<Description>>,
    plan: Option<MediaPlan>,
    pending: Option<Open>,
    /// Our last offer after its answer: forks and a 200 after a 183 answer it again.
    answered: Option<Open>,
    /// Whether audio is secure, and with which keys of ours.
    keeper: Keeper,
}

impl Describer {
    /// A leg before its first offer.
    pub fn new(session_id: u64, session_name: &str, username: &str) -> Result<Self, DescribeError> {
        if username.is_empty()
            || username
                .chars()
                .any(|character| character.is_whitespace() || character.is_control())
        {
            return Err(DescribeError::Argument("the username of o= is one word, or -"));
        }
        if session_name.is_empty() || session_name.chars().any(char::is_control) {
            return Err(DescribeError::Argument("the session name is one line, or -"));
        }
        Ok(Describer {
            username: username.to_owned(),
            session_id,
            session_name: session_name.to_owned(),
            version: 0,
            numbering: Numbering::default(),
            time: "0 0".to_owned(),
            local: None,
            remote: None,
            plan: None,
            pending: None,
            answered: None,
            keeper: Keeper::default(),
        })
    }

    /// Have the audio secured as `security` says; `secret` is random, and what every key of ours is made of.
    #[must_use]
    pub fn secured(mut self, security: Security, secret: Zeroizing<[u8; 32]>) -> Self {
        self.keeper = Keeper::new(security, secret);
        self
    }

    /// The same state for another early dialog; its keys are other ones from here on.
    #[must_use]
    pub fn fork(&self, secret: Zeroizing<[u8; 32]>) -> Self {
        let mut fork = self.clone();
        fork.keeper.reseed(secret);
        fork
    }

    /// Have the next offer of ours bring new keys (RFC 4568 §7.1.4). Nothing changes where nothing is secured.
    pub const fn renew_keys(&mut self) {
        self.keeper.renew = true;
    }

    /// Our offer; it is pending until [`Describer::accept_answer`] or [`Describer::withdraw`]. Media lines that stood keep their place, and
    /// those that are no audio of ours stay disabled (RFC 3264 §8.2).
    pub fn offer(&mut self, ours: &Ours<'_>) -> Result<String, DescribeError> {
        if self.pending.is_some() {
            return Err(DescribeError::State("an offer is pending"));
        }
        check(ours)?;
        self.keeper.security.check()?;
        let mut numbering = self.numbering.clone();
        let codecs = numbering
            .number(ours.codecs)
            .ok_or(DescribeError::Argument("more codecs than payload types"))?;
        if codecs.iter().all(Codec::is_companion) {
            return Err(DescribeError::Argument("an offer needs a codec"));
        }
        let before = self.local.as_ref().map(|local| &local.stood);
        let mut media: Vec<Media> = before
            .map(|stood| stood.media.iter().map(Media::refused).collect())
            .unwrap_or_default();
        let place = before.and_then(|stood| stood.audio).unwrap_or(media.len());
        let cryptos = self.keeper.to_offer(self.plan.as_ref());
        let stood_as = media
            .get(place)
            .filter(|line| is_plain_audio(line) || !cryptos.is_empty() && is_secure_audio(line));
        let protocol = stood_as.map_or(self.keeper.security.protocol(), |line| line.protocol.as_str());
        let mut line = audio_line(protocol, &Ours { codecs: &codecs, ..*ours });
        line.lines.extend(cryptos.iter().map(Crypto::line));
        media.splice(place..media.len().min(place + 1), [line]);
        let stood = Stood { media, audio: Some(place) };
        let local = self.write(ours.address, &self.time, stood.clone());
        let text = local.text.clone();
        let offered = Offered {
            stood,
            address: ours.address,
            codecs,
            direction: ours.direction,
            ptime_ms: ours.ptime_ms,
            rtcp_mux: ours.rtcp_mux,
            cryptos,
        };
        self.version = self.version.max(local.version);
        self.answered = None;
        self.pending = Some(Open {
            offered,
            local,
            numbering,
            running: self.plan.is_some(),
            fax: false,
        });
        Ok(text)
    }

    /// Their answer to the pending offer, or once more to the last one as long as nothing followed it: a fork's answer, or that of a 200
    /// after a 183 (RFC 3261 §13.2.1, §13.2.2.4).
    pub fn accept_answer(&mut self, body: &[u8]) -> Result<&MediaPlan, DescribeError> {
        let open = self
            .pending
            .as_ref()
            .or(self.answered.as_ref())
            .ok_or(DescribeError::State("no offer waits for an answer"))?;
        let answer = Description::parse(body)?;
        let plan = if open.fax {
            conclude_fax(&open.offered, &answer)?
        } else {
            conclude(&open.offered, &answer, open.running, &self.keeper.security)?
        };
        self.remote = Some(Arc::new(answer));
        if let Some(open) = self.pending.take() {
            self.numbering = open.numbering.clone();
            self.local = Some(open.local.clone());
            self.answered = Some(open);
        }
        if let Some(open) = &self.answered {
            self.keeper.stand(&plan, &open.offered.cryptos);
        }
        Ok(self.plan.insert(plan))
    }

    /// Forget the pending offer; what stood before stands (RFC 3261 §14.1).
    pub fn withdraw(&mut self) {
        if let Some(open) = self.pending.take() {
            // Its payload types were seen: they stay taken.
            self.numbering = open.numbering;
        }
    }

    /// Parse and check their offer, changing nothing.
    pub fn read_offer(&self, body: &[u8]) -> Result<RemoteOffer, DescribeError> {
        self.read(body, false)
    }

    /// The same where an offer of T.38 instead of audio is welcome too.
    pub fn read_offer_or_fax(&self, body: &[u8]) -> Result<RemoteOffer, DescribeError> {
        self.read(body, true)
    }

    fn read(&self, body: &[u8], fax: bool) -> Result<RemoteOffer, DescribeError> {
        let description = Description::parse(body)?;
        let unchanged = self.remote.as_deref() == Some(&description);
        if let Some(place) = choose_fax(&description).filter(|_| fax) {
            return self.read_fax(description, place, unchanged);
        }
        self.keeper.security.check()?;
        let index = choose_audio(&description, &self.stood(), &self.keeper.security)?;
        let known = self.numbering.codecs();
        let audio = Audio::read(&description, index, known).ok_or(SdpError::Missing("an audio line"))?;
        let audio = audio.map_err(|why| NegotiationError {
            reason: why.reason().to_owned(),
        })?;
        Ok(RemoteOffer {
            description: Arc::new(description),
            audio,
            fax: None,
            unchanged,
        })
    }

    fn read_fax(&self, description: Description, place: usize, unchanged: bool) -> Result<RemoteOffer, DescribeError> {
        if description.media.len() < self.stood().media.len() {
            return Err(NegotiationError::new("their new offer has fewer media lines than stood").into());
        }
        let line = description.media.get(place).ok_or(SdpError::Missing("the fax line"))?;
        let fax = Fax::read(&description, line).map_err(|why| NegotiationError::new(why.reason()))?;
        Ok(RemoteOffer {
            description: Arc::new(description),
            audio: Audio::absent(place),
            fax: Some((place, fax)),
            unchanged,
        })
    }

    /// Our offer of T.38 in the place of the audio, pending as any offer; `attributes` are those of the other leg.
    pub fn offer_fax(&mut self, address: IpAddr, port: u16, attributes: &[FaxAttribute]) -> Result<String, DescribeError> {
        if self.pending.is_some() {
            return Err(DescribeError::State("an offer is pending"));
        }
        check_address(address)?;
        let before = self.stood();
        let mut media: Vec<Media> = before.media.iter().map(Media::refused).collect();
        let place = before.audio.unwrap_or(media.len());
        media.splice(
            place..media.len().min(place + 1),
            [fax_line(port, &closed(attributes.iter().cloned()))],
        );
        let stood = Stood { media, audio: Some(place) };
        let local = self.write(address, &self.time, stood.clone());
        let text = local.text.clone();
        let offered = Offered {
            stood,
            address,
            codecs: Vec::new(),
            direction: Direction::SendRecv,
            ptime_ms: None,
            rtcp_mux: false,
            cryptos: Vec::new(),
        };
        self.version = self.version.max(local.version);
        self.answered = None;
        self.pending = Some(Open {
            offered,
            local,
            numbering: self.numbering.clone(),
            running: self.plan.is_some(),
            fax: true,
        });
        Ok(text)
    }

    /// Our answer to an offer of T.38, which stands from now on; every other line is refused.
    pub fn answer_fax(
        &mut self,
        offer: &RemoteOffer,
        address: IpAddr,
        port: u16,
        attributes: &[FaxAttribute],
    ) -> Result<(String, &MediaPlan), DescribeError> {
        if self.pending.is_some() {
            return Err(DescribeError::State("an offer of ours is pending"));
        }
        check_address(address)?;
        let (place, fax) = offer.fax.clone().ok_or(DescribeError::Argument("the offer is none of T.38"))?;
        if fax.remote.is_some_and(|remote| remote.is_ipv4() != address.is_ipv4()) {
            return Err(NegotiationError::new("their fax is at an address of another family than ours").into());
        }
        let mut media: Vec<Media> = offer.description.media.iter().map(Media::refused).collect();
        if let Some(line) = media.get_mut(place) {
            *line = fax_line(port, &closed(attributes.iter().cloned()));
        }
        self.time = time_of(&offer.description).unwrap_or("0 0").to_owned();
        let local = self.write(address, &self.time, Stood { media, audio: Some(place) });
        self.version = self.version.max(local.version);
        let text = local.text.clone();
        self.local = Some(local);
        self.remote = Some(Arc::clone(&offer.description));
        self.answered = None;
        Ok((text, self.plan.insert(MediaPlan::of_fax(fax))))
    }

    /// Our answer, which stands from now on.
    pub fn answer(&mut self, offer: &RemoteOffer, ours: &Ours<'_>) -> Result<(String, &MediaPlan), DescribeError> {
        if self.pending.is_some() {
            return Err(DescribeError::State("an offer of ours is pending"));
        }
        check(ours)?;
        if offer.fax.is_some() {
            return Err(NegotiationError::new("they offer a fax and we can audio").into());
        }
        let security = &self.keeper.security;
        let mut agreed = negotiate(ours, &offer.description, &offer.audio, &self.stood(), security)?;
        let enabled = agreed.plan.receive_codecs.first().is_some();
        let line = agreed.stood.media.get_mut(offer.audio.index);
        let crypto = if enabled { self.keeper.answer(&offer.audio, line)? } else { None };
        agreed.plan.keys = crypto.as_ref().map(|(_, keys)| keys.clone());
        // RFC 3264 §6: the t= line of the answer is that of the offer.
        self.time = time_of(&offer.description).unwrap_or("0 0").to_owned();
        let local = self.write(ours.address, &self.time, agreed.stood);
        agreed.plan.receive_codecs.iter().for_each(|codec| self.numbering.note(codec));
        self.version = self.version.max(local.version);
        let text = local.text.clone();
        self.local = Some(local);
        self.remote = Some(Arc::clone(&offer.description));
        self.answered = None;
        let cryptos: Vec<Crypto> = crypto.into_iter().map(|(crypto, _)| crypto).collect();
        self.keeper.stand(&agreed.plan, &cryptos);
        Ok((text, self.plan.insert(agreed.plan)))
    }

    /// Our description that stands.
    #[must_use]
    pub fn local(&self) -> Option<&str> {
        self.local.as_ref().map(|local| local.text.as_str())
    }

    /// What stands.
    #[must_use]
    pub fn plan(&self) -> Option<&MediaPlan> {
        self.plan.as_ref()
    }

    /// Whether an offer of ours waits for its answer.
    #[must_use]
    pub fn offer_pending(&self) -> bool {
        self.pending.is_some()
    }

    fn stood(&self) -> Stood {
        self.local.as_ref().map(|local| local.stood.clone()).unwrap_or_default()
    }

    /// Write a description. It keeps the version of the one that stands when nothing else differs (RFC 3264 §8), else it gets the next
    /// one that was never sent.
    fn write(&self, address: IpAddr, time: &str, stood: Stood) -> Local {
        let family = if address.is_ipv4() { "IP4" } else { "IP6" };
        let describe = |version: u64| {
            let session = vec![
                Line::new('v', "0"),
                Line::new(
                    'o',
                    format!("{} {} {version} IN {family} {address}", self.username, self.session_id),
                ),
                Line::new('s', self.session_name.as_str()),
                Line::new('c', format!("IN {family} {address}")),
                Line::new('t', time),
            ];
            Description {
                session,
                media: stood.media.clone(),
            }
            .to_string()
        };
        let content = describe(0);
        let same = self
            .local
            .as_ref()
            .filter(|local| local.content == content)
            .map(|local| local.version);
        let version = same.unwrap_or_else(|| self.version.saturating_add(1));
        Local {
            content,
            version,
            text: describe(version),
            stood,
        }
    }
}

/// Draw the plan from their answer to our offer of T.38.
fn conclude_fax(offered: &Offered, answer: &Description) -> Result<MediaPlan, NegotiationError> {
    if answer.media.len() != offered.stood.media.len() {
        return Err(NegotiationError::new(
            "they answer with another number of media lines than we offered",
        ));
    }
    let line = offered.stood.audio.and_then(|place| answer.media.get(place));
    let line = line
        .filter(|line| is_fax(line) && line.port != 0)
        .ok_or_else(|| NegotiationError::new("they refuse the fax that we offer"))?;
    let fax = Fax::read(answer, line).map_err(|why| NegotiationError::new(why.reason()))?;
    match fax.remote {
        Some(remote) if remote.is_ipv4() != offered.address.is_ipv4() => {
            Err(NegotiationError::new("their fax is at an address of another family than ours"))
        }
        _ => Ok(MediaPlan::of_fax(fax)),
    }
}

fn check_address(address: IpAddr) -> Result<(), DescribeError> {
    if address.is_unspecified() || address.is_multicast() {
        return Err(DescribeError::Argument("the address is one that they can send to"));
    }
    Ok(())
}

fn check(ours: &Ours<'_>) -> Result<(), DescribeError> {
    if ours.ptime_ms == Some(0) {
        return Err(DescribeError::Argument("a packet holds at least 1 ms"));
    }
    check_address(ours.address)
}

/// Their `t=` line, where it is two numbers.
fn time_of(description: &Description) -> Option<&str> {
    let time = first(&description.session, 't')?;
    let (start, stop) = time.split_once(' ')?;
    (decimal::<u64>(start).is_some() && decimal::<u64>(stop).is_some()).then_some(time)
}
