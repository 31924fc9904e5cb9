//! F02, F03: what may be in the place of the file, and is neither read nor written.
#![cfg(unix)]

use device_flow_store::{Change, Contents, FileKind, FileStore, FileWarning, Store, StoreError};
use rustix::fs::{AtFlags, CWD, FileType, Mode};
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::{Arc, Mutex};

const SECRET: &[u8] = b"canary of somebody";

fn save(path: &Path) -> Result<(), StoreError> {
    FileStore::new(path)?.update(&mut |_| Change::Save(b"ours".to_vec().into()))
}

fn load(path: &Path) -> Result<Option<Contents>, StoreError> {
    FileStore::new(path)?.load()
}

/// Checks that loading and saving are refused, with the path and advice on one line.
fn refused(path: &Path) -> StoreError {
    let (read, written) = (load(path).unwrap_err(), save(path).unwrap_err());
    assert_eq!(read.to_string(), written.to_string());
    for text in [read.to_string(), format!("{read:?}"), read.advice().to_owned()] {
        assert!(!text.contains("canary") && !text.contains('\n'), "{text}");
    }
    assert!(read.to_string().contains(path.to_str().unwrap()) && !read.advice().is_empty(), "{read}");
    read
}

fn kind(path: &Path) -> FileKind {
    match refused(path) {
        StoreError::NotAFile { kind, .. } => kind,
        error => panic!("{error}"),
    }
}

fn private(path: &Path) {
    fs::write(path, SECRET).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn f03_a_symbolic_link_is_not_followed_wherever_it_leads() {
    let folder = tempfile::tempdir().unwrap();
    let (target, link) = (folder.path().join("target"), folder.path().join("tokens.json"));
    private(&target);
    symlink(&target, &link).unwrap();
    assert_eq!(kind(&link), FileKind::SymbolicLink);
    assert_eq!(fs::read(&target).unwrap(), SECRET);
    fs::remove_file(&target).unwrap();
    assert_eq!(kind(&link), FileKind::SymbolicLink);
    assert!(!target.exists());
    // Further up a link is the person's own choice.
    let real = folder.path().join("real");
    fs::create_dir(&real).unwrap();
    symlink(&real, folder.path().join("way")).unwrap();
    save(&folder.path().join("way").join("tokens.json")).unwrap();
    assert_eq!(fs::read(real.join("tokens.json")).unwrap(), b"ours");
}

#[test]
fn f03_neither_pipe_nor_folder_nor_socket_nor_device_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    rustix::fs::mknodat(CWD, path("fifo"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    // It would wait for a writer for ever.
    assert_eq!(kind(&path("fifo")), FileKind::Fifo);
    fs::create_dir(path("dir")).unwrap();
    assert_eq!(kind(&path("dir")), FileKind::Directory);
    let _listener = UnixListener::bind(path("socket")).unwrap();
    assert_eq!(kind(&path("socket")), FileKind::Socket);
    match load(Path::new("/dev/null")).unwrap_err() {
        StoreError::NotAFile { kind, .. } => assert_eq!(kind, FileKind::Device),
        error => panic!("{error}"),
    }
    for name in ["", "/", "..", "dir/", "dir/.", "dir/.."] {
        assert!(matches!(FileStore::new(name), Err(StoreError::NoFileName(_))), "{name}");
    }
}

#[test]
fn f03_a_hard_link_is_refused_and_its_other_name_unharmed() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (folder.path().join("tokens.json"), folder.path().join("other"));
    private(&other);
    rustix::fs::linkat(CWD, &other, CWD, &one, AtFlags::empty()).unwrap();
    assert!(matches!(refused(&one), StoreError::HardLinked { links: 2, .. }));
    assert_eq!(fs::read(&other).unwrap(), SECRET);
    fs::remove_file(&other).unwrap();
    save(&one).unwrap();
}

/// The locks are files, too: what they link to is not written either.
#[test]
fn f03_a_lock_that_is_a_link_is_not_followed() {
    for lock in ["tokens.json.lockfile", "tokens.json.flock"] {
        let folder = tempfile::tempdir().unwrap();
        let (path, target) = (folder.path().join("tokens.json"), folder.path().join("target"));
        private(&target);
        symlink(&target, folder.path().join(lock)).unwrap();
        assert!(matches!(save(&path), Err(StoreError::NotAFile { kind: FileKind::SymbolicLink, .. })), "{lock}");
        fs::remove_file(folder.path().join(lock)).unwrap();
        rustix::fs::linkat(CWD, &target, CWD, folder.path().join(lock), AtFlags::empty()).unwrap();
        assert!(matches!(save(&path), Err(StoreError::HardLinked { .. })), "{lock}");
        assert_eq!(fs::read(&target).unwrap(), SECRET);
        assert!(!path.exists());
    }
}

#[test]
fn f02_what_belongs_to_another_user_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.json");
    if rustix::process::geteuid().is_root() {
        private(&path);
        let nobody = rustix::fs::Uid::from_raw(65_534);
        rustix::fs::chown(&path, Some(nobody), None).unwrap();
        assert!(matches!(refused(&path), StoreError::ForeignOwner { owner: 65_534, me: 0, .. }));
        fs::remove_file(&path).unwrap();
        // As `sudo` finds the folder of its caller.
        rustix::fs::chown(folder.path(), Some(nobody), None).unwrap();
        assert!(matches!(save(&path), Err(StoreError::ForeignOwner { owner: 65_534, me: 0, .. })));
    } else {
        let me = rustix::process::geteuid().as_raw();
        let theirs = load(Path::new("/etc/passwd")).unwrap_err();
        assert!(matches!(theirs, StoreError::ForeignOwner { owner: 0, me: found, .. } if found == me));
    }
    assert!(!path.exists());
}

