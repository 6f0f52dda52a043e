//! Files that are played, for threads of the application: opened and read here, wherever waiting for a disk harms nobody.
//!
//! The decoders are safe code, but not ours: one that panics over a file makes that file unplayable and nothing else.

use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;

use trunkline_media::sound::{Sound, Source, Unplayable};

use super::lock;

const GAVE_UP: Unplayable = Unplayable::Damaged("its decoder gave up");

fn guarded<T>(work: impl FnOnce() -> Result<T, Unplayable>) -> Result<T, Unplayable> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(GAVE_UP))
}

/// A file that is being played.
pub struct SoundFile {
    rate: u32,
    /// `None` when it failed.
    sound: Mutex<Option<Sound>>,
}

impl SoundFile {
    /// Open a file of a disk.
    ///
    /// # Errors
    ///
    /// It cannot be read, or is nothing that is played.
    pub fn open(path: &Path) -> Result<Self, Unplayable> {
        // Before it is opened: a pipe would wait for its writer.
        if !path.metadata()?.is_file() {
            return Err(io::Error::other("it is no file").into());
        }
        SoundFile::of(Box::new(File::open(path)?))
    }

    /// Play what is in memory.
    ///
    /// # Errors
    ///
    /// It is nothing that is played.
    pub fn of(source: Box<dyn Source>) -> Result<Self, Unplayable> {
        let sound = guarded(|| Sound::open(source))?;
        Ok(SoundFile {
            rate: sound.rate(),
            sound: Mutex::new(Some(sound)),
        })
    }

    /// Samples a second.
    #[must_use]
    pub const fn rate(&self) -> u32 {
        self.rate
    }

    /// The next samples; none at the end.
    ///
    /// # Errors
    ///
    /// It cannot be read, or is damaged too much.
    pub fn read(&self, samples: usize) -> Result<Vec<i16>, Unplayable> {
        self.with(|sound| sound.read(samples))
    }

    /// Go on from so many seconds behind the beginning.
    ///
    /// # Errors
    ///
    /// It cannot be read, or is too damaged to find the place.
    pub fn seek(&self, seconds: f64) -> Result<(), Unplayable> {
        self.with(|sound| sound.seek(seconds))
    }

    fn with<T>(&self, work: impl FnOnce(&mut Sound) -> Result<T, Unplayable>) -> Result<T, Unplayable> {
        let held = &mut *lock(&self.sound);
        let mut sound = held.take().ok_or(GAVE_UP)?;
        let done = guarded(|| work(&mut sound).map(|done| (done, sound)))?;
        *held = Some(done.1);
        Ok(done.0)
    }
}
