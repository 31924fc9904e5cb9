//! Owns files with private keys: read with a limit and wiped, made private from their first byte.

use crate::KeyError;
use crate::material::Bytes;
use device_flow_core::Secret;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use zeroize::Zeroizing;

/// Larger than any key, with its certificates.
const LARGEST: usize = 1 << 20;

/// The whole file.
pub(crate) fn read(path: &Path) -> Result<Bytes, KeyError> {
    let unreadable =
        |error: io::Error| KeyError::Unreadable { path: path.to_owned(), detail: error.to_string().into() };
    let mut file = File::open(path).map_err(unreadable)?;
    // Never more than the room that there is, so that no copy is left where it was.
    let mut content = Zeroizing::new(vec![0; LARGEST + 1]);
    let mut length = 0;
    while let Some(room) = content.get_mut(length..).filter(|room| !room.is_empty()) {
        match file.read(room) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(unreadable(error)),
        }
    }
    if length > LARGEST {
        return Err(KeyError::TooLarge { path: path.to_owned() });
    }
    content.truncate(length);
    Ok(content)
}

/// Writes a new file that only its owner may read, from the first byte on (mode 0600; on Windows it has the rights of its
/// folder), such as the text of [`DpopKey::generate_pem`](crate::DpopKey::generate_pem).
///
/// ```
/// use device_flow_keys::{DpopKey, SigningKey, create_key_file};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("client-key.pem");
/// create_key_file(&path, &DpopKey::generate_pem()?)?;
/// let key = SigningKey::from_file(&path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`AlreadyExists`](io::ErrorKind::AlreadyExists) when there is something at this path, a link too: a key is never
/// overwritten. Whatever the system says else; then the file is not there.
pub fn create_key_file(path: impl AsRef<Path>, key: &Secret) -> io::Result<()> {
    let path = path.as_ref();
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(|error| {
        if error.kind() != io::ErrorKind::AlreadyExists {
            return error;
        }
        let text = "exists, and a key is never overwritten: remove it, or choose another name";
        io::Error::new(error.kind(), format!("{} {text}", path.display()))
    })?;
    // The one place outside of a request where a key leaves this type: it is what the caller asks for.
    let written = file.write_all(key.expose().as_bytes()).and_then(|()| file.sync_all());
    if written.is_err() {
        // Half a key would be in the way of a whole one.
        drop(file);
        let _ = fs::remove_file(path);
    }
    written
}
