//! The binary in a container: no home folder or / for one, a user without a name, a disk that is read-only but for one
//! folder, no keyring, no terminal. Each step works, or ends with its exit code and says what to do.
#![cfg(target_os = "linux")]

use crate::program::schema;
use device_flow_cli::demo::{Options, Server};
use device_flow_tokio::AgeKey;
use rustix::process::geteuid;
use std::fs;
use std::io::{BufRead as _, BufReader, Read};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// A user who is in no list of users.
const NOBODY_KNOWN: u32 = 12_345;

/// What of a container can be had here.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Walls {
    /// A read-only disk, and a user without a name.
    Whole,
    /// The user alone.
    User,
    /// Neither, but / is not ours to write.
    Home,
}

/// A container with a folder that can be written, and a server with somebody who approves what is shown.
struct Container {
    room: TempDir,
    walls: Walls,
    server: Option<Server>,
    runtime: tokio::runtime::Runtime,
}

/// What a step says, and what it must say.
struct Said<'c> {
    line: String,
    exit: i32,
    stdout: String,
    stderr: String,
    container: &'c Container,
}

impl Container {
    /// `None`, and why on stderr, where root may not do what this needs.
    fn new() -> Option<Self> {
        let room = tempfile::tempdir().unwrap();
        fs::set_permissions(room.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let program = room.path().join("device-flow");
        fs::copy(env!("CARGO_BIN_EXE_device-flow"), &program).unwrap();
        let files = room.path().join("files");
        fs::create_dir(&files).unwrap();
        if geteuid().is_root() {
            chown(&files, Some(NOBODY_KNOWN), Some(NOBODY_KNOWN)).unwrap();
        }
        let starts = |walls| within(walls, room.path(), true).arg(&program).arg("--version").output().unwrap();
        let walls = match geteuid().is_root() {
            false => Some(Walls::Home),
            true => [Walls::Whole, Walls::User].into_iter().find(|walls| starts(*walls).status.success()),
        };
        match walls {
            Some(Walls::Whole) => {}
            Some(Walls::User) => eprintln!("SKIPPED: a read-only disk: `unshare --mount` is not permitted here"),
            Some(Walls::Home) => eprintln!("SKIPPED: the user without a name, and a read-only disk: they need root"),
            None => eprintln!("SKIPPED: this root may not become another user: {:?}", starts(Walls::User)),
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let options = Options { interval: Duration::from_secs(1), ..Options::default() };
        let server = Some(runtime.block_on(Server::start(options)).unwrap());
        Some(Self { room, walls: walls?, server, runtime })
    }

    fn server(&self) -> &Server {
        self.server.as_ref().unwrap()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.room.path().join("files").join(name)
    }

    /// How many sign-ins have begun.
    fn codes(&self) -> usize {
        self.server().requests_to("/device_authorization")
    }

    /// A run, with this environment and no more. `FILES` is the folder that can be written, `SERVER` the server, and `OURS` the
    /// options that name it.
    fn step(&self, env: &str, line: &str) -> Said<'_> {
        self.step_where(true, env, line)
    }

    fn step_where(&self, can_write: bool, env: &str, line: &str) -> Said<'_> {
        let words = |text: &str| -> Vec<String> {
            let (url, files) = (self.server().base_url(), self.file(""));
            let ours = format!("--issuer {url} --client-id my-app --allow-http-loopback");
            let text = text.replace("OURS", &ours).replace("SERVER", url);
            text.replace("FILES/", files.to_str().unwrap()).split_whitespace().map(str::to_owned).collect()
        };
        let mut command = within(self.walls, self.room.path(), can_write);
        command.args(["env", "-i", "LANG=C.UTF-8", "DBUS_SESSION_BUS_ADDRESS=unix:path=/nowhere"]);
        command.args(words(env)).arg(self.room.path().join("device-flow")).args(words(line));
        let mut child = command.spawn().unwrap();
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (stdout, stderr) = std::thread::scope(|scope| {
            let stdout = scope.spawn(|| self.approves(stdout));
            let stderr = self.approves(stderr);
            (stdout.join().unwrap(), stderr)
        });
        schema::check(&stdout);
        let exit = child.wait().unwrap().code().unwrap();
        Said { line: format!("{env} device-flow {line}"), exit, stdout, stderr, container: self }
    }

    /// Reads to the end, and approves the code that is shown.
    fn approves(&self, output: impl Read) -> String {
        let mut all = String::new();
        for line in BufReader::new(output).lines().map(Result::unwrap) {
            let shown = line.split_once("Enter the code").or_else(|| line.split_once("\"user_code\":\""));
            if let Some((_, code)) = shown {
                assert!(self.server().approve(code.trim_start().get(..9).unwrap()), "{line}");
            }
            all += &(line + "\n");
        }
        all
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            self.runtime.block_on(server.shutdown());
        }
    }
}

