//! The examples of both adapters, run as a newcomer runs them, against the demo server: approved, denied, left alone, cancelled,
//! with a callback that fails.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests panic to report"
)]

use device_flow_cli::demo::{Options, Server};
use rustix::process::{Pid, Signal, kill_process};
use std::env;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

/// The folder of the built examples; the first call has cargo build them where it built this test.
fn examples() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into()));
        cargo.args(["build", "--examples", "--package", "device-flow-tokio", "--package", "device-flow-blocking"]);
        // What cargo told this test about itself; build scripts that look at it would run anew each time.
        for (name, _) in env::vars_os() {
            if ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|start| name.to_string_lossy().starts_with(start)) {
                cargo.env_remove(name);
            }
        }
        let built = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        Path::new(env!("CARGO_BIN_EXE_device-flow")).with_file_name("examples")
    })
}

/// A demo server, and a folder in which examples run.
struct Site {
    server: Option<Server>,
    runtime: tokio::runtime::Runtime,
    folder: tempfile::TempDir,
}

impl Site {
    fn start(lifetime: u64) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (interval, code_lifetime) = (Duration::from_secs(1), Duration::from_secs(lifetime));
        let options = Options { interval, code_lifetime, ..Options::default() };
        let server = Some(runtime.block_on(Server::start(options)).unwrap());
        Self { server, runtime, folder: tempfile::tempdir().unwrap() }
    }

    fn server(&self) -> &Server {
        self.server.as_ref().unwrap()
    }

    fn start_example(&self, name: &str, more: &[&str]) -> Child {
        let mut command = Command::new(examples().join(name));
        command.args([self.server().base_url(), "my-app", "openid profile offline_access"]).args(more);
        command.current_dir(&self.folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    /// Runs one; `decide` is told the code. Success, and all that it printed.
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
    let site = Site::start(60);
    for name in ALL {
        let (ok, printed) = site.run(name, &[], approve);
        assert!(ok && printed.contains("Open http://127.0.0.1:"), "{name}: {printed}");
    }
}

#[test]
fn a_second_run_on_the_same_file_asks_nobody() {
    let site = Site::start(60);
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
    let site = Site::start(60);
    for name in ALL {
        let (ok, printed) = site.run(name, &[], |server, code| assert!(server.deny(code)));
        assert!(!ok && printed.contains("access_denied"), "{name}: {printed}");
    }
}

#[test]
fn whoever_is_left_alone_gives_up_in_time() {
    let site = Site::start(60);
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
    let site = Site::start(60);
    let mut child = site.start_example("seed_dotnet", &[]);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.by_ref().any(|line| code(&line.unwrap()).is_some()));
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(lines.last().unwrap().unwrap(), "cancelled");
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

#[test]
fn a_callback_that_fails_ends_the_sign_in() {
    let site = Site::start(60);
    let (ok, printed) = site.run("seed_java", &["/dev/full"], |_, _| {});
    assert!(!ok && printed.contains("No space left"), "{printed}");
    assert_eq!(site.server().requests_to("/token"), 0, "and nobody is asked");
}

#[test]
fn a_code_is_shown_in_the_persons_language() {
    let site = Site::start(60);
    for (language, text) in [("de-DE", "Öffne http"), ("fr", "Ouvrez http"), ("cy", "Open http")] {
        let (ok, printed) = site.run("seed_node", &["20", language], approve);
        assert!(ok && printed.contains(text), "{printed}");
    }
}
