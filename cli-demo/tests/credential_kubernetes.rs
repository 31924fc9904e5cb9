//! `credential kubernetes` with a real kubectl and an API server on loopback that requires the token; and the answer
//! compared with the type that client-go reads.
#![cfg(unix)]

use crate::program::{self, program};
use base64ct::{Base64, Base64UrlUnpadded, Encoding as _};
use device_flow_testkit::loopback::{Authority, JSON, Loopback, answer, device_answer};
use device_flow_testkit::rotating::Rotating;
use serde::Deserialize;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

/// k8s.io/client-go/pkg/apis/clientauthentication/v1 (and v1beta1, which differs in nothing here), as Go's decoder
/// reads it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ExecCredential {
    kind: String,
    api_version: String,
    status: ExecCredentialStatus,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ExecCredentialStatus {
    /// metav1.Time: RFC 3339.
    expiration_timestamp: Option<String>,
    token: String,
    // Never set here: clientCertificateData, clientKeyData.
}

/// Seconds until it expires. (Go reads it in the layout of RFC 3339: whole seconds, and a zone.)
fn seconds_left(read: &ExecCredential) -> i64 {
    let end = read.status.expiration_timestamp.as_ref().unwrap();
    assert!(end.len() == 20 && end.ends_with('Z'), "{end}");
    end.parse::<jiff::Timestamp>().unwrap().duration_since(jiff::Timestamp::now()).as_secs()
}

const V1: &str = "client.authentication.k8s.io/v1";
const V1BETA1: &str = "client.authentication.k8s.io/v1beta1";

/// Runs it to its end: exit code, stdout, stderr without a secret.
fn ended(command: &mut Command) -> (i32, String, String) {
    let (exit, stdout, stderr) = program::ended(command);
    assert!(!stderr.contains("canary"), "a secret is on stderr: {stderr}");
    (exit, stdout, stderr)
}

fn sign_in(home: &Path, server: &Loopback, scope: &str) {
    let endpoints = [server.url("/device"), server.url("/token")];
    let words = ["login", "--device-endpoint", &endpoints[0], "--token-endpoint", &endpoints[1], "--scope", scope];
    let more = ["--client-id", "my-app", "--allow-http-loopback", "--store", "file"];
    let (exit, _, stderr) = ended(program("device-flow", home).args(words).args(more));
    assert_eq!(exit, 0, "{stderr}");
}

/// Lets the stored access token expire.
fn expire(home: &Path) {
    let file = home.join(".local/state/device-flow/tokens.json.unshared");
    let mut cache: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    cache["AccessToken"].as_object_mut().unwrap().values_mut().for_each(|token| token["expires_on"] = "1".into());
    fs::write(&file, cache.to_string()).unwrap();
}

