//! Owns file operations on Unix: links are not followed, everything is checked before and after it is opened, and names
//! are resolved in a folder that is held open.

mod temporary;

pub(crate) use temporary::{Temporary, make_room, overwrite};

use crate::os::{LARGEST, Laxity, Purpose, failed};
use crate::{Contents, FileKind, StoreError, fault};
use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::{DirBuilder, File, Metadata};
use std::io::{self, Read};
#[cfg(any(target_os = "linux", target_os = "android"))]
use std::os::fd::AsRawFd;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

const PRIVATE: Mode = Mode::from_raw_mode(0o600);
const OTHERS_READ: u32 = 0o077;
const GROUP_WRITES: u32 = 0o020;
const ALL_WRITE: u32 = 0o002;
const STICKY: u32 = 0o1000;

/// The errors of a file system without locks.
const NO_LOCKS: [Errno; 6] = [Errno::NOLCK, Errno::NOTSUP, Errno::OPNOTSUPP, Errno::NOSYS, Errno::INVAL, Errno::BADF];

/// Whether we hold it now; `None` when the file system has no such lock, as some network file systems.
pub(crate) fn try_flock(file: &File) -> io::Result<Option<bool>> {
    try_lock("flock", || rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive))
}

/// The same for a record lock, which belongs to the whole process.
pub(crate) fn try_record_lock(file: &File) -> io::Result<Option<bool>> {
    try_lock("fcntl", || rustix::fs::fcntl_lock(file, FlockOperation::NonBlockingLockExclusive))
}

fn try_lock(point: &'static str, lock: impl FnOnce() -> Result<(), Errno>) -> io::Result<Option<bool>> {
    let Err(error) = fault::point(point).and_then(|()| Ok(lock()?)) else { return Ok(Some(true)) };
    match Errno::from_io_error(&error) {
        Some(Errno::WOULDBLOCK | Errno::INTR | Errno::ACCESS) => Ok(Some(false)),
        Some(errno) if NO_LOCKS.contains(&errno) => Ok(None),
        Some(_) | None => Err(error),
    }
}

