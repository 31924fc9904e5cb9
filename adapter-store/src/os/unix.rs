//! Owns file operations on Unix: links are not followed, everything is checked before and after it is opened, and names
//! are resolved in a folder that is held open.

use crate::os::{LARGEST, Laxity, failed};
use crate::{Contents, FileKind, StoreError, fault};
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::{DirBuilder, File, Metadata};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

const PRIVATE: Mode = Mode::from_raw_mode(0o600);
const OTHERS_READ: u32 = 0o077;
const GROUP_WRITES: u32 = 0o020;
const ALL_WRITE: u32 = 0o002;
const STICKY: u32 = 0o1000;

/// What this mode allows, in a file of this group; `None` when its content may be somebody else's.
///
/// A umask of 002, the default of some systems, makes files that the group may write to, for users whose group is
/// theirs alone. `pam_umask` gives it to users whose name is that of their group, or whose number is; only the number
/// can be known without asking the name service. Root's group has members on some systems.
fn laxity(mode: u32, group: u32, me: u32, my_group: u32) -> Option<Laxity> {
    let is_private = me != 0 && me == my_group && group == my_group;
    match mode {
        _ if mode & ALL_WRITE != 0 => None,
        _ if mode & GROUP_WRITES != 0 => is_private.then_some(Laxity::GroupWritable),
        _ if mode & OTHERS_READ != 0 => Some(Laxity::Readable),
        _ => Some(Laxity::None),
    }
}

/// Tells states of a file apart without keeping its bytes. A write that keeps the size, within one tick of the file
/// system's clock (4 ms at most), goes unnoticed; only a program that does not respect the lock can do that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp([i128; 7]);

impl Stamp {
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        fault::point("fstat")?;
        Ok(Self::from(&file.metadata()?))
    }

    /// The same file, whatever has been written to it.
    pub(crate) fn same_file(self, other: Self) -> bool {
        let ([dev, ino, ..], [other_dev, other_ino, ..]) = (self.0, other.0);
        (dev, ino) == (other_dev, other_ino)
    }
}

impl From<&Metadata> for Stamp {
    fn from(of: &Metadata) -> Self {
        let (mtime, ctime) = ((of.mtime(), of.mtime_nsec()), (of.ctime(), of.ctime_nsec()));
        Self([
            of.dev().into(),
            of.ino().into(),
            of.size().into(),
            mtime.0.into(),
            mtime.1.into(),
            ctime.0.into(),
            ctime.1.into(),
        ])
    }
}

/// A folder that is held open, so that operations in it cannot be redirected to another.
#[derive(Debug)]
pub(crate) struct Dir {
    fd: OwnedFd,
    path: PathBuf,
}

