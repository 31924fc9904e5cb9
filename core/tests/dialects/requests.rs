//! What is sent to each provider: every parameter under its name, none left out, none too many.

use super::*;
use crate::support::*;
use device_flow_core::{Action, Client, EntraCloud, Machine, Provider, Refresh, Revocation, Timestamp};
use device_flow_testkit::dialects::{
    ACCESS_TOKEN, CLIENT_ID, DEVICE_CODE, REFRESH_TOKEN, RESOURCE, SCOPES, SECOND_ACCESS_TOKEN, START_URL,
};

// The server refuses every request that has a parameter too many or too few, or one under another name.
#[test]
fn each_provider_takes_the_requests_and_gives_a_token() {
    for speech in Speech::ALL {
        let (mut run, server) = signed_in(speech, &[Say::Pending, Say::SlowDown, Say::Pending, Say::Token]);
        assert_eq!(server.refused, Vec::<String>::new(), "{speech:?}");
        assert_eq!((server.polls, server.early), (4, 0), "{speech:?}");
        let outcome = run.outcome.take().unwrap();
        let token = token(outcome);
        assert_eq!(token.access_token().expose(), ACCESS_TOKEN, "{speech:?}");
        assert_eq!(token.refresh_token().is_some(), speech.has_refresh_tokens(), "{speech:?}");
        let lifetime = token.expires_in().map(|time| time.as_secs());
        assert_eq!(lifetime.is_some(), speech != Speech::Salesforce, "{speech:?}");
    }
}

#[test]
fn each_provider_takes_the_refresh() {
    for speech in Speech::ALL.into_iter().filter(|speech| speech.has_refresh_tokens()) {
        let mut server = Server::new(speech, []);
        let mut refresh = Refresh::new(speech.client(HOST).build().unwrap(), REFRESH_TOKEN);
        let Action::SendRequest(outgoing) = refresh.next_action(Timestamp::ZERO) else { panic!() };
        let reply = server.serve(&Asked::of(&outgoing.request), 0);
        assert_eq!(server.refused, Vec::<String>::new(), "{speech:?}");
        refresh.response(outgoing.ticket, Response::new(reply.status, reply.body.as_bytes()), Timestamp::ZERO).unwrap();
        let Action::Done(outcome) = refresh.next_action(Timestamp::ZERO) else { panic!() };
        assert_eq!(token(outcome).access_token().expose(), SECOND_ACCESS_TOKEN, "{speech:?}");
    }
}

#[test]
fn endpoints_of_each_provider() {
    for (speech, provider, device, token) in [
        (
            Speech::Aws,
            Provider::aws("eu-west-1", START_URL),
            "https://oidc.eu-west-1.amazonaws.com/device_authorization",
            "https://oidc.eu-west-1.amazonaws.com/token",
        ),
        (
            Speech::Aws,
            Provider::aws("cn-north-1", START_URL),
            "https://oidc.cn-north-1.amazonaws.com.cn/device_authorization",
            "https://oidc.cn-north-1.amazonaws.com.cn/token",
        ),
        (Speech::Twitch, Provider::twitch(), "https://id.twitch.tv/oauth2/device", "https://id.twitch.tv/oauth2/token"),
        (
            Speech::Facebook,
            Provider::facebook("v2.6"),
            "https://graph.facebook.com/v2.6/device/login",
            "https://graph.facebook.com/v2.6/device/login_status",
        ),
        (
            Speech::Salesforce,
            Provider::salesforce("login.salesforce.com"),
            "https://login.salesforce.com/services/oauth2/token",
            "https://login.salesforce.com/services/oauth2/token",
        ),
        (
            Speech::Trakt,
            Provider::trakt(),
            "https://api.trakt.tv/oauth/device/code",
            "https://api.trakt.tv/oauth/device/token",
        ),
        (
            Speech::EntraV1,
            Provider::entra_v1(EntraCloud::UsGovernment, "contoso.example"),
            "https://login.microsoftonline.us/contoso.example/oauth2/devicecode?api-version=1.0",
            "https://login.microsoftonline.us/contoso.example/oauth2/token",
        ),
        (Speech::Yandex, Provider::yandex(), "https://oauth.yandex.ru/device/code", "https://oauth.yandex.ru/token"),
        (
            Speech::GoogleTv,
            Provider::google_tv(),
            "https://oauth2.googleapis.com/device/code",
            "https://oauth2.googleapis.com/token",
        ),
    ] {
        assert!(provider.notes().count() >= 2, "{speech:?}");
        for note in provider.notes() {
            assert!(include_str!("../../../docs/dialects.md").contains(note), "docs/dialects.md lacks: {note}");
        }
        let mut builder = Client::builder(provider, CLIENT_ID);
        if speech.has_secret() {
            builder = builder.client_secret("SEC-canary");
        }
        if speech == Speech::EntraV1 {
            builder = builder.resource(RESOURCE);
        }
        let client = builder.build().unwrap();
        assert_eq!((client.device_authorization_endpoint(), client.token_endpoint()), (device, token));
        // The tokens of a version that no MSAL uses are not for those that share its cache.
        assert_eq!(client.authority().kind(), device_flow_core::AuthorityKind::Generic, "{speech:?}");
    }
    assert_eq!(Provider::github().notes().count(), 0);
}

