//! What is said: commands that can be pasted (W02), remedies that help (W06), lines that fit the terminal (W11).
#![cfg(target_os = "linux")]

use crate::program::{ended, program};
use crate::pty::Terminal;
use device_flow_testkit::loopback::{self, Asked, Authority, JSON, Loopback};
use std::io::{Read as _, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

/// A server whose metadata names these endpoints under its own address.
fn publishing(members: &'static [(&'static str, &'static str)]) -> Loopback {
    Loopback::http(move |asked: &Asked, wire: &mut dyn Write| {
        let host = asked.head.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
        let base = format!("http://{host}");
        let mut document = serde_json::json!({ "issuer": base });
        for (name, place) in members {
            let url = if place.contains("://") { (*place).to_owned() } else { format!("{base}{place}") };
            document[*name] = url.into();
        }
        loopback::answer(wire, 200, JSON, &document.to_string())
    })
}

fn discover(home: &Path, server: &Loopback, more: &[&str]) -> (i32, String, String) {
    let mut command = program("device-flow", home);
    ended(command.args(["discover", "--issuer", &server.url(""), "--allow-http-loopback"]).args(more))
}

/// The words that a shell makes of a command line.
fn as_a_shell_reads_it(home: &Path, line: &str) -> Vec<String> {
    let script = line.replacen("device-flow ", "printf '%s\\n' ", 1);
    let output = Command::new("sh").arg("-c").arg(script).current_dir(home).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{line}: {output:?}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

// W02
#[test]
fn w02_a_suggested_command_is_only_words_to_a_shell() {
    let home = tempfile::tempdir().unwrap();
    const TOKEN: &str = "/t;touch$IFS'ran'&(x)*!$(touch$IFS-ran)";
    const REVOKE: &str = "/r'$(touch$IFS-ran);&ran";
    let server = publishing(&[("token_endpoint", TOKEN), ("revocation_endpoint", REVOKE)]);
    let (exit, text, _) = discover(home.path(), &server, &["--client-id", "a b;touch ran"]);
    assert_eq!(exit, 0, "{text}");
    let (_, line) = text.split_once("name it: ").unwrap();
    // URL stands for one that the person looks up.
    let words = as_a_shell_reads_it(home.path(), line.lines().next().unwrap());
    let (token, revoke) = (server.url(TOKEN), server.url(REVOKE));
    let expected = [
        "login",
        "--device-endpoint",
        "URL",
        "--token-endpoint",
        &token,
        "--revocation-endpoint",
        &revoke,
        "--client-id",
        "a b;touch ran",
    ];
    assert_eq!(words, expected);
    // The same of a sign-in.
    let mut login = program("device-flow", home.path());
    login.args([
        "login",
        "--issuer",
        &server.url(""),
        "--allow-http-loopback",
        "--client-id",
        "a",
        "--store",
        "memory",
    ]);
    let (exit, _, stderr) = ended(&mut login);
    assert_eq!(exit, 2, "{stderr}");
    let (_, options) = stderr.split_once("and use: ").unwrap();
    let words = as_a_shell_reads_it(home.path(), &format!("device-flow {options}"));
    assert_eq!(words, ["--device-endpoint", "URL", "--token-endpoint", &token]);
    assert!(!home.path().join("ran").exists());
}

// W02
#[test]
fn w02_a_url_of_the_metadata_is_checked_before_it_is_shown() {
    let home = tempfile::tempdir().unwrap();
    for bad in [
        "https://as.example/r\nissuer          https://bank.example",
        "javascript:alert(1)",
        "http://as.example/r",
        "https://u:p@as.example/r",
    ] {
        let members: &'static [_] = Box::leak(Box::new([
            ("device_authorization_endpoint", "/d"),
            ("token_endpoint", "/t"),
            ("revocation_endpoint", ""),
        ]));
        let mut members = members.to_vec();
        members[2].1 = bad;
        let server = publishing(Box::leak(members.into_boxed_slice()));
        let (exit, text, _) = discover(home.path(), &server, &[]);
        assert_eq!(exit, 0, "{text}");
        assert!(text.contains("revocation      none\n") && text.contains("usable revocation endpoint"), "{text}");
        assert_eq!(text.lines().filter(|line| line.starts_with("issuer")).count(), 1, "{text}");
        let (_, json, _) = discover(home.path(), &server, &["--json"]);
        let found: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert!(found["revocation_endpoint"].is_null(), "{json}");
    }
}

