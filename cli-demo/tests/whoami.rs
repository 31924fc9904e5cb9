//! `whoami`: the userinfo endpoint, else the ID token, and what is said when there is neither.
#![cfg(unix)]

use crate::program::{ended, program};
use base64ct::{Base64UrlUnpadded, Encoding as _};
use device_flow_testkit::loopback::{self, Asked, Authority, JSON, Loopback, Next};
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::sync::{Arc, Mutex};

/// What the server answers at its userinfo endpoint; `None`: its metadata names none.
type UserInfo = Option<(u16, Value)>;

/// An issuer whose tokens are for this subject, if it issues ID tokens.
struct Issuer {
    server: Loopback,
    home: tempfile::TempDir,
    userinfo: Arc<Mutex<UserInfo>>,
}

impl Issuer {
    fn start(subject: Option<&'static str>, userinfo: UserInfo) -> Self {
        let userinfo = Arc::new(Mutex::new(userinfo));
        let shared = userinfo.clone();
        let server = Loopback::http(move |asked, wire| answer(asked, wire, subject, &shared.lock().unwrap()));
        let issuer = Self { server, home: tempfile::tempdir().unwrap(), userinfo };
        let url = issuer.server.url("");
        let words =
            ["login", &url, "--client-id", "my-app", "--allow-http-loopback", "--store", "file", "--scope", "openid"];
        let (exit, _, stderr) = ended(program("device-flow", issuer.home.path()).args(words));
        assert_eq!(exit, 0, "{stderr}");
        issuer
    }

    fn whoami(&self, words: &[&str]) -> (i32, String, String) {
        let ended = ended(program("device-flow", self.home.path()).arg("whoami").args(words));
        assert!(!format!("{ended:?}").contains("canary"), "{ended:?}");
        ended
    }

    fn json(&self) -> Value {
        let (exit, stdout, stderr) = self.whoami(&["--json"]);
        assert_eq!((exit, &*stderr), (0, ""), "{stdout}");
        serde_json::from_str(&stdout).unwrap()
    }

    /// The requests for userinfo so far.
    fn asked(&self) -> Vec<Asked> {
        self.server.requests().into_iter().filter(|asked| asked.target == "/me").collect()
    }
}

fn answer(asked: &Asked, wire: &mut dyn Write, subject: Option<&str>, userinfo: &UserInfo) -> Next {
    let host = asked.head.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let issuer = format!("http://{host}");
    let (status, body) = match &*asked.target {
        "/.well-known/openid-configuration" => {
            let mut document = json!({
                "issuer": issuer, "device_authorization_endpoint": format!("{issuer}/device"), "token_endpoint": format!("{issuer}/token")
            });
            if userinfo.is_some() {
                document["userinfo_endpoint"] = format!("{issuer}/me").into();
            }
            (200, document)
        }
        "/device" => return loopback::device_answer(wire),
        "/token" => {
            let mut token = json!({"access_token": "AT-canary", "token_type": "Bearer", "expires_in": 3600});
            if let Some(subject) = subject {
                let claims = json!({
                    "iss": issuer, "aud": "my-app", "sub": subject, "exp": 4_102_444_800_u64, "name": "Ada in the token"
                });
                let part = |part: Value| Base64UrlUnpadded::encode_string(part.to_string().as_bytes());
                token["id_token"] = format!("{}.{}.canary", part(json!({"alg": "none"})), part(claims)).into();
            }
            (200, token)
        }
        "/me" => userinfo.clone().unwrap(),
        _ => (404, json!({})),
    };
    loopback::answer(wire, status, JSON, &body.to_string())
}

