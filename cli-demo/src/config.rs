//! Owns the file of profiles: where it is, what is in it, and how it is changed without losing what a person wrote.
//!
//! ```toml
//! current = "work"
//!
//! [profile.work]
//! provider = "entra"
//! tenant = "contoso.com"
//! client-id = "…"
//! scope = ["User.Read"]
//! ```

use crate::run_error::RunError;
use crate::settings::{Settings, text};
use device_flow_tokio::{Change, FileStore, Store as _, StoreError};
use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml_edit::{DocumentMut, Item, Table, TableLike, Value};

/// Every process holds the lock of this file for a single write only.
const PATIENCE: Duration = Duration::from_secs(6);

/// As much as a profile takes, in bytes.
const ROOM_FOR_A_PROFILE: usize = 4_096;

/// What a person can do where the file of profiles cannot be changed.
const ANOTHER_FILE: &str =
    "Name a file of profiles in a folder that you may write to, with --config (DEVICE_FLOW_CONFIG)";

/// The name of the first profile, if the person names none.
pub(crate) const DEFAULT: &str = "default";

/// What a person can do where the environment names no folder for a file.
const SET_HOME: &str = "no home folder is known, since HOME is unset or not an absolute path. Set HOME to your home folder, or \
    name the files with --config and --token-file";

/// The error of what needs a file, where no folder for it is known.
pub(crate) fn no_place_for(what: &str) -> RunError {
    RunError::Storage(format!("there is no place for {what}: {SET_HOME}"))
}

/// The contents of the file. A missing file counts as empty.
#[derive(Debug)]
pub(crate) struct Config {
    /// `None`: no home folder is known.
    path: Option<PathBuf>,
    /// Why no profile can be added, where that was tried.
    unwritable: Option<String>,
    document: DocumentMut,
}

