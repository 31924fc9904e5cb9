//! The binary with keys: what it sends, where the key of the tokens is, which helpers hand on what, and what is told.
#![cfg(unix)]

use crate::program;
use base64ct::{Base64UrlUnpadded, Encoding as _};
use device_flow_keys::{DpopKey, create_key_file};
use device_flow_testkit::loopback::{Asked, JSON, Loopback, Next, answer};
use device_flow_testkit::secrets::none_in;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A server with metadata that approves every code at the first poll. `metadata`: further members. `token_type`: of its
/// tokens; DPoP needs a proof.
fn server(metadata: Value, token_type: &'static str) -> Loopback {
    Loopback::http(move |asked, wire| serve(asked, wire, &metadata, token_type))
}

fn serve(asked: &Asked, wire: &mut dyn Write, metadata: &Value, token_type: &str) -> Next {
    let host = asked.head.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let url = |path| format!("http://{host}/{path}");
    match &*asked.target {
        "/device" => answer(
            wire,
            200,
            JSON,
            r#"{"device_code":"DC-canary","user_code":"WDJB-MJHT","verification_uri":"https://as.example/d","expires_in":60,"interval":1}"#,
        ),
        "/token" if token_type == "DPoP" && !asked.head.to_lowercase().contains("\ndpop: ") => {
            answer(wire, 400, JSON, r#"{"error":"invalid_request","error_description":"DPoP proof is missing"}"#)
        }
        "/token" => {
            let token = json!({
                "access_token": "AT-canary", "refresh_token": "RT-canary", "token_type": token_type, "expires_in": 3600
            });
            answer(wire, 200, JSON, &token.to_string())
        }
        "/.well-known/oauth-authorization-server" => {
            let mut document = json!({
                "issuer": format!("http://{host}"), "device_authorization_endpoint": url("device"),
                "token_endpoint": url("token"), "grant_types_supported": ["urn:ietf:params:oauth:grant-type:device_code"]
            });
            document.as_object_mut().unwrap().extend(metadata.as_object().unwrap().clone());
            answer(wire, 200, JSON, &document.to_string())
        }
        _ => answer(wire, 404, "", ""),
    }
}

fn device_flow(home: &Path, words: &[&str]) -> Command {
    let mut command = program::program("device-flow", home);
    command.env("DEVICE_FLOW_STORE", "file").args(words);
    command
}

fn login(home: &Path, server: &Loopback, words: &[&str]) -> Command {
    let issuer = server.url("");
    let mut command = device_flow(home, &["login", "--client-id", "my-app", "--allow-http-loopback"]);
    command.args(["--issuer", issuer.trim_end_matches('/')]).args(words);
    command
}

/// Exit code, stdout, stderr; without a secret.
fn ended(command: &mut Command) -> (i32, String, String) {
    let (exit, stdout, stderr) = program::ended(command);
    none_in(&(stdout.clone() + &stderr));
    assert!(!(stdout.clone() + &stderr).contains("PRIVATE KEY"));
    (exit, stdout, stderr)
}

fn parameter(asked: &Asked, name: &str) -> Option<String> {
    let mut all = form_urlencoded::parse(asked.body.as_bytes());
    all.find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
}

fn posted(server: &Loopback) -> Vec<Asked> {
    server.requests().into_iter().filter(|asked| ["/device", "/token"].contains(&&*asked.target)).collect()
}

/// Header and claims of a JWT.
fn jwt(text: &str) -> [Value; 2] {
    let mut parts = text.split('.').map(|part| Base64UrlUnpadded::decode_vec(part).unwrap());
    [(); 2].map(|()| serde_json::from_slice(&parts.next().unwrap()).unwrap())
}

fn header(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find(|line| line.to_lowercase().starts_with(&format!("{name}: ")))?;
    Some(line.split_once(": ").unwrap().1.to_owned())
}

fn key_file(home: &Path) -> PathBuf {
    let path = home.join("key.pem");
    create_key_file(&path, &DpopKey::generate_pem().unwrap()).unwrap();
    path
}

#[test]
fn rfc7523_2_2_a_key_file_signs_every_request() {
    let (server, home) = (server(json!({}), "Bearer"), tempfile::tempdir().unwrap());
    let key = key_file(home.path());
    let (exit, _, stderr) = ended(&mut login(home.path(), &server, &["--client-key-file", key.to_str().unwrap()]));
    assert_eq!(exit, 0, "{stderr}");
    let (exit, _, stderr) = ended(&mut device_flow(home.path(), &["refresh"]));
    assert_eq!(exit, 0, "the profile knows the file: {stderr}");
    let mut seen = BTreeSet::new();
    let asked = posted(&server);
    assert_eq!(asked.len(), 3);
    for asked in asked {
        let [head, claims] = jwt(&parameter(&asked, "client_assertion").unwrap());
        assert_eq!(
            (&head["alg"], &claims["iss"], &claims["sub"]),
            (&json!("ES256"), &json!("my-app"), &json!("my-app"))
        );
        assert_eq!(claims["aud"], server.url("").trim_end_matches('/'));
        assert!(seen.insert(claims["jti"].as_str().unwrap().to_owned()), "a jti is for one request");
        assert_eq!(parameter(&asked, "client_secret"), None);
    }
}

#[test]
fn a_key_that_cannot_be_used_is_told_before_anything_is_sent() {
    let (server, home) = (server(json!({}), "Bearer"), tempfile::tempdir().unwrap());
    let key = key_file(home.path());
    let key = key.to_str().unwrap();
    let public = home.path().join("public.pem");
    fs::write(&public, "-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----\n").unwrap();
    let missing = home.path().join("missing.pem");
    for (words, text) in [
        (vec!["--client-key-file", public.to_str().unwrap()], "this is the public key"),
        (vec!["--client-key-file", missing.to_str().unwrap()], "No such file"),
        (vec!["--client-key-file", key, "--client-auth", "post"], "--client-auth private_key_jwt"),
        (vec!["--client-key-file", key, "--client-secret-file", key], "cannot be used with"),
        (vec!["--client-auth", "private_key_jwt"], "needs --client-key-file"),
        (vec!["--client-auth", "tls_client_auth"], "needs --client-certificate"),
        (vec!["--client-auth", "basic"], "needs --client-secret-file"),
        (vec!["--client-certificate", missing.to_str().unwrap()], "No such file"),
        (vec!["--client-certificate", key], "certificate"),
        (vec!["--authorization-details", "{}"], "JSON array of objects"),
        (vec!["--device-parameter", "client_id=x"], "belongs to the grant itself"),
        (vec!["--token-parameter", "device_code=x"], "belongs to the grant itself"),
        (vec!["--device-parameter", "x"], "write it as NAME=VALUE"),
        (vec!["--device-parameter", "x=1", "--device-parameter", "x=2"], "given twice"),
        (vec!["--login-hint", "ada", "--device-parameter", "login_hint=bob"], "given twice"),
    ] {
        let (exit, _, stderr) = ended(&mut login(home.path(), &server, &words));
        assert!(exit == 2 || exit == 6, "{words:?}: {exit} {stderr}");
        assert!(stderr.contains(text), "{words:?}: {stderr}");
    }
    assert!(posted(&server).is_empty());
    let listing = json!({"token_endpoint_auth_methods_supported": ["client_secret_basic"]});
    let listing = self::server(listing, "Bearer");
    let (exit, _, stderr) = ended(&mut login(home.path(), &listing, &["--client-key-file", key]));
    assert_eq!(exit, 2);
    assert!(stderr.contains("does not list private_key_jwt for client authentication, only client_secret_basic"));
}

// R9449-5-5.
#[test]
fn rfc9449_5_tokens_are_bound_to_a_key_that_stays_beside_them() {
    let (server, home) =
        (server(json!({"dpop_signing_alg_values_supported": ["ES256"]}), "DPoP"), tempfile::tempdir().unwrap());
    let (exit, stdout, stderr) = ended(&mut login(home.path(), &server, &["--dpop"]));
    assert_eq!((exit, stderr.contains("bearer token")), (0, false), "{stdout}{stderr}");
    let state = home.path().join(".local/state/device-flow");
    let keys: Vec<PathBuf> = fs::read_dir(&state).unwrap().map(|entry| entry.unwrap().path()).collect();
    let keys: Vec<_> = keys.iter().filter(|path| path.to_string_lossy().contains("dpop-key-")).collect();
    let pem = keys.iter().find(|path| fs::read_to_string(path).unwrap().contains("PRIVATE KEY")).unwrap();
    assert_eq!(pem.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let thumbprints = |asked: Vec<Asked>| -> BTreeSet<String> {
        asked
            .iter()
            .filter_map(|asked| header(&String::from_utf8_lossy(&asked.bytes), "dpop"))
            .map(|proof| jwt(&proof)[0]["jwk"].to_string())
            .collect()
    };
    assert_eq!(thumbprints(posted(&server)).len(), 1);

    // The next run has the same key.
    let (exit, _, stderr) = ended(&mut device_flow(home.path(), &["refresh"]));
    assert_eq!(exit, 0, "{stderr}");
    assert_eq!((posted(&server).len(), thumbprints(posted(&server)).len()), (3, 1));

    // The token is handed on with its proof, or with a warning, and to no helper that would send it as a bearer token.
    let (exit, stdout, stderr) = program::ended(&mut device_flow(
        home.path(),
        &["token", "--format", "header", "--url", "https://API.example/a?b=c", "--method", "post", "--nonce", "n-1"],
    ));
    assert_eq!(exit, 0, "{stderr}");
    assert_eq!(header(&stdout, "authorization").as_deref(), Some("DPoP AT-canary"));
    let [_, claims] = jwt(&header(&stdout, "dpop").unwrap());
    assert_eq!(
        (&claims["htm"], &claims["htu"], &claims["nonce"]),
        (&json!("POST"), &json!("https://api.example/a"), &json!("n-1"))
    );
    assert_eq!(claims["ath"], "aDuHulrT4AEXDL0VyWewtb2IM0dUnjcFn_DGeVPhUmc");
    let (exit, stdout, stderr) = program::ended(&mut device_flow(home.path(), &["token"]));
    assert_eq!((exit, &*stdout), (0, "AT-canary\n"));
    assert!(stderr.contains("bound to a key (DPoP)"), "{stderr}");
    let (_, stdout, _) = program::ended(&mut device_flow(home.path(), &["token", "--format", "json"]));
    assert_eq!(serde_json::from_str::<Value>(&stdout).unwrap()["token_type"], "DPoP");
    for words in [vec!["token", "--format", "header"], vec!["credential", "kubernetes"]] {
        let (exit, stdout, stderr) = ended(&mut device_flow(home.path(), &words));
        assert_eq!((exit, &*stdout), (4, ""), "{words:?}");
        assert!(stderr.contains("of no use as a bearer token"), "{stderr}");
    }
    let (exit, _, stderr) = ended(&mut device_flow(home.path(), &["token", "--url", "https://a.example/"]));
    assert_eq!(exit, 2, "{stderr}");

    // Without its key the token is of no use.
    keys.iter().for_each(|path| fs::remove_file(path).unwrap());
    let (exit, _, stderr) = ended(&mut device_flow(home.path(), &["token"]));
    assert_eq!(exit, 4, "{stderr}");
    assert!(stderr.contains("bound to a key (DPoP) that is not the one in use"), "{stderr}");
    let asked = posted(&server).len();
    let (exit, _, stderr) = ended(&mut login(home.path(), &server, &["--dpop"]));
    assert_eq!((exit, posted(&server).len()), (0, asked + 2), "a new code: {stderr}");
}

// R9449-5-4.
#[test]
fn rfc9449_5_a_bearer_token_in_place_of_a_bound_one_is_told() {
    let (server, home) = (server(json!({}), "Bearer"), tempfile::tempdir().unwrap());
    let (exit, _, stderr) = ended(&mut login(home.path(), &server, &["--dpop"]));
    assert_eq!(exit, 0);
    assert!(stderr.contains("The server has issued a bearer token"), "{stderr}");
    let (exit, stdout, _) = program::ended(&mut device_flow(home.path(), &["token", "--format", "header"]));
    assert_eq!((exit, &*stdout), (0, "Authorization: Bearer AT-canary\n"));
}

// R7636-4.2-2, R7636-5-1.
#[test]
fn rfc7636_4_pkce_is_on_where_the_metadata_lists_it() {
    for (listed, words, sent) in [
        (json!(["S256"]), vec![], true),
        (json!(["S256"]), vec!["--pkce", "off"], false),
        (json!(["plain"]), vec![], false),
        (json!(null), vec![], false),
        (json!(null), vec!["--pkce", "on"], true),
    ] {
        let (server, home) =
            (server(json!({"code_challenge_methods_supported": listed}), "Bearer"), tempfile::tempdir().unwrap());
        let (exit, _, stderr) = ended(&mut login(home.path(), &server, &words));
        assert_eq!(exit, 0, "{stderr}");
        let asked = posted(&server);
        assert_eq!(parameter(&asked[0], "code_challenge").is_some(), sent, "{listed} {words:?}");
        assert_eq!(parameter(&asked[1], "code_verifier").is_some(), sent, "{listed} {words:?}");
        // What is remembered of the metadata says the same.
        let (exit, _, _) = ended(&mut login(home.path(), &server, &[&words[..], &["--force"]].concat()));
        assert_eq!((exit, parameter(&posted(&server)[2], "code_challenge").is_some()), (0, sent));
    }
}

#[test]
fn further_parameters_of_either_request() {
    let (server, home) = (server(json!({}), "Bearer"), tempfile::tempdir().unwrap());
    let details = r#"[{"type":"payment"}]"#;
    let words = [
        "--authorization-details",
        details,
        "--login-hint",
        "ada@example.test",
        "--acr-values",
        "phr mfa",
        "--device-parameter",
        "prompt=consent",
        "--device-parameter",
        "x=a=b c",
        "--token-parameter",
        "y=2",
    ];
    let (exit, _, stderr) = ended(&mut login(home.path(), &server, &words));
    assert_eq!(exit, 0, "{stderr}");
    let asked = posted(&server);
    for (name, value) in [
        ("authorization_details", details),
        ("login_hint", "ada@example.test"),
        ("acr_values", "phr mfa"),
        ("prompt", "consent"),
        ("x", "a=b c"),
    ] {
        assert_eq!(parameter(&asked[0], name).as_deref(), Some(value));
        assert_eq!(parameter(&asked[1], name), None);
    }
    assert_eq!((parameter(&asked[0], "y"), parameter(&asked[1], "y").as_deref()), (None, Some("2")));
    // The profile has them, too.
    let (exit, _, stderr) = ended(&mut device_flow(home.path(), &["refresh"]));
    assert_eq!((exit, parameter(&posted(&server)[2], "y").as_deref()), (0, Some("2")), "{stderr}");
}

#[test]
fn doctor_finds_out_beforehand_that_a_client_needs_a_key() {
    let (server, home) = (server(json!({}), "DPoP"), tempfile::tempdir().unwrap());
    let issuer = server.url("");
    let issuer = issuer.trim_end_matches('/');
    let examine = |words: &[&str]| {
        let base = ["doctor", "--issuer", issuer, "--client-id", "my-app", "--allow-http-loopback", "--try", "--json"];
        let (exit, stdout, _) = ended(device_flow(home.path(), &base).args(words));
        let lines: Vec<Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        (exit, lines.into_iter().find(|line| line["check"] == "poll").unwrap())
    };
    let (exit, poll) = examine(&[]);
    assert_eq!((exit, &poll["status"]), (7, &json!("fail")), "{poll}");
    assert!(poll["message"].as_str().unwrap().contains("wants tokens that are bound to a key"), "{poll}");
    assert!(poll["remedy"].as_str().unwrap().contains("--dpop"), "{poll}");
    let (exit, poll) = examine(&["--dpop"]);
    assert_eq!((exit, &poll["status"]), (0, &json!("ok")), "{poll}");
}

#[test]
fn discover_tells_what_the_server_lists_for_keys() {
    let metadata = json!({
        "token_endpoint_auth_methods_supported": ["private_key_jwt", "tls_client_auth"],
        "token_endpoint_auth_signing_alg_values_supported": ["ES256"], "dpop_signing_alg_values_supported": ["EdDSA"],
        "code_challenge_methods_supported": ["S256"], "tls_client_certificate_bound_access_tokens": true
    });
    let (server, home) = (server(metadata, "Bearer"), tempfile::tempdir().unwrap());
    let issuer = server.url("");
    let base = ["discover", "--allow-http-loopback", "--issuer", issuer.trim_end_matches('/')];
    let (exit, stdout, stderr) = ended(&mut device_flow(home.path(), &base));
    assert_eq!(exit, 0, "{stderr}");
    for line in [
        "signatures      listed: ES256",
        "DPoP            listed: EdDSA",
        "PKCE            listed: S256",
        "mutual TLS      tokens can be",
    ] {
        assert!(stdout.contains(line), "{stdout}");
    }
    // What the client would want and the server does not list.
    let (_, stdout, _) = ended(device_flow(home.path(), &base).arg("--dpop"));
    assert!(stdout.contains("does not list ES256 for DPoP proofs, only EdDSA"), "{stdout}");
}
