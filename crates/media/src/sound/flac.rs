//! What stands in front of a FLAC file's frames, looked at before symphonia keeps all of it: pictures are of no use here.
//!
//! RFC 9639 §8.1: each block of metadata says its length in 24 bits and whether it is the last.

use std::io::{Seek, SeekFrom};

use super::Unplayable;
use super::input::Input;

/// Bytes of metadata that a file may have.
const MAX_METADATA: u64 = 16 << 20;
/// Blocks of it.
const MAX_BLOCKS: usize = 1024;

/// Whether the metadata is of a size that one may keep.
pub(super) fn check_metadata(input: &mut Input) -> Result<(), Unplayable> {
    let mut place = 4;
    for _ in 0..MAX_BLOCKS {
        input.seek(SeekFrom::Start(place))?;
        let mut header = [0; 4];
        if input.fill(&mut header)? < header.len() {
            return Err(Unplayable::Damaged("it ends before its samples"));
        }
        let [kind, length @ ..] = header;
        place += 4 + length.iter().fold(0, |length, byte| length << 8 | u64::from(*byte));
        if place > MAX_METADATA {
            break;
        }
        if kind & 0x80 != 0 {
            input.seek(SeekFrom::Start(0))?;
            return Ok(());
        }
    }
    Err(Unplayable::Unsupported("FLAC with more than 16 MB of metadata"))
}
