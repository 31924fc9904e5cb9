//! Owns a sign-in with oauth2-rs 5 for `testkit/other_clients.sh`: the device flow of its documentation.
//!
//! usage: oauth2_rs CLIENT-ID DEVICE-ENDPOINT TOKEN-ENDPOINT
#![allow(clippy::unwrap_used, reason = "a panic is how it reports")]

use oauth2::basic::BasicClient;
use oauth2::{
    ClientId, DeviceAuthorizationUrl, HttpRequest, HttpResponse, RequestTokenError, Scope,
    StandardDeviceAuthorizationResponse, TokenUrl,
};
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let mut next = || words.next().unwrap();
    let client = BasicClient::new(ClientId::new(next()))
        .set_device_authorization_url(DeviceAuthorizationUrl::new(next()).unwrap())
        .set_token_uri(TokenUrl::new(next()).unwrap());
    // Its own client on ureq takes a refusal for an outage: findings/oauth2-rs-on-ureq-polls-on-after-a-refusal.sh.
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().into();
    let http = |request: HttpRequest| -> Result<HttpResponse, ureq::Error> {
        let (parts, mut body) = agent.run(request)?.into_parts();
        Ok(HttpResponse::from_parts(parts, body.read_to_vec()?))
    };
    let code: StandardDeviceAuthorizationResponse = client
        .exchange_device_code()
        .add_scopes(["openid", "profile"].map(|scope| Scope::new(scope.to_owned())))
        .request(&http)
        .unwrap();
    match client.exchange_device_access_token(&code).request(&http, std::thread::sleep, None) {
        Ok(_) => {
            println!("signed in");
            return ExitCode::SUCCESS;
        }
        Err(RequestTokenError::ServerResponse(error)) => println!("{}", error.error()),
        Err(RequestTokenError::Request(error)) => println!("no answer: {error}"),
        Err(RequestTokenError::Parse(..)) => println!("an answer that cannot be parsed"),
        Err(RequestTokenError::Other(error)) => println!("{error}"),
    }
    ExitCode::FAILURE
}
