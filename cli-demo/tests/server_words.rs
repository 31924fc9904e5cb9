//! What a person reads of a server's words, through the binary: as text, with `-v`, and with `--json`.

use crate::program;
use device_flow_testkit::loopback::{self, JSON, Loopback};
use device_flow_testkit::secrets::none_in;
use serde_json::{Value, json};

const CODE: &str = r#"{"device_code":"DC-canary","user_code":"WDJB-MJHT","verification_uri":"https://as.example/device","expires_in":60,"interval":1}"#;

/// A server whose device authorization endpoint answers this, and whose token endpoint answers each of these in turn.
fn server(device: (u16, &'static str), token: &'static [(u16, &'static str)]) -> Loopback {
    let polls = std::sync::atomic::AtomicUsize::new(0);
    Loopback::http(move |asked, wire| {
        let (status, body) = match &*asked.target {
            "/device" => device,
            _ => token[polls.fetch_add(1, std::sync::atomic::Ordering::Relaxed).min(token.len() - 1)],
        };
        loopback::answer(wire, status, JSON, body)
    })
}

/// Exit code, stdout and stderr of a `login` there.
fn login(server: &Loopback, more: &[&str]) -> (i32, String, String) {
    let home = tempfile::tempdir().unwrap();
    let mut command = program::program("device-flow", home.path());
    command.args(["login", "--client-id", "my-app", "--store", "memory", "--allow-http-loopback"]);
    command.args(["--device-endpoint", &server.url("/device"), "--token-endpoint", &server.url("/token")]).args(more);
    let (exit, stdout, stderr) = program::ended(&mut command);
    none_in(&(stdout.clone() + &stderr));
    (exit, stdout, stderr)
}

fn events(stdout: &str) -> Vec<Value> {
    stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

// The words are told at each attempt and at the end, once each, without advice that does not fit.
#[test]
fn w04_the_servers_own_words_are_told() {
    let failing = (500, r#"{"error":"server_error","error_description":"client not found"}"#);
    for more in [&[][..], &["-v"], &["-vv"], &["--json"]] {
        let (exit, stdout, stderr) = login(&server(failing, &[]), more);
        assert_eq!(exit, 6, "{stderr}");
        let last = if more == ["--json"] { stdout.lines().last().unwrap() } else { stderr.lines().last().unwrap() };
        assert!(last.contains("server_error: client not found") && last.contains("check the client id"), "{last}");
        assert_eq!(last.matches("gain later").count(), 1, "{last}");
        assert!((stdout + &stderr).matches("client not found").count() >= 4, "at each attempt, too");
    }
    let (_, stdout, _) = login(&server(failing, &[]), &["--json"]);
    let transient: Vec<_> = events(&stdout).into_iter().filter(|event| event["event"] == "transient").collect();
    assert_eq!((transient.len(), &transient[0]["said"]), (3, &json!("server_error: client not found")));
}

// W05: a wrong secret, as Keycloak answers it.
#[test]
fn w05_a_wrong_secret_is_told_as_one() {
    let refused =
        (401, r#"{"error":"unauthorized_client","error_description":"Invalid client or Invalid client credentials"}"#);
    let home = tempfile::tempdir().unwrap();
    let secret = home.path().join("secret");
    std::fs::write(&secret, "canary").unwrap();
    let flag = ["--client-secret-file", secret.to_str().unwrap()];
    let (exit, _, stderr) = login(&server(refused, &[]), &flag);
    assert!(exit == 7 && stderr.contains("does not accept this client id with this secret"), "{stderr}");
    assert!(!stderr.contains("device flow for"), "{stderr}");
}

// W03, W09: a page that begins with a number, and the answer of a limiter, do not end a sign-in.
#[test]
fn w03_w09_a_page_and_a_limiter_are_survived() {
    let token = (200, r#"{"access_token":"AT-canary","token_type":"bearer"}"#);
    let answers: &[_] = Box::leak(Box::new([(404, "404 page not found"), token]));
    let (exit, _, stderr) = login(&server((200, CODE), answers), &[]);
    assert!(exit == 0 && stderr.contains("404 page not found"), "{stderr}");
    let answers: &[_] = Box::leak(Box::new([(429, r#"{"error":"rate_limit_exceeded"}"#), token]));
    let (exit, _, stderr) = login(&server((200, CODE), answers), &[]);
    assert!(exit == 0 && stderr.contains("rate_limit_exceeded"), "{stderr}");
}

// W01, W08: scopes are told as they were granted, and clean.
#[test]
fn w01_w08_granted_missing_and_added_scopes_are_told() {
    let asked = ["--scope", "repo mail"];
    for (scope, text, missing, added) in [
        (r#""""#, "scopes         none granted", vec!["repo", "mail"], vec![]),
        ("[]", "not granted    repo mail", vec!["repo", "mail"], vec![]),
        (r#""repo a\u001b[31m""#, "not asked for  a\\u{1b}[31m", vec!["mail"], vec!["a\\u{1b}[31m"]),
        ("null", "scopes         repo mail", vec![], vec![]),
    ] {
        let body = format!(r#"{{"access_token":"AT-canary","token_type":"bearer","scope":{scope}}}"#);
        let answers: &[_] = Box::leak(Box::new([(200, &*body.leak())]));
        let (exit, stdout, stderr) = login(&server((200, CODE), answers), &asked);
        assert!(exit == 0 && stdout.contains(text), "{stdout}{stderr}");
        assert!(!stdout.contains('\u{1b}') && !stderr.contains('\u{1b}'), "{stdout}{stderr}");
        let (_, stdout, _) = login(&server((200, CODE), answers), &[&asked[..], &["--json"]].concat());
        let success = events(&stdout).pop().unwrap();
        assert_eq!(
            (&success["missing_scopes"], &success["added_scopes"]),
            (&json!(missing), &json!(added)),
            "{success}"
        );
    }
}
