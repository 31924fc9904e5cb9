//! Owns file operations on Windows: plain files in a folder whose rights they inherit. Anything else is refused.

use crate::error::OVERWRITE;
use crate::os::{LARGEST, Laxity, Purpose, failed};
use crate::{Contents, FileKind, StoreError, fault};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::windows::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Tells states of a file apart without keeping its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp([u64; 3]);

impl From<&Metadata> for Stamp {
    fn from(of: &Metadata) -> Self {
        Self([of.creation_time(), of.last_write_time(), of.file_size()])
    }
}

#[derive(Debug)]
pub(crate) struct Dir(PathBuf);

impl Dir {
    /// `None` when there is no such folder.
    pub(crate) fn open(path: &Path) -> Result<Option<Self>, StoreError> {
        match fs::metadata(path) {
            Ok(about) if about.is_dir() => Ok(Some(Self(path.to_owned()))),
            Ok(_) => Err(failed("open", path)(io::ErrorKind::NotADirectory)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("open", path)(error)),
        }
    }

    pub(crate) fn create(path: &Path) -> Result<Self, StoreError> {
        fault::point("mkdir").and_then(|()| fs::create_dir_all(path)).map_err(failed("create", path))?;
        Ok(Self(path.to_owned()))
    }

    pub(crate) fn path(&self, name: &OsStr) -> PathBuf {
        self.0.join(name)
    }

