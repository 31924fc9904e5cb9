//! The demo server on the wire, as clients and browsers see it.

use crate::support::StoppedClock;
use std::time::Duration;

use base64ct::{Base64UrlUnpadded, Encoding as _};
use device_flow_cli::demo::{CONFIDENTIAL_CLIENT_ID, Decision, Kept, Options, Server};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HOST, SET_COOKIE};
use reqwest::{Client, Method, RequestBuilder, Response};
use ring::rsa::PublicKeyComponents;
use ring::signature::RSA_PKCS1_2048_8192_SHA256;
use serde_json::{Value, json};

const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
pub(crate) const A_SECOND: Duration = Duration::from_secs(1);

/// A server with the shortest interval, and an HTTP client that reuses connections.
pub(crate) struct Demo {
    pub(crate) server: Server,
    pub(crate) http: Client,
    /// Unless it is that of the system.
    pub(crate) _clock: Option<StoppedClock>,
}

impl Demo {
    pub(crate) async fn start() -> Self {
        Self::with(Options { interval: A_SECOND, ..Options::default() }).await
    }

    /// The clock of the server stands still, so that no test is too slow for it.
    pub(crate) async fn with(options: Options) -> Self {
        // A test that moves the clock does not mean the connections.
        let options = Options { connection_patience: 24 * 60 * 60 * A_SECOND, ..options };
        Self { _clock: Some(StoppedClock::stop()), ..Self::in_real_time(options).await }
    }

    pub(crate) async fn in_real_time(options: Options) -> Self {
        Self { server: Server::start(options).await.unwrap(), http: crate::support::http_client(), _clock: None }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.server.base_url()))
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> RequestBuilder {
        self.request(Method::POST, path).header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body.to_owned())
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    pub(crate) async fn begin(&self, more: &str) -> Value {
        let (status, answer) = answer(self.post("/device_authorization", &format!("client_id=tv{more}"))).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }

    async fn poll(&self, begun: &Value, more: &str) -> (u16, Value) {
        let code = text(begun, "device_code");
        answer(self.post("/token", &format!("client_id=tv&grant_type={DEVICE_CODE}&device_code={code}{more}"))).await
    }

    /// Approved and redeemed.
    async fn sign_in(&self) -> Value {
        let begun = self.begin("&scope=openid+email").await;
        assert!(self.server.approve(text(&begun, "user_code")));
        tokio::time::advance(A_SECOND).await;
        let (status, tokens) = self.poll(&begun, "").await;
        assert_eq!(status, 200, "{tokens}");
        tokens
    }

    async fn refresh(&self, tokens: &Value) -> (u16, Value) {
        let token = text(tokens, "refresh_token");
        answer(self.post("/token", &format!("client_id=tv&grant_type=refresh_token&refresh_token={token}"))).await
    }

    async fn userinfo(&self, tokens: &Value) -> Response {
        let token = text(tokens, "access_token");
        self.request(Method::GET, "/userinfo").header(AUTHORIZATION, format!("Bearer {token}")).send().await.unwrap()
    }

    /// What a browser gets with a page: the cookie, and the token in the form.
    pub(crate) async fn open(&self, path: &str) -> (String, String) {
        let page = self.get(path).await;
        let cookie = header(&page, SET_COOKIE.as_str()).split(';').next().unwrap().to_owned();
        let page = page.text().await.unwrap();
        let token = page.split("name=\"form_token\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        (cookie, token)
    }
}

async fn answer(request: RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    assert_eq!(header(&response, "cache-control"), "no-store");
    assert_eq!(header(&response, "content-type"), "application/json");
    (response.status().as_u16(), serde_json::from_str(&response.text().await.unwrap()).unwrap())
}

async fn error(request: RequestBuilder) -> (u16, String) {
    let (status, answer) = answer(request).await;
    (status, text(&answer, "error").to_owned())
}

pub(crate) fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}"))
}

fn header<'r>(response: &'r Response, name: &str) -> &'r str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

fn is_error((status, answer): &(u16, Value), error: &str) -> bool {
    *status == 400 && answer["error"] == error
}

