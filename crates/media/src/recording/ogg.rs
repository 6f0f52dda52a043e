//! Ogg pages (RFC 3533 §6): packets of one stream, a checksum a page, so that a file that ends anywhere is whole up to there.
//!
//! Written here and not by a crate: a page is a header of 27 bytes, a table of lengths and a checksum, every packet of ours fits into one, and
//! when a page ends is the recording's own decision.

/// Lengths that fit into the table of a page.
const MAX_SEGMENTS: usize = 255;

/// The first page of the stream.
pub const FIRST: u8 = 0x02;
/// The last one.
pub const LAST: u8 = 0x04;

/// The checksum's polynomial, not reflected (RFC 3533 §6, field 7).
const POLYNOMIAL: u32 = 0x04c1_1db7;
const CRC: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut n = 0;
    while n < 256 {
        let mut crc = (n as u32) << 24;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000_0000 == 0 { crc << 1 } else { crc << 1 ^ POLYNOMIAL };
            bit += 1;
        }
        table[n] = crc;
        n += 1;
    }
    table
}

/// The checksum of a page whose own checksum is zero.
#[must_use]
pub fn checksum(page: &[u8]) -> u32 {
    page.iter().fold(0, |crc, byte| {
        let index = (crc >> 24) as u8 ^ byte;
        // The table has an entry for every byte.
        crc << 8 ^ CRC.get(usize::from(index)).copied().unwrap_or(0)
    })
}

/// The pages of one stream. Packets are put in; `page` writes out those that were.
#[derive(Debug)]
pub struct Pages {
    serial: u32,
    sequence: u32,
    lengths: Vec<u8>,
    data: Vec<u8>,
}

impl Pages {
    /// The stream of this number.
    #[must_use]
    pub const fn new(serial: u32) -> Self {
        Pages {
            serial,
            sequence: 0,
            lengths: Vec::new(),
            data: Vec::new(),
        }
    }

    /// Whether a packet of this length still fits into the page that is being filled.
    #[must_use]
    pub fn fits(&self, length: usize) -> bool {
        self.lengths.len() + length / 255 < MAX_SEGMENTS
    }

    /// Whether no packet has been put in since the last page.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// Put in a packet that `fits`.
    pub fn put(&mut self, packet: &[u8]) {
        let mut rest = packet.len();
        while rest >= 255 {
            self.lengths.push(255);
            rest -= 255;
        }
        // A packet ends with a length below 255, be it 0; this is below 255.
        self.lengths.push(rest as u8);
        self.data.extend_from_slice(packet);
    }

    /// Append a page of all that was put in.
    ///
    /// `position`: of the last packet's end, in samples; `flags`: [`FIRST`], [`LAST`] or 0.
    pub fn page(&mut self, position: u64, flags: u8, out: &mut Vec<u8>) {
        let mut page = Vec::with_capacity(27 + self.lengths.len() + self.data.len());
        page.extend_from_slice(b"OggS\0");
        page.push(flags);
        page.extend_from_slice(&position.to_le_bytes());
        page.extend_from_slice(&self.serial.to_le_bytes());
        page.extend_from_slice(&self.sequence.to_le_bytes());
        page.extend_from_slice(&[0; 4]);
        // At most MAX_SEGMENTS by `fits`.
        page.push(self.lengths.len().min(MAX_SEGMENTS) as u8);
        page.append(&mut self.lengths);
        page.append(&mut self.data);
        let crc = checksum(&page).to_le_bytes();
        if let Some(field) = page.get_mut(22..26) {
            field.copy_from_slice(&crc);
        }
        self.sequence = self.sequence.wrapping_add(1);
        out.append(&mut page);
    }
}
