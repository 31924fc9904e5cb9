//! Owns how the tests run the binary: in a home of its own, without the environment of whoever runs the tests.

#[path = "schema.rs"]
pub(crate) mod schema;

use std::path::Path;
use std::process::{Command, Stdio};

/// A program, with this home and with `device-flow` in its path. Stdin is empty, and the output is captured.
pub(crate) fn program(name: &str, home: &Path) -> Command {
    let ours = Path::new(env!("CARGO_BIN_EXE_device-flow")).parent().unwrap();
    let others = std::env::var_os("PATH").unwrap();
    let path = std::env::join_paths(std::iter::once(ours.to_owned()).chain(std::env::split_paths(&others))).unwrap();
    let mut command = Command::new(name);
    command.env_clear().env("PATH", path).env("LANG", "C.UTF-8").env("HOME", home);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs it to its end: exit code, stdout, stderr. What is JSON on stdout is as the schema says.
pub(crate) fn ended(command: &mut Command) -> (i32, String, String) {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let stdout = text(output.stdout);
    schema::check(&stdout);
    (output.status.code().unwrap(), stdout, text(output.stderr))
}