/// `client:secret` in base64, without a base64 crate among the tests' dependencies.
const BASIC_PLUS: &str = "Basic ZGVtby1jb25maWRlbnRpYWw6czNjcmV0JTJCJTJGJTNEKyUyNSUzQWNhbmFyeQ=="; // s3cret%2B%2F%3D+%25%3Acanary
const BASIC_PERCENT: &str = "Basic ZGVtby1jb25maWRlbnRpYWw6czNjcmV0JTJCJTJGJTNEJTIwJTI1JTNBY2FuYXJ5"; // s3cret%2B%2F%3D%20%25%3Acanary
const BASIC_WRONG: &str = "Basic ZGVtby1jb25maWRlbnRpYWw6d3Jvbmc="; // wrong

#[tokio::test]
async fn rfc8628_3_2_the_device_authorization_answer_is_complete() {
    let demo = Demo::with(Options::default()).await;
    let begun = demo.begin("&scope=openid").await;
    let code = text(&begun, "user_code");
    let uri = format!("{}/device", demo.server.base_url());
    assert_eq!(text(&begun, "device_code").len(), 43, "256 bits in base64url");
    assert_eq!(text(&begun, "verification_uri"), uri);
    assert_eq!(text(&begun, "verification_uri_complete"), format!("{uri}?user_code={code}"));
    assert_eq!((&begun["expires_in"], &begun["interval"]), (&json!(600), &json!(5)));
}

#[tokio::test]
async fn rfc8628_3_5_pending_then_slow_down_for_good_then_a_token_once() {
    let demo = Demo::start().await;
    let begun = demo.begin("").await;
    tokio::time::advance(A_SECOND).await;
    assert!(is_error(&demo.poll(&begun, "").await, "authorization_pending"));
    assert!(is_error(&demo.poll(&begun, "").await, "slow_down"));
    tokio::time::advance(2 * A_SECOND).await;
    assert!(is_error(&demo.poll(&begun, "").await, "slow_down"), "the interval is 6 s now");

    let other = demo.begin("").await;
    assert!(demo.server.approve(&text(&other, "user_code").to_lowercase()));
    tokio::time::advance(A_SECOND).await;
    let (status, tokens) = demo.poll(&other, "").await;
    assert_eq!((status, &tokens["token_type"], &tokens["expires_in"]), (200, &json!("Bearer"), &json!(3600)));
    assert!(is_error(&demo.poll(&other, "").await, "invalid_grant"), "a code is good for one token");

    assert_eq!(demo.server.polls(text(&begun, "user_code")).len(), 3);
    assert_eq!(demo.server.requests_to("/token"), 5);
    assert_eq!(demo.server.requests(), 7);
    assert_eq!(demo.server.connections(), 1, "connections are reused");
}

#[tokio::test]
async fn rfc8628_3_5_denied() {
    let demo = Demo::start().await;
    let denied = demo.begin("").await;
    assert!(demo.server.deny(text(&denied, "user_code")));
    tokio::time::advance(A_SECOND).await;
    assert!(is_error(&demo.poll(&denied, "").await, "access_denied"));
}

#[tokio::test]
async fn rfc8628_3_5_expired() {
    let demo = Demo::with(Options { code_lifetime: A_SECOND, ..Options::default() }).await;
    let expired = demo.begin("").await;
    tokio::time::advance(A_SECOND).await;
    assert!(is_error(&demo.poll(&expired, "").await, "expired_token"));
    assert!(!demo.server.approve(text(&expired, "user_code")));
    assert_eq!(demo.get(&format!("/device?user_code={}", text(&expired, "user_code"))).await.status(), 410);
}

#[tokio::test]
async fn rfc6749_6_refresh_rotates_and_reuse_revokes_everything() {
    let demo = Demo::start().await;
    let first = demo.sign_in().await;
    let (status, second) = demo.refresh(&first).await;
    assert_eq!((status, text(&second, "scope")), (200, "openid email"));
    assert_ne!(second["refresh_token"], first["refresh_token"]);
    assert!(is_error(&demo.refresh(&first).await, "invalid_grant"));
    assert!(is_error(&demo.refresh(&second).await, "invalid_grant"));
    assert_eq!(demo.userinfo(&second).await.status(), 401);
}

#[tokio::test]
async fn rfc7009_revoked_tokens_are_dead_and_unknown_ones_are_fine() {
    let demo = Demo::start().await;
    let tokens = demo.sign_in().await;
    let revoke =
        |token: &str| demo.post("/revoke", &format!("client_id=tv&token={token}&token_type_hint=refresh_token")).send();
    assert_eq!(revoke(text(&tokens, "refresh_token")).await.unwrap().status(), 200);
    assert_eq!(revoke("unknown").await.unwrap().status(), 200);
    assert!(is_error(&demo.refresh(&tokens).await, "invalid_grant"));
    assert_eq!(demo.userinfo(&tokens).await.status(), 401);
    assert_eq!(error(demo.post("/revoke", "client_id=tv")).await, (400, "invalid_request".into()));
}

