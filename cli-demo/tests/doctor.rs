//! `discover` and `doctor` with the metadata of real servers, and with everything that can be wrong: the findings, the
//! remedies, and the exit codes.
#![cfg(unix)]

use crate::program;
use device_flow_testkit::black_hole::ClosedPort;
use device_flow_testkit::loopback::{self, Asked, Authority, JSON, Loopback, Next};
use device_flow_testkit::secrets::none_in;
use device_flow_tokio::{FileStore, Store as _};
use jiff::fmt::rfc2822::DateTimePrinter;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

/// Without a keyring.
fn device_flow(home: &Path, words: &[&str]) -> Command {
    let mut command = program::program("device-flow", home);
    command.env("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={}", home.join("bus").display()));
    command.args(words);
    command
}

/// Exit code, stdout, stderr; without a secret.
fn ended(command: &mut Command) -> (i32, String, String) {
    let (exit, stdout, stderr) = program::ended(command);
    none_in(&(stdout.clone() + &stderr));
    (exit, stdout, stderr)
}

/// The exit code and all JSON lines.
fn lines_of(command: &mut Command) -> (i32, Vec<Value>) {
    let (exit, stdout, stderr) = ended(command.arg("--json"));
    assert_eq!(stderr, "");
    (exit, stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// A document from the captured traffic of a real server.
fn captured<'a>(capture: &'a str, name: &str) -> &'a str {
    let (_, from) = capture.split_once(&format!("== {name} ")).unwrap();
    from.lines().find(|line| line.starts_with('{')).unwrap()
}

const AUTHLIB: &str = include_str!("../../core/tests/captures/authlib.txt");
const OIDC_PROVIDER: &str = include_str!("../../core/tests/captures/oidc-provider.txt");
const KEYCLOAK: &str = include_str!("../../core/tests/captures/keycloak.txt");
const DJANGO: &str = include_str!("../../core/tests/captures/django-oauth-toolkit.txt");

/// The base URL of a request.
fn base(asked: &Asked) -> String {
    let host = asked.head.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    format!("http://{host}")
}

/// A server that publishes a captured document at one URL, with its own address in it.
fn publishing(capture: &'static str, name: &'static str, origin: &'static str, place: &'static str) -> Loopback {
    Loopback::http(move |asked, wire| {
        if asked.target == place {
            return loopback::answer(wire, 200, JSON, &captured(capture, name).replace(origin, &base(asked)));
        }
        loopback::answer(wire, 404, "Content-Type: text/html\r\n", "<html>nothing here</html>")
    })
}

const INSERTED: &str = "/.well-known/oauth-authorization-server";
const APPENDED: &str = "/.well-known/openid-configuration";

fn discover(server: &Loopback, path: &str) -> Value {
    let home = tempfile::tempdir().unwrap();
    let issuer = server.url(path);
    let (exit, lines) =
        lines_of(&mut device_flow(home.path(), &["discover", "--issuer", &issuer, "--allow-http-loopback"]));
    assert_eq!((exit, lines.len()), (0, 1), "{lines:?}");
    assert_eq!((&lines[0]["event"], &lines[0]["issuer"]), (&json!("discovered"), &json!(issuer)));
    lines[0].clone()
}

