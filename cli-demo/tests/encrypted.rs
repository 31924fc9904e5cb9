//! The binary where there is no keyring: tokens in an encrypted file, the key of it from wherever it is, and the questions
//! that a person is asked.
#![cfg(target_os = "linux")]

use crate::program::{ended, program};
use crate::pty::Terminal;
use device_flow_testkit::rotating::Rotating;
use device_flow_tokio::AgeKey;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

const PROGRAM: &str = env!("CARGO_BIN_EXE_device-flow");
const PASSPHRASE: &str = "correct horse canary";

/// A person's computer without a keyring, and a server to sign in to.
struct Desk {
    home: tempfile::TempDir,
    server: Rotating,
}

impl Desk {
    fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap(), server: Rotating::new(3_600) }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.home.path().join(path)
    }

    fn command(&self, words: &[&str], env: &[(&str, &str)]) -> Command {
        let mut command = program("device-flow", self.home.path());
        command.args(words).envs(env.iter().copied());
        command
    }

    /// Exit code, stdout, stderr.
    fn run(&self, words: &[&str], env: &[(&str, &str)]) -> (i32, String, String) {
        let ended = ended(&mut self.command(words, env));
        assert!(!ended.2.contains("canary"), "{}", ended.2);
        ended
    }

    #[track_caller]
    fn succeeds(&self, words: &[&str], env: &[(&str, &str)]) -> String {
        let (exit, stdout, stderr) = self.run(words, env);
        assert_eq!(exit, 0, "{words:?}: {stderr}");
        stdout
    }

    /// `login`, with the options that name the server.
    fn login(&self, more: &[&str]) -> Vec<String> {
        let url = |path| self.server.server.url(path);
        let (device, token) = (url("/device"), url("/token"));
        let words = [
            "login",
            "--device-endpoint",
            &device,
            "--token-endpoint",
            &token,
            "--client-id",
            "my-app",
            "--allow-http-loopback",
        ];
        [&words, more].concat().into_iter().map(str::to_owned).collect()
    }

    #[track_caller]
    fn signs_in(&self, more: &[&str], env: &[(&str, &str)]) {
        let words = self.login(more);
        self.succeeds(&words.iter().map(String::as_str).collect::<Vec<_>>(), env);
    }

    fn terminal(&self, words: &[String]) -> Terminal {
        let words: Vec<_> = [PROGRAM].into_iter().chain(words.iter().map(String::as_str)).collect();
        Terminal::run(80, 40, &words, |command| {
            command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", self.home.path());
            command.env("LANG", "C.UTF-8").env("TERM", "xterm");
        })
    }

    fn key_file(&self) -> PathBuf {
        self.path(".local/state/device-flow/age-key")
    }

    fn tokens(&self) -> PathBuf {
        self.path(".local/state/device-flow/tokens.age")
    }

    /// All files below the home folder.
    fn files(&self) -> Vec<PathBuf> {
        fn below(folder: &Path, found: &mut Vec<PathBuf>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { below(&path, found) } else { found.push(path) }
            }
        }
        let mut found = vec![];
        below(self.home.path(), &mut found);
        found
    }

    /// Nothing that anybody could use is readable on the disk, nor can anybody else read what there is.
    #[track_caller]
    fn nothing_is_readable(&self) {
        for file in self.files() {
            let text = String::from_utf8_lossy(&fs::read(&file).unwrap()).into_owned();
            assert!(!text.contains("canary"), "{}: {text}", file.display());
        }
        for file in [self.key_file(), self.tokens()].into_iter().filter(|file| file.exists()) {
            assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o77, 0, "{}", file.display());
        }
    }
}

