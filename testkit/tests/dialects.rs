//! Providers that do not speak RFC 8628, over both adapters: what arrives at a socket is what the provider takes, and no poll
//! comes early.

use device_flow_blocking::Cancel;
use device_flow_core::{DeviceFlow, Failure, Refresh, Registration, TokenResponse};
use device_flow_testkit::dialects::{
    ACCESS_TOKEN, CLIENT_ID, OnLoopback, REFRESH_TOKEN, SCOPES, SECOND_ACCESS_TOKEN, Say, Speech,
};
use std::thread;

fn flow(speech: Speech, server: &OnLoopback) -> DeviceFlow {
    DeviceFlow::new(speech.client(&server.host()).build().unwrap(), device_flow_tokio::entropy().unwrap())
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn on_tokio(speech: Speech, server: &OnLoopback) -> Result<TokenResponse, device_flow_core::Stopped> {
    let http = device_flow_tokio::Http::builder().root_certificates_pem(server.ca.clone()).build().unwrap();
    runtime().block_on(device_flow_tokio::run(&http, &mut flow(speech, server), |_| {}))
}

fn on_blocking(speech: Speech, server: &OnLoopback) -> Result<TokenResponse, device_flow_core::Stopped> {
    let http = device_flow_blocking::Http::builder().root_certificates_pem(server.ca.clone()).build().unwrap();
    device_flow_blocking::run(&http, &mut flow(speech, server), &Cancel::new(), |_| {})
}

// The intervals are those of a second, so all of them run beside each other.
#[test]
fn each_dialect_signs_in_over_both_adapters() {
    thread::scope(|scope| {
        for speech in Speech::ALL {
            for run in [on_tokio, on_blocking] {
                scope.spawn(move || {
                    let server = OnLoopback::start(speech, &[Say::Pending, Say::Token]);
                    let token = run(speech, &server).unwrap();
                    assert_eq!(token.access_token().expose(), ACCESS_TOKEN);
                    let seen = server.server.lock().unwrap();
                    assert_eq!(seen.refused, Vec::<String>::new(), "{speech:?}");
                    assert_eq!((seen.polls, seen.early), (2, 0), "{speech:?}");
                });
            }
        }
    });
}

// What AWS calls its errors is in a header, which must come through both adapters.
#[test]
fn a_denial_ends_the_flow_over_both_adapters() {
    thread::scope(|scope| {
        for speech in Speech::ALL.into_iter().filter(|speech| speech.knows_denial()) {
            for run in [on_tokio, on_blocking] {
                scope.spawn(move || {
                    let server = OnLoopback::start(speech, &[Say::Denied]);
                    let device_flow_core::Stopped::Failed(failure) = run(speech, &server).unwrap_err() else {
                        panic!("{speech:?}")
                    };
                    assert!(matches!(failure, Failure::Denied(_)), "{speech:?}: {failure}");
                    let has_name = failure.to_string().contains("AccessDeniedException");
                    assert_eq!(has_name, speech == Speech::Aws, "{failure}");
                });
            }
        }
    });
}

#[test]
fn registration_and_refresh_go_through_both_adapters() {
    for blocking in [false, true] {
        let server = OnLoopback::start(Speech::Aws, &[]);
        let provider = Speech::Aws.provider(&server.host());
        let mut registration = Registration::new(&provider, "a test", SCOPES).unwrap();
        let mut refresh = Refresh::new(Speech::Aws.client(&server.host()).build().unwrap(), REFRESH_TOKEN);
        let (registered, token) = if blocking {
            let http = device_flow_blocking::Http::builder().root_certificates_pem(server.ca.clone()).build().unwrap();
            let cancel = Cancel::new();
            let registered = device_flow_blocking::run(&http, &mut registration, &cancel, |_| {});
            (registered, device_flow_blocking::run(&http, &mut refresh, &cancel, |_| {}))
        } else {
            let http = device_flow_tokio::Http::builder().root_certificates_pem(server.ca.clone()).build().unwrap();
            runtime().block_on(async {
                let registered = device_flow_tokio::run(&http, &mut registration, |_| {}).await;
                (registered, device_flow_tokio::run(&http, &mut refresh, |_| {}).await)
            })
        };
        assert_eq!(registered.unwrap().client_id(), CLIENT_ID);
        assert_eq!(token.unwrap().access_token().expose(), SECOND_ACCESS_TOKEN);
    }
}