impl Config {
    pub(crate) fn load(path: Option<&Path>) -> Result<Self, RunError> {
        let is_default = path.is_none();
        let Some(path) = path.map(Path::to_owned).or_else(default_path) else {
            return Ok(Self { path: None, unwritable: None, document: DocumentMut::new() });
        };
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            // As with HOME=/dev/null.
            Err(_) if is_default && base_folder().is_some_and(|base| !base.is_dir()) => {
                return Err(RunError::Storage(format!(
                    "there is no place for tokens and profiles: {} cannot be read, since the home folder is not a folder. \
                     Set HOME to your home folder, or name the files with --config and --token-file",
                    path.display()
                )));
            }
            Err(error) => {
                return Err(RunError::Usage(format!(
                    "the profiles in {} cannot be read: {error}. Make it a text file that you may read, or name another with \
                     --config (DEVICE_FLOW_CONFIG)",
                    path.display()
                )));
            }
        };
        let document = parse(&path, &text)?;
        let config = Self { path: Some(path), unwritable: None, document };
        // A mistake anywhere in the file is reported at once, not only when its profile is used.
        config.names().try_for_each(|name| config.profile(name).map(drop))?;
        config.defaults()?;
        Ok(config)
    }

    /// Where it is, for a message.
    pub(crate) fn place(&self) -> String {
        self.path
            .as_ref()
            .map_or_else(|| "no file: no home folder is known".to_owned(), |path| path.display().to_string())
    }

    /// Whether a folder for the file is known, and nobody has found that it cannot be written. Without one no profile can be
    /// saved.
    pub(crate) fn has_place(&self) -> bool {
        self.path.is_some() && self.unwritable.is_none()
    }

    /// An error where there is no place for the file.
    pub(crate) fn require_place(&self) -> Result<(), RunError> {
        match &self.unwritable {
            Some(why) => Err(RunError::Storage(format!("{why}. {ANOTHER_FILE}"))),
            None if self.path.is_none() => Err(no_place_for("tokens and profiles")),
            None => Ok(()),
        }
    }

    /// Why a profile cannot be saved, where it cannot.
    pub(crate) fn why_no_place(&self) -> Option<&str> {
        let no_home = || self.path.is_none().then_some("HOME names no home folder");
        self.unwritable.as_deref().or_else(no_home)
    }

    /// Finds out whether a profile could be added, on a disk that may be read-only.
    pub(crate) fn try_place(&mut self) {
        let Some(named) = &self.path else { return };
        let path = std::fs::canonicalize(named).unwrap_or_else(|_| named.clone());
        let room = |store: FileStore| store.not_shared().lease("profiles", PATIENCE)?.reserve(ROOM_FOR_A_PROFILE);
        if let Err(error) = FileStore::new(&path).and_then(room)
            && is_not_ours_to_write(&error)
        {
            self.unwritable = Some(self.cannot_change(&error));
        }
    }

    fn cannot_change(&self, error: &StoreError) -> String {
        format!("the profiles in {} cannot be changed: {error}", self.place())
    }

    /// The error for the name of a profile that does not exist.
    pub(crate) fn no_such(&self, name: &str) -> RunError {
        // Nobody knows which there are.
        if let Err(error) = self.require_place() {
            return error;
        }
        let known = self.names().collect::<Vec<_>>().join(", ");
        let known = if known.is_empty() { "there are none yet".to_owned() } else { format!("existing: {known}") };
        RunError::Usage(format!("there is no profile {name:?} ({known})"))
    }

    /// In the order of the file.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.profiles().into_iter().flat_map(TableLike::iter).map(|(name, _)| name)
    }

    /// The profile that commands use by default.
    pub(crate) fn current(&self) -> Option<&str> {
        self.document.get("current").and_then(Item::as_str).filter(|name| self.names().any(|known| known == *name))
    }

    pub(crate) fn profile(&self, name: &str) -> Result<Option<Settings>, RunError> {
        let Some(item) = self.profiles().and_then(|profiles| profiles.get(name)) else { return Ok(None) };
        let place = format!("profile {name} in {}", self.place());
        let wrong = || RunError::Usage(format!("{place} is not a table"));
        let table = item.clone().into_table().map_err(|_| wrong())?;
        Settings::from_profile(&place, &table).map(Some)
    }

    /// What is about this computer, for every profile and sign-in that says nothing else.
    pub(crate) fn defaults(&self) -> Result<Settings, RunError> {
        let Some(item) = self.document.get("defaults") else { return Ok(Settings::default()) };
        let place = format!("defaults in {}", self.place());
        let wrong = || RunError::Usage(format!("{place} is not a table"));
        let defaults = Settings::from_profile(&place, &item.clone().into_table().map_err(|_| wrong())?)?;
        match defaults.of_one_sign_in() {
            Some(key) => Err(RunError::Usage(format!(
                "{place}: {key} belongs to a profile. Defaults are about this computer: {}",
                Settings::local_names()
            ))),
            None => Ok(defaults),
        }
    }

    fn profiles(&self) -> Option<&dyn TableLike> {
        self.document.get("profile").and_then(Item::as_table_like)
    }

    /// Stores a profile in the file as it is now, under the name that `choose` finds in it. The first one becomes the
    /// current one, which only [`make_current`](Self::make_current) changes. Returns the name, and which is the current one.
    pub(crate) fn remember(
        &self,
        choose: impl Fn(&Self) -> Result<String, RunError>,
        settings: &Settings,
    ) -> Result<(String, Option<String>), RunError> {
        // Another process may store one at the same time, so the name is chosen under the lock.
        let chosen = RefCell::new(Ok(String::new()));
        let current = RefCell::new(None);
        self.change(|document| {
            let now = Self { path: self.path.clone(), unwritable: None, document: document.clone() };
            *current.borrow_mut() = now.current().map(str::to_owned);
            *chosen.borrow_mut() = choose(&now);
            let chosen = chosen.borrow();
            let Ok(name) = &*chosen else { return };
            let root = document.as_table_mut();
            let profiles = root.entry("profile").or_insert_with(|| {
                let mut table = Table::new();
                table.set_implicit(true);
                Item::Table(table)
            });
            let Some(profiles) = profiles.as_table_like_mut() else { return };
            let new = settings.to_profile();
            match profiles.get_mut(name).and_then(Item::as_table_like_mut) {
                // Values that do not change keep their comments.
                Some(old) => {
                    let gone: Vec<_> =
                        old.iter().map(|(key, _)| key.to_owned()).filter(|key| !new.contains_key(key)).collect();
                    gone.iter().for_each(|key| drop(old.remove(key)));
                    for (key, item) in new {
                        match old.get_mut(&key) {
                            Some(before) if is_same(before, &item) => {}
                            Some(before) => *before = item,
                            None => drop(old.insert(&key, item)),
                        }
                    }
                }
                None => drop(profiles.insert(name, Item::Table(new))),
            }
            if current.borrow().is_none() {
                set_current(document, name);
                *current.borrow_mut() = Some(name.clone());
            }
        })?;
        Ok((chosen.into_inner()?, current.into_inner()))
    }

    pub(crate) fn make_current(&self, name: &str) -> Result<(), RunError> {
        self.change(|document| set_current(document, name))
    }

    /// The profile keeps its place and its comments.
    pub(crate) fn rename(&self, old: &str, new: &str) -> Result<(), RunError> {
        let done = Cell::new(false);
        self.change(|document| {
            let is_current = document.get("current").and_then(Item::as_str) == Some(old);
            let Some(profiles) = profiles_mut(document).filter(|profiles| !profiles.contains_key(new)) else { return };
            let Some(profile) = profiles.remove(old) else { return };
            profiles.insert(new, profile);
            if is_current {
                set_current(document, new);
            }
            done.set(true);
        })?;
        self.unless_changed_meanwhile(done.get())
    }

    /// If it was the current one, there is none then.
    pub(crate) fn remove(&self, name: &str) -> Result<(), RunError> {
        let done = Cell::new(false);
        self.change(|document| {
            let removed = profiles_mut(document).and_then(|profiles| profiles.remove(name));
            done.set(removed.is_some());
            if document.get("current").and_then(Item::as_str) == Some(name) {
                document.remove("current");
            }
        })?;
        self.unless_changed_meanwhile(done.get())
    }

    fn unless_changed_meanwhile(&self, done: bool) -> Result<(), RunError> {
        let text = || {
            format!(
                "{} was changed by another program meanwhile: look at it (device-flow list), and try again",
                self.place()
            )
        };
        if done { Ok(()) } else { Err(RunError::Usage(text())) }
    }

    /// Under a lock, since another process may store a profile at the same time; and through a symbolic link, since
    /// many people keep their configuration elsewhere.
    fn change(&self, change: impl Fn(&mut DocumentMut)) -> Result<(), RunError> {
        let Some(named) = &self.path else { return Err(no_place_for("profiles")) };
        let mut as_read = self.document.clone();
        change(&mut as_read);
        if as_read.to_string() == self.document.to_string() {
            // Nothing changes, so the file need not be writable.
            return Ok(());
        }
        let path = std::fs::canonicalize(named).unwrap_or_else(|_| named.clone());
        let mut mistake = None;
        let changed = FileStore::new(&path)?.not_shared().lock_timeout(PATIENCE).update(&mut |stored| {
            let text = String::from_utf8_lossy(stored.unwrap_or_default());
            match parse(named, &text) {
                Ok(mut document) => {
                    change(&mut document);
                    let changed = document.to_string();
                    if changed == text { Change::Keep } else { Change::Save(changed.into_bytes().into()) }
                }
                Err(error) => {
                    mistake = Some(error);
                    Change::Keep
                }
            }
        });
        match changed {
            Err(error) if is_not_ours_to_write(&error) => {
                return Err(RunError::Storage(format!("{}. {ANOTHER_FILE}", self.cannot_change(&error))));
            }
            changed => changed?,
        }
        mistake.map_or(Ok(()), Err)
    }
}