// RFC 8414 §2.
#[test]
fn c21_the_metadata_of_three_real_servers() {
    let server = publishing(AUTHLIB, "metadata_oauth-authorization-server", "http://127.0.0.1:9111", INSERTED);
    let found = discover(&server, "");
    let inserted = server.url(INSERTED);
    assert_eq!(found["metadata"], json!([{ "url": inserted, "status": 200, "used": true, "fault": null }]));
    assert_eq!(found["device_authorization_endpoint"], server.url("/device_authorization"));
    assert_eq!((&found["token_endpoint"], &found["usable"]), (&json!(server.url("/token")), &json!(true)));
    assert_eq!(found["auth_methods"], json!(["none", "client_secret_basic", "client_secret_post"]));
    assert_eq!(found["authentication"], "none");
    assert_eq!(found["authentication_with_secret"], "client_secret_basic");
    assert_eq!(found["device_grant_listed"], true);

    // Only at the second URL.
    let server = publishing(OIDC_PROVIDER, "metadata_openid-configuration", "http://127.0.0.1:9101", APPENDED);
    let found = discover(&server, "");
    assert_eq!(found["metadata"][0]["status"], 404);
    assert_eq!((&found["metadata"][0]["used"], &found["metadata"][1]["used"]), (&json!(false), &json!(true)));
    assert_eq!(found["device_authorization_endpoint"], server.url("/device/auth"));
    assert_eq!((&found["missing"], &found["usable"]), (&json!([]), &json!(true)));

    // This server has the endpoint, but its metadata does not name it.
    let server = publishing(
        DJANGO,
        "metadata_oauth-authorization-server_o",
        "http://127.0.0.1:9121",
        "/.well-known/oauth-authorization-server/o",
    );
    let found = discover(&server, "/o");
    assert_eq!((&found["device_authorization_endpoint"], &found["usable"]), (&Value::Null, &json!(false)));
    assert_eq!((&found["metadata"][0]["used"], &found["metadata"][1]["status"]), (&json!(true), &json!(404)));
    assert_eq!(found["missing"][0]["what"], "device authorization endpoint");
    let remedy = found["missing"][0]["remedy"].as_str().unwrap();
    let flags = format!("--device-endpoint URL --token-endpoint {}", server.url("/o/token/"));
    assert!(remedy.contains(&flags), "{remedy}");
    assert_eq!(server.requests().len(), 2, "only metadata is requested");
}

// RFC 8414 §3.1: the issuer of a realm has a path. "none" is not listed, and public clients are taken.
#[test]
fn c21_the_metadata_of_a_realm_of_keycloak() {
    let place = "/.well-known/oauth-authorization-server/realms/demo";
    let server = publishing(KEYCLOAK, "metadata_oauth-authorization-server_inserted", "http://127.0.0.1:9181", place);
    let found = discover(&server, "/realms/demo");
    assert_eq!(found["metadata"], json!([{ "url": server.url(place), "status": 200, "used": true, "fault": null }]));
    let endpoint = |end: &str| json!(server.url(&format!("/realms/demo/protocol/openid-connect/{end}")));
    assert_eq!(found["device_authorization_endpoint"], endpoint("auth/device"));
    assert_eq!((&found["token_endpoint"], &found["usable"]), (&endpoint("token"), &json!(true)));
    assert_eq!((&found["missing"], &found["authentication"]), (&json!([]), &json!("none")));
    assert_eq!(found["authentication_with_secret"], "client_secret_basic");
    assert_eq!(found["device_grant_listed"], true);
}

#[test]
fn a_person_gets_the_same_in_lines() {
    let server = publishing(
        DJANGO,
        "metadata_oauth-authorization-server_o",
        "http://127.0.0.1:9121",
        "/.well-known/oauth-authorization-server/o",
    );
    let (home, issuer) = (tempfile::tempdir().unwrap(), server.url("/o"));
    let (exit, stdout, stderr) =
        ended(&mut device_flow(home.path(), &["discover", "--issuer", &issuer, "--allow-http-loopback"]));
    assert_eq!((exit, stderr.as_str()), (0, ""));
    for line in [
        format!("issuer          {issuer}\n"),
        format!("metadata        {}: HTTP status 200, used\n", server.url("/.well-known/oauth-authorization-server/o")),
        format!("metadata        {}: HTTP status 404\n", server.url("/o/.well-known/openid-configuration")),
        "codes           none\n".to_owned(),
        "device grant    listed\n".to_owned(),
        "missing         device authorization endpoint. If the server has one, look it up".to_owned(),
    ] {
        assert!(stdout.contains(&line), "{line}\n{stdout}");
    }
}

#[test]
fn unusable_metadata_is_reported_and_the_run_ends_with_7() {
    let server = publishing(AUTHLIB, "metadata_oauth-authorization-server", "http://127.0.0.1:9111", INSERTED);
    let (home, issuer) = (tempfile::tempdir().unwrap(), server.url("/"));
    let (exit, stdout, stderr) =
        ended(&mut device_flow(home.path(), &["discover", "--issuer", &issuer, "--allow-http-loopback"]));
    assert_eq!((exit, stdout.as_str()), (7, ""));
    let places: String = stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(places.contains(&format!("{}: HTTP status 200: unusable answer", server.url(INSERTED))), "{stderr}");
    assert!(places.contains("configure the issuer exactly as the server writes it"), "{stderr}");
}

