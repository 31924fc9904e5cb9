//! Owns the endpoints that clients call: their parameters, client authentication and JSON answers.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::{FromRequest, Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use base64ct::{Base64, Encoding as _};
use serde_json::json;

use super::answer::{Refusal, json};
use super::form::Form;
use super::grant::AuthorizationRequest;
use super::id_token;
use super::judge::Sight;
use super::listen::Peer;
use super::options::{CONFIDENTIAL_CLIENT_ID, CONFIDENTIAL_CLIENT_SECRET, SCOPES};
use super::origin;
use super::random::same_secret;
use super::site::{Arrival, Received, Site};

pub(super) const DEVICE_CODE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// A form from a client that has authenticated.
pub(super) struct ClientRequest {
    site: Arc<Site>,
    client_id: String,
    form: Form,
    /// When it arrived, and from where.
    now: Duration,
    peer: Peer,
}

impl FromRequest<Arc<Site>> for ClientRequest {
    type Rejection = Response;

    async fn from_request(request: Request, site: &Arc<Site>) -> Result<Self, Response> {
        if origin::is_of_a_page(site, request.headers()) {
            return Err((StatusCode::FORBIDDEN, "A page of another site is no client here.\n").into_response());
        }
        let Received { headers, body, now, peer, uri } = Received::whole(request, site).await?;
        let query = uri.query().unwrap_or_default();
        site.judge(&Sight { method: &Method::POST, path: uri.path(), query, headers: &headers, body: &body });
        let (client_id, form) = authenticated(&headers, &body).map_err(Refusal::into_response)?;
        Ok(Self { site: Arc::clone(site), client_id, form, now, peer })
    }
}

/// RFC 8628 §3.1, §3.2.
pub(super) async fn device_authorization(
    ClientRequest { site, client_id, form, now, peer: Peer(peer) }: ClientRequest,
) -> Result<Response, Refusal> {
    let scope = form.get("scope").unwrap_or_default().to_owned();
    let code_challenge = code_challenge(&form)?.map(str::to_owned);
    let issued = site.authority().issue(AuthorizationRequest { client_id, scope, code_challenge, peer }, now)?;
    let uri = format!("{}/device", site.base_url());
    Ok(json(
        StatusCode::OK,
        &json!({
            "device_code": issued.device_code,
            "verification_uri_complete": format!("{uri}?user_code={}", issued.user_code),
            "user_code": issued.user_code,
            "verification_uri": uri,
            "expires_in": site.options().code_lifetime.as_secs(),
            "interval": site.options().interval.as_secs(),
        }),
    ))
}

/// RFC 8628 §3.4, §3.5 and RFC 6749 §6.
pub(super) async fn token(
    ClientRequest { site, client_id, form, now, .. }: ClientRequest,
) -> Result<Response, Refusal> {
    let tokens = match required(&form, "grant_type", "grant_type is missing")? {
        DEVICE_CODE_GRANT => {
            let device_code = required(&form, "device_code", "device_code is missing")?;
            let (answer, hold) = {
                let mut authority = site.authority();
                let answer = authority.poll(&client_id, device_code, form.get("code_verifier"), now);
                (answer, authority.hold(device_code))
            };
            if !hold.is_zero() {
                tokio::time::sleep(hold).await;
            }
            answer?
        }
        "refresh_token" => {
            let refresh_token = required(&form, "refresh_token", "refresh_token is missing")?;
            site.authority().refresh(&client_id, refresh_token, form.get("scope"), now)?
        }
        _ => return Err(Refusal::UnsupportedGrantType),
    };
    let life = site.options().access_token_lifetime;
    let mut answer = json!({
        "access_token": tokens.access_token,
        "token_type": "Bearer",
        "expires_in": life.as_secs(),
        "refresh_token": tokens.refresh_token,
        "scope": tokens.scope,
    });
    if id_token::is_wanted(&tokens.scope)
        && let Some(answer) = answer.as_object_mut()
    {
        let id_token = site.id_tokens().issue(site.base_url(), &client_id, &tokens.scope, life)?;
        answer.insert("id_token".to_owned(), json!(id_token));
    }
    Ok(json(StatusCode::OK, &answer))
}

/// The keys of the ID tokens (RFC 7517 §5).
pub(super) async fn jwks(State(site): State<Arc<Site>>) -> Response {
    ([(CONTENT_TYPE, "application/jwk-set+json")], site.id_tokens().jwks()).into_response()
}

/// RFC 7009. A token is looked up in both tables, so the hint is not needed.
pub(super) async fn revoke(ClientRequest { site, client_id, form, .. }: ClientRequest) -> Result<StatusCode, Refusal> {
    site.authority().revoke(&client_id, required(&form, "token", "token is missing")?)?;
    Ok(StatusCode::OK)
}

