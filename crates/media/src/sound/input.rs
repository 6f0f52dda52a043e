//! What a file is read through: a window onto its bytes that begins behind what was skipped.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};

use symphonia::core::io::MediaSource;

/// Bytes of a file: on a disk or in memory.
pub trait Source: Read + Seek + Send + Sync {}

impl<T: Read + Seek + Send + Sync> Source for T {}

/// The window.
pub(super) struct Input {
    source: Box<dyn Source>,
    start: u64,
    length: u64,
    at: u64,
}

impl fmt::Debug for Input {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Input({} of {})", self.at, self.length)
    }
}

impl Input {
    pub(super) fn new(mut source: Box<dyn Source>) -> io::Result<Self> {
        let length = source.seek(SeekFrom::End(0))?;
        source.seek(SeekFrom::Start(0))?;
        Ok(Input {
            source,
            start: 0,
            length,
            at: 0,
        })
    }

    pub(super) const fn length(&self) -> u64 {
        self.length
    }

    /// Have the window begin so many bytes further on.
    pub(super) fn skip(&mut self, bytes: u64) -> io::Result<()> {
        let bytes = bytes.min(self.length);
        self.start += bytes;
        self.length -= bytes;
        self.seek(SeekFrom::Start(0)).map(|_| ())
    }

    /// Up to so many bytes from the beginning, where it is afterwards.
    pub(super) fn peek(&mut self, bytes: usize) -> io::Result<Vec<u8>> {
        self.seek(SeekFrom::Start(0))?;
        let mut head = Vec::new();
        self.by_ref().take(bytes as u64).read_to_end(&mut head)?;
        self.seek(SeekFrom::Start(0))?;
        Ok(head)
    }

    /// Fill as much of `out` as there are bytes for; how many.
    pub(super) fn fill(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(rest) = out.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.read(rest) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}

impl Read for Input {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.length.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let room = out.len().min(left);
        let count = self.source.read(out.get_mut(..room).unwrap_or_default())?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Input {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(offset) => self.length.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.at.checked_add_signed(offset),
        };
        let at = to.map(|at| (at, self.start.checked_add(at)));
        let Some((at, Some(place))) = at else {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        };
        self.source.seek(SeekFrom::Start(place))?;
        self.at = at;
        Ok(at)
    }
}

impl MediaSource for Input {
    fn is_seekable(&self) -> bool {
        true
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.length)
    }
}
