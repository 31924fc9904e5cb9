//! Owns the file of profiles: where it is, what it says, and how it is changed without losing what a person wrote there.
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

use crate::end::End;
use crate::settings::Settings;
use device_flow_tokio::{Change, FileStore, Store as _};
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml_edit::{DocumentMut, Item, Table, TableLike, Value};

/// Nobody keeps this file locked for longer than a write takes.
const PATIENCE: Duration = Duration::from_secs(6);

/// The profile of a first sign-in that names none.
pub(crate) const DEFAULT: &str = "default";

/// What the file says. No file says nothing.
#[derive(Debug)]
pub(crate) struct Config {
    /// `None`: the environment names no place for one.
    path: Option<PathBuf>,
    document: DocumentMut,
}

impl Config {
    pub(crate) fn load(path: Option<&Path>) -> Result<Self, End> {
        let Some(path) = path.map(Path::to_owned).or_else(default_path) else {
            return Ok(Self { path: None, document: DocumentMut::new() });
        };
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(End::Usage(format!("cannot read the profiles in {}: {error}", path.display()))),
        };
        let document = parse(&path, &text)?;
        let config = Self { path: Some(path), document };
        // A file with a mistake in it is told of at once, not when the profile is needed.
        config.names().try_for_each(|name| config.profile(name).map(drop))?;
        Ok(config)
    }

    /// What it says by now.
    pub(crate) fn reload(&self) -> Result<Self, End> {
        match &self.path {
            Some(path) => Self::load(Some(path)),
            None => Ok(Self { path: None, document: self.document.clone() }),
        }
    }

    /// Where it is, for a message.
    pub(crate) fn place(&self) -> String {
        self.path
            .as_ref()
            .map_or_else(|| "no file: no home folder is known".to_owned(), |path| path.display().to_string())
    }

    /// Somebody named one that is not there.
    pub(crate) fn no_such(&self, name: &str) -> End {
        let known = self.names().collect::<Vec<_>>().join(", ");
        let known = if known.is_empty() { "there are none yet".to_owned() } else { format!("there are: {known}") };
        End::Usage(format!("no profile is called {name:?} ({known})"))
    }

    /// In the order of the file.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.profiles().into_iter().flat_map(TableLike::iter).map(|(name, _)| name)
    }

    /// The one that is meant when none is named.
    pub(crate) fn current(&self) -> Option<&str> {
        self.document.get("current").and_then(Item::as_str).filter(|name| self.names().any(|known| known == *name))
    }

    pub(crate) fn profile(&self, name: &str) -> Result<Option<Settings>, End> {
        let Some(item) = self.profiles().and_then(|profiles| profiles.get(name)) else { return Ok(None) };
        let place = format!("profile {name} in {}", self.place());
        let wrong = || End::Usage(format!("{place} is no table"));
        let table = item.clone().into_table().map_err(|_| wrong())?;
        Settings::of_profile(&place, &table).map(Some)
    }

    fn profiles(&self) -> Option<&dyn TableLike> {
        self.document.get("profile").and_then(Item::as_table_like)
    }

    /// Remembers a profile, and that it is the one in use, in what the file says by now.
    pub(crate) fn remember(&self, name: &str, settings: &Settings, make_current: bool) -> Result<(), End> {
        self.change(|document| {
            let root = document.as_table_mut();
            let profiles = root.entry("profile").or_insert_with(|| {
                let mut table = Table::new();
                table.set_implicit(true);
                Item::Table(table)
            });
            let Some(profiles) = profiles.as_table_like_mut() else { return };
            let new = settings.to_profile();
            match profiles.get_mut(name).and_then(Item::as_table_like_mut) {
                // Comments of values that stay, stay.
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
            if make_current || !document.contains_key("current") {
                set_current(document, name);
            }
        })
    }

    pub(crate) fn make_current(&self, name: &str) -> Result<(), End> {
        self.change(|document| set_current(document, name))
    }

    /// Under a lock, since another sign-in may be remembered at the same time; and through a symbolic link, which is how many
    /// people keep such files.
    fn change(&self, change: impl Fn(&mut DocumentMut)) -> Result<(), End> {
        let Some(named) = &self.path else {
            let text = "no home folder is known: set HOME to yours, or name the file of profiles with --config";
            return Err(End::Usage(text.to_owned()));
        };
        let mut as_read = self.document.clone();
        change(&mut as_read);
        if as_read.to_string() == self.document.to_string() {
            // Nothing new: who may not write to it need not.
            return Ok(());
        }
        let path = std::fs::canonicalize(named).unwrap_or_else(|_| named.clone());
        let mut wrong = None;
        FileStore::new(&path)?.lock_timeout(PATIENCE).update(&mut |stored| {
            let text = String::from_utf8_lossy(stored.unwrap_or_default());
            match parse(named, &text) {
                Ok(mut document) => {
                    change(&mut document);
                    let changed = document.to_string();
                    if changed == text { Change::Keep } else { Change::Save(changed.into_bytes().into()) }
                }
                Err(error) => {
                    wrong = Some(error);
                    Change::Keep
                }
            }
        })?;
        wrong.map_or(Ok(()), Err)
    }
}