impl Dir {
    /// `None` when there is no such folder.
    pub(crate) fn open(path: &Path) -> Result<Option<Self>, StoreError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        fault::point("open-folder").map_err(failed("open", path))?;
        let fd = match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(failed("open", path)(errno)),
        };
        let about = rustix::fs::fstat(&fd).map_err(failed("look at", path))?;
        let me = rustix::process::geteuid().as_raw();
        // Root's folders are nobody else's to change: /tmp is one, by its sticky bit.
        if about.st_uid != me && about.st_uid != 0 {
            return Err(StoreError::ForeignOwner { path: path.to_owned(), owner: about.st_uid, me });
        }
        // The raw type differs between Unix systems.
        #[allow(clippy::useless_conversion, clippy::unnecessary_fallible_conversions, reason = "u16 on Apple's")]
        let mode = u32::from(about.st_mode) & 0o7777;
        // Write access for the group is accepted, because a umask of 002 is the default of some systems; a file that a
        // member of the group puts there is refused because of its owner.
        if mode & ALL_WRITE != 0 && mode & STICKY == 0 {
            return Err(StoreError::OthersMayWrite { path: path.to_owned(), mode });
        }
        Ok(Some(Self { fd, path: path.to_owned() }))
    }

    /// Creates it and its parents for this user alone (0700, as the XDG Base Directory Specification requires).
    pub(crate) fn create(path: &Path) -> Result<Self, StoreError> {
        if let Some(dir) = Self::open(path)? {
            return Ok(dir);
        }
        fault::point("mkdir").map_err(failed("create", path))?;
        DirBuilder::new().mode(0o700).recursive(true).create(path).map_err(failed("create", path))?;
        Self::open(path)?.ok_or_else(|| failed("open", path)(Errno::NOENT))
    }

    /// Opens or creates a file of ours to lock. It is never removed.
    pub(crate) fn open_or_create(&self, name: &OsStr) -> Result<File, StoreError> {
        loop {
            if let Some((file, _)) = self.open_file(name, true)? {
                return Ok(file);
            }
            match self.create_file(name) {
                Ok(file) => return Ok(file),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed("create", &self.path(name))(error)),
            }
        }
    }

    pub(crate) fn path(&self, name: &OsStr) -> PathBuf {
        self.path.join(name)
    }

    /// Opens an existing regular file of ours that has no other name, and says whether it must be made private.
    ///
    /// A file that others may *read* is tightened: it may have been read already, and older MSALs wrote 0644, so a
    /// refusal would only make people run chmod. A file that others may *write* is refused: its content may be theirs,
    /// and such a cache would sign this person in as somebody else. One that only the user's own group may write is
    /// tightened, too.
    pub(crate) fn open_file(&self, name: &OsStr, to_lock: bool) -> Result<Option<(File, Laxity)>, StoreError> {
        let path = self.path(name);
        // Checked before, because opening a device may have an effect and opening a pipe may block; and checked again
        // after, because it may have been exchanged.
        fault::point("stat").map_err(failed("look at", &path))?;
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(about) => check_regular(FileType::from_raw_mode(about.st_mode), &path)?,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(failed("look at", &path)(errno)),
        }
        let access = if to_lock { OFlags::RDWR } else { OFlags::RDONLY };
        let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        fault::point("open").map_err(failed("open", &path))?;
        let file = match rustix::fs::openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => File::from(fd),
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => return Err(StoreError::NotAFile { path, kind: FileKind::SymbolicLink }),
            Err(errno) => return Err(failed("open", &path)(errno)),
        };
        let about = file.metadata().map_err(failed("look at", &path))?;
        if !about.is_file() {
            return Err(StoreError::NotAFile { path, kind: FileKind::Other });
        }
        let me = rustix::process::geteuid().as_raw();
        if about.uid() != me {
            return Err(StoreError::ForeignOwner { path, owner: about.uid(), me });
        }
        match about.nlink() {
            // Removed since it was opened.
            0 => return Ok(None),
            1 => {}
            links => return Err(StoreError::HardLinked { path, links }),
        }
        let mode = about.permissions().mode() & 0o7777;
        // A lock file holds no secret and nothing that is relied on; Python creates it with 0664 under the umask of
        // some systems.
        match laxity(mode, about.gid(), me, rustix::process::getegid().as_raw()) {
            Some(laxity) => Ok(Some((file, laxity))),
            None if to_lock => Ok(Some((file, Laxity::GroupWritable))),
            None => Err(StoreError::OthersMayWrite { path, mode }),
        }
    }

    /// Reads the whole file. An empty one counts as nothing: msal-node creates one before it first saves.
    pub(crate) fn read(&self, name: &OsStr) -> Result<Option<(Option<Contents>, Stamp, Laxity)>, StoreError> {
        let path = self.path(name);
        let mut attempts = 0..3;
        loop {
            let Some((file, laxity)) = self.open_file(name, false)? else { return Ok(None) };
            if laxity != Laxity::None {
                fault::point("fchmod").map_err(failed("change the mode of", &path))?;
                rustix::fs::fchmod(&file, PRIVATE).map_err(failed("change the mode of", &path))?;
            }
            let before = Stamp::of(&file).map_err(failed("look at", &path))?;
            let bytes = file.metadata().map_err(failed("look at", &path))?.len();
            if bytes > LARGEST {
                return Err(StoreError::TooLarge { path, bytes });
            }
            // One byte more than needed, so that it does not grow, which would leave a copy behind.
            let mut contents = zeroize::Zeroizing::new(Vec::with_capacity(usize::try_from(bytes).unwrap_or(0) + 1));
            fault::point("read").map_err(failed("read", &path))?;
            (&file).take(bytes).read_to_end(&mut contents).map_err(failed("read", &path))?;
            // MSAL truncates and rewrites the file; this notices some reads in between.
            if Stamp::of(&file).map_err(failed("look at", &path))? == before || attempts.next().is_none() {
                let contents = Some(Contents::from(contents)).filter(|contents| !contents.is_empty());
                return Ok(Some((contents, before, laxity)));
            }
        }
    }

    /// As [`read`](Self::read), without the contents.
    pub(crate) fn stamp(&self, name: &OsStr) -> Result<Option<Stamp>, StoreError> {
        let Some((file, _)) = self.open_file(name, false)? else { return Ok(None) };
        Ok(Some(Stamp::of(&file).map_err(failed("look at", &self.path(name)))?))
    }

    /// Whether the name is that of a plain file of this user.
    pub(crate) fn has_file(&self, name: &OsStr) -> bool {
        rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|about| {
            FileType::from_raw_mode(about.st_mode) == FileType::RegularFile
                && about.st_uid == rustix::process::geteuid().as_raw()
        })
    }

    /// Whether the name belongs to this file. Opens nothing: to close a file releases all its record locks.
    pub(crate) fn names_file(&self, name: &OsStr, file: &File) -> bool {
        let there = rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW);
        there.is_ok_and(|there| rustix::fs::fstat(file).is_ok_and(|ours| identity(&there) == identity(&ours)))
    }

    /// Tells folders apart, whatever their paths.
    pub(crate) fn identity(&self) -> io::Result<(i128, i128)> {
        Ok(identity(&rustix::fs::fstat(&self.fd)?))
    }

    /// Creates a new file that only this user can read from its first byte on, whatever the umask.
    pub(crate) fn create_file(&self, name: &OsStr) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        fault::point("create")?;
        Ok(File::from(rustix::fs::openat(&self.fd, name, flags, PRIVATE)?))
    }

    /// Writes these bytes to a new file and syncs it to the disk.
    pub(crate) fn write_file(&self, name: &OsStr, contents: &[u8]) -> Result<(), StoreError> {
        let path = self.path(name);
        let mut file = self.create_file(name).map_err(failed("create", &path))?;
        // A umask can only remove bits, but it may remove one of ours.
        fault::point("fchmod").map_err(failed("change the mode of", &path))?;
        rustix::fs::fchmod(&file, PRIVATE).map_err(failed("change the mode of", &path))?;
        let (first, second) = contents.split_at(if cfg!(test) { contents.len() / 2 } else { 0 });
        for part in [first, second] {
            fault::point("write").map_err(failed("write", &path))?;
            file.write_all(part).map_err(failed("write", &path))?;
        }
        fault::point("fsync").map_err(failed("write", &path))?;
        rustix::fs::fsync(&file).map_err(failed("write", &path))
    }

    pub(crate) fn rename(&self, from: &OsStr, to: &OsStr) -> Result<(), StoreError> {
        let failed = failed("replace", &self.path(to));
        let rename = || Ok(rustix::fs::renameat(&self.fd, from, &self.fd, to)?);
        fault::point("rename").and_then(|()| rename()).map_err(failed)
    }

    /// Removes the name, if it is there.
    pub(crate) fn remove(&self, name: &OsStr) -> Result<(), StoreError> {
        let failed = failed("remove", &self.path(name));
        fault::point("unlink")
            .and_then(|()| match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => Ok(()),
                Err(errno) => Err(errno.into()),
            })
            .map_err(failed)
    }

    /// Syncs the names in the folder to the disk.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        let failed = failed("write", &self.path);
        fault::point("fsync-folder")
            .and_then(|()| match rustix::fs::fsync(&self.fd) {
                // Some file systems cannot sync a folder.
                Ok(()) | Err(Errno::INVAL | Errno::NOTSUP | Errno::BADF) => Ok(()),
                Err(errno) => Err(errno.into()),
            })
            .map_err(failed)
    }

    /// The names in it that begin with `prefix`.
    pub(crate) fn names(&self, prefix: &OsStr) -> io::Result<Vec<OsString>> {
        fault::point("readdir")?;
        let mut names = vec![];
        for entry in rustix::fs::Dir::read_from(&self.fd)? {
            let name = OsStr::from_bytes(entry?.file_name().to_bytes()).to_owned();
            if name.as_bytes().starts_with(prefix.as_bytes()) {
                names.push(name);
            }
        }
        Ok(names)
    }
}

