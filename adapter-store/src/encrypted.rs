//! Owns the encrypted store: another store whose bytes are an age file (age-encryption.org/v1), and the key of it.

use crate::{Contents, Lease, Locked, Store, StoreError};
use age::secrecy::{ExposeSecret as _, SecretString};
use age::{Decryptor, Encryptor, scrypt, x25519};
use std::fmt;
use std::io::{Read as _, Write as _};
use std::iter;
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// Encrypts what another store keeps, as the tool `age` does: `age --decrypt -i KEY FILE` shows it.
///
/// No MSAL can read it, so there is no [unshared](Store::unshared) part. For a [`FileStore`](crate::FileStore) say
/// [`not_shared`](crate::FileStore::not_shared).
///
/// ```
/// use device_flow_store::{AgeKey, Change, EncryptedStore, MemoryStore, Store};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // To be kept: `key.to_text()`, in a file that only you can read, or `key.protected("a passphrase")`.
/// let key = AgeKey::generate();
/// let inner = MemoryStore::new();
/// let store = EncryptedStore::new(inner.clone(), key);
/// store.update(&mut |_| Change::Save(b"{}".to_vec().into()))?;
/// assert_eq!(store.load()?.as_deref(), Some(&b"{}"[..]));
/// assert!(inner.load()?.is_some_and(|bytes| bytes.starts_with(b"age-encryption.org/v1")));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct EncryptedStore<S> {
    inner: S,
    key: AgeKey,
}

impl<S: Store> EncryptedStore<S> {
    /// What `inner` keeps, encrypted with this key.
    #[must_use]
    pub fn new(inner: S, key: AgeKey) -> Self {
        Self { inner, key }
    }
}

impl<S: Store> Store for EncryptedStore<S> {
    fn load(&self) -> Result<Option<Contents>, StoreError> {
        self.inner.load()?.map(|bytes| self.key.decrypt(&bytes)).transpose()
    }

    fn lock(&self) -> Result<Box<dyn Locked>, StoreError> {
        EncryptedLocked::of(self.inner.lock()?, &self.key)
    }

    fn lease(&self, owner: &str, patience: Duration) -> Result<Box<dyn Lease>, StoreError> {
        Ok(Box::new(EncryptedLease { inner: self.inner.lease(owner, patience)?, key: self.key.clone() }))
    }
}

impl<S: fmt::Debug> fmt::Debug for EncryptedStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncryptedStore").field("inner", &self.inner).field("key", &self.key).finish()
    }
}

struct EncryptedLease {
    inner: Box<dyn Lease>,
    key: AgeKey,
}

impl Lease for EncryptedLease {
    fn reserve(&mut self, bytes: usize) -> Result<(), StoreError> {
        self.inner.reserve(bytes.saturating_add(overhead(bytes)))
    }

    fn lock(&mut self) -> Result<Box<dyn Locked>, StoreError> {
        EncryptedLocked::of(self.inner.lock()?, &self.key)
    }
}

struct EncryptedLocked {
    inner: Box<dyn Locked>,
    key: AgeKey,
    current: Option<Contents>,
}

impl EncryptedLocked {
    fn of(inner: Box<dyn Locked>, key: &AgeKey) -> Result<Box<dyn Locked>, StoreError> {
        let mut locked = Self { inner, key: key.clone(), current: None };
        locked.decrypt()?;
        Ok(Box::new(locked))
    }

    fn decrypt(&mut self) -> Result<(), StoreError> {
        self.current = self.inner.current().map(|bytes| self.key.decrypt(bytes)).transpose()?;
        Ok(())
    }
}

impl Locked for EncryptedLocked {
    fn current(&self) -> Option<&[u8]> {
        self.current.as_deref()
    }

    fn reload(&mut self) -> Result<(), StoreError> {
        self.inner.reload()?;
        self.decrypt()
    }

    fn save(&mut self, contents: Contents) -> Result<(), StoreError> {
        self.inner.save(self.key.encrypt(&contents)?.into())?;
        self.current = Some(contents);
        Ok(())
    }

    fn remove(&mut self) -> Result<(), StoreError> {
        self.inner.remove()?;
        self.current = None;
        Ok(())
    }
}

/// The most bytes that encryption adds: a header with one recipient, and one that is made up to keep readers honest and has
/// any length; a nonce; and a tag for each 64 KiB.
fn overhead(bytes: usize) -> usize {
    const HEADER_AND_NONCE: usize = 1_024;
    const CHUNK: usize = 64 * 1024;
    const TAG: usize = 16;
    (bytes / CHUNK).saturating_add(1).saturating_mul(TAG).saturating_add(HEADER_AND_NONCE)
}

/// The key of an [`EncryptedStore`]: an X25519 key, as `age-keygen` makes one. `Debug` shows its public half.
#[derive(Clone)]
pub struct AgeKey(Arc<x25519::Identity>);

