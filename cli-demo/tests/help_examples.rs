//! Every example of every help text, and every command of the README, is run as written, in a home folder of its own.
//!
//! `login.example.com`, `api.example.com` and `api.github.com` stand for the demo server, which approves at once. Real
//! servers (GitHub, Entra) are behind a closed proxy: such a command must get as far as the network and exit with 6.
//! Every other command must succeed, and its effect is checked.
#![cfg(unix)]

use device_flow_cli::demo::{Options, Server};
use device_flow_testkit::black_hole::ClosedPort;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

const BINARY: &str = env!("CARGO_BIN_EXE_device-flow");

/// Collects the help texts of all sub-commands.
fn helps(before: &[String], found: &mut Vec<String>) {
    let output = Command::new(BINARY).args(before).arg("--help").output().unwrap();
    assert!(output.status.success(), "{before:?}");
    let help = String::from_utf8(output.stdout).unwrap();
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names: BTreeSet<_> = listed.filter_map(|line| line.strip_prefix("  ")?.split(' ').next()).collect();
    for name in names {
        if !["", "help"].contains(&name) {
            helps(&[before, &[name.to_owned()]].concat(), found);
        }
    }
    assert!(
        before.first().is_none_or(|_| help.contains("\nExamples:\n") || help.contains("\nCommands:\n")),
        "{before:?} has no example"
    );
    found.push(help);
}

/// The commands in these lines: each ends at the first two spaces.
fn commands(lines: impl Iterator<Item = impl AsRef<str>>) -> Vec<String> {
    let command = |line: &str| line.trim().split("  ").next().unwrap_or_default().to_owned();
    lines.map(|line| command(line.as_ref())).filter(|line| line.contains("device-flow")).collect()
}

fn examples() -> BTreeSet<String> {
    let mut texts = vec![];
    helps(&[], &mut texts);
    assert!(texts.len() > 10, "{}", texts.len());
    let mut found = BTreeSet::new();
    for text in texts {
        let examples = text.lines().skip_while(|line| *line != "Examples:").filter(|line| line.starts_with("  "));
        // What is indented further is the text of a file.
        let examples = examples.filter(|line| !line.starts_with("   "));
        found.extend(commands(examples.map(str::to_owned)));
    }
    found
}

/// The commands in the shell blocks of the README, except cargo's, which `.ci/run` runs.
fn readme() -> BTreeSet<String> {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap();
    let mut fence: Option<&str> = None;
    let mut lines = vec![];
    for line in readme.lines() {
        match (line.strip_prefix("```"), fence) {
            (Some(language), None) => fence = Some(language),
            (Some(_), Some(_)) => fence = None,
            (None, Some("sh" | "bash" | "console")) => {
                let line = line.strip_prefix("$ ").unwrap_or(line);
                let line = line.replace("cargo run --bin device-flow --", "device-flow");
                lines.extend((!line.starts_with("cargo ")).then_some(line));
            }
            (None, _) => {}
        }
    }
    assert_eq!(fence, None);
    commands(lines.into_iter()).into_iter().collect()
}

/// What is typed in the documents, but for `first-steps.md`, which a script types, and what calls a script that `.ci/run` runs.
fn documents() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| !path.ends_with("first-steps.md")).collect();
    files.sort();
    let texts = files.iter().filter(|path| path.is_file()).filter_map(|path| fs::read_to_string(path).ok());
    let typed = texts.flat_map(|text| {
        text.replace("\\\n", " ")
            .lines()
            .filter_map(|line| line.strip_prefix("$ "))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    });
    typed.filter(|line| !line.contains("testkit/")).collect()
}

/// A person's computer, and the server that they use.
struct World {
    server: Option<Server>,
    runtime: tokio::runtime::Runtime,
    closed_port: ClosedPort,
    /// A home folder with a sign-in, copied for each line that does not change the server.
    home: tempfile::TempDir,
}

