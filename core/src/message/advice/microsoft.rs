//! Owns what Microsoft says about its own errors, and Google about one of its: advice by number and by suberror.
//!
//! Numbers and suberrors are only hints: the error code alone decides what happens to a machine, as Microsoft asks (the
//! numbers "can change at any time").

use super::{Need, Sent};

/// A number says more than a suberror. What does not fit what was sent is passed over.
pub(super) fn advice(numbers: &[u32], description: &str, suberror: &str, sent: &Sent) -> Option<&'static str> {
    let numbers = numbers.iter().copied().chain(number_in(description));
    let by_number = |number| {
        let row = NUMBERS.iter().find(|(known, need, _)| known.contains(&number) && need.is_met(sent));
        row.map(|(_, _, advice)| *advice)
    };
    let by_suberror = || {
        let row = SUBERRORS.iter().find(|(known, need, _)| *known == suberror && need.is_met(sent));
        row.map(|(_, _, advice)| *advice)
    };
    numbers.filter_map(by_number).next().or_else(by_suberror)
}

/// The number in `AADSTS70016: …`, for answers that have it nowhere else.
fn number_in(description: &str) -> Option<u32> {
    let (_, rest) = description.split_once("AADSTS")?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest.get(..end)?.parse().ok()
}

const TENANTED: &str = "the authority has to be tenanted, and common, organizations and consumers are no tenants: name the tenant, by id or domain";
const RESTART: &str = "this code cannot be used: start again for a new one";
const CLOUD: &str = "the account lives in another of Microsoft's clouds: use the host of that cloud as authority";
const APP_OFF: &str = "the application is disabled in this tenant: ask its administrator, who alone can change that";
const PUBLIC_CLIENT: &str = "allow public client flows for the application in its registration, under Authentication; or give the secret of a confidential one";
const NO_SECRET: &str = "this application has another client secret, or none at all: check the secret";
const OLD_SECRET: &str = "the client secret is wrong or has expired: make a new one in the application's registration, and give its value, not its id";
const SCOPES: &str = "one of the scopes is unknown, belongs to another API than the rest, or is not granted to the application: check the scopes";
const PARAMETER: &str =
    "a parameter that must be there is missing from the request: check the client id and the parameters";
const CONSENT: &str = "nobody has allowed this application to do that yet: sign in again and agree to it";
const ADMIN_CONSENT: &str =
    "an administrator of the tenant has to allow this application first; ask for that, then sign in again";
const MFA: &str =
    "the server wants a second factor, or a newer proof of it: sign in again, and set one up if it asks for that";
const ACCESS_POLICY: &str = "a Conditional Access policy of the organization forbids this, from this device, network or application or in this way of signing in, and will the next time, too: ask its administrator";
const OTHER_ACCOUNT: &str =
    "the account is not known in this tenant: use another account, or name the account's own tenant";
const LOCKED: &str = "too many wrong passwords: the account is locked for a while; wait, or reset the password";
const PASSWORD_EXPIRED: &str = "the password has expired: change it in a browser, then sign in again";
const DISABLED: &str = "the account is disabled: ask an administrator, who alone can change that";
const WRONG_PASSWORD: &str = "the user name or the password is wrong: sign in again";
const NOT_ASSIGNED: &str = "the account is not assigned to this application: ask an administrator to assign it";
const SESSION_OVER: &str =
    "the earlier sign-in no longer counts: it is too old, the password was changed, or it was revoked; sign in again";
const LOOP: &str =
    "the server saw the same request too often and took it for a loop: wait some minutes before trying again";
const TRANSIENT: &str = "the server has a problem of its own for the moment: try again later";
const THROTTLED: &str = "the tenant has too many requests for the moment: wait some minutes before trying again";
const DEVICE: &str = "the organization demands a registered or managed device, and this one did not prove to be one: ask its administrator";
const REVOKED: &str = "the refresh token has expired or was revoked: sign in again";

