//! Owns the dialect of AWS IAM Identity Center (SSO OIDC): JSON in camelCase, a client that registers itself, and errors
//! whose name is in a header.

use super::words::{Value, Word, Words};
use super::{Call, Dialect, Presence};
use crate::Response;
use crate::message::json::Object;
use crate::message::oauth_error::code;
use alloc::string::String;

pub(crate) static AWS: Dialect = Dialect {
    name: "AWS IAM Identity Center",
    paths: ["/device_authorization", "/token", "", "", "/client/register"],
    json: true,
    secret: Presence::Required,
    parameters: &[
        Word("client_id", "clientId", Value::Same),
        Word("client_secret", "clientSecret", Value::Same),
        Word("grant_type", "grantType", Value::Same),
        Word("device_code", "deviceCode", Value::Same),
        Word("refresh_token", "refreshToken", Value::Same),
        Word("start_url", "startUrl", Value::Same),
        Word("client_name", "clientName", Value::Same),
    ],
    device: Words { changed: &[Word("scope", "", Value::LeftOut)], ..Words::SAME },
    refresh: Words { changed: &[Word("scope", "scope", Value::List)], ..Words::SAME },
    registration: Words {
        changed: &[Word("scope", "scopes", Value::List)],
        fixed: &[("clientType", "public")],
        ..Words::SAME
    },
    members: &[
        ("deviceCode", "device_code"),
        ("userCode", "user_code"),
        ("verificationUri", "verification_uri"),
        ("verificationUriComplete", "verification_uri_complete"),
        ("expiresIn", "expires_in"),
        ("accessToken", "access_token"),
        ("tokenType", "token_type"),
        ("refreshToken", "refresh_token"),
        ("idToken", "id_token"),
        ("clientId", "client_id"),
        ("clientSecret", "client_secret"),
        ("clientSecretExpiresAt", "client_secret_expires_at"),
    ],
    errors,
    notes: &[
        "Needs no registration by hand: each installation registers itself, and again before that registration ends.",
        "Needs the region and the start URL of the organization's access portal.",
        "Scopes belong to the registration; the request for a code has none.",
        "Tokens cannot be revoked here.",
    ],
    ..Dialect::STANDARD
};

/// The host of a region; those of China are in a domain of their own.
pub(crate) fn host(region: &str) -> String {
    let end = if region.starts_with("cn-") { ".amazonaws.com.cn" } else { ".amazonaws.com" };
    ["oidc.", region, end].concat()
}

/// The names of the service model.
const ERRORS: [(&str, &str); 11] = [
    ("AuthorizationPendingException", code::PENDING),
    ("SlowDownException", code::SLOW_DOWN),
    ("AccessDeniedException", code::DENIED),
    ("ExpiredTokenException", code::EXPIRED),
    ("InvalidGrantException", code::INVALID_GRANT),
    ("InvalidClientException", code::INVALID_CLIENT),
    ("InvalidRequestException", code::INVALID_REQUEST),
    ("InvalidRequestRegionException", code::INVALID_REQUEST),
    ("InvalidScopeException", code::INVALID_SCOPE),
    ("UnauthorizedClientException", code::UNAUTHORIZED_CLIENT),
    ("UnsupportedGrantTypeException", code::UNSUPPORTED_GRANT),
];

/// As the SDKs of AWS do: the header decides, else the body's `__type` or `code`. They do not read `error`, which is the
/// same in words of the standard; it decides when nothing else does.
fn errors<'a>(call: Call, response: &Response<'a>, object: &mut Object<'a>) -> bool {
    let header = response.error_type().map(bare).filter(|name| !name.is_empty());
    let named = header.or_else(|| object.plain_text("__type").map(bare));
    // A member of this name could be anything in a success.
    let named = named.or_else(|| object.plain_text("code").map(bare).filter(|_| response.status() >= 400));
    let Some(name) = named.filter(|name| !name.is_empty()) else { return false };
    let known = ERRORS.iter().find(|(known, _)| *known == name).map(|(_, code)| *code);
    // The same name is about the device code in a poll and about the refresh token here.
    let is_of_token = call == Call::Refresh && known == Some(code::EXPIRED);
    if let Some(code) = known.map(|code| if is_of_token { code::INVALID_GRANT } else { code }) {
        object.set("error", code);
    } else if object.json_text("error").is_none() {
        object.set("error", code::UNRECOGNIZED);
    }
    if object.json_text("error_description").is_none()
        && let Some(said) = object.json_text("message").or_else(|| object.json_text("reason"))
    {
        object.set("error_description", said);
    }
    object.set_own_name(name);
    true
}

/// The name without its namespace before `#`, and without the address behind `:`.
fn bare(name: &str) -> &str {
    let name = name.split(':').next().unwrap_or_default();
    name.rsplit('#').next().unwrap_or_default().trim()
}