#[test]
fn f02_a_readable_file_is_tightened_and_reported_and_a_writable_one_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.json");
    for mode in [0o640, 0o604, 0o644, 0o755, 0o601] {
        private(&path);
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let told: Arc<Mutex<Vec<FileWarning>>> = Arc::default();
        let store = FileStore::new(&path).unwrap().on_warning({
            let told = Arc::clone(&told);
            move |warning| told.lock().unwrap().push(warning.clone())
        });
        assert_eq!(store.load().unwrap().as_deref(), Some(SECRET));
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600, "{mode:o}");
        assert_eq!(*told.lock().unwrap(), [FileWarning::Tightened { path: path.clone() }], "{mode:o}");
        store.load().unwrap();
        assert_eq!(told.lock().unwrap().len(), 1, "once");
    }
    // What the group may write, and nobody else, is decided by who is in the group: f02_a_file_that_only_the_own_group…
    for mode in [0o602, 0o666, 0o777] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        assert!(matches!(refused(&path), StoreError::OthersMayWrite { mode: found, .. } if found == mode));
        assert_eq!((fs::read(&path).unwrap(), fs::metadata(&path).unwrap().mode() & 0o777), (SECRET.to_vec(), mode));
    }
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    // Everybody could exchange the file; with the sticky bit, as in /tmp, nobody can.
    fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
    assert!(matches!(save(&path), Err(StoreError::OthersMayWrite { mode: 0o777, .. })));
    fs::set_permissions(folder.path(), Permissions::from_mode(0o1777)).unwrap();
    save(&path).unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o775)).unwrap();
    save(&path).unwrap();
}

#[test]
fn an_empty_file_holds_nothing_and_a_huge_one_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.json");
    private(&path);
    fs::write(&path, b"").unwrap();
    assert_eq!(load(&path).unwrap(), None);
    save(&path).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_len(1 << 40).unwrap();
    assert!(matches!(refused(&path), StoreError::TooLarge { bytes: 0x100_0000_0000, .. }));
}

#[test]
fn a_path_with_control_characters_is_shown_on_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a\n\u{1b}[2Jb");
    fs::create_dir(&path).unwrap();
    let text = load(&path).unwrap_err().to_string();
    assert!(!text.contains(['\n', '\u{1b}']) && text.contains("a\\n"), "{text}");
}