/// `login` at a server that is reached, or not, with these settings.
fn login(home: &Path, url: &str, words: &[&str], environment: &[(&str, &str)]) -> (i32, String) {
    let mut command = program("device-flow", home);
    command.args(["login", "--client-id", "a", "--store", "file", "--timeout", "20s"]);
    let device = format!("{url}/device");
    command.args(["--device-endpoint", &device, "--token-endpoint", &device]).args(words);
    let (exit, _, stderr) = ended(command.envs(environment.iter().copied()));
    (exit, stderr)
}

fn says(stderr: &str, all: &[&str]) {
    for words in all {
        assert!(stderr.contains(words), "{words:?} is missing: {stderr}");
    }
}

// W06
#[test]
fn w06_certificates_name_the_option_the_variable_and_the_clock() {
    let home = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let unknown = Loopback::https(authority.server(&["localhost"]), |_, wire| loopback::answer(wire, 200, JSON, "{}"));
    let url = format!("https://localhost:{}", unknown.port());
    let (exit, stderr) = login(home.path(), &url, &[], &[]);
    assert_eq!(exit, 6);
    says(&stderr, &["not trusted", "--ca-file FILE", "SSL_CERT_FILE", "clock"]);
    let of_another_time: [fn(&mut _); 2] = [loopback::expired, loopback::not_yet_valid];
    for refine in of_another_time {
        let server = authority.server_with(&["localhost"], refine);
        let server = Loopback::https(server, |_, wire| loopback::answer(wire, 200, JSON, "{}"));
        let root = home.path().join("root.pem");
        std::fs::write(&root, authority.pem()).unwrap();
        let url = format!("https://localhost:{}", server.port());
        let (exit, stderr) = login(home.path(), &url, &["--ca-file", root.to_str().unwrap()], &[]);
        assert_eq!(exit, 6);
        says(&stderr, &["expired or is not valid yet, check this computer's clock"]);
    }
    // A variable that names no certificates.
    let empty = home.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    for file in [empty.to_str().unwrap(), "/nonexistent/root.pem"] {
        let (exit, stderr) = login(home.path(), &url, &[], &[("SSL_CERT_FILE", file)]);
        assert!(exit == 2 || exit == 6, "{stderr}");
        says(&stderr, &[&format!("SSL_CERT_FILE={file}"), "--ca-file"]);
    }
    let (exit, stderr) = login(home.path(), &url, &["--ca-file", "/nonexistent/root.pem"], &[]);
    assert_eq!(exit, 2);
    says(&stderr, &["--ca-file /nonexistent/root.pem"]);
}

/// A proxy that answers every request like this.
fn proxy_that_says(answer: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let mut connection = connection;
            let _ = connection.read(&mut [0; 4096]);
            let _ = connection.write_all(answer.as_bytes());
        }
    });
    port
}

