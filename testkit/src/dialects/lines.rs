//! Owns what each provider takes and says, word for word: paths, parameters, statuses and bodies, with made-up values.

use super::Speech;

/// A path and its parameters. Without parameters there is no such request.
pub(super) type Call = (&'static str, &'static [(&'static str, &'static str)]);

/// One answer.
#[derive(Clone, Copy)]
pub(super) struct Said {
    pub(super) status: u16,
    /// The header `x-amzn-ErrorType`; empty for none.
    pub(super) error_type: &'static str,
    pub(super) body: &'static str,
}

/// The words of one provider.
#[derive(Clone, Copy)]
pub(super) struct Lines {
    pub(super) json: bool,
    /// In seconds, whether the answer names it or not.
    pub(super) interval: u64,
    pub(super) registration: Call,
    pub(super) device: Call,
    pub(super) poll: Call,
    pub(super) refresh: Call,
    pub(super) code: &'static str,
    pub(super) token: &'static str,
    pub(super) pending: Said,
    pub(super) slow_down: Said,
    pub(super) denied: Said,
    pub(super) expired: Said,
    pub(super) unknown: Said,
    pub(super) wrong_client: Said,
    pub(super) malformed: Said,
}

pub(super) const REGISTERED: &str = r#"{"clientId":"my-app","clientSecret":"SEC-canary","clientIdIssuedAt":1700000000,"clientSecretExpiresAt":4102444800,"authorizationEndpoint":null,"tokenEndpoint":null}"#;

const URN: (&str, &str) = ("grant_type", "urn:ietf:params:oauth:grant-type:device_code");
const ID: (&str, &str) = ("client_id", "my-app");
const SECRET: (&str, &str) = ("client_secret", "SEC-canary");
const CODE: (&str, &str) = ("code", "DC-canary/+ &=");
const REFRESH: (&str, &str) = ("grant_type", "refresh_token");
const TOKEN: (&str, &str) = ("refresh_token", "RT-canary");
const RESOURCE: (&str, &str) = ("resource", "https://graph.example");
const NONE: Call = ("", &[]);

const fn said(status: u16, body: &'static str) -> Said {
    Said { status, error_type: "", body }
}

const fn aws(status: u16, error_type: &'static str, body: &'static str) -> Said {
    Said { status, error_type, body }
}