/// Why a text is no [`AgeKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AgeKeyError {
    /// There is no line with a key that can be used.
    #[error("there is no key in it: a line AGE-SECRET-KEY-1… is needed, as `age-keygen` prints it")]
    NoKey,
    /// The line of the key is damaged.
    #[error("the key in it is damaged: copy it again, whole")]
    Damaged,
    /// The key is protected by a passphrase, and none was given.
    #[error("the key is protected by a passphrase")]
    Protected,
    /// The passphrase is not the one that protects the key.
    #[error("the passphrase is wrong")]
    WrongPassphrase,
    /// The key could not be protected.
    #[error("the key could not be encrypted")]
    NotProtected,
}

impl AgeKey {
    /// A new key.
    #[must_use]
    pub fn generate() -> Self {
        Self(Arc::new(x25519::Identity::generate()))
    }

    /// The key in a file of `age-keygen`: its first line that is no comment.
    ///
    /// # Errors
    /// [`AgeKeyError::Protected`] when the text is what [`protected`](Self::protected) returns: use
    /// [`unlock`](Self::unlock). Else why it is none.
    pub fn read(file: &[u8]) -> Result<Self, AgeKeyError> {
        if is_age_file(file) {
            return Err(AgeKeyError::Protected);
        }
        let text = std::str::from_utf8(file).map_err(|_| AgeKeyError::NoKey)?;
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let line = lines.next().filter(|line| line.starts_with("AGE-SECRET-KEY-1")).ok_or(AgeKeyError::NoKey)?;
        line.parse().map(|key| Self(Arc::new(key))).map_err(|_| AgeKeyError::Damaged)
    }

    /// The key in a file that a passphrase protects, as [`protected`](Self::protected) returns it, or
    /// `age-keygen | age --passphrase`. This takes a second, as an attacker would need for each guess.
    ///
    /// # Errors
    /// Why there is none.
    pub fn unlock(file: &[u8], passphrase: &str) -> Result<Self, AgeKeyError> {
        let identity = scrypt::Identity::new(SecretString::from(passphrase.to_owned()));
        let text = decrypt(file, &identity).ok_or(AgeKeyError::WrongPassphrase)?;
        Self::read(&text)
    }

    /// As `age-keygen` prints it.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(self.0.to_string().expose_secret().to_owned())
    }

    /// The key as an age file that this passphrase protects (scrypt).
    ///
    /// # Errors
    /// [`AgeKeyError::NotProtected`].
    pub fn protected(&self, passphrase: &str) -> Result<Vec<u8>, AgeKeyError> {
        let recipient = scrypt::Recipient::new(SecretString::from(passphrase.to_owned()));
        let text = Zeroizing::new(format!("{}\n", *self.to_text()));
        encrypt(text.as_bytes(), &recipient).ok_or(AgeKeyError::NotProtected)
    }

    /// The public half, which may be shown (`age1…`).
    #[must_use]
    pub fn recipient(&self) -> String {
        self.0.to_public().to_string()
    }

    fn encrypt(&self, plain: &[u8]) -> Result<Vec<u8>, StoreError> {
        encrypt(plain, &self.0.to_public()).ok_or_else(|| StoreError::other("the tokens cannot be encrypted"))
    }

    fn decrypt(&self, bytes: &[u8]) -> Result<Contents, StoreError> {
        if !is_age_file(bytes) {
            return Err(StoreError::Other {
                source: "what is stored is not encrypted, or damaged".into(),
                advice: "Name another file for the encrypted tokens, or move this one away and sign in again.",
            });
        }
        decrypt(bytes, &*self.0).map(Contents::from).ok_or_else(|| StoreError::Other {
            source: "this key does not open what is stored".into(),
            advice: "Use the key that it was stored with; or, if that is lost, move the file away and sign in again.",
        })
    }
}

fn is_age_file(bytes: &[u8]) -> bool {
    bytes.starts_with(b"age-encryption.org/")
}

fn encrypt(plain: &[u8], recipient: &dyn age::Recipient) -> Option<Vec<u8>> {
    let mut sealed = Vec::with_capacity(plain.len().saturating_add(overhead(plain.len())));
    let encryptor = Encryptor::with_recipients(iter::once(recipient)).ok()?;
    let mut writer = encryptor.wrap_output(&mut sealed).ok()?;
    writer.write_all(plain).ok()?;
    writer.finish().ok()?;
    Some(sealed)
}

/// `None`: the key is another one, or the bytes are damaged.
fn decrypt(sealed: &[u8], identity: &dyn age::Identity) -> Option<Zeroizing<Vec<u8>>> {
    let mut reader = Decryptor::new_buffered(sealed).ok()?.decrypt(iter::once(identity)).ok()?;
    // It never grows, which would leave copies behind.
    let mut plain = Zeroizing::new(Vec::with_capacity(sealed.len()));
    reader.read_to_end(&mut plain).ok()?;
    Some(plain)
}

impl fmt::Debug for AgeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AgeKey({})", self.recipient())
    }
}

#[cfg(test)]
mod tests;