#[test]
fn the_server_is_asked_and_its_answer_is_shown_clean() {
    let claims =
        json!({"sub": "ada", "preferred_username": "ada@example.test", "name": "Ada \u{1b}[2J", "groups": ["x"]});
    let issuer = Issuer::start(Some("ada"), Some((200, claims.clone())));
    let (exit, stdout, stderr) = issuer.whoami(&[]);
    assert_eq!((exit, &*stderr), (0, ""));
    let lines: Vec<_> = stdout.lines().collect();
    assert_eq!(lines[..3], ["ada@example.test", "  name       Ada \\u{1b}[2J", "  subject    ada"]);
    let person = issuer.json();
    assert_eq!(
        (&person["event"], &person["source"], &person["claims"]),
        (&"whoami".into(), &"userinfo".into(), &claims)
    );
    assert_eq!((&person["username"], &person["email"]), (&"ada@example.test".into(), &Value::Null));
    let asked = issuer.asked();
    assert_eq!(asked.len(), 2);
    assert!(asked[0].head.contains("\nauthorization: bearer at-canary\r\n"), "{}", asked[0].head);
    // Where the endpoint is was found at the sign-in.
    let metadata = issuer.server.requests().into_iter().filter(|asked| asked.target.ends_with("openid-configuration"));
    assert_eq!(metadata.count(), 1);
}

// OpenID Connect Core §5.3.2.
#[test]
fn the_id_token_has_to_do_where_the_endpoint_is_missing_refuses_or_speaks_of_somebody_else() {
    let issuer = Issuer::start(Some("ada"), None);
    for userinfo in
        [None, Some((403, json!({"error": "insufficient_scope"}))), Some((200, json!({"sub": "eve", "name": "Eve"})))]
    {
        *issuer.userinfo.lock().unwrap() = userinfo;
        let person = issuer.json();
        assert_eq!((&person["source"], &person["subject"]), (&"id_token".into(), &"ada".into()));
        assert_eq!(person["name"], "Ada in the token");
    }
    assert!(issuer.whoami(&[]).1.ends_with("This is what the ID token says, as of the sign-in.\n"));
}

#[test]
fn who_cannot_be_told_is_said_with_the_way_out() {
    let issuer = Issuer::start(None, None);
    let (exit, stdout, stderr) = issuer.whoami(&[]);
    assert_eq!((exit, &*stdout), (7, ""));
    assert!(stderr.contains("names nobody") && stderr.contains("--scope openid"), "{stderr}");
    *issuer.userinfo.lock().unwrap() = Some((401, json!({"error": "invalid_token"})));
    let (exit, _, stderr) = issuer.whoami(&[]);
    assert_eq!(exit, 7);
    assert!(stderr.contains("userinfo endpoint") && stderr.contains("401"), "{stderr}");
    // Nobody is signed in.
    let (exit, _, stderr) = ended(program("device-flow", issuer.home.path()).args(["logout"]));
    assert_eq!(exit, 0, "{stderr}");
    assert_eq!(issuer.whoami(&[]).0, 4);
}

// GitHub has no metadata and no ID tokens: its API tells.
#[test]
fn github_is_asked_at_its_api() {
    let authority = Authority::new();
    let server = Loopback::https(authority.server(&["127.0.0.1"]), |asked, wire| match &*asked.target {
        "/login/device/code" => loopback::device_answer(wire),
        "/api/v3/user" => loopback::answer(wire, 200, JSON, r#"{"login":"octocat","id":583231,"name":"The Octocat"}"#),
        _ => loopback::token_answer(wire),
    });
    let home = tempfile::tempdir().unwrap();
    let ca = home.path().join("ca.pem");
    fs::write(&ca, authority.pem()).unwrap();
    let host = format!("127.0.0.1:{}", server.port());
    let words = ["login", "github", "--host", &host, "--client-id", "my-app", "--store", "file", "--add-ca-file"];
    let (exit, _, stderr) = ended(program("device-flow", home.path()).args(words).arg(&ca));
    assert_eq!(exit, 0, "{stderr}");
    let (exit, stdout, stderr) = ended(program("device-flow", home.path()).arg("whoami"));
    assert_eq!(exit, 0, "{stderr}");
    assert!(stdout.starts_with("octocat\n  name       The Octocat\n  subject    583231\n"), "{stdout}");
}
