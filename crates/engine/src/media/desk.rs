//! What is tied to a leg or a room while its audio is heard or said: the way to its room, its sources, its sinks.
//!
//! A leg's desk lies on the leg's worker, a room on its own; what passes between them are frames in two bounded rings. On one worker a frame
//! passes within its tick; between two it may be a tick late, never more: what is older is dropped and the newest kept.

use rtrb::{Consumer, Producer, RingBuffer};
use trunkline_media::audio::feed::Feed;
use trunkline_media::audio::room::{Member, PLAYED, Part, Room};
use trunkline_media::audio::speaker::Speaker;
use trunkline_media::audio::{MAX_FRAME_SAMPLES, Pcm};
use trunkline_media::hearing::{Change, Listener};
use trunkline_media::inband;

use super::events::Event;
use super::streams::{Drawn, Side, Sink, Source};

/// Frames between a leg and its room.
const LINE_FRAMES: usize = 8;
/// More than these waiting means that the taker was late.
const MAX_WAITING: usize = 2;

/// The leg's end of its place in a room.
pub struct Line {
    to_room: Producer<Pcm>,
    from_room: Consumer<Pcm>,
    feed: Feed,
}

/// The room's end.
pub struct Seat {
    /// Whose it is.
    pub leg: u64,
    member: Member,
    from_leg: Consumer<Pcm>,
    to_leg: Producer<Pcm>,
}

impl Seat {
    /// Both ends of a place.
    pub fn pair(leg: u64, part: Part) -> (Line, Seat) {
        let (to_room, from_leg) = RingBuffer::new(LINE_FRAMES);
        let (to_leg, from_room) = RingBuffer::new(LINE_FRAMES);
        let line = Line {
            to_room,
            from_room,
            feed: Feed::to(8000),
        };
        let seat = Seat {
            leg,
            member: Room::member(leg, part),
            from_leg,
            to_leg,
        };
        (line, seat)
    }

    /// Change how the leg takes part.
    pub fn set(&mut self, part: Part) {
        self.member.set(part);
    }
}

/// The next frame; of too many the newest.
fn newest(ring: &mut Consumer<Pcm>) -> Option<Pcm> {
    while ring.slots() > MAX_WAITING {
        let _ = ring.pop();
    }
    ring.pop().ok()
}

/// What a leg's audio is tied to.
#[derive(Default)]
pub struct Desk {
    /// Its place in a room.
    pub line: Option<Line>,
    /// Hears digits in what the peer says, while somebody wants them.
    pub digits: Option<Box<inband::Listener>>,
    sources: Vec<Source>,
    sinks: Vec<Sink>,
    listener: Option<Box<Listener>>,
}

impl Desk {
    /// Whether anything wants to hear the peer.
    pub fn hears(&self) -> bool {
        self.line.is_some() || self.listener.is_some() || self.digits.is_some() || self.sinks.iter().any(|sink| sink.side == Side::Heard)
    }

    /// Whether anything wants to speak to the peer.
    pub fn speaks(&self) -> bool {
        self.line.is_some() || !self.sources.is_empty()
    }

    /// Whether it is of no use.
    pub fn is_empty(&self) -> bool {
        self.line.is_none() && self.digits.is_none() && self.sources.is_empty() && self.sinks.is_empty() && self.listener.is_none()
    }

    /// Listen to what the peer's audio is made of, from now on or no longer.
    pub fn attend(&mut self, wanted: bool) {
        if wanted != self.listener.is_some() {
            self.listener = wanted.then(Box::default);
        }
    }

    /// The level of the last frame that was listened to.
    pub fn level_dbm0(&self) -> Option<f64> {
        self.listener.as_ref().map(|listener| listener.level_dbm0())
    }

    /// What the listener tells of this frame.
    pub fn judge(&mut self, frame: &Pcm) -> Option<Change> {
        self.listener.as_mut()?.hear(frame)
    }

    /// Play a source.
    pub fn play(&mut self, source: Source) {
        self.sources.push(source);
    }

    /// Fill a sink.
    pub fn fill(&mut self, sink: Sink) {
        self.sinks.push(sink);
    }