#[test]
fn built_in_and_named_endpoints_need_no_request() {
    let home = tempfile::tempdir().unwrap();
    let (exit, lines) = lines_of(&mut device_flow(home.path(), &["discover", "--provider", "google"]));
    assert_eq!((exit, &lines[0]["source"]), (0, &json!("built_in")));
    assert_eq!(lines[0]["device_authorization_endpoint"], "https://oauth2.googleapis.com/device/code");
    assert_eq!(lines[0]["authentication_with_secret"], "client_secret_post");
    let (_, stdout, _) = ended(&mut device_flow(home.path(), &["discover", "--provider", "google"]));
    assert!(stdout.contains("https://oauth2.googleapis.com/device/code  (another host)\n"), "{stdout}");

    let by_hand = ["discover", "--device-endpoint", "https://as.example/d", "--token-endpoint", "https://as.example/t"];
    let (exit, lines) = lines_of(&mut device_flow(home.path(), &by_hand));
    assert_eq!((exit, &lines[0]["source"], &lines[0]["issuer"]), (0, &json!("by_hand"), &Value::Null));
    assert_eq!(lines[0]["missing"][0]["what"], "revocation endpoint");

    // And of a profile.
    fs::create_dir_all(home.path().join(".config/device-flow")).unwrap();
    let profile = "current = 'lab'\n[profile.lab]\nprovider = 'gitlab'\nhost = 'git.example'\nclient-id = 'x'\n";
    fs::write(home.path().join(".config/device-flow/config.toml"), profile).unwrap();
    let (exit, lines) = lines_of(&mut device_flow(home.path(), &["discover"]));
    assert_eq!((exit, &lines[0]["issuer"]), (0, &json!("https://git.example")));
}

/// Every check, in order.
const CHECKS: [&str; 13] = [
    "profile",
    "storage",
    "lock",
    "keyring",
    "ca",
    "proxy",
    "dns",
    "connection",
    "clock",
    "discovery",
    "grant",
    "interval",
    "poll",
];

/// What `doctor` found: the exit code, the finding of each check, and the last line. Every check has exactly one
/// finding.
fn examined(command: &mut Command) -> (i32, impl Fn(&str) -> Value + use<>, Value) {
    let (exit, mut lines) = lines_of(command);
    let last = lines.pop().unwrap();
    let mut names: Vec<_> = lines.iter().map(|line| line["check"].as_str().unwrap().to_owned()).collect();
    names.sort_unstable();
    let mut all = CHECKS;
    all.sort_unstable();
    assert_eq!(names, all, "{lines:?}");
    for line in &lines {
        assert_eq!(line["event"], "finding");
        // Every problem has a remedy.
        let is_problem = line["status"] == "fail" || line["status"] == "warn";
        assert_eq!(line["remedy"].as_str().is_some_and(|remedy| !remedy.is_empty()), is_problem, "{line}");
    }
    let failed = lines.iter().filter(|line| line["status"] == "fail").count();
    assert_eq!((failed == 0, exit == 0), (exit == 0, last["event"] == "healthy"), "{lines:?} {last}");
    let finding = move |check: &str| lines.iter().find(|line| line["check"] == check).unwrap().clone();
    (exit, finding, last)
}

/// A server whose clock is ahead by so many seconds, with this answer to the request for a code.
fn server_ahead(seconds: i64, device: &'static str, status: u16) -> Loopback {
    Loopback::http(move |asked, wire| serve(asked, wire, seconds, device, status))
}

