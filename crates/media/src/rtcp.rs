//! RTCP compound packets: checked as a whole, read one by one, built into a reused buffer (RFC 3550 §6, A.2).
//!
//! [`parse`] is what the fuzz target calls. Reports are never forwarded: each leg makes its own out of its own statistics.

/// Report blocks of one packet: a five-bit count.
pub const MAX_BLOCKS: usize = 31;
/// Longer texts are cut off when built (RFC 3550 §6.5: one length byte).
const MAX_TEXT: usize = 255;

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const GOODBYE: u8 = 203;
/// SDES item types (RFC 3550 §6.5).
const CNAME: u8 = 1;

/// Why bytes are no RTCP compound packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// A length reaches beyond the datagram, or the datagram is too short.
    #[error("RTCP packet is cut off")]
    Truncated,
    /// The version is not 2.
    #[error("RTCP version is not 2")]
    Version,
    /// The first packet is no report (RFC 3550 §6.1).
    #[error("RTCP compound packet does not begin with a report")]
    NoReport,
    /// Padding in the middle, or of an impossible length (RFC 3550 §6.4.1).
    #[error("RTCP padding does not fit")]
    Padding,
    /// A packet's content is shorter than its count says.
    #[error("RTCP packet is shorter than its count")]
    Content,
}

/// One report block (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportBlock {
    /// The source that this block is about.
    pub ssrc: u32,
    /// Share lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Signed, 24 bits.
    pub cumulative_lost: i32,
    /// Cycles and the highest sequence number.
    pub highest_sequence: u32,
    /// In timestamp units.
    pub jitter: u32,
    /// Middle of the NTP timestamp of the last sender report; zero for none.
    pub last_sender_report: u32,
    /// Time since then in 1/65536 s.
    pub delay: u32,
}

impl ReportBlock {
    const LENGTH: usize = 24;

    fn parse(bytes: &[u8; Self::LENGTH]) -> Self {
        let [
            s0,
            s1,
            s2,
            s3,
            fraction,
            l0,
            l1,
            l2,
            h0,
            h1,
            h2,
            h3,
            j0,
            j1,
            j2,
            j3,
            r0,
            r1,
            r2,
            r3,
            d0,
            d1,
            d2,
            d3,
        ] = *bytes;
        ReportBlock {
            ssrc: u32::from_be_bytes([s0, s1, s2, s3]),
            fraction_lost: fraction,
            // The shift back extends the sign of the 24 bits.
            cumulative_lost: i32::from_be_bytes([l0, l1, l2, 0]) >> 8,
            highest_sequence: u32::from_be_bytes([h0, h1, h2, h3]),
            jitter: u32::from_be_bytes([j0, j1, j2, j3]),
            last_sender_report: u32::from_be_bytes([r0, r1, r2, r3]),
            delay: u32::from_be_bytes([d0, d1, d2, d3]),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        let [_, l0, l1, l2] = self.cumulative_lost.clamp(-0x80_0000, 0x7f_ffff).to_be_bytes();
        out.extend_from_slice(&self.ssrc.to_be_bytes());
        out.extend_from_slice(&[self.fraction_lost, l0, l1, l2]);
        for word in [self.highest_sequence, self.jitter, self.last_sender_report, self.delay] {
            out.extend_from_slice(&word.to_be_bytes());
        }
    }
}

/// The sender's part of a sender report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SenderInfo {
    /// NTP timestamp.
    pub ntp: u64,
    /// The same moment in the stream's clock.
    pub rtp_timestamp: u32,
    /// Packets sent since the stream began.
    pub packets: u32,
    /// Payload bytes sent.
    pub octets: u32,
}

impl SenderInfo {
    const LENGTH: usize = 20;

    fn parse(bytes: &[u8; Self::LENGTH]) -> Self {
        let [n0, n1, n2, n3, n4, n5, n6, n7, t0, t1, t2, t3, p0, p1, p2, p3, o0, o1, o2, o3] = *bytes;
        SenderInfo {
            ntp: u64::from_be_bytes([n0, n1, n2, n3, n4, n5, n6, n7]),
            rtp_timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            packets: u32::from_be_bytes([p0, p1, p2, p3]),
            octets: u32::from_be_bytes([o0, o1, o2, o3]),
        }
    }
}

/// Report blocks of a checked packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocks<'a>(&'a [u8]);

impl Blocks<'_> {
    /// One after another.
    pub fn iter(&self) -> impl Iterator<Item = ReportBlock> {
        self.0.as_chunks().0.iter().map(ReportBlock::parse)
    }
}