    /// Take a source or a sink away; the source's number if it was one.
    pub fn remove(&mut self, number: u64) -> Option<u64> {
        self.sinks.retain(|sink| sink.number != number);
        let place = self.sources.iter().position(|source| source.number == number)?;
        Some(self.sources.swap_remove(place).number)
    }

    /// The numbers of its sources, taken away.
    pub fn take_sources(&mut self) -> Vec<u64> {
        self.sources.drain(..).map(|source| source.number).collect()
    }

    /// The peer said this; whether the application is to be woken.
    pub fn heard(&mut self, tick: u64, frame: &Pcm) -> bool {
        if let Some(line) = &mut self.line {
            // A full ring belongs to a room that is late.
            let _ = line.to_room.push(*frame);
        }
        if let Some(listener) = &mut self.digits {
            listener.hear(frame);
        }
        give(&mut self.sinks, Side::Heard, tick, frame)
    }

    /// Make what is to be said to the peer at its rate; whether the application is to be woken. Sources that end are told to `ended`.
    pub fn say(&mut self, tick: u64, rate: u32, out: &mut Pcm, ended: impl FnMut(u64)) -> bool {
        let mut sum = [0i32; MAX_FRAME_SAMPLES];
        let exclusive = draw(&mut self.sources, rate, &mut sum, ended);
        if let Some(line) = &mut self.line
            && let Some(frame) = newest(&mut line.from_room)
            && !exclusive
        {
            line.feed.set_rate(rate);
            add(&mut sum, line.feed.bring(&frame));
        }
        out.hush(rate);
        for (out, sum) in out.samples_mut().iter_mut().zip(sum) {
            // In range by the clamp.
            *out = sum.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16;
        }
        give(&mut self.sinks, Side::Said, tick, out)
    }
}

fn add(sum: &mut [i32; MAX_FRAME_SAMPLES], frame: &Pcm) {
    for (sum, sample) in sum.iter_mut().zip(frame.samples()) {
        *sum = sum.saturating_add(i32::from(*sample));
    }
}

/// Draw every source and add them up; an exclusive one that speaks silences all before it. Whether one did.
fn draw(sources: &mut Vec<Source>, rate: u32, sum: &mut [i32; MAX_FRAME_SAMPLES], mut ended: impl FnMut(u64)) -> bool {
    let mut exclusive = false;
    let mut frame = Pcm::silence(rate);
    sources.retain_mut(|source| {
        let drawn = source.draw(&mut frame);
        if drawn == Drawn::Frame && (source.exclusive || !exclusive) {
            if source.exclusive {
                sum.fill(0);
                exclusive = true;
            }
            add(sum, source.bring(&frame, rate));
        }
        if drawn == Drawn::Ended {
            ended(source.number);
        }
        drawn != Drawn::Ended
    });
    exclusive
}

fn give(sinks: &mut Vec<Sink>, side: Side, tick: u64, frame: &Pcm) -> bool {
    let mut wakes = false;
    sinks.retain_mut(|sink| {
        if sink.side == side {
            wakes |= sink.give(tick, frame);
        }
        !sink.is_abandoned()
    });
    wakes
}

/// A room, where legs of any worker meet.
pub struct Meeting {
    /// Its number.
    pub number: u64,
    room: Room,
    seats: Vec<Seat>,
    /// Of each seat, the places of those whom it does not hear.
    unheard: Vec<Vec<usize>>,
    /// Who speaks and who was told to, where the application wants to know.
    speaker: Option<(Speaker, Option<u64>)>,
    sources: Vec<(Source, Member)>,
    sinks: Vec<Sink>,
}

impl Meeting {
    /// A room without anybody; with `watched` it tells who speaks.
    pub fn new(number: u64, watched: bool) -> Self {
        Meeting {
            number,
            room: Room::default(),
            seats: Vec::new(),
            unheard: Vec::new(),
            speaker: watched.then(Default::default),
            sources: Vec::new(),
            sinks: Vec::new(),
        }
    }

    /// Let a leg in.
    pub fn seat(&mut self, seat: Seat) {
        self.seats.push(seat);
        self.arrange();
    }

    /// Let a leg go.
    pub fn rise(&mut self, leg: u64) {
        self.seats.retain(|seat| seat.leg != leg);
        self.arrange();
    }