/// OpenID Connect Core §5.3, for a bearer token (RFC 6750 §2.1).
pub(super) async fn userinfo(
    State(site): State<Arc<Site>>,
    Extension(Arrival(now)): Extension<Arrival>,
    headers: HeaderMap,
) -> Response {
    let Some(token) = credentials(&headers, "Bearer") else {
        // RFC 6750 §3.1: a request without a token gets no error code.
        return (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Bearer")]).into_response();
    };
    let authority = site.authority();
    let Some(scope) = authority.scope_of(token, now) else {
        return (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"")]).into_response();
    };
    json(StatusCode::OK, &id_token::person(scope))
}

/// RFC 8414, and the same at the URL of OpenID Connect Discovery, with all that its §3 demands. A list without elements
/// must be left out, and `response_types_supported` must be there: `none` is the type that brings nothing.
pub(super) async fn metadata(State(site): State<Arc<Site>>) -> Response {
    let issuer = site.base_url();
    let authentication = ["none", "client_secret_basic", "client_secret_post"];
    json(
        StatusCode::OK,
        &json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize"),
            "jwks_uri": format!("{issuer}/jwks"),
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [site.id_tokens().algorithm()],
            "claims_supported":
                ["iss", "sub", "aud", "iat", "exp", "name", "preferred_username", "email", "email_verified"],
            "device_authorization_endpoint": format!("{issuer}/device_authorization"),
            "token_endpoint": format!("{issuer}/token"),
            "revocation_endpoint": format!("{issuer}/revoke"),
            "userinfo_endpoint": format!("{issuer}/userinfo"),
            "grant_types_supported": [DEVICE_CODE_GRANT, "refresh_token"],
            "response_types_supported": ["none"],
            "scopes_supported": SCOPES.map(|(scope, _)| scope),
            "token_endpoint_auth_methods_supported": authentication,
            "revocation_endpoint_auth_methods_supported": authentication,
            "code_challenge_methods_supported": ["S256"],
        }),
    )
}

/// The client that sent a form (RFC 6749 §2.3, §3.2.1), and the form.
fn authenticated(headers: &HeaderMap, body: &[u8]) -> Result<(String, Form), Refusal> {
    let form = Form::from_body(headers, body).map_err(Refusal::InvalidRequest)?;
    let (client_id, secret) = if headers.contains_key(AUTHORIZATION) {
        let (client_id, secret) = basic(headers).ok_or(Refusal::InvalidClient)?;
        if form.get("client_secret").is_some() {
            return Err(Refusal::InvalidRequest("the client authenticates in two ways"));
        }
        if form.get("client_id").is_some_and(|named| named != client_id) {
            return Err(Refusal::InvalidRequest("client_id differs from the authenticated client"));
        }
        (client_id, secret)
    } else {
        let client_id = required(&form, "client_id", "client_id is missing")?;
        (client_id.to_owned(), form.get("client_secret").unwrap_or_default().to_owned())
    };
    // RFC 6749 appendix A.1: client-id = *VSCHAR.
    if client_id.is_empty() || !client_id.bytes().all(|byte| matches!(byte, 0x20..=0x7e)) {
        return Err(Refusal::InvalidClient);
    }
    // A public client must not send a secret.
    let expected = if client_id == CONFIDENTIAL_CLIENT_ID { CONFIDENTIAL_CLIENT_SECRET } else { "" };
    if same_secret(&secret, expected) { Ok((client_id, form)) } else { Err(Refusal::InvalidClient) }
}

/// Client id and secret, form-encoded and then joined in base64 (RFC 6749 §2.3.1).
pub(super) fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let pair = String::from_utf8(Base64::decode_vec(credentials(headers, "Basic")?).ok()?).ok()?;
    let (client_id, secret) = pair.split_once(':')?;
    Some((form_decoded(client_id)?, form_decoded(secret)?))
}

fn form_decoded(text: &str) -> Option<String> {
    // Encoded text contains neither of these, and without them the parser returns a single name.
    if text.contains(['&', '=']) {
        return None;
    }
    Some(form_urlencoded::parse(text.as_bytes()).map(|(name, _)| name).collect())
}

/// What follows the scheme in `Authorization`; schemes are compared without case (RFC 9110 §11.1).
fn credentials<'h>(headers: &'h HeaderMap, scheme: &str) -> Option<&'h str> {
    let (found, credentials) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    found.eq_ignore_ascii_case(scheme).then(|| credentials.trim())
}

fn required<'f>(form: &'f Form, name: &str, complaint: &'static str) -> Result<&'f str, Refusal> {
    form.get(name).ok_or(Refusal::InvalidRequest(complaint))
}

/// RFC 7636 §4.3, with S256 as the only method, and a challenge that is a SHA-256 digest in base64url.
fn code_challenge(form: &Form) -> Result<Option<&str>, Refusal> {
    match (form.get("code_challenge"), form.get("code_challenge_method")) {
        (None, None) => Ok(None),
        (Some(challenge), Some("S256"))
            if challenge.len() == 43
                && challenge.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) =>
        {
            Ok(Some(challenge))
        }
        _ => Err(Refusal::InvalidRequest("code_challenge must be of method S256")),
    }
}
