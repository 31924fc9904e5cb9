//! Our requests and those that the real servers accepted: same method, same path, same parameters, same credentials.

use super::reader::{Capture, CapturedRequest, servers};
use crate::support::{Run, Sent, device_answer};
use base64ct::{Base64, Encoding as _};
use device_flow_core::{Client, ClientBuilder, Provider};
use serde_json::json;

/// The configuration that makes the request of this name.
fn configured(name: &str, provider: Provider) -> ClientBuilder {
    const SECRET: &str = "s3cret+/= %:x";
    let client = |id| Client::builder(provider, id).allow_http_loopback();
    let client = match name {
        _ if name.contains("basic2") => client("device-basic2").client_secret_basic("plainsecret"),
        _ if name.contains("basic_raw") => client("device-basic").client_secret_basic_unencoded(SECRET),
        _ if name.contains("basic") => client("device-basic").client_secret_basic(SECRET),
        _ if name.contains("post") => client("device-post").client_secret_post("post-secret"),
        "pkce_param" => client("device-public").pkce(),
        _ if name.contains("resource") => client("device-public").resource("urn:example:api"),
        _ => client("device-public"),
    };
    let client = if name.contains("plus_id") { client.client_id_in_body() } else { client };
    if name == "no_scope" { client } else { client.scope("openid offline_access") }
}

fn parameters(body: &str) -> Vec<(String, String)> {
    let mut parameters: Vec<_> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    parameters.sort();
    parameters
}

fn parameter(body: &str, wanted: &str) -> Option<String> {
    parameters(body).into_iter().find_map(|(name, value)| (name == wanted).then_some(value))
}

/// User and password as the server reads them: one writes a space as `+`, the other as `%20`.
fn credentials(header: &str, encoded: bool) -> (String, String) {
    let pair = String::from_utf8(Base64::decode_vec(header.strip_prefix("Basic ").unwrap()).unwrap()).unwrap();
    let (user, password) = pair.split_once(':').unwrap();
    let decode = |text: &str| {
        // The parser of forms, given one name without a value.
        let field = form_urlencoded::parse(text.as_bytes()).next().unwrap();
        field.0.into_owned()
    };
    if encoded { (decode(user), decode(password)) } else { (user.to_owned(), password.to_owned()) }
}

/// Our request for the same purpose, with the same device code.
fn ours(name: &str, captured: &CapturedRequest) -> Sent {
    let path = captured.line.strip_prefix("POST ").expect("a POST");
    let url = format!("http://127.0.0.1:1{path}");
    let provider = Provider::endpoints(url.clone(), url);
    let mut run = Run::new(configured(name, provider).build().unwrap());
    run.go();
    if let Some(code) = parameter(captured.body, "device_code") {
        run.answer(200, &device_answer(json!({"device_code": code})));
        run.poll();
    }
    run.requests.pop().unwrap()
}

fn compare(server: &str, capture: &Capture, captured: &CapturedRequest) {
    let Capture { name, .. } = capture;
    let sent = ours(name, captured);
    assert_eq!(format!("{} {}", sent.method, sent.url.replace("http://127.0.0.1:1", "")), captured.line);
    // The challenge depends on the verifier, which differs each time.
    let normal = |body: &str| match parameter(body, "code_challenge") {
        Some(challenge) => {
            assert_eq!(challenge.len(), 43);
            parameters(&body.replace(&challenge, "CHALLENGE"))
        }
        None => parameters(body),
    };
    assert_eq!(normal(&sent.body), normal(captured.body), "{server} {name}");
    assert_eq!(sent.header("accept"), Some("application/json"));
    let encoded = !name.contains("raw");
    assert_eq!(
        sent.header("authorization").map(|header| credentials(header, encoded)),
        captured.authorization.map(|header| credentials(header, encoded)),
        "{server} {name}"
    );
    if !encoded {
        assert_eq!(sent.header("authorization"), captured.authorization);
    }
}

// G09, P28, P40, R6749-2.3.1-1: for public clients, for secrets in the header and in the body, with PKCE and a
// resource.
#[test]
fn our_requests_are_those_that_real_servers_took() {
    let (mut codes, mut polls) = (0, 0);
    for server in servers() {
        for capture in &server.captures {
            let Some(captured) = &capture.request else { continue };
            compare(server.name, capture, captured);
            let polled = parameter(captured.body, "device_code").is_some();
            (codes, polls) = if polled { (codes, polls + 1) } else { (codes + 1, polls) };
        }
    }
    println!("{codes} device authorization requests and {polls} token requests are as captured");
    assert_eq!((codes, polls), (26, 28), "a request has gone missing");
}
