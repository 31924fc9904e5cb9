//! Owns what a driver in C sees: whole sign-ins, refreshes, revocations and discoveries with scripted answers.

use crate::support::*;
use device_flow_c::*;

#[test]
fn a_sign_in_from_a_configuration_to_its_tokens() {
    let client = client();
    let machine = flow(client);
    // A client may go while its machines live.
    free(client);

    let action = next(machine, 1_000);
    let (ticket, first) = (action.ticket, sent(&action));
    assert_eq!((&*first.method, &*first.url), ("POST", "https://op.example.com/device/auth"));
    assert_eq!(first.body, "client_id=device-public&scope=openid+profile");
    let headers: Vec<_> = first.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
    assert_eq!(headers, [("accept", "application/json"), ("content-type", "application/x-www-form-urlencoded")]);
    assert_eq!((first.max_response, first.time_limit_ms), (65_536, 0));
    let in_flight = next(machine, 1_100);
    assert_eq!((in_flight.kind, in_flight.ticket), (ActionKind::AwaitResponse, ticket));
    assert_eq!((in_flight.request.url.len, in_flight.request.header_count), (0, 0), "it comes out once");
    assert_eq!(sent(&action), first, "its texts stay");
    assert_eq!(respond(machine, ticket, 200, &[("content-type", "application/json")], GRANT, 1_500), Code::Ok);

    assert_eq!(next(machine, 1_500).kind, ActionKind::ShowCode);
    assert_eq!(text(machine, Text::UserCode).unwrap(), "DKBD-TMWL");
    assert_eq!(text(machine, Text::VerificationUri).unwrap(), "https://op.example.com/device");
    assert!(text(machine, Text::VerificationUriComplete).unwrap().ends_with("?user_code=DKBD-TMWL"));
    assert_eq!((text(machine, Text::Message), text(machine, Text::Warning)), (None, None));
    assert_eq!(number(machine, Number::CodeExpiresAtMs), Some(601_500));
    assert_eq!(number(machine, Number::IntervalMs), Some(5_000));

    let wait = next(machine, 1_500);
    assert_eq!((wait.kind, wait.reason), (ActionKind::Wait, WaitReason::Interval));
    assert!((6_500..7_500).contains(&wait.until_ms), "{wait:?}");
    let (sent, now) = polls(machine, 1_500);
    assert!(sent.body.contains("device_code=DC-canary"));
    assert_eq!(respond(machine, sent.ticket, 400, &[], r#"{"error":"slow_down"}"#, now), Code::Ok);
    let wait = next(machine, now);
    assert_eq!(wait.reason, WaitReason::SlowDown);
    assert_eq!(number(machine, Number::SlowIntervalMs), Some(10_000));
    assert!(wait.until_ms >= now + 10_000);

    let (ticket, now) = poll(machine, now);
    let busy = [("Retry-After", "60"), ("\u{e4}", "a name that is of no use")];
    assert_eq!(respond(machine, ticket, 429, &busy, "", now), Code::Ok);
    let wait = next(machine, now);
    assert_eq!(wait.reason, WaitReason::RetryAfter);
    assert!(wait.until_ms >= now + 60_000);
    assert_eq!(number(machine, Number::SlowIntervalMs), None, "it is told of the wait that it belongs to");

    let (ticket, now) = poll(machine, now);
    assert_eq!(fail(machine, ticket, TransportError::Timeout, "after 30 s", now), Code::Ok);
    assert_eq!(next(machine, now).reason, WaitReason::Backoff);
    assert_eq!(text(machine, Text::WaitCause).unwrap(), "the request took too long");
    assert_eq!(text(machine, Text::LastWords).unwrap(), "after 30 s");
    // A busy server was the first failure.
    assert_eq!(number(machine, Number::Attempt), Some(2));

    let (ticket, now) = poll(machine, now);
    assert_eq!(number(machine, Number::Polls), Some(4));
    assert_eq!(respond(machine, ticket, 200, &[("content-type", "application/json")], TOKENS, now), Code::Ok);
    assert_eq!(text(machine, Text::AccessToken), None, "the outcome comes with its action");
    assert_eq!(next(machine, now).kind, ActionKind::Done);
    let all = [
        (Text::AccessToken, "AT-canary"),
        (Text::TokenType, "Bearer"),
        (Text::Authorization, "Bearer AT-canary"),
        (Text::RefreshToken, "RT-canary"),
        (Text::IdToken, "ID-canary"),
        (Text::Scope, "openid profile"),
        (Text::ExtraName, "session_state"),
        (Text::ExtraValue, "\"XS-canary\""),
    ];
    for (which, value) in all {
        assert_eq!(text(machine, which).unwrap(), value, "{which:?}");
        assert_eq!(text_at(machine, which, 1), None, "{which:?}");
    }
    assert_eq!(number(machine, Number::ExpiresIn), Some(3_600));
    assert_eq!((text(machine, Text::Failure), number(machine, Number::FailureKind)), (None, None));
    assert_eq!(next(machine, now).kind, ActionKind::Ended);
    assert_eq!(text(machine, Text::AccessToken).unwrap(), "AT-canary", "it can be read until the machine is freed");
    free(machine);
}

#[test]
fn what_was_odd_in_the_servers_answer_is_told() {
    let client = client();
    let machine = flow(client);
    let ticket = request(machine, 0);
    let odd = r#"{"device_code":"DC-canary","user_code":"AB","verification_uri":"https://op.example.com/device","message":"Type AB"}"#;
    assert_eq!(respond(machine, ticket, 200, &[], odd, 0), Code::Ok);
    assert_eq!(next(machine, 0).kind, ActionKind::ShowCode);
    assert!(text(machine, Text::Warning).unwrap().contains("ten minutes are assumed"));
    assert_eq!(text_at(machine, Text::Warning, 1), None);
    assert_eq!(text(machine, Text::Message).unwrap(), "Type AB");
    assert_eq!(text(machine, Text::VerificationUriComplete), None);
    free(machine);
    free(client);
}

/// The kind of the failure, its error code, whether to try again, and its text.
fn failure(machine: *mut Machine, now: u64) -> (u64, Option<String>, u64, String) {
    assert_eq!(next(machine, now).kind, ActionKind::Failed);
    let failure = (
        number(machine, Number::FailureKind).unwrap(),
        text(machine, Text::Error),
        number(machine, Number::Retryable).unwrap(),
        text(machine, Text::Failure).unwrap(),
    );
    assert_eq!(text(machine, Text::AccessToken), None);
    assert_eq!(next(machine, now).kind, ActionKind::Ended);
    free(machine);
    failure
}

#[test]
fn each_failure_has_a_kind_a_code_and_a_text() {
    let client = client();
    let polled = |status, body: &str| {
        let machine = waiting(client);
        let (ticket, now) = poll(machine, 0);
        assert_eq!(respond(machine, ticket, status, &[("content-type", "application/json")], body, now), Code::Ok);
        failure(machine, now)
    };
    let denied = polled(400, r#"{"error":"access_denied","error_description":"not today"}"#);
    assert_eq!((denied.0, denied.1.as_deref(), denied.2), (FailureKind::Denied as u64, Some("access_denied"), 0));
    assert!(denied.3.contains("not today"), "{}", denied.3);
    let expired = polled(400, r#"{"error":"expired_token"}"#);
    assert_eq!((expired.0, expired.1.as_deref(), expired.2), (FailureKind::Expired as u64, Some("expired_token"), 1));
    let rejected = polled(401, r#"{"error":"invalid_client"}"#);
    assert_eq!((rejected.0, rejected.1.as_deref()), (FailureKind::Rejected as u64, Some("invalid_client")));
    let broken = polled(200, r#"{"token_type":"Bearer"}"#);
    assert_eq!((broken.0, broken.1), (FailureKind::Protocol as u64, None));

    let machine = waiting(client);
    let (ticket, now) = poll(machine, 0);
    assert_eq!(fail(machine, ticket, TransportError::UntrustedCertificate, "", now), Code::Ok);
    let untrusted = failure(machine, now);
    assert_eq!((untrusted.0, untrusted.2), (FailureKind::Transport as u64, 0));

    // The answer to a request that is still in flight is dropped.
    let machine = waiting(client);
    let (ticket, now) = poll(machine, 0);
    assert_eq!(unsafe { df_cancel(machine) }, Code::Ok);
    assert_eq!(next(machine, now).kind, ActionKind::Failed);
    assert_eq!(number(machine, Number::FailureKind), Some(FailureKind::Cancelled as u64));
    assert_eq!(respond(machine, ticket, 200, &[], TOKENS, now), Code::Ok);
    assert_eq!(next(machine, now).kind, ActionKind::Ended);
    free(machine);
    free(client);
}

#[test]
fn rfc6749_6_a_refresh_keeps_the_old_token_or_brings_a_new_one() {
    let client = client();
    let machine = refresh(client, "RT-canary", "profile").unwrap();
    let Sent { ticket, body: form, time_limit_ms, .. } = sends(machine, 0);
    assert!(form.contains("grant_type=refresh_token") && form.contains("scope=profile"), "{form}");
    assert_eq!(time_limit_ms, 30_000);
    let answer = r#"{"access_token":"AT-canary-2","token_type":"Bearer"}"#;
    assert_eq!(respond(machine, ticket, 200, &[], answer, 0), Code::Ok);
    assert_eq!(next(machine, 0).kind, ActionKind::Done);
    assert_eq!(text(machine, Text::AccessToken).unwrap(), "AT-canary-2");
    assert_eq!(text(machine, Text::RefreshToken).unwrap(), "RT-canary");
    assert_eq!(number(machine, Number::ExpiresIn), None);
    free(machine);

    let machine = refresh(client, "RT-canary", "").unwrap();
    let ticket = request(machine, 0);
    assert_eq!(respond(machine, ticket, 400, &[], r#"{"error":"invalid_grant"}"#, 0), Code::Ok);
    assert_eq!(next(machine, 0).kind, ActionKind::Failed);
    assert_eq!(number(machine, Number::FailureKind), Some(FailureKind::SignInNeeded as u64));
    assert_eq!(number(machine, Number::KeepsRefreshToken), Some(0));
    assert_eq!(text(machine, Text::Error).unwrap(), "invalid_grant");
    assert_eq!(number(machine, Number::ErrorStatus), Some(400));
    free(machine);

    assert_eq!(refresh(client, "RT-canary", "mail"), Err(Code::BadConfig));
    assert!(detail(client).contains("the scope mail, which was not granted"), "{}", detail(client));
    free(client);
}

#[test]
fn rfc7009_a_revocation_ends_without_a_text() {
    let client = client();
    let mut machine = std::ptr::null_mut();
    let token = "RT-canary";
    assert_eq!(unsafe { df_revocation_new(client, token.as_ptr().cast(), token.len(), &mut machine) }, Code::Ok);
    let Sent { ticket, url, body, .. } = sends(machine, 0);
    assert_eq!(url, "https://op.example.com/revoke");
    assert!(body.contains("token=RT-canary"));
    assert_eq!(respond(machine, ticket, 200, &[], "", 0), Code::Ok);
    assert_eq!(next(machine, 0).kind, ActionKind::Done);
    assert!(Text::AccessToken as u32 > 0 && text(machine, Text::AccessToken).is_none());
    free(machine);
    free(client);
}

#[test]
fn rfc8414_discovery_gives_a_configuration_its_endpoints() {
    let config = config();
    assert_eq!(set(config, Setting::Issuer, "http://127.0.0.1:8628"), Code::Ok);
    let mut machine = std::ptr::null_mut();
    assert_eq!(unsafe { df_discovery_new(config, &mut machine) }, Code::BadConfig);
    assert!(machine.is_null() && detail(config).contains("https"), "{}", detail(config));
    assert_eq!(set(config, Setting::AllowHttpLoopback, ""), Code::Ok);
    assert_eq!(unsafe { df_discovery_new(config, &mut machine) }, Code::Ok);

    assert_eq!(unsafe { df_config_discovered(config, machine) }, Code::None, "it is not done");
    let Sent { ticket, method, url, body, .. } = sends(machine, 0);
    assert_eq!((&*method, &*body), ("GET", ""));
    assert!(url.starts_with("http://127.0.0.1:8628/.well-known/"), "{url}");
    let document = r#"{"issuer":"http://127.0.0.1:8628","device_authorization_endpoint":"http://127.0.0.1:8628/device","token_endpoint":"http://127.0.0.1:8628/token","revocation_endpoint":"http://127.0.0.1:8628/revoke"}"#;
    assert_eq!(respond(machine, ticket, 200, &[], document, 0), Code::Ok);
    assert_eq!(next(machine, 0).kind, ActionKind::Done);
    for (which, value) in [
        (Text::Issuer, "http://127.0.0.1:8628"),
        (Text::DeviceAuthorizationEndpoint, "http://127.0.0.1:8628/device"),
        (Text::TokenEndpoint, "http://127.0.0.1:8628/token"),
        (Text::RevocationEndpoint, "http://127.0.0.1:8628/revoke"),
    ] {
        assert_eq!(text(machine, which).unwrap(), value);
    }
    assert_eq!(unsafe { df_config_discovered(config, machine) }, Code::Ok);
    free(machine);
    assert_eq!(set(config, Setting::ClientId, "demo"), Code::Ok);
    let client = client_of(config).unwrap();
    let flow = flow(client);
    assert_eq!(sends(flow, 0).url, "http://127.0.0.1:8628/device");
    free(flow);
    free(client);
    free(config);
}

#[test]
fn a_server_is_named_by_a_preset_by_endpoints_or_by_discovery_and_in_one_way() {
    let config = config();
    assert_eq!(set(config, Setting::ClientId, "my-app"), Code::Ok);
    assert_eq!(client_of(config), Err(Code::BadConfig));
    assert!(detail(config).starts_with("there is no server"), "{}", detail(config));
    assert_eq!(set(config, Setting::Preset, "keykloak"), Code::Ok);
    assert_eq!(client_of(config), Err(Code::BadConfig));
    assert!(detail(config).contains("keycloak"), "{}", detail(config));
    assert_eq!(set(config, Setting::Preset, "keycloak"), Code::Ok);
    assert_eq!(client_of(config), Err(Code::BadConfig));
    assert!(detail(config).contains("host"), "{}", detail(config));
    assert_eq!(set_pair(config, Setting::PresetParameter, "host", "sso.example.com"), Code::Ok);
    assert_eq!(set_pair(config, Setting::PresetParameter, "realm", "staff"), Code::Ok);
    assert_eq!(set_pair(config, Setting::DeviceParameter, "acr_values", "loa-2"), Code::Ok);
    let client = client_of(config).unwrap();
    let machine = flow(client);
    let first = sends(machine, 0);
    assert!(first.url.starts_with("https://sso.example.com/realms/staff/"));
    assert!(first.body.contains("acr_values=loa-2"));
    free(machine);
    free(client);
    for setting in [Setting::DeviceAuthorizationEndpoint, Setting::TokenEndpoint] {
        assert_eq!(set(config, setting, "https://op.example.com/one"), Code::Ok);
        assert_eq!(client_of(config), Err(Code::BadConfig));
        assert!(detail(config).contains("in one way"), "{}", detail(config));
    }
    free(config);
}

#[test]
fn every_setting_reaches_the_requests() {
    let config = config();
    for (setting, value) in [
        (Setting::ClientId, "my-app"),
        (Setting::DeviceAuthorizationEndpoint, "http://localhost:1/device"),
        (Setting::TokenEndpoint, "http://localhost:1/token"),
        (Setting::AllowHttpLoopback, ""),
        (Setting::Scope, "one"),
        (Setting::Scope, "two"),
        (Setting::ExactScope, ""),
        (Setting::ClientSecret, "SEC-canary-first"),
        (Setting::ClientSecretBasic, "SEC-canary"),
        (Setting::ClientIdInBody, ""),
        (Setting::Audience, "api"),
        (Setting::Resource, "https://api.example.com"),
        (Setting::Language, "de-DE"),
        (Setting::CorrelationId, "run-7"),
        (Setting::AuthorizationDetails, r#"[{"type":"payment"}]"#),
        (Setting::Pkce, ""),
        (Setting::TryUnlisted, ""),
        (Setting::Strict, ""),
        (Setting::MaxAnswer, "2000"),
    ] {
        assert_eq!(set(config, setting, value), Code::Ok, "{setting:?}");
    }
    assert_eq!(set_pair(config, Setting::TokenParameter, "tenant", "seven"), Code::Ok);
    let client = client_of(config).unwrap();
    let machine = flow(client);
    let first = sends(machine, 0);
    let form = &first.body;
    for part in ["client_id=my-app", "scope=one+two", "audience=api", "resource=https", "ui_locales=de-DE"] {
        assert!(form.contains(part), "{part}: {form}");
    }
    assert!(form.contains("code_challenge=") && form.contains("authorization_details="), "{form}");
    let has = |name| first.headers.iter().any(|(known, _)| known == name);
    assert!(has("authorization") && has("client-request-id"), "{:?}", first.headers);
    assert_eq!(first.max_response, 2_000);
    assert_eq!(respond(machine, first.ticket, 200, &[], GRANT, 0), Code::Ok);
    assert_eq!(next(machine, 0).kind, ActionKind::ShowCode);
    let (Sent { ticket, body: form, .. }, now) = polls(machine, 0);
    assert!(form.contains("tenant=seven") && form.contains("code_verifier="), "{form}");
    // Strict: a token has a type.
    assert_eq!(respond(machine, ticket, 200, &[], r#"{"access_token":"AT-canary"}"#, now), Code::Ok);
    assert_eq!(next(machine, now).kind, ActionKind::Failed);
    free(machine);
    free(client);

    // The secret that was set last, in the body.
    assert_eq!(set(config, Setting::ClientSecretPost, "SEC-canary"), Code::Ok);
    let client = client_of(config).unwrap();
    let machine = flow(client);
    assert!(sends(machine, 0).body.contains("client_secret=SEC-canary"));
    free(machine);
    free(client);
    free(config);
}