#[tokio::test]
async fn rfc6750_userinfo_wants_a_live_bearer_token() {
    let demo = Demo::start().await;
    let tokens = demo.sign_in().await;
    let person: Value = serde_json::from_str(&demo.userinfo(&tokens).await.text().await.unwrap()).unwrap();
    let expected = json!({ "sub": "ada", "name": "Ada Demo", "email": "ada@example.com", "email_verified": true });
    assert_eq!(person, expected);
    let wrong = demo.userinfo(&json!({ "access_token": "wrong" })).await;
    assert_eq!((wrong.status().as_u16(), header(&wrong, "www-authenticate")), (401, "Bearer error=\"invalid_token\""));
    let none = demo.get("/userinfo").await;
    assert_eq!((none.status().as_u16(), header(&none, "www-authenticate")), (401, "Bearer"));
}

#[tokio::test]
async fn rfc8414_3_3_the_metadata_names_the_issuer_exactly() {
    let demo = Demo::start().await;
    for path in ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"] {
        let (status, metadata) = answer(demo.request(Method::GET, path)).await;
        assert_eq!((status, text(&metadata, "issuer")), (200, demo.server.base_url()));
        for name in ["device_authorization", "token", "revocation", "userinfo"] {
            assert!(text(&metadata, &format!("{name}_endpoint")).starts_with(demo.server.base_url()), "{name}");
        }
    }
}

#[tokio::test]
async fn rfc6749_2_3_1_the_confidential_client_must_prove_itself() {
    let demo = Demo::start().await;
    let begin = |authorization: &str, body: &str| {
        let mut request = demo.post("/device_authorization", body);
        if !authorization.is_empty() {
            request = request.header(AUTHORIZATION, authorization);
        }
        async { answer(request).await }
    };
    let posted = format!("client_id={CONFIDENTIAL_CLIENT_ID}&client_secret=s3cret%2B/%3D+%25:canary");
    let named = format!("client_id={CONFIDENTIAL_CLIENT_ID}");
    for (authorization, body) in [(BASIC_PLUS, ""), (BASIC_PERCENT, named.as_str()), ("", posted.as_str())] {
        assert_eq!(begin(authorization, body).await.0, 200, "{authorization} {body}");
    }
    let wrong = format!("{named}&client_secret=wrong");
    let refused =
        [("", named.as_str()), ("", &wrong), (BASIC_WRONG, ""), ("Basic !", ""), ("", "client_id=tv&client_secret=x")];
    for (authorization, body) in refused {
        let (status, answer) = begin(authorization, body).await;
        assert_eq!((status, text(&answer, "error")), (401, "invalid_client"), "{authorization} {body}");
    }
    assert!(is_error(&begin(BASIC_PLUS, &posted).await, "invalid_request"), "two ways at once");
    assert!(is_error(&begin(BASIC_PLUS, "client_id=tv").await, "invalid_request"), "two names at once");
    let refused = demo.post("/token", &named).send().await.unwrap();
    assert!(header(&refused, "www-authenticate").starts_with("Basic "), "RFC 6749 §5.2");
}

#[tokio::test]
async fn rfc6749_5_2_malformed_requests_get_the_right_error() {
    let demo = Demo::start().await;
    let refused = [
        ("/device_authorization", "", "invalid_request"),
        ("/device_authorization", "client_id=tv&client_id=tv", "invalid_request"),
        ("/device_authorization", "client_id=tv&scope=a++b", "invalid_scope"),
        (
            "/device_authorization",
            "client_id=tv&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
            "invalid_request",
        ),
        ("/token", "client_id=tv", "invalid_request"),
        ("/token", "client_id=tv&grant_type=password", "unsupported_grant_type"),
        ("/token", "client_id=tv&grant_type=refresh_token", "invalid_request"),
        ("/token", "client_id=tv&grant_type=refresh_token&refresh_token=x", "invalid_grant"),
        ("/token", "client_id=tv&grant_type=urn:ietf:params:oauth:grant-type:device_code", "invalid_request"),
        (
            "/token",
            "client_id=tv&grant_type=urn:ietf:params:oauth:grant-type:device_code&device_code=x",
            "invalid_grant",
        ),
    ];
    for (path, body, expected) in refused {
        assert_eq!(error(demo.post(path, body)).await, (400, expected.to_owned()), "{path} {body}");
    }
    let control = demo.post("/device_authorization", "client_id=%07");
    assert_eq!(error(control).await, (401, "invalid_client".into()));
    let as_json = demo.request(Method::POST, "/token").header(CONTENT_TYPE, "application/json").body("{}");
    assert_eq!(error(as_json).await, (400, "invalid_request".into()));
    assert_eq!(demo.get("/token").await.status(), 405);
    demo.begin("&scope=&unknown=1&resource=https://a.example&resource=https://b.example").await;
}

