//! Packet indices: the roll-over counter guessed from 16 bits, and the window that refuses what came before (RFC 3711 §3.3.1, §3.3.2).
//!
//! One [`Stream`] an SSRC, in a bounded table. Numbers change only through [`Stream::take`], after the packet was found authentic.

/// How many packets back the window reaches; RFC 3711 §3.3.2 wants 64 or more.
pub const WINDOW: u64 = 128;
/// How many SSRCs one direction keeps.
pub const MAX_STREAMS: usize = 16;
/// The roll-over counter has 32 bits: a key serves 2^48 packets (RFC 3711 §9.2).
const MAX_RTP_INDEX: u64 = (1 << 48) - 1;
/// SRTCP's index has 31 bits.
pub(super) const MAX_RTCP_INDEX: u64 = (1 << 31) - 1;

/// What came already: the highest index, and one bit for each of the [`WINDOW`] up to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Window {
    highest: Option<u64>,
    seen: u128,
}

impl Window {
    /// Whether that index is neither too old nor taken.
    pub(super) fn is_new(self, index: u64) -> bool {
        let Some(highest) = self.highest else { return true };
        match highest.checked_sub(index) {
            None => true,
            Some(back) => back < WINDOW && self.seen >> back & 1 == 0,
        }
    }

    /// Note an index that [`Window::is_new`] allowed.
    pub(super) fn take(&mut self, index: u64) {
        let highest = self.highest.unwrap_or(index);
        if index >= highest {
            let ahead = index - highest;
            let before = if ahead < WINDOW { self.seen << ahead } else { 0 };
            self.seen = before | 1;
            self.highest = Some(index);
        } else if highest - index < WINDOW {
            self.seen |= 1 << (highest - index);
        }
    }
}

/// The numbers of one SSRC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stream {
    ssrc: u32,
    pub(super) rtp: Window,
    pub(super) rtcp: Window,
    /// When it was last used, in uses of the table.
    used: u64,
}

impl Stream {
    const fn new(ssrc: u32) -> Self {
        let fresh = Window { highest: None, seen: 0 };
        Stream {
            ssrc,
            rtp: fresh,
            rtcp: fresh,
            used: 0,
        }
    }

    /// The index that a sequence number stands for (RFC 3711 §3.3.1, appendix A); `None` when the key is used up, or before its beginning.
    pub(super) fn index(&self, sequence: u16) -> Option<u64> {
        let sequence = u64::from(sequence);
        let Some(highest) = self.rtp.highest else { return Some(sequence) };
        let (roll_over, last) = (highest >> 16, highest & 0xffff);
        let guess = if last < 0x8000 {
            if sequence > last + 0x8000 {
                roll_over.checked_sub(1)
            } else {
                Some(roll_over)
            }
        } else if sequence + 0x8000 < last {
            Some(roll_over + 1)
        } else {
            Some(roll_over)
        };
        guess.map(|guess| guess << 16 | sequence).filter(|index| *index <= MAX_RTP_INDEX)
    }
}

/// What is done where the table is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// Forget the stream that was not heard for longest: only who has the key can bring us there.
    Forget,
    /// Take no more: a sender that forgets an index could use it twice.
    Refuse,
}

/// The streams of one direction.
#[derive(Clone, Debug)]
pub(super) struct Streams {
    streams: Vec<Stream>,
    uses: u64,
    full: Full,
}

impl Streams {
    /// An empty table; its memory is taken now, for a packet takes none.
    pub(super) fn new(full: Full) -> Self {
        Streams {
            streams: Vec::with_capacity(MAX_STREAMS),
            uses: 0,
            full,
        }
    }

    /// What is known of an SSRC, which is nothing at first.
    pub(super) fn find(&self, ssrc: u32) -> Stream {
        let known = self.streams.iter().find(|stream| stream.ssrc == ssrc);
        known.copied().unwrap_or(Stream::new(ssrc))
    }

    /// Keep a stream that has changed; false where there is no room.
    pub(super) fn keep(&mut self, mut stream: Stream) -> bool {
        self.uses += 1;
        stream.used = self.uses;
        let place = self.streams.iter_mut().find(|known| known.ssrc == stream.ssrc);
        if let Some(place) = place {
            *place = stream;
        } else if self.streams.len() < MAX_STREAMS {
            self.streams.push(stream);
        } else if self.full == Full::Forget
            && let Some(oldest) = self.streams.iter_mut().min_by_key(|known| known.used)
        {
            *oldest = stream;
        } else {
            return false;
        }
        true
    }
}

impl Window {
    /// The next index to send; `None` when they are used up.
    pub(super) fn next(self, last: u64) -> Option<u64> {
        let next = self.highest.map_or(0, |highest| highest + 1);
        (next <= last).then_some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(index: u64) -> Stream {
        let mut stream = Stream::new(1);
        stream.rtp.take(index);
        stream
    }

    #[test]
    fn test_the_index_nearest_to_the_highest_is_meant() {
        assert_eq!(Stream::new(1).index(65_535), Some(65_535));
        assert_eq!(at(0x1_0000).index(0xffff), Some(0xffff));
        assert_eq!(at(0xffff).index(0), Some(0x1_0000));
        assert_eq!(at(0x2_8000).index(0), Some(0x2_0000));
        assert_eq!(at(0x2_8001).index(0), Some(0x3_0000));
        assert_eq!(at(0x2_7fff).index(0xffff), Some(0x2_ffff));
        assert_eq!(at(0x2_7ffe).index(0xffff), Some(0x1_ffff));
    }

    #[test]
    fn test_there_is_no_index_before_the_first_and_after_the_last() {
        assert_eq!(at(3).index(0xfff0), None);
        assert_eq!(at(MAX_RTP_INDEX).index(0), None);
        assert_eq!(at(MAX_RTP_INDEX).index(0xfffe), Some(MAX_RTP_INDEX - 1));
    }

    #[test]
    fn test_the_window_takes_each_index_once_and_none_too_old() {
        let mut window = Window::default();
        window.take(1000);
        assert!(!window.is_new(1000));
        assert!(window.is_new(1001));
        assert!(window.is_new(1000 - WINDOW + 1));
        assert!(!window.is_new(1000 - WINDOW));
        window.take(1000 - WINDOW + 1);
        assert!(!window.is_new(1000 - WINDOW + 1));
        window.take(1000 + WINDOW - 1);
        assert!(!window.is_new(1000));
        assert!(window.is_new(1001));
        window.take(5000);
        assert!(window.is_new(4999));
        assert!(!window.is_new(1001));
    }

    #[test]
    fn test_a_full_table_forgets_the_stream_not_heard_for_longest_or_refuses() {
        for full in [Full::Forget, Full::Refuse] {
            let mut streams = Streams::new(full);
            for ssrc in 0..u32::try_from(MAX_STREAMS).unwrap() {
                let mut stream = streams.find(ssrc);
                stream.rtp.take(7);
                assert!(streams.keep(stream));
            }
            let first = streams.find(0);
            assert!(streams.keep(first));
            let mut another = streams.find(99);
            another.rtp.take(7);
            assert_eq!(streams.keep(another), full == Full::Forget);
            assert!(!streams.find(0).rtp.is_new(7));
            assert_eq!(streams.find(1).rtp.is_new(7), full == Full::Forget);
            assert_eq!(streams.streams.capacity(), MAX_STREAMS);
        }
    }
}