/// How a command ended.
#[derive(Debug)]
#[allow(dead_code, reason = "printed when a test fails")]
struct Ended {
    exit: i32,
    stdout: String,
    stderr: String,
}

fn is_installed(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap();
    std::env::split_paths(&path).any(|folder| folder.join(tool).is_file())
}

impl World {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let options = Options { interval: Duration::from_secs(1), ..Options::default() };
        let server = Some(runtime.block_on(Server::start(options)).unwrap());
        let world = Self { server, runtime, closed_port: ClosedPort::new(), home: tempfile::tempdir().unwrap() };
        world.sign_in(world.home.path());
        world
    }

    fn server(&self) -> &Server {
        self.server.as_ref().unwrap()
    }

    /// A line, to be run by bash.
    fn shell(&self, home: &Path, line: &str) -> Command {
        let ours = Path::new(BINARY).parent().unwrap().to_owned();
        let others = std::env::var_os("PATH").unwrap();
        let path = std::env::join_paths(std::iter::once(ours).chain(std::env::split_paths(&others))).unwrap();
        let url = self.server().base_url();
        let api = format!("{url}/userinfo");
        let line = line.replace("https://api.example.com/me", &api).replace("https://api.github.com/user", &api);
        let line = line.replace("https://login.example.com", url);
        // The port may be in use here.
        let line = line.replace("--port 8628", "--port 0");
        let mut shell = Command::new("bash");
        shell.args(["--norc", "-c", &line]).env_clear().env("PATH", path).env("HOME", home).env("LANG", "C.UTF-8");
        shell.env("DEVICE_FLOW_ALLOW_HTTP_LOOPBACK", "1").env("DEVICE_FLOW_STORE", "file");
        shell.env("DEVICE_FLOW_PROXY", self.closed_port.base()).env("KUBECONFIG", home.join("kubeconfig"));
        shell.current_dir(home).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        shell
    }

    fn run(&self, home: &Path, line: &str) -> Ended {
        let output = self.shell(home, line).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ended { exit: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// Runs a line that shows a code, and approves it.
    fn approved(&self, home: &Path, line: &str) -> Ended {
        let mut child = self.shell(home, line).env("DEVICE_FLOW_JSON", "1").spawn().unwrap();
        let (mut stdout, mut codes) = (String::new(), 0);
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            let event: Value = serde_json::from_str(&line).unwrap();
            if event["event"] == "device_code" {
                codes += 1;
                assert!(self.server().approve(event["user_code"].as_str().unwrap()));
            }
            stdout += &(line + "\n");
        }
        let output = child.wait_with_output().unwrap();
        assert_eq!(codes, 1, "{line} shows one code: {stdout}");
        Ended { exit: output.status.code().unwrap(), stdout, stderr: String::from_utf8(output.stderr).unwrap() }
    }

    /// Runs a line that goes on until Ctrl-C, after it has printed this.
    fn until(&self, home: &Path, line: &str, says: &str) -> Ended {
        // In place of the shell, so that the signal reaches it.
        let mut child = self.shell(home, &format!("exec {line}")).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut told = String::new();
        while !told.contains(says) {
            assert_ne!(stderr.read_line(&mut told).unwrap(), 0, "{line} ended without {says}: {told}");
        }
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        stderr.read_to_string(&mut told).unwrap();
        Ended { exit: child.wait().unwrap().code().unwrap(), stdout: String::new(), stderr: told }
    }

    /// Signs in, and once more as the profile `work`: without the scope `openid`, so that the server names nobody, and
    /// each profile has tokens of its own.
    fn sign_in(&self, home: &Path) {
        let line =
            "device-flow login --issuer https://login.example.com --client-id my-app --scope 'profile offline_access'";
        for line in [line.to_owned(), format!("{line} --profile work")] {
            let ended = self.approved(home, &line);
            assert_eq!(ended.exit, 0, "{ended:?}");
        }
        // The folders in which shells look for completions.
        for folder in [".local/bin", ".local/share/bash-completion/completions", ".zfunc", ".config/fish/completions"] {
            fs::create_dir_all(home.join(folder)).unwrap();
        }
    }

    /// Runs a line, and returns how far it went.
    fn check(&self, line: &str) -> &'static str {
        let home = tempfile::tempdir().unwrap();
        let home = home.path();
        if ["login", "logout", "refresh"].iter().any(|word| line.split(' ').any(|found| found == *word)) {
            self.sign_in(home);
        } else {
            let from = format!("{}/.", self.home.path().display());
            assert!(Command::new("cp").args(["-a", &from]).arg(home).status().unwrap().success());
        }
        if line.contains("inspect") || line.contains("whoami") {
            // Access tokens of this server are no JWTs.
            let again =
                "device-flow login --issuer https://login.example.com --client-id my-app --scope openid --force";
            assert_eq!(self.approved(home, again).exit, 0, "{line}");
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        let has = |word: &str| words.contains(&word);
        let signs_in = line.starts_with("device-flow login");
        if signs_in
            && (has("--provider")
                || has("github")
                || line.contains("example.com") && !line.contains("login.example.com"))
        {
            let ended = self.run(home, line);
            assert_eq!(ended.exit, 6, "{line}: {ended:?}");
            return "as far as the network";
        }
        if signs_in && (has("--force") || has("--issuer") || has("https://login.example.com")) {
            // In a new home, unless it is about a second code.
            let other = tempfile::tempdir().unwrap();
            let ended = self.approved(if has("--force") { home } else { other.path() }, line);
            assert_eq!(ended.exit, 0, "{line}: {ended:?}");
            return "with a code that was approved";
        }
        if line.starts_with("device-flow demo") && !has("--yes") {
            let says = if has("--serve") { "http://127.0.0.1:" } else { "Enter the code" };
            let ended = self.until(home, line, says);
            assert_eq!(ended.exit, 130, "{line}: {ended:?}");
            return "until Ctrl-C";
        }
        // Other programs in the line must be installed.
        let commands = line.split(['|', '&', ';']).filter_map(|part| part.split_whitespace().next());
        for tool in ["curl", "git", "jq", "kubectl", "man"] {
            if commands.clone().any(|command| command == tool) && !is_installed(tool) {
                println!("SKIPPED: {tool} is not installed");
                return "not at all";
            }
        }
        let tokens = home.join(".local/state/device-flow/tokens.json.unshared");
        let before = fs::read_to_string(&tokens).unwrap();
        let ended = self.run(home, line);
        assert_eq!(ended.exit, 0, "{line}: {ended:?}");
        self.check_effect(line, home, &ended, &before);
        "to its end"
    }

    /// Checks that a line did what it is for.
    fn check_effect(&self, line: &str, home: &Path, ended: &Ended, before: &str) {
        let now = fs::read_to_string(home.join(".local/state/device-flow/tokens.json.unshared")).unwrap();
        let says = |text: &str| assert!(ended.stdout.contains(text), "{line}: {ended:?}");
        if line.contains("inspect") || line.contains("whoami") {
            return assert!(ended.stdout.contains("Ada Demo") || ended.stdout.trim() == "ada", "{line}: {ended:?}");
        }
        let is_token = |text: &str| before.contains(text) && text.len() == 43;
        let first = line.split(['|', '>']).next().unwrap().trim();
        match first.split_whitespace().collect::<Vec<_>>()[..] {
            ["curl", ..] => says("Ada Demo"),
            ["git", "config", ..] => {
                let set = fs::read_to_string(home.join(".gitconfig")).unwrap();
                assert!(
                    set.contains("helper = ") && (line.ends_with("''") || set.contains("!device-flow credential git")),
                    "{set}"
                );
            }
            ["kubectl", ..] => {
                let set = fs::read_to_string(home.join("kubeconfig")).unwrap();
                assert!(set.contains("command: device-flow") && set.contains("- kubernetes"), "{set}");
            }
            ["printf", ..] if line.contains("docker") => says("\"Secret\":\""),
            // The example's host is not the one of this profile.
            ["printf", ..] => assert_eq!(ended.stdout, "", "{line}"),
            ["eval", ..] => {
                let ended = self.run(home, &format!("{line}; printf %s \"$ACCESS_TOKEN\""));
                assert!(is_token(&ended.stdout), "{line}");
            }
            ["source", ..] => {
                assert!(self.run(home, &format!("{line}; complete -p device-flow")).stdout.contains("-F"))
            }
            ["device-flow", "token", "--format", "json"] => says("\"access_token\":\""),
            ["device-flow", "token", "--format", "header", ..] => says("Ada Demo"),
            ["device-flow", "token", ..] => {
                assert!(ended.stdout.lines().all(is_token) && !ended.stdout.is_empty(), "{line}")
            }
            ["device-flow", "run", "--env", name, ..] => says(&format!("\n{name}=")),
            ["device-flow", "run", "--refresh", ..] => assert!(is_token(&ended.stdout), "{line}: {ended:?}"),
            ["device-flow", "run", ..] => says("Ada Demo"),
            ["device-flow", "profile", "list"] => says("work"),
            ["device-flow", "profile", "show"] => says("[profile.default]"),
            ["device-flow", "profile", "show", ..] => says("\"profile\":\"work\""),
            ["device-flow", "profile", "rename", old, new] => {
                let config = fs::read_to_string(home.join(".config/device-flow/config.toml")).unwrap();
                assert!(config.contains(new) && !config.contains(&format!(".{old}]")), "{config}");
                // Its tokens are found under the new name.
                assert!(now.contains(&format!("slot {new}")) && !now.contains(&format!("slot {old}")), "{now}");
                assert_eq!(self.run(home, &format!("device-flow token --profile {new}")).exit, 0);
            }
            ["device-flow", "profile", "use", name] => {
                let config = fs::read_to_string(home.join(".config/device-flow/config.toml")).unwrap();
                assert!(config.contains(&format!("current = \"{name}\"")), "{config}");
            }
            ["device-flow", "credential", "keyring", ..] => assert!(is_token(ended.stdout.trim()), "{line}"),
            ["device-flow", "credential", "npm"] => says("Bearer "),
            ["ln", "-s", .., link] => {
                let link = Path::new(&link.replacen('~', home.to_str().unwrap(), 1)).to_owned();
                assert!(link.is_file(), "{line}");
            }
            ["device-flow", "credential", "kubernetes", ..] => says("\"kind\":\"ExecCredential\""),
            ["device-flow", "status", ..] if line.contains("/dev/null") => assert_eq!(ended.stdout, ""),
            ["device-flow", "status", ..] => says(self.server().base_url()),
            ["device-flow", "refresh", ..] => {
                assert!(now != before && ended.stdout.contains("(refreshed)"), "{line}: {ended:?}")
            }
            ["device-flow", "logout", "--all"] => assert!(!now.contains("\"secret\""), "{line}: {now}"),
            ["device-flow", "logout", ..] => {
                // The server named nobody, so the profile says whose tokens they are.
                let (gone, left) = if line.contains("work") { ("work", "default") } else { ("default", "work") };
                let of = |profile| format!("slot {profile}");
                assert!(!now.contains(&of(gone)) && now.contains(&of(left)), "{line}: {now}");
                let config = fs::read_to_string(home.join(".config/device-flow/config.toml")).unwrap();
                assert_eq!(config.contains("[profile.work]"), !line.contains("profile remove work"), "{config}");
            }
            ["device-flow", "list", ..] => says("work"),
            ["device-flow", "providers", ..] => says("keycloak"),
            ["device-flow", "schema"] => says("device_code"),
            ["device-flow", "use", name] => {
                let config = fs::read_to_string(home.join(".config/device-flow/config.toml")).unwrap();
                assert!(config.contains(&format!("current = \"{name}\"")), "{config}");
            }
            ["device-flow", "demo", ..] => says("Ada Demo"),
            // What is stored is bound to no key.
            ["device-flow", "login", ..] if line.contains("--dpop") => says("(refreshed)"),
            ["device-flow", "login", ..] => says("stored earlier, still valid"),
            ["device-flow", "completions", ..] => {
                let file = line.split('>').nth(1).map(|file| file.trim().replacen('~', home.to_str().unwrap(), 1));
                let script = file.map_or_else(|| ended.stdout.clone(), |file| fs::read_to_string(file).unwrap());
                assert!(script.contains("DEVICE_FLOW_COMPLETE"), "{line}");
            }
            ["device-flow", "man", "--to", folder] => {
                let folder = folder.replacen('~', home.to_str().unwrap(), 1);
                assert!(Path::new(&folder).join("device-flow-login.1").exists(), "{line}");
            }
            ["device-flow", "man"] => says("SUBCOMMANDS"),
            ["device-flow", "--version"] => says("device-flow 0."),
            // Nothing is wrong here, so there is no remedy.
            ["device-flow", "doctor", "--json"] if line.contains("jq") => assert_eq!(ended.stdout, "", "{line}"),
            // The tests of that sub-command check its output.
            ["device-flow", "discover" | "doctor", ..] => assert_ne!(ended.stdout, "", "{line}"),
            ["mkdir", "-p", ..] => {}
            _ => panic!("add a check of the effect of this command: {line}"),
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            self.runtime.block_on(server.shutdown());
        }
    }
}