#[tokio::test]
async fn rfc7636_a_challenge_asks_for_its_verifier() {
    let demo = Demo::start().await;
    let begun =
        demo.begin("&code_challenge_method=S256&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM").await;
    assert!(demo.server.approve(text(&begun, "user_code")));
    tokio::time::advance(A_SECOND).await;
    assert!(is_error(&demo.poll(&begun, "&code_verifier=wrong").await, "invalid_grant"));
    tokio::time::advance(A_SECOND).await;
    assert_eq!(demo.poll(&begun, "&code_verifier=dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk").await.0, 200);
}

#[tokio::test]
async fn opening_an_address_decides_nothing_and_everything_is_escaped() {
    let demo = Demo::start().await;
    let (_, begun) = answer(demo.post("/device_authorization", "client_id=%3Cb%3Etv%22&scope=%3Ci%3E")).await;
    let path = format!("/device?user_code={}", text(&begun, "user_code"));
    let page = demo.get(&path).await.text().await.unwrap();
    assert!(page.contains("&lt;b&gt;tv&quot;") && page.contains("&lt;i&gt;") && !page.contains("<b>"), "{page}");
    let page = demo.get("/device?user_code=%22%3E%3Cscript%3E").await;
    assert_eq!(page.status(), 404);
    assert!(!page.text().await.unwrap().contains("<script"));
    assert!(demo.server.deny(text(&begun, "user_code")), "it is still pending");
}

#[tokio::test]
async fn rfc6749_10_12_a_form_needs_the_cookie_its_token_and_our_own_origin() {
    let demo = Demo::start().await;
    let begun = demo.begin("").await;
    let code = text(&begun, "user_code");
    let (cookie, token) = demo.open(&format!("/device?user_code={code}")).await;
    let (other_cookie, other_token) = demo.open("/device").await;
    let decide = |cookie: &str, token: &str, headers: &[(&str, &str)]| {
        let body = format!("form_token={token}&user_code={code}&decision=approve");
        let mut request = demo.post("/device/decide", &body).header(COOKIE, cookie);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        async { request.send().await.unwrap().status().as_u16() }
    };
    let own = demo.server.base_url();
    assert_eq!(decide("", &token, &[]).await, 403, "no cookie");
    assert_eq!(decide(&cookie, "", &[]).await, 403, "no token");
    assert_eq!(decide(&cookie, &other_token, &[]).await, 403, "the token of another browser");
    assert_eq!(decide(&other_cookie, &token, &[]).await, 403, "the cookie of another browser");
    for origin in ["https://evil.example", "http://127.0.0.1:1", "null"] {
        assert_eq!(decide(&cookie, &token, &[("origin", origin)]).await, 403, "{origin}");
    }
    for site in ["cross-site", "same-site", "none"] {
        assert_eq!(decide(&cookie, &token, &[("sec-fetch-site", site), ("origin", own)]).await, 403, "{site}");
    }
    let look_up = demo.post("/device", &format!("user_code={code}")).send().await.unwrap();
    assert_eq!(look_up.status(), 403, "the first form is guarded as well");

    assert_eq!(decide(&cookie, &token, &[("sec-fetch-site", "same-origin"), ("origin", "null")]).await, 200);
    assert_eq!(decide(&cookie, &token, &[("origin", own)]).await, 200, "a double click");
}