/// Of the providers whose errors have the form of RFC 6749 §5.2.
const STANDARD: Lines = Lines {
    json: false,
    interval: 1,
    registration: NONE,
    device: NONE,
    poll: NONE,
    refresh: NONE,
    code: r#"{"device_code":"DC-canary/+ &=","user_code":"k3mf8q2z","verification_url":"https://provider.example/device","expires_in":300,"interval":1}"#,
    token: r#"{"access_token":"AT-canary","token_type":"bearer","expires_in":3600,"refresh_token":"RT-canary","scope":"one two"}"#,
    pending: said(
        400,
        r#"{"error":"authorization_pending","error_description":"User has not yet authorized your application"}"#,
    ),
    slow_down: said(400, r#"{"error":"slow_down","error_description":"polling too quickly"}"#),
    denied: said(400, r#"{"error":"access_denied","error_description":"the person has refused"}"#),
    expired: said(400, r#"{"error":"expired_token","error_description":"the code is too old"}"#),
    unknown: said(400, r#"{"error":"invalid_grant","error_description":"no such code"}"#),
    wrong_client: said(400, r#"{"error":"invalid_client","error_description":"Wrong client secret"}"#),
    malformed: said(400, r#"{"error":"invalid_request","error_description":"a parameter is missing or unknown"}"#),
};

pub(super) fn of(speech: Speech) -> Lines {
    match speech {
        Speech::Aws => AWS,
        Speech::Twitch => TWITCH,
        Speech::Facebook => FACEBOOK,
        Speech::Salesforce => Lines {
            device: ("/services/oauth2/token", &[("response_type", "device_code"), ID, ("scope", "one two")]),
            poll: ("/services/oauth2/token", &[("grant_type", "device"), ID, CODE]),
            refresh: ("/services/oauth2/token", &[REFRESH, ID, TOKEN]),
            interval: 1,
            code: r#"{"device_code":"DC-canary/+ &=","user_code":"A1B2C3D4","verification_uri":"https://login.salesforce.example/setup/connect","interval":1}"#,
            token: r#"{"access_token":"AT-canary","refresh_token":"RT-canary","signature":"bWFkZS11cA==","scope":"one two","instance_url":"https://made-up.my.salesforce.example","id":"https://login.salesforce.example/id/00D/005","token_type":"Bearer","issued_at":"1700000000000"}"#,
            unknown: said(400, r#"{"error":"invalid_request","error_description":"invalid device code"}"#),
            ..STANDARD
        },
        Speech::Trakt => TRAKT,
        Speech::EntraV1 => Lines {
            device: ("/common/oauth2/devicecode?api-version=1.0", &[ID, RESOURCE]),
            poll: ("/common/oauth2/token", &[("grant_type", "device_code"), ID, RESOURCE, CODE]),
            refresh: ("/common/oauth2/token", &[REFRESH, ID, RESOURCE, TOKEN]),
            code: r#"{"user_code":"F7KQ2XRTN","device_code":"DC-canary/+ &=","verification_url":"https://microsoft.example/devicelogin","expires_in":"900","interval":"1","message":"To sign in, use a web browser to open the page and enter the code F7KQ2XRTN to authenticate."}"#,
            token: r#"{"token_type":"Bearer","scope":"user_impersonation","expires_in":"3599","ext_expires_in":"3599","expires_on":"1700003599","not_before":"1700000000","resource":"https://graph.example","access_token":"AT-canary","refresh_token":"RT-canary"}"#,
            pending: said(
                400,
                r#"{"error":"authorization_pending","error_description":"AADSTS70016: Pending end-user authorization.","error_codes":[70016],"correlation_id":"made-up"}"#,
            ),
            denied: said(
                400,
                r#"{"error":"authorization_declined","error_description":"the person has refused","error_codes":[70018]}"#,
            ),
            expired: said(
                400,
                r#"{"error":"code_expired","error_description":"AADSTS70020: made up","error_codes":[70020]}"#,
            ),
            ..STANDARD
        },
        Speech::Yandex => Lines {
            device: ("/device/code", &[ID, ("scope", "one two")]),
            poll: ("/token", &[("grant_type", "device_code"), ID, SECRET, CODE]),
            refresh: ("/token", &[REFRESH, ID, SECRET, TOKEN]),
            unknown: said(400, r#"{"error":"bad_verification_code","error_description":"Invalid code"}"#),
            ..STANDARD
        },
        Speech::GoogleTv => Lines {
            device: ("/device/code", &[ID, ("scope", "one two")]),
            poll: ("/token", &[("grant_type", "http://oauth.net/grant_type/device/1.0"), ID, SECRET, CODE]),
            refresh: ("/token", &[REFRESH, ID, SECRET, TOKEN]),
            pending: said(428, r#"{"error":"authorization_pending","error_description":"Precondition Required"}"#),
            slow_down: said(403, r#"{"error":"slow_down","error_description":"Forbidden"}"#),
            denied: said(403, r#"{"error":"access_denied","error_description":"Forbidden"}"#),
            ..STANDARD
        },
    }
}

const AWS: Lines = Lines {
    json: true,
    interval: 1,
    registration: (
        "/client/register",
        &[("clientName", "*"), ("clientType", "public"), ("scopes", r#"["one","two"]"#)],
    ),
    device: (
        "/device_authorization",
        &[("clientId", "my-app"), ("clientSecret", "SEC-canary"), ("startUrl", "https://d-0.awsapps.example/start")],
    ),
    poll: (
        "/token",
        &[
            ("grantType", "urn:ietf:params:oauth:grant-type:device_code"),
            ("clientId", "my-app"),
            ("clientSecret", "SEC-canary"),
            ("deviceCode", "DC-canary/+ &="),
        ],
    ),
    refresh: (
        "/token",
        &[
            ("grantType", "refresh_token"),
            ("clientId", "my-app"),
            ("clientSecret", "SEC-canary"),
            ("refreshToken", "RT-canary"),
        ],
    ),
    code: r#"{"deviceCode":"DC-canary/+ &=","userCode":"BCDF-GHJK","verificationUri":"https://device.sso.example/","verificationUriComplete":"https://device.sso.example/?user_code=BCDF-GHJK","expiresIn":600,"interval":1}"#,
    token: r#"{"accessToken":"AT-canary","tokenType":"Bearer","expiresIn":28800,"refreshToken":"RT-canary","idToken":null}"#,
    pending: aws(400, "AuthorizationPendingException", r#"{"error":"authorization_pending","error_description":null}"#),
    slow_down: aws(400, "SlowDownException", r#"{"error":"slow_down","error_description":"Too many polls"}"#),
    denied: aws(
        400,
        "AccessDeniedException:http://internal.example/coral/",
        r#"{"error":"access_denied","error_description":"User is denied","reason":"made up"}"#,
    ),
    expired: aws(400, "ExpiredTokenException", r#"{"error":"expired_token","error_description":"Too late"}"#),
    unknown: aws(
        400,
        "InvalidGrantException",
        r#"{"error":"invalid_grant","error_description":"Invalid device code"}"#,
    ),
    wrong_client: aws(
        401,
        "InvalidClientException",
        r#"{"error":"invalid_client","error_description":"Invalid client"}"#,
    ),
    malformed: aws(
        400,
        "InvalidRequestException",
        r#"{"error":"invalid_request","error_description":"Invalid request"}"#,
    ),
};

const TWITCH: Lines = Lines {
    device: ("/oauth2/device", &[ID, ("scopes", "one two")]),
    poll: ("/oauth2/token", &[URN, ID, ("device_code", "DC-canary/+ &="), ("scopes", "one two")]),
    refresh: ("/oauth2/token", &[REFRESH, ID, TOKEN]),
    code: r#"{"device_code":"DC-canary/+ &=","expires_in":1800,"interval":1,"user_code":"ABCDEFGH","verification_uri":"https://www.twitch.example/activate?device-code=ABCDEFGH"}"#,
    token: r#"{"access_token":"AT-canary","expires_in":14124,"refresh_token":"RT-canary","scope":["one","two"],"token_type":"bearer"}"#,
    pending: said(400, r#"{"status":400,"message":"authorization_pending"}"#),
    slow_down: said(400, r#"{"status":400,"message":"slow_down"}"#),
    // No denial is known; the code is gone then.
    denied: said(400, r#"{"status":400,"message":"invalid device code"}"#),
    expired: said(400, r#"{"status":400,"message":"invalid device code"}"#),
    unknown: said(400, r#"{"status":400,"message":"invalid device code"}"#),
    wrong_client: said(400, r#"{"status":400,"message":"invalid client"}"#),
    malformed: said(400, r#"{"status":400,"message":"missing client id"}"#),
    ..STANDARD
};

const APP: (&str, &str) = ("access_token", "my-app|SEC-canary");

const FACEBOOK: Lines = Lines {
    device: ("/v16.0/device/login", &[APP, ("scope", "one,two")]),
    poll: ("/v16.0/device/login_status", &[APP, CODE]),
    refresh: NONE,
    code: r#"{"code":"DC-canary/+ &=","user_code":"A1NWZ9KQ","verification_uri":"https://www.facebook.example/device","expires_in":420,"interval":1}"#,
    token: r#"{"access_token":"AT-canary","data_access_expiration_time":1707776000,"expires_in":5183944}"#,
    pending: said(
        400,
        r#"{"error":{"message":"made-up text","type":"OAuthException","code":31,"error_subcode":1349174,"is_transient":false,"error_user_title":"made up","error_user_msg":"made up","fbtrace_id":"made-up"}}"#,
    ),
    slow_down: said(
        400,
        r#"{"error":{"message":"User request limit reached","type":"OAuthException","code":17,"error_subcode":1349172,"is_transient":true}}"#,
    ),
    denied: said(
        400,
        r#"{"error":{"message":"the person has refused","type":"OAuthException","code":31,"error_subcode":1349173,"is_transient":false}}"#,
    ),
    expired: said(
        400,
        r#"{"error":{"message":"the session has expired","type":"OAuthException","code":463,"error_subcode":1349152,"is_transient":false}}"#,
    ),
    unknown: said(
        400,
        r#"{"error":{"message":"Invalid parameter","type":"OAuthException","code":100,"fbtrace_id":"made-up"}}"#,
    ),
    wrong_client: said(
        400,
        r#"{"error":{"message":"must be called with a client access token","type":"OAuthException","code":190}}"#,
    ),
    malformed: said(400, r#"{"error":{"message":"(#100) made-up text","type":"OAuthException","code":100}}"#),
    ..STANDARD
};

const TRAKT: Lines = Lines {
    json: true,
    interval: 1,
    device: ("/oauth/device/code", &[ID]),
    poll: ("/oauth/device/token", &[ID, SECRET, CODE]),
    refresh: ("/oauth/token", &[REFRESH, ID, SECRET, TOKEN, ("redirect_uri", "urn:ietf:wg:oauth:2.0:oob")]),
    code: r#"{"device_code":"DC-canary/+ &=","user_code":"5055CC52","verification_url":"https://trakt.example/activate","expires_in":600,"interval":1}"#,
    token: r#"{"access_token":"AT-canary","token_type":"bearer","expires_in":604800,"refresh_token":"RT-canary","scope":"public","created_at":1700000000}"#,
    pending: said(400, ""),
    slow_down: said(429, ""),
    denied: said(418, ""),
    expired: said(410, ""),
    unknown: said(404, ""),
    wrong_client: said(401, ""),
    malformed: said(403, ""),
    ..STANDARD
};