fn serve(asked: &Asked, wire: &mut dyn Write, seconds: i64, device: &str, status: u16) -> Next {
    let time = Timestamp::now() + SignedDuration::from_secs(seconds);
    let date = DateTimePrinter::new().timestamp_to_rfc9110_string(&time).unwrap();
    let headers = format!("{JSON}Date: {date}\r\n");
    match &*asked.target {
        INSERTED => {
            let base = base(asked);
            let document = captured(AUTHLIB, "metadata_oauth-authorization-server");
            loopback::answer(wire, 200, &headers, &document.replace("http://127.0.0.1:9111", &base))
        }
        "/device_authorization" => loopback::answer(wire, status, &headers, device),
        "/token" => loopback::answer(wire, 400, &headers, r#"{"error":"authorization_pending"}"#),
        _ => loopback::answer(wire, 404, &headers, "{}"),
    }
}

const CODE: &str = r#"{"device_code":"DC-canary","user_code":"WDJB-MJHT","verification_uri":"https://as.example/device","expires_in":900,"interval":1}"#;

fn doctor(home: &Path, server: &Loopback, words: &[&str]) -> Command {
    let mut command =
        device_flow(home, &["doctor", "--client-id", "my-app", "--allow-http-loopback", "--store", "file"]);
    command.args(["--issuer", &server.url("")]).args(words);
    command
}

#[test]
fn nothing_is_wrong() {
    let (server, home) = (server_ahead(0, CODE, 200), tempfile::tempdir().unwrap());
    let (exit, finding, last) = examined(&mut doctor(home.path(), &server, &["--try"]));
    assert_eq!(exit, 0, "{last}");
    for check in ["profile", "storage", "lock", "ca", "proxy", "connection", "clock", "discovery", "grant", "interval"]
    {
        assert_eq!(finding(check)["status"], "ok", "{}", finding(check));
    }
    assert_eq!(finding("keyring")["message"], "skipped because tokens are stored in a file");
    assert_eq!(finding("dns")["message"], "skipped because the server is named by its IP address");
    let granted = finding("grant")["message"].as_str().unwrap().to_owned();
    assert!(granted.contains("https://as.example/device") && !granted.contains("WDJB"), "{granted}");
    assert_eq!(finding("interval")["message"], "the server sends 1: polling every 1 s");
    // One code was requested, and polled for once.
    let targets: Vec<_> = server.requests().into_iter().map(|asked| asked.target).collect();
    assert_eq!(targets, [INSERTED, INSERTED, "/device_authorization", "/token"]);

    // Without --try no code is requested.
    let (exit, finding, _) = examined(&mut doctor(home.path(), &server, &[]));
    assert_eq!(exit, 0);
    assert!(finding("grant")["message"].as_str().unwrap().starts_with("skipped because it was not tested"));
    assert_eq!(server.requests().len(), 6);
}

#[test]
fn a_person_gets_one_line_for_each_finding() {
    let (server, home) = (server_ahead(-90, CODE, 200), tempfile::tempdir().unwrap());
    let (exit, stdout, stderr) = ended(&mut doctor(home.path(), &server, &[]));
    assert_eq!((exit, stderr.as_str()), (0, ""));
    let checks: Vec<_> = stdout.lines().filter_map(|line| line.split_whitespace().nth(1)).take(CHECKS.len()).collect();
    assert_eq!(checks, CHECKS);
    assert!(stdout.contains("\nwarn  clock       this computer's clock is 9"), "{stdout}");
    assert!(stdout.contains(" s ahead of the server's. Set it from the network"), "{stdout}");
    assert!(stdout.contains("\nskip  dns         because the server is named by its IP address\n"), "{stdout}");
    assert!(stdout.ends_with("\nNothing failed; there is 1 warning.\n"), "{stdout}");
}

// D05 shows that no wait depends on this clock.
#[test]
fn c19_a_clock_that_is_off_by_minutes_fails_and_the_other_checks_go_on() {
    let (server, home) = (server_ahead(600, CODE, 200), tempfile::tempdir().unwrap());
    let (exit, finding, last) = examined(&mut doctor(home.path(), &server, &["--try"]));
    assert_eq!((exit, &last["exit"], &last["message"]), (6, &json!(6), &json!("failed: clock")));
    assert!(finding("clock")["message"].as_str().unwrap().ends_with(" s behind the server's"));
    assert_eq!((&finding("discovery")["status"], &finding("grant")["status"]), (&json!("ok"), &json!("ok")));
}

#[test]
fn a36_a_client_that_is_not_allowed_ends_with_7_and_a_remedy() {
    let refused = r#"{"error":"unauthorized_client","error_description":"no device flow for you"}"#;
    let (server, home) = (server_ahead(0, refused, 400), tempfile::tempdir().unwrap());
    let (exit, finding, _) = examined(&mut doctor(home.path(), &server, &["--try"]));
    assert_eq!((exit, &finding("grant")["status"]), (7, &json!("fail")));
    assert!(finding("grant")["message"].as_str().unwrap().contains("no device flow for you"));
    let remedy = finding("grant")["remedy"].as_str().unwrap().to_owned();
    assert!(
        remedy.starts_with("This client may not use the device flow") && remedy.ends_with("check the client id."),
        "{remedy}"
    );
    assert!(!finding("grant")["message"].as_str().unwrap().contains("device flow on"), "told once");
    assert_eq!(finding("interval")["status"], "skipped");

    // An answer that is usable, but odd.
    let odd = r#"{"device_code":"DC-canary","user_code":"AB","verification_uri":"https://as.example/d"}"#;
    let server = server_ahead(0, odd, 200);
    let (exit, finding, _) = examined(&mut doctor(home.path(), &server, &["--try"]));
    assert_eq!((exit, &finding("grant")["status"]), (0, &json!("warn")));
    assert!(finding("grant")["message"].as_str().unwrap().contains("ten minutes are assumed"));
    assert_eq!(finding("interval")["message"], "the server sends none: polling every 5 s (RFC 8628 §3.2)");
}

#[test]
fn metadata_without_a_device_endpoint_ends_with_7_and_names_the_flags_to_use() {
    let server = publishing(DJANGO, "metadata_oauth-authorization-server", "http://127.0.0.1:9121", INSERTED);
    let home = tempfile::tempdir().unwrap();
    let (exit, finding, _) = examined(&mut doctor(home.path(), &server, &["--try"]));
    assert_eq!((exit, &finding("discovery")["status"]), (7, &json!("fail")));
    let remedy = finding("discovery")["remedy"].as_str().unwrap().to_owned();
    assert!(remedy.contains("--device-endpoint URL --token-endpoint http://127.0.0.1:"), "{remedy}");
    assert_eq!(finding("grant")["message"], "skipped because no device authorization endpoint is known");
    // Its answers have no Date header.
    assert_eq!(finding("clock")["status"], "skipped");
}

// C16.
#[test]
fn c02_an_untrusted_certificate_ends_with_6_and_a_root_certificate_mends_it() {
    let authority = Authority::new();
    let server = Loopback::https(authority.server(&["localhost"]), |_, wire| loopback::answer(wire, 404, JSON, "{}"));
    let home = tempfile::tempdir().unwrap();
    let issuer = format!("https://localhost:{}", server.port());
    let examine = |words: &[&str]| {
        let mut command = device_flow(home.path(), &["doctor", "--issuer", &issuer, "--store", "memory"]);
        examined(command.args(words))
    };
    let (exit, finding, _) = examine(&[]);
    assert_eq!((exit, &finding("dns")["status"]), (6, &json!("ok")));
    assert!(finding("connection")["message"].as_str().unwrap().contains("certificate is not trusted"));
    assert!(finding("connection")["remedy"].as_str().unwrap().contains("--ca-file FILE"));
    assert_eq!(finding("discovery")["message"], "skipped because the server was not reached");
    assert!(server.requests().is_empty());

    let file = home.path().join("root.pem");
    fs::write(&file, authority.pem()).unwrap();
    let (exit, finding, _) = examine(&["--ca-file", file.to_str().unwrap()]);
    assert!(
        finding("connection")["message"].as_str().unwrap().ends_with("(HTTP status 404), its certificate is trusted")
    );
    assert_eq!((exit, &finding("discovery")["status"]), (7, &json!("fail")));

    // A file that is not a root certificate is reported before anything is sent.
    let asked = server.requests().len();
    for (contents, text) in [(None, "No such file"), (Some("DER"), "not in PEM"), (Some(""), "PEM")] {
        let file = home.path().join("wrong.pem");
        let _ = fs::remove_file(&file);
        contents.inspect(|contents| fs::write(&file, contents).unwrap());
        let (exit, finding, _) = examine(&["--ca-file", file.to_str().unwrap()]);
        assert_eq!((exit, &finding("ca")["status"]), (6, &json!("fail")));
        assert!(finding("ca")["message"].as_str().unwrap().contains(text), "{}", finding("ca"));
        assert_eq!(finding("storage")["status"], "ok", "the other checks go on");
    }
    assert_eq!(server.requests().len(), asked);
}

// C15.
#[test]
fn c14_a_proxy_is_named_without_its_password_and_tried() {
    let (home, closed, authority) = (tempfile::tempdir().unwrap(), ClosedPort::new(), Authority::new());
    let server = Loopback::https(authority.server(&["as.example"]), |_, wire| loopback::answer(wire, 404, JSON, "{}"));
    let root = home.path().join("root.pem");
    fs::write(&root, authority.pem()).unwrap();
    let examine = |proxy: &str| {
        let words =
            ["doctor", "--issuer", "https://as.example", "--store", "memory", "--ca-file", root.to_str().unwrap()];
        // The log is searched for the password as well.
        let mut command = device_flow(home.path(), &words);
        command.env("HTTPS_PROXY", proxy);
        let output = command.args(["-vv", "--json"]).output().unwrap();
        none_in(&String::from_utf8(output.stderr).unwrap());
        examined(device_flow(home.path(), &words).env("HTTPS_PROXY", proxy))
    };
    let (exit, finding, _) = examine(&format!("http://user:hunter2-canary@127.0.0.1:{}", closed.number()));
    assert_eq!(
        (exit, &finding("proxy")["status"], &finding("connection")["status"]),
        (6, &json!("fail"), &json!("fail"))
    );
    let message = finding("proxy")["message"].as_str().unwrap().to_owned();
    assert!(message.contains(&format!("127.0.0.1:{}, which cannot be reached", closed.number())), "{message}");

    let port = loopback::tunnel_to(server.port(), |_| {});
    let (exit, finding, _) = examine(&format!("http://user:hunter2-canary@127.0.0.1:{port}"));
    let through = format!("requests go through 127.0.0.1:{port}, which can be reached");
    assert_eq!(finding("proxy")["message"], through);
    assert_eq!(finding("dns")["message"], format!("skipped because the proxy 127.0.0.1:{port} looks the name up"));
    assert_eq!((exit, &finding("connection")["status"]), (7, &json!("ok")));

    let (exit, finding, _) = examine("socks4://127.0.0.1:1");
    assert_eq!((exit, &finding("proxy")["status"]), (6, &json!("fail")));
    assert!(finding("proxy")["message"].as_str().unwrap().contains("HTTPS_PROXY is not a usable proxy address"));
}

#[test]
fn c01_a_name_without_an_address_ends_with_6_and_nothing_is_sent() {
    let home = tempfile::tempdir().unwrap();
    let words = ["doctor", "--issuer", "https://nonexistent.invalid", "--store", "memory", "--connect-timeout", "60s"];
    let (exit, finding, _) = examined(&mut device_flow(home.path(), &words));
    assert_eq!((exit, &finding("dns")["status"]), (6, &json!("fail")));
    assert!(finding("dns")["message"].as_str().unwrap().starts_with("nonexistent.invalid could not be looked up"));
    assert_eq!(finding("connection")["message"], "skipped because the server's name could not be looked up");
}

// F03.
#[test]
fn f02_what_is_wrong_with_the_tokens_ends_with_8_or_is_lines_of() {
    let (server, home) = (server_ahead(600, CODE, 200), tempfile::tempdir().unwrap());
    let file = home.path().join("tokens.json");
    let examine = || examined(doctor(home.path(), &server, &[]).args(["--token-file", file.to_str().unwrap()]));

    fs::write(&file, "[").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let (exit, finding, last) = examine();
    // The clock fails as well, but later.
    assert_eq!((exit, &last["message"]), (8, &json!("failed: storage, clock")));
    assert!(finding("storage")["message"].as_str().unwrap().contains("is not a JSON object"));
    assert_eq!(finding("lock")["status"], "ok");
    assert_eq!(fs::read_to_string(&file).unwrap(), "[", "the file is left alone");

    fs::write(&file, "{}").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o622)).unwrap();
    let (exit, finding, _) = examine();
    assert_eq!(exit, 8);
    assert!(finding("storage")["message"].as_str().unwrap().contains("others may write"), "{}", finding("storage"));
    assert_eq!(finding("lock")["message"], "skipped because the tokens cannot be read");

    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let (exit, finding, _) = examine();
    assert_eq!((exit, &finding("storage")["status"]), (6, &json!("warn")), "only the clock failed");
    assert!(finding("storage")["message"].as_str().unwrap().contains("others could read"));
    let (_, finding, _) = examine();
    assert!(finding("storage")["message"].as_str().unwrap().ends_with("readable by you only; 0 accounts"));
}