/// Four at a time, since most of them wait for a server.
fn all_work(lines: BTreeSet<String>) {
    let (world, next) = (World::new(), Mutex::new(lines.into_iter()));
    let work = || {
        while let Some(line) = { next.lock().unwrap().next() } {
            println!("{}: {line}", world.check(&line));
        }
    };
    std::thread::scope(|threads| (0..4).for_each(|_| drop(threads.spawn(work))));
}

#[test]
fn every_example_of_the_help_works() {
    all_work(examples());
}

#[test]
fn every_command_of_the_readme_works() {
    let lines = readme();
    assert!(lines.len() >= 3, "{lines:?}");
    all_work(lines);
}

/// In one home folder: first what makes the keys that the others need. The demo server knows no client by its key, so a
/// sign-in must get as far as the network.
#[test]
fn every_command_of_the_documents_works() {
    let (world, home) = (World::new(), tempfile::tempdir().unwrap());
    let (ours, others): (Vec<_>, Vec<_>) = documents().into_iter().partition(|line| line.starts_with("device-flow "));
    assert!(ours.len() >= 5 && others.len() >= 2, "{ours:?} {others:?}");
    let certificate = "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=my-app -keyout key -out client.pem && cat key >> client.pem";
    if !is_installed("openssl") || world.run(home.path(), certificate).exit != 0 {
        return println!("SKIPPED: openssl is not installed");
    }
    for line in others {
        let tool = line.split(' ').next().unwrap();
        if !is_installed(tool) {
            println!("SKIPPED: {tool} is not installed");
            continue;
        }
        let ended = world.run(home.path(), &line);
        assert_eq!(ended.exit, 0, "{line}: {ended:?}");
        assert!(tool != "node" || ended.stdout.contains("\"kty\":\"EC\""), "{line}: {ended:?}");
    }
    let work = |line: &str| {
        if !line.starts_with("device-flow login") {
            return world.check(line);
        }
        let ended = world.run(home.path(), &line.replace("login.example.com", "login.example.org"));
        assert_eq!(ended.exit, 6, "{line}: {ended:?}");
        "as far as the network"
    };
    std::thread::scope(|threads| {
        for line in &ours {
            threads.spawn(move || println!("{}: {line}", work(line)));
        }
    });
}
