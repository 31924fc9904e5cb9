//! Real servers: the presets' endpoints, and what each provider documents to send, as one table of bodies and outcomes.

use crate::support::*;
use core::time::Duration;
use device_flow_core::{Client, ConfigError, DeviceFlow, EntraCloud, Failure, PromptWarning, Provider, Response};
use serde_json::json;

// What the providers document; the metadata of GitLab and GitHub is not enough.
#[test]
fn presets() {
    use EntraCloud::{China, Public, UsGovernment};
    for (provider, device, token, issuer) in [
        (
            Provider::entra(Public, "common"),
            "https://login.microsoftonline.com/common/oauth2/v2.0/devicecode",
            "https://login.microsoftonline.com/common/oauth2/v2.0/token",
            "https://login.microsoftonline.com/common/v2.0",
        ),
        (
            Provider::entra(UsGovernment, "contoso.example"),
            "https://login.microsoftonline.us/contoso.example/oauth2/v2.0/devicecode",
            "https://login.microsoftonline.us/contoso.example/oauth2/v2.0/token",
            "https://login.microsoftonline.us/contoso.example/v2.0",
        ),
        (
            Provider::entra(China, "00000000-0000-4000-8000-000000000001"),
            "https://login.partner.microsoftonline.cn/00000000-0000-4000-8000-000000000001/oauth2/v2.0/devicecode",
            "https://login.partner.microsoftonline.cn/00000000-0000-4000-8000-000000000001/oauth2/v2.0/token",
            "https://login.partner.microsoftonline.cn/00000000-0000-4000-8000-000000000001/v2.0",
        ),
        (
            Provider::github(),
            "https://github.com/login/device/code",
            "https://github.com/login/oauth/access_token",
            "https://github.com/login/oauth",
        ),
        (
            Provider::github_enterprise("octo.ghe.com"),
            "https://octo.ghe.com/login/device/code",
            "https://octo.ghe.com/login/oauth/access_token",
            "https://octo.ghe.com/login/oauth",
        ),
        (
            Provider::gitlab(),
            "https://gitlab.com/oauth/authorize_device",
            "https://gitlab.com/oauth/token",
            "https://gitlab.com",
        ),
        (
            Provider::gitlab_at("git.example:8443"),
            "https://git.example:8443/oauth/authorize_device",
            "https://git.example:8443/oauth/token",
            "https://git.example:8443",
        ),
        (
            Provider::google(),
            "https://oauth2.googleapis.com/device/code",
            "https://oauth2.googleapis.com/token",
            "https://accounts.google.com",
        ),
    ] {
        let client = Client::builder(provider, "my-app").build().unwrap();
        assert_eq!(client.device_authorization_endpoint(), device);
        assert_eq!((client.token_endpoint(), client.issuer()), (token, Some(issuer)));
    }
    assert_eq!(EntraCloud::default(), Public);
}

// G08: a name goes into a URL as it stands, so it must be one.
#[test]
fn names_from_both_sides() {
    let presets: [fn(&str) -> Provider; 3] = [
        |name| Provider::entra(EntraCloud::Public, name),
        |name| Provider::github_enterprise(name),
        |name| Provider::gitlab_at(name),
    ];
    for preset in presets {
        for good in ["a", "git.example", "git-1_x.example", "GIT.example", "192.0.2.1", "git.example:8443"] {
            Client::builder(preset(good), "my-app").build().unwrap();
        }
        for bad in [
            "",
            ".",
            "..",
            "a..b",
            "a.",
            ".a",
            "https://git.example",
            "git.example/",
            "git.example/path",
            "git.example?x",
            "git.example#x",
            "user@git.example",
            "a b",
            "a%2fb",
            "a\\b",
            "é",
            "a\n",
            "\u{1b}[2J",
        ] {
            let failed = Client::builder(preset(bad), "my-app").build().unwrap_err();
            assert!(matches!(failed, ConfigError::Name(_)), "{bad:?}: {failed}");
            assert!(!failed.to_string().contains(char::is_control));
        }
    }
    for preset in [Provider::github_enterprise("[::1]:8443"), Provider::gitlab_at("[2001:db8::1]")] {
        Client::builder(preset, "my-app").build().unwrap();
    }
    for odd in ["[", ":80"] {
        let failed = Client::builder(Provider::gitlab_at(odd), "my-app").build().unwrap_err();
        assert!(matches!(failed, ConfigError::Endpoint { .. }), "{odd}: {failed}");
    }
    for odd in ["]:[", "a:b", "a:99999", "a:", "a:0443", "[::1]:"] {
        let failed = Client::builder(Provider::gitlab_at(odd), "my-app").build().unwrap_err();
        assert!(matches!(failed, ConfigError::Name(_)), "{odd}: {failed}");
    }
}