/// An authorization server that also issues an ID token.
fn with_id_token() -> (Loopback, String) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let claims =
        format!(r#"{{"iss":"https://as.example","sub":"ada","aud":"my-app","iat":{now},"exp":{}}}"#, now + 600);
    let part = |text: &str| Base64UrlUnpadded::encode_string(text.as_bytes());
    let id_token = format!("{}.{}.canary", part(r#"{"alg":"RS256"}"#), part(&claims));
    let tokens = format!(
        r#"{{"access_token":"AT-canary","id_token":"{id_token}","token_type":"Bearer","expires_in":3600,"scope":"openid"}}"#
    );
    let server =
        Loopback::http(
            move |asked, wire| {
                if asked.target == "/device" { device_answer(wire) } else { answer(wire, 200, JSON, &tokens) }
            },
        );
    (server, id_token)
}

#[test]
fn the_answer_is_what_client_go_reads() {
    let (home, authority) = (tempfile::tempdir().unwrap(), Rotating::new(3_600));
    let asked = |version: Option<&str>| {
        let mut command = program("device-flow", home.path());
        let info =
            |version| format!(r#"{{"kind":"ExecCredential","apiVersion":"{version}","spec":{{"interactive":false}}}}"#);
        version.map(|version| command.env("KUBERNETES_EXEC_INFO", info(version)));
        // kubectl reads its own format, even if the environment asks for JSON.
        ended(command.args(["credential", "kubernetes"]).env("DEVICE_FLOW_JSON", "1"))
    };
    let (exit, stdout, stderr) = asked(None);
    assert_eq!((exit, &*stdout), (4, ""));
    assert!(stderr.contains("device-flow login"), "{stderr}");

    sign_in(home.path(), &authority.server, "mail");
    for (version, expected) in [(None, V1), (Some(V1), V1), (Some(V1BETA1), V1BETA1)] {
        let (exit, stdout, stderr) = asked(version);
        assert_eq!((exit, &*stderr), (0, ""));
        let read: ExecCredential = serde_json::from_str(&stdout).unwrap();
        assert_eq!((&*read.kind, &*read.api_version, &*read.status.token), ("ExecCredential", expected, "AT-canary-1"));
        let left = seconds_left(&read);
        assert!((3_500..=3_600).contains(&left), "{left}");
    }
    let (exit, stdout, stderr) = asked(Some("client.authentication.k8s.io/v1alpha1"));
    assert_eq!((exit, &*stdout), (2, ""));
    assert!(stderr.contains(V1BETA1), "{stderr}");

    // The server issues no ID token; and then nothing at all.
    let (exit, stdout, stderr) =
        ended(program("device-flow", home.path()).args(["credential", "kubernetes", "--id-token"]));
    assert_eq!((exit, &*stdout), (4, ""));
    assert!(stderr.contains("scope openid"), "{stderr}");
    authority.revoke();
    expire(home.path());
    let (exit, stdout, stderr) = asked(Some(V1));
    assert_eq!((exit, &*stdout), (4, ""));
    assert!(stderr.contains("device-flow login"), "{stderr}");
    fs::write(home.path().join(".local/state/device-flow/tokens.json.unshared"), "[]").unwrap();
    assert_eq!(asked(Some(V1)).0, 8);
}

#[test]
fn an_id_token_is_given_with_its_own_end() {
    let home = tempfile::tempdir().unwrap();
    let (server, id_token) = with_id_token();
    sign_in(home.path(), &server, "openid");
    let (exit, stdout, stderr) =
        ended(program("device-flow", home.path()).args(["credential", "kubernetes", "--id-token"]));
    assert_eq!((exit, &*stderr), (0, ""));
    let read: ExecCredential = serde_json::from_str(&stdout).unwrap();
    assert_eq!(read.status.token, id_token);
    let left = seconds_left(&read);
    assert!((500..=600).contains(&left), "{left}");
}

/// A cluster that lets in whoever shows this token.
struct Cluster {
    server: Loopback,
    good: Arc<Mutex<String>>,
    ca: String,
}

impl Cluster {
    fn new() -> Self {
        let (authority, good) = (Authority::new(), Arc::new(Mutex::new(String::new())));
        let wanted = good.clone();
        let server = Loopback::https(authority.server(&["127.0.0.1"]), move |asked, wire| {
            let bearer = format!("\r\nauthorization: bearer {}\r\n", wanted.lock().unwrap()).to_ascii_lowercase();
            if !asked.head.contains(&bearer) {
                let unauthorized =
                    r#"{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Unauthorized","code":401}"#;
                return answer(wire, 401, JSON, unauthorized);
            }
            let namespaces = r#"{"kind":"NamespaceList","apiVersion":"v1","items":[{"metadata":{"name":"ours"}}]}"#;
            answer(wire, 200, JSON, namespaces)
        });
        Self { server, good, ca: Base64::encode_string(authority.pem().as_bytes()) }
    }

    /// Writes a kubeconfig for it.
    fn kubeconfig(&self, home: &Path, version: &str, more: &str) {
        let text = format!(
            r#"{{"apiVersion": "v1", "kind": "Config", "current-context": "here",
                "clusters": [{{"name": "here", "cluster": {{"server": "{}", "certificate-authority-data": "{}"}}}}],
                "contexts": [{{"name": "here", "context": {{"cluster": "here", "user": "me"}}}}],
                "users": [{{"name": "me", "user": {{"exec": {{"apiVersion": "{version}", "command": "device-flow",
                    "args": ["credential", "kubernetes"{more}], "interactiveMode": "Never"}}}}}}]}}"#,
            self.server.url(""),
            self.ca
        );
        fs::write(home.join("kubeconfig"), text).unwrap();
    }

    fn wants(&self, token: &str) {
        token.clone_into(&mut self.good.lock().unwrap());
    }
}

fn kubectl(home: &Path) -> (i32, String, String) {
    let mut command = program::program("kubectl", home);
    ended(command.args(["get", "--raw", "/api/v1/namespaces"]).env("KUBECONFIG", home.join("kubeconfig")))
}

#[test]
fn kubectl_gets_in() {
    let (home, authority, cluster) = (tempfile::tempdir().unwrap(), Rotating::new(3_600), Cluster::new());
    if Command::new("kubectl").args(["version", "--client"]).output().is_err() {
        println!("SKIPPED: kubectl is not installed. The test above compares the answer with its type.");
        return;
    }
    sign_in(home.path(), &authority.server, "mail");
    cluster.wants("AT-canary-1");
    for version in [V1, V1BETA1] {
        cluster.kubeconfig(home.path(), version, "");
        let (exit, stdout, stderr) = kubectl(home.path());
        assert_eq!(exit, 0, "{stderr}");
        assert!(stdout.contains(r#""name":"ours""#), "{stdout}");
    }
    assert_eq!(authority.refreshes(), 0);
    expire(home.path());
    cluster.wants("AT-canary-2");
    let (exit, _, stderr) = kubectl(home.path());
    assert_eq!((exit, authority.refreshes()), (0, 1), "{stderr}");
    // The cluster rejects another token.
    cluster.wants("another-canary");
    assert_ne!(kubectl(home.path()).0, 0);
    authority.revoke();
    expire(home.path());
    let (exit, _, stderr) = kubectl(home.path());
    assert_ne!(exit, 0);
    assert!(stderr.contains("device-flow login") && stderr.contains("exit code 4"), "{stderr}");

    let home = tempfile::tempdir().unwrap();
    let (server, id_token) = with_id_token();
    sign_in(home.path(), &server, "openid");
    cluster.wants(&id_token);
    cluster.kubeconfig(home.path(), V1, r#", "--id-token""#);
    let (exit, _, stderr) = kubectl(home.path());
    assert_eq!(exit, 0, "{stderr}");
}