    /// The file, and whether it had to be made private, which it never has.
    pub(crate) fn open_file(&self, name: &OsStr, purpose: Purpose) -> Result<Option<(File, bool)>, StoreError> {
        let path = self.path(name);
        let about = match fs::symlink_metadata(&path) {
            Ok(about) => about,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("look at", &path)(error)),
        };
        let kind = if about.is_symlink() {
            FileKind::SymbolicLink
        } else if about.is_dir() {
            FileKind::Directory
        } else if !about.is_file() {
            FileKind::Other
        } else {
            let opened = OpenOptions::new().read(true).write(purpose == Purpose::Write).open(&path);
            return opened.map(|file| Some((file, false))).map_err(failed("open", &path));
        };
        Err(StoreError::NotAFile { path, kind })
    }

    /// Reads the whole file. An empty one counts as nothing: msal-node creates one before it first saves.
    pub(crate) fn read(&self, name: &OsStr) -> Result<Option<(Option<Contents>, Stamp, Laxity)>, StoreError> {
        let path = self.path(name);
        let Some((file, _)) = self.open_file(name, Purpose::Read)? else { return Ok(None) };
        let about = file.metadata().map_err(failed("look at", &path))?;
        let bytes = about.len();
        if bytes > LARGEST {
            return Err(StoreError::TooLarge { path, bytes });
        }
        let mut contents = zeroize::Zeroizing::new(Vec::with_capacity(usize::try_from(bytes).unwrap_or(0) + 1));
        (&file).take(bytes).read_to_end(&mut contents).map_err(failed("read", &path))?;
        let contents = Some(Contents::from(contents)).filter(|contents| !contents.is_empty());
        Ok(Some((contents, Stamp::from(&about), Laxity::None)))
    }

    pub(crate) fn stamp(&self, name: &OsStr) -> Result<Option<Stamp>, StoreError> {
        let Some((file, _)) = self.open_file(name, Purpose::Read)? else { return Ok(None) };
        Ok(Some(Stamp::from(&file.metadata().map_err(failed("look at", &self.path(name)))?)))
    }

    /// No file is mounted alone here.
    #[allow(clippy::unused_self, reason = "Unix has something to do here")]
    pub(crate) fn is_pinned(&self, _name: &OsStr) -> bool {
        false
    }

    /// Unknown, so that a lease is in the file's folder or nowhere.
    #[allow(clippy::unused_self, reason = "Unix has something to do here")]
    pub(crate) fn number(&self, _name: &OsStr) -> Option<String> {
        None
    }

    /// Removes a file that a process has left behind: one that somebody uses is open without sharing.
    pub(crate) fn remove_abandoned(&self, name: &OsStr, _untouched: Option<Duration>) -> Result<(), StoreError> {
        self.remove(name)
    }

    /// Removes the name, if it is there.
    pub(crate) fn remove(&self, name: &OsStr) -> Result<(), StoreError> {
        match fs::remove_file(self.path(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", &self.path(name))(error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// NTFS keeps a journal of names, so there is nothing to do.
    #[allow(clippy::unnecessary_wraps, clippy::unused_self, reason = "Unix has something to do here")]
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// The names in it that begin with `prefix`.
    pub(crate) fn names(&self, prefix: &OsStr) -> io::Result<Vec<OsString>> {
        let names = fs::read_dir(&self.0)?.map(|entry| Ok(entry?.file_name()));
        let begins = |name: &OsString| name.as_encoded_bytes().starts_with(prefix.as_encoded_bytes());
        names.filter(|name| name.as_ref().map_or(true, begins)).collect()
    }
}

/// A new file, open without sharing as long as this is held. Dropping it removes the file.
#[derive(Debug)]
pub(crate) struct Temporary {
    path: PathBuf,
    /// `None` once it is closed, so that it can be renamed or removed.
    file: Option<File>,
}

impl Temporary {
    /// Under the first of the names that is free.
    pub(crate) fn create(dir: &Arc<Dir>, mut names: impl FnMut() -> OsString) -> Result<Self, StoreError> {
        loop {
            let path = dir.path(&names());
            match OpenOptions::new().write(true).create_new(true).share_mode(0).open(&path) {
                Ok(file) => return Ok(Self { path, file: Some(file) }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed("create", &path)(error)),
            }
        }
    }

    /// Whether it is still there, in this folder.
    pub(crate) fn is_in(&self, dir: &Dir) -> bool {
        self.path.parent() == Some(&dir.0)
    }

    fn file(&self) -> io::Result<&File> {
        self.file.as_ref().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Takes so many bytes from the disk.
    pub(crate) fn allocate(&mut self, bytes: u64) -> Result<(), StoreError> {
        // NTFS takes the clusters with the size, unless a file is sparse.
        self.file().and_then(|file| file.set_len(bytes)).map_err(failed("reserve room in", &self.path))
    }

    /// Makes these bytes its content and syncs it to the disk.
    pub(crate) fn fill(&mut self, contents: &[u8]) -> Result<(), StoreError> {
        self.file().and_then(|file| write_all(file, contents)).map_err(failed("write", &self.path))
    }

    /// Gives it this name, in place of the file that has it.
    pub(crate) fn rename_to(mut self, name: &OsStr) -> Result<(), StoreError> {
        self.file = None;
        let to = self.path.with_file_name(name);
        fs::rename(&self.path, &to).map_err(failed("replace", &to))?;
        self.path.clear();
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        self.file = None;
        if !self.path.as_os_str().is_empty() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A folder of this user for files that a restart may remove.
pub(crate) fn temporary_folder() -> PathBuf {
    std::env::temp_dir().join("device-flow-store")
}

/// Nothing can be known before a write, which is undone if it fails.
#[allow(clippy::unnecessary_wraps, reason = "Unix has something to do here")]
pub(crate) fn make_room(_file: &File, _bytes: u64) -> io::Result<()> {
    Ok(())
}

/// Writes these bytes in place of what is in the file, the end of it last, and syncs them to the disk.
pub(crate) fn overwrite(file: &File, path: &Path, contents: &[u8]) -> Result<(), StoreError> {
    write_all(file, contents).map_err(failed(OVERWRITE, path))
}

fn write_all(mut file: &File, contents: &[u8]) -> io::Result<()> {
    file.rewind()?;
    file.write_all(contents)?;
    file.set_len(u64::try_from(contents.len()).unwrap_or(u64::MAX))?;
    file.sync_all()
}