    /// Change how a leg takes part.
    pub fn set(&mut self, leg: u64, part: Part) {
        if let Some(seat) = self.seats.iter_mut().find(|seat| seat.leg == leg) {
            seat.set(part);
        }
        self.arrange();
    }

    /// Note who hears whom.
    fn arrange(&mut self) {
        self.unheard.resize_with(self.seats.len(), Vec::new);
        let open = self.seats.iter().all(|seat| seat.member.is_open());
        for (place, (row, listener)) in self.unheard.iter_mut().zip(&self.seats).enumerate() {
            row.clear();
            if !open {
                let others = self.seats.iter().enumerate();
                row.extend(
                    others
                        .filter(|(other, seat)| *other != place && !listener.member.hears(&seat.member))
                        .map(|(other, _)| other),
                );
            }
        }
    }

    /// How loud each leg is, in dBm0.
    pub fn levels(&self) -> Vec<(u64, f32)> {
        self.seats.iter().map(|seat| (seat.leg, seat.member.level().dbm0())).collect()
    }

    /// Who speaks now, where that was not told yet.
    pub fn news(&self) -> Option<Event> {
        let (speaker, told) = self.speaker?;
        let leg = speaker.current();
        (leg != told).then_some(Event::Speaker { room: self.number, leg })
    }

    /// The application knows who speaks.
    pub fn told(&mut self) {
        if let Some((speaker, told)) = &mut self.speaker {
            *told = speaker.current();
        }
    }

    /// Play a source to everybody.
    pub fn play(&mut self, source: Source) {
        self.sources.push((source, Room::member(PLAYED, Part::default())));
    }

    /// Fill a sink with what all say together.
    pub fn fill(&mut self, sink: Sink) {
        self.sinks.push(sink);
    }

    /// Take a source or a sink away; the source's number if it was one.
    pub fn remove(&mut self, number: u64) -> Option<u64> {
        self.sinks.retain(|sink| sink.number != number);
        let place = self.sources.iter().position(|(source, _)| source.number == number)?;
        Some(self.sources.swap_remove(place).0.number)
    }

    /// The numbers of its sources, taken away.
    pub fn take_sources(&mut self) -> Vec<u64> {
        self.sources.drain(..).map(|(source, _)| source.number).collect()
    }

    /// 20 ms pass: everybody hears all others; whether the application is to be woken.
    pub fn mix(&mut self, tick: u64, mut ended: impl FnMut(u64)) -> bool {
        self.room.begin();
        let room = &mut self.room;
        let seated = self.seats.len();
        self.seats.retain_mut(|seat| {
            let frame = newest(&mut seat.from_leg);
            room.say(&mut seat.member, frame.as_ref());
            // The leg is gone with its desk.
            frame.is_some() || !seat.from_leg.is_abandoned()
        });
        if self.seats.len() != seated {
            self.arrange();
        }
        let room = &mut self.room;
        let mut frame = Pcm::silence(8000);
        self.sources.retain_mut(|(source, member)| {
            let drawn = source.draw(&mut frame);
            room.say(member, (drawn == Drawn::Frame).then_some(&frame));
            if drawn == Drawn::Ended {
                ended(source.number);
            }
            drawn != Drawn::Ended
        });
        self.hear(&mut frame);
        if let Some((speaker, _)) = &mut self.speaker {
            speaker.tick(self.seats.iter().map(|seat| (seat.leg, seat.member.public_power())));
        }
        if self.sinks.is_empty() {
            return false;
        }
        let private = self.seats.iter().map(|seat| &seat.member).filter(|member| !member.speaks_to_all());
        self.room.all(private, &mut frame);
        give(&mut self.sinks, Side::Heard, tick, &frame)
    }

    /// Everybody hears those whom he hears.
    fn hear(&mut self, frame: &mut Pcm) {
        for place in 0..self.seats.len() {
            let (Some(seat), Some(unheard)) = (self.seats.get(place), self.unheard.get(place)) else {
                continue;
            };
            let unheard = unheard.iter().filter_map(|other| self.seats.get(*other));
            self.room.hear(&seat.member, unheard.map(|seat| &seat.member), frame);
            if let Some(seat) = self.seats.get_mut(place) {
                // A full ring belongs to a leg whose worker is late.
                let _ = seat.to_leg.push(*frame);
            }
        }
    }
}
