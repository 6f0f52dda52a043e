//! Which payload type each of our codecs has, stable over the session (RFC 3264 §8.3.2).
//!
//! A codec keeps its number from offer to offer; a new one gets what its caller wants, its static number or a free dynamic one (RFC 3551 §3).
//! Numbers that we once advertised are not given to another codec. `describer` keeps one.

use super::codec::Codec;

/// The dynamic payload types, then the unassigned ones below those that RTCP needs (RFC 3551 §3, RFC 5761 §4).
const FREE: [std::ops::RangeInclusive<u8>; 2] = [96..=127, 35..=63];
/// What telephone-event of 8 kHz has nearly everywhere; some peers expect it without reading the rtpmap.
const EVENTS: u8 = 101;

/// The payload types of one leg's session.
#[derive(Clone, Debug, Default)]
pub(super) struct Numbering {
    given: Vec<Codec>,
    /// One bit for each payload type that was ever advertised.
    used: u128,
}

impl Numbering {
    /// Give every codec its number, each codec once; `None` when there are more than numbers.
    pub(super) fn number(&mut self, codecs: &[Codec]) -> Option<Vec<Codec>> {
        let mut numbered: Vec<Codec> = Vec::new();
        for codec in codecs {
            if !numbered.iter().any(|known| known.same_format(codec)) {
                let number = self.given_to(codec).or_else(|| self.choose(codec))?;
                numbered.push(codec.numbered(number));
                self.note(&codec.numbered(number));
            }
        }
        Some(numbered)
    }

    /// Remember a number that stands in a description of ours, chosen by whoever offered.
    pub(super) fn note(&mut self, codec: &Codec) {
        let Some(number) = codec.payload_type() else { return };
        self.given
            .retain(|known| known.payload_type() != Some(number) && !known.same_format(codec));
        self.given.push(codec.clone());
        self.used |= 1_u128 << (number & 127);
    }

    /// The codecs that have a number.
    pub(super) fn codecs(&self) -> &[Codec] {
        &self.given
    }

    fn given_to(&self, codec: &Codec) -> Option<u8> {
        self.given.iter().find(|known| known.same_format(codec))?.payload_type()
    }

    fn choose(&self, codec: &Codec) -> Option<u8> {
        let is_events = codec.name().eq_ignore_ascii_case("telephone-event") && codec.clock_rate() == 8000;
        let wanted = [codec.payload_type(), codec.static_type(), is_events.then_some(EVENTS)];
        let free = FREE
            .into_iter()
            .flatten()
            .filter(|number| is_events || *number != EVENTS)
            .chain([EVENTS]);
        wanted
            .into_iter()
            .flatten()
            .chain(free)
            .find(|number| self.used >> (number & 127) & 1 == 0)
    }
}