#[tokio::test]
async fn a_code_can_be_typed_and_the_status_says_what_is_wrong_with_it() {
    let demo = Demo::start().await;
    let begun = demo.begin("").await;
    let (cookie, token) = demo.open("/device").await;
    let look_up = |code: &str| {
        let request = demo.post("/device", &format!("form_token={token}&user_code={code}")).header(COOKIE, &cookie);
        async { request.send().await.unwrap() }
    };
    assert_eq!(look_up(&text(&begun, "user_code").to_lowercase().replace('-', "+")).await.status(), 200);
    assert_eq!(look_up("").await.status(), 400);
    assert!(demo.server.approve(text(&begun, "user_code")));
    assert_eq!(look_up(text(&begun, "user_code")).await.status(), 410);
    for _ in 0..10 {
        assert_eq!(look_up("AAAA-AAAA").await.status(), 404);
    }
    let closed = look_up("AAAA-AAAA").await;
    assert_eq!((closed.status().as_u16(), header(&closed, "retry-after")), (429, "60"), "RFC 8628 §5.1");
}

#[tokio::test]
async fn only_the_loopback_address_is_answered() {
    let demo = Demo::start().await;
    let port = demo.server.base_url().rsplit(':').next().unwrap();
    for host in
        ["evil.example".to_owned(), format!("evil.example:{port}"), format!("localhost:{port}"), "127.0.0.1".to_owned()]
    {
        let answer = demo.request(Method::GET, "/device").header(HOST, &host).send().await.unwrap();
        assert_eq!(answer.status(), 421, "{host}");
    }
}

#[tokio::test]
async fn every_answer_carries_the_security_headers() {
    let demo = Demo::start().await;
    for path in [
        "/",
        "/live",
        "/live/9",
        "/device",
        "/device?user_code=x",
        "/style.css",
        "/nowhere",
        "/token",
        "/.well-known/openid-configuration",
    ] {
        let answer = demo.get(path).await;
        // Where codes are entered and approved no script runs; on the live pages only our own.
        let scripts =
            if path == "/" || path.starts_with("/live") { "script-src 'self'; connect-src 'self'; " } else { "" };
        let csp = format!(
            "default-src 'none'; style-src 'self'; {scripts}form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
        );
        assert_eq!(header(&answer, "content-security-policy"), csp, "{path}");
        assert_eq!(header(&answer, "x-frame-options"), "DENY");
        assert_eq!(header(&answer, "x-content-type-options"), "nosniff");
        assert_eq!(header(&answer, "referrer-policy"), "no-referrer");
        assert_eq!(header(&answer, "cache-control"), "no-store");
    }
    let cookie = header(&demo.get("/device").await, SET_COOKIE.as_str()).to_owned();
    for attribute in ["; HttpOnly", "; SameSite=Strict", "; Path=/"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
}

#[tokio::test]
async fn bodies_over_16_kib_are_refused() {
    let demo = Demo::start().await;
    let fits = format!("client_id=tv&x={}", "x".repeat(16 * 1024 - 15));
    assert_eq!(demo.post("/device_authorization", &fits).send().await.unwrap().status(), 200);
    for path in ["/device_authorization", "/token", "/revoke", "/device", "/device/decide", "/live/1/misbehave"] {
        assert_eq!(demo.post(path, &format!("{fits}x")).send().await.unwrap().status(), 413, "{path}");
    }
}

// S03: OpenID Connect Discovery §3, every REQUIRED member, no list without elements; Core §2 and §5.4 for the token.
#[tokio::test]
async fn s03_the_demo_has_a_complete_openid_document_and_signs_id_tokens() {
    let demo = Demo::start().await;
    let (_, metadata) = answer(demo.request(Method::GET, "/.well-known/openid-configuration")).await;
    let issuer = demo.server.base_url();
    for name in ["authorization_endpoint", "token_endpoint", "jwks_uri"] {
        assert!(text(&metadata, name).starts_with(issuer), "{name}");
    }
    for name in ["response_types_supported", "subject_types_supported", "id_token_signing_alg_values_supported"] {
        assert!(metadata[name].is_array(), "{name}");
    }
    for (name, value) in metadata.as_object().unwrap() {
        assert!(value.as_array().is_none_or(|list| !list.is_empty()), "{name}");
    }
    assert_eq!(metadata["id_token_signing_alg_values_supported"], json!(["RS256"]), "every OpenID client knows it");
    let jwks: Value = serde_json::from_str(&demo.get("/jwks").await.text().await.unwrap()).unwrap();
    assert!(jwks["keys"][0]["n"].is_string() && jwks["keys"][0]["d"].is_null(), "{jwks}");
    assert_eq!(demo.get("/authorize?response_type=code&client_id=tv").await.status(), 400);

    let tokens = demo.sign_in().await;
    let (_, refreshed) = demo.refresh(&tokens).await;
    for tokens in [&tokens, &refreshed] {
        let parts: Vec<&str> = text(tokens, "id_token").split('.').collect();
        let [header, claims] = [parts[0], parts[1]].map(decoded);
        assert_eq!((text(&header, "alg"), &header["kid"]), ("RS256", &jwks["keys"][0]["kid"]));
        let signed = [text(&claims, "iss"), text(&claims, "sub"), text(&claims, "aud"), text(&claims, "email")];
        assert_eq!(signed, [issuer, "ada", "tv", "ada@example.com"]);
        assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 3600);
        assert!(claims["preferred_username"].is_null(), "without the scope profile");
        let message = format!("{}.{}", parts[0], parts[1]);
        assert!(is_signed(&jwks["keys"][0], &message, parts[2]), "with the key that is served");
        assert!(!is_signed(&jwks["keys"][0], &format!("{message}x"), parts[2]));
    }
    let begun = demo.begin("&scope=email").await;
    assert!(demo.server.approve(text(&begun, "user_code")));
    let (_, tokens) = demo.poll(&begun, "").await;
    assert!(tokens["access_token"].is_string() && tokens["id_token"].is_null(), "without the scope openid");
}