/// A name that needs no quotes on a command line, in the file or in a message.
pub(crate) fn check_name(name: &str) -> Result<(), RunError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if !name.is_empty() && name.len() <= 64 && !name.starts_with('-') && name.chars().all(plain) {
        return Ok(());
    }
    Err(RunError::Usage(format!(
        "{name:?} cannot be the name of a profile: use at most 64 letters, digits, '-', '_' and '.'"
    )))
}

/// Whether the folder, the file or the disk is for reading only.
pub(crate) fn is_not_ours_to_write(error: &StoreError) -> bool {
    use std::io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
    matches!(error, StoreError::Io { source, .. } if matches!(source.kind(), PermissionDenied | ReadOnlyFilesystem))
}

fn profiles_mut(document: &mut DocumentMut) -> Option<&mut dyn TableLike> {
    document.get_mut("profile").and_then(Item::as_table_like_mut)
}

fn set_current(document: &mut DocumentMut, name: &str) {
    let new = Item::Value(Value::from(name));
    match document.get_mut("current") {
        // In place, to keep its comments.
        Some(item) if is_same(item, &new) => {}
        Some(item) => *item = new,
        None => drop(document.insert("current", new)),
    }
}

/// Whether both have the same values, however they are written. A list of one counts as its element.
fn is_same(one: &Item, other: &Item) -> bool {
    let texts = |item: &Item| {
        let value = item.as_value()?;
        match value.as_array() {
            Some(list) => list.iter().map(text).collect::<Option<Vec<_>>>(),
            None => text(value).map(|text| vec![text]),
        }
    };
    texts(one).is_some() && texts(one) == texts(other)
}

fn parse(path: &Path, text: &str) -> Result<DocumentMut, RunError> {
    let document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| {
        let line = error.span().map_or(1, |span| text.get(..span.start).unwrap_or_default().matches('\n').count() + 1);
        RunError::Usage(format!("{}, line {line}: {}", path.display(), error.message().replace('\n', "; ")))
    })?;
    if let Some(key) = document.iter().map(|(key, _)| key).find(|key| !["current", "defaults", "profile"].contains(key))
    {
        return Err(RunError::Usage(format!(
            "{} has an unknown key {key:?}. Known keys: current, defaults, profile",
            path.display()
        )));
    }
    if document.get("profile").is_some_and(|item| item.as_table_like().is_none()) {
        return Err(RunError::Usage(format!("{}: write profiles as [profile.NAME]", path.display())));
    }
    Ok(document)
}

/// As the XDG Base Directory Specification says.
fn default_path() -> Option<PathBuf> {
    let base = base_folder()?;
    let of_home = if cfg!(target_os = "macos") { "Library/Application Support" } else { ".config" };
    let folder = if cfg!(windows) || absolute("XDG_CONFIG_HOME").is_some() { base } else { base.join(of_home) };
    Some(folder.join("device-flow").join("config.toml"))
}

/// The folder that the environment names.
fn base_folder() -> Option<PathBuf> {
    if cfg!(windows) { absolute("APPDATA") } else { absolute("XDG_CONFIG_HOME").or_else(|| absolute("HOME")) }
}

/// A relative path in the environment is ignored, as the specification says, too.
fn absolute(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute())
}