#[test]
fn f10_a_lock_that_is_held_ends_with_8_and_names_the_holder() {
    let (server, home) = (server_ahead(0, CODE, 200), tempfile::tempdir().unwrap());
    let file = home.path().join("tokens.json");
    let held = FileStore::new(&file).unwrap().lock().unwrap();
    let (exit, finding, _) = examined(doctor(home.path(), &server, &[]).args(["--token-file", file.to_str().unwrap()]));
    drop(held);
    assert_eq!((exit, &finding("storage")["status"]), (8, &json!("ok")));
    let message = finding("lock")["message"].as_str().unwrap().to_owned();
    assert!(message.contains(&format!("process {}", std::process::id())), "{message}");
}

// F13.
#[test]
fn f07_without_a_profile_only_this_computer_is_checked() {
    let home = tempfile::tempdir().unwrap();
    let (exit, finding, _) = examined(&mut device_flow(home.path(), &["doctor"]));
    assert_eq!(
        (exit, &finding("keyring")["status"], &finding("storage")["status"]),
        (8, &json!("fail"), &json!("skipped"))
    );
    assert!(finding("keyring")["remedy"].as_str().unwrap().contains("--store file"));
    assert!(finding("connection")["message"].as_str().unwrap().contains("no server is named"));
    let (exit, finding, _) = examined(device_flow(home.path(), &["doctor"]).env("DEVICE_FLOW_STORE", "memory"));
    assert_eq!(
        (exit, &finding("storage")["status"], &finding("keyring")["status"]),
        (0, &json!("ok"), &json!("skipped"))
    );

    // F13: without a home folder there is no place for tokens.
    let profiles = home.path().join("config.toml");
    let mut command = device_flow(home.path(), &["doctor", "--store", "file", "--config", profiles.to_str().unwrap()]);
    let (exit, finding, _) = examined(command.env_remove("HOME"));
    assert_eq!((exit, &finding("storage")["status"]), (8, &json!("fail")));
    assert!(finding("storage")["message"].as_str().unwrap().contains("no home folder is known"));

    // A keyring that does not answer.
    let _silent = UnixListener::bind(home.path().join("bus")).unwrap();
    let (exit, finding, _) = examined(&mut device_flow(home.path(), &["doctor"]));
    assert_eq!(exit, 8);
    assert_eq!(finding("keyring")["message"], "the keyring did not answer within 3 s");
}

#[test]
fn profiles_that_cannot_be_read_end_with_2_and_the_network_is_still_checked() {
    let home = tempfile::tempdir().unwrap();
    let profiles = home.path().join("config.toml");
    fs::write(&profiles, "current = \n").unwrap();
    let (exit, finding, _) =
        examined(&mut device_flow(home.path(), &["doctor", "--config", profiles.to_str().unwrap()]));
    assert_eq!((exit, &finding("profile")["status"]), (2, &json!("fail")));
    assert!(finding("profile")["message"].as_str().unwrap().contains("line 1"), "{}", finding("profile"));
    assert_eq!((&finding("ca")["status"], &finding("storage")["status"]), (&json!("ok"), &json!("skipped")));
}
