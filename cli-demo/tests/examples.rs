//! The examples of both adapters, run as a newcomer runs them, with the demo server: approved, denied, left alone,
//! cancelled, and with a callback that fails.
#![cfg(unix)]

use device_flow_cli::demo::{Options, Server};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The folder of the built examples. `cargo test` of the workspace builds them before it runs any test; where they are
/// missing or older than their source, these tests say so and build nothing.
fn examples() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_BIN_EXE_device-flow")).with_file_name("examples");
    let is_built = |source: &&str| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(source);
        let written = |path: &Path| path.metadata().and_then(|metadata| metadata.modified());
        let built = written(&folder.join(source.file_stem().unwrap()));
        built.is_ok_and(|built| built >= written(&source).unwrap())
    };
    if !SOURCES.iter().all(is_built) {
        println!(
            "SKIPPED: the examples are not built. `cargo test` of the workspace builds them, or `cargo build --examples`."
        );
        return None;
    }
    Some(folder)
}

const SOURCES: [&str; 4] = [
    "../adapter-tokio/examples/seed_dotnet.rs",
    "../adapter-tokio/examples/seed_node.rs",
    "../adapter-blocking/examples/seed_java.rs",
    "../adapter-blocking/examples/seed_python.rs",
];

/// A demo server, and a working folder for the examples.
struct Site {
    server: Option<Server>,
    runtime: tokio::runtime::Runtime,
    folder: tempfile::TempDir,
    examples: PathBuf,
}

impl Site {
    /// `None`: the examples are not built.
    fn start() -> Option<Self> {
        let examples = examples()?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let options = Options { interval: Duration::from_secs(1), ..Options::default() };
        let server = Some(runtime.block_on(Server::start(options)).unwrap());
        Some(Self { server, runtime, folder: tempfile::tempdir().unwrap(), examples })
    }

    fn server(&self) -> &Server {
        self.server.as_ref().unwrap()
    }

    fn start_example(&self, name: &str, more: &[&str]) -> Child {
        let mut command = Command::new(self.examples.join(name));
        command.args([self.server().base_url(), "my-app", "openid profile offline_access"]).args(more);
        command.current_dir(&self.folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    /// Runs one; `decide` gets the code. Returns whether it succeeded, and all that it printed.
    fn run(&self, name: &str, more: &[&str], decide: impl Fn(&Server, &str)) -> (bool, String) {
        let mut child = self.start_example(name, more);
        let mut printed = String::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        loop {
            let start = printed.len();
            if lines.read_line(&mut printed).unwrap() == 0 {
                break;
            }
            if let Some(code) = code(&printed[start..]) {
                decide(self.server(), code);
            }
        }
        child.stderr.take().unwrap().read_to_string(&mut printed).unwrap();
        // The demo's tokens are 43 characters of base64url.
        let secret =
            printed.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_')).find(|run| run.len() >= 43);
        assert_eq!(secret, None, "{name} prints a secret");
        (child.wait().unwrap().success(), printed)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            self.runtime.block_on(server.shutdown());
        }
    }
}

fn code(line: &str) -> Option<&str> {
    line.trim().split(' ').rfind(|word| word.len() == 9 && word.as_bytes()[4] == b'-')
}

fn approve(server: &Server, code: &str) {
    assert!(server.approve(code), "{code}");
}

const ALL: [&str; 4] = ["seed_dotnet", "seed_java", "seed_node", "seed_python"];

#[test]
fn an_approved_sign_in_succeeds() {
    let Some(site) = Site::start() else { return };
    for name in ALL {
        let (ok, printed) = site.run(name, &[], approve);
        assert!(ok && printed.contains("Open http://127.0.0.1:"), "{name}: {printed}");
    }
}

#[test]
fn a_second_run_on_the_same_file_asks_nobody() {
    let Some(site) = Site::start() else { return };
    for name in ["seed_dotnet", "seed_java"] {
        assert!(site.run(name, &[], approve).0);
        let (ok, printed) = site.run(name, &[], |_, code| panic!("{code} was shown"));
        assert!(ok, "{name}: {printed}");
    }
    let (ok, printed) = site.run("seed_python", &[], approve);
    assert!(ok && printed.ends_with("again: Cache\n"), "{printed}");
}

#[test]
fn a_denied_sign_in_says_so() {
    let Some(site) = Site::start() else { return };
    for name in ALL {
        let (ok, printed) = site.run(name, &[], |server, code| assert!(server.deny(code)));
        assert!(!ok && printed.contains("access_denied"), "{name}: {printed}");
    }
}

#[test]
fn without_a_decision_they_give_up_after_their_time_limit() {
    let Some(site) = Site::start() else { return };
    for (name, more, text) in [
        ("seed_dotnet", "1", "cancelled"),
        ("seed_node", "1", r#""error":"timeout""#),
        ("seed_python", "2", "given up"),
    ] {
        let (ok, printed) = site.run(name, &[more], |_, _| {});
        assert!(!ok && printed.contains(text), "{name}: {printed}");
    }
}

#[test]
fn ctrl_c_cancels() {
    let Some(site) = Site::start() else { return };
    let mut child = site.start_example("seed_dotnet", &[]);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.by_ref().any(|line| code(&line.unwrap()).is_some()));
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(lines.last().unwrap().unwrap(), "cancelled");
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

#[test]
fn a_callback_that_fails_ends_the_sign_in() {
    let Some(site) = Site::start() else { return };
    let (ok, printed) = site.run("seed_java", &["/dev/full"], |_, _| {});
    assert!(!ok && printed.contains("No space left"), "{printed}");
    assert_eq!(site.server().requests_to("/token"), 0, "there is no poll");
}

#[test]
fn a_code_is_shown_in_the_persons_language() {
    let Some(site) = Site::start() else { return };
    for (language, text) in [("de-DE", "Öffne http"), ("fr", "Ouvrez http"), ("cy", "Open http")] {
        let (ok, printed) = site.run("seed_node", &["20", language], approve);
        assert!(ok && printed.contains(text), "{printed}");
    }
}