/// One packet of a compound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// SR.
    SenderReport {
        /// Who reports.
        ssrc: u32,
        /// What it sent.
        info: SenderInfo,
        /// What it received.
        blocks: Blocks<'a>,
    },
    /// RR.
    ReceiverReport {
        /// Who reports.
        ssrc: u32,
        /// What it received.
        blocks: Blocks<'a>,
    },
    /// SDES: the first CNAME in it.
    SourceDescription {
        /// Of which source.
        ssrc: u32,
        /// Its CNAME, empty for none.
        cname: &'a [u8],
    },
    /// BYE: the first source in it.
    Goodbye {
        /// Who leaves; none in an empty BYE.
        ssrc: Option<u32>,
    },
    /// Anything else: APP, RTPFB, PSFB, XR.
    Other {
        /// RTCP packet type.
        packet_type: u8,
    },
}

/// A datagram whose structure is right as a whole.
#[derive(Clone, Copy, Debug)]
pub struct Compound<'a>(&'a [u8]);

/// Check a datagram as RFC 3550 A.2 says, and every packet's content against its count.
///
/// # Errors
/// [`ParseError`]; nothing of a compound that is wrong anywhere is used.
pub fn parse(data: &[u8]) -> Result<Compound<'_>, ParseError> {
    match data {
        [_, SENDER_REPORT | RECEIVER_REPORT, _, _, ..] => {}
        [_, _, _, _, ..] => return Err(ParseError::NoReport),
        _ => return Err(ParseError::Truncated),
    }
    let mut rest = data;
    while !rest.is_empty() {
        let (raw, next) = Raw::split(rest)?;
        if raw.padded && !next.is_empty() {
            return Err(ParseError::Padding);
        }
        raw.read()?;
        rest = next;
    }
    Ok(Compound(data))
}

impl<'a> Compound<'a> {
    /// The packets in order.
    pub fn packets(&self) -> impl Iterator<Item = Packet<'a>> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let (raw, next) = Raw::split(rest).ok()?;
            rest = next;
            raw.read().ok()
        })
    }

    /// Who sent the compound: the source of its first report.
    #[must_use]
    pub fn sender(&self) -> Option<u32> {
        match self.packets().next()? {
            Packet::SenderReport { ssrc, .. } | Packet::ReceiverReport { ssrc, .. } => Some(ssrc),
            _ => None,
        }
    }
}

/// A packet whose header was read.
struct Raw<'a> {
    packet_type: u8,
    count: u8,
    padded: bool,
    /// Without header and padding.
    content: &'a [u8],
}

impl<'a> Raw<'a> {
    fn split(data: &'a [u8]) -> Result<(Self, &'a [u8]), ParseError> {
        let (&[first, packet_type, l0, l1], rest) = data.split_first_chunk::<4>().ok_or(ParseError::Truncated)?;
        if first >> 6 != 2 {
            return Err(ParseError::Version);
        }
        let length = usize::from(u16::from_be_bytes([l0, l1])) * 4;
        let (mut content, rest) = rest.split_at_checked(length).ok_or(ParseError::Truncated)?;
        let padded = first & 0x20 != 0;
        if padded {
            let padding = usize::from(*content.last().ok_or(ParseError::Padding)?);
            let kept = content
                .len()
                .checked_sub(padding)
                .filter(|_| padding != 0 && padding.is_multiple_of(4));
            content = kept.and_then(|kept| content.get(..kept)).ok_or(ParseError::Padding)?;
        }
        Ok((
            Raw {
                packet_type,
                count: first & 0x1f,
                padded,
                content,
            },
            rest,
        ))
    }