#[test]
fn tokens_are_encrypted_with_a_key_that_a_passphrase_protects() {
    let desk = Desk::new();
    let env = [("DEVICE_FLOW_AGE_PASSPHRASE", PASSPHRASE)];
    desk.signs_in(&["--store", "age"], &env);
    assert!(fs::read(desk.tokens()).unwrap().starts_with(b"age-encryption.org/v1\n-> X25519 "));
    assert!(fs::read(desk.key_file()).unwrap().starts_with(b"age-encryption.org/v1\n-> scrypt "));
    desk.nothing_is_readable();
    assert_eq!(desk.succeeds(&["token"], &env), "AT-canary-1\n");
    let status = desk.succeeds(&["status"], &env);
    assert!(status.contains(desk.tokens().to_str().unwrap()), "{status}");
    desk.succeeds(&["refresh"], &env);
    assert_eq!(desk.succeeds(&["token"], &env), "AT-canary-2\n");
    desk.nothing_is_readable();
    let (exit, stdout, _) = desk.run(&["doctor"], &env);
    assert!(stdout.contains("encrypted") && stdout.contains("1 account"), "{exit}: {stdout}");

    // Without it, or with another one.
    let (exit, stdout, stderr) = desk.run(&["token"], &[]);
    assert_eq!((exit, &*stdout), (8, ""));
    assert!(stderr.contains("protected by a passphrase") && stderr.contains("DEVICE_FLOW_AGE_PASSPHRASE"), "{stderr}");
    let (exit, _, stderr) = desk.run(&["token"], &[("DEVICE_FLOW_AGE_PASSPHRASE", "wrong")]);
    assert_eq!(exit, 8);
    assert!(stderr.contains("the passphrase is wrong"), "{stderr}");
    // Nothing is lost by that.
    assert_eq!(desk.succeeds(&["token"], &env), "AT-canary-2\n");

    // The key is lost: that is said, and no new one is made over it.
    let away = desk.path("away");
    fs::rename(desk.key_file(), &away).unwrap();
    for words in [&["token"][..], &["login"]] {
        let (exit, _, stderr) = desk.run(words, &env);
        assert_eq!(exit, 8);
        assert!(stderr.contains("their key is gone"), "{stderr}");
    }
    fs::rename(&away, desk.key_file()).unwrap();
    desk.succeeds(&["logout"], &env);
    assert_eq!(desk.run(&["token"], &env).0, 4);
}

#[test]
fn the_key_may_be_in_a_file_in_the_environment_or_a_credential_of_systemd() {
    let (desk, key) = (Desk::new(), AgeKey::generate());
    let text = format!("# public key: {}\n{}\n", key.recipient(), *key.to_text());
    let file = desk.path("key.txt");
    fs::write(&file, &text).unwrap();
    let credentials = desk.path("credentials");
    fs::create_dir(&credentials).unwrap();
    fs::write(credentials.join("device-flow-age-key"), &text).unwrap();
    let in_environment = [("DEVICE_FLOW_AGE_KEY", &**key.to_text())];
    let credential = [("CREDENTIALS_DIRECTORY", credentials.to_str().unwrap())];

    // The profile remembers the file, from wherever it is used.
    let words = desk.login(&["--store", "age", "--age-key-file", "key.txt"]);
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let (exit, _, stderr) = ended(desk.command(&words, &[]).current_dir(desk.home.path()));
    assert_eq!(exit, 0, "{stderr}");
    assert_eq!(desk.succeeds(&["token"], &[]), "AT-canary-1\n");
    assert!(!desk.key_file().exists());
    let config = desk.path(".config/device-flow/config.toml");
    for env in [&in_environment[..], &credential] {
        // What the profile says goes before them.
        let text = fs::read_to_string(&config).unwrap();
        let without: String =
            text.lines().filter(|line| !line.starts_with("age-key-file")).map(|line| format!("{line}\n")).collect();
        assert_ne!(without, text);
        fs::write(&config, without).unwrap();
        assert_eq!(desk.succeeds(&["token"], env), "AT-canary-1\n");
        fs::write(&config, text).unwrap();
    }
    // Another key opens nothing, and what is no key is said to be none.
    fs::write(&file, &*AgeKey::generate().to_text()).unwrap();
    let (exit, _, stderr) = desk.run(&["token"], &[]);
    assert!(exit == 8 && stderr.contains("this key does not open"), "{stderr}");
    fs::write(&file, "nonsense").unwrap();
    let (exit, _, stderr) = desk.run(&["token"], &[]);
    assert!(exit == 8 && stderr.contains("key.txt") && stderr.contains("AGE-SECRET-KEY-1"), "{stderr}");
    fs::remove_file(&file).unwrap();
    let (exit, _, stderr) = desk.run(&["token"], &[]);
    assert!(exit == 2 && stderr.contains("--age-key-file"), "{stderr}");
}

