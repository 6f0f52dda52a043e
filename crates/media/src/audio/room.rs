//! Where legs meet: each member hears the sum of all others (N-1), at the highest rate of those who speak.
//!
//! Sums are 32 bits wide. Two voices and more are limited softly above three quarters of full scale, so that many at once do not crackle;
//! one voice alone passes as it is. Whom a member does not hear is taken out of its sum: a room of members that hear everybody costs one subtraction each.

use super::circle::Circle;
use super::feed::Feed;
use super::speaker::Level;
use super::{MAX_FRAME_SAMPLES, Pcm};

/// Above this a sum of several voices is bent.
const KNEE: i32 = 24_576;
const FULL_SCALE: i32 = 32_767;
/// Sixteen bits of fraction of a gain.
const GAIN_BITS: u32 = 16;
/// No gain is higher: 24 dB.
const MAX_GAIN: f32 = 16.0;
/// The number of what is played to a room: it is no member that a circle could name, and heard by all who are not deaf.
pub const PLAYED: u64 = 0;

/// How a member takes part.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// What its voice is multiplied by, 0 to 16.
    pub gain: f32,
    /// The others do not hear it.
    pub muted: bool,
    /// It does not hear the others.
    pub deaf: bool,
    /// Whom it hears, of those who let it.
    pub hears: Circle,
    /// Who hears it, of those who want to.
    pub heard_by: Circle,
}

impl Default for Part {
    fn default() -> Self {
        Part {
            gain: 1.0,
            muted: false,
            deaf: false,
            hears: Circle::Everybody,
            heard_by: Circle::Everybody,
        }
    }
}

/// What a room keeps of a member; made by [`Room::member`], kept by whoever keeps the room.
#[derive(Debug)]
pub struct Member {
    number: u64,
    part: Part,
    gain: i32,
    feed: Feed,
    /// The rate of what it said last.
    rate: u32,
    voice: Box<[i32; MAX_FRAME_SAMPLES]>,
    speaks: bool,
    level: Level,
}

impl Member {
    /// By what circles name it.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Whether it hears another, were that one to speak.
    #[must_use]
    pub fn hears(&self, other: &Member) -> bool {
        other.number == PLAYED || (self.part.hears.holds(other.number) && other.part.heard_by.holds(self.number))
    }

    /// Whether it hears everybody, and everybody it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.part.hears == Circle::Everybody && self.speaks_to_all()
    }

    /// Whether it speaks to everybody.
    #[must_use]
    pub fn speaks_to_all(&self) -> bool {
        self.part.heard_by == Circle::Everybody
    }

    /// How loud it is, before mute and gain.
    #[must_use]
    pub const fn level(&self) -> Level {
        self.level
    }

    /// Its power as the room's speaker: none while it is muted or speaks to a few.
    #[must_use]
    pub fn public_power(&self) -> f32 {
        if self.part.muted || !self.speaks_to_all() {
            0.0
        } else {
            self.level.power()
        }
    }

    /// Change how it takes part.
    pub fn set(&mut self, part: Part) {
        let gain = if part.gain.is_finite() {
            part.gain.clamp(0.0, MAX_GAIN)
        } else {
            0.0
        };
        self.part = part;
        // At most 2^20 by the clamp.
        self.gain = (gain * (1 << GAIN_BITS) as f32) as i32;
    }
}

/// The sum of this tick.
#[derive(Debug)]
pub struct Room {
    rate: u32,
    next_rate: u32,
    sum: Box<[i32; MAX_FRAME_SAMPLES]>,
    voices: u32,
}

impl Default for Room {
    fn default() -> Self {
        Room {
            rate: 8000,
            next_rate: 8000,
            sum: Box::new([0; MAX_FRAME_SAMPLES]),
            voices: 0,
        }
    }
}

impl Room {
    /// A new member, to be given to the room's other functions, by the number that circles name it by.
    #[must_use]
    pub fn member(number: u64, part: Part) -> Member {
        let mut member = Member {
            number,
            part: Part::default(),
            gain: 0,
            feed: Feed::to(8000),
            rate: 8000,
            voice: Box::new([0; MAX_FRAME_SAMPLES]),
            speaks: false,
            level: Level::default(),
        };
        member.set(part);
        member
    }

    /// A tick begins: nobody has spoken. The room is at the highest rate that was spoken last time.
    pub fn begin(&mut self) {
        self.rate = std::mem::replace(&mut self.next_rate, 8000);
        self.sum.fill(0);
        self.voices = 0;
    }

