//! Owns MSAL for Python and for Node in tests: the real packages, installed once, and programs that use them.
//!
//! The folder `msal` of this crate holds the programs and the script that installs the packages from their registries
//! at pinned versions. The first [`installed`] in a process runs it: seven seconds and the network once, a tenth of a
//! second afterwards. They live in `$DEVICE_FLOW_MSAL`, by default `target/msal` of the workspace.

use crate::installation::install;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Which MSAL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// MSAL Python 1.39.0.
    Python,
    /// msal-node 7.2.1.
    Node,
}

impl Language {
    /// Both, for tests that hold on both.
    pub const BOTH: [Self; 2] = [Self::Python, Self::Node];

    /// The program of this name in the folder `msal`, in this language.
    ///
    /// # Panics
    /// When the packages cannot be installed.
    #[track_caller]
    #[must_use]
    pub fn program(self, name: &str) -> Command {
        let (mut command, suffix) = match self {
            Self::Python => (Command::new(installed().join("venv/bin/python")), "py"),
            Self::Node => (Command::new("node"), "mjs"),
        };
        // The test decides which proxy is used; and nothing must be written beside the sources.
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
            command.env_remove(name).env_remove(name.to_lowercase());
        }
        command.env("INSTALLED", installed()).env("PYTHONDONTWRITEBYTECODE", "1");
        command.arg(sources().join(format!("{name}.{suffix}")));
        command
    }
}

/// Where the packages are installed; the first call makes sure that they are.
///
/// # Panics
/// When that fails, with the output of the script.
#[track_caller]
pub fn installed() -> &'static Path {
    static INSTALLED: OnceLock<PathBuf> = OnceLock::new();
    INSTALLED.get_or_init(|| install(sources(), "DEVICE_FLOW_MSAL", "msal"))
}

fn sources() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/msal"))
}