impl Said<'_> {
    #[track_caller]
    fn works(self, says: &[&str]) -> Self {
        self.ends(0, says)
    }

    /// With this exit code, and these words wherever they are printed.
    #[track_caller]
    fn ends(self, exit: i32, says: &[&str]) -> Self {
        let Self { line, stdout, stderr, .. } = &self;
        assert_eq!(self.exit, exit, "{line}: {stdout}{stderr}");
        for words in says {
            assert!(stdout.contains(words) || stderr.contains(words), "{line}: no {words:?} in: {stdout}{stderr}");
        }
        self
    }

    /// Nobody was asked to approve what cannot be used.
    #[track_caller]
    fn before_a_code(self, codes: usize) {
        assert_eq!(self.container.codes(), codes, "{}", self.line);
    }

    /// A token that the server knows.
    #[track_caller]
    fn prints_a_token(self) {
        let said = self.works(&[]);
        assert!(said.container.server().account(said.stdout.trim()).is_some(), "{}: {}", said.line, said.stdout);
        assert_eq!(said.stderr, "", "{}", said.line);
    }
}

/// What runs the words after it within these walls, without a terminal.
fn within(walls: Walls, room: &Path, can_write: bool) -> Command {
    const READ_ONLY: &str = "mount -o remount,bind,ro / && cd / && exec \"$@\"";
    let (user, files) = (NOBODY_KNOWN.to_string(), room.join("files"));
    let mount = format!("mount --bind '{0}' '{0}' && {READ_ONLY}", files.display());
    let mut command = Command::new("setsid");
    if walls == Walls::Whole {
        command.args(["unshare", "--mount", "sh", "-c", if can_write { &mount } else { READ_ONLY }, "sh"]);
    }
    if walls != Walls::Home {
        command.args(["setpriv", "--reuid", &user, "--regid", &user, "--clear-groups"]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn w06_in_a_container_without_home_every_step_works_or_says_what_to_do() {
    let Some(container) = Container::new() else { return };
    container.step("", "token").ends(8, &["no place for tokens and profiles", "Set HOME", "--config", "--token-file"]);
    let login = "login SERVER --client-id my-app --allow-http-loopback";
    for store in ["", " --store file", " --store age"] {
        let told = ["no place for tokens", "Set HOME", "--token-file", "--store memory"];
        container.step("", &format!("{login}{store}")).ends(8, &told).before_a_code(0);
    }
    // For this run alone.
    container.step("", &format!("{login} --store none")).works(&["Enter the code", "storage        memory"]);
    let events = ["\"event\":\"device_code\"", "\"event\":\"success\"", "\"storage\":\"memory\""];
    let said = container.step("", &format!("{login} --store memory --json")).works(&events);
    assert_eq!(said.stderr, "");
    // All places are named by options.
    let told = ["not saved as a profile (HOME names no home folder)", "same options", "DEVICE_FLOW_CONFIG"];
    container.step("", &format!("{login} --token-file FILES/tokens.json")).works(&told);
    container.step("", "token OURS --token-file FILES/tokens.json").prints_a_token();
    let told = ["Set HOME or XDG_STATE_HOME", "leave --no-wait out"];
    let codes = container.codes();
    container.step("", &format!("{login} --no-wait --token-file FILES/x")).ends(8, &told).before_a_code(codes);

    // By the environment.
    let place = "DEVICE_FLOW_CONFIG=FILES/config.toml";
    let all = format!(
        "{place} DEVICE_FLOW_STORE=file DEVICE_FLOW_TOKEN_FILE=FILES/t.json DEVICE_FLOW_ISSUER=SERVER DEVICE_FLOW_CLIENT_ID=my-app \
         DEVICE_FLOW_ALLOW_HTTP_LOOPBACK=1 DEVICE_FLOW_SCOPE=openid"
    );
    container.step(&all, "login").works(&["profile        default", "t.json"]);
    for env in [&*all, place, &format!("HOME=/ {place}")] {
        container.step(env, "token").prints_a_token();
        container.step(env, "run -- printenv ACCESS_TOKEN").prints_a_token();
        container.step(env, "whoami").works(&["Ada Demo"]);
        container.step(env, "status").works(&["Signed in to", "t.json"]);
    }
    container.step(place, "refresh").works(&["(refreshed)"]);
    // The folder becomes one for reading only: what is there still serves.
    if container.walls == Walls::Whole {
        container.step_where(false, place, "token").prints_a_token();
        let told = ["cannot be changed", "Read-only file system", "--config (DEVICE_FLOW_CONFIG)"];
        container.step_where(false, place, "profile rename default work").ends(8, &told);
    }
    container.step(place, "logout").works(&["Signed out", "revoked at the server"]);
    container.step(place, "token").ends(4, &["to sign in: device-flow login"]);
}

#[test]
fn w06_in_a_container_whose_home_is_the_root_every_step_works_or_says_what_to_do() {
    let Some(container) = Container::new() else { return };
    let home = "HOME=/";
    container.step(home, "token").ends(4, &["nobody is signed in", "device-flow login SERVER --client-id ID"]);
    container.step(home, "list").works(&["no profiles in /.config/device-flow/config.toml yet"]);
    let login = "login SERVER --client-id my-app --allow-http-loopback";
    let key = ["--age-key-file FILE", "DEVICE_FLOW_AGE_KEY", "DEVICE_FLOW_AGE_PASSPHRASE", "--store file"];
    for (more, told) in [
        ("", &["no keyring", "--store age", "--store file", "--store memory"][..]),
        ("--store file", &["/.local/state/device-flow", "--token-file FILE", "login --store memory"]),
        ("--store age", &key),
        ("--no-wait --token-file FILES/x", &["XDG_STATE_HOME", "leave --no-wait out"]),
        ("--profile work --token-file FILES/x", &["/.config/device-flow/config.toml cannot be changed", "--config"]),
    ] {
        container.step(home, &format!("{login} {more}")).ends(8, told).before_a_code(0);
    }
    let told = container.step(home, &format!("{login} --store file")).stderr;
    assert_eq!(told.contains("Read-only file system"), container.walls == Walls::Whole, "{told}");
    container.step(home, &format!("{login} --store memory")).works(&["storage        memory"]);
    let told = ["not saved as a profile (the profiles in /.config/device-flow/config.toml", "same options"];
    container.step(home, &format!("{login} --token-file FILES/tokens.json")).works(&told);
    container.step(home, "token OURS --token-file FILES/tokens.json").prints_a_token();
    let stdout = container.step(home, "doctor --json").ends(8, &["--store age"]).stdout;
    assert!(stdout.ends_with("}\n"), "{stdout}");
    // A folder on a mount is home enough.
    let mount = "HOME=/ XDG_CONFIG_HOME=FILES/config XDG_STATE_HOME=FILES/state";
    container.step(mount, &format!("{login} --store file")).works(&["profile        default"]);
    container.step(mount, "token").prints_a_token();
}

#[test]
fn in_a_container_tokens_are_encrypted_with_a_key_from_outside() {
    let Some(container) = Container::new() else { return };
    let key = AgeKey::generate();
    let login = "login SERVER --client-id my-app --allow-http-loopback --store age";
    // In the environment.
    let place = "DEVICE_FLOW_CONFIG=FILES/a.toml";
    let by_variable = format!("{place} DEVICE_FLOW_AGE_KEY={}", *key.to_text());
    container.step(&by_variable, &format!("{login} --token-file FILES/a.age")).works(&["a.age"]);
    container.step(&by_variable, "token").prints_a_token();
    assert!(fs::read(container.file("a.age")).unwrap().starts_with(b"age-encryption.org/v1\n"));
    container.step(place, "token").ends(8, &["there is no key for", "DEVICE_FLOW_AGE_KEY", "--age-key-file FILE"]);
    // In a file that is mounted for reading only.
    let mounted = container.room.path().join("key.txt");
    fs::write(&mounted, &*key.to_text()).unwrap();
    let by_file = format!("HOME=/ DEVICE_FLOW_CONFIG=FILES/b.toml DEVICE_FLOW_AGE_KEY_FILE={}", mounted.display());
    container.step(&by_file, &format!("{login} --token-file FILES/b.age")).works(&["b.age"]);
    container.step("DEVICE_FLOW_CONFIG=FILES/b.toml", "token").prints_a_token();
    // One of its own, which a passphrase protects.
    let by_passphrase = "HOME=FILES/ DEVICE_FLOW_AGE_PASSPHRASE=horse";
    container.step(by_passphrase, login).works(&["Without it and its passphrase they cannot be read", "tokens.age"]);
    container.step(by_passphrase, "token").prints_a_token();
    container.step("HOME=FILES/", "token").ends(8, &["protected by a passphrase", "DEVICE_FLOW_AGE_PASSPHRASE"]);
}