// W06
#[test]
fn w06_a_proxy_is_named_with_its_options() {
    let home = tempfile::tempdir().unwrap();
    let options = ["--proxy", "HTTPS_PROXY", "NO_PROXY"];
    for (answer, status) in [
        ("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "403"),
        ("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\nProxy-Authenticate: Basic\r\n\r\n", "407"),
    ] {
        let proxy = format!("http://127.0.0.1:{}", proxy_that_says(answer));
        let (exit, stderr) = login(home.path(), "https://as.example", &["--proxy", &proxy], &[]);
        assert_eq!(exit, 6, "{status}: {stderr}");
        says(&stderr, &["the proxy 127.0.0.1", "user:password"]);
        says(&stderr, &options);
    }
    // One whose own TLS fails: it speaks none, or nobody knows its certificate.
    let server = Authority::new().server(&["localhost"]);
    let unknown = Loopback::https(server, |_, wire| loopback::answer(wire, 200, JSON, "{}"));
    for port in [proxy_that_says("HTTP/1.1 400 Bad Request\r\n\r\n"), unknown.port()] {
        let proxy = format!("https://localhost:{port}");
        let (exit, stderr) = login(home.path(), "https://as.example", &[], &[("HTTPS_PROXY", &proxy)]);
        assert_eq!(exit, 6, "{stderr}");
        says(&stderr, &["through the proxy localhost", "HTTPS_PROXY"]);
    }
}

// W06
#[test]
fn w06_a_damaged_file_is_named() {
    let home = tempfile::tempdir().unwrap();
    let place = |name: &str| home.path().join(name).display().to_string();
    for (shared, unshared, named) in [
        (Some("no JSON"), None, "t.json"),
        (None, Some("no JSON"), "t.json.unshared"),
        (Some("{}"), Some("["), "t.json.unshared"),
    ] {
        for (name, text) in [("t.json", shared), ("t.json.unshared", unshared)] {
            let _ = std::fs::remove_file(place(name));
            text.into_iter().for_each(|text| std::fs::write(place(name), text).unwrap());
        }
        for words in [&["token"][..], &["status"], &["login"], &["login", "--force"], &["logout"], &["refresh"]] {
            let mut command = program("device-flow", home.path());
            command.args(words).args(["--provider", "github", "--client-id", "a", "--token-file", &place("t.json")]);
            let (exit, _, stderr) = ended(&mut command);
            assert_eq!(exit, 8, "{words:?}: {stderr}");
            says(&stderr, &[&format!("{}: the token cache is not a JSON object", place(named)), "move it away"]);
        }
    }
    // And a file of profiles that cannot be read: a folder, or no text.
    std::fs::create_dir(place("folder")).unwrap();
    std::fs::write(place("binary"), [0xff, 0xfe, 0]).unwrap();
    for file in [place("folder"), place("binary")] {
        let mut command = program("device-flow", home.path());
        let (exit, _, stderr) = ended(command.args(["--config", &file, "status"]));
        assert_eq!(exit, 2, "{stderr}");
        says(&stderr, &[&file, "--config"]);
    }
}

// W11
#[test]
fn w11_results_and_help_fit_the_terminal() {
    let home = tempfile::tempdir().unwrap();
    let server = loopback::sign_in(&[]);
    let server = Loopback::http(server);
    let (device, token) = (server.url("/device"), server.url("/token"));
    let mut login = program("device-flow", home.path());
    login.args([
        "login",
        "--store",
        "file",
        "--allow-http-loopback",
        "--client-id",
        "a",
        "--scope",
        "one two three four",
    ]);
    let (exit, _, stderr) = ended(login.args(["--device-endpoint", &device, "--token-endpoint", &token]));
    assert_eq!(exit, 0, "{stderr}");
    for columns in [40_u16, 80] {
        for words in [
            &["status"][..],
            &["list"],
            &["doctor"],
            &["discover"],
            &["providers"],
            &["--help"],
            &["login", "--help"],
            &["login", "-h"],
            &["doctor", "--help"],
            &["credential", "git", "--help"],
            &["login", "--provider", "nobody"],
        ] {
            let words = [&[env!("CARGO_BIN_EXE_device-flow")], words].concat();
            let mut terminal = Terminal::run(columns, 200, &words, |command| {
                command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", home.path());
                command.env("LANG", "C.UTF-8").env("TERM", "xterm");
            });
            terminal.end();
            let text = terminal.text();
            assert!(!text.trim().is_empty(), "{words:?}");
            for line in text.lines() {
                let line = line.trim_end_matches(['\r', '\\', ' ']);
                // Only what is one word, as an address or a quoted text, may be wider.
                let is_one_word = !line.trim_start().contains(' ') || line.contains(['"', '\'']);
                assert!(line.chars().count() <= usize::from(columns) || is_one_word, "{columns}: {line:?}");
            }
        }
    }
}
