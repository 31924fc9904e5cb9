//! Owns how bytes get to the disk on Unix: through a temporary file that takes the name of another, or in place.

use super::{Dir, PRIVATE, try_flock};
use crate::error::OVERWRITE;
use crate::os::failed;
use crate::{StoreError, fault};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::Path;
use std::sync::Arc;

/// A new file of ours, locked as long as this is held, so that no process takes it for one that was left behind.
/// Dropping it removes the file.
#[derive(Debug)]
pub(crate) struct Temporary {
    dir: Arc<Dir>,
    name: OsString,
    file: File,
}

impl Temporary {
    /// Under the first of the names that is free.
    pub(crate) fn create(dir: &Arc<Dir>, mut names: impl FnMut() -> OsString) -> Result<Self, StoreError> {
        loop {
            let name = names();
            let path = dir.path(&name);
            let file = match dir.create_file(&name) {
                Ok(file) => file,
                // Left behind by a process that had our number, or made by one that has it in another container.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(failed("create", &path)(error)),
            };
            let made = Self { dir: Arc::clone(dir), name, file };
            // A umask can only remove bits, but it may remove one of ours.
            fault::point("fchmod").map_err(failed("change the mode of", &path))?;
            rustix::fs::fchmod(&made.file, PRIVATE).map_err(failed("change the mode of", &path))?;
            // Before it was locked, somebody may have taken it for a file that was left behind.
            let ours = try_flock(&made.file).map_err(failed("lock", &path))? != Some(false);
            if ours && made.is_in(dir) {
                return Ok(made);
            }
        }
    }

    /// Whether it is still there, in this folder.
    pub(crate) fn is_in(&self, dir: &Dir) -> bool {
        dir.is_still(&self.name, &self.file).unwrap_or(true)
    }

    /// Takes so many bytes from the disk.
    pub(crate) fn allocate(&mut self, bytes: u64) -> Result<(), StoreError> {
        let path = self.dir.path(&self.name);
        fault::point("allocate").map_err(failed("reserve room in", &path))?;
        self.file.rewind().map_err(failed("reserve room in", &path))?;
        match allocate(&self.file, bytes, false) {
            Err(errno) if CANNOT_ALLOCATE.contains(&errno) => {
                let zeros = [0; 8_192];
                let (mut left, mut file) = (bytes, &self.file);
                while left > 0 {
                    let part = zeros.get(..usize::try_from(left).unwrap_or(zeros.len())).unwrap_or(&zeros);
                    file.write_all(part).map_err(failed("reserve room in", &path))?;
                    left = left.saturating_sub(u64::try_from(part.len()).unwrap_or(left));
                }
                // Some network file systems find out only now.
                rustix::fs::fsync(&self.file).map_err(failed("reserve room in", &path))
            }
            outcome => outcome.map_err(failed("reserve room in", &path)),
        }
    }

    /// Makes these bytes its content and syncs it to the disk.
    pub(crate) fn fill(&mut self, contents: &[u8]) -> Result<(), StoreError> {
        let path = self.dir.path(&self.name);
        self.file.rewind().map_err(failed("write", &path))?;
        let (first, second) = contents.split_at(if cfg!(test) { contents.len() / 2 } else { 0 });
        for part in [first, second] {
            fault::point("write").map_err(failed("write", &path))?;
            self.file.write_all(part).map_err(failed("write", &path))?;
        }
        // What was reserved may be longer.
        fault::point("ftruncate").map_err(failed("write", &path))?;
        self.file.set_len(length(contents)).map_err(failed("write", &path))?;
        fault::point("fsync").map_err(failed("write", &path))?;
        rustix::fs::fsync(&self.file).map_err(failed("write", &path))
    }

    /// Gives it this name, in place of the file that has it.
    pub(crate) fn rename_to(mut self, name: &OsStr) -> Result<(), StoreError> {
        self.dir.rename(&self.name, name)?;
        self.name.clear();
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.name.is_empty() {
            let _ = self.dir.remove(&self.name);
        }
    }
}

/// The errors of a file system that cannot take blocks from the disk before they are written.
const CANNOT_ALLOCATE: [Errno; 4] = [Errno::NOTSUP, Errno::OPNOTSUPP, Errno::NOSYS, Errno::INVAL];

#[cfg(any(target_os = "linux", target_os = "android"))]
fn allocate(file: &File, bytes: u64, keep_size: bool) -> rustix::io::Result<()> {
    use rustix::fs::FallocateFlags;
    let flags = if keep_size { FallocateFlags::KEEP_SIZE } else { FallocateFlags::empty() };
    match fault::point("fallocate") {
        Err(error) => Err(Errno::from_io_error(&error).unwrap_or(Errno::NOSYS)),
        Ok(()) if bytes == 0 => Ok(()),
        Ok(()) => rustix::fs::fallocate(file, flags, 0, bytes),
    }
}

/// Apple's truncates, and that of the others cannot leave the size as it is.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn allocate(_file: &File, _bytes: u64, _keep_size: bool) -> rustix::io::Result<()> {
    Err(Errno::NOSYS)
}

/// Makes sure that this file can grow to so many bytes in place: takes the blocks from the disk, or, where the file
/// system cannot do that, looks whether there are enough.
pub(crate) fn make_room(file: &File, bytes: u64) -> io::Result<()> {
    fault::point("allocate-in-place")?;
    match allocate(file, bytes, true) {
        Err(errno) if CANNOT_ALLOCATE.contains(&errno) => {
            let missing = bytes.saturating_sub(file.metadata()?.len());
            let disk = rustix::fs::fstatvfs(file)?;
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            if missing <= free { Ok(()) } else { Err(Errno::NOSPC.into()) }
        }
        outcome => Ok(outcome?),
    }
}

/// Writes these bytes in place of what is in the file, the end of it last, and syncs them to the disk. A reader, or a
/// process that dies meanwhile, may see some of both.
pub(crate) fn overwrite(mut file: &File, path: &Path, contents: &[u8]) -> Result<(), StoreError> {
    file.rewind().map_err(failed(OVERWRITE, path))?;
    let (first, second) = contents.split_at(if cfg!(test) { contents.len() / 2 } else { 0 });
    for part in [first, second] {
        fault::point("write-in-place").map_err(failed(OVERWRITE, path))?;
        file.write_all(part).map_err(failed(OVERWRITE, path))?;
    }
    fault::point("ftruncate-in-place").map_err(failed(OVERWRITE, path))?;
    file.set_len(length(contents)).map_err(failed(OVERWRITE, path))?;
    fault::point("fsync-in-place").map_err(failed(OVERWRITE, path))?;
    rustix::fs::fsync(file).map_err(failed(OVERWRITE, path))
}

fn length(contents: &[u8]) -> u64 {
    u64::try_from(contents.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