fn bodies(client: device_flow_core::ClientBuilder, code: &str) -> [String; 2] {
    let mut run = Run::new(client.build().unwrap());
    assert!(run.go());
    run.answer(200, code);
    run.poll();
    [0, 1].map(|index: usize| run.requests[index].body.clone())
}

// Every character that JSON escapes, that a form escapes, and some beyond ASCII.
#[test]
fn a_text_survives_form_and_json() {
    let odd = "a\"b\\c\u{1}\t/+ &=%|ü€𝄞";
    let code = serde_json::json!({
        "deviceCode": "D\"C\\ /+&=%ü", "userCode": "U", "verificationUri": "https://as/x", "expiresIn": 600
    });
    let client = Speech::Aws.client(HOST).token_parameter("odd", odd).device_parameter("odd ü", odd);
    let [device, poll] = bodies(client, &code.to_string());
    let read = |body: &str| serde_json::from_str::<serde_json::Value>(body).unwrap();
    assert_eq!(read(&device)["odd ü"], odd);
    assert_eq!((&read(&poll)["odd"], &read(&poll)["deviceCode"]), (&odd.into(), &code["deviceCode"]));

    let code = r#"{"code":"D|C /+&=%","user_code":"U","verification_uri":"https://as/x","expires_in":600}"#;
    let client = Speech::Facebook.client(HOST).client_secret("SEC|canary&=").token_parameter("odd", odd);
    let [device, poll] = bodies(client, code);
    let read = |body: &str, name: &str| {
        let found = form_urlencoded::parse(body.as_bytes()).find(|(known, _)| known == name);
        found.map(|(_, value)| value.into_owned())
    };
    assert_eq!(read(&device, "access_token").as_deref(), Some("my-app|SEC|canary&="));
    assert_eq!(read(&device, "scope").as_deref(), Some("one,two"));
    assert_eq!(read(&poll, "code").as_deref(), Some("D|C /+&=%"));
    assert_eq!(read(&poll, "odd").as_deref(), Some(odd));
}

// A default yields to what the program says; a parameter of the dialect itself does not.
#[test]
fn the_redirect_uri_of_a_trakt_app_can_be_given() {
    let client = Speech::Trakt.client(HOST).token_parameter("redirect_uri", "https://app.example/").build().unwrap();
    let mut refresh = Refresh::new(client, REFRESH_TOKEN);
    let Action::SendRequest(outgoing) = refresh.next_action(Timestamp::ZERO) else { panic!() };
    let body: serde_json::Value = serde_json::from_slice(outgoing.request.body()).unwrap();
    assert_eq!(body["redirect_uri"], "https://app.example/");
    assert_eq!(outgoing.request.url(), "https://provider.example/oauth/token");
}

#[test]
fn scopes_of_a_refresh_are_a_list_for_aws() {
    let client = Speech::Aws.client(HOST).build().unwrap();
    let mut refresh = Refresh::new(client, REFRESH_TOKEN).scope("two one").unwrap();
    let Action::SendRequest(outgoing) = refresh.next_action(Timestamp::ZERO) else { panic!() };
    let body: serde_json::Value = serde_json::from_slice(outgoing.request.body()).unwrap();
    assert_eq!(body["scope"], serde_json::json!(["two", "one"]));
    assert_eq!(SCOPES, "one two");
}

#[test]
fn the_language_reaches_microsofts_first_endpoint_in_the_body() {
    let mut run = Run::new(Speech::EntraV1.client(HOST).language("de-DE").build().unwrap());
    assert!(run.go());
    assert_eq!(run.requests[0].parameter("mkt").as_deref(), Some("de-DE"));
    assert_eq!(run.requests[0].parameter("ui_locales"), None);
}

#[test]
fn a_revocation_goes_out_in_the_words_of_the_provider() {
    let client = || Speech::GoogleTv.client("").scope("x");
    assert!(client().build().is_err(), "an empty host");
    let body = |speech: Speech| {
        let mut revocation = Revocation::new(speech.client(HOST).build().unwrap(), "T-canary").unwrap();
        let Action::SendRequest(outgoing) = revocation.next_action(Timestamp::ZERO) else { panic!() };
        String::from_utf8(outgoing.request.body().to_vec()).unwrap()
    };
    assert_eq!(body(Speech::GoogleTv), "client_id=my-app&client_secret=SEC-canary&token=T-canary");
    assert_eq!(body(Speech::Salesforce), "client_id=my-app&token=T-canary");
    for speech in [Speech::Aws, Speech::Twitch, Speech::Facebook, Speech::Trakt, Speech::EntraV1, Speech::Yandex] {
        assert!(Revocation::new(speech.client(HOST).build().unwrap(), "T-canary").is_err(), "{speech:?}");
    }
}

// Neither the request nor anything else shows a secret.
#[test]
fn no_secret_is_shown() {
    for speech in Speech::ALL {
        let client = speech.client(HOST);
        let mut shown = format!("{client:?}");
        let client = client.build().unwrap();
        shown += &format!("{client:?}");
        let mut flow = device_flow_core::DeviceFlow::new(client, [7; 32]);
        let Action::SendRequest(outgoing) = flow.next_action(Timestamp::ZERO) else { panic!() };
        shown += &format!("{outgoing:?} {flow:?}");
        device_flow_testkit::secrets::none_in(&shown);
    }
    assert!(DEVICE_CODE.contains("canary"));
}
