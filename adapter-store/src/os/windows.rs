//! Owns file operations on Windows: plain files in a folder whose rights they inherit. Anything else is refused.

use crate::os::{LARGEST, Laxity, failed};
use crate::{Contents, FileKind, StoreError, fault};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::windows::fs::MetadataExt;
use std::path::{Path, PathBuf};

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

    fn open_file(&self, name: &OsStr) -> Result<Option<File>, StoreError> {
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
            return File::open(&path).map(Some).map_err(failed("open", &path));
        };
        Err(StoreError::NotAFile { path, kind })
    }

    /// Reads the whole file. An empty one counts as nothing: msal-node creates one before it first saves.
    pub(crate) fn read(&self, name: &OsStr) -> Result<Option<(Option<Contents>, Stamp, Laxity)>, StoreError> {
        let path = self.path(name);
        let Some(file) = self.open_file(name)? else { return Ok(None) };
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
        let Some(file) = self.open_file(name)? else { return Ok(None) };
        Ok(Some(Stamp::from(&file.metadata().map_err(failed("look at", &self.path(name)))?)))
    }

    /// Writes these bytes to a new file and syncs it to the disk.
    pub(crate) fn write_file(&self, name: &OsStr, contents: &[u8]) -> Result<(), StoreError> {
        let path = self.path(name);
        let create = || OpenOptions::new().write(true).create_new(true).open(&path);
        let mut file = create().map_err(failed("create", &path))?;
        file.write_all(contents).and_then(|()| file.sync_all()).map_err(failed("write", &path))
    }

    pub(crate) fn rename(&self, from: &OsStr, to: &OsStr) -> Result<(), StoreError> {
        fs::rename(self.path(from), self.path(to)).map_err(failed("replace", &self.path(to)))
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