// The tool age itself opens the file.
#[test]
fn the_tool_age_opens_the_file() {
    let (desk, key) = (Desk::new(), AgeKey::generate());
    if Command::new("age").arg("--version").output().is_err() {
        println!("SKIPPED: age is not installed");
        return;
    }
    let file = desk.path("key.txt");
    fs::write(&file, &*key.to_text()).unwrap();
    desk.signs_in(&["--store", "age", "--age-key-file", file.to_str().unwrap()], &[]);
    let opened = Command::new("age").arg("--decrypt").arg("-i").arg(&file).arg(desk.tokens()).output().unwrap();
    assert!(opened.status.success(), "{opened:?}");
    assert!(String::from_utf8(opened.stdout).unwrap().contains("RT-canary-1"));
}

#[test]
fn without_a_terminal_the_error_names_what_would_help() {
    let desk = Desk::new();
    let login = desk.login(&[]);
    let (exit, _, stderr) = desk.run(&login.iter().map(String::as_str).collect::<Vec<_>>(), &[]);
    assert_eq!(exit, 8);
    for flag in ["--store age", "--store file"] {
        assert!(stderr.contains(flag), "{stderr}");
    }
    let login = desk.login(&["--store", "age"]);
    let (exit, _, stderr) = desk.run(&login.iter().map(String::as_str).collect::<Vec<_>>(), &[]);
    assert_eq!(exit, 8);
    for way in [
        "--age-key-file FILE",
        "DEVICE_FLOW_AGE_KEY",
        "device-flow-age-key",
        "DEVICE_FLOW_AGE_PASSPHRASE",
        "--store file",
    ] {
        assert!(stderr.contains(way), "{stderr}");
    }
    assert_eq!(desk.server.server.requests().len(), 0, "nobody has to approve what cannot be stored");
    // A wrong command is told as such, with no key asked for.
    assert_eq!(desk.run(&["token", "--store", "age", "--token-file", "x", "--client-id", "a"], &[]).0, 4);
}

#[test]
fn a_person_without_a_keyring_chooses_before_there_is_a_code() {
    let desk = Desk::new();
    let mut terminal = desk.terminal(&desk.login(&[]));
    terminal.until_it_says("1, 2 or 3?");
    assert!(!terminal.contents().contains("WDJB-MJHT"), "{}", terminal.contents());
    terminal.press("what?\n");
    terminal.until(|contents| (contents.matches("1, 2 or 3?").count() == 2).then_some(()));
    terminal.press("1\n");
    terminal.until_it_says("A passphrase for the key of your tokens:");
    terminal.press("\n");
    terminal.until_it_says("Without a passphrase");
    terminal.until(|contents| (contents.matches("A passphrase for").count() == 2).then_some(()));
    terminal.press(&format!("{PASSPHRASE}\n"));
    terminal.until_it_says("The same once more:");
    terminal.press("another canary\n");
    terminal.until_it_says("These two differ.");
    terminal.until(|contents| (contents.matches("A passphrase for").count() == 3).then_some(()));
    terminal.press(&format!("{PASSPHRASE}\n"));
    terminal.until(|contents| (contents.matches("The same once more:").count() == 2).then_some(()));
    terminal.press(&format!("{PASSPHRASE}\n"));
    assert_eq!(terminal.end().code(), Some(0), "{}", terminal.contents());
    assert!(!terminal.text().contains("canary"), "it was shown: {}", terminal.text());
    assert!(
        terminal.contents().contains("WDJB-MJHT") && terminal.contents().contains("tokens.age"),
        "{}",
        terminal.contents()
    );
    desk.nothing_is_readable();

    // From now on only the passphrase is asked for, at most three times.
    let mut terminal = desk.terminal(&["token".to_owned()]);
    terminal.until_it_says("Passphrase of the key of your tokens:");
    terminal.press("wrong\n");
    terminal.until_it_says("The passphrase is wrong.");
    terminal.until(|contents| (contents.matches("Passphrase of").count() == 2).then_some(()));
    terminal.press(&format!("{PASSPHRASE}\n"));
    assert_eq!(terminal.end().code(), Some(0), "{}", terminal.contents());
    assert!(terminal.contents().contains("AT-canary-1"));

    // Ctrl-C ends the question, and what is typed is shown again.
    let mut terminal = desk.terminal(&["token".to_owned()]);
    terminal.until_it_says("Passphrase of the key of your tokens:");
    terminal.cancel();
}

