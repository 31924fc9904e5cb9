//! Owns plain HTTP for these tests: requests of a client other than the one under test.

use serde_json::Value;

pub(crate) fn post(url: &str, authorization: Option<&str>, form: &[(&str, &str)]) -> (u16, String) {
    let mut request = agent().post(url);
    if let Some(credentials) = authorization {
        request = request.header("authorization", credentials);
    }
    let response = request.send_form(form.iter().copied()).unwrap();
    (response.status().as_u16(), text(response))
}

pub(crate) fn json((status, body): (u16, String)) -> Value {
    serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error} in the {status} answer {body}"))
}

pub(crate) fn text(mut response: ureq::http::Response<ureq::Body>) -> String {
    response.body_mut().read_to_string().unwrap()
}

pub(crate) fn agent() -> ureq::Agent {
    // No proxy from the environment: it could not reach this machine's loopback.
    ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().new_agent()
}