/// A name that needs no quotes anywhere: on a command line, in the file, in a message.
pub(crate) fn check_name(name: &str) -> Result<(), End> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if !name.is_empty() && name.len() <= 64 && !name.starts_with('-') && name.chars().all(plain) {
        return Ok(());
    }
    Err(End::Usage(format!(
        "{name:?} cannot be the name of a profile: use letters, digits, '-', '_' and '.', at most 64"
    )))
}

fn set_current(document: &mut DocumentMut, name: &str) {
    let new = Item::Value(Value::from(name));
    match document.get_mut("current") {
        // In place, so that a comment above it stays.
        Some(item) if is_same(item, &new) => {}
        Some(item) => *item = new,
        None => drop(document.insert("current", new)),
    }
}

/// However it is written. A list of one is what it holds.
fn is_same(one: &Item, other: &Item) -> bool {
    let word = |value: &Value| match value {
        Value::String(text) => Some(text.value().clone()),
        Value::Boolean(yes) => Some(yes.value().to_string()),
        Value::Integer(number) => Some(number.value().to_string()),
        Value::Float(_) | Value::Datetime(_) | Value::Array(_) | Value::InlineTable(_) => None,
    };
    let words = |item: &Item| {
        let value = item.as_value()?;
        match value.as_array() {
            Some(list) => list.iter().map(word).collect::<Option<Vec<_>>>(),
            None => word(value).map(|word| vec![word]),
        }
    };
    words(one).is_some() && words(one) == words(other)
}

fn parse(path: &Path, text: &str) -> Result<DocumentMut, End> {
    let document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| {
        let line = error.span().map_or(1, |span| text.get(..span.start).unwrap_or_default().matches('\n').count() + 1);
        End::Usage(format!("{}, line {line}: {}", path.display(), error.message().replace('\n', "; ")))
    })?;
    if let Some(key) = document.iter().map(|(key, _)| key).find(|key| !["current", "profile"].contains(key)) {
        return Err(End::Usage(format!("{} has an unknown key {key:?}; known are: current, profile", path.display())));
    }
    if document.get("profile").is_some_and(|item| item.as_table_like().is_none()) {
        return Err(End::Usage(format!("{}: write profiles as [profile.NAME]", path.display())));
    }
    Ok(document)
}

/// XDG Base Directory Specification; a relative path in the environment is ignored, as it asks for.
fn default_path() -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || {
        absolute("HOME")
            .map(|home| home.join(if cfg!(target_os = "macos") { "Library/Application Support" } else { ".config" }))
    };
    let folder = if cfg!(windows) { absolute("APPDATA") } else { absolute("XDG_CONFIG_HOME").or_else(home) };
    Some(folder?.join("device-flow").join("config.toml"))
}