fn bytes(base64url: &str) -> Vec<u8> {
    Base64UrlUnpadded::decode_vec(base64url).unwrap()
}

fn decoded(part: &str) -> Value {
    serde_json::from_slice(&bytes(part)).unwrap()
}

fn is_signed(jwk: &Value, message: &str, signature: &str) -> bool {
    let [n, e] = ["n", "e"].map(|name| bytes(text(jwk, name)));
    let key = PublicKeyComponents { n, e };
    key.verify(&RSA_PKCS1_2048_8192_SHA256, message.as_bytes(), &bytes(signature)).is_ok()
}

#[tokio::test]
async fn the_demos_verdicts_come_once_each_when_a_sign_in_is_over() {
    let options = Options { interval: A_SECOND, decision: Some(Decision::Approve), ..Options::default() };
    let demo = Demo::with(options).await;
    let begun = demo.begin("").await;
    for _ in 0..5 {
        tokio::time::advance(A_SECOND).await;
        let _ = demo.poll(&begun, "").await;
    }
    assert_eq!(demo.server.verdicts(), [], "its client may do something more");
    tokio::time::advance(4 * A_SECOND).await;
    let verdicts = demo.server.verdicts();
    let [verdict] = &verdicts[..] else { panic!("{verdicts:?}") };
    assert_eq!((verdict.client_id.as_str(), verdict.end, verdict.polls), ("tv", "signed_in", 5));
    let of = |id: &str| verdict.rules.iter().find(|rule| rule.id == id).unwrap().verdict;
    for id in ["first_poll", "interval", "end", "form", "once", "url", "identity"] {
        assert_eq!(of(id), Kept::Kept, "{id}");
    }
    for id in ["slow_down", "goes_on", "back_off", "retry_after", "expiry", "one_at_a_time"] {
        assert_eq!(of(id), Kept::NotTried, "{id}");
    }
    assert_eq!(demo.server.verdicts_so_far(), []);
    demo.begin("").await;
    assert_eq!(demo.server.verdicts(), []);
    assert_eq!(demo.server.verdicts_so_far().len(), 1, "a sign-in that is not over");
}

#[tokio::test]
async fn the_server_stops_when_told_and_when_dropped() {
    let demo = Demo::in_real_time(Options::default()).await;
    let address = demo.server.base_url().to_owned();
    assert_eq!(demo.get("/").await.status(), 200, "leaves an idle connection behind");
    let _never_used = tokio::net::TcpStream::connect(address.trim_start_matches("http://")).await.unwrap();
    tokio::time::timeout(60 * A_SECOND, demo.server.shutdown()).await.unwrap();
    assert!(demo.http.get(&address).send().await.is_err());

    let demo = Demo::in_real_time(Options::default()).await;
    let address = demo.server.base_url().to_owned();
    drop(demo.server);
    tokio::time::timeout(60 * A_SECOND, async { while demo.http.get(&address).send().await.is_ok() {} }).await.unwrap();
}

#[tokio::test]
async fn durations_that_are_not_whole_seconds_are_refused() {
    for interval in [Duration::ZERO, Duration::from_millis(1500)] {
        let error = Server::start(Options { interval, ..Options::default() }).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    }
}