    /// The rate in Hz of what is heard in it.
    #[must_use]
    pub const fn rate(&self) -> u32 {
        self.rate
    }

    /// A member says this; `None` when nothing came of it this time.
    pub fn say(&mut self, member: &mut Member, frame: Option<&Pcm>) {
        if let Some(frame) = frame {
            member.rate = frame.rate();
        }
        member.level.take(frame);
        // One whose frame is late keeps the room at its rate.
        self.next_rate = self.next_rate.max(member.rate);
        member.speaks = false;
        let Some(frame) = frame.filter(|frame| !member.part.muted && !frame.is_silent()) else {
            return;
        };
        member.feed.set_rate(self.rate);
        let samples = member.feed.bring(frame).samples();
        for ((voice, sum), sample) in member.voice.iter_mut().zip(self.sum.iter_mut()).zip(samples) {
            // 2^15 * 2^20 does not fit 32 bits.
            *voice = ((i64::from(*sample) * i64::from(member.gain)) >> GAIN_BITS) as i32;
            *sum = sum.saturating_add(*voice);
        }
        member.speaks = true;
        self.voices += 1;
    }

    /// What a member hears: all others but those whom it does not hear.
    pub fn hear<'a>(&self, member: &'a Member, unheard: impl Iterator<Item = &'a Member>, out: &mut Pcm) {
        out.hush(self.rate);
        if !member.part.deaf {
            self.without(std::iter::once(member).chain(unheard), out);
        }
    }

    /// What is said to everybody: all but those who speak to a few.
    pub fn all<'a>(&self, private: impl Iterator<Item = &'a Member>, out: &mut Pcm) {
        out.hush(self.rate);
        self.without(private, out);
    }

    fn without<'a>(&self, left_out: impl Iterator<Item = &'a Member>, out: &mut Pcm) {
        let mut rest = *self.sum;
        let mut voices = self.voices;
        for member in left_out.filter(|member| member.speaks) {
            voices = voices.saturating_sub(1);
            let voice = member.voice.iter().take(out.samples().len());
            rest.iter_mut().zip(voice).for_each(|(rest, own)| *rest = rest.saturating_sub(*own));
        }
        let limit = match voices {
            0 => return,
            1 => saturate,
            _ => bend,
        };
        for (out, rest) in out.samples_mut().iter_mut().zip(rest) {
            *out = limit(rest);
        }
    }
}

fn saturate(sample: i32) -> i16 {
    sample.clamp(-FULL_SCALE - 1, FULL_SCALE) as i16
}