/// AADSTS numbers. The first three rows say what Microsoft's own article on this flow says.
#[rustfmt::skip]
pub(super) static NUMBERS: [(&[u32], Need, &str); 32] = [
    (&[50059], Need::Nothing, "no tenant can be told from the request or the credentials: the authority has to be tenanted, and common and organizations are not; name the tenant"),
    (&[90133], Need::Flow, "the device flow is not supported under common or consumers here, and the authority has to be tenanted: name the tenant, or use organizations"),
    (&[90002], Need::Nothing, "the tenant was not found: look for a typing error in its id or domain name; if there is none, it may have no active subscription: check with the subscription administrator"),
    (&[9_001_023, 50194, 9_002_332], Need::Nothing, TENANTED),
    (&[90119], Need::Code, "the code was entered empty: start again for a new one"),
    (&[90120], Need::Code, "the sign-in was approved or refused before: start again for a new code"),
    (&[50134], Need::Code, RESTART),
    (&[90038, 900_432], Need::Nothing, CLOUD),
    (&[700_016], Need::Nothing, "the application is not known in this tenant: check the client id, the tenant and the cloud"),
    (&[70001, 7_000_112], Need::Nothing, APP_OFF),
    (&[7_000_218], Need::NoSecret, PUBLIC_CLIENT),
    (&[70002, 700_025], Need::Secret, NO_SECRET),
    (&[70011, 28002, 700_022, 650_057, 650_053], Need::Scope, SCOPES),
    (&[900_144, 90014], Need::Nothing, PARAMETER),
    (&[65001], Need::Nothing, CONSENT),
    (&[90094, 90095], Need::Nothing, ADMIN_CONSENT),
    (&[50076, 50079, 50078, 50072, 50074], Need::Nothing, MFA),
    (&[53000, 53001, 50097, 50005], Need::Nothing, DEVICE),
    (&[53002, 53003, 530_032, 530_035], Need::Nothing, ACCESS_POLICY),
    (&[50034, 50020, 51004, 50014], Need::Nothing, OTHER_ACCOUNT),
    (&[50053], Need::Nothing, LOCKED),
    (&[50055], Need::Nothing, PASSWORD_EXPIRED),
    (&[50057], Need::Nothing, DISABLED),
    (&[50126], Need::Nothing, WRONG_PASSWORD),
    (&[50105], Need::Nothing, NOT_ASSIGNED),
    (&[50173, 70000, 70008, 700_082, 70043, 50132, 50133, 50089], Need::Nothing, SESSION_OVER),
    (&[50196], Need::Nothing, LOOP),
    (&[50033, 90033, 90024, 90006, 90090], Need::Nothing, TRANSIENT),
    (&[90055], Need::Nothing, THROTTLED),
    (&[65004], Need::Nothing, "the person did not agree to what the application asks for: sign in again, and agree to it"),
    (&[70018], Need::Code, "the code that was entered is not a known one: enter it as it is shown, or start again for a new one"),
    (&[7_000_215, 7_000_222], Need::Secret, OLD_SECRET),
];

/// Microsoft's, and Google's `error_subtype` (the last two).
#[rustfmt::skip]
pub(super) static SUBERRORS: [(&str, Need, &str); 12] = [
    ("basic_action", Need::Nothing, "the server wants the person to do something, such as giving a second factor: sign in again"),
    ("additional_action", Need::Nothing, "the server wants something done outside of the sign-in, such as registering the device: do that, then sign in again"),
    ("message_only", Need::Nothing, "the server has something to say that only a browser shows: sign in again to read it"),
    ("consent_required", Need::Nothing, CONSENT),
    ("user_password_expired", Need::Nothing, PASSWORD_EXPIRED),
    ("bad_token", Need::Refresh, REVOKED),
    ("token_expired", Need::Refresh, REVOKED),
    ("client_mismatch", Need::Refresh, "the refresh token belongs to another application of its family: use this application's own, or sign in"),
    ("protection_policy_required", Need::Nothing, "the organization demands an app protection policy, which this application cannot fulfil: ask its administrator"),
    ("device_authentication_failed", Need::Nothing, DEVICE),
    ("invalid_rapt", Need::Nothing, "the organization limits how long a sign-in lasts: sign in again"),
    ("rapt_required", Need::Nothing, "the organization limits how long a sign-in lasts: sign in again"),
];
