//! One leg's offer/answer state: its `o=` line and version, its payload types, what stands and what is pending (RFC 3264 §4, §8).
//!
//! Offers and answers are written here, what they mean is decided in `negotiate`. A call that fails changes nothing. The Python class
//! `SessionDescriber` wraps it.

use std::net::IpAddr;
use std::sync::Arc;

use super::audio::{Audio, is_plain_audio};
use super::codec::Codec;
use super::description::{Description, Line, Media, SdpError, decimal, first};
use super::negotiate::{MediaPlan, NegotiationError, Offered, Ours, Stood, audio_line, choose_audio, conclude, negotiate};
use super::numbering::Numbering;

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
    unchanged: bool,
}

impl RemoteOffer {
    /// What it says about audio.
    #[must_use]
    pub fn audio(&self) -> &Audio {
        &self.audio
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

/// A description of ours, as lines and as text.
#[derive(Clone, Debug)]
struct Local {
    stood: Stood,
    /// Without the version, to tell whether anything changed.
    content: String,
    version: u64,
    text: String,
}

/// An offer of ours and what it left behind.
#[derive(Clone, Debug)]
struct Open {
    offered: Offered,
    local: Local,
    numbering: Numbering,
    /// Whether audio ran before it.
    running: bool,
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
        })
    }

    /// Our offer; it is pending until [`Describer::accept_answer`] or [`Describer::withdraw`]. Media lines that stood keep their place, and
    /// those that are no audio of ours stay disabled (RFC 3264 §8.2).
    pub fn offer(&mut self, ours: &Ours<'_>) -> Result<String, DescribeError> {
        if self.pending.is_some() {
            return Err(DescribeError::State("an offer is pending"));
        }
        check(ours)?;
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
        let protocol = media
            .get(place)
            .filter(|line| is_plain_audio(line))
            .map_or("RTP/AVP", |line| line.protocol.as_str());
        let line = audio_line(protocol, ours.port, &codecs, ours.direction, ours.ptime_ms);
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
        };
        self.version = self.version.max(local.version);
        self.answered = None;
        self.pending = Some(Open {
            offered,
            local,
            numbering,
            running: self.plan.is_some(),
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
        let plan = conclude(&open.offered, &answer, open.running)?;
        self.remote = Some(Arc::new(answer));
        if let Some(open) = self.pending.take() {
            self.numbering = open.numbering.clone();
            self.local = Some(open.local.clone());
            self.answered = Some(open);
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
        let description = Description::parse(body)?;
        let index = choose_audio(&description, &self.stood())?;
        let known = self.numbering.codecs();
        let audio = Audio::read(&description, index, known).ok_or(SdpError::Missing("an audio line"))?;
        let audio = audio.map_err(|why| NegotiationError {
            reason: why.reason().to_owned(),
        })?;
        let unchanged = self.remote.as_deref() == Some(&description);
        Ok(RemoteOffer {
            description: Arc::new(description),
            audio,
            unchanged,
        })
    }

    /// Our answer, which stands from now on.
    pub fn answer(&mut self, offer: &RemoteOffer, ours: &Ours<'_>) -> Result<(String, &MediaPlan), DescribeError> {
        if self.pending.is_some() {
            return Err(DescribeError::State("an offer of ours is pending"));
        }
        check(ours)?;
        let agreed = negotiate(ours, &offer.description, &offer.audio, &self.stood())?;
        // RFC 3264 §6: the t= line of the answer is that of the offer.
        self.time = time_of(&offer.description).unwrap_or("0 0").to_owned();
        let local = self.write(ours.address, &self.time, agreed.stood);
        agreed.plan.receive_codecs.iter().for_each(|codec| self.numbering.note(codec));
        self.version = self.version.max(local.version);
        let text = local.text.clone();
        self.local = Some(local);
        self.remote = Some(Arc::clone(&offer.description));
        self.answered = None;
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

fn check(ours: &Ours<'_>) -> Result<(), DescribeError> {
    if ours.ptime_ms == Some(0) {
        return Err(DescribeError::Argument("a packet holds at least 1 ms"));
    }
    if ours.address.is_unspecified() || ours.address.is_multicast() {
        return Err(DescribeError::Argument("the address is one that they can send to"));
    }
    Ok(())
}

/// Their `t=` line, where it is two numbers.
fn time_of(description: &Description) -> Option<&str> {
    let time = first(&description.session, 't')?;
    let (start, stop) = time.split_once(' ')?;
    (decimal::<u64>(start).is_some() && decimal::<u64>(stop).is_some()).then_some(time)
}
