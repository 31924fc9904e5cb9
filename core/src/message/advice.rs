//! Owns the table of advice: what a person can do about an error, by Microsoft's number, by suberror and by code.
//!
//! Numbers and suberrors are only hints: the error code alone decides what happens to a machine, as Microsoft asks (the
//! numbers "can change at any time").

/// The most specific advice: a number says more than a suberror, which says more than the code.
pub(super) fn advice(
    numbers: &[u32],
    description: &str,
    suberror: &str,
    code: Option<&'static str>,
) -> Option<&'static str> {
    let numbers = numbers.iter().copied().chain(number_in(description));
    let by_number = |number| {
        let row = NUMBERS.iter().find(|(known, _)| known.contains(&number));
        row.map(|(_, advice)| *advice)
    };
    numbers.filter_map(by_number).next().or_else(|| by_text(&SUBERRORS, suberror)).or(code)
}

/// Advice for codes that a machine does not treat in a special way, so that they are not in the table of consequences.
pub(super) fn by_code(code: &str) -> Option<&'static str> {
    by_text(&CODES, code)
}

fn by_text(table: &[(&str, &'static str)], text: &str) -> Option<&'static str> {
    table.iter().find(|(known, _)| *known == text).map(|(_, advice)| *advice)
}

/// The number in `AADSTS70016: …`, for answers that have it nowhere else.
fn number_in(description: &str) -> Option<u32> {
    let (_, rest) = description.split_once("AADSTS")?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest.get(..end)?.parse().ok()
}

const TENANTED: &str = "name the tenant, by id or domain: the authority has to be tenanted, and common, organizations and consumers are no tenants";
const RESTART: &str = "start again for a new code";
const CLOUD: &str = "the account lives in another of Microsoft's clouds: use the host of that cloud as authority";
const APP_OFF: &str = "the application is disabled in this tenant; only its administrator can change that";
const PUBLIC_CLIENT: &str = "allow public client flows for the application in its registration, under Authentication; or give the secret of a confidential one";
const NO_SECRET: &str = "check the client secret: this application has another one, or none at all";
const SCOPES: &str =
    "check the scopes: one is unknown, belongs to another API than the rest, or is not granted to the application";
const PARAMETER: &str =
    "a parameter that must be there is missing from the request: check the client id and the scopes";
const CONSENT: &str = "nobody has allowed this application to do that yet: sign in again and agree to it";
const ADMIN_CONSENT: &str =
    "an administrator of the tenant has to allow this application first; ask for that, then sign in again";
const MFA: &str =
    "the server wants a second factor, or a newer proof of it: sign in again, and set one up if it asks for that";
const ACCESS_POLICY: &str = "a Conditional Access policy of the organization forbids this: from this device, network or application, or by device code at all; trying again does not help, its administrator may";
const OTHER_ACCOUNT: &str =
    "the account is not known in this tenant: use another account, or name the account's own tenant";
const LOCKED: &str = "too many wrong passwords: the account is locked for a while; wait, or reset the password";
const PASSWORD_EXPIRED: &str = "the password has expired: change it in a browser, then sign in again";
const DISABLED: &str = "the account is disabled; only an administrator can change that";
const WRONG_PASSWORD: &str = "the user name or the password is wrong: sign in again";
const NOT_ASSIGNED: &str = "the account is not assigned to this application: an administrator has to assign it";
const SESSION_OVER: &str =
    "the earlier sign-in no longer counts: it is too old, the password was changed, or it was revoked; sign in again";
const LOOP: &str =
    "the server saw the same request too often and took it for a loop: wait some minutes before trying again";
const TRANSIENT: &str = "the server has a problem of its own for the moment: try again later";
const THROTTLED: &str = "the tenant has too many requests for the moment: wait some minutes before trying again";
const DEVICE: &str = "the organization demands a registered or managed device, and this one did not prove to be one: ask its administrator";
const REVOKED: &str = "the refresh token has expired or was revoked: sign in again";

/// AADSTS numbers. The first three rows say what Microsoft's own article on this flow says.
static NUMBERS: [(&[u32], &str); 31] = [
    (
        &[50059],
        "no tenant can be told from the request or the credentials: the authority has to be tenanted, and common and organizations are not; name the tenant",
    ),
    (
        &[90133],
        "the device flow is not supported under common or consumers here: the authority has to be tenanted; name the tenant, or use organizations",
    ),
    (
        &[90002],
        "the tenant was not found: look for a typing error in its id or domain name; if there is none, it may have no active subscription: check with the subscription administrator",
    ),
    (&[9_001_023, 50194, 9_002_332], TENANTED),
    (&[90119], "the code was entered empty: start again for a new one"),
    (&[90120], "the sign-in was approved or refused before: start again for a new code"),
    (&[50134], RESTART),
    (&[90038, 900_432], CLOUD),
    (&[700_016], "the application is not known in this tenant: check the client id, the tenant and the cloud"),
    (&[70001, 7_000_112], APP_OFF),
    (&[7_000_218], PUBLIC_CLIENT),
    (&[70002, 700_025], NO_SECRET),
    (&[70011, 28002, 700_022, 650_057, 650_053], SCOPES),
    (&[900_144, 90014], PARAMETER),
    (&[65001], CONSENT),
    (&[90094, 90095], ADMIN_CONSENT),
    (&[50076, 50079, 50078, 50072, 50074], MFA),
    (&[53000, 53001, 50097, 50005], DEVICE),
    (&[53002, 53003, 530_032, 530_035], ACCESS_POLICY),
    (&[50034, 50020, 51004, 50014], OTHER_ACCOUNT),
    (&[50053], LOCKED),
    (&[50055], PASSWORD_EXPIRED),
    (&[50057], DISABLED),
    (&[50126], WRONG_PASSWORD),
    (&[50105], NOT_ASSIGNED),
    (&[50173, 70000, 70008, 700_082, 70043, 50132, 50133, 50089], SESSION_OVER),
    (&[50196], LOOP),
    (&[50033, 90033, 90024, 90006, 90090], TRANSIENT),
    (&[90055], THROTTLED),
    (&[65004], "the person did not agree to what the application asks for"),
    (&[70018], "the code that was entered is not a known one: enter it as it is shown, or start again for a new one"),
];

/// Microsoft's, and Google's `error_subtype`.
static SUBERRORS: [(&str, &str); 12] = [
    ("basic_action", "the server wants the person to do something, such as giving a second factor: sign in again"),
    (
        "additional_action",
        "the server wants something done outside of the sign-in, such as registering the device: do that, then sign in again",
    ),
    ("message_only", "the server has something to say that only a browser shows: sign in again to read it"),
    ("consent_required", CONSENT),
    ("user_password_expired", PASSWORD_EXPIRED),
    ("bad_token", REVOKED),
    ("token_expired", REVOKED),
    (
        "client_mismatch",
        "the refresh token belongs to another application of its family: use this application's own, or sign in",
    ),
    (
        "protection_policy_required",
        "the organization demands an app protection policy, which this application cannot fulfil: ask its administrator",
    ),
    ("device_authentication_failed", DEVICE),
    // Google Workspace.
    ("invalid_rapt", "the organization limits how long a sign-in lasts: sign in again"),
    ("rapt_required", "the organization limits how long a sign-in lasts: sign in again"),
];

/// RFC 6749 §4.1.2.1 and RFC 7009 §2.2.1; Microsoft, GitHub, Auth0, Okta, Keycloak.
static CODES: [(&str, &str); 9] = [
    ("temporarily_unavailable", TRANSIENT),
    ("server_error", TRANSIENT),
    (
        "unsupported_token_type",
        "this server does not revoke tokens of this kind: revoke the refresh token, or let it expire",
    ),
    (
        "invalid_tenant",
        "the tenant was not found: check its id or domain name, and whether it lives in another of Microsoft's clouds",
    ),
    (
        "unverified_user_email",
        "the account has no verified e-mail address: verify one with the provider, then sign in again",
    ),
    ("application_suspended", "the provider has suspended the application; ask whoever runs it"),
    ("mfa_required", MFA),
    ("invalid_token", "the token is not valid, or not one of this client: sign in again"),
    ("not_allowed", "this client or account may not do that on this server: ask its administrator"),
];