/// A folder of this user for files that a restart may remove. It is not there yet; [`Dir::create`] refuses that of
/// another.
pub(crate) fn temporary_folder() -> PathBuf {
    std::env::temp_dir().join(format!("device-flow-store-{}", rustix::process::geteuid().as_raw()))
}

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
            if let Some((file, _)) = self.open_file(name, Purpose::Lock)? {
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
    pub(crate) fn open_file(&self, name: &OsStr, purpose: Purpose) -> Result<Option<(File, Laxity)>, StoreError> {
        let path = self.path(name);
        // Checked before, because opening a device may have an effect and opening a pipe may block; and checked again
        // after, because it may have been exchanged.
        fault::point("stat").map_err(failed("look at", &path))?;
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(about) => check_regular(FileType::from_raw_mode(about.st_mode), &path)?,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(failed("look at", &path)(errno)),
        }
        let open = |access| {
            let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
            rustix::fs::openat(&self.fd, name, flags, Mode::empty())
        };
        fault::point("open").map_err(failed("open", &path))?;
        let opened = match purpose {
            Purpose::Read => open(OFlags::RDONLY),
            Purpose::Write => open(OFlags::RDWR),
            // Some file systems lock only what is open for writing; a read-only one opens nothing for that.
            Purpose::Lock => open(OFlags::RDWR)
                .or_else(|errno| match errno {
                    Errno::ACCESS => self.regain(name).and_then(|()| open(OFlags::RDWR)).map_err(|_| errno),
                    errno => Err(errno),
                })
                .or_else(|errno| match errno {
                    Errno::ACCESS | Errno::PERM | Errno::ROFS => open(OFlags::RDONLY).map_err(|_| errno),
                    errno => Err(errno),
                }),
        };
        let file = match opened {
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
            None if purpose == Purpose::Lock => Ok(Some((file, Laxity::GroupWritable))),
            None => Err(StoreError::OthersMayWrite { path, mode }),
        }
    }

    /// Gives this user the rights to a lock file back that the umask of its writer took away, if it is a file of this
    /// user with one name.
    fn regain(&self, name: &OsStr) -> rustix::io::Result<()> {
        // Linux changes the mode of a link's target, so the file is held first, and then named by its descriptor.
        #[cfg(any(target_os = "linux", target_os = "android"))]
        {
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let file = rustix::fs::openat(&self.fd, name, flags, Mode::empty())?;
            let about = rustix::fs::fstat(&file)?;
            let plain = FileType::from_raw_mode(about.st_mode) == FileType::RegularFile && about.st_nlink == 1;
            if !plain || about.st_uid != rustix::process::geteuid().as_raw() {
                return Err(Errno::ACCESS);
            }
            rustix::fs::chmod(format!("/proc/self/fd/{}", file.as_raw_fd()), PRIVATE)
        }
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        rustix::fs::chmodat(&self.fd, name, PRIVATE, AtFlags::SYMLINK_NOFOLLOW)
    }

    /// Whether the name still belongs to this file, whatever has been written to it. Opens nothing: to close a file
    /// releases all its record locks.
    pub(crate) fn is_still(&self, name: &OsStr, file: &File) -> io::Result<bool> {
        fault::point("stat")?;
        let there = match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(there) => there,
            Err(Errno::NOENT) => return Ok(false),
            Err(errno) => return Err(errno.into()),
        };
        fault::point("fstat")?;
        let ours = rustix::fs::fstat(file)?;
        Ok((there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino))
    }

    /// Whether no other file can take this name: one that is mounted alone, as into a container, or marked so.
    pub(crate) fn is_pinned(&self, name: &OsStr) -> bool {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        {
            use rustix::fs::{StatxAttributes, StatxFlags};
            let about = rustix::fs::statx(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BASIC_STATS);
            let pins = StatxAttributes::MOUNT_ROOT | StatxAttributes::IMMUTABLE | StatxAttributes::APPEND;
            match about {
                Ok(about) if about.stx_attributes.intersects(pins) => return true,
                Ok(about) if about.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT) => return false,
                // Before Linux 5.8.
                Ok(_) | Err(_) => {}
            }
        }
        let there = rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW).ok();
        there.zip(rustix::fs::fstat(&self.fd).ok()).is_some_and(|(file, folder)| file.st_dev != folder.st_dev)
    }

    /// The file's number, which stays the same while it cannot be replaced.
    pub(crate) fn number(&self, name: &OsStr) -> Option<String> {
        let about = rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        Some(format!("{:x}-{:x}", about.st_dev, about.st_ino))
    }

    /// Removes a file that a process has left behind, if nobody has it locked; where that cannot be known, or is not
    /// enough, if nobody has touched it for so long.
    pub(crate) fn remove_abandoned(&self, name: &OsStr, untouched: Option<Duration>) -> Result<(), StoreError> {
        /// As long as nobody holds a lease, which is as long as a reservation is of use.
        const LONG: Duration = Duration::from_secs(15 * 60);
        let path = self.path(name);
        let Some((file, _)) = self.open_file(name, Purpose::Lock)? else { return Ok(()) };
        let untouched = match try_flock(&file).map_err(failed("lock", &path))? {
            Some(true) => untouched,
            Some(false) => return Ok(()),
            None => Some(LONG),
        };
        let modified = file.metadata().and_then(|about| about.modified()).map_err(failed("look at", &path))?;
        let old = untouched.is_none_or(|limit| modified.elapsed().is_ok_and(|age| age >= limit));
        if old && self.is_still(name, &file).map_err(failed("look at", &path))? {
            self.remove(name)?;
        }
        Ok(())
    }

    /// Reads the whole file. An empty one counts as nothing: msal-node creates one before it first saves.
    pub(crate) fn read(&self, name: &OsStr) -> Result<Option<(Option<Contents>, Stamp, Laxity)>, StoreError> {
        let path = self.path(name);
        let mut attempts = 0..3;
        loop {
            let Some((file, laxity)) = self.open_file(name, Purpose::Read)? else { return Ok(None) };
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
        let Some((file, _)) = self.open_file(name, Purpose::Read)? else { return Ok(None) };
        Ok(Some(Stamp::of(&file).map_err(failed("look at", &self.path(name)))?))
    }

    /// Whether the name is that of a plain file of this user.
    pub(crate) fn has_file(&self, name: &OsStr) -> bool {
        rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|about| {
            FileType::from_raw_mode(about.st_mode) == FileType::RegularFile
                && about.st_uid == rustix::process::geteuid().as_raw()
        })
    }

    /// Tells folders apart, whatever their paths.
    pub(crate) fn identity(&self) -> io::Result<(i128, i128)> {
        let about = rustix::fs::fstat(&self.fd)?;
        // The types of these numbers differ between Unix systems.
        Ok((about.st_dev.into(), about.st_ino.into()))
    }

    /// Creates a new file that only this user can read from its first byte on, whatever the umask.
    pub(crate) fn create_file(&self, name: &OsStr) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        fault::point("create")?;
        Ok(File::from(rustix::fs::openat(&self.fd, name, flags, PRIVATE)?))
    }

    fn rename(&self, from: &OsStr, to: &OsStr) -> Result<(), StoreError> {
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
                // Some file systems cannot sync a folder, and a read-only one has nothing to sync.
                Ok(()) | Err(Errno::INVAL | Errno::NOTSUP | Errno::BADF | Errno::ROFS) => Ok(()),
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