#[test]
fn a_person_may_choose_a_plain_file_or_none() {
    for (answer, store) in [("2", "tokens.json"), ("3", "memory")] {
        let desk = Desk::new();
        let mut terminal = desk.terminal(&desk.login(&[]));
        terminal.until_it_says("1, 2 or 3?");
        terminal.press(&format!("{answer}\n"));
        assert_eq!(terminal.end().code(), Some(0), "{}", terminal.contents());
        assert!(terminal.contents().contains(store), "{}", terminal.contents());
        assert_eq!(desk.path(".local/state/device-flow/tokens.json.unshared").exists(), answer == "2");
        // The next one asks nothing.
        if answer == "2" {
            assert_eq!(desk.succeeds(&["token"], &[]), "AT-canary-1\n");
        }
    }
}

// W12: the current profile changes only when that is wanted.
#[test]
fn w12_a_second_profile_becomes_the_current_one_if_the_person_says_so() {
    let (desk, other) = (Desk::new(), Rotating::new(3_600));
    desk.signs_in(&["--store", "file"], &[]);
    let second = |answer: &str, says: &str| {
        let url = |path| other.server.url(path);
        let words = [
            "login",
            "--profile",
            "work",
            "--device-endpoint",
            &url("/device"),
            "--token-endpoint",
            &url("/token"),
            "--client-id",
            "my-app",
            "--allow-http-loopback",
            "--store",
            "file",
        ];
        let mut terminal = desk.terminal(&words.map(str::to_owned));
        terminal.until_it_says("Shall work be it from now on? [y/N]");
        terminal.press(answer);
        assert_eq!(terminal.end().code(), Some(0), "{}", terminal.contents());
        let flat = terminal.contents().split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat.contains(says), "{flat}");
        fs::read_to_string(desk.path(".config/device-flow/config.toml")).unwrap()
    };
    for answer in ["\n", "n\n", "\u{3}"] {
        assert!(second(answer, "To change that: device-flow use work").contains("current = \"default\""));
    }
    assert!(second("y\n", "Profile work is now the current one.").contains("current = \"work\""));
}

#[test]
fn defaults_of_the_file_are_for_every_sign_in_that_says_nothing_else() {
    let desk = Desk::new();
    let config = desk.path(".config/device-flow/config.toml");
    fs::create_dir_all(config.parent().unwrap()).unwrap();
    let write = |text: &str| fs::write(&config, text).unwrap();
    write("[defaults]\nstore = \"file\"\nrequest-timeout = \"20s\"\n");
    desk.signs_in(&[], &[]);
    let text = fs::read_to_string(&config).unwrap();
    assert!(text.contains("[defaults]\nstore = \"file\"\n") && text.contains("[profile.default]"), "{text}");
    // Where the tokens are belongs to the profile now; how the network is reached does not.
    assert_eq!((text.matches("store = \"file\"").count(), text.matches("request-timeout").count()), (2, 1), "{text}");
    assert_eq!(desk.succeeds(&["token"], &[]), "AT-canary-1\n");
    // A flag and the environment go before them.
    let words = desk.login(&["--force", "--store", "memory"]);
    assert!(desk.succeeds(&words.iter().map(String::as_str).collect::<Vec<_>>(), &[]).contains("memory"));
    for (wrong, says) in [
        ("[defaults]\nissuer = \"https://a.example\"\n", "issuer belongs to a profile"),
        ("[defaults]\ntoken-file = \"x\"\n", "token-file belongs to a profile"),
        ("[defaults]\nstore = \"disk\"\n", "invalid value 'disk'"),
        ("defaults = 1\n", "is not a table"),
    ] {
        write(wrong);
        let (exit, _, stderr) = desk.run(&["status"], &[]);
        assert!(exit == 2 && stderr.contains(says) && stderr.contains("config.toml"), "{wrong}: {stderr}");
    }
}
