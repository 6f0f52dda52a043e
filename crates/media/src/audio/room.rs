//! Where legs meet: each member hears the sum of all others (N-1), at the highest rate of those who speak.
//!
//! Sums are 32 bits wide. Two voices and more are limited softly above three quarters of full scale, so that many at once do not crackle;
//! one voice alone passes as it is.

use super::feed::Feed;
use super::{MAX_FRAME_SAMPLES, Pcm};

/// Above this a sum of several voices is bent.
const KNEE: i32 = 24_576;
const FULL_SCALE: i32 = 32_767;
/// Sixteen bits of fraction of a gain.
const GAIN_BITS: u32 = 16;
/// No gain is higher: 24 dB.
const MAX_GAIN: f32 = 16.0;

/// How a member takes part.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Part {
    /// What its voice is multiplied by, 0 to 16.
    pub gain: f32,
    /// The others do not hear it.
    pub muted: bool,
    /// It does not hear the others.
    pub deaf: bool,
}

impl Default for Part {
    fn default() -> Self {
        Part {
            gain: 1.0,
            muted: false,
            deaf: false,
        }
    }
}

/// What a room keeps of a member; made by [`Room::member`], kept by whoever keeps the room.
#[derive(Debug)]
pub struct Member {
    part: Part,
    gain: i32,
    feed: Feed,
    /// The rate of what it said last.
    rate: u32,
    voice: Box<[i32; MAX_FRAME_SAMPLES]>,
    speaks: bool,
}

impl Member {
    /// Change how it takes part.
    pub fn set(&mut self, part: Part) {
        self.part = part;
        let gain = if part.gain.is_finite() {
            part.gain.clamp(0.0, MAX_GAIN)
        } else {
            0.0
        };
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
    /// A new member, to be given to the room's other functions.
    #[must_use]
    pub fn member(part: Part) -> Member {
        let mut member = Member {
            part,
            gain: 0,
            feed: Feed::to(8000),
            rate: 8000,
            voice: Box::new([0; MAX_FRAME_SAMPLES]),
            speaks: false,
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

    /// What a member hears: all others.
    pub fn hear(&self, member: &Member, out: &mut Pcm) {
        out.hush(self.rate);
        let voices = self.voices - u32::from(member.speaks);
        if member.part.deaf || voices == 0 {
            return;
        }
        let limit = if voices == 1 { saturate } else { bend };
        for ((out, sum), own) in out.samples_mut().iter_mut().zip(self.sum.iter()).zip(member.voice.iter()) {
            let own = if member.speaks { *own } else { 0 };
            *out = limit(sum.saturating_sub(own));
        }
    }
}

impl Room {
    /// What somebody hears who is no member: everybody.
    pub fn all(&self, out: &mut Pcm) {
        out.hush(self.rate);
        let limit = if self.voices == 1 { saturate } else { bend };
        for (out, sum) in out.samples_mut().iter_mut().zip(self.sum.iter()) {
            *out = limit(*sum);
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
        room.hear(member, &mut out);
        assert_eq!(out.rate(), room.rate());
        out.samples()[100]
    }

    fn room_of(values: &[i16]) -> (Room, Vec<Member>) {
        let mut room = Room::default();
        let mut members: Vec<Member> = values.iter().map(|_| Room::member(Part::default())).collect();
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
        let part = |gain, muted, deaf| Room::member(Part { gain, muted, deaf });
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
        let (mut narrow, mut wide) = (Room::member(Part::default()), Room::member(Part::default()));
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
}