/// The types of these numbers differ between Unix systems.
fn identity(about: &rustix::fs::Stat) -> (i128, i128) {
    (about.st_dev.into(), about.st_ino.into())
}

fn check_regular(kind: FileType, path: &Path) -> Result<(), StoreError> {
    let kind = match kind {
        FileType::RegularFile => return Ok(()),
        FileType::Symlink => FileKind::SymbolicLink,
        FileType::Directory => FileKind::Directory,
        FileType::Fifo => FileKind::Fifo,
        FileType::Socket => FileKind::Socket,
        FileType::CharacterDevice | FileType::BlockDevice => FileKind::Device,
        FileType::Unknown => FileKind::Other,
    };
    Err(StoreError::NotAFile { path: path.to_owned(), kind })
}

#[cfg(test)]
mod tests {
    use super::*;

    // F02.
    #[test]
    fn f02_a_file_that_only_the_own_group_may_write_is_tightened() {
        let (me, root, users) = (1_000, 0, 100);
        for (mode, group, whose, my_group, expected) in [
            (0o600, me, me, me, Some(Laxity::None)),
            (0o644, users, me, users, Some(Laxity::Readable)),
            // The umask 002 of a user whose group has the same number.
            (0o664, me, me, me, Some(Laxity::GroupWritable)),
            (0o660, me, me, me, Some(Laxity::GroupWritable)),
            // A group that may have other members.
            (0o664, users, me, me, None),
            (0o664, users, me, users, None),
            (0o660, root, root, root, None),
            // Everybody.
            (0o666, me, me, me, None),
            (0o602, me, me, me, None),
        ] {
            assert_eq!(laxity(mode, group, whose, my_group), expected, "{mode:o} {group}");
        }
    }
}
