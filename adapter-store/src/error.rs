//! Owns the errors of stores: why nothing could be loaded or saved, and what a person can do about it.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// The step of a write in place, which alone can harm what was stored before.
pub(crate) const OVERWRITE: &str = "overwrite";

/// What a store refuses or fails to do. The text says what happened, and [`advice`](Self::advice) what to do about it.
///
/// Neither holds a byte of what is stored. Paths are quoted and control characters in them escaped, so that the text is
/// one line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// No environment variable says where this user's files are.
    #[error("no home folder is known: HOME is unset or not an absolute path")]
    NoHome,
    /// The path has no file name to store under.
    #[error("{0:?} is not the path of a file")]
    NoFileName(PathBuf),
    /// The system refused a step.
    #[error("cannot {step} {path:?}: {source}")]
    Io {
        /// What was tried: `create`, `write`, ….
        step: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something other than a regular file is in the way. Nothing was read from it or written to it.
    #[error("{path:?} is {kind}, not a file")]
    NotAFile {
        /// Where.
        path: PathBuf,
        /// What is there.
        kind: FileKind,
    },
    /// The file has another name, through which someone may read or change it.
    #[error("{path:?} is one of {links} hard links to the same file")]
    HardLinked {
        /// Where.
        path: PathBuf,
        /// How many names it has.
        links: u64,
    },
    /// The file or folder belongs to someone else, who could read, change or replace it.
    #[error("{path:?} belongs to user {owner}, and this process runs as user {me}")]
    ForeignOwner {
        /// Where.
        path: PathBuf,
        /// The user that owns it.
        owner: u32,
        /// The user that this process runs as.
        me: u32,
    },
    /// Others may write to the file or into its folder, so its content may be theirs.
    #[error("others may write to {path:?} (mode {mode:03o})")]
    OthersMayWrite {
        /// Where.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is larger than any token cache.
    #[error("{path:?} is {bytes} bytes long, more than a token cache can be")]
    TooLarge {
        /// Where.
        path: PathBuf,
        /// How large.
        bytes: u64,
    },
    /// Another process, or another thread of this one, has held the lock or the lease for the whole time that we
    /// waited.
    ///
    /// Who cannot give up, because nothing else holds what is to save, calls the same function again.
    #[error("{holder} has held the lock {path:?} for more than {} s", .waited.as_secs())]
    Busy {
        /// The file of the lock or the lease.
        path: PathBuf,
        /// Who holds it, as far as is known.
        holder: LockHolder,
        /// How long we waited.
        waited: Duration,
    },
    /// A program that does not respect the lock has written meanwhile. Nothing was saved.
    #[error("{path:?} was changed by a program that does not respect its lock")]
    Changed {
        /// Where.
        path: PathBuf,
    },
    /// The system's keyring did not do what was asked.
    #[error("the keyring {reason}")]
    Keyring {
        /// Why not.
        reason: KeyringFailure,
    },
    /// A store of another kind (a database, a vault) failed, in its own words; [`StoreError::other`] makes one.
    #[error("the store of tokens failed: {source}")]
    Other {
        /// What happened. Its text must not hold a byte of what is stored.
        source: Box<dyn Error + Send + Sync>,
        /// What a person can do about it: one or two sentences.
        advice: &'static str,
    },
}

/// What was found where a file should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileKind {
    /// It would lead to another place.
    SymbolicLink,
    /// A folder.
    Directory,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A device, `/dev/null` for one.
    Device,
    /// Something that has no name here.
    Other,
}

/// Who holds a lock, as far as its file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockHolder {
    /// The process id on its own computer.
    pub pid: Option<u32>,
    /// What it calls itself: MSAL for Python writes its `argv[0]`.
    pub name: String,
}

/// Why the keyring cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum KeyringFailure {
    /// No keyring runs for this user, or none that this crate supports.
    Absent(String),
    /// It did not answer in time; most often it waits for someone to unlock it.
    NoAnswer(Duration),
    /// It is locked, or refuses access.
    Locked(String),
    /// What it holds under our name is not what we stored there.
    Damaged(&'static str),
    /// Any other failure, in the keyring's own words.
    Failed(String),
}