/// Limit softly: unchanged up to the knee, then towards full scale without ever reaching it.
fn bend(sample: i32) -> i16 {
    let over = sample.saturating_abs() - KNEE;
    if over <= 0 {
        return saturate(sample);
    }
    let room = i64::from(FULL_SCALE - KNEE);
    let bent = i64::from(KNEE) + room * i64::from(over) / (room + i64::from(over));
    // Below full scale by the line above.
    let bent = bent as i16;
    if sample < 0 { -bent } else { bent }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(rate: u32, value: i16) -> Pcm {
        let mut frame = Pcm::silence(rate);
        frame.samples_mut().fill(value);
        frame
    }

    fn heard(room: &Room, member: &Member) -> i16 {
        let mut out = Pcm::silence(8000);
        room.hear(member, std::iter::empty(), &mut out);
        assert_eq!(out.rate(), room.rate());
        out.samples()[100]
    }

    fn room_of(values: &[i16]) -> (Room, Vec<Member>) {
        let mut room = Room::default();
        let mut members: Vec<Member> = (1..).zip(values).map(|(number, _)| Room::member(number, Part::default())).collect();
        room.begin();
        for (member, value) in members.iter_mut().zip(values) {
            room.say(member, Some(&frame(8000, *value)));
        }
        (room, members)
    }

    #[test]
    fn test_everybody_hears_all_others_and_not_himself() {
        let (room, members) = room_of(&[100, 20, 3, 0]);
        let all: Vec<i16> = members.iter().map(|member| heard(&room, member)).collect();
        assert_eq!(all, [23, 103, 120, 123]);
    }

    #[test]
    fn test_two_hundred_loud_voices_stay_below_full_scale() {
        let (room, members) = room_of(&[20_000; 200]);
        assert!((32_000..32_767).contains(&heard(&room, &members[0])));
        let (room, members) = room_of(&[-20_000; 200]);
        assert!((-32_767..-32_000).contains(&heard(&room, &members[0])));
    }

    #[test]
    fn test_one_voice_passes_as_it_is() {
        let (room, members) = room_of(&[0, 32_767, 0]);
        assert_eq!(heard(&room, &members[0]), 32_767);
        assert_eq!(heard(&room, &members[1]), 0);
    }

    #[test]
    fn test_bending_keeps_the_order_of_samples() {
        let mut last = i16::MIN;
        for sample in (-3_000_000..3_000_000).step_by(997) {
            let bent = bend(sample);
            assert!(bent >= last);
            last = bent;
        }
        assert_eq!((bend(24_000), bend(i32::MIN).signum(), bend(i32::MAX).signum()), (24_000, -1, 1));
    }

    #[test]
    fn test_muted_is_not_heard_deaf_does_not_hear_and_gain_multiplies() {
        let mut room = Room::default();
        let part = |gain, muted, deaf| {
            let part = Part {
                gain,
                muted,
                deaf,
                ..Part::default()
            };
            Room::member(1, part)
        };
        let mut members = [part(0.5, false, false), part(1.0, true, false), part(1.0, false, true)];
        room.begin();
        for member in &mut members {
            room.say(member, Some(&frame(8000, 1000)));
        }
        assert_eq!([0, 1, 2].map(|n: usize| heard(&room, &members[n])), [1000, 1500, 0]);
        members[1].set(Part::default());
        room.begin();
        for member in &mut members {
            room.say(member, Some(&frame(8000, 1000)));
        }
        assert_eq!(heard(&room, &members[0]), 2000);
    }

    #[test]
    fn test_the_room_takes_the_highest_rate_of_its_members() {
        let mut room = Room::default();
        let (mut narrow, mut wide) = (Room::member(1, Part::default()), Room::member(2, Part::default()));
        for rate in [8000, 16_000, 16_000] {
            room.begin();
            assert_eq!(room.rate(), rate);
            room.say(&mut narrow, Some(&frame(8000, 1000)));
            room.say(&mut wide, Some(&frame(16_000, 500)));
        }
        room.begin();
        room.say(&mut narrow, Some(&frame(8000, 1000)));
        room.begin();
        assert_eq!(room.rate(), 8000);
    }

    fn to_few(number: u64, heard_by: &[u64]) -> Member {
        let part = Part {
            heard_by: Circle::Only(heard_by.to_vec()),
            ..Part::default()
        };
        Room::member(number, part)
    }

    #[test]
    fn test_a_member_hears_whom_it_wants_and_who_lets_it() {
        let [caller, agent] = [1, 2].map(|number| Room::member(number, Part::default()));
        let (coach, spy) = (to_few(3, &[2]), to_few(4, &[]));
        assert!(agent.hears(&coach) && coach.hears(&agent) && coach.hears(&caller));
        assert!(!caller.hears(&coach) && !spy.hears(&coach) && !coach.hears(&spy));
        let part = Part {
            hears: Circle::Only(vec![1]),
            ..Part::default()
        };
        let fan = Room::member(5, part);
        assert!(fan.hears(&caller) && !fan.hears(&agent) && agent.hears(&fan));
        assert!(fan.hears(&Room::member(PLAYED, Part::default())));
    }

    #[test]
    fn test_whom_one_does_not_hear_is_taken_out_of_his_sum_alone_and_out_of_the_rooms() {
        let mut room = Room::default();
        let mut members = [Room::member(1, Part::default()), Room::member(2, Part::default()), to_few(3, &[2])];
        room.begin();
        for (member, value) in members.iter_mut().zip([1000, 200, 30]) {
            room.say(member, Some(&frame(8000, value)));
        }
        let all: Vec<i16> = members
            .iter()
            .map(|listener| {
                let unheard = members
                    .iter()
                    .filter(|other| other.number() != listener.number() && !listener.hears(other));
                let mut out = Pcm::silence(8000);
                room.hear(listener, unheard, &mut out);
                out.samples()[100]
            })
            .collect();
        assert_eq!(all, [200, 1030, 1200]);
        let mut out = Pcm::silence(8000);
        room.all(members.iter().filter(|member| !member.speaks_to_all()), &mut out);
        assert_eq!(out.samples()[100], 1200);
        assert!(members[0].public_power() > 0.0 && members[2].public_power() == 0.0);
    }
}
