//! Owns MSAL for Python, Node, Java and Go in tests: the real packages, installed once, and programs that use them.
//!
//! The folder `msal` of this crate holds the programs and the script that installs the packages from their registries
//! at pinned versions. The first [`installed`] in a process runs it: a minute and the network once, a tenth of a
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
    /// msal4j 1.26.1.
    Java,
    /// MSAL Go 1.10.1.
    Go,
}

impl Language {
    /// All, for tests that hold on all of them.
    pub const ALL: [Self; 4] = [Self::Python, Self::Node, Self::Java, Self::Go];

    /// The program of this name in the folder `msal`, in this language.
    ///
    /// # Panics
    /// When the packages cannot be installed.
    #[track_caller]
    #[must_use]
    pub fn program(self, name: &str) -> Command {
        let mut command = match self {
            Self::Python => script(installed().join("venv/bin/python"), name, "py"),
            Self::Node => script("node", name, "mjs"),
            Self::Java => java(name),
            Self::Go => {
                let mut command = Command::new(installed().join("go/device-flow-msal"));
                command.arg(name);
                command
            }
        };
        // The test decides which proxy is used; and nothing must be written beside the sources.
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
            command.env_remove(name).env_remove(name.to_lowercase());
        }
        command.env("INSTALLED", installed()).env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }
}

fn script(interpreter: impl AsRef<std::ffi::OsStr>, name: &str, suffix: &str) -> Command {
    let mut command = Command::new(interpreter);
    command.arg(sources().join(format!("{name}.{suffix}")));
    command
}

/// The class of this name, on a machine that starts quickly.
fn java(name: &str) -> Command {
    let target = installed().join("java/target");
    let path = format!("{}:{}/*", target.join("classes").display(), target.join("dependency").display());
    let mut command = Command::new("java");
    command.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto", "-cp", &path]);
    let (first, rest) = name.split_at(1);
    command.arg(first.to_uppercase() + rest);
    command
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
