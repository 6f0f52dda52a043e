//! Packets held, in order of their numbers, in memory that is taken once.

use super::stream::Spot;
use crate::rtp::Header;

/// A packet held. Its payload lies in a slot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) header: Header,
    pub(super) clock_rate: u32,
    pub(super) sequence: i64,
    pub(super) position: i64,
    pub(super) restart: bool,
    /// A telephone event: a number without audio and without a slot.
    pub(super) event: bool,
    slot: u16,
    length: u16,
}

impl Entry {
    pub(super) const fn audio(header: Header, clock_rate: u32, spot: Spot) -> Self {
        Entry {
            header,
            clock_rate,
            sequence: spot.sequence,
            position: spot.position,
            restart: spot.restart,
            event: false,
            slot: 0,
            length: 0,
        }
    }

    pub(super) const fn event(header: Header, sequence: i64) -> Self {
        Entry {
            header,
            clock_rate: 0,
            sequence,
            position: 0,
            restart: false,
            event: true,
            slot: 0,
            length: 0,
        }
    }
}

/// The packets and their memory: a slot for each, one for the packet being played and one for a packet that stands aside.
#[derive(Clone, Debug)]
pub(super) struct Slots {
    capacity: usize,
    payload_bytes: usize,
    bytes: Vec<u8>,
    /// The last freed is used first, so that few pages are touched.
    free: Vec<u16>,
    order: Vec<Entry>,
    playing: u16,
    aside: u16,
}

impl Slots {
    pub(super) fn new(packets: u16, payload_bytes: u16) -> Self {
        let capacity = packets.clamp(1, u16::MAX - 2);
        Slots {
            capacity: usize::from(capacity),
            payload_bytes: usize::from(payload_bytes),
            bytes: vec![0; (usize::from(capacity) + 2) * usize::from(payload_bytes)],
            free: (2..capacity + 2).rev().collect(),
            order: Vec::with_capacity(usize::from(capacity)),
            playing: 0,
            aside: 1,
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.order.len() >= self.capacity
    }

    pub(super) fn first(&self) -> Option<Entry> {
        self.order.first().copied()
    }

    pub(super) fn last(&self) -> Option<&Entry> {
        self.order.last()
    }

    pub(super) fn first_audio(&self) -> Option<&Entry> {
        self.order.iter().find(|entry| !entry.event)
    }

    pub(super) fn last_audio(&self) -> Option<&Entry> {
        self.order.iter().rev().find(|entry| !entry.event)
    }

    /// How many packets of audio are held.
    pub(super) fn audio(&self) -> u16 {
        u16::try_from(self.order.iter().filter(|entry| !entry.event).count()).unwrap_or(u16::MAX)
    }

    fn place(&self, sequence: i64) -> usize {
        // Nearly always the end: look from there.
        let behind = self.order.iter().rev().take_while(|entry| entry.sequence > sequence).count();
        self.order.len() - behind
    }

    /// Whether a position lies between those of its neighbours in number.
    pub(super) fn fits(&self, sequence: i64, position: i64) -> bool {
        let (before, behind) = self.order.split_at_checked(self.place(sequence)).unwrap_or((&[], &[]));
        let before = before.iter().rev().find(|entry| !entry.event);
        let behind = behind.iter().find(|entry| !entry.event);
        before.is_none_or(|entry| entry.position < position) && behind.is_none_or(|entry| position < entry.position)
    }

    fn range(&self, slot: u16, length: u16) -> std::ops::Range<usize> {
        let start = usize::from(slot) * self.payload_bytes;
        start..start + usize::from(length)
    }

    /// Hold a packet. The caller has made room; a payload beyond the slot is cut off.
    pub(super) fn insert(&mut self, mut entry: Entry, payload: &[u8]) {
        if !entry.event {
            let Some(slot) = self.free.pop() else { return };
            entry.slot = slot;
            entry.length = self.write(slot, payload);
        }
        self.order.insert(self.place(entry.sequence), entry);
    }

    fn write(&mut self, slot: u16, payload: &[u8]) -> u16 {
        let length = payload.len().min(self.payload_bytes);
        let short = u16::try_from(length).unwrap_or(0);
        let range = self.range(slot, short);
        if let (Some(to), Some(from)) = (self.bytes.get_mut(range), payload.get(..length)) {
            to.copy_from_slice(from);
        }
        short
    }

    /// Keep a payload beside the others; says its length.
    pub(super) fn set_aside(&mut self, payload: &[u8]) -> u16 {
        self.write(self.aside, payload)
    }

    /// Hold the packet that stands aside.
    pub(super) fn insert_aside(&mut self, mut entry: Entry, length: u16) {
        let Some(slot) = self.free.pop() else { return };
        (entry.slot, entry.length) = (std::mem::replace(&mut self.aside, slot), length);
        self.order.insert(self.place(entry.sequence), entry);
    }

    /// Take the oldest out; its payload stays readable until the next is taken.
    pub(super) fn take_first(&mut self) -> Option<Entry> {
        if self.order.is_empty() {
            return None;
        }
        let entry = self.order.remove(0);
        if !entry.event {
            let done = std::mem::replace(&mut self.playing, entry.slot);
            self.free.push(done);
        }
        Some(entry)
    }

    pub(super) fn payload(&self, entry: &Entry) -> &[u8] {
        self.bytes.get(self.range(entry.slot, entry.length)).unwrap_or(&[])
    }
}