const JSON: &str = "application/json; charset=utf-8";
const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";

enum Want {
    /// Shows this code at this address; polls at this interval for this lifetime, in seconds.
    Code(&'static str, &'static str, u64, u64),
    /// Polls again after this many seconds.
    Again(u64),
    /// The same, with a longer interval from then on.
    Slower(u64),
    Denied,
    Expired,
    /// Ends with this code; the text says this.
    Rejected(&'static str, &'static str),
    /// Asks for a code again after a second.
    Later,
    /// Tokens with these scopes; whether there is a refresh token and an ID token; the lifetime.
    Token(&'static str, bool, bool, Option<u64>),
}
use Want::*;

type Row = (&'static str, u16, &'static str, &'static str, Want);

/// From the device authorization endpoint.
#[rustfmt::skip]
const DEVICE: [Row; 24] = [
    ("Entra ID", 200, JSON, r#"{"user_code":"F7KQ2XRTN","device_code":"EAQABAAEAAAD-canary-value","verification_uri":"https://microsoft.com/devicelogin","expires_in":900,"interval":5,"message":"Open https://microsoft.com/devicelogin and type F7KQ2XRTN."}"#, Code("F7KQ2XRTN", "https://microsoft.com/devicelogin", 5, 900)),
    ("Entra ID v1", 200, JSON, r#"{"user_code":"F7KQ2XRTN","device_code":"EAQABAAEAAAD-canary-value","verification_url":"https://microsoft.com/devicelogin","expires_in":"900","interval":"5","message":"Open https://microsoft.com/devicelogin and type F7KQ2XRTN."}"#, Code("F7KQ2XRTN", "https://microsoft.com/devicelogin", 5, 900)),
    ("GitHub without Accept", 200, FORM, "device_code=0123456789abcdef0123456789abcdef01234567&expires_in=899&interval=5&user_code=ABCD-1234&verification_uri=https%3A%2F%2Fgithub.com%2Flogin%2Fdevice", Code("ABCD-1234", "https://github.com/login/device", 5, 899)),
    ("GitHub", 200, JSON, r#"{"device_code":"canary-0123456789abcdef0123456789abcdef01234567","user_code":"ABCD-1234","verification_uri":"https://github.com/login/device","expires_in":899,"interval":5}"#, Code("ABCD-1234", "https://github.com/login/device", 5, 899)),
    ("GitHub, not enabled", 200, JSON, r#"{"error":"device_flow_disabled","error_description":"made-up text","error_uri":"https://docs.github.com"}"#, Rejected("device_flow_disabled", "allow the device flow")),
    ("GitHub, not enabled", 400, JSON, r#"{"error":"device_flow_disabled","error_description":"made-up text","error_uri":"https://docs.github.com"}"#, Rejected("device_flow_disabled", "<https://docs.github.com>")),
    ("GHES, not enabled", 400, JSON, r#"{"error":"unauthorized_client"}"#, Rejected("unauthorized_client", "allow the device flow")),
    ("GitLab", 200, JSON, r#"{"device_code":"canary-made-up-device-code-000000000000000000000","user_code":"0A44L90H","verification_uri":"https://gitlab.example.com/oauth/device","verification_uri_complete":"https://gitlab.example.com/oauth/device?user_code=0A44L90H","expires_in":300,"interval":5}"#, Code("0A44L90H", "https://gitlab.example.com/oauth/device", 5, 300)),
    ("Google", 200, JSON, r#"{"device_code":"canary-AH-1Ng-made-up","user_code":"GQVQ-JKEC","verification_url":"https://www.google.com/device","expires_in":1800,"interval":5}"#, Code("GQVQ-JKEC", "https://www.google.com/device", 5, 1800)),
    ("Google, quota", 403, JSON, r#"{"error_code":"rate_limit_exceeded"}"#, Later),
    ("Google, wrong client type", 401, JSON, r#"{"error":"invalid_client","error_description":"Unauthorized"}"#, Rejected("invalid_client", "client id")),
    ("Auth0", 200, JSON, r#"{"device_code":"canary-made-up-device-code","user_code":"WDJB-MJHT","verification_uri":"https://tenant.example.auth0.com/device","verification_uri_complete":"https://tenant.example.auth0.com/device?user_code=WDJB-MJHT","expires_in":900,"interval":5}"#, Code("WDJB-MJHT", "https://tenant.example.auth0.com/device", 5, 900)),
    ("Docker Hub", 200, JSON, r#"{"device_code":"canary-made-up-device-code","user_code":"LMNP-QRST","verification_uri":"https://login.docker.com/activate","verification_uri_complete":"https://login.docker.com/activate?user_code=LMNP-QRST","expires_in":900,"interval":5}"#, Code("LMNP-QRST", "https://login.docker.com/activate", 5, 900)),
    ("Okta", 200, JSON, r#"{"device_code":"canary-00000000-0000-4000-8000-000000000000","user_code":"HMBSRJRC","verification_uri":"https://example.okta.com/activate","verification_uri_complete":"https://example.okta.com/activate?user_code=HMBSRJRC","expires_in":600,"interval":5}"#, Code("HMBSRJRC", "https://example.okta.com/activate", 5, 600)),
    ("Keycloak", 200, JSON, r#"{"device_code":"canary-made-up-device-code-0000000000000000000000","user_code":"WXYZ-ABCD","verification_uri":"https://sso.example.com/realms/demo/device","verification_uri_complete":"https://sso.example.com/realms/demo/device?user_code=WXYZ-ABCD","expires_in":600,"interval":5}"#, Code("WXYZ-ABCD", "https://sso.example.com/realms/demo/device", 5, 600)),
    ("Hydra, digits only", 200, JSON, r#"{"device_code":"canary-ory_dc_made-up","user_code":"047291835","verification_uri":"https://auth.example.com/oauth2/device/verify","verification_uri_complete":"https://auth.example.com/oauth2/device/verify?user_code=047291835","expires_in":600,"interval":5}"#, Code("047291835", "https://auth.example.com/oauth2/device/verify", 5, 600)),
    ("Dex, as plain text", 200, "text/plain; charset=utf-8", "{\n   \"device_code\": \"canary-made-up-device-code\",\n   \"user_code\": \"BCDF-GHJK\",\n   \"verification_uri\": \"https://dex.example.com/dex/device\",\n   \"verification_uri_complete\": \"https://dex.example.com/dex/device?user_code=BCDF-GHJK\",\n   \"expires_in\": 300,\n   \"interval\": 5\n}", Code("BCDF-GHJK", "https://dex.example.com/dex/device", 5, 300)),
    ("Zitadel", 200, JSON, r#"{"device_code":"canary-made-up-22-characters0","user_code":"KPVZ-DJGG","verification_uri":"https://id.example.zitadel.cloud/device","verification_uri_complete":"https://id.example.zitadel.cloud/device?user_code=KPVZ-DJGG","expires_in":300,"interval":5}"#, Code("KPVZ-DJGG", "https://id.example.zitadel.cloud/device", 5, 300)),
    ("authentik", 200, JSON, r#"{"device_code":"canary-made-up-device-code","verification_uri":"https://auth.example.com/device","verification_uri_complete":"https://auth.example.com/device?code=123456789","user_code":"123456789","expires_in":60,"interval":5}"#, Code("123456789", "https://auth.example.com/device", 5, 60)),
    ("Salesforce, no lifetime", 200, JSON, r#"{"device_code":"canary-made-up-device-code","user_code":"A1B2C3D4","verification_uri":"https://login.salesforce.com/setup/connect","interval":5}"#, Code("A1B2C3D4", "https://login.salesforce.com/setup/connect", 5, 600)),
    ("Twitch, the code in the address", 200, JSON, r#"{"device_code":"canary-made-up-device-code","expires_in":1800,"interval":5,"user_code":"ABCDEFGH","verification_uri":"https://www.twitch.tv/activate?device-code=ABCDEFGH"}"#, Code("ABCDEFGH", "https://www.twitch.tv/activate?device-code=ABCDEFGH", 5, 1800)),
    ("Hugging Face", 200, JSON, r#"{"device_code":"canary-made-up-device-code","user_code":"ABCD-EFGH","verification_uri":"https://huggingface.co/oauth/device","expires_in":900,"interval":5}"#, Code("ABCD-EFGH", "https://huggingface.co/oauth/device", 5, 900)),
    ("Login with Amazon", 200, JSON, r#"{"device_code":"canary-made-up-device-code","user_code":"94238","verification_uri":"https://amazon.com/us/code","expires_in":600,"interval":30}"#, Code("94238", "https://amazon.com/us/code", 30, 600)),
    ("Alibaba Cloud IDaaS", 200, JSON, r#"{"device_code":"made-up","user_code":"made-up","verification_uri":"https://idaas.example.com/authorize/device","verification_uri_complete":"https://idaas.example.com/authorize/device?user_code=made-up","expires_in":1200,"expires_at":1700001200,"interval":5}"#, Code("made-up", "https://idaas.example.com/authorize/device", 5, 1200)),
];

/// From the token endpoint.
#[rustfmt::skip]
const TOKENS: [Row; 60] = [
    ("Entra ID", 400, JSON, r#"{"error":"authorization_pending","error_description":"AADSTS70016: made-up text\r\nTrace ID: 00000000-0000-4000-8000-000000000001","error_codes":[70016],"timestamp":"2025-01-02 03:04:05Z","trace_id":"00000000-0000-4000-8000-000000000001","correlation_id":"00000000-0000-4000-8000-000000000002","error_uri":"https://login.microsoftonline.com/error?code=70016"}"#, Again(5)),
    ("Entra ID", 400, JSON, r#"{"error":"slow_down","error_description":"made-up text"}"#, Slower(10)),
    ("Entra ID", 400, JSON, r#"{"error":"authorization_declined","error_description":"made-up text","timestamp":"2025-01-02 03:04:05Z"}"#, Denied),
    ("Entra ID", 400, JSON, r#"{"error":"bad_verification_code","error_description":"made-up text"}"#, Rejected("bad_verification_code", "no longer knows this code")),
    ("Entra ID", 400, JSON, r#"{"error":"expired_token","error_description":"AADSTS70020: made-up text","error_codes":[70020]}"#, Expired),
    ("Entra ID v1", 400, JSON, r#"{"error":"code_expired"}"#, Expired),
    ("Entra ID, no public client", 401, JSON, r#"{"error":"invalid_client","error_description":"AADSTS7000218: made-up text\r\nTrace ID: 0","error_codes":[7000218]}"#, Rejected("invalid_client", "AADSTS7000218: made-up text Trace ID: 0")),
    ("Entra ID, loop detector", 400, JSON, r#"{"error":"invalid_grant","error_description":"AADSTS50196: made-up text"}"#, Rejected("invalid_grant", "AADSTS50196")),
    ("Entra ID", 200, JSON, r#"{"token_type":"Bearer","scope":"User.Read profile openid email","expires_in":3599,"ext_expires_in":3599,"access_token":"canary-eyJ0eXAi.made.up","refresh_token":"canary-0.AX0A-made-up","id_token":"canary-eyJ0eXAi.made.up"}"#, Token("User.Read profile openid email", true, true, Some(3599))),
    ("GitHub", 200, JSON, r#"{"error":"authorization_pending","error_description":"made-up text","error_uri":"https://docs.github.com/developers/apps/authorizing-oauth-apps#error-codes-for-the-device-flow"}"#, Again(5)),
    ("GitHub without Accept", 200, FORM, "error=authorization_pending&error_description=made-up+text&error_uri=https%3A%2F%2Fdocs.github.com", Again(5)),
    ("GitHub", 200, JSON, r#"{"error":"slow_down","error_description":"made-up text","error_uri":"https://docs.github.com","interval":10}"#, Slower(10)),
    ("GitHub, lower interval", 200, JSON, r#"{"error":"slow_down","interval":7}"#, Slower(10)),
    ("GitHub, higher interval", 200, JSON, r#"{"error":"slow_down","interval":12}"#, Slower(12)),
    ("GitHub", 200, JSON, r#"{"error":"access_denied","error_description":"made-up text"}"#, Denied),
    ("GitHub", 200, JSON, r#"{"error":"expired_token","error_description":"made-up text"}"#, Expired),
    ("GitHub, in its text", 200, JSON, r#"{"error":"token_expired"}"#, Expired),
    ("GitHub", 200, JSON, r#"{"error":"incorrect_device_code","error_description":"made-up text"}"#, Rejected("incorrect_device_code", "no longer knows this code")),
    ("GitHub", 200, JSON, r#"{"error":"incorrect_client_credentials"}"#, Rejected("incorrect_client_credentials", "client id")),
    ("GitHub, OAuth app", 200, JSON, r#"{"access_token":"canary-gho_madeup000000000000000000000000000000","token_type":"bearer","scope":"repo,gist"}"#, Token("repo gist", false, false, None)),
    ("GitHub App", 200, JSON, r#"{"access_token":"canary-ghu_madeup000000000000000000000000000000","expires_in":28800,"refresh_token":"canary-ghr_madeup0000000000000000000000000000000000000000000000000000","refresh_token_expires_in":15897600,"scope":"","token_type":"bearer"}"#, Token("", true, false, Some(28_800))),
    ("GitLab, Keycloak, Zitadel, Okta", 400, JSON, r#"{"error":"authorization_pending","error_description":"made-up text"}"#, Again(5)),
    ("GitLab, Keycloak, Zitadel, Okta", 400, JSON, r#"{"error":"slow_down","error_description":"Slow down"}"#, Slower(10)),
    ("GitLab, Keycloak, Zitadel, Okta", 400, JSON, r#"{"error":"access_denied","error_description":"made-up text"}"#, Denied),
    ("GitLab, Keycloak, Zitadel, Okta", 400, JSON, r#"{"error":"expired_token","error_description":"made-up text"}"#, Expired),
    ("GitLab, Keycloak, authentik", 400, JSON, r#"{"error":"invalid_grant","error_description":"made-up text"}"#, Rejected("invalid_grant", "no longer knows this code")),
    ("GitLab", 200, JSON, r#"{"access_token":"made-up","token_type":"Bearer","expires_in":7200,"scope":"read_api","created_at":1593096829}"#, Token("read_api", false, false, Some(7_200))),
    ("Google", 428, JSON, r#"{"error":"authorization_pending","error_description":"Precondition Required"}"#, Again(5)),
    ("Google", 403, JSON, r#"{"error":"slow_down","error_description":"Forbidden"}"#, Slower(10)),
    ("Google", 403, JSON, r#"{"error":"access_denied","error_description":"Forbidden"}"#, Denied),
    ("Google", 400, JSON, r#"{"error":"expired_token","error_description":"Bad Request"}"#, Expired),
    ("Google", 400, JSON, r#"{"error":"invalid_grant","error_description":"Bad Request"}"#, Rejected("invalid_grant", "no longer knows this code")),
    ("Google", 400, JSON, r#"{"error":"admin_policy_enforced"}"#, Rejected("admin_policy_enforced", "administrator")),
    ("Google", 403, JSON, r#"{"error":"org_internal"}"#, Rejected("org_internal", "administrator")),
    ("Google", 401, JSON, r#"{"error":"deleted_client"}"#, Rejected("deleted_client", "client id")),
    ("Google", 200, JSON, r#"{"access_token":"canary-ya29.made-up","expires_in":3599,"refresh_token":"canary-1//made-up","scope":"openid https://www.googleapis.com/auth/userinfo.email","token_type":"Bearer","id_token":"canary-eyJhbGciOi.made.up"}"#, Token("openid https://www.googleapis.com/auth/userinfo.email", true, true, Some(3_599))),
    ("Auth0, Docker Hub", 403, JSON, r#"{"error":"authorization_pending","error_description":"made-up text"}"#, Again(5)),
    ("Auth0, Docker Hub", 429, JSON, r#"{"error":"slow_down","error_description":"made-up text"}"#, Slower(10)),
    ("Auth0, Hydra, authentik", 403, JSON, r#"{"error":"access_denied","error_description":"made-up text"}"#, Denied),
    ("Auth0, once", 403, JSON, r#"{"error":"expired_token","error_description":"made-up text"}"#, Expired),
    ("Auth0, then", 403, JSON, r#"{"error":"invalid_grant","error_description":"made-up text"}"#, Rejected("invalid_grant", "start again for a new one")),
    ("Auth0", 200, JSON, r#"{"access_token":"canary-eyJhbGciOi.made.up","refresh_token":"canary-v1.made-up","id_token":"canary-eyJhbGciOi.made.up","scope":"openid profile offline_access read:things","expires_in":86400,"token_type":"Bearer"}"#, Token("openid profile offline_access read:things", true, true, Some(86_400))),
    ("Okta, rate limiter", 429, JSON, r#"{"errorCode":"E0000047","errorSummary":"made-up text","errorLink":"E0000047","errorId":"oae-made-up","errorCauses":[]}"#, Again(10)),
    ("Okta", 200, JSON, r#"{"token_type":"Bearer","expires_in":3600,"access_token":"canary-eyJraWQi.made.up","scope":"offline_access openid profile","refresh_token":"made-up","id_token":"canary-eyJraWQi.made.up"}"#, Token("offline_access openid profile", true, true, Some(3_600))),
    ("Keycloak", 200, JSON, r#"{"access_token":"canary-eyJhbGciOi.made.up","expires_in":300,"refresh_expires_in":1800,"refresh_token":"canary-eyJhbGciOi.made.up","token_type":"Bearer","id_token":"canary-eyJhbGciOi.made.up","not-before-policy":0,"session_state":"00000000-0000-4000-8000-000000000000","scope":"openid email profile"}"#, Token("openid email profile", true, true, Some(300))),
    ("Hydra", 200, JSON, r#"{"access_token":"canary-ory_at_made-up","expires_in":3599,"refresh_token":"canary-ory_rt_made-up","scope":"offline openid","token_type":"bearer","id_token":"canary-eyJhbGciOi.made.up"}"#, Token("offline openid", true, true, Some(3_599))),
    ("Dex", 401, "text/plain; charset=utf-8", r#"{"error":"authorization_pending"}"#, Again(5)),
    ("Dex", 400, JSON, r#"{"error":"slow_down"}"#, Slower(10)),
    ("Dex", 400, JSON, r#"{"error":"expired_token"}"#, Expired),
    ("Dex, unknown code", 400, JSON, r#"{"error":"invalid_request","error_description":"made-up text"}"#, Rejected("invalid_request", "made-up text")),
    ("Dex", 200, JSON, r#"{"access_token":"canary-eyJhbGciOi.made.up","token_type":"bearer","expires_in":86399,"refresh_token":"made-up","id_token":"canary-eyJhbGciOi.made.up"}"#, Token("openid profile", true, true, Some(86_399))),
    ("Zitadel", 401, JSON, r#"{"error":"invalid_client","parent":null}"#, Rejected("invalid_client", "client id")),
    ("Zitadel", 200, JSON, r#"{"access_token":"made-up","token_type":"Bearer","expires_in":43199,"scope":"openid profile","id_token":"canary-eyJhbGciOi.made.up"}"#, Token("openid profile", false, true, Some(43_199))),
    ("authentik", 200, JSON, r#"{"access_token":"canary-eyJhbGciOi.made.up","token_type":"Bearer","scope":"openid email offline_access","expires_in":300,"id_token":"canary-eyJhbGciOi.made.up","refresh_token":"made-up"}"#, Token("openid email offline_access", true, true, Some(300))),
    ("Salesforce", 200, JSON, r#"{"access_token":"canary-00D000000000000!made.up","refresh_token":"canary-5Aep-made-up","signature":"bWFkZS11cA==","scope":"refresh_token web api","instance_url":"https://example.my.salesforce.com","id":"https://login.salesforce.com/id/00D000000000000AAA/005000000000000AAA","token_type":"Bearer","issued_at":"1700000000000"}"#, Token("refresh_token web api", true, false, None)),
    ("Twitch", 400, JSON, r#"{"status":400,"message":"authorization_pending"}"#, Again(5)),
    ("Twitch", 400, JSON, r#"{"status":400,"message":"slow_down"}"#, Slower(10)),
    ("Twitch", 400, JSON, r#"{"status":400,"message":"invalid device code"}"#, Rejected("invalid device code", "no longer knows this code")),
    ("Twitch", 200, JSON, r#"{"access_token":"made-up","expires_in":14124,"refresh_token":"made-up","scope":["user:read:follows"],"token_type":"bearer"}"#, Token("user:read:follows", true, false, Some(14_124))),
    ("Hugging Face", 200, JSON, r#"{"access_token":"canary-hf_oauth_made-up","token_type":"bearer","expires_in":28800,"refresh_token":"canary-hf_oauth_refresh_made-up","scope":"openid profile","id_token":"canary-eyJhbGciOi.made.up"}"#, Token("openid profile", true, true, Some(28_800))),
];

fn check(mut run: Run<DeviceFlow>, (who, status, content_type, body, want): Row) {
    run.respond(Response::new(status, body.as_bytes()).header("Content-Type", content_type.as_bytes()));
    let before = run.requests.len();
    let (going, now) = (run.go(), run.now);
    let gap = now - run.answered_at;
    match want {
        Code(code, uri, interval, lifetime) => {
            assert!(going, "{who}: {body}");
            assert_gap(gap, interval, interval);
            let prompt = &run.prompts[0];
            assert_eq!((prompt.user_code(), prompt.verification_uri()), (code, uri), "{who}");
            assert_eq!(prompt.expires_at().as_millis(), START + lifetime * 1_000, "{who}");
            let complete = body.contains("_complete").then_some(true);
            assert_eq!(prompt.verification_uri_complete().map(|complete| complete.contains(code)), complete, "{who}");
            assert_eq!(prompt.message().is_some(), body.contains("\"message\""), "{who}");
            let warned: Vec<_> = prompt.warnings().collect();
            let expected = if body.contains("expires_in") { vec![] } else { vec![PromptWarning::LifetimeAssumed] };
            assert_eq!(warned, expected, "{who}");
        }
        Again(seconds) => {
            assert!(going, "{who}: {body}");
            assert_gap(gap, seconds, 5);
            run.answer(400, PENDING);
            assert_gap(run.poll(), 5, 5);
        }
        Slower(seconds) => {
            assert!(going, "{who}: {body}");
            assert_gap(gap, seconds, seconds);
            run.answer(400, PENDING);
            assert_gap(run.poll(), seconds, seconds);
        }
        Later => assert_eq!((going, gap, run.requests.len()), (true, 1_000, before + 1), "{who}: {body}"),
        Denied | Expired | Rejected(..) => {
            assert_eq!((going, gap, run.requests.len()), (false, 0, before), "{who}: {body}");
            match (want, run.outcome.unwrap().unwrap_err()) {
                (Denied, Failure::Denied(_)) | (Expired, Failure::Expired(_)) => {}
                (Rejected(code, text), Failure::Rejected(error)) => {
                    assert_eq!(error.code(), code, "{who}");
                    let shown = error.to_string();
                    assert!(shown.contains(text) && !shown.contains(char::is_control), "{who}: {shown}");
                }
                (_, other) => panic!("{who}: {body}: {other}"),
            }
        }
        Token(scopes, refresh, id, lifetime) => {
            assert!(!going, "{who}: {body}");
            let token = token(run.outcome.unwrap());
            assert_eq!(token.scopes().collect::<Vec<_>>().join(" "), scopes, "{who}");
            assert_eq!((token.refresh_token().is_some(), token.id_token().is_some()), (refresh, id), "{who}");
            assert_eq!(token.expires_in(), lifetime.map(Duration::from_secs), "{who}");
            assert!(body.contains(&format!("\"access_token\":\"{}\"", token.access_token().expose())), "{who}");
        }
    }
}

// B02, A17, A28, A31, A34, A38, RFC 8628 §3.2, §5.1, §6.1, R6749-5.1-10, and the providers' documentation.
#[test]
fn what_each_device_authorization_endpoint_answers() {
    for row in DEVICE {
        let mut run = Run::new(builder().build().unwrap());
        run.go();
        check(run, row);
    }
}

// B02, B06, B07, B17, B18, R6749-5.1-10, and the providers' documentation.
#[test]
fn what_each_token_endpoint_answers() {
    for row in TOKENS {
        let mut run = Run::granted(json!({}));
        run.poll();
        check(run, row);
    }
}

// Auth0's CIBA page documents it with slow_down; Okta's limiter sends it alone.
#[test]
fn retry_after_beside_a_providers_answer_can_only_lengthen() {
    for (status, body, retry_after, seconds) in [
        (429, r#"{"error":"slow_down"}"#, "3", 10),
        (429, r#"{"error":"slow_down"}"#, "30", 30),
        (429, r#"{"errorCode":"E0000047"}"#, "3", 10),
        (429, r#"{"errorCode":"E0000047"}"#, "60", 60),
        (403, r#"{"error":"authorization_pending"}"#, "7", 7),
    ] {
        let mut run = Run::granted(json!({}));
        run.poll();
        run.respond(Response::new(status, body.as_bytes()).header("Retry-After", retry_after.as_bytes()));
        assert_gap(run.poll(), seconds, 10);
    }
}

// AWS uses 1 second; 0 means the default.
#[test]
fn an_interval_of_one_is_honoured_and_zero_is_not() {
    assert_gap(Run::granted(json!({"interval": 1})).poll(), 1, 1);
    assert_gap(Run::granted(json!({"interval": 0})).poll(), 5, 5);
}

// Auth0, GitLab and Keycloak say `expired_token` once and `invalid_grant` to later polls. Spring answers pending for
// ever.
#[test]
fn an_expired_code_is_reported_as_expired_however_the_server_says_it() {
    for body in [r#"{"error":"invalid_grant"}"#, r#"{"error":"expired_token"}"#, PENDING, SLOW_DOWN, "", "<html>"] {
        let mut run = Run::granted(json!({"expires_in": 300}));
        run.poll();
        run.now = START + 300_000;
        run.answer(400, body);
        assert!(matches!(run.failure(), Failure::Expired(_)), "{body}");
        assert_eq!(run.requests.len(), 2);
    }
}

// Google wants its secret in the body, at the token endpoint; the device request takes it too.
#[test]
fn google_takes_its_secret_in_the_body() {
    let client = Client::builder(Provider::google(), "my-app").client_secret_post("SEC-canary").scope("openid");
    let mut run = Run::new(client.build().unwrap());
    run.go();
    run.answer(200, DEVICE.iter().find(|row| row.0 == "Google").unwrap().3);
    run.poll();
    assert_eq!(run.requests[1].parameter("client_secret").as_deref(), Some("SEC-canary"));
    assert_eq!(run.requests[1].header("authorization"), None);
}