impl StoreError {
    /// The failure of a [`Store`](crate::Store) that is no file and no keyring, with the usual advice. Build
    /// [`Other`](Self::Other) by hand to give better advice.
    ///
    /// ```
    /// use device_flow_store::StoreError;
    ///
    /// let error = StoreError::other("the vault is sealed");
    /// assert_eq!(error.to_string(), "the store of tokens failed: the vault is sealed");
    /// ```
    pub fn other(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Other {
            source: source.into(),
            advice: "Check that the store is there and lets this program in, or choose a file or memory as the store.",
        }
    }

    /// What a person can do about it: one or two sentences.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            Self::NoHome => "Set HOME to your home folder, name a file, or keep the tokens in memory for this run.",
            Self::NoFileName(_) => "Name a file in a folder of your own.",
            Self::Io { step: OVERWRITE, .. } => {
                "Check the disk; the file may be damaged, and then move it away and sign in again."
            }
            Self::Io { source, .. } => io_advice(source),
            Self::NotAFile { .. } => "Move it away, or name another file.",
            Self::HardLinked { .. } => "Remove the other names, or copy the file and move the copy into its place.",
            Self::ForeignOwner { .. } => {
                "Run as the user who owns it (without sudo, if you used it), or name a file in a folder of your own."
            }
            Self::OthersMayWrite { .. } => {
                "If you trust what is in it, take the right to write away from the others (chmod go-w); otherwise move it away."
            }
            Self::TooLarge { .. } => "Move it away, or name another file.",
            Self::Busy { .. } => {
                "Wait for that program to finish, or end it, and try again. The lock of one that has ended is taken over."
            }
            Self::Changed { .. } => {
                "Try again; if it happens often, close the other program or give it a file of its own."
            }
            Self::Keyring { reason } => match reason {
                KeyringFailure::Absent(_) => {
                    "Start a keyring (gnome-keyring, KWallet, KeePassXC), or choose a file or memory as the store."
                }
                KeyringFailure::NoAnswer(_) | KeyringFailure::Locked(_) => {
                    "Unlock the keyring and try again, or choose a file or memory as the store."
                }
                KeyringFailure::Damaged(_) => "Delete the entry from the keyring and sign in again.",
                KeyringFailure::Failed(_) => "Try again, or choose a file or memory as the store.",
            },
            Self::Other { advice, .. } => advice,
        }
    }
}

fn io_advice(error: &io::Error) -> &'static str {
    #[allow(clippy::wildcard_enum_match_arm, reason = "the kinds of io errors are open-ended by design")]
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            "Free some space and try again, or keep the tokens in memory for this run. What was stored before is unharmed."
        }
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
            "Name a file in a folder that you may write to, or keep the tokens in memory for this run."
        }
        _ => "Try again, name a file elsewhere, or keep the tokens in memory for this run.",
    }
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SymbolicLink => "a symbolic link",
            Self::Directory => "a folder",
            Self::Fifo => "a named pipe",
            Self::Socket => "a socket",
            Self::Device => "a device",
            Self::Other => "something else",
        })
    }
}

impl fmt::Display for LockHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.pid, self.name.as_str()) {
            (Some(pid), "") => write!(f, "process {pid}"),
            (Some(pid), name) => write!(f, "process {pid} ({name:?})"),
            (None, _) => f.write_str("another process"),
        }
    }
}

impl fmt::Display for KeyringFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent(why) => write!(f, "is not there: {why}"),
            Self::NoAnswer(limit) => write!(f, "did not answer within {} s", limit.as_secs()),
            Self::Locked(why) => write!(f, "is locked: {why}"),
            Self::Damaged(what) => write!(f, "holds something else under our name: {what}"),
            Self::Failed(why) => write!(f, "failed: {why}"),
        }
    }
}