    fn read(&self) -> Result<Packet<'a>, ParseError> {
        match self.packet_type {
            SENDER_REPORT => self.sender_report(),
            RECEIVER_REPORT => {
                let (ssrc, rest) = split_word(self.content)?;
                Ok(Packet::ReceiverReport {
                    ssrc,
                    blocks: self.blocks(rest)?,
                })
            }
            SOURCE_DESCRIPTION => self.source_description(),
            GOODBYE => self.goodbye(),
            packet_type => Ok(Packet::Other { packet_type }),
        }
    }

    fn sender_report(&self) -> Result<Packet<'a>, ParseError> {
        let (ssrc, rest) = split_word(self.content)?;
        let (info, rest) = rest.split_first_chunk().ok_or(ParseError::Content)?;
        Ok(Packet::SenderReport {
            ssrc,
            info: SenderInfo::parse(info),
            blocks: self.blocks(rest)?,
        })
    }

    /// Profile-specific extensions after the blocks are left alone.
    fn blocks(&self, data: &'a [u8]) -> Result<Blocks<'a>, ParseError> {
        data.get(..usize::from(self.count) * ReportBlock::LENGTH)
            .map(Blocks)
            .ok_or(ParseError::Content)
    }

    /// RFC 3550 §6.5: chunks of a source and items, each chunk padded with zeros to a word.
    fn source_description(&self) -> Result<Packet<'a>, ParseError> {
        let (mut found, mut rest) = ((0, &[][..]), self.content);
        for chunk in 0..self.count {
            let (ssrc, items) = split_word(rest)?;
            let (cname, used) = read_items(items)?;
            rest = items.get(used..).ok_or(ParseError::Content)?;
            if chunk == 0 {
                found = (ssrc, cname);
            }
        }
        Ok(Packet::SourceDescription {
            ssrc: found.0,
            cname: found.1,
        })
    }

    fn goodbye(&self) -> Result<Packet<'a>, ParseError> {
        let sources = self.content.get(..usize::from(self.count) * 4).ok_or(ParseError::Content)?;
        Ok(Packet::Goodbye {
            ssrc: split_word(sources).ok().map(|(ssrc, _)| ssrc),
        })
    }
}

fn split_word(data: &[u8]) -> Result<(u32, &[u8]), ParseError> {
    let (word, rest) = data.split_first_chunk::<4>().ok_or(ParseError::Content)?;
    Ok((u32::from_be_bytes(*word), rest))
}

/// The CNAME among a chunk's items, and how many bytes the items take with their end and padding.
fn read_items(items: &[u8]) -> Result<(&[u8], usize), ParseError> {
    let (mut cname, mut at) = (&[][..], 0usize);
    loop {
        match items.get(at..) {
            // RFC 3550 §6.5: the list ends with one or more zeros, up to the next word; the source before it is a word itself.
            Some([0, ..]) => return Ok((cname, (at + 1).next_multiple_of(4))),
            Some([kind, length, rest @ ..]) => {
                let text = rest.get(..usize::from(*length)).ok_or(ParseError::Content)?;
                if *kind == CNAME && cname.is_empty() {
                    cname = text;
                }
                at += 2 + text.len();
            }
            _ => return Err(ParseError::Content),
        }
    }
}

fn write_header(out: &mut Vec<u8>, packet_type: u8, count: usize, content: usize) {
    let words = u16::try_from(content / 4).unwrap_or(u16::MAX);
    out.extend_from_slice(&[0x80 | u8::try_from(count).unwrap_or(0) & 0x1f, packet_type]);
    out.extend_from_slice(&words.to_be_bytes());
}

/// Append a report: SR with `info`, RR without. At most [`MAX_BLOCKS`] blocks are written.
pub fn write_report(out: &mut Vec<u8>, ssrc: u32, info: Option<&SenderInfo>, blocks: &[ReportBlock]) {
    let count = blocks.len().min(MAX_BLOCKS);
    let content = 4 + info.map_or(0, |_| SenderInfo::LENGTH) + count * ReportBlock::LENGTH;
    let packet_type = if info.is_some() { SENDER_REPORT } else { RECEIVER_REPORT };
    write_header(out, packet_type, count, content);
    out.extend_from_slice(&ssrc.to_be_bytes());
    if let Some(info) = info {
        out.extend_from_slice(&info.ntp.to_be_bytes());
        for word in [info.rtp_timestamp, info.packets, info.octets] {
            out.extend_from_slice(&word.to_be_bytes());
        }
    }
    blocks.iter().take(count).for_each(|block| block.write(out));
}

/// Append an SDES packet with one CNAME, cut off at 255 bytes.
pub fn write_cname(out: &mut Vec<u8>, ssrc: u32, cname: &str) {
    let text = cname.as_bytes().iter().take(MAX_TEXT);
    let length = text.len();
    let items = (2 + length + 1).next_multiple_of(4);
    write_header(out, SOURCE_DESCRIPTION, 1, 4 + items);
    out.extend_from_slice(&ssrc.to_be_bytes());
    out.extend_from_slice(&[CNAME, u8::try_from(length).unwrap_or(u8::MAX)]);
    out.extend(text);
    out.extend(std::iter::repeat_n(0, items - 2 - length));
}

/// Append a BYE for one source.
pub fn write_goodbye(out: &mut Vec<u8>, ssrc: u32) {
    write_header(out, GOODBYE, 1, 4);
    out.extend_from_slice(&ssrc.to_be_bytes());
}

#[cfg(test)]
mod tests;
